//! The second lock: what seals the root, so that its medium alone opens nothing.
//!
//! Without one, whoever reads the root cell has the root of its time. With a passphrase the cell holds every root sealed
//! under a key that Argon2id derives from it, and that exists in memory alone: derived once at opening, wiped at the end.
//! Every commit of the key tree seals a fresh root, each under a key of its own that is derived for this one seal.
//!
//! Guarantees: a wrong passphrase is told from damage; another lock is in force from the commit that sets it, whose root the
//! old one does not open. Does not: make a weak passphrase strong. Whoever has the cell can try passphrases at the cost that
//! is stated in it, and a copy of the cell from before a change still yields to the passphrase of its time.
//!
//! A lock in a key management service or a TPM would be another variant here and another number in the slot. It needs: a
//! wrapping key that the device releases once at opening (a commit can't wait for a network, and replaces the root tens of
//! times a day); room in the slot for what the device sealed it into; and errors that tell "not allowed" and "not reachable"
//! from damage. It must be able to destroy a wrapping key at once, else an old copy of the cell opens until it has: AWS KMS
//! takes seven days.

use super::cell::Root;
use super::codec::Reader;
use super::derive::derive_key;
use super::error::KeysError;
use super::limits::{PAGE, Uses};
use super::page::{open_body, seal_body};
use super::secret::{RandomUnavailable, SecretKey, random_bytes};
use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// HKDF label of the key that seals one root.
const SEAL_LABEL: &[u8] = b"silhouette/keys/v1/root-seal";
/// HKDF label of the commitment beside a sealed root: GCM alone does not commit to its key.
const COMMIT_LABEL: &[u8] = b"silhouette/keys/v1/root-commitment";
/// The one nonce: every seal has a key of its own.
const NONCE: [u8; 12] = [0; 12];
const TAG_BYTES: usize = 16;

/// Most roots sealed under one derivation of a passphrase. Each has its own salt of 32 bytes, so this is no limit of the
/// cipher; a vault that commits once a second would take a century.
pub const MAX_WRAPS: u64 = 1 << 32;

/// Fewest bytes of a passphrase that is set.
pub const MIN_PASSPHRASE: usize = 12;
/// Most bytes of a passphrase.
pub const MAX_PASSPHRASE: usize = 1024;

/// What deriving a key from a passphrase costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    /// Memory in KiB.
    pub(super) memory: u32,
    /// Passes over it.
    pub(super) passes: u32,
    /// Lanes of it.
    pub(super) lanes: u32,
}

impl Cost {
    /// The second recommendation of RFC 9106, for machines without 2 GiB to spare: 64 MiB, three passes, four lanes. Above
    /// what OWASP asks of a log-in (19 MiB, two passes), since here one derivation a start is all that is ever paid.
    const RECOMMENDED: Self = Self { memory: 64 << 10, passes: 3, lanes: 4 };
    /// The most that a cell may ask of whoever opens it: a damaged number must not take all memory.
    const MOST: Self = Self { memory: 1 << 20, passes: 16, lanes: 64 };

    fn is_bearable(self) -> bool {
        self.memory <= Self::MOST.memory && self.passes <= Self::MOST.passes && self.lanes <= Self::MOST.lanes
    }
}

/// A passphrase. No `Debug` of its bytes, no `PartialEq`; wiped on drop.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Passphrase {
    bytes: Vec<u8>,
    #[zeroize(skip)]
    cost: Cost,
}

/// A passphrase that can't be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a passphrase has {MIN_PASSPHRASE}-{MAX_PASSPHRASE} bytes, on one line")]
pub struct BadPassphrase;

impl Passphrase {
    /// Takes a passphrase over; one line end after it is not part of it.
    pub fn new(mut bytes: Zeroizing<Vec<u8>>) -> Result<Self, BadPassphrase> {
        for end in [b'\n', b'\r'] {
            if bytes.last() == Some(&end) {
                bytes.pop();
            }
        }
        let one_line = !bytes.iter().any(|byte| [b'\n', b'\r', 0].contains(byte));
        if !one_line || !(MIN_PASSPHRASE..=MAX_PASSPHRASE).contains(&bytes.len()) {
            return Err(BadPassphrase);
        }
        Ok(Self { bytes: std::mem::take(&mut bytes), cost: Cost::RECOMMENDED })
    }

