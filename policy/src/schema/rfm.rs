//! Who bought lately, often and for much, in bands over public cut points: the description's `[rfm]`.

use super::field::number;
use super::parse::SchemaError;
use super::raw::RawRfm;
use super::{ColumnId, EventType, EventTypeId, Field, FieldType};
use crate::segment::Span;
use serde::{Deserialize, Serialize};

/// Most cut points of a measure.
const MAX_CUTS: usize = 9;

/// Recency, frequency and monetary value of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rfm {
    /// The events that are purchases, or lines of them.
    pub event: EventTypeId,
    /// What was paid: an integer or decimal field of the event; its sum is cut.
    pub amount: ColumnId,
    /// The field whose distinct values are purchases; without it each event is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<ColumnId>,
    /// Calendar days before the epoch's end in which events count; all of them without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_days: Option<u32>,
    /// Where bands begin and end.
    pub cuts: CutPoints,
}

/// Where cut points come from: a description has public ones. Released ones, which are charged for and have versions, are named by
/// their version where they are used ([`crate::segment::Number`]); ones that follow the data unnoticed are none, since one
/// buyer would move everyone's band.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutPoints {
    /// Public constants of the description.
    Public(PublicCuts),
}

/// Cut points, each list rising and of 1 to 9: bands are numbered from 1, one more than there are cuts, the most valuable
/// last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicCuts {
    /// Last days of a band, the most valuable first.
    pub recency: Vec<i64>,
    /// First numbers of purchases of a band.
    pub frequency: Vec<i64>,
    /// First sums of a band, in units of the amount.
    pub monetary: Vec<i64>,
}

/// Checks what is written.
pub(super) fn checked(raw: &RawRfm, place: &str, events: &[EventType]) -> Result<Rfm, SchemaError> {
    let wrong = |problem: String| SchemaError::new(place, problem);
    let event = events.iter().find(|event| event.name.as_str() == raw.event);
    let event = event.ok_or_else(|| wrong("`event` is the name of an event type".to_owned()))?;
    let field = |key: &str, name: &str| -> Result<&Field, SchemaError> {
        let field = event.fields.iter().find(|field| field.name.as_str() == name);
        field.ok_or_else(|| wrong(format!("`{key}` is the name of a field of `{}`", event.name)))
    };
    let amount = field("amount", &raw.amount)?;
    let scale = match amount.ty {
        FieldType::Integer { .. } => 0,
        FieldType::Decimal { scale, .. } => scale,
        _ => return Err(wrong("`amount` is the name of an integer or decimal field".to_owned())),
    };
    let purchase = raw.purchase.as_ref().map(|name| field("purchase", name)).transpose()?;
    let window = raw.window.as_deref().map(Span::parse).map(|span| match span {
        Some(Span::Days(days)) => Ok(days),
        _ => Err(wrong("`window` is a number of days or weeks, such as \"365d\"".to_owned())),
    });
    let cuts = PublicCuts {
        recency: rising("recency", &raw.recency, 1, |value| number(value, 0)).map_err(wrong)?,
        frequency: rising("frequency", &raw.frequency, 2, |value| number(value, 0)).map_err(wrong)?,
        monetary: rising("monetary", &raw.monetary, i64::MIN + 1, |value| number(value, scale)).map_err(wrong)?,
    };
    Ok(Rfm {
        event: event.id,
        amount: amount.column,
        purchase: purchase.map(|field| field.column),
        window_days: window.transpose()?,
        cuts: CutPoints::Public(cuts),
    })
}

fn rising(
    key: &str,
    written: &[toml::Value],
    least: i64,
    read: impl Fn(&toml::Value) -> Option<i64>,
) -> Result<Vec<i64>, String> {
    let cuts: Option<Vec<i64>> = written.iter().map(read).collect();
    let fits = |cuts: &Vec<i64>| {
        let sizes = cuts.iter().all(|cut| (least..i64::MAX).contains(cut));
        (1..=MAX_CUTS).contains(&cuts.len()) && sizes && cuts.is_sorted_by(|a, b| a < b)
    };
    cuts.filter(fits).ok_or_else(|| {
        let from = if least > 0 { format!(" from {least} on") } else { String::new() };
        format!("`{key}` lists 1 to {MAX_CUTS} rising cut points{from}, such as {}", example(key))
    })
}

fn example(key: &str) -> &'static str {
    match key {
        "recency" => "[30, 90, 180, 365] days",
        "frequency" => "[2, 4, 8, 16] purchases",
        _ => "[\"50.00\", \"150.00\", \"400.00\", \"1000.00\"]",
    }
}
