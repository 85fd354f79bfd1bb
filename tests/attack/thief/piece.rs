//! Pieces of blocks, wherever they lie, and what an opened one says of each person.

use super::bytes::{Cursor, places};
use super::cipher::{self, Key};
use super::consent;
use super::fact::{Cell, Fact};
use super::history;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

const MAGIC: &[u8] = b"SLHPIECE";
const FIXED: usize = 52;
const LINE: usize = 24;
const HIDDEN: u16 = 0xFFFF;
const OFFSETS: u16 = 0xFFFE;
const TIME: u16 = 0xFFFD;
const EVENT_ID: u16 = 0xFFFC;
const BLOCK_SUBJECTS: u32 = 8_192;
const HIDDEN_PART_SUBJECTS: u32 = 256;

/// A piece as it lies on a disk: the chunks of it that are whole.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Piece {
    header: Header,
    digest: [u8; 32],
    chunks: Vec<Chunk>,
}

/// What the clear header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Header {
    /// 0 attributes, 1 events, 2 state.
    kind: u8,
    event: u16,
    dataset: u32,
    block: u32,
    first: u32,
    subjects: u32,
    rows: u32,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Chunk {
    column: u16,
    part: u16,
    layout: u8,
    sealed: Vec<u8>,
}

/// An opened piece.
#[derive(Debug)]
pub struct Opened {
    header: Header,
    /// By (column, part): layout and plaintext.
    columns: BTreeMap<(u16, u16), (u8, Vec<u8>)>,
    /// What it says of consents by position, if it is a state of them or a history.
    consents: HashMap<u32, Vec<Fact>>,
}

/// Every piece in a file, at any offset; one that is cut counts with what is left of it.
pub fn carve(file: &[u8]) -> Vec<(usize, Piece)> {
    places(file, MAGIC).into_iter().filter_map(|at| Some((at, piece(file.get(at..)?)?))).collect()
}

fn piece(file: &[u8]) -> Option<Piece> {
    let mut fields = Cursor(file.get(10..FIXED)?);
    let kind = fields.u8()?;
    fields.take(1)?;
    let event = fields.u16()?;
    fields.take(2)?;
    let (dataset, block) = (fields.u32()?, fields.u32()?);
    fields.take(8 + 4)?;
    let (first, subjects, rows) = (fields.u32()?, fields.u32()?, fields.u32()?);
    let count = usize::try_from(fields.u32()?).ok()?;
    let directory = file.get(FIXED..FIXED.checked_add(count.checked_mul(LINE)?)?)?;
    let digest = Sha256::new().chain_update(&file[..FIXED]).chain_update(directory).finalize().into();
    let header = Header { kind, event, dataset, block, first, subjects, rows };
    let chunks: Vec<Chunk> = directory.chunks_exact(LINE).filter_map(|line| chunk(file, line)).collect();
    (!chunks.is_empty()).then_some(Piece { header, digest, chunks })
}

fn chunk(file: &[u8], line: &[u8]) -> Option<Chunk> {
    let mut fields = Cursor(line);
    let (column, part, layout) = (fields.u16()?, fields.u16()?, fields.u8()?);
    fields.take(3)?;
    let (offset, length) = (usize::try_from(fields.u64()?).ok()?, usize::try_from(fields.u64()?).ok()?);
    let sealed = file.get(offset..offset.checked_add(length)?)?.to_vec();
    Some(Chunk { column, part, layout, sealed })
}

impl Chunk {
    fn open(&self, digest: &[u8; 32], key: &Key) -> Option<Vec<u8>> {
        let (column, part) = (self.column.to_le_bytes(), self.part.to_le_bytes());
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&[column, part].concat());
        let aad = [&digest[..], &column, &part, &[self.layout]].concat();
        cipher::open(key, nonce, &aad, &self.sealed)
    }
}

impl Piece {
    /// Tries a key on the shortest chunk, and if it fits, on all.
    pub fn open(&self, key: &Key) -> Option<Opened> {
        self.chunks.iter().min_by_key(|chunk| chunk.sealed.len())?.open(&self.digest, key)?;
        let open = |chunk: &Chunk| Some(((chunk.column, chunk.part), (chunk.layout, chunk.open(&self.digest, key)?)));
        let columns = self.chunks.iter().filter_map(open).collect();
        let consents = if self.header.kind == 2 { consents(&columns) } else { HashMap::new() };
        Some(Opened { header: self.header, columns, consents })
    }
}

