use super::*;
use proptest::prelude::*;

const NOW: Quarter = Quarter(2026 * 4 + 3);
const CAPS: Caps = Caps { quarter: NanoRho(200), lifetime: NanoRho(500) };

fn client(name: &str) -> ClientId {
    ClientId::new(name).unwrap()
}

fn charge(ledger: &mut Ledger, name: &str, rho: u64, now: Quarter) -> Result<(), Reason> {
    ledger.try_charge(&client(name), NanoRho(rho), now, CAPS).map_err(|refusal| refusal.reason)
}

#[test]
fn a_charge_fits_to_the_last_unit() {
    let mut ledger = Ledger::default();
    assert_eq!(charge(&mut ledger, "a", 100, NOW), Ok(()));
    assert_eq!(charge(&mut ledger, "a", 1, NOW), Err(Reason::QuotaExhausted));
    assert_eq!(charge(&mut ledger, "b", 99, NOW), Ok(()));
    assert_eq!(charge(&mut ledger, "c", 2, NOW), Err(Reason::BudgetExhausted));
    assert_eq!(charge(&mut ledger, "c", 1, NOW), Ok(()));
    assert_eq!(charge(&mut ledger, "c", 1, NOW), Err(Reason::BudgetExhausted));
    assert_eq!(ledger.quarter_spent(NOW), CAPS.quarter);
}

#[test]
fn a_refused_charge_leaves_room_for_a_smaller_one() {
    let mut ledger = Ledger::default();
    assert_eq!(charge(&mut ledger, "a", 60, NOW), Ok(()));
    assert_eq!(charge(&mut ledger, "a", 60, NOW), Err(Reason::QuotaExhausted));
    assert_eq!(charge(&mut ledger, "a", 40, NOW), Ok(()));
}

#[test]
fn what_can_never_fit_is_said_to_be_too_dear() {
    let mut ledger = Ledger::default();
    assert_eq!(charge(&mut ledger, "a", 101, NOW), Err(Reason::PriceAboveCap));
    assert_eq!(charge(&mut ledger, "a", u64::MAX, NOW), Err(Reason::PriceAboveCap));
    ledger.set_quota(&client("a"), NanoRho(10));
    assert_eq!(charge(&mut ledger, "a", 11, NOW), Err(Reason::PriceAboveCap));
    assert_eq!(ledger, {
        let mut same = Ledger::default();
        same.set_quota(&client("a"), NanoRho(10));
        same
    });
}

#[test]
fn a_quota_is_at_most_half_the_cap() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.quota(&client("a"), CAPS), NanoRho(100));
    ledger.set_quota(&client("a"), NanoRho(180));
    assert_eq!(ledger.quota(&client("a"), CAPS), NanoRho(100));
    ledger.set_quota(&client("a"), NanoRho(30));
    assert_eq!(ledger.quota(&client("a"), CAPS), NanoRho(30));
}

#[test]
fn a_ledger_made_again_from_an_older_copy_is_raised_to_what_was_spent() {
    let mut later = Ledger::default();
    charge(&mut later, "a", 40, NOW).unwrap();
    let mut older = later.clone();
    charge(&mut later, "b", 70, NOW).unwrap();
    later.set_quota(&client("a"), NanoRho(41));
    older.raise_to(&later);
    assert_eq!(older, later);
    // What the copy has spent more of is not given back.
    charge(&mut older, "b", 9, NOW).unwrap();
    let more = older.clone();
    older.raise_to(&later);
    assert_eq!(older, more);
    // Another quarter.
    charge(&mut later, "a", 5, NOW.next()).unwrap();
    older.raise_to(&later);
    assert_eq!(
        (older.quarter_spent(NOW.next()), older.client_spent(&client("a"), NOW.next())),
        (NanoRho(5), NanoRho(5))
    );
    assert_eq!(older.lifetime_spent(), NanoRho(119));
}

#[test]
fn a_new_quarter_opens_the_quarter_and_never_the_lifetime() {
    let mut ledger = Ledger::default();
    let mut quarter = NOW;
    for _ in 0..2 {
        assert_eq!(charge(&mut ledger, "a", 100, quarter), Ok(()));
        assert_eq!(charge(&mut ledger, "b", 100, quarter), Ok(()));
        quarter = quarter.next();
        assert_eq!(ledger.quarter_spent(quarter), NanoRho::ZERO);
        assert_eq!(ledger.client_spent(&client("a"), quarter), NanoRho::ZERO);
    }
    assert_eq!(charge(&mut ledger, "a", 100, quarter), Ok(()));
    let refusal = ledger.try_charge(&client("b"), NanoRho(1), quarter, CAPS).unwrap_err();
    assert_eq!(refusal.reason, Reason::BudgetExhausted);
    assert!(refusal.message.contains("lifetime") && refusal.next_step.contains("extension"));
    assert_eq!(ledger.lifetime_spent(), CAPS.lifetime);
}

#[test]
fn a_clock_that_goes_back_opens_nothing() {
    let mut ledger = Ledger::default();
    assert_eq!(charge(&mut ledger, "a", 100, NOW), Ok(()));
    let earlier = Quarter(NOW.0 - 1);
    assert_eq!(charge(&mut ledger, "a", 1, earlier), Err(Reason::QuotaExhausted));
    assert_eq!(charge(&mut ledger, "b", 100, earlier), Ok(()));
    assert_eq!(charge(&mut ledger, "c", 1, NOW), Err(Reason::BudgetExhausted));
}

