//! Creating and opening: root, key tree, state pieces, log, replay; then it serves.
//!
//! What was acknowledged is in the key tree's pieces or in the write-ahead log, and nowhere else does it have to be: the
//! databases are compared with the log and made again when they differ, panic or do not open.

use super::backlog::Limits;
use super::backup::{self, check_places, check_seen};
use super::change::Change;
use super::commit::{CHANGE, JOURNAL, Outgoing, REWRITTEN, aad, nonce};
use super::deliver::decode;
use super::epochs::{Building, ClosedEpoch};
use super::fold_epoch::{by_block, open_entry};
use super::frames::{FRAME_KEY, Tagging};
use super::journal_keys::{JournalKeys, SHARED_PLACE, sealers};
use super::journals::{Journals, Sealed};
use super::log_key::{Announced, NEXT_SEED};
use super::state::{Dataset, KeyUses, Shared, State};
use super::write::place;
use super::{Config, EpochInfo, Vault, VaultError};
use crate::blocks::{BLOCK_SUBJECTS, Piece};
use crate::consent::ConsentBitmaps;
use crate::disk::{Disk, Folders};
use crate::fold::pieces::{BlockPieces, read_consent, read_keys};
use crate::index::Index;
use crate::journal::{Entry, Reader};
use crate::keys::{KeyTree, KeysError, Mirroring, PieceEntry, PieceKind, PieceState, Sealer, SecondLock, SecretKey};
use crate::log::{Kind, Leaf, Log, Sizes, Word};
use crate::scan::Scanner;
use crate::vault::Tree;
use crate::wal::{Frame, SEGMENT_BYTES, SealedPart, Wal};
use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex, RwLock};
use policy::id::{DatasetId, EpochId};
use policy::schema::Schema;
use policy::time::Timestamp;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, OnceLock};

/// State piece of dataset 0: the gateway's own state.
pub(super) const SHARED_STATE: u16 = 0;

/// Bytes of a segment of the log. In this crate's tests every few calls begin one.
const LOG_SEGMENT_BYTES: u64 = if cfg!(test) { 32 << 10 } else { SEGMENT_BYTES };

pub(super) const ORIGIN: &str = "silhouette";
pub(super) const SIGNING_SEED: &str = "log signing seed";
/// Cache of a dataset's database: journals are written once and read once.
const STORE_CACHE_BYTES: u64 = 32 << 20;

/// What a vault is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// To be served.
    Serving,
    /// To end a restore: it may be older than what its mirror noted of the home that is gone.
    Restoring,
}

/// What the key tree says of the vault itself.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct VaultRecord {
    /// File numbers below this may have been used.
    pub next_file: u64,
    /// Frames up to this one are in the shared state piece.
    pub shared_seq: u64,
    /// Frames below this one are not needed any more: all that is in them is folded, and their leaves are in the log.
    pub first_seq: u64,
}

/// What the key tree says of a dataset.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DatasetRecord {
    pub epoch: EpochId,
    pub as_of: Timestamp,
    /// Ordinals below this existed at the close.
    pub bound: u32,
    /// Ordinals below this are folded.
    pub folded_bound: u32,
    /// Frames up to this one are folded.
    pub folded_seq: u64,
}

impl VaultRecord {
    pub fn named(&self) -> Result<(String, Vec<u8>), VaultError> {
        let bytes = serde_json::to_vec(self).map_err(|_| VaultError::damaged("record", "it can't be written"))?;
        Ok(("vault".to_owned(), bytes))
    }
}

impl DatasetRecord {
    pub fn named(&self, number: u32) -> Result<(String, Vec<u8>), VaultError> {
        let bytes = serde_json::to_vec(self).map_err(|_| VaultError::damaged("record", "it can't be written"))?;
        Ok((format!("dataset/{number:08x}"), bytes))
    }
}

fn io(error: std::io::Error) -> VaultError {
    VaultError::Io(error.to_string())
}

