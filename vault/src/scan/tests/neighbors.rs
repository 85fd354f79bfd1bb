//! No person moves what is released by more than the plan declares: random people, every kind of question, and one of the
//! people taken out with every trace.
//!
//! A pair is two sets of sealed blocks, one with the person's whole stream and consent, one with a stranger to the dataset
//! in the place, and one question. The squared distance of the two un-noised vectors must not exceed
//! [`Plan::norm_squared`], which is what the noise is computed from. 100,000 pairs and more with
//! `SILHOUETTE_AUDIT=long`, some thousands otherwise; that each kind comes to its bound shows that the bound is tested.

use super::*;
use crate::release::{By, Kind, Measure, Plan, PlanError, Question, Times, plan};
use policy::privacy::NanoRho;
use policy::schema::{Schema, parse};
use policy::segment::Segment;
use std::collections::BTreeMap;

/// Questions asked of each pair of datasets.
const QUESTIONS: usize = 50;
/// So that a plan of many cells does not take the time of a hundred small ones.
const MOST_CELLS: usize = 2_500;

fn datasets() -> usize {
    if std::env::var("SILHOUETTE_AUDIT").is_ok_and(|form| form == "long") { 2_200 } else { 80 }
}

/// The description of what [`ATTRIBUTES`] and [`FIELDS`] store.
fn schema(dice: &mut Dice) -> Schema {
    let values = |n: u64| (0..n).map(|value| format!("\"v{value}\"")).collect::<Vec<_>>().join(", ");
    let ty = |(layout, n): (Layout, u64)| match layout {
        Layout::Code8 | Layout::Code16 => format!("class = \"behavioral\"\ntype = \"enum\"\ndomain = [{}]", values(n)),
        Layout::Int64 => "class = \"behavioral\"\ntype = \"integer\"\nmin = -20\nmax = 20".to_owned(),
        Layout::Bytes => "class = \"identifier\"\ntype = \"identifier\"\nmax_bytes = 32".to_owned(),
    };
    let mut text = "version = 1\ndataset = \"d\"\norganization = \"o\"\ntime_zone = \"Europe/London\"\n\
                    subject_key = \"a4\"\npurposes = [\"marketing\"]\n"
        .to_owned();
    for (number, kind) in ATTRIBUTES.iter().enumerate() {
        text += &format!("[[attributes]]\nname = \"a{number}\"\n{}\n", ty(*kind));
    }
    for (event, (fields, limit)) in FIELDS.iter().zip(LIMITS).enumerate() {
        text += &format!("[[events]]\nname = \"e{event}\"\nmax_per_subject = {limit}\n");
        for (number, kind) in fields.iter().enumerate() {
            let bound = match kind.0 {
                Layout::Code8 | Layout::Code16 => format!("max_distinct = {}\n", 1 + dice.below(4.min(kind.1))),
                _ => String::new(),
            };
            text += &format!("[[events.fields]]\nname = \"f{number}\"\n{}\n{bound}", ty(*kind));
        }
    }
    parse(&text).unwrap()
}

/// A segment; few of them are empty or everyone.
fn segment(dice: &mut Dice, schema: &Schema) -> Segment {
    let segments = [
        "true",
        "e0.any()",
        "!(a0 == \"v1\")",
        "a1 == \"v0\" || e0.count() >= 3",
        "e1.where(f0 == \"v1\").count() < 2",
        "!e0.last(\"30d\").any()",
    ];
    policy::segment::parse(dice.pick(&segments), schema, &|_| true).unwrap()
}

/// Ascending days around the end of the epoch.
fn days(dice: &mut Dice) -> Vec<i32> {
    let mut days: Vec<i32> = (0..2 + dice.below(5)).map(|_| 20_150 + dice.below(110) as i32).collect();
    days.sort_unstable();
    days.dedup();
    days.push(20_270);
    days
}

