//! The day on which a value of an attribute was set, kept beside the value where the attribute has a retention.
//!
//! Days are UTC days of 24 hours. The value counts as set at the end of its day, so it is kept for no less than its days,
//! and past for the first time less than a day after them. Setting the same value again is setting it.

use policy::schema::Layout;
use policy::time::Timestamp;
use std::num::NonZeroU16;

/// Days since 1970-01-01, from 1 to 65,535 (2149-06-06); an instant outside counts as the nearest of these. Stored in two
/// bytes, 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetDay(NonZeroU16);

impl SetDay {
    /// How a column of them is stored.
    pub const LAYOUT: Layout = Layout::Code16;

    /// Returns the UTC day of an instant.
    pub fn of(at: Timestamp) -> Self {
        let day = u16::try_from(at.day().max(1)).unwrap_or(u16::MAX);
        Self(NonZeroU16::new(day).unwrap_or(NonZeroU16::MIN))
    }

    /// Reads it as it is stored.
    pub fn read(stored: u16) -> Option<Self> {
        NonZeroU16::new(stored).map(Self)
    }

    /// Returns it as it is stored.
    pub const fn stored(self) -> u16 {
        self.0.get()
    }

    /// Returns the last day on which a value is kept, in days since 1970-01-01.
    pub fn last(self, retention_days: u32) -> i64 {
        i64::from(self.stored()).saturating_add(retention_days.into())
    }

    /// Says whether a value is past, counted up to an instant of `today`.
    pub fn is_past(self, retention_days: u32, today: Self) -> bool {
        self.last(retention_days) < i64::from(today.stored())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn a_value_is_kept_for_its_days_and_for_less_than_one_more() {
        for second in [0, 1, DAY / 2, DAY - 1] {
            let set = 20_000 * DAY + second;
            let past =
                |at: i64| SetDay::of(Timestamp::from_seconds(set)).is_past(30, SetDay::of(Timestamp::from_seconds(at)));
            assert!(!past(set + 30 * DAY), "{second}");
            assert!(past(set + 31 * DAY), "{second}");
            assert_eq!((past(20_031 * DAY - 1), past(20_031 * DAY)), (false, true), "it goes as a UTC day begins");
        }
    }

    #[test]
    fn instants_out_of_range_are_the_nearest_day() {
        assert_eq!(SetDay::of(Timestamp(i64::MIN)).stored(), 1);
        assert_eq!(SetDay::of(Timestamp(i64::MAX)).stored(), u16::MAX);
        assert_eq!(SetDay::read(0), None);
    }
}
