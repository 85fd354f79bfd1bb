//! Keys: what they may seal, what is listed of them, and how they are replaced.

use super::*;
use crate::keys::limits::Limit;
use crate::rotation::{Age, KeyKind, KeyLine, KeyState, Progress, Rotated, Rotation};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn lines(shop: &Shop) -> Vec<KeyLine> {
    shop.vault().keys(&shop.permit(Role::Steward, Verb::Maintain, None)).unwrap().lines
}

fn line(shop: &Shop, kind: KeyKind, state: KeyState) -> Option<(u64, Option<Age>)> {
    lines(shop).into_iter().find(|line| (line.kind, line.state) == (kind, state)).map(|line| (line.count, line.oldest))
}

/// The journal keys that frames of the first block are under.
fn keys_of_block(shop: &Shop) -> usize {
    shop.vault().lock().unwrap().key_uses.clone_of((1, 0)).len()
}

/// Keys of frames: how many were replaced and are still there, and the one in force.
fn frame_keys(shop: &Shop) -> (usize, crate::keys::SecretKey) {
    let state = shop.vault().state.lock();
    (state.tree.secrets("frames/").count(), state.tree.secret("frames").unwrap())
}

#[test]
fn the_key_of_frames_is_replaced_and_the_one_before_goes_with_its_frames() {
    let mut shop = Shop::new();
    shop.fill(0, 40, &["marketing.segmentation"]);
    let (none, first) = frame_keys(&shop);
    rotate(&shop, Rotation::Journals);
    let (kept, second) = frame_keys(&shop);
    assert_eq!((none, kept), (0, 1));
    assert!(first.expose() != second.expose());
    shop.fill(40, 20, &["marketing.segmentation"]);
    // Frames of both are replayed.
    shop.reopen();
    rotate(&shop, Rotation::Journals);
    assert_eq!(frame_keys(&shop).0, 2);
    shop.fill(60, 5, &["marketing.segmentation"]);
    shop.reopen();
    shop.close(20);
    assert_eq!(frame_keys(&shop).0, 0, "their frames are folded");
    shop.reopen();
    assert_eq!(shop.size("true"), 65);
}

#[test]
fn a_journal_key_that_has_sealed_enough_is_replaced_before_the_next_write() {
    let mut shop = Shop::new();
    shop.vault().lock().unwrap().journal.lower(Limit { seals: 3, bytes: 1 << 20 });
    for number in 0..10 {
        shop.fill(number, 1, &["marketing.segmentation"]);
    }
    assert_eq!(keys_of_block(&shop), 4, "ten frames, three a key");
    shop.vault().lock().unwrap().journal.lower(Limit { seals: 100, bytes: 2_000 });
    for number in 10..40 {
        shop.fill(number, 1, &["marketing.segmentation"]);
    }
    assert!(keys_of_block(&shop) > 5, "and by bytes");
    shop.reopen();
    shop.close(20);
    assert_eq!(shop.size("true"), 40);
    assert_eq!(old_journal_keys(&shop), [""; 0]);
}

#[test]
fn a_part_for_which_no_key_has_room_is_refused_and_nothing_is_served_after_it() {
    let mut shop = Shop::new();
    shop.fill(0, 10, &["marketing.segmentation"]);
    shop.vault().lock().unwrap().journal.lower(Limit { seals: 100, bytes: 200 });
    let permit = shop.permit(Role::Producer, Verb::Ingest, None);
    let many: Vec<_> = (10..30).map(|number| give(number, "marketing.segmentation")).collect();
    let Err(VaultError::Damaged { problem, .. }) = shop.vault().ingest(&permit, many, NOW) else { panic!("sealed") };
    assert_eq!(problem, "the key has sealed as much as one key may");
    assert!(shop.vault().health().is_err());
    shop.reopen();
    shop.close(20);
    assert_eq!(shop.size("true"), 10);
}

