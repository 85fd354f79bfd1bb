//! Bringing a target up to date.

use super::follower::Named;
use super::position::{POSITION_BYTES, Position, Seen};
use crate::disk::{self, Disk, Folders};
use crate::keys::PieceEntry;
use crate::log::{self, Log, Signed, Sizes};
use crate::wal::Extent;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The position's file.
pub(super) const POSITION_FILE: &str = "position";
/// What a file is called until it is whole.
pub(super) const UNFINISHED: &str = "new";
/// Bytes of the write-ahead log that are copied at a time.
const CHUNK: u64 = 4 << 20;
/// The most a piece may have, bytes: far above any that is written.
pub(crate) const MAX_PIECE_BYTES: u64 = 1 << 32;

/// What is copied from. Checkpoints are taken before the extent, which covers every leaf under them.
#[derive(Debug)]
pub(crate) struct Home {
    /// The data folder.
    pub data: PathBuf,
    /// The open log.
    pub log: Arc<Log>,
    /// Its newest checkpoints.
    pub signed: Signed,
    /// What of the write-ahead log is durable.
    pub extent: Extent,
}

/// A target of an open vault.
#[derive(Debug)]
pub(crate) struct Target {
    disk: Disk,
    folder: PathBuf,
    folders: Folders,
    log: log::Copy,
    identity: [u8; 16],
    /// What is known to be in it; none until it was looked at in this opening.
    held: Option<Held>,
    problem: Option<String>,
    /// A piece that is damaged at home, when pieces were copied last.
    damaged: Option<String>,
    /// Pieces that were missing when they were counted last; none until they were.
    missing: Option<u64>,
}

#[derive(Debug)]
struct Held {
    position: Position,
    /// Leaves that its checkpoints cover.
    leaves: Sizes,
    /// Bytes of each segment that are as at home.
    segments: BTreeMap<u64, u64>,
    /// Whole pieces, by their path from the target.
    pieces: BTreeSet<PathBuf>,
    /// Files that nothing needs: they go once the key tree does not name them.
    superseded: BTreeSet<PathBuf>,
    /// Pieces that are about to be named, and the generation before the one that does: they stay until a later one is known.
    promised: BTreeMap<PathBuf, u64>,
}

/// Why something was not shipped: words for the steward.
type Problem = String;

fn at(path: &Path) -> impl Fn(io::Error) -> Problem {
    move |error| format!("{}: {error}", path.display())
}

impl Target {
    /// Takes a folder; nothing is read or made before something is shipped.
    pub fn new(disk: &Disk, folder: &Path, identity: [u8; 16]) -> Self {
        Self {
            disk: disk.clone(),
            folder: folder.to_owned(),
            folders: Folders::default(),
            log: log::Copy::new(disk, &folder.join("log")),
            identity,
            held: None,
            problem: None,
            damaged: None,
            missing: None,
        }
    }

    /// Returns its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns what it holds.
    pub fn position(&self) -> Option<&Position> {
        self.held.as_ref().map(|held| &held.position)
    }

    /// Says why it does not follow.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Returns the file number below which its pieces are trusted: none above while some are missing.
    pub fn trusted(&self) -> u64 {
        if self.missing == Some(0) { u64::MAX } else { self.position().map_or(0, |position| position.next_file) }
    }

    /// Counts pieces that it is known to lack.
    pub fn missing(&self) -> u64 {
        self.missing.unwrap_or(0)
    }

    /// Ships pieces that are about to be named, before they are. What fails is remembered and tried again.
    pub fn ship_new(&mut self, home: &Home, new: &[PieceEntry], generation: u64) {
        let shipped = self.held().and_then(|()| self.copy_pieces(home, new.iter(), u64::MAX));
        if let Some(held) = &mut self.held {
            held.promised.extend(new.iter().map(|entry| (entry.path(), generation)));
        }
        self.settle(shipped.map(drop));
    }

    /// Ships frames and leaves up to what is durable at home; `next_file` is the file number that the key tree records.
    pub fn ship_log(&mut self, home: &Home, next_file: u64) {
        let shipped = self.held().and_then(|()| self.follow(home, next_file));
        self.settle(shipped);
    }

