//! What may be asked, and what comes back.

use crate::scan::Weights;
use policy::id::{DatasetId, EpochId};
use policy::privacy::NanoRho;
use policy::schema::{ColumnId, EventTypeId, FieldRef};
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// How many.
    Size,
    /// How many per cell of closed fields or of their cross: one to three, those of events all of one type.
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
    /// A portrait of the members and of the rest of the universe, in disjoint cells, so that both come from one vector and
    /// at the price of one. The segment of the question is whom the members are taken from; `of` says who they are.
    Contrast {
        /// The members.
        of: Segment,
        /// The fields.
        fields: Vec<FieldRef>,
        /// Which events count for event fields.
        window: Window,
    },
    /// A whole portrait as one vector at one price: tables of people by each of many fields, by each of some lists of bands,
    /// and by when they did something. Of the members and of the rest, in disjoint cells, as a contrast; the segment of the
    /// question is whom the members are taken from.
    Profile {
        /// The members; nobody is the rest if there is none.
        of: Option<Segment>,
        /// The fields, a table each.
        fields: Vec<FieldRef>,
        /// Lists of bands, a table each.
        bands: Vec<Vec<Segment>>,
        /// When they did something.
        times: Option<Times>,
        /// Which events count for event fields, hours and weekdays.
        window: Window,
    },
    /// How many came how far: each step is among those who took all before it. Disjoint cells, one for each step as the
    /// last that was taken, so that what is shown never grows from step to step.
    Funnel {
        /// 1 to [`super::MAX_STEPS`] steps.
        steps: Vec<Segment>,
    },
    /// How many are in which of several segments at once: a cell for each combination.
    Overlap {
        /// 1 to [`super::MAX_OVERLAP`] segments.
        others: Vec<Segment>,
    },
    /// How many are in which of several bands, the first that applies; for one list of bands, or for the cross of up to three.
    Bands {
        /// Lists of bands.
        lists: Vec<Vec<Segment>>,
    },
    /// People, events or sums in a table, over fields, times and numbers.
    Table {
        /// What is counted: 1 to [`super::MAX_MEASURES`], people alone.
        measures: Vec<Measure>,
        /// 0 to three dimensions; those over events all of one type.
        by: Vec<By>,
        /// Which events count.
        window: Window,
        /// Whether rare cells are told more finely and frequent ones more coarsely ([`super::Plan::half_widths_differ`]). For
        /// events and sums by fields of events alone, with at least four cells. Left out of keys where it is not.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        weighed: bool,
    },
    /// How long people's vectors over the cells of such a table are: a histogram of L2 norms, from which a bound can be chosen.
    /// Of those of whom an event counts.
    Norms {
        /// Whose length: of numbers of events of a type, or of sums of a number field of one.
        of: FieldRef,
        /// The dimensions of the table, as there.
        by: Vec<By>,
        /// Which events count.
        window: Window,
        /// Ascending lengths between which people are counted, in units of what is counted, above 0.
        edges: Vec<u64>,
    },
    /// How many of those who did something first in one period did it again in others.
    Retention {
        /// What they did.
        event: EventTypeId,
        /// Ascending days (since 1970-01-01) at which periods begin; the last one ends the last.
        days: Vec<i32>,
    },
    /// The values of a field with a closed domain that most people have, and how many do; missing is no value.
    Top {
        /// The field.
        field: FieldRef,
        /// How many values: 1 to [`super::MAX_TOP`].
        k: u32,
        /// Which events count.
        window: Window,
    },
    /// The mean of a number attribute: how many have one, and their sum less the middle of its public bounds.
    Mean {
        /// The attribute.
        field: FieldRef,
    },
    /// The mean of a number attribute and its standard deviation: as of a mean, and the sum of squares.
    Spread {
        /// The attribute.
        field: FieldRef,
    },
}

