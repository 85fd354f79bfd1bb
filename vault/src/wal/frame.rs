//! What one write carries, and its bytes: clear leaves for the log, sealed parts for the rest.
//!
//! Bytes of a frame's payload, little-endian: version u8 = 1; tree sizes before the frame, access u64, subject u64; number
//! of leaves u32, each tree u8, length u32, bytes; number of parts u32, each kind u8, dataset u32, block u32, key id u32,
//! length u32, bytes. Nothing may follow. A new version gets a new number and keeps reading the old ones.

use crate::log::Sizes;
use crate::vault::Tree;
use std::fmt;

const VERSION: u8 = 1;

/// One atomic write: all of it is replayed after a crash, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Sizes of both trees before this frame, so that a replay knows the index of every leaf without its past.
    pub before: Sizes,
    /// Leaves in log order: clear JSON, never personal data.
    pub leaves: Vec<(Tree, Vec<u8>)>,
    /// Sealed bodies and deltas.
    pub parts: Vec<SealedPart>,
}

/// A part sealed by the caller; to the log it is opaque bytes with an address.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SealedPart {
    /// What it is, a number the caller gives meaning to.
    pub kind: u8,
    /// The dataset's number.
    pub dataset: u32,
    /// The block's number within the dataset.
    pub block: u32,
    /// Number of the key it is sealed under.
    pub key_id: u32,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
}

impl fmt::Debug for SealedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedPart")
            .field("kind", &self.kind)
            .field("dataset", &self.dataset)
            .field("block", &self.block)
            .field("key_id", &self.key_id)
            .field("bytes", &self.sealed.len())
            .finish()
    }
}

/// Number of bytes [`encode`] writes.
pub(super) fn encoded_len(frame: &Frame) -> usize {
    let leaves: usize = frame.leaves.iter().map(|(_, leaf)| leaf.len().saturating_add(5)).sum();
    let parts: usize = frame.parts.iter().map(|part| part.sealed.len().saturating_add(17)).sum();
    leaves.saturating_add(parts).saturating_add(25)
}

/// Appends the payload's bytes. The caller has checked [`encoded_len`] against the frame limit, so no length overflows.
pub(super) fn encode(frame: &Frame, out: &mut Vec<u8>) {
    out.push(VERSION);
    out.extend_from_slice(&frame.before.access.to_le_bytes());
    out.extend_from_slice(&frame.before.subject.to_le_bytes());
    put_len(out, frame.leaves.len());
    for (tree, leaf) in &frame.leaves {
        out.push(match tree {
            Tree::Access => 0,
            Tree::Subject => 1,
        });
        put_len(out, leaf.len());
        out.extend_from_slice(leaf);
    }
    put_len(out, frame.parts.len());
    for SealedPart { kind, dataset, block, key_id, sealed } in &frame.parts {
        out.push(*kind);
        for number in [dataset, block, key_id] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        put_len(out, sealed.len());
        out.extend_from_slice(sealed);
    }
}

/// Reads a payload back; the error says what does not fit.
pub(super) fn decode(payload: &[u8]) -> Result<Frame, &'static str> {
    let mut rest = Reader(payload);
    if rest.u8()? != VERSION {
        return Err("unknown frame version");
    }
    let before = Sizes { access: rest.u64()?, subject: rest.u64()? };
    let count = rest.u32()?;
    let mut leaves = Vec::new();
    for _ in 0..count {
        let tree = match rest.u8()? {
            0 => Tree::Access,
            1 => Tree::Subject,
            _ => return Err("unknown tree"),
        };
        leaves.push((tree, rest.bytes()?.to_vec()));
    }
    let count = rest.u32()?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let (kind, dataset, block, key_id) = (rest.u8()?, rest.u32()?, rest.u32()?, rest.u32()?);
        parts.push(SealedPart { kind, dataset, block, key_id, sealed: rest.bytes()?.to_vec() });
    }
    if !rest.0.is_empty() {
        return Err("bytes after the last part");
    }
    Ok(Frame { before, leaves, parts })
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    // The frame limit is far below 4 GiB; saturation can't happen and would be refused on reading.
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

/// A reader that never runs past the end.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or("too short")?;
        self.0 = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, &'static str> {
        self.array::<1>().map(u8::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, &'static str> {
        self.array::<4>().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, &'static str> {
        self.array::<8>().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8], &'static str> {
        let len = usize::try_from(self.u32()?).map_err(|_| "too long")?;
        let (head, rest) = self.0.split_at_checked(len).ok_or("too short")?;
        self.0 = rest;
        Ok(head)
    }
}
