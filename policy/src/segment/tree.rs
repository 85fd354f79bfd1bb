//! The tree of a checked segment. Every number in it is whole: codes, units, days, hours, points.

use crate::id::SampleLabel;
use crate::schema::{ColumnId, EventTypeId, FieldRef};
use serde::{Deserialize, Serialize};

/// Most steps of a sequence.
pub const MAX_STEPS: usize = 5;
/// Most conditions of a score.
pub const MAX_SCORED: usize = 16;
/// Most points of a condition as written, either way.
pub const MAX_POINTS: i64 = 1_000;
/// Into how many buckets a sample's label divides everyone.
pub const SAMPLE_BUCKETS: u16 = 10_000;

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
    /// A test of a subject's events; unknown as [`EventTest::may_be_unknown`] says.
    Event(EventTest),
    /// Events in an order; never unknown.
    Sequence(Sequence),
    /// Points for conditions; never unknown.
    Score(Score),
    /// A share of everyone, by chance; never unknown.
    Sample(Sample),
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
    /// Whether the test is unknown when no event matches, also for a measure that would be 0 then.
    pub if_any: bool,
    /// Inclusive bounds for the measured number; `any()` is count in `1..=i64::MAX`. `min > max` is never.
    pub min: i64,
    /// See `min`.
    pub max: i64,
}

impl EventTest {
    /// Says whether the test is unknown for some subjects: for those in whom there is nothing to measure.
    pub fn may_be_unknown(&self) -> bool {
        self.if_any || self.measure.may_be_unknown()
    }
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
    /// On how many calendar days in the dataset's zone.
    Days,
    /// Least present value of a number or date; unknown when there is none.
    Min(ColumnId),
    /// Greatest present value of a number or date; unknown when there is none.
    Max(ColumnId),
    /// The least number of days so that the window of so many calendar days that ends at `as_of` holds the last event;
    /// from 1, unknown when there is none.
    DaysSinceLast,
    /// Likewise for the first event.
    DaysSinceFirst,
}

impl Measure {
    /// Returns the least and greatest number this can measure, whatever its field.
    pub fn bounds(self) -> (i64, i64) {
        match self {
            Self::Count | Self::Distinct(_) | Self::Days => (0, i64::MAX),
            Self::Sum(_) => (i64::MIN, i64::MAX),
            Self::Min(_) | Self::Max(_) => (i64::MIN + 1, i64::MAX),
            Self::DaysSinceLast | Self::DaysSinceFirst => (1, i64::MAX),
        }
    }

    /// Says whether there may be nothing to measure.
    pub fn may_be_unknown(self) -> bool {
        match self {
            Self::Count | Self::Sum(_) | Self::Distinct(_) | Self::Days => false,
            Self::Min(_) | Self::Max(_) | Self::DaysSinceLast | Self::DaysSinceFirst => true,
        }
    }

    /// Returns the field that is measured.
    pub fn field(self) -> Option<ColumnId> {
        match self {
            Self::Sum(column) | Self::Distinct(column) | Self::Min(column) | Self::Max(column) => Some(column),
            Self::Count | Self::Days | Self::DaysSinceLast | Self::DaysSinceFirst => None,
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

/// Which times count, half-open, and never from `as_of` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Window {
    /// Everything before `as_of`.
    Ever,
    /// `[as_of - span, as_of)`.
    Last(Span),
    /// `[as_of - from, as_of - to)`, `from` longer than `to`.
    Between(Span, Span),
    /// From the start of a day (days since 1970-01-01) in the dataset's zone.
    Since(i32),
    /// From the start of a day to the start of a later one.
    Dates(i32, i32),
}

/// Events `e1 .. ek` that match the steps, at strictly increasing times within the window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sequence {
    /// What the events are, in order; 1-[`MAX_STEPS`].
    pub steps: Vec<Step>,
    /// What does not happen after the first of them, for as long as `within_hours` says, or until `as_of`. Also after the
    /// window's end; what is not known by `as_of` has not happened.
    pub without: Vec<Step>,
    /// Each event comes less than this after the one before, in hours of 3,600 s.
    pub gap_hours: Option<u32>,
    /// The last event comes less than this after the first, in hours of 3,600 s.
    pub within_hours: Option<u32>,
    /// Where all the events are.
    pub window: Window,
}

/// An event of one type for which a condition is true.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Step {
    /// The event type.
    pub event: EventTypeId,
    /// Which events.
    pub filter: EventFilter,
}

/// Whether the sum of the points of those conditions that are true lies in bounds. What is unknown adds nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Score {
    /// Conditions and their points; 1-[`MAX_SCORED`].
    pub parts: Vec<(Expr, i64)>,
    /// Inclusive bounds of the sum.
    pub min: i64,
    /// See `min`.
    pub max: i64,
}

/// Whether a subject's bucket under a label lies in `from..until`, of [`SAMPLE_BUCKETS`]. The bucket is a keyed hash of
/// what only the vault holds, the same in every epoch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sample {
    /// What the sample is for; buckets of two labels are independent.
    pub label: SampleLabel,
    /// First bucket.
    pub from: u16,
    /// First bucket that is not in it any more.
    pub until: u16,
}

impl Expr {
    /// Appends every field that is named, with repetition.
    pub(super) fn collect_fields(&self, into: &mut Vec<FieldRef>) {
        match self {
            Self::Const(_) | Self::Sample(_) => {}
            Self::Not(inner) => inner.collect_fields(into),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.collect_fields(into)),
            Self::Attribute(column, _) => into.push(FieldRef::Attribute(*column)),
            Self::Event(test) => {
                into.push(FieldRef::Event(test.event));
                test.filter.collect_fields(test.event, into);
                into.extend(test.measure.field().map(|column| FieldRef::EventField(test.event, column)));
            }
            Self::Sequence(sequence) => {
                for step in sequence.steps.iter().chain(&sequence.without) {
                    into.push(FieldRef::Event(step.event));
                    step.filter.collect_fields(step.event, into);
                }
            }
            Self::Score(score) => score.parts.iter().for_each(|(part, _)| part.collect_fields(into)),
        }
    }
}

impl EventFilter {
    fn collect_fields(&self, event: EventTypeId, into: &mut Vec<FieldRef>) {
        match self {
            Self::Const(_) => {}
            Self::Not(inner) => inner.collect_fields(event, into),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.collect_fields(event, into)),
            Self::Field(column, _) => into.push(FieldRef::EventField(event, *column)),
        }
    }
}
