//! Reading pieces: one positioned read a run of columns, opened in place in a buffer that is wiped.

use super::error::BlockError;
use super::header::{self, DIGEST_BYTES, Entry, FIXED_BYTES};
use super::piece::{ColumnKey, PieceMeta};
use super::write::cipher;
use crate::keys::SecretKey;
use policy::schema::Layout;
use ring::aead::{Aad, LessSafeKey, Nonce};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, Zeroizing};

/// A plaintext buffer, used again from block to block; wiped when it grows and when it is dropped.
#[derive(Default)]
pub struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    fn take(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() < len {
            self.bytes.zeroize();
            self.bytes = vec![0; len];
        }
        self.bytes.split_at_mut_checked(len).map_or(&mut [], |(head, _)| head)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Buffer(..)")
    }
}

/// An opened column; its plaintext lies in the caller's [`Buffer`].
#[derive(Clone, Copy)]
pub struct Chunk<'a> {
    /// Which column.
    pub key: ColumnKey,
    /// How it is laid out.
    pub layout: Layout,
    /// Its plaintext.
    pub bytes: &'a [u8],
}

impl std::fmt::Debug for Chunk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chunk({:?}, {:?}, ..)", self.key, self.layout)
    }
}

/// A piece whose header was read and checked. Keeps no file open: a large dataset has more pieces than a process may
/// have files, and opening one costs a few microseconds. The caller keeps the file from being unlinked meanwhile.
pub struct Piece {
    path: PathBuf,
    key: SecretKey,
    meta: PieceMeta,
    digest: [u8; DIGEST_BYTES],
    directory: Vec<Entry>,
}

impl Piece {
    /// Reads the header of the piece at `path` and checks that it is the expected one.
    pub fn open(path: &Path, key: SecretKey, expected: &PieceMeta) -> Result<Self, BlockError> {
        let file = File::open(path).map_err(|e| BlockError::io(expected, "open", &e))?;
        let length = file.metadata().map_err(|e| BlockError::io(expected, "stat", &e))?.len();
        let mut fixed = [0; FIXED_BYTES];
        read_at(&file, &mut fixed, 0, expected)?;
        let chunks = header::check_fixed(&fixed, expected)?;
        let mut lines = vec![0; chunks * header::ENTRY_BYTES];
        read_at(&file, &mut lines, FIXED_BYTES as u64, expected)?;
        let directory = header::decode_directory(&lines, length, expected)?;
        let digest = header::digest(&fixed, &lines);
        Ok(Self { path: path.to_owned(), key, meta: *expected, digest, directory })
    }

    /// Returns which piece it is.
    pub fn meta(&self) -> &PieceMeta {
        &self.meta
    }

    /// Says that what was opened makes no sense: a writer went wrong.
    pub(crate) fn damaged(&self, problem: &'static str) -> BlockError {
        BlockError::damaged(&self.meta, problem)
    }

    /// Returns where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns its columns, in file order.
    pub fn columns(&self) -> Vec<(ColumnKey, Layout)> {
        self.directory.iter().map(|entry| (entry.key, entry.layout)).collect()
    }

    /// Says whether it has a column: one written under an older schema lacks newer columns, and all rows miss them.
    /// True of the file only once some column of it was opened.
    pub fn has(&self, key: ColumnKey) -> bool {
        self.directory.iter().any(|entry| entry.key == key)
    }

