//! Why a row does not fit. A reason speaks of fields, bounds and columns, and never holds a value of the row.

use std::fmt;
use std::sync::Arc;

/// Why a row was quarantined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The row has another number of cells than the header.
    Ragged {
        /// Cells in the row.
        cells: usize,
        /// Cells in the header.
        expected: usize,
    },
    /// The cell's bytes are not text in the file's encoding.
    NotText,
    /// The subject key is empty.
    NoSubject,
    /// The value is longer than the bound.
    TooLong {
        /// Longest allowed, bytes of UTF-8.
        max: usize,
    },
    /// The value is not in a public list.
    NotListed {
        /// Whose list.
        field: Arc<str>,
    },
    /// Not true/false, yes/no, 1/0.
    NotBool,
    /// Not a number.
    NotNumber,
    /// More digits after the decimal mark than the field holds.
    TooPrecise {
        /// Digits the field holds.
        scale: u8,
    },
    /// Outside the public bounds.
    OutOfBounds {
        /// Whose bounds.
        field: Arc<str>,
    },
    /// Not a time in the column's format.
    NotTime,
    /// Not a day in the column's format.
    NotDay,
    /// A number that no band holds.
    NoBand,
    /// The value is not a key of the lookup.
    NotFound {
        /// Which lookup.
        lookup: Arc<str>,
    },
    /// The time is empty.
    NoTime,
    /// The value is empty, and something is needed here.
    Empty {
        /// What is needed.
        what: &'static str,
    },
    /// Not a label of its kind.
    NotLabel {
        /// What it should be.
        what: &'static str,
    },
    /// Another row of the same subject has another profile.
    Conflict,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ragged { cells, expected } => write!(f, "the row has {cells} cells, the header has {expected}"),
            Self::NotText => f.write_str("not text in the encoding of the file"),
            Self::NoSubject => f.write_str("the subject key is empty"),
            Self::TooLong { max } => write!(f, "longer than {max} bytes"),
            Self::NotListed { field } => write!(f, "not in the public list of {field}"),
            Self::NotBool => f.write_str("not a yes or no"),
            Self::NotNumber => f.write_str("not a number"),
            Self::TooPrecise { scale: 0 } => f.write_str("not a whole number"),
            Self::TooPrecise { scale } => write!(f, "more than {scale} digits after the decimal mark"),
            Self::OutOfBounds { field } => write!(f, "outside the public bounds of {field}"),
            Self::NotTime => f.write_str("not a time in the format of the column"),
            Self::NotDay => f.write_str("not a day in the format of the column"),
            Self::NoBand => f.write_str("in none of the bands"),
            Self::NotFound { lookup } => write!(f, "not a key of the lookup {lookup}"),
            Self::NoTime => f.write_str("the time is empty"),
            Self::Empty { what } => write!(f, "empty, and {what} is needed"),
            Self::NotLabel { what } => write!(f, "not {what}"),
            Self::Conflict => f.write_str("an earlier row gives this subject another profile"),
        }
    }
}

/// A reason and the column (or columns) it is about, as the mapping names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The column's name in the mapping; empty for the row as a whole.
    pub column: Arc<str>,
    /// What is wrong.
    pub reason: Reason,
}
