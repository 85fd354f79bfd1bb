//! Closing an epoch: every row acknowledged before it is folded, and the new manifest replaces the old in one step.

use super::commit::{JOURNAL, Outgoing, aad, nonce};
use super::epochs::ClosedEpoch;
use super::journal_keys::{sealers, unneeded};
use super::journals::Sealed;
use super::recover::{DatasetRecord, SHARED_STATE, VaultRecord, restart_name};
use super::state::{SHARED, State};
use super::write::{dataset_of, leaf_of, refuse, require};
use super::{EpochInfo, Vault, VaultError};
use crate::blocks::{Piece, id_of};
use crate::consent::ConsentBitmaps;
use crate::fold::pieces::{BlockPieces, CONSENT_HISTORY, CONSENT_STATE, NewPiece, Writer, read_block};
use crate::keys::{Changes, PieceEntry, PieceKind, PieceState, Sealer};
use crate::log::{Kind, Leaf};
use crate::vault::Tree;
use policy::decide::Reason;
use policy::id::{DatasetId, EpochId};
use policy::permit::{Permit, Verb};
use policy::schema::Schema;
use policy::time::Timestamp;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What folding needs, taken under the commit lock.
struct Work {
    number: u32,
    schema: Arc<Schema>,
    old: Arc<ClosedEpoch>,
    /// Sealed entries of each block, in frame order.
    entries: Vec<(u32, Vec<Sealed>)>,
    sealers: HashMap<u32, Sealer>,
    bound: u32,
    consent: ConsentBitmaps,
    /// Blocks whose consent differs from their state pieces.
    decided: BTreeSet<u32>,
    /// The last frame that is folded already.
    folded_seq: u64,
    /// From which frame on the entries of some blocks count.
    restarts: BTreeMap<u32, u64>,
    /// The last frame to fold.
    seq: u64,
    shared: Vec<u8>,
    info: EpochInfo,
}

/// One folded block: its new pieces.
struct Folded {
    block: u32,
    new: Vec<NewPiece>,
}

/// New pieces on their way into the key tree.
pub(super) struct Adopting<'a> {
    /// Number of the dataset.
    pub number: u32,
    /// Its description.
    pub schema: &'a Schema,
    /// The epoch the pieces are of.
    pub epoch: EpochId,
    /// What the key tree is to be told.
    pub changes: Changes,
    /// Files that the new pieces replace.
    pub gone: Vec<PathBuf>,
}

impl Vault {
    /// Closes the open epoch: folds every row acknowledged so far. Windows of its questions end at `as_of`.
    pub fn close_epoch(&self, permit: &Permit, as_of: Timestamp, now: Timestamp) -> Result<EpochInfo, VaultError> {
        require(permit, &[Verb::Maintain, Verb::ManageDataset])?;
        if as_of > now {
            return refuse(Reason::EpochNotClosed, "an epoch can't end in the future", "close it when it has ended");
        }
        let _closing = self.closing.lock();
        let mut state = self.lock()?;
        let dataset = dataset_of(&mut state, permit)?;
        if as_of < dataset.closed.info.as_of {
            return refuse(Reason::EpochNotClosed, "an epoch can't end before the last one did", "close it later");
        }
        let number = dataset.number;
        let info = EpochInfo { epoch: EpochId(dataset.closed.info.epoch.0 + 1), as_of };
        let leaf = Leaf { epoch: Some(info.epoch), ..leaf_of(permit, Kind::Epoch, "close epoch", now) };
        let leaves = vec![(Tree::Access, leaf.to_json().into_bytes())];
        let ticket = self.commit(&mut state, Outgoing { leaves, ..Outgoing::default() })?;
        let mut work = self.gather_work(&mut state, number, info)?;
        drop(state);
        work.consent.prune(as_of);
        ticket.wait()?;
        let (work, folded) = self.fold_or_reread(work)?;
        // Frames that are folded are not replayed: their leaves must be in the permanent log first.
        self.persist_log()?;
        self.publish(work, folded)?;
        Ok(info)
    }

