//! Many answers about random subsets, and a decoder that solves for everybody's secret at once (Dinur and Nissim 2003; least
//! squares as Dwork, McSherry and Talwar 2007).
//!
//! With everybody else's secret known, each person's is guessed right with probability at most 1/2 + advantage/2; without, no
//! better. Guesses of one town share its noise, so chance is counted by towns' worth of people only roughly: they are nearly
//! uncorrelated, since each answer is about half of them.

use super::advantage::{bound, trials};
use super::neighbors::{Asked, KNOWN, Person, World, noised};
use harness::naive::random::Dice;
use policy::decide::Reason;
use policy::privacy::NanoRho;
use std::fmt::Write as _;

const QUESTIONS: usize = 500;
/// Of the cap of 0.2 each question costs a 500th; two clients share them, since one may spend half.
const PRICE: NanoRho = NanoRho(400_000);
const CAP: NanoRho = NanoRho(200_000_000);

/// A town of people with a secret each, half of them by chance.
fn people(dice: &mut Dice) -> Vec<Person> {
    let person = |number: usize| Person {
        who: u16::try_from(number + 1).unwrap(),
        secret: u16::try_from(1 + dice.below(2)).unwrap(),
        ..Person::new(&format!("p{number}"))
    };
    (0..KNOWN).map(person).collect()
}

/// For each question, who is in its subset.
fn subsets(dice: &mut Dice) -> Vec<Vec<bool>> {
    (0..QUESTIONS).map(|_| (0..KNOWN).map(|_| dice.below(2) == 1).collect()).collect()
}

fn question(subset: &[bool]) -> String {
    let mut text = String::from("secret && who in [");
    for (number, _) in subset.iter().enumerate().filter(|(_, inside)| **inside) {
        let comma = if text.ends_with('[') { "" } else { ", " };
        write!(text, "{comma}\"p{number}\"").unwrap();
    }
    text + "]"
}

/// Guesses everybody's secret from the answers, in people, of noise `sigma`: the least squares of all answers and of what was
/// likely before, a half for each.
fn decode(subsets: &[Vec<bool>], answers: &[f64], sigma: f64) -> Vec<bool> {
    const BEFORE: f64 = 4.0;
    let mut rows = vec![vec![0.0; KNOWN + 1]; KNOWN];
    for (subset, answer) in subsets.iter().zip(answers) {
        let expected = subset.iter().filter(|inside| **inside).count() as f64 / 2.0;
        let members: Vec<usize> = (0..KNOWN).filter(|number| subset[*number]).collect();
        for a in &members {
            members.iter().for_each(|b| rows[*a][*b] += 1.0 / sigma.powi(2));
            rows[*a][KNOWN] += (answer - expected) / sigma.powi(2);
        }
    }
    (0..KNOWN).for_each(|number| rows[number][number] += BEFORE);
    solve(rows).into_iter().map(|above_half| above_half > 0.0).collect()
}

/// Solves a symmetric positive system by elimination; the last column is the right side.
fn solve(mut rows: Vec<Vec<f64>>) -> Vec<f64> {
    let n = rows.len();
    for pivot in 0..n {
        let (done, rest) = rows.split_at_mut(pivot + 1);
        let head = &done[pivot];
        for row in rest {
            let factor = row[pivot] / head[pivot];
            row.iter_mut().zip(head).skip(pivot).for_each(|(cell, head)| *cell -= factor * head);
        }
    }
    let mut solution = vec![0.0; n];
    for place in (0..n).rev() {
        let known: f64 = (place + 1..n).map(|at| rows[place][at] * solution[at]).sum();
        solution[place] = (rows[place][n] - known) / rows[place][place];
    }
    solution
}

/// Asks every question at a price, and returns how many secrets were guessed right.
fn reconstructed(world: &World, seed: u64, rho: NanoRho) -> usize {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let (people, subsets) = (people(&mut dice), subsets(&mut dice));
    world.ingest(&people);
    world.close_epoch(1);
    let ask = |client: &str, subset: &Vec<bool>| {
        let (answer, charged) = world.ask(&Asked { client, ..Asked::size(&question(subset), rho) });
        assert!(charged);
        (noised(&answer)[0] as f64 / 1_024.0, answer.sigma_1024 as f64 / 1_024.0)
    };
    let (ours, theirs) = subsets.split_at(QUESTIONS / 2);
    let answers = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| theirs.iter().map(|subset| ask("accomplice", subset)).collect::<Vec<_>>());
        [ours.iter().map(|subset| ask("attacker", subset)).collect(), theirs.join().unwrap()].concat()
    });
    let (answers, sigmas): (Vec<f64>, Vec<f64>) = answers.into_iter().unzip();
    let guesses = decode(&subsets, &answers, sigmas[0]);
    people.iter().zip(guesses).filter(|(person, guess)| (person.secret == 2) == *guess).count()
}

#[test]
fn reconstruction_from_500_random_subsets() {
    // Alpha 1e-6: 4.754 standard deviations of a share of N = 100 people a town.
    let towns = trials(4);
    let seeds: Vec<u64> = (1..=towns as u64).collect();
    let private = |seed: &u64| {
        let world = World::private();
        let right = reconstructed(&world, *seed, PRICE);
        assert_eq!(world.spent(), CAP, "nothing is left");
        for client in ["attacker", "accomplice", "somebody-else"] {
            let reason = world.refused(&Asked { client, ..Asked::size("true", NanoRho(1)) });
            assert!([Reason::BudgetExhausted, Reason::QuotaExhausted].contains(&reason), "{reason:?}");
        }
        right
    };
    let (half, other_half) = seeds.split_at(towns / 2);
    let right: usize = std::thread::scope(|scope| {
        let these = scope.spawn(|| half.iter().map(private).sum::<usize>());
        other_half.iter().map(private).sum::<usize>() + these.join().unwrap()
    });
    let n = (towns * KNOWN) as f64;
    let (success, most) = (right as f64 / n, 0.5 + bound(CAP) / 2.0);
    let error = 4.754 * (most * (1.0 - most) / n).sqrt();
    let advantage = 2.0 * success - 1.0;
    eprintln!(
        "reconstruction from 500 subsets: {success:.3} of {n} secrets, at most {most:.3} (+-{error:.3}); advantage {advantage:.3}, \
         at most {:.3}",
        bound(CAP)
    );
    assert!(success <= most + error, "{success} of the secrets were told");

    // The same decoder with next to no noise tells nearly everything: it is the noise that stops it.
    let told = reconstructed(&World::test(), 7, NanoRho(500_000_000));
    eprintln!("the same without a cap that protects: {told} of {KNOWN} secrets");
    assert!(told * 100 >= KNOWN * 95, "{told} of {KNOWN}");
}
