//! Text -> stored form of one value, strictly: what does not fit a field is refused, never bent into it.
//!
//! Errors name the field and what would be right, and never hold the value. An absent value is the caller's to
//! recognise (an empty cell, an unset message field); it is not encoded.

use super::number::{NumberError, format_scaled, parse_scaled};
use super::{Field, FieldType};
use crate::id::FieldName;
use crate::time::{format_day, parse_day};
use std::collections::HashMap;
use std::fmt;

/// A value in its stored form.
#[derive(Clone, PartialEq, Eq)]
pub enum Encoded {
    /// Dictionary code, from 1: enum and bool.
    Code(u16),
    /// Whole number, decimal in units, or days since 1970-01-01.
    Int(i64),
    /// Bytes of an identifier.
    Bytes(Vec<u8>),
}

/// Shows the kind only, since the value is personal.
impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code(_) => "Code(..)",
            Self::Int(_) => "Int(..)",
            Self::Bytes(_) => "Bytes(..)",
        })
    }
}

/// Why a text is no value of a field. Says what would be right; never holds the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant is its documentation")]
pub enum EncodeError {
    #[error("empty; leave `{field}` out where it is missing")]
    Empty { field: FieldName },
    #[error("not one of the {values} values of `{field}`")]
    NotInDomain { field: FieldName, values: usize },
    #[error("not a bool for `{field}`: true, false, yes, no, 1 or 0")]
    NotABool { field: FieldName },
    #[error("not a number for `{field}`: digits, `.` as decimal mark, optional exponent")]
    NotANumber { field: FieldName },
    #[error("`{field}` takes whole numbers")]
    NotWhole { field: FieldName },
    #[error("`{field}` has {scale} digits after the decimal mark, this number has more")]
    TooFine { field: FieldName, scale: u8 },
    #[error("not a day for `{field}`: YYYY-MM-DD")]
    NotADay { field: FieldName },
    #[error("outside {min}..={max} of `{field}`")]
    OutOfBounds { field: FieldName, min: String, max: String },
    #[error("longer than the {max_bytes} bytes of `{field}`")]
    TooLong { field: FieldName, max_bytes: u8 },
}

impl FieldType {
    /// Writes a stored number in the form the schema uses: decimals with their scale, days as YYYY-MM-DD.
    pub fn show(&self, stored: i64) -> String {
        match self {
            Self::Decimal { scale, .. } => format_scaled(stored, *scale),
            Self::Date { .. } => {
                i32::try_from(stored).ok().and_then(format_day).unwrap_or_else(|| format!("day {stored}"))
            }
            _ => stored.to_string(),
        }
    }

    /// Returns the inclusive bounds of a number, decimal or date, in stored units; `None` for other types.
    pub fn bounds(&self) -> Option<(i64, i64)> {
        match self {
            Self::Integer { min, max } | Self::Decimal { min, max, .. } => Some((*min, *max)),
            Self::Date { min, max } => Some((i64::from(*min), i64::from(*max))),
            Self::Enum { .. } | Self::Bool | Self::Identifier { .. } => None,
        }
    }

    /// Reads a decimal in units of a number's scale, whatever the field's bounds; `None` for what is no such decimal, and
    /// for fields that are no numbers.
    pub fn units(&self, text: &str) -> Option<i64> {
        match self {
            Self::Integer { .. } => parse_scaled(text, 0).ok(),
            Self::Decimal { scale, .. } => parse_scaled(text, *scale).ok(),
            _ => None,
        }
    }

    /// Returns how many digits after the decimal mark a number's units are.
    pub fn scale(&self) -> u8 {
        if let Self::Decimal { scale, .. } = self { *scale } else { 0 }
    }

    /// Returns how many values the closed domain has; `None` where the domain is not a list.
    pub fn cardinality(&self) -> Option<usize> {
        match self {
            Self::Enum { domain } => Some(domain.len()),
            Self::Bool => Some(2),
            _ => None,
        }
    }
}

impl Field {
    /// Returns the label of a code of a closed domain; `None` for 0 (missing), for codes beyond it, and other types.
    pub fn label(&self, code: u16) -> Option<&str> {
        let at = usize::from(code).checked_sub(1)?;
        match &self.ty {
            FieldType::Enum { domain } => domain.get(at).map(String::as_str),
            FieldType::Bool => ["false", "true"].get(at).copied(),
            _ => None,
        }
    }

