//! Counting members by dictionary codes: the inner loop of every portrait.
//!
//! A column with few codes is compared with each of them, as many rows at a time as the processor has lanes: no table, no
//! branch, and the same work whatever the codes are. Missing is what is left of the members. Crossed with a column of two
//! codes, as members beside the rest are, it is compared twice: for all, and for those of code 1.
//!
//! Of those with more, two columns are counted together: their codes make one index (`a * cells_b + b`, and non-members in a second half of
//! the table), computed sixteen bits wide so that it vectorises; then one increment serves two columns. Four counters
//! an index, used in turn, keep neighbouring rows with equal codes from waiting for each other. The table of a pair
//! stays in the first-level cache, and pairs are folded to single columns once, at the end of a thread's share.

use super::plan::{AttributeTable, Slot};
use super::view::View;
use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch};
use zeroize::Zeroize;

/// Most cells of a column that is compared with each of its codes: beyond, counting by index is quicker.
const COMPARED_CELLS: u32 = 48;

/// Codes that are compared in one pass over the rows, so that their counts stay in registers.
const WAYS: usize = 8;

/// Longest table that 16 bits index.
const NARROW: usize = 1 << 16;

/// Pairs with more cells than this are counted one by one: the table would not stay in the first-level cache.
const PAIR_CELLS: usize = 1_024;

/// Counters of one or two tables over the same rows.
pub(super) enum Counter {
    /// One column of few codes.
    Compared(Compared),
    /// A column of few codes, after one of two.
    Halved(Halved),
    /// Anything else.
    Indexed(Indexed),
}

/// Counters of one column of few codes.
pub(super) struct Compared {
    slot: Slot,
    start: usize,
    cells: usize,
    level: Level,
    members: u32,
    /// From code 1 on.
    counts: Vec<u32>,
    /// Room for the codes of a block.
    narrow: Vec<u8>,
}

/// Counters of one column of few codes, for all members and for those of code 1 in another.
pub(super) struct Halved {
    of: Slot,
    all: Compared,
    half: Compared,
    /// By row of a block: 1 for members of code 1.
    mask: Vec<u8>,
}

/// Counters that are found by a row's codes.
pub(super) struct Indexed {
    a: (Slot, u32),
    b: Option<(Slot, u32)>,
    target: Target,
    counts: Counts,
}

/// Which tables a counter fills, by the place of their first cell.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// The cross of both columns.
    Cross(usize),
    /// Each column by itself.
    Each(usize, usize),
}

enum Counts {
    /// Indexes of 16 bits: members below `cells`, others from `cells` on.
    Narrow(Vec<[u32; 4]>),
    /// Anything longer.
    Wide(Vec<u32>),
}

/// Pairs up the single-column tables and makes a counter for each.
pub(super) fn counters(tables: &[AttributeTable]) -> Vec<Counter> {
    let mut singles = Vec::new();
    let mut counters = Vec::new();
    for table in tables {
        match table.axes.as_slice() {
            [] => counters.push(Indexed::counter((Slot::MAX, 1), None, Target::Cross(table.start))),
            [(slot, cells)] if *cells <= COMPARED_CELLS => counters.push(Compared::counter(*slot, *cells, table.start)),
            [axis] => singles.push((*axis, table.start)),
            [(of, 2), (slot, cells)] if *cells <= COMPARED_CELLS => {
                counters.push(Halved::counter(*of, *slot, *cells, table.start));
            }
            [a, b, ..] => counters.push(Indexed::counter(*a, Some(*b), Target::Cross(table.start))),
        }
    }
    singles.sort_by_key(|((_, cells), _)| *cells);
    let mut rest = singles.as_slice();
    while let [(a, a_start), tail @ ..] = rest {
        rest = match tail {
            [(b, b_start), tail @ ..] if a.1 as usize * b.1 as usize <= PAIR_CELLS => {
                counters.push(Indexed::counter(*a, Some(*b), Target::Each(*a_start, *b_start)));
                tail
            }
            _ => {
                counters.push(Indexed::counter(*a, None, Target::Cross(*a_start)));
                tail
            }
        };
    }
    counters
}

impl Counter {
    /// Counts a block; `mask` is 1 for its `members` and 0 for others, `index` is room to compute in.
    pub(super) fn count(&mut self, views: &[View<'_>], mask: &[u8], members: u32, index: &mut Vec<u16>) {
        match self {
            Self::Compared(compared) => compared.count(views, mask, members),
            Self::Halved(halved) => halved.count(views, mask, members),
            Self::Indexed(indexed) => indexed.count(views, mask, index),
        }
    }

    /// Adds what was counted to the plan's cells, in units.
    pub(super) fn finish(&self, cells: &mut [i64]) {
        match self {
            Self::Compared(compared) => compared.finish(cells),
            Self::Halved(halved) => halved.finish(cells),
            Self::Indexed(indexed) => indexed.finish(cells),
        }
    }
}

impl Compared {
    fn counter(slot: Slot, cells: u32, start: usize) -> Counter {
        Counter::Compared(Self::new(slot, cells, start))
    }

