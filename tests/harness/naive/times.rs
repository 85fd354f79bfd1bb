//! Times of a dataset: its zone and the end of its epoch.

use super::{Length, Window};
use jiff::civil::{Date, DateTime, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

const HOUR: i64 = 3_600_000_000;

/// Where and when a question is asked.
#[derive(Debug, Clone)]
pub struct Moment {
    zone: TimeZone,
    /// End of the epoch in microseconds.
    pub as_of: i64,
}

impl Moment {
    /// The moment of a local time.
    pub fn new(zone: &str, local: DateTime) -> Self {
        let zone = TimeZone::get(zone).unwrap();
        let as_of = instant(&zone, local);
        Self { zone, as_of }
    }

    fn local(&self, at: i64) -> DateTime {
        self.zone.to_datetime(Timestamp::from_microsecond(at).unwrap())
    }

    /// The day of an instant, as days since 1970.
    pub fn day(&self, at: i64) -> i64 {
        number(self.local(at).date())
    }

    /// The first instant of a day.
    pub fn start(&self, day: i64) -> i64 {
        instant(&self.zone, dated(day).at(0, 0, 0, 0))
    }

    /// The instant so many calendar days before the epoch's end, at its time of day.
    pub fn days_ago(&self, days: i64) -> i64 {
        instant(&self.zone, self.local(self.as_of).checked_sub(days.days()).unwrap())
    }

    /// The instant a length before the epoch's end.
    pub fn ago(&self, length: Length) -> i64 {
        match length {
            Length::Days(days) => self.days_ago(days),
            Length::Hours(hours) => self.as_of - hours * HOUR,
        }
    }

    /// Whether an instant is in a window.
    pub fn holds(&self, window: Window, at: i64) -> bool {
        let past = at < self.as_of;
        match window {
            Window::Ever => past,
            Window::Last(length) => past && self.ago(length) <= at,
            Window::Between(from, to) => past && self.ago(from) <= at && at < self.ago(to),
            Window::Since(day) => past && day <= self.day(at),
            Window::Dates(from, to) => past && (from..to).contains(&self.day(at)),
        }
    }
}

/// A length that is not counted from the epoch's end, in microseconds.
pub(super) fn exact(length: Length) -> i64 {
    match length {
        Length::Days(days) => days * 24 * HOUR,
        Length::Hours(hours) => hours * HOUR,
    }
}

/// A skipped time is the one so much later, of a repeated one the first.
fn instant(zone: &TimeZone, local: DateTime) -> i64 {
    zone.to_ambiguous_timestamp(local).compatible().unwrap().as_microsecond()
}

pub(super) fn dated(day: i64) -> Date {
    date(1970, 1, 1).checked_add(day.days()).unwrap()
}

/// A day as days since 1970.
pub(super) fn number(day: Date) -> i64 {
    i64::from(date(1970, 1, 1).until(day).unwrap().get_days())
}
