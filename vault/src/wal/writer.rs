//! The writer thread: takes all that waits, checksums it, writes it, syncs it, acknowledges it.

use super::segment::{self, FRAME_HEADER, FrameHeader};
use super::{BATCH_BYTES, GATHER, WalError};
use crate::disk::Disk;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

/// A segment of this part of a whole one is long enough to be let go early: a new one costs two syncs.
const RENEWED: u64 = 16;

/// What callers and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub state: Mutex<State>,
    /// First sequence numbers of the segments, ascending; the last one is being written.
    pub segments: Mutex<Vec<u64>>,
    /// Signalled when frames wait.
    pub work: Condvar,
    /// Signalled when the queue was emptied.
    pub room: Condvar,
    /// Signalled when frames became durable, or never will.
    done: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    /// Encoded frames that wait, places and checksums still zero.
    pub pending: Vec<u8>,
    /// How many frames wait.
    pub frames: usize,
    pub next_seq: u64,
    /// One more than the highest durable sequence number.
    pub durable_next: u64,
    /// The segment that the last durable frame is in, and how many of its bytes are durable.
    pub durable_end: (u64, u64),
    pub poison: Option<Arc<str>>,
    /// The next batch begins a segment, if this one is long enough.
    pub renew: bool,
    pub closing: bool,
}

impl State {
    pub(super) fn check(&self) -> Result<(), WalError> {
        self.poison.as_ref().map_or(Ok(()), |why| Err(WalError::Poisoned(Arc::clone(why))))
    }
}

impl Shared {
    pub(super) fn new(next_seq: u64, durable_end: (u64, u64), segments: Vec<u64>) -> Self {
        let state = State {
            pending: Vec::new(),
            frames: 0,
            next_seq,
            durable_next: next_seq,
            durable_end,
            poison: None,
            renew: false,
            closing: false,
        };
        Self {
            state: Mutex::new(state),
            segments: Mutex::new(segments),
            work: Condvar::new(),
            room: Condvar::new(),
            done: Condvar::new(),
        }
    }

    /// Waits until all frames below `next` are durable.
    pub(super) fn wait_until_durable(&self, next: u64) -> Result<(), WalError> {
        let mut state = self.state.lock();
        while state.durable_next < next {
            state.check()?;
            self.done.wait(&mut state);
        }
        Ok(())
    }

    /// Waits for frames; returns `None` when the log closes and none are left.
    fn next_batch(&self, spare: Vec<u8>, last_frames: usize) -> Option<Batch> {
        let mut state = self.state.lock();
        while state.frames == 0 {
            if state.closing {
                return None;
            }
            self.work.wait(&mut state);
        }
        self.gather(&mut state, last_frames);
        let bytes = std::mem::replace(&mut state.pending, spare);
        let frames = std::mem::take(&mut state.frames);
        let next = state.next_seq;
        let renew = std::mem::take(&mut state.renew);
        drop(state);
        self.room.notify_all();
        Some(Batch { bytes, frames, next, renew })
    }

    fn gather(&self, state: &mut MutexGuard<'_, State>, last_frames: usize) {
        let few = |state: &mut State| state.frames < last_frames && state.pending.len() < BATCH_BYTES && !state.closing;
        self.work.wait_while_for(state, few, GATHER);
    }

    fn acknowledge(&self, next: u64, end: (u64, u64)) {
        let mut state = self.state.lock();
        state.durable_next = next;
        state.durable_end = end;
        drop(state);
        self.done.notify_all();
    }

    fn poison(&self, why: &str) {
        self.state.lock().poison.get_or_insert_with(|| why.into());
        self.done.notify_all();
        self.room.notify_all();
    }
}

struct Batch {
    bytes: Vec<u8>,
    frames: usize,
    /// One more than the batch's last sequence number.
    next: u64,
    /// Whether it begins a segment, if the one before is long enough.
    renew: bool,
}

/// The thread's own state.
pub(super) struct Writer {
    pub shared: Arc<Shared>,
    pub disk: Disk,
    pub dir: PathBuf,
    /// Where the current segment lives.
    pub path: PathBuf,
    pub file: File,
    pub id: [u8; 16],
    /// The current segment's first sequence number.
    pub first_seq: u64,
    /// Bytes in the current segment.
    pub written: u64,
    pub segment_bytes: u64,
}

impl Writer {
    pub(super) fn run(mut self) {
        let (mut spare, mut frames) = (Vec::new(), 0);
        while let Some(mut batch) = self.shared.next_batch(spare, frames) {
            if let Err(error) = self.write(&mut batch) {
                self.shared.poison(&error.to_string());
                return;
            }
            self.shared.acknowledge(batch.next, (self.first_seq, self.written));
            frames = batch.frames;
            spare = batch.bytes;
            spare.clear();
            spare.shrink_to(BATCH_BYTES);
        }
    }

    fn write(&mut self, batch: &mut Batch) -> io::Result<()> {
        // An empty segment is never full: its successor would have its name.
        let full = if batch.renew { self.segment_bytes / RENEWED } else { self.segment_bytes };
        if self.written >= full.max(segment::HEADER + 1) {
            self.rotate(batch.next.saturating_sub(batch.frames as u64))?;
        }
        seal_headers(&self.id, &mut batch.bytes)?;
        self.disk.append(&self.path, &self.file, &batch.bytes)?;
        self.disk.sync_data(&self.path, &self.file)?;
        // A segment that was unlinked or replaced under us keeps taking writes that no open will ever find.
        if self.file.metadata()?.nlink() == 0 {
            return Err(io::Error::other("the segment being written was removed"));
        }
        self.written = self.written.saturating_add(batch.bytes.len() as u64);
        Ok(())
    }

    fn rotate(&mut self, first_seq: u64) -> io::Result<()> {
        let header = super::new_header(first_seq)?;
        self.file = segment::create(&self.disk, &self.dir, &header)?;
        self.path = segment::path(&self.dir, first_seq);
        self.id = header.id;
        self.first_seq = first_seq;
        self.written = segment::HEADER;
        self.shared.segments.lock().push(first_seq);
        Ok(())
    }
}

/// Walks the frames of a batch and completes their headers: place in the batch, checksum.
pub(super) fn seal_headers(id: &[u8; 16], mut bytes: &mut [u8]) -> io::Result<()> {
    let broken = || io::Error::other("a frame in the queue is malformed");
    let mut place = 0;
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_first_chunk_mut::<FRAME_HEADER>().ok_or_else(broken)?;
        let mut frame = FrameHeader { place, ..FrameHeader::decode(head) };
        let (payload, rest) = rest.split_at_mut_checked(frame.len as usize).ok_or_else(broken)?;
        frame.sum = frame.checksum(id, payload);
        *head = frame.encode();
        place = place.saturating_add(1);
        bytes = rest;
    }
    Ok(())
}
