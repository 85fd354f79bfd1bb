//! An erasure is fulfilled when nothing is found, not when it has returned: its keys are looked up, and the rows of the
//! blocks they were in are counted, in the pieces and journals that are there then. Where something is held by law, nothing but
//! that may be found.

use super::super::commit::Outgoing;
use super::super::erase::Erasing;
use super::super::fold_epoch::open_entry;
use super::super::journal_keys::sealers;
use super::super::write::leaf_of;
use super::super::{Tree, Vault, VaultError};
use crate::blocks::BLOCK_SUBJECTS;
use crate::erasure::ErasureReceipt;
use crate::fold::data::BlockData;
use crate::fold::erase::Gone;
use crate::fold::pieces::{read_block, read_keys};
use crate::ingest::{SubjectKey, Value};
use crate::journal::{Delta, Entry, Reader, Seen};
use crate::log::{Kind, Leaf};
use crate::subjects::ErasureReport;
use policy::permit::Permit;
use policy::schema::{ColumnId, EventTypeId};
use policy::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// What a probe found, as its leaf says it.
const NOTHING: &str = "confirmed: nothing is found";
const NOTHING_BUT_HELD: &str = "confirmed: nothing but what is held is found";
const SOMETHING: &str = "not confirmed: something is found";
const UNKNOWN: &str = "not confirmed: the look-up failed";

impl Vault {
    /// Erases people as [`Vault::erase`] does, then looks for them. The report says whether anything was found: still, or
    /// again, if someone registered a key anew meanwhile. A look-up that fails confirms nothing, and the receipt is
    /// returned all the same: the people are erased, and nobody can ask for it a second time.
    pub fn erase_subjects(
        &self,
        permit: &Permit,
        subjects: &[SubjectKey],
        now: Timestamp,
    ) -> Result<ErasureReport, VaultError> {
        let (erasing, receipt) = self.erase_people(permit, subjects, now)?;
        let found = self.found_of(&erasing, subjects);
        let confirmation = self.log_probe(permit, &receipt, erasing.found_words(&found), now)?;
        self.report(receipt, confirmation, matches!(found, Ok(0)))
    }

    /// Puts the proofs to a receipt.
    pub(in crate::vault) fn report(
        &self,
        receipt: ErasureReceipt,
        confirmation: u64,
        confirmed: bool,
    ) -> Result<ErasureReport, VaultError> {
        self.persist_log()?;
        let intents = receipt.intent..receipt.intent.saturating_add(receipt.people);
        Ok(ErasureReport {
            json: receipt.to_json()?,
            intents: self.proven_leaves(intents)?,
            outcome: self.proven_leaf(receipt.outcome)?,
            confirmed,
            confirmation: self.proven_leaf(confirmation)?,
            verifier_key: self.log_vkey(Tree::Subject),
            receipt,
        })
    }

    /// Counts what is found of people who are erased, but for what is held of them.
    fn found_of(&self, erasing: &Erasing, subjects: &[SubjectKey]) -> Result<usize, VaultError> {
        let places = erasing.places();
        let blocks = places.keys().copied().collect();
        let all: Vec<SubjectKey> = subjects.iter().chain(&erasing.linked).cloned().collect();
        let found = self.rows_found(erasing.number, &blocks, &all, |ordinal| erasing.held.contains_key(&ordinal))?;
        let mut held = places;
        held.values_mut().for_each(|people| people.retain(|_, held| !held.is_nothing()));
        held.retain(|_, people| !people.is_empty());
        Ok(found + self.left_over(erasing.number, &held)?)
    }

    /// Counts values at the places of people who are erased, in pieces and journals, that are not held.
    pub(in crate::vault) fn left_over(&self, number: u32, places: &BTreeMap<u32, Gone>) -> Result<usize, VaultError> {
        let mut found = 0;
        for (block, gone) in places {
            let (schema, closed, entries, sealers) = {
                let state = self.lock()?;
                let dataset =
                    state.datasets.get(&number).ok_or_else(|| VaultError::damaged("dataset", "it is gone"))?;
                let entries = self.journal_of(&state, number, *block)?;
                (Arc::clone(&dataset.schema), Arc::clone(&dataset.closed), entries, sealers(&state.tree)?)
            };
            let versions = [Some(&closed.blocks), closed.building.as_ref().map(|building| &building.blocks)];
            for pieces in versions.into_iter().flatten().filter_map(|version| version.get(*block as usize)) {
                found += beyond(&read_block(&schema, pieces)?, gone);
            }
            for entry in entries {
                let delta = open_entry(&sealers, number, *block, &entry)?;
                let mut left = Delta::default();
                let (kept, mut all) = (|position| gone.get(&position), Seen::default());
                left.append_without(&delta, kept, &mut all).map_err(|_| broken(*block))?;
                // What an erasure takes out, it takes no more.
                found += usize::from(left.take() != **delta);
            }
        }
        Ok(found)
    }

