//! From a question to the tables that answer it. Uses the schema and public constants only.
//!
//! # Shares of the price
//! Tables of numbers that are asked together share one price and one noise, so a table's share is its squared norm over the
//! sum of all, and its noise, in its bound, has the variance of its share alone. Events get two parts and sums three. A bound
//! on events has to cover how many somebody buys; a bound on amounts their spread too, so at equal shares the noise of sums,
//! as part of what there is, is some 1.4 times that of counts on purchase amounts. With shares `p` and `1 - p` the relative
//! variances add up to `1 / p + 1.4^2 / (1 - p)`, which is least where the shares are as 1 to 1.4: two parts and three. A
//! quotient's relative variance is the sum of both, so it is least there too.
//!
//! A mean of an attribute is a center plus a quotient, and its variance `s^2 + (mean - center)^2 n^2`, with the noise `s` of the
//! sum and `n` of the count. Two parts and three beat halves wherever the mean is less than four fifths of the way from the
//! center to a bound; by a sixth of the variance at the center, and cost a twenty-fourth at the bound. Squares get two parts:
//! less their middle they reach half as far, and two, three and two are near the least sum of the variances of a mean and of a
//! deviation of a third of the reach.

use super::plan::{
    MAX_BANDS, MAX_CELLS, MAX_COHORTS, MAX_EDGES, MAX_MEASURES, MAX_NORMS, MAX_OVERLAP, MAX_PERIODS, MAX_STEPS,
    MAX_TABLES, MAX_TOP, PlanError,
};
use super::question::{By, Counted, Dimension, Kind, Measure, Times};
use crate::scan::{Axis, AxisOf, Clip, Count, Norms, Parts, Squares, TableSpec, Weights};
use policy::schema::{EventTypeId, Field, FieldRef, FieldType, Schema};
use policy::segment::{EventFilter, EventTest, Expr, Measure as Measured, Segment, Window};

/// Most hours of day in which one person counts fully, as the L0 bound of a table of people by hour.
const HOURS_DISTINCT: u32 = 8;

/// Most hours, weekdays and periods in which one person counts fully in a whole portrait. Smaller than where they are asked
/// for alone, since all of its tables share one price: what they add to it is the sum of these, and the shape of a day or of
/// a trend is lost to nobody, as who was there more often counts for less in each and not for nothing.
pub const PROFILE_HOURS: u32 = 4;
/// See [`PROFILE_HOURS`].
pub const PROFILE_WEEKDAYS: u32 = 3;
/// See [`PROFILE_HOURS`].
pub const PROFILE_PERIODS: u32 = 4;

/// A table and what is said about it in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) spec: TableSpec,
    pub(super) by: Vec<Dimension>,
    pub(super) counted: Counted,
}

type Named = (Axis, Dimension);

impl Shape {
    fn new(axes: Vec<Named>, window: Window, (count, counted): (Count, Counted)) -> Self {
        let (axes, by) = axes.into_iter().unzip();
        Self { spec: TableSpec { axes, window, count, weights: Weights::EVEN }, by, counted }
    }

    fn people(axes: Vec<Named>, window: Window) -> Self {
        Self::new(axes, window, (Count::People, Counted::People))
    }
}

