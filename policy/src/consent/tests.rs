//! Histories of consent, plain and random.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const BASIS: LawfulBasis = LawfulBasis::Consent;

fn id(text: &str) -> PurposeId {
    PurposeId::new(text).unwrap()
}

fn event(act: ConsentAct, purpose: &str, at: i64) -> ConsentEvent {
    let (purpose, source) = (id(purpose), String::new());
    let (at, expires, language, method, notice) = (Timestamp(at), None, None, None, None);
    ConsentEvent { act, at, basis: BASIS, expires, language, method, notice, purpose, source }
}

fn give(purpose: &str, at: i64) -> ConsentEvent {
    event(ConsentAct::Give, purpose, at)
}

fn withdraw(purpose: &str, at: i64) -> ConsentEvent {
    event(ConsentAct::Withdraw, purpose, at)
}

fn until(purpose: &str, at: i64, expires: i64) -> ConsentEvent {
    ConsentEvent { expires: Some(Timestamp(expires)), ..give(purpose, at) }
}

fn on(basis: LawfulBasis, event: ConsentEvent) -> ConsentEvent {
    ConsentEvent { basis, ..event }
}

#[track_caller]
fn check(events: &[ConsentEvent], purpose: &str, now: i64, expect: bool) {
    let mut state = ConsentState::default();
    for event in events {
        state.apply(event);
    }
    assert_eq!(state.allows(&id(purpose), BASIS, Timestamp(now)), expect, "{state:?}");
}

#[test]
fn nothing_said_means_no() {
    check(&[], "marketing", 10, false);
    check(&[give("marketing.portrait", 1)], "marketing", 10, false);
    check(&[give("marketing", 1)], "marketingx", 10, false);
    check(&[on(LawfulBasis::Contract, give("marketing", 1))], "marketing", 10, false);
}

#[test]
fn the_whole_covers_its_parts() {
    check(&[give("marketing", 1)], "marketing.portrait.daily", 10, true);
}

#[test]
fn a_give_holds_from_its_time_until_it_expires() {
    let given = [until("marketing", 5, 9)];
    for (now, expect) in [(4, false), (5, true), (8, true), (9, false)] {
        check(&given, "marketing", now, expect);
    }
}

#[test]
fn an_expired_part_is_not_saved_by_the_whole() {
    check(&[give("marketing", 1), until("marketing.portrait", 2, 5)], "marketing.portrait", 6, false);
    check(&[give("marketing", 1), until("marketing.portrait", 2, 5)], "marketing.other", 6, true);
    let other_basis = [give("marketing", 1), on(LawfulBasis::Contract, until("marketing.portrait", 2, 5))];
    check(&other_basis, "marketing.portrait", 6, true);
}

#[test]
fn withdrawing_the_whole_ends_its_parts() {
    check(&[give("marketing.portrait", 1), withdraw("marketing", 2)], "marketing.portrait", 3, false);
    check(&[give("marketing", 1), withdraw("marketing.portrait", 2)], "marketing.portrait", 3, false);
    check(&[give("marketing", 1), withdraw("marketing.portrait", 2)], "marketing.other", 3, true);
}

#[test]
fn a_refused_part_stays_refused_when_the_whole_is_given_again() {
    let history = [withdraw("marketing.portrait", 2), give("marketing", 3)];
    check(&history, "marketing.portrait", 4, false);
    check(&history, "marketing.other", 4, true);
    check(&[withdraw("marketing", 2), give("marketing", 3)], "marketing.portrait", 4, true);
    check(
        &[give("marketing.portrait", 1), withdraw("marketing", 2), give("marketing", 3)],
        "marketing.portrait",
        4,
        true,
    );
}

