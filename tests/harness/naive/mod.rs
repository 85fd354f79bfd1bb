//! The segment language a second time, the slow and plain way: conditions as a person would write them, rows in, the set of
//! members out.
//!
//! An oracle for scans. It shares nothing with the product: not the tree, not the canonical form, not the windows. A condition
//! is written as text for the product (`words`) and judged here ([`judge`]); [`random`] makes conditions and histories with
//! every edge that windows, clock changes, equal times and missing values have.

pub mod judge;
pub mod random;
mod times;
mod words;

pub use times::Moment;

/// The dataset of these people.
pub const SCHEMA: &str = r#"
version = 1
dataset = "people"
organization = "farm"
kind = "test"
time_zone = "ZONE"
subject_key = "key"
purposes = ["marketing.segmentation"]
[budget]
quarter = "1000000"
lifetime = "1000000"
[rfm]
event = "order"
amount = "amount"
purchase = "basket"
window = "90d"
recency = [1, 3, 30]
frequency = [2, 3, 5]
monetary = ["0.00", "20.00"]
[[attributes]]
name = "key"
class = "identifier"
type = "identifier"
max_bytes = 16
[[attributes]]
name = "who"
class = "behavioral"
type = "enum"
domain = [WHO]
[[attributes]]
name = "band"
class = "quasi_identifier"
type = "enum"
domain = ["a", "b", "c"]
[[attributes]]
name = "kids"
class = "quasi_identifier"
type = "integer"
min = 0
max = 9
[[attributes]]
name = "points"
class = "behavioral"
type = "decimal"
scale = 2
min = "-5.00"
max = "5.00"
[[attributes]]
name = "joined"
class = "behavioral"
type = "date"
min = "2000-01-01"
max = "2039-12-31"
[[attributes]]
name = "mail"
class = "behavioral"
type = "bool"
[[events]]
name = "order"
max_per_subject = 6
[[events.fields]]
name = "kind"
class = "behavioral"
type = "enum"
domain = ["a", "b", "c"]
[[events.fields]]
name = "amount"
class = "behavioral"
type = "decimal"
scale = 2
min = "-50.00"
max = "50.00"
[[events.fields]]
name = "items"
class = "behavioral"
type = "integer"
min = 0
max = 9
[[events.fields]]
name = "basket"
class = "behavioral"
type = "identifier"
max_bytes = 8
[[events.fields]]
name = "due"
class = "behavioral"
type = "date"
min = "2000-01-01"
max = "2039-12-31"
[[events]]
name = "view"
[[events.fields]]
name = "kind"
class = "behavioral"
type = "enum"
domain = ["a", "b", "c"]
"#;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// One of a, b, c as 1, 2, 3.
    Label,
    /// False and true as 1 and 2.
    Bool,
    /// A whole number.
    Whole,
    /// Hundredths.
    Hundredths,
    /// Days since 1970.
    Day,
    /// Something that is only equal or not.
    Id,
}

/// A field: its name, and what it holds.
pub type Field = (&'static str, Sort);

/// Attributes by column; the key and `who` are not for conditions.
pub const ATTRIBUTES: [Field; 7] = [
    ("key", Sort::Id),
    ("who", Sort::Id),
    ("band", Sort::Label),
    ("kids", Sort::Whole),
    ("points", Sort::Hundredths),
    ("joined", Sort::Day),
    ("mail", Sort::Bool),
];

/// Event types with their fields by column, and how many of one person count, the first by time.
pub const EVENTS: [(&str, &[Field], usize); 2] = [
    (
        "order",
        &[
            ("kind", Sort::Label),
            ("amount", Sort::Hundredths),
            ("items", Sort::Whole),
            ("basket", Sort::Id),
            ("due", Sort::Day),
        ],
        6,
    ),
    ("view", &[("kind", Sort::Label)], 1_000),
];

/// Smallest and largest value of a field.
pub fn bounds(sort: Sort, event: bool) -> (i64, i64) {
    match sort {
        Sort::Label => (1, 3),
        Sort::Bool => (1, 2),
        Sort::Whole => (0, 9),
        Sort::Hundredths if event => (-5_000, 5_000),
        Sort::Hundredths => (-500, 500),
        Sort::Day => (10_957, 25_566),
        Sort::Id => (1, 5),
    }
}

/// Somebody.
#[derive(Debug, Clone)]
pub struct Person {
    /// By column of [`ATTRIBUTES`].
    pub values: Vec<Option<i64>>,
    /// What they did, in the order of their ids.
    pub events: Vec<Happening>,
}

/// Something that somebody did.
#[derive(Debug, Clone)]
pub struct Happening {
    /// Place in [`EVENTS`].
    pub event: usize,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// By column.
    pub values: Vec<Option<i64>>,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Sign {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

/// A condition on a value.
#[derive(Debug, Clone)]
pub enum Check {
    /// Compared with a number.
    Is(Sign, i64),
    /// One of some.
    In(Vec<i64>),
    /// Not there.
    Missing,
    /// There.
    Known,
}

/// A condition on fields, of a person or of an event.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Fields {
    Const(bool),
    Not(Box<Fields>),
    And(Vec<Fields>),
    Or(Vec<Fields>),
    /// Of a column.
    Field(usize, Check),
}

/// A length of time as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Length {
    Days(i64),
    Hours(i64),
}

/// A stretch of time.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Window {
    Ever,
    Last(Length),
    Between(Length, Length),
    Since(i64),
    Dates(i64, i64),
}

/// What is measured; a number is a column of the event.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Measure {
    Any,
    Count,
    Days,
    Sum(usize),
    Distinct(usize),
    Min(usize),
    Max(usize),
    SinceLast,
    SinceFirst,
}

/// An event of a type that a condition holds for.
#[derive(Debug, Clone)]
pub struct Step {
    /// Place in [`EVENTS`].
    pub event: usize,
    /// Which.
    pub filter: Option<Fields>,
}

/// A condition on a person.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Condition {
    Not(Box<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Attribute(Fields),
    Event {
        step: Step,
        window: Window,
        if_any: bool,
        measure: Measure,
        check: Check,
    },
    Sequence {
        steps: Vec<Step>,
        without: Vec<Step>,
        gap: Option<Length>,
        within: Option<Length>,
        window: Window,
    },
    Score {
        parts: Vec<(Condition, i64)>,
        check: Check,
    },
    /// Recency, frequency or monetary.
    Band {
        of: usize,
        check: Check,
    },
    /// A stored segment, by its number.
    Named(usize),
}
