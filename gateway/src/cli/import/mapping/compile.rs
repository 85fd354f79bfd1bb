//! Compiles the files of a mapping: profiles, events and consents against the schema.

use super::collected::Collected;
use super::values::{Values, format, merged, wrong};
use super::{Choice, ConsentSpec, EventSpec, FileSpec, ProfileSpec, Purposes};
use crate::cli::import::encode::FieldSpec;
use crate::cli::import::error::MappingError;
use crate::cli::import::lookup::LookupSpec;
use crate::cli::import::raw::{self, Missing};
use crate::cli::import::row::Columns;
use policy::consent::{ConsentAct, LawfulBasis};
use policy::id::PurposeId;
use policy::purpose::covers;
use policy::schema::{EventType, EventTypeId, Field, FieldType, IdentityKind, Schema};
use std::collections::{BTreeMap, HashMap};

type Result<T> = std::result::Result<T, MappingError>;

/// The version of the mapping language.
const VERSION: u32 = 1;

/// Compiles every file of a mapping.
pub(super) fn files(raw: &raw::Mapping, schema: &Schema) -> Result<Vec<FileSpec>> {
    if raw.version != VERSION {
        return Err(MappingError::new("version", format!("this gateway reads version {VERSION}")));
    }
    if raw.dataset != schema.dataset.as_str() {
        return Err(MappingError::new("dataset", format!("the schema is of the dataset `{}`", schema.dataset)));
    }
    if raw.files.is_empty() {
        return Err(MappingError::new("files", "at least one [[files]] is needed"));
    }
    let source = raw.source.as_deref().unwrap_or(&raw.dataset);
    let mut files = Vec::new();
    for (at, file) in raw.files.iter().enumerate() {
        let compiler = Compiler { schema, raw, place: format!("files[{at}] ({})", file.path) };
        files.push(compiler.file(file, source)?);
    }
    Ok(files)
}

struct Compiler<'a> {
    schema: &'a Schema,
    raw: &'a raw::Mapping,
    place: String,
}

