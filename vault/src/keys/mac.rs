//! A keyed checksum: HMAC-SHA256 (RFC 2104) under a key that is used for nothing else.
//!
//! Guarantees that nobody without the key can make or change what carries a tag. Hides nothing, and whoever learns the key
//! can read nothing with it. ring's own copy of the key is not wiped on drop.

use super::SecretKey;
use ring::hmac;
use subtle::ConstantTimeEq as _;

/// Bytes of a tag.
const MAC_BYTES: usize = 32;

/// A key ready for making and checking tags.
pub(crate) struct Mac(hmac::Key);

impl Mac {
    /// Prepares a key.
    pub(crate) fn new(key: &SecretKey) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
    }

    /// Makes the tag of runs of bytes, one after the other; callers see to it that no other runs join to the same bytes.
    pub(crate) fn tag(&self, runs: &[&[u8]]) -> [u8; MAC_BYTES] {
        let mut context = hmac::Context::with_key(&self.0);
        runs.iter().for_each(|run| context.update(run));
        // SHA-256 has 32 bytes; a shorter tag would never check.
        context.sign().as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// Says whether a tag is that of these runs, in constant time.
    pub(crate) fn checks(&self, runs: &[&[u8]], tag: &[u8]) -> bool {
        self.tag(runs).as_slice().ct_eq(tag).into()
    }
}

impl std::fmt::Debug for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mac(..)")
    }
}

/// RFC 4231, test case 2.
#[cfg(test)]
#[test]
fn a_tag_is_that_of_the_standard() {
    let mut key = [0; 32];
    key.iter_mut().zip(b"Jefe").for_each(|(to, from)| *to = *from);
    let mac = Mac::new(&SecretKey::from_bytes(key));
    // HMAC pads a short key with zeros, so the 32 bytes are the key of the test case.
    let tag = mac.tag(&[b"what do ya want ".as_slice(), b"for nothing?".as_slice()]);
    let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert!(mac.checks(&[b"what do ya want for nothing?".as_slice()], &tag) && !mac.checks(&[], &tag));
}
