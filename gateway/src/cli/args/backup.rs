//! `backup` and `restore`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `backup`.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Say how far the backup target has followed.
    Status,
    /// Ship at once all that the backup target lacks, and wait for it.
    Now,
    /// Go on without a mirror whose disk is lost or destroyed. The gateway must not be serving; then name an empty folder as
    /// `mirror` for a new one. Until the old one is destroyed, it opens copies of the data folder of its time.
    ForgetMirror {
        /// Settings; without it the defaults hold.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup target. One that is older than what the mirror has seen it hold is refused.
    #[arg(long, value_name = "FOLDER")]
    pub from: PathBuf,
    /// The mirror of the root; it goes on as the mirror of what is made.
    #[arg(long, value_name = "FOLDER")]
    pub mirror: PathBuf,
    /// Settings, which name the new data and root folders; without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Go on without what was written after the last shipment; the log will say what that was. Withdrawals and erasures may be
    /// among it, and have to be asked for again. What was spent of budgets stays spent.
    #[arg(long)]
    pub accept_loss: bool,
}
