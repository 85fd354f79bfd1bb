//! Event tests: one linear pass over the rows of each piece, one accumulator a subject.

use super::condition::{Masks, Node, Truth, and};
use super::plan::{BoundsPlan, EventPlan, EventTestPlan, MeasurePlan};
use super::rows::{Pieces, Rows};
use super::sequence_pass::Track;
use super::view::{View, number};
use crate::blocks::{BlockError, Buffer};
use fearless_simd::{Level, dispatch};
use zeroize::Zeroize;

/// What a plan's conditions say of a block's subjects besides their attributes.
pub(super) struct Outcomes {
    /// By number.
    pub(super) truths: Vec<Truth>,
    /// By sequence: what it looks at, one track an event type.
    pub(super) tracks: Vec<Vec<Track>>,
}

/// Runs all tests of one event type over a block of `subjects`, sets the outcome of each, and collects what sequences look
/// at.
pub(super) fn run_tests(
    plan: &EventPlan,
    pieces: &Pieces<'_>,
    subjects: usize,
    buffer: &mut Buffer,
    masks: &mut Masks,
    outcomes: &mut Outcomes,
) -> Result<(), BlockError> {
    let mut accumulators: Vec<Accumulator> = plan.tests.iter().map(|test| Accumulator::new(test, subjects)).collect();
    let mut tracks: Vec<Track> = plan.tracks.iter().map(|_| Track::new(subjects, pieces.rows())).collect();
    pieces.each(plan, buffer, |rows| {
        for (test, accumulator) in plan.tests.iter().zip(&mut accumulators) {
            let mask = matching(test, rows, masks);
            accumulator.take(rows, &mask);
            masks.give(mask);
        }
        plan.tracks.iter().zip(&mut tracks).for_each(|(plan, track)| track.take(plan, rows, masks));
    })?;
    for (test, accumulator) in plan.tests.iter().zip(&mut accumulators) {
        accumulator.flush();
        for bounds in &test.outcomes {
            if let Some(outcome) = outcomes.truths.get_mut(bounds.number) {
                accumulator.compare(bounds, outcome);
            }
        }
    }
    for (plan, track) in plan.tracks.iter().zip(tracks) {
        if let Some(tracks) = outcomes.tracks.get_mut(plan.sequence) {
            tracks.push(track);
        }
    }
    Ok(())
}

fn matching(test: &EventTestPlan, rows: &Rows<'_>, masks: &mut Masks) -> Vec<u8> {
    if matches!(test.filter, Node::Const(true)) {
        let mut window = masks.take(rows.times.len(), 0);
        in_window(rows.times, test.from, test.until, &mut window);
        return window;
    }
    let truth = test.filter.evaluate(rows.times.len(), &rows.fields, &[], masks);
    let mut window = truth.no;
    in_window(rows.times, test.from, test.until, &mut window);
    let mut mask = truth.yes;
    and(&mut mask, &window);
    masks.give(window);
    mask
}

/// Sets which times lie in `[from, until)`, as many at a time as the processor has lanes.
pub(super) fn in_window(times: &[[u8; 8]], from: i64, until: i64, mask: &mut [u8]) {
    dispatch!(Level::new(), _simd => within(times, from, until, mask));
}

#[inline(always)]
fn within(times: &[[u8; 8]], from: i64, until: i64, mask: &mut [u8]) {
    mask.iter_mut().zip(times).for_each(|(mask, time)| {
        let time = i64::from_le_bytes(*time);
        *mask = u8::from(from <= time) & u8::from(time < until);
    });
}

/// What is measured, one number a subject.
struct Accumulator {
    measure: MeasurePlan,
    totals: Vec<i128>,
    /// 1 where there was something to measure.
    seen: Vec<u8>,
    /// For distinct values: the subject whose rows are being read, and its values so far. Rows of a subject are
    /// neighbours, over piece ends too.
    subject: usize,
    values: Vec<i128>,
}

impl Accumulator {
    fn new(test: &EventTestPlan, subjects: usize) -> Self {
        let (totals, seen) = (vec![0; subjects], vec![0; subjects]);
        Self { measure: test.measure.clone(), totals, seen, subject: 0, values: Vec::new() }
    }

