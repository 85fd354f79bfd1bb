use super::super::data::{BlockData, Column};
use super::super::pieces::read_block;
use super::*;
use crate::blocks::PieceKind;
use crate::disk::Disk;
use crate::fold::set_day::SetDay;
use crate::ingest::Value;
use crate::journal::Delta;
use policy::schema::{EventTypeId, Schema};
use policy::time::Timestamp;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

const SCHEMA: &str = "version = 1\ndataset = \"town\"\norganization = \"village\"\ntime_zone = \"UTC\"\nsubject_key = \
    \"key\"\npurposes = [\"marketing.portrait\"]\n\
    [[attributes]]\nname = \"key\"\nclass = \"identifier\"\ntype = \"identifier\"\nmax_bytes = 8\n\
    [[attributes]]\nname = \"band\"\nclass = \"behavioral\"\ntype = \"enum\"\ndomain = [\"a\", \"b\"]\n\
    [[attributes]]\nname = \"score\"\nclass = \"behavioral\"\ntype = \"integer\"\nmin = 0\nmax = 9000\nretention_days = 9\n\
    [[events]]\nname = \"order\"\nmax_per_subject = 100\n\
    [[events.fields]]\nname = \"what\"\nclass = \"identifier\"\ntype = \"identifier\"\nmax_bytes = 8\n\
    [[events.fields]]\nname = \"sum\"\nclass = \"behavioral\"\ntype = \"integer\"\nmin = 0\nmax = 90\n\
    [[events]]\nname = \"view\"\nmax_per_subject = 100\n\
    [[events.fields]]\nname = \"page\"\nclass = \"behavioral\"\ntype = \"enum\"\ndomain = [\"a\", \"b\"]\nmax_distinct = 2\n";

/// A block on disk. People whose number is a multiple of 3 have orders, so many that they fill some pieces; one in 5 has a
/// view.
struct Stored {
    folder: tempfile::TempDir,
    schema: Schema,
    files: AtomicU64,
    pieces: BlockPieces,
}

fn entries(people: u16) -> Delta {
    let mut delta = Delta::default();
    for position in 0..people {
        delta.new_subject(position, &[1; HIDDEN_BYTES], format!("p{position}").as_bytes());
        let score = Value::Int(position.into());
        delta.profile(
            position,
            SetDay::of(Timestamp::from_seconds(86_400 * i64::from(position + 1))),
            &[(1, &Value::Code(1 + position % 2)), (2, &score)],
        );
        for order in 0..if position % 3 == 0 { 60 } else { 0 } {
            let what = Value::Bytes(format!("o{}", order % 7).into_bytes());
            delta.event(position, 0, order, 1_000 + order as i64, &[what, Value::Int(order as i64)]);
        }
        if position % 5 == 0 {
            delta.event(position, 1, 7, 2_000, &[Value::Code(2)]);
        }
    }
    delta
}

impl Stored {
    fn new(people: u16) -> Self {
        let schema = policy::schema::parse(SCHEMA).unwrap();
        let mut data = BlockData::empty(&schema);
        data.apply(&schema, &entries(people).take()).unwrap();
        for position in (0..people).step_by(10) {
            data.history.other(position, 1, &"asked").unwrap();
        }
        data.history_changed = true;
        let mut stored = Self {
            folder: tempfile::tempdir().unwrap(),
            schema,
            files: AtomicU64::new(1),
            pieces: BlockPieces { events: vec![Vec::new(); 2], ..BlockPieces::default() },
        };
        let new = stored.with_writer(|writer| writer.write_block(&stored.schema, 0, &mut data).unwrap());
        for new in new {
            let piece = stored.open(&new);
            match new.meta.kind {
                PieceKind::Events(event) => stored.pieces.events[usize::from(event.0)].push(piece.into()),
                _ => stored.pieces.swap(id_of(&new.meta), piece),
            }
        }
        stored
    }

    fn path(&self, file: u64) -> PathBuf {
        self.folder.path().join(format!("{file:016x}.piece"))
    }

    fn open(&self, new: &NewPiece) -> Piece {
        Piece::open(&self.path(new.file), new.written.key.clone(), &new.meta).unwrap()
    }

