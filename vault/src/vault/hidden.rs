//! Hidden bytes of people, for leaves that refer to them: from memory while they are not folded, else from their blocks.
//!
//! Where to read is taken under the commit lock, and files are read outside it: a closed epoch's files do not change and
//! stay while somebody holds it, and a person's bytes are the same for life. An erasure waits for the reader; what was read
//! of someone who is erased before the write is dropped with the batch, since the person is looked up again.

use super::VaultError;
use super::epochs::ClosedEpoch;
use super::state::Dataset;
use super::write::place;
use std::collections::HashMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Hidden bytes by ordinal. Wiped on drop.
pub(super) type KnownHidden = HashMap<u32, Zeroizing<[u8; 32]>>;

/// Where the hidden bytes of some people are.
pub(super) struct HiddenSource {
    known: KnownHidden,
    /// Those in blocks, sorted.
    folded: Vec<u32>,
    closed: Arc<ClosedEpoch>,
}

impl HiddenSource {
    /// Reads what is in blocks; needs no lock.
    pub fn read(mut self) -> Result<KnownHidden, VaultError> {
        read_folded(&self.closed, &self.folded, &mut self.known)?;
        Ok(self.known)
    }
}

impl Dataset {
    /// Says where the hidden bytes of people are; a person may come twice.
    pub(super) fn hidden_source(&self, people: impl Iterator<Item = u32>) -> HiddenSource {
        let (known, folded) = self.part(people);
        HiddenSource { known, folded, closed: Arc::clone(&self.closed) }
    }

    /// Returns the hidden bytes of people.
    pub(super) fn hidden_of(&self, people: impl Iterator<Item = u32>) -> Result<KnownHidden, VaultError> {
        let (mut known, folded) = self.part(people);
        read_folded(&self.closed, &folded, &mut known)?;
        Ok(known)
    }

    /// Returns the hidden bytes of a subject.
    pub(super) fn hidden(&self, ordinal: u32) -> Result<[u8; 32], VaultError> {
        let known = self.hidden_of(std::iter::once(ordinal))?;
        known.get(&ordinal).map(|hidden| **hidden).ok_or_else(missing)
    }

    /// Copies the bytes that are in memory and lists, sorted, the people whose are not.
    fn part(&self, people: impl Iterator<Item = u32>) -> (KnownHidden, Vec<u32>) {
        let (mut known, mut folded) = (KnownHidden::new(), Vec::new());
        for ordinal in people {
            match self.fresh.get(&ordinal) {
                Some(hidden) => drop(known.insert(ordinal, Zeroizing::new(*hidden))),
                None => folded.push(ordinal),
            }
        }
        folded.sort_unstable();
        folded.dedup();
        (known, folded)
    }
}

fn read_folded(closed: &ClosedEpoch, folded: &[u32], into: &mut KnownHidden) -> Result<(), VaultError> {
    for people in folded.chunk_by(|a, b| place(*a).0 == place(*b).0) {
        let block = people.first().map_or(0, |ordinal| place(*ordinal).0);
        let piece = closed.folded_blocks().get(block as usize).and_then(|pieces| pieces.attributes.as_ref());
        let positions: Vec<u16> = people.iter().map(|ordinal| place(*ordinal).1).collect();
        let hidden = piece.ok_or_else(missing)?.hidden_of(&positions)?;
        into.extend(people.iter().copied().zip(hidden.iter().copied().map(Zeroizing::new)));
    }
    Ok(())
}

fn missing() -> VaultError {
    VaultError::damaged("subject", "its block is missing")
}
