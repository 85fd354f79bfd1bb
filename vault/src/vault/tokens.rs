//! Keys that sign the gateway's tokens, in the states of a published key set.
//!
//! A new key is published first and signs only when nobody can have an older copy of the set; the one before it is kept
//! until every token that it signed has expired. The vault keeps the seeds and their states; the gateway signs.

use super::state::State;
use super::write::refuse;
use super::{Vault, VaultError};
use crate::keys::{Changes, KeyState, KeyTree, SecretKey};
use crate::log::{Kind, Leaf, Word};
use crate::rotation::{Rotated, TOKEN_NOTICE_SECONDS, TOKEN_OVERLAP_SECONDS, TokenKey};
use policy::decide::Reason;
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The record that says which keys there are.
const TOKENS: &str = "tokens";

/// One key, as the record has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    number: u32,
    state: Stored,
    /// When it takes its next step; none for the one that signs.
    next: Option<Timestamp>,
}

/// A state, by its written name. Keys that are destroyed have no line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stored {
    Spare,
    Active,
    Superseded,
}

impl From<Stored> for KeyState {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Spare => Self::Spare,
            Stored::Active => Self::Active,
            Stored::Superseded => Self::Superseded,
        }
    }
}

fn name(number: u32) -> String {
    format!("token/{number}")
}

/// Returns the first key of a new vault.
pub(super) fn first() -> Result<Changes, VaultError> {
    let line = Line { number: 1, state: Stored::Active, next: None };
    let put_secrets = vec![(name(1), fresh()?)];
    Ok(Changes { put_secrets, put_records: vec![record(&[line])?], ..Changes::default() })
}

fn fresh() -> Result<SecretKey, VaultError> {
    SecretKey::random().map_err(|error| VaultError::Io(error.to_string()))
}

fn record(lines: &[Line]) -> Result<(String, Vec<u8>), VaultError> {
    let bytes = serde_json::to_vec(lines).map_err(|_| VaultError::damaged("record", "it can't be written"))?;
    Ok((TOKENS.to_owned(), bytes))
}

fn lines(tree: &KeyTree) -> Result<Vec<Line>, VaultError> {
    super::recover::read_record(tree, TOKENS)
}

fn after(now: Timestamp, seconds: i64) -> Option<Timestamp> {
    Some(Timestamp(now.0.saturating_add(seconds.saturating_mul(1_000_000))))
}

/// Returns the keys, each with its number and state.
pub(super) fn states(state: &State) -> Result<Vec<(u32, KeyState)>, VaultError> {
    Ok(lines(&state.tree)?.iter().map(|line| (line.number, line.state.into())).collect())
}

impl Vault {
    /// Returns the keys that sign tokens, signed them, or will.
    pub fn token_keys(&self) -> Result<Vec<TokenKey>, VaultError> {
        let state = self.state.lock();
        let key = |line: Line| {
            let seed = state.tree.secret(&name(line.number));
            let seed = seed.ok_or_else(|| VaultError::damaged("key tree", "a token signing seed is gone"))?;
            Ok(TokenKey { number: line.number, state: line.state.into(), seed })
        };
        lines(&state.tree)?.into_iter().map(key).collect()
    }

    /// Draws the next key, which signs when whoever keeps a copy of the published keys has fetched it.
    pub(super) fn rotate_tokens(&self, now: Timestamp) -> Result<Rotated, VaultError> {
        let mut state = self.lock()?;
        let mut lines = lines(&state.tree)?;
        if lines.iter().any(|line| line.state == Stored::Spare) {
            return refuse(
                Reason::RequestInvalid,
                "the next key for tokens is published already, and does not sign yet",
                "wait five minutes",
            );
        }
        let number = lines.iter().map(|line| line.number).max().unwrap_or(0).saturating_add(1);
        lines.push(Line { number, state: Stored::Spare, next: after(now, TOKEN_NOTICE_SECONDS) });
        let put_secrets = vec![(name(number), fresh()?)];
        state.tree.commit(Changes { put_secrets, put_records: vec![record(&lines)?], ..Changes::default() })?;
        Ok(Rotated { keys: 1, bytes: 0, generation: state.tree.generation() })
    }

    /// Lets keys take the steps that are due: the next one signs, those whose tokens have expired go. Logged before.
    pub(super) fn step_tokens(&self, now: Timestamp) -> Result<(), VaultError> {
        let taken = steps(&lines(&self.lock()?.tree)?, now)?;
        for what in
            [taken.signs.then_some("rotated keys of tokens"), taken.expired().then_some("destroy keys of tokens")]
        {
            let Some(what) = what else { continue };
            self.log_change(Leaf { what: Word::new(what).ok(), ..Leaf::new(Kind::Key, now) }, Vec::new())?;
        }
        if !taken.signs && !taken.expired() {
            return Ok(());
        }
        let mut state = self.lock()?;
        // Nobody else takes steps, but a key may have been drawn meanwhile.
        let Steps { lines, gone, .. } = steps(&lines(&state.tree)?, now)?;
        let remove_secrets = gone.into_iter().map(name).collect();
        state.tree.commit(Changes { remove_secrets, put_records: vec![record(&lines)?], ..Changes::default() })?;
        Ok(())
    }
}

/// What is due.
struct Steps {
    lines: Vec<Line>,
    /// Numbers of keys that are destroyed.
    gone: Vec<u32>,
    /// Whether another key signs from now on.
    signs: bool,
}

impl Steps {
    fn expired(&self) -> bool {
        !self.gone.is_empty()
    }
}

fn steps(lines: &[Line], now: Timestamp) -> Result<Steps, VaultError> {
    let due = |line: &Line| line.next.is_some_and(|next| next <= now);
    let signs = lines.iter().any(|line| line.state == Stored::Spare && due(line));
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for line in lines {
        let from = KeyState::from(line.state);
        let to = match line.state {
            Stored::Spare if due(line) => KeyState::Active,
            Stored::Active if signs => KeyState::Superseded,
            Stored::Superseded if due(line) => KeyState::Destroyed,
            _ => {
                kept.push(line.clone());
                continue;
            }
        };
        let to = from.advance(to).map_err(|error| VaultError::damaged("token key", error.to_string()))?;
        let number = line.number;
        match to {
            KeyState::Destroyed | KeyState::Spare => gone.push(number),
            KeyState::Active => kept.push(Line { number, state: Stored::Active, next: None }),
            KeyState::Superseded => {
                kept.push(Line { number, state: Stored::Superseded, next: after(now, TOKEN_OVERLAP_SECONDS) });
            }
        }
    }
    Ok(Steps { lines: kept, gone, signs })
}
