//! Where people are cut into bands of about equally many, from a released histogram: post-processing, free of charge.
//!
//! The histogram is over candidates that are public ([`policy::segment::Number::candidates`]); each person is in one of its
//! cells, so its release is one of bands and its proof is theirs. A cut is the candidate below which a wanted part of all
//! draws lies best. How far that is off, in people, is a sum of `k` cells less the part `q` of all: with `n` cells of standard
//! deviation `s` its variance is `s^2 ((1 - q)^2 k + q^2 (n - k))` by independence of the draws, so at most `s^2 n max(q, 1 - q)^2`
//! wherever people are. The candidate is then that or the next one to it: how far candidates are apart comes on top.
//!
//! Guarantees: the same draws, the same cuts; fewer bands where many people have one number, never one of less than half of what
//! was wanted. What
//! noise alone could have made is refused, with what would be enough.

use super::display::Estimate;
use super::ratio::{Interval, share};

/// Two-sided 95 % point of the normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;

/// Bands that draws were cut into.
#[derive(Debug, Clone, PartialEq)]
pub struct Cuts {
    /// Cells of the histogram that begin a band, from 1, rising; the first band begins with cell 0.
    pub begins: Vec<usize>,
    /// The part of all in each band, from 0 to 1, at 95 %; one more than there are cuts.
    pub shares: Vec<Interval>,
}

/// Why there are none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NoCuts {
    /// Too few people for so many bands: how many they would be enough for, below 2 for none, and how many times the price
    /// would be needed for those that were asked for.
    TooFew {
        /// Bands.
        enough_for: u32,
        /// Times the price.
        times_rho: f64,
    },
    /// Nearly all people have one number, or lie beyond the candidates.
    OneNumber,
}

/// Cuts a histogram of disjoint cells, given its draws and the standard deviation of each, both in 1/1024 of a person, into
/// `bands` bands, 2 or more. Noise moves each cut by less than a quarter of a band, at 95 %, the next candidate aside.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub fn cuts(cells: &[i64], sigma: u64, bands: u32) -> Result<Cuts, NoCuts> {
    let all: f64 = cells.iter().map(|cell| *cell as f64).sum();
    let needed = needed(cells.len(), sigma, bands);
    if all < needed {
        let fewer = (2..bands).rev().find(|fewer| all >= self::needed(cells.len(), sigma, *fewer));
        let enough_for = fewer.unwrap_or(0);
        // What is there at least, so that nobody is told to pay for ever more.
        let there = all.max(off(cells.len(), sigma, bands));
        return Err(NoCuts::TooFew { enough_for, times_rho: (needed / there).powi(2) });
    }
    let bands = f64::from(bands.max(2));
    let wanted = (1_u32..).map(|nth| f64::from(nth) / bands).take_while(|part| *part < 1.0);
    let mut begins: Vec<usize> = wanted.map(|part| nearest(cells, part * all)).collect();
    // A flat stretch has one sum, and noise decides which end of it each target takes.
    begins.sort_unstable();
    begins.dedup();
    begins.retain(|begin| (1..cells.len()).contains(begin));
    // Where many have one number, a target falls into its cell, and both ends of that are near: what would be a sliver, or
    // empty, is one with the smaller of its neighbors.
    let mut shares = shares(cells, sigma, &begins);
    while let Some(place) = sliver(&shares, 0.5 / bands) {
        if begins.is_empty() {
            break;
        }
        begins.remove(joined(&shares, place));
        shares = self::shares(cells, sigma, &begins);
    }
    if begins.is_empty() { Err(NoCuts::OneNumber) } else { Ok(Cuts { begins, shares }) }
}

/// How many people it takes, in 1/1024 of one, so that a histogram of so many cells can be cut into so many bands.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for display")]
pub fn people_needed_1024(cells: usize, sigma: u64, bands: u32) -> u64 {
    needed(cells, sigma, bands).ceil() as u64
}

/// How far noise puts a cut off, at 95 %: the first or the last one, with all people at one end.
#[expect(clippy::cast_precision_loss, reason = "for display")]
fn off(cells: usize, sigma: u64, bands: u32) -> f64 {
    Z_95 * sigma as f64 * (cells as f64).sqrt() * (1.0 - 1.0 / f64::from(bands.max(2)))
}

/// Four times that is what a band needs.
fn needed(cells: usize, sigma: u64, bands: u32) -> f64 {
    4.0 * off(cells, sigma, bands) * f64::from(bands.max(2))
}

