//! Rows of an ingest stream, checked value by value against the schema. A row that does not fit is reported by position;
//! what it holds is never repeated.

use super::consent;
use crate::status::Failure;
use policy::decide::Reason;
use policy::schema::{ColumnId, EventTypeId, Field, FieldType, IdentityKind, Schema};
use policy::time::Timestamp;
use proto::v1;
use std::sync::Arc;
use vault::ingest::{Record, Value};

/// Most rows of a batch.
const MAX_ROWS: usize = 100_000;

/// A stream's layout: which column each position is.
#[derive(Debug)]
pub struct Layout {
    /// Of which kind the subjects' keys are.
    identity: IdentityKind,
    attributes: Vec<(Column, String)>,
    events: Vec<EventLayout>,
}

#[derive(Debug)]
struct EventLayout {
    event: EventTypeId,
    /// How many fields the type has.
    width: usize,
    columns: Vec<(Column, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    id: ColumnId,
    ty: Checks,
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Checks {
    Code { largest: u32 },
    Number { min: i64, max: i64 },
    Bytes { longest: usize },
}

/// A row that does not fit: the field at fault, and the problem.
type Problem<'a> = (&'a str, String);

impl Layout {
    /// Reads a header. What was encoded under any version of the description means the same under the last one.
    pub fn new(header: &v1::IngestHeader, schema: &Schema, versions: &[Arc<Schema>]) -> Result<Self, Failure> {
        let v1::IngestHeader { dataset: _, schema_hash, attributes, events, identity } = header;
        if !versions.iter().rev().any(|version| *schema_hash == super::schema::hash(version)) {
            return Err(Failure::refused(
                Reason::SchemaMismatch,
                "the stream was made for a description that the dataset never had",
                "get the dataset again, encode with it and name its schema hash",
            ));
        }
        let attributes = attributes.iter().map(|name| column(schema.attribute(name), name, "attributes"));
        let attributes: Vec<_> = attributes.collect::<Result<_, _>>()?;
        let events = events.iter().map(|layout| EventLayout::new(layout, schema)).collect::<Result<_, _>>()?;
        distinct(&attributes, "attributes")?;
        let identity = schema.identity_kind(identity).ok_or_else(|| unknown("identity"))?;
        Ok(Self { identity, attributes, events })
    }

    /// Checks the rows of a batch. Returns those that fit and a report of the others, so that one row never costs the
    /// batch.
    pub fn decode(
        &self,
        batch: v1::RecordBatch,
        schema: &Schema,
        now: Timestamp,
    ) -> Result<(Vec<Record>, Vec<v1::RejectedRow>), Failure> {
        let v1::RecordBatch { sequence: _, profiles, events, consents } = batch;
        let rows = profiles.len().saturating_add(events.len()).saturating_add(consents.len());
        if rows > MAX_ROWS {
            return Err(Failure::invalid("batch", format!("must have at most {MAX_ROWS} rows")));
        }
        let mut records = Vec::with_capacity(rows);
        let mut rejected = Vec::new();
        let mut row = 0;
        let mut take = |outcome: Result<Record, Problem<'_>>| {
            let fits = |record| vault::ingest::check(schema, &record, now).map(|()| record);
            match outcome.and_then(|record| fits(record).map_err(|problem| ("row", problem.to_string()))) {
                Ok(record) => records.push(record),
                Err((field, problem)) => {
                    rejected.push(v1::RejectedRow { row, field: field.to_owned(), problem });
                }
            }
            row = row.saturating_add(1);
        };
        profiles.into_iter().for_each(|profile| take(self.profile(profile)));
        events.into_iter().for_each(|event| take(self.event(event)));
        consents.into_iter().for_each(|event| take(consented(self.identity, event)));
        Ok((records, rejected))
    }

