//! Losses as plain decimals of at most nine places, exactly; and whole numbers as people read them.

use crate::status::Failure;
use policy::privacy::NanoRho;

/// Writes the digits of a whole number with `,` between thousands.
pub fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Reads a decimal above 0.
pub fn decode(part: &'static str, text: &str) -> Result<NanoRho, Failure> {
    match text.parse() {
        Ok(rho) if rho > NanoRho::ZERO => Ok(rho),
        _ => Err(Failure::invalid(part, "must be a decimal above 0 with at most nine places, such as `0.001`")),
    }
}
