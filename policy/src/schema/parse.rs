//! TOML -> [`Schema`]. Every refusal says where (line and name) and what would be right; unknown keys are refused.
//!
//! ```toml
//! version = 1
//! dataset = "coop"                 # names: a-z 0-9 _ -, from a letter, at most 63
//! organization = "hill-farms"
//! population = "coop"              # whose privacy one ledger protects; default: the dataset
//! display = "Hill Farms co-operative"
//! kind = "private"                 # default; or "test": any budget, every answer stamped NOT PRIVATE
//! time_zone = "Europe/London"      # IANA
//! subject_key = "member_no"        # the identifier attribute that names a subject
//! purposes = ["marketing.segmentation", "marketing.portrait", "sharing.partner.crmco"]
//!
//! [budget]                         # optional; most rho per calendar quarter and in a lifetime
//! quarter = "0.20"
//! lifetime = "0.80"
//!
//! [[attributes]]
//! name = "member_no"               # field names: as names, with `_` instead of `-`, so that segments can say them
//! class = "identifier"             # identifier quasi_identifier sensitive behavioral non_personal
//! type = "identifier"
//! max_bytes = 32
//!
//! [[attributes]]
//! name = "age_band"
//! display = "Age"                  # default: the name
//! class = "quasi_identifier"
//! type = "enum"
//! domain = ["18-24", "25-34", "35-44", "45+"]       # public and closed; order is code order
//! coarse = ["18-34", "18-34", "35+", "35+"]         # optional, one per domain value
//! retention_days = 730             # optional
//!
//! [[attributes]]
//! name = "household"
//! class = "quasi_identifier"
//! type = "integer"
//! min = 1
//! max = 12
//!
//! [[attributes]]
//! name = "joined"
//! class = "behavioral"
//! type = "date"
//! min = "2000-01-01"
//! max = "2039-12-31"
//!
//! [[attributes]]
//! name = "newsletter"
//! class = "behavioral"
//! type = "bool"
//!
//! [[events]]
//! name = "order"
//! display = "Orders"
//! max_per_subject = 1000           # default 1000; later events are kept but not counted
//! retention_days = 1095            # optional
//!
//!   [[events.fields]]
//!   name = "category"
//!   class = "behavioral"
//!   type = "enum"
//!   domain = ["ceramics", "cheese", "honey"]
//!   max_distinct = 3               # most cells one subject counts in; default min(domain, 16)
//!
//!   [[events.fields]]
//!   name = "amount"
//!   class = "behavioral"
//!   type = "decimal"
//!   scale = 2                      # digits after the mark, 0-9
//!   min = "-500.00"
//!   max = "500.00"
//! ```

use super::number::parse_scaled;
use super::{ColumnId, DatasetKind, EventType, EventTypeId, Field, FieldClass, FieldType, Schema};
use crate::id::{DatasetId, FieldName, OrganizationId, PopulationId, PurposeId};
use crate::privacy::NanoRho;
use crate::time::parse_day;
use serde::Deserialize;
use std::collections::BTreeSet;
use toml::{Spanned, Value};

/// Most rho a private dataset may lose in a calendar quarter, and the default: epsilon 3.9 at delta 1e-9.
pub const CAP_QUARTER: NanoRho = NanoRho(200_000_000);
/// Most rho a private dataset may lose in a lifetime, and the default: four full quarters, epsilon 8.4 at delta 1e-9.
pub const CAP_LIFETIME: NanoRho = NanoRho(800_000_000);
/// Events of one subject that count in an answer when the schema does not say.
const DEFAULT_MAX_PER_SUBJECT: u32 = 1_000;
/// Distinct values one subject contributes to a breakdown when the schema does not say.
const DEFAULT_MAX_DISTINCT: usize = 16;
/// Codes are 16 bits and a breakdown returns every cell.
const MAX_DOMAIN: usize = 4_096;
const MAX_LABEL_BYTES: usize = 128;
const MAX_COLUMNS: usize = 1_024;
const MAX_RETENTION_DAYS: u32 = 36_500;
/// Words that the segment language keeps for itself.
const RESERVED: [&str; 27] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "known",
    "let",
    "loop",
    "missing",
    "namespace",
    "null",
    "package",
    "return",
    "rfm",
    "segment",
    "sequence",
    "true",
    "var",
    "void",
    "while",
    "has",
];

/// Why a schema was refused; says where and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct SchemaError {
    place: String,
    problem: String,
}

