//! The same question again and again, so that the noise averages out: there is one draw, and one charge.

use super::advantage::{Scores, trials};
use super::neighbors::{Asked, Pair, World, crowd, evidence, target};
use policy::privacy::NanoRho;
use std::collections::BTreeSet;
use vault::release::Answer;

/// At this price the best attacker's advantage is 0.683: far from 0 and from 1.
const RHO: u64 = 2_000_000_000;
const OTHERS: usize = 40;

fn price(trial: u64) -> NanoRho {
    NanoRho(RHO + trial)
}

/// What a trial paid, the last of many, rounded up.
fn paid(trials: usize) -> NanoRho {
    price(trials as u64)
}

/// The mean of what each answer says about the target, to whoever knows all others.
fn mean(answers: &[Answer]) -> f64 {
    let others = [i64::try_from(OTHERS).unwrap()];
    let sum: f64 = answers.iter().map(|answer| evidence(answer, &others, &[1_024])).sum();
    sum / answers.len() as f64
}

fn pair() -> Pair {
    Pair::new(&crowd(OTHERS), &target())
}

/// Bytes of an answer as they are stored.
fn bytes(answer: &Answer) -> Vec<u8> {
    serde_json::to_vec(answer).unwrap()
}

/// The sum of the prices of all trials.
fn once_each(trials: usize) -> NanoRho {
    (0..trials as u64).map(price).fold(NanoRho::ZERO, NanoRho::saturating_add)
}

#[test]
fn averaging_a_thousand_repeats() {
    const REPEATS: usize = 1_000;
    let (pair, trials) = (pair(), trials(800));
    let attack = |world: &World, trial: u64| {
        // Every trial would take minutes: the first repeats a thousand times, the others twice.
        let repeats = if trial == 0 { REPEATS } else { 2 };
        let names: Vec<String> = (0..repeats).map(|repeat| format!("{trial}-{repeat}")).collect();
        let ask = |name: &String| {
            let client = if name.ends_with('1') { "accomplice" } else { "attacker" };
            world.ask(&Asked { client, request: name, ..Asked::size("order.any()", price(trial)) })
        };
        let answers: Vec<(Answer, bool)> = names.iter().map(ask).collect();
        assert_eq!(answers.iter().filter(|(_, charged)| *charged).count(), 1, "charged once");
        assert_eq!(answers.iter().map(|(answer, _)| bytes(answer)).collect::<BTreeSet<_>>().len(), 1);
        mean(&answers.into_iter().map(|(answer, _)| answer).collect::<Vec<_>>())
    };
    let scores = pair.attack(trials, attack);
    scores.fail_at_the_bound("averaging 1,000 repeats", paid(trials));
    assert_eq!(pair.both(World::spent), (once_each(trials), once_each(trials)));
}

/// Ways to say that someone is young or middle-aged, has two to five children and has ordered.
const AGES: [&str; 8] = [
    r#"age in ["young", "middle"]"#,
    r#"age in ["middle", "young"]"#,
    r#"age == "young" || age == "middle""#,
    r#"age == "middle" || "young" == age"#,
    r#"age != "old""#,
    r#"!(age == "old")"#,
    r#"!(age in ["old"])"#,
    r#"!(!(age == "young") && age != "middle")"#,
];
const CHILDREN: [&str; 9] = [
    "children >= 2 && children <= 5",
    "children > 1 && children < 6",
    "2 <= children && 6 > children",
    "children in [2, 3, 4, 5]",
    "children in [5, 4, 3, 2]",
    "!(children < 2 || children > 5)",
    "children == 2 || children == 3 || children in [4, 5]",
    "!(children <= 1) && !(children >= 6)",
    "children >= 2 && children >= 1 && children <= 5 && children != 6",
];
const ORDERED: [&str; 7] = [
    "order.any()",
    "order.count() >= 1",
    "order.count() > 0",
    "order.count() != 0",
    "!(order.count() == 0)",
    "!(!order.any())",
    "order.any() || order.count() > 3",
];
/// How the three are put together; `A`, `B` and `C` stand for them.
const FORMS: [&str; 6] = [
    "(A) && (B) && (C)",
    "(C) && (B) && (A)",
    "(B) && ((A) && (C))",
    "(A) && (B) && (C) && true",
    "!(!(A) || !(B) || !(C))",
    "(B) && (C) && (A) && ((A) || region == \"north\")",
];

