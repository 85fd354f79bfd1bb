//! A mapping checked against a schema: how files feed a dataset.
//!
//! Everything a mapping can get wrong without looking at a file is found here, and said with the place in the mapping
//! and what would be right. `deploy/datasets/README.md` shows every key.

mod collected;
mod compile;
mod values;

use super::encode::FieldSpec;
use super::error::MappingError;
use super::filter::Filter;
use super::lookup::LookupSpec;
use super::raw::{self, OnConflict};
use super::row::{Columns, Slot};
use super::source::FileFormat;
use super::value::ValueSpec;
use collected::Collected;
use policy::consent::{ConsentAct, LawfulBasis};
use policy::id::{DatasetId, PurposeId};
use policy::purpose::covers;
use policy::schema::{ColumnId, EventTypeId, IdentityKind, Schema};
use std::collections::HashMap;
use std::sync::Arc;

/// How files feed a dataset.
#[derive(Debug, Clone)]
pub struct Mapping {
    pub(super) dataset: DatasetId,
    pub(super) files: Vec<FileSpec>,
    warnings: Vec<String>,
}

/// One file, or several with one pattern.
#[derive(Debug, Clone)]
pub(super) struct FileSpec {
    pub path: String,
    /// What event ids are hashed with, so that a file under another name is still the same source.
    pub source: String,
    pub format: FileFormat,
    pub columns: Columns,
    pub subject: ValueSpec,
    /// Of which kind the subject keys are.
    pub identity: IdentityKind,
    /// Longest subject key, bytes.
    pub subject_max: usize,
    pub filter: Option<Filter>,
    pub lookups: Vec<LookupSpec>,
    pub profile: Option<ProfileSpec>,
    pub events: Vec<EventSpec>,
    pub consents: Vec<ConsentSpec>,
}

#[derive(Debug, Clone)]
pub(super) struct ProfileSpec {
    pub on_conflict: OnConflict,
    pub filter: Option<Filter>,
    pub attributes: Vec<ColumnId>,
    pub fields: Vec<FieldSpec>,
}

#[derive(Debug, Clone)]
pub(super) struct EventSpec {
    pub filter: Option<Filter>,
    pub ty: Choice<EventTypeId>,
    pub time: ValueSpec,
    /// The key columns; `None` is the whole row.
    pub key: Option<Vec<Slot>>,
    /// By event type number: its name and, in column order, how each field is filled.
    pub fields: HashMap<u16, (Arc<str>, Vec<Option<FieldSpec>>)>,
}

#[derive(Debug, Clone)]
pub(super) struct ConsentSpec {
    pub filter: Option<Filter>,
    pub purposes: Purposes,
    pub basis: Choice<LawfulBasis>,
    /// `None` is no act: the row says nothing about consent.
    pub act: Choice<Option<ConsentAct>>,
    pub time: ValueSpec,
    pub expires: Option<ValueSpec>,
    pub source: String,
    pub collected: Collected,
}

#[derive(Debug, Clone)]
pub(super) enum Purposes {
    Constant(Vec<PurposeId>),
    Column { value: Box<ValueSpec>, separator: Option<String>, known: HashMap<String, PurposeId> },
}

/// A constant, or a column whose texts stand for one of a few things.
#[derive(Debug, Clone)]
pub(super) enum Choice<T> {
    Constant(T),
    Column { value: Box<ValueSpec>, known: HashMap<String, T>, what: &'static str },
}

impl FileSpec {
    /// Returns the name of an event type that this file gives.
    pub fn event_name(&self, event: EventTypeId) -> Arc<str> {
        let name = self.events.iter().find_map(|spec| spec.fields.get(&event.0));
        name.map_or_else(|| "".into(), |(name, _)| Arc::clone(name))
    }
}

impl Mapping {
    /// Parses a mapping and checks it against its schema.
    pub fn parse(text: &str, schema: &Schema) -> Result<Self, MappingError> {
        let raw: raw::Mapping =
            toml::from_str(text).map_err(|error| MappingError::new("mapping", error.to_string().trim_end()))?;
        let files = compile::files(&raw, schema)?;
        let mut mapping = Self { dataset: schema.dataset.clone(), files, warnings: Vec::new() };
        mapping.warnings = mapping.consent_warnings(schema);
        Ok(mapping)
    }

    /// Returns the dataset that it feeds.
    pub fn dataset(&self) -> &DatasetId {
        &self.dataset
    }

    /// Returns what is allowed but hardly meant, in plain words.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn consent_warnings(&self, schema: &Schema) -> Vec<String> {
        let specs: Vec<&ConsentSpec> = self.files.iter().flat_map(|file| &file.consents).collect();
        if specs.is_empty() {
            return vec![
                "this mapping gives no consent: without one nobody's data may be used, and every answer will be noise \
                 around 0. Add [[consents]], or import a file of consents."
                    .to_owned(),
            ];
        }
        if specs.iter().any(|spec| matches!(spec.purposes, Purposes::Column { .. })) {
            return Vec::new();
        }
        let given = |purpose: &PurposeId| {
            specs.iter().any(|spec| match &spec.purposes {
                Purposes::Constant(list) => list.iter().any(|wide| covers(wide, purpose)),
                Purposes::Column { .. } => true,
            })
        };
        let missing: Vec<&str> = schema.purposes.iter().filter(|p| !given(p)).map(PurposeId::as_str).collect();
        if missing.is_empty() {
            return Vec::new();
        }
        vec![format!("this mapping gives no consent for {}: answers for it will be noise around 0", missing.join(", "))]
    }
}
