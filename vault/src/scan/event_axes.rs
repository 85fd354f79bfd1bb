//! In which cell of a table an event lies.

use super::few::FEW;
use super::plan::Slot;
use super::rows::Rows;
use super::view::View;
use policy::segment::LocalDays;
use std::sync::Arc;
use zeroize::Zeroize;

/// The place of an event that lies in no cell.
pub(super) const NOWHERE: u32 = u32::MAX;

/// How an event gets its code along one dimension.
#[derive(Debug, Clone)]
pub(super) enum RowCode {
    /// From a column of codes.
    Column(Slot),
    /// From its time and ascending instants: between which neighbours it lies.
    Periods(Vec<i64>),
    /// Its hour of day.
    Hours(Arc<LocalDays>),
    /// Its weekday, Monday first.
    Weekdays(Arc<LocalDays>),
}

/// One dimension over events.
#[derive(Debug, Clone)]
pub(super) struct EventAxis {
    pub(super) code: RowCode,
    pub(super) cells: u32,
    /// Among the cells of its table.
    pub(super) stride: usize,
}

/// One dimension over subjects.
#[derive(Debug, Clone, Copy)]
pub(super) struct SubjectAxis {
    pub(super) slot: Slot,
    pub(super) cells: u32,
    /// Among the cells of its table.
    pub(super) stride: usize,
}

/// All dimensions of a table that reads events.
#[derive(Debug, Clone, Default)]
pub(super) struct EventAxes {
    pub(super) events: Vec<EventAxis>,
    pub(super) subjects: Vec<SubjectAxis>,
}

/// Places of events, wiped when dropped.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<u32>);

impl Drop for Places {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Places {
    /// Returns the places of a range of rows.
    pub(super) fn of(&self, start: usize, end: usize) -> &[u32] {
        self.0.get(start..end).unwrap_or_default()
    }
}

impl EventAxes {
    /// Returns how many places events of one subject can have: the product of the cells of the dimensions over events.
    pub(super) fn places(&self) -> usize {
        self.events.iter().map(|axis| axis.cells as usize).product()
    }

    /// Returns the dimension over events if there is one, of few cells.
    pub(super) fn few(&self) -> Option<&EventAxis> {
        match self.events.as_slice() {
            [axis] if axis.cells as usize <= FEW => Some(axis),
            _ => None,
        }
    }

    /// Returns the offset in the table of each place.
    pub(super) fn offsets(&self) -> Vec<usize> {
        let mut offsets = vec![0];
        for axis in &self.events {
            let steps = 0..axis.cells as usize;
            offsets =
                offsets.iter().flat_map(|from| steps.clone().map(move |code| from + code * axis.stride)).collect();
        }
        offsets
    }

    /// Returns where a subject's cells begin in the table.
    pub(super) fn offset_of(&self, subject: usize, views: &[View<'_>]) -> usize {
        let offset = |axis: &SubjectAxis| {
            views.get(axis.slot).map_or(0, |view| view.code(subject, axis.cells)) as usize * axis.stride
        };
        self.subjects.iter().map(offset).sum()
    }

    /// Finds the place of every row of a piece: [`NOWHERE`] for those outside of `[from, until)` or of all periods.
    pub(super) fn place(&self, rows: &Rows<'_>, (from, until): (i64, i64), into: &mut Places) {
        into.0.clear();
        // 1 becomes 0, and 0 becomes nowhere, without a branch.
        into.0.extend(times(rows).map(|at| (u32::from(from <= at) & u32::from(at < until)).wrapping_sub(1)));
        for axis in &self.events {
            axis.add(rows, &mut into.0);
        }
    }

    /// Says whether events have the same places here and there.
    pub(super) fn places_like(&self, other: &Self) -> bool {
        self.events.len() == other.events.len() && self.events.iter().zip(&other.events).all(|(a, b)| a.codes_like(b))
    }
}

impl EventAxis {
    fn add(&self, rows: &Rows<'_>, places: &mut [u32]) {
        match &self.code {
            RowCode::Column(slot) => {
                let view = rows.fields.get(*slot).copied().unwrap_or(View::Absent);
                let known = |code: u32| if code < self.cells { code } else { 0 };
                match view {
                    View::Code8(codes) if codes.len() == places.len() => {
                        self.add_codes(places, codes.iter().map(|code| known(u32::from(*code))));
                    }
                    View::Code16(codes) if codes.len() == places.len() => {
                        self.add_codes(places, codes.iter().map(|code| known(u16::from_le_bytes(*code).into())));
                    }
                    _ => self.add_codes(places, (0..rows.times.len()).map(|row| view.code(row, self.cells))),
                }
            }
            RowCode::Periods(starts) => {
                let code = |at: i64| match starts.partition_point(|start| *start <= at) {
                    0 => NOWHERE,
                    after if after == starts.len() => NOWHERE,
                    after => u32::try_from(after - 1).unwrap_or(NOWHERE),
                };
                self.add_codes(places, times(rows).map(code));
            }
            RowCode::Hours(days) => self.add_codes(places, times(rows).map(|at| days.hour(at).into())),
            RowCode::Weekdays(days) => self.add_codes(places, times(rows).map(|at| days.weekday(at).into())),
        }
    }

    fn codes_like(&self, other: &Self) -> bool {
        let same = match (&self.code, &other.code) {
            (RowCode::Column(a), RowCode::Column(b)) => a == b,
            (RowCode::Periods(a), RowCode::Periods(b)) => a == b,
            (RowCode::Hours(a), RowCode::Hours(b)) | (RowCode::Weekdays(a), RowCode::Weekdays(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        same && self.cells == other.cells
    }

    fn add_codes(&self, places: &mut [u32], codes: impl Iterator<Item = u32>) {
        places.iter_mut().zip(codes).for_each(|(place, code)| {
            let inside = *place != NOWHERE && code != NOWHERE;
            *place = if inside { place.wrapping_mul(self.cells).wrapping_add(code) } else { NOWHERE };
        });
    }
}

fn times<'a>(rows: &Rows<'a>) -> impl Iterator<Item = i64> + use<'a> {
    rows.times.iter().map(|time| i64::from_le_bytes(*time))
}
