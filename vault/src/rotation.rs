//! Which keys there are, and in which states: for the steward, without any key.

pub use crate::keys::KeyState;

use crate::keys::SecretKey;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// The root of the key tree.
    Root,
    /// A page of the key tree.
    Page,
    /// A piece: columns of a block, or state.
    Piece,
    /// A block's journal: what is not folded yet.
    Journal,
    /// A partner's pseudonyms of one epoch.
    Pseudonym,
    /// The signatures of tokens.
    Token,
    /// The signatures of the log's checkpoints.
    Log,
}

impl KeyKind {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Page => "page",
            Self::Piece => "piece",
            Self::Journal => "journal",
            Self::Pseudonym => "pseudonym",
            Self::Token => "token",
            Self::Log => "log",
        }
    }
}

/// How old a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Age {
    /// It was drawn for this generation of the key tree.
    Generation(u64),
    /// What it sealed was folded for this epoch.
    Epoch(u32),
    /// It was the so-manieth of its kind.
    Number(u64),
}

/// The keys of one kind in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLine {
    /// What they are for.
    pub kind: KeyKind,
    /// Their state.
    pub state: KeyState,
    /// How many there are.
    pub count: u64,
    /// The oldest; none for keys whose age is not kept.
    pub oldest: Option<Age>,
}

/// All keys that exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// By kind and state.
    pub lines: Vec<KeyLine>,
    /// Generation of the key tree.
    pub generation: u64,
    /// Whether the root is locked with a passphrase too.
    pub locked: bool,
}

/// Which keys are to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rotation {
    /// Of all pieces: every one is sealed again, a few blocks at a time.
    Pieces,
    /// Of all journals: what is not folded is sealed again, and old keys are destroyed.
    Journals,
    /// The root and every page of the key tree, in one step.
    Root,
    /// Of every partner's pseudonyms, before their epoch ends: the partners' next deliveries carry other pseudonyms, which
    /// nobody can connect with those they hold.
    Pseudonyms,
    /// Of tokens: the next key is published, signs some minutes later, and the one before is kept until its tokens have
    /// expired.
    Tokens,
    /// Of the log: the old key signs a leaf that announces the new one, and is destroyed.
    Log,
}

impl Rotation {
    /// Returns what a leaf of the log says of it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pieces => "keys of pieces",
            Self::Journals => "keys of journals",
            Self::Root => "root and pages",
            Self::Pseudonyms => "keys of pseudonyms",
            Self::Tokens => "keys of tokens",
            Self::Log => "key of the log",
        }
    }
}

/// How far a rotation is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Keys that were replaced by this call.
    pub done: u64,
    /// Keys that are left.
    pub left: u64,
}

/// What a rotation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// Keys that were replaced by this call; those that a crash had left are not all of them.
    pub keys: u64,
    /// Bytes that were sealed again.
    pub bytes: u64,
    /// Generation of the key tree in which no older key was left.
    pub generation: u64,
}

/// How long the next token key is published before it signs: the longest that the published set may be kept by others.
pub const TOKEN_NOTICE_SECONDS: i64 = 300;

/// How long a token key is kept after another signs: the life of a token, and what clocks may be off.
pub const TOKEN_OVERLAP_SECONDS: i64 = 330;

/// A key for tokens: the gateway signs with the active one, and publishes all.
#[derive(Debug, Clone)]
pub struct TokenKey {
    /// Its number, from 1.
    pub number: u32,
    /// What it is for now.
    pub state: KeyState,
    /// Seed of the Ed25519 key.
    pub seed: SecretKey,
}
