//! Runs the peers: scripts that ask the same of DuckDB, and of OpenDP's Polars API.

use crate::stopwatch::Times;
use crate::{Asked, Options};
use std::path::Path;
use std::process::{Command, Stdio};

const SCRIPT: &str = include_str!("peer_duckdb.py");

/// Returns the peer's name and times, or what is missing.
pub(crate) fn run(options: &Options, asked: Asked, subjects: u32) -> Result<(String, Times), String> {
    let Options { fields, values, events, threads, runs, ref peer, .. } = *options;
    let asked = match asked {
        Asked::Portrait => "portrait",
        Asked::Breakdown => "breakdown",
        Asked::Sums => "sums",
    };
    let sizes = [u64::from(subjects), u64::from(fields), u64::from(values), u64::from(events)];
    let mut command = Command::new(peer);
    command
        .args(["-c", SCRIPT, asked])
        .args(sizes.map(|size| size.to_string()))
        .args([threads.to_string(), runs.to_string()]);
    times(command, peer)
}

/// Returns the name and times of OpenDP's Polars API on sums, by the python that has it, over few runs: it is slow.
pub(crate) fn run_private_sums(options: &Options, python: &str, subjects: u32) -> Result<(String, Times), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/peers/opendp_sums.py");
    let sizes = [u64::from(subjects), u64::from(options.values), u64::from(options.events), 3];
    let mut command = Command::new(python);
    command.arg(script).args(sizes.map(|size| size.to_string())).env("POLARS_MAX_THREADS", options.threads.to_string());
    times(command, python)
}

fn times(mut command: Command, program: &str) -> Result<(String, Times), String> {
    let output =
        command.stderr(Stdio::piped()).output().map_err(|error| format!("`{program}` can't be run: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(text.lines().last().unwrap_or("the script failed").to_owned());
    }
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let times = json.get("times_ms").and_then(|times| times.as_array()).ok_or("no times")?;
    let name = json.get("name").and_then(|name| name.as_str()).unwrap_or("?").to_owned();
    Ok((name, Times::new(times.iter().filter_map(serde_json::Value::as_f64).collect())))
}
