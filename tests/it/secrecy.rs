//! A thousand random values are planted wherever a caller can put one, and then looked for in every file and every word
//! that the gateway, in a process of its own with all its tracing on, leaves behind.
//!
//! Not looked for: values in the names of a caller's own resources (clients, segments, purposes that parts were made of):
//! those are public words by their design, and the log names them.

use gateway::authn::ClientKey;
use gateway::cli::KeyFile;
use gateway::clock::Clock;
use harness::gate::Caller;
use harness::needles::{Needles, files, values};
use harness::shop;
use prost::Message as _;
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;
use proto::v1::audit_service_client::AuditServiceClient;
use proto::v1::catalog_service_client::CatalogServiceClient;
use proto::v1::consent_service_client::ConsentServiceClient;
use proto::v1::insight_service_client::InsightServiceClient;
use proto::v1::segment_service_client::SegmentServiceClient;
use proto::v1::stream_records_request::Message;
use proto::v1::token_service_client::TokenServiceClient;
use proto::v1::value::Kind;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use vault::fsck::Class;

const SEGMENTATION: &str = "marketing.segmentation";

/// Columns for values of any text, beside those of the shop.
const OPEN_COLUMNS: &str = r#"
[[events.fields]]
name = "note"
class = "identifier"
type = "identifier"
max_bytes = 64
display = "Note"

[[attributes]]
name = "email"
class = "identifier"
type = "identifier"
max_bytes = 64
display = "E-mail"
"#;

/// A gateway in a process of its own, which writes what it traces to a file.
struct Served {
    child: Child,
    folder: PathBuf,
    channel: Channel,
    grpc: String,
    admin: String,
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_silhouette-under-test"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    for variable in ["SILHOUETTE_KEY", "SILHOUETTE_GATEWAY", "SILHOUETTE_CA", "SILHOUETTE_DATASET"] {
        command.env_remove(variable);
    }
    command.env("RUST_LOG", "trace").env("SILHOUETTE_LOG", "debug").env("RUST_BACKTRACE", "full");
    command
}

impl Served {
    async fn start(folder: &Path, run: u32) -> Self {
        let trace = File::create(folder.join(format!("told/trace-{run}.log"))).unwrap();
        let mut command = command(folder, &["serve", "--json", "--config", "settings.toml"]);
        let mut child = command.stdout(Stdio::piped()).stderr(trace).spawn().unwrap();
        let mut text = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            text.push_str(&line.unwrap());
            if text.ends_with('}') {
                break;
            }
        }
        let bound: serde_json::Value = serde_json::from_str(&text).unwrap();
        let grpc = format!("http://{}", bound["grpc"].as_str().unwrap());
        let channel = Endpoint::from_shared(grpc.clone()).unwrap().connect().await.unwrap();
        let admin = bound["admin"].as_str().unwrap().to_owned();
        Self { child, folder: folder.to_owned(), channel, grpc, admin }
    }

    async fn sign_in(&self, client: &str, key: &ClientKey) -> Caller {
        let nobody = Caller::new(self.channel.clone(), None);
        let assertion = key.assertion(client, "silhouette", Clock::system().now()).unwrap();
        let request = v1::ExchangeRequest { assertion, purposes: Vec::new() };
        let answer = TokenServiceClient::new(nobody.line()).exchange(request).await.unwrap();
        nobody.with_token(&answer.into_inner().access_token)
    }

    async fn steward(&self) -> Caller {
        let key = KeyFile::read(&self.folder.join("silhouette-key.toml")).unwrap().key;
        self.sign_in("steward", &key).await
    }

    async fn client(&self, id: &str, role: v1::ClientRole, purposes: &[&str]) -> (Caller, ClientKey) {
        let key = ClientKey::generate().unwrap();
        let request = v1::CreateClientRequest {
            client_id: id.to_owned(),
            role: role.into(),
            partner: String::new(),
            purposes: purposes.iter().map(|purpose| (*purpose).to_owned()).collect(),
            public_key: key.public().to_vec(),
            request_id: String::new(),
        };
        AdminServiceClient::new(self.steward().await.line()).create_client(request).await.unwrap();
        (self.sign_in(id, &key).await, key)
    }

    async fn metrics(&self) -> String {
        let mut socket = tokio::net::TcpStream::connect(&self.admin).await.unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.admin);
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("silhouette_calls_total"), "{answer}");
        answer
    }

    /// Tells it to stop, as a service manager does.
    fn stop(mut self) {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _stopped_already = self.child.kill();
        let _reaped_already = self.child.wait();
    }
}

