//! `subject`.

use super::common::Of;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `subject`.
#[derive(Debug, Subcommand)]
pub enum SubjectCommand {
    /// Write all that is held about a person: JSON for programs and a page to read and print.
    Access {
        /// Whose.
        #[command(flatten)]
        whose: Whose,
        /// Folder for access-package.json and access-package.html, readable by you alone.
        #[arg(long, default_value = ".", value_name = "DIR")]
        out: PathBuf,
        /// Write it as CSV tables too, with the mapping that imports them elsewhere.
        #[arg(long)]
        tables: bool,
    },
    /// Correct facts about a person.
    Correct(CorrectArgs),
    /// Restrict the use of a person's data: it is kept, and used for nothing.
    Restrict {
        /// Whose.
        #[command(flatten)]
        whose: Whose,
    },
    /// Lift a restriction.
    Unrestrict {
        /// Whose.
        #[command(flatten)]
        whose: Whose,
    },
    /// Record that a person objects to a purpose and all under it, on every basis.
    Object {
        /// Whose.
        #[command(flatten)]
        whose: Whose,
        /// To which purpose.
        #[arg(long, value_name = "PURPOSE")]
        purpose: String,
    },
    /// Link two subjects that are one person and agreed to it: the first stands for both.
    Link(PairArgs),
    /// End a link: each is counted for itself again from the next epoch on.
    Unlink(PairArgs),
    /// Erase people, all or none, so that no older copy of the data folder can be read for them either.
    Erase(EraseArgs),
    /// Show who used a person's data, and for what.
    Uses {
        /// Whose.
        #[command(flatten)]
        whose: Whose,
    },
    /// Write a person's consent receipts, each with the proof that the log has it.
    Receipts {
        /// Whose.
        #[command(flatten)]
        whose: Whose,
        /// Where to write them, readable by you alone.
        #[arg(long, default_value = "consent-receipts.json", value_name = "FILE")]
        out: PathBuf,
        /// The log's verifier key, from somewhere you trust; the one that the gateway sends if not given.
        #[arg(long, value_name = "KEY")]
        verifier_key: Option<String>,
    },
}

/// Whose request it is.
#[derive(Debug, Clone, Args)]
pub struct Whose {
    /// Subject key. Seen by everyone on this machine and kept in the shell's history: rather leave it out, and it is asked
    /// for, or read from standard input.
    #[arg(long, value_name = "KEY", conflicts_with = "subject_file")]
    pub subject: Option<String>,
    /// File with the subject key; for an erasure one a line.
    #[arg(long, value_name = "FILE")]
    pub subject_file: Option<PathBuf>,
    /// Of which kind it is: the name of one of the dataset's identities; the subject key if not given.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "KIND")]
    pub identity: String,
    /// Of which dataset.
    #[command(flatten)]
    pub of: Of,
}

/// `subject link` and `subject unlink`.
#[derive(Debug, Args)]
pub struct PairArgs {
    /// Who: two keys, one a line, the one first that stands for both.
    #[command(flatten)]
    pub whose: Whose,
    /// Of which kind the second key is; the subject key if not given.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "KIND")]
    pub other_identity: String,
}

/// `subject correct`.
#[derive(Debug, Args)]
pub struct CorrectArgs {
    /// Whose.
    #[command(flatten)]
    pub whose: Whose,
    /// File of corrections, FIELD=VALUE a line as the access package writes it; a field alone is emptied.
    #[arg(long, value_name = "FILE")]
    pub values: Option<PathBuf>,
    /// One correction; seen by everyone on this machine and kept in the shell's history. May be given several times.
    #[arg(long, value_name = "FIELD=VALUE")]
    pub set: Vec<String>,
    /// A field to empty. May be given several times.
    #[arg(long, value_name = "FIELD")]
    pub empty: Vec<String>,
}

/// `subject erase`.
#[derive(Debug, Args)]
pub struct EraseArgs {
    /// Whom.
    #[command(flatten)]
    pub whose: Whose,
    /// Where to write the receipt; it names nobody.
    #[arg(long, default_value = "erasure-receipt.json", value_name = "FILE")]
    pub out: PathBuf,
    /// The log's verifier key, from somewhere you trust; the one that the gateway sends if not given.
    #[arg(long, value_name = "KEY")]
    pub verifier_key: Option<String>,
    /// Ask nothing: it is meant.
    #[arg(long)]
    pub yes: bool,
}
