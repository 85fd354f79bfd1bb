//! Runs the peers' scripts of `bench/peers`, each in the environment that `bench/peers/setup` made for it.

use super::data::{CAP, Data};
use super::score::{Asked, Scored, Split};
use super::{DELTA, EPSILON};
use policy::privacy::NanoRho;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// A peer: its name, its script and its environment.
pub(super) struct Peer {
    pub(super) name: &'static str,
    script: &'static str,
    environment: &'static str,
}

pub(super) const PEERS: [Peer; 3] = [
    Peer { name: "OpenDP 0.16.0, Polars", script: "opendp_polars.py", environment: "opendp" },
    Peer { name: "SmartNoise SQL 1.0.10", script: "smartnoise.py", environment: "smartnoise" },
    Peer { name: "PipelineDP 0.3.1", script: "pipelinedp.py", environment: "pipelinedp" },
];

/// Asks a peer at every setting and scores what it says; or why not.
pub(super) fn run(
    peer: &Peer,
    folder: &Path,
    data: &Data,
    asked: Asked,
    rho: NanoRho,
    file: &Path,
    repeats: usize,
) -> Result<Vec<Scored>, String> {
    let fields = asked.fields();
    // Ten questions are ten times the answers, at ten times the work.
    let repeats = if fields == 1 { repeats } else { 2 };
    // Where noise is larger, bounds are better smaller.
    let smaller = |rows: &u64| if fields == 1 { *rows } else { rows * 4 / 5 };
    let rows: Vec<u64> = data.grid.rows.iter().map(smaller).collect();
    let task = json!({
        "file": file, "keys": data.keys, "fields": (0..fields).map(|field| format!("c{field}")).collect::<Vec<_>>(),
        "cap": CAP / 100, "sums": asked.sums(), "epsilon": EPSILON, "delta": DELTA, "rho": rho.rho(), "repeats": repeats,
        "rows": rows, "groups": data.grid.groups,
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/peers").join(peer.script);
    let python = folder.join(peer.environment).join("bin/python");
    let mut child = Command::new(&python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`{}` can't be run: {error}", python.display()))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(task.to_string().as_bytes()).map_err(|error| error.to_string())?;
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(text.lines().last().unwrap_or("the script failed").to_owned());
    }
    let (counts, sums) = data.truth(fields);
    let text = String::from_utf8_lossy(&output.stdout);
    let settings = text.lines().map(|line| scored(line, &counts, &sums)).filter_map(Result::transpose);
    let settings: Vec<Scored> = settings.collect::<Result<_, _>>()?;
    if settings.is_empty() { Err("no setting gave an answer".to_owned()) } else { Ok(settings) }
}

/// Scores a line; nothing for a setting that the peer can't do, which is said.
fn scored(line: &str, counts: &[f64], sums: &[f64]) -> Result<Option<Scored>, String> {
    let line: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let name = line.get("setting").and_then(Value::as_str).ok_or("a setting without a name")?.to_owned();
    if let Some(problem) = line.get("problem") {
        println!("    !! {name}: {problem}");
        return Ok(None);
    }
    let mut scored = Scored { name, counts: Split::default(), sums: Split::default() };
    for (number, run) in line.get("runs").and_then(Value::as_array).ok_or("no runs")?.iter().enumerate() {
        let list = |of: &str| run.get(of).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_f64);
        scored.counts.add(number, list("counts"), counts);
        scored.sums.add(number, list("sums"), sums);
    }
    Ok(Some(scored))
}
