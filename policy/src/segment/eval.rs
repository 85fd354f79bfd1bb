//! The meaning of a segment, one subject at a time, as plainly as it can be said.
//!
//! This is the oracle a fast scan is tested against, and not itself fast. Bounds on how many events of a subject count
//! (`max_per_subject`) are the caller's: rows hold the events that count.

use super::{EventFilter, EventTest, Expr, Measure, Segment, Sequence, Step, Test, Window, WindowError};
use crate::id::SampleLabel;
use crate::schema::{ColumnId, EventTypeId};
use crate::time::Timestamp;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};

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
    /// The bucket under each label of a sample that is asked about; without one, a subject is in no sample.
    pub buckets: BTreeMap<SampleLabel, u16>,
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
        Expr::Event(test) => event_test(test, row, as_of, zone),
        Expr::Sequence(sequence) => happened(sequence, row, as_of, zone).map(Some),
        Expr::Score(score) => {
            let mut sum = 0_i64;
            for (condition, points) in &score.parts {
                if part(condition)? == Some(true) {
                    sum += points;
                }
            }
            Ok(Some(score.min <= sum && sum <= score.max))
        }
        Expr::Sample(sample) => {
            let bucket = row.buckets.get(&sample.label);
            Ok(Some(bucket.is_some_and(|bucket| (sample.from..sample.until).contains(bucket))))
        }
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

fn event_test(test: &EventTest, row: &Row, as_of: Timestamp, zone: &str) -> Result<Option<bool>, WindowError> {
    let (start, end) = Window::resolve(test.window, as_of, zone)?;
    let counted: Vec<&EventRow> = row
        .events
        .iter()
        .filter(|event| event.event == test.event && start <= event.at.0 && event.at.0 < end)
        .filter(|event| filter(&test.filter, event) == Some(true))
        .collect();
    if test.if_any && counted.is_empty() {
        return Ok(None);
    }
    let present = |column: ColumnId| counted.iter().filter_map(move |event| value_of(&event.fields, column));
    let times = counted.iter().map(|event| event.at);
    let measured: Option<i128> = match test.measure {
        Measure::Count => Some(counted.len() as i128),
        Measure::Sum(column) => Some(present(column).map(i128::from).sum()),
        Measure::Distinct(column) => Some(present(column).collect::<BTreeSet<i64>>().len() as i128),
        Measure::Days => {
            let days: Result<BTreeSet<jiff::civil::Date>, _> = times.map(|at| date(at, zone)).collect();
            Some(days?.len() as i128)
        }
        Measure::Min(column) => present(column).min().map(i128::from),
        Measure::Max(column) => present(column).max().map(i128::from),
        Measure::DaysSinceLast => times.max().map(|at| days_since(at, as_of, zone)).transpose()?,
        Measure::DaysSinceFirst => times.min().map(|at| days_since(at, as_of, zone)).transpose()?,
    };
    let measured = measured.map(|measured| measured.clamp(i128::from(i64::MIN), i128::from(i64::MAX)));
    Ok(measured.map(|measured| i128::from(test.min) <= measured && measured <= i128::from(test.max)))
}

fn zoned(at: Timestamp, zone: &str) -> Result<jiff::Zoned, WindowError> {
    let zone = TimeZone::get(zone).map_err(|_| WindowError::UnknownZone)?;
    let instant = jiff::Timestamp::from_microsecond(at.0).map_err(|_| WindowError::OutOfRange)?;
    Ok(instant.to_zoned(zone))
}

fn date(at: Timestamp, zone: &str) -> Result<jiff::civil::Date, WindowError> {
    Ok(zoned(at, zone)?.date())
}

/// The least number of days that one has to go back to be at an instant or before it.
fn days_since(at: Timestamp, as_of: Timestamp, zone: &str) -> Result<i128, WindowError> {
    let now = zoned(as_of, zone)?;
    let between = date(at, zone)?.until(now.date()).map_err(|_| WindowError::OutOfRange)?.get_days();
    let mut days = i64::from(between).saturating_sub(2).max(0);
    loop {
        let span = jiff::Span::new().try_days(days).map_err(|_| WindowError::OutOfRange)?;
        let back = now.checked_sub(span).map_err(|_| WindowError::OutOfRange)?;
        if back.timestamp().as_microsecond() <= at.0 {
            return Ok(i128::from(days));
        }
        days += 1;
    }
}

fn happened(sequence: &Sequence, row: &Row, as_of: Timestamp, zone: &str) -> Result<bool, WindowError> {
    let (start, end) = Window::resolve(sequence.window, as_of, zone)?;
    let matching = |step: &Step, from: i64, until: i64| {
        let events = row.events.iter().filter(|event| event.event == step.event);
        let events = events.filter(|event| filter(&step.filter, event) == Some(true));
        events.map(|event| event.at.0).filter(|at| from <= *at && *at < until).collect::<Vec<i64>>()
    };
    let hours = |hours: u32| i64::from(hours) * 3_600_000_000;
    let steps: Vec<Vec<i64>> = sequence.steps.iter().map(|step| matching(step, start, end)).collect();
    let Some((first, later)) = steps.split_first() else { return Ok(false) };
    let absent = |from: i64| {
        let until = sequence.within_hours.map_or(as_of.0, |within| as_of.0.min(from + hours(within)));
        sequence.without.iter().all(|step| matching(step, from + 1, until).is_empty())
    };
    Ok(first.iter().filter(|from| absent(**from)).any(|from| {
        // From one start on, the times at which the chain can be, step after step.
        let mut reached = vec![*from];
        for times in later {
            let follows = |at: &&i64| {
                let soon = |before: &i64| sequence.gap_hours.is_none_or(|gap| **at - before < hours(gap));
                let within = sequence.within_hours.is_none_or(|within| **at - from < hours(within));
                within && reached.iter().any(|before| before < *at && soon(before))
            };
            reached = times.iter().filter(follows).copied().collect();
        }
        !reached.is_empty()
    }))
}