    fn with_writer<T>(&self, act: impl FnOnce(&Writer<'_>) -> T) -> T {
        let next_file = || self.files.fetch_add(1, Ordering::Relaxed);
        let (disk, dir) = (Disk::default(), self.folder.path());
        act(&Writer { disk: &disk, dir, dataset: 1, schema_version: 1, next_file: &next_file })
    }

    /// Erases, and returns which pieces were written again.
    fn erase(&mut self, gone: &[u16]) -> Vec<(PieceKind, u16)> {
        self.erase_but(gone, &[])
    }

    /// Erases but for some fields.
    fn erase_but(&mut self, gone: &[u16], held: &[&str]) -> Vec<(PieceKind, u16)> {
        let held: Vec<_> = held.iter().map(|path| self.schema.resolve(path).unwrap()).collect();
        let held = Held::of(&self.schema, &held);
        let gone = gone.iter().map(|position| (*position, held.clone())).collect();
        let new = self.with_writer(|writer| writer.erase_block(&self.pieces, &gone, |_| true).unwrap());
        for new in new.iter().flatten() {
            let piece = self.open(new);
            self.pieces.swap(id_of(&new.meta), piece);
        }
        new.into_iter().flatten().map(|new| (new.meta.kind, new.meta.part)).collect()
    }

    fn read(&self) -> BlockData {
        read_block(&self.schema, &self.pieces).unwrap()
    }
}

/// Times, ids and fields of a person's orders.
fn orders_of(data: &BlockData, person: u16) -> Vec<(i64, u64, Vec<Value>)> {
    let orders = &data.events[0];
    let rows = (0..orders.at.len()).filter(|row| orders.position[*row] == person);
    let values = |row| orders.columns.iter().map(|column| column.value(row)).collect();
    rows.map(|row| (orders.at[row], orders.id[row], values(row))).collect()
}

#[test]
fn the_erased_are_missing_everywhere_and_the_others_are_as_before() {
    let mut stored = Stored::new(2_000);
    let before = stored.read();
    let gone = [0, 3, 255, 256, 1_000, 1_998, 1_999];
    stored.erase(&gone);
    let after = stored.read();
    let stays = |position: &u16| !gone.contains(position);
    for row in 0..2_000_u16 {
        let (at, stays) = (usize::from(row), stays(&row));
        assert_eq!(after.hidden[at], if stays { before.hidden[at] } else { [0; HIDDEN_BYTES] }, "{row}");
        for (before, after) in before.columns.iter().zip(&after.columns) {
            let expected = if stays { before.value(at) } else { Value::Missing };
            assert_eq!(after.value(at), expected, "{row}");
        }
        let set = before.set_day(2, at).unwrap();
        assert_eq!((set.stored(), after.set_day(2, at)), (row + 1, stays.then_some(set)), "{row}");
    }
    for (before, after) in before.events.iter().zip(&after.events) {
        let kept: Vec<usize> = (0..before.position.len()).filter(|row| stays(&before.position[*row])).collect();
        assert!(kept.len() < before.position.len());
        assert_eq!(after.position, kept.iter().map(|row| before.position[*row]).collect::<Vec<_>>());
        assert_eq!(after.at, kept.iter().map(|row| before.at[*row]).collect::<Vec<_>>());
        assert_eq!(after.id, kept.iter().map(|row| before.id[*row]).collect::<Vec<_>>());
        let value = |columns: &[Column], row| columns.iter().map(|column| column.value(row)).collect::<Vec<_>>();
        for (row, from) in kept.iter().enumerate() {
            assert_eq!(value(&after.columns, row), value(&before.columns, *from));
        }
    }
    let mut kept = before.history.clone();
    assert!(kept.retain(|position| stays(&position)));
    assert!(after.history == kept);
}

#[test]
fn only_pieces_that_hold_something_of_the_erased_are_written_again() {
    let mut stored = Stored::new(2_000);
    assert!(stored.pieces.events[0].len() >= 3);
    let (orders, views, attributes) =
        (PieceKind::Events(EventTypeId(0)), PieceKind::Events(EventTypeId(1)), PieceKind::Attributes);
    let history = (PieceKind::State, CONSENT_HISTORY);
    assert_eq!(stored.erase(&[1_999]), [(attributes, 0)], "neither orders nor a view nor a consent");
    assert_eq!(stored.erase(&[3]), [(attributes, 0), (orders, 0)]);
    assert_eq!(stored.erase(&[5]), [(attributes, 0), (views, 0)]);
    assert_eq!(stored.erase(&[30]), [(attributes, 0), (orders, 0), (views, 0), history]);
    assert_eq!(stored.erase(&[2_000, 8_191]), [], "nobody of them is folded");
    let everyone: Vec<u16> = (0..2_000).collect();
    stored.erase(&everyone);
    let after = stored.read();
    assert!(after.events.iter().all(|rows| rows.position.is_empty()) && after.history.is_empty());
}

#[test]
fn what_is_held_stays_and_nothing_else_does() {
    let mut stored = Stored::new(2_000);
    let before = stored.read();
    let (attributes, orders) = ((PieceKind::Attributes, 0), (PieceKind::Events(EventTypeId(0)), 0));
    let history = (PieceKind::State, CONSENT_HISTORY);
    assert_eq!(stored.erase_but(&[3], &["order"]), [attributes], "her orders are held whole");
    let views = (PieceKind::Events(EventTypeId(1)), 0);
    assert_eq!(stored.erase_but(&[30], &["score", "order"]), [attributes, views, history]);
    let after = stored.read();
    for (row, score) in [(3, Value::Missing), (30, Value::Int(30))] {
        let values: Vec<Value> = after.columns.iter().map(|column| column.value(row)).collect();
        assert_eq!(values, [before.columns[0].value(row), Value::Missing, score]);
        assert_eq!(after.hidden[row], before.hidden[row], "for the leaf that ends the hold");
        let whose = u16::try_from(row).unwrap();
        assert!(!after.events[1].position.contains(&whose));
        assert_eq!(orders_of(&after, whose), orders_of(&before, whose));
    }
    // When the hold ends, the rest goes.
    assert_eq!(stored.erase(&[3, 30]), [attributes, orders]);
    let last = stored.read();
    for row in [3_u16, 30] {
        assert_eq!(
            (last.columns[0].value(row.into()), last.hidden[usize::from(row)]),
            (Value::Missing, [0; HIDDEN_BYTES])
        );
        assert_eq!(orders_of(&last, row), []);
    }
    assert_eq!(orders_of(&last, 33), orders_of(&before, 33));
}

#[test]
fn a_held_field_keeps_its_events_and_not_their_other_fields() {
    let mut stored = Stored::new(400);
    let before = stored.read();
    let orders = (PieceKind::Events(EventTypeId(0)), 0);
    assert_eq!(stored.erase_but(&[6], &["order.what"])[1], orders);
    let after = stored.read();
    let (kept, had) = (orders_of(&after, 6), orders_of(&before, 6));
    assert_eq!(kept.len(), had.len());
    for ((at, id, values), (at_before, id_before, had)) in kept.into_iter().zip(had) {
        assert_eq!((at, id, &values[0], &values[1]), (at_before, id_before, &had[0], &Value::Missing));
        assert_ne!(had[1], Value::Missing);
    }
    assert_eq!(orders_of(&after, 9), orders_of(&before, 9));
}
