//! One person read in clear: folded rows, then the entries that are not folded yet. Folded events stay in their pieces:
//! there may be more of them than memory takes.

use super::super::epochs::ClosedEpoch;
use super::super::fold_epoch::open_entry;
use super::super::journal_keys::sealers;
use super::super::journals::Sealed;
use super::super::state::State;
use super::super::write::{NOTICE, place};
use super::super::{Tree, Vault, VaultError};
use crate::blocks::Piece;
use crate::fold::data::{BlockData, EventRows};
use crate::fold::pieces::BlockPieces;
use crate::fold::subject::{read_event_ids, read_subject};
use crate::keys::Sealer;
use crate::log::{Leaf, Word};
use crate::subjects::{Fulfilled, Happened, HeldConsent};
use policy::schema::{EventTypeId, Schema};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

/// What a person's rows are read from, taken under the commit lock.
pub(in crate::vault) struct Source {
    number: u32,
    block: u32,
    position: u16,
    pub schema: Arc<Schema>,
    closed: Arc<ClosedEpoch>,
    /// Entries of the person's block that are not folded, in frame order.
    entries: Vec<Sealed>,
    sealers: HashMap<u32, Sealer>,
}

/// What a person agreed to, took back and asked for, in the order of the log.
#[derive(Default)]
pub(super) struct History {
    pub consents: Vec<HeldConsent>,
    pub requests: Vec<Fulfilled>,
}

impl Source {
    /// Reads the person as a block of one; of events only the person's own that are not folded, oldest first. An id that is
    /// among the folded ones is left out, as folding leaves it out.
    pub fn read(&self) -> Result<BlockData, VaultError> {
        let mut data = read_subject(&self.schema, self.pieces(), self.position)?;
        for entry in &self.entries {
            let delta = open_entry(&self.sealers, self.number, self.block, entry)?;
            let broken = |_| VaultError::damaged(format!("journal of block {}", self.block), "an entry does not parse");
            data.apply_one(&self.schema, &delta, self.position).map_err(broken)?;
        }
        data.events.iter_mut().for_each(EventRows::remove_copies);
        for (rows, parts) in data.events.iter_mut().zip(&self.pieces().events).filter(|(rows, _)| rows.changed) {
            let waiting: HashSet<u64> = rows.id.iter().copied().collect();
            let mut folded = HashSet::new();
            read_event_ids(parts, self.position, |id| {
                if waiting.contains(&id) {
                    folded.insert(id);
                }
            })?;
            rows.remove_ids(&folded);
        }
        data.events.iter_mut().for_each(EventRows::normalize);
        Ok(data)
    }

    /// Returns the version that it reads.
    pub fn version(&self) -> Version {
        Version { closed: Arc::downgrade(&self.closed), last: self.entries.last().map(|entry| entry.seq) }
    }

    /// Returns the person's place in the version that it reads.
    pub fn folded(&self) -> Folded {
        Folded { closed: Arc::clone(&self.closed), block: self.block, position: self.position }
    }

    fn pieces(&self) -> &BlockPieces {
        pieces(&self.closed, self.block)
    }
}

fn pieces(closed: &ClosedEpoch, block: u32) -> &BlockPieces {
    static EMPTY: BlockPieces =
        BlockPieces { attributes: None, events: Vec::new(), consents: None, consent_state: None };
    closed.folded_blocks().get(block as usize).unwrap_or(&EMPTY)
}

/// One person's place in a version, which an erasure waits for: hold it no longer than it is read.
pub(in crate::vault) struct Folded {
    closed: Arc<ClosedEpoch>,
    block: u32,
    position: u16,
}

impl Folded {
    /// Finds a person's place in a version.
    pub fn of(closed: &Arc<ClosedEpoch>, ordinal: u32) -> Self {
        let (block, position) = place(ordinal);
        Self { closed: Arc::clone(closed), block, position }
    }

    /// Names the version; whether something of the block is not folded is left out.
    pub fn version(&self) -> Version {
        Version { closed: Arc::downgrade(&self.closed), last: None }
    }

    /// Returns the pieces with events of a type, and the person's position in them.
    pub fn events(&self, event: EventTypeId) -> (&[Arc<Piece>], u16) {
        let parts = pieces(&self.closed, self.block).events.get(usize::from(event.0));
        (parts.map_or(&[], Vec::as_slice), self.position)
    }
}

/// Names what was read, and keeps nothing of it.
pub(in crate::vault) struct Version {
    closed: Weak<ClosedEpoch>,
    /// The last frame with an entry of the person's block that is not folded.
    last: Option<u64>,
}

impl Version {
    /// Says whether it has the same pieces as another.
    pub fn same_pieces(&self, other: &Self) -> bool {
        Weak::ptr_eq(&self.closed, &other.closed)
    }

    /// Says whether everything in it is as in another.
    pub fn same(&self, other: &Self) -> bool {
        self.same_pieces(other) && self.last == other.last
    }
}

impl Vault {
    /// Pins what a person's rows are read from.
    pub(super) fn source(&self, number: u32, ordinal: u32) -> Result<Source, VaultError> {
        let state = self.lock()?;
        self.source_in(&state, number, ordinal)
    }

    /// Pins what a person's rows are read from, under the lock that the caller holds.
    pub(in crate::vault) fn source_in(&self, state: &State, number: u32, ordinal: u32) -> Result<Source, VaultError> {
        let (block, position) = place(ordinal);
        let entries = self.journal_of(state, number, block)?;
        let sealers = sealers(&state.tree)?;
        let dataset = state.datasets.get(&number).ok_or_else(|| VaultError::damaged("dataset", "it is gone"))?;
        let (schema, closed) = (Arc::clone(&dataset.schema), Arc::clone(&dataset.closed));
        Ok(Source { number, block, position, schema, closed, entries, sealers })
    }

    /// Reads a person's history, and from the log when each consent was received.
    pub(super) fn history(&self, data: &BlockData) -> Result<History, VaultError> {
        let broken = |_| VaultError::damaged("history", "a line does not parse");
        let mut history = History::default();
        for (leaf, happened) in data.history.happened().map_err(broken)? {
            match happened {
                Happened::Rights(event) => history.requests.push(Fulfilled { event, outcome: leaf }),
                Happened::Consent(event) => {
                    let said = Leaf::parse(&self.log.leaf(Tree::Subject, leaf)?)?;
                    // A version that is no word is a hash in the leaf.
                    let version = |said: &Word| said.as_str().strip_prefix(NOTICE).unwrap_or(said.as_str()).to_owned();
                    let in_force = said.object.as_ref().map(version);
                    history.consents.push(HeldConsent { event, leaf, received: said.t, in_force });
                }
            }
        }
        history.consents.sort_by_key(|consent| consent.leaf);
        history.requests.sort_by_key(|request| request.outcome);
        Ok(history)
    }
}
