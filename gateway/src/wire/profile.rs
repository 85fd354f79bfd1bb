//! What follows from the release of a whole portrait: post-processing of released numbers only.

use super::insight::{part, percent, plain};
use super::release::{dimension_label, people_of, people_of_u64};
use crate::insight::advice::{Noise, Unreadable, unreadable};
use policy::privacy::NanoRho;
use policy::schema::Schema;
use proto::v1;
use vault::release::display::{self, Estimate};
use vault::release::ratio;
use vault::release::{Answer, Cell, Dimension, Table};

/// A part of a portrait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A table for each field.
    Fields,
    /// A table for each list of bands.
    Bands,
    /// Hours of day.
    Hours,
    /// Weekdays.
    Weekdays,
    /// Periods.
    Trend,
}

impl Part {
    /// All of them, in the order of their tables.
    pub const ALL: [Self; 5] = [Self::Fields, Self::Bands, Self::Hours, Self::Weekdays, Self::Trend];

    /// Returns what it is called.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fields => "fields",
            Self::Bands => "bands",
            Self::Hours => "hours",
            Self::Weekdays => "weekdays",
            Self::Trend => "trend",
        }
    }

    /// What its rows are called.
    fn rows(self) -> &'static str {
        match self {
            Self::Fields => "values",
            Self::Bands => "bands",
            Self::Hours => "hours",
            Self::Weekdays => "weekdays",
            Self::Trend => "periods",
        }
    }

    /// Says whether its shares are of when people did something, and not of people.
    pub fn is_of_times(self) -> bool {
        matches!(self, Self::Hours | Self::Weekdays | Self::Trend)
    }
}

/// What one table of a portrait is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    /// The part that it is of.
    pub part: Part,
    /// The field, the list of bands or the event type.
    pub name: String,
    /// The same in words for people.
    pub display: String,
    /// By code along its dimension; nothing for those of the description.
    pub labels: Vec<String>,
    /// In how many rows one person counts fully.
    pub counts_fully_in: u32,
}

/// The members' half of an answer, that of the rest if there is one, and the total of each, to which all that counts everyone
/// adds up.
struct Halves {
    members: Answer,
    rest: Option<Answer>,
    totals: [Option<Estimate>; 2],
}

impl Halves {
    fn of(answer: &Answer) -> Self {
        let compared = answer.tables.iter().any(display::has_halves);
        let answer = display::consistent(answer);
        let rest = compared.then(|| display::half(&answer, 0));
        let members = if compared { display::half(&answer, 1) } else { answer };
        let totals = [Some(&members), rest.as_ref()].map(|half| half.and_then(display::shared_total));
        Self { members, rest, totals }
    }

    fn panel(
        &self,
        place: usize,
        (table, panel): (&Table, &Panel),
        schema: &Schema,
        left: Option<NanoRho>,
    ) -> v1::ProfilePanel {
        let Panel { part, name, display, labels, counts_fully_in } = panel;
        let others = self.rest.as_ref().and_then(|rest| Some(Column::of(rest, rest.tables.get(place)?)));
        let column = Column::of(&self.members, table);
        let row = |(place, cell): (usize, &Cell)| {
            let code = cell.codes.first().copied().unwrap_or_default();
            let described = || table.by.first().map_or_else(String::new, |by| dimension_label(schema, by, code));
            let label = labels.get(usize::from(code)).cloned().unwrap_or_else(described);
            let people = shown_people(&self.members, cell);
            let compared = Compared { members: column.at(place), rest: others.as_ref().map(|rest| rest.at(place)) };
            self.row(label, people, *part, compared)
        };
        let display = if display.is_empty() { name.clone() } else { display.clone() };
        let advice = advice(&self.members, table, &format!("{} of {}", part.rows(), display.to_lowercase()), left);
        v1::ProfilePanel {
            part: part.word().to_owned(),
            name: name.clone(),
            display,
            rows: table.cells.iter().enumerate().map(row).collect(),
            counts_fully_in: *counts_fully_in,
            advice: advice.unwrap_or_default(),
        }
    }

    fn row(&self, label: String, people: v1::Estimate, part: Part, compared: Compared) -> v1::ProfileRow {
        let [all, all_others] = self.totals;
        let index = compared.index(part, all.zip(all_others));
        v1::ProfileRow {
            label,
            people: Some(people),
            share: compared.share(part, all),
            share_of_rest: compared.share_of_rest(part, all_others),
            index: index.map(plain),
            differs: index.is_some_and(|index| index.low > 100.0 || index.high < 100.0),
        }
    }
}

/// Writes what follows from an answer, all but the release, the plan and the text. `panels` are its tables, in order; `left` is
/// what is left to pay with.
pub fn encode(answer: &Answer, schema: &Schema, panels: &[Panel], left: Option<NanoRho>) -> v1::ProfileResponse {
    let halves = Halves::of(answer);
    let [members, rest] = halves.totals.map(|total| total.map(people));
    let named = halves.members.tables.iter().zip(panels).enumerate();
    let trend = named.clone().find(|(_, (_, panel))| panel.part == Part::Trend);
    let last_is_open = super::insight::last_is_open(&halves.members, schema);
    v1::ProfileResponse {
        plan: None,
        release: None,
        members,
        rest,
        panels: named.map(|(place, named)| halves.panel(place, named, schema, left)).collect(),
        change: trend.and_then(|(_, (table, _))| change(&halves.members, table, last_is_open)),
        last_is_open: trend.is_some() && last_is_open,
        text: Vec::new(),
    }
}

/// The draws of a table of one dimension, and their sum.
struct Column<'a> {
    cells: &'a [Cell],
    sum: i64,
    sigma: u64,
}