impl Vault {
    /// Creates an empty vault in two folders that must not hold one yet.
    pub fn init(config: &Config, now: Timestamp) -> Result<(), VaultError> {
        let fresh = || SecretKey::random().map_err(|error| VaultError::Io(error.to_string()));
        check_places(config)?;
        let mut first = super::tokens::first()?;
        first.put_secrets.push((SIGNING_SEED.to_owned(), fresh()?));
        first.put_secrets.push((FRAME_KEY.to_owned(), fresh()?));
        first.put_records.push(VaultRecord { next_file: 1, shared_seq: 0, first_seq: 1 }.named()?);
        if let Some(mirror) = &config.mirror {
            if crate::keys::is_mirror(mirror) {
                return Err(VaultError::Setup(KeysError::Exists(mirror.clone()).to_string()));
            }
            // A mirror that can't be made is found out before there is a vault without one.
            config.disk.create_folder(mirror).map_err(io)?;
        }
        let tree = KeyTree::create_on(&config.disk, &config.root, &config.data, &config.lock, first)
            .map_err(|error| VaultError::Setup(error.to_string()))?;
        Wal::create(&config.disk, &config.data.join("wal"), 1)?;
        drop(tree);
        let vault = Self::open(config, now)?;
        vault.close(now)
    }

    /// Opens a vault: root, key tree, log, replay; then it serves.
    pub fn open(config: &Config, now: Timestamp) -> Result<Self, VaultError> {
        super::restore::check_whole(&config.data)?;
        let mirroring = config.mirror.as_deref().map_or(Mirroring::Without, Mirroring::At);
        Self::open_with(config, mirroring, Opening::Serving, now)
    }

    /// Makes a vault whose mirror is lost or destroyed one without; another can be set then. Where the old one was, whatever
    /// of it can still be read opens copies of the data folder of its time.
    pub fn forget_mirror(config: &Config, now: Timestamp) -> Result<(), VaultError> {
        super::restore::check_whole(&config.data)?;
        let vault = Self::open_with(config, Mirroring::Forget, Opening::Serving, now)?;
        let leaf = Leaf { what: Word::new("forget mirror").ok(), ..Leaf::new(Kind::Key, now) };
        vault.log_change(leaf, Vec::new())?;
        vault.lock()?.tree.forget_mirror()?;
        vault.close(now)
    }

    pub(super) fn open_with(
        config: &Config,
        mirroring: Mirroring<'_>,
        opening: Opening,
        now: Timestamp,
    ) -> Result<Self, VaultError> {
        check_places(config)?;
        let mut tree = KeyTree::open_mirrored(&config.disk, &config.root, &config.data, &config.lock, mirroring)
            .map_err(|error| VaultError::Setup(error.to_string()))?;
        let record: VaultRecord = read_record(&tree, "vault")?;
        let journal = JournalKeys::begin(&mut tree)?;
        let seed =
            tree.secret(SIGNING_SEED).ok_or_else(|| VaultError::damaged("key tree", "the signing seed is gone"))?;
        let retired = super::log_key::retired(&tree)?;
        let log = Arc::new(Log::open(&config.disk, &config.data.join("log"), ORIGIN, &seed, &retired)?);
        let mut announced = Announced::of(&log, tree.secret(NEXT_SEED).as_ref())?;
        let scanner = Scanner::new(config.threads).map_err(|error| VaultError::Io(error.to_string()))?;
        let shared = read_shared(config, &tree)?;
        let mut state = State {
            next_seq: 0,
            tree,
            datasets: BTreeMap::new(),
            numbers: BTreeMap::new(),
            shared,
            journal,
            key_uses: KeyUses::default(),
            fold_for_log: None,
            drawing: BTreeSet::new(),
            latest: now,
        };
        for (number, versions) in state.shared.schemas.clone() {
            let mut dataset = open_dataset(config, &state.tree, number, &versions)?;
            dataset.gone = state.shared.gone_of(number)?;
            if dataset.closed.info.epoch.0 > 0 {
                state.latest = state.latest.max(dataset.closed.info.as_of);
            }
            state.numbers.insert(dataset.schema.dataset.clone(), number);
            state.datasets.insert(number, dataset);
        }
        let (wal, replay) =
            Wal::open(&config.disk, &config.data.join("wal"), record.first_seq.max(1), LOG_SEGMENT_BYTES)?;
        if wal.next_seq() <= 1 && log.sizes() != Sizes::default() {
            // Leaves are in the permanent log only after their frames.
            return Err(VaultError::damaged("write-ahead log", "its frames are gone"));
        }
        let mut journals = HashMap::new();
        let keys = sealers(&state.tree)?;
        let tagging = Tagging::of(&state.tree)?;
        let mut end = None;
        for frame in replay {
            let (seq, mut frame) = frame?;
            tagging.check(seq, &mut frame)?;
            announced.look(&frame);
            end = Some(sizes_after(&frame));
            apply_frame(config, &mut state, &log, &keys, record.shared_seq, (seq, &frame), &mut journals)?;
        }
        refuse_lost_frames(&wal, &log, end)?;
        let noted = backup::noted(state.tree.noted().unwrap_or_default())?;
        check_seen(&state.tree, &noted, opening, &log, &wal)?;
        state.next_seq = wal.next_seq();
        for (number, dataset) in state.datasets.iter_mut().filter(|(_, dataset)| dataset.damage.is_none()) {
            let entries = journals.remove(number).unwrap_or_default();
            dataset.settle_journal(config, &entries)?;
        }
        remove_strays(config, &state)?;
        let named = state.tree.entries().iter().map(|entry| entry.file.saturating_add(1)).max();
        let next_file = record.next_file.max(named.unwrap_or(0));
        let follower = backup::follower(config, &state.tree)?;
        let noter = state.tree.noted().map(|_| super::noting::Noter::start()).transpose().map_err(io)?;
        let vault = Self {
            // What the lock needs is in the key tree; the passphrase is not kept.
            config: Config { lock: SecondLock::None, ..config.clone() },
            scanner,
            state: Mutex::new(state),
            log,
            wal,
            tagging,
            fence: Arc::new(RwLock::new(())),
            waiting: super::subjects::AllWaiting::default(),
            passes: super::passes::Passes::default(),
            drawn: Condvar::new(),
            schemas: ArcSwap::default(),
            next_file: AtomicU64::new(next_file),
            folders: Folders::default(),
            closing: Mutex::new(()),
            interrupting: AtomicUsize::new(0),
            rotating: Mutex::new(()),
            follower,
            noter,
            noted: Mutex::new(noted),
            restoring: opening == Opening::Restoring,
            delivering: Mutex::new(()),
            poisoned: OnceLock::new(),
            limits: Limits::folding_at(config.fold_bytes),
            #[cfg(test)]
            after_scan: Mutex::new(None),
            #[cfg(test)]
            before_fence: Mutex::new(None),
        };
        vault.settle_log_key(&announced)?;
        vault.begin(now)?;
        match vault.resume_erasures(now) {
            // Tried again at every tick. Its people are in no index and allowed for nothing meanwhile.
            Err(VaultError::Io(_)) => {}
            resumed => resumed?,
        }
        vault.resume_rotation(now)?;
        Ok(vault)
    }