    /// Ships what the key tree names and the target lacks, at most about `most` bytes of it, and the log; then removes what
    /// nothing names. Returns whether it has caught up.
    pub fn catch_up(&mut self, home: &Home, named: &Named, most: u64) -> bool {
        self.damaged = None;
        let shipped = self.held().and_then(|()| {
            let missing = self.copy_pieces(home, named.entries.iter(), most)?;
            self.missing = Some(missing);
            let whole = missing == 0;
            // A number from which on pieces are not trusted must not grow while some are missing.
            let known = self.position().map_or(0, |position| position.next_file);
            self.follow(home, if whole { named.next_file } else { known })?;
            self.clean(home, named)?;
            Ok(whole)
        });
        let whole = *shipped.as_ref().unwrap_or(&false);
        self.settle(shipped.map(drop));
        whole
    }

    /// Removes pieces that the key tree does not name any more after a commit, and segments that are gone at home.
    pub fn remove_superseded(&mut self, home: &Home, named: &Named) -> bool {
        let removed = self.held().and_then(|()| self.clean(home, named));
        let done = removed.is_ok();
        self.settle(removed);
        done
    }

    /// A problem stays until all that the key tree names is known to be there.
    fn settle(&mut self, shipped: Result<(), Problem>) {
        match shipped {
            // Whatever was half done is looked at again.
            Err(problem) => (self.held, self.missing, self.problem) = (None, None, Some(problem)),
            Ok(()) if self.missing.is_some() || self.damaged.is_some() => self.problem.clone_from(&self.damaged),
            Ok(()) => {}
        }
    }

