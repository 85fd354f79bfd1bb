//! What binds a frame of the write-ahead log together: a keyed tag over its number, its leaves and its sealed parts.
//!
//! Each part is sealed for its own place, and the log's checksums need no key. Without the tag, whoever can write to the data
//! folder or the backup target could take a charge or a withdrawal out of a frame and leave its leaf; with it, such a frame is
//! refused. The key is in the key tree, as long as the vault lives; it seals nothing.
//!
//! Does not: tell a frame from an older one that bore the same number and was lost in a crash before anyone was answered.

use super::commit::{CHANGE, JOURNAL, REWRITTEN};
use super::{Vault, VaultError};
use crate::keys::{KeyTree, Mac};
use crate::wal::{Frame, SealedPart, payload};

/// The secret's name.
pub(super) const FRAME_KEY: &str = "frames";
/// Part of a frame, the last: its tag.
const TAG: u8 = 3;
const LABEL: &[u8] = b"silhouette frame 1";

/// Makes and checks tags.
#[derive(Debug)]
pub(super) struct Tagging(Mac);

impl Tagging {
    pub fn of(tree: &KeyTree) -> Result<Self, VaultError> {
        let key = tree.secret(FRAME_KEY);
        key.map(|key| Self(Mac::new(&key))).ok_or_else(|| VaultError::damaged("key tree", "the key of frames is gone"))
    }

    /// Adds the tag to a whole frame.
    pub fn tag(&self, seq: u64, frame: &mut Frame) {
        let tag = self.0.tag(&[LABEL, &seq.to_be_bytes(), &payload(frame)]);
        frame.parts.push(SealedPart { kind: TAG, sealed: tag.to_vec(), ..SealedPart::default() });
    }

    /// Takes the tag off a frame that was read, and refuses one that was not written so, whole.
    pub fn check(&self, seq: u64, frame: &mut Frame) -> Result<(), VaultError> {
        let damaged = |problem| VaultError::damaged(format!("frame {seq} of the write-ahead log"), problem);
        let tag = frame.parts.pop().filter(|part| part.kind == TAG);
        let tag = tag.ok_or_else(|| damaged("its tag is missing"))?;
        if !self.0.checks(&[LABEL, &seq.to_be_bytes(), &payload(frame)], &tag.sealed) {
            return Err(damaged("it is not as it was written"));
        }
        match frame.parts.iter().all(|part| [JOURNAL, CHANGE, REWRITTEN].contains(&part.kind)) {
            true => Ok(()),
            false => Err(damaged("it has a part of a kind that this program does not know")),
        }
    }
}

impl Vault {
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
