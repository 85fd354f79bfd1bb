//! The open key tree: looking things up, and replacing a generation in one step.

use super::cell::{CELL_BYTES, CELL_FILE, Root, SLOT_BYTES};
use super::entry::{Entries, Group, PieceEntry, PieceId, PieceState, group_of};
use super::error::{KeysError, MirrorFault, Part, at};
use super::load::{self, Child, Children, Tree};
use super::lock::{OpenLock, SecondLock, Shut, Unlocking};
use super::mirror::{self, IDENTITY, MIRROR, Mirror, Mirroring, Note};
use super::page::{self, PageId};
use super::secret::SecretKey;
use crate::disk::{self, Disk};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The most a name of a secret or record may have, bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 200;
/// The most a record may have, bytes: the tree is for facts about the vault, rewritten at every change.
pub const MAX_RECORD_BYTES: usize = 4096;

/// The folder of the pages within the data folder.
pub(super) const PAGES_FOLDER: &str = "keys";
/// The file in the data folder whose lock keeps a second process out.
const LOCK_FILE: &str = "lock";
/// What a file is called until it is whole.
pub(super) const UNFINISHED: &str = "new";

/// What one commit changes. Removals come first, then what is put.
#[derive(Debug, Default)]
pub struct Changes {
    /// Pieces to add, or to replace by (id, state).
    pub put: Vec<PieceEntry>,
    /// Pieces to forget, key included; one that does not exist is no error.
    pub remove: Vec<(PieceId, PieceState)>,
    /// Secrets to add or replace; names have 1-200 bytes.
    pub put_secrets: Vec<(String, SecretKey)>,
    /// Secrets to destroy.
    pub remove_secrets: Vec<String>,
    /// Records to add or replace; values have 0-4,096 bytes.
    pub put_records: Vec<(String, Vec<u8>)>,
    /// Records to forget.
    pub remove_records: Vec<String>,
    /// Writes every page again under a fresh key, not only those that change.
    pub all_pages: bool,
}

/// The key tree of an open vault. Holds the folders' locks until dropped.
#[derive(Debug)]
pub struct KeyTree {
    pages: PathBuf,
    cell_path: PathBuf,
    cell: File,
    _lock: File,
    /// What seals the root in its cell.
    second: OpenLock,
    root: Root,
    tree: Tree,
    mirror: Option<Mirror>,
    unsettled: bool,
    disk: Disk,
}

impl KeyTree {
    /// Creates the tree of a new vault, holding `first`. Both folders are made; neither may hold a vault.
    ///
    /// A crash leaves no root cell, so that creating can be tried again.
    pub fn create(root: &Path, data: &Path, first: Changes) -> Result<Self, KeysError> {
        Self::create_on(&Disk::default(), root, data, &SecondLock::None, first)
    }

    /// Opens the tree: the highest generation whose pages all open wins, and before this returns both slots hold it
    /// and pages of other generations are gone.
    pub fn open(root: &Path, data: &Path) -> Result<Self, KeysError> {
        Self::open_on(&Disk::default(), root, data, &SecondLock::None)
    }

    /// [`KeyTree::create`] on a given disk, with a second lock.
    pub fn create_on(
        disk: &Disk,
        root: &Path,
        data: &Path,
        second: &SecondLock,
        mut first: Changes,
    ) -> Result<Self, KeysError> {
        first.put_records.push((IDENTITY.to_owned(), mirror::new_name()?));
        check(&first)?;
        let pages = data.join(PAGES_FOLDER);
        for folder in [root, &pages] {
            disk.create_folder(folder).map_err(at(folder))?;
        }
        let lock = lock_folder(data)?;
        let cell_path = root.join(CELL_FILE);
        if cell_path.try_exists().map_err(at(&cell_path))? {
            return Err(KeysError::Exists(root.to_owned()));
        }
        if page_files(&pages)?.iter().any(|(_, _, generation)| *generation > 1) {
            return Err(KeysError::Exists(data.to_owned()));
        }
        let mut second = OpenLock::fresh(second)?;
        let root_key = second.draw(1)?;
        let (tree, changed) = apply(&Tree::default(), first);
        let tree = write_pages(disk, &pages, &root_key, tree, &changed)?;
        for folder in [data, parent(data), parent(root)] {
            disk.sync_folder(folder).map_err(at(folder))?;
        }
        write_cell(disk, &cell_path, &root_key)?;
        let cell = lock_cell(&cell_path, root)?;
        let (root, disk) = (root_key, disk.clone());
        Ok(Self { pages, cell_path, cell, _lock: lock, second, root, tree, mirror: None, unsettled: false, disk })
    }

