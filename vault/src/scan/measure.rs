//! Tables of events and of sums: each subject's vector over the cells, clipped as a whole ([`super::Clip`]), then added. And
//! tables of how long these vectors are: each subject in one cell.
//!
//! A subject's vector is complete before it is clipped: its rows are neighbours, over piece ends too. Clipping after the
//! sum over subjects would bound nothing.

use super::axis::Squares;
use super::clip::Scaler;
use super::event_axes::{EventAxes, Places, SubjectAxis};
use super::event_tables::Members;
use super::plan::Slot;
use super::rows::Rows;
use super::view::{View, number};
use super::weights::Weights;
use zeroize::Zeroize;

/// A table of numbers of events, or of sums over them, or of how long vectors of these are.
#[derive(Debug, Clone)]
pub(super) struct MeasureTable {
    pub(super) start: usize,
    /// The cells of a subject's vector.
    pub(super) axes: EventAxes,
    /// What is summed; nothing: each event is one.
    pub(super) sum: Option<Slot>,
    pub(super) then: Then,
    pub(super) from: i64,
    pub(super) until: i64,
}

/// What is done with a subject's vector.
#[derive(Debug, Clone)]
pub(super) enum Then {
    /// It is weighed, clipped, and added to the cells.
    Add { scaler: Scaler, weights: Weights },
    /// The subject is counted by how many of these ascending squares of lengths its vector reaches.
    Count(Vec<u128>),
}

impl MeasureTable {
    /// Says whether events have the same places in both.
    pub(super) fn places_like(&self, other: &Self) -> bool {
        (self.from, self.until) == (other.from, other.until) && self.axes.places_like(&other.axes)
    }
}

/// A table of a number attribute.
#[derive(Debug, Clone)]
pub(super) struct ValueTable {
    pub(super) start: usize,
    pub(super) axes: Vec<SubjectAxis>,
    pub(super) slot: Slot,
    pub(super) adds: Adds,
    pub(super) scaler: Scaler,
}

/// What somebody who has a number adds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Adds {
    One,
    /// The number less a center.
    Value(i64),
    Square(Squares),
}

impl Adds {
    fn of(self, value: i128) -> i64 {
        match self {
            Self::One => 1,
            Self::Value(center) => i64::try_from(value - i128::from(center)).unwrap_or(0),
            Self::Square(squares) => squares.of(value),
        }
    }
}

/// One table being filled.
pub(super) struct Measured<'p> {
    pub(super) table: &'p MeasureTable,
    offsets: Vec<usize>,
    subject: usize,
    /// By place: what the subject whose rows are being read has so far.
    totals: Vec<i64>,
    /// By place: 1 where there was something.
    seen: Vec<u8>,
    /// The first `count` of these are the places where there was something; room for one more than all.
    distinct: Vec<u32>,
    count: usize,
    entries: Vec<i64>,
}

impl<'p> Measured<'p> {
    pub(super) fn new(table: &'p MeasureTable) -> Self {
        let places = table.axes.places();
        Self {
            table,
            offsets: table.axes.offsets(),
            subject: 0,
            totals: vec![0; places],
            seen: vec![0; places],
            distinct: vec![0; places + 1],
            count: 0,
            entries: Vec::with_capacity(places),
        }
    }

    /// Adds the events of a piece, at these places.
    pub(super) fn take(&mut self, rows: &Rows<'_>, places: &Places, members: &Members<'_>, cells: &mut [i64]) {
        let view = self.table.sum.map(|slot| rows.fields.get(slot).copied().unwrap_or(View::Absent));
        for (at, (start, end)) in rows.ranges.iter().enumerate() {
            let subject = rows.first + at;
            if subject != self.subject {
                self.flush(members, cells);
                self.subject = subject;
            }
            let places = places.of(*start, *end);
            match view {
                None => places.iter().for_each(|place| self.add(*place, 1)),
                Some(View::Int64(amounts)) => {
                    let amounts = amounts.get(*start..*end).unwrap_or_default();
                    places.iter().zip(amounts).for_each(|(place, amount)| self.add(*place, number(amount)));
                }
                // A column that is younger than the piece: nothing but missing amounts, which are 0, and vectors of length 0.
                Some(_) if matches!(self.table.then, Then::Count(_)) => {
                    places.iter().for_each(|place| self.add(*place, 0))
                }
                Some(_) => {}
            }
        }
    }

