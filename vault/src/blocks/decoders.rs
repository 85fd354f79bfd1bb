//! The decoders of piece files and of opened columns, to be fed with anything.

use super::header::{self, ENTRY_BYTES, Entry, FIXED_BYTES};
use super::piece::{ColumnKey, PieceKind, PieceMeta};
use super::{ByteRows, code16_rows, encode_bytes, int_rows, u32_rows, u64_rows};
use policy::schema::{EventTypeId, Layout};

const META: PieceMeta = PieceMeta {
    dataset: 1,
    block: 2,
    kind: PieceKind::Events(EventTypeId(3)),
    part: 0,
    version: 4,
    schema_version: 1,
    first: 0,
    subjects: 3,
    rows: 2,
};

/// Reads a whole piece file's header and directory.
pub(crate) fn piece(bytes: &[u8]) {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_BYTES>() else { return };
    let Ok(chunks) = header::check_fixed(fixed, &META) else { return };
    let Some(directory) = rest.get(..chunks.saturating_mul(ENTRY_BYTES)) else { return };
    let Ok(entries) = header::decode_directory(directory, bytes.len() as u64, &META) else { return };
    let again: Vec<u8> = entries.iter().flat_map(header::encode_entry).collect();
    assert_eq!(again, directory, "a directory has two forms");
}

pub(crate) fn piece_seeds() -> Vec<Vec<u8>> {
    let keys = [ColumnKey::OFFSETS, ColumnKey::TIME, ColumnKey { column: 0, part: 0 }];
    let layouts = [Layout::Bytes, Layout::Int64, Layout::Code8];
    let start = (FIXED_BYTES + keys.len() * ENTRY_BYTES) as u64;
    let entries = (0_u64..).zip(keys).zip(layouts);
    let mut file = header::encode_fixed(&META, 3).to_vec();
    for ((place, key), layout) in entries {
        file.extend(header::encode_entry(&Entry { key, layout, offset: start + place * 32, sealed: 32 }));
    }
    file.resize(file.len() + 3 * 32, 0xAA);
    vec![file]
}

/// Reads opened columns, with as many rows as the first two bytes say.
pub(crate) fn columns(bytes: &[u8]) {
    let Some((rows, column)) = bytes.split_first_chunk::<2>() else { return };
    let rows = usize::from(u16::from_le_bytes(*rows));
    let eights = column.len() / 8;
    assert_eq!((int_rows(column).count(), u64_rows(column).count()), (eights, eights));
    assert_eq!((u32_rows(column).count(), code16_rows(column).count()), (column.len() / 4, column.len() / 2));
    let Some(all) = ByteRows::new(column, rows) else { return };
    let read: Option<Vec<&[u8]>> = (0..rows).map(|row| all.row(row)).collect();
    let Some(again) = read.and_then(|read| encode_bytes(read.iter().copied())) else { return };
    let copy = ByteRows::new(&again, rows);
    assert!((0..rows).all(|row| copy.and_then(|copy| copy.row(row)) == all.row(row)), "a row reads back as another");
}

pub(crate) fn column_seeds() -> Vec<Vec<u8>> {
    let rows: [&[u8]; 3] = [b"one", b"", b"three"];
    let column = encode_bytes(rows.into_iter()).unwrap_or_default();
    vec![[3_u16.to_le_bytes().to_vec(), column].concat()]
}
