//! New pieces on their way into the key tree, and old ones on their way out of it.
//!
//! In the tree a version that is being built names the pieces of its own and no others: where it has none of a kind, it
//! shares the closed epoch's. A fold replaces kinds of pieces as a whole, since their parts are cut anew; an erasure
//! replaces piece by piece.

use super::{Vault, VaultError};
use crate::blocks::{Piece, id_of};
use crate::fold::pieces::{BlockPieces, NewPiece};
use crate::keys::{Changes, Entries, PieceEntry, PieceKind, PieceState};
use policy::id::EpochId;
use policy::schema::Schema;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// New pieces on their way into the key tree.
pub(super) struct Adopting<'a> {
    /// Number of the dataset.
    pub number: u32,
    /// Its description.
    pub schema: &'a Schema,
    /// The epoch the pieces are of.
    pub epoch: EpochId,
    /// The version the pieces are of.
    pub version: PieceState,
    /// Versions in which they replace those of their kind.
    pub replaced: &'a [PieceState],
    /// What the key tree is to be told.
    pub changes: Changes,
    /// Files that the new pieces replace.
    pub gone: Vec<PathBuf>,
}

impl Vault {
    /// Takes over new pieces of several blocks.
    pub(super) fn adopt(
        &self,
        adopting: &mut Adopting<'_>,
        new: Vec<NewPiece>,
        blocks: &mut Vec<BlockPieces>,
        entries: &Entries,
    ) -> Result<(), VaultError> {
        let mut by_block: BTreeMap<u32, Vec<NewPiece>> = BTreeMap::new();
        for piece in new {
            by_block.entry(piece.meta.block).or_default().push(piece);
        }
        for (block, new) in by_block {
            let slot = block as usize;
            if blocks.len() <= slot {
                blocks.resize(slot + 1, BlockPieces::default());
            }
            if let Some(pieces) = blocks.get_mut(slot) {
                self.adopt_block(adopting, (block, new), pieces, entries)?;
            }
        }
        Ok(())
    }

    fn adopt_block(
        &self,
        adopting: &mut Adopting<'_>,
        (block, new): (u32, Vec<NewPiece>),
        pieces: &mut BlockPieces,
        entries: &Entries,
    ) -> Result<(), VaultError> {
        let events = adopting.schema.events.len();
        let kinds: BTreeSet<PieceKind> = new.iter().map(|new| id_of(&new.meta).kind).collect();
        for version in adopting.replaced {
            let of_version = entries.block(adopting.number, block, *version);
            self.forget(adopting, of_version.filter(|old| kinds.contains(&old.id.kind)));
        }
        kinds.iter().for_each(|kind| pieces.clear(*kind, events));
        for new in new {
            let entry = entry_of(&new, adopting.epoch, adopting.version);
            let path = self.config.data.join(entry.path());
            pieces.add(entry.id.kind, Arc::new(Piece::open(&path, new.written.key.clone(), &new.meta)?), events);
            adopting.changes.put.push(entry);
        }
        Ok(())
    }

    /// Takes over the next versions of pieces, each in the place of its own.
    pub(super) fn adopt_again(
        &self,
        adopting: &mut Adopting<'_>,
        new: Vec<(NewPiece, Piece)>,
        blocks: &mut [BlockPieces],
        entries: &Entries,
    ) {
        for (new, piece) in new {
            let entry = entry_of(&new, adopting.epoch, adopting.version);
            if let Some(old) = entries.get(&entry.id, adopting.version) {
                adopting.gone.push(self.config.data.join(old.path()));
            }
            if let Some(pieces) = blocks.get_mut(entry.id.block as usize) {
                pieces.swap(entry.id, piece);
            }
            adopting.changes.put.push(entry);
        }
    }

