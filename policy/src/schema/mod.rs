//! A dataset described: attributes, event types and their fields, classes, public domains and bounds, purposes.
//!
//! Everything here is public knowledge about a dataset and never about a person: prices, half-widths, sensitivities
//! and error texts may use it freely. A [`Schema`] is only built by checked constructors, so every column id, domain
//! and bound in it is consistent. Column ids are dense, appended and never reused; codes of a domain likewise.

mod controller;
mod encode;
mod evolve;
mod field;
mod identity;
pub(crate) mod number;
mod parse;
mod raw;
mod rfm;
mod synopsis;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;

pub use controller::{Controller, Notice};
pub use encode::{EncodeError, Encoded, Encoder};
pub use evolve::{Difference, EvolveError, Evolved, evolve};
pub use identity::{Identity, IdentityKind};
pub use parse::{CAP_LIFETIME, CAP_QUARTER, SchemaError, parse};
pub use rfm::{CutPoints, PublicCuts, Rfm};
pub use synopsis::{DEFAULT_SYNOPSIS_RHO, MAX_SYNOPSIS_CELLS, MAX_SYNOPSIS_FIELDS, Synopsis};

use crate::id::{DatasetId, FieldName, OrganizationId, PopulationId, PurposeId};
use crate::privacy::{Caps, NanoRho};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How far a field identifies a person; policies speak about classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldClass {
    /// Names a person: e-mail, customer number. Never in an aggregate.
    Identifier,
    /// May single a person out in combination: age band, region.
    QuasiIdentifier,
    /// Special category: health, belief, income of a household. Denied by the policies that ship.
    Sensitive,
    /// What a person did.
    Behavioral,
    /// Says nothing about a person.
    NonPersonal,
}

impl FieldClass {
    /// All classes, most identifying first.
    pub const ALL: [Self; 5] =
        [Self::Identifier, Self::QuasiIdentifier, Self::Sensitive, Self::Behavioral, Self::NonPersonal];

    /// Returns the name in rules and in schema files: `quasi_identifier`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identifier => "identifier",
            Self::QuasiIdentifier => "quasi_identifier",
            Self::Sensitive => "sensitive",
            Self::Behavioral => "behavioral",
            Self::NonPersonal => "non_personal",
        }
    }
}

/// What kind of dataset this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatasetKind {
    /// The default: the ledger's cap is the promise.
    Private,
    /// Any cap; every answer is stamped NOT PRIVATE.
    Test,
}

/// A column's number within its group (attributes, or one event type). Appended, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ColumnId(pub u16);

/// An event type's number within its dataset. Appended, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventTypeId(pub u16);

/// The type of a field and its public bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldType {
    /// One of a public, closed list. Stored as code 1 for the first value, 0 for missing. At most 4,096 values.
    Enum {
        /// The public domain, in code order.
        domain: Vec<String>,
    },
    /// Stored as code 1 for false, 2 for true, 0 for missing.
    Bool,
    /// A whole number within inclusive bounds.
    Integer {
        /// Smallest allowed value.
        min: i64,
        /// Largest allowed value.
        max: i64,
    },
    /// A decimal stored as an integer of `10^-scale` units, within inclusive bounds in those units.
    Decimal {
        /// Digits after the decimal mark, 0-9.
        scale: u8,
        /// Smallest allowed value in units.
        min: i64,
        /// Largest allowed value in units.
        max: i64,
    },
    /// A day, stored as days since 1970-01-01, within inclusive bounds.
    Date {
        /// First allowed day.
        min: i32,
        /// Last allowed day.
        max: i32,
    },
    /// A byte string of at most `max_bytes`; sealed, never scanned, only matched by its owner.
    Identifier {
        /// Longest allowed value in bytes of UTF-8, at most 255.
        max_bytes: u8,
    },
}

/// How a column is laid out in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// One byte a row: dictionary codes, 0 is missing. Domains of up to 255 values, and bool.
    Code8,
    /// Two bytes a row, little endian: dictionary codes, 0 is missing.
    Code16,
    /// Eight bytes a row, little endian, two's complement; missing is [`i64::MIN`], which no bound admits.
    Int64,
    /// Length-prefixed bytes; empty is missing.
    Bytes,
}

impl FieldType {
    /// Returns how a column of this type is stored.
    pub fn layout(&self) -> Layout {
        match self {
            Self::Enum { domain } if domain.len() <= 255 => Layout::Code8,
            Self::Enum { .. } => Layout::Code16,
            Self::Bool => Layout::Code8,
            Self::Integer { .. } | Self::Decimal { .. } | Self::Date { .. } => Layout::Int64,
            Self::Identifier { .. } => Layout::Bytes,
        }
    }

