//! Bands of recency, frequency and monetary value: `rfm.recency in [4, 5]`. They are tests of events over the schema's
//! public cut points.

use super::check::{Checker, SegmentError};
use super::cut_points::Number;
use super::predicate::{Operator, written_number};
use super::{EventFilter, EventTest, Expr, Measure, Span, Window};
use crate::schema::{CutPoints, FieldRef, Rfm};
use cel::common::ast::{Expr as Cel, IdedExpr, SelectExpr};

/// Says whether something is `rfm.` and a name.
pub(super) fn is_band(select: &SelectExpr) -> bool {
    matches!(&select.operand.expr, Cel::Ident(name) if name == "rfm") && !select.test
}

/// What is cut, and the numbers of each band, band 1 first.
pub(super) struct Bands {
    pub(super) of: Number,
    pub(super) bounds: Vec<(i64, i64)>,
    pub(super) name: String,
}

impl Bands {
    fn any(&self, bands: impl Iterator<Item = i64>) -> Expr {
        let place = |band: i64| usize::try_from(band - 1).ok().and_then(|place| self.bounds.get(place)).copied();
        let test = |(min, max)| self.of.between(min, max);
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

    /// Checks `bands operator literal`.
    pub(super) fn compared(
        &self,
        checker: &Checker<'_>,
        operator: Operator,
        literal: &IdedExpr,
    ) -> Result<Expr, SegmentError> {
        let exact = matches!(operator, Operator::Equal | Operator::NotEqual);
        let (min, max) = operator.range(self.number(checker, literal, exact)?, 1, self.last());
        let test = self.any(min..=max);
        Ok(if operator == Operator::NotEqual { Expr::Not(Box::new(test)) } else { test })
    }

    /// Checks `bands in [..]`.
    pub(super) fn among(&self, checker: &Checker<'_>, literals: &[IdedExpr]) -> Result<Expr, SegmentError> {
        let numbers: Result<Vec<i64>, _> = literals.iter().map(|literal| self.number(checker, literal, true)).collect();
        Ok(self.any(numbers?.into_iter()))
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
    bands(checker, at, select)?.compared(checker, operator, literal)
}

/// Checks `rfm.name in [..]`.
pub(super) fn membership(
    checker: &Checker<'_>,
    at: &IdedExpr,
    select: &SelectExpr,
    literals: &[IdedExpr],
) -> Result<Expr, SegmentError> {
    bands(checker, at, select)?.among(checker, literals)
}

fn bands(checker: &Checker<'_>, at: &IdedExpr, select: &SelectExpr) -> Result<Bands, SegmentError> {
    let (of, CutPoints::Public(cuts)) = number(checker, at, select)?;
    let cuts = match select.field.as_str() {
        "recency" => &cuts.recency,
        "frequency" => &cuts.frequency,
        _ => &cuts.monetary,
    };
    Ok(Bands { bounds: of.bounds_of_bands(cuts), of, name: format!("rfm.{}", select.field) })
}

/// Checks `rfm.name` as the number that is cut; with the schema's cut points.
pub(super) fn number<'a>(
    checker: &Checker<'a>,
    at: &IdedExpr,
    select: &SelectExpr,
) -> Result<(Number, &'a CutPoints), SegmentError> {
    let unavailable = || checker.unavailable(at, "band", "", Vec::new());
    let rfm = checker.schema.rfm.as_ref().ok_or_else(unavailable)?;
    let Rfm { event, amount, purchase, window_days, cuts } = rfm;
    let (measure, field) = match select.field.as_str() {
        "recency" => (Measure::DaysSinceLast, None),
        "frequency" => (purchase.map_or(Measure::Count, Measure::Distinct), *purchase),
        "monetary" => (Measure::Sum(*amount), Some(*amount)),
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
    Ok((Number::of_events(test, checker.schema), cuts))
}
