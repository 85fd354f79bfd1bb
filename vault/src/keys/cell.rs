//! The root cell: one file, two slots, 32 random bytes a generation.
//!
//! ```text
//! slot 0 at 0, slot 1 at 4096, each:  magic "SILHROOT" | version u16 = 1 | lock u16 = 0 | generation u64 | key 32
//!                                     | checksum 32 = SHA-256 of the 52 bytes before | zeros to 4096
//! ```
//! Little-endian. `lock` 0: the key is stored as it is; other numbers are for a second lock (passphrase, KMS, TPM).
//! At rest both slots hold the same generation, so that one damaged slot is survived. A switch writes the new generation
//! to slot 0, syncs, then to slot 1, syncs: each slot is a sector of its own, and one of them is whole at every instant.

use super::codec::Reader;
use super::secret::SecretKey;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The cell's file in the root folder.
pub(super) const CELL_FILE: &str = "root.cell";
/// Bytes of the cell.
pub(super) const CELL_BYTES: usize = 2 * SLOT_BYTES;
/// Bytes of a slot: a page of the disk, so that writing one can't tear the other.
pub(super) const SLOT_BYTES: usize = 4096;

const MAGIC: [u8; 8] = *b"SILHROOT";
const VERSION: u16 = 1;
const LOCK_NONE: u16 = 0;

/// One generation's root.
#[derive(Debug, Clone)]
pub(super) struct Root {
    pub(super) generation: u64,
    pub(super) key: SecretKey,
}

impl Root {
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut slot = Zeroizing::new(Vec::with_capacity(SLOT_BYTES));
        slot.extend_from_slice(&MAGIC);
        slot.extend_from_slice(&VERSION.to_le_bytes());
        slot.extend_from_slice(&LOCK_NONE.to_le_bytes());
        slot.extend_from_slice(&self.generation.to_le_bytes());
        slot.extend_from_slice(self.key.expose());
        let checksum = Sha256::digest(slot.as_slice());
        slot.extend_from_slice(&checksum);
        slot.resize(SLOT_BYTES, 0);
        slot
    }

    /// Reads a slot; the error says what is wrong with it.
    pub(super) fn decode(slot: &[u8]) -> Result<Self, &'static str> {
        const SHORT: &str = "is cut off";
        if slot.len() != SLOT_BYTES {
            return Err(SHORT);
        }
        let mut from = Reader::new(slot);
        if from.take::<8>().ok_or(SHORT)? != MAGIC {
            return Err("is not a root slot");
        }
        if from.u16().ok_or(SHORT)? != VERSION || from.u16().ok_or(SHORT)? != LOCK_NONE {
            return Err("is of a version this program does not know");
        }
        let root = Self { generation: from.u64().ok_or(SHORT)?, key: SecretKey::from_bytes(from.take().ok_or(SHORT)?) };
        let checksum = from.take::<32>().ok_or(SHORT)?;
        let summed = slot.get(..52).ok_or(SHORT)?;
        if Sha256::digest(summed).as_slice() != checksum.as_slice() {
            return Err("does not match its checksum");
        }
        Ok(root)
    }
}
