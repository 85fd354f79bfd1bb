//! What of a block is past the days it is kept.
//!
//! An event's age is counted from its time, in days of 24 hours up to the end of the epoch that closes. A field of an event
//! type can be kept for fewer days than the event: then its value goes, and the event stays. A value of an attribute is
//! counted from the UTC day on which it was last set, see [`SetDay`]. One that is stored without a day was set while the
//! attribute had no retention: it gets the day of the close, once. What is held by law of a person stays however old it is.

use super::data::{BlockData, EventRows, set_day};
use super::pieces::{BlockPieces, decode, read_events};
use super::set_day::SetDay;
use crate::blocks::{BlockError, Buffer, ColumnKey, Piece, int_rows};
use crate::holds::Held;
use policy::schema::{ColumnId, EventType, EventTypeId, Field, Schema};
use policy::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is held in a block, by position.
pub type HeldIn = BTreeMap<u16, Held>;

const DAY_MICROS: i64 = 86_400_000_000;

/// What a close has to do in a block, from nothing to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concern {
    /// All of it is kept.
    Nothing,
    /// A value of an attribute has no day.
    Undated,
    /// Something is past.
    Past,
}

/// Before when events, and values of their fields, are past. Public knowledge.
#[derive(Debug)]
pub struct Retention<'a> {
    schema: &'a Schema,
    as_of: Timestamp,
}

impl<'a> Retention<'a> {
    /// Counts up to an instant.
    pub fn new(schema: &'a Schema, as_of: Timestamp) -> Self {
        Self { schema, as_of }
    }

    fn cutoff(&self, days: Option<u32>) -> Option<i64> {
        days.map(|days| self.as_of.0.saturating_sub(i64::from(days).saturating_mul(DAY_MICROS)))
    }

    /// Returns the cutoff of each field that has one. Where an event is held past its last day, its other fields are not.
    fn fields(&self, event: &EventType, is_held: bool) -> Vec<(usize, i64)> {
        let of_event = self.cutoff(event.retention_days).filter(|_| is_held);
        let cutoffs = event.fields.iter().map(|field| self.cutoff(field.retention_days).max(of_event));
        cutoffs.enumerate().filter_map(|(column, cutoff)| Some((column, cutoff?))).collect()
    }

    /// Says whether anything is ever past.
    pub fn is_limited(&self) -> bool {
        let limited = |event: &EventType| {
            event.retention_days.is_some() || event.fields.iter().any(|f| f.retention_days.is_some())
        };
        self.schema.events.iter().any(limited) || self.attributes().next().is_some()
    }

    /// Lists the attributes that are kept for some days only, with the days.
    fn attributes(&self) -> impl Iterator<Item = (&'a Field, u32)> {
        self.schema.attributes.iter().filter_map(|field| Some((field, field.retention_days?)))
    }

    fn today(&self) -> SetDay {
        SetDay::of(self.as_of)
    }

    /// Says what there is to do in a block. Opens the columns that have a retention, and what their age is read from.
    pub fn concerns(&self, pieces: &BlockPieces, held: &HeldIn) -> Result<Concern, BlockError> {
        let mut buffer = Buffer::default();
        for (event, parts) in self.schema.events.iter().zip(&pieces.events) {
            if self.is_past(event, parts, held, &mut buffer)? {
                return Ok(Concern::Past);
            }
        }
        let mut most = Concern::Nothing;
        for (field, days) in self.attributes() {
            let piece = pieces.attributes.as_ref().filter(|piece| piece.has(ColumnKey::of(field.column)));
            if let Some(piece) = piece {
                most = most.max(self.ages((field, days), piece, held, &mut buffer)?);
            }
        }
        Ok(most)
    }

    /// Says what there is to do in the column of an attribute.
    fn ages(
        &self,
        (field, days): (&Field, u32),
        piece: &Piece,
        held: &HeldIn,
        buffer: &mut Buffer,
    ) -> Result<Concern, BlockError> {
        let (rows, unreadable) = (piece.meta().rows as usize, || piece.unreadable());
        let (values, set) = (ColumnKey::of(field.column), ColumnKey::set_day(field.column));
        let keys: Vec<ColumnKey> = [values, set].into_iter().filter(|key| piece.has(*key)).collect();
        let chunks = piece.read_columns(&keys, buffer)?;
        let column = |key: ColumnKey, layout| {
            let chunk = chunks.iter().find(|chunk| chunk.key == key);
            chunk.map(|chunk| decode(layout, chunk.bytes, rows).ok_or_else(unreadable)).transpose()
        };
        let values = column(values, field.ty.layout())?.ok_or_else(unreadable)?;
        let set = column(set, SetDay::LAYOUT)?;
        let is_kept = holds_attribute(held, field.column);
        let concern = |row: usize| match set.as_ref().and_then(|set| set_day(set, row)) {
            None => Concern::Undated,
            Some(day) if day.is_past(days, self.today()) && !is_kept(row) => Concern::Past,
            Some(_) => Concern::Nothing,
        };
        let concerns = (0..rows).filter(|row| !values.is_missing(*row)).map(concern);
        Ok(concerns.max().unwrap_or(Concern::Nothing))
    }

