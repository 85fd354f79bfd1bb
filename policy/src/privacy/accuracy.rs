//! From a price to an accuracy and back, before anything is spent.
//!
//! Inputs are public: prices, sensitivities from the schema, sizes that an earlier release published. So what comes out
//! may be shown to anyone free of charge. All half-widths are about the noise only; clipping is stated separately.

use super::NanoRho;
use std::fmt;

/// Two-sided 95 % point of the normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;

/// Returns the standard deviation of Gaussian noise that costs `rho` where one subject can move the answer by at most
/// `sqrt(sensitivity_squared)` in L2, in the units of the sensitivity: `sqrt(sensitivity_squared / (2 rho))`.
/// Infinite when `rho` is zero.
#[expect(clippy::cast_precision_loss, reason = "a relative error of 1e-16 in a standard deviation")]
pub fn sigma(sensitivity_squared: u64, rho: NanoRho) -> f64 {
    (sensitivity_squared as f64 / (2.0 * rho.rho())).sqrt()
}

/// Returns the standard deviation in people of one count that costs `rho`.
pub fn sigma_of_count(rho: NanoRho) -> f64 {
    sigma(1, rho)
}

/// Returns the half-width in people that the noise of one cell stays within with probability 0.95. The extra half covers
/// the rounding of discrete noise to whole people.
pub fn half_width_95(sigma: f64) -> f64 {
    Z_95 * sigma + 0.5
}

/// Returns the least price, rounded up, whose noise stays within `half_width` people with probability 0.95.
/// `None` where no price does (half a person or less, or not a number) or where it exceeds any ledger.
pub fn rho_for_half_width(half_width: f64, sensitivity_squared: u64) -> Option<NanoRho> {
    if !half_width.is_finite() || half_width <= 0.5 {
        return None;
    }
    let sigma_allowed = (half_width - 0.5) / Z_95;
    #[expect(clippy::cast_precision_loss, reason = "rounded up below, then checked")]
    let rho = NanoRho::from_rho_up(sensitivity_squared as f64 / (2.0 * sigma_allowed * sigma_allowed))?;
    let rho = rho.max(NanoRho(1));
    // Floats may have rounded the other way; this step is more than their error.
    let step = NanoRho(1 + (rho.0 >> 48));
    let holds = half_width_95(sigma(sensitivity_squared, rho)) <= half_width;
    if holds { Some(rho) } else { rho.checked_add(step) }
}

/// Returns a price as a share of a cap in basis points (1 is 0.01 %), rounded up. `None` when the cap is zero.
pub fn basis_points_of_cap(rho: NanoRho, cap: NanoRho) -> Option<u64> {
    let share = (u128::from(rho.0) * 10_000).div_ceil(u128::from(cap.0).max(1));
    (cap > NanoRho::ZERO).then(|| u64::try_from(share).unwrap_or(u64::MAX))
}

/// A cell is readable when its half-width is at most this part of the average cell.
const READABLE_PART: f64 = 4.0;

/// What would make a coarse answer readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// About how many more people the segment needs at the same price.
    pub more_people: u64,
    /// The price at which the segment as it is becomes readable; `None` when no price does.
    pub rho: Option<NanoRho>,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this needs about {} more people: widen the segment, ask for fewer or coarser values",
            self.more_people
        )?;
        match self.rho {
            Some(rho) => write!(f, ", or spend {rho}"),
            None => Ok(()),
        }
    }
}

/// Predicts whether an answer of `cells` cells at `rho` will be readable for a segment that an earlier release found to
/// have about `earlier_size` members. `None` means that it will: the half-width is at most a quarter of the average cell.
#[expect(clippy::cast_precision_loss, reason = "advice in round numbers")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts saturate, and the value is positive"
)]
pub fn advise(earlier_size: u64, cells: u64, sensitivity_squared: u64, rho: NanoRho) -> Option<Advice> {
    let cells = cells.max(1) as f64;
    let average = earlier_size as f64 / cells;
    let half_width = half_width_95(sigma(sensitivity_squared, rho));
    let needed = (half_width * READABLE_PART * cells).ceil() as u64;
    (half_width * READABLE_PART > average).then(|| Advice {
        more_people: round_up_to_two_digits(needed.saturating_sub(earlier_size)),
        rho: rho_for_half_width(average / READABLE_PART, sensitivity_squared),
    })
}

/// Rounds up to two leading digits: 3,412 becomes 3,500. Advice in five digits would promise too much.
fn round_up_to_two_digits(number: u64) -> u64 {
    let mut step = 1_u64;
    while number / step >= 100 {
        step = step.saturating_mul(10);
    }
    number.div_ceil(step).saturating_mul(step)
}
