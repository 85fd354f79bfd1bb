//! Every decoder of stored and sent bytes in one list: `tests/fuzz` searches each for long, and a test feeds each with
//! damaged forms of good ones.
//!
//! A decoder may refuse. It must not panic, and must read what it accepts as what it writes.

pub use vault::decoders::Decoder;

use crate::shop;
use gateway::authn::{Authority, ClientKey, check_assertion, claimed_client};
use gateway::cli::import::{Importer, Mapping};
use gateway::config::Config;
use gateway::records::{Client, PolicySet, StoredSegment};
use gateway::wire::ingest::Layout;
use gateway::wire::{consent, names, page, schema};
use policy::rules::Rules;
use policy::schema::Schema;
use policy::time::Timestamp;
use prost::Message;
use proto::v1;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use vault::keys::SecretKey;
use vault::rotation::{KeyState, TokenKey};

const OUTSIDE: &[Decoder] = &[
    Decoder { name: "schema", run: description, seeds: description_seeds },
    Decoder { name: "segment", run: segment, seeds: segment_seeds },
    Decoder { name: "policies", run: policies, seeds: policies_seeds },
    Decoder { name: "settings", run: settings, seeds: settings_seeds },
    Decoder { name: "mapping", run: mapping, seeds: mapping_seeds },
    Decoder { name: "csv", run: csv, seeds: csv_seeds },
    Decoder { name: "ingest", run: ingest, seeds: ingest_seeds },
    Decoder { name: "consent_event", run: consent_event, seeds: consent_event_seeds },
    Decoder { name: "names", run: resource_names, seeds: resource_names_seeds },
    Decoder { name: "records", run: records, seeds: records_seeds },
    Decoder { name: "token", run: token, seeds: token_seeds },
];

/// Lists all decoders.
pub fn all() -> impl Iterator<Item = &'static Decoder> {
    vault::decoders::ALL.iter().chain(OUTSIDE)
}

/// Feeds a decoder, by its name.
pub fn feed(name: &str, bytes: &[u8]) {
    let decoder = all().find(|decoder| decoder.name == name).expect("a decoder of this name");
    (decoder.run)(bytes);
}

const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

/// The description of the dataset that the decoders read for.
static SHOP: LazyLock<Arc<Schema>> =
    LazyLock::new(|| Arc::new(policy::schema::parse(COOP).expect("the sample parses")));
const COOP: &str = include_str!("../../deploy/datasets/coop/schema.toml");
const COOP_MAPPING: &str = include_str!("../../deploy/datasets/coop/mapping.toml");

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn description(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(schema) = policy::schema::parse(text) {
        let again = policy::schema::parse(text).expect("it parsed before");
        assert_eq!(schema.hash(), again.hash(), "one description, two hashes");
        assert!(schema.references().into_iter().all(|field| schema.resolve(&schema.path(field)) == Some(field)));
    }
}

fn description_seeds() -> Vec<Vec<u8>> {
    vec![COOP.into(), shop::SCHEMA.into()]
}

fn segment(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let parse = |text: &str| policy::segment::parse(text, &SHOP, &|_| true);
    match parse(text) {
        Ok(segment) => {
            let again = parse(segment.canonical()).expect("a canonical text parses");
            assert_eq!(again.hash(), segment.hash(), "a canonical text has another canonical text");
        }
        // Whether an error repeats what was asked can't be told here: what was asked may be words of an error.
        Err(error) => assert!(error.line() >= 1 && error.column() >= 1),
    }
}

fn segment_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "age_band in [\"25-34\", \"35-44\"] && region != \"lakes\"",
        "view.last(\"365d\").where(category == \"ceramics\").count() >= 2",
        "order.last(\"90d\").sum(amount) > 500.00 && !view.last(\"7d\").any()",
        "order.last(\"365d\").distinct(category) >= 3 || member_since >= \"2026-01-01\"",
        "!(household_size > 2) && newsletter",
        "&` or `||` would be rig",
        "order.dates(\"2026-01-01\", \"2026-04-01\").days() >= 2 && order.if_any().max(amount) < 50.00",
        "sequence(view, cart.where(quantity > 1)).without(order).gap(\"1d\").within(\"3d\").last(\"30d\")",
        "score(order.days_since_last() <= 30, 10, newsletter, -2) in [8, 10] || sample(\"spring-mail\", 0, 5000)",
        "rfm.recency in [4, 5] && !(rfm.monetary < 3) && segment(\"segments/lovers@3\")",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn policies(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    drop(Rules::parse(&[("fed", text)], 1));
}

