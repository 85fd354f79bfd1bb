//! What an import yields: records in the types of the schema, each with the row it came from.

use policy::consent::ConsentEvent;
use policy::schema::{ColumnId, EventTypeId, IdentityKind};
use policy::time::Timestamp;
use zeroize::Zeroizing;

/// A subject's key. Redacted, wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject(Zeroizing<String>);

impl Subject {
    /// Takes a key of 1-255 bytes of UTF-8; `None` for another length.
    pub fn new(key: String) -> Option<Self> {
        (1..=255).contains(&key.len()).then(|| Self(Zeroizing::new(key)))
    }

    /// Shows the key, to put it on the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subject(..)")
    }
}

/// A value in the stored form of its field. Redacted; identifiers are wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Explicitly missing.
    Missing,
    /// A dictionary code, 1-based.
    Code(u16),
    /// An integer, a decimal in units, or a day since 1970-01-01.
    Int(i64),
    /// An identifier's bytes.
    Bytes(Zeroizing<Vec<u8>>),
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Value(..)")
    }
}

/// The row a record came from: 1-based line on which the row starts. 0 for generated records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line(pub u64);

/// One record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where it came from.
    pub line: Line,
    /// Whom it is about.
    pub subject: Subject,
    /// What it says.
    pub body: Body,
}

/// What a record says.
#[derive(Debug, Clone)]
pub enum Body {
    /// Sets attributes: one value for each of the batch's [`Batch::attributes`], in that order.
    Profile(Vec<Value>),
    /// Adds an event; the same id for the same subject again changes nothing.
    Event {
        /// Which type.
        event: EventTypeId,
        /// Hash of source, key and occurrence number.
        id: u64,
        /// When.
        at: Timestamp,
        /// One value for each field of the type, in column order.
        values: Vec<Value>,
    },
    /// A consent event.
    Consent(ConsentEvent),
}

/// Records that share one order of attributes.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Of which kind the subjects' keys are.
    pub identity: IdentityKind,
    /// The attributes that every profile of this batch sets, in order.
    pub attributes: Vec<ColumnId>,
    /// The records, in file order.
    pub records: Vec<Record>,
}
