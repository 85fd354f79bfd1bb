//! Where a value comes from and what is done to it, in a fixed order: cell(s) -> null tokens -> strip -> cast -> part of
//! a time -> map -> bands -> default -> prefix. The outcome is a text or nothing; `encode` makes it a stored value.

use super::lookup::Table;
use super::moment::{Part, TimeReader};
use super::number::{self, Number, NumberFormat};
use super::reason::{Fault, Reason};
use super::row::{Row, Slot};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A value's source.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    Column(Slot),
    Join { slots: Vec<Slot>, separator: String },
    Multiply { slots: Vec<Slot> },
    Constant(String),
    RowNumber,
    Lookup { table: usize, column: usize, unmatched: Option<String> },
}

/// A band: numbers from `from`, up to `to` inclusive or below `below`.
#[derive(Debug, Clone)]
pub(super) struct Band {
    pub from: Option<Number>,
    pub to: Option<Number>,
    pub below: Option<Number>,
    pub label: String,
}

impl Band {
    fn holds(&self, number: Number) -> bool {
        self.from.is_none_or(|from| number.compare(from) != Ordering::Less)
            && self.to.is_none_or(|to| number.compare(to) != Ordering::Greater)
            && self.below.is_none_or(|below| number.compare(below) == Ordering::Less)
    }
}

/// A value as a mapping describes it.
#[derive(Debug, Clone)]
pub(super) struct ValueSpec {
    /// The column or columns, for reports.
    pub label: Arc<str>,
    pub origin: Origin,
    pub nulls: Arc<HashSet<String>>,
    pub trim: bool,
    pub strip: String,
    pub strip_prefix: String,
    pub integer: bool,
    pub numbers: NumberFormat,
    pub time: TimeReader,
    pub part: Option<Part>,
    pub map: HashMap<String, String>,
    /// What stands for texts that neither the map lists nor the target's list holds.
    pub otherwise: Option<String>,
    /// The target's public list, needed only beside `otherwise`.
    pub listed: HashSet<String>,
    pub bands: Vec<Band>,
    pub default: Option<String>,
    pub prefix: String,
    pub round: bool,
    pub clamp: bool,
}

type Text<'r> = Option<Cow<'r, str>>;

impl ValueSpec {
    /// Builds the fault of this value.
    pub fn fault(&self, reason: Reason) -> Fault {
        Fault { column: Arc::clone(&self.label), reason }
    }

