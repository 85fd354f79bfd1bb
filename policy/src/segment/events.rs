//! Tests of a subject's events: `type[.last(..) | .between(..) | .since(..) | .dates(..)][.where(..)]*[.if_any()]` and a
//! measure.

use super::check::{Checker, SegmentError};
use super::predicate::{Operator, Scope, number_of, written_number};
use super::{EventFilter, EventTest, Expr, Measure, Span, Window};
use crate::schema::{ColumnId, EventType, Field, FieldType};
use cel::common::ast::{CallExpr, Expr as Cel, IdedExpr, LiteralValue};

const MEASURES: &str = "a measure would be right: `.any()`, or `.count()`, `.days()`, `.sum(field)`, `.distinct(field)`, `.min(field)`, \
     `.max(field)`, `.days_since_last()`, `.days_since_first()` compared with a number";
const CHAIN: &str = "an event test would be right, such as `order.last(\"30d\").where(category == \"x\").count() >= 2`";

/// An event type with its window and its `where`s.
pub(super) struct Chain<'a> {
    pub(super) event: &'a EventType,
    pub(super) window: Option<Window>,
    filters: Vec<EventFilter>,
    pub(super) if_any: bool,
}

impl Chain<'_> {
    /// Returns the conditions as one.
    pub(super) fn filter(&self) -> EventFilter {
        match self.filters.as_slice() {
            [] => EventFilter::Const(true),
            [one] => one.clone(),
            many => EventFilter::All(many.to_vec()),
        }
    }
}

/// A chain with its measure.
pub(super) struct Measured<'a> {
    pub(super) chain: Chain<'a>,
    pub(super) measure: Measure,
    /// The field whose numbers or days are compared as such.
    pub(super) of: Option<&'a Field>,
    /// Digits after the mark of any other number.
    pub(super) scale: u8,
    /// What the number is called in errors.
    name: String,
}

impl Measured<'_> {
    pub(super) fn event_test(&self, min: i64, max: i64) -> EventTest {
        EventTest {
            event: self.chain.event.id,
            window: self.chain.window.unwrap_or(Window::Ever),
            filter: self.chain.filter(),
            measure: self.measure,
            if_any: self.chain.if_any,
            min,
            max,
        }
    }

    fn test(&self, min: i64, max: i64) -> Expr {
        Expr::Event(self.event_test(min, max))
    }

    /// Returns the bounds of what can be measured at all.
    fn bounds(&self) -> (i64, i64) {
        self.of.and_then(|field| field.ty.bounds()).unwrap_or(self.measure.bounds())
    }

    /// Reads what it is compared with; `exact` if only equal numbers are wanted.
    fn number(&self, checker: &Checker<'_>, literal: &IdedExpr, exact: bool) -> Result<i64, SegmentError> {
        match self.of {
            Some(field) => number_of(checker, field, literal, exact),
            None => written_number(checker, literal, self.scale, &self.name),
        }
    }
}

/// Checks a chain that ends in `.any()`.
pub(super) fn event_test(checker: &Checker<'_>, at: &IdedExpr) -> Result<Expr, SegmentError> {
    match &at.expr {
        Cel::Call(call) if call.func_name == "any" => match (&call.target, call.args.is_empty()) {
            (Some(target), true) => Ok(whole(checker, target, "count", Measure::Count)?.test(1, i64::MAX)),
            _ => Err(checker.error(at, "`any()` takes nothing; put conditions into `.where(..)` before it")),
        },
        Cel::Call(call) if is_number(&call.func_name) => {
            // The chain is checked first, so that a wrong name within it is reported as such.
            measure(checker, at)?;
            Err(checker.error(at, format!("compare `{}` with a number", call.func_name)))
        }
        Cel::Call(call)
            if matches!(call.func_name.as_str(), "last" | "between" | "since" | "dates" | "where" | "if_any") =>
        {
            chain(checker, at)?;
            Err(checker.error(at, MEASURES))
        }
        _ => Err(checker.error(at, CHAIN)),
    }
}

/// Says whether a name is that of a measure that gives a number.
fn is_number(name: &str) -> bool {
    measure_of(name).is_some() || measure_of_field(name).is_some()
}

