//! Folding: what was acknowledged becomes pieces of the next epoch's version, and at a close that version becomes the
//! closed epoch's in one step.
//!
//! Order: a leaf says so -> entries are read and pieces written, beside ingest and questions -> the leaves of what is
//! folded are in the permanent log -> one commit of the key tree names the new pieces, says up to which frame all is folded,
//! and forgets the keys of journals that nothing needs any more -> the version in memory is replaced -> what is folded goes
//! from the databases and the log.
//!
//! A close also takes out what is past its retention: blocks that hold any of it are written again without it, under fresh
//! keys, and their journals go on under fresh keys too. The close's commit destroys the old ones with their root, as an
//! erasure does, so that no older copy of the data folder opens what was taken out; of entries that came while the epoch
//! closed, the journal's key stays until the next fold. A leaf before it says how many blocks that concerns. Until then what
//! is past is in the closed epoch, in the version that is being built and in the journal, so it is held for its days and on
//! to the close after them, a day with daily epochs; a fold in between takes nothing out, and after the close neither version
//! holds it. Values of attributes that have no day yet get that of the close, in blocks that are written again for it.
//!
//! A close settles the links that were ended before it: the copies are out of the rows that it makes, and so the links act no
//! more.
//!
//! Guarantees: a fold changes no answer, since questions read the closed epoch; a crash leaves all of it or nothing; an
//! attempt that fails leaves no file behind. An erasure does not wait for a fold to end: when one waits, the blocks that are
//! folded so far are published, which a record for each says, and the fold goes on after it with what is left. A close folds
//! in that way first, and then closes over what little came meanwhile.

use super::adopt::Adopting;
use super::backlog::Trouble;
use super::commit::{JOURNAL, Outgoing, aad, nonce};
use super::epochs::{Building, ClosedEpoch};
use super::frames::outlived;
use super::journal_keys::{sealers, unneeded};
use super::journals::Sealed;
use super::recover::{DatasetRecord, SHARED_STATE, VaultRecord, read_record, restart_name};
use super::state::{SHARED, State};
use super::write::{dataset_of, leaf_of, place, refuse, require};
use super::{EpochInfo, Vault, VaultError};
use crate::blocks::{BLOCK_SUBJECTS, block_of};
use crate::consent::{ConsentBitmaps, Link};
use crate::fold::pieces::{BlockPieces, CONSENT_STATE, NewPiece, Writer, read_block};
use crate::fold::retention::{Concern, HeldIn, Retention};
use crate::keys::{Changes, PieceState, Sealer};
use crate::log::{Kind, Leaf, Word};
use crate::vault::Tree;
use parking_lot::MutexGuard;
use policy::decide::Reason;
use policy::id::{DatasetId, EpochId};
use policy::permit::{Permit, Verb};
use policy::schema::Schema;
use policy::time::Timestamp;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Blocks that are folded before it is looked whether an erasure waits.
const TURN: usize = if cfg!(test) { 1 } else { 8 };
/// A close of more blocks than these folds beforehand.
const FEW: usize = if cfg!(test) { 1 } else { 32 };

/// What folding needs, taken under the commit lock.
struct Work {
    number: u32,
    schema: Arc<Schema>,
    /// Number of that version of the description.
    schema_version: u32,
    old: Arc<ClosedEpoch>,
    /// Blocks with entries to fold.
    dirty: BTreeSet<u32>,
    /// Blocks with something that is past its retention.
    past: BTreeSet<u32>,
    /// Blocks with values that get a day, and nothing that is past.
    undated: BTreeSet<u32>,
    /// What is held by law, by block.
    held: BTreeMap<u32, HeldIn>,
    sealers: HashMap<u32, Sealer>,
    bound: u32,
    consent: ConsentBitmaps,
    /// Blocks whose consent differs from their state pieces.
    decided: BTreeSet<u32>,
    /// Links that were ended before this close, which settles them.
    settled: Vec<Link>,
    /// From which frame on the entries of some blocks count.
    restarts: BTreeMap<u32, u64>,
    /// The last frame to fold.
    seq: u64,
    shared: Vec<u8>,
    /// The epoch that closes with this fold, if one does.
    closes: Option<EpochInfo>,
    /// Number of the first file that this attempt may write.
    first_file: u64,
    /// The blocks that were folded, if an erasure did not wait for all of them.
    part: Option<BTreeSet<u32>>,
}

