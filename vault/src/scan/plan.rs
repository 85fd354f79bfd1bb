//! What a scan computes: conditions and tables, resolved to columns, codes and microseconds. Public knowledge.

use super::axis::{AxisOf, TableSpec};
use super::condition::{Node, attribute_nodes, filter_nodes};
use super::derive::Derived;
use super::event_axes::EventAxes;
use super::measure::{MeasureTable, ValueTable};
use crate::blocks::ColumnKey;
use policy::id::SampleLabel;
use policy::schema::{ColumnId, EventTypeId};
use policy::segment::{self, Expr, LocalDays, Measure, Step, WindowError, days_since_times};
use policy::time::Timestamp;
use std::sync::Arc;

/// A place in a row of columns that are read together.
pub(super) type Slot = usize;

/// What a scan computes.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) condition: Node,
    /// Attribute columns that are read.
    pub(super) columns: Vec<ColumnKey>,
    pub(super) events: Vec<EventPlan>,
    pub(super) sequences: Vec<SequencePlan>,
    pub(super) samples: Vec<SamplePlan>,
    /// How many event tests, sequences and samples there are.
    pub(super) outcomes: usize,
    /// Codes of subjects that are computed, each perhaps from those before it; their slots come after the columns'.
    pub(super) derived: Vec<Derived>,
    /// Dimensions whose codes are derived already, and where.
    pub(super) known: Vec<(AxisOf, Slot)>,
    pub(super) tables: Vec<AttributeTable>,
    pub(super) values: Vec<ValueTable>,
    pub(super) cells: usize,
    limits: Vec<u32>,
    days: Option<Arc<LocalDays>>,
}

/// A table over at most two columns of subjects, derived ones included.
#[derive(Debug, Clone)]
pub(super) struct AttributeTable {
    /// Where its cells begin among the plan's.
    pub(super) start: usize,
    pub(super) axes: Vec<(Slot, u32)>,
}

/// What is computed over one event type.
#[derive(Debug, Clone)]
pub(super) struct EventPlan {
    pub(super) event: EventTypeId,
    /// Most events of one subject that count: the first by time.
    pub(super) limit: usize,
    /// Field columns that are read, after offsets and time.
    pub(super) columns: Vec<ColumnKey>,
    pub(super) tests: Vec<EventTestPlan>,
    pub(super) tracks: Vec<TrackPlan>,
    pub(super) tables: Vec<EventTable>,
    pub(super) measures: Vec<MeasureTable>,
}

impl EventPlan {
    /// Says whether conditions ask about it.
    pub(super) fn has_conditions(&self) -> bool {
        !self.tests.is_empty() || !self.tracks.is_empty()
    }

    /// Says whether tables are filled from it.
    pub(super) fn has_tables(&self) -> bool {
        !self.tables.is_empty() || !self.measures.is_empty()
    }
}

/// One thing that is measured of each subject, and all that it is compared with: bands differ in their bounds alone, and are
/// measured once.
#[derive(Debug, Clone)]
pub(super) struct EventTestPlan {
    pub(super) from: i64,
    pub(super) until: i64,
    pub(super) filter: Node,
    pub(super) measure: MeasurePlan,
    pub(super) outcomes: Vec<BoundsPlan>,
}

impl EventTestPlan {
    fn measures_as(&self, other: &Self) -> bool {
        (self.from, self.until) == (other.from, other.until)
            && self.filter == other.filter
            && self.measure == other.measure
    }
}

/// Inclusive bounds of what is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoundsPlan {
    /// Its number among all outcomes of the plan.
    pub(super) number: usize,
    /// Whether it is unknown where there was nothing to measure.
    pub(super) may_be_unknown: bool,
    pub(super) min: i64,
    pub(super) max: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum MeasurePlan {
    Count,
    Sum(Slot),
    Distinct(Slot),
    Days(Arc<LocalDays>),
    Min(Slot),
    Max(Slot),
    /// The time of the last event.
    Last,
    /// The time of the first event.
    First,
}

