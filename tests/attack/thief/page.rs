//! Key pages and root slots, wherever they lie.

use super::bytes::{Cursor, places};
use super::cipher::{self, Key};

const SLOT: &[u8] = b"SILHROOT";
const PAGE: &[u8] = b"SILHKEYP";
const HEADER: usize = 80;

/// A key page as it lies on a disk.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Page {
    kind: u8,
    salt: [u8; 32],
    header: Vec<u8>,
    body: Vec<u8>,
}

/// The keys in root slots, whatever their checksums and versions say.
pub fn roots(file: &[u8]) -> Vec<Key> {
    places(file, SLOT).into_iter().filter_map(|at| Cursor(file.get(at + 20..)?).array()).collect()
}

/// Every run of 32 bytes that could be a key: not mostly zero.
pub fn guesses(file: &[u8]) -> Vec<Key> {
    let likely = |run: &&[u8]| run.iter().filter(|byte| **byte == 0).count() < 8;
    file.windows(32).filter(likely).map(|run| run.try_into().unwrap()).collect()
}

/// Every page in a file, at any offset, that is whole.
pub fn carve(file: &[u8]) -> Vec<(usize, Page)> {
    let page = |at: usize| {
        let header = file.get(at..at + HEADER)?;
        let mut fields = Cursor(&header[11..]);
        let kind = fields.u8()?;
        fields.take(16)?;
        let salt = fields.array()?;
        fields.take(16)?;
        let length = usize::try_from(fields.u32()?).ok()?.checked_add(16)?;
        let body = file.get(at + HEADER..(at + HEADER).checked_add(length)?)?;
        Some((at, Page { kind, salt, header: header.to_vec(), body: body.to_vec() }))
    };
    places(file, PAGE).into_iter().filter_map(page).collect()
}

impl Page {
    /// Tries a key. The commitment in the header is not asked: a thief loses nothing by trying.
    pub fn open(&self, key: &Key) -> Option<Vec<u8>> {
        let derived = cipher::derive(key, &self.salt, b"silhouette/keys/v1/page-seal");
        cipher::open(&derived, [0; 12], &self.header, &self.body)
    }

    /// The keys in its body, where the format puts them; all that could be one if the body does not read.
    pub fn keys(&self, body: &[u8]) -> Vec<Key> {
        let keys = match self.kind {
            0 => children(body),
            1 => secrets(body),
            _ => pieces(body),
        };
        keys.unwrap_or_else(|| guesses(body))
    }
}

fn children(body: &[u8]) -> Option<Vec<Key>> {
    let mut body = Cursor(body);
    let mut keys = Vec::new();
    for _ in 0..body.u32()? {
        body.take(1 + 4 + 4 + 8)?;
        keys.push(body.array()?);
        body.take(32)?;
    }
    body.0.is_empty().then_some(keys)
}

fn secrets(body: &[u8]) -> Option<Vec<Key>> {
    let mut body = Cursor(body);
    let mut keys = Vec::new();
    for _ in 0..body.u32()? {
        body.short()?;
        keys.push(body.array()?);
    }
    for _ in 0..body.u32()? {
        body.short()?;
        body.short()?;
    }
    body.0.is_empty().then_some(keys)
}

fn pieces(body: &[u8]) -> Option<Vec<Key>> {
    let mut body = Cursor(body);
    let mut keys = Vec::new();
    for _ in 0..body.u32()? {
        body.take(4 + 1 + 2 + 2 + 1 + 8 + 4)?;
        keys.push(body.array()?);
        body.take(8 + 32 + 8)?;
    }
    body.0.is_empty().then_some(keys)
}
