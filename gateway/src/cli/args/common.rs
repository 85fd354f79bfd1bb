//! Flags that several commands share.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Key file of the client to speak as.
    #[arg(
        long,
        global = true,
        env = "SILHOUETTE_KEY",
        value_name = "FILE",
        default_value = "silhouette-key.toml",
        hide_env_values = true
    )]
    pub key: PathBuf,
    /// Where the gateway is, if not where the key file says: http://127.0.0.1:7443.
    #[arg(long, global = true, env = "SILHOUETTE_GATEWAY", value_name = "URL")]
    pub gateway: Option<String>,
    /// Certificate to trust, in PEM, if not the one that the key file names.
    #[arg(long, global = true, env = "SILHOUETTE_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Print one JSON value, for programs.
    #[arg(long, global = true)]
    pub json: bool,
    /// No colors and nothing but ASCII in bars.
    #[arg(long, global = true)]
    pub plain: bool,
}

/// Which dataset.
#[derive(Debug, Clone, Args)]
pub struct Of {
    /// Which dataset.
    #[arg(long, short, env = "SILHOUETTE_DATASET", value_name = "NAME")]
    pub dataset: String,
}

/// For which use.
#[derive(Debug, Clone, Args)]
pub struct For {
    /// For which purpose.
    #[arg(long, value_name = "PURPOSE")]
    pub purpose: Option<String>,
    /// On which lawful basis.
    #[arg(long, value_enum, default_value_t = Basis::Consent)]
    pub basis: Basis,
}

/// A lawful basis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Basis {
    /// They agreed.
    Consent,
    /// A contract with them needs it.
    Contract,
    /// A legitimate interest they have not objected to.
    LegitimateInterest,
}