/// The mark of an event that must not happen; step `i` has the mark `1 << i`.
pub(super) const ABSENT: u8 = 1 << 7;

/// Events in an order. Lengths are in microseconds.
#[derive(Debug, Clone)]
pub(super) struct SequencePlan {
    /// Its number among all outcomes of the plan.
    pub(super) number: usize,
    pub(super) steps: usize,
    pub(super) gap: Option<i64>,
    pub(super) within: Option<i64>,
    pub(super) from: i64,
    pub(super) until: i64,
    pub(super) as_of: i64,
}

/// What a sequence looks at in the events of one type.
#[derive(Debug, Clone)]
pub(super) struct TrackPlan {
    /// Its place among the plan's sequences.
    pub(super) sequence: usize,
    /// Marks, and which events get them.
    pub(super) marks: Vec<(u8, Node)>,
}

/// A share of everyone.
#[derive(Debug, Clone)]
pub(super) struct SamplePlan {
    /// Its number among all outcomes of the plan.
    pub(super) number: usize,
    pub(super) label: SampleLabel,
    pub(super) from: u16,
    pub(super) until: u16,
}

/// A table of people over events, and perhaps over subjects too.
#[derive(Debug, Clone)]
pub(super) struct EventTable {
    pub(super) start: usize,
    pub(super) axes: EventAxes,
    pub(super) max_distinct: u32,
    pub(super) from: i64,
    pub(super) until: i64,
}

impl Plan {
    /// Resolves conditions and tables against the end of an epoch, in the dataset's zone. Tables must be as
    /// [`TableSpec`] says; axes that are not, count as missing. `limits` says by event type how many events of one subject
    /// count, the first by time; all of them for types beyond.
    pub fn new(
        universe: &Expr,
        segment: &Expr,
        tables: &[TableSpec],
        limits: &[u32],
        as_of: Timestamp,
        zone: &str,
    ) -> Result<Self, WindowError> {
        let mut plan = Self {
            condition: Node::Const(true),
            columns: Vec::new(),
            events: Vec::new(),
            sequences: Vec::new(),
            samples: Vec::new(),
            outcomes: 0,
            derived: Vec::new(),
            known: Vec::new(),
            tables: Vec::new(),
            values: Vec::new(),
            cells: 0,
            limits: limits.to_vec(),
            days: None,
        };
        let both = Expr::All(vec![universe.clone(), segment.clone()]);
        plan.condition = attribute_nodes(&both, &mut plan, as_of, zone)?;
        for table in tables {
            plan.add_table(table, as_of, zone)?;
        }
        plan.settle();
        Ok(plan)
    }

    /// Returns how many cells all tables have.
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// Returns the slot of an attribute column.
    pub(super) fn attribute(&mut self, key: ColumnKey) -> Slot {
        slot(&mut self.columns, key)
    }

    fn outcome(&mut self) -> usize {
        self.outcomes += 1;
        self.outcomes - 1
    }

