//! What the tasks of a soak share: the people, who may work now, and what was done.

use super::people::People;
use crate::crash::load::Outcome;
use gateway::clock::{Clock, Stopwatch};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::RwLock;

/// Texts of errors that are kept.
const KEPT: usize = 20;

/// What was done since the last look.
#[derive(Debug, Default)]
pub struct Done {
    /// Calls that were answered, and rows, by what they are.
    pub counts: BTreeMap<&'static str, u64>,
    /// Milliseconds of calls, by what they are.
    pub millis: BTreeMap<&'static str, Vec<f64>>,
}

/// What went wrong, or was refused, since the beginning.
#[derive(Debug, Default)]
pub struct Amiss {
    /// Refusals that were asked for or must be expected, by reason.
    pub refused: BTreeMap<String, u64>,
    /// How many errors there were.
    pub errors: u64,
    /// The first of them.
    pub first: Vec<String>,
    told: usize,
}

/// What the tasks share.
#[derive(Debug)]
pub struct World {
    people: Mutex<People>,
    done: Mutex<Done>,
    /// The same counts since the beginning.
    totals: Mutex<BTreeMap<&'static str, u64>>,
    amiss: Mutex<Amiss>,
    /// Held for reading by whoever works, for writing by whoever compares.
    pub quiet: RwLock<()>,
    /// The time.
    pub clock: Clock,
    /// Since the beginning.
    pub since: Stopwatch,
    stopped: AtomicBool,
}

impl World {
    /// Begins.
    pub fn new(people: People) -> Self {
        Self {
            people: Mutex::new(people),
            done: Mutex::default(),
            totals: Mutex::default(),
            amiss: Mutex::default(),
            quiet: RwLock::new(()),
            clock: Clock::system(),
            since: Stopwatch::start(),
            stopped: AtomicBool::new(false),
        }
    }

    /// Returns the people.
    pub fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock().expect("no task panics while it holds them")
    }

    /// Returns what went wrong.
    pub fn amiss(&self) -> MutexGuard<'_, Amiss> {
        self.amiss.lock().expect("no task panics while it holds it")
    }

    /// Takes what was done since the last look.
    pub fn take_done(&self) -> Done {
        let done = std::mem::take(&mut *self.done.lock().expect("no task panics while it holds it"));
        let mut totals = self.totals.lock().expect("no task panics while it holds it");
        for (what, count) in &done.counts {
            *totals.entry(what).or_default() += count;
        }
        done
    }

    /// Says what was done since the beginning.
    pub fn totals(&self) -> String {
        self.take_done();
        let totals = self.totals.lock().expect("no task panics while it holds it");
        totals.iter().map(|(what, count)| format!("{what} {count}")).collect::<Vec<_>>().join(", ")
    }

    /// Says whether the tasks should end.
    pub fn is_over(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Lets the tasks end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Counts what was done.
    pub fn count(&self, what: &'static str, more: u64) {
        *self.done.lock().expect("no task panics while it holds it").counts.entry(what).or_default() += more;
    }

    /// Notes an error.
    pub fn error(&self, text: String) {
        let mut amiss = self.amiss();
        amiss.errors += 1;
        if amiss.first.len() < KEPT {
            amiss.first.push(format!("{} s: {text}", self.since.elapsed().as_secs()));
        }
    }

    /// Returns the errors since the last look.
    pub fn untold(&self) -> Vec<String> {
        let mut amiss = self.amiss();
        let (told, all) = (amiss.told, amiss.first.len());
        amiss.told = all;
        amiss.first.iter().skip(told).cloned().collect()
    }

    /// Takes the outcome of a call that took so long: an answer is counted, a refusal for one of some reasons too, and
    /// anything else is an error.
    pub fn settle<T>(&self, what: &'static str, began: Stopwatch, outcome: Outcome<T>, expected: &[&str]) -> Option<T> {
        match outcome {
            Outcome::Answer(answer) => {
                let mut done = self.done.lock().expect("no task panics while it holds it");
                *done.counts.entry(what).or_default() += 1;
                done.millis.entry(what).or_default().push(millis(began.elapsed()));
                return Some(answer);
            }
            Outcome::Refused(reason) if expected.iter().any(|expected| reason.starts_with(expected)) => {
                let reason = reason.split(':').next().unwrap_or_default();
                *self.amiss().refused.entry(format!("{what} {reason}")).or_default() += 1;
            }
            Outcome::Refused(reason) => self.error(format!("{what} was refused: {reason}")),
            Outcome::Broken => self.error(format!("{what}: the connection broke")),
        }
        None
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
