//! The mirror: a second place, on another disk or host, for the root cell and the pages of the key tree.
//!
//! ```text
//! MIRROR/root.cell      as ROOT/root.cell
//! MIRROR/keys/*.page    as DATA/keys/*.page
//! MIRROR/keys/note-00000000-00000000-GEN.page    what the vault has done at the least, sealed under the root
//! ```
//! Guarantees: when a commit has returned, the mirror holds the new generation and its old root is gone too. Home is
//! switched first, so a crash leaves the mirror level or behind; opening brings it up before anything is served. A mirror
//! that is ahead, of another vault, or empty where one should be is refused: it may hold the only current root, or there
//! may be an old root on a disk that is not plugged in. A tree that has a mirror is not opened without it.
//!
//! Not given: help against whoever reads the mirror's medium, which opens copies of the data folder as the root's does.

use super::cell::{CELL_FILE, Root};
use super::entry::Entries;
use super::error::{KeysError, MirrorFault, at};
use super::load::{self, Tree};
use super::lock::{SecondLock, Unlocking};
use super::page::{self, PageId};
use super::secret::SecretKey;
use super::tree::{
    PAGES_FOLDER, UNFINISHED, lock_cell, newest_that_opens, page_files, parent, read_slots, same, stale_slots,
    superseded, write_cell, write_durably, write_slot,
};
use crate::disk::{self, Disk};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The record that tells one vault from another: random, drawn when the tree is made.
pub(super) const IDENTITY: &str = "identity";
/// The record that a tree with a mirror has: random, drawn for each mirror, so that one that was forgotten is known.
pub(super) const MIRROR: &str = "mirror";

/// What an opening does about a mirror.
#[derive(Debug, Clone, Copy)]
pub enum Mirroring<'a> {
    /// There is none, and the tree must not have one.
    Without,
    /// It is in this folder, or is to be made there.
    At(&'a Path),
    /// It is lost or destroyed, and the tree is to be without it.
    Forget,
}

/// An open mirror. Holds its lock until dropped.
#[derive(Debug)]
pub(super) struct Mirror {
    folder: PathBuf,
    pages: PathBuf,
    cell_path: PathBuf,
    cell: File,
    note: Vec<u8>,
}

/// What a mirror holds, before anything of it is changed.
pub(super) struct Found {
    cell: File,
    /// The generation that it is at.
    root: Root,
}

/// Draws the value of a record that names something.
pub(super) fn new_name() -> Result<Vec<u8>, KeysError> {
    Ok(SecretKey::random()?.expose().iter().take(16).copied().collect())
}

/// Compares a mirror with the tree of home and changes nothing. Returns what it holds, locked; none if it is to be made.
pub(super) fn examine(
    folder: &Path,
    root: &Root,
    tree: &Tree,
    unlocking: &mut Unlocking<'_>,
) -> Result<Option<Found>, KeysError> {
    let refuse = |fault| KeysError::MirrorRefused { mirror: folder.to_owned(), fault };
    let cell_path = folder.join(CELL_FILE);
    let named = |tree: &Tree, name: &str| tree.names.records.get(name).cloned();
    let wrap = of(folder);
    if !cell_path.try_exists().map_err(at(&cell_path)).map_err(&wrap)? {
        return match named(tree, MIRROR) {
            Some(_) => Err(refuse(MirrorFault::Empty)),
            None => Ok(None),
        };
    }
    let cell = lock_cell(&cell_path, folder).map_err(&wrap)?;
    let slots = read_slots(&cell_path, unlocking).map_err(&wrap)?;
    if slots.iter().all(Result::is_err) && load::load(&folder.join(PAGES_FOLDER), root).is_ok() {
        // A change of the second lock died between the two, or in a slot: the pages are there, and what can be read of the
        // cell is still under the other lock.
        return Ok(Some(Found { cell, root: root.clone() }));
    }
    if let Some(ahead) = slots.iter().flatten().find(|slot| slot.generation > root.generation) {
        // Which of the two is another vault's can't be told from a number; the pages can.
        let (_, theirs) = newest_that_opens(&folder.join(PAGES_FOLDER), &slots).map_err(&wrap)?;
        let other = named(&theirs, IDENTITY) != named(tree, IDENTITY);
        let (mirror, root) = (ahead.generation, root.generation);
        return Err(refuse(if other { MirrorFault::OtherVault } else { MirrorFault::Ahead { mirror, root } }));
    }
    if slots.iter().flatten().any(|slot| same(slot, root)) {
        return Ok(Some(Found { cell, root: root.clone() }));
    }
    let (found, theirs) = newest_that_opens(&folder.join(PAGES_FOLDER), &slots).map_err(&wrap)?;
    let stranger = |name| named(&theirs, name).is_some_and(|value| Some(value) != named(tree, name));
    if found.generation == root.generation || named(&theirs, IDENTITY).is_none() || stranger(IDENTITY) {
        return Err(refuse(MirrorFault::OtherVault));
    }
    // One that was being made when the process died has no name yet.
    if stranger(MIRROR) {
        return Err(refuse(MirrorFault::Forgotten));
    }
    Ok(Some(Found { cell, root: found }))
}

