//! The clear header of a piece: fixed part, then the chunk directory. Little endian throughout.
//!
//! ```text
//! 0  magic "SLHPIECE"   8  format u16 = 1   10 kind u8   11 zero u8   12 event type u16   14 part u16
//! 16 dataset u32        20 block u32        24 piece version u64      32 schema version u32
//! 36 first u16          38 zero u16         40 subjects u32           44 rows u32         48 chunks u32
//! 52 chunk directory: column u16, part u16, layout u8, 3 zero bytes, offset u64, sealed length u64
//! ```
//! Offsets count from the start of the file. The additional data of every chunk is the SHA-256 of the whole header,
//! directory included, then column, part and layout: nothing in it can be changed, not even to hide a column.

use super::error::BlockError;
use super::piece::{ColumnKey, PieceKind, PieceMeta};
use policy::schema::Layout;
use sha2::{Digest, Sha256};

pub(super) const FIXED_BYTES: usize = 52;
pub(super) const ENTRY_BYTES: usize = 24;
pub(super) const AAD_BYTES: usize = DIGEST_BYTES + 5;
pub(super) const DIGEST_BYTES: usize = 32;
pub(super) const TAG_BYTES: usize = 16;
const MAGIC: &[u8; 8] = b"SLHPIECE";
const FORMAT: u16 = 1;

/// More columns than any schema has; keeps a damaged count from asking for memory.
const MAX_CHUNKS: usize = 1 << 16;

/// One line of the chunk directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: ColumnKey,
    pub(super) layout: Layout,
    pub(super) offset: u64,
    pub(super) sealed: u64,
}

/// Encodes the fixed part.
pub(super) fn encode_fixed(meta: &PieceMeta, chunks: u32) -> [u8; FIXED_BYTES] {
    let (kind, event) = match meta.kind {
        PieceKind::Attributes => (0_u8, 0_u16),
        PieceKind::Events(event) => (1, event.0),
        PieceKind::State => (2, 0),
    };
    let mut bytes = Writer::<FIXED_BYTES>::default();
    bytes.put(MAGIC);
    bytes.put(&FORMAT.to_le_bytes());
    bytes.put(&[kind, 0]);
    bytes.put(&event.to_le_bytes());
    bytes.put(&meta.part.to_le_bytes());
    bytes.put(&meta.dataset.to_le_bytes());
    bytes.put(&meta.block.to_le_bytes());
    bytes.put(&meta.version.to_le_bytes());
    bytes.put(&meta.schema_version.to_le_bytes());
    bytes.put(&meta.first.to_le_bytes());
    bytes.put(&[0, 0]);
    bytes.put(&meta.subjects.to_le_bytes());
    bytes.put(&meta.rows.to_le_bytes());
    bytes.put(&chunks.to_le_bytes());
    bytes.bytes
}

/// Encodes one directory line.
pub(super) fn encode_entry(entry: &Entry) -> [u8; ENTRY_BYTES] {
    let mut bytes = Writer::<ENTRY_BYTES>::default();
    bytes.put(&entry.key.column.to_le_bytes());
    bytes.put(&entry.key.part.to_le_bytes());
    bytes.put(&[layout_code(entry.layout), 0, 0, 0]);
    bytes.put(&entry.offset.to_le_bytes());
    bytes.put(&entry.sealed.to_le_bytes());
    bytes.bytes
}

/// Checks that a file's fixed part is the expected piece's and returns its chunk count.
pub(super) fn check_fixed(bytes: &[u8; FIXED_BYTES], expected: &PieceMeta) -> Result<usize, BlockError> {
    let (head, count) = bytes.split_at(FIXED_BYTES - 4);
    let chunks = u32::from_le_bytes(fixed(count).ok_or_else(|| BlockError::damaged(expected, "short header"))?);
    if head.get(..8) != Some(MAGIC.as_slice()) {
        return Err(BlockError::damaged(expected, "not a piece"));
    }
    if head.get(8..10) != Some(FORMAT.to_le_bytes().as_slice()) {
        return Err(BlockError::damaged(expected, "unknown format"));
    }
    if encode_fixed(expected, chunks) != *bytes {
        return Err(BlockError::damaged(expected, "another piece"));
    }
    usize::try_from(chunks)
        .ok()
        .filter(|chunks| *chunks <= MAX_CHUNKS)
        .ok_or_else(|| BlockError::damaged(expected, "too many chunks"))
}

