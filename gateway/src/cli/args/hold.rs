//! `hold`.

use super::common::Of;
use super::subject::Whose;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `hold`.
#[derive(Debug, Subcommand)]
pub enum HoldCommand {
    /// Hold some of a person's data: an erasure leaves it, sealed and unused, until the hold ends.
    Place(PlaceArgs),
    /// End a hold; if the person's erasure waited for it, that is carried out now.
    Release(ReleaseArgs),
    /// List the holds that stand, never on whose data.
    List {
        /// Of which dataset.
        #[command(flatten)]
        of: Of,
    },
}

/// `hold place`.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// Whose.
    #[command(flatten)]
    pub whose: Whose,
    /// What: an attribute, an event with all its fields, or EVENT.FIELD. May be given several times.
    #[arg(long, value_name = "FIELD", required = true)]
    pub field: Vec<String>,
    /// Why, a public label such as tax-act-147: it is in the log and in receipts.
    #[arg(long, value_name = "LABEL")]
    pub ground: String,
    /// Last day on which it stands, YYYY-MM-DD in UTC; until it is released if not given.
    #[arg(long, value_name = "DAY")]
    pub until: Option<String>,
}

/// `hold release`.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// Its number, as `hold list` shows it.
    #[arg(value_name = "NUMBER")]
    pub number: u64,
    /// Of which dataset.
    #[command(flatten)]
    pub of: Of,
    /// Where to write the receipt if an erasure waited; it names nobody.
    #[arg(long, default_value = "erasure-receipt.json", value_name = "FILE")]
    pub out: PathBuf,
    /// The log's verifier key, from somewhere you trust; the one that the gateway sends if not given.
    #[arg(long, value_name = "KEY")]
    pub verifier_key: Option<String>,
}