impl<'a> Column<'a> {
    fn of(answer: &Answer, table: &'a Table) -> Self {
        let sum = table.cells.iter().fold(0, |sum: i64, cell| sum.saturating_add(cell.noised));
        Self { cells: &table.cells, sum, sigma: answer.sigma_1024 }
    }

    /// The cell at a place, and all others together: disjoint, so independent.
    fn at(&self, place: usize) -> [Estimate; 2] {
        let value = self.cells.get(place).map_or(0, |cell| cell.noised);
        let others = Estimate {
            value: self.sum.saturating_sub(value),
            sigma: deviation(self.sigma, self.cells.len().saturating_sub(1)),
        };
        [Estimate { value, sigma: self.sigma }, others]
    }
}

/// The standard deviation of the sum of so many draws, rounded up.
fn deviation(sigma: u64, draws: usize) -> u64 {
    let variance = u128::from(sigma).pow(2) * draws as u128;
    u64::try_from(variance.isqrt() + 1).unwrap_or(u64::MAX)
}

/// A cell of the members and all others of its table, and the same of the rest.
struct Compared {
    members: [Estimate; 2],
    rest: Option<[Estimate; 2]>,
}

impl Compared {
    /// Of times, the part of all times; else the part of all people.
    fn share(&self, part_of: Part, all: Option<Estimate>) -> Option<v1::Estimate> {
        let [here, elsewhere] = self.members;
        if part_of.is_of_times() { ratio::share(here, elsewhere).and_then(percent) } else { part(here, all?) }
    }

    fn share_of_rest(&self, part_of: Part, all: Option<Estimate>) -> Option<v1::Estimate> {
        Self { members: self.rest?, rest: None }.share(part_of, all)
    }

    fn index(&self, part_of: Part, totals: Option<(Estimate, Estimate)>) -> Option<ratio::Interval> {
        let ([here, elsewhere], [rest_here, rest_elsewhere]) = (self.members, self.rest?);
        if part_of.is_of_times() {
            return ratio::index_of_parts([here, elsewhere, rest_here, rest_elsewhere]);
        }
        let (all, all_others) = totals?;
        ratio::index(here, rest_here, all, all_others)
    }
}

/// The sum of independent draws.
fn sum(answer: &Answer, cells: &[Cell]) -> Estimate {
    Estimate {
        value: cells.iter().fold(0, |sum, cell| cell.noised.saturating_add(sum)),
        sigma: deviation(answer.sigma_1024, cells.len()),
    }
}

fn shown_people(answer: &Answer, cell: &Cell) -> v1::Estimate {
    let half = i64::try_from(answer.half_width_1024).unwrap_or(i64::MAX);
    let [low, high] = [cell.noised.saturating_sub(half), cell.noised.saturating_add(half)].map(people_of);
    v1::Estimate { value: people_of(cell.noised).max(0.0), low, high }
}

fn people(total: Estimate) -> v1::Estimate {
    let half = 1.96 * people_of(i64::try_from(total.sigma).unwrap_or(i64::MAX));
    let value = people_of(total.value);
    v1::Estimate { value: value.max(0.0), low: value - half, high: value + half }
}

/// By how much the second half of the periods that are over is above the first, in per cent.
fn change(answer: &Answer, table: &Table, last_is_open: bool) -> Option<v1::Estimate> {
    let over = table.cells.get(..table.cells.len().saturating_sub(usize::from(last_is_open)))?;
    let half = over.len() / 2;
    let (first, second) = (over.get(..half)?, over.get(over.len() - half..)?);
    let ratio::Interval { middle, low, high } = ratio::quotient(sum(answer, second), sum(answer, first))?;
    let above = |quotient: f64| 100.0 * (quotient.max(0.0) - 1.0);
    Some(v1::Estimate { value: above(middle), low: above(low), high: above(high) })
}

/// Says what would make a table readable, unless it is.
fn advice(answer: &Answer, table: &Table, words: &str, left: Option<NanoRho>) -> Option<String> {
    let known = table.cells.iter().filter(|cell| !is_unknown(table, cell));
    let draws: Vec<i64> = known.map(|cell| cell.noised).collect();
    let noise = Noise {
        sigma: people_of_u64(answer.sigma_1024),
        half_width: people_of_u64(answer.half_width_1024),
        rho: answer.rho,
        left,
    };
    let Unreadable { price, .. } = unreadable(people_of(draws.iter().sum::<i64>().max(0)), draws.len(), &noise)?;
    let price = price.map_or_else(String::new, |price| format!(", pay rho {price}"));
    let rows = draws.len();
    Some(format!("Too few people for {rows} {words}: leave other parts out{price}, or widen the segment."))
}

/// Whether a cell is of those of whom nothing is known, or who are in no band.
fn is_unknown(table: &Table, cell: &Cell) -> bool {
    let has_unknown = matches!(
        table.by.first(),
        Some(Dimension::Attribute(_) | Dimension::EventField(..) | Dimension::Bands(_) | Dimension::Bins(..))
    );
    has_unknown && cell.codes.first() == Some(&0)
}

/// Gives bands the names that the question gave them.
pub fn relabel(release: &mut v1::Release, panels: &[Panel]) {
    for (table, panel) in release.tables.iter_mut().zip(panels).filter(|(_, panel)| panel.part == Part::Bands) {
        if let Some(display) = table.displays.last_mut() {
            display.clone_from(&panel.display);
        }
        for cell in &mut table.cells {
            let named = cell.codes.last().and_then(|code| panel.labels.get(*code as usize));
            if let (Some(label), Some(name)) = (cell.labels.last_mut(), named) {
                label.clone_from(name);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
