//! Checking one C2SP tlog-proof.

use super::merkle::{self, Hash};
use super::note::{self, VerifierKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Checks a proof, and the entry it is for if there is one; says what was verified.
pub fn check(text: &str, key: &VerifierKey, entry: Option<&[u8]>) -> Result<String, String> {
    let (body, checkpoint) = text.split_once("\n\n").ok_or("the proof holds no checkpoint")?;
    let mut lines = body.split('\n');
    if lines.next() != Some("c2sp.org/tlog-proof@v1") {
        return Err("not a tlog-proof".to_owned());
    }
    let index = lines.find(|line| !line.starts_with("extra ")).and_then(|line| line.strip_prefix("index "));
    let index: u64 = index.and_then(|index| index.parse().ok()).ok_or("the proof names no index")?;
    let hash = |line: &str| -> Option<Hash> { STANDARD.decode(line).ok()?.try_into().ok() };
    let path: Option<Vec<Hash>> = lines.map(hash).collect();
    let path = path.ok_or("a line of the proof is not a hash")?;
    let head = key.for_origin(note::origin(checkpoint)).open(checkpoint)?;
    let Some(entry) = entry else {
        return Ok(format!(
            "signature verified: {}, {} entries; the entry was not given, so its place at {index} is not checked",
            head.origin, head.size
        ));
    };
    // An entry saved by an editor or a shell may have gained a newline; no entry of ours ends in one.
    let entry = entry.strip_suffix(b"\n").unwrap_or(entry);
    match merkle::root_from_path(index, head.size, merkle::leaf(entry), &path) {
        Some(root) if root == head.root => {
            Ok(format!("verified: entry {index} of {}, under a checkpoint of {} entries", head.origin, head.size))
        }
        _ => Err(format!("the entry is not entry {index} of {}", head.origin)),
    }
}