/// Returns the tables of a kind of question.
pub(super) fn shapes(schema: &Schema, kind: &Kind) -> Result<Vec<Shape>, PlanError> {
    match kind {
        Kind::Size => Ok(vec![Shape::people(vec![], Window::Ever)]),
        Kind::Breakdown { by, window } => {
            let axes = crossed(schema, by.iter().map(|field| field_axis(schema, *field)))?;
            distinct(schema, by)?;
            if axes.is_empty() {
                return Err(PlanError::FieldCount(0));
            }
            Ok(vec![Shape::people(axes, *window)])
        }
        Kind::Portrait { fields, window } => one_each(schema, fields, &[], *window),
        Kind::Contrast { of, fields, window } => one_each(schema, fields, &[member(of)], *window),
        Kind::Profile { of, fields, bands, times, window } => {
            let before: Vec<Named> = of.iter().map(member).collect();
            let fields = field_axes(schema, fields)?;
            let bands = bands.iter().map(|bands| band_axis(bands)).collect::<Result<Vec<_>, _>>()?;
            let times = times.as_ref().map_or(Ok(Vec::new()), |times| time_axes(schema, times))?;
            let axes: Vec<Named> = [fields, bands, times].concat();
            each(&axes, &before, *window)
        }
        Kind::Funnel { steps } => {
            let count = counted(steps.len(), MAX_STEPS, PlanError::Steps)?;
            let axis = subject_axis(AxisOf::Steps(roots(steps)), count + 1, Dimension::Steps(narrow(count)));
            Ok(vec![Shape::people(vec![axis], Window::Ever)])
        }
        Kind::Overlap { others } => {
            let count = counted(others.len(), MAX_OVERLAP, PlanError::Overlap)?;
            let axis = subject_axis(AxisOf::Flags(roots(others)), 1 << count, Dimension::Flags(narrow(count)));
            Ok(vec![Shape::people(vec![axis], Window::Ever)])
        }
        Kind::Bands { lists } => {
            let axes = crossed(schema, lists.iter().map(|bands| band_axis(bands)))?;
            if axes.is_empty() { Err(PlanError::FieldCount(0)) } else { Ok(vec![Shape::people(axes, Window::Ever)]) }
        }
        Kind::Table { measures, by, window, weighed: _ } => table(schema, measures, by, *window),
        Kind::Norms { of, by, window, edges } => norms(schema, *of, by, *window, edges),
        Kind::Retention { event, days } => retention(schema, *event, days),
        Kind::Top { field, k, window } => {
            let (mut axis, dimension) = field_axis(schema, *field)?;
            counted(*k as usize, MAX_TOP.min(axis.cells as usize - 1), PlanError::Top)?;
            // Scores are not clipped: selection asks for no bound on how many values a subject has.
            axis.max_distinct = axis.cells;
            Ok(vec![Shape::people(vec![(axis, dimension)], *window)])
        }
        Kind::Mean { field } => mean(schema, *field, false),
        Kind::Spread { field } => mean(schema, *field, true),
    }
}

fn roots<'a>(segments: impl IntoIterator<Item = &'a Segment>) -> Vec<Expr> {
    segments.into_iter().map(|segment| segment.root().clone()).collect()
}

fn narrow(count: u32) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

fn counted(len: usize, most: usize, problem: fn(usize) -> PlanError) -> Result<u32, PlanError> {
    u32::try_from(len).ok().filter(|_| (1..=most).contains(&len)).ok_or_else(|| problem(len))
}

fn subject_axis(of: AxisOf, cells: u32, dimension: Dimension) -> Named {
    (Axis { of, cells, max_distinct: 1 }, dimension)
}

/// Whether somebody is in a segment or in the rest.
fn member(of: &Segment) -> Named {
    subject_axis(AxisOf::Flags(roots([of])), 2, Dimension::Member)
}

fn band_axis(bands: &[Segment]) -> Result<Named, PlanError> {
    let count = counted(bands.len(), MAX_BANDS, PlanError::Bands)?;
    Ok(subject_axis(AxisOf::Bands(roots(bands)), count + 1, Dimension::Bands(narrow(count))))
}

/// A table for each field, all after the same dimensions.
fn one_each(schema: &Schema, fields: &[FieldRef], before: &[Named], window: Window) -> Result<Vec<Shape>, PlanError> {
    each(&field_axes(schema, fields)?, before, window)
}

