use super::merkle::{Hash, leaf_hash};
use super::note::Head;
use super::*;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2::Sha256;
use std::fs;
use tempfile::TempDir;

const ORIGIN: &str = "example.com/shop";

fn open(dir: &Path) -> Result<Log, LogError> {
    Log::open(&Disk::default(), dir, ORIGIN, &SecretKey::from_bytes([1; 32]), &[])
}

fn entry(n: u64) -> Vec<u8> {
    format!("entry {n}").into_bytes()
}

fn fill(log: &Log, size: u64) {
    for n in log.size(Tree::Access)..size {
        assert_eq!(log.append(Tree::Access, entry(n)).unwrap(), n);
    }
}

fn persisted(size: u64) -> (TempDir, Log) {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    fill(&log, size);
    log.persist(log.sizes()).unwrap();
    (dir, log)
}

fn oracle(size: u64) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    (0..size).for_each(|n| tree.push(entry(n)));
    tree
}

fn root_of(tree: &MemoryBackedTree<Sha256, Vec<u8>>) -> Hash {
    let root = tree.root();
    root.as_bytes().as_slice().try_into().unwrap()
}

#[test]
fn roots_and_proofs_agree_with_an_independent_tree() {
    let (_dir, log) = persisted(70);
    fill(&log, 131);
    let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut roots: Vec<RootHash<Sha256>> = vec![tree.root()];
    assert_eq!(log.root(Tree::Access, 0).unwrap(), root_of(&tree));
    for size in 1..=131 {
        tree.push(entry(size - 1));
        assert_eq!(log.root(Tree::Access, size).unwrap(), root_of(&tree));
        roots.push(tree.root());
        for index in 0..size {
            let proof = log.inclusion_proof(Tree::Access, index, size).unwrap();
            let proof = InclusionProof::try_from_bytes(proof.concat()).unwrap();
            tree.root().verify_inclusion(&entry(index), index, &proof).unwrap();
        }
        for old in 1..=size {
            let proof = log.consistency_proof(Tree::Access, old, size).unwrap();
            let proof = ConsistencyProof::try_from_bytes(proof.concat()).unwrap();
            tree.root().verify_consistency(&roots[old as usize], &proof).unwrap();
        }
    }
}

#[test]
fn proofs_from_files_agree_with_an_independent_tree() {
    let size = 70_000;
    let (dir, log) = persisted(size);
    drop(log);
    assert_tiles_of_70000(dir.path());
    let log = open(dir.path()).unwrap();
    let tree = oracle(size);
    assert_eq!(log.root(Tree::Access, size).unwrap(), root_of(&tree));
    for index in [0, 1, 255, 256, 257, 65_535, 65_536, 65_791, 65_792, 69_999] {
        let proof = log.inclusion_proof(Tree::Access, index, size).unwrap();
        assert_eq!(proof.concat(), tree.prove_inclusion(index as usize).as_bytes());
        assert_eq!(log.leaf(Tree::Access, index).unwrap().as_ref(), entry(index));
    }
    for old in [1, 256, 300, 65_536, 69_999] {
        let proof = log.consistency_proof(Tree::Access, old, size).unwrap();
        assert_eq!(proof.concat(), tree.prove_consistency((size - old) as usize).as_bytes());
    }
}

#[test]
fn a_log_reopens_at_every_size_and_goes_on() {
    for size in [0, 1, 255, 256, 257, 512, 65_536] {
        let (dir, log) = persisted(size);
        let checkpoint = log.checkpoint_text(Tree::Access);
        drop(log);
        let log = open(dir.path()).unwrap();
        assert_eq!(log.sizes(), Sizes { access: size, subject: 0 });
        assert_eq!((log.persisted_size(Tree::Access), log.checkpoint_text(Tree::Access)), (size, checkpoint));
        fill(&log, size + 3);
        log.persist(log.sizes()).unwrap();
        assert_eq!(log.root(Tree::Access, size + 3).unwrap(), root_of(&oracle(size + 3)));
        drop(log);
        open(dir.path()).unwrap();
    }
}

#[test]
fn many_small_persists_keep_one_history() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    for size in (1..=600).step_by(7) {
        fill(&log, size);
        log.persist(log.sizes()).unwrap();
    }
    let size = log.size(Tree::Access);
    assert_eq!(log.root(Tree::Access, size).unwrap(), root_of(&oracle(size)));
    // Partial tiles are gone where a full one is signed.
    assert!(!dir.path().join("access/tile/0/000.p").exists());
    assert!(!dir.path().join("access/tile/entries/001.p").exists());
    assert!(dir.path().join("access/tile/entries/002.p").exists());
}

