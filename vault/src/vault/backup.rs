//! The vault and its backup target: following it, and being made again from it.
//!
//! Locks are taken in this order: closing, target, commit. So no version of a block is made while its pieces are shipped.

use super::recover::{Opening, VaultRecord, read_record};
use super::state::State;
use super::write::require;
use super::{Config, Vault, VaultError};
use crate::backup::{BackupLag, BackupStatus, Home, Noted, Seen, Target, is_older};
use crate::blocks::id_of;
use crate::fold::pieces::NewPiece;
use crate::keys::{Changes, KeyTree, PieceEntry, PieceState};
use crate::log::Log;
use crate::wal::Wal;
use policy::permit::{Permit, Verb};
use policy::time::Timestamp;
use std::path::Path;

/// Most bytes of pieces that are shipped at a time: about a second's work of a slow disk.
const SOME_BYTES: u64 = 64 << 20;
/// The record of what had been done at the last commit that mattered.
pub(super) const SEEN: &str = "seen";

/// Refuses folders that lie in each other: a target is cleaned of what is not its own.
pub(super) fn check_places(config: &Config) -> Result<(), VaultError> {
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| VaultError::Io(error.to_string()));
    let [data, root] = [absolute(&config.data)?, absolute(&config.root)?];
    let mirror = config.mirror.as_deref().map(absolute).transpose()?;
    if mirror.as_ref().is_some_and(|mirror| *mirror == data || *mirror == root) {
        return Err(VaultError::Setup("`mirror` must be another folder than `data` and `root`".into()));
    }
    let Some(backup) = config.backup.as_deref().map(absolute).transpose()? else { return Ok(()) };
    for other in [Some(data), Some(root), mirror].into_iter().flatten() {
        if backup.starts_with(&other) || other.starts_with(&backup) {
            let (backup, other) = (backup.display(), other.display());
            return Err(VaultError::Setup(format!("`backup` is {backup}, which may not lie in {other} or hold it")));
        }
    }
    Ok(())
}

/// Takes the target of the settings for a vault.
pub(super) fn target(config: &Config, tree: &KeyTree) -> Result<Option<Target>, VaultError> {
    let Some(folder) = &config.backup else { return Ok(None) };
    let identity = tree.identity().ok_or_else(|| VaultError::damaged("key tree", "it has no identity"))?;
    Ok(Some(Target::new(&config.disk, folder, identity)))
}

/// Refuses frames and a log that are older than what the key tree or its mirror has seen.
pub(super) fn check_seen(
    tree: &KeyTree,
    noted: &Noted,
    opening: Opening,
    log: &Log,
    wal: &Wal,
) -> Result<(), VaultError> {
    let recorded = tree.record(SEEN).map(|bytes| seen(&bytes)).transpose()?;
    let home = noted.home.filter(|_| opening == Opening::Serving);
    let all = [recorded, noted.shipped, home].into_iter().flatten();
    all.into_iter().try_for_each(|seen| is_older("the data folder", log, wal.next_seq(), &seen))
}

/// Reads what the mirror knows.
pub(super) fn noted(bytes: &[u8]) -> Result<Noted, VaultError> {
    Noted::decode(bytes).ok_or_else(|| VaultError::damaged("mirror", "what it knows of its vault does not parse"))
}

pub(super) fn seen(bytes: &[u8]) -> Result<Seen, VaultError> {
    Seen::decode(bytes).ok_or_else(|| VaultError::damaged("key tree", "what was done last does not parse"))
}

/// A new piece as the target needs to know it.
fn entry_of(new: &NewPiece) -> PieceEntry {
    PieceEntry {
        id: id_of(&new.meta),
        version: new.meta.version,
        epoch: 0,
        state: PieceState::Closed,
        key: new.written.key.clone(),
        file: new.file,
        sha256: new.written.sha256,
        bytes: new.written.bytes,
    }
}

