//! `client`.

use clap::{Subcommand, ValueEnum};
use std::path::PathBuf;

/// What a client may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// An internal service: asks questions.
    Service,
    /// An outside organization: gets audiences under its own pseudonyms.
    Partner,
    /// Reads the log.
    Officer,
    /// Runs schemas, policies, clients and budgets.
    Steward,
    /// Writes data.
    Producer,
    /// The owner's portal: acts for the people whose data it is.
    Portal,
}

/// `client`.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Register a client and write its key file.
    Create {
        /// Its id.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// What it may be.
        #[arg(long, value_enum)]
        role: Role,
        /// The partner it acts for; needed by partners.
        #[arg(long, value_name = "NAME", required_if_eq("role", "partner"))]
        partner: Option<String>,
        /// A purpose its tokens may carry; may be given several times.
        #[arg(long = "purpose", value_name = "PURPOSE")]
        purposes: Vec<String>,
        /// Where to write its key file; NAME-key.toml if not given.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// List clients.
    List,
    /// Revoke a client: its tokens end at once. Cannot be undone.
    Revoke {
        /// Its id.
        name: String,
    },
}
