//! Checking the log from the command line, leaf by leaf as the gateway hands it out.
//!
//! The same sources as the offline verifier `silhouette-verify`, compiled here a second time: what checks shares no code
//! with what writes.

#[path = "../verify/consent.rs"]
mod consent;
#[path = "../verify/document.rs"]
mod document;
#[path = "../verify/erasure.rs"]
mod erasure;
#[path = "../verify/merkle.rs"]
mod merkle;
#[path = "../verify/note.rs"]
mod note;
#[path = "../verify/once.rs"]
mod once;
#[path = "../verify/proof.rs"]
mod proof;

pub use consent::FORMAT as CONSENT_RECEIPTS;
pub use erasure::FORMAT as ERASURE_RECEIPT;
pub use note::{Head, VerifierKey};

/// Reads a signed checkpoint of either tree, and verifies it if this key signed it; else [`Leaves::check`] does, by the key
/// that the leaves announce.
pub fn head(checkpoint: &str, key: &VerifierKey) -> Result<Head, String> {
    let key = key.for_origin(note::origin(checkpoint));
    if key.is_named_in(checkpoint) { key.open(checkpoint) } else { note::stated(checkpoint) }
}

/// Checks a proof that `leaf` is in the log; says what holds.
pub fn proof(text: &str, key: &VerifierKey, leaf: &str) -> Result<String, String> {
    proof::check(text, key, Some(leaf.as_bytes()))
}

/// Checks the receipt of an erasure; says what holds.
pub fn erasure_receipt(text: &str, key: &VerifierKey) -> Result<String, String> {
    erasure::check(text, key)
}

/// Checks consent receipts; says what holds.
pub fn consent_receipts(text: &str, key: &VerifierKey) -> Result<String, String> {
    consent::check(text, key)
}

/// Leaves of one tree, from the first on, hashed as they come.
#[derive(Debug)]
pub struct Leaves {
    range: merkle::Range,
    count: u64,
    /// The key that signs checkpoints of the leaves so far.
    key: VerifierKey,
}

impl Leaves {
    /// Begins with a key that signed this tree's checkpoint once.
    pub fn of(checkpoint: &str, key: &VerifierKey) -> Self {
        Self { range: merkle::Range::default(), count: 0, key: key.for_origin(note::origin(checkpoint)) }
    }

    /// Returns the key that signs now.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Returns how many there are so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Takes the next leaf; `index` is what the gateway calls it.
    pub fn push(&mut self, index: u64, leaf: &[u8]) -> Result<(), String> {
        if index != self.count {
            return Err(format!("leaf {} is missing; the gateway sent leaf {index}", self.count));
        }
        self.range.push(merkle::leaf(leaf));
        if let Some(next) = self.key.announced(leaf) {
            self.key = next;
        }
        self.count += 1;
        Ok(())
    }

    /// Checks that these are exactly the leaves that the checkpoint signs, and that it is signed with the key that they say.
    pub fn check(&self, head: &Head, checkpoint: &str) -> Result<(), String> {
        if self.count != head.size {
            return Err(format!("{} has {} leaves, the gateway handed out {}", head.origin, head.size, self.count));
        }
        if self.range.root() != head.root {
            return Err(format!("the leaves of {} are not those that were signed", head.origin));
        }
        self.key.open(checkpoint).map(drop)
    }
}

#[cfg(test)]
#[path = "../verify/leaves_tests.rs"]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
