//! `epoch`.

use super::common::Of;
use clap::Subcommand;

/// `epoch`.
#[derive(Debug, Subcommand)]
pub enum EpochCommand {
    /// Close the open epoch now.
    Close {
        /// Which dataset.
        #[command(flatten)]
        of: Of,
        /// Where windows of time end, as 2026-03-31T00:00:00Z; now if not given.
        #[arg(long, value_name = "TIME")]
        as_of: Option<String>,
    },
    /// Show the last closed epoch of each dataset.
    Show,
}
