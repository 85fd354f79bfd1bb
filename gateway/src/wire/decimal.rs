//! Losses as plain decimals of at most nine places, exactly.

use crate::status::Failure;
use policy::privacy::NanoRho;

/// Reads a decimal above 0.
pub fn decode(part: &'static str, text: &str) -> Result<NanoRho, Failure> {
    match text.parse() {
        Ok(rho) if rho > NanoRho::ZERO => Ok(rho),
        _ => Err(Failure::invalid(part, "must be a decimal above 0 with at most nine places, such as `0.001`")),
    }
}
