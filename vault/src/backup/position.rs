//! What a target holds, and what a vault has done at the least: their stored forms.
//!
//! `TARGET/position`, little-endian: magic "SILHSHIP" | version u16 = 1 | identity of the vault 16 | [`Seen`] |
//! segment u64 | its bytes u64 | file number u64 | checksum 32 = SHA-256 of all before. [`Seen`], also in the key tree and in
//! the mirror's note: version u8 = 1 | next frame u64 | for the access tree and the subject tree: size u64, root 32.
//!
//! The position is in clear and says nothing that its files don't. It is not trusted about what the vault has done: for that
//! the vault compares the frames and the log with what it has [`Seen`].

use crate::log::{Log, LogError, Sizes};
use crate::vault::Tree;
use sha2::{Digest, Sha256};

const MAGIC: [u8; 8] = *b"SILHSHIP";
const VERSION: u16 = 1;
const SEEN_VERSION: u8 = 1;
/// Bytes of an encoded [`Seen`].
pub(super) const SEEN_BYTES: usize = 1 + 8 + 2 * (8 + 32);
/// Bytes of an encoded [`Position`].
pub(super) const POSITION_BYTES: usize = 8 + 2 + 16 + SEEN_BYTES + 3 * 8 + 32;

/// A moment of a vault: frames and leaves up to it were durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// One more than the last frame.
    pub next_seq: u64,
    /// Leaves of both trees.
    pub sizes: Sizes,
    /// Roots of the access tree and the subject tree at those sizes.
    pub roots: [[u8; 32]; 2],
}

/// What a target holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    /// Which vault's.
    pub identity: [u8; 16],
    /// Frames and leaves.
    pub seen: Seen,
    /// The segment that the last frame is in, and how many of its bytes count.
    pub segment: (u64, u64),
    /// Pieces in files of lower numbers were whole when this was written.
    pub next_file: u64,
}

impl Seen {
    /// Takes a moment whose frames are all durable.
    pub fn of(log: &Log, next_seq: u64, sizes: Sizes) -> Result<Self, LogError> {
        let roots = [log.root(Tree::Access, sizes.access)?, log.root(Tree::Subject, sizes.subject)?];
        Ok(Self { next_seq, sizes, roots })
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![SEEN_VERSION];
        out.extend_from_slice(&self.next_seq.to_le_bytes());
        for (size, root) in [self.sizes.access, self.sizes.subject].iter().zip(&self.roots) {
            out.extend_from_slice(&size.to_le_bytes());
            out.extend_from_slice(root);
        }
        out
    }

    /// Reads one back; `None` if the bytes are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let version = from.take::<1>()? == [SEEN_VERSION];
        let seen = Self::read(&mut from)?;
        (version && from.0.is_empty()).then_some(seen)
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let next_seq = from.u64()?;
        let (access, first) = (from.u64()?, from.take()?);
        let (subject, second) = (from.u64()?, from.take()?);
        Some(Self { next_seq, sizes: Sizes { access, subject }, roots: [first, second] })
    }
}

impl Position {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.identity);
        out.extend_from_slice(&self.seen.encode());
        for number in [self.segment.0, self.segment.1, self.next_file] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        Self::summed(out)
    }

    /// Adds the checksum.
    pub(super) fn summed(mut body: Vec<u8>) -> Vec<u8> {
        let checksum = Sha256::digest(&body);
        body.extend_from_slice(&checksum);
        body
    }

    /// Reads one back; the error says what is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        const SHORT: &str = "it is cut off";
        let (body, checksum) = bytes.split_last_chunk::<32>().ok_or(SHORT)?;
        let mut from = Reader(body);
        if from.take::<8>().ok_or(SHORT)? != MAGIC {
            return Err("it is no position of a backup");
        }
        if from.take::<2>().ok_or(SHORT)? != VERSION.to_le_bytes() {
            return Err("it is of a version this program does not know");
        }
        if bytes.len() != POSITION_BYTES || Sha256::digest(body).as_slice() != checksum {
            return Err("it does not match its checksum");
        }
        let identity = from.take().ok_or(SHORT)?;
        let seen = from.take::<SEEN_BYTES>().and_then(|seen| Seen::decode(&seen)).ok_or(SHORT)?;
        let segment = (from.u64().ok_or(SHORT)?, from.u64().ok_or(SHORT)?);
        Ok(Self { identity, seen, segment, next_file: from.u64().ok_or(SHORT)? })
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn position() -> Position {
        let sizes = Sizes { access: 3, subject: 4 };
        let seen = Seen { next_seq: 2, sizes, roots: [[0xaa; 32], [0xbb; 32]] };
        Position { identity: [0x11; 16], seen, segment: (5, 6), next_file: 7 }
    }

    #[test]
    fn the_bytes_of_a_position_are_frozen() {
        let hex: String = position().encode().iter().map(|byte| format!("{byte:02x}")).collect();
        let number = |n: u8| format!("{n:02x}00000000000000");
        let expected = "53494c48534849500100".to_owned()
            + &"11".repeat(16)
            + "01"
            + &number(2)
            + &number(3)
            + &"aa".repeat(32)
            + &number(4)
            + &"bb".repeat(32)
            + &number(5)
            + &number(6)
            + &number(7);
        assert_eq!(hex[..expected.len()], expected);
        assert_eq!(hex.len(), 2 * POSITION_BYTES);
        assert_eq!(Position::decode(&position().encode()).unwrap(), position());
    }

    #[test]
    fn a_position_that_is_cut_grown_or_changed_is_refused() {
        let bytes = position().encode();
        for length in 0..bytes.len() {
            assert!(Position::decode(&bytes[..length]).is_err(), "{length}");
        }
        assert!(Position::decode(&[&bytes[..], &[0]].concat()).is_err());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Position::decode(&changed).is_err(), "{at}");
        }
    }
}
