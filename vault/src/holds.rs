//! Legal holds: what of one person must be kept by law, though the person asks to be erased.
//!
//! A hold names fields and a public ground, never a value. Its effect: an erasure leaves these fields, and the subject key that
//! says whose they are, sealed where they were, and takes everything else; retention leaves them too. When the hold ends, the
//! erasure that waits behind it is carried out. Nothing shows what is held but the person's own access package.
//! Does not: keep a value from being replaced. A correction or a newer profile still takes its place.

use crate::log::Word;
use policy::schema::{ColumnId, EventTypeId, FieldRef, Schema};
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most fields of one hold.
pub const MAX_FIELDS: usize = 100;
/// Most holds that stand in one dataset: all are written with the gateway's own state at each fold.
pub const MAX_HOLDS: usize = 10_000;
/// Longest ground, bytes.
const MAX_GROUND: usize = 63;

/// Why something is held, a public label: `tax-act-147`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ground(String);

/// A text that is no ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a ground is a label of 1-63 characters of a-z, A-Z, 0-9, `_`, `-`, `.`, with at most 6 digits in a row")]
pub struct NotAGround;

impl Ground {
    /// Checks a label. It is in the log in clear, so nothing passes that could be a telephone number.
    pub fn new(text: &str) -> Result<Self, NotAGround> {
        let label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let fits = (1..=MAX_GROUND).contains(&text.len()) && text.chars().all(label) && Word::new(text).is_ok();
        if fits { Ok(Self(text.to_owned())) } else { Err(NotAGround) }
    }

    /// Returns the label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Ground {
    type Error = NotAGround;

    fn try_from(text: String) -> Result<Self, NotAGround> {
        Self::new(&text)
    }
}

impl From<Ground> for String {
    fn from(ground: Ground) -> Self {
        ground.0
    }
}

/// A hold as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHold {
    /// Attributes, event types with all their fields, single fields of events. 1 to [`MAX_FIELDS`].
    pub fields: BTreeSet<FieldRef>,
    /// Why.
    pub ground: Ground,
    /// First instant at which it no longer stands; none until it is released.
    pub until: Option<Timestamp>,
}

/// A hold that stands. Says nothing about whose data it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its number: the index of the leaf in the subject tree that says it was placed.
    pub number: u64,
    /// What is held.
    pub fields: BTreeSet<FieldRef>,
    /// Why.
    pub ground: Ground,
    /// When it was placed.
    pub placed: Timestamp,
    /// First instant at which it no longer stands.
    pub until: Option<Timestamp>,
    /// Whether the person is erased but for what is held, and the rest of the erasure waits for the end of this hold.
    pub waiting: bool,
}

/// What an erasure leaves of a person: by default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held(BTreeSet<FieldRef>);

impl Held {
    /// Leaves nothing.
    pub const fn nothing() -> Self {
        Self(BTreeSet::new())
    }

    /// Joins what several holds name. If they name anything, the subject key is held with it: an invoice that is nobody's is
    /// worth nothing.
    pub fn of<'f>(schema: &Schema, fields: impl IntoIterator<Item = &'f FieldRef>) -> Self {
        let mut held: BTreeSet<FieldRef> = fields.into_iter().copied().collect();
        if !held.is_empty() {
            held.insert(FieldRef::Attribute(schema.subject_key));
        }
        Self(held)
    }

    /// Says whether nothing is left.
    pub fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Says whether an attribute is left.
    pub fn attribute(&self, column: ColumnId) -> bool {
        self.0.contains(&FieldRef::Attribute(column))
    }

    /// Says whether events of a type are left: that they happened and when, and those of their fields that are held.
    pub fn event(&self, event: EventTypeId) -> bool {
        let fields = FieldRef::EventField(event, ColumnId(0))..=FieldRef::EventField(event, ColumnId(u16::MAX));
        self.0.contains(&FieldRef::Event(event)) || self.0.range(fields).next().is_some()
    }

    /// Says whether a field of a type's events is left.
    pub fn field(&self, event: EventTypeId, column: ColumnId) -> bool {
        self.0.contains(&FieldRef::Event(event)) || self.0.contains(&FieldRef::EventField(event, column))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_ground_is_a_short_label_and_no_telephone_number() {
        for good in ["tax-act-147", "A", "case_2026.11", &"x".repeat(63)] {
            assert_eq!(Ground::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "tax act", "ann@example.org", "0123456789", "§147", &"x".repeat(64)] {
            assert_eq!(Ground::new(bad), Err(NotAGround), "{bad}");
        }
    }

    #[test]
    fn an_event_is_held_whole_or_by_its_fields() {
        let (event, other) = (EventTypeId(1), EventTypeId(2));
        let field = |column| FieldRef::EventField(event, ColumnId(column));
        let [whole, part] = [FieldRef::Event(event), field(3)].map(|field| Held([field].into()));
        assert!(whole.event(event) && whole.field(event, ColumnId(0)) && !whole.event(other));
        assert!(part.event(event) && part.field(event, ColumnId(3)) && !part.field(event, ColumnId(0)));
        assert!(!part.event(EventTypeId(0)) && !part.event(other) && !part.attribute(ColumnId(3)));
        assert!(Held::default().is_nothing() && !Held::default().event(event));
    }
}
