//! Everything the tree does to a disk, one named step at a time, so that a test can stop after each of them.

use super::error::{KeysError, Part};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The most a page may have on disk, bytes: an absurd file is refused before it is read.
const MAX_FILE_BYTES: u64 = 1 << 28;

/// The disk, and in tests the step at which it dies.
#[derive(Debug, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) fault: super::tests::Fault,
}

impl Disk {
    /// Creates or replaces a file and writes it.
    pub(super) fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<File, KeysError> {
        let write = |bytes: &[u8]| {
            let mut file = private_file().create(true).truncate(true).open(path)?;
            file.write_all(bytes)?;
            Ok(file)
        };
        self.step("write", bytes, |bytes| write(bytes).map(drop)).map_err(at(path))?;
        write(bytes).map_err(at(path))
    }

    /// Overwrites bytes of an open file in place.
    pub(super) fn overwrite(
        &mut self,
        path: &Path,
        mut file: &File,
        at_byte: u64,
        bytes: &[u8],
    ) -> Result<(), KeysError> {
        let mut write = |bytes: &[u8]| {
            file.seek(SeekFrom::Start(at_byte))?;
            file.write_all(bytes)
        };
        self.step("overwrite", bytes, &mut write).map_err(at(path))?;
        write(bytes).map_err(at(path))
    }

    /// Makes a file's bytes durable.
    pub(super) fn sync(&mut self, path: &Path, file: &File) -> Result<(), KeysError> {
        self.step("sync", &[], |_| Ok(())).and_then(|()| file.sync_all()).map_err(at(path))
    }

    /// Gives a file its final name.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), KeysError> {
        self.step("rename", &[], |_| Ok(())).and_then(|()| std::fs::rename(from, to)).map_err(at(to))
    }

    /// Makes the names in a folder durable.
    pub(super) fn sync_folder(&mut self, folder: &Path) -> Result<(), KeysError> {
        self.step("sync folder", &[], |_| Ok(()))
            .and_then(|()| File::open(folder))
            .and_then(|folder| folder.sync_all())
            .map_err(at(folder))
    }

    /// Removes a file; one that is gone already is no error.
    pub(super) fn unlink(&mut self, path: &Path) -> Result<(), KeysError> {
        match self.step("unlink", &[], |_| Ok(())).and_then(|()| std::fs::remove_file(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
            _ => Ok(()),
        }
    }

    /// Does nothing in production. In a test it counts, and at the step to die at it may write a torn half and fails.
    #[cfg(not(test))]
    fn step(&mut self, _: &'static str, _: &[u8], _: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn step(&mut self, name: &'static str, bytes: &[u8], torn: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        self.fault.step(name, bytes, torn)
    }
}

/// Reads a whole file.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other("the file is too long to be one of the vault's"));
    }
    Ok(bytes)
}

/// Names the path in an operating system's error.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> KeysError {
    move |error| KeysError::Io { part: Part::Path(path.to_owned()), error }
}

/// Opens for reading and writing, for the owner alone.
pub(super) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates a folder for the owner alone, with its parents.
pub(super) fn create_folder(path: &Path) -> Result<(), KeysError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(at(path))
}
