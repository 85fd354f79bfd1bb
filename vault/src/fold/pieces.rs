//! Blocks from and to piece files.

use super::data::{BlockData, Column, EventRows, MISSING_INT};
use super::history::History;
use super::set_day::SetDay;
use crate::blocks::PieceKind;
use crate::blocks::{
    BLOCK_SUBJECTS, BlockError, Buffer, ByteRows, Chunk, ColumnKey, EventColumns, Piece, PieceMeta, Written,
    code16_rows, encode_bytes, int_rows, join_hidden, split_hidden, split_state, u32_rows, u64_rows,
    write_event_pieces, write_piece,
};
use crate::consent::{ConsentBitmaps, StoredBlock};
use crate::disk::Disk;
use crate::keys::{PieceId, PieceKind as Kind};
use policy::schema::{ColumnId, Layout, Schema};
use rayon::prelude::*;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// State piece of a block: its consent history.
pub const CONSENT_HISTORY: u16 = 2;
/// State piece of a block: its consent at the close.
pub const CONSENT_STATE: u16 = 3;

/// The pieces of one version of one block.
#[derive(Debug, Clone, Default)]
pub struct BlockPieces {
    /// Attributes and hidden bytes; none for a block that does not exist yet.
    pub attributes: Option<Arc<Piece>>,
    /// Pieces of each event type, in part order.
    pub events: Vec<Vec<Arc<Piece>>>,
    /// Consent history.
    pub consents: Option<Arc<Piece>>,
    /// Consent at the close; none where nobody decided anything.
    pub consent_state: Option<Arc<Piece>>,
}

impl BlockPieces {
    /// Forgets the pieces of a kind; `events` is how many event types there are.
    pub fn clear(&mut self, kind: Kind, events: usize) {
        match kind {
            Kind::Attributes => self.attributes = None,
            Kind::Events(event) => {
                self.events.resize(events, Vec::new());
                self.events.get_mut(usize::from(event)).into_iter().for_each(Vec::clear);
            }
            Kind::State(CONSENT_HISTORY) => self.consents = None,
            Kind::State(CONSENT_STATE) => self.consent_state = None,
            Kind::State(_) => {}
        }
    }

    /// Adds a piece; parts of a kind come in their order.
    pub fn add(&mut self, kind: Kind, piece: Arc<Piece>, events: usize) {
        match kind {
            Kind::Attributes => self.attributes = Some(piece),
            Kind::Events(event) => {
                self.events.resize(events, Vec::new());
                self.events.get_mut(usize::from(event)).into_iter().for_each(|parts| parts.push(Arc::clone(&piece)));
            }
            Kind::State(CONSENT_HISTORY) => self.consents = Some(piece),
            Kind::State(CONSENT_STATE) => self.consent_state = Some(piece),
            Kind::State(_) => {}
        }
    }

    /// Puts the next version of a piece in the place of the one before.
    pub fn swap(&mut self, id: PieceId, piece: Piece) {
        let piece = Arc::new(piece);
        match id.kind {
            Kind::Events(event) => {
                let parts = self.events.get_mut(usize::from(event)).into_iter().flatten();
                parts.filter(|old| old.meta().part == id.part).for_each(|old| *old = Arc::clone(&piece));
            }
            kind => self.add(kind, piece, self.events.len()),
        }
    }

    /// Takes the pieces of a kind from another version of the block.
    pub fn take_over(&mut self, kind: Kind, from: &Self, events: usize) {
        match kind {
            Kind::Attributes => self.attributes.clone_from(&from.attributes),
            Kind::Events(event) => {
                self.clear(kind, events);
                let parts = from.events.get(usize::from(event)).into_iter().flatten();
                parts.for_each(|piece| self.add(kind, Arc::clone(piece), events));
            }
            Kind::State(CONSENT_HISTORY) => self.consents.clone_from(&from.consents),
            Kind::State(CONSENT_STATE) => self.consent_state.clone_from(&from.consent_state),
            Kind::State(_) => {}
        }
    }
}

/// A piece that was written and is not in the key tree yet.
#[derive(Debug)]
pub struct NewPiece {
    /// Its file number.
    pub file: u64,
    /// Which piece it is.
    pub meta: PieceMeta,
    /// Its key, hash and length.
    pub written: Written,
}

