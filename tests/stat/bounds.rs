//! Statistics: bounds with a confidence, and the exact discrete Gaussian.

/// Probability that one comparison fails without a fault. Some hundred are made in one run.
pub(crate) const ALPHA: f64 = 1e-6;
/// One-sided normal quantile at [`ALPHA`].
pub(crate) const ABOVE: f64 = 4.753;
/// Two-sided normal quantile at [`ALPHA`].
pub(crate) const REACH: f64 = 4.892;

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn squares(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

/// Returns what rho is at least, with confidence `1 - ALPHA`, if the statistic is Gaussian with one variance on both
/// sides: half the square of the lower bound of the gap between the means in standard deviations. That estimate has
/// variance `1/n + 1/m + gap^2 / (2 (n + m))`.
pub(crate) fn rho_at_least(with: &[f64], without: &[f64]) -> f64 {
    let (n, m) = (with.len() as f64, without.len() as f64);
    let deviation = ((squares(with) + squares(without)) / (n + m - 2.0)).sqrt();
    let gap = ((mean(with) - mean(without)) / deviation).abs();
    let error = (1.0 / n + 1.0 / m + gap * gap / (2.0 * (n + m))).sqrt();
    (gap - ABOVE * error).max(0.0).powi(2) / 2.0
}

/// Returns what epsilon is at least at `delta`, with confidence `1 - ALPHA`, from how often an event was seen in `n` draws
/// of each side: Clopper and Pearson's bounds, half of alpha each.
pub(crate) fn epsilon_at_least(seen: usize, seen_without: usize, n: usize, delta: f64) -> f64 {
    let (low, high) = (at_least(seen, n, ALPHA / 2.0), at_most(seen_without, n, ALPHA / 2.0));
    if low > delta { ((low - delta) / high).ln() } else { 0.0 }
}

/// Clopper and Pearson's lower bound of a probability.
fn at_least(seen: usize, n: usize, alpha: f64) -> f64 {
    if seen == 0 { 0.0 } else { bisect(|p| beta(p, seen as f64, (n - seen + 1) as f64) < alpha) }
}

/// Clopper and Pearson's upper bound of a probability.
fn at_most(seen: usize, n: usize, alpha: f64) -> f64 {
    if seen == n { 1.0 } else { bisect(|p| beta(p, (seen + 1) as f64, (n - seen) as f64) < 1.0 - alpha) }
}

/// Returns where a condition that holds from 0 on ends.
fn bisect(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if holds(middle) { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// Regularized incomplete beta function by its continued fraction (Lentz's method): Press et al., Numerical Recipes, 6.4.
fn beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta(1.0 - x, b, a);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp() / a;
    let tiny = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let (mut c, mut d) = (1.0, 1.0 / tiny(1.0 - (a + b) * x / (a + 1.0)));
    let mut sum = d;
    for step in 1..10_000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        for term in [even, odd] {
            d = 1.0 / tiny(1.0 + term * d);
            c = tiny(1.0 + term / c);
            sum *= d * c;
        }
        if (d * c - 1.0).abs() < 1e-14 {
            break;
        }
    }
    front * sum
}

/// Logarithm of the gamma function by Stirling's series, moved up to where eight digits and more are right.
fn ln_gamma(mut x: f64) -> f64 {
    let mut less = 0.0;
    while x < 20.0 {
        less += x.ln();
        x += 1.0;
    }
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + 1.0 / (12.0 * x)
        - 1.0 / (360.0 * x.powi(3))
        - less
}

/// Returns the probability that a discrete Gaussian is within `half` of 0: summed where that is short, and where the steps are
/// a thousandth and less of sigma, integrated by Simpson's rule to half a step beyond.
pub(crate) fn covered(sigma: u64, half: u64) -> f64 {
    let weight = |k: f64| (-0.5 * k * k).exp();
    if sigma <= 1_000 {
        let within = |reach: u64| 1.0 + 2.0 * (1..=reach).map(|k| weight(k as f64 / sigma as f64)).sum::<f64>();
        return within(half) / within(12 * sigma);
    }
    let step = (half as f64 + 0.5) / sigma as f64 / 1_000.0;
    let factor = |nth: u32| if nth == 0 || nth == 1_000 { 1.0 } else { f64::from(2 + nth % 2 * 2) };
    let sum: f64 = (0..=1_000).map(|nth| factor(nth) * weight(f64::from(nth) * step)).sum();
    2.0 * sum * step / 3.0 / (2.0 * std::f64::consts::PI).sqrt()
}

/// Returns the quantile of the standard normal.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    // Half of what lies within z is between the middle and z; 2^20 steps are as good as none.
    let inside = 2.0 * (p - 0.5).abs();
    let z = 12.0 * bisect(|share| covered(1 << 20, (share * 12.0 * f64::from(1 << 20)) as u64) < inside);
    if p < 0.5 { -z } else { z }
}

/// Returns the correlation of two equally long series with mean 0, in standard errors of independent ones.
pub(crate) fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    let square = |series: &[f64]| series.iter().take(n).map(|value| value * value).sum::<f64>();
    product / (square(a) * square(b)).sqrt() * (n as f64).sqrt()
}

#[test]
fn bounds_agree_with_tables() {
    let near = |is: f64, should: f64| assert!((is / should - 1.0).abs() < 1e-3, "{is} for {should}");
    // Exact intervals of R's `binom.test` at 95 %.
    near(at_least(7, 20, 0.025), 0.153909);
    near(at_most(7, 20, 0.025), 0.592189);
    near(at_least(1, 1_000, 0.025), 2.5317e-5);
    // No event in n draws: 1 - alpha^(1/n).
    near(at_most(0, 1_000, 5e-7), 1.0 - 5e-7_f64.powf(1e-3));
    near(at_least(1_000, 1_000, 5e-7), 5e-7_f64.powf(1e-3));
    near(covered(1_000, 1_960), 0.95012);
    near(covered(100_000, 195_996), 0.95);
    near(covered(100_000, 257_583), 0.99);
    near(normal_quantile(0.975), 1.95996);
    near(normal_quantile(1e-6), -4.7534);
    near(covered(1, 1), 0.39894 + 2.0 * 0.24197);
}