    /// Returns the last closed epoch; `None` for an unknown dataset or before the first close.
    pub fn epoch(&self, dataset: &DatasetId) -> Option<EpochInfo> {
        let state = self.state.lock();
        let number = state.numbers.get(dataset)?;
        let info = state.datasets.get(number)?.closed.info;
        (info.epoch.0 > 0).then_some(info)
    }

    fn gather_work(&self, state: &mut State, number: u32, info: EpochInfo) -> Result<Work, VaultError> {
        let seq = state.next_seq.saturating_sub(1);
        if let Some(dataset) = state.datasets.get(&number) {
            // Of the epoch before the one that is served until this close is done.
            let (name, served) = (dataset.schema.dataset.clone(), dataset.closed.info.epoch);
            state.shared.held.retain(|holder, _| !ended(holder, &name, served));
        }
        let shared =
            serde_json::to_vec(&state.shared).map_err(|_| VaultError::damaged("state", "it can't be written"))?;
        let sealers = sealers(&state.tree)?;
        let dataset = state.datasets.get_mut(&number).ok_or_else(|| VaultError::damaged("dataset", "it is gone"))?;
        let blocks: Vec<u32> = dataset.dirty.iter().copied().collect();
        let mut entries = Vec::with_capacity(blocks.len());
        for block in blocks {
            match dataset.journal.read(block) {
                Some(found) => entries.push((block, found)),
                None => {
                    entries = self.journal_from_log(number, dataset.folded_seq, &dataset.restarts)?;
                    break;
                }
            }
        }
        Ok(Work {
            number,
            schema: Arc::clone(&dataset.schema),
            old: Arc::clone(&dataset.closed),
            entries,
            sealers,
            bound: dataset.next_ordinal,
            consent: dataset.consent.clone(),
            decided: dataset.consent.changed_since(&dataset.closed.consent).into_iter().collect(),
            folded_seq: dataset.folded_seq,
            restarts: dataset.restarts.clone(),
            seq,
            shared,
            info,
        })
    }

    /// Folds; when an entry does not open, the database lied, and the entries are read from the log instead.
    fn fold_or_reread(&self, mut work: Work) -> Result<(Work, Vec<Folded>), VaultError> {
        match self.fold_blocks(&work) {
            Ok(folded) => Ok((work, folded)),
            Err(VaultError::Damaged { part, .. }) if part.starts_with("journal") => {
                let state = self.lock()?;
                work.entries = up_to(work.seq, self.journal_from_log(work.number, work.folded_seq, &work.restarts)?);
                drop(state);
                let folded = self.fold_blocks(&work)?;
                Ok((work, folded))
            }
            Err(error) => Err(error),
        }
    }

    fn fold_blocks(&self, work: &Work) -> Result<Vec<Folded>, VaultError> {
        let dir = self.dataset_dir(work.number);
        self.settle_folder(&dir)?;
        let next_file = || self.file_number();
        let writer = Writer {
            disk: &self.config.disk,
            dir: &dir,
            dataset: work.number,
            schema_version: 1,
            next_file: &next_file,
        };
        let fold = |(block, entries): &(u32, Vec<Sealed>)| fold_one(work, &writer, *block, entries);
        let folded: Result<Vec<Folded>, VaultError> = work.entries.par_iter().with_max_len(1).map(fold).collect();
        folded
    }

