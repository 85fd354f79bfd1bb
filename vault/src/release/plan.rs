//! From a question to tables, sensitivity, noise and price. Uses the schema and public constants only.

use super::question::{Kind, Question, Table};
use super::{Answer, Cell};
use crate::scan::{self, Axis, TableSpec};
use policy::privacy::NanoRho;
use policy::schema::{Field, FieldRef, FieldType, Schema};
use policy::segment::{Segment, Window, WindowError};
use policy::time::Timestamp;

/// Most cells of one release, over all its tables.
pub const MAX_CELLS: usize = 65_536;

/// Most tables of a portrait.
pub const MAX_TABLES: usize = 64;

/// Why a question has no plan. Names fields of the schema, so it is only for callers who may know of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Not a field of this schema.
    #[error("a field is not in the schema")]
    UnknownField,
    /// An event type as such has no values to break down by.
    #[error("`{0}` is an event type; name one of its fields")]
    EventType(String),
    /// Names people.
    #[error("`{0}` is an identifier and is never counted by")]
    Identifier(String),
    /// Not a public, closed list of values.
    #[error("`{0}` has no closed list of values; break down by an enum or a bool")]
    OpenDomain(String),
    /// A breakdown needs one or two fields.
    #[error("a breakdown is by one field or by two, not {0}")]
    FieldCount(usize),
    /// A portrait needs some fields, and not too many.
    #[error("a portrait has 1 to {MAX_TABLES} fields, not {0}")]
    TableCount(usize),
    /// The same field twice.
    #[error("`{0}` is named twice")]
    Repeated(String),
    /// Only one event field can be crossed.
    #[error("at most one of two crossed fields may be an event's")]
    TwoEventFields,
    /// Too many cells.
    #[error("{0} cells are more than {MAX_CELLS}")]
    TooManyCells(usize),
    /// The price is outside what can be charged.
    #[error("a price is above 0 and at most 1,000,000 rho")]
    Price,
}

/// A question's public side: what is counted, how much noise it gets, and what that costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    tables: Vec<TableSpec>,
    /// By event type: how many events of one subject count.
    limits: Vec<u32>,
    sensitivity_squared: u64,
    rho: NanoRho,
    sigma: u64,
}

/// Plans a question, or says why it can't be asked. Same schema and question, same plan.
pub fn plan(schema: &Schema, question: &Question) -> Result<Plan, PlanError> {
    let (tables, sensitivity_squared) = shape(schema, &question.kind)?;
    let sigma = sigma_for(sensitivity_squared, question.rho).ok_or(PlanError::Price)?;
    let limits = schema.events.iter().map(|event| event.max_per_subject).collect();
    Ok(Plan { tables, limits, sensitivity_squared, rho: question.rho, sigma })
}

/// Returns the least price at which a question of this kind has a half-width of at most `half_width` (people, 95 %,
/// one cell, noise only).
pub fn price_for(schema: &Schema, kind: &Kind, half_width: u32) -> Result<NanoRho, PlanError> {
    let (_, sensitivity_squared) = shape(schema, kind)?;
    let units = u64::from(half_width) * scan::UNIT.unsigned_abs();
    // The largest sigma whose half-width is still `units`, less the unit by which `sigma_for` rounds up.
    let sigma = (units * 100).saturating_sub(50) / 196;
    let sigma = sigma.checked_sub(1).filter(|sigma| *sigma > 0).ok_or(PlanError::Price)?;
    let rho = scaled(sensitivity_squared).div_ceil(2 * u128::from(sigma) * u128::from(sigma));
    u64::try_from(rho).ok().filter(|rho| (1..=MAX_RHO.0).contains(rho)).map(NanoRho).ok_or(PlanError::Price)
}

/// More than any cap that protects: test datasets, which promise nothing, may spend this much on one answer.
const MAX_RHO: NanoRho = NanoRho(1_000_000_000_000_000);

impl Plan {
    /// Returns the tables, in the order of their cells.
    pub fn tables(&self) -> &[TableSpec] {
        &self.tables
    }

    /// Returns the number of cells of all tables.
    pub fn cells(&self) -> usize {
        self.tables.iter().map(TableSpec::cells).sum()
    }

    /// Returns the charge.
    pub fn rho(&self) -> NanoRho {
        self.rho
    }

    /// Returns the squared L2 norm of what one subject can add, in people squared.
    pub fn sensitivity_squared(&self) -> u64 {
        self.sensitivity_squared
    }

    /// Returns the standard deviation of the noise in one cell, in 1/1024 of a person.
    pub fn sigma_1024(&self) -> u64 {
        self.sigma
    }

    /// Returns the half-width that holds for one cell with probability 0.95, noise only, in 1/1024 of a person.
    pub fn half_width_1024(&self) -> u64 {
        (self.sigma * 196 + 50).div_ceil(100)
    }

    /// Resolves the plan for the epoch that ended at `as_of`.
    pub fn scan(
        &self,
        universe: &Segment,
        segment: &Segment,
        as_of: Timestamp,
        zone: &str,
    ) -> Result<scan::Plan, WindowError> {
        scan::Plan::new(universe.root(), segment.root(), &self.tables, &self.limits, as_of, zone)
    }