const NOTHING_HELD: &HeldIn = &HeldIn::new();

impl Work {
    /// Returns what is held in a block.
    fn held_in(&self, block: u32) -> &HeldIn {
        self.held.get(&block).unwrap_or(NOTHING_HELD)
    }

    /// Leaves the other blocks to the next turn.
    fn take_part(&mut self, part: BTreeSet<u32>) {
        let folded = self.old.building.as_ref().map_or(self.old.bound, |building| building.bound);
        let last = part.last().map_or(0, |last| last.saturating_add(1).saturating_mul(BLOCK_SUBJECTS));
        self.bound = self.bound.min(last.max(folded));
        let mut consent = self.old.folded_consent().clone();
        consent.take_blocks(&self.consent, &part);
        (self.consent, self.part) = (consent, Some(part));
    }

    /// Returns the epoch that the new pieces are of.
    fn epoch(&self) -> EpochId {
        self.closes.map_or(EpochId(self.old.info.epoch.0.saturating_add(1)), |info| info.epoch)
    }
}

/// Entries by block, in frame order.
type Entries = BTreeMap<u32, Vec<Sealed>>;

impl Vault {
    /// Closes the open epoch: folds every row acknowledged so far. Windows of its questions end at `as_of`.
    pub fn close_epoch(&self, permit: &Permit, as_of: Timestamp, now: Timestamp) -> Result<EpochInfo, VaultError> {
        require(permit, &[Verb::Maintain, Verb::ManageDataset])?;
        if as_of > now {
            return refuse(Reason::EpochNotClosed, "an epoch can't end in the future", "close it when it has ended");
        }
        let mut closing = self.closing.lock();
        let mut state = self.lock()?;
        let dataset = dataset_of(&mut state, permit)?;
        if dataset.dirty.len() > FEW {
            let leaf = leaf_of(permit, Kind::Fold, "fold", now);
            let number = dataset.number;
            self.fold_in_turns(&mut closing, state, number, &leaf, now)?;
            state = self.lock()?;
        }
        let dataset = dataset_of(&mut state, permit)?;
        if as_of < dataset.closed.info.as_of {
            return refuse(Reason::EpochNotClosed, "an epoch can't end before the last one did", "close it later");
        }
        let number = dataset.number;
        let info = EpochInfo { epoch: EpochId(dataset.closed.info.epoch.0 + 1), as_of };
        let leaf = Leaf { epoch: Some(info.epoch), ..leaf_of(permit, Kind::Epoch, "close epoch", now) };
        self.log_fold(&mut state, &leaf)?;
        self.fold_and_publish(state, number, &leaf, Some(info), now)?;
        Ok(info)
    }

    /// Folds every row acknowledged so far into the version of the epoch that is open, and lets journals and log go. Closes
    /// nothing: answers stay as they are. Returns how many blocks were folded.
    pub fn fold(&self, permit: &Permit, now: Timestamp) -> Result<usize, VaultError> {
        require(permit, &[Verb::Maintain])?;
        let mut closing = self.closing.lock();
        let mut state = self.lock()?;
        let number = dataset_of(&mut state, permit)?.number;
        self.fold_in_turns(&mut closing, state, number, &leaf_of(permit, Kind::Fold, "fold", now), now)
    }

