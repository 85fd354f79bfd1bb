//! The history of a block: what its people agreed to and asked for, by position.

use super::bytes::Cursor;
use serde_json::{Value, json};
use std::collections::HashMap;

const COLUMNS: usize = 9;
const METHODS: [&str; 8] = ["web_form", "app", "paper", "phone", "in_person", "import", "preference_center", "signal"];

/// Reads a history: `sch`, version 1; texts; consent events in columns, each less what all have at least; then other lines,
/// in JSON. Of bytes that are cut it takes what is whole. `None` if it is something else.
pub fn read(history: &[u8]) -> Option<HashMap<u32, Vec<Value>>> {
    let mut from = Cursor(history.strip_prefix(b"sch\x01")?);
    let mut found: HashMap<u32, Vec<Value>> = HashMap::new();
    _ = into(&mut from, &mut found);
    Some(found)
}

fn into(from: &mut Cursor<'_>, found: &mut HashMap<u32, Vec<Value>>) -> Option<()> {
    let mut texts = Vec::new();
    for _ in 0..from.u32()? {
        texts.push(String::from_utf8_lossy(from.tiny()?).into_owned());
    }
    let events = from.u32()? as usize;
    let mut columns: Vec<Vec<u64>> = Vec::new();
    while columns.len() < COLUMNS {
        let Some(column) = column(from, events) else { break };
        columns.push(column);
    }
    let whole = columns.len() == COLUMNS;
    for event in 0..events {
        let value = |column: usize| Some(*columns.get(column)?.get(event)?);
        let text = |place: Option<u64>| texts.get(place? as usize);
        let kind = value(4);
        let at = value(2).map(|at| (at ^ 1 << 63).cast_signed());
        let said = json!({
            "leaf": value(1),
            "at": at,
            "expires": value(3).filter(|lasts| *lasts > 0).zip(at).map(|(lasts, at)| at.wrapping_add_unsigned(lasts - 1)),
            "act": kind.map(|kind| if kind & 1 == 0 { "give" } else { "withdraw" }),
            "method": kind.and_then(|kind| METHODS.get((kind >> 3).checked_sub(1)? as usize)),
            "purpose": text(value(5)),
            "source": text(value(6)),
            "language": text(value(7).and_then(|place| place.checked_sub(1))),
            "notice": text(value(8).and_then(|place| place.checked_sub(1))),
        });
        found.entry(u32::try_from(value(0)?).ok()?).or_default().push(said);
    }
    for _ in 0..whole.then(|| from.u32())?? {
        let (position, _) = (from.u16()?, from.u64()?);
        found.entry(position.into()).or_default().push(serde_json::from_slice(from.short()?).ok()?);
    }
    Some(())
}

fn column(from: &mut Cursor<'_>, rows: usize) -> Option<Vec<u64>> {
    let (base, width) = (from.u64()?, usize::from(from.u8()?));
    let packed = from.take(rows.checked_mul(width)?)?;
    let value = |row: usize| {
        let bytes = packed[row * width..][..width].iter().rev();
        base.wrapping_add(bytes.fold(0, |all, byte| all << 8 | u64::from(*byte)))
    };
    (width <= 8).then(|| (0..rows).map(value).collect())
}
