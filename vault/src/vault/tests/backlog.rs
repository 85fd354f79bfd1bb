//! What waits to be folded stays bounded, and says so when it can't be.

use super::super::backlog::Limits;
use super::*;
use crate::disk::{Fault, Observer, Step};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const PURPOSE: &[&str] = &["marketing.segmentation"];
/// Small enough that some members reach it.
const LIMITS: Limits = Limits { bytes: 20_000, most_bytes: 40_000, entries: 1_000, segments: 4 };

const WELL: u8 = 0;
const FULL: u8 = 1;
const KEEPS_SEGMENTS: u8 = 2;
const NO_KEY_PAGES: u8 = 3;

/// A disk that takes no piece or no page of keys, or removes no segment of the log, while it is told so.
#[derive(Default)]
struct Sick(AtomicU8);

impl Observer for Sick {
    fn before(&self, step: &Step<'_>) -> Result<(), Fault> {
        let ends = |path: &std::path::Path, end: &str| path.extension().is_some_and(|found| found == end);
        let (ill, code) = match (self.0.load(Ordering::Relaxed), step) {
            (FULL, Step::Create(path)) => (ends(path, "tmp"), 28),
            (NO_KEY_PAGES, Step::Create(path)) => (path.parent().is_some_and(|folder| folder.ends_with("keys")), 28),
            (KEEPS_SEGMENTS, Step::Unlink(path)) => (ends(path, "wal"), 5),
            _ => (false, 0),
        };
        if ill { Err(std::io::Error::from_raw_os_error(code).into()) } else { Ok(()) }
    }
}

fn shop_on(disk: &Arc<Sick>) -> Shop {
    let mut shop = Shop::new();
    shop.vault = None;
    shop.config.disk = Disk::observed(Arc::<Sick>::clone(disk));
    shop.open_small();
    shop
}

impl Shop {
    fn open_small(&mut self) {
        self.reopen();
        self.vault.as_mut().unwrap().limits = LIMITS;
    }

    fn due(&self, seconds: i64) -> usize {
        self.vault().folds_due(later(seconds)).len()
    }

    fn try_fold(&self, seconds: i64) -> Result<usize, VaultError> {
        self.vault().fold(&self.permit(Role::System, Verb::Maintain, None), later(seconds))
    }

    fn try_ingest(&self, first: usize) -> Result<(), VaultError> {
        let permit = self.permit(Role::Producer, Verb::Ingest, None);
        let records = (first..first + 50).flat_map(|number| [order(number, 1, 1, -DAY), give(number, PURPOSE[0])]);
        self.vault().ingest(&permit, records.collect(), NOW).map(drop)
    }

    /// Writes until no more is taken, and returns the next member's number.
    fn fill_up(&self, mut next: usize) -> usize {
        while self.try_ingest(next).is_ok() {
            next += 50;
            assert!(next < 100_000, "it takes anything");
        }
        next
    }
}

#[test]
fn a_fold_is_due_when_much_waits_and_not_before() {
    let mut shop = shop_on(&Arc::default());
    shop.fill(0, 10, PURPOSE);
    assert_eq!(shop.due(20), 0);
    shop.fill(10, 300, PURPOSE);
    assert_eq!(shop.due(21), 1);
    shop.open_small();
    assert_eq!(shop.due(21), 1, "known after a restart");
    shop.try_fold(22).unwrap();
    assert_eq!(shop.due(22), 0);
}

#[test]
fn a_dataset_that_is_written_to_rarely_does_not_keep_the_log() {
    let shop = shop_on(&Arc::default());
    shop.fill(0, 1, PURPOSE);
    let permit = shop.permit(Role::Steward, Verb::Maintain, None);
    let write = |count: usize| {
        (0..count).for_each(|_| shop.vault().put_record(&permit, "notes", "a", Some(&[7; 4_000]), NOW).unwrap())
    };
    write(60);
    assert!(shop.vault().wal.segments() > LIMITS.segments);
    assert_eq!((shop.due(20), shop.due(21)), (1, 0), "once, until it is done");
    shop.try_fold(22).unwrap();
    assert_eq!(shop.vault().wal.segments(), 1);
    write(60);
    assert_eq!((shop.due(30), shop.due(90)), (0, 1), "the gateway's own state alone keeps it, too");
    shop.try_fold(91).unwrap();
    assert_eq!(shop.vault().wal.segments(), 1);
}

