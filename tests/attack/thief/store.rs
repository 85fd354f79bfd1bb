//! Entries of journals in the files of the database that keeps them, read without the database: its nodes and its links
//! are looked for at every offset, so that what it has freed and not yet overwritten counts too.
//!
//! A node is: next varint, merging child varint, merging u8, prefix length u8, lowest key, highest key, 0, number of
//! keys, keys without the prefix, values. A link is: 0, key without its node's prefix, value. Keys and values follow
//! their varint length. A journal's key is `j`, block u32, frame u64, part u16, slice u16, big endian; the value of the
//! first slice begins with the number of the key, a u32.

use super::bytes::Cursor;
use super::part::{JOURNAL, Part};
use std::collections::{BTreeMap, BTreeSet};

const KEY: usize = 17;
const SLICE: usize = 4_000;
/// Keys of a node: far more than one holds.
const MOST_KEYS: usize = 4_096;
/// Ways of putting slices together that are tried for one entry.
const MOST_WAYS: usize = 16;

/// What the keys found say: (block, frame, part) and the values seen for each slice.
type Slices = BTreeMap<(u32, u64, u16), BTreeMap<u16, BTreeSet<Vec<u8>>>>;

/// Every entry that can be put together from a file, for each of the datasets and blocks that it could be of.
pub fn carve(file: &[u8], datasets: &BTreeSet<u32>, blocks: &BTreeSet<u32>) -> Vec<Part> {
    let end = file.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut slices = Slices::new();
    let mut prefixes: BTreeSet<Vec<u8>> = blocks.iter().map(|block| guess(*block)).collect();
    let mut links = Vec::new();
    for at in 0..end {
        if let Some(node) = node(&file[at..end]) {
            prefixes.insert(node.prefix.to_vec());
            for (key, value) in node.keys.iter().zip(&node.values) {
                note(&[node.prefix, key].concat(), value, &mut slices);
            }
        }
        links.extend(link(&file[at..end]));
    }
    for (key, value) in links {
        let fits = prefixes.iter().filter_map(|prefix| prefix.get(..KEY - key.len()));
        for prefix in fits.collect::<BTreeSet<_>>() {
            note(&[prefix, key].concat(), value, &mut slices);
        }
    }
    slices.iter().flat_map(|(place, slices)| parts(*place, slices, datasets)).collect()
}

/// The prefix of a block's first frames.
fn guess(block: u32) -> Vec<u8> {
    [&b"j"[..], &block.to_be_bytes(), &[0; 8]].concat()
}

struct Node<'a> {
    prefix: &'a [u8],
    keys: Vec<&'a [u8]>,
    values: Vec<&'a [u8]>,
}

fn node(bytes: &[u8]) -> Option<Node<'_>> {
    let mut from = Cursor(bytes);
    varint(&mut from)?;
    varint(&mut from)?;
    let (merging, prefix) = (from.u8()?, usize::from(from.u8()?));
    let lowest = counted(&mut from, KEY)?;
    counted(&mut from, KEY)?;
    if merging > 1 || from.u8()? != 0 {
        return None;
    }
    let prefix = lowest.get(..prefix)?;
    let count = usize::try_from(varint(&mut from)?).ok().filter(|count| (1..=MOST_KEYS).contains(count))?;
    let keys = list(&mut from, count, KEY)?;
    let fits = keys.iter().all(|key| key.len() + prefix.len() == KEY);
    fits.then_some(Node { prefix, values: list(&mut from, count, SLICE)?, keys })
}

fn link(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut from = Cursor(bytes);
    if from.u8()? != 0 {
        return None;
    }
    let key = counted(&mut from, KEY).filter(|key| key.len() >= 2)?;
    let value = counted(&mut from, SLICE).filter(|value| !value.is_empty())?;
    Some((key, value))
}

fn list<'a>(from: &mut Cursor<'a>, count: usize, most: usize) -> Option<Vec<&'a [u8]>> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(counted(from, most)?);
    }
    Some(all)
}

fn counted<'a>(from: &mut Cursor<'a>, most: usize) -> Option<&'a [u8]> {
    let length = usize::try_from(varint(from)?).ok().filter(|length| *length <= most)?;
    from.take(length)
}

fn varint(from: &mut Cursor<'_>) -> Option<u64> {
    let first = from.u8()?;
    Some(match first {
        0..=240 => first.into(),
        241..=248 => 240 + 256 * (u64::from(first) - 241) + u64::from(from.u8()?),
        249 => 2_288 + 256 * u64::from(from.u8()?) + u64::from(from.u8()?),
        _ => {
            let mut number = [0; 8];
            let bytes = from.take(usize::from(first) - 247)?;
            number[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(number)
        }
    })
}

fn note(key: &[u8], value: &[u8], slices: &mut Slices) {
    let (place, slice) = match (key.strip_prefix(b"j"), key.len()) {
        (Some(rest), KEY) => {
            let number = |from: usize, to: usize| rest[from..to].iter().fold(0, |all, b| all << 8 | u64::from(*b));
            ((number(0, 4), number(4, 12), number(12, 14)), number(14, 16))
        }
        _ => return,
    };
    let (block, part) = (u32::try_from(place.0).unwrap(), u16::try_from(place.2).unwrap());
    let of = slices.entry((block, place.1, part)).or_default();
    of.entry(u16::try_from(slice).unwrap()).or_default().insert(value.to_vec());
}

/// Puts the slices of an entry together, in every way if there are several values for one.
fn parts(
    (block, seq, number): (u32, u64, u16),
    slices: &BTreeMap<u16, BTreeSet<Vec<u8>>>,
    datasets: &BTreeSet<u32>,
) -> Vec<Part> {
    let mut ways = vec![Vec::new()];
    for (slice, values) in (0..).zip(slices) {
        if slice != *values.0 {
            break;
        }
        let longer = ways.iter().flat_map(|way: &Vec<u8>| values.1.iter().map(move |value| [&way[..], value].concat()));
        ways = longer.take(MOST_WAYS).collect();
    }
    let part = |whole: &Vec<u8>, dataset: u32| {
        let (key_id, sealed) = whole.split_first_chunk()?;
        let (key_id, sealed) = (u32::from_be_bytes(*key_id), sealed.to_vec());
        Some(Part { seq, number, kind: JOURNAL, dataset, block, key_id, sealed })
    };
    ways.iter().flat_map(|whole| datasets.iter().filter_map(move |dataset| part(whole, *dataset))).collect()
}
