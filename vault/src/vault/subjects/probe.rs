//! An erasure is fulfilled when nothing is found, not when it has returned: its keys are looked up, and the rows of the
//! blocks they were in are counted, in the pieces and journals that are there then.

use super::super::commit::Outgoing;
use super::super::fold_epoch::open_entry;
use super::super::journal_keys::sealers;
use super::super::write::{dataset_of, leaf_of, place, require};
use super::super::{Tree, Vault, VaultError};
use crate::erasure::ErasureReceipt;
use crate::fold::pieces::read_keys;
use crate::ingest::SubjectKey;
use crate::journal::{Entry, Reader};
use crate::log::{Kind, Leaf};
use crate::subjects::ErasureReport;
use policy::permit::{Permit, Verb};
use policy::time::Timestamp;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// What a probe found, as its leaf says it.
const NOTHING: &str = "confirmed: nothing is found";
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
        require(permit, &[Verb::EraseSubject])?;
        let (number, blocks) = self.blocks_of(permit, subjects)?;
        let receipt = self.erase(permit, subjects, now)?;
        let found = self.rows_found(number, &blocks, subjects);
        let confirmed = matches!(found, Ok(0));
        let words = match found {
            Ok(0) => NOTHING,
            Ok(_) => SOMETHING,
            Err(_) => UNKNOWN,
        };
        let confirmation = self.log_probe(permit, &receipt, words, now)?;
        self.persist_log()?;
        let intents = receipt.intent..receipt.intent.saturating_add(receipt.people);
        Ok(ErasureReport {
            json: receipt.to_json()?,
            intents: intents.map(|index| self.proven_leaf(index)).collect::<Result<_, _>>()?,
            outcome: self.proven_leaf(receipt.outcome)?,
            confirmed,
            confirmation: self.proven_leaf(confirmation)?,
            verifier_key: self.log_vkey(Tree::Subject),
            receipt,
        })
    }

    /// Returns the blocks that people are in before they are erased. Who does not exist is refused by the erasure.
    fn blocks_of(&self, permit: &Permit, subjects: &[SubjectKey]) -> Result<(u32, BTreeSet<u32>), VaultError> {
        let mut state = self.lock()?;
        let dataset = dataset_of(&mut state, permit)?;
        let found = subjects.iter().filter_map(|subject| dataset.index.find(dataset.index.tag(subject.expose())));
        Ok((dataset.number, found.map(|ordinal| place(ordinal).0).collect()))
    }

    /// Counts how often these keys are found: in the index, in the key column of some blocks, in their journals.
    pub(in crate::vault) fn rows_found(
        &self,
        number: u32,
        blocks: &BTreeSet<u32>,
        subjects: &[SubjectKey],
    ) -> Result<usize, VaultError> {
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
        let pieces = versions
            .iter()
            .flat_map(|version| blocks.iter().filter_map(|block| version.get(*block as usize)?.attributes.as_ref()));
        for piece in pieces {
            read_keys(&schema, piece, |_, key| found += usize::from(keys.contains(key)))?;
        }
        for (block, entry) in entries {
            let broken = |_| VaultError::damaged(format!("journal of block {block}"), "an entry does not parse");
            let delta = open_entry(&sealers, number, block, &entry)?;
            let mut reader = Reader::new(&delta);
            while let Some((_, entry)) = reader.next_entry().map_err(broken)? {
                if let Entry::NewSubject { key, .. } = entry {
                    found += usize::from(keys.contains(key.as_slice()));
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
