//! Remembers, in tests, what was sealed under which key and nonce, wherever it happened and whether or not it was written.
//!
//! Everything of one test process is gathered: a repeat anywhere is a fault. Keys of one repeated byte are left out, since
//! tests choose those and use them twice.

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::LazyLock;

type Short = [u8; 16];

#[derive(Debug, Default)]
struct Seals {
    /// What was sealed, by key and nonce.
    seen: HashMap<Short, Short>,
    repeats: Vec<String>,
}

static SEALS: LazyLock<Mutex<Seals>> = LazyLock::new(Mutex::default);

/// What was sealed so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// Pairs of a key and a nonce.
    pub(crate) pairs: usize,
    /// Pairs that sealed two different things, named by who sealed the second.
    pub(crate) repeats: Vec<String>,
}

fn short(parts: &[&[u8]]) -> Short {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}

impl Seals {
    fn note(&mut self, by: &str, (key, nonce): (&[u8; 32], &[u8; 12]), aad: &[u8], plain: &[u8]) {
        if key.iter().all(|byte| Some(byte) == key.first()) {
            return;
        }
        let content = short(&[aad, plain]);
        match self.seen.entry(short(&[key, nonce])) {
            Entry::Vacant(new) => drop(new.insert(content)),
            Entry::Occupied(known) if *known.get() == content => {}
            Entry::Occupied(_) => self.repeats.push(format!("{by}, nonce {nonce:02x?}")),
        }
    }
}

/// Notes one seal.
pub(crate) fn sealed(by: &str, key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], plain: &[u8]) {
    SEALS.lock().note(by, (key, nonce), aad, plain);
}

/// Returns what was sealed so far.
pub(crate) fn report() -> Report {
    let seals = SEALS.lock();
    Report { pairs: seals.seen.len(), repeats: seals.repeats.clone() }
}

#[test]
fn a_nonce_used_twice_under_one_key_is_noticed() {
    let mut seals = Seals::default();
    let mut key = [7; 32];
    key[31] = 8;
    for (nonce, text) in [(1, "one"), (1, "one"), (2, "two")] {
        seals.note("a test", (&key, &[nonce; 12]), b"", text.as_bytes());
    }
    assert_eq!((seals.seen.len(), seals.repeats.len()), (2, 0));
    seals.note("a test", (&key, &[1; 12]), b"", b"three");
    seals.note("a test", (&[7; 32], &[1; 12]), b"", b"four");
    assert_eq!((seals.seen.len(), seals.repeats.len()), (2, 1));
}
