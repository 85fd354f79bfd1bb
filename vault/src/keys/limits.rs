//! How much one key may seal: named limits with their reasons, counted and enforced where the sealing is done.
//!
//! Whoever sees `q` messages of `s` blocks of 16 bytes in all, sealed with AES-256-GCM under one key, tells them from noise
//! with a chance of at most (s + q + 1)^2 / 2^129, and one message may have 2^36 - 32 bytes (draft-irtf-cfrg-aead-limits,
//! NIST SP 800-38D). Nonces here never repeat by construction, so 2^32 random ones are no bound. The limits below keep that
//! chance under 2^-64 for each key, and no vault comes near them: they stop a fault, not a user.
//!
//! Guarantees: what would pass a limit is refused before it is sealed. Does not count over restarts: no key seals again
//! after the opening that drew it.

/// The most that one key may seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Messages.
    pub seals: u64,
    /// Bytes of plaintext, over all messages.
    pub bytes: u64,
}

/// Of a journal key: 2^28 parts of frames and 64 GiB, 2^32 blocks. A million frames a second for one block of 8,192 subjects
/// would use it up in four minutes; a fresh one takes over before.
pub const JOURNAL: Limit = Limit { seals: 1 << 28, bytes: 1 << 36 };

/// Of a piece's key: as many columns as a header may list, once each, and no more bytes than one message may have.
pub const PIECE: Limit = Limit { seals: 1 << 16, bytes: (1 << 36) - 32 };

/// Of a page's key, and of the key that seals a root: derived under a fresh salt for one seal. A longer
/// page could not be read back, with the 96 bytes of its header and tag.
pub const PAGE: Limit = Limit { seals: 1, bytes: (1 << 28) - 96 };

/// Of a key that only opens.
pub const OPENS_ONLY: Limit = Limit { seals: 0, bytes: 0 };

/// A key was asked to seal more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key has sealed as much as one key may")]
pub struct UsedUp;

/// What one key has sealed so far.
#[derive(Debug)]
pub(crate) struct Uses {
    limit: Limit,
    seals: u64,
    bytes: u64,
}

impl Uses {
    /// Begins to count.
    pub(crate) fn of(limit: Limit) -> Self {
        Self { limit, seals: 0, bytes: 0 }
    }

    /// Returns the counts after one more message, if the key may seal it.
    fn after(&self, bytes: usize) -> Result<(u64, u64), UsedUp> {
        let seals = self.seals.checked_add(1).filter(|seals| *seals <= self.limit.seals);
        let bytes = self.bytes.checked_add(bytes as u64).filter(|bytes| *bytes <= self.limit.bytes);
        seals.zip(bytes).ok_or(UsedUp)
    }

    /// Says whether one more message of this length may be sealed.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.after(bytes).is_ok()
    }

    /// Counts a message that is about to be sealed. One that is then not sealed after all stays counted.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), UsedUp> {
        (self.seals, self.bytes) = self.after(bytes)?;
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn lower(&mut self, limit: Limit) {
        self.limit = limit;
    }
}

#[test]
fn a_key_seals_as_much_as_it_may_and_no_more() {
    let mut uses = Uses::of(Limit { seals: 3, bytes: 10 });
    assert_eq!(uses.take(11), Err(UsedUp));
    assert_eq!((uses.take(4), uses.take(6)), (Ok(()), Ok(())));
    assert!(uses.has_room(0) && !uses.has_room(1));
    assert_eq!(uses.take(1), Err(UsedUp), "a byte too many");
    assert_eq!((uses.take(0), uses.take(0)), (Ok(()), Err(UsedUp)), "a message too many");
    assert_eq!(Uses::of(OPENS_ONLY).take(0), Err(UsedUp));
    let mut endless = Uses::of(Limit { seals: u64::MAX, bytes: u64::MAX });
    assert_eq!((endless.take(usize::MAX), endless.take(usize::MAX)), (Ok(()), Err(UsedUp)), "counts do not wrap");
}

#[test]
fn the_limits_keep_what_a_key_seals_apart_from_noise() {
    for Limit { seals, bytes } in [JOURNAL, PIECE, PAGE] {
        let sum = u128::from(bytes / 16) + u128::from(seals) + 1;
        assert!(sum * sum < 1 << (129 - 64), "{sum} blocks and messages");
    }
}