/// The smallest band, if it has less than so much or may be empty.
fn sliver(shares: &[Interval], least: f64) -> Option<usize> {
    let smallest = shares.iter().enumerate().min_by(|(_, a), (_, b)| a.middle.total_cmp(&b.middle));
    smallest.filter(|(_, share)| share.middle < least || share.low <= 0.0).map(|(place, _)| place)
}

/// Which cut goes so that a band is one with the smaller of its neighbors.
fn joined(shares: &[Interval], place: usize) -> usize {
    let middle = |place: usize| shares.get(place).map_or(f64::INFINITY, |share| share.middle);
    let below = place.checked_sub(1).map_or(f64::INFINITY, middle);
    if below < middle(place + 1) || place + 1 >= shares.len() { place.saturating_sub(1) } else { place }
}

/// Returns how many cells hold most nearly so many.
#[expect(clippy::cast_precision_loss, reason = "for display")]
fn nearest(cells: &[i64], wanted: f64) -> usize {
    let (mut below, mut best) = (0.0, (wanted.abs(), 0));
    for (place, cell) in (1..).zip(cells) {
        below += *cell as f64;
        let distance = (below - wanted).abs();
        if distance < best.0 {
            best = (distance, place);
        }
    }
    best.1
}

fn shares(cells: &[i64], sigma: u64, begins: &[usize]) -> Vec<Interval> {
    let estimate = |cells: &[i64]| Estimate {
        value: cells.iter().fold(0_i64, |sum, cell| sum.saturating_add(*cell)),
        sigma: root(sigma, cells.len()),
    };
    let ends = begins.iter().copied().chain([cells.len()]);
    let from = std::iter::once(0).chain(begins.iter().copied());
    let whole = estimate(cells);
    let part = |(from, until): (usize, usize)| {
        let part = estimate(cells.get(from..until).unwrap_or_default());
        let others = cells.len().saturating_sub(until.saturating_sub(from));
        let rest = Estimate { value: whole.value.saturating_sub(part.value), sigma: root(sigma, others) };
        share(part, rest).unwrap_or(Interval { middle: 0.0, low: 0.0, high: 1.0 })
    };
    from.zip(ends).map(part).collect()
}

