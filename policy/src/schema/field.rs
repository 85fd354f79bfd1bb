//! The checks of one field of a schema: type, domain, bounds, coarse labels.

use super::number::parse_scaled;
use super::parse::{MAX_LABEL_BYTES, SchemaError, display, retention};
use super::raw::{RawField, RawType};
use super::{ColumnId, Field, FieldType};
use crate::id::FieldName;
use crate::time::parse_day;
use std::collections::BTreeSet;
use toml::Value;

/// Distinct values one subject contributes to a breakdown when the schema does not say.
const DEFAULT_MAX_DISTINCT: usize = 16;
/// Codes are 16 bits and a breakdown returns every cell.
const MAX_DOMAIN: usize = 4_096;

/// Checks one field; `place` is where errors say it stands.
pub(super) fn field(
    raw: &RawField,
    name: FieldName,
    column: ColumnId,
    of_event: bool,
    place: &str,
) -> Result<Field, SchemaError> {
    only_keys_of_type(raw, place)?;
    let ty = match raw.ty {
        RawType::Enum => FieldType::Enum { domain: domain(raw, place)? },
        RawType::Bool => FieldType::Bool,
        RawType::Integer => {
            let (min, max) = bounds(raw, place, "a whole number", |value| number(value, 0))?;
            FieldType::Integer { min, max }
        }
        RawType::Decimal => {
            let scale = raw.scale.filter(|scale| *scale <= 9);
            let scale =
                scale.ok_or_else(|| SchemaError::new(place, "a decimal needs `scale`, 0-9 digits after the mark"))?;
            let what = format!("a decimal with at most {scale} digits after the mark");
            let (min, max) = bounds(raw, place, &what, |value| number(value, scale))?;
            FieldType::Decimal { scale, min, max }
        }
        RawType::Date => {
            let (min, max) = bounds(raw, place, "a day, \"YYYY-MM-DD\"", |value| match value {
                Value::String(text) => parse_day(text).map(i64::from),
                Value::Datetime(day) => parse_day(&day.to_string()).map(i64::from),
                _ => None,
            })?;
            let days = |n: i64| i32::try_from(n).map_err(|_| SchemaError::new(place, "this day is out of range"));
            FieldType::Date { min: days(min)?, max: days(max)? }
        }
        RawType::Identifier => {
            let max_bytes = raw.max_bytes.filter(|n| *n > 0);
            let max_bytes =
                max_bytes.ok_or_else(|| SchemaError::new(place, "an identifier needs `max_bytes`, 1-255"))?;
            FieldType::Identifier { max_bytes }
        }
    };
    Ok(Field {
        column,
        class: raw.class,
        display: display(raw.display.clone(), name.as_str(), place)?,
        max_distinct: max_distinct(raw, &ty, of_event, place)?,
        coarse: coarse(raw, &ty, place)?,
        retention_days: retention(raw.retention_days, place)?,
        deprecated: raw.deprecated,
        name,
        ty,
    })
}

/// Refuses keys that belong to another type, so that a bound is never written and silently ignored.
fn only_keys_of_type(raw: &RawField, place: &str) -> Result<(), SchemaError> {
    let given = [
        ("domain", raw.domain.is_some(), matches!(raw.ty, RawType::Enum)),
        ("coarse", raw.coarse.is_some(), matches!(raw.ty, RawType::Enum | RawType::Bool)),
        ("min", raw.min.is_some(), matches!(raw.ty, RawType::Integer | RawType::Decimal | RawType::Date)),
        ("max", raw.max.is_some(), matches!(raw.ty, RawType::Integer | RawType::Decimal | RawType::Date)),
        ("scale", raw.scale.is_some(), matches!(raw.ty, RawType::Decimal)),
        ("max_bytes", raw.max_bytes.is_some(), matches!(raw.ty, RawType::Identifier)),
    ];
    match given.iter().find(|(_, present, allowed)| *present && !allowed) {
        Some((key, ..)) => Err(SchemaError::new(place, format!("`{key}` does not belong to this type; remove it"))),
        None => Ok(()),
    }
}

fn labels_are_valid(labels: &[String]) -> bool {
    labels.iter().all(|l| (1..=MAX_LABEL_BYTES).contains(&l.len()) && !l.chars().any(char::is_control))
}

fn domain(raw: &RawField, place: &str) -> Result<Vec<String>, SchemaError> {
    let domain = raw.domain.clone().unwrap_or_default();
    if domain.is_empty() || domain.len() > MAX_DOMAIN {
        return Err(SchemaError::new(place, format!("an enum needs `domain`, a list of 1-{MAX_DOMAIN} values")));
    }
    if !labels_are_valid(&domain) {
        let problem = format!("values of `domain` are 1-{MAX_LABEL_BYTES} bytes without control characters");
        return Err(SchemaError::new(place, problem));
    }
    let mut seen = BTreeSet::new();
    match domain.iter().position(|label| !seen.insert(label)) {
        Some(at) => Err(SchemaError::new(place, format!("value {} of `domain` repeats an earlier one", at + 1))),
        None => Ok(domain),
    }
}

fn coarse(raw: &RawField, ty: &FieldType, place: &str) -> Result<Vec<String>, SchemaError> {
    let Some(coarse) = raw.coarse.clone() else {
        return Ok(Vec::new());
    };
    let wanted = ty.cardinality().unwrap_or(0);
    if coarse.len() != wanted || !labels_are_valid(&coarse) {
        let problem =
            format!("`coarse` has one label per value of the domain, {wanted} here, each 1-{MAX_LABEL_BYTES} bytes");
        return Err(SchemaError::new(place, problem));
    }
    Ok(coarse)
}

fn max_distinct(raw: &RawField, ty: &FieldType, of_event: bool, place: &str) -> Result<u32, SchemaError> {
    if !of_event {
        return match raw.max_distinct {
            None | Some(1) => Ok(1),
            Some(_) => {
                Err(SchemaError::new(place, "`max_distinct` belongs to event fields; an attribute has one value"))
            }
        };
    }
    let size = ty.cardinality();
    let most = u32::try_from(size.unwrap_or(MAX_DOMAIN)).unwrap_or(u32::MAX);
    let default = u32::try_from(size.unwrap_or(DEFAULT_MAX_DISTINCT).min(DEFAULT_MAX_DISTINCT)).unwrap_or(1);
    let given = raw.max_distinct.unwrap_or(default);
    if !(1..=most).contains(&given) {
        return Err(SchemaError::new(place, format!("`max_distinct` is 1-{most}")));
    }
    Ok(given)
}

fn bounds(
    raw: &RawField,
    place: &str,
    what: &str,
    read: impl Fn(&Value) -> Option<i64>,
) -> Result<(i64, i64), SchemaError> {
    let one = |key: &str, value: &Option<Value>| {
        let read = value.as_ref().and_then(&read);
        // Why not `i64::MIN`: it is how a missing number is stored.
        read.filter(|n| *n != i64::MIN).ok_or_else(|| SchemaError::new(place, format!("`{key}` is needed, {what}")))
    };
    let (min, max) = (one("min", &raw.min)?, one("max", &raw.max)?);
    if min > max {
        return Err(SchemaError::new(place, "`min` is at most `max`"));
    }
    Ok((min, max))
}

/// Reads a TOML number or decimal string in units of `10^-scale`. A TOML float counts as its shortest written form.
pub(super) fn number(value: &Value, scale: u8) -> Option<i64> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Integer(n) => n.to_string(),
        Value::Float(x) => x.to_string(),
        _ => return None,
    };
    parse_scaled(&text, scale).ok()
}