    /// Takes the lock of closing for an erasure, for which a fold that is under way breaks off.
    pub(super) fn interrupt_fold(&self) -> MutexGuard<'_, ()> {
        self.interrupting.fetch_add(1, Ordering::Relaxed);
        let closing = self.closing.lock();
        self.interrupting.fetch_sub(1, Ordering::Relaxed);
        closing
    }

    /// Folds, and lets erasures that wait go before the rest. Returns how many blocks were folded.
    fn fold_in_turns<'a>(
        &'a self,
        closing: &mut MutexGuard<'_, ()>,
        mut state: MutexGuard<'a, State>,
        number: u32,
        leaf: &Leaf,
        now: Timestamp,
    ) -> Result<usize, VaultError> {
        self.log_fold(&mut state, leaf)?;
        let mut folded = 0;
        loop {
            let (some, is_all) = self.fold_and_publish(state, number, leaf, None, now)?;
            folded += some;
            if is_all {
                return Ok(folded);
            }
            MutexGuard::bump(closing);
            state = self.lock()?;
        }
    }

    fn log_fold(&self, state: &mut State, leaf: &Leaf) -> Result<(), VaultError> {
        // How often there is enough to fold depends on what people do; epochs close by the calendar.
        let tree = if leaf.kind == Kind::Fold { Tree::Subject } else { Tree::Access };
        let leaves = vec![(tree, leaf.to_json().into_bytes())];
        // What is folded is durable before it counts, and this with it.
        let _ = self.commit(state, Outgoing { leaves, ..Outgoing::default() })?;
        Ok(())
    }

    /// Returns the last closed epoch; `None` for an unknown dataset or before the first close.
    pub fn epoch(&self, dataset: &DatasetId) -> Option<EpochInfo> {
        let state = self.state.lock();
        let number = state.numbers.get(dataset)?;
        let info = state.datasets.get(number)?.closed.info;
        (info.epoch.0 > 0).then_some(info)
    }

    fn fold_and_publish(
        &self,
        mut state: MutexGuard<'_, State>,
        number: u32,
        leaf: &Leaf,
        closes: Option<EpochInfo>,
        now: Timestamp,
    ) -> Result<(usize, bool), VaultError> {
        let mut work = self.gather_work(&mut state, number, closes)?;
        // What comes after what is folded here is in another segment, so that those before it can go.
        self.wal.renew();
        drop(state);
        if let Some(info) = closes {
            work.settled = work.consent.settle_links();
            work.decided.extend(work.settled.iter().map(|link| block_of(link.secondary).0));
            work.consent.prune(info.as_of);
        }
        self.wal.sync()?;
        if let Some(info) = closes {
            (work.past, work.undated) = concerned(&work, info)?;
            self.log_past(leaf, work.past.len())?;
        }
        let first_file = work.first_file;
        let settled: BTreeSet<u32> = work.settled.iter().map(|link| block_of(link.primary).0).collect();
        let published = self.fold_or_reread(&mut work).and_then(|new| {
            // Frames that are folded are not replayed: their leaves must be in the permanent log first.
            self.persist_log()?;
            let folded = work.part.as_ref().map_or((work.dirty.len(), true), |part| (part.len(), false));
            self.publish(work, new).map(|()| folded)
        });
        if published.is_err() {
            self.discard(number, first_file);
        }
        if let Some(dataset) = self.state.lock().datasets.get_mut(&number) {
            dataset.trouble = published.as_ref().err().map(|error| Trouble::new(error, now));
        }
        let folded = published?;
        // What was copied by a link that is settled came under keys that entries of meanwhile may be under too.
        self.renew_journals(number, &settled)?;
        self.let_go(number);
        Ok(folded)
    }

    fn gather_work(&self, state: &mut State, number: u32, closes: Option<EpochInfo>) -> Result<Work, VaultError> {
        let seq = state.next_seq.saturating_sub(1);
        if let Some((dataset, closes)) = state.datasets.get(&number).zip(closes) {
            // Of the epoch before the one that is served until this close is done.
            let (name, served) = (dataset.schema.dataset.clone(), dataset.closed.info.epoch);
            let unreadable = |_| VaultError::damaged("held audience", "it does not parse");
            state.shared.end_holdings(&name, served).map_err(unreadable)?;
            state.shared.answers.forget(|asked_in| ended(asked_in, &name, served), closes.as_of);
        }
        let shared =
            serde_json::to_vec(&state.shared).map_err(|_| VaultError::damaged("state", "it can't be written"))?;
        let sealers = sealers(&state.tree)?;
        let dataset = state.datasets.get_mut(&number).ok_or_else(|| VaultError::damaged("dataset", "it is gone"))?;
        let mut held: BTreeMap<u32, HeldIn> = BTreeMap::new();
        for (ordinal, of_person) in state.shared.held_of(&dataset.schema, number, |_| true) {
            let (block, position) = place(ordinal);
            held.entry(block).or_default().insert(position, of_person);
        }
        Ok(Work {
            number,
            schema: Arc::clone(&dataset.schema),
            schema_version: dataset.version(),
            old: Arc::clone(&dataset.closed),
            dirty: dataset.dirty.clone(),
            past: BTreeSet::new(),
            undated: BTreeSet::new(),
            held,
            sealers,
            bound: dataset.next_ordinal,
            consent: dataset.consent.clone(),
            decided: dataset.consent.changed_since(dataset.closed.folded_consent()).into_iter().collect(),
            settled: Vec::new(),
            restarts: dataset.restarts.clone(),
            seq,
            shared,
            closes,
            first_file: self.first_file(),
            part: None,
        })
    }

    /// Says before anything is taken out how many blocks it concerns, if any; never what it is or whose.
    fn log_past(&self, close: &Leaf, blocks: usize) -> Result<(), VaultError> {
        if blocks == 0 {
            return Ok(());
        }
        let what = Word::new("removal of what is past its retention").ok();
        let leaf = Leaf { kind: Kind::Dataset, what, epoch: None, ..close.clone() };
        self.log_in(Tree::Subject, leaf.count("blocks", blocks as u64)?, Vec::new())
    }

    /// Folds; when an entry is missing or does not open, the database lied, and the entries are read from the log instead.
    fn fold_or_reread(&self, work: &mut Work) -> Result<Vec<NewPiece>, VaultError> {
        match self.fold_blocks(work, None) {
            Err(VaultError::Damaged { part, .. }) if part.starts_with("journal") => {
                self.discard(work.number, work.first_file);
                let state = self.lock()?;
                let dataset = state.datasets.get(&work.number);
                let dataset = dataset.ok_or_else(|| VaultError::damaged("dataset", "it is gone"))?;
                let entries = self.journal_from_log(dataset)?;
                drop(state);
                self.fold_blocks(work, Some(&entries.into_iter().collect()))
            }
            folded => folded,
        }
    }

    fn fold_blocks(&self, work: &mut Work, entries: Option<&Entries>) -> Result<Vec<NewPiece>, VaultError> {
        let dir = self.dataset_dir(work.number);
        self.settle_folder(&dir)?;
        let next_file = || self.file_number();
        let writer = Writer {
            disk: &self.config.disk,
            dir: &dir,
            dataset: work.number,
            schema_version: work.schema_version,
            next_file: &next_file,
        };
        let fold = |block: &u32| match entries {
            _ if !work.dirty.contains(block) => fold_one(work, &writer, *block, &[]),
            Some(entries) => fold_one(work, &writer, *block, entries.get(block).map_or(&[], Vec::as_slice)),
            None => fold_one(work, &writer, *block, &self.journaled(work, *block)?),
        };
        let mut blocks: BTreeSet<u32> = work.dirty.iter().chain(&work.past).chain(&work.undated).copied().collect();
        blocks.extend(work.settled.iter().map(|link| block_of(link.secondary).0));
        let blocks: Vec<u32> = blocks.into_iter().collect();
        let (mut new, mut done) = (Vec::new(), 0);
        for some in blocks.chunks(TURN) {
            let folded: Result<Vec<Vec<NewPiece>>, VaultError> = some.par_iter().with_max_len(1).map(fold).collect();
            new.extend(folded?.into_iter().flatten());
            done += some.len();
            // New blocks come last, so that those that are folded follow each other.
            if work.closes.is_none() && done < blocks.len() && self.interrupting.load(Ordering::Relaxed) > 0 {
                let part = blocks.into_iter().take(done).collect();
                work.take_part(part);
                break;
            }
        }
        Ok(new)
    }

    /// Reads a block's entries from the database. The commit lock is held for one block at a time, so that writers go on.
    fn journaled(&self, work: &Work, block: u32) -> Result<Vec<Sealed>, VaultError> {
        let state = self.lock()?;
        let found = state.datasets.get(&work.number).and_then(|dataset| dataset.journal.read(block));
        found.ok_or_else(|| VaultError::damaged(format!("journal of block {block}"), "its database lost an entry"))
    }

    /// Names the new pieces in the key tree and swaps the manifest.
    fn publish(&self, work: Work, new: Vec<NewPiece>) -> Result<(), VaultError> {
        let dir = self.dataset_dir(work.number);
        let next_file = || self.file_number();
        let home = self.dataset_dir(0);
        self.settle_folder(&home)?;
        let shared_writer =
            Writer { disk: &self.config.disk, dir: &home, dataset: 0, schema_version: 1, next_file: &next_file };
        let shared = shared_writer.write_state(0, SHARED_STATE, &work.shared)?;
        for folder in [&dir, &home] {
            self.config.disk.sync_folder(folder).map_err(|error| VaultError::Io(error.to_string()))?;
        }
        self.ship_pieces(new.iter())?;
        self.mirror_answers()?;
        let mut state = self.lock()?;
        let mut blocks = work.old.folded_blocks().to_vec();
        let (version, replaced) = match work.closes {
            Some(_) => (PieceState::Closed, [PieceState::Closed, PieceState::Building].as_slice()),
            None => (PieceState::Building, [PieceState::Building].as_slice()),
        };
        let (number, schema, epoch) = (work.number, &*work.schema, work.epoch());
        let (changes, gone) = (Changes::default(), Vec::new());
        let mut adopting = Adopting { number, schema, epoch, version, replaced, changes, gone };
        let entries = state.tree.entries();
        self.adopt(&mut adopting, new, &mut blocks, &entries)?;
        if work.closes.is_some() {
            self.promote(&mut adopting, &entries);
        }
        let Adopting { mut changes, mut gone, .. } = adopting;
        gone.extend(self.replace(&mut changes, &shared, epoch, &entries));
        drop(entries);
        let folded_seq = match work.part {
            Some(_) => state.datasets.get(&number).map_or(0, |dataset| dataset.folded_seq),
            None => work.seq,
        };
        changes.put_records.push(record_of(&work, folded_seq).named(number)?);
        if work.closes.is_some_and(|info| Retention::new(schema, info.as_of).is_limited()) {
            // What was taken out may have come under a key that is still in use.
            work.dirty.union(&work.past).for_each(|block| state.journal.retire((number, *block)));
        }
        let restart = work.seq.saturating_add(1);
        let first_seq = match &work.part {
            Some(part) => {
                let restarts = part.iter().map(|block| (restart_name(number, *block), restart.to_le_bytes().to_vec()));
                changes.put_records.extend(restarts);
                read_record::<VaultRecord>(&state.tree, "vault")?.first_seq
            }
            None => {
                let restarts = work.restarts.keys().map(|block| restart_name(number, *block));
                changes.remove_records.extend(restarts);
                settle_journals(&state, &work, &mut changes)
            }
        };
        changes.remove_secrets.extend(outlived(&state.tree, first_seq));
        changes
            .put_records
            .push(VaultRecord { next_file: self.file_number(), shared_seq: work.seq, first_seq }.named()?);
        if work.closes.is_some() {
            let served = work.old.info.epoch;
            let domains = state.tree.secrets("pseudonym/").map(|(name, _)| name.to_owned());
            changes.remove_secrets.extend(domains.filter(|name| ended(name, &work.schema.dataset, served)));
        }
        self.commit_pieces(&mut state, changes)?;
        // Not before: had the commit failed, an erasure would destroy keys that are needed still.
        state.key_uses.forget_folded(SHARED, work.seq);
        if work.part.is_none() {
            state.key_uses.forget_folded(number, work.seq);
        }
        let Some(dataset) = state.datasets.get_mut(&number) else { return Ok(()) };
        dataset.folded_seq = folded_seq;
        dataset.fresh.retain(|ordinal, _| *ordinal >= work.bound);
        dataset.dirty = match &work.part {
            Some(part) => {
                dataset.restarts.extend(part.iter().map(|block| (*block, restart)));
                dataset.journal.drop_folded_of(part, work.seq)
            }
            None => {
                dataset.restarts.clear();
                dataset.journal.drop_folded(work.seq)
            }
        };
        let next = Arc::new(match work.closes {
            Some(info) => {
                dataset.consent.forget_links(&work.settled);
                dataset.consent.share_unchanged(&work.consent);
                ClosedEpoch::new(info, work.bound, blocks, work.consent)
            }
            None => work.old.build_on(Building { bound: work.bound, blocks, consent: work.consent }),
        });
        let old = std::mem::replace(&mut dataset.closed, Arc::clone(&next));
        old.supersede(&self.config.disk, gone, &next);
        drop(state);
        self.after_commit();
        Ok(())
    }

    /// Removes what is folded from the database, some of it at a time, and from the log. What can't be removed now is no
    /// failure of the fold that is done: segments of the log go after the next one, and a database that failed is made again.
    fn let_go(&self, number: u32) {
        loop {
            let mut state = self.state.lock();
            let Some(dataset) = state.datasets.get_mut(&number) else { break };
            if dataset.journal.sweep() {
                continue;
            }
            if dataset.journal.stale
                && let Ok(entries) = self.journal_from_log(dataset)
            {
                let entries = entries.into_iter().flat_map(|(block, all)| all.into_iter().map(move |one| (block, one)));
                dataset.journal.mend(&entries.collect::<Vec<_>>());
            }
            break;
        }
        self.trim();
    }
}

