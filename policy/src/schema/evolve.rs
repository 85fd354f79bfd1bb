//! One version of a description after another: what may change, and what that means in plain words.
//!
//! A version only ever adds. What is stored under an earlier version is read by every later one, so a column id, an event
//! type's number and a code mean the same for ever: they are positions in their lists, lists only grow at the end, and what
//! is not wanted any more is deprecated in its place. Whoever encoded under an earlier version is understood too.
//!
//! A raised bound is a public constant of its version: answers given before keep theirs, and later ones are planned with
//! the new one. It costs no privacy (noise follows the bound) but accuracy, and [`Difference`] says so.

mod difference;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;

pub use difference::Difference;

use super::{EventType, Field, FieldClass, FieldType, Identity, Layout, Schema};

/// A version that may follow another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evolved {
    /// The new version. Every column, event type and code of the old one keeps its number in it.
    pub schema: Schema,
    /// What is different, in the order of the description. Empty if nothing is.
    pub differences: Vec<Difference>,
}

/// Why a description can't follow another: which part, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{part}`: {problem}")]
pub struct EvolveError {
    part: String,
    problem: String,
}

impl EvolveError {
    fn new(part: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { part: part.into(), problem: problem.into() }
    }

    /// Returns what is concerned, as segments write it: `age_band`, `order.category`; or a key of the description.
    pub fn part(&self) -> &str {
        &self.part
    }

