//! Putting damaged tiles of a log that is not open back from a copy of it.
//!
//! Guarantees: a file is replaced only by one that hashes to what a verified one above it says; the uppermost are verified by
//! the root in the log's own checkpoint, whose signature is checked when the log is opened. A full tile is verified by its
//! parent, a bundle of leaves by its tile, and the tiles at the right edge together by the root. Costs reading the whole log.
//!
//! Does not: touch a checkpoint, which says how much there is; nor look at leaves that are in no tile yet.

use super::merkle::{Hash, complete_hash, empty_hash, leaf_hash, node_hash};
use super::note::Head;
use super::tiles::{self, Batch, Kind, Place, WIDTH};
use super::{LogError, name};
use crate::disk::Disk;
use crate::vault::Tree;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that was damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mended {
    /// Which.
    pub path: PathBuf,
    /// Whether it was put back.
    pub done: bool,
}

/// Looks at both trees in `log`, and puts back from `copy` what is damaged and is whole there.
pub(crate) fn mend(disk: &Disk, log: &Path, copy: Option<&Path>) -> Result<Vec<Mended>, LogError> {
    let mut all = Vec::new();
    for tree in [Tree::Access, Tree::Subject] {
        let (dir, copy) = (log.join(name(tree)), copy.map(|copy| copy.join(name(tree))));
        let path = dir.join("checkpoint");
        let Some(head) = std::fs::read_to_string(&path).ok().and_then(|text| stated(&text)) else {
            all.push(Mended { path, done: false });
            continue;
        };
        let place = Place::new(disk, log);
        let mut mending = Mending { place, dir, copy, found: Vec::new() };
        mending.tree(&head)?;
        all.append(&mut mending.found);
    }
    Ok(all)
}

/// Reads what a checkpoint states.
fn stated(text: &str) -> Option<Head> {
    // The blank line ends what is signed.
    let (signed, _) = text.split_once("\n\n")?;
    Head::parse(&format!("{signed}\n"))
}

struct Mending {
    place: Place,
    dir: PathBuf,
    copy: Option<PathBuf>,
    found: Vec<Mended>,
}

/// A tile: level, number, how many hashes.
type At = (usize, u64, u64);

impl Mending {
    fn tree(&mut self, head: &Head) -> Result<(), LogError> {
        let mut edge: Vec<At> = Vec::new();
        let mut count = head.size;
        while count > 0 {
            edge.extend((!count.is_multiple_of(WIDTH)).then_some((
                edge_level(head.size, count),
                count / WIDTH,
                count % WIDTH,
            )));
            count /= WIDTH;
        }
        let Some(tiles) = self.edge(&edge, &head.root)? else { return Ok(()) };
        for ((level, n, width), tile) in edge.into_iter().zip(tiles) {
            if level == 0 {
                self.leaves(n, width, &tile)?;
                continue;
            }
            for (child, hash) in (n.saturating_mul(WIDTH)..).zip(&tile) {
                self.full(level.saturating_sub(1), child, hash)?;
            }
        }
        Ok(())
    }

    /// Reads the tiles at the right edge, each from here or from the copy, so that together they hash to the root; none if they
    /// don't in any way.
    fn edge(&mut self, edge: &[At], root: &Hash) -> Result<Option<Vec<Vec<Hash>>>, LogError> {
        let read = |dir: &Path| -> Vec<Option<Vec<Hash>>> {
            edge.iter().map(|(level, n, width)| tiles::read_hashes(dir, *level, *n, *width).ok()).collect()
        };
        let here = read(&self.dir);
        let there = self.copy.as_deref().map_or_else(|| vec![None; edge.len()], read);
        // A log has few levels.
        for choice in 0_u32..1 << edge.len().min(8) {
            let of_copy = |at: usize| choice >> at & 1 == 1;
            let chosen = here.iter().zip(&there).enumerate();
            let chosen = chosen.map(|(at, (here, there))| if of_copy(at) { there.clone() } else { here.clone() });
            let Some(tiles) = chosen.collect::<Option<Vec<_>>>() else { continue };
            if root_of(edge, &tiles) != *root {
                continue;
            }
            let replaced = edge.iter().zip(&tiles).enumerate().filter(|(at, _)| of_copy(*at));
            for (_, ((level, n, width), tile)) in replaced {
                self.put(Kind::Hashes(*level), *n, *width, &tiles::encode_hashes(tile))?;
            }
            return Ok(Some(tiles));
        }
        self.found.push(Mended { path: self.dir.join("tile"), done: false });
        Ok(None)
    }

