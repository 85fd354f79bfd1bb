//! AES-256-GCM under one key, with the nonce named by the caller.
//!
//! Guarantees authenticity and secrecy as long as the caller never repeats a nonce under one key; every user states
//! beside its call why its nonces are unique. Counts what it seals, and refuses past its limit. ring's own key schedule is
//! not wiped on drop.

use super::SecretKey;
use super::limits::{Limit, OPENS_ONLY, UsedUp, Uses};
use parking_lot::Mutex;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Bytes that a seal adds: the authentication tag.
pub const TAG_BYTES: usize = 16;

/// A sealed part could not be opened, or could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The cipher refused.
    #[error("a sealed part did not open: wrong key, place or bytes")]
    Cipher,
    /// The key may seal no more.
    #[error(transparent)]
    UsedUp(#[from] UsedUp),
}

/// A key ready for sealing and opening.
pub struct Sealer {
    key: LessSafeKey,
    uses: Mutex<Uses>,
    #[cfg(test)]
    witness: SecretKey,
}

impl Sealer {
    /// Prepares a fresh key that has sealed nothing yet. Cost: one key schedule, about 160 ns.
    pub fn new(key: &SecretKey, limit: Limit) -> Result<Self, SealError> {
        let scheduled = UnboundKey::new(&AES_256_GCM, key.expose()).map_err(|_| SealError::Cipher)?;
        Ok(Self {
            key: LessSafeKey::new(scheduled),
            uses: Mutex::new(Uses::of(limit)),
            #[cfg(test)]
            witness: key.clone(),
        })
    }

    /// Prepares a key that may have sealed before: it only opens.
    pub fn opener(key: &SecretKey) -> Result<Self, SealError> {
        Self::new(key, OPENS_ONLY)
    }

    /// Says whether the key may seal one more message of this length.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.uses.lock().has_room(bytes)
    }

    /// Seals in place and appends the tag. `nonce` must never repeat under this key. Past the key's limit nothing is sealed.
    pub fn seal(&self, nonce: [u8; 12], aad: &[u8], bytes: &mut Vec<u8>) -> Result<(), SealError> {
        self.uses.lock().take(bytes.len())?;
        #[cfg(test)]
        super::witness::sealed("a journal", self.witness.expose(), &nonce, aad, bytes);
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), bytes)
            .map_err(|_| SealError::Cipher)
    }

    #[cfg(test)]
    pub(crate) fn lower(&self, limit: Limit) {
        self.uses.lock().lower(limit);
    }

    /// Opens in place and cuts the tag off.
    pub fn open(&self, nonce: [u8; 12], aad: &[u8], bytes: &mut Vec<u8>) -> Result<(), SealError> {
        let length = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), bytes)
            .map_err(|_| SealError::Cipher)?
            .len();
        bytes.truncate(length);
        Ok(())
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(..)")
    }
}
