//! The command line under test: the same entry as the binary `silhouette`, built beside the tests so that they can start
//! it as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway::cli::main()
}
