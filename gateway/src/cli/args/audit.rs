//! `audit`.

use clap::{Subcommand, ValueEnum};

/// A tree of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tree {
    /// Decisions, charges, policies, tokens, keys, reads of the log.
    Access,
    /// Consent and rights requests.
    Subject,
}

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Decided {
    /// Permitted.
    Permit,
    /// Refused.
    Refuse,
}

/// `audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Who did what, for which purpose, and how it was decided.
    Search {
        /// Which tree.
        #[arg(long, value_enum, default_value_t = Tree::Access)]
        tree: Tree,
        /// By client.
        #[arg(long, value_name = "NAME")]
        client: Option<String>,
        /// By dataset.
        #[arg(long, short, value_name = "NAME")]
        dataset: Option<String>,
        /// By subject key; "-" reads it from standard input.
        #[arg(long, value_name = "KEY", requires = "dataset")]
        subject: Option<String>,
        /// Of which kind the subject key is: the name of one of the dataset's identities.
        #[arg(long, default_value = "", hide_default_value = true, value_name = "KIND", requires = "subject")]
        identity: String,
        /// By purpose.
        #[arg(long, value_name = "PURPOSE")]
        purpose: Option<String>,
        /// By decision.
        #[arg(long, value_enum)]
        decision: Option<Decided>,
        /// Not before, as 2026-01-01T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Before, likewise.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Most leaves to show.
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: u32,
    },
    /// Say in plain words what one leaf records.
    Explain {
        /// Its index.
        index: u64,
        /// In which tree.
        #[arg(long, value_enum, default_value_t = Tree::Access)]
        tree: Tree,
    },
    /// Print the newest signed checkpoint of a tree.
    Checkpoint {
        /// Which tree.
        #[arg(long, value_enum, default_value_t = Tree::Access)]
        tree: Tree,
    },
    /// Print the log's verifier key: publish it where people trust it, so that they can check receipts.
    Key {
        /// Of which tree; one key serves both.
        #[arg(long, value_enum, default_value_t = Tree::Subject)]
        tree: Tree,
    },
    /// Print a proof that a leaf is in a tree, and check it.
    Proof {
        /// Its index.
        index: u64,
        /// In which tree.
        #[arg(long, value_enum, default_value_t = Tree::Access)]
        tree: Tree,
    },
    /// Read both trees whole and check every leaf against the signed checkpoints.
    Verify {
        /// The log's verifier key, from somewhere you trust; asked from the gateway if not given.
        #[arg(long, value_name = "KEY")]
        verifier_key: Option<String>,
    },
}
