//! A small shop: people with an age band and a region, and their orders.

use crate::gate::{Caller, Gate, START};
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;
use proto::v1::catalog_service_client::CatalogServiceClient;
use proto::v1::ingest_service_client::IngestServiceClient;
use proto::v1::stream_records_request::Message;
use proto::v1::value::Kind;
use tonic::Status;

/// The dataset's resource name.
pub const SHOP: &str = "datasets/shop";

/// Its description: a test dataset, so that answers can be exact, under a cap that a test can use up.
pub const SCHEMA: &str = r#"
version = 1
dataset = "shop"
organization = "farm"
population = "buyers"
display = "A shop"
kind = "test"
time_zone = "Europe/Berlin"
subject_key = "customer"
purposes = ["marketing.segmentation", "marketing.portrait", "sharing.partner.acme", "sharing.partner.bolt", "identity.linking"]

[budget]
quarter = "1000"
lifetime = "4000"

[[identities]]
name = "visitor"
display = "Visitor of the web shop"
max_bytes = 64

[[attributes]]
name = "customer"
class = "identifier"
type = "identifier"
max_bytes = 64
display = "Customer number"

[[attributes]]
name = "age_band"
class = "quasi_identifier"
type = "enum"
domain = ["18-34", "35-54", "55+"]
display = "Age"

[[attributes]]
name = "region"
class = "quasi_identifier"
type = "enum"
domain = ["north", "south"]
coarse = ["north", "south"]
display = "Region"

[[attributes]]
name = "channel"
class = "non_personal"
type = "enum"
domain = ["web", "till"]
display = "Where people joined"

[[attributes]]
name = "diet"
class = "sensitive"
type = "enum"
domain = ["any", "halal", "kosher"]
display = "Diet"

[[events]]
name = "order"
display = "Order"
max_per_subject = 100

[[events.fields]]
name = "category"
class = "behavioral"
type = "enum"
domain = ["pots", "plants"]
max_distinct = 2
display = "Category"

[[events.fields]]
name = "amount"
class = "behavioral"
type = "decimal"
scale = 2
min = "0"
max = "1000"
display = "Amount"
"#;

/// Creates the dataset and returns its description as a producer sees it.
pub async fn create(gate: &Gate) -> v1::Dataset {
    let request =
        v1::CreateDatasetRequest { schema_toml: SCHEMA.to_owned(), validate_only: false, request_id: String::new() };
    let steward = gate.steward().await;
    let answer = CatalogServiceClient::new(steward.line()).create_dataset(request).await.unwrap();
    answer.into_inner().dataset.unwrap()
}

/// Returns the header of a stream that sets age band and region and sends orders.
pub fn header(dataset: &v1::Dataset) -> v1::StreamRecordsRequest {
    let header = v1::IngestHeader {
        dataset: dataset.name.clone(),
        schema_hash: dataset.schema_hash.clone(),
        attributes: vec!["age_band".into(), "region".into()],
        events: vec![v1::EventLayout { event: "order".into(), fields: vec!["category".into(), "amount".into()] }],
        identity: String::new(),
    };
    v1::StreamRecordsRequest { message: Some(Message::Header(header)) }
}

/// Returns a message with a batch.
pub fn message(batch: v1::RecordBatch) -> v1::StreamRecordsRequest {
    v1::StreamRecordsRequest { message: Some(Message::Batch(batch)) }
}

/// Returns an enum's or bool's value.
pub fn code(code: u32) -> v1::Value {
    v1::Value { kind: Some(Kind::Code(code)) }
}

/// Returns a number's value.
pub fn number(number: i64) -> v1::Value {
    v1::Value { kind: Some(Kind::Number(number)) }
}

/// Returns a consent to a purpose, given an hour before the test starts.
pub fn consent(subject: &str, purpose: &str) -> v1::ConsentEvent {
    v1::ConsentEvent {
        subject: subject.to_owned(),
        purpose: purpose.to_owned(),
        basis: v1::LawfulBasis::Consent.into(),
        act: v1::ConsentAct::Give.into(),
        at_micros: START.0 - 3_600_000_000,
        expire_micros: None,
        source: "checkout".to_owned(),
        ..v1::ConsentEvent::default()
    }
}

/// Returns `people` buyers named `prefix-0`, `prefix-1`, ..., in turn of each age band and region, with one order each,
/// and a consent to each of `purposes`.
pub fn people(prefix: &str, people: u32, purposes: &[&str]) -> v1::RecordBatch {
    let name = |n: u32| format!("{prefix}-{n}");
    v1::RecordBatch {
        sequence: 1,
        profiles: (0..people)
            .map(|n| v1::Profile { subject: name(n), values: vec![code(1 + n % 3), code(1 + n % 2)] })
            .collect(),
        events: (0..people)
            .map(|n| v1::Event {
                subject: name(n),
                layout: 0,
                id: u64::from(n),
                at_micros: START.0 - 86_400_000_000,
                values: vec![code(1 + n % 2), number(1_000)],
            })
            .collect(),
        consents: (0..people)
            .flat_map(|n| purposes.iter().map(move |purpose| consent(&format!("{prefix}-{n}"), purpose)))
            .collect(),
    }
}

/// Streams messages and returns the acknowledgements, or how the stream ended.
pub async fn stream(
    producer: &Caller,
    messages: Vec<v1::StreamRecordsRequest>,
) -> Result<Vec<v1::StreamRecordsResponse>, Status> {
    let mut client = IngestServiceClient::new(producer.line());
    let mut answers = client.stream_records(tokio_stream::iter(messages)).await?.into_inner();
    let mut all = Vec::new();
    while let Some(answer) = answers.message().await? {
        all.push(answer);
    }
    Ok(all)
}

/// Closes the epoch now.
pub async fn close_epoch(gate: &Gate) {
    let request = v1::CloseEpochRequest { dataset: SHOP.to_owned(), as_of_time: None, request_id: String::new() };
    AdminServiceClient::new(gate.steward().await.line()).close_epoch(request).await.unwrap();
}

/// Returns a use on consent.
pub fn used(purpose: &str) -> Option<v1::Use> {
    Some(v1::Use { purpose: purpose.to_owned(), basis: v1::LawfulBasis::Consent.into() })
}

/// Returns a price.
pub fn rho(text: &str) -> Option<v1::Spend> {
    Some(v1::Spend { spend: Some(v1::spend::Spend::Rho(text.to_owned())) })
}

/// Returns a segment by its expression.
pub fn cel(text: &str) -> Option<v1::SegmentSource> {
    Some(v1::SegmentSource { source: Some(v1::segment_source::Source::Cel(text.to_owned())) })
}

/// Returns a question for the size of a segment, at a price that makes the noise vanish.
pub fn size_of(text: &str) -> v1::EstimateSizeRequest {
    v1::EstimateSizeRequest {
        dataset: SHOP.to_owned(),
        segment: cel(text),
        universe: String::new(),
        r#use: used("marketing.segmentation"),
        spend: rho("100"),
        validate_only: false,
        request_id: String::new(),
    }
}
