//! Answers, and what is derived from them for display.

use super::{budget, consent, time};
use crate::pipeline::UsedFor;
use policy::id::ClientId;
use policy::schema::{ColumnId, EventTypeId, FieldRef, Schema};
use policy::time::{Timestamp, format_day};
use proto::v1;
use vault::budget::Statement;
use vault::release::display::{self, ShownCell};
use vault::release::{Answer, Cell, Counted, Dimension, Part, Table, TableNoise};

/// What a missing value is called.
pub const MISSING: &str = "(missing)";

/// What a release is shown with.
#[derive(Debug)]
pub struct Context<'a> {
    /// The dataset.
    pub schema: &'a Schema,
    /// Who asked.
    pub client: &'a ClientId,
    /// For what.
    pub used_for: &'a UsedFor,
    /// The segment in canonical form.
    pub segment: &'a str,
    /// Whether this call was charged.
    pub charged: bool,
    /// The ledger after it, if the caller may read it.
    pub statement: Option<Statement>,
    /// The synopsis that it is from, if it is.
    pub synopsis: Option<v1::FromSynopsis>,
}

/// Writes an answer. Also returns one total for all its attribute tables, in people.
pub fn encode(answer: &Answer, context: &Context<'_>) -> (v1::Release, u64) {
    let Answer {
        version: _,
        release,
        epoch,
        as_of_seconds,
        tables,
        sigma_1024,
        half_width_1024,
        rho,
        not_private,
        leaf,
        parts,
    } = answer;
    let schema = context.schema;
    let total = display::shared_total(answer);
    let written = tables.iter().map(|table| (table, display::shown(answer, table, total)));
    let release = v1::Release {
        name: format!("datasets/{}/releases/{release}", schema.dataset),
        tables: written.map(|(table, shown)| self::table(table, &shown, answer.noise(), schema)).collect(),
        sigma: people_of_u64(*sigma_1024),
        half_width: people_of_u64(*half_width_1024),
        rho: rho.to_string(),
        percent_of_quarter: budget::percent(*rho, schema.cap_quarter),
        charged: context.charged,
        budget: context.statement.as_ref().map(|statement| budget::encode(schema, context.client, statement)),
        epoch: epoch.0,
        as_of_time: Some(time::encode(Timestamp::from_seconds(*as_of_seconds))),
        not_private: *not_private,
        leaf: *leaf,
        segment: context.segment.to_owned(),
        r#use: Some(v1::Use {
            purpose: context.used_for.purpose.to_string(),
            basis: consent::of_basis(context.used_for.basis).into(),
        }),
        synopsis: context.synopsis.clone(),
        draws: parts.iter().map(|Part { rho, leaf }| v1::Draw { rho: rho.to_string(), leaf: *leaf }).collect(),
    };
    (release, total.map_or(0, |total| people_to_show(total.value)))
}

fn table(table: &Table, shown: &[ShownCell], of_answer: TableNoise, schema: &Schema) -> v1::Table {
    let Table { by, cells, counted, noise, weights: _ } = table;
    let TableNoise { sigma_1024, half_width_1024 } = noise.unwrap_or(of_answer);
    let unit = unit(*counted, schema);
    let cells = cells.iter().zip(shown).enumerate().map(|(at, (cell, shown))| {
        let half_width = table.noise_of(at, of_answer).half_width_1024;
        self::cell(cell, shown, half_width, unit, table, schema)
    });
    v1::Table {
        fields: by.iter().map(|dimension| dimension_name(schema, dimension)).collect(),
        displays: by.iter().map(|dimension| display_words(schema, dimension)).collect(),
        cells: cells.collect(),
        counted: counted_name(*counted, schema),
        sigma: people_of_u64(sigma_1024) / unit,
        half_width: people_of_u64(half_width_1024) / unit,
        bound: bound(*counted) / unit,
    }
}