impl Compiler<'_> {
    fn file(&self, raw: &raw::File, source: &str) -> Result<FileSpec> {
        let place = &self.place;
        if raw.profile.is_none() && raw.events.is_empty() && raw.consents.is_empty() && self.raw.consents.is_empty() {
            return Err(MappingError::new(
                place,
                "it feeds nothing: write [files.profile], [[files.events]] or [[files.consents]]",
            ));
        }
        let (file_format, defaults) = format(&merged(&raw.format, &self.raw.format), &self.schema.time_zone, place)?;
        let mut values = Values { defaults: &defaults, columns: Columns::default(), lookups: BTreeMap::new() };
        let mut keys = HashMap::new();
        for (at, (name, lookup)) in raw.lookups.iter().enumerate() {
            let by = values.value(&lookup.by, &[], &format!("{place}.lookups.{name}.by"))?;
            let mut columns = Columns::default();
            columns.slot(&lookup.key);
            keys.insert(name.clone(), by);
            values.lookups.insert(name.clone(), (at, columns));
        }
        let subject = values.value(&raw.subject, &[], &format!("{place}.subject"))?;
        let identity = self.schema.identity_kind(&raw.identity).ok_or_else(|| {
            let problem = "names none of the schema's identities; leave it out for the subject key";
            MappingError::new(format!("{place}.identity"), problem)
        })?;
        let filter = values.filter(raw.filter.as_ref(), place)?;
        let profile = raw.profile.as_ref().map(|profile| self.profile(&mut values, profile)).transpose()?;
        let mut events = Vec::new();
        for (at, event) in raw.events.iter().enumerate() {
            events.push(self.event(&mut values, event, &format!("{place}.events[{at}]"))?);
        }
        let mut consents = Vec::new();
        for (at, consent) in raw.consents.iter().chain(&self.raw.consents).enumerate() {
            consents.push(self.consent(&mut values, consent, &format!("{place}.consents[{at}]"))?);
        }
        let Values { columns, lookups: wanted, .. } = values;
        let mut lookups = Vec::new();
        for (name, lookup) in &raw.lookups {
            let by = keys.remove(name).ok_or_else(|| MappingError::new(place, "a lookup without a key"))?;
            // A lookup's file has the usual format unless it says otherwise; the file's own format is not inherited.
            let (format, defaults) = format(&merged(&lookup.format, &self.raw.format), &self.schema.time_zone, place)?;
            lookups.push(LookupSpec {
                name: name.as_str().into(),
                path: lookup.path.clone(),
                by,
                required: lookup.missing == Missing::Quarantine,
                repeated: lookup.repeated,
                format,
                trim: defaults.trim,
                columns: wanted.get(name).map(|(_, columns)| columns.clone()).unwrap_or_default(),
            });
        }
        Ok(FileSpec {
            path: raw.path.clone(),
            source: format!("{source}/{}", raw.name.as_deref().unwrap_or(&raw.path)),
            format: file_format,
            columns,
            subject,
            identity,
            subject_max: self.subject_max(identity),
            filter,
            lookups,
            profile,
            events,
            consents,
        })
    }

    fn subject_max(&self, identity: IdentityKind) -> usize {
        if identity != IdentityKind::SUBJECT_KEY {
            return self.schema.identity_bytes(identity).unwrap_or(0);
        }
        let key = self.schema.attributes.get(usize::from(self.schema.subject_key.0));
        match key.map(|field| &field.ty) {
            Some(FieldType::Identifier { max_bytes }) => usize::from(*max_bytes),
            _ => usize::from(u8::MAX),
        }
    }

    fn profile(&self, values: &mut Values<'_>, raw: &raw::Profile) -> Result<ProfileSpec> {
        let place = format!("{}.profile", self.place);
        let filter = values.filter(raw.filter.as_ref(), &place)?;
        let (mut attributes, mut fields) = (Vec::new(), Vec::new());
        for (name, value) in &raw.fields {
            let place = format!("{place}.fields");
            let field = self.schema.attribute(name).ok_or_else(|| unknown(&place, name, &self.schema.attributes))?;
            if field.column == self.schema.subject_key {
                return Err(wrong(&place, name, "the subject key is given by `subject`"));
            }
            attributes.push(field.column);
            fields.push(field_spec(values, value, field, name, &format!("{place}.{name}"))?);
        }
        Ok(ProfileSpec { on_conflict: raw.on_conflict, filter, attributes, fields })
    }

    fn event(&self, values: &mut Values<'_>, raw: &raw::Event, place: &str) -> Result<EventSpec> {
        let names: Vec<&str> = self.schema.events.iter().map(|event| event.name.as_str()).collect();
        let known: HashMap<String, EventTypeId> =
            self.schema.events.iter().map(|event| (event.name.to_string(), event.id)).collect();
        let ty = choice(values, &raw.ty, known, "an event type", &names, &format!("{place}.type"))?;
        let types = self.types(&ty, &raw.ty);
        for name in raw.fields.keys() {
            if !types.iter().any(|event| event.fields.iter().any(|field| field.name.as_str() == name)) {
                let fields: Vec<Field> = types.iter().flat_map(|event| event.fields.clone()).collect();
                return Err(unknown(&format!("{place}.fields"), name, &fields));
            }
        }
        let mut fields = HashMap::new();
        for event in types {
            let mut specs = Vec::new();
            for field in &event.fields {
                let value = raw.fields.get(field.name.as_str());
                let path = format!("{}.{}", event.name, field.name);
                let place = format!("{place}.fields.{}", field.name);
                specs.push(value.map(|value| field_spec(values, value, field, &path, &place)).transpose()?);
            }
            fields.insert(event.id.0, (event.name.as_str().into(), specs));
        }
        let key = raw.id.as_ref().map(|names| names.iter().map(|name| values.columns.slot(name)).collect());
        Ok(EventSpec {
            filter: values.filter(raw.filter.as_ref(), place)?,
            ty,
            time: values.value(&raw.time, &[], &format!("{place}.time"))?,
            key,
            fields,
        })
    }

    /// Returns the event types that a mapping's `type` can give: the constant, what its map gives, or any.
    fn types(&self, ty: &Choice<EventTypeId>, raw: &raw::Value) -> Vec<&EventType> {
        let given = |event: &&EventType| match (ty, raw) {
            (Choice::Constant(id), _) => event.id == *id,
            (Choice::Column { value, .. }, raw::Value::Table(table)) if !table.map.is_empty() => {
                value.map.values().any(|name| name == event.name.as_str())
            }
            _ => true,
        };
        self.schema.events.iter().filter(given).collect()
    }

    fn consent(&self, values: &mut Values<'_>, raw: &raw::Consent, place: &str) -> Result<ConsentSpec> {
        let bases = HashMap::from([
            ("consent".to_owned(), LawfulBasis::Consent),
            ("contract".to_owned(), LawfulBasis::Contract),
            ("legitimate_interest".to_owned(), LawfulBasis::LegitimateInterest),
        ]);
        let acts = HashMap::from([
            ("give".to_owned(), Some(ConsentAct::Give)),
            ("withdraw".to_owned(), Some(ConsentAct::Withdraw)),
            ("none".to_owned(), None),
        ]);
        let basis = raw::Value::Text("consent".to_owned());
        let act = raw::Value::Text("give".to_owned());
        let (basis, act) = (raw.basis.as_ref().unwrap_or(&basis), raw.act.as_ref().unwrap_or(&act));
        let source = raw.source.clone().unwrap_or_else(|| "import".to_owned());
        if source.len() > 63 {
            return Err(wrong(place, "source", "at most 63 characters"));
        }
        let base_names = ["consent", "contract", "legitimate_interest"];
        Ok(ConsentSpec {
            filter: values.filter(raw.filter.as_ref(), place)?,
            purposes: self.purposes(values, raw, place)?,
            basis: choice(values, basis, bases, "a lawful basis", &base_names, &format!("{place}.basis"))?,
            act: choice(values, act, acts, "give or withdraw", &["give", "withdraw", "none"], &format!("{place}.act"))?,
            time: values.value(&raw.time, &[], &format!("{place}.time"))?,
            expires: raw.expires.as_ref().map(|v| values.value(v, &[], &format!("{place}.expires"))).transpose()?,
            source,
            collected: Collected::compile(values, raw, place)?,
        })
    }

    fn purposes(&self, values: &mut Values<'_>, raw: &raw::Consent, place: &str) -> Result<Purposes> {
        let usable = |purpose: &PurposeId| self.schema.purposes.iter().any(|known| covers(purpose, known));
        match (&raw.purposes, &raw.purpose) {
            (Some(names), None) if !names.is_empty() => {
                let mut purposes = Vec::new();
                for name in names {
                    let purpose = PurposeId::new(name).map_err(|e| wrong(place, "purposes", &e.to_string()))?;
                    if !usable(&purpose) {
                        let known: Vec<&str> = self.schema.purposes.iter().map(PurposeId::as_str).collect();
                        let problem = format!("`{name}` is no purpose of the schema; it has: {}", known.join(", "));
                        return Err(wrong(place, "purposes", &problem));
                    }
                    purposes.push(purpose);
                }
                Ok(Purposes::Constant(purposes))
            }
            (None, Some(value)) => {
                let known = ancestors(&self.schema.purposes);
                let names: Vec<&str> = known.keys().map(String::as_str).collect();
                let mut value = values.value(value, &names, &format!("{place}.purpose"))?;
                let mut known = known.clone();
                // With several purposes in a cell, the map is for each of them rather than for the cell.
                if raw.separator.is_some() {
                    for (from, to) in std::mem::take(&mut value.map) {
                        known.extend(known.get(&to).cloned().map(|purpose| (from, purpose)));
                    }
                }
                Ok(Purposes::Column { value: Box::new(value), separator: raw.separator.clone(), known })
            }
            _ => Err(MappingError::new(place, "either `purposes` (a list) or `purpose` (a column) is needed")),
        }
    }
}

