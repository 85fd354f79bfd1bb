//! What a column's cells have in common, and what that makes it.

use super::sniff::Sniffed;
use crate::cli::import::moment::TimeReader;
use crate::cli::import::number::{self, Number, NumberFormat};
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};

/// Longest list that is drafted as one.
const MAX_LIST: usize = 40;
/// Longest label of a list.
const MAX_LABEL_BYTES: usize = 128;
/// Distinct values remembered to see whether a key repeats.
const MAX_REMEMBERED: usize = 5_000_000;
/// Formats of times that are tried, the most usual first.
const TIME_FORMATS: [&str; 10] = [
    "iso",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
];
/// Texts that people write for nothing.
const NULLS: [&str; 7] = ["NA", "N/A", "NULL", "null", "None", "nan", "?"];
/// Parts of names that hint at what no policy should let out.
const SENSITIVE: [&str; 14] = [
    "income", "salary", "health", "diet", "allerg", "religio", "race", "ethnic", "disab", "politic", "union",
    "diagnos", "medic", "credit",
];
/// Parts of names that hint at a person's own identifiers.
const IDENTIFYING: [&str; 9] = ["email", "e_mail", "phone", "mobile", "name", "address", "street", "iban", "passport"];
/// Parts of names that hint at a key of people.
const PEOPLE: [&str; 10] =
    ["customer", "member", "client", "household", "person", "user", "subject", "consumer", "account", "pid"];
/// Words that a schema keeps for itself.
const RESERVED: [&str; 16] = [
    "as", "break", "const", "continue", "else", "false", "for", "function", "has", "if", "import", "in", "let", "null",
    "true", "while",
];

/// What a column becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    List(Vec<String>),
    Integer {
        min: String,
        max: String,
    },
    Decimal {
        scale: u8,
        min: String,
        max: String,
    },
    Date {
        from_year: i16,
        to_year: i16,
        format: &'static str,
    },
    Text {
        max_bytes: u16,
    },
    /// Nothing in it, or texts longer than a field holds.
    LeftOut,
}

/// What was seen in a column.
#[derive(Debug)]
pub(super) struct Column {
    pub name: String,
    pub nulls: BTreeSet<&'static str>,
    numbers: NumberFormat,
    filled: u64,
    longest: usize,
    list: BTreeSet<String>,
    too_many: bool,
    hashes: HashSet<u64>,
    hasher: RandomState,
    repeats: bool,
    bools: bool,
    range: Option<(Number, Number)>,
    numeric: bool,
    scale: u8,
    times: Vec<(&'static str, TimeReader)>,
    days: Option<(i32, i32)>,
}

impl Column {
    pub fn new(name: &str, sniffed: &Sniffed) -> Self {
        let reader = |format| TimeReader::new(format, "UTC").ok().map(|reader| (format, reader));
        Self {
            name: name.to_owned(),
            nulls: BTreeSet::new(),
            numbers: sniffed.numbers,
            filled: 0,
            longest: 0,
            list: BTreeSet::new(),
            too_many: false,
            hashes: HashSet::new(),
            hasher: RandomState::new(),
            repeats: false,
            bools: true,
            range: None,
            numeric: true,
            scale: 0,
            times: TIME_FORMATS.into_iter().filter_map(reader).collect(),
            days: None,
        }
    }

    /// Looks at a cell.
    pub fn add(&mut self, cell: &str) {
        let cell = cell.trim();
        if let Some(null) = NULLS.iter().find(|null| **null == cell) {
            self.nulls.insert(null);
        }
        if cell.is_empty() || NULLS.contains(&cell) {
            return;
        }
        self.filled += 1;
        self.longest = self.longest.max(cell.len());
        if !self.too_many && !self.list.contains(cell) {
            self.list.insert(cell.to_owned());
            self.too_many = self.list.len() > MAX_LIST;
        }
        if !self.repeats && self.hashes.len() < MAX_REMEMBERED {
            self.repeats = !self.hashes.insert(self.hasher.hash_one(cell));
        }
        self.bools &= is_bool(cell);
        self.add_number(cell);
        self.add_time(cell);
    }

