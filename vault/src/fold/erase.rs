//! Pieces of a block, written again without some of its people: column by column, as they are stored.
//!
//! Guarantees: a new piece holds nothing of those people. Their rows of attributes stay, missing in every column and zero in
//! the hidden one; their events and their lines of history are gone. A piece that holds nothing of them is not written
//! again: of events, only those pieces in which they have a row.

use super::data::{MISSING_INT, pick_history};
use super::pieces::{BlockPieces, CONSENT_HISTORY, NewPiece, Writer};
use crate::blocks::{
    BlockError, Buffer, ByteRows, Chunk, ColumnKey, HIDDEN_BYTES, HIDDEN_PART_SUBJECTS, Piece, PieceMeta, encode_bytes,
    id_of, u32_rows, write_piece,
};
use crate::keys::PieceKind;
use policy::schema::Layout;
use std::collections::BTreeSet;
use std::ops::Range;
use zeroize::Zeroizing;

/// Bytes of a new column.
type Bytes = Zeroizing<Vec<u8>>;

impl Writer<'_> {
    /// Writes those pieces of a block again, of the kinds that are wanted, that hold something of some positions; `None` if
    /// nobody of them is folded.
    pub fn erase_block(
        &self,
        pieces: &BlockPieces,
        gone: &BTreeSet<u16>,
        wanted: impl Fn(PieceKind) -> bool,
    ) -> Result<Option<Vec<NewPiece>>, BlockError> {
        let Some(attributes) = pieces.attributes.as_ref().filter(|piece| !within(piece, gone).is_empty()) else {
            return Ok(None);
        };
        let (mut new, mut buffer) = (Vec::new(), Buffer::default());
        if wanted(PieceKind::Attributes) {
            new.push(self.erase_attributes(attributes, gone, &mut buffer)?);
        }
        for piece in pieces.events.iter().flatten().filter(|piece| wanted(id_of(piece.meta()).kind)) {
            new.extend(self.erase_events(piece, gone, &mut buffer)?);
        }
        if let Some(piece) = pieces.consents.as_ref().filter(|_| wanted(PieceKind::State(CONSENT_HISTORY))) {
            let history = piece.read_state()?;
            let kept = pick_history(&history, |position| !gone.contains(&position)).map(Zeroizing::new);
            let kept = kept.map_err(|_| piece.unreadable())?;
            if kept.len() < history.len() {
                new.push(self.write_state(piece.meta().block, CONSENT_HISTORY, &kept)?);
            }
        }
        Ok(Some(new))
    }

    fn erase_attributes(
        &self,
        piece: &Piece,
        gone: &BTreeSet<u16>,
        buffer: &mut Buffer,
    ) -> Result<NewPiece, BlockError> {
        let rows = piece.meta().rows as usize;
        let gone = within(piece, gone);
        let without = |chunk: Chunk<'_>| {
            let bytes = if chunk.key.column == ColumnKey::HIDDEN {
                without_hidden(chunk, &gone)
            } else {
                without_values(chunk, rows, &gone)
            };
            Ok((chunk.key, chunk.layout, bytes.ok_or_else(|| piece.unreadable())?))
        };
        let columns = piece.read_all(buffer)?.into_iter().map(without).collect::<Result<_, BlockError>>()?;
        self.write_again(*piece.meta(), columns)
    }

    /// Writes an event piece without the rows of some people; `None` if they have none in it.
    fn erase_events(
        &self,
        piece: &Piece,
        gone: &BTreeSet<u16>,
        buffer: &mut Buffer,
    ) -> Result<Option<NewPiece>, BlockError> {
        let unreadable = || piece.unreadable();
        let gone = within(piece, gone);
        if gone.is_empty() {
            return Ok(None);
        }
        let offsets = piece.read_columns(&[ColumnKey::OFFSETS], buffer)?;
        let offsets: Vec<usize> =
            offsets.iter().flat_map(|chunk| u32_rows(chunk.bytes)).map(|offset| offset as usize).collect();
        let (kept, new_offsets) = kept_rows(&offsets, &gone);
        let rows: usize = kept.iter().map(ExactSizeIterator::len).sum();
        if rows == piece.meta().rows as usize {
            return Ok(None);
        }
        let without = |chunk: Chunk<'_>| {
            let bytes = match chunk.key {
                ColumnKey::OFFSETS => Some(new_offsets.clone()),
                _ => picked(chunk, piece.meta().rows as usize, &kept),
            };
            Ok((chunk.key, chunk.layout, bytes.ok_or_else(unreadable)?))
        };
        let columns = piece.read_all(buffer)?.into_iter().map(without).collect::<Result<_, BlockError>>()?;
        let rows = u32::try_from(rows).map_err(|_| unreadable())?;
        self.write_again(PieceMeta { rows, ..*piece.meta() }, columns).map(Some)
    }

    /// Writes the next version of a piece, under the description that the columns are of.
    fn write_again(&self, meta: PieceMeta, columns: Vec<(ColumnKey, Layout, Bytes)>) -> Result<NewPiece, BlockError> {
        let file = (self.next_file)();
        let meta = PieceMeta { version: file, ..meta };
        let columns: Vec<_> = columns.iter().map(|(key, layout, bytes)| (*key, *layout, bytes.as_slice())).collect();
        Ok(NewPiece { file, meta, written: write_piece(self.disk, self.dir, file, &meta, &columns)? })
    }
}