impl SchemaError {
    fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into() }
    }

    /// Returns where: a line, and the name of what is concerned.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns what is wrong and what would be right.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSchema {
    version: u32,
    dataset: Spanned<String>,
    organization: Spanned<String>,
    population: Option<Spanned<String>>,
    display: Option<String>,
    kind: Option<DatasetKind>,
    time_zone: Spanned<String>,
    subject_key: Spanned<String>,
    purposes: Spanned<Vec<Spanned<String>>>,
    budget: Option<Spanned<RawBudget>>,
    #[serde(default)]
    attributes: Vec<RawField>,
    #[serde(default)]
    events: Vec<RawEvent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBudget {
    quarter: Option<Value>,
    lifetime: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawField {
    name: Spanned<String>,
    class: FieldClass,
    #[serde(rename = "type")]
    ty: RawType,
    display: Option<String>,
    domain: Option<Vec<String>>,
    coarse: Option<Vec<String>>,
    min: Option<Value>,
    max: Option<Value>,
    scale: Option<u8>,
    max_bytes: Option<u8>,
    max_distinct: Option<u32>,
    retention_days: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvent {
    name: Spanned<String>,
    display: Option<String>,
    max_per_subject: Option<u32>,
    retention_days: Option<u32>,
    #[serde(default)]
    fields: Vec<RawField>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
enum RawType {
    Enum,
    Bool,
    Integer,
    Decimal,
    Date,
    Identifier,
}

/// Parses and checks a schema.
pub fn parse(text: &str) -> Result<Schema, SchemaError> {
    let raw: RawSchema = toml::from_str(text).map_err(|error| {
        let place = error.span().map_or_else(|| "schema".to_owned(), |span| line(text, span.start));
        SchemaError::new(place, error.message().trim())
    })?;
    let doc = Document { text };
    if raw.version != 1 {
        return Err(SchemaError::new("version", "this build reads version 1"));
    }
    let dataset = doc.name(&raw.dataset, DatasetId::new)?;
    let population = match &raw.population {
        Some(name) => doc.name(name, PopulationId::new)?,
        None => PopulationId::new(dataset.as_str()).map_err(|e| SchemaError::new("population", e.to_string()))?,
    };
    let kind = raw.kind.unwrap_or(DatasetKind::Private);
    let (cap_quarter, cap_lifetime) = doc.budget(raw.budget.as_ref(), kind)?;
    let attributes = doc.fields(&raw.attributes, "attribute", None)?;
    let events = doc.events(&raw.events, &attributes)?;
    Ok(Schema {
        version: raw.version,
        organization: doc.name(&raw.organization, OrganizationId::new)?,
        population,
        display: display(raw.display, dataset.as_str(), "display")?,
        dataset,
        kind,
        time_zone: doc.time_zone(&raw.time_zone)?,
        subject_key: doc.subject_key(&raw.subject_key, &attributes)?,
        attributes,
        events,
        purposes: doc.purposes(&raw.purposes)?,
        cap_quarter,
        cap_lifetime,
    })
}

fn line(text: &str, offset: usize) -> String {
    let line = text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1;
    format!("line {line}")
}

fn display(given: Option<String>, name: &str, place: &str) -> Result<String, SchemaError> {
    let shown = given.unwrap_or_else(|| name.to_owned());
    if shown.is_empty() || shown.len() > MAX_LABEL_BYTES || shown.chars().any(char::is_control) {
        return Err(SchemaError::new(
            place,
            format!("`display` is 1-{MAX_LABEL_BYTES} bytes without control characters"),
        ));
    }
    Ok(shown)
}

fn retention(given: Option<u32>, place: &str) -> Result<Option<u32>, SchemaError> {
    match given {
        Some(days) if !(1..=MAX_RETENTION_DAYS).contains(&days) => {
            Err(SchemaError::new(place, format!("`retention_days` is 1-{MAX_RETENTION_DAYS}")))
        }
        other => Ok(other),
    }
}

/// The text, for line numbers.
struct Document<'a> {
    text: &'a str,
}

impl Document<'_> {
    fn line<T>(&self, at: &Spanned<T>) -> String {
        line(self.text, at.span().start)
    }

    fn name<T>(
        &self,
        raw: &Spanned<String>,
        build: impl Fn(&str) -> Result<T, crate::id::InvalidName>,
    ) -> Result<T, SchemaError> {
        build(raw.as_ref()).map_err(|e| SchemaError::new(self.line(raw), e.to_string()))
    }

    /// A name that segments can say.
    fn word(&self, raw: &Spanned<String>) -> Result<FieldName, SchemaError> {
        let name = self.name(raw, FieldName::new)?;
        if name.as_str().contains('-') {
            return Err(SchemaError::new(
                self.line(raw),
                format!("`{name}`: write `_` instead of `-`, so that segments can say it"),
            ));
        }
        if RESERVED.contains(&name.as_str()) {
            let problem = format!("`{name}` is a word of the segment language; take another name");
            return Err(SchemaError::new(self.line(raw), problem));
        }
        Ok(name)
    }

    fn time_zone(&self, raw: &Spanned<String>) -> Result<String, SchemaError> {
        jiff::tz::TimeZone::get(raw.as_ref())
            .ok()
            .and_then(|zone| zone.iana_name().map(str::to_owned))
            .filter(|name| name != "Etc/Unknown")
            .ok_or_else(|| {
                SchemaError::new(self.line(raw), "`time_zone` is an IANA name such as `Europe/London` or `UTC`")
            })
    }

    fn subject_key(&self, raw: &Spanned<String>, attributes: &[Field]) -> Result<ColumnId, SchemaError> {
        attributes
            .iter()
            .find(|field| field.name.as_str() == raw.as_ref())
            .filter(|field| matches!(field.ty, FieldType::Identifier { .. }) && field.class == FieldClass::Identifier)
            .map(|field| field.column)
            .ok_or_else(|| {
                let problem = "`subject_key` is the name of an attribute of type and class `identifier`";
                SchemaError::new(self.line(raw), problem)
            })
    }

    fn purposes(&self, raw: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<PurposeId>, SchemaError> {
        let mut purposes = Vec::new();
        for item in raw.as_ref() {
            let purpose = self.name(item, PurposeId::new)?;
            if purposes.contains(&purpose) {
                return Err(SchemaError::new(self.line(item), format!("purpose `{purpose}` is listed twice")));
            }
            purposes.push(purpose);
        }
        if purposes.is_empty() {
            return Err(SchemaError::new(
                self.line(raw),
                "`purposes` lists at least one, such as `marketing.segmentation`",
            ));
        }
        Ok(purposes)
    }

    fn budget(&self, raw: Option<&Spanned<RawBudget>>, kind: DatasetKind) -> Result<(NanoRho, NanoRho), SchemaError> {
        let Some(raw) = raw else {
            return Ok((CAP_QUARTER, CAP_LIFETIME));
        };
        let place = format!("{}, [budget]", self.line(raw));
        let rho = |key: &str, value: &Option<Value>| match value {
            None => Ok(None),
            Some(value) => number(value, 9)
                .and_then(|nano| u64::try_from(nano).ok())
                .filter(|nano| *nano > 0)
                .map(|nano| Some(NanoRho(nano)))
                .ok_or_else(|| {
                    let problem =
                        format!("`{key}` is a rho above 0 with at most 9 digits after the mark, such as \"0.20\"");
                    SchemaError::new(place.as_str(), problem)
                }),
        };
        let quarter = rho("quarter", &raw.as_ref().quarter)?.unwrap_or(CAP_QUARTER);
        let four = NanoRho(quarter.0.saturating_mul(4));
        let lifetime = rho("lifetime", &raw.as_ref().lifetime)?.unwrap_or(CAP_LIFETIME.max(four));
        if kind == DatasetKind::Private && (quarter > CAP_QUARTER || lifetime > CAP_LIFETIME) {
            let problem = "a private dataset takes at most rho 0.20 a quarter and 0.80 in a lifetime; \
                           `kind = \"test\"` takes any";
            return Err(SchemaError::new(place, problem));
        }
        if lifetime < quarter {
            return Err(SchemaError::new(place, "`lifetime` is at least `quarter`"));
        }
        Ok((quarter, lifetime))
    }

    /// Checks the fields of a group; `event` names the group if it is an event type.
    fn fields(&self, raw: &[RawField], what: &str, event: Option<&FieldName>) -> Result<Vec<Field>, SchemaError> {
        let mut seen = BTreeSet::new();
        let mut fields = Vec::with_capacity(raw.len());
        for item in raw {
            let name = self.word(&item.name)?;
            let shown = event.map_or_else(|| name.to_string(), |event| format!("{event}.{name}"));
            let place = format!("{}, {what} `{shown}`", self.line(&item.name));
            if !seen.insert(name.clone()) {
                return Err(SchemaError::new(place, "this name is taken; names are unique in their group"));
            }
            let column = u16::try_from(fields.len()).ok().filter(|n| usize::from(*n) < MAX_COLUMNS);
            let column =
                column.ok_or_else(|| SchemaError::new(place.as_str(), format!("at most {MAX_COLUMNS} fields")))?;
            fields.push(field(item, name, ColumnId(column), event.is_some(), &place)?);
        }
        Ok(fields)
    }

    fn events(&self, raw: &[RawEvent], attributes: &[Field]) -> Result<Vec<EventType>, SchemaError> {
        let mut taken: BTreeSet<FieldName> = attributes.iter().map(|field| field.name.clone()).collect();
        let mut events = Vec::with_capacity(raw.len());
        for item in raw {
            let name = self.word(&item.name)?;
            let place = format!("{}, event `{name}`", self.line(&item.name));
            if !taken.insert(name.clone()) {
                return Err(SchemaError::new(place, "this name is taken; attributes and events share their names"));
            }
            let id = u16::try_from(events.len()).ok().filter(|n| usize::from(*n) < MAX_COLUMNS);
            let id = id.ok_or_else(|| SchemaError::new(place.as_str(), format!("at most {MAX_COLUMNS} events")))?;
            let max_per_subject = item.max_per_subject.unwrap_or(DEFAULT_MAX_PER_SUBJECT);
            if !(1..=1_000_000).contains(&max_per_subject) {
                return Err(SchemaError::new(place, "`max_per_subject` is 1-1000000"));
            }
            events.push(EventType {
                id: EventTypeId(id),
                fields: self.fields(&item.fields, "field", Some(&name))?,
                display: display(item.display.clone(), name.as_str(), &place)?,
                max_per_subject,
                retention_days: retention(item.retention_days, &place)?,
                name,
            });
        }
        Ok(events)
    }
}

fn field(raw: &RawField, name: FieldName, column: ColumnId, of_event: bool, place: &str) -> Result<Field, SchemaError> {
    only_keys_of_type(raw, place)?;
    let ty = match raw.ty {
        RawType::Enum => FieldType::Enum { domain: domain(raw, place)? },
        RawType::Bool => FieldType::Bool,
        RawType::Integer => {
            let (min, max) = bounds(raw, place, "a whole number", |value| number(value, 0))?;
            FieldType::Integer { min, max }
        }
        RawType::Decimal => {
            let scale = raw.scale.filter(|scale| *scale <= 9);
            let scale =
                scale.ok_or_else(|| SchemaError::new(place, "a decimal needs `scale`, 0-9 digits after the mark"))?;
            let what = format!("a decimal with at most {scale} digits after the mark");
            let (min, max) = bounds(raw, place, &what, |value| number(value, scale))?;
            FieldType::Decimal { scale, min, max }
        }
        RawType::Date => {
            let (min, max) = bounds(raw, place, "a day, \"YYYY-MM-DD\"", |value| match value {
                Value::String(text) => parse_day(text).map(i64::from),
                Value::Datetime(day) => parse_day(&day.to_string()).map(i64::from),
                _ => None,
            })?;
            let days = |n: i64| i32::try_from(n).map_err(|_| SchemaError::new(place, "this day is out of range"));
            FieldType::Date { min: days(min)?, max: days(max)? }
        }
        RawType::Identifier => {
            let max_bytes = raw.max_bytes.filter(|n| *n > 0);
            let max_bytes =
                max_bytes.ok_or_else(|| SchemaError::new(place, "an identifier needs `max_bytes`, 1-255"))?;
            FieldType::Identifier { max_bytes }
        }
    };
    Ok(Field {
        column,
        class: raw.class,
        display: display(raw.display.clone(), name.as_str(), place)?,
        max_distinct: max_distinct(raw, &ty, of_event, place)?,
        coarse: coarse(raw, &ty, place)?,
        retention_days: retention(raw.retention_days, place)?,
        name,
        ty,
    })
}

/// Refuses keys that belong to another type, so that a bound is never written and silently ignored.
fn only_keys_of_type(raw: &RawField, place: &str) -> Result<(), SchemaError> {
    let given = [
        ("domain", raw.domain.is_some(), matches!(raw.ty, RawType::Enum)),
        ("coarse", raw.coarse.is_some(), matches!(raw.ty, RawType::Enum | RawType::Bool)),
        ("min", raw.min.is_some(), matches!(raw.ty, RawType::Integer | RawType::Decimal | RawType::Date)),
        ("max", raw.max.is_some(), matches!(raw.ty, RawType::Integer | RawType::Decimal | RawType::Date)),
        ("scale", raw.scale.is_some(), matches!(raw.ty, RawType::Decimal)),
        ("max_bytes", raw.max_bytes.is_some(), matches!(raw.ty, RawType::Identifier)),
    ];
    match given.iter().find(|(_, present, allowed)| *present && !allowed) {
        Some((key, ..)) => Err(SchemaError::new(place, format!("`{key}` does not belong to this type; remove it"))),
        None => Ok(()),
    }
}

fn labels_are_valid(labels: &[String]) -> bool {
    labels.iter().all(|l| (1..=MAX_LABEL_BYTES).contains(&l.len()) && !l.chars().any(char::is_control))
}

fn domain(raw: &RawField, place: &str) -> Result<Vec<String>, SchemaError> {
    let domain = raw.domain.clone().unwrap_or_default();
    if domain.is_empty() || domain.len() > MAX_DOMAIN {
        return Err(SchemaError::new(place, format!("an enum needs `domain`, a list of 1-{MAX_DOMAIN} values")));
    }
    if !labels_are_valid(&domain) {
        let problem = format!("values of `domain` are 1-{MAX_LABEL_BYTES} bytes without control characters");
        return Err(SchemaError::new(place, problem));
    }
    let mut seen = BTreeSet::new();
    match domain.iter().position(|label| !seen.insert(label)) {
        Some(at) => Err(SchemaError::new(place, format!("value {} of `domain` repeats an earlier one", at + 1))),
        None => Ok(domain),
    }
}

fn coarse(raw: &RawField, ty: &FieldType, place: &str) -> Result<Vec<String>, SchemaError> {
    let Some(coarse) = raw.coarse.clone() else {
        return Ok(Vec::new());
    };
    let wanted = ty.cardinality().unwrap_or(0);
    if coarse.len() != wanted || !labels_are_valid(&coarse) {
        let problem =
            format!("`coarse` has one label per value of the domain, {wanted} here, each 1-{MAX_LABEL_BYTES} bytes");
        return Err(SchemaError::new(place, problem));
    }
    Ok(coarse)
}

fn max_distinct(raw: &RawField, ty: &FieldType, of_event: bool, place: &str) -> Result<u32, SchemaError> {
    if !of_event {
        return match raw.max_distinct {
            None | Some(1) => Ok(1),
            Some(_) => {
                Err(SchemaError::new(place, "`max_distinct` belongs to event fields; an attribute has one value"))
            }
        };
    }
    let size = ty.cardinality();
    let most = u32::try_from(size.unwrap_or(MAX_DOMAIN)).unwrap_or(u32::MAX);
    let default = u32::try_from(size.unwrap_or(DEFAULT_MAX_DISTINCT).min(DEFAULT_MAX_DISTINCT)).unwrap_or(1);
    let given = raw.max_distinct.unwrap_or(default);
    if !(1..=most).contains(&given) {
        return Err(SchemaError::new(place, format!("`max_distinct` is 1-{most}")));
    }
    Ok(given)
}

fn bounds(
    raw: &RawField,
    place: &str,
    what: &str,
    read: impl Fn(&Value) -> Option<i64>,
) -> Result<(i64, i64), SchemaError> {
    let one = |key: &str, value: &Option<Value>| {
        let read = value.as_ref().and_then(&read);
        // Why not `i64::MIN`: it is how a missing number is stored.
        read.filter(|n| *n != i64::MIN).ok_or_else(|| SchemaError::new(place, format!("`{key}` is needed, {what}")))
    };
    let (min, max) = (one("min", &raw.min)?, one("max", &raw.max)?);
    if min > max {
        return Err(SchemaError::new(place, "`min` is at most `max`"));
    }
    Ok((min, max))
}

/// Reads a TOML number or decimal string in units of `10^-scale`. A TOML float counts as its shortest written form.
fn number(value: &Value, scale: u8) -> Option<i64> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Integer(n) => n.to_string(),
        Value::Float(x) => x.to_string(),
        _ => return None,
    };
    parse_scaled(&text, scale).ok()
}