    fn begin(&self, now: Timestamp) -> Result<(), VaultError> {
        let leaf = Leaf { what: Word::new("open").ok(), ..Leaf::new(Kind::Start, now) };
        let mut state = self.lock()?;
        self.publish_schemas(&state);
        let leaves = vec![(Tree::Access, leaf.to_json().into_bytes())];
        let ticket = self.commit(&mut state, Outgoing { leaves, ..Outgoing::default() })?;
        drop(state);
        ticket.wait()?;
        self.step(now)
    }

    /// Makes a dataset without subjects.
    pub(super) fn empty_dataset(&self, number: u32, schema: Arc<Schema>) -> Result<Dataset, VaultError> {
        let mut dataset = blank(number, vec![schema])?;
        dataset.settle_journal(&self.config, &[])?;
        Ok(dataset)
    }

    /// Lists what is wrong with datasets that could not be opened: they refuse every call, and the others serve.
    pub fn damage(&self) -> Vec<(DatasetId, String)> {
        let state = self.state.lock();
        let damaged = state.datasets.values().filter_map(|dataset| {
            let (part, problem) = dataset.damage.as_ref()?;
            Some((dataset.schema.dataset.clone(), VaultError::damaged(part, problem).to_string()))
        });
        damaged.collect()
    }

    /// Reads a dataset's unfolded entries from the log instead of its database.
    pub(super) fn journal_from_log(&self, dataset: &Dataset) -> Result<Vec<(u32, Vec<Sealed>)>, VaultError> {
        let (number, restarts) = (dataset.number, &dataset.restarts);
        // Not all frames after the last fold need be there still: only those from its first entry on.
        let Some(first) = dataset.journal.first_frame() else { return Ok(Vec::new()) };
        let mut entries = Vec::new();
        for frame in self.frames_from(first)? {
            let (seq, frame) = frame?;
            let parts = journal_parts(seq, &frame, |of| (of == number).then_some(restarts));
            let own = parts.into_iter().filter(|(of, ..)| *of == number);
            entries.extend(own.map(|(_, block, sealed)| (block, sealed)));
        }
        Ok(by_block(entries))
    }

