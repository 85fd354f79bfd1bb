//! A thief with disks: copies of a vault's folders, from any time, and secrets. It reads what can be read.
//!
//! It shares no code with the vault: the formats are parsed here, after their documentation. It believes no name, no
//! number and no checksum. Every file is searched at every offset for everything that it could hold (root slots, key
//! pages, pieces, frames, entries of journals), so that free space, unfinished files and files that were unlinked after
//! the copy count; and every key that turns up anywhere is tried on everything found anywhere.
//!
//! It does not attack the ciphers, nor derive what only a person's own hidden bytes give: it reports those bytes.

mod bytes;
mod cipher;
mod consent;
mod fact;
mod history;
mod page;
mod part;
mod piece;
mod store;

use cipher::Key;
pub use fact::{Cell, Fact};

use page::Page;
use part::Part;
use piece::Piece;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::hash::Hash;
use std::path::{Path, PathBuf};

/// Which copy, and which file of it.
pub type Place = (String, PathBuf);

/// What the thief has.
#[derive(Default)]
pub struct Thief {
    /// Distinct files and where they lie.
    files: HashMap<Vec<u8>, BTreeSet<Place>>,
    /// Keys, and whether each is only a guess: those are tried as roots.
    keys: BTreeMap<Key, bool>,
}

/// Everything found, and what opened.
pub struct Loot {
    pages: Vec<Found<Page, Vec<u8>>>,
    pieces: Vec<Found<Piece, piece::Opened>>,
    parts: Vec<Found<Part, part::Opened>>,
    files: HashMap<Vec<u8>, BTreeSet<Place>>,
    keys: usize,
}

/// One sealed thing, everywhere it lies, and its plaintext.
struct Found<S, O> {
    sealed: S,
    places: BTreeSet<Place>,
    opened: Option<O>,
}

/// How much was found and opened: pages, pieces, parts, keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Haul {
    pub pages: (usize, usize),
    pub pieces: (usize, usize),
    pub parts: (usize, usize),
    pub keys: usize,
}

impl Thief {
    /// Takes a copy of a data or backup folder.
    pub fn steal(&mut self, copy: &str, folder: &Path) {
        for path in files(folder) {
            let bytes = fs::read(&path).unwrap();
            let within = path.strip_prefix(folder).unwrap().to_owned();
            self.files.entry(bytes).or_default().insert((copy.to_owned(), within));
        }
    }

    /// Takes everything in a folder of secrets: root slots, and every 32 bytes that could be a key.
    pub fn learn(&mut self, folder: &Path) {
        for path in files(folder) {
            self.learn_bytes(&fs::read(path).unwrap());
        }
    }

    /// Takes bytes that may hold keys.
    pub fn learn_bytes(&mut self, secret: &[u8]) {
        for key in page::guesses(secret) {
            self.keys.entry(key).or_insert(true);
        }
        self.keys.extend(page::roots(secret).into_iter().map(|key| (key, false)));
    }

    /// Searches everything and tries every key on it, until no new key turns up.
    pub fn read(self) -> Loot {
        let (mut pages, mut pieces, mut parts) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut keys = self.keys;
        for (file, places) in &self.files {
            keys.extend(page::roots(file).into_iter().map(|key| (key, false)));
            page::carve(file).into_iter().for_each(|(_, page)| note(&mut pages, page, places));
            piece::carve(file).into_iter().for_each(|(_, piece)| note(&mut pieces, piece, places));
            part::carve(file).into_iter().for_each(|(_, part)| note(&mut parts, part, places));
        }
        let datasets: BTreeSet<u32> = parts.keys().map(|part: &Part| part.dataset).chain(1..=2).collect();
        let blocks: BTreeSet<u32> = parts.keys().map(|part: &Part| part.block).chain(0..=1).collect();
        for (file, places) in self.files.iter().filter(|(file, _)| !of_another_kind(file)) {
            store::carve(file, &datasets, &blocks).into_iter().for_each(|part| note(&mut parts, part, places));
        }
        let mut loot =
            Loot { pages: list(pages), pieces: list(pieces), parts: list(parts), files: self.files, keys: 0 };
        loot.open(keys);
        loot
    }
}

/// Says that a file holds no journal's database: the search is slow, and a file that is of another kind from its
/// first byte to its last is spared it.
fn of_another_kind(file: &[u8]) -> bool {
    [&b"SLHPIECE"[..], b"SILHKEYP", b"SILHWAL\n"].iter().any(|magic| file.starts_with(magic))
}

fn note<S: Eq + Hash>(into: &mut HashMap<S, BTreeSet<Place>>, sealed: S, places: &BTreeSet<Place>) {
    into.entry(sealed).or_default().extend(places.iter().cloned());
}

