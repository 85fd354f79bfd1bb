//! Pieces: what the tree's block pages hold, as a cheap snapshot.

use super::BLOCKS_A_PAGE;
use super::codec::{Reader, Writer};
use super::secret::SecretKey;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What a piece holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PieceKind {
    /// The attribute columns of a block, hidden column included.
    Attributes,
    /// Events of one type, by its id in the schema.
    Events(u16),
    /// Other state of the vault: consent, answers, catalog, ledger, subjects; the numbers are the writer's.
    State(u16),
}

/// Names a piece, in every version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceId {
    /// The dataset's number.
    pub dataset: u32,
    /// The block's number within the dataset.
    pub block: u32,
    /// What it holds.
    pub kind: PieceKind,
    /// Which of several, from 0.
    pub part: u16,
}

/// Which of the two live versions of a block a piece belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PieceState {
    /// The last closed epoch's.
    Closed,
    /// The one being folded.
    Building,
}

/// One version of a piece: where it is and what opens it. The two states may name the same file and key.
#[derive(Debug, Clone)]
pub struct PieceEntry {
    /// Which piece.
    pub id: PieceId,
    /// Its version, growing with every rewrite.
    pub version: u64,
    /// The epoch it was folded for.
    pub epoch: u32,
    /// Which live version of the block it belongs to.
    pub state: PieceState,
    /// The key it is sealed under, fresh for every attempt at a version.
    pub key: SecretKey,
    /// The number of its file, see [`PieceEntry::path`].
    pub file: u64,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// Length of the file in bytes.
    pub bytes: u64,
}

impl PieceEntry {
    /// Returns the file's path relative to the data folder.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("blocks/{:08x}/{:016x}.piece", self.id.dataset, self.file))
    }

    /// The page group its block belongs to.
    pub(super) fn group(&self) -> Group {
        group_of(self.id.dataset, self.id.block)
    }

    /// Bytes of an encoded entry.
    pub(super) const ENCODED: usize = 4 + 1 + 2 + 2 + 1 + 8 + 4 + 32 + 8 + 32 + 8;

    /// Writes all but the dataset, which the page's id carries.
    pub(super) fn encode(&self, to: &mut Writer) {
        let (kind, number) = match self.id.kind {
            PieceKind::Attributes => (0u8, 0u16),
            PieceKind::Events(event) => (1, event),
            PieceKind::State(state) => (2, state),
        };
        let state = match self.state {
            PieceState::Closed => 0u8,
            PieceState::Building => 1,
        };
        to.put(&self.id.block.to_le_bytes()).put(&[kind]).put(&number.to_le_bytes());
        to.put(&self.id.part.to_le_bytes()).put(&[state]).put(&self.version.to_le_bytes());
        to.put(&self.epoch.to_le_bytes()).put(self.key.expose()).put(&self.file.to_le_bytes());
        to.put(&self.sha256).put(&self.bytes.to_le_bytes());
    }

    pub(super) fn decode(dataset: u32, from: &mut Reader<'_>) -> Option<Self> {
        let block = from.u32()?;
        let kind = match (from.u8()?, from.u16()?) {
            (0, 0) => PieceKind::Attributes,
            (1, event) => PieceKind::Events(event),
            (2, state) => PieceKind::State(state),
            _ => return None,
        };
        let id = PieceId { dataset, block, kind, part: from.u16()? };
        let state = match from.u8()? {
            0 => PieceState::Closed,
            1 => PieceState::Building,
            _ => return None,
        };
        Some(Self {
            id,
            state,
            version: from.u64()?,
            epoch: from.u32()?,
            key: SecretKey::from_bytes(from.take()?),
            file: from.u64()?,
            sha256: from.take()?,
            bytes: from.u64()?,
        })
    }
}

/// (dataset, number of the run of blocks): what shares a page.
pub(super) type Group = (u32, u32);

/// The entries of one page.
pub(super) type GroupEntries = BTreeMap<(PieceId, PieceState), PieceEntry>;

pub(super) fn group_of(dataset: u32, block: u32) -> Group {
    (dataset, block / BLOCKS_A_PAGE)
}

/// A snapshot of all pieces of one generation. Cloning costs a counter; a snapshot keeps its keys in memory until dropped.
#[derive(Debug, Clone, Default)]
pub struct Entries {
    pub(super) groups: Arc<BTreeMap<Group, Arc<GroupEntries>>>,
}

impl Entries {
    /// Returns one piece of one state.
    pub fn get(&self, id: &PieceId, state: PieceState) -> Option<&PieceEntry> {
        self.groups.get(&group_of(id.dataset, id.block))?.get(&(*id, state))
    }

    /// Walks all pieces, by dataset, block, kind, part and state.
    pub fn iter(&self) -> impl Iterator<Item = &PieceEntry> {
        self.groups.values().flat_map(|group| group.values())
    }

    /// Walks the pieces of a dataset.
    pub fn dataset(&self, dataset: u32) -> impl Iterator<Item = &PieceEntry> {
        self.groups.range((dataset, 0)..=(dataset, u32::MAX)).flat_map(|(_, group)| group.values())
    }

    /// Walks the pieces of a block in both states.
    pub fn of_block(&self, dataset: u32, block: u32) -> impl Iterator<Item = &PieceEntry> {
        [PieceState::Closed, PieceState::Building].into_iter().flat_map(move |state| self.block(dataset, block, state))
    }

    /// Walks the pieces of a block in one state.
    pub fn block(&self, dataset: u32, block: u32, state: PieceState) -> impl Iterator<Item = &PieceEntry> {
        let first = PieceId { dataset, block, kind: PieceKind::Attributes, part: 0 };
        self.groups
            .get(&group_of(dataset, block))
            .into_iter()
            .flat_map(move |group| group.range((first, PieceState::Closed)..))
            .map(|(_, entry)| entry)
            .take_while(move |entry| entry.id.block == block)
            .filter(move |entry| entry.state == state)
    }

    /// Counts the pieces.
    pub fn len(&self) -> usize {
        self.groups.values().map(|group| group.len()).sum()
    }

    /// Says whether there is none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}
