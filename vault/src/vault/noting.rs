//! Telling the mirror what it should know of its vault, from a thread of its own.
//!
//! Guarantees: whoever has something noted waits for nothing. What is noted last is written last, and is carried over by every
//! commit of the key tree meanwhile. Whoever is about to commit outside of a write asks first whether the mirror's disk
//! answers, and waits for it before it holds anything that others wait for: so a mirror that hangs holds up folds and
//! erasures, and neither reads nor writes.
//!
//! Does not: save a commit that is under way when the disk begins to hang; nor a write that needs new keys from the tree while
//! it hangs.

use super::state::State;
use super::{Vault, VaultError};
use crate::backup::{Noted, Seen};
use crate::keys::Note;
use parking_lot::{Condvar, Mutex};
use policy::time::Timestamp;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the mirror may take before it is said not to answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct Desk {
    next: Option<Note>,
    asked: u64,
    done: u64,
    /// Somebody waited for it in vain.
    late: bool,
    problem: Option<String>,
    closing: bool,
    ended: bool,
}

#[derive(Debug, Default)]
struct Shared {
    desk: Mutex<Desk>,
    changed: Condvar,
}

/// The thread, from outside.
#[derive(Debug)]
pub(super) struct Noter {
    shared: Arc<Shared>,
    patience: Mutex<Duration>,
    thread: Option<JoinHandle<()>>,
}

impl Noter {
    pub fn start() -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("mirror".into()).spawn(move || own.run())?;
        Ok(Self { shared, patience: Mutex::new(PATIENCE), thread: Some(thread) })
    }

    /// Hands in what is to be noted, in the place of what waits; returns what to wait for.
    fn hand_in(&self, note: Note) -> u64 {
        let mut desk = self.shared.desk.lock();
        desk.asked = desk.asked.saturating_add(1);
        desk.next = Some(note);
        self.shared.changed.notify_all();
        desk.asked
    }

    /// Waits until something that was handed in is written, or could not be. Returns at once while the disk is known to hang,
    /// unless told to wait for ever.
    fn wait(&self, number: u64, for_ever: bool) -> Result<(), String> {
        let mut desk = self.shared.desk.lock();
        if for_ever {
            self.shared.changed.wait_while(&mut desk, |desk| desk.done < number && !desk.ended);
        } else if !desk.late {
            let patience = *self.patience.lock();
            let waits = |desk: &mut Desk| desk.done < number && !desk.late && !desk.ended;
            desk.late |= self.shared.changed.wait_while_for(&mut desk, waits, patience).timed_out();
        }
        desk.problem().map_or(Ok(()), Err)
    }

    /// Says why the mirror does not follow, if it does not.
    pub fn problem(&self) -> Option<String> {
        self.shared.desk.lock().problem()
    }

    #[cfg(test)]
    pub fn be_patient(&self, patience: Duration) {
        *self.patience.lock() = patience;
    }
}

impl Desk {
    fn problem(&self) -> Option<String> {
        let late = self.late.then(|| "its disk does not answer".to_owned());
        late.or_else(|| self.problem.clone())
    }
}

impl Drop for Noter {
    fn drop(&mut self) {
        let mut desk = self.shared.desk.lock();
        desk.closing = true;
        self.shared.changed.notify_all();
        let patience = if desk.late { Duration::ZERO } else { *self.patience.lock() };
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
    fn run(&self) {
        let _ending = Ending(self);
        while let Some((number, note)) = self.next() {
            let problem = note.write().err().map(|error| error.to_string());
            let mut desk = self.desk.lock();
            (desk.done, desk.late, desk.problem) = (number, false, problem);
            drop(desk);
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<(u64, Note)> {
        let mut desk = self.desk.lock();
        self.changed.wait_while(&mut desk, |desk| desk.next.is_none() && !desk.closing);
        let note = desk.next.take()?;
        Some((desk.asked, note))
    }
}

impl Vault {
    /// Says why the mirror does not follow, if there is one and it does not.
    pub fn mirror_problem(&self) -> Option<String> {
        self.noter.as_ref()?.problem()
    }

    /// Has the mirror note how far home and the target are, and what was spent, unless it knows; not before a restore has
    /// ended. Returns what to wait for.
    pub(super) fn note(&self, now: Timestamp) -> Result<Option<u64>, VaultError> {
        if self.restoring { Ok(None) } else { self.note_home(now, false) }
    }

    /// Does so, and waits a little. That the mirror does not follow is said in health, and is no failure of the vault's.
    pub(super) fn note_and_wait(&self, now: Timestamp) -> Result<(), VaultError> {
        let number = self.note(now)?;
        number.zip(self.noter.as_ref()).map(|(number, noter)| noter.wait(number, false).ok());
        Ok(())
    }

    /// Has it noted at any rate, and waits until the mirror has it.
    pub(super) fn note_durably(&self, now: Timestamp) -> Result<(), VaultError> {
        let number = self.note_home(now, true)?;
        let noted = number.zip(self.noter.as_ref()).map(|(number, noter)| noter.wait(number, true));
        noted.unwrap_or(Ok(())).map_err(|problem| VaultError::Io(format!("the mirror does not follow: {problem}")))
    }

    /// Waits until the mirror's disk answers, if there is a mirror: before a commit, and holding nothing that a read or a write
    /// waits for.
    pub(super) fn mirror_answers(&self) -> Result<(), VaultError> {
        // What its disk says of a note, it says of the commit too. Time is what was seen last.
        if self.restoring { Ok(()) } else { self.note_durably(Timestamp(i64::MIN)) }
    }

    /// Draws journal keys before a write needs them.
    pub(super) fn stock_journal_keys(&self) -> Result<(), VaultError> {
        let mut state = self.lock()?;
        let State { journal, tree, .. } = &mut *state;
        journal.stock(tree)
    }

    fn note_home(&self, now: Timestamp, anyway: bool) -> Result<Option<u64>, VaultError> {
        let Some(noter) = &self.noter else { return Ok(None) };
        let mut noted = self.noted.lock();
        let (next_seq, sizes, at, ledgers) = {
            let state = self.lock()?;
            (state.next_seq, self.log.sizes(), now.max(state.latest), state.shared.ledgers.clone())
        };
        let shipped = self.follower.as_ref().and_then(|follower| follower.said().shipped);
        let shipped = shipped.filter(|seen| seen.next_seq > 0).or(noted.shipped);
        let known = noted.shipped == shipped && noted.home.is_some_and(|home| home.next_seq == next_seq);
        if known && !anyway && noter.problem().is_none() {
            return Ok(None);
        }
        // Nothing is noted that a power cut could take back.
        self.wal.sync()?;
        let home = Seen::of(&self.log, next_seq, sizes)?;
        let news = Noted { at, home: Some(home), shipped, ledgers };
        let note = self.lock()?.tree.note(&news.encode())?;
        *noted = news;
        Ok(note.map(|note| noter.hand_in(note)))
    }
}
