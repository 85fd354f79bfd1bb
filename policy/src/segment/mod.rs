//! Segments: a CEL expression over one schema, checked into a typed tree that a scan can run.
//!
//! Three-valued: a test on a missing value is unknown, `!unknown` is unknown, and unknown is not a member.
//! Windows are half-open and end at the pinned `as_of` of the epoch, in the dataset's time zone.

mod canonical;
mod check;
pub mod eval;
mod events;
mod intervals;
mod limits;
mod predicate;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod properties;
mod render;
mod scan;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
pub(crate) mod test_schema;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
mod window;

pub use check::{MAX_TEXT_BYTES, SegmentError, SegmentErrorKind, parse};
pub use limits::{MAX_DEPTH, MAX_NODES};
pub use window::WindowError;

use crate::schema::{ColumnId, EventTypeId, FieldRef, Schema};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A checked segment: its canonical tree, its canonical text and the hash of that text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    root: Expr,
    canonical: String,
}

impl Segment {
    /// The segment of everyone: the canonical text `true`.
    pub fn everyone() -> Self {
        Self { root: Expr::Const(true), canonical: "true".to_owned() }
    }

    /// Returns the tree in canonical form: negations pushed down where exact, children sorted, constants folded.
    pub fn root(&self) -> &Expr {
        &self.root
    }

    /// Returns the canonical text: equal questions, equal text. Contains field names and literals.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Returns SHA-256 of the canonical text: equal questions, equal hash.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.canonical).into()
    }

    /// Returns every field the segment names, events included, sorted, without repetition.
    pub fn fields(&self) -> Vec<FieldRef> {
        let mut fields = Vec::new();
        self.root.collect_fields(&mut fields);
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    /// Builds a segment from a tree by putting it into canonical form.
    pub fn from_expr(root: Expr, schema: &Schema) -> Self {
        let root = canonical::normalize(&root, schema);
        let canonical = render::render(&root, schema);
        Self { root, canonical }
    }
}

/// A three-valued condition on one subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Expr {
    /// Always true or always false.
    Const(bool),
    /// Kleene negation.
    Not(Box<Expr>),
    /// Kleene conjunction of at least two.
    All(Vec<Expr>),
    /// Kleene disjunction of at least two.
    Any(Vec<Expr>),
    /// A test of an attribute; unknown when the value is missing, except [`Test::Missing`].
    Attribute(ColumnId, Test),
    /// A test of a subject's events; never unknown.
    Event(EventTest),
}

/// A test of one stored value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Test {
    /// Whether a dictionary code (1-based, see `FieldType`) is one of these, sorted, without repetition.
    Codes(Vec<u16>),
    /// Whether an integer, decimal (in units) or day lies in these inclusive bounds; `min > max` is never.
    Range {
        /// Smallest admitted.
        min: i64,
        /// Largest admitted.
        max: i64,
    },
    /// Whether the value is missing; never unknown.
    Missing,
}

/// What is measured over the events of one subject that match, and what it is compared with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventTest {
    /// The event type.
    pub event: EventTypeId,
    /// Which times count.
    pub window: Window,
    /// Which events count; an event for which this is unknown does not.
    pub filter: EventFilter,
    /// What is measured.
    pub measure: Measure,
    /// Inclusive bounds for the measured number; `any()` is count in `1..=i64::MAX`.
    pub min: i64,
    /// See `min`.
    pub max: i64,
}

/// A three-valued condition on one event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventFilter {
    /// Always true or always false.
    Const(bool),
    /// Kleene negation.
    Not(Box<EventFilter>),
    /// Kleene conjunction of at least two.
    All(Vec<EventFilter>),
    /// Kleene disjunction of at least two.
    Any(Vec<EventFilter>),
    /// A test of a field of the event.
    Field(ColumnId, Test),
}

/// A measure over matching events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Measure {
    /// How many events.
    Count,
    /// Sum of an integer or decimal field in its units, missing values skipped, saturating.
    Sum(ColumnId),
    /// How many distinct present values of a field (codes, numbers, days or byte strings).
    Distinct(ColumnId),
}

impl Measure {
    /// Returns the least and greatest number this can measure.
    pub fn bounds(self) -> (i64, i64) {
        match self {
            Self::Count | Self::Distinct(_) => (0, i64::MAX),
            Self::Sum(_) => (i64::MIN, i64::MAX),
        }
    }
}

/// A length of time as written: `"30d"`, `"12h"`, `"4w"`. Days and weeks are calendar days in the dataset's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Span {
    /// Calendar days, 1-36,500.
    Days(u32),
    /// Hours of 3,600 s, 1-87,600.
    Hours(u32),
}

/// Which times count, relative to `as_of` and half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Window {
    /// Everything before `as_of`.
    Ever,
    /// `[as_of - span, as_of)`.
    Last(Span),
    /// `[as_of - from, as_of - to)`, `from` longer than `to`.
    Between(Span, Span),
}

impl Expr {
    fn collect_fields(&self, into: &mut Vec<FieldRef>) {
        match self {
            Self::Const(_) => {}
            Self::Not(inner) => inner.collect_fields(into),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|p| p.collect_fields(into)),
            Self::Attribute(column, _) => into.push(FieldRef::Attribute(*column)),
            Self::Event(test) => {
                into.push(FieldRef::Event(test.event));
                test.filter.collect_fields(test.event, into);
                if let Measure::Sum(column) | Measure::Distinct(column) = test.measure {
                    into.push(FieldRef::EventField(test.event, column));
                }
            }
        }
    }
}

impl EventFilter {
    fn collect_fields(&self, event: EventTypeId, into: &mut Vec<FieldRef>) {
        match self {
            Self::Const(_) => {}
            Self::Not(inner) => inner.collect_fields(event, into),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|p| p.collect_fields(event, into)),
            Self::Field(column, _) => into.push(FieldRef::EventField(event, *column)),
        }
    }
}