    /// [`KeyTree::open`] on a given disk, with a second lock. One that the root does not have is refused too.
    pub fn open_on(disk: &Disk, root: &Path, data: &Path, second: &SecondLock) -> Result<Self, KeysError> {
        Self::open_mirrored(disk, root, data, second, Mirroring::Without)
    }

    /// Opens the tree with its mirror, which holds the same generation before this returns.
    pub fn open_mirrored(
        disk: &Disk,
        root: &Path,
        data: &Path,
        second: &SecondLock,
        mirroring: Mirroring<'_>,
    ) -> Result<Self, KeysError> {
        let cell_path = root.join(CELL_FILE);
        if !cell_path.try_exists().map_err(at(&cell_path))? {
            return Err(KeysError::NotAVault(root.to_owned()));
        }
        let lock = lock_folder(data)?;
        let cell = lock_cell(&cell_path, root)?;
        let pages = data.join(PAGES_FOLDER);
        let mut unlocking = Unlocking::new(second);
        let slots = read_slots(&cell_path, &mut unlocking)?;
        let (winner, tree) = newest_that_opens(&pages, &slots)?;
        let mirrored = tree.names.records.contains_key(MIRROR);
        let examined = match mirroring {
            Mirroring::At(folder) => Some((folder, mirror::examine(folder, &winner, &tree, &mut unlocking)?)),
            Mirroring::Without if mirrored => {
                return Err(KeysError::MirrorRefused { mirror: PathBuf::new(), fault: MirrorFault::NotSet });
            }
            Mirroring::Without | Mirroring::Forget => None,
        };
        let second = unlocking.finish(&winner.wrap)?;
        // A killed process may have named the cell, or written the newer slot, and not synced it. Both are durable before the older
        // slot goes, and before anything is served.
        disk.sync_folder(root).map_err(at(root))?;
        disk.sync(&cell_path, &cell).map_err(at(&cell_path))?;
        for (slot, found) in slots.iter().enumerate() {
            if !found.as_ref().is_ok_and(|found| same(found, &winner)) {
                write_slot(disk, &cell_path, &cell, slot, &winner)?;
            }
        }
        let bring_up = |(folder, cell)| mirror::bring_up(disk, folder, cell, &pages, (&winner, &tree));
        let mirror = examined.map(bring_up).transpose()?;
        let disk = disk.clone();
        let mut opened =
            Self { pages, cell_path, cell, _lock: lock, second, root: winner, tree, mirror, unsettled: false, disk };
        opened.remove_strays();
        if opened.mirror.is_some() && !mirrored {
            // From here on the tree is not opened without it.
            let put_records = vec![(MIRROR.to_owned(), mirror::new_name()?)];
            opened.commit(Changes { put_records, ..Changes::default() })?;
        }
        Ok(opened)
    }

    /// Makes a tree that was opened to forget its mirror one without.
    pub fn forget_mirror(&mut self) -> Result<(), KeysError> {
        self.mirror = None;
        self.commit(Changes { remove_records: vec![MIRROR.to_owned()], ..Changes::default() })
    }

    /// Returns the generation, which grows by one with every commit.
    pub fn generation(&self) -> u64 {
        self.root.generation
    }

