//! Text -> the stored form of a field: codes, units, days, bytes.

use super::number::{self, Misfit};
use super::reason::{Fault, Reason};
use super::record::Value;
use super::row::Row;
use super::value::{Origin, ValueSpec};
use policy::schema::{Field, FieldType};
use std::collections::HashMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A field of the schema and how to write into it.
#[derive(Debug, Clone)]
pub(super) struct FieldSpec {
    pub value: ValueSpec,
    encoder: Encoder,
    path: Arc<str>,
}

#[derive(Debug, Clone)]
enum Encoder {
    Enum(HashMap<String, u16>),
    Bool,
    Number { scale: u8, min: i64, max: i64 },
    Date { min: i32, max: i32 },
    Identifier { max: usize },
}

impl Encoder {
    fn new(ty: &FieldType) -> Self {
        match ty {
            FieldType::Enum { domain } => Self::Enum(domain.iter().cloned().zip(1..).collect()),
            FieldType::Bool => Self::Bool,
            FieldType::Integer { min, max } => Self::Number { scale: 0, min: *min, max: *max },
            FieldType::Decimal { scale, min, max } => Self::Number { scale: *scale, min: *min, max: *max },
            FieldType::Date { min, max } => Self::Date { min: *min, max: *max },
            FieldType::Identifier { max_bytes } => Self::Identifier { max: usize::from(*max_bytes) },
        }
    }
}

impl FieldSpec {
    /// Joins a value and the field it is for; `path` is the field's written form, `order.amount`.
    pub fn new(value: ValueSpec, field: &Field, path: &str) -> Self {
        Self { value, encoder: Encoder::new(&field.ty), path: path.into() }
    }

    /// Returns a text that the mapping itself would write and that the field's public list does not hold.
    pub fn impossible(&self) -> Option<&str> {
        let Encoder::Enum(codes) = &self.encoder else { return None };
        let constant = match &self.value.origin {
            Origin::Constant(text) if self.value.map.is_empty() && self.value.otherwise.is_none() => {
                Some(text.as_str())
            }
            Origin::Lookup { unmatched: Some(text), .. } if self.value.map.is_empty() => Some(text.as_str()),
            _ => None,
        };
        let written = self.value.outputs().chain(constant);
        written.filter(|text| !text.is_empty()).find(|text| !codes.contains_key(*text))
    }

    /// Reads the value from a row and encodes it.
    pub fn encode(&self, row: &Row<'_>) -> Result<Value, Fault> {
        match self.value.text(row)? {
            Some(text) => self.encode_text(&text).map_err(|reason| self.value.fault(reason)),
            None => Ok(Value::Missing),
        }
    }

    fn encode_text(&self, text: &str) -> Result<Value, Reason> {
        match &self.encoder {
            Encoder::Enum(codes) => {
                codes.get(text).map(|code| Value::Code(*code)).ok_or_else(|| Reason::NotListed { field: self.path() })
            }
            Encoder::Bool => read_bool(text).map(|yes| Value::Code(1 + u16::from(yes))).ok_or(Reason::NotBool),
            Encoder::Number { scale, min, max } => self.number(text, *scale, *min, *max),
            Encoder::Date { min, max } => {
                let day = self.value.time.day(text).ok_or(Reason::NotDay)?;
                self.bounded(i64::from(day), i64::from(*min), i64::from(*max))
            }
            Encoder::Identifier { max } if text.len() > *max => Err(Reason::TooLong { max: *max }),
            Encoder::Identifier { .. } => Ok(Value::Bytes(Zeroizing::new(text.as_bytes().to_vec()))),
        }
    }

    fn number(&self, text: &str, scale: u8, min: i64, max: i64) -> Result<Value, Reason> {
        let number = number::parse(text, self.value.numbers).ok_or(Reason::NotNumber)?;
        match number.units(scale, self.value.round) {
            Ok(units) => self.bounded(units, min, max),
            Err(Misfit::TooPrecise) => Err(Reason::TooPrecise { scale }),
            Err(Misfit::TooLarge) => Err(Reason::OutOfBounds { field: self.path() }),
        }
    }

    fn bounded(&self, units: i64, min: i64, max: i64) -> Result<Value, Reason> {
        if self.value.clamp && min <= max {
            return Ok(Value::Int(units.clamp(min, max)));
        }
        let fits = (min..=max).contains(&units);
        fits.then_some(Value::Int(units)).ok_or_else(|| Reason::OutOfBounds { field: self.path() })
    }

    fn path(&self) -> Arc<str> {
        Arc::clone(&self.path)
    }
}

fn read_bool(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&["true", "yes", "1", "t", "y", "1.0"]) {
        return Some(true);
    }
    is(&["false", "no", "0", "f", "n", "0.0"]).then_some(false)
}
