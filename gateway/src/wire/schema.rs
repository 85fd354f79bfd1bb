//! Datasets as they are described to callers.

use super::{names, time};
use policy::schema::{DatasetKind, EventType, Field, FieldClass, FieldRef, FieldType, Identity, Schema};
use policy::treatment::Treatment;
use proto::v1;
use sha2::{Digest, Sha256};
use vault::vault::EpochInfo;

/// Returns the hash that an ingest stream names, so that codes and columns mean the same on both sides.
pub fn hash(schema: &Schema) -> Vec<u8> {
    let canonical = serde_json::to_vec(schema).unwrap_or_default();
    Sha256::digest(canonical).to_vec()
}

/// Whom a description is for.
pub enum Reader<'a> {
    /// May read the catalog: sees everything, without treatments.
    Catalog,
    /// May read the catalog and named a use: sees everything, with treatments.
    CatalogFor(&'a dyn Fn(FieldRef) -> Treatment),
    /// Sees what is granted for a use, and of the rest nothing.
    Granted(&'a dyn Fn(FieldRef) -> Treatment),
}

impl Reader<'_> {
    /// Returns the treatment to state; `None` hides the field.
    fn treatment(&self, field: FieldRef) -> Option<v1::Treatment> {
        match self {
            Self::Catalog => Some(v1::Treatment::Unspecified),
            Self::CatalogFor(table) => Some(treatment(table(field))),
            Self::Granted(table) => Some(table(field)).filter(|granted| *granted > Treatment::Deny).map(treatment),
        }
    }
}

/// Describes a dataset.
pub fn dataset(schema: &Schema, version: u32, epoch: Option<EpochInfo>, reader: &Reader<'_>) -> v1::Dataset {
    let attributes = schema.attributes.iter();
    let key = schema.attributes.get(usize::from(schema.subject_key.0));
    let whole = !matches!(reader, Reader::Granted(_));
    v1::Dataset {
        name: names::of_dataset(&schema.dataset),
        display: schema.display.clone(),
        organization: format!("organizations/{}", schema.organization),
        population: schema.population.to_string(),
        test: schema.kind == DatasetKind::Test,
        time_zone: schema.time_zone.clone(),
        subject_key: key.filter(|_| whole).map(|key| key.name.to_string()).unwrap_or_default(),
        attributes: attributes.filter_map(|f| field(f, FieldRef::Attribute(f.column), reader)).collect(),
        events: schema.events.iter().filter_map(|e| event(e, reader)).collect(),
        purposes: schema.purposes.iter().map(ToString::to_string).collect(),
        schema_hash: hash(schema),
        epoch: epoch.map_or(0, |epoch| epoch.epoch.0),
        epoch_close_time: epoch.map(|epoch| time::encode(epoch.as_of)),
        schema_version: version,
        identities: schema.identities.iter().filter(|_| whole).map(identity).collect(),
    }
}

fn identity(identity: &Identity) -> v1::Identity {
    let Identity { name, display, max_bytes } = identity;
    v1::Identity { name: name.to_string(), display: display.clone(), max_bytes: u32::from(*max_bytes) }
}

fn event(event: &EventType, reader: &Reader<'_>) -> Option<v1::EventType> {
    let EventType { id, name, fields, display, max_per_subject, retention_days, deprecated } = event;
    let treatment = reader.treatment(FieldRef::Event(*id))?;
    let fields = fields.iter().filter_map(|f| field(f, FieldRef::EventField(*id, f.column), reader)).collect();
    Some(v1::EventType {
        name: name.to_string(),
        display: display.clone(),
        fields,
        max_per_subject: *max_per_subject,
        treatment: treatment.into(),
        deprecated: *deprecated,
        retention_days: retention_days.unwrap_or(0),
    })
}

fn field(field: &Field, reference: FieldRef, reader: &Reader<'_>) -> Option<v1::Field> {
    let treatment = reader.treatment(reference)?;
    let (min, max, scale, max_bytes) = match &field.ty {
        FieldType::Enum { .. } | FieldType::Bool => (0, 0, 0, 0),
        FieldType::Integer { min, max } => (*min, *max, 0, 0),
        FieldType::Decimal { scale, min, max } => (*min, *max, u32::from(*scale), 0),
        FieldType::Date { min, max } => (i64::from(*min), i64::from(*max), 0, 0),
        FieldType::Identifier { max_bytes } => (0, 0, 0, u32::from(*max_bytes)),
    };
    Some(v1::Field {
        name: field.name.to_string(),
        display: field.display.clone(),
        class: class(field.class).into(),
        kind: kind(&field.ty).into(),
        labels: field.ty.labels().unwrap_or_default().into_iter().map(str::to_owned).collect(),
        min,
        max,
        scale,
        max_bytes,
        max_per_subject: field.max_distinct,
        treatment: treatment.into(),
        deprecated: field.deprecated,
        retention_days: field.retention_days.unwrap_or(0),
    })
}

/// Writes the kind of a type.
pub(super) fn kind(ty: &FieldType) -> v1::FieldKind {
    match ty {
        FieldType::Enum { .. } => v1::FieldKind::Enum,
        FieldType::Bool => v1::FieldKind::Bool,
        FieldType::Integer { .. } => v1::FieldKind::Integer,
        FieldType::Decimal { .. } => v1::FieldKind::Decimal,
        FieldType::Date { .. } => v1::FieldKind::Date,
        FieldType::Identifier { .. } => v1::FieldKind::Identifier,
    }
}

/// Writes a class.
pub(super) fn class(class: FieldClass) -> v1::FieldClass {
    match class {
        FieldClass::Identifier => v1::FieldClass::Identifier,
        FieldClass::QuasiIdentifier => v1::FieldClass::QuasiIdentifier,
        FieldClass::Sensitive => v1::FieldClass::Sensitive,
        FieldClass::Behavioral => v1::FieldClass::Behavioral,
        FieldClass::NonPersonal => v1::FieldClass::NonPersonal,
    }
}

fn treatment(treatment: Treatment) -> v1::Treatment {
    match treatment {
        Treatment::Deny => v1::Treatment::Deny,
        Treatment::Aggregate => v1::Treatment::Aggregate,
        Treatment::Pseudonymise => v1::Treatment::Pseudonymise,
        Treatment::Generalise => v1::Treatment::Generalise,
        Treatment::Mask => v1::Treatment::Mask,
        Treatment::Clear => v1::Treatment::Clear,
    }
}
