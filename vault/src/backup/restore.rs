//! Making a vault again from a mirror and a target.
//!
//! Guarantees: nothing is served that does not verify: every piece against the hash in the key tree, every leaf of the log
//! against its signed checkpoint, every frame against its checksum; and what the mirror has seen the target hold, and its key
//! tree needs, is there, or the target is refused as older. What home had written and the mirror noted, and the target lacks,
//! is a [`Loss`], which somebody has to accept.
//!
//! Does not bring back what was not shipped; checkpoints signed after the position of the target are not continued.

use super::loss::Loss;
use super::noted::Noted;
use super::position::{POSITION_BYTES, Position, Seen};
use super::target::{MAX_PIECE_BYTES, POSITION_FILE, UNFINISHED, list, segment_name, segment_of};
use crate::disk::{self, Disk, Folders};
use crate::keys::{MirrorCopy, PieceEntry};
use crate::log::{Leaf, Log};
use crate::vault::{Tree, VaultError};
use crate::wal::Wal;
use policy::time::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes that are copied at a time.
const CHUNK: u64 = 4 << 20;

fn at(path: &Path) -> impl Fn(io::Error) -> VaultError {
    move |error| VaultError::Io(format!("{}: {error}", path.display()))
}

/// What is made again, and from what.
pub(crate) struct Restore<'a> {
    pub disk: &'a Disk,
    pub target: &'a Path,
    /// The data folder to be.
    pub data: &'a Path,
    pub mirror: &'a MirrorCopy,
}

