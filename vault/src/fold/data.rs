//! One block in clear, while it is folded.
//!
//! Guarantees: every column has one value for each subject; events are sorted by (subject, time, id), and an id occurs
//! once for each subject, the first written wins; one that a subject has itself wins over one that came by a link.

use super::history::History;
use super::set_day::SetDay;
use crate::ingest::Value;
use crate::journal::{Entry, JournalError, Reader};
use policy::schema::{Field, Layout, Schema};
use std::collections::HashSet;
use zeroize::Zeroize;

/// Eight-byte columns hold this where a value is missing; no bound admits it.
pub const MISSING_INT: i64 = i64::MIN;

/// One column in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// Codes of one byte, 0 is missing.
    Code8(Vec<u8>),
    /// Codes of two bytes, 0 is missing.
    Code16(Vec<u16>),
    /// Integers, [`MISSING_INT`] is missing.
    Int64(Vec<i64>),
    /// Byte strings, empty is missing.
    Bytes(Vec<Vec<u8>>),
}

impl Column {
    /// Makes a column of `rows` missing values.
    pub fn missing(layout: Layout, rows: usize) -> Self {
        match layout {
            Layout::Code8 => Self::Code8(vec![0; rows]),
            Layout::Code16 => Self::Code16(vec![0; rows]),
            Layout::Int64 => Self::Int64(vec![MISSING_INT; rows]),
            Layout::Bytes => Self::Bytes(vec![Vec::new(); rows]),
        }
    }

    /// Returns how it is stored.
    pub fn layout(&self) -> Layout {
        match self {
            Self::Code8(_) => Layout::Code8,
            Self::Code16(_) => Layout::Code16,
            Self::Int64(_) => Layout::Int64,
            Self::Bytes(_) => Layout::Bytes,
        }
    }

    /// Counts its rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Code8(v) => v.len(),
            Self::Code16(v) => v.len(),
            Self::Int64(v) => v.len(),
            Self::Bytes(v) => v.len(),
        }
    }

    /// Says whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a row's value.
    pub fn value(&self, row: usize) -> Value {
        let value = match self {
            Self::Code8(v) => v.get(row).filter(|code| **code > 0).map(|code| Value::Code(u16::from(*code))),
            Self::Code16(v) => v.get(row).filter(|code| **code > 0).map(|code| Value::Code(*code)),
            Self::Int64(v) => v.get(row).filter(|number| **number != MISSING_INT).map(|number| Value::Int(*number)),
            Self::Bytes(v) => v.get(row).filter(|bytes| !bytes.is_empty()).map(|bytes| Value::Bytes(bytes.clone())),
        };
        value.unwrap_or(Value::Missing)
    }

    /// Says whether a row has no value.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Code8(v) => v.get(row).is_none_or(|code| *code == 0),
            Self::Code16(v) => v.get(row).is_none_or(|code| *code == 0),
            Self::Int64(v) => v.get(row).is_none_or(|number| *number == MISSING_INT),
            Self::Bytes(v) => v.get(row).is_none_or(Vec::is_empty),
        }
    }

    fn push(&mut self, value: &Value) {
        match self {
            Self::Code8(v) => v.push(code8(value)),
            Self::Code16(v) => v.push(code16(value)),
            Self::Int64(v) => v.push(int(value)),
            Self::Bytes(v) => v.push(bytes(value)),
        }
    }

    fn set(&mut self, row: usize, value: &Value) {
        match self {
            Self::Code8(v) => put(v, row, code8(value)),
            Self::Code16(v) => put(v, row, code16(value)),
            Self::Int64(v) => put(v, row, int(value)),
            Self::Bytes(v) => put(v, row, bytes(value)),
        }
    }

    /// Makes a row's value missing, and wipes what it was.
    fn clear(&mut self, row: usize) {
        match self {
            Self::Code8(v) => put(v, row, 0),
            Self::Code16(v) => put(v, row, 0),
            Self::Int64(v) => put(v, row, MISSING_INT),
            Self::Bytes(v) => {
                if let Some(value) = v.get_mut(row) {
                    value.zeroize();
                }
            }
        }
    }

    fn permute(&mut self, order: &[usize]) {
        fn pick<T: Clone>(v: &mut Vec<T>, order: &[usize]) {
            *v = order.iter().filter_map(|row| v.get(*row).cloned()).collect();
        }
        match self {
            Self::Code8(v) => pick(v, order),
            Self::Code16(v) => pick(v, order),
            Self::Int64(v) => pick(v, order),
            Self::Bytes(v) => pick(v, order),
        }
    }
}

