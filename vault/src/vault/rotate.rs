//! Replacing keys while the vault serves.
//!
//! Order: a leaf says which keys are to go -> a record in the key tree says from which number on keys are fresh -> what the
//! older ones sealed is sealed again, a few blocks a step, and each step is one commit of the key tree that names the new
//! and forgets the old -> when none is left the record goes -> a leaf says so.
//!
//! Guarantees: between two steps closes, erasures and other calls go on, and what they write is under fresh keys already;
//! the files that a step replaced are gone before the next begins, so the disk holds one step twice at most. After a crash
//! or an error every piece and entry is under its old key or its new one; a rotation of journals is carried out at the next
//! opening, and one of pieces goes on where it was when it is asked for again.
//! Does not: stop copies made before from being read with keys that somebody took before. Old copies of the data folder are
//! sealed under roots that are gone since the first commit after them, with or without this.

mod journals;
mod pieces;

use super::recover::{VaultRecord, read_record};
use super::state::State;
use super::write::{leaf_of, refuse, require};
use super::{Vault, VaultError};
use crate::keys::{Changes, KeyTree, SecondLock};
use crate::log::{Kind, Leaf, Word};
use crate::rotation::{Progress, Rotated, Rotation};
use journals::JOURNALS;
use policy::decide::Reason;
use policy::permit::{Permit, Verb};
use policy::time::Timestamp;
use std::path::PathBuf;

/// Tells whoever waits how far it is.
pub type Watch<'a> = &'a (dyn Fn(Progress) + Sync);

impl Vault {
    /// Replaces keys. One rotation runs at a time. `watch` hears of every step; what it does must be quick.
    pub fn rotate(
        &self,
        permit: &Permit,
        what: Rotation,
        now: Timestamp,
        watch: Watch<'_>,
    ) -> Result<Rotated, VaultError> {
        require(permit, &[Verb::Maintain, Verb::ManageDataset])?;
        whole(permit)?;
        let Some(_turn) = self.rotating.try_lock() else {
            return refuse(Reason::RequestInvalid, "another rotation is under way", "wait until it has ended");
        };
        self.log_change(leaf_of(permit, Kind::Key, &format!("rotate {}", what.word()), now), Vec::new())?;
        self.mirror_answers()?;
        let done = match what {
            Rotation::Pieces => self.rotate_pieces(watch),
            Rotation::Journals => self.rotate_journals(watch),
            Rotation::Root => self.rotate_root(),
            Rotation::Pseudonyms => self.rotate_pseudonyms(),
            Rotation::Log => self.rotate_log(permit, now),
            // Its leaf follows when the new key signs.
            Rotation::Tokens => return self.rotate_tokens(now),
        }?;
        let rotated = Rotated { generation: self.lock()?.tree.generation(), ..done };
        self.log_rotated(leaf_of(permit, Kind::Key, &format!("rotated {}", what.word()), now), rotated)?;
        Ok(rotated)
    }

    /// Puts another second lock on the root: from then on it yields to that one alone.
    pub fn relock(&self, permit: &Permit, lock: &SecondLock, now: Timestamp) -> Result<(), VaultError> {
        require(permit, &[Verb::Maintain, Verb::ManageDataset])?;
        whole(permit)?;
        self.log_change(leaf_of(permit, Kind::Key, "rotate lock of the root", now), Vec::new())?;
        self.mirror_answers()?;
        let generation = {
            let mut state = self.lock()?;
            state.tree.relock(lock, Changes { all_pages: true, ..Changes::default() })?;
            state.tree.generation()
        };
        let leaf = leaf_of(permit, Kind::Key, "rotated lock of the root", now);
        self.log_change(leaf.count("generation", generation)?, Vec::new())
    }

    /// Carries out a rotation of journals that a crash broke off: until it is done, entries that were sealed again are in
    /// the log twice.
    pub(super) fn resume_rotation(&self, now: Timestamp) -> Result<(), VaultError> {
        if self.lock()?.tree.record(JOURNALS).is_none() {
            return Ok(());
        }
        let done = match self.rotate_journals(&|_| ()) {
            // The datasets that can be read are served; the rotation waits for the repair of the others.
            Err(VaultError::Damaged { .. }) if !self.damage().is_empty() => return Ok(()),
            done => done?,
        };
        let what = Word::new(&format!("rotated {} after a restart", Rotation::Journals.word())).ok();
        self.log_rotated(Leaf { what, ..Leaf::new(Kind::Key, now) }, done)
    }

    fn log_rotated(&self, leaf: Leaf, rotated: Rotated) -> Result<(), VaultError> {
        let Rotated { keys, bytes, generation } = rotated;
        let leaf = leaf.count("keys", keys)?.count("bytes", bytes)?.count("generation", generation)?;
        self.log_change(leaf, Vec::new())
    }

    fn rotate_root(&self) -> Result<Rotated, VaultError> {
        let mut state = self.lock()?;
        state.tree.commit(Changes { all_pages: true, ..Changes::default() })?;
        Ok(rotated(&state.tree, state.tree.page_generations().count() as u64, 0))
    }

    fn rotate_pseudonyms(&self) -> Result<Rotated, VaultError> {
        // Whoever delivers now has a key in hand.
        let _turn = self.delivering.lock();
        let mut state = self.lock()?;
        let remove_secrets: Vec<String> = state.tree.secrets("pseudonym/").map(|(name, _)| name.to_owned()).collect();
        let keys = remove_secrets.len() as u64;
        state.tree.commit(Changes { remove_secrets, ..Changes::default() })?;
        Ok(rotated(&state.tree, keys, 0))
    }

    /// Removes files that the key tree names no more.
    fn unlink(&self, files: Vec<PathBuf>) {
        for file in files {
            // One that stays is sealed under a key that no longer exists; the next opening removes it.
            self.config.disk.unlink(&file).ok();
        }
    }

    /// Returns the vault's record with the file numbers used so far.
    fn numbered(&self, state: &State) -> Result<(String, Vec<u8>), VaultError> {
        let mut record: VaultRecord = read_record(&state.tree, "vault")?;
        record.next_file = self.file_number();
        record.named()
    }
}

impl State {
    /// Refuses a dataset whose files can't be read: it waits for its repair.
    fn readable(&self, number: u32) -> Result<(), VaultError> {
        match self.datasets.get(&number).and_then(|dataset| dataset.damage.as_ref()) {
            Some((part, problem)) => Err(VaultError::damaged(part, problem)),
            None => Ok(()),
        }
    }
}

/// Refuses a permit for one dataset.
fn whole(permit: &Permit) -> Result<(), VaultError> {
    if permit.dataset().is_none() {
        return Ok(());
    }
    let next = "ask for a permit that names no dataset";
    refuse(Reason::PurposeDenied, "keys are of the whole vault, and this permit is for one dataset", next)
}

fn rotated(tree: &KeyTree, keys: u64, bytes: u64) -> Rotated {
    Rotated { keys, bytes, generation: tree.generation() }
}

/// Reads from which number on keys are fresh, if this rotation was begun.
fn begun(tree: &KeyTree, name: &str) -> Result<Option<u64>, VaultError> {
    let Some(bytes) = tree.record(name) else { return Ok(None) };
    let first = bytes.as_slice().try_into().map(u64::from_le_bytes);
    first.map(Some).map_err(|_| VaultError::damaged("key tree", format!("record {name} does not parse")))
}