    /// Reads and opens columns into `buffer` and returns them in the order asked for. A column the piece does not have
    /// is an error: the caller knows the piece's schema version.
    pub fn read_columns<'b>(&self, keys: &[ColumnKey], buffer: &'b mut Buffer) -> Result<Vec<Chunk<'b>>, BlockError> {
        let missing = || BlockError::damaged(&self.meta, "a column is missing");
        let mut wanted = Vec::with_capacity(keys.len());
        for key in keys {
            let place = self.directory.iter().position(|entry| entry.key == *key).ok_or_else(missing)?;
            wanted.push(place);
        }
        let mut places = wanted.clone();
        places.sort_unstable();
        places.dedup();
        let opened = self.open_places(&places, buffer)?;
        let pick = |place: &usize| {
            let at = places.binary_search(place).ok()?;
            opened.get(at).copied()
        };
        wanted.iter().map(|place| pick(place).ok_or_else(missing)).collect()
    }

    /// Reads and opens every column, in file order.
    pub fn read_all<'b>(&self, buffer: &'b mut Buffer) -> Result<Vec<Chunk<'b>>, BlockError> {
        let places: Vec<usize> = (0..self.directory.len()).collect();
        self.open_places(&places, buffer)
    }

    /// Reads and joins the bytes of a state piece, see [`super::split_state`].
    pub fn read_state(&self) -> Result<Zeroizing<Vec<u8>>, BlockError> {
        let mut buffer = Buffer::default();
        let chunks = self.read_all(&mut buffer)?;
        let mut all = Zeroizing::new(Vec::with_capacity(chunks.iter().map(|c| c.bytes.len()).sum()));
        chunks.iter().for_each(|chunk| all.extend_from_slice(chunk.bytes));
        Ok(all)
    }

    /// Opens the entries at these places, sorted and distinct.
    fn open_places<'b>(&self, places: &[usize], buffer: &'b mut Buffer) -> Result<Vec<Chunk<'b>>, BlockError> {
        let damaged = |problem| BlockError::damaged(&self.meta, problem);
        let entries: Vec<Entry> = places.iter().filter_map(|place| self.directory.get(*place).copied()).collect();
        let total = usize::try_from(entries.iter().map(|entry| entry.sealed).sum::<u64>())
            .map_err(|_| damaged("longer than memory"))?;
        let sealed = buffer.take(total);
        self.read_runs(&entries, sealed)?;
        let cipher = cipher(&self.key).ok_or_else(|| damaged("the cipher refused its key"))?;
        let mut rest = sealed;
        let mut opened = Vec::with_capacity(entries.len());
        for entry in &entries {
            let length = usize::try_from(entry.sealed).map_err(|_| damaged("longer than memory"))?;
            let (chunk, tail) = rest.split_at_mut_checked(length).ok_or_else(|| damaged("wrong length"))?;
            rest = tail;
            opened.push(self.open_chunk(&cipher, entry, chunk)?);
        }
        Ok(opened)
    }

    /// Reads entries back to back into `into`, one system call for each run of neighbours.
    fn read_runs(&self, entries: &[Entry], into: &mut [u8]) -> Result<(), BlockError> {
        let damaged = || BlockError::damaged(&self.meta, "wrong length");
        let file = File::open(&self.path).map_err(|e| BlockError::io(&self.meta, "open", &e))?;
        let mut rest = into;
        for run in entries.chunk_by(|a, b| a.offset + a.sealed == b.offset) {
            let length: u64 = run.iter().map(|entry| entry.sealed).sum();
            let length = usize::try_from(length).map_err(|_| damaged())?;
            let (target, tail) = rest.split_at_mut_checked(length).ok_or_else(damaged)?;
            rest = tail;
            let offset = run.first().map_or(0, |entry| entry.offset);
            read_at(&file, target, offset, &self.meta)?;
        }
        Ok(())
    }

    fn open_chunk<'b>(
        &self,
        cipher: &LessSafeKey,
        entry: &Entry,
        chunk: &'b mut [u8],
    ) -> Result<Chunk<'b>, BlockError> {
        let aad = header::aad(&self.digest, entry.key, entry.layout);
        let bytes = open_chunk(cipher, header::nonce(entry.key), &aad, chunk)
            .ok_or_else(|| BlockError::damaged(&self.meta, "a column does not open"))?;
        Ok(Chunk { key: entry.key, layout: entry.layout, bytes })
    }
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Piece").field("meta", &self.meta).finish_non_exhaustive()
    }
}

/// Opens in place and returns the plaintext.
pub(super) fn open_chunk<'b>(
    cipher: &LessSafeKey,
    nonce: [u8; 12],
    aad: &[u8],
    chunk: &'b mut [u8],
) -> Option<&'b [u8]> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    cipher.open_in_place(nonce, Aad::from(aad), chunk).ok().map(|opened| &*opened)
}

fn read_at(file: &File, into: &mut [u8], offset: u64, meta: &PieceMeta) -> Result<(), BlockError> {
    file.read_exact_at(into, offset).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::UnexpectedEof => BlockError::damaged(meta, "cut short"),
        _ => BlockError::io(meta, "read", &cause),
    })
}
