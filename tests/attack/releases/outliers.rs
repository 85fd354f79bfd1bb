//! Membership of someone who stands out: by being in every cell, by buying without end, by tipping a scale.

use super::advantage::trials;
use super::neighbors::{Asked, Pair, Person, World, crowd, evidence, noised, target};
use policy::privacy::NanoRho;
use policy::schema::EventTypeId;
use policy::segment::Window;
use vault::release::{Kind, Measure};

const RHO: u64 = 2_000_000_000;
const OTHERS: usize = 40;

fn price(trial: u64) -> NanoRho {
    NanoRho(RHO + trial)
}

fn paid(trials: usize) -> NanoRho {
    price(trials as u64)
}

#[test]
fn membership_of_a_planted_outlier() {
    // All that one person can be at once: every category, some of them more than once and one unnamed, and the bound is 2.
    let outlier = Person { orders: [vec![0], [1, 2, 3, 4].repeat(12)].concat(), ..target() };
    let (pair, trials) = (Pair::new(&crowd(OTHERS), &outlier), trials(600));
    let fields = ["age", "region", "secret", "order.category"];
    let count = |test: &dyn Fn(&Person) -> u16, cells: u16| -> Vec<i64> {
        let people = crowd(OTHERS);
        (0..cells).map(|cell| people.iter().filter(|person| test(person) == cell).count() as i64).collect()
    };
    let ages = count(&|person| person.age, 4);
    let regions = count(&|person| person.region, 3);
    let secrets = count(&|person| person.secret, 3);
    let orders = count(&|person| person.orders[0], 5);
    let others = [ages, regions, secrets, orders].concat();
    // Five categories share a norm of sqrt(2), rounded toward 0.
    let shared = (1_024.0 * (2.0_f64 / 5.0).sqrt()).floor() as i64;
    let person = [vec![0, 0, 0, 1_024], vec![0, 1_024, 0], vec![1_024, 0, 0], vec![shared; 5]].concat();
    let attack = |world: &World, trial: u64| {
        let asked = Asked { kind: world.portrait(&fields), ..Asked::size("true", price(trial)) };
        evidence(&world.ask(&asked).0, &others, &person)
    };
    pair.attack(trials, attack).fail_at_the_bound("membership of a planted outlier", paid(trials));
}

#[test]
fn membership_of_someone_who_never_stops_buying() {
    const BOUND: u64 = 10;
    let buyer = Person { orders: vec![1; 50], ..target() };
    let (pair, trials) = (Pair::new(&crowd(OTHERS), &buyer), trials(600));
    // One order of each of the others; of the buyer's 50 as many as the bound.
    let (others, person) = ([i64::try_from(OTHERS).unwrap()], [1_024 * i64::try_from(BOUND).unwrap()]);
    let attack = |world: &World, trial: u64| {
        let measures = vec![Measure::Events { event: EventTypeId(0), bound: BOUND }];
        let kind = Kind::Table { measures, by: Vec::new(), window: Window::Ever, weighed: false };
        evidence(&world.ask(&Asked { kind, ..Asked::size("true", price(trial)) }).0, &others, &person)
    };
    pair.attack(trials, attack).fail_at_the_bound("membership of someone with 50 orders", paid(trials));
}

#[test]
fn membership_of_whoever_tips_the_most_frequent_value() {
    let person = |number: usize| Person {
        age: u16::try_from(1 + number % 2).unwrap(),
        ..Person::new(&format!("person-{number}"))
    };
    let others: Vec<Person> = (0..OTHERS).map(person).collect();
    let tipping = Person { age: 1, ..target() };
    let (pair, trials) = (Pair::new(&others, &tipping), trials(600));
    // Half of the price selects, by weights of e to the people over this: without the target as often one as the other.
    let scale = (1.0 / (8.0 * RHO as f64 / 2.0 / 1e9)).sqrt();
    let young = 1.0 / (1.0 + (-1.0 / scale).exp());
    let half = [i64::try_from(OTHERS / 2).unwrap()];
    let attack = |world: &World, trial: u64| {
        let kind = Kind::Top { field: world.fields(&["age"])[0], k: 1, window: Window::Ever };
        let (answer, _) = world.ask(&Asked { kind, ..Asked::size("true", price(trial)) });
        assert_eq!(noised(&answer).len(), 1);
        match answer.tables[0].cells[0].codes[0] {
            1 => (young / 0.5).ln() + evidence(&answer, &half, &[1_024]),
            _ => ((1.0 - young) / 0.5).ln(),
        }
    };
    pair.attack(trials, attack).fail("membership of whoever tips the most frequent value", paid(trials));
}