#[test]
fn refusals_say_what_is_left_and_when_more_comes() {
    let mut ledger = Ledger::default();
    let caps = Caps { quarter: NanoRho(200_000_000), lifetime: NanoRho(800_000_000) };
    ledger.record(&client("a"), NanoRho(98_500_000), NOW);
    let refusal = ledger.check(&client("a"), NanoRho(2_000_000), NOW, caps).unwrap_err();
    assert_eq!(refusal.message, "this costs 0.002, and 0.0015 (1.50 %) of this client's quota is left");
    assert!(refusal.next_step.contains("2027-01-01"), "{}", refusal.next_step);
    ledger.record(&client("b"), NanoRho(99_500_000), NOW);
    let refusal = ledger.check(&client("c"), NanoRho(3_000_000), NOW, caps).unwrap_err();
    assert_eq!(refusal.message, "this costs 0.003, and 0.002 (1.00 %) of this quarter's budget is left");
    assert!(refusal.next_step.contains("2027-01-01"), "{}", refusal.next_step);
}

#[test]
fn a_lowered_cap_is_above_nothing_and_breaks_nothing() {
    let mut ledger = Ledger::default();
    ledger.record(&client("a"), NanoRho(u64::MAX), NOW);
    ledger.record(&client("a"), NanoRho(u64::MAX), NOW);
    assert_eq!(ledger.lifetime_spent(), NanoRho(u64::MAX));
    let nothing = Caps { quarter: NanoRho::ZERO, lifetime: NanoRho::ZERO };
    assert!(ledger.check(&client("b"), NanoRho(1), NOW, nothing).is_err());
    assert!(ledger.check(&client("b"), NanoRho(1), Quarter(u32::MAX), CAPS).is_err());
}

#[test]
fn the_stored_form_is_stable() {
    let mut ledger = Ledger::default();
    ledger.record(&client("crm"), NanoRho(7), NOW);
    ledger.set_quota(&client("crm"), NanoRho(50));
    let text =
        r#"{"quarter":8107,"quarter_spent":7,"lifetime_spent":7,"clients":{"crm":[8107,7]},"quotas":{"crm":50}}"#;
    assert_eq!(serde_json::to_string(&ledger).unwrap(), text);
    assert_eq!(serde_json::from_str::<Ledger>(text).unwrap(), ledger);
    assert!(serde_json::from_str::<Ledger>(&text.replace("quotas", "quota")).is_err());
}

/// A charge by one of four clients, some quarters later than the last (or a quarter earlier).
fn any_charge() -> impl Strategy<Value = (usize, u64, i8)> {
    (
        0..4_usize,
        prop_oneof![0..40_u64, 0..300_u64, Just(u64::MAX)],
        prop_oneof![8 => Just(0_i8), 1 => Just(1), 1 => Just(-1)],
    )
}

fn nth_client(number: usize) -> ClientId {
    client(["a", "b", "c", "d"][number])
}

proptest! {
    #[test]
    fn no_sequence_passes_a_cap(charges in prop::collection::vec(any_charge(), 0..200), quota in 0..300_u64) {
        let mut ledger = Ledger::default();
        ledger.set_quota(&nth_client(0), NanoRho(quota));
        let (mut now, mut total, mut latest) = (NOW, 0_u64, Quarter(0));
        let mut per_quarter = BTreeMap::<(Quarter, Option<usize>), u64>::new();
        for (who, rho, step) in charges {
            now = Quarter(now.0.saturating_add_signed(step.into()));
            let before = ledger.clone();
            if ledger.try_charge(&nth_client(who), NanoRho(rho), now, CAPS).is_ok() {
                latest = latest.max(now);
                total += rho;
                *per_quarter.entry((latest, None)).or_default() += rho;
                *per_quarter.entry((latest, Some(who))).or_default() += rho;
            } else {
                prop_assert_eq!(before, ledger.clone());
            }
            prop_assert_eq!(ledger.lifetime_spent(), NanoRho(total));
        }
        prop_assert!(total <= CAPS.lifetime.0);
        for ((_, who), spent) in per_quarter {
            let most = if who.is_none() { CAPS.quarter } else { ledger.quota(&nth_client(who.unwrap()), CAPS) };
            prop_assert!(NanoRho(spent) <= most);
        }
    }

    #[test]
    fn splitting_a_charge_changes_nothing(parts in prop::collection::vec(0..30_u64, 1..10)) {
        let whole: u64 = parts.iter().sum();
        let (mut once, mut split) = (Ledger::default(), Ledger::default());
        let accepted = charge(&mut once, "a", whole, NOW).is_ok();
        let all = parts.iter().all(|part| charge(&mut split, "a", *part, NOW).is_ok());
        prop_assert_eq!(accepted, all);
        prop_assert!(!accepted || once == split);
    }

    #[test]
    fn a_refusal_is_never_needless(charges in prop::collection::vec((0..4_usize, 0..60_u64), 0..30), rho in 0..100_u64) {
        let mut ledger = Ledger::default();
        for (who, rho) in charges {
            let _ = ledger.try_charge(&nth_client(who), NanoRho(rho), NOW, CAPS);
        }
        let who = nth_client(0);
        let fits = ledger.client_spent(&who, NOW).0 + rho <= ledger.quota(&who, CAPS).0
            && ledger.quarter_spent(NOW).0 + rho <= CAPS.quarter.0
            && ledger.lifetime_spent().0 + rho <= CAPS.lifetime.0;
        prop_assert_eq!(ledger.check(&who, NanoRho(rho), NOW, CAPS).is_ok(), fits);
    }

    #[test]
    fn decimals_survive_a_round_trip(nano: u64) {
        prop_assert_eq!(NanoRho(nano).to_string().parse::<NanoRho>().unwrap(), NanoRho(nano));
    }
}