fn measure_of(name: &str) -> Option<Measure> {
    Some(match name {
        "count" => Measure::Count,
        "days" => Measure::Days,
        "days_since_last" => Measure::DaysSinceLast,
        "days_since_first" => Measure::DaysSinceFirst,
        _ => return None,
    })
}

fn measure_of_field(name: &str) -> Option<fn(ColumnId) -> Measure> {
    Some(match name {
        "sum" => Measure::Sum,
        "distinct" => Measure::Distinct,
        "min" => Measure::Min,
        "max" => Measure::Max,
        _ => return None,
    })
}

/// Checks `chain.measure() operator literal`.
pub(super) fn measure_comparison(
    checker: &Checker<'_>,
    at: &IdedExpr,
    operator: Operator,
    literal: &IdedExpr,
) -> Result<Expr, SegmentError> {
    let measured = measure(checker, at)?;
    let exact = matches!(operator, Operator::Equal | Operator::NotEqual);
    let value = measured.number(checker, literal, exact)?;
    let (low, high) = measured.bounds();
    let (min, max) = operator.range(value, low, high);
    let test = measured.test(min, max);
    Ok(if operator == Operator::NotEqual { Expr::Not(Box::new(test)) } else { test })
}

/// Checks `chain.measure() in [..]`.
pub(super) fn measure_membership(
    checker: &Checker<'_>,
    at: &IdedExpr,
    literals: &[IdedExpr],
) -> Result<Expr, SegmentError> {
    let measured = measure(checker, at)?;
    let mut parts = Vec::with_capacity(literals.len());
    for literal in literals {
        let value = measured.number(checker, literal, true)?;
        parts.push(measured.test(value, value));
    }
    Ok(match parts.len() {
        0 => measured.test(1, 0),
        1 => parts.remove(0),
        _ => Expr::Any(parts),
    })
}

/// Checks a chain that ends in a measure that gives a number.
pub(super) fn measure<'a>(checker: &Checker<'a>, at: &IdedExpr) -> Result<Measured<'a>, SegmentError> {
    let Cel::Call(CallExpr { func_name, target: Some(target), args }) = &at.expr else {
        return Err(checker.error(at, CHAIN));
    };
    let name = func_name.as_str();
    match (measure_of(name), measure_of_field(name), args.as_slice()) {
        (Some(measure), _, []) => whole(checker, target, name, measure),
        (Some(_), _, _) => {
            Err(checker.error(at, format!("`{name}()` takes nothing; put conditions into `.where(..)` before it")))
        }
        (_, Some(measure), [argument]) => of_field(checker, target, name, measure, argument),
        (_, Some(_), _) => Err(checker.error(at, format!("`{name}` takes one event field"))),
        _ if name == "any" => Err(checker.error(at, "`any()` is a condition by itself; `!` negates it")),
        _ => Err(checker.error(at, CHAIN)),
    }
}

/// Checks a chain whose measure has no field.
fn whole<'a>(
    checker: &Checker<'a>,
    target: &IdedExpr,
    name: &str,
    measure: Measure,
) -> Result<Measured<'a>, SegmentError> {
    Ok(Measured { chain: chain(checker, target)?, measure, of: None, scale: 0, name: format!("{name}()") })
}

/// Checks a chain whose measure has a field.
fn of_field<'a>(
    checker: &Checker<'a>,
    target: &IdedExpr,
    name: &str,
    measure: fn(ColumnId) -> Measure,
    argument: &IdedExpr,
) -> Result<Measured<'a>, SegmentError> {
    let chain = chain(checker, target)?;
    let Cel::Ident(field) = &argument.expr else {
        return Err(checker.error(argument, "the name of an event field would be right"));
    };
    let field = checker.field(argument, field, &Scope::Event(chain.event))?;
    let measure = measure(field.column);
    let called = format!("{name}({})", field.name);
    let wrong =
        |what: &str| Err(checker.error(argument, format!("`{}` has no {name}; {what} would be right", field.name)));
    let (of, scale) = match (measure, &field.ty) {
        (Measure::Distinct(_), _) => (None, 0),
        (Measure::Sum(_), FieldType::Integer { .. }) => (None, 0),
        (Measure::Sum(_), FieldType::Decimal { scale, .. }) => (None, *scale),
        (Measure::Sum(_), _) => return wrong("an integer or decimal field"),
        (_, FieldType::Integer { .. } | FieldType::Decimal { .. } | FieldType::Date { .. }) => (Some(field), 0),
        _ => return wrong("an integer, decimal or date field"),
    };
    Ok(Measured { chain, measure, of, scale, name: called })
}