    fn add_number(&mut self, cell: &str) {
        if !self.numeric {
            return;
        }
        // A code with leading zeros, such as a postcode, is no number.
        let padded = cell.len() > 1 && cell.starts_with('0') && cell.bytes().all(|byte| byte.is_ascii_digit());
        let Some(number) = number::parse(cell, self.numbers).filter(|_| !padded) else {
            self.numeric = false;
            return;
        };
        match (0..=9).find(|scale| number.units(*scale, false).is_ok()) {
            Some(scale) => self.scale = self.scale.max(scale),
            None => self.numeric = false,
        }
        let less = |a: Number, b: Number| a.compare(b) == Ordering::Less;
        self.range = Some(match self.range {
            None => (number, number),
            Some((min, max)) => {
                (if less(number, min) { number } else { min }, if less(max, number) { number } else { max })
            }
        });
    }

    fn add_time(&mut self, cell: &str) {
        self.times.retain(|(_, reader)| reader.day(cell).is_some());
        if let Some(day) = self.times.first().and_then(|(_, reader)| reader.day(cell)) {
            self.days = Some(self.days.map_or((day, day), |(min, max)| (min.min(day), max.max(day))));
        }
    }

    /// Returns whether a value was seen twice.
    pub fn repeats(&self) -> bool {
        self.repeats
    }

    /// Returns whether some of so many rows have nothing in it.
    pub fn has_gaps(&self, rows: u64) -> bool {
        self.filled < rows
    }

    /// Returns whether every cell is a time or a day.
    pub fn is_time(&self) -> bool {
        self.filled > 0 && !self.times.is_empty() && !self.numeric
    }

    /// Returns the format of its times.
    pub fn time_format(&self) -> &'static str {
        self.times.first().map_or("iso", |(format, _)| format)
    }

    /// Returns what the column becomes in a file with so many rows.
    pub fn kind(&self, rows: u64) -> Kind {
        if self.filled == 0 {
            return Kind::LeftOut;
        }
        if self.bools {
            return Kind::Bool;
        }
        if let (true, Some((min, max))) = (self.numeric, self.range) {
            let (min, max) = outward(min, max);
            return match self.scale {
                0 => Kind::Integer { min, max },
                scale => Kind::Decimal { scale, min, max },
            };
        }
        if self.is_time() {
            let (min, max) = self.days.unwrap_or_default();
            return Kind::Date { from_year: year(min), to_year: year(max) + 10, format: self.time_format() };
        }
        let labels = self.longest <= MAX_LABEL_BYTES && !self.list.iter().any(|text| text.contains(char::is_control));
        let few = labels && !self.too_many && (self.list.len() as u64) * 4 <= rows.max(8);
        if few { Kind::List(self.list.iter().cloned().collect()) } else { self.sealed() }
    }

    /// Returns what a column becomes whose values must not be listed.
    pub fn sealed(&self) -> Kind {
        // Twice what was seen, so that the bound is not the length of somebody's own text.
        let wanted = if self.longest > 127 { self.longest } else { self.longest * 2 };
        match [16, 32, 64, 128, 255].into_iter().find(|max| wanted <= usize::from(*max)) {
            Some(max_bytes) => Kind::Text { max_bytes },
            None => Kind::LeftOut,
        }
    }

    /// Returns the class that its name suggests.
    pub fn class(&self, kind: &Kind, of_event: bool) -> &'static str {
        let name = field_name(&self.name);
        let hints = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        match kind {
            _ if hints(&SENSITIVE) => "sensitive",
            Kind::Text { .. } if hints(&IDENTIFYING) || !of_event => "identifier",
            _ if of_event => "behavioral",
            _ => "quasi_identifier",
        }
    }
}

fn is_bool(cell: &str) -> bool {
    ["true", "false", "yes", "no", "y", "n", "t", "f", "0", "1"].iter().any(|word| cell.eq_ignore_ascii_case(word))
}

