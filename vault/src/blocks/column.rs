//! Views of opened columns, and the encoding of byte columns: `rows + 1` offsets (u32) into the bytes that follow.

/// A byte column, opened.
#[derive(Clone, Copy)]
pub struct ByteRows<'a> {
    offsets: &'a [[u8; 4]],
    bytes: &'a [u8],
}

impl<'a> ByteRows<'a> {
    /// Reads a byte column of `rows` rows; `None` if it is shorter than that.
    pub fn new(column: &'a [u8], rows: usize) -> Option<Self> {
        let (head, bytes) = column.split_at_checked((rows + 1) * 4)?;
        Some(Self { offsets: head.as_chunks().0, bytes })
    }

    /// Returns the bytes of a row, empty for missing; `None` past the end or when offsets are inconsistent.
    pub fn row(&self, row: usize) -> Option<&'a [u8]> {
        let start = u32::from_le_bytes(*self.offsets.get(row)?) as usize;
        let end = u32::from_le_bytes(*self.offsets.get(row + 1)?) as usize;
        self.bytes.get(start..end)
    }
}

impl std::fmt::Debug for ByteRows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ByteRows(..)")
    }
}

/// Encodes a byte column; `None` if it is longer than 4 GiB.
pub fn encode_bytes<'a>(rows: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> Option<Vec<u8>> {
    let total: usize = rows.clone().map(<[u8]>::len).sum();
    u32::try_from(total).ok()?;
    let mut column = Vec::with_capacity((rows.len() + 1) * 4 + total);
    let mut offset = 0_u32;
    column.extend_from_slice(&offset.to_le_bytes());
    for row in rows.clone() {
        offset = offset.checked_add(u32::try_from(row.len()).ok()?)?;
        column.extend_from_slice(&offset.to_le_bytes());
    }
    rows.for_each(|row| column.extend_from_slice(row));
    Some(column)
}

/// Views a column of eight-byte signed integers.
pub fn int_rows(column: &[u8]) -> impl ExactSizeIterator<Item = i64> + Clone + '_ {
    column.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes))
}

/// Views a column of eight-byte unsigned integers.
pub fn u64_rows(column: &[u8]) -> impl ExactSizeIterator<Item = u64> + Clone + '_ {
    column.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Views a column of four-byte unsigned integers, such as row offsets.
pub fn u32_rows(column: &[u8]) -> impl ExactSizeIterator<Item = u32> + Clone + '_ {
    column.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes))
}

/// Views a column of two-byte codes.
pub fn code16_rows(column: &[u8]) -> impl ExactSizeIterator<Item = u16> + Clone + '_ {
    column.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes))
}
