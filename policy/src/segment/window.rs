//! Lengths of time and windows: reading, writing, and what instants they stand for.

use super::{Span, Window};
use crate::time::Timestamp;
use jiff::ToSpan;
use jiff::tz::TimeZone;
use std::fmt;

const MAX_DAYS: u32 = 36_500;
const MAX_HOURS: u32 = 87_600;

/// Why a window has no instants: the time zone is unknown, or the window reaches beyond the years -9999..9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Not an IANA name this build knows.
    #[error("unknown time zone")]
    UnknownZone,
    /// Beyond what a calendar can say.
    #[error("window out of range")]
    OutOfRange,
}

impl Span {
    /// Reads `30d`, `4w` (28 days) or `12h`.
    pub fn parse(text: &str) -> Option<Self> {
        let unit = text.chars().last()?;
        let digits = text.strip_suffix(unit)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let length: u32 = digits.parse().ok()?;
        match unit {
            'd' => Some(Self::Days(length)),
            'w' => Some(Self::Days(length.checked_mul(7)?)),
            'h' => Some(Self::Hours(length)),
            _ => None,
        }
        .filter(|span| match span {
            Self::Days(days) => (1..=MAX_DAYS).contains(days),
            Self::Hours(hours) => (1..=MAX_HOURS).contains(hours),
        })
    }

    /// Returns the length in hours, days counted as 24; for ordering, not for instants.
    pub(super) fn nominal_hours(self) -> u64 {
        match self {
            Self::Days(days) => u64::from(days) * 24,
            Self::Hours(hours) => u64::from(hours),
        }
    }

    /// Returns the instant this long before another: calendar days at the same time of day in the zone, exact hours.
    fn before(self, instant: jiff::Timestamp, zone: &TimeZone) -> Result<i64, WindowError> {
        match self {
            Self::Days(days) => days_before(instant, i64::from(days), zone),
            Self::Hours(hours) => {
                let earlier = instant.checked_sub(i64::from(hours).hours());
                earlier.map(jiff::Timestamp::as_microsecond).map_err(|_| WindowError::OutOfRange)
            }
        }
    }

    /// Returns the length in hours where it is a length of exact time, a day 24 of them.
    pub(super) fn exact_hours(self) -> u32 {
        match self {
            Self::Days(days) => days.saturating_mul(24),
            Self::Hours(hours) => hours,
        }
    }
}

/// Returns the instant, in microseconds, so many calendar days before another, at the same time of day in the zone.
pub(super) fn days_before(instant: jiff::Timestamp, days: i64, zone: &TimeZone) -> Result<i64, WindowError> {
    let days = jiff::Span::new().try_days(days).map_err(|_| WindowError::OutOfRange)?;
    let earlier = instant.to_zoned(zone.clone()).checked_sub(days).map_err(|_| WindowError::OutOfRange)?;
    Ok(earlier.timestamp().as_microsecond())
}

/// Returns the first instant of a day in the zone, in microseconds.
fn day_start(day: i32, zone: &TimeZone) -> Result<i64, WindowError> {
    let days = jiff::Span::new().try_days(day).map_err(|_| WindowError::OutOfRange)?;
    let date = jiff::civil::date(1970, 1, 1).checked_add(days).map_err(|_| WindowError::OutOfRange)?;
    let start = zone.to_zoned(date.at(0, 0, 0, 0)).map_err(|_| WindowError::OutOfRange)?;
    Ok(start.timestamp().as_microsecond())
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(days) => write!(f, "{days}d"),
            Self::Hours(hours) => write!(f, "{hours}h"),
        }
    }
}

impl Window {
    /// Returns the half-open bounds in microseconds since 1970-01-01T00:00:00Z: an event at `at` counts when
    /// `start <= at < end`. `start <= end` always. `zone` is the dataset's IANA zone.
    ///
    /// A day's edge that a clock change skips or repeats falls on the instant just after the gap, or the first of
    /// the two.
    pub fn resolve(self, as_of: Timestamp, zone: &str) -> Result<(i64, i64), WindowError> {
        if self == Self::Ever {
            return Ok((i64::MIN, as_of.0));
        }
        let zone = TimeZone::get(zone).map_err(|_| WindowError::UnknownZone)?;
        let instant = jiff::Timestamp::from_microsecond(as_of.0).map_err(|_| WindowError::OutOfRange)?;
        let (start, end) = match self {
            Self::Ever => (i64::MIN, as_of.0),
            Self::Last(span) => (span.before(instant, &zone)?, as_of.0),
            Self::Between(from, to) => (from.before(instant, &zone)?, to.before(instant, &zone)?),
            Self::Since(day) => (day_start(day, &zone)?, as_of.0),
            Self::Dates(day, end) => (day_start(day, &zone)?, day_start(end, &zone)?.min(as_of.0)),
        };
        Ok((start.min(end), end))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
    }