    fn new(slot: Slot, cells: u32, start: usize) -> Self {
        let cells = cells as usize;
        let counts = vec![0; cells.saturating_sub(1).next_multiple_of(WAYS)];
        Self { slot, start, cells, level: Level::new(), members: 0, counts, narrow: Vec::new() }
    }

    fn count(&mut self, views: &[View<'_>], mask: &[u8], members: u32) {
        let view = views.get(self.slot).copied().unwrap_or(View::Absent);
        self.members = self.members.wrapping_add(members);
        let codes = match view {
            View::Code8(codes) => codes,
            // A derived one: few codes, though stored in 16 bits.
            View::Code16(codes) => {
                self.narrow.clear();
                let narrow = |code: &[u8; 2]| u8::try_from(u16::from_le_bytes(*code)).unwrap_or(u8::MAX);
                self.narrow.extend(codes.iter().map(narrow));
                &self.narrow
            }
            View::Int64(_) | View::Bytes(_) | View::Absent => return,
        };
        let counts = self.counts.as_chunks_mut::<WAYS>().0;
        dispatch!(self.level, simd => compare(simd, codes, mask, counts));
    }

    /// Codes that the plan does not know count as missing, which is code 0.
    fn finish(&self, cells: &mut [i64]) {
        let Some(cells) = cells.get_mut(self.start..).and_then(|cells| cells.get_mut(..self.cells)) else { return };
        self.fill(cells);
    }

    fn fill(&self, cells: &mut [i64]) {
        let Some((missing, known)) = cells.split_first_mut() else { return };
        *missing += i64::from(self.members) * super::UNIT;
        for (cell, count) in known.iter_mut().zip(&self.counts) {
            *cell += i64::from(*count) * super::UNIT;
            *missing -= i64::from(*count) * super::UNIT;
        }
    }
}

/// Adds how many members have each code, from 1 on.
#[inline(always)]
fn compare<S: Simd>(simd: S, codes: &[u8], mask: &[u8], counts: &mut [[u32; WAYS]]) {
    let (one, none) = (S::u8s::splat(simd, 1), S::u8s::splat(simd, 0));
    let lanes = S::u8s::LEN;
    // A lane counts to 255 at most before it is added up.
    let most = lanes * 255;
    for (codes, mask) in codes.chunks(most).zip(mask.chunks(most)) {
        let (groups, masks) = (codes.chunks_exact(lanes), mask.chunks_exact(lanes));
        let (rest, rest_mask) = (groups.remainder(), masks.remainder());
        for (counts, first) in counts.iter_mut().zip((1_u8..).step_by(WAYS)) {
            let wanted: [S::u8s; WAYS] =
                [0, 1, 2, 3, 4, 5, 6, 7].map(|way: u8| S::u8s::splat(simd, first.wrapping_add(way)));
            let mut found = [none; WAYS];
            for (group, mask) in groups.clone().zip(masks.clone()) {
                // Others get a code that no column of this kind has.
                let members = S::u8s::from_slice(simd, group) | (S::u8s::from_slice(simd, mask) - one);
                for (found, wanted) in found.iter_mut().zip(wanted) {
                    *found += members.simd_eq(wanted).select(one, none);
                }
            }
            for ((count, found), code) in counts.iter_mut().zip(&found).zip(first..) {
                let rest = rest.iter().zip(rest_mask).filter(|(found, member)| **member == 1 && **found == code);
                let all = found.as_slice().iter().map(|lane| u32::from(*lane)).chain(rest.map(|_| 1)).sum();
                *count = count.wrapping_add(all);
            }
        }
    }
}

impl Halved {
    fn counter(of: Slot, slot: Slot, cells: u32, start: usize) -> Counter {
        let (all, half) = (Compared::new(slot, cells, start), Compared::new(slot, cells, start + cells as usize));
        Counter::Halved(Self { of, all, half, mask: Vec::new() })
    }

