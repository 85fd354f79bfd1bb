//! The decoders of a block's opened columns, to be fed with anything: what comes after a piece was opened.

use super::data::{BlockData, EventRows};
use super::pieces::{take_attributes, take_events};
use crate::blocks::{Chunk, ColumnKey, HIDDEN_BYTES, PieceKind, PieceMeta, encode_bytes};
use policy::schema::{ColumnId, EventTypeId, Layout, Schema};

/// An event type with a field of every layout.
const SCHEMA: &str = r#"
version = 1
dataset = "shop"
organization = "hill-farms"
time_zone = "Europe/London"
subject_key = "member_no"
purposes = ["marketing.portrait"]

[[attributes]]
name = "member_no"
class = "identifier"
type = "identifier"
max_bytes = 32

[[attributes]]
name = "area"
class = "quasi_identifier"
type = "enum"
domain = ["north", "south"]

[[attributes]]
name = "score"
class = "behavioral"
type = "integer"
min = 0
max = 1000

[[events]]
name = "order"
max_per_subject = 10

[[events.fields]]
name = "number"
class = "identifier"
type = "identifier"
max_bytes = 16

[[events.fields]]
name = "category"
class = "behavioral"
type = "enum"
domain = ["pots", "plants"]
max_distinct = 2

[[events.fields]]
name = "amount"
class = "behavioral"
type = "integer"
min = 0
max = 1000
"#;

const META: PieceMeta = PieceMeta {
    dataset: 1,
    block: 2,
    kind: PieceKind::Attributes,
    part: 0,
    version: 4,
    schema_version: 1,
    first: 0,
    subjects: 0,
    rows: 0,
};

fn schema() -> Option<Schema> {
    policy::schema::parse(SCHEMA).ok()
}

/// Takes bytes apart: first subject, subjects, rows, then columns, each behind its length; none if they are cut short.
fn columns(bytes: &[u8]) -> Option<(PieceMeta, Vec<&[u8]>)> {
    let (numbers, mut rest) = bytes.split_first_chunk::<12>()?;
    let number = |at: usize| numbers.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let mut meta = META;
    meta.first = u16::try_from(number(0)?).ok()?;
    (meta.subjects, meta.rows) = (number(4)?, number(8)?);
    let mut all = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (column, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        all.push(column);
        rest = after;
    }
    Some((meta, all))
}

fn bytes_of(meta: [u32; 3], columns: &[&[u8]]) -> Vec<u8> {
    let mut bytes: Vec<u8> = meta.iter().flat_map(|number| number.to_le_bytes()).collect();
    for column in columns {
        bytes.extend(u16::try_from(column.len()).unwrap_or(0).to_le_bytes());
        bytes.extend(*column);
    }
    bytes
}

/// The columns of an event piece: the order in which bytes are cut into them.
const OF_EVENTS: [(ColumnKey, Layout); 7] = [
    (ColumnKey::OFFSETS, Layout::Bytes),
    (ColumnKey::TIME, Layout::Int64),
    (ColumnKey::EVENT_ID, Layout::Int64),
    (ColumnKey::of(ColumnId(0)), Layout::Bytes),
    (ColumnKey::of(ColumnId(1)), Layout::Code8),
    (ColumnKey::of(ColumnId(2)), Layout::Int64),
    (ColumnKey::MARK, Layout::Code8),
];

const OF_ATTRIBUTES: [(ColumnKey, Layout); 4] = [
    (ColumnKey::of(ColumnId(0)), Layout::Bytes),
    (ColumnKey::of(ColumnId(1)), Layout::Code8),
    (ColumnKey::of(ColumnId(2)), Layout::Int64),
    (ColumnKey { column: ColumnKey::HIDDEN, part: 0 }, Layout::Bytes),
];

fn chunks<'a>(keys: &[(ColumnKey, Layout)], columns: &[&'a [u8]]) -> Vec<Chunk<'a>> {
    keys.iter().zip(columns).map(|((key, layout), bytes)| Chunk { key: *key, layout: *layout, bytes }).collect()
}

/// Reads the opened columns of an event piece.
pub(crate) fn events(bytes: &[u8]) {
    let (Some(schema), Some((meta, columns))) = (schema(), columns(bytes)) else { return };
    let Some(event) = schema.events.first() else { return };
    let meta = PieceMeta { kind: PieceKind::Events(EventTypeId(0)), ..meta };
    let mut rows = EventRows::empty(&event.fields);
    if take_events(&meta, &chunks(&OF_EVENTS, &columns), &mut rows).is_none() {
        return;
    }
    let count = meta.rows as usize;
    let lengths = [rows.position.len(), rows.at.len(), rows.id.len(), rows.mark.len()];
    assert!(lengths.into_iter().chain(rows.columns.iter().map(super::data::Column::len)).all(|length| length == count));
    rows.changed = true;
    rows.normalize();
    assert!(rows.position.is_sorted() && rows.id.len() <= count, "rows are out of order");
}