    /// Returns what is wrong and what would be right.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

/// Checks that a description can follow another, and says what changes.
pub fn evolve(old: &Schema, new: &Schema) -> Result<Evolved, EvolveError> {
    let mut differences = Vec::new();
    fixed(old, new)?;
    words("display", &old.display, &new.display, &mut differences);
    words("controller", &old.controller, &new.controller, &mut differences);
    words("notice", &old.notice, &new.notice, &mut differences);
    purposes(old, new, &mut differences)?;
    identities(old, new, &mut differences)?;
    fields(None, &old.attributes, &new.attributes, &mut differences)?;
    in_order("event", None, old.events.iter().map(|e| e.name.as_str()), new.events.iter().map(|e| e.name.as_str()))?;
    for (old, new) in old.events.iter().zip(&new.events) {
        event(old, new, &mut differences)?;
    }
    let added = new.events.iter().skip(old.events.len());
    differences.extend(added.map(|event| Difference::AddedEvent { event: event.name.to_string() }));
    match (&old.rfm, &new.rfm) {
        (Some(_), None) => return Err(EvolveError::new("rfm", "segments may name its bands; leave it in")),
        (None, Some(_)) => differences.push(Difference::AddedRfm),
        (old, new) if old != new => differences.push(Difference::Rfm),
        _ => {}
    }
    match (&old.synopsis, &new.synopsis) {
        (Some(_), None) => differences.push(Difference::RemovedSynopsis),
        (old, Some(new)) if old.as_ref() != Some(new) => differences.push(Difference::Synopsis { rho: new.rho }),
        _ => {}
    }
    Ok(Evolved { schema: new.clone(), differences })
}

/// What is fixed when a dataset is made.
fn fixed(old: &Schema, new: &Schema) -> Result<(), EvolveError> {
    let key = |schema: &Schema| {
        schema.attributes.get(usize::from(schema.subject_key.0)).map(|field| field.name.to_string()).unwrap_or_default()
    };
    let kind = |schema: &Schema| format!("{:?}", schema.kind).to_lowercase();
    let parts = [
        ("dataset", old.dataset.to_string(), new.dataset.to_string()),
        ("organization", old.organization.to_string(), new.organization.to_string()),
        ("population", old.population.to_string(), new.population.to_string()),
        ("kind", kind(old), kind(new)),
        ("time_zone", old.time_zone.clone(), new.time_zone.clone()),
        ("subject_key", key(old), key(new)),
    ];
    if let Some((part, was, _)) = parts.iter().find(|(_, was, is)| was != is) {
        return Err(EvolveError::new(*part, format!("is `{was}` since the dataset was made; leave it so")));
    }
    if old.caps() != new.caps() {
        return Err(EvolveError::new("budget", "is fixed when a dataset is made; leave it as it was"));
    }
    Ok(())
}

fn words<T: PartialEq + ?Sized>(part: &str, old: &T, new: &T, into: &mut Vec<Difference>) {
    if old != new {
        into.push(Difference::Display { path: part.to_owned() });
    }
}

fn purposes(old: &Schema, new: &Schema, into: &mut Vec<Difference>) -> Result<(), EvolveError> {
    if let Some(gone) = old.purposes.iter().find(|purpose| !new.purposes.contains(purpose)) {
        let problem = format!("people were asked about `{gone}`, and their decisions are kept; leave it in the list");
        return Err(EvolveError::new("purposes", problem));
    }
    let added = new.purposes.iter().filter(|purpose| !old.purposes.contains(purpose));
    into.extend(added.map(|purpose| Difference::AddedPurpose { purpose: purpose.to_string() }));
    Ok(())
}

fn identities(old: &Schema, new: &Schema, into: &mut Vec<Difference>) -> Result<(), EvolveError> {
    let names = |schema: &Schema| -> Vec<String> {
        schema.identities.iter().map(|identity| identity.name.to_string()).collect()
    };
    let (was, is) = (names(old), names(new));
    if let Some((place, name)) = was.iter().enumerate().find(|(place, name)| is.get(*place) != Some(name)) {
        let problem = format!(
            "`{name}` is number {} of the identities, and people are known by it; leave it there, and add new ones at the end",
            place + 1
        );
        return Err(EvolveError::new("identities", problem));
    }
    for (old, new) in old.identities.iter().zip(&new.identities) {
        let path = old.name.as_str();
        words(path, &old.display, &new.display, into);
        let bytes = |identity: &Identity| FieldType::Identifier { max_bytes: identity.max_bytes };
        ty(path, &bytes(old), &bytes(new), into)?;
    }
    let added = new.identities.iter().skip(old.identities.len());
    into.extend(added.map(|identity| Difference::AddedIdentity { name: identity.name.to_string() }));
    Ok(())
}

/// Checks that every old name is in its old place. New ones come after them.
fn in_order<'a>(
    what: &str,
    group: Option<&str>,
    old: impl Iterator<Item = &'a str>,
    new: impl Iterator<Item = &'a str>,
) -> Result<(), EvolveError> {
    let new: Vec<&str> = new.collect();
    let old: Vec<&str> = old.collect();
    for (place, name) in old.iter().enumerate() {
        let found = new.get(place);
        if found == Some(name) {
            continue;
        }
        if !new.contains(name) {
            let problem = "was removed, and what is held of it must stay readable; put it back in its place and say \
                           `deprecated = true`";
            return Err(EvolveError::new(path(group, name), problem));
        }
        let intruder = found.filter(|found| !old.contains(*found));
        return Err(match intruder {
            Some(new) => EvolveError::new(path(group, new), format!("is new; move it to the end of its {what}s")),
            None => EvolveError::new(path(group, name), format!("was moved; put it back as number {}", place + 1)),
        });
    }
    Ok(())
}

fn path(group: Option<&str>, name: &str) -> String {
    group.map_or_else(|| name.to_owned(), |group| format!("{group}.{name}"))
}

fn event(old: &EventType, new: &EventType, into: &mut Vec<Difference>) -> Result<(), EvolveError> {
    let name = old.name.as_str();
    words(name, &old.display, &new.display, into);
    if new.max_per_subject < old.max_per_subject {
        return Err(EvolveError::new(name, at_least("max_per_subject", old.max_per_subject)));
    }
    if new.max_per_subject > old.max_per_subject {
        let (event, from, to) = (name.to_owned(), old.max_per_subject, new.max_per_subject);
        into.push(Difference::Events { event, from, to });
    }
    retention(name, old.retention_days, new.retention_days, into);
    deprecation(name, old.deprecated, new.deprecated, into);
    fields(Some(name), &old.fields, &new.fields, into)
}

