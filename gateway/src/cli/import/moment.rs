//! Times and days as files write them, and the parts of a time.
//!
//! A text with an offset (`..Z`, `..+02:00`) is that instant; a text without one is wall time in the column's zone.
//! A wall time that occurs twice when clocks go back is the first; one that clocks skip moves forward by the gap.

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use policy::time::Timestamp;

/// How a column writes times.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Format {
    Iso,
    /// A whole or decimal number of these per second: 1, 1,000 or 1,000,000.
    Unix(i64),
    /// A pattern of `%` directives.
    Pattern(String),
}

/// A reader of the times of one column.
#[derive(Debug, Clone)]
pub struct TimeReader {
    format: Format,
    zone: TimeZone,
}

/// A part of a wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// `2017`
    Year,
    /// `2017-q1`
    Quarter,
    /// `2017-03`
    YearMonth,
    /// `03`
    Month,
    /// `09`, the day of the month
    Day,
    /// `2017-03-09`
    Date,
    /// `07`
    Hour,
    /// `monday`
    Weekday,
}

impl TimeReader {
    /// Builds a reader. `format` is `iso`, `unix`, `unix_ms`, `unix_us` or a pattern of `%` directives; `zone` is an
    /// IANA name. The error is what would be right.
    pub fn new(format: &str, zone: &str) -> Result<Self, String> {
        let format = match format {
            "iso" => Format::Iso,
            "unix" => Format::Unix(1),
            "unix_ms" => Format::Unix(1_000),
            "unix_us" => Format::Unix(1_000_000),
            pattern if pattern.contains('%') => {
                let sample = DateTime::constant(2001, 2, 3, 4, 5, 6, 0).to_zoned(TimeZone::UTC);
                let written = sample.ok().and_then(|s| strtime::format(pattern, &s).ok());
                written.ok_or("this pattern has a directive that is not known")?;
                Format::Pattern(pattern.to_owned())
            }
            _ => {
                return Err(
                    "a format is `iso`, `unix`, `unix_ms`, `unix_us` or a pattern such as `%d/%m/%Y %H:%M`".into()
                );
            }
        };
        let zone = TimeZone::get(zone).map_err(|_| "a zone is an IANA name such as `Europe/Paris` or `UTC`")?;
        Ok(Self { format, zone })
    }

    /// Reads an instant; `None` when the text is not a time in this format.
    pub fn instant(&self, text: &str) -> Option<Timestamp> {
        self.zoned(text).map(|at| Timestamp(at.as_microsecond()))
    }

    /// Reads a wall time in the column's zone; a text without an offset is taken as written.
    pub fn wall(&self, text: &str) -> Option<DateTime> {
        match self.read(text)? {
            Read::Instant(at) => Some(at.to_zoned(self.zone.clone()).datetime()),
            Read::Wall(at) => Some(at),
        }
    }

    /// Reads a day, as days since 1970-01-01.
    pub fn day(&self, text: &str) -> Option<i32> {
        let date = match &self.format {
            // A day alone is the usual case and needs no zone.
            Format::Iso => text.parse::<Date>().ok().filter(|_| text.len() <= 10),
            _ => None,
        };
        let date = match date {
            Some(date) => date,
            None => self.wall(text)?.date(),
        };
        let epoch = Date::constant(1970, 1, 1);
        date.since((jiff::Unit::Day, epoch)).ok().map(|span| span.get_days())
    }

    fn zoned(&self, text: &str) -> Option<jiff::Timestamp> {
        match self.read(text)? {
            Read::Instant(at) => Some(at),
            Read::Wall(at) => self.zone.to_timestamp(at).ok(),
        }
    }

    fn read(&self, text: &str) -> Option<Read> {
        match &self.format {
            Format::Iso => read_iso(text),
            Format::Unix(per_second) => {
                let scale = match per_second {
                    1 => 6,
                    1_000 => 3,
                    _ => 0,
                };
                let micros = super::number::parse(text, Default::default())?.units(scale, true).ok()?;
                jiff::Timestamp::from_microsecond(micros).ok().map(Read::Instant)
            }
            Format::Pattern(pattern) => {
                let broken = strtime::parse(pattern, text).ok()?;
                if broken.offset().is_some() || broken.iana_time_zone().is_some() || broken.timestamp().is_some() {
                    return broken.to_timestamp().ok().map(Read::Instant);
                }
                match broken.to_datetime() {
                    Ok(at) => Some(Read::Wall(at)),
                    Err(_) => broken.to_date().ok().map(|d| Read::Wall(d.to_datetime(jiff::civil::Time::midnight()))),
                }
            }
        }
    }
}

