//! One person's rows out of the pieces of a block. A chunk is opened whole, and nobody else's row is copied out of it.
//!
//! Events that came by a link are not the person's own, and are left out: they are read of whoever they are of.
//!
//! Events are read a piece at a time: of someone with a million of them no more than a piece is in memory.

use super::data::{BlockData, Column, EventRows};
use super::history::History;
use super::pieces::{BlockPieces, append};
use super::set_day::SetDay;
use crate::blocks::{BlockError, Buffer, ByteRows, Chunk, ColumnKey, Piece, code16_rows, int_rows, u32_rows, u64_rows};
use policy::schema::{ColumnId, EventType, Layout, Schema};
use std::ops::Range;
use std::sync::Arc;

/// Where an event is among those of its type and subject: time in microseconds, then id.
pub type Place = (i64, u64);

/// Reads the person at a position of a block as a block of one, without events. It is empty when the person is not folded
/// yet.
pub fn read_subject(schema: &Schema, pieces: &BlockPieces, position: u16) -> Result<BlockData, BlockError> {
    let mut data = BlockData::empty(schema);
    let mut buffer = Buffer::default();
    let Some(attributes) = pieces.attributes.as_ref().filter(|piece| u32::from(position) < piece.meta().subjects)
    else {
        return Ok(data);
    };
    read_attributes(schema, attributes, position, &mut buffer, &mut data)?;
    if let Some(piece) = &pieces.consents {
        let history = History::parse(&piece.read_state()?).map_err(|_| piece.unreadable())?;
        data.history = history.of_one(position);
    }
    Ok(data)
}

/// Calls `each` with the id of every event of their own that pieces of one type hold of a person.
pub fn read_event_ids(parts: &[Arc<Piece>], position: u16, mut each: impl FnMut(u64)) -> Result<(), BlockError> {
    let mut buffer = Buffer::default();
    for piece in parts {
        let Some(subject) = subject_in(piece, position) else { continue };
        let chunks = piece.read_columns(&columns(piece, &[ColumnKey::OFFSETS, ColumnKey::EVENT_ID]), &mut buffer)?;
        let range = rows_of(piece, &chunks, subject)?;
        let ids = u64_rows(bytes_of(piece, &chunks, ColumnKey::EVENT_ID)?);
        let own = own_rows(piece, &chunks, range.clone())?;
        ids.skip(range.start).zip(own).filter(|(_, own)| *own).for_each(|(id, _)| each(id));
    }
    Ok(())
}

/// Counts the events of their own that pieces of one type hold of a person.
pub fn count_events(parts: &[Arc<Piece>], position: u16) -> Result<u64, BlockError> {
    let mut buffer = Buffer::default();
    let mut count = 0_u64;
    for piece in parts {
        let Some(subject) = subject_in(piece, position) else { continue };
        let chunks = piece.read_columns(&columns(piece, &[ColumnKey::OFFSETS]), &mut buffer)?;
        let own = own_rows(piece, &chunks, rows_of(piece, &chunks, subject)?)?;
        count = count.saturating_add(own.into_iter().filter(|own| *own).count() as u64);
    }
    Ok(count)
}

/// Reads a person's own events of one type after a place, as many as one piece holds, from the pieces of that type from
/// number `from` on. Returns them with the number of the piece they are of; none when there are no more.
pub fn read_events_after(
    event: &EventType,
    parts: &[Arc<Piece>],
    position: u16,
    (after, from): (Option<Place>, usize),
) -> Result<Option<(EventRows, usize)>, BlockError> {
    let mut buffer = Buffer::default();
    for (number, piece) in parts.iter().enumerate().skip(from) {
        let Some(subject) = subject_in(piece, position) else { continue };
        if !reaches(piece, subject, after, &mut buffer)? {
            continue;
        }
        let mut rows = EventRows::empty(&event.fields);
        read_events(piece, subject, &mut buffer, &mut rows)?;
        rows.remove_copies();
        return Ok(Some((rows, number)));
    }
    Ok(None)
}

/// Says whether a piece holds an event of a subject's own after a place.
fn reaches(piece: &Piece, subject: usize, after: Option<Place>, buffer: &mut Buffer) -> Result<bool, BlockError> {
    let wanted = columns(piece, &[ColumnKey::OFFSETS, ColumnKey::TIME, ColumnKey::EVENT_ID]);
    let chunks = piece.read_columns(&wanted, buffer)?;
    let range = rows_of(piece, &chunks, subject)?;
    let own = own_rows(piece, &chunks, range.clone())?;
    let Some((last, _)) = range.zip(own).rfind(|(_, own)| *own) else { return Ok(false) };
    let at = int_rows(bytes_of(piece, &chunks, ColumnKey::TIME)?).nth(last);
    let id = u64_rows(bytes_of(piece, &chunks, ColumnKey::EVENT_ID)?).nth(last);
    Ok(at.zip(id) > after)
}

