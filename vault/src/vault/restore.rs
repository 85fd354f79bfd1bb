//! A vault made again elsewhere, from the mirror of its root and a backup target.

use super::backup::{SEEN, check_places, seen};
use super::log_key::RETIRED;
use super::recover::{ORIGIN, SIGNING_SEED, VaultRecord};
use super::{Config, Vault, VaultError};
use crate::backup::Restore;
use crate::keys::MirrorCopy;
use crate::log::{Kind, Leaf, Log, Word};
use crate::wal::{SEGMENT_BYTES, Wal, WalError};
use policy::time::Timestamp;
use std::path::Path;

/// What a restore makes in a data folder.
const FOLDERS: [&str; 5] = ["blocks", "wal", "log", "keys", "store"];

impl Vault {
    /// Makes the vault again in `config.data` and `config.root`, which must be empty, from the target in `from` and the
    /// mirror in `config.mirror`, which stays its mirror. Refuses a target that is older than what the mirror has seen. On an
    /// error there is no vault, and the mirror is as it was.
    ///
    /// What was written after the target's position is lost.
    pub fn restore(config: &Config, from: &Path, now: Timestamp) -> Result<(), VaultError> {
        check_places(config)?;
        let mirror = config.mirror.as_deref();
        let mirror = mirror.ok_or_else(|| VaultError::Setup("only with the mirror can a backup be opened".into()))?;
        for folder in [&config.data, &config.root] {
            if folder.exists() && !is_empty(folder)? {
                return Err(VaultError::Setup(format!("{} is not empty: name a new folder", folder.display())));
            }
        }
        let copy = MirrorCopy::open(mirror, &config.lock).map_err(|error| VaultError::Setup(error.to_string()))?;
        if let Err(error) = fill(config, from, &copy) {
            for folder in FOLDERS.map(|name| config.data.join(name)) {
                // What stays is sealed, and in the way of another try only.
                config.disk.remove_folder(&folder).ok();
            }
            return Err(error);
        }
        copy.write_root(&config.disk, &config.root)?;
        let vault = Self::open(config, now)?;
        let leaf = Leaf { what: Word::new("restored").ok(), ..Leaf::new(Kind::Start, now) };
        vault.log_change(leaf, Vec::new())?;
        vault.close(now)
    }
}

fn is_empty(folder: &Path) -> Result<bool, VaultError> {
    let io = |error: std::io::Error| VaultError::Io(format!("{}: {error}", folder.display()));
    Ok(std::fs::read_dir(folder).map_err(io)?.next().is_none())
}

fn fill(config: &Config, from: &Path, mirror: &MirrorCopy) -> Result<(), VaultError> {
    let io = |error: std::io::Error| VaultError::Io(format!("{}: {error}", config.data.display()));
    let older = |problem: String| VaultError::Older { what: "the backup".into(), problem };
    let noted = Some(mirror.note()).filter(|note| !note.is_empty());
    let noted = noted.ok_or_else(|| older("the mirror has not seen it hold anything".into()))?;
    let mut all = vec![seen(noted)?];
    all.extend(mirror.record(SEEN).map(seen).transpose()?);
    config.disk.create_folder(&config.data).map_err(io)?;
    let restore = Restore { disk: &config.disk, target: from, data: &config.data, mirror };
    restore.fill()?;
    let damaged = |problem: &str| VaultError::damaged("key tree", problem);
    let record = mirror.record("vault").ok_or_else(|| damaged("record vault is missing"))?;
    let record: VaultRecord = serde_json::from_slice(record).map_err(|_| damaged("record vault does not parse"))?;
    let seed = mirror.secret(SIGNING_SEED).ok_or_else(|| damaged("the signing seed is gone"))?;
    let retired = match mirror.record(RETIRED) {
        Some(record) => serde_json::from_slice(record).map_err(|_| damaged("the log's keys do not parse"))?,
        None => Vec::new(),
    };
    let log = Log::open(&config.disk, &config.data.join("log"), ORIGIN, seed, &retired)?;
    let wal = Wal::open(&config.disk, &config.data.join("wal"), record.first_seq.max(1), SEGMENT_BYTES);
    let wal = wal.map_err(|error| match error {
        WalError::Missing { .. } => older(error.to_string()),
        error => error.into(),
    })?;
    restore.verify(&log, wal, &all)
}
