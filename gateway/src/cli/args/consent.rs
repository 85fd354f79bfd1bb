//! `consent`.

use super::common::{Basis, Of};
use clap::{Args, Subcommand, ValueEnum};

/// `consent`.
#[derive(Debug, Subcommand)]
pub enum ConsentCommand {
    /// Record that a person agreed to a purpose.
    Give {
        /// What was agreed to.
        #[command(flatten)]
        about: About,
        /// On which lawful basis.
        #[arg(long, value_enum, default_value_t = Basis::Consent)]
        basis: Basis,
        /// When it ends, as 2027-01-01T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// The version of the notice that was shown; not said, it is the one in force.
        #[arg(long, default_value = "", value_name = "VERSION", hide_default_value = true)]
        notice: String,
        /// The language in which the person was asked: en, pt-BR.
        #[arg(long, default_value = "", value_name = "TAG", hide_default_value = true)]
        language: String,
    },
    /// Record that a person took consent back. Once this returns, nothing drawn uses that person for that purpose.
    Withdraw {
        /// What was taken back.
        #[command(flatten)]
        about: About,
    },
}

/// Whose consent, for what.
#[derive(Debug, Clone, Args)]
pub struct About {
    /// Whose: the subject key. Read from standard input if not given, so that it is in no shell history.
    #[arg(long, value_name = "KEY")]
    pub subject: Option<String>,
    /// Of which kind it is: the name of one of the dataset's identities; the subject key if not given.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "KIND")]
    pub identity: String,
    /// For which purpose, and all under it.
    #[arg(long, value_name = "PURPOSE")]
    pub purpose: String,
    /// Of which dataset.
    #[command(flatten)]
    pub of: Of,
    /// Where it was said: a public label.
    #[arg(long, default_value = "command-line", value_name = "LABEL")]
    pub source: String,
    /// How it was said.
    #[arg(long, value_enum)]
    pub method: Option<Method>,
}

/// How consent was collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Method {
    /// A form on a web page.
    WebForm,
    /// A screen of an application.
    App,
    /// A signed form on paper.
    Paper,
    /// A telephone call.
    Phone,
    /// Said to a person who was there.
    InPerson,
    /// Taken over from another system.
    Import,
    /// A page on which the person keeps its own choices.
    PreferenceCenter,
    /// A signal of the person's browser or device.
    Signal,
}
