//! Laws of disclosure on random policies, and a second, naive reading of them to compare with.

use super::fixture::{partner, principal, purpose, schema};
use super::*;
use crate::schema::FieldClass;
use proptest::prelude::*;

const PURPOSES: [&str; 3] = ["marketing.portrait", "marketing.measurement", "sharing.partner.acme"];

#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    Always,
    PurposeIn(&'static str),
    Class(FieldClass),
    Basis(LawfulBasis),
    Named(&'static str),
    /// Overflows when it is evaluated.
    Fails,
    FailsFor(&'static str),
}

/// A policy simple enough to be read twice.
#[derive(Debug, Clone)]
struct Mini {
    permit: bool,
    role: Option<&'static str>,
    actions: Vec<Treatment>,
    when: When,
}

impl Mini {
    fn text(&self) -> String {
        let effect = if self.permit { "permit" } else { "forbid" };
        let role = self.role.map_or(String::new(), |role| format!(" in Role::\"{role}\""));
        let actions = self.actions.iter().map(|t| format!("Action::\"{}\"", t.action().unwrap()));
        let actions = actions.collect::<Vec<_>>().join(", ");
        let fails = "9223372036854775807 + 1 > 0";
        let when = match self.when {
            When::Always => "true".into(),
            When::PurposeIn(purpose) => format!("context.purpose in Purpose::\"{purpose}\""),
            When::Class(class) => format!("resource in FieldClass::\"{}\"", class.as_str()),
            When::Basis(basis) => format!("context.basis == \"{}\"", basis.as_str()),
            When::Named(name) => format!("resource.name == \"{name}\""),
            When::Fails => fails.into(),
            When::FailsFor(purpose) => format!("context.purpose in Purpose::\"{purpose}\" && {fails}"),
        };
        format!("{effect} (principal{role}, action in [{actions}], resource) when {{ {when} }};")
    }

    /// `None` is a failure.
    fn holds(&self, ask: &Ask, field: &str, class: FieldClass, treatment: Treatment) -> Option<bool> {
        let under = |wider: &str| crate::purpose::covers(&purpose(wider), &purpose(ask.purpose));
        if self.role.is_some_and(|role| role != ask.who.role.name()) || !self.actions.contains(&treatment) {
            return Some(false);
        }
        match self.when {
            When::Always => Some(true),
            When::PurposeIn(wider) => Some(under(wider)),
            When::Class(wanted) => Some(wanted == class),
            When::Basis(basis) => Some(basis == ask.basis),
            When::Named(name) => Some(name == field),
            When::Fails => None,
            When::FailsFor(wider) => {
                if under(wider) {
                    None
                } else {
                    Some(false)
                }
            }
        }
    }
}

struct Ask {
    who: Principal,
    purpose: &'static str,
    basis: LawfulBasis,
}

fn asks() -> Vec<Ask> {
    let mut all = Vec::new();
    for who in [principal(Role::Service), partner("acme"), principal(Role::System)] {
        for purpose in PURPOSES {
            all.push(Ask { who: who.clone(), purpose, basis: LawfulBasis::Consent });
        }
        all.push(Ask { who, purpose: PURPOSES[0], basis: LawfulBasis::Contract });
    }
    all
}

fn naive(set: &[Mini], ask: &Ask, field: &str, class: FieldClass) -> Treatment {
    let identifier = class == FieldClass::Identifier;
    let mut reached = Treatment::Deny;
    for step in Treatment::RELEASING {
        if identifier && step != Treatment::Pseudonymise {
            continue;
        }
        let verdicts: Vec<_> = set.iter().map(|mini| (mini.permit, mini.holds(ask, field, class, step))).collect();
        let failed = verdicts.iter().any(|(_, holds)| holds.is_none());
        let matched = |permit| verdicts.contains(&(permit, Some(true)));
        if failed || matched(false) || !matched(true) {
            break;
        }
        reached = step;
    }
    reached
}

fn compile(set: &[Mini]) -> Rules {
    let text: String = set.iter().map(Mini::text).collect::<Vec<_>>().join("\n");
    Rules::parse(&[("random", &text)], 1).unwrap()
}

fn tables(rules: &Rules) -> Vec<Disclosure> {
    let schema = schema();
    asks().iter().map(|ask| rules.table(&ask.who, &purpose(ask.purpose), ask.basis, &schema)).collect()
}

/// Whether every field of every row of `left` is disclosed at most as far as in `right`.
fn within(left: &[Disclosure], right: &[Disclosure]) -> bool {
    left.iter().zip(right).all(|(l, r)| l.table.iter().all(|(field, treatment)| *treatment <= r.table[field]))
}

fn any_when(failing: bool) -> BoxedStrategy<When> {
    let sound = prop_oneof![
        3 => Just(When::Always),
        2 => prop::sample::select(vec!["marketing", "marketing.portrait", "sharing", "sharing.partner.acme"]).prop_map(When::PurposeIn),
        3 => prop::sample::select(FieldClass::ALL.to_vec()).prop_map(When::Class),
        1 => prop::sample::select(LawfulBasis::ALL.to_vec()).prop_map(When::Basis),
        1 => prop::sample::select(vec!["age_band", "order", "order.category"]).prop_map(When::Named),
    ];
    let fails = prop_oneof![Just(When::Fails), Just(When::FailsFor("marketing.portrait"))];
    if failing { prop_oneof![9 => sound, 1 => fails].boxed() } else { sound.boxed() }
}

fn any_mini(permit: impl Strategy<Value = bool>, failing: bool) -> impl Strategy<Value = Mini> {
    let role = prop::sample::select(vec![None, None, Some("service"), Some("partner"), Some("system")]);
    let actions = prop_oneof![
        prop::sample::subsequence(Treatment::RELEASING.to_vec(), 1..=4),
        (1..=4_usize).prop_map(|count| Treatment::RELEASING[..count].to_vec()),
    ];
    (permit, role, actions, any_when(failing)).prop_map(|(permit, role, actions, when)| Mini {
        permit,
        role,
        actions,
        when,
    })
}

fn any_set() -> impl Strategy<Value = Vec<Mini>> {
    prop::collection::vec(any_mini(prop::bool::weighted(0.75), true), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn two_readings_of_random_policies_agree(set in any_set()) {
        let schema = schema();
        let rules = compile(&set);
        for ask in asks() {
            let table = rules.table(&ask.who, &purpose(ask.purpose), ask.basis, &schema).table;
            for (field, treatment) in table.iter() {
                let expect = naive(&set, &ask, &schema.path(*field), schema.class(*field));
                prop_assert_eq!(*treatment, expect, "{} for {:?}", schema.path(*field), ask.who);
            }
        }
    }

    #[test]
    fn the_order_and_the_files_of_policies_never_matter(set in any_set(), cut in 0..8_usize) {
        let there = tables(&compile(&set));
        let text = |part: &[Mini]| part.iter().rev().map(Mini::text).collect::<String>();
        let (left, right) = set.split_at(cut.min(set.len()));
        let shuffled = Rules::parse(&[("z", &text(right)), ("a", &text(left))], 1).unwrap();
        prop_assert_eq!(there, tables(&shuffled));
    }

    #[test]
    fn a_policy_twice_is_a_policy_once(set in any_set()) {
        let twice: Vec<_> = set.iter().chain(&set).cloned().collect();
        prop_assert_eq!(tables(&compile(&set)), tables(&compile(&twice)));
    }

    #[test]
    fn adding_a_forbid_never_widens(set in any_set(), forbid in any_mini(Just(false), true)) {
        let mut more = set.clone();
        more.push(forbid);
        prop_assert!(within(&tables(&compile(&more)), &tables(&compile(&set))));
    }

    #[test]
    fn adding_a_sound_permit_never_narrows(set in any_set(), permit in any_mini(Just(true), false)) {
        let mut more = set.clone();
        more.push(permit);
        prop_assert!(within(&tables(&compile(&set)), &tables(&compile(&more))));
    }

    #[test]
    fn a_failing_policy_only_takes_away(set in any_set(), broken in any_mini(any::<bool>(), false)) {
        let mut more = set.clone();
        let broken = Mini { when: When::Fails, ..broken };
        more.push(broken.clone());
        let (before, after) = (compile(&set), compile(&more));
        prop_assert!(within(&tables(&after), &tables(&before)));
        for (ask, disclosure) in asks().iter().zip(tables(&after)) {
            if broken.role.is_none_or(|role| role == ask.who.role.name()) {
                let reached = disclosure.table.values().any(|treatment| broken.actions.contains(treatment));
                prop_assert!(!reached);
            }
        }
    }
}
