//! Months and quarters of the calendar, UTC: the periods that caps are of.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A calendar month, UTC: `year * 12 + (0..=11)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Month(pub u32);

/// A calendar quarter, UTC: `year * 4 + (0..=3)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quarter(pub u32);

impl Month {
    /// Returns the month an instant lies in; instants before the year 0 lie in its first month.
    pub fn of(instant: Timestamp) -> Self {
        let days = instant.seconds().div_euclid(86_400);
        // Days to (year, month) in the proleptic Gregorian calendar, years counted from 1 March: 400 years are 146,097
        // days, and from March on, month lengths repeat every five months of 153 days.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let (month, carry) = if month_from_march < 10 { (month_from_march + 3, 0) } else { (month_from_march - 9, 1) };
        let year = era * 400 + year_of_era + carry;
        u32::try_from(year * 12 + (month - 1)).map_or(Self(0), Self)
    }

    /// Returns the month an instant lies in by the calendar of a time zone; `None` for a zone that nobody knows.
    pub fn local(instant: Timestamp, zone: &str) -> Option<Self> {
        let zone = jiff::tz::TimeZone::get(zone).ok()?;
        let day = jiff::Timestamp::from_microsecond(instant.0).ok()?.to_zoned(zone).date();
        let months = i32::from(day.year()).checked_mul(12)?.checked_add(i32::from(day.month()) - 1)?;
        u32::try_from(months).ok().map(Self)
    }

    /// Returns the month after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns the quarter it is in.
    pub const fn quarter(self) -> Quarter {
        Quarter(self.0 / 3)
    }

    /// Returns the first day, as people write it: `2026-11-01`.
    pub fn first_day(self) -> String {
        format!("{self}-01")
    }

    /// Returns the instant at which it begins.
    fn start(self) -> Timestamp {
        // Days of a date, the other way round than in `of`.
        let (year, month) = (i64::from(self.0 / 12), i64::from(self.0 % 12 + 1));
        let (year, month_from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let day_of_year = (153 * month_from_march + 2) / 5;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Timestamp::from_seconds((era * 146_097 + day_of_era - 719_468).saturating_mul(86_400))
    }
}

/// The last month of a quarter: what was charged to a quarter alone opens no month before the quarter has ended.
impl From<Quarter> for Month {
    fn from(quarter: Quarter) -> Self {
        Self(quarter.0.saturating_mul(3).saturating_add(2))
    }
}

/// Writes `2026-11`.
impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 12, self.0 % 12 + 1)
    }
}

impl Quarter {
    /// Returns the quarter an instant lies in; instants before the year 0 lie in its first quarter.
    pub fn of(instant: Timestamp) -> Self {
        Month::of(instant).quarter()
    }

    /// Returns the quarter after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns the instant at which it begins.
    pub fn start(self) -> Timestamp {
        Month(self.0.saturating_mul(3)).start()
    }

    /// Returns the year.
    pub const fn year(self) -> u32 {
        self.0 / 4
    }

    /// Returns the first day, as people write it: `2027-01-01`.
    pub fn first_day(self) -> String {
        Month(self.0.saturating_mul(3)).first_day()
    }
}

/// Writes `2026-Q4`.
impl fmt::Display for Quarter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-Q{}", self.year(), self.0 % 4 + 1)
    }
}