#[test]
fn late_events_change_nothing() {
    check(&[withdraw("marketing", 5), give("marketing", 4)], "marketing", 10, false);
    check(&[give("marketing", 5), withdraw("marketing", 4)], "marketing", 10, true);
    check(&[withdraw("marketing", 5), give("marketing.portrait", 4)], "marketing.portrait", 10, false);
    check(&[withdraw("marketing", 5), give("marketing.portrait", 6)], "marketing.portrait", 10, true);
    let lifted =
        [withdraw("marketing", 5), on(LawfulBasis::Contract, give("marketing", 8)), give("marketing.portrait", 4)];
    check(&lifted, "marketing.portrait", 10, false);
    let mut state = ConsentState::default();
    assert!(state.apply(&give("marketing", 5)));
    assert!(!state.apply(&withdraw("marketing", 4)));
}

#[test]
fn at_the_same_instant_withdrawal_wins() {
    check(&[give("marketing", 5), withdraw("marketing", 5)], "marketing", 10, false);
    check(&[withdraw("marketing", 5), give("marketing", 5)], "marketing", 10, false);
    check(&[withdraw("marketing", 5), give("marketing.portrait", 5)], "marketing.portrait", 10, false);
}

#[test]
fn an_objection_on_one_basis_outlives_a_give_on_another() {
    let history = [give("marketing", 1), withdraw("marketing.portrait", 2)];
    let then = on(LawfulBasis::Contract, give("marketing.portrait", 3));
    check(&[history.as_slice(), &[then]].concat(), "marketing.portrait", 4, false);
}

#[test]
fn the_next_change_is_the_nearest_begin_or_end() {
    let mut state = ConsentState::default();
    assert_eq!(state.next_change(Timestamp(0)), None);
    state.apply(&until("marketing", 5, 9));
    state.apply(&until("sharing", 1, 20));
    for (now, expect) in [(0, Some(1)), (1, Some(5)), (5, Some(9)), (9, Some(20)), (20, None)] {
        assert_eq!(state.next_change(Timestamp(now)), expect.map(Timestamp));
    }
    state.apply(&withdraw("sharing", 6));
    assert_eq!(state.next_change(Timestamp(9)), None);
}

#[test]
fn the_stored_form_is_small_and_golden() {
    let mut state = ConsentState::default();
    state.apply(&until("marketing", 5, 9));
    state.apply(&withdraw("sharing", 6));
    let json = serde_json::to_string(&state).unwrap();
    let marketing = r#"{"p":"marketing","n":5,"m":[["consent",{"g":[5,9]}]]}"#;
    let sharing = r#"{"p":"sharing","n":6,"w":6,"m":[["consent","w"],["contract","w"],["legitimate_interest","w"]]}"#;
    assert_eq!(json, format!("[{marketing},{sharing}]"));
    assert_eq!(serde_json::from_str::<ConsentState>(&json).unwrap(), state);
}

const PURPOSES: [&str; 6] = ["a", "a.b", "a.b.c", "a.d", "ab", "e"];

/// When it was given and until; `None` is withdrawn.
type Given = Option<(i64, Option<i64>)>;

/// The rules said again, over a table with a row for every purpose and basis.
#[derive(Default)]
struct Table {
    marks: BTreeMap<(usize, LawfulBasis), Given>,
    newest: BTreeMap<usize, i64>,
    withdrawals: Vec<(usize, i64)>,
}

impl Table {
    fn under(above: usize, below: usize) -> bool {
        above == below || PURPOSES[below].starts_with(&format!("{}.", PURPOSES[above]))
    }

    fn apply(&mut self, event: &ConsentEvent) {
        let which = PURPOSES.iter().position(|p| *p == event.purpose.as_str()).unwrap();
        let at = event.at.0;
        let late = self.newest.get(&which).is_some_and(|newest| at < *newest);
        let give = event.act == ConsentAct::Give;
        if late || (give && self.withdrawals.iter().any(|(p, w)| Self::under(*p, which) && at <= *w)) {
            return;
        }
        self.newest.insert(which, at);
        if give {
            self.marks.insert((which, event.basis), Some((at, event.expires.map(|t| t.0))));
        } else {
            self.withdrawals.push((which, at));
            self.marks.retain(|(p, _), mark| !Self::under(which, *p) || mark.is_none());
            for basis in LawfulBasis::ALL {
                self.marks.insert((which, basis), None);
            }
        }
    }

