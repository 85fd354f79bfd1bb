//! Carrying an erasure out: the pieces concerned are written again, and one commit of the key tree names the new ones and
//! forgets every key of the old.

use super::super::adopt::Adopting;
use super::super::epochs::{Building, ClosedEpoch, Readers};
use super::super::journal_keys::unneeded;
use super::super::recover::{VaultRecord, read_record};
use super::super::state::State;
use super::super::{Vault, VaultError};
use super::{Done, Erasing};
use crate::blocks::{Piece, piece_path};
use crate::consent::ConsentBitmaps;
use crate::fold::erase::Gone;
use crate::fold::pieces::{BlockPieces, CONSENT_STATE, NewPiece, Writer};
use crate::keys::{Changes, Entries, PieceKind, PieceState};
use policy::id::EpochId;
use policy::schema::Schema;
use rayon::prelude::*;
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Blocks that are written at the same time: a sync waits for the disk, and several can wait together.
const WRITERS: usize = 8;

/// Consent of both versions, without the erased.
pub(in crate::vault) struct Consent {
    closed: ConsentBitmaps,
    building: Option<ConsentBitmaps>,
}

/// Blocks that were written again and are not in the key tree yet.
pub(in crate::vault) struct Rewritten<'a> {
    pub schema: &'a Schema,
    pub blocks: Vec<u32>,
    /// New pieces of the closed epoch.
    pub closed: Vec<(NewPiece, Piece)>,
    /// New pieces of the version that is being built.
    pub building: Vec<(NewPiece, Piece)>,
    /// Kinds of which that version has pieces of its own.
    pub own: BTreeMap<u32, BTreeSet<PieceKind>>,
    pub consent: Consent,
}

impl Vault {
    /// Does the work. The caller holds the lock of closing, so no other version of the blocks is made meanwhile.
    pub(in crate::vault) fn carry_out(&self, erasing: &Erasing) -> Result<Done, VaultError> {
        let first_file = self.first_file();
        let done = self.rewrite_and_replace(erasing);
        if done.is_err() {
            self.discard(erasing.number, first_file);
        }
        done
    }

    fn rewrite_and_replace(&self, erasing: &Erasing) -> Result<Done, VaultError> {
        let places = erasing.places();
        let (schema, schema_version, old, own) = {
            let state = self.lock()?;
            let dataset = state.datasets.get(&erasing.number);
            let dataset = dataset.ok_or_else(|| VaultError::damaged("dataset", "it is gone"))?;
            let own = own_kinds(&state.tree.entries(), erasing.number, places.keys());
            (Arc::clone(&dataset.schema), dataset.version(), Arc::clone(&dataset.closed), own)
        };
        let dir = self.dataset_dir(erasing.number);
        self.settle_folder(&dir)?;
        let next_file = || self.file_number();
        let disk = &self.config.disk;
        let writer = Writer { disk, dir: &dir, dataset: erasing.number, schema_version, next_file: &next_file };
        let places: Vec<_> = places.into_iter().collect();
        let consent = Consent::without(&old, &erasing.people);
        let rewrite = |(block, gone): &(u32, Gone)| {
            let closed = rewrite_block(&writer, (&old.blocks, *block), &consent.closed, gone, None)?;
            let closed = self.opened(erasing.number, closed)?;
            let (Some(own), Some(consent)) = (own.get(block), &consent.building) else {
                return Ok((closed, Vec::new()));
            };
            let version = (old.folded_blocks(), *block);
            let building = rewrite_block(&writer, version, consent, gone, Some(own))?;
            Ok((closed, self.opened(erasing.number, building)?))
        };
        let writers = rayon::ThreadPoolBuilder::new().num_threads(WRITERS.min(places.len())).build();
        let writers = writers.map_err(|error| VaultError::Io(error.to_string()))?;
        let rewritten: Result<Vec<(Vec<_>, Vec<_>)>, VaultError> =
            writers.install(|| places.par_iter().with_max_len(1).map(rewrite).collect());
        let (closed, building): (Vec<_>, Vec<_>) = rewritten?.into_iter().unzip();
        disk.sync_folder(&dir).map_err(|error| VaultError::Io(error.to_string()))?;
        let rewritten = Rewritten {
            schema: &schema,
            blocks: places.iter().map(|(block, _)| *block).collect(),
            closed: closed.into_iter().flatten().collect(),
            building: building.into_iter().flatten().collect(),
            own,
            consent,
        };
        self.ship_pieces(rewritten.closed.iter().chain(&rewritten.building).map(|(new, _)| new))?;
        let journals = {
            let state = self.lock()?;
            let of =
                |block: &u32| state.datasets.get(&erasing.number).map_or(0, |dataset| dataset.journal.bytes_of(*block));
            rewritten.blocks.iter().map(of).sum()
        };
        self.check_space(journals)?;
        let mut state = self.lock()?;
        let done = self.replace_keys(&mut state, erasing, rewritten);
        let (mut done, readers) = self.poison_on_error(Ok(done))?;
        drop((state, old));
        done.lag = self.after_commit();
        // Draws and rows that began before; then scans, which hold the old pieces and their keys.
        self.fence();
        self.waiting.wipe(erasing.number, &erasing.people);
        readers.wait();
        Ok(done)
    }

