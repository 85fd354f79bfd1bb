//! What people are shown of an answer: post-processing of released numbers only, so it costs nothing.
//!
//! Draws stay as they are in the stored answer; what is shown here is never negative and, for portraits, adds up.

use super::question::{Answer, Cell, Counted, Dimension, Table};

/// A cell as it is shown, in people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownCell {
    /// Codes along the table's fields: 0 is missing, 1.. the domain.
    pub codes: Vec<u16>,
    /// The best estimate, at least 0.
    pub people: u64,
    /// Ends of the 95 % interval, noise only, at least 0.
    pub low: u64,
    /// See `low`.
    pub high: u64,
    /// The draw, rounded to people, unclamped: adds up without bias.
    pub unclamped: i64,
}

/// A number with its standard deviation, both in 1/1024 of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// The estimate, unclamped.
    pub value: i64,
    /// Its standard deviation, rounded up.
    pub sigma: u64,
}

const UNIT: i64 = crate::scan::UNIT;

/// Returns one total for all tables that count every member exactly once (those over attributes, and sizes): each
/// table's sum estimates it with variance `cells * sigma^2`, and the inverse-variance mean of them is the best. `None`
/// if no table does.
pub fn shared_total(answer: &Answer) -> Option<Estimate> {
    let covering = answer.tables.iter().filter(|table| covers_everyone(table));
    total_of(answer, covering.map(|table| sum(table.cells.iter())))
}

/// Counts cells and adds them up.
fn sum<'a>(cells: impl Iterator<Item = &'a Cell>) -> (i128, i128) {
    cells.fold((0, 0), |(count, sum), cell| (count + 1, sum + i128::from(cell.noised)))
}

/// The mean of sums of so many draws each, by inverse variance.
fn total_of(answer: &Answer, sums: impl Iterator<Item = (i128, i128)>) -> Option<Estimate> {
    // Weights 1 / cells, over a common denominator.
    let scale = 1_i128 << 32;
    let (mut weighted, mut weights) = (0_i128, 0_i128);
    for (cells, sum) in sums {
        let weight = scale.checked_div(cells)?;
        weighted += weight * sum;
        weights += weight;
    }
    let value = i64::try_from(divide(weighted, weights)?).ok()?;
    let variance = u128::from(answer.sigma_1024).pow(2) * scale.unsigned_abs() / weights.unsigned_abs();
    Some(Estimate { value, sigma: u64::try_from(variance.isqrt() + 1).ok()? })
}

/// Returns the tables of the members of a segment (`member` is 1) or of the rest (0), where an answer has both in disjoint
/// cells. Without their first dimension these are an answer of their own, and its total is that of the half.
pub fn half(answer: &Answer, member: u16) -> Answer {
    let cell = |cell: &Cell| match cell.codes.as_slice() {
        [first, rest @ ..] if *first == member => Some(Cell { codes: rest.to_vec(), noised: cell.noised }),
        _ => None,
    };
    let half = |table: &Table| Table {
        by: table.by.iter().skip(1).cloned().collect(),
        cells: table.cells.iter().filter_map(cell).collect(),
        ..table.clone()
    };
    let halves = answer.tables.iter().filter(|table| has_halves(table));
    Answer { tables: halves.map(half).collect(), ..answer.clone() }
}

/// Says whether a table is of the members of a segment and of the rest, in disjoint cells.
pub fn has_halves(table: &Table) -> bool {
    table.by.first() == Some(&Dimension::Member)
}

/// Returns a table's cells as they are shown. With a shared total, a table that counts everyone once is first moved to
/// it: the difference is spread evenly, which is the least-squares fit. Where an answer is of members and the rest, each half
/// is moved to its own total, and these add up to that of all.
pub fn shown(answer: &Answer, table: &Table, total: Option<Estimate>) -> Vec<ShownCell> {
    let shifts = match total {
        Some(_) if has_halves(table) => shifts(table, &totals_of_halves(answer)),
        _ => shifts(table, &[total]),
    };
    let people = |units: i64| (units.max(0) + UNIT / 2).unsigned_abs() / UNIT.unsigned_abs();
    let show = |(at, (cell, shift)): (usize, (&Cell, i64))| {
        let half_width = table.noise_of(at, answer.noise()).half_width_1024;
        let half = i64::try_from(half_width).unwrap_or(i64::MAX);
        let value = cell.noised.saturating_add(shift);
        ShownCell {
            codes: cell.codes.clone(),
            people: people(value),
            low: value.saturating_sub(half).max(0).unsigned_abs() / UNIT.unsigned_abs(),
            high: value.saturating_add(half).max(0).unsigned_abs().div_ceil(UNIT.unsigned_abs()),
            unclamped: cell.noised.saturating_add(UNIT / 2).div_euclid(UNIT),
        }
    };
    table.cells.iter().zip(shifts).enumerate().map(show).collect()
}

/// Returns an answer all of whose tables that count everyone once add up to their shared total, or each half of them to its
/// own, with no cell of them below nothing: the nearest such tables. As their total is known better than any cell, they are
/// nearer to the truth than what was drawn, and what the answer states of its noise is a little more than what is left of it.
pub fn consistent(answer: &Answer) -> Answer {
    let totals = if answer.tables.iter().any(has_halves) {
        totals_of_halves(answer).to_vec()
    } else {
        vec![shared_total(answer)]
    };
    let moved = |table: &Table| {
        if !covers_everyone(table) {
            return table.clone();
        }
        let length = table.cells.len().div_ceil(totals.len().max(1)).max(1);
        let parts = table.cells.chunks(length).zip(&totals);
        Table { cells: parts.flat_map(|(part, total)| fitted(part, *total)).collect(), ..table.clone() }
    };
    Answer { tables: answer.tables.iter().map(moved).collect(), ..answer.clone() }
}

