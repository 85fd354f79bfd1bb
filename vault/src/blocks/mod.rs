//! Sealed block files: the folded columns of a dataset, clustered by subject.
//!
//! A block holds [`BLOCK_SUBJECTS`] consecutive ordinals of one dataset and is stored as pieces: its attributes are one
//! piece, each event type is one or more, and the dataset's state (consent, answers, catalog) is one too. A piece is
//! the unit of sealing: an immutable file under a fresh random key, one AES-256-GCM chunk a column, so that a scan
//! reads and opens only the columns it needs; the hidden column has a chunk for every few subjects.
//!
//! Guarantees: a read returns the bytes that were written for exactly this dataset, block, kind, part, version and
//! schema version, or an error that names the piece. A flipped byte, a cut file or a swapped one is never data.
//! Writing is atomic: a crash leaves no file under the final name or a whole one.
//! Does not hide: how many subjects and rows a piece has, and how long its columns are. Does not keep keys: the key
//! of a piece is returned once, to the key tree.

mod column;
#[cfg(feature = "test-util")]
pub(crate) mod decoders;
mod error;
mod events;
mod header;
mod hidden;
mod named;
mod piece;
mod read;
mod reseal;
mod survey;
mod write;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;

pub use column::{ByteRows, code16_rows, encode_bytes, int_rows, u32_rows, u64_rows};
pub use error::BlockError;
pub use events::{EventColumns, write_event_pieces};
#[cfg(test)]
pub(crate) use events::{cut_events, write_event_pieces_of};
pub use hidden::{HIDDEN_PART_SUBJECTS, join_hidden, split_hidden};
pub use named::id_of;
pub use piece::{ColumnKey, PieceKind, PieceMeta, piece_path};
pub use read::{Buffer, Chunk, Piece};
pub(crate) use survey::survey;
pub use write::{Column, Written, split_state, write_piece};

/// Subjects of a block. At 8,192 a coded column is an 8 KiB chunk: sealing costs 0.1 us of set-up on 1 us of work, a
/// scan's buffer for 20 columns (160 KiB) stays in the second-level cache, and erasing a person rewrites little.
pub const BLOCK_SUBJECTS: u32 = 8_192;

/// Bytes of the per-subject secret in the hidden column.
pub const HIDDEN_BYTES: usize = 32;

/// Most plaintext bytes of one part of a state piece.
pub const STATE_PART_BYTES: usize = 1 << 20;

/// Returns the block that holds an ordinal, and the ordinal's place in it.
pub fn block_of(ordinal: u32) -> (u32, u32) {
    (ordinal / BLOCK_SUBJECTS, ordinal % BLOCK_SUBJECTS)
}
