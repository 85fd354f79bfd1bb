//! What follows from releases of funnels, contrasts, retentions and means: post-processing of released numbers only.

use super::release::{dimension_label, label};
use policy::schema::{ColumnId, EventTypeId, FieldRef, Schema};
use policy::segment::LocalDays;
use policy::time::Timestamp;
use proto::v1;
use vault::release::display::{self, Estimate};
use vault::release::ratio::{self, Interval};
use vault::release::{Answer, Cell, Counted, Dimension, Table};

/// One person in a draw.
const UNIT: f64 = 1_024.0;

/// Writes the steps of a funnel: `start`, then each by its name.
pub fn funnel(answer: &Answer, names: &[String]) -> Vec<v1::FunnelStep> {
    let Some(table) = answer.tables.first() else { return Vec::new() };
    let reached = display::reached(answer, table);
    let values: Vec<i64> = reached.iter().map(|step| step.value).collect();
    let shown = display::falling(&values);
    let named = std::iter::once("start").chain(names.iter().map(String::as_str));
    let step = |(place, ((name, reached), shown)): (usize, ((&str, &Estimate), &i64))| v1::FunnelStep {
        name: name.to_owned(),
        people: people(*shown),
        reached: Some(people_around(*reached)),
        rate: rate(&shares_from(answer, table, place.saturating_sub(1), place), place),
        rate_of_start: rate(&shares_from(answer, table, 0, place), place),
    };
    named.zip(&reached).zip(&shown).enumerate().map(step).collect()
}

fn rate(share: &Option<Interval>, place: usize) -> Option<v1::Estimate> {
    if place == 0 { None } else { share.and_then(percent) }
}

/// The part of those who came to step `from` that came to step `to`, from disjoint cells.
fn shares_from(answer: &Answer, table: &Table, from: usize, to: usize) -> Option<Interval> {
    ratio::share(sum(answer, table.cells.get(to..)?), sum(answer, table.cells.get(from..to)?))
}

/// The sum of independent draws.
fn sum(answer: &Answer, cells: &[Cell]) -> Estimate {
    let variance = u128::from(answer.sigma_1024).pow(2) * cells.len() as u128;
    Estimate {
        value: cells.iter().fold(0, |sum, cell| cell.noised.saturating_add(sum)),
        sigma: u64::try_from(variance.isqrt() + 1).unwrap_or(u64::MAX),
    }
}

/// Writes the segments of an overlap: how many are in each, and which part of them is in each of the others.
pub fn overlapped(answer: &Answer, names: &[String]) -> Vec<v1::Overlapped> {
    let Some(table) = answer.tables.first() else { return Vec::new() };
    let of = |wanted: u16, unwanted: u16| {
        let is = |cell: &&Cell| cell.codes.iter().all(|code| code & wanted == wanted && code & unwanted == 0);
        sum(answer, &table.cells.iter().filter(is).cloned().collect::<Vec<_>>())
    };
    let bits: Vec<(u16, &String)> = (0..16).map(|bit| 1 << bit).zip(names).collect();
    let segment = |(bit, name): &(u16, &String)| v1::Overlapped {
        name: (*name).clone(),
        people: Some(people_around(of(*bit, 0))),
        shared: bits
            .iter()
            .filter(|(other, _)| other != bit)
            .map(|(other, name)| v1::Shared {
                name: (*name).clone(),
                rate: ratio::share(of(bit | other, 0), of(*bit, *other)).and_then(percent),
            })
            .collect(),
    };
    bits.iter().map(segment).collect()
}

/// Writes a contrast, value by value. Totals of members and others are those that all tables over attributes share.
pub fn contrast(answer: &Answer, schema: &Schema) -> Vec<v1::ContrastRow> {
    let totals = [1, 0].map(|member| total(answer, member));
    answer.tables.iter().flat_map(|table| rows(answer, table, totals, schema)).collect()
}

/// The inverse-variance mean of each attribute table's sum over the members, or over the others.
fn total(answer: &Answer, member: u16) -> Option<Estimate> {
    display::shared_total(&display::half(answer, member))
}

