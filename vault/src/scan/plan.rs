//! What a scan computes: conditions and tables, resolved to columns, codes and microseconds. Public knowledge.

use super::condition::{Node, attribute_nodes, filter_nodes};
use crate::blocks::ColumnKey;
use policy::schema::{EventTypeId, FieldRef};
use policy::segment::{Expr, Measure, Window, WindowError};
use policy::time::Timestamp;

/// One dimension of a table: a closed field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// An attribute or an event field; not an event as such.
    pub field: FieldRef,
    /// Cells along it: the domain and, first, missing. Stored codes beyond count as missing.
    pub cells: u32,
    /// Event fields: how many distinct cells of one subject count fully (the L0 bound), at least 1.
    pub max_distinct: u32,
}

/// A table to fill: no axis (how many), one, or the cross of two, of which at most one may be an event field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// The dimensions; cells are in row-major order of codes.
    pub axes: Vec<Axis>,
    /// Which events count.
    pub window: Window,
}

impl TableSpec {
    /// Returns how many cells it has.
    pub fn cells(&self) -> usize {
        self.axes.iter().map(|axis| axis.cells as usize).product()
    }
}

/// A place in a row of columns that are read together.
pub(super) type Slot = usize;

/// What a scan computes.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) condition: Node,
    /// Attribute columns that are read.
    pub(super) columns: Vec<ColumnKey>,
    pub(super) events: Vec<EventPlan>,
    pub(super) event_tests: usize,
    pub(super) tables: Vec<AttributeTable>,
    cells: usize,
    limits: Vec<u32>,
}

/// A table over attributes only.
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
    pub(super) tables: Vec<EventTable>,
}

#[derive(Debug, Clone)]
pub(super) struct EventTestPlan {
    /// Its number among all event tests of the plan.
    pub(super) number: usize,
    pub(super) from: i64,
    pub(super) until: i64,
    pub(super) filter: Node,
    pub(super) measure: MeasurePlan,
    pub(super) min: i64,
    pub(super) max: i64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum MeasurePlan {
    Count,
    Sum(Slot),
    Distinct(Slot),
}

/// A table with one event field, and perhaps one attribute.
#[derive(Debug, Clone)]
pub(super) struct EventTable {
    pub(super) start: usize,
    pub(super) field: Slot,
    pub(super) field_cells: u32,
    pub(super) field_stride: usize,
    /// Slot, cells and stride.
    pub(super) attribute: Option<(Slot, u32, usize)>,
    pub(super) max_distinct: u32,
    pub(super) from: i64,
    pub(super) until: i64,
}

impl Plan {
    /// Resolves conditions and tables against the end of an epoch, in the dataset's zone. Tables must be as
    /// [`TableSpec`] says; axes that are not, count nothing. `limits` says by event type how many events of one subject
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
            event_tests: 0,
            tables: Vec::new(),
            cells: 0,
            limits: limits.to_vec(),
        };
        let both = Expr::All(vec![universe.clone(), segment.clone()]);
        plan.condition = attribute_nodes(&both, &mut plan, as_of, zone)?;
        for table in tables {
            plan.add_table(table, table.window.resolve(as_of, zone)?);
        }
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

    /// Adds a test of events and returns its number.
    pub(super) fn event_test(
        &mut self,
        test: &policy::segment::EventTest,
        as_of: Timestamp,
        zone: &str,
    ) -> Result<usize, WindowError> {
        let (from, until) = test.window.resolve(as_of, zone)?;
        let number = self.event_tests;
        self.event_tests += 1;
        let events = self.event_plan(test.event);
        let filter = filter_nodes(&test.filter, &mut |column| slot(&mut events.columns, ColumnKey::of(column)));
        let measure = match test.measure {
            Measure::Count => MeasurePlan::Count,
            Measure::Sum(column) => MeasurePlan::Sum(slot(&mut events.columns, ColumnKey::of(column))),
            Measure::Distinct(column) => MeasurePlan::Distinct(slot(&mut events.columns, ColumnKey::of(column))),
        };
        let (min, max) = (test.min, test.max);
        events.tests.push(EventTestPlan { number, from, until, filter, measure, min, max });
        Ok(number)
    }

    fn add_table(&mut self, table: &TableSpec, (from, until): (i64, i64)) {
        let start = self.cells;
        self.cells += table.cells();
        let strides: Vec<usize> = match table.axes.as_slice() {
            [_, second] => vec![second.cells as usize, 1],
            _ => vec![1],
        };
        let mut attributes = Vec::new();
        let mut event = None;
        for (axis, stride) in table.axes.iter().zip(strides) {
            match axis.field {
                FieldRef::Attribute(column) => {
                    attributes.push((self.attribute(ColumnKey::of(column)), axis.cells, stride));
                }
                FieldRef::EventField(of, column) => event = Some((of, column, axis, stride)),
                FieldRef::Event(_) => {}
            }
        }
        let Some((of, column, axis, field_stride)) = event else {
            let axes = attributes.into_iter().map(|(slot, cells, _)| (slot, cells)).collect();
            self.tables.push(AttributeTable { start, axes });
            return;
        };
        let events = self.event_plan(of);
        let field = slot(&mut events.columns, ColumnKey::of(column));
        events.tables.push(EventTable {
            start,
            field,
            field_cells: axis.cells,
            field_stride,
            attribute: attributes.first().copied(),
            max_distinct: axis.max_distinct,
            from,
            until,
        });
    }

    fn event_plan(&mut self, event: EventTypeId) -> &mut EventPlan {
        let place = self.events.iter().position(|plan| plan.event == event).unwrap_or(self.events.len());
        if place == self.events.len() {
            let limit = self.limits.get(usize::from(event.0)).map_or(usize::MAX, |limit| *limit as usize);
            self.events.push(EventPlan { event, limit, columns: Vec::new(), tests: Vec::new(), tables: Vec::new() });
        }
        #[expect(clippy::indexing_slicing, reason = "the entry was found or has just been pushed")]
        &mut self.events[place]
    }
}

fn slot(columns: &mut Vec<ColumnKey>, key: ColumnKey) -> Slot {
    columns.iter().position(|column| *column == key).unwrap_or_else(|| {
        columns.push(key);
        columns.len() - 1
    })
}
