//! Two or more answers that differ in one person: by dataset, by segment, by epoch, by what the person agreed to.

use super::advantage::{Scores, trials};
use super::neighbors::{Asked, CELL, Pair, World, crowd, evidence, target};
use policy::consent::ConsentAct;
use policy::privacy::NanoRho;

const RHO: u64 = 2_000_000_000;
const OTHERS: usize = 40;

fn others() -> [i64; 1] {
    [i64::try_from(OTHERS).unwrap()]
}

/// A price near a part of [`RHO`] that no other trial of the same test pays.
fn price(parts: u64, trial: u64) -> NanoRho {
    NanoRho(RHO / parts + trial)
}

/// What `parts` answers of a trial cost together, the dearest of many.
fn paid(parts: u64, trials: usize) -> NanoRho {
    NanoRho(price(parts, trials as u64).0 * parts)
}

#[test]
fn differencing_two_datasets() {
    let (pair, trials) = (Pair::new(&crowd(OTHERS), &target()), trials(1_000));
    let attack =
        |world: &World, trial: u64| evidence(&world.ask(&Asked::size("true", price(1, trial))).0, &others(), &[1_024]);
    pair.attack(trials, attack).fail_at_the_bound("two datasets that differ in one person", paid(1, trials));
}

#[test]
fn differencing_two_segments() {
    let (pair, trials) = (Pair::new(&crowd(OTHERS), &target()), trials(600));
    let everyone_else = format!("!({CELL})");
    // Nothing needs to be known of the others: they are in both.
    let attack = |world: &World, trial: u64| {
        (world.size("true", price(2, trial)) - world.size(&everyone_else, price(2, trial)) - 512) as f64
    };
    pair.attack(trials, attack).fail("two segments that differ in one person", paid(2, trials));
}

#[test]
fn tracker_and_complement() {
    let (pair, trials) = (Pair::new(&crowd(OTHERS), &target()), trials(400));
    // Denning's general tracker: who is in the cell is who is in `cell || tracker` and in `cell || !tracker`.
    let texts = [
        CELL.to_owned(),
        format!("!({CELL})"),
        "true".to_owned(),
        format!("{CELL} || children in [0, 1, 2]"),
        format!("{CELL} || !(children in [0, 1, 2])"),
    ];
    let attack = |world: &World, trial: u64| {
        let sizes = texts.each_ref().map(|text| world.size(text, price(5, trial)) as f64);
        let [itself, complement, everyone, tracker, other] = sizes;
        // Variances of the three are 1, 2 and 3 times that of an answer.
        let estimates = [(itself, 1.0), (everyone - complement, 2.0), (tracker + other - everyone, 3.0)];
        let weights: f64 = estimates.iter().map(|(_, variance)| 1.0 / variance).sum();
        estimates.iter().map(|(estimate, variance)| estimate / variance).sum::<f64>() / weights - 512.0
    };
    pair.attack(trials, attack).fail("tracker and complement", paid(5, trials));
}

/// What an answer for a part of the price says of the target.
fn seen(world: &World, parts: u64, question: u64) -> f64 {
    let (answer, charged) = world.ask(&Asked::size("order.any()", price(parts, question)));
    assert!(charged, "a draw of its own");
    evidence(&answer, &others(), &[1_024])
}

/// Adds up what was seen in several phases.
fn together(phases: &[&Scores]) -> Scores {
    let sum = |of: fn(&Scores) -> &Vec<f64>| -> Vec<f64> {
        (0..of(phases[0]).len()).map(|trial| phases.iter().map(|phase| of(phase)[trial]).sum()).collect()
    };
    Scores { with: sum(|scores| &scores.with), without: sum(|scores| &scores.without) }
}

#[test]
fn sweeping_over_epochs() {
    const EPOCHS: u64 = 4;
    let (pair, trials) = (Pair::new(&crowd(OTHERS), &target()), trials(500));
    let epoch = |epoch: u64| {
        if epoch > 0 {
            pair.both(|world| world.close_epoch(86_400 * i64::try_from(epoch).unwrap()));
        }
        // The very same questions in every epoch.
        pair.attack(trials, |world, trial| seen(world, EPOCHS, trial))
    };
    let epochs: Vec<Scores> = (0..EPOCHS).map(epoch).collect();
    let in_an_epoch = (0..trials as u64).map(|trial| price(EPOCHS, trial).0).sum::<u64>();
    let all = NanoRho(in_an_epoch * EPOCHS);
    assert_eq!(pair.both(World::spent), (all, all), "each epoch is charged anew");
    together(&epochs.iter().collect::<Vec<_>>()).fail_at_the_bound("a sweep over four epochs", paid(EPOCHS, trials));
}

#[test]
fn withdrawing_and_agreeing_again() {
    let (pair, trials) = (Pair::new(&crowd(OTHERS), &target()), trials(500));
    let n = trials as u64;
    let phase = |phase: u64| pair.attack(trials, |world, trial| seen(world, 3, phase * n + trial));
    let agreed = phase(0);
    pair.with.record(&target(), ConsentAct::Withdraw, 2);
    let withdrawn = phase(1);
    pair.with.record(&target(), ConsentAct::Give, 3);
    let again = phase(2);
    withdrawn.tell_nothing("after a withdrawal");
    let paid = paid(3, 3 * trials);
    together(&[&agreed, &withdrawn, &again]).fail("withdrawing and agreeing again, all answers", paid);
    // Whoever knows when looks at the first and the last third only.
    let best = together(&[&agreed, &again]);
    best.fail_at_the_bound("withdrawing and agreeing again", NanoRho(paid.0 / 3 * 2));
}

#[test]
fn one_question_in_two_epochs_has_two_noises() {
    // Noise that is drawn once and kept would give exact differences over epochs. N = 400 pairs of draws; the correlation of
    // independent ones has standard deviation 1 / sqrt(N), and 4.9 of them are passed with probability 1e-6.
    const N: u64 = 400;
    let world = World::test();
    world.ingest(&crowd(OTHERS));
    let draws = |seconds: i64| -> Vec<f64> {
        world.close_epoch(seconds);
        (0..N).map(|trial| (world.size("true", price(1, trial)) - 1_024 * others()[0]) as f64).collect()
    };
    let (a, b) = (draws(1), draws(86_400));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let correlation = product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt();
    eprintln!("noise of one question in two epochs: correlation {correlation:.3}");
    assert!(correlation.abs() < 4.9 / (N as f64).sqrt(), "{correlation}");
}
