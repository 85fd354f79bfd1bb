//! What a person takes home: an access package as JSON, as a page to read and print and as tables to import elsewhere,
//! consent receipts, and the receipt of an erasure. Packages are written as they are read.
//!
//! Formats carry a name and a version. Files with personal data are written for their owner alone and never over another.

mod json;
mod package;
mod page;
mod receipt;
mod tables;
mod words;

pub use json::Json;
pub use package::{Event, Package, Sink, read};
pub use page::page;
pub use receipt::{consent_receipts, erasure_receipt};
pub use tables::Tables;
pub use words::{basis_name, request_json};

use super::error::CliError;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file for its owner alone, made before what it is for is done: then a name that is taken or a folder that can't be
/// written stops it in time. Gone again unless it was filled.
#[derive(Debug)]
pub struct Reserved {
    path: PathBuf,
    file: BufWriter<File>,
    kept: bool,
}

/// A file that is filled, durably, and goes again unless it is kept.
#[derive(Debug)]
pub struct Settled(Reserved);

impl Reserved {
    /// Makes the file; one that is there already is left alone and an error.
    pub fn make(path: PathBuf) -> Result<Self, CliError> {
        match private(&path) {
            Ok(file) => Ok(Self { path, file: BufWriter::new(file), kept: false }),
            Err(problem) => {
                Err(CliError::file(&path, &problem).hint("name a folder that can be written, or another --out"))
            }
        }
    }

    /// Adds to it.
    pub fn put(&mut self, text: &str) -> Result<(), CliError> {
        self.file.write_all(text.as_bytes()).map_err(|problem| CliError::file(&self.path, &problem))
    }

    /// Makes what was added durable.
    pub fn settle(mut self) -> Result<Settled, CliError> {
        let written = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        written.map_err(|problem| CliError::file(&self.path, &problem))?;
        Ok(Settled(self))
    }

    /// Fills it, durably, and keeps it.
    pub fn fill(mut self, text: &str) -> Result<PathBuf, CliError> {
        self.put(text)?;
        Ok(self.settle()?.keep())
    }
}

impl Settled {
    /// Keeps the file.
    pub fn keep(mut self) -> PathBuf {
        self.0.kept = true;
        self.0.path.clone()
    }
}

impl Write for Reserved {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.kept {
            let _what_is_left_is_empty_or_broken_off = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(unix)]
fn private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> std::io::Result<File> {
    std::fs::OpenOptions::new().write(true).create_new(true).open(path)
}
