//! Whether stated intervals hold as often as they say: 95 draws of 100, of the noise alone.

use crate::bounds::{ABOVE, covered};
use crate::kinds::CASES;
use crate::short_or_long;
use crate::twins::{Asked, SEGMENTATION, Twins};
use vault::release::display::{consistent, covers_everyone, half, reached, shared_total, shown};
use vault::release::{Answer, TableNoise};

/// Standard deviations of the noise are some people at this price, as in real questions.
const PRICE: u64 = 20_000_000;
/// How far a simulated share may lie from the exact one, in standard errors: two-sided alpha = 7e-6 a kind.
const REACH: f64 = 4.5;

/// How many draws of a cell make a share: as many of each kind, whatever number of cells it has.
fn releases(cells: usize) -> usize {
    short_or_long(1_000, 100_000).div_ceil(cells)
}

#[test]
fn half_widths_of_every_kind_hold_as_often_as_they_say() {
    let twins = Twins::new();
    for case in CASES {
        let exact = twins.exact("heavy", case.asked, SEGMENTATION);
        let drawn = twins.draws("heavy", case.asked, SEGMENTATION, PRICE, releases(exact.len()));
        let noise = drawn.noise();
        let probability = |noise: &TableNoise| covered(noise.sigma_1024, noise.half_width_1024);
        // Standard deviations are stated rounded up by less than one 1/1024, which takes less than 0.23 of the relative
        // difference, `2 * 1.96 phi(1.96)`, from what their half-widths seem to cover.
        let is_stated = |noise: &TableNoise| {
            let least = 0.95 - 0.23 / noise.sigma_1024 as f64;
            (least..0.950_3).contains(&probability(noise))
        };
        assert!(noise.iter().all(is_stated), "{}: {noise:?}", case.name);
        let held = |cells: &Vec<i64>| {
            let cells = cells.iter().zip(&exact).zip(&noise);
            cells
                .filter(|((cell, exact), noise)| (**cell as f64 - *exact).abs() <= noise.half_width_1024 as f64)
                .count()
        };
        let held: usize = drawn.cells.iter().map(held).sum();
        // The same for all cells of an answer but for the fourth digit.
        let (n, probability) = ((drawn.cells.len() * exact.len()) as f64, probability(&noise[0]));
        let off = (held as f64 / n - probability) / (probability * (1.0 - probability) / n).sqrt();
        assert!(off.abs() < REACH, "{}: {held} of {n} held, {off} standard errors from {probability}", case.name);
    }
}

/// The true people of each cell of each table, as the answer's own shape has them.
fn truth(exact: &[f64], answer: &Answer) -> Vec<Vec<f64>> {
    let mut rest = exact.iter().map(|value| value / 1_024.0);
    answer.tables.iter().map(|table| rest.by_ref().take(table.cells.len()).collect()).collect()
}

#[test]
fn what_people_are_shown_holds_at_least_as_often() {
    // Cells of a portrait are moved to one total, which narrows their noise and not their intervals, and ends are rounded
    // outward: so 95 of 100 is a lower bound here, one-sided at alpha = 1e-6.
    let twins = Twins::new();
    let portrait = CASES.iter().find(|case| case.name.starts_with("portrait")).unwrap();
    let asked = Asked { segment: "true", ..portrait.asked };
    let exact = twins.exact("heavy", asked, SEGMENTATION);
    let (mut cells, mut held, mut totals, mut held_totals) = (0.0, 0.0, 0.0, 0.0);
    for nth in 0..releases(1).div_ceil(3) as u64 {
        let answer = twins.ask("heavy", asked, SEGMENTATION, PRICE + nth);
        let total = shared_total(&answer);
        for (table, truth) in answer.tables.iter().zip(truth(&exact, &answer)) {
            for (cell, truth) in shown(&answer, table, total).iter().zip(truth) {
                // Values are known to some 1/1024.
                let held_it = cell.low as f64 <= truth + 0.005 && truth - 0.005 <= cell.high as f64;
                (cells, held) = (cells + 1.0, held + f64::from(u8::from(held_it)));
                assert!(cell.low <= cell.people && cell.people <= cell.high, "{cell:?}");
            }
        }
        // Four people in the dataset agreed: three neighbors and the heavy one.
        let total = total.unwrap();
        let held_it = (total.value as f64 / 1_024.0 - 4.0).abs() <= 1.96 * total.sigma as f64 / 1_024.0;
        (totals, held_totals) = (totals + 1.0, held_totals + f64::from(u8::from(held_it)));
    }
    for (what, held, n) in [("cells", held, cells), ("totals", held_totals, totals)] {
        // Cells of one table share a shift, so they are not independent; ten are counted as one.
        let effective: f64 = if what == "cells" { n / 10.0 } else { n };
        let low = 0.95 - ABOVE * (0.95 * 0.05 / effective).sqrt();
        assert!(held / n >= low, "{what}: {held} of {n} held, and {low} is the least share");
    }
}

