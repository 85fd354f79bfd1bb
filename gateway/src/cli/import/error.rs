//! Why an import stops. Rows that do not fit never stop one; they go to the quarantine report.

use std::io;

/// Why a mapping was refused: where in it, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct MappingError {
    place: String,
    problem: String,
}

impl MappingError {
    pub(super) fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into() }
    }
}

/// Why an import stopped. Names files and columns, never values.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The mapping does not fit the schema, or itself.
    #[error("mapping: {0}")]
    Mapping(#[from] MappingError),
    /// A file could not be read.
    #[error("{file}: {kind}")]
    Io {
        /// The file, relative to the source folder.
        file: String,
        /// What went wrong.
        kind: io::ErrorKind,
    },
    /// No file has this name or matches this pattern.
    #[error("{file}: there is no such file in the source folder")]
    NoFile {
        /// The name or pattern.
        file: String,
    },
    /// The file is empty: it does not even have a header row.
    #[error("{file}: the file is empty; a header row was expected (or `columns` in its format)")]
    NoHeader {
        /// The file.
        file: String,
    },
    /// Columns that the mapping names are not in the file.
    #[error("{file}: no column {missing}; the file has: {present}")]
    MissingColumns {
        /// The file.
        file: String,
        /// The columns that the mapping names.
        missing: String,
        /// The columns that the file has.
        present: String,
    },
    /// None of the columns that the mapping names is in the file, so that its first row is hardly a header.
    #[error(
        "{file}: none of the columns {missing} is in the first row; if the file has no header row, list its `columns` \
         in the format; if it has, check the delimiter and the encoding"
    )]
    NoColumns {
        /// The file.
        file: String,
        /// The columns that the mapping names.
        missing: String,
    },
    /// A column that the mapping names is there twice.
    #[error("{file}: the column {column} is there twice")]
    TwiceColumn {
        /// The file.
        file: String,
        /// The column.
        column: String,
    },
    /// A row has no end: a quote was left open.
    #[error("{file}: row {row} is longer than 4 MiB; a quote was left open, or the delimiter or encoding is another")]
    RowTooLong {
        /// The file.
        file: String,
        /// The row's number, from 1, the header not counted.
        row: u64,
    },
}

impl ImportError {
    pub(super) fn io(file: &str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NoFile { file: file.to_owned() },
            kind => Self::Io { file: file.to_owned(), kind },
        }
    }
}

/// Finds the position of each named column in a header.
pub(super) fn positions(
    file: &str,
    header: &[String],
    names: &[std::sync::Arc<str>],
) -> Result<Vec<usize>, ImportError> {
    let mut positions = Vec::with_capacity(names.len());
    let mut missing = Vec::new();
    for name in names {
        let mut found = header.iter().enumerate().filter(|(_, column)| column.as_str() == name.as_ref());
        match (found.next(), found.next()) {
            (Some((at, _)), None) => positions.push(at),
            (Some(_), Some(_)) => {
                return Err(ImportError::TwiceColumn { file: file.to_owned(), column: name.to_string() });
            }
            (None, _) => missing.push(format!("`{name}`")),
        }
    }
    if missing.is_empty() {
        return Ok(positions);
    }
    let (file, missing) = (file.to_owned(), missing.join(", "));
    // A first row without any expected name may be a row of data, which no message may show.
    if positions.is_empty() {
        return Err(ImportError::NoColumns { file, missing });
    }
    let present = header.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ");
    Err(ImportError::MissingColumns { file, missing, present })
}