/// The standard deviation of a sum of so many draws, rounded up.
pub(super) fn root(sigma: u64, cells: usize) -> u64 {
    let variance = u128::from(sigma).pow(2).saturating_mul(cells as u128);
    let root = variance.isqrt();
    u64::try_from(if root * root < variance { root + 1 } else { root }).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::scan::tests::Dice;

    const PERSON: i64 = 1_024;

    #[test]
    fn people_are_cut_into_equal_parts() {
        let cells = [100 * PERSON; 50];
        let found = cuts(&cells, 1_024, 5).unwrap();
        assert_eq!(found.begins, [10, 20, 30, 40]);
        assert!(found.shares.iter().all(|share| (share.middle - 0.2).abs() < 1e-9 && share.low < 0.2), "{found:?}");
        assert_eq!(cuts(&cells, 0, 2).unwrap().begins, [25]);
    }

    #[test]
    fn fewer_bands_where_many_have_one_number() {
        let mut cells = [10 * PERSON; 21];
        cells[0] = 600 * PERSON;
        // 600 of 800: the first three fifths are one.
        let found = cuts(&cells, 0, 4).unwrap();
        assert_eq!(found.begins, [1], "{found:?}");
        // Half below the first candidate, and 3 % in the next cell: that is no band.
        let mut half = [49 * PERSON; 12];
        (half[0], half[1]) = (480 * PERSON, 30 * PERSON);
        let found = cuts(&half, 1_024, 4).unwrap();
        assert_eq!(found.begins, [1, 7], "{found:?}");
        assert!(found.shares.iter().all(|share| share.middle > 0.2), "{found:?}");
        let mut all_in_one = [0; 21];
        all_in_one[3] = 10_000 * PERSON;
        assert_eq!(cuts(&all_in_one, 10 * 1_024, 5), Err(NoCuts::OneNumber));
    }

    #[test]
    fn noise_alone_cuts_nothing_and_says_what_would() {
        let cells = [4 * PERSON; 100];
        // 400 people; a cut into halves is off by 1.96 x 10 x 10 / 2 = 98 people, so that they take 784.
        let Err(NoCuts::TooFew { enough_for, times_rho }) = cuts(&cells, 10 * 1_024, 5) else { unreachable!("cut") };
        assert_eq!(enough_for, 0);
        let cheaper = 10_240.0 / times_rho.sqrt();
        assert!(cuts(&cells, cheaper as u64, 5).is_ok(), "what it says is enough: {times_rho}");
        let needed = people_needed_1024(100, 10 * 1_024, 5);
        assert_eq!(needed.div_ceil(1_024), 3_136);
        let some = cuts(&[8 * PERSON; 100], 10 * 1_024, 5);
        assert!(matches!(some, Err(NoCuts::TooFew { enough_for: 2, .. })), "{some:?}");
        let each = i64::try_from(needed.div_ceil(100)).unwrap();
        assert!(cuts(&[each; 100], 10 * 1_024, 5).is_ok() && cuts(&[each - 2; 100], 10 * 1_024, 5).is_err());
        assert!(cuts(&[-3 * PERSON; 10], 10 * 1_024, 2).is_err());
        assert!(cuts(&[], 10, 2).is_err());
    }

    /// Where people are, in 61 cells.
    fn towns() -> [(&'static str, Vec<i64>); 4] {
        let at = |some: &[(usize, i64)]| {
            let mut cells = vec![0; 61];
            some.iter().for_each(|(place, people)| cells[*place] += people * PERSON);
            cells
        };
        let hill: Vec<i64> = (0..61_i64).map(|place| (31 - (place - 30).abs()) * 12 * PERSON).collect();
        let skewed: Vec<i64> = (0..61_i64).map(|place| 12_000 * PERSON / (place + 2).pow(2)).collect();
        [
            ("hill", hill),
            ("skewed", skewed),
            ("two prices", at(&[(10, 5_000), (50, 5_000)])),
            ("three", at(&[(5, 3_000), (30, 3_000), (55, 3_000)])),
        ]
    }

    #[test]
    fn whatever_people_are_like_cuts_rise_and_no_band_is_a_sliver() {
        let mut dice = Dice(12);
        for (name, town) in towns() {
            for bands in 2..=10 {
                for _ in 0..100 {
                    let drawn: Vec<i64> = town.iter().map(|cell| cell + dice.noise(10 * 1_024)).collect();
                    let Ok(found) = cuts(&drawn, 10 * 1_024, bands) else { continue };
                    assert!(found.begins.is_sorted_by(|a, b| a < b), "{name} {bands}: {found:?}");
                    assert_eq!(found.begins.len() + 1, found.shares.len());
                    let least = 0.5 / f64::from(bands);
                    assert!(found.shares.iter().all(|share| share.middle >= least), "{name} {bands}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn cuts_are_as_near_as_promised() {
        // N = 2,000 draws at the noise for which there are barely enough people. Each cut is within a quarter of a band of one
        // of the two candidates around its place in 95 % at least: more than 5 % plus five standard errors would be wrong.
        const N: usize = 2_000;
        let mut dice = Dice(11);
        for (name, town) in towns().into_iter().take(2) {
            let all: i64 = town.iter().sum();
            let below = |until: usize| town.iter().take(until).sum::<i64>();
            for bands in [2, 5] {
                let one = people_needed_1024(town.len(), 1_024, bands);
                let sigma = 1_024 * all as u64 / one;
                let mut far = vec![0; bands as usize];
                for _ in 0..N {
                    let drawn: Vec<i64> = town.iter().map(|cell| cell + dice.noise(sigma)).collect();
                    let Ok(found) = cuts(&drawn, sigma, bands) else { continue };
                    for nth in 1..bands {
                        let wanted = all * i64::from(nth) / i64::from(bands);
                        let after = (0..=town.len()).find(|place| below(*place) >= wanted).unwrap();
                        let (low, high) = (below(after.saturating_sub(1)), below(after));
                        let band = all / i64::from(bands) / 4;
                        let is_near = |begin: &usize| (low - band..=high + band).contains(&below(*begin));
                        far[nth as usize] += usize::from(!found.begins.iter().any(is_near));
                    }
                }
                let n = N as f64;
                for wrong in far {
                    let most = 0.05 * n + 5.0 * (0.05 * 0.95 * n).sqrt();
                    assert!(wrong as f64 <= most, "{name} into {bands}: {wrong} of {N}");
                }
            }
        }
    }
}
