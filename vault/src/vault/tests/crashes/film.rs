//! A disk that is filmed: before each step, what a kill would leave, what a power cut would leave, and how a write tears.
//!
//! A power cut drops what was not synced: files go back to the bytes of their last sync, and names made, changed or removed
//! since the last sync of their folder are undone. A disk may also have done more than was asked of it: the picture
//! `scrambled` keeps the changes of names up to some moment, in their order, and of each file that was not synced the
//! old bytes, the new ones or a mixture.
//!
//! The files of the databases are not watched. They are copied as they lie before each step.

use crate::disk::{Disk, Fault, Observer, Step};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that many pictures share.
type Bytes = Arc<Vec<u8>>;
/// Files by name relative to the folder of the run; folders have no bytes.
pub(super) type Picture = BTreeMap<PathBuf, Option<Bytes>>;

/// The folder of the databases, relative to the folder of the run.
const DATABASES: &str = "data/store";

/// One moment, before a step.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    /// Its number.
    pub number: usize,
    /// Acts done before.
    pub act: usize,
    /// The step that is about to be done.
    pub step: String,
    /// What a kill leaves.
    pub kill: Picture,
    /// What a power cut leaves at the least.
    pub power: Picture,
    /// What another power cut leaves.
    pub scrambled: Picture,
    /// What a kill in the middle of a write leaves.
    pub torn: Option<Picture>,
    /// The databases.
    pub databases: Picture,
    /// What the system knows that was not synced: a killed process leaves it behind.
    cache: Cache,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

/// A change of names that may not be durable.
#[derive(Debug, Clone)]
enum Change {
    Put(PathBuf, Node),
    Move(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Put(path, node) => drop(names.insert(path.clone(), *node)),
            Self::Move(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
            Self::Remove(path) => names.retain(|name, _| !name.starts_with(path)),
        }
    }

    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Put(path, _) | Self::Move(_, path) | Self::Remove(path) => path.parent(),
        }
    }
}

/// A file's bytes, now and at its last sync.
#[derive(Debug, Clone, Default)]
struct Content {
    now: Bytes,
    synced: Bytes,
}

/// The names and bytes of files, as they are and as a power cut would leave them.
#[derive(Debug, Clone, Default)]
struct Cache {
    names: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    /// Changes of names since their folder's last sync, in order.
    pending: Vec<Change>,
    contents: Vec<Content>,
}

#[derive(Debug, Default)]
struct Reel {
    cache: Cache,
    databases: Picture,
    act: usize,
    scenes: Vec<Scene>,
}

/// The observer.
#[derive(Debug)]
pub(super) struct Film {
    folder: PathBuf,
    reel: Mutex<Reel>,
}

impl Film {
    /// Begins with an empty folder.
    pub(super) fn new(folder: &Path) -> Arc<Self> {
        Arc::new(Self { folder: folder.to_owned(), reel: Mutex::default() })
    }

    /// Goes on where a process was killed: what it had not synced is not synced yet.
    pub(super) fn after_a_kill(scene: &Scene, folder: &Path) -> Arc<Self> {
        let reel = Reel { cache: scene.cache.clone(), act: scene.act, ..Reel::default() };
        Arc::new(Self { folder: folder.to_owned(), reel: Mutex::new(reel) })
    }

    /// Returns the disk.
    pub(super) fn disk(self: &Arc<Self>) -> Disk {
        Disk::observed(Arc::clone(self) as Arc<dyn Observer>)
    }

    /// Says how many acts are done.
    pub(super) fn done(&self, acts: usize) {
        self.reel.lock().act = acts;
    }

    /// Ends, with one more scene after the last step; fails if anything was written past the seam.
    pub(super) fn cut(&self) -> Vec<Scene> {
        let mut reel = self.reel.lock();
        reel.shoot(&self.folder, "the end", false);
        let scenes = std::mem::take(&mut reel.scenes);
        let written = read_all(&self.folder, Path::new(""), &Picture::new());
        assert_eq!(watched(&written), watched(&scenes.last().unwrap().kill), "written past the seam");
        scenes
    }

    fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.folder).unwrap()
    }
}

/// The files that the seam answers for.
fn watched(picture: &Picture) -> Vec<(&PathBuf, &Option<Bytes>)> {
    let lock = |path: &Path| path.file_name().is_some_and(|name| name == "lock");
    picture.iter().filter(|(path, _)| !path.starts_with(DATABASES) && !lock(path)).collect()
}

impl Observer for Film {
    fn before(&self, step: &Step<'_>) -> Result<(), Fault> {
        let text = format!("{step:?}").replace(&format!("{}/", self.folder.display()), "");
        self.reel.lock().shoot(&self.folder, &text, matches!(step, Step::Write { .. }));
        Ok(())
    }

    fn after(&self, step: &Step<'_>) {
        let mut reel = self.reel.lock();
        let cache = &mut reel.cache;
        match step {
            Step::CreateFolder(path) => cache.change(Change::Put(self.relative(path).to_owned(), Node::Folder)),
            Step::Create(path) => cache.create(self.relative(path)),
            Step::Write { path, at, bytes } => {
                cache.rewrite(self.relative(path), path);
                reel.tear(self.relative(path), *at, *bytes);
            }
            Step::Cut { path, .. } => cache.rewrite(self.relative(path), path),
            Step::Sync(path) => {
                let content = cache.content(self.relative(path));
                content.synced = Arc::clone(&content.now);
            }
            Step::Rename { from, to } => {
                cache.change(Change::Move(self.relative(from).to_owned(), self.relative(to).to_owned()));
            }
            Step::Unlink(path) | Step::RemoveFolder(path) => {
                cache.change(Change::Remove(self.relative(path).to_owned()));
            }
            Step::SyncFolder(path) => cache.sync_folder(self.relative(path)),
        }
    }
}

