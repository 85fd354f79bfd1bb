//! What a table counts, and along which dimensions. Public knowledge: schema, question and constants.

use super::weights::Weights;
use policy::schema::{ColumnId, EventTypeId, FieldRef};
use policy::segment::{Expr, Window};

/// One dimension of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// What it is about.
    pub of: AxisOf,
    /// Cells along it. Of a closed field: the domain and, first, missing; stored codes beyond count as missing.
    pub cells: u32,
    /// Of events: how many distinct cells of one subject count fully (the L0 bound), at least 1.
    pub max_distinct: u32,
}

/// What a dimension is about. Those over subjects put every subject into exactly one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AxisOf {
    /// An attribute or an event field with a closed domain; not an event as such.
    Field(FieldRef),
    /// How many of these conditions are true, from the first on up to the first that is not: `0..=len`.
    Steps(Vec<Expr>),
    /// Which of these conditions are true, as bits, the first being 1: `2^len` cells.
    Flags(Vec<Expr>),
    /// The first of these conditions that is true, from 1; 0 where none is.
    Bands(Vec<Expr>),
    /// How many of these ascending edges a number attribute reaches, plus 1; 0 is missing: `len + 2` cells.
    Bins(ColumnId, Vec<i64>),
    /// Between which neighbours of these ascending days, in the dataset's zone, an event lies: `len - 1` cells. Events
    /// before the first and from the last on are in none.
    Periods(EventTypeId, Vec<i32>),
    /// The hour of day of an event in the dataset's zone: 24 cells.
    Hours(EventTypeId),
    /// The weekday of an event in the dataset's zone, Monday first: 7 cells.
    Weekdays(EventTypeId),
    /// How long a subject's vector over other cells is: `len + 1` cells. The only dimension of its table.
    Norms(Box<Norms>),
}

/// A vector over the cells of some dimensions, and lengths it is compared with. A subject of whose events none counts has
/// none and is in no cell; every other one is in exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Norms {
    /// Of numbers of events of this type, or of sums over them.
    pub event: EventTypeId,
    /// What is summed, missing ones being 0; nothing: each event is one.
    pub sum: Option<ColumnId>,
    /// The dimensions of the vector. Those over subjects say in which cells it is and nothing of its length.
    pub by: Vec<Axis>,
    /// Ascending lengths: how many of them the L2 norm reaches is the cell.
    pub edges: Vec<u64>,
}

impl AxisOf {
    /// Returns the event type whose events it is about; all but norms may spread a subject over several cells.
    pub fn event(&self) -> Option<EventTypeId> {
        match self {
            Self::Field(FieldRef::EventField(event, _) | FieldRef::Event(event))
            | Self::Periods(event, _)
            | Self::Hours(event)
            | Self::Weekdays(event) => Some(*event),
            Self::Norms(norms) => Some(norms.event),
            Self::Field(FieldRef::Attribute(_)) | Self::Steps(_) | Self::Flags(_) | Self::Bands(_) | Self::Bins(..) => {
                None
            }
        }
    }
}

/// What one subject adds to the cells it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// [`super::UNIT`] in each, less where there are more than the L0 bound.
    People,
    /// Its vector of numbers of events.
    Events(EventTypeId, Clip),
    /// Its vector of sums of a number field over its events, missing ones being 0.
    Sum(EventTypeId, ColumnId, Clip),
    /// One where a number attribute is not missing. For tables over subjects only.
    Present {
        /// The attribute.
        column: ColumnId,
        /// Its bound.
        clip: Clip,
    },
    /// A number attribute less a public center, 0 where it is missing. For tables over subjects only.
    Value {
        /// The attribute.
        column: ColumnId,
        /// What is taken off.
        center: i64,
        /// Its bound.
        clip: Clip,
    },
    /// The square of a number attribute less a public center, 0 where it is missing. For tables over subjects only.
    Square {
        /// The attribute.
        column: ColumnId,
        /// How it is written.
        squares: Squares,
        /// Its bound.
        clip: Clip,
    },
}