    /// A passphrase that is derived from at next to no cost.
    #[cfg(test)]
    pub(crate) fn cheap(text: &str) -> Self {
        Self { bytes: text.as_bytes().to_vec(), cost: Cost { memory: 64, passes: 1, lanes: 1 } }
    }

    fn derive(&self, salt: &[u8; 16], cost: Cost) -> Result<SecretKey, KeysError> {
        let mut key = Zeroizing::new([0; 32]);
        let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(32)).map_err(|_| KeysError::Cost)?;
        let derived = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(
            &self.bytes,
            salt,
            key.as_mut_slice(),
        );
        derived.map_err(|_| KeysError::Cost)?;
        Ok(SecretKey::from_bytes(*key))
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// The second lock of a root cell, as whoever opens or sets it gives it.
#[derive(Debug, Clone, Default)]
pub enum SecondLock {
    /// None: the root is in its cell as it is.
    #[default]
    None,
    /// A passphrase.
    Passphrase(Passphrase),
}

/// How a slot holds its root: what of the lock is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wrap {
    /// As it is.
    None,
    /// Sealed.
    Passphrase(Wrapped),
}

/// A root that is sealed under a passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrapped {
    pub(super) cost: Cost,
    /// Salt of the passphrase.
    pub(super) salt: [u8; 16],
    /// How many roots were sealed under this derivation, this one included.
    pub(super) wraps: u64,
    /// Salt of this seal.
    pub(super) seal_salt: [u8; 32],
    pub(super) commitment: [u8; 16],
    pub(super) sealed: [u8; 32 + TAG_BYTES],
}

impl Wrapped {
    /// Bytes before the sealed key, which are authenticated with it: without the slot's head.
    pub(super) fn fields(&self) -> Vec<u8> {
        let Self { cost: Cost { memory, passes, lanes }, salt, wraps, seal_salt, commitment, sealed: _ } = self;
        let mut fields = [memory, passes, lanes].map(|number| number.to_le_bytes()).concat();
        fields.extend_from_slice(salt);
        fields.extend_from_slice(&wraps.to_le_bytes());
        fields.extend_from_slice(seal_salt);
        fields.extend_from_slice(commitment);
        fields
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let cost = Cost { memory: from.u32()?, passes: from.u32()?, lanes: from.u32()? };
        let (salt, wraps, seal_salt) = (from.take()?, from.u64()?, from.take()?);
        Some(Self { cost, salt, wraps, seal_salt, commitment: from.take()?, sealed: from.take()? })
    }
}

/// A lock that is open: it seals the roots to come.
#[derive(Debug)]
pub(super) enum OpenLock {
    None,
    Passphrase(Derived),
}

/// What was derived from a passphrase.
#[derive(Debug)]
pub(super) struct Derived {
    cost: Cost,
    salt: [u8; 16],
    key: SecretKey,
    wraps: u64,
}

impl Derived {
    fn commitment(&self, seal_salt: &[u8; 32]) -> Result<[u8; 16], RandomUnavailable> {
        let derived = derive_key(self.key.expose(), seal_salt, COMMIT_LABEL)?;
        derived.expose().first_chunk().copied().ok_or(RandomUnavailable)
    }
}

impl OpenLock {
    /// Makes a lock that was not in use before.
    pub(super) fn fresh(lock: &SecondLock) -> Result<Self, KeysError> {
        let mut salt = [0; 16];
        random_bytes(&mut salt)?;
        Self::with_salt(lock, salt)
    }

    /// Makes a lock under a given salt, which should never be used twice.
    pub(super) fn with_salt(lock: &SecondLock, salt: [u8; 16]) -> Result<Self, KeysError> {
        let SecondLock::Passphrase(passphrase) = lock else { return Ok(Self::None) };
        let key = passphrase.derive(&salt, passphrase.cost)?;
        Ok(Self::Passphrase(Derived { cost: passphrase.cost, salt, key, wraps: 0 }))
    }

    /// Draws the root of a generation, sealed as it will be written.
    pub(super) fn draw(&mut self, generation: u64) -> Result<Root, KeysError> {
        self.seal(generation, SecretKey::random()?, *SecretKey::random()?.expose())
    }

