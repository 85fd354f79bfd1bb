//! Signed notes (C2SP signed-note, Ed25519, signature type 0x01) and checkpoints (C2SP tlog-checkpoint).

use crate::keys::SecretKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha256};

/// First line of what is signed to announce a key; then the tree's origin, the key so far and the next one in base64, a line
/// each. No checkpoint begins so: an origin has no spaces.
const ANNOUNCEMENT: &str = "silhouette log key 1";

/// Signature type of Ed25519 notes.
const ED25519_TYPE: u8 = 0x01;

/// Signs notes under one name. The key stays inside.
pub(super) struct Signer {
    name: String,
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.name)
    }
}

impl Signer {
    /// Builds a signer; `None` if the name is no note key name.
    pub(super) fn new(name: &str, seed: &SecretKey) -> Option<Self> {
        let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if name.is_empty() || name.contains(bad) {
            return None;
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).ok()?;
        Some(Self { name: name.to_owned(), pair })
    }

    /// Returns the public key.
    pub(super) fn public(&self) -> [u8; 32] {
        // Ed25519 public keys have 32 bytes.
        self.pair.public_key().as_ref().first_chunk().copied().unwrap_or_default()
    }

    fn key_id(&self) -> [u8; 4] {
        key_id(&self.name, &self.public())
    }

    /// Returns the verifier key text: name, key id, key.
    pub(super) fn vkey(&self) -> String {
        let id = u32::from_be_bytes(self.key_id());
        format!("{}+{id:08x}+{}", self.name, STANDARD.encode(typed(&self.public())))
    }

    /// Signs the announcement of the key that takes over.
    pub(super) fn announce(&self, next: &[u8; 32]) -> Option<[u8; 64]> {
        let (old, next) = (STANDARD.encode(self.public()), STANDARD.encode(next));
        let text = format!("{ANNOUNCEMENT}\n{}\n{old}\n{next}\n", self.name);
        self.pair.sign(text.as_bytes()).as_ref().try_into().ok()
    }

    /// Signs a note text that ends in a newline.
    pub(super) fn sign(&self, text: &str) -> String {
        let mut signature = self.key_id().to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n\u{2014} {} {}\n", self.name, STANDARD.encode(signature))
    }

    /// Returns the text of a note if this key signed it.
    pub(super) fn open<'a>(&self, note: &'a str) -> Option<&'a str> {
        open_signed(&self.name, &self.public(), note)
    }
}

fn typed(public: &[u8; 32]) -> Vec<u8> {
    let mut key = vec![ED25519_TYPE];
    key.extend_from_slice(public);
    key
}

fn key_id(name: &str, public: &[u8; 32]) -> [u8; 4] {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    hash.update(b"\n");
    hash.update(typed(public));
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// Returns the text of a note if this key signed it under this name.
pub(super) fn open_signed<'a>(name: &str, public: &[u8; 32], note: &'a str) -> Option<&'a str> {
    let (text, signatures) = note.rsplit_once("\n\n")?;
    let text = note.get(..text.len().saturating_add(1))?;
    let prefix = format!("\u{2014} {name} ");
    signatures.lines().filter_map(|line| line.strip_prefix(&prefix)).find_map(|signature| {
        let bytes = STANDARD.decode(signature).ok()?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        if *id != key_id(name, public) {
            return None;
        }
        UnparsedPublicKey::new(&ED25519, public).verify(text.as_bytes(), signature).ok()?;
        Some(text)
    })
}

/// A tree head: which log, how many leaves, which root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub origin: String,
    pub size: u64,
    pub root: [u8; 32],
}

impl Head {
    pub(super) fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads a text back; only the exact form [`Head::text`] writes is accepted.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let root = STANDARD.decode(root).ok()?;
        let head = Self { origin: origin.to_owned(), size: size.parse().ok()?, root: root.try_into().ok()? };
        (head.text() == text).then_some(head)
    }
}