impl Drop for Column {
    fn drop(&mut self) {
        match self {
            Self::Code8(v) => v.zeroize(),
            Self::Code16(v) => v.zeroize(),
            Self::Int64(v) => v.zeroize(),
            Self::Bytes(v) => v.zeroize(),
        }
    }
}

fn put<T>(values: &mut [T], row: usize, value: T) {
    if let Some(slot) = values.get_mut(row) {
        *slot = value;
    }
}

// A value of another type than its column's cannot get here: `ingest::check` refused it. Missing is the safe reading.
fn code16(value: &Value) -> u16 {
    if let Value::Code(code) = value { *code } else { 0 }
}

fn code8(value: &Value) -> u8 {
    u8::try_from(code16(value)).unwrap_or(0)
}

fn int(value: &Value) -> i64 {
    if let Value::Int(number) = value { *number } else { MISSING_INT }
}

fn bytes(value: &Value) -> Vec<u8> {
    if let Value::Bytes(bytes) = value { bytes.clone() } else { Vec::new() }
}

/// The events of one type in one block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventRows {
    /// Position of the subject in its block, for each event.
    pub position: Vec<u16>,
    /// Time in microseconds, for each event.
    pub at: Vec<i64>,
    /// Id, for each event.
    pub id: Vec<u64>,
    /// Which link each came by, from 1; 0 is the subject's own.
    pub mark: Vec<u8>,
    /// Its fields.
    pub columns: Vec<Column>,
    /// Whether rows were added since it was read.
    pub changed: bool,
}

impl EventRows {
    /// Makes an empty group for the fields of one event type.
    pub fn empty(fields: &[Field]) -> Self {
        let mut rows = Self::default();
        rows.columns = fields.iter().map(|f| Column::missing(f.ty.layout(), 0)).collect();
        rows
    }

    fn push(&mut self, (position, mark): (u16, u8), id: u64, at: i64, values: &[Value]) {
        self.position.push(position);
        self.mark.push(mark);
        self.at.push(at);
        self.id.push(id);
        for (index, column) in self.columns.iter_mut().enumerate() {
            column.push(values.get(index).unwrap_or(&Value::Missing));
        }
        self.changed = true;
    }

    /// Returns the rows of events before an instant, but those of some people.
    fn before(&self, instant: i64, but: impl Fn(u16) -> bool) -> impl Iterator<Item = usize> {
        let rows = self.at.iter().zip(&self.position).enumerate();
        rows.filter(move |(_, (at, of))| **at < instant && !but(**of)).map(|(row, _)| row)
    }

    /// Says whether there is an event before an instant, but those of some people.
    pub fn has_before(&self, instant: i64, but: impl Fn(u16) -> bool) -> bool {
        self.before(instant, but).next().is_some()
    }

    /// Removes every event before an instant, but those of some people.
    pub fn remove_before(&mut self, instant: i64, but: impl Fn(u16) -> bool) {
        let kept = self.at.iter().zip(&self.position).enumerate().filter(|(_, (at, of))| **at >= instant || but(**of));
        let order: Vec<usize> = kept.map(|(row, _)| row).collect();
        if order.len() < self.at.len() {
            self.pick(&order);
            self.changed = true;
        }
    }

    /// Removes every event of a position that came by a link.
    fn remove_marked(&mut self, position: u16, mark: u8) {
        let is_it = |row: &usize| self.mark.get(*row) == Some(&mark) && self.position.get(*row) == Some(&position);
        let order: Vec<usize> = (0..self.mark.len()).filter(|row| !is_it(row)).collect();
        if order.len() < self.mark.len() {
            self.pick(&order);
            self.changed = true;
        }
    }

    /// Removes every event that came by a link.
    pub fn remove_copies(&mut self) {
        let order: Vec<usize> = (0..self.mark.len()).filter(|row| self.mark.get(*row) == Some(&0)).collect();
        if order.len() < self.mark.len() {
            self.pick(&order);
        }
    }

