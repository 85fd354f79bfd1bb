//! Durable ingest as a producer has it: batches streamed over gRPC to a gateway on loopback, each acknowledged after its
//! sync. Client and gateway share the machine and its processors.

use crate::Options;
use crate::stopwatch::{Since, memory, processor};
use gateway::config::Config;
use harness::gate::{Caller, Gate, START};
use harness::shop;
use proto::v1;
use proto::v1::catalog_service_client::CatalogServiceClient;
use proto::v1::ingest_service_client::IngestServiceClient;
use proto::v1::stream_records_request::Message;
use std::error::Error;
use std::path::Path;

/// What everyone consents to.
pub(crate) const PURPOSE: &str = "marketing.segmentation";

/// Rows of a message: about 300 KiB.
const BATCH_ROWS: u32 = 4_000;

/// Streams profiles of new subjects, then events and a consent of each, and prints rows a second.
pub(crate) fn run(options: &Options, subjects: u32) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(options.threads).enable_all().build()?;
    let (threads, folder) = (options.threads, options.folder.clone());
    runtime.block_on(async {
        let gate = Gate::start_with(|config| {
            config.scan_threads = threads;
            if let Some(folder) = folder {
                *config = self::config(&folder, threads);
            }
        });
        let gate = gate.await;
        let dataset = create(&gate, options).await?;
        let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
        let Options { fields, values, events, .. } = *options;
        println!("ingest: {subjects} subjects of {fields} fields, {events} events each, batches of {BATCH_ROWS} rows");
        let profiles = batches(subjects, move |from, to| v1::RecordBatch {
            sequence: u64::from(from),
            profiles: (from..to).map(|n| profile(n, fields, values)).collect(),
            ..Default::default()
        });
        measure("profiles", subjects, &producer, header(&dataset, fields), profiles).await?;
        let all = subjects.saturating_mul(events);
        let rows = batches(all, move |from, to| v1::RecordBatch {
            sequence: u64::from(from),
            events: (from..to).map(|n| event(n, subjects)).collect(),
            ..Default::default()
        });
        measure("events", all, &producer, header(&dataset, fields), rows).await?;
        let rows = batches(subjects, |from, to| v1::RecordBatch {
            sequence: u64::from(from),
            consents: (from..to).map(|n| shop::consent(&name(n), PURPOSE)).collect(),
            ..Default::default()
        });
        measure("consents", subjects, &producer, header(&dataset, fields), rows).await?;
        let start = Since::now();
        shop::close_epoch(&gate).await;
        println!("  close of the epoch    {:8.0} ms", start.millis());
        let (resident, peak) = memory();
        println!(
            "  memory                {resident} MiB resident, {peak} MiB at most, client and unfolded rows included"
        );
        gate.stop().await;
        Ok(())
    })
}

/// Returns the settings of a gateway whose folders lie in `folder`.
pub(crate) fn config(folder: &Path, threads: usize) -> Config {
    Config { scan_threads: threads, ..Config::ephemeral(folder) }
}

/// Opens a folder that an ingest left, and prints how long that takes and how much memory is resident then.
pub(crate) fn open(folder: &Path, threads: usize) -> Result<(), Box<dyn Error>> {
    let config = crate::ingest::config(folder, threads).vault()?;
    let start = Since::now();
    let vault = vault::Vault::open(&config, START)?;
    let (took, (resident, peak)) = (start.millis(), memory());
    println!("open: {took:.0} ms, {resident} MiB resident, {peak} MiB at most");
    Ok(vault.close(START)?)
}