fn list<S, O>(found: HashMap<S, BTreeSet<Place>>) -> Vec<Found<S, O>> {
    found.into_iter().map(|(sealed, places)| Found { sealed, places, opened: None }).collect()
}

impl<S, O> Found<S, O> {
    /// Tries a key, unless another has fitted; returns what it opened.
    fn try_key(&mut self, open: impl Fn(&S) -> Option<O>) -> Option<&O> {
        if self.opened.is_some() {
            return None;
        }
        self.opened = open(&self.sealed);
        self.opened.as_ref()
    }
}

impl Loot {
    fn open(&mut self, keys: BTreeMap<Key, bool>) {
        let mut known: BTreeSet<Key> = keys.keys().copied().collect();
        let mut untried: Vec<(Key, bool)> = keys.into_iter().collect();
        while let Some((key, guessed)) = untried.pop() {
            for page in &mut self.pages {
                if let Some(body) = page.try_key(|page| page.open(&key)).cloned() {
                    let new = page.sealed.keys(&body).into_iter().filter(|key| known.insert(*key));
                    untried.extend(new.map(|key| (key, false)));
                }
            }
            if !guessed {
                for piece in &mut self.pieces {
                    piece.try_key(|piece| piece.open(&key));
                }
                for part in &mut self.parts {
                    part.try_key(|part| part.open(&key));
                }
            }
        }
        self.keys = known.len();
    }

    /// How much was found, and how much of it opened.
    pub fn haul(&self) -> Haul {
        fn count<S, O>(found: &[Found<S, O>]) -> (usize, usize) {
            (found.len(), found.iter().filter(|found| found.opened.is_some()).count())
        }
        Haul { pages: count(&self.pages), pieces: count(&self.pieces), parts: count(&self.parts), keys: self.keys }
    }

    /// Everything that can be read, and where: what opened, and the files themselves, for what lies in them in clear.
    pub fn plaintexts(&self) -> impl Iterator<Item = (&BTreeSet<Place>, &[u8])> {
        let pages = self.pages.iter().filter_map(|page| Some((&page.places, page.opened.as_deref()?)));
        let pieces = self.pieces.iter().filter_map(|piece| Some((&piece.places, piece.opened.as_ref()?)));
        let pieces = pieces.flat_map(|(places, piece)| piece.plaintexts().map(move |bytes| (places, bytes)));
        let parts = self.parts.iter().filter_map(|part| Some((&part.places, part.opened.as_ref()?.bytes.as_slice())));
        let files = self.files.iter().map(|(bytes, places)| (places, bytes.as_slice()));
        pages.chain(pieces).chain(parts).chain(files)
    }

    /// Which values are in what can be read, and where; `search` returns the numbers of those in some bytes.
    pub fn finds(&self, search: impl Fn(&[u8]) -> Vec<usize>) -> BTreeMap<usize, BTreeSet<Place>> {
        let mut found: BTreeMap<usize, BTreeSet<Place>> = BTreeMap::new();
        for (places, bytes) in self.plaintexts() {
            for value in search(bytes) {
                found.entry(value).or_default().extend(places.iter().cloned());
            }
        }
        found
    }

    /// Every identifier of a person that can be read, and where: who is in the vault.
    pub fn members(&self) -> BTreeMap<Vec<u8>, BTreeSet<Place>> {
        let mut members: BTreeMap<Vec<u8>, BTreeSet<Place>> = BTreeMap::new();
        for piece in &self.pieces {
            for key in piece.opened.iter().flat_map(piece::Opened::identifiers).filter(|key| !key.is_empty()) {
                members.entry(key.to_vec()).or_default().extend(piece.places.iter().cloned());
            }
        }
        for part in &self.parts {
            for key in part.opened.iter().flat_map(part::Opened::keys) {
                members.entry(key.to_vec()).or_default().extend(part.places.iter().cloned());
            }
        }
        members
    }

    /// What can be read of the person with this ordinal, from the files that `of` admits.
    pub fn facts(&self, dataset: u32, ordinal: u32, of: impl Fn(&Place) -> bool) -> Vec<Fact> {
        let mut facts = Vec::new();
        for piece in self.pieces.iter().filter(|piece| piece.places.iter().any(&of)) {
            piece.opened.iter().for_each(|piece| piece.facts(dataset, ordinal, &mut facts));
        }
        for part in self.parts.iter().filter(|part| part.places.iter().any(&of)) {
            part.opened.iter().for_each(|part| part.facts(dataset, ordinal, &mut facts));
        }
        facts.retain(Fact::tells);
        facts
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