    /// Opens pieces that were written, before the commit lock is taken for their adoption.
    pub(in crate::vault) fn opened(
        &self,
        number: u32,
        new: Vec<NewPiece>,
    ) -> Result<Vec<(NewPiece, Piece)>, VaultError> {
        let open = |new: NewPiece| {
            let path = piece_path(&self.config.data, number, new.file);
            let piece = Piece::open(&path, new.written.key.clone(), &new.meta)?;
            Ok((new, piece))
        };
        new.into_iter().map(open).collect()
    }

    /// Swaps pieces, journals and root. An error leaves the state in memory ahead of the disk.
    fn replace_keys(
        &self,
        state: &mut State,
        erasing: &Erasing,
        rewritten: Rewritten<'_>,
    ) -> Result<(Done, Readers), VaultError> {
        let number = erasing.number;
        let missing = || VaultError::damaged("dataset", "it is gone");
        let closed = Arc::clone(&state.datasets.get(&number).ok_or_else(missing)?.closed);
        let new = || rewritten.closed.iter().chain(&rewritten.building);
        let mut done = Done { pieces: new().count() as u64, ..Done::default() };
        done.bytes = new().map(|(new, _)| new.written.bytes).sum();
        let (schema, blocks) = (rewritten.schema, rewritten.blocks.clone());
        let (mut changes, mut gone) = (Changes::default(), Vec::new());
        let next = self.adopt_rewritten(state, &closed, number, rewritten, &mut changes, &mut gone);
        self.rewrite_journals(state, number, Some(erasing), &blocks, &mut changes)?;
        let shared_gone = self.strip_audiences(state, erasing, schema, &mut changes)?;
        // Not only the keys that the blocks' entries are under: frames that were folded, or lost in a crash, are in older
        // copies under keys of earlier openings.
        let mut needed = state.key_uses.all();
        needed.extend(state.journal.numbers());
        changes.remove_secrets.extend(unneeded(&state.tree, needed));
        let mut record: VaultRecord = read_record(&state.tree, "vault")?;
        record.next_file = self.file_number();
        if shared_gone.is_some() {
            // What is stripped is in the piece that was written just now, and so is every change before it.
            record.shared_seq = state.next_seq.saturating_sub(1);
        }
        changes.put_records.push(record.named()?);
        done.generation.0 = state.tree.generation();
        done.top.0 = state.tree.top_sha256()?;
        self.commit_pieces(state, changes)?;
        done.generation.1 = state.tree.generation();
        done.top.1 = state.tree.top_sha256()?;
        let dataset = state.datasets.get_mut(&number).ok_or_else(missing)?;
        let old = std::mem::replace(&mut dataset.closed, Arc::clone(&next));
        drop(closed);
        let readers = old.readers();
        gone.extend(shared_gone.into_iter().flatten());
        old.supersede(&self.config.disk, gone, &next);
        Ok((done, readers))
    }