/// Checks an event type with its window, its `where`s and `if_any()`, in any order.
pub(super) fn chain<'a>(checker: &Checker<'a>, at: &IdedExpr) -> Result<Chain<'a>, SegmentError> {
    // Why a loop: the chain nests to the left and may be long.
    let mut links = Vec::new();
    let mut head = at;
    let event = loop {
        match &head.expr {
            Cel::Ident(name) => break checker.event(head, name)?,
            Cel::Call(call) => match &call.target {
                Some(target) => {
                    links.push((head, call));
                    head = target;
                }
                None => return Err(checker.error(head, CHAIN)),
            },
            _ => return Err(checker.error(head, CHAIN)),
        }
    };
    let mut chain = Chain { event, window: None, filters: Vec::new(), if_any: false };
    for (place, call) in links.into_iter().rev() {
        match (call.func_name.as_str(), call.args.as_slice()) {
            ("where", [condition]) => chain.filters.push(checker.filter(condition, &Scope::Event(event))?),
            ("if_any", []) => chain.if_any = true,
            (name, _) if name == "any" || is_number(name) => {
                return Err(checker.error(place, "a measure ends the event test; windows and `where` come before it"));
            }
            (name, arguments) => match window(checker, place, name, arguments)? {
                Some(_) if chain.window.is_some() => {
                    return Err(checker.error(place, "one window is enough; this test has two"));
                }
                Some(window) => chain.window = Some(window),
                None => return Err(checker.error(place, CHAIN)),
            },
        }
    }
    Ok(chain)
}

/// Checks a window: `last`, `between`, `since` or `dates`; `None` if the link is something else.
pub(super) fn window(
    checker: &Checker<'_>,
    at: &IdedExpr,
    name: &str,
    arguments: &[IdedExpr],
) -> Result<Option<Window>, SegmentError> {
    Ok(Some(match (name, arguments) {
        ("last", [length]) => Window::Last(span(checker, length)?),
        ("between", [from, to]) => {
            let (from, to) = (span(checker, from)?, span(checker, to)?);
            if from.nominal_hours() <= to.nominal_hours() {
                return Err(checker.error(at, "the longer time comes first, such as `between(\"90d\", \"30d\")`"));
            }
            Window::Between(from, to)
        }
        ("since", [from]) => Window::Since(day(checker, from)?),
        ("dates", [from, to]) => {
            let (from, to) = (day(checker, from)?, day(checker, to)?);
            if from >= to {
                let problem = "the second day comes after the first, and is the first that does not count any more";
                return Err(checker.error(at, problem));
            }
            Window::Dates(from, to)
        }
        _ => return Ok(None),
    }))
}

pub(super) fn span(checker: &Checker<'_>, at: &IdedExpr) -> Result<Span, SegmentError> {
    match &at.expr {
        Cel::Literal(LiteralValue::String(text)) => Span::parse(text.inner()),
        _ => None,
    }
    .ok_or_else(|| {
        checker
            .error(at, "a length of time would be right: \"30d\" or \"4w\" up to 36500 days, \"12h\" up to 87600 hours")
    })
}

/// Days that every zone's clocks can tell: 1900-01-01 to 2199-12-31.
const DAYS: std::ops::RangeInclusive<i32> = -25_567..=84_005;

fn day(checker: &Checker<'_>, at: &IdedExpr) -> Result<i32, SegmentError> {
    match &at.expr {
        Cel::Literal(LiteralValue::String(text)) => crate::time::parse_day(text.inner()),
        _ => None,
    }
    .filter(|day| DAYS.contains(day))
    .ok_or_else(|| checker.error(at, "a day of the years 1900 to 2199 would be right, such as \"2024-01-31\""))
}
