//! What became of every row, and the quarantine report.

use super::error::ImportError;
use super::reason::Fault;
use comfy_table::{CellAlignment, Table, presets};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// The rows of one file. Every row is in exactly one class: `read = accepted + quarantined + filtered`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileReport {
    /// The file, relative to the source folder.
    pub file: String,
    /// Rows of the file, the header not counted.
    pub read: u64,
    /// Rows that gave what they are there for.
    pub accepted: u64,
    /// Rows that do not fit; each is in the quarantine report.
    pub quarantined: u64,
    /// Rows that the mapping leaves out.
    pub filtered: u64,
    /// Profiles written. A subject's equal profile is written once.
    pub profiles: u64,
    /// Events written.
    pub events: u64,
    /// Consent events written. Equal ones of one subject are written once.
    pub consents: u64,
    /// Accepted rows whose subject has another profile in this file, where the mapping says which one counts.
    pub conflicts: u64,
    /// Rows of any class that equal an earlier row of the file in every cell. As events they count.
    pub repeated_rows: u64,
    /// Events by type, in the order of the schema; types without one are left out.
    pub by_type: Vec<(String, u64)>,
}

impl FileReport {
    /// Returns what the table does not show, in plain words; nothing when there is nothing to say.
    pub fn remark(&self) -> Option<String> {
        let mut parts: Vec<String> = self.by_type.iter().map(|(name, count)| format!("{count} {name}")).collect();
        if self.repeated_rows > 0 {
            parts.push(format!("{} rows repeat an earlier row", self.repeated_rows));
        }
        if self.conflicts > 0 {
            parts.push(format!("{} rows give a subject another profile than an earlier row", self.conflicts));
        }
        (!parts.is_empty()).then(|| format!("{}: {}", self.file, parts.join(", ")))
    }

    /// Returns whether every row is in exactly one class.
    pub fn adds_up(&self) -> bool {
        self.read == self.accepted + self.quarantined + self.filtered
    }
}

/// A row that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The file, relative to the source folder.
    pub file: Arc<str>,
    /// The line on which the row starts, from 1.
    pub line: u64,
    /// The column and the reason.
    pub fault: Fault,
}

/// Writes the quarantine report, a CSV of file, line, column and reason. Never a value of a row.
#[derive(Debug)]
pub struct QuarantineReport {
    writer: csv::Writer<File>,
    name: String,
}

impl QuarantineReport {
    /// Creates the file, or empties it.
    pub fn create(path: &Path) -> Result<Self, ImportError> {
        let name = path.display().to_string();
        let file = File::create(path).map_err(|error| ImportError::io(&name, &error))?;
        let mut report = Self { writer: csv::Writer::from_writer(file), name };
        report.line(["file", "line", "column", "reason"])?;
        Ok(report)
    }

    /// Adds rows.
    pub fn add(&mut self, rows: &[Quarantined]) -> Result<(), ImportError> {
        for row in rows {
            let reason = row.fault.reason.to_string();
            self.line([row.file.as_ref(), &row.line.to_string(), &row.fault.column, &reason])?;
        }
        Ok(())
    }

    /// Writes everything to the file.
    pub fn finish(mut self) -> Result<(), ImportError> {
        self.writer.flush().map_err(|error| ImportError::io(&self.name, &error))
    }

    fn line(&mut self, cells: [&str; 4]) -> Result<(), ImportError> {
        self.writer
            .write_record(cells)
            .map_err(|_| ImportError::Io { file: self.name.clone(), kind: std::io::ErrorKind::WriteZero })
    }
}

/// Says what became of the rows of every file: a table, and a line for what it does not show.
pub fn summary(files: &[FileReport]) -> String {
    let remarks: String = files.iter().filter_map(FileReport::remark).map(|remark| format!("{remark}\n")).collect();
    format!("{}\n{remarks}", table(files))
}

/// Draws the rows of every file as a table for people.
pub fn table(files: &[FileReport]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["file", "rows read", "accepted", "quarantined", "filtered", "profiles", "events", "consents"]);
    for report in files {
        let counts = [
            report.read,
            report.accepted,
            report.quarantined,
            report.filtered,
            report.profiles,
            report.events,
            report.consents,
        ];
        table.add_row(std::iter::once(report.file.clone()).chain(counts.map(|count| count.to_string())));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
