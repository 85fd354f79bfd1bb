//! The most frequent values: which, by the exponential mechanism, then how many, by the Gaussian.
//!
//! # Privacy
//! **Scores** are how many distinct people have each value, nothing clipped: a subject's whole stream adds 0 or 1 (1,024 units)
//! to every score, so neighbours differ by at most 1,024 units in L-infinity and all in one direction, whatever the number of
//! values of a subject. Missing is no candidate.
//!
//! **Selection** peels `k` times, each draw by the exponential mechanism at weight `exp(score / scale)`. Each has bounded
//! range `1,024 / scale` and thus `(1,024 / scale)^2 / 8` of zCDP (Cesar and Rogers 2021), `k` of them by composition; OpenDP's
//! own map is evaluated before the draw. (Permute-and-flip would cost more in zCDP; a test tells the two apart.)
//!
//! **Counts** of the `k` winners are a vector in which one subject moves at most `k` cells by 1,024, so `D = 1,024 * sqrt(k)`;
//! that the winners were drawn before is adaptive composition. Half of the price goes to each.

use super::draw::{DrawError, float_up, nano_up};
use crate::scan::UNIT;
use opendp::domains::{AtomDomain, VectorDomain};
use opendp::measurements::make_noisy_top_k;
use opendp::measures::ZeroConcentratedDivergence;
use opendp::metrics::LInfDistance;
use policy::privacy::NanoRho;

/// What a plan of the most frequent values adds to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Top {
    /// How many are released.
    pub(super) k: u32,
    /// Price of the selection.
    pub(super) selection: NanoRho,
}

impl Top {
    /// Draws the places of the winners among `scores`, best first.
    pub(super) fn select(self, scores: &[i64]) -> Result<Vec<usize>, DrawError> {
        select(scores, self.k, self.selection.0, self.scale())
    }

    /// The scale at which `k` selections cost the price, a little more rather than less.
    fn scale(self) -> f64 {
        let exact = (f64::from(self.k) / (8.0 * self.selection.rho())).sqrt() * float_up(UNIT.unsigned_abs());
        // Rounding of the steps above and of the map is far below this.
        exact * (1.0 + 1e-9)
    }
}

pub(super) fn select(scores: &[i64], k: u32, nano_rho: u64, scale: f64) -> Result<Vec<usize>, DrawError> {
    let domain = VectorDomain::new(AtomDomain::<i64>::new_non_nan());
    // Monotonic: a subject more makes no score smaller.
    let metric = LInfDistance::<i64>::new(true);
    let k = usize::try_from(k).unwrap_or(usize::MAX);
    let mechanism = make_noisy_top_k(domain, metric, ZeroConcentratedDivergence, k, scale, false)
        .map_err(|_| DrawError::Mechanism)?;
    let loss = mechanism.map(&UNIT).map_err(|_| DrawError::Mechanism)?;
    if nano_up(loss) > nano_rho {
        return Err(DrawError::Overcharge);
    }
    mechanism.invoke(&scores.to_vec()).map_err(|_| DrawError::Mechanism)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn selection_is_by_the_exponential_mechanism() {
        // Two scores that differ by twice the scale: e^2 / (e^2 + 1) = 0.8808; permute-and-flip would give 0.932.
        // N = 20,000: 0.0115 is five standard deviations, alpha 6e-7.
        const N: u32 = 20_000;
        let scale = 3.0 * UNIT as f64;
        let scores = [10 * UNIT, 4 * UNIT];
        let wins = (0..N).filter(|_| select(&scores, 1, u64::MAX, scale).unwrap() == [0]).count();
        let share = wins as f64 / f64::from(N);
        assert!((share - 0.8808).abs() < 0.0115, "{share}");
    }

    #[test]
    fn the_scale_costs_the_price_and_less_is_refused() {
        for (k, nano) in [(1, 1), (10, 1_000_000), (3, 777_777_777), (50, 1_000_000_000_000)] {
            let top = Top { k, selection: NanoRho(nano) };
            let scores: Vec<i64> = (0..60).map(|place| place * UNIT).collect();
            assert_eq!(top.select(&scores).map(|places| places.len()), Ok(k as usize));
            let paid = f64::from(k) * (UNIT as f64 / top.scale()).powi(2) / 8.0 * 1e9;
            assert!(paid <= nano as f64 && paid > 0.999_999 * nano as f64, "{paid} for {nano}");
            let less = select(&scores, k, nano, top.scale() * 0.8);
            assert!(nano == 1 || less == Err(DrawError::Overcharge));
        }
    }

    #[test]
    fn winners_are_distinct_and_best_first_where_gaps_are_large() {
        let scores = [5, 900, 20, 700, 1].map(|people| people * UNIT);
        let places = Top { k: 3, selection: NanoRho(1_000_000_000_000) }.select(&scores).unwrap();
        assert_eq!(places, [1, 3, 2]);
    }
}
