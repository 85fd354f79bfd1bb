//! Legal holds.

use super::time;
use crate::status::Failure;
use policy::schema::{FieldRef, Schema};
use proto::v1;
use std::collections::BTreeSet;
use vault::holds::{Ground, Hold, MAX_FIELDS, NewHold};

/// Reads a hold that is asked for.
pub fn decode(
    fields: &[String],
    ground: &str,
    expire_time: Option<prost_types::Timestamp>,
    schema: &Schema,
) -> Result<NewHold, Failure> {
    let ground = Ground::new(ground).map_err(|problem| Failure::invalid("ground", format!("is refused: {problem}")))?;
    if !(1..=MAX_FIELDS).contains(&fields.len()) {
        return Err(Failure::invalid(
            "fields",
            format!("must be 1 to {MAX_FIELDS} attributes, events or their fields"),
        ));
    }
    let known = |path: &String| {
        let problem = "names a field that the dataset does not have";
        schema.resolve(path).ok_or_else(|| Failure::invalid("fields", problem))
    };
    let fields: BTreeSet<FieldRef> = fields.iter().map(known).collect::<Result<_, _>>()?;
    let until = expire_time.map(|at| time::decode("expire_time", at)).transpose()?;
    Ok(NewHold { fields, ground, until })
}

/// Writes a hold.
pub fn encode(schema: &Schema, hold: &Hold) -> v1::Hold {
    let Hold { number, fields, ground, placed, until, waiting } = hold;
    v1::Hold {
        number: *number,
        fields: fields.iter().map(|field| schema.path(*field)).collect(),
        ground: ground.as_str().to_owned(),
        place_time: Some(time::encode(*placed)),
        expire_time: until.map(time::encode),
        erasure_waits: *waiting,
    }
}