fn read_attributes(
    schema: &Schema,
    piece: &Piece,
    position: u16,
    buffer: &mut Buffer,
    data: &mut BlockData,
) -> Result<(), BlockError> {
    let (rows, row) = (piece.meta().subjects as usize, usize::from(position));
    let all = piece.columns().into_iter().map(|(key, _)| key);
    let keys: Vec<ColumnKey> = all.filter(|key| key.column < ColumnKey::FIRST_SPECIAL || key.is_set_day()).collect();
    let chunks = piece.read_columns(&keys, buffer)?;
    for (field, column) in schema.attributes.iter().zip(&mut data.columns) {
        *column = match find(&chunks, ColumnKey::of(field.column)) {
            Some(chunk) => pick(chunk, rows, row..row + 1).ok_or_else(|| piece.unreadable())?,
            // A column that the schema gained after this piece was written.
            None => Column::missing(field.ty.layout(), 1),
        };
    }
    for (field, days) in schema.attributes.iter().zip(&mut data.set_days) {
        let Some(days) = days else { continue };
        *days = match find(&chunks, ColumnKey::set_day(field.column)) {
            Some(chunk) => pick(chunk, rows, row..row + 1).ok_or_else(|| piece.unreadable())?,
            None => Column::missing(SetDay::LAYOUT, 1),
        };
    }
    data.hidden.extend_from_slice(&piece.hidden_of(&[position])?);
    Ok(())
}

/// Returns the number of a subject in a piece, if the piece covers it.
fn subject_in(piece: &Piece, position: u16) -> Option<usize> {
    let meta = piece.meta();
    u32::from(position).checked_sub(meta.first.into()).filter(|at| *at < meta.subjects).map(|at| at as usize)
}

/// Returns the rows of a subject.
fn rows_of(piece: &Piece, chunks: &[Chunk<'_>], subject: usize) -> Result<Range<usize>, BlockError> {
    let mut offsets = u32_rows(bytes_of(piece, chunks, ColumnKey::OFFSETS)?).skip(subject);
    let (Some(from), Some(to)) = (offsets.next(), offsets.next()) else { return Err(piece.unreadable()) };
    if from > to || to > piece.meta().rows {
        return Err(piece.unreadable());
    }
    Ok(from as usize..to as usize)
}

/// Adds the column of marks, if a piece has one.
fn columns(piece: &Piece, wanted: &[ColumnKey]) -> Vec<ColumnKey> {
    let marks = piece.has(ColumnKey::MARK).then_some(ColumnKey::MARK);
    wanted.iter().copied().chain(marks).collect()
}

/// Says of each of some rows whether it is of the subject itself and did not come by a link.
fn own_rows(piece: &Piece, chunks: &[Chunk<'_>], range: Range<usize>) -> Result<Vec<bool>, BlockError> {
    match find(chunks, ColumnKey::MARK) {
        Some(marks) => {
            let marks = marks.bytes.get(range).ok_or_else(|| piece.unreadable())?;
            Ok(marks.iter().map(|mark| *mark == 0).collect())
        }
        None => Ok(vec![true; range.len()]),
    }
}

fn bytes_of<'b>(piece: &Piece, chunks: &[Chunk<'b>], key: ColumnKey) -> Result<&'b [u8], BlockError> {
    find(chunks, key).map(|chunk| chunk.bytes).ok_or_else(|| piece.unreadable())
}

fn read_events(piece: &Piece, subject: usize, buffer: &mut Buffer, rows: &mut EventRows) -> Result<(), BlockError> {
    let missing = || piece.unreadable();
    let chunks = piece.read_all(buffer)?;
    let range = rows_of(piece, &chunks, subject)?;
    let count = piece.meta().rows as usize;
    rows.position.extend(range.clone().map(|_| 0));
    rows.at.extend(int_rows(bytes_of(piece, &chunks, ColumnKey::TIME)?).skip(range.start).take(range.len()));
    rows.id.extend(u64_rows(bytes_of(piece, &chunks, ColumnKey::EVENT_ID)?).skip(range.start).take(range.len()));
    if (rows.at.len(), rows.id.len()) != (rows.position.len(), rows.position.len()) {
        return Err(missing());
    }
    match find(&chunks, ColumnKey::MARK) {
        Some(marks) => rows.mark.extend_from_slice(marks.bytes.get(range.clone()).ok_or_else(missing)?),
        None => rows.mark.extend(range.clone().map(|_| 0)),
    }
    for (index, column) in (0_u16..).zip(&mut rows.columns) {
        let part = match find(&chunks, ColumnKey::of(ColumnId(index))) {
            Some(chunk) => pick(chunk, count, range.clone()).ok_or_else(missing)?,
            None => Column::missing(column.layout(), range.len()),
        };
        append(column, &part);
    }
    Ok(())
}

fn find<'a, 'b>(chunks: &'a [Chunk<'b>], key: ColumnKey) -> Option<&'a Chunk<'b>> {
    chunks.iter().find(|chunk| chunk.key == key)
}

/// Copies some rows of a chunk.
fn pick(chunk: &Chunk<'_>, rows: usize, wanted: Range<usize>) -> Option<Column> {
    let count = wanted.len();
    let column = match chunk.layout {
        Layout::Code8 => Column::Code8(chunk.bytes.get(wanted)?.to_vec()),
        Layout::Code16 => Column::Code16(code16_rows(chunk.bytes).skip(wanted.start).take(count).collect()),
        Layout::Int64 => Column::Int64(int_rows(chunk.bytes).skip(wanted.start).take(count).collect()),
        Layout::Bytes => {
            let all = ByteRows::new(chunk.bytes, rows)?;
            Column::Bytes(wanted.map(|row| all.row(row).map(<[u8]>::to_vec)).collect::<Option<_>>()?)
        }
    };
    (column.len() == count).then_some(column)
}
