//! The journal of one dataset: sealed entries that are not folded yet, kept in its database.
//!
//! The write-ahead log holds the same sealed bytes until they are folded, so this database is never the only copy: when
//! it differs from the log, or fails in any way, it is made again from the log. What is folded is removed block by block, so
//! that nobody waits long; until then it is in the database and counts for nothing. The newest entries wait in memory for
//! each other: written one by one, they kept the database's own threads busy for 75 us each.
//!
//! Key: `j`, block u32, frame u64, part u16, slice u16, all big endian. Value: at most 4,000 bytes of
//! key id u32 (first slice only) and sealed bytes.

use crate::keys::SecretKey;
use crate::store::{DigestKey, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

const SLICE_BYTES: usize = 4_000;
/// Pairs of one write to the database; as many entries wait at most.
const BATCH: usize = 128;
/// Bytes of entries that wait at most.
const WAITING_BYTES: usize = 256 << 10;
/// Entries removed at a time: some milliseconds' worth, since writers wait meanwhile.
const SWEPT: usize = 16 * BATCH;

/// One sealed entry of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Frame number, part of the nonce.
    pub seq: u64,
    /// Number of the part in its frame, part of the nonce.
    pub part: u16,
    /// Which journal key opens it.
    pub key_id: u32,
    /// Sealed bytes.
    pub bytes: Vec<u8>,
}

/// The journals of one dataset.
#[derive(Debug)]
pub(crate) struct Journals {
    store: Option<Store>,
    /// Frames and parts that each block must have, so that a lost entry shows, and how long each is.
    expected: BTreeMap<u32, BTreeMap<(u64, u16), usize>>,
    /// The newest entries, not in the database yet.
    waiting: Vec<(u32, Sealed)>,
    waiting_bytes: usize,
    /// Sealed bytes that are not folded.
    bytes: u64,
    /// Entries of frames up to this one are folded.
    folded_seq: u64,
    /// By block, if more of it is folded: entries of frames up to this one are too.
    folded_of: BTreeMap<u32, u64>,
    /// Blocks that may have folded entries in the database.
    to_sweep: BTreeSet<u32>,
    /// Set when the database failed; it must not be read before it was made again.
    pub stale: bool,
}

fn prefix(block: u32) -> [u8; 5] {
    let mut key = [b'j'; 5];
    for (slot, byte) in key.iter_mut().skip(1).zip(block.to_be_bytes()) {
        *slot = byte;
    }
    key
}

fn slices(block: u32, entry: &Sealed) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut whole = entry.key_id.to_be_bytes().to_vec();
    whole.extend_from_slice(&entry.bytes);
    whole
        .chunks(SLICE_BYTES)
        .zip(0_u16..)
        .map(|(slice, number)| {
            let mut key = prefix(block).to_vec();
            key.extend_from_slice(&entry.seq.to_be_bytes());
            key.extend_from_slice(&entry.part.to_be_bytes());
            key.extend_from_slice(&number.to_be_bytes());
            (key, slice.to_vec())
        })
        .collect()
}

impl Journals {
    /// Stands for a database that is not open yet.
    pub fn absent() -> Self {
        Self {
            store: None,
            expected: BTreeMap::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            bytes: 0,
            folded_seq: 0,
            folded_of: BTreeMap::new(),
            to_sweep: BTreeSet::new(),
            stale: true,
        }
    }

    /// Opens the database in a folder of its own and compares it with what the log says it holds; when it differs, or
    /// does not open, it is made again from `entries`.
    pub fn settle(path: &Path, cache_bytes: u64, entries: &[(u32, Sealed)]) -> Result<Self, StoreError> {
        let mut journals = Self::absent();
        entries.iter().for_each(|(block, entry)| journals.expect(*block, entry));
        journals.stale = false;
        if let Ok(store) = open(path, cache_bytes)
            && holds(&store, entries)
        {
            journals.store = Some(store);
            return Ok(journals);
        }
        Store::destroy(path)?;
        journals.store = Some(open(path, cache_bytes)?);
        journals.write(entries);
        Ok(journals)
    }

    /// Notes an entry that the log must keep, without storing it.
    pub fn expect(&mut self, block: u32, entry: &Sealed) {
        let bytes = entry.bytes.len();
        if self.expected.entry(block).or_default().insert((entry.seq, entry.part), bytes).is_none() {
            self.bytes = self.bytes.saturating_add(bytes as u64);
        }
    }

