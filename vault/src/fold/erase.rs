//! Pieces of a block, written again without some of its people: column by column, as they are stored.
//!
//! Guarantees: a new piece holds nothing of those people but what is held by law. Their rows of attributes stay, missing in
//! every column and zero in the hidden one; their events and their lines of history are gone. Of whom something is held, the
//! hidden bytes stay too, for the leaf that ends the hold. A piece that holds nothing to erase is not written again, but for the
//! attributes.

use super::data::MISSING_INT;
use super::history::History;
use super::pieces::{BlockPieces, CONSENT_HISTORY, NewPiece, Writer};
use crate::blocks::{
    BlockError, Buffer, ByteRows, Chunk, ColumnKey, HIDDEN_BYTES, HIDDEN_PART_SUBJECTS, Piece, PieceMeta, encode_bytes,
    id_of, u32_rows, write_piece,
};
use crate::holds::Held;
use crate::keys::PieceKind;
use policy::schema::{ColumnId, EventTypeId, Layout};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use zeroize::Zeroizing;

/// Bytes of a new column.
type Bytes = Zeroizing<Vec<u8>>;

/// People to erase, by their positions in a block, and what is left of each.
pub type Gone = BTreeMap<u16, Held>;

/// The same by the rows of a piece.
type GoneRows<'g> = BTreeMap<usize, &'g Held>;

impl Writer<'_> {
    /// Writes those pieces of a block again, of the kinds that are wanted, that hold something of the people; `None` if nobody
    /// of them is folded.
    pub fn erase_block(
        &self,
        pieces: &BlockPieces,
        gone: &Gone,
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
            let mut history = History::parse(&piece.read_state()?).map_err(|_| piece.unreadable())?;
            if history.retain(|position| !gone.contains_key(&position)) {
                new.push(self.write_state(piece.meta().block, CONSENT_HISTORY, &history.to_bytes())?);
            }
        }
        Ok(Some(new))
    }

    fn erase_attributes(&self, piece: &Piece, gone: &Gone, buffer: &mut Buffer) -> Result<NewPiece, BlockError> {
        let rows = piece.meta().rows as usize;
        let gone = within(piece, gone);
        let without = |chunk: Chunk<'_>| {
            let bytes = if chunk.key.column == ColumnKey::HIDDEN {
                without_hidden(chunk, &missing(&gone, Held::is_nothing))
            } else {
                let column = chunk.key.schema_column();
                let is_gone = |held: &Held| !column.is_some_and(|column| held.attribute(column));
                without_values(chunk, rows, &missing(&gone, is_gone))
            };
            Ok((chunk.key, chunk.layout, bytes.ok_or_else(|| piece.unreadable())?))
        };
        let columns = piece.read_all(buffer)?.into_iter().map(without).collect::<Result<_, BlockError>>()?;
        self.write_again(*piece.meta(), columns)
    }

    /// Writes an event piece without the rows of some people, and without those fields of the rows that are left which are
    /// not held; `None` if they have nothing to erase in it.
    fn erase_events(&self, piece: &Piece, gone: &Gone, buffer: &mut Buffer) -> Result<Option<NewPiece>, BlockError> {
        let unreadable = || piece.unreadable();
        let PieceKind::Events(event) = id_of(piece.meta()).kind else { return Err(unreadable()) };
        let event = EventTypeId(event);
        let gone = within(piece, gone);
        if gone.is_empty() {
            return Ok(None);
        }
        let offsets = piece.read_columns(&[ColumnKey::OFFSETS], buffer)?;
        let offsets: Vec<usize> =
            offsets.iter().flat_map(|chunk| u32_rows(chunk.bytes)).map(|offset| offset as usize).collect();
        let (kept, new_offsets) = kept_rows(&offsets, &missing(&gone, |held| !held.event(event)));
        let all = piece.meta().rows as usize;
        let rows: usize = kept.iter().map(ExactSizeIterator::len).sum();
        let emptied = |column: ColumnId| {
            let people = missing(&gone, |held| held.event(event) && !held.field(event, column));
            rows_of(&offsets, &people)
        };
        let fields =
            piece.columns().into_iter().map(|(key, _)| key.column).filter(|column| *column < ColumnKey::FIRST_SPECIAL);
        if rows == all && fields.map(ColumnId).all(|column| emptied(column).is_empty()) {
            return Ok(None);
        }
        let without = |chunk: Chunk<'_>| {
            let bytes = match chunk.key {
                ColumnKey::OFFSETS => Some(new_offsets.clone()),
                key if key.column >= ColumnKey::FIRST_SPECIAL => picked(chunk, all, &kept),
                key => match emptied(ColumnId(key.column)) {
                    emptied if emptied.is_empty() => picked(chunk, all, &kept),
                    emptied => without_values(chunk, all, &emptied)
                        .and_then(|bytes| picked(Chunk { bytes: &bytes, ..chunk }, all, &kept)),
                },
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

/// Returns those of some people whom a piece covers, counted from its first.
fn within<'g>(piece: &Piece, gone: &'g Gone) -> GoneRows<'g> {
    let first = usize::from(piece.meta().first);
    let here = first..first + piece.meta().subjects as usize;
    let rows = gone.iter().map(|(position, held)| (usize::from(*position), held));
    rows.filter(|(at, _)| here.contains(at)).map(|(at, held)| (at - first, held)).collect()
}

/// Returns the rows of those of whom something is not left.
fn missing(gone: &GoneRows<'_>, is_gone: impl Fn(&Held) -> bool) -> BTreeSet<usize> {
    gone.iter().filter(|(_, held)| is_gone(held)).map(|(row, _)| *row).collect()
}

/// Returns the rows of events of some people.
fn rows_of(offsets: &[usize], people: &BTreeSet<usize>) -> BTreeSet<usize> {
    let rows = |subject: &usize| Some(*offsets.get(*subject)?..*offsets.get(subject + 1)?);
    people.iter().filter_map(rows).flatten().collect()
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
