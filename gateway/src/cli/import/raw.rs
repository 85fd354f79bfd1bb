//! The mapping as written in TOML. Unknown keys are errors; nothing here is checked against a schema yet.

use super::moment::Part;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use std::collections::BTreeMap;
use std::fmt;

/// A whole mapping.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mapping {
    pub version: u32,
    pub dataset: String,
    pub source: Option<String>,
    #[serde(default)]
    pub format: Format,
    pub files: Vec<File>,
    #[serde(default)]
    pub consents: Vec<Consent>,
}

/// How a file is written.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Format {
    pub encoding: Option<String>,
    pub delimiter: Option<String>,
    pub quote: Option<String>,
    pub comment: Option<String>,
    pub decimal_mark: Option<String>,
    pub thousands: Option<String>,
    pub null: Option<Vec<String>>,
    pub trim: Option<bool>,
    pub columns: Option<Vec<String>>,
    pub skip_lines: Option<u64>,
    pub time_format: Option<String>,
    pub time_zone: Option<String>,
}

/// One file, or several with one pattern.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub path: String,
    pub name: Option<String>,
    #[serde(default)]
    pub format: Format,
    pub subject: Value,
    #[serde(default)]
    pub identity: String,
    #[serde(rename = "where")]
    pub filter: Option<Filter>,
    #[serde(default)]
    pub lookups: BTreeMap<String, Lookup>,
    pub profile: Option<Profile>,
    #[serde(default)]
    pub events: Vec<Event>,
    #[serde(default)]
    pub consents: Vec<Consent>,
}

/// A second file, joined by key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lookup {
    pub path: String,
    pub key: String,
    pub by: Value,
    #[serde(default)]
    pub missing: Missing,
    #[serde(default)]
    pub repeated: Repeated,
    #[serde(default)]
    pub format: Format,
}

/// What happens to a row whose key the lookup does not hold.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Missing {
    #[default]
    Null,
    Quarantine,
}

/// Which row of a lookup counts when a key is there twice.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Repeated {
    #[default]
    First,
    Last,
}

/// Which profile of a subject counts when rows differ.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnConflict {
    First,
    Last,
    #[default]
    Quarantine,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    #[serde(default)]
    pub on_conflict: OnConflict,
    #[serde(rename = "where")]
    pub filter: Option<Filter>,
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    #[serde(rename = "type")]
    pub ty: Value,
    pub time: Value,
    pub id: Option<Vec<String>>,
    #[serde(rename = "where")]
    pub filter: Option<Filter>,
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Consent {
    pub purposes: Option<Vec<String>>,
    pub purpose: Option<Value>,
    pub separator: Option<String>,
    pub basis: Option<Value>,
    pub act: Option<Value>,
    pub time: Value,
    pub expires: Option<Value>,
    pub source: Option<String>,
    pub notice: Option<Value>,
    pub method: Option<Value>,
    pub language: Option<Value>,
    #[serde(rename = "where")]
    pub filter: Option<Filter>,
}

/// A value: a bare string (a column, or a constant where the context says so) or a table.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Table(Box<ValueTable>),
}

/// Where a value comes from and what is done to it.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ValueTable {
    pub column: Option<String>,
    pub columns: Option<Vec<String>>,
    pub join: Option<String>,
    pub multiply: Option<Vec<String>>,
    pub constant: Option<toml::Value>,
    #[serde(default)]
    pub row_number: bool,
    pub lookup: Option<String>,
    pub unmatched: Option<String>,
    pub null: Option<Vec<String>>,
    pub trim: Option<bool>,
    pub strip: Option<String>,
    pub strip_prefix: Option<String>,
    #[serde(rename = "as")]
    pub cast: Option<Cast>,
    pub decimal_mark: Option<String>,
    pub thousands: Option<String>,
    pub format: Option<String>,
    pub zone: Option<String>,
    pub part: Option<Part>,
    #[serde(default)]
    pub map: BTreeMap<String, toml::Value>,
    pub otherwise: Option<String>,
    #[serde(default)]
    pub bands: Vec<Band>,
    pub default: Option<toml::Value>,
    pub prefix: Option<String>,
    #[serde(default)]
    pub round: bool,
    #[serde(default)]
    pub clamp: bool,
}

/// A form that a text is brought into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cast {
    /// A whole number without decimal mark or exponent: `17850.0` is `17850`.
    Integer,
}

/// A range of numbers and its label.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Band {
    pub from: Option<toml::Value>,
    pub to: Option<toml::Value>,
    pub below: Option<toml::Value>,
    pub label: String,
}

/// A condition on a row. All the tests of one table must hold.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    pub all: Option<Vec<Filter>>,
    pub any: Option<Vec<Filter>>,
    pub not: Option<Box<Filter>>,
    pub column: Option<String>,
    pub value: Option<Value>,
    pub equals: Option<OneOrMany>,
    pub not_equals: Option<OneOrMany>,
    pub starts_with: Option<OneOrMany>,
    pub not_starts_with: Option<OneOrMany>,
    pub ends_with: Option<OneOrMany>,
    pub not_ends_with: Option<OneOrMany>,
    pub contains: Option<OneOrMany>,
    pub not_contains: Option<OneOrMany>,
    pub empty: Option<bool>,
    pub less_than: Option<toml::Value>,
    pub at_most: Option<toml::Value>,
    pub greater_than: Option<toml::Value>,
    pub at_least: Option<toml::Value>,
}

/// One text or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    Many(Vec<toml::Value>),
    One(toml::Value),
}

/// Returns a plain value's text; `None` for lists and tables.
pub(super) fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Datetime(at) => Some(at.to_string()),
        toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;

        impl<'de> Visitor<'de> for TextOrTable {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a column, or a table such as { constant = \"..\" }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
                ValueTable::deserialize(MapAccessDeserializer::new(map)).map(|table| Value::Table(Box::new(table)))
            }
        }

        deserializer.deserialize_any(TextOrTable)
    }
}
