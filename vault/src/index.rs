//! Subject key -> ordinal, in memory only, under a key drawn at every start.
//!
//! Built at open from the sealed key columns and journals, so an old copy of the folder cannot even tell membership.
//! Holds 96-bit keyed tags, never a key: about 20 bytes a subject. Two of 10 M subjects share a tag with probability
//! under 1e-15.

use crate::keys::{RandomUnavailable, random_bytes};
use hashbrown::HashTable;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;
use zeroize::Zeroize;

#[derive(Clone, Copy)]
struct Entry {
    high: u64,
    low: u32,
    ordinal: u32,
}

/// The index of one dataset.
pub struct Index {
    key: [u8; 16],
    table: HashTable<Entry>,
}

/// A subject key's tag under one index's key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    high: u64,
    low: u32,
}

impl Index {
    /// Makes an empty index under a fresh key.
    pub fn new() -> Result<Self, RandomUnavailable> {
        let mut key = [0; 16];
        random_bytes(&mut key)?;
        Ok(Self { key, table: HashTable::new() })
    }

    /// Makes room for `more` subjects at once.
    pub fn reserve(&mut self, more: usize) {
        self.table.reserve(more, |entry| entry.high);
    }

    /// Returns a key's tag. About 30 ns.
    #[expect(clippy::cast_possible_truncation, reason = "96 of the 128 bits are kept")]
    pub fn tag(&self, subject_key: &[u8]) -> Tag {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(subject_key);
        let hash = hasher.finish128();
        Tag { high: hash.h1, low: hash.h2 as u32 }
    }

    /// Finds a subject.
    pub fn find(&self, tag: Tag) -> Option<u32> {
        self.table.find(tag.high, |e| e.high == tag.high && e.low == tag.low).map(|e| e.ordinal)
    }

    /// Adds a subject that is not in the index yet.
    pub fn insert(&mut self, tag: Tag, ordinal: u32) {
        self.table.insert_unique(tag.high, Entry { high: tag.high, low: tag.low, ordinal }, |e| e.high);
    }

    /// Forgets a subject; whoever comes with the same key later is someone new.
    pub fn remove(&mut self, tag: Tag) {
        if let Ok(entry) = self.table.find_entry(tag.high, |e| e.high == tag.high && e.low == tag.low) {
            entry.remove();
        }
    }

    /// Forgets some ordinals. Walks the whole index.
    pub fn remove_ordinals(&mut self, gone: impl Fn(u32) -> bool) {
        self.table.retain(|entry| !gone(entry.ordinal));
    }

    /// Counts subjects.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Says whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Index(..)")
    }
}
