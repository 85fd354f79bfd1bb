//! The parts of questions as they are asked: named segments, measures with their bounds, dimensions, periods.

use super::question::{self, View};
use crate::pipeline::Call;
use crate::status::Failure;
use policy::schema::{EventTypeId, FieldRef, FieldType};
use policy::segment::{Expr, Segment};
use policy::time::{Timestamp, parse_day};
use policy::treatment::Treatment;
use proto::v1;
use vault::release::{By, MAX_PERIODS, Measure};

/// Longest name of a step or band, in characters.
const MAX_NAME: usize = 80;

/// Most bands of a list.
const MAX_BANDS: usize = 32;

/// Refuses a list with more bands than anybody could read.
pub fn few_bands(part: &'static str, bands: &[v1::Named]) -> Result<(), Failure> {
    let fits = (1..=MAX_BANDS).contains(&bands.len());
    if fits { Ok(()) } else { Err(Failure::invalid(part, format!("must have 1 to {MAX_BANDS} bands in each list"))) }
}

/// Reads segments that have names; a name may be left out, and is then a number.
pub fn named(
    call: &Call,
    view: &View,
    part: &'static str,
    list: Vec<v1::Named>,
) -> Result<(Vec<Segment>, Vec<String>), Failure> {
    let read = |(place, v1::Named { name, segment }): (usize, v1::Named)| {
        if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(Failure::invalid(part, format!("has a name longer than {MAX_NAME} characters")));
        }
        let name = if name.is_empty() { (place + 1).to_string() } else { name };
        let (segment, universe) = view.segments(call, segment, "")?;
        // Who is in a stored segment is in its universe too.
        let both = Expr::All(vec![universe.root().clone(), segment.root().clone()]);
        Ok((Segment::from_expr(both, &view.schema), name))
    };
    list.into_iter().enumerate().map(read).collect()
}

/// Reads what a table counts; nothing is people.
pub fn measures(view: &View, list: Vec<v1::Measure>) -> Result<Vec<Measure>, Failure> {
    if list.is_empty() {
        return Ok(vec![Measure::People]);
    }
    list.into_iter().map(|measure| self::measure(view, measure)).collect()
}

fn measure(view: &View, v1::Measure { of, bound }: v1::Measure) -> Result<Measure, Failure> {
    if of == "people" {
        let unbounded = bound.is_empty();
        return if unbounded { Ok(Measure::People) } else { Err(Failure::invalid("measures", "bounds people")) };
    }
    let field = view.field(&of)?;
    match field {
        FieldRef::Event(event) => Ok(Measure::Events { event, bound: bound_in_units(&bound, 0)? }),
        FieldRef::EventField(..) => match view.schema.field(field).map(|field| &field.ty) {
            Some(FieldType::Integer { .. }) => Ok(Measure::Sum { field, bound: bound_in_units(&bound, 0)? }),
            Some(FieldType::Decimal { scale, .. }) => {
                Ok(Measure::Sum { field, bound: bound_in_units(&bound, *scale)? })
            }
            _ => Err(Failure::invalid("measures", "names a field that is no number")),
        },
        FieldRef::Attribute(_) => {
            Err(Failure::invalid("measures", "is neither `people`, nor an event, nor a number field of one"))
        }
    }
}

/// Reads a bound of a measure, in units of its field.
fn bound_in_units(bound: &str, scale: u8) -> Result<u64, Failure> {
    let wrong = "needs a bound above 0: the most that one person counts for, such as `12` or `500.00`";
    units(bound, scale).ok_or_else(|| Failure::invalid("measures", wrong))
}

/// Reads a number above 0, in units of so many digits after the point.
pub fn units(text: &str, scale: u8) -> Option<u64> {
    let units = FieldType::Decimal { scale, min: 0, max: i64::MAX }.units(text);
    units.and_then(|units| u64::try_from(units).ok()).filter(|units| *units > 0)
}

/// Reads the dimensions of a table.
pub fn dimensions(view: &View, list: Vec<v1::Dimension>) -> Result<Vec<By>, Failure> {
    use v1::dimension::Dimension;
    let read = |dimension: v1::Dimension| match dimension.dimension {
        None => Err(Failure::invalid("by", "has a dimension that is nothing")),
        Some(Dimension::Field(path)) => Ok(By::Field(view.closed_field("by", &path)?)),
        Some(Dimension::HourOf(path)) => Ok(By::Hours(event(view, "by", &path)?)),
        Some(Dimension::WeekdayOf(path)) => Ok(By::Weekdays(event(view, "by", &path)?)),
        Some(Dimension::Bins(v1::Bins { field, edges })) => {
            let field = view.field(&field)?;
            let Some(ty) = view.schema.field(field).map(|field| &field.ty) else {
                return Err(Failure::invalid("by", "has bins of what is no number"));
            };
            let edge = |edge: &String| ty.units(edge);
            let edges: Option<Vec<i64>> = edges.iter().map(edge).collect();
            let problem = "has bins whose edges are no numbers of their field";
            Ok(By::Bins { field, edges: edges.ok_or_else(|| Failure::invalid("by", problem))? })
        }
    };
    list.into_iter().map(read).collect()
}

/// Reads which quantiles are wanted, in thousandths; nothing is the quartiles.
pub fn permilles(list: Vec<u32>) -> Result<Vec<u16>, Failure> {
    if list.is_empty() {
        return Ok(vec![250, 500, 750]);
    }
    let wrong = || Failure::invalid("permilles", "must be at most 20 numbers from 1 to 999: 500 is the median");
    let read = |permille: u32| u16::try_from(permille).ok().filter(|p| (1..1_000).contains(p)).ok_or_else(wrong);
    if list.len() > 20 { Err(wrong()) } else { list.into_iter().map(read).collect() }
}

