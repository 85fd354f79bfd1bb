//! The permanent log: two RFC 6962 trees, the access tree and the subject tree, as C2SP tiles with signed checkpoints.
//!
//! Two, because whoever asks is shown indexes of the access tree: decisions on questions, charges, policies, tokens, keys,
//! epochs. What people do, or have done for them, makes no leaf there, so that no index counts it: rows, consent, requests,
//! erasures, folds, what retention removes, and the calls of producers and portals are in the subject tree.
//!
//! Guarantees: a checkpoint signed once is never contradicted by a later one; what it covers was on disk, read back and
//! hashed again before it was signed; what is read from files is checked against the signed root, so damage is an error that
//! names the file. Folder: `access/` and `subject/`, each `checkpoint`, `tile/...` (C2SP tlog-tiles). Both trees are signed
//! with one key under the names `<origin>/access` and `<origin>/subject`, which are also their origins. The key may change:
//! a leaf in each tree announces the next one, signed with the one so far, and every checkpoint that covers that leaf is
//! signed with the next one.
//!
//! Appends are in memory: the write-ahead log holds the leaves until [`Log::persist`] has put them here, and only leaves that
//! are durable there may be persisted, else a crash could take back what was signed. After an open, hand every replayed
//! frame to [`Log::replay`].
//!
//! Does not: keep a rollback of the whole folder from going unseen (witnesses and holders of checkpoints see it); prove that
//! something was *not* logged.

#[cfg(feature = "test-util")]
pub(crate) mod decoders;
mod explain;
mod leaf;
mod mend;
mod merkle;
mod note;
mod proof;
mod ship;
mod tiles;
mod tree;

pub use explain::explain;
pub use leaf::{Decision, FieldPath, Kind, Leaf, LeafError, Word};
pub(crate) use mend::mend;
pub(crate) use ship::{Copy, Signed};

use crate::disk::Disk;
use crate::keys::SecretKey;
use crate::vault::Tree;
use note::Signer;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tree::{Retired, TreeLog};

/// Longest leaf, in bytes.
pub const MAX_LEAF: usize = tree::MAX_LEAF;

/// Sizes of both trees, in leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// Of the access tree.
    pub access: u64,
    /// Of the subject tree.
    pub subject: u64,
}

impl Sizes {
    /// Returns the size of one tree.
    pub fn of(self, tree: Tree) -> u64 {
        match tree {
            Tree::Access => self.access,
            Tree::Subject => self.subject,
        }
    }
}

/// Why the log did not do it. Messages name files, trees and indexes, never contents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// A stored file does not verify.
    #[error("{file} is damaged: {problem}")]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// A leaf differs from the one that was signed at its index.
    #[error("{origin}: leaf {index} contradicts what was signed")]
    Inconsistent {
        /// Which tree.
        origin: String,
        /// Which leaf.
        index: u64,
    },
    /// An index or size beyond the tree, or beyond what is signed.
    #[error("index {index} is beyond a tree of {size} leaves")]
    OutOfRange {
        /// What was asked for.
        index: u64,
        /// What there is.
        size: u64,
    },
    /// A leaf longer than [`MAX_LEAF`].
    #[error("a leaf of {bytes} bytes is too long")]
    LeafTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The origin can't name a key: empty, or with spaces or `+`.
    #[error("a log's origin is non-empty, without spaces and `+`")]
    BadOrigin,
    /// A thread that syncs files ended without a result.
    #[error("a thread that writes the log died")]
    SyncerDied,
    /// The operating system refused.
    #[error("can't {doing} {file}: {problem}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        file: PathBuf,
        /// What it said.
        problem: String,
    },
}

impl LogError {
    fn damaged(file: &Path, problem: &'static str) -> Self {
        Self::Damaged { file: file.to_owned(), problem }
    }

    fn io(doing: &'static str, file: &Path, error: &std::io::Error) -> Self {
        Self::Io { doing, file: file.to_owned(), problem: error.to_string() }
    }
}

/// A key that signed checkpoints until another took over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredKey {
    /// The Ed25519 public key; the private one is destroyed.
    pub public: [u8; 32],
    /// Indexes of the leaves that announced the next key.
    pub until: Sizes,
}

