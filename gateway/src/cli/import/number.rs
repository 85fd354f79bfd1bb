//! Numbers as files write them (`17000.0`, `1e+05`, `1.234,50`) read exactly, without floats.

use std::cmp::Ordering;

/// How a file writes numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberFormat {
    /// The decimal mark.
    pub decimal_mark: char,
    /// The mark between groups of digits: three in the last group, two or three in those before.
    pub thousands: Option<char>,
}

impl Default for NumberFormat {
    fn default() -> Self {
        Self { decimal_mark: '.', thousands: None }
    }
}

/// An exact decimal: `digits * 10^-scale`, without trailing zeros after the decimal mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    digits: i128,
    scale: i32,
}

/// Why a number does not fit the wanted number of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// It has more digits after the decimal mark.
    TooPrecise,
    /// It is beyond the range of the stored form.
    TooLarge,
}

/// Exponents beyond this are not numbers anybody meant, and the arithmetic below would not hold them.
const MAX_EXPONENT: i32 = 60;

/// Reads a number; `None` when the text is not one. Signs, an exponent and surrounding spaces are accepted; infinities,
/// hexadecimal forms and empty texts are not.
pub fn parse(text: &str, format: NumberFormat) -> Option<Number> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => {
            let (mantissa, rest) = text.split_at(at);
            (mantissa, rest.get(1..)?.parse::<i32>().ok().filter(|e| e.abs() <= MAX_EXPONENT)?)
        }
        None => (text, 0),
    };
    let (digits, scale) = mantissa_digits(mantissa, format)?;
    let digits = if negative { digits.checked_neg()? } else { digits };
    Some(Number { digits, scale: scale.checked_sub(exponent)? }.trimmed())
}

fn mantissa_digits(text: &str, format: NumberFormat) -> Option<(i128, i32)> {
    let (mut digits, mut scale, mut seen, mut after_mark) = (0_i128, 0_i32, false, false);
    // Digits since the last mark between groups, once there was one.
    let mut group: Option<u32> = None;
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            digits = digits.checked_mul(10)?.checked_add(i128::from(digit))?;
            scale += i32::from(after_mark);
            group = group.map(|count| count + u32::from(!after_mark));
            seen = true;
        } else if c == format.decimal_mark && !after_mark {
            after_mark = true;
        } else if Some(c) == format.thousands
            && !after_mark
            && seen
            && group.is_none_or(|count| count == 2 || count == 3)
        {
            group = Some(0);
        } else {
            return None;
        }
    }
    // `17850.0` where the point groups digits is somebody's decimal, and not 178500.
    (seen && group.is_none_or(|count| count == 3)).then_some((digits, scale))
}

impl Number {
    fn trimmed(mut self) -> Self {
        while self.scale > 0 && self.digits % 10 == 0 {
            self.digits /= 10;
            self.scale -= 1;
        }
        self
    }

    /// Returns the number in units of `10^-scale`; `round` drops further digits half away from zero, otherwise they
    /// are an error.
    pub fn units(self, scale: u8, round: bool) -> Result<i64, Misfit> {
        let shift = i32::from(scale) - self.scale;
        let factor = power_of_ten(shift.unsigned_abs());
        let units = if shift >= 0 {
            factor.and_then(|f| self.digits.checked_mul(f))
        } else if round {
            Some(factor.map_or(0, |f| divide_rounded(self.digits, f)))
        } else {
            return Err(Misfit::TooPrecise);
        };
        let units = if self.digits == 0 { Some(0) } else { units };
        units.and_then(|u| i64::try_from(u).ok()).filter(|u| *u != i64::MIN).ok_or(Misfit::TooLarge)
    }

    /// Multiplies exactly; `None` when the product needs more than 38 digits.
    pub fn multiply(self, other: Self) -> Option<Self> {
        let digits = self.digits.checked_mul(other.digits)?;
        Some(Self { digits, scale: self.scale.checked_add(other.scale)? }.trimmed())
    }

