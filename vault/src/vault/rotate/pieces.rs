//! Sealing every piece again: a few blocks a step, both versions of each, whatever they hold.

use super::super::epochs::Readers;
use super::super::erase::{Consent, Rewritten};
use super::super::recover::open_piece;
use super::super::state::{SHARED, State};
use super::super::{Vault, VaultError};
use super::{Watch, begun, rotated};
use crate::fold::pieces::NewPiece;
use crate::keys::{Changes, Entries, PieceEntry, PieceKind, PieceState};
use crate::rotation::{Progress, Rotated};
use policy::id::EpochId;
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most bytes of pieces that one step seals again, unless one block has more.
const STEP_BYTES: u64 = 64 << 20;
/// Most blocks of one step: a piece costs a sync.
const STEP_BLOCKS: usize = 16;

/// The record that says which pieces are left: those in files with a lower number.
const PIECES: &str = "rotation/pieces";
/// Blocks of one dataset whose pieces are sealed again together.
struct Step {
    number: u32,
    blocks: BTreeSet<u32>,
    pieces: Vec<PieceEntry>,
}

/// Pieces that were sealed again and are not in the key tree yet.
#[derive(Default)]
struct Resealed {
    closed: Vec<NewPiece>,
    building: Vec<NewPiece>,
}

impl Resealed {
    fn bytes(&self) -> u64 {
        self.closed.iter().chain(&self.building).map(|piece| piece.written.bytes).sum()
    }
}

impl Vault {
    pub(super) fn rotate_pieces(&self, watch: Watch<'_>) -> Result<Rotated, VaultError> {
        let first = {
            let mut state = self.lock()?;
            match begun(&state.tree, PIECES)? {
                Some(first) => first,
                None => {
                    let first = self.file_number();
                    let mut changes = Changes::default();
                    changes.put_records.push((PIECES.to_owned(), first.to_le_bytes().to_vec()));
                    changes.put_records.push(self.numbered(&state)?);
                    state.tree.commit(changes)?;
                    first
                }
            }
        };
        let (mut keys, mut bytes) = (0, 0);
        loop {
            // No other version of a block is made during a step.
            let _closing = self.closing.lock();
            let mut state = self.lock()?;
            let Some(step) = next_step(&state, first)? else {
                let remove_records = vec![PIECES.to_owned()];
                state.tree.commit(Changes { remove_records, ..Changes::default() })?;
                return Ok(rotated(&state.tree, keys, bytes));
            };
            drop(state);
            let first_file = self.first_file();
            let number = step.number;
            let done = self.reseal(&step).and_then(|new| {
                keys += (new.closed.len() + new.building.len()) as u64;
                bytes += new.bytes();
                self.adopt_resealed(step, new, first)
            });
            if done.is_err() {
                self.discard(number, first_file);
            }
            let (left, readers) = done?;
            // Scans hold the pieces that were replaced; their files and keys go with the last of them.
            readers.into_iter().for_each(Readers::wait);
            watch(Progress { done: keys, left });
        }
    }

    /// Writes the pieces of a step again.
    fn reseal(&self, step: &Step) -> Result<Resealed, VaultError> {
        let (disk, dir) = (&self.config.disk, self.dataset_dir(step.number));
        let mut new = Resealed::default();
        for entry in &step.pieces {
            let file = self.file_number();
            let (meta, written) = open_piece(&self.config, entry)?.reseal(disk, &dir, file)?;
            let of_version = match entry.state {
                PieceState::Closed => &mut new.closed,
                PieceState::Building => &mut new.building,
            };
            of_version.push(NewPiece { file, meta, written });
        }
        disk.sync_folder(&dir).map_err(|error| VaultError::Io(error.to_string()))?;
        Ok(new)
    }

