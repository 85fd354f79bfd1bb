//! A second file joined by key, held in memory: keys, and the wanted cells as references to distinct texts.

use super::error::{ImportError, positions};
use super::raw::Repeated;
use super::row::Columns;
use super::source::{FileFormat, Source};
use super::value::ValueSpec;
use csv::ByteRecord;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;

/// A lookup as the mapping describes it.
#[derive(Debug, Clone)]
pub(super) struct LookupSpec {
    pub name: Arc<str>,
    pub path: String,
    /// The value of the row that is searched for.
    pub by: ValueSpec,
    pub required: bool,
    pub repeated: Repeated,
    pub format: FileFormat,
    pub trim: bool,
    /// Columns of the joined file; the key is the first.
    pub columns: Columns,
}

/// A lookup read into memory.
#[derive(Debug)]
pub(super) struct Table {
    spec: LookupSpec,
    rows: HashMap<Box<str>, usize>,
    /// `width` references into `texts` for each row.
    cells: Vec<u32>,
    texts: Vec<Box<str>>,
    width: usize,
}

impl Table {
    /// Reads a lookup. Rows without a key, with another number of cells or with unreadable bytes are left out.
    pub fn load(spec: &LookupSpec, folder: &Path) -> Result<Self, ImportError> {
        let mut source = Source::open(&folder.join(&spec.path), &spec.path, &spec.format)?;
        let positions = positions(&spec.path, source.header(), spec.columns.names())?;
        let mut builder = Builder::new(positions.len());
        let (mut record, width) = (ByteRecord::new(), source.header().len());
        while source.read(&mut record)?.is_some() {
            let cells: Option<Vec<&str>> = positions
                .iter()
                .map(|at| std::str::from_utf8(record.get(*at).unwrap_or_default()).ok())
                .map(|text| if spec.trim { text.map(str::trim) } else { text })
                .collect();
            if let Some(cells) = cells.filter(|_| record.len() == width) {
                builder.add(&cells, spec.repeated);
            }
        }
        let Builder { rows, cells, texts, width, .. } = builder;
        Ok(Self { spec: spec.clone(), rows, cells, texts, width })
    }

    /// Checks that the file is there and has the columns, without reading its rows.
    pub fn check(spec: &LookupSpec, folder: &Path) -> Result<(), ImportError> {
        let source = Source::open(&folder.join(&spec.path), &spec.path, &spec.format)?;
        positions(&spec.path, source.header(), spec.columns.names()).map(drop)
    }

    /// Returns the cell of a key's row; `None` when the key is not there. An empty cell is an empty text.
    pub fn find(&self, key: &str, column: usize) -> Option<&str> {
        let (key, row) = self.rows.get_key_value(key)?;
        if column == 0 {
            return Some(key);
        }
        let text = self.cells.get(row * self.width + column)?;
        self.texts.get(*text as usize).map(AsRef::as_ref)
    }

    pub fn by(&self) -> &ValueSpec {
        &self.spec.by
    }

    pub fn name(&self) -> &Arc<str> {
        &self.spec.name
    }

    pub fn required(&self) -> bool {
        self.spec.required
    }
}

struct Builder {
    rows: HashMap<Box<str>, usize>,
    cells: Vec<u32>,
    texts: Vec<Box<str>>,
    known: HashMap<Box<str>, u32>,
    width: usize,
}

impl Builder {
    fn new(width: usize) -> Self {
        Self { rows: HashMap::new(), cells: Vec::new(), texts: Vec::new(), known: HashMap::new(), width }
    }

    /// Adds a row; the key is its first cell. The key itself is not kept as a cell, so that its text is there once.
    fn add(&mut self, cells: &[&str], repeated: Repeated) {
        let Some((key, rest)) = cells.split_first().filter(|(key, _)| !key.is_empty()) else { return };
        match self.rows.entry((*key).into()) {
            Entry::Occupied(_) if repeated == Repeated::First => return,
            Entry::Occupied(mut entry) => *entry.get_mut() = self.cells.len() / self.width.max(1),
            Entry::Vacant(entry) => _ = entry.insert(self.cells.len() / self.width.max(1)),
        }
        for text in std::iter::once(&"").chain(rest) {
            let text = self.interned(text);
            self.cells.push(text);
        }
    }

    fn interned(&mut self, text: &str) -> u32 {
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.into());
        self.known.insert(text.into(), number);
        number
    }
}