impl Vault {
    fn home(&self) -> Home<'_> {
        // In this order: what is signed is durable in the write-ahead log.
        let signed = self.log.signed();
        Home { data: &self.config.data, log: &self.log, signed, extent: self.wal.extent() }
    }

    /// Ships new pieces before the commit lock is taken. One that fails is no failure of what made them.
    pub(super) fn ship_pieces<'a>(&self, target: &mut Option<Target>, new: impl Iterator<Item = &'a NewPiece>) {
        if let Some(target) = target {
            target.ship_new(&self.home(), &new.map(entry_of).collect::<Vec<_>>());
        }
    }

    /// Commits changes of the key tree that put pieces in the place of others. The target has them before, with all frames so
    /// far, and the tree says from now on what had been done.
    pub(super) fn commit_pieces(
        &self,
        target: &mut Option<Target>,
        state: &mut State,
        mut changes: Changes,
    ) -> Result<(), VaultError> {
        self.wal.sync()?;
        let seen = Seen::of(&self.log, state.next_seq, self.log.sizes())?;
        changes.put_records.push((SEEN.to_owned(), seen.encode()));
        let record: VaultRecord = read_record(&state.tree, "vault")?;
        if let Some(target) = target {
            let home = self.home();
            target.ship_new(&home, &changes.put);
            target.ship_log(&home, record.next_file.min(target.trusted()));
        }
        Ok(state.tree.commit(changes)?)
    }

    /// Removes from the target what a commit superseded, and says how far it is; none without a target.
    pub(super) fn after_commit(&self, target: &mut Option<Target>) -> Option<BackupLag> {
        let target = target.as_mut()?;
        let entries = self.state.lock().tree.entries();
        let cleaned = target.problem().is_none() && target.remove_superseded(&self.home(), &entries);
        let BackupStatus { shipped, current, missing, .. } = self.say(target);
        Some(BackupLag { shipped, current, missing, cleaned })
    }

    /// Ships some of what the target lacks, and says whether it lacks more. Its failure is no failure of the vault's.
    pub(super) fn follow(&self) -> Result<bool, VaultError> {
        let mut target = self.backup.lock();
        let Some(target) = target.as_mut() else { return Ok(false) };
        let (entries, record) = {
            let state = self.lock()?;
            (state.tree.entries(), read_record::<VaultRecord>(&state.tree, "vault")?)
        };
        let whole = target.catch_up(&self.home(), &entries, record.next_file, SOME_BYTES);
        if let (None, Some(position)) = (target.problem(), target.position()) {
            *self.shipped.lock() = Some(position.seen);
        }
        self.say(target);
        Ok(!whole && target.problem().is_none())
    }

    /// Notes in the mirror how far home and the target are, and what was spent, unless it knows; not before a restore has
    /// ended.
    pub(super) fn note(&self, now: Timestamp) -> Result<(), VaultError> {
        if self.restoring { Ok(()) } else { self.note_home(now) }
    }

    pub(super) fn note_home(&self, now: Timestamp) -> Result<(), VaultError> {
        let mut noted = self.noted.lock();
        let (next_seq, sizes, ledgers) = {
            let state = self.lock()?;
            if state.tree.noted().is_none() {
                return Ok(());
            }
            (state.next_seq, self.log.sizes(), state.shared.ledgers.clone())
        };
        let shipped = *self.shipped.lock();
        if noted.shipped == shipped && noted.home.is_some_and(|home| home.next_seq == next_seq) {
            return Ok(());
        }
        // Nothing is noted that a power cut could take back.
        self.wal.sync()?;
        let home = Seen::of(&self.log, next_seq, sizes)?;
        let news = Noted { at: now, home: Some(home), shipped, ledgers };
        self.lock()?.tree.note(&news.encode())?;
        *noted = news;
        Ok(())
    }

    fn say(&self, target: &Target) -> BackupStatus {
        let status = BackupStatus {
            target: target.folder().to_owned(),
            shipped: target.position().map_or(0, |position| position.seen.next_seq.saturating_sub(1)),
            current: self.wal.durable_seq(),
            missing: target.missing(),
            problem: target.problem().map(str::to_owned),
        };
        *self.backup_status.lock() = Some(status.clone());
        status
    }

    /// Says how far the backup target had followed after the last shipment; none if there is no target. Waits for nothing.
    pub fn backup_status(&self) -> Option<BackupStatus> {
        let said = self.backup_status.lock().clone()?;
        Some(BackupStatus { current: self.wal.durable_seq(), ..said })
    }

    /// Ships at once all that the target lacks, and waits for it; none if there is no target.
    pub fn backup_now(&self, permit: &Permit, now: Timestamp) -> Result<Option<BackupStatus>, VaultError> {
        require(permit, &[Verb::Maintain])?;
        self.lock()?.latest_at_least(now);
        self.persist_log()?;
        // Closes and erasures may come between.
        while self.follow()? {}
        self.note(now)?;
        Ok(self.backup_status())
    }
}