    /// Returns the texts that the mapping itself writes, rather than the file.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        // With bands behind it, a map gives numbers, not labels.
        let mapped = self.map.values().chain(&self.otherwise).map(String::as_str).filter(|_| self.bands.is_empty());
        self.bands.iter().map(|band| band.label.as_str()).chain(mapped).chain(self.default.as_deref())
    }

    /// Returns the text of this value in a row; `None` is null.
    pub fn text<'r>(&'r self, row: &Row<'r>) -> Result<Text<'r>, Fault> {
        let raw = self.raw(row)?.map(|text| if self.trim { trim(text) } else { text });
        let text = match raw.filter(|text| !self.is_null(text)) {
            Some(text) => self.refined(text)?,
            None => None,
        };
        let text = text.or(self.default.as_deref().map(Cow::Borrowed));
        Ok(text.map(|text| if self.prefix.is_empty() { text } else { Cow::Owned(format!("{}{text}", self.prefix)) }))
    }

    fn is_null(&self, text: &str) -> bool {
        text.is_empty() || self.nulls.contains(text)
    }

    fn raw<'r>(&'r self, row: &Row<'r>) -> Result<Text<'r>, Fault> {
        Ok(match &self.origin {
            Origin::Column(slot) => Some(Cow::Borrowed(row.text(*slot, &self.label)?)),
            Origin::Constant(text) => Some(Cow::Borrowed(text)),
            Origin::RowNumber => Some(Cow::Owned(row.number.to_string())),
            Origin::Join { slots, separator } => {
                let mut parts = Vec::with_capacity(slots.len());
                for slot in slots {
                    parts.push(row.text(*slot, &self.label)?.trim());
                }
                let empty = parts.iter().all(|part| self.is_null(part));
                (!empty).then(|| Cow::Owned(parts.join(separator)))
            }
            Origin::Multiply { slots } => self.product(slots, row)?.map(Cow::Owned),
            Origin::Lookup { table, column, unmatched } => match row.tables.get(*table) {
                Some(found) => self.looked_up(found, *column, unmatched.as_deref(), row)?,
                None => None,
            },
        })
    }

    fn looked_up<'r>(
        &'r self,
        table: &'r Table,
        column: usize,
        unmatched: Option<&'r str>,
        row: &Row<'r>,
    ) -> Result<Text<'r>, Fault> {
        let Some(key) = table.by().text(row)? else { return Ok(unmatched.map(Cow::Borrowed)) };
        match table.find(&key, column) {
            Some(text) => Ok(Some(Cow::Borrowed(text))),
            None if unmatched.is_some() => Ok(unmatched.map(Cow::Borrowed)),
            None if table.required() => Err(table.by().fault(Reason::NotFound { lookup: Arc::clone(table.name()) })),
            None => Ok(None),
        }
    }

    fn product(&self, slots: &[Slot], row: &Row<'_>) -> Result<Option<String>, Fault> {
        let mut product: Option<Number> = None;
        for slot in slots {
            let text = row.text(*slot, &self.label)?.trim();
            if self.is_null(text) {
                return Ok(None);
            }
            let factor = number::parse(text, self.numbers);
            let next = factor.and_then(|f| product.map_or(Some(f), |p| p.multiply(f)));
            product = Some(next.ok_or_else(|| self.fault(Reason::NotNumber))?);
        }
        // Written in the file's own format, since later steps read it so.
        Ok(product.map(|p| p.to_string().replace('.', self.numbers.decimal_mark.encode_utf8(&mut [0; 4]))))
    }

    fn refined<'r>(&'r self, text: Cow<'r, str>) -> Result<Text<'r>, Fault> {
        let mut text = self.stripped(text);
        if self.integer {
            let number = number::parse(&text, self.numbers).ok_or_else(|| self.fault(Reason::NotNumber))?;
            let whole = number.units(0, self.round).map_err(|_| self.fault(Reason::TooPrecise { scale: 0 }))?;
            text = Cow::Owned(whole.to_string());
        }
        if let Some(part) = self.part {
            let wall = self.time.wall(&text).ok_or_else(|| self.fault(Reason::NotTime))?;
            text = Cow::Owned(part.of(wall));
        }
        if let Some(mapped) = self.mapped(&text) {
            text = Cow::Borrowed(mapped);
        }
        if !self.bands.is_empty() && !text.is_empty() {
            text = Cow::Borrowed(self.band(&text)?);
        }
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    fn stripped<'r>(&'r self, mut text: Cow<'r, str>) -> Cow<'r, str> {
        if let Some(rest) = text.strip_prefix(self.strip_prefix.as_str()).filter(|_| !self.strip_prefix.is_empty()) {
            text = Cow::Owned(rest.to_owned());
        }
        if !self.strip.is_empty() && text.contains(|c| self.strip.contains(c)) {
            text = Cow::Owned(text.chars().filter(|c| !self.strip.contains(*c)).collect());
        }
        text
    }

    fn mapped(&self, text: &str) -> Option<&str> {
        if let Some(mapped) = self.map.get(text) {
            return Some(mapped);
        }
        self.otherwise.as_deref().filter(|_| !self.listed.contains(text))
    }

    fn band(&self, text: &str) -> Result<&str, Fault> {
        let number = number::parse(text, self.numbers).ok_or_else(|| self.fault(Reason::NotNumber))?;
        let band = self.bands.iter().find(|band| band.holds(number));
        band.map(|band| band.label.as_str()).ok_or_else(|| self.fault(Reason::NoBand))
    }
}

fn trim(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}
