//! An instant for each of some positions of a block.
//!
//! Three forms: a list while there are few, one byte a position while there are few different instants (people who came
//! with one import share theirs), and eight bytes a position. A change never makes the form smaller, [`Times::compact`]
//! does; afterwards the form depends on the content alone, and no instant is left that nobody has.

use super::bits::{Bits, POSITIONS, WORDS, Words, put_in, take_out};
use zeroize::Zeroize;

/// Stands for no instant.
pub(super) const NEVER: i64 = i64::MIN;

/// Most entries of a list: as many bytes as one byte a position.
pub(super) const FEW: usize = 512;

/// Most different instants of the coded form.
pub(super) const CODES: usize = 255;

/// How instants are kept. Wiped on drop.
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

/// Instants of some positions of a block, at most one each.
#[derive(Clone)]
pub(super) struct Times {
    form: Form,
    /// No instant is before this one, nor after `latest`; wider than needed until [`Times::compact`].
    earliest: i64,
    latest: i64,
}

impl Default for Times {
    fn default() -> Self {
        Self { form: Form::Few(Vec::new()), earliest: i64::MAX, latest: NEVER }
    }
}

impl Times {
    /// Takes over what was stored, whose form is sound.
    pub fn from_form(form: Form) -> Self {
        let mut times = Self { form, ..Self::default() };
        times.compact();
        times
    }

    pub fn form(&self) -> &Form {
        &self.form
    }

    /// True only if no position has an instant; certain after [`Times::compact`].
    pub fn is_empty(&self) -> bool {
        matches!(&self.form, Form::Few(list) if list.is_empty())
    }

    pub fn get(&self, position: u16) -> Option<i64> {
        match &self.form {
            Form::Few(list) => {
                let at = list.binary_search_by_key(&position, |(position, _)| *position).ok()?;
                list.get(at).map(|(_, at)| *at)
            }
            Form::Coded { values, codes } => value_of(values, *codes.get(usize::from(position))?),
            Form::Each(all) => all.get(usize::from(position)).copied().filter(|at| *at != NEVER),
        }
    }

    /// Sets the instant of a position, which a block must have.
    pub fn set(&mut self, position: u16, at: i64) {
        // No event is that old; the mark for none must not be one.
        let at = at.max(NEVER + 1);
        self.earliest = self.earliest.min(at);
        self.latest = self.latest.max(at);
        if !self.put(position, at) {
            self.grow();
            self.put(position, at);
        }
    }

    /// Returns whether there was room.
    fn put(&mut self, position: u16, at: i64) -> bool {
        let index = usize::from(position);
        match &mut self.form {
            Form::Few(list) => match list.binary_search_by_key(&position, |(position, _)| *position) {
                Ok(found) => list.get_mut(found).into_iter().for_each(|entry| entry.1 = at),
                Err(_) if list.len() == FEW => return false,
                Err(place) => list.insert(place, (position, at)),
            },
            Form::Coded { values, codes } => {
                let Some(code) = code_of(values, at) else { return false };
                codes.get_mut(index).into_iter().for_each(|slot| *slot = code);
            }
            Form::Each(all) => all.get_mut(index).into_iter().for_each(|slot| *slot = at),
        }
        true
    }

    /// Goes on to the next larger form that holds what is here and room for one more.
    fn grow(&mut self) {
        self.form = match (&self.form, self.coded()) {
            (Form::Few(_), Some((values, codes))) if values.len() < CODES => Form::Coded { values, codes },
            _ => self.each(),
        };
    }

    fn coded(&self) -> Option<(Vec<i64>, Box<[u8]>)> {
        if let Form::Coded { values, codes } = &self.form {
            return Some(coded_again(values, codes));
        }
        let mut values = Vec::new();
        let mut codes = vec![0; POSITIONS].into_boxed_slice();
        // Codes of neighbors are often the same.
        let mut last = (NEVER, 0);
        let mut fits = true;
        self.for_each(|position, at| {
            if fits && last.0 != at {
                match code_of(&mut values, at) {
                    Some(code) => last = (at, code),
                    None => fits = false,
                }
            }
            codes.get_mut(usize::from(position)).into_iter().for_each(|slot| *slot = last.1);
        });
        fits.then_some((values, codes))
    }