    /// Returns the SHA-256 of the top page as it lies on the disk: two generations never have the same.
    pub fn top_sha256(&self) -> Result<[u8; 32], KeysError> {
        let path = self.pages.join(PageId::Top.file_name(self.root.generation));
        Ok(Sha256::digest(disk::read(&path, load::MAX_FILE_BYTES).map_err(at(&path))?).into())
    }

    /// Walks the generations in which the pages were written, the top page's last.
    pub fn page_generations(&self) -> impl Iterator<Item = u64> + '_ {
        self.tree.children.values().map(|child| child.generation).chain([self.root.generation])
    }

    /// Says whether it is known which generation is on the disk. If not, nothing can be changed until it is opened again.
    pub fn is_settled(&self) -> bool {
        !self.unsettled
    }

    /// Returns a snapshot of all pieces.
    pub fn entries(&self) -> Entries {
        self.tree.entries.clone()
    }

    /// Returns a named secret.
    pub fn secret(&self, name: &str) -> Option<SecretKey> {
        self.tree.names.secrets.get(name).cloned()
    }

    /// Walks the secrets whose names start with `prefix`, in order.
    pub fn secrets<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a SecretKey)> {
        starting_with(&self.tree.names.secrets, prefix)
    }

    /// Returns a named record.
    pub fn record(&self, name: &str) -> Option<Vec<u8>> {
        self.tree.names.records.get(name).cloned()
    }

    /// Walks the records whose names start with `prefix`, in order.
    pub fn records<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        starting_with(&self.tree.names.records, prefix).map(|(name, value)| (name, value.as_slice()))
    }

    /// Replaces the generation: durable when it returns, in the mirror too, and the old root is gone from both, so that no
    /// older copy of the data folder opens any more. Costs about seven syncs, as many again for a mirror. Changes of nothing
    /// still replace the root.
    ///
    /// On an error nothing was changed and it may be tried again; unless the root itself was being replaced, after
    /// which every commit is refused as [`KeysError::Unsettled`] until the tree is opened again.
    pub fn commit(&mut self, changes: Changes) -> Result<(), KeysError> {
        if self.unsettled {
            return Err(KeysError::Unsettled);
        }
        check(&changes)?;
        let (tree, changed) = apply(&self.tree, changes);
        let root = self.second.draw(self.root.generation + 1)?;
        let tree = write_pages(&self.disk, &self.pages, &root, tree, &changed)?;
        if let Some(mirror) = &self.mirror {
            mirror.write_pages(&self.disk, &self.pages, (&root, &tree), &changed)?;
        }
        self.unsettled = true;
        for slot in 0..2 {
            write_slot(&self.disk, &self.cell_path, &self.cell, slot, &root)?;
        }
        if let Some(mirror) = &self.mirror {
            mirror.switch(&self.disk, &root)?;
            mirror.clean(&self.disk, (&self.root, &self.tree), &tree);
        }
        self.unsettled = false;
        let superseded = superseded(&self.tree.children, &tree.children, self.root.generation);
        self.root = root;
        self.tree = tree;
        for file in superseded {
            // A page that stays is sealed under keys that no longer exist; opening removes it.
            self.disk.unlink(&self.pages.join(file)).ok();
        }
        Ok(())
    }

    /// Replaces the generation and its second lock: from then on the cell yields to the new one alone. The old one stays in
    /// force when this fails before the root was replaced.
    pub fn relock(&mut self, second: &SecondLock, changes: Changes) -> Result<(), KeysError> {
        let old = std::mem::replace(&mut self.second, OpenLock::fresh(second)?);
        let done = self.commit(changes);
        if done.is_err() {
            self.second = old;
        }
        done
    }

    #[cfg(test)]
    pub(super) fn root_key(&self) -> &SecretKey {
        &self.root.key
    }

    /// Says whether the root is locked with a passphrase.
    pub fn is_locked(&self) -> bool {
        matches!(self.second, OpenLock::Passphrase(_))
    }

    /// Returns which vault's tree it is: 16 random bytes.
    pub fn identity(&self) -> Option<[u8; 16]> {
        self.record(IDENTITY)?.try_into().ok()
    }

    /// Takes something to be noted in the mirror, if there is one, sealed under the root, and carried over by every commit. It
    /// is durable there once what is returned is written, or the next commit is done.
    pub(crate) fn note(&mut self, value: &[u8]) -> Result<Option<Note>, KeysError> {
        let Self { mirror, disk, root, .. } = self;
        mirror.as_mut().map(|mirror| mirror.take_note(disk, root, value)).transpose()
    }

    /// Returns what was noted last; none without a mirror.
    pub fn noted(&self) -> Option<&[u8]> {
        self.mirror.as_ref().map(Mirror::note)
    }

    /// Removes pages that no parent names and unfinished files, as a crash leaves them. What can't be removed stays:
    /// it is sealed under keys that do not exist.
    fn remove_strays(&self) {
        let named = |id: &PageId, generation: u64| match id {
            PageId::Top => generation == self.root.generation,
            id => self.tree.children.get(id).is_some_and(|child| child.generation == generation),
        };
        for (path, id, generation) in page_files(&self.pages).unwrap_or_default() {
            if !named(&id, generation) || path.extension().is_some_and(|end| end == UNFINISHED) {
                self.disk.unlink(&path).ok();
            }
        }
        let unfinished = self.cell_path.with_extension(UNFINISHED);
        if unfinished.exists() {
            self.disk.unlink(&unfinished).ok();
        }
    }
}

