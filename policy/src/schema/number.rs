//! Decimal text -> whole units, digit by digit. No float is involved, so `0.1` with scale 1 is exactly one unit.

/// Why a text is no number of the wanted scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberError {
    /// Not `[+-]digits[.digits][e[+-]digits]`.
    Malformed,
    /// More digits after the decimal mark than the scale has.
    TooFine,
    /// Does not fit 64 bits in units.
    TooLarge,
}

/// Reads a decimal as a count of `10^-scale` units: `("17000.0", 0)` is 17,000, `("1e+05", 2)` is 10,000,000.
pub(crate) fn parse_scaled(text: &str, scale: u8) -> Result<i64, NumberError> {
    let (negative, rest) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (mantissa, exponent) = split_exponent(rest)?;
    let mut digits = Vec::with_capacity(mantissa.len());
    let mut after_mark: Option<i64> = None;
    for &byte in mantissa {
        match byte {
            b'0'..=b'9' => {
                digits.push(byte - b'0');
                after_mark = after_mark.map(|n| n + 1);
            }
            b'.' if after_mark.is_none() => after_mark = Some(0),
            _ => return Err(NumberError::Malformed),
        }
    }
    if digits.is_empty() {
        return Err(NumberError::Malformed);
    }
    to_units(negative, digits, exponent - after_mark.unwrap_or(0) + i64::from(scale))
}

/// Splits `12.5e-3` into `12.5` and -3.
fn split_exponent(text: &[u8]) -> Result<(&[u8], i64), NumberError> {
    let Some(at) = text.iter().position(|b| matches!(b, b'e' | b'E')) else {
        return Ok((text, 0));
    };
    let (mantissa, rest) = text.split_at(at);
    let (negative, digits) = match rest {
        [_, b'-', digits @ ..] => (true, digits),
        [_, b'+', digits @ ..] | [_, digits @ ..] => (false, digits),
        [] => return Err(NumberError::Malformed),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NumberError::Malformed);
    }
    let size = digits.iter().fold(0_i64, |n, b| (n * 10 + i64::from(b - b'0')).min(1_000_000));
    Ok((mantissa, if negative { -size } else { size }))
}

/// Returns `digits * 10^power`, which must be whole.
fn to_units(negative: bool, mut digits: Vec<u8>, mut power: i64) -> Result<i64, NumberError> {
    while digits.last() == Some(&0) {
        digits.pop();
        power += 1;
    }
    let significant = digits.iter().skip_while(|d| **d == 0);
    let mut units: i128 = 0;
    for digit in significant {
        units = units * 10 + i128::from(*digit);
        if units > i128::from(u64::MAX) {
            return Err(if power < 0 { NumberError::TooFine } else { NumberError::TooLarge });
        }
    }
    if units == 0 {
        return Ok(0);
    }
    if power < 0 {
        return Err(NumberError::TooFine);
    }
    for _ in 0..power {
        units *= 10;
        if units > i128::from(u64::MAX) {
            return Err(NumberError::TooLarge);
        }
    }
    i64::try_from(if negative { -units } else { units }).map_err(|_| NumberError::TooLarge)
}

/// Writes units as a decimal with exactly `scale` digits after the mark: `(-5, 2)` is `-0.05`.
pub(crate) fn format_scaled(units: i64, scale: u8) -> String {
    if scale == 0 {
        return units.to_string();
    }
    let width = usize::from(scale) + 1;
    let mut text = format!("{:0width$}", units.unsigned_abs());
    text.insert(text.len() - usize::from(scale), '.');
    if units < 0 {
        text.insert(0, '-');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, scale: u8, expect: Result<i64, NumberError>) {
        assert_eq!(parse_scaled(text, scale), expect, "{text}");
    }

    #[test]
    fn whole_numbers_in_every_written_form_are_exact() {
        check("17000", 0, Ok(17_000));
        check("17000.0", 0, Ok(17_000));
        check("1e+05", 0, Ok(100_000));
        check("1E5", 2, Ok(10_000_000));
        check("-12.50e1", 0, Ok(-125));
        check("+7", 0, Ok(7));
        check("000", 0, Ok(0));
        check("-0.000", 1, Ok(0));
        check("0e999999999999", 0, Ok(0));
        check("9223372036854775807", 0, Ok(i64::MAX));
        check("-9223372036854775808", 0, Ok(i64::MIN));
    }

    #[test]
    fn no_digit_is_rounded_away() {
        check("0.1", 1, Ok(1));
        check("0.10", 1, Ok(1));
        check("0.11", 1, Err(NumberError::TooFine));
        check("1e-3", 2, Err(NumberError::TooFine));
        check("1.5", 0, Err(NumberError::TooFine));
        check("0.000000000000000000000000000001", 9, Err(NumberError::TooFine));
    }

    #[test]
    fn what_does_not_fit_or_is_no_number_is_refused() {
        check("9223372036854775808", 0, Err(NumberError::TooLarge));
        check("1e400", 0, Err(NumberError::TooLarge));
        check("123456789012345678901234567890", 0, Err(NumberError::TooLarge));
        for text in
            ["", "-", ".", "e5", "1e", "1e+", "1.2.3", "1,5", "0x10", " 1", "1 ", "--1", "NaN", "inf", "1_000", "١"]
        {
            check(text, 2, Err(NumberError::Malformed));
        }
    }

    #[test]
    fn written_units_read_back() {
        for (units, scale, text) in [(5, 2, "0.05"), (-5, 2, "-0.05"), (1234, 2, "12.34"), (0, 3, "0.000"), (7, 0, "7")]
        {
            assert_eq!(format_scaled(units, scale), text);
        }
        for units in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX] {
            for scale in 0..=9 {
                assert_eq!(parse_scaled(&format_scaled(units, scale), scale), Ok(units));
            }
        }
    }
}
