//! A block's history as bytes, to be sealed.
//!
//! Version 1, integers little endian: `sch` and the version byte; the number of texts (u32) and each, sorted: length u8 and
//! UTF-8; the number of consent events (u32), sorted by position, then leaf; for each column, in the order of
//! [`super::columns`], what all its values have at least (u64), how many bytes each takes (u8, 0-8), and each value less
//! that; the number of other lines (u32), sorted alike, and each: position u16, leaf u64, length u16, JSON.
//!
//! Equal histories give equal bytes, and the bytes hold no text that no line has. Older bytes are read as well: lines of
//! a length (u32) and the JSON of (position, leaf, what happened). No bytes are an empty history.

use super::columns::{COLUMNS, LEAF, MAX_TEXT, OF_TEXTS, POSITION, Texts};
use super::{History, Other};
use crate::blocks::BLOCK_SUBJECTS;
use crate::journal::JournalError;
use crate::subjects::Happened;
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

const MAGIC: &[u8; 3] = b"sch";
const VERSION: u8 = 1;

impl History {
    /// Reads a history in any form it was ever stored in.
    pub fn parse(bytes: &[u8]) -> Result<Self, JournalError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        // As the length of a line this would be 23 MB.
        let Some(rest) = bytes.strip_prefix(MAGIC) else { return lines(bytes) };
        let mut reader = Reader(rest);
        if reader.array()? != [VERSION] {
            return Err(JournalError);
        }
        let texts = reader.texts()?;
        let columns = reader.columns()?;
        let others = reader.others()?;
        let read = Self { columns, texts: Texts::of(texts), others };
        if reader.0.is_empty() && read.is_sound() { Ok(read) } else { Err(JournalError) }
    }

    /// Writes the history.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let order = self.order();
        let (texts, places) = self.used_texts();
        let packed = self.columns.iter().enumerate().map(|(which, column)| {
            let of_text = OF_TEXTS.iter().find(|(of_texts, _)| *of_texts == which).map(|(_, plus)| *plus);
            let moved = |value: u64| match of_text.and_then(|plus| Some((value.checked_sub(plus)?, plus))) {
                Some((place, plus)) => places.get(&place).map_or(0, |place| place + plus),
                None => value,
            };
            Packed::of(order.iter().filter_map(|row| column.get(*row)).map(|value| moved(*value)).collect())
        });
        let packed: Vec<Packed> = packed.collect();
        let mut others: Vec<&Other> = self.others.iter().collect();
        others.sort_by_key(|other| (other.position, other.leaf));
        // Reserved in full: the vector never moves, so no plaintext stays behind in freed memory.
        let length = 16
            + texts.iter().map(|text| 1 + text.len()).sum::<usize>()
            + packed.iter().map(Packed::bytes).sum::<usize>()
            + others.iter().map(|other| 12 + other.json.len()).sum::<usize>();
        let mut to = Zeroizing::new(Vec::with_capacity(length));
        to.extend_from_slice(MAGIC);
        to.push(VERSION);
        put_count(&mut to, texts.len());
        for text in texts {
            to.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            to.extend_from_slice(text.as_bytes());
        }
        put_count(&mut to, order.len());
        packed.iter().for_each(|column| column.put(&mut to));
        put_count(&mut to, others.len());
        for Other { position, leaf, json } in others {
            to.extend_from_slice(&position.to_le_bytes());
            to.extend_from_slice(&leaf.to_le_bytes());
            to.extend_from_slice(&u16::try_from(json.len()).unwrap_or(u16::MAX).to_le_bytes());
            to.extend_from_slice(json);
        }
        debug_assert_eq!(to.len(), length, "the reserved length is the length");
        to
    }

    fn key(&self, row: usize) -> Option<(u64, u64)> {
        Some((*self.columns.get(POSITION)?.get(row)?, *self.columns.get(LEAF)?.get(row)?))
    }

    /// Returns the rows in the order in which they are stored. An event that came twice is stored once.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.positions().count()).collect();
        order.sort_by_key(|row| self.key(*row));
        order.dedup_by_key(|row| self.key(*row));
        order
    }

    /// Returns the texts that lines have, sorted, and of each place that is used the place among them.
    fn used_texts(&self) -> (Vec<&str>, BTreeMap<u64, u64>) {
        let mut used = BTreeSet::new();
        for (column, plus) in OF_TEXTS {
            let values = self.columns.get(column).into_iter().flatten();
            // Neighbors mostly have the same.
            let mut last = None;
            for place in values.filter_map(|value| value.checked_sub(plus)) {
                if last.replace(place) != Some(place) {
                    used.insert(place);
                }
            }
        }
        let text = |place: u64| {
            let text = usize::try_from(place).ok().and_then(|place| self.texts.all.get(place));
            text.map(|text| (text.as_str(), place))
        };
        let mut texts: Vec<(&str, u64)> = used.into_iter().filter_map(text).collect();
        texts.sort_unstable();
        let places = (0_u64..).zip(&texts).map(|(new, (_, old))| (*old, new)).collect();
        (texts.into_iter().map(|(text, _)| text).collect(), places)
    }

    /// Says whether it is one that is ever written: sorted, of a block's people, and pointing to texts that are there.
    fn is_sound(&self) -> bool {
        let fits = |position: u16| u32::from(position) < BLOCK_SUBJECTS;
        let keys: Vec<_> = (0..self.positions().count()).map(|row| self.key(row)).collect();
        let others: Vec<_> = self.others.iter().map(|other| (other.position, other.leaf)).collect();
        let texts = self.texts.all.len() as u64;
        let points = |(column, plus): (usize, u64)| {
            let mut values = self.columns.get(column).into_iter().flatten();
            values.all(|value| value.checked_sub(plus).is_none_or(|place| place < texts))
        };
        self.positions().all(fits)
            && others.iter().all(|(position, _)| fits(*position))
            && keys.is_sorted_by(|a, b| a < b)
            && others.is_sorted()
            && self.texts.all.is_sorted_by(|a, b| a < b)
            && OF_TEXTS.into_iter().all(points)
    }
}

