//! The gateway's settings: one TOML file, every key with a default, unknown keys refused.

use crate::passphrase;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use vault::keys::{Passphrase, SecondLock};

/// Beside the place where the gateway is started, so that a first run needs no rights and leaves nothing elsewhere.
pub const DEFAULT_DATA: &str = "./silhouette-data";
/// Beside the data folder for a first run; a second disk is better, since copies of this one can open old data.
pub const DEFAULT_ROOT: &str = "./silhouette-root";
/// gRPC port: unassigned, and near 443 for memory.
pub const DEFAULT_GRPC_PORT: u16 = 7443;
/// HTTP port for partners' JSON and the console.
pub const DEFAULT_HTTP_PORT: u16 = 7480;
/// Port for health, metrics and keys.
pub const DEFAULT_ADMIN_PORT: u16 = 7490;
/// What tokens and assertions name as their audience and issuer.
pub const DEFAULT_AUDIENCE: &str = "silhouette";
/// gRPC's own customary bound; larger work is streamed.
pub const DEFAULT_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// A call without a deadline of its own ends here, so that nothing waits forever.
pub const DEFAULT_DEADLINE_SECONDS: u64 = 60;
/// No call may ask for more: an ingest of hours is split by its client.
pub const DEFAULT_MAX_DEADLINE_SECONDS: u64 = 3600;
/// Vault calls at once: scans use all cores each, so more would only queue inside.
pub const DEFAULT_CONCURRENT_CALLS: usize = 32;
/// Batches of records being checked or written at once, in bytes: some dozens of the largest. More wait at their senders.
pub const DEFAULT_INGEST_BYTES: usize = 128 * 1024 * 1024;
/// Sealed bytes of a dataset that wait before they are folded: some seconds of the fastest ingest.
pub const DEFAULT_FOLD_BYTES: u64 = vault::vault::DEFAULT_FOLD_BYTES;
/// How long running calls may take to end once the gateway is told to stop.
pub const DEFAULT_DRAIN_SECONDS: u64 = 20;

/// Settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// The root folder; best on another disk.
    pub root: PathBuf,
    /// The mirror of the root and the key tree: a folder on another disk or host. Without it a dead disk loses everything.
    pub mirror: Option<PathBuf>,
    /// The file with the passphrase that the root is locked with; none if it is not locked.
    pub passphrase_file: Option<PathBuf>,
    /// The passphrase that was typed at the terminal instead.
    #[serde(skip)]
    pub typed: Typed,
    /// The backup target: a folder on another disk or host. With the mirror it can be restored.
    pub backup: Option<PathBuf>,
    /// Where gRPC listens.
    pub grpc: SocketAddr,
    /// Where HTTP for partners and the console listens.
    pub http: SocketAddr,
    /// Where health, metrics and public keys are served.
    pub admin: SocketAddr,
    /// The audience and issuer that tokens name. Two gateways must not share one.
    pub audience: String,
    /// TLS for the gRPC listener; without it only loopback addresses are accepted.
    pub tls: Option<Tls>,
    /// Threads of a scan; 0 is one a core.
    pub scan_threads: usize,
    /// Largest message in bytes.
    pub message_bytes: usize,
    /// Deadline in seconds of a call that brings none; streams of records have none by default.
    pub deadline_seconds: u64,
    /// Longest deadline in seconds that a call may bring.
    pub max_deadline_seconds: u64,
    /// Most vault calls at once.
    pub concurrent_calls: usize,
    /// Most bytes of batches of records that are checked or written at once, over all streams.
    pub ingest_bytes: usize,
    /// Sealed bytes of a dataset that wait at the least before they are folded; at twice as many, those who write wait,
    /// too, and at four times they are refused. At least half of [`Config::ingest_bytes`], which must fit in between.
    pub fold_bytes: u64,
    /// Seconds that running calls may take to end at a stop.
    pub drain_seconds: u64,
}

/// A passphrase that was typed, in no file and no environment.
#[derive(Debug, Clone, Default)]
pub struct Typed(pub Option<Passphrase>);

/// Settings are compared by what can be written down.
impl PartialEq for Typed {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_some() == other.0.is_some()
    }
}

impl Eq for Typed {}

/// Files for TLS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificate chain in PEM, the gateway's own first.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

