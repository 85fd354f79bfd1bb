//! Quotients of released numbers, with intervals that hold for small denominators too: post-processing, free of charge.
//!
//! A quotient of two noisy numbers has no normal distribution, and near a denominator of nothing no bounded interval. So
//! intervals are Fieller's (1954): all quotients that a test at 5 % does not reject, given normal noise. Where that is
//! everything, there is no interval, and whoever shows it says so.

use super::display::Estimate;

/// Two-sided 95 % point of the normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;

/// A number and the interval that holds with probability 0.95, noise only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The estimate.
    pub middle: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Returns `part / (part + rest)` of two independent, disjoint counts, within 0 and 1. `None` where noise is all there is.
pub fn share(part: Estimate, rest: Estimate) -> Option<Interval> {
    let (part, rest) = (Number::of(part), Number::of(rest));
    let whole = part.value + rest.value;
    // (1 - r) part - r rest has mean 0 at the true r.
    let z = Z_95 * Z_95;
    let a = whole * whole - z * (part.variance + rest.variance);
    let b = part.value * whole - z * part.variance;
    let c = part.value * part.value - z * part.variance;
    let Interval { middle, low, high } = roots(a, b, c, part.value / whole)?;
    let within = |share: f64| share.clamp(0.0, 1.0);
    (whole > 0.0).then(|| Interval { middle: within(middle), low: within(low), high: within(high) })
}

/// Returns `sum / count` of two independent numbers. `None` where the count is not shown to be above nothing.
pub fn quotient(sum: Estimate, count: Estimate) -> Option<Interval> {
    let (sum, count) = (Number::of(sum), Number::of(count));
    let z = Z_95 * Z_95;
    let a = count.value * count.value - z * count.variance;
    let b = sum.value * count.value;
    let c = sum.value * sum.value - z * sum.variance;
    (count.value > 0.0).then(|| roots(a, b, c, sum.value / count.value)).flatten()
}

/// Returns the standard deviation of a number, in its units, from independent sums over the same people: how many have it,
/// their numbers less a center, and the squares of those in units of `1 << shift`, less `middle` of them for each. `None` where
/// that says nothing: where the number of people is not shown, or the interval is everything that bounded numbers allow.
///
/// With `v` the variance in those units less the middle, `N U - S^2 / 2^shift - v N^2` has mean 0 at the true `v` once the noise's
/// own part is taken off the squares, and its variance is a quadratic in `v`, so the interval is Fieller's for this quotient. It
/// is taken from exact variances of products of normal numbers, with draws in place of true values: a little wide for few.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub fn deviation(count: Estimate, sum: Estimate, squares: Estimate, shift: u32, middle: i64) -> Option<Interval> {
    let one = 2_f64.powi(i32::try_from(shift).unwrap_or(i32::MAX));
    let [n, s, u] = [count, sum, squares].map(Number::of);
    let (s, of_s) = (s.value / one.sqrt(), s.variance / one);
    let (whole, part) = (n.value.powi(2) - n.variance, n.value * u.value - (s.powi(2) - of_s));
    let of_part = n.value.powi(2) * u.variance
        + u.value.powi(2) * n.variance
        + 4.0 * s.powi(2) * of_s
        + n.variance * u.variance
        + 2.0 * of_s.powi(2);
    let of_whole = 4.0 * n.value.powi(2) * n.variance + 2.0 * n.variance.powi(2);
    let of_both = 2.0 * n.value * u.value * n.variance;
    let z = Z_95 * Z_95;
    let (a, b, c) = (whole.powi(2) - z * of_whole, part * whole - z * of_both, part.powi(2) - z * of_part);
    let interval = roots(a, b, c, part / whole).filter(|_| n.value > 0.0)?;
    let (middle, most) = (middle as f64, 2.0 * middle as f64 + 1.0);
    let deviation = |v: f64| ((v + middle).clamp(0.0, most) * one).sqrt();
    let says_something = interval.high + middle > 0.0 && (interval.low + middle > 0.0 || interval.high + middle < most);
    let Interval { middle, low, high } = interval;
    says_something.then(|| Interval { middle: deviation(middle), low: deviation(low), high: deviation(high) })
}