/// Finds the blocks that hold something past its retention, and the others that hold values without a day. What came since
/// the last fold is not looked at here: its blocks are written anyway.
fn concerned(work: &Work, info: EpochInfo) -> Result<(BTreeSet<u32>, BTreeSet<u32>), VaultError> {
    let retention = Retention::new(&work.schema, info.as_of);
    if !retention.is_limited() {
        return Ok(Default::default());
    }
    let blocks: Vec<(u32, &BlockPieces)> = (0_u32..).zip(work.old.folded_blocks()).collect();
    let found = blocks.par_iter().map(|(block, pieces)| retention.concerns(pieces, work.held_in(*block)));
    let found: Vec<Concern> = found.collect::<Result<_, _>>()?;
    let blocks = |wanted| (0_u32..).zip(&found).filter(move |(_, found)| **found == wanted).map(|(block, _)| block);
    Ok((blocks(Concern::Past).collect(), blocks(Concern::Undated).collect()))
}

fn record_of(work: &Work, folded_seq: u64) -> DatasetRecord {
    let closed = work.closes.unwrap_or(work.old.info);
    DatasetRecord {
        epoch: closed.epoch,
        as_of: closed.as_of,
        bound: if work.closes.is_some() { work.bound } else { work.old.bound },
        folded_bound: work.bound,
        folded_seq,
    }
}

