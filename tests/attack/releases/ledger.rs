//! Attacks on who pays: several clients, and copies of a dataset. One population has one ledger.

use super::advantage::trials;
use super::neighbors::{Asked, Pair, World, crowd, evidence, target};
use policy::decide::Reason;
use policy::privacy::NanoRho;
use vault::VaultError;

const RHO: u64 = 2_000_000_000;
const OTHERS: usize = 40;

fn others() -> [i64; 1] {
    [i64::try_from(OTHERS).unwrap()]
}

#[test]
fn colluding_clients() {
    let (pair, trials) = (Pair::new(&crowd(OTHERS), &target()), trials(500));
    // Each asks a question of its own, and each the other's: that one is free, and tells nothing new.
    let attack = |world: &World, trial: u64| {
        let prices = [NanoRho(RHO / 2 + 2 * trial), NanoRho(RHO / 2 + 2 * trial + 1)];
        let ask = |client: &str, rho: NanoRho| {
            let (answer, charged) = world.ask(&Asked { client, ..Asked::size("true", rho) });
            (evidence(&answer, &others(), &[1_024]), charged)
        };
        let (first, paid) = ask("attacker", prices[0]);
        let (second, paid_too) = ask("accomplice", prices[1]);
        assert!(paid && paid_too);
        assert_eq!(ask("accomplice", prices[0]), (first, false));
        assert_eq!(ask("attacker", prices[1]), (second, false));
        first + second
    };
    let scores = pair.attack(trials, attack);
    let all = NanoRho(RHO + 4 * trials as u64);
    scores.fail_at_the_bound("two clients that share what they were told", all);
    let paid: u64 = (0..trials as u64).map(|trial| RHO + 4 * trial + 1).sum();
    assert_eq!(pair.both(World::spent), (NanoRho(paid), NanoRho(paid)), "one ledger for both");
}

/// Asks at a price until nothing more is sold to any client; returns how many answers there were.
fn exhaust(world: &World, clients: &[&str], rho: NanoRho) -> u64 {
    let mut answered = 0;
    for (number, client) in clients.iter().cycle().enumerate().take(500) {
        let text = format!("children in [{}, {}] || order.count() == {}", number % 20, number / 20 % 20, number + 2);
        match world.try_ask(&Asked { client, ..Asked::size(&text, rho) }) {
            Ok((_, charged)) => answered += u64::from(charged),
            Err(VaultError::Refused(refusal)) => {
                assert!([Reason::BudgetExhausted, Reason::QuotaExhausted].contains(&refusal.reason), "{refusal:?}");
            }
            Err(other) => panic!("{other}"),
        }
    }
    answered
}

#[test]
fn no_number_of_clients_gets_more_than_the_cap() {
    const PRICE: NanoRho = NanoRho(1_000_000);
    let clients = ["a", "b", "c", "d"];
    let world = World::private();
    world.ingest(&crowd(OTHERS));
    world.close_epoch(1);
    assert_eq!(exhaust(&world, &clients, PRICE), 200);
    assert_eq!(world.spent(), NanoRho(200_000_000));
    // A new epoch is new questions, and no new money.
    world.close_epoch(86_400);
    assert_eq!(exhaust(&world, &clients, PRICE), 0);
    let most = super::advantage::bound(world.spent());
    eprintln!("four clients until refused: 200 answers for 0.2 rho, the cap; advantage at most {most:.3}");
}

#[test]
fn cloning_a_dataset() {
    let people = crowd(OTHERS);
    let (pair, trials) = (Pair::new(&people, &target()), trials(500));
    let clone = |world: &World, people: &[super::neighbors::Person]| {
        let clone = world.beside("copy", "test", "1000000");
        clone.ingest(people);
        clone.close_epoch(1);
        clone
    };
    let clones = Pair {
        with: clone(&pair.with, &[people.clone(), vec![target()]].concat()),
        without: clone(&pair.without, &people),
    };
    let attack = |pair: &Pair| {
        pair.attack(trials, |world, trial| {
            let (answer, charged) = world.ask(&Asked::size("true", NanoRho(RHO / 2 + trial)));
            assert!(charged, "a copy's answers are charged like any");
            evidence(&answer, &others(), &[1_024])
        })
    };
    let (mut seen, copied) = (attack(&pair), attack(&clones));
    seen.with.iter_mut().zip(&copied.with).for_each(|(sum, more)| *sum += more);
    seen.without.iter_mut().zip(&copied.without).for_each(|(sum, more)| *sum += more);
    seen.fail_at_the_bound("a copy of the dataset", NanoRho(RHO + 2 * trials as u64));
    let all: u64 = (0..trials as u64).map(|trial| RHO + 2 * trial).sum();
    assert_eq!(pair.both(World::spent), (NanoRho(all), NanoRho(all)), "one ledger for both datasets");
}

#[test]
fn a_copy_under_a_laxer_cap_buys_nothing() {
    const PRICE: NanoRho = NanoRho(1_000_000);
    let world = World::private();
    let copy = world.beside("copy", "test", "1000000");
    for dataset in [&world, &copy] {
        dataset.ingest(&crowd(OTHERS));
        dataset.close_epoch(1);
    }
    let clients = ["a", "b", "c"];
    assert_eq!(exhaust(&copy, &clients, PRICE), 200, "the strictest cap of the population holds");
    assert_eq!(exhaust(&world, &clients, PRICE), 0);
    // One that is made later is under it from the start.
    let late = world.beside("late", "test", "1000000");
    late.ingest(&crowd(OTHERS));
    late.close_epoch(1);
    assert_eq!(exhaust(&late, &clients, PRICE), 0);
}
