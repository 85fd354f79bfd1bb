//! Compiles values, formats and filters of a mapping.

use crate::cli::import::error::MappingError;
use crate::cli::import::filter::{Filter, Test};
use crate::cli::import::moment::TimeReader;
use crate::cli::import::number::{self, Number, NumberFormat};
use crate::cli::import::raw;
use crate::cli::import::row::{Columns, Slot};
use crate::cli::import::source::FileFormat;
use crate::cli::import::value::{Band, Origin, ValueSpec};
use encoding_rs::Encoding;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

type Result<T> = std::result::Result<T, MappingError>;

/// What the values of one file share.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    pub nulls: Arc<HashSet<String>>,
    pub trim: bool,
    pub numbers: NumberFormat,
    pub time_format: String,
    pub time_zone: String,
}

/// Lookups declared so far: name, and the columns wanted of them.
pub(super) type Lookups = BTreeMap<String, (usize, Columns)>;

/// Compiles the values of one file, collecting the columns they need.
pub(super) struct Values<'a> {
    pub defaults: &'a Defaults,
    pub columns: Columns,
    pub lookups: Lookups,
}

/// Joins a file's format with the mapping's.
pub(super) fn merged(over: &raw::Format, base: &raw::Format) -> raw::Format {
    let (over, base) = (over.clone(), base.clone());
    raw::Format {
        encoding: over.encoding.or(base.encoding),
        delimiter: over.delimiter.or(base.delimiter),
        quote: over.quote.or(base.quote),
        comment: over.comment.or(base.comment),
        decimal_mark: over.decimal_mark.or(base.decimal_mark),
        thousands: over.thousands.or(base.thousands),
        null: over.null.or(base.null),
        trim: over.trim.or(base.trim),
        columns: over.columns.or(base.columns),
        skip_lines: over.skip_lines.or(base.skip_lines),
        time_format: over.time_format.or(base.time_format),
        time_zone: over.time_zone.or(base.time_zone),
    }
}

/// Checks a format; `zone` is the dataset's time zone.
pub(super) fn format(raw: &raw::Format, zone: &str, place: &str) -> Result<(FileFormat, Defaults)> {
    let encoding = raw.encoding.as_deref().unwrap_or("utf-8");
    let encoding = Encoding::for_label(encoding.as_bytes())
        .ok_or_else(|| wrong(place, "encoding", "an encoding is a name such as `utf-8`, `utf-16` or `latin1`"))?;
    let byte = |text: &Option<String>, key| match text {
        Some(text) => one_byte(text, place, key).map(Some),
        None => Ok(None),
    };
    let quote = match raw.quote.as_deref() {
        None => Some(b'"'),
        Some("") => None,
        Some(text) => Some(one_byte(text, place, "quote")?),
    };
    let file = FileFormat {
        encoding,
        delimiter: byte(&raw.delimiter, "delimiter")?.unwrap_or(b','),
        quote,
        comment: byte(&raw.comment, "comment")?,
        columns: raw.columns.clone(),
        skip_lines: raw.skip_lines.unwrap_or(0),
    };
    let defaults = Defaults {
        nulls: Arc::new(raw.null.clone().unwrap_or_default().into_iter().collect()),
        trim: raw.trim.unwrap_or(true),
        numbers: numbers(raw.decimal_mark.as_deref(), raw.thousands.as_deref(), NumberFormat::default(), place)?,
        time_format: raw.time_format.clone().unwrap_or_else(|| "iso".to_owned()),
        time_zone: raw.time_zone.clone().unwrap_or_else(|| zone.to_owned()),
    };
    Ok((file, defaults))
}

fn one_byte(text: &str, place: &str, key: &str) -> Result<u8> {
    let text = if text == "tab" { "\t" } else { text };
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err(wrong(place, key, "one ASCII character is needed")),
    }
}

fn numbers(mark: Option<&str>, group: Option<&str>, base: NumberFormat, place: &str) -> Result<NumberFormat> {
    let one = |text: &str, key| {
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) if !c.is_ascii_digit() => Ok(c),
            _ => Err(wrong(place, key, "one character that is not a digit is needed")),
        }
    };
    let decimal_mark = mark.map_or(Ok(base.decimal_mark), |text| one(text, "decimal_mark"))?;
    let thousands = match group {
        Some("") => None,
        Some(text) => Some(one(text, "thousands")?),
        None => base.thousands,
    };
    if thousands == Some(decimal_mark) {
        return Err(wrong(place, "thousands", "it must differ from the decimal mark"));
    }
    Ok(NumberFormat { decimal_mark, thousands })
}

pub(super) fn wrong(place: &str, key: &str, problem: &str) -> MappingError {
    let place = if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
    MappingError::new(place, problem)
}

