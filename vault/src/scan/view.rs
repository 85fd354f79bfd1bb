//! Typed views of opened columns.

use crate::blocks::{BlockError, Buffer, ByteRows, Chunk, ColumnKey, Piece};
use policy::schema::Layout;

/// A column of a piece, ready to be computed with.
#[derive(Debug, Clone, Copy)]
pub(super) enum View<'a> {
    Code8(&'a [u8]),
    Code16(&'a [[u8; 2]]),
    Int64(&'a [[u8; 8]]),
    Bytes(ByteRows<'a>),
    /// The piece is older than the column: every row misses it.
    Absent,
}

impl<'a> View<'a> {
    pub(super) fn of(chunk: &Chunk<'a>, rows: usize) -> Option<Self> {
        match chunk.layout {
            Layout::Code8 => Some(Self::Code8(chunk.bytes)),
            Layout::Code16 => Some(Self::Code16(chunk.bytes.as_chunks().0)),
            Layout::Int64 => Some(Self::Int64(chunk.bytes.as_chunks().0)),
            Layout::Bytes => ByteRows::new(chunk.bytes, rows).map(Self::Bytes),
        }
    }

    /// Returns a row's value as the slow path sees it: `None` is missing. Byte strings become a hash of 128 bits.
    pub(super) fn value(&self, row: usize) -> Option<i128> {
        match self {
            Self::Code8(codes) => codes.get(row).filter(|code| **code != 0).map(|code| i128::from(*code)),
            Self::Code16(codes) => {
                codes.get(row).map(|code| u16::from_le_bytes(*code)).filter(|code| *code != 0).map(i128::from)
            }
            Self::Int64(values) => {
                let value = i64::from_le_bytes(*values.get(row)?);
                (value != i64::MIN).then_some(i128::from(value))
            }
            Self::Bytes(rows) => rows.row(row).filter(|bytes| !bytes.is_empty()).map(byte_hash),
            Self::Absent => None,
        }
    }

    /// Returns a row's dictionary code; 0 for missing, for codes from `cells` on and for columns without codes.
    pub(super) fn code(&self, row: usize, cells: u32) -> u32 {
        let code = match self {
            Self::Code8(codes) => codes.get(row).map_or(0, |code| u32::from(*code)),
            Self::Code16(codes) => codes.get(row).map_or(0, |code| u32::from(u16::from_le_bytes(*code))),
            _ => 0,
        };
        if code < cells { code } else { 0 }
    }
}

/// Returns the number in a row of a number column; 0 for missing.
pub(super) fn number(bytes: &[u8; 8]) -> i64 {
    let value = i64::from_le_bytes(*bytes);
    if value == i64::MIN { 0 } else { value }
}

/// Distinct byte strings are told apart by this; it lives no longer than a scan and never leaves it.
fn byte_hash(bytes: &[u8]) -> i128 {
    use siphasher::sip128::{Hasher128, SipHasher13};
    let mut hasher = SipHasher13::new();
    std::hash::Hasher::write(&mut hasher, bytes);
    i128::from_le_bytes(hasher.finish128().as_bytes())
}

/// Opens columns of a piece, one view for each key. A key the piece lacks gives [`View::Absent`]; at least one column
/// is always opened, so that its header is known to be true.
pub(super) fn open<'b>(piece: &Piece, keys: &[ColumnKey], buffer: &'b mut Buffer) -> Result<Vec<View<'b>>, BlockError> {
    let mut present: Vec<ColumnKey> = keys.iter().copied().filter(|key| piece.has(*key)).collect();
    if present.is_empty() {
        present.extend(piece.columns().first().map(|(key, _)| *key));
    }
    let rows = piece.meta().rows as usize;
    let chunks = piece.read_columns(&present, buffer)?;
    let view = |key: &ColumnKey| match chunks.iter().find(|chunk| chunk.key == *key) {
        Some(chunk) => View::of(chunk, rows).ok_or_else(|| piece.damaged("a column is shorter than its rows")),
        None => Ok(View::Absent),
    };
    keys.iter().map(view).collect()
}
