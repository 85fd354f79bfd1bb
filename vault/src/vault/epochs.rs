//! The live versions of a dataset, pinned by readers: the last closed epoch, and what is being built on it.
//!
//! Guarantees: a version does not change; its files are there, and its keys in memory, until the last reader of it, and of
//! every version before it, has let go. So one wait tells that nobody reads anything older than what is live.

use crate::consent::ConsentBitmaps;
use crate::disk::Disk;
use crate::fold::pieces::BlockPieces;
use crate::scan::BlockInput;
use crate::vault::EpochInfo;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};

/// A closed epoch, and what was folded since: immutable, shared by `Arc`.
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
    /// The next epoch's version, if anything was folded since the close. No question reads it.
    pub building: Option<Building>,
    superseded: OnceLock<Superseded>,
    /// Dropped with the epoch: whoever holds the other end knows then that nobody reads it any more.
    reading: OnceLock<Sender<()>>,
}

/// The version of the epoch that has not closed, as far as it is folded.
#[derive(Debug)]
pub(super) struct Building {
    /// Ordinals below this are folded.
    pub bound: u32,
    /// Pieces of each block, in block order; shared with the closed epoch where nothing was folded since.
    pub blocks: Vec<BlockPieces>,
    /// Consent as far as it is folded.
    pub consent: ConsentBitmaps,
}

/// What came after a version.
#[derive(Debug)]
struct Superseded {
    disk: Disk,
    /// Files that the next version does not use.
    files: Vec<PathBuf>,
    /// The next version lives as long as this one: what it loses later may be read through this one still.
    _next: Arc<ClosedEpoch>,
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
        let (superseded, reading) = (OnceLock::new(), OnceLock::new());
        Self { info, bound, blocks, consent, building: None, superseded, reading }
    }

    /// Makes the same closed epoch with another version being built on it.
    pub fn build_on(&self, building: Building) -> Self {
        let mut same = Self::new(self.info, self.bound, self.blocks.clone(), self.consent.clone());
        same.building = Some(building);
        same
    }

    /// Returns the pieces of each block as far as everything is folded.
    pub fn folded_blocks(&self) -> &[BlockPieces] {
        self.building.as_ref().map_or(&self.blocks, |building| &building.blocks)
    }

    /// Returns consent as far as it is folded.
    pub fn folded_consent(&self) -> &ConsentBitmaps {
        self.building.as_ref().map_or(&self.consent, |building| &building.consent)
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

    /// Says what comes after, and that these files can go once nobody reads this version, or one before it, any more.
    /// Their keys are gone already.
    pub fn supersede(&self, disk: &Disk, files: Vec<PathBuf>, next: &Arc<Self>) {
        self.superseded.set(Superseded { disk: disk.clone(), files, _next: Arc::clone(next) }).ok();
    }
}

fn input_of(pieces: &BlockPieces) -> Option<BlockInput> {
    Some(BlockInput { attributes: pieces.attributes.clone()?, events: pieces.events.clone() })
}

impl Drop for ClosedEpoch {
    fn drop(&mut self) {
        let Some(Superseded { disk, files, .. }) = self.superseded.get() else { return };
        for file in files {
            // A file that stays is sealed under a key that no longer exists; the next opening removes it.
            disk.unlink(file).ok();
        }
    }
}
