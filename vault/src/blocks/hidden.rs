//! The hidden column: [`HIDDEN_BYTES`] random bytes a subject, in parts that are sealed each by itself.
//!
//! A consent event needs the bytes of one person and an audience those of some thousands, so a part is small. Readers name
//! positions and open the parts that these are in, and nothing else.

use super::error::BlockError;
use super::piece::{ColumnKey, PieceMeta};
use super::read::{Buffer, Chunk, Piece};
use super::write::Column;
use super::{BLOCK_SUBJECTS, HIDDEN_BYTES};
use policy::schema::Layout;
use zeroize::Zeroizing;

/// Subjects of a part. At 256 one person's bytes are in 8 KiB, which open in about 1 us (ring, 8 GB/s); a block's 256 KiB in
/// one part took 33 us and as much memory, for each consent event. Smaller parts save little, since opening the file costs
/// several microseconds, and each is 40 bytes of the file.
pub const HIDDEN_PART_SUBJECTS: usize = 256;

const _: () = assert!((BLOCK_SUBJECTS as usize).is_multiple_of(HIDDEN_PART_SUBJECTS), "parts fill a block");

/// The hidden bytes of some people, in the order they were asked for. Wiped on drop.
pub type Hidden = Zeroizing<Vec<[u8; HIDDEN_BYTES]>>;

impl ColumnKey {
    /// Returns the part of the hidden column that a position is in.
    fn hidden_of(position: usize) -> Self {
        // A position in a block fits.
        Self { column: Self::HIDDEN, part: u16::try_from(position / HIDDEN_PART_SUBJECTS).unwrap_or(u16::MAX) }
    }
}

/// Cuts the hidden bytes of a block's subjects into the columns of a piece.
pub fn split_hidden(bytes: &[[u8; HIDDEN_BYTES]]) -> impl Iterator<Item = Column<'_>> {
    let firsts = (0..).step_by(HIDDEN_PART_SUBJECTS);
    let parts = firsts.zip(bytes.chunks(HIDDEN_PART_SUBJECTS));
    parts.map(|(first, part)| (ColumnKey::hidden_of(first), Layout::Bytes, part.as_flattened()))
}

/// Returns the bytes that a part of the hidden column must have.
pub(super) fn part_bytes(meta: &PieceMeta, part: u16) -> usize {
    let before = usize::from(part) * HIDDEN_PART_SUBJECTS;
    (meta.rows as usize).saturating_sub(before).min(HIDDEN_PART_SUBJECTS) * HIDDEN_BYTES
}

/// Joins the parts of the hidden column among the chunks of a piece, in file order.
pub fn join_hidden(chunks: &[Chunk<'_>]) -> Vec<[u8; HIDDEN_BYTES]> {
    let parts = chunks.iter().filter(|chunk| chunk.key.column == ColumnKey::HIDDEN);
    parts.flat_map(|part| part.bytes.as_chunks().0).copied().collect()
}

impl Piece {
    /// Reads the hidden bytes of the people at some positions. Opens the parts they are in, each once if the positions are
    /// sorted.
    pub fn hidden_of(&self, positions: &[u16]) -> Result<Hidden, BlockError> {
        let mut keys: Vec<ColumnKey> = positions.iter().map(|at| ColumnKey::hidden_of(usize::from(*at))).collect();
        keys.dedup();
        let mut buffer = Buffer::default();
        let parts = self.read_columns(&keys, &mut buffer)?;
        let row = |position: &u16| {
            let key = ColumnKey::hidden_of(usize::from(*position));
            let part = parts.iter().find(|part| part.key == key)?;
            part.bytes.as_chunks().0.get(usize::from(*position) % HIDDEN_PART_SUBJECTS).copied()
        };
        let rows: Option<Vec<_>> = positions.iter().map(row).collect();
        rows.map(Zeroizing::new).ok_or_else(|| self.unreadable())
    }
}
