//! Keys of the journals: one for each block that is written to, drawn anew at every opening of the vault.
//!
//! A block's entries, in the log and in the database alike, are sealed under its own key, so that erasing someone destroys
//! what old copies hold of one block and nothing else. Keys are in the key tree before anything is sealed under them: a
//! stock of unused ones is kept there, and a block takes one at its first write.
//!
//! Guarantees: a number names one key for ever, since a spare with the highest number always exists; a key is fresh at every
//! opening, so that a frame number used again after a crash is no second use of a nonce.

use super::VaultError;
use super::state::SHARED;
use crate::keys::{Changes, KeyTree, Sealer, SecretKey};
use std::collections::{BTreeSet, HashMap, VecDeque};

/// Spare keys drawn at a time: 32 blocks are a quarter of a million subjects.
const STOCK: usize = 32;

/// A block of a dataset, by their numbers.
pub(super) type Place = (u32, u32);

/// Where changes of the gateway's own state are journaled.
pub(super) const SHARED_PLACE: Place = (SHARED, 0);

/// The keys of this opening.
#[derive(Debug)]
pub(super) struct JournalKeys {
    assigned: HashMap<Place, (u32, Sealer)>,
    spare: VecDeque<(u32, Sealer)>,
    next: u32,
}

pub(super) fn journal_name(number: u32) -> String {
    format!("journal/{number}")
}

fn number_of(name: &str) -> Option<u32> {
    name.rsplit('/').next()?.parse().ok()
}

impl JournalKeys {
    /// Draws the first stock of an opening.
    pub fn begin(tree: &mut KeyTree) -> Result<Self, VaultError> {
        let last = tree.secrets("journal/").filter_map(|(name, _)| number_of(name)).max().unwrap_or(0);
        let mut keys = Self { assigned: HashMap::new(), spare: VecDeque::new(), next: last.saturating_add(1) };
        let put_secrets = keys.draw(STOCK)?;
        tree.commit(Changes { put_secrets, ..Changes::default() })?;
        Ok(keys)
    }

    /// Draws keys that count from the next commit of the returned secrets.
    fn draw(&mut self, count: usize) -> Result<Vec<(String, SecretKey)>, VaultError> {
        let mut drawn = Vec::with_capacity(count);
        for _ in 0..count {
            let key = SecretKey::random().map_err(|error| VaultError::Io(error.to_string()))?;
            let sealer = Sealer::new(&key).map_err(|_| VaultError::damaged("journal key", "it can't be used"))?;
            let number = self.next;
            self.next = number.checked_add(1).ok_or_else(|| VaultError::Io("journal keys are used up".into()))?;
            self.spare.push_back((number, sealer));
            drawn.push((journal_name(number), key));
        }
        Ok(drawn)
    }

    /// Returns a place's key, and takes a spare one at its first use. Refills the stock, which is a commit of the key tree,
    /// when only the last is left.
    pub fn of(&mut self, tree: &mut KeyTree, place: Place) -> Result<(u32, &Sealer), VaultError> {
        if !self.assigned.contains_key(&place) {
            if self.spare.len() <= 1 {
                let put_secrets = self.draw(STOCK.max(self.assigned.len()))?;
                tree.commit(Changes { put_secrets, ..Changes::default() })?;
            }
            let taken = self.spare.pop_front().ok_or_else(|| VaultError::damaged("journal key", "none is left"))?;
            self.assigned.insert(place, taken);
        }
        let (number, sealer) =
            self.assigned.get(&place).ok_or_else(|| VaultError::damaged("journal key", "it is gone"))?;
        Ok((*number, sealer))
    }

    /// Lets a place take another key at its next write.
    pub fn retire(&mut self, place: Place) {
        self.assigned.remove(&place);
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

/// Returns a sealer for every journal key that still exists.
pub(super) fn sealers(tree: &KeyTree) -> Result<HashMap<u32, Sealer>, VaultError> {
    let mut all = HashMap::new();
    for (name, key) in tree.secrets("journal/") {
        let number = number_of(name).ok_or_else(|| VaultError::damaged("key tree", "a journal key has no number"))?;
        let sealer = Sealer::new(key).map_err(|_| VaultError::damaged("journal key", "it can't be used"))?;
        all.insert(number, sealer);
    }
    Ok(all)
}