    /// Looks at a full tile, and at all below it.
    fn full(&mut self, level: usize, n: u64, hash: &Hash) -> Result<(), LogError> {
        let sound = |dir: &Path| {
            let tile = tiles::read_hashes(dir, level, n, WIDTH).ok()?;
            (complete_hash(&tile).as_ref() == Some(hash)).then_some(tile)
        };
        let there = || self.copy.as_deref().and_then(sound);
        let tile = match sound(&self.dir) {
            Some(tile) => tile,
            None => match there() {
                Some(tile) => {
                    self.put(Kind::Hashes(level), n, WIDTH, &tiles::encode_hashes(&tile))?;
                    tile
                }
                None => {
                    self.found
                        .push(Mended { path: tiles::path(&self.dir, Kind::Hashes(level), n, WIDTH), done: false });
                    return Ok(());
                }
            },
        };
        if level == 0 {
            return self.leaves(n, WIDTH, &tile);
        }
        let children = (n.saturating_mul(WIDTH)..).zip(&tile);
        children.into_iter().try_for_each(|(child, hash)| self.full(level.saturating_sub(1), child, hash))
    }

    fn leaves(&mut self, n: u64, width: u64, hashes: &[Hash]) -> Result<(), LogError> {
        let sound = |dir: &Path| {
            let entries = tiles::read_entries(dir, n, width).ok()?.entries;
            let same = entries.iter().map(|entry| leaf_hash(entry)).eq(hashes.iter().copied());
            same.then_some(entries)
        };
        if sound(&self.dir).is_some() {
            return Ok(());
        }
        let there: Option<Vec<Arc<[u8]>>> = self.copy.as_deref().and_then(sound);
        match there {
            Some(entries) => self.put(Kind::Entries, n, width, &tiles::encode_entries(&entries)),
            None => {
                self.found.push(Mended { path: tiles::path(&self.dir, Kind::Entries, n, width), done: false });
                Ok(())
            }
        }
    }

    fn put(&mut self, kind: Kind, n: u64, width: u64, bytes: &[u8]) -> Result<(), LogError> {
        let path = tiles::path(&self.dir, kind, n, width);
        let mut batch = Batch::new(&self.place);
        batch.write(&path, bytes)?;
        batch.finish()?;
        self.found.push(Mended { path, done: true });
        Ok(())
    }
}

/// Says at which level so many hashes are, of a log of `size` leaves.
fn edge_level(size: u64, count: u64) -> usize {
    let (mut level, mut left) = (0, size);
    while left > count {
        (level, left) = (level + 1, left / WIDTH);
    }
    level
}

/// Hashes the right edge: the complete subtrees that a tree consists of, from the largest to the smallest.
fn root_of(edge: &[At], tiles: &[Vec<Hash>]) -> Hash {
    // Complete subtrees with their heights, each higher than those after it.
    let mut open: Vec<(usize, Hash)> = Vec::new();
    for ((level, ..), tile) in edge.iter().zip(tiles).rev() {
        for hash in tile {
            let (mut height, mut hash) = (level * 8, *hash);
            while let Some((_, left)) = open.pop_if(|(of, _)| *of == height) {
                (height, hash) = (height + 1, node_hash(&left, &hash));
            }
            open.push((height, hash));
        }
    }
    let last = open.pop().map(|(_, hash)| hash);
    last.map_or_else(empty_hash, |last| open.iter().rev().fold(last, |right, (_, left)| node_hash(left, &right)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