    /// Lays drawn cells out in tables, in code order. Missing draws, of which there are none, would be left out.
    pub fn lay_out(&self, noised: &[i64]) -> Vec<Table> {
        let mut rest = noised;
        let mut tables = Vec::with_capacity(self.tables.len());
        for spec in &self.tables {
            let (head, tail) = rest.split_at(spec.cells().min(rest.len()));
            rest = tail;
            let cells =
                head.iter().enumerate().map(|(place, noised)| Cell { codes: codes(spec, place), noised: *noised });
            tables.push(Table { by: spec.axes.iter().map(|axis| axis.field).collect(), cells: cells.collect() });
        }
        tables
    }

    /// Fills the numbers of an answer that follow from the plan and its draw; the caller sets the rest.
    pub fn fill(&self, answer: &mut Answer, noised: &[i64]) {
        answer.tables = self.lay_out(noised);
        answer.sigma_1024 = self.sigma;
        answer.half_width_1024 = self.half_width_1024();
        answer.rho = self.rho;
    }
}

/// Codes of the cell at a place of a table, row-major.
fn codes(spec: &TableSpec, mut place: usize) -> Vec<u16> {
    let mut codes = Vec::with_capacity(spec.axes.len());
    for axis in spec.axes.iter().rev() {
        let cells = (axis.cells as usize).max(1);
        codes.push(u16::try_from(place % cells).unwrap_or(u16::MAX));
        place /= cells;
    }
    codes.reverse();
    codes
}

fn shape(schema: &Schema, kind: &Kind) -> Result<(Vec<TableSpec>, u64), PlanError> {
    let tables = match kind {
        Kind::Size => vec![TableSpec { axes: vec![], window: Window::Ever }],
        Kind::Breakdown { by, window } => vec![breakdown(schema, by, *window)?],
        Kind::Portrait { fields, window } => portrait(schema, fields, *window)?,
    };
    let cells = tables.iter().map(TableSpec::cells).sum();
    if cells > MAX_CELLS {
        return Err(PlanError::TooManyCells(cells));
    }
    let sensitivity_squared = tables.iter().map(table_bound).sum();
    Ok((tables, sensitivity_squared))
}

/// The squared norm one subject can add to a table: the `l0` of its event field, 1 without.
fn table_bound(table: &TableSpec) -> u64 {
    table.axes.iter().map(|axis| u64::from(axis.max_distinct)).product()
}

fn breakdown(schema: &Schema, by: &[FieldRef], window: Window) -> Result<TableSpec, PlanError> {
    if !(1..=2).contains(&by.len()) {
        return Err(PlanError::FieldCount(by.len()));
    }
    distinct(schema, by)?;
    if by.iter().filter(|field| matches!(field, FieldRef::EventField(..))).count() > 1 {
        return Err(PlanError::TwoEventFields);
    }
    let axes = by.iter().map(|field| axis(schema, *field)).collect::<Result<_, _>>()?;
    Ok(TableSpec { axes, window })
}

fn portrait(schema: &Schema, fields: &[FieldRef], window: Window) -> Result<Vec<TableSpec>, PlanError> {
    if !(1..=MAX_TABLES).contains(&fields.len()) {
        return Err(PlanError::TableCount(fields.len()));
    }
    distinct(schema, fields)?;
    fields.iter().map(|field| breakdown(schema, &[*field], window)).collect()
}

fn distinct(schema: &Schema, fields: &[FieldRef]) -> Result<(), PlanError> {
    let mut sorted = fields.to_vec();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
        Some([field, ..]) => Err(PlanError::Repeated(schema.path(*field))),
        _ => Ok(()),
    }
}

fn axis(schema: &Schema, field: FieldRef) -> Result<Axis, PlanError> {
    if let FieldRef::Event(event) = field {
        let known = schema.events.iter().any(|known| known.id == event);
        return Err(if known { PlanError::EventType(schema.path(field)) } else { PlanError::UnknownField });
    }
    let described = schema.field(field).ok_or(PlanError::UnknownField)?;
    let values = match &described.ty {
        FieldType::Identifier { .. } => return Err(PlanError::Identifier(schema.path(field))),
        _ => described.ty.labels().ok_or_else(|| PlanError::OpenDomain(schema.path(field)))?.len(),
    };
    // A domain has at most 4,096 values.
    let cells = u32::try_from(values).unwrap_or(u32::MAX).saturating_add(1);
    Ok(Axis { field, cells, max_distinct: bound(field, described, cells) })
}

fn bound(field: FieldRef, described: &Field, cells: u32) -> u32 {
    match field {
        FieldRef::EventField(..) => described.max_distinct.clamp(1, cells),
        _ => 1,
    }
}

/// `D^2` in squared units, times 1e9: what `2 sigma^2` nano-rho are compared with.
fn scaled(sensitivity_squared: u64) -> u128 {
    let unit = u128::from(scan::UNIT.unsigned_abs());
    u128::from(sensitivity_squared) * unit * unit * 1_000_000_000
}

/// The integer standard deviation at which a vector of this sensitivity costs at most `rho`: the least, plus one unit
/// so that rounding in the privacy map never exceeds the charge.
fn sigma_for(sensitivity_squared: u64, rho: NanoRho) -> Option<u64> {
    if rho == NanoRho::ZERO || rho > MAX_RHO {
        return None;
    }
    let square = scaled(sensitivity_squared).div_ceil(2 * u128::from(rho.0));
    let root = square.isqrt();
    let root = if root * root < square { root + 1 } else { root };
    u64::try_from(root + 1).ok()
}
