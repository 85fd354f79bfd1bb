//! Attacks on when answers leave. Nothing here waits for a clock: simulated latencies go through the public deadline grid, and
//! what leaves is compared by Welch's t, as dudect does (Reparaz, Balasch and Verbauwhede 2017). The long form measures real scans
//! and prints the same statistic, without a verdict: a busy machine is not a leak.

use super::advantage::is_long;
use super::neighbors::{Asked, World, crowd};
use gateway::clock::Stopwatch;
use gateway::pace::{Kind, Pace, STEPS_MILLIS};
use harness::naive::random::Dice;
use policy::id::DatasetId;
use policy::privacy::NanoRho;
use std::time::Duration;

/// Two-sided normal quantile at 1e-6, and about dudect's 4.5.
const THRESHOLD: f64 = 4.9;
/// Latencies of each kind.
const N: usize = 20_000;

/// Welch's t of two samples.
fn welch(a: &[f64], b: &[f64]) -> f64 {
    let moments = |sample: &[f64]| {
        let n = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / n;
        (mean, sample.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0) / n)
    };
    let ((mean_a, error_a), (mean_b, error_b)) = (moments(a), moments(b));
    let error = (error_a + error_b).sqrt();
    match mean_a - mean_b {
        0.0 => 0.0,
        difference => difference / error,
    }
}

/// Latencies as of a scan: 3 ms, and up to 2 ms more by chance, in the mean of three throws; all `longer` by so much.
fn latencies(seed: u64, longer: f64) -> Vec<Duration> {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let throw = |dice: &mut Dice| (0..3).map(|_| dice.below(2_000)).sum::<usize>() as f64 / 3.0;
    (0..N).map(|_| Duration::from_secs_f64((3_000.0 + throw(&mut dice)) * longer / 1e6)).collect()
}

fn seconds(times: &[Duration]) -> Vec<f64> {
    times.iter().map(Duration::as_secs_f64).collect()
}

#[test]
fn the_statistic_finds_a_leak_of_one_per_cent() {
    let sound = welch(&seconds(&latencies(1, 1.0)), &seconds(&latencies(2, 1.0)));
    let leaky = welch(&seconds(&latencies(1, 1.01)), &seconds(&latencies(2, 1.0)));
    eprintln!(
        "timing, simulated: |t| {:.1} without a leak, {:.1} with 1 %; from {THRESHOLD} on it is one (N = {N})",
        sound.abs(),
        leaky.abs()
    );
    assert!(sound.abs() < THRESHOLD && leaky.abs() > THRESHOLD);
    assert!(welch(&[25.0; 9], &[25.0; 9]).abs() < THRESHOLD && welch(&[26.0; 9], &[25.0; 9]) > THRESHOLD);
}

#[test]
fn answers_leave_at_one_instant_whatever_matched() {
    let (pace, town) = (Pace::default(), DatasetId::new("town").unwrap());
    let leave = |elapsed: &Duration| *elapsed + pace.wait(&town, Kind::Size, *elapsed);
    // A leak of half the time, which is there before the grid and gone after it.
    let (full, empty) = (latencies(1, 1.5), latencies(2, 1.0));
    assert!(welch(&seconds(&full), &seconds(&empty)) > THRESHOLD);
    let [left_full, left_empty] = [&full, &empty].map(|times| times.iter().map(leave).collect::<Vec<_>>());
    let t = welch(&seconds(&left_full), &seconds(&left_empty));
    eprintln!(
        "timing, at the deadline grid: |t| {:.1}, at most {THRESHOLD} (N = {N}), 50 % planted before it",
        t.abs()
    );
    let [first, ..] = STEPS_MILLIS;
    let at_the_deadline = |left: &Duration| *left == Duration::from_millis(first.into());
    assert!(left_full.iter().chain(&left_empty).all(at_the_deadline), "one instant for all");
    assert_eq!(pace.overruns(), 0);
}

#[test]
fn scans_of_full_and_empty_segments_measured() {
    // In the long form: distinct plans, alternately of a segment that everybody is in and of one that nobody is in.
    if !is_long() {
        return;
    }
    let world = World::test();
    world.ingest(&crowd(20_000));
    world.close_epoch(1);
    let mut times = [Vec::new(), Vec::new()];
    for number in 0..4_000_u64 {
        let (which, text) = if number % 2 == 0 { (0, "children >= 0") } else { (1, "children >= 20") };
        let since = Stopwatch::start();
        world.ask(&Asked::size(text, NanoRho(1_000_000_000 + number)));
        times[which].push(since.elapsed());
    }
    let [full, empty] = times.each_ref().map(|times| seconds(times));
    let median = |times: &[f64]| {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2] * 1e3
    };
    eprintln!(
        "timing, measured before the grid: full {:.3} ms, empty {:.3} ms, |t| {:.1} (N = {})",
        median(&full),
        median(&empty),
        welch(&full, &empty).abs(),
        full.len()
    );
}
