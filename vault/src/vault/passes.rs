//! Withdrawals that wait for the fence together.
//!
//! A withdrawal returns after every draw that may not have seen it, so after the fence was free at some instant since it was
//! written. One caller waits for that instant on behalf of all that were there when it began; who comes later waits for
//! the next. So hundreds that return together cost one change of hands, not one each.

use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

/// The instants at which the fence was free, counted.
#[derive(Default)]
pub(super) struct Passes {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    begun: u64,
    ended: u64,
    under_way: bool,
}

impl Passes {
    /// Returns once nobody holds the fence who held it at the call.
    pub fn wait(&self, fence: &RwLock<()>) {
        let mut state = self.state.lock();
        // A pass that is under way may have begun before the caller's write was there to be seen.
        let enough = state.begun.saturating_add(1);
        while state.ended < enough {
            if state.under_way {
                self.ended.wait(&mut state);
                continue;
            }
            state.under_way = true;
            state.begun = state.begun.saturating_add(1);
            MutexGuard::unlocked(&mut state, || drop(fence.write()));
            state.under_way = false;
            state.ended = state.begun;
            self.ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

    #[test]
    fn nobody_who_missed_a_write_holds_the_fence_after_its_pass() {
        const WRITES: usize = 2_000;
        let (fence, passes) = (RwLock::new(()), Passes::default());
        let written: Vec<AtomicBool> = (0..WRITES).map(|_| AtomicBool::default()).collect();
        let returned: Vec<AtomicBool> = (0..WRITES).map(|_| AtomicBool::default()).collect();
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some((write, returned)) = {
                        let number = next.fetch_add(1, SeqCst);
                        written.get(number).zip(returned.get(number))
                    } {
                        write.store(true, SeqCst);
                        passes.wait(&fence);
                        returned.store(true, SeqCst);
                    }
                    done.fetch_add(1, SeqCst);
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    while done.load(SeqCst) < 4 {
                        let held = fence.read();
                        let missed = written.iter().position(|write| !write.load(SeqCst));
                        std::thread::yield_now();
                        if let Some(returned) = missed.and_then(|number| returned.get(number)) {
                            assert!(!returned.load(SeqCst), "a write returned beside a reader that missed it");
                        }
                        drop(held);
                    }
                });
            }
        });
        assert!(passes.state.lock().ended <= WRITES as u64);
    }
}
