//! The root cell: one file, two slots, 32 random bytes a generation.
//!
//! ```text
//! slot 0 at 0, slot 1 at 4096, each:  magic "SILHROOT" | version u16 = 1 | lock u16 | generation u64 | body
//!                                     | checksum 32 = SHA-256 of all bytes before | zeros to 4096
//! body of lock 0, none:               key 32
//! body of lock 1, passphrase:         memory KiB u32 | passes u32 | lanes u32 | salt 16 | wraps u64 | seal salt 32
//!                                     | commitment 16 | sealed key 48
//! ```
//! Little-endian; other locks get other numbers. Lock 1: W = Argon2id 1.3 (passphrase, salt, at the stated cost); the key is
//! sealed with AES-256-GCM under HKDF-SHA256(W, seal salt), nonce zero, AAD all bytes of the slot before it. The seal salt is
//! fresh for every root; `wraps` counts the roots under W. The commitment, HKDF under a label of its own, tells another
//! passphrase from damage, which the checksum finds first.
//! At rest both slots hold the same generation, so that one damaged slot is survived. A switch writes the new generation
//! to slot 0, syncs, then to slot 1, syncs: each slot is a sector of its own, and one of them is whole at every instant.

use super::codec::Reader;
use super::lock::{Shut, Unlocking, Wrap, Wrapped};
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
const LOCK_PASSPHRASE: u16 = 1;
const CHECKSUM_BYTES: usize = 32;

/// One generation's root.
#[derive(Debug, Clone)]
pub(super) struct Root {
    pub(super) generation: u64,
    pub(super) key: SecretKey,
    /// How its slots hold it.
    pub(super) wrap: Wrap,
}

fn head(lock: u16, generation: u64) -> Vec<u8> {
    [&MAGIC[..], &VERSION.to_le_bytes(), &lock.to_le_bytes(), &generation.to_le_bytes()].concat()
}

impl Root {
    /// Returns what is authenticated with a sealed key: its slot so far.
    pub(super) fn sealed_head(generation: u64, wrapped: &Wrapped) -> Vec<u8> {
        [head(LOCK_PASSPHRASE, generation), wrapped.fields()].concat()
    }

    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut slot = Zeroizing::new(Vec::with_capacity(SLOT_BYTES));
        match &self.wrap {
            Wrap::None => {
                slot.extend_from_slice(&head(LOCK_NONE, self.generation));
                slot.extend_from_slice(self.key.expose());
            }
            Wrap::Passphrase(wrapped) => {
                slot.extend_from_slice(&Self::sealed_head(self.generation, wrapped));
                slot.extend_from_slice(&wrapped.sealed);
            }
        }
        let checksum = Sha256::digest(slot.as_slice());
        slot.extend_from_slice(&checksum);
        slot.resize(SLOT_BYTES, 0);
        slot
    }

    /// Reads a slot and opens its lock.
    pub(super) fn decode(slot: &[u8], unlocking: &mut Unlocking<'_>) -> Result<Self, Shut> {
        let (generation, body) = read(slot).map_err(Shut::Damaged)?;
        match body {
            Body::Clear(key) => Ok(Self { generation, key, wrap: Wrap::None }),
            Body::Sealed(wrapped) => {
                let key = unlocking.open(generation, &wrapped)?;
                Ok(Self { generation, key, wrap: Wrap::Passphrase(*wrapped) })
            }
        }
    }
}

/// A slot's content after its generation.
enum Body {
    Clear(SecretKey),
    Sealed(Box<Wrapped>),
}

/// Reads a slot; the error says what is wrong with it.
fn read(slot: &[u8]) -> Result<(u64, Body), &'static str> {
    const SHORT: &str = "is cut off";
    const UNKNOWN: &str = "is of a version this program does not know";
    if slot.len() != SLOT_BYTES {
        return Err(SHORT);
    }
    let mut from = Reader::new(slot);
    if from.take::<8>().ok_or(SHORT)? != MAGIC {
        return Err("is not a root slot");
    }
    if from.u16().ok_or(SHORT)? != VERSION {
        return Err(UNKNOWN);
    }
    let lock = from.u16().ok_or(SHORT)?;
    let generation = from.u64().ok_or(SHORT)?;
    let body = match lock {
        LOCK_NONE => Body::Clear(SecretKey::from_bytes(from.take().ok_or(SHORT)?)),
        LOCK_PASSPHRASE => Body::Sealed(Box::new(Wrapped::read(&mut from).ok_or(SHORT)?)),
        _ => return Err(UNKNOWN),
    };
    let summed = slot.len().checked_sub(from.left()).and_then(|end| slot.get(..end)).ok_or(SHORT)?;
    let checksum = from.take::<CHECKSUM_BYTES>().ok_or(SHORT)?;
    if Sha256::digest(summed).as_slice() != checksum.as_slice() {
        return Err("does not match its checksum");
    }
    Ok((generation, body))
}
