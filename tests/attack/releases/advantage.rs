//! How much an attacker learns of whether one person is there, beside the most that the price allows.

use policy::privacy::NanoRho;

/// Standard normal quantile at 1 - 1e-6: alpha of every comparison here, one-sided.
const REACH: f64 = 4.754;

/// Part of its bound that the best attacker must reach: one that does not would prove nothing by failing.
const TEETH: f64 = 0.9;

/// How often each attack is tried in each of two worlds: `quick`, or many more in the long form.
pub fn trials(quick: usize) -> usize {
    if is_long() { quick * 20 } else { quick }
}

/// Whether the long form was asked for.
pub fn is_long() -> bool {
    std::env::var("SILHOUETTE_ATTACKS").is_ok_and(|form| form == "long")
}

/// The standard normal distribution function, within 1.5e-7 (Abramowitz and Stegun 7.1.26).
pub fn phi(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs() / std::f64::consts::SQRT_2);
    let powers = [0.254_829_592, -0.284_496_736, 1.421_413_741, -1.453_152_027, 1.061_405_429];
    let tail = powers.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t) * (-x * x / 2.0).exp() / 2.0;
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// The most that true-positive less false-positive rate can be for whoever sees all that `rho` bought: that of the best test of a
/// Gaussian of this loss.
pub fn bound(rho: NanoRho) -> f64 {
    2.0 * phi((rho.rho() / 2.0).sqrt()) - 1.0
}

/// What an attack concluded, once for each trial: above 0 it says that the person is there.
#[derive(Debug)]
pub struct Scores {
    pub with: Vec<f64>,
    pub without: Vec<f64>,
}

impl Scores {
    /// True-positive less false-positive rate.
    pub fn advantage(&self) -> f64 {
        rate(&self.with) - rate(&self.without)
    }

    /// What chance adds to or takes from an advantage, at alpha = 1e-6: of the larger of the variances measured and at the bound.
    fn error(&self, bound: f64) -> f64 {
        let variance = |rate: f64| rate * (1.0 - rate);
        let (n, m) = (self.with.len() as f64, self.without.len() as f64);
        let measured = variance(rate(&self.with)) / n + variance(rate(&self.without)) / m;
        let at_bound = variance(f64::midpoint(1.0, bound)) * (1.0 / n + 1.0 / m);
        REACH * measured.max(at_bound).sqrt()
    }

    /// Prints the advantage beside its bound, and checks that it is not above it.
    pub fn fail(&self, attack: &str, paid: NanoRho) {
        let (advantage, bound) = (self.advantage(), bound(paid));
        let (error, trials) = (self.error(bound), self.with.len());
        eprintln!("{attack}: advantage {advantage:.3}, at most {bound:.3} (N = {trials} a world, +-{error:.3})");
        assert!(advantage <= bound + error, "{attack} succeeds: {advantage} is above {bound} by more than {error}");
    }

    /// [`Scores::fail`], for the attacker who knows all but whether the person is there and weighs by likelihood: nearly the bound
    /// is reached, so that a broken mechanism would show.
    pub fn fail_at_the_bound(&self, attack: &str, paid: NanoRho) {
        self.fail(attack, paid);
        let (advantage, bound) = (self.advantage(), bound(paid));
        let least = TEETH * bound - self.error(bound);
        assert!(advantage >= least, "{attack} has no teeth: {advantage} is below {least}");
    }

    /// Checks that nothing was told at all.
    pub fn tell_nothing(&self, attack: &str) {
        let (advantage, error) = (self.advantage(), self.error(0.0));
        eprintln!("{attack}: advantage {advantage:.3}, at most 0 (N = {} a world, +-{error:.3})", self.with.len());
        assert!(advantage.abs() <= error, "{attack} succeeds: {advantage} is more than {error} from 0");
    }
}

fn rate(scores: &[f64]) -> f64 {
    scores.iter().filter(|score| **score > 0.0).count() as f64 / scores.len() as f64
}

#[test]
fn the_bound_is_that_of_the_best_test_of_a_gaussian() {
    let near = |value: f64, known: f64| assert!((value - known).abs() < 1e-6, "{value} for {known}");
    near(phi(0.0), 0.5);
    near(phi(1.0), 0.841_344_75);
    near(phi(-1.96), 0.024_997_9);
    // Distance 2 at sigma 1 is rho 2.
    near(bound(NanoRho(2_000_000_000)), 2.0 * 0.841_344_75 - 1.0);
    near(bound(NanoRho::ZERO), 0.0);
}
