//! The root cell and the two-level key tree: what exists, under which key, and nothing else.
//!
//! ```text
//! ROOT/root.cell                              32 random bytes a generation, two slots
//! DATA/keys/top-........-........-GEN.page    sealed under the root; names every other page, its key and its hash
//! DATA/keys/names-....-....-GEN.page          named secrets and small records
//! DATA/keys/blocks-DATASET-GROUP-GEN.page     the pieces of 64 consecutive blocks of one dataset
//! DATA/lock                                   held by the process that serves
//! MIRROR/root.cell, MIRROR/keys/              the same again, if there is a mirror
//! ```
//! Every commit draws a fresh root key and fresh keys for the pages it changes, and destroys the old root: whoever holds
//! an older copy of the data folder holds pages sealed under a root that no longer exists. A commit is atomic: a crash
//! at any point leaves the old generation or the new one, whole. A second lock, see [`SecondLock`], seals the root in its
//! cell.
//!
//! Not given: protection of the root's own medium (a copy of `root.cell` opens the copies of its time), and a promise
//! that overwriting in place reaches the cells of a flash disk. Both are the steward's; see the manual.

mod cell;
mod codec;
#[cfg(feature = "test-util")]
pub(crate) mod decoders;
mod derive;
mod entry;
mod error;
pub mod limits;
mod load;
mod lock;
mod mac;
mod mirror;
mod page;
mod sealer;
mod secret;
mod state;
mod survey;
mod tree;

#[cfg(test)]
pub(crate) mod witness;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
pub(crate) mod wycheproof;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
mod tests;

pub use entry::{Entries, PieceEntry, PieceId, PieceKind, PieceState};
pub use error::{KeysError, MirrorFault, Part};
pub use lock::{BadPassphrase, MAX_PASSPHRASE, MIN_PASSPHRASE, Passphrase, SecondLock};
pub(crate) use mac::Mac;
pub use mirror::Mirroring;
pub(crate) use mirror::{MirrorCopy, Note, is_mirror};
pub(crate) use page::HEADER_FIELDS;
pub use sealer::{SealError, Sealer, TAG_BYTES};
pub use secret::{RandomUnavailable, SecretKey, random_bytes};
pub use state::{KeyState, WrongStep};
pub(crate) use survey::{newest_slot, survey};
pub use tree::{Changes, KeyTree, MAX_NAME_BYTES, MAX_RECORD_BYTES, is_locked};

/// Blocks of one dataset that share a page: with 10 million subjects a change rewrites one page of 20.
pub const BLOCKS_A_PAGE: u32 = 64;
