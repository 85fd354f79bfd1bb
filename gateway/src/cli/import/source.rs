//! A CSV file as rows of UTF-8: byte-order marks, encodings, line ends, headers, and a fence against rows without an end.
//!
//! A byte-order mark wins over the encoding that the mapping names. Other encodings than UTF-8 are decoded as they are
//! read; bytes without meaning become U+FFFD, which [`super::row::Row::text`] refuses.

use super::error::ImportError;
use csv::{ByteRecord, ReaderBuilder};
use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a file is written.
#[derive(Debug, Clone)]
pub(super) struct FileFormat {
    pub encoding: &'static Encoding,
    pub delimiter: u8,
    pub quote: Option<u8>,
    pub comment: Option<u8>,
    /// The columns of a file without a header row.
    pub columns: Option<Vec<String>>,
    /// Lines before the header.
    pub skip_lines: u64,
}

/// Longest row read, bytes: beyond it a quote was left open, and reading on would swallow the file.
const MAX_ROW_BYTES: u64 = 4 << 20;
const BUFFER_BYTES: usize = 1 << 18;

/// An open file.
pub(super) struct Source {
    name: Arc<str>,
    reader: csv::Reader<Box<dyn Read + Send>>,
    header: Vec<String>,
    /// Lines that were skipped before the reader began to count.
    skipped: u64,
    rows: u64,
    fence: Arc<Fence>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Source {
    /// Opens a file and reads its header. `name` is what reports call it.
    pub fn open(path: &Path, name: &str, format: &FileFormat) -> Result<Self, ImportError> {
        let name: Arc<str> = name.into();
        let fence = Arc::new(Fence::default());
        let io = |error: io::Error| ImportError::io(&name, &error);
        let file = File::open(path).map_err(io)?;
        let fenced = Fenced { inner: file, fence: Arc::clone(&fence) };
        let mut decoded = decoded(BufReader::with_capacity(BUFFER_BYTES, fenced), format.encoding).map_err(io)?;
        for _ in 0..format.skip_lines {
            let mut line = Vec::new();
            decoded.by_ref().take(MAX_ROW_BYTES).read_until(b'\n', &mut line).map_err(io)?;
        }
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(format.delimiter).comment(format.comment);
        builder.buffer_capacity(BUFFER_BYTES);
        match format.quote {
            Some(quote) => builder.quote(quote),
            None => builder.quoting(false),
        };
        let decoded: Box<dyn Read + Send> = Box::new(Newlines { inner: decoded, last: b'\n', finished: false });
        let reader = builder.from_reader(decoded);
        let mut source = Self { name, reader, header: Vec::new(), skipped: format.skip_lines, rows: 0, fence };
        source.header = match &format.columns {
            Some(columns) => columns.clone(),
            None => source.read_header()?,
        };
        Ok(source)
    }

    fn read_header(&mut self) -> Result<Vec<String>, ImportError> {
        let mut record = ByteRecord::new();
        if self.read(&mut record)?.is_none() {
            return Err(ImportError::NoHeader { file: self.name.to_string() });
        }
        self.rows = 0;
        Ok(record.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect())
    }

    /// Returns the names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// Returns how reports call this file.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Returns the number of rows read so far, the header not counted.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the bytes read from the disk so far.
    pub fn bytes_read(&self) -> u64 {
        self.fence.read.load(Ordering::Relaxed)
    }

    /// Reads the next row and returns the line on which it starts; `None` at the end.
    pub fn read(&mut self, record: &mut ByteRecord) -> Result<Option<u64>, ImportError> {
        self.fence.mark.store(self.bytes_read(), Ordering::Relaxed);
        let more = self.reader.read_byte_record(record).map_err(|error| self.failure(&error))?;
        if !more {
            return Ok(None);
        }
        self.rows += 1;
        // The reader stands behind the row's line end. Where it stood before is no help: it skips empty lines.
        let inside = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        let behind = self.reader.position().line();
        Ok(Some(behind.saturating_sub(1 + inside) + self.skipped))
    }

    fn failure(&self, error: &csv::Error) -> ImportError {
        match error.kind() {
            csv::ErrorKind::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<RowWithoutEnd>()) => {
                ImportError::RowTooLong { file: self.name.to_string(), row: self.rows + 1 }
            }
            csv::ErrorKind::Io(error) => ImportError::io(&self.name, error),
            _ => ImportError::io(&self.name, &io::Error::from(io::ErrorKind::InvalidData)),
        }
    }
}

