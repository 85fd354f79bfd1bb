//! Topping an answer up: the same question of the same epoch at a higher price, for the difference.
//!
//! # Privacy
//! A stored answer `y1 = x1 + z1` was drawn for `rho1`. To be as accurate as at `rho`, another vector `y2 = x2 + z2` is drawn, with
//! fresh noise, for `rho2 = rho - rho1`, which is charged before. Both `x1` and `x2` are the same plan's vector, at the instant of
//! their draws, so neighbors move each by `D` at most (`super`), and `y2` costs `(D / sigma2)^2 / 2 <= rho2`, whatever was
//! answered before. Together they lose `rho1 + rho2 = rho`, by adaptive composition; the mean below is post-processing of
//! the two, and so is giving an answer of a higher price to who asks at a lower one.
//!
//! # Accuracy
//! The variance of a cell of `y_i` is `v / rho_i`, with the same `v` for both (`D^2 / 2` for one table), so the mean with
//! weights `rho_i / rho` is the one of least variance, `sum (rho_i / rho)^2 v / rho_i = v / rho`: that of one draw for `rho`. It
//! is rounded to the nearest 1/1024 of what is counted, which adds less than half of that and is part of the stated deviation.
//! Where the first had a pilot (`super::pilot`) its weights are used again, without another pilot; its variance is then a
//! thirty-first part more than its weight here says, and the stated deviation is that of the mean all the same.
//!
//! # Two instants
//! `x2` leaves out who withdrew after the first draw, since nothing is drawn from them any more; `x1`, which was released before
//! and may be repeated until its epoch ends, has them. So the mean is of a vector between both, in which they count for the part
//! `rho1 / rho`. To add noise for `rho` to `x1` alone would use people after they withdrew. Each draw and its entry in the log
//! is named in the answer.
//!
//! Does not: combine selections (the most frequent values), which may be of different cells.

use super::{Answer, Cell, Part, Table, TableNoise};
use policy::privacy::NanoRho;

/// Format version of an answer that combines draws.
const COMBINED: u32 = 2;

#[derive(Debug, Clone, Copy)]
struct Weights(NanoRho, NanoRho);

/// Combines a stored answer with a fresh draw of the same question, whose name and leaf it gets; `None` if they do not fit.
pub(crate) fn combine(stored: &Answer, fresh: &Answer) -> Option<Answer> {
    let weights = Weights(stored.rho, fresh.rho);
    let rho = stored.rho.checked_add(fresh.rho).filter(|rho| *rho > NanoRho::ZERO)?;
    if stored.epoch != fresh.epoch || stored.tables.len() != fresh.tables.len() {
        return None;
    }
    let tables = stored.tables.iter().zip(&fresh.tables).map(|(a, b)| weights.table(a, b)).collect::<Option<_>>()?;
    let mut parts = stored.parts.clone();
    if parts.is_empty() {
        parts.push(Part { rho: stored.rho, leaf: stored.leaf });
    }
    parts.push(Part { rho: fresh.rho, leaf: fresh.leaf });
    Some(Answer {
        version: stored.version.max(fresh.version).max(COMBINED),
        tables,
        sigma_1024: weights.deviation(stored.sigma_1024, fresh.sigma_1024),
        half_width_1024: weights.deviation(stored.half_width_1024, fresh.half_width_1024),
        rho,
        parts,
        ..fresh.clone()
    })
}

impl Weights {
    fn table(self, stored: &Table, fresh: &Table) -> Option<Table> {
        let same = stored.by == fresh.by && stored.counted == fresh.counted && stored.cells.len() == fresh.cells.len();
        let same = same && stored.weights == fresh.weights;
        let noise = match (stored.noise, fresh.noise) {
            (None, None) => None,
            (Some(a), Some(b)) => Some(TableNoise {
                sigma_1024: self.deviation(a.sigma_1024, b.sigma_1024),
                half_width_1024: self.deviation(a.half_width_1024, b.half_width_1024),
            }),
            _ => return None,
        };
        let cell = |(a, b): (&Cell, &Cell)| {
            (a.codes == b.codes).then(|| Cell { codes: a.codes.clone(), noised: self.mean(a.noised, b.noised) })
        };
        let cells = stored.cells.iter().zip(&fresh.cells).map(cell).collect::<Option<_>>()?;
        same.then(|| Table { cells, noise, ..fresh.clone() })
    }

    /// The weighted mean, to the nearest integer. The caller has checked that the weights are not both 0.
    fn mean(self, a: i64, b: i64) -> i64 {
        let (first, second) = (i128::from(self.0.0), i128::from(self.1.0));
        let all = (first + second).max(1);
        let mean = (i128::from(a) * first + i128::from(b) * second + all / 2).div_euclid(all);
        i64::try_from(mean).unwrap_or(if mean < 0 { i64::MIN } else { i64::MAX })
    }

