//! Cutting the events of a block into pieces.
//!
//! Events of one type are sorted by (subject, time, id). A piece takes consecutive rows, about [`EVENT_PIECE_BYTES`] of
//! them, and prefers to end between two subjects; a subject with more than that spans pieces, and then the next piece
//! begins with the same subject. So a subject's rows are those of consecutive pieces, in order.

use super::column::{ByteRows, encode_bytes};
use super::error::BlockError;
use super::piece::{ColumnKey, PieceKind, PieceMeta};
use super::write::{Column, Written, write_piece};
use crate::disk::Disk;
use policy::schema::{ColumnId, EventTypeId, Layout};
use std::ops::Range;
use std::path::Path;
use zeroize::Zeroizing;

/// Plaintext bytes of an event piece, about: small enough that erasing one person rewrites a quarter of a megabyte,
/// large enough that opening the file is a small part of scanning it.
pub const EVENT_PIECE_BYTES: usize = 256 << 10;

/// The events of one type in one block, sorted by (subject, time, id).
#[derive(Clone, Copy)]
pub struct EventColumns<'a> {
    /// `subjects + 1` row offsets; the first is 0, the last the number of rows.
    pub offsets: &'a [u32],
    /// Microseconds since 1970, eight bytes a row.
    pub times: &'a [u8],
    /// Event ids, eight bytes a row.
    pub ids: &'a [u8],
    /// The fields: all rows of each.
    pub fields: &'a [(ColumnId, Layout, &'a [u8])],
}

impl std::fmt::Debug for EventColumns<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventColumns(..)")
    }
}

/// One piece's share of a block's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventCut {
    /// In-block ordinals covered; all of the block's subjects are covered by some piece.
    pub subjects: Range<usize>,
    /// Rows covered.
    pub rows: Range<usize>,
}

/// Cuts a block's events into pieces of at most about `rows_per_piece` rows. Covers every subject, those without
/// events included; there is always at least one piece.
pub fn cut_events(offsets: &[u32], rows_per_piece: usize) -> Vec<EventCut> {
    let limit = rows_per_piece.max(1);
    let mut cuts = Vec::new();
    let mut first = 0;
    let mut start = 0_usize;
    for (subject, end) in offsets.iter().skip(1).map(|end| *end as usize).enumerate() {
        let begin = offsets.get(subject).map_or(0, |begin| *begin as usize);
        if end - start > limit && begin > start {
            cuts.push(EventCut { subjects: first..subject, rows: start..begin });
            (first, start) = (subject, begin);
        }
        while end - start > limit {
            // Subjects from `first` on up to this one have no rows here.
            cuts.push(EventCut { subjects: first..subject + 1, rows: start..start + limit });
            (first, start) = (subject, start + limit);
        }
    }
    let subjects = offsets.len().saturating_sub(1);
    let rows = offsets.last().map_or(0, |rows| *rows as usize);
    cuts.push(EventCut { subjects: first..subjects, rows: start..rows });
    cuts
}

/// Writes a block's events of one type as pieces `part` 0, 1, ..; `file_no` gives each an unused file number.
/// `base` names dataset, block, version and schema version; the rest of it is set here.
pub fn write_event_pieces(
    disk: &Disk,
    dir: &Path,
    file_no: &mut dyn FnMut() -> u64,
    base: &PieceMeta,
    event: EventTypeId,
    columns: &EventColumns<'_>,
) -> Result<Vec<(u64, PieceMeta, Written)>, BlockError> {
    write_event_pieces_of(EVENT_PIECE_BYTES, disk, dir, file_no, base, event, columns)
}

