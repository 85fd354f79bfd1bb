//! Kills a gateway again and again under load, and checks after every kill that nothing it acknowledged is lost:
//! `cargo run --release -p tests --bin hammer -- --rounds 200`. What is checked is said in `harness::crash`.
//!
//! A kill does not show that bytes were on the disk. `cargo run --release -p tests --bin hammer -- --trace` does, as far as
//! system calls can: it runs the gateway under `strace`, sends batches, withdrawals, charged questions and erasures one by
//! one, and looks in the trace for the acknowledgement of each. Before its first byte is written to the socket, an
//! `fdatasync` of the log must have begun after the last write to the log for it and have returned 0; for an erasure, an
//! `fsync` of the new root too.
//!
//! `cargo run --release -p tests --bin hammer -- --soak 15` runs one for so many minutes under everything at once, and says
//! whether its memory and its disk stay flat. What is done and what is checked is said in `harness::soak`.

use clap::Parser;
use harness::crash::{Hammer, Programs};
use harness::soak::{Length, soak};
use std::io::Write;
use std::process::{Command, ExitCode};

/// Kills a gateway under load and checks that nothing acknowledged is lost.
#[derive(Debug, Parser)]
struct Args {
    /// How many kills under load
    #[arg(long, default_value_t = 200)]
    rounds: u64,
    /// Where the random choices begin
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Instead of killing, trace the system calls of this many batches, withdrawals and charges, and of erasures (needs strace)
    #[arg(long, num_args = 0..=1, default_missing_value = "25")]
    trace: Option<u64>,
    /// Instead of killing, run one for so many minutes and see whether it stays as it is
    #[arg(long, value_name = "MINUTES")]
    soak: Option<u64>,
    /// How many people there are in a soak
    #[arg(long, default_value_t = 200_000, requires = "soak")]
    people: usize,
}

/// Builds the programs under test as this one was built, and finds them beside it.
fn programs() -> std::io::Result<Programs> {
    let here = std::env::current_exe()?;
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--package", "tests", "--bin", "silhouette-under-test", "--bin", "verify-under-test"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    // `TARGET/PROFILE/hammer`: the same target folder, whoever chose it.
    if let Some(target) = here.ancestors().nth(2) {
        build.arg("--target-dir").arg(target);
    }
    if !build.current_dir(env!("CARGO_MANIFEST_DIR")).status()?.success() {
        return Err(std::io::Error::other("the programs under test do not build"));
    }
    Ok(Programs {
        gateway: here.with_file_name("silhouette-under-test"),
        verifier: here.with_file_name("verify-under-test"),
    })
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let programs = match programs() {
        Ok(programs) => programs,
        Err(problem) => {
            let _nobody_listens = writeln!(std::io::stderr(), "{problem}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(calls) = args.trace {
        let report = harness::crash::trace(programs, calls).await;
        let _nobody_listens = write!(std::io::stdout(), "{report}");
        return ExitCode::SUCCESS;
    }
    if let Some(minutes) = args.soak {
        let length = Length { minutes, people: args.people, seed: args.seed };
        let say = |line| {
            let _nobody_listens = writeln!(std::io::stdout(), "{line}");
        };
        return if soak(programs, length, say).await { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let mut hammer = Hammer::new(programs, args.rounds, args.seed).await;
    for round in 1..=args.rounds {
        hammer.round().await;
        if round % 10 == 0 || round == args.rounds {
            let _nobody_listens = writeln!(std::io::stdout(), "round {round}: {:?}", hammer.summary);
        }
    }
    ExitCode::SUCCESS
}
