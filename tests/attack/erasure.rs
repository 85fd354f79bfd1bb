//! Who is erased is gone from every copy: with all data copies of any time, and every secret that exists once the erasure
//! has returned, the thief reads nothing of them and can't tell that they were ever there.

use super::finds::{Reading, read};
use super::thief::{Cell, Fact};
use super::town::{LATE_NOTE, TOWN, Taken, Town, VALUES, later, take};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use vault::Config;
use vault::disk::{Disk, Fault, Observer, Step};

/// People of the first block and of the second, and one who is not folded yet.
const ERASED: [usize; 5] = [0, 57, 100, 199, 204];

/// 205 planted people over two blocks, five of them and the late half of what is known of all not folded; and copies of
/// all stages on the way there.
fn town() -> (Town, Vec<Taken>) {
    let mut town = Town::guarded(Disk::default(), 205);
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
fn has_nothing_of(erased: &[usize], reading: &Reading<'_>, copies: &[&Taken]) {
    let town = reading.town;
    for copy in copies {
        let owners: BTreeSet<usize> = reading.values_in(copy).iter().map(|value| value / VALUES).collect();
        let seen: Vec<_> = erased.iter().filter(|person| owners.contains(person)).collect();
        assert!(seen.is_empty(), "values of {seen:?} in {}", copy.name);
    }
    for person in erased {
        let places = reading.members.get(town.person(*person).key().as_bytes());
        assert_eq!(places, None, "person {person} is known to be there");
        assert_eq!(reading.loot.facts(TOWN, town.ordinals[*person], |_| true), [], "person {person}");
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

/// Asserts that hidden bytes are nowhere in what can be read.
#[track_caller]
fn has_not(reading: &Reading<'_>, hidden: &[[u8; 32]]) {
    for (places, bytes) in reading.loot.plaintexts() {
        let found = bytes.windows(32).any(|window| hidden.iter().any(|hidden| hidden == window));
        assert!(!found, "hidden bytes in {places:?}");
    }
}

/// Everyone who was not erased.
fn others(town: &Town, erased: &[usize]) -> Vec<usize> {
    (0..town.people()).filter(|person| !erased.contains(person)).collect()
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
    has_nothing_of(&ERASED, &reading, &all);
    after.iter().for_each(|copy| reading.has_everything(copy, &others(&town, &ERASED), true));
    // The same tool, with the roots that were destroyed, reads the older copies.
    let old = read(&town, &all, &before.iter().collect::<Vec<_>>());
    let everyone: Vec<usize> = (0..205).collect();
    for (copy, late) in before.iter().zip([false, false, false, true]) {
        old.has_everything(copy, if late { &everyone } else { &everyone[..200] }, late);
    }
    has_not(&reading, &hidden(&old));
}

#[test]
fn no_older_copy_of_a_version_that_is_being_built_gives_the_erased_away() {
    let mut town = Town::new(205);
    town.register(0, 100);
    town.fold(10);
    let built = town.copy("built before any close");
    town.register(8_200, 100);
    town.close_epoch(20);
    let closed = town.copy("closed");
    town.register(0, 5);
    town.write_late(0..150);
    town.fold(30);
    let further = town.copy("built on it");
    town.crash();
    town.open();
    town.write_late(150..205);
    town.fold(40);
    town.register_anew(0..205);
    let last = town.copy("just before");
    let before = [built, closed, further, last];
    town.erase(&ERASED).unwrap();
    let just_after = town.copy("just after");
    town.fold(80);
    let folded = town.copy("folded after");
    town.crash();
    town.open();
    town.close_epoch(90);
    let closed = town.copy("closed after");
    let after = [&just_after, &folded, &closed];
    let all: Vec<&Taken> = before.iter().chain(after).collect();
    let reading = read(&town, &all, &after);
    has_nothing_of(&ERASED, &reading, &all);
    after.iter().for_each(|copy| reading.has_everything(copy, &others(&town, &ERASED), true));
    let old = read(&town, &all, &before.iter().collect::<Vec<_>>());
    for (copy, people, late) in [(&before[0], 100, false), (&before[1], 200, false), (&before[3], 205, true)] {
        old.has_everything(copy, &(0..people).collect::<Vec<_>>(), late);
    }
    has_not(&reading, &hidden(&old));
}

/// Takes a copy after every step of a disk, while it is told to.
#[derive(Default)]
struct Camera {
    /// What to copy, and where to.
    pointed: Mutex<Option<(Config, PathBuf)>>,
    taken: Mutex<Vec<Taken>>,
}

impl Observer for Camera {
    fn before(&self, _: &Step<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn after(&self, _: &Step<'_>) {
        if let Some((config, folder)) = &*self.pointed.lock().unwrap() {
            let mut taken = self.taken.lock().unwrap();
            let name = format!("step {}", taken.len());
            taken.push(take(config, folder, &name));
        }
    }
}

/// 40 planted people of one block, ten of them and the late half of what is known of all not folded, or half of that folded
/// beside the closed epoch, of whom some are erased; and copies from just before, and from after every step of it.
fn erased_step_by_step(erased: &[usize], built: bool, guarded: bool) -> (Town, Taken, Vec<Taken>) {
    let camera = Arc::new(Camera::default());
    let disk = Disk::observed(Arc::<Camera>::clone(&camera));
    let mut town = if guarded { Town::guarded(disk, 40) } else { Town::on(disk, 40) };
    town.register(0, 30);
    town.close_epoch(20);
    town.register(0, 10);
    town.write_late(0..20);
    if built {
        town.fold(30);
    }
    town.write_late(20..40);
    let before = town.copy("just before");
    *camera.pointed.lock().unwrap() = Some((town.config.clone(), town.folder()));
    town.erase(erased).unwrap();
    *camera.pointed.lock().unwrap() = None;
    let steps = std::mem::take(&mut *camera.taken.lock().unwrap());
    (town, before, steps)
}

#[test]
fn no_copy_taken_during_the_erasure_gives_the_erased_away() {
    for built in [false, true] {
        let erased = [3, 29, 35];
        let (town, before, steps) = erased_step_by_step(&erased, built, true);
        assert!(steps.len() > 60, "{}", steps.len());
        let after = town.copy("after");
        let all: Vec<&Taken> = [&before].into_iter().chain(&steps).chain([&after]).collect();
        let reading = read(&town, &all, &[&after]);
        has_nothing_of(&erased, &reading, &all);
        reading.has_everything(&after, &others(&town, &erased), true);
        let old = read(&town, &all, &[&before]);
        old.has_everything(&before, &(0..40).collect::<Vec<_>>(), true);
    }
}

#[test]
fn the_target_alone_is_worth_what_the_data_is() {
    let (town, _) = town();
    town.vault().tick(later(60)).unwrap();
    let alone = |name: &str| {
        let copy = town.copy(name);
        Taken { data: copy.backup.clone().unwrap(), backup: None, ..copy }
    };
    let before = alone("target before");
    let everyone: Vec<usize> = (0..205).collect();
    read(&town, &[&before], &[&before]).has_everything(&before, &everyone, true);
    let no_root = Taken { mirror: None, ..alone("target without a root") };
    read(&town, &[&no_root], &[]).has_nothing(&no_root);
    town.erase(&ERASED).unwrap();
    town.vault().tick(later(71)).unwrap();
    let after = alone("target after");
    let reading = read(&town, &[&before, &after], &[&after]);
    has_nothing_of(&ERASED, &reading, &[&before, &after]);
    reading.has_everything(&after, &others(&town, &ERASED), true);
}

#[test]
fn a_crash_at_any_step_erases_nobody_or_for_good() {
    for built in [false, true] {
        crash_at_every_step(&[3, 29, 35], built);
    }
}

fn crash_at_every_step(erased: &[usize], built: bool) {
    let (mut town, before, steps) = erased_step_by_step(erased, built, false);
    let mut sizes = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        town.go_on_from(step);
        town.close_epoch(80);
        sizes.push(town.size("order.any()"));
        if number % 8 != 0 && number + 1 != steps.len() {
            continue;
        }
        let after = town.copy(&format!("after {}", step.name));
        let all: Vec<&Taken> = [&before].into_iter().chain(&steps[..=number]).chain([&after]).collect();
        let reading = read(&town, &all, &[&after]);
        if sizes[number] == 40 {
            reading.has_everything(&after, &(0..40).collect::<Vec<_>>(), true);
        } else {
            has_nothing_of(erased, &reading, &all);
            reading.has_everything(&after, &others(&town, erased), true);
        }
    }
    // Once the intent is durable it is carried out.
    let first = sizes.iter().position(|size| *size != 40).unwrap();
    assert!(sizes[first..].iter().all(|size| *size == 37), "{sizes:?}");
}

#[test]
fn who_was_erased_and_comes_back_is_someone_new() {
    let (mut town, _) = town();
    town.close_epoch(30);
    let before = town.audience();
    assert_eq!((town.size("order.any()"), before.len()), (205, 205));
    let copy = town.copy("before");
    let hidden = hidden(&read(&town, &[&copy], &[&copy]));
    town.erase(&ERASED).unwrap();
    assert_eq!(town.size("order.any()"), 200);
    let after = town.audience();
    assert!(after.len() == 200 && after.is_subset(&before), "the same people under the same pseudonyms");
    town.come_back(&ERASED);
    let mut seen = before;
    for seconds in [90, 91] {
        town.close_epoch(seconds);
        let new = town.audience();
        assert_eq!((town.size("order.any()"), new.len()), (205, 205));
        assert!(new.is_disjoint(&seen));
        seen.extend(new);
        town.crash();
        town.open();
    }
    let last = town.copy("last");
    let reading = read(&town, &[&copy, &last], &[&last]);
    has_not(&reading, &hidden);
    let facts = |number: &usize| reading.loot.facts(TOWN, town.ordinals[*number], |_| true);
    assert!(ERASED.iter().all(|number| town.missing(*number, false, &facts(number)).is_empty()));
}

/// Says whether a fact is of what is held of a person: the note of an order, and whose it is.
fn is_held(fact: &Fact) -> bool {
    match fact {
        Fact::Key(_) | Fact::Hidden(_) | Fact::Attribute(0, _) => true,
        Fact::Event { values, .. } => matches!(values.as_slice(), [Cell::Missing, Cell::Missing, Cell::Bytes(_)]),
        _ => false,
    }
}

#[test]
fn of_whom_something_is_held_no_copy_gives_anything_else_away_and_in_the_end_nothing() {
    let (mut town, before) = town();
    // One who is folded and one who is not.
    let held = [ERASED[0], ERASED[4]];
    let holds = town.hold(&held, "order.note");
    let receipt = town.erase(&ERASED).unwrap();
    assert_eq!(receipt.held.len(), 2);
    assert!(receipt.held.iter().all(|held| held.fields == ["order.note"]));
    let just_after = town.copy("just after");
    town.close_epoch(80);
    let folded = town.copy("folded after");
    town.crash();
    town.open();
    let last = town.copy("reopened after");
    let after = [&just_after, &folded, &last];
    let all: Vec<&Taken> = before.iter().chain(after).collect();
    let reading = read(&town, &all, &after);
    has_nothing_of(&ERASED[1..4], &reading, &all);
    for person in held {
        let facts = reading.loot.facts(TOWN, town.ordinals[person], |_| true);
        let more: Vec<_> = facts.iter().filter(|fact| !is_held(fact)).collect();
        assert!(more.is_empty(), "of person {person} more than is held: {more:?}");
        // The key and two notes.
        let wanted: BTreeSet<usize> = [0, 2, LATE_NOTE].into_iter().map(|value| VALUES * person + value).collect();
        let read = |copy: &&Taken| -> BTreeSet<usize> {
            reading.values_in(copy).into_iter().filter(|value| value / VALUES == person).collect()
        };
        assert!(after.iter().all(|copy| read(copy) == wanted), "what is held is there");
        assert!(before.iter().all(|copy| read(&copy).is_subset(&wanted)));
    }
    holds.into_iter().for_each(|hold| town.release(hold));
    let released = town.copy("released");
    let all: Vec<&Taken> = all.into_iter().chain([&released]).collect();
    let reading = read(&town, &all, &[&released]);
    has_nothing_of(&ERASED, &reading, &all);
    reading.has_everything(&released, &others(&town, &ERASED), true);
}
