//! From a table's public description to columns, codes and places.

use super::axis::{Axis, AxisOf, Clip, Count, Norms, TableSpec};
use super::clip::Scaler;
use super::condition::attribute_nodes;
use super::derive::{Derived, Rule};
use super::event_axes::{EventAxes, EventAxis, RowCode, SubjectAxis};
use super::measure::{Adds, MeasureTable, Then, ValueTable};
use super::plan::{AttributeTable, EventTable, Plan, Slot, slot};
use crate::blocks::ColumnKey;
use policy::schema::{ColumnId, EventTypeId, FieldRef};
use policy::segment::{Expr, Window, WindowError};
use policy::time::Timestamp;

/// Slots of derived codes begin here until it is known how many columns there are; a schema has far fewer.
const DERIVED: Slot = 1 << 24;

/// Columns that are counted together without deriving a code from them.
const PAIR: usize = 2;

impl Plan {
    /// Adds a table and its cells.
    pub(super) fn add_table(&mut self, table: &TableSpec, as_of: Timestamp, zone: &str) -> Result<(), WindowError> {
        let (from, until) = table.window.resolve(as_of, zone)?;
        let (start, event) = (self.cells, table.event());
        self.cells += table.cells();
        if let [Axis { of: AxisOf::Norms(norms), .. }] = table.axes.as_slice() {
            return self.add_norms(start, norms, (from, until), (as_of, zone));
        }
        let axes = self.axes(&table.axes, event, as_of, zone)?;
        let weights = table.weights.clone();
        match (table.count, event) {
            (Count::Value { column, center, clip }, _) => {
                self.add_values(start, axes.subjects, column, Adds::Value(center), clip);
            }
            (Count::Present { column, clip }, _) => self.add_values(start, axes.subjects, column, Adds::One, clip),
            (Count::Square { column, squares, clip }, _) => {
                self.add_values(start, axes.subjects, column, Adds::Square(squares), clip);
            }
            (Count::Events(_, clip), Some(event)) => {
                self.event_plan(event).measures.push(MeasureTable {
                    start,
                    axes,
                    sum: None,
                    then: Then::Add { scaler: Scaler::new(clip), weights },
                    from,
                    until,
                });
            }
            (Count::Sum(_, column, clip), Some(event)) => {
                let events = self.event_plan(event);
                let sum = Some(slot(&mut events.columns, ColumnKey::of(column)));
                events.measures.push(MeasureTable {
                    start,
                    axes,
                    sum,
                    then: Then::Add { scaler: Scaler::new(clip), weights },
                    from,
                    until,
                });
            }
            (Count::People, Some(event)) => {
                let of_events = table.axes.iter().filter(|axis| axis.of.event().is_some());
                let max_distinct = of_events.fold(1, |all: u32, axis| all.saturating_mul(axis.max_distinct));
                self.event_plan(event).tables.push(EventTable { start, axes, max_distinct, from, until });
            }
            (_, None) => self.count_subjects(start, axes.subjects),
        }
        Ok(())
    }

    /// Resolves the dimensions of a table; the cells are in row-major order.
    fn axes(
        &mut self,
        of_table: &[Axis],
        event: Option<EventTypeId>,
        as_of: Timestamp,
        zone: &str,
    ) -> Result<EventAxes, WindowError> {
        let mut axes = EventAxes::default();
        let mut stride = of_table.iter().map(|axis| axis.cells as usize).product::<usize>();
        for axis in of_table {
            stride /= (axis.cells as usize).max(1);
            match axis.of.event().zip(event) {
                None => {
                    let slot = self.subject_slot(axis, as_of, zone)?;
                    axes.subjects.push(SubjectAxis { slot, cells: axis.cells, stride });
                }
                Some((of, event)) => {
                    let code = self.row_code(axis, of == event, event, as_of, zone)?;
                    axes.events.push(EventAxis { code, cells: axis.cells, stride });
                }
            }
        }
        Ok(axes)
    }

    /// Counts people by how long their vectors are. Dimensions over subjects are left out: they say where a vector lies, and
    /// nothing of its length.
    fn add_norms(
        &mut self,
        start: usize,
        norms: &Norms,
        (from, until): (i64, i64),
        (as_of, zone): (Timestamp, &str),
    ) -> Result<(), WindowError> {
        let Norms { event, sum, by, edges } = norms;
        let over_events: Vec<Axis> = by.iter().filter(|axis| axis.of.event().is_some()).cloned().collect();
        let axes = self.axes(&over_events, Some(*event), as_of, zone)?;
        let events = self.event_plan(*event);
        let sum = sum.map(|column| slot(&mut events.columns, ColumnKey::of(column)));
        let squares = edges.iter().map(|edge| u128::from(*edge).pow(2)).collect();
        events.measures.push(MeasureTable { start, axes, sum, then: Then::Count(squares), from, until });
        Ok(())
    }