    fn is_past(
        &self,
        event: &EventType,
        parts: &[Arc<Piece>],
        held: &HeldIn,
        buffer: &mut Buffer,
    ) -> Result<bool, BlockError> {
        let is_held = is_held(held, event);
        if let Some(cutoff) = self.cutoff(event.retention_days).filter(|_| !is_held) {
            for piece in parts {
                let chunks = piece.read_columns(&[ColumnKey::TIME], buffer)?;
                if chunks.iter().flat_map(|chunk| int_rows(chunk.bytes)).any(|at| at < cutoff) {
                    return Ok(true);
                }
            }
        }
        let fields = self.fields(event, is_held);
        if fields.is_empty() && !is_held {
            return Ok(false);
        }
        let mut rows = EventRows::empty(&event.fields);
        parts.iter().try_for_each(|piece| read_events(piece, buffer, &mut rows))?;
        let past =
            self.cutoff(event.retention_days).is_some_and(|cutoff| rows.has_before(cutoff, holds(held, event.id)));
        let has = |(column, cutoff)| rows.has_value_before(column, cutoff, holds_field(held, event.id, column));
        Ok(past || fields.into_iter().any(has))
    }

    /// Takes out of a block what is past, and dates what has no day.
    pub fn apply(&self, data: &mut BlockData, held: &HeldIn) {
        for (event, rows) in self.schema.events.iter().zip(&mut data.events) {
            if let Some(cutoff) = self.cutoff(event.retention_days) {
                rows.remove_before(cutoff, holds(held, event.id));
            }
            for (column, cutoff) in self.fields(event, is_held(held, event)) {
                rows.empty_before(column, cutoff, holds_field(held, event.id, column));
            }
        }
        for (field, days) in self.attributes() {
            data.age(usize::from(field.column.0), days, self.today(), holds_attribute(held, field.column));
        }
    }
}

fn is_held(held: &HeldIn, event: &EventType) -> bool {
    held.values().any(|held| held.event(event.id))
}

fn holds(held: &HeldIn, event: EventTypeId) -> impl Fn(u16) -> bool {
    move |position| held.get(&position).is_some_and(|held| held.event(event))
}

fn holds_field(held: &HeldIn, event: EventTypeId, column: usize) -> impl Fn(u16) -> bool {
    let column = u16::try_from(column).ok().map(ColumnId);
    move |position| held.get(&position).zip(column).is_some_and(|(held, column)| held.field(event, column))
}

fn holds_attribute(held: &HeldIn, column: ColumnId) -> impl Fn(usize) -> bool {
    move |row| u16::try_from(row).ok().and_then(|row| held.get(&row)).is_some_and(|held| held.attribute(column))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::ingest::Value;

    const SCHEMA: &str = "version = 1\ndataset = \"town\"\norganization = \"village\"\ntime_zone = \"UTC\"\n\
        subject_key = \"key\"\npurposes = [\"marketing.portrait\"]\n\
        [[attributes]]\nname = \"key\"\nclass = \"identifier\"\ntype = \"identifier\"\nmax_bytes = 8\n\
        [[attributes]]\nname = \"email\"\nclass = \"identifier\"\ntype = \"identifier\"\nmax_bytes = 8\nretention_days = 2\n";

    fn at(day: i64) -> Timestamp {
        Timestamp::from_seconds(day * 86_400)
    }

    #[test]
    fn values_of_journals_that_kept_no_day_count_from_the_close() {
        let schema = policy::schema::parse(SCHEMA).unwrap();
        let mut data = BlockData::empty(&schema);
        let mut entries = vec![1, 0, 0];
        entries.extend([7; 32]);
        entries.extend([1, b'k']);
        // A profile as it was written before it had a day: column 1, bytes `m`.
        entries.extend([2, 0, 0, 1, 0, 1, 0, 3, 1, b'm']);
        data.apply(&schema, &entries).unwrap();
        let held = |data: &BlockData| (data.columns.get(1).map(|column| column.value(0)), data.set_day(1, 0));
        let there = Some(Value::Bytes(vec![b'm']));
        assert_eq!(held(&data), (there.clone(), None));
        for (day, left) in [(100, true), (102, true), (103, false)] {
            Retention::new(&schema, at(day)).apply(&mut data, &HeldIn::new());
            let expected = if left { (there.clone(), Some(SetDay::of(at(100)))) } else { (Some(Value::Missing), None) };
            assert_eq!(held(&data), expected, "{day}");
        }
        assert_eq!(data.columns.first().map(|column| column.value(0)), Some(Value::Bytes(vec![b'k'])));
    }
}
