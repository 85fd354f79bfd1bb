//! `size`, `breakdown`, `portrait`, `audience`: questions, and what they share.

use super::common::{For, Of};
use clap::Args;
use std::path::PathBuf;

/// Who.
#[derive(Debug, Clone, Args)]
pub struct Who {
    /// An expression: age_band == "25-34" && order.last("30d").any(). Everyone if nothing is given.
    #[arg(value_name = "EXPRESSION")]
    pub expression: Option<String>,
    /// A stored segment instead: loyal, or loyal@2.
    #[arg(long, value_name = "NAME", conflicts_with = "expression")]
    pub segment: Option<String>,
    /// Who could be in it at all; everyone if not given.
    #[arg(long, value_name = "EXPRESSION", default_value = "", hide_default_value = true)]
    pub universe: String,
}

/// How much to spend.
#[derive(Debug, Clone, Args)]
pub struct Spending {
    /// Price to pay, as rho: 0.001.
    #[arg(long, value_name = "RHO", conflicts_with = "within")]
    pub rho: Option<String>,
    /// Accuracy to reach instead: 50 is +-50 people at 95 %.
    #[arg(long, value_name = "PEOPLE")]
    pub within: Option<f64>,
    /// Say what it would cost and how accurate it would be; spend nothing.
    #[arg(long)]
    pub preview: bool,
    /// A UUID of yours: a retry with the same one never pays twice.
    #[arg(long, value_name = "UUID", default_value = "", hide_default_value = true)]
    pub request_id: String,
}

/// What every question has.
#[derive(Debug, Clone, Args)]
pub struct Question {
    /// Who.
    #[command(flatten)]
    pub who: Who,
    /// Of which dataset.
    #[command(flatten)]
    pub of: Of,
    /// For which use.
    #[command(flatten)]
    pub use_for: For,
    /// For how much.
    #[command(flatten)]
    pub spending: Spending,
}

/// `size`.
#[derive(Debug, Args)]
pub struct SizeArgs {
    /// The question.
    #[command(flatten)]
    pub question: Question,
}

/// Which events count.
#[derive(Debug, Clone, Args)]
pub struct Within {
    /// For fields of events: count those of the last so long, 30d.
    #[arg(long, value_name = "LENGTH", default_value = "", hide_default_value = true)]
    pub last: String,
    /// With --last, the near end: --last 90d --until 30d is from 90 to 30 days before the end of the epoch.
    #[arg(long, value_name = "LENGTH", default_value = "", hide_default_value = true, requires = "last")]
    pub until: String,
}

/// `breakdown`.
#[derive(Debug, Args)]
pub struct BreakdownArgs {
    /// The question.
    #[command(flatten)]
    pub question: Question,
    /// By which field: age_band, order.category. Twice for a cross of two.
    #[arg(long, value_name = "FIELD", required = true)]
    pub by: Vec<String>,
    /// Which events count.
    #[command(flatten)]
    pub window: Within,
    /// Draw it as a picture too.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Heading of the picture.
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
}

/// A whole portrait.
#[derive(Debug, Clone, Args)]
pub struct WholeArgs {
    /// All on one page, of one release at one price: beside the rest, bands of value, hours, weekdays, the trend, and what they say.
    #[arg(long)]
    pub whole: bool,
    /// Only these parts, separated by commas: fields, bands, hours, weekdays, trend. Each is more accurate then.
    #[arg(long, value_name = "PARTS", value_delimiter = ',', requires = "whole")]
    pub parts: Vec<String>,
    /// Whose hours, weekdays and trend: an event type. Orders, or what else the description's bands are of, if not given.
    #[arg(long, value_name = "EVENT", default_value = "", hide_default_value = true, requires = "whole")]
    pub event: String,
    /// The trend is by months; by weeks if not given.
    #[arg(long, requires = "whole")]
    pub by_month: bool,
    /// The first day of the trend, 2026-01-05; 12 periods up to the end of the epoch if not given.
    #[arg(long, value_name = "DAY", default_value = "", hide_default_value = true, requires = "whole")]
    pub from: String,
}

/// `portrait`.
#[derive(Debug, Args)]
pub struct PortraitArgs {
    /// The question.
    #[command(flatten)]
    pub question: Question,
    /// Which fields, separated by commas; every one that may be asked for if not given.
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    pub fields: Vec<String>,
    /// Which events count.
    #[command(flatten)]
    pub window: Within,
    /// All on one page.
    #[command(flatten)]
    pub whole: WholeArgs,
    /// Draw it as a picture too.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Heading of the portrait.
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
}

/// `audience`.
#[derive(Debug, Args)]
pub struct AudienceArgs {
    /// Who.
    #[command(flatten)]
    pub who: Who,
    /// Of which dataset.
    #[command(flatten)]
    pub of: Of,
    /// For which use: sharing.partner.acme.
    #[command(flatten)]
    pub use_for: For,
    /// Fields to deliver with each member, coarse, separated by commas.
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    pub tags: Vec<String>,
    /// Price of the noisy size that is tested against the minimum, as rho.
    #[arg(long, value_name = "RHO")]
    pub rho: Option<String>,
    /// A UUID of yours: a retry with the same one never pays twice.
    #[arg(long, value_name = "UUID", default_value = "", hide_default_value = true)]
    pub request_id: String,
    /// Write the members as CSV here; without it the first few are shown.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
