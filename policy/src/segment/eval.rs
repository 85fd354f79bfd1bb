//! The meaning of a segment, one subject at a time, as plainly as it can be said.
//!
//! This is the oracle a fast scan is tested against, and not itself fast. Bounds on how many events of a subject count
//! (`max_per_subject`) are the caller's: rows hold the events that count.

use super::{EventFilter, EventTest, Expr, Measure, Segment, Test, Window, WindowError};
use crate::schema::{ColumnId, EventTypeId};
use crate::time::Timestamp;
use std::collections::BTreeSet;

/// One event of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its type.
    pub event: EventTypeId,
    /// When it happened.
    pub at: Timestamp,
    /// Its fields by column: codes, numbers in units, days; `None` is missing. For identifiers, any numbers that are
    /// equal where the bytes are.
    pub fields: Vec<Option<i64>>,
}

/// One subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Attributes by column, as [`EventRow::fields`].
    pub attributes: Vec<Option<i64>>,
    /// Events, in any order.
    pub events: Vec<EventRow>,
}

/// Evaluates a segment for one subject: `None` is unknown, and unknown is not a member.
pub fn eval(segment: &Segment, row: &Row, as_of: Timestamp, zone: &str) -> Result<Option<bool>, WindowError> {
    eval_expr(segment.root(), row, as_of, zone)
}

/// Evaluates a condition for one subject, whether in canonical form or not.
pub fn eval_expr(expr: &Expr, row: &Row, as_of: Timestamp, zone: &str) -> Result<Option<bool>, WindowError> {
    let part = |part: &Expr| eval_expr(part, row, as_of, zone);
    match expr {
        Expr::Const(value) => Ok(Some(*value)),
        Expr::Not(inner) => Ok(part(inner)?.map(|value| !value)),
        Expr::All(parts) => Ok(all(parts.iter().map(part).collect::<Result<Vec<_>, _>>()?)),
        Expr::Any(parts) => Ok(any(parts.iter().map(part).collect::<Result<Vec<_>, _>>()?)),
        Expr::Attribute(column, test) => Ok(value_test(test, value_of(&row.attributes, *column))),
        Expr::Event(test) => event_test(test, row, as_of, zone).map(Some),
    }
}

fn all(parts: Vec<Option<bool>>) -> Option<bool> {
    if parts.contains(&Some(false)) {
        Some(false)
    } else if parts.contains(&None) {
        None
    } else {
        Some(true)
    }
}

fn any(parts: Vec<Option<bool>>) -> Option<bool> {
    all(parts.into_iter().map(|part| part.map(|value| !value)).collect()).map(|value| !value)
}

fn value_of(fields: &[Option<i64>], column: ColumnId) -> Option<i64> {
    fields.get(usize::from(column.0)).copied().flatten()
}

fn value_test(test: &Test, value: Option<i64>) -> Option<bool> {
    match test {
        Test::Missing => Some(value.is_none()),
        Test::Codes(codes) => value.map(|value| codes.iter().any(|code| i64::from(*code) == value)),
        Test::Range { min, max } => value.map(|value| *min <= value && value <= *max),
    }
}

fn filter(condition: &EventFilter, event: &EventRow) -> Option<bool> {
    let part = |part: &EventFilter| filter(part, event);
    match condition {
        EventFilter::Const(value) => Some(*value),
        EventFilter::Not(inner) => part(inner).map(|value| !value),
        EventFilter::All(parts) => all(parts.iter().map(part).collect()),
        EventFilter::Any(parts) => any(parts.iter().map(part).collect()),
        EventFilter::Field(column, test) => value_test(test, value_of(&event.fields, *column)),
    }
}

fn event_test(test: &EventTest, row: &Row, as_of: Timestamp, zone: &str) -> Result<bool, WindowError> {
    let (start, end) = Window::resolve(test.window, as_of, zone)?;
    let counted: Vec<&EventRow> = row
        .events
        .iter()
        .filter(|event| event.event == test.event && start <= event.at.0 && event.at.0 < end)
        .filter(|event| filter(&test.filter, event) == Some(true))
        .collect();
    let present = |column: ColumnId| counted.iter().filter_map(move |event| value_of(&event.fields, column));
    let measured: i128 = match test.measure {
        Measure::Count => counted.len() as i128,
        Measure::Sum(column) => present(column).map(i128::from).sum(),
        Measure::Distinct(column) => present(column).collect::<BTreeSet<i64>>().len() as i128,
    };
    let measured = measured.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    Ok(i128::from(test.min) <= measured && measured <= i128::from(test.max))
}
