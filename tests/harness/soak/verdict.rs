//! Whether what was measured is flat.

use super::measure::{Sample, mib};

/// The growth of memory in ten minutes that still counts as flat, of its median.
const GROWTH: f64 = 0.02;
/// Shorter runs say nothing of memory: they end before the first epochs, rotations and answers of a kind have come round.
const JUDGED_SECONDS: u64 = 600;
/// How many times the live data the data folder may take.
const DISK: f64 = 2.0;

/// One thing that must hold.
#[derive(Debug)]
pub struct Finding {
    /// In words, with the figures.
    pub text: String,
    /// Whether it holds.
    pub holds: bool,
}

/// Judges memory and disk. What was measured before all people had come, or in the first fifth, does not count.
pub fn judge(samples: &[Sample]) -> Vec<Finding> {
    let end = samples.last().map_or(0, |sample| sample.seconds);
    let settled: Vec<&Sample> = samples.iter().filter(|sample| sample.full && sample.seconds >= end / 5).collect();
    vec![memory(&settled, end), disk(&settled)]
}

fn memory(settled: &[&Sample], end: u64) -> Finding {
    let (first, second) = settled.split_at(settled.len() / 2);
    let most = |half: &[&Sample]| half.iter().map(|sample| sample.resident).max().unwrap_or(0);
    let median = median(&second.iter().map(|sample| real(sample.resident)).collect::<Vec<_>>());
    let growth = slope(second) * 600.0 / median.max(1.0);
    // Peaks that grow no faster than that are a plateau, however the samples between them lie.
    let allowed = 1.0 + GROWTH * real(end) * 0.4 / 600.0;
    let plateau = real(most(second)) <= real(most(first)) * allowed;
    let judged = end >= JUDGED_SECONDS;
    let text = format!(
        "memory: {:+.2} % of its median in ten minutes of the second half (at most {:.0} %); {} MiB at most in the first \
         half, {} MiB in the second{}",
        growth * 100.0,
        GROWTH * 100.0,
        mib(most(first)),
        mib(most(second)),
        if judged { "" } else { "; the run is too short to judge it" },
    );
    Finding { text, holds: !judged || (!second.is_empty() && (growth < GROWTH || plateau)) }
}

fn disk(settled: &[&Sample]) -> Finding {
    let worst = settled.iter().max_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    let Some(worst) = worst else {
        return Finding { text: "disk: never all people had come".to_owned(), holds: false };
    };
    let text = format!(
        "disk: {} MiB for {} MiB of live data at the worst, {:.2} times (at most {DISK:.0}); backup {} MiB at most",
        mib(worst.data.all),
        mib(worst.live),
        worst.ratio(),
        mib(settled.iter().map(|sample| sample.backup).max().unwrap_or(0)),
    );
    Finding { text, holds: worst.ratio() <= DISK }
}

/// Bytes of memory a second: the median of the slopes between all pairs, which single peaks do not move (Theil and Sen).
fn slope(samples: &[&Sample]) -> f64 {
    let pairs = samples.iter().enumerate().flat_map(|(at, one)| samples.iter().skip(at + 1).map(move |two| (one, two)));
    let slopes: Vec<f64> = pairs
        .filter(|(one, two)| two.seconds > one.seconds)
        .map(|(one, two)| (real(two.resident) - real(one.resident)) / real(two.seconds - one.seconds))
        .collect();
    median(&slopes)
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "bytes and seconds, for a ratio")]
fn real(whole: u64) -> f64 {
    whole as f64
}

#[cfg(test)]
mod tests {
    use super::super::measure::Folder;
    use super::*;

    fn run(seconds: u64, memory: impl Fn(u64) -> u64, disk: u64) -> Vec<Sample> {
        let data = Folder { all: disk, ..Folder::default() };
        let sample = |seconds| Sample { seconds, full: true, resident: memory(seconds), data, live: 100, backup: 0 };
        (0..=seconds / 10).map(|tens| sample(tens * 10)).collect()
    }

    fn holds(samples: &[Sample]) -> Vec<bool> {
        judge(samples).into_iter().map(|finding| finding.holds).collect()
    }

    #[test]
    fn a_leak_and_a_full_disk_are_told_from_peaks() {
        let flat = |seconds: u64| 1_000_000_000 + if seconds.is_multiple_of(70) { 300_000_000 } else { seconds % 3 };
        assert_eq!(holds(&run(900, flat, 200)), [true, true]);
        assert_eq!(holds(&run(900, |seconds| 1_000_000_000 + seconds * 50_000, 201)), [false, false]);
        assert_eq!(holds(&run(120, |seconds| 1_000_000_000 + seconds * 50_000, 200)), [true, true]);
        assert_eq!(holds(&[]), [true, false]);
    }
}
