//! Looks at a tree without mending or removing anything, for the check of files.

use super::cell::CELL_FILE;
use super::entry::Entries;
use super::error::{KeysError, at};
use super::lock::{SecondLock, Unlocking};
use super::page::PageId;
use super::tree::{PAGES_FOLDER, lock_folder, newest_that_opens, read_slots};
use std::fs::File;
use std::path::{Path, PathBuf};

/// What the newest tree that opens names. Keeps the vault from being served until dropped.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Files of the tree's pages, every one of which opened.
    pub(crate) pages: Vec<PathBuf>,
    /// Pieces that exist.
    pub(crate) entries: Entries,
    _lock: File,
}

/// Returns the highest generation that a slot of the root names; none if no slot can be read.
pub(crate) fn newest_slot(root: &Path, lock: &SecondLock) -> Option<u64> {
    let slots = read_slots(&root.join(CELL_FILE), &mut Unlocking::new(lock)).ok()?;
    slots.iter().flatten().map(|slot| slot.generation).max()
}

/// Opens the tree and reads every page of it.
pub(crate) fn survey(root: &Path, data: &Path, lock: &SecondLock) -> Result<Survey, KeysError> {
    let cell = root.join(CELL_FILE);
    if !cell.try_exists().map_err(at(&cell))? {
        return Err(KeysError::NotAVault(root.to_owned()));
    }
    let held = lock_folder(data)?;
    let folder = data.join(PAGES_FOLDER);
    let mut unlocking = Unlocking::new(lock);
    let (newest, tree) = newest_that_opens(&folder, &read_slots(&cell, &mut unlocking)?)?;
    unlocking.finish(&newest.wrap)?;
    let children = tree.children.iter().map(|(id, child)| id.file_name(child.generation));
    let pages = children.chain([PageId::Top.file_name(newest.generation)]).map(|name| folder.join(name)).collect();
    Ok(Survey { pages, entries: tree.entries, _lock: held })
}