    fn count(&mut self, views: &[View<'_>], mask: &[u8], members: u32) {
        self.mask.resize(mask.len(), 0);
        match views.get(self.of).copied().unwrap_or(View::Absent) {
            View::Code8(codes) => halve(&mut self.mask, mask, codes.iter().map(|code| u16::from(*code))),
            View::Code16(codes) => halve(&mut self.mask, mask, codes.iter().map(|code| u16::from_le_bytes(*code))),
            View::Int64(_) | View::Bytes(_) | View::Absent => self.mask.fill(0),
        }
        let half = self.mask.iter().fold(0_u32, |count, member| count.wrapping_add(u32::from(*member)));
        self.all.count(views, mask, members);
        self.half.count(views, &self.mask, half);
    }

    /// Who is not of code 1 is of code 0.
    fn finish(&self, cells: &mut [i64]) {
        self.all.finish(cells);
        self.half.finish(cells);
        let mut half = vec![0; self.half.cells];
        self.half.fill(&mut half);
        cells.iter_mut().skip(self.all.start).zip(&half).for_each(|(cell, half)| *cell -= half);
        half.zeroize();
    }
}

/// Sets who is a member and of code 1.
fn halve(half: &mut [u8], mask: &[u8], codes: impl Iterator<Item = u16>) {
    half.iter_mut().zip(mask).zip(codes).for_each(|((half, member), code)| *half = member & u8::from(code == 1));
}

impl Indexed {
    fn counter(a: (Slot, u32), b: Option<(Slot, u32)>, target: Target) -> Counter {
        let cells = a.1 as usize * b.map_or(1, |(_, cells)| cells as usize);
        let narrow = cells * 2 <= NARROW;
        let counts = if narrow { Counts::Narrow(vec![[0; 4]; cells * 2]) } else { Counts::Wide(vec![0; cells]) };
        Counter::Indexed(Self { a, b, target, counts })
    }

    fn cells(&self) -> usize {
        self.a.1 as usize * self.b.map_or(1, |(_, cells)| cells as usize)
    }

    fn count(&mut self, views: &[View<'_>], mask: &[u8], index: &mut Vec<u16>) {
        let cells = self.cells();
        let a = views.get(self.a.0).copied().unwrap_or(View::Absent);
        match &mut self.counts {
            Counts::Narrow(table) => {
                // Fits: cells * 2 <= 65,536, so each factor and the offset do, `cells` = 65,536 excluded.
                let narrow = |cells: u32| u16::try_from(cells).unwrap_or(u16::MAX);
                let offset = u16::try_from(cells).unwrap_or(0);
                index.clear();
                index.extend(mask.iter().map(|member| u16::from(member ^ 1).wrapping_mul(offset)));
                let stride = self.b.map_or(1, |(_, cells)| narrow(cells));
                add_codes(index, a, narrow(self.a.1), stride);
                if let Some((slot, cells)) = self.b {
                    add_codes(index, views.get(slot).copied().unwrap_or(View::Absent), narrow(cells), 1);
                }
                increment(table, index);
            }
            Counts::Wide(table) => {
                let b = self.b.map(|(slot, cells)| (views.get(slot).copied().unwrap_or(View::Absent), cells));
                for (row, member) in mask.iter().enumerate() {
                    let place = b.map_or(0, |(view, cells)| view.code(row, cells));
                    let stride = b.map_or(1, |(_, cells)| cells);
                    let place = a.code(row, self.a.1) * stride + place;
                    if let Some(count) = table.get_mut(place as usize) {
                        *count = count.wrapping_add(u32::from(*member));
                    }
                }
            }
        }
    }

    fn finish(&self, cells: &mut [i64]) {
        let stride = self.b.map_or(1, |(_, cells)| cells as usize);
        for place in 0..self.cells() {
            let count = self.total(place) * super::UNIT;
            let mut add = |cell: usize| {
                if let Some(cell) = cells.get_mut(cell) {
                    *cell += count;
                }
            };
            match self.target {
                Target::Cross(start) => add(start + place),
                Target::Each(a, b) => {
                    add(a + place / stride);
                    add(b + place % stride);
                }
            }
        }
    }

    fn total(&self, place: usize) -> i64 {
        match &self.counts {
            Counts::Narrow(table) => table.get(place).map_or(0, |lanes| lanes.iter().map(|n| i64::from(*n)).sum()),
            Counts::Wide(table) => table.get(place).map_or(0, |n| i64::from(*n)),
        }
    }
}

impl Drop for Compared {
    fn drop(&mut self) {
        self.members.zeroize();
        self.counts.zeroize();
        self.narrow.zeroize();
    }
}

impl Drop for Halved {
    fn drop(&mut self) {
        self.mask.zeroize();
    }
}

impl Drop for Indexed {
    fn drop(&mut self) {
        let cells = self.cells();
        match &mut self.counts {
            Counts::Narrow(table) => table.iter_mut().take(cells * 2).for_each(Zeroize::zeroize),
            Counts::Wide(table) => table.zeroize(),
        }
    }
}

/// Adds `code * stride` to each index; codes from `cells` on are as missing.
fn add_codes(index: &mut [u16], view: View<'_>, cells: u16, stride: u16) {
    match view {
        View::Code8(codes) => add_limited(index, codes.iter().map(|code| u16::from(*code)), cells, stride),
        View::Code16(codes) => add_limited(index, codes.iter().map(|code| u16::from_le_bytes(*code)), cells, stride),
        View::Int64(_) | View::Bytes(_) | View::Absent => {}
    }
}

fn add_limited(index: &mut [u16], codes: impl Iterator<Item = u16>, cells: u16, stride: u16) {
    let limited = |code: u16| if code < cells { code } else { 0 };
    index
        .iter_mut()
        .zip(codes)
        .for_each(|(index, code)| *index = index.wrapping_add(limited(code).wrapping_mul(stride)));
}

fn increment(table: &mut [[u32; 4]], index: &[u16]) {
    let (quads, rest) = index.as_chunks::<4>();
    for [a, b, c, d] in quads {
        bump::<0>(table, *a);
        bump::<1>(table, *b);
        bump::<2>(table, *c);
        bump::<3>(table, *d);
    }
    rest.iter().for_each(|place| bump::<0>(table, *place));
}

/// A table has fewer than 2^32 rows, since ordinals are u32: no counter wraps.
#[inline(always)]
fn bump<const LANE: usize>(table: &mut [[u32; 4]], place: u16) {
    if let Some(lanes) = table.get_mut(usize::from(place))
        && let Some(count) = lanes.get_mut(LANE)
    {
        *count = count.wrapping_add(1);
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "tests")]
mod tests {
    use super::*;