/// Reads a whole block in clear.
pub fn read_block(schema: &Schema, pieces: &BlockPieces) -> Result<BlockData, BlockError> {
    let mut data = BlockData::empty(schema);
    let Some(attributes) = &pieces.attributes else { return Ok(data) };
    let mut buffer = Buffer::default();
    read_attributes(schema, attributes, &mut buffer, &mut data)?;
    for (event, parts) in schema.events.iter().zip(&pieces.events) {
        let Some(rows) = data.events.get_mut(usize::from(event.id.0)) else { continue };
        for piece in parts {
            read_events(piece, &mut buffer, rows)?;
        }
    }
    if let Some(piece) = &pieces.consents {
        data.history = History::parse(&piece.read_state()?).map_err(|_| piece.unreadable())?;
    }
    Ok(data)
}

/// Calls `each` with every subject key of a block, in order of position.
pub fn read_keys(schema: &Schema, piece: &Piece, mut each: impl FnMut(u32, &[u8])) -> Result<(), BlockError> {
    let mut buffer = Buffer::default();
    let subjects = piece.meta().subjects;
    let chunks = piece.read_columns(&[ColumnKey::of(schema.subject_key)], &mut buffer)?;
    for chunk in chunks {
        let rows = ByteRows::new(chunk.bytes, subjects as usize).ok_or_else(|| piece.unreadable())?;
        for position in 0..subjects {
            each(position, rows.row(position as usize).unwrap_or_default());
        }
    }
    Ok(())
}

/// Reads the consent of all blocks, in parallel.
pub fn read_consent(blocks: &[BlockPieces], consent: &mut ConsentBitmaps) -> Result<(), BlockError> {
    let read = |pieces: &BlockPieces| -> Result<Option<StoredBlock>, BlockError> {
        let Some(piece) = &pieces.consent_state else { return Ok(None) };
        StoredBlock::parse(&piece.read_state()?).map(Some).map_err(|_| piece.unreadable())
    };
    let stored: Vec<Option<StoredBlock>> = blocks.par_iter().map(read).collect::<Result<_, _>>()?;
    for (block, stored) in (0_u32..).zip(stored) {
        stored.into_iter().for_each(|stored| consent.put_block(block, stored));
    }
    Ok(())
}

fn read_attributes(
    schema: &Schema,
    piece: &Piece,
    buffer: &mut Buffer,
    data: &mut BlockData,
) -> Result<(), BlockError> {
    take_attributes(schema, piece.meta(), &piece.read_all(buffer)?, data).ok_or_else(|| piece.unreadable())
}

