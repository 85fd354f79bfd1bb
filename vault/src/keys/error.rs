//! What can be wrong with the root cell and the key tree, naming the part.

use super::page::PageId;
use super::secret::RandomUnavailable;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A part of the root cell or the key tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// One slot of the root cell, 0 or 1.
    Slot(u8),
    /// A page, named as its file is.
    Page(String),
    /// A file or folder.
    Path(PathBuf),
}

impl Part {
    pub(super) fn page(id: PageId, generation: u64) -> Self {
        Self::Page(id.file_name(generation))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slot(slot) => write!(f, "root slot {slot}"),
            Self::Page(name) => write!(f, "key page {name}"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Why the key tree was not created, opened or changed. Names files and slots, never contents.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A part is missing, cut, altered or not the one its parent names.
    #[error("{part} can't be used: {problem}")]
    Damaged {
        /// Which part.
        part: Part,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Neither slot of the root cell can be read.
    #[error("the root cell can't be used: slot 0 {first}, slot 1 {second}")]
    NoRoot {
        /// What is wrong with slot 0.
        first: &'static str,
        /// What is wrong with slot 1.
        second: &'static str,
    },
    /// The root is locked with a passphrase, and none was given.
    #[error("the root is locked with a passphrase: give it in a file, see `passphrase_file`")]
    Locked,
    /// The root is locked with another passphrase. Nothing is damaged.
    #[error("this is not the passphrase that the root is locked with")]
    WrongPassphrase,
    /// A passphrase was given for a root that is not locked.
    #[error("a passphrase was given, and the root has none: set it with `silhouette rotate --passphrase-file`")]
    NotLocked,
    /// The passphrase's key has sealed as many roots as one may.
    #[error("the passphrase's key is used up: set the passphrase again")]
    LockUsedUp,
    /// A key could not be derived from the passphrase at the cost that the cell states.
    #[error("there is not the memory to derive a key from the passphrase")]
    Cost,
    /// There is no root cell in the root folder.
    #[error("{} holds no root cell: this is not the root folder of a vault", .0.display())]
    NotAVault(PathBuf),
    /// A folder that should be empty holds a vault, or the key pages of one whose root is elsewhere.
    #[error("{} holds a vault already", .0.display())]
    Exists(PathBuf),
    /// Another process serves from this folder.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// A name or a record is empty or above its limit; nothing was changed.
    #[error("a {what} is {bytes} bytes long; it may have 1-{limit}")]
    Size {
        /// What is too long.
        what: &'static str,
        /// Its length in bytes.
        bytes: usize,
        /// The most it may have, in bytes.
        limit: usize,
    },
    /// The operating system refused; nothing was changed unless [`KeysError::Unsettled`] follows.
    #[error("{part}: {error}")]
    Io {
        /// What it refused to touch.
        part: Part,
        /// Its words.
        error: std::io::Error,
    },
    /// The mirror can't be used or written; while it can't, nothing is committed.
    #[error("the mirror {}: {error}", .mirror.display())]
    Mirror {
        /// Its folder.
        mirror: PathBuf,
        /// What went wrong there.
        error: Box<KeysError>,
    },
    /// The mirror is not the one that belongs here, as it should be; nothing was changed.
    #[error("the mirror{}{} {fault}", if .mirror.as_os_str().is_empty() { "" } else { " " }, .mirror.display())]
    MirrorRefused {
        /// Its folder; empty if none is set.
        mirror: PathBuf,
        /// What is wrong and what to do.
        fault: MirrorFault,
    },
    /// An earlier commit failed while it replaced the root: only opening again tells which generation holds.
    #[error("an earlier change of the root did not finish: open the vault again")]
    Unsettled,
    /// No randomness; nothing was changed.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

/// Why a mirror is refused, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MirrorFault {
    /// The vault has one, and the settings name none.
    #[error(
        "of this vault is not set: name its folder as `mirror` in the settings, or, if its medium is lost or destroyed, \
         run `silhouette backup forget-mirror`"
    )]
    NotSet,
    /// The vault has one, and the folder holds none.
    #[error(
        "is empty, and this vault has one: plug in or mount its disk, or, if it is lost or destroyed, run `silhouette \
         backup forget-mirror`"
    )]
    Empty,
    /// It is later than the root.
    #[error(
        "is at generation {mirror} and the root at {root}: the root and data folders are an older copy; put the current \
         ones back, or restore from the backup and this mirror with `silhouette restore`"
    )]
    Ahead {
        /// Its generation.
        mirror: u64,
        /// The root's.
        root: u64,
    },
    /// It belongs to another vault, or to another life of this one.
    #[error("belongs to another vault: name the right folder, or an empty one for a new mirror")]
    OtherVault,
    /// It was forgotten, and holds a root of its time.
    #[error("was forgotten by this vault: destroy its files, which open old copies, and name an empty folder")]
    Forgotten,
}

/// Names the path in an operating system's error.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> KeysError {
    move |error| KeysError::Io { part: Part::Path(path.to_owned()), error }
}