    /// Removes the segments of the log that the key tree says nobody needs any more. One that can't be removed is no harm,
    /// and goes the next time.
    pub(super) fn trim(&self) {
        let record: Result<VaultRecord, VaultError> = read_record(&self.state.lock().tree, "vault");
        record.ok().and_then(|record| self.wal.remove_before(record.first_seq).ok());
    }
}

pub(super) fn read_record<T: serde::de::DeserializeOwned>(tree: &KeyTree, name: &str) -> Result<T, VaultError> {
    let bytes =
        tree.record(name).ok_or_else(|| VaultError::damaged("key tree", format!("record {name} is missing")))?;
    serde_json::from_slice(&bytes).map_err(|_| VaultError::damaged("key tree", format!("record {name} does not parse")))
}

fn read_state_piece(config: &Config, entry: &PieceEntry) -> Result<zeroize::Zeroizing<Vec<u8>>, VaultError> {
    Ok(open_piece(config, entry)?.read_state()?)
}

pub(super) fn open_piece(config: &Config, entry: &PieceEntry) -> Result<Piece, VaultError> {
    Ok(Piece::open_named(&config.data.join(entry.path()), entry.key.clone(), &entry.id, entry.version)?)
}

fn read_shared(config: &Config, tree: &KeyTree) -> Result<Shared, VaultError> {
    let entries = tree.entries();
    match entries.dataset(0).find(|entry| entry.id.kind == PieceKind::State(SHARED_STATE)) {
        Some(entry) => serde_json::from_slice(&read_state_piece(config, entry)?)
            .map_err(|_| VaultError::damaged("shared state", "it does not parse")),
        None => Ok(Shared::default()),
    }
}

fn blank(number: u32, versions: Vec<Arc<Schema>>) -> Result<Dataset, VaultError> {
    let schema = versions.last().map(Arc::clone).ok_or_else(|| VaultError::damaged("schema", "it has no version"))?;
    let consent = ConsentBitmaps::new(&schema);
    let info = EpochInfo { epoch: EpochId(0), as_of: Timestamp(i64::MIN) };
    Ok(Dataset {
        number,
        index: Index::new().map_err(|error| VaultError::Io(error.to_string()))?,
        next_ordinal: 0,
        closed: Arc::new(ClosedEpoch::new(info, 0, Vec::new(), consent.clone())),
        consent,
        schema,
        versions,
        dirty: BTreeSet::new(),
        fresh: HashMap::new(),
        gone: RoaringBitmap::new(),
        journal: Journals::absent(),
        folded_seq: 0,
        restarts: BTreeMap::new(),
        fold_bound: 0,
        trouble: None,
        damage: None,
    })
}

fn open_dataset(config: &Config, tree: &KeyTree, number: u32, versions: &[String]) -> Result<Dataset, VaultError> {
    let mut dataset = open_pieces(config, tree, number, versions)?;
    dataset.restarts = read_restarts(tree, number)?;
    Ok(dataset)
}

fn open_pieces(config: &Config, tree: &KeyTree, number: u32, versions: &[String]) -> Result<Dataset, VaultError> {
    let versions: Vec<Arc<Schema>> = versions.iter().map(|toml| described(toml)).collect::<Result<_, _>>()?;
    let name = format!("dataset/{number:08x}");
    if tree.record(&name).is_none() {
        return blank(number, versions);
    }
    let record: DatasetRecord = read_record(tree, &name)?;
    let opened = open_folded(config, tree, blank(number, versions.clone())?, &record);
    opened.or_else(|error| damaged_dataset(number, versions, &record, error))
}

fn described(toml: &str) -> Result<Arc<Schema>, VaultError> {
    let parsed = policy::schema::parse(toml).map_err(|error| VaultError::damaged("schema", error.to_string()))?;
    Ok(Arc::new(parsed))
}

