use super::*;
use crate::time::Timestamp;
use proptest::prelude::*;

const NOW: Quarter = Quarter(2026 * 4 + 3);
const CAPS: Caps = Caps { quarter: NanoRho(200), lifetime: NanoRho(500), month: None };

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
fn what_the_gateway_itself_is_charged_is_within_the_caps_and_of_no_quota() {
    let mut ledger = Ledger::default();
    assert_eq!(charge(&mut ledger, "a", 60, NOW), Ok(()));
    let check = |ledger: &Ledger, rho, caps| ledger.check_standing(NanoRho(rho), NOW, caps).map_err(|no| no.reason);
    assert_eq!(check(&ledger, 140, CAPS), Ok(()), "more than the half that a client may have");
    assert_eq!(check(&ledger, 141, CAPS), Err(Reason::BudgetExhausted));
    assert_eq!(check(&ledger, 201, CAPS), Err(Reason::PriceAboveCap));
    let lifetime = Caps { lifetime: NanoRho(150), ..CAPS };
    assert_eq!(check(&ledger, 91, lifetime), Err(Reason::BudgetExhausted));
    let monthly = Caps { month: Some(NanoRho(50)), ..CAPS };
    assert_eq!(check(&ledger, 51, monthly), Err(Reason::PriceAboveCap));
    // What was charged to a quarter alone counts in its last month.
    let next_quarter = |rho| ledger.check_standing(NanoRho(rho), NOW.next(), monthly).map_err(|no| no.reason);
    assert_eq!((check(&ledger, 50, monthly), next_quarter(50)), (Err(Reason::BudgetExhausted), Ok(())));
    ledger.record(&client("system"), NanoRho(140), NOW);
    assert_eq!(charge(&mut ledger, "b", 1, NOW), Err(Reason::BudgetExhausted));
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
    assert_eq!(older, later, "the month's balance too");
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
    let caps = Caps { quarter: NanoRho(200_000_000), lifetime: NanoRho(800_000_000), month: None };
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
fn a_months_cap_is_a_further_one_and_says_when_the_next_begins() {
    let caps = Caps { month: Some(NanoRho(70)), ..CAPS };
    let (october, november) = (Month(2026 * 12 + 9), Month(2026 * 12 + 10));
    let mut ledger = Ledger::default();
    let refused = |ledger: &Ledger, rho, month| ledger.check(&client("a"), NanoRho(rho), month, caps).unwrap_err();
    assert_eq!(refused(&ledger, 71, october).reason, Reason::PriceAboveCap);
    ledger.try_charge(&client("a"), NanoRho(60), october, caps).unwrap();
    let refusal = refused(&ledger, 11, october);
    assert_eq!(refusal.reason, Reason::BudgetExhausted);
    assert_eq!(refusal.message, "this costs 0.000000011, and 0.00000001 (14.28 %) of this month's budget is left");
    assert!(refusal.next_step.contains("2026-11-01"), "{}", refusal.next_step);
    ledger.try_charge(&client("a"), NanoRho(10), october, caps).unwrap();
    assert_eq!(refused(&ledger, 1, october).reason, Reason::BudgetExhausted);
    // A new month opens the month alone: the client's quota of the quarter has 30 left.
    assert_eq!(refused(&ledger, 31, november).reason, Reason::QuotaExhausted);
    ledger.try_charge(&client("a"), NanoRho(30), november, caps).unwrap();
    assert_eq!((ledger.month_spent(november), ledger.quarter_spent(NOW)), (NanoRho(30), NanoRho(100)));
    // A clock that goes back opens nothing.
    assert_eq!(ledger.check(&client("b"), NanoRho(41), october, caps).unwrap_err().reason, Reason::BudgetExhausted);
    // A charge that named no month is in the quarter's last.
    ledger.record(&client("b"), NanoRho(20), NOW);
    assert_eq!(ledger.month_spent(november), NanoRho(20));
    assert_eq!(ledger.check(&client("b"), NanoRho(51), november, caps).unwrap_err().reason, Reason::BudgetExhausted);
}

#[test]
fn a_lowered_cap_is_above_nothing_and_breaks_nothing() {
    let mut ledger = Ledger::default();
    ledger.record(&client("a"), NanoRho(u64::MAX), NOW);
    ledger.record(&client("a"), NanoRho(u64::MAX), NOW);
    assert_eq!(ledger.lifetime_spent(), NanoRho(u64::MAX));
    let nothing = Caps { quarter: NanoRho::ZERO, lifetime: NanoRho::ZERO, month: None };
    assert!(ledger.check(&client("b"), NanoRho(1), NOW, nothing).is_err());
    assert!(ledger.check(&client("b"), NanoRho(1), Quarter(u32::MAX), CAPS).is_err());
}

#[test]
fn the_stored_form_is_stable() {
    let mut ledger = Ledger::default();
    ledger.record(&client("crm"), NanoRho(7), NOW);
    ledger.set_quota(&client("crm"), NanoRho(50));
    let text = r#"{"quarter":8107,"quarter_spent":7,"lifetime_spent":7,"clients":{"crm":[8107,7]},"quotas":{"crm":50},"month":24323,"month_spent":7}"#;
    assert_eq!(serde_json::to_string(&ledger).unwrap(), text);
    assert_eq!(serde_json::from_str::<Ledger>(text).unwrap(), ledger);
    // What was stored before months were counted.
    let older = text.replace(r#","month":24323,"month_spent":7"#, "");
    assert_eq!(serde_json::to_string(&serde_json::from_str::<Ledger>(&older).unwrap()).unwrap(), older);
    assert!(serde_json::from_str::<Ledger>(&text.replace("quotas", "quota")).is_err());
}

#[test]
fn a_ledger_that_was_extended_is_stored_with_why() {
    let mut ledger = Ledger::default();
    ledger.record(&client("crm"), NanoRho(7), NOW);
    ledger.record(&client("crm"), NanoRho(9), NOW.next());
    ledger.extend(extension(5, "r1"));
    let text = r#"{"quarter":8108,"quarter_spent":9,"lifetime_spent":16,"clients":{"crm":[8108,9]},"quotas":{},"month":24326,"month_spent":9,"last_quarter_spent":7,"extensions":[{"by":5,"at":3,"client":"desk","request":"r1","because":"more questions","leaf":12}]}"#;
    assert_eq!(serde_json::to_string(&ledger).unwrap(), text);
    assert_eq!(serde_json::from_str::<Ledger>(text).unwrap(), ledger);
    ledger.logged_again(0, 40);
    assert_eq!(ledger.extensions()[0].leaf, 40);
}

fn extension(by: u64, request: &str) -> Extension {
    let (client, because) = (client("desk"), "more questions".to_owned());
    Extension { by: NanoRho(by), at: Timestamp(3), client, request: request.to_owned(), because, leaf: 12 }
}

#[test]
fn an_extension_moves_the_lifetime_and_nothing_else() {
    let mut ledger = Ledger::default();
    let mut quarter = NOW;
    let spend = |ledger: &mut Ledger, quarter| ["a", "b"].map(|who| charge(ledger, who, 100, quarter));
    for _ in 0..2 {
        assert_eq!(spend(&mut ledger, quarter), [Ok(()); 2]);
        quarter = quarter.next();
    }
    assert_eq!(spend(&mut ledger, quarter), [Ok(()), Err(Reason::BudgetExhausted)]);
    ledger.extend(extension(150, "r1"));
    assert_eq!(ledger.lifetime_cap(CAPS), NanoRho(650));
    assert_eq!(spend(&mut ledger, quarter), [Err(Reason::QuotaExhausted), Ok(())]);
    assert_eq!(charge(&mut ledger, "c", 1, quarter), Err(Reason::BudgetExhausted), "the quarter's cap is as it was");
    assert_eq!(charge(&mut ledger, "a", 50, quarter.next()), Ok(()));
    assert_eq!(charge(&mut ledger, "a", 1, quarter.next()), Err(Reason::BudgetExhausted));
}

#[test]
fn an_extension_is_at_most_a_years_worth() {
    let ledger = Ledger::default();
    let check = |by, caps| ledger.check_extension(NanoRho(by), caps).map_err(|refusal| refusal.reason);
    assert_eq!(check(800, CAPS), Ok(()));
    for (by, caps) in [(0, CAPS), (801, CAPS), (u64::MAX, CAPS)] {
        assert_eq!(check(by, caps), Err(Reason::RequestInvalid));
    }
    let huge = Caps { quarter: NanoRho(1 << 52), lifetime: NanoRho((1 << 53) - 2), month: None };
    assert_eq!((check(1, huge), check(2, huge)), (Ok(()), Err(Reason::RequestInvalid)));
}

#[test]
fn an_extension_is_found_by_who_asked_for_it_and_under_which_request() {
    let mut ledger = Ledger::default();
    ledger.extend(extension(5, "r1"));
    ledger.extend(extension(7, "r2"));
    let found = |who, request| ledger.extension_of(&client(who), request, CAPS).map(|(cap, one)| (cap.0, one.by.0));
    assert_eq!((found("desk", "r1"), found("desk", "r2")), (Some((500, 5)), Some((505, 7))));
    assert_eq!((found("desk", "r3"), found("desk", ""), found("other", "r1")), (None, None, None));
}

#[test]
fn the_end_of_a_lifetime_is_told_before_the_quarter_it_ends_in() {
    const DAY: i64 = 86_400;
    let at = |quarter: Quarter, day: i64| Timestamp::from_seconds(quarter.start().seconds() + day * DAY);
    let caps = Caps { quarter: NanoRho(200), lifetime: NanoRho(800), month: None };
    let mut ledger = Ledger::default();
    assert_eq!(ledger.lifetime_ends(at(NOW, 3), caps), None, "nothing was spent");
    let (second, third, fourth) = (NOW.next(), NOW.next().next(), NOW.next().next().next());
    ledger.record(&client("a"), NanoRho(200), NOW);
    assert_eq!(ledger.rate(at(NOW, 1), caps), NanoRho(200), "no more than the quarter's cap");
    ledger.record(&client("a"), NanoRho(200), second);
    assert_eq!(ledger.lifetime_ends(at(second, 80), caps), None);
    assert_eq!(ledger.lifetime_ends(at(third, 5), caps), None, "at last quarter's rate it lasts for two");
    ledger.record(&client("a"), NanoRho(200), third);
    assert_eq!(ledger.lifetime_ends(at(third, 50), caps), Some(fourth));
    assert_eq!(ledger.lifetime_ends(at(fourth, 5), caps), Some(fourth.next()));
    ledger.extend(extension(200, "r1"));
    assert_eq!(ledger.lifetime_ends(at(third, 50), caps), None, "an extension puts it off");
    // Who spends little is told late.
    let mut slow = Ledger::default();
    slow.record(&client("a"), NanoRho(784), NOW);
    slow.record(&client("a"), NanoRho(4), fourth);
    assert_eq!(slow.rate(at(fourth, 46), caps), NanoRho(8), "half a quarter, twice as much in all");
    assert_eq!(slow.lifetime_ends(at(fourth, 46), caps), Some(fourth.next()));
    assert_eq!(slow.rate(at(fourth.next().next(), 1), caps), NanoRho::ZERO);
    assert_eq!(slow.lifetime_ends(at(fourth.next().next(), 1), caps), None);
    slow.record(&client("a"), NanoRho(16), fourth.next().next());
    assert_eq!(slow.lifetime_ends(at(NOW, 0), caps), Some(fourth.next().next()), "a clock that went back");
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
    fn a_months_cap_only_ever_refuses(
        charges in prop::collection::vec((any_charge(), 0..2_u32), 0..100), cap in 1..200_u64,
    ) {
        let caps = Caps { month: Some(NanoRho(cap)), ..CAPS };
        let (mut ledger, mut now, mut latest) = (Ledger::default(), Month::from(NOW), Month(0));
        let mut per_month = BTreeMap::<Month, u64>::new();
        for ((who, rho, step), months) in charges {
            now = Month(now.0.saturating_add_signed(step.into()) + months);
            let without = ledger.check(&nth_client(who), NanoRho(rho), now, CAPS);
            let before = ledger.clone();
            if ledger.try_charge(&nth_client(who), NanoRho(rho), now, caps).is_ok() {
                prop_assert!(without.is_ok(), "a month's cap let something through");
                latest = latest.max(now);
                *per_month.entry(latest).or_default() += rho;
            } else {
                prop_assert_eq!(&before, &ledger);
                let spent = per_month.get(&latest.max(now)).copied().unwrap_or(0);
                prop_assert!(without.is_err() || u128::from(spent) + u128::from(rho) > cap.into(), "refused needlessly");
            }
        }
        prop_assert!(per_month.values().all(|spent| *spent <= cap));
    }

    #[test]
    fn no_extension_is_lost_or_doubled_by_raising_a_copy(
        acts in prop::collection::vec((0..60_u64, prop::bool::ANY, prop::bool::ANY), 0..40), cut in 0..40_usize,
    ) {
        let (mut ledger, mut copy, mut now, mut added) = (Ledger::default(), Ledger::default(), NOW, 0);
        for (number, (amount, extends, turns)) in acts.into_iter().enumerate() {
            if number == cut {
                copy = ledger.clone();
            }
            if turns {
                now = now.next();
            }
            if extends && ledger.check_extension(NanoRho(amount), CAPS).is_ok() {
                ledger.extend(extension(amount, &number.to_string()));
                added += amount;
            } else {
                let _ = ledger.try_charge(&client("a"), NanoRho(amount), now, CAPS);
            }
            prop_assert!(ledger.lifetime_spent().0 <= CAPS.lifetime.0 + added);
        }
        copy.raise_to(&ledger);
        copy.raise_to(&ledger);
        prop_assert_eq!(&copy, &ledger);
        prop_assert_eq!(copy.lifetime_cap(CAPS), NanoRho(CAPS.lifetime.0 + added));
    }

    #[test]
    fn decimals_survive_a_round_trip(nano: u64) {
        prop_assert_eq!(NanoRho(nano).to_string().parse::<NanoRho>().unwrap(), NanoRho(nano));
    }
}
