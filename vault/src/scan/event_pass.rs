//! Event tests: one linear pass over the rows of each piece, one accumulator a subject.

use super::condition::{Masks, and};
use super::plan::{EventPlan, EventTestPlan, MeasurePlan};
use super::view::View;
use crate::blocks::{BlockError, Buffer, ColumnKey, Piece, u32_rows};
use std::sync::Arc;
use zeroize::Zeroize;

/// An opened event piece.
pub(super) struct Rows<'a> {
    /// In-block ordinal of the first subject.
    pub(super) first: usize,
    /// Row range of each subject, without the events that do not count.
    pub(super) ranges: Vec<(usize, usize)>,
    pub(super) times: &'a [[u8; 8]],
    /// The plan's field columns.
    pub(super) fields: Vec<View<'a>>,
}

/// Counts the rows of each subject, so that no more of them count than the schema says. A subject's rows are neighbours,
/// over piece ends too.
#[derive(Debug, Default)]
pub(super) struct Quota {
    subject: usize,
    rows: usize,
}

impl Quota {
    /// Cuts the row ranges of the subjects from `first` on to what is left of `limit` for each.
    fn cut(&mut self, ranges: &mut [(usize, usize)], first: usize, limit: usize) {
        for (subject, (start, end)) in (first..).zip(ranges) {
            if subject != self.subject {
                *self = Self { subject, rows: 0 };
            }
            let rows = *end - *start;
            *end = *start + rows.min(limit.saturating_sub(self.rows));
            self.rows += rows;
        }
    }
}

/// Opens the columns of an event piece that a plan reads.
pub(super) fn open_rows<'b>(
    piece: &Piece,
    plan: &EventPlan,
    quota: &mut Quota,
    buffer: &'b mut Buffer,
) -> Result<Rows<'b>, BlockError> {
    let mut keys = vec![ColumnKey::OFFSETS, ColumnKey::TIME];
    keys.extend(&plan.columns);
    let keys: Vec<ColumnKey> = keys.into_iter().filter(|key| piece.has(*key)).collect();
    let rows = piece.meta().rows as usize;
    let chunks = piece.read_columns(&keys, buffer)?;
    let find = |key: ColumnKey| chunks.iter().find(|chunk| chunk.key == key).copied();
    let offsets = find(ColumnKey::OFFSETS).ok_or_else(|| piece.damaged("row offsets are missing"))?;
    let times = find(ColumnKey::TIME).ok_or_else(|| piece.damaged("times are missing"))?;
    let fields = plan.columns.iter().map(|key| match find(*key) {
        Some(chunk) => View::of(&chunk, rows).ok_or_else(|| piece.damaged("a column is shorter than its rows")),
        None => Ok(View::Absent),
    });
    let fields = fields.collect::<Result<Vec<View<'b>>, BlockError>>()?;
    let starts = u32_rows(offsets.bytes).map(|offset| offset as usize);
    let mut ranges: Vec<(usize, usize)> = starts.clone().zip(starts.skip(1)).collect();
    if ranges.iter().any(|(start, end)| start > end || *end > rows) {
        return Err(piece.damaged("row offsets are out of order"));
    }
    let first = usize::from(piece.meta().first);
    quota.cut(&mut ranges, first, plan.limit);
    Ok(Rows { first, ranges, times: times.bytes.as_chunks().0, fields })
}

