//! Opening a piece by the name that the key tree keeps, the rest read from its header.
//!
//! The key tree names dataset, block, kind, part and version; schema version, rows and subjects are in the clear header,
//! which every chunk authenticates: a changed one opens no chunk.

use super::error::BlockError;
use super::header::FIXED_BYTES;
use super::piece::{PieceKind, PieceMeta};
use super::read::Piece;
use crate::keys::{self, PieceId, SecretKey};
use policy::schema::EventTypeId;
use std::io::Read;
use std::path::Path;

/// Part numbers of state pieces say which state it is.
fn kind_and_part(id: &PieceId) -> (PieceKind, u16) {
    match id.kind {
        keys::PieceKind::Attributes => (PieceKind::Attributes, id.part),
        keys::PieceKind::Events(event) => (PieceKind::Events(EventTypeId(event)), id.part),
        keys::PieceKind::State(state) => (PieceKind::State, state),
    }
}

/// Names a piece in the key tree.
pub fn id_of(meta: &PieceMeta) -> PieceId {
    let (kind, part) = match meta.kind {
        PieceKind::Attributes => (keys::PieceKind::Attributes, meta.part),
        PieceKind::Events(event) => (keys::PieceKind::Events(event.0), meta.part),
        PieceKind::State => (keys::PieceKind::State(meta.part), 0),
    };
    PieceId { dataset: meta.dataset, block: meta.block, kind, part }
}

impl Piece {
    /// Opens the piece that the key tree names.
    pub fn open_named(path: &Path, key: SecretKey, id: &PieceId, version: u64) -> Result<Self, BlockError> {
        let (kind, part) = kind_and_part(id);
        let mut meta = PieceMeta {
            dataset: id.dataset,
            block: id.block,
            kind,
            part,
            version,
            schema_version: 0,
            first: 0,
            subjects: 0,
            rows: 0,
        };
        let mut head = [0; FIXED_BYTES];
        let mut file = std::fs::File::open(path).map_err(|error| BlockError::io(&meta, "open", &error))?;
        file.read_exact(&mut head).map_err(|error| BlockError::io(&meta, "read", &error))?;
        let number = |at: usize| {
            let bytes = head.get(at..at.saturating_add(4)).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u32::from_le_bytes)
        };
        meta.schema_version = number(32);
        meta.first = u16::try_from(number(36)).unwrap_or(u16::MAX);
        meta.subjects = number(40);
        meta.rows = number(44);
        Self::open(path, key, &meta)
    }

    /// Says that this piece opened and does not hold what its kind must hold.
    pub fn unreadable(&self) -> BlockError {
        BlockError::damaged(self.meta(), "its columns do not fit each other")
    }
}

impl BlockError {
    /// Says that columns are too long for a piece.
    pub fn unwritable(meta: &PieceMeta) -> Self {
        Self::invalid(meta, "its columns are too long")
    }
}
