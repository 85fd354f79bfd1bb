//! Tiles and entry bundles as files (C2SP tlog-tiles): their paths, their bytes, and durable writing.

use super::LogError;
use super::merkle::Hash;
use crate::disk::{Disk, Folders};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Hashes in a full tile, entries in a full bundle.
pub(super) const WIDTH: u64 = 256;

/// Which kind of file, at which level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Entries,
    Hashes(usize),
}

/// Returns the path of tile `n`; `width` 256 is the full one. Index 1234067 is `x001/x234/067`.
pub(super) fn path(dir: &Path, kind: Kind, n: u64, width: u64) -> PathBuf {
    let mut path = dir.join("tile");
    match kind {
        Kind::Entries => path.push("entries"),
        Kind::Hashes(level) => path.push(level.to_string()),
    }
    let digits = n.to_string();
    let digits = format!("{}{digits}", "0".repeat((3 - digits.len() % 3) % 3));
    let groups = digits.len() / 3;
    for (at, group) in digits.as_bytes().chunks(3).enumerate() {
        let group = String::from_utf8_lossy(group);
        let last = at.saturating_add(1) == groups;
        path.push(match (last, width == WIDTH) {
            (false, _) => format!("x{group}"),
            (true, true) => group.into_owned(),
            (true, false) => format!("{group}.p"),
        });
    }
    if width == WIDTH { path } else { path.join(width.to_string()) }
}

/// Encodes hashes.
pub(super) fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// Encodes entries, each prefixed by its length as a big-endian u16; lengths were checked at append.
pub(super) fn encode_entries(entries: &[Arc<[u8]>]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        out.extend_from_slice(&u16::try_from(entry.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(entry);
    }
    out
}

/// Reads the first `width` hashes of tile `n`: from the tile of that width, or from the full one.
pub(super) fn read_hashes(dir: &Path, level: usize, n: u64, width: u64) -> Result<Vec<Hash>, LogError> {
    let (path, bytes) = read(dir, Kind::Hashes(level), n, width)?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    let width = usize::try_from(width).unwrap_or(usize::MAX);
    match hashes.get(..width) {
        Some(hashes) if rest.is_empty() => Ok(hashes.to_vec()),
        _ => Err(LogError::damaged(&path, "the tile has the wrong length")),
    }
}

/// Entries, and the file they were read from.
pub(super) struct Bundle {
    pub path: PathBuf,
    pub entries: Vec<Arc<[u8]>>,
}

/// Reads the first `width` entries of bundle `n`.
pub(super) fn read_entries(dir: &Path, n: u64, width: u64) -> Result<Bundle, LogError> {
    let (path, bytes) = read(dir, Kind::Entries, n, width)?;
    match split_entries(&bytes, width) {
        Some(entries) => Ok(Bundle { path, entries }),
        None => Err(LogError::damaged(&path, "the bundle is cut short")),
    }
}

/// Splits the first `width` entries off a bundle; `None` if there are fewer.
pub(super) fn split_entries(bytes: &[u8], width: u64) -> Option<Vec<Arc<[u8]>>> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while (entries.len() as u64) < width {
        let (len, tail) = rest.split_first_chunk::<2>()?;
        let (entry, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        entries.push(Arc::from(entry));
        rest = tail;
    }
    Some(entries)
}

fn read(dir: &Path, kind: Kind, n: u64, width: u64) -> Result<(PathBuf, Vec<u8>), LogError> {
    let partial = path(dir, kind, n, width);
    match std::fs::read(&partial) {
        Ok(bytes) => Ok((partial, bytes)),
        // A partial tile may be gone once the full one is there.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && width != WIDTH => {
            let full = path(dir, kind, n, WIDTH);
            let bytes = std::fs::read(&full).map_err(|_| LogError::io("read", &partial, &error))?;
            Ok((full, bytes))
        }
        Err(error) => Err(LogError::io("read", &partial, &error)),
    }
}

/// Where a tree's files are written: the disk, and its folder in the data folder.
#[derive(Debug)]
pub(super) struct Place {
    pub disk: Disk,
    folders: Folders,
    /// The data folder.
    top: PathBuf,
}

impl Place {
    /// Takes the folder of the log.
    pub(super) fn new(disk: &Disk, log: &Path) -> Self {
        let top = log.parent().unwrap_or(log).to_owned();
        Self { disk: disk.clone(), folders: Folders::default(), top }
    }

    fn settle(&self, dir: &Path) -> Result<(), LogError> {
        self.folders.settle(&self.disk, &self.top, dir).map_err(|error| LogError::io("create", dir, &error))
    }

    /// Makes the names in a folder durable.
    pub(super) fn sync(&self, dir: &Path) -> Result<(), LogError> {
        self.disk.sync_folder(dir).map_err(|error| LogError::io("sync", dir, &error))
    }
}

/// Writes files so that each is whole or absent after a crash, and durable once [`Batch::finish`] has returned.
///
/// All are written before the first is synced, and a large batch is synced by several threads, so that the disk sees many
/// writes at once: a million leaves are 8,000 files.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    place: &'a Place,
    /// Files open under a passing name, and where they go.
    files: Vec<(File, PathBuf)>,
    dirs: BTreeSet<PathBuf>,
}

/// Files held open at most, below the usual limit of 1,024 a process.
const OPEN_FILES: usize = 256;
/// Threads that wait for the disk when many files are synced.
const SYNCERS: usize = 8;

impl<'a> Batch<'a> {
    /// Begins.
    pub(super) fn new(place: &'a Place) -> Self {
        Self { place, files: Vec::new(), dirs: BTreeSet::new() }
    }

    /// Writes one file under a passing name.
    pub(super) fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<(), LogError> {
        let dir = path.parent().unwrap_or(path);
        if !self.dirs.contains(dir) {
            self.place.settle(dir)?;
            self.dirs.insert(dir.to_owned());
        }
        let file = self.place.disk.write_whole(&passing(path), bytes);
        let file = file.map_err(|error| LogError::io("write", path, &error))?;
        self.files.push((file, path.to_owned()));
        if self.files.len() >= OPEN_FILES { self.place() } else { Ok(()) }
    }

    /// Syncs the files written so far and renames them into place.
    fn place(&mut self) -> Result<(), LogError> {
        let disk = &self.place.disk;
        let sync = |files: &[(File, PathBuf)]| {
            files.iter().try_for_each(|(file, path)| {
                let passing = passing(path);
                let placed = disk.sync(&passing, file).and_then(|()| disk.rename(&passing, path));
                placed.map_err(|error| LogError::io("write", path, &error))
            })
        };
        let files = std::mem::take(&mut self.files);
        if files.len() <= SYNCERS {
            return sync(&files);
        }
        std::thread::scope(|scope| {
            let share = files.len().div_ceil(SYNCERS);
            let threads: Vec<_> = files.chunks(share).map(|files| scope.spawn(move || sync(files))).collect();
            let results = threads.into_iter().map(|thread| thread.join().unwrap_or(Err(LogError::SyncerDied)));
            results.collect()
        })
    }

    /// Puts all files into place and syncs the folders written to.
    pub(super) fn finish(mut self) -> Result<(), LogError> {
        self.place()?;
        self.dirs.iter().try_for_each(|dir| self.place.sync(dir))
    }
}

fn passing(path: &Path) -> PathBuf {
    path.with_extension("new")
}