    /// Returns the labels of the codes 1.. for closed domains; `None` where the domain is not a list.
    pub fn labels(&self) -> Option<Vec<&str>> {
        match self {
            Self::Enum { domain } => Some(domain.iter().map(String::as_str).collect()),
            Self::Bool => Some(vec!["false", "true"]),
            _ => None,
        }
    }
}

/// An attribute of a subject, or a field of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its column, equal to its position in its group.
    pub column: ColumnId,
    /// Its name, unique in its group.
    pub name: FieldName,
    /// How far it identifies a person.
    pub class: FieldClass,
    /// Its type and public bounds.
    pub ty: FieldType,
    /// For portraits and pictures: the words a person sees.
    pub display: String,
    /// For event fields with a closed domain: most distinct values one subject may contribute to (the L0 bound of a
    /// breakdown over it). Attributes: always 1.
    pub max_distinct: u32,
    /// Groups of domain values, for `generalise`: for each code (from 1) the label that stands for it. Empty when the
    /// field has none; then `generalise` shows the value only if the domain itself is already coarse (a band).
    pub coarse: Vec<String>,
    /// Days a value is kept: of an event's field from the event's time, of an attribute from the UTC day on which it was
    /// last set. `None` is for as long as the dataset exists, and so it is for the subject key.
    pub retention_days: Option<u32>,
    /// Takes no new values and is in no question; what is held of it is still shown to its person. Left out of the hash
    /// where it is not so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
}

/// A type of event and its fields. Every event also has a subject, a time and an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventType {
    /// Its number, equal to its position in the schema.
    pub id: EventTypeId,
    /// Its name, unique in the dataset.
    pub name: FieldName,
    /// Its fields, `fields[i].column == i`.
    pub fields: Vec<Field>,
    /// For people: the words of this event.
    pub display: String,
    /// Most events of one subject that count in an answer; later ones by time are kept but not counted.
    pub max_per_subject: u32,
    /// Days an event is kept; `None` is for as long as the dataset exists.
    pub retention_days: Option<u32>,
    /// Takes no new events and is in no question, as [`Field::deprecated`] says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
}

/// A dataset's description. Built by [`parse`]; a value of this type is consistent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Format version of this description: 1.
    pub version: u32,
    /// The dataset.
    pub dataset: DatasetId,
    /// Its owner; immutable.
    pub organization: OrganizationId,
    /// Whose privacy its ledger protects.
    pub population: PopulationId,
    /// For people: what this dataset is.
    pub display: String,
    /// Private, or test.
    pub kind: DatasetKind,
    /// IANA time zone: days, windows and epochs are read in it.
    pub time_zone: String,
    /// The identifier attribute that names a subject in ingest; exactly one.
    pub subject_key: ColumnId,
    /// Other kinds of identifiers that name subjects, see [`IdentityKind`]. Left out of the hash where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<Identity>,
    /// Attributes, `attributes[i].column == i`.
    pub attributes: Vec<Field>,
    /// Event types, `events[i].id == i`.
    pub events: Vec<EventType>,
    /// Purposes people may consent to; parents are implied by the dots.
    pub purposes: Vec<PurposeId>,
    /// Most loss per calendar quarter.
    pub cap_quarter: NanoRho,
    /// Most loss in a lifetime.
    pub cap_lifetime: NanoRho,
    /// Most loss per calendar month, if it has such a cap too. Left out of the hash where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap_month: Option<NanoRho>,
    /// Who is responsible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<Controller>,
    /// What people are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
    /// Bands of who bought lately, often and for much. Left out of the hash where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rfm: Option<Rfm>,
    /// What is released each month for questions to be answered from. Not in the hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synopsis: Option<Synopsis>,
}

/// A reference to a field of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FieldRef {
    /// An attribute of the subject.
    Attribute(ColumnId),
    /// A field of an event type.
    EventField(EventTypeId, ColumnId),
    /// An event type as such: that it happened, and when.
    Event(EventTypeId),
}

