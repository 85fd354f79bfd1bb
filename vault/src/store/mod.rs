//! The ordered store behind one seam: journals, sealed bodies, consent, answers. Never the only copy of anything.
//!
//! Guarantees: batches of up to 256 keys apply whole or not at all; a barrier makes everything before it durable and
//! returns a digest of the content; `verify` recomputes that digest, so that a damaged, older or foreign database is
//! told from the right one; a panic of the engine is contained and reported as damage.
//!
//! Does not guarantee durability between barriers, nor that what a damaged file gives back is right before `verify`
//! compared it: the caller rebuilds from the write-ahead log, the key tree and the block files when it differs.
//! Values are sealed by the caller; keys hold tree bytes, block and frame numbers, nothing about a person.

mod digest;
mod engine;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;

pub use digest::{Digest, DigestKey};
pub use engine::{MAX_BATCH_KEYS, MAX_KEY_BYTES, MAX_VALUE_BYTES, Store, StoreError};

use std::path::{Path, PathBuf};

/// Cache of one dataset's database, bytes: journals are written once and read once, at fold.
pub const DATASET_CACHE_BYTES: u64 = 32 << 20;
/// Cache of the gateway's database, bytes: small records.
pub const GATEWAY_CACHE_BYTES: u64 = 16 << 20;

/// The folder of a dataset's database within the data folder.
pub fn dataset_path(data: &Path, dataset: u32) -> PathBuf {
    data.join("store").join(format!("{dataset:08x}"))
}

/// The folder of the gateway's database within the data folder.
pub fn gateway_path(data: &Path) -> PathBuf {
    data.join("store").join("gateway")
}
