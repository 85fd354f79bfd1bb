//! The thief's tool works: with a root of the time it reads everything; without, nothing.

use super::thief::{Haul, Loot, Thief};
use super::town::{LATE_NOTE, TOWN, Taken, Town, VALUES};
use harness::needles::files;
use std::collections::BTreeSet;
use std::fs;

/// What a thief reads who has the data of some copies, and the roots of some.
pub fn read(data: &[&Taken], roots: &[&Taken]) -> Loot {
    let mut thief = Thief::default();
    data.iter().for_each(|copy| thief.steal(&copy.name, &copy.data));
    roots.iter().for_each(|copy| thief.learn(&copy.root));
    thief.read()
}

/// Numbers of the planted values that can be read from a copy.
pub fn values_in(town: &Town, loot: &Loot, copy: &Taken) -> BTreeSet<usize> {
    let search = |bytes: &[u8]| town.needles.find(bytes).into_iter().map(|(value, _)| value).collect();
    let found = loot.finds(search).into_iter();
    found.filter(|(_, places)| places.iter().any(|(name, _)| *name == copy.name)).map(|(value, _)| value).collect()
}

/// Asserts that all that is known of everyone can be read from a copy: late facts are there if `late`.
#[track_caller]
pub fn reads_everything(town: &Town, loot: &Loot, copy: &Taken, late: bool) {
    let members = loot.members();
    for number in 0..town.people() {
        let facts = loot.facts(TOWN, town.ordinals[number], |(name, _)| *name == copy.name);
        assert_eq!(town.missing(number, late, &facts), [], "person {number} in {}", copy.name);
        let places = &members[town.person(number).key().as_bytes()];
        assert!(places.iter().any(|(name, _)| *name == copy.name));
    }
    let planted = (0..town.values.len()).filter(|value| late || value % VALUES != LATE_NOTE);
    assert_eq!(values_in(town, loot, copy), planted.collect());
}

/// Asserts that nothing of anyone can be read from a copy, not even that they are in it.
#[track_caller]
pub fn reads_nothing(town: &Town, loot: &Loot, copy: &Taken) {
    assert_eq!(values_in(town, loot, copy), BTreeSet::new(), "in {}", copy.name);
    for number in 0..town.people() {
        let facts = loot.facts(TOWN, town.ordinals[number], |(name, _)| *name == copy.name);
        assert_eq!(facts, [], "person {number} in {}", copy.name);
    }
    let members = loot.members();
    let named: Vec<_> = members.values().flatten().filter(|(name, _)| *name == copy.name).collect();
    assert!(named.is_empty(), "{named:?}");
}

/// Puts all files of a copy into one, with other bytes between, as a raw disk would have them.
fn as_a_disk(copy: &Taken) {
    let mut disk = Vec::new();
    for (number, file) in files(&copy.data).iter().enumerate() {
        disk.extend(vec![number.to_le_bytes()[0]; 4_000 + 7 * number]);
        disk.extend(fs::read(file).unwrap());
    }
    fs::remove_dir_all(&copy.data).unwrap();
    fs::create_dir(&copy.data).unwrap();
    fs::write(copy.data.join("sda1"), disk).unwrap();
}

#[test]
fn with_the_root_of_the_time_everything_is_read() {
    let mut town = Town::new(200);
    town.register(0, 200);
    let unfolded = town.copy("unfolded, while it is served");
    town.close_epoch(20);
    assert_eq!((town.size("order.any()"), town.audience().len()), (200, 200));
    let folded = town.copy("folded");
    town.write_late(0..200);
    let later = town.copy("folded, and later writes");
    town.close_epoch(21);
    let again = town.copy("folded again");
    for (copy, late) in [(&unfolded, false), (&folded, false), (&later, true), (&again, true)] {
        let loot = read(&[copy], &[copy]);
        reads_everything(&town, &loot, copy, late);
        let Haul { pages, pieces, .. } = loot.haul();
        assert_eq!((pages.0, pieces.0), (pages.1, pieces.1), "{}: all that is named opens", copy.name);
    }
}

#[test]
fn the_log_the_database_or_a_raw_disk_is_enough() {
    let mut town = Town::new(200);
    town.register(0, 200);
    town.stop();
    let [without_log, without_database, disk] = ["no log", "no database", "disk"].map(|name| town.copy(name));
    fs::remove_dir_all(without_log.data.join("wal")).unwrap();
    fs::remove_dir_all(without_database.data.join("store")).unwrap();
    as_a_disk(&disk);
    for copy in [&without_log, &without_database, &disk] {
        reads_everything(&town, &read(&[copy], &[copy]), copy, false);
    }
}

#[test]
fn a_root_of_another_time_reads_nothing_of_what_was_folded_anew() {
    let mut town = Town::new(200);
    town.register(0, 200);
    let unfolded = town.copy("unfolded");
    town.close_epoch(20);
    let folded = town.copy("folded");
    town.write_late(0..200);
    town.register_anew(0..200);
    // The journal key of an opening goes with the first fold of the next.
    town.crash();
    town.open();
    town.close_epoch(21);
    let newest = town.copy("newest");
    let loot = read(&[&unfolded, &folded, &newest], &[&newest]);
    reads_everything(&town, &loot, &newest, true);
    reads_nothing(&town, &loot, &unfolded);
    reads_nothing(&town, &loot, &folded);
    // The same tool reads them with the roots of their times.
    let loot = read(&[&unfolded, &folded, &newest], &[&unfolded, &folded]);
    reads_everything(&town, &loot, &unfolded, false);
    reads_everything(&town, &loot, &folded, false);
    let loot = read(&[&unfolded, &folded, &newest], &[]);
    for copy in [&unfolded, &folded, &newest] {
        reads_nothing(&town, &loot, copy);
    }
}
