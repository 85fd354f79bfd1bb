//! How consent was collected, as a mapping says it: labels that a row need not have.

use super::values::Values;
use crate::cli::import::error::MappingError;
use crate::cli::import::raw;
use crate::cli::import::reason::{Fault, Reason};
use crate::cli::import::row::Row;
use crate::cli::import::value::ValueSpec;
use policy::consent::{CollectionMethod, InvalidLabel, LanguageTag, NoticeVersion};

/// The labels of consent events.
#[derive(Debug, Clone)]
pub(in crate::cli::import) struct Collected {
    notice: Said<NoticeVersion>,
    method: Said<CollectionMethod>,
    language: Said<LanguageTag>,
}

/// One of them: not said, the same for all rows, or in a column.
#[derive(Debug, Clone)]
enum Said<T> {
    Nothing,
    Constant(T),
    Column { value: Box<ValueSpec>, read: Read<T>, what: &'static str },
}

/// What a row says: notice, method, language.
type Labels = (Option<NoticeVersion>, Option<CollectionMethod>, Option<LanguageTag>);

type Read<T> = fn(&str) -> Result<T, InvalidLabel>;

impl Collected {
    /// Compiles what a mapping says of some consents.
    pub(super) fn compile(values: &mut Values<'_>, raw: &raw::Consent, place: &str) -> Result<Self, MappingError> {
        let raw::Consent { notice, method, language, .. } = raw;
        Ok(Self {
            notice: said(values, notice.as_ref(), NoticeVersion::new, "a notice's version", place, "notice")?,
            method: said(values, method.as_ref(), CollectionMethod::parse, "a way of collecting", place, "method")?,
            language: said(values, language.as_ref(), LanguageTag::new, "a language", place, "language")?,
        })
    }

    /// Reads the labels of a row: notice, method, language.
    pub fn read(&self, row: &Row<'_>) -> Result<Labels, Fault> {
        Ok((self.notice.of(row)?, self.method.of(row)?, self.language.of(row)?))
    }
}

impl<T: Clone> Said<T> {
    fn of(&self, row: &Row<'_>) -> Result<Option<T>, Fault> {
        match self {
            Self::Nothing => Ok(None),
            Self::Constant(label) => Ok(Some(label.clone())),
            Self::Column { value, read, what } => {
                let Some(text) = value.text(row)? else { return Ok(None) };
                read(&text).map(Some).map_err(|_| value.fault(Reason::NotLabel { what }))
            }
        }
    }
}

fn said<T>(
    values: &mut Values<'_>,
    raw: Option<&raw::Value>,
    read: Read<T>,
    what: &'static str,
    place: &str,
    key: &str,
) -> Result<Said<T>, MappingError> {
    let place = format!("{place}.{key}");
    let refused = |problem: InvalidLabel| MappingError::new(&place, problem.to_string());
    match raw {
        None => Ok(Said::Nothing),
        Some(raw::Value::Text(text)) => read(text).map(Said::Constant).map_err(refused),
        Some(column) => {
            let value = values.value(column, &[], &place)?;
            for text in value.outputs().filter(|text| !text.is_empty()) {
                read(text).map_err(refused)?;
            }
            Ok(Said::Column { value: Box::new(value), read, what })
        }
    }
}