/// Returns the folder that holds a path's last name.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Walks a map's entries whose names start with `prefix`.
fn starting_with<'a, V>(
    map: &'a std::collections::BTreeMap<String, V>,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a str, &'a V)> {
    map.range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded))
        .take_while(move |(name, _)| name.starts_with(prefix))
        .map(|(name, value)| (name.as_str(), value))
}

/// Refuses names and records outside their limits.
fn check(changes: &Changes) -> Result<(), KeysError> {
    let names =
        changes.put_secrets.iter().map(|(name, _)| name).chain(changes.put_records.iter().map(|(name, _)| name));
    for name in names {
        if !(1..=MAX_NAME_BYTES).contains(&name.len()) {
            return Err(KeysError::Size { what: "name", bytes: name.len(), limit: MAX_NAME_BYTES });
        }
    }
    match changes.put_records.iter().find(|(_, value)| value.len() > MAX_RECORD_BYTES) {
        Some((_, value)) => Err(KeysError::Size { what: "record", bytes: value.len(), limit: MAX_RECORD_BYTES }),
        None => Ok(()),
    }
}

/// Returns the tree with the changes made, its children still the old ones, and the pages that differ.
fn apply(old: &Tree, changes: Changes) -> (Tree, BTreeSet<PageId>) {
    let mut tree = old.clone();
    let mut changed = BTreeSet::new();
    let page = |(dataset, group): Group| PageId::Blocks { dataset, group };
    let groups = Arc::make_mut(&mut tree.entries.groups);
    for (id, state) in changes.remove {
        let group = group_of(id.dataset, id.block);
        if let Some(entries) = groups.get_mut(&group)
            && Arc::make_mut(entries).remove(&(id, state)).is_some()
        {
            changed.insert(page(group));
        }
    }
    for entry in changes.put {
        changed.insert(page(entry.group()));
        let entries = groups.entry(entry.group()).or_default();
        Arc::make_mut(entries).insert((entry.id, entry.state), entry);
    }
    groups.retain(|_, entries| !entries.is_empty());
    let gone = changes.remove_secrets.iter().any(|name| tree.names.secrets.contains_key(name))
        || changes.remove_records.iter().any(|name| tree.names.records.contains_key(name));
    if gone || !changes.put_secrets.is_empty() || !changes.put_records.is_empty() {
        let names = Arc::make_mut(&mut tree.names);
        changes.remove_secrets.iter().for_each(|name| drop(names.secrets.remove(name)));
        changes.remove_records.iter().for_each(|name| drop(names.records.remove(name)));
        names.secrets.extend(changes.put_secrets);
        names.records.extend(changes.put_records);
        changed.insert(PageId::Names);
    }
    if changes.all_pages {
        changed.extend(tree.children.keys());
    }
    (tree, changed)
}