/// [`write_event_pieces`] with pieces of another size.
pub(crate) fn write_event_pieces_of(
    piece_bytes: usize,
    disk: &Disk,
    dir: &Path,
    file_no: &mut dyn FnMut() -> u64,
    base: &PieceMeta,
    event: EventTypeId,
    columns: &EventColumns<'_>,
) -> Result<Vec<(u64, PieceMeta, Written)>, BlockError> {
    let base = PieceMeta { kind: PieceKind::Events(event), ..*base };
    let rows = columns.offsets.last().map_or(0, |rows| *rows as usize);
    let bytes: usize = columns.fields.iter().map(|(.., bytes)| bytes.len()).sum::<usize>() + rows * 16;
    let row_bytes = bytes.checked_div(rows).unwrap_or(16).max(1);
    let mut written = Vec::new();
    for (part, cut) in cut_events(columns.offsets, piece_bytes / row_bytes).iter().enumerate() {
        let too_many = |_| BlockError::invalid(&base, "too many pieces");
        let meta = PieceMeta {
            part: u16::try_from(part).map_err(too_many)?,
            first: u16::try_from(cut.subjects.start).map_err(too_many)?,
            subjects: u32::try_from(cut.subjects.len()).map_err(too_many)?,
            rows: u32::try_from(cut.rows.len()).map_err(too_many)?,
            ..base
        };
        let file = file_no();
        written.push((file, meta, write_cut(disk, dir, file, &meta, columns, cut)?));
    }
    Ok(written)
}

fn write_cut(
    disk: &Disk,
    dir: &Path,
    file_no: u64,
    meta: &PieceMeta,
    columns: &EventColumns<'_>,
    cut: &EventCut,
) -> Result<Written, BlockError> {
    let short = || BlockError::invalid(meta, "a column is shorter than its rows");
    let offsets = Zeroizing::new(cut_offsets(columns.offsets, cut));
    let mut owned: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    for (_, layout, bytes) in columns.fields {
        if *layout == Layout::Bytes {
            let all = columns.offsets.last().map_or(0, |rows| *rows as usize);
            let rows = ByteRows::new(bytes, all).ok_or_else(short)?;
            let picked = cut.rows.clone().map(|row| rows.row(row).unwrap_or_default());
            owned.push(Zeroizing::new(encode_bytes(picked).ok_or_else(short)?));
        }
    }
    let mut byte_columns = owned.iter();
    let mut list: Vec<Column<'_>> = vec![
        (ColumnKey::OFFSETS, Layout::Bytes, &offsets),
        (ColumnKey::TIME, Layout::Int64, slice_rows(columns.times, cut, 8).ok_or_else(short)?),
        (ColumnKey::EVENT_ID, Layout::Int64, slice_rows(columns.ids, cut, 8).ok_or_else(short)?),
    ];
    for (column, layout, bytes) in columns.fields {
        let bytes = match layout {
            Layout::Code8 => slice_rows(bytes, cut, 1),
            Layout::Code16 => slice_rows(bytes, cut, 2),
            Layout::Int64 => slice_rows(bytes, cut, 8),
            Layout::Bytes => byte_columns.next().map(|bytes| bytes.as_slice()),
        };
        list.push((ColumnKey::of(*column), *layout, bytes.ok_or_else(short)?));
    }
    write_piece(disk, dir, file_no, meta, &list)
}

/// Row offsets of a cut's subjects, relative to the cut and limited to it.
fn cut_offsets(offsets: &[u32], cut: &EventCut) -> Vec<u8> {
    let relative = |offset: &u32| (*offset as usize).clamp(cut.rows.start, cut.rows.end) - cut.rows.start;
    let subjects = offsets.get(cut.subjects.start..=cut.subjects.end).unwrap_or_default();
    // A difference of two u32 fits one.
    subjects.iter().flat_map(|offset| u32::try_from(relative(offset)).unwrap_or(u32::MAX).to_le_bytes()).collect()
}

fn slice_rows<'a>(bytes: &'a [u8], cut: &EventCut, width: usize) -> Option<&'a [u8]> {
    bytes.get(cut.rows.start * width..cut.rows.end * width)
}