/// A random question. New kinds are added here, and to [`name`].
fn kind(dice: &mut Dice, schema: &Schema) -> Kind {
    let closed = |field: &FieldRef| schema.field(*field).is_some_and(|field| field.ty.labels().is_some());
    let fields: Vec<FieldRef> = schema.references().into_iter().filter(closed).collect();
    let window = window(dice);
    let some = |dice: &mut Dice, n: u64| {
        let mut fields: Vec<FieldRef> = (0..n).map(|_| dice.pick(&fields)).collect();
        fields.dedup();
        fields
    };
    let segments = |dice: &mut Dice| (0..1 + dice.below(3)).map(|_| segment(dice, schema)).collect::<Vec<_>>();
    match dice.below(20) {
        0 => Kind::Size,
        1 => Kind::Breakdown { by: some(dice, 1), window },
        2 | 3 => {
            let several = 2 + dice.below(2);
            Kind::Breakdown { by: some(dice, several), window }
        }
        4 => {
            let several = 1 + dice.below(5);
            Kind::Portrait { fields: some(dice, several), window }
        }
        5 => {
            let several = 1 + dice.below(3);
            Kind::Contrast { of: segment(dice, schema), fields: some(dice, several), window }
        }
        6 => Kind::Funnel { steps: segments(dice) },
        7 => Kind::Overlap { others: segments(dice) },
        8 => Kind::Bands { lists: (0..1 + dice.below(2)).map(|_| segments(dice)).collect() },
        9..12 => table(dice, &fields, window),
        12 => {
            let field = dice.pick(&fields);
            Kind::Top { field, k: 1 + dice.below(3) as u32, window }
        }
        13 => Kind::Retention { event: EventTypeId(dice.below(2) as u16), days: days(dice) },
        14 => Kind::Mean { field: FieldRef::Attribute(ColumnId(3)) },
        15 => by_event_fields(dice, &fields, window),
        16 | 17 => {
            let several = dice.below(4);
            let (fields, lists) = (some(dice, several), dice.below(3));
            Kind::Profile {
                of: (dice.below(4) != 0).then(|| segment(dice, schema)),
                fields,
                bands: (0..lists).map(|_| segments(dice)).collect(),
                times: (dice.below(2) == 0).then(|| times(dice)),
                window,
            }
        }
        18 => Kind::Spread { field: FieldRef::Attribute(ColumnId(3)) },
        _ => {
            let Kind::Table { measures, by, window, .. } = table(dice, &fields, window) else {
                unreachable!("a table")
            };
            let of = match measures.first() {
                Some(Measure::Sum { field, .. }) => *field,
                Some(Measure::Events { event, .. }) => FieldRef::Event(*event),
                _ => FieldRef::Event(EventTypeId(dice.below(2) as u16)),
            };
            Kind::Norms { of, by, window, edges: vec![1, 3, 20, 300] }
        }
    }
}

/// A table that is weighed.
fn by_event_fields(dice: &mut Dice, fields: &[FieldRef], window: Window) -> Kind {
    let event = EventTypeId(dice.below(2) as u16);
    let of_event = |field: &&FieldRef| matches!(field, FieldRef::EventField(of, _) if *of == event);
    let fields: Vec<FieldRef> = fields.iter().filter(of_event).copied().collect();
    let bound = dice.pick(&[1, 3, 20]);
    let mut measures = vec![Measure::Events { event, bound }];
    if event.0 == 0 && dice.below(2) == 0 {
        measures.push(Measure::Sum { field: FieldRef::EventField(event, ColumnId(1)), bound: 4 * bound });
    }
    Kind::Table { measures, by: vec![By::Field(dice.pick(&fields))], window, weighed: true }
}

fn times(dice: &mut Dice) -> Times {
    let mut is = || dice.below(2) == 0;
    let (hours, weekdays, trend) = (is(), is(), is());
    let event = EventTypeId(dice.below(2) as u16);
    Times { event, hours, weekdays, days: if trend { days(dice) } else { Vec::new() } }
}

fn table(dice: &mut Dice, fields: &[FieldRef], window: Window) -> Kind {
    let event = EventTypeId(dice.below(2) as u16);
    let bound = |dice: &mut Dice| [1, 3, 20, 300, 1 << 36][dice.below(5) as usize];
    let events = |dice: &mut Dice| Measure::Events { event, bound: bound(dice) };
    let amount = FieldRef::EventField(EventTypeId(0), ColumnId(1));
    let sum = |dice: &mut Dice| Measure::Sum { field: amount, bound: bound(dice) };
    let measures = match (dice.below(4), event.0) {
        (0, _) => vec![Measure::People],
        (1, 0) => vec![sum(dice)],
        (2, 0) => vec![events(dice), sum(dice)],
        _ => vec![events(dice)],
    };
    let by = |dice: &mut Dice| match dice.below(6) {
        0 => By::Periods { event, days: days(dice) },
        1 => By::Hours(event),
        2 => By::Weekdays(event),
        3 => By::Bins { field: FieldRef::Attribute(ColumnId(3)), edges: vec![-10, 0, 7, 25] },
        _ => By::Field(dice.pick(fields)),
    };
    Kind::Table { measures, by: (0..dice.below(3)).map(|_| by(dice)).collect(), window, weighed: false }
}