fn field_spec(values: &mut Values<'_>, raw: &raw::Value, field: &Field, path: &str, place: &str) -> Result<FieldSpec> {
    let listed = field.ty.labels().unwrap_or_default();
    let value = values.value(raw, &listed, place)?;
    let spec = FieldSpec::new(value, field, path);
    if let Some(wrong_text) = spec.impossible() {
        return Err(MappingError::new(place, format!("`{wrong_text}` is not in the public list of {path}")));
    }
    Ok(spec)
}

/// Compiles a value that stands for one of a few things: a bare string is the thing itself, a table a column.
fn choice<T: Copy>(
    values: &mut Values<'_>,
    raw: &raw::Value,
    known: HashMap<String, T>,
    what: &'static str,
    names: &[&str],
    place: &str,
) -> Result<Choice<T>> {
    let refused =
        |text: &str| MappingError::new(place, format!("`{text}` is not {what}; one of: {}", names.join(", ")));
    match raw {
        raw::Value::Text(text) => known.get(text).copied().map(Choice::Constant).ok_or_else(|| refused(text)),
        raw::Value::Table(_) => {
            let value = values.value(raw, names, place)?;
            if let Some(text) = value.outputs().find(|text| !text.is_empty() && !known.contains_key(*text)) {
                return Err(refused(text));
            }
            Ok(Choice::Column { value: Box::new(value), known, what })
        }
    }
}

fn ancestors(purposes: &[PurposeId]) -> HashMap<String, PurposeId> {
    let mut known = HashMap::new();
    for purpose in purposes {
        let text = purpose.as_str();
        for end in text.match_indices('.').map(|(at, _)| at).chain([text.len()]) {
            let name = text.get(..end).and_then(|name| PurposeId::new(name).ok());
            known.extend(name.map(|name| (name.to_string(), name)));
        }
    }
    known
}

fn unknown(place: &str, name: &str, fields: &[Field]) -> MappingError {
    let known: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    MappingError::new(place, format!("no field `{name}` in the schema; it has: {}", known.join(", ")))
}
