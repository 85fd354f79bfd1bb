//! One person's rows out of the pieces of a block. A chunk is opened whole, and nobody else's row is copied out of it.

use super::data::{BlockData, Column, EventRows, pick_history};
use super::pieces::{BlockPieces, append};
use super::set_day::SetDay;
use crate::blocks::{BlockError, Buffer, ByteRows, Chunk, ColumnKey, Piece, code16_rows, int_rows, u32_rows, u64_rows};
use policy::schema::{ColumnId, Layout, Schema};
use std::ops::Range;

/// Reads the person at a position of a block as a block of one. It is empty when the person is not folded yet.
pub fn read_subject(schema: &Schema, pieces: &BlockPieces, position: u16) -> Result<BlockData, BlockError> {
    let mut data = BlockData::empty(schema);
    let mut buffer = Buffer::default();
    let Some(attributes) = pieces.attributes.as_ref().filter(|piece| u32::from(position) < piece.meta().subjects)
    else {
        return Ok(data);
    };
    read_attributes(schema, attributes, position, &mut buffer, &mut data)?;
    for (event, parts) in schema.events.iter().zip(&pieces.events) {
        let Some(rows) = data.events.get_mut(usize::from(event.id.0)) else { continue };
        for piece in parts {
            read_events(piece, position, &mut buffer, rows)?;
        }
    }
    if let Some(piece) = &pieces.consents {
        let history = piece.read_state()?;
        data.consents = pick_history(&history, |of| of == position).map_err(|_| piece.unreadable())?;
    }
    Ok(data)
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

fn read_events(piece: &Piece, position: u16, buffer: &mut Buffer, rows: &mut EventRows) -> Result<(), BlockError> {
    let meta = *piece.meta();
    let Some(subject) = u32::from(position).checked_sub(meta.first.into()).filter(|at| *at < meta.subjects) else {
        return Ok(());
    };
    let missing = || piece.unreadable();
    let chunks = piece.read_all(buffer)?;
    let chunk = |key: ColumnKey| find(&chunks, key).ok_or_else(missing);
    let mut offsets = u32_rows(chunk(ColumnKey::OFFSETS)?.bytes).skip(subject as usize);
    let (Some(from), Some(to)) = (offsets.next(), offsets.next()) else { return Err(missing()) };
    let (range, count) = (from as usize..to as usize, meta.rows as usize);
    rows.position.extend(range.clone().map(|_| 0));
    rows.at.extend(int_rows(chunk(ColumnKey::TIME)?.bytes).skip(range.start).take(range.len()));
    rows.id.extend(u64_rows(chunk(ColumnKey::EVENT_ID)?.bytes).skip(range.start).take(range.len()));
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
