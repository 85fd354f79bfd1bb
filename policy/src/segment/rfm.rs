//! Bands of recency, frequency and monetary value: `rfm.recency in [4, 5]`. They are tests of events over the schema's
//! public cut points.

use super::check::{Checker, SegmentError};
use super::predicate::{Operator, written_number};
use super::{EventFilter, EventTest, Expr, Measure, Span, Window};
use crate::schema::{CutPoints, FieldRef, Rfm};
use cel::common::ast::{Expr as Cel, IdedExpr, SelectExpr};

/// Says whether something is `rfm.` and a name.
pub(super) fn is_band(select: &SelectExpr) -> bool {
    matches!(&select.operand.expr, Cel::Ident(name) if name == "rfm") && !select.test
}

/// A measure and the numbers of each band, band 1 first.
struct Bands {
    test: EventTest,
    bounds: Vec<(i64, i64)>,
    name: String,
}

impl Bands {
    fn any(&self, bands: impl Iterator<Item = i64>) -> Expr {
        let place = |band: i64| usize::try_from(band - 1).ok().and_then(|place| self.bounds.get(place)).copied();
        let test = |(min, max)| Expr::Event(EventTest { min, max, ..self.test.clone() });
        let mut tests: Vec<Expr> = bands.filter_map(place).map(test).collect();
        match tests.len() {
            0 => test((1, 0)),
            1 => tests.remove(0),
            _ => Expr::Any(tests),
        }
    }

    fn last(&self) -> i64 {
        i64::try_from(self.bounds.len()).unwrap_or(0)
    }

    fn number(&self, checker: &Checker<'_>, literal: &IdedExpr, exact: bool) -> Result<i64, SegmentError> {
        let band = written_number(checker, literal, 0, &self.name)?;
        if exact && !(1..=self.last()).contains(&band) {
            return Err(checker.error(literal, format!("bands of `{}` are from 1 to {}", self.name, self.last())));
        }
        Ok(band)
    }
}

/// Checks `rfm.name operator literal`.
pub(super) fn comparison(
    checker: &Checker<'_>,
    at: &IdedExpr,
    select: &SelectExpr,
    operator: Operator,
    literal: &IdedExpr,
) -> Result<Expr, SegmentError> {
    let bands = bands(checker, at, select)?;
    let exact = matches!(operator, Operator::Equal | Operator::NotEqual);
    let (min, max) = operator.range(bands.number(checker, literal, exact)?, 1, bands.last());
    let test = bands.any(min..=max);
    Ok(if operator == Operator::NotEqual { Expr::Not(Box::new(test)) } else { test })
}

/// Checks `rfm.name in [..]`.
pub(super) fn membership(
    checker: &Checker<'_>,
    at: &IdedExpr,
    select: &SelectExpr,
    literals: &[IdedExpr],
) -> Result<Expr, SegmentError> {
    let bands = bands(checker, at, select)?;
    let numbers: Result<Vec<i64>, _> = literals.iter().map(|literal| bands.number(checker, literal, true)).collect();
    Ok(bands.any(numbers?.into_iter()))
}

fn bands(checker: &Checker<'_>, at: &IdedExpr, select: &SelectExpr) -> Result<Bands, SegmentError> {
    let unavailable = || checker.unavailable(at, "band", "", Vec::new());
    let rfm = checker.schema.rfm.as_ref().ok_or_else(unavailable)?;
    let Rfm { event, amount, purchase, window_days, cuts: CutPoints::Public(cuts) } = rfm;
    let (measure, cuts, field) = match select.field.as_str() {
        "recency" => (Measure::DaysSinceLast, &cuts.recency, None),
        "frequency" => (purchase.map_or(Measure::Count, Measure::Distinct), &cuts.frequency, *purchase),
        "monetary" => (Measure::Sum(*amount), &cuts.monetary, Some(*amount)),
        _ => return Err(checker.error(at, "`rfm.recency`, `rfm.frequency` or `rfm.monetary` would be right")),
    };
    let named = field.map(|field| FieldRef::EventField(*event, field));
    if !std::iter::once(FieldRef::Event(*event)).chain(named).all(checker.visible) {
        return Err(unavailable());
    }
    let test = EventTest {
        event: *event,
        window: window_days.map_or(Window::Ever, |days| Window::Last(Span::Days(days))),
        filter: EventFilter::Const(true),
        measure,
        if_any: true,
        min: 1,
        max: 0,
    };
    let mut bounds = between(cuts, measure);
    if measure == Measure::DaysSinceLast {
        bounds.reverse();
    }
    Ok(Bands { test, bounds, name: format!("rfm.{}", select.field) })
}

/// Cuts all numbers at some: a cut begins the next band, except for recency, whose cuts are the last days of theirs.
fn between(cuts: &[i64], measure: Measure) -> Vec<(i64, i64)> {
    let (low, high) = measure.bounds();
    let first = i64::from(measure == Measure::DaysSinceLast);
    let firsts = std::iter::once(low).chain(cuts.iter().map(|cut| cut + first));
    let lasts = cuts.iter().map(|cut| cut + first - 1).chain([high]);
    firsts.zip(lasts).collect()
}