/// Says which journal keys go with this fold, and returns the first frame that must still be replayed after it.
fn settle_journals(state: &State, work: &Work, changes: &mut Changes) -> u64 {
    let State { key_uses, datasets, tree, journal, .. } = state;
    let folded = |number: u32| match datasets.get(&number) {
        // The gateway's own state is written with every fold.
        _ if number == SHARED || number == work.number => work.seq,
        Some(dataset) => dataset.folded_seq,
        None => 0,
    };
    let mut needed = key_uses.needed(folded);
    needed.extend(journal.numbers());
    changes.remove_secrets = unneeded(tree, needed);
    let others = datasets.values().filter(|dataset| dataset.number != work.number);
    let first = others.filter_map(|dataset| dataset.journal.first_frame()).min();
    let next = work.seq.saturating_add(1);
    first.map_or(next, |first| first.min(next))
}

/// Says whether a partner's holding or pseudonym domain, or what was asked, `.../dataset/epoch`, is of a dataset's epoch before `served`.
fn ended(name: &str, dataset: &DatasetId, served: EpochId) -> bool {
    let mut parts = name.rsplit('/');
    let epoch = parts.next().and_then(|epoch| epoch.parse().ok()).map(EpochId);
    epoch.is_some_and(|epoch| epoch < served) && parts.next() == Some(dataset.as_str())
}