#[test]
fn only_what_is_durable_is_signed() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    fill(&log, 10);
    log.persist(Sizes { access: 4, subject: 0 }).unwrap();
    assert_eq!((log.size(Tree::Access), log.persisted_size(Tree::Access)), (10, 4));
    assert!(log.checkpoint_text(Tree::Access).starts_with("example.com/shop/access\n4\n"));
    assert!(log.tlog_proof(Tree::Access, 4).is_err());
    let more = Sizes { access: 11, subject: 0 };
    assert_eq!(log.persist(more), Err(LogError::OutOfRange { index: 11, size: 10 }));
    drop(log);
    assert_eq!(open(dir.path()).unwrap().size(Tree::Access), 4);
}

#[test]
fn replay_compares_what_is_signed_and_appends_the_rest() {
    let (dir, log) = persisted(300);
    drop(log);
    let log = open(dir.path()).unwrap();
    let leaves: Vec<_> = (290..310).map(|n| (Tree::Access, entry(n))).collect();
    log.replay(Sizes { access: 290, subject: 0 }, &leaves).unwrap();
    assert_eq!(log.size(Tree::Access), 310);
    for index in [0, 295, 305] {
        let error = log.append_replayed(Tree::Access, index, b"other").unwrap_err();
        assert_eq!(error, LogError::Inconsistent { origin: format!("{ORIGIN}/access"), index });
    }
    let error = log.append_replayed(Tree::Access, 311, b"gap").unwrap_err();
    assert_eq!(error, LogError::OutOfRange { index: 311, size: 310 });
    assert_eq!(log.root(Tree::Access, 310).unwrap(), root_of(&oracle(310)));
}

#[test]
fn a_scan_reads_files_and_memory_alike() {
    let (_dir, log) = persisted(600);
    fill(&log, 700);
    for (start, end) in [(0, 700), (250, 260), (590, 610), (699, 9_999), (700, 701), (5, 5)] {
        let read: Vec<_> = log.scan(Tree::Access, start, end).map(Result::unwrap).collect();
        let expected: Vec<_> = (start..end.min(700)).map(|n| (n, Arc::from(entry(n)))).collect();
        assert_eq!(read, expected);
    }
    assert_eq!(log.scan(Tree::Subject, 0, 9).count(), 0);
    assert!(log.leaf(Tree::Access, 700).is_err());
}

#[test]
fn any_flipped_byte_is_an_error_at_open_or_when_read() {
    let (dir, log) = persisted(515);
    drop(log);
    let read_all = || -> Result<(), LogError> {
        let log = open(dir.path())?;
        log.scan(Tree::Access, 0, 515).try_for_each(|leaf| leaf.map(|_| ()))
    };
    read_all().unwrap();
    let files = [
        ("checkpoint", 1),
        ("tile/entries/000", 97),
        ("tile/entries/001", 97),
        ("tile/entries/002.p/3", 1),
        ("tile/0/000", 331),
        ("tile/0/002.p/3", 1),
        ("tile/1/000.p/2", 1),
    ];
    for (file, step) in files {
        let path = dir.path().join("access").join(file);
        let good = fs::read(&path).unwrap();
        for at in (0..good.len()).step_by(step) {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(&path, bad).unwrap();
            assert!(read_all().is_err(), "{file} byte {at}");
        }
        fs::write(&path, good).unwrap();
    }
    read_all().unwrap();
}

#[test]
fn tiles_without_a_checkpoint_are_not_begun_anew() {
    let (dir, log) = persisted(3);
    drop(log);
    fs::remove_file(dir.path().join("access/checkpoint")).unwrap();
    assert!(matches!(open(dir.path()), Err(LogError::Damaged { .. })));
}

/// Notes which folders were synced.
#[derive(Default)]
struct Synced(parking_lot::Mutex<Vec<PathBuf>>);

impl crate::disk::Observer for Synced {
    fn before(&self, step: &crate::disk::Step<'_>) -> Result<(), crate::disk::Fault> {
        if let crate::disk::Step::SyncFolder(path) = step {
            self.0.lock().push((*path).to_owned());
        }
        Ok(())
    }
}

#[test]
fn a_checkpoint_that_a_killed_process_named_is_durable_before_it_counts_as_signed() {
    let (dir, log) = persisted(5);
    drop(log);
    let synced = Arc::<Synced>::default();
    let disk = Disk::observed(Arc::clone(&synced) as _);
    let log = Log::open(&disk, dir.path(), ORIGIN, &SecretKey::from_bytes([1; 32]), &[]).unwrap();
    assert_eq!(log.persisted_size(Tree::Access), 5);
    assert_eq!(*synced.0.lock(), [dir.path().join("access"), dir.path().join("subject")]);
}