/// Stands for a dataset whose files can't be read: it refuses every call, keeps its frames in the log, and the other
/// datasets serve.
fn damaged_dataset(
    number: u32,
    versions: Vec<Arc<Schema>>,
    record: &DatasetRecord,
    error: VaultError,
) -> Result<Dataset, VaultError> {
    let (part, problem) = match error {
        VaultError::Damaged { part, problem } => (part, problem),
        // A read that failed. It may pass, and is tried again at the next opening.
        VaultError::Io(problem) => ("block".to_owned(), problem),
        error => return Err(error),
    };
    let mut dataset = blank(number, versions)?;
    let info = EpochInfo { epoch: record.epoch, as_of: record.as_of };
    dataset.closed = Arc::new(ClosedEpoch::new(info, 0, Vec::new(), dataset.consent.clone()));
    dataset.folded_seq = record.folded_seq;
    dataset.damage = Some((part, problem));
    Ok(dataset)
}

fn open_folded(
    config: &Config,
    tree: &KeyTree,
    mut dataset: Dataset,
    record: &DatasetRecord,
) -> Result<Dataset, VaultError> {
    let (entries, events) = (tree.entries(), dataset.schema.events.len());
    let count = |bound: u32| bound.div_ceil(BLOCK_SUBJECTS) as usize;
    let mut blocks = vec![BlockPieces::default(); count(record.bound)];
    // What the version that is being built has of its own.
    let mut own = vec![BlockPieces::default(); count(record.folded_bound)];
    let mut kinds: BTreeSet<(u32, PieceKind)> = BTreeSet::new();
    for entry in entries.dataset(dataset.number) {
        let piece = Arc::new(open_piece(config, entry)?);
        let version = match entry.state {
            PieceState::Closed => &mut blocks,
            PieceState::Building => {
                kinds.insert((entry.id.block, entry.id.kind));
                &mut own
            }
        };
        if let Some(pieces) = version.get_mut(entry.id.block as usize) {
            pieces.add(entry.id.kind, piece, events);
        }
    }
    all_there(&blocks)?;
    read_consent(&blocks, &mut dataset.consent)?;
    dataset.consent.prune(record.as_of);
    let info = EpochInfo { epoch: record.epoch, as_of: record.as_of };
    let mut closed = ClosedEpoch::new(info, record.bound, blocks, dataset.consent.clone());
    if !kinds.is_empty() {
        let mut blocks = closed.blocks.clone();
        blocks.resize(own.len(), BlockPieces::default());
        for (block, kind) in kinds {
            let own = own.get(block as usize);
            blocks.get_mut(block as usize).zip(own).into_iter().for_each(|(all, own)| all.take_over(kind, own, events));
        }
        all_there(&blocks)?;
        read_consent(&own, &mut dataset.consent)?;
        closed.building = Some(Building { bound: record.folded_bound, blocks, consent: dataset.consent.clone() });
    }
    dataset.next_ordinal = record.folded_bound;
    dataset.folded_seq = record.folded_seq;
    dataset.fill_index(closed.folded_blocks())?;
    dataset.closed = Arc::new(closed);
    Ok(dataset)
}

/// Checks that each block has its attributes: a scan would not miss the people of one that has not.
fn all_there(blocks: &[BlockPieces]) -> Result<(), VaultError> {
    match blocks.iter().position(|pieces| pieces.attributes.is_none()) {
        Some(block) => Err(VaultError::damaged(format!("block {block}"), "its attributes are missing")),
        None => Ok(()),
    }
}

impl Dataset {
    fn fill_index(&mut self, blocks: &[BlockPieces]) -> Result<(), VaultError> {
        self.index.reserve(self.next_ordinal as usize);
        for (block, pieces) in (0_u32..).zip(blocks) {
            let Some(piece) = &pieces.attributes else { continue };
            let (index, consent) = (&mut self.index, &self.consent);
            read_keys(&self.schema, piece, |position, key| {
                // An erased person's place has no key, unless something of them is held by law.
                let ordinal = block * BLOCK_SUBJECTS + position;
                if !key.is_empty() && !consent.is_erased(ordinal) {
                    index.insert(index.tag(key), ordinal);
                }
            })?;
        }
        Ok(())
    }

    /// Opens the database and compares it with what the log says; makes it again when they differ.
    fn settle_journal(&mut self, config: &Config, entries: &[(u32, Sealed)]) -> Result<(), VaultError> {
        let folder = config.data.join("store");
        config.disk.create_folder(&folder).map_err(io)?;
        let path = folder.join(format!("{:08x}", self.number));
        self.journal = Journals::settle(&path, STORE_CACHE_BYTES, entries)
            .map_err(|error| VaultError::damaged(format!("database of dataset {}", self.number), error.to_string()))?;
        Ok(())
    }