fn cell(cell: &Cell, shown: &ShownCell, half_width_1024: u64, unit: f64, table: &Table, schema: &Schema) -> v1::Cell {
    let Cell { codes, noised } = cell;
    let half = i64::try_from(half_width_1024).unwrap_or(i64::MAX);
    let least = if may_be_negative(table.counted, schema) { f64::NEG_INFINITY } else { 0.0 };
    v1::Cell {
        labels: table.by.iter().zip(codes).map(|(by, code)| dimension_label(schema, by, *code)).collect(),
        noised_1024: *noised,
        people: if table.counted == Counted::People { shown.people } else { 0 },
        low: people_of(noised.saturating_sub(half)) / unit,
        high: people_of(noised.saturating_add(half)) / unit,
        codes: codes.iter().map(|code| u32::from(*code)).collect(),
        value: (people_of(*noised) / unit).max(least),
    }
}

/// How many stored units one of what is counted is: 100 for a sum in cents, 10,000 for one of squares.
fn unit(counted: Counted, schema: &Schema) -> f64 {
    let field = number_field(counted).and_then(|field| schema.field(field));
    let ten = 10_f64.powi(field.map_or(0, |field| field.ty.scale().into()));
    match counted {
        Counted::Square { shift, .. } => ten * ten / 2_f64.powi(i32::try_from(shift).unwrap_or(i32::MAX)),
        _ => ten,
    }
}

fn number_field(counted: Counted) -> Option<FieldRef> {
    match counted {
        Counted::Sum(event, column, _) => Some(FieldRef::EventField(event, column)),
        Counted::Value(column, _) | Counted::Square { column, .. } => Some(FieldRef::Attribute(column)),
        Counted::People | Counted::Events(..) | Counted::Present(_) => None,
    }
}

