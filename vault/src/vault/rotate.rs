//! Replacing keys while the vault serves.
//!
//! Order: a leaf says which keys are to go -> a record in the key tree says from which number on keys are fresh -> what the
//! older ones sealed is sealed again, a few blocks a step, and each step is one commit of the key tree that names the new
//! and forgets the old -> when none is left the record goes -> a leaf says so.
//!
//! Guarantees: between two steps closes, erasures and other calls go on, and what they write is under fresh keys already;
//! the files that a step replaced are gone before the next begins, so the disk holds one step twice at most. After a crash
//! or an error every piece and entry is under its old key or its new one; a rotation of journals is carried out at the next
//! opening, and one of pieces goes on where it was when it is asked for again.
//! Does not: stop copies made before from being read with keys that somebody took before. Old copies of the data folder are
//! sealed under roots that are gone since the first commit after them, with or without this.

use super::epochs::Readers;
use super::erase::{Consent, Rewritten};
use super::journal_keys::{number_of, unneeded};
use super::recover::{VaultRecord, open_piece, read_record};
use super::state::{SHARED, State};
use super::write::{leaf_of, refuse, require};
use super::{Vault, VaultError};
use crate::fold::pieces::NewPiece;
use crate::keys::{Changes, Entries, KeyTree, PieceEntry, PieceKind, PieceState, SecondLock};
use crate::log::{Kind, Leaf, Word};
use crate::rotation::{Progress, Rotated, Rotation};
use policy::decide::Reason;
use policy::id::EpochId;
use policy::permit::{Permit, Verb};
use policy::time::Timestamp;
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Most bytes of pieces that one step seals again, unless one block has more.
const STEP_BYTES: u64 = 64 << 20;
/// Most blocks of one step: a piece costs a sync.
const STEP_BLOCKS: usize = 16;

/// The record that says which pieces are left: those in files with a lower number.
const PIECES: &str = "rotation/pieces";
/// The record that says which journal keys are left: those with a lower number.
const JOURNALS: &str = "rotation/journals";

