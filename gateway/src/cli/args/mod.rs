//! The words of the command line, a file for each group of commands. Help texts are the doc comments here.

mod ask;
mod audit;
mod backup;
mod bound;
mod budget;
mod client;
pub mod common;
mod consent;
mod cuts;
mod epoch;
mod feed;
mod hold;
mod insight;
mod policy;
mod rotate;
mod schema;
mod segment;
mod start;
mod subject;
mod synopsis;

pub use ask::{AudienceArgs, BreakdownArgs, PortraitArgs, Question, SizeArgs, Spending, Who, WholeArgs, Within};
pub use audit::{AuditCommand, Decided, Tree};
pub use backup::{BackupCommand, RestoreArgs};
pub use bound::BoundArgs;
pub use budget::{BudgetArgs, BudgetCommand, ExtendArgs};
pub use client::{ClientCommand, Role};
pub use common::{Basis, For, Global};
pub use consent::{About, ConsentCommand, Method};
pub use cuts::{CutsCommand, ReleaseCutsArgs};
pub use epoch::EpochCommand;
pub use feed::{GenerateArgs, ImportArgs};
pub use hold::{HoldCommand, PlaceArgs, ReleaseArgs};
pub use insight::{
    BandsArgs, CompareArgs, Counted, Dimensions, DistributionArgs, Edges, FunnelArgs, Length, MeanArgs,
    NamedExpression, OverlapArgs, Periods, Picture, RetentionArgs, TableArgs, TopArgs, TrendArgs,
};
pub use policy::PolicyCommand;
pub use rotate::RotateArgs;
pub use schema::SchemaCommand;
pub use segment::SegmentCommand;
pub use start::{DemoArgs, FsckArgs, InitArgs, ServeArgs};
pub use subject::{CorrectArgs, EraseArgs, PairArgs, SubjectCommand, Whose};
pub use synopsis::SynopsisArgs;

use clap::{Parser, Subcommand};

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed; 2 the command line is not understood; 3 refused, and the reason \
                          is printed; 4 the gateway can't be reached or does not serve; 5 what was verified does not hold.";

/// Shows the shape of your consumers and hides every face.
#[derive(Debug, Parser)]
#[command(name = "silhouette", bin_name = "silhouette", version, after_help = EXIT_CODES, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// Whom to speak as, and to whom.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// See all of it at work on an invented farm co-operative; needs nothing and leaves nothing but a picture.
    Demo(DemoArgs),
    /// Make the data folder, the root folder and the first steward's key file.
    Init(InitArgs),
    /// Serve until told to stop.
    Serve(ServeArgs),
    /// Say whether the gateway serves, and what it holds.
    Status,
    /// Infer, check, create, change and show descriptions of datasets.
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Stream CSV files into a dataset, by a mapping.
    Import(ImportArgs),
    /// Stream an invented farm co-operative into the gateway, or write it as CSV.
    Generate(GenerateArgs),
    /// Close epochs: answers read what was acknowledged before the last close.
    #[command(subcommand)]
    Epoch(EpochCommand),
    /// Check and store segments.
    #[command(subcommand)]
    Segment(SegmentCommand),
    /// How many people are in a segment.
    Size(SizeArgs),
    /// How many people of a segment are in each cell of one field, or of two crossed.
    Breakdown(BreakdownArgs),
    /// Who the people of a segment are, field by field; drawn here and, with --svg, as a picture.
    Portrait(PortraitArgs),
    /// What is released each month, so that questions are answered free from it.
    Synopsis(SynopsisArgs),
    /// How a segment differs from the rest, field by field, with an index: 100 is the same.
    Compare(CompareArgs),
    /// How many people take step after step, and which part goes on.
    Funnel(FunnelArgs),
    /// People, events or sums by day, week or month.
    Trend(TrendArgs),
    /// Who comes back: of those who did something first in one period, how many did it again later.
    Retention(RetentionArgs),
    /// How many people are in which of several segments at once.
    Overlap(OverlapArgs),
    /// How many people are in each of several bands, the first that applies.
    Bands(BandsArgs),
    /// People, events or sums of numbers by fields, hours, weekdays and bins.
    Table(TableArgs),
    /// How much one person should count for at the most in a table of events or sums.
    Bound(BoundArgs),
    /// The values of a field that most people have, and how many do.
    Top(TopArgs),
    /// Cut points: where a number divides people into equal bands, for segments and bands.
    #[command(subcommand)]
    Cuts(CutsCommand),
    /// How a number attribute is spread: a histogram and quantiles.
    Distribution(DistributionArgs),
    /// The mean of a number attribute, and with --spread its standard deviation.
    Mean(MeanArgs),
    /// Deliver a segment to a partner under its own pseudonyms.
    Audience(AudienceArgs),
    /// Record and withdraw consent.
    #[command(subcommand)]
    Consent(ConsentCommand),
    /// Answer a person: show what is held, correct, restrict, object, erase; with the portal's key.
    #[command(subcommand)]
    Subject(SubjectCommand),
    /// Hold what a law says must be kept of a person who may ask to be erased.
    #[command(subcommand)]
    Hold(HoldCommand),
    /// What has been spent of people's privacy, and what is left.
    Budget(BudgetArgs),
    /// Read, explain and verify the log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Register, list and revoke clients.
    #[command(subcommand)]
    Client(ClientCommand),
    /// Show and publish policies.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Tend the copies that survive a dead disk.
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Make the data and root folders again elsewhere, from a backup and the mirror of the root.
    #[command(
        after_help = "The gateway that shipped the backup must not serve any more: its mirror goes over to what is made."
    )]
    Restore(RestoreArgs),
    /// List keys and replace them, while everything else goes on.
    Rotate(RotateArgs),
    /// Check the files of a data folder that is not being served.
    Fsck(FsckArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_lists_the_exit_codes() {
        let help = Cli::command().render_help().to_string();
        assert!((0..=5).all(|code| help.contains(&format!("{code} "))), "{help}");
    }
}