    /// A place of nowhere is beyond all that can be added to. Without a branch on what was seen, which nothing predicts.
    fn add(&mut self, place: u32, amount: i64) {
        if let Some((total, seen)) = self.totals.get_mut(place as usize).zip(self.seen.get_mut(place as usize))
            && let Some(next) = self.distinct.get_mut(self.count)
        {
            *total = total.saturating_add(amount);
            *next = place;
            self.count += usize::from(*seen == 0);
            *seen = 1;
        }
    }

    /// Adds or counts the current subject's vector, times 0 or 1 for membership, and forgets it.
    pub(super) fn flush(&mut self, members: &Members<'_>, cells: &mut [i64]) {
        let member = i64::from(members.mask.get(self.subject).copied().unwrap_or(0));
        match &self.table.then {
            Then::Add { scaler, weights } => {
                let first = self.table.axes.offset_of(self.subject, members.views);
                self.add_clipped(scaler, weights, first, member, cells);
            }
            Then::Count(squares) => self.count_length(squares, member, cells),
        }
        self.count = 0;
    }

    /// Clips the vector, whose first place is so far from the table's first cell, and adds it. What is forgotten is forgotten on the
    /// way, while it is near.
    #[inline]
    fn add_clipped(&mut self, scaler: &Scaler, weights: &Weights, first: usize, member: i64, cells: &mut [i64]) {
        let base = self.table.start + first;
        let distinct = self.distinct.get(..self.count).unwrap_or_default();
        self.entries.clear();
        self.entries.extend(distinct.iter().map(|place| self.totals.get(*place as usize).copied().unwrap_or(0)));
        if weights != &Weights::EVEN {
            let offset = |place: &u32| self.offsets.get(*place as usize).copied().unwrap_or(usize::MAX);
            let weight = |place: &u32| weights.at(first.saturating_add(offset(place)));
            let weights = distinct.iter().map(weight).map(|weight| weight.unwrap_or(Weights::ONE).into());
            self.entries.iter_mut().zip(weights).for_each(|(entry, weight)| *entry = entry.saturating_mul(weight));
        }
        scaler.scale(&mut self.entries);
        for (place, entry) in distinct.iter().zip(&self.entries) {
            let offset = self.offsets.get(*place as usize).copied().unwrap_or(usize::MAX);
            if let Some(cell) = base.checked_add(offset).and_then(|at| cells.get_mut(at)) {
                *cell += entry * member;
            }
            if let Some((total, seen)) = self.totals.get_mut(*place as usize).zip(self.seen.get_mut(*place as usize)) {
                (*total, *seen) = (0, 0);
            }
        }
    }

    /// Adds the subject to the cell of the length of its vector, if it has any.
    fn count_length(&mut self, squares: &[u128], member: i64, cells: &mut [i64]) {
        let (mut squared, distinct) = (0_u128, self.distinct.get(..self.count).unwrap_or_default());
        for place in distinct {
            if let Some((total, seen)) = self.totals.get_mut(*place as usize).zip(self.seen.get_mut(*place as usize)) {
                squared = squared.saturating_add(u128::from(total.unsigned_abs()).pow(2));
                (*total, *seen) = (0, 0);
            }
        }
        let reached = squares.partition_point(|square| *square <= squared);
        if let Some(cell) = self.table.start.checked_add(reached).and_then(|at| cells.get_mut(at)) {
            *cell += super::UNIT * i64::from(!distinct.is_empty()) * member;
        }
    }
}

impl Drop for Measured<'_> {
    fn drop(&mut self) {
        self.totals.zeroize();
        self.seen.zeroize();
        self.distinct.zeroize();
        self.entries.zeroize();
    }
}

impl ValueTable {
    /// Adds a block's members.
    pub(super) fn run(&self, members: &Members<'_>, cells: &mut [i64]) {
        let view = members.views.get(self.slot).copied().unwrap_or(View::Absent);
        for (subject, member) in members.mask.iter().enumerate() {
            let mut entry = [view.value(subject).map_or(0, |value| self.adds.of(value))];
            self.scaler.scale(&mut entry);
            let offset = |axis: &SubjectAxis| {
                members.views.get(axis.slot).map_or(0, |view| view.code(subject, axis.cells)) as usize * axis.stride
            };
            let place = self.start + self.axes.iter().map(offset).sum::<usize>();
            if let Some(cell) = cells.get_mut(place) {
                *cell += entry.iter().sum::<i64>() * i64::from(*member);
            }
            entry.zeroize();
        }
    }
}
