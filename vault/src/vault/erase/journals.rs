//! Writing the journals of some blocks again, under fresh keys, without what an erasure takes.

use super::super::commit::Outgoing;
use super::super::fold_epoch::open_entry;
use super::super::journal_keys::sealers;
use super::super::journals::Sealed;
use super::super::recover::restart_name;
use super::super::state::State;
use super::super::{Vault, VaultError};
use super::Erasing;
use crate::blocks::BLOCK_SUBJECTS;
use crate::journal::{Delta, Seen};
use crate::keys::Changes;

/// Most bytes of rewritten entries in one part of a frame.
const PART_BYTES: usize = 1 << 20;
/// Most bytes of rewritten entries in one frame.
const FRAME_BYTES: usize = 8 << 20;

impl Vault {
    /// Writes again what the journals of some blocks hold, but for what an erasure takes of its people, under fresh keys, and
    /// notes the old keys to destroy.
    pub(in crate::vault) fn rewrite_journals(
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

    pub(in crate::vault) fn journal_of(
        &self,
        state: &State,
        number: u32,
        block: u32,
    ) -> Result<Vec<Sealed>, VaultError> {
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
}
