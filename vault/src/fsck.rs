//! Tells what every byte of the vault's files is: a named header field, a leaf of the log, sealed, or free.
//!
//! Guarantees: the runs of a file follow each other from its first byte to its last; a run called sealed is one whose
//! place a verified parent states (the key tree for pages and pieces, a checksummed frame for parts of the write-ahead
//! log). Whatever is not accounted for is free, with the reason as its name. Nothing of the contents is returned, so the
//! map may be shown to anyone. It changes nothing, and refuses while the vault is served.
//!
//! Covers `keys/`, `blocks/` and `wal/` of the data folder. Does not cover `log/` (clear leaves and hashes, verified by
//! their own proofs), `store/` (a cache of sealed values, compared by digest and rebuilt), nor the root folder.

mod repair;

pub use repair::{Repair, Repaired, Source};

use crate::keys::{self, HEADER_FIELDS, KeysError, SecondLock};
use crate::log::LogError;
use crate::wal::{self, WalError};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

/// What a run of bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A field of a header, clear.
    Header,
    /// A leaf of the log, clear: decisions and commitments, never personal data.
    Leaf,
    /// Sealed under a key of the key tree.
    Sealed,
    /// Not used: a torn tail, or a file that nothing names.
    Free,
}

/// A run of bytes of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Offset of its first byte.
    pub start: u64,
    /// Its length, bytes.
    pub bytes: u64,
    /// What it is.
    pub class: Class,
    /// The header field's name, or why it is sealed or free.
    pub field: &'static str,
}

/// A file and what its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMap {
    /// Where, relative to the data folder.
    pub path: PathBuf,
    /// Its length, bytes.
    pub bytes: u64,
    /// Its runs, in order and without gaps.
    pub spans: Vec<Span>,
    /// What is wrong with it, if anything.
    pub problem: Option<&'static str>,
}

/// Why the files can't be mapped.
#[derive(Debug, thiserror::Error)]
pub enum FsckError {
    /// The key tree does not open.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A tile of the log can't be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A segment of the write-ahead log can't be read at all.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// The operating system refused.
    #[error("{}: {error}", .path.display())]
    Io {
        /// What it refused to touch.
        path: PathBuf,
        /// Its words.
        error: std::io::Error,
    },
}

/// Maps every file in the data folder's `keys`, `blocks` and `wal`, in the order of their paths.
pub fn map(data: &Path, root: &Path, lock: &SecondLock) -> Result<Vec<FileMap>, FsckError> {
    let survey = keys::survey(root, data, lock)?;
    let mut maps = BTreeMap::new();
    for path in &survey.pages {
        maps.insert(path.clone(), map_page(path)?);
    }
    for entry in survey.entries.iter() {
        let path = data.join(entry.path());
        if let Entry::Vacant(place) = maps.entry(path) {
            let map = map_piece(place.key(), &entry.sha256)?;
            place.insert(map);
        }
    }
    let wal = data.join("wal");
    if exists(&wal)? {
        for (first, path) in wal::segments(&wal)? {
            let map = map_segment(&wal, first, &path)?;
            maps.insert(path, map);
        }
    }
    for path in ["keys", "blocks", "wal"].map(|name| data.join(name)) {
        for stray in files(&path)? {
            // Lock files are empty: there is no byte to account for.
            let bytes = length(&stray)?;
            if bytes > 0 && !maps.contains_key(&stray) {
                maps.insert(stray, Builder::new(bytes).finish("nothing names this file"));
            }
        }
    }
    let relative = |(path, map): (PathBuf, FileMap)| FileMap {
        path: path.strip_prefix(data).map(Path::to_owned).unwrap_or(path),
        ..map
    };
    Ok(maps.into_iter().map(relative).collect())
}

fn map_page(path: &Path) -> Result<FileMap, FsckError> {
    let mut spans = Builder::new(length(path)?);
    for (field, bytes) in HEADER_FIELDS {
        spans.push(bytes as u64, Class::Header, field);
    }
    let sealed = spans.left();
    spans.push(sealed, Class::Sealed, "key page");
    Ok(spans.finish("after the page"))
}

fn map_piece(path: &Path, sha256: &[u8; 32]) -> Result<FileMap, FsckError> {
    let io = |error| FsckError::Io { path: path.to_owned(), error };
    let file = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Builder::new(0).damaged("it is missing"));
        }
        read => read.map_err(io)?,
    };
    let mut spans = Builder::new(file.len() as u64);
    if Sha256::digest(&file).as_slice() != sha256 {
        return Ok(spans.damaged("its hash is not the one the key tree names"));
    }
    let Some((fields, sealed)) = crate::blocks::survey(&file) else {
        return Ok(spans.damaged("its header can't be read"));
    };
    for (field, bytes) in fields {
        spans.push(bytes as u64, Class::Header, field);
    }
    spans.push(sealed as u64, Class::Sealed, "chunks of columns");
    Ok(spans.finish("after the chunks"))
}

