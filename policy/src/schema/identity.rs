//! Kinds of identifiers that name people besides the subject key: `[[identities]]`.
//!
//! A person known by an identifier of one of these kinds is a subject of their own, with nothing in common with one known
//! by another, until the two are linked. Kinds are numbered in the order of the description, which only grows at its end.
//!
//! Does not: say that two identifiers are of one person. Only a link does, which both sides agreed to.

use crate::id::FieldName;
use serde::{Deserialize, Serialize};

/// Most kinds of a dataset.
pub(super) const MAX_IDENTITIES: usize = 32;
/// Longest identifier of one of these kinds: a key has 255 bytes, two of which say the kind.
pub(super) const MAX_IDENTITY_BYTES: u8 = 253;

/// A kind of identifier, `[[identities]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its name, unique among the dataset's attributes, events and identities: `visitor`.
    pub name: FieldName,
    /// The words a person sees.
    pub display: String,
    /// Longest allowed value in bytes of UTF-8, 1-253.
    pub max_bytes: u8,
}

/// The number of a kind: 0 is the subject key, `n` the n-th of the dataset's identities. Appended, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdentityKind(pub u8);

impl IdentityKind {
    /// The subject key.
    pub const SUBJECT_KEY: Self = Self(0);
}