/// Finds an event type.
pub fn event(view: &View, part: &'static str, path: &str) -> Result<EventTypeId, Failure> {
    match view.field(path)? {
        FieldRef::Event(event) => Ok(event),
        _ => Err(Failure::invalid(part, "must be an event type, such as `order`")),
    }
}

/// Returns the days at which periods begin, and the one that ends the last: from the start of the first day's period to the
/// end of the last day's.
pub fn periods(call: &Call, view: &View, period: i32, from: &str, until: &str) -> Result<Vec<i32>, Failure> {
    let step = Step::read(period)?;
    let from = parse_day(from).ok_or_else(|| Failure::invalid("from", "must be a day such as 2026-01-05"))?;
    let until = match until {
        "" => {
            call.app.vault.epoch(&view.schema.dataset).and_then(|epoch| day_after(epoch.as_of, &view.schema.time_zone))
        }
        day => parse_day(day),
    };
    let until =
        until.ok_or_else(|| Failure::invalid("until", "must be a day such as 2026-04-01, or an epoch has to close"))?;
    let mut days = vec![step.start(from)];
    while let Some(last) = days.last().copied()
        && last < until
    {
        if days.len() > MAX_PERIODS {
            return Err(Failure::invalid(
                "period",
                format!("makes more than {MAX_PERIODS} periods; choose longer ones"),
            ));
        }
        days.push(step.next(last));
    }
    if days.len() > 1 { Ok(days) } else { Err(Failure::invalid("until", "must be after `from`")) }
}

/// Returns the days at which the last whole periods up to the end of the epoch begin, and the one that ends the last; none
/// before the first close.
pub fn last_periods(call: &Call, view: &View, period: i32, periods: usize) -> Result<Vec<i32>, Failure> {
    let step = Step::read(period)?;
    let epoch = call.app.vault.epoch(&view.schema.dataset);
    let Some(end) = epoch.and_then(|epoch| day_after(epoch.as_of, &view.schema.time_zone)) else {
        return Ok(Vec::new());
    };
    let mut days = vec![step.start(end)];
    for _ in 0..periods {
        let earlier = days.last().map(|day| step.start(day - 1));
        days.extend(earlier);
    }
    days.reverse();
    Ok(days)
}

/// The day after the one that an epoch's last instant lies in.
fn day_after(as_of: Timestamp, zone: &str) -> Option<i32> {
    let days = policy::segment::LocalDays::new(zone, as_of).ok()?;
    i32::try_from(days.day(as_of.0.saturating_sub(1)) + 1).ok()
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Day,
    Week,
    Month,
}

impl Step {
    fn read(period: i32) -> Result<Self, Failure> {
        match v1::Period::try_from(period) {
            Ok(v1::Period::Day) => Ok(Self::Day),
            Ok(v1::Period::Week) => Ok(Self::Week),
            Ok(v1::Period::Month) => Ok(Self::Month),
            Ok(v1::Period::Unspecified) | Err(_) => Err(Failure::invalid("period", "must be a day, a week or a month")),
        }
    }

    /// The start of the period that a day (since 1970-01-01) lies in.
    fn start(self, day: i32) -> i32 {
        match self {
            Self::Day => day,
            // 1970-01-01 was a Thursday.
            Self::Week => day - (day + 3).rem_euclid(7),
            Self::Month => date(day).map_or(day, |date| day - i32::from(date.day()) + 1),
        }
    }

    /// The start of the period after the one that starts on a day.
    fn next(self, start: i32) -> i32 {
        match self {
            Self::Day => start + 1,
            Self::Week => start + 7,
            Self::Month => start + date(start).map_or(30, |date| i32::from(date.days_in_month())),
        }
    }
}

fn date(day: i32) -> Option<jiff::civil::Date> {
    jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().try_days(day).ok()?).ok()
}

/// Reads distinct fields with closed domains.
pub fn closed(view: &View, part: &'static str, paths: &[String]) -> Result<Vec<FieldRef>, Failure> {
    let fields: Vec<_> = paths.iter().map(|path| view.closed_field(part, path)).collect::<Result<_, _>>()?;
    let mut sorted = fields.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() == fields.len() { Ok(fields) } else { Err(Failure::invalid(part, "names a field twice")) }
}

/// Returns the attributes with a closed domain that the caller may count.
pub fn granted(view: &View) -> Vec<FieldRef> {
    let attributes = view.schema.attributes.iter().filter(|field| field.ty.cardinality().is_some());
    let references = attributes.map(|field| FieldRef::Attribute(field.column));
    references.filter(|field| view.treatment(*field) >= Treatment::Aggregate).collect()
}

/// Reads what a question says about itself.
pub fn asked(ask: Option<v1::Ask>) -> question::Asked {
    let v1::Ask { dataset, segment, universe, r#use, spend, validate_only, request_id } = ask.unwrap_or_default();
    question::Asked { dataset, segment, universe, used: r#use, spend, validate_only, request_id }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use policy::time::format_day;

    #[test]
    fn periods_begin_where_calendars_say() {
        let day = |text: &str| parse_day(text).unwrap();
        let written = |day: i32| format_day(day).unwrap();
        // A Sunday.
        assert_eq!(written(Step::Week.start(day("2026-11-29"))), "2026-11-23");
        assert_eq!(written(Step::Week.start(day("1969-12-28"))), "1969-12-22");
        assert_eq!(written(Step::Month.start(day("2024-02-29"))), "2024-02-01");
        assert_eq!(written(Step::Month.next(day("2024-02-01"))), "2024-03-01");
        assert_eq!(written(Step::Month.next(day("2026-12-01"))), "2027-01-01");
        assert_eq!(written(Step::Day.next(day("2024-02-28"))), "2024-02-29");
    }
}
