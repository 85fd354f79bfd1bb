//! The co-operative as typed records.

use super::activity::{Act, Calendar, Kind, acts};
use super::catalogue::{CATEGORIES, PRODUCTS};
use super::people::{AGE_BANDS, CHANNELS, Consumer, DIETS, HOUSEHOLDS, PURPOSES, REGIONS, SETTLEMENTS, TIERS};
use super::random::Random;
use super::{SCHEMA, Settings, shares};
use crate::cli::import::{Batch, Body, Line, Record, Subject, Value};
use policy::consent::{ConsentAct, ConsentEvent, LawfulBasis};
use policy::id::PurposeId;
use policy::schema::{ColumnId, EventTypeId, Field, Schema, parse};
use policy::time::Timestamp;
use zeroize::Zeroizing;

/// The schema that ships is not the one the generator knows. A build that passes its tests never shows it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the co-operative's schema does not fit its generator: {0}")]
pub struct GeneratorError(String);

/// Yields the co-operative in batches.
#[derive(Debug)]
pub struct Generator {
    settings: Settings,
    schema: Schema,
    codes: Codes,
    calendar: Calendar,
    people: std::vec::IntoIter<(Consumer, u64)>,
}

/// Where everything goes in the schema.
#[derive(Debug, Clone)]
struct Codes {
    attributes: Vec<ColumnId>,
    lists: Lists,
    kinds: [EventTypeId; 3],
    purposes: Vec<PurposeId>,
}

/// Codes of the generator's lists, by position.
#[derive(Debug, Clone)]
struct Lists {
    age: Vec<u16>,
    region: Vec<u16>,
    settlement: Vec<u16>,
    household: Vec<u16>,
    tier: Vec<u16>,
    channel: Vec<u16>,
    diet: Vec<u16>,
    category: Vec<u16>,
    product: Vec<u16>,
}

/// The attributes of a profile, in the order in which [`Generator`] writes them.
const ATTRIBUTES: [&str; 11] = [
    "age_band",
    "channel",
    "diet",
    "email",
    "household",
    "household_size",
    "loyalty_tier",
    "member_since",
    "newsletter",
    "region",
    "settlement",
];

impl Generator {
    /// Prepares the co-operative.
    pub fn new(settings: Settings) -> Result<Self, GeneratorError> {
        let schema = parse(SCHEMA).map_err(|error| GeneratorError(error.to_string()))?;
        let codes = Codes::new(&schema)?;
        let calendar = Calendar::new(settings.as_of.seconds());
        Ok(Self { settings, schema, codes, calendar, people: shares(&settings).into_iter() })
    }

    /// Returns the schema of the records.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Returns all records of the next consumers; `None` when there are no more.
    pub fn step(&mut self, consumers: usize) -> Option<Batch> {
        let mut batch = Batch { attributes: self.codes.attributes.clone(), ..Batch::default() };
        for (consumer, count) in self.people.by_ref().take(consumers) {
            let acts = acts(self.settings.seed, &consumer, count, &self.calendar);
            self.codes.records(&self.settings, &consumer, &acts, &mut batch.records);
        }
        (!batch.records.is_empty()).then_some(batch)
    }
}

impl Codes {
    fn new(schema: &Schema) -> Result<Self, GeneratorError> {
        let columns = ATTRIBUTES.iter().map(|name| attribute(schema, name).map(|field| field.column));
        let list = |name: &str, labels: &[&str]| codes(attribute(schema, name)?, labels);
        let products: Vec<&str> = PRODUCTS.iter().map(|product| product.name).collect();
        let mut kinds = [EventTypeId(0); 3];
        for (kind, name) in kinds.iter_mut().zip(["view", "cart", "order"]) {
            *kind = schema.event(name).ok_or_else(|| GeneratorError(format!("no event {name}")))?.id;
        }
        let order = |name: &str| {
            let field = schema.event("order").and_then(|event| event.fields.iter().find(|f| f.name.as_str() == name));
            field.ok_or_else(|| GeneratorError(format!("no field order.{name}")))
        };
        let purposes = PURPOSES.iter().map(|name| PurposeId::new(name).map_err(|e| GeneratorError(e.to_string())));
        Ok(Self {
            attributes: columns.collect::<Result<_, _>>()?,
            lists: Lists {
                age: list("age_band", &AGE_BANDS)?,
                region: list("region", &REGIONS)?,
                settlement: list("settlement", &SETTLEMENTS)?,
                household: list("household", &HOUSEHOLDS)?,
                tier: list("loyalty_tier", &TIERS)?,
                channel: list("channel", &CHANNELS)?,
                diet: list("diet", &DIETS)?,
                category: codes(order("category")?, &CATEGORIES)?,
                product: codes(order("product")?, &products)?,
            },
            kinds,
            purposes: purposes.collect::<Result<_, _>>()?,
        })
    }

