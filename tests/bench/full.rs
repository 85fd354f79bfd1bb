//! A full portrait of half of the subjects: all that one page about a segment shows, each part counted and noised in turn.
//!
//! Attributes and the events' categories beside the rest of the people (distributions, top categories and indexes),
//! recency by frequency by amount, hours and weekdays of activity, and the weekly trend of events and amounts.

use crate::Options;
use crate::stopwatch::{Times, load, memory, time};
use policy::privacy::NanoRho;
use policy::schema::{ColumnId, FieldRef};
use policy::segment::{Segment, Window};
use std::error::Error;
use vault::rehearsal::{EVENT, Rehearsal, RehearsalError, Shape};
use vault::release::{By, Kind, Measure};

/// Price of each part.
const RHO: NanoRho = NanoRho(2_000_000);
const WEEKS: i32 = 13;

/// Builds, measures every part and prints them and their total.
pub(crate) fn run(options: &Options, subjects: u32) -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let folder = options.folder.as_deref().unwrap_or(temporary.path());
    let Options { fields, values, events, threads, .. } = *options;
    println!(
        "full portrait: half of {subjects} subjects, {fields} fields of {values} values, {events} events each, {threads} \
         threads"
    );
    let (built, took) = time(|| Rehearsal::portrait(folder, &Shape { subjects, fields, values, events }, threads));
    let mut rehearsal = built?;
    println!("  sealed and synced     {took:8.0} ms");
    let mut whole = vec![0.0; options.runs + 1];
    for (name, everyone, kind) in parts(&rehearsal, options)? {
        if everyone {
            rehearsal.ask(kind, RHO)?
        } else {
            rehearsal.ask_of_half(kind, RHO)?
        }
        let mut times = Vec::new();
        for total in &mut whole {
            let (tables, took) = time(|| rehearsal.scan().and_then(|partial| rehearsal.draw(&partial)));
            std::hint::black_box(tables?);
            times.push(took);
            *total += took;
        }
        println!("  {name:<21} {}", warm(&times));
    }
    let (resident, peak) = memory();
    println!("  all                   {}", warm(&whole));
    println!("  memory                {resident} MiB resident, {peak} MiB at most; load {}", load());
    Ok(())
}

/// The first run warms the page cache.
fn warm(times: &[f64]) -> Times {
    Times::new(times.iter().skip(1).copied().collect())
}

/// The parts: what they are called, whether they are about everyone, and what is asked.
fn parts(rehearsal: &Rehearsal, options: &Options) -> Result<Vec<(&'static str, bool, Kind)>, RehearsalError> {
    let lower: Vec<String> = (1..=options.values / 2).map(|value| format!("\"v{value}\"")).collect();
    let of = rehearsal.segment(&format!("c1 in [{}]", lower.join(", ")))?;
    let mut fields: Vec<FieldRef> = (1..=options.fields).map(|column| FieldRef::Attribute(ColumnId(column))).collect();
    fields.push(Rehearsal::category(0));
    let bound = u64::from(options.events.max(1));
    let amount = Measure::Sum { field: Rehearsal::amount(1), bound: bound * 5_000 };
    let counted = Measure::Events { event: EVENT, bound };
    let table =
        |measures: Vec<Measure>, by: By| Kind::Table { measures, by: vec![by], window: Window::Ever, weighed: false };
    let days = Rehearsal::weeks(WEEKS);
    Ok(vec![
        ("beside the rest", true, Kind::Contrast { of, fields, window: Window::Ever }),
        ("recency, count, sum", false, Kind::Bands { lists: bands(rehearsal)? }),
        ("hours", false, table(vec![counted], By::Hours(EVENT))),
        ("weekdays", false, table(vec![counted], By::Weekdays(EVENT))),
        ("weekly trend", false, table(vec![counted, amount], By::Periods { event: EVENT, days })),
    ])
}

fn bands(rehearsal: &Rehearsal) -> Result<Vec<Vec<Segment>>, RehearsalError> {
    let list = |texts: [&str; 4]| texts.iter().map(|text| rehearsal.segment(text)).collect::<Result<Vec<_>, _>>();
    Ok(vec![
        list([
            "order.last(\"7d\").any()",
            "order.last(\"30d\").any()",
            "order.last(\"60d\").any()",
            "order.last(\"90d\").any()",
        ])?,
        list([
            "order.last(\"90d\").count() >= 18",
            "order.last(\"90d\").count() >= 12",
            "order.last(\"90d\").count() >= 6",
            "order.last(\"90d\").count() >= 1",
        ])?,
        list([
            "order.last(\"90d\").sum(amount) > 1200.00",
            "order.last(\"90d\").sum(amount) > 900.00",
            "order.last(\"90d\").sum(amount) > 600.00",
            "order.last(\"90d\").sum(amount) > 300.00",
        ])?,
    ])
}
