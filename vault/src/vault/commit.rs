//! The commit path: one lock, one order, one log.
//!
//! Under the commit lock a caller changes the state in memory, and its frame takes the next sequence number; the frame
//! is durable before the caller is answered. State that is ahead of the disk is never served: what it allows needs a
//! later frame, and what it forbids is forbidden early. When the log fails, everything is refused until a restart.

use super::change::Change;
use super::journal_keys::SHARED_PLACE;
use super::journals::Sealed;
use super::state::State;
use super::{Vault, VaultError};
use crate::journal::Delta;
use crate::keys::Sealer;
use crate::vault::Tree;
use crate::wal::{Frame, SealedPart, Ticket};

/// Part of a frame: entries of one block's journal.
pub(super) const JOURNAL: u8 = 1;
/// Part of a frame: entries of a block's journal that were written again, sealed as such. They count only once the key tree
/// says from which frame on the block's entries do: a crash may have kept the first of several such frames and not the last,
/// and old values must not come after new ones.
pub(super) const REWRITTEN: u8 = 4;
/// Part of a frame: a change of the gateway's own state.
pub(super) const CHANGE: u8 = 2;

/// What one call writes, all of it or nothing.
#[derive(Default)]
pub(super) struct Outgoing {
    /// Leaves, in order.
    pub leaves: Vec<(Tree, Vec<u8>)>,
    /// Entries by (dataset number, block).
    pub deltas: Vec<(u32, u32, Delta)>,
    /// Whether the entries were in the log before.
    pub rewritten: bool,
    /// Changes of the gateway's own state, in order.
    pub changes: Vec<Change>,
}

/// Returns the nonce of a part: frame sequence and part number. Unique under a journal key, since each opening of the
/// vault draws its own keys and a sequence number is used once in an opening.
pub(super) fn nonce(seq: u64, part: u16) -> [u8; 12] {
    let mut nonce = [0; 12];
    let bytes = seq.to_be_bytes().into_iter().chain([0, 0]).chain(part.to_be_bytes());
    for (slot, byte) in nonce.iter_mut().zip(bytes) {
        *slot = byte;
    }
    nonce
}

/// Returns the additional data of a part: format, kind, dataset, block, key.
pub(super) fn aad(kind: u8, dataset: u32, block: u32, key_id: u32) -> Vec<u8> {
    let mut aad = b"silhouette part 1".to_vec();
    aad.push(kind);
    aad.extend_from_slice(&dataset.to_be_bytes());
    aad.extend_from_slice(&block.to_be_bytes());
    aad.extend_from_slice(&key_id.to_be_bytes());
    aad
}

fn seal_part(
    (key_id, sealer): (u32, &Sealer),
    seq: u64,
    part: u16,
    (kind, dataset, block): (u8, u32, u32),
    mut bytes: Vec<u8>,
) -> Result<SealedPart, VaultError> {
    sealer
        .seal(nonce(seq, part), &aad(kind, dataset, block, key_id), &mut bytes)
        .map_err(|error| VaultError::damaged("journal key", error.to_string()))?;
    Ok(SealedPart { kind, dataset, block, key_id, sealed: bytes })
}

impl Vault {
    /// Writes one frame under the commit lock, applies its changes, and returns what to wait for before answering.
    /// Callers have changed the state before, so a failure leaves it ahead of the log: nothing is served after one.
    pub(super) fn commit(&self, state: &mut State, out: Outgoing) -> Result<Ticket, VaultError> {
        self.poison_on_error(Ok(self.write_frame(state, out)))
    }

    fn write_frame(&self, state: &mut State, out: Outgoing) -> Result<Ticket, VaultError> {
        let seq = state.next_seq;
        let mut parts = Vec::with_capacity(out.deltas.len() + out.changes.len());
        let mut number = 0_u16;
        let mut next_number = || {
            let part = number;
            number = number.checked_add(1).ok_or_else(|| VaultError::Io("a write touches too many blocks".into()))?;
            Ok::<u16, VaultError>(part)
        };
        let mut journaled: Vec<(u32, u32, Sealed)> = Vec::with_capacity(out.deltas.len());
        for (dataset, block, mut delta) in out.deltas {
            let part = next_number()?;
            let key = state.journal.of(&mut state.tree, (dataset, block), delta.len())?;
            let key_id = key.0;
            let sealed = seal_part(key, seq, part, (JOURNAL, dataset, block), delta.take())?;
            journaled.push((dataset, block, Sealed { seq, part, key_id, bytes: sealed.sealed.clone() }));
            let kind = if out.rewritten { REWRITTEN } else { JOURNAL };
            parts.push(SealedPart { kind, ..sealed });
        }
        for change in &out.changes {
            let json = serde_json::to_vec(change).map_err(|_| VaultError::damaged("change", "it can't be written"))?;
            let key = state.journal.of(&mut state.tree, SHARED_PLACE, json.len())?;
            let sealed = seal_part(key, seq, next_number()?, (CHANGE, 0, 0), json)?;
            state.key_uses.note(SHARED_PLACE, sealed.key_id, seq);
            parts.push(sealed);
        }
        let mut frame = Frame { before: self.log.sizes(), leaves: out.leaves, parts };
        self.tagging.tag(seq, &mut frame);
        let ticket = self.wal.enqueue(seq, &frame)?;
        state.next_seq = seq.saturating_add(1);
        for (tree, leaf) in frame.leaves {
            self.log.append(tree, leaf)?;
        }
        for change in &out.changes {
            state.shared.apply(change).map_err(|_| VaultError::damaged("change", "it does not apply"))?;
        }
        keep_journal(state, journaled);
        Ok(ticket)
    }

    /// Returns the index that the next leaf of a tree will have. Only meaningful under the commit lock.
    pub(super) fn next_leaf(&self, tree: Tree) -> u64 {
        self.log.size(tree)
    }
}

fn keep_journal(state: &mut State, journaled: Vec<(u32, u32, Sealed)>) {
    let mut by_dataset: std::collections::BTreeMap<u32, Vec<(u32, Sealed)>> = std::collections::BTreeMap::new();
    for (dataset, block, sealed) in journaled {
        state.key_uses.note((dataset, block), sealed.key_id, sealed.seq);
        by_dataset.entry(dataset).or_default().push((block, sealed));
    }
    for (number, entries) in by_dataset {
        if let Some(dataset) = state.datasets.get_mut(&number) {
            dataset.dirty.extend(entries.iter().map(|(block, _)| *block));
            dataset.journal.put(entries);
        }
    }
}