/// Seals and writes the changed pages and the top page, makes them durable, and opens them again from the disk.
fn write_pages(
    disk: &Disk,
    folder: &Path,
    root: &Root,
    mut tree: Tree,
    changed: &BTreeSet<PageId>,
) -> Result<Tree, KeysError> {
    for id in changed {
        let Some(body) = encode(&tree, *id) else {
            tree.children.remove(id);
            continue;
        };
        let key = SecretKey::random()?;
        let file = page::seal(*id, root.generation, &key, body)?;
        write_page(disk, folder, &id.file_name(root.generation), &file)?;
        let child = Child { generation: root.generation, key, sha256: Sha256::digest(&file).into() };
        tree.children.insert(*id, child);
    }
    let top = page::seal(PageId::Top, root.generation, &root.key, load::encode_top(&tree.children))?;
    write_page(disk, folder, &PageId::Top.file_name(root.generation), &top)?;
    disk.sync_folder(folder).map_err(at(folder))?;
    let written = load::load_top(folder, root)?;
    for id in changed {
        if let Some(child) = written.get(id) {
            load::load_child(folder, *id, child)?;
        }
    }
    Ok(tree)
}

/// Encodes a page's body; `None` if nothing is left in it.
fn encode(tree: &Tree, id: PageId) -> Option<Zeroizing<Vec<u8>>> {
    match id {
        PageId::Top | PageId::Note => None,
        PageId::Names => Some(load::encode_names(&tree.names)),
        PageId::Blocks { dataset, group } => {
            tree.entries.groups.get(&(dataset, group)).map(|entries| load::encode_group(entries))
        }
    }
}

fn write_page(disk: &Disk, folder: &Path, name: &str, bytes: &[u8]) -> Result<(), KeysError> {
    write_durably(disk, &folder.join(format!("{name}.{UNFINISHED}")), &folder.join(name), bytes)
}

/// Writes a file under a passing name, syncs it and gives it its own; the folder is the caller's to sync.
pub(super) fn write_durably(disk: &Disk, passing: &Path, path: &Path, bytes: &[u8]) -> Result<(), KeysError> {
    let file = disk.write_whole(passing, bytes).map_err(at(passing))?;
    disk.sync(passing, &file).map_err(at(passing))?;
    disk.rename(passing, path).map_err(at(path))
}

/// Names the files of the old generation that the new one does not need.
pub(super) fn superseded(old: &Children, new: &Children, old_generation: u64) -> Vec<String> {
    let replaced = |(id, child): (&PageId, &Child)| {
        let kept = new.get(id).is_some_and(|kept| kept.generation == child.generation);
        (!kept).then(|| id.file_name(child.generation))
    };
    old.iter().filter_map(replaced).chain([PageId::Top.file_name(old_generation)]).collect()
}

