//! What a loss in rho means in (epsilon, delta).

use super::draw::nano_up;
use opendp::combinators::make_zCDP_to_approxDP;
use opendp::domains::AtomDomain;
use opendp::measurements::make_gaussian;
use opendp::measures::ZeroConcentratedDivergence;
use opendp::metrics::AbsoluteDistance;
use policy::privacy::NanoRho;

/// A conversion outside its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("rho and delta have no epsilon")]
pub struct LossError;

/// Returns the epsilon of a loss at a delta, by OpenDP's tight conversion, rounded up. Zero for no loss.
pub fn epsilon_for(rho: NanoRho, delta: f64) -> Result<f64, LossError> {
    if rho == NanoRho::ZERO {
        return Ok(0.0);
    }
    // A Gaussian of unit scale at this distance loses `distance^2 / 2`: at least rho.
    let mut distance = (2.0 * rho.rho()).sqrt().next_up();
    let unit = || {
        make_gaussian::<_, _, ZeroConcentratedDivergence>(
            AtomDomain::<i64>::new_non_nan(),
            AbsoluteDistance::<f64>::default(),
            1.0,
            None,
        )
        .map_err(|_| LossError)
    };
    let mechanism = unit()?;
    while nano_up(mechanism.map(&distance).map_err(|_| LossError)?) < rho.0 {
        distance = distance.next_up();
    }
    let profile = make_zCDP_to_approxDP(mechanism).map_err(|_| LossError)?.map(&distance).map_err(|_| LossError)?;
    let epsilon = profile.epsilon(delta).map_err(|_| LossError)?;
    if epsilon.is_finite() { Ok(epsilon) } else { Err(LossError) }
}
