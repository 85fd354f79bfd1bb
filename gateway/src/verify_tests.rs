//! The writer's logs verify, and nothing else does. Not in the verifier's folder, which names none of our crates.

use super::*;
use std::fs;
use tempfile::TempDir;
use vault::disk::Disk;
use vault::keys::SecretKey;
use vault::log::{Log, Sizes};
use vault::vault::Tree;

const ORIGIN: &str = "example.com/shop";

fn open(dir: &Path) -> Log {
    Log::open(&Disk::default(), dir, ORIGIN, &SecretKey::from_bytes([7; 32]), &[]).unwrap()
}

fn entry(n: u64) -> Vec<u8> {
    format!("entry {n}").into_bytes()
}

/// A log persisted once at each of the sizes, its subject tree at half of them.
fn written(sizes: &[u64]) -> (TempDir, VerifierKey) {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for size in sizes {
        while log.size(Tree::Access) < *size {
            log.append(Tree::Access, entry(log.size(Tree::Access))).unwrap();
        }
        while log.size(Tree::Subject) < *size / 2 {
            log.append(Tree::Subject, entry(log.size(Tree::Subject))).unwrap();
        }
        log.persist(log.sizes()).unwrap();
    }
    let key = VerifierKey::parse(&log.vkey(Tree::Access)).unwrap();
    (dir, key)
}

fn all_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(all_files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn a_written_log_verifies_at_any_size() {
    for sizes in [&[0][..], &[1], &[3, 5], &[255], &[256], &[257], &[1, 300, 511], &[512, 700]] {
        let (dir, key) = written(sizes);
        let size = sizes.last().unwrap();
        let line = log(dir.path(), &key).unwrap();
        assert!(line.starts_with(&format!("verified: {ORIGIN}/access, {size} entries\n")), "{line}");
        assert!(log(&dir.path().join("subject"), &key).is_ok());
    }
}

#[test]
fn any_flipped_byte_of_a_log_is_found() {
    let (dir, key) = written(&[3, 5, 6]);
    let files = all_files(dir.path());
    assert!(files.len() > 10);
    for path in files {
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            for mask in [0x01, 0x80] {
                let mut bad = good.clone();
                bad[at] ^= mask;
                fs::write(&path, &bad).unwrap();
                let problem = log(dir.path(), &key).unwrap_err();
                assert_first_bad_entry(&path, &good, at, &problem);
            }
        }
        fs::write(&path, &good).unwrap();
    }
    assert!(log(dir.path(), &key).is_ok());
}

#[track_caller]
fn assert_first_bad_entry(path: &Path, good: &[u8], at: usize, problem: &str) {
    let text = path.to_str().unwrap();
    let entry = if text.contains("tile/entries") {
        let mut end = 0;
        (0_usize..).find(|_| {
            end += 2 + usize::from(u16::from_be_bytes([good[end], good[end + 1]]));
            at < end
        })
    } else {
        text.contains("tile/0/").then_some(at / 32)
    };
    match entry {
        Some(entry) => assert!(problem.starts_with(&format!("entry {entry}: ")), "{text} byte {at}: {problem}"),
        None => assert!(text.ends_with("checkpoint") && problem.contains("checkpoint"), "{problem}"),
    }
}

#[test]
fn a_flipped_byte_above_the_leaves_is_found() {
    let (dir, key) = written(&[258, 600]);
    let tile = dir.path().join("access/tile/1/000.p/2");
    let good = fs::read(&tile).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 4;
        fs::write(&tile, bad).unwrap();
        let problem = log(dir.path(), &key).unwrap_err();
        assert!(problem.starts_with(&format!("entry {}: ", at / 32 * 256)), "{problem}");
    }
}

#[test]
fn a_missing_or_longer_file_is_found() {
    let (dir, key) = written(&[300]);
    for path in all_files(dir.path()) {
        let good = fs::read(&path).unwrap();
        fs::write(&path, [good.as_slice(), b"x"].concat()).unwrap();
        assert!(log(dir.path(), &key).is_err(), "{}", path.display());
        fs::remove_file(&path).unwrap();
        assert!(log(dir.path(), &key).is_err(), "{}", path.display());
        fs::write(&path, good).unwrap();
    }
    assert!(log(dir.path(), &key).is_ok());
}

#[test]
fn what_a_crash_left_unsigned_is_reported_and_not_trusted() {
    let (dir, key) = written(&[5]);
    fs::write(dir.path().join("access/tile/0/000.p/9"), [1; 32 * 9]).unwrap();
    let line = log(dir.path(), &key).unwrap();
    assert!(line.contains("1 files beyond the checkpoint"), "{line}");
}

