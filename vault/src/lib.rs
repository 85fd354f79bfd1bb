//! The trusted base: the only crate in which plaintext, keys or un-noised numbers exist. Synchronous.
//!
//! Public functions return releases, pseudonymised rows, a person's own access package, counts of the vault's own work, or
//! errors. A clear value leaves in an access package only, for a permit that names the person it is about.
//! Blocks and scans are private to it: nothing outside can open a piece or hold an un-noised number it could read.

pub mod answers;
pub mod audience;
pub mod backup;
mod blocks;
pub mod budget;
pub mod consent;
#[cfg(feature = "test-util")]
pub mod decoders;
pub mod disk;
pub mod erasure;
pub mod fold;
pub mod fsck;
pub mod holds;
pub mod index;
pub mod ingest;
pub mod journal;
pub mod keys;
pub mod log;
pub mod pseudonym;
pub mod rehearsal;
pub mod release;
pub mod rotation;
mod scan;
pub mod store;
pub mod subjects;
pub mod vault;
pub mod wal;

pub use vault::{Config, EpochInfo, LeafEntry, LogFilter, Tree, Vault, VaultError};
