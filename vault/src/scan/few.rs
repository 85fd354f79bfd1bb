//! Places of events in tables of few cells along one dimension: a byte an event, so that the places of one person are the bits
//! of a word. What several tables of a piece need of its times, whether they lie in a window and what clocks showed, is
//! computed once.

use super::event_axes::{EventAxis, RowCode};
use super::event_pass::in_window;
use super::rows::Rows;
use super::view::View;
use policy::segment::LocalDays;
use std::sync::Arc;
use zeroize::Zeroize;

/// Most cells of such a table: the bits of a word.
pub(super) const FEW: usize = 64;

/// The place of an event that lies in no cell: beyond all bits.
const NOWHERE: u8 = u8::MAX;

const HOURS: u8 = 24;

/// A power of two of microseconds that is less than any day of 23 hours: nothing as long has two starts of periods in it.
const BUCKET: u32 = 36;

/// What is known of the times of a piece; wiped when dropped.
#[derive(Debug, Default)]
pub(super) struct Moments {
    /// By window: 0 for events in it, all bits for others.
    outside: Vec<((i64, i64), Vec<u8>)>,
    /// The hour of the week that a clock in the zone showed.
    hours: Vec<u8>,
    places: Vec<u8>,
}

impl Drop for Moments {
    fn drop(&mut self) {
        self.outside.iter_mut().for_each(|(_, outside)| outside.zeroize());
        self.hours.zeroize();
        self.places.zeroize();
    }
}

impl Moments {
    /// Forgets the piece before.
    pub(super) fn begin(&mut self) {
        self.outside.iter_mut().for_each(|(_, outside)| outside.clear());
        self.hours.clear();
    }

    /// Finds the place of every row along a dimension of few cells, in a window.
    pub(super) fn place(&mut self, rows: &Rows<'_>, axis: &EventAxis, window: (i64, i64)) -> &[u8] {
        let mut places = std::mem::take(&mut self.places);
        places.clear();
        match &axis.code {
            RowCode::Column(slot) => {
                by_column(rows.fields.get(*slot).copied().unwrap_or(View::Absent), axis.cells, rows, &mut places)
            }
            RowCode::Periods(starts) => by_period(starts, rows, &mut places),
            RowCode::Hours(days) => places.extend(self.hours(rows, days).iter().map(|hour| hour % HOURS)),
            RowCode::Weekdays(days) => places.extend(self.hours(rows, days).iter().map(|hour| hour / HOURS)),
        }
        places.iter_mut().zip(self.outside(rows, window)).for_each(|(place, outside)| *place |= outside);
        self.places = places;
        &self.places
    }

    fn outside(&mut self, rows: &Rows<'_>, window: (i64, i64)) -> &[u8] {
        let known = self.outside.iter().position(|(known, _)| *known == window).unwrap_or(self.outside.len());
        if known == self.outside.len() {
            self.outside.push((window, Vec::new()));
        }
        let Some((_, outside)) = self.outside.get_mut(known) else { return &[] };
        if outside.is_empty() {
            let (from, until) = window;
            outside.resize(rows.times.len(), 0);
            in_window(rows.times, from, until, outside);
            // 1 becomes 0, and 0 all bits, without a branch.
            outside.iter_mut().for_each(|inside| *inside = inside.wrapping_sub(1));
        }
        outside
    }

    /// A plan has one zone, so it does not matter by whose days they were counted first.
    fn hours(&mut self, rows: &Rows<'_>, days: &Arc<LocalDays>) -> &[u8] {
        if self.hours.is_empty() {
            days.hours_of_week(times(rows), &mut self.hours);
        }
        &self.hours
    }
}

fn by_column(view: View<'_>, cells: u32, rows: &Rows<'_>, places: &mut Vec<u8>) {
    let known = |code: u16| if u32::from(code) < cells { u8::try_from(code).unwrap_or(0) } else { 0 };
    match view {
        View::Code8(codes) => places.extend(codes.iter().map(|code| known(u16::from(*code)))),
        View::Code16(codes) => places.extend(codes.iter().map(|code| known(u16::from_le_bytes(*code)))),
        View::Int64(_) | View::Bytes(_) | View::Absent => {}
    }
    // A column that the piece does not have: all are missing it.
    places.resize(rows.times.len(), 0);
}

/// A stretch of time in which at most one period begins: the place before, from when on there is another, and which.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    before: u8,
    change: i64,
    after: u8,
}

/// Places of events in periods from ascending instants on, by a table of stretches of time.
fn by_period(starts: &[i64], rows: &Rows<'_>, places: &mut Vec<u8>) {
    let place = |at: i64| match starts.partition_point(|start| *start <= at) {
        0 => NOWHERE,
        after if after == starts.len() => NOWHERE,
        after => u8::try_from(after - 1).unwrap_or(NOWHERE),
    };
    let (Some(first), Some(last)) = (starts.first(), starts.last()) else {
        places.resize(rows.times.len(), NOWHERE);
        return;
    };
    let stretch = |number: i64| {
        let (from, until) = (first + (number << BUCKET), first + ((number + 1) << BUCKET));
        let next = starts.get(starts.partition_point(|start| *start <= from)).copied();
        let change = next.filter(|start| *start < until).unwrap_or(i64::MAX);
        Stretch { before: place(from), change, after: place(change.min(until - 1)) }
    };
    let table: Vec<Stretch> = (0..=(last - first) >> BUCKET).map(stretch).collect();
    let find = |at: i64| {
        let number = usize::try_from(at.saturating_sub(*first) >> BUCKET).unwrap_or(usize::MAX);
        let Stretch { before, change, after } =
            table.get(number).copied().unwrap_or(Stretch { before: NOWHERE, change: i64::MAX, after: NOWHERE });
        if at < change { before } else { after }
    };
    places.extend(times(rows).map(find));
}

fn times<'a>(rows: &Rows<'a>) -> impl Iterator<Item = i64> + Clone + use<'a> {
    rows.times.iter().map(|time| i64::from_le_bytes(*time))
}

/// The places of some rows as bits.
pub(super) fn bits(places: &[u8]) -> u64 {
    // A place beyond the bits is shifted like one within, and then left out.
    places.iter().fold(0, |bits, place| bits | (u64::from(*place < FEW as u8) << (place & 63)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_become_bits_and_nowhere_none() {
        assert_eq!(bits(&[0, 3, 3, 63, NOWHERE, 64]), 1 | 1 << 3 | 1 << 63);
        assert_eq!(bits(&[]), 0);
    }

    #[test]
    fn periods_are_found_as_by_looking_at_each() {
        let day = 86_400_000_000_i64;
        // Days of 23 hours, two that begin at once, and long ones.
        let starts = [-3 * day, -2 * day, -2 * day + 82_800_000_000, 5 * day, 5 * day, 6 * day, 90 * day];
        let mut ats: Vec<i64> = starts.iter().flat_map(|start| [-1, 0, 1].map(|by| start + by)).collect();
        ats.extend((-100..1_000).map(|hour| hour * 7_300_000_001));
        ats.extend([i64::MIN, i64::MAX]);
        let times: Vec<[u8; 8]> = ats.iter().map(|at| at.to_le_bytes()).collect();
        let rows = Rows { first: 0, ranges: Vec::new(), times: &times, fields: Vec::new() };
        let mut places = Vec::new();
        by_period(&starts, &rows, &mut places);
        let one = |at: &i64| match starts.iter().filter(|start| *start <= at).count() {
            0 | 7 => NOWHERE,
            after => after as u8 - 1,
        };
        assert_eq!(places, ats.iter().map(one).collect::<Vec<u8>>());
    }
}
