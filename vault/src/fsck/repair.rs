//! Puts back damaged files of a vault that is not served, from its mirror and its backup target.
//!
//! Guarantees: a file is replaced only by bytes that a verified parent names. The root and the pages of the key tree: by the
//! mirror's, which open, if no slot of the root is later. Pieces: by those of the hash that the key tree names. Segments of
//! the write-ahead log: by the beginning that was shipped, if all that was written later follows on it frame by frame. Tiles of
//! the permanent log: by those that hash to what the log's checkpoint covers. So
//! nobody who was erased comes back, and no budget or consent is another afterwards; opening compares all of it with what was
//! seen, as ever. Each file is durable before the next; a repair that was broken off is begun again.
//!
//! Does not: make up for what neither place holds, which is listed; nor touch a checkpoint of the permanent log; nor the
//! databases, which opening makes again by itself.

use super::{FsckError, map_piece};
use crate::backup::MAX_PIECE_BYTES;
use crate::disk::{self, Disk};
use crate::keys::{self, KeysError, MirrorCopy, PieceEntry, SecondLock};
use crate::log;
use crate::wal;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where a repair takes files from, and where it puts them.
#[derive(Debug)]
pub struct Repair<'a> {
    /// The disk.
    pub disk: Disk,
    /// The data folder.
    pub data: &'a Path,
    /// The root folder.
    pub root: &'a Path,
    /// The root's second lock.
    pub lock: &'a SecondLock,
    /// The mirror of root and key tree, if there is one.
    pub mirror: Option<&'a Path>,
    /// The backup target, if there is one.
    pub backup: Option<&'a Path>,
}

/// Where a file's bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The mirror.
    Mirror,
    /// The backup target.
    Backup,
}

/// What became of one damaged part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Which: a file relative to the data folder, or the folder of the key tree, which stands for the root too.
    pub path: PathBuf,
    /// Where its bytes came from; none if it stays damaged.
    pub from: Option<Source>,
    /// What was wrong.
    pub problem: String,
}

impl<'a> Repair<'a> {
    /// Prepares a repair on the real disk, without mirror and backup.
    pub fn of(data: &'a Path, root: &'a Path, lock: &'a SecondLock) -> Self {
        Self { disk: Disk::default(), data, root, lock, mirror: None, backup: None }
    }

    /// Looks at every file, and puts back what is damaged and can be. Refuses while the vault is served. Costs reading all
    /// files once.
    pub fn run(&self) -> Result<Vec<Repaired>, FsckError> {
        let mut done = Vec::new();
        self.key_tree(&mut done)?;
        let survey = keys::survey(self.root, self.data, self.lock)?;
        let mut seen = BTreeSet::new();
        for entry in survey.entries.iter() {
            if seen.insert(entry.path()) {
                self.piece(entry, &mut done)?;
            }
        }
        self.frames(&mut done)?;
        self.tiles(&mut done)?;
        Ok(done)
    }

    /// Puts root and key tree back, if they do not open and the mirror is not older than them.
    fn key_tree(&self, done: &mut Vec<Repaired>) -> Result<(), FsckError> {
        let problem = match keys::survey(self.root, self.data, self.lock) {
            Ok(_) => return Ok(()),
            Err(error @ (KeysError::Damaged { .. } | KeysError::NoRoot { .. } | KeysError::NotAVault(_))) => error,
            Err(error) => return Err(error.into()),
        };
        let Some(folder) = self.mirror else { return Err(problem.into()) };
        let mirror = MirrorCopy::open(folder, self.lock)?;
        // An older mirror would bring back keys that are gone.
        if keys::newest_slot(self.root, self.lock).is_some_and(|generation| generation > mirror.generation()) {
            return Err(problem.into());
        }
        mirror.write_pages(&self.disk, self.data)?;
        mirror.write_root(&self.disk, self.root)?;
        let (path, from) = (PathBuf::from("keys"), Some(Source::Mirror));
        done.push(Repaired { path, from, problem: problem.to_string() });
        Ok(())
    }

