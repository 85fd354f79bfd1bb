//! Clipping one subject's vector, in integers.
//!
//! **Lemma.** For every vector `v` of integers, what [`Clip::scale`] gives has an L2 norm of at most [`Clip::norm`].
//! If `|v|_2 <= bound`, every entry is multiplied by `per_one`, so the norm is at most `bound * per_one`. Otherwise entry
//! `i` becomes `v_i * norm * 2^s / d` truncated toward zero, with an integer `d >= 2^s |v|_2`; truncation makes no entry larger,
//! so the norm is at most `|v|_2 * norm * 2^s / d <= norm`. (The shift `s` is for short vectors, whose length would lose much by
//! being rounded up to a whole number.) Entries are first limited to `+-2^55`, which is a function of the same
//! subject's vector and so takes nothing from the lemma. The shortest vectors are multiplied by a whole number instead, the
//! largest `f` with `f^2 |v|_2^2 <= norm^2`; that is the lemma itself, and such factors are found once for each length.

use super::axis::Clip;

/// Entries beyond are as large as this: their squares still add up in 128 bits.
const MOST: i64 = 1 << 55;

/// Entries below this need no more than 64 bits: the squares of [`FEW`] of them add up, and one times the norm fits.
const SMALL: u64 = 1 << 24;

/// Bits that are left for an entry and for writing its vector's length more finely.
const SMALL_SHIFT: u32 = 26;

/// How many small entries' squares add up in 64 bits.
const FEW: usize = 1 << 15;

/// Squared lengths of vectors, and more than the entries, that factors are kept for.
const SHORTEST: u32 = 1 << 10;

/// A clip, and what it multiplies vectors of the shortest lengths by.
#[derive(Debug, Clone)]
pub(super) struct Scaler {
    pub(super) clip: Clip,
    /// By squared length.
    factors: Vec<i64>,
}

impl Scaler {
    pub(super) fn new(clip: Clip) -> Self {
        Self { clip, factors: (0..SHORTEST).map(|squared| clip.factor(squared)).collect() }
    }

    /// Scales one subject's vector, in place, to fine units and to the bound.
    pub(super) fn scale(&self, entries: &mut [i64]) {
        let widest = entries.iter().fold(0, |bits, entry| bits | entry.unsigned_abs());
        // Of entries this small so few can have a squared length that there is a factor for that nothing wraps.
        if widest < u64::from(SHORTEST) && entries.len() <= FEW {
            let square = |entry: &i64| entry.wrapping_mul(*entry).unsigned_abs();
            let squared = usize::try_from(entries.iter().map(square).sum::<u64>()).unwrap_or(usize::MAX);
            if let Some(factor) = self.factors.get(squared) {
                entries.iter_mut().for_each(|entry| *entry = entry.wrapping_mul(*factor));
                return;
            }
        }
        self.clip.scale(widest, entries);
    }
}

impl Clip {
    /// The largest whole number that a vector of this squared length, which may be 0, can be multiplied by.
    fn factor(self, squared: u32) -> i64 {
        let bound = u128::from(self.bound());
        if u128::from(squared) <= bound * bound {
            return i64::try_from(self.per_one()).unwrap_or(0);
        }
        let norm = u128::from(self.norm());
        i64::try_from((norm * norm).checked_div(squared.into()).unwrap_or(0).isqrt()).unwrap_or(0)
    }

    fn scale(self, widest: u64, entries: &mut [i64]) {
        if widest < SMALL && entries.len() <= FEW {
            self.scale_small(widest, entries)
        } else {
            self.scale_any(widest, entries)
        }
    }

    /// What [`Clip::scale_any`] does, where 64 bits are enough: nearly everybody's vector, several times as fast.
    fn scale_small(self, widest: u64, entries: &mut [i64]) {
        let squared: u64 =
            entries.iter().fold(0, |sum, entry| sum.wrapping_add(entry.wrapping_mul(*entry).unsigned_abs()));
        let bound = u128::from(self.bound());
        if u128::from(squared) <= bound * bound {
            let per_one = i64::try_from(self.per_one()).unwrap_or(0);
            entries.iter_mut().for_each(|entry| *entry = entry.wrapping_mul(per_one));
            return;
        }
        let shift = shift(widest);
        let squared = u128::from(squared) << (2 * shift);
        let root = squared.isqrt();
        // Not 0, since the squares are more than a bound of at least 1.
        let length = i64::try_from(root + u128::from(root * root < squared)).unwrap_or(i64::MAX);
        let norm = i64::try_from(self.norm()).unwrap_or(0) << shift;
        entries.iter_mut().for_each(|entry| *entry = entry.wrapping_mul(norm).checked_div(length).unwrap_or(0));
    }