impl Values<'_> {
    /// Compiles a value; a bare string is a column. `listed` is the target's public list.
    pub fn value(&mut self, raw: &raw::Value, listed: &[&str], place: &str) -> Result<ValueSpec> {
        match raw {
            raw::Value::Text(column) => {
                let table = raw::ValueTable { column: Some(column.clone()), ..Default::default() };
                self.table(&table, listed, place)
            }
            raw::Value::Table(table) => self.table(table, listed, place),
        }
    }

    fn table(&mut self, raw: &raw::ValueTable, listed: &[&str], place: &str) -> Result<ValueSpec> {
        let (origin, label) = self.origin(raw, place)?;
        let numbers = numbers(raw.decimal_mark.as_deref(), raw.thousands.as_deref(), self.defaults.numbers, place)?;
        let time_format = raw.format.as_deref().unwrap_or(&self.defaults.time_format);
        let time_zone = raw.zone.as_deref().unwrap_or(&self.defaults.time_zone);
        let time = TimeReader::new(time_format, time_zone).map_err(|problem| wrong(place, "format", &problem))?;
        let nulls = match &raw.null {
            Some(list) => Arc::new(list.iter().cloned().collect()),
            None => Arc::clone(&self.defaults.nulls),
        };
        let mut map = std::collections::HashMap::new();
        for (from, to) in &raw.map {
            map.insert(from.clone(), plain(to, place, "map")?);
        }
        let mut bands = Vec::new();
        for band in &raw.bands {
            bands.push(compile_band(band, place)?);
        }
        Ok(ValueSpec {
            label,
            origin,
            nulls,
            trim: raw.trim.unwrap_or(self.defaults.trim),
            strip: raw.strip.clone().unwrap_or_default(),
            strip_prefix: raw.strip_prefix.clone().unwrap_or_default(),
            integer: raw.cast.is_some(),
            numbers,
            time,
            part: raw.part,
            map,
            otherwise: raw.otherwise.clone(),
            listed: listed.iter().map(|text| (*text).to_owned()).collect(),
            bands,
            default: raw.default.as_ref().map(|text| plain(text, place, "default")).transpose()?,
            prefix: raw.prefix.clone().unwrap_or_default(),
            round: raw.round,
            clamp: raw.clamp,
        })
    }

    fn origin(&mut self, raw: &raw::ValueTable, place: &str) -> Result<(Origin, Arc<str>)> {
        let given = usize::from(raw.columns.is_some())
            + usize::from(raw.multiply.is_some())
            + usize::from(raw.constant.is_some())
            + usize::from(raw.row_number)
            + usize::from(raw.column.is_some() || raw.lookup.is_some());
        if given != 1 {
            let problem = "exactly one of `column`, `columns`, `multiply`, `constant`, `row_number` or `lookup` says \
                           where the value comes from";
            return Err(MappingError::new(place, problem));
        }
        if let Some(name) = &raw.lookup {
            return self.lookup(name, raw, place);
        }
        if let Some(constant) = &raw.constant {
            return Ok((Origin::Constant(plain(constant, place, "constant")?), "(constant)".into()));
        }
        if raw.row_number {
            return Ok((Origin::RowNumber, "(row number)".into()));
        }
        if let Some(column) = &raw.column {
            return Ok((Origin::Column(self.columns.slot(column)), column.as_str().into()));
        }
        let (names, multiply) = match (&raw.multiply, &raw.columns) {
            (Some(names), _) => (names, true),
            (None, names) => (names.as_ref().ok_or_else(|| MappingError::new(place, "a column is needed"))?, false),
        };
        if names.is_empty() {
            return Err(MappingError::new(place, "at least one column is needed"));
        }
        let slots: Vec<Slot> = names.iter().map(|name| self.columns.slot(name)).collect();
        let label: Arc<str> = names.join("+").into();
        let separator = raw.join.clone().unwrap_or_else(|| " ".to_owned());
        Ok((if multiply { Origin::Multiply { slots } } else { Origin::Join { slots, separator } }, label))
    }

    fn lookup(&mut self, name: &str, raw: &raw::ValueTable, place: &str) -> Result<(Origin, Arc<str>)> {
        let column = raw.column.as_deref().ok_or_else(|| wrong(place, "column", "which column of the lookup?"))?;
        let known: Vec<&str> = self.lookups.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let (table, columns) = self
            .lookups
            .get_mut(name)
            .ok_or_else(|| wrong(place, "lookup", &format!("no such lookup of this file; it has: {known}")))?;
        let slot = columns.slot(column);
        let at = columns.names().iter().position(|known| *known == columns.name(slot)).unwrap_or_default();
        let origin = Origin::Lookup { table: *table, column: at, unmatched: raw.unmatched.clone() };
        Ok((origin, format!("{name}.{column}").into()))
    }

    /// Compiles an optional filter.
    pub fn filter(&mut self, raw: Option<&raw::Filter>, place: &str) -> Result<Option<Filter>> {
        raw.map(|raw| self.condition(raw, &format!("{place}.where"))).transpose()
    }

    fn condition(&mut self, raw: &raw::Filter, place: &str) -> Result<Filter> {
        let mut parts = Vec::new();
        if let Some(all) = &raw.all {
            parts.push(Filter::All(self.conditions(all, place)?));
        }
        if let Some(any) = &raw.any {
            parts.push(Filter::Any(self.conditions(any, place)?));
        }
        if let Some(not) = &raw.not {
            parts.push(Filter::Not(Box::new(self.condition(not, place)?)));
        }
        let tests = tests(raw, place)?;
        let value = match (&raw.column, &raw.value) {
            (Some(column), None) => Some(raw::Value::Text(column.clone())),
            (None, value) => value.clone(),
            (Some(_), Some(_)) => return Err(MappingError::new(place, "either `column` or `value`, not both")),
        };
        match value {
            Some(_) if tests.is_empty() => {
                let problem = "a test is missing: equals, not_equals, starts_with, not_starts_with, ends_with, \
                               not_ends_with, contains, not_contains, empty, less_than, at_most, greater_than or at_least";
                return Err(MappingError::new(place, problem));
            }
            Some(value) => parts.push(Filter::Test(Box::new(self.value(&value, &[], place)?), tests)),
            None if !tests.is_empty() => {
                return Err(MappingError::new(place, "`column` is missing: which one is tested?"));
            }
            None => {}
        }
        if parts.is_empty() {
            return Err(MappingError::new(place, "an empty condition; write `column` and a test, or all, any, not"));
        }
        Ok(Filter::All(parts))
    }

    fn conditions(&mut self, raw: &[raw::Filter], place: &str) -> Result<Vec<Filter>> {
        raw.iter().map(|raw| self.condition(raw, place)).collect()
    }
}

