//! Sealing again what is not folded: one block's journal a step, and the gateway's own.

use super::super::journal_keys::{number_of, unneeded};
use super::super::recover::{VaultRecord, read_record};
use super::super::state::{SHARED, State};
use super::super::{Vault, VaultError};
use super::{Watch, begun, rotated};
use crate::keys::{Changes, KeyTree};
use crate::rotation::{Progress, Rotated};
use std::collections::BTreeSet;

/// The record that says which journal keys are left: those with a lower number.
pub(super) const JOURNALS: &str = "rotation/journals";

impl Vault {
    pub(super) fn rotate_journals(&self, watch: Watch<'_>) -> Result<Rotated, VaultError> {
        let (first, all) = {
            let mut state = self.lock()?;
            match begun(&state.tree, JOURNALS)? {
                Some(first) => (first, old_keys(&state.tree, first)),
                None => {
                    self.rotate_frames(&mut state)?;
                    let all = old_keys(&state.tree, u64::MAX);
                    (renew(&mut state)?, all)
                }
            }
        };
        let mut bytes = 0;
        loop {
            let _closing = self.closing.lock();
            self.mirror_answers()?;
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
            self.check_space(state.datasets.get(&number).map_or(0, |dataset| dataset.journal.bytes_of(block)))?;
            let step = self.renew_journal(&mut state, number, block);
            bytes += self.poison_on_error(Ok(step))?;
            let left = old_keys(&state.tree, first);
            drop(state);
            watch(Progress { done: all.saturating_sub(left), left });
        }
    }

    /// Seals again what the journals of some blocks hold, so that nothing opens older entries of theirs.
    pub(in crate::vault) fn renew_journals(&self, number: u32, blocks: &BTreeSet<u32>) -> Result<(), VaultError> {
        for block in blocks {
            let mut state = self.lock()?;
            let step = self.renew_journal(&mut state, number, *block);
            self.poison_on_error(Ok(step))?;
        }
        Ok(())
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
            self.rewrite_journals(state, number, None, &[block], &mut changes)?;
        }
        let mut needed = state.key_uses.all();
        needed.extend(state.journal.numbers());
        changes.remove_secrets.extend(unneeded(&state.tree, needed));
        record.next_file = self.file_number();
        changes.put_records.push(record.named()?);
        self.commit_pieces(state, changes)?;
        self.unlink(gone);
        Ok(bytes)
    }
}

/// Counts the journal keys with a lower number.
fn old_keys(tree: &KeyTree, first: u64) -> u64 {
    let numbers = tree.secrets("journal/").filter_map(|(name, _)| number_of(name));
    numbers.filter(|number| u64::from(*number) < first).count() as u64
}

/// Draws a fresh stock of journal keys, so that no later write is under an older one.
fn renew(state: &mut State) -> Result<u64, VaultError> {
    let State { journal, key_uses, tree, .. } = state;
    let record = |first: u32| (JOURNALS.to_owned(), u64::from(first).to_le_bytes().to_vec());
    let changes = |first| Changes { put_records: vec![record(first)], ..Changes::default() };
    Ok(journal.renew(tree, key_uses.all(), changes)?.into())
}