#[test]
fn while_nothing_can_be_folded_no_more_rows_are_taken_and_every_withdrawal_is() {
    let disk = Arc::<Sick>::default();
    let mut shop = shop_on(&disk);
    shop.fill(0, 40, PURPOSE);
    shop.close(20);
    disk.0.store(FULL, Ordering::Relaxed);
    let next = shop.fill_up(40);
    let Err(VaultError::Refused(refusal)) = shop.try_ingest(next) else { panic!("taken") };
    assert_eq!(refusal.reason, Reason::RateLimited);
    assert!(refusal.next_step.contains("again"), "{refusal:?}");
    // Among rows that are refused, in a batch of their own, of someone who is new, and when all is sent again.
    let permit = shop.permit(Role::Producer, Verb::Ingest, None);
    let withdrawal =
        |number| Record::Consent { subject: key(number), consent: consent(PURPOSE[0], ConsentAct::Withdraw, 21) };
    let mixed = || vec![order(1, 50, 1, -DAY), withdrawal(1), order(2, 50, 1, -DAY), withdrawal(next)];
    for _ in 0..2 {
        let Err(VaultError::Refused(refusal)) = shop.vault().ingest(&permit, mixed(), later(22)) else {
            panic!("taken")
        };
        assert_eq!(refusal.reason, Reason::RateLimited);
    }
    assert_eq!(shop.vault().ingest(&permit, vec![withdrawal(2)], later(22)).unwrap().consents, 1);
    assert_eq!(shop.size("children >= 0"), 38);
    assert!(shop.vault().troubles().is_empty());
    assert!(matches!(shop.try_fold(30), Err(VaultError::Io(_))));
    assert_eq!((shop.due(31), shop.due(95)), (0, 1), "it is left alone for a minute");
    let [(dataset, trouble)] = &shop.vault().troubles()[..] else { panic!("no trouble") };
    assert_eq!(dataset.as_str(), "shop");
    assert!(trouble.contains("No space left"), "{trouble}");
    let permit = shop.permit(Role::Producer, Verb::RecordConsent, None);
    let event = consent(PURPOSE[0], ConsentAct::Withdraw, 30);
    shop.vault().record_consents(&permit, vec![(key(3), event)], later(30)).unwrap();
    assert_eq!(shop.size("true"), 37);
    disk.0.store(WELL, Ordering::Relaxed);
    shop.try_fold(96).unwrap();
    assert!(shop.vault().troubles().is_empty() && shop.vault().health().is_ok());
    shop.try_ingest(next).unwrap();
    shop.open_small();
    shop.close(100);
    assert_eq!(shop.size("true"), i64::try_from(next).unwrap() + 46);
}

#[test]
fn a_fold_that_failed_takes_no_key_from_what_is_not_folded() {
    let disk = Arc::<Sick>::default();
    let mut shop = shop_on(&disk);
    shop.vault.as_mut().unwrap().limits = Limits::default();
    let profile = |number| Record::Profile { subject: key(number), values: vec![(ColumnId(1), Value::Code(1))] };
    shop.ingest((0..8_192).map(profile).collect());
    shop.ingest((0..5).map(|number| give(number, PURPOSE[0])).collect());
    shop.fill(8_192, 10, PURPOSE);
    shop.reopen();
    disk.0.store(NO_KEY_PAGES, Ordering::Relaxed);
    assert!(matches!(shop.try_fold(20), Err(VaultError::Io(_))));
    disk.0.store(WELL, Ordering::Relaxed);
    let permit = shop.permit(Role::Portal, Verb::EraseSubject, None);
    shop.vault().erase(&permit, &[key(8_193)], later(21)).unwrap();
    shop.reopen();
    shop.close(22);
    assert_eq!(shop.size("true"), 14);
}

#[test]
fn a_segment_that_can_not_be_removed_fails_no_close_that_is_done() {
    let disk = Arc::<Sick>::default();
    let mut shop = shop_on(&disk);
    (0..6).for_each(|part| shop.fill(50 * part, 50, PURPOSE));
    assert!(shop.vault().wal.segments() > 1);
    disk.0.store(KEEPS_SEGMENTS, Ordering::Relaxed);
    shop.close(20);
    let epoch = shop.vault().epoch(&shop.schema.dataset).unwrap().epoch;
    assert!(epoch.0 == 1 && shop.vault().wal.segments() > 1);
    shop.open_small();
    assert_eq!(shop.size("true"), 300);
    disk.0.store(WELL, Ordering::Relaxed);
    shop.try_fold(22).unwrap();
    assert_eq!(shop.vault().wal.segments(), 1);
}

#[test]
fn what_can_not_be_asked_for_any_more_is_forgotten_and_never_a_balance() {
    let mut shop = Shop::new();
    shop.fill(0, 40, PURPOSE);
    let spent = |shop: &Shop| {
        let (permit, client) = (shop.permit(Role::Steward, Verb::ReadBudget, None), ClientId::new("insights").unwrap());
        shop.vault().budget(&permit, &client, later(30)).unwrap().lifetime_spent
    };
    let known = |shop: &Shop| {
        let answers = serde_json::to_value(&shop.vault().state.lock().shared.answers).unwrap();
        let stored = answers.as_object().unwrap().values().flat_map(|of| of["stored"].as_object().unwrap().keys());
        stored.cloned().collect::<String>()
    };
    shop.close(20);
    let (first, _) = shop.ask_as("r1", "true", Kind::Size).unwrap();
    shop.close(21);
    let Err(VaultError::Refused(refusal)) = shop.ask_as("r1", "true", Kind::Size) else { panic!("paid twice") };
    assert_eq!(refusal.reason, Reason::RequestIdReused);
    shop.reopen();
    assert!(matches!(shop.ask_as("r1", "true", Kind::Size), Err(VaultError::Refused(_))));
    assert!(known(&shop).contains(&first.release));
    let (second, charged) = shop.ask_as("r2", "true", Kind::Size).unwrap();
    assert!(charged);
    let before = spent(&shop);
    shop.close(22);
    for _ in 0..2 {
        let known = known(&shop);
        assert!(!known.contains(&first.release) && known.contains(&second.release));
        assert!(matches!(shop.ask_as("r1", "true", Kind::Size), Err(VaultError::Refused(_))), "its id is known still");
        assert_eq!(spent(&shop), before);
        shop.reopen();
    }
}
