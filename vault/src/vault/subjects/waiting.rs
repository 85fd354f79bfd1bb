//! What of a person waits in memory between two parts of an access package. An erasure wipes it before it returns, however
//! long whoever asked for the package takes to ask for the next part.

use crate::fold::data::EventRows;
use crate::subjects::{AccessHead, AccessRecords};
use parking_lot::Mutex;
use roaring::RoaringBitmap;
use std::sync::{Arc, Weak};

/// What waits of one person.
#[derive(Default)]
pub(super) struct Waiting {
    pub head: Option<AccessHead>,
    pub records: AccessRecords,
    /// Events that are not folded, by type.
    pub pending: Vec<EventRows>,
}

impl Waiting {
    /// Takes some records; `None` when there are no more.
    pub fn some_records(&mut self, most: usize) -> Option<AccessRecords> {
        fn front<T>(all: &mut Vec<T>, most: usize) -> Vec<T> {
            let rest = all.split_off(most.min(all.len()));
            std::mem::replace(all, rest)
        }
        let AccessRecords { consents, audiences, requests } = &mut self.records;
        let consents = front(consents, most);
        let audiences = front(audiences, most.saturating_sub(consents.len()));
        let requests = front(requests, most.saturating_sub(consents.len()).saturating_sub(audiences.len()));
        let some = AccessRecords { consents, audiences, requests };
        (!some.is_empty()).then_some(some)
    }
}

/// A dataset, an ordinal in it, and what waits of that person while somebody reads it.
type Reading = (u32, u32, Weak<Mutex<Waiting>>);

/// What waits, of everyone.
#[derive(Default)]
pub(in crate::vault) struct AllWaiting(Mutex<Vec<Reading>>);

impl AllWaiting {
    /// Keeps what waits of a person as long as the returned value lives, or until the person is erased.
    pub(super) fn keep(&self, number: u32, ordinal: u32, waiting: Waiting) -> Arc<Mutex<Waiting>> {
        let kept = Arc::new(Mutex::new(waiting));
        let mut all = self.0.lock();
        all.retain(|(.., waiting)| waiting.strong_count() > 0);
        all.push((number, ordinal, Arc::downgrade(&kept)));
        kept
    }

    /// Wipes what waits of these people. The caller has waited for the parts that were on their way.
    pub fn wipe(&self, number: u32, people: &RoaringBitmap) {
        let all = self.0.lock();
        let theirs = all.iter().filter(|(of, ordinal, _)| *of == number && people.contains(*ordinal));
        for waiting in theirs.filter_map(|(.., waiting)| waiting.upgrade()) {
            *waiting.lock() = Waiting::default();
        }
    }
}
