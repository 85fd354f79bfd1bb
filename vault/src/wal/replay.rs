//! Opening: finding where the log ends, cutting what was never acknowledged, and reading the rest back.

use super::segment::{self, Found, HEADER, Scanner};
use super::{Frame, Tail, WalError, frame};
use crate::disk::{self, Disk};
use std::path::{Path, PathBuf};

/// Finds the end of the log, cutting a torn tail; `None` if the folder holds no log.
pub(super) fn recover(
    disk: &Disk,
    dir: &Path,
    mut segments: Vec<u64>,
    from_seq: u64,
) -> Result<Option<(Vec<u64>, Tail)>, WalError> {
    if let Some(last) = segments.last().copied()
        && was_never_begun(dir, last)?
    {
        segments.pop();
        remove(disk, dir, last)?;
    }
    let (Some(first), Some(last)) = (segments.first().copied(), segments.last().copied()) else {
        return Ok(None);
    };
    let tail = cut_tail(disk, dir, last)?;
    if first > from_seq || tail.next_seq < from_seq {
        return Err(WalError::Missing { first, last: tail.next_seq.saturating_sub(1), wanted: from_seq });
    }
    Ok(Some((segments, tail)))
}

/// Makes the last segment durable. A process that was killed may have written what it did not sync; from the opening on that
/// counts as done, and others are told of it.
pub(super) fn sync(disk: &Disk, dir: &Path, tail: &Tail) -> Result<(), WalError> {
    let path = segment::path(dir, tail.header.first_seq);
    let synced = disk::open_to_append(&path).and_then(|file| disk.sync(&path, &file));
    synced.map_err(|error| WalError::io("sync", &path, &error))
}

/// Says whether a crash hit the creation of a segment: no frame can be in it, since its header is synced before the first.
fn was_never_begun(dir: &Path, first_seq: u64) -> Result<bool, WalError> {
    let path = segment::path(dir, first_seq);
    let len = std::fs::metadata(&path).map_err(|error| WalError::io("read", &path, &error))?.len();
    Ok(len < HEADER || len == HEADER && matches!(Scanner::open(dir, first_seq, None), Err(WalError::Corrupt { .. })))
}

fn remove(disk: &Disk, dir: &Path, first_seq: u64) -> Result<(), WalError> {
    let path = segment::path(dir, first_seq);
    disk.unlink(&path).and_then(|()| disk.sync_folder(dir)).map_err(|error| WalError::io("remove", &path, &error))
}

fn cut_tail(disk: &Disk, dir: &Path, first_seq: u64) -> Result<Tail, WalError> {
    let mut scanner = Scanner::open(dir, first_seq, None)?;
    loop {
        match scanner.next()? {
            Found::Frame(..) => {}
            Found::End => break,
            Found::Bad(problem) => {
                if let Some(seq) = scanner.later_batch()? {
                    let problem = format!("{problem}, and frame {seq} follows");
                    return Err(WalError::corrupt(&scanner.path, scanner.offset, &problem));
                }
                truncate(disk, &scanner.path, scanner.offset)?;
                break;
            }
        }
    }
    Ok(Tail { header: scanner.header, len: scanner.offset, next_seq: scanner.next_seq })
}

fn truncate(disk: &Disk, path: &Path, len: u64) -> Result<(), WalError> {
    let cut = disk.cut(path, len).and_then(|file| disk.sync(path, &file));
    cut.map_err(|error| WalError::io("cut", path, &error))
}

/// The frames from some sequence number on, in order, each with its number. Ends after the first error.
#[derive(Debug)]
pub struct Replay {
    dir: PathBuf,
    /// Segments still to be read, newest first.
    segments: Vec<u64>,
    current: Option<Scanner>,
    from_seq: u64,
    /// End of the last segment: frames written after the open are not replayed.
    end: u64,
    end_seq: u64,
}

impl Replay {
    pub(super) fn new(dir: &Path, segments: &[u64], tail: &Tail, from_seq: u64) -> Result<Self, WalError> {
        let skip = segments.iter().skip(1).take_while(|first| **first <= from_seq).count();
        let segments = segments.iter().skip(skip).rev().copied().collect();
        let mut replay =
            Self { dir: dir.to_owned(), segments, current: None, from_seq, end: tail.len, end_seq: tail.next_seq };
        replay.open_next()?;
        Ok(replay)
    }

    fn open_next(&mut self) -> Result<(), WalError> {
        self.current = match self.segments.pop() {
            Some(first) => {
                let end = self.segments.is_empty().then_some(self.end);
                Some(Scanner::open(&self.dir, first, end)?)
            }
            None => None,
        };
        Ok(())
    }

    fn step(&mut self) -> Result<Option<(u64, Frame)>, WalError> {
        while let Some(scanner) = &mut self.current {
            let at = scanner.offset;
            match scanner.next()? {
                Found::Frame(seq, _) if seq < self.from_seq => {}
                Found::Frame(seq, payload) => {
                    let frame = frame::decode(&payload);
                    let frame = frame.map_err(|problem| WalError::corrupt(&scanner.path, at, problem))?;
                    return Ok(Some((seq, frame)));
                }
                Found::Bad(problem) => return Err(WalError::corrupt(&scanner.path, at, problem)),
                Found::End => {
                    let want = self.segments.last().copied().unwrap_or(self.end_seq);
                    if scanner.next_seq != want {
                        let problem = format!("frame {} should follow", scanner.next_seq);
                        return Err(WalError::corrupt(&scanner.path, at, &problem));
                    }
                    self.open_next()?;
                }
            }
        }
        Ok(None)
    }
}

impl Iterator for Replay {
    type Item = Result<(u64, Frame), WalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.current = None;
        }
        step.transpose()
    }
}
