//! What may be asked, and what comes back.

use policy::id::{DatasetId, EpochId};
use policy::privacy::NanoRho;
use policy::schema::FieldRef;
use policy::segment::{Segment, Window};
use serde::{Deserialize, Serialize};

/// A question. With the permit (purpose, basis, table) and the epoch it fixes the key of its stored answer.
#[derive(Debug, Clone)]
pub struct Question {
    /// The dataset.
    pub dataset: DatasetId,
    /// Who could be in it at all; percentages refer to it.
    pub universe: Segment,
    /// Who is in it.
    pub segment: Segment,
    /// What is asked about them.
    pub kind: Kind,
    /// The price to pay.
    pub rho: NanoRho,
}

/// What is asked about the members of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// How many.
    Size,
    /// How many per cell of one closed field, or of the cross of two. At most one of two may be an event field.
    Breakdown {
        /// The fields.
        by: Vec<FieldRef>,
        /// Which events count for event fields.
        window: Window,
    },
    /// How many per value, for each of many closed fields, as one Gaussian vector.
    Portrait {
        /// The fields.
        fields: Vec<FieldRef>,
        /// Which events count for event fields.
        window: Window,
    },
}

/// One noised cell. Integers: 1024 is one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Codes along the table's fields: 0 is missing, 1.. the domain.
    pub codes: Vec<u16>,
    /// The draw, in 1/1024 of a person, unclamped.
    pub noised: i64,
}

/// The cells of one field, or of a cross of fields. Every cell of the closed domain, in code order; a size has one table
/// with no fields and one cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The fields.
    pub by: Vec<FieldRef>,
    /// The cells.
    pub cells: Vec<Cell>,
}

/// A release as it is stored and sent; the same question in the same epoch gives the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Version of this format: 1.
    pub version: u32,
    /// Name of the release: hex of the first 16 bytes of its key.
    pub release: String,
    /// The epoch it was read from.
    pub epoch: EpochId,
    /// End of the epoch, in seconds since 1970.
    pub as_of_seconds: i64,
    /// The noised tables.
    pub tables: Vec<Table>,
    /// Standard deviation of the noise in one cell, in 1/1024 of a person, rounded up.
    pub sigma_1024: u64,
    /// Half-width that holds for one cell with probability 0.95, noise only, in 1/1024 of a person, rounded up.
    pub half_width_1024: u64,
    /// What was charged when it was drawn.
    pub rho: NanoRho,
    /// Whether its dataset is a test dataset.
    pub not_private: bool,
    /// Index of the INTENT leaf in the access tree.
    pub leaf: u64,
}
