//! Little-endian fields, written into a buffer that never grows and read without a panic.

use zeroize::Zeroizing;

/// Collects fields in a buffer of a fixed size, so that no copy of a key is left behind by a reallocation.
pub(super) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    /// `capacity` is the exact length to come, plus room for the seal's tag.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> &mut Self {
        debug_assert!(self.0.len() + bytes.len() <= self.0.capacity(), "the buffer must not move");
        self.0.extend_from_slice(bytes);
        self
    }

    /// Writes a length of at most 65,535 and the bytes; longer ones are refused by the callers' limits.
    pub(super) fn put_short(&mut self, bytes: &[u8]) -> &mut Self {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.put(&length.to_le_bytes()).put(bytes)
    }

    pub(super) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// Reads fields; `None` means that the bytes ended.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(super) fn short(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u16()?);
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    /// Counts the bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
