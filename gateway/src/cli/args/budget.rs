//! `budget`.

use super::common::Of;
use clap::Args;

/// `budget`.
#[derive(Debug, Args)]
pub struct BudgetArgs {
    /// Of which dataset.
    #[command(flatten)]
    pub of: Of,
    /// Of which client; yourself if not given.
    #[arg(long, value_name = "NAME")]
    pub client: Option<String>,
    /// Set that client's quota in a quarter instead, as rho.
    #[arg(long, value_name = "RHO", requires = "client")]
    pub set_quota: Option<String>,
}