    /// Looks at the target, once an opening and after every failure.
    fn held(&mut self) -> Result<(), Problem> {
        if self.held.is_some() {
            return Ok(());
        }
        let above = self.folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let made = self.disk.create_folder(&self.folder).and_then(|()| self.disk.sync_folder(above));
        made.map_err(at(&self.folder))?;
        let path = self.folder.join(POSITION_FILE);
        let position = match disk::read(&path, POSITION_BYTES as u64) {
            Ok(bytes) => Position::decode(&bytes).map_err(|problem| format!("{}: {problem}", path.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.begin(&path)?,
            Err(error) => return Err(at(&path)(error)),
        };
        if position.identity != self.identity {
            return Err(format!("{} is the backup of another vault: name an empty folder", self.folder.display()));
        }
        // What a killed process wrote is there to see, and is lost in a power cut if its folder was not synced: what is taken for
        // shipped must stay.
        let wal = self.folder.join("wal");
        let (mut folders, blocks) = (vec![self.folder.clone()], self.folder.join("blocks"));
        folders.extend([&wal, &blocks].into_iter().filter(|folder| folder.is_dir()).cloned());
        let kept = list(&blocks)?;
        for folder in folders.iter().chain(&kept) {
            self.disk.sync_folder(folder).map_err(at(folder))?;
        }
        let (last, bytes) = position.segment;
        let mut segments = BTreeMap::new();
        for first in list(&wal)?.iter().filter_map(|path| segment_of(path)) {
            let path = wal.join(segment_name(first));
            let length = std::fs::metadata(&path).map_err(at(&path))?.len();
            let sound = match first.cmp(&last) {
                std::cmp::Ordering::Less => length,
                std::cmp::Ordering::Equal => length.min(bytes),
                std::cmp::Ordering::Greater => 0,
            };
            segments.insert(first, sound);
        }
        let mut superseded = BTreeSet::new();
        for folder in kept {
            let within = |path: PathBuf| path.strip_prefix(&self.folder).map(Path::to_owned).ok();
            superseded.extend(list(&folder)?.into_iter().filter_map(within));
        }
        let leaves = position.seen.sizes;
        self.held =
            Some(Held { position, leaves, segments, pieces: BTreeSet::new(), superseded, promised: BTreeMap::new() });
        Ok(())
    }

    /// Marks a new target as this vault's; it must hold nothing, least of all a vault.
    fn begin(&self, path: &Path) -> Result<Position, Problem> {
        let unfinished = path.with_extension(UNFINISHED);
        if list(&self.folder)?.iter().any(|found| *found != unfinished) {
            return Err(format!("{} holds other files: name an empty folder", self.folder.display()));
        }
        let position = Position { identity: self.identity, seen: Seen::default(), segment: (0, 0), next_file: 0 };
        self.write_position(&position)?;
        Ok(position)
    }

    fn write_position(&self, position: &Position) -> Result<(), Problem> {
        write_durably(&self.disk, &self.folder.join(POSITION_FILE), &position.encode())?;
        self.disk.sync_folder(&self.folder).map_err(at(&self.folder))
    }

    /// Copies pieces that the target does not hold; returns how many it still lacks. One that is damaged at home is passed
    /// over, since the others have to follow all the same; it is noted, and lacked.
    fn copy_pieces<'a>(
        &mut self,
        home: &Home,
        entries: impl Iterator<Item = &'a PieceEntry>,
        most: u64,
    ) -> Result<u64, Problem> {
        let Some(held) = &mut self.held else { return Ok(0) };
        let (mut bytes, mut missing) = (0_u64, 0_u64);
        let mut touched = BTreeSet::new();
        for entry in entries {
            let path = entry.path();
            if held.pieces.contains(&path) {
                continue;
            }
            let to = self.folder.join(&path);
            if held.superseded.contains(&path) && is_whole(&to, entry, held.position.next_file)? {
                held.superseded.remove(&path);
                held.pieces.insert(path);
                continue;
            }
            if bytes >= most {
                missing = missing.saturating_add(1);
                continue;
            }
            let from = home.data.join(&path);
            let piece = disk::read(&from, MAX_PIECE_BYTES).map_err(at(&from)).and_then(|piece| {
                let sound = Sha256::digest(&piece).as_slice() == entry.sha256;
                sound.then_some(piece).ok_or_else(|| format!("{} is damaged and was not shipped", from.display()))
            });
            let piece = match piece {
                Ok(piece) => piece,
                Err(problem) => {
                    self.damaged.get_or_insert(problem);
                    missing = missing.saturating_add(1);
                    continue;
                }
            };
            let folder = to.parent().unwrap_or(&self.folder);
            self.folders.settle(&self.disk, &self.folder, folder).map_err(at(folder))?;
            write_durably(&self.disk, &to, &piece)?;
            touched.insert(folder.to_owned());
            bytes = bytes.saturating_add(entry.bytes);
            held.superseded.remove(&path);
            held.pieces.insert(path);
        }
        for folder in touched {
            self.disk.sync_folder(&folder).map_err(at(&folder))?;
        }
        Ok(missing)
    }

    /// Ships frames, then the position that names them, then leaves: a checkpoint is never ahead of the frames that count.
    fn follow(&mut self, home: &Home, next_file: u64) -> Result<(), Problem> {
        // Whoever asked first may be served last.
        if self.held.as_ref().is_some_and(|held| held.position.seen.next_seq > home.extent.next_seq) {
            return Ok(());
        }
        self.copy_frames(&home.extent)?;
        let Some(held) = &self.held else { return Ok(()) };
        let seen = Seen::of(&home.log, home.extent.next_seq, held.leaves).map_err(|error| error.to_string())?;
        let last = home.extent.segments.last().copied().unwrap_or(0);
        let position = Position { identity: self.identity, seen, segment: (last, home.extent.bytes), next_file };
        if position != held.position {
            self.write_position(&position)?;
        }
        let leaves = home.log.ship(&self.log, held.leaves, &home.signed).map_err(|error| error.to_string())?;
        if let Some(held) = &mut self.held {
            (held.position, held.leaves) = (position, leaves);
        }
        Ok(())
    }

    fn copy_frames(&mut self, extent: &Extent) -> Result<(), Problem> {
        let Some(held) = &mut self.held else { return Ok(()) };
        let folder = self.folder.join("wal");
        self.folders.settle(&self.disk, &self.folder, &folder).map_err(at(&folder))?;
        let mut made = false;
        for (place, first) in extent.segments.iter().enumerate() {
            let from = extent.path(*first);
            let is_last = place.saturating_add(1) == extent.segments.len();
            let length = if is_last { extent.bytes } else { std::fs::metadata(&from).map_err(at(&from))?.len() };
            let known = held.segments.get(first).copied();
            if known == Some(length) {
                continue;
            }
            let to = folder.join(segment_name(*first));
            let file = match known {
                Some(_) => disk::open_in_place(&to),
                None => self.disk.create(&to),
            };
            let file = file.map_err(at(&to))?;
            made |= known.is_none();
            let mut sent = known.unwrap_or(0).min(length);
            let mut source = File::open(&from).map_err(at(&from))?;
            source.seek(SeekFrom::Start(sent)).map_err(at(&from))?;
            while sent < length {
                let mut chunk = Vec::new();
                let want = CHUNK.min(length.saturating_sub(sent));
                (&mut source).take(want).read_to_end(&mut chunk).map_err(at(&from))?;
                if chunk.len() as u64 != want {
                    return Err(format!("{} is shorter than it was", from.display()));
                }
                self.disk.write_at(&to, &file, sent, &chunk).map_err(at(&to))?;
                sent = sent.saturating_add(want);
            }
            // Bytes that a broken shipment left behind the position are no frames.
            let whole = if file.metadata().map_err(at(&to))?.len() > length {
                self.disk.cut(&to, length).map_err(at(&to))?
            } else {
                file
            };
            self.disk.sync(&to, &whole).map_err(at(&to))?;
            held.segments.insert(*first, length);
        }
        if made {
            self.disk.sync_folder(&folder).map_err(at(&folder))?;
        }
        Ok(())
    }

    fn clean(&mut self, home: &Home, Named { generation, entries, .. }: &Named) -> Result<(), Problem> {
        let Some(held) = &mut self.held else { return Ok(()) };
        let named: BTreeSet<PathBuf> = entries.iter().map(PieceEntry::path).collect();
        let gone: Vec<PathBuf> =
            held.pieces.union(&held.superseded).filter(|path| !named.contains(*path)).cloned().collect();
        held.promised.retain(|_, promised| *promised >= *generation);
        let gone: Vec<PathBuf> = gone.into_iter().filter(|path| !held.promised.contains_key(path)).collect();
        let mut folders = BTreeSet::new();
        for path in gone {
            let file = self.folder.join(&path);
            self.disk.unlink(&file).map_err(at(&file))?;
            folders.extend(file.parent().map(Path::to_owned));
            held.pieces.remove(&path);
            held.superseded.remove(&path);
        }
        let segments: Vec<u64> =
            held.segments.keys().copied().filter(|first| !home.extent.segments.contains(first)).collect();
        for first in segments {
            let file = self.folder.join("wal").join(segment_name(first));
            self.disk.unlink(&file).map_err(at(&file))?;
            folders.insert(self.folder.join("wal"));
            held.segments.remove(&first);
        }
        folders.iter().try_for_each(|folder| self.disk.sync_folder(folder).map_err(at(folder)))
    }
}

/// Says whether a file of the target is a piece as the key tree names it. Those written since the last position are hashed:
/// a crash may have left another under the number.
fn is_whole(file: &Path, entry: &PieceEntry, next_file: u64) -> Result<bool, Problem> {
    let length = std::fs::metadata(file).map_err(at(file))?.len();
    if length != entry.bytes || entry.file < next_file {
        return Ok(length == entry.bytes);
    }
    let bytes = disk::read(file, MAX_PIECE_BYTES).map_err(at(file))?;
    Ok(Sha256::digest(bytes).as_slice() == entry.sha256)
}

fn write_durably(disk: &Disk, path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let passing = path.with_extension(UNFINISHED);
    let file = disk.write_whole(&passing, bytes).map_err(at(&passing))?;
    let written = disk.sync(&passing, &file).and_then(|()| disk.rename(&passing, path));
    written.map_err(at(path))
}

/// Lists what is in a folder, which may be absent.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let mut found = Vec::new();
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        read => {
            for entry in read.map_err(at(folder))? {
                found.push(entry.map_err(at(folder))?.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

pub(super) fn segment_name(first_seq: u64) -> String {
    format!("{first_seq:016x}.wal")
}

pub(super) fn segment_of(path: &Path) -> Option<u64> {
    let hex = path.file_name()?.to_str()?.strip_suffix(".wal")?;
    u64::from_str_radix(hex, 16).ok().filter(|first| segment_name(*first) == format!("{hex}.wal"))
}
