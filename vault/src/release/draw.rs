//! The draw: build, map, invoke and drop OpenDP measurements in one call, since they are not `Send`.
//!
//! Noise is independent for every cell, so a long vector is drawn in shares, each by a measurement of the same scale on a
//! thread of its own; the loss that is checked is the whole vector's, at its whole sensitivity.

use super::plan::Plan;
use crate::scan::Partial;
use opendp::domains::{AtomDomain, VectorDomain};
use opendp::measurements::make_gaussian;
use opendp::measures::ZeroConcentratedDivergence;
use opendp::metrics::L2Distance;
use rayon::prelude::*;

/// Cells that one thread draws at a time; ten microseconds each are worth a thread from here on.
const SHARE: usize = 64;

/// Why nothing was drawn. Says nothing about data: what the library has to say is dropped, since it may quote values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DrawError {
    /// The partial is another plan's.
    #[error("the cells are not the plan's")]
    Shape,
    /// The mechanism costs more than was charged: a fault of ours, found in time.
    #[error("the noise would cost more than was charged")]
    Overcharge,
    /// The library refused.
    #[error("the noise could not be drawn")]
    Mechanism,
}

/// Adds the plan's noise to every cell, in the units of the cells. The caller has charged [`Plan::rho`], durably, before.
pub(crate) fn draw(plan: &Plan, partial: &Partial) -> Result<Vec<i64>, DrawError> {
    let cells = partial.expose();
    if cells.len() != plan.cells() {
        return Err(DrawError::Shape);
    }
    gaussian(cells, plan.norm_squared(), plan.sigma(), plan.rho().0)
}

/// Draws at standard deviation `sigma` for a squared norm, both in the units of the cells, if that costs at most `nano_rho`.
pub(super) fn gaussian(cells: &[i64], norm_squared: u128, sigma: u64, nano_rho: u64) -> Result<Vec<i64>, DrawError> {
    let share = |share: &[i64]| {
        let domain = VectorDomain::new(AtomDomain::<i64>::new_non_nan());
        let (metric, scale) = (L2Distance::<f64>::default(), float_up(sigma));
        let mechanism = make_gaussian::<_, _, ZeroConcentratedDivergence>(domain, metric, scale, None)
            .map_err(|_| DrawError::Mechanism)?;
        let loss = mechanism.map(&distance(norm_squared)).map_err(|_| DrawError::Mechanism)?;
        if nano_up(loss) > nano_rho {
            return Err(DrawError::Overcharge);
        }
        mechanism.invoke(&share.to_vec()).map_err(|_| DrawError::Mechanism)
    };
    let shares: Vec<Vec<i64>> = cells.par_chunks(SHARE).map(share).collect::<Result<_, _>>()?;
    Ok(shares.concat())
}

/// `sqrt(norm_squared)`, rounded up.
#[expect(clippy::cast_precision_loss, reason = "rounded up where it is lost")]
pub(super) fn distance(norm_squared: u128) -> f64 {
    let float = norm_squared as f64;
    let float = if norm_squared < (1 << 53) { float } else { float.next_up() };
    float.sqrt().next_up()
}

/// A loss in nano-rho, rounded up.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and losses are positive")]
pub(super) fn nano_up(rho: f64) -> u64 {
    if rho.is_nan() { u64::MAX } else { (rho * 1e9).next_up().ceil() as u64 }
}

/// An integer as a float that is not smaller.
#[expect(clippy::cast_precision_loss, reason = "rounded up where it is lost")]
fn float_up(value: u64) -> f64 {
    let float = value as f64;
    if value < (1 << 53) { float } else { float.next_up() }
}
