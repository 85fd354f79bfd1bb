//! What the client knows: every row it sent, which were acknowledged, and what an exact count must therefore be.

use proto::v1::{self, EventLayout, IngestHeader, LawfulBasis, RecordBatch, Value, value};
use std::collections::{BTreeMap, BTreeSet};

/// Labels of `area`.
pub const AREAS: u16 = 4;
/// Labels of `order.category`.
pub const CATEGORIES: u16 = 3;
/// Consents at collection are dated here: long before any withdrawal of a run.
const COLLECTED_MICROS: i64 = 1_700_000_000_000_000;

/// A test dataset with a budget that buys exact counts.
pub const EXACT: &str = r#"
version = 1
dataset = "exact"
organization = "hill-farms"
population = "exact"
display = "Counted exactly"
kind = "test"
time_zone = "UTC"
subject_key = "member"
purposes = ["marketing.segmentation"]
[budget]
quarter = "10000000"
lifetime = "10000000"
[[attributes]]
name = "member"
class = "identifier"
type = "identifier"
max_bytes = 40
display = "Member"
[[attributes]]
name = "area"
class = "quasi_identifier"
type = "enum"
domain = ["north", "east", "south", "west"]
display = "Area"
[[attributes]]
name = "score"
class = "behavioral"
type = "integer"
min = 0
max = 1000000
display = "Score"
[[events]]
name = "order"
display = "Order"
max_per_subject = 1000
[[events.fields]]
name = "category"
class = "behavioral"
type = "enum"
domain = ["pots", "plants", "tools"]
max_distinct = 3
display = "Category"
"#;

/// A pseudo-random sequence (splitmix64): a run can be repeated from its seed, as far as the machine lets it.
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// Draws a number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }
}

/// One member as the gateway should know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Member {
    /// Code of the area.
    pub area: u16,
    /// Orders: id and category.
    pub orders: BTreeMap<u64, u16>,
    /// Whether the last consent event gives.
    pub consents: bool,
}

/// All members, by key.
pub type Members = BTreeMap<String, Member>;

/// Takes an acknowledged batch into the model.
pub fn apply(members: &mut Members, batch: &RecordBatch) {
    for profile in &batch.profiles {
        members.entry(profile.subject.clone()).or_default().area = code(profile.values.first());
    }
    for event in &batch.events {
        let member = members.entry(event.subject.clone()).or_default();
        member.orders.entry(event.id).or_insert_with(|| code(event.values.first()));
    }
    for consent in &batch.consents {
        members.entry(consent.subject.clone()).or_default().consents = true;
    }
}

fn code(value: Option<&Value>) -> u16 {
    match value.and_then(|value| value.kind.as_ref()) {
        Some(value::Kind::Code(code)) => u16::try_from(*code).expect("a small code"),
        _ => 0,
    }
}

/// Exact figures of those who consent.
#[derive(Debug, PartialEq, Eq)]
pub struct Figures {
    /// Members.
    pub members: i64,
    /// Members by area, missing first.
    pub by_area: Vec<i64>,
    /// Members by category of an order of theirs, missing first.
    pub by_category: Vec<i64>,
    /// Members with at least 1, 2, 3 orders.
    pub by_orders: Vec<i64>,
}

/// Counts.
pub fn figures(members: &Members) -> Figures {
    let mut found = Figures {
        members: 0,
        by_area: vec![0; usize::from(AREAS) + 1],
        by_category: vec![0; usize::from(CATEGORIES) + 1],
        by_orders: vec![0; 3],
    };
    for member in members.values().filter(|member| member.consents) {
        found.members += 1;
        found.by_area[usize::from(member.area)] += 1;
        for category in member.orders.values().collect::<BTreeSet<_>>() {
            found.by_category[usize::from(*category)] += 1;
        }
        for (at_least, count) in (1..).zip(&mut found.by_orders) {
            *count += i64::from(member.orders.len() >= at_least);
        }
    }
    found
}

/// Makes batches: new members with a profile, a consent and orders, and more orders and moves of members before them.
#[derive(Debug)]
pub struct Feed {
    dice: Dice,
    next_member: u64,
    next_order: u64,
    sequence: u64,
}

impl Feed {
    /// Begins.
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice(seed), next_member: 0, next_order: 1, sequence: 0 }
    }

    /// Makes the next batch.
    pub fn batch(&mut self) -> RecordBatch {
        self.sequence += 1;
        let mut batch = RecordBatch { sequence: self.sequence, ..RecordBatch::default() };
        for _ in 0..1 + self.dice.below(60) {
            let member = self.next_member;
            self.next_member += 1;
            self.profile(&mut batch, member);
            // One in eight never consents and must not be counted.
            if !member.is_multiple_of(8) {
                batch.consents.push(give(&key(member), COLLECTED_MICROS));
            }
        }
        for _ in 0..self.dice.below(120) {
            let member = self.dice.below(self.next_member);
            match self.dice.below(8) {
                0 => self.profile(&mut batch, member),
                1 if !batch.events.is_empty() => {
                    // The same order once more, as a source that repeats itself sends it.
                    let again = batch.events[0].clone();
                    batch.events.push(again);
                }
                _ => self.order(&mut batch, member),
            }
        }
        batch
    }

    fn profile(&mut self, batch: &mut RecordBatch, member: u64) {
        let area = 1 + self.dice.below(AREAS.into());
        let score = i64::try_from(self.dice.below(1_000_000)).expect("a score");
        let values = vec![coded(area), Value { kind: Some(value::Kind::Number(score)) }];
        batch.profiles.push(v1::Profile { subject: key(member), values });
    }

    fn order(&mut self, batch: &mut RecordBatch, member: u64) {
        let id = self.next_order;
        self.next_order += 1;
        let values = vec![coded(1 + self.dice.below(CATEGORIES.into()))];
        let at_micros = COLLECTED_MICROS;
        batch.events.push(v1::Event { subject: key(member), layout: 0, id, at_micros, values });
    }
}

/// Returns a member's key.
pub fn key(member: u64) -> String {
    format!("member-{member:07}")
}

fn coded(code: u64) -> Value {
    Value { kind: Some(value::Kind::Code(u32::try_from(code).expect("a small code"))) }
}

/// Makes a consent that is given.
pub fn give(subject: &str, at_micros: i64) -> v1::ConsentEvent {
    v1::ConsentEvent {
        subject: subject.to_owned(),
        purpose: "marketing.segmentation".to_owned(),
        basis: LawfulBasis::Consent.into(),
        act: v1::ConsentAct::Give.into(),
        at_micros,
        expire_micros: None,
        source: "hammer".to_owned(),
        ..v1::ConsentEvent::default()
    }
}

/// Makes the header of a stream of batches.
pub fn header(schema_hash: Vec<u8>) -> IngestHeader {
    IngestHeader {
        dataset: "datasets/exact".to_owned(),
        schema_hash,
        attributes: vec!["area".to_owned(), "score".to_owned()],
        events: vec![EventLayout { event: "order".to_owned(), fields: vec!["category".to_owned()] }],
        identity: String::new(),
    }
}
