//! Who is erased is gone: from answers, from audiences, from every key; and everyone else stays.

use super::*;
use crate::erasure::ErasureReceipt;
use crate::keys::{PieceEntry, PieceKind};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

impl Shop {
    fn erase(&self, numbers: impl IntoIterator<Item = usize>) -> Result<ErasureReceipt, VaultError> {
        let permit = self.permit(Role::Portal, Verb::EraseSubject, None);
        let subjects: Vec<_> = numbers.into_iter().map(key).collect();
        self.vault().erase(&permit, &subjects, later(40))
    }

    fn knows(&self, number: usize) -> bool {
        let state = self.vault().state.lock();
        let index = &state.datasets[&1].index;
        index.find(index.tag(key(number).expose())).is_some()
    }
}

const PURPOSE: &[&str] = &["marketing.segmentation"];

/// A disk that has no space for much while it is told so.
#[derive(Default)]
struct Short(std::sync::atomic::AtomicBool);

impl crate::disk::Observer for Short {
    fn before(&self, step: &crate::disk::Step<'_>) -> Result<(), crate::disk::Fault> {
        let much = matches!(step, crate::disk::Step::Write { bytes, .. } if *bytes >= 1 << 20);
        let full = much && self.0.load(std::sync::atomic::Ordering::Relaxed);
        if full { Err(std::io::Error::from_raw_os_error(28).into()) } else { Ok(()) }
    }
}

#[test]
fn an_erasure_or_rotation_without_space_is_refused_and_done_when_there_is_some() {
    let short = std::sync::Arc::new(Short::default());
    let mut shop = Shop::new();
    shop.vault = None;
    shop.config.disk = Disk::observed(std::sync::Arc::clone(&short) as _);
    shop.reopen();
    shop.fill(0, 60, &["marketing.segmentation"]);
    shop.close(20);
    shop.fill(60, 10, &["marketing.segmentation"]);
    short.0.store(true, std::sync::atomic::Ordering::Relaxed);
    let erase = shop.permit(Role::Portal, Verb::EraseSubject, None);
    let refused = shop.vault().erase(&erase, &[key(3)], later(30));
    assert!(matches!(&refused, Err(VaultError::Io(why)) if why.contains("No space left")), "{refused:?}");
    let whole = permit_for_all(&shop.rules);
    let refused = shop.vault().rotate(&whole, crate::rotation::Rotation::Journals, later(31), &|_| ());
    assert!(matches!(refused, Err(VaultError::Io(_))), "{refused:?}");
    assert!(shop.vault().tick(later(32)).is_err(), "the erasure is still to be done");
    assert!(shop.vault().health().is_ok());
    shop.fill(70, 5, &["marketing.segmentation"]);
    assert_eq!(shop.size("true"), 59, "the erased are allowed for nothing from the intent on");
    short.0.store(false, std::sync::atomic::Ordering::Relaxed);
    shop.vault().tick(later(33)).unwrap();
    assert!(shop.vault().state.lock().shared.erasures.is_empty());
    shop.vault().rotate(&whole, crate::rotation::Rotation::Journals, later(34), &|_| ()).unwrap();
    shop.reopen();
    shop.close(50);
    assert_eq!(shop.size("true"), 74);
}

#[test]
fn the_erased_are_gone_and_the_others_stay() {
    let mut shop = Shop::new();
    // Folded, folded with later entries, and not folded at all.
    shop.fill(0, 60, PURPOSE);
    shop.close(20);
    shop.ingest((0..60).map(|number| order(number, 2, 2, -60)).collect());
    shop.fill(60, 40, PURPOSE);
    let receipt = shop.erase([0, 1, 2, 60, 61]).unwrap();
    assert_eq!((receipt.people, receipt.generation_after), (5, receipt.generation_before + 1));
    assert_ne!(receipt.top_before, receipt.top_after);
    assert!(receipt.pieces >= 3 && receipt.outcome > receipt.intent);
    for round in 0..3 {
        assert_eq!([0, 1, 2, 60, 61].map(|number| shop.knows(number)), [false; 5]);
        assert!([3, 59, 62, 99].iter().all(|number| shop.knows(*number)));
        match round {
            0 => assert_eq!(shop.size("true"), 57, "in the epoch that was closed before"),
            1 => shop.close(50),
            _ => {
                assert_eq!(shop.size("true"), 95);
                assert_eq!(shop.size("age_band == \"young\""), 47);
                assert_eq!(shop.size("order.where(category == \"plants\").count() >= 1"), 76);
                assert_eq!(shop.size("order.count() >= 2"), 57);
            }
        }
        shop.reopen();
    }
}

