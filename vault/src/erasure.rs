//! What an erasure leaves behind: a receipt.

use policy::id::DatasetId;
use policy::time::Timestamp;
use serde::Serialize;

/// Most people of one erasure.
pub const MAX_PEOPLE: usize = 10_000;

/// States what was done, and which leaf of the subject tree says so. Names nobody.
///
/// Verifiable offline: the outcome leaf commits to the hash of these fields, and its inclusion proof is given by
/// [`crate::Vault::proof`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErasureReceipt {
    /// Format version.
    pub version: u16,
    /// From which dataset.
    pub dataset: DatasetId,
    /// How many people.
    pub people: u64,
    /// Index of the first INTENT leaf in the subject tree; the others follow it.
    pub intent: u64,
    /// Index of the OUTCOME leaf in the subject tree.
    pub outcome: u64,
    /// Generation of the key tree before.
    pub generation_before: u64,
    /// Generation of the key tree that was current when the erasure was done.
    pub generation_after: u64,
    /// SHA-256 of the key tree's top page before, in hex.
    pub top_before: String,
    /// SHA-256 of the key tree's top page after, in hex.
    pub top_after: String,
    /// Sealed pieces that were written again without them.
    pub pieces: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// When it was done.
    pub at: Timestamp,
}
