//! A whole portrait of half of the subjects: all that one page about a segment shows, planned, counted and noised as one
//! question; and the same in parts, one question after the other.
//!
//! Attributes and the events' categories beside the rest of the people (distributions, top categories and indexes), bands of
//! recency, frequency and amount, hours and weekdays of activity, and the weekly trend.

use crate::Options;
use crate::stopwatch::{Times as Measured, load, memory, processor, time};
use policy::privacy::NanoRho;
use policy::schema::{ColumnId, FieldRef};
use policy::segment::{Segment, Window};
use std::error::Error;
use vault::rehearsal::{EVENT, Rehearsal, RehearsalError, Shape};
use vault::release::{By, Kind, Measure, Times};

/// Price of the whole.
const RHO: NanoRho = NanoRho(20_000_000);
/// Price of each part alone.
const PART_RHO: NanoRho = NanoRho(2_000_000);
const WEEKS: i32 = 13;

/// A question: what it is called, whether it is about everyone, what is asked, and its price.
type Asked = (&'static str, bool, Kind, NanoRho);

/// Builds, measures the whole and every part, and prints them.
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
    let question = whole(&rehearsal, options)?;
    let mut whole_times = vec![0.0; options.runs + 1];
    let before = processor();
    let cells = measure(&mut rehearsal, options, &question, &mut whole_times)?;
    let used = (processor() - before) / (options.runs as u64 + 1);
    println!(
        "  processor time        {used:8} ms an answer, over all threads; {cells} cells, one scan, one noise, one total"
    );
    let mut apart = vec![0.0; options.runs + 1];
    for part in parts(&rehearsal, options)? {
        measure(&mut rehearsal, options, &part, &mut apart)?;
    }
    let (resident, peak) = memory();
    let (whole, apart) = (warm(&whole_times), warm(&apart));
    println!("  parts, one by one     {apart}");
    println!(
        "  ratio                 {:.2} of medians, {:.2} of minima",
        whole.median() / apart.median(),
        whole.min() / apart.min()
    );
    println!("  memory                {resident} MiB resident, {peak} MiB at most; load {}", load());
    Ok(())
}

/// Asks a question a few times, prints what it took and adds that to `total`; returns the number of its cells.
fn measure(
    rehearsal: &mut Rehearsal,
    options: &Options,
    (name, everyone, kind, rho): &Asked,
    total: &mut [f64],
) -> Result<usize, Box<dyn Error>> {
    if *everyone {
        rehearsal.ask(kind.clone(), *rho)?;
    } else {
        rehearsal.ask_of_half(kind.clone(), *rho)?;
    }
    let (mut times, mut cells) = (Vec::new(), 0);
    for total in total.iter_mut().take(options.runs + 1) {
        let (tables, took) = time(|| rehearsal.scan().and_then(|partial| rehearsal.draw(&partial)));
        cells = std::hint::black_box(tables?).iter().map(|table| table.cells.len()).sum();
        times.push(took);
        *total += took;
    }
    println!("  {name:<21} {}", warm(&times));
    Ok(cells)
}

/// The first run warms the page cache.
fn warm(times: &[f64]) -> Measured {
    Measured::new(times.iter().skip(1).copied().collect())
}

/// Those with the lower half of the first attribute's values.
fn half(rehearsal: &Rehearsal, options: &Options) -> Result<Segment, RehearsalError> {
    let lower: Vec<String> = (1..=options.values / 2).map(|value| format!("\"v{value}\"")).collect();
    rehearsal.segment(&format!("c1 in [{}]", lower.join(", ")))
}

fn fields(options: &Options) -> Vec<FieldRef> {
    let attributes = (1..=options.fields).map(|column| FieldRef::Attribute(ColumnId(column)));
    attributes.chain([Rehearsal::category(0)]).collect()
}

/// The whole portrait.
fn whole(rehearsal: &Rehearsal, options: &Options) -> Result<Asked, RehearsalError> {
    let times = Times { event: EVENT, hours: true, weekdays: true, days: Rehearsal::weeks(WEEKS) };
    let kind = Kind::Profile {
        of: Some(half(rehearsal, options)?),
        fields: fields(options),
        bands: bands(rehearsal)?,
        times: Some(times),
        window: Window::Ever,
    };
    Ok(("whole portrait", true, kind, RHO))
}

/// The parts, as they were asked for before they could be asked for as one: the trend of events and amounts too.
fn parts(rehearsal: &Rehearsal, options: &Options) -> Result<Vec<Asked>, RehearsalError> {
    let of = half(rehearsal, options)?;
    let bound = u64::from(options.events.max(1));
    let amount = Measure::Sum { field: Rehearsal::amount(1), bound: bound * 5_000 };
    let counted = Measure::Events { event: EVENT, bound };
    let table =
        |measures: Vec<Measure>, by: By| Kind::Table { measures, by: vec![by], window: Window::Ever, weighed: false };
    let days = Rehearsal::weeks(WEEKS);
    let parts = [
        ("  beside the rest", true, Kind::Contrast { of, fields: fields(options), window: Window::Ever }),
        ("  recency, count, sum", false, Kind::Bands { lists: bands(rehearsal)? }),
        ("  hours", false, table(vec![counted], By::Hours(EVENT))),
        ("  weekdays", false, table(vec![counted], By::Weekdays(EVENT))),
        ("  weekly trend", false, table(vec![counted, amount], By::Periods { event: EVENT, days })),
    ];
    Ok(parts.into_iter().map(|(name, everyone, kind)| (name, everyone, kind, PART_RHO)).collect())
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