#[test]
fn keys_are_listed_by_kind_and_state_and_none_is_shown() {
    let mut shop = Shop::new();
    shop.fill(0, 10, &["marketing.segmentation"]);
    shop.reopen();
    shop.fill(10, 10, &["marketing.segmentation"]);
    let counts = |state| line(&shop, KeyKind::Journal, state).map_or(0, |(count, _)| count);
    assert_eq!((counts(KeyState::Spare), counts(KeyState::Active)), (31, 1));
    assert!(counts(KeyState::Superseded) > 0, "what is not folded is still under a key of the opening before");
    assert_eq!(line(&shop, KeyKind::Piece, KeyState::Active), None);
    shop.close(20);
    assert_eq!(line(&shop, KeyKind::Journal, KeyState::Superseded), None);
    // Attributes, events, consent history, consent at the close; and the gateway's own state.
    assert_eq!(line(&shop, KeyKind::Piece, KeyState::Active).unwrap().0, 5);
    let generation = shop.vault().lock().unwrap().tree.generation();
    assert_eq!(line(&shop, KeyKind::Root, KeyState::Active), Some((1, Some(Age::Generation(generation)))));
    assert!(line(&shop, KeyKind::Page, KeyState::Active).unwrap().0 >= 3);
    assert_eq!(line(&shop, KeyKind::Token, KeyState::Active), Some((1, Some(Age::Number(1)))));
    assert_eq!(line(&shop, KeyKind::Log, KeyState::Active), Some((1, None)));
    let service = shop.permit(Role::Service, Verb::Release, Some("marketing.segmentation"));
    assert!(matches!(shop.vault().keys(&service), Err(VaultError::Refused(_))));
}

fn whole(shop: &Shop) -> Permit {
    permit_for_all(&shop.rules)
}

fn rotate(shop: &Shop, what: Rotation) -> Rotated {
    shop.vault().rotate(&whole(shop), what, later(30), &|_| ()).unwrap()
}

/// Every file under a folder.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.extend(if path.is_dir() { files(&path) } else { BTreeSet::from([path]) });
    }
    all
}

/// Every key in the key tree, by name.
fn secrets(shop: &Shop) -> BTreeSet<(String, [u8; 32])> {
    let state = shop.vault().lock().unwrap();
    let pieces = state.tree.entries();
    let of_piece = pieces.iter().map(|entry| ("piece".to_owned(), *entry.key.expose()));
    of_piece.chain(state.tree.secrets("").map(|(name, key)| (name.to_owned(), *key.expose()))).collect()
}

fn named<'a>(all: &'a BTreeSet<(String, [u8; 32])>, prefix: &'a str) -> BTreeSet<[u8; 32]> {
    all.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, key)| *key).collect()
}

/// Words of the leaves about keys, in order.
fn key_leaves(shop: &Shop) -> Vec<String> {
    let officer = shop.permit(Role::Officer, Verb::ReadLog, None);
    let filter = crate::LogFilter::default();
    let (found, _) = shop.vault().search_log(&officer, crate::Tree::Access, &filter, 0, 1_000, NOW).unwrap();
    let parse = |leaf: crate::LeafEntry| crate::log::Leaf::parse(leaf.json.as_bytes()).unwrap();
    let leaves = found.into_iter().map(parse).filter(|leaf| leaf.kind == crate::log::Kind::Key);
    leaves.map(|leaf| leaf.what.unwrap().to_string()).collect()
}

/// Two blocks of one person and more, some of it folded twice, some not folded.
fn lived_in() -> Shop {
    let shop = Shop::new();
    shop.fill(0, 9_000, &["marketing.segmentation"]);
    shop.close(20);
    shop.fill(9_000, 50, &["marketing.segmentation"]);
    shop.close(21);
    shop.fill(9_050, 10, &["marketing.segmentation"]);
    shop
}

#[test]
fn every_piece_is_sealed_again_under_a_fresh_key() {
    let mut shop = lived_in();
    let before = (files(&shop.config.data.join("blocks")), secrets(&shop));
    let steps = AtomicU64::new(0);
    let watch = |progress: Progress| {
        steps.fetch_add(u64::from(progress.done > 0), Ordering::Relaxed);
    };
    let done = shop.vault().rotate(&whole(&shop), Rotation::Pieces, later(30), &watch).unwrap();
    let after = (files(&shop.config.data.join("blocks")), secrets(&shop));
    assert!(before.0.is_disjoint(&after.0), "old files are gone");
    assert_eq!((before.0.len(), done.keys), (after.0.len(), before.0.len() as u64));
    assert!(named(&before.1, "piece").is_disjoint(&named(&after.1, "piece")));
    assert_eq!(steps.load(Ordering::Relaxed), 2, "the dataset's blocks, and the gateway's own state");
    assert_eq!(key_leaves(&shop), ["rotate keys of pieces", "rotated keys of pieces"]);
    assert_eq!(shop.size("age_band == \"young\""), 4_525);
    shop.reopen();
    assert_eq!(shop.size("true"), 9_050);
    shop.close(40);
    assert_eq!(shop.size("children >= 0"), 9_060);
    assert_eq!(shop.size("order.count() == 1"), 9_060);
}