    /// Names the new pieces in the key tree and swaps the manifest.
    fn publish(&self, work: Work, folded: Vec<Folded>) -> Result<(), VaultError> {
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
        let mut state = self.lock()?;
        let mut blocks = work.old.blocks.clone();
        let (number, schema, epoch) = (work.number, &*work.schema, work.info.epoch);
        let mut adopting = Adopting { number, schema, epoch, changes: Changes::default(), gone: Vec::new() };
        for folded in folded {
            self.adopt(&mut adopting, folded, &mut blocks, &state)?;
        }
        self.replace(&mut adopting, &shared, &state);
        let Adopting { mut changes, gone, .. } = adopting;
        self.put_dataset_record(&work, &mut changes)?;
        let first_seq = settle_journals(&mut state, &work, &mut changes);
        let restarts = work.restarts.keys().map(|block| restart_name(work.number, *block));
        changes.remove_records.extend(restarts);
        changes
            .put_records
            .push(VaultRecord { next_file: self.file_number(), shared_seq: work.seq, first_seq }.named()?);
        let served = work.old.info.epoch;
        let domains = state.tree.secrets("pseudonym/").map(|(name, _)| name.to_owned());
        changes.remove_secrets.extend(domains.filter(|name| ended(name, &work.schema.dataset, served)));
        state.tree.commit(changes)?;
        let next = ClosedEpoch::new(work.info, work.bound, blocks, work.consent);
        if let Some(dataset) = state.datasets.get_mut(&work.number) {
            dataset.folded_seq = work.seq;
            dataset.restarts.clear();
            dataset.consent.share_unchanged(&next.consent);
            dataset.fresh.retain(|ordinal, _| *ordinal >= work.bound);
            dataset.dirty = dataset.journal.drop_folded(work.seq);
            let old = std::mem::replace(&mut dataset.closed, Arc::new(next));
            old.supersede(&self.config.disk, gone);
        }
        self.trim(&state)
    }

    /// Takes over new pieces of several blocks; a kind of piece is replaced as a whole.
    pub(super) fn adopt_all(
        &self,
        adopting: &mut Adopting<'_>,
        new: Vec<NewPiece>,
        blocks: &mut Vec<BlockPieces>,
        state: &State,
    ) -> Result<(), VaultError> {
        let mut by_block: BTreeMap<u32, Vec<NewPiece>> = BTreeMap::new();
        for piece in new {
            by_block.entry(piece.meta.block).or_default().push(piece);
        }
        by_block.into_iter().try_for_each(|(block, new)| self.adopt(adopting, Folded { block, new }, blocks, state))
    }

    fn adopt(
        &self,
        adopting: &mut Adopting<'_>,
        folded: Folded,
        blocks: &mut Vec<BlockPieces>,
        state: &State,
    ) -> Result<(), VaultError> {
        let slot = folded.block as usize;
        if blocks.len() <= slot {
            blocks.resize(slot + 1, BlockPieces::default());
        }
        let Some(pieces) = blocks.get_mut(slot) else { return Ok(()) };
        let kinds: BTreeSet<PieceKind> = folded.new.iter().map(|new| id_of(&new.meta).kind).collect();
        for old in state.tree.entries().block(adopting.number, folded.block, PieceState::Closed) {
            if kinds.contains(&old.id.kind) {
                adopting.changes.remove.push((old.id, old.state));
                adopting.gone.push(self.config.data.join(old.path()));
            }
        }
        for kind in &kinds {
            if let PieceKind::Events(event) = kind {
                pieces.events.resize(adopting.schema.events.len(), Vec::new());
                if let Some(parts) = pieces.events.get_mut(usize::from(*event)) {
                    parts.clear();
                }
            }
        }
        for new in folded.new {
            let entry = entry_of(&new, adopting.epoch);
            let path = self.config.data.join(entry.path());
            let piece = Arc::new(Piece::open(&path, new.written.key.clone(), &new.meta)?);
            match entry.id.kind {
                PieceKind::Attributes => pieces.attributes = Some(piece),
                PieceKind::Events(event) => {
                    if let Some(parts) = pieces.events.get_mut(usize::from(event)) {
                        parts.push(piece);
                    }
                }
                PieceKind::State(CONSENT_HISTORY) => pieces.consents = Some(piece),
                PieceKind::State(CONSENT_STATE) => pieces.consent_state = Some(piece),
                PieceKind::State(_) => {}
            }
            adopting.changes.put.push(entry);
        }
        Ok(())
    }