/// What announces the key that signs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Its Ed25519 public key.
    pub public: [u8; 32],
    /// Signature of the key so far, for the leaf of the access tree.
    pub access: [u8; 64],
    /// The same for the subject tree.
    pub subject: [u8; 64],
}

fn name(tree: Tree) -> &'static str {
    match tree {
        Tree::Access => "access",
        Tree::Subject => "subject",
    }
}

/// The two trees. All methods take `&self`; appends and reads go on during a persist.
pub struct Log {
    access: TreeLog,
    subject: TreeLog,
    origin: String,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("sizes", &self.sizes()).finish_non_exhaustive()
    }
}

impl Log {
    /// Opens the log in `dir`, or begins it with checkpoints of two empty trees. Checks both checkpoints' signatures, and
    /// the right edge of each tree against them; older files are checked when they are read. A checkpoint may be one of a
    /// key that was retired since, if it covers less than what announced the next.
    pub fn open(
        disk: &Disk,
        dir: &Path,
        origin: &str,
        signing_seed: &SecretKey,
        retired: &[RetiredKey],
    ) -> Result<Self, LogError> {
        let open = |tree: Tree| {
            let name = name(tree);
            let origin = format!("{origin}/{name}");
            let signer = Signer::new(&origin, signing_seed).ok_or(LogError::BadOrigin)?;
            let of_tree = |key: &RetiredKey| Retired { public: key.public, until: key.until.of(tree) };
            let retired: Vec<Retired> = retired.iter().map(of_tree).collect();
            TreeLog::open(tiles::Place::new(disk, dir), dir.join(name), signer, &retired, origin)
        };
        if origin.is_empty() {
            return Err(LogError::BadOrigin);
        }
        let (access, subject) = (open(Tree::Access)?, open(Tree::Subject)?);
        Ok(Self { access, subject, origin: origin.to_owned() })
    }

    /// Returns the public key that signs checkpoints.
    pub fn public_key(&self) -> [u8; 32] {
        self.access.public()
    }

    /// Returns the public key of another seed, and for each tree what its leaf must carry to announce it.
    pub fn announcement(&self, next: &SecretKey) -> Result<Announcement, LogError> {
        let public = Signer::new(&self.origin, next).ok_or(LogError::BadOrigin)?.public();
        let sign = |tree: Tree| self.tree(tree).announce(&public).ok_or(LogError::BadOrigin);
        Ok(Announcement { public, access: sign(Tree::Access)?, subject: sign(Tree::Subject)? })
    }

    /// Lets another key sign every checkpoint that covers the leaves that announce it, at these indexes; both must be durable
    /// in the write-ahead log, and no checkpoint may cover them yet.
    pub fn hand_over(&self, next: &SecretKey, announced_at: Sizes) -> Result<(), LogError> {
        for tree in [Tree::Access, Tree::Subject] {
            let signer = Signer::new(&format!("{}/{}", self.origin, name(tree)), next).ok_or(LogError::BadOrigin)?;
            self.tree(tree).hand_over(signer, announced_at.of(tree));
        }
        Ok(())
    }

    fn tree(&self, tree: Tree) -> &TreeLog {
        match tree {
            Tree::Access => &self.access,
            Tree::Subject => &self.subject,
        }
    }

    /// Appends a leaf in memory and returns its index. Call in write-ahead order, under the lock that orders commits.
    pub fn append(&self, tree: Tree, leaf: Vec<u8>) -> Result<u64, LogError> {
        self.tree(tree).append(leaf)
    }

    /// Takes the leaves of a replayed frame: those the log holds must be equal to them, the others are appended.
    pub fn replay(&self, before: Sizes, leaves: &[(Tree, Vec<u8>)]) -> Result<(), LogError> {
        let mut next = before;
        for (tree, leaf) in leaves {
            self.append_replayed(*tree, next.of(*tree), leaf)?;
            match tree {
                Tree::Access => next.access = next.access.saturating_add(1),
                Tree::Subject => next.subject = next.subject.saturating_add(1),
            }
        }
        Ok(())
    }

    /// Takes one replayed leaf at its index: compared if the log holds it, appended if it is the next one, else
    /// [`LogError::OutOfRange`].
    pub fn append_replayed(&self, tree: Tree, index: u64, leaf: &[u8]) -> Result<(), LogError> {
        self.tree(tree).append_replayed(index, leaf)
    }

