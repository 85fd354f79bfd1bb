//! The thread that follows: it alone touches the target, so a target that hangs holds up nothing but itself.
//!
//! Guarantees: whoever asks for a shipment waits for it for [`Patience`] at most. When that was in vain the target is *late*:
//! it is said, nobody waits for it any more, and whatever was asked for is dropped but the newest order to catch up, which
//! comes to the same. It is no longer late once the thread has an answer from its disk. Jobs are done in the order in which
//! they were asked for; one to catch up goes on by itself, some of it at a time, letting others before it.
//!
//! Does not: end a call to a disk that hangs. Dropped meanwhile, the thread is left to itself.

use super::position::Seen;
use super::target::{Home, Target};
use crate::keys::{Entries, PieceEntry};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long somebody waits for the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    /// For a step of a shipment, holding up nobody else.
    pub alone: Duration,
    /// For the last frames before a commit, holding up whoever writes.
    pub locked: Duration,
    /// For a step of a shipment that somebody asked for.
    pub asked: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let [alone, locked, asked] = [5, 1, 60].map(Duration::from_secs);
        Self { alone, locked, asked }
    }
}

/// What the key tree names.
#[derive(Debug)]
pub(crate) struct Named {
    /// In which generation.
    pub generation: u64,
    /// The pieces.
    pub entries: Entries,
    /// The file number that it records.
    pub next_file: u64,
}

/// What there is to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// Ships pieces that are about to be named, by a generation after this one, and frames and leaves.
    Log {
        /// The pieces.
        new: Vec<PieceEntry>,
        /// The generation of the key tree.
        generation: u64,
        /// The file number that it records.
        next_file: u64,
    },
    /// Ships, some of it at a time, whatever the key tree names and the target lacks, and removes what nothing names.
    CatchUp(Named),
    /// Removes what the key tree does not name any more, after a commit.
    Clean(Named),
}

/// What is known of the target after a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// What it held when that was last known.
    pub shipped: Option<Seen>,
    /// Pieces that it is known to lack.
    pub missing: u64,
    /// Why it does not follow.
    pub problem: Option<String>,
    /// Whether the last catching up or cleaning was done to its end.
    pub whole: bool,
}

impl Said {
    /// Says whether there is more to ship, and nothing in the way.
    pub fn goes_on(&self) -> bool {
        !self.whole && self.problem.is_none()
    }
}

#[derive(Debug, Default)]
struct Desk {
    waiting: VecDeque<(u64, Home, Job)>,
    asked: u64,
    done: u64,
    late: bool,
    /// The newest generation of the key tree that was heard of: what an older one names is no order any more.
    generation: u64,
    closing: bool,
    ended: bool,
    said: Said,
}

#[derive(Debug, Default)]
struct Shared {
    desk: Mutex<Desk>,
    changed: Condvar,
}

/// The thread, from outside.
#[derive(Debug)]
pub(crate) struct Follower {
    shared: Arc<Shared>,
    folder: PathBuf,
    patience: Mutex<Patience>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Starts the thread. At most about `most` bytes of pieces are shipped in one step.
    pub fn start(target: Target, most: u64) -> io::Result<Self> {
        let (shared, folder) = (Arc::<Shared>::default(), target.folder().to_owned());
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("backup".into()).spawn(move || own.run(target, most))?;
        Ok(Self { shared, folder, patience: Mutex::default(), thread: Some(thread) })
    }

    /// Returns the target's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns how long is waited.
    pub fn patience(&self) -> Patience {
        *self.patience.lock()
    }

    #[cfg(test)]
    pub fn be_patient(&self, patience: Patience) {
        *self.patience.lock() = patience;
    }

    /// Asks for something and waits for it; none if the target is late, or is found to be.
    pub fn ship(&self, home: Home, job: Job, patience: Duration) -> Option<Said> {
        let mut desk = self.shared.desk.lock();
        desk.asked = desk.asked.saturating_add(1);
        let number = desk.asked;
        if let Job::CatchUp(named) | Job::Clean(named) = &job {
            desk.generation = desk.generation.max(named.generation);
        }
        if desk.late {
            if matches!(job, Job::CatchUp(..)) {
                desk.waiting = VecDeque::from([(number, home, job)]);
            }
            return None;
        }
        desk.waiting.push_back((number, home, job));
        self.shared.changed.notify_all();
        let waiting = |desk: &mut Desk| desk.done < number && !desk.late && !desk.ended;
        self.shared.changed.wait_while_for(&mut desk, waiting, patience);
        if desk.done >= number {
            return Some(desk.said.clone());
        }
        desk.late = !desk.ended;
        let catch_up = desk.waiting.drain(..).rfind(|(_, _, job)| matches!(job, Job::CatchUp(..)));
        desk.waiting.extend(catch_up);
        self.shared.changed.notify_all();
        None
    }

    /// Says what is known of the target, waiting for nothing.
    pub fn said(&self) -> Said {
        let desk = self.shared.desk.lock();
        let mut said = desk.said.clone();
        if desk.late || desk.ended {
            let why = if desk.late { "its disk does not answer" } else { "the thread that follows died" };
            said.problem = Some(why.to_owned());
        }
        said
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut desk = self.shared.desk.lock();
        desk.closing = true;
        self.shared.changed.notify_all();
        let patience = if desk.late { Duration::ZERO } else { self.patience().alone };
        self.shared.changed.wait_while_for(&mut desk, |desk| !desk.ended, patience);
        let ended = desk.ended;
        drop(desk);
        if let Some(thread) = self.thread.take().filter(|_| ended) {
            // A panic in it was printed by the runtime.
            let _ = thread.join();
        }
    }
}

/// Says that the thread has ended, however it did.
struct Ending<'a>(&'a Shared);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.desk.lock().ended = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn run(&self, mut target: Target, most: u64) {
        let _ending = Ending(self);
        while let Some((number, home, job)) = self.next() {
            let stale = |desk: &Desk| match &job {
                Job::CatchUp(named) | Job::Clean(named) => named.generation < desk.generation,
                Job::Log { .. } => false,
            };
            let skipped = stale(&self.desk.lock());
            let whole = !skipped && target.work(&home, &job, most);
            let mut desk = self.desk.lock();
            (desk.done, desk.late) = (desk.done.max(number), false);
            // More of the same, unless there is something newer to do.
            let more = matches!(job, Job::CatchUp(..)) && !whole && !stale(&desk) && target.problem().is_none();
            if more && desk.waiting.is_empty() {
                desk.waiting.push_back((number, home, job));
            }
            desk.said = Said {
                shipped: target.position().map(|position| position.seen).or(desk.said.shipped),
                missing: target.missing(),
                problem: target.problem().map(str::to_owned),
                whole,
            };
            drop(desk);
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<(u64, Home, Job)> {
        let mut desk: MutexGuard<'_, Desk> = self.desk.lock();
        self.changed.wait_while(&mut desk, |desk| desk.waiting.is_empty() && !desk.closing);
        if desk.closing {
            return None;
        }
        desk.waiting.pop_front()
    }
}

impl Target {
    /// Does a job, and says whether it was done to its end.
    fn work(&mut self, home: &Home, job: &Job, most: u64) -> bool {
        match job {
            Job::Log { new, generation, next_file } => {
                self.ship_new(home, new, *generation);
                self.ship_log(home, (*next_file).min(self.trusted()));
            }
            Job::CatchUp(named) => return self.catch_up(home, named, most),
            Job::Clean(named) => return self.problem().is_none() && self.remove_superseded(home, named),
        }
        self.problem().is_none()
    }
}
