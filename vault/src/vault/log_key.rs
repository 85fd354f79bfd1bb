//! The key that signs the log's checkpoints, and the one that takes over.
//!
//! Order: the next seed is in the key tree -> a leaf in each tree announces it, signed with the key so far, and is durable ->
//! one commit of the key tree makes it the seed, forgets the old one and keeps its public half -> checkpoints are signed with
//! it. All of this holds the commit lock, so no checkpoint that covers the leaf is signed with the old key: whoever follows
//! the announcements from the first key on knows which key must have signed what. A crash between the leaf and the commit is
//! carried on at the next opening, before a checkpoint is signed.

use super::commit::Outgoing;
use super::recover::{SIGNING_SEED, read_record};
use super::state::State;
use super::write::leaf_of;
use super::{Tree, Vault, VaultError};
use crate::keys::{Changes, KeyTree, SecretKey};
use crate::log::{Kind, Leaf, RetiredKey, Sizes};
use crate::rotation::Rotated;
use crate::wal::Frame;
use policy::permit::Permit;
use policy::time::Timestamp;

/// The seed that takes over once it is announced.
pub(super) const NEXT_SEED: &str = "log signing seed/next";
/// The record of the public keys that signed before.
pub(super) const RETIRED: &str = "log keys";

/// Reads the keys that signed before.
pub(super) fn retired(tree: &KeyTree) -> Result<Vec<RetiredKey>, VaultError> {
    if tree.record(RETIRED).is_none() { Ok(Vec::new()) } else { read_record(tree, RETIRED) }
}

/// Says where frames that are replayed announce the next key, if there is one.
#[derive(Debug, Default)]
pub(super) struct Announced {
    /// How the next key is written in a leaf.
    needle: Option<Vec<u8>>,
    access: Option<u64>,
    subject: Option<u64>,
}

impl Announced {
    /// Begins to look for the next key's announcement.
    pub fn of(log: &crate::log::Log, next: Option<&SecretKey>) -> Result<Self, VaultError> {
        let Some(next) = next else { return Ok(Self::default()) };
        let public = log.announcement(next)?.public;
        let hex: String = public.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { needle: Some(format!("\"key\":\"{hex}\"").into_bytes()), ..Self::default() })
    }

    /// Looks at one frame.
    pub fn look(&mut self, frame: &Frame) {
        let Some(needle) = &self.needle else { return };
        let mut next = frame.before;
        for (tree, leaf) in &frame.leaves {
            let here = leaf.windows(needle.len()).any(|bytes| bytes == needle.as_slice());
            let (index, found) = match tree {
                Tree::Access => (&mut next.access, &mut self.access),
                Tree::Subject => (&mut next.subject, &mut self.subject),
            };
            if here {
                *found = Some(*index);
            }
            *index = index.saturating_add(1);
        }
    }

    fn at(&self) -> Option<Sizes> {
        Some(Sizes { access: self.access?, subject: self.subject? })
    }
}

impl Vault {
    /// Lets another key sign the log. Holds the commit lock.
    pub(super) fn rotate_log(&self, permit: &Permit, now: Timestamp) -> Result<Rotated, VaultError> {
        let next = SecretKey::random().map_err(|error| VaultError::Io(error.to_string()))?;
        let announcement = self.log.announcement(&next)?;
        let mut state = self.lock()?;
        let put_secrets = vec![(NEXT_SEED.to_owned(), next.clone())];
        state.tree.commit(Changes { put_secrets, ..Changes::default() })?;
        let leaf = |tree: Tree, signature: [u8; 64]| {
            let (key, signature) = (Some(announcement.public), Some(signature));
            let leaf = Leaf { key, signature, ..leaf_of(permit, Kind::Key, "announce key of the log", now) };
            (tree, leaf.to_json().into_bytes())
        };
        let leaves = vec![leaf(Tree::Access, announcement.access), leaf(Tree::Subject, announcement.subject)];
        let at = self.log.sizes();
        let ticket = self.commit(&mut state, Outgoing { leaves, ..Outgoing::default() })?;
        ticket.wait()?;
        // From here on a checkpoint of the old key would contradict the log.
        let done = self.poison_on_error(Ok(self.hand_over_log(&mut state, &next, at)))?;
        drop(state);
        self.persist_log()?;
        Ok(done)
    }

    /// Makes the announced key the one that signs, and destroys the one before it.
    fn hand_over_log(&self, state: &mut State, next: &SecretKey, at: Sizes) -> Result<Rotated, VaultError> {
        let mut retired = retired(&state.tree)?;
        retired.push(RetiredKey { public: self.log.public_key(), until: at });
        let record = serde_json::to_vec(&retired).map_err(|_| VaultError::damaged("record", "it can't be written"))?;
        let changes = Changes {
            put_secrets: vec![(SIGNING_SEED.to_owned(), next.clone())],
            remove_secrets: vec![NEXT_SEED.to_owned()],
            put_records: vec![(RETIRED.to_owned(), record)],
            ..Changes::default()
        };
        self.commit_pieces(state, changes)?;
        self.log.hand_over(next, at)?;
        Ok(Rotated { keys: 1, bytes: 0, generation: state.tree.generation() })
    }

    /// Ends what a crash broke off: an announced key takes over, one that was not announced is forgotten.
    pub(super) fn settle_log_key(&self, announced: &Announced) -> Result<(), VaultError> {
        let mut state = self.lock()?;
        let Some(next) = state.tree.secret(NEXT_SEED) else { return Ok(()) };
        match announced.at() {
            Some(at) => self.hand_over_log(&mut state, &next, at).map(drop),
            None => {
                let remove_secrets = vec![NEXT_SEED.to_owned()];
                Ok(state.tree.commit(Changes { remove_secrets, ..Changes::default() })?)
            }
        }
    }
}
