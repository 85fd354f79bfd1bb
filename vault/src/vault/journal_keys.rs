//! Keys of the journals: one for each block that is written to, drawn anew at every opening of the vault.
//!
//! A block's entries, in the log and in the database alike, are sealed under its own key, so that erasing someone destroys
//! what old copies hold of one block and nothing else. Keys are in the key tree before anything is sealed under them: a
//! stock of unused ones is kept there, and a block takes one at its first write.
//!
//! Guarantees: a number names one key for ever, since a spare with the highest number always exists; a key is fresh at every
//! opening, so that a frame number used again after a crash is no second use of a nonce. A key seals at most
//! [`limits::JOURNAL`]: a part for which it has no room is sealed under a fresh one.

use super::VaultError;
use super::state::SHARED;
use crate::keys::limits::{self, Limit};
use crate::keys::{Changes, KeyState, KeyTree, Sealer, SecretKey};
use std::collections::{BTreeSet, HashMap, VecDeque};

/// Spare keys drawn at a time: 32 blocks are a quarter of a million subjects.
const STOCK: usize = 32;

/// A block of a dataset, by their numbers.
pub(super) type Place = (u32, u32);

/// Where changes of the gateway's own state are journaled.
pub(super) const SHARED_PLACE: Place = (SHARED, 0);

/// Keys for the stock, and the same as secrets of the key tree.
type Drawn = (VecDeque<(u32, Sealer)>, Vec<(String, SecretKey)>);

/// The keys of this opening.
#[derive(Debug)]
pub(super) struct JournalKeys {
    assigned: HashMap<Place, (u32, Sealer)>,
    spare: VecDeque<(u32, Sealer)>,
    next: u32,
    /// What a key may seal.
    limit: Limit,
}

pub(super) fn journal_name(number: u32) -> String {
    format!("journal/{number}")
}

pub(super) fn number_of(name: &str) -> Option<u32> {
    name.rsplit('/').next()?.parse().ok()
}

impl JournalKeys {
    /// Draws the first stock of an opening.
    pub fn begin(tree: &mut KeyTree) -> Result<Self, VaultError> {
        let last = tree.secrets("journal/").filter_map(|(name, _)| number_of(name)).max().unwrap_or(0);
        let (assigned, spare) = (HashMap::new(), VecDeque::new());
        let mut keys = Self { assigned, spare, next: last.saturating_add(1), limit: limits::JOURNAL };
        let (stock, put_secrets) = keys.draw(STOCK)?;
        tree.commit(Changes { put_secrets, ..Changes::default() })?;
        keys.spare = stock;
        Ok(keys)
    }

    /// Draws more keys for the stock when half of it is gone, so that a write seldom has to.
    pub fn stock(&mut self, tree: &mut KeyTree) -> Result<(), VaultError> {
        if self.spare.len() >= STOCK / 2 {
            return Ok(());
        }
        let (stock, put_secrets) = self.draw(STOCK)?;
        tree.commit(Changes { put_secrets, ..Changes::default() })?;
        self.spare.extend(stock);
        Ok(())
    }

    /// Draws keys for the stock, to which they belong once the returned secrets are in the key tree.
    fn draw(&mut self, count: usize) -> Result<Drawn, VaultError> {
        let (mut stock, mut secrets) = (VecDeque::with_capacity(count), Vec::with_capacity(count));
        for _ in 0..count {
            let key = SecretKey::random().map_err(|error| VaultError::Io(error.to_string()))?;
            let sealer =
                Sealer::new(&key, self.limit).map_err(|_| VaultError::damaged("journal key", "it can't be used"))?;
            let number = self.next;
            self.next = number.checked_add(1).ok_or_else(|| VaultError::Io("journal keys are used up".into()))?;
            stock.push_back((number, sealer));
            secrets.push((journal_name(number), key));
        }
        Ok((stock, secrets))
    }

    /// Returns a place's key for a part of so many bytes. Takes a spare one at the first use, and when the key has no room
    /// for the part. Refills the stock, which is a commit of the key tree, when only the last is left.
    pub fn of(&mut self, tree: &mut KeyTree, place: Place, bytes: usize) -> Result<(u32, &Sealer), VaultError> {
        if !self.assigned.get(&place).is_some_and(|(_, sealer)| sealer.has_room(bytes)) {
            if self.spare.len() <= 1 {
                let (stock, put_secrets) = self.draw(STOCK.max(self.assigned.len()))?;
                tree.commit(Changes { put_secrets, ..Changes::default() })?;
                self.spare.extend(stock);
            }
            let taken = self.spare.pop_front().ok_or_else(|| VaultError::damaged("journal key", "none is left"))?;
            self.assigned.insert(place, taken);
        }
        let (number, sealer) =
            self.assigned.get(&place).ok_or_else(|| VaultError::damaged("journal key", "it is gone"))?;
        Ok((*number, sealer))
    }

    /// Replaces the stock, so that every place takes a fresh key at its next write: `changes` are made in the same commit,
    /// in which the keys go that no frame of `needed` is under. Returns the first number of the new stock.
    pub fn renew(
        &mut self,
        tree: &mut KeyTree,
        mut needed: BTreeSet<u32>,
        changes: impl FnOnce(u32) -> Changes,
    ) -> Result<u32, VaultError> {
        let first = self.next;
        let (stock, secrets) = self.draw(STOCK.max(self.assigned.len()))?;
        needed.extend(stock.iter().map(|(number, _)| *number));
        let mut changes = changes(first);
        changes.put_secrets.extend(secrets);
        changes.remove_secrets.extend(unneeded(tree, needed));
        tree.commit(changes)?;
        self.spare = stock;
        self.assigned.clear();
        Ok(first)
    }

    /// Lets a place take another key at its next write.
    pub fn retire(&mut self, place: Place) {
        self.assigned.remove(&place);
    }

    /// Returns what a key in the tree is for.
    pub fn state_of(&self, number: u32) -> KeyState {
        if self.assigned.values().any(|(of, _)| *of == number) {
            KeyState::Active
        } else if self.spare.iter().any(|(of, _)| *of == number) {
            KeyState::Spare
        } else {
            KeyState::Superseded
        }
    }

    /// Lowers what every key may seal.
    #[cfg(test)]
    pub fn lower(&mut self, limit: Limit) {
        self.limit = limit;
        self.spare.iter().chain(self.assigned.values()).for_each(|(_, sealer)| sealer.lower(limit));
    }

    /// Returns the numbers that are in use or in stock.
    pub fn numbers(&self) -> BTreeSet<u32> {
        self.assigned.values().map(|(number, _)| *number).chain(self.spare.iter().map(|(number, _)| *number)).collect()
    }
}

/// Names the keys in the tree that are none of those needed.
pub(super) fn unneeded(tree: &KeyTree, needed: BTreeSet<u32>) -> Vec<String> {
    let needed: BTreeSet<String> = needed.into_iter().map(journal_name).collect();
    let all = tree.secrets("journal/").map(|(name, _)| name.to_owned());
    all.filter(|name| !needed.contains(name)).collect()
}

/// Returns an opener for every journal key that still exists.
pub(super) fn sealers(tree: &KeyTree) -> Result<HashMap<u32, Sealer>, VaultError> {
    let mut all = HashMap::new();
    for (name, key) in tree.secrets("journal/") {
        let number = number_of(name).ok_or_else(|| VaultError::damaged("key tree", "a journal key has no number"))?;
        let sealer = Sealer::opener(key).map_err(|_| VaultError::damaged("journal key", "it can't be used"))?;
        all.insert(number, sealer);
    }
    Ok(all)
}
