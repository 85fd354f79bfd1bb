//! AES-256-GCM vectors of project Wycheproof, for every place that seals and opens: the journals' sealer and the pages'
//! body here, the chunks of pieces beside them.

use super::page::{open_body, seal_body};
use super::{Sealer, SecretKey};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    source: String,
    tests: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    tc_id: u32,
    key: String,
    iv: String,
    aad: String,
    msg: String,
    ct: String,
    tag: String,
    result: String,
}

/// One vector.
pub(crate) struct Vector {
    /// Its number.
    pub(crate) id: u32,
    /// The key.
    pub(crate) key: SecretKey,
    /// The nonce.
    pub(crate) nonce: [u8; 12],
    /// Additional data.
    pub(crate) aad: Vec<u8>,
    /// The plaintext.
    pub(crate) plain: Vec<u8>,
    /// Ciphertext and tag.
    pub(crate) sealed: Vec<u8>,
    /// Whether it must open.
    pub(crate) valid: bool,
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

/// All vectors with a key of 256 and a nonce of 96 bits.
pub(crate) fn vectors() -> Vec<Vector> {
    let file = include_str!("../../../tests/golden/wycheproof_aes_256_gcm.json");
    let file: File = serde_json::from_str(file).unwrap();
    assert!(file.source.contains("C2SP/wycheproof"));
    let vector = |test: Written| Vector {
        id: test.tc_id,
        key: SecretKey::from_bytes(bytes(&test.key).try_into().unwrap()),
        nonce: bytes(&test.iv).try_into().unwrap(),
        aad: bytes(&test.aad),
        plain: bytes(&test.msg),
        sealed: [bytes(&test.ct), bytes(&test.tag)].concat(),
        valid: test.result == "valid",
    };
    let vectors: Vec<Vector> = file.tests.into_iter().map(vector).collect();
    assert_eq!((vectors.len(), vectors.iter().filter(|vector| vector.valid).count()), (66, 39));
    vectors
}

/// Holds all vectors against one seal and open: `None` where a seal or a tag is refused.
#[track_caller]
pub(crate) fn check(
    seal: impl Fn(&Vector, Vec<u8>) -> Option<Vec<u8>>,
    open: impl Fn(&Vector, Vec<u8>) -> Option<Vec<u8>>,
) {
    for vector in vectors() {
        let opened = open(&vector, vector.sealed.clone());
        if vector.valid {
            assert_eq!(opened.as_deref(), Some(&*vector.plain), "vector {}", vector.id);
            assert_eq!(seal(&vector, vector.plain.clone()).as_deref(), Some(&*vector.sealed), "vector {}", vector.id);
        } else {
            assert_eq!(opened, None, "vector {}", vector.id);
        }
    }
}

#[test]
fn the_sealer_of_journals_agrees_with_all_vectors() {
    let with = |vector: &Vector| Sealer::new(&vector.key, super::limits::JOURNAL).unwrap();
    check(
        |vector, mut bytes| with(vector).seal(vector.nonce, &vector.aad, &mut bytes).ok().map(|()| bytes),
        |vector, mut bytes| with(vector).open(vector.nonce, &vector.aad, &mut bytes).ok().map(|()| bytes),
    );
}

#[test]
fn the_bodies_of_key_pages_agree_with_all_vectors() {
    check(
        |vector, mut bytes| seal_body(&vector.key, vector.nonce, &vector.aad, &mut bytes).ok().map(|()| bytes),
        |vector, mut bytes| open_body(&vector.key, vector.nonce, &vector.aad, &mut bytes).ok().map(|()| bytes),
    );
}
