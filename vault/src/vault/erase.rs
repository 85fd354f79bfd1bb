//! Erasing people, so that no older copy of the data folder can be read for them with any key that exists from then on.
//!
//! Order: the intent is durable -> the people are out of the index and of every consent -> the pieces of their blocks, in the
//! closed epoch and in the version that is being built, are written again without them, under fresh keys -> what their blocks' journals hold of others is written again under a
//! fresh key -> one commit of the key tree names the new pieces and forgets every key of the old, and its root is
//! replaced -> no draw, row or scan that could hold them is left -> the outcome is durable.
//!
//! Linked subjects are one person: whoever is linked to someone named is erased too. Someone whose events are copied beside
//! another's still, by a link that was ended since the last close, is refused until the next. A hold is of the subject that it
//! was placed on: of a primary it keeps the copies with its own events, of a secondary what the secondary itself has.
//!
//! Guarantees, once [`Vault::erase`] has returned: of these people no key of a piece, journal or audience exists, in the
//! key tree or in memory, but of what is held by law, which is sealed anew where it was and read by nobody until the hold ends.
//! A crash leaves an intent, which the next opening carries out before it serves.
//! Does not reach: copies of the root's own medium made before; releases drawn before, which are differentially private;
//! pseudonyms that a partner holds; what stays in a disk's spare sectors, where it is sealed under keys that are gone.

use super::adopt::Adopting;
use super::change::Change;
use super::commit::Outgoing;
use super::deliver::{decode, encode};
use super::epochs::{Building, ClosedEpoch};
use super::fold_epoch::open_entry;
use super::hidden::KnownHidden;
use super::journal_keys::{SHARED_PLACE, sealers, unneeded};
use super::recipients::is_of;
use super::recover::{SHARED_STATE, VaultRecord, read_record, restart_name};
use super::state::{Dataset, State};
use super::write::{dataset_of, leaf_of, place, refuse, require};
use super::{Tree, Vault, VaultError};
use crate::backup::BackupLag;
use crate::blocks::{BLOCK_SUBJECTS, Piece, piece_path};
use crate::consent::ConsentBitmaps;
use crate::erasure::{ErasureReceipt, MAX_PEOPLE};
use crate::fold::erase::Gone;
use crate::fold::pieces::{BlockPieces, CONSENT_STATE, NewPiece, Writer};
use crate::holds::Held;
use crate::ingest::SubjectKey;
use crate::journal::{Delta, Seen};
use crate::keys::{Changes, Entries, PieceKind, PieceState};
use crate::log::{Kind, Leaf, Word};
use crate::pseudonym;
use crate::wal::Ticket;
use policy::decide::Reason;
use policy::id::{DatasetId, EpochId};
use policy::permit::{Permit, Verb};
use policy::schema::Schema;
use policy::time::Timestamp;
use rayon::prelude::*;
use roaring::RoaringBitmap;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Blocks that are written at the same time: a sync waits for the disk, and several can wait together.
const WRITERS: usize = 8;
/// Most bytes of rewritten entries in one part of a frame.
const PART_BYTES: usize = 1 << 20;
/// Most bytes of rewritten entries in one frame.
const FRAME_BYTES: usize = 8 << 20;

/// An erasure whose intent is durable.
pub(super) struct Erasing {
    /// First of its leaves in the subject tree, which names it.
    pub leaf: u64,
    /// Number of the dataset.
    pub number: u32,
    pub people: RoaringBitmap,
    /// What is left, of those of whom anything is.
    pub held: BTreeMap<u32, Held>,
    /// Ended holds that it waited for.
    pub after: Vec<u64>,
    /// Keys of those who were not named and are linked to someone who was; not known any more when it is resumed.
    pub linked: Vec<SubjectKey>,
}

/// What an intent to erase says.
pub(super) struct Intent {
    /// Number of the dataset.
    pub number: u32,
    pub people: RoaringBitmap,
    /// Ended holds that it waited for.
    pub after: Vec<u64>,
    /// The leaf, but for the person.
    pub leaf: Leaf,
}