impl Kind {
    /// Returns the kind as a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Breakdown { .. } => "breakdown",
            Self::Portrait { .. } => "portrait",
            Self::Contrast { .. } => "contrast",
            Self::Profile { .. } => "whole portrait",
            Self::Funnel { .. } => "funnel",
            Self::Overlap { .. } => "overlap",
            Self::Bands { .. } => "bands",
            Self::Table { .. } => "table",
            Self::Norms { .. } => "histogram of norms",
            Self::Retention { .. } => "retention",
            Self::Top { .. } => "top",
            Self::Mean { .. } => "mean",
            Self::Spread { .. } => "spread",
        }
    }

    /// Says whether two draws of it can be combined: their cells are the same.
    pub(crate) fn adds_up(&self) -> bool {
        !matches!(self, Self::Top { .. })
    }

    /// Returns every field and event type it asks for, through its segments too; some perhaps more than once.
    pub fn fields(&self) -> Vec<FieldRef> {
        match self {
            Self::Size => Vec::new(),
            Self::Breakdown { by, .. } => by.clone(),
            Self::Portrait { fields, .. } => fields.clone(),
            Self::Contrast { of, fields, .. } => fields.iter().copied().chain(of.fields()).collect(),
            Self::Profile { of, fields, bands, times, .. } => {
                let segments = of.iter().chain(bands.iter().flatten());
                let times = times.iter().map(|times| FieldRef::Event(times.event));
                fields.iter().copied().chain(segments.flat_map(Segment::fields)).chain(times).collect()
            }
            Self::Funnel { steps } => steps.iter().flat_map(Segment::fields).collect(),
            Self::Overlap { others } => others.iter().flat_map(Segment::fields).collect(),
            Self::Bands { lists } => lists.iter().flatten().flat_map(Segment::fields).collect(),
            Self::Table { measures, by, .. } => {
                measures.iter().filter_map(|measure| measure.field()).chain(by.iter().map(By::field)).collect()
            }
            Self::Norms { of, by, .. } => std::iter::once(*of).chain(by.iter().map(By::field)).collect(),
            Self::Retention { event, .. } => vec![FieldRef::Event(*event)],
            Self::Top { field, .. } | Self::Mean { field } | Self::Spread { field } => vec![*field],
        }
    }
}

impl Measure {
    fn field(self) -> Option<FieldRef> {
        match self {
            Self::People => None,
            Self::Events { event, .. } => Some(FieldRef::Event(event)),
            Self::Sum { field, .. } => Some(field),
        }
    }
}

impl By {
    fn field(&self) -> FieldRef {
        match self {
            Self::Field(field) | Self::Bins { field, .. } => *field,
            Self::Periods { event, .. } | Self::Hours(event) | Self::Weekdays(event) => FieldRef::Event(*event),
        }
    }
}

/// What a table counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Measure {
    /// Distinct people.
    People,
    /// Events.
    Events {
        /// The event type.
        event: EventTypeId,
        /// Most events (L2 over the cells) that one person counts for.
        bound: u64,
    },
    /// The sum of a number field of events, missing ones being 0.
    Sum {
        /// The field.
        field: FieldRef,
        /// Largest sum (L2 over the cells, in units of the field) that one person counts for.
        bound: u64,
    },
}

/// A dimension of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum By {
    /// A field with a closed domain.
    Field(FieldRef),
    /// Periods between ascending days (since 1970-01-01) in the dataset's zone.
    Periods {
        /// Of events of this type.
        event: EventTypeId,
        /// The days, one more than periods.
        days: Vec<i32>,
    },
    /// The hour of day of events of this type.
    Hours(EventTypeId),
    /// The weekday of events of this type.
    Weekdays(EventTypeId),
    /// A number attribute between ascending edges, in units of the field.
    Bins {
        /// The attribute.
        field: FieldRef,
        /// The edges.
        edges: Vec<i64>,
    },
}

/// When people did something, a table each: of the events of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Times {
    /// What they did.
    pub event: EventTypeId,
    /// By hour of day.
    pub hours: bool,
    /// By weekday.
    pub weekdays: bool,
    /// By the periods between these ascending days (since 1970-01-01); none for no such table.
    pub days: Vec<i32>,
}

/// One noised cell. Integers: 1024 is one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Codes along the table's dimensions; of a field 0 is missing, 1.. the domain.
    pub codes: Vec<u16>,
    /// The draw, in 1/1024 of what is counted, unclamped.
    pub noised: i64,
}

/// A dimension of an answered table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dimension {
    /// An attribute with a closed domain.
    Attribute(ColumnId),
    /// An event field with a closed domain.
    EventField(EventTypeId, ColumnId),
    /// Whether in the segment whose portrait it is: 1, or in the rest: 0.
    Member,
    /// How many of so many steps were taken.
    Steps(u16),
    /// Which of so many segments somebody is in, as bits.
    Flags(u16),
    /// Which of so many bands, from 1; 0 is none.
    Bands(u16),
    /// Which period between days, from 0.
    Periods(EventTypeId, Vec<i32>),
    /// The period of the first event between days, from 1; 0 is none.
    Cohort(EventTypeId, Vec<i32>),
    /// Hours of day.
    Hours(EventTypeId),
    /// Weekdays, Monday 0.
    Weekdays(EventTypeId),
    /// Below the first of these edges of an attribute is 1, from the last on the highest; 0 is missing.
    Bins(ColumnId, Vec<i64>),
    /// Below the first of these lengths of vectors is 0, from the last on the highest. Of numbers of events, or of sums of a
    /// field of theirs.
    Norms(EventTypeId, Option<ColumnId>, Vec<u64>),
}