    /// Puts someone into the index, in the place of whoever is gone and had the same key. A place comes twice when an erasure
    /// wrote it again and died.
    fn register(&mut self, key: &[u8], ordinal: u32) {
        let tag = self.index.tag(key);
        match self.index.find(tag) {
            Some(known) if !self.gone.contains(known) => {}
            known => {
                known.into_iter().for_each(|_| self.index.remove(tag));
                self.index.insert(tag, ordinal);
            }
        }
    }

    /// Replays one delta into memory.
    fn replay(&mut self, block: u32, delta: &[u8]) -> Result<(), VaultError> {
        let damaged = || VaultError::damaged(format!("journal of block {block}"), "an entry does not parse");
        let mut reader = Reader::new(delta);
        while let Some((position, entry)) = reader.next_entry().map_err(|_| damaged())? {
            let ordinal = block.checked_mul(BLOCK_SUBJECTS).and_then(|first| first.checked_add(position.into()));
            let ordinal = ordinal.ok_or_else(damaged)?;
            match entry {
                Entry::NewSubject { hidden, key } => {
                    // A place without a key was erased.
                    if key.is_empty() || self.gone.contains(ordinal) {
                        self.consent.erase(ordinal);
                    } else {
                        self.register(&key, ordinal);
                    }
                    self.fresh.insert(ordinal, hidden);
                    self.next_ordinal = self.next_ordinal.max(ordinal.saturating_add(1));
                }
                Entry::Consent { event, .. } => {
                    self.consent.apply(ordinal, &event).map_err(|_| damaged())?;
                }
                Entry::Rights { event, .. } => self.apply_request(ordinal, &event),
                Entry::Profile { .. } | Entry::Event { .. } | Entry::Copied { .. } | Entry::Uncopied { .. } => {}
            }
        }
        debug_assert_eq!(place(block * BLOCK_SUBJECTS).0, block);
        self.dirty.insert(block);
        Ok(())
    }
}

/// Returns the sizes of both trees with a frame's leaves.
fn sizes_after(frame: &Frame) -> Sizes {
    let count = |tree: Tree| frame.leaves.iter().filter(|(of, _)| *of == tree).count() as u64;
    let after = |tree: Tree| frame.before.of(tree).saturating_add(count(tree));
    Sizes { access: after(Tree::Access), subject: after(Tree::Subject) }
}

/// Refuses a write-ahead log that ends before what the permanent log holds: frames that were acknowledged are gone, and
/// with them what they withdrew or charged. `end` is what the replayed frames came to; without one the last frame is asked,
/// if its segment is still there.
fn refuse_lost_frames(wal: &Wal, log: &Log, end: Option<Sizes>) -> Result<(), VaultError> {
    let last = || wal.read_from(wal.next_seq().saturating_sub(1)).ok()?.next()?.ok();
    let Some(end) = end.or_else(|| last().map(|(_, frame)| sizes_after(&frame))) else { return Ok(()) };
    if log.sizes() == end {
        return Ok(());
    }
    Err(VaultError::damaged("write-ahead log", "it ends before what is signed: frames at its end are gone"))
}

/// Walks the journal parts of a frame that count, by what `restarts` says of their dataset: dataset, block, entry.
pub(super) fn journal_parts<'a>(
    seq: u64,
    frame: &'a Frame,
    restarts: impl Fn(u32) -> Option<&'a BTreeMap<u32, u64>>,
) -> Vec<(u32, u32, Sealed)> {
    let journaled = frame.parts.iter().zip(0_u16..).filter(|(part, _)| [JOURNAL, REWRITTEN].contains(&part.kind));
    let counts = |(part, number): (&SealedPart, u16)| {
        let first = restarts(part.dataset).and_then(|restarts| restarts.get(&part.block));
        let is_void = first.map_or(part.kind == REWRITTEN, |first| seq < *first);
        let sealed = || Sealed { seq, part: number, key_id: part.key_id, bytes: part.sealed.clone() };
        (!is_void).then(|| (part.dataset, part.block, sealed()))
    };
    journaled.filter_map(counts).collect()
}

/// Returns the name of the record that says from which frame on a block's entries count.
pub(super) fn restart_name(dataset: u32, block: u32) -> String {
    format!("restart/{dataset:08x}/{block:08x}")
}