/// Writes bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Schema {
    /// Finds an attribute by name.
    pub fn attribute(&self, name: &str) -> Option<&Field> {
        self.attributes.iter().find(|field| field.name.as_str() == name)
    }

    /// Finds a kind of identifier by name; an empty name, and that of the subject key, are the subject key's.
    pub fn identity_kind(&self, name: &str) -> Option<IdentityKind> {
        if name.is_empty() || self.identity_name(IdentityKind::SUBJECT_KEY).is_some_and(|key| key.as_str() == name) {
            return Some(IdentityKind::SUBJECT_KEY);
        }
        let at = self.identities.iter().position(|identity| identity.name.as_str() == name)?;
        u8::try_from(at + 1).ok().map(IdentityKind)
    }

    /// Returns the name of a kind of identifier; `None` for a kind of another schema.
    pub fn identity_name(&self, kind: IdentityKind) -> Option<&FieldName> {
        match usize::from(kind.0).checked_sub(1) {
            None => self.attributes.get(usize::from(self.subject_key.0)).map(|field| &field.name),
            Some(at) => self.identities.get(at).map(|identity| &identity.name),
        }
    }

    /// Returns the most bytes of an identifier of a kind; `None` for a kind of another schema. The subject key's own bound
    /// is that of its column and is not asked here.
    pub fn identity_bytes(&self, kind: IdentityKind) -> Option<usize> {
        match usize::from(kind.0).checked_sub(1) {
            None => Some(255),
            Some(at) => self.identities.get(at).map(|identity| usize::from(identity.max_bytes)),
        }
    }

    /// Returns the purpose that links of people need consent to, if people of this dataset are asked about it.
    pub fn linking(&self) -> Option<&PurposeId> {
        self.purposes.iter().find(|purpose| purpose.as_str() == crate::purpose::LINKING)
    }

    /// Finds an event type by name.
    pub fn event(&self, name: &str) -> Option<&EventType> {
        self.events.iter().find(|event| event.name.as_str() == name)
    }

    /// Finds the field a reference names; `None` for [`FieldRef::Event`] and for references of another schema.
    pub fn field(&self, reference: FieldRef) -> Option<&Field> {
        match reference {
            FieldRef::Attribute(column) => self.attributes.get(usize::from(column.0)),
            FieldRef::EventField(event, column) => {
                self.events.get(usize::from(event.0))?.fields.get(usize::from(column.0))
            }
            FieldRef::Event(_) => None,
        }
    }

    /// Returns a reference's written form: `age_band`, `order.category`, `order`.
    pub fn path(&self, reference: FieldRef) -> String {
        match reference {
            FieldRef::Attribute(_) => self.field(reference).map_or_else(String::new, |f| f.name.to_string()),
            FieldRef::EventField(event, _) => {
                let event = self.events.get(usize::from(event.0)).map_or("", |e| e.name.as_str());
                let field = self.field(reference).map_or("", |f| f.name.as_str());
                format!("{event}.{field}")
            }
            FieldRef::Event(event) => {
                self.events.get(usize::from(event.0)).map_or_else(String::new, |e| e.name.to_string())
            }
        }
    }

    /// Resolves a written form (`age_band`, `order.category`, `order`) to a reference.
    pub fn resolve(&self, path: &str) -> Option<FieldRef> {
        if let Some((event, field)) = path.split_once('.') {
            let event = self.event(event)?;
            let field = event.fields.iter().find(|f| f.name.as_str() == field)?;
            return Some(FieldRef::EventField(event.id, field.column));
        }
        match self.attribute(path) {
            Some(field) => Some(FieldRef::Attribute(field.column)),
            None => Some(FieldRef::Event(self.event(path)?.id)),
        }
    }

    /// Returns every field reference of the schema: attributes, then each event type and its fields.
    pub fn references(&self) -> Vec<FieldRef> {
        let mut all: Vec<FieldRef> = self.attributes.iter().map(|f| FieldRef::Attribute(f.column)).collect();
        for event in &self.events {
            all.push(FieldRef::Event(event.id));
            all.extend(event.fields.iter().map(|f| FieldRef::EventField(event.id, f.column)));
        }
        all
    }

    /// Returns the class of a reference; an event as such is [`FieldClass::Behavioral`].
    pub fn class(&self, reference: FieldRef) -> FieldClass {
        self.field(reference).map_or(FieldClass::Behavioral, |f| f.class)
    }

    /// Says whether a reference takes no new values and is in no question: it is deprecated, or its event type is.
    pub fn is_deprecated(&self, reference: FieldRef) -> bool {
        let event = |event: EventTypeId| self.events.get(usize::from(event.0)).is_some_and(|event| event.deprecated);
        let of_event = match reference {
            FieldRef::Event(of) | FieldRef::EventField(of, _) => event(of),
            FieldRef::Attribute(_) => false,
        };
        of_event || self.field(reference).is_some_and(|field| field.deprecated)
    }

    /// Returns the hash of the description: SHA-256 of its JSON, in hex. Equal schemas, equal hashes. Who is responsible, what
    /// people are told and what the monthly synopsis is of are left out: no answer to a question depends on them.
    pub fn hash(&self) -> String {
        let described = Self { controller: None, notice: None, synopsis: None, ..self.clone() };
        // Why no error: a struct of names, numbers and lists always has a JSON form.
        let json = serde_json::to_vec(&described).unwrap_or_default();
        hex(&Sha256::digest(json))
    }

    /// Returns the caps of its ledger.
    pub fn caps(&self) -> Caps {
        Caps { quarter: self.cap_quarter, lifetime: self.cap_lifetime, month: self.cap_month }
    }
}
