//! Noised figures and their words.
//!
//! What may be nothing at all is not written as a number: where the 95 % interval reaches 0, the words are
//! "fewer than N", N being its high end.

use crate::wire::decimal;

/// What a figure is of: how it is rounded, and whether it can be below nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// People or events: whole, never below none.
    #[default]
    Count,
    /// Sums and means of what is never below nothing.
    Sum,
    /// Sums and means of what may be below nothing.
    Signed,
    /// Per cent.
    Percent,
}

/// One noised figure.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figure {
    /// What to show: made consistent with the rest of its release.
    pub value: f64,
    /// Low end of the 95 % interval of the noise; may be below zero.
    pub low: f64,
    /// High end, likewise.
    pub high: f64,
    /// What it is of.
    pub unit: Unit,
}

impl Figure {
    /// Builds a number of people or events.
    pub fn count(value: f64, low: f64, high: f64) -> Self {
        Self { value, low, high, unit: Unit::Count }
    }

    /// Returns half the width of the interval in whole people, rounded up; 0 where it is below a quarter of a person.
    pub fn margin(self) -> u64 {
        if self.is_exact() { 0 } else { whole(self.half().ceil()) }
    }

    fn half(self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// Whether noise rounds to nothing.
    fn is_exact(self) -> bool {
        self.half() <= if self.unit == Unit::Count { 0.25 } else { 0.000_5 }
    }

    /// Says whether there may be nothing at all: then no number is shown.
    pub fn may_be_nothing(self) -> bool {
        self.unit != Unit::Signed && self.low <= 0.0 && !self.is_exact()
    }

    /// Returns what surely isn't reached: the high end, or that of a figure of 0 where the draw is below it.
    fn ceiling(self) -> f64 {
        self.high.max(self.half())
    }

    /// Returns the ends of the interval, zero at least where nothing can be below it.
    pub fn interval(self) -> (f64, f64) {
        let least = if self.unit == Unit::Signed { f64::NEG_INFINITY } else { 0.0 };
        (self.low.max(least), self.high.max(least))
    }

    /// Returns what to show, as a length: zero at least where nothing can be below it.
    pub fn length(self) -> f64 {
        if self.unit == Unit::Signed { self.value } else { self.value.max(0.0) }
    }

    /// Writes `1,204 ±39`, `1,204` where the margin rounds to nothing, `fewer than 39` where the interval reaches 0;
    /// per cent as `26 % (23-29)`.
    pub fn words(self) -> String {
        let places = places(self.unit, self.half());
        let write = |value: f64| number(value, places);
        match self.unit {
            Unit::Percent if self.may_be_nothing() => format!("under {} %", number(up(self.ceiling(), places), places)),
            Unit::Count if self.may_be_nothing() => format!("fewer than {}", grouped(whole(self.ceiling().ceil()))),
            _ if self.may_be_nothing() => format!("less than {}", number(up(self.ceiling(), places), places)),
            Unit::Percent if self.is_exact() => format!("{} %", write(self.value)),
            Unit::Percent => format!("{} % ({}-{})", write(self.value), write(self.low), write(self.high)),
            _ if self.is_exact() => write(self.length()),
            Unit::Count => format!("{} ±{}", write(self.length()), grouped(self.margin())),
            Unit::Sum | Unit::Signed => {
                format!("{} ±{}", write(self.length()), number(up(self.half(), places), places))
            }
        }
    }

    /// Writes the figure alone: `1,204`, `26 %`, `<39` where the interval reaches 0.
    pub fn short(self) -> String {
        let places = places(self.unit, self.half());
        let percent = if self.unit == Unit::Percent { " %" } else { "" };
        if self.may_be_nothing() {
            return format!("<{}{percent}", number(up(self.ceiling(), places), places));
        }
        format!("{}{percent}", number(self.length(), places))
    }

    /// Writes the value alone, interval or not.
    pub fn value_words(self) -> String {
        number(self.value, places(self.unit, self.half()))
    }

    /// Writes `23.46 (23.15 to 23.80)`.
    pub fn with_ends(self) -> String {
        let places = places(self.unit, self.half());
        let [value, low, high] = [self.value, self.low, self.high].map(|value| number(value, places));
        format!("{value} ({low} to {high})")
    }

    /// Writes `between 23 and 29`.
    pub fn between(self) -> String {
        let places = places(self.unit, self.half());
        format!("between {} and {}", number(self.low, places), number(self.high, places))
    }
}

/// How many digits after the point say something, given half the width of the interval.
fn places(unit: Unit, half: f64) -> usize {
    match (unit, half) {
        (Unit::Count, _) => 0,
        (Unit::Percent, half) => usize::from(half < 0.5),
        (Unit::Sum | Unit::Signed, half) if half >= 10.0 => 0,
        (Unit::Sum | Unit::Signed, half) if half >= 1.0 => 1,
        (Unit::Sum | Unit::Signed, half) if half >= 0.1 => 2,
        (Unit::Sum | Unit::Signed, _) => 3,
    }
}

/// Rounds up at a number of digits after the point.
fn up(value: f64, places: usize) -> f64 {
    let ten = 10_f64.powi(i32::try_from(places).unwrap_or(0));
    (value * ten - 1e-9).ceil() / ten
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
fn whole(people: f64) -> u64 {
    people as u64
}

/// Writes a number with `,` between thousands and so many digits after the point.
pub fn number(value: f64, places: usize) -> String {
    let text = format!("{:.places$}", value.abs());
    let (integer, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let sign = if value < 0.0 && text.chars().any(|c| c.is_ascii_digit() && c != '0') { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", decimal::grouped(integer))
}

/// Writes a whole number with `,` between thousands.
pub fn grouped(number: u64) -> String {
    decimal::grouped(&number.to_string())
}

/// Writes a share of a whole: `26 %`, `3.4 %`, `<0.1 %`; `None` without a whole.
pub fn share(part: f64, whole: f64) -> Option<String> {
    if whole < 0.5 {
        return None;
    }
    let percent = (100.0 * part / whole).min(100.0);
    Some(match percent {
        p if p <= 0.0 => "0 %".to_owned(),
        p if p < 0.1 => "<0.1 %".to_owned(),
        p if p < 9.95 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(unit: Unit, value: f64, half: f64) -> String {
        Figure { value, low: value - half, high: value + half, unit }.words()
    }

    #[test]
    fn figures_say_how_sure_they_are() {
        assert_eq!(words(Unit::Count, 1204.0, 38.2), "1,204 ±39");
        assert_eq!(words(Unit::Count, 8.0, 0.1), "8", "noise that rounds to nothing");
        assert_eq!(words(Unit::Sum, 213_916.02, 1203.4), "213,916 ±1,204");
        assert_eq!(words(Unit::Sum, 23.456, 0.31), "23.46 ±0.31");
        assert_eq!(words(Unit::Signed, -3.2, 5.0), "-3.2 ±5.0");
        assert_eq!(words(Unit::Percent, 26.2, 3.0), "26 % (23-29)");
        assert_eq!(words(Unit::Percent, 4.21, 0.3), "4.2 % (3.9-4.5)");
    }

    #[test]
    fn what_may_be_nothing_is_no_number() {
        assert_eq!(words(Unit::Count, 30.0, 39.0), "fewer than 69");
        assert_eq!(words(Unit::Count, -57.0, 43.6), "fewer than 44", "a draw below 0 still leaves its noise");
        assert_eq!(words(Unit::Sum, 100.0, 120.5), "less than 221");
        assert_eq!(words(Unit::Percent, 1.0, 3.0), "under 4 %");
        assert_eq!(words(Unit::Count, 0.01, 0.1), "0", "all but without noise it is known to be none");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(-1234.5, 1), "-1,234.5");
        assert_eq!(number(-0.04, 1), "0.0");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
