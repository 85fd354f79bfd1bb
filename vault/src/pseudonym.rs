//! What the vault derives from a subject's 32 hidden random bytes: a log reference, a body key, a bucket for each label of a
//! sample, and one pseudonym for each (partner, purpose, epoch).
//!
//! Guarantees: the values of two uses, or of two domains, can't be linked without the keys; destroying a domain's key
//! ends its pseudonyms; after the hidden bytes are erased nothing here can be computed again. A pseudonym names its
//! partner, so that one brought by another partner is refused by its form alone.
//!
//! Does not guarantee that rows can't be linked by their attributes, their order or their times: that is the
//! audience's work. Pseudonymised data is still personal data. A bucket is one of 10,000 and the same in every epoch: who
//! is told that somebody is in a sample learns that much, as with an attribute, and audiences count it so.
//!
//! ```text
//! derive(label)     HMAC-SHA-256(hidden bytes, label)
//! salt              HMAC-SHA-256(body key, index of the leaf, 8 bytes, most significant first)
//! bucket            10,000 x (HMAC-SHA-256(hidden bytes, "silhouette/subject/v1/sample/" | label), first 8 bytes, most
//!                   significant first) / 2^64, rounded down
//! pseudonym         "s1-" + base32(tag 2 | code 16 | check 2), 35 characters, RFC 4648 lower case without padding
//!   tag             SHA-256("silhouette/pseudonym/v1/partner" | partner), first 2 bytes
//!   code            HMAC-SHA-256(domain key, derive("silhouette/subject/v1/pseudonym")), first 16 bytes
//!   check           SHA-256("silhouette/pseudonym/v1/check" | tag | code), first 2 bytes
//! ```

use crate::keys::SecretKey;
use policy::id::{PartnerId, SampleLabel};
use policy::segment::SAMPLE_BUCKETS;
use ring::hmac;
use sha2::{Digest, Sha256};

/// Label of the reference that stands for a subject in leaves of the log.
const REFERENCE: &[u8] = b"silhouette/subject/v1/log-reference";
/// Label of the key that seals a subject's bodies.
const BODY: &[u8] = b"silhouette/subject/v1/body-key";
/// Label of the value that a domain's pseudonyms are computed from.
const PSEUDONYM: &[u8] = b"silhouette/subject/v1/pseudonym";
/// What the label of a sample comes after.
const SAMPLE: &[u8] = b"silhouette/subject/v1/sample/";
const PARTNER_TAG: &[u8] = b"silhouette/pseudonym/v1/partner";
const CHECK: &[u8] = b"silhouette/pseudonym/v1/check";

/// What every pseudonym of this version starts with.
const PREFIX: &str = "s1-";
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Why a text is not a pseudonym of this partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PseudonymError {
    /// It is not `s1-` and 32 characters of `a-z 2-7`.
    #[error("a pseudonym is `s1-` and 32 characters of a-z and 2-7")]
    Malformed,
    /// A character was changed or two were swapped.
    #[error("the pseudonym has a typing error")]
    Check,
    /// It was made for another partner.
    #[error("the pseudonym belongs to another partner")]
    OtherPartner,
}

/// Returns the 16 bytes that stand for a subject in the log's leaves.
pub fn subject_reference(hidden: &[u8; 32]) -> [u8; 16] {
    first_chunk(&derive(hidden, REFERENCE))
}

/// Returns the key that a subject's sealed bodies are under.
pub fn body_key(hidden: &[u8; 32]) -> SecretKey {
    SecretKey::from_bytes(derive(hidden, BODY))
}

/// Returns the salt of the commitment in one leaf of a subject's. Whoever is told it can open that commitment and no other.
pub fn commitment_salt(hidden: &[u8; 32], leaf: u64) -> [u8; 32] {
    derive(body_key(hidden).expose(), &leaf.to_be_bytes())
}

/// Returns a subject's pseudonym in the domain of one (partner, purpose, epoch), whose key is random and in the key tree.
pub fn pseudonym(domain: &SecretKey, hidden: &[u8; 32], partner: &PartnerId) -> String {
    let code = first_chunk(&derive(domain.expose(), &derive(hidden, PSEUDONYM)));
    let tag = tag(partner);
    let mut text = String::with_capacity(PREFIX.len() + 32);
    text.push_str(PREFIX);
    encode(&[&tag[..], &code, &check(tag, &code)].concat(), &mut text);
    text
}

/// Reads a pseudonym that a partner brought back and returns its 16-byte code, for comparison within that domain.
pub fn parse_pseudonym(text: &str, partner: &PartnerId) -> Result<[u8; 16], PseudonymError> {
    let bytes = text.strip_prefix(PREFIX).and_then(decode).ok_or(PseudonymError::Malformed)?;
    let (stated, rest) = bytes.split_first_chunk::<2>().ok_or(PseudonymError::Malformed)?;
    let (code, sum) = rest.split_first_chunk::<16>().ok_or(PseudonymError::Malformed)?;
    if sum != check(*stated, code) {
        return Err(PseudonymError::Check);
    }
    if *stated != tag(partner) {
        return Err(PseudonymError::OtherPartner);
    }
    Ok(*code)
}

/// Returns the bucket of a subject under a label, below [`SAMPLE_BUCKETS`].
pub fn sample_bucket(hidden: &[u8; 32], label: &SampleLabel) -> u16 {
    let drawn = u64::from_be_bytes(first_chunk(&derive(hidden, &[SAMPLE, label.as_str().as_bytes()].concat())));
    u16::try_from((u128::from(drawn) * u128::from(SAMPLE_BUCKETS)) >> 64).unwrap_or(0)
}

