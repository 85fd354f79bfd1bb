//! Tables whose cells are weighed after a pilot: what they tell of one person, and whether each cell's half-width holds.
//!
//! Weights differ from draw to draw, and with them what is drawn around and how far one person moves it; so both are computed
//! here from the weights that an answer states, in floating point, by the definition and not by the scan.

use crate::bounds::rho_at_least;
use crate::kinds::{by_field, events};
use crate::short_or_long;
use crate::twins::{Asked, HEAVY, PLAIN, Pair, SEGMENTATION, Twins, categories};
use policy::segment::Window;
use vault::release::Answer;
use vault::release::Kind;

const BOUND: f64 = 12.0;
/// As in the audit of the other kinds.
const LOUD: u64 = 72_000_000_000;
const PRICE: u64 = 20_000_000;
/// What of the price is left after the pilot.
const LEFT: f64 = 31.0 / 32.0;
/// Standard errors: two-sided alpha = 7e-6.
const REACH: f64 = 4.5;

const ASKED: Asked = Asked {
    segment: "true",
    kind: |schema| Kind::Table {
        measures: vec![events(BOUND as u64)],
        by: by_field(schema, "order.category"),
        window: Window::Ever,
        weighed: true,
    },
};

/// What one person adds to each cell of an answer, in events.
fn added(person: &[f64], weights: &[f64]) -> Vec<f64> {
    let weighed: Vec<f64> = person.iter().zip(weights).map(|(events, weight)| events * weight).collect();
    let norm = weighed.iter().map(|entry| entry * entry).sum::<f64>().sqrt();
    let scale = if norm > BOUND { BOUND / norm } else { 1.0 };
    weighed.iter().zip(weights).map(|(entry, weight)| entry * scale / weight).collect()
}

/// What an answer is drawn around.
fn around(name: &str, answer: &Answer) -> Vec<f64> {
    let weights = weights(answer);
    let mut sum = vec![0.0; weights.len()];
    for person in categories(name) {
        sum.iter_mut().zip(added(&person, &weights)).for_each(|(sum, added)| *sum += added);
    }
    sum
}

fn weights(answer: &Answer) -> Vec<f64> {
    answer.tables[0].weights.iter().map(|weight| f64::from(*weight) / 64.0).collect()
}

/// The draws and the standard deviations of their noise, in events.
fn drawn(answer: &Answer) -> (Vec<f64>, Vec<f64>) {
    let table = &answer.tables[0];
    let sigma = |cell| table.noise_of(cell, answer.noise()).sigma_1024 as f64 / 1_024.0;
    let cells = table.cells.iter().map(|cell| cell.noised as f64 / 1_024.0).collect();
    (cells, (0..table.cells.len()).map(sigma).collect())
}

/// Where a draw lies on the way from one side to the other, and how long that is, in standard deviations of its noise.
fn place(answer: &Answer, (with, without): Pair) -> (f64, f64) {
    let (with, without) = (around(with, answer), around(without, answer));
    let (cells, sigmas) = drawn(answer);
    let gaps: Vec<f64> = with.iter().zip(&without).zip(&sigmas).map(|((a, b), sigma)| (a - b) / sigma).collect();
    let norm = gaps.iter().map(|gap| gap * gap).sum::<f64>().sqrt();
    let along = cells.iter().zip(&without).zip(&sigmas).zip(&gaps);
    (along.map(|(((cell, from), sigma), gap)| (cell - from) / sigma * gap / norm).sum(), norm)
}

#[test]
#[expect(clippy::print_stdout, reason = "what an audit found is for people")]
fn a_weighed_table_tells_no_more_of_one_person_than_was_charged_for() {
    let (twins, n) = (Twins::new(), short_or_long(300, 20_000));
    for (pair, first) in [(HEAVY, LOUD), (PLAIN, LOUD + n as u64)] {
        let places = |name| {
            let answers = twins.answers(name, ASKED, SEGMENTATION, first, n);
            answers.iter().map(|answer| place(answer, pair)).collect::<Vec<_>>()
        };
        let (with, without) = (places(pair.0), places(pair.1));
        let declared = (2.0 * LEFT * 1e-9 * LOUD as f64).sqrt();
        for (_, norm) in with.iter().chain(&without) {
            assert!(*norm <= declared * 1.000_1, "one person moves it by {norm} sigma of {declared}");
            assert!(pair == PLAIN || *norm > 0.95 * declared, "the bound is not tried: {norm} of {declared}");
        }
        let only = |places: &[(f64, f64)]| places.iter().map(|(place, _)| *place).collect::<Vec<_>>();
        let (found, rho) = (rho_at_least(&only(&with), &only(&without)), 1e-9 * LOUD as f64);
        println!(
            "weighed table ({} against {}): rho is at least {found:.3} of {rho:.3}, N = {n} + {n}",
            pair.0, pair.1
        );
        assert!(found <= rho, "rho is at least {found} and {rho} was charged");
        assert!(pair == PLAIN || found > 0.6 * rho, "the audit sees nothing: {found} of {rho}");
    }
}

#[test]
fn half_widths_of_weighed_cells_hold_as_often_as_they_say() {
    let twins = Twins::new();
    let (mut held, mut all) = (0.0, 0.0);
    for answer in twins.answers("heavy", ASKED, SEGMENTATION, PRICE, short_or_long(400, 20_000)) {
        let table = &answer.tables[0];
        let weights = weights(&answer);
        assert_eq!((weights.len(), answer.version), (table.cells.len(), 3));
        let around = around("heavy", &answer);
        for (cell, exact) in around.into_iter().enumerate() {
            let half = table.noise_of(cell, answer.noise()).half_width_1024 as f64;
            let off = (table.cells[cell].noised as f64 - exact * 1_024.0).abs();
            (held, all) = (held + f64::from(u8::from(off <= half)), all + 1.0);
        }
        // What was said before: the root of the mean of the variances.
        let mean = weights.iter().map(|weight| weight.powi(-2)).sum::<f64>() / weights.len() as f64;
        assert!((0.9..=1.0).contains(&mean), "{weights:?}");
    }
    let off = (held / all - 0.95) / (0.95_f64 * 0.05 / all).sqrt();
    assert!(off.abs() < REACH, "{held} of {all} held, {off} standard errors from 0.95");
}
