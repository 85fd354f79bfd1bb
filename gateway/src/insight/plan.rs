//! What an answer costs and how accurate it will be, from public numbers alone.

use crate::status::Failure;
use crate::wire::{budget, decimal};
use policy::decide::Reason;
use policy::privacy::{DEFAULT_PORTRAIT_RHO, DEFAULT_SIZE_RHO, NanoRho, half_width_95, rho_for_half_width, sigma};
use policy::schema::{FieldRef, Schema};
use proto::v1;
use vault::release::Kind;

/// Default price of a breakdown: about 31 people either way a cell of one attribute.
pub const BREAKDOWN_RHO: NanoRho = NanoRho(2_000_000);

/// A priced question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Priced {
    /// The price.
    pub rho: NanoRho,
    sigma: f64,
    cells: u32,
}

/// Prices a question: the price asked for, the price of the accuracy asked for, or the default.
pub fn price(schema: &Schema, kind: &Kind, spend: Option<v1::Spend>) -> Result<Priced, Failure> {
    use proto::v1::spend::Spend;
    let sensitivity = sensitivity_squared(schema, kind);
    let rho = match spend.and_then(|spend| spend.spend) {
        None => default_rho(kind),
        Some(Spend::Rho(text)) => decimal::decode("spend.rho", &text)?,
        Some(Spend::HalfWidth(people)) => {
            rho_for_half_width(people, sensitivity).ok_or_else(|| unreachable_accuracy(people))?
        }
    };
    Ok(Priced { rho, sigma: sigma(sensitivity, rho), cells: cells(schema, kind) })
}

fn unreachable_accuracy(people: f64) -> Failure {
    if people > 0.5 {
        return Failure::refused(Reason::PriceAboveCap, "no ledger pays for that accuracy", "ask for a wider interval");
    }
    Failure::invalid("spend.half_width", "must be more than half a person")
}

fn default_rho(kind: &Kind) -> NanoRho {
    match kind {
        Kind::Size => DEFAULT_SIZE_RHO,
        Kind::Breakdown { .. } => BREAKDOWN_RHO,
        Kind::Portrait { .. } => DEFAULT_PORTRAIT_RHO,
    }
}

/// How far one subject can move the answer, squared: one cell of every table, or for an event field as many as the
/// schema lets count.
fn sensitivity_squared(schema: &Schema, kind: &Kind) -> u64 {
    let distinct = |field: &FieldRef| schema.field(*field).map_or(1, |field| u64::from(field.max_distinct).max(1));
    match kind {
        Kind::Size => 1,
        Kind::Breakdown { by, .. } => by.iter().map(distinct).fold(1, u64::saturating_mul),
        Kind::Portrait { fields, .. } => fields.iter().map(distinct).fold(0, u64::saturating_add).max(1),
    }
}

fn cells(schema: &Schema, kind: &Kind) -> u32 {
    // Every label, and one cell for a missing value.
    let width = |field: &FieldRef| {
        let labels = schema.field(*field).and_then(|field| field.ty.cardinality()).unwrap_or(0);
        u32::try_from(labels.saturating_add(1)).unwrap_or(u32::MAX)
    };
    match kind {
        Kind::Size => 1,
        Kind::Breakdown { by, .. } => by.iter().map(width).fold(1, u32::saturating_mul),
        Kind::Portrait { fields, .. } => fields.iter().map(width).fold(0, u32::saturating_add),
    }
}

impl Priced {
    /// Writes the plan.
    pub fn encode(&self, schema: &Schema, deadline_millis: u32) -> v1::Plan {
        let Self { rho, sigma, cells } = *self;
        v1::Plan {
            rho: rho.to_string(),
            percent_of_quarter: budget::percent(rho, schema.cap_quarter),
            sigma,
            half_width: half_width_95(sigma),
            cells,
            deadline_millis,
        }
    }
}