/// Returns those of some positions that a piece covers, counted from its first.
fn within(piece: &Piece, gone: &BTreeSet<u16>) -> BTreeSet<usize> {
    let first = usize::from(piece.meta().first);
    let here = first..first + piece.meta().subjects as usize;
    gone.iter().map(|position| usize::from(*position)).filter(|at| here.contains(at)).map(|at| at - first).collect()
}

fn without_hidden(chunk: Chunk<'_>, gone: &BTreeSet<usize>) -> Option<Bytes> {
    let first = usize::from(chunk.key.part) * HIDDEN_PART_SUBJECTS;
    let mut bytes = Zeroizing::new(chunk.bytes.to_vec());
    for row in gone.range(first..first + HIDDEN_PART_SUBJECTS) {
        bytes.as_chunks_mut().0.get_mut(row - first).map(|hidden| *hidden = [0; HIDDEN_BYTES])?;
    }
    Some(bytes)
}

/// Copies a column of attributes with some rows missing.
fn without_values(chunk: Chunk<'_>, rows: usize, gone: &BTreeSet<usize>) -> Option<Bytes> {
    let missing: &[u8] = match chunk.layout {
        Layout::Code8 => &[0],
        Layout::Code16 => &[0, 0],
        Layout::Int64 => &MISSING_INT.to_le_bytes(),
        Layout::Bytes => {
            let all = ByteRows::new(chunk.bytes, rows)?;
            let row = |row| if gone.contains(&row) { Some(&[][..]) } else { all.row(row) };
            let kept: Option<Vec<&[u8]>> = (0..rows).map(row).collect();
            return encode_bytes(kept?.into_iter()).map(Zeroizing::new);
        }
    };
    let mut bytes = Zeroizing::new(chunk.bytes.to_vec());
    for row in gone {
        let start = row * missing.len();
        bytes.get_mut(start..start + missing.len())?.copy_from_slice(missing);
    }
    Some(bytes)
}

/// Returns the rows of those who stay, neighbors joined, and the offsets of all subjects into them, as they are stored.
fn kept_rows(offsets: &[usize], gone: &BTreeSet<usize>) -> (Vec<Range<usize>>, Bytes) {
    let mut kept: Vec<Range<usize>> = Vec::new();
    let mut count = 0_u32;
    let mut new = Zeroizing::new(Vec::with_capacity(offsets.len() * 4));
    new.extend_from_slice(&count.to_le_bytes());
    for (subject, pair) in offsets.windows(2).enumerate() {
        let [from, to] = pair else { continue };
        if !gone.contains(&subject) {
            match kept.last_mut().filter(|last| last.end == *from) {
                Some(last) => last.end = *to,
                None => kept.push(*from..*to),
            }
            // The rows of a piece fit, and so do fewer.
            count = count.saturating_add(u32::try_from(to.saturating_sub(*from)).unwrap_or(u32::MAX));
        }
        new.extend_from_slice(&count.to_le_bytes());
    }
    (kept, new)
}

/// Copies some rows of a column of events.
fn picked(chunk: Chunk<'_>, rows: usize, kept: &[Range<usize>]) -> Option<Bytes> {
    let width = match chunk.layout {
        Layout::Code8 => 1,
        Layout::Code16 => 2,
        Layout::Int64 => 8,
        Layout::Bytes => {
            let all = ByteRows::new(chunk.bytes, rows)?;
            let picked: Option<Vec<&[u8]>> = kept.iter().cloned().flatten().map(|row| all.row(row)).collect();
            return encode_bytes(picked?.into_iter()).map(Zeroizing::new);
        }
    };
    // Reserved in full: the vector never moves, so no plaintext stays behind in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(chunk.bytes.len()));
    for range in kept {
        bytes.extend_from_slice(chunk.bytes.get(range.start * width..range.end * width)?);
    }
    Some(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