#[test]
fn journals_are_sealed_again_and_their_old_keys_destroyed() {
    let mut shop = lived_in();
    shop.reopen();
    shop.fill(9_060, 10, &["marketing.segmentation"]);
    let before = secrets(&shop);
    let done = rotate(&shop, Rotation::Journals);
    assert!(done.keys > 30, "the stock too: {done:?}");
    assert!(named(&before, "journal/").is_disjoint(&named(&secrets(&shop), "journal/")));
    assert_eq!(named(&before, "piece"), named(&secrets(&shop), "piece"));
    shop.fill(9_070, 10, &["marketing.segmentation"]);
    shop.reopen();
    shop.close(40);
    assert_eq!(shop.size("true"), 9_080);
    assert_eq!(shop.size("order.count() == 1"), 9_080);
    let again = rotate(&shop, Rotation::Journals);
    assert!(again.keys > 30);
    shop.fill(9_080, 1, &["marketing.segmentation"]);
    shop.close(41);
    assert_eq!(shop.size("true"), 9_081);
}

#[test]
fn root_and_pages_are_replaced_in_one_step_and_old_copies_do_not_open() {
    let mut shop = lived_in();
    let old = tempfile::tempdir().unwrap();
    let keys = shop.config.data.join("keys");
    let before = files(&keys);
    for file in &before {
        std::fs::copy(file, old.path().join(file.file_name().unwrap())).unwrap();
    }
    let generation = shop.vault().lock().unwrap().tree.generation();
    let done = rotate(&shop, Rotation::Root);
    assert_eq!((done.keys, done.generation), (before.len() as u64, generation + 1));
    assert!(before.is_disjoint(&files(&keys)));
    shop.reopen();
    assert_eq!(shop.size("true"), 9_050);
    shop.vault = None;
    for file in files(&keys) {
        std::fs::remove_file(file).unwrap();
    }
    for file in files(old.path()) {
        std::fs::copy(&file, keys.join(file.file_name().unwrap())).unwrap();
    }
    assert!(matches!(Vault::open(&shop.config, later(50)), Err(VaultError::Setup(_))));
}

#[test]
fn keys_are_of_the_whole_vault_and_for_stewards() {
    let shop = lived_in();
    for permit in [
        shop.permit(Role::Steward, Verb::Maintain, None),
        shop.permit(Role::Service, Verb::Release, Some("marketing.segmentation")),
    ] {
        let refused = shop.vault().rotate(&permit, Rotation::Root, later(30), &|_| ());
        let Err(VaultError::Refused(refusal)) = refused else { panic!("{refused:?}") };
        assert_eq!(refusal.reason, Reason::PurposeDenied);
    }
    let inner = |_| match shop.vault().rotate(&whole(&shop), Rotation::Root, later(30), &|_| ()) {
        Err(VaultError::Refused(refusal)) => assert_eq!(refusal.message, "another rotation is under way"),
        done => panic!("{done:?}"),
    };
    shop.vault().rotate(&whole(&shop), Rotation::Pieces, later(30), &inner).unwrap();
    assert_eq!(key_leaves(&shop).len(), 2, "what was refused begins nothing");
}