    /// Both ways of counting against a row by row count, with codes that the plan does not know and rows that no lane fits.
    #[test]
    fn every_way_of_counting_gives_the_rows_count() {
        let mut random = 1_u64;
        let mut next = move |below: u32| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as u32 % below
        };
        for rows in [0, 1, 63, 64, 8_192, 70_001] {
            for cells in [1, 2, 3, 17, 48, 49, 200] {
                let codes: Vec<u8> = (0..rows).map(|_| next((cells + 3).min(256)) as u8).collect();
                let mask: Vec<u8> = (0..rows).map(|_| next(2) as u8).collect();
                let members = mask.iter().map(|member| u32::from(*member)).sum();
                let mut expected = vec![0_i64; cells as usize + 1];
                for (code, member) in codes.iter().zip(&mask) {
                    let code = u32::from(*code);
                    expected[1 + if code < cells { code as usize } else { 0 }] +=
                        i64::from(*member) * crate::scan::UNIT;
                }
                let axes = vec![(0, cells)];
                for view in [View::Code8(&codes), View::Absent] {
                    let mut counted = vec![0_i64; cells as usize + 1];
                    for mut counter in counters(&[AttributeTable { start: 1, axes: axes.clone() }]) {
                        counter.count(&[view], &mask, members, &mut Vec::new());
                        counter.finish(&mut counted);
                    }
                    match view {
                        View::Absent => assert_eq!(counted[1], i64::from(members) * crate::scan::UNIT),
                        _ => assert_eq!(counted, expected, "{rows} rows, {cells} cells"),
                    }
                }
            }
        }
    }

    /// Members beside the rest, by a derived code, against a row by row count.
    #[test]
    fn halves_are_told_apart_whatever_the_layout() {
        let mut dice = crate::scan::tests::Dice(8);
        for (rows, cells) in [(0, 3), (70, 2), (8_192, 17), (8_191, 48)] {
            let draw = |dice: &mut crate::scan::tests::Dice, below: u64| {
                (0..rows).map(|_| dice.below(below) as u8).collect::<Vec<u8>>()
            };
            let (halves, codes, mask) = (draw(&mut dice, 2), draw(&mut dice, cells + 2), draw(&mut dice, 2));
            let wide = |codes: &[u8]| codes.iter().map(|code| [*code, 0]).collect::<Vec<[u8; 2]>>();
            let (wide_halves, wide_codes) = (wide(&halves), wide(&codes));
            let mut expected = vec![0_i64; 2 * cells as usize];
            for ((half, code), member) in halves.iter().zip(&codes).zip(&mask) {
                let code = if u64::from(*code) < cells { usize::from(*code) } else { 0 };
                expected[usize::from(*half) * cells as usize + code] += i64::from(*member) * crate::scan::UNIT;
            }
            let members = mask.iter().map(|member| u32::from(*member)).sum();
            let layouts =
                [[View::Code16(&wide_halves), View::Code8(&codes)], [View::Code8(&halves), View::Code16(&wide_codes)]];
            for views in layouts {
                let mut counted = vec![0_i64; 2 * cells as usize];
                let table = AttributeTable { start: 0, axes: vec![(0, 2), (1, cells as u32)] };
                for mut counter in counters(&[table]) {
                    assert!(matches!(counter, Counter::Halved(_)));
                    counter.count(&views, &mask, members, &mut Vec::new());
                    counter.finish(&mut counted);
                }
                assert_eq!(counted, expected, "{rows} rows, {cells} cells");
            }
        }
    }
}
