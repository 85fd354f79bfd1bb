//! The vault's front door.
//!
//! Guarantees: whatever it returns as done is durable and in the log; whatever touches a person's data was permitted.
//! Does not: authenticate, or read a clock.

mod adopt;
mod apart;
mod backlog;
mod backup;
mod change;
mod commit;
#[cfg(feature = "test-util")]
pub(crate) mod decoders;
mod deliver;
mod epochs;
mod erase;
mod extend;
mod fold_epoch;
mod frames;
mod hidden;
mod holds;
mod inspect;
mod inventory;
mod journal_keys;
mod journals;
mod links;
mod log_key;
mod noting;
mod passes;
mod recipients;
mod recover;
mod release;
mod restore;
mod rotate;
mod schemas;
mod space;
mod state;
mod subjects;
mod synopsis;
mod tokens;
mod write;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
mod tests;

pub use backlog::DEFAULT_FOLD_BYTES;
pub use rotate::Watch;
pub use schemas::SchemaVersion;
pub use subjects::AccessReading;
pub use write::Acknowledging;

use crate::backup::{Follower, Loss, Noted};
use crate::blocks::BlockError;
use crate::disk::{Disk, Folders};
use crate::ingest::SubjectKey;
use crate::keys::{KeysError, SecondLock};
use crate::log::{LeafError, Log, LogError};
use crate::scan::Scanner;
use crate::wal::{Wal, WalError};
use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
use policy::decide::Refusal;
use policy::id::{ClientId, DatasetId, EpochId};
use policy::schema::Schema;
use policy::time::Timestamp;
use state::State;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Where the vault lives.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// The root folder; best on another disk.
    pub root: PathBuf,
    /// The mirror of the root and the key tree, on another disk or host; without it a dead disk loses everything.
    pub mirror: Option<PathBuf>,
    /// The backup target, on another disk or host.
    pub backup: Option<PathBuf>,
    /// Threads of a scan; 0 is one a core.
    pub threads: usize,
    /// Sealed bytes of a dataset that wait at the least before they are folded.
    pub fold_bytes: u64,
    /// What the root is locked with, besides its place.
    pub lock: SecondLock,
    /// The disk; the default is the real one, and tests watch it.
    pub disk: Disk,
}

/// Why the vault did not do it. Messages name parts (a block, a file) for the steward and never a personal value;
/// the gateway shows consumers an opaque code.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Refused for a reason the caller may know.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// A stored part could not be read, opened or verified.
    #[error("{part} can't be used: {problem}")]
    Damaged {
        /// Which part.
        part: String,
        /// What is wrong.
        problem: String,
    },
    /// The log can't be written: nothing is served.
    #[error("the log can't be written: {0}")]
    LogUnavailable(String),
    /// The operating system refused.
    #[error("{0}")]
    Io(String),
    /// The folders are not a vault, are one already, or are in use.
    #[error("{0}")]
    Setup(String),
    /// The backup lacks what was written at home after the last shipment, and nobody has accepted that it is lost.
    #[error(
        "the backup lacks what was written last: {0}; withdrawals and erasures may be among it, and would not be known; what was \
         spent is"
    )]
    Lossy(Loss),
    /// The data, or what it is to be made from, is an older copy than what was done since: it would refill budgets and bring
    /// back consents.
    #[error("{what} is older than what was done: {problem}; use the current one")]
    Older {
        /// What is.
        what: String,
        /// How that shows.
        problem: String,
    },
}

/// What a closed epoch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochInfo {
    /// Its number; 0 if none has closed.
    pub epoch: EpochId,
    /// When it closed; windows end here.
    pub as_of: Timestamp,
}

/// One leaf, for the officer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafEntry {
    /// Its index in its tree.
    pub index: u64,
    /// The leaf as it is hashed.
    pub json: String,
}

/// Which tree of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tree {
    /// Decisions, charges, policies, tokens, keys, exports, reads of the log.
    Access,
    /// Consent, rights requests, erasures.
    Subject,
}

/// A search of the log. Empty means any.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// By client.
    pub client: Option<ClientId>,
    /// By dataset (needed with `subject`).
    pub dataset: Option<DatasetId>,
    /// By subject: consent leaves of this person, and releases made while this person's consent allowed that purpose.
    pub subject: Option<SubjectKey>,
    /// By purpose text.
    pub purpose: Option<String>,
    /// `permit` or `refuse`.
    pub decision: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// The vault. All methods take `&self`; it is `Send + Sync` and calls block.
