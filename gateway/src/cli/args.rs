//! The words of the command line. Help texts are the doc comments here.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

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

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Key file of the client to speak as.
    #[arg(
        long,
        global = true,
        env = "SILHOUETTE_KEY",
        value_name = "FILE",
        default_value = "silhouette-key.toml",
        hide_env_values = true
    )]
    pub key: PathBuf,
    /// Where the gateway is, if not where the key file says: http://127.0.0.1:7443.
    #[arg(long, global = true, env = "SILHOUETTE_GATEWAY", value_name = "URL")]
    pub gateway: Option<String>,
    /// Certificate to trust, in PEM, if not the one that the key file names.
    #[arg(long, global = true, env = "SILHOUETTE_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Print one JSON value, for programs.
    #[arg(long, global = true)]
    pub json: bool,
    /// No colors and nothing but ASCII in bars.
    #[arg(long, global = true)]
    pub plain: bool,
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
    /// Deliver a segment to a partner under its own pseudonyms.
    Audience(AudienceArgs),
    /// Record and withdraw consent.
    #[command(subcommand)]
    Consent(ConsentCommand),
    /// Answer a person: show what is held, correct, restrict, object, erase; with the portal's key.
    #[command(subcommand)]
    Subject(SubjectCommand),
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

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Stay up afterwards and say how to call it.
    #[arg(long)]
    pub serve: bool,
    /// Another co-operative: same size, other people.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// How many consumers to invent; events are 20 times as many.
    #[arg(long, default_value_t = 50_000, value_name = "N")]
    pub consumers: u32,
    /// Where to draw the portrait.
    #[arg(long, default_value = "silhouette-portrait.svg", value_name = "FILE")]
    pub svg: PathBuf,
}

/// `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Settings; without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to write the first steward's key file.
    #[arg(long, default_value = "silhouette-key.toml", value_name = "FILE")]
    pub out: PathBuf,
    /// Lock the root with the passphrase in this file: its disk alone then opens nothing.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Settings; without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The file with the passphrase of the root, if not the one that the settings name.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// `schema`.
#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// Draft a schema and a mapping from a CSV file, asking which lists are public.
    Infer {
        /// The CSV file.
        file: PathBuf,
        /// Name of the dataset.
        #[arg(long, value_name = "NAME")]
        dataset: String,
        /// Folder for schema.toml and mapping.toml.
        #[arg(long, default_value = ".", value_name = "DIR")]
        out: PathBuf,
        /// Ask nothing: no list is taken to be public.
        #[arg(long)]
        yes: bool,
    },
    /// Check a schema file, and a mapping if one is given, without a gateway.
    Check {
        /// The schema.
        file: PathBuf,
        /// A mapping for it.
        #[arg(long, value_name = "FILE")]
        mapping: Option<PathBuf>,
    },
    /// Create a dataset from a schema file.
    Create {
        /// The schema.
        file: PathBuf,
    },
    /// Publish a new version of a dataset's schema, and say what it changes. A version only adds; deprecate what is not
    /// wanted any more.
    Apply {
        /// The whole schema.
        file: PathBuf,
        /// Say what it would change, and publish nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show a dataset's fields and what may be asked of them.
    Show {
        /// Which dataset; all if none is named.
        #[arg(env = "SILHOUETTE_DATASET")]
        dataset: Option<String>,
        /// For which purpose; says what may leave.
        #[arg(long)]
        purpose: Option<String>,
        /// On which lawful basis.
        #[arg(long, value_enum, default_value_t = Basis::Consent)]
        basis: Basis,
    },
}

/// `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// How the files feed the dataset.
    #[arg(long, value_name = "FILE")]
    pub mapping: PathBuf,
    /// Folder of the CSV files.
    #[arg(long, value_name = "DIR")]
    pub source: PathBuf,
    /// The dataset's schema; schema.toml beside the mapping if not given.
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    /// Read and check everything, send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Key file of a steward, who creates the dataset from the schema first if it is not there.
    #[arg(long, value_name = "FILE")]
    pub create_as: Option<PathBuf>,
    /// Where to write the rows that do not fit: file, line, column, reason, never a value.
    #[arg(long, default_value = "quarantine.csv", value_name = "FILE")]
    pub quarantine: PathBuf,
}

