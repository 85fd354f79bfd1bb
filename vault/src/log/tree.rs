//! One tree: the right edge and what is not yet on disk in memory, everything older in files.
//!
//! Memory: at most one partial tile a level and one partial bundle, plus what was appended since the last persist.
//! What is read from files is checked: a full tile against its parent up to the right edge, which was checked against the
//! signed checkpoint at open; a bundle against its tile. So a damaged file is an error, never an answer.

use super::LogError;
use super::merkle::{Hash, complete_hash, empty_hash, leaf_hash, node_hash};
use super::note::{Head, Signer, open_signed};
use super::tiles::{self, Batch, Bundle, Kind, Place, WIDTH};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longest leaf, by the length prefix of entry bundles.
pub(super) const MAX_LEAF: usize = 65_535;
/// Checked tiles kept for the next read: 512 KiB, enough for a proof's path and a scan.
const CACHED_TILES: usize = 64;

/// Hashes of one tile level, from a tile boundary to the end.
#[derive(Debug, Default)]
struct Level {
    start: u64,
    hashes: Vec<Hash>,
}

impl Level {
    fn end(&self) -> u64 {
        self.start.saturating_add(self.hashes.len() as u64)
    }

    fn range(&self, range: Range<u64>) -> Option<&[Hash]> {
        let from = usize::try_from(range.start.checked_sub(self.start)?).ok()?;
        let to = usize::try_from(range.end.checked_sub(self.start)?).ok()?;
        self.hashes.get(from..to)
    }
}

/// What is held in memory.
#[derive(Debug, Default)]
struct Edge {
    size: u64,
    persisted: u64,
    /// Index of the first leaf held: the start of the last bundle on disk that was not full.
    first_leaf: u64,
    leaves: VecDeque<Arc<[u8]>>,
    levels: Vec<Level>,
}

impl Edge {
    fn push(&mut self, hash: Hash, leaf: Arc<[u8]>) -> u64 {
        let index = self.size;
        self.leaves.push_back(leaf);
        self.size = index.saturating_add(1);
        let (mut at, mut carry) = (0, Some(hash));
        while let Some(hash) = carry {
            if self.levels.len() <= at {
                self.levels.push(Level::default());
            }
            carry = self.levels.get_mut(at).and_then(|level| {
                level.hashes.push(hash);
                let full = level.end().is_multiple_of(WIDTH);
                full.then(|| level.hashes.last_chunk::<256>().and_then(|tile| complete_hash(tile))).flatten()
            });
            at = at.saturating_add(1);
        }
        index
    }

    fn hashes(&self, level: usize, range: Range<u64>) -> Option<Vec<Hash>> {
        self.levels.get(level)?.range(range).map(<[Hash]>::to_vec)
    }

    /// Copies what a persist up to `size` writes: leaves, and hashes by level, each from a tile boundary on.
    fn unpersisted(&self, size: u64) -> Option<Unpersisted> {
        let first_leaf = floor(self.persisted);
        let skip = usize::try_from(first_leaf.checked_sub(self.first_leaf)?).ok()?;
        let count = usize::try_from(size.checked_sub(first_leaf)?).ok()?;
        let leaves: Vec<_> = self.leaves.iter().skip(skip).take(count).cloned().collect();
        let mut levels = Vec::new();
        let (mut at, mut from, mut to) = (0, self.persisted, size);
        while to > from {
            levels.push((floor(from), self.hashes(at, floor(from)..to)?));
            (at, from, to) = (at.saturating_add(1), from / WIDTH, to / WIDTH);
        }
        Some(Unpersisted { first_leaf, leaves, levels })
    }

    /// Forgets what is in full tiles and bundles on disk.
    fn persisted(&mut self, size: u64) {
        self.persisted = size;
        let keep = floor(size);
        let drop = usize::try_from(keep.saturating_sub(self.first_leaf)).unwrap_or(0);
        self.leaves.drain(..drop.min(self.leaves.len()));
        self.first_leaf = keep;
        let mut end = size;
        for level in &mut self.levels {
            let drop = usize::try_from(floor(end).saturating_sub(level.start)).unwrap_or(0);
            level.hashes.drain(..drop.min(level.hashes.len()));
            level.start = floor(end);
            end /= WIDTH;
        }
    }
}

