//! The vault and its backup target: following it, and being made again from it.
//!
//! The target's own thread ships; what is committed waits for it a little, and goes on without it when it hangs.

use super::recover::{Opening, VaultRecord, read_record};
use super::state::State;
use super::write::require;
use super::{Config, Vault, VaultError};
use crate::backup::{BackupLag, BackupStatus, Follower, Home, Job, Named, Noted, Said, Seen, Target, is_older};
use crate::blocks::id_of;
use crate::fold::pieces::NewPiece;
use crate::keys::{Changes, KeyTree, PieceEntry, PieceState};
use crate::log::Log;
use crate::wal::Wal;
use policy::permit::{Permit, Verb};
use policy::time::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Most bytes of pieces that are shipped at a time: about a second's work of a slow disk.
const SOME_BYTES: u64 = 16 << 20;
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

/// Takes the target of the settings for a vault, and starts to follow.
pub(super) fn follower(config: &Config, tree: &KeyTree) -> Result<Option<Follower>, VaultError> {
    let Some(folder) = &config.backup else { return Ok(None) };
    let identity = tree.identity().ok_or_else(|| VaultError::damaged("key tree", "it has no identity"))?;
    let started = Follower::start(Target::new(&config.disk, folder, identity), SOME_BYTES);
    started.map(Some).map_err(|error| VaultError::Io(error.to_string()))
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
    fn home(&self) -> Home {
        // In this order: what is signed is durable in the write-ahead log.
        let signed = self.log.signed();
        Home { data: self.config.data.clone(), log: Arc::clone(&self.log), signed, extent: self.wal.extent() }
    }

    /// Ships new pieces, and the frames so far, before the commit lock is taken. One that fails is no failure of what made
    /// them.
    pub(super) fn ship_pieces<'a>(&self, new: impl Iterator<Item = &'a NewPiece>) -> Result<(), VaultError> {
        let Some(follower) = &self.follower else { return Ok(()) };
        let Named { generation, next_file, .. } = Self::named(&*self.lock()?)?;
        let job = Job::Log { new: new.map(entry_of).collect(), generation, next_file };
        follower.ship(self.home(), job, follower.patience().alone);
        Ok(())
    }

    /// Commits changes of the key tree that put pieces in the place of others. The target has them before, with all frames so
    /// far, unless it is late; and the tree says from now on what had been done.
    pub(super) fn commit_pieces(&self, state: &mut State, mut changes: Changes) -> Result<(), VaultError> {
        self.wal.sync()?;
        let seen = Seen::of(&self.log, state.next_seq, self.log.sizes())?;
        changes.put_records.push((SEEN.to_owned(), seen.encode()));
        if let Some(follower) = &self.follower {
            // Nearly all of it was shipped before the lock was taken.
            let Named { generation, next_file, .. } = Self::named(state)?;
            let job = Job::Log { new: changes.put.clone(), generation, next_file };
            follower.ship(self.home(), job, follower.patience().locked);
        }
        Ok(state.tree.commit(changes)?)
    }

    /// Removes from the target what a commit superseded, and says how far it is; none without a target.
    pub(super) fn after_commit(&self) -> Option<BackupLag> {
        let follower = self.follower.as_ref()?;
        let named = Self::named(&self.state.lock()).ok()?;
        let said = follower.ship(self.home(), Job::Clean(named), follower.patience().alone);
        let cleaned = said.is_some_and(|said| said.whole);
        let BackupStatus { shipped, current, missing, .. } = self.backup_status()?;
        Some(BackupLag { shipped, current, missing, cleaned })
    }

    /// Ships some of what the target lacks; the rest follows by itself. Returns what is known then; none if the target is late.
    /// Its failure is no failure of the vault's.
    fn catch_up(&self, patience: impl Fn(&Follower) -> Duration) -> Result<Option<Said>, VaultError> {
        let Some(follower) = &self.follower else { return Ok(None) };
        let named = Self::named(&*self.lock()?)?;
        Ok(follower.ship(self.home(), Job::CatchUp(named), patience(follower)))
    }

    fn named(state: &State) -> Result<Named, VaultError> {
        let VaultRecord { next_file, .. } = read_record(&state.tree, "vault")?;
        Ok(Named { generation: state.tree.generation(), entries: state.tree.entries(), next_file })
    }

    /// Lets the target follow, and waits a little.
    pub(super) fn follow(&self) -> Result<(), VaultError> {
        self.catch_up(|follower| follower.patience().alone).map(drop)
    }

    /// Says how far the backup target has followed; none if there is no target. Waits for nothing.
    pub fn backup_status(&self) -> Option<BackupStatus> {
        let follower = self.follower.as_ref()?;
        let Said { shipped, missing, problem, .. } = follower.said();
        let target = follower.folder().to_owned();
        let shipped = shipped.map_or(0, |seen| seen.next_seq.saturating_sub(1));
        Some(BackupStatus { target, shipped, current: self.wal.durable_seq(), missing, problem })
    }

    /// Ships at once all that the target lacks, and waits for it as long as it goes on; none if there is no target.
    pub fn backup_now(&self, permit: &Permit, now: Timestamp) -> Result<Option<BackupStatus>, VaultError> {
        require(permit, &[Verb::Maintain])?;
        self.lock()?.latest_at_least(now);
        self.persist_log()?;
        // Closes and erasures may come between.
        while self.catch_up(|follower| follower.patience().asked)?.is_some_and(|said| said.goes_on()) {}
        self.note_and_wait(now)?;
        Ok(self.backup_status())
    }
}
