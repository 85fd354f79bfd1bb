//! Privacy quantities as checked types, and their arithmetic in integers, always rounded against the spender.
//!
//! Losses add up in zero-concentrated DP (rho-zCDP: Bun and Steinke 2016, proposition 1.3 for the Gaussian, lemma 1.7
//! for composition; sums stay sound when questions are chosen adaptively, Whitehouse et al. 2023). The unit of the
//! ledger is 1e-9 rho, so that "0.1 ten times" is exactly 1. What is kept here is arithmetic on public numbers: no
//! noise is drawn, and (epsilon, delta) is only displayed; the tight conversion lives with the mechanisms.

mod accuracy;
mod calendar;
mod ledger;

pub use accuracy::{Advice, advise, basis_points_of_cap, half_width_95, rho_for_half_width, sigma, sigma_of_count};
pub use calendar::{Month, Quarter};
pub use ledger::{Caps, Extension, Ledger};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Most loss of a population in a calendar quarter: epsilon 3.9 at [`DEFAULT_DELTA`], within what large public
/// deployments spend, and enough for about twenty portraits beside a monthly synopsis.
pub const DEFAULT_CAP_QUARTER: NanoRho = NanoRho(200_000_000);

/// Most loss of a population ever: four full quarters, epsilon 8.4. Only a signed, logged extension moves it.
pub const DEFAULT_CAP_LIFETIME: NanoRho = NanoRho(800_000_000);

/// Price of a size unless the caller names another: +-44 people, 200 of them a quarter.
pub const DEFAULT_SIZE_RHO: NanoRho = NanoRho(1_000_000);

/// Price of a portrait unless the caller names another: with eight fields +-40 people a cell.
pub const DEFAULT_PORTRAIT_RHO: NanoRho = NanoRho(10_000_000);

/// Probability at which epsilons are stated: far below one in any population served.
pub const DEFAULT_DELTA: Delta = Delta(1_000_000_000);

const NANO: u64 = 1_000_000_000;

/// A zero-concentrated DP loss in units of 1e-9 rho.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoRho(pub u64);

impl NanoRho {
    /// No loss.
    pub const ZERO: Self = Self(0);

    /// Adds, `None` on overflow.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// Adds, the largest loss at most: rounded against the spender.
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Subtracts, zero at least.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Returns rho as a float, for display and for the noise scale.
    #[expect(clippy::cast_precision_loss, reason = "a ledger holds far less than 2^53 nano-rho")]
    pub fn rho(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Builds from a float of rho, rounded up; `None` for what is not a number in `0..=1e9`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    pub fn from_rho_up(rho: f64) -> Option<Self> {
        (rho.is_finite() && (0.0..=1e9).contains(&rho)).then(|| Self((rho * 1e9).ceil() as u64))
    }
}

/// Writes the exact decimal: `0.001`, `0.2`, `3`.
impl fmt::Display for NanoRho {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / NANO, self.0 % NANO);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{rest:09}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// A text is not a rho: digits with at most nine after a decimal point, below 1.8e10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rho is a plain decimal with at most nine digits after the point, like 0.001")]
pub struct InvalidRho(());

/// Reads a plain decimal exactly; no sign, no exponent, no rounding.
impl FromStr for NanoRho {
    type Err = InvalidRho;

    fn from_str(text: &str) -> Result<Self, InvalidRho> {
        let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let fraction = match fraction {
            None => "",
            Some(digits) if (1..=9).contains(&digits.len()) => digits,
            Some(_) => return Err(InvalidRho(())),
        };
        let number = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse::<u64>().ok()).flatten().ok_or(InvalidRho(()))
        };
        let nano = number(&format!("{fraction:0<9}"))?;
        number(whole)?.checked_mul(NANO).and_then(|whole| whole.checked_add(nano)).map(Self).ok_or(InvalidRho(()))
    }
}

/// An epsilon to show: finite, not negative. Not for adding up; losses add in rho.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Epsilon(f64);

impl Epsilon {
    /// Checks and builds.
    pub fn new(epsilon: f64) -> Option<Self> {
        (epsilon.is_finite() && epsilon >= 0.0).then_some(Self(epsilon))
    }

    /// Returns the number.
    pub const fn value(self) -> f64 {
        self.0
    }
}

/// Writes two decimals, rounded up.
impl fmt::Display for Epsilon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", (self.0 * 100.0).ceil() / 100.0)
    }
}

/// A delta in units of 1e-18, so below 1.9e1; probabilities are at most 1e18 units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Delta(pub u64);

impl Delta {
    /// Adds, `None` on overflow.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// Returns the probability.
    #[expect(clippy::cast_precision_loss, reason = "for display and the conversion to epsilon only")]
    pub fn value(self) -> f64 {
        self.0 as f64 / 1e18
    }
}

/// Writes the shortest scientific form: `1e-9`.
impl fmt::Display for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:e}", self.value())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
