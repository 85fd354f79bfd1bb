//! RFC 6962 tree hashing over SHA-256.

use sha2::{Digest, Sha256};

/// A node's or leaf's hash.
pub(super) type Hash = [u8; 32];

/// Hashes a leaf's bytes.
pub(super) fn leaf_hash(leaf: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(leaf);
    hash.finalize().into()
}

/// Hashes two children.
pub(super) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hash = Sha256::new();
    hash.update([1]);
    hash.update(left);
    hash.update(right);
    hash.finalize().into()
}

/// Hashes the empty tree.
pub(super) fn empty_hash() -> Hash {
    Sha256::digest([]).into()
}

/// Hashes a complete subtree from the hashes at its bottom; `None` unless their number is a power of two.
pub(super) fn complete_hash(hashes: &[Hash]) -> Option<Hash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level.chunks_exact(2).filter_map(|pair| Some(node_hash(pair.first()?, pair.last()?))).collect();
    }
    level.pop()
}
