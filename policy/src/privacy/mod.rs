//! Privacy quantities as checked types, and their arithmetic in integers, always rounded against the spender.

use serde::{Deserialize, Serialize};

/// A zero-concentrated DP loss in units of 1e-9 rho.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

/// A calendar quarter, UTC: `year * 4 + (0..=3)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quarter(pub u32);