/// A question that can be asked, and its plan.
fn question(dice: &mut Dice, schema: &Schema) -> (Question, Plan) {
    use PlanError::{PeopleAlone, Repeated, TableCount, TooManyCells, Top, TwoEvents};
    loop {
        let (universe, segment) = (Segment::everyone(), segment(dice, schema));
        let kind = kind(dice, schema);
        let question = Question { dataset: schema.dataset.clone(), universe, segment, kind, rho: NanoRho(1_000_000) };
        match plan(schema, &question) {
            Ok(plan) if plan.cells() <= MOST_CELLS => return (question, plan),
            Ok(_) | Err(TwoEvents | Repeated(_) | TooManyCells(_) | PeopleAlone | Top(_) | TableCount(_)) => {}
            Err(problem) => unreachable!("{problem}: {question:?}"),
        }
    }
}

/// Somebody whose stream is as bad as streams get.
fn extreme(dice: &mut Dice, schema: &Schema) -> Row {
    let mut row = person(dice);
    row.attributes.iter_mut().zip(ATTRIBUTES).take(YOUNGEST).for_each(|(value, (layout, values))| {
        *value = (layout != Layout::Bytes).then_some(values as i64 - i64::from(layout == Layout::Int64) * 21);
    });
    row.events.clear();
    let way = dice.below(4);
    for (event, fields) in FIELDS.iter().enumerate() {
        // Exactly as many distinct values as count fully, many times each; or every value there is; or all at once; or more
        // events than count.
        let bound = |field: usize| u64::from(schema.events[event].fields[field].max_distinct).max(1);
        let rows = [30, 280, 60, 500][way as usize];
        for number in 0..rows {
            let value = |(field, (layout, values)): (usize, &(Layout, u64))| match layout {
                Layout::Bytes => Some(1),
                Layout::Int64 => Some(*values as i64 - 21),
                _ if way == 0 => Some(1 + (number % bound(field)) as i64),
                // Missing is a value.
                _ => Some((number % (values + 1)) as i64).filter(|code| *code > 0),
            };
            let at = if way == 2 { AS_OF.0 - 1 } else { AS_OF.0 - 1 - number as i64 * DAY / 9 };
            let fields = fields.iter().enumerate().map(value).collect();
            row.events.push(EventRow { event: EventTypeId(event as u16), at: Timestamp(at), fields });
        }
    }
    row.events.sort_by_key(|event| (event.event, event.at));
    row
}

/// A folder in memory where there is one: blocks are written by the thousand.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// How often a kind was asked, how often the person moved anything, and how often by the whole bound.
#[derive(Debug, Default)]
struct Tally {
    pairs: usize,
    moved: usize,
    at_the_bound: usize,
}

