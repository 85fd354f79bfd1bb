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
#[path = "../verify/proof.rs"]
mod proof;

pub use consent::FORMAT as CONSENT_RECEIPTS;
pub use erasure::FORMAT as ERASURE_RECEIPT;
pub use note::{Head, VerifierKey};

/// Checks a signed checkpoint of either tree.
pub fn head(checkpoint: &str, key: &VerifierKey) -> Result<Head, String> {
    key.for_origin(note::origin(checkpoint)).open(checkpoint)
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
#[derive(Debug, Default)]
pub struct Leaves {
    range: merkle::Range,
    count: u64,
}

impl Leaves {
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
        self.count += 1;
        Ok(())
    }

    /// Checks that these are exactly the leaves that the checkpoint signs.
    pub fn check(&self, head: &Head) -> Result<(), String> {
        if self.count != head.size {
            return Err(format!("{} has {} leaves, the gateway handed out {}", head.origin, head.size, self.count));
        }
        let holds = self.range.root() == head.root;
        if holds { Ok(()) } else { Err(format!("the leaves of {} are not those that were signed", head.origin)) }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn three() -> Leaves {
        let mut leaves = Leaves::default();
        for (index, leaf) in ["a", "b", "c"].iter().enumerate() {
            leaves.push(index as u64, leaf.as_bytes()).unwrap();
        }
        leaves
    }

    #[test]
    fn leaves_must_be_all_of_them_in_order_and_unchanged() {
        let root = three().range.root();
        let head = |size| Head { origin: "log/access".into(), size, root };
        assert_eq!(three().check(&head(3)), Ok(()));
        assert!(three().check(&head(4)).unwrap_err().contains("4 leaves"));
        assert!(three().push(4, b"e").unwrap_err().contains("leaf 3 is missing"));
        let mut changed = Leaves::default();
        for (index, leaf) in ["a", "B", "c"].iter().enumerate() {
            changed.push(index as u64, leaf.as_bytes()).unwrap();
        }
        assert!(changed.check(&head(3)).unwrap_err().contains("not those that were signed"));
    }
}