fn read_restarts(tree: &KeyTree, dataset: u32) -> Result<BTreeMap<u32, u64>, VaultError> {
    let damaged = || VaultError::damaged("key tree", "a record of a journal does not parse");
    let read = |(name, value): (&str, &[u8])| {
        let block = name.rsplit('/').next().and_then(|block| u32::from_str_radix(block, 16).ok());
        let seq = value.try_into().ok().map(u64::from_le_bytes);
        block.zip(seq).ok_or_else(damaged)
    };
    tree.records(&format!("restart/{dataset:08x}/")).map(read).collect()
}

type Unfolded = HashMap<u32, Vec<(u32, Sealed)>>;

fn apply_frame(
    config: &Config,
    state: &mut State,
    log: &Log,
    keys: &HashMap<u32, Sealer>,
    shared_seq: u64,
    (seq, frame): (u64, &Frame),
    journals: &mut Unfolded,
) -> Result<(), VaultError> {
    log.replay(frame.before, &frame.leaves)?;
    let datasets = &state.datasets;
    let parts = journal_parts(seq, frame, |number| datasets.get(&number).map(|dataset| &dataset.restarts));
    for (number, block, entry) in parts {
        let dataset = state.datasets.get_mut(&number);
        let dataset = dataset.ok_or_else(|| VaultError::damaged("log", "a frame is for an unknown dataset"))?;
        if seq > dataset.folded_seq {
            state.key_uses.note((number, block), entry.key_id, seq);
            if dataset.damage.is_some() {
                dataset.journal.expect(block, &entry);
                continue;
            }
            let delta = open_entry(keys, number, block, &entry)?;
            dataset.replay(block, &delta)?;
            journals.entry(number).or_default().push((block, entry));
        }
    }
    for (part, number) in frame.parts.iter().zip(0_u16..).filter(|(part, _)| part.kind == CHANGE) {
        if seq <= shared_seq {
            continue;
        }
        let damaged = |problem: &str| VaultError::damaged(format!("frame {seq} of the log"), problem);
        let sealer = keys.get(&part.key_id).ok_or_else(|| damaged("its key is gone"))?;
        let mut bytes = part.sealed.clone();
        sealer
            .open(nonce(seq, number), &aad(CHANGE, part.dataset, part.block, part.key_id), &mut bytes)
            .map_err(|_| damaged("a part does not open"))?;
        let change: Change = serde_json::from_slice(&bytes).map_err(|_| damaged("a change does not parse"))?;
        state.shared.apply(&change).map_err(|_| damaged("a change does not apply"))?;
        state.key_uses.note(SHARED_PLACE, part.key_id, seq);
        match &change {
            Change::Dataset { number, schema_toml } => {
                let dataset = open_dataset(config, &state.tree, *number, std::slice::from_ref(schema_toml))?;
                state.numbers.insert(dataset.schema.dataset.clone(), *number);
                state.datasets.insert(*number, dataset);
            }
            Change::Schema { number, schema_toml, .. } => {
                let dataset = state.datasets.get_mut(number).ok_or_else(|| damaged("it is for an unknown dataset"))?;
                dataset.describe(described(schema_toml)?);
            }
            Change::Erase { dataset, people, .. } => {
                let people = decode(people).ok_or_else(|| damaged("a change does not parse"))?;
                if let Some(dataset) = state.datasets.get_mut(dataset) {
                    dataset.gone |= people;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes piece files that the key tree does not name: a crash left them, and their keys do not exist.
fn remove_strays(config: &Config, state: &State) -> Result<(), VaultError> {
    let folder = config.data.join("blocks");
    if !folder.is_dir() {
        return Ok(());
    }
    let entries = state.tree.entries();
    let named: std::collections::HashSet<_> = entries.iter().map(|entry| config.data.join(entry.path())).collect();
    for dataset in std::fs::read_dir(&folder).map_err(io)? {
        remove_strays_of(&config.disk, &dataset.map_err(io)?.path(), &named)?;
    }
    Ok(())
}

fn remove_strays_of(
    disk: &Disk,
    folder: &Path,
    named: &std::collections::HashSet<std::path::PathBuf>,
) -> Result<(), VaultError> {
    for file in std::fs::read_dir(folder).map_err(io)? {
        let path = file.map_err(io)?.path();
        if !named.contains(&path) {
            disk.unlink(&path).map_err(io)?;
        }
    }
    Ok(())
}
