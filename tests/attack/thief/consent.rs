//! The consent state of a block: who has decided on which purpose, by position.

use super::bytes::Cursor;
use std::collections::{BTreeSet, HashMap};

const BASES: usize = 3;
const POSITIONS: usize = 8_192;

/// Reads a state: `scb`, version 1; the sets of the restricted and of the erased; for each purpose its name, two lists of
/// times, and for each basis three sets and two lists of times. `None` if it is something else.
pub fn read(state: &[u8]) -> Option<HashMap<u32, Vec<String>>> {
    let mut from = Cursor(state.strip_prefix(b"scb\x01")?);
    set(&mut from)?;
    set(&mut from)?;
    let mut found: HashMap<u32, Vec<String>> = HashMap::new();
    for _ in 0..from.u16()? {
        let purpose = String::from_utf8(from.tiny()?.to_vec()).ok()?;
        let mut here = times(&mut from)?;
        here.extend(times(&mut from)?);
        for _ in 0..BASES {
            for _ in 0..3 {
                here.extend(set(&mut from)?);
            }
            for _ in 0..2 {
                here.extend(times(&mut from)?);
            }
        }
        here.into_iter().for_each(|position| found.entry(position).or_default().push(purpose.clone()));
    }
    from.0.is_empty().then_some(found)
}

/// 0 nobody; 1 a list; 2 one bit a position.
fn set(from: &mut Cursor<'_>) -> Option<BTreeSet<u32>> {
    match from.u8()? {
        0 => Some(BTreeSet::new()),
        1 => {
            let count = from.u16()?;
            (0..count).map(|_| from.u16().map(u32::from)).collect()
        }
        2 => {
            let bits = from.take(POSITIONS / 8)?;
            let has = |position: &u32| bits[*position as usize / 8] & 1 << (position % 8) != 0;
            Some((0..8_192).filter(has).collect())
        }
        _ => None,
    }
}

/// 0 none; 1 a list; 2 coded, a byte a position; 3 a set and an instant for each in it.
fn times(from: &mut Cursor<'_>) -> Option<BTreeSet<u32>> {
    match from.u8()? {
        0 => Some(BTreeSet::new()),
        1 => {
            let count = from.u16()?;
            let mut entry = || Some((from.u16()?, from.i64()?));
            (0..count).map(|_| entry().map(|(position, _)| position.into())).collect()
        }
        2 => {
            let count = from.u8()?;
            from.take(8 * usize::from(count))?;
            let codes = from.take(POSITIONS)?;
            Some((0..8_192).filter(|position| codes[*position as usize] != 0).collect())
        }
        3 => {
            let people = set(from)?;
            from.take(8 * people.len())?;
            Some(people)
        }
        _ => None,
    }
}