/// Decodes the directory and checks that chunks follow each other to the end of the file.
pub(super) fn decode_directory(bytes: &[u8], file_bytes: u64, meta: &PieceMeta) -> Result<Vec<Entry>, BlockError> {
    let damaged = |problem| BlockError::damaged(meta, problem);
    let mut next = (FIXED_BYTES + bytes.len()) as u64;
    let mut entries = Vec::with_capacity(bytes.len() / ENTRY_BYTES);
    for line in bytes.as_chunks::<ENTRY_BYTES>().0 {
        let entry = decode_entry(line).ok_or_else(|| damaged("unreadable directory"))?;
        if entry.offset != next || entry.sealed < TAG_BYTES as u64 {
            return Err(damaged("inconsistent directory"));
        }
        next = next.checked_add(entry.sealed).ok_or_else(|| damaged("inconsistent directory"))?;
        entries.push(entry);
    }
    if next == file_bytes { Ok(entries) } else { Err(damaged("wrong length")) }
}

/// Hashes a header: fixed part and directory.
pub(super) fn digest(fixed: &[u8; FIXED_BYTES], directory: &[u8]) -> [u8; DIGEST_BYTES] {
    Sha256::new().chain_update(fixed).chain_update(directory).finalize().into()
}

/// Builds the additional data of a chunk: the header's hash, then column, part and layout.
pub(super) fn aad(header: &[u8; DIGEST_BYTES], key: ColumnKey, layout: Layout) -> [u8; AAD_BYTES] {
    let mut bytes = Writer::<AAD_BYTES>::default();
    bytes.put(header);
    bytes.put(&key.column.to_le_bytes());
    bytes.put(&key.part.to_le_bytes());
    bytes.put(&[layout_code(layout)]);
    bytes.bytes
}

/// Builds the nonce of a chunk: column, part, zeros. Unique within a piece, and every piece has its own key.
pub(super) fn nonce(key: ColumnKey) -> [u8; 12] {
    let mut bytes = Writer::<12>::default();
    bytes.put(&key.column.to_le_bytes());
    bytes.put(&key.part.to_le_bytes());
    bytes.bytes
}

fn decode_entry(line: &[u8; ENTRY_BYTES]) -> Option<Entry> {
    let key = ColumnKey {
        column: u16::from_le_bytes(fixed(line.get(..2)?)?),
        part: u16::from_le_bytes(fixed(line.get(2..4)?)?),
    };
    let layout = match line.get(4..8)? {
        [0, 0, 0, 0] => Layout::Code8,
        [1, 0, 0, 0] => Layout::Code16,
        [2, 0, 0, 0] => Layout::Int64,
        [3, 0, 0, 0] => Layout::Bytes,
        _ => return None,
    };
    let offset = u64::from_le_bytes(fixed(line.get(8..16)?)?);
    let sealed = u64::from_le_bytes(fixed(line.get(16..24)?)?);
    Some(Entry { key, layout, offset, sealed })
}

fn layout_code(layout: Layout) -> u8 {
    match layout {
        Layout::Code8 => 0,
        Layout::Code16 => 1,
        Layout::Int64 => 2,
        Layout::Bytes => 3,
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

/// Fills a fixed array from the front; what is not put stays zero.
struct Writer<const N: usize> {
    bytes: [u8; N],
    used: usize,
}

impl<const N: usize> Default for Writer<N> {
    fn default() -> Self {
        Self { bytes: [0; N], used: 0 }
    }
}

impl<const N: usize> Writer<N> {
    fn put(&mut self, part: &[u8]) {
        let end = self.used + part.len();
        if let Some(target) = self.bytes.get_mut(self.used..end) {
            target.copy_from_slice(part);
        }
        self.used = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::schema::EventTypeId;

    fn meta() -> PieceMeta {
        PieceMeta {
            dataset: 0x0102_0304,
            block: 5,
            kind: PieceKind::Events(EventTypeId(6)),
            part: 7,
            version: 8,
            schema_version: 9,
            first: 10,
            subjects: 11,
            rows: 12,
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn header_bytes_of_format_1_never_change() {
        assert_eq!(
            hex(&encode_fixed(&meta(), 13)),
            "534c485049454345010001000600070004030201050000000800000000000000090000000a0000000b0000000c0000000d000000"
        );
        let entry = Entry { key: ColumnKey::TIME, layout: Layout::Int64, offset: 76, sealed: 112 };
        assert_eq!(hex(&encode_entry(&entry)), "fdff0000020000004c000000000000007000000000000000");
        assert_eq!(hex(&nonce(ColumnKey { column: 3, part: 2 })), "030002000000000000000000");
    }

    #[test]
    fn another_piece_is_refused() {
        let mut other = meta();
        other.version += 1;
        let error = check_fixed(&encode_fixed(&meta(), 1), &other);
        assert_eq!(error, Err(BlockError::damaged(&other, "another piece")));
        assert_eq!(check_fixed(&encode_fixed(&meta(), 1), &meta()), Ok(1));
    }
}