    /// Names the new pieces in the key tree instead of the old, and says how many old ones are left. An error leaves the
    /// old ones served.
    fn adopt_resealed(&self, step: Step, new: Resealed, first: u64) -> Result<(u64, Option<Readers>), VaultError> {
        let number = step.number;
        self.ship_pieces(new.closed.iter().chain(&new.building))?;
        self.mirror_answers()?;
        let mut state = self.lock()?;
        let (mut changes, mut gone) = (Changes::default(), Vec::new());
        changes.put_records.push(self.numbered(&state)?);
        if number == SHARED {
            let entries = state.tree.entries();
            for piece in &new.closed {
                gone.extend(self.replace(&mut changes, piece, EpochId(0), &entries));
            }
            drop(entries);
            self.commit_pieces(&mut state, changes)?;
            self.unlink(gone);
            return Ok((left(&state, first), None));
        }
        let missing = || VaultError::damaged("dataset", "it is gone");
        let dataset = state.datasets.get(&number).ok_or_else(missing)?;
        let (closed, schema) = (Arc::clone(&dataset.closed), Arc::clone(&dataset.schema));
        let rewritten = Rewritten {
            schema: &schema,
            own: own_kinds(&state.tree.entries(), number, &step.blocks),
            blocks: step.blocks.into_iter().collect(),
            closed: self.opened(number, new.closed)?,
            building: self.opened(number, new.building)?,
            consent: Consent::without(&closed, &RoaringBitmap::new()),
        };
        let next = self.adopt_rewritten(&state, &closed, number, rewritten, &mut changes, &mut gone);
        self.commit_pieces(&mut state, changes)?;
        drop(closed);
        let dataset = state.datasets.get_mut(&number).ok_or_else(missing)?;
        let old = std::mem::replace(&mut dataset.closed, Arc::clone(&next));
        let readers = old.readers();
        old.supersede(&self.config.disk, gone, &next);
        Ok((left(&state, first), Some(readers)))
    }
}

/// Counts the pieces in files with a lower number.
fn left(state: &State, first: u64) -> u64 {
    state.tree.entries().iter().filter(|entry| entry.file < first).count() as u64
}

/// Lists the kinds of which the version that is being built has pieces of its own.
fn own_kinds(entries: &Entries, number: u32, blocks: &BTreeSet<u32>) -> BTreeMap<u32, BTreeSet<PieceKind>> {
    let own = |block: &u32| entries.block(number, *block, PieceState::Building).map(|entry| entry.id.kind).collect();
    blocks.iter().map(|block| (*block, own(block))).collect()
}

/// Chooses the next blocks with pieces in files of a lower number. A kind of piece is taken as a whole, as it is adopted.
fn next_step(state: &State, first: u64) -> Result<Option<Step>, VaultError> {
    let entries = state.tree.entries();
    let old = |entry: &&PieceEntry| entry.file < first;
    // What can be read comes first.
    let well = entries.iter().filter(old).find(|entry| state.readable(entry.id.dataset).is_ok());
    let Some(number) = well.or_else(|| entries.iter().find(old)).map(|entry| entry.id.dataset) else {
        return Ok(None);
    };
    state.readable(number)?;
    let mut step = Step { number, blocks: BTreeSet::new(), pieces: Vec::new() };
    let mut bytes = 0;
    for block in entries.dataset(number).filter(old).map(|entry| entry.id.block) {
        if step.blocks.contains(&block) {
            continue;
        }
        if bytes > STEP_BYTES || step.blocks.len() == STEP_BLOCKS {
            break;
        }
        for version in [PieceState::Closed, PieceState::Building] {
            let of_version = || entries.block(number, block, version);
            let kinds: BTreeSet<_> = of_version().filter(old).map(|entry| entry.id.kind).collect();
            step.pieces.extend(of_version().filter(|entry| kinds.contains(&entry.id.kind)).cloned());
        }
        step.blocks.insert(block);
        bytes = step.pieces.iter().map(|entry| entry.bytes).sum();
    }
    Ok(Some(step))
}
