//! Tests of a subject's events: `type[.last(..) | .between(..)][.where(..)]*` and a measure.

use super::check::{Checker, SegmentError};
use super::predicate::{Operator, Scope, written_number};
use super::{EventFilter, EventTest, Expr, Measure, Span, Window};
use crate::schema::{EventType, FieldType};
use cel::common::ast::{CallExpr, Expr as Cel, IdedExpr, LiteralValue};

const MEASURES: &str =
    "a measure would be right: `.any()`, or `.count()`, `.sum(field)`, `.distinct(field)` compared with a number";
const CHAIN: &str = "an event test would be right, such as `order.last(\"30d\").where(category == \"x\").count() >= 2`";

/// A chain up to its measure.
struct Measured<'a> {
    event: &'a EventType,
    window: Window,
    filter: EventFilter,
    measure: Measure,
    /// Digits after the mark of the measured number.
    scale: u8,
    /// What the number is called in errors.
    name: String,
}

impl Measured<'_> {
    fn test(&self, min: i64, max: i64) -> Expr {
        Expr::Event(EventTest {
            event: self.event.id,
            window: self.window,
            filter: self.filter.clone(),
            measure: self.measure,
            min,
            max,
        })
    }

    /// Returns the bounds of what can be measured at all.
    fn bounds(&self) -> (i64, i64) {
        self.measure.bounds()
    }
}

/// Checks a chain that ends in `.any()`.
pub(super) fn event_test(checker: &Checker<'_>, at: &IdedExpr) -> Result<Expr, SegmentError> {
    match &at.expr {
        Cel::Call(call) if call.func_name == "any" => match (&call.target, call.args.is_empty()) {
            (Some(target), true) => {
                let measured = measured(checker, target, Measure::Count, 0, "count()".into())?;
                Ok(measured.test(1, i64::MAX))
            }
            _ => Err(checker.error(at, "`any()` takes nothing; put conditions into `.where(..)` before it")),
        },
        Cel::Call(call) if matches!(call.func_name.as_str(), "count" | "sum" | "distinct") => {
            // The chain is checked first, so that a wrong name within it is reported as such.
            measure(checker, at)?;
            Err(checker.error(at, format!("compare `{}` with a number", call.func_name)))
        }
        Cel::Call(call) if matches!(call.func_name.as_str(), "last" | "between" | "where") => {
            chain(checker, at)?;
            Err(checker.error(at, MEASURES))
        }
        _ => Err(checker.error(at, CHAIN)),
    }
}

/// Checks `chain.measure() operator literal`.
pub(super) fn measure_comparison(
    checker: &Checker<'_>,
    at: &IdedExpr,
    operator: Operator,
    literal: &IdedExpr,
) -> Result<Expr, SegmentError> {
    let measured = measure(checker, at)?;
    let value = written_number(checker, literal, measured.scale, &measured.name)?;
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
        let value = written_number(checker, literal, measured.scale, &measured.name)?;
        parts.push(measured.test(value, value));
    }
    Ok(match parts.len() {
        0 => Expr::Const(false),
        1 => parts.remove(0),
        _ => Expr::Any(parts),
    })
}

/// Checks a chain that ends in `.count()`, `.sum(field)` or `.distinct(field)`.
fn measure<'a>(checker: &Checker<'a>, at: &IdedExpr) -> Result<Measured<'a>, SegmentError> {
    let Cel::Call(CallExpr { func_name, target: Some(target), args }) = &at.expr else {
        return Err(checker.error(at, CHAIN));
    };
    match (func_name.as_str(), args.as_slice()) {
        ("count", []) => measured(checker, target, Measure::Count, 0, "count()".into()),
        ("count", _) => Err(checker.error(at, "`count()` takes nothing; put conditions into `.where(..)` before it")),
        ("any", _) => Err(checker.error(at, "`any()` is a condition by itself; `!` negates it")),
        ("sum" | "distinct", [argument]) => {
            let mut measured = measured(checker, target, Measure::Count, 0, String::new())?;
            let Cel::Ident(name) = &argument.expr else {
                return Err(checker.error(argument, "the name of an event field would be right"));
            };
            let field = checker.field(argument, name, &Scope::Event(measured.event))?;
            measured.name = format!("{func_name}({})", field.name);
            measured.measure = match (func_name.as_str(), &field.ty) {
                ("distinct", _) => Measure::Distinct(field.column),
                (_, FieldType::Integer { .. }) => Measure::Sum(field.column),
                (_, FieldType::Decimal { scale, .. }) => {
                    measured.scale = *scale;
                    Measure::Sum(field.column)
                }
                _ => {
                    let problem = format!("`{}` has no sum; an integer or decimal field would be right", field.name);
                    return Err(checker.error(argument, problem));
                }
            };
            Ok(measured)
        }
        ("sum" | "distinct", _) => Err(checker.error(at, format!("`{func_name}` takes one event field"))),
        _ => Err(checker.error(at, CHAIN)),
    }
}

fn measured<'a>(
    checker: &Checker<'a>,
    target: &IdedExpr,
    measure: Measure,
    scale: u8,
    name: String,
) -> Result<Measured<'a>, SegmentError> {
    let (event, window, mut filters) = chain(checker, target)?;
    let filter = match filters.len() {
        0 => EventFilter::Const(true),
        1 => filters.remove(0),
        _ => EventFilter::All(filters),
    };
    Ok(Measured { event, window: window.unwrap_or(Window::Ever), filter, measure, scale, name })
}

type Chain<'a> = (&'a EventType, Option<Window>, Vec<EventFilter>);

/// Checks an event type with its windows and `where`s, in any order.
fn chain<'a>(checker: &Checker<'a>, at: &IdedExpr) -> Result<Chain<'a>, SegmentError> {
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
    let mut window = None;
    let mut filters = Vec::new();
    for (place, call) in links.into_iter().rev() {
        match (call.func_name.as_str(), call.args.as_slice()) {
            ("where", [condition]) => filters.push(checker.filter(condition, &Scope::Event(event))?),
            ("last" | "between", _) if window.is_some() => {
                return Err(checker.error(place, "one window is enough; this test has two"));
            }
            ("last", [length]) => window = Some(Window::Last(span(checker, length)?)),
            ("between", [from, to]) => {
                let (from, to) = (span(checker, from)?, span(checker, to)?);
                if from.nominal_hours() <= to.nominal_hours() {
                    return Err(
                        checker.error(place, "the longer time comes first, such as `between(\"90d\", \"30d\")`")
                    );
                }
                window = Some(Window::Between(from, to));
            }
            ("any" | "count" | "sum" | "distinct", _) => {
                return Err(checker.error(place, "a measure ends the event test; windows and `where` come before it"));
            }
            _ => return Err(checker.error(place, CHAIN)),
        }
    }
    Ok((event, window, filters))
}

fn span(checker: &Checker<'_>, at: &IdedExpr) -> Result<Span, SegmentError> {
    match &at.expr {
        Cel::Literal(LiteralValue::String(text)) => Span::parse(text.inner()),
        _ => None,
    }
    .ok_or_else(|| {
        checker
            .error(at, "a length of time would be right: \"30d\" or \"4w\" up to 36500 days, \"12h\" up to 87600 hours")
    })
}
