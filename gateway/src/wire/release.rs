//! Answers, and what is derived from them for display.

use super::{budget, consent, time};
use crate::pipeline::UsedFor;
use policy::id::ClientId;
use policy::schema::{FieldRef, Schema};
use policy::time::Timestamp;
use proto::v1;
use vault::budget::Statement;
use vault::release::display::{self, ShownCell};
use vault::release::{Answer, Cell, Table};

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
    } = answer;
    let schema = context.schema;
    let total = display::shared_total(answer);
    let written = tables.iter().map(|table| (table, display::shown(answer, table, total)));
    let release = v1::Release {
        name: format!("datasets/{}/releases/{release}", schema.dataset),
        tables: written.map(|(table, shown)| self::table(table, &shown, *half_width_1024, schema)).collect(),
        sigma: people_of_u64(*sigma_1024),
        half_width: people_of_u64(*half_width_1024),
        rho: rho.to_string(),
        percent_of_quarter: budget::percent(*rho, schema.cap_quarter),
        charged: context.charged,
        budget: context.statement.map(|statement| budget::encode(schema, context.client, &statement)),
        epoch: epoch.0,
        as_of_time: Some(time::encode(Timestamp::from_seconds(*as_of_seconds))),
        not_private: *not_private,
        leaf: *leaf,
        segment: context.segment.to_owned(),
        r#use: Some(v1::Use {
            purpose: context.used_for.purpose.to_string(),
            basis: consent::of_basis(context.used_for.basis).into(),
        }),
    };
    (release, total.map_or(0, |total| people_to_show(total.value)))
}

fn table(table: &Table, shown: &[ShownCell], half_width_1024: u64, schema: &Schema) -> v1::Table {
    let Table { by, cells } = table;
    let cells = cells.iter().zip(shown);
    v1::Table {
        fields: by.iter().map(|field| schema.path(*field)).collect(),
        displays: by.iter().map(|field| display_words(schema, *field)).collect(),
        cells: cells.map(|(cell, shown)| self::cell(cell, shown.people, half_width_1024, by, schema)).collect(),
    }
}

fn cell(cell: &Cell, people: u64, half_width_1024: u64, by: &[FieldRef], schema: &Schema) -> v1::Cell {
    let Cell { codes, noised } = cell;
    let half = i64::try_from(half_width_1024).unwrap_or(i64::MAX);
    v1::Cell {
        labels: by.iter().zip(codes).map(|(field, code)| label(schema, *field, *code)).collect(),
        noised_1024: *noised,
        people,
        low: people_of(noised.saturating_sub(half)),
        high: people_of(noised.saturating_add(half)),
        codes: codes.iter().map(|code| u32::from(*code)).collect(),
    }
}

fn display_words(schema: &Schema, field: FieldRef) -> String {
    match schema.field(field) {
        Some(found) => found.display.clone(),
        None => schema.path(field),
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
fn people_of(in_1024: i64) -> f64 {
    in_1024 as f64 / 1024.0
}

pub(crate) fn people_of_u64(in_1024: u64) -> f64 {
    people_of(i64::try_from(in_1024).unwrap_or(i64::MAX))
}
