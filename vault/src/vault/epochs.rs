//! Closed epochs, pinned by readers.

use crate::consent::ConsentBitmaps;
use crate::disk::Disk;
use crate::fold::pieces::BlockPieces;
use crate::scan::BlockInput;
use crate::vault::EpochInfo;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A closed epoch: immutable, shared by `Arc`. Its superseded files are unlinked when the last reader lets go.
#[derive(Debug)]
pub(super) struct ClosedEpoch {
    /// Number and end.
    pub info: EpochInfo,
    /// Ordinals below this existed at the close.
    pub bound: u32,
    /// Pieces of each block, in block order.
    pub blocks: Vec<BlockPieces>,
    /// Consent at the close.
    pub consent: ConsentBitmaps,
    /// Files that the next epoch does not use.
    superseded: OnceLock<(Disk, Vec<PathBuf>)>,
    /// Dropped with the epoch: whoever holds the other end knows then that nobody reads it any more.
    reading: OnceLock<Sender<()>>,
}

/// Waits for the readers of an epoch.
#[derive(Debug)]
pub(super) struct Readers(Receiver<()>);

impl Readers {
    /// Returns when nobody reads the epoch any more, and its keys are out of memory.
    pub fn wait(self) {
        // Nothing is ever sent: this ends when the epoch, and the sender with it, is dropped.
        let _ = self.0.recv();
    }
}

impl ClosedEpoch {
    /// Makes a closed epoch.
    pub fn new(info: EpochInfo, bound: u32, blocks: Vec<BlockPieces>, consent: ConsentBitmaps) -> Self {
        Self { info, bound, blocks, consent, superseded: OnceLock::new(), reading: OnceLock::new() }
    }

    /// Returns what to wait for after the last reference in hand was dropped. Only the first call of an epoch waits.
    pub fn readers(&self) -> Readers {
        let (sender, receiver) = channel();
        self.reading.set(sender).ok();
        Readers(receiver)
    }

    /// Lists its blocks, to be scanned.
    pub fn scan_blocks(&self) -> Vec<BlockInput> {
        self.blocks.iter().filter_map(input_of).collect()
    }

    /// Lists some of its blocks, to be scanned again.
    pub fn some_blocks(&self, which: &BTreeSet<u32>) -> Vec<BlockInput> {
        which.iter().filter_map(|block| self.blocks.get(*block as usize)).filter_map(input_of).collect()
    }

    /// Says that these files can go once nobody reads this epoch any more. Their keys are gone already.
    pub fn supersede(&self, disk: &Disk, files: Vec<PathBuf>) {
        self.superseded.set((disk.clone(), files)).ok();
    }
}

fn input_of(pieces: &BlockPieces) -> Option<BlockInput> {
    Some(BlockInput { attributes: pieces.attributes.clone()?, events: pieces.events.clone() })
}

impl Drop for ClosedEpoch {
    fn drop(&mut self) {
        let Some((disk, files)) = self.superseded.get() else { return };
        for file in files {
            // A file that stays is sealed under a key that no longer exists; the next opening removes it.
            disk.unlink(file).ok();
        }
    }
}