enum Read {
    Instant(jiff::Timestamp),
    Wall(DateTime),
}

fn read_iso(text: &str) -> Option<Read> {
    let after_date = text.get(10..).unwrap_or_default();
    if after_date.ends_with(['Z', 'z']) || after_date.contains(['+', '-']) {
        return text.parse().ok().map(Read::Instant);
    }
    text.parse().ok().map(Read::Wall)
}

impl Part {
    /// Writes this part of a wall time.
    pub fn of(self, at: DateTime) -> String {
        match self {
            Self::Year => format!("{:04}", at.year()),
            Self::Quarter => format!("{:04}-q{}", at.year(), (at.month() + 2) / 3),
            Self::YearMonth => format!("{:04}-{:02}", at.year(), at.month()),
            Self::Month => format!("{:02}", at.month()),
            Self::Day => format!("{:02}", at.day()),
            Self::Date => format!("{:04}-{:02}-{:02}", at.year(), at.month(), at.day()),
            Self::Hour => format!("{:02}", at.hour()),
            Self::Weekday => format!("{:?}", at.weekday()).to_lowercase(),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn micros(format: &str, zone: &str, text: &str) -> Option<i64> {
        TimeReader::new(format, zone).unwrap().instant(text).map(|at| at.0)
    }

    #[test]
    fn offsets_win_over_the_zone_and_wall_times_use_it() {
        let instant = Some(1_485_630_413_000_000);
        assert_eq!(micros("iso", "America/New_York", "2017-01-28T19:06:53Z"), instant);
        assert_eq!(micros("iso", "America/New_York", "2017-01-28T14:06:53"), instant);
        assert_eq!(micros("iso", "UTC", "2017-01-28T14:06:53-05:00"), instant);
        assert_eq!(micros("iso", "UTC", "2017-01-28 19:06:53"), instant);
        assert_eq!(micros("unix", "UTC", "1485630413"), instant);
        assert_eq!(micros("unix_ms", "UTC", "1485630413000"), instant);
        assert_eq!(micros("%d/%m/%Y %H:%M:%S", "America/New_York", "28/01/2017 14:06:53"), instant);
        assert_eq!(micros("%m/%d/%Y %H:%M:%S %z", "UTC", "01/28/2017 14:06:53 -0500"), instant);
    }

    #[test]
    fn a_day_alone_is_its_midnight_and_nonsense_is_nothing() {
        assert_eq!(micros("iso", "UTC", "1970-01-02"), Some(86_400_000_000));
        assert_eq!(micros("%Y-%m-%d", "UTC", "1970-01-02"), Some(86_400_000_000));
        for text in ["", "yesterday", "2017-13-01", "2017-02-30T00:00:00", "12"] {
            assert_eq!(micros("iso", "UTC", text), None, "{text}");
        }
    }

    #[test]
    fn days_count_from_the_epoch_in_the_written_zone() {
        let reader = TimeReader::new("iso", "America/New_York").unwrap();
        assert_eq!(reader.day("1970-01-11"), Some(10));
        assert_eq!(reader.day("1969-12-31"), Some(-1));
        assert_eq!(reader.day("1970-01-11T23:59:59"), Some(10));
        assert_eq!(reader.day("1970-01-11T03:00:00Z"), Some(9));
    }

    #[test]
    fn parts_are_of_the_wall_time() {
        let wall = TimeReader::new("iso", "Europe/London").unwrap().wall("2011-07-04T06:30:00Z").unwrap();
        let parts: Vec<String> =
            [Part::Year, Part::Quarter, Part::YearMonth, Part::Month, Part::Day, Part::Date, Part::Hour, Part::Weekday]
                .into_iter()
                .map(|p| p.of(wall))
                .collect();
        assert_eq!(parts, ["2011", "2011-q3", "2011-07", "07", "04", "2011-07-04", "07", "monday"]);
    }

    #[test]
    fn an_unknown_zone_or_format_is_refused() {
        assert!(TimeReader::new("iso", "Mars/Base").is_err());
        assert!(TimeReader::new("excel", "UTC").is_err());
    }
}