impl Dimension {
    /// Returns the field with a closed domain that it is about.
    pub fn field(&self) -> Option<FieldRef> {
        match self {
            Self::Attribute(column) => Some(FieldRef::Attribute(*column)),
            Self::EventField(event, column) => Some(FieldRef::EventField(*event, *column)),
            _ => None,
        }
    }

    /// Says whether everybody is in exactly one cell along it.
    pub fn covers_everyone(&self) -> bool {
        match self {
            Self::Attribute(_)
            | Self::Member
            | Self::Steps(_)
            | Self::Flags(_)
            | Self::Bands(_)
            | Self::Cohort(..)
            | Self::Bins(..) => true,
            Self::EventField(..) | Self::Periods(..) | Self::Hours(_) | Self::Weekdays(_) | Self::Norms(..) => false,
        }
    }
}

/// What the cells of an answered table count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Counted {
    /// People.
    #[default]
    People,
    /// Events, each person's up to a bound.
    Events(EventTypeId, u64),
    /// Sums of an event's number field in its units, each person's up to a bound.
    Sum(EventTypeId, ColumnId, u64),
    /// Sums of an attribute less a center, in its units.
    Value(ColumnId, i64),
    /// People who have that attribute.
    Present(ColumnId),
    /// Sums of squares of an attribute less the center of the sum beside them.
    Square {
        /// The attribute.
        column: ColumnId,
        /// In units of this power of two of its units squared.
        shift: u32,
        /// Less this many units for each person who has it.
        middle: i64,
    },
}

/// The noise of one table, where tables differ in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableNoise {
    /// Standard deviation in one cell, in 1/1024 of what is counted, rounded up.
    pub sigma_1024: u64,
    /// Half-width that holds for one cell with probability 0.95, noise only, likewise.
    pub half_width_1024: u64,
}

/// The cells of one dimension, or of a cross of them. Every cell of the closed domain, in code order; a size has one table
/// with no dimension and one cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The dimensions.
    pub by: Vec<Dimension>,
    /// The cells.
    pub cells: Vec<Cell>,
    /// What is counted. Left out where it is people.
    #[serde(default, skip_serializing_if = "is_people")]
    pub counted: Counted,
    /// Its own noise, where it is not the answer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<TableNoise>,
    /// By cell, in 1/64: how much less noise than `noise` says it has, which is the root of the mean of the variances then.
    /// None at all where cells have the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<u16>,
}

impl Table {
    /// Returns the noise of a cell, given that of the answer.
    pub fn noise_of(&self, cell: usize, of_answer: TableNoise) -> TableNoise {
        let TableNoise { sigma_1024, half_width_1024 } = self.noise.unwrap_or(of_answer);
        let weight = self.weights.get(cell).copied().unwrap_or(Weights::ONE).max(1);
        let part = |noise: u64| {
            let noise = (u128::from(noise) * u128::from(Weights::ONE)).div_ceil(weight.into());
            u64::try_from(noise).unwrap_or(u64::MAX)
        };
        TableNoise { sigma_1024: part(sigma_1024), half_width_1024: part(half_width_1024) }
    }
}

/// Returns the least version of the format that tells these tables: 3 if cells differ in their noise.
pub(super) fn version_of(tables: &[Table]) -> u32 {
    if tables.iter().all(|table| table.weights.is_empty()) { 1 } else { 3 }
}

fn is_people(counted: &Counted) -> bool {
    *counted == Counted::People
}

/// A release as it is stored and sent; the same question in the same epoch gives the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Version of this format: 1, 2 with `parts`, or 3 with `weights`.
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
    /// Half-width that holds for one cell with probability 0.95, noise only, in 1/1024 of a person, rounded up. Of an
    /// answer whose tables differ, both are the first table's.
    pub half_width_1024: u64,
    /// What was charged when it was drawn; of several draws, for all of them.
    pub rho: NanoRho,
    /// Whether its dataset is a test dataset.
    pub not_private: bool,
    /// Index of the INTENT leaf in the access tree; of several draws, of the last.
    pub leaf: u64,
    /// The draws that it combines, the first first; none if it is one. They are of different instants: who withdrew in between
    /// is in the earlier alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// One draw of an answer that combines several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What was charged for it.
    pub rho: NanoRho,
    /// Index of its INTENT leaf in the access tree.
    pub leaf: u64,
}

impl Answer {
    /// Returns the noise of a cell of each table that has none of its own.
    pub fn noise(&self) -> TableNoise {
        TableNoise { sigma_1024: self.sigma_1024, half_width_1024: self.half_width_1024 }
    }

    /// Returns what was charged for its last draw.
    pub fn last_charge(&self) -> NanoRho {
        self.parts.last().map_or(self.rho, |part| part.rho)
    }
}
