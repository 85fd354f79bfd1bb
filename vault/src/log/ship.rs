//! Copying the log to another folder, a little at a time.
//!
//! Guarantees: when [`Log::ship`] has returned, the copy holds what its checkpoints cover, durably; a checkpoint is written
//! after the tiles under it, so a copy that was broken off is an older log, whole.

use super::note::Head;
use super::tiles::{self, Batch, Kind, Place, WIDTH};
use super::tree::TreeLog;
use super::{Log, LogError, Sizes};
use crate::disk::Disk;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A copy of the log in another folder.
#[derive(Debug)]
pub(crate) struct Copy {
    place: Place,
    dir: PathBuf,
}

impl Copy {
    /// Takes the folder of the copy.
    pub fn new(disk: &Disk, dir: &Path) -> Self {
        Self { place: Place::new(disk, dir), dir: dir.to_owned() }
    }
}

/// The checkpoints of both trees at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    access: (Head, Arc<str>),
    subject: (Head, Arc<str>),
}

impl Log {
    /// Returns the newest checkpoints.
    pub(crate) fn signed(&self) -> Signed {
        Signed { access: self.access.signed(), subject: self.subject.signed() }
    }

    /// Brings a copy that holds the first `held` leaves up to some checkpoints, and returns their sizes.
    pub(crate) fn ship(&self, copy: &Copy, held: Sizes, to: &Signed) -> Result<Sizes, LogError> {
        let access = self.access.ship(&copy.place, &copy.dir.join("access"), held.access, &to.access)?;
        let subject = self.subject.ship(&copy.place, &copy.dir.join("subject"), held.subject, &to.subject)?;
        Ok(Sizes { access, subject })
    }
}

impl TreeLog {
    fn ship(&self, place: &Place, dir: &Path, held: u64, (head, note): &(Head, Arc<str>)) -> Result<u64, LogError> {
        let checkpoint = dir.join("checkpoint");
        if head.size <= held && checkpoint.exists() {
            return Ok(held);
        }
        let mut batch = Batch::new(place);
        for (n, width) in tiles_between(held, head.size) {
            let bundle = tiles::read_entries(self.dir(), n, width)?;
            batch.write(&tiles::path(dir, Kind::Entries, n, width), &tiles::encode_entries(&bundle.entries))?;
        }
        let (mut level, mut from, mut to) = (0, held, head.size);
        while to > 0 {
            for (n, width) in tiles_between(from, to) {
                let hashes = tiles::read_hashes(self.dir(), level, n, width)?;
                batch.write(&tiles::path(dir, Kind::Hashes(level), n, width), &tiles::encode_hashes(&hashes))?;
            }
            (level, from, to) = (level.saturating_add(1), from / WIDTH, to / WIDTH);
        }
        batch.finish()?;
        let mut batch = Batch::new(place);
        batch.write(&checkpoint, note.as_bytes())?;
        batch.finish()?;
        drop_partials(place, dir, held, head.size);
        Ok(head.size)
    }
}

/// Numbers and widths of the tiles that differ between two sizes of a level.
fn tiles_between(from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
    let tiles = (from / WIDTH)..to.div_ceil(WIDTH);
    tiles.map(move |n| (n, WIDTH.min(to.saturating_sub(n.saturating_mul(WIDTH)))))
}

/// Removes the partial tiles whose full tile is there. One that stays is harmless.
fn drop_partials(place: &Place, dir: &Path, held: u64, size: u64) {
    let drop = |kind, n| tiles::path(dir, kind, n, 1).parent().map(|folder| place.disk.remove_folder(folder));
    let (mut level, mut from, mut to) = (0, held, size);
    while to > 0 {
        // Only the tile that was partial before can have left something.
        let n = from / WIDTH;
        if !from.is_multiple_of(WIDTH) && to / WIDTH > n {
            let _ = drop(Kind::Hashes(level), n);
            if level == 0 {
                let _ = drop(Kind::Entries, n);
            }
        }
        (level, from, to) = (level.saturating_add(1), from / WIDTH, to / WIDTH);
    }
}
