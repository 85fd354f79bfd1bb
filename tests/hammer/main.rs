//! Kills a gateway again and again under load, and checks after every kill that nothing it acknowledged is lost:
//! `cargo run --release -p tests --bin hammer -- --rounds 200`. What is checked is said in `harness::crash`.

use clap::Parser;
use harness::crash::{Hammer, Programs};
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
}

/// Builds the programs under test as this one was built, and finds them beside it.
fn programs() -> std::io::Result<Programs> {
    let here = std::env::current_exe()?;
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--package", "tests", "--bin", "silhouette-under-test", "--bin", "verify-under-test"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
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
    let mut hammer = Hammer::new(programs, args.rounds, args.seed).await;
    for round in 1..=args.rounds {
        hammer.round().await;
        if round % 10 == 0 || round == args.rounds {
            let _nobody_listens = writeln!(std::io::stdout(), "round {round}: {:?}", hammer.summary);
        }
    }
    ExitCode::SUCCESS
}