/// How a cell's share of the members compares with its share of everyone, 100 being the same (the target group index), from
/// disjoint counts: the members in the cell, the others in it, and all members and all others. By the delta method for its
/// logarithm. `None` where a count is within three standard deviations of nothing.
pub fn index(members: Estimate, others: Estimate, all_members: Estimate, all_others: Estimate) -> Option<Interval> {
    let [x, y, t, r] = [members, others, all_members, all_others].map(Number::of);
    let shown = [x, t].iter().all(|count| count.value > 3.0 * count.variance.sqrt());
    let (both, all) = (x.value + y.value, t.value + r.value);
    if !shown || both <= 0.0 || all <= 0.0 {
        return None;
    }
    let slopes = [1.0 / x.value - 1.0 / both, -1.0 / both, 1.0 / all - 1.0 / t.value, 1.0 / all];
    let variance: f64 = [x, y, t, r].iter().zip(slopes).map(|(of, slope)| of.variance * slope * slope).sum();
    let middle = 100.0 * (x.value / t.value) / (both / all);
    let factor = (Z_95 * variance.sqrt()).exp();
    Some(Interval { middle, low: middle / factor, high: middle * factor })
}

/// Compares the same with the parts themselves: a cell's share of what members do with its share of what everyone does, 100
/// being the same, from disjoint sums: of members in the cell and in all others, of the rest in the cell and in all others. By
/// the delta method, as [`index`]; `None` likewise.
pub fn index_of_parts([x, x_other, y, y_other]: [Estimate; 4]) -> Option<Interval> {
    let [x, a, y, b] = [x, x_other, y, y_other].map(Number::of);
    let (t, of_t) = (x.value + a.value, (x.variance + a.variance).sqrt());
    let (both, all) = (x.value + y.value, x.value + y.value + a.value + b.value);
    let shown = x.value > 3.0 * x.variance.sqrt() && t > 3.0 * of_t;
    if !shown || both <= 0.0 || all <= 0.0 {
        return None;
    }
    let slopes =
        [1.0 / x.value - 1.0 / t - 1.0 / both + 1.0 / all, 1.0 / all - 1.0 / t, 1.0 / all - 1.0 / both, 1.0 / all];
    let variance: f64 = [x, a, y, b].iter().zip(slopes).map(|(of, slope)| of.variance * slope * slope).sum();
    let middle = 100.0 * (x.value / t) / (both / all);
    let factor = (Z_95 * variance.sqrt()).exp();
    Some(Interval { middle, low: middle / factor, high: middle * factor })
}

/// Between which bins a quantile lies: `low..=high` of the bins of a histogram, from 0, given their draws and the standard
/// deviation of each. The interval holds with probability 0.95 at least: the edges it excludes are those at which the
/// number below differs from the wanted part of all by more than noise explains, tested jointly (Bonferroni). `permille` is
/// 1-999. `None` where nobody is shown to be there.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub fn quantile(bins: &[i64], sigma: u64, permille: u16) -> Option<(usize, usize)> {
    let part = f64::from(permille) / 1_000.0;
    let (count, sigma) = (bins.len() as f64, sigma as f64);
    let all: f64 = bins.iter().map(|bin| *bin as f64).sum();
    let reach = normal_quantile_above(0.025 / count.max(1.0));
    if all <= 2.0 * sigma * count.sqrt() {
        return None;
    }
    let mut below = 0.0;
    let (mut low, mut high) = (0, bins.len().saturating_sub(1));
    for (edge, bin) in bins.iter().enumerate().take(bins.len().saturating_sub(1)) {
        below += *bin as f64;
        let (before, after) = (edge as f64 + 1.0, count - edge as f64 - 1.0);
        let deviation = sigma * ((1.0 - part).powi(2) * before + part * part * after).sqrt();
        let distance = below - part * all;
        if distance < -reach * deviation {
            low = edge + 1;
        }
        if distance > reach * deviation {
            high = high.min(edge);
        }
    }
    Some((low.min(high), low.max(high)))
}

/// Returns how many standard deviations one of so many numbers has to be away, so that none is with probability 0.95 where
/// there is noise and nothing else (Bonferroni).
#[expect(clippy::cast_precision_loss, reason = "a number of rows")]
pub fn stands_out_of(numbers: usize) -> f64 {
    normal_quantile_above(0.025 / numbers.max(1) as f64)
}

/// The point that a standard normal exceeds with a small probability, rounded up: Mills' bound `t <= exp(-x^2/2) / (x
/// sqrt(2 pi))` solved by steps.
fn normal_quantile_above(probability: f64) -> f64 {
    let tail = |x: f64| (-x * x / 2.0).exp() / (x * (2.0 * std::f64::consts::PI).sqrt());
    let mut x = 1.0;
    while tail(x) > probability && x < 40.0 {
        x += 0.01;
    }
    x
}

/// A number with its variance.
#[derive(Debug, Clone, Copy)]
struct Number {
    value: f64,
    variance: f64,
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    fn of(estimate: Estimate) -> Self {
        let sigma = estimate.sigma as f64;
        Self { value: estimate.value as f64, variance: sigma * sigma }
    }
}

