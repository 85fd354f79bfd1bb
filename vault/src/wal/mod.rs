//! The write-ahead log: the one place that acknowledges a write.
//!
//! Guarantees: when [`Ticket::wait`] returns `Ok`, the frame and all before it are on disk (`fdatasync`) and every later
//! [`Wal::open`] replays them, whole and in order. A write or sync error poisons the log for good, since the state of the
//! file is then unknown: every later call fails. Sequence numbers are contiguous, so a missing frame or segment is found.
//! At open only a torn tail is cut: bytes of the last segment that no frame of a later batch follows, hence never
//! acknowledged. Anything else that does not read back is [`WalError::Corrupt`], with file and offset.
//!
//! Does not: tell a torn last frame from one that was acknowledged and rotted since (the log's checkpoints do, by its size);
//! hold checksums an attacker can't forge; seal anything, since callers bring sealed parts.
//!
//! Batches: one thread writes whatever gathered while the last sync ran. After a batch of several frames it waits, at most
//! [`GATHER`], until as many wait again or [`BATCH_BYTES`] gathered, so that callers in lockstep share a sync; a lone caller
//! never waits. Callers block while more than [`QUEUE_BYTES`] wait.

#[cfg(feature = "test-util")]
pub(crate) mod decoders;
mod frame;
mod replay;
mod segment;
mod survey;
mod writer;

pub use frame::{Frame, SealedPart};
pub use replay::Replay;
pub(crate) use survey::{Run, segments, survey};

use crate::disk::{self, Disk};
use crate::keys::SecretKey;
pub(crate) use segment::MAX_PAYLOAD;
use segment::{FRAME_HEADER, FrameHeader, HEADER, Header};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use writer::{Shared, Writer};

/// Longest wait for more frames after a shared batch: about one sync of a fast disk.
pub const GATHER: Duration = Duration::from_millis(2);
/// A batch this large is written without waiting for more.
pub const BATCH_BYTES: usize = 1 << 20;
/// Bytes that may wait for the writer before callers block: a few batches, so that memory stays small.
pub const QUEUE_BYTES: usize = 8 << 20;
/// Default size at which a new segment is begun: small enough that space comes back soon, large enough that creating
/// segments costs nothing.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// Why the write-ahead log did not do it. Messages name files and sequence numbers, never contents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalError {
    /// An earlier write or sync failed: nothing more is written until the log is opened anew.
    #[error("the write-ahead log stopped: {0}")]
    Poisoned(Arc<str>),
    /// A stored frame or header does not read back.
    #[error("{file} is damaged at byte {offset}: {problem}")]
    Corrupt {
        /// The segment file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// Frames that should exist do not.
    #[error("the write-ahead log holds frames {first} to {last}, but frame {wanted} is needed")]
    Missing {
        /// First frame held.
        first: u64,
        /// Last frame held.
        last: u64,
        /// The frame needed.
        wanted: u64,
    },
    /// Sequence numbers must follow each other.
    #[error("frame {got} was handed in where {want} is next")]
    OutOfOrder {
        /// What came.
        got: u64,
        /// What is next.
        want: u64,
    },
    /// The frame is longer than a frame may be.
    #[error("a frame of {bytes} bytes is longer than {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Another process has the log open.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    /// The operating system refused.
    #[error("can't {doing} {file}: {problem}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        file: PathBuf,
        /// What it said.
        problem: String,
    },
}

impl WalError {
    fn io(doing: &'static str, file: &Path, error: &io::Error) -> Self {
        Self::Io { doing, file: file.to_owned(), problem: error.to_string() }
    }

    fn corrupt(file: &Path, offset: u64, problem: &str) -> Self {
        Self::Corrupt { file: file.to_owned(), offset, problem: problem.to_owned() }
    }
}

/// Returns the bytes that a frame is stored as, without its header.
pub(crate) fn payload(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(frame::encoded_len(frame));
    frame::encode(frame, &mut bytes);
    bytes
}

/// An open write-ahead log. Dropping it writes what is enqueued and stops the writer.
#[derive(Debug)]
pub struct Wal {
    disk: Disk,
    dir: PathBuf,
    shared: Arc<Shared>,
    writer: Option<std::thread::JoinHandle<()>>,
    _lock: File,
}