/// Lists the files of pages, finished and unfinished.
pub(super) fn page_files(folder: &Path) -> Result<Vec<(PathBuf, PageId, u64)>, KeysError> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).map_err(at(folder))? {
        let path = file.map_err(at(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = name.strip_suffix(UNFINISHED).and_then(|name| name.strip_suffix('.')).unwrap_or(name);
        if let Some((id, generation)) = PageId::from_file_name(name) {
            found.push((path, id, generation));
        }
    }
    Ok(found)
}

pub(super) type Slots = [Result<Root, Shut>; 2];

pub(super) fn read_slots(path: &Path, unlocking: &mut Unlocking<'_>) -> Result<Slots, KeysError> {
    let cell = Zeroizing::new(disk::read(path, load::MAX_FILE_BYTES).map_err(at(path))?);
    let mut slot = |from: usize| match cell.get(from..from + SLOT_BYTES) {
        Some(slot) if cell.len() <= CELL_BYTES => Root::decode(slot, unlocking),
        Some(_) => Err(Shut::Damaged("is in a file that is too long")),
        None => Err(Shut::Damaged("is cut off")),
    };
    Ok([slot(0), slot(SLOT_BYTES)])
}

/// Lists the slots that are not as this root is written.
pub(super) fn stale_slots(path: &Path, root: &Root) -> Result<Vec<usize>, KeysError> {
    let cell = Zeroizing::new(disk::read(path, load::MAX_FILE_BYTES).map_err(at(path))?);
    let slot = root.encode();
    let is_stale = |number: &usize| cell.get(number * SLOT_BYTES..(number + 1) * SLOT_BYTES) != Some(slot.as_slice());
    Ok((0..2).filter(is_stale).collect())
}

/// Loads the tree of the highest generation that opens; if none does, the highest generation's error.
pub(super) fn newest_that_opens(folder: &Path, slots: &Slots) -> Result<(Root, Tree), KeysError> {
    let mut roots: Vec<&Root> = slots.iter().flatten().collect();
    roots.sort_by_key(|root| std::cmp::Reverse(root.generation));
    let mut first_error = None;
    for root in roots {
        match load::load(folder, root) {
            Ok(tree) => return Ok((root.clone(), tree)),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    let shut = |why: Shut| slots.iter().any(|slot| slot.as_ref().err() == Some(&why));
    let [first, second] = slots;
    let problem = |slot: &Result<Root, Shut>| match slot {
        Err(Shut::Damaged(problem)) => problem,
        _ => "opens no page",
    };
    Err(match first_error {
        Some(error) => error,
        None if shut(Shut::WrongPassphrase) => KeysError::WrongPassphrase,
        None if shut(Shut::NoPassphrase) => KeysError::Locked,
        None => KeysError::NoRoot { first: problem(first), second: problem(second) },
    })
}

/// Says whether the root in this folder is locked with a passphrase. One that can't be read is not.
pub fn is_locked(root: &Path) -> bool {
    let slots = read_slots(&root.join(CELL_FILE), &mut Unlocking::new(&SecondLock::None));
    slots.is_ok_and(|slots| slots.iter().any(|slot| slot.as_ref().err() == Some(&Shut::NoPassphrase)))
}

pub(super) fn same(one: &Root, other: &Root) -> bool {
    one.generation == other.generation && one.key.expose() == other.key.expose()
}

/// Makes a cell whose slots both hold this root; a crash leaves it whole or absent.
pub(super) fn write_cell(disk: &Disk, path: &Path, root: &Root) -> Result<(), KeysError> {
    let slot = root.encode();
    let both = Zeroizing::new([slot.as_slice(), slot.as_slice()].concat());
    write_durably(disk, &path.with_extension(UNFINISHED), path, &both)?;
    disk.sync_folder(parent(path)).map_err(at(parent(path)))
}

pub(super) fn write_slot(disk: &Disk, path: &Path, cell: &File, slot: usize, root: &Root) -> Result<(), KeysError> {
    disk.write_at(path, cell, (slot * SLOT_BYTES) as u64, &root.encode()).map_err(at(path))?;
    disk.sync(path, cell).map_err(at(path))
}

/// Takes the data folder's lock, held until the file is dropped.
pub(super) fn lock_folder(data: &Path) -> Result<File, KeysError> {
    let path = data.join(LOCK_FILE);
    let file = disk::open_lock(&path).map_err(at(&path))?;
    lock(file, &path, data)
}

/// Opens the cell and takes its lock: a copy of the data folder must not be served under the same root.
pub(super) fn lock_cell(path: &Path, root: &Path) -> Result<File, KeysError> {
    let file = disk::open_in_place(path).map_err(at(path))?;
    lock(file, path, root)
}

fn lock(file: File, path: &Path, folder: &Path) -> Result<File, KeysError> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(KeysError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(KeysError::Io { part: Part::Path(path.to_owned()), error }),
    }
}