#[test]
fn who_comes_back_is_someone_new() {
    let mut shop = Shop::new();
    shop.fill(0, 30, PURPOSE);
    shop.close(20);
    let ordinal = |shop: &Shop| {
        let state = shop.vault().state.lock();
        let index = &state.datasets[&1].index;
        index.find(index.tag(key(7).expose())).unwrap()
    };
    let hidden = |shop: &Shop| {
        let at = ordinal(shop);
        shop.vault().state.lock().datasets[&1].hidden(at).unwrap()
    };
    let before = (ordinal(&shop), hidden(&shop));
    shop.erase([7]).unwrap();
    shop.fill(7, 1, PURPOSE);
    let after = (ordinal(&shop), hidden(&shop));
    assert_eq!(after.0, 30);
    assert_ne!(before.1, after.1);
    shop.reopen();
    assert_eq!((ordinal(&shop), hidden(&shop)), after);
    shop.close(50);
    assert_eq!(shop.size("true"), 30);
    shop.erase([7, 8]).unwrap();
    shop.reopen();
    assert!(!shop.knows(7) && shop.knows(9));
    shop.close(60);
    assert_eq!(shop.size("true"), 28);
}

#[test]
fn no_key_that_could_open_the_erased_is_left() {
    let shop = Shop::new();
    shop.fill(0, 30, PURPOSE);
    shop.close(20);
    shop.fill(0, 30, PURPOSE);
    let secrets = |shop: &Shop| -> (Vec<[u8; 32]>, Vec<[u8; 32]>) {
        let state = shop.vault().lock().unwrap();
        let pieces = state.tree.entries().dataset(1).map(|entry| *entry.key.expose()).collect();
        let used = state.key_uses.clone_of((1, 0));
        let journal = used.iter().filter_map(|id| state.tree.secret(&format!("journal/{id}")));
        (pieces, journal.map(|key| *key.expose()).collect())
    };
    let (pieces, journals) = secrets(&shop);
    assert!(pieces.len() >= 4 && !journals.is_empty());
    shop.erase([3]).unwrap();
    let state = shop.vault().lock().unwrap();
    let left: Vec<[u8; 32]> = state.tree.secrets("").map(|(_, key)| *key.expose()).collect();
    let named: Vec<[u8; 32]> = state.tree.entries().iter().map(|entry| *entry.key.expose()).collect();
    for key in pieces.iter().chain(&journals) {
        assert!(!left.contains(key) && !named.contains(key));
    }
    drop(state);
    shop.close(50);
    assert_eq!(shop.size("true"), 29);
}

#[test]
fn an_erasure_of_someone_unknown_erases_nobody() {
    let shop = Shop::new();
    shop.fill(0, 30, PURPOSE);
    let Err(VaultError::Refused(refusal)) = shop.erase([3, 31]) else { panic!("erased") };
    assert_eq!(refusal.reason, Reason::FieldUnavailable);
    assert!(refusal.message.contains("subject 1"));
    assert!(shop.knows(3));
    assert!(matches!(shop.erase([]), Err(VaultError::Refused(_))));
}