/// Makes a mirror hold the tree of home; `found` is what [`examine`] returned.
pub(super) fn bring_up(
    disk: &Disk,
    folder: &Path,
    found: Option<Found>,
    home: &Path,
    (root, tree): (&Root, &Tree),
) -> Result<Mirror, KeysError> {
    let (pages, cell_path) = (folder.join(PAGES_FOLDER), folder.join(CELL_FILE));
    let bring_up = || {
        disk.create_folder(&pages).map_err(at(&pages))?;
        let named = names(root, tree);
        for name in &named {
            let (from, to) = (home.join(name), pages.join(name));
            let page = disk::read(&from, load::MAX_FILE_BYTES).map_err(at(&from))?;
            if disk::read(&to, load::MAX_FILE_BYTES).is_ok_and(|there| there == page) {
                continue;
            }
            write_durably(disk, &passing(&to), &to, &page)?;
        }
        let note = match &found {
            Some(found) => read_note(&pages, &found.root)?,
            None => Vec::new(),
        };
        if found.as_ref().is_none_or(|found| !same(&found.root, root)) {
            put_note(disk, &pages, root, &note)?;
        }
        // A process that was killed may have made these names and not synced them.
        for folder in [&pages, folder, parent(folder)] {
            disk.sync_folder(folder).map_err(at(folder))?;
        }
        load::load(&pages, root)?;
        let cell = match found {
            Some(found) => {
                // As of home's: the newer slot is durable before the older one goes.
                disk.sync(&cell_path, &found.cell).map_err(at(&cell_path))?;
                found.cell
            }
            None => {
                write_cell(disk, &cell_path, root)?;
                lock_cell(&cell_path, folder)?
            }
        };
        for slot in stale_slots(&cell_path, root)? {
            write_slot(disk, &cell_path, &cell, slot, root)?;
        }
        for (path, id, generation) in page_files(&pages)? {
            let unfinished = path.extension().is_some_and(|end| end == UNFINISHED);
            let noted = id == PageId::Note && generation == root.generation;
            if unfinished || !noted && !named.contains(&id.file_name(generation)) {
                disk.unlink(&path).ok();
            }
        }
        let unfinished = cell_path.with_extension(UNFINISHED);
        if unfinished.exists() {
            disk.unlink(&unfinished).ok();
        }
        Ok((cell, note))
    };
    let (cell, note) = bring_up().map_err(of(folder))?;
    Ok(Mirror { folder: folder.to_owned(), pages, cell_path, cell, note })
}