    /// Returns the sizes of both trees, with what is only in memory. Under the commit lock, this is what a frame states as
    /// `before`.
    pub fn sizes(&self) -> Sizes {
        Sizes { access: self.access.size(), subject: self.subject.size() }
    }

    /// Returns the number of leaves of a tree, with what is only in memory.
    pub fn size(&self, tree: Tree) -> u64 {
        self.tree(tree).size()
    }

    /// Returns the number of leaves on disk and under a signed checkpoint.
    pub fn persisted_size(&self, tree: Tree) -> u64 {
        self.tree(tree).persisted_size()
    }

    /// Writes and signs the leaves below `durable`, the sizes at a moment whose frames have since become durable in the
    /// write-ahead log: take [`Log::sizes`] under the commit lock, wait for the frames, then call this. Trees without new
    /// leaves cost nothing. On an error nothing was signed, and it may be tried again.
    pub fn persist(&self, durable: Sizes) -> Result<(), LogError> {
        self.access.persist(durable.access)?;
        self.subject.persist(durable.subject)
    }

    /// Returns the bytes of a leaf.
    pub fn leaf(&self, tree: Tree, index: u64) -> Result<Arc<[u8]>, LogError> {
        let leaves = self.tree(tree).leaves_from(index)?;
        leaves.into_iter().next().ok_or(LogError::OutOfRange { index, size: self.size(tree) })
    }

    /// Reads the leaves from `start` up to, not including, `end` (cut at the tree's size), with their indexes. Ends after
    /// the first error.
    pub fn scan(&self, tree: Tree, start: u64, end: u64) -> Scan<'_> {
        let end = end.min(self.size(tree));
        Scan { tree: self.tree(tree), next: start, end, ready: Vec::new().into_iter() }
    }

    /// Computes the root of the first `size` leaves.
    pub fn root(&self, tree: Tree, size: u64) -> Result<[u8; 32], LogError> {
        self.tree(tree).root(size)
    }

    /// Returns the newest signed checkpoint.
    pub fn checkpoint_text(&self, tree: Tree) -> String {
        self.tree(tree).signed().1.as_ref().to_owned()
    }

    /// Returns the path from a leaf to the root of the first `size` leaves, sibling first.
    pub fn inclusion_proof(&self, tree: Tree, index: u64, size: u64) -> Result<Vec<[u8; 32]>, LogError> {
        self.tree(tree).inclusion(index, size)
    }

    /// Returns the proof that the first `old` leaves are a prefix of the first `new`; empty when `old` is 0 or `new`.
    pub fn consistency_proof(&self, tree: Tree, old: u64, new: u64) -> Result<Vec<[u8; 32]>, LogError> {
        self.tree(tree).consistency(old, new)
    }

    /// Returns the C2SP tlog-proof of a leaf under the newest checkpoint; persist first if the leaf is newer.
    pub fn tlog_proof(&self, tree: Tree, index: u64) -> Result<String, LogError> {
        self.tree(tree).tlog_proof(index)
    }

    /// Returns the verifier key of a tree (C2SP signed-note vkey). Both trees have one public key under two names.
    pub fn vkey(&self, tree: Tree) -> String {
        self.tree(tree).vkey()
    }
}

/// The leaves of a range, with their indexes.
pub struct Scan<'a> {
    tree: &'a TreeLog,
    next: u64,
    end: u64,
    ready: std::vec::IntoIter<Arc<[u8]>>,
}

impl std::fmt::Debug for Scan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan").field("next", &self.next).field("end", &self.end).finish_non_exhaustive()
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<(u64, Arc<[u8]>), LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        if self.ready.len() == 0 {
            match self.tree.leaves_from(self.next) {
                Ok(leaves) => self.ready = leaves.into_iter(),
                Err(error) => {
                    self.end = 0;
                    return Some(Err(error));
                }
            }
        }
        let leaf = self.ready.next()?;
        let index = self.next;
        self.next = index.saturating_add(1);
        Some(Ok((index, leaf)))
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests")]
pub(crate) mod judge;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod leaf_tests;