/// How squares of numbers are written: of the number less a public center, in units of a power of two and to the nearest, less
/// the middle of what they can be, so that they reach half as far. Squares of numbers within a reach of 2^13 are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Squares {
    center: i64,
    shift: u32,
    largest: i64,
}

impl Squares {
    /// Bits that the largest square may have: sums over 2^26 subjects in 1/1024 of a unit stay within 63.
    const BITS: u32 = 26;

    /// Builds the squares of numbers at most `reach` away from a center.
    pub fn new(center: i64, reach: u64) -> Self {
        let square = u128::from(reach) * u128::from(reach);
        let shift = (u128::BITS - square.leading_zeros()).saturating_sub(Self::BITS);
        Self { center, shift, largest: nearest(square, shift) }
    }

    /// Returns the unit, as a power of two of squared units of the field.
    pub fn shift(self) -> u32 {
        self.shift
    }

    /// Returns what is taken off every square, in units.
    pub fn middle(self) -> i64 {
        self.largest / 2
    }

    /// Returns how far from the middle a square of a number within reach can be, in units; at least 1.
    pub fn bound(self) -> u64 {
        (self.largest - self.middle()).unsigned_abs().max(1)
    }

    /// Returns the square of a number, in units, less the middle.
    pub(super) fn of(self, value: i128) -> i64 {
        let distance = (value - i128::from(self.center)).unsigned_abs();
        nearest(distance.saturating_mul(distance), self.shift).saturating_sub(self.middle())
    }
}

/// A number in units of a power of two, to the nearest, halves up.
fn nearest(value: u128, shift: u32) -> i64 {
    let half = (1_u128 << shift) >> 1;
    i64::try_from(value.saturating_add(half) >> shift).unwrap_or(i64::MAX)
}

/// Largest norm of a clipped vector, in its own fine units. With 2^26 subjects, sums and noise stay far within 63 bits.
pub const MAX_NORM: u64 = 1 << 36;

/// What part of a price a table gets beside others of its question: parts add up over them, and norms are in the ratio of
/// their square roots, since all get one noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// 2, for counts.
    Two,
    /// 3, for sums.
    Three,
}

impl Parts {
    /// The largest norm: the root of so many parts of three of [`MAX_NORM`] squared, rounded down.
    fn norm(self) -> u64 {
        let square = u128::from(MAX_NORM) * u128::from(MAX_NORM);
        match self {
            Self::Two => u64::try_from((square / 3 * 2).isqrt()).unwrap_or(MAX_NORM),
            Self::Three => MAX_NORM,
        }
    }
}

/// By how much one subject's vector can count: its L2 norm is scaled down to a bound where it is larger, and written in
/// units fine enough that truncating them loses nothing that noise would not hide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clip {
    bound: u64,
    per_one: u64,
}

impl Clip {
    /// Builds a clip at a bound in units of what is summed, for a table that gets such a part of the price; `None` for 0 and
    /// above [`MAX_NORM`].
    pub fn new(bound: u64, parts: Parts) -> Option<Self> {
        let is_valid = (1..=MAX_NORM).contains(&bound);
        is_valid.then(|| Self { bound, per_one: parts.norm().checked_div(bound).unwrap_or(0).max(1) })
    }

    /// The same bound and part of the price for numbers that are written so many times as finely; `None` beyond [`MAX_NORM`].
    fn finer(self, times: u64) -> Option<Self> {
        let bound = self.bound.checked_mul(times).filter(|bound| *bound <= MAX_NORM)?;
        Some(Self { bound, per_one: self.norm().checked_div(bound).unwrap_or(0).max(1) })
    }

    /// Returns the bound.
    pub fn bound(self) -> u64 {
        self.bound
    }

    /// Returns how many fine units one is.
    pub fn per_one(self) -> u64 {
        self.per_one
    }

