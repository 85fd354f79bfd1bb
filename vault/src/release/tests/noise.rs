//! The noise as it is added to a plan's cells: its distribution, its independence, and how often half-widths hold.
//!
//! One release of 63,001 cells over nobody is so many draws. `SILHOUETTE_AUDIT=long` makes it 64 releases a scale, which is
//! above 4,000,000 draws. Every comparison is at alpha = 1e-6, so that one run in about 30,000 fails without a fault.

use super::*;
use std::collections::BTreeMap;

/// Standard deviations that are tested, in units; no price buys less than the first.
const SCALES: [u64; 4] = [2, 5, 40, 3_000];

/// Two-sided normal quantile at alpha = 1e-6.
const REACH: f64 = 4.892;
/// One-sided normal quantile at alpha = 1e-6.
const ABOVE: f64 = 4.753;

/// Cells of one thread's share; see [`super::super::draw`].
const SHARE: usize = 64;

fn releases() -> usize {
    if std::env::var("SILHOUETTE_AUDIT").is_ok_and(|form| form == "long") { 64 } else { 1 }
}

/// The cross of two attributes of 250 values each.
fn wide_schema() -> Schema {
    let values = (0..250).map(|value| format!("\"v{value}\"")).collect::<Vec<_>>().join(", ");
    let attribute = |name| {
        format!("[[attributes]]\nname = \"{name}\"\nclass = \"behavioral\"\ntype = \"enum\"\ndomain = [{values}]\n")
    };
    let head = SCHEMA.split("[[attributes]]").take(2).collect::<Vec<_>>().join("[[attributes]]");
    parse(&format!("{head}{}{}", attribute("left"), attribute("right"))).unwrap()
}

/// The least price of a standard deviation, where one person moves one cell.
fn price_of(sigma: u64) -> u64 {
    let unit = (UNIT * UNIT).unsigned_abs();
    (unit * 1_000_000_000).div_ceil(2 * (sigma - 1) * (sigma - 1))
}

fn wide_plan(schema: &Schema, sigma: u64) -> Plan {
    let by = ["left", "right"].map(|path| schema.resolve(path).unwrap()).to_vec();
    let (universe, segment) = (Segment::everyone(), Segment::everyone());
    let kind = Kind::Breakdown { by, window: Window::Ever };
    let dataset = DatasetId::new("coop").unwrap();
    let plan = plan(schema, &Question { dataset, universe, segment, kind, rho: NanoRho(price_of(sigma)) }).unwrap();
    assert_eq!(plan.sigma_1024(), sigma);
    plan
}

/// Releases over nobody, cell by cell.
fn draws(plan: &Plan, releases: usize) -> Vec<Vec<i64>> {
    (0..releases).map(|_| draw(plan, &Partial::zero(plan.cells())).unwrap().cells).collect()
}

/// Probabilities of a discrete Gaussian, out to 12 standard deviations.
struct Exact {
    sigma: f64,
    total: f64,
}

impl Exact {
    fn new(sigma: u64) -> Self {
        let mut exact = Self { sigma: sigma as f64, total: 1.0 };
        exact.total = exact.between(-12 * sigma as i64, 12 * sigma as i64);
        exact
    }

    fn of(&self, k: i64) -> f64 {
        (-0.5 * (k as f64 / self.sigma).powi(2)).exp() / self.total
    }

    fn between(&self, low: i64, high: i64) -> f64 {
        (low..=high).map(|k| self.of(k)).sum()
    }
}

/// Upper bound of chi-square at alpha = 1e-6: Wilson and Hilferty's approximation of the quantile.
fn chi_bound(freedom: f64) -> f64 {
    let part = 2.0 / (9.0 * freedom);
    freedom * (1.0 - part + ABOVE * part.sqrt()).powi(3)
}

#[test]
fn every_scale_that_can_be_bought_is_a_discrete_gaussian() {
    let schema = wide_schema();
    for sigma in SCALES {
        let plan = wide_plan(&schema, sigma);
        let drawn = draws(&plan, releases()).concat();
        let n = drawn.len() as f64;
        // Bins of an eighth of sigma, centered at 0, out to 3.5 sigma, and two tails.
        let width = (sigma as i64 / 8).max(1) | 1;
        let reach = 7 * sigma as i64 / (2 * width);
        let bin = |draw: i64| (draw + width / 2).div_euclid(width).clamp(-reach - 1, reach + 1);
        let mut observed: BTreeMap<i64, f64> = (-reach - 1..=reach + 1).map(|bin| (bin, 0.0)).collect();
        drawn.iter().for_each(|draw| *observed.get_mut(&bin(*draw)).unwrap() += 1.0);
        let exact = Exact::new(sigma);
        let far = 12 * sigma as i64;
        let expected = |bin: i64| match bin * width {
            _ if bin < -reach => exact.between(-far, -reach * width - width / 2 - 1),
            _ if bin > reach => exact.between(reach * width + width / 2 + 1, far),
            middle => exact.between(middle - width / 2, middle + width / 2),
        };
        let chi: f64 = observed
            .iter()
            .map(|(bin, seen)| (bin, seen, expected(*bin) * n))
            .map(|(_, o, e)| (o - e).powi(2) / e)
            .sum();
        let bound = chi_bound(observed.len() as f64 - 1.0);
        assert!(chi < bound, "sigma {sigma}: chi-square {chi} against {bound} over {n} draws");

        // Moments: those of the normal are the discrete Gaussian's to 1e-9 from sigma = 2 on.
        let moment = |power: i32| drawn.iter().map(|draw| (*draw as f64 / sigma as f64).powi(power)).sum::<f64>() / n;
        for (power, is, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let off = (moment(power) - is) / (variance / n).sqrt();
            assert!(off.abs() < REACH, "sigma {sigma}: moment {power} is off by {off} standard errors of {n} draws");
        }
    }
}