fn policies_seeds() -> Vec<Vec<u8>> {
    Rules::default_texts().iter().map(|(_, text)| text.as_bytes().to_vec()).collect()
}

fn settings(bytes: &[u8]) {
    if let Some(Ok(settings)) = text(bytes).map(Config::parse) {
        drop(settings.check());
    }
}

fn settings_seeds() -> Vec<Vec<u8>> {
    vec![include_bytes!("../../deploy/silhouette.toml").to_vec()]
}

fn mapping(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    drop(Mapping::parse(text, &SHOP));
}

fn mapping_seeds() -> Vec<Vec<u8>> {
    vec![COOP_MAPPING.into()]
}

/// Imports bytes as the co-operative's file of consumers.
fn csv(bytes: &[u8]) {
    thread_local! {
        static FOLDER: (tempfile::TempDir, Mapping) = {
            let folder = tempfile::tempdir().expect("a temporary folder");
            (folder, Mapping::parse(CONSUMERS, &SHOP).expect("the mapping parses"))
        };
    }
    FOLDER.with(|(folder, mapping)| {
        let file: PathBuf = folder.path().join("consumers.csv");
        std::fs::write(file, bytes).expect("a temporary file");
        let Ok(mut importer) = Importer::new(mapping.clone(), folder.path()) else { return };
        while let Ok(Some(_)) = importer.step(64) {}
        for report in importer.reports() {
            assert_eq!(report.read, report.accepted + report.quarantined + report.filtered, "a row is in no class");
        }
    });
}

const CONSUMERS: &str = r#"
version = 1
dataset = "coop"

[[files]]
path = "consumers.csv"
subject = "member_no"

[files.profile]
on_conflict = "quarantine"

[files.profile.fields]
email = "email"
age_band = "age_band"
household_size = "household_size"
newsletter = "newsletter"
member_since = "member_since"
"#;

fn csv_seeds() -> Vec<Vec<u8>> {
    let head = "member_no,email,age_band,household_size,newsletter,member_since\n";
    let rows = "M1,a@example.org,25-34,2,true,2020-01-31\n\"M2\",\"b,\"\"c\"\"\",65+,,false,2026-11-01\nM1,x,y,z,,\n";
    vec![format!("{head}{rows}").into_bytes()]
}

/// Reads a batch of a stream; the first byte chooses which columns its header named.
fn ingest(bytes: &[u8]) {
    let Some((columns, batch)) = bytes.split_first() else { return };
    let Ok(layout) = Layout::new(&header(usize::from(*columns)), &SHOP, std::slice::from_ref(&*SHOP)) else { return };
    let Ok(batch) = v1::RecordBatch::decode(batch) else { return };
    let rows = batch.profiles.len() + batch.events.len() + batch.consents.len();
    if let Ok((records, rejected)) = layout.decode(batch, &SHOP, NOW) {
        assert_eq!(records.len() + rejected.len(), rows, "a row is neither taken nor reported");
    }
}

fn header(columns: usize) -> v1::IngestHeader {
    let event = |event: &policy::schema::EventType| v1::EventLayout {
        event: event.name.to_string(),
        fields: event.fields.iter().map(|field| field.name.to_string()).collect(),
    };
    v1::IngestHeader {
        dataset: names::of_dataset(&SHOP.dataset),
        schema_hash: schema::hash(&SHOP),
        attributes: SHOP.attributes.iter().take(columns).map(|field| field.name.to_string()).collect(),
        events: SHOP.events.iter().map(event).collect(),
        identity: String::new(),
    }
}

fn ingest_seeds() -> Vec<Vec<u8>> {
    let value = |kind| v1::Value { kind: Some(kind) };
    let values = vec![value(v1::value::Kind::Code(2)), value(v1::value::Kind::Number(3)), v1::Value { kind: None }];
    let batch = v1::RecordBatch {
        sequence: 1,
        profiles: vec![v1::Profile { subject: "M1".to_owned(), values: values.clone() }],
        events: vec![v1::Event { subject: "M1".to_owned(), layout: 0, id: 5, at_micros: NOW.0, values }],
        consents: vec![given()],
    };
    vec![[vec![3], batch.encode_to_vec()].concat(), [vec![0], v1::RecordBatch::default().encode_to_vec()].concat()]
}

