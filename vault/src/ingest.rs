//! What a producer writes: profiles, events and consents, already typed and checked against the schema.

use policy::consent::{ConsentAct, ConsentEvent};
use policy::schema::{ColumnId, EventTypeId, Field, FieldType, IdentityKind, Schema};
use policy::time::Timestamp;
use zeroize::Zeroize;

/// A subject's key as the producer knows it: a value of the schema's `subject_key`, or of another kind of identifier, whose
/// number is part of the key, so that two kinds never meet. Redacted, wiped on drop.
///
/// Stored as the value's UTF-8 bytes; of another kind, after a byte that no UTF-8 text has and the kind's number.
#[derive(Clone, PartialEq, Eq, Hash, Zeroize, zeroize::ZeroizeOnDrop)]
pub struct SubjectKey(Vec<u8>);

/// Begins a key of another kind than the subject key.
const OTHER_KIND: u8 = 0xFF;

impl SubjectKey {
    /// Takes the UTF-8 bytes of a value of the subject key, 1-255.
    pub fn new(value: &str) -> Option<Self> {
        Self::of(IdentityKind::SUBJECT_KEY, value)
    }

    /// Takes the UTF-8 bytes of an identifier of a kind: 1-255 of the subject key, 1-253 of another.
    pub fn of(kind: IdentityKind, value: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(value.len() + 2);
        if kind != IdentityKind::SUBJECT_KEY {
            bytes.extend_from_slice(&[OTHER_KIND, kind.0]);
        }
        bytes.extend_from_slice(value.as_bytes());
        (!value.is_empty() && bytes.len() <= 255).then_some(Self(bytes))
    }