impl Erasing {
    /// Returns what is left of a person who is erased; none of anyone else.
    fn left(&self, ordinal: u32) -> Option<&Held> {
        const NOTHING: &Held = &Held::nothing();
        self.people.contains(ordinal).then(|| self.held.get(&ordinal).unwrap_or(NOTHING))
    }

    /// Returns the blocks concerned, the positions in them and what is left there.
    pub fn places(&self) -> BTreeMap<u32, Gone> {
        let mut places: BTreeMap<u32, Gone> = BTreeMap::new();
        for ordinal in &self.people {
            let (block, position) = place(ordinal);
            let held = self.held.get(&ordinal).cloned().unwrap_or_default();
            places.entry(block).or_default().insert(position, held);
        }
        places
    }

    /// Returns the index of the leaf that says that a person's erasure was taken up.
    pub fn intent_of(&self, ordinal: u32) -> u64 {
        self.leaf.saturating_add(self.people.rank(ordinal).saturating_sub(1))
    }

    /// Makes a leaf the one that says it is done and commits to a receipt.
    pub fn outcome_leaf(&self, leaf: Leaf, receipt: &ErasureReceipt) -> Result<Leaf, VaultError> {
        let mut leaf = Leaf { of: Some(self.leaf), commit: Some(Sha256::digest(receipt.to_json()?).into()), ..leaf };
        let ErasureReceipt { people, pieces, bytes, generation_before, generation_after, .. } = receipt;
        let counts = [
            ("people", people),
            ("pieces", pieces),
            ("bytes", bytes),
            ("generation before", generation_before),
            ("generation after", generation_after),
        ];
        for (name, count) in counts {
            leaf = leaf.count(name, *count)?;
        }
        if !self.held.is_empty() {
            leaf = leaf.count("held", self.held.len() as u64)?;
        }
        Ok(leaf)
    }

    /// Returns what its leaves call it once it is done.
    pub fn done_words(&self) -> &'static str {
        if self.held.is_empty() { "erased" } else { "erased but for what is held" }
    }
}

/// Consent of both versions, without the erased.
pub(super) struct Consent {
    closed: ConsentBitmaps,
    building: Option<ConsentBitmaps>,
}

/// Blocks that were written again and are not in the key tree yet.
pub(super) struct Rewritten<'a> {
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

/// What was done, for the receipt.
#[derive(Default)]
pub(super) struct Done {
    generation: (u64, u64),
    top: ([u8; 32], [u8; 32]),
    pieces: u64,
    bytes: u64,
    lag: Option<BackupLag>,
}

impl Vault {
    /// Erases people of the permit's dataset, 1 to [`MAX_PEOPLE`], as one generation of the key tree, and whoever is linked to
    /// one of them. A subject that does not exist is refused by its position, and nobody is erased then. Waits for draws and
    /// scans in flight.
    pub fn erase(
        &self,
        permit: &Permit,
        subjects: &[SubjectKey],
        now: Timestamp,
    ) -> Result<ErasureReceipt, VaultError> {
        self.erase_people(permit, subjects, now).map(|(_, receipt)| receipt)
    }

    pub(super) fn erase_people(
        &self,
        permit: &Permit,
        subjects: &[SubjectKey],
        now: Timestamp,
    ) -> Result<(Erasing, ErasureReceipt), VaultError> {
        require(permit, &[Verb::EraseSubject])?;
        if !(1..=MAX_PEOPLE).contains(&subjects.len()) {
            let message = format!("an erasure is of 1 to {MAX_PEOPLE} people");
            return refuse(Reason::MessageTooLarge, message, "send several");
        }
        self.mirror_answers()?;
        let _closing = self.interrupt_fold();
        let erasing = self.intend_erasure(permit, subjects, now)?;
        let done = self.carry_out(&erasing)?;
        let mut receipt = self.receipt(&erasing, done, now)?;
        let leaf = leaf_of(permit, Kind::Erase, erasing.done_words(), now);
        self.conclude(&erasing, leaf, &mut receipt)?;
        Ok((erasing, receipt))
    }

