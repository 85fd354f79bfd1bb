//! `segment`.

use super::common::{For, Of};
use clap::Subcommand;

/// `segment`.
#[derive(Debug, Subcommand)]
pub enum SegmentCommand {
    /// Check an expression and show its canonical form.
    Check {
        /// The expression.
        expression: String,
        /// Of which dataset.
        #[command(flatten)]
        of: Of,
        /// For which use.
        #[command(flatten)]
        use_for: For,
    },
    /// Store a segment, or a new version of it.
    Create {
        /// Its name.
        name: String,
        /// The expression.
        expression: String,
        /// Words for people.
        #[arg(long, default_value = "", value_name = "TEXT")]
        display: String,
        /// Who could be in it at all; everyone if not given.
        #[arg(long, default_value = "", value_name = "EXPRESSION")]
        universe: String,
        /// Of which dataset.
        #[command(flatten)]
        of: Of,
        /// For which use.
        #[command(flatten)]
        use_for: For,
    },
    /// Archive a segment: it can't be asked about any more, and what refers to it stays as it is.
    Archive {
        /// Its name.
        name: String,
        /// Of which dataset.
        #[command(flatten)]
        of: Of,
        /// For which use.
        #[command(flatten)]
        use_for: For,
    },
    /// List stored segments.
    List {
        /// Archived ones too.
        #[arg(long)]
        all: bool,
        /// Of which dataset.
        #[command(flatten)]
        of: Of,
        /// For which use.
        #[command(flatten)]
        use_for: For,
    },
}
