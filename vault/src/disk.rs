//! Everything the vault does to its own files, one step at a time, so that a test can count the steps, stop at any of
//! them, fill the disk, or take back what was not synced.
//!
//! Guarantees: every change of a file or a name that the vault makes outside its databases is one [`Step`], so a run has a
//! number of steps and a place to die at each. Steps of one watched disk happen one after the other, whole. A step that was
//! refused did nothing, except for the bytes of a write that the observer let through.
//!
//! An [`Observer`] can refuse a step and can not have one skipped: what returns `Ok` was done by the operating system. So
//! the seam can stop a vault and can't make it forget to sync, whoever gets hold of it; and nothing in a configuration or an
//! environment reaches it.
//!
//! Outside it: reading; the files of the databases, which are never the only copy of anything; lock files, which hold nothing.

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One step: names and sizes, never contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A folder is made in one that exists.
    CreateFolder(&'a Path),
    /// A file is made, or emptied if it exists.
    Create(&'a Path),
    /// Bytes are written to an open file.
    Write {
        /// Which file.
        path: &'a Path,
        /// From which byte on.
        at: u64,
        /// How many.
        bytes: usize,
    },
    /// A file is cut to a length.
    Cut {
        /// Which file.
        path: &'a Path,
        /// Its new length.
        to: u64,
    },
    /// A file's bytes are made durable.
    Sync(&'a Path),
    /// A file gets another name, which may be another file's until then.
    Rename {
        /// Its name until then.
        from: &'a Path,
        /// Its name from then on.
        to: &'a Path,
    },
    /// A file is removed.
    Unlink(&'a Path),
    /// A folder is removed with all in it.
    RemoveFolder(&'a Path),
    /// The names in a folder are made durable.
    SyncFolder(&'a Path),
}

/// Why a step is not done.
#[derive(Debug)]
pub struct Fault {
    /// What the vault is told.
    pub error: io::Error,
    /// Of a write: how many of its bytes reach the file all the same.
    pub short: usize,
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self { error, short: 0 }
    }
}

/// What watches a disk. Called from every thread that writes; but for [`Observer::turn`], never from two at once.
pub trait Observer: Send + Sync {
    /// Hears of a step that waits for its turn, and may let it wait: so a disk hangs. Called from several threads at once.
    fn turn(&self, _step: &Step<'_>) {}

    /// Hears of a step before it is done; an error refuses it.
    fn before(&self, step: &Step<'_>) -> Result<(), Fault>;

    /// Hears of a step that was done.
    fn after(&self, _step: &Step<'_>) {}
}

/// The disk. Cheap to clone; the default is the real one and nothing else.
#[derive(Clone, Default)]
pub struct Disk(Option<Arc<Watched>>);

struct Watched {
    observer: Arc<dyn Observer>,
    /// Held while a step is done, so that an observer sees files between steps and never within one.
    turn: Mutex<()>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Disk(watched)" } else { "Disk" })
    }
}

impl Disk {
    /// Returns the real disk with an observer before it.
    pub fn observed(observer: Arc<dyn Observer>) -> Self {
        Self(Some(Arc::new(Watched { observer, turn: Mutex::default() })))
    }

    /// Makes a folder for the owner alone, with those above it that are missing. The names are durable only once the folders
    /// above were synced.
    pub fn create_folder(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
            self.create_folder(above)?;
        }
        let made = self.step(Step::CreateFolder(path), || {
            let mut builder = std::fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(path)
        });
        match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    /// Makes a file for the owner alone, or empties the one there is.
    pub fn create(&self, path: &Path) -> io::Result<File> {
        self.step(Step::Create(path), || private_file().create(true).truncate(true).open(path))
    }

    /// Makes a file for the owner alone, to be appended to; one that exists is an error.
    pub fn create_new(&self, path: &Path) -> io::Result<File> {
        self.step(Step::Create(path), || {
            let mut options = OpenOptions::new();
            options.append(true).create_new(true);
            for_the_owner(&mut options).open(path)
        })
    }

    /// Makes or replaces a file and writes it.
    pub fn write_whole(&self, path: &Path, bytes: &[u8]) -> io::Result<File> {
        let file = self.create(path)?;
        self.write_at(path, &file, 0, bytes)?;
        Ok(file)
    }

    /// Writes bytes at the end of an open file.
    pub fn append(&self, path: &Path, file: &File, bytes: &[u8]) -> io::Result<()> {
        // The length is asked for only if somebody wants to know.
        let at = if self.0.is_some() { file.metadata()?.len() } else { 0 };
        let mut writer = file;
        self.write(Step::Write { path, at, bytes: bytes.len() }, bytes, |bytes| writer.write_all(bytes))
    }

    /// Writes bytes over those of an open file, from byte `at` on.
    pub fn write_at(&self, path: &Path, mut file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write(Step::Write { path, at, bytes: bytes.len() }, bytes, |bytes| {
            file.seek(SeekFrom::Start(at))?;
            file.write_all(bytes)
        })
    }

    /// Cuts a file to a length.
    pub fn cut(&self, path: &Path, to: u64) -> io::Result<File> {
        self.step(Step::Cut { path, to }, || {
            let file = private_file().open(path)?;
            file.set_len(to)?;
            Ok(file)
        })
    }

    /// Makes a file durable, whatever is known of it.
    pub fn sync(&self, path: &Path, file: &File) -> io::Result<()> {
        self.step(Step::Sync(path), || file.sync_all())
    }

    /// Makes a file's bytes and length durable.
    pub fn sync_data(&self, path: &Path, file: &File) -> io::Result<()> {
        self.step(Step::Sync(path), || file.sync_data())
    }

    /// Gives a file another name.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Step::Rename { from, to }, || std::fs::rename(from, to))
    }

    /// Removes a file; one that is gone already is no error.
    pub fn unlink(&self, path: &Path) -> io::Result<()> {
        gone(self.step(Step::Unlink(path), || std::fs::remove_file(path)))
    }

    /// Removes a folder with all in it; one that is gone already is no error.
    pub fn remove_folder(&self, path: &Path) -> io::Result<()> {
        gone(self.step(Step::RemoveFolder(path), || std::fs::remove_dir_all(path)))
    }

    /// Makes the names in a folder durable.
    pub fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.step(Step::SyncFolder(path), || File::open(path)?.sync_all())
    }

    fn step<T>(&self, step: Step<'_>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let Some(watched) = &self.0 else { return act() };
        watched.observer.turn(&step);
        let _turn = watched.turn.lock();
        watched.observer.before(&step).map_err(|fault| fault.error)?;
        let done = act()?;
        watched.observer.after(&step);
        Ok(done)
    }

    fn write(&self, step: Step<'_>, bytes: &[u8], mut write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let Some(watched) = &self.0 else { return write(bytes) };
        watched.observer.turn(&step);
        let _turn = watched.turn.lock();
        if let Err(Fault { error, short }) = watched.observer.before(&step) {
            write(bytes.get(..short).unwrap_or(bytes))?;
            return Err(error);
        }
        write(bytes)?;
        watched.observer.after(&step);
        Ok(())
    }
}

/// Folders whose names are known to be durable. A folder that is there is not one of them for that: a process that was
/// killed may have made it, and so may one whose next sync failed.
#[derive(Debug, Default)]
pub struct Folders(Mutex<BTreeSet<PathBuf>>);

/// Most folders that are remembered; then all are forgotten, which costs some syncs.
const REMEMBERED: usize = 4_096;

impl Folders {
    /// Makes a folder below `top`, with those between, unless they are there, and makes their names durable.
    pub fn settle(&self, disk: &Disk, top: &Path, path: &Path) -> io::Result<()> {
        if path == top || self.0.lock().contains(path) {
            return Ok(());
        }
        let above = path.parent().ok_or_else(|| io::Error::other("a folder is not where it should be"))?;
        self.settle(disk, top, above)?;
        disk.create_folder(path)?;
        disk.sync_folder(above)?;
        let mut known = self.0.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(path.to_owned());
        Ok(())
    }
}

/// Reads a whole file of at most `most` bytes: an absurd one is refused before it fills the memory.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other("the file is too long to be one of the vault's"));
    }
    Ok(bytes)
}

/// Opens an existing file to append to it.
pub fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

/// Opens an existing file to write over parts of it.
pub fn open_in_place(path: &Path) -> io::Result<File> {
    private_file().open(path)
}

/// Opens a file that is there to be locked, and makes it if it is missing: no step, since it never holds anything.
pub fn open_lock(path: &Path) -> io::Result<File> {
    private_file().create(true).open(path)
}

/// Opens for reading and writing, for the owner alone.
fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    for_the_owner(&mut options).clone()
}

fn for_the_owner(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
pub(crate) mod tests;