#[test]
fn another_key_does_not_verify() {
    let (dir, _) = written(&[2]);
    let other = tempfile::tempdir().unwrap();
    let other = Log::open(&Disk::default(), other.path(), ORIGIN, &SecretKey::from_bytes([8; 32]), &[]).unwrap();
    let other = VerifierKey::parse(&other.vkey(Tree::Access)).unwrap();
    assert!(log(dir.path(), &other).unwrap_err().contains("no signature by"));
}

#[test]
fn the_trees_cannot_be_swapped() {
    let (dir, key) = written(&[2]);
    fs::rename(dir.path().join("access"), dir.path().join("other")).unwrap();
    fs::rename(dir.path().join("subject"), dir.path().join("access")).unwrap();
    fs::rename(dir.path().join("other"), dir.path().join("subject")).unwrap();
    assert!(log(dir.path(), &key).is_err());
}

#[test]
fn every_proof_of_a_log_verifies_and_only_for_its_entry() {
    for size in [1, 2, 7, 300] {
        let (dir, key) = written(&[size]);
        let log = open(dir.path());
        for index in (0..size).step_by(if size > 50 { 37 } else { 1 }) {
            let text = log.tlog_proof(Tree::Access, index).unwrap();
            let line = proof::check(&text, &key, Some(&entry(index))).unwrap();
            assert!(line.starts_with(&format!("verified: entry {index} of ")));
            assert!(proof::check(&text, &key, Some(&entry(index + 1))).is_err());
            assert!(proof::check(&text, &key, None).unwrap().contains("not checked"));
        }
    }
}

#[test]
fn a_changed_proof_does_not_verify() {
    let (dir, key) = written(&[7]);
    let text = open(dir.path()).tlog_proof(Tree::Access, 4).unwrap();
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        if let Ok(text) = String::from_utf8(bytes) {
            assert!(proof::check(&text, &key, Some(&entry(4))).is_err(), "byte {at}");
        }
    }
}

#[test]
fn checkpoints_of_a_grown_log_are_consistent_and_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut notes = Vec::new();
    for size in 0..6 {
        notes.push(log.checkpoint_text(Tree::Access));
        log.append(Tree::Access, entry(size)).unwrap();
        log.persist(log.sizes()).unwrap();
    }
    let key = VerifierKey::parse(&log.vkey(Tree::Subject)).unwrap();
    let newest = log.checkpoint_text(Tree::Access);
    for note in &notes {
        consistency(note, &newest, dir.path(), &key).unwrap();
    }
    assert!(consistency(&newest, &notes[3], dir.path(), &key).unwrap_err().contains("the newer 3"));

    let forked = tempfile::tempdir().unwrap();
    let log = open(forked.path());
    log.append(Tree::Access, b"another past".to_vec()).unwrap();
    log.persist(Sizes { access: 1, subject: 0 }).unwrap();
    let fork = log.checkpoint_text(Tree::Access);
    assert!(consistency(&fork, &newest, dir.path(), &key).unwrap_err().contains("first 1 entries"));
}

/// The example of the signed-note specification.
#[test]
fn the_specifications_example_note_has_a_good_signature() {
    let key = VerifierKey::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").unwrap();
    let note = "This is an example message.\n\n\u{2014} example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    // The signature is good; the text is not a checkpoint, and that is what is said.
    assert_eq!(key.open(note).unwrap_err(), "the signed text is not a checkpoint");
    assert_eq!(key.open(&note.replace("example m", "other m")).unwrap_err(), "the signature is wrong");
}

#[test]
fn a_verifier_key_whose_id_does_not_fit_is_refused() {
    for text in [
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/fox+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a",
        "",
    ] {
        assert!(VerifierKey::parse(text).is_err());
    }
}

