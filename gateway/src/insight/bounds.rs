//! A bound for a table of events or sums, suggested from a charged release of how much people have.
//!
//! What is suggested, and what is said of it, follows from released and public numbers alone. Nothing is kept: whoever asks for
//! the table names the bound, so that it is part of the question. The same answer, in the same epoch, is free for another price
//! of the table.

use super::parts;
use super::question::{self, View};
use crate::pace;
use crate::pipeline::Call;
use crate::status::Failure;
use crate::wire::decimal;
use crate::wire::release::people_of_u64;
use policy::privacy::NanoRho;
use policy::schema::{EventTypeId, FieldRef, FieldType, Schema};
use policy::segment::{Segment, Window, round_sizes};
use proto::v1;
use vault::release::bounds::{self, bound, people_needed_1024};
use vault::release::display::Estimate;
use vault::release::{Answer, By, Kind, MAX_NORMS, Measure, Plan, Question, plan};

/// Two-sided 95 % point of the normal distribution.
const Z_95: f64 = 1.96;

/// What a table counts, in units of so many digits after the mark.
#[derive(Clone, Copy)]
struct Counted {
    field: FieldRef,
    event: EventTypeId,
    scale: u8,
}

/// The table that the bound is for.
struct Table {
    counted: Counted,
    by: Vec<By>,
    window: Window,
    /// Its price, if it is not that of the answer.
    rho: Option<NanoRho>,
    /// Candidates, in units of what is counted.
    edges: Vec<u64>,
}

/// Asks, and suggests.
pub fn suggest(call: &mut Call, request: v1::SuggestBoundRequest) -> Result<v1::SuggestBoundResponse, Failure> {
    let v1::SuggestBoundRequest { ask, of, by, window, period, from, until, for_rho, least, most } = request;
    let rho = if for_rho.is_empty() { None } else { Some(decimal::decode("for_rho", &for_rho)?) };
    let mut known = None;
    let mut answered = question::answer(call, parts::asked(ask), pace::Kind::Table, |call, view, _| {
        let counted = Counted::read(view, &of)?;
        let mut by = parts::dimensions(view, by)?;
        if period != i32::from(v1::Period::Unspecified) {
            let days = parts::periods(call, view, period, &from, &until)?;
            by.push(By::Periods { event: counted.event, days });
        }
        let (window, edges) = (question::window(window)?, counted.edges(&least, &most)?);
        let table = Table { counted, by, window, rho, edges };
        // What could not be asked for afterwards is not worth a bound.
        table.plan(&view.schema, 1, rho.unwrap_or(NanoRho(1)))?;
        let (by, edges) = (table.by.clone(), table.edges.clone());
        known = Some(table);
        Ok(Kind::Norms { of: counted.field, by, window, edges })
    })?;
    let table = known.ok_or(Failure::Defect("no bound was looked for"))?;
    answered.plan.readable_from = readable_from(&answered.plan, table.edges.len());
    let found = answered.answer.as_ref().map(|answer| table.suggested(&answered.schema, answer)).transpose()?;
    let advice = match found {
        Some(None) => format!(
            "noise is all there is, where {} people could be seen: ask of more people, pay more for this answer, or name \
             a smaller range (least, most)",
            decimal::grouped(&answered.plan.readable_from.to_string())
        ),
        _ => String::new(),
    };
    Ok(v1::SuggestBoundResponse {
        plan: Some(answered.plan),
        release: answered.release,
        bound: found.flatten(),
        advice,
    })
}

/// How many people a bound takes, from the price alone.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a standard deviation that was an integer")]
fn readable_from(plan: &v1::Plan, candidates: usize) -> u64 {
    people_needed_1024(candidates, (plan.sigma * 1_024.0).round() as u64).div_ceil(1_024)
}