impl Restore<'_> {
    /// Puts pieces, frames, leaves and key pages into the data folder, durably, and verifies them; all but the root.
    pub fn fill(&self) -> Result<Position, VaultError> {
        let position = self.position()?;
        let folders = Folders::default();
        let settle = |folder: &Path| folders.settle(self.disk, self.data, folder).map_err(at(folder));
        let mut touched = BTreeSet::new();
        for entry in self.mirror.entries().iter() {
            let to = self.data.join(entry.path());
            let folder = to.parent().unwrap_or(self.data);
            settle(folder)?;
            touched.insert(folder.to_owned());
            if !to.exists() {
                self.copy_piece(entry, &to)?;
            }
        }
        self.copy_frames(&position, &settle)?;
        self.copy_log(&self.target.join("log"), &self.data.join("log"), &settle)?;
        for folder in touched {
            self.disk.sync_folder(&folder).map_err(at(&folder))?;
        }
        self.mirror.write_pages(self.disk, self.data)?;
        Ok(position)
    }

    /// Reads the frames and leaves that were copied, and refuses those that are older than what was seen. Returns what was
    /// noted and is not among them.
    pub fn verify(
        &self,
        log: &Log,
        wal: (Wal, crate::wal::Replay),
        seen: &[Seen],
        noted: &Noted,
    ) -> Result<Option<Loss>, VaultError> {
        let (wal, replay) = wal;
        for tree in [Tree::Access, Tree::Subject] {
            for leaf in log.scan(tree, 0, log.size(tree)) {
                leaf?;
            }
        }
        for frame in replay {
            let (_, frame) = frame?;
            log.replay(frame.before, &frame.leaves)?;
        }
        seen.iter().try_for_each(|seen| is_older("the backup", log, wal.next_seq(), seen))?;
        let last = [last_of(log, Tree::Access)?, last_of(log, Tree::Subject)?].into_iter().flatten().max();
        let loss = Loss::of(noted, wal.next_seq(), log.sizes(), last);
        if let (None, Some(home)) = (&loss, &noted.home) {
            is_older("the backup", log, wal.next_seq(), home)?;
        }
        Ok(loss)
    }

    fn position(&self) -> Result<Position, VaultError> {
        let path = self.target.join(POSITION_FILE);
        let bytes = disk::read(&path, POSITION_BYTES as u64).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => VaultError::Setup(format!("{} holds no backup", self.target.display())),
            _ => at(&path)(error),
        })?;
        let position = Position::decode(&bytes);
        let position = position.map_err(|problem| VaultError::damaged(path.display().to_string(), problem))?;
        if Some(position.identity.as_slice()) != self.mirror.identity() {
            let target = self.target.display();
            return Err(VaultError::Setup(format!("{target} is the backup of another vault than the mirror")));
        }
        Ok(position)
    }

    fn copy_piece(&self, entry: &PieceEntry, to: &Path) -> Result<(), VaultError> {
        let from = self.target.join(entry.path());
        let piece = disk::read(&from, MAX_PIECE_BYTES).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => VaultError::Older {
                what: "the backup".to_owned(),
                problem: format!("it lacks {}, which the key tree of the mirror names", entry.path().display()),
            },
            _ => at(&from)(error),
        })?;
        if Sha256::digest(&piece).as_slice() != entry.sha256 {
            let problem = "its hash is not the one the key tree of the mirror names";
            return Err(VaultError::damaged(from.display().to_string(), problem));
        }
        let file = self.disk.write_whole(to, &piece).map_err(at(to))?;
        self.disk.sync(to, &file).map_err(at(to))
    }

    /// Copies the frames that the position names. Bytes after them may be torn.
    fn copy_frames(
        &self,
        position: &Position,
        settle: &impl Fn(&Path) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let (from, to) = (self.target.join("wal"), self.data.join("wal"));
        settle(&to)?;
        let (last, bytes) = position.segment;
        let listed = list(&from).map_err(VaultError::Io)?;
        for first in listed.iter().filter_map(|path| segment_of(path)).filter(|first| *first <= last) {
            let most = if first == last { bytes } else { u64::MAX };
            self.copy(&from.join(segment_name(first)), &to.join(segment_name(first)), most)?;
        }
        self.disk.sync_folder(&to).map_err(at(&to))
    }

    fn copy_log(
        &self,
        from: &Path,
        to: &Path,
        settle: &impl Fn(&Path) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        settle(to)?;
        for path in list(from).map_err(VaultError::Io)? {
            let to = to.join(path.file_name().unwrap_or_default());
            if path.is_dir() {
                self.copy_log(&path, &to, settle)?;
            } else if path.extension().is_none_or(|end| end != UNFINISHED) {
                self.copy(&path, &to, u64::MAX)?;
            }
        }
        self.disk.sync_folder(to).map_err(at(to))
    }

    fn copy(&self, from: &Path, to: &Path, most: u64) -> Result<(), VaultError> {
        let mut source = File::open(from).map_err(at(from))?;
        let file = self.disk.create(to).map_err(at(to))?;
        let mut done = 0;
        loop {
            let mut chunk = Vec::new();
            let want = CHUNK.min(most.saturating_sub(done));
            (&mut source).take(want).read_to_end(&mut chunk).map_err(at(from))?;
            if chunk.is_empty() {
                break;
            }
            self.disk.write_at(to, &file, done, &chunk).map_err(at(to))?;
            done = done.saturating_add(chunk.len() as u64);
        }
        self.disk.sync(to, &file).map_err(at(to))
    }
}

/// Returns when the last leaf of a tree was written, if it has any.
fn last_of(log: &Log, tree: Tree) -> Result<Option<Timestamp>, VaultError> {
    let Some(last) = log.size(tree).checked_sub(1) else { return Ok(None) };
    Ok(Some(Leaf::parse(&log.leaf(tree, last)?)?.t))
}

/// Refuses frames and leaves that end before what was seen, or are others.
pub(crate) fn is_older(what: &str, log: &Log, next_seq: u64, seen: &Seen) -> Result<(), VaultError> {
    let older = |problem: String| VaultError::Older { what: what.to_owned(), problem };
    if next_seq < seen.next_seq {
        let (have, want) = (next_seq.saturating_sub(1), seen.next_seq.saturating_sub(1));
        return Err(older(format!("it ends at frame {have}, and frame {want} was written")));
    }
    for (tree, size, root) in
        [(Tree::Access, seen.sizes.access, seen.roots[0]), (Tree::Subject, seen.sizes.subject, seen.roots[1])]
    {
        if log.size(tree) < size {
            return Err(older(format!("its log has {} leaves of the {size} that were signed", log.size(tree))));
        }
        if log.root(tree, size)? != root {
            return Err(older(format!("its log is not the one whose first {size} leaves were signed")));
        }
    }
    Ok(())
}