/// Why the settings can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("`{file}` can't be read: {problem}")]
    Unreadable {
        /// Which file.
        file: String,
        /// Why.
        problem: String,
    },
    /// The text is not what it should be.
    #[error("{0}")]
    Invalid(String),
    /// There is no passphrase where there should be one.
    #[error(transparent)]
    Passphrase(#[from] passphrase::PassphraseError),
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: DEFAULT_DATA.into(),
            root: DEFAULT_ROOT.into(),
            mirror: None,
            passphrase_file: None,
            typed: Typed::default(),
            backup: None,
            grpc: loopback(DEFAULT_GRPC_PORT),
            http: loopback(DEFAULT_HTTP_PORT),
            admin: loopback(DEFAULT_ADMIN_PORT),
            audience: DEFAULT_AUDIENCE.to_owned(),
            tls: None,
            scan_threads: 0,
            message_bytes: DEFAULT_MESSAGE_BYTES,
            deadline_seconds: DEFAULT_DEADLINE_SECONDS,
            max_deadline_seconds: DEFAULT_MAX_DEADLINE_SECONDS,
            concurrent_calls: DEFAULT_CONCURRENT_CALLS,
            ingest_bytes: DEFAULT_INGEST_BYTES,
            fold_bytes: DEFAULT_FOLD_BYTES,
            drain_seconds: DEFAULT_DRAIN_SECONDS,
        }
    }
}

impl Config {
    /// Reads and checks a file.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|problem| ConfigError::Unreadable {
            file: file.display().to_string(),
            problem: problem.kind().to_string(),
        })?;
        Self::parse(&text)
    }

    /// Parses and checks a text.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|problem| ConfigError::Invalid(problem.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// Returns the settings for a gateway under one folder on ports of the system's choice: for demos and tests.
    pub fn ephemeral(folder: &Path) -> Self {
        Self {
            data: folder.join("data"),
            root: folder.join("root"),
            grpc: loopback(0),
            http: loopback(0),
            admin: loopback(0),
            ..Self::default()
        }
    }

    /// Checks what a type can't say: sizes above zero, and no plain text beyond loopback.
    pub fn check(&self) -> Result<(), ConfigError> {
        let sizes = [
            ("message_bytes", self.message_bytes as u64),
            ("deadline_seconds", self.deadline_seconds),
            ("max_deadline_seconds", self.max_deadline_seconds),
            ("concurrent_calls", self.concurrent_calls as u64),
            ("ingest_bytes", self.ingest_bytes as u64),
            ("fold_bytes", self.fold_bytes),
        ];
        for (name, value) in sizes {
            if value == 0 || value > u64::from(u32::MAX) {
                return Err(ConfigError::Invalid(format!("`{name}` must be from 1 to {}", u32::MAX)));
            }
        }
        if self.fold_bytes.saturating_mul(2) < self.ingest_bytes as u64 {
            let message = "`fold_bytes` must be at least half of `ingest_bytes`, so that what is taken up has room";
            return Err(ConfigError::Invalid(message.to_owned()));
        }
        if self.tls.is_none() && !self.grpc.ip().is_loopback() {
            return Err(ConfigError::Invalid(format!(
                "`grpc` is {}, which others can reach, and there is no `[tls]`: give a certificate and a key, or listen \
                 on 127.0.0.1",
                self.grpc
            )));
        }
        for (name, address) in [("http", self.http), ("admin", self.admin)] {
            if !address.ip().is_loopback() {
                return Err(ConfigError::Invalid(format!("`{name}` is served in plain text and must be on loopback")));
            }
        }
        Ok(())
    }

    /// Returns the second lock of the root: what was typed, else what is in the file or the environment.
    pub fn lock(&self) -> Result<SecondLock, ConfigError> {
        let found = match &self.typed.0 {
            Some(typed) => Some(typed.clone()),
            None => passphrase::found(self.passphrase_file.as_deref())?,
        };
        Ok(found.map_or(SecondLock::None, SecondLock::Passphrase))
    }

    /// Returns the vault's part.
    pub fn vault(&self) -> Result<vault::Config, ConfigError> {
        Ok(vault::Config {
            data: self.data.clone(),
            root: self.root.clone(),
            mirror: self.mirror.clone(),
            lock: self.lock()?,
            backup: self.backup.clone(),
            threads: self.scan_threads,
            fold_bytes: self.fold_bytes,
            disk: vault::disk::Disk::default(),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_gives_the_defaults() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }

    #[test]
    fn unknown_keys_and_plain_text_beyond_loopback_are_refused() {
        assert!(Config::parse("grcp = '127.0.0.1:1'").is_err());
        assert!(Config::parse("grpc = '0.0.0.0:7443'").unwrap_err().to_string().contains("[tls]"));
        assert!(Config::parse("grpc = '0.0.0.0:7443'\ntls = { certificate = 'c', key = 'k' }").is_ok());
        assert!(Config::parse("admin = '0.0.0.0:1'").is_err());
        assert!(Config::parse("message_bytes = 0").is_err());
        assert!(Config::parse("fold_bytes = 1000000").unwrap_err().to_string().contains("half of `ingest_bytes`"));
        assert!(Config::parse("fold_bytes = 1000000\ningest_bytes = 2000000").is_ok());
    }
}
