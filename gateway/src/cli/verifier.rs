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
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use sha2::{Digest, Sha256};

    const NAME: &str = "log/access";

    fn pair(seed: u8) -> (Ed25519KeyPair, VerifierKey) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let public: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
        let typed = [&[1][..], &public].concat();
        let digest = Sha256::new().chain_update(NAME).chain_update(b"\n").chain_update(&typed).finalize();
        let id: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        (pair, VerifierKey::parse(&format!("{NAME}+{id}+{}", STANDARD.encode(typed))).unwrap())
    }

    fn signed((pair, key): &(Ed25519KeyPair, VerifierKey), leaves: &Leaves) -> (String, Head) {
        let head = Head { origin: NAME.into(), size: leaves.count, root: leaves.range.root() };
        let text = format!("{NAME}\n{}\n{}\n", head.size, STANDARD.encode(head.root));
        let signature = [&key.id().to_be_bytes()[..], pair.sign(text.as_bytes()).as_ref()].concat();
        (format!("{text}\n\u{2014} {NAME} {}\n", STANDARD.encode(signature)), head)
    }

    fn leaves(all: &[&str]) -> Leaves {
        let mut leaves = Leaves::of(NAME, &pair(7).1);
        for (index, leaf) in all.iter().enumerate() {
            leaves.push(index as u64, leaf.as_bytes()).unwrap();
        }
        leaves
    }

    #[test]
    fn leaves_must_be_all_of_them_in_order_and_unchanged() {
        let (note, head) = signed(&pair(7), &leaves(&["a", "b", "c"]));
        assert_eq!(super::head(&note, &pair(7).1), Ok(head.clone()));
        assert_eq!(leaves(&["a", "b", "c"]).check(&head, &note), Ok(()));
        assert!(leaves(&["a", "b"]).check(&head, &note).unwrap_err().contains("3 leaves"));
        assert!(leaves(&["a", "b", "c"]).push(4, b"e").unwrap_err().contains("leaf 3 is missing"));
        assert!(leaves(&["a", "B", "c"]).check(&head, &note).unwrap_err().contains("not those that were signed"));
    }

    #[test]
    fn the_key_that_must_have_signed_is_the_one_that_the_leaves_announce() {
        let (old, new) = (pair(7), pair(8));
        let announce = |by: &Ed25519KeyPair| {
            let (from, to) = (old.0.public_key().as_ref(), new.0.public_key().as_ref());
            let text = format!("silhouette log key 1\n{NAME}\n{}\n{}\n", STANDARD.encode(from), STANDARD.encode(to));
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let signature = by.sign(text.as_bytes());
            format!(r#"{{"key":"{}","kind":"key","signature":"{}"}}"#, hex(to), hex(signature.as_ref()))
        };
        let good = announce(&old.0);
        let all = leaves(&["a", &good, "b"]);
        assert_eq!(all.key(), &new.1);
        let (note, head) = signed(&new, &all);
        assert_eq!(super::head(&note, &old.1), Ok(head.clone()), "not verified yet");
        assert_eq!(all.check(&head, &note), Ok(()));
        let (stale, head) = signed(&old, &all);
        assert!(all.check(&head, &stale).is_err(), "the old key signs no more");
        let forged = announce(&new.0);
        let all = leaves(&["a", &forged]);
        assert_eq!(all.key(), &old.1, "nobody announces itself");
        let (note, head) = signed(&new, &all);
        assert!(all.check(&head, &note).is_err());
    }
}
