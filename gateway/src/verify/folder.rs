//! Checking one tree's folder: entries hash to tiles, tiles to tiles, all of it to the signed root.

use super::merkle::{self, Hash, Range};
use super::note::{self, Head, VerifierKey};
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const WIDTH: u64 = 256;

/// What was verified.
#[derive(Debug)]
pub struct Report {
    /// The signed head.
    pub head: Head,
    /// Roots at the sizes asked for, those the folder covers.
    pub roots: BTreeMap<u64, Hash>,
    /// The keys that signed, each with the index of the entry that announced it; the first is the one that was given.
    pub keys: Vec<(u64, VerifierKey)>,
    /// Files that belong to entries beyond the checkpoint: left by a crash before they were signed.
    pub unsigned: u64,
}

impl Report {
    /// Returns the key that a checkpoint of so many entries must be signed with.
    pub fn key_at(&self, size: u64) -> Option<&VerifierKey> {
        let first = self.keys.first().map(|(_, key)| key);
        self.keys.iter().skip(1).rev().find(|(announced, _)| *announced < size).map(|(_, key)| key).or(first)
    }
}

/// Checks the tree in `dir`, from a key that signed it once on: an entry may announce the next. The error names the first entry, tile or file that does not fit.
pub fn check(dir: &Path, key: &VerifierKey, sizes: &[u64]) -> Result<Report, String> {
    let path = dir.join("checkpoint");
    let note = fs::read(&path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
    let note = String::from_utf8(note).map_err(|_| format!("{}: not a signed note", path.display()))?;
    let of_checkpoint = |problem: String| format!("{}: {problem}", path.display());
    // A key that signed it says at once whether it is whole; else an entry must have announced the one that did.
    let head = if key.is_named_in(&note) { key.open(&note) } else { note::stated(&note) }.map_err(of_checkpoint)?;
    let mut keys = vec![(0, key.clone())];
    let mut walk = Walk { dir, size: head.size, levels: Vec::new() };
    let (mut all, mut roots) = (Range::default(), BTreeMap::new());
    let mut note_root = |index: u64, all: &Range| {
        if sizes.contains(&index) {
            roots.insert(index, all.root());
        }
    };
    note_root(0, &all);
    for n in 0..head.size.div_ceil(WIDTH) {
        let mut index = n * WIDTH;
        let (entries, problem) = walk.entries(n)?;
        for entry in entries {
            let hash = merkle::leaf(&entry);
            walk.push(0, index, hash)?;
            all.push(hash);
            keys.extend(keys.last().and_then(|(_, key)| key.announced(&entry)).map(|next| (index, next)));
            index += 1;
            note_root(index, &all);
        }
        if let Some(problem) = problem {
            return Err(at_entry(index.min(head.size - 1), &problem));
        }
    }
    if all.root() != head.root {
        return Err(format!("{}: the entries don't hash to the signed root", dir.display()));
    }
    let signer = keys.last().map_or(key, |(_, last)| last);
    if signer.open(&note).map_err(of_checkpoint)? != head {
        return Err(of_checkpoint("it is not the one that was read".to_owned()));
    }
    let unsigned = walk.check_strays()?;
    Ok(Report { head, roots, keys, unsigned })
}

fn at_entry(index: u64, problem: &str) -> String {
    format!("entry {index}: {problem}")
}

/// One level of tiles on the way through the tree.
#[derive(Default)]
struct Level {
    count: u64,
    stored: VecDeque<Hash>,
    computed: Range,
}

struct Walk<'a> {
    dir: &'a Path,
    size: u64,
    levels: Vec<Level>,
}