    fn piece(&self, entry: &PieceEntry, done: &mut Vec<Repaired>) -> Result<(), FsckError> {
        let path = entry.path();
        let Some(problem) = map_piece(&self.data.join(&path), &entry.sha256)?.problem else { return Ok(()) };
        let kept = self.kept(&path).filter(|bytes| Sha256::digest(bytes).as_slice() == entry.sha256);
        let from = kept.map(|bytes| self.put(&path, &bytes)).transpose()?;
        done.push(Repaired { path, from, problem: problem.to_owned() });
        Ok(())
    }

    fn frames(&self, done: &mut Vec<Repaired>) -> Result<(), FsckError> {
        let folder = self.data.join("wal");
        for (first, file) in wal::segments(&folder)? {
            let Some(problem) = damage(&folder, first) else { continue };
            let path = PathBuf::from("wal").join(file.file_name().unwrap_or_default());
            let from = self.segment(&path, first)?;
            done.push(Repaired { path, from, problem });
        }
        Ok(())
    }

    fn tiles(&self, done: &mut Vec<Repaired>) -> Result<(), FsckError> {
        let copy = self.backup.map(|backup| backup.join("log"));
        for mended in log::mend(&self.disk, &self.data.join("log"), copy.as_deref())? {
            let path = mended.path.strip_prefix(self.data).map(Path::to_owned).unwrap_or(mended.path);
            let problem = "it does not hash to what the log's checkpoint covers".to_owned();
            done.push(Repaired { path, from: mended.done.then_some(Source::Backup), problem });
        }
        Ok(())
    }

    /// Puts the beginning of a segment back as it was shipped; what is behind it stays.
    fn segment(&self, path: &Path, first: u64) -> Result<Option<Source>, FsckError> {
        let Some(kept) = self.kept(path) else { return Ok(None) };
        let here = disk::read(&self.data.join(path), MAX_PIECE_BYTES).map_err(io(path))?;
        let later = here.get(kept.len()..).unwrap_or_default();
        let whole = [kept.as_slice(), later].concat();
        // Tried aside, so that a segment that stays damaged is left as it was found.
        let aside = self.data.join("wal-repair");
        self.disk.create_folder(&aside).map_err(io(&aside))?;
        let tried = aside.join(path.file_name().unwrap_or_default());
        self.disk.write_whole(&tried, &whole).map_err(io(&tried))?;
        let sound = damage(&aside, first).is_none();
        self.disk.remove_folder(&aside).map_err(io(&aside))?;
        sound.then(|| self.put(path, &whole)).transpose()
    }

    /// Reads the target's copy of a file.
    fn kept(&self, path: &Path) -> Option<Vec<u8>> {
        disk::read(&self.backup?.join(path), MAX_PIECE_BYTES).ok()
    }

    /// Replaces a file durably.
    fn put(&self, path: &Path, bytes: &[u8]) -> Result<Source, FsckError> {
        let to = self.data.join(path);
        let passing = to.with_extension("repair");
        let folder = to.parent().unwrap_or(self.data);
        let put = || {
            self.disk.create_folder(folder)?;
            let file = self.disk.write_whole(&passing, bytes)?;
            self.disk.sync(&passing, &file)?;
            self.disk.rename(&passing, &to)?;
            self.disk.sync_folder(folder)
        };
        put().map_err(io(path)).map(|()| Source::Backup)
    }
}

/// Says what is wrong with a segment.
fn damage(folder: &Path, first: u64) -> Option<String> {
    match wal::survey(folder, first, |_, _| ()) {
        Ok(problem) => problem.map(str::to_owned),
        Err(error) => Some(error.to_string()),
    }
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> FsckError {
    move |error| FsckError::Io { path: path.to_owned(), error }
}
