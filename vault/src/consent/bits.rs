//! Sets of positions in one block.

use crate::blocks::BLOCK_SUBJECTS;
use zeroize::Zeroize;

/// Positions of a block.
pub(super) const POSITIONS: usize = BLOCK_SUBJECTS as usize;

/// Words of a set.
pub(super) const WORDS: usize = POSITIONS / 64;

/// A set while a question about it is worked out; the lowest bit of the first word is position 0.
pub(super) type Words = [u64; WORDS];

fn place(position: u16) -> (usize, u64) {
    (usize::from(position) / 64, 1 << (position % 64))
}

/// Puts a position in. One that no block has changes nothing.
pub(super) fn put_in(words: &mut Words, position: u16) {
    let (word, bit) = place(position);
    if let Some(word) = words.get_mut(word) {
        *word |= bit;
    }
}

/// Takes a position out.
pub(super) fn take_out(words: &mut Words, position: u16) {
    let (word, bit) = place(position);
    if let Some(word) = words.get_mut(word) {
        *word &= !bit;
    }
}

/// Returns the positions below `end`.
pub(super) fn below(end: u32) -> Words {
    let mut words = [0; WORDS];
    for (word, first) in words.iter_mut().zip((0_u32..).step_by(64)) {
        *word = match end.saturating_sub(first) {
            0 => 0,
            here @ 1..64 => (1 << here) - 1,
            _ => u64::MAX,
        };
    }
    words
}

/// Walks the positions of a set, in order.
pub(super) fn positions(words: &Words) -> impl Iterator<Item = u16> + '_ {
    (0_u16..).step_by(64).zip(words).flat_map(|(first, word)| {
        let next = |rest: &u64| Some(rest & (rest - 1)).filter(|rest| *rest != 0);
        let rests = std::iter::successors(Some(*word).filter(|word| *word != 0), next);
        rests.map(move |rest| first + u16::try_from(rest.trailing_zeros()).unwrap_or(0))
    })
}

/// A set of positions: nothing, or 1 KiB. Wiped on drop.
#[derive(Clone, Default)]
pub(super) struct Bits(Option<Box<Words>>);

impl Bits {
    pub fn from_words(words: &Words) -> Self {
        Self(words.iter().any(|word| *word != 0).then(|| Box::new(*words)))
    }

    pub fn words(&self) -> Option<&Words> {
        self.0.as_deref()
    }

    pub fn len(&self) -> usize {
        self.positions().count()
    }

    pub fn positions(&self) -> impl Iterator<Item = u16> + '_ {
        self.words().into_iter().flat_map(positions)
    }

    pub fn contains(&self, position: u16) -> bool {
        let (word, bit) = place(position);
        self.words().and_then(|words| words.get(word)).is_some_and(|word| word & bit != 0)
    }

    pub fn insert(&mut self, position: u16) {
        put_in(self.0.get_or_insert_with(|| Box::new([0; WORDS])), position);
    }

    pub fn remove(&mut self, position: u16) {
        if self.contains(position) {
            self.0.as_deref_mut().into_iter().for_each(|words| take_out(words, position));
            self.settle();
        }
    }

    pub fn remove_all(&mut self, gone: &Self) {
        if let Some(words) = self.0.as_deref_mut() {
            gone.clear_in(words);
            self.settle();
        }
    }

    /// Gives the memory of an empty set back.
    fn settle(&mut self) {
        if self.words().is_some_and(|words| words.iter().all(|word| *word == 0)) {
            self.0 = None;
        }
    }

    pub fn insert_all(&mut self, more: &Self) {
        let Some(more) = more.words() else { return };
        let words = self.0.get_or_insert_with(|| Box::new([0; WORDS]));
        words.iter_mut().zip(more).for_each(|(word, more)| *word |= more);
    }

    /// Takes these positions out of a set.
    pub fn clear_in(&self, words: &mut Words) {
        if let Some(mine) = self.words() {
            words.iter_mut().zip(mine).for_each(|(word, mine)| *word &= !mine);
        }
    }

    pub fn is_within(&self, wider: &Self) -> bool {
        match (self.words(), wider.words()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(wider)) => mine.iter().zip(wider).all(|(mine, wider)| mine & !wider == 0),
        }
    }

    pub fn is_apart_from(&self, other: &Self) -> bool {
        let (Some(mine), Some(other)) = (self.words(), other.words()) else { return true };
        mine.iter().zip(other).all(|(mine, other)| mine & other == 0)
    }
}

impl Drop for Bits {
    fn drop(&mut self) {
        if let Some(words) = self.0.as_deref_mut() {
            words.zeroize();
        }
    }
}
