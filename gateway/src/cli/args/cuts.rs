//! `cuts`.

use super::ask::Question;
use super::common::{For, Of};
use clap::{Args, Subcommand};

/// `cuts`.
#[derive(Debug, Subcommand)]
pub enum CutsCommand {
    /// Find where a number divides people into equal bands, by one charged answer, and keep it as a version.
    Release(Box<ReleaseCutsArgs>),
    /// Show cut points: spend, or spend@2.
    Show {
        /// Their name.
        name: String,
        /// Of which dataset.
        #[command(flatten)]
        of: Of,
        /// For which use.
        #[command(flatten)]
        use_for: For,
    },
    /// List released cut points.
    List {
        /// Of which dataset.
        #[command(flatten)]
        of: Of,
        /// For which use.
        #[command(flatten)]
        use_for: For,
    },
}

/// `cuts release`.
#[derive(Debug, Args)]
pub struct ReleaseCutsArgs {
    /// What they are called: spend.
    pub name: String,
    /// What is cut: 'order.last("365d").sum(amount)', a number attribute, or rfm.recency, rfm.frequency, rfm.monetary.
    #[arg(value_name = "NUMBER")]
    pub number: String,
    /// Of whom.
    #[command(flatten)]
    pub question: Question,
    /// Into how many bands of equally many people, 2 to 10.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    pub bands: u32,
    /// Look for cuts from here on; a smaller range is more accurate. Must not be taken from the data.
    #[arg(long, value_name = "NUMBER", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub from: String,
    /// Look for cuts up to here.
    #[arg(long, value_name = "NUMBER", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub to: String,
}
