//! Writing a piece: seal, write aside, fsync, rename.

use super::error::BlockError;
use super::header::{self, Entry};
use super::piece::{ColumnKey, PieceKind, PieceMeta};
use super::{STATE_PART_BYTES, hidden};
use crate::disk::Disk;
use crate::keys::SecretKey;
use crate::keys::limits::{Limit, PIECE, Uses};
use policy::schema::Layout;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use sha2::{Digest, Sha256};
use std::path::Path;
use zeroize::Zeroize;

/// A column to write: its key, its layout and its plaintext. Special columns use [`Layout::Int64`] where a row is
/// eight bytes and [`Layout::Bytes`] otherwise.
pub type Column<'a> = (ColumnKey, Layout, &'a [u8]);

/// A piece that was written, for the key tree.
#[derive(Debug, Clone)]
pub struct Written {
    /// The key it is sealed under.
    pub key: SecretKey,
    /// Hash of the file.
    pub sha256: [u8; 32],
    /// Length of the file in bytes.
    pub bytes: u64,
}

/// Seals columns under a fresh key and writes them as `dir/{file_no:016x}.piece`, which must not be in use: temporary
/// name, fsync, rename. The caller syncs the folder once a batch, and names the piece in the key tree only then.
pub fn write_piece(
    disk: &Disk,
    dir: &Path,
    file_no: u64,
    meta: &PieceMeta,
    columns: &[Column<'_>],
) -> Result<Written, BlockError> {
    check_columns(meta, columns)?;
    let mut order: Vec<&Column<'_>> = columns.iter().collect();
    order.sort_by_key(|(key, layout, _)| (rank(*key, *layout), *key));
    let key = SecretKey::random()?;
    let bytes = seal(meta, &order, &key, PIECE)?;
    store(disk, dir, file_no, meta, &bytes)?;
    Ok(Written { key, sha256: Sha256::digest(&bytes).into(), bytes: bytes.len() as u64 })
}

/// Splits opaque bytes into the columns of a state piece; [`super::Piece::read_state`] joins them.
pub fn split_state(bytes: &[u8]) -> Vec<Column<'_>> {
    let mut parts: Vec<Column<'_>> = (0_u16..)
        .zip(bytes.chunks(STATE_PART_BYTES))
        .map(|(part, bytes)| (ColumnKey { column: 0, part }, Layout::Bytes, bytes))
        .collect();
    if parts.is_empty() {
        parts.push((ColumnKey { column: 0, part: 0 }, Layout::Bytes, bytes));
    }
    parts
}

/// Scanned columns first and next to each other, so that a scan reads one range; identifiers and secrets last.
fn rank(key: ColumnKey, layout: Layout) -> u8 {
    match (key, layout) {
        (ColumnKey::OFFSETS, _) => 0,
        (ColumnKey::TIME, _) => 1,
        (ColumnKey::EVENT_ID, _) => 5,
        (ColumnKey { column: ColumnKey::HIDDEN, .. }, _) => 7,
        (key, _) if key.is_set_day() => 6,
        (_, Layout::Code8) => 2,
        (_, Layout::Code16) => 3,
        (_, Layout::Int64) => 4,
        (_, Layout::Bytes) => 6,
    }
}

fn check_columns(meta: &PieceMeta, columns: &[Column<'_>]) -> Result<(), BlockError> {
    let invalid = |problem| Err(BlockError::invalid(meta, problem));
    if meta.kind == PieceKind::Attributes && meta.rows != meta.subjects {
        return invalid("attributes have one row a subject");
    }
    if u32::from(meta.first) + meta.subjects > super::BLOCK_SUBJECTS {
        return invalid("more subjects than a block has");
    }
    // INVARIANT: keys of a piece are distinct, so a nonce is never used twice under its key.
    let mut keys: Vec<ColumnKey> = columns.iter().map(|(key, ..)| *key).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
        return invalid("a column twice");
    }
    let rows = meta.rows as usize;
    let fits = |(key, layout, bytes): &Column<'_>| match (*key, layout) {
        (ColumnKey { column: ColumnKey::HIDDEN, part }, _) => bytes.len() == hidden::part_bytes(meta, part),
        (ColumnKey::OFFSETS, _) => bytes.len() == (meta.subjects as usize + 1) * 4,
        (_, Layout::Code8) => bytes.len() == rows,
        (_, Layout::Code16) => bytes.len() == rows * 2,
        (_, Layout::Int64) => bytes.len() == rows * 8,
        (_, Layout::Bytes) => meta.kind == PieceKind::State || bytes.len() >= (rows + 1) * 4,
    };
    if columns.iter().all(fits) { Ok(()) } else { invalid("a column's length is not its rows'") }
}