fn year(day: i32) -> i16 {
    let date = jiff::civil::Date::constant(1970, 1, 1).checked_add(jiff::Span::new().try_days(day).unwrap_or_default());
    date.map_or(1970, jiff::civil::Date::year)
}

/// Rounds bounds outward to 1, 2 or 5 times a power of ten, so that they are nobody's own number.
fn outward(min: Number, max: Number) -> (String, String) {
    let zero = number::parse("0", NumberFormat::default());
    let is_negative = |number: Number| zero.is_some_and(|zero| number.compare(zero) == Ordering::Less);
    let up = |number: Number| {
        let steps = (0..19).flat_map(|power| ["1", "2", "5"].map(|digit| format!("{digit}{}", "0".repeat(power))));
        let fits = |step: &String| {
            number::parse(step, NumberFormat::default()).is_some_and(|step| number.compare(step) != Ordering::Greater)
        };
        steps.into_iter().find(fits).unwrap_or_else(|| i64::MAX.to_string())
    };
    let magnitude = |number: Number| number::parse(number.to_string().trim_start_matches('-'), NumberFormat::default());
    let low = match magnitude(min).filter(|_| is_negative(min)) {
        Some(magnitude) => format!("-{}", up(magnitude)),
        None => "0".to_owned(),
    };
    (low, if is_negative(max) { "0".to_owned() } else { up(max) })
}

/// Guesses the column that names people: by its name, then one that never repeats, then the first.
pub(super) fn subject_guess(columns: &[Column], rows: u64) -> String {
    let named = |column: &&Column| {
        let name = field_name(&column.name);
        PEOPLE.iter().any(|part| name.contains(part)) && column.filled > 0 && !column.is_time()
    };
    let keyed = |column: &&Column| {
        let name = field_name(&column.name);
        named(column) && ["id", "no", "number", "key", "code"].iter().any(|end| name.ends_with(end))
    };
    let unique = |column: &&Column| !column.repeats && column.filled == rows && rows > 0;
    let guess = columns
        .iter()
        .find(keyed)
        .or_else(|| columns.iter().find(|column| named(column) && unique(column)))
        .or_else(|| columns.iter().find(unique))
        .or_else(|| columns.iter().find(named))
        .or(columns.first());
    guess.map(|column| column.name.clone()).unwrap_or_default()
}

/// Guesses the column that says when an event happened.
pub(super) fn time_guess(columns: &[Column], subject: &str) -> Option<String> {
    let times: Vec<&Column> = columns.iter().filter(|column| column.is_time() && column.name != subject).collect();
    let named = times.iter().find(|column| {
        let name = field_name(&column.name);
        ["time", "date", "when", "_at"].iter().any(|part| name.contains(part))
    });
    named.or(times.first()).map(|column| column.name.clone())
}

/// Names of fields, each once.
#[derive(Debug, Default)]
pub(super) struct FieldNames(HashSet<String>);

impl FieldNames {
    /// Returns the field name of a column.
    pub fn of(&mut self, column: &str) -> String {
        let name = field_name(column);
        let mut unique = name.clone();
        let mut count = 1;
        while !self.0.insert(unique.clone()) {
            count += 1;
            unique = format!("{name}_{count}");
        }
        unique
    }
}

/// Writes a column's name as a field name: `CustomerID` is `customer_id`.
pub(super) fn field_name(column: &str) -> String {
    let mut name = String::new();
    let mut before = ' ';
    for c in column.chars() {
        if c.is_ascii_alphanumeric() {
            if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
                name.push('_');
            }
            name.push(c.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
        before = c;
    }
    let name = name.trim_end_matches('_');
    let name = if name.starts_with(|c: char| c.is_ascii_lowercase()) { name.to_owned() } else { format!("f_{name}") };
    let name: String = name.trim_end_matches('_').chars().take(50).collect();
    if RESERVED.contains(&name.as_str()) || ["known", "missing", "segment", "sequence"].contains(&name.as_str()) {
        return format!("{name}_field");
    }
    name
}