    fn each(&self) -> Form {
        let mut all = vec![NEVER; POSITIONS].into_boxed_slice();
        self.for_each(|position, at| all.get_mut(usize::from(position)).into_iter().for_each(|slot| *slot = at));
        Form::Each(all)
    }

    pub fn remove(&mut self, position: u16) {
        let index = usize::from(position);
        match &mut self.form {
            Form::Few(list) => {
                if let Ok(found) = list.binary_search_by_key(&position, |(position, _)| *position) {
                    list.remove(found);
                }
            }
            Form::Coded { codes, .. } => codes.get_mut(index).into_iter().for_each(|slot| *slot = 0),
            Form::Each(all) => all.get_mut(index).into_iter().for_each(|slot| *slot = NEVER),
        }
    }

    /// Calls `each` with every position that has an instant, in order.
    pub fn for_each(&self, mut each: impl FnMut(u16, i64)) {
        match &self.form {
            Form::Few(list) => list.iter().for_each(|(position, at)| each(*position, *at)),
            Form::Coded { values, codes } => {
                for (position, code) in (0_u16..).zip(codes) {
                    if let Some(at) = value_of(values, *code) {
                        each(position, at);
                    }
                }
            }
            Form::Each(all) => {
                for (position, at) in (0_u16..).zip(all).filter(|(_, at)| **at != NEVER) {
                    each(position, *at);
                }
            }
        }
    }

    /// Returns the positions that have an instant.
    pub fn present(&self) -> Bits {
        let mut words = [0; WORDS];
        self.for_each(|position, _| put_in(&mut words, position));
        Bits::from_words(&words)
    }

    /// Returns whether an instant may be up to `now`.
    pub fn any_until(&self, now: i64) -> bool {
        self.earliest <= now
    }

    /// Takes out of a set those whose instant is up to `now`.
    pub fn clear_until(&self, words: &mut Words, now: i64) {
        if self.earliest <= now {
            self.clear_where(words, |at| at <= now);
        }
    }

    /// Takes out of a set those whose instant is after `now`.
    pub fn clear_after(&self, words: &mut Words, now: i64) {
        if self.latest > now {
            self.clear_where(words, |at| at > now);
        }
    }

    fn clear_where(&self, words: &mut Words, test: impl Fn(i64) -> bool) {
        match &self.form {
            Form::Few(list) => list.iter().filter(|(_, at)| test(*at)).for_each(|(at, _)| take_out(words, *at)),
            Form::Coded { values, codes } => {
                let mut gone = [false; CODES + 1];
                gone.iter_mut().skip(1).zip(values).for_each(|(gone, at)| *gone = test(*at));
                clear_all(words, codes, |code| gone.get(usize::from(code)).copied().unwrap_or(false));
            }
            Form::Each(all) => clear_all(words, all, |at| at != NEVER && test(at)),
        }
    }

    /// Forgets the instants up to `now` and returns whose they were.
    pub fn forget_until(&mut self, now: i64) -> Bits {
        let mut gone = [0; WORDS];
        self.for_each(|position, at| {
            if at <= now {
                put_in(&mut gone, position);
            }
        });
        let gone = Bits::from_words(&gone);
        gone.positions().for_each(|position| self.remove(position));
        self.compact();
        gone
    }

    /// Goes to the smallest form, and forgets every instant that nobody has any more.
    pub fn compact(&mut self) {
        let mut count = 0;
        (self.earliest, self.latest) = (i64::MAX, NEVER);
        let (mut earliest, mut latest) = (self.earliest, self.latest);
        self.for_each(|_, at| {
            count += 1;
            earliest = earliest.min(at);
            latest = latest.max(at);
        });
        (self.earliest, self.latest) = (earliest, latest);
        if count > FEW {
            match self.coded() {
                Some((values, codes)) => self.form = Form::Coded { values, codes },
                None if matches!(self.form, Form::Each(_)) => {}
                None => self.form = self.each(),
            }
        } else if !matches!(self.form, Form::Few(_)) {
            let mut list = Vec::with_capacity(count);
            self.for_each(|position, at| list.push((position, at)));
            self.form = Form::Few(list);
        }
    }
}