    fn scale_any(self, widest: u64, entries: &mut [i64]) {
        entries.iter_mut().for_each(|entry| *entry = (*entry).clamp(-MOST, MOST));
        let squared: u128 = entries.iter().map(|entry| u128::from(entry.unsigned_abs()).pow(2)).sum();
        let bound = u128::from(self.bound());
        if squared <= bound * bound {
            // Fits: an entry is at most the bound, and the bound times this at most 2^36.
            let per_one = i64::try_from(self.per_one()).unwrap_or(0);
            entries.iter_mut().for_each(|entry| *entry = entry.wrapping_mul(per_one));
            return;
        }
        let shift = shift(widest);
        let squared = squared << (2 * shift);
        let root = squared.isqrt();
        let length = i128::try_from(root + u128::from(root * root < squared)).unwrap_or(i128::MAX);
        let norm = i128::from(self.norm()) << shift;
        // Division of integers truncates toward zero.
        entries.iter_mut().for_each(|entry| *entry = i64::try_from(i128::from(*entry) * norm / length).unwrap_or(0));
    }
}

/// How much more finely than in whole numbers the length of a vector is written. An entry of so many bits, times a norm of 36
/// and one, and this, fit in 63; where there is a shift, the square of the length does in 128.
fn shift(widest: u64) -> u32 {
    SMALL_SHIFT.saturating_sub(u64::BITS - widest.leading_zeros())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::axis::Parts;
    use super::super::tests::Dice;
    use super::*;

    fn norm_squared(entries: &[i64]) -> u128 {
        entries.iter().map(|entry| u128::from(entry.unsigned_abs()).pow(2)).sum()
    }

    #[test]
    fn no_vector_exceeds_the_bound_and_short_ones_are_kept_exactly() {
        let mut dice = Dice(4);
        let (mut clipped, mut kept) = (0, 0);
        for _ in 0..20_000 {
            let bits = 1 + dice.below(35);
            let bound = 1 + dice.below(1 << bits);
            let clip = Clip::new(bound, dice.pick(&[Parts::Two, Parts::Three])).unwrap();
            let bits = 1 + dice.below(62);
            let reach = 1 + dice.below(1 << bits);
            let entry = |dice: &mut Dice| dice.below(reach) as i64 * if dice.below(2) == 0 { 1 } else { -1 };
            let entries: Vec<i64> = (0..dice.below(9)).map(|_| entry(&mut dice)).collect();
            let (mut scaled, mut slowly) = (entries.clone(), entries.clone());
            Scaler::new(clip).scale(&mut scaled);
            clip.scale_any(entries.iter().fold(0, |bits, entry| bits | entry.unsigned_abs()), &mut slowly);
            if norm_squared(&entries) >= u128::from(SHORTEST) {
                assert_eq!(scaled, slowly, "{entries:?} under {bound}");
            }
            let most = u128::from(clip.norm()).pow(2);
            assert!(norm_squared(&scaled) <= most, "{entries:?} under {bound}");
            if norm_squared(&entries) <= u128::from(bound).pow(2) {
                kept += 1;
                let exact: Vec<i64> = entries.iter().map(|entry| entry * clip.per_one() as i64).collect();
                assert_eq!(scaled, exact);
            } else {
                clipped += 1;
                // Nothing is lost but rounding: the norm is within a unit an entry and a relative 2^-24.
                let length = (norm_squared(&scaled) as f64).sqrt();
                let wanted = clip.norm() as f64;
                let slack = entries.len() as f64 + wanted * 2_f64.powi(-24);
                assert!(length >= wanted - slack - 1.0, "{entries:?} under {bound}: {length} of {wanted}");
            }
        }
        assert!(clipped > 3_000 && kept > 3_000, "{clipped} clipped, {kept} kept");
    }

    #[test]
    fn two_events_in_two_cells_count_as_one() {
        let mut entries = vec![1, 1];
        Scaler::new(Clip::new(1, Parts::Three).unwrap()).scale(&mut entries);
        let norm = (norm_squared(&entries) as f64).sqrt();
        assert!((norm / MAX as f64 - 1.0).abs() < 1e-6, "{entries:?}");
    }

    #[test]
    fn the_extremes_do_not_wrap() {
        for bound in [1, 3, MAX] {
            let clip = Clip::new(bound, Parts::Three).unwrap();
            let mut entries = vec![i64::MIN, i64::MAX, 0, -1];
            Scaler::new(clip).scale(&mut entries);
            assert!(norm_squared(&entries) <= u128::from(clip.norm()).pow(2));
        }
        for parts in [Parts::Two, Parts::Three] {
            assert_eq!((Clip::new(0, parts), Clip::new(MAX + 1, parts)), (None, None));
            assert_eq!(Clip::new(MAX, parts).unwrap().norm(), MAX, "a unit is never less than whole");
        }
    }

    const MAX: u64 = super::super::axis::MAX_NORM;
}
