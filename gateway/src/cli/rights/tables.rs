//! An access package as CSV tables with the mapping that imports them, so that a person can take it to another controller who
//! runs this program, or open it in a spreadsheet. Tables of events are written as the events are read.
//!
//! What an import can't carry is in the JSON alone: event ids (the new holder makes its own), log entries, requests, uses.
//! No two tables have the same name, whatever event types are called, nor two columns of one: those that are not fields
//! have names with a space, which no field has.

use super::Reserved;
use super::package::{Event, Events, Package, Sink};
use crate::cli::error::CliError;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// A file's name and text.
type File = (String, String);

/// Where an import says that these consents come from.
const SOURCE: &str = "access-package";
/// Columns that are not fields.
const SUBJECT: &str = "subject key";
const AT: &str = "happened at";
const ID: &str = "event id";

/// The tables of one package.
pub struct Tables {
    folder: PathBuf,
    /// Whether all are written; if not, only those that are too long for the page.
    all: bool,
    subject: String,
    /// By type of event.
    events: Vec<Option<csv::Writer<Reserved>>>,
    others: Vec<Reserved>,
}

impl Tables {
    /// Writes to a folder: all tables with their mapping, or only those that are too long for the page.
    pub fn new(folder: &Path, all: bool) -> Self {
        Self { folder: folder.to_owned(), all, subject: String::new(), events: Vec::new(), others: Vec::new() }
    }

    /// Returns the files, filled and not settled yet.
    pub fn files(self) -> Result<Vec<Reserved>, CliError> {
        let mut files = Vec::new();
        for writer in self.events.into_iter().flatten() {
            files.push(writer.into_inner().map_err(|_| failed())?);
        }
        files.extend(self.others);
        Ok(files)
    }

    fn write(&mut self, (name, text): File) -> Result<(), CliError> {
        let mut file = Reserved::make(self.folder.join(name))?;
        file.put(&text)?;
        self.others.push(file);
        Ok(())
    }
}

impl Sink for Tables {
    fn begin(&mut self, package: &Package) -> Result<(), CliError> {
        if !package.identity.is_empty() {
            // Nobody who is known otherwise has a row in such a table.
            return self.refuse_other(package);
        }
        let key = package.attributes.iter().find(|held| held.column.name == package.subject_key);
        let subject = key.and_then(|held| held.value.as_deref());
        let missing = || CliError::failed("the package does not hold its own subject key");
        subject.ok_or_else(missing)?.clone_into(&mut self.subject);
        for events in &package.events {
            let wanted = events.expected > 0 && (self.all || events.is_long());
            self.events.push(if wanted { Some(self.table_of(events)?) } else { None });
        }
        if self.all {
            self.write(facts(package)?)?;
            if !package.consents.is_empty() {
                self.write(("consents.csv".to_owned(), consents(package, &self.subject)?))?;
            }
            self.write(("mapping.toml".to_owned(), mapping(package)?))?;
        }
        Ok(())
    }

    fn event(&mut self, _: &Package, of: usize, event: &Event) -> Result<(), CliError> {
        let Some(Some(writer)) = self.events.get_mut(of) else { return Ok(()) };
        let values = event.values.iter().map(|value| value.as_deref().unwrap_or_default());
        let row = [self.subject.as_str(), event.at.as_str(), event.id.as_str()].into_iter().chain(values);
        writer.write_record(row).map_err(unwritable)
    }

    fn end(&mut self, _: &Package) -> Result<(), CliError> {
        Ok(())
    }
}

impl Tables {
    fn refuse_other(&self, package: &Package) -> Result<(), CliError> {
        if !self.all && !package.events.iter().any(Events::is_long) {
            return Ok(());
        }
        let Package { subject_key, identity, .. } = package;
        let problem = format!("tables hold people known by {subject_key}, and this one is known by {identity}");
        Err(CliError::failed(problem).hint("leave out --tables; the JSON holds everything"))
    }

    fn table_of(&self, events: &Events) -> Result<csv::Writer<Reserved>, CliError> {
        let mut writer = csv::Writer::from_writer(Reserved::make(self.folder.join(table_name(events)))?);
        let header = [SUBJECT, AT, ID].into_iter().chain(events.columns.iter().map(|column| column.name.as_str()));
        writer.write_record(header).map_err(unwritable)?;
        Ok(writer)
    }
}

fn failed() -> CliError {
    CliError::failed("the tables can't be written as CSV")
}

fn unwritable(_: csv::Error) -> CliError {
    failed()
}

/// Returns the name of the table of a type of events: no other table begins so.
pub fn table_name(events: &Events) -> String {
    format!("events-{}.csv", events.name)
}

fn facts(package: &Package) -> Result<File, CliError> {
    let header = package.attributes.iter().map(|held| held.column.name.as_str()).collect();
    let row = package.attributes.iter().map(|held| held.value.as_deref().unwrap_or_default()).collect();
    Ok(("facts.csv".to_owned(), csv([header, row])?))
}

fn consents(package: &Package, subject: &str) -> Result<String, CliError> {
    let header = vec![SUBJECT, "purpose", "act", "basis", "at", "expires", "source", "method", "language", "notice"];
    let rows = package.consents.iter().map(|consent| {
        let expires = consent.expires.as_deref().unwrap_or_default();
        let (purpose, act, basis) = (consent.purpose.as_str(), consent.act.as_str(), consent.basis.as_str());
        // Which notice was in force says nothing to another controller.
        let notice = if consent.notice_in_force { "" } else { consent.notice.as_deref().unwrap_or_default() };
        let method = consent.method.as_deref().unwrap_or_default();
        let language = consent.language.as_deref().unwrap_or_default();
        let source = consent.source.as_str();
        vec![subject, purpose, act, basis, consent.at.as_str(), expires, source, method, language, notice]
    });
    csv(std::iter::once(header).chain(rows))
}