    fn forget<'e>(&self, adopting: &mut Adopting<'_>, old: impl Iterator<Item = &'e PieceEntry>) {
        for old in old {
            adopting.changes.remove.push((old.id, old.state));
            adopting.gone.push(self.config.data.join(old.path()));
        }
    }

    /// Makes the closed epoch's what the version that was being built has of its own, but for kinds that were adopted.
    pub(super) fn promote(&self, adopting: &mut Adopting<'_>, entries: &Entries) {
        let place = |entry: &PieceEntry| (entry.id.block, entry.id.kind);
        let adopted: BTreeSet<(u32, PieceKind)> = adopting.changes.put.iter().map(place).collect();
        let own = |state| entries.dataset(adopting.number).filter(move |entry| entry.state == state);
        let built: Vec<&PieceEntry> =
            own(PieceState::Building).filter(|entry| !adopted.contains(&place(entry))).collect();
        let kinds: BTreeSet<(u32, PieceKind)> = built.iter().map(|entry| place(entry)).collect();
        let replaced: Vec<&PieceEntry> =
            own(PieceState::Closed).filter(|entry| kinds.contains(&place(entry))).collect();
        self.forget(adopting, replaced.into_iter());
        for entry in built {
            adopting.changes.remove.push((entry.id, entry.state));
            adopting.changes.put.push(PieceEntry {
                state: PieceState::Closed,
                epoch: adopting.epoch.0,
                ..entry.clone()
            });
        }
    }

    /// Takes over a piece of the gateway's own state, and returns the file that it replaces.
    pub(super) fn replace(
        &self,
        changes: &mut Changes,
        new: &NewPiece,
        epoch: EpochId,
        entries: &Entries,
    ) -> Option<PathBuf> {
        let entry = entry_of(new, epoch, PieceState::Closed);
        let old = entries.get(&entry.id, PieceState::Closed).map(|old| self.config.data.join(old.path()));
        changes.put.push(entry);
        old
    }

    /// Makes a folder of piece files; its name is on disk before a file in it is named by the key tree.
    pub(super) fn settle_folder(&self, dir: &Path) -> Result<(), VaultError> {
        let settled = self.folders.settle(&self.config.disk, &self.config.data, dir);
        settled.map_err(|error| VaultError::Io(format!("{}: {error}", dir.display())))
    }

    pub(super) fn dataset_dir(&self, number: u32) -> PathBuf {
        self.config.data.join("blocks").join(format!("{number:08x}"))
    }

    /// Returns the number that the next piece file will have.
    pub(super) fn first_file(&self) -> u64 {
        self.next_file.load(Ordering::Relaxed)
    }

    /// Removes the piece files that an attempt wrote which did not get into the key tree: what fails because the disk is full
    /// must not fill it when it is tried again. The caller has held the lock of closing since it asked for `first`.
    pub(super) fn discard(&self, number: u32, first: u64) {
        let named: BTreeSet<PathBuf> = {
            let state = self.state.lock();
            // Nobody knows which root is on the disk: its pieces must be there.
            if !state.tree.is_settled() {
                return;
            }
            // What failed may have failed after the tree took its pieces over.
            state.tree.entries().iter().map(|entry| self.config.data.join(entry.path())).collect()
        };
        for dir in [self.dataset_dir(number), self.dataset_dir(0)] {
            for file in first..self.first_file() {
                let paths = ["piece", "tmp"].map(|end| dir.join(format!("{file:016x}.{end}")));
                for path in paths.iter().filter(|path| !named.contains(*path) && path.exists()) {
                    // One that stays is sealed under a key that nobody has; the next opening removes it.
                    self.config.disk.unlink(path).ok();
                }
            }
        }
    }
}

fn entry_of(new: &NewPiece, epoch: EpochId, state: PieceState) -> PieceEntry {
    let meta = &new.meta;
    PieceEntry {
        id: id_of(meta),
        version: meta.version,
        epoch: epoch.0,
        state,
        key: new.written.key.clone(),
        file: new.file,
        sha256: new.written.sha256,
        bytes: new.written.bytes,
    }
}