impl Mirror {
    /// Takes over the pages of a new generation, makes them durable, and opens them again from the mirror's disk.
    pub(super) fn write_pages(
        &self,
        disk: &Disk,
        home: &Path,
        (root, tree): (&Root, &Tree),
        changed: &BTreeSet<PageId>,
    ) -> Result<(), KeysError> {
        let written = || changed.iter().filter_map(|id| Some((*id, tree.children.get(id)?)));
        let names = written().map(|(id, _)| id).chain([PageId::Top]).map(|id| id.file_name(root.generation));
        let follow = || {
            for name in names {
                let (from, to) = (home.join(&name), self.pages.join(&name));
                let page = disk::read(&from, load::MAX_FILE_BYTES).map_err(at(&from))?;
                write_durably(disk, &passing(&to), &to, &page)?;
            }
            put_note(disk, &self.pages, root, &self.note)?;
            disk.sync_folder(&self.pages).map_err(at(&self.pages))?;
            read_note(&self.pages, root)?;
            load::load_top(&self.pages, root)?;
            written().try_for_each(|(id, child)| load::load_child(&self.pages, id, child).map(drop))
        };
        follow().map_err(of(&self.folder))
    }

    /// Replaces the root.
    pub(super) fn switch(&self, disk: &Disk, root: &Root) -> Result<(), KeysError> {
        let switch = |slot| write_slot(disk, &self.cell_path, &self.cell, slot, root);
        (0..2).try_for_each(switch).map_err(of(&self.folder))
    }

    /// Returns what was noted last.
    pub(super) fn note(&self) -> &[u8] {
        &self.note
    }

    /// Takes what is to be noted: every commit carries it over from here on, and until one has, it has to be written.
    pub(super) fn take_note(&mut self, disk: &Disk, root: &Root, value: &[u8]) -> Result<Note, KeysError> {
        let page = seal_note(root, value)?;
        self.note = value.to_vec();
        let path = self.pages.join(PageId::Note.file_name(root.generation));
        Ok(Note { disk: disk.clone(), mirror: self.folder.clone(), pages: self.pages.clone(), path, page })
    }

    /// Removes what a switch left over; what stays is sealed under keys that no longer exist.
    pub(super) fn clean(&self, disk: &Disk, old: (&Root, &Tree), new: &Tree) {
        let note = PageId::Note.file_name(old.0.generation);
        for file in superseded(&old.1.children, &new.children, old.0.generation).into_iter().chain([note]) {
            disk.unlink(&self.pages.join(file)).ok();
        }
    }
}

/// A note that is sealed and not written: whoever writes it needs no key, and no lock but its own.
#[derive(Debug)]
pub(crate) struct Note {
    disk: Disk,
    mirror: PathBuf,
    pages: PathBuf,
    path: PathBuf,
    page: Vec<u8>,
}

impl Note {
    /// Writes it, durably. One of a generation that is over is a stray: the commit that ended it has carried it over.
    pub(crate) fn write(self) -> Result<(), KeysError> {
        let Self { disk, mirror, pages, path, page } = self;
        let written = write_durably(&disk, &passing(&path), &path, &page);
        let synced = written.and_then(|()| disk.sync_folder(&pages).map_err(at(&pages)));
        synced.map_err(of(&mirror))
    }
}

/// Seals the note of a generation. Its page takes a fresh salt each time, so no key seals two of them.
fn seal_note(root: &Root, value: &[u8]) -> Result<Vec<u8>, KeysError> {
    page::seal(PageId::Note, root.generation, &root.key, Zeroizing::new(value.to_vec()))
}

fn put_note(disk: &Disk, pages: &Path, root: &Root, value: &[u8]) -> Result<(), KeysError> {
    let page = seal_note(root, value)?;
    let path = pages.join(PageId::Note.file_name(root.generation));
    write_durably(disk, &passing(&path), &path, &page)
}

/// Reads the note of a generation, which every mirror has.
fn read_note(pages: &Path, root: &Root) -> Result<Vec<u8>, KeysError> {
    let page = load::read_page(pages, PageId::Note, root.generation)?;
    Ok(page::open(PageId::Note, root.generation, &root.key, &page)?.to_vec())
}

