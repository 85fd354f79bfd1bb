//! What binds a frame of the write-ahead log together: a keyed tag over its number, its leaves and its sealed parts.
//!
//! Each part is sealed for its own place, and the log's checksums need no key. Without the tag, whoever can write to the data
//! folder or the backup target could take a charge or a withdrawal out of a frame and leave its leaf; with it, such a frame is
//! refused. The key is in the key tree; it seals nothing. It is replaced with the keys of journals: frames from some number on
//! are under the new one, and the one before stays as long as a frame under it may be replayed.
//!
//! Does not: tell a frame from an older one that bore the same number and was lost in a crash before anyone was answered.

use super::commit::{CHANGE, JOURNAL, REWRITTEN};
use super::state::State;
use super::{Vault, VaultError};
use crate::keys::{Changes, KeyTree, Mac, SecretKey};
use crate::wal::{Frame, SealedPart, payload};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Bound;

/// The secret's name.
pub(super) const FRAME_KEY: &str = "frames";
/// Part of a frame, the last: its tag.
const TAG: u8 = 3;
const LABEL: &[u8] = b"silhouette frame 1";

/// Names of the keys before: with the number from which on frames are under a later one.
const RETIRED: &str = "frames/";

/// Makes and checks tags.
#[derive(Debug)]
pub(super) struct Tagging(RwLock<Keys>);

#[derive(Debug)]
struct Keys {
    current: Mac,
    /// By the number below which frames are under it.
    retired: BTreeMap<u64, Mac>,
}

impl Keys {
    fn of(&self, seq: u64) -> &Mac {
        self.retired.range((Bound::Excluded(seq), Bound::Unbounded)).next().map_or(&self.current, |(_, key)| key)
    }
}

/// Returns the number below which frames are under a key that was replaced.
fn until(name: &str) -> Option<u64> {
    name.strip_prefix(RETIRED).and_then(|number| u64::from_str_radix(number, 16).ok())
}

/// Names the keys of frames that nobody replays any more.
pub(super) fn outlived(tree: &KeyTree, first_seq: u64) -> Vec<String> {
    let retired = tree.secrets(RETIRED).filter(|(name, _)| until(name).is_some_and(|until| until <= first_seq));
    retired.map(|(name, _)| name.to_owned()).collect()
}

impl Tagging {
    pub fn of(tree: &KeyTree) -> Result<Self, VaultError> {
        let damaged = |problem| VaultError::damaged("key tree", problem);
        let current = tree.secret(FRAME_KEY).ok_or_else(|| damaged("the key of frames is gone"))?;
        let retired = tree.secrets(RETIRED).map(|(name, key)| {
            let until = until(name).ok_or_else(|| damaged("a key of frames has no number"))?;
            Ok((until, Mac::new(key)))
        });
        let retired = retired.collect::<Result<_, VaultError>>()?;
        Ok(Self(RwLock::new(Keys { current: Mac::new(&current), retired })))
    }

    /// Adds the tag to a whole frame.
    pub fn tag(&self, seq: u64, frame: &mut Frame) {
        let tag = self.0.read().of(seq).tag(&[LABEL, &seq.to_be_bytes(), &payload(frame)]);
        frame.parts.push(SealedPart { kind: TAG, sealed: tag.to_vec(), ..SealedPart::default() });
    }

    /// Takes the tag off a frame that was read, and refuses one that was not written so, whole.
    pub fn check(&self, seq: u64, frame: &mut Frame) -> Result<(), VaultError> {
        let damaged = |problem| VaultError::damaged(format!("frame {seq} of the write-ahead log"), problem);
        let tag = frame.parts.pop().filter(|part| part.kind == TAG);
        let tag = tag.ok_or_else(|| damaged("its tag is missing"))?;
        if !self.0.read().of(seq).checks(&[LABEL, &seq.to_be_bytes(), &payload(frame)], &tag.sealed) {
            return Err(damaged("it is not as it was written"));
        }
        match frame.parts.iter().all(|part| [JOURNAL, CHANGE, REWRITTEN].contains(&part.kind)) {
            true => Ok(()),
            false => Err(damaged("it has a part of a kind that this program does not know")),
        }
    }
}

impl Vault {
    /// Draws another key for the frames that follow.
    pub(super) fn rotate_frames(&self, state: &mut State) -> Result<(), VaultError> {
        // No number of a frame under the old key is used again.
        self.wal.sync()?;
        let fresh = SecretKey::random().map_err(|error| VaultError::Io(error.to_string()))?;
        let mut put_secrets = vec![(FRAME_KEY.to_owned(), fresh)];
        let name = format!("{RETIRED}{:016x}", state.next_seq);
        // One that no frame was under need not be kept.
        if state.tree.secret(&name).is_none() {
            put_secrets.extend(state.tree.secret(FRAME_KEY).map(|old| (name, old)));
        }
        state.tree.commit(Changes { put_secrets, ..Changes::default() })?;
        *self.tagging.0.write() = Tagging::of(&state.tree)?.0.into_inner();
        Ok(())
    }

    /// Reads frames of the open log, each checked.
    pub(super) fn frames_from(
        &self,
        first: u64,
    ) -> Result<impl Iterator<Item = Result<(u64, Frame), VaultError>> + '_, VaultError> {
        let frames = self.wal.read_from(first)?;
        Ok(frames.map(|read| {
            let (seq, mut frame) = read?;
            self.tagging.check(seq, &mut frame)?;
            Ok((seq, frame))
        }))
    }
}