const PARAPHRASES: usize = 50;

fn paraphrases() -> Vec<String> {
    let form = |number: usize| {
        // Steps that are coprime to the lengths, so that all parts are met in many places.
        let parts = [("A", AGES[number % 8]), ("B", CHILDREN[number * 2 % 9]), ("C", ORDERED[number * 3 % 7])];
        let mut text = String::new();
        for letter in FORMS[number % 6].chars() {
            match parts.iter().find(|(name, _)| name.starts_with(letter)) {
                Some((_, part)) => text.push_str(part),
                None => text.push(letter),
            }
        }
        text
    };
    (0..PARAPHRASES).map(form).collect()
}

#[test]
fn fifty_paraphrases() {
    let pair = Pair::new(&crowd(OTHERS), &super::neighbors::Person { age: 2, children: 4, ..target() });
    let texts = paraphrases();
    assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), PARAPHRASES, "different texts");
    let forms: BTreeSet<String> = texts.iter().map(|text| pair.with.segment(text).canonical().to_owned()).collect();
    assert_eq!(forms.len(), 1, "{forms:#?}");
    // Among the crowd: ages in turn of three, children in turn of five.
    let others = crowd(OTHERS).iter().filter(|person| person.age != 3 && person.children >= 2).count();
    let others = [i64::try_from(others).unwrap()];
    let trials = trials(800);
    let attack = |world: &World, trial: u64| {
        let asked = if trial == 0 { PARAPHRASES } else { 2 };
        let texts = texts.iter().cycle().skip(usize::try_from(trial).unwrap()).take(asked);
        let answers: Vec<(Answer, bool)> = texts.map(|text| world.ask(&Asked::size(text, price(trial)))).collect();
        assert_eq!(answers.iter().filter(|(_, charged)| *charged).count(), 1, "charged once");
        assert_eq!(answers.iter().map(|(answer, _)| bytes(answer)).collect::<BTreeSet<_>>().len(), 1);
        answers.iter().map(|(answer, _)| evidence(answer, &others, &[1_024])).sum::<f64>() / asked as f64
    };
    pair.attack(trials, attack).fail_at_the_bound("50 paraphrases", paid(trials));
    assert_eq!(pair.both(World::spent), (once_each(trials), once_each(trials)));
}

#[test]
fn asking_again_after_more_was_written_in_the_epoch() {
    let (pair, trials) = (pair(), trials(400));
    let ask_all = |world: &World| -> Vec<Answer> {
        (0..trials as u64).map(|trial| world.ask(&Asked::size("order.any()", price(trial))).0).collect()
    };
    let first = pair.both(ask_all);
    pair.both(|world| world.ingest(&crowd(OTHERS + 20)));
    pair.with.ingest(&[super::neighbors::Person { orders: vec![1, 2, 3, 4], children: 0, ..target() }]);
    let second = pair.both(ask_all);
    assert_eq!(pair.both(World::spent), (once_each(trials), once_each(trials)));
    let all = |first: Vec<Answer>, second: Vec<Answer>| -> Vec<f64> {
        let pairs = first.into_iter().zip(second);
        pairs
            .map(|(first, second)| {
                assert_eq!(bytes(&first), bytes(&second));
                mean(&[first, second])
            })
            .collect()
    };
    let scores = Scores { with: all(first.0, second.0), without: all(first.1, second.1) };
    scores.fail_at_the_bound("repeats across ingest in one epoch", paid(trials));
}
