//! Times of repeated runs, and memory.

use std::time::Instant;

/// Milliseconds of several runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    /// Takes times over, in milliseconds.
    pub(crate) fn new(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    /// Returns the median; not a number for no runs.
    pub(crate) fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Returns the time that one run in a hundred exceeds.
    pub(crate) fn p99(&self) -> f64 {
        self.0.get(self.0.len() * 99 / 100).copied().unwrap_or(f64::NAN)
    }

    /// Returns the least.
    pub(crate) fn min(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "median {:8.2} ms, minimum {:8.2} ms of {} runs", self.median(), self.min(), self.0.len())
    }
}

/// An instant from which time is taken.
pub(crate) struct Since(Instant);

impl Since {
    #[expect(clippy::disallowed_methods, reason = "a stopwatch reads the clock")]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn millis(&self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1_000.0
    }
}

/// Runs something and returns its result and how long it took, in milliseconds.
pub(crate) fn time<T>(run: impl FnOnce() -> T) -> (T, f64) {
    let start = Since::now();
    let result = run();
    (result, start.millis())
}

/// Returns this process's resident memory and its peak, in MiB, as Linux reports them.
pub(crate) fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()
    };
    (field("VmRSS:").unwrap_or(0) / 1_024, field("VmHWM:").unwrap_or(0) / 1_024)
}

/// Returns the processor time this process has used so far, in milliseconds; Linux counts it in hundredths of a second.
/// Unlike the time on the wall it grows little when other work has the processors.
pub(crate) fn processor() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in brackets, may hold blanks; user and system time are the 12th and 13th fields after it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}

/// Returns the bytes that this process has written to files and sockets so far, as Linux counts them.
pub(crate) fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    io.lines().find_map(|line| line.strip_prefix("wchar: ")?.trim().parse().ok()).unwrap_or_default()
}

/// Returns how many threads wanted a processor over the last 1, 5 and 15 minutes, as Linux counts them.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