/// Writes the dataset's description.
pub(crate) fn description(options: &Options) -> String {
    let domain: Vec<String> = (1..=options.values).map(|value| format!("\"v{value}\"")).collect();
    let field = |n: u16| {
        let domain = domain.join(", ");
        format!("[[attributes]]\nname = \"c{n}\"\nclass = \"behavioral\"\ntype = \"enum\"\ndomain = [{domain}]\n")
    };
    let fields: String = (1..=options.fields).map(field).collect();
    format!(
        "version = 1\ndataset = \"shop\"\norganization = \"farm\"\nkind = \"test\"\ntime_zone = \"UTC\"\nsubject_key = \
         \"customer\"\npurposes = [\"marketing.segmentation\"]\n[[attributes]]\nname = \"customer\"\nclass = \
         \"identifier\"\ntype = \"identifier\"\nmax_bytes = 64\n{fields}[[events]]\nname = \"order\"\nmax_per_subject = \
         100\n[[events.fields]]\nname = \"category\"\nclass = \"behavioral\"\ntype = \"enum\"\ndomain = [\"a\", \
         \"b\"]\nmax_distinct = 2\n[[events.fields]]\nname = \"amount\"\nclass = \"behavioral\"\ntype = \
         \"decimal\"\nscale = 2\nmin = \"0\"\nmax = \"1000\"\n"
    )
}

async fn create(gate: &Gate, options: &Options) -> Result<v1::Dataset, Box<dyn Error>> {
    let schema_toml = description(options);
    let request = v1::CreateDatasetRequest { schema_toml, validate_only: false, request_id: String::new() };
    let steward = gate.steward().await;
    let answer = CatalogServiceClient::new(steward.line()).create_dataset(request).await?.into_inner();
    Ok(answer.dataset.ok_or("the gateway returned no dataset")?)
}

fn header(dataset: &v1::Dataset, fields: u16) -> v1::StreamRecordsRequest {
    let header = v1::IngestHeader {
        dataset: dataset.name.clone(),
        schema_hash: dataset.schema_hash.clone(),
        attributes: (1..=fields).map(|n| format!("c{n}")).collect(),
        events: vec![v1::EventLayout { event: "order".into(), fields: vec!["category".into(), "amount".into()] }],
        identity: String::new(),
    };
    v1::StreamRecordsRequest { message: Some(Message::Header(header)) }
}

async fn measure(
    name: &str,
    rows: u32,
    producer: &Caller,
    header: v1::StreamRecordsRequest,
    batches: impl Iterator<Item = v1::RecordBatch> + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    let messages = std::iter::once(header).chain(batches.map(shop::message));
    let (before, start) = (processor(), Since::now());
    let mut client = IngestServiceClient::new(producer.line());
    let mut answers = client.stream_records(tokio_stream::iter(messages)).await?.into_inner();
    let mut written = 0;
    while let Some(answer) = answers.message().await? {
        written += answer.profiles + answer.events + answer.consents;
    }
    let (took, used) = (start.millis(), processor() - before);
    if written != u64::from(rows) {
        return Err(format!("{written} of {rows} rows acknowledged").into());
    }
    let rate = f64::from(rows) / took * 1_000.0;
    println!("  {name:<21} {rate:10.0} rows/s, {took:.0} ms, {used} ms of processor time, client included");
    Ok(())
}

fn batches(
    rows: u32,
    make: impl Fn(u32, u32) -> v1::RecordBatch + Send + 'static,
) -> impl Iterator<Item = v1::RecordBatch> + Send + 'static {
    let starts = (0..rows).step_by(BATCH_ROWS as usize);
    starts.map(move |from| make(from, from.saturating_add(BATCH_ROWS).min(rows)))
}

/// Returns a subject's key.
pub(crate) fn name(n: u32) -> String {
    format!("customer-{n:08}")
}

fn profile(n: u32, fields: u16, values: u8) -> v1::Profile {
    let code = |field: u16| shop::code(1 + n.wrapping_mul(2_654_435_761).rotate_left(field.into()) % u32::from(values));
    v1::Profile { subject: name(n), values: (0..fields).map(code).collect() }
}

/// Events come in the order of their time, so neighbors are of different people.
fn event(n: u32, subjects: u32) -> v1::Event {
    v1::Event {
        subject: name(n.wrapping_mul(2_654_435_761) % subjects),
        layout: 0,
        id: u64::from(n),
        at_micros: START.0 - 86_400_000_000 + i64::from(n),
        values: vec![shop::code(1 + n % 2), shop::number(i64::from(n % 1_000))],
    }
}
