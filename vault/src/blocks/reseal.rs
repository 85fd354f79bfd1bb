//! Sealing a piece again under a fresh key, whatever it holds.

use super::error::BlockError;
use super::piece::PieceMeta;
use super::read::{Buffer, Piece};
use super::write::{Column, Written, write_piece};
use crate::disk::Disk;
use std::path::Path;

impl Piece {
    /// Writes the same columns as the next version of this piece, under a fresh key and in a file of its own, see
    /// [`write_piece`]. The number of the file is the version. The old file stays.
    pub fn reseal(&self, disk: &Disk, dir: &Path, file_no: u64) -> Result<(PieceMeta, Written), BlockError> {
        let mut buffer = Buffer::default();
        let chunks = self.read_all(&mut buffer)?;
        let columns: Vec<Column<'_>> = chunks.iter().map(|chunk| (chunk.key, chunk.layout, chunk.bytes)).collect();
        let meta = PieceMeta { version: file_no, ..*self.meta() };
        Ok((meta, write_piece(disk, dir, file_no, &meta, &columns)?))
    }
}