#[test]
fn another_key_or_origin_does_not_open_a_log() {
    let (dir, log) = persisted(3);
    drop(log);
    assert!(Log::open(&Disk::default(), dir.path(), ORIGIN, &SecretKey::from_bytes([2; 32]), &[]).is_err());
    assert!(
        Log::open(&Disk::default(), dir.path(), "example.com/other", &SecretKey::from_bytes([1; 32]), &[]).is_err()
    );
    for origin in ["", "two words", "a+b", "line\nbreak"] {
        let error = Log::open(&Disk::default(), dir.path(), origin, &SecretKey::from_bytes([1; 32]), &[]).unwrap_err();
        assert_eq!(error, LogError::BadOrigin);
    }
}

#[test]
fn a_flipped_file_is_found_before_it_is_signed_again() {
    let (dir, log) = persisted(3);
    let checkpoint = log.checkpoint_text(Tree::Access);
    fill(&log, 5);
    // The next bundle can't be written: its name is a folder's.
    fs::create_dir_all(dir.path().join("access/tile/entries/000.p/5")).unwrap();
    assert!(log.persist(log.sizes()).is_err());
    assert_eq!(log.checkpoint_text(Tree::Access), checkpoint);
    fs::remove_dir(dir.path().join("access/tile/entries/000.p/5")).unwrap();
    log.persist(log.sizes()).unwrap();
    assert_eq!(log.persisted_size(Tree::Access), 5);
}

#[test]
fn a_leaf_of_the_longest_length_fits_and_one_byte_more_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    log.append(Tree::Subject, vec![7; MAX_LEAF]).unwrap();
    log.append(Tree::Subject, Vec::new()).unwrap();
    let error = log.append(Tree::Subject, vec![7; MAX_LEAF + 1]).unwrap_err();
    assert_eq!(error, LogError::LeafTooLarge { bytes: MAX_LEAF + 1 });
    log.persist(log.sizes()).unwrap();
    drop(log);
    let log = open(dir.path()).unwrap();
    assert_eq!(log.leaf(Tree::Subject, 0).unwrap().len(), MAX_LEAF);
    assert_eq!(log.leaf(Tree::Subject, 1).unwrap().len(), 0);
}

#[test]
fn appends_and_reads_go_on_during_a_persist() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| fill(&log, 3_000));
        scope.spawn(|| (0..10).for_each(|_| log.persist(log.sizes()).unwrap()));
        scope.spawn(|| {
            for n in 0..300 {
                let size = log.size(Tree::Access);
                if size > 0 {
                    assert_eq!(log.leaf(Tree::Access, n % size).unwrap().as_ref(), entry(n % size));
                    log.root(Tree::Access, size).unwrap();
                }
            }
        });
    });
    log.persist(log.sizes()).unwrap();
    assert_eq!(log.root(Tree::Access, 3_000).unwrap(), root_of(&oracle(3_000)));
}

#[test]
fn tile_paths_follow_the_specification() {
    let path = |kind, n, width| tiles::path(Path::new(""), kind, n, width).display().to_string();
    assert_eq!(path(tiles::Kind::Hashes(0), 1_234_067, 256), "tile/0/x001/x234/067");
    assert_eq!(path(tiles::Kind::Hashes(1), 0, 17), "tile/1/000.p/17");
    assert_eq!(path(tiles::Kind::Entries, 1_000, 1), "tile/entries/x001/000.p/1");
    assert_eq!(path(tiles::Kind::Entries, 999, 256), "tile/entries/999");
}

/// The tiles that the specification lists for a tree of 70,000.
#[track_caller]
fn assert_tiles_of_70000(dir: &Path) {
    let tile = |path: &str| fs::metadata(dir.join("access/tile").join(path)).map(|file| file.len()).ok();
    assert_eq!(tile("0/272"), Some(8_192));
    assert_eq!(tile("0/273"), None);
    assert_eq!(tile("0/273.p/112"), Some(112 * 32));
    assert_eq!(tile("1/000"), Some(8_192));
    assert_eq!(tile("1/001.p/17"), Some(17 * 32));
    assert_eq!(tile("2/000.p/1"), Some(32));
}

