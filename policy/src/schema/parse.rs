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
//! [budget]                         # optional; most rho per calendar quarter and in a lifetime; `month` caps months too
//! quarter = "0.20"
//! lifetime = "0.80"
//!
//! [controller]                     # optional; who is responsible, for receipts and access packages
//! name = "Hill Farms Co-operative Ltd"
//! contact = "privacy@hillfarms.example"
//! address = "1 Hill Road, Hillbury"                 # this and what follows: optional
//! jurisdiction = "GB"
//! storage = "United Kingdom"
//! authority = "Information Commissioner's Office"
//!
//! [notice]                         # optional; what people are told when they are asked
//! name = "Privacy notice for members"
//! version = "3"
//! language = "en"                  # this and what follows: optional
//! url = "https://hillfarms.example/privacy/3"
//! sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"       # of its text
//! withdrawal = "In the shop, or at https://hillfarms.example/privacy"
//!
//! [rfm]                            # optional; bands of who bought lately, often and for much, for segments
//! event = "order"
//! amount = "amount"                # an integer or decimal field of the event, summed
//! purchase = "basket"              # optional: frequency counts distinct values of this field instead of events
//! window = "365d"                  # optional: only so many days before an epoch's end count
//! recency = [30, 90, 180, 365]     # rising days since the last: the best band up to the first, 1 past the last
//! frequency = [2, 4, 8, 16]        # rising purchases: 1 below the first, the best band from the last on
//! monetary = ["50.00", "150.00", "400.00", "1000.00"]     # rising sums, likewise
//!
//! [synopsis]                       # optional; one release a month, from which many questions are answered free
//! purpose = "marketing.portrait"   # it answers questions for this purpose, on this basis
//! basis = "consent"                # default; or "contract", "legitimate_interest"
//! fields = ["newsletter", "order.category"]    # 1-20 with closed lists of values
//! window = "90d"                   # optional: only so many days count for fields of events
//! rho = "0.03"                     # default; what each month's is charged, at most a third of the quarter's budget
//!
//! [[identities]]                   # optional: other identifiers that people are known by, each kind for itself
//! name = "visitor"
//! display = "Visitor of the web shop"               # default: the name
//! max_bytes = 64                   # 1-253
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
//! deprecated = true                # optional: takes no new values and is in no question, what is held stays readable
//!
//! [[attributes]]
//! name = "household"
//! class = "quasi_identifier"
//! type = "integer"
//! min = 1
//! max = 12
//! retention_days = 730             # optional; from the UTC day on which the value was last set
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
//! retention_days = 1095            # optional; from the event's time. Fields may say it too, for fewer days
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
//!
//!   [[events.fields]]
//!   name = "basket"
//!   class = "behavioral"
//!   type = "identifier"
//!   max_bytes = 16
//! ```

use super::field::{field, number};
use super::identity::{Identity, MAX_IDENTITIES, MAX_IDENTITY_BYTES};
use super::raw::{RawBudget, RawEvent, RawField, RawIdentity, RawSchema};
use super::{ColumnId, DatasetKind, EventType, EventTypeId, Field, FieldClass, FieldType, Schema};
use crate::id::{DatasetId, FieldName, OrganizationId, PopulationId, PurposeId};
use crate::privacy::{Caps, NanoRho};
use std::collections::BTreeSet;
use toml::{Spanned, Value};

/// Most rho a private dataset may lose in a calendar quarter, and the default: epsilon 3.9 at delta 1e-9.
pub const CAP_QUARTER: NanoRho = NanoRho(200_000_000);
/// Most rho a private dataset may lose in a lifetime, and the default: four full quarters, epsilon 8.4 at delta 1e-9.
pub const CAP_LIFETIME: NanoRho = NanoRho(800_000_000);
/// Events of one subject that count in an answer when the schema does not say.
const DEFAULT_MAX_PER_SUBJECT: u32 = 1_000;
/// Longest label or display text.
pub(super) const MAX_LABEL_BYTES: usize = 128;
const MAX_COLUMNS: usize = 1_024;
/// Fields of an event type: an entry of a journal counts them in one byte.
const MAX_EVENT_FIELDS: usize = 255;
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
    pub(super) fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
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
    let caps = doc.budget(raw.budget.as_ref(), kind)?;
    let controller = raw.controller.map(|raw| (doc.line(&raw), raw.into_inner()));
    let notice = raw.notice.map(|raw| (doc.line(&raw), raw.into_inner()));
    let attributes = doc.fields(&raw.attributes, "attribute", None)?;
    let events = doc.events(&raw.events, &attributes)?;
    let rfm =
        raw.rfm.as_ref().map(|raw| super::rfm::checked(raw.as_ref(), &format!("{}, [rfm]", doc.line(raw)), &events));
    let identities = doc.identities(&raw.identities, &attributes, &events)?;
    let mut schema = Schema {
        version: raw.version,
        organization: doc.name(&raw.organization, OrganizationId::new)?,
        population,
        display: display(raw.display, dataset.as_str(), "display")?,
        dataset,
        kind,
        time_zone: doc.time_zone(&raw.time_zone)?,
        subject_key: doc.subject_key(&raw.subject_key, &attributes)?,
        identities,
        attributes,
        events,
        purposes: doc.purposes(&raw.purposes)?,
        cap_quarter: caps.quarter,
        cap_lifetime: caps.lifetime,
        cap_month: caps.month,
        controller: controller.map(|(line, controller)| controller.checked(&line)).transpose()?,
        notice: notice.map(|(line, notice)| notice.checked(&line)).transpose()?,
        rfm: rfm.transpose()?,
        synopsis: None,
    };
    if let Some(raw) = &raw.synopsis {
        let place = format!("{}, [synopsis]", doc.line(raw));
        schema.synopsis = Some(super::synopsis::checked(raw.as_ref(), &place, &schema)?);
    }
    Ok(schema)
}

