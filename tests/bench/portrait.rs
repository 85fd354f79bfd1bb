//! A portrait of half of the subjects: every value of every field, sealed on disk, opened, counted and noised.

use crate::Options;
use crate::peer;
use crate::stopwatch::{Times, memory, time};
use std::error::Error;
use vault::rehearsal::Rehearsal;

/// Builds, measures, compares and prints.
pub(crate) fn run(options: &Options, subjects: u32) -> Result<(), Box<dyn Error>> {
    let Options { fields, values, threads, runs, .. } = *options;
    println!(
        "portrait: {subjects} subjects, half of them counted, {fields} fields of {values} values, {threads} threads"
    );
    let temporary = tempfile::tempdir()?;
    let folder = options.folder.as_deref().unwrap_or(temporary.path());
    let (built, took) = time(|| Rehearsal::build(folder, subjects, fields, values, threads));
    let rehearsal = built?;
    println!("  sealed and synced     {:8.0} ms", took);
    let (mut whole, mut scans, mut draws) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..=runs {
        let (partial, scan) = time(|| rehearsal.scan());
        let partial = partial?;
        let (tables, draw) = time(|| rehearsal.draw(&partial));
        std::hint::black_box(tables?);
        scans.push(scan);
        draws.push(draw);
        whole.push(scan + draw);
    }
    // The first run warms the page cache.
    let times = |list: &[f64]| Times::new(list.iter().skip(1).copied().collect());
    let (resident, peak) = memory();
    println!("  scan of sealed files  {}", times(&scans));
    println!("  noise                 {}", times(&draws));
    println!("  portrait              {}", times(&whole));
    println!("  memory                {resident} MiB resident, {peak} MiB at most");
    compare(options, subjects, &times(&whole));
    Ok(())
}

fn compare(options: &Options, subjects: u32, ours: &Times) {
    if options.peer == "none" {
        return;
    }
    match peer::portrait(options, subjects) {
        Ok((version, theirs)) => {
            println!("  DuckDB {version:<8}       {theirs} (plaintext in memory, exact, no noise)");
            println!(
                "  ratio to DuckDB       {:.2} of medians, {:.2} of minima",
                ours.median() / theirs.median(),
                ours.min() / theirs.min()
            );
        }
        Err(problem) => {
            println!("  !! NO PEER WAS MEASURED, so there is no ratio: {problem}");
            println!("  !! `pip install duckdb` and run again, or name a python with `--peer`");
        }
    }
}
