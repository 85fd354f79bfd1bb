//! What a restore from a target that lags can't bring back.

use super::noted::Noted;
use super::position::Seen;
use crate::log::Sizes;
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What was acknowledged at home, known to the mirror, and is not in the target. Ranges are half open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Frames of the write-ahead log.
    pub frames: (u64, u64),
    /// Leaves of the access tree: charges, policies, tokens.
    pub access: (u64, u64),
    /// Leaves of the subject tree: consents, withdrawals, erasures.
    pub subject: (u64, u64),
    /// When the last leaf that is not lost was written; none if there is none.
    pub after: Option<Timestamp>,
    /// When the mirror noted how far home was.
    pub until: Timestamp,
}

impl Loss {
    /// Compares what a target holds, up to frame `next_seq`, with what the mirror noted; none if nothing is known to be lost.
    pub(crate) fn of(noted: &Noted, next_seq: u64, sizes: Sizes, after: Option<Timestamp>) -> Option<Self> {
        let Seen { next_seq: end, sizes: all, .. } = noted.home?;
        (next_seq < end).then(|| Self {
            frames: (next_seq, end),
            access: (sizes.access, all.access.max(sizes.access)),
            subject: (sizes.subject, all.subject.max(sizes.subject)),
            after,
            until: noted.at,
        })
    }

    /// Counts the leaves of both trees that are lost.
    pub fn leaves(&self) -> (u64, u64) {
        let count = |(from, to): (u64, u64)| to.saturating_sub(from);
        (count(self.access), count(self.subject))
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |at: Timestamp| {
            let at = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::MAX);
            at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
        };
        let (access, subject) = self.leaves();
        write!(f, "{} frames", self.frames.1.saturating_sub(self.frames.0))?;
        write!(f, " with {access} leaves of the access tree and {subject} of the subject tree, written")?;
        if let Some(after) = self.after {
            write!(f, " after {}", time(after))?;
        }
        write!(f, " and by {}", time(self.until))
    }
}
