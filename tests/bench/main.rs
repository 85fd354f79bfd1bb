//! Measures what the gateway promises about speed, against a peer in the same run.
//!
//! `cargo run --release -p tests --bin bench -- portrait --subjects 1000000,10000000`
//!
//! Options: `--fields N` (20), `--values N` (16), `--threads N` (2), `--runs N` (15), `--folder PATH` (a temporary one),
//! `--peer PROGRAM` (`python3`, with the package `duckdb`; `--peer none` leaves it out).
//! Prints medians and minima. Other work on the machine makes medians worse than minima; read both.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![expect(clippy::disallowed_methods, reason = "a stopwatch reads the clock")]

mod peer;
mod portrait;
mod stopwatch;

use std::path::PathBuf;
use std::process::ExitCode;

/// What to measure.
#[derive(Debug)]
struct Options {
    subjects: Vec<u32>,
    fields: u16,
    values: u8,
    threads: usize,
    runs: usize,
    folder: Option<PathBuf>,
    peer: String,
}

const USAGE: &str = "usage: bench portrait [--subjects N,N] [--fields N] [--values N] [--threads N] [--runs N] \
                     [--folder PATH] [--peer PROGRAM|none]";

fn options(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options {
        subjects: vec![1_000_000, 10_000_000],
        fields: 20,
        values: 16,
        threads: 2,
        runs: 15,
        folder: None,
        peer: "python3".to_owned(),
    };
    (arguments.next()? == "portrait").then_some(())?;
    while let Some(name) = arguments.next() {
        let value = arguments.next()?;
        match name.as_str() {
            "--subjects" => options.subjects = value.split(',').map(|n| n.parse().ok()).collect::<Option<_>>()?,
            "--fields" => options.fields = value.parse().ok()?,
            "--values" => options.values = value.parse().ok()?,
            "--threads" => options.threads = value.parse().ok()?,
            "--runs" => options.runs = value.parse().ok()?,
            "--folder" => options.folder = Some(value.into()),
            "--peer" => options.peer = value,
            _ => return None,
        }
    }
    Some(options)
}

fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        println!("{USAGE}");
        return ExitCode::from(2);
    };
    for subjects in &options.subjects {
        if let Err(error) = portrait::run(&options, *subjects) {
            println!("failed: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
