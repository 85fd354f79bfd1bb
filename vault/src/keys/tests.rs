//! Tests of the key tree: every crash point, every damaged part, and what an old copy is worth.

mod mirror;

use super::cell::{CELL_BYTES, CELL_FILE, Root, SLOT_BYTES};
use super::lock::{OpenLock, Unlocking, Wrap};
use super::page::{self, PageId};
use super::*;
use crate::disk::Disk;
use crate::disk::tests::Mortal;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use zeroize::Zeroizing;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn cell(&self) -> PathBuf {
        self.root().join(CELL_FILE)
    }

    fn open(&self) -> Result<KeyTree, KeysError> {
        KeyTree::open(&self.root(), &self.data())
    }

    fn open_on(&self, mortal: &Arc<Mortal>) -> Result<KeyTree, KeysError> {
        KeyTree::open_on(&mortal.disk(), &self.root(), &self.data(), &SecondLock::None)
    }

    fn pages(&self) -> Vec<PathBuf> {
        let mut pages: Vec<_> =
            fs::read_dir(self.data().join("keys")).unwrap().map(|file| file.unwrap().path()).collect();
        pages.sort();
        pages
    }

    /// A vault of two datasets whose pieces fill three pages, and some names; three generations old.
    fn filled() -> Self {
        let place = Self::new();
        let first = Changes {
            put: vec![piece(1, 0, 1), piece(1, 70, 1), piece(2, 5, 1)],
            put_secrets: vec![("log".into(), key(1)), ("journal/1".into(), key(2))],
            put_records: vec![("wal".into(), vec![1])],
            ..Changes::default()
        };
        let mut tree = KeyTree::create(&place.root(), &place.data(), first).unwrap();
        tree.commit(Changes { put_records: vec![("ordinals".into(), vec![2; 9])], ..Changes::default() }).unwrap();
        tree.commit(Changes { put: vec![piece(1, 3, 1)], ..Changes::default() }).unwrap();
        place
    }
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes([byte; 32])
}

fn id(dataset: u32, block: u32) -> PieceId {
    PieceId { dataset, block, kind: PieceKind::Events(3), part: 1 }
}

fn piece(dataset: u32, block: u32, version: u64) -> PieceEntry {
    PieceEntry {
        id: id(dataset, block),
        version,
        epoch: 4,
        state: PieceState::Closed,
        key: key(version as u8 ^ 0xa0),
        file: 77 + version,
        sha256: [9; 32],
        bytes: 1234,
    }
}

/// Changes every kind of thing: a page rewritten, a page that ends, one left alone, a secret and a record replaced.
fn switch() -> Changes {
    Changes {
        put: vec![piece(1, 0, 2)],
        remove: vec![(id(2, 5), PieceState::Closed)],
        put_secrets: vec![("journal/1".into(), key(3))],
        remove_secrets: vec!["log".into()],
        put_records: vec![("wal".into(), vec![5])],
        ..Changes::default()
    }
}