    fn allows(&self, which: usize, basis: LawfulBasis, now: i64) -> bool {
        let above = (0..PURPOSES.len()).filter(|p| Self::under(*p, which));
        let nearest = above.filter(|p| self.marks.contains_key(&(*p, basis))).max_by_key(|p| PURPOSES[*p].len());
        match nearest.and_then(|p| self.marks[&(p, basis)]) {
            Some((at, expires)) => at <= now && expires.is_none_or(|expires| now < expires),
            None => false,
        }
    }
}

fn random_event() -> impl Strategy<Value = ConsentEvent> {
    let basis = prop::sample::select(LawfulBasis::ALL.to_vec());
    let expires = prop::option::weighted(0.4, 0_i64..24);
    (prop::sample::select(PURPOSES.to_vec()), basis, any::<bool>(), 0_i64..20, expires).prop_map(
        |(purpose, basis, withdraw, at, expires)| ConsentEvent {
            expires: expires.map(Timestamp),
            ..on(basis, event(if withdraw { ConsentAct::Withdraw } else { ConsentAct::Give }, purpose, at))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_fold_agrees_with_the_table(events in prop::collection::vec(random_event(), 0..14)) {
        let (mut state, mut table) = (ConsentState::default(), Table::default());
        for event in &events {
            state.apply(event);
            table.apply(event);
        }
        let json = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(&serde_json::from_str::<ConsentState>(&json).unwrap(), &state);
        for now in [0, 3, 9, 15, 19, 30] {
            for (which, purpose) in PURPOSES.iter().enumerate() {
                for basis in LawfulBasis::ALL {
                    let got = state.allows(&id(purpose), basis, Timestamp(now));
                    prop_assert_eq!(got, table.allows(which, basis, now), "{} {:?} at {}", purpose, basis, now);
                }
            }
        }
    }

    #[test]
    fn after_a_withdrawal_that_counted_nothing_under_it_is_allowed(
        events in prop::collection::vec(random_event(), 0..14),
        which in 0..PURPOSES.len(),
    ) {
        let mut state = ConsentState::default();
        for event in &events {
            state.apply(event);
        }
        prop_assert!(state.apply(&withdraw(PURPOSES[which], 20)));
        for purpose in PURPOSES.iter().filter(|p| covers(&id(PURPOSES[which]), &id(p))) {
            for basis in LawfulBasis::ALL {
                prop_assert!(!state.allows(&id(purpose), basis, Timestamp(25)));
            }
        }
    }

    #[test]
    fn answers_hold_until_the_next_change(events in prop::collection::vec(random_event(), 0..14), now in 0_i64..25) {
        let mut state = ConsentState::default();
        for event in &events {
            state.apply(event);
        }
        let end = state.next_change(Timestamp(now)).map_or(40, |t| t.0);
        for purpose in PURPOSES {
            for basis in LawfulBasis::ALL {
                let first = state.allows(&id(purpose), basis, Timestamp(now));
                for later in now..end {
                    prop_assert_eq!(state.allows(&id(purpose), basis, Timestamp(later)), first);
                }
            }
        }
    }
}

#[test]
fn an_event_that_says_no_more_than_it_must_keeps_the_bytes_that_are_committed_to() {
    let old = r#"{"act":"give","at":1,"basis":"consent","expires":null,"purpose":"a.b","source":"till"}"#;
    let new = r#"{"act":"give","at":1,"basis":"consent","expires":null,"language":"pt-BR","method":"in_person","notice":"3","purpose":"a.b","source":"till"}"#;
    for text in [old, new] {
        let event: ConsentEvent = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
    }
    let wrong = new.replace("in_person", "cookie");
    assert!(serde_json::from_str::<ConsentEvent>(&wrong).is_err());
}
