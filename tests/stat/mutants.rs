//! Puts each fault of `mutants.toml` into a copy of the sources and runs the tests that must find it:
//! `cargo run -p tests --bin mutants`, or with names for some of them.
//!
//! A fault is *caught* when each of its tests fails; it *survived* when one of them passes; it is *broken* when the copy
//! does not compile or a test is not there, since that shows nothing. The tests run without any fault first, and must pass.
//! The sources here stay as they are: what is built is a copy in a temporary folder, with a target folder of its own,
//! `target/mutants`, that is used again. Takes about a minute a fault.

mod list;

use clap::Parser;
use list::{List, Mutant, root};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Seeds faults and expects a test to fail for each.
#[derive(Debug, Parser)]
struct Args {
    /// Only these faults
    names: Vec<String>,
    /// Where to build; not where the sources themselves are built, since what is built here would pass for theirs
    #[arg(long)]
    target_dir: Option<PathBuf>,
    /// Leave out the run without a fault
    #[arg(long)]
    trust: bool,
}

/// How a fault fared.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Caught,
    Survived(String),
    Broken(String),
}

/// A copy of the sources.
struct Copy {
    folder: tempfile::TempDir,
    target: PathBuf,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            let _nobody_listens = writeln!(io::stderr(), "{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> io::Result<bool> {
    let list = List::read().map_err(io::Error::other)?;
    let chosen = |mutant: &&Mutant| args.names.is_empty() || args.names.contains(&mutant.name);
    let mutants: Vec<&Mutant> = list.mutant.iter().filter(chosen).collect();
    let copy = Copy {
        folder: tempfile::tempdir()?,
        target: args.target_dir.clone().unwrap_or_else(|| root().join("target/mutants")),
    };
    if copy.target == root().join("target") {
        return Err(io::Error::other("what is built with a fault in it needs a target folder of its own"));
    }
    copy_sources(&root(), copy.folder.path())?;
    if !args.trust {
        copy.passes_without(&mutants)?;
    }
    let mut caught = 0;
    for mutant in &mutants {
        let fate = copy.fate(mutant)?;
        caught += usize::from(fate == Fate::Caught);
        let mut out = io::stdout().lock();
        match fate {
            Fate::Caught => writeln!(out, "caught    {}: {}", mutant.name, mutant.why)?,
            Fate::Survived(test) => writeln!(out, "SURVIVED  {}: {test} passes, and {}", mutant.name, mutant.why)?,
            Fate::Broken(problem) => writeln!(out, "broken    {}: {problem}", mutant.name)?,
        }
        out.flush()?;
    }
    writeln!(io::stdout(), "{caught} of {} caught", mutants.len())?;
    Ok(caught == mutants.len() && caught > 0)
}

/// Copies everything but what is built and what is hidden.
fn copy_sources(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "target" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        let to = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy_sources(&entry.path(), &to)?;
        } else if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

impl Copy {
    /// Runs every test of the list once without a fault.
    fn passes_without(&self, mutants: &[&Mutant]) -> io::Result<()> {
        let mut targets: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for mutant in mutants {
            let tests = targets.entry((&mutant.package, &mutant.target)).or_default();
            tests.extend(mutant.tests.iter().map(String::as_str));
        }
        for ((package, target), mut tests) in targets {
            tests.sort_unstable();
            tests.dedup();
            let results = self.test(package, target, &tests)?.map_err(io::Error::other)?;
            for test in tests {
                if results.get(test) != Some(&true) {
                    return Err(io::Error::other(format!("{test} does not pass without a fault")));
                }
            }
        }
        writeln!(io::stdout(), "without a fault every test passes")
    }

    /// Puts a fault in, tests, and takes it out again.
    fn fate(&self, mutant: &Mutant) -> io::Result<Fate> {
        let mut before = Vec::new();
        for edit in &mutant.edits {
            let file = self.folder.path().join(&edit.file);
            let text = std::fs::read_to_string(&file)?;
            match edit.apply(&text) {
                Ok(with) => std::fs::write(&file, with)?,
                Err(problem) => return Ok(Fate::Broken(problem)),
            }
            before.push((file, text));
        }
        let tests: Vec<&str> = mutant.tests.iter().map(String::as_str).collect();
        let results = self.test(&mutant.package, &mutant.target, &tests)?;
        // The last change of a file first, so that its first text stays.
        for (file, text) in before.iter().rev() {
            std::fs::write(file, text)?;
        }
        Ok(match results {
            Err(problem) => Fate::Broken(problem),
            Ok(results) => judge(&tests, &results),
        })
    }

    /// Builds and runs some tests: by name whether they passed, or why nothing was tested.
    fn test(&self, package: &str, target: &str, tests: &[&str]) -> io::Result<Result<BTreeMap<String, bool>, String>> {
        let cargo = |more: &[&str]| {
            let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
            command.args(["test", "--locked", "--package", package, "--target-dir"]).arg(&self.target);
            match target {
                "lib" => command.arg("--lib"),
                target => command.args(["--test", target]),
            };
            // Quiet, the tests would not be told apart by name.
            command.args(more).env("CARGO_TERM_QUIET", "false");
            command.current_dir(self.folder.path()).stdin(Stdio::null());
            command
        };
        let built = cargo(&["--no-run", "--quiet"]).output()?;
        if !built.status.success() {
            let said = String::from_utf8_lossy(&built.stderr);
            let first = said.lines().find(|line| line.starts_with("error")).unwrap_or("it does not compile");
            return Ok(Err(first.to_owned()));
        }
        let ran = cargo(&["--", "--exact"]).args(tests).output()?;
        let results = String::from_utf8_lossy(&ran.stdout).lines().filter_map(result).collect();
        Ok(Ok(results))
    }
}

/// Reads a line like `test release::tests::name ... ok`.
fn result(line: &str) -> Option<(String, bool)> {
    let (name, how) = line.strip_prefix("test ")?.split_once(" ... ")?;
    Some((name.trim_end_matches(" - should panic").to_owned(), how == "ok"))
}

fn judge(tests: &[&str], results: &BTreeMap<String, bool>) -> Fate {
    for test in tests {
        match results.get(*test) {
            None => return Fate::Broken(format!("{test} did not run to its end")),
            Some(true) => return Fate::Survived((*test).to_owned()),
            Some(false) => {}
        }
    }
    if tests.is_empty() { Fate::Broken("it has no tests".to_owned()) } else { Fate::Caught }
}
