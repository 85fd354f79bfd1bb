//! From a request for a whole portrait to its question. What is not said is chosen from the dataset's description, as far as
//! the caller may count it; what is said and not granted is refused as everywhere.

use super::question::{self, View};
use super::{cut_bands, parts};
use crate::pipeline::Call;
use crate::status::Failure;
use crate::wire::profile::{Panel, Part};
use policy::schema::{EventTypeId, FieldRef};
use policy::segment::Segment;
use policy::treatment::Treatment;
use proto::v1;
use vault::release::{Kind, PROFILE_HOURS, PROFILE_PERIODS, PROFILE_WEEKDAYS, Times};

/// Whole periods of a trend that nobody says the first day of: a quarter in weeks, a year in months.
const PERIODS: usize = 12;

/// What is wanted of a portrait, as it was asked.
#[derive(Debug)]
pub struct Wanted {
    /// Which parts; nothing is all.
    pub parts: Vec<String>,
    /// Which fields.
    pub fields: Vec<String>,
    /// Which events count.
    pub window: Option<v1::Window>,
    /// Bands of the description.
    pub rfm: Vec<String>,
    /// Bands of the caller's own.
    pub lists: Vec<v1::BandList>,
    /// Whose times.
    pub event: String,
    /// Which periods.
    pub trend: Trend,
}

/// Which periods are wanted of a trend, as it was asked.
#[derive(Debug)]
pub struct Trend {
    /// How long they are.
    pub period: i32,
    /// The first day.
    pub from: String,
    /// The day after the last.
    pub until: String,
}

/// Builds the question, whose members are the segment of the call, and what its tables are called, in order.
pub fn kind(call: &Call, view: &View, wanted: Wanted, segment: &mut Segment) -> Result<(Kind, Vec<Panel>), Failure> {
    let Wanted { parts, fields, window, rfm, lists, event, trend } = wanted;
    let parts = self::parts(&parts)?;
    let window = question::window(window)?;
    let event = self::event(view, &event)?;
    let mut panels = Vec::new();
    let fields = if parts.contains(&Part::Fields) { self::fields(view, &fields, event)? } else { Vec::new() };
    panels.extend(fields.iter().map(|field| field_panel(view, *field)));
    let bands = if parts.contains(&Part::Bands) { bands(call, view, rfm, lists, &mut panels)? } else { Vec::new() };
    let times = event.map(|event| times(call, view, (event, &parts), &trend, &mut panels)).transpose()?;
    let of = std::mem::replace(segment, Segment::everyone());
    let of = Some(of).filter(|of| *of != Segment::everyone());
    if panels.is_empty() {
        return Err(Failure::invalid("parts", "name nothing that this dataset has and this client may ask for"));
    }
    Ok((Kind::Profile { of, fields, bands, times, window }, panels))
}

fn parts(words: &[String]) -> Result<Vec<Part>, Failure> {
    if words.is_empty() {
        return Ok(Part::ALL.to_vec());
    }
    let read = |word: &String| Part::ALL.into_iter().find(|part| part.word() == word);
    let parts: Option<Vec<Part>> = words.iter().map(read).collect();
    parts.ok_or_else(|| Failure::invalid("parts", "must be of `fields`, `bands`, `hours`, `weekdays` and `trend`"))
}

fn may_count(view: &View, field: FieldRef) -> bool {
    view.treatment(field) >= Treatment::Aggregate
}

/// The event type of that name; or that of the bands, or else the first, of those that the caller may count.
fn event(view: &View, path: &str) -> Result<Option<EventTypeId>, Failure> {
    if !path.is_empty() {
        return parts::event(view, "event", path).map(Some);
    }
    let of_bands = view.schema.rfm.as_ref().map(|rfm| rfm.event);
    let all = of_bands.into_iter().chain(view.schema.events.iter().map(|event| event.id));
    Ok(all.into_iter().find(|event| may_count(view, FieldRef::Event(*event))))
}