#[test]
fn an_intent_without_its_outcome_is_carried_out_at_the_next_opening() {
    let mut shop = Shop::new();
    shop.fill(0, 30, PURPOSE);
    shop.close(20);
    shop.fill(20, 20, PURPOSE);
    let permit = shop.permit(Role::Portal, Verb::EraseSubject, None);
    shop.vault().intend_erasure(&permit, &[key(3), key(35)], later(40)).unwrap();
    shop.reopen();
    assert!(!shop.knows(3) && !shop.knows(35) && shop.knows(4));
    assert!(shop.vault().lock().unwrap().shared.erasures.is_empty());
    shop.reopen();
    shop.close(50);
    assert_eq!(shop.size("true"), 38);
}

#[test]
fn an_erasure_that_could_not_be_ended_is_ended_at_a_tick() {
    let shop = Shop::new();
    shop.fill(0, 30, PURPOSE);
    shop.close(20);
    let permit = shop.permit(Role::Portal, Verb::EraseSubject, None);
    let before = shop.vault().lock().unwrap().tree.generation();
    shop.vault().intend_erasure(&permit, &[key(3)], later(40)).unwrap();
    assert_eq!(shop.size("true"), 29, "out of every answer from the intent on");
    shop.vault().tick(later(41)).unwrap();
    let state = shop.vault().lock().unwrap();
    assert!(state.shared.erasures.is_empty() && state.tree.generation() > before);
}

/// Something else lies where a piece is: it can't be read, and may be there again.
#[test]
fn a_passing_error_of_reading_leaves_an_erasure_for_the_next_tick_and_everything_else_done() {
    let mut shop = Shop::new();
    shop.fill(0, 30, PURPOSE);
    shop.close(20);
    let permit = shop.permit(Role::Portal, Verb::EraseSubject, None);
    shop.vault().intend_erasure(&permit, &[key(3)], later(40)).unwrap();
    let piece = {
        let state = shop.vault().lock().unwrap();
        let attributes = |entry: &&PieceEntry| entry.id.kind == PieceKind::Attributes;
        shop.config.data.join(state.tree.entries().dataset(1).find(attributes).unwrap().path())
    };
    let aside = piece.with_extension("aside");
    let hide = || {
        std::fs::rename(&piece, &aside).unwrap();
        std::fs::create_dir(&piece).unwrap();
    };
    let show = || {
        std::fs::remove_dir(&piece).unwrap();
        std::fs::rename(&aside, &piece).unwrap();
    };
    hide();
    for _ in 0..2 {
        let Err(VaultError::Io(problem)) = shop.vault().tick(later(41)) else { panic!("erased") };
        assert!(problem.contains("next try"), "{problem}");
        assert!(shop.vault().damage().is_empty() && shop.vault().lock().unwrap().shared.erasures.len() == 1);
        let leaf = shop.vault().log.size(crate::vault::Tree::Subject) - 1;
        assert!(shop.vault().log.tlog_proof(crate::vault::Tree::Subject, leaf).is_ok(), "the log was signed");
    }
    show();
    assert_eq!(shop.size("true"), 29);
    shop.vault().tick(later(42)).unwrap();
    assert!(shop.vault().lock().unwrap().shared.erasures.is_empty());
    // What is really gone marks the dataset.
    shop.vault().intend_erasure(&permit, &[key(4)], later(43)).unwrap();
    let newest = || std::fs::read_dir(piece.parent().unwrap()).unwrap().map(|file| file.unwrap().path());
    newest().for_each(|file| std::fs::remove_file(file).unwrap());
    shop.vault().tick(later(44)).unwrap();
    assert_eq!(shop.vault().damage().len(), 1);
    shop.vault = None;
}