fn derive(key: &[u8; 32], label: &[u8]) -> [u8; 32] {
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), label);
    first_chunk(mac.as_ref())
}

fn tag(partner: &PartnerId) -> [u8; 2] {
    first_chunk(&Sha256::new().chain_update(PARTNER_TAG).chain_update(partner.as_str()).finalize())
}

fn check(tag: [u8; 2], code: &[u8; 16]) -> [u8; 2] {
    first_chunk(&Sha256::new().chain_update(CHECK).chain_update(tag).chain_update(code).finalize())
}

/// Takes the first bytes of a hash, which always has at least as many.
fn first_chunk<const N: usize>(hash: &[u8]) -> [u8; N] {
    let mut first = [0; N];
    first.iter_mut().zip(hash).for_each(|(to, from)| *to = *from);
    first
}

/// Appends base32, five bits a character, most significant first; whole groups of 5 bytes only.
fn encode(bytes: &[u8], to: &mut String) {
    for group in bytes.as_chunks::<5>().0 {
        let bits = group.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        let letter = |shift: u64| ALPHABET.get((bits >> shift & 31) as usize).map_or('a', |letter| char::from(*letter));
        to.extend((0..8).rev().map(|place| letter(place * 5)));
    }
}

/// Reads the base32 of 20 bytes; one text only stands for a value.
fn decode(text: &str) -> Option<[u8; 20]> {
    let letters: &[u8; 32] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 20];
    for (group, to) in letters.as_chunks::<8>().0.iter().zip(bytes.as_chunks_mut::<5>().0) {
        let mut bits = 0u64;
        for letter in group {
            let value = ALPHABET.iter().position(|candidate| candidate == letter)?;
            bits = bits << 5 | value as u64;
        }
        to.copy_from_slice(bits.to_be_bytes().last_chunk::<5>()?);
    }
    Some(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn hidden(number: u8) -> [u8; 32] {
        [number; 32]
    }

    fn partner(name: &str) -> PartnerId {
        PartnerId::new(name).unwrap()
    }

    fn domain(number: u8) -> SecretKey {
        SecretKey::from_bytes([number; 32])
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn derived_values_are_frozen() {
        assert_eq!(hex(&subject_reference(&hidden(1))), "bb1aa30cd79e10c9537f87aba5904c4c");
        assert_eq!(
            hex(body_key(&hidden(1)).expose()),
            "c162466cf5997a0e522d80dcd8458527dac00814cffc8a75f8bf8c59c453d805"
        );
        assert_eq!(pseudonym(&domain(2), &hidden(1), &partner("acme-crm")), "s1-6waz7xpr5zt2gxaz2z7mjzi2m45ltskf");
    }

    #[test]
    fn buckets_are_frozen_even_and_independent() {
        let label = |name| SampleLabel::new(name).unwrap();
        let (spring, autumn) = (label("spring-mail"), label("autumn-mail"));
        assert_eq!((sample_bucket(&hidden(1), &spring), sample_bucket(&hidden(1), &autumn)), (2560, 6060));
        let people = (0..20_000_u32).map(|number| {
            let mut hidden = [0; 32];
            hidden[..4].copy_from_slice(&number.to_be_bytes());
            (sample_bucket(&hidden, &spring) < 5_000, sample_bucket(&hidden, &autumn) < 5_000)
        });
        let mut counts = [0; 4];
        people.for_each(|(a, b)| counts[usize::from(a) * 2 + usize::from(b)] += 1);
        // A quarter is 5,000 of them; the standard deviation is 61.
        assert!(counts.iter().all(|count| (4_600..5_400).contains(count)), "{counts:?}");
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        let mut text = String::new();
        encode(b"fooba", &mut text);
        assert_eq!(text, "mzxw6ytb");
    }

    #[test]
    fn no_two_domains_partners_or_subjects_share_a_pseudonym() {
        let mut seen = BTreeSet::new();
        let mut codes = BTreeSet::new();
        for (key, subject) in (0..20).flat_map(|key| (0..20).map(move |subject| (key, subject))) {
            let name = partner("acme-crm");
            let text = pseudonym(&domain(key), &hidden(subject), &name);
            codes.insert(parse_pseudonym(&text, &name).unwrap());
            seen.insert(text);
        }
        assert_eq!((seen.len(), codes.len()), (400, 400));
    }

    #[test]
    fn a_pseudonym_of_another_partner_is_refused_by_its_form() {
        let text = pseudonym(&domain(1), &hidden(1), &partner("acme-crm"));
        assert_eq!(parse_pseudonym(&text, &partner("other-crm")), Err(PseudonymError::OtherPartner));
    }

    #[test]
    fn typing_errors_are_found() {
        let name = partner("acme-crm");
        let text = pseudonym(&domain(1), &hidden(1), &name);
        let mut missed = 0;
        for at in 3..text.len() {
            for letter in ALPHABET {
                let mut typed = text.clone().into_bytes();
                if typed[at] == *letter {
                    continue;
                }
                typed[at] = *letter;
                missed += usize::from(parse_pseudonym(&String::from_utf8(typed).unwrap(), &name).is_ok());
            }
        }
        assert_eq!(missed, 0);
        for bad in
            ["", "s1-", &text[1..], &text[..34], &format!("{text}a"), &text.to_uppercase(), &text.replace("s1", "s2")]
        {
            assert_eq!(parse_pseudonym(bad, &name), Err(PseudonymError::Malformed), "{bad}");
        }
    }
}
