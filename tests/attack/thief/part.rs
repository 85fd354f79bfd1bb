//! Sealed parts of frames, from segments of the write-ahead log and from the journals' databases, and their entries.

use super::bytes::Cursor;
use super::cipher::{self, Key};
use super::fact::{Cell, Fact};
use std::collections::HashMap;

const FRAME_HEADER: usize = 32;
const BLOCK_SUBJECTS: u32 = 8_192;

/// Parts of a frame that hold entries of a journal.
pub const JOURNAL: u8 = 1;
/// Entries of a block that were written again.
const REWRITTEN: u8 = 4;

/// A sealed part and all that its nonce and additional data need.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Part {
    pub seq: u64,
    pub number: u16,
    pub kind: u8,
    pub dataset: u32,
    pub block: u32,
    pub key_id: u32,
    pub sealed: Vec<u8>,
}

/// An opened part.
#[derive(Debug)]
pub struct Opened {
    pub bytes: Vec<u8>,
    /// What its entries say, by ordinal; nothing if it is no journal's.
    facts: HashMap<u32, Vec<Fact>>,
    dataset: u32,
}

impl Part {
    /// Tries a key, whatever number the part says its key has.
    pub fn open(&self, key: &Key) -> Option<Opened> {
        let Self { seq, number, kind, dataset, block, key_id, .. } = self;
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&seq.to_be_bytes());
        nonce[10..].copy_from_slice(&number.to_be_bytes());
        let mut aad = b"silhouette part 1".to_vec();
        aad.push(*kind);
        for field in [dataset, block, key_id] {
            aad.extend(field.to_be_bytes());
        }
        let bytes = cipher::open(key, nonce, &aad, &self.sealed)?;
        let mut facts: HashMap<u32, Vec<Fact>> = HashMap::new();
        for (position, fact) in if *kind == JOURNAL { entries(&bytes) } else { Vec::new() } {
            facts.entry(block * BLOCK_SUBJECTS + u32::from(position)).or_default().push(fact);
        }
        Some(Opened { bytes, facts, dataset: *dataset })
    }
}

/// Every part of every frame in a file, at any offset; a frame that is cut, or whose checksum is wrong, counts with the
/// parts that are whole.
pub fn carve(file: &[u8]) -> Vec<(usize, Part)> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < file.len() {
        at += frame(file, at, &mut parts).unwrap_or(1);
    }
    parts
}

/// Reads what looks like a frame at an offset and returns its length; `None` if nothing there looks like one.
fn frame(file: &[u8], at: usize, parts: &mut Vec<(usize, Part)>) -> Option<usize> {
    // The version after the header, and a sequence number below 2^32.
    if *file.get(at + FRAME_HEADER)? != 1 || file.get(at + 8..at + 12)? != [0; 4] {
        return None;
    }
    let (head, rest) = file.get(at..)?.split_at(FRAME_HEADER);
    let length = usize::try_from(Cursor(head).u32()?).ok()?;
    let seq = Cursor(&head[4..]).u64()?;
    if seq == 0 || !(29..=16 << 20).contains(&length) {
        return None;
    }
    let mut payload = Cursor(&rest[..length.min(rest.len())]);
    read(&mut payload, seq, at, parts).map(|()| FRAME_HEADER + length)
}

fn read(payload: &mut Cursor<'_>, seq: u64, at: usize, parts: &mut Vec<(usize, Part)>) -> Option<()> {
    payload.take(1 + 8 + 8)?;
    for _ in 0..payload.u32()? {
        if payload.u8()? > 1 {
            return None;
        }
        payload.long()?;
    }
    for number in 0..u16::try_from(payload.u32()?).ok()? {
        // Entries that were written again are sealed as entries.
        let kind = match payload.u8()? {
            REWRITTEN => JOURNAL,
            kind => kind,
        };
        let (dataset, block, key_id) = (payload.u32()?, payload.u32()?, payload.u32()?);
        let sealed = payload.long()?.to_vec();
        parts.push((at, Part { seq, number, kind, dataset, block, key_id, sealed }));
    }
    Some(())
}

impl Opened {
    /// What its entries say of one person.
    pub fn facts(&self, dataset: u32, ordinal: u32, into: &mut Vec<Fact>) {
        if self.dataset == dataset {
            into.extend(self.facts.get(&ordinal).into_iter().flatten().cloned());
        }
    }

    /// The subject keys in entries that made subjects.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.facts.values().flatten().filter_map(|fact| match fact {
            Fact::Key(key) => Some(key.as_slice()),
            _ => None,
        })
    }
}

fn entries(bytes: &[u8]) -> Vec<(u16, Fact)> {
    let mut entries = Vec::new();
    let mut bytes = Cursor(bytes);
    while entry(&mut bytes, &mut entries).is_some() {}
    entries
}

fn entry(bytes: &mut Cursor<'_>, into: &mut Vec<(u16, Fact)>) -> Option<()> {
    let (tag, position) = (bytes.u8()?, bytes.u16()?);
    let mut push = |fact| into.push((position, fact));
    match tag {
        1 => {
            push(Fact::Hidden(bytes.array()?));
            push(Fact::Key(bytes.tiny()?.to_vec()));
        }
        2 | 8 => {
            if tag == 8 {
                // The day on which it was set.
                bytes.u16()?;
            }
            for _ in 0..bytes.u16()? {
                push(Fact::Attribute(bytes.u16()?, cell(bytes)?));
            }
        }
        3 => {
            let (event, id, at) = (bytes.u16()?, bytes.u64()?, bytes.i64()?);
            let mut values = Vec::new();
            for _ in 0..bytes.u8()? {
                values.push(cell(bytes)?);
            }
            push(Fact::Event { event, id: Some(id), at: Some(at), values });
        }
        4 | 5 => {
            bytes.take(8)?;
            push(Fact::History(serde_json::from_slice(bytes.short()?).ok()?));
        }
        _ => return None,
    }
    Some(())
}

fn cell(bytes: &mut Cursor<'_>) -> Option<Cell> {
    Some(match bytes.u8()? {
        0 => Cell::Missing,
        1 => Cell::Code(bytes.u16()?),
        2 => Cell::Int(bytes.i64()?),
        3 => Cell::Bytes(bytes.tiny()?.to_vec()),
        _ => return None,
    })
}