#[test]
fn answers_from_a_synopsis_hold_as_often_as_they_say() {
    // Sums of cells, moved to the total of all tables; two-sided at alpha = 7e-6 a segment, N months.
    let twins = Twins::with_monthly();
    let truth = [("true", 3.0), ("age_band == \"old\"", 1.0), ("known(age_band)", 2.0), ("!newsletter", 1.0)];
    let segments = truth.map(|(segment, _)| segment);
    let n = short_or_long(300, 3_000);
    let mut held = [0_f64; 4];
    for nth in 1..=n as i64 {
        for ((answer, (_, truth)), held) in twins.sizes_of_month(nth, &segments).iter().zip(truth).zip(&mut held) {
            let off = (answer.tables[0].cells[0].noised as f64 - truth * 1_024.0).abs();
            *held += f64::from(u8::from(off <= answer.half_width_1024 as f64));
        }
    }
    for (segment, held) in segments.iter().zip(held) {
        let off = (held / n as f64 - 0.95) / (0.95 * 0.05 / n as f64).sqrt();
        assert!(off.abs() < REACH, "{segment}: {held} of {n} held, {off} standard errors");
    }
}

#[test]
fn what_a_whole_portrait_shows_holds_at_least_as_often() {
    // Members and the rest are fitted to a total each, with nothing below nothing: nearer to the truth, under the same
    // intervals. One-sided at alpha = 1e-6; cells of one half of a table are counted as one.
    let twins = Twins::new();
    let whole = CASES.iter().find(|case| case.name.starts_with("whole portrait")).unwrap();
    let exact = twins.exact("heavy", whole.asked, SEGMENTATION);
    let (mut cells, mut held, mut halves) = (0.0, 0.0, 0.0_f64);
    for nth in 0..releases(1).div_ceil(3) as u64 {
        let answer = twins.ask("heavy", whole.asked, SEGMENTATION, PRICE + nth);
        let fitted = consistent(&answer);
        let truths = truth(&exact, &answer);
        for (table, truth) in fitted.tables.iter().zip(truths).filter(|(table, _)| covers_everyone(table)) {
            halves += 2.0;
            for (cell, truth) in table.cells.iter().zip(truth) {
                let off = (cell.noised as f64 - 1_024.0 * truth).abs();
                assert!(cell.noised >= 0, "nobody is fewer than nobody");
                (cells, held) = (cells + 1.0, held + f64::from(u8::from(off <= answer.half_width_1024 as f64 + 5.0)));
            }
        }
        for member in [0, 1] {
            let half = half(&fitted, member);
            let total = shared_total(&half).unwrap().value.max(0);
            for table in half.tables.iter().filter(|table| covers_everyone(table)) {
                let sum: i64 = table.cells.iter().map(|cell| cell.noised).sum();
                assert!((sum - total).unsigned_abs() <= 16, "{sum} in a table, {total} in all");
            }
        }
    }
    let low = 0.95 - ABOVE * (0.95 * 0.05 / halves).sqrt();
    assert!(held / cells >= low, "{held} of {cells} held, and {low} is the least share");
}

#[test]
fn steps_of_a_funnel_hold_as_often_as_they_say() {
    // Sums of cells, each with a standard deviation of its own, rounded up; two-sided at alpha = 7e-6 a step.
    let twins = Twins::new();
    let funnel = CASES.iter().find(|case| case.name.starts_with("funnel")).unwrap();
    let exact = twins.exact("heavy", funnel.asked, SEGMENTATION);
    let truth: Vec<f64> = (0..exact.len()).map(|step| exact[step..].iter().sum()).collect();
    let n = releases(2);
    let mut held = vec![0_f64; exact.len()];
    for nth in 0..n as u64 {
        let answer = twins.ask("heavy", funnel.asked, SEGMENTATION, PRICE + nth);
        for ((step, truth), held) in reached(&answer, &answer.tables[0]).iter().zip(&truth).zip(&mut held) {
            *held += f64::from(u8::from((step.value as f64 - truth).abs() <= 1.96 * step.sigma as f64));
        }
    }
    for (step, held) in held.iter().enumerate() {
        let off = (held / n as f64 - 0.95) / (0.95 * 0.05 / n as f64).sqrt();
        assert!(off.abs() < REACH, "step {step}: {held} of {n} held, {off} standard errors");
    }
}
