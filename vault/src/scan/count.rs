//! Counting members by dictionary codes: the inner loop of every portrait.
//!
//! Two columns are counted together: their codes make one index (`a * cells_b + b`, and non-members in a second half of
//! the table), computed sixteen bits wide so that it vectorises; then one increment serves two columns. Four counters
//! an index, used in turn, keep neighbouring rows with equal codes from waiting for each other. The table of a pair
//! stays in the first-level cache, and pairs are folded to single columns once, at the end of a thread's share.

use super::plan::{AttributeTable, Slot};
use super::view::View;
use zeroize::Zeroize;

/// Longest table that 16 bits index.
const NARROW: usize = 1 << 16;

/// Pairs with more cells than this are counted one by one: the table would not stay in the first-level cache.
const PAIR_CELLS: usize = 1_024;

/// Counters of one or two tables over the same rows.
pub(super) struct Counter {
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
            [] => counters.push(Counter::new((Slot::MAX, 1), None, Target::Cross(table.start))),
            [axis] => singles.push((*axis, table.start)),
            [a, b, ..] => counters.push(Counter::new(*a, Some(*b), Target::Cross(table.start))),
        }
    }
    singles.sort_by_key(|((_, cells), _)| *cells);
    let mut rest = singles.as_slice();
    while let [(a, a_start), tail @ ..] = rest {
        rest = match tail {
            [(b, b_start), tail @ ..] if a.1 as usize * b.1 as usize <= PAIR_CELLS => {
                counters.push(Counter::new(*a, Some(*b), Target::Each(*a_start, *b_start)));
                tail
            }
            _ => {
                counters.push(Counter::new(*a, None, Target::Cross(*a_start)));
                tail
            }
        };
    }
    counters
}

impl Counter {
    fn new(a: (Slot, u32), b: Option<(Slot, u32)>, target: Target) -> Self {
        let cells = a.1 as usize * b.map_or(1, |(_, cells)| cells as usize);
        let narrow = cells * 2 <= NARROW;
        let counts = if narrow { Counts::Narrow(vec![[0; 4]; cells * 2]) } else { Counts::Wide(vec![0; cells]) };
        Self { a, b, target, counts }
    }

    fn cells(&self) -> usize {
        self.a.1 as usize * self.b.map_or(1, |(_, cells)| cells as usize)
    }

    /// Counts a block; `mask` is 1 for members, `index` is room to compute in.
    pub(super) fn count(&mut self, views: &[View<'_>], mask: &[u8], index: &mut Vec<u16>) {
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

    /// Adds what was counted to the plan's cells, in units.
    pub(super) fn finish(&self, cells: &mut [i64]) {
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

impl Drop for Counter {
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
