//! `import` and `generate`: what streams records in.

use clap::Args;
use std::path::PathBuf;

/// `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// How the files feed the dataset.
    #[arg(long, value_name = "FILE")]
    pub mapping: PathBuf,
    /// Folder of the CSV files.
    #[arg(long, value_name = "DIR")]
    pub source: PathBuf,
    /// The dataset's schema; schema.toml beside the mapping if not given.
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    /// Read and check everything, send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Key file of a steward, who creates the dataset from the schema first if it is not there.
    #[arg(long, value_name = "FILE")]
    pub create_as: Option<PathBuf>,
    /// Where to write the rows that do not fit: file, line, column, reason, never a value.
    #[arg(long, default_value = "quarantine.csv", value_name = "FILE")]
    pub quarantine: PathBuf,
}

/// `generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// How many consumers.
    #[arg(long, default_value_t = 50_000, value_name = "N")]
    pub consumers: u32,
    /// How many events.
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    pub events: u64,
    /// Same seed and instant, same co-operative.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// The instant before which everything happens, as 2026-03-31T00:00:00Z; now if not given.
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<String>,
    /// Key file of a steward, who creates the dataset first if it is not there.
    #[arg(long, value_name = "FILE")]
    pub create_as: Option<PathBuf>,
    /// Write CSV files with their schema and mapping here instead of streaming to the gateway.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