    /// Takes over the new pieces of both versions. Where the version that is being built has none of its own, it shares the
    /// closed epoch's new ones.
    pub(in crate::vault) fn adopt_rewritten(
        &self,
        state: &State,
        closed: &ClosedEpoch,
        number: u32,
        rewritten: Rewritten<'_>,
        changes: &mut Changes,
        gone: &mut Vec<PathBuf>,
    ) -> Arc<ClosedEpoch> {
        let (schema, entries) = (rewritten.schema, state.tree.entries());
        let epoch = closed.info.epoch;
        let mut adopt = |version: PieceState, epoch: EpochId, new: Vec<(NewPiece, Piece)>, to: &mut [BlockPieces]| {
            let replaced = std::slice::from_ref(&version);
            let mut adopting =
                Adopting { number, schema, epoch, version, replaced, changes: Changes::default(), gone: Vec::new() };
            self.adopt_again(&mut adopting, new, to, &entries);
            changes.put.extend(adopting.changes.put);
            gone.extend(adopting.gone);
        };
        let mut blocks = closed.blocks.clone();
        adopt(PieceState::Closed, epoch, rewritten.closed, &mut blocks);
        let mut next = ClosedEpoch::new(closed.info, closed.bound, blocks, rewritten.consent.closed);
        if let (Some(building), Some(consent)) = (&closed.building, rewritten.consent.building) {
            let (mut built, none) = (building.blocks.clone(), BTreeSet::new());
            adopt(PieceState::Building, EpochId(epoch.0.saturating_add(1)), rewritten.building, &mut built);
            for block in rewritten.blocks {
                let slot = block as usize;
                let Some((all, shared)) = built.get_mut(slot).zip(next.blocks.get(slot)) else { continue };
                let own = std::mem::replace(all, shared.clone());
                let kinds = rewritten.own.get(&block).unwrap_or(&none);
                kinds.iter().for_each(|kind| all.take_over(*kind, &own, schema.events.len()));
            }
            next.building = Some(Building { bound: building.bound, blocks: built, consent });
        }
        Arc::new(next)
    }
}

/// Returns, of some blocks, the kinds of which the version that is being built has pieces of its own. One that has any gets
/// a consent state of its own too: who is in it only may be one of those erased, of whom the closed epoch knows nothing.
fn own_kinds<'b>(
    entries: &Entries,
    number: u32,
    blocks: impl Iterator<Item = &'b u32>,
) -> BTreeMap<u32, BTreeSet<PieceKind>> {
    let of = |block: &u32| {
        let own = entries.block(number, *block, PieceState::Building).map(|entry| entry.id.kind);
        let mut kinds: BTreeSet<PieceKind> = own.collect();
        let any = !kinds.is_empty();
        kinds.extend(any.then_some(PieceKind::State(CONSENT_STATE)));
        any.then_some((*block, kinds))
    };
    blocks.filter_map(of).collect()
}

impl Consent {
    pub(in crate::vault) fn without(old: &ClosedEpoch, people: &RoaringBitmap) -> Self {
        let erased = |consent: &ConsentBitmaps, bound: u32| {
            let mut consent = consent.clone();
            consent.erase_all(people.iter().filter(|ordinal| *ordinal < bound));
            consent
        };
        let building = old.building.as_ref().map(|building| erased(&building.consent, building.bound));
        Self { closed: erased(&old.consent, old.bound), building }
    }
}

/// Writes the folded pieces of a block again that hold something of some positions, those of some kinds or all; none if
/// nobody of them is in this version of it.
fn rewrite_block(
    writer: &Writer<'_>,
    (blocks, block): (&[BlockPieces], u32),
    consent: &ConsentBitmaps,
    gone: &Gone,
    kinds: Option<&BTreeSet<PieceKind>>,
) -> Result<Vec<NewPiece>, VaultError> {
    let wanted = |kind: PieceKind| kinds.is_none_or(|kinds| kinds.contains(&kind));
    let Some(pieces) = blocks.get(block as usize) else { return Ok(Vec::new()) };
    let Some(mut new) = writer.erase_block(pieces, gone, wanted)? else { return Ok(Vec::new()) };
    new.push(writer.write_state(block, CONSENT_STATE, &consent.block_bytes(block))?);
    Ok(new)
}
