//! Verifier keys, signed notes and checkpoints, for reading.

use super::merkle::Hash;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The two trees of a log; their key names end in `/access` and `/subject`.
pub const TREES: [&str; 2] = ["access", "subject"];

/// Most signature lines looked at: one of the log, the others of witnesses.
const MAX_SIGNATURES: usize = 64;

/// A public key under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    /// The key's name, which is also the origin of what it signs.
    pub name: String,
    key: [u8; 32],
}

/// What a checkpoint states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Which log.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// Their root.
    pub root: Hash,
}

impl VerifierKey {
    /// Reads `name+id+key`; the id must fit.
    pub fn parse(text: &str) -> Result<Self, String> {
        let problem = || "the verifier key is not of the form name+id+key, Ed25519".to_owned();
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(problem());
        };
        let typed = STANDARD.decode(key).map_err(|_| problem())?;
        let Some((1, key)) = typed.split_first() else { return Err(problem()) };
        let key = Self { name: name.to_owned(), key: key.try_into().map_err(|_| problem())? };
        if name.is_empty() || format!("{:08x}", key.id()) != id {
            return Err("the verifier key's id does not fit its name and key".to_owned());
        }
        Ok(key)
    }

    /// Returns the number that signatures name the key by.
    pub fn id(&self) -> u32 {
        let mut hash = Sha256::new();
        hash.update(self.name.as_bytes());
        hash.update([b'\n', 1]);
        hash.update(self.key);
        let digest: [u8; 32] = hash.finalize().into();
        digest.first_chunk().copied().map_or(0, u32::from_be_bytes)
    }

    /// Returns the key under which the tree of this name signs: the same public key, under the log's name and the tree's.
    pub fn for_tree(&self, tree: &str) -> Self {
        let base = self.name.rsplit_once('/').filter(|(_, last)| TREES.contains(last)).map(|(base, _)| base);
        match base {
            Some(base) if TREES.contains(&tree) => Self { name: format!("{base}/{tree}"), key: self.key },
            _ => self.clone(),
        }
    }

    /// Returns the key for a checkpoint that says it is of `origin`; an origin of another log leaves it as it is.
    pub fn for_origin(&self, origin: &str) -> Self {
        self.for_tree(origin.rsplit('/').next().unwrap_or_default())
    }

    /// Writes the key as `name+id+key`.
    pub fn text(&self) -> String {
        format!("{}+{:08x}+{}", self.name, self.id(), STANDARD.encode([&[1][..], &self.key].concat()))
    }

    /// Returns the key that an entry announces as the next one, if this key signed the announcement: from the next entry on
    /// it signs the log. What this key did not sign announces nothing.
    pub fn announced(&self, entry: &[u8]) -> Option<Self> {
        let leaf: Announcement = serde_json::from_slice(entry).ok().filter(|leaf: &Announcement| leaf.kind == "key")?;
        let (key, signature): ([u8; 32], [u8; 64]) = (hex(&leaf.key?)?, hex(&leaf.signature?)?);
        let (old, next) = (STANDARD.encode(self.key), STANDARD.encode(key));
        let text = format!("silhouette log key 1\n{}\n{old}\n{next}\n", self.name);
        UnparsedPublicKey::new(&ED25519, &self.key).verify(text.as_bytes(), &signature).ok()?;
        Some(Self { name: self.name.clone(), key })
    }

    /// Says whether a signature of a note is by this key, good or bad.
    pub fn is_named_in(&self, note: &str) -> bool {
        let id = self.id().to_be_bytes();
        let is_ours = |line: &str| {
            let signature = line.strip_prefix("\u{2014} ")?.strip_prefix(&self.name)?.strip_prefix(' ')?;
            Some(STANDARD.decode(signature).ok()?.starts_with(&id))
        };
        note.rsplit_once("\n\n").is_some_and(|(_, lines)| lines.lines().any(|line| is_ours(line) == Some(true)))
    }

    /// Verifies a checkpoint and reads it.
    pub fn open(&self, note: &str) -> Result<Head, String> {
        let (text, signatures) = note.rsplit_once("\n\n").ok_or("no signature")?;
        let text = format!("{text}\n");
        if note.chars().any(|c| c < ' ' && c != '\n') || !signatures.ends_with('\n') {
            return Err("not a signed note".to_owned());
        }
        let mut signed = false;
        for line in signatures.lines().take(MAX_SIGNATURES) {
            signed |= self.check_line(line, &text)?;
        }
        if !signed {
            return Err(format!("no signature by {}", self.name));
        }
        let head = parse(&text).ok_or("the signed text is not a checkpoint")?;
        if head.origin == self.name { Ok(head) } else { Err(format!("it is of {}, not {}", head.origin, self.name)) }
    }

    /// Says whether the line is a good signature by this key; a bad one by this key is an error.
    fn check_line(&self, line: &str, text: &str) -> Result<bool, String> {
        let mut words = line.split(' ');
        let (Some("\u{2014}"), Some(name), Some(signature), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err("a signature line is malformed".to_owned());
        };
        let bytes = STANDARD.decode(signature).map_err(|_| "a signature is not base64")?;
        let (id, signature) = bytes.split_first_chunk::<4>().ok_or("a signature is too short")?;
        if name != self.name || u32::from_be_bytes(*id) != self.id() {
            return Ok(false);
        }
        let key = UnparsedPublicKey::new(&ED25519, &self.key);
        key.verify(text.as_bytes(), signature).map(|()| true).map_err(|_| "the signature is wrong".to_owned())
    }
}

/// The members of an entry that announces a key.
#[derive(Deserialize)]
struct Announcement {
    kind: String,
    key: Option<String>,
    signature: Option<String>,
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    bytes.filter(|_| rest.is_empty())?.try_into().ok()
}

/// Reads what a checkpoint states without verifying it: for finding the key that must have signed it.
pub fn stated(note: &str) -> Result<Head, String> {
    let text = note.rsplit_once("\n\n").map(|(text, _)| format!("{text}\n"));
    text.and_then(|text| parse(&text)).ok_or_else(|| "it is not a checkpoint".to_owned())
}

/// Returns the first line of a note.
pub fn origin(note: &str) -> &str {
    note.lines().next().unwrap_or_default()
}

fn parse(text: &str) -> Option<Head> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
    let canonical = size == "0" || !size.starts_with(['0', '+']);
    let rest_fits = lines.all(|line| !line.is_empty());
    if origin.is_empty() || !canonical || !rest_fits {
        return None;
    }
    let root = STANDARD.decode(root).ok()?.try_into().ok()?;
    Some(Head { origin: origin.to_owned(), size: size.parse().ok()?, root })
}
