//! The vault's front door.

use crate::audience::{Audience, AudienceQuestion};
use crate::budget::Statement;
use crate::ingest::{Receipt, Record, SubjectKey};
use crate::release::{Answer, Question};
use policy::consent::ConsentEvent;
use policy::decide::Refusal;
use policy::id::{ClientId, DatasetId, EpochId};
use policy::permit::Permit;
use policy::privacy::NanoRho;
use policy::schema::Schema;
use policy::time::Timestamp;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Where the vault lives.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// The root folder; best on another disk.
    pub root: PathBuf,
    /// Threads of a scan; 0 is one a core.
    pub threads: usize,
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
#[derive(Debug)]
pub struct Vault {}

#[expect(unused_variables, reason = "bodies follow")]
impl Vault {
    /// Creates an empty vault in two folders that must not hold one yet.
    pub fn init(config: &Config, now: Timestamp) -> Result<(), VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// Opens a vault: root, key tree, log, replay; then it serves.
    pub fn open(config: &Config, now: Timestamp) -> Result<Self, VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// Creates a dataset from its TOML description.
    pub fn create_dataset(&self, permit: &Permit, schema_toml: &str, now: Timestamp) -> Result<(), VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// Returns the schemas of all datasets.
    pub fn schemas(&self) -> Arc<BTreeMap<DatasetId, Arc<Schema>>> {
        Arc::default()
    }

    /// Stores a small public record (a client, a segment, a policy set) under (collection, key); `None` removes it.
    /// Logged; at most 64 KiB; never personal data.
    pub fn put_record(
        &self,
        permit: &Permit,
        collection: &str,
        key: &str,
        value: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// Reads the records of a collection, in key order.
    pub fn records(&self, collection: &str) -> Vec<(String, Arc<[u8]>)> {
        Vec::new()
    }

    /// Returns a named 32-byte seed for the gateway's token signing key, made at `init`.
    pub fn token_seed(&self) -> crate::keys::SecretKey {
        crate::keys::SecretKey::from_bytes([0; 32])
    }

    /// Writes a batch of records durably; when it returns, they survive a power cut.
    pub fn ingest(&self, permit: &Permit, records: Vec<Record>, now: Timestamp) -> Result<Receipt, VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// Records consent events; once it returns, nothing drawn or emitted afterwards goes against them.
    /// An unknown subject is an error for the whole batch that names its position.
    pub fn record_consents(
        &self,
        permit: &Permit,
        events: Vec<(SubjectKey, ConsentEvent)>,
        now: Timestamp,
    ) -> Result<Receipt, VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// Closes the open epoch: folds every row acknowledged so far.
    pub fn close_epoch(&self, permit: &Permit, as_of: Timestamp, now: Timestamp) -> Result<EpochInfo, VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// Returns the last closed epoch.
    pub fn epoch(&self, dataset: &DatasetId) -> Option<EpochInfo> {
        None
    }

    /// Answers a question: a stored answer free of charge, or charges, scans, draws, stores and returns.
    /// The bool is whether it was charged now.
    pub fn release(&self, permit: &Permit, question: &Question, now: Timestamp) -> Result<(Answer, bool), VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// Delivers an audience.
    pub fn audience(
        &self,
        permit: &Permit,
        question: &AudienceQuestion,
        now: Timestamp,
    ) -> Result<Audience, VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// States a ledger: of the permit's dataset's population, and of `client` within it.
    pub fn budget(&self, permit: &Permit, client: &ClientId, now: Timestamp) -> Result<Statement, VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// Sets a client's quota per quarter on the population of a dataset, at most half the cap.
    pub fn set_quota(
        &self,
        permit: &Permit,
        client: &ClientId,
        quota: NanoRho,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// Logs a refusal to an authenticated caller, durably, before it is told. `what` is a short public description of
    /// the call (RPC name).
    #[expect(clippy::too_many_arguments, reason = "one value for each field of the leaf")]
    pub fn log_refusal(
        &self,
        client: &ClientId,
        what: &str,
        dataset: Option<&DatasetId>,
        purpose: Option<&str>,
        refusal: &Refusal,
        request_id: &str,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// Logs refusals of the unauthenticated, aggregated by the caller per second and reason.
    pub fn log_anonymous_refusals(&self, counts: &BTreeMap<&'static str, u64>, now: Timestamp) -> Result<(), VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// Logs that a token was issued.
    pub fn log_token(&self, permit: &Permit, token_id: &str, purposes: &[String], now: Timestamp) -> Result<(), VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// Searches the log; the read itself is logged first. Returns at most `limit` leaves from `start`, and where to go on.
    pub fn search_log(
        &self,
        permit: &Permit,
        tree: Tree,
        filter: &LogFilter,
        start: u64,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Vec<LeafEntry>, Option<u64>), VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// Returns the newest signed checkpoint of a tree, covering every durable leaf.
    pub fn checkpoint(&self, permit: &Permit, tree: Tree, now: Timestamp) -> Result<String, VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// Returns a C2SP tlog-proof of one leaf under the newest checkpoint.
    pub fn proof(&self, permit: &Permit, tree: Tree, index: u64, now: Timestamp) -> Result<String, VaultError> {
        Err(VaultError::Setup("not written yet".into()))
    }

    /// Returns the log's verifier key (C2SP signed-note vkey).
    pub fn log_vkey(&self) -> String {
        String::new()
    }

    /// Does periodic work: checkpoint, barriers, expiry. Call about once a second.
    pub fn tick(&self, now: Timestamp) -> Result<(), VaultError> {
        Ok(())
    }

    /// Says whether the vault serves; the text is for the steward.
    pub fn health(&self) -> Result<(), String> {
        Ok(())
    }

    /// Stops accepting writes, checkpoints and closes.
    pub fn close(&self, now: Timestamp) -> Result<(), VaultError> {
        Ok(())
    }
}
