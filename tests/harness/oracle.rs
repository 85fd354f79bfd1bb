//! Segments and counts the slow and plain way: imported records in memory, one person at a time.
//!
//! An oracle for figures: it shares the segment's tree with the product, and none of its storage, scans or noise. What asks
//! about times is not for it; it refuses that. See [`crate::naive`].

use gateway::cli::import::{Batch, Body, Value};
use policy::schema::{FieldRef, Schema};
use policy::segment::{EventFilter, EventTest, Expr, Measure, Segment, Test, Window};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One subject's data.
#[derive(Debug)]
struct Person {
    attributes: Vec<Value>,
    /// By type: id -> values.
    events: Vec<BTreeMap<u64, Vec<Value>>>,
}

/// Everyone in a dataset.
#[derive(Debug)]
pub struct People {
    schema: Schema,
    people: HashMap<String, Person>,
}

impl People {
    /// Starts with nobody.
    pub fn new(schema: Schema) -> Self {
        Self { schema, people: HashMap::new() }
    }

    /// Adds records; the same event again changes nothing, a later profile overwrites.
    pub fn add(&mut self, batch: &Batch) {
        for record in &batch.records {
            let schema = &self.schema;
            let person = self.people.entry(record.subject.expose().to_owned()).or_insert_with(|| Person {
                attributes: vec![Value::Missing; schema.attributes.len()],
                events: vec![BTreeMap::new(); schema.events.len()],
            });
            match &record.body {
                Body::Profile(values) => {
                    for (column, value) in batch.attributes.iter().zip(values) {
                        person.attributes[usize::from(column.0)] = value.clone();
                    }
                }
                Body::Event { event, id, values, .. } => {
                    person.events[usize::from(event.0)].insert(*id, values.clone());
                }
                Body::Consent(_) => {}
            }
        }
    }

    /// Returns how many people there are.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Returns whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Returns how many people are in a segment.
    pub fn size(&self, segment: &Segment) -> u64 {
        self.members(segment).count() as u64
    }

    /// Returns, for each cell of the cross of fields, how many people of a segment are in it. Cells are named by labels.
    pub fn breakdown(&self, segment: &Segment, by: &[FieldRef]) -> BTreeMap<Vec<String>, u64> {
        let mut cells = BTreeMap::new();
        for person in self.members(segment) {
            let mut mine = vec![Vec::new()];
            for field in by {
                let labels = self.labels(person, *field);
                let crossed = |cell: &Vec<String>| -> Vec<Vec<String>> {
                    labels.iter().map(|label| [cell.clone(), vec![label.clone()]].concat()).collect()
                };
                mine = mine.iter().flat_map(crossed).collect();
            }
            for cell in mine {
                *cells.entry(cell).or_default() += 1;
            }
        }
        cells
    }

    fn members<'a>(&'a self, segment: &'a Segment) -> impl Iterator<Item = &'a Person> {
        self.people.values().filter(|person| person.holds(segment.root()) == Some(true))
    }

    fn labels(&self, person: &Person, field: FieldRef) -> BTreeSet<String> {
        let domain = self.schema.field(field).and_then(|field| field.ty.labels()).expect("a closed domain");
        let values: Vec<&Value> = match field {
            FieldRef::Attribute(column) => vec![&person.attributes[usize::from(column.0)]],
            FieldRef::EventField(event, column) => {
                person.events[usize::from(event.0)].values().map(|values| &values[usize::from(column.0)]).collect()
            }
            FieldRef::Event(_) => panic!("an event is no field"),
        };
        let label = |value: &Value| match value {
            Value::Code(code) => Some(domain[usize::from(*code) - 1].to_owned()),
            _ => None,
        };
        values.into_iter().filter_map(label).collect()
    }
}

impl Person {
    fn holds(&self, expr: &Expr) -> Option<bool> {
        match expr {
            Expr::Const(truth) => Some(*truth),
            Expr::Not(inner) => self.holds(inner).map(|truth| !truth),
            Expr::All(parts) => all(parts.iter().map(|part| self.holds(part))),
            Expr::Any(parts) => any(parts.iter().map(|part| self.holds(part))),
            Expr::Attribute(column, test) => passes(&self.attributes[usize::from(column.0)], test),
            Expr::Event(test) => Some(self.event(test)),
            Expr::Sequence(_) | Expr::Score(_) | Expr::Sample(_) => panic!("the oracle knows attributes and counts"),
        }
    }

    fn event(&self, test: &EventTest) -> bool {
        assert_eq!((test.window, test.if_any), (Window::Ever, false), "the oracle knows no windows");
        let matching =
            self.events[usize::from(test.event.0)].values().filter(|e| filter(e, &test.filter) == Some(true));
        let measured = match test.measure {
            Measure::Count => matching.count() as i64,
            Measure::Sum(column) => matching.map(|e| number(&e[usize::from(column.0)])).sum(),
            Measure::Distinct(column) => {
                let known = matching.map(|e| &e[usize::from(column.0)]).filter(|value| **value != Value::Missing);
                known.map(key).collect::<BTreeSet<_>>().len() as i64
            }
            other => panic!("the oracle does not measure {other:?}"),
        };
        (test.min..=test.max).contains(&measured)
    }
}

fn filter(values: &[Value], filter_: &EventFilter) -> Option<bool> {
    match filter_ {
        EventFilter::Const(truth) => Some(*truth),
        EventFilter::Not(inner) => filter(values, inner).map(|truth| !truth),
        EventFilter::All(parts) => all(parts.iter().map(|part| filter(values, part))),
        EventFilter::Any(parts) => any(parts.iter().map(|part| filter(values, part))),
        EventFilter::Field(column, test) => passes(&values[usize::from(column.0)], test),
    }
}

fn passes(value: &Value, test: &Test) -> Option<bool> {
    match (test, value) {
        (Test::Missing, value) => Some(*value == Value::Missing),
        (_, Value::Missing | Value::Bytes(_)) => None,
        (Test::Codes(codes), Value::Code(code)) => Some(codes.contains(code)),
        (Test::Range { min, max }, value) => Some((*min..=*max).contains(&number(value))),
        (Test::Codes(_), Value::Int(_)) => panic!("codes are tested on codes"),
    }
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Int(units) => *units,
        Value::Code(code) => i64::from(*code),
        Value::Missing | Value::Bytes(_) => 0,
    }
}

fn key(value: &Value) -> (i64, Vec<u8>) {
    match value {
        Value::Bytes(bytes) => (0, bytes.to_vec()),
        other => (number(other), Vec::new()),
    }
}

fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let parts: Vec<Option<bool>> = parts.collect();
    if parts.contains(&Some(false)) { Some(false) } else { parts.into_iter().collect::<Option<Vec<_>>>().map(|_| true) }
}

fn any(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    all(parts.map(|part| part.map(|truth| !truth))).map(|truth| !truth)
}