/// Applies the entries of one block to its newest version and writes what changed. Entries of later frames stay.
fn fold_one(work: &Work, writer: &Writer<'_>, block: u32, entries: &[Sealed]) -> Result<Vec<NewPiece>, VaultError> {
    let empty = BlockPieces::default();
    let pieces = work.old.folded_blocks().get(block as usize).unwrap_or(&empty);
    let mut data = read_block(&work.schema, pieces)?;
    for entry in entries.iter().filter(|entry| entry.seq <= work.seq) {
        let delta = open_entry(&work.sealers, work.number, block, entry)?;
        let broken = |_| VaultError::damaged(format!("journal of block {block}"), "an entry does not parse");
        data.apply(&work.schema, &delta).map_err(broken)?;
    }
    if let Some(info) = work.closes {
        Retention::new(&work.schema, info.as_of).apply(&mut data, work.held_in(block));
    }
    let mut new = writer.write_block(&work.schema, block, &mut data)?;
    // Whatever changes consent is an entry of its block, or settles a link of it, so every block that is in `decided` comes
    // by here.
    if work.decided.contains(&block) {
        new.push(writer.write_state(block, CONSENT_STATE, &work.consent.block_bytes(block))?);
    }
    Ok(new)
}

/// Opens one sealed entry of a journal.
pub(super) fn open_entry(
    sealers: &HashMap<u32, Sealer>,
    dataset: u32,
    block: u32,
    entry: &Sealed,
) -> Result<zeroize::Zeroizing<Vec<u8>>, VaultError> {
    let damaged = |problem: &str| VaultError::damaged(format!("journal of block {block}"), problem);
    let sealer = sealers.get(&entry.key_id).ok_or_else(|| damaged("its key is gone"))?;
    let mut bytes = zeroize::Zeroizing::new(entry.bytes.clone());
    sealer
        .open(nonce(entry.seq, entry.part), &aad(JOURNAL, dataset, block, entry.key_id), &mut bytes)
        .map_err(|_| damaged("an entry does not open"))?;
    Ok(bytes)
}

/// Groups entries by block.
pub(super) fn by_block(entries: Vec<(u32, Sealed)>) -> Vec<(u32, Vec<Sealed>)> {
    let mut blocks: BTreeMap<u32, Vec<Sealed>> = BTreeMap::new();
    for (block, entry) in entries {
        blocks.entry(block).or_default().push(entry);
    }
    blocks.into_iter().collect()
}
