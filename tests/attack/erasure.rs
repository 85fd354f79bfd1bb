//! Who is erased is gone from every copy: with all data copies of any time, and every secret that exists once the erasure
//! has returned, the thief reads nothing of them and can't tell that they were ever there.

use super::finds::{Reading, read};
use super::thief::Fact;
use super::town::{TOWN, Taken, Town, VALUES};
use std::collections::BTreeSet;

/// People of the first block and of the second, and one who is not folded yet.
const ERASED: [usize; 5] = [0, 57, 100, 199, 204];

/// 205 planted people over two blocks, five of them and the late half of what is known of all not folded; and copies of
/// all stages on the way there.
fn town() -> (Town, Vec<Taken>) {
    let mut town = Town::new(205);
    town.register(0, 100);
    town.register(8_200, 100);
    let unfolded = town.copy("unfolded");
    town.close_epoch(20);
    let folded = town.copy("folded");
    assert_eq!(town.audience().len(), 200);
    town.crash();
    town.open();
    let reopened = town.copy("reopened");
    town.register(0, 5);
    town.write_late(0..205);
    let before = town.copy("just before");
    (town, vec![unfolded, folded, reopened, before])
}

/// Asserts that of the erased nothing can be read, from any of the copies.
#[track_caller]
fn has_nothing_of_the_erased(reading: &Reading<'_>, copies: &[&Taken]) {
    let town = reading.town;
    for copy in copies {
        let owners: BTreeSet<usize> = reading.values_in(copy).iter().map(|value| value / VALUES).collect();
        let seen: Vec<_> = ERASED.iter().filter(|person| owners.contains(person)).collect();
        assert!(seen.is_empty(), "values of {seen:?} in {}", copy.name);
    }
    for person in ERASED {
        let places = reading.members.get(town.person(person).key().as_bytes());
        assert_eq!(places, None, "person {person} is known to be there");
        assert_eq!(reading.loot.facts(TOWN, town.ordinals[person], |_| true), [], "person {person}");
    }
}

/// The hidden bytes of the erased, as the thief reads them with the old roots.
fn hidden(reading: &Reading<'_>) -> Vec<[u8; 32]> {
    let of = |person: &usize| {
        let facts = reading.loot.facts(TOWN, reading.town.ordinals[*person], |_| true);
        facts.into_iter().find_map(|fact| if let Fact::Hidden(hidden) = fact { Some(hidden) } else { None })
    };
    ERASED.iter().map(|person| of(person).unwrap()).collect()
}

/// Everyone who was not erased.
fn others(town: &Town) -> Vec<usize> {
    (0..town.people()).filter(|person| !ERASED.contains(person)).collect()
}

#[test]
fn no_older_copy_gives_the_erased_away() {
    let (mut town, before) = town();
    let receipt = town.erase(&ERASED).unwrap();
    assert_eq!(receipt.people, 5);
    let just_after = town.copy("just after");
    town.close_epoch(80);
    let folded = town.copy("folded after");
    town.crash();
    town.open();
    let last = town.copy("reopened after");
    let after = [&just_after, &folded, &last];
    let all: Vec<&Taken> = before.iter().chain(after).collect();

    // Every secret that exists from the moment at which the erasure has returned.
    let reading = read(&town, &all, &after);
    has_nothing_of_the_erased(&reading, &all);
    after.iter().for_each(|copy| reading.has_everything(copy, &others(&town), true));
    // The same tool, with the roots that were destroyed, reads the older copies.
    let old = read(&town, &all, &before.iter().collect::<Vec<_>>());
    let everyone: Vec<usize> = (0..205).collect();
    for (copy, late) in before.iter().zip([false, false, false, true]) {
        old.has_everything(copy, if late { &everyone } else { &everyone[..200] }, late);
    }
    let hidden = hidden(&old);
    for (places, bytes) in reading.loot.plaintexts() {
        let found = bytes.windows(32).any(|window| hidden.iter().any(|hidden| hidden == window));
        assert!(!found, "hidden bytes in {places:?}");
    }
}