/// A log of three keys, with a checkpoint of each, and its first key.
fn thrice_signed() -> (TempDir, VerifierKey, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let first = VerifierKey::parse(&log.vkey(Tree::Access)).unwrap();
    let mut checkpoints = Vec::new();
    for seed in [8, 9, 0] {
        log.append(Tree::Access, entry(log.size(Tree::Access))).unwrap();
        log.persist(log.sizes()).unwrap();
        checkpoints.push(log.checkpoint_text(Tree::Access));
        if seed == 0 {
            break;
        }
        let next = SecretKey::from_bytes([seed; 32]);
        let announced = log.announcement(&next).unwrap();
        let at = log.sizes();
        for (tree, signature) in [(Tree::Access, announced.access), (Tree::Subject, announced.subject)] {
            let (key, signature) = (Some(announced.public), Some(signature));
            let now = policy::time::Timestamp::from_seconds(1_790_000_000);
            let leaf = vault::log::Leaf { key, signature, ..vault::log::Leaf::new(vault::log::Kind::Key, now) };
            log.append(tree, leaf.to_json().into_bytes()).unwrap();
        }
        log.hand_over(&next, at).unwrap();
    }
    (dir, first, checkpoints)
}

#[test]
fn a_log_is_followed_over_every_announced_key_from_the_first_known_one() {
    let (dir, first, checkpoints) = thrice_signed();
    let line = log(dir.path(), &first).unwrap();
    assert!(
        line.starts_with(&format!(
            "verified: {ORIGIN}/access, 5 entries\n  signed with a later key, announced in entry 3: "
        )),
        "{line}"
    );
    let last = line.lines().nth(1).unwrap().rsplit(' ').next().unwrap();
    assert!(log(dir.path(), &VerifierKey::parse(last).unwrap()).is_ok(), "the last key alone verifies too");
    // The text of the announcement is frozen: this is the chain's last key.
    assert!(last.starts_with("example.com/shop/access+"), "{last}");
    let stranger = VerifierKey::parse(&written(&[1]).1.text()).unwrap();
    assert_eq!(stranger, first, "the same seed");
    for (old, new) in [(0, 1), (1, 2), (0, 2)] {
        let line = consistency(&checkpoints[old], &checkpoints[new], dir.path(), &first).unwrap();
        assert!(line.contains("are unchanged"), "{line}");
    }
    // A checkpoint that covers an announcement and is signed with the key before it.
    let old =
        Log::open(&Disk::default(), tempfile::tempdir().unwrap().path(), ORIGIN, &SecretKey::from_bytes([7; 32]), &[]);
    let old = old.unwrap();
    for (_, leaf) in open_again(dir.path()).scan(Tree::Access, 0, 5).map(Result::unwrap) {
        old.append(Tree::Access, leaf.to_vec()).unwrap();
    }
    old.persist(old.sizes()).unwrap();
    fs::write(dir.path().join("access/checkpoint"), old.checkpoint_text(Tree::Access)).unwrap();
    let problem = log(&dir.path().join("access"), &first).unwrap_err();
    assert!(problem.contains("no signature by"), "{problem}");
}

fn open_again(dir: &Path) -> Log {
    Log::open(&Disk::default(), dir, ORIGIN, &SecretKey::from_bytes([9; 32]), &[]).unwrap()
}

#[test]
fn what_is_no_receipt_is_refused_in_words() {
    let (dir, key) = written(&[2]);
    let vkey = open(dir.path()).vkey(Tree::Subject);
    let empty = |format: &str, more: &str| {
        format!(r#"{{"format":"{format}","version":1,"verifier_key":"{vkey}","dataset":"datasets/shop"{more}}}"#)
    };
    let erasure = empty(erasure::FORMAT, "").replace(r#","dataset":"datasets/shop""#, "");
    let far = r#","receipts":[{"index":18446744073709551615,"leaf":"{}","proof":"c2sp.org/tlog-proof@v1\nindex 1"}]"#;
    for (text, problem) in [
        (String::new(), "not JSON"),
        ("[]".to_owned(), "not a JSON object"),
        ("{}".to_owned(), "`format`"),
        (empty(consent::FORMAT, "").replace("1,", "2,"), "`version`"),
        (empty(consent::FORMAT, ""), "`receipts` is not a list"),
        (empty(consent::FORMAT, r#","receipts":[7]"#), "`receipts[0]` is not a JSON object"),
        (empty(consent::FORMAT, far), "`receipts[0].proof`"),
        (empty(consent::FORMAT, r#","more":1"#), "`more`"),
        (erasure, "`receipt` is not a JSON object"),
        (empty(erasure::FORMAT, ""), "`dataset`"),
    ] {
        let check = if text.contains(erasure::FORMAT) { erasure::check } else { consent::check };
        let found = check(&text, &key).unwrap_err();
        assert!(found.contains(problem), "{found}");
    }
    // No acts at all are no lie.
    assert!(consent::check(&empty(consent::FORMAT, r#","receipts":[]"#), &key).unwrap().contains("0 acts"));
}