fn plain(value: &toml::Value, place: &str, key: &str) -> Result<String> {
    raw::scalar(value).ok_or_else(|| wrong(place, key, "a text, a number or a flag is needed"))
}

fn compile_band(band: &raw::Band, place: &str) -> Result<Band> {
    let bound = |value: &Option<toml::Value>| value.as_ref().map(|value| number(value, place, "bands")).transpose();
    let (from, to, below) = (bound(&band.from)?, bound(&band.to)?, bound(&band.below)?);
    if to.is_some() && below.is_some() {
        return Err(wrong(place, "bands", "either `to` (inclusive) or `below` (exclusive), not both"));
    }
    Ok(Band { from, to, below, label: band.label.clone() })
}

fn number(value: &toml::Value, place: &str, key: &str) -> Result<Number> {
    let text = plain(value, place, key)?;
    number::parse(&text, NumberFormat::default()).ok_or_else(|| wrong(place, key, "a number is needed"))
}

/// Builds a test against a list of texts; the flag turns its outcome around.
type ListTest = fn(Vec<String>, bool) -> Test;

fn tests(raw: &raw::Filter, place: &str) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    let lists: [(&Option<raw::OneOrMany>, ListTest, bool); 8] = [
        (&raw.equals, Test::Equals, false),
        (&raw.not_equals, Test::Equals, true),
        (&raw.starts_with, Test::StartsWith, false),
        (&raw.not_starts_with, Test::StartsWith, true),
        (&raw.ends_with, Test::EndsWith, false),
        (&raw.not_ends_with, Test::EndsWith, true),
        (&raw.contains, Test::Contains, false),
        (&raw.not_contains, Test::Contains, true),
    ];
    for (list, test, turned) in lists {
        if let Some(list) = list {
            tests.push(test(texts(list, place)?, turned));
        }
    }
    tests.extend(raw.empty.map(Test::Empty));
    let bounds: [(&Option<toml::Value>, &'static [Ordering]); 4] = [
        (&raw.less_than, &[Ordering::Less]),
        (&raw.at_most, &[Ordering::Less, Ordering::Equal]),
        (&raw.greater_than, &[Ordering::Greater]),
        (&raw.at_least, &[Ordering::Greater, Ordering::Equal]),
    ];
    for (bound, wanted) in bounds {
        if let Some(bound) = bound {
            tests.push(Test::Number(wanted, number(bound, place, "where")?));
        }
    }
    Ok(tests)
}

fn texts(list: &raw::OneOrMany, place: &str) -> Result<Vec<String>> {
    match list {
        raw::OneOrMany::One(value) => Ok(vec![plain(value, place, "where")?]),
        raw::OneOrMany::Many(values) => values.iter().map(|value| plain(value, place, "where")).collect(),
    }
}
