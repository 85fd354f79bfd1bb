//! Guesses how a file is written from its first bytes.

use crate::cli::import::number::NumberFormat;
use crate::cli::import::source::FileFormat;
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Enough to see how a file is written.
const SAMPLE_BYTES: u64 = 1 << 16;

/// How a file seems to be written.
#[derive(Debug, Clone)]
pub(super) struct Sniffed {
    pub format: FileFormat,
    /// The encoding's name in a mapping.
    pub encoding: &'static str,
    pub numbers: NumberFormat,
}

/// Looks at the start of a file.
pub(super) fn sniff(path: &Path) -> io::Result<Sniffed> {
    let mut sample = Vec::new();
    File::open(path)?.take(SAMPLE_BYTES).read_to_end(&mut sample)?;
    let (encoding, name) = encoding(&sample);
    let text = encoding.decode(&sample).0;
    let delimiter = delimiter(text.lines().next().unwrap_or_default());
    let format = FileFormat { encoding, delimiter, quote: Some(b'"'), comment: None, columns: None, skip_lines: 0 };
    // Where the semicolon divides cells, the comma is busy with decimals.
    let decimal_mark = if delimiter == b';' { ',' } else { '.' };
    Ok(Sniffed { format, encoding: name, numbers: NumberFormat { decimal_mark, thousands: None } })
}

fn encoding(sample: &[u8]) -> (&'static Encoding, &'static str) {
    match Encoding::for_bom(sample) {
        Some((encoding, _)) if encoding == UTF_8 => return (encoding, "utf-8"),
        Some((encoding, _)) => return (encoding, "utf-16"),
        None => {}
    }
    match std::str::from_utf8(sample) {
        Ok(_) => (UTF_8, "utf-8"),
        // A character cut at the end of the sample is no reason to doubt.
        Err(error) if error.error_len().is_none() => (UTF_8, "utf-8"),
        Err(_) => (WINDOWS_1252, "latin1"),
    }
}

fn delimiter(line: &str) -> u8 {
    let count = |delimiter: u8| {
        let mut quoted = false;
        line.bytes()
            .filter(|byte| {
                quoted ^= *byte == b'"';
                !quoted && *byte == delimiter
            })
            .count()
    };
    // The first of the best: the comma wins a draw.
    b",;\t|".iter().rev().copied().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}