    /// Seals a root under a given salt, which must never be used twice.
    pub(super) fn seal(&mut self, generation: u64, key: SecretKey, seal_salt: [u8; 32]) -> Result<Root, KeysError> {
        let Self::Passphrase(derived) = self else { return Ok(Root { generation, key, wrap: Wrap::None }) };
        if derived.wraps >= MAX_WRAPS {
            return Err(KeysError::LockUsedUp);
        }
        derived.wraps += 1;
        let mut wrapped = Wrapped {
            cost: derived.cost,
            salt: derived.salt,
            wraps: derived.wraps,
            seal_salt,
            commitment: derived.commitment(&seal_salt)?,
            sealed: [0; 32 + TAG_BYTES],
        };
        let aad = Root::sealed_head(generation, &wrapped);
        let seal_key = derive_key(derived.key.expose(), &seal_salt, SEAL_LABEL)?;
        let mut body = Zeroizing::new(Vec::with_capacity(wrapped.sealed.len()));
        body.extend_from_slice(key.expose());
        Uses::of(PAGE).take(body.len()).map_err(|_| KeysError::LockUsedUp)?;
        #[cfg(test)]
        super::witness::sealed("a root", seal_key.expose(), &NONCE, &aad, &body);
        seal_body(&seal_key, NONCE, &aad, &mut body).map_err(|_| KeysError::LockUsedUp)?;
        wrapped.sealed = body.as_slice().try_into().map_err(|_| KeysError::LockUsedUp)?;
        Ok(Root { generation, key, wrap: Wrap::Passphrase(wrapped) })
    }
}

/// Opens the slots of one cell: both are mostly under one derivation, which is paid once.
#[derive(Debug)]
pub(super) struct Unlocking<'a> {
    lock: &'a SecondLock,
    derived: Vec<Derived>,
}

/// Why a sealed root was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shut {
    /// No passphrase was given.
    NoPassphrase,
    /// Another passphrase seals it.
    WrongPassphrase,
    /// The slot is damaged: what is wrong with it.
    Damaged(&'static str),
}

impl<'a> Unlocking<'a> {
    pub(super) fn new(lock: &'a SecondLock) -> Self {
        Self { lock, derived: Vec::new() }
    }

    /// Opens a sealed root.
    pub(super) fn open(&mut self, generation: u64, wrapped: &Wrapped) -> Result<SecretKey, Shut> {
        let SecondLock::Passphrase(passphrase) = self.lock else { return Err(Shut::NoPassphrase) };
        const FAILED: Shut = Shut::Damaged("could not be opened");
        if !wrapped.cost.is_bearable() {
            return Err(Shut::Damaged("is locked at a cost that no lock has"));
        }
        let known = |derived: &Derived| (derived.cost, derived.salt) == (wrapped.cost, wrapped.salt);
        if !self.derived.iter().any(known) {
            let key = passphrase.derive(&wrapped.salt, wrapped.cost).map_err(|_| FAILED)?;
            self.derived.push(Derived { cost: wrapped.cost, salt: wrapped.salt, key, wraps: 0 });
        }
        let derived = self.derived.iter_mut().find(|derived| known(derived)).ok_or(FAILED)?;
        let expected = derived.commitment(&wrapped.seal_salt).map_err(|_| FAILED)?;
        if !bool::from(expected.ct_eq(&wrapped.commitment)) {
            return Err(Shut::WrongPassphrase);
        }
        let seal_key = derive_key(derived.key.expose(), &wrapped.seal_salt, SEAL_LABEL).map_err(|_| FAILED)?;
        let mut body = Zeroizing::new(wrapped.sealed.to_vec());
        let aad = Root::sealed_head(generation, wrapped);
        open_body(&seal_key, NONCE, &aad, &mut body).map_err(|_| Shut::Damaged("does not open"))?;
        derived.wraps = derived.wraps.max(wrapped.wraps);
        body.as_slice().try_into().map(SecretKey::from_bytes).map_err(|_| FAILED)
    }

    /// Returns the lock that a root was under, to seal the next ones.
    pub(super) fn finish(self, wrap: &Wrap) -> Result<OpenLock, KeysError> {
        let Wrap::Passphrase(wrapped) = wrap else {
            return match self.lock {
                SecondLock::None => Ok(OpenLock::None),
                SecondLock::Passphrase(_) => Err(KeysError::NotLocked),
            };
        };
        let known = |derived: &Derived| (derived.cost, derived.salt) == (wrapped.cost, wrapped.salt);
        self.derived.into_iter().find(known).map(OpenLock::Passphrase).ok_or(KeysError::Locked)
    }
}
