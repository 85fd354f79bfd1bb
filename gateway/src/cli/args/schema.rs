//! `schema`.

use super::common::Basis;
use clap::Subcommand;
use std::path::PathBuf;

/// `schema`.
#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// Draft a schema and a mapping from a CSV file, asking which lists are public.
    Infer {
        /// The CSV file.
        file: PathBuf,
        /// Name of the dataset.
        #[arg(long, value_name = "NAME")]
        dataset: String,
        /// Folder for schema.toml and mapping.toml.
        #[arg(long, default_value = ".", value_name = "DIR")]
        out: PathBuf,
        /// Ask nothing: no list is taken to be public.
        #[arg(long)]
        yes: bool,
    },
    /// Check a schema file, and a mapping if one is given, without a gateway.
    Check {
        /// The schema.
        file: PathBuf,
        /// A mapping for it.
        #[arg(long, value_name = "FILE")]
        mapping: Option<PathBuf>,
    },
    /// Create a dataset from a schema file.
    Create {
        /// The schema.
        file: PathBuf,
    },
    /// Publish a new version of a dataset's schema, and say what it changes. A version only adds; deprecate what is not
    /// wanted any more.
    Apply {
        /// The whole schema.
        file: PathBuf,
        /// Say what it would change, and publish nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show a dataset's fields and what may be asked of them; with --version, a description as it was published.
    #[command(disable_version_flag = true)]
    Show {
        /// Which dataset; all if none is named.
        #[arg(env = "SILHOUETTE_DATASET")]
        dataset: Option<String>,
        /// Print this version of the description instead, as it was published: a file for `schema apply`. 0 is the last.
        #[arg(long, value_name = "N", requires = "dataset", conflicts_with = "purpose")]
        version: Option<u32>,
        /// For which purpose; says what may leave.
        #[arg(long)]
        purpose: Option<String>,
        /// On which lawful basis.
        #[arg(long, value_enum, default_value_t = Basis::Consent)]
        basis: Basis,
    },
    /// List the versions of a dataset's description, and what each changed.
    List {
        /// Which dataset.
        #[arg(env = "SILHOUETTE_DATASET")]
        dataset: String,
    },
}