    /// Adds entries. A failure leaves the database stale, and is no failure of the write: the log has it.
    pub fn put(&mut self, entries: Vec<(u32, Sealed)>) {
        for (block, entry) in &entries {
            self.expect(*block, entry);
            self.waiting_bytes += entry.bytes.len();
        }
        self.waiting.extend(entries);
        if self.waiting.len() >= BATCH || self.waiting_bytes >= WAITING_BYTES {
            self.write_waiting();
        }
    }

    fn write_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.write(&waiting);
    }

    fn write(&mut self, entries: &[(u32, Sealed)]) {
        let pairs: Vec<_> = entries.iter().flat_map(|(block, entry)| slices(*block, entry)).collect();
        for batch in pairs.chunks(BATCH) {
            let batch: Vec<_> = batch.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
            let written = self.store.as_ref().is_some_and(|store| store.put_batch(&batch).is_ok());
            if self.stale || !written {
                self.stale = true;
                return;
            }
        }
    }

    /// Reads the entries of a block, in frame order; `None` when the database does not hold what it must.
    pub fn read(&self, block: u32) -> Option<Vec<Sealed>> {
        if self.stale {
            return None;
        }
        let mut entries: BTreeMap<(u64, u16), Vec<u8>> = BTreeMap::new();
        let gather = |key: &[u8], value: &[u8]| {
            if let Some(place) = place(key).filter(|(seq, _)| *seq > self.folded(block)) {
                entries.entry(place).or_default().extend_from_slice(value);
            }
            ControlFlow::Continue(())
        };
        self.store.as_ref()?.scan_prefix(&prefix(block), gather).ok()?;
        let stored = entries.into_iter().map(|((seq, part), whole)| split(seq, part, whole));
        // Those that wait are later than those that do not.
        let waiting = self.waiting.iter().filter(|(of, _)| *of == block).map(|(_, entry)| Some(entry.clone()));
        let all: Vec<Sealed> = stored.chain(waiting).collect::<Option<_>>()?;
        let expected = self.expected.get(&block)?;
        all.iter().map(|entry| (entry.seq, entry.part)).eq(expected.keys().copied()).then_some(all)
    }

    /// Returns the first frame with an entry that is not folded.
    pub fn first_frame(&self) -> Option<u64> {
        self.expected.values().filter_map(|places| places.keys().next()).map(|(seq, _)| *seq).min()
    }

    /// Counts the sealed bytes that are not folded.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts the sealed bytes of a block that are not folded.
    pub fn bytes_of(&self, block: u32) -> usize {
        self.expected.get(&block).into_iter().flat_map(BTreeMap::values).sum()
    }

    /// Counts the entries that are not folded.
    pub fn entries(&self) -> usize {
        self.expected.values().map(BTreeMap::len).sum()
    }

    /// Forgets a block's entries: they are written again, or belong to nobody any more. A failure leaves the database stale.
    pub fn drop_block(&mut self, block: u32) {
        let gone: usize = self.expected.remove(&block).into_iter().flatten().map(|(_, bytes)| bytes).sum();
        self.bytes = self.bytes.saturating_sub(gone as u64);
        self.waiting.retain(|(of, _)| *of != block);
        let removed = self.store.as_ref().map_or(Ok(0), |store| store.remove_prefix(&prefix(block)));
        self.stale |= removed.is_err();
    }

    fn folded(&self, block: u32) -> u64 {
        self.folded_of.get(&block).map_or(self.folded_seq, |folded| self.folded_seq.max(*folded))
    }

    /// Forgets what is folded of some blocks, and returns all blocks that have later entries.
    pub fn drop_folded_of(&mut self, blocks: &BTreeSet<u32>, folded_seq: u64) -> BTreeSet<u32> {
        for block in blocks {
            self.folded_of.insert(*block, folded_seq);
            if let Some(places) = self.expected.get_mut(block) {
                let later = places.split_off(&(folded_seq.saturating_add(1), 0));
                let gone: usize = std::mem::replace(places, later).into_values().sum();
                self.bytes = self.bytes.saturating_sub(gone as u64);
            }
        }
        self.to_sweep.extend(blocks);
        self.expected.retain(|_, places| !places.is_empty());
        self.waiting.retain(|(of, entry)| entry.seq > folded_seq || !blocks.contains(of));
        self.expected.keys().copied().collect()
    }

    /// Forgets what is folded and returns the blocks that have later entries. [`Journals::sweep`] removes it.
    pub fn drop_folded(&mut self, folded_seq: u64) -> BTreeSet<u32> {
        self.folded_seq = folded_seq;
        self.folded_of.clear();
        self.to_sweep.extend(self.expected.keys());
        for places in self.expected.values_mut() {
            let later = places.split_off(&(folded_seq.saturating_add(1), 0));
            *places = later;
        }
        self.expected.retain(|_, places| !places.is_empty());
        self.waiting.retain(|(_, entry)| entry.seq > folded_seq);
        self.bytes = self.expected.values().flat_map(BTreeMap::values).map(|bytes| *bytes as u64).sum();
        self.expected.keys().copied().collect()
    }

    /// Removes folded entries from the database: all of it if nothing else is there, else some. Says whether there may be
    /// more. A failure leaves the database stale.
    pub fn sweep(&mut self) -> bool {
        if self.expected.is_empty() && !self.to_sweep.is_empty() {
            self.to_sweep.clear();
            self.stale |= self.clear().is_err();
        }
        let Some(block) = self.to_sweep.pop_first() else { return false };
        match self.remove_folded(block) {
            Ok(count) if count == SWEPT => drop(self.to_sweep.insert(block)),
            removed => self.stale |= removed.is_err(),
        }
        !self.stale
    }

    /// Makes the database again from what the log says is not folded. A failure leaves it stale.
    pub fn mend(&mut self, entries: &[(u32, Sealed)]) {
        self.to_sweep.clear();
        self.waiting.clear();
        self.stale |= self.clear().is_err();
        self.write(entries);
    }

    fn clear(&mut self) -> Result<(), StoreError> {
        if let Some(store) = self.store.take() {
            self.stale = true;
            self.store = Some(store.destroy_and_recreate()?);
            self.stale = false;
        }
        Ok(())
    }

    fn remove_folded(&mut self, block: u32) -> Result<usize, StoreError> {
        let Some(store) = &self.store else { return Ok(0) };
        let mut keys: Vec<Vec<u8>> = Vec::new();
        store.scan_prefix(&prefix(block), |key: &[u8], _: &[u8]| {
            match place(key) {
                Some((seq, _)) if seq <= self.folded(block) && keys.len() < SWEPT => keys.push(key.to_vec()),
                _ => return ControlFlow::Break(()),
            }
            ControlFlow::Continue(())
        })?;
        for batch in keys.chunks(BATCH) {
            let batch: Vec<_> = batch.iter().map(Vec::as_slice).collect();
            store.remove_batch(&batch)?;
        }
        Ok(keys.len())
    }

    /// Makes the database whole and durable, for a quick next opening.
    pub fn barrier(&mut self) -> Result<(), StoreError> {
        self.write_waiting();
        self.store.as_ref().map_or(Ok(()), |store| store.barrier().map(|_| ()))
    }
}