impl Walk<'_> {
    /// How many of the hashes of tile `n` at a level the checkpoint covers.
    fn width(&self, level: u32, n: u64) -> u64 {
        let count = self.size.checked_shr(level.saturating_mul(8)).unwrap_or(0);
        count.saturating_sub(n.saturating_mul(WIDTH)).min(WIDTH)
    }

    /// Reads tile or bundle `n` as the checkpoint has it: partial, or full where the partial one is gone.
    fn read(&self, kind: &str, n: u64, width: u64) -> Result<(PathBuf, Vec<u8>, bool), String> {
        let full = self.dir.join("tile").join(kind).join(number(n));
        let partial = PathBuf::from(format!("{}.p", full.display())).join(width.to_string());
        let first = if width == WIDTH { &full } else { &partial };
        match fs::read(first) {
            Ok(bytes) => return Ok((first.clone(), bytes, width == WIDTH)),
            Err(error) if error.kind() == ErrorKind::NotFound && width < WIDTH => {}
            Err(error) => return Err(format!("{} can't be read: {error}", first.display())),
        }
        let bytes = fs::read(&full).map_err(|error| format!("{} can't be read: {error}", first.display()))?;
        Ok((full, bytes, true))
    }

    /// Returns the entries of bundle `n` that the checkpoint covers, and what is wrong behind them.
    fn entries(&self, n: u64) -> Result<(Vec<Vec<u8>>, Option<String>), String> {
        let width = self.width(0, n);
        let read = self.read("entries", n, width);
        let (path, bytes, full) = read.map_err(|problem| at_entry(n.saturating_mul(WIDTH), &problem))?;
        let (entries, left) = split_entries(&bytes, width);
        let problem = if (entries.len() as u64) < width {
            Some(format!("{} is cut short", path.display()))
        } else if !left.is_empty() && (width == WIDTH || !full) {
            Some(format!("{} goes on after it", path.display()))
        } else {
            None
        };
        Ok((entries, problem))
    }

    /// Checks a hash against its place at a level, and hands the hash of a full tile up.
    fn push(&mut self, level: u32, entry: u64, hash: Hash) -> Result<(), String> {
        if self.levels.len() <= level as usize {
            self.levels.push(Level::default());
        }
        let count = self.levels.get(level as usize).map_or(0, |level| level.count);
        if count.is_multiple_of(WIDTH) {
            let tile = self.tile(level, count / WIDTH)?;
            if let Some(state) = self.levels.get_mut(level as usize) {
                *state = Level { count, stored: tile, computed: Range::default() };
            }
        }
        let Some(state) = self.levels.get_mut(level as usize) else { return Ok(()) };
        let covered = entry >> level.saturating_mul(8) << level.saturating_mul(8);
        if state.stored.pop_front() != Some(hash) {
            let tile = format!("tile/{level}/{}", number(count / WIDTH));
            let problem = format!("its hash is not hash {} of {}/{tile}", count % WIDTH, self.dir.display());
            return Err(at_entry(covered, &problem));
        }
        state.count = count.saturating_add(1);
        state.computed.push(hash);
        if state.count.is_multiple_of(WIDTH) {
            let root = state.computed.root();
            self.push(level.saturating_add(1), entry, root)?;
        }
        Ok(())
    }

    fn tile(&self, level: u32, n: u64) -> Result<VecDeque<Hash>, String> {
        let width = self.width(level, n);
        let (path, bytes, full) = self.read(&level.to_string(), n, width)?;
        let (hashes, rest) = bytes.as_chunks::<32>();
        let expected = if full { WIDTH } else { width };
        if hashes.len() as u64 != expected || !rest.is_empty() {
            return Err(format!("{} has the wrong length", path.display()));
        }
        Ok(hashes.iter().copied().collect())
    }

    /// Checks what else lies in the folder: an earlier partial tile must be the beginning of today's.
    fn check_strays(&self) -> Result<u64, String> {
        let tiles = self.dir.join("tile");
        let mut unsigned = 0;
        for path in files(&tiles)? {
            let relative = path.strip_prefix(&tiles).unwrap_or(&path);
            let Some((kind, n, width)) = name(relative) else {
                unsigned += 1;
                continue;
            };
            let level = if kind == "entries" { 0 } else { kind.parse().unwrap_or(u32::MAX) };
            let covered = self.width(level, n);
            if width > covered {
                unsigned += 1;
            } else if width < covered {
                self.check_stray(&path, &kind, n, width, covered)?;
            }
        }
        Ok(unsigned)
    }

    fn check_stray(&self, path: &Path, kind: &str, n: u64, width: u64, covered: u64) -> Result<(), String> {
        let old = fs::read(path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
        let (_, now, _) = self.read(kind, n, covered)?;
        let (same, place) = if kind == "entries" {
            let ((old, left), (now, _)) = (split_entries(&old, width), split_entries(&now, width));
            let place = old.iter().zip(&now).take_while(|(old, now)| old == now).count();
            (old == now && left.is_empty(), place)
        } else {
            let len = usize::try_from(width).unwrap_or(0) * 32;
            let place = old.chunks(32).zip(now.chunks(32)).take_while(|(old, now)| old == now).count();
            (now.get(..len) == Some(old.as_slice()), place)
        };
        let level = kind.parse().unwrap_or(0_u32);
        let place = n.saturating_mul(WIDTH).saturating_add(place as u64);
        let entry = place.checked_shl(level.saturating_mul(8)).unwrap_or(u64::MAX);
        let problem = format!("{} is not the beginning of the tile that replaced it", path.display());
        if same { Ok(()) } else { Err(at_entry(entry, &problem)) }
    }
}

/// Splits off `width` entries, fewer if the bytes end before, and what is left.
fn split_entries(mut bytes: &[u8], width: u64) -> (Vec<Vec<u8>>, &[u8]) {
    let mut entries = Vec::new();
    while (entries.len() as u64) < width {
        let entry =
            bytes.split_first_chunk().and_then(|(len, rest)| rest.split_at_checked(u16::from_be_bytes(*len).into()));
        let Some((entry, rest)) = entry else { break };
        entries.push(entry.to_vec());
        bytes = rest;
    }
    (entries, bytes)
}

/// Writes a tile's number as a path: 1234067 is `x001/x234/067`.
fn number(n: u64) -> String {
    let mut path = format!("{:03}", n % 1000);
    let mut rest = n / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

/// Reads a path below `tile/` back into kind, number and width; `None` if it is no tile's.
fn name(relative: &Path) -> Option<(String, u64, u64)> {
    let text = relative.to_str()?;
    let (kind, rest) = text.split_once('/')?;
    let (digits, width) = match rest.split_once(".p/") {
        Some((digits, width)) => (digits, width.parse().ok().filter(|width| (1..WIDTH).contains(width))?),
        None => (rest, WIDTH),
    };
    let n = digits.split('/').try_fold(0_u64, |n, part| {
        let part: u64 = part.trim_start_matches('x').parse().ok()?;
        n.checked_mul(1000)?.checked_add(part)
    })?;
    (number(n) == digits).then(|| (kind.to_owned(), n, width))
}

fn files(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("{} can't be read: {error}", dir.display())),
        };
        for entry in entries {
            let path = entry.map_err(|error| format!("{} can't be read: {error}", dir.display()))?.path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    Ok(found)
}