/// RFC 6962 hashes of the empty tree and the empty leaf, as in the test vectors of Certificate Transparency.
#[test]
fn leaf_and_empty_hashes_are_those_of_the_standard() {
    let hex = |hash: Hash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(hex(merkle::empty_hash()), empty);
    assert_eq!(hex(leaf_hash(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

/// Made with another implementation of Ed25519 from the same seed.
#[test]
fn checkpoint_key_and_proof_texts_are_golden() {
    let (_dir, log) = persisted(2);
    assert_eq!(log.vkey(Tree::Access), "example.com/shop/access+9abe6516+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c");
    let checkpoint = concat!(
        "example.com/shop/access\n2\nWkdmL9ijF9lgSaP59HxV3GfKZgUbqjaD27GbL+CaB7A=\n\n",
        "\u{2014} example.com/shop/access mr5lFkJi7gCSzuiUm8fqyq+SuVJsdQCs11/QPE6mJIVqN7Ic2iGm0sALP2WF",
        "AJJmvi4Q1ECW6bV/S0CI8yi+YK+9oQE=\n",
    );
    assert_eq!(log.checkpoint_text(Tree::Access), checkpoint);
    let proof = "c2sp.org/tlog-proof@v1\nindex 1\ndziFphNIniTOLPdhmdakI/BC5LvxLX7s7pEu8nbGVwE=\n\n";
    assert_eq!(log.tlog_proof(Tree::Access, 1).unwrap(), format!("{proof}{checkpoint}"));
}

#[test]
fn a_head_reads_back_only_in_its_exact_form() {
    let text = Head { origin: "a/b".into(), size: 10, root: [3; 32] }.text();
    assert_eq!(Head::parse(&text).unwrap().text(), text);
    for wrong in [text.replace("10", "010"), text.replace("10", "+10"), format!("{text}more\n"), text.replace('=', "")]
    {
        assert_eq!(Head::parse(&wrong), None);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Computed by another implementation of Ed25519, over the text that `note` documents.
#[test]
fn the_announcement_of_a_key_is_frozen() {
    let dir = tempfile::tempdir().unwrap();
    let announced = open(dir.path()).unwrap().announcement(&SecretKey::from_bytes([2; 32])).unwrap();
    assert_eq!(hex(&announced.public), "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394");
    assert_eq!(
        hex(&announced.access),
        "0318573d621ebae80adcd95eff9bab2578f80a8c9c8129c34af144a1c9846358\
         77f0b420b15256fe2d7d1a0b17a39817cabca6a82e53da32cbfa1ce330449404"
    );
    assert_ne!(announced.access, announced.subject, "each tree has its own");
}

#[test]
fn another_key_signs_what_covers_its_announcement_and_nothing_smaller() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    fill(&log, 3);
    let (before, old) = (log.sizes(), log.vkey(Tree::Access));
    fill(&log, 4);
    log.append(Tree::Subject, entry(0)).unwrap();
    let next = SecretKey::from_bytes([2; 32]);
    log.hand_over(&next, before).unwrap();
    assert_ne!(log.vkey(Tree::Access), old);
    // Asked for by someone who took the sizes before the key changed.
    log.persist(before).unwrap();
    assert_eq!(log.persisted_size(Tree::Access), 4);
    drop(log);
    let retired = RetiredKey { public: open_key([1; 32]), until: before };
    let reopen = |retired: &[RetiredKey]| Log::open(&Disk::default(), dir.path(), ORIGIN, &next, retired);
    assert!(reopen(&[]).is_ok(), "its own checkpoints need no other key");
    // A checkpoint of the key before opens if it covers less than the announcement, and else not.
    std::fs::remove_dir_all(dir.path().join("access")).unwrap();
    let log = Log::open(&Disk::default(), dir.path(), ORIGIN, &SecretKey::from_bytes([1; 32]), &[]);
    assert!(log.is_err(), "the subject tree is the next key's");
    std::fs::remove_dir_all(dir.path().join("subject")).unwrap();
    let log = open(dir.path()).unwrap();
    fill(&log, 3);
    log.persist(log.sizes()).unwrap();
    assert!(reopen(&[]).is_err());
    assert_eq!(reopen(std::slice::from_ref(&retired)).unwrap().size(Tree::Access), 3);
    fill(&log, 4);
    log.persist(log.sizes()).unwrap();
    assert!(reopen(&[retired]).is_err(), "a retired key signed what it may not");
}

fn open_key(seed: [u8; 32]) -> [u8; 32] {
    let dir = tempfile::tempdir().unwrap();
    Log::open(&Disk::default(), dir.path(), ORIGIN, &SecretKey::from_bytes(seed), &[]).unwrap().public_key()
}
