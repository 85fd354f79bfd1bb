//! One row of a file, and the columns that a mapping needs of it.

use super::lookup::Table;
use super::reason::{Fault, Reason};
use csv::ByteRecord;
use std::sync::Arc;

/// A column's place in [`Columns`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(usize);

/// The columns that a mapping names in one file, in order of first use.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns(Vec<Arc<str>>);

impl Columns {
    /// Returns the slot of a column, adding it if new.
    pub fn slot(&mut self, name: &str) -> Slot {
        let at = self.0.iter().position(|known| known.as_ref() == name);
        Slot(at.unwrap_or_else(|| {
            self.0.push(name.into());
            self.0.len() - 1
        }))
    }

    /// Returns the names.
    pub fn names(&self) -> &[Arc<str>] {
        &self.0
    }

    /// Returns the name of a slot.
    pub fn name(&self, slot: Slot) -> Arc<str> {
        self.0.get(slot.0).cloned().unwrap_or_else(|| "".into())
    }
}

/// A row to be mapped.
pub(super) struct Row<'a> {
    /// Its cells.
    pub record: &'a ByteRecord,
    /// For each slot, the cell's position in the record.
    pub positions: &'a [usize],
    /// Its number among the rows of the file, from 1.
    pub number: u64,
    /// The lookups of the file.
    pub tables: &'a [Table],
}

impl<'a> Row<'a> {
    /// Returns a cell's bytes; empty when the row has no such cell.
    pub fn bytes(&self, slot: Slot) -> &'a [u8] {
        self.positions.get(slot.0).and_then(|at| self.record.get(*at)).unwrap_or_default()
    }

    /// Returns a cell's text.
    pub fn text(&self, slot: Slot, label: &Arc<str>) -> Result<&'a str, Fault> {
        let text = std::str::from_utf8(self.bytes(slot)).ok();
        // A replacement character is what the decoder of another encoding leaves where bytes made no sense.
        text.filter(|t| !t.contains('\u{fffd}'))
            .ok_or_else(|| Fault { column: Arc::clone(label), reason: Reason::NotText })
    }
}
