//! The thief's tool works: with a root of the time it reads everything; without, nothing.

use super::thief::{Fact, Haul, Loot, Place, Thief};
use super::town::{LATE_NOTE, SEGMENTATION, SHARING, TOWN, Taken, Town, VALUES};
use harness::needles::files;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// What a thief made of the copies it has.
pub struct Reading<'a> {
    pub town: &'a Town,
    pub loot: Loot,
    /// Places of each planted value that can be read.
    values: BTreeMap<usize, BTreeSet<Place>>,
    /// Places of each identifier of a person.
    pub members: BTreeMap<Vec<u8>, BTreeSet<Place>>,
}

/// Lets a thief read who has the data of some copies, target and pages of the mirror included, and the roots of some, the
/// mirror's included.
pub fn read<'a>(town: &'a Town, data: &[&Taken], roots: &[&Taken]) -> Reading<'a> {
    let mut thief = Thief::default();
    for copy in data {
        thief.steal(&copy.name, &copy.data);
        copy.backup.iter().for_each(|backup| thief.steal(&copy.name, backup));
        copy.mirror.iter().for_each(|mirror| thief.steal(&copy.name, &mirror.join("keys")));
    }
    for copy in roots {
        thief.learn(&copy.root);
        copy.mirror.iter().for_each(|mirror| thief.learn_bytes(&fs::read(mirror.join("root.cell")).unwrap()));
    }
    let loot = thief.read();
    let search = |bytes: &[u8]| town.needles.find(bytes).into_iter().map(|(value, _)| value).collect();
    let (values, members) = (loot.finds(search), loot.members());
    Reading { town, loot, values, members }
}

fn is_in(copy: &Taken) -> impl Fn(&Place) -> bool {
    |(name, _)| *name == copy.name
}

impl Reading<'_> {
    /// Numbers of the planted values that can be read from a copy.
    pub fn values_in(&self, copy: &Taken) -> BTreeSet<usize> {
        let found = self.values.iter().filter(|(_, places)| places.iter().any(is_in(copy)));
        found.map(|(value, _)| *value).collect()
    }

    /// Asserts that all that is known of these people can be read from a copy, the late facts too if `late`, and nothing
    /// of others.
    #[track_caller]
    pub fn has_everything(&self, copy: &Taken, people: &[usize], late: bool) {
        for number in people {
            let facts = self.loot.facts(TOWN, self.town.ordinals[*number], is_in(copy));
            assert_eq!(self.town.missing(*number, late, &facts), [], "person {number} in {}", copy.name);
            assert!(self.members[self.town.person(*number).key().as_bytes()].iter().any(is_in(copy)));
        }
        let planted = people.iter().flat_map(|number| VALUES * number..VALUES * (number + 1));
        let planted = planted.filter(|value| late || value % VALUES != LATE_NOTE);
        assert_eq!(self.values_in(copy), planted.collect(), "in {}", copy.name);
    }

    /// Asserts that nothing of anyone can be read from a copy, not even that they are in it.
    #[track_caller]
    pub fn has_nothing(&self, copy: &Taken) {
        assert_eq!(self.values_in(copy), BTreeSet::new(), "in {}", copy.name);
        for number in 0..self.town.people() {
            let facts = self.loot.facts(TOWN, self.town.ordinals[number], is_in(copy));
            assert_eq!(facts, [], "person {number} in {}", copy.name);
        }
        let named: Vec<_> = self.members.values().flatten().filter(|place| is_in(copy)(place)).collect();
        assert!(named.is_empty(), "{named:?}");
    }
}

/// Numbers of the planted people.
static EVERYONE: std::sync::LazyLock<Vec<usize>> = std::sync::LazyLock::new(|| (0..200).collect());

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
        let reading = read(&town, &[copy], &[copy]);
        reading.has_everything(copy, &EVERYONE, late);
        if copy.name.starts_with("folded") {
            let facts = reading.loot.facts(TOWN, town.ordinals[7], |_| true);
            let decided = [SEGMENTATION, SHARING].map(|purpose| Fact::Decided(purpose.to_owned()));
            assert!(decided.iter().all(|fact| facts.contains(fact)));
        }
        let Haul { pages, pieces, .. } = reading.loot.haul();
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
        read(&town, &[copy], &[copy]).has_everything(copy, &EVERYONE, false);
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
    let reading = read(&town, &[&unfolded, &folded, &newest], &[&newest]);
    reading.has_everything(&newest, &EVERYONE, true);
    reading.has_nothing(&unfolded);
    reading.has_nothing(&folded);
    // The same tool reads them with the roots of their times.
    let reading = read(&town, &[&unfolded, &folded, &newest], &[&unfolded, &folded]);
    reading.has_everything(&unfolded, &EVERYONE, false);
    reading.has_everything(&folded, &EVERYONE, false);
    let reading = read(&town, &[&unfolded, &folded, &newest], &[]);
    for copy in [&unfolded, &folded, &newest] {
        reading.has_nothing(copy);
    }
}