    fn take(&mut self, rows: &Rows<'_>, mask: &[u8]) {
        // Why taken out and put back: the measure is read while the totals are written.
        let measure = std::mem::replace(&mut self.measure, MeasurePlan::Count);
        for (place, (start, end)) in rows.ranges.iter().enumerate() {
            let subject = rows.first + place;
            let matches = mask.get(*start..*end).unwrap_or_default();
            let of = |slot: usize, row| rows.fields.get(slot).and_then(|view: &View<'_>| view.value(row));
            let time = |row: usize| rows.times.get(row).map(|time| i128::from(i64::from_le_bytes(*time)));
            let matching = || (*start..*end).zip(matches).filter(|(_, bit)| **bit == 1).map(|(row, _)| row);
            match &measure {
                MeasurePlan::Count => {
                    let count: u32 = matches.iter().map(|bit| u32::from(*bit)).sum();
                    self.add(subject, count.into(), matches);
                }
                MeasurePlan::Sum(slot) => {
                    let sum = match rows.fields.get(*slot) {
                        Some(View::Int64(values)) => {
                            let values = values.get(*start..*end).unwrap_or_default();
                            values
                                .iter()
                                .zip(matches)
                                .map(|(value, bit)| i128::from(number(value) * i64::from(*bit)))
                                .sum()
                        }
                        _ => {
                            let value = |row| of(*slot, row).unwrap_or(0);
                            (*start..*end).zip(matches).map(|(row, bit)| value(row) * i128::from(*bit)).sum()
                        }
                    };
                    self.add(subject, sum, matches);
                }
                MeasurePlan::Distinct(slot) => {
                    self.turn_to(subject, matches);
                    self.values.extend(matching().filter_map(|row| of(*slot, row)));
                }
                MeasurePlan::Days(days) => {
                    self.turn_to(subject, matches);
                    let day = |time: &[u8; 8]| i128::from(days.day(i64::from_le_bytes(*time)));
                    self.values.extend(matching().filter_map(|row| rows.times.get(row)).map(day));
                }
                MeasurePlan::Min(slot) => self.meet(subject, matching().filter_map(|row| of(*slot, row)), i128::min),
                MeasurePlan::Max(slot) => self.meet(subject, matching().filter_map(|row| of(*slot, row)), i128::max),
                MeasurePlan::Last => self.meet(subject, matching().filter_map(time), i128::max),
                MeasurePlan::First => self.meet(subject, matching().filter_map(time), i128::min),
            }
        }
        self.measure = measure;
    }

    fn add(&mut self, subject: usize, amount: i128, matches: &[u8]) {
        if let Some((total, seen)) = self.totals.get_mut(subject).zip(self.seen.get_mut(subject)) {
            *total += amount;
            *seen |= matches.iter().fold(0, |any, bit| any | bit);
        }
    }

    /// Goes on with the greatest or least of what was and some more.
    fn meet(&mut self, subject: usize, values: impl Iterator<Item = i128>, better: fn(i128, i128) -> i128) {
        if let Some((total, seen)) = self.totals.get_mut(subject).zip(self.seen.get_mut(subject)) {
            let before = (*seen == 1).then_some(*total);
            if let Some(best) = before.into_iter().chain(values).reduce(better) {
                (*total, *seen) = (best, 1);
            }
        }
    }

    fn turn_to(&mut self, subject: usize, matches: &[u8]) {
        if subject != self.subject {
            self.flush();
            self.subject = subject;
        }
        self.add(subject, 0, matches);
    }

    fn flush(&mut self) {
        self.values.sort_unstable();
        self.values.dedup();
        self.add(self.subject, self.values.len() as i128, &[]);
        self.values.clear();
    }

    /// Says of every subject whether what was measured is in bounds.
    fn compare(&self, bounds: &BoundsPlan, outcome: &mut Truth) {
        let (min, max) = (i128::from(bounds.min), i128::from(bounds.max));
        let Truth { yes, no } = outcome;
        let measured = self.totals.iter().zip(&self.seen);
        yes.iter_mut().zip(no).zip(measured).for_each(|((yes, no), (total, seen))| {
            let total = (*total).clamp(i128::from(i64::MIN), i128::from(i64::MAX));
            let known = seen | u8::from(!bounds.may_be_unknown);
            *yes = u8::from(min <= total) & u8::from(total <= max) & known;
            *no = (*yes ^ 1) & known;
        });
    }
}

impl Drop for Accumulator {
    fn drop(&mut self) {
        self.totals.zeroize();
        self.seen.zeroize();
        self.values.zeroize();
    }
}
