//! Drafts a schema and a mapping from a CSV file.
//!
//! A draft is a start, not a promise. Lists and bounds are read off people's data, so they may themselves tell something
//! about someone: bounds are rounded outward, and every list is marked until somebody who knows says that it is public.
//! One pass, and memory that does not grow with the file beyond a hash per distinct key.

mod column;
mod sniff;
mod write;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;

use super::error::ImportError;
use super::source::Source;
use column::Column;
use csv::ByteRecord;
use sniff::Sniffed;
use std::path::Path;

/// Somebody who knows the data.
pub trait Ask {
    /// Says which column names the person or household; `guess` is what the file suggests.
    fn subject(&mut self, columns: &[String], guess: &str) -> String;

    /// Says whether a list of values is public knowledge rather than something learned from these people; `None` when
    /// nobody can say now. Values are shown to nobody else.
    fn is_public(&mut self, column: &str, values: &[String]) -> Option<bool>;
}

/// Nobody there to ask: the guess stands, and every list stays marked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Ask for Nobody {
    fn subject(&mut self, _columns: &[String], guess: &str) -> String {
        guess.to_owned()
    }

    fn is_public(&mut self, _column: &str, _values: &[String]) -> Option<bool> {
        None
    }
}

/// A drafted schema and mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The text of `schema.toml`.
    pub schema: String,
    /// The text of `mapping.toml`.
    pub mapping: String,
    /// What the steward must still look at, in plain words. Names columns, never values.
    pub notes: Vec<String>,
}

/// What a column becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Role {
    Subject,
    EventTime,
    Field,
}

/// A column and what was decided about it.
#[derive(Debug)]
struct Decided {
    column: Column,
    role: Role,
    /// The name in the schema.
    field: String,
    kind: column::Kind,
    confirmed: bool,
}

/// Drafts from one file for a dataset of this name.
pub fn infer(file: &Path, dataset: &str, ask: &mut dyn Ask) -> Result<Draft, ImportError> {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or("file").to_owned();
    let sniffed = sniff::sniff(file).map_err(|error| ImportError::io(&name, &error))?;
    let (columns, rows) = observe(file, &name, &sniffed)?;
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let guess = column::subject_guess(&columns, rows);
    let subject = ask.subject(&names, &guess);
    let subject = if names.contains(&subject) { subject } else { guess };
    let key_repeats = columns.iter().any(|column| column.name == subject && column.repeats());
    let time = if key_repeats { column::time_guess(&columns, &subject) } else { None };
    let mut fields = column::FieldNames::default();
    let mut decided = Vec::new();
    for column in columns {
        let role = if column.name == subject {
            Role::Subject
        } else if Some(&column.name) == time.as_ref() {
            Role::EventTime
        } else {
            Role::Field
        };
        let mut kind = column.kind(rows);
        let mut confirmed = false;
        if let (Role::Field, column::Kind::List(values)) = (&role, &kind) {
            match ask.is_public(&column.name, values) {
                Some(true) => confirmed = true,
                Some(false) => kind = column.sealed(),
                None => {}
            }
        }
        decided.push(Decided { field: fields.of(&column.name), column, role, kind, confirmed });
    }
    let unnamed = decided.iter().any(|one| one.role == Role::Subject && one.column.has_gaps(rows));
    let layout = write::Layout { file: &name, events: time.is_some(), unnamed };
    Ok(write::draft(dataset, &layout, &sniffed, &decided))
}

fn observe(file: &Path, name: &str, sniffed: &Sniffed) -> Result<(Vec<Column>, u64), ImportError> {
    let mut source = Source::open(file, name, &sniffed.format)?;
    let mut columns: Vec<Column> = source.header().iter().map(|name| Column::new(name, sniffed)).collect();
    let (mut record, width) = (ByteRecord::new(), columns.len());
    while source.read(&mut record)?.is_some() {
        if record.len() != width {
            continue;
        }
        for (column, cell) in columns.iter_mut().zip(record.iter()) {
            column.add(&String::from_utf8_lossy(cell));
        }
    }
    Ok((columns, source.rows()))
}