/// Correlation of two equally long series of noise, in standard errors.
fn correlation(a: &[i64], b: &[i64], sigma: u64) -> f64 {
    let n = a.len().min(b.len()) as f64;
    let product: f64 = a.iter().zip(b).map(|(a, b)| *a as f64 * *b as f64).sum();
    product / (sigma as f64).powi(2) / n.sqrt()
}

#[test]
fn noise_is_independent_from_cell_to_cell_and_from_release_to_release() {
    let (schema, sigma) = (wide_schema(), 40);
    let plan = wide_plan(&schema, sigma);
    let drawn = draws(&plan, releases() + 1);
    for pair in drawn.windows(2) {
        let off = correlation(&pair[0], &pair[1], sigma);
        assert!(off.abs() < REACH, "two releases of one question: {off} standard errors");
    }
    let all = drawn.concat();
    // Neighbors, and the same place of the next thread's share.
    for lag in [1, 2, SHARE - 1, SHARE, SHARE + 1, 251] {
        let off = correlation(&all, &all[lag..], sigma);
        assert!(off.abs() < REACH, "cells {lag} apart: {off} standard errors");
    }
    // Sums of whole blocks spread as sums of independent draws do, and no wider or narrower.
    for block in [SHARE, 250] {
        let sums = all.chunks_exact(block).map(|block| block.iter().sum::<i64>() as f64);
        let (n, squares) = (sums.len() as f64, sums.map(|sum| sum * sum).sum::<f64>());
        let ratio = squares / n / block as f64 / (sigma as f64).powi(2);
        let off = (ratio - 1.0) / (2.0 / n).sqrt();
        assert!(off.abs() < REACH, "sums of {block}: variance ratio {ratio}, {off} standard errors");
    }
}

#[test]
fn noise_does_not_depend_on_what_it_is_added_to() {
    let (schema, sigma) = (wide_schema(), 40);
    let plan = wide_plan(&schema, sigma);
    // Nobody, one person and many, by turns.
    let counts: Vec<i64> = (0..plan.cells()).map(|cell| [0, 1, 7_000][cell % 3] * UNIT).collect();
    let people: Partial = serde_json::from_value(serde_json::json!({ "cells": counts })).unwrap();
    let drawn = draw(&plan, &people).unwrap().cells;
    let exact = Exact::new(sigma);
    for group in 0..3 {
        let noise = drawn
            .iter()
            .zip(&counts)
            .skip(group)
            .step_by(3)
            .map(|(drawn, count)| (drawn - count) as f64 / sigma as f64);
        let n = noise.len() as f64;
        let none = exact.of(0) * n;
        let (sum, squares, zeros) = noise.fold((0.0_f64, 0.0_f64, 0.0_f64), |(sum, squares, zeros), noise| {
            (sum + noise, squares + noise * noise, zeros + f64::from(u8::from(noise == 0.0)))
        });
        for (what, off) in [
            ("mean", sum / n.sqrt()),
            ("spread", (squares / n - 1.0) / (2.0 / n).sqrt()),
            ("zeros", (zeros - none) / none.sqrt()),
        ] {
            // Counts of zeros are Poisson with mean 200, a little more skewed than the normal.
            assert!(off.abs() < REACH + 0.5, "{what} of the noise in group {group}: {off} standard errors");
        }
    }
}

#[test]
fn half_widths_hold_for_no_less_and_hardly_more_than_95_draws_of_100() {
    // Not simulated: summed over the distribution, for every scale up to 300 and some above.
    let scales = (2..=300).chain([1_000, 4_096, 22_899]);
    for sigma in scales {
        let plan = planned(Kind::Size, price_of(sigma)).unwrap();
        assert_eq!(plan.sigma_1024(), sigma);
        let (half, exact) = (plan.half_width_1024() as i64, Exact::new(sigma));
        let covers = exact.between(-half, half);
        assert!(covers >= 0.95, "sigma {sigma}: +-{half} hold with probability {covers}");
        let less = exact.between(-half + 2, half - 2);
        // 1.96 is a little above the quantile.
        assert!(less < 0.9501, "sigma {sigma}: +-{half} is two units too wide, {less}");
    }
}
