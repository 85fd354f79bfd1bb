//! One segment file: a header, then frames back to back.
//!
//! Header, 52 bytes, little-endian: magic `SILHWAL\n`, format version u32 = 1, first sequence number u64, random segment id
//! 16 bytes, checksum 16 bytes over all of that. Frame: payload length u32, sequence number u64, place in its batch u32,
//! checksum 16 bytes, payload; the checksum is the start of SHA-256 over segment id, the fields before it and the payload,
//! so a frame of another segment (a recycled disk block, a copied file) is never taken for one of this.
//!
//! The place in the batch tells torn from damaged: a disk may write the pages of one unsynced batch in any order, so a good
//! frame behind a bad one proves nothing if both are of one batch, and proves damage if its batch began later.

use super::WalError;
use super::frame::Reader;
use crate::disk::Disk;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"SILHWAL\n";
const VERSION: u32 = 1;
/// Bytes of a segment's header.
pub(super) const HEADER: u64 = 52;
/// Bytes of a frame before its payload.
pub(super) const FRAME_HEADER: usize = 32;
/// Longest payload of a frame: ingest batches are about 100 KB; a bound this size keeps a damaged length from costing memory.
pub(crate) const MAX_PAYLOAD: usize = 16 << 20;

/// Identity of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub first_seq: u64,
    pub id: [u8; 16],
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.first_seq.to_le_bytes());
        out.extend_from_slice(&self.id);
        let sum = truncate(Sha256::digest(&out).into());
        out.extend_from_slice(&sum);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut rest = Reader(bytes);
        let (magic, version) = (rest.array::<8>()?, rest.u32()?);
        let header = Self { first_seq: rest.u64()?, id: rest.array()? };
        if magic != MAGIC {
            return Err("not a write-ahead log segment");
        }
        if version != VERSION {
            return Err("unknown segment version");
        }
        if header.encode() != bytes {
            return Err("header checksum is wrong");
        }
        Ok(header)
    }
}

fn truncate(digest: [u8; 32]) -> [u8; 16] {
    let mut out = [0; 16];
    for (to, from) in out.iter_mut().zip(digest) {
        *to = from;
    }
    out
}

/// What stands before a frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub len: u32,
    pub seq: u64,
    /// How many frames of its batch come before it.
    pub place: u32,
    pub sum: [u8; 16],
}

impl FrameHeader {
    pub(super) fn encode(&self) -> [u8; FRAME_HEADER] {
        let fields = self.len.to_le_bytes().into_iter().chain(self.seq.to_le_bytes());
        let fields = fields.chain(self.place.to_le_bytes()).chain(self.sum);
        let mut out = [0; FRAME_HEADER];
        for (to, from) in out.iter_mut().zip(fields) {
            *to = from;
        }
        out
    }

    pub(super) fn decode(head: &[u8; FRAME_HEADER]) -> Self {
        let mut rest = Reader(head);
        // A 32-byte array holds all four; the fallbacks can't be reached and would fail the checksum.
        let (len, seq) = (rest.u32().unwrap_or(u32::MAX), rest.u64().unwrap_or(0));
        Self { len, seq, place: rest.u32().unwrap_or(0), sum: rest.array().unwrap_or([0; 16]) }
    }

    /// Computes the checksum in segment `id`.
    pub(super) fn checksum(&self, id: &[u8; 16], payload: &[u8]) -> [u8; 16] {
        let mut hash = Sha256::new();
        hash.update(id);
        hash.update(self.len.to_le_bytes());
        hash.update(self.seq.to_le_bytes());
        hash.update(self.place.to_le_bytes());
        hash.update(payload);
        truncate(hash.finalize().into())
    }
}

/// Returns where the segment that starts at `first_seq` lives.
pub(super) fn path(dir: &Path, first_seq: u64) -> PathBuf {
    dir.join(format!("{first_seq:016x}.wal"))
}

/// Creates a segment durably: header, file and directory entry are on disk when it returns.
pub(super) fn create(disk: &Disk, dir: &Path, header: &Header) -> io::Result<File> {
    let path = path(dir, header.first_seq);
    let file = disk.create_new(&path)?;
    disk.append(&path, &file, &header.encode())?;
    disk.sync(&path, &file)?;
    disk.sync_folder(dir)?;
    Ok(file)
}