    /// Counts how often these keys are found: in the index, in the key column of some blocks, in their journals, but at places
    /// where they are left.
    pub(in crate::vault) fn rows_found(
        &self,
        number: u32,
        blocks: &BTreeSet<u32>,
        subjects: &[SubjectKey],
        is_left: impl Fn(u32) -> bool,
    ) -> Result<usize, VaultError> {
        let is_left = |block: u32, position: u32| is_left(block * BLOCK_SUBJECTS + position);
        let keys: HashSet<&[u8]> = subjects.iter().map(SubjectKey::expose).collect();
        let (mut found, schema, closed, entries, sealers) = {
            let state = self.lock()?;
            let dataset = state.datasets.get(&number).ok_or_else(|| VaultError::damaged("dataset", "it is gone"))?;
            let known = subjects.iter().filter(|key| dataset.index.find(dataset.index.tag(key.expose())).is_some());
            let mut entries = Vec::new();
            for block in blocks {
                let of_block = self.journal_of(&state, number, *block)?;
                entries.extend(of_block.into_iter().map(|entry| (*block, entry)));
            }
            let (schema, closed) = (Arc::clone(&dataset.schema), Arc::clone(&dataset.closed));
            (known.count(), schema, closed, entries, sealers(&state.tree)?)
        };
        // Both versions, though they may share a piece: found twice is found.
        let versions = [closed.blocks.as_slice(), closed.folded_blocks()];
        let pieces =
            |block: u32| versions.iter().filter_map(move |version| version.get(block as usize)?.attributes.as_ref());
        for (block, piece) in blocks.iter().flat_map(|block| pieces(*block).map(move |piece| (*block, piece))) {
            read_keys(&schema, piece, |position, key| {
                found += usize::from(keys.contains(key) && !is_left(block, position));
            })?;
        }
        for (block, entry) in entries {
            let delta = open_entry(&sealers, number, block, &entry)?;
            let mut reader = Reader::new(&delta);
            while let Some((position, entry)) = reader.next_entry().map_err(|_| broken(block))? {
                if let Entry::NewSubject { key, .. } = entry {
                    found += usize::from(keys.contains(key.as_slice()) && !is_left(block, position.into()));
                }
            }
        }
        Ok(found)
    }

    fn log_probe(
        &self,
        permit: &Permit,
        receipt: &ErasureReceipt,
        what: &str,
        now: Timestamp,
    ) -> Result<u64, VaultError> {
        let leaf = Leaf { of: Some(receipt.outcome), ..leaf_of(permit, Kind::Erase, what, now) };
        let mut state = self.lock()?;
        let index = self.next_leaf(Tree::Subject);
        let leaves = vec![(Tree::Subject, leaf.to_json().into_bytes())];
        let ticket = self.commit(&mut state, Outgoing { leaves, ..Outgoing::default() })?;
        drop(state);
        ticket.wait()?;
        Ok(index)
    }
}

fn broken(block: u32) -> VaultError {
    VaultError::damaged(format!("journal of block {block}"), "an entry does not parse")
}

impl Erasing {
    /// Returns what a leaf says of what was found afterwards.
    pub(in crate::vault) fn found_words(&self, found: &Result<usize, VaultError>) -> &'static str {
        match found {
            Ok(0) if self.held.is_empty() => NOTHING,
            Ok(0) => NOTHING_BUT_HELD,
            Ok(_) => SOMETHING,
            Err(_) => UNKNOWN,
        }
    }
}

/// Counts what a block has of some people that is not held.
fn beyond(data: &BlockData, gone: &Gone) -> usize {
    let mut found = 0;
    for (position, held) in gone {
        let row = usize::from(*position);
        found += usize::from(held.is_nothing() && data.hidden.get(row).is_some_and(|hidden| *hidden != [0; 32]));
        let days = (0..).map(ColumnId).zip(&data.set_days).filter_map(|(id, days)| Some((id, days.as_ref()?)));
        let attributes = (0..).map(ColumnId).zip(&data.columns).chain(days);
        found += attributes.filter(|(id, column)| !held.attribute(*id) && column.value(row) != Value::Missing).count();
    }
    for (event, rows) in (0..).map(EventTypeId).zip(&data.events) {
        for (row, held) in rows.position.iter().enumerate().filter_map(|(row, at)| Some((row, gone.get(at)?))) {
            let fields = (0..).map(ColumnId).zip(&rows.columns);
            found += usize::from(!held.event(event));
            found +=
                fields.filter(|(id, column)| !held.field(event, *id) && column.value(row) != Value::Missing).count();
        }
    }
    found + usize::from(data.history.is_of(|position| gone.contains_key(&position)))
}