/// Reads a state of consents, or a history, in columns or as older versions wrote it: length-prefixed JSON of (position,
/// leaf, event). Parts follow each other.
fn consents(columns: &BTreeMap<(u16, u16), (u8, Vec<u8>)>) -> HashMap<u32, Vec<Fact>> {
    let state: Vec<u8> = columns.values().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    if let Some(decided) = consent::read(&state) {
        let facts = |purposes: Vec<String>| purposes.into_iter().map(Fact::Decided).collect();
        return decided.into_iter().map(|(position, purposes)| (position, facts(purposes))).collect();
    }
    if let Some(told) = history::read(&state) {
        let facts = |events: Vec<serde_json::Value>| events.into_iter().map(Fact::History).collect();
        return told.into_iter().map(|(position, events)| (position, facts(events))).collect();
    }
    let mut found: HashMap<u32, Vec<Fact>> = HashMap::new();
    let mut entries = Cursor(&state);
    while let Some(json) = entries.long() {
        if let Ok((position, _, event)) = serde_json::from_slice::<(u32, u64, serde_json::Value)>(json) {
            found.entry(position).or_default().push(Fact::History(event));
        }
    }
    found
}

impl Opened {
    /// All that was in it.
    pub fn plaintexts(&self) -> impl Iterator<Item = &[u8]> {
        self.columns.values().map(|(_, bytes)| bytes.as_slice())
    }

    /// What it says of one person.
    pub fn facts(&self, dataset: u32, ordinal: u32, into: &mut Vec<Fact>) {
        if (self.header.dataset, self.header.block) != (dataset, ordinal / BLOCK_SUBJECTS) {
            return;
        }
        let position = ordinal % BLOCK_SUBJECTS;
        match self.header.kind {
            0 => self.attributes(position, into),
            1 => self.events(position, into),
            _ => into.extend(self.consents.get(&position).into_iter().flatten().cloned()),
        }
    }

    fn attributes(&self, position: u32, into: &mut Vec<Fact>) {
        let rows = self.header.rows;
        for ((column, part), (layout, bytes)) in &self.columns {
            let hidden = || {
                let row = position.checked_sub(HIDDEN_PART_SUBJECTS * u32::from(*part))?;
                let row = (row < HIDDEN_PART_SUBJECTS).then_some(row)?;
                bytes.chunks_exact(32).nth(row as usize)
            };
            into.extend(match *column {
                HIDDEN => hidden().map(|hidden| Fact::Hidden(hidden.try_into().unwrap())),
                column => cell(*layout, bytes, rows, position).map(|cell| Fact::Attribute(column, cell)),
            });
        }
    }

    fn events(&self, position: u32, into: &mut Vec<Fact>) {
        let column = |column: u16| self.columns.get(&(column, 0)).map(|(_, bytes)| bytes.as_slice());
        let Some(subject) = position.checked_sub(self.header.first) else { return };
        let numbers = |column: Option<&[u8]>, row: u32| {
            let bytes = column?.chunks_exact(8).nth(row as usize)?;
            Some(i64::from_le_bytes(bytes.try_into().unwrap()))
        };
        let offset = |at: u32| Cursor(column(OFFSETS)?.get(4 * at as usize..)?).u32();
        let (Some(from), Some(to)) = (offset(subject), offset(subject + 1)) else { return };
        for row in from..to.min(self.header.rows) {
            let fields = self.columns.iter().filter(|((column, _), _)| *column < EVENT_ID);
            let cells = fields.filter_map(|((_, _), (layout, bytes))| cell(*layout, bytes, self.header.rows, row));
            into.push(Fact::Event {
                event: self.header.event,
                id: numbers(column(EVENT_ID), row).map(i64::cast_unsigned),
                at: numbers(column(TIME), row),
                values: cells.collect(),
            });
        }
    }

    /// Every identifier of every person in it.
    pub fn identifiers(&self) -> impl Iterator<Item = &[u8]> {
        let rows = self.header.rows;
        let columns = self
            .columns
            .iter()
            .filter(|((column, _), (layout, _))| self.header.kind == 0 && *layout == 3 && *column != HIDDEN);
        columns.flat_map(move |(_, (_, bytes))| (0..rows).filter_map(move |row| bytes_row(bytes, rows, row)))
    }
}

fn cell(layout: u8, bytes: &[u8], rows: u32, row: u32) -> Option<Cell> {
    let at = row as usize;
    Some(match layout {
        0 => code((*bytes.get(at)?).into()),
        1 => code(Cursor(bytes.get(2 * at..)?).u16()?),
        2 => match Cursor(bytes.get(8 * at..)?).i64()? {
            i64::MIN => Cell::Missing,
            number => Cell::Int(number),
        },
        _ => match bytes_row(bytes, rows, row)? {
            [] => Cell::Missing,
            value => Cell::Bytes(value.to_vec()),
        },
    })
}

fn code(code: u16) -> Cell {
    if code == 0 { Cell::Missing } else { Cell::Code(code) }
}

/// A row of a byte column: offsets of all rows and one more, then the bytes.
fn bytes_row(column: &[u8], rows: u32, row: u32) -> Option<&[u8]> {
    let (offsets, bytes) = column.split_at_checked(4 * (rows as usize + 1))?;
    let offset = |at: u32| Cursor(offsets.get(4 * at as usize..)?).u32().map(|offset| offset as usize);
    bytes.get(offset(row)?..offset(row + 1)?)
}
