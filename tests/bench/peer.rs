//! Runs the peer: a script beside this file that does the same count in DuckDB.

use crate::Options;
use crate::stopwatch::Times;
use std::process::{Command, Stdio};

const SCRIPT: &str = include_str!("portrait_duckdb.py");

/// Returns DuckDB's version and times, or what is missing.
pub(crate) fn portrait(options: &Options, subjects: u32) -> Result<(String, Times), String> {
    let Options { fields, values, threads, runs, ref peer, .. } = *options;
    let numbers = [subjects.to_string(), fields.to_string(), values.to_string(), threads.to_string(), runs.to_string()];
    let output = Command::new(peer)
        .arg("-c")
        .arg(SCRIPT)
        .args(numbers)
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("`{peer}` can't be run: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(text.lines().last().unwrap_or("the script failed").to_owned());
    }
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let times = json.get("times_ms").and_then(|times| times.as_array()).ok_or("no times")?;
    let version = json.get("version").and_then(|version| version.as_str()).unwrap_or("?").to_owned();
    Ok((version, Times::new(times.iter().filter_map(serde_json::Value::as_f64).collect())))
}