    /// States what was done; the outcome is not in the log yet.
    pub(super) fn receipt(&self, erasing: &Erasing, done: Done, now: Timestamp) -> Result<ErasureReceipt, VaultError> {
        let state = self.lock()?;
        let dataset =
            state.datasets.get(&erasing.number).ok_or_else(|| VaultError::damaged("dataset", "it is gone"))?;
        let held = state.shared.held_back(&dataset.schema, erasing);
        Ok(ErasureReceipt {
            version: ErasureReceipt::version_with(&held),
            dataset: dataset.schema.dataset.clone(),
            people: erasing.people.len(),
            intent: erasing.leaf,
            outcome: 0,
            generation_before: done.generation.0,
            generation_after: done.generation.1,
            top_before: crate::answers::hex(&done.top.0),
            top_after: crate::answers::hex(&done.top.1),
            pieces: done.pieces,
            bytes: done.bytes,
            held,
            backup: done.lag,
            at: now,
        })
    }

    /// Carries out what a crash left undone, before anything is served, and what a full or failing disk did, at the next tick.
    /// An error of the disk leaves its erasure for the next tick and keeps no other from being carried out; files that are
    /// damaged mark their dataset.
    pub(super) fn resume_erasures(&self, now: Timestamp) -> Result<(), VaultError> {
        if self.lock()?.shared.erasures.is_empty() {
            return Ok(());
        }
        // Whoever erases now holds this lock, and its erasure is not left undone.
        let Some(_closing) = self.closing.try_lock() else { return Ok(()) };
        let pending = self.lock()?.shared.erasures.clone();
        let mut left = Ok(());
        for (leaf, (number, people)) in pending {
            let people = decode(&people).ok_or_else(|| VaultError::damaged("erasure", "it does not parse"))?;
            let Some(erasing) = self.take_up_again(leaf, number, people)? else { continue };
            self.mirror_answers()?;
            let done = match self.carry_out(&erasing) {
                Err(VaultError::Damaged { part, problem }) => {
                    // The dataset refuses every call until it is repaired; the others are served.
                    if let Some(dataset) = self.lock()?.datasets.get_mut(&number) {
                        dataset.damage = Some((part, problem));
                    }
                    continue;
                }
                Err(VaultError::Io(problem)) => {
                    left = Err(VaultError::Io(format!("an erasure waits for the next try: {problem}")));
                    continue;
                }
                done => done?,
            };
            if !erasing.after.is_empty() {
                let dataset = self.name_of(number)?;
                let leaf = Leaf { dataset, what: Word::new(erasing.done_words()).ok(), ..Leaf::new(Kind::Erase, now) };
                self.conclude_resumed(&erasing, done, leaf, now)?;
                continue;
            }
            let dataset = self.name_of(number)?;
            let what = Word::new(&format!("{} after a restart", erasing.done_words())).ok();
            let outcome = Leaf { dataset, what, ..Leaf::new(Kind::Erase, now) };
            let outcome = outcome.count("people", erasing.people.len())?.count("pieces", done.pieces)?;
            self.log_erased(&erasing, outcome)?;
        }
        left
    }

    fn name_of(&self, number: u32) -> Result<Option<DatasetId>, VaultError> {
        Ok(self.lock()?.datasets.get(&number).map(|dataset| dataset.schema.dataset.clone()))
    }

    /// Takes people of an erasure that is in the log out of the index and of every consent; none if their dataset's files can't
    /// be read: the erasure waits for their repair.
    fn take_up_again(&self, leaf: u64, number: u32, people: RoaringBitmap) -> Result<Option<Erasing>, VaultError> {
        let mut state = self.lock()?;
        let State { datasets, shared, .. } = &mut *state;
        match datasets.get_mut(&number) {
            None | Some(Dataset { damage: Some(_), .. }) => Ok(None),
            Some(dataset) => {
                let held = shared.held_of(&dataset.schema, number, |ordinal| people.contains(ordinal));
                dataset.index.remove_ordinals(|ordinal| people.contains(ordinal));
                dataset.forget(&people, &held);
                let after = shared.resuming.get(&leaf).cloned().unwrap_or_default();
                Ok(Some(Erasing { leaf, number, people, held, after, linked: Vec::new() }))
            }
        }
    }

