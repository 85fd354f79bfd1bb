//! Reads the tree of one root, and encodes and decodes the bodies of its pages.

use super::cell::Root;
use super::codec::{Reader, Writer};
use super::entry::{Entries, Group, GroupEntries, PieceEntry};
use super::error::{KeysError, Part};
use super::page::{self, PageId};
use super::secret::SecretKey;
use crate::disk;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Room for the seal's tag, so that sealing in place does not move the plaintext.
const TAG_ROOM: usize = 16;

/// The most a page may have on disk, bytes.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 28;

/// What the top page says about a page.
#[derive(Debug, Clone)]
pub(super) struct Child {
    pub(super) generation: u64,
    pub(super) key: SecretKey,
    pub(super) sha256: [u8; 32],
}

/// The pages the top page names.
pub(super) type Children = BTreeMap<PageId, Child>;

/// The named secrets and records.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub(super) secrets: BTreeMap<String, SecretKey>,
    pub(super) records: BTreeMap<String, Vec<u8>>,
}

/// A whole tree in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    pub(super) children: Children,
    pub(super) names: Arc<Names>,
    pub(super) entries: Entries,
}

/// Reads and opens every page of the tree under `root`.
pub(super) fn load(folder: &Path, root: &Root) -> Result<Tree, KeysError> {
    let children = load_top(folder, root)?;
    let mut names = Names::default();
    let mut groups = BTreeMap::new();
    for (id, child) in &children {
        let body = load_child(folder, *id, child)?;
        let part = || Part::page(*id, child.generation);
        let unreadable = || KeysError::Damaged { part: part(), problem: "its entries can't be read" };
        match *id {
            PageId::Top | PageId::Note => return Err(unreadable()),
            PageId::Names => names = decode_names(&body).ok_or_else(unreadable)?,
            PageId::Blocks { dataset, group } => {
                let entries = decode_group((dataset, group), &body).ok_or_else(unreadable)?;
                groups.insert((dataset, group), Arc::new(entries));
            }
        }
    }
    Ok(Tree { children, names: Arc::new(names), entries: Entries { groups: Arc::new(groups) } })
}

/// Reads and opens the top page.
pub(super) fn load_top(folder: &Path, root: &Root) -> Result<Children, KeysError> {
    let file = read_page(folder, PageId::Top, root.generation)?;
    let body = page::open(PageId::Top, root.generation, &root.key, &file)?;
    decode_top(&body).ok_or_else(|| KeysError::Damaged {
        part: Part::page(PageId::Top, root.generation),
        problem: "its entries can't be read",
    })
}

/// Reads a page the top page names, compares its hash and opens it.
pub(super) fn load_child(folder: &Path, id: PageId, child: &Child) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    let file = read_page(folder, id, child.generation)?;
    if Sha256::digest(&file).as_slice() != child.sha256.as_slice() {
        let part = Part::page(id, child.generation);
        return Err(KeysError::Damaged { part, problem: "its hash is not the one its parent names" });
    }
    page::open(id, child.generation, &child.key, &file)
}

pub(super) fn read_page(folder: &Path, id: PageId, generation: u64) -> Result<Vec<u8>, KeysError> {
    let part = Part::page(id, generation);
    disk::read(&folder.join(id.file_name(generation)), MAX_FILE_BYTES).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => KeysError::Damaged { part, problem: "it is missing" },
        _ => KeysError::Io { part, error },
    })
}

pub(super) fn encode_top(children: &Children) -> Zeroizing<Vec<u8>> {
    let mut to = Writer::with_capacity(4 + children.len() * (1 + 4 + 4 + 8 + 32 + 32) + TAG_ROOM);
    put_count(&mut to, children.len());
    for (id, child) in children {
        let (kind, dataset, group) = id.numbers();
        to.put(&[kind]).put(&dataset.to_le_bytes()).put(&group.to_le_bytes());
        to.put(&child.generation.to_le_bytes()).put(child.key.expose()).put(&child.sha256);
    }
    to.finish()
}

pub(super) fn decode_top(body: &[u8]) -> Option<Children> {
    let mut from = Reader::new(body);
    let count = from.u32()?;
    let mut children = Children::new();
    for _ in 0..count {
        let id = PageId::from_numbers(from.u8()?, from.u32()?, from.u32()?)?;
        let child = Child { generation: from.u64()?, key: SecretKey::from_bytes(from.take()?), sha256: from.take()? };
        if children.insert(id, child).is_some() {
            return None;
        }
    }
    from.is_empty().then_some(children)
}

pub(super) fn encode_names(names: &Names) -> Zeroizing<Vec<u8>> {
    let secrets: usize = names.secrets.keys().map(|name| 2 + name.len() + 32).sum();
    let records: usize = names.records.iter().map(|(name, value)| 4 + name.len() + value.len()).sum();
    let mut to = Writer::with_capacity(8 + secrets + records + TAG_ROOM);
    put_count(&mut to, names.secrets.len());
    for (name, key) in &names.secrets {
        to.put_short(name.as_bytes()).put(key.expose());
    }
    put_count(&mut to, names.records.len());
    for (name, value) in &names.records {
        to.put_short(name.as_bytes()).put_short(value);
    }
    to.finish()
}

pub(super) fn decode_names(body: &[u8]) -> Option<Names> {
    let mut from = Reader::new(body);
    let mut names = Names::default();
    for _ in 0..from.u32()? {
        let name = text(from.short()?)?;
        if names.secrets.insert(name, SecretKey::from_bytes(from.take()?)).is_some() {
            return None;
        }
    }
    for _ in 0..from.u32()? {
        let name = text(from.short()?)?;
        if names.records.insert(name, from.short()?.to_vec()).is_some() {
            return None;
        }
    }
    from.is_empty().then_some(names)
}

pub(super) fn encode_group(entries: &GroupEntries) -> Zeroizing<Vec<u8>> {
    let mut to = Writer::with_capacity(4 + entries.len() * PieceEntry::ENCODED + TAG_ROOM);
    put_count(&mut to, entries.len());
    for entry in entries.values() {
        entry.encode(&mut to);
    }
    to.finish()
}

pub(super) fn decode_group(group: Group, body: &[u8]) -> Option<GroupEntries> {
    let mut from = Reader::new(body);
    let mut entries = GroupEntries::new();
    for _ in 0..from.u32()? {
        let entry = PieceEntry::decode(group.0, &mut from)?;
        if entry.group() != group || entries.insert((entry.id, entry.state), entry).is_some() {
            return None;
        }
    }
    from.is_empty().then_some(entries)
}

fn put_count(to: &mut Writer, count: usize) {
    // A page of more than 2^32 entries is refused when it is sealed, by its length.
    to.put(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}
