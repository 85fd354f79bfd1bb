//! Folding beside a closed epoch: answers stay as they are, what is folded is nowhere else any more, and what a person
//! has now is read from the version that is being built.

use super::packages::Package;
use super::*;
use crate::disk::{Fault, Observer, Step};
use crate::keys::PieceState;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const PURPOSE: &[&str] = &["marketing.segmentation"];

impl Shop {
    fn fold(&self, seconds: i64) -> usize {
        let permit = self.permit(Role::System, Verb::Maintain, None);
        self.vault().fold(&permit, later(seconds)).unwrap()
    }

    fn withdraw_all(&self, numbers: impl IntoIterator<Item = usize>, seconds: i64) {
        let permit = self.permit(Role::Producer, Verb::RecordConsent, None);
        let event = |number| (key(number), consent(PURPOSE[0], ConsentAct::Withdraw, seconds));
        let events = numbers.into_iter().map(event).collect();
        self.vault().record_consents(&permit, events, later(seconds)).unwrap();
    }

    fn forget(&self, numbers: impl IntoIterator<Item = usize>) {
        let permit = self.permit(Role::Portal, Verb::EraseSubject, None);
        let subjects: Vec<_> = numbers.into_iter().map(key).collect();
        self.vault().erase(&permit, &subjects, later(40)).unwrap();
    }

    fn package(&self, number: usize) -> Package {
        let permit = self.permit_about(Verb::AccessSubject, number);
        self.vault().access_subject(&permit, &key(number), later(60)).unwrap()
    }

    /// Counts the pieces of the closed epoch and those of the version that is being built.
    fn pieces(&self) -> [usize; 2] {
        let state = self.vault().state.lock();
        let of = |wanted| state.tree.entries().dataset(1).filter(|entry| entry.state == wanted).count();
        [of(PieceState::Closed), of(PieceState::Building)]
    }

    /// Lists the piece files, and those that the key tree names.
    fn files(&self) -> [Vec<PathBuf>; 2] {
        let list = std::fs::read_dir(self.config.data.join("blocks/00000001")).unwrap();
        let mut there: Vec<_> = list.map(|file| file.unwrap().path()).collect();
        let state = self.vault().state.lock();
        let entries = state.tree.entries();
        let mut named: Vec<_> = entries.dataset(1).map(|entry| self.config.data.join(entry.path())).collect();
        there.sort();
        named.sort();
        [there, named]
    }
}

#[test]
fn a_fold_changes_no_answer_and_the_close_has_it_all() {
    let mut shop = Shop::new();
    shop.fill(0, 60, PURPOSE);
    assert_eq!(shop.fold(5), 1);
    assert!(matches!(shop.ask("true", Kind::Size), Err(VaultError::Refused(_))), "no epoch has closed");
    shop.reopen();
    shop.fill(60, 10, PURPOSE);
    shop.close(20);
    assert_eq!((shop.size("true"), shop.pieces()[1]), (70, 0));
    shop.fill(70, 30, PURPOSE);
    shop.ingest((0..60).map(|number| order(number, 2, 2, -60)).collect());
    for round in 0_u32..4 {
        assert_eq!(shop.fold(21), usize::from(round == 0));
        assert_eq!(shop.size("order.count() >= 2"), 0, "the closed epoch");
        assert_eq!(shop.size("children >= 0"), 70);
        let [there, named] = shop.files();
        assert_eq!(there, named);
        if round % 2 == 1 {
            shop.reopen();
        }
    }
    // Of all kinds in the first block.
    assert_eq!(shop.pieces(), [4, 4]);
    shop.close(50);
    for _ in 0..2 {
        assert_eq!((shop.pieces(), shop.size("order.count() >= 2"), shop.size("true")), ([4, 0], 60, 100));
        let [there, named] = shop.files();
        assert_eq!(there, named);
        shop.reopen();
    }
}

