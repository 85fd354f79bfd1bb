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
use zeroize::Zeroizing;

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

/// What was drawn, in the units of the cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// The noised cells.
    pub(super) cells: Vec<i64>,
    /// Which cells of the plan's table they are, where only some are released.
    pub(super) places: Option<Vec<usize>>,
}

/// Adds the plan's noise to every cell, or to those that are selected. The caller has charged [`Plan::rho`], durably, before.
pub(crate) fn draw(plan: &Plan, partial: &Partial) -> Result<Drawn, DrawError> {
    let cells = partial.expose();
    if cells.len() != plan.scanned_cells() {
        return Err(DrawError::Shape);
    }
    let noised = |cells: &[i64]| gaussian(cells, plan.norm_squared(), plan.sigma(), plan.noise_rho().0);
    let Some(top) = plan.top() else { return Ok(Drawn { cells: noised(cells)?, places: None }) };
    // The first cell is of those in whom the value is missing.
    let scores = cells.get(1..).ok_or(DrawError::Shape)?;
    let places: Vec<usize> = top.select(scores)?.into_iter().map(|place| place + 1).collect();
    let winners = places.iter().map(|place| cells.get(*place).copied().ok_or(DrawError::Shape));
    let winners = Zeroizing::new(winners.collect::<Result<Vec<i64>, _>>()?);
    Ok(Drawn { cells: noised(&winners)?, places: Some(places) })
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
pub(super) fn float_up(value: u64) -> f64 {
    let float = value as f64;
    if value < (1 << 53) { float } else { float.next_up() }
}