fn fields(group: Option<&str>, old: &[Field], new: &[Field], into: &mut Vec<Difference>) -> Result<(), EvolveError> {
    let what = if group.is_some() { "field" } else { "attribute" };
    in_order(what, group, old.iter().map(|f| f.name.as_str()), new.iter().map(|f| f.name.as_str()))?;
    for (old, new) in old.iter().zip(new) {
        field(&path(group, old.name.as_str()), group.is_some(), old, new, into)?;
    }
    let added = new.iter().skip(old.len());
    into.extend(
        added.map(|field| Difference::AddedField { path: path(group, field.name.as_str()), class: field.class }),
    );
    Ok(())
}

fn field(path: &str, of_event: bool, old: &Field, new: &Field, into: &mut Vec<Difference>) -> Result<(), EvolveError> {
    words(path, &old.display, &new.display, into);
    class(path, old.class, new.class, into)?;
    ty(path, &old.ty, &new.ty, into)?;
    coarse(path, old, new, into)?;
    if new.max_distinct < old.max_distinct {
        return Err(EvolveError::new(path, at_least("max_distinct", old.max_distinct)));
    }
    if new.max_distinct > old.max_distinct {
        let (path, from, to) = (path.to_owned(), old.max_distinct, new.max_distinct);
        into.push(Difference::Distinct { path, from, to });
    }
    match (old.retention_days, new.retention_days) {
        // What was set until now was stored without its day.
        (None, Some(days)) if !of_event => into.push(Difference::Retained { path: path.to_owned(), days }),
        (from, to) => retention(path, from, to, into),
    }
    deprecation(path, old.deprecated, new.deprecated, into);
    Ok(())
}

fn at_least(key: &str, least: u32) -> String {
    format!("`{key}` was {least} and may only be raised; make it {least} or more")
}

/// How strictly the policies that ship treat a class. An identifier is a thing of its own: it alone may leave as a pseudonym.
const fn strictness(class: FieldClass) -> u8 {
    match class {
        FieldClass::NonPersonal => 0,
        FieldClass::Behavioral => 1,
        FieldClass::QuasiIdentifier => 2,
        FieldClass::Sensitive => 3,
        FieldClass::Identifier => 4,
    }
}

fn class(path: &str, old: FieldClass, new: FieldClass, into: &mut Vec<Difference>) -> Result<(), EvolveError> {
    if old == new {
        return Ok(());
    }
    if new == FieldClass::Identifier || strictness(new) < strictness(old) {
        let stricter =
            if old == FieldClass::Identifier || old == FieldClass::Sensitive { "" } else { " or a stricter one" };
        let problem = format!("was of class `{}`; leave it so{stricter}", old.as_str());
        return Err(EvolveError::new(path, problem));
    }
    into.push(Difference::Class { path: path.to_owned(), from: old, to: new });
    Ok(())
}

fn ty(path: &str, old: &FieldType, new: &FieldType, into: &mut Vec<Difference>) -> Result<(), EvolveError> {
    match (old, new) {
        (FieldType::Enum { domain: was }, FieldType::Enum { domain: is }) => return domain(path, was, is, into),
        (FieldType::Bool, FieldType::Bool) => {}
        (FieldType::Identifier { max_bytes: was }, FieldType::Identifier { max_bytes: is }) if is < was => {
            return Err(EvolveError::new(path, at_least("max_bytes", u32::from(*was))));
        }
        (FieldType::Identifier { max_bytes: was }, FieldType::Identifier { max_bytes: is }) if is > was => {
            into.push(Difference::Longest { path: path.to_owned(), from: *was, to: *is });
        }
        (FieldType::Identifier { .. }, FieldType::Identifier { .. }) => {}
        (FieldType::Decimal { scale: was, .. }, FieldType::Decimal { scale: is, .. }) if was != is => {
            let problem = format!("is stored with {was} digits after the mark; leave `scale` so");
            return Err(EvolveError::new(path, problem));
        }
        (FieldType::Integer { .. }, FieldType::Integer { .. })
        | (FieldType::Decimal { .. }, FieldType::Decimal { .. })
        | (FieldType::Date { .. }, FieldType::Date { .. }) => return bounds(path, old, new, into),
        _ => {
            let problem = format!("is stored as `{}`; leave its type, and add a field of the other type", named(old));
            return Err(EvolveError::new(path, problem));
        }
    }
    Ok(())
}

