//! Leaves as a gateway hands them out, and the keys that they announce.

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