#[test]
fn no_person_moves_a_release_by_more_than_its_plan_declares() {
    let scanner = Scanner::new(1).unwrap();
    let mut tallies: BTreeMap<&'static str, Tally> = BTreeMap::new();
    for seed in 1..=datasets() as u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let (folder, schema) = (folder(), schema(&mut dice));
        let mut people: Vec<Row> = (0..3 + dice.below(4)).map(|_| person(&mut dice)).collect();
        let target = dice.below(people.len() as u64) as usize;
        if dice.below(3) != 0 {
            people[target] = extreme(&mut dice, &schema);
        }
        let mut next = 0;
        let with = [write_block(folder.path(), 0, &mut people, &mut next)];
        let nothing = vec![None; ATTRIBUTES.len()];
        people[target] = Row { attributes: nothing, events: Vec::new(), buckets: [].into() };
        let without = [write_block(folder.path(), 0, &mut people, &mut next)];
        let everyone: RoaringBitmap = (0..people.len() as u32).collect();
        let mut others = everyone.clone();
        others.remove(target as u32);
        for _ in 0..QUESTIONS {
            let (question, plan) = question(&mut dice, &schema);
            // A pilot is a release of its own, and what comes after it is weighed as it may tell.
            let (plan, name) = match (plan.pilot().cloned(), dice.below(2)) {
                (Some(pilot), 0) => (pilot, "pilot"),
                (Some(_), _) => {
                    let weights = weights(&mut dice, plan.cells());
                    (plan.weighed(&weights).unwrap(), "table of events or sums, weighed")
                }
                (None, _) => (plan, name(&question.kind)),
            };
            let resolved = plan.scan(&question.universe, &question.segment, AS_OF, ZONE).unwrap();
            let scan = |blocks, allowed| scanner.scan(&resolved, &ScanInput { blocks, allowed }).unwrap();
            let (here, gone) = (scan(&with, &everyone), scan(&without, &others));
            let (moved, declared) = (moved(&question.kind, here.expose(), gone.expose()), plan.norm_squared());
            assert!(moved <= declared, "seed {seed}, {:?}: {moved} of {declared}", question.kind);
            assert_eq!(
                scan(&with, &others),
                gone,
                "who is not allowed leaves no trace: seed {seed}, {:?}",
                question.kind
            );
            let tally = tallies.entry(name).or_default();
            tally.pairs += 1;
            tally.moved += usize::from(moved > 0);
            tally.at_the_bound += usize::from(moved * 1_000 >= declared * 999);
        }
    }
    let pairs: usize = tallies.values().map(|tally| tally.pairs).sum();
    assert_eq!(pairs, datasets() * QUESTIONS);
    for (kind, tally) in &tallies {
        let Tally { pairs, moved, at_the_bound } = tally;
        assert!(moved * 4 > *pairs && *at_the_bound * 100 > *pairs, "{kind} is hardly tested: {tally:?}");
    }
    assert_eq!(tallies.keys().copied().collect::<Vec<_>>(), NAMES, "every kind is asked");
}

/// The squared distance that the noise must hide. Of selected values only that of any that may be selected; and selection
/// itself asks that a person adds at most one to each and takes nothing away.
fn moved(kind: &Kind, here: &[i64], gone: &[i64]) -> u128 {
    let mut gaps: Vec<i64> = here.iter().zip(gone).map(|(here, gone)| here - gone).collect();
    if let Kind::Top { k, .. } = kind {
        assert!(gaps.iter().all(|gap| (0..=UNIT).contains(gap)), "{gaps:?}");
        // The first is of those in whom the value is missing.
        gaps.remove(0);
        gaps.sort_unstable_by_key(|gap| std::cmp::Reverse(*gap));
        gaps.truncate(*k as usize);
    }
    gaps.iter().map(|gap| u128::from(gap.unsigned_abs()).pow(2)).sum()
}

/// What questions are told apart by.
const NAMES: [&str; 20] = [
    "bands",
    "breakdown by a field",
    "breakdown by an event",
    "contrast",
    "crossed",
    "crossed with an event",
    "funnel",
    "mean",
    "mean and deviation",
    "norms",
    "overlap",
    "pilot",
    "portrait",
    "retention",
    "size",
    "table of events or sums",
    "table of events or sums, weighed",
    "table of people",
    "top values",
    "whole portrait",
];

fn name(kind: &Kind) -> &'static str {
    let is_event = |field: &FieldRef| matches!(field, FieldRef::EventField(..));
    match kind {
        Kind::Size => "size",
        Kind::Breakdown { by, .. } => match (by.len(), by.iter().any(is_event)) {
            (1, false) => "breakdown by a field",
            (1, true) => "breakdown by an event",
            (_, false) => "crossed",
            (_, true) => "crossed with an event",
        },
        Kind::Portrait { .. } => "portrait",
        Kind::Contrast { .. } => "contrast",
        Kind::Profile { .. } => "whole portrait",
        Kind::Funnel { .. } => "funnel",
        Kind::Overlap { .. } => "overlap",
        Kind::Bands { .. } => "bands",
        Kind::Table { measures, .. } if *measures == [Measure::People] => "table of people",
        Kind::Table { .. } => "table of events or sums",
        Kind::Norms { .. } => "norms",
        Kind::Retention { .. } => "retention",
        Kind::Top { .. } => "top values",
        Kind::Mean { .. } => "mean",
        Kind::Spread { .. } => "mean and deviation",
    }
}