fn rows(answer: &Answer, table: &Table, totals: [Option<Estimate>; 2], schema: &Schema) -> Vec<v1::ContrastRow> {
    let Some(field) = table.by.get(1).and_then(Dimension::field) else { return Vec::new() };
    let one = |cell: &Cell| Estimate { value: cell.noised, sigma: answer.sigma_1024 };
    let find = |member: u16, code: u16| table.cells.iter().find(|cell| cell.codes == [member, code]).map(one);
    let codes = table.cells.iter().filter_map(|cell| match cell.codes.as_slice() {
        [1, code] => Some(*code),
        _ => None,
    });
    let row = |code: u16| {
        let [members, others] = [find(1, code)?, find(0, code)?];
        let index = match totals {
            [Some(all_members), Some(all_others)] => ratio::index(members, others, all_members, all_others),
            _ => None,
        };
        Some(v1::ContrastRow {
            field: schema.path(field),
            label: label(schema, field, code),
            share: totals.first().copied().flatten().and_then(|all| part(members, all)),
            share_of_rest: totals.last().copied().flatten().and_then(|all| part(others, all)),
            index: index.map(plain),
            differs: index.is_some_and(|index| index.low > 100.0 || index.high < 100.0),
        })
    };
    codes.filter_map(row).collect()
}

/// A cell's part of a total that is known better than the cell: as if both were independent, which makes the interval a
/// little wider than it must be.
pub(super) fn part(cell: Estimate, total: Estimate) -> Option<v1::Estimate> {
    let Interval { middle, low, high } = ratio::quotient(cell, total)?;
    // A draw far below nothing leaves its noise, which is not nothing.
    let high = high.max((high - low) / 2.0);
    let within = |part: f64| part.clamp(0.0, 1.0);
    percent(Interval { middle: within(middle), low: within(low), high: within(high) })
}

/// Writes a mean, given the number of people who have a value and the sum of their values less a center.
pub fn mean(answer: &Answer, schema: &Schema) -> Option<v1::Estimate> {
    let [count, sum, ..] = answer.tables.as_slice() else { return None };
    let Counted::Value(column, center) = sum.counted else { return None };
    let ten = units(schema, column)?;
    let Interval { middle, low, high } = ratio::quotient(only(sum)?, only(count)?)?;
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    let value = |offset: f64| (center as f64 + offset) / ten;
    Some(v1::Estimate { value: value(middle), low: value(low), high: value(high) })
}

/// Writes the standard deviation around a mean, given the sum of squares too.
pub fn deviation(answer: &Answer, schema: &Schema) -> Option<v1::Estimate> {
    let [count, sum, squares] = answer.tables.as_slice() else { return None };
    let Counted::Square { column, shift, middle } = squares.counted else { return None };
    let ten = units(schema, column)?;
    let found = ratio::deviation(only(count)?, only(sum)?, only(squares)?, shift, middle)?;
    let Interval { middle, low, high } = found;
    Some(v1::Estimate { value: middle / ten, low: low / ten, high: high / ten })
}

/// How many stored units one of a number attribute is.
fn units(schema: &Schema, column: ColumnId) -> Option<f64> {
    let field = schema.field(FieldRef::Attribute(column))?;
    Some(10_f64.powi(i32::from(field.ty.scale())))
}

/// The number of a table of one cell.
fn only(table: &Table) -> Option<Estimate> {
    let (cell, noise) = (table.cells.first()?, table.noise_of(0, table.noise?));
    Some(Estimate { value: cell.noised, sigma: noise.sigma_1024 })
}

/// Writes quantiles of a histogram: the bins of those who have a value.
pub fn quantiles(answer: &Answer, schema: &Schema, permilles: &[u16]) -> Vec<v1::Quantile> {
    let Some(table) = answer.tables.first() else { return Vec::new() };
    let Some(Dimension::Bins(column, edges)) = table.by.first() else { return Vec::new() };
    let scale = schema.field(FieldRef::Attribute(*column)).map_or(0, |field| field.ty.scale());
    let bins: Vec<i64> = table.cells.iter().skip(1).map(|cell| cell.noised).collect();
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    let edge = |place: usize| edges.get(place).map(|edge| *edge as f64 / 10_f64.powi(scale.into()));
    let find = |permille: &u16| {
        let (low, high) = ratio::quantile(&bins, answer.sigma_1024, *permille)?;
        let low = low.checked_sub(1).and_then(edge);
        Some(v1::Quantile { permille: (*permille).into(), low, high: edge(high) })
    };
    permilles.iter().filter_map(find).collect()
}

