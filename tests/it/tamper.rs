//! Harm to stored files, each kind to each file: the vault says what is wrong and with which part, or the harm is none. An
//! answer is never another, and what was withdrawn is never back.

use super::damage::{Cellar, copy_folder, expected, files, flip, later};
use policy::consent::{ConsentAct, ConsentEvent, LawfulBasis};
use policy::id::PurposeId;
use policy::permit::{Role, Verb};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use vault::fsck::{Repair, Source};
use vault::ingest::SubjectKey;
use vault::{Config, Tree, Vault, VaultError};

/// People of the first dataset in the older copy, and later.
const OLD: u32 = 40;
const NEW: u32 = 70;
/// The people numbered below this withdrew after the last close.
const WITHDREW: i64 = 6;
/// Places of a file at which a byte is flipped.
const FLIPS: usize = 3;

/// A closed vault and an older copy of it.
struct Origin {
    cellar: Cellar,
    older: TempDir,
    leaves: [u64; 2],
}

impl Origin {
    fn new() -> Self {
        let mut cellar = Cellar::new();
        cellar.fill(0, 0, OLD);
        cellar.fill(1, 0, 30);
        cellar.close(0, 20);
        cellar.close(1, 20);
        cellar.stop();
        let older = tempfile::tempdir().unwrap();
        for (from, name) in [(&cellar.config.data, "data"), (&cellar.config.root, "root")] {
            copy_folder(from, &older.path().join(name));
        }
        cellar.open();
        cellar.fill(0, OLD, NEW - OLD);
        cellar.close(0, 30);
        let permit = cellar.permit(0, Role::Producer, Verb::RecordConsent, None);
        let withdrawn = (0..WITHDREW).map(|number| (SubjectKey::new(&format!("member-{number:06}")).unwrap(), no()));
        cellar.vault().record_consents(&permit, withdrawn.collect(), later(31)).unwrap();
        cellar.stop();
        cellar.open();
        let leaves = log_sizes(&cellar);
        cellar.stop();
        Self { cellar, older, leaves }
    }

    /// The older copy's file or folder.
    fn older(&self, relative: &Path) -> PathBuf {
        self.older.path().join(relative)
    }
}

fn no() -> ConsentEvent {
    ConsentEvent {
        purpose: PurposeId::new("marketing.segmentation").unwrap(),
        basis: LawfulBasis::Consent,
        act: ConsentAct::Withdraw,
        at: later(31),
        expires: None,
        language: None,
        method: None,
        notice: None,
        source: "form-1".into(),
    }
}

/// How many leaves are signed, of the access tree and of the subject tree.
fn log_sizes(cellar: &Cellar) -> [u64; 2] {
    let permit = cellar.permit(0, Role::Officer, Verb::ReadLog, None);
    let size = |tree| {
        let checkpoint = cellar.vault().checkpoint(&permit, tree, later(40)).unwrap();
        checkpoint.lines().nth(1).unwrap().parse().unwrap()
    };
    [Tree::Access, Tree::Subject].map(size)
}

/// How a harm ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Opening was refused.
    Closed,
    /// A dataset is refused, the other serves.
    Refused,
    /// Nothing was lost.
    None,
}

/// Opens a harmed copy and asks it all it knows.
fn open(origin: &Origin, what: &str, harm: impl FnOnce(&Config)) -> End {
    let folder = tempfile::tempdir().unwrap();
    let config =
        Config { data: folder.path().join("data"), root: folder.path().join("root"), ..origin.cellar.config.clone() };
    copy_folder(&origin.cellar.config.data, &config.data);
    copy_folder(&origin.cellar.config.root, &config.root);
    harm(&config);
    let vault = match Vault::open(&config, later(40)) {
        Ok(vault) => vault,
        Err(error) => {
            names_a_part(&error, what);
            return End::Closed;
        }
    };
    let harmed = origin.cellar.standing_on(config, vault);
    let sizes = log_sizes(&harmed);
    assert!(sizes[0] >= origin.leaves[0] && sizes[1] >= origin.leaves[1], "{what}: the log lost leaves: {sizes:?}");
    let people = i64::from(NEW);
    let end = match harmed.portrait(0) {
        // Those who withdrew are in no answer; 40 and 70 people are of each kind alike.
        Ok(answer) => {
            let total: i64 = answer[1].iter().sum();
            assert_eq!(total, people - WITHDREW, "{what}: {answer:?}");
            End::None
        }
        Err(error) => {
            names_a_part(&error, what);
            End::Refused
        }
    };
    match harmed.portrait(1) {
        Ok(answer) => assert_eq!(answer, expected(30), "{what}"),
        Err(error) => {
            assert_ne!(end, End::Refused, "{what}: one file, two datasets: {error}");
            names_a_part(&error, what);
            return End::Refused;
        }
    }
    end
}