/// `generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// How many consumers.
    #[arg(long, default_value_t = 50_000, value_name = "N")]
    pub consumers: u32,
    /// How many events.
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    pub events: u64,
    /// Same seed and instant, same co-operative.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// The instant before which everything happens, as 2026-03-31T00:00:00Z; now if not given.
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<String>,
    /// Key file of a steward, who creates the dataset first if it is not there.
    #[arg(long, value_name = "FILE")]
    pub create_as: Option<PathBuf>,
    /// Write CSV files with their schema and mapping here instead of streaming to the gateway.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `epoch`.
#[derive(Debug, Subcommand)]
pub enum EpochCommand {
    /// Close the open epoch now.
    Close {
        /// Which dataset.
        #[command(flatten)]
        of: Of,
        /// Where windows of time end, as 2026-03-31T00:00:00Z; now if not given.
        #[arg(long, value_name = "TIME")]
        as_of: Option<String>,
    },
    /// Show the last closed epoch of each dataset.
    Show,
}

/// Which dataset.
#[derive(Debug, Clone, Args)]
pub struct Of {
    /// Which dataset.
    #[arg(long, short, env = "SILHOUETTE_DATASET", value_name = "NAME")]
    pub dataset: String,
}

/// For which use.
#[derive(Debug, Clone, Args)]
pub struct For {
    /// For which purpose.
    #[arg(long, value_name = "PURPOSE")]
    pub purpose: Option<String>,
    /// On which lawful basis.
    #[arg(long, value_enum, default_value_t = Basis::Consent)]
    pub basis: Basis,
}

/// A lawful basis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Basis {
    /// They agreed.
    Consent,
    /// A contract with them needs it.
    Contract,
    /// A legitimate interest they have not objected to.
    LegitimateInterest,
}

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
    /// List stored segments.
    List {
        /// Of which dataset.
        #[command(flatten)]
        of: Of,
        /// For which use.
        #[command(flatten)]
        use_for: For,
    },
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
    /// For which purpose, and all under it.
    #[arg(long, value_name = "PURPOSE")]
    pub purpose: String,
    /// Of which dataset.
    #[command(flatten)]
    pub of: Of,
    /// Where it was said: a public label.
    #[arg(long, default_value = "command-line", value_name = "LABEL")]
    pub source: String,
}

/// `subject`.
#[derive(Debug, Subcommand)]
pub enum SubjectCommand {
    /// Write all that is held about a person: JSON for programs and a page to read and print.
    Access {
        /// Whose.
        #[command(flatten)]
        whose: Whose,
        /// Folder for access-package.json and access-package.html, readable by you alone.
        #[arg(long, default_value = ".", value_name = "DIR")]
        out: PathBuf,
        /// Write it as CSV tables too, with the mapping that imports them elsewhere.
        #[arg(long)]
        tables: bool,
    },
    /// Correct facts about a person.
    Correct(CorrectArgs),
    /// Restrict the use of a person's data: it is kept, and used for nothing.
    Restrict {
        /// Whose.
        #[command(flatten)]
        whose: Whose,
    },
    /// Lift a restriction.
    Unrestrict {
        /// Whose.
        #[command(flatten)]
        whose: Whose,
    },
    /// Record that a person objects to a purpose and all under it, on every basis.
    Object {
        /// Whose.
        #[command(flatten)]
        whose: Whose,
        /// To which purpose.
        #[arg(long, value_name = "PURPOSE")]
        purpose: String,
    },
    /// Erase people, all or none, so that no older copy of the data folder can be read for them either.
    Erase(EraseArgs),
    /// Show who used a person's data, and for what.
    Uses {
        /// Whose.
        #[command(flatten)]
        whose: Whose,
    },
    /// Write a person's consent receipts, each with the proof that the log has it.
    Receipts {
        /// Whose.
        #[command(flatten)]
        whose: Whose,
        /// Where to write them, readable by you alone.
        #[arg(long, default_value = "consent-receipts.json", value_name = "FILE")]
        out: PathBuf,
        /// The log's verifier key, from somewhere you trust; the one that the gateway sends if not given.
        #[arg(long, value_name = "KEY")]
        verifier_key: Option<String>,
    },
}

/// Whose request it is.
#[derive(Debug, Clone, Args)]
pub struct Whose {
    /// Subject key. Seen by everyone on this machine and kept in the shell's history: rather leave it out, and it is asked
    /// for, or read from standard input.
    #[arg(long, value_name = "KEY", conflicts_with = "subject_file")]
    pub subject: Option<String>,
    /// File with the subject key; for an erasure one a line.
    #[arg(long, value_name = "FILE")]
    pub subject_file: Option<PathBuf>,
    /// Of which dataset.
    #[command(flatten)]
    pub of: Of,
}