fn map_segment(folder: &Path, first: u64, path: &Path) -> Result<FileMap, FsckError> {
    let mut spans = Builder::new(length(path)?);
    let problem = wal::survey(folder, first, |bytes, run| match run {
        wal::Run::Field(field) => spans.push(bytes, Class::Header, field),
        wal::Run::Leaf => spans.push(bytes, Class::Leaf, "leaf"),
        wal::Run::Part => spans.push(bytes, Class::Sealed, "part"),
    })?;
    Ok(FileMap { problem, ..spans.finish("after the last whole frame") })
}

/// Collects runs so that they can't overlap, leave gaps or pass the end.
struct Builder {
    length: u64,
    next: u64,
    spans: Vec<Span>,
}

impl Builder {
    fn new(length: u64) -> Self {
        Self { length, next: 0, spans: Vec::new() }
    }

    fn left(&self) -> u64 {
        self.length.saturating_sub(self.next)
    }

    fn push(&mut self, bytes: u64, class: Class, field: &'static str) {
        let bytes = bytes.min(self.left());
        if bytes > 0 {
            self.spans.push(Span { start: self.next, bytes, class, field });
            self.next += bytes;
        }
    }

    /// Calls what is left free.
    fn finish(mut self, why_free: &'static str) -> FileMap {
        let left = self.left();
        self.push(left, Class::Free, why_free);
        FileMap { path: PathBuf::new(), bytes: self.length, spans: self.spans, problem: None }
    }

    fn damaged(self, problem: &'static str) -> FileMap {
        FileMap { problem: Some(problem), ..self.finish("damaged") }
    }
}

fn length(path: &Path) -> Result<u64, FsckError> {
    let io = |error| FsckError::Io { path: path.to_owned(), error };
    Ok(std::fs::metadata(path).map_err(io)?.len())
}

fn exists(path: &Path) -> Result<bool, FsckError> {
    path.try_exists().map_err(|error| FsckError::Io { path: path.to_owned(), error })
}