fn put_count(to: &mut Vec<u8>, count: usize) {
    to.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

/// A column as it is stored.
struct Packed {
    base: u64,
    width: usize,
    values: Vec<u64>,
}

impl Packed {
    fn of(values: Vec<u64>) -> Self {
        let base = values.iter().copied().min().unwrap_or_default();
        let most = values.iter().copied().max().unwrap_or_default() - base;
        let width = (u64::BITS - most.leading_zeros()).div_ceil(8) as usize;
        Self { base, width, values }
    }

    fn bytes(&self) -> usize {
        9 + self.values.len() * self.width
    }

    fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.base.to_le_bytes());
        to.push(u8::try_from(self.width).unwrap_or_default());
        for value in &self.values {
            let bytes = value.wrapping_sub(self.base).to_le_bytes();
            to.extend_from_slice(bytes.get(..self.width).unwrap_or_default());
        }
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.values);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], JournalError> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(JournalError)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], JournalError> {
        self.bytes(N)?.try_into().map_err(|_| JournalError)
    }

    /// Reads a count of things that take at least one byte each.
    fn count(&mut self) -> Result<usize, JournalError> {
        let count = usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| JournalError)?;
        if count <= self.0.len() { Ok(count) } else { Err(JournalError) }
    }

    fn texts(&mut self) -> Result<Vec<String>, JournalError> {
        let count = self.count()?;
        let mut texts = Vec::with_capacity(count);
        for _ in 0..count {
            let [length] = self.array()?;
            debug_assert!(usize::from(length) <= MAX_TEXT, "a length is a byte");
            let text = std::str::from_utf8(self.bytes(length.into())?).map_err(|_| JournalError)?;
            texts.push(text.to_owned());
        }
        Ok(texts)
    }

    /// Events differ in position or leaf, so one of these columns has bytes for each but the first.
    fn columns(&mut self) -> Result<[Vec<u64>; COLUMNS], JournalError> {
        let count = self.count()?;
        let mut columns: [Vec<u64>; COLUMNS] = Default::default();
        for column in &mut columns {
            *column = self.column(count)?;
        }
        Ok(columns)
    }

    fn column(&mut self, count: usize) -> Result<Vec<u64>, JournalError> {
        let base = u64::from_le_bytes(self.array()?);
        let [width] = self.array()?;
        let bytes = self.bytes(count.checked_mul(width.into()).ok_or(JournalError)?)?;
        let values = match width {
            0 => vec![base; count],
            1 => unpack::<1>(bytes, base),
            2 => unpack::<2>(bytes, base),
            3 => unpack::<3>(bytes, base),
            4 => unpack::<4>(bytes, base),
            5 => unpack::<5>(bytes, base),
            6 => unpack::<6>(bytes, base),
            7 => unpack::<7>(bytes, base),
            8 => unpack::<8>(bytes, base),
            _ => return Err(JournalError),
        };
        // One that went round is below what all have at least.
        if values.iter().all(|value| *value >= base) { Ok(values) } else { Err(JournalError) }
    }

    fn others(&mut self) -> Result<Vec<Other>, JournalError> {
        let count = self.count()?;
        let mut others = Vec::new();
        for _ in 0..count {
            let position = u16::from_le_bytes(self.array()?);
            let leaf = u64::from_le_bytes(self.array()?);
            let length = u16::from_le_bytes(self.array()?);
            others.push(Other { position, leaf, json: self.bytes(length.into())?.to_vec() });
        }
        Ok(others)
    }
}

fn unpack<const WIDTH: usize>(bytes: &[u8], base: u64) -> Vec<u64> {
    let value = |packed: &[u8; WIDTH]| {
        let mut whole = [0; 8];
        whole.iter_mut().zip(packed).for_each(|(to, from)| *to = *from);
        base.wrapping_add(u64::from_le_bytes(whole))
    };
    bytes.as_chunks::<WIDTH>().0.iter().map(value).collect()
}

/// Reads the form that was stored before there were columns.
fn lines(bytes: &[u8]) -> Result<History, JournalError> {
    let (mut history, mut rest) = (History::default(), Reader(bytes));
    while !rest.0.is_empty() {
        let length = usize::try_from(u32::from_le_bytes(rest.array()?)).map_err(|_| JournalError)?;
        let json = rest.bytes(length)?;
        let (position, leaf, happened): (u16, u64, Happened) =
            serde_json::from_slice(json).map_err(|_| JournalError)?;
        match &happened {
            Happened::Consent(event) => history.consent(position, leaf, event)?,
            other => history.other(position, leaf, other)?,
        }
    }
    Ok(history)
}
