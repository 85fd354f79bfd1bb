//! Instants and days as plain integers, so that nothing below the gateway can read a clock.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Builds an instant from whole seconds since 1970-01-01T00:00:00Z, saturating.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Returns whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Returns whole milliseconds since 1970-01-01T00:00:00Z, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Returns whole days of 24 hours since 1970-01-01T00:00:00Z, rounded down: the UTC day it is in.
    pub const fn day(self) -> i64 {
        self.0.div_euclid(86_400_000_000)
    }
}

const EPOCH_DAY: Date = Date::constant(1970, 1, 1);

/// Reads a day written `YYYY-MM-DD`, and nothing else, as days since 1970-01-01.
pub fn parse_day(text: &str) -> Option<i32> {
    let written = text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    if !written {
        return None;
    }
    let day: Date = text.parse().ok()?;
    EPOCH_DAY.until(day).ok().map(|span| span.get_days())
}

/// Writes a day as `YYYY-MM-DD`; `None` outside the years 0-9999.
pub fn format_day(day: i32) -> Option<String> {
    let date = EPOCH_DAY.checked_add(jiff::Span::new().try_days(day).ok()?).ok()?;
    (date.year() >= 0).then(|| date.to_string())
}