impl Reel {
    /// Tells the scene before a write how it would have torn: with the first half of its bytes.
    fn tear(&mut self, path: &Path, at: u64, bytes: usize) {
        let at = usize::try_from(at).unwrap();
        let now = Arc::clone(&self.cache.content(path).now);
        let Some(torn) = self.scenes.last_mut().and_then(|scene| scene.torn.as_mut()) else { return };
        let mut half = torn[path].as_ref().unwrap().to_vec();
        half.resize(half.len().max(at + bytes / 2), 0);
        half[at..at + bytes / 2].copy_from_slice(&now[at..at + bytes / 2]);
        torn.insert(path.to_owned(), Some(half.into()));
    }

    fn shoot(&mut self, folder: &Path, step: &str, write: bool) {
        self.databases = read_all(folder, Path::new(DATABASES), &self.databases);
        let (number, cache) = (self.scenes.len(), self.cache.clone());
        let kill = cache.picture(&cache.names, |_, content| Arc::clone(&content.now));
        let scene = Scene {
            number,
            act: self.act,
            step: step.to_owned(),
            power: cache.picture(&cache.durable, |_, content| Arc::clone(&content.synced)),
            scrambled: cache.scramble(number),
            torn: write.then(|| kill.clone()),
            kill,
            databases: self.databases.clone(),
            cache,
        };
        self.scenes.push(scene);
    }
}

impl Cache {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    fn create(&mut self, path: &Path) {
        match self.names.get(path) {
            Some(Node::File(id)) => self.contents[*id].now = Bytes::default(),
            _ => {
                self.contents.push(Content::default());
                self.change(Change::Put(path.to_owned(), Node::File(self.contents.len() - 1)));
            }
        }
    }

    fn content(&mut self, path: &Path) -> &mut Content {
        match self.names.get(path) {
            Some(Node::File(id)) => &mut self.contents[*id],
            other => panic!("{} is {other:?}", path.display()),
        }
    }

    fn rewrite(&mut self, path: &Path, real: &Path) {
        self.content(path).now = std::fs::read(real).unwrap().into();
    }

    fn sync_folder(&mut self, folder: &Path) {
        let inside = |path: &Path| path.parent() == Some(folder);
        self.durable.retain(|path, _| !inside(path));
        let now = self.names.iter().filter(|(path, _)| inside(path));
        self.durable.extend(now.map(|(path, node)| (path.clone(), *node)));
        self.pending.retain(|change| change.folder() != Some(folder));
    }

    /// Names whose folders all exist, with their bytes.
    fn picture(&self, names: &BTreeMap<PathBuf, Node>, bytes: impl Fn(usize, &Content) -> Bytes) -> Picture {
        let held = |path: &Path| {
            path.ancestors().skip(1).all(|above| above == Path::new("") || names.get(above) == Some(&Node::Folder))
        };
        let of = |node: &Node| match node {
            Node::Folder => None,
            Node::File(id) => Some(bytes(*id, &self.contents[*id])),
        };
        names.iter().filter(|(path, _)| held(path)).map(|(path, node)| (path.clone(), of(node))).collect()
    }

    /// Keeps the first of the pending changes, and of each file that was not synced something between old and new.
    fn scramble(&self, seed: usize) -> Picture {
        let mixed = |n: usize| (seed * 31 + n).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        let mut names = self.durable.clone();
        let kept = mixed(0) % (self.pending.len() + 1);
        self.pending.iter().take(kept).for_each(|change| change.apply(&mut names));
        self.picture(&names, |id, content| match mixed(id + 1) % 3 {
            _ if content.now == content.synced => Arc::clone(&content.now),
            0 => Arc::clone(&content.synced),
            1 => Arc::clone(&content.now),
            // The pages of the new bytes came first from the back: the front is as it was.
            _ => {
                let mut bytes = content.now.to_vec();
                let half = bytes.len() / 2;
                for (place, byte) in bytes.iter_mut().take(half).enumerate() {
                    *byte = content.synced.get(place).copied().unwrap_or(0);
                }
                bytes.into()
            }
        })
    }
}

/// Reads the files below a folder; those that are as before share their bytes.
fn read_all(base: &Path, below: &Path, before: &Picture) -> Picture {
    let mut found = Picture::new();
    let mut open = vec![below.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(base.join(&folder)).into_iter().flatten() {
            let path = folder.join(entry.unwrap().file_name());
            if base.join(&path).is_dir() {
                open.push(path.clone());
                found.insert(path, None);
            } else {
                // A database may remove a file of its own meanwhile.
                let Ok(bytes) = std::fs::read(base.join(&path)) else { continue };
                let old = before.get(&path).and_then(|old| old.as_ref()).filter(|old| ***old == bytes);
                found.insert(path, Some(old.map_or_else(|| bytes.clone().into(), Arc::clone)));
            }
        }
    }
    found
}

/// Makes a picture the content of a folder.
pub(super) fn develop(picture: &Picture, folder: &Path) {
    for (path, bytes) in picture {
        let path = folder.join(path);
        match bytes {
            None => std::fs::create_dir_all(&path).unwrap(),
            Some(bytes) => {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, bytes.as_slice()).unwrap();
            }
        }
    }
}
