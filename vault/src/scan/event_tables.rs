//! Tables over event fields: in how many cells each subject was seen, clipped subject by subject.
//!
//! A subject's contribution to a table is its 0/1 vector over the distinct cells it was seen in, times
//! [`super::UNIT`]. Up to `l0` cells it counts fully; with `m > l0` each cell counts
//! `floor(UNIT * sqrt(l0 / m))`, so that the integer norm squared, `m * w^2`, is at most `UNIT^2 * l0` for every `m`.

use super::event_axes::Places;
use super::few::{Moments, bits};
use super::measure::{MeasureTable, Measured};
use super::plan::{EventPlan, EventTable};
use super::rows::{Pieces, Rows};
use super::view::View;
use crate::blocks::{BlockError, Buffer};
use zeroize::Zeroize;

/// What a subject with `m` distinct cells adds to each of them under the bound `l0`.
pub(super) fn weight(m: u64, l0: u64) -> i64 {
    let unit = super::UNIT.unsigned_abs();
    let full = unit * unit * l0.max(1);
    i64::try_from((full / m.max(1)).isqrt().min(unit)).unwrap_or(0)
}

/// The members of a block and their attributes.
pub(super) struct Members<'a> {
    /// One byte a subject, 0 or 1.
    pub(super) mask: &'a [u8],
    /// The plan's attribute columns.
    pub(super) views: &'a [View<'a>],
}

/// Adds all tables of one event type over a block to `cells`.
pub(super) fn run_tables(
    plan: &EventPlan,
    pieces: &Pieces<'_>,
    members: &Members<'_>,
    buffer: &mut Buffer,
    cells: &mut [i64],
) -> Result<(), BlockError> {
    let mut tallies: Vec<Tally<'_>> = plan.tables.iter().map(Tally::new).collect();
    let mut measured: Vec<Measured<'_>> = plan.measures.iter().map(Measured::new).collect();
    let (mut places, mut moments) = (Places::default(), Moments::default());
    pieces.each(plan, buffer, |rows| {
        moments.begin();
        for tally in &mut tallies {
            let EventTable { axes, from, until, .. } = tally.table;
            if let Some(axis) = axes.few() {
                tally.take_few(rows, moments.place(rows, axis, (*from, *until)), members, cells);
            } else {
                axes.place(rows, (*from, *until), &mut places);
                tally.take(rows, &places, members, cells);
            }
        }
        let mut placed: Option<&MeasureTable> = None;
        for measured in &mut measured {
            let table = measured.table;
            // Tables of one question differ in what they measure, seldom in where.
            if placed.is_none_or(|before| !before.places_like(table)) {
                table.axes.place(rows, (table.from, table.until), &mut places);
                placed = Some(table);
            }
            measured.take(rows, &places, members, cells);
        }
    })?;
    tallies.iter_mut().for_each(|tally| tally.flush(members, cells));
    measured.iter_mut().for_each(|measured| measured.flush(members, cells));
    Ok(())
}

/// One table being filled. Holds the distinct codes of the subject whose rows are being read, over piece ends too.
struct Tally<'p> {
    table: &'p EventTable,
    /// By number of distinct cells.
    weights: Vec<i64>,
    /// By place: where its cell is.
    offsets: Vec<usize>,
    subject: usize,
    /// By place: 1 where this subject was seen.
    seen: Vec<u8>,
    distinct: Vec<u32>,
    /// The same as bits, where there are few places.
    bits: u64,
}

impl<'p> Tally<'p> {
    fn new(table: &'p EventTable) -> Self {
        let (l0, places) = (u64::from(table.max_distinct), table.axes.places());
        let weights = (0..).take(places + 1).map(|m| weight(m, l0)).collect();
        let offsets = table.axes.offsets();
        Self { table, weights, offsets, subject: 0, seen: vec![0; places], distinct: Vec::new(), bits: 0 }
    }

    fn take_few(&mut self, rows: &Rows<'_>, places: &[u8], members: &Members<'_>, cells: &mut [i64]) {
        for (at, (start, end)) in rows.ranges.iter().enumerate() {
            let subject = rows.first + at;
            if subject != self.subject {
                self.flush(members, cells);
                self.subject = subject;
            }
            self.bits |= bits(places.get(*start..*end).unwrap_or_default());
        }
    }

    fn take(&mut self, rows: &Rows<'_>, places: &Places, members: &Members<'_>, cells: &mut [i64]) {
        for (place, (start, end)) in rows.ranges.iter().enumerate() {
            let subject = rows.first + place;
            if subject != self.subject {
                self.flush(members, cells);
                self.subject = subject;
            }
            places.of(*start, *end).iter().for_each(|place| self.see(*place));
        }
    }

    /// A place of nowhere is beyond all that can be seen.
    fn see(&mut self, place: u32) {
        if let Some(seen) = self.seen.get_mut(place as usize)
            && *seen == 0
        {
            *seen = 1;
            self.distinct.push(place);
        }
    }

    /// Adds the current subject, times 0 or 1 for membership.
    fn flush(&mut self, members: &Members<'_>, cells: &mut [i64]) {
        let member = i64::from(members.mask.get(self.subject).copied().unwrap_or(0));
        let base = self.table.start + self.table.axes.offset_of(self.subject, members.views);
        self.flush_bits(member, base, cells);
        let weight = self.weights.get(self.distinct.len()).copied().unwrap_or(0) * member;
        for place in self.distinct.drain(..) {
            let offset = self.offsets.get(place as usize).copied().unwrap_or(usize::MAX);
            if let Some(cell) = base.checked_add(offset).and_then(|at| cells.get_mut(at)) {
                *cell += weight;
            }
            if let Some(seen) = self.seen.get_mut(place as usize) {
                *seen = 0;
            }
        }
    }
}

impl Tally<'_> {
    fn flush_bits(&mut self, member: i64, base: usize, cells: &mut [i64]) {
        let weight = self.weights.get(self.bits.count_ones() as usize).copied().unwrap_or(0) * member;
        while self.bits != 0 {
            let offset = self.offsets.get(self.bits.trailing_zeros() as usize).copied().unwrap_or(usize::MAX);
            if let Some(cell) = base.checked_add(offset).and_then(|at| cells.get_mut(at)) {
                *cell += weight;
            }
            self.bits &= self.bits - 1;
        }
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        self.bits.zeroize();
        self.distinct.zeroize();
        self.seen.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_cells_exceeds_the_bound() {
        for l0 in 1..=64_u64 {
            let bound = super::super::UNIT.pow(2) as u64 * l0;
            for m in 1..=4_097_u64 {
                let weight = weight(m, l0) as u64;
                assert!(m * weight * weight <= bound, "{m} cells under {l0}");
                assert!(m > l0 || weight == 1_024, "{m} cells under {l0} count fully");
                assert!(m <= l0 || m * (weight + 1) * (weight + 1) > bound, "{m} under {l0} loses more than rounding");
            }
        }
    }
}