#[test]
fn rotation_leaves_ingest_questions_withdrawals_and_erasures_alone() {
    const ROUNDS: usize = 6;
    let mut shop = lived_in();
    let before = secrets(&shop);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let rotating = scope.spawn(|| {
            for what in [Rotation::Pieces, Rotation::Journals, Rotation::Root].repeat(2) {
                rotate(&shop, what);
            }
            done.store(true, Ordering::Release);
        });
        let writing =
            scope.spawn(|| (0..ROUNDS).for_each(|n| shop.fill(10_000 + n * 50, 50, &["marketing.segmentation"])));
        let asking = scope.spawn(|| {
            let mut asked = 0;
            while !done.load(Ordering::Acquire) || asked < 5 {
                // A question that was never asked: the scan is real. Nobody has so many children, and everybody counts.
                let text = format!("children < 20 || children == {}", asked % 20);
                assert!(shop.size(&text) >= 8_000);
                asked += 1;
            }
        });
        let leaving = scope.spawn(|| {
            let portal = shop.permit(Role::Portal, Verb::EraseSubject, None);
            let producer = shop.permit(Role::Producer, Verb::RecordConsent, None);
            for n in 0..ROUNDS {
                shop.vault().erase(&portal, &[key(n), key(8_990 + n), key(9_050 + n)], later(30)).unwrap();
                let gone = vec![(key(100 + n), consent("marketing", ConsentAct::Withdraw, 5))];
                shop.vault().record_consents(&producer, gone, later(31)).unwrap();
                shop.close(32);
            }
        });
        for thread in [rotating, writing, asking, leaving] {
            thread.join().unwrap();
        }
    });
    rotate(&shop, Rotation::Pieces);
    rotate(&shop, Rotation::Journals);
    assert!(
        before
            .iter()
            // Those have turns of their own, and the key of frames seals nothing: it stays.
            .filter(|(name, _)| !name.contains("seed") && !name.starts_with("token/") && name != "frames")
            .all(|old| !secrets(&shop).contains(old))
    );
    let expected = i64::try_from(9_060 + ROUNDS * 50 - ROUNDS * 3 - ROUNDS).unwrap();
    for (last, text) in [(33, "children <= 18"), (60, "children <= 19")] {
        shop.close(last);
        assert_eq!(shop.size(text), expected);
        shop.reopen();
    }
    assert_eq!(shop.size("order.count() == 1"), expected);
}

#[test]
fn pseudonyms_change_only_when_asked_for() {
    let shop = Shop::new();
    shop.fill(0, 300, &["sharing.partner.greenbox"]);
    shop.close(20);
    let names = || -> BTreeSet<String> {
        let audience = shop.audience_of("greenbox", "true", &[]).unwrap();
        audience.members.into_iter().map(|member| member.pseudonym).collect()
    };
    let first = names();
    for what in [Rotation::Pieces, Rotation::Journals, Rotation::Root] {
        rotate(&shop, what);
    }
    assert_eq!(names(), first);
    assert_eq!(rotate(&shop, Rotation::Pseudonyms).keys, 1);
    let second = names();
    assert_eq!(second.len(), 300);
    assert!(second.is_disjoint(&first));
}

#[test]
fn the_next_token_key_is_published_before_it_signs_and_the_old_one_kept_until_its_tokens_expired() {
    use KeyState::{Active, Spare, Superseded};
    let mut shop = Shop::new();
    let states = |shop: &Shop| -> Vec<_> {
        shop.vault().token_keys().unwrap().iter().map(|key| (key.number, key.state)).collect()
    };
    assert_eq!(states(&shop), [(1, Active)]);
    let rotate_at = |shop: &Shop, seconds| shop.vault().rotate(&whole(shop), Rotation::Tokens, later(seconds), &|_| ());
    assert_eq!(rotate_at(&shop, 100).unwrap().keys, 1);
    let Err(VaultError::Refused(refusal)) = rotate_at(&shop, 200) else { panic!("two at once") };
    assert_eq!(refusal.reason, Reason::RequestInvalid);
    let old = shop.vault().token_keys().unwrap()[0].seed.clone();
    for (second, expected) in [
        (399, vec![(1, Active), (2, Spare)]),
        (400, vec![(1, Superseded), (2, Active)]),
        (729, vec![(1, Superseded), (2, Active)]),
        (730, vec![(2, Active)]),
    ] {
        shop.vault().tick(later(second)).unwrap();
        assert_eq!(states(&shop), expected, "at second {second}");
        shop.reopen();
        assert_eq!(states(&shop), expected, "opened again");
    }
    assert!(secrets(&shop).iter().all(|(_, key)| key != old.expose()), "the old seed is still there");
    let words = ["rotate keys of tokens", "rotate keys of tokens", "rotated keys of tokens", "destroy keys of tokens"];
    assert_eq!(key_leaves(&shop), words);
}

/// Follows the announcements of a tree from one key on, as a verifier does, and returns the last key.
fn followed(shop: &Shop, tree: crate::Tree, first: [u8; 32]) -> [u8; 32] {
    let officer = shop.permit(Role::Officer, Verb::ReadLog, None);
    let filter = crate::LogFilter::default();
    let (found, _) = shop.vault().search_log(&officer, tree, &filter, 0, 1_000, NOW).unwrap();
    let leaves = found.into_iter().map(|leaf| crate::log::Leaf::parse(leaf.json.as_bytes()).unwrap());
    leaves.fold(first, |key, leaf| leaf.key.filter(|_| leaf.signature.is_some()).unwrap_or(key))
}