impl Counted {
    fn read(view: &View, of: &str) -> Result<Self, Failure> {
        let field = view.field(of)?;
        let scale = view.schema.field(field).map(|field| match field.ty {
            FieldType::Integer { .. } => Some(0),
            FieldType::Decimal { scale, .. } => Some(scale),
            _ => None,
        });
        match (field, scale) {
            (FieldRef::Event(event), _) => Ok(Self { field, event, scale: 0 }),
            (FieldRef::EventField(event, _), Some(Some(scale))) => Ok(Self { field, event, scale }),
            _ => Err(Failure::invalid("of", "must be an event, such as `order`, or a number field of one")),
        }
    }

    fn one(self) -> u64 {
        10_u64.saturating_pow(self.scale.into())
    }

    /// Candidates between two numbers, or where such numbers usually are.
    fn edges(self, least: &str, most: &str) -> Result<Vec<u64>, Failure> {
        let end = |part: &'static str, text: &str, usual: u64| match text {
            "" => Ok(usual.saturating_mul(self.one())),
            text => parts::units(part, text, self.scale),
        };
        let usual = if matches!(self.field, FieldRef::Event(_)) { 10_000 } else { 100_000 };
        let edges = round_sizes(end("least", least, 1)?, end("most", most, usual)?);
        if edges.is_empty() || edges.len() > MAX_NORMS {
            let problem = format!("and `most` must have 1 to {MAX_NORMS} round numbers between them, six a decade");
            return Err(Failure::invalid("least", problem));
        }
        Ok(edges)
    }
}

impl Table {
    /// Plans the table under a bound, at a price.
    fn plan(&self, schema: &Schema, bound: u64, rho: NanoRho) -> Result<Plan, Failure> {
        let Self { counted: Counted { field, event, .. }, by, window, .. } = self;
        let measure = match field {
            FieldRef::Event(_) => Measure::Events { event: *event, bound },
            field => Measure::Sum { field: *field, bound },
        };
        let kind = Kind::Table { measures: vec![measure], by: by.clone(), window: *window, weighed: false };
        let (universe, segment, dataset) = (Segment::everyone(), Segment::everyone(), schema.dataset.clone());
        let planned = plan(schema, &Question { dataset, universe, segment, kind, rho });
        planned.map_err(|problem| super::plan::unplanned(&problem))
    }

    /// Chooses a bound after what was released; none where that is noise.
    fn suggested(&self, schema: &Schema, answer: &Answer) -> Result<Option<v1::SuggestedBound>, Failure> {
        let rho = self.rho.unwrap_or(answer.rho);
        let cells: Vec<i64> = answer.tables.iter().flat_map(|table| &table.cells).map(|cell| cell.noised).collect();
        let asked = bounds::Asked { rho, cells: self.plan(schema, 1, rho)?.cells() };
        let Some(found) = bound(&cells, answer.sigma_1024, &self.edges, asked) else { return Ok(None) };
        let units = self.edges.get(found.edge).copied().ok_or(Failure::Defect("a bound that is no candidate"))?;
        let one = 10_f64.powi(self.counted.scale.into());
        let half_width = people_of_u64(self.plan(schema, units, rho)?.half_width_1024()) / one;
        let shown = FieldType::Decimal { scale: self.counted.scale, min: 0, max: i64::MAX };
        Ok(Some(v1::SuggestedBound {
            bound: shown.show(i64::try_from(units).unwrap_or(i64::MAX)),
            reached_by: Some(people(found.reached_by)),
            cut_off: found.cut_off * 100.0,
            half_width,
            for_rho: rho.to_string(),
            hidden: found.hidden,
        }))
    }
}

/// People with an interval at 95 %, never fewer than none.
#[expect(clippy::cast_precision_loss, reason = "for display")]
fn people(Estimate { value, sigma }: Estimate) -> v1::Estimate {
    let [value, half] = [value as f64 / 1_024.0, Z_95 * people_of_u64(sigma)];
    v1::Estimate { value: value.max(0.0), low: (value - half).max(0.0), high: (value + half).max(0.0) }
}
