//! The command line `silhouette`.
//!
//! Every command but `init`, `serve`, `fsck` and `rotate` with a passphrase speaks to a gateway through gRPC, as any client
//! does; no command opens a data folder that is being served. Results go to standard output, for a person or, with `--json`, for a program;
//! errors and progress to standard error; the exit code says how it ended.

mod answer;
mod args;
pub mod chart;
mod command;
mod demo;
mod error;
mod feed;
pub mod generate;
pub mod import;
mod keyfile;
mod out;
mod rights;
mod session;
mod verifier;

pub use args::Cli;
pub use error::{CliError, Exit};
pub use feed::{Rejected, Sent, feed};
pub use keyfile::KeyFile;
pub use session::{Session, connect};

use clap::Parser;
use out::Out;
use std::process::ExitCode;

/// Reads the command line, does what it says, and says how it went.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let out = Out::new(cli.global.json, cli.global.plain);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(problem) => {
            out.complain(&problem.into());
            return Exit::Failed.into();
        }
    };
    match runtime.block_on(command::run(cli, out)) {
        Ok(exit) => exit.into(),
        Err(error) => {
            out.complain(&error);
            error.exit().into()
        }
    }
}