    /// Removes the events with these ids.
    pub fn remove_ids(&mut self, ids: &HashSet<u64>) {
        if ids.is_empty() {
            return;
        }
        let kept = self.id.iter().enumerate().filter(|(_, id)| !ids.contains(*id));
        let order: Vec<usize> = kept.map(|(row, _)| row).collect();
        self.pick(&order);
    }

    /// Returns the place of a row among the events of its type and subject.
    pub fn place(&self, row: usize) -> Option<(i64, u64)> {
        self.at.get(row).copied().zip(self.id.get(row).copied())
    }

    /// Says whether an event before an instant, but those of some people, has a value of a field.
    pub fn has_value_before(&self, column: usize, instant: i64, but: impl Fn(u16) -> bool) -> bool {
        let Some(column) = self.columns.get(column) else { return false };
        self.before(instant, but).any(|row| column.value(row) != Value::Missing)
    }

    /// Makes a field of every event before an instant, but those of some people, missing.
    pub fn empty_before(&mut self, column: usize, instant: i64, but: impl Fn(u16) -> bool) {
        if !self.has_value_before(column, instant, &but) {
            return;
        }
        let past: Vec<usize> = self.before(instant, but).collect();
        if let Some(column) = self.columns.get_mut(column) {
            past.into_iter().for_each(|row| column.clear(row));
        }
        self.changed = true;
    }

    fn pick(&mut self, order: &[usize]) {
        self.position = order.iter().filter_map(|row| self.position.get(*row).copied()).collect();
        self.at = order.iter().filter_map(|row| self.at.get(*row).copied()).collect();
        self.id = order.iter().filter_map(|row| self.id.get(*row).copied()).collect();
        self.mark = order.iter().filter_map(|row| self.mark.get(*row).copied()).collect();
        self.columns.iter_mut().for_each(|column| column.permute(order));
    }

    /// Drops repeated ids of a subject (the first written stays) and sorts by (subject, time, id).
    pub fn normalize(&mut self) {
        if !self.changed {
            return;
        }
        let mut seen = HashSet::with_capacity(self.id.len());
        let keys: Vec<(u16, i64, u64)> =
            self.position.iter().zip(&self.at).zip(&self.id).map(|((p, at), id)| (*p, *at, *id)).collect();
        let own = |row: &usize| self.mark.get(*row) == Some(&0);
        let rows = (0..keys.len()).filter(own).chain((0..keys.len()).filter(|row| !own(row)));
        let first = |row: &usize| keys.get(*row).is_some_and(|(position, _, id)| seen.insert((*position, *id)));
        let mut order: Vec<usize> = rows.filter(first).collect();
        order.sort_by_key(|row| keys.get(*row).copied());
        self.pick(&order);
    }
}

impl Drop for EventRows {
    fn drop(&mut self) {
        self.position.zeroize();
        self.at.zeroize();
        self.id.zeroize();
        self.mark.zeroize();
    }
}

/// One block in clear.
#[derive(Debug, Default)]
pub struct BlockData {
    /// 32 random bytes for each subject.
    pub hidden: Vec<[u8; 32]>,
    /// One column for each attribute.
    pub columns: Vec<Column>,
    /// For each attribute that is kept for some days only, the day on which each value was set, see [`SetDay`]; missing where
    /// it is not known or there is no value.
    pub set_days: Vec<Option<Column>>,
    /// One group for each event type.
    pub events: Vec<EventRows>,
    /// Whether hidden bytes or attributes changed since it was read.
    pub changed: bool,
    /// What its people agreed to, took back and asked for.
    pub history: History,
    /// Whether any of it was added since it was read.
    pub history_changed: bool,
}

impl BlockData {
    /// Makes an empty block of a schema.
    pub fn empty(schema: &Schema) -> Self {
        let mut data = Self::default();
        data.columns = schema.attributes.iter().map(|f| Column::missing(f.ty.layout(), 0)).collect();
        let days = |field: &Field| field.retention_days.map(|_| Column::missing(SetDay::LAYOUT, 0));
        data.set_days = schema.attributes.iter().map(days).collect();
        data.events = schema.events.iter().map(|e| EventRows::empty(&e.fields)).collect();
        data
    }

    /// Counts subjects.
    pub fn subjects(&self) -> usize {
        self.hidden.len()
    }

