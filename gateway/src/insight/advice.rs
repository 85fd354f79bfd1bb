//! What would make a table of people readable, from released numbers and prices only.

use policy::privacy::{NanoRho, advise};

/// A cell is readable when its half-width is at most this part of the average cell.
const READABLE_PART: f64 = 4.0;

/// The noise of a release, and what was paid for it.
#[derive(Debug, Clone, Copy)]
pub struct Noise {
    /// Standard deviation in one cell, in people.
    pub sigma: f64,
    /// Half-width that holds for one cell at 95 %, in people.
    pub half_width: f64,
    /// The price.
    pub rho: NanoRho,
    /// What is left to pay with, if that is known.
    pub left: Option<NanoRho>,
}

/// What a table that can't be read would need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable {
    /// How many cells could be read instead.
    pub most: u64,
    /// The price at which all could, if as much is left.
    pub price: Option<NanoRho>,
}

/// Says what a table of so many cells of so many people needs, unless it can be read.
pub fn unreadable(people: f64, cells: usize, noise: &Noise) -> Option<Unreadable> {
    let Noise { sigma, half_width, rho, left } = *noise;
    let advice = advise(whole(people), u64::try_from(cells).ok()?, moved(rho, sigma), rho)?;
    let price = advice.rho.map(in_two_digits).filter(|price| left.is_none_or(|left| *price <= left));
    Some(Unreadable { most: whole(people / (READABLE_PART * half_width.max(0.5))), price })
}

/// The square of what one person moves an answer by at most, from its price and its noise.
fn moved(rho: NanoRho, sigma: f64) -> u64 {
    whole((2.0 * rho.rho() * sigma * sigma).round()).max(1)
}

/// A price rounded up to two leading digits: advice of nine would promise too much.
fn in_two_digits(rho: NanoRho) -> NanoRho {
    let mut step = 1_u64;
    while rho.0 / step >= 100 {
        step = step.saturating_mul(10);
    }
    NanoRho(rho.0.div_ceil(step).saturating_mul(step))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
fn whole(number: f64) -> u64 {
    number as u64
}
