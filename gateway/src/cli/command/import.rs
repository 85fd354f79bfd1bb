//! `import` and `generate`: stream data in, with a bar that shows how far it is.

use super::{Context, dataset_name, schema};
use crate::cli::answer::parse_instant;
use crate::cli::args::{GenerateArgs, ImportArgs};
use crate::cli::error::{CliError, Exit};
use crate::cli::feed::{Rejected, Sent, feed};
use crate::cli::generate::{Generator, SCHEMA, Settings, write_files};
use crate::cli::import::{Batch, FileReport, ImportError, Importer, QuarantineReport, summary as rows};
use crate::cli::out::{Out, Shown};
use crate::cli::session::Session;
use crate::clock::Clock;
use crate::wire;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use policy::schema::Schema;
use policy::time::Timestamp;
use proto::v1::GetDatasetRequest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// Rows of one step.
const STEP_ROWS: usize = 8192;
/// Steps read ahead of the network.
const STEPS_AHEAD: usize = 2;
/// Invented consumers of one step.
const STEP_CONSUMERS: usize = 500;
/// Rejected rows that are shown.
const SHOWN: usize = 10;

/// Imports CSV files.
pub async fn import(args: ImportArgs, context: &Context) -> Result<Exit, CliError> {
    let ImportArgs { mapping, source, schema: schema_file, dry_run, create_as, quarantine } = args;
    let schema_file = schema_file.unwrap_or_else(|| mapping.with_file_name("schema.toml"));
    let (text, schema) = schema::read(&schema_file)?;
    let mapping = schema::read_mapping(&mapping, &schema)?;
    for warning in mapping.warnings() {
        context.out.say(&format!("warning: {warning}\n"))?;
    }
    let importer = Importer::new(mapping, &source).map_err(|problem| CliError::failed(problem.to_string()))?;
    let bar = progress_bar(importer.progress().1, context.out);
    let (sender, mut batches) = mpsc::channel(STEPS_AHEAD);
    let reading = read_files(importer, quarantine.clone(), sender, bar.clone());
    let sent = if dry_run {
        while batches.recv().await.is_some() {}
        Ok(None)
    } else {
        send(&text, &schema, create_as.as_deref(), context, &mut batches).await.map(Some)
    };
    drop(batches);
    let reports = reading.await.map_err(|_| CliError::failed("reading the files stopped"))?;
    bar.finish_and_clear();
    // What the gateway says comes first: reading also stops when nobody takes what is read.
    let sent = sent?;
    let reports = reports.map_err(|problem| CliError::failed(problem.to_string()))?;
    let rejected = sent.as_ref().map_or(0, |sent| sent.rejected.len());
    context.out.show(&summary(&reports, sent.as_ref(), &quarantine))?;
    Ok(if rejected == 0 { Exit::Done } else { Exit::Failed })
}

async fn send(
    text: &str,
    schema: &Schema,
    create_as: Option<&Path>,
    context: &Context,
    batches: &mut mpsc::Receiver<Batch>,
) -> Result<Sent, CliError> {
    let session = context.session().await?;
    let hash = schema_hash(text, schema, create_as, context, &session).await?;
    feed(&session, schema, hash, batches).await
}

