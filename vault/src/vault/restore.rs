//! A vault made again elsewhere, from the mirror of its root and a backup target.
//!
//! Order: a marker in the data folder -> pieces, frames, leaves and key pages, all verified -> what is lost is written to the
//! marker -> the root -> the vault is opened; a leaf says what is lost, and balances are raised to what the mirror knows was
//! spent -> the mirror notes the new home -> the marker goes. A folder with the marker is not opened: a restore that broke off
//! leaves nothing that serves, and the same restore again ends it.
//!
//! What is lost can't be told apart: withdrawals and erasures may be among it. So a target that lacks anything is refused, by
//! how much and since when, until a steward accepts the loss. Budgets are never refilled by it.
//!
//! Marker, JSON: `{"version":1,"loss":null}`, or a [`Loss`]; numbers of frames and leaves, and times, that the log shows too.

use super::backup::{SEEN, check_places, noted, seen};
use super::change::Change;
use super::log_key::RETIRED;
use super::recover::{ORIGIN, Opening, SIGNING_SEED, VaultRecord};
use super::{Config, Vault, VaultError};
use crate::backup::{Loss, Restore};
use crate::disk;
use crate::keys::{MirrorCopy, Mirroring, is_mirror};
use crate::log::{Kind, Leaf, Log, Word};
use crate::wal::{SEGMENT_BYTES, Wal, WalError};
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What a restore makes in a data folder.
const FOLDERS: [&str; 5] = ["blocks", "wal", "log", "keys", "store"];
/// The file that says that a restore has not ended.
const MARKER: &str = "restoring";
/// What it is called until it is whole.
const PASSING: &str = "restoring.new";
const MARKER_BYTES: u64 = 4_096;
const VERSION: u32 = 1;

/// What is known of a restore that has not ended.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Marker {
    version: u32,
    /// What the target lacked.
    loss: Option<Loss>,
}

/// Refuses a folder in which a restore broke off.
pub(super) fn check_whole(data: &Path) -> Result<(), VaultError> {
    if !data.join(MARKER).exists() {
        return Ok(());
    }
    let data = data.display();
    let problem = format!("{data} holds a restore that has not ended: run the same `silhouette restore` again");
    Err(VaultError::Setup(problem))
}

impl Vault {
    /// Makes the vault again in `config.data` and `config.root`, which must be empty, from the target in `from` and the
    /// mirror in `config.mirror`, which stays its mirror. Refuses a target that is older than what the mirror has seen it hold.
    /// One that lacks what was written at home later is refused as [`VaultError::Lossy`], unless that is accepted; returns what
    /// is lost. On an error there is no vault, and the mirror is as it was, unless the error came after the root was written:
    /// then the folders are refused until a restore has ended in them.
    pub fn restore(
        config: &Config,
        from: &Path,
        accept_loss: bool,
        now: Timestamp,
    ) -> Result<Option<Loss>, VaultError> {
        check_places(config)?;
        let mirror = config.mirror.as_deref();
        let mirror = mirror.ok_or_else(|| VaultError::Setup("only with the mirror can a backup be opened".into()))?;
        let broken_off = config.data.join(MARKER).exists();
        for folder in [&config.data, &config.root].into_iter().filter(|_| !broken_off) {
            if folder.exists() && !is_empty(folder)? {
                return Err(VaultError::Setup(format!("{} is not empty: name a new folder", folder.display())));
            }
        }
        // Once there is a root, all that it names is there.
        if !(broken_off && is_mirror(&config.root)) {
            make(config, from, mirror, accept_loss)?;
        }
        finish(config, mirror, now)
    }
}

fn is_empty(folder: &Path) -> Result<bool, VaultError> {
    let io = |error: std::io::Error| VaultError::Io(format!("{}: {error}", folder.display()));
    Ok(std::fs::read_dir(folder).map_err(io)?.next().is_none())
}

/// Makes all but the root, then the root; or nothing.
fn make(config: &Config, from: &Path, mirror: &Path, accept_loss: bool) -> Result<(), VaultError> {
    let copy = MirrorCopy::open(mirror, &config.lock).map_err(|error| VaultError::Setup(error.to_string()))?;
    let made = begin(config).and_then(|()| fill(config, from, &copy)).and_then(|loss| match loss {
        Some(loss) if !accept_loss => Err(VaultError::Lossy(loss)),
        loss => write_marker(config, loss),
    });
    if made.is_err() {
        // What stays is sealed, and in the way of nothing but serving.
        clear(config).ok();
        for name in [PASSING, MARKER] {
            config.disk.unlink(&config.data.join(name)).ok();
        }
    }
    made?;
    Ok(copy.write_root(&config.disk, &config.root)?)
}