const fn named(ty: &FieldType) -> &'static str {
    match ty {
        FieldType::Enum { .. } => "enum",
        FieldType::Bool => "bool",
        FieldType::Integer { .. } => "integer",
        FieldType::Decimal { .. } => "decimal",
        FieldType::Date { .. } => "date",
        FieldType::Identifier { .. } => "identifier",
    }
}

fn domain(path: &str, was: &[String], is: &[String], into: &mut Vec<Difference>) -> Result<(), EvolveError> {
    if let Some((place, label)) = was.iter().enumerate().find(|(place, label)| is.get(*place) != Some(label)) {
        let problem = format!(
            "value {} of `domain` was `{label}`, and stored codes mean it; leave the values and their order, and add new ones \
             at the end",
            place + 1
        );
        return Err(EvolveError::new(path, problem));
    }
    let layout = |domain: &[String]| FieldType::Enum { domain: domain.to_vec() }.layout();
    if layout(was) != layout(is) {
        debug_assert_eq!(layout(was), Layout::Code8);
        let problem = "its values are stored in one byte each, which is room for 255; deprecate it and add a field with the \
                       longer list";
        return Err(EvolveError::new(path, problem));
    }
    let added: Vec<String> = is.iter().skip(was.len()).cloned().collect();
    if !added.is_empty() {
        into.push(Difference::Values { path: path.to_owned(), added });
    }
    Ok(())
}

fn bounds(path: &str, old: &FieldType, new: &FieldType, into: &mut Vec<Difference>) -> Result<(), EvolveError> {
    let (Some((least, most)), Some((min, max))) = (old.bounds(), new.bounds()) else { return Ok(()) };
    let shown = |least, most| format!("{}..={}", old.show(least), old.show(most));
    if min > least || max < most {
        let problem = format!("holds values in {}; make the bounds as wide or wider", shown(least, most));
        return Err(EvolveError::new(path, problem));
    }
    if (min, max) != (least, most) {
        into.push(Difference::Bounds { path: path.to_owned(), from: shown(least, most), to: shown(min, max) });
    }
    Ok(())
}

/// A value's coarse label is what partners may see of it; it never becomes a finer one.
fn coarse(path: &str, old: &Field, new: &Field, into: &mut Vec<Difference>) -> Result<(), EvolveError> {
    if old.coarse.is_empty() {
        if !new.coarse.is_empty() {
            into.push(Difference::Coarse { path: path.to_owned() });
        }
        return Ok(());
    }
    match old.coarse.iter().enumerate().find(|(place, label)| new.coarse.get(*place) != Some(label)) {
        None => Ok(()),
        Some((place, label)) => {
            let problem = format!("value {} of `coarse` was `{label}`; leave it, and add labels at the end", place + 1);
            Err(EvolveError::new(path, problem))
        }
    }
}

fn retention(path: &str, from: Option<u32>, to: Option<u32>, into: &mut Vec<Difference>) {
    if from != to {
        into.push(Difference::Retention { path: path.to_owned(), from, to });
    }
}

fn deprecation(path: &str, was: bool, is: bool, into: &mut Vec<Difference>) {
    if was != is {
        let path = path.to_owned();
        into.push(if is { Difference::Deprecated { path } } else { Difference::Restored { path } });
    }
}