    /// Takes over a piece of state that stands for itself.
    pub(super) fn replace(&self, adopting: &mut Adopting<'_>, new: &NewPiece, state: &State) {
        let entry = entry_of(new, adopting.epoch);
        if let Some(old) = state.tree.entries().get(&entry.id, PieceState::Closed) {
            adopting.gone.push(self.config.data.join(old.path()));
        }
        adopting.changes.put.push(entry);
    }

    fn put_dataset_record(&self, work: &Work, changes: &mut Changes) -> Result<(), VaultError> {
        let record =
            DatasetRecord { epoch: work.info.epoch, as_of: work.info.as_of, bound: work.bound, folded_seq: work.seq };
        changes.put_records.push(record.named(work.number)?);
        Ok(())
    }

    /// Makes a folder of piece files; its name is on disk before a file in it is named by the key tree.
    pub(super) fn settle_folder(&self, dir: &Path) -> Result<(), VaultError> {
        let settled = self.folders.settle(&self.config.disk, &self.config.data, dir);
        settled.map_err(|error| VaultError::Io(format!("{}: {error}", dir.display())))
    }

    pub(super) fn dataset_dir(&self, number: u32) -> PathBuf {
        self.config.data.join("blocks").join(format!("{number:08x}"))
    }
}

/// Says which journal keys go with this fold, and returns the first frame that must still be replayed after it.
fn settle_journals(state: &mut State, work: &Work, changes: &mut Changes) -> u64 {
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

/// Says whether a partner's holding or pseudonym domain, `.../dataset/epoch`, is of a dataset's epoch before `served`.
fn ended(name: &str, dataset: &DatasetId, served: EpochId) -> bool {
    let mut parts = name.rsplit('/');
    let epoch = parts.next().and_then(|epoch| epoch.parse().ok()).map(EpochId);
    epoch.is_some_and(|epoch| epoch < served) && parts.next() == Some(dataset.as_str())
}

/// Leaves out entries of later frames, which the next epoch folds.
fn up_to(seq: u64, mut blocks: Vec<(u32, Vec<Sealed>)>) -> Vec<(u32, Vec<Sealed>)> {
    for (_, entries) in &mut blocks {
        entries.retain(|entry| entry.seq <= seq);
    }
    blocks.retain(|(_, entries)| !entries.is_empty());
    blocks
}

fn entry_of(new: &NewPiece, epoch: EpochId) -> PieceEntry {
    let meta = &new.meta;
    PieceEntry {
        id: id_of(meta),
        version: meta.version,
        epoch: epoch.0,
        state: PieceState::Closed,
        key: new.written.key.clone(),
        file: new.file,
        sha256: new.written.sha256,
        bytes: new.written.bytes,
    }
}

fn fold_one(work: &Work, writer: &Writer<'_>, block: u32, entries: &[Sealed]) -> Result<Folded, VaultError> {
    let empty = BlockPieces::default();
    let pieces = work.old.blocks.get(block as usize).unwrap_or(&empty);
    let mut data = read_block(&work.schema, pieces)?;
    for entry in entries.iter().filter(|entry| entry.seq <= work.seq) {
        let delta = open_entry(&work.sealers, work.number, block, entry)?;
        let broken = |_| VaultError::damaged(format!("journal of block {block}"), "an entry does not parse");
        data.apply(&work.schema, &delta).map_err(broken)?;
    }
    let mut new = writer.write_block(&work.schema, block, &mut data)?;
    // Whatever changes consent is an entry of its block, so every block that is in `decided` comes by here.
    if work.decided.contains(&block) {
        new.push(writer.write_state(block, CONSENT_STATE, &work.consent.block_bytes(block))?);
    }
    Ok(Folded { block, new })
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