#[track_caller]
fn names_a_part(error: &VaultError, what: &str) {
    let text = error.to_string();
    assert!(!matches!(error, VaultError::Refused(_)), "{what}: {text}");
    assert!(text.len() > 12 && !text.contains("member-"), "{what}: {text}");
}

/// The first folder of a file's path.
fn kind(relative: &Path) -> String {
    relative
        .components()
        .take(2)
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join("/")
}

#[test]
#[expect(clippy::print_stdout, reason = "a table for whoever asks with --nocapture")]
fn harm_to_a_stored_file_is_refused_by_name_or_is_none() {
    let origin = Origin::new();
    let mut ends: BTreeMap<(String, &str), [u32; 3]> = BTreeMap::new();
    let mut note = |kind: &str, harm: &'static str, end: End| {
        ends.entry((kind.to_owned(), harm)).or_default()[end as usize] += 1;
    };
    let parent = origin.cellar.config.data.parent().unwrap().to_owned();
    let all: Vec<PathBuf> = files(&parent).iter().map(|file| file.strip_prefix(&parent).unwrap().to_owned()).collect();
    // The databases are caches with a test of their own; their files are many.
    for file in all.iter().filter(|file| !file.starts_with("data/store")) {
        let length = fs::metadata(parent.join(file)).unwrap().len();
        if length == 0 {
            continue;
        }
        let kind = kind(file);
        let at = |config: &Config| config.data.parent().unwrap().join(file);
        let mut harm = |name: &'static str, harm: &dyn Fn(&Path)| {
            let end = open(&origin, &format!("{} {name}", file.display()), |config| harm(&at(config)));
            note(&kind, name, end);
        };
        harm("removed", &|file| fs::remove_file(file).unwrap());
        harm("emptied", &|file| drop(fs::File::create(file).unwrap()));
        harm("cut in half", &|file| cut(file, length / 2));
        harm("cut by a byte", &|file| cut(file, length - 1));
        harm("grown", &|file| cut(file, length + 1));
        for place in 0..FLIPS {
            let offset = usize::try_from(length).unwrap() * (2 * place + 1) / (2 * FLIPS);
            harm("flipped", &|file| flip(file, offset));
        }
        let old = origin.older(file);
        if fs::read(&old).is_ok_and(|old| fs::read(parent.join(file)).unwrap() != old) {
            harm("put back", &|file| _ = fs::copy(&old, file).unwrap());
        }
        let sibling = all.iter().find(|other| *other != file && other.parent() == file.parent());
        if let Some(sibling) = sibling {
            harm("exchanged", &|file| {
                let other = file.with_file_name(sibling.file_name().unwrap());
                let (a, b) = (fs::read(file).unwrap(), fs::read(&other).unwrap());
                fs::write(file, b).unwrap();
                fs::write(other, a).unwrap();
            });
        }
    }
    let harmless = |(kind, harm): &(String, &str)| ends[&(kind.clone(), *harm)][End::None as usize];
    for ((kind, harm), [closed, refused, none]) in &ends {
        println!("{kind:<16} {harm:<14} closed {closed:>3}, one dataset refused {refused:>3}, none {none:>3}");
    }
    for key in ends.keys().filter(|(kind, _)| kind == "data/keys") {
        assert_eq!(harmless(key), 0, "{key:?}");
    }
}

#[test]
fn a_rollback_of_a_folder_is_refused() {
    let origin = Origin::new();
    for folder in ["data/wal", "data/keys", "data/log", "root"] {
        let end = open(&origin, folder, |config| {
            let to = config.data.parent().unwrap().join(folder);
            fs::remove_dir_all(&to).unwrap();
            copy_folder(&origin.older(Path::new(folder)), &to);
        });
        // Leaves that the permanent log lacks are in the write-ahead log until they are folded.
        let fine: &[End] = if folder == "data/log" { &[End::Closed, End::None] } else { &[End::Closed] };
        assert!(fine.contains(&end), "{folder}: {end:?}");
    }
}

/// Frames that were acknowledged and are cut off without a trace: only the permanent log knows that they were there.
#[test]
fn a_write_ahead_log_that_ends_before_what_was_signed_is_refused() {
    let origin = Origin::new();
    let last = files(&origin.cellar.config.data.join("wal")).into_iter().rfind(|file| length(file) > 0).unwrap();
    let name = last.file_name().unwrap().to_owned();
    let ends: Vec<u64> = frame_ends(&fs::read(&last).unwrap());
    assert!(ends.len() > 2);
    for end in ends.iter().rev().skip(1) {
        let ended = open(&origin, &format!("cut at {end}"), |config| cut(&config.data.join("wal").join(&name), *end));
        assert_eq!(ended, End::Closed, "cut at {end} of {}", length(&last));
    }
}

