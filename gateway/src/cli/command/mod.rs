//! One function for each command: words in, one result out.

mod ask;
pub(super) mod audience;
pub(super) mod audit;
mod backup;
mod bound;
mod budget;
mod consent;
mod cuts;
mod groups;
mod hold;
pub(super) mod import;
pub(super) mod insight;
mod keys;
pub(super) mod local;
mod numbers;
mod profile;
pub(super) mod schema;
mod segment;
pub(super) mod steward;
pub(super) mod subject;
mod synopsis;

use super::args::{BackupCommand, Basis, Cli, Command, For, Global, Spending, Who};
use super::error::{CliError, Exit};
use super::keyfile::KeyFile;
use super::out::{Out, Shown};
use super::session::Session;
use proto::v1::{LawfulBasis, SegmentSource, Spend, Use, segment_source, spend};
use std::path::Path;

/// What every command knows.
#[derive(Debug)]
pub struct Context {
    global: Global,
    out: Out,
}

impl Context {
    /// Connects as the client of the key file.
    pub async fn session(&self) -> Result<Session, CliError> {
        self.session_as(&self.global.key).await
    }

    /// Connects as the client of another key file.
    pub async fn session_as(&self, key: &Path) -> Result<Session, CliError> {
        let mut file = KeyFile::read(key)?;
        if let Some(gateway) = &self.global.gateway {
            file.gateway.clone_from(gateway);
        }
        if let Some(ca) = &self.global.ca {
            file.ca = Some(ca.clone());
        }
        Session::open(file).await
    }
}

/// Runs one command.
pub async fn run(cli: Cli, out: Out) -> Result<Exit, CliError> {
    let Cli { global, command } = cli;
    let context = Context { global, out };
    let shown = match command {
        Command::Demo(args) => return super::demo::run(&args, out).await,
        Command::Serve(args) => return local::serve(args, out).await,
        Command::Import(args) => return import::import(args, &context).await,
        Command::Generate(args) => return import::generate(args, &context).await,
        Command::Init(args) => local::init(&args)?,
        Command::Fsck(args) => return local::fsck(&args, out),
        Command::Rotate(args) if args.is_local() => local::relock(&args)?,
        Command::Schema(command) => schema::run(command, &context).await?,
        Command::Backup(BackupCommand::ForgetMirror { config }) => backup::forget_mirror(config.as_deref())?,
        Command::Restore(args) => backup::restore(&args)?,
        other => remote(other, &context, &context.session().await?).await?,
    };
    out.show(&shown).map(|()| Exit::Done)
}

/// Commands that only ask the gateway.
async fn remote(command: Command, context: &Context, session: &Session) -> Result<Shown, CliError> {
    match command {
        Command::Status => steward::status(session).await,
        Command::Epoch(command) => steward::epoch(command, session).await,
        Command::Segment(command) => segment::run(command, session, context.out.canvas()).await,
        Command::Size(args) => ask::size(args.question, session, context.out.canvas()).await,
        Command::Breakdown(args) => ask::breakdown(args, session, context.out.canvas()).await,
        Command::Portrait(args) if args.whole.whole => profile::whole(args, session, context.out.canvas()).await,
        Command::Portrait(args) => ask::portrait(args, session, context.out.canvas()).await,
        Command::Synopsis(args) => synopsis::run(args, session).await,
        Command::Compare(args) => insight::compare(args, session, context.out.canvas()).await,
        Command::Funnel(args) => insight::funnel(args, session, context.out.canvas()).await,
        Command::Trend(args) => insight::trend(args, session, context.out.canvas()).await,
        Command::Retention(args) => insight::retention(args, session, context.out.canvas()).await,
        Command::Overlap(args) => groups::overlap(args, session, context.out.canvas()).await,
        Command::Bands(args) => groups::bands(args, session, context.out.canvas()).await,
        Command::Top(args) => groups::top(args, session, context.out.canvas()).await,
        Command::Table(args) => insight::table(args, session, context.out.canvas()).await,
        Command::Bound(args) => bound::run(args, session, context.out.canvas()).await,
        Command::Cuts(command) => cuts::run(command, session, context.out.canvas()).await,
        Command::Distribution(args) => numbers::distribution(args, session, context.out.canvas()).await,
        Command::Mean(args) => numbers::mean(args, session, context.out.canvas()).await,
        Command::Audience(args) => audience::deliver(args, session, context.out.canvas()).await,
        Command::Consent(command) => consent::run(command, session).await,
        Command::Subject(command) => subject::run(command, session, context.out.canvas()).await,
        Command::Hold(command) => hold::run(command, session, context.out.canvas()).await,
        Command::Budget(args) => budget::run(args, session, context.out.canvas()).await,
        Command::Audit(command) => audit::run(command, session, context.out.canvas()).await,
        Command::Client(command) => steward::client(command, session, &context.global, context.out.canvas()).await,
        Command::Policy(command) => steward::policy(command, session).await,
        Command::Rotate(args) => keys::rotate(args, session, context.out).await,
        Command::Backup(BackupCommand::Status) => backup::status(session).await,
        Command::Backup(BackupCommand::Now) => backup::now(session).await,
        Command::Demo(_)
        | Command::Init(_)
        | Command::Serve(_)
        | Command::Import(_)
        | Command::Generate(_)
        | Command::Schema(_)
        | Command::Backup(BackupCommand::ForgetMirror { .. })
        | Command::Restore(_)
        | Command::Fsck(_) => Err(CliError::failed("not a question to the gateway")),
    }
}

/// Builds the use of a call; `purpose` is what the kind of question is usually for.
fn use_of(wanted: &For, purpose: &str) -> Use {
    let purpose = wanted.purpose.clone().unwrap_or_else(|| purpose.to_owned());
    Use { purpose, basis: basis(wanted.basis).into() }
}

fn basis(basis: Basis) -> LawfulBasis {
    match basis {
        Basis::Consent => LawfulBasis::Consent,
        Basis::Contract => LawfulBasis::Contract,
        Basis::LegitimateInterest => LawfulBasis::LegitimateInterest,
    }
}

fn segment_of(who: &Who, dataset: &str) -> Option<SegmentSource> {
    let stored = who.segment.as_ref().map(|name| segment_source::Source::Name(segment_name(dataset, name)));
    let written = || who.expression.clone().map(segment_source::Source::Cel);
    stored.or_else(written).map(|source| SegmentSource { source: Some(source) })
}

fn spend_of(spending: &Spending) -> Option<Spend> {
    let rho = spending.rho.clone().map(spend::Spend::Rho);
    let within = || spending.within.map(spend::Spend::HalfWidth);
    rho.or_else(within).map(|spend| Spend { spend: Some(spend) })
}

fn dataset_name(dataset: &str) -> String {
    if dataset.starts_with("datasets/") { dataset.to_owned() } else { format!("datasets/{dataset}") }
}

fn segment_name(dataset: &str, segment: &str) -> String {
    if segment.starts_with("datasets/") {
        segment.to_owned()
    } else {
        format!("{}/segments/{segment}", dataset_name(dataset))
    }
}

fn client_name(client: &str) -> String {
    if client.is_empty() || client.starts_with("clients/") { client.to_owned() } else { format!("clients/{client}") }
}

/// The last part of a resource name.
fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