pub(crate) fn events_seeds() -> Vec<Vec<u8>> {
    let offsets: Vec<u8> = [0_u32, 2, 2, 3].iter().flat_map(|offset| offset.to_le_bytes()).collect();
    let times: Vec<u8> = [5_i64, 9, 7].iter().flat_map(|at| at.to_le_bytes()).collect();
    let ids: Vec<u8> = [1_u64, 2, 3].iter().flat_map(|id| id.to_le_bytes()).collect();
    let numbers = encode_bytes([&b"a"[..], b"", b"bc"].into_iter()).unwrap_or_default();
    vec![
        bytes_of([7, 3, 3], &[&offsets, &times, &ids, &numbers, &[1, 0, 2], &times]),
        bytes_of([7, 3, 3], &[&offsets, &times, &ids, &numbers, &[1, 0, 2], &times, &[0, 2, 0]]),
        bytes_of([0, 3, 3], &[&offsets, &times, &ids]),
        bytes_of([0, 1, 0], &[&[0; 8], &[], &[]]),
    ]
}

/// Reads the opened columns of an attribute piece.
pub(crate) fn attributes(bytes: &[u8]) {
    let (Some(schema), Some((meta, columns))) = (schema(), columns(bytes)) else { return };
    let mut data = BlockData::empty(&schema);
    // A column that is missing costs a value for each subject, and a piece has at most a block's.
    let meta = PieceMeta { subjects: meta.subjects % (crate::blocks::BLOCK_SUBJECTS + 1), ..meta };
    if take_attributes(&schema, &meta, &chunks(&OF_ATTRIBUTES, &columns), &mut data).is_none() {
        return;
    }
    let subjects = meta.subjects as usize;
    assert!(data.columns.iter().all(|column| column.len() == subjects) && data.subjects() == subjects);
    for row in 0..subjects {
        data.columns.iter().for_each(|column| drop(column.value(row)));
    }
}

pub(crate) fn attributes_seeds() -> Vec<Vec<u8>> {
    let keys = encode_bytes([&b"m-1"[..], b"m-2"].into_iter()).unwrap_or_default();
    let scores: Vec<u8> = [5_i64, i64::MIN].iter().flat_map(|score| score.to_le_bytes()).collect();
    let hidden = [7; 2 * HIDDEN_BYTES];
    vec![bytes_of([0, 2, 2], &[&keys, &[1, 0], &scores, &hidden]), bytes_of([0, 0, 0], &[&[0; 4]])]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::ingest::Value;

    fn rows_of(meta: [u32; 3], columns_of: &[&[u8]]) -> Option<usize> {
        let bytes = bytes_of(meta, columns_of);
        let (meta, columns) = columns(&bytes).unwrap();
        let mut rows = EventRows::empty(&schema().unwrap().events.first().unwrap().fields);
        take_events(&meta, &chunks(&OF_EVENTS, &columns), &mut rows).map(|()| rows.position.len())
    }

    #[test]
    fn offsets_that_give_a_row_to_nobody_or_to_two_are_refused() {
        let offsets = |all: &[u32]| all.iter().flat_map(|offset| offset.to_le_bytes()).collect::<Vec<u8>>();
        let eights = [0; 24];
        let rows = |of: &[u32]| rows_of([0, 2, 3], &[&offsets(of), &eights, &eights]);
        assert_eq!(rows(&[0, 2, 3]), Some(3));
        for wrong in [&[0, 2, 2][..], &[1, 2, 3], &[0, 3, 2], &[0, 4, 3], &[0, 2, u32::MAX], &[]] {
            assert_eq!(rows(wrong), None, "{wrong:?}");
        }
        assert_eq!(rows_of([0, 2, 3], &[&offsets(&[0, 2, 3]), &eights, &[0; 16]]), None);
        assert_eq!(rows_of([65_535, 2, 3], &[&offsets(&[0, 2, 3]), &eights, &eights]), None);
    }

    #[test]
    fn every_row_or_none_says_by_which_link_it_came() {
        let offsets: Vec<u8> = [0_u32, 2, 3].iter().flat_map(|offset| offset.to_le_bytes()).collect();
        let (eights, numbers) = ([0; 24], encode_bytes([&b"a"[..], b"", b"bc"].into_iter()).unwrap());
        let with = |marks| rows_of([0, 2, 3], &[&offsets, &eights, &eights, &numbers, &[1, 0, 2], &eights, marks]);
        assert_eq!((with(&[0, 2, 0]), with(&[0, 2])), (Some(3), None));
    }

    #[test]
    fn what_the_seeds_hold_is_read() {
        let mut data = BlockData::empty(&schema().unwrap());
        let seeds = attributes_seeds();
        let (meta, columns) = columns(seeds.first().unwrap()).unwrap();
        take_attributes(&schema().unwrap(), &meta, &chunks(&OF_ATTRIBUTES, &columns), &mut data).unwrap();
        assert_eq!(data.columns.first().unwrap().value(1), Value::Bytes(b"m-2".to_vec()));
    }
}
