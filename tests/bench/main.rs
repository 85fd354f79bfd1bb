//! Measures what the gateway promises about speed, against a peer in the same run.
//!
//! ```text
//! cargo run --release -p tests --bin bench -- portrait --subjects 1000000,10000000
//! cargo run --release -p tests --bin bench -- breakdown --subjects 1000000 --events 10
//! cargo run --release -p tests --bin bench -- full --subjects 1000000 --events 20
//! cargo run --release -p tests --bin bench -- sums --subjects 1000000 --events 10 --values 20
//! cargo run --release -p tests --bin bench -- ingest --subjects 1000000 --events 4 --folder PATH
//! cargo run --release -p tests --bin bench -- open --folder PATH
//! cargo run --release -p tests --bin bench -- withdraw --folder PATH --subjects 50000
//! cargo run --release -p tests --bin bench -- erase --folder PATH --subjects 1000000 --runs 100
//! cargo run --release -p tests --bin bench -- decide
//! cargo run --release -p tests --bin bench -- accuracy --peers FOLDER
//! ```
//! Options: `--fields N` (20), `--values N` (16), `--events N` of each subject (10), `--threads N` (2), `--runs N` (15),
//! `--folder PATH` (a temporary one), `--peer PROGRAM` (`python3`, with the package `duckdb`; `none` leaves it out).
//! Of differentially private peers, made by `tests/bench/peers/setup FOLDER`: `--peers FOLDER` for `accuracy`, with
//! `--repeats N` of each setting (10, at least 2), and for `sums` `--dp-peer PROGRAM` (`FOLDER/opendp/bin/python`).
//! Prints medians and minima. Other work on the machine makes medians worse than minima; read both.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

mod accuracy;
mod decide;
mod erase;
mod full;
mod ingest;
mod measure;
mod peer;
mod stopwatch;
mod withdraw;

use std::path::PathBuf;
use std::process::ExitCode;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Every value of every attribute.
    Portrait,
    /// Subjects by a field of their events.
    Breakdown,
    /// Events and their amounts by a field, clipped subject by subject.
    Sums,
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
enum What {
    /// A question.
    Ask(Asked),
    /// All that a full portrait shows.
    Full,
    /// Rows streamed in.
    Ingest,
    /// Opening what an ingest left.
    Open,
    /// Erasing people of what an ingest left.
    Erase,
    /// Decisions about what may leave.
    Decide,
    /// Withdrawals of what an ingest left, beside questions.
    Withdraw,
    /// How far answers are from the truth.
    Accuracy,
}

/// What to measure.
#[derive(Debug)]
struct Options {
    what: What,
    subjects: Vec<u32>,
    fields: u16,
    values: u8,
    events: u32,
    threads: usize,
    runs: usize,
    folder: Option<PathBuf>,
    peer: String,
    dp_peer: Option<String>,
    peers: Option<PathBuf>,
    repeats: usize,
}

const USAGE: &str = "usage: bench portrait|full|breakdown|sums|ingest|open|withdraw|erase|decide|accuracy [--subjects N,N] [--fields N] [--values N] \
                     [--events N] [--threads N] [--runs N] [--folder PATH] [--peer PROGRAM|none] [--dp-peer PROGRAM] \
                     [--peers FOLDER] [--repeats N]";

fn options(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let (what, subjects) = match arguments.next()?.as_str() {
        "portrait" => (What::Ask(Asked::Portrait), vec![1_000_000, 10_000_000]),
        "breakdown" => (What::Ask(Asked::Breakdown), vec![1_000_000]),
        "full" => (What::Full, vec![1_000_000]),
        "sums" => (What::Ask(Asked::Sums), vec![1_000_000]),
        "ingest" => (What::Ingest, vec![1_000_000]),
        "open" => (What::Open, vec![0]),
        "erase" => (What::Erase, vec![1_000_000]),
        "decide" => (What::Decide, vec![1_000_000]),
        "withdraw" => (What::Withdraw, vec![50_000]),
        "accuracy" => (What::Accuracy, vec![0]),
        _ => return None,
    };
    let mut options = Options {
        what,
        subjects,
        fields: 20,
        values: 16,
        events: 10,
        threads: 2,
        runs: 15,
        folder: None,
        peer: "python3".to_owned(),
        dp_peer: None,
        peers: None,
        repeats: 10,
    };
    while let Some(name) = arguments.next() {
        let value = arguments.next()?;
        match name.as_str() {
            "--subjects" => options.subjects = value.split(',').map(|n| n.parse().ok()).collect::<Option<_>>()?,
            "--fields" => options.fields = value.parse().ok()?,
            "--values" => options.values = value.parse().ok()?,
            "--events" => options.events = value.parse().ok()?,
            "--threads" => options.threads = value.parse().ok()?,
            "--runs" => options.runs = value.parse().ok()?,
            "--folder" => options.folder = Some(value.into()),
            "--peer" => options.peer = value,
            "--dp-peer" => options.dp_peer = Some(value),
            "--peers" => options.peers = Some(value.into()),
            "--repeats" => options.repeats = value.parse().ok().filter(|repeats| *repeats >= 2)?,
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
    let folder = options.folder.as_deref().unwrap_or(".".as_ref());
    for subjects in &options.subjects {
        let measured = match options.what {
            What::Ask(asked) => measure::run(&options, asked, *subjects),
            What::Full => full::run(&options, *subjects),
            What::Ingest => ingest::run(&options, *subjects),
            What::Open => ingest::open(folder, options.threads),
            What::Decide => decide::run(&options, *subjects),
            What::Withdraw => withdraw::run(folder, *subjects, options.threads),
            What::Accuracy => accuracy::run(&options),
            What::Erase => erase::run(folder, *subjects, options.threads, options.runs),
        };
        if let Err(error) = measured {
            println!("failed: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