/// Runs all tests of one event type over a block of `subjects` and sets the outcome of each, by number.
pub(super) fn run_tests(
    plan: &EventPlan,
    pieces: &[Arc<Piece>],
    subjects: usize,
    buffer: &mut Buffer,
    masks: &mut Masks,
    outcomes: &mut [Vec<u8>],
) -> Result<(), BlockError> {
    let mut accumulators: Vec<Accumulator> = plan.tests.iter().map(|test| Accumulator::new(test, subjects)).collect();
    let mut quota = Quota::default();
    for piece in pieces {
        let rows = open_rows(piece, plan, &mut quota, buffer)?;
        for (test, accumulator) in plan.tests.iter().zip(&mut accumulators) {
            let mask = matching(test, &rows, masks);
            accumulator.take(&rows, &mask);
            masks.give(mask);
        }
    }
    for (test, accumulator) in plan.tests.iter().zip(&mut accumulators) {
        if let Some(outcome) = outcomes.get_mut(test.number) {
            accumulator.finish(test, outcome);
        }
    }
    Ok(())
}

fn matching(test: &EventTestPlan, rows: &Rows<'_>, masks: &mut Masks) -> Vec<u8> {
    let truth = test.filter.evaluate(rows.times.len(), &rows.fields, &[], masks);
    let mut window = truth.no;
    in_window(rows.times, test.from, test.until, &mut window);
    let mut mask = truth.yes;
    and(&mut mask, &window);
    masks.give(window);
    mask
}

/// Sets which times lie in `[from, until)`.
pub(super) fn in_window(times: &[[u8; 8]], from: i64, until: i64, mask: &mut [u8]) {
    mask.iter_mut().zip(times).for_each(|(mask, time)| {
        let time = i64::from_le_bytes(*time);
        *mask = u8::from(from <= time) & u8::from(time < until);
    });
}

/// What is measured, one number a subject.
struct Accumulator {
    measure: MeasurePlan,
    totals: Vec<i128>,
    /// For distinct values: the subject whose rows are being read, and its values so far. Rows of a subject are
    /// neighbours, over piece ends too.
    subject: usize,
    values: Vec<i128>,
}

impl Accumulator {
    fn new(test: &EventTestPlan, subjects: usize) -> Self {
        Self { measure: test.measure, totals: vec![0; subjects], subject: 0, values: Vec::new() }
    }

    fn take(&mut self, rows: &Rows<'_>, mask: &[u8]) {
        for (place, (start, end)) in rows.ranges.iter().enumerate() {
            let subject = rows.first + place;
            let matches = mask.get(*start..*end).unwrap_or_default();
            match self.measure {
                MeasurePlan::Count => self.add(subject, matches.iter().map(|bit| i128::from(*bit)).sum()),
                MeasurePlan::Sum(slot) => {
                    let value = |row| rows.fields.get(slot).and_then(|view| view.value(row)).unwrap_or(0);
                    self.add(
                        subject,
                        (*start..*end).zip(matches).map(|(row, bit)| value(row) * i128::from(*bit)).sum(),
                    );
                }
                MeasurePlan::Distinct(slot) => {
                    if subject != self.subject {
                        self.flush();
                        self.subject = subject;
                    }
                    let value = |row| rows.fields.get(slot).and_then(|view| view.value(row));
                    let matching = (*start..*end).zip(matches).filter(|(_, bit)| **bit == 1);
                    self.values.extend(matching.filter_map(|(row, _)| value(row)));
                }
            }
        }
    }

    fn add(&mut self, subject: usize, amount: i128) {
        if let Some(total) = self.totals.get_mut(subject) {
            *total += amount;
        }
    }

    fn flush(&mut self) {
        self.values.sort_unstable();
        self.values.dedup();
        self.add(self.subject, self.values.len() as i128);
        self.values.clear();
    }

    fn finish(&mut self, test: &EventTestPlan, outcome: &mut [u8]) {
        self.flush();
        let (min, max) = (i128::from(test.min), i128::from(test.max));
        outcome.iter_mut().zip(&self.totals).for_each(|(outcome, total)| {
            let total = (*total).clamp(i128::from(i64::MIN), i128::from(i64::MAX));
            *outcome = u8::from(min <= total) & u8::from(total <= max);
        });
    }
}

impl Drop for Accumulator {
    fn drop(&mut self) {
        self.totals.zeroize();
        self.values.zeroize();
    }
}
