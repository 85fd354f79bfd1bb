//! Funnels, trends, contrasts and retentions as they are drawn.

use super::{Facts, Figure};

/// What every picture says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sheet {
    /// Of whom or what, in a person's words.
    pub title: String,
    /// The segment's expression; empty for everyone.
    pub expression: String,
    /// What a reader must know, a line each.
    pub notes: Vec<String>,
    /// The small print.
    pub facts: Facts,
}

/// A step of a funnel.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// What it is called.
    pub name: String,
    /// How many took it.
    pub people: Figure,
    /// Part of those who took the step before; none for the start, and where noise is all there is.
    pub rate: Option<Figure>,
    /// Part of those who started, likewise.
    pub rate_of_start: Option<Figure>,
}

/// A funnel, from the start on.
#[derive(Debug, Clone, PartialEq)]
pub struct Funnel {
    /// What it says about itself.
    pub sheet: Sheet,
    /// Its steps.
    pub stages: Vec<Stage>,
}

/// One line of a trend.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Which value of a further dimension it is of; empty if there is none.
    pub label: String,
    /// One figure a period.
    pub points: Vec<Figure>,
}

/// What a trend counts, over its periods.
#[derive(Debug, Clone, PartialEq)]
pub struct Trend {
    /// What is counted, in a person's words.
    pub counted: String,
    /// The first day of each period.
    pub periods: Vec<String>,
    /// Its lines, all of as many points as there are periods.
    pub series: Vec<Series>,
    /// Whether the last period was not over.
    pub last_is_open: bool,
}

/// One value of a field in a contrast.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrasted {
    /// The value's public label.
    pub label: String,
    /// Its share of the members, in per cent; none where noise is all there is.
    pub share: Option<Figure>,
    /// Its share of the rest, likewise.
    pub rest: Option<Figure>,
    /// How its share of the members compares with its share of everyone, 100 being the same, and the interval; none where
    /// there are too few to tell.
    pub index: Option<Figure>,
    /// Whether the index is above or below 100 by more than noise explains.
    pub differs: bool,
}

impl Contrasted {
    /// Says what follows from the index.
    pub fn verdict(&self) -> &'static str {
        match self.index {
            None => "too few to tell",
            Some(_) if !self.differs => "no difference shown",
            Some(index) if index.value > 100.0 => "more",
            Some(_) => "less",
        }
    }
}

/// The values of one field in a contrast.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast {
    /// The field in a person's words.
    pub title: String,
    /// Its values, in the order of the domain.
    pub rows: Vec<Contrasted>,
}

/// Those who did something first in one period.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    /// The first day of the period.
    pub from: String,
    /// How many.
    pub people: Figure,
    /// Which part of them did it again 1, 2, .. periods later, in per cent; none where noise is all there is.
    pub rates: Vec<Option<Figure>>,
}

/// A retention matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Retention {
    /// What it says about itself.
    pub sheet: Sheet,
    /// How long a period is: `week`.
    pub period: String,
    /// Its cohorts, by the period of their first event.
    pub cohorts: Vec<Cohort>,
    /// Whether the last period was not over.
    pub last_is_open: bool,
}

impl Retention {
    /// Returns the number of periods after the first.
    pub fn periods(&self) -> usize {
        self.cohorts.iter().map(|cohort| cohort.rates.len()).max().unwrap_or(0)
    }
}
