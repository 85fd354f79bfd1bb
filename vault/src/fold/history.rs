//! What a block's people agreed to, took back and asked for, line by line.
//!
//! Consent events are columns: thousands of people share a few purposes, sources and notices, so that a line takes some
//! 15 bytes. Whatever else happens to a person is rare, and kept as a line of JSON.
//!
//! Guarantees: a person's lines read back as they were put in, each with its leaf; after [`History::retain`] neither the
//! lines nor the bytes of them hold anything of those who went, not even a text that only they had.

mod columns;
mod stored;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;

use crate::journal::JournalError;
use crate::subjects::Happened;
use columns::{AT, COLUMNS, Line, POSITION, Texts, line_of};
use policy::consent::ConsentEvent;
use serde::Serialize;
use zeroize::Zeroize;

/// The history of a block. Redacted, wiped on drop.
#[derive(Default, Clone, PartialEq, Eq)]
pub struct History {
    /// Of consent events, one value a line in each column, see [`columns`].
    columns: [Vec<u64>; COLUMNS],
    /// What those of texts point into.
    texts: Texts,
    /// All other lines.
    others: Vec<Other>,
}

/// A line that is no consent event, or one that fits no column.
#[derive(Clone, PartialEq, Eq)]
struct Other {
    position: u16,
    leaf: u64,
    /// A [`Happened`].
    json: Vec<u8>,
}

impl History {
    /// Adds a consent event of the person at a position, and the index of its leaf.
    pub fn consent(&mut self, position: u16, leaf: u64, event: &ConsentEvent) -> Result<(), JournalError> {
        let Some(line) = line_of(&mut self.texts, position, leaf, event) else {
            return self.other(position, leaf, event);
        };
        self.push(line);
        Ok(())
    }

    /// Adds anything else that happened to the person at a position, which reads back as a `Happened`, and the index of its
    /// leaf.
    pub fn other(&mut self, position: u16, leaf: u64, event: &impl Serialize) -> Result<(), JournalError> {
        let json = serde_json::to_vec(event).map_err(|_| JournalError)?;
        // As long as one may be that is stored.
        u16::try_from(json.len()).map_err(|_| JournalError)?;
        self.others.push(Other { position, leaf, json });
        Ok(())
    }

    fn push(&mut self, line: Line) {
        self.columns.iter_mut().zip(line).for_each(|(column, value)| column.push(value));
    }

    /// Keeps the lines of some positions, and says whether any went.
    pub fn retain(&mut self, keep: impl Fn(u16) -> bool) -> bool {
        let kept: Vec<bool> = self.positions().map(&keep).collect();
        let before = kept.len().saturating_add(self.others.len());
        for column in &mut self.columns {
            let mut stays = kept.iter();
            column.retain(|_| stays.next().copied().unwrap_or_default());
        }
        self.others.retain(|other| keep(other.position));
        self.len() < before
    }

    /// Returns everything of one position, as the history of a block of one.
    pub fn of_one(mut self, position: u16) -> Self {
        self.retain(|of| of == position);
        if let Some(positions) = self.columns.get_mut(POSITION) {
            positions.fill(0);
        }
        self.others.iter_mut().for_each(|other| other.position = 0);
        self
    }

    /// Says whether it has a line of any of some positions.
    pub fn is_of(&self, which: impl Fn(u16) -> bool) -> bool {
        self.positions().any(&which) || self.others.iter().any(|other| which(other.position))
    }

    /// Counts its lines.
    pub fn len(&self) -> usize {
        self.positions().count().saturating_add(self.others.len())
    }

    /// Says whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads every line: its leaf, and what happened. Positions are left out.
    pub(crate) fn happened(&self) -> Result<Vec<(u64, Happened)>, JournalError> {
        let mut all = Vec::with_capacity(self.len());
        for row in 0..self.positions().count() {
            let mut line = [0; COLUMNS];
            for (slot, column) in line.iter_mut().zip(&self.columns) {
                *slot = column.get(row).copied().ok_or(JournalError)?;
            }
            let (leaf, event) = self.texts.event_of(&line).ok_or(JournalError)?;
            all.push((leaf, Happened::Consent(event)));
        }
        for Other { leaf, json, .. } in &self.others {
            all.push((*leaf, serde_json::from_slice(json).map_err(|_| JournalError)?));
        }
        Ok(all)
    }

    fn positions(&self) -> impl Iterator<Item = u16> {
        let positions = self.columns.get(POSITION).into_iter().flatten();
        positions.map(|position| u16::try_from(*position).unwrap_or(u16::MAX))
    }
}

impl Drop for History {
    fn drop(&mut self) {
        // Positions and leaves say that somebody decided, times when; the rest is words that many share.
        self.columns.iter_mut().take(AT + 1).for_each(Zeroize::zeroize);
        self.others.iter_mut().for_each(|other| other.json.zeroize());
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("History(..)")
    }
}
