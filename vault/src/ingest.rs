//! What a producer writes: profiles, events and consents, already typed and checked against the schema.

use policy::consent::ConsentEvent;
use policy::schema::{ColumnId, EventTypeId};
use policy::time::Timestamp;
use zeroize::Zeroize;

/// A subject's key as the producer knows it (the value of the schema's `subject_key`). Redacted, wiped on drop.
#[derive(Clone, PartialEq, Eq, Hash, Zeroize, zeroize::ZeroizeOnDrop)]
pub struct SubjectKey(Vec<u8>);

impl SubjectKey {
    /// Takes the value's UTF-8 bytes, 1-255.
    pub fn new(value: &str) -> Option<Self> {
        (1..=255).contains(&value.len()).then(|| Self(value.as_bytes().to_vec()))
    }

    /// Shows the bytes.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubjectKey(..)")
    }
}

/// A typed value of a field, as stored. Redacted, wiped on drop.
#[derive(Clone, PartialEq, Eq, Zeroize, zeroize::ZeroizeOnDrop)]
pub enum Value {
    /// Explicitly missing: clears an earlier value.
    Missing,
    /// A dictionary code, 1-based.
    Code(u16),
    /// An integer, a decimal in units, or a day.
    Int(i64),
    /// An identifier's bytes.
    Bytes(Vec<u8>),
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Value(..)")
    }
}

/// One record.
#[derive(Debug, Clone)]
pub enum Record {
    /// Sets the named attributes of a subject, leaves the others; creates the subject if new.
    Profile {
        /// Who.
        subject: SubjectKey,
        /// Which attributes; the subject key itself need not be among them.
        values: Vec<(ColumnId, Value)>,
    },
    /// Adds an event; the same id again for the same subject changes nothing.
    Event {
        /// Who; created if new.
        subject: SubjectKey,
        /// Which type.
        event: EventTypeId,
        /// Hash of source, key and occurrence number.
        id: u64,
        /// When.
        at: Timestamp,
        /// One value for each field of the type, in column order.
        values: Vec<Value>,
    },
    /// A consent event given at collection.
    Consent {
        /// Who; created if new.
        subject: SubjectKey,
        /// What.
        consent: ConsentEvent,
    },
}

/// Counts of one acknowledged batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Profiles written.
    pub profiles: u64,
    /// Events written, repeats included: repeats are folded away later.
    pub events: u64,
    /// Consent events written.
    pub consents: u64,
    /// Index of the leaf in the access tree.
    pub leaf: u64,
}