    /// The standard deviation of such a mean, or what is proportional to it, rounded up; the rounding of the mean is in it.
    fn deviation(self, a: u64, b: u64) -> u64 {
        let all = (u128::from(self.0.0) + u128::from(self.1.0)).max(1);
        let part = |deviation: u64, weight: NanoRho| (u128::from(deviation) * u128::from(weight.0)).div_ceil(all);
        let square = |part: u128| part.saturating_mul(part);
        let sum = square(part(a, self.0)).saturating_add(square(part(b, self.1))).saturating_add(1);
        let root = sum.isqrt();
        u64::try_from(if root.saturating_mul(root) < sum { root.saturating_add(1) } else { root }).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::release::{Counted, Dimension};
    use policy::id::EpochId;
    use policy::schema::ColumnId;

    fn answer(rho: u64, sigma_1024: u64, noised: [i64; 2]) -> Answer {
        let cell = |(code, noised): (u16, i64)| Cell { codes: vec![code], noised };
        let cells = (0..).zip(noised).map(cell).collect();
        let table = Table {
            by: vec![Dimension::Attribute(ColumnId(1))],
            cells,
            counted: Counted::People,
            noise: None,
            weights: vec![],
        };
        Answer {
            version: 1,
            release: format!("of {rho}"),
            epoch: EpochId(1),
            as_of_seconds: 0,
            tables: vec![table],
            sigma_1024,
            half_width_1024: sigma_1024.saturating_mul(2),
            rho: NanoRho(rho),
            not_private: false,
            leaf: rho.saturating_add(1),
            parts: Vec::new(),
        }
    }

    #[test]
    fn a_mean_weighs_by_price_and_is_as_accurate_as_the_sum_of_prices() {
        // Deviations go with the root of the price: 3,000 at 1, 1,500 at 4 and 1,342 at 5.
        let first = answer(1, 3_000, [0, -7]);
        let combined = combine(&first, &answer(4, 1_500, [1_000, 3])).unwrap();
        assert_eq!(combined.tables[0].cells.iter().map(|cell| cell.noised).collect::<Vec<_>>(), [800, 1]);
        assert!((1_342..=1_344).contains(&combined.sigma_1024), "{}", combined.sigma_1024);
        assert!((2_683..=2_686).contains(&combined.half_width_1024), "{}", combined.half_width_1024);
        assert_eq!((combined.rho.0, combined.release.as_str(), combined.leaf, combined.version), (5, "of 4", 5, 2));
        assert_eq!(combined.parts, [Part { rho: NanoRho(1), leaf: 2 }, Part { rho: NanoRho(4), leaf: 5 }]);
        // The stored form, version 2; a version 1 has no parts.
        let stored = serde_json::to_string(&combined).unwrap();
        assert!(stored.starts_with("{\"version\":2,"), "{stored}");
        assert!(stored.ends_with(r#""leaf":5,"parts":[{"rho":1,"leaf":2},{"rho":4,"leaf":5}]}"#), "{stored}");
        let one = serde_json::to_string(&first).unwrap();
        assert!(one.ends_with(r#""leaf":2}"#) && serde_json::from_str::<Answer>(&one).unwrap() == first, "{one}");
        let thrice = combine(&combined, &answer(5, 1_342, [0, 1])).unwrap();
        assert_eq!((thrice.rho.0, thrice.parts.len(), thrice.tables[0].cells[0].noised), (10, 3, 400));
    }

    #[test]
    fn weighed_cells_are_combined_at_their_weights_and_each_says_its_noise() {
        let weighed = |rho, sigma_1024, noised| {
            let mut answer = answer(rho, sigma_1024, noised);
            answer.version = 3;
            answer.tables[0].weights = vec![32, 128];
            answer
        };
        let combined = combine(&weighed(1, 3_000, [0, -7]), &weighed(4, 1_500, [1_000, 3])).unwrap();
        assert_eq!(combined.version, 3);
        let noise = [0, 1].map(|cell| combined.tables[0].noise_of(cell, combined.noise()));
        assert_eq!(noise[0].sigma_1024, 2 * combined.sigma_1024);
        assert_eq!(noise[1].half_width_1024, combined.half_width_1024.div_ceil(2));
        // The stored form, version 3.
        let stored = serde_json::to_string(&combined.tables[0]).unwrap();
        let cells = r#"[{"codes":[0],"noised":800},{"codes":[1],"noised":1}]"#;
        assert_eq!(stored, format!(r#"{{"by":[{{"Attribute":1}}],"cells":{cells},"weights":[32,128]}}"#));
        assert_eq!(serde_json::from_str::<Table>(&stored).unwrap(), combined.tables[0]);
    }

    #[test]
    fn what_does_not_fit_is_not_combined() {
        let (first, second) = (answer(1, 3, [0, 0]), answer(1, 3, [0, 0]));
        let other = Answer { epoch: EpochId(2), ..second.clone() };
        assert_eq!(combine(&first, &other), None);
        let mut other = second.clone();
        other.tables[0].counted = Counted::Present(ColumnId(1));
        assert_eq!(combine(&first, &other), None);
        let mut other = second.clone();
        other.tables[0].weights = vec![64, 32];
        assert_eq!(combine(&first, &other), None);
        let mut other = second.clone();
        other.tables[0].cells.pop();
        assert_eq!(combine(&first, &other), None);
        other.tables.clear();
        assert_eq!(combine(&first, &other), None);
        assert!(combine(&first, &second).is_some());
    }

    #[test]
    fn the_ends_of_the_range_overflow_nothing() {
        let (first, second) = (
            answer(u64::MAX / 2, u64::MAX, [i64::MAX, i64::MIN]),
            answer(u64::MAX / 2, u64::MAX, [i64::MAX, i64::MIN]),
        );
        let combined = combine(&first, &second).unwrap();
        assert_eq!(combined.tables[0].cells.iter().map(|cell| cell.noised).collect::<Vec<_>>(), [i64::MAX, i64::MIN]);
        assert_eq!(combine(&answer(u64::MAX, 1, [0, 0]), &second), None);
    }
}
