//! A question about half of the subjects: sealed on disk, opened, counted and noised.

use crate::peer;
use crate::stopwatch::{Times, load, memory, processor, time};
use crate::{Asked, Options};
use std::error::Error;
use std::path::Path;
use vault::rehearsal::{Rehearsal, RehearsalError, Shape};

/// Builds, measures, compares and prints.
pub(crate) fn run(options: &Options, asked: Asked, subjects: u32) -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let folder = options.folder.as_deref().unwrap_or(temporary.path());
    let (built, took) = time(|| build(options, asked, subjects, folder));
    let mut rehearsal = built?;
    println!("  sealed and synced     {took:8.0} ms");
    let (mut whole, mut pilots, mut scans, mut draws) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let before = processor();
    for _ in 0..=options.runs {
        let (weighed, pilot) = time(|| rehearsal.weigh());
        weighed?;
        let (partial, scan) = time(|| rehearsal.scan());
        let partial = partial?;
        let (tables, draw) = time(|| rehearsal.draw(&partial));
        std::hint::black_box(tables?);
        pilots.push(pilot);
        scans.push(scan);
        draws.push(draw);
        whole.push(pilot + scan + draw);
    }
    let used = (processor() - before) / (options.runs as u64 + 1);
    // The first run warms the page cache.
    let times = |list: &[f64]| Times::new(list.iter().skip(1).copied().collect());
    let (resident, peak) = memory();
    if matches!(asked, Asked::Sums) {
        println!("  pilot                 {}", times(&pilots));
    }
    println!("  scan of sealed files  {}", times(&scans));
    println!("  noise                 {}", times(&draws));
    println!("  answer                {}", times(&whole));
    println!("  processor time        {used:8} ms an answer, over all threads");
    println!("  memory                {resident} MiB resident, {peak} MiB at most since the program started");
    compare(options, asked, subjects, &times(&whole));
    Ok(())
}

fn build(options: &Options, asked: Asked, subjects: u32, folder: &Path) -> Result<Rehearsal, RehearsalError> {
    let Options { fields, values, events, threads, .. } = *options;
    match asked {
        Asked::Portrait => {
            println!("portrait: half of {subjects} subjects, {fields} fields of {values} values, {threads} threads");
            Rehearsal::portrait(folder, &Shape { subjects, fields, values, events: 0 }, threads)
        }
        Asked::Breakdown => {
            println!(
                "breakdown: half of {subjects} subjects, {events} events each, {values} values, {threads} threads"
            );
            Rehearsal::breakdown(folder, &Shape { subjects, fields: 1, values, events }, threads)
        }
        Asked::Sums => {
            println!(
                "sums: events and amounts of {subjects} subjects, {events} events each, {values} values, {threads} threads"
            );
            Rehearsal::sums(folder, &Shape { subjects, fields: 1, values, events }, threads)
        }
    }
}

fn compare(options: &Options, asked: Asked, subjects: u32, ours: &Times) {
    if options.peer != "none" {
        let hint = "`pip install duckdb` and run again, or name a python with `--peer`";
        ratio(peer::run(options, asked, subjects), "exact, no noise", hint, ours);
    }
    if let (Asked::Sums, Some(python)) = (asked, &options.dp_peer) {
        let hint = "`tests/bench/peers/setup FOLDER` makes `FOLDER/opendp/bin/python`";
        ratio(peer::run_private_sums(options, python, subjects), "rows of each subject truncated", hint, ours);
    }
}

fn ratio(peer: Result<(String, Times), String>, how: &str, hint: &str, ours: &Times) {
    match peer {
        Ok((name, theirs)) => {
            println!("  {name:<21} {theirs} (plaintext in memory, {how})");
            println!(
                "  ratio to the peer     {:.3} of medians, {:.3} of minima; load {}",
                ours.median() / theirs.median(),
                ours.min() / theirs.min(),
                load()
            );
        }
        Err(problem) => {
            println!("  !! NO PEER WAS MEASURED, so there is no ratio: {problem}");
            println!("  !! {hint}");
        }
    }
}
