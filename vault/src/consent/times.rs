//! Instants of a block's people, in layers: a shared [`Form`], and a few changes to it.
//!
//! A change beside a question that is still being answered copies the changes, not the form, which may have 64 KiB; only
//! every [`MOST_CHANGES`] of them make a new one. After [`Times::compact`] there are no changes left, the form depends on
//! the content alone, and no instant is kept that nobody has.

use super::bits::{Bits, WORDS, Words, put_in, take_out};
use super::form::{Form, NEVER};
use std::sync::Arc;
use zeroize::Zeroize;

/// Most changes beside a shared form: 1 KiB.
const MOST_CHANGES: usize = 64;

/// Instants of some positions of a block, at most one each.
#[derive(Clone)]
pub(super) struct Times {
    form: Arc<Form>,
    /// Outweigh the form; [`NEVER`] takes an instant away. Sorted by position.
    changes: Vec<(u16, i64)>,
    /// No instant is before this one, nor after `latest`; wider than needed until [`Times::compact`].
    earliest: i64,
    latest: i64,
}

impl Drop for Times {
    fn drop(&mut self) {
        self.changes.zeroize();
    }
}

impl Default for Times {
    fn default() -> Self {
        Self::from_form(Form::Few(Vec::new()))
    }
}

impl Times {
    /// Takes over what was stored, whose form is sound.
    pub fn from_form(form: Form) -> Self {
        let mut times = Self { form: Arc::new(form), changes: Vec::new(), earliest: i64::MAX, latest: NEVER };
        times.compact();
        times
    }

    /// Returns the form; it is everything only after [`Times::compact`].
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// True only if no position has an instant; certain after [`Times::compact`].
    pub fn is_empty(&self) -> bool {
        self.earliest > self.latest
    }

    fn change(&self, position: u16) -> Result<usize, usize> {
        self.changes.binary_search_by_key(&position, |(position, _)| *position)
    }

    pub fn get(&self, position: u16) -> Option<i64> {
        match self.change(position) {
            Ok(found) => self.changes.get(found).map(|(_, at)| *at).filter(|at| *at != NEVER),
            Err(_) => self.form.get(position),
        }
    }

    /// Sets the instant of a position, which a block must have.
    pub fn set(&mut self, position: u16, at: i64) {
        // No event is that old; the mark for none must not be one.
        let at = at.max(NEVER + 1);
        self.earliest = self.earliest.min(at);
        self.latest = self.latest.max(at);
        self.write(position, at);
    }

    pub fn remove(&mut self, position: u16) {
        if self.get(position).is_some() {
            self.write(position, NEVER);
        }
    }

    fn write(&mut self, position: u16, at: i64) {
        let place = match self.change(position) {
            Ok(found) => return self.changes.get_mut(found).into_iter().for_each(|change| change.1 = at),
            Err(place) => place,
        };
        if let Some(form) = Arc::get_mut(&mut self.form) {
            return form.write(position, at);
        }
        self.changes.insert(place, (position, at));
        if self.changes.len() > MOST_CHANGES {
            self.settle();
        }
    }

    /// Puts the changes into a form of its own.
    fn settle(&mut self) {
        if !self.changes.is_empty() {
            let form = Arc::make_mut(&mut self.form);
            self.changes.iter().for_each(|(position, at)| form.write(*position, *at));
            self.changes.zeroize();
        }
    }

    /// Calls `each` with every position that has an instant, in order.
    pub fn for_each(&self, mut each: impl FnMut(u16, i64)) {
        if self.changes.is_empty() {
            return self.form.for_each(each);
        }
        let mut each = |position, at| {
            if at != NEVER {
                each(position, at);
            }
        };
        let mut changes = self.changes.iter().copied().peekable();
        self.form.for_each(|position, at| {
            while let Some((before, at)) = changes.next_if(|(changed, _)| *changed < position) {
                each(before, at);
            }
            let changed = changes.next_if(|(changed, _)| *changed == position);
            each(position, changed.map_or(at, |(_, at)| at));
        });
        changes.for_each(|(position, at)| each(position, at));
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
        let before = *words;
        self.form.clear_where(words, &test);
        let was_in = Bits::from_words(&before);
        for (position, at) in &self.changes {
            if *at != NEVER && test(*at) {
                take_out(words, *position);
            } else if was_in.contains(*position) {
                put_in(words, *position);
            }
        }
    }

    /// Forgets the instants up to `now` and returns whose they were.
    pub fn forget_until(&mut self, now: i64) -> Bits {
        if self.earliest > now {
            return Bits::default();
        }
        if self.latest <= now {
            let gone = self.present();
            *self = Self::default();
            return gone;
        }
        let mut gone = [0; WORDS];
        self.for_each(|position, at| {
            if at <= now {
                put_in(&mut gone, position);
            }
        });
        let gone = Bits::from_words(&gone);
        self.remove_all(&gone);
        gone
    }

    /// Removes several instants, and every one that nobody has any more.
    pub fn remove_all(&mut self, gone: &Bits) {
        self.settle();
        let gone: Vec<u16> = gone.positions().filter(|position| self.form.get(*position).is_some()).collect();
        if !gone.is_empty() {
            let form = Arc::make_mut(&mut self.form);
            gone.iter().for_each(|position| form.write(*position, NEVER));
        }
        // The other forms hold no instant of nobody's.
        if !gone.is_empty() || matches!(*self.form, Form::Coded { .. }) {
            self.compact();
        }
    }

    /// Goes to the smallest form, and forgets every instant that nobody has any more.
    pub fn compact(&mut self) {
        self.settle();
        let (mut count, mut earliest, mut latest) = (0, i64::MAX, NEVER);
        self.form.for_each(|_, at| {
            count += 1;
            earliest = earliest.min(at);
            latest = latest.max(at);
        });
        (self.earliest, self.latest) = (earliest, latest);
        if let Some(form) = self.form.compacted(count) {
            self.form = Arc::new(form);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::consent::bits::{below, positions};
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
            let mut pinned = times.clone();
            for (position, at, what) in steps {
                let (position, at) = (position % spread, i64::from(at) % kinds);
                if what == 7 {
                    // As a question does that is being answered; now and then it goes.
                    pinned = times.clone();
                } else if what == 6 {
                    pinned = Times::default();
                } else if what == 0 {
                    times.remove(position);
                    map.remove(&position);
                } else {
                    times.set(position, at);
                    map.insert(position, at);
                }
            }
            drop(pinned);
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
            let found: Vec<u16> = positions(&below(end)).collect();
            assert_eq!(found, (0..end_here).collect::<Vec<_>>());
        }
    }
}