/// Seals a whole file. The key must be fresh: what it may seal is counted from nothing.
pub(super) fn seal(
    meta: &PieceMeta,
    columns: &[&Column<'_>],
    secret: &SecretKey,
    limit: Limit,
) -> Result<Vec<u8>, BlockError> {
    let invalid = |problem| BlockError::invalid(meta, problem);
    let mut uses = Uses::of(limit);
    if columns.iter().any(|(.., bytes)| uses.take(bytes.len()).is_err()) {
        return Err(invalid("more than one key may seal"));
    }
    let chunks = u32::try_from(columns.len()).map_err(|_| invalid("too many columns"))?;
    let fixed = header::encode_fixed(meta, chunks);
    let head = header::FIXED_BYTES + columns.len() * header::ENTRY_BYTES;
    let sealed: usize = columns.iter().map(|(.., bytes)| bytes.len() + header::TAG_BYTES).sum();
    // Reserved in full: the vector never moves, so no plaintext stays behind in freed memory.
    let mut file = Vec::with_capacity(head + sealed);
    file.extend_from_slice(&fixed);
    let mut offset = head as u64;
    for (key, layout, bytes) in columns {
        let sealed = (bytes.len() + header::TAG_BYTES) as u64;
        file.extend_from_slice(&header::encode_entry(&Entry { key: *key, layout: *layout, offset, sealed }));
        offset += sealed;
    }
    let digest = header::digest(&fixed, file.get(header::FIXED_BYTES..).unwrap_or_default());
    let cipher = cipher(secret).ok_or_else(|| invalid("the cipher refused its key"))?;
    for (key, layout, bytes) in columns {
        let start = file.len();
        file.extend_from_slice(bytes);
        let aad = header::aad(&digest, *key, *layout);
        #[cfg(test)]
        crate::keys::witness::sealed("a piece", secret.expose(), &header::nonce(*key), &aad, bytes);
        let tag = file.get_mut(start..).and_then(|chunk| seal_chunk(&cipher, header::nonce(*key), &aad, chunk));
        let Some(tag) = tag else {
            file.zeroize();
            return Err(invalid("the cipher refused a column"));
        };
        file.extend_from_slice(tag.as_ref());
    }
    Ok(file)
}

/// Seals in place and returns the tag.
pub(super) fn seal_chunk(cipher: &LessSafeKey, nonce: [u8; 12], aad: &[u8], chunk: &mut [u8]) -> Option<Tag> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    cipher.seal_in_place_separate_tag(nonce, Aad::from(aad), chunk).ok()
}

pub(super) fn cipher(key: &SecretKey) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key.expose()).ok().map(LessSafeKey::new)
}

fn store(disk: &Disk, dir: &Path, file_no: u64, meta: &PieceMeta, bytes: &[u8]) -> Result<(), BlockError> {
    let aside = dir.join(format!("{file_no:016x}.tmp"));
    let name = dir.join(format!("{file_no:016x}.piece"));
    let io = |operation| move |cause: std::io::Error| BlockError::write(meta, operation, &cause);
    let file = disk.write_whole(&aside, bytes).map_err(io("write"))?;
    disk.sync(&aside, &file).map_err(io("fsync"))?;
    disk.rename(&aside, &name).map_err(io("rename"))
}
