//! Why a piece could not be written or read. Names the piece, never a value in it.

use super::piece::{PieceKind, PieceMeta};

/// Why a piece could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The operating system refused to read.
    #[error("dataset {dataset} block {block} {kind}: {operation} failed: {cause}")]
    Io {
        /// Number of the dataset.
        dataset: u32,
        /// Number of the block.
        block: u32,
        /// Which piece.
        kind: PieceKind,
        /// What was tried.
        operation: &'static str,
        /// What the operating system said.
        cause: std::io::ErrorKind,
    },
    /// The operating system refused to write: nothing stored is damaged.
    #[error("dataset {dataset} block {block} {kind}: {operation} failed: {cause}")]
    Write {
        /// Number of the dataset.
        dataset: u32,
        /// Number of the block.
        block: u32,
        /// Which piece.
        kind: PieceKind,
        /// What was tried.
        operation: &'static str,
        /// What the operating system said.
        cause: String,
    },
    /// The file is not the piece that the key tree names, or not all of it.
    #[error("dataset {dataset} block {block} {kind} is damaged: {problem}")]
    Damaged {
        /// Number of the dataset.
        dataset: u32,
        /// Number of the block.
        block: u32,
        /// Which piece.
        kind: PieceKind,
        /// What is wrong.
        problem: &'static str,
    },
    /// The caller's columns do not fit the piece it describes.
    #[error("dataset {dataset} block {block} {kind} can't be written: {problem}")]
    Invalid {
        /// Number of the dataset.
        dataset: u32,
        /// Number of the block.
        block: u32,
        /// Which piece.
        kind: PieceKind,
        /// What is wrong.
        problem: &'static str,
    },
    /// The operating system gave no randomness.
    #[error(transparent)]
    Random(#[from] crate::keys::RandomUnavailable),
}

impl BlockError {
    pub(super) fn io(meta: &PieceMeta, operation: &'static str, cause: &std::io::Error) -> Self {
        let PieceMeta { dataset, block, kind, .. } = *meta;
        Self::Io { dataset, block, kind, operation, cause: cause.kind() }
    }

    pub(super) fn write(meta: &PieceMeta, operation: &'static str, cause: &std::io::Error) -> Self {
        let PieceMeta { dataset, block, kind, .. } = *meta;
        Self::Write { dataset, block, kind, operation, cause: cause.to_string() }
    }

    pub(super) fn damaged(meta: &PieceMeta, problem: &'static str) -> Self {
        let PieceMeta { dataset, block, kind, .. } = *meta;
        Self::Damaged { dataset, block, kind, problem }
    }

    pub(super) fn invalid(meta: &PieceMeta, problem: &'static str) -> Self {
        let PieceMeta { dataset, block, kind, .. } = *meta;
        Self::Invalid { dataset, block, kind, problem }
    }
}