/// Lists the first sequence numbers of the segments in `dir`, ascending. Other files are left alone.
pub(super) fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let hex = name.to_str().and_then(|name| name.strip_suffix(".wal")).filter(|hex| hex.len() == 16);
        found.extend(hex.and_then(|hex| u64::from_str_radix(hex, 16).ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// Reads a segment's frames in order.
#[derive(Debug)]
pub(super) struct Scanner {
    pub path: PathBuf,
    file: io::BufReader<File>,
    pub header: Header,
    /// Where the next frame starts.
    pub offset: u64,
    /// Where reading stops.
    end: u64,
    pub next_seq: u64,
}

/// What a scanner found at its offset.
#[derive(Debug)]
pub(super) enum Found {
    /// A good frame.
    Frame(u64, Vec<u8>),
    /// The end, at a frame boundary.
    End,
    /// Bytes that are no good frame.
    Bad(&'static str),
}

impl Scanner {
    /// Opens a segment and checks its header against its name; reads at most `end` bytes if given.
    pub(super) fn open(dir: &Path, first_seq: u64, end: Option<u64>) -> Result<Self, WalError> {
        let path = path(dir, first_seq);
        let mut file = File::open(&path).map_err(|error| WalError::io("open", &path, &error))?;
        let len = file.metadata().map_err(|error| WalError::io("read", &path, &error))?.len();
        let mut bytes = Vec::new();
        (&mut file).take(HEADER).read_to_end(&mut bytes).map_err(|error| WalError::io("read", &path, &error))?;
        let header = Header::decode(&bytes).map_err(|problem| WalError::corrupt(&path, 0, problem))?;
        if header.first_seq != first_seq {
            return Err(WalError::corrupt(&path, 0, "the file's name and its header disagree"));
        }
        let file = io::BufReader::with_capacity(1 << 20, file);
        Ok(Self { path, file, header, offset: HEADER, end: end.unwrap_or(len), next_seq: first_seq })
    }

    /// Reads the next frame and moves past it; does not move past a bad one.
    pub(super) fn next(&mut self) -> Result<Found, WalError> {
        let left = self.end.saturating_sub(self.offset);
        if left == 0 {
            return Ok(Found::End);
        }
        let mut head = [0; FRAME_HEADER];
        if left < FRAME_HEADER as u64 {
            return Ok(Found::Bad("the frame header is cut short"));
        }
        self.file.read_exact(&mut head).map_err(|error| WalError::io("read", &self.path, &error))?;
        let frame = FrameHeader::decode(&head);
        let size = FRAME_HEADER as u64 + u64::from(frame.len);
        if frame.seq != self.next_seq {
            return Ok(Found::Bad("the sequence number is not the next one"));
        }
        if frame.len as usize > MAX_PAYLOAD || size > left {
            return Ok(Found::Bad("the frame is longer than what is left"));
        }
        let mut payload = vec![0; frame.len as usize];
        self.file.read_exact(&mut payload).map_err(|error| WalError::io("read", &self.path, &error))?;
        if frame.checksum(&self.header.id, &payload) != frame.sum {
            return Ok(Found::Bad("the frame's checksum is wrong"));
        }
        self.offset = self.offset.saturating_add(size);
        self.next_seq = self.next_seq.saturating_add(1);
        Ok(Found::Frame(frame.seq, payload))
    }

    /// Looks behind a bad frame for a good one of a later batch: then the bad one was acknowledged, so it is damage and not
    /// a torn tail. Returns that frame's sequence number.
    pub(super) fn later_batch(&mut self) -> Result<Option<u64>, WalError> {
        let mut tail = Vec::new();
        self.file
            .seek(SeekFrom::Start(self.offset))
            .and_then(|_| self.file.read_to_end(&mut tail))
            .map_err(|error| WalError::io("read", &self.path, &error))?;
        let most = self.next_seq.saturating_add((tail.len() / FRAME_HEADER) as u64);
        for start in 1..tail.len() {
            let Some((head, rest)) = tail.get(start..).and_then(<[u8]>::split_first_chunk) else { break };
            let frame = FrameHeader::decode(head);
            let batch = frame.seq.saturating_sub(u64::from(frame.place));
            if batch <= self.next_seq || frame.seq > most {
                continue;
            }
            if let Some(payload) = rest.get(..frame.len as usize)
                && frame.checksum(&self.header.id, payload) == frame.sum
            {
                return Ok(Some(frame.seq));
            }
        }
        Ok(None)
    }
}
