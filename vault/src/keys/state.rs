//! The life of a key, in four states and one direction.
//!
//! ```text
//! spare -> active -> superseded -> destroyed
//!     \---------------------------^
//! ```
//! Keys of pieces and pages are drawn for one seal and are active until what they sealed is replaced, with which they are
//! destroyed in the same commit. Those of journals and of tokens pass through all four.

use std::fmt;

/// What a key is for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// Drawn and stored; has sealed or signed nothing yet.
    Spare,
    /// Seals or signs.
    Active,
    /// Neither seals nor signs any more; what it sealed or signed is still needed.
    Superseded,
    /// Gone from the key tree and from memory.
    Destroyed,
}

/// A step that a key can't take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key that is {from} can't become {to}")]
pub struct WrongStep {
    from: KeyState,
    to: KeyState,
}

impl KeyState {
    /// All states, in the order of a key's life.
    pub const ALL: [Self; 4] = [Self::Spare, Self::Active, Self::Superseded, Self::Destroyed];

    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spare => "spare",
            Self::Active => "active",
            Self::Superseded => "superseded",
            Self::Destroyed => "destroyed",
        }
    }

    /// Goes on to a later state. An active key can't be destroyed before something has taken over, and nothing comes back.
    pub fn advance(self, to: Self) -> Result<Self, WrongStep> {
        match (self, to) {
            (Self::Spare, Self::Active | Self::Destroyed)
            | (Self::Active, Self::Superseded)
            | (Self::Superseded, Self::Destroyed) => Ok(to),
            (from, to) => Err(WrongStep { from, to }),
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[test]
fn a_key_goes_one_way_and_skips_nothing() {
    use KeyState::{Active, Destroyed, Spare, Superseded};
    let steps = [(Spare, Active), (Spare, Destroyed), (Active, Superseded), (Superseded, Destroyed)];
    for from in KeyState::ALL {
        for to in KeyState::ALL {
            let allowed = steps.contains(&(from, to));
            assert_eq!(from.advance(to), if allowed { Ok(to) } else { Err(WrongStep { from, to }) });
        }
    }
    let refused = Active.advance(Destroyed).map_err(|error| error.to_string());
    assert_eq!(refused, Err("a key that is active can't become destroyed".to_owned()));
}
