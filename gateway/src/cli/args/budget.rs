//! `budget`.

use clap::{Args, Subcommand};

/// `budget`.
#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
pub struct BudgetArgs {
    /// What to do, if not to state it.
    #[command(subcommand)]
    pub command: Option<BudgetCommand>,
    /// Of which dataset.
    #[arg(long, short, env = "SILHOUETTE_DATASET", value_name = "NAME", required = true)]
    pub dataset: Option<String>,
    /// Of which client; yourself if not given.
    #[arg(long, value_name = "NAME")]
    pub client: Option<String>,
    /// Set that client's quota in a quarter instead, as rho.
    #[arg(long, value_name = "RHO", requires = "client")]
    pub set_quota: Option<String>,
}

/// `budget ...`.
#[derive(Debug, Subcommand)]
pub enum BudgetCommand {
    /// Extend what the people of a dataset may lose in a lifetime, by at most a year's worth: signed by the log, with why.
    Extend(ExtendArgs),
}

/// `budget extend`.
#[derive(Debug, Args)]
pub struct ExtendArgs {
    /// Of which dataset.
    #[arg(value_name = "DATASET")]
    pub dataset: String,
    /// By how much, as rho; at most four quarters' caps.
    #[arg(long, value_name = "RHO")]
    pub by: String,
    /// Why, in 1 to 120 plain letters, digits and spaces: it is in the log.
    #[arg(long, value_name = "TEXT")]
    pub because: String,
    /// The epsilon that it comes to, as --dry-run shows it: says that you saw it.
    #[arg(long, value_name = "EPSILON", required_unless_present = "dry_run")]
    pub acknowledge_epsilon: Option<String>,
    /// Only say what it would come to.
    #[arg(long)]
    pub dry_run: bool,
}
