use super::*;
use crate::cli::import::{Batch, Body, Importer, Mapping, Value};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};

/// 2026-07-01T00:00:00Z.
const AS_OF: Timestamp = Timestamp::from_seconds(1_782_864_000);

fn settings(consumers: u64, events: u64) -> Settings {
    Settings { seed: 7, consumers, events, as_of: AS_OF }
}

fn all(settings: Settings) -> Batch {
    let mut generator = Generator::new(settings).unwrap();
    let mut whole = Batch::default();
    while let Some(batch) = generator.step(100) {
        whole.attributes = batch.attributes;
        whole.records.extend(batch.records);
    }
    whole
}

fn shown(values: &[Value]) -> String {
    let one = |value: &Value| match value {
        Value::Missing => "-".to_owned(),
        Value::Code(code) => format!("#{code}"),
        Value::Int(units) => units.to_string(),
        Value::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
    };
    values.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Every record as text, without the ids of events, sorted.
fn texts(batch: &Batch) -> Vec<String> {
    let mut texts: Vec<String> = batch
        .records
        .iter()
        .map(|record| match &record.body {
            Body::Profile(values) => {
                let named: BTreeMap<u16, String> = batch
                    .attributes
                    .iter()
                    .map(|c| c.0)
                    .zip(values.iter().map(|v| shown(std::slice::from_ref(v))))
                    .collect();
                format!("{} {named:?}", record.subject.expose())
            }
            Body::Event { event, at, values, .. } => {
                format!("{} {} {} {}", record.subject.expose(), event.0, at.0, shown(values))
            }
            Body::Consent(consent) => format!("{} {consent:?}", record.subject.expose()),
        })
        .collect();
    texts.sort();
    texts
}

#[test]
fn the_same_settings_give_the_same_people_and_another_seed_others() {
    let hash = |settings| {
        let mut hash = Sha256::new();
        texts(&all(settings)).iter().for_each(|text| hash.update(text));
        hash.finalize()
    };
    assert_eq!(hash(settings(50, 1_000)), hash(settings(50, 1_000)));
    assert_ne!(hash(settings(50, 1_000)), hash(Settings { seed: 8, ..settings(50, 1_000) }));
}

#[test]
fn counts_are_exact_ids_are_unique_and_nothing_happens_after_the_end() {
    let batch = all(settings(500, 10_000));
    let count = |is: fn(&Body) -> bool| batch.records.iter().filter(|record| is(&record.body)).count();
    assert_eq!(count(|body| matches!(body, Body::Profile(_))), 500);
    assert_eq!(count(|body| matches!(body, Body::Event { .. })), 10_000);
    let mut ids = HashSet::new();
    for record in &batch.records {
        match &record.body {
            Body::Event { id, at, .. } => assert!(ids.insert(*id) && *at < AS_OF),
            Body::Consent(consent) => assert!(consent.at < AS_OF),
            Body::Profile(_) => {}
        }
    }
}

#[test]
fn the_files_import_as_the_very_records() {
    let folder = std::env::temp_dir().join(format!("silhouette-generate-{}", uuid::Uuid::new_v4()));
    write_files(&settings(200, 4_000), &folder).unwrap();
    let schema = policy::schema::parse(SCHEMA).unwrap();
    let mapping = Mapping::parse(MAPPING, &schema).unwrap();
    assert!(mapping.warnings().is_empty());
    let mut importer = Importer::new(mapping, &folder).unwrap();
    let mut texts_read = Vec::new();
    while let Some(step) = importer.step(1_000).unwrap() {
        assert_eq!(step.quarantined, []);
        texts_read.extend(texts(&step.batch));
    }
    std::fs::remove_dir_all(&folder).unwrap();
    texts_read.sort();
    assert_eq!(texts_read, texts(&all(settings(200, 4_000))));
}

#[test]
fn a_portrait_has_something_to_show() {
    let mut generator = Generator::new(settings(4_000, 80_000)).unwrap();
    let schema = generator.schema().clone();
    let column = |name: &str| usize::from(schema.attribute(name).unwrap().column.0);
    let order = schema.event("order").unwrap().clone();
    let ceramics = order.fields.iter().find(|f| f.name.as_str() == "category").unwrap().clone();
    let code = ceramics.ty.labels().unwrap().iter().position(|label| *label == "ceramics").unwrap() + 1;
    let (mut people, mut buyers, mut older, mut older_buyers, mut agreed) = (0.0, 0.0, 0.0, 0.0, HashSet::new());
    while let Some(batch) = generator.step(1) {
        let at = batch.attributes.iter().position(|c| usize::from(c.0) == column("age_band")).unwrap();
        let Body::Profile(values) = &batch.records[0].body else { unreachable!("the profile comes first") };
        let is_older = values[at] == Value::Code(5) || values[at] == Value::Code(6);
        let buys = batch.records.iter().any(|record| match &record.body {
            Body::Event { event, values, .. } => {
                *event == order.id && values[usize::from(ceramics.column.0)] == Value::Code(code as u16)
            }
            _ => false,
        });
        if batch.records.iter().any(|record| matches!(record.body, Body::Consent(_))) {
            agreed.insert(batch.records[0].subject.expose().to_owned());
        }
        people += 1.0;
        older += f64::from(u8::from(is_older));
        buyers += f64::from(u8::from(buys));
        older_buyers += f64::from(u8::from(buys && is_older));
    }
    let (share, share_of_buyers) = (older / people, older_buyers / buyers);
    assert!(buyers > 100.0 && share_of_buyers > share + 0.15, "{share} {share_of_buyers} {buyers}");
    let agreed = agreed.len() as f64 / people;
    assert!((0.65..0.75).contains(&agreed), "{agreed}");
}
