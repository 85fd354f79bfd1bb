//! `demo`, `init`, `serve`, `fsck`: commands about folders of this machine.

use clap::Args;
use std::path::PathBuf;

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Stay up afterwards and say how to call it.
    #[arg(long)]
    pub serve: bool,
    /// Another co-operative: same size, other people.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// How many consumers to invent; events are 20 times as many.
    #[arg(long, default_value_t = 50_000, value_name = "N")]
    pub consumers: u32,
    /// Where to draw the portrait.
    #[arg(long, default_value = "silhouette-portrait.svg", value_name = "FILE")]
    pub svg: PathBuf,
}

/// `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Settings; without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to write the first steward's key file.
    #[arg(long, default_value = "silhouette-key.toml", value_name = "FILE")]
    pub out: PathBuf,
    /// Lock the root with the passphrase in this file: its disk alone then opens nothing.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Settings; without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The file with the passphrase of the root, if not the one that the settings name.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// `fsck`.
#[derive(Debug, Args)]
pub struct FsckArgs {
    /// Settings; without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Say for every byte whether it is a documented header, sealed, or free.
    #[arg(long)]
    pub map: bool,
    /// First put damaged files back from the mirror and the backup that the settings name; only with the gateway stopped.
    #[arg(long)]
    pub repair: bool,
}
