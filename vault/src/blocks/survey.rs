//! Tells what every byte of a piece's file is, for the check of files.

use super::header::{ENTRY_BYTES, FIXED_BYTES};

const FIXED_FIELDS: [(&str, usize); 14] = [
    ("magic", 8),
    ("format", 2),
    ("kind", 1),
    ("zero", 1),
    ("event type", 2),
    ("part", 2),
    ("dataset", 4),
    ("block", 4),
    ("piece version", 8),
    ("schema version", 4),
    ("first subject and zeros", 4),
    ("subjects", 4),
    ("rows", 4),
    ("number of chunks", 4),
];
const LINE_FIELDS: [(&str, usize); 5] =
    [("column", 2), ("column part", 2), ("layout and zeros", 4), ("chunk offset", 8), ("chunk length", 8)];

const _: () = assert!(FIXED_BYTES == 52 && ENTRY_BYTES == 24, "the tables above are of these headers");

/// Returns the fields of a piece's clear header with their lengths, and the bytes of sealed chunks after it. `None` if
/// the file is no piece. The caller has compared the file's hash with the key tree's.
pub(crate) fn survey(file: &[u8]) -> Option<(Vec<(&'static str, usize)>, usize)> {
    let (fixed, rest) = file.split_first_chunk::<FIXED_BYTES>()?;
    let chunks = usize::try_from(u32::from_le_bytes(*fixed.last_chunk()?)).ok()?;
    let (_, sealed) = rest.split_at_checked(chunks.checked_mul(ENTRY_BYTES)?)?;
    let lines = (0..chunks).flat_map(|_| LINE_FIELDS);
    Some((FIXED_FIELDS.into_iter().chain(lines).collect(), sealed.len()))
}