/// The ends of `a r^2 - 2 b r + c <= 0` if that is a bounded interval.
fn roots(a: f64, b: f64, c: f64, middle: f64) -> Option<Interval> {
    let discriminant = b * b - a * c;
    (a > 0.0 && discriminant >= 0.0).then(|| {
        let root = discriminant.sqrt();
        Interval { middle, low: (b - root) / a, high: (b + root) / a }
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::scan::tests::Dice;

    fn at(value: f64, sigma: f64) -> Estimate {
        Estimate { value: (value * 1024.0) as i64, sigma: (sigma * 1024.0) as u64 }
    }

    #[test]
    fn known_quotients() {
        let half = share(at(500.0, 10.0), at(500.0, 10.0)).unwrap();
        assert!((half.middle - 0.5).abs() < 1e-9);
        // sqrt(0.5) * 10 / 1000 * 1.96
        assert!((half.high - half.middle - 0.013_86).abs() < 2e-4, "{half:?}");
        assert_eq!(share(at(3.0, 10.0), at(4.0, 10.0)), None, "noise is all there is");
        assert_eq!(quotient(at(100.0, 1.0), at(1.0, 1.0)), None);
        let mean = quotient(at(5_000.0, 50.0), at(1_000.0, 10.0)).unwrap();
        assert!((mean.middle - 5.0).abs() < 1e-9 && mean.low < 5.0 && mean.high > 5.0);
        let same = index(at(100.0, 5.0), at(900.0, 5.0), at(1_000.0, 5.0), at(9_000.0, 5.0)).unwrap();
        assert!((same.middle - 100.0).abs() < 1e-6 && same.low < 100.0 && same.high > 100.0);
        assert_eq!(index(at(14.0, 5.0), at(900.0, 5.0), at(1_000.0, 5.0), at(9_000.0, 5.0)), None);
        // 300 of 1,000 beside 1,200 of 10,000: 250.
        let parts = |x| index_of_parts([at(x, 5.0), at(700.0, 20.0), at(900.0, 5.0), at(8_100.0, 20.0)]);
        let more = parts(300.0).unwrap();
        assert!((more.middle - 250.0).abs() < 1e-6 && more.low > 235.0 && more.high < 266.0, "{more:?}");
        assert_eq!(parts(14.0), None);
        assert!((stands_out_of(1) - 1.96).abs() < 0.15 && (3.4..3.6).contains(&stands_out_of(100)));
    }

    #[test]
    fn quantiles_lie_where_they_say() {
        // 100 bins of 50: the median is at the edge of bins 49 and 50. N = 2,000; a joint interval holds in 95 % at least.
        const N: usize = 2_000;
        let mut dice = Dice(5);
        let mut held = 0;
        for _ in 0..N {
            let bins: Vec<i64> = (0..100).map(|_| 50 * 1_024 + (5.0 * 1_024.0 * normal(&mut dice)) as i64).collect();
            let (low, high) = quantile(&bins, 5 * 1_024, 500).unwrap();
            held += usize::from(low <= 50 && high >= 49);
            assert!(high - low < 12, "{low} {high}");
        }
        assert!(held * 100 >= N * 95, "{held} of {N}");
        assert_eq!(quantile(&[1_000_000, 0, 0], 10, 500), Some((0, 0)));
        assert_eq!(quantile(&[0, 0, 1_000_000], 10, 250), Some((2, 2)));
        assert_eq!(quantile(&[3, -2, 4], 10, 500), None);
        assert_eq!(quantile(&[], 10, 500), None);
        assert!((normal_quantile_above(0.025) - 1.96).abs() < 0.15);
        assert!(normal_quantile_above(0.025) >= 1.96);
    }

    /// Sums over so many people whose numbers have such a mean and deviation, less a center at 0, in a reach of 100.
    fn sums(people: f64, mean: f64, deviation: f64) -> [f64; 3] {
        let squares = mean.powi(2) + deviation.powi(2);
        [people, people * mean, people * (squares / 4.0 - 1_250.0)]
    }

    #[test]
    fn known_deviations() {
        let found = |[n, s, u]: [f64; 3], sigma: f64| {
            deviation(at(n, sigma), at(s, 100.0 * sigma), at(u, 1_250.0 * sigma), 2, 1_250)
        };
        let spread = found(sums(100_000.0, 40.0, 20.0), 10.0).unwrap();
        assert!((spread.middle - 20.0).abs() < 1e-3 && spread.low < 20.0 && spread.high > 20.0, "{spread:?}");
        // By hand: the parts of squares, sum and count are 12,500, 2 * 40 / 4 * 1,000 and (2 * 400 + 750) * 10; their root sum of
        // squares is 28,200, over N, times 4 for the unit, over 2 * 20, times 1.96.
        assert!((spread.high - spread.middle - 0.0553).abs() < 0.0005, "{spread:?}");
        let none = found(sums(100_000.0, 40.0, 0.0), 10.0).unwrap();
        assert!(none.low == 0.0 && none.high < 3.0, "{none:?}");
        assert_eq!(found(sums(30.0, 40.0, 20.0), 10.0), None, "noise is all there is");
        assert_eq!(found(sums(-1_000.0, 40.0, 20.0), 10.0), None);
    }

    #[test]
    fn deviations_cover_as_they_say() {
        // N = 20,000 each, as above: coverage of at least 0.95 less 5 standard deviations, where there is an interval.
        const N: usize = 20_000;
        let least = 0.95 - 5.0 * (0.95 * 0.05 / N as f64).sqrt() - 0.002;
        let mut dice = Dice(17);
        for (people, mean, spread) in
            [(20_000.0, 40.0, 20.0), (2_000.0, -70.0, 10.0), (300.0, 5.0, 35.0), (120.0, 0.0, 60.0), (90.0, 80.0, 30.0)]
        {
            let (mut covered, mut shown) = (0, 0);
            for _ in 0..N {
                let [n, s, u] = sums(people, mean, spread);
                let mut noisy = |value: f64, sigma: f64| at(value + sigma * normal(&mut dice), sigma);
                let (n, s, u) = (noisy(n, 10.0), noisy(s, 1_000.0), noisy(u, 12_500.0));
                if let Some(interval) = deviation(n, s, u, 2, 1_250) {
                    shown += 1;
                    covered += usize::from(interval.low <= spread && spread <= interval.high);
                }
            }
            assert!(covered as f64 >= least * shown as f64, "{covered} of {shown} at {people}, {mean}, {spread}");
            assert!(people < 300.0 || shown > N / 2, "{shown} of {N} at {people}");
        }
    }

    /// Standard normal by twelve evens (Irwin and Hall): near enough at 95 %.
    fn normal(dice: &mut Dice) -> f64 {
        (0..12).map(|_| dice.below(1 << 30) as f64 / 2_f64.powi(30)).sum::<f64>() - 6.0
    }

    #[test]
    fn intervals_cover_as_they_say() {
        // N = 20,000 each; coverage of at least 0.95 less 5 standard deviations (alpha 3e-7), where there is an interval.
        const N: usize = 20_000;
        let least = 0.95 - 5.0 * (0.95 * 0.05 / N as f64).sqrt() - 0.002;
        let mut dice = Dice(11);
        for (part, rest, sigma) in [(400.0, 600.0, 10.0), (30.0, 300.0, 12.0), (950.0, 20.0, 20.0)] {
            let (mut covered, mut shown) = (0, 0);
            for _ in 0..N {
                let noisy = |dice: &mut Dice, value: f64| at(value + sigma * normal(dice), sigma);
                if let Some(interval) = share(noisy(&mut dice, part), noisy(&mut dice, rest)) {
                    let truth = part / (part + rest);
                    shown += 1;
                    covered += usize::from(interval.low <= truth && truth <= interval.high);
                }
            }
            assert!(shown > N / 2 && covered as f64 >= least * shown as f64, "{covered} of {shown} at {part}, {rest}");
        }
        for (x, a, y, b, sigma) in [(300.0, 1_700.0, 900.0, 8_100.0, 12.0), (80.0, 420.0, 100.0, 3_900.0, 12.0)] {
            let (mut covered, mut shown) = (0, 0);
            let truth = 100.0 * (x / (x + a)) / ((x + y) / (x + a + y + b));
            for _ in 0..N {
                let mut noisy = |value: f64, sigma: f64| at(value + sigma * normal(&mut dice), sigma);
                let parts = [noisy(x, sigma), noisy(a, 4.0 * sigma), noisy(y, sigma), noisy(b, 4.0 * sigma)];
                if let Some(index) = index_of_parts(parts) {
                    shown += 1;
                    covered += usize::from(index.low <= truth && truth <= index.high);
                }
            }
            assert!(shown > N / 2 && covered as f64 >= (least - 0.01) * shown as f64, "{covered} of {shown} at {x}");
        }
        for (x, y, t, r, sigma) in [(300.0, 900.0, 2_000.0, 9_000.0, 12.0), (80.0, 100.0, 500.0, 4_000.0, 12.0)] {
            let (mut covered, mut shown) = (0, 0);
            let truth = 100.0 * (x / t) / ((x + y) / (t + r));
            for _ in 0..N {
                let mut noisy = |value: f64| at(value + sigma * normal(&mut dice), sigma);
                if let Some(interval) = index(noisy(x), noisy(y), noisy(t), noisy(r)) {
                    shown += 1;
                    covered += usize::from(interval.low <= truth && truth <= interval.high);
                }
            }
            assert!(shown > N / 2 && covered as f64 >= (least - 0.01) * shown as f64, "{covered} of {shown} at {x}");
        }
    }
}
