//! What an answer costs and how accurate it will be, from public numbers alone, as the vault plans it.

use crate::status::Failure;
use crate::wire::release::people_of_u64;
use crate::wire::{budget, decimal};
use policy::decide::Reason;
use policy::privacy::{DEFAULT_PORTRAIT_RHO, DEFAULT_SIZE_RHO, NanoRho, advise};
use policy::schema::Schema;
use proto::v1;
use vault::release::{Kind, Plan, PlanError, Question, plan, price_for};

/// Default price of a breakdown and of whatever else is one table: about 31 people either way in a cell of one attribute.
pub const BREAKDOWN_RHO: NanoRho = NanoRho(2_000_000);

/// Default price of a whole portrait: what its parts would cost one after the other at theirs, so that each is more accurate.
pub const PROFILE_RHO: NanoRho = NanoRho(20_000_000);

/// Plans a question at the price asked for, the price of the accuracy asked for, or the default. Sets its price.
pub fn price(schema: &Schema, question: &mut Question, spend: Option<v1::Spend>) -> Result<Plan, Failure> {
    use proto::v1::spend::Spend;
    question.rho = match spend.and_then(|spend| spend.spend) {
        None => default_rho(&question.kind),
        Some(Spend::Rho(text)) => decimal::decode("spend.rho", &text)?,
        Some(Spend::HalfWidth(people)) => {
            price_for(schema, &question.kind, whole(people)?).map_err(|problem| unplanned(&problem))?
        }
    };
    plan(schema, question).map_err(|problem| unplanned(&problem))
}

/// Rounds an accuracy down to whole people: never less accurate than asked.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
fn whole(people: f64) -> Result<u32, Failure> {
    if (1.0..=f64::from(u32::MAX)).contains(&people) {
        return Ok(people as u32);
    }
    Err(Failure::invalid("spend.half_width", "must be at least one person"))
}

fn default_rho(kind: &Kind) -> NanoRho {
    match kind {
        Kind::Size => DEFAULT_SIZE_RHO,
        Kind::Portrait { .. } | Kind::Contrast { .. } => DEFAULT_PORTRAIT_RHO,
        Kind::Profile { .. } => PROFILE_RHO,
        Kind::Breakdown { .. }
        | Kind::Funnel { .. }
        | Kind::Overlap { .. }
        | Kind::Bands { .. }
        | Kind::Table { .. }
        | Kind::Norms { .. }
        | Kind::Retention { .. }
        | Kind::Top { .. }
        | Kind::Mean { .. }
        | Kind::Spread { .. } => BREAKDOWN_RHO,
    }
}

/// Says why a question can't be planned.
pub fn unplanned(problem: &PlanError) -> Failure {
    let reason = if *problem == PlanError::Price { Reason::PriceAboveCap } else { Reason::RequestInvalid };
    Failure::refused(reason, problem.to_string(), "correct the question and ask again")
}

/// Writes a plan.
pub fn encode(plan: &Plan, schema: &Schema, deadline_millis: u32) -> v1::Plan {
    v1::Plan {
        rho: plan.rho().to_string(),
        percent_of_quarter: budget::percent(plan.rho(), schema.cap_quarter),
        sigma: people_of_u64(plan.sigma_1024()),
        half_width: people_of_u64(plan.half_width_1024()),
        cells: u32::try_from(plan.cells()).unwrap_or(u32::MAX),
        deadline_millis,
        readable_from: readable_from(plan),
        charge: plan.rho().to_string(),
        synopsis: None,
        half_widths_differ: plan.half_widths_differ(),
    }
}

/// Returns the standard deviation that a plan states, in 1/1024 of a person, as the vault has it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a standard deviation that was an integer")]
pub fn sigma_1024(plan: &v1::Plan) -> u64 {
    (plan.sigma * 1_024.0).round() as u64
}

/// About how many people a segment needs for the cells of the largest table to be read.
fn readable_from(plan: &Plan) -> u64 {
    let Some(cells) = plan.most_people_cells().filter(|cells| *cells > 1) else { return 0 };
    let (cells, squared) = (u64::try_from(cells).unwrap_or(u64::MAX), plan.norm_squared().div_ceil(UNIT * UNIT));
    let advice = advise(0, cells, u64::try_from(squared).unwrap_or(u64::MAX), plan.rho());
    advice.map_or(0, |advice| advice.more_people)
}

/// One person in the units of a plan's norm.
const UNIT: u128 = 1_024;