/// Marks the folder, and removes what an attempt left that broke off.
fn begin(config: &Config) -> Result<(), VaultError> {
    config.disk.create_folder(&config.data).map_err(at(&config.data))?;
    write_marker(config, None)?;
    clear(config)
}

fn clear(config: &Config) -> Result<(), VaultError> {
    let folders = FOLDERS.map(|name| config.data.join(name));
    folders.iter().try_for_each(|folder| config.disk.remove_folder(folder).map_err(at(folder)))
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> VaultError {
    let path: PathBuf = path.to_owned();
    move |error| VaultError::Io(format!("{}: {error}", path.display()))
}

fn write_marker(config: &Config, loss: Option<Loss>) -> Result<(), VaultError> {
    let path = config.data.join(MARKER);
    let unwritable = |_| VaultError::damaged(MARKER, "it can't be written");
    let bytes = serde_json::to_vec(&Marker { version: VERSION, loss }).map_err(unwritable)?;
    let passing = config.data.join(PASSING);
    let disk = &config.disk;
    let file = disk.write_whole(&passing, &bytes).map_err(at(&passing))?;
    let named = disk.sync(&passing, &file).and_then(|()| disk.rename(&passing, &path));
    named.and_then(|()| disk.sync_folder(&config.data)).map_err(at(&path))
}

impl Marker {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|marker: &Self| marker.version == VERSION)
    }
}

/// Copies and verifies all but the root; returns what is lost.
fn fill(config: &Config, from: &Path, mirror: &MirrorCopy) -> Result<Option<Loss>, VaultError> {
    let older = |problem: String| VaultError::Older { what: "the backup".into(), problem };
    let noted = noted(mirror.note())?;
    let mut all = vec![noted.shipped.ok_or_else(|| older("the mirror has not seen it hold anything".into()))?];
    all.extend(mirror.record(SEEN).map(seen).transpose()?);
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
    restore.verify(&log, wal, &all, &noted)
}

/// Opens what was made, says what is lost, keeps what was spent, and lets it be served.
fn finish(config: &Config, mirror: &Path, now: Timestamp) -> Result<Option<Loss>, VaultError> {
    let path = config.data.join(MARKER);
    let bytes = disk::read(&path, MARKER_BYTES).map_err(at(&path))?;
    let marker = Marker::parse(&bytes).ok_or_else(|| VaultError::damaged(MARKER, "it does not parse"))?;
    let vault = Vault::open_with(config, Mirroring::At(mirror), Opening::Restoring, now)?;
    let leaf = Leaf { what: Word::new("restored").ok(), ..Leaf::new(Kind::Start, now) };
    vault.raise_balances(&lost(leaf, marker.loss)?, now)?;
    vault.close(now)?;
    vault.note_durably(now)?;
    drop(vault);
    config.disk.unlink(&path).map_err(at(&path))?;
    // One that a power cut brings back asks for the same restore again, which then has nothing left to do.
    config.disk.sync_folder(&config.data).ok();
    Ok(marker.loss)
}

/// Says in a leaf which leaves and frames are lost: those from the first number on and before the last.
fn lost(leaf: Leaf, loss: Option<Loss>) -> Result<Leaf, VaultError> {
    let Some(loss) = loss else { return Ok(leaf) };
    let ranges = [("frames", loss.frames), ("access leaves", loss.access), ("subject leaves", loss.subject)];
    Ok(ranges.into_iter().try_fold(leaf, |leaf, (what, (from, to))| {
        leaf.count(&format!("lost {what} from"), from)?.count(&format!("lost {what} before"), to)
    })?)
}

impl Vault {
    /// Returns what raises balances to those that the mirror knows of.
    pub(super) fn unpaid(&self) -> Vec<Change> {
        let noted = self.noted.lock();
        let ledgers = &self.state.lock().shared.ledgers;
        let raised = noted.ledgers.iter().filter(|(population, noted)| {
            let mut here = ledgers.get(*population).cloned().unwrap_or_default();
            let before = here.clone();
            here.raise_to(noted);
            here != before
        });
        raised
            .map(|(population, spent)| Change::Spent { population: population.clone(), spent: spent.clone() })
            .collect()
    }
}
