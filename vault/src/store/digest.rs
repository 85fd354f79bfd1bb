//! A digest of a set of (key, value) pairs that a put or a remove updates in place.
//!
//! The sum modulo 2^256 of one keyed hash a pair: SHA-256(digest key | key length | value length | key | value). The
//! order of writes does not matter, and equal content has an equal digest. The hash is keyed, since rows whose unkeyed
//! hashes sum to a chosen value can be searched for; without the key nobody can swap rows and keep the sum.

use crate::keys::SecretKey;
use sha2::Digest as _;

/// A count and a sum of all pairs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest {
    /// Pairs.
    pub count: u64,
    /// Sum of their hashes, little-endian.
    pub hash: [u8; 32],
}

impl Digest {
    /// Bytes of the stored form.
    pub const ENCODED: usize = 40;

    /// Writes count and hash, little-endian, for a record beside the applied position.
    pub fn to_bytes(self) -> [u8; Self::ENCODED] {
        let mut bytes = [0; Self::ENCODED];
        let (count, hash) = bytes.split_at_mut(8);
        count.copy_from_slice(&self.count.to_le_bytes());
        hash.copy_from_slice(&self.hash);
        bytes
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: &[u8; Self::ENCODED]) -> Self {
        let (count, hash) = bytes.split_at(8);
        Self {
            count: count.first_chunk().map_or(0, |count| u64::from_le_bytes(*count)),
            hash: hash.first_chunk().copied().unwrap_or_default(),
        }
    }

    pub(super) fn add(&mut self, pair: [u8; 32]) {
        self.count = self.count.wrapping_add(1);
        let mut carry = 0;
        for (sum, byte) in self.hash.iter_mut().zip(pair) {
            let total = u16::from(*sum) + u16::from(byte) + carry;
            *sum = (total & 0xff) as u8;
            carry = total >> 8;
        }
    }

    pub(super) fn subtract(&mut self, pair: [u8; 32]) {
        self.count = self.count.wrapping_sub(1);
        let mut borrow = 0;
        for (sum, byte) in self.hash.iter_mut().zip(pair) {
            let total = 0x100 + u16::from(*sum) - u16::from(byte) - borrow;
            *sum = (total & 0xff) as u8;
            borrow = 1 - (total >> 8);
        }
    }
}

/// The key that pairs are hashed under: one random secret a database, kept in the key tree.
#[derive(Debug, Clone)]
pub struct DigestKey(SecretKey);

impl DigestKey {
    /// Takes the secret over.
    pub fn new(key: SecretKey) -> Self {
        Self(key)
    }

    pub(super) fn pair(&self, key: &[u8], value: &[u8]) -> [u8; 32] {
        let mut hash = sha2::Sha256::new();
        hash.update(self.0.expose());
        hash.update((key.len() as u64).to_le_bytes());
        hash.update((value.len() as u64).to_le_bytes());
        hash.update(key);
        hash.update(value);
        hash.finalize().into()
    }
}