/// A table of people for each of some dimensions, all after the same others.
fn each(axes: &[Named], before: &[Named], window: Window) -> Result<Vec<Shape>, PlanError> {
    if !(1..=MAX_TABLES).contains(&axes.len()) {
        return Err(PlanError::TableCount(axes.len()));
    }
    let table = |axis: &Named| {
        // Periods say themselves which events count.
        let window = if matches!(axis.0.of, AxisOf::Periods(..)) { Window::Ever } else { window };
        Shape::people(before.iter().chain([axis]).cloned().collect(), window)
    };
    Ok(axes.iter().map(table).collect())
}

fn field_axes(schema: &Schema, fields: &[FieldRef]) -> Result<Vec<Named>, PlanError> {
    distinct(schema, fields)?;
    fields.iter().map(|field| field_axis(schema, *field)).collect()
}

/// The times of a whole portrait.
fn time_axes(schema: &Schema, times: &Times) -> Result<Vec<Named>, PlanError> {
    let Times { event, hours, weekdays, days } = times;
    schema.events.iter().find(|known| known.id == *event).ok_or(PlanError::UnknownField)?;
    let at_most = |(axis, dimension): Named, most: u32| {
        let max_distinct = axis.max_distinct.min(most);
        (Axis { max_distinct, ..axis }, dimension)
    };
    let hours = hours.then(|| at_most(hours_axis(*event), PROFILE_HOURS));
    let weekdays = weekdays.then(|| at_most(weekdays_axis(*event), PROFILE_WEEKDAYS));
    let days = if days.is_empty() { None } else { Some(at_most(periods(*event, days)?, PROFILE_PERIODS)) };
    Ok(hours.into_iter().chain(weekdays).chain(days).collect())
}

fn hours_axis(event: EventTypeId) -> Named {
    let axis = Axis { of: AxisOf::Hours(event), cells: 24, max_distinct: HOURS_DISTINCT };
    (axis, Dimension::Hours(event))
}

fn weekdays_axis(event: EventTypeId) -> Named {
    (Axis { of: AxisOf::Weekdays(event), cells: 7, max_distinct: 7 }, Dimension::Weekdays(event))
}

/// Checks that dimensions can be crossed: at most three, those over events of one type.
fn crossed(
    schema: &Schema,
    axes: impl ExactSizeIterator<Item = Result<Named, PlanError>>,
) -> Result<Vec<Named>, PlanError> {
    if axes.len() > 3 {
        return Err(PlanError::FieldCount(axes.len()));
    }
    let axes: Vec<Named> = axes.collect::<Result<_, _>>()?;
    let mut events = axes.iter().filter_map(|(axis, _)| axis.of.event());
    let first = events.next();
    if events.any(|event| Some(event) != first) {
        return Err(PlanError::TwoEvents);
    }
    let known = |event: EventTypeId| schema.events.iter().any(|known| known.id == event);
    if first.is_none_or(known) { Ok(axes) } else { Err(PlanError::UnknownField) }
}

fn distinct(schema: &Schema, fields: &[FieldRef]) -> Result<(), PlanError> {
    let mut sorted = fields.to_vec();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
        Some([field, ..]) => Err(PlanError::Repeated(schema.path(*field))),
        _ => Ok(()),
    }
}

fn field_axis(schema: &Schema, field: FieldRef) -> Result<Named, PlanError> {
    let dimension = match field {
        FieldRef::Attribute(column) => Dimension::Attribute(column),
        FieldRef::EventField(event, column) => Dimension::EventField(event, column),
        FieldRef::Event(event) => {
            let known = schema.events.iter().any(|known| known.id == event);
            return Err(if known { PlanError::EventType(schema.path(field)) } else { PlanError::UnknownField });
        }
    };
    let described = schema.field(field).ok_or(PlanError::UnknownField)?;
    let values = match &described.ty {
        FieldType::Identifier { .. } => return Err(PlanError::Identifier(schema.path(field))),
        _ => described.ty.labels().ok_or_else(|| PlanError::OpenDomain(schema.path(field)))?.len(),
    };
    // A domain has at most 4,096 values.
    let cells = u32::try_from(values).unwrap_or(u32::MAX).saturating_add(1);
    Ok((Axis { of: AxisOf::Field(field), cells, max_distinct: bound(field, described, cells) }, dimension))
}

