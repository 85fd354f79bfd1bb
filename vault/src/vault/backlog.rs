//! How much may wait to be folded: from when on a dataset is to be folded, and from when on no more is taken for it.
//!
//! A fold writes whole blocks again, so it pays to wait; what waits is read again at every opening and keeps the log, so
//! it pays not to. Withdrawals, those among other rows too, requests of people and erasures are taken however much waits.

use super::state::{Dataset, State};
use super::write::refuse;
use super::{Vault, VaultError};
use crate::keys::Entries;
use policy::decide::Reason;
use policy::id::DatasetId;
use policy::time::Timestamp;

/// What may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Sealed bytes of a journal that are folded at the least: some seconds of the fastest ingest, and a second or so to
    /// read again at an opening.
    pub bytes: u64,
    /// Sealed bytes of a journal that wait at the most before a fold, however much it rewrites: ten seconds or so to read
    /// again at an opening.
    pub most_bytes: u64,
    /// Entries of a journal: each is about a hundred bytes of memory until it is folded.
    pub entries: usize,
    /// Segments of the log: 2 GiB of disk. A dataset that is written to once an hour must not keep all that others write.
    pub segments: usize,
}

/// Bytes of blocks that are written again for one byte that is folded, at the most: without it a large dataset whose people
/// are all active would be rewritten every few seconds.
const REWRITTEN: u64 = 16;
/// How many times what is to be folded may wait before no more is taken: a fold that runs has that long to end, and a disk
/// that is full has as much left for what must not be refused.
const REFUSED: u64 = 4;
/// How many times that may wait before those who write are kept waiting: well below, for what is taken up already.
const PRESSED: u64 = 2;
/// How long a fold that failed, or one that is for the log, is left alone: a full disk does not get empty in a second.
const PAUSE: i64 = 60_000_000;

/// What `Limits::bytes` is unless the settings say so.
pub const DEFAULT_FOLD_BYTES: u64 = 64 << 20;

impl Limits {
    /// Returns the limits with so many bytes at the least.
    pub fn folding_at(bytes: u64) -> Self {
        Self { bytes, most_bytes: bytes.max(1 << 30), entries: 1 << 18, segments: 32 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::folding_at(DEFAULT_FOLD_BYTES)
    }
}

/// Why a fold failed, and from when on it is tried again.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    problem: String,
    again: Timestamp,
}

impl Trouble {
    /// Notes a failure.
    pub fn new(error: &VaultError, now: Timestamp) -> Self {
        Self { problem: error.to_string(), again: after_pause(now) }
    }
}

fn after_pause(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_add(PAUSE))
}

impl Vault {
    /// Lists the datasets that are to be folded now: so much of them waits, or the log is long and they keep it so.
    pub fn folds_due(&self, now: Timestamp) -> Vec<DatasetId> {
        let mut state = self.state.lock();
        let entries = state.tree.entries();
        let limits = self.limits;
        let long = self.wal.segments() > limits.segments && state.fold_for_log.is_none_or(|again| again <= now);
        let keeper = if long { keeps_the_log(&state) } else { None };
        if keeper.is_some() {
            state.fold_for_log = Some(after_pause(now));
        }
        let mut due = Vec::new();
        for dataset in state.datasets.values_mut().filter(|dataset| dataset.damage.is_none()) {
            dataset.fold_bound = dataset.bound_for_fold(&entries, &limits);
            let full = dataset.journal.bytes() >= dataset.fold_bound || dataset.journal.entries() >= limits.entries;
            let tried = dataset.trouble.as_ref().is_some_and(|trouble| now < trouble.again);
            if (full || keeper == Some(dataset.number)) && !tried {
                due.push(dataset.schema.dataset.clone());
            }
        }
        due
    }

    /// Says whether so much of a dataset waits to be folded that whoever writes to it should wait, too: a fold will make room
    /// before rows are refused. Not while folds fail, since waiting would not help.
    pub fn pressed(&self, dataset: &DatasetId) -> bool {
        let state = self.state.lock();
        let Some(dataset) = state.datasets.values().find(|known| known.schema.dataset == *dataset) else {
            return false;
        };
        dataset.trouble.is_none() && dataset.damage.is_none() && !dataset.has_room(&self.limits, PRESSED)
    }

    /// Lists what is wrong with datasets, for the steward: those that can't be read and refuse every call, and those that
    /// serve and can't be folded.
    pub fn troubles(&self) -> Vec<(DatasetId, String)> {
        let mut all = self.damage();
        let state = self.state.lock();
        let folding = state.datasets.values().filter_map(|dataset| {
            let problem = &dataset.trouble.as_ref()?.problem;
            Some((dataset.schema.dataset.clone(), format!("what was written to it can't be folded: {problem}")))
        });
        all.extend(folding);
        all
    }
}

/// Returns the dataset whose entries keep the log from being cut; any if none has entries and the gateway's own state does.
fn keeps_the_log(state: &State) -> Option<u32> {
    let first = |dataset: &&Dataset| dataset.journal.first_frame().unwrap_or(u64::MAX);
    let earliest = state.datasets.values().min_by_key(first)?;
    // Nothing helps but the repair of one that is damaged.
    earliest.damage.is_none().then_some(earliest.number)
}

impl Dataset {
    fn bound_for_fold(&self, entries: &Entries, limits: &Limits) -> u64 {
        if self.journal.bytes() < limits.bytes {
            return limits.bytes;
        }
        let of = |block: u32| entries.of_block(self.number, block).map(|entry| entry.bytes).sum::<u64>();
        let rewritten: u64 = self.dirty.iter().map(|block| of(*block)).sum();
        (rewritten / REWRITTEN).clamp(limits.bytes, limits.most_bytes)
    }

    fn has_room(&self, limits: &Limits, times: u64) -> bool {
        let bytes = self.fold_bound.max(limits.bytes);
        let most = (bytes.saturating_mul(times), (limits.entries as u64).saturating_mul(times));
        self.journal.bytes() < most.0 && (self.journal.entries() as u64) < most.1
    }

    /// Refuses to take more rows while too many wait to be folded.
    pub(super) fn check_room(&self, limits: &Limits) -> Result<(), VaultError> {
        if self.has_room(limits, REFUSED) {
            return Ok(());
        }
        refuse(
            Reason::RateLimited,
            "this dataset takes no more rows, withdrawals aside, until the gateway has stored what it took",
            "send the batch again in a minute; if it is still refused, the steward sees the cause in the gateway's health",
        )
    }
}
