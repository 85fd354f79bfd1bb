//! Lists the keys that exist.

use super::journal_keys::number_of;
use super::log_key::NEXT_SEED;
use super::recover::SIGNING_SEED;
use super::state::State;
use super::tokens;
use super::write::require;
use super::{Vault, VaultError};
use crate::rotation::{Age, Inventory, KeyKind, KeyLine, KeyState};
use policy::permit::{Permit, Verb};
use std::collections::BTreeMap;

/// Counts keys by kind and state.
#[derive(Default)]
struct Counts(BTreeMap<(KeyKind, KeyState), (u64, Option<Age>)>);

impl Counts {
    fn add(&mut self, kind: KeyKind, state: KeyState, age: Option<Age>) {
        let (count, oldest) = self.0.entry((kind, state)).or_default();
        *count += 1;
        *oldest = oldest.map_or(age, |oldest| age.map(|age| age.min(oldest)));
    }

    fn lines(self) -> Vec<KeyLine> {
        let line = |((kind, state), (count, oldest))| KeyLine { kind, state, count, oldest };
        self.0.into_iter().map(line).collect()
    }
}

impl Vault {
    /// Lists the keys that exist, by kind and state. Shows none of them.
    pub fn keys(&self, permit: &Permit) -> Result<Inventory, VaultError> {
        require(permit, &[Verb::Maintain, Verb::ManageDataset])?;
        let state = self.lock()?;
        let (generation, locked) = (state.tree.generation(), state.tree.is_locked());
        Ok(Inventory { lines: lines(&state)?, generation, locked })
    }
}

fn lines(state: &State) -> Result<Vec<KeyLine>, VaultError> {
    let mut all = Counts::default();
    let tree = &state.tree;
    all.add(KeyKind::Root, KeyState::Active, Some(Age::Generation(tree.generation())));
    tree.page_generations().for_each(|at| all.add(KeyKind::Page, KeyState::Active, Some(Age::Generation(at))));
    for entry in tree.entries().iter() {
        all.add(KeyKind::Piece, KeyState::Active, Some(Age::Epoch(entry.epoch)));
    }
    for number in tree.secrets("journal/").filter_map(|(name, _)| number_of(name)) {
        all.add(KeyKind::Journal, state.journal.state_of(number), Some(Age::Number(number.into())));
    }
    for (name, _) in tree.secrets("pseudonym/") {
        let epoch = name.rsplit('/').next().and_then(|epoch| epoch.parse().ok());
        all.add(KeyKind::Pseudonym, KeyState::Active, epoch.map(Age::Epoch));
    }
    for (number, state) in tokens::states(state)? {
        all.add(KeyKind::Token, state, Some(Age::Number(number.into())));
    }
    for (name, state) in [(SIGNING_SEED, KeyState::Active), (NEXT_SEED, KeyState::Spare)] {
        tree.secret(name).iter().for_each(|_| all.add(KeyKind::Log, state, None));
    }
    Ok(all.lines())
}
