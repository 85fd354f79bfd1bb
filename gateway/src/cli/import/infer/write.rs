//! Writes a draft as TOML with the remarks a steward needs.

use super::column::{Kind, field_name};
use super::sniff::Sniffed;
use super::{Decided, Draft, Role};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What is said of a list that nobody has confirmed.
const UNCONFIRMED: &str = "# is this list public? It was read off people's data. Remove what is not known to everyone, add \
                           what is missing, then remove this line.";

/// What a file as a whole becomes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout<'a> {
    pub file: &'a str,
    /// Its rows are events, and not profiles.
    pub events: bool,
    /// Some rows name no subject.
    pub unnamed: bool,
}

/// Writes the draft.
pub(super) fn draft(dataset: &str, layout: &Layout<'_>, sniffed: &Sniffed, columns: &[Decided]) -> Draft {
    let Layout { file, events, unnamed } = *layout;
    let stem = file.split('.').next().unwrap_or_default();
    let event = field_name(stem.strip_suffix('s').filter(|stem| stem.len() > 2).unwrap_or(stem));
    let used: Vec<&Decided> = columns.iter().filter(|c| c.kind != Kind::LeftOut || c.role != Role::Field).collect();
    let mut schema = schema_head(dataset, file, &used);
    if events {
        write!(schema, "\n[[events]]\nname = {}\nmax_per_subject = 1000\n", quoted(&event)).unwrap_or_default();
    }
    for column in used.iter().filter(|column| column.role == Role::Field) {
        schema.push_str(&field(column, events));
    }
    Draft { schema, mapping: mapping(dataset, layout, sniffed, &used, &event), notes: notes(columns, unnamed) }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn schema_head(dataset: &str, file: &str, columns: &[&Decided]) -> String {
    let key = columns.iter().find(|column| column.role == Role::Subject);
    let (name, max) = key.map_or(("subject", 64), |column| match column.column.sealed() {
        Kind::Text { max_bytes } => (column.field.as_str(), max_bytes),
        _ => (column.field.as_str(), 255),
    });
    format!(
        "# Drafted from {file}. Read every line before use: lists and bounds were taken from people's data, and are not\n\
         # private until somebody who knows confirms that they are public.\n\
         version = 1\n\
         dataset = {}\n\
         organization = \"organization\"    # whose data it is\n\
         display = {}\n\
         time_zone = \"UTC\"                # in which days are counted\n\
         subject_key = {}\n\
         purposes = [\"marketing.segmentation\", \"marketing.portrait\", \"marketing.measurement\"]\n\
         \n[[attributes]]\nname = {}\nclass = \"identifier\"\ntype = \"identifier\"\nmax_bytes = {max}\n",
        quoted(dataset),
        quoted(dataset),
        quoted(name),
        quoted(name),
    )
}

fn field(column: &Decided, of_event: bool) -> String {
    let table = if of_event { "[[events.fields]]" } else { "[[attributes]]" };
    let class = column.column.class(&column.kind, of_event);
    let head =
        |ty: &str| format!("\n{table}\nname = {}\nclass = \"{class}\"\ntype = \"{ty}\"\n", quoted(&column.field));
    match &column.kind {
        Kind::Bool => head("bool"),
        Kind::List(values) => {
            let list = values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(", ");
            let mark = if column.confirmed { String::new() } else { format!("{UNCONFIRMED}\n") };
            format!("{}{mark}domain = [{list}]\n", head("enum"))
        }
        Kind::Integer { min, max } => format!("{}min = {min}\nmax = {max}\n", head("integer")),
        Kind::Decimal { scale, min, max } => {
            format!("{}scale = {scale}\nmin = \"{min}\"\nmax = \"{max}\"\n", head("decimal"))
        }
        Kind::Date { from_year, to_year, .. } => {
            format!("{}min = \"{from_year:04}-01-01\"\nmax = \"{to_year:04}-12-31\"\n", head("date"))
        }
        Kind::Text { max_bytes } => format!("{}max_bytes = {max_bytes}\n", head("identifier")),
        Kind::LeftOut => String::new(),
    }
}

fn mapping(dataset: &str, layout: &Layout<'_>, sniffed: &Sniffed, columns: &[&Decided], event: &str) -> String {
    let Layout { file, events, unnamed } = *layout;
    let nulls: BTreeSet<&str> = columns.iter().flat_map(|column| column.column.nulls.iter().copied()).collect();
    let mut text = format!("# Drafted from {file}.\nversion = 1\ndataset = {}\n\n[format]\n", quoted(dataset));
    let delimiter =
        if sniffed.format.delimiter == b'\t' { "tab".into() } else { char::from(sniffed.format.delimiter).to_string() };
    writeln!(text, "encoding = \"{}\"\ndelimiter = {}", sniffed.encoding, quoted(&delimiter)).unwrap_or_default();
    if sniffed.numbers.decimal_mark != '.' {
        writeln!(text, "decimal_mark = \"{}\"", sniffed.numbers.decimal_mark).unwrap_or_default();
    }
    if !nulls.is_empty() {
        let nulls = nulls.into_iter().map(quoted).collect::<Vec<_>>().join(", ");
        writeln!(text, "null = [{nulls}]").unwrap_or_default();
    }
    text.push_str(
        "\n# Without consent nobody's data may be used, and every answer is noise. Say where it comes from, for example:\n\
         # [[consents]]\n# purposes = [\"marketing\"]\n# time = { constant = \"2026-01-01\" }\n",
    );
    let named = |role: Role| columns.iter().find(|column| column.role == role);
    let subject = named(Role::Subject).map_or("", |column| column.column.name.as_str());
    writeln!(text, "\n[[files]]\npath = {}\nsubject = {}", quoted(file), quoted(subject)).unwrap_or_default();
    if unnamed {
        writeln!(
            text,
            "where = {{ column = {}, empty = false }}    # rows that name nobody are left out",
            quoted(subject)
        )
        .unwrap_or_default();
    }
    if let Some(time) = named(Role::EventTime).filter(|_| events) {
        let time = timed(&time.column.name, time.column.time_format());
        writeln!(text, "\n[[files.events]]\ntype = {}\ntime = {time}\n\n[files.events.fields]", quoted(event))
            .unwrap_or_default();
    } else {
        text.push_str("\n[files.profile]\non_conflict = \"quarantine\"\n\n[files.profile.fields]\n");
    }
    for column in columns.iter().filter(|column| column.role == Role::Field) {
        let value = match &column.kind {
            Kind::Date { format, .. } => timed(&column.column.name, format),
            _ => quoted(&column.column.name),
        };
        writeln!(text, "{} = {value}", column.field).unwrap_or_default();
    }
    text
}

fn timed(column: &str, format: &str) -> String {
    match format {
        "iso" => quoted(column),
        pattern => format!("{{ column = {}, format = {} }}", quoted(column), quoted(pattern)),
    }
}

fn notes(columns: &[Decided], unnamed: bool) -> Vec<String> {
    let mut notes = vec![
        "lists and bounds were taken from people's data: they are not private until you confirm that they are public"
            .to_owned(),
    ];
    if unnamed {
        notes.push("some rows name no subject: the mapping leaves them out".to_owned());
    }
    for Decided { column, kind, confirmed, role, .. } in columns {
        match (role, kind) {
            (Role::Field, Kind::List(values)) if !confirmed => {
                notes.push(format!("{}: is its list of {} values public?", column.name, values.len()));
            }
            (Role::Field, Kind::Text { .. }) => {
                notes.push(format!("{}: sealed text; it can be stored, and never be asked about", column.name));
            }
            (Role::Field, Kind::LeftOut) => {
                notes.push(format!("{}: left out; it is empty, or longer than 255 bytes", column.name));
            }
            _ => {}
        }
    }
    notes
}