/// Takes the attributes of a piece's opened chunks; `None` if its columns do not fit each other.
pub(super) fn take_attributes(
    schema: &Schema,
    meta: &PieceMeta,
    chunks: &[Chunk<'_>],
    data: &mut BlockData,
) -> Option<()> {
    let rows = meta.subjects as usize;
    for (field, column) in schema.attributes.iter().zip(&mut data.columns) {
        let layout = field.ty.layout();
        *column = match chunks.iter().find(|chunk| chunk.key == ColumnKey::of(field.column)) {
            Some(chunk) => decode(layout, chunk.bytes, rows)?,
            // A column that the schema gained after this piece was written.
            None => Column::missing(layout, rows),
        };
    }
    for (field, days) in schema.attributes.iter().zip(&mut data.set_days) {
        let Some(days) = days else { continue };
        *days = match chunks.iter().find(|chunk| chunk.key == ColumnKey::set_day(field.column)) {
            Some(chunk) => decode(SetDay::LAYOUT, chunk.bytes, rows)?,
            // The attribute is kept for some days since this piece was written.
            None => Column::missing(SetDay::LAYOUT, rows),
        };
    }
    data.hidden = join_hidden(chunks);
    (data.hidden.len() == rows).then_some(())
}

pub(super) fn read_events(piece: &Piece, buffer: &mut Buffer, rows: &mut EventRows) -> Result<(), BlockError> {
    take_events(piece.meta(), &piece.read_all(buffer)?, rows).ok_or_else(|| piece.unreadable())
}

/// Adds the rows of an event piece's opened chunks; `None` if its columns do not fit each other.
pub(super) fn take_events(meta: &PieceMeta, chunks: &[Chunk<'_>], rows: &mut EventRows) -> Option<()> {
    let count = meta.rows as usize;
    let chunk = |key: ColumnKey| chunks.iter().find(|chunk| chunk.key == key).map(|chunk| chunk.bytes);
    let offsets: Vec<u32> = u32_rows(chunk(ColumnKey::OFFSETS)?).collect();
    // Every row is of one subject: a row of nobody would move all rows after it to somebody else.
    let whole = offsets.first() == Some(&0) && offsets.last() == Some(&meta.rows) && offsets.is_sorted();
    let (times, ids) = (int_rows(chunk(ColumnKey::TIME)?), u64_rows(chunk(ColumnKey::EVENT_ID)?));
    if !whole || times.len() != count || ids.len() != count {
        return None;
    }
    for (subject, pair) in offsets.windows(2).enumerate() {
        let [from, to] = pair else { continue };
        let position = u16::try_from(usize::from(meta.first) + subject).ok()?;
        rows.position.extend((*from..*to).map(|_| position));
    }
    rows.at.extend(times);
    rows.id.extend(ids);
    match chunk(ColumnKey::MARK) {
        Some(marks) if marks.len() == count => rows.mark.extend_from_slice(marks),
        Some(_) => return None,
        None => rows.mark.extend(std::iter::repeat_n(0, count)),
    }
    for (index, column) in (0_u16..).zip(&mut rows.columns) {
        let layout = column.layout();
        let part = match chunk(ColumnKey::of(ColumnId(index))) {
            Some(bytes) => decode(layout, bytes, count)?,
            None => Column::missing(layout, count),
        };
        append(column, &part);
    }
    Some(())
}

pub(super) fn append(column: &mut Column, part: &Column) {
    match (column, part) {
        (Column::Code8(all), Column::Code8(part)) => all.extend_from_slice(part),
        (Column::Code16(all), Column::Code16(part)) => all.extend_from_slice(part),
        (Column::Int64(all), Column::Int64(part)) => all.extend_from_slice(part),
        (Column::Bytes(all), Column::Bytes(part)) => all.extend_from_slice(part),
        _ => {}
    }
}

pub(super) fn decode(layout: Layout, bytes: &[u8], rows: usize) -> Option<Column> {
    let column = match layout {
        Layout::Code8 => Column::Code8(bytes.to_vec()),
        Layout::Code16 => Column::Code16(code16_rows(bytes).collect()),
        Layout::Int64 => Column::Int64(int_rows(bytes).collect()),
        Layout::Bytes => {
            let all = ByteRows::new(bytes, rows)?;
            Column::Bytes((0..rows).map(|row| all.row(row).map(<[u8]>::to_vec)).collect::<Option<_>>()?)
        }
    };
    (column.len() == rows).then_some(column)
}

fn encode(column: &Column) -> Option<Zeroizing<Vec<u8>>> {
    Some(Zeroizing::new(match column {
        Column::Code8(codes) => codes.clone(),
        Column::Code16(codes) => codes.iter().flat_map(|code| code.to_le_bytes()).collect(),
        Column::Int64(numbers) => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
        Column::Bytes(rows) => encode_bytes(rows.iter().map(Vec::as_slice))?,
    }))
}

/// Where new pieces go and what they are numbered.
pub struct Writer<'a> {
    /// The disk.
    pub disk: &'a Disk,
    /// Folder of the dataset's pieces.
    pub dir: &'a Path,
    /// Dataset number.
    pub dataset: u32,
    /// Version of the schema.
    pub schema_version: u32,
    /// Gives a file number that was never used; it is also the version.
    pub next_file: &'a (dyn Fn() -> u64 + Sync),
}

impl Writer<'_> {
    fn meta(&self, block: u32, kind: PieceKind, subjects: u32, version: u64) -> PieceMeta {
        let (part, first, rows) = (0, 0, if kind == PieceKind::Attributes { subjects } else { 0 });
        let (dataset, schema_version) = (self.dataset, self.schema_version);
        PieceMeta { dataset, block, kind, part, version, schema_version, first, subjects, rows }
    }

    /// Writes what changed in a block and returns the new pieces. A piece that did not change is not among them.
    pub fn write_block(&self, schema: &Schema, block: u32, data: &mut BlockData) -> Result<Vec<NewPiece>, BlockError> {
        let subjects = u32::try_from(data.subjects()).unwrap_or(BLOCK_SUBJECTS);
        let mut new = Vec::new();
        if data.changed {
            new.push(self.write_attributes(schema, block, subjects, data)?);
        }
        for (event, rows) in schema.events.iter().zip(&mut data.events) {
            if rows.changed {
                rows.normalize();
                let file = (self.next_file)();
                let base = self.meta(block, PieceKind::Events(event.id), subjects, file);
                new.extend(self.write_events(&base, event.id, rows)?);
            }
        }
        if data.history_changed {
            new.push(self.write_state(block, CONSENT_HISTORY, &data.history.to_bytes())?);
        }
        Ok(new)
    }

    fn write_attributes(
        &self,
        schema: &Schema,
        block: u32,
        subjects: u32,
        data: &BlockData,
    ) -> Result<NewPiece, BlockError> {
        let file = (self.next_file)();
        let meta = self.meta(block, PieceKind::Attributes, subjects, file);
        let too_long = || BlockError::unwritable(&meta);
        let mut encoded = Vec::with_capacity(data.columns.len());
        for (field, column) in schema.attributes.iter().zip(&data.columns) {
            encoded.push((ColumnKey::of(field.column), column.layout(), encode(column).ok_or_else(too_long)?));
        }
        for (field, days) in schema.attributes.iter().zip(&data.set_days) {
            let Some(days) = days else { continue };
            encoded.push((ColumnKey::set_day(field.column), days.layout(), encode(days).ok_or_else(too_long)?));
        }
        let mut columns: Vec<_> =
            encoded.iter().map(|(key, layout, bytes)| (*key, *layout, bytes.as_slice())).collect();
        columns.extend(split_hidden(&data.hidden));
        Ok(NewPiece { file, meta, written: write_piece(self.disk, self.dir, file, &meta, &columns)? })
    }

    fn write_events(
        &self,
        base: &PieceMeta,
        event: policy::schema::EventTypeId,
        rows: &EventRows,
    ) -> Result<Vec<NewPiece>, BlockError> {
        let too_long = || BlockError::unwritable(base);
        let mut offsets = vec![0_u32; base.subjects as usize + 1];
        for position in &rows.position {
            let slot = offsets.get_mut(usize::from(*position) + 1).ok_or_else(too_long)?;
            *slot += 1;
        }
        let mut sum = 0_u32;
        for slot in &mut offsets {
            sum = sum.checked_add(*slot).ok_or_else(too_long)?;
            *slot = sum;
        }
        let times: Zeroizing<Vec<u8>> = Zeroizing::new(rows.at.iter().flat_map(|at| at.to_le_bytes()).collect());
        let ids: Zeroizing<Vec<u8>> = Zeroizing::new(rows.id.iter().flat_map(|id| id.to_le_bytes()).collect());
        let mut encoded = Vec::with_capacity(rows.columns.len());
        for (index, column) in (0_u16..).zip(&rows.columns) {
            encoded.push((ColumnId(index), column.layout(), encode(column).ok_or_else(too_long)?));
        }
        // In all pieces of the type or in none, so that no piece of few people tells of its own.
        if rows.mark.iter().any(|mark| *mark > 0) {
            encoded.push((ColumnId(ColumnKey::MARK.column), Layout::Code8, Zeroizing::new(rows.mark.clone())));
        }
        let fields: Vec<_> = encoded.iter().map(|(id, layout, bytes)| (*id, *layout, bytes.as_slice())).collect();
        let columns = EventColumns { offsets: &offsets, times: &times, ids: &ids, fields: &fields };
        let written = write_event_pieces(self.disk, self.dir, &mut || (self.next_file)(), base, event, &columns)?;
        Ok(written.into_iter().map(|(file, meta, written)| NewPiece { file, meta, written }).collect())
    }

    /// Writes opaque bytes as the state piece of this number.
    pub fn write_state(&self, block: u32, state: u16, bytes: &[u8]) -> Result<NewPiece, BlockError> {
        let file = (self.next_file)();
        let meta = PieceMeta { part: state, ..self.meta(block, PieceKind::State, 0, file) };
        Ok(NewPiece { file, meta, written: write_piece(self.disk, self.dir, file, &meta, &split_state(bytes))? })
    }
}

/// Returns the missing mark of eight-byte columns, for readers outside this module.
pub const fn missing_int() -> i64 {
    MISSING_INT
}
