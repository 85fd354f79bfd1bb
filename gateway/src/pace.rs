//! When answers leave. The time an answer took depends on data, so it is hidden behind a grid: an answer leaves at its
//! class's public deadline, counted from the call's arrival, and never before.
//!
//! A class is a dataset and a kind of question. It begins at the first step of [`STEPS_MILLIS`]; a call that takes longer
//! leaves at the next step that it can meet, is counted, and moves its class there until the dataset's next epoch. What a
//! caller can see is thus how many steps a class has moved since the last epoch closed, which tells the dataset's size
//! within a factor of two to three and nothing about who matched.

use crate::clock::Stopwatch;
use parking_lot::Mutex;
use policy::id::DatasetId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The grid, in milliseconds after arrival. Beyond it answers leave at multiples of the last step.
pub const STEPS_MILLIS: [u32; 11] = [25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];

/// What kind of question, as far as time goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One number.
    Size,
    /// One table.
    Breakdown,
    /// One table of whatever the question names.
    Table,
    /// Many tables.
    Portrait,
    /// Many tables, some of them over events.
    Profile,
    /// Rows for a partner.
    Audience,
}

/// The deadlines in force, of all classes.
#[derive(Debug, Default)]
pub struct Pace {
    classes: Mutex<BTreeMap<(DatasetId, Kind), u32>>,
    overruns: AtomicU64,
}

impl Pace {
    /// Returns a class's deadline in milliseconds.
    pub fn deadline_millis(&self, dataset: &DatasetId, kind: Kind) -> u32 {
        let [first, ..] = STEPS_MILLIS;
        self.classes.lock().get(&(dataset.clone(), kind)).copied().unwrap_or(first)
    }

    /// Begins a dataset's classes anew, as each close of an epoch does: one slow hour does not slow the next day.
    pub fn begin_epoch(&self, dataset: &DatasetId) {
        self.classes.lock().retain(|(of, _), _| of != dataset);
    }

    /// Returns how many answers missed their class's deadline.
    pub fn overruns(&self) -> u64 {
        self.overruns.load(Ordering::Relaxed)
    }

    /// Returns how much longer an answer that took `elapsed` must wait.
    pub fn wait(&self, dataset: &DatasetId, kind: Kind, elapsed: Duration) -> Duration {
        let deadline = Duration::from_millis(self.deadline_millis(dataset, kind).into());
        if elapsed <= deadline {
            return deadline.saturating_sub(elapsed);
        }
        self.overruns.fetch_add(1, Ordering::Relaxed);
        let step = next_step(elapsed);
        self.classes.lock().insert((dataset.clone(), kind), step);
        Duration::from_millis(step.into()).saturating_sub(elapsed)
    }

    /// Waits until an answer may leave.
    pub async fn leave(&self, dataset: &DatasetId, kind: Kind, since: Stopwatch) {
        tokio::time::sleep(self.wait(dataset, kind, since.elapsed())).await;
    }
}

fn next_step(elapsed: Duration) -> u32 {
    let millis = u32::try_from(elapsed.as_millis()).unwrap_or(u32::MAX).saturating_add(1);
    let [.., last] = STEPS_MILLIS;
    STEPS_MILLIS.into_iter().find(|step| *step >= millis).unwrap_or_else(|| millis.div_ceil(last).saturating_mul(last))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn answers_leave_on_the_grid_and_a_slow_class_moves_until_its_next_epoch() {
        let pace = Pace::default();
        let shop = DatasetId::new("shop").unwrap();
        let millis = Duration::from_millis;
        assert_eq!(pace.wait(&shop, Kind::Size, millis(3)), millis(22));
        assert_eq!(pace.wait(&shop, Kind::Size, millis(60)), millis(40));
        assert_eq!(pace.wait(&shop, Kind::Size, millis(3)), millis(97));
        assert_eq!(pace.wait(&shop, Kind::Portrait, millis(3)), millis(22));
        assert_eq!(pace.overruns(), 1);
        assert_eq!(pace.wait(&shop, Kind::Size, millis(70_000)), millis(50_000));
        pace.begin_epoch(&DatasetId::new("farm").unwrap());
        assert_eq!(pace.deadline_millis(&shop, Kind::Size), 120_000);
        pace.begin_epoch(&shop);
        assert_eq!(pace.deadline_millis(&shop, Kind::Size), 25);
    }
}