/// Counts bytes, and stops a row that goes on for too long.
#[derive(Debug, Default)]
struct Fence {
    read: AtomicU64,
    mark: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
#[error("a row without an end")]
struct RowWithoutEnd;

struct Fenced<R> {
    inner: R,
    fence: Arc<Fence>,
}

impl<R: Read> Read for Fenced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fence.read.load(Ordering::Relaxed);
        if read.saturating_sub(self.fence.mark.load(Ordering::Relaxed)) > MAX_ROW_BYTES {
            return Err(io::Error::other(RowWithoutEnd));
        }
        let count = self.inner.read(buffer)?;
        self.fence.read.store(read + count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Reads a file's start to see its byte-order mark, and returns a reader of UTF-8 without one.
fn decoded<R: Read + Send + 'static>(
    mut raw: BufReader<R>,
    named: &'static Encoding,
) -> io::Result<Box<dyn BufRead + Send>> {
    let marked = Encoding::for_bom(raw.fill_buf()?);
    let encoding = marked.map_or(named, |(encoding, _)| encoding);
    if let Some((_, length)) = marked {
        raw.consume(length);
    }
    if encoding == UTF_8 {
        return Ok(Box::new(raw));
    }
    let transcoder = Transcoder { inner: raw, decoder: encoding.new_decoder_without_bom_handling(), finished: false };
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, transcoder)))
}

struct Transcoder<R> {
    inner: R,
    decoder: Decoder,
    finished: bool,
}

impl<R: BufRead> Read for Transcoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        // The longest character takes four bytes, so a smaller buffer could never make progress.
        if out.len() < 4 {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        while !self.finished {
            let input = self.inner.fill_buf()?;
            let last = input.is_empty();
            let (result, used, written, _) = self.decoder.decode_to_utf8(input, out, last);
            self.inner.consume(used);
            self.finished = last && result == CoderResult::InputEmpty;
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}

/// Makes every line end a single line feed, and gives the last line one, so that lines can be counted.
struct Newlines<R> {
    inner: R,
    last: u8,
    finished: bool,
}

impl<R: BufRead> Read for Newlines<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let input = self.inner.fill_buf()?;
            if input.is_empty() {
                return Ok(self.end(out));
            }
            let (mut written, mut used) = (0, 0);
            for (to, _) in out.iter_mut().zip(0..input.len()) {
                let Some(byte) = next_byte(input, &mut used, &mut self.last) else { break };
                *to = byte;
                written += 1;
            }
            self.inner.consume(used);
            if written > 0 || out.is_empty() {
                return Ok(written);
            }
        }
    }
}

impl<R> Newlines<R> {
    fn end(&mut self, out: &mut [u8]) -> usize {
        match out.first_mut() {
            Some(to) if !self.finished && !matches!(self.last, b'\n' | b'\r') => {
                *to = b'\n';
                self.finished = true;
                1
            }
            _ => 0,
        }
    }
}

/// Returns the next byte of a chunk with line ends made equal; `last` is the byte of the file before it.
fn next_byte(input: &[u8], used: &mut usize, last: &mut u8) -> Option<u8> {
    loop {
        let byte = *input.get(*used)?;
        *used += 1;
        let before = std::mem::replace(last, byte);
        match byte {
            b'\r' => return Some(b'\n'),
            b'\n' if before == b'\r' => {}
            _ => return Some(byte),
        }
    }
}