/// With a mirror and a backup, whatever is damaged is put back, and the vault is as it was.
#[test]
fn what_is_damaged_is_put_back_from_the_mirror_and_the_backup() {
    let places = tempfile::tempdir().unwrap();
    let mut cellar = Cellar::with(|config| {
        config.mirror = Some(places.path().join("mirror"));
        config.backup = Some(places.path().join("backup"));
    });
    cellar.fill(0, 0, OLD);
    cellar.close(0, 20);
    cellar.fill(0, OLD, NEW - OLD);
    cellar.stop();
    let data = cellar.config.data.clone();
    let sound = |file: &PathBuf| length(file) > 100;
    let harmed = |folder: &str| files(&data.join(folder)).into_iter().filter(sound).collect::<Vec<_>>();
    let (pages, pieces, segments) = (harmed("keys"), harmed("blocks"), harmed("wal"));
    pages.iter().for_each(|page| flip(page, 90));
    fs::remove_dir_all(&cellar.config.root).unwrap();
    for (number, piece) in pieces.iter().enumerate() {
        if number % 2 == 0 { flip(piece, 90) } else { fs::remove_file(piece).unwrap() }
    }
    segments.iter().for_each(|segment| flip(segment, 200));
    let repair = || {
        let mut repair = Repair::of(&data, &cellar.config.root, &cellar.config.lock);
        (repair.mirror, repair.backup) = (cellar.config.mirror.as_deref(), cellar.config.backup.as_deref());
        repair.run().unwrap()
    };
    let done = repair();
    assert_eq!(done.len(), 1 + pieces.len() + segments.len(), "{done:?}");
    assert!(done.iter().all(|part| part.from.is_some()), "{done:?}");
    assert_eq!(done[0].from, Some(Source::Mirror));
    assert_eq!(repair(), []);
    // What neither has is said, and left as it is.
    let lost = &pieces[0];
    let name = lost.strip_prefix(&data).unwrap();
    flip(&cellar.config.backup.as_ref().unwrap().join(name), 90);
    flip(lost, 90);
    let stays = repair();
    assert_eq!((stays.len(), stays[0].from, stays[0].path.as_path()), (1, None, name));
    flip(lost, 90);
    cellar.open();
    cellar.close(0, 30);
    assert_eq!(cellar.portrait(0).unwrap(), expected(i64::from(NEW)));
}

/// The checksums of the write-ahead log need no key: whoever can write to its folder can make them right again.
#[test]
fn a_part_taken_out_of_a_frame_with_the_checksum_made_right_is_refused() {
    let origin = Origin::new();
    let segment = files(&origin.cellar.config.data.join("wal")).into_iter().rfind(|file| length(file) > 0).unwrap();
    let name = segment.file_name().unwrap().to_owned();
    let bytes = fs::read(&segment).unwrap();
    let starts: Vec<usize> = [52].into_iter().chain(frame_ends(&bytes).into_iter().map(|end| end as usize)).collect();
    let mut ends = Vec::new();
    for pair in starts.windows(2) {
        let (start, end) = (pair[0], pair[1]);
        let Some(kind) = first_part(&bytes, start, end) else { continue };
        let checksum = |bytes: &[u8]| {
            let id_and_header = Sha256::new().chain_update(&bytes[20..36]).chain_update(&bytes[start..start + 16]);
            id_and_header.chain_update(&bytes[start + 32..end]).finalize()[..16].to_vec()
        };
        assert_eq!(checksum(&bytes), bytes[start + 16..start + 32], "this is not how checksums are made");
        let mut forged = bytes.clone();
        forged[kind] = 7;
        let right = checksum(&forged);
        forged[start + 16..start + 32].copy_from_slice(&right);
        ends.push(open(&origin, "a forged frame", |config| {
            fs::write(config.data.join("wal").join(&name), &forged).unwrap();
        }));
    }
    // What was folded is not read any more; the withdrawals came after.
    assert_eq!(ends.last(), Some(&End::Closed), "{ends:?}");
}

/// Returns where the kind of a frame's first part stands: behind version, sizes and leaves.
fn first_part(bytes: &[u8], start: usize, end: usize) -> Option<usize> {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut at = start + 32 + 17;
    let leaves = number(at);
    at += 4;
    for _ in 0..leaves {
        at += 5 + number(at + 1);
    }
    (number(at) > 1 && at + 4 < end).then_some(at + 4)
}

/// Where the frames of a segment end, by the documented format: a header of 52 bytes; then each frame's length (u32), 28
/// bytes more, and the payload.
fn frame_ends(segment: &[u8]) -> Vec<u64> {
    let mut ends = Vec::new();
    let mut at = 52;
    while let Some(length) = segment.get(at..at + 4) {
        at += 32 + usize::try_from(u32::from_le_bytes(length.try_into().unwrap())).unwrap();
        if at > segment.len() {
            break;
        }
        ends.push(at as u64);
    }
    ends
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).unwrap().len()
}

fn cut(file: &Path, length: u64) {
    fs::OpenOptions::new().write(true).open(file).unwrap().set_len(length).unwrap();
}
