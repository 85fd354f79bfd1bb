//! Calendar days of instants, in a time zone.

use super::WindowError;
use super::window::days_before;
use crate::time::Timestamp;
use jiff::tz::TimeZone;

const DAY: i64 = 86_400_000_000;
const HOUR: i64 = 3_600_000_000;

/// Tells the calendar day of any instant before an end, from a table of the zone's clock changes: some comparisons an
/// instant, where asking a calendar would take a hundred times as long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDays {
    /// Microseconds to add before the first change.
    first: i64,
    /// Instants of changes in order, and the microseconds to add from there on.
    changes: Vec<(i64, i64)>,
}

impl LocalDays {
    /// Builds the table of an IANA zone for instants before `until`.
    pub fn new(zone: &str, until: Timestamp) -> Result<Self, WindowError> {
        let zone = TimeZone::get(zone).map_err(|_| WindowError::UnknownZone)?;
        let micros = |offset: jiff::tz::Offset| i64::from(offset.seconds()) * 1_000_000;
        let start = jiff::Timestamp::MIN;
        let changes =
            zone.following(start).map(|change| (change.timestamp().as_microsecond(), micros(change.offset())));
        let changes = changes.take_while(|(at, _)| *at < until.0).collect();
        Ok(Self { first: micros(zone.to_offset(start)), changes })
    }

    /// Returns the day of an instant (microseconds since 1970-01-01T00:00:00Z) as days since 1970-01-01.
    pub fn day(&self, at: i64) -> i64 {
        self.local(at).div_euclid(DAY)
    }

    /// Returns the hour of day of an instant, 0-23.
    pub fn hour(&self, at: i64) -> u8 {
        u8::try_from(self.local(at).rem_euclid(DAY) / HOUR).unwrap_or(0)
    }

    /// Returns the weekday of an instant, Monday 0 to Sunday 6.
    pub fn weekday(&self, at: i64) -> u8 {
        // 1970-01-01 was a Thursday.
        u8::try_from((self.day(at) + 3).rem_euclid(7)).unwrap_or(0)
    }

    /// Adds the hour of the week of each of some instants, Monday 0 h being 0 and Sunday 23 h 167. Quicker than one by one:
    /// among instants of some months there are few clock changes.
    pub fn hours_of_week(&self, ats: impl Iterator<Item = i64> + Clone, hours: &mut Vec<u8>) {
        let (low, high) = ats.clone().fold((i64::MAX, i64::MIN), |(low, high), at| (low.min(at), high.max(at)));
        let passed = |at: i64| self.changes.partition_point(|(change, _)| *change <= at);
        let changes = self.changes.get(passed(low)..passed(high)).unwrap_or_default();
        let before = self.offset(low);
        // 1970-01-01 was a Thursday.
        let hour = |at: i64, offset: i64| {
            let of_week = at.saturating_add(offset).rem_euclid(7 * DAY) / HOUR;
            u8::try_from(if of_week < 96 { of_week + 72 } else { of_week - 96 }).unwrap_or(0)
        };
        match changes {
            [] => hours.extend(ats.map(|at| hour(at, before))),
            [(change, add)] => hours.extend(ats.map(|at| hour(at, if at < *change { before } else { *add }))),
            several => hours.extend(ats.map(|at| {
                let offset =
                    several.iter().fold(before, |offset, (change, add)| if at < *change { offset } else { *add });
                hour(at, offset)
            })),
        }
    }

    /// Returns what a clock on the wall shows, as microseconds since it showed 1970-01-01 00:00.
    fn local(&self, at: i64) -> i64 {
        at.saturating_add(self.offset(at))
    }

    /// Returns how many microseconds a clock on the wall is ahead.
    fn offset(&self, at: i64) -> i64 {
        let passed = self.changes.partition_point(|(change, _)| *change <= at);
        passed.checked_sub(1).and_then(|last| self.changes.get(last)).map_or(self.first, |(_, add)| *add)
    }
}

/// Returns the inclusive bounds of the instants, in microseconds, whose "days since" at `as_of` lies in `min..=max`; the
/// first is later than the second where there are none. See [`super::Measure::DaysSinceLast`].
pub fn days_since_times(min: i64, max: i64, as_of: Timestamp, zone: &str) -> Result<(i64, i64), WindowError> {
    let zone = TimeZone::get(zone).map_err(|_| WindowError::UnknownZone)?;
    let now = jiff::Timestamp::from_microsecond(as_of.0).map_err(|_| WindowError::OutOfRange)?;
    // No calendar reaches further back than the first instant there is.
    let start = |days: i64| if days <= 0 { as_of.0 } else { days_before(now, days, &zone).unwrap_or(i64::MIN) };
    if max < 1 || min > max {
        return Ok((0, -1));
    }
    Ok(start(min - 1).checked_sub(1).map_or((0, -1), |latest| (start(max), latest)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_the_calendar_on_both_sides_of_every_change() {
        let until: jiff::Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        for name in
            ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo", "UTC"]
        {
            let zone = TimeZone::get(name).unwrap();
            let days = LocalDays::new(name, Timestamp(until.as_microsecond())).unwrap();
            let changes: Vec<i64> = days.changes.iter().map(|(at, _)| *at).collect();
            for few in [1, 2, 5, changes.len()] {
                let ats =
                    changes.iter().rev().take(few).flat_map(|at| [-DAY, -1, 0, 1, HOUR, DAY].map(|near| at + near));
                let mut hours = Vec::new();
                days.hours_of_week(ats.clone(), &mut hours);
                let expected = |at: i64| 24 * days.weekday(at) + days.hour(at);
                assert_eq!(hours, ats.map(expected).collect::<Vec<u8>>(), "{name}");
            }
            for at in changes.into_iter().chain([0, 1_700_000_000_000_000]) {
                for near in [-DAY, -1, 0, 1, 3_600_000_000, DAY] {
                    let instant = jiff::Timestamp::from_microsecond(at + near).unwrap();
                    let date = instant.to_zoned(zone.clone()).date();
                    let expected = jiff::civil::date(1970, 1, 1).until(date).unwrap().get_days();
                    assert_eq!(days.day(at + near), i64::from(expected), "{name} {instant}");
                    let clock = instant.to_zoned(zone.clone());
                    assert_eq!(days.hour(at + near), clock.hour() as u8, "{name} {instant}");
                    let weekday = clock.weekday().to_monday_zero_offset() as u8;
                    assert_eq!(days.weekday(at + near), weekday, "{name} {instant}");
                }
            }
        }
    }

    #[test]
    fn days_since_agree_with_windows() {
        use crate::segment::{Span, Window};
        let as_of = Timestamp("2024-03-31T23:00:00Z".parse::<jiff::Timestamp>().unwrap().as_microsecond());
        let window = |days| Window::Last(Span::Days(days)).resolve(as_of, "Europe/London").unwrap();
        let times = |min, max| days_since_times(min, max, as_of, "Europe/London").unwrap();
        assert_eq!(times(1, 1), (window(1).0, as_of.0 - 1));
        assert_eq!(times(2, 30), (window(30).0, window(1).0 - 1));
        assert_eq!(times(31, i64::MAX), (i64::MIN, window(30).0 - 1));
        assert_eq!(times(-5, 40_000).1, as_of.0 - 1);
        for (min, max) in [(1, 0), (-3, 0), (5, 4), (i64::MAX, i64::MAX)] {
            let (first, last) = times(min, max);
            assert!(first > last, "{min} {max}");
        }
    }
}
