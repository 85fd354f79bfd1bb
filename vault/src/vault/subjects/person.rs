//! One person read in clear: folded rows, then the entries that are not folded yet.

use super::super::epochs::ClosedEpoch;
use super::super::fold_epoch::open_entry;
use super::super::journal_keys::sealers;
use super::super::journals::Sealed;
use super::super::write::place;
use super::super::{Tree, Vault, VaultError};
use crate::fold::data::{BlockData, read_history};
use crate::fold::pieces::BlockPieces;
use crate::fold::subject::read_subject;
use crate::keys::Sealer;
use crate::log::Leaf;
use crate::subjects::{Fulfilled, Happened, HeldConsent};
use policy::schema::Schema;
use std::collections::HashMap;
use std::sync::Arc;

/// What a person's rows are read from, taken under the commit lock.
pub(super) struct Source {
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
    /// Reads the person as a block of one.
    pub fn read(&self) -> Result<BlockData, VaultError> {
        let empty = BlockPieces::default();
        let pieces = self.closed.folded_blocks().get(self.block as usize).unwrap_or(&empty);
        let mut data = read_subject(&self.schema, pieces, self.position)?;
        for entry in &self.entries {
            let delta = open_entry(&self.sealers, self.number, self.block, entry)?;
            let broken = |_| VaultError::damaged(format!("journal of block {}", self.block), "an entry does not parse");
            data.apply_one(&self.schema, &delta, self.position).map_err(broken)?;
        }
        data.events.iter_mut().for_each(crate::fold::data::EventRows::normalize);
        Ok(data)
    }
}

impl Vault {
    /// Pins what a person's rows are read from.
    pub(super) fn source(&self, number: u32, ordinal: u32) -> Result<Source, VaultError> {
        let (block, position) = place(ordinal);
        let state = self.lock()?;
        let entries = self.journal_of(&state, number, block)?;
        let sealers = sealers(&state.tree)?;
        let dataset = state.datasets.get(&number).ok_or_else(|| VaultError::damaged("dataset", "it is gone"))?;
        let (schema, closed) = (Arc::clone(&dataset.schema), Arc::clone(&dataset.closed));
        Ok(Source { number, block, position, schema, closed, entries, sealers })
    }

    /// Reads a person's history, and from the log when each consent was received.
    pub(super) fn history(&self, data: &BlockData) -> Result<History, VaultError> {
        let broken = |_| VaultError::damaged("history", "a line does not parse");
        let mut history = History::default();
        for (leaf, happened) in read_history(&data.consents).map_err(broken)? {
            match happened {
                Happened::Rights(event) => history.requests.push(Fulfilled { event, outcome: leaf }),
                Happened::Consent(event) => {
                    let received = Leaf::parse(&self.log.leaf(Tree::Subject, leaf)?)?.t;
                    history.consents.push(HeldConsent { event, leaf, received });
                }
            }
        }
        history.consents.sort_by_key(|consent| consent.leaf);
        history.requests.sort_by_key(|request| request.outcome);
        Ok(history)
    }
}
