//! Tests of the store, on damaged files above all.

use super::*;
use crate::keys::SecretKey;
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use tempfile::TempDir;

fn key() -> DigestKey {
    DigestKey::new(SecretKey::from_bytes([7; 32]))
}

fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, 4 << 20, key())
}

/// A small generator with a fixed seed (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn content(store: &Store, prefix: &[u8]) -> Result<Model, StoreError> {
    let mut found = Model::new();
    store.scan_prefix(prefix, |key, value| {
        found.insert(key.to_vec(), value.to_vec());
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn fill(store: &Store, random: &mut Random, model: &mut Model, batches: u64) {
    for _ in 0..batches {
        let put: Vec<_> = (0..random.below(40)).map(|_| (random.bytes(2), random.below(300))).collect();
        let put: Vec<_> = put.into_iter().map(|(key, length)| (key, random.bytes(length))).collect();
        let remove: Vec<_> = (0..random.below(10)).map(|_| random.bytes(2)).collect();
        let pairs: Vec<_> = put.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
        store.write(&pairs, &remove.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        for key in &remove {
            model.remove(key);
        }
        model.extend(put);
    }
}

#[test]
fn content_and_digest_follow_a_plain_map() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    let (mut random, mut model) = (Random(1), Model::new());
    for _ in 0..4 {
        let store = open(&path).unwrap();
        assert_eq!(content(&store, &[]).unwrap(), model);
        fill(&store, &mut random, &mut model, 30);
        assert_eq!(content(&store, &[]).unwrap(), model);
        let digest = store.barrier().unwrap();
        assert_eq!(digest.count, model.len() as u64);
        assert_eq!(store.verify().unwrap(), digest);
        for first in 0..4 {
            let expected: Model =
                model.iter().filter(|(key, _)| key[0] == first).map(|(k, v)| (k.clone(), v.clone())).collect();
            assert_eq!(content(&store, &[first]).unwrap(), expected);
        }
    }
    let store = open(&path).unwrap();
    let gone = content(&store, &[9]).unwrap().len() as u64;
    assert_eq!(store.remove_prefix(&[9]).unwrap(), gone);
    assert_eq!(store.verify().unwrap(), store.digest());
    let all = store.remove_prefix(&[]).unwrap();
    assert_eq!(all + gone, model.len() as u64);
    assert_eq!(store.digest(), Digest::default());
}

#[test]
fn the_digest_does_not_depend_on_the_order_of_writes() {
    let folder = TempDir::new().unwrap();
    let [one, two] = ["one", "two"].map(|name| open(&folder.path().join(name)).unwrap());
    one.put_batch(&[(b"a", b"1"), (b"b", b"2")]).unwrap();
    two.put_batch(&[(b"b", b"9"), (b"c", b"3")]).unwrap();
    two.write(&[(b"b", b"2"), (b"a", b"1")], &[b"c"]).unwrap();
    assert_eq!(one.barrier().unwrap(), two.barrier().unwrap());
    two.put_batch(&[(b"a", b"2"), (b"b", b"1")]).unwrap();
    assert_ne!(one.digest(), two.digest());
    two.put_batch(&[(b"a", b"1"), (b"b", b"2")]).unwrap();
    assert_eq!(one.digest(), two.digest());
}

#[test]
fn the_digest_of_two_pairs_is_frozen() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder.path().join("db")).unwrap();
    store.put_batch(&[(b"a", b"1"), (b"b", b"")]).unwrap();
    let bytes = store.digest().to_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "020000000000000056e3fcfd24b381a946da7973b6e483f4248899dbe4650783282c905a5d6e9031");
    assert_eq!(Digest::from_bytes(&bytes), store.digest());
}

#[test]
fn scanning_goes_on_from_a_key_within_the_prefix() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder.path().join("db")).unwrap();
    store.put_batch(&[(b"aa", b""), (b"b1", b""), (b"b2", b""), (b"c", b"")]).unwrap();
    let keys = |prefix: &[u8], from: &[u8]| {
        let mut keys = Vec::new();
        store
            .scan_from(prefix, from, |key, _| {
                keys.push(String::from_utf8(key.to_vec()).unwrap());
                if keys.len() < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
            .unwrap();
        keys
    };
    assert_eq!(keys(b"b", b"b2"), ["b2"]);
    assert_eq!(keys(b"b", b""), ["b1", "b2"]);
    assert_eq!(keys(b"b", b"c"), [""; 0]);
    assert_eq!(keys(b"", b""), ["aa", "b1"]);
}

#[test]
fn batches_keys_and_values_out_of_their_limits_change_nothing() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder.path().join("db")).unwrap();
    let long_value = vec![0; MAX_VALUE_BYTES + 1];
    let long_key = vec![0; MAX_KEY_BYTES + 1];
    let keys: Vec<_> = (0..=MAX_BATCH_KEYS as u32).map(u32::to_be_bytes).collect();
    let many: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (key.as_slice(), &[][..])).collect();
    for pairs in [&many[..], &[(b"ok", b""), (b"k", &long_value)], &[(&long_key, b"")], &[(b"", b"")]] {
        assert!(matches!(store.put_batch(pairs), Err(StoreError::Limit { .. })));
    }
    assert_eq!(store.verify().unwrap(), Digest::default());
    store.put_batch(&many[1..]).unwrap();
    store.put_batch(&[(&long_key[1..], &long_value[1..])]).unwrap();
    assert_eq!(store.digest().count, MAX_BATCH_KEYS as u64 + 1);
}

