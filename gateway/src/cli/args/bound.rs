//! `bound`.

use super::ask::Question;
use super::insight::{Dimensions, Length};
use clap::Args;

/// `bound`.
#[derive(Debug, Args)]
pub struct BoundArgs {
    /// What a table will count: order for events, order.amount for a sum.
    #[arg(value_name = "WHAT")]
    pub of: String,
    /// Of whom.
    #[command(flatten)]
    pub question: Question,
    /// What the table is by.
    #[command(flatten)]
    pub dimensions: Dimensions,
    /// How long the periods of a trend are.
    #[command(flatten)]
    pub length: Length,
    /// By periods from this day on, as a trend: 2026-01-05.
    #[arg(long, value_name = "DAY", conflicts_with = "last")]
    pub from: Option<String>,
    /// Count events of the last so long, 30d.
    #[arg(long, value_name = "LENGTH")]
    pub last: Option<String>,
    /// With --from, the day after the last one, 2026-04-01; with --last, the near end, 30d.
    #[arg(long, value_name = "DAY|LENGTH", default_value = "", hide_default_value = true)]
    pub until: String,
    /// The price that the table will be asked at, as rho; that of this question if not given.
    #[arg(long, value_name = "RHO", default_value = "", hide_default_value = true)]
    pub for_rho: String,
    /// Smallest bound to consider, as WHAT is written: 20, or 20.00; 1 if not given. A smaller range is more accurate. Must not be taken from the data.
    #[arg(long, value_name = "NUMBER", default_value = "", hide_default_value = true)]
    pub least: String,
    /// Largest bound to consider; 10,000 of events and 100,000 of sums if not given.
    #[arg(long, value_name = "NUMBER", default_value = "", hide_default_value = true)]
    pub most: String,
}