    #[track_caller]
    fn check(window: Window, as_of: &str, zone: &str, start: &str, end: &str) {
        let got = window.resolve(Timestamp(micros(as_of)), zone).unwrap();
        assert_eq!(got, (micros(start), micros(end)));
    }

    #[test]
    fn days_are_calendar_days_over_a_clock_change() {
        // British clocks go forward on 2024-03-31 and back on 2024-10-27.
        let day = Window::Last(Span::Days(1));
        check(day, "2024-03-31T23:00:00Z", "Europe/London", "2024-03-31T00:00:00Z", "2024-03-31T23:00:00Z");
        check(day, "2024-10-28T00:00:00Z", "Europe/London", "2024-10-26T23:00:00Z", "2024-10-28T00:00:00Z");
        let month = Window::Last(Span::Days(30));
        check(month, "2024-04-14T23:00:00Z", "Europe/London", "2024-03-16T00:00:00Z", "2024-04-14T23:00:00Z");
    }

    #[test]
    fn hours_are_exact_over_a_clock_change() {
        let day = Window::Last(Span::Hours(24));
        check(day, "2024-03-31T23:00:00Z", "Europe/London", "2024-03-30T23:00:00Z", "2024-03-31T23:00:00Z");
    }

    #[test]
    fn an_edge_in_a_skipped_hour_falls_after_it() {
        let day = Window::Last(Span::Days(1));
        check(day, "2024-04-01T00:30:00Z", "Europe/London", "2024-03-31T01:30:00Z", "2024-04-01T00:30:00Z");
    }

    #[test]
    fn between_is_half_open_and_never_turned_around() {
        let between = Window::Between(Span::Days(90), Span::Days(30));
        check(between, "2024-06-01T00:00:00Z", "UTC", "2024-03-03T00:00:00Z", "2024-05-02T00:00:00Z");
        // This calendar day has 23 hours, so that 24 hours reach further back.
        let turned = Window::Between(Span::Days(1), Span::Hours(23));
        let (start, end) = turned.resolve(Timestamp(micros("2024-03-31T23:00:00Z")), "Europe/London").unwrap();
        assert_eq!(start, end);
    }

    #[test]
    fn dates_are_whole_days_of_the_zone_and_end_at_the_instant() {
        let days = |from: &str, to: &str| {
            let day = |text| crate::time::parse_day(text).unwrap();
            Window::Dates(day(from), day(to))
        };
        // The day on which clocks go forward has 23 hours.
        let spring = days("2024-03-31", "2024-04-01");
        check(spring, "2024-06-01T00:00:00Z", "Europe/London", "2024-03-31T00:00:00Z", "2024-03-31T23:00:00Z");
        check(spring, "2024-03-31T12:00:00Z", "Europe/London", "2024-03-31T00:00:00Z", "2024-03-31T12:00:00Z");
        check(spring, "2024-01-01T00:00:00Z", "Europe/London", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z");
        // Clocks went from 23:59 to 01:00: the day began at one.
        let gap = days("2018-11-04", "2018-11-05");
        check(gap, "2024-01-01T00:00:00Z", "America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z");
        let leap = days("2024-02-29", "2024-03-01");
        check(leap, "2024-06-01T00:00:00Z", "UTC", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z");
        let since = Window::Since(crate::time::parse_day("2024-07-01").unwrap());
        check(since, "2024-07-02T00:00:00Z", "Europe/London", "2024-06-30T23:00:00Z", "2024-07-02T00:00:00Z");
    }

    #[test]
    fn ever_ends_at_the_instant_and_errors_are_typed() {
        assert_eq!(Window::Ever.resolve(Timestamp(5), "Nowhere/None"), Ok((i64::MIN, 5)));
        let day = Window::Last(Span::Days(1));
        assert_eq!(day.resolve(Timestamp(5), "Nowhere/None"), Err(WindowError::UnknownZone));
        assert_eq!(day.resolve(Timestamp(i64::MAX), "UTC"), Err(WindowError::OutOfRange));
    }

    #[test]
    fn spans_are_read_strictly() {
        assert_eq!(Span::parse("4w"), Some(Span::Days(28)));
        assert_eq!(Span::parse("12h"), Some(Span::Hours(12)));
        for text in
            ["", "d", "0d", "-1d", "+1d", "1.5d", "36501d", "87601h", "1m", "99999999999d", "4294967295w", "30 d", "3é"]
        {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }
}