#[test]
fn the_log_goes_on_under_another_key_that_the_old_one_announced() {
    let mut shop = Shop::new();
    let public = |shop: &Shop| shop.vault().log.public_key();
    let first = public(&shop);
    let old = named(&secrets(&shop), "log signing seed");
    for round in 0..2 {
        shop.fill(round * 10, 10, &["marketing.segmentation"]);
        shop.vault().tick(later(20)).unwrap();
        let before = public(&shop);
        assert_eq!(rotate(&shop, Rotation::Log).keys, 1);
        assert_ne!(public(&shop), before);
        for tree in [crate::Tree::Access, crate::Tree::Subject] {
            assert_eq!(followed(&shop, tree, first), public(&shop));
        }
        shop.reopen();
    }
    assert!(named(&secrets(&shop), "log signing seed").is_disjoint(&old), "the old seed is still there");
    assert_eq!(line(&shop, KeyKind::Log, KeyState::Active), Some((1, None)));
    shop.close(40);
    assert_eq!(shop.size("true"), 20);
}

/// Copies the folders of a vault that is not open.
fn copied(config: &Config, to: &Path) -> Config {
    let place = |of: &Path| to.join(of.file_name().unwrap());
    for folder in [&config.data, &config.root] {
        for file in files(folder) {
            let target = place(folder).join(file.strip_prefix(folder).unwrap());
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::copy(&file, target).unwrap();
        }
    }
    Config { data: place(&config.data), root: place(&config.root), ..config.clone() }
}

#[test]
fn dying_while_the_key_of_the_log_changes_leaves_one_key_that_the_log_announces() {
    let mut shop = Shop::new();
    shop.fill(0, 10, &["marketing.segmentation"]);
    shop.vault().tick(later(20)).unwrap();
    let first = shop.vault().log.public_key();
    shop.vault = None;
    let origin = shop.config.clone();
    let (mut olds, mut news) = (0, 0);
    for die_at in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let mortal = crate::disk::tests::Mortal::new();
        shop.config = Config { disk: mortal.disk(), ..copied(&origin, folder.path()) };
        shop.reopen();
        mortal.begin_again(Some(die_at));
        let outcome = shop.vault().rotate(&whole(&shop), Rotation::Log, later(30), &|_| ());
        let died = mortal.is_dead();
        shop.config.disk = Disk::default();
        shop.reopen();
        let now = shop.vault().log.public_key();
        assert!(outcome.is_err() || now != first, "an acknowledged change was lost at step {die_at}");
        if now == first {
            olds += 1
        } else {
            news += 1
        }
        for (tree, name) in [(crate::Tree::Access, "access"), (crate::Tree::Subject, "subject")] {
            assert_eq!(followed(&shop, tree, first), now, "step {die_at}");
            let signed =
                crate::log::judge::judge(&shop.config.data.join("log").join(name), &shop.vault().log_vkey(tree), &[]);
            assert!(signed.is_ok(), "step {die_at}: {signed:?}");
        }
        assert_eq!(line(&shop, KeyKind::Log, KeyState::Spare), None, "step {die_at}");
        rotate(&shop, Rotation::Log);
        if !died {
            break;
        }
    }
    assert!(olds > 5 && news > 5, "{olds} old, {news} new");
}

#[test]
fn a_vault_under_another_lock_is_in_the_log_and_opens_with_it_alone() {
    let lock = |text: &str| crate::keys::SecondLock::Passphrase(crate::keys::Passphrase::cheap(text));
    let mut shop = lived_in();
    shop.vault().relock(&whole(&shop), &lock("correct horse battery"), later(30)).unwrap();
    assert_eq!(key_leaves(&shop), ["rotate lock of the root", "rotated lock of the root"]);
    assert!(shop.vault().keys(&whole(&shop)).unwrap().locked);
    shop.fill(9_060, 10, &["marketing.segmentation"]);
    shop.vault = None;
    for wrong in [crate::keys::SecondLock::None, lock("another passphrase")] {
        let opened = Vault::open(&Config { lock: wrong, ..shop.config.clone() }, later(40));
        assert!(matches!(opened, Err(VaultError::Setup(_))));
    }
    shop.config.lock = lock("correct horse battery");
    shop.reopen();
    shop.close(40);
    assert_eq!(shop.size("true"), 9_070);
    rotate(&shop, Rotation::Root);
    shop.reopen();
    assert_eq!(shop.size("children >= 0"), 9_070);
}