fn line(text: &str, offset: usize) -> String {
    let line = text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1;
    format!("line {line}")
}

pub(super) fn display(given: Option<String>, name: &str, place: &str) -> Result<String, SchemaError> {
    let shown = given.unwrap_or_else(|| name.to_owned());
    if shown.is_empty() || shown.len() > MAX_LABEL_BYTES || shown.chars().any(char::is_control) {
        return Err(SchemaError::new(
            place,
            format!("`display` is 1-{MAX_LABEL_BYTES} bytes without control characters"),
        ));
    }
    Ok(shown)
}

pub(super) fn retention(given: Option<u32>, place: &str) -> Result<Option<u32>, SchemaError> {
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
        let key = attributes
            .iter()
            .find(|field| field.name.as_str() == raw.as_ref())
            .filter(|field| matches!(field.ty, FieldType::Identifier { .. }) && field.class == FieldClass::Identifier)
            .filter(|field| !field.deprecated)
            .ok_or_else(|| {
                let problem =
                    "`subject_key` is the name of an attribute of type and class `identifier`, not deprecated";
                SchemaError::new(self.line(raw), problem)
            })?;
        if key.retention_days.is_some() {
            // A person without a key could not be found, asked about or erased any more.
            let problem =
                "`subject_key` names a person for as long as anything is held; leave its `retention_days` out";
            return Err(SchemaError::new(self.line(raw), problem));
        }
        Ok(key.column)
    }

    fn identities(
        &self,
        raw: &[RawIdentity],
        attributes: &[Field],
        events: &[EventType],
    ) -> Result<Vec<Identity>, SchemaError> {
        let names = attributes.iter().map(|field| &field.name).chain(events.iter().map(|event| &event.name));
        let mut taken: BTreeSet<FieldName> = names.cloned().collect();
        let mut identities = Vec::with_capacity(raw.len());
        for item in raw {
            let name = self.word(&item.name)?;
            let place = format!("{}, identity `{name}`", self.line(&item.name));
            if !taken.insert(name.clone()) {
                let problem = "this name is taken; attributes, events and identities share their names";
                return Err(SchemaError::new(place, problem));
            }
            if identities.len() == MAX_IDENTITIES {
                return Err(SchemaError::new(place, format!("at most {MAX_IDENTITIES} identities")));
            }
            if !(1..=MAX_IDENTITY_BYTES).contains(&item.max_bytes) {
                return Err(SchemaError::new(place, format!("`max_bytes` of an identity is 1-{MAX_IDENTITY_BYTES}")));
            }
            let display = display(item.display.clone(), name.as_str(), &place)?;
            identities.push(Identity { name, display, max_bytes: item.max_bytes });
        }
        Ok(identities)
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

    fn budget(&self, raw: Option<&Spanned<RawBudget>>, kind: DatasetKind) -> Result<Caps, SchemaError> {
        let Some(raw) = raw else {
            return Ok(Caps { quarter: CAP_QUARTER, lifetime: CAP_LIFETIME, month: None });
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
        let month = rho("month", &raw.as_ref().month)?;
        if month.is_some_and(|month| month > quarter) {
            return Err(SchemaError::new(place, "`month` is at most `quarter`"));
        }
        Ok(Caps { quarter, lifetime, month })
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
            let most = if event.is_some() { MAX_EVENT_FIELDS } else { MAX_COLUMNS };
            let column = u16::try_from(fields.len()).ok().filter(|n| usize::from(*n) < most);
            let column = column.ok_or_else(|| SchemaError::new(place.as_str(), format!("at most {most} fields")))?;
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
                deprecated: item.deprecated,
                name,
            });
        }
        Ok(events)
    }
}