    /// Writes the intent; from here on these people are in no index and allowed for nothing.
    pub(super) fn intend_erasure(
        &self,
        permit: &Permit,
        subjects: &[SubjectKey],
        now: Timestamp,
    ) -> Result<Erasing, VaultError> {
        let mut state = self.lock()?;
        let dataset = dataset_of(&mut state, permit)?;
        let mut people = RoaringBitmap::new();
        for (position, subject) in subjects.iter().enumerate() {
            match dataset.index.find(dataset.index.tag(subject.expose())) {
                Some(ordinal) => people.insert(ordinal),
                None => {
                    let message = format!("subject {position}: there is no such subject in this dataset");
                    return refuse(Reason::FieldUnavailable, message, "check the key; nobody was erased");
                }
            };
        }
        let number = dataset.number;
        // Linked subjects are one person, and who asks for one asks for all.
        let named = people;
        let people = dataset.consent.linked_to(&named);
        if dataset.consent.is_copied(&people) {
            return refuse(
                Reason::EpochNotClosed,
                "someone was unlinked since the last close, and the other's rows hold copies until the next",
                "have a steward close the epoch, and erase then; nobody was erased",
            );
        }
        let linked = self.keys_of(&state, number, &(&people - &named))?;
        let dataset = dataset_of(&mut state, permit)?;
        let hidden = dataset.hidden_of(people.iter())?;
        for subject in subjects.iter().chain(&linked) {
            dataset.index.remove(dataset.index.tag(subject.expose()));
        }
        let leaf = leaf_of(permit, Kind::Erase, "erase", now);
        let intent = Intent { number, people, after: Vec::new(), leaf };
        let (erasing, ticket) = self.log_intent(&mut state, intent, &hidden, Outgoing::default())?;
        drop(state);
        ticket.wait()?;
        Ok(Erasing { linked, ..erasing })
    }

    /// Writes an intent, after what is outgoing already; from here on these people are allowed for nothing. The caller took
    /// them out of the index.
    pub(super) fn log_intent(
        &self,
        state: &mut State,
        intent: Intent,
        hidden: &KnownHidden,
        mut out: Outgoing,
    ) -> Result<(Erasing, Ticket), VaultError> {
        let Intent { number, people, after, leaf } = intent;
        let first = self.next_leaf(Tree::Subject).saturating_add(out.leaves.len() as u64);
        let leaf_about = |ordinal: u32| {
            let reference = hidden.get(&ordinal).map(|hidden| pseudonym::subject_reference(hidden));
            let leaf = Leaf { subject_ref: reference, ..leaf.clone() };
            (Tree::Subject, leaf.to_json().into_bytes())
        };
        out.leaves.extend(people.iter().map(leaf_about));
        out.changes.push(Change::Erase { leaf: first, dataset: number, people: encode(&people), after: after.clone() });
        let ticket = self.commit(state, out)?;
        let State { datasets, shared, .. } = state;
        let dataset = datasets.get_mut(&number).ok_or_else(|| VaultError::damaged("dataset", "it is gone"))?;
        let held = shared.held_of(&dataset.schema, number, |ordinal| people.contains(ordinal));
        dataset.forget(&people, &held);
        Ok((Erasing { leaf: first, number, people, held, after, linked: Vec::new() }, ticket))
    }

