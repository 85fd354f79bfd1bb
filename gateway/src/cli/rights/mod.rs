//! What a person takes home: an access package as JSON, as a page to read and print and as tables to import elsewhere,
//! consent receipts, and the receipt of an erasure.
//!
//! Formats carry a name and a version. Files with personal data are written for their owner alone and never over another.

mod package;
mod page;
mod receipt;
mod tables;
mod words;

pub use package::Package;
pub use page::page;
pub use receipt::{consent_receipts, erasure_receipt};
pub use tables::tables;
pub use words::{basis_name, request_json};

use super::error::CliError;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file for its owner alone, made before what it is for is done: then a name that is taken or a folder that can't be
/// written stops it in time. Gone again unless it was filled.
#[derive(Debug)]
pub struct Reserved {
    path: PathBuf,
    file: File,
    filled: bool,
}

impl Reserved {
    /// Makes the file; one that is there already is left alone and an error.
    pub fn make(path: PathBuf) -> Result<Self, CliError> {
        match private(&path) {
            Ok(file) => Ok(Self { path, file, filled: false }),
            Err(problem) => {
                Err(CliError::file(&path, &problem).hint("name a folder that can be written, or another --out"))
            }
        }
    }

    /// Fills it, durably.
    pub fn fill(mut self, text: &str) -> Result<PathBuf, CliError> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        written.map_err(|problem| CliError::file(&self.path, &problem))?;
        self.filled = true;
        Ok(self.path.clone())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.filled {
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
