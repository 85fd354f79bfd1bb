//! What of a block is past the days it is kept.
//!
//! An event's age is counted from its time, in days of 24 hours up to the end of the epoch that closes. A field of an event
//! type can be kept for fewer days than the event: then its value goes, and the event stays. Attributes have no time of
//! their own, so nothing here removes them.

use super::data::{BlockData, EventRows};
use super::pieces::{BlockPieces, read_events};
use crate::blocks::{BlockError, Buffer, ColumnKey, Piece, int_rows};
use policy::schema::{EventType, Schema};
use policy::time::Timestamp;
use std::sync::Arc;

const DAY_MICROS: i64 = 86_400_000_000;

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

    /// Returns the cutoff of each field that has one.
    fn fields(&self, event: &EventType) -> Vec<(usize, i64)> {
        let cutoffs = event.fields.iter().map(|field| self.cutoff(field.retention_days));
        cutoffs.enumerate().filter_map(|(column, cutoff)| Some((column, cutoff?))).collect()
    }

    /// Says whether anything is ever past.
    pub fn is_limited(&self) -> bool {
        let limited = |event: &EventType| {
            event.retention_days.is_some() || event.fields.iter().any(|f| f.retention_days.is_some())
        };
        self.schema.events.iter().any(limited)
    }

    /// Says whether anything of a block is past.
    pub fn concerns(&self, pieces: &BlockPieces) -> Result<bool, BlockError> {
        let mut buffer = Buffer::default();
        for (event, parts) in self.schema.events.iter().zip(&pieces.events) {
            if self.is_past(event, parts, &mut buffer)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_past(&self, event: &EventType, parts: &[Arc<Piece>], buffer: &mut Buffer) -> Result<bool, BlockError> {
        if let Some(cutoff) = self.cutoff(event.retention_days) {
            for piece in parts {
                let chunks = piece.read_columns(&[ColumnKey::TIME], buffer)?;
                if chunks.iter().flat_map(|chunk| int_rows(chunk.bytes)).any(|at| at < cutoff) {
                    return Ok(true);
                }
            }
        }
        let fields = self.fields(event);
        if fields.is_empty() {
            return Ok(false);
        }
        let mut rows = EventRows::empty(&event.fields);
        parts.iter().try_for_each(|piece| read_events(piece, buffer, &mut rows))?;
        Ok(fields.into_iter().any(|(column, cutoff)| rows.has_value_before(column, cutoff)))
    }

    /// Takes out of a block what is past.
    pub fn apply(&self, data: &mut BlockData) {
        for (event, rows) in self.schema.events.iter().zip(&mut data.events) {
            if let Some(cutoff) = self.cutoff(event.retention_days) {
                rows.remove_before(cutoff);
            }
            self.fields(event).into_iter().for_each(|(column, cutoff)| rows.empty_before(column, cutoff));
        }
    }
}