    fn records(&self, settings: &Settings, consumer: &Consumer, acts: &[Act], into: &mut Vec<Record>) {
        let Some(subject) = Subject::new(consumer.member_no.clone()) else { return };
        let mut push = |body| into.push(Record { line: Line(0), subject: subject.clone(), body });
        push(Body::Profile(self.profile(consumer)));
        for agreement in consumer.agreements(settings.seed, settings.as_of.seconds()) {
            let Some(purpose) = self.purposes.get(agreement.purpose).cloned() else { continue };
            push(Body::Consent(ConsentEvent {
                purpose,
                basis: LawfulBasis::Consent,
                act: if agreement.give { ConsentAct::Give } else { ConsentAct::Withdraw },
                at: Timestamp::from_seconds(agreement.at),
                expires: agreement.expires.map(Timestamp::from_seconds),
                language: None,
                method: None,
                notice: None,
                source: "membership-form".to_owned(),
            }));
        }
        let mut ids = Random::new(settings.seed ^ 0x6576_656e_7473, consumer.number);
        for act in acts {
            push(self.event(act, ids.next()));
        }
    }

    fn profile(&self, consumer: &Consumer) -> Vec<Value> {
        let lists = &self.lists;
        vec![
            code(&lists.age, consumer.age),
            code(&lists.channel, consumer.channel),
            code(&lists.diet, consumer.diet),
            Value::Bytes(Zeroizing::new(consumer.email.clone().into_bytes())),
            code(&lists.household, consumer.household),
            Value::Int(consumer.household_size),
            code(&lists.tier, consumer.tier),
            Value::Int(consumer.member_since),
            Value::Code(1 + u16::from(consumer.newsletter)),
            code(&lists.region, consumer.region),
            code(&lists.settlement, consumer.settlement),
        ]
    }

    fn event(&self, act: &Act, id: u64) -> Body {
        let Lists { category, product, channel, .. } = &self.lists;
        let [view, cart, order] = self.kinds;
        let category = code(category, PRODUCTS.get(act.product).map_or(0, |product| product.category));
        let (product, channel) = (code(product, act.product), code(channel, act.channel));
        let (event, values) = match act.kind {
            Kind::View => (view, vec![category, product, channel]),
            Kind::Cart => (cart, vec![category, product, Value::Int(act.quantity), Value::Int(act.amount)]),
            Kind::Order => {
                let numbers = [act.order_no, act.quantity, act.amount].map(Value::Int);
                let [number, quantity, amount] = numbers;
                (order, vec![number, category, product, quantity, amount, channel])
            }
        };
        Body::Event { event, id, at: Timestamp::from_seconds(act.at), values }
    }
}

fn code(codes: &[u16], at: usize) -> Value {
    codes.get(at).map_or(Value::Missing, |code| Value::Code(*code))
}

fn attribute<'a>(schema: &'a Schema, name: &str) -> Result<&'a Field, GeneratorError> {
    schema.attribute(name).ok_or_else(|| GeneratorError(format!("no attribute {name}")))
}

fn codes(field: &Field, labels: &[&str]) -> Result<Vec<u16>, GeneratorError> {
    let domain = field.ty.labels().unwrap_or_default();
    let code = |label: &&str| {
        let at = domain.iter().position(|known| known == label).and_then(|at| u16::try_from(at + 1).ok());
        at.ok_or_else(|| GeneratorError(format!("{} has no {label}", field.name)))
    };
    labels.iter().map(code).collect()
}