    /// Returns the coarse label that stands for a code; `None` where the field has no coarse form.
    pub fn coarse_label(&self, code: u16) -> Option<&str> {
        self.coarse.get(usize::from(code).checked_sub(1)?).map(String::as_str)
    }

    /// Encodes one present value. Cost: a walk of the domain for enums; see [`Encoder`] for streams of values.
    pub fn encode(&self, text: &str) -> Result<Encoded, EncodeError> {
        if let FieldType::Enum { domain } = &self.ty {
            let at = domain.iter().position(|label| label == text);
            return self.code(text, at);
        }
        self.encode_open(text)
    }

    fn code(&self, text: &str, at: Option<usize>) -> Result<Encoded, EncodeError> {
        match at.and_then(|at| u16::try_from(at + 1).ok()) {
            Some(code) => Ok(Encoded::Code(code)),
            None if text.is_empty() => Err(EncodeError::Empty { field: self.name.clone() }),
            None => {
                let values = self.ty.cardinality().unwrap_or(0);
                Err(EncodeError::NotInDomain { field: self.name.clone(), values })
            }
        }
    }

    fn encode_open(&self, text: &str) -> Result<Encoded, EncodeError> {
        let field = || self.name.clone();
        if text.is_empty() {
            return Err(EncodeError::Empty { field: field() });
        }
        match &self.ty {
            FieldType::Enum { .. } => self.code(text, None),
            FieldType::Bool => match text.to_ascii_lowercase().as_str() {
                "false" | "no" | "0" => Ok(Encoded::Code(1)),
                "true" | "yes" | "1" => Ok(Encoded::Code(2)),
                _ => Err(EncodeError::NotABool { field: field() }),
            },
            FieldType::Integer { min, max } => self.number(text, 0, *min, *max),
            FieldType::Decimal { scale, min, max } => self.number(text, *scale, *min, *max),
            FieldType::Date { min, max } => {
                let day = parse_day(text).ok_or_else(|| EncodeError::NotADay { field: field() })?;
                self.within(i64::from(day), i64::from(*min), i64::from(*max))
            }
            FieldType::Identifier { max_bytes } if text.len() > usize::from(*max_bytes) => {
                Err(EncodeError::TooLong { field: field(), max_bytes: *max_bytes })
            }
            FieldType::Identifier { .. } => Ok(Encoded::Bytes(text.as_bytes().to_vec())),
        }
    }

    fn number(&self, text: &str, scale: u8, min: i64, max: i64) -> Result<Encoded, EncodeError> {
        let field = self.name.clone();
        match parse_scaled(text, scale) {
            Ok(units) => self.within(units, min, max),
            Err(NumberError::Malformed) => Err(EncodeError::NotANumber { field }),
            Err(NumberError::TooFine) if scale == 0 => Err(EncodeError::NotWhole { field }),
            Err(NumberError::TooFine) => Err(EncodeError::TooFine { field, scale }),
            Err(NumberError::TooLarge) => Err(self.out_of_bounds(min, max)),
        }
    }

    fn within(&self, value: i64, min: i64, max: i64) -> Result<Encoded, EncodeError> {
        if (min..=max).contains(&value) { Ok(Encoded::Int(value)) } else { Err(self.out_of_bounds(min, max)) }
    }

    fn out_of_bounds(&self, min: i64, max: i64) -> EncodeError {
        EncodeError::OutOfBounds { field: self.name.clone(), min: self.ty.show(min), max: self.ty.show(max) }
    }
}

/// Encodes a stream of values of one field: the same answers as [`Field::encode`], with a hash lookup for enums.
#[derive(Debug)]
pub struct Encoder<'a> {
    field: &'a Field,
    codes: HashMap<&'a str, usize>,
}

impl<'a> Encoder<'a> {
    /// Builds the lookup of a field.
    pub fn new(field: &'a Field) -> Self {
        let codes = match &field.ty {
            FieldType::Enum { domain } => domain.iter().enumerate().map(|(at, label)| (label.as_str(), at)).collect(),
            _ => HashMap::new(),
        };
        Self { field, codes }
    }

    /// Encodes one present value.
    pub fn encode(&self, text: &str) -> Result<Encoded, EncodeError> {
        match &self.field.ty {
            FieldType::Enum { .. } => self.field.code(text, self.codes.get(text).copied()),
            _ => self.field.encode_open(text),
        }
    }
}