fn may_be_negative(counted: Counted, schema: &Schema) -> bool {
    match counted {
        Counted::Value(..) | Counted::Square { .. } => true,
        Counted::Sum(..) => {
            let bounds = number_field(counted).and_then(|field| schema.field(field)?.ty.bounds());
            bounds.is_none_or(|(min, _)| min < 0)
        }
        Counted::People | Counted::Events(..) | Counted::Present(_) => false,
    }
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn bound(counted: Counted) -> f64 {
    match counted {
        Counted::Events(_, bound) | Counted::Sum(_, _, bound) => bound as f64,
        Counted::People | Counted::Value(..) | Counted::Present(_) | Counted::Square { .. } => 0.0,
    }
}

fn counted_name(counted: Counted, schema: &Schema) -> String {
    match counted {
        Counted::People | Counted::Present(_) => "people".to_owned(),
        Counted::Events(event, _) => schema.path(FieldRef::Event(event)),
        Counted::Sum(..) | Counted::Value(..) => {
            number_field(counted).map_or_else(String::new, |field| schema.path(field))
        }
        Counted::Square { column, .. } => format!("{} squared", schema.path(FieldRef::Attribute(column))),
    }
}

fn dimension_name(schema: &Schema, dimension: &Dimension) -> String {
    match dimension {
        Dimension::Attribute(column) | Dimension::Bins(column, _) => schema.path(FieldRef::Attribute(*column)),
        Dimension::EventField(event, column) => schema.path(FieldRef::EventField(*event, *column)),
        Dimension::Member => "member".to_owned(),
        Dimension::Steps(_) => "steps".to_owned(),
        Dimension::Flags(_) => "segments".to_owned(),
        Dimension::Bands(_) => "band".to_owned(),
        Dimension::Periods(..) => "period".to_owned(),
        Dimension::Cohort(..) => "first_period".to_owned(),
        Dimension::Hours(_) => "hour".to_owned(),
        Dimension::Weekdays(_) => "weekday".to_owned(),
        Dimension::Norms(event, column, _) => schema.path(normed(*event, *column)),
    }
}

/// What a vector is of.
fn normed(event: EventTypeId, column: Option<ColumnId>) -> FieldRef {
    column.map_or(FieldRef::Event(event), |column| FieldRef::EventField(event, column))
}

fn display_words(schema: &Schema, dimension: &Dimension) -> String {
    let event = |event| schema.events.iter().find(|known| known.id == event).map_or("", |known| known.display.as_str());
    match dimension {
        Dimension::Bins(column, _) => {
            let field = schema.field(FieldRef::Attribute(*column));
            field.map_or_else(String::new, |field| field.display.clone())
        }
        Dimension::Member => "in the segment".to_owned(),
        Dimension::Steps(_) => "last step taken".to_owned(),
        Dimension::Flags(_) => "in which segments".to_owned(),
        Dimension::Bands(_) => "band".to_owned(),
        Dimension::Periods(of, _) => format!("{} from", event(*of)),
        Dimension::Cohort(of, _) => format!("first {} from", event(*of)),
        Dimension::Hours(of) => format!("{} by hour of day", event(*of)),
        Dimension::Weekdays(of) => format!("{} by weekday", event(*of)),
        Dimension::Norms(..) => format!("{} of one person", dimension_name(schema, dimension)),
        Dimension::Attribute(_) | Dimension::EventField(..) => {
            let field = dimension.field().and_then(|field| schema.field(field));
            field.map_or_else(|| dimension_name(schema, dimension), |field| field.display.clone())
        }
    }
}

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Names a code along a dimension.
pub fn dimension_label(schema: &Schema, dimension: &Dimension, code: u16) -> String {
    let place = usize::from(code);
    let day = |days: &[i32], place: usize| days.get(place).and_then(|day| format_day(*day)).unwrap_or_default();
    match dimension {
        Dimension::Attribute(column) => label(schema, FieldRef::Attribute(*column), code),
        Dimension::EventField(event, column) => label(schema, FieldRef::EventField(*event, *column), code),
        Dimension::Member => if code == 1 { "true" } else { "false" }.to_owned(),
        Dimension::Steps(_) | Dimension::Flags(_) | Dimension::Bands(_) => code.to_string(),
        Dimension::Periods(_, days) => day(days, place),
        Dimension::Cohort(_, days) => place.checked_sub(1).map_or("(none)".to_owned(), |place| day(days, place)),
        Dimension::Hours(_) => format!("{code:02}"),
        Dimension::Weekdays(_) => WEEKDAYS.get(place).copied().unwrap_or_default().to_owned(),
        Dimension::Bins(column, edges) => bin_label(schema, FieldRef::Attribute(*column), edges, place),
        Dimension::Norms(event, column, edges) => {
            let edges: Vec<i64> = edges.iter().map(|edge| i64::try_from(*edge).unwrap_or(i64::MAX)).collect();
            // The first cell is below the first edge: none is missing.
            bin_label(schema, normed(*event, *column), &edges, place.saturating_add(1))
        }
    }
}

/// Names a bin by its edges, the lower one being in it.
fn bin_label(schema: &Schema, field: FieldRef, edges: &[i64], place: usize) -> String {
    let show = |edge: &i64| schema.field(field).map_or_else(|| edge.to_string(), |field| field.ty.show(*edge));
    let low = place.checked_sub(2).and_then(|place| edges.get(place));
    let high = place.checked_sub(1).and_then(|place| edges.get(place));
    match (low, high) {
        (None, None) => MISSING.to_owned(),
        (None, Some(high)) => format!("below {}", show(high)),
        (Some(low), Some(high)) => format!("{} to below {}", show(low), show(high)),
        (Some(low), None) => format!("{} and more", show(low)),
    }
}

/// Returns the label of a dictionary code.
pub fn label(schema: &Schema, field: FieldRef, code: u16) -> String {
    let label = schema.field(field).and_then(|field| field.label(code));
    label.unwrap_or(MISSING).to_owned()
}

/// Rounds to people, never below none.
fn people_to_show(in_1024: i64) -> u64 {
    in_1024.max(0).unsigned_abs().saturating_add(512) / 1024
}

#[expect(clippy::cast_precision_loss, reason = "counts of people times 1024 are far below 2^53")]
pub(super) fn people_of(in_1024: i64) -> f64 {
    in_1024 as f64 / 1024.0
}

pub(crate) fn people_of_u64(in_1024: u64) -> f64 {
    people_of(i64::try_from(in_1024).unwrap_or(i64::MAX))
}