/// All that a tree says, keys included.
fn content(tree: &KeyTree) -> BTreeMap<String, Vec<u8>> {
    let piece = |entry: &PieceEntry| {
        let place = (entry.version, entry.epoch, entry.file, entry.sha256, entry.bytes, entry.key.expose());
        (format!("{:?} {:?}", entry.id, entry.state), format!("{place:?}").into_bytes())
    };
    let mut all: BTreeMap<_, _> = tree.entries().iter().map(piece).collect();
    all.extend(tree.secrets("").map(|(name, key)| (format!("secret {name}"), key.expose().to_vec())));
    all.extend(tree.records("").map(|(name, value)| (format!("record {name}"), value.to_vec())));
    all
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1 << (at % 8);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_commit_survives_opening_again() {
    let place = Place::filled();
    let mut tree = place.open().unwrap();
    tree.commit(switch()).unwrap();
    let before = content(&tree);
    drop(tree);
    let tree = place.open().unwrap();
    assert_eq!(content(&tree), before);
    assert_eq!(tree.generation(), 4);
    assert_eq!(tree.secret("journal/1").unwrap().expose(), &[3; 32]);
    assert!(tree.secret("log").is_none());
    assert_eq!(tree.record("ordinals").unwrap(), vec![2; 9]);
    let entries = tree.entries();
    assert_eq!(entries.get(&id(1, 0), PieceState::Closed).unwrap().version, 2);
    assert!(entries.get(&id(2, 5), PieceState::Closed).is_none());
    assert_eq!(entries.dataset(1).count(), 3);
    assert_eq!(entries.block(1, 3, PieceState::Closed).count(), 1);
    assert_eq!(entries.block(1, 3, PieceState::Building).count(), 0);
}

#[test]
fn a_snapshot_does_not_move_when_the_tree_does() {
    let place = Place::filled();
    let mut tree = place.open().unwrap();
    let snapshot = tree.entries();
    tree.commit(switch()).unwrap();
    assert_eq!(snapshot.get(&id(1, 0), PieceState::Closed).unwrap().version, 1);
    assert_eq!(snapshot.len(), 4);
}

#[test]
fn the_steps_of_a_commit_are_in_the_order_that_makes_it_atomic() {
    let place = Place::filled();
    let mortal = Mortal::new();
    let mut tree = place.open_on(&mortal).unwrap();
    mortal.begin_again(None);
    tree.commit(Changes { put: vec![piece(1, 0, 2)], ..Changes::default() }).unwrap();
    let page = ["create", "write", "sync", "rename"];
    let slot = ["write", "sync"];
    let expected = [&page[..], &page, &["sync folder"], &slot, &slot, &["unlink", "unlink"]].concat();
    assert_eq!(mortal.steps(), expected);
}

#[test]
fn dying_at_any_step_of_a_commit_leaves_the_old_generation_or_the_new() {
    let origin = Place::filled();
    let old = content(&origin.open().unwrap());
    let (mut olds, mut news) = (0, 0);
    for torn in [false, true] {
        for die_at in 0.. {
            let place = Place::new();
            copy_folder(origin.0.path(), place.0.path());
            let mortal = Mortal::new();
            let mut tree = place.open_on(&mortal).unwrap();
            mortal.begin_again(Some(die_at));
            if torn {
                mortal.tear();
            }
            let outcome = tree.commit(switch());
            let died = mortal.is_dead();
            let settled = tree.commit(Changes::default());
            assert!(!died || settled.is_err());
            drop(tree);
            let mut tree = place.open().unwrap();
            let found = content(&tree);
            if found == old {
                assert!(outcome.is_err(), "an acknowledged commit was lost at step {die_at}");
                olds += 1;
            } else {
                assert_eq!(found.get("record wal"), Some(&vec![5]), "step {die_at}");
                assert_eq!(found.len(), old.len() - 2);
                news += 1;
            }
            let cell = fs::read(place.cell()).unwrap();
            assert_eq!(cell[..SLOT_BYTES], cell[SLOT_BYTES..], "a stale root stayed at step {die_at}");
            assert_eq!(place.pages().len(), 1 + if found == old { 4 } else { 3 }, "strays at step {die_at}");
            tree.commit(switch()).unwrap();
            drop(tree);
            place.open().unwrap();
            if !died {
                break;
            }
        }
    }
    assert!(olds > 20 && news > 10, "{olds} old, {news} new");
}

#[test]
fn dying_while_creating_leaves_nothing_or_a_vault() {
    let first = || Changes { put_secrets: vec![("log".into(), key(1))], ..Changes::default() };
    for torn in [false, true] {
        for die_at in 0.. {
            let place = Place::new();
            let disk = Mortal::dying_at(die_at, torn).disk();
            let created = KeyTree::create_on(&disk, &place.root(), &place.data(), &SecondLock::None, first());
            if created.is_ok() {
                break;
            }
            match place.open() {
                Ok(tree) => assert!(tree.secret("log").is_some()),
                Err(KeysError::NotAVault(_)) => {
                    KeyTree::create(&place.root(), &place.data(), first()).unwrap();
                    assert!(place.open().unwrap().secret("log").is_some());
                }
                Err(error) => panic!("step {die_at}: {error}"),
            }
        }
    }
}

#[test]
fn a_cell_and_its_newer_slot_are_durable_before_the_older_one_goes() {
    let place = Place::filled();
    flip(&place.cell(), SLOT_BYTES + 30);
    let mortal = Mortal::new();
    place.open_on(&mortal).unwrap();
    assert_eq!(mortal.steps(), ["sync folder", "sync", "write", "sync"]);
}

#[test]
fn dying_while_a_stale_slot_is_repaired_is_repaired_later() {
    let origin = Place::filled();
    let old = content(&origin.open().unwrap());
    for slot in [0, 1] {
        for (die_at, torn) in [(0, false), (1, false), (2, false), (2, true), (3, false)] {
            let place = Place::new();
            copy_folder(origin.0.path(), place.0.path());
            flip(&place.cell(), slot * SLOT_BYTES + 30);
            place.open_on(&Mortal::dying_at(die_at, torn)).unwrap_err();
            assert_eq!(content(&place.open().unwrap()), old);
            let cell = fs::read(place.cell()).unwrap();
            assert_eq!(cell[..SLOT_BYTES], cell[SLOT_BYTES..]);
        }
    }
}

#[test]
fn a_failed_commit_changes_nothing_and_can_be_repeated() {
    let place = Place::filled();
    let mortal = Mortal::new();
    let mut tree = place.open_on(&mortal).unwrap();
    let old = content(&tree);
    mortal.begin_again(Some(5));
    assert!(matches!(tree.commit(switch()), Err(KeysError::Io { .. })));
    assert_eq!(content(&tree), old);
    mortal.begin_again(None);
    tree.commit(switch()).unwrap();
    let new = content(&tree);
    drop(tree);
    assert_eq!(content(&place.open().unwrap()), new);
}

#[test]
fn a_commit_that_died_on_the_root_is_followed_by_refusals() {
    let place = Place::filled();
    let mortal = Mortal::new();
    let mut tree = place.open_on(&mortal).unwrap();
    tree.commit(Changes::default()).unwrap();
    let to_the_root = 5;
    mortal.begin_again(Some(to_the_root + 1));
    assert!(tree.commit(Changes::default()).is_err());
    mortal.begin_again(None);
    assert!(matches!(tree.commit(Changes::default()), Err(KeysError::Unsettled)));
}

/// Opens a copy in which one thing was done to a file, and returns the refusal.
fn refusal(origin: &Place, damage: impl FnOnce(&Place)) -> KeysError {
    let place = Place::new();
    copy_folder(origin.0.path(), place.0.path());
    damage(&place);
    place.open().expect_err("damage was accepted")
}

fn names_page(error: &KeysError, page: &str) -> bool {
    matches!(error, KeysError::Damaged { part: Part::Page(name), .. } if name == page)
}

#[test]
fn any_flipped_byte_of_any_page_is_refused_by_name() {
    let origin = Place::filled();
    for page in origin.pages() {
        let name = page.file_name().unwrap().to_str().unwrap().to_owned();
        let length = fs::read(&page).unwrap().len();
        for at in (0..length).step_by(if length > 200 { 7 } else { 1 }).chain(0..80) {
            let error = refusal(&origin, |place| flip(&place.data().join("keys").join(&name), at));
            assert!(names_page(&error, &name), "byte {at} of {name}: {error}");
        }
    }
}

#[test]
fn a_cut_grown_missing_or_empty_page_is_refused_by_name() {
    let origin = Place::filled();
    for page in origin.pages() {
        let name = page.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = fs::read(&page).unwrap();
        let longer = [&bytes[..], &[0]].concat();
        for left in [&bytes[..0], &bytes[..1], &bytes[..79], &bytes[..80], &bytes[..bytes.len() - 1], &longer] {
            let error = refusal(&origin, |place| fs::write(place.data().join("keys").join(&name), left).unwrap());
            assert!(names_page(&error, &name), "{} bytes of {name}: {error}", left.len());
        }
        let error = refusal(&origin, |place| fs::remove_file(place.data().join("keys").join(&name)).unwrap());
        assert!(names_page(&error, &name), "{error}");
    }
}

#[test]
fn swapped_pages_are_refused() {
    let origin = Place::filled();
    let pages = origin.pages();
    for (one, other) in pages.iter().zip(pages.iter().skip(1)) {
        let error = refusal(&origin, |place| {
            let folder = place.data().join("keys");
            fs::copy(one, folder.join(other.file_name().unwrap())).unwrap();
            fs::copy(other, folder.join(one.file_name().unwrap())).unwrap();
        });
        assert!(matches!(error, KeysError::Damaged { part: Part::Page(_), .. }), "{error}");
    }
}

#[test]
fn one_damaged_slot_is_survived_and_mended() {
    let origin = Place::filled();
    let old = content(&origin.open().unwrap());
    for at in (0..84).chain(SLOT_BYTES..SLOT_BYTES + 84) {
        let place = Place::new();
        copy_folder(origin.0.path(), place.0.path());
        flip(&place.cell(), at);
        assert_eq!(content(&place.open().unwrap()), old, "byte {at}");
        assert_eq!(fs::read(place.cell()).unwrap(), fs::read(origin.cell()).unwrap());
    }
}

#[test]
fn two_damaged_slots_are_refused_by_name() {
    let origin = Place::filled();
    for at in 0..84 {
        let error = refusal(&origin, |place| {
            flip(&place.cell(), at);
            flip(&place.cell(), SLOT_BYTES + at);
        });
        assert!(matches!(error, KeysError::NoRoot { .. }), "byte {at}: {error}");
    }
    for length in [0, 1, 83, SLOT_BYTES - 1] {
        let error = refusal(&origin, |place| {
            fs::OpenOptions::new().write(true).open(place.cell()).unwrap().set_len(length as u64).unwrap();
        });
        assert!(matches!(error, KeysError::NoRoot { .. }), "{length} bytes: {error}");
    }
    let error = refusal(&origin, |place| fs::write(place.cell(), [0; CELL_BYTES + 1]).unwrap());
    assert!(matches!(error, KeysError::NoRoot { .. }), "{error}");
}

#[test]
fn a_copy_of_the_data_folder_is_worthless_after_a_commit() {
    let place = Place::filled();
    let copy = Place::new();
    copy_folder(&place.data(), &copy.data());
    let old_root =
        Root::decode(&fs::read(place.cell()).unwrap()[..SLOT_BYTES], &mut Unlocking::new(&SecondLock::None)).unwrap();
    place.open().unwrap().commit(Changes::default()).unwrap();
    let cell = fs::read(place.cell()).unwrap();
    let gone = old_root.key.expose();
    assert!(!cell.windows(32).any(|bytes| bytes == gone), "the old root is still in the cell");
    copy_folder(&place.root(), &copy.root());
    let error = copy.open().unwrap_err();
    assert!(matches!(error, KeysError::Damaged { part: Part::Page(_), .. }), "{error}");
    // The old top page under its new name does not open either.
    let keys = copy.data().join("keys");
    fs::rename(keys.join(PageId::Top.file_name(3)), keys.join(PageId::Top.file_name(4))).unwrap();
    assert!(copy.open().is_err());
}

#[test]
fn no_key_is_in_clear_in_the_data_folder() {
    let place = Place::filled();
    for page in place.pages() {
        let bytes = fs::read(&page).unwrap();
        for byte in [1, 2, 0xa1] {
            assert!(!bytes.windows(8).any(|window| window == [byte; 8]), "{}", page.display());
        }
    }
}

#[test]
fn only_pages_that_changed_are_rewritten() {
    let place = Place::filled();
    let before = place.pages();
    place.open().unwrap().commit(Changes { put: vec![piece(1, 70, 2)], ..Changes::default() }).unwrap();
    let after = place.pages();
    let kept = before.iter().filter(|page| after.contains(page)).count();
    assert_eq!((before.len(), after.len(), kept), (5, 5, 3));
}

#[test]
fn a_second_process_is_kept_out() {
    let place = Place::filled();
    let tree = place.open().unwrap();
    let error = place.open().unwrap_err();
    assert!(error.to_string().ends_with("is in use by another process"), "{error}");
    // A copy of the data folder under the same root would take the root away from the first.
    let copy = place.0.path().join("copy");
    copy_folder(&place.data(), &copy);
    assert!(matches!(KeyTree::open(&place.root(), &copy), Err(KeysError::InUse(_))));
    drop(tree);
    place.open().unwrap();
}

#[test]
fn folders_that_hold_a_vault_are_not_created_over() {
    let place = Place::filled();
    let again = KeyTree::create(&place.root(), &place.data(), Changes::default());
    assert!(matches!(again, Err(KeysError::Exists(_))));
    let elsewhere = place.0.path().join("elsewhere");
    assert!(matches!(KeyTree::create(&elsewhere, &place.data(), Changes::default()), Err(KeysError::Exists(_))));
    assert!(matches!(KeyTree::open(&place.data(), &place.data()), Err(KeysError::NotAVault(_))));
}

#[test]
fn names_and_records_out_of_their_limits_are_refused() {
    let place = Place::filled();
    let mut tree = place.open().unwrap();
    let record = |name: &str, bytes| Changes { put_records: vec![(name.into(), vec![0; bytes])], ..Changes::default() };
    for changes in [record("", 1), record(&"n".repeat(201), 1), record("n", 4097)] {
        assert!(matches!(tree.commit(changes), Err(KeysError::Size { .. })));
    }
    tree.commit(record(&"n".repeat(200), 4096)).unwrap();
    drop(tree);
    assert_eq!(place.open().unwrap().record(&"n".repeat(200)).unwrap().len(), 4096);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_of_a_slot_are_frozen() {
    let slot = Root { generation: 0x0102, key: key(0x11), wrap: Wrap::None }.encode();
    assert_eq!(slot.len(), SLOT_BYTES);
    assert_eq!(
        hex(&slot[..84]),
        "53494c48524f4f54010000000201000000000000".to_owned()
            + &"11".repeat(32)
            + "f9f904f8669fa4ab38f39eadd6c2d5122313e6fff6ba0a16172b8988d3f6cfd5"
    );
    assert!(slot[84..].iter().all(|byte| *byte == 0));
}

#[test]
fn the_bytes_of_a_page_are_frozen() {
    let id = PageId::Blocks { dataset: 7, group: 9 };
    assert_eq!(id.file_name(0x0203), "blocks-00000007-00000009-0000000000000203.page");
    let body = || Zeroizing::new(b"body".to_vec());
    let page = page::seal_with_salt(id, 0x0203, &key(0x33), body(), &[0x22; 32]).unwrap();
    assert_eq!(HEADER_FIELDS.iter().map(|(_, bytes)| bytes).sum::<usize>(), 80);
    assert_eq!(
        hex(&page),
        "53494c484b4559500100010207000000090000000302000000000000".to_owned()
            + &"22".repeat(32)
            + "7d935cef149cb8af6db65211a3df48f404000000f9307e15f654558d79c322d445176d6c8d6029db"
    );
    assert_eq!(page::open(id, 0x0203, &key(0x33), &page).unwrap(), body());
}

#[test]
fn a_page_opens_only_in_its_place_and_under_its_key() {
    let id = PageId::Blocks { dataset: 7, group: 9 };
    let page = page::seal(id, 5, &key(1), Zeroizing::new(b"body".to_vec())).unwrap();
    let elsewhere = PageId::Blocks { dataset: 7, group: 8 };
    assert!(page::open(id, 5, &key(1), &page).is_ok());
    assert!(page::open(elsewhere, 5, &key(1), &page).is_err());
    assert!(page::open(id, 6, &key(1), &page).is_err());
    let error = page::open(id, 5, &key(2), &page).unwrap_err();
    assert!(error.to_string().contains("another key"), "{error}");
}

#[test]
fn names_of_pages_read_back() {
    for id in [PageId::Top, PageId::Names, PageId::Blocks { dataset: u32::MAX, group: 1 }] {
        assert_eq!(PageId::from_file_name(&id.file_name(12)), Some((id, 12)));
    }
    for name in ["", "top.page", "top-00000000-00000000-1.page", "names-00000001-00000000-0000000000000001.page"] {
        assert_eq!(PageId::from_file_name(name), None, "{name}");
    }
}

fn phrase(text: &str) -> SecondLock {
    SecondLock::Passphrase(Passphrase::cheap(text))
}

/// The vault of [`Place::filled`], locked.
fn locked(text: &str) -> Place {
    let place = Place::filled();
    place.open().unwrap().relock(&phrase(text), Changes::default()).unwrap();
    place
}

impl Place {
    fn open_with(&self, lock: &SecondLock) -> Result<KeyTree, KeysError> {
        KeyTree::open_on(&Disk::default(), &self.root(), &self.data(), lock)
    }
}

#[test]
fn a_locked_root_opens_with_its_passphrase_alone() {
    let place = locked("correct horse battery");
    let cell = fs::read(place.cell()).unwrap();
    assert!(matches!(place.open(), Err(KeysError::Locked)));
    let error = place.open_with(&phrase("correct horse batterz")).unwrap_err();
    assert!(matches!(error, KeysError::WrongPassphrase), "{error}");
    assert_eq!(fs::read(place.cell()).unwrap(), cell, "who is not let in changes nothing");
    let mut tree = place.open_with(&phrase("correct horse battery")).unwrap();
    assert!(tree.is_locked());
    for _ in 0..3 {
        tree.commit(switch()).unwrap();
    }
    let (content_before, generation) = (content(&tree), tree.generation());
    drop(tree);
    assert!(matches!(place.open(), Err(KeysError::Locked)));
    let tree = place.open_with(&phrase("correct horse battery")).unwrap();
    assert_eq!((content(&tree), tree.generation()), (content_before, generation));
    let cell = fs::read(place.cell()).unwrap();
    assert_eq!(cell[..SLOT_BYTES], cell[SLOT_BYTES..]);
    assert!(!cell.windows(32).any(|bytes| bytes == tree.root_key().expose()), "the root is in the cell in clear");
}

#[test]
fn another_lock_is_in_force_from_the_commit_that_sets_it() {
    let place = locked("the first passphrase");
    let mut tree = place.open_with(&phrase("the first passphrase")).unwrap();
    tree.relock(&phrase("the second passphrase"), Changes::default()).unwrap();
    tree.commit(Changes::default()).unwrap();
    drop(tree);
    assert!(matches!(place.open_with(&phrase("the first passphrase")), Err(KeysError::WrongPassphrase)));
    let mut tree = place.open_with(&phrase("the second passphrase")).unwrap();
    tree.relock(&SecondLock::None, Changes::default()).unwrap();
    drop(tree);
    assert!(matches!(place.open_with(&phrase("the second passphrase")), Err(KeysError::NotLocked)));
    assert!(!place.open().unwrap().is_locked());
}

#[test]
fn dying_while_a_lock_is_set_leaves_the_old_lock_or_the_new() {
    let (old, new) = (phrase("the first passphrase"), phrase("the second passphrase"));
    let origin = locked("the first passphrase");
    let before = content(&origin.open_with(&old).unwrap());
    let (mut olds, mut news) = (0, 0);
    for die_at in 0.. {
        let place = Place::new();
        copy_folder(origin.0.path(), place.0.path());
        let mortal = Mortal::dying_at(die_at, true);
        let outcome = KeyTree::open_on(&mortal.disk(), &place.root(), &place.data(), &old)
            .and_then(|mut tree| tree.relock(&new, Changes::default()));
        if outcome.is_ok() {
            assert!(matches!(place.open_with(&old), Err(KeysError::WrongPassphrase)));
        }
        let tree =
            place.open_with(&new).inspect(|_| news += 1).or_else(|_| place.open_with(&old).inspect(|_| olds += 1));
        assert_eq!(content(&tree.unwrap()), before, "step {die_at}");
        let cell = fs::read(place.cell()).unwrap();
        assert_eq!(cell[..SLOT_BYTES], cell[SLOT_BYTES..], "the other lock stayed at step {die_at}");
        if !mortal.is_dead() {
            break;
        }
    }
    assert!(olds > 3 && news > 3, "{olds} old, {news} new");
}

#[test]
fn a_failed_change_of_the_lock_leaves_the_old_one_in_force() {
    let place = locked("the first passphrase");
    let old = phrase("the first passphrase");
    let mortal = Mortal::new();
    let mut tree = KeyTree::open_on(&mortal.disk(), &place.root(), &place.data(), &old).unwrap();
    mortal.begin_again(Some(2));
    assert!(matches!(tree.relock(&SecondLock::None, Changes::default()), Err(KeysError::Io { .. })));
    mortal.begin_again(None);
    assert!(tree.is_locked());
    tree.commit(switch()).unwrap();
    drop(tree);
    place.open_with(&old).unwrap();
}

#[test]
fn damage_of_a_locked_root_is_not_called_a_wrong_passphrase() {
    let origin = locked("correct horse battery");
    let lock = phrase("correct horse battery");
    for at in 0..184 {
        let place = Place::new();
        copy_folder(origin.0.path(), place.0.path());
        flip(&place.cell(), at);
        place.open_with(&lock).unwrap();
        assert_eq!(fs::read(place.cell()).unwrap(), fs::read(origin.cell()).unwrap(), "byte {at} was not mended");
        flip(&place.cell(), at);
        flip(&place.cell(), SLOT_BYTES + at);
        let error = place.open_with(&lock).map(drop);
        assert!(error.is_ok() || matches!(error, Err(KeysError::NoRoot { .. })), "byte {at}: {error:?}");
        flip(&place.cell(), at);
        let bytes = fs::read(place.cell()).unwrap();
        fs::write(place.cell(), [&bytes[SLOT_BYTES..], &bytes[SLOT_BYTES..]].concat()).unwrap();
    }
}

#[test]
fn a_cell_that_asks_for_all_memory_is_refused() {
    let origin = locked("correct horse battery");
    let mut cell = fs::read(origin.cell()).unwrap();
    for slot in cell.chunks_mut(SLOT_BYTES) {
        slot[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
        let checksum = Sha256::digest(&slot[..152]);
        slot[152..184].copy_from_slice(&checksum);
    }
    fs::write(origin.cell(), cell).unwrap();
    let error = origin.open_with(&phrase("correct horse battery")).unwrap_err();
    assert!(matches!(error, KeysError::NoRoot { first: "is locked at a cost that no lock has", .. }), "{error}");
}

#[test]
fn a_passphrase_is_one_line_of_some_length_and_is_never_shown() {
    let new = |text: &str| Passphrase::new(Zeroizing::new(text.as_bytes().to_vec()));
    for bad in ["", "short", "elevenchars", "two\nlines of it", &"x".repeat(1025), "with a\0zero byte"] {
        assert_eq!(new(bad).map(drop), Err(BadPassphrase), "{bad:?}");
    }
    for good in ["twelve chars", "twelve chars\n", "twelve chars\r\n"] {
        assert_eq!(format!("{:?}", new(good).unwrap()), "Passphrase(..)");
        assert!(!format!("{:?}", phrase(good)).contains("twelve"));
    }
}

#[test]
fn the_bytes_of_a_locked_slot_are_frozen() {
    let lock = SecondLock::Passphrase(Passphrase::cheap("correct horse battery"));
    let mut open = OpenLock::with_salt(&lock, [0x22; 16]).unwrap();
    let root = open.seal(0x0102, key(0x11), [0x33; 32]).unwrap();
    let slot = root.encode();
    assert_eq!(slot.len(), SLOT_BYTES);
    assert_eq!(
        hex(&slot[..184]),
        "53494c48524f4f54010001000201000000000000".to_owned()
            + "400000000100000001000000"
            + &"22".repeat(16)
            + "0100000000000000"
            + &"33".repeat(32)
            + GOLDEN_SEAL
    );
    assert!(slot[184..].iter().all(|byte| *byte == 0));
    let again = Root::decode(&slot, &mut Unlocking::new(&lock)).unwrap();
    assert_eq!((again.generation, again.key.expose()), (0x0102, &[0x11; 32]));
}

/// Commitment, sealed key and checksum.
const GOLDEN_SEAL: &str = concat!(
    "dc4c7cb5cb93972b6452dcacfc0de337",
    "369f6ea2e36fd0613daed5e617d5adc5dbd7d4aa3fa922ddffd7f49da462d4f3c556883d2924341fca86a7ecd1241a4b",
    "ae8787d038312376207a1d34a3b55d8315e84bb008f4cd51b4b7119bdb372d4c",
);