pub struct Vault {
    config: Config,
    /// Threads that scan and fold.
    scanner: Scanner,
    state: Mutex<State>,
    log: Arc<Log>,
    wal: Wal,
    /// Binds frames together.
    tagging: frames::Tagging,
    /// Held for reading from the last consent check of a draw until the draw is done, and of rows until they are with the
    /// transport; a withdrawal takes it for writing before it returns, and so waits for those that did not see it.
    fence: Arc<RwLock<()>>,
    /// Shares the wait for it among the withdrawals that return together.
    passes: passes::Passes,
    /// What of people waits between the parts of their access packages.
    waiting: subjects::AllWaiting,
    /// Wakes those who wait for an answer that another call is drawing.
    drawn: Condvar,
    schemas: ArcSwap<BTreeMap<DatasetId, Arc<Schema>>>,
    next_file: AtomicU64,
    /// Folders of piece files that last.
    folders: Folders,
    /// Serializes closing of epochs, which works outside the commit lock for most of its time.
    closing: Mutex<()>,
    /// Erasures that wait for it.
    interrupting: AtomicUsize,
    /// Held by the rotation that is under way.
    rotating: Mutex<()>,
    /// Follows with the backup target, if there is one.
    follower: Option<Follower>,
    /// Tells the mirror, if there is one.
    noter: Option<noting::Noter>,
    /// What the mirror was told last. Held while it is told, so that what it knows does not get older.
    noted: Mutex<Noted>,
    /// Whether a restore has not ended: then the mirror keeps what it knows.
    restoring: bool,
    /// Serializes deliveries of audiences: each is checked against all before it.
    delivering: Mutex<()>,
    /// Set when the state in memory is ahead of the log for good: why.
    poisoned: OnceLock<String>,
    /// How much may wait to be folded.
    limits: backlog::Limits,
    /// What a test does between a scan and its last consent check.
    #[cfg(test)]
    after_scan: Mutex<Option<AfterScan>>,
    /// What a test does between the checks of consent that go on without the fence and the one that is made under it.
    #[cfg(test)]
    before_fence: Mutex<Option<AfterScan>>,
}

#[cfg(test)]
type AfterScan = Box<dyn FnOnce(&Vault) + Send>;

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

impl VaultError {
    pub(crate) fn damaged(part: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Damaged { part: part.into(), problem: problem.into() }
    }
}

impl From<WalError> for VaultError {
    fn from(error: WalError) -> Self {
        Self::LogUnavailable(error.to_string())
    }
}

impl From<LogError> for VaultError {
    fn from(error: LogError) -> Self {
        Self::LogUnavailable(error.to_string())
    }
}

impl From<LeafError> for VaultError {
    fn from(error: LeafError) -> Self {
        Self::LogUnavailable(error.to_string())
    }
}

impl From<BlockError> for VaultError {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::Write { .. } => Self::Io(error.to_string()),
            // A file that is not there will not be there the next time; whatever else was in the way of reading may pass.
            BlockError::Io { cause, .. } if cause != std::io::ErrorKind::NotFound => Self::Io(error.to_string()),
            error => Self::damaged("block", error.to_string()),
        }
    }
}

impl From<KeysError> for VaultError {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Io { .. } => Self::Io(error.to_string()),
            KeysError::Mirror { error: ref inner, .. } if matches!(**inner, KeysError::Io { .. }) => {
                Self::Io(error.to_string())
            }
            error => Self::damaged("key tree", error.to_string()),
        }
    }
}

impl Vault {
    /// Takes the commit lock, unless the vault must not serve any more.
    fn lock(&self) -> Result<MutexGuard<'_, State>, VaultError> {
        let state = self.state.lock();
        // Asked under the lock: whoever held it before may have left the state ahead of the log.
        match self.stopped(&state) {
            Some(why) => Err(VaultError::LogUnavailable(format!("{why}; when that is mended, restart the gateway"))),
            None => Ok(state),
        }
    }

    /// Says why nothing may be served, if nothing may.
    fn stopped(&self, state: &State) -> Option<String> {
        if let Err(error) = self.wal.check() {
            return Some(error.to_string());
        }
        if !state.tree.is_settled() {
            return Some("an earlier change of the root did not finish".to_owned());
        }
        self.poisoned.get().map(|why| format!("an earlier write failed: {why}"))
    }

    /// An inner error means that the state in memory is ahead of the log: nothing is served until a restart.
    fn poison_on_error<T>(&self, result: Result<Result<T, VaultError>, VaultError>) -> Result<T, VaultError> {
        let inner = result?;
        inner.inspect_err(|error| drop(self.poisoned.set(error.to_string())))
    }

    /// Waits for every draw that began before now.
    fn fence(&self) {
        self.passes.wait(&self.fence);
    }

    fn publish_schemas(&self, state: &State) {
        let all = state.datasets.values().map(|d| (d.schema.dataset.clone(), Arc::clone(&d.schema))).collect();
        self.schemas.store(Arc::new(all));
    }

    fn file_number(&self) -> u64 {
        self.next_file.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the schemas of all datasets.
    pub fn schemas(&self) -> Arc<BTreeMap<DatasetId, Arc<Schema>>> {
        self.schemas.load_full()
    }

    /// Reads the records of a collection, in key order.
    pub fn records(&self, collection: &str) -> Vec<(String, Arc<[u8]>)> {
        let state = self.state.lock();
        let records = state.shared.records.get(collection);
        records.into_iter().flatten().map(|(key, value)| (key.clone(), Arc::clone(value))).collect()
    }

    /// Says whether the vault serves; the text is for the steward.
    pub fn health(&self) -> Result<(), String> {
        self.lock().map(|_| ()).map_err(|error| error.to_string())
    }
}
