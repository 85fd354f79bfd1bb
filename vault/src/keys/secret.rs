//! A raw 256-bit key that redacts itself and is wiped when dropped.

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The operating system gave no randomness; nothing is sealed without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system's random generator failed")]
pub struct RandomUnavailable;

/// A raw 256-bit key. No `Debug` of its bytes, no `Copy`, no `PartialEq`; wiped on drop.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// Draws a fresh key from the operating system.
    pub fn random() -> Result<Self, RandomUnavailable> {
        let mut key = Self([0; 32]);
        SystemRandom::new().fill(&mut key.0).map_err(|_| RandomUnavailable)?;
        Ok(key)
    }

    /// Takes key bytes over.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Shows the bytes, to seal, open or derive with.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// Fills `bytes` from the operating system.
pub fn random_bytes(bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
    SystemRandom::new().fill(bytes).map_err(|_| RandomUnavailable)
}