fn csv<'a>(rows: impl IntoIterator<Item = Vec<&'a str>>) -> Result<String, CliError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(unwritable)?;
    }
    let bytes = writer.into_inner().map_err(|_| failed())?;
    String::from_utf8(bytes).map_err(|_| failed())
}

fn mapping(package: &Package) -> Result<String, CliError> {
    let key = package.subject_key.as_str();
    let others = package.attributes.iter().map(|held| held.column.name.as_str()).filter(|name| *name != key);
    let profile = table([("on_conflict", "last".into()), ("fields", fields(others))]);
    let mut files = vec![spec("facts.csv", key, "profile", profile)];
    for events in package.events.iter().filter(|events| events.expected > 0) {
        let columns = events.columns.iter().map(|column| column.name.as_str());
        let event = table([
            ("type", events.name.as_str().into()),
            ("time", AT.into()),
            ("id", Value::Array(vec![ID.into()])),
            ("fields", fields(columns)),
        ]);
        files.push(spec(&table_name(events), SUBJECT, "events", Value::Array(vec![event])));
    }
    if !package.consents.is_empty() {
        let column = |name: &str| table([("column", name.into())]);
        let consent = table([
            ("purpose", column("purpose")),
            ("act", column("act")),
            ("basis", table([("column", "basis".into()), ("default", "consent".into())])),
            ("time", "at".into()),
            ("expires", "expires".into()),
            ("source", SOURCE.into()),
            ("method", column("method")),
            ("language", column("language")),
            ("notice", column("notice")),
        ]);
        files.push(spec("consents.csv", SUBJECT, "consents", Value::Array(vec![consent])));
    }
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

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::super::package::LONG;
    use super::super::package::tests::{column, events, package, two_orders};
    use super::*;
    use crate::cli::import::Mapping;
    use std::collections::{BTreeMap, BTreeSet};

    fn written(package: &Package, all: bool) -> BTreeMap<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let mut tables = Tables::new(folder.path(), all);
        tables.begin(package).unwrap();
        for of in 0..package.events.len() {
            two_orders().iter().for_each(|event| tables.event(package, of, event).unwrap());
        }
        tables.end(package).unwrap();
        let text = |file: Reserved| {
            let path = file.settle().unwrap().keep();
            let text = std::fs::read_to_string(&path).unwrap();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), text)
        };
        tables.files().unwrap().into_iter().map(text).collect()
    }

    #[test]
    fn tables_hold_the_values_and_their_mapping_reads_them() {
        let files = written(&package(), true);
        assert_eq!(files["facts.csv"], "member_no,age,note\nm1,,<script>alert(1)</script>\n");
        assert_eq!(
            files["events-order.csv"],
            "subject key,happened at,event id,amount,coupon\nm1,2017-01-01T04:53:26Z,7,12.50,\nm1,2017-01-01T04:53:27Z,8,,\n"
        );
        assert!(
            files["consents.csv"]
                .ends_with("m1,marketing.segmentation,give,consent,2017-01-01T05:00:00Z,,till,in_person,,\n")
        );
        assert!(files["mapping.toml"].contains("dataset = \"hill\""));
    }

    #[test]
    fn events_and_fields_may_be_called_as_the_tables_and_columns_are() {
        let names = ["facts", "consents", "mapping", "id"];
        let mut package = package();
        package.subject_key = "at".to_owned();
        package.attributes.truncate(1);
        package.attributes[0].column.name = "at".to_owned();
        package.events = names.map(events).to_vec();
        for events in &mut package.events {
            events.columns = ["at", "id"].map(|name| column(name, name, "behavioral", "integer")).to_vec();
        }
        let files = written(&package, true);
        assert_eq!(files.len(), names.len() + 3, "{:?}", files.keys());
        for (name, text) in files.iter().filter(|(name, _)| name.ends_with(".csv")) {
            let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
            assert_eq!(header.iter().collect::<BTreeSet<_>>().len(), header.len(), "{name}: {header:?}");
        }
        let fields = ["at", "id"].map(|name| {
            format!(
                "[[events.fields]]\nname = \"{name}\"\nclass = \"behavioral\"\ntype = \"integer\"\nmin = 0\nmax = 9\n"
            )
        });
        let types =
            names.map(|name| format!("[[events]]\nname = \"{name}\"\nmax_per_subject = 9\n{}", fields.concat()));
        let schema = format!(
            "version = 1\ndataset = \"hill\"\norganization = \"hill\"\npopulation = \"hill\"\ndisplay = \"Hill\"\n\
             time_zone = \"UTC\"\nsubject_key = \"at\"\npurposes = [\"marketing.segmentation\"]\n[[attributes]]\nname = \"at\"\n\
             class = \"identifier\"\ntype = \"identifier\"\nmax_bytes = 40\n{}",
            types.concat()
        );
        Mapping::parse(&files["mapping.toml"], &policy::schema::parse(&schema).unwrap()).unwrap();
    }

    #[test]
    fn what_is_too_long_for_the_page_is_a_table_even_if_none_was_asked_for() {
        let mut package = package();
        assert!(written(&package, false).is_empty());
        package.events[0].expected = LONG as u64 + 1;
        assert_eq!(written(&package, false).into_keys().collect::<Vec<_>>(), ["events-order.csv"]);
    }
}