impl Wal {
    /// Opens the log in `dir` and returns it with the frames from `from_seq` on, to be applied before anything is enqueued.
    ///
    /// An empty or absent folder is begun at `from_seq` if that is 0 or 1; otherwise frames are missing (see
    /// [`Wal::create`]). A new segment is begun once one holds `segment_bytes`.
    pub fn open(disk: &Disk, dir: &Path, from_seq: u64, segment_bytes: u64) -> Result<(Self, Replay), WalError> {
        settle(disk, dir)?;
        let lock = lock(dir)?;
        let segments = segment::list(dir).map_err(|error| WalError::io("list", dir, &error))?;
        let recovered = replay::recover(disk, dir, segments, from_seq)?;
        let (segments, tail) = match recovered {
            Some((segments, tail)) => {
                replay::sync(disk, dir, &tail)?;
                (segments, tail)
            }
            None if from_seq <= 1 => begin(disk, dir, from_seq)?,
            None => return Err(WalError::Missing { first: 0, last: 0, wanted: from_seq }),
        };
        let replay = Replay::new(dir, &segments, &tail, from_seq)?;
        let wal = Self::start(disk, dir, segments, tail, segment_bytes, lock)?;
        Ok((wal, replay))
    }

    /// Begins an empty log at `first_seq` in a folder without segments: at a restore, whose frames before that are applied.
    pub fn create(disk: &Disk, dir: &Path, first_seq: u64) -> Result<(), WalError> {
        settle(disk, dir)?;
        let _lock = lock(dir)?;
        let segments = segment::list(dir).map_err(|error| WalError::io("list", dir, &error))?;
        if let (Some(first), Some(last)) = (segments.first(), segments.last()) {
            return Err(WalError::Missing { first: *first, last: *last, wanted: first_seq });
        }
        begin(disk, dir, first_seq).map(|_| ())
    }

    fn start(
        disk: &Disk,
        dir: &Path,
        segments: Vec<u64>,
        tail: Tail,
        segment_bytes: u64,
        lock: File,
    ) -> Result<Self, WalError> {
        let path = segment::path(dir, tail.header.first_seq);
        let file = disk::open_to_append(&path).map_err(|error| WalError::io("open", &path, &error))?;
        let shared = Arc::new(Shared::new(tail.next_seq, (tail.header.first_seq, tail.len), segments));
        let writer = Writer {
            shared: Arc::clone(&shared),
            disk: disk.clone(),
            dir: dir.to_owned(),
            path,
            file,
            id: tail.header.id,
            first_seq: tail.header.first_seq,
            written: tail.len,
            segment_bytes,
        };
        let thread = std::thread::Builder::new().name("wal".into()).spawn(move || writer.run());
        let thread = thread.map_err(|error| WalError::io("start the writer of", dir, &error))?;
        Ok(Self { disk: disk.clone(), dir: dir.to_owned(), shared, writer: Some(thread), _lock: lock })
    }

    /// Reads the frames from `from_seq` on again while the log is open. The caller holds the lock that orders
    /// [`Wal::enqueue`], so that nothing is written meanwhile.
    pub fn read_from(&self, from_seq: u64) -> Result<Replay, WalError> {
        self.sync()?;
        let segments = self.shared.segments.lock().clone();
        match replay::recover(&self.disk, &self.dir, segments, from_seq)? {
            Some((segments, tail)) => Replay::new(&self.dir, &segments, &tail, from_seq),
            None => Err(WalError::Missing { first: 0, last: 0, wanted: from_seq }),
        }
    }

    /// Returns the sequence number the next frame must have.
    pub fn next_seq(&self) -> u64 {
        self.shared.state.lock().next_seq
    }

    /// Hands a frame to the writer. Callers hold their own lock over taking `seq` and calling this; `seq` must be
    /// [`Wal::next_seq`]. Copies the frame once; blocks while the queue is full.
    pub fn enqueue(&self, seq: u64, frame: &Frame) -> Result<Ticket, WalError> {
        let len = frame::encoded_len(frame);
        if len > MAX_PAYLOAD {
            return Err(WalError::TooLarge { bytes: len, limit: MAX_PAYLOAD });
        }
        let mut state = self.shared.state.lock();
        while state.poison.is_none() && state.pending.len() > QUEUE_BYTES {
            self.shared.room.wait(&mut state);
        }
        state.check()?;
        if seq != state.next_seq {
            return Err(WalError::OutOfOrder { got: seq, want: state.next_seq });
        }
        state.pending.reserve(len.saturating_add(FRAME_HEADER));
        // The writer adds place and checksum, off the callers' lock and bound to the segment the frame lands in.
        let header = FrameHeader { len: u32::try_from(len).unwrap_or(u32::MAX), seq, place: 0, sum: [0; 16] };
        state.pending.extend_from_slice(&header.encode());
        frame::encode(frame, &mut state.pending);
        state.frames = state.frames.saturating_add(1);
        state.next_seq = seq.saturating_add(1);
        self.shared.work.notify_one();
        Ok(Ticket { shared: Arc::clone(&self.shared), seq })
    }

    /// Waits until every frame enqueued so far is durable.
    pub fn sync(&self) -> Result<(), WalError> {
        let next = self.next_seq();
        self.shared.wait_until_durable(next)
    }