/// Tells whoever waits how far it is.
pub type Watch<'a> = &'a (dyn Fn(Progress) + Sync);

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
    /// Replaces keys. One rotation runs at a time. `watch` hears of every step; what it does must be quick.
    pub fn rotate(
        &self,
        permit: &Permit,
        what: Rotation,
        now: Timestamp,
        watch: Watch<'_>,
    ) -> Result<Rotated, VaultError> {
        require(permit, &[Verb::Maintain, Verb::ManageDataset])?;
        whole(permit)?;
        let Some(_turn) = self.rotating.try_lock() else {
            return refuse(Reason::RequestInvalid, "another rotation is under way", "wait until it has ended");
        };
        self.log_change(leaf_of(permit, Kind::Key, &format!("rotate {}", what.word()), now), Vec::new())?;
        let done = match what {
            Rotation::Pieces => self.rotate_pieces(watch),
            Rotation::Journals => self.rotate_journals(watch),
            Rotation::Root => self.rotate_root(),
            Rotation::Pseudonyms => self.rotate_pseudonyms(),
            Rotation::Log => self.rotate_log(permit, now),
            // Its leaf follows when the new key signs.
            Rotation::Tokens => return self.rotate_tokens(now),
        }?;
        let rotated = Rotated { generation: self.lock()?.tree.generation(), ..done };
        self.log_rotated(leaf_of(permit, Kind::Key, &format!("rotated {}", what.word()), now), rotated)?;
        Ok(rotated)
    }

    /// Puts another second lock on the root: from then on it yields to that one alone.
    pub fn relock(&self, permit: &Permit, lock: &SecondLock, now: Timestamp) -> Result<(), VaultError> {
        require(permit, &[Verb::Maintain, Verb::ManageDataset])?;
        whole(permit)?;
        self.log_change(leaf_of(permit, Kind::Key, "rotate lock of the root", now), Vec::new())?;
        let generation = {
            let mut state = self.lock()?;
            state.tree.relock(lock, Changes { all_pages: true, ..Changes::default() })?;
            state.tree.generation()
        };
        let leaf = leaf_of(permit, Kind::Key, "rotated lock of the root", now);
        self.log_change(leaf.count("generation", generation)?, Vec::new())
    }

    /// Carries out a rotation of journals that a crash broke off: until it is done, entries that were sealed again are in
    /// the log twice.
    pub(super) fn resume_rotation(&self, now: Timestamp) -> Result<(), VaultError> {
        if self.lock()?.tree.record(JOURNALS).is_none() {
            return Ok(());
        }
        let done = match self.rotate_journals(&|_| ()) {
            // The datasets that can be read are served; the rotation waits for the repair of the others.
            Err(VaultError::Damaged { .. }) if !self.damage().is_empty() => return Ok(()),
            done => done?,
        };
        let what = Word::new(&format!("rotated {} after a restart", Rotation::Journals.word())).ok();
        self.log_rotated(Leaf { what, ..Leaf::new(Kind::Key, now) }, done)
    }

    fn log_rotated(&self, leaf: Leaf, rotated: Rotated) -> Result<(), VaultError> {
        let Rotated { keys, bytes, generation } = rotated;
        let leaf = leaf.count("keys", keys)?.count("bytes", bytes)?.count("generation", generation)?;
        self.log_change(leaf, Vec::new())
    }

    fn rotate_root(&self) -> Result<Rotated, VaultError> {
        let mut state = self.lock()?;
        state.tree.commit(Changes { all_pages: true, ..Changes::default() })?;
        Ok(rotated(&state.tree, state.tree.page_generations().count() as u64, 0))
    }

    fn rotate_pseudonyms(&self) -> Result<Rotated, VaultError> {
        // Whoever delivers now has a key in hand.
        let _turn = self.delivering.lock();
        let mut state = self.lock()?;
        let remove_secrets: Vec<String> = state.tree.secrets("pseudonym/").map(|(name, _)| name.to_owned()).collect();
        let keys = remove_secrets.len() as u64;
        state.tree.commit(Changes { remove_secrets, ..Changes::default() })?;
        Ok(rotated(&state.tree, keys, 0))
    }

    fn rotate_pieces(&self, watch: Watch<'_>) -> Result<Rotated, VaultError> {
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
        let mut state = self.lock()?;
        let (mut changes, mut gone) = (Changes::default(), Vec::new());
        changes.put_records.push(self.numbered(&state)?);
        if number == SHARED {
            let entries = state.tree.entries();
            for piece in &new.closed {
                gone.extend(self.replace(&mut changes, piece, EpochId(0), &entries));
            }
            drop(entries);
            state.tree.commit(changes)?;
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
            closed: new.closed,
            building: new.building,
            consent: Consent::without(&closed, &RoaringBitmap::new()),
        };
        let next = self.adopt_rewritten(&state, &closed, number, rewritten, &mut changes, &mut gone)?;
        state.tree.commit(changes)?;
        drop(closed);
        let dataset = state.datasets.get_mut(&number).ok_or_else(missing)?;
        let old = std::mem::replace(&mut dataset.closed, Arc::clone(&next));
        let readers = old.readers();
        old.supersede(&self.config.disk, gone, &next);
        Ok((left(&state, first), Some(readers)))
    }

    /// Removes files that the key tree names no more.
    fn unlink(&self, files: Vec<PathBuf>) {
        for file in files {
            // One that stays is sealed under a key that no longer exists; the next opening removes it.
            self.config.disk.unlink(&file).ok();
        }
    }

    fn rotate_journals(&self, watch: Watch<'_>) -> Result<Rotated, VaultError> {
        let (first, all) = {
            let mut state = self.lock()?;
            match begun(&state.tree, JOURNALS)? {
                Some(first) => (first, old_keys(&state.tree, first)),
                None => {
                    let all = old_keys(&state.tree, u64::MAX);
                    (renew(&mut state)?, all)
                }
            }
        };
        let mut bytes = 0;
        loop {
            let _closing = self.closing.lock();
            let mut state = self.lock()?;
            let old = |state: &State| state.key_uses.places_under(|key| u64::from(key) < first);
            let places = old(&state);
            // What can be read comes first.
            let well = places.iter().find(|(number, _)| state.readable(*number).is_ok());
            let Some((number, block)) = well.or(places.first()).copied() else {
                let remove_records = vec![JOURNALS.to_owned()];
                state.tree.commit(Changes { remove_records, ..Changes::default() })?;
                return Ok(rotated(&state.tree, all.saturating_sub(old_keys(&state.tree, first)), bytes));
            };
            state.readable(number)?;
            let step = self.renew_journal(&mut state, number, block);
            bytes += self.poison_on_error(Ok(step))?;
            let left = old_keys(&state.tree, first);
            drop(state);
            watch(Progress { done: all.saturating_sub(left), left });
        }
    }

    /// Seals again what a place's journal holds, and destroys keys that nothing is under any more. Returns how many bytes it
    /// wrote. An error leaves the state in memory ahead of the disk.
    fn renew_journal(&self, state: &mut State, number: u32, block: u32) -> Result<u64, VaultError> {
        let mut changes = Changes::default();
        let mut record: VaultRecord = read_record(&state.tree, "vault")?;
        let mut gone = Vec::new();
        let mut bytes = 0;
        if number == SHARED {
            gone = self.restate_shared(state, &mut changes)?;
            record.shared_seq = state.next_seq.saturating_sub(1);
            // The piece stands for every frame so far: they must not be lost after it.
            self.wal.sync()?;
            bytes += changes.put.iter().map(|entry| entry.bytes).sum::<u64>();
        } else {
            let entries = self.journal_of(state, number, block)?;
            bytes += entries.iter().map(|entry| entry.bytes.len() as u64).sum::<u64>();
            self.rewrite_journals(state, number, &RoaringBitmap::new(), &[block], &mut changes)?;
        }
        let mut needed = state.key_uses.all();
        needed.extend(state.journal.numbers());
        changes.remove_secrets.extend(unneeded(&state.tree, needed));
        record.next_file = self.file_number();
        changes.put_records.push(record.named()?);
        state.tree.commit(changes)?;
        self.unlink(gone);
        Ok(bytes)
    }

    /// Returns the vault's record with the file numbers used so far.
    fn numbered(&self, state: &State) -> Result<(String, Vec<u8>), VaultError> {
        let mut record: VaultRecord = read_record(&state.tree, "vault")?;
        record.next_file = self.file_number();
        record.named()
    }
}