    /// Applies the entries of one delta, in order.
    pub fn apply(&mut self, schema: &Schema, delta: &[u8]) -> Result<(), JournalError> {
        let mut reader = Reader::new(delta);
        while let Some((position, entry)) = reader.next_entry()? {
            self.apply_entry(schema, position, entry)?;
        }
        Ok(())
    }

    /// Applies those entries of a delta that are of one position, as if it were the only one.
    pub fn apply_one(&mut self, schema: &Schema, delta: &[u8], wanted: u16) -> Result<(), JournalError> {
        let mut reader = Reader::new(delta);
        while let Some((position, entry)) = reader.next_entry()? {
            if position == wanted {
                self.apply_entry(schema, 0, entry)?;
            }
        }
        Ok(())
    }

    fn apply_entry(&mut self, schema: &Schema, position: u16, entry: Entry) -> Result<(), JournalError> {
        let row = usize::from(position);
        match entry {
            Entry::NewSubject { hidden, key } => {
                // Ordinals are dense and entries are in frame order, so a gap means that a frame is missing.
                if row != self.hidden.len() {
                    return Err(JournalError);
                }
                self.hidden.push(hidden);
                for column in self.columns.iter_mut().chain(self.set_days.iter_mut().flatten()) {
                    column.push(&Value::Missing);
                }
                self.set(usize::from(schema.subject_key.0), row, &Value::Bytes(key));
            }
            Entry::Profile { set, values } => {
                for (column, value) in &values {
                    self.set(usize::from(*column), row, value);
                    self.set_on(usize::from(*column), row, set.filter(|_| *value != Value::Missing));
                }
            }
            Entry::Event { event, id, at, values } => {
                let group = self.events.get_mut(usize::from(event)).ok_or(JournalError)?;
                group.push((position, 0), id, at, &values);
            }
            Entry::Copied { mark, event, id, at, values } => {
                let group = self.events.get_mut(usize::from(event)).ok_or(JournalError)?;
                group.push((position, mark), id, at, &values);
            }
            Entry::Uncopied { mark } => {
                self.events.iter_mut().for_each(|group| group.remove_marked(position, mark));
            }
            Entry::Consent { leaf, event } => {
                self.history.consent(position, leaf, &event)?;
                self.history_changed = true;
            }
            Entry::Rights { leaf, event } => {
                self.history.other(position, leaf, &event)?;
                self.history_changed = true;
            }
        }
        Ok(())
    }

    fn set(&mut self, column: usize, row: usize, value: &Value) {
        if let Some(column) = self.columns.get_mut(column) {
            column.set(row, value);
        }
        self.changed = true;
    }

    /// Notes on which day a value was set, where the attribute keeps it.
    fn set_on(&mut self, column: usize, row: usize, day: Option<SetDay>) {
        if let Some(days) = self.set_days.get_mut(column).and_then(Option::as_mut) {
            days.set(row, &day.map_or(Value::Missing, |day| Value::Code(day.stored())));
        }
    }

    /// Returns the day on which a value was set, where it is known.
    pub fn set_day(&self, column: usize, row: usize) -> Option<SetDay> {
        set_day(self.set_days.get(column)?.as_ref()?, row)
    }

    /// Makes missing what of an attribute is past on a day, but in rows that are kept, and dates what has no day to that one.
    pub fn age(&mut self, column: usize, retention: u32, today: SetDay, is_kept: impl Fn(usize) -> bool) {
        let Some(values) = self.columns.get_mut(column) else { return };
        let Some(days) = self.set_days.get_mut(column).and_then(Option::as_mut) else { return };
        for row in (0..self.hidden.len()).filter(|row| !values.is_missing(*row)).collect::<Vec<_>>() {
            match set_day(days, row) {
                Some(day) if !day.is_past(retention, today) || is_kept(row) => continue,
                Some(_) => {
                    values.clear(row);
                    days.clear(row);
                }
                None => days.set(row, &Value::Code(today.stored())),
            }
            self.changed = true;
        }
    }
}

/// Reads a row of a column of days.
pub(super) fn set_day(days: &Column, row: usize) -> Option<SetDay> {
    if let Value::Code(day) = days.value(row) { SetDay::read(day) } else { None }
}

impl Drop for BlockData {
    fn drop(&mut self) {
        self.hidden.zeroize();
    }
}