    fn profile(&self, profile: v1::Profile) -> Result<Record, Problem<'_>> {
        let v1::Profile { subject, values } = profile;
        let subject = consent::subject(self.identity, &subject).map_err(own)?;
        if values.len() != self.attributes.len() {
            return Err(("values", format!("has {} of {} values", values.len(), self.attributes.len())));
        }
        let mut checked = Vec::with_capacity(values.len());
        for ((column, path), value) in self.attributes.iter().zip(values) {
            checked.push((column.id, column.check(value).map_err(|problem| (path.as_str(), problem))?));
        }
        Ok(Record::Profile { subject, values: checked })
    }

    fn event(&self, event: v1::Event) -> Result<Record, Problem<'_>> {
        let v1::Event { subject, layout, id, at_micros, values } = event;
        let subject = consent::subject(self.identity, &subject).map_err(own)?;
        let found = usize::try_from(layout).ok().and_then(|at| self.events.get(at));
        let layout = found.ok_or_else(|| ("layout", "is none of the header's".to_owned()))?;
        if values.len() != layout.columns.len() {
            return Err(("values", format!("has {} of {} values", values.len(), layout.columns.len())));
        }
        let mut checked = vec![Value::Missing; layout.width];
        for ((column, path), value) in layout.columns.iter().zip(values) {
            let value = column.check(value).map_err(|problem| (path.as_str(), problem))?;
            if let Some(place) = checked.get_mut(usize::from(column.id.0)) {
                *place = value;
            }
        }
        Ok(Record::Event { subject, event: layout.event, id, at: Timestamp(at_micros), values: checked })
    }
}

impl EventLayout {
    fn new(layout: &v1::EventLayout, schema: &Schema) -> Result<Self, Failure> {
        let v1::EventLayout { event, fields } = layout;
        let event = schema.event(event).ok_or_else(|| unknown("events"))?;
        let columns = fields.iter().map(|name| {
            let found = event.fields.iter().find(|field| field.name.as_str() == name);
            column(found, &format!("{}.{name}", event.name), "events")
        });
        let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
        distinct(&columns, "events")?;
        Ok(Self { event: event.id, width: event.fields.len(), columns })
    }
}

fn consented(kind: IdentityKind, event: v1::ConsentEvent) -> Result<Record, Problem<'static>> {
    let (subject, consent) = consent::decode(kind, event).map_err(own)?;
    Ok(Record::Consent { subject, consent })
}

fn own((field, problem): (&'static str, &'static str)) -> Problem<'static> {
    (field, problem.to_owned())
}

fn column(field: Option<&Field>, path: &str, part: &'static str) -> Result<(Column, String), Failure> {
    let field = field.ok_or_else(|| unknown(part))?;
    let ty = match &field.ty {
        FieldType::Enum { domain } => Checks::Code { largest: u32::try_from(domain.len()).unwrap_or(u32::MAX) },
        FieldType::Bool => Checks::Code { largest: 2 },
        FieldType::Integer { min, max } | FieldType::Decimal { min, max, .. } => {
            Checks::Number { min: *min, max: *max }
        }
        FieldType::Date { min, max } => Checks::Number { min: (*min).into(), max: (*max).into() },
        FieldType::Identifier { max_bytes } => Checks::Bytes { longest: usize::from(*max_bytes) },
    };
    Ok((Column { id: field.column, ty }, path.to_owned()))
}

fn unknown(part: &'static str) -> Failure {
    Failure::refused(
        Reason::SchemaMismatch,
        format!("`{part}` of the header names something that the schema doesn't have"),
        "get the dataset and use its names",
    )
}

fn distinct(columns: &[(Column, String)], part: &'static str) -> Result<(), Failure> {
    let mut ids: Vec<_> = columns.iter().map(|(column, _)| column.id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() == columns.len() { Ok(()) } else { Err(Failure::invalid(part, "names a field twice")) }
}

impl Column {
    fn check(&self, value: v1::Value) -> Result<Value, String> {
        use proto::v1::value::Kind;
        match (&self.ty, value.kind) {
            (_, None) => Ok(Value::Missing),
            (Checks::Code { largest }, Some(Kind::Code(code))) => match u16::try_from(code) {
                Ok(code) if code >= 1 && u32::from(code) <= *largest => Ok(Value::Code(code)),
                _ => Err(format!("must be a code from 1 to {largest}")),
            },
            (Checks::Number { min, max }, Some(Kind::Number(number))) if (min..=max).contains(&&number) => {
                Ok(Value::Int(number))
            }
            (Checks::Number { min, max }, Some(Kind::Number(_))) => Err(format!("must be from {min} to {max}")),
            (Checks::Bytes { longest }, Some(Kind::Identifier(bytes))) => {
                if bytes.is_empty() || bytes.len() > *longest || std::str::from_utf8(&bytes).is_err() {
                    return Err(format!("must be 1-{longest} bytes of UTF-8"));
                }
                Ok(Value::Bytes(bytes.to_vec()))
            }
            (Checks::Code { .. }, Some(_)) => Err("must be a code".to_owned()),
            (Checks::Number { .. }, Some(_)) => Err("must be a number".to_owned()),
            (Checks::Bytes { .. }, Some(_)) => Err("must be an identifier".to_owned()),
        }
    }
}