fn bound(field: FieldRef, described: &Field, cells: u32) -> u32 {
    match field {
        FieldRef::EventField(..) => described.max_distinct.clamp(1, cells),
        _ => 1,
    }
}

fn table(schema: &Schema, measures: &[Measure], by: &[By], window: Window) -> Result<Vec<Shape>, PlanError> {
    counted(measures.len(), MAX_MEASURES, PlanError::Measures)?;
    let fields: Vec<FieldRef> =
        by.iter().filter_map(|by| if let By::Field(field) = by { Some(*field) } else { None }).collect();
    distinct(schema, &fields)?;
    let axes = crossed(schema, by.iter().map(|by| dimension(schema, by)))?;
    let event = axes.iter().find_map(|(axis, _)| axis.of.event());
    if measures.len() > 1 && measures.contains(&Measure::People) {
        return Err(PlanError::PeopleAlone);
    }
    let shape = |measure: &Measure| {
        let counted = count(schema, *measure)?;
        match (counted.0, event) {
            (Count::Events(of, _) | Count::Sum(of, ..), Some(event)) if of != event => Err(PlanError::TwoEvents),
            _ => Ok(Shape::new(axes.clone(), window, counted)),
        }
    };
    measures.iter().map(shape).collect()
}

/// How long vectors over the cells of a table are.
fn norms(schema: &Schema, of: FieldRef, by: &[By], window: Window, edges: &[u64]) -> Result<Vec<Shape>, PlanError> {
    // The table whose vectors they are can be asked for.
    let (measure, event, sum) = match of {
        FieldRef::EventField(event, column) => (Measure::Sum { field: of, bound: 1 }, event, Some(column)),
        FieldRef::Event(event) => (Measure::Events { event, bound: 1 }, event, None),
        FieldRef::Attribute(_) => return Err(PlanError::NotSummed(schema.path(of))),
    };
    let of_table = table(schema, &[measure], by, window)?;
    let by = of_table.into_iter().next().map(|shape| shape.spec.axes).unwrap_or_default();
    // The scan keeps a number for each of these cells.
    let cells = by.iter().fold(1, |cells: usize, axis| cells.saturating_mul(axis.cells as usize));
    if cells > MAX_CELLS {
        return Err(PlanError::TooManyCells(cells));
    }
    let count = counted(edges.len(), MAX_NORMS, |_| PlanError::Norms)?;
    ascending(edges, PlanError::Norms)?;
    if edges.first() == Some(&0) {
        return Err(PlanError::Norms);
    }
    let dimension = Dimension::Norms(event, sum, edges.to_vec());
    let norms = Norms { event, sum, by, edges: edges.to_vec() };
    let axis = Axis { of: AxisOf::Norms(Box::new(norms)), cells: count + 1, max_distinct: 1 };
    Ok(vec![Shape::people(vec![(axis, dimension)], window)])
}

fn count(schema: &Schema, measure: Measure) -> Result<(Count, Counted), PlanError> {
    let clip = |bound, parts| Clip::new(bound, parts).ok_or(PlanError::Bound);
    match measure {
        Measure::People => Ok((Count::People, Counted::People)),
        Measure::Events { event, bound } => {
            schema.events.iter().find(|known| known.id == event).ok_or(PlanError::UnknownField)?;
            Ok((Count::Events(event, clip(bound, Parts::Two)?), Counted::Events(event, bound)))
        }
        Measure::Sum { field: field @ FieldRef::EventField(event, column), bound } => {
            number(schema, field)?;
            Ok((Count::Sum(event, column, clip(bound, Parts::Three)?), Counted::Sum(event, column, bound)))
        }
        Measure::Sum { field, .. } => Err(PlanError::NotSummed(schema.path(field))),
    }
}