/// Names the files of a tree's pages.
fn names(root: &Root, tree: &Tree) -> BTreeSet<String> {
    let children = tree.children.iter().map(|(id, child)| id.file_name(child.generation));
    children.chain([PageId::Top.file_name(root.generation)]).collect()
}

fn passing(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(UNFINISHED);
    path.with_file_name(name)
}

/// Says of an error that it is the mirror's.
fn of(folder: &Path) -> impl Fn(KeysError) -> KeysError {
    move |error| match error {
        KeysError::InUse(_) | KeysError::MirrorRefused { .. } | KeysError::Random(_) => error,
        error => KeysError::Mirror { mirror: folder.to_owned(), error: Box::new(error) },
    }
}

/// Says whether a folder holds a mirror, or another root.
pub(crate) fn is_mirror(folder: &Path) -> bool {
    folder.join(CELL_FILE).exists()
}

/// A mirror that a vault is made again from. Holds its lock until dropped, and changes nothing of it.
#[derive(Debug)]
pub(crate) struct MirrorCopy {
    pages: PathBuf,
    _cell: File,
    root: Root,
    tree: Tree,
    note: Vec<u8>,
}

impl MirrorCopy {
    /// Opens the newest generation of a mirror.
    pub(crate) fn open(folder: &Path, second: &SecondLock) -> Result<Self, KeysError> {
        let (pages, cell_path) = (folder.join(PAGES_FOLDER), folder.join(CELL_FILE));
        if !cell_path.try_exists().map_err(at(&cell_path))? {
            return Err(KeysError::NotAVault(folder.to_owned()));
        }
        let cell = lock_cell(&cell_path, folder)?;
        let (root, tree) =
            newest_that_opens(&pages, &read_slots(&cell_path, &mut Unlocking::new(second))?).map_err(of(folder))?;
        let note = read_note(&pages, &root).map_err(of(folder))?;
        Ok(Self { pages, _cell: cell, root, tree, note })
    }

    /// Returns its generation.
    pub(crate) fn generation(&self) -> u64 {
        self.root.generation
    }

    /// Returns the pieces that exist.
    pub(crate) fn entries(&self) -> Entries {
        self.tree.entries.clone()
    }

    /// Returns which vault's it is.
    pub(crate) fn identity(&self) -> Option<&[u8]> {
        self.record(IDENTITY)
    }

    /// Returns a named record.
    pub(crate) fn record(&self, name: &str) -> Option<&[u8]> {
        self.tree.names.records.get(name).map(Vec::as_slice)
    }

    /// Returns a named secret.
    pub(crate) fn secret(&self, name: &str) -> Option<&SecretKey> {
        self.tree.names.secrets.get(name)
    }

    /// Returns what was noted last.
    pub(crate) fn note(&self) -> &[u8] {
        &self.note
    }

    /// Writes the pages into a data folder that has none.
    pub(crate) fn write_pages(&self, disk: &Disk, data: &Path) -> Result<(), KeysError> {
        let folder = data.join(PAGES_FOLDER);
        disk.create_folder(&folder).map_err(at(&folder))?;
        for name in names(&self.root, &self.tree) {
            let (from, to) = (self.pages.join(&name), folder.join(&name));
            let page = disk::read(&from, load::MAX_FILE_BYTES).map_err(at(&from))?;
            write_durably(disk, &passing(&to), &to, &page)?;
        }
        for folder in [&folder, data, parent(data)] {
            disk.sync_folder(folder).map_err(at(folder))?;
        }
        load::load(&folder, &self.root).map(drop)
    }

    /// Writes the root, which makes a folder and its data folder a vault, and lets go of the mirror.
    pub(crate) fn write_root(self, disk: &Disk, root: &Path) -> Result<(), KeysError> {
        disk.create_folder(root).map_err(at(root))?;
        disk.sync_folder(parent(root)).map_err(at(parent(root)))?;
        write_cell(disk, &root.join(CELL_FILE), &self.root)
    }
}