#[test]
fn only_what_changed_is_built() {
    let mut shop = Shop::new();
    shop.fill(0, 40, PURPOSE);
    shop.close(20);
    shop.ingest(vec![order(3, 2, 3, -60)]);
    shop.fold(21);
    assert_eq!(shop.pieces(), [4, 1], "the orders of one block");
    shop.withdraw_all([4], 22);
    shop.fold(23);
    assert_eq!(shop.pieces(), [4, 3], "its history and its consent");
    shop.reopen();
    assert_eq!(shop.size("true"), 39);
    shop.close(50);
    assert_eq!((shop.pieces(), shop.size("order.where(category == \"tools\").any()")), ([4, 0], 1));
}

#[test]
fn consent_at_the_close_and_consent_now_are_both_there_after_a_restart() {
    let mut shop = Shop::new();
    shop.fill(0, 40, PURPOSE);
    shop.fill(40, 10, &[]);
    shop.close(20);
    shop.withdraw_all(0..5, 21);
    let permit = shop.permit(Role::Producer, Verb::Ingest, None);
    let given = |number| Record::Consent { subject: key(number), consent: consent(PURPOSE[0], ConsentAct::Give, 22) };
    shop.vault().ingest(&permit, (40..50).map(given).collect(), later(22)).unwrap();
    for fold in [true, false, true] {
        if fold {
            shop.fold(23);
        }
        shop.reopen();
        assert_eq!(shop.size("true"), 35, "who withdrew is out, and who agreed later is not in");
        shop.withdraw_all([5], 24);
        assert_eq!(shop.size(if fold { "children >= 0" } else { "children < 30" }), 34);
    }
    shop.close(50);
    for _ in 0..2 {
        assert_eq!(shop.size("true"), 44);
        shop.reopen();
    }
}

#[test]
fn what_is_folded_leaves_the_journal_its_key_and_the_log() {
    let mut shop = Shop::new();
    shop.fill(0, 40, PURPOSE);
    shop.close(20);
    shop.reopen();
    shop.fill(0, 40, PURPOSE);
    let used: Vec<u32> = shop.vault().state.lock().key_uses.clone_of((1, 0)).into_iter().collect();
    shop.reopen();
    let first = |shop: &Shop| shop.vault().state.lock().datasets[&1].journal.first_frame();
    let unfolded = first(&shop).unwrap();
    shop.fold(21);
    let state = shop.vault().state.lock();
    let dataset = &state.datasets[&1];
    assert!(dataset.folded_seq > unfolded && dataset.dirty.is_empty() && dataset.fresh.is_empty());
    assert_eq!((dataset.journal.bytes(), dataset.journal.first_frame()), (0, None));
    assert!(used.iter().all(|key| state.tree.secret(&format!("journal/{key}")).is_none()));
    drop(state);
    shop.fill(40, 1, PURPOSE);
    shop.reopen();
    assert!(first(&shop).unwrap() > unfolded);
    shop.close(50);
    assert_eq!(shop.size("true"), 41);
}

#[test]
fn a_person_is_shown_what_was_folded_since_the_close() {
    let mut shop = Shop::new();
    shop.fill(0, 10, PURPOSE);
    shop.close(20);
    shop.ingest(vec![
        Record::Profile { subject: key(4), values: vec![(ColumnId(3), Value::Code(2))] },
        order(4, 7, 3, -60),
    ]);
    shop.fill(10, 1, PURPOSE);
    shop.fold(21);
    let permit = shop.permit_about(Verb::RestrictSubject, 5);
    shop.vault().restrict_subject(&permit, &key(5), later(22)).unwrap();
    shop.fold(23);
    for _ in 0..2 {
        let package = shop.package(4);
        assert!(package.attributes.contains(&(ColumnId(3), Value::Code(2))));
        assert_eq!(package.events[0].rows.iter().map(|row| row.id).collect::<Vec<_>>(), [1, 7]);
        drop(package);
        assert_eq!(shop.package(10).consents.len(), 1, "who came after the close");
        assert!(shop.package(5).restricted);
        assert_eq!(shop.size("true"), 9);
        shop.reopen();
    }
    // Leaves of someone who came after the close name the person by the same reference, folded or not.
    shop.withdraw_all([10], 24);
    shop.close(50);
    assert_eq!(shop.size("true"), 9);
}