    /// Returns the highest sequence number that is durable: at open, the last one found (one less than the first if none).
    pub fn durable_seq(&self) -> u64 {
        self.shared.state.lock().durable_next.saturating_sub(1)
    }

    /// Says which files hold what is durable, for a copy of them.
    pub(crate) fn extent(&self) -> Extent {
        let (next_seq, (last, bytes)) = {
            let state = self.shared.state.lock();
            (state.durable_next, state.durable_end)
        };
        // A segment that was begun since holds nothing that is acknowledged.
        let segments = self.shared.segments.lock().iter().copied().filter(|first| *first <= last).collect();
        Extent { dir: self.dir.clone(), segments, bytes, next_seq }
    }

    /// Fails with the reason if a write or sync failed: then nothing may be served.
    pub fn check(&self) -> Result<(), WalError> {
        self.shared.state.lock().check()
    }

    /// Counts the segments.
    pub fn segments(&self) -> usize {
        self.shared.segments.lock().len()
    }

    /// Begins a segment with what is not handed to the disk yet, unless the one before is short: once its frames are done with,
    /// it can go and need not wait until it is full. Call it under the lock that orders [`Wal::enqueue`].
    pub fn renew(&self) {
        self.shared.state.lock().renew = true;
    }

    /// Unlinks the segments whose frames are all below `seq`; never the newest. The caller has made what those frames did
    /// durable elsewhere. Their names need not be gone for good: one that a power cut brings back is not read, and goes then.
    pub fn remove_before(&self, seq: u64) -> Result<(), WalError> {
        let mut segments = self.shared.segments.lock();
        while let [first, second, ..] = segments.as_slice()
            && *second <= seq
        {
            let path = segment::path(&self.dir, *first);
            self.disk.unlink(&path).map_err(|error| WalError::io("remove", &path, &error))?;
            segments.remove(0);
        }
        Ok(())
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.shared.state.lock().closing = true;
        self.shared.work.notify_all();
        if let Some(writer) = self.writer.take() {
            // The writer records its own failure as poison; a panic in it is printed by the runtime.
            let _ = writer.join();
        }
    }
}

/// What of a log is durable. Frames of other segments than the last are durable to their files' ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extent {
    dir: PathBuf,
    /// First sequence numbers of the segments, ascending.
    pub segments: Vec<u64>,
    /// Durable bytes of the last segment.
    pub bytes: u64,
    /// One more than the last durable sequence number.
    pub next_seq: u64,
}

impl Extent {
    /// Returns a segment's file.
    pub fn path(&self, first_seq: u64) -> PathBuf {
        segment::path(&self.dir, first_seq)
    }
}

/// A frame on its way to disk.
#[derive(Debug)]
#[must_use = "the frame is not acknowledged until the ticket was waited for"]
pub struct Ticket {
    shared: Arc<Shared>,
    seq: u64,
}

impl Ticket {
    /// Waits until the frame, and all before it, are durable. An error means it may or may not be.
    pub fn wait(self) -> Result<(), WalError> {
        self.shared.wait_until_durable(self.seq.saturating_add(1))
    }

    /// Returns the frame's sequence number.
    pub fn seq(&self) -> u64 {
        self.seq
    }
}

/// Where the last segment ends.
#[derive(Debug)]
struct Tail {
    header: Header,
    len: u64,
    next_seq: u64,
}

/// Makes the folder, and its name and those in it durable: a process that was killed may have made them and not synced them.
fn settle(disk: &Disk, dir: &Path) -> Result<(), WalError> {
    let above = dir.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let settled = disk.create_folder(dir).and_then(|()| disk.sync_folder(above)).and_then(|()| disk.sync_folder(dir));
    settled.map_err(|error| WalError::io("create", dir, &error))
}

fn lock(dir: &Path) -> Result<File, WalError> {
    let path = dir.join("lock");
    let file = disk::open_lock(&path).map_err(|error| WalError::io("open", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(WalError::InUse(dir.to_owned())),
        Err(std::fs::TryLockError::Error(error)) => Err(WalError::io("lock", &path, &error)),
    }
}

fn new_header(first_seq: u64) -> io::Result<Header> {
    let random = SecretKey::random().map_err(io::Error::other)?;
    let (id, _) = random.expose().split_first_chunk::<16>().ok_or_else(|| io::Error::other("no randomness"))?;
    Ok(Header { first_seq, id: *id })
}

fn begin(disk: &Disk, dir: &Path, first_seq: u64) -> Result<(Vec<u64>, Tail), WalError> {
    let path = segment::path(dir, first_seq);
    let header = new_header(first_seq).map_err(|error| WalError::io("create", &path, &error))?;
    segment::create(disk, dir, &header).map_err(|error| WalError::io("create", &path, &error))?;
    Ok((vec![first_seq], Tail { header, len: HEADER, next_seq: first_seq }))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests;