/// Returns the hash of the schema that is encoded with, which ingest names: of any version the dataset had. A steward
/// creates the dataset first if it is not there.
async fn schema_hash(
    text: &str,
    schema: &Schema,
    create_as: Option<&Path>,
    context: &Context,
    session: &Session,
) -> Result<Vec<u8>, CliError> {
    let name = dataset_name(schema.dataset.as_str());
    let request = session.request(GetDatasetRequest { name: name.clone(), r#use: None }).await?;
    match (session.catalog().get_dataset(request).await, create_as) {
        (Ok(_), _) => Ok(wire::schema::hash(schema)),
        (Err(_), Some(key)) => {
            let steward = context.session_as(key).await?;
            Ok(super::schema::create_dataset(text.to_owned(), &steward).await?.schema_hash)
        }
        (Err(status), None) => {
            let how = format!("create {name} first: `silhouette schema create`, or --create-as");
            Err(CliError::from(status).hint(how))
        }
    }
}

/// Reads on a thread of its own, since files and parsing block.
fn read_files(
    mut importer: Importer,
    quarantine: PathBuf,
    batches: mpsc::Sender<Batch>,
    bar: ProgressBar,
) -> tokio::task::JoinHandle<Result<Vec<FileReport>, ImportError>> {
    tokio::task::spawn_blocking(move || {
        let mut report = QuarantineReport::create(&quarantine)?;
        while let Some(step) = importer.step(STEP_ROWS)? {
            report.add(&step.quarantined)?;
            bar.set_position(importer.progress().0);
            if batches.blocking_send(step.batch).is_err() {
                break;
            }
        }
        report.finish()?;
        Ok(importer.reports().to_vec())
    })
}

/// Makes a bar on standard error; nothing where that is no terminal.
pub fn progress_bar(length: u64, out: Out) -> ProgressBar {
    let target = if out.is_json() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let template = "  {bar:32.cyan/dim} {percent:>3} %  {elapsed} gone, {eta} to go";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(length), target).with_style(style.progress_chars("█▉▊▋▌▍▎▏ "))
}

fn summary(reports: &[FileReport], sent: Option<&Sent>, quarantine: &Path) -> Shown {
    let mut words = rows(reports);
    let quarantined: u64 = reports.iter().map(|report| report.quarantined).sum();
    if quarantined > 0 {
        words.push_str(&format!("{quarantined} rows do not fit; {} says why.\n", quarantine.display()));
    }
    let (said, sent) = sent.map_or_else(|| ("Nothing was sent.\n".to_owned(), Value::Null), sent_shown);
    words.push_str(&said);
    let files: Vec<Value> = reports.iter().map(report_json).collect();
    Shown::new(words, json!({ "files": files, "sent": sent }))
}

fn sent_shown(sent: &Sent) -> (String, Value) {
    let Sent { profiles, events, consents, rejected } = sent;
    let mut words = format!("Written: {profiles} profiles, {events} events, {consents} consents.\n");
    for Rejected { line, field, problem } in rejected.iter().take(SHOWN) {
        words.push_str(&format!("  the gateway did not take line {line}: {field}: {problem}\n"));
    }
    if rejected.len() > SHOWN {
        words.push_str(&format!("  and {} more\n", rejected.len() - SHOWN));
    }
    let row = |row: &Rejected| json!({ "line": row.line, "field": row.field, "problem": row.problem });
    let rejected = rejected.iter().map(row).collect::<Vec<_>>();
    (words, json!({ "profiles": profiles, "events": events, "consents": consents, "rejected": rejected }))
}

fn report_json(report: &FileReport) -> Value {
    let FileReport {
        file,
        read,
        accepted,
        quarantined,
        filtered,
        profiles,
        events,
        consents,
        conflicts,
        repeated_rows,
        by_type,
    } = report;
    json!({
        "file": file, "read": read, "accepted": accepted, "quarantined": quarantined, "filtered": filtered,
        "profiles": profiles, "events": events, "consents": consents, "conflicts": conflicts,
        "repeated_rows": repeated_rows, "by_type": by_type.iter().cloned().collect::<BTreeMap<String, u64>>(),
    })
}

/// Streams an invented co-operative in, or writes it as files.
pub async fn generate(args: GenerateArgs, context: &Context) -> Result<Exit, CliError> {
    let GenerateArgs { consumers, events, seed, as_of, create_as, out } = args;
    let as_of = match as_of {
        Some(text) => Timestamp::from_seconds(parse_instant(&text)?.seconds),
        None => Clock::system().now(),
    };
    let settings = Settings { seed, consumers: consumers.into(), events, as_of };
    if let Some(folder) = out {
        write_files(&settings, &folder).map_err(|problem| CliError::file(&folder, &problem))?;
        let words = format!(
            "Wrote the co-operative to {0}; import it with\n  silhouette import --mapping {0}/mapping.toml --source {0}\n",
            folder.display()
        );
        return context.out.show(&Shown::new(words, json!({ "folder": folder }))).map(|()| Exit::Done);
    }
    let session = context.session().await?;
    let schema = policy::schema::parse(SCHEMA).map_err(|problem| CliError::failed(problem.to_string()))?;
    let hash = schema_hash(SCHEMA, &schema, create_as.as_deref(), context, &session).await?;
    let bar = progress_bar(consumers.into(), context.out);
    let sent = stream(settings, None, &session, hash, &bar).await?;
    let (words, json) = sent_shown(&sent);
    context.out.show(&Shown::new(words, json))?;
    Ok(if sent.rejected.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Streams the co-operative in, invented on a thread of its own, and one more batch after it.
pub async fn stream(
    settings: Settings,
    last: Option<Batch>,
    session: &Session,
    schema_hash: Vec<u8>,
    bar: &ProgressBar,
) -> Result<Sent, CliError> {
    let mut generator = Generator::new(settings).map_err(|problem| CliError::failed(problem.to_string()))?;
    let schema = generator.schema().clone();
    let (sender, mut batches) = mpsc::channel(STEPS_AHEAD);
    let of_reader = bar.clone();
    let inventing = tokio::task::spawn_blocking(move || {
        while let Some(batch) = generator.step(STEP_CONSUMERS) {
            of_reader.inc(STEP_CONSUMERS as u64);
            if sender.blocking_send(batch).is_err() {
                return;
            }
        }
        let _the_gateway_says_why_it_takes_no_more = last.map(|last| sender.blocking_send(last));
    });
    let sent = feed(session, &schema, schema_hash, &mut batches).await;
    drop(batches);
    inventing.await.map_err(|_| CliError::failed("inventing the co-operative stopped"))?;
    bar.finish_and_clear();
    sent
}