#[test]
fn the_erased_are_gone_from_both_versions() {
    let mut shop = Shop::new();
    shop.fill(0, 60, PURPOSE);
    shop.close(20);
    // In both versions; in the one that is built only; not folded; and of some the journal has more.
    shop.ingest((0..60).map(|number| order(number, 2, 2, -60)).collect());
    shop.fill(60, 20, PURPOSE);
    shop.fold(21);
    shop.fill(80, 20, PURPOSE);
    shop.ingest((0..100).map(|number| order(number, 3, 3, -60)).collect());
    let keys = |shop: &Shop| -> Vec<[u8; 32]> {
        let state = shop.vault().state.lock();
        state.tree.entries().dataset(1).map(|entry| *entry.key.expose()).collect()
    };
    let before = keys(&shop);
    assert_eq!(shop.pieces(), [4, 4]);
    shop.forget([0, 1, 61, 62, 81]);
    assert!(keys(&shop).iter().all(|key| !before.contains(key)), "a key of an old piece");
    let known = |shop: &Shop, number: usize| {
        let state = shop.vault().state.lock();
        let index = &state.datasets[&1].index;
        index.find(index.tag(key(number).expose())).is_some()
    };
    for round in 0..6 {
        assert_eq!([0, 1, 61, 62, 81].map(|number| known(&shop, number)), [false; 5]);
        assert!([2, 60, 63, 80, 99].iter().all(|number| known(&shop, *number)));
        let [there, named] = shop.files();
        assert_eq!(there, named);
        match round {
            0 | 2 => shop.reopen(),
            1 => assert_eq!(shop.fold(41), 1),
            3 => shop.close(50),
            _ => {
                assert_eq!((shop.size("true"), shop.size("order.count() >= 2")), (95, 95));
                assert_eq!(shop.size("order.count() >= 3"), 58);
                shop.reopen();
            }
        }
        if round < 3 {
            assert_eq!(shop.size("true"), 58, "in the epoch that was closed before");
        }
    }
}

#[test]
fn an_erasure_before_a_fold_and_one_after_leave_the_others_whole() {
    let mut shop = Shop::new();
    shop.fill(0, 30, PURPOSE);
    shop.forget([3]);
    shop.fill(30, 10, PURPOSE);
    shop.fold(5);
    shop.reopen();
    shop.forget([4, 31]);
    shop.reopen();
    shop.fill(40, 10, PURPOSE);
    shop.fold(6);
    shop.forget([41]);
    shop.fill(50, 5, PURPOSE);
    shop.reopen();
    shop.fold(7);
    shop.reopen();
    shop.close(20);
    assert_eq!(shop.size("true"), 51);
    assert!(shop.vault().state.lock().tree.records("restart/").next().is_none());
}

#[test]
fn an_erasure_is_confirmed_only_when_neither_version_has_the_person() {
    let shop = Shop::new();
    shop.fill(0, 20, PURPOSE);
    shop.close(20);
    shop.fill(20, 5, PURPOSE);
    shop.fold(21);
    let permit = shop.permit(Role::Portal, Verb::EraseSubject, None);
    let report = shop.vault().erase_subjects(&permit, &[key(2), key(22)], later(40)).unwrap();
    assert!(report.confirmed);
}

/// A disk that has no space while it is told so.
#[derive(Default)]
struct Full(AtomicBool);

