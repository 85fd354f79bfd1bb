//! Tells what every byte of a segment is, for the check of files.

use super::segment::{self, FRAME_HEADER, Found, HEADER, Scanner};
use super::{WalError, frame};
use std::path::{Path, PathBuf};

/// What a run of bytes of a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    /// A field of a segment's or a frame's header.
    Field(&'static str),
    /// A leaf of the log: clear, never personal data.
    Leaf,
    /// A sealed part.
    Part,
}

const SEGMENT_FIELDS: [(&str, u64); 5] =
    [("magic", 8), ("format version", 4), ("first sequence number", 8), ("segment id", 16), ("header checksum", 16)];
const FRAME_FIELDS: [(&str, u64); 4] =
    [("payload length", 4), ("sequence number", 8), ("place in batch", 4), ("frame checksum", 16)];
const PAYLOAD_FIELDS: [(&str, u64); 3] = [("payload version", 1), ("tree sizes", 16), ("number of leaves", 4)];
const LEAF_FIELDS: [(&str, u64); 2] = [("tree", 1), ("leaf length", 4)];
const PART_FIELDS: [(&str, u64); 5] =
    [("part kind", 1), ("dataset", 4), ("block", 4), ("key id", 4), ("part length", 4)];

const _: () = assert!(HEADER == 52 && FRAME_HEADER == 32, "the tables above are of these headers");

/// Returns every segment's file.
pub(crate) fn segments(dir: &Path) -> Result<Vec<(u64, PathBuf)>, WalError> {
    let found = segment::list(dir).map_err(|error| WalError::io("list", dir, &error))?;
    Ok(found.into_iter().map(|first| (first, segment::path(dir, first))).collect())
}

/// Visits the runs of a segment in order, with their lengths, up to the last frame that reads back; returns what is
/// wrong with the bytes after that, if there are any.
pub(crate) fn survey(
    dir: &Path,
    first_seq: u64,
    mut visit: impl FnMut(u64, Run),
) -> Result<Option<&'static str>, WalError> {
    let mut scanner = Scanner::open(dir, first_seq, None)?;
    let fields = |table: &[(&'static str, u64)], visit: &mut dyn FnMut(u64, Run)| {
        table.iter().for_each(|(name, bytes)| visit(*bytes, Run::Field(name)));
    };
    fields(&SEGMENT_FIELDS, &mut visit);
    loop {
        let payload = match scanner.next()? {
            Found::Frame(_, payload) => payload,
            Found::End => return Ok(None),
            Found::Bad(problem) => return Ok(Some(problem)),
        };
        let frame = match frame::decode(&payload) {
            Ok(frame) => frame,
            Err(problem) => return Ok(Some(problem)),
        };
        fields(&FRAME_FIELDS, &mut visit);
        fields(&PAYLOAD_FIELDS, &mut visit);
        for (_, leaf) in &frame.leaves {
            fields(&LEAF_FIELDS, &mut visit);
            visit(leaf.len() as u64, Run::Leaf);
        }
        visit(4, Run::Field("number of parts"));
        for part in &frame.parts {
            fields(&PART_FIELDS, &mut visit);
            visit(part.sealed.len() as u64, Run::Part);
        }
    }
}
