//! Sequences: which subjects did one thing after another.
//!
//! For each subject the events that matter are merged by time. A chain of `i` steps that ends at an event is known by its
//! latest start, which is all that what follows asks for: whether something happened that must not depends on the start
//! alone, and the whole is shortest for the latest one. So one walk over the times with the greatest start within the gap,
//! kept for each step, decides, in time proportional to the events (and their sorting by time).
//!
//! Every event of the types concerned is walked over, match or no match. Times are wiped.

use super::condition::{Masks, Truth};
use super::plan::{ABSENT, SequencePlan, TrackPlan};
use super::rows::Rows;
use zeroize::Zeroize;

/// The events of one type as a sequence sees them, of all subjects of a block.
pub(super) struct Track {
    times: Vec<i64>,
    /// By event: which steps it can be, and whether it must not happen.
    marks: Vec<u8>,
    /// By subject: where its events end. 0 for subjects without one.
    ends: Vec<usize>,
}

impl Track {
    /// Makes room for as many events, so that no copy of them is left behind by growing.
    pub(super) fn new(subjects: usize, events: usize) -> Self {
        Self { times: Vec::with_capacity(events), marks: Vec::with_capacity(events), ends: vec![0; subjects] }
    }

    /// Adds the events of a piece.
    pub(super) fn take(&mut self, plan: &TrackPlan, rows: &Rows<'_>, masks: &mut Masks) {
        let mut marks = masks.take(rows.times.len(), 0);
        for (mark, filter) in &plan.marks {
            let truth = filter.evaluate(rows.times.len(), &rows.fields, &[], masks);
            marks.iter_mut().zip(&truth.yes).for_each(|(marks, yes)| *marks |= mark * yes);
            masks.give_truth(truth);
        }
        for (subject, (start, end)) in (rows.first..).zip(&rows.ranges) {
            let times = rows.times.get(*start..*end).unwrap_or_default();
            self.times.extend(times.iter().map(|time| i64::from_le_bytes(*time)));
            self.marks.extend_from_slice(marks.get(*start..*end).unwrap_or_default());
            if let Some(place) = self.ends.get_mut(subject) {
                *place = self.times.len();
            }
        }
        masks.give(marks);
    }

    /// Returns the events of a subject, given where those of the one before it end, and where its own do.
    fn of(&self, subject: usize, from: usize) -> (impl Iterator<Item = Moment>, usize) {
        let end = self.ends.get(subject).copied().unwrap_or(0).max(from);
        let times = self.times.get(from..end).unwrap_or_default();
        let marks = self.marks.get(from..end).unwrap_or_default();
        (times.iter().copied().zip(marks.iter().copied()), end)
    }

    fn most(&self) -> usize {
        let mut before = 0;
        let lengths = self.ends.iter().map(|end| {
            let length = end.saturating_sub(before);
            before = before.max(*end);
            length
        });
        lengths.max().unwrap_or(0)
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        self.times.zeroize();
        self.marks.zeroize();
        self.ends.zeroize();
    }
}

/// A time, and what all events at it can be.
type Moment = (i64, u8);

/// Decides a sequence for every subject.
pub(super) fn judge(plan: &SequencePlan, tracks: &[Track], outcome: &mut Truth) {
    let most = tracks.iter().map(Track::most).sum();
    let mut moments: Vec<Moment> = Vec::with_capacity(most);
    let mut chains: Vec<Chains> = (0..plan.steps).map(|_| Chains::new(most)).collect();
    let mut from = vec![0; tracks.len()];
    for (subject, (yes, no)) in outcome.yes.iter_mut().zip(&mut outcome.no).enumerate() {
        moments.clear();
        for (track, from) in tracks.iter().zip(&mut from) {
            let (of, end) = track.of(subject, *from);
            moments.extend(of);
            *from = end;
        }
        merge(&mut moments);
        rule_out(plan, &mut moments);
        *yes = u8::from(happened(plan, &moments, &mut chains));
        *no = *yes ^ 1;
    }
    moments.zeroize();
}

/// Sorts by time, and makes one of all events at a time: strictly later means that none can follow another there.
fn merge(moments: &mut Vec<Moment>) {
    moments.sort_unstable_by_key(|(time, _)| *time);
    moments.dedup_by(|(time, marks), (kept, all)| {
        let same = time == kept;
        *all |= if same { *marks } else { 0 };
        same
    });
}

/// Takes the marks off events outside of the window, and off starts after which something happens that must not.
fn rule_out(plan: &SequencePlan, moments: &mut [Moment]) {
    let mut next: Option<i64> = None;
    for (time, marks) in moments.iter_mut().rev() {
        if *time < plan.from || *time >= plan.until {
            *marks &= ABSENT;
        }
        let soon = |next: i64| plan.within.is_none_or(|within| next.saturating_sub(*time) < within);
        if next.is_some_and(soon) {
            *marks &= !1;
        }
        if *marks & ABSENT != 0 && *time < plan.as_of {
            next = Some(*time);
        }
    }
}

/// Walks over the times of one subject.
fn happened(plan: &SequencePlan, moments: &[Moment], chains: &mut [Chains]) -> bool {
    chains.iter_mut().for_each(Chains::clear);
    let mut happened = false;
    for (time, marks) in moments {
        // Last step first, so that no step follows another at the same time.
        for step in (0..plan.steps).rev().filter(|step| marks >> step & 1 == 1) {
            let start = match step.checked_sub(1) {
                None => Some(*time),
                Some(before) => chains.get_mut(before).and_then(|chains| chains.latest(*time, plan.gap)),
            };
            let Some(start) = start else { continue };
            if step + 1 == plan.steps {
                happened |= plan.within.is_none_or(|within| time.saturating_sub(start) < within);
            } else if let Some(chains) = chains.get_mut(step) {
                chains.push(*time, start);
            }
        }
    }
    happened
}

/// Chains of some steps that may go on, as (time of their last event, latest start), times rising and starts falling: one
/// that ended earlier and started earlier is never needed again.
struct Chains {
    list: Vec<(i64, i64)>,
    /// Those before this are too long ago.
    first: usize,
}

impl Chains {
    fn new(most: usize) -> Self {
        Self { list: Vec::with_capacity(most), first: 0 }
    }

    fn clear(&mut self) {
        self.list.clear();
        self.first = 0;
    }

    /// Returns the latest start of those that ended less than `gap` before a time. Times never fall from call to call.
    fn latest(&mut self, time: i64, gap: Option<i64>) -> Option<i64> {
        let gone = |ended: i64| gap.is_some_and(|gap| time.saturating_sub(ended) >= gap);
        while self.list.get(self.first).is_some_and(|(ended, _)| gone(*ended)) {
            self.first += 1;
        }
        self.list.get(self.first).map(|(_, start)| *start)
    }

    fn push(&mut self, time: i64, start: i64) {
        while self.list.len() > self.first && self.list.last().is_some_and(|(_, earlier)| *earlier <= start) {
            self.list.pop();
        }
        self.list.push((time, start));
    }
}

impl Drop for Chains {
    fn drop(&mut self) {
        self.list.zeroize();
    }
}