    /// Returns the bound in fine units, at most [`MAX_NORM`]: no clipped vector has a larger L2 norm.
    pub fn norm(self) -> u64 {
        self.bound.saturating_mul(self.per_one)
    }
}

/// A table to fill: any number of dimensions over subjects, and those over events all of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// The dimensions; cells are in row-major order of codes.
    pub axes: Vec<Axis>,
    /// Which events count.
    pub window: Window,
    /// What is counted.
    pub count: Count,
    /// Of events and sums: by cell, what numbers are multiplied by; their clips are in the same units.
    pub weights: Weights,
}

impl TableSpec {
    /// Counts people.
    pub fn people(axes: Vec<Axis>, window: Window) -> Self {
        Self { axes, window, count: Count::People, weights: Weights::EVEN }
    }

    /// Weighs the cells of a table of events or sums by other weights. `None` for other tables, and where bounds are so large
    /// that they can't be told more finely.
    pub fn weighed(&self, weights: &Weights) -> Option<Self> {
        let clip = |clip: Clip| if weights == &Weights::EVEN { Some(clip) } else { clip.finer(Weights::ONE.into()) };
        let count = match self.count {
            _ if self.weights != Weights::EVEN => return None,
            Count::Events(event, of) => Count::Events(event, clip(of)?),
            Count::Sum(event, column, of) => Count::Sum(event, column, clip(of)?),
            Count::People | Count::Present { .. } | Count::Value { .. } | Count::Square { .. } => return None,
        };
        Some(Self { count, weights: weights.clone(), ..self.clone() })
    }

    /// Returns how many units of one cell one of what is counted there is.
    pub fn per_one_at(&self, cell: usize) -> u64 {
        self.weights.at(cell).map_or(1, u64::from).saturating_mul(self.per_unit())
    }

    /// Returns how many cells it has.
    pub fn cells(&self) -> usize {
        self.axes.iter().map(|axis| axis.cells as usize).product()
    }

    /// Returns the event type it reads, if any.
    pub fn event(&self) -> Option<EventTypeId> {
        match self.count {
            Count::Events(event, _) | Count::Sum(event, ..) => Some(event),
            Count::People | Count::Present { .. } | Count::Value { .. } | Count::Square { .. } => {
                self.axes.iter().find_map(|axis| axis.of.event())
            }
        }
    }

    /// Returns the squared L2 norm that no subject's contribution exceeds, in the units of the cells.
    pub fn norm_squared(&self) -> u128 {
        match self.count {
            Count::People => {
                let of_events = self.axes.iter().filter(|axis| axis.of.event().is_some());
                let distinct: u128 = of_events.clone().map(|axis| u128::from(axis.max_distinct)).product();
                let cells: u128 = of_events.map(|axis| u128::from(axis.cells)).product();
                let unit = u128::from(super::UNIT.unsigned_abs());
                distinct.min(cells).max(1) * unit * unit
            }
            Count::Events(_, clip)
            | Count::Sum(_, _, clip)
            | Count::Present { clip, .. }
            | Count::Value { clip, .. }
            | Count::Square { clip, .. } => u128::from(clip.norm()) * u128::from(clip.norm()),
        }
    }

    /// Returns how many units of a cell of weight one one of what is counted is: a person, an event, a unit of the field.
    pub fn per_one(&self) -> u64 {
        if self.weights == Weights::EVEN {
            self.per_unit()
        } else {
            u64::from(Weights::ONE).saturating_mul(self.per_unit())
        }
    }

    /// How many units of a cell one of what is clipped is: what is counted, times its weight.
    fn per_unit(&self) -> u64 {
        match self.count {
            Count::People => super::UNIT.unsigned_abs(),
            Count::Events(_, clip)
            | Count::Sum(_, _, clip)
            | Count::Present { clip, .. }
            | Count::Value { clip, .. }
            | Count::Square { clip, .. } => clip.per_one(),
        }
    }
}
