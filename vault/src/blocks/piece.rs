//! What a piece is and where it lies.

use policy::schema::{ColumnId, EventTypeId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// What a piece holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PieceKind {
    /// The attributes of a block's subjects, and their hidden column. One row a subject.
    Attributes,
    /// Events of one type of some of a block's subjects, sorted by (subject, time, id).
    Events(EventTypeId),
    /// Opaque bytes of the vault's own: consent state, answers, catalog. No rows.
    State,
}

impl fmt::Display for PieceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attributes => f.write_str("attributes"),
            Self::Events(event) => write!(f, "events {}", event.0),
            Self::State => f.write_str("state"),
        }
    }
}

/// Which piece it is. Everything here is authenticated by every chunk of the piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PieceMeta {
    /// Number of the dataset.
    pub dataset: u32,
    /// Number of the block.
    pub block: u32,
    /// What it holds.
    pub kind: PieceKind,
    /// Number of the piece among those of its kind in the block, from 0.
    pub part: u16,
    /// Version of the piece; the caller never uses one twice.
    pub version: u64,
    /// Version of the schema it was written under.
    pub schema_version: u32,
    /// In-block ordinal of the first subject.
    pub first: u16,
    /// Subjects covered: `first .. first + subjects`.
    pub subjects: u32,
    /// Rows: equal to `subjects` for attributes, events for events, 0 for state.
    pub rows: u32,
}

/// A column of a piece, and its part for columns that are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnKey {
    /// Column id of the schema, or one of the constants here.
    pub column: u16,
    /// Part, from 0.
    pub part: u16,
}

impl ColumnKey {
    /// Attributes: [`super::HIDDEN_BYTES`] random bytes a subject, in parts of some hundred subjects.
    pub const HIDDEN: u16 = 0xFFFF;
    /// Events: `subjects + 1` row offsets (u32) into this piece.
    pub const OFFSETS: Self = Self { column: 0xFFFE, part: 0 };
    /// Events: microseconds since 1970 (i64).
    pub const TIME: Self = Self { column: 0xFFFD, part: 0 };
    /// Events: the id of the event (u64).
    pub const EVENT_ID: Self = Self { column: 0xFFFC, part: 0 };
    /// Events: which link each came by, one byte; there only if one did.
    pub const MARK: Self = Self { column: 0xFFFB, part: 0 };
    /// Ids from here up are not columns of a schema.
    pub const FIRST_SPECIAL: u16 = 0x8000;

    /// Special ids from here up are not of a column each.
    const FIRST_OTHER: u16 = 0xFFF0;

    /// The first (and mostly only) part of a schema column.
    pub const fn of(column: ColumnId) -> Self {
        Self { column: column.0, part: 0 }
    }

    /// Attributes that are kept for some days only: the UTC day on which each value was set, two bytes a row, 0 where it is
    /// not known or there is no value. A schema has at most 1,024 attributes, so these ids are none of the others.
    pub const fn set_day(column: ColumnId) -> Self {
        Self { column: Self::FIRST_SPECIAL | column.0, part: 0 }
    }

    /// Returns the column of the schema that it is, or whose days it holds; none of the others.
    pub const fn schema_column(self) -> Option<ColumnId> {
        match self.column {
            column if column < Self::FIRST_SPECIAL => Some(ColumnId(column)),
            column if self.is_set_day() => Some(ColumnId(column ^ Self::FIRST_SPECIAL)),
            _ => None,
        }
    }

    /// Says whether it holds the days on which values were set.
    pub const fn is_set_day(self) -> bool {
        self.column >= Self::FIRST_SPECIAL && self.column < Self::FIRST_OTHER
    }
}

/// Returns where a piece lies: `DATA/blocks/{dataset:08x}/{file:016x}.piece`.
pub fn piece_path(data: &Path, dataset: u32, file_no: u64) -> PathBuf {
    data.join("blocks").join(format!("{dataset:08x}")).join(format!("{file_no:016x}.piece"))
}