/// Everything that was said to callers.
#[derive(Default)]
struct Heard(Vec<u8>);

impl Heard {
    fn status(&mut self, status: &Status) {
        self.0.extend(status.message().as_bytes());
        self.0.extend(status.details());
        self.0.extend(format!("{:?}", status.metadata()).into_bytes());
    }

    /// Takes a call that must have been refused.
    fn refused<T: std::fmt::Debug>(&mut self, what: &str, outcome: Result<T, Status>) {
        match outcome {
            Ok(answer) => panic!("{what} was answered: {answer:?}"),
            Err(status) => self.status(&status),
        }
    }

    fn message(&mut self, message: &impl prost::Message) {
        self.0.extend(message.encode_to_vec());
    }
}

fn identifier(value: &str) -> v1::Value {
    v1::Value { kind: Some(Kind::Identifier(value.as_bytes().to_vec().into())) }
}

fn header(dataset: &v1::Dataset) -> v1::StreamRecordsRequest {
    let fields = vec!["category".into(), "amount".into(), "note".into()];
    let header = v1::IngestHeader {
        dataset: dataset.name.clone(),
        schema_hash: dataset.schema_hash.clone(),
        attributes: vec!["age_band".into(), "region".into(), "email".into()],
        events: vec![v1::EventLayout { event: "order".into(), fields }],
        identity: String::new(),
    };
    v1::StreamRecordsRequest { message: Some(Message::Header(header)) }
}

fn consent(subject: &str, purpose: &str, source: &str) -> v1::ConsentEvent {
    let at_micros = Clock::system().now().0 - 1_000_000;
    v1::ConsentEvent { source: source.to_owned(), at_micros, ..shop::consent(subject, purpose) }
}

fn order(subject: &str, values: Vec<v1::Value>) -> v1::Event {
    let at_micros = Clock::system().now().0 - 3_600_000_000;
    v1::Event { subject: subject.to_owned(), layout: 0, id: 1, at_micros, values }
}

/// Every value as a subject, as an identifier of a subject and of an event, and, if it is a label, as where a consent
/// came from.
fn good(values: &[String]) -> v1::RecordBatch {
    let other = |n: usize, by: usize| &values[(n + by) % values.len()];
    let label = |value: &String| value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let source = |n: usize| if label(other(n, 7)) { other(n, 7).as_str() } else { "checkout" };
    let people = || values.iter().enumerate();
    let code = |n: usize| shop::code(1 + u32::from(n.is_multiple_of(2)));
    v1::RecordBatch {
        sequence: 1,
        profiles: people()
            .map(|(n, subject)| v1::Profile {
                subject: subject.clone(),
                values: vec![code(n), code(n), identifier(other(n, 331))],
            })
            .collect(),
        events: people()
            .map(|(n, subject)| order(subject, vec![code(n), shop::number(5), identifier(other(n, 577))]))
            .collect(),
        consents: people().map(|(n, subject)| consent(subject, SEGMENTATION, source(n))).collect(),
    }
}

