//! Checking one C2SP tlog-proof.

use super::merkle::{self, Hash};
use super::note::{self, Head, VerifierKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A proof whose checkpoint is signed; what it is a proof for is not checked yet.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Which entry it is for.
    pub index: u64,
    /// What the checkpoint states.
    pub head: Head,
    path: Vec<Hash>,
}

impl Proof {
    /// Reads a proof and checks the signature of its checkpoint.
    pub fn read(text: &str, key: &VerifierKey) -> Result<Self, String> {
        let (body, checkpoint) = text.split_once("\n\n").ok_or("the proof holds no checkpoint")?;
        let mut lines = body.split('\n');
        if lines.next() != Some("c2sp.org/tlog-proof@v1") {
            return Err("not a tlog-proof".to_owned());
        }
        let index = lines.find(|line| !line.starts_with("extra ")).and_then(|line| line.strip_prefix("index "));
        let index: u64 = index.and_then(canonical).ok_or("the proof names no index")?;
        let hash = |line: &str| -> Option<Hash> { STANDARD.decode(line).ok()?.try_into().ok() };
        let path: Option<Vec<Hash>> = lines.map(hash).collect();
        let path = path.ok_or("a line of the proof is not a hash")?;
        let head = key.for_origin(note::origin(checkpoint)).open(checkpoint)?;
        Ok(Self { index, head, path })
    }

    /// Says whether this is the entry that the proof is for.
    pub fn is_for(&self, entry: &[u8]) -> bool {
        merkle::root_from_path(self.index, self.head.size, merkle::leaf(entry), &self.path) == Some(self.head.root)
    }
}

/// Checks a proof, and the entry it is for if there is one; says what was verified.
pub fn check(text: &str, key: &VerifierKey, entry: Option<&[u8]>) -> Result<String, String> {
    let proof = Proof::read(text, key)?;
    let Proof { index, head, path: _ } = &proof;
    let Some(entry) = entry else {
        return Ok(format!(
            "signature verified: {}, {} entries; the entry was not given, so its place at {index} is not checked",
            head.origin, head.size
        ));
    };
    // An entry saved by an editor or a shell may have gained a newline; no entry of ours ends in one.
    let entry = entry.strip_suffix(b"\n").unwrap_or(entry);
    if !proof.is_for(entry) {
        return Err(format!("the entry is not entry {index} of {}", head.origin));
    }
    Ok(format!("verified: entry {index} of {}, under a checkpoint of {} entries", head.origin, head.size))
}

/// Reads a number as it is written: no sign, no zeros before it.
fn canonical(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}
