//! `synopsis`.

use clap::Args;

/// `synopsis`.
#[derive(Debug, Args)]
pub struct SynopsisArgs {
    /// Of which dataset.
    #[arg(value_name = "DATASET", env = "SILHOUETTE_DATASET")]
    pub dataset: String,
}