/// The fields of those names; or every attribute that may be counted, and the event's first field with a list of values.
fn fields(view: &View, paths: &[String], event: Option<EventTypeId>) -> Result<Vec<FieldRef>, Failure> {
    if !paths.is_empty() {
        return parts::closed(view, "fields", paths);
    }
    let described = view.schema.events.iter().find(|described| Some(described.id) == event);
    let closed = described.into_iter().flat_map(|event| {
        let closed = event.fields.iter().filter(|field| field.ty.cardinality().is_some());
        closed.map(|field| FieldRef::EventField(event.id, field.column))
    });
    let first = closed.into_iter().find(|field| may_count(view, *field));
    Ok(parts::granted(view).into_iter().chain(first).collect())
}

fn field_panel(view: &View, field: FieldRef) -> Panel {
    let described = view.schema.field(field);
    let is_event = matches!(field, FieldRef::EventField(..));
    Panel {
        part: Part::Fields,
        name: view.schema.path(field),
        display: described.map_or_else(String::new, |field| field.display.clone()),
        labels: Vec::new(),
        counts_fully_in: described.filter(|_| is_event).map_or(1, |field| field.max_distinct.max(1)),
    }
}

/// The bands that were asked for; or those of the description that may be counted, if nothing was.
fn bands(
    call: &Call,
    view: &View,
    measures: Vec<String>,
    lists: Vec<v1::BandList>,
    panels: &mut Vec<Panel>,
) -> Result<Vec<Vec<Segment>>, Failure> {
    let measures = if measures.is_empty() && lists.is_empty() { granted_measures(view) } else { measures };
    let cut = measures.iter().map(|measure| cut_bands::bands(call, view, measure));
    let lists = cut.chain(lists.into_iter().map(Ok)).collect::<Result<Vec<_>, Failure>>()?;
    let mut read = |v1::BandList { name, bands }: v1::BandList| {
        parts::few_bands("lists", &bands)?;
        let (bands, called) = parts::named(call, view, "lists", bands)?;
        let name = if name.is_empty() { "band".to_owned() } else { name };
        let labels = std::iter::once(NONE.to_owned()).chain(called).collect();
        panels.push(Panel { part: Part::Bands, display: name.clone(), name, labels, counts_fully_in: 1 });
        Ok(bands)
    };
    lists.into_iter().map(&mut read).collect()
}

/// What whoever is in no band is called.
const NONE: &str = "(none)";

/// Which bands of the description the caller may count by.
fn granted_measures(view: &View) -> Vec<String> {
    let Some(rfm) = &view.schema.rfm else { return Vec::new() };
    let field = |column| may_count(view, FieldRef::EventField(rfm.event, column));
    let all = [("recency", true), ("frequency", rfm.purchase.is_none_or(field)), ("monetary", field(rfm.amount))];
    let granted = all.into_iter().filter(|(_, granted)| *granted && may_count(view, FieldRef::Event(rfm.event)));
    granted.map(|(measure, _)| measure.to_owned()).collect()
}

fn times(
    call: &Call,
    view: &View,
    (event, parts): (EventTypeId, &[Part]),
    trend: &Trend,
    panels: &mut Vec<Panel>,
) -> Result<Times, Failure> {
    let described = view.schema.events.iter().find(|described| described.id == event);
    let mut wanted = |part: Part, counts_fully_in: u32| {
        let is_wanted = parts.contains(&part);
        let display = described.map_or_else(String::new, |event| event.display.clone());
        let name = view.schema.path(FieldRef::Event(event));
        let panel = Panel { part, name, display, labels: Vec::new(), counts_fully_in };
        panels.extend(is_wanted.then_some(panel));
        is_wanted
    };
    let (hours, weekdays) = (wanted(Part::Hours, PROFILE_HOURS), wanted(Part::Weekdays, PROFILE_WEEKDAYS));
    let days = if parts.contains(&Part::Trend) { days(call, view, trend)? } else { Vec::new() };
    let periods = u32::try_from(days.len().saturating_sub(1)).unwrap_or(u32::MAX);
    if !days.is_empty() {
        wanted(Part::Trend, PROFILE_PERIODS.min(periods));
    }
    Ok(Times { event, hours, weekdays, days })
}

fn days(call: &Call, view: &View, Trend { period, from, until }: &Trend) -> Result<Vec<i32>, Failure> {
    let period = if *period == 0 { v1::Period::Week.into() } else { *period };
    match (from.as_str(), until.as_str()) {
        ("", "") => parts::last_periods(call, view, period, PERIODS),
        (from, until) => parts::periods(call, view, period, from, until),
    }
}