/// `subject correct`.
#[derive(Debug, Args)]
pub struct CorrectArgs {
    /// Whose.
    #[command(flatten)]
    pub whose: Whose,
    /// File of corrections, FIELD=VALUE a line as the access package writes it; a field alone is emptied.
    #[arg(long, value_name = "FILE")]
    pub values: Option<PathBuf>,
    /// One correction; seen by everyone on this machine and kept in the shell's history. May be given several times.
    #[arg(long, value_name = "FIELD=VALUE")]
    pub set: Vec<String>,
    /// A field to empty. May be given several times.
    #[arg(long, value_name = "FIELD")]
    pub empty: Vec<String>,
}

/// `subject erase`.
#[derive(Debug, Args)]
pub struct EraseArgs {
    /// Whom.
    #[command(flatten)]
    pub whose: Whose,
    /// Where to write the receipt; it names nobody.
    #[arg(long, default_value = "erasure-receipt.json", value_name = "FILE")]
    pub out: PathBuf,
    /// The log's verifier key, from somewhere you trust; the one that the gateway sends if not given.
    #[arg(long, value_name = "KEY")]
    pub verifier_key: Option<String>,
    /// Ask nothing: it is meant.
    #[arg(long)]
    pub yes: bool,
}

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

/// `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Show the policies in force.
    Show,
    /// Replace the policies, after showing who gains or loses what.
    Publish {
        /// A file of Cedar policies.
        file: PathBuf,
        /// Say what would change, and change nothing.
        #[arg(long)]
        preview: bool,
        /// Yes, some will see more than now.
        #[arg(long)]
        widen: bool,
    },
}

/// `backup`.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Say how far the backup target has followed.
    Status,
    /// Ship at once all that the backup target lacks, and wait for it.
    Now,
    /// Go on without a mirror whose disk is lost or destroyed. The gateway must not be serving; then name an empty folder as
    /// `mirror` for a new one. Until the old one is destroyed, it opens copies of the data folder of its time.
    ForgetMirror {
        /// Settings; without it the defaults hold.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup target. One that is older than what the mirror has seen is refused.
    #[arg(long, value_name = "FOLDER")]
    pub from: PathBuf,
    /// The mirror of the root; it goes on as the mirror of what is made.
    #[arg(long, value_name = "FOLDER")]
    pub mirror: PathBuf,
    /// Settings, which name the new data and root folders; without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// List the keys that exist, by kind and state, and replace none. This is also what happens if nothing is named.
    #[arg(long)]
    pub list: bool,
    /// Replace the keys of all data that is folded: it is sealed again, a few blocks at a time.
    #[arg(long)]
    pub pieces: bool,
    /// Replace the keys of what is not folded yet.
    #[arg(long)]
    pub journals: bool,
    /// Replace the root and every page of the key tree.
    #[arg(long)]
    pub root: bool,
    /// Replace the key that signs tokens: those issued before stay valid until they expire.
    #[arg(long)]
    pub tokens: bool,
    /// Replace the key that signs the log: the old one signs an entry that announces the new.
    #[arg(long)]
    pub log: bool,
    /// All of these. Not pseudonyms.
    #[arg(long)]
    pub all: bool,
    /// Replace the keys of partners' pseudonyms before their epoch ends: partners get other pseudonyms for the same people,
    /// which nobody can connect with those they hold.
    #[arg(long)]
    pub pseudonyms: bool,
    /// Lock the root with the passphrase in this file, in place of its lock so far. The gateway must be stopped.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_passphrase", "list", "pieces", "journals", "root", "tokens", "log", "all", "pseudonyms"])]
    pub passphrase_file: Option<PathBuf>,
    /// Take the passphrase from the root. The gateway must be stopped.
    #[arg(long, conflicts_with_all = ["list", "pieces", "journals", "root", "tokens", "log", "all", "pseudonyms"])]
    pub no_passphrase: bool,
    /// With a change of the passphrase: settings; without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl RotateArgs {
    /// Says whether it is about the passphrase, and so about folders of this machine.
    pub fn is_local(&self) -> bool {
        self.no_passphrase || self.passphrase_file.is_some()
    }
}

/// `fsck`.
#[derive(Debug, Args)]
pub struct FsckArgs {
    /// Settings; without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Say for every byte whether it is a documented header, sealed, or free.
    #[arg(long)]
    pub map: bool,
    /// First put damaged files back from the mirror and the backup that the settings name; only with the gateway stopped.
    #[arg(long)]
    pub repair: bool,
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