    /// Compares by value.
    pub fn compare(self, other: Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        match (self.at_scale(scale), other.at_scale(scale)) {
            (Some(a), Some(b)) => a.cmp(&b),
            // One of them is beyond 38 digits at the common scale: its order of magnitude decides.
            (a, b) => match (a.is_none(), b.is_none()) {
                (true, false) => self.digits.cmp(&0),
                (false, true) => 0.cmp(&other.digits),
                _ => (self.digits.signum(), other.scale).cmp(&(other.digits.signum(), self.scale)),
            },
        }
    }

    fn at_scale(self, scale: i32) -> Option<i128> {
        self.digits.checked_mul(power_of_ten(scale.checked_sub(self.scale)?.unsigned_abs())?)
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.scale <= 0 {
            let zeros = if self.digits == 0 { 0 } else { self.scale.unsigned_abs() as usize };
            return write!(f, "{}{}", self.digits, "0".repeat(zeros));
        }
        let sign = if self.digits < 0 { "-" } else { "" };
        let width = self.scale.unsigned_abs() as usize + 1;
        let text = format!("{:0width$}", self.digits.unsigned_abs());
        let (whole, fraction) = text.split_at(text.len() - (width - 1));
        write!(f, "{sign}{whole}.{fraction}")
    }
}

fn power_of_ten(exponent: u32) -> Option<i128> {
    10_i128.checked_pow(exponent)
}

fn divide_rounded(digits: i128, factor: i128) -> i128 {
    let (quotient, rest) = (digits / factor, (digits % factor).abs());
    if rest >= factor - rest { quotient + digits.signum() } else { quotient }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn units(text: &str, scale: u8) -> Option<i64> {
        parse(text, NumberFormat::default())?.units(scale, false).ok()
    }

    #[test]
    fn numbers_are_read_exactly_in_every_written_form() {
        for (text, scale, expect) in [
            ("17000.0", 0, Some(17_000)),
            ("1e+05", 0, Some(100_000)),
            ("1.5E3", 0, Some(1_500)),
            ("-0.10", 1, Some(-1)),
            ("+3.450", 3, Some(3_450)),
            (" 7 ", 0, Some(7)),
            ("0e9", 0, Some(0)),
            ("1.25", 1, None),
            ("9223372036854775807", 0, Some(i64::MAX)),
            ("9223372036854775808", 0, None),
            ("1e300", 0, None),
            ("", 0, None),
            (".", 0, None),
            ("e5", 0, None),
            ("NaN", 0, None),
            ("1 000", 0, None),
            ("0x10", 0, None),
        ] {
            assert_eq!(units(text, scale), expect, "{text}");
        }
    }

    #[test]
    fn decimal_mark_and_thousands_follow_the_format() {
        let format = NumberFormat { decimal_mark: ',', thousands: Some('.') };
        assert_eq!(parse("1.234.567,5", format).unwrap().units(1, false), Ok(12_345_675));
        assert_eq!(parse("12.34.567", format).unwrap().units(0, false), Ok(1_234_567));
        for wrong in ["1,5.0", "17850.0", "1.2345", "1.2.345", "1.", ".123"] {
            assert_eq!(parse(wrong, format), None, "{wrong}");
        }
        assert_eq!(parse(".5", format), None);
    }

    #[test]
    fn rounding_is_half_away_from_zero_and_only_on_request() {
        let number = |text| parse(text, NumberFormat::default()).unwrap();
        assert_eq!(number("2.345").units(2, false), Err(Misfit::TooPrecise));
        assert_eq!(number("2.345").units(2, true), Ok(235));
        assert_eq!(number("-2.345").units(2, true), Ok(-235));
        assert_eq!(number("2.344").units(2, true), Ok(234));
    }

    #[test]
    fn comparison_display_and_product_are_exact() {
        let number = |text| parse(text, NumberFormat::default()).unwrap();
        assert_eq!(number("0.10").compare(number("0.1")), Ordering::Equal);
        assert_eq!(number("1e40").compare(number("2")), Ordering::Greater);
        assert_eq!(number("-1e40").compare(number("2")), Ordering::Less);
        assert_eq!(number("9.99").compare(number("10")), Ordering::Less);
        for text in ["0", "-0.05", "1500", "12.5"] {
            assert_eq!(number(text).to_string(), text);
        }
        assert_eq!(number("1e3").to_string(), "1000");
        assert_eq!(number("48").multiply(number("3.450")).unwrap().to_string(), "165.6");
    }
}