/// Every value where it does not fit.
fn bad(values: &[String]) -> v1::RecordBatch {
    let code = || shop::code(1);
    let (mut profiles, mut events, mut consents) = (Vec::new(), Vec::new(), Vec::new());
    for value in values {
        let profile = |subject: String, values: Vec<v1::Value>| v1::Profile { subject, values };
        profiles.push(profile(value.clone(), vec![identifier(value), code(), identifier(value)]));
        profiles.push(profile(value.repeat(30), vec![code(), code(), identifier(value)]));
        profiles.push(profile(value.clone(), vec![code(), code(), identifier(&value.repeat(9))]));
        profiles.push(profile(value.clone(), vec![identifier(value)]));
        events.push(order(value, vec![code(), identifier(value), identifier(value)]));
        events.push(order(value, vec![code(), shop::number(-7), identifier(value)]));
        consents.push(consent(value, value, "checkout"));
        consents.push(consent(&value.repeat(30), SEGMENTATION, value));
    }
    v1::RecordBatch { sequence: 2, profiles, events, consents }
}

async fn stream(producer: &Caller, messages: Vec<v1::StreamRecordsRequest>, heard: &mut Heard) {
    match shop::stream(producer, messages).await {
        Ok(answers) => answers.iter().for_each(|answer| heard.message(answer)),
        Err(status) => heard.status(&status),
    }
}

async fn ingest(producer: &Caller, dataset: &v1::Dataset, values: &[String], heard: &mut Heard) {
    let answers = shop::stream(producer, vec![header(dataset), shop::message(good(values))]).await.unwrap();
    assert_eq!(answers[0].rejected, []);
    assert_eq!((answers[0].profiles, answers[0].consents), (values.len() as u64, values.len() as u64));
    for some in values.chunks(100) {
        let batch = bad(some);
        let (rows, consents) =
            (batch.profiles.len() + batch.events.len() + batch.consents.len(), batch.consents.clone());
        let answers = shop::stream(producer, vec![header(dataset), shop::message(batch)]).await.unwrap();
        assert_eq!(answers[0].rejected.len(), rows);
        heard.message(&answers[0]);
        let request = v1::RecordConsentsRequest { dataset: shop::SHOP.into(), consents, ..Default::default() };
        heard.refused("a consent", ConsentServiceClient::new(producer.line()).record_consents(request).await);
    }
    // Values that break a whole stream.
    let mut layout = header(dataset);
    if let Some(Message::Header(header)) = &mut layout.message {
        header.attributes.push(values[0].clone());
    }
    stream(producer, vec![layout], heard).await;
    let source =
        v1::RecordBatch { consents: vec![consent(&values[0], SEGMENTATION, &values[4])], ..Default::default() };
    stream(producer, vec![header(dataset), shop::message(source)], heard).await;
    let purpose = v1::RecordBatch { consents: vec![consent(&values[0], &values[3], "till")], ..Default::default() };
    stream(producer, vec![header(dataset), shop::message(purpose)], heard).await;
}

