//! `policy`.

use clap::Subcommand;
use std::path::PathBuf;

/// `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Show the policies in force.
    Show,
    /// Replace the policies, after showing who gains or loses what.
    Publish {
        /// A file of Cedar policies.
        file: PathBuf,
        /// Say what would change, and change nothing.
        #[arg(long)]
        preview: bool,
        /// Yes, some will see more than now.
        #[arg(long)]
        widen: bool,
    },
}
