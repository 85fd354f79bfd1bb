//! Checks the files of a log as somebody else would: with the public key, and an independent tree.

use super::tiles;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::Sha256;
use std::path::Path;

type Judged = MemoryBackedTree<Sha256, Vec<u8>>;

/// A signed checkpoint's size and root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) size: u64,
    pub(crate) root: Vec<u8>,
}

/// Reads a checkpoint and checks its signature.
pub(crate) fn checkpoint(note: &str, vkey: &str) -> Result<Signed, String> {
    let (text, signatures) = note.split_once("\n\n").ok_or("the checkpoint has no signature")?;
    let fields: Vec<&str> = vkey.splitn(3, '+').collect();
    let key = STANDARD.decode(fields[2]).map_err(|error| error.to_string())?;
    let prefix = format!("\u{2014} {} ", fields[0]);
    let line = signatures.lines().find_map(|line| line.strip_prefix(&prefix)).ok_or("signed by another")?;
    let signature = STANDARD.decode(line).map_err(|error| error.to_string())?;
    let signed = format!("{text}\n");
    let good = UnparsedPublicKey::new(&ED25519, &key[1..]).verify(signed.as_bytes(), &signature[4..]);
    good.map_err(|_| "the checkpoint's signature is wrong")?;
    let lines: Vec<&str> = text.lines().collect();
    let size = lines[1].parse().map_err(|_| "the checkpoint has no size")?;
    Ok(Signed { size, root: STANDARD.decode(lines[2]).map_err(|error| error.to_string())? })
}

/// Checks that the entries of a tree's folder hash to its checkpoint, and that earlier ones covered a beginning of them.
pub(crate) fn judge(dir: &Path, vkey: &str, earlier: &[Signed]) -> Result<Signed, String> {
    let note = std::fs::read_to_string(dir.join("checkpoint")).map_err(|error| format!("the checkpoint: {error}"))?;
    let signed = checkpoint(&note, vkey)?;
    let mut sizes: Vec<&Signed> = earlier.iter().chain([&signed]).collect();
    sizes.sort_by_key(|signed| signed.size);
    let mut tree = Judged::new();
    let mut entries = entries(dir, signed.size)?.into_iter();
    for wanted in sizes {
        while tree.len() < wanted.size {
            let lost = || format!("{} entries were signed, and {} are there", wanted.size, signed.size);
            tree.push(entries.next().ok_or_else(lost)?);
        }
        if tree.root().as_bytes().as_slice() != wanted.root {
            return Err(format!("the first {} entries are not those that were signed", wanted.size));
        }
    }
    Ok(signed)
}

fn entries(dir: &Path, size: u64) -> Result<Vec<Vec<u8>>, String> {
    let mut all = Vec::new();
    for n in 0..size.div_ceil(tiles::WIDTH) {
        let width = tiles::WIDTH.min(size - n * tiles::WIDTH);
        let bundle = tiles::read_entries(dir, n, width).map_err(|error| error.to_string())?;
        all.extend(bundle.entries.iter().map(|entry| entry.to_vec()));
    }
    Ok(all)
}
