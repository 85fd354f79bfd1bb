//! RFC 6962 hashing and proof checking, bottom up and without recursion.

use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Hashes an entry.
pub fn leaf(entry: &[u8]) -> Hash {
    let mut hash = Sha256::new_with_prefix([0x00]);
    hash.update(entry);
    hash.finalize().into()
}

/// Hashes two neighbors.
pub fn parent(left: &Hash, right: &Hash) -> Hash {
    let mut hash = Sha256::new_with_prefix([0x01]);
    hash.update(left);
    hash.update(right);
    hash.finalize().into()
}

/// A growing tree that remembers only its complete subtrees, widest first.
#[derive(Debug, Default, Clone)]
pub struct Range {
    subtrees: Vec<(u32, Hash)>,
}

impl Range {
    /// Adds a hash on the right.
    pub fn push(&mut self, hash: Hash) {
        let mut new = (0, hash);
        while let Some((height, left)) = self.subtrees.pop_if(|(height, _)| *height == new.0) {
            new = (height.saturating_add(1), parent(&left, &new.1));
        }
        self.subtrees.push(new);
    }

    /// Computes the root.
    pub fn root(&self) -> Hash {
        let mut subtrees = self.subtrees.iter().rev().map(|(_, hash)| *hash);
        let last = subtrees.next().unwrap_or_else(|| Sha256::digest([]).into());
        subtrees.fold(last, |right, left| parent(&left, &right))
    }
}

/// Computes the root that an inclusion proof leads to (RFC 9162 section 2.1.3.2); `None` if it has the wrong length.
pub fn root_from_path(index: u64, size: u64, entry: Hash, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, entry);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if at % 2 == 1 || at == last {
            hash = parent(sibling, &hash);
            while at.is_multiple_of(2) && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = parent(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some(hash)
}