/// Puts a value into one place of a call, another place for each number.
#[expect(clippy::too_many_lines, reason = "one arm for each place")]
async fn call(door: &Door, number: usize, value: &str, heard: &mut Heard) {
    let Door { insights, producer, officer, nobody } = door;
    let mut segments = SegmentServiceClient::new(insights.line());
    let size = |cel: &str| shop::size_of(cel);
    let validate =
        |cel: String| v1::ValidateSegmentRequest { dataset: shop::SHOP.into(), cel, r#use: shop::used(SEGMENTATION) };
    let create = |id: &str, cel: &str, display: &str| v1::CreateSegmentRequest {
        dataset: shop::SHOP.into(),
        segment_id: id.into(),
        cel: cel.into(),
        display: display.into(),
        r#use: shop::used(SEGMENTATION),
        ..Default::default()
    };
    let breakdown = |by: &str, window: &str| v1::BreakdownRequest {
        dataset: shop::SHOP.into(),
        by: vec![by.into()],
        window: Some(v1::Window { last: window.into(), until: String::new() }),
        r#use: shop::used(SEGMENTATION),
        ..Default::default()
    };
    let withdraw = |subject: &str, purpose: &str, source: &str| v1::WithdrawRequest {
        dataset: shop::SHOP.into(),
        subject: subject.into(),
        purpose: purpose.into(),
        source: source.into(),
        ..Default::default()
    };
    let named = |name: String| {
        let source = Some(v1::segment_source::Source::Name(name));
        v1::EstimateSizeRequest { segment: Some(v1::SegmentSource { source }), ..size("true") }
    };
    let search =
        |request: v1::SearchLogRequest| async { AuditServiceClient::new(officer.line()).search_log(request).await };
    let strange = format!("{value} \u{fc}");
    match number % 30 {
        0 => heard.refused("0", segments.estimate_size(size(&format!("region == \"{value}\""))).await),
        1 => heard.refused("1", segments.validate_segment(validate(format!("customer == \"{value}\""))).await),
        2 => heard.refused("2", segments.validate_segment(validate(format!("email in [\"{value}\"]"))).await),
        3 => heard.refused("3", segments.estimate_size(size(&format!("order.where(note == \"{value}\").any()"))).await),
        4 => heard.refused("4", segments.validate_segment(validate(value.to_owned())).await),
        5 => heard.refused("5", segments.validate_segment(validate(format!("\"{value}"))).await),
        6 => {
            let word = value.replace([' ', '@', '.', '-'], "_");
            for cel in [format!("{word} == 1"), format!("order.{word}() > 1"), format!("{word}.last(\"1d\").any()")] {
                heard.refused("6", segments.validate_segment(validate(cel)).await);
            }
            let cel = format!("order.last(\"{value}\").any() && region > \"{value}\"");
            heard.refused("6", segments.validate_segment(validate(cel)).await);
        }
        7 => heard.refused("7", segments.estimate_size(named(format!("{}/segments/{value}", shop::SHOP))).await),
        8 => heard.refused("8", segments.create_segment(create(&strange, "true", "")).await),
        9 => heard.refused("9", segments.create_segment(create("fine", "true", &value.repeat(20))).await),
        10 => {
            let request = v1::EstimateSizeRequest { request_id: value.into(), ..size("true") };
            heard.refused("10", segments.estimate_size(request).await);
        }
        11 => {
            let request = v1::EstimateSizeRequest { r#use: shop::used(value), ..size("true") };
            heard.refused("11", segments.estimate_size(request).await);
        }
        12 => {
            let request = v1::EstimateSizeRequest { spend: shop::rho(value), ..size("true") };
            heard.refused("12", segments.estimate_size(request).await);
        }
        13 => {
            let request = v1::EstimateSizeRequest { universe: format!("region == \"{value}\""), ..size("true") };
            heard.refused("13", segments.estimate_size(request).await);
        }
        14 => {
            let stranger = nobody.with_token(value);
            heard.refused("14", SegmentServiceClient::new(stranger.line()).estimate_size(size("true")).await);
            let stranger = nobody.with_token(&format!("{}.{value}", insights.token()));
            heard.refused("14", SegmentServiceClient::new(stranger.line()).estimate_size(size("true")).await);
        }
        15 => {
            let mut request = Request::new(size("nothing == 1"));
            request.metadata_mut().insert("x-note", value.parse().unwrap());
            request.metadata_mut().insert("grpc-timeout", value.parse().unwrap());
            let bytes = tonic::metadata::MetadataValue::from_bytes(value.as_bytes());
            request.metadata_mut().insert_bin("x-note-bin", bytes);
            heard.refused("15", segments.estimate_size(request).await);
        }
        16 => {
            let request = v1::ExchangeRequest { assertion: value.into(), purposes: vec![value.into()] };
            heard.refused("16", TokenServiceClient::new(nobody.line()).exchange(request).await);
        }
        17 => {
            let request = v1::GetDatasetRequest { name: format!("datasets/{value}"), ..Default::default() };
            heard.refused("17", CatalogServiceClient::new(insights.line()).get_dataset(request).await);
        }
        18 => heard.refused("18", InsightServiceClient::new(insights.line()).breakdown(breakdown(value, "")).await),
        19 => {
            let request = breakdown("region", value);
            heard.refused("19", InsightServiceClient::new(insights.line()).breakdown(request).await);
        }
        20 => {
            let request = withdraw(&strange, SEGMENTATION, "portal");
            heard.refused("20", ConsentServiceClient::new(producer.line()).withdraw(request).await);
        }
        21 => {
            let request = withdraw(value, &strange, "portal");
            heard.refused("21", ConsentServiceClient::new(producer.line()).withdraw(request).await);
        }
        22 => {
            let request = withdraw(value, SEGMENTATION, &strange);
            heard.refused("22", ConsentServiceClient::new(producer.line()).withdraw(request).await);
        }
        23 => {
            let request = withdraw(value, SEGMENTATION, "portal");
            heard.message(ConsentServiceClient::new(producer.line()).withdraw(request).await.unwrap().get_ref());
        }
        24 => {
            // Stored, sealed; what comes back is the caller's own.
            let id = format!("stored-{number}");
            segments.create_segment(create(&id, "region == \"north\"", value)).await.unwrap();
        }
        25 => {
            let of_subject = v1::SearchLogRequest {
                dataset: shop::SHOP.into(),
                subject: value.into(),
                tree: v1::LogTree::Subject.into(),
                ..Default::default()
            };
            heard.message(search(of_subject.clone()).await.unwrap().get_ref());
            heard.refused("25", search(v1::SearchLogRequest { subject: strange, ..of_subject }).await);
        }
        26 => {
            let request = v1::SearchLogRequest { client: format!("clients/{value}"), ..Default::default() };
            match search(request).await {
                Ok(answer) => heard.message(answer.get_ref()),
                Err(status) => heard.status(&status),
            }
            let request = v1::SearchLogRequest { page_token: value.into(), ..Default::default() };
            heard.refused("26", search(request).await);
        }
        27 => {
            let codec = tonic_prost::ProstCodec::<v1::GetStatusRequest, v1::GetStatusResponse>::default();
            let word = value.replace([' ', '@'], "-");
            for path in [format!("/{word}/{word}"), format!("/silhouette.v1.InsightService/{word}")] {
                let mut line = tonic::client::Grpc::new(insights.line());
                line.ready().await.unwrap();
                let request = Request::new(v1::GetStatusRequest {});
                heard.refused("27", line.unary(request, path.parse().unwrap(), codec.clone()).await);
            }
        }
        28 => {
            let request = v1::GetSegmentRequest {
                name: format!("{}/segments/{}", shop::SHOP, value.replace([' ', '@', '.'], "-").to_lowercase()),
                r#use: shop::used(SEGMENTATION),
            };
            heard.refused("28", segments.get_segment(request).await);
        }
        _ => {
            let request = v1::CreateClientRequest { client_id: strange, ..Default::default() };
            heard.refused("29", AdminServiceClient::new(insights.line()).create_client(request).await);
        }
    }
}

/// Callers with tokens, and one without.
struct Door {
    insights: Caller,
    producer: Caller,
    officer: Caller,
    nobody: Caller,
}

/// Reads all leaves of both trees as the officer sees them.
async fn leaves(officer: &Caller, heard: &mut Heard) -> usize {
    let mut count = 0;
    for tree in [v1::LogTree::Access, v1::LogTree::Subject] {
        let mut page_token = String::new();
        loop {
            let request =
                v1::SearchLogRequest { tree: tree.into(), page_size: 1_000, page_token, ..Default::default() };
            let page = AuditServiceClient::new(officer.line()).search_log(request).await.unwrap().into_inner();
            count += page.events.len();
            heard.message(&page);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
    }
    count
}

/// Imports files whose cells hold the values in all the wrong columns; what is said of it goes to the folder `told`.
fn import(folder: &Path, values: &[String], address: &str) {
    let made =
        command(folder, &["generate", "--consumers", "80", "--events", "900", "--out", "files"]).output().unwrap();
    assert!(made.status.success());
    for name in ["consumers.csv", "activity.csv", "consents.csv"] {
        let path = folder.join("files").join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        let mut changed = vec![lines.next().unwrap().to_owned()];
        for (row, line) in lines.enumerate() {
            let mut cells: Vec<&str> = line.split(',').collect();
            let column = 1 + row % (cells.len() - 1);
            cells[column] = &values[(row * 3) % values.len()];
            changed.push(cells.join(","));
        }
        std::fs::write(path, changed.join("\n")).unwrap();
    }
    let key = "silhouette-key.toml";
    let mut producer = command(folder, &["client", "create", "--name", "importer", "--role", "producer"]);
    let made = producer.env("SILHOUETTE_GATEWAY", address).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let arguments = [
        "import",
        "--mapping",
        "files/mapping.toml",
        "--source",
        "files",
        "--key",
        "importer-key.toml",
        "--create-as",
        key,
        "--quarantine",
        "told/quarantine.csv",
    ];
    let done = command(folder, &arguments).env("SILHOUETTE_GATEWAY", address).output().unwrap();
    std::fs::write(folder.join("told/import.out"), &done.stdout).unwrap();
    std::fs::write(folder.join("told/import.err"), &done.stderr).unwrap();
    let words = String::from_utf8_lossy(&done.stderr);
    let report = std::fs::read_to_string(folder.join("told/quarantine.csv")).unwrap();
    assert!(report.lines().count() > 300, "{words}\n{report}");
}

/// Says which values are in the data, the root or what was told.
fn search(needles: &Needles, folder: &Path, heard: &Heard) -> Vec<String> {
    let mut found: Vec<String> = needles.find(&heard.0).iter().map(|hit| format!("heard: {hit:?}")).collect();
    for place in ["silhouette-data", "silhouette-root", "told"] {
        let hits = needles.find_below(&folder.join(place));
        found.extend(hits.iter().map(|(file, number, form)| format!("{}: {number} {form}", file.display())));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_values_are_nowhere() {
    let home = TempDir::new().unwrap();
    let folder = home.path();
    std::fs::create_dir(folder.join("told")).unwrap();
    let settings = "grpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n";
    std::fs::write(folder.join("settings.toml"), settings).unwrap();
    assert!(command(folder, &["init", "--config", "settings.toml"]).status().unwrap().success());
    let values = values(1_000);
    let needles = Needles::new(&values);
    let mut heard = Heard::default();

    let mut served = Served::start(folder, 1).await;
    let schema_toml = format!("{}{OPEN_COLUMNS}", shop::SCHEMA);
    let request = v1::CreateDatasetRequest { schema_toml, validate_only: false, request_id: String::new() };
    let steward = served.steward().await;
    let made = CatalogServiceClient::new(steward.line()).create_dataset(request).await.unwrap();
    let dataset = made.into_inner().dataset.unwrap();
    let (producer, producer_key) = served.client("till", v1::ClientRole::Producer, &[]).await;
    let (insights, _) = served.client("insights", v1::ClientRole::Service, &["marketing"]).await;
    let (officer, officer_key) = served.client("officer", v1::ClientRole::Officer, &[]).await;
    let nobody = Caller::new(served.channel.clone(), None);
    let door = Door { insights, producer, officer, nobody };
    ingest(&door.producer, &dataset, &values, &mut heard).await;
    let close = v1::CloseEpochRequest { dataset: shop::SHOP.into(), as_of_time: None, request_id: String::new() };
    AdminServiceClient::new(steward.line()).close_epoch(close.clone()).await.unwrap();
    for (number, value) in values.iter().enumerate() {
        call(&door, number, value, &mut heard).await;
    }
    let answer = SegmentServiceClient::new(door.insights.line()).estimate_size(shop::size_of("true")).await.unwrap();
    heard.message(answer.get_ref());
    let withdrawn = (0..values.len()).filter(|number| number % 30 == 23).count() as u64;
    assert_eq!(answer.into_inner().release.unwrap().tables[0].cells[0].people, 1_000 - withdrawn);
    // Rows that are not folded when the process dies.
    let answers = shop::stream(&door.producer, vec![header(&dataset), shop::message(good(&values))]).await.unwrap();
    assert_eq!(answers[0].rejected, []);
    import(folder, &values, &served.grpc);
    assert!(leaves(&door.officer, &mut heard).await > 2_000);
    heard.0.extend(served.metrics().await.into_bytes());
    assert!(heard.0.len() > 200_000 && std::fs::read(folder.join("told/trace-1.log")).unwrap().len() > 100);
    assert_eq!(search(&needles, folder, &heard), [""; 0], "while serving");

    served.child.kill().unwrap();
    served.child.wait().unwrap();
    assert_eq!(search(&needles, folder, &heard), [""; 0], "after kill -9");
    drop(served);

    let served = Served::start(folder, 2).await;
    let producer = served.sign_in("till", &producer_key).await;
    stream(&producer, vec![header(&dataset), shop::message(bad(&values[..50]))], &mut heard).await;
    AdminServiceClient::new(served.steward().await.line()).close_epoch(close).await.unwrap();
    let officer = served.sign_in("officer", &officer_key).await;
    leaves(&officer, &mut heard).await;
    assert_eq!(search(&needles, folder, &heard), [""; 0], "after recovery");
    served.stop();
    assert_eq!(search(&needles, folder, &heard), [""; 0], "after a stop");
    every_byte_is_known(folder);

    // The same search finds one that lies open.
    std::fs::write(folder.join("silhouette-data/log/open"), format!("x{}y", values[77])).unwrap();
    let found = search(&needles, folder, &heard);
    assert!(found.len() == 1 && found[0].ends_with("log/open: 77 utf-8"), "{found:?}");
    assert!(needles.find(&good(&values[77..78]).encode_to_vec()).len() >= 2);
}

/// Maps the files: each byte is a header, a leaf, sealed or free; nothing is damaged; sealed bytes look random.
fn every_byte_is_known(folder: &Path) {
    let data = folder.join("silhouette-data");
    let maps = vault::fsck::map(&data, &folder.join("silhouette-root"), &vault::keys::SecondLock::None).unwrap();
    let mapped = ["wal", "keys", "blocks"].map(|part| files(&data.join(part))).concat();
    let full = mapped.iter().filter(|file| file.metadata().unwrap().len() > 0).count();
    assert_eq!(maps.iter().filter(|map| map.bytes > 0).count(), full);
    let mut counts = [0_u64; 256];
    for map in &maps {
        assert_eq!(map.problem, None, "{}", map.path.display());
        let bytes = std::fs::read(data.join(&map.path)).unwrap();
        let mut next = 0;
        for span in &map.spans {
            assert_eq!(span.start, next, "{}", map.path.display());
            next += span.bytes;
            let content = &bytes[usize::try_from(span.start).unwrap()..usize::try_from(next).unwrap()];
            match span.class {
                Class::Sealed => content.iter().for_each(|byte| counts[usize::from(*byte)] += 1),
                Class::Leaf => assert!(serde_json::from_slice::<serde_json::Value>(content).is_ok()),
                Class::Free => assert!(content.iter().all(|byte| *byte == 0), "{} {}", map.path.display(), span.field),
                Class::Header => {}
            }
        }
        assert_eq!(next, map.bytes, "{}", map.path.display());
    }
    let mean = counts.iter().sum::<u64>() as f64 / 256.0;
    assert!(mean > 100.0, "{mean}");
    let chi: f64 = counts.iter().map(|count| (*count as f64 - mean).powi(2) / mean).sum();
    // 255 degrees of freedom: random bytes exceed 400 once in 10^8 times.
    assert!(chi < 400.0, "sealed bytes are not uniform: {chi}");
}