impl State {
    /// Refuses a dataset whose files can't be read: it waits for its repair.
    fn readable(&self, number: u32) -> Result<(), VaultError> {
        match self.datasets.get(&number).and_then(|dataset| dataset.damage.as_ref()) {
            Some((part, problem)) => Err(VaultError::damaged(part, problem)),
            None => Ok(()),
        }
    }
}

/// Counts the journal keys with a lower number.
fn old_keys(tree: &KeyTree, first: u64) -> u64 {
    let numbers = tree.secrets("journal/").filter_map(|(name, _)| number_of(name));
    numbers.filter(|number| u64::from(*number) < first).count() as u64
}

/// Refuses a permit for one dataset.
fn whole(permit: &Permit) -> Result<(), VaultError> {
    if permit.dataset().is_none() {
        return Ok(());
    }
    let next = "ask for a permit that names no dataset";
    refuse(Reason::PurposeDenied, "keys are of the whole vault, and this permit is for one dataset", next)
}

fn rotated(tree: &KeyTree, keys: u64, bytes: u64) -> Rotated {
    Rotated { keys, bytes, generation: tree.generation() }
}

/// Reads from which number on keys are fresh, if this rotation was begun.
fn begun(tree: &KeyTree, name: &str) -> Result<Option<u64>, VaultError> {
    let Some(bytes) = tree.record(name) else { return Ok(None) };
    let first = bytes.as_slice().try_into().map(u64::from_le_bytes);
    first.map(Some).map_err(|_| VaultError::damaged("key tree", format!("record {name} does not parse")))
}

/// Draws a fresh stock of journal keys, so that no later write is under an older one.
fn renew(state: &mut State) -> Result<u64, VaultError> {
    let State { journal, key_uses, tree, .. } = state;
    let record = |first: u32| (JOURNALS.to_owned(), u64::from(first).to_le_bytes().to_vec());
    let changes = |first| Changes { put_records: vec![record(first)], ..Changes::default() };
    Ok(journal.renew(tree, key_uses.all(), changes)?.into())
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