fn given() -> v1::ConsentEvent {
    v1::ConsentEvent {
        subject: "M1".to_owned(),
        purpose: "marketing".to_owned(),
        basis: v1::LawfulBasis::Consent.into(),
        act: v1::ConsentAct::Give.into(),
        source: "shop".to_owned(),
        notice: "3".to_owned(),
        method: v1::CollectionMethod::WebForm.into(),
        language: "en".to_owned(),
        ..v1::ConsentEvent::default()
    }
}

fn consent_event(bytes: &[u8]) {
    let Ok(event) = v1::ConsentEvent::decode(bytes) else { return };
    // Words of ours, whatever was sent: what is sent may be the same words.
    let decoded: Result<_, (&'static str, &'static str)> =
        consent::decode(policy::schema::IdentityKind::SUBJECT_KEY, event);
    if let Err((part, problem)) = decoded {
        assert!(!part.is_empty() && !problem.is_empty());
    }
}

fn consent_event_seeds() -> Vec<Vec<u8>> {
    let named = v1::ConsentEvent { purpose: " purpose's na".to_owned(), ..given() };
    vec![given().encode_to_vec(), named.encode_to_vec()]
}

fn resource_names(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(dataset) = names::dataset(text) {
        assert_eq!(names::of_dataset(&dataset), text, "a dataset has two names");
    }
    if let Ok(client) = names::client(text) {
        assert_eq!(names::of_client(&client), text, "a client has two names");
    }
    if let Ok(partner) = names::partner(text) {
        assert_eq!(names::of_partner(&partner), text, "a partner has two names");
    }
    drop(names::segment(text));
    drop(page::position("a question", text));
    let position = page::position("a question", &page::token("a question", text)).ok().flatten();
    assert_eq!(position.as_deref(), Some(text).filter(|text| !text.is_empty()).or(position.as_deref()));
}

fn resource_names_seeds() -> Vec<Vec<u8>> {
    let texts = ["datasets/coop", "clients/marketing", "partners/crm", "datasets/coop/segments/lovers@3"];
    let tokens = [page::token("a question", "12"), page::token("another", "12")];
    texts.iter().map(|text| (*text).to_owned()).chain(tokens).map(String::into_bytes).collect()
}

fn records(bytes: &[u8]) {
    drop(Client::decode("shop", bytes));
    drop(StoredSegment::decode("coop/lovers@1", bytes));
    drop(PolicySet::decode(bytes));
}

fn records_seeds() -> Vec<Vec<u8>> {
    vec![PolicySet::new(2, "permit(principal, action, resource);".to_owned()).encode()]
}

fn token_key(byte: u8) -> TokenKey {
    TokenKey { number: 1, state: KeyState::Active, seed: SecretKey::from_bytes([byte; 32]) }
}

/// Reads a token and an assertion. Nothing but what was signed here is one.
fn token(bytes: &[u8]) {
    static AUTHORITY: LazyLock<Authority> =
        LazyLock::new(|| Authority::new(&[token_key(5)], "silhouette", "silhouette", NOW).expect("a good seed"));
    let Some(text) = text(bytes) else { return };
    assert!(AUTHORITY.check(text, NOW).is_err(), "a token that nobody signed was taken");
    if let Ok(client) = claimed_client(text) {
        let key = [8; 32];
        assert!(check_assertion(text, &client, &key, "silhouette", NOW).is_err(), "an assertion was taken unsigned");
    }
}

fn token_seeds() -> Vec<Vec<u8>> {
    // Signed by others: right in every part but that.
    let other = Authority::new(&[token_key(6)], "silhouette", "silhouette", NOW).expect("a good seed");
    let client = policy::id::ClientId::new("marketing").expect("a good name");
    let token = other.issue(&client, Vec::new(), "", NOW).expect("a token").jwt;
    let assertion = ClientKey::generate().expect("a key").assertion("marketing", "silhouette", NOW).expect("a text");
    vec![token.into_bytes(), assertion.into_bytes()]
}
