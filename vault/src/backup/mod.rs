//! The backup target: a folder on another disk or host that holds what the live key tree names.
//!
//! ```text
//! TARGET/position       what it holds: frames, leaves; checksummed
//! TARGET/blocks/        pieces, as in the data folder
//! TARGET/wal/           segments of the write-ahead log from which something is still needed
//! TARGET/log/           tiles and checkpoints
//! ```
//! Guarantees: nothing in it is in clear but what is in clear at home, and no key is ever in it, neither the root nor a page
//! of the key tree: an old copy of it is worth what an old copy of the data folder is. Folds and erasures ship what replaces
//! the old before the old keys go, and remove the old after; the log follows at every tick. With the mirror of the root it
//! can be restored, as far as its position says, and no older copy of it can.
//!
//! Does not: hold up the vault when it fails or hangs: its thread follows, and nobody waits for it long. Its lag is said in health, in receipts and by the command line, and it catches
//! up by itself. It is not read back before a restore, which compares every piece with its hash: a disk that forgets what was
//! synced is found out then.

#[cfg(feature = "test-util")]
pub(crate) mod decoders;
mod follower;
mod loss;
mod noted;
mod position;
mod restore;
mod target;

#[cfg(test)]
pub(crate) use follower::Patience;
pub(crate) use follower::{Follower, Job, Named, Said};
pub use loss::Loss;
pub(crate) use noted::Noted;
pub(crate) use position::Seen;
pub(crate) use restore::{Restore, is_older};
pub(crate) use target::{Home, MAX_PIECE_BYTES, Target};

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How far a target has followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupStatus {
    /// Its folder.
    pub target: PathBuf,
    /// The last frame that it holds, with all before it; 0 if none.
    pub shipped: u64,
    /// The last frame that is durable at home.
    pub current: u64,
    /// Pieces that the key tree names and it does not hold yet.
    pub missing: u64,
    /// Why it does not follow, for the steward.
    pub problem: Option<String>,
}

/// How far the target had followed when an erasure was done, for its receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupLag {
    /// The last frame that it held.
    #[serde(rename = "backup_shipped")]
    pub shipped: u64,
    /// The last frame there was.
    #[serde(rename = "backup_current")]
    pub current: u64,
    /// Pieces of others that it did not hold yet.
    #[serde(rename = "backup_missing")]
    pub missing: u64,
    /// Whether what the erasure replaced is gone from it. Its keys are gone in any case.
    #[serde(rename = "backup_cleaned", serialize_with = "as_text", deserialize_with = "from_text")]
    pub cleaned: bool,
}

/// A receipt's fields are numbers and texts.
fn as_text<S: serde::Serializer>(yes: &bool, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(if *yes { "yes" } else { "no" })
}

fn from_text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    String::deserialize(from).map(|text| text == "yes")
}