/// What one persist writes.
struct Unpersisted {
    first_leaf: u64,
    leaves: Vec<Arc<[u8]>>,
    levels: Vec<(u64, Vec<Hash>)>,
}

fn floor(index: u64) -> u64 {
    index / WIDTH * WIDTH
}

type Tile = Arc<Vec<Hash>>;

/// Who signs checkpoints.
#[derive(Clone)]
struct Signing {
    signer: Arc<Signer>,
    /// Leaves that the smallest checkpoint it may sign covers: the one that announces it is the last of them.
    from: u64,
}

/// A key that signed checkpoints until another took over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Retired {
    pub public: [u8; 32],
    /// Index of the leaf that announced the next key: no checkpoint that covers it is this one's.
    pub until: u64,
}

/// One tree in its folder.
pub(super) struct TreeLog {
    place: Place,
    dir: PathBuf,
    signing: Mutex<Signing>,
    origin: String,
    edge: Mutex<Edge>,
    /// The last checkpoint signed: its head and its text.
    signed: Mutex<(Head, Arc<str>)>,
    /// Held during a persist, so that there is one at a time.
    persisting: Mutex<()>,
    cache: Mutex<VecDeque<(usize, u64, Tile)>>,
}

impl TreeLog {
    /// Opens the tree in `dir`, or begins it with a checkpoint of the empty tree.
    pub(super) fn open(
        place: Place,
        dir: PathBuf,
        signer: Signer,
        retired: &[Retired],
        origin: String,
    ) -> Result<Self, LogError> {
        let path = dir.join("checkpoint");
        let (head, text) = match std::fs::read_to_string(&path) {
            Ok(text) => {
                // A killed process may have given it its name and not made that durable. From here on what it covers counts as
                // signed, and the frames under it may go.
                place.sync(&dir)?;
                (read_checkpoint(&path, &text, &signer, retired, &origin)?, text)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => begin(&place, &dir, &path, &signer, &origin)?,
            Err(error) => return Err(LogError::io("read", &path, &error)),
        };
        let edge = load_edge(&dir, head.size)?;
        let tree = Self {
            place,
            dir,
            signing: Mutex::new(Signing {
                signer: Arc::new(signer),
                from: retired.iter().map(|key| key.until.saturating_add(1)).max().unwrap_or(0),
            }),
            origin,
            edge: Mutex::new(edge),
            signed: Mutex::new((head.clone(), text.into())),
            persisting: Mutex::new(()),
            cache: Mutex::default(),
        };
        if tree.root(head.size)? != head.root {
            return Err(LogError::damaged(&path, "the tiles don't hash to the signed root"));
        }
        tree.check_edge_leaves()?;
        Ok(tree)
    }

    fn check_edge_leaves(&self) -> Result<(), LogError> {
        let edge = self.edge.lock();
        let hashes = edge.hashes(0, edge.first_leaf..edge.size).unwrap_or_default();
        let good = edge.leaves.iter().map(|leaf| leaf_hash(leaf)).eq(hashes);
        let width = edge.size % WIDTH;
        let path = tiles::path(&self.dir, Kind::Entries, edge.first_leaf / WIDTH, width);
        if good { Ok(()) } else { Err(LogError::damaged(&path, "a leaf does not hash to its place in the tree")) }
    }

    pub(super) fn append(&self, leaf: Vec<u8>) -> Result<u64, LogError> {
        if leaf.len() > MAX_LEAF {
            return Err(LogError::LeafTooLarge { bytes: leaf.len() });
        }
        let hash = leaf_hash(&leaf);
        Ok(self.edge.lock().push(hash, leaf.into()))
    }

    pub(super) fn append_replayed(&self, index: u64, leaf: &[u8]) -> Result<(), LogError> {
        let size = self.size();
        if index > size {
            return Err(LogError::OutOfRange { index, size });
        }
        if index == size {
            return self.append(leaf.to_vec()).map(|_| ());
        }
        if self.hashes(0, index..index.saturating_add(1))?.first() == Some(&leaf_hash(leaf)) {
            Ok(())
        } else {
            Err(LogError::Inconsistent { origin: self.origin.clone(), index })
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.edge.lock().size
    }

    pub(super) fn persisted_size(&self) -> u64 {
        self.edge.lock().persisted
    }

    /// Returns the folder of the tree.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn vkey(&self) -> String {
        self.signing.lock().signer.vkey()
    }

    /// Returns the public key that signs.
    pub(super) fn public(&self) -> [u8; 32] {
        self.signing.lock().signer.public()
    }

    /// Signs the announcement of the key that takes over.
    pub(super) fn announce(&self, next: &[u8; 32]) -> Option<[u8; 64]> {
        self.signing.lock().signer.announce(next)
    }

    /// Lets another key sign from the checkpoint on that covers the leaf which announces it. That leaf must be durable.
    pub(super) fn hand_over(&self, next: Signer, announced_at: u64) {
        *self.signing.lock() = Signing { signer: Arc::new(next), from: announced_at.saturating_add(1) };
    }

    /// Returns the last signed head and its text.
    pub(super) fn signed(&self) -> (Head, Arc<str>) {
        self.signed.lock().clone()
    }

    /// Hashes at one tile level; the range must not cross a tile.
    fn hashes(&self, level: usize, range: Range<u64>) -> Result<Vec<Hash>, LogError> {
        if let Some(hashes) = self.edge.lock().hashes(level, range.clone()) {
            return Ok(hashes);
        }
        let n = range.start / WIDTH;
        let tile = self.full_tile(level, n)?;
        let from = usize::try_from(range.start % WIDTH).unwrap_or(usize::MAX);
        let count = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let hashes = tile.get(from..from.saturating_add(count));
        hashes.map(<[Hash]>::to_vec).ok_or(LogError::OutOfRange { index: range.end, size: self.size() })
    }

    /// Reads a full tile and checks it against its parent.
    fn full_tile(&self, level: usize, n: u64) -> Result<Tile, LogError> {
        let cached =
            self.cache.lock().iter().find(|(l, i, _)| (*l, *i) == (level, n)).map(|(.., tile)| Arc::clone(tile));
        if let Some(tile) = cached {
            return Ok(tile);
        }
        let top = self.edge.lock().levels.len();
        if level.saturating_add(1) >= top {
            return Err(LogError::OutOfRange { index: n.saturating_mul(WIDTH), size: self.size() });
        }
        let tile = Arc::new(tiles::read_hashes(&self.dir, level, n, WIDTH)?);
        let parent = self.hashes(level.saturating_add(1), n..n.saturating_add(1))?;
        if complete_hash(&tile).as_ref() != parent.first() {
            let path = tiles::path(&self.dir, Kind::Hashes(level), n, WIDTH);
            return Err(LogError::damaged(&path, "the tile does not hash to its parent"));
        }
        let mut cache = self.cache.lock();
        if cache.len() >= CACHED_TILES {
            cache.pop_front();
        }
        cache.push_back((level, n, Arc::clone(&tile)));
        Ok(tile)
    }

    /// Returns the leaves of bundle `n` from `index` on, at most to its end.
    pub(super) fn leaves_from(&self, index: u64) -> Result<Vec<Arc<[u8]>>, LogError> {
        let n = index / WIDTH;
        let skip = usize::try_from(index % WIDTH).unwrap_or(usize::MAX);
        {
            let edge = self.edge.lock();
            if index >= edge.size {
                return Err(LogError::OutOfRange { index, size: edge.size });
            }
            if let Some(from) = index.checked_sub(edge.first_leaf) {
                let from = usize::try_from(from).unwrap_or(usize::MAX);
                let count = usize::try_from(WIDTH - index % WIDTH).unwrap_or(0);
                return Ok(edge.leaves.iter().skip(from).take(count).cloned().collect());
            }
        }
        let tile = self.full_tile(0, n)?;
        let Bundle { path, entries } = tiles::read_entries(&self.dir, n, WIDTH)?;
        if !entries.iter().map(|entry| leaf_hash(entry)).eq(tile.iter().copied()) {
            return Err(LogError::damaged(&path, "a leaf does not hash to its place in the tree"));
        }
        Ok(entries.into_iter().skip(skip).collect())
    }

    /// Hashes the complete subtree of 2^`height` leaves at `index` subtrees from the left.
    fn node(&self, height: u32, index: u64) -> Result<Hash, LogError> {
        let (level, within) = (height / 8, height % 8);
        let start = index << within;
        let hashes = self.hashes(level as usize, start..start.saturating_add(1 << within))?;
        complete_hash(&hashes).ok_or(LogError::OutOfRange { index: start, size: self.size() })
    }

    /// Computes MTH of the leaves in `range`; its start must be a multiple of the largest power of two in its length.
    pub(super) fn subtree(&self, range: Range<u64>) -> Result<Hash, LogError> {
        let len = range.end.saturating_sub(range.start);
        if len == 0 {
            return Ok(empty_hash());
        }
        if len.is_power_of_two() {
            let height = len.trailing_zeros();
            return self.node(height, range.start >> height);
        }
        let middle = range.start.saturating_add(split(len));
        Ok(node_hash(&self.subtree(range.start..middle)?, &self.subtree(middle..range.end)?))
    }

    /// Computes the root of the first `size` leaves.
    pub(super) fn root(&self, size: u64) -> Result<Hash, LogError> {
        let have = self.size();
        if size > have {
            return Err(LogError::OutOfRange { index: size, size: have });
        }
        self.subtree(0..size)
    }

    /// Writes the leaves below `size` that are not on disk yet, then signs them. Appends go on meanwhile.
    pub(super) fn persist(&self, size: u64) -> Result<(), LogError> {
        let _one = self.persisting.lock();
        let (old, _) = self.signed();
        let Signing { signer, from } = self.signing.lock().clone();
        // What is below is durable too, and the key may sign no less.
        let size = size.max(from);
        let have = self.size();
        if size > have {
            return Err(LogError::OutOfRange { index: size, size: have });
        }
        if size <= old.size {
            return Ok(());
        }
        let news = self.edge.lock().unpersisted(size);
        let news = news.ok_or(LogError::OutOfRange { index: size, size: have })?;
        self.write(&news)?;
        self.reread(&news)?;
        if self.root(old.size)? != old.root {
            return Err(LogError::Inconsistent { origin: self.origin.clone(), index: old.size });
        }
        let head = Head { origin: self.origin.clone(), size, root: self.root(size)? };
        let note = sign_checkpoint(&self.place, &self.dir, &signer, &head)?;
        *self.signed.lock() = (head, note.into());
        self.edge.lock().persisted(size);
        self.drop_partials(&news);
        Ok(())
    }

    fn write(&self, news: &Unpersisted) -> Result<(), LogError> {
        let mut batch = Batch::new(&self.place);
        for (n, entries) in numbered(news.first_leaf, &news.leaves) {
            let path = tiles::path(&self.dir, Kind::Entries, n, entries.len() as u64);
            batch.write(&path, &tiles::encode_entries(entries))?;
        }
        for (level, (start, hashes)) in news.levels.iter().enumerate() {
            for (n, tile) in numbered(*start, hashes) {
                let path = tiles::path(&self.dir, Kind::Hashes(level), n, tile.len() as u64);
                batch.write(&path, &tiles::encode_hashes(tile))?;
            }
        }
        batch.finish()
    }

    /// Reads back what was written and hashes it again, so that a flipped bit is found before it is signed.
    fn reread(&self, news: &Unpersisted) -> Result<(), LogError> {
        for (level, (start, hashes)) in news.levels.iter().enumerate() {
            for (n, tile) in numbered(*start, hashes) {
                let width = tile.len() as u64;
                let path = tiles::path(&self.dir, Kind::Hashes(level), n, width);
                let read = tiles::read_hashes(&self.dir, level, n, width)?;
                let (below, expected) = match level {
                    0 => (leaf_hashes(&self.dir, n, width)?, tile),
                    _ => (read.clone(), tile),
                };
                let parent = news
                    .levels
                    .get(level.saturating_add(1))
                    .and_then(|(start, hashes)| hashes.get(usize::try_from(n.checked_sub(*start)?).ok()?));
                let whole = width != WIDTH || complete_hash(&read).as_ref() == parent;
                if read != expected || below != expected || !whole {
                    return Err(LogError::damaged(&path, "what was written does not read back"));
                }
            }
        }
        Ok(())
    }

    /// Removes partial tiles whose full tile is on disk and signed. Best effort: one that stays is harmless.
    fn drop_partials(&self, news: &Unpersisted) {
        let drop = |kind, n| {
            let partial = tiles::path(&self.dir, kind, n, 1);
            let _ = partial.parent().map(|folder| self.place.disk.remove_folder(folder));
        };
        for (level, (start, hashes)) in news.levels.iter().enumerate() {
            for (n, tile) in numbered(*start, hashes) {
                if tile.len() as u64 == WIDTH {
                    drop(Kind::Hashes(level), n);
                    if level == 0 {
                        drop(Kind::Entries, n);
                    }
                }
            }
        }
    }
}

/// Returns the largest power of two below `len`.
pub(super) fn split(len: u64) -> u64 {
    1 << (u64::BITS - 1).saturating_sub(len.saturating_sub(1).leading_zeros())
}

/// Cuts items that begin at index `start`, a tile boundary, into tiles with their numbers.
fn numbered<T>(start: u64, items: &[T]) -> impl Iterator<Item = (u64, &[T])> {
    (start / WIDTH..).zip(items.chunks(256))
}

fn leaf_hashes(dir: &Path, n: u64, width: u64) -> Result<Vec<Hash>, LogError> {
    let bundle = tiles::read_entries(dir, n, width)?;
    Ok(bundle.entries.iter().map(|entry| leaf_hash(entry)).collect())
}

fn read_checkpoint(
    path: &Path,
    text: &str,
    signer: &Signer,
    retired: &[Retired],
    origin: &str,
) -> Result<Head, LogError> {
    let by = |key: &Retired| Some((open_signed(origin, &key.public, text)?, key.until));
    let own = signer.open(text).map(|signed| (signed, u64::MAX));
    let found = own.or_else(|| retired.iter().find_map(by));
    let (signed, most) = found.ok_or_else(|| LogError::damaged(path, "not signed by this log's key"))?;
    let head = Head::parse(signed).filter(|head| head.origin == origin && head.size <= most);
    head.ok_or_else(|| LogError::damaged(path, "not a checkpoint of this tree"))
}

fn sign_checkpoint(place: &Place, dir: &Path, signer: &Signer, head: &Head) -> Result<String, LogError> {
    let note = signer.sign(&head.text());
    let mut batch = Batch::new(place);
    batch.write(&dir.join("checkpoint"), note.as_bytes())?;
    batch.finish()?;
    Ok(note)
}

fn begin(place: &Place, dir: &Path, path: &Path, signer: &Signer, origin: &str) -> Result<(Head, String), LogError> {
    if dir.join("tile").exists() {
        return Err(LogError::damaged(path, "there are tiles but no checkpoint"));
    }
    let head = Head { origin: origin.to_owned(), size: 0, root: empty_hash() };
    let note = sign_checkpoint(place, dir, signer, &head)?;
    Ok((head, note))
}

fn load_edge(dir: &Path, size: u64) -> Result<Edge, LogError> {
    let mut levels = Vec::new();
    let mut end = size;
    while end > 0 {
        let width = end % WIDTH;
        let hashes = match width {
            0 => Vec::new(),
            _ => tiles::read_hashes(dir, levels.len(), end / WIDTH, width)?,
        };
        levels.push(Level { start: floor(end), hashes });
        end /= WIDTH;
    }
    let leaves = match size % WIDTH {
        0 => Vec::new(),
        width => tiles::read_entries(dir, size / WIDTH, width)?.entries,
    };
    Ok(Edge { size, persisted: size, first_leaf: floor(size), leaves: leaves.into(), levels })
}