/// Writes means per event wherever an answer has both sums and the number of events they are of, over the same cells.
pub fn means(answer: &Answer, schema: &Schema) -> Vec<v1::EventMean> {
    let events = |event: EventTypeId| {
        let of = |table: &&Table| matches!(table.counted, Counted::Events(counted, _) if counted == event);
        answer.tables.iter().find(of)
    };
    let pair = |sums: &Table| match sums.counted {
        Counted::Sum(event, column, _) => {
            Some(event_means(sums, events(event)?, FieldRef::EventField(event, column), schema))
        }
        _ => None,
    };
    answer.tables.iter().filter_map(pair).flatten().collect()
}

fn event_means(sums: &Table, events: &Table, field: FieldRef, schema: &Schema) -> Vec<v1::EventMean> {
    let (Some(of_sums), Some(of_events), Some(described)) = (sums.noise, events.noise, schema.field(field)) else {
        return Vec::new();
    };
    let ten = 10_f64.powi(i32::from(described.ty.scale()));
    let mean = |(at, (sum, count)): (usize, (&Cell, &Cell))| {
        let sum_of = Estimate { value: sum.noised, sigma: sums.noise_of(at, of_sums).sigma_1024 };
        let count_of = Estimate { value: count.noised, sigma: events.noise_of(at, of_events).sigma_1024 };
        let quotient = ratio::quotient(sum_of, count_of);
        let units =
            |Interval { middle, low, high }| v1::Estimate { value: middle / ten, low: low / ten, high: high / ten };
        let labels = sums.by.iter().zip(&sum.codes).map(|(by, code)| dimension_label(schema, by, *code));
        v1::EventMean { of: schema.path(field), labels: labels.collect(), mean: quotient.map(units) }
    };
    sums.cells.iter().zip(&events.cells).enumerate().map(mean).collect()
}

/// Writes the cohorts of a retention, each from its first period on.
pub fn cohorts(answer: &Answer) -> Vec<v1::RetentionCohort> {
    let Some(table) = answer.tables.first() else { return Vec::new() };
    let Some(Dimension::Cohort(_, days)) = table.by.first() else { return Vec::new() };
    let at = |cohort: usize, period: usize| {
        let wanted = [cohort + 1, period].map(|place| u16::try_from(place).unwrap_or(u16::MAX));
        let cell = table.cells.iter().find(|cell| cell.codes == wanted)?;
        Some(Estimate { value: cell.noised, sigma: answer.sigma_1024 })
    };
    let periods = days.len().saturating_sub(1);
    let cohort = |(first, day): (usize, &i32)| {
        // Whoever began in a period did it in that period.
        let began = at(first, first)?;
        let later = (first + 1..periods).filter_map(|period| {
            let again = at(first, period)?;
            let after = u32::try_from(period - first).unwrap_or(u32::MAX);
            Some(v1::Retained { after, people: Some(people_around(again)), rate: part(again, began) })
        });
        Some(v1::RetentionCohort {
            from: policy::time::format_day(*day).unwrap_or_default(),
            people: Some(people_around(began)),
            later: later.collect(),
        })
    };
    days.iter().take(periods).enumerate().filter_map(cohort).collect()
}

/// Says whether the epoch of an answer ended before its last period did.
pub fn last_is_open(answer: &Answer, schema: &Schema) -> bool {
    let by = answer.tables.iter().flat_map(|table| &table.by);
    let ends = by.filter_map(|by| match by {
        Dimension::Periods(_, days) => days.last().copied(),
        _ => None,
    });
    let as_of = Timestamp::from_seconds(answer.as_of_seconds);
    let Ok(days) = LocalDays::new(&schema.time_zone, as_of) else { return true };
    ends.max().is_some_and(|end| i64::from(end) > days.day(as_of.0))
}

/// A part in per cent. None where it may be nothing and may be all: then noise is all there is.
pub(super) fn percent(Interval { middle, low, high }: Interval) -> Option<v1::Estimate> {
    let is_known = low > 0.0 || high < 1.0;
    is_known.then_some(v1::Estimate { value: 100.0 * middle, low: 100.0 * low, high: 100.0 * high })
}

pub(super) fn plain(Interval { middle, low, high }: Interval) -> v1::Estimate {
    v1::Estimate { value: middle, low, high }
}

fn people(units: i64) -> u64 {
    units.max(0).unsigned_abs().saturating_add(512) / 1_024
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
pub(crate) fn people_around(Estimate { value, sigma }: Estimate) -> v1::Estimate {
    let (value, half) = (value as f64 / UNIT, 1.96 * sigma as f64 / UNIT);
    v1::Estimate { value, low: value - half, high: value + half }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