impl Observer for Full {
    fn before(&self, step: &Step<'_>) -> Result<(), Fault> {
        let piece = matches!(step, Step::Create(path) if path.extension().is_some_and(|end| end == "tmp"));
        // Some pieces fit.
        let fits = matches!(step, Step::Create(path) if path.to_string_lossy().ends_with("0.tmp"));
        let full = self.0.load(Ordering::Relaxed) && piece && !fits;
        if full { Err(std::io::Error::from_raw_os_error(28).into()) } else { Ok(()) }
    }
}

#[test]
fn a_fold_on_a_full_disk_leaves_nothing_behind_and_is_done_later() {
    let full = Arc::new(Full::default());
    let mut shop = Shop::new();
    shop.vault = None;
    shop.config.disk = Disk::observed(Arc::<Full>::clone(&full));
    shop.reopen();
    shop.fill(0, 40, PURPOSE);
    shop.close(20);
    shop.fill(0, 50, PURPOSE);
    full.0.store(true, Ordering::Relaxed);
    let permit = shop.permit(Role::System, Verb::Maintain, None);
    for _ in 0..3 {
        assert!(matches!(shop.vault().fold(&permit, later(21)), Err(VaultError::Io(_))));
        let [there, named] = shop.files();
        assert_eq!(there, named);
    }
    shop.fill(50, 10, PURPOSE);
    assert_eq!(shop.size("true"), 40);
    full.0.store(false, Ordering::Relaxed);
    assert_eq!(shop.fold(22), 1);
    shop.reopen();
    shop.close(50);
    assert_eq!(shop.size("true"), 60);
}

/// A disk that has no space for pieces once a root was replaced.
#[derive(Default)]
struct FullAfterACommit {
    armed: AtomicBool,
    committed: AtomicBool,
}

