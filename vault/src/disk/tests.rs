//! An observer for other modules' tests, and what the seam itself promises.

use super::*;

/// Notes the steps and dies at one of them: from then on nothing is done, cleaning up included.
#[derive(Debug, Default)]
pub(crate) struct Mortal(Mutex<Life>);

#[derive(Debug, Default)]
struct Life {
    steps: Vec<&'static str>,
    die_at: Option<usize>,
    torn: bool,
    dead: bool,
}

impl Mortal {
    /// Lives for ever.
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Dies at a step, from 0; a write leaves its first half if `torn`.
    pub(crate) fn dying_at(step: usize, torn: bool) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Life { die_at: Some(step), torn, ..Life::default() })))
    }

    /// Returns a disk that it watches.
    pub(crate) fn disk(self: &Arc<Self>) -> Disk {
        Disk::observed(Arc::clone(self) as Arc<dyn Observer>)
    }

    /// Forgets the steps so far and lives; then dies at a step, if one is given.
    pub(crate) fn begin_again(&self, die_at: Option<usize>) {
        *self.0.lock() = Life { die_at, ..Life::default() };
    }

    /// Has the write that it dies at leave its first half.
    pub(crate) fn tear(&self) {
        self.0.lock().torn = true;
    }

    /// Lists the steps done.
    pub(crate) fn steps(&self) -> Vec<&'static str> {
        self.0.lock().steps.clone()
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.0.lock().dead
    }
}

impl Observer for Mortal {
    fn before(&self, step: &Step<'_>) -> Result<(), Fault> {
        let mut life = self.0.lock();
        if !life.dead && life.die_at.is_none_or(|at| life.steps.len() < at) {
            life.steps.push(word(step));
            return Ok(());
        }
        let first = !std::mem::replace(&mut life.dead, true);
        let short = match step {
            Step::Write { bytes, .. } if first && life.torn => bytes / 2,
            _ => 0,
        };
        Err(Fault { error: io::Error::other("the disk died"), short })
    }
}

/// Names a step's kind.
pub(crate) fn word(step: &Step<'_>) -> &'static str {
    match step {
        Step::CreateFolder(_) => "create folder",
        Step::Create(_) => "create",
        Step::Write { .. } => "write",
        Step::Cut { .. } => "cut",
        Step::Sync(_) => "sync",
        Step::Rename { .. } => "rename",
        Step::Unlink(_) => "unlink",
        Step::RemoveFolder(_) => "remove folder",
        Step::SyncFolder(_) => "sync folder",
    }
}

/// Does one thing of each kind in a folder and returns the first error.
fn busy(disk: &Disk, folder: &Path) -> io::Result<()> {
    let (inner, first, second) = (folder.join("a/b"), folder.join("a/b/first"), folder.join("a/b/second"));
    disk.create_folder(&inner)?;
    let file = disk.write_whole(&first, b"0123456789")?;
    disk.write_at(&first, &file, 2, b"ab")?;
    disk.sync(&first, &file)?;
    disk.rename(&first, &second)?;
    let file = open_to_append(&second)?;
    disk.append(&second, &file, b"cd")?;
    disk.sync_data(&second, &file)?;
    disk.cut(&second, 11)?;
    disk.sync_folder(&inner)?;
    assert_eq!(read(&second, 11)?, b"01ab456789c");
    disk.unlink(&second)?;
    disk.unlink(&second)?;
    disk.remove_folder(&folder.join("a"))?;
    disk.remove_folder(&folder.join("a"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_step_is_seen_in_order() {
    let (folder, mortal) = (tempfile::tempdir().unwrap(), Mortal::new());
    busy(&mortal.disk(), folder.path()).unwrap();
    let expected = [
        "create folder",
        "create folder",
        "create",
        "write",
        "write",
        "sync",
        "rename",
        "write",
        "sync",
        "cut",
        "sync folder",
        "unlink",
        "unlink",
        "remove folder",
        "remove folder",
    ];
    assert_eq!(mortal.steps(), expected);
    busy(&Disk::default(), folder.path()).unwrap();
}

#[test]
fn a_folder_is_settled_once_and_again_after_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let (top, inner) = (folder.path(), folder.path().join("a/b"));
    let (folders, mortal) = (Folders::default(), Mortal::dying_at(3, false));
    assert!(folders.settle(&mortal.disk(), top, &inner).is_err());
    assert_eq!(mortal.steps(), ["create folder", "sync folder", "create folder"]);
    mortal.begin_again(None);
    folders.settle(&mortal.disk(), top, &inner).unwrap();
    folders.settle(&mortal.disk(), top, &inner).unwrap();
    assert_eq!(mortal.steps(), ["sync folder"], "the folder is there, and its name was not durable");
    mortal.begin_again(None);
    Folders::default().settle(&mortal.disk(), top, &inner).unwrap();
    assert_eq!(mortal.steps(), ["sync folder", "sync folder"], "who made them is not known");
}

#[test]
fn a_refused_step_does_nothing_and_none_follows() {
    for at in 0..15 {
        let (folder, mortal) = (tempfile::tempdir().unwrap(), Mortal::dying_at(at, false));
        assert!(busy(&mortal.disk(), folder.path()).is_err(), "step {at}");
        assert_eq!((mortal.steps().len(), mortal.is_dead()), (at, true));
        let before = files(folder.path());
        assert!(mortal.disk().remove_folder(&folder.path().join("a")).is_err());
        assert_eq!(files(folder.path()), before);
    }
}

#[test]
fn a_torn_write_leaves_its_first_half() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let file = Mortal::dying_at(2, true).disk().write_whole(&path, b"01234567").unwrap();
    assert!(Mortal::dying_at(0, true).disk().write_at(&path, &file, 4, b"abcd").is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"0123ab67");
    assert!(Mortal::dying_at(1, true).disk().write_whole(&path, b"89").is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"8");
}

#[test]
fn a_file_too_long_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    Disk::default().write_whole(&path, b"0123").unwrap();
    assert_eq!(read(&path, 4).unwrap(), b"0123");
    assert!(read(&path, 3).is_err());
}
