//! The only place that reads a clock. Everything below takes `now` as an argument.

use parking_lot::Mutex;
use policy::time::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of the current instant: the system's clock, or one that a test moves by hand.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    manual: Option<Arc<Mutex<Timestamp>>>,
}

impl Clock {
    /// Follows the system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// Stands still at `start` until it is moved.
    pub fn manual(start: Timestamp) -> Self {
        Self { manual: Some(Arc::new(Mutex::new(start))) }
    }

    /// Moves a manual clock forward; does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.manual {
            let mut now = manual.lock();
            now.0 = now.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX));
        }
    }

    /// Returns the current instant.
    pub fn now(&self) -> Timestamp {
        match &self.manual {
            Some(manual) => *manual.lock(),
            None => wall(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one home of the wall clock")]
fn wall() -> Timestamp {
    // A clock set before 1970 reads as 1970: every token and consent is then not yet valid, which is the safe side.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Measures how long something takes. Durations only: it says nothing about the date.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    #[expect(clippy::disallowed_methods, reason = "the one home of the monotonic clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