#[test]
fn held_audiences_forget_the_erased() {
    let mut shop = Shop::new();
    shop.fill(0, 300, &["sharing.partner.greenbox"]);
    shop.close(20);
    let partner = PartnerId::new("greenbox").unwrap();
    let purpose = Some("sharing.partner.greenbox");
    let permit = shop.permit_for("greenbox-crm", "", Role::Partner(partner.clone()), Verb::Audience, purpose);
    let (universe, segment) = (Segment::everyone(), shop.segment("true"));
    let question = AudienceQuestion { partner, universe, segment, tags: Vec::new(), rho: PRICE };
    let audience = shop.vault().audience(&permit, &question, later(30)).unwrap();
    let shared = |shop: &Shop| {
        let state = shop.vault().lock().unwrap();
        state.key_uses.clone_of(super::super::journal_keys::SHARED_PLACE)
    };
    let before = shared(&shop);
    shop.erase([4]).unwrap();
    assert!(before.is_disjoint(&shared(&shop)), "the key of the journal that named the member is gone");
    let left = shop.vault().emit(&permit, &audience, 0, 1_000, later(41)).unwrap().members;
    assert_eq!(left.len(), 299, "rows that had not left yet");
    shop.reopen();
    let again = shop.vault().audience(&permit, &question, later(42)).unwrap();
    assert_eq!(again.len(), 299);
}

#[test]
fn a_look_up_finds_who_is_there_folded_or_not_and_nobody_after_an_erasure() {
    let shop = Shop::new();
    shop.fill(0, 20, PURPOSE);
    shop.close(20);
    shop.fill(20, 5, PURPOSE);
    let found = |shop: &Shop| {
        [3, 22, 99]
            .map(|number| shop.vault().rows_found(1, &BTreeSet::from([0]), &[key(number)], |_| false).unwrap() > 1)
    };
    assert_eq!(found(&shop), [true, true, false], "in the index, and in a piece or a journal");
    let permit = shop.permit(Role::Portal, Verb::EraseSubject, None);
    let report = shop.vault().erase_subjects(&permit, &[key(3), key(22)], later(40)).unwrap();
    assert!(report.confirmed);
    assert_eq!(shop.vault().rows_found(1, &BTreeSet::from([0]), &[key(3), key(22)], |_| false).unwrap(), 0);
    let leaf = |json: &str| crate::log::Leaf::parse(json.as_bytes()).unwrap();
    let (outcome, confirmation) = (leaf(&report.outcome.json), leaf(&report.confirmation.json));
    assert_eq!((outcome.of, confirmation.of), (Some(report.receipt.intent), Some(report.receipt.outcome)));
    assert_eq!(outcome.commit, Some(Sha256::digest(&report.json).into()));
    assert_eq!(confirmation.what.unwrap().as_str(), "confirmed: nothing is found");
    let intents: Vec<u64> = report.intents.iter().map(|leaf| leaf.index).collect();
    assert_eq!(intents, [report.receipt.intent, report.receipt.intent + 1]);
    // Whoever registers the key anew is found, and is someone else.
    shop.fill(3, 1, PURPOSE);
    assert_eq!(found(&shop), [true, false, false]);
}

/// A crash may have kept the first of the frames in which a block's entries were written again, and not the last.
#[test]
fn entries_that_were_written_again_count_only_once_the_key_tree_says_so() {
    use crate::vault::commit::{JOURNAL, REWRITTEN};
    use crate::wal::{Frame, SealedPart};
    let part = |kind, block| SealedPart { kind, dataset: 1, block, ..SealedPart::default() };
    let frame = Frame { parts: vec![part(JOURNAL, 3), part(REWRITTEN, 4), part(REWRITTEN, 5)], ..Frame::default() };
    let blocks = |restarts: &[(u32, u64)]| -> Vec<u32> {
        let restarts = restarts.iter().copied().collect();
        let parts = crate::vault::recover::journal_parts(9, &frame, |_| Some(&restarts));
        parts.into_iter().map(|(_, block, _)| block).collect()
    };
    assert_eq!(blocks(&[]), [3], "the commit that they were written for did not come");
    assert_eq!(blocks(&[(4, 9), (5, 8)]), [3, 4, 5]);
    assert_eq!(blocks(&[(3, 10), (4, 10), (5, 9)]), [5], "they were written again later");
}