/// Takes the positions whose value passes a test out of a set, a word at a time.
fn clear_all<T: Copy>(words: &mut Words, all: &[T], test: impl Fn(T) -> bool) {
    for (word, values) in words.iter_mut().zip(all.chunks(64)) {
        let gone = values.iter().rev().fold(0, |gone, value| gone << 1 | u64::from(test(*value)));
        *word &= !gone;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn form_number(times: &Times) -> u8 {
        match times.form() {
            Form::Few(_) => 0,
            Form::Coded { .. } => 1,
            Form::Each(_) => 2,
        }
    }

    #[test]
    fn many_people_of_one_instant_share_it_and_different_instants_take_eight_bytes() {
        let mut times = Times::default();
        for (count, instants, form) in [(512, 1, 0), (600, 1, 1), (900, 200, 1), (8_192, 10_000, 2)] {
            for position in 0..count {
                times.set(position, 3 * (i64::from(position) % instants));
            }
            assert_eq!(form_number(&times), form, "{count}");
        }
        assert!((0..8_192).all(|position| times.get(position) == Some(3 * i64::from(position))));
        assert_eq!(times.forget_until(3 * 8_191 - 1).len(), 8_191);
        assert_eq!(form_number(&times), 0);
        assert_eq!(times.get(8_191), Some(3 * 8_191));
        times.remove(8_191);
        times.compact();
        assert!(times.is_empty());
    }

    #[test]
    fn an_instant_that_nobody_has_any_more_is_forgotten() {
        let mut times = Times::default();
        (0..1_000).for_each(|position| times.set(position, 7));
        times.set(5, 1_234_567);
        times.remove(5);
        times.compact();
        assert!(matches!(times.form(), Form::Coded { values, .. } if *values == [7]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Every form answers as a plain map does.
        #[test]
        fn times_agree_with_a_map(
            spread in 1_u16..4_000, kinds in 1_i64..400, steps in prop::collection::vec((any::<u16>(), any::<u16>(), 0_u8..8), 0..2_000),
            now in 0_i64..400,
        ) {
            let mut times = Times::default();
            let mut map = BTreeMap::new();
            for (position, at, what) in steps {
                let (position, at) = (position % spread, i64::from(at) % kinds);
                if what == 0 {
                    times.remove(position);
                    map.remove(&position);
                } else {
                    times.set(position, at);
                    map.insert(position, at);
                }
            }
            for compact in [false, true] {
                if compact {
                    times.compact();
                }
                let mut found = BTreeMap::new();
                times.for_each(|position, at| { found.insert(position, at); });
                prop_assert_eq!(&found, &map);
                let (mut early, mut late) = ([u64::MAX; WORDS], [u64::MAX; WORDS]);
                times.clear_after(&mut early, now);
                times.clear_until(&mut late, now);
                for position in 0..spread {
                    let at = map.get(&position).copied();
                    prop_assert_eq!(times.get(position), at);
                    prop_assert_eq!(Bits::from_words(&early).contains(position), at.is_none_or(|at| at <= now));
                    prop_assert_eq!(Bits::from_words(&late).contains(position), at.is_none_or(|at| at > now));
                }
            }
            times.forget_until(now);
            map.retain(|_, at| *at > now);
            prop_assert_eq!(times.present().positions().collect::<Vec<_>>(), map.keys().copied().collect::<Vec<_>>());
            let last = map.last_key_value().map(|(position, at)| (*position, *at));
            prop_assert_eq!(last.and_then(|(position, _)| times.get(position)), last.map(|(_, at)| at));
        }
    }

    #[test]
    fn a_set_walks_its_positions_in_order() {
        let mut bits = Bits::default();
        let all = [0, 1, 63, 64, 4_095, 8_191];
        all.iter().rev().for_each(|position| bits.insert(*position));
        assert_eq!(bits.positions().collect::<Vec<_>>(), all);
        all.iter().for_each(|position| bits.remove(*position));
        assert!(bits.words().is_none());
        for end in [0, 1, 64, 100, 8_192, 9_000] {
            let end_here = u16::try_from(end.min(8_192)).unwrap();
            let found: Vec<u16> = super::super::bits::positions(&super::super::bits::below(end)).collect();
            assert_eq!(found, (0..end_here).collect::<Vec<_>>());
        }
    }
}
