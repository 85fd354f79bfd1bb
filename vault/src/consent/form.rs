//! The forms in which a block keeps an instant for each of some positions.
//!
//! A list while there are few, one byte a position while there are few different instants (people who came with one import
//! share theirs), and eight bytes a position. A change never makes the form smaller, [`Form::compacted`] does.

use super::bits::{POSITIONS, Words, take_out};
use zeroize::Zeroize;

/// Stands for no instant.
pub(super) const NEVER: i64 = i64::MIN;

/// Most entries of a list: as many bytes as one byte a position.
pub(super) const FEW: usize = 512;

/// Most different instants of the coded form.
pub(super) const CODES: usize = 255;

/// Instants of some positions, at most one each. Wiped on drop.
#[derive(Clone)]
pub(super) enum Form {
    /// Sorted by position.
    Few(Vec<(u16, i64)>),
    /// Code 0 is none, code n is the n-th value.
    Coded { values: Vec<i64>, codes: Box<[u8]> },
    /// [`NEVER`] is none.
    Each(Box<[i64]>),
}

impl Drop for Form {
    fn drop(&mut self) {
        match self {
            Self::Few(list) => list.zeroize(),
            Self::Coded { values, codes } => {
                values.zeroize();
                codes.zeroize();
            }
            Self::Each(all) => all.zeroize(),
        }
    }
}

fn value_of(values: &[i64], code: u8) -> Option<i64> {
    values.get(usize::from(code).checked_sub(1)?).copied()
}

/// Returns the code of a value, a new one if there is room.
fn code_of(values: &mut Vec<i64>, at: i64) -> Option<u8> {
    let found = values.iter().position(|value| *value == at);
    let index = found.or_else(|| {
        let room = values.len() < CODES;
        room.then(|| {
            values.push(at);
            values.len() - 1
        })
    })?;
    u8::try_from(index + 1).ok()
}

/// Gives each instant a code, [`NEVER`] none; none if there are too many different ones.
fn code_all(instants: impl Iterator<Item = (u16, i64)>) -> Option<(Vec<i64>, Box<[u8]>)> {
    let mut values = Vec::new();
    let mut codes = vec![0; POSITIONS].into_boxed_slice();
    // Neighbors often have the same instant.
    let mut last = (NEVER, 0);
    for (position, at) in instants.filter(|(_, at)| *at != NEVER) {
        if last.0 != at {
            last = (at, code_of(&mut values, at)?);
        }
        put(&mut codes, usize::from(position), last.1);
    }
    Some((values, codes))
}

/// Leaves out the values that no code stands for, and orders the others by who has them first.
fn coded_again(values: &[i64], codes: &[u8]) -> (Vec<i64>, Box<[u8]>) {
    let mut kept = Vec::with_capacity(values.len());
    let mut new = [0_u8; CODES + 1];
    let mut new_of = |code: u8| {
        let slot = new.get_mut(usize::from(code))?;
        if *slot == 0 {
            kept.push(value_of(values, code)?);
            *slot = u8::try_from(kept.len()).ok()?;
        }
        Some(*slot)
    };
    let codes = codes.iter().map(|code| new_of(*code).unwrap_or(0)).collect();
    (kept, codes)
}

fn put<T>(all: &mut [T], index: usize, value: T) {
    if let Some(slot) = all.get_mut(index) {
        *slot = value;
    }
}

impl Form {
    pub fn get(&self, position: u16) -> Option<i64> {
        match self {
            Self::Few(list) => {
                let at = list.binary_search_by_key(&position, |(position, _)| *position).ok()?;
                list.get(at).map(|(_, at)| *at)
            }
            Self::Coded { values, codes } => value_of(values, *codes.get(usize::from(position))?),
            Self::Each(all) => all.get(usize::from(position)).copied().filter(|at| *at != NEVER),
        }
    }

    /// Sets or, with [`NEVER`], removes the instant of a position, which a block must have.
    pub fn write(&mut self, position: u16, at: i64) {
        if !self.fits(position, at) {
            *self = self.larger();
            self.fits(position, at);
        }
    }