    /// Takes a key as it is stored.
    pub(crate) fn from_stored(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Returns of which kind it is, and the value.
    pub(crate) fn parts(&self) -> (IdentityKind, &[u8]) {
        match self.0.as_slice() {
            [OTHER_KIND, kind, value @ ..] => (IdentityKind(*kind), value),
            value => (IdentityKind::SUBJECT_KEY, value),
        }
    }

    /// Shows the bytes, by which a permit names the subject.
    pub fn expose(&self) -> &[u8] {
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
        /// One value for each field of the type, in column order; those at the end that are not there are missing.
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

impl Record {
    /// Says whether someone takes consent back.
    pub fn is_withdrawal(&self) -> bool {
        matches!(self, Self::Consent { consent, .. } if consent.act == ConsentAct::Withdraw)
    }

    /// Returns whose it is.
    pub fn subject(&self) -> &SubjectKey {
        match self {
            Self::Profile { subject, .. } | Self::Event { subject, .. } | Self::Consent { subject, .. } => subject,
        }
    }
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
    /// Of those, events that came after newer ones of their purpose: kept in the log, and they change nothing.
    pub superseded: u64,
    /// Index of the leaf in the subject tree.
    pub leaf: u64,
}

/// Why a record can't be written. Names a field, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordProblem {
    /// A key of a kind that the schema does not have, or longer than its kind allows.
    #[error("the key is of a kind that the schema does not have, or longer than its kind allows")]
    BadKey,
    /// A column or event type that the schema does not have.
    #[error("the schema has no such field or event type")]
    UnknownField,
    /// Too many values for an event. Too few is one that was encoded under an earlier version of the description.
    #[error("an event of `{0}` has one value for each of its fields, in order")]
    WrongCount(String),
    /// A value of a field, or an event of a type, that is deprecated.
    #[error("`{0}` is deprecated and takes no new values; leave it out")]
    Deprecated(String),
    /// A value of the wrong type or outside the public bounds.
    #[error("the value of `{0}` is not of its type or is outside its public bounds")]
    OutOfBounds(String),
    /// A purpose that the schema does not have.
    #[error("the purpose is not one of this dataset's purposes, nor a parent of one")]
    UnknownPurpose,
    /// A time outside the years 1900-2200.
    #[error("the time is outside the years 1900 to 2200")]
    BadTime,
    /// An event from the future.
    #[error("the event is dated more than five minutes ahead of the gateway's clock; set the clock that dates it")]
    FutureEvent,
    /// A consent event from the future.
    #[error("the consent event is dated more than five minutes ahead of the gateway's clock")]
    FutureConsent,
    /// A consent source that is not a short public label.
    #[error("the source of a consent is a label of at most 63 characters of a-z, A-Z, 0-9, `_`, `-`, `.`")]
    BadSource,
}

const EARLIEST: Timestamp = Timestamp::from_seconds(-2_208_988_800);
const LATEST: Timestamp = Timestamp::from_seconds(7_258_118_400);

/// How far a source's clock may be ahead of ours. A consent event within it counts as of now; another event keeps its time,
/// and is in the first epoch that ends after it.
pub const CLOCK_SKEW_SECONDS: i64 = 300;

/// Checks a record against the schema. Callers report problems row by row; the vault refuses a batch with one.
pub fn check(schema: &Schema, record: &Record, now: Timestamp) -> Result<(), RecordProblem> {
    check_key(schema, record.subject())?;
    match record {
        Record::Profile { values, .. } => values.iter().try_for_each(|(column, value)| {
            let field = schema.attributes.get(usize::from(column.0)).ok_or(RecordProblem::UnknownField)?;
            if *column == schema.subject_key {
                return Err(RecordProblem::UnknownField);
            }
            check_new(field, value)
        }),
        Record::Event { event, at, values, .. } => {
            let event = schema.events.get(usize::from(event.0)).ok_or(RecordProblem::UnknownField)?;
            if event.deprecated {
                return Err(RecordProblem::Deprecated(event.name.to_string()));
            }
            if values.len() > event.fields.len() {
                return Err(RecordProblem::WrongCount(event.name.to_string()));
            }
            check_time(*at)?;
            if *at > tolerated(now) {
                return Err(RecordProblem::FutureEvent);
            }
            event.fields.iter().zip(values).try_for_each(|(field, value)| check_new(field, value))
        }
        Record::Consent { consent, .. } => check_consent(schema, consent, now),
    }
}

fn check_key(schema: &Schema, key: &SubjectKey) -> Result<(), RecordProblem> {
    let (kind, value) = key.parts();
    match schema.identity_bytes(kind) {
        Some(most) if value.len() <= most => Ok(()),
        _ => Err(RecordProblem::BadKey),
    }
}

/// Checks a consent event against the schema. One from the future is refused: it would make a later honest withdrawal
/// look late.
pub fn check_consent(schema: &Schema, consent: &ConsentEvent, now: Timestamp) -> Result<(), RecordProblem> {
    if consent.at > tolerated(now) {
        return Err(RecordProblem::FutureConsent);
    }
    if !schema.purposes.iter().any(|purpose| policy::purpose::covers(&consent.purpose, purpose)) {
        return Err(RecordProblem::UnknownPurpose);
    }
    let label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if consent.source.len() > 63 || !consent.source.chars().all(label) {
        return Err(RecordProblem::BadSource);
    }
    check_time(consent.at)?;
    consent.expires.map_or(Ok(()), check_time)
}

/// The latest time that a source may say.
fn tolerated(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_add(CLOCK_SKEW_SECONDS * 1_000_000))
}

fn check_time(at: Timestamp) -> Result<(), RecordProblem> {
    if (EARLIEST..LATEST).contains(&at) { Ok(()) } else { Err(RecordProblem::BadTime) }
}

/// Checks values that a person has corrected. What is kept of a deprecated field can be corrected too.
pub fn check_correction(schema: &Schema, values: &[(ColumnId, Value)]) -> Result<(), RecordProblem> {
    values.iter().try_for_each(|(column, value)| {
        let field = schema.attributes.get(usize::from(column.0)).filter(|_| *column != schema.subject_key);
        check_value(field.ok_or(RecordProblem::UnknownField)?, value)
    })
}

/// Checks a value that a producer sends.
fn check_new(field: &Field, value: &Value) -> Result<(), RecordProblem> {
    if field.deprecated && *value != Value::Missing {
        return Err(RecordProblem::Deprecated(field.name.to_string()));
    }
    check_value(field, value)
}

fn check_value(field: &Field, value: &Value) -> Result<(), RecordProblem> {
    let fits = match (&field.ty, value) {
        (_, Value::Missing) => true,
        (FieldType::Enum { domain }, Value::Code(code)) => (1..=domain.len()).contains(&usize::from(*code)),
        (FieldType::Bool, Value::Code(code)) => (1..=2).contains(code),
        (FieldType::Integer { min, max } | FieldType::Decimal { min, max, .. }, Value::Int(number)) => {
            (*min..=*max).contains(number)
        }
        (FieldType::Date { min, max }, Value::Int(day)) => (i64::from(*min)..=i64::from(*max)).contains(day),
        (FieldType::Identifier { max_bytes }, Value::Bytes(bytes)) => {
            (1..=usize::from(*max_bytes)).contains(&bytes.len())
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(RecordProblem::OutOfBounds(field.name.to_string())) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn keys_of_two_kinds_never_meet_and_are_stored_as_they_were() {
        let stored = |kind: u8, value: &str| SubjectKey::of(IdentityKind(kind), value).map(|key| key.expose().to_vec());
        assert_eq!(stored(0, "a").unwrap(), b"a");
        assert_eq!(stored(1, "a").unwrap(), b"\xff\x01a");
        assert_eq!(SubjectKey::from_stored(b"\xff\x02b").parts(), (IdentityKind(2), b"b".as_slice()));
        assert_eq!((stored(1, ""), stored(1, &"x".repeat(254)), stored(0, &"x".repeat(256))), (None, None, None));
        assert!(stored(1, &"x".repeat(253)).is_some());
    }
}