/// Returns the public bounds of a number field.
fn number(schema: &Schema, field: FieldRef) -> Result<(i64, i64), PlanError> {
    match schema.field(field).map(|field| &field.ty) {
        Some(FieldType::Integer { min, max } | FieldType::Decimal { min, max, .. }) => Ok((*min, *max)),
        Some(_) => Err(PlanError::NotSummed(schema.path(field))),
        None => Err(PlanError::UnknownField),
    }
}

fn dimension(schema: &Schema, by: &By) -> Result<Named, PlanError> {
    match by {
        By::Field(field) => field_axis(schema, *field),
        By::Periods { event, days } => periods(*event, days),
        By::Hours(event) => Ok(hours_axis(*event)),
        By::Weekdays(event) => Ok(weekdays_axis(*event)),
        By::Bins { field, edges } => {
            let FieldRef::Attribute(column) = *field else { return Err(PlanError::NotSummed(schema.path(*field))) };
            number(schema, *field)?;
            let count = counted(edges.len(), MAX_EDGES, |_| PlanError::Edges)?;
            ascending(edges, PlanError::Edges)?;
            let dimension = Dimension::Bins(column, edges.clone());
            Ok(subject_axis(AxisOf::Bins(column, edges.clone()), count + 2, dimension))
        }
    }
}

fn periods(event: EventTypeId, days: &[i32]) -> Result<Named, PlanError> {
    let cells = counted(days.len().saturating_sub(1), MAX_PERIODS, |_| PlanError::Days)?;
    ascending(days, PlanError::Days)?;
    let axis = Axis { of: AxisOf::Periods(event, days.to_vec()), cells, max_distinct: cells };
    Ok((axis, Dimension::Periods(event, days.to_vec())))
}

fn ascending<T: PartialOrd>(list: &[T], problem: PlanError) -> Result<(), PlanError> {
    if list.is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(problem) }
}

fn retention(schema: &Schema, event: EventTypeId, days: &[i32]) -> Result<Vec<Shape>, PlanError> {
    let active = periods(event, days)?;
    let did = |(from, to): (&i32, &i32)| {
        Expr::Event(EventTest {
            event,
            window: Window::Dates(*from, *to),
            filter: EventFilter::Const(true),
            measure: Measured::Count,
            if_any: false,
            min: 1,
            max: i64::MAX,
        })
    };
    let bands: Vec<Expr> = days.iter().zip(days.iter().skip(1)).map(did).collect();
    let cells = counted(bands.len(), MAX_COHORTS, |_| PlanError::Days)?;
    let cohort = subject_axis(AxisOf::Bands(bands), cells + 1, Dimension::Cohort(event, days.to_vec()));
    let axes = crossed(schema, [Ok(cohort), Ok(active)].into_iter())?;
    Ok(vec![Shape::people(axes, Window::Ever)])
}

fn mean(schema: &Schema, field: FieldRef, with_squares: bool) -> Result<Vec<Shape>, PlanError> {
    let FieldRef::Attribute(column) = field else { return Err(PlanError::NotSummed(schema.path(field))) };
    let (min, max) = number(schema, field)?;
    let center = min.midpoint(max);
    let reach = center.abs_diff(min).max(center.abs_diff(max)).max(1);
    let clip = |bound, parts| Clip::new(bound, parts).ok_or(PlanError::Bound);
    let present = (Count::Present { column, clip: clip(1, Parts::Two)? }, Counted::Present(column));
    let value = Count::Value { column, center, clip: clip(reach, Parts::Three)? };
    let squares = Squares::new(center, reach);
    let square = Count::Square { column, squares, clip: clip(squares.bound(), Parts::Two)? };
    let squared = Counted::Square { column, shift: squares.shift(), middle: squares.middle() };
    let both = [present, (value, Counted::Value(column, center))];
    let all = both.into_iter().chain(with_squares.then_some((square, squared)));
    Ok(all.map(|counted| Shape::new(vec![], Window::Ever, counted)).collect())
}