    /// Writes if there is room.
    fn fits(&mut self, position: u16, at: i64) -> bool {
        let index = usize::from(position);
        match self {
            Self::Few(list) => match list.binary_search_by_key(&position, |(position, _)| *position) {
                Ok(found) if at == NEVER => _ = list.remove(found),
                Ok(found) => put(list, found, (position, at)),
                Err(_) if at == NEVER => {}
                Err(_) if list.len() == FEW => return false,
                Err(place) => list.insert(place, (position, at)),
            },
            Self::Coded { codes, .. } if at == NEVER => put(codes, index, 0),
            Self::Coded { values, codes } => {
                let Some(code) = code_of(values, at) else { return false };
                put(codes, index, code);
            }
            Self::Each(all) => put(all, index, at),
        }
        true
    }

    /// Returns the next larger form, with what is here and room for one more.
    fn larger(&self) -> Self {
        match (self, self.coded()) {
            (Self::Few(_), Some((values, codes))) if values.len() < CODES => Self::Coded { values, codes },
            _ => self.each(),
        }
    }

    /// Returns the smallest form of the same `count` instants, which depends on nothing else, without values that nobody
    /// has; none if this is it.
    pub fn compacted(&self, count: usize) -> Option<Self> {
        if count > FEW {
            return match self.coded() {
                Some((values, codes)) => Some(Self::Coded { values, codes }),
                None => (!matches!(self, Self::Each(_))).then(|| self.each()),
            };
        }
        if matches!(self, Self::Few(_)) {
            return None;
        }
        let mut list = Vec::with_capacity(count);
        self.for_each(|position, at| list.push((position, at)));
        Some(Self::Few(list))
    }

    fn coded(&self) -> Option<(Vec<i64>, Box<[u8]>)> {
        match self {
            Self::Few(list) => code_all(list.iter().copied()),
            Self::Coded { values, codes } => Some(coded_again(values, codes)),
            Self::Each(all) => code_all((0..).zip(all).map(|(position, at)| (position, *at))),
        }
    }

    fn each(&self) -> Self {
        let mut all = vec![NEVER; POSITIONS].into_boxed_slice();
        self.for_each(|position, at| put(&mut all, usize::from(position), at));
        Self::Each(all)
    }

    /// Calls `each` with every position that has an instant, in order.
    pub fn for_each(&self, mut each: impl FnMut(u16, i64)) {
        match self {
            Self::Few(list) => list.iter().for_each(|(position, at)| each(*position, *at)),
            Self::Coded { values, codes } => {
                for (position, code) in (0_u16..).zip(codes) {
                    if let Some(at) = value_of(values, *code) {
                        each(position, at);
                    }
                }
            }
            Self::Each(all) => {
                for (position, at) in (0_u16..).zip(all).filter(|(_, at)| **at != NEVER) {
                    each(position, *at);
                }
            }
        }
    }

    /// Takes out of a set those whose instant passes a test.
    pub fn clear_where(&self, words: &mut Words, test: impl Fn(i64) -> bool) {
        match self {
            Self::Few(list) => list.iter().filter(|(_, at)| test(*at)).for_each(|(at, _)| take_out(words, *at)),
            Self::Coded { values, codes } => {
                let mut gone = [false; CODES + 1];
                gone.iter_mut().skip(1).zip(values).for_each(|(gone, at)| *gone = test(*at));
                clear_all(words, codes, |code| gone.get(usize::from(code)).copied().unwrap_or(false));
            }
            // Without a branch: half of the people may pass, in no order.
            Self::Each(all) => clear_all(words, all, |at| (at != NEVER) & test(at)),
        }
    }
}

/// Takes the positions whose value passes a test out of a set, eight values at a time: steps that do not wait for each
/// other.
fn clear_all<T: Copy>(words: &mut Words, all: &[T], test: impl Fn(T) -> bool) {
    let (groups, _) = all.as_chunks::<8>();
    let (groups, _) = groups.as_chunks::<8>();
    for (word, groups) in words.iter_mut().zip(groups) {
        let bits = |values: &[T; 8]| {
            let [a, b, c, d, e, f, g, h] = values.map(|value| u8::from(test(value)));
            a | b << 1 | c << 2 | d << 3 | e << 4 | f << 5 | g << 6 | h << 7
        };
        *word &= !u64::from_le_bytes(groups.each_ref().map(bits));
    }
}