#[test]
fn a_destroyed_database_is_empty_and_usable() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder.path().join("db")).unwrap();
    store.put_batch(&[(b"a", b"1")]).unwrap();
    let store = store.destroy_and_recreate().unwrap();
    assert_eq!(store.digest(), Digest::default());
    store.put_batch(&[(b"a", b"2")]).unwrap();
    assert_eq!(store.get(b"a").unwrap().unwrap(), b"2");
}

/// What opening a damaged copy came to.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Equal,
    Differs,
    Refused,
}

fn open_damaged(path: &Path, sound: Digest, model: &Model) -> Outcome {
    let Ok(store) = open(path) else { return Outcome::Refused };
    let (digest, found) = (store.verify(), content(&store, &[]));
    match (digest, found) {
        (Ok(digest), Ok(found)) if digest == sound => {
            assert_eq!(found, *model, "a wrong value under the right digest");
            Outcome::Equal
        }
        (Ok(_), Ok(_)) => Outcome::Differs,
        _ => Outcome::Refused,
    }
}

#[test]
fn a_flipped_byte_is_refused_or_differs_or_does_not_matter() {
    let folder = TempDir::new().unwrap();
    let origin = folder.path().join("origin");
    let (mut random, mut model) = (Random(99), Model::new());
    let store = open(&origin).unwrap();
    fill(&store, &mut random, &mut model, 60);
    let sound = store.barrier().unwrap();
    drop(store);
    let files: Vec<_> =
        fs::read_dir(&origin).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()).collect();
    let used = fs::read(origin.join("db")).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64;
    let mut outcomes = BTreeMap::new();
    let copy_to = |name: String| {
        let copy = folder.path().join(name);
        fs::create_dir(&copy).unwrap();
        for file in &files {
            fs::copy(file, copy.join(file.file_name().unwrap())).unwrap();
        }
        copy
    };
    assert_eq!(open_damaged(&copy_to("sound".to_owned()), sound, &model), Outcome::Equal);
    for round in 0..100 {
        let copy = copy_to(format!("copy{round}"));
        // Mostly the part of the database that is in use; now and then one of the small files beside it.
        let target = if round % 10 == 0 { &files[round / 10 % files.len()] } else { &origin.join("db") };
        let target = copy.join(target.file_name().unwrap());
        let mut bytes = fs::read(&target).unwrap();
        let at = random.below(bytes.len() as u64 - 1).min(random.below(used) + 1) as usize;
        bytes[at] ^= 1 << random.below(8);
        fs::write(&target, bytes).unwrap();
        *outcomes.entry(open_damaged(&copy, sound, &model)).or_insert(0) += 1;
        fs::remove_dir_all(&copy).unwrap();
    }
    assert!(outcomes.contains_key(&Outcome::Differs) || outcomes.contains_key(&Outcome::Refused), "{outcomes:?}");
}

#[test]
fn a_cut_or_emptied_file_is_refused_or_differs() {
    let folder = TempDir::new().unwrap();
    let (mut random, mut model) = (Random(5), Model::new());
    let origin = folder.path().join("origin");
    let store = open(&origin).unwrap();
    fill(&store, &mut random, &mut model, 60);
    let sound = store.barrier().unwrap();
    drop(store);
    let db = fs::read(origin.join("db")).unwrap();
    let used = db.iter().rposition(|byte| *byte != 0).unwrap();
    for length in [0, 1, 100, used / 2, used - 1] {
        let copy = folder.path().join(format!("cut{length}"));
        fs::create_dir(&copy).unwrap();
        fs::copy(origin.join("conf"), copy.join("conf")).unwrap();
        fs::write(copy.join("db"), &db[..length]).unwrap();
        open_damaged(&copy, sound, &model);
    }
}