/// The nearest cells that add up to a total and are not below nothing: all are moved alike, but for those that would fall
/// below, which become nothing (the projection onto a simplex, by sorting: Held, Wolfe and Crowder 1974).
fn fitted(cells: &[Cell], total: Option<Estimate>) -> Vec<Cell> {
    let Some(total) = total.map(|total| i128::from(total.value.max(0))) else { return cells.to_vec() };
    let mut sorted: Vec<i128> = cells.iter().map(|cell| i128::from(cell.noised)).collect();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    // Of nobody at all every cell is nothing.
    let (mut sum, mut down) = (0, sorted.first().copied().unwrap_or(0));
    for (value, count) in sorted.iter().zip(1_i128..) {
        sum += value;
        let needed = (sum - total).div_euclid(count);
        if value - needed > 0 {
            down = needed;
        }
    }
    let move_down = |cell: &Cell| {
        let moved = (i128::from(cell.noised) - down).max(0);
        Cell { codes: cell.codes.clone(), noised: i64::try_from(moved).unwrap_or(i64::MAX) }
    };
    cells.iter().map(move_down).collect()
}

/// Those of the rest first, as their codes are.
fn totals_of_halves(answer: &Answer) -> [Option<Estimate>; 2] {
    let covering = || answer.tables.iter().filter(|table| has_halves(table) && covers_everyone(table));
    [0, 1].map(|member| {
        let half = |cell: &&Cell| cell.codes.first() == Some(&member);
        total_of(answer, covering().map(|table| sum(table.cells.iter().filter(half))))
    })
}

/// By how much each cell of a table is moved, whose parts, as long as each other and one after the other, have a total each.
fn shifts(table: &Table, totals: &[Option<Estimate>]) -> Vec<i64> {
    let length = table.cells.len().div_ceil(totals.len().max(1)).max(1);
    let shift = |(part, total): (&[Cell], &Option<Estimate>)| {
        let cells = i64::try_from(part.len()).unwrap_or(i64::MAX).max(1);
        let sum: i64 = part.iter().map(|cell| cell.noised).sum();
        let total = total.filter(|_| covers_everyone(table));
        vec![total.map_or(0, |total| (total.value - sum).div_euclid(cells)); part.len()]
    };
    table.cells.chunks(length).zip(totals).flat_map(shift).collect()
}

/// How many took at least each step, from the first on (which is everyone), given the cells of who took how many: draws of
/// disjoint cells add up, so what is shown never grows from step to step.
pub fn reached(answer: &Answer, table: &Table) -> Vec<Estimate> {
    let mut sum = Estimate { value: 0, sigma: 0 };
    let mut reached: Vec<Estimate> = Vec::with_capacity(table.cells.len());
    for (cells, cell) in (1_u128..).zip(table.cells.iter().rev()) {
        let variance = u128::from(answer.sigma_1024).pow(2) * cells;
        let sigma = u64::try_from(variance.isqrt() + 1).unwrap_or(u64::MAX);
        sum = Estimate { value: sum.value.saturating_add(cell.noised), sigma };
        reached.push(sum);
    }
    reached.reverse();
    reached
}

/// Makes numbers that should not grow be so, moving them as little as can be (the least-squares fit, by pooling neighbours
/// that do: Barlow et al. 1972), and not below 0.
pub fn falling(values: &[i64]) -> Vec<i64> {
    let mut pools: Vec<(i128, i128)> = Vec::new();
    for value in values {
        let mut pool = (i128::from(*value), 1);
        while let Some((sum, count)) = pools.pop_if(|(sum, count)| *sum * pool.1 < pool.0 * *count) {
            pool = (pool.0 + sum, pool.1 + count);
        }
        pools.push(pool);
    }
    let mean = |(sum, count): (i128, i128)| {
        let mean = i64::try_from(sum.div_euclid(count.max(1))).unwrap_or(0).max(0);
        std::iter::repeat_n(mean, usize::try_from(count).unwrap_or(0))
    };
    pools.into_iter().flat_map(mean).collect()
}

/// Says whether two independent estimates differ by more than their noise explains at 95 %. If not, a reader is told
/// "no difference shown".
pub fn differ(a: Estimate, b: Estimate) -> bool {
    let gap = (i128::from(a.value) - i128::from(b.value)).unsigned_abs();
    let variance = u128::from(a.sigma).pow(2) + u128::from(b.sigma).pow(2);
    gap * gap * 10_000 > variance * 196 * 196
}

/// Says whether each member is in exactly one cell of a table: nothing that is about events, and no selection of cells.
pub fn covers_everyone(table: &Table) -> bool {
    let whole = table.cells.first().is_none_or(|cell| cell.codes.iter().all(|code| *code == 0));
    whole && table.counted == Counted::People && table.by.iter().all(Dimension::covers_everyone)
}

/// Division to the nearest, halves up.
fn divide(value: i128, by: i128) -> Option<i128> {
    (value + by / 2).checked_div_euclid(by)
}
