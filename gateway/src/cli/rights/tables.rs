//! An access package as CSV tables with the mapping that imports them, so that a person can take it to another controller who
//! runs this program, or open it in a spreadsheet.
//!
//! What an import can't carry is in the JSON alone: event ids (the new holder makes its own), log entries, requests, uses.

use super::package::{Events, Package};
use crate::cli::error::CliError;
use toml::{Table, Value};

/// A file's name and text.
pub type File = (String, String);

/// Where an import says that these consents come from.
const SOURCE: &str = "access-package";

/// Writes the tables and their mapping.
pub fn tables(package: &Package) -> Result<Vec<File>, CliError> {
    let key = package.subject_key.as_str();
    let held = package.attributes.iter().find(|held| held.column.name == key);
    let subject = held.and_then(|held| held.value.as_deref());
    let subject = subject.ok_or_else(|| CliError::failed("the package does not hold its own subject key"))?;
    let mut files = vec![facts(package)?];
    let others = package.attributes.iter().map(|held| held.column.name.as_str()).filter(|name| *name != key);
    let profile = table([("on_conflict", "last".into()), ("fields", fields(others))]);
    let mut specs = vec![spec("facts.csv", key, "profile", profile)];
    for events in package.events.iter().filter(|events| !events.rows.is_empty()) {
        let name = format!("{}.csv", events.name);
        files.push((name.clone(), happened(events, key, subject)?));
        let columns = events.columns.iter().map(|column| column.name.as_str());
        let event = table([
            ("type", events.name.as_str().into()),
            ("time", "at".into()),
            ("id", Value::Array(vec!["id".into()])),
            ("fields", fields(columns)),
        ]);
        specs.push(spec(&name, key, "events", Value::Array(vec![event])));
    }
    if !package.consents.is_empty() {
        files.push(("consents.csv".to_owned(), consents(package, key, subject)?));
        let column = |name: &str| table([("column", name.into())]);
        let consent = table([
            ("purpose", column("purpose")),
            ("act", column("act")),
            ("basis", table([("column", "basis".into()), ("default", "consent".into())])),
            ("time", "at".into()),
            ("expires", "expires".into()),
            ("source", SOURCE.into()),
        ]);
        specs.push(spec("consents.csv", key, "consents", Value::Array(vec![consent])));
    }
    files.push(("mapping.toml".to_owned(), mapping(package, specs)?));
    Ok(files)
}

fn facts(package: &Package) -> Result<File, CliError> {
    let header = package.attributes.iter().map(|held| held.column.name.as_str()).collect();
    let row = package.attributes.iter().map(|held| held.value.as_deref().unwrap_or_default()).collect();
    Ok(("facts.csv".to_owned(), csv([header, row])?))
}

/// Events of one type. The columns of the person, the instant and the id come first, under names that no field has.
fn happened(events: &Events, key: &str, subject: &str) -> Result<String, CliError> {
    let header = [key, "at", "id"].into_iter().chain(events.columns.iter().map(|column| column.name.as_str()));
    let rows = events.rows.iter().map(|row| {
        let values = row.values.iter().map(|value| value.as_deref().unwrap_or_default());
        [subject, row.at.as_str(), row.id.as_str()].into_iter().chain(values).collect::<Vec<_>>()
    });
    csv(std::iter::once(header.collect()).chain(rows))
}

fn consents(package: &Package, key: &str, subject: &str) -> Result<String, CliError> {
    let header = vec![key, "purpose", "act", "basis", "at", "expires", "source"];
    let rows = package.consents.iter().map(|consent| {
        let expires = consent.expires.as_deref().unwrap_or_default();
        let (purpose, act, basis) = (consent.purpose.as_str(), consent.act.as_str(), consent.basis.as_str());
        vec![subject, purpose, act, basis, consent.at.as_str(), expires, consent.source.as_str()]
    });
    csv(std::iter::once(header).chain(rows))
}

fn csv<'a>(rows: impl IntoIterator<Item = Vec<&'a str>>) -> Result<String, CliError> {
    let failed = || CliError::failed("the tables can't be written as CSV");
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(|_| failed())?;
    }
    let bytes = writer.into_inner().map_err(|_| failed())?;
    String::from_utf8(bytes).map_err(|_| failed())
}

fn mapping(package: &Package, files: Vec<Value>) -> Result<String, CliError> {
    let dataset = package.dataset.trim_start_matches("datasets/");
    let format = table([("trim", false.into()), ("time_format", "iso".into()), ("time_zone", "UTC".into())]);
    let whole = Table::from_iter([
        ("version".to_owned(), 1.into()),
        ("dataset".to_owned(), dataset.into()),
        ("format".to_owned(), format),
        ("files".to_owned(), Value::Array(files)),
    ]);
    let text = toml::to_string(&whole).map_err(|_| CliError::failed("the mapping can't be written as TOML"))?;
    Ok(format!(
        "# Imports these tables: silhouette import --mapping mapping.toml --source .\n\
         # Set `dataset` to the one that they go to; its fields must have these names.\n{text}"
    ))
}

/// One file of a mapping, which gives one thing.
fn spec(path: &str, key: &str, gives: &str, what: Value) -> Value {
    table([("path", path.into()), ("subject", key.into()), (gives, what)])
}

/// Each field from the column of its name.
fn fields<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    Value::Table(names.map(|name| (name.to_owned(), name.into())).collect())
}

fn table<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Table(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