/// Opens the database. Its digest is not kept over openings, so its key is drawn anew.
fn open(path: &Path, cache_bytes: u64) -> Result<Store, StoreError> {
    let key = SecretKey::random().unwrap_or_else(|_| SecretKey::from_bytes([0; 32]));
    Store::open(path, cache_bytes, DigestKey::new(key))
}

/// Says whether the database holds exactly these entries.
fn holds(store: &Store, entries: &[(u32, Sealed)]) -> bool {
    let mut expected: Vec<_> = entries.iter().flat_map(|(block, entry)| slices(*block, entry)).collect();
    expected.sort_unstable();
    let mut next = expected.iter();
    let mut same = true;
    let scanned = store.scan_prefix(&[], |key: &[u8], value: &[u8]| {
        same = next.next().is_some_and(|(k, v)| k == key && v == value);
        if same { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    scanned.is_ok() && same && next.next().is_none()
}

fn place(key: &[u8]) -> Option<(u64, u16)> {
    let seq = u64::from_be_bytes(key.get(5..13)?.try_into().ok()?);
    let part = u16::from_be_bytes(key.get(13..15)?.try_into().ok()?);
    Some((seq, part))
}

fn split(seq: u64, part: u16, whole: Vec<u8>) -> Option<Sealed> {
    let (head, bytes) = whole.split_at_checked(4)?;
    Some(Sealed { seq, part, key_id: u32::from_be_bytes(head.try_into().ok()?), bytes: bytes.to_vec() })
}