    fn add_values(&mut self, start: usize, axes: Vec<SubjectAxis>, column: ColumnId, adds: Adds, clip: Clip) {
        let slot = self.attribute(ColumnKey::of(column));
        self.values.push(ValueTable { start, axes, slot, adds, scaler: Scaler::new(clip) });
    }

    /// Counts people by what each has one of. More columns than are counted together are first made one.
    fn count_subjects(&mut self, start: usize, axes: Vec<SubjectAxis>) {
        let columns: Vec<(Slot, u32)> = axes.iter().map(|axis| (axis.slot, axis.cells)).collect();
        let axes = if columns.len() <= PAIR {
            columns
        } else {
            let cells = columns.iter().fold(1, |all: u32, (_, cells)| all.saturating_mul(*cells));
            vec![(self.derive(Derived::Cross(columns)), cells)]
        };
        self.tables.push(AttributeTable { start, axes });
    }

    /// Finds the slot of what subjects have one of. Tables that share a dimension share its codes: they are derived once.
    fn subject_slot(&mut self, axis: &Axis, as_of: Timestamp, zone: &str) -> Result<Slot, WindowError> {
        if let Some((_, slot)) = self.known.iter().find(|(known, _)| *known == axis.of) {
            return Ok(*slot);
        }
        let slot = self.new_subject_slot(axis, as_of, zone)?;
        self.known.push((axis.of.clone(), slot));
        Ok(slot)
    }

    fn new_subject_slot(&mut self, axis: &Axis, as_of: Timestamp, zone: &str) -> Result<Slot, WindowError> {
        let mut rule = |rule, conditions: &[Expr]| {
            let nodes = conditions.iter().map(|condition| attribute_nodes(condition, self, as_of, zone));
            let nodes = nodes.collect::<Result<_, WindowError>>()?;
            Ok(self.derive(Derived::Of(rule, nodes)))
        };
        match &axis.of {
            AxisOf::Field(FieldRef::Attribute(column)) => Ok(self.attribute(ColumnKey::of(*column))),
            AxisOf::Steps(conditions) => rule(Rule::Steps, conditions),
            AxisOf::Flags(conditions) => rule(Rule::Flags, conditions),
            AxisOf::Bands(conditions) => rule(Rule::Bands, conditions),
            AxisOf::Bins(column, edges) => {
                let from = self.attribute(ColumnKey::of(*column));
                Ok(self.derive(Derived::Bins(from, edges.clone())))
            }
            // Not over subjects: every one of them is missing it.
            AxisOf::Field(FieldRef::EventField(..) | FieldRef::Event(_))
            | AxisOf::Periods(..)
            | AxisOf::Hours(_)
            | AxisOf::Weekdays(_)
            | AxisOf::Norms(_) => Ok(Slot::MAX),
        }
    }

    fn derive(&mut self, derived: Derived) -> Slot {
        self.derived.push(derived);
        DERIVED + self.derived.len() - 1
    }

    fn row_code(
        &mut self,
        axis: &Axis,
        same_event: bool,
        event: EventTypeId,
        as_of: Timestamp,
        zone: &str,
    ) -> Result<RowCode, WindowError> {
        Ok(match &axis.of {
            AxisOf::Field(FieldRef::EventField(_, column)) if same_event => {
                RowCode::Column(slot(&mut self.event_plan(event).columns, ColumnKey::of(*column)))
            }
            AxisOf::Periods(_, days) => {
                let start = |day: &i32| Window::Since(*day).resolve(as_of, zone).map(|(start, _)| start);
                RowCode::Periods(days.iter().map(start).collect::<Result<_, _>>()?)
            }
            AxisOf::Hours(_) => RowCode::Hours(self.local_days(as_of, zone)?),
            AxisOf::Weekdays(_) => RowCode::Weekdays(self.local_days(as_of, zone)?),
            _ => RowCode::Column(Slot::MAX),
        })
    }

    /// Gives derived codes their slots after those of all columns.
    pub(super) fn settle(&mut self) {
        self.known.clear();
        let columns = self.columns.len();
        let settle = |slot: &mut Slot| {
            if (DERIVED..Slot::MAX).contains(slot) {
                *slot = *slot - DERIVED + columns;
            }
        };
        self.tables.iter_mut().flat_map(|table| &mut table.axes).for_each(|(slot, _)| settle(slot));
        self.values.iter_mut().flat_map(|table| &mut table.axes).for_each(|axis| settle(&mut axis.slot));
        for event in &mut self.events {
            let tables = event.tables.iter_mut().map(|table| &mut table.axes);
            let measures = event.measures.iter_mut().map(|table| &mut table.axes);
            tables.chain(measures).flat_map(|axes| &mut axes.subjects).for_each(|axis| settle(&mut axis.slot));
        }
        for derived in &mut self.derived {
            match derived {
                Derived::Cross(axes) => axes.iter_mut().for_each(|(slot, _)| settle(slot)),
                Derived::Of(..) | Derived::Bins(..) => {}
            }
        }
    }
}
