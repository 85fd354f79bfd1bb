//! `silhouette-verify`: checks a log, a proof, two checkpoints or a person's receipts offline, with nothing but the log's
//! public key.
//!
//! It shares no code with the writer: every format is read here a second time, from its specification (C2SP signed-note,
//! tlog-checkpoint, tlog-tiles and tlog-proof; RFC 6962; RFC 8785 for what leaves commit to), so that a mistake of the writer
//! can't hide in the verifier.
//! A log's key may change: an entry announces the next one, signed with the one before. `log` and `consistency` follow these
//! from any key that signed once; `log` prints the one that signs now. A proof or a receipt is checked with the key of its time.
//! Does not: know whether the log is the newest one (compare checkpoints over time for that), nor what leaves mean, those of
//! receipts aside; nor look into the data: of an erasure it checks what the log says was found.
//!
//! Exit codes: 0 verified, 1 not verified, 2 wrong usage.

#[path = "verify/consent.rs"]
mod consent;
#[path = "verify/document.rs"]
mod document;
#[path = "verify/erasure.rs"]
mod erasure;
#[path = "verify/folder.rs"]
mod folder;
#[path = "verify/merkle.rs"]
mod merkle;
#[path = "verify/note.rs"]
mod note;
#[path = "verify/once.rs"]
mod once;
#[path = "verify/proof.rs"]
mod proof;

use clap::{Parser, Subcommand};
use note::VerifierKey;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Checks a Silhouette log offline, with nothing but its public key.
#[derive(Debug, Parser)]
#[command(name = "silhouette-verify", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Hash every entry of a log folder up to its signed checkpoints, and name the first that does not fit
    Log {
        /// The log folder, with `access` and `subject` in it, or one tree's folder
        dir: PathBuf,
        /// The log's verifier key, of either tree
        #[arg(long)]
        vkey: String,
    },
    /// Check a proof that one entry is in the log
    Proof {
        /// The .tlog-proof file
        file: PathBuf,
        /// The log's verifier key, of either tree
        #[arg(long)]
        vkey: String,
        /// The entry itself; without it only the signature can be checked
        #[arg(long)]
        leaf: Option<PathBuf>,
    },
    /// Check the receipt of an erasure
    Receipt {
        /// The receipt, as `silhouette subject erase` writes it
        file: PathBuf,
        /// The log's verifier key, of either tree, from someone you trust
        #[arg(long, visible_alias = "key")]
        vkey: String,
    },
    /// Check consent receipts, and open what the log commits to
    Consent {
        /// The receipts, as `silhouette subject receipts` writes them
        file: PathBuf,
        /// The log's verifier key, of either tree, from someone you trust
        #[arg(long, visible_alias = "key")]
        vkey: String,
    },
    /// Check that an older checkpoint's entries are still the first entries of a newer one
    Consistency {
        /// The older checkpoint
        old: PathBuf,
        /// The newer checkpoint
        new: PathBuf,
        /// The log folder
        dir: PathBuf,
        /// The log's verifier key, of either tree
        #[arg(long)]
        vkey: String,
    },
}

fn main() -> ExitCode {
    let (line, code) = match run(&Args::parse().command) {
        Ok(line) => (line, ExitCode::SUCCESS),
        Err(problem) => (format!("NOT VERIFIED: {problem}"), ExitCode::from(1)),
    };
    // A closed standard output must not change the exit code.
    let _ = writeln!(std::io::stdout(), "{line}");
    code
}

fn run(command: &Command) -> Result<String, String> {
    match command {
        Command::Log { dir, vkey } => log(dir, &VerifierKey::parse(vkey)?),
        Command::Proof { file, vkey, leaf } => {
            let leaf =
                leaf.as_deref().map(|path| fs::read(path).map_err(|error| unreadable(path, &error))).transpose()?;
            proof::check(&read(file)?, &VerifierKey::parse(vkey)?, leaf.as_deref())
        }
        Command::Receipt { file, vkey } => erasure::check(&read(file)?, &VerifierKey::parse(vkey)?),
        Command::Consent { file, vkey } => consent::check(&read(file)?, &VerifierKey::parse(vkey)?),
        Command::Consistency { old, new, dir, vkey } => {
            consistency(&read(old)?, &read(new)?, dir, &VerifierKey::parse(vkey)?)
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("{} can't be read: {error}", path.display())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

/// Returns the tree folders under `dir`, each with its key: itself if it holds a checkpoint, else both trees of a log.
fn trees(dir: &Path, key: &VerifierKey) -> Vec<(PathBuf, VerifierKey)> {
    if dir.join("checkpoint").exists() {
        let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        return vec![(dir.to_owned(), key.for_tree(name))];
    }
    note::TREES.iter().map(|tree| (dir.join(tree), key.for_tree(tree))).collect()
}

fn log(dir: &Path, key: &VerifierKey) -> Result<String, String> {
    let mut lines = Vec::new();
    for (dir, key) in trees(dir, key) {
        let report = folder::check(&dir, &key, &[])?;
        let mut line = format!("verified: {}, {} entries", report.head.origin, report.head.size);
        if let [_, .., (announced, last)] = report.keys.as_slice() {
            line.push_str(&format!("\n  signed with a later key, announced in entry {announced}: {}", last.text()));
        }
        if report.unsigned > 0 {
            line.push_str(&format!(" ({} files beyond the checkpoint, not checked)", report.unsigned));
        }
        lines.push(line);
    }
    Ok(lines.join("\n"))
}

fn consistency(old: &str, new: &str, dir: &Path, key: &VerifierKey) -> Result<String, String> {
    let key = key.for_origin(note::origin(new));
    let of = |which: &'static str| move |problem: String| format!("the {which} checkpoint: {problem}");
    let head = |note: &str| if key.is_named_in(note) { key.open(note) } else { note::stated(note) };
    let (old_note, new_note) = (old, new);
    let (old, new) = (head(old).map_err(of("older"))?, head(new).map_err(of("newer"))?);
    if old.size > new.size {
        return Err(format!("the older checkpoint covers {} entries, the newer {}", old.size, new.size));
    }
    let trees = trees(dir, &key);
    let (dir, _) = trees.iter().find(|(_, of)| of.name == key.name).ok_or("the folder holds another log")?;
    let report = folder::check(dir, &key, &[old.size, new.size])?;
    for (head, note, which) in [(&old, old_note, "older"), (&new, new_note, "newer")] {
        // Of the key that the entries say signs a checkpoint of this size.
        report.key_at(head.size).unwrap_or(&key).open(note).map_err(of(which))?;
        let root = report
            .roots
            .get(&head.size)
            .ok_or_else(|| format!("the folder covers {} entries, a checkpoint {}", report.head.size, head.size))?;
        if *root != head.root {
            return Err(format!("the first {} entries are not those the checkpoint signed", head.size));
        }
    }
    Ok(format!("verified: {}, the first {} of {} entries are unchanged", new.origin, old.size, new.size))
}

#[cfg(test)]
#[path = "verify_tests.rs"]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