/// Lists all files below a folder, which may be absent.
fn files(folder: &Path) -> Result<Vec<PathBuf>, FsckError> {
    let io = |error| FsckError::Io { path: folder.to_owned(), error };
    let mut found = Vec::new();
    if !exists(folder)? {
        return Ok(found);
    }
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        if entry.file_type().map_err(io)?.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::blocks::{ColumnKey, PieceKind, PieceMeta, piece_path, write_piece};
    use crate::disk::Disk;
    use crate::keys::{Changes, KeyTree, PieceEntry, PieceId, PieceState};
    use crate::vault::Tree;
    use crate::wal::{Frame, SEGMENT_BYTES, SealedPart, Wal};
    use policy::schema::{ColumnId, Layout};
    use std::fs;
    use tempfile::TempDir;

    /// A data folder with a key tree, one piece, one log segment, and what they hold in clear.
    fn folder() -> (TempDir, PathBuf, PathBuf) {
        let temporary = TempDir::new().unwrap();
        let (data, root) = (temporary.path().join("data"), temporary.path().join("root"));
        let mut tree = KeyTree::create(&root, &data, Changes::default()).unwrap();
        let meta = PieceMeta {
            dataset: 1,
            block: 2,
            kind: PieceKind::Attributes,
            part: 0,
            version: 3,
            schema_version: 4,
            first: 0,
            subjects: 40,
            rows: 40,
        };
        let column = [b'p'; 40];
        let dir = piece_path(&data, 1, 5).parent().unwrap().to_owned();
        fs::create_dir_all(&dir).unwrap();
        let written =
            write_piece(&Disk::default(), &dir, 5, &meta, &[(ColumnKey::of(ColumnId(1)), Layout::Code8, &column)])
                .unwrap();
        let put = PieceEntry {
            id: PieceId { dataset: 1, block: 2, kind: crate::keys::PieceKind::Attributes, part: 0 },
            version: 3,
            epoch: 1,
            state: PieceState::Closed,
            key: written.key,
            file: 5,
            sha256: written.sha256,
            bytes: written.bytes,
        };
        tree.commit(Changes { put: vec![put], ..Changes::default() }).unwrap();
        write_wal(&data.join("wal"));
        (temporary, data, root)
    }

    fn write_wal(dir: &Path) {
        Wal::create(&Disk::default(), dir, 1).unwrap();
        let (wal, _) = Wal::open(&Disk::default(), dir, 1, SEGMENT_BYTES).unwrap();
        for seq in 1..4 {
            let part = SealedPart { sealed: vec![0x5e; 30], ..SealedPart::default() };
            let leaves = vec![(Tree::Access, b"{leaf}".to_vec())];
            let frame = Frame { leaves, parts: vec![part.clone(), part], ..Frame::default() };
            wal.enqueue(seq, &frame).unwrap().wait().unwrap();
        }
    }

    fn named<'a>(maps: &'a [FileMap], end: &str) -> &'a FileMap {
        maps.iter().find(|map| map.path.to_str().unwrap().ends_with(end)).unwrap()
    }

    fn content<'a>(file: &'a [u8], span: &Span) -> &'a [u8] {
        &file[span.start as usize..(span.start + span.bytes) as usize]
    }

    #[test]
    fn every_byte_is_accounted_for_and_sound_files_have_nothing_free() {
        let (_keep, data, root) = folder();
        let maps = map(&data, &root, &SecondLock::None).unwrap();
        assert_eq!(maps.len(), 5);
        for map in &maps {
            assert_eq!(map.problem, None, "{map:?}");
            assert_eq!(map.bytes, fs::metadata(data.join(&map.path)).unwrap().len());
            let mut next = 0;
            for span in &map.spans {
                assert_eq!(span.start, next);
                assert!(span.class != Class::Free, "{map:?}");
                next += span.bytes;
            }
            assert_eq!(next, map.bytes);
        }
    }

    #[test]
    fn what_is_sealed_and_what_is_a_leaf_lie_where_the_map_says() {
        let (_keep, data, root) = folder();
        let maps = map(&data, &root, &SecondLock::None).unwrap();
        let segment = named(&maps, ".wal");
        let file = fs::read(data.join(&segment.path)).unwrap();
        let of = |class| segment.spans.iter().filter(move |span| span.class == class);
        assert!(of(Class::Sealed).all(|span| content(&file, span) == [0x5e; 30]));
        assert!(of(Class::Leaf).all(|span| content(&file, span) == b"{leaf}"));
        assert_eq!((of(Class::Sealed).count(), of(Class::Leaf).count()), (6, 3));
        let piece = named(&maps, ".piece");
        let sealed: u64 = piece.spans.iter().filter(|span| span.class == Class::Sealed).map(|span| span.bytes).sum();
        assert_eq!(sealed, 40 + 16);
        assert!(!fs::read(data.join(&piece.path)).unwrap().windows(8).any(|bytes| bytes == [b'p'; 8]));
    }

    #[test]
    fn damage_strays_and_torn_tails_are_free_and_named() {
        let (_keep, data, root) = folder();
        fs::write(data.join("blocks/00000001/00000000000000ff.piece"), b"stray").unwrap();
        let maps = map(&data, &root, &SecondLock::None).unwrap();
        let piece = data.join(&named(&maps, "05.piece").path);
        let mut bytes = fs::read(&piece).unwrap();
        bytes[60] ^= 1;
        fs::write(&piece, bytes).unwrap();
        let segment = data.join(&named(&maps, ".wal").path);
        let length = fs::metadata(&segment).unwrap().len();
        fs::OpenOptions::new().write(true).open(&segment).unwrap().set_len(length - 1).unwrap();
        let maps = map(&data, &root, &SecondLock::None).unwrap();
        let last = |end| *named(&maps, end).spans.last().unwrap();
        assert_eq!(last("ff.piece").field, "nothing names this file");
        assert_eq!(last(".wal").field, "after the last whole frame");
        assert!(named(&maps, ".wal").problem.is_some());
        assert_eq!(named(&maps, "05.piece").problem, Some("its hash is not the one the key tree names"));
        assert!([last("ff.piece"), last(".wal"), last("05.piece")].iter().all(|span| span.class == Class::Free));
        fs::remove_file(&piece).unwrap();
        assert_eq!(named(&map(&data, &root, &SecondLock::None).unwrap(), "05.piece").problem, Some("it is missing"));
    }

    #[test]
    fn a_vault_in_use_is_not_mapped() {
        let (_keep, data, root) = folder();
        let _tree = KeyTree::open(&root, &data).unwrap();
        assert!(matches!(map(&data, &root, &SecondLock::None), Err(FsckError::Keys(KeysError::InUse(_)))));
    }
}