    /// Does the work. The caller holds the lock of closing, so no other version of the blocks is made meanwhile.
    pub(super) fn carry_out(&self, erasing: &Erasing) -> Result<Done, VaultError> {
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
    pub(super) fn opened(&self, number: u32, new: Vec<NewPiece>) -> Result<Vec<(NewPiece, Piece)>, VaultError> {
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
    ) -> Result<(Done, super::epochs::Readers), VaultError> {
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
    pub(super) fn adopt_rewritten(
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

    /// Writes again what the journals of some blocks hold, but for what an erasure takes of its people, under fresh keys, and
    /// notes the old keys to destroy.
    pub(super) fn rewrite_journals(
        &self,
        state: &mut State,
        number: u32,
        erasing: Option<&Erasing>,
        blocks: &[u32],
        changes: &mut Changes,
    ) -> Result<(), VaultError> {
        let keys = sealers(&state.tree)?;
        let mut kept: Vec<(u32, Delta)> = Vec::new();
        for block in blocks {
            let mut seen = Seen::default();
            for entry in self.journal_of(state, number, *block)? {
                let clear = open_entry(&keys, number, *block, &entry)?;
                // One entry came out of one frame and fits in one; several together need not.
                let full = |delta: &Delta| !delta.is_empty() && delta.len().saturating_add(clear.len()) > PART_BYTES;
                if kept.last().is_none_or(|(of, delta)| of != block || full(delta)) {
                    kept.push((*block, Delta::default()));
                }
                let left = |position: u16| erasing?.left(block * BLOCK_SUBJECTS + u32::from(position));
                let broken = |_| VaultError::damaged(format!("journal of block {block}"), "an entry does not parse");
                if let Some((_, delta)) = kept.last_mut() {
                    delta.append_without(&clear, left, &mut seen).map_err(broken)?;
                }
            }
        }
        let first = state.next_seq;
        for block in blocks {
            state.key_uses.retire((number, *block));
            state.journal.retire((number, *block));
            changes.put_records.push((restart_name(number, *block), first.to_le_bytes().to_vec()));
            if let Some(dataset) = state.datasets.get_mut(&number) {
                dataset.journal.drop_block(*block);
                dataset.dirty.remove(block);
                dataset.restarts.insert(*block, first);
            }
        }
        self.write_kept(state, number, kept)
    }

    /// Writes entries to the log and waits until they, and all before them, are durable.
    fn write_kept(&self, state: &mut State, number: u32, kept: Vec<(u32, Delta)>) -> Result<(), VaultError> {
        let mut deltas: Vec<(u32, u32, Delta)> = Vec::new();
        let mut bytes = 0;
        for (block, delta) in kept.into_iter().filter(|(_, delta)| !delta.is_empty()) {
            if bytes + delta.len() > FRAME_BYTES && !deltas.is_empty() {
                bytes = 0;
                let deltas = std::mem::take(&mut deltas);
                let _ = self.commit(state, Outgoing { deltas, rewritten: true, ..Outgoing::default() })?;
            }
            bytes += delta.len();
            deltas.push((number, block, delta));
        }
        if !deltas.is_empty() {
            let _ = self.commit(state, Outgoing { deltas, rewritten: true, ..Outgoing::default() })?;
        }
        Ok(self.wal.sync()?)
    }

    pub(super) fn journal_of(
        &self,
        state: &State,
        number: u32,
        block: u32,
    ) -> Result<Vec<super::journals::Sealed>, VaultError> {
        let Some(dataset) = state.datasets.get(&number).filter(|dataset| dataset.dirty.contains(&block)) else {
            return Ok(Vec::new());
        };
        if let Some(entries) = dataset.journal.read(block) {
            return Ok(entries);
        }
        self.wal.sync()?;
        let all = self.journal_from_log(dataset)?;
        Ok(all.into_iter().filter(|(of, _)| *of == block).flat_map(|(_, entries)| entries).collect())
    }

    /// Takes the people out of what partners hold and held, as far as the gateway remembers it. If anybody was in it, or of
    /// anybody something is or was held by law, the gateway's own state is written anew, the key of its journal destroyed, and the
    /// file that was replaced returned: then the state that says what is held comes with the pieces that it is left in.
    fn strip_audiences(
        &self,
        state: &mut State,
        erasing: &Erasing,
        schema: &Schema,
        changes: &mut Changes,
    ) -> Result<Option<Vec<PathBuf>>, VaultError> {
        let damaged = |problem: &str| VaultError::damaged("held audience", problem);
        let mut found = !erasing.held.is_empty() || !erasing.after.is_empty();
        let held =
            state.shared.held.iter_mut().filter(|(holder, _)| dataset_in(holder) == Some(schema.dataset.as_str()));
        for audience in held.flat_map(|(_, audiences)| audiences) {
            for text in [&mut audience.members, &mut audience.blanked] {
                let people = decode(text).ok_or_else(|| damaged("it does not parse"))?;
                if !people.is_disjoint(&erasing.people) {
                    *text = encode(&(people - &erasing.people));
                    found = true;
                }
            }
        }
        let past = state.shared.past.iter_mut().filter(|(whose, _)| is_of(whose, schema.dataset.as_str()));
        for (_, deliveries) in past {
            let people = deliveries.people().ok_or_else(|| damaged("it does not parse"))?;
            if !people.is_disjoint(&erasing.people) {
                deliveries.people = encode(&(people - &erasing.people));
                found = true;
            }
        }
        if !found {
            return Ok(None);
        }
        self.restate_shared(state, changes).map(Some)
    }

    /// Writes the gateway's own state anew, so that no frame is needed for it, and lets go of the key of its journal.
    /// Returns the file that is replaced. The caller notes the last frame that is in it.
    pub(super) fn restate_shared(&self, state: &mut State, changes: &mut Changes) -> Result<Vec<PathBuf>, VaultError> {
        let home = self.dataset_dir(0);
        self.settle_folder(&home)?;
        let next_file = || self.file_number();
        let disk = &self.config.disk;
        let writer = Writer { disk, dir: &home, dataset: 0, schema_version: 1, next_file: &next_file };
        let unwritable = |_| VaultError::damaged("shared state", "it can't be written");
        let bytes = serde_json::to_vec(&state.shared).map_err(unwritable)?;
        let piece = writer.write_state(0, SHARED_STATE, &bytes)?;
        disk.sync_folder(&home).map_err(|error| VaultError::Io(error.to_string()))?;
        let gone = self.replace(changes, &piece, EpochId(0), &state.tree.entries());
        state.key_uses.retire(SHARED_PLACE);
        state.journal.retire(SHARED_PLACE);
        Ok(gone.into_iter().collect())
    }

    fn conclude(&self, erasing: &Erasing, leaf: Leaf, receipt: &mut ErasureReceipt) -> Result<(), VaultError> {
        let mut state = self.lock()?;
        receipt.outcome = self.next_leaf(Tree::Subject);
        let leaf = erasing.outcome_leaf(leaf, receipt)?;
        let leaves = vec![(Tree::Subject, leaf.to_json().into_bytes())];
        let changes = vec![Change::Erased { leaf: erasing.leaf, resumed: None }];
        let ticket = self.commit(&mut state, Outgoing { leaves, changes, ..Outgoing::default() })?;
        drop(state);
        Ok(ticket.wait()?)
    }

    fn log_erased(&self, erasing: &Erasing, leaf: Leaf) -> Result<(), VaultError> {
        let leaf = Leaf { of: Some(erasing.leaf), ..leaf };
        let mut state = self.lock()?;
        let leaves = vec![(Tree::Subject, leaf.to_json().into_bytes())];
        let changes = vec![Change::Erased { leaf: erasing.leaf, resumed: None }];
        let ticket = self.commit(&mut state, Outgoing { leaves, changes, ..Outgoing::default() })?;
        drop(state);
        Ok(ticket.wait()?)
    }
}

/// Returns the dataset of a holder of audiences, `partner/purpose/dataset/epoch`.
fn dataset_in(holder: &str) -> Option<&str> {
    holder.rsplit('/').nth(1)
}

impl Dataset {
    /// Takes people out of every consent, and of memory those of whom nothing is left.
    fn forget(&mut self, people: &RoaringBitmap, held: &BTreeMap<u32, Held>) {
        use zeroize::Zeroize as _;
        self.consent.erase_all(people);
        self.gone |= people;
        for ordinal in people.iter().filter(|ordinal| !held.contains_key(ordinal)) {
            if let Some(mut hidden) = self.fresh.remove(&ordinal) {
                hidden.zeroize();
            }
        }
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
    pub(super) fn without(old: &ClosedEpoch, people: &RoaringBitmap) -> Self {
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
