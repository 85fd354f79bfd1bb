//! A bound for a table of events or sums, suggested from a charged release of how much people have.
//!
//! What is suggested, and what is said of it, follows from released and public numbers alone. Nothing is kept: whoever asks for
//! the table names the bound, so that it is part of the question. The same answer, in the same epoch, is free for another price
//! of the table.

use super::question::{self, View};
use super::{parts, plan};
use crate::pace;
use crate::pipeline::Call;
use crate::status::Failure;
use crate::wire::decimal;
use crate::wire::insight::people_around;
use crate::wire::release::people_of_u64;
use policy::privacy::NanoRho;
use policy::schema::{EventTypeId, FieldRef, FieldType, Schema};
use policy::segment::{Segment, Window, round_sizes};
use proto::v1;
use vault::release::bounds::{self, Limit, bound, people_needed_1024};
use vault::release::{self, Answer, By, Kind, MAX_NORM, MAX_NORMS, Measure, Plan, Question};

/// What a table counts, in units of so many digits after the point.
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
    /// Its price, if it is not that of this question.
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
        if period == i32::from(v1::Period::Unspecified) {
            if !from.is_empty() || !until.is_empty() {
                return Err(Failure::invalid("period", "must be said where days are: a day, a week or a month"));
            }
        } else {
            let days = parts::periods(call, view, period, &from, &until)?;
            by.push(By::Periods { event: counted.event, days });
        }
        let (window, edges) = (question::window(window)?, counted.edges(&least, &most)?);
        let table = Table { counted, by, window, rho, edges };
        // What could not be asked for under every bound is not worth one.
        let largest = table.edges.last().copied().unwrap_or(1);
        table.plan(&view.schema, largest, rho.unwrap_or(NanoRho(1)))?;
        let (by, edges) = (table.by.clone(), table.edges.clone());
        known = Some(table);
        Ok(Kind::Norms { of: counted.field, by, window, edges })
    })?;
    let table = known.ok_or(Failure::Defect("no bound was looked for"))?;
    let candidates = table.edges.len();
    answered.plan.readable_from = people_needed_1024(candidates, plan::sigma_1024(&answered.plan)).div_ceil(1_024);
    let (mut bound, mut advice) = (None, String::new());
    if let Some(answer) = &answered.answer {
        // The table is for the price that was named here, also where a better answer was there already.
        let asked_at = answered.plan.rho.parse().unwrap_or(answer.rho);
        bound = table.suggested(&answered.schema, answer, table.rho.unwrap_or(asked_at))?;
        if bound.is_none() {
            advice = advice_for(people_needed_1024(candidates, answer.sigma_1024).div_ceil(1_024));
        }
    }
    Ok(v1::SuggestBoundResponse { plan: Some(answered.plan), release: answered.release, bound, advice })
}

/// What would help, given how many people it takes.
fn advice_for(people: u64) -> String {
    format!(
        "noise hides everybody: at this price it takes about {} people who have some; ask of more people, pay more for this \
         answer, or name a smaller range (least, most)",
        decimal::grouped(&people.to_string())
    )
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

    /// How many units one is.
    fn one(self) -> u64 {
        10_u64.saturating_pow(self.scale.into())
    }

    /// Candidates between two numbers, or where such numbers usually are.
    fn edges(self, least: &str, most: &str) -> Result<Vec<u64>, Failure> {
        let end = |part: &'static str, text: &str, usual: u64| match text {
            "" => Ok(usual.saturating_mul(self.one()).min(MAX_NORM)),
            text => parts::units(text, self.scale)
                .ok_or_else(|| Failure::invalid(part, "must be a number above 0, such as 20, or 20.00 of a sum")),
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
        let planned = release::plan(schema, &Question { dataset, universe, segment, kind, rho });
        planned.map_err(|problem| plan::unplanned(&problem))
    }

    /// Chooses a bound for a price, after what was released; none where that is noise.
    fn suggested(&self, schema: &Schema, answer: &Answer, rho: NanoRho) -> Result<Option<v1::SuggestedBound>, Failure> {
        let cells: Vec<i64> = answer.tables.iter().flat_map(|table| &table.cells).map(|cell| cell.noised).collect();
        let asked = bounds::Asked { rho, cells: self.plan(schema, 1, rho)?.cells() };
        let Some(found) = bound(&cells, answer.sigma_1024, &self.edges, asked) else { return Ok(None) };
        let units = self.edges.get(found.edge).copied().ok_or(Failure::Defect("a bound that is no candidate"))?;
        let one = 10_f64.powi(self.counted.scale.into());
        let half_width = people_of_u64(self.plan(schema, units, rho)?.half_width_1024()) / one;
        let shown = FieldType::Decimal { scale: self.counted.scale, min: 0, max: i64::MAX };
        let v1::Estimate { value, low, high } = people_around(found.reached_by);
        let limit = match found.limit {
            Limit::None => v1::BoundLimit::Unspecified,
            Limit::Noise => v1::BoundLimit::Noise,
            Limit::Range => v1::BoundLimit::Range,
        };
        Ok(Some(v1::SuggestedBound {
            bound: shown.show(i64::try_from(units).unwrap_or(i64::MAX)),
            reached_by: Some(v1::Estimate { value: value.max(0.0), low: low.max(0.0), high: high.max(0.0) }),
            cut_off_percent: found.cut_off * 100.0,
            half_width,
            for_rho: rho.to_string(),
            limit: limit.into(),
        }))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use policy::schema::parse;

    fn counted(path: &str, scale: u8) -> Counted {
        let schema = parse(include_str!("../../../deploy/datasets/coop/schema.toml")).unwrap();
        let field = schema.resolve(path).unwrap();
        let (FieldRef::Event(event) | FieldRef::EventField(event, _)) = field else { unreachable!("of an event") };
        Counted { field, event, scale }
    }

    #[test]
    fn candidates_are_round_numbers_that_a_table_can_have() {
        let amounts = counted("order.amount", 2).edges("", "").unwrap();
        assert_eq!((amounts.first(), amounts.last(), amounts.len()), (Some(&100), Some(&10_000_000), 31));
        let events = counted("order", 0).edges("2", "11").unwrap();
        assert_eq!(events, [2, 3, 5, 7, 10]);
        // In billionths the usual range goes beyond what can be counted.
        let fine = counted("order.amount", 9).edges("", "").unwrap();
        assert!(fine.last().is_some_and(|last| *last <= MAX_NORM && *last > MAX_NORM / 2), "{fine:?}");
        for (least, most, part) in [("x", "", "least"), ("0", "", "least"), ("", "1.234", "most"), ("8", "9", "round")]
        {
            let failure = counted("order", 0).edges(least, most).unwrap_err();
            assert!(failure.refusal().message.contains(part), "{}", failure.refusal().message);
        }
    }

    #[test]
    fn who_has_too_few_people_is_told_how_many_it_takes() {
        let advice = advice_for(people_needed_1024(31, 70 * 1_024).div_ceil(1_024));
        assert!(advice.contains("it takes about 2,339 people who have some; ask of more people"), "{advice}");
    }
}