    /// Adds a test of events and returns its number.
    pub(super) fn event_test(
        &mut self,
        test: &segment::EventTest,
        as_of: Timestamp,
        zone: &str,
    ) -> Result<usize, WindowError> {
        let (from, until) = test.window.resolve(as_of, zone)?;
        let (min, max) = match test.measure {
            Measure::DaysSinceLast | Measure::DaysSinceFirst => days_since_times(test.min, test.max, as_of, zone)?,
            _ => (test.min, test.max),
        };
        let number = self.outcome();
        let days = if test.measure == Measure::Days { Some(self.local_days(as_of, zone)?) } else { None };
        let events = self.event_plan(test.event);
        let mut slot = |column: ColumnId| slot(&mut events.columns, ColumnKey::of(column));
        let filter = filter_nodes(&test.filter, &mut slot);
        let measure = match (test.measure, days) {
            (Measure::Count, _) | (Measure::Days, None) => MeasurePlan::Count,
            (Measure::Days, Some(days)) => MeasurePlan::Days(days),
            (Measure::Sum(column), _) => MeasurePlan::Sum(slot(column)),
            (Measure::Distinct(column), _) => MeasurePlan::Distinct(slot(column)),
            (Measure::Min(column), _) => MeasurePlan::Min(slot(column)),
            (Measure::Max(column), _) => MeasurePlan::Max(slot(column)),
            (Measure::DaysSinceLast, _) => MeasurePlan::Last,
            (Measure::DaysSinceFirst, _) => MeasurePlan::First,
        };
        let outcomes = vec![BoundsPlan { number, may_be_unknown: test.may_be_unknown(), min, max }];
        let planned = EventTestPlan { from, until, filter, measure, outcomes };
        match events.tests.iter_mut().find(|known| known.measures_as(&planned)) {
            Some(known) => known.outcomes.extend(planned.outcomes),
            None => events.tests.push(planned),
        }
        Ok(number)
    }

    pub(super) fn local_days(&mut self, as_of: Timestamp, zone: &str) -> Result<Arc<LocalDays>, WindowError> {
        let days = match self.days.take() {
            Some(days) => days,
            None => Arc::new(LocalDays::new(zone, as_of)?),
        };
        Ok(Arc::clone(self.days.insert(days)))
    }

    /// Adds a sequence and returns its number.
    pub(super) fn sequence(
        &mut self,
        sequence: &segment::Sequence,
        as_of: Timestamp,
        zone: &str,
    ) -> Result<usize, WindowError> {
        let (from, until) = sequence.window.resolve(as_of, zone)?;
        let (number, place) = (self.outcome(), self.sequences.len());
        let marks = (0..).map(|step| 1_u8.checked_shl(step).unwrap_or(0));
        let steps = sequence.steps.iter().zip(marks);
        for (Step { event, filter }, mark) in steps.chain(sequence.without.iter().map(|step| (step, ABSENT))) {
            let events = self.event_plan(*event);
            let filter = filter_nodes(filter, &mut |column| slot(&mut events.columns, ColumnKey::of(column)));
            match events.tracks.iter_mut().find(|track| track.sequence == place) {
                Some(track) => track.marks.push((mark, filter)),
                None => events.tracks.push(TrackPlan { sequence: place, marks: vec![(mark, filter)] }),
            }
        }
        let micros = |hours: u32| i64::from(hours) * 3_600_000_000;
        self.sequences.push(SequencePlan {
            number,
            steps: sequence.steps.len(),
            gap: sequence.gap_hours.map(micros),
            within: sequence.within_hours.map(micros),
            from,
            until,
            as_of: as_of.0,
        });
        Ok(number)
    }

    /// Adds a sample and returns its number.
    pub(super) fn sample(&mut self, sample: &segment::Sample) -> usize {
        let number = self.outcome();
        let segment::Sample { label, from, until } = sample.clone();
        self.samples.push(SamplePlan { number, label, from, until });
        number
    }

    pub(super) fn event_plan(&mut self, event: EventTypeId) -> &mut EventPlan {
        let place = self.events.iter().position(|plan| plan.event == event).unwrap_or(self.events.len());
        if place == self.events.len() {
            let limit = self.limits.get(usize::from(event.0)).map_or(usize::MAX, |limit| *limit as usize);
            self.events.push(EventPlan {
                event,
                limit,
                columns: Vec::new(),
                tests: Vec::new(),
                tracks: Vec::new(),
                tables: Vec::new(),
                measures: Vec::new(),
            });
        }
        #[expect(clippy::indexing_slicing, reason = "the entry was found or has just been pushed")]
        &mut self.events[place]
    }
}

pub(super) fn slot(columns: &mut Vec<ColumnKey>, key: ColumnKey) -> Slot {
    columns.iter().position(|column| *column == key).unwrap_or_else(|| {
        columns.push(key);
        columns.len() - 1
    })
}