impl Observer for FullAfterACommit {
    fn before(&self, step: &Step<'_>) -> Result<(), Fault> {
        match step {
            Step::Write { path, .. } if path.ends_with("root.cell") && self.armed.load(Ordering::Relaxed) => {
                self.committed.store(true, Ordering::Relaxed);
                Ok(())
            }
            Step::Create(path) if path.extension().is_some_and(|end| end == "tmp") => {
                let full = self.committed.load(Ordering::Relaxed);
                if full { Err(std::io::Error::from_raw_os_error(28).into()) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }
}

const TWO_BLOCKS: usize = 8_192 + 60;

#[test]
fn what_a_fold_published_before_it_failed_counts_once_after_the_next_opening() {
    let full = Arc::new(FullAfterACommit::default());
    let mut shop = Shop::new();
    shop.vault = None;
    shop.config.disk = Disk::observed(Arc::<FullAfterACommit>::clone(&full));
    shop.reopen();
    shop.fill(0, TWO_BLOCKS - 50, PURPOSE);
    shop.close(20);
    // Some orders again in both blocks, and some people who are new in the second.
    let orders = (0..TWO_BLOCKS - 50).step_by(91).map(|number| order(number, 2, 3, -60));
    shop.ingest(orders.collect());
    shop.fill(TWO_BLOCKS - 50, 50, PURPOSE);
    full.armed.store(true, Ordering::Relaxed);
    // As if an erasure always waited.
    shop.vault().interrupting.store(1, Ordering::Relaxed);
    let permit = shop.permit(Role::System, Verb::Maintain, None);
    assert!(matches!(shop.vault().fold(&permit, later(21)), Err(VaultError::Io(_))));
    assert_eq!(shop.vault().state.lock().datasets[&1].dirty, [1].into(), "the first block was published");
    assert_eq!(shop.size("true"), i64::try_from(TWO_BLOCKS - 50).unwrap());
    shop.vault = None;
    shop.config.disk = Disk::default();
    shop.reopen();
    assert_eq!(shop.vault().state.lock().datasets[&1].dirty, [1].into());
    shop.ingest(vec![order(0, 3, 2, -50)]);
    shop.close(50);
    assert_eq!(shop.size("true"), i64::try_from(TWO_BLOCKS).unwrap());
    let twice = (0..TWO_BLOCKS - 50).step_by(91).count();
    assert_eq!(shop.size("order.count() >= 2"), i64::try_from(twice).unwrap());
    assert_eq!(shop.size("order.count() >= 3"), 1);
    let [there, named] = shop.files();
    assert_eq!(there, named);
}

/// A disk on which the first piece waits.
#[derive(Default)]
struct Waiting {
    holds: parking_lot::Mutex<bool>,
    reached: AtomicBool,
    changed: parking_lot::Condvar,
}

impl Observer for Waiting {
    fn turn(&self, step: &Step<'_>) {
        if matches!(step, Step::Create(path) if path.extension().is_some_and(|end| end == "tmp")) {
            let mut holds = self.holds.lock();
            self.reached.store(*holds, Ordering::Release);
            self.changed.wait_while(&mut holds, |holds| *holds);
        }
    }

    fn before(&self, _: &Step<'_>) -> Result<(), Fault> {
        Ok(())
    }
}

#[test]
fn an_erasure_does_not_wait_for_the_end_of_a_fold() {
    let waiting = Arc::new(Waiting::default());
    let mut shop = Shop::new();
    shop.vault = None;
    shop.config.disk = Disk::observed(Arc::<Waiting>::clone(&waiting));
    shop.reopen();
    shop.fill(0, TWO_BLOCKS, PURPOSE);
    let erase = shop.permit(Role::Portal, Verb::EraseSubject, None);
    *waiting.holds.lock() = true;
    let receipt = std::thread::scope(|scope| {
        let folding = scope.spawn(|| shop.fold(21));
        while !waiting.reached.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        let erasing = scope.spawn(|| shop.vault().erase(&erase, &[key(3), key(TWO_BLOCKS - 1)], later(22)).unwrap());
        while shop.vault().interrupting.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        *waiting.holds.lock() = false;
        waiting.changed.notify_all();
        folding.join().unwrap();
        erasing.join().unwrap()
    });
    let last = shop.vault().state.lock().tree.generation();
    assert!(receipt.generation_after < last, "the fold ended before the erasure");
    shop.reopen();
    shop.close(50);
    assert_eq!(shop.size("true"), i64::try_from(TWO_BLOCKS - 2).unwrap());
    let report = shop.vault().erase_subjects(&erase, &[key(4)], later(60)).unwrap();
    assert!(report.confirmed);
    let [there, named] = shop.files();
    assert_eq!(there, named);
}

#[test]
fn a_database_that_lost_entries_is_made_again_from_the_log() {
    let shop = Shop::new();
    shop.fill(0, 40, PURPOSE);
    shop.fold(5);
    shop.fill(40, 10, PURPOSE);
    shop.vault().state.lock().datasets.get_mut(&1).unwrap().journal.stale = true;
    shop.fill(50, 10, PURPOSE);
    assert_eq!(shop.fold(6), 1);
    assert!(!shop.vault().state.lock().datasets[&1].journal.stale);
    shop.fill(60, 10, PURPOSE);
    shop.close(20);
    assert_eq!(shop.size("true"), 70);
}

#[test]
fn whoever_writes_and_asks_while_it_is_folded_goes_on() {
    let mut shop = Shop::new();
    shop.fill(0, 200, PURPOSE);
    shop.close(20);
    std::thread::scope(|scope| {
        let folding = scope.spawn(|| (0..30).map(|_| shop.fold(25)).sum::<usize>());
        let writing = scope.spawn(|| (200..260).for_each(|number| shop.fill(number, 1, PURPOSE)));
        for children in 0..20 {
            let size = shop.size(&format!("children < 5 || children == {children}"));
            assert_eq!(size, 200);
        }
        writing.join().unwrap();
        folding.join().unwrap();
    });
    shop.reopen();
    shop.close(50);
    assert_eq!(shop.size("true"), 260);
    let [there, named] = shop.files();
    assert_eq!(there, named);
}
