//! The fast scan against the plain meaning of a segment, on random people and random questions.

mod neighbors;

use super::*;
use crate::blocks::*;
use crate::disk::Disk;
use policy::id::SampleLabel;
use policy::schema::{ColumnId, EventTypeId, FieldRef, Layout};
use policy::segment::eval::{EventRow, Row, eval_expr};
use policy::segment::{EventFilter, EventTest, Expr, Measure, Sample, Score, Sequence, Span, Step, Test, Window};
use policy::time::Timestamp;
use std::path::{Path, PathBuf};

const AS_OF: Timestamp = Timestamp::from_seconds(1_750_000_000);
const DAY: i64 = 86_400_000_000;
const ZONE: &str = "Europe/London";

/// A small generator (xorshift64*), so that a failing seed can be run again.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }

    /// About normal, of a standard deviation.
    pub(crate) fn noise(&mut self, sigma: u64) -> i64 {
        let sum: i64 = (0..12).map(|_| self.below(2_001) as i64 - 1_000).sum();
        sum * sigma as i64 / 2_000
    }

    pub(crate) fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize].clone()
    }
}

/// Layout and number of values of each attribute; the last is younger than the blocks.
const ATTRIBUTES: [(Layout, u64); 7] = [
    (Layout::Code8, 5),
    (Layout::Code8, 2),
    (Layout::Code16, 300),
    (Layout::Int64, 50),
    (Layout::Bytes, 9),
    (Layout::Code8, 200),
    (Layout::Code8, 4),
];
const YOUNGEST: usize = 6;

const FIELDS: [&[(Layout, u64)]; 2] =
    [&[(Layout::Code8, 6), (Layout::Int64, 40), (Layout::Bytes, 5), (Layout::Code16, 270)], &[(Layout::Code8, 3)]];

/// How many events of one person count; some people have more.
const LIMITS: [u32; 2] = [70, 4];

fn value(dice: &mut Dice, (layout, values): (Layout, u64)) -> Option<i64> {
    if dice.below(5) == 0 {
        return None;
    }
    let value = dice.below(values) as i64;
    Some(if layout == Layout::Int64 { value - 20 } else { value + 1 })
}

fn person(dice: &mut Dice) -> Row {
    let mut attributes: Vec<Option<i64>> = ATTRIBUTES.iter().map(|kind| value(dice, *kind)).collect();
    attributes[YOUNGEST] = None;
    let mut events = Vec::new();
    for (number, fields) in FIELDS.iter().enumerate() {
        let busy = if dice.below(20) == 0 { 120 } else { 6 };
        for _ in 0..dice.below(busy) {
            events.push(EventRow {
                event: EventTypeId(number as u16),
                // Quarters of a day, so that many fall on one instant, and now and then just before it.
                at: Timestamp(AS_OF.0 - dice.below(400) as i64 * DAY / 4 + DAY - i64::from(dice.below(5) == 0)),
                fields: fields.iter().map(|kind| value(dice, *kind)).collect(),
            });
        }
    }
    events.sort_by_key(|event| (event.event, event.at));
    Row { attributes, events, buckets: [].into() }
}

fn label(name: &str) -> SampleLabel {
    SampleLabel::new(name).unwrap()
}

fn encode(layout: Layout, values: &[Option<i64>]) -> Vec<u8> {
    match layout {
        Layout::Code8 => values.iter().map(|v| v.unwrap_or(0) as u8).collect(),
        Layout::Code16 => values.iter().flat_map(|v| (v.unwrap_or(0) as u16).to_le_bytes()).collect(),
        Layout::Int64 => values.iter().flat_map(|v| v.unwrap_or(i64::MIN).to_le_bytes()).collect(),
        Layout::Bytes => {
            let texts: Vec<String> = values.iter().map(|v| v.map_or(String::new(), |v| format!("id{v}"))).collect();
            encode_bytes(texts.iter().map(String::as_bytes)).unwrap()
        }
    }
}

struct World {
    _folder: tempfile::TempDir,
    people: Vec<(u32, Row)>,
    blocks: Vec<BlockInput>,
    allowed: RoaringBitmap,
}

fn open(dir: &Path, file: u64, meta: &PieceMeta, written: Written) -> Arc<Piece> {
    let path: PathBuf = dir.join(format!("{file:016x}.piece"));
    Arc::new(Piece::open(&path, written.key, meta).unwrap())
}

fn write_block(dir: &Path, block: u32, people: &mut [Row], next: &mut u64) -> BlockInput {
    let hidden: Vec<[u8; 32]> = (0..people.len()).map(|place| [block as u8 ^ place as u8; 32]).collect();
    for (row, hidden) in people.iter_mut().zip(&hidden) {
        let bucket = |name| (label(name), crate::pseudonym::sample_bucket(hidden, &label(name)));
        row.buckets = ["spring", "autumn"].map(bucket).into();
    }
    let subjects = people.len() as u32;
    let meta = PieceMeta {
        dataset: 1,
        block,
        kind: PieceKind::Attributes,
        part: 0,
        version: *next,
        schema_version: 1,
        first: 0,
        subjects,
        rows: subjects,
    };
    let mut columns = Vec::new();
    for (column, (layout, _)) in ATTRIBUTES.iter().enumerate().take(YOUNGEST) {
        let values: Vec<Option<i64>> = people.iter().map(|row| row.attributes[column]).collect();
        columns.push((ColumnKey::of(ColumnId(column as u16)), *layout, encode(*layout, &values)));
    }
    let mut list: Vec<Column<'_>> =
        columns.iter().map(|(key, layout, bytes)| (*key, *layout, bytes.as_slice())).collect();
    list.extend(split_hidden(&hidden));
    *next += 1;
    let attributes = open(dir, *next, &meta, write_piece(&Disk::default(), dir, *next, &meta, &list).unwrap());
    let events = (0..FIELDS.len()).map(|event| write_events(dir, &meta, event, people, next)).collect();
    BlockInput { attributes, events }
}

fn write_events(dir: &Path, base: &PieceMeta, event: usize, people: &[Row], next: &mut u64) -> Vec<Arc<Piece>> {
    let id = EventTypeId(event as u16);
    let mut offsets = vec![0_u32];
    let mut rows: Vec<&EventRow> = Vec::new();
    for person in people {
        rows.extend(person.events.iter().filter(|row| row.event == id));
        offsets.push(rows.len() as u32);
    }
    let times: Vec<u8> = rows.iter().flat_map(|row| row.at.0.to_le_bytes()).collect();
    let fields: Vec<(ColumnId, Layout, Vec<u8>)> = FIELDS[event]
        .iter()
        .enumerate()
        .map(|(column, (layout, _))| {
            let values: Vec<Option<i64>> = rows.iter().map(|row| row.fields[column]).collect();
            (ColumnId(column as u16), *layout, encode(*layout, &values))
        })
        .collect();
    let fields: Vec<(ColumnId, Layout, &[u8])> = fields.iter().map(|(c, l, b)| (*c, *l, b.as_slice())).collect();
    let columns = EventColumns { offsets: &offsets, times: &times, ids: &times, fields: &fields };
    let mut file_no = || {
        *next += 1;
        *next
    };
    // Small pieces, so that busy people span them.
    let written = write_event_pieces_of(2_000, &Disk::default(), dir, &mut file_no, base, id, &columns).unwrap();
    written.into_iter().map(|(file, meta, written)| open(dir, file, &meta, written)).collect()
}

fn world(dice: &mut Dice) -> World {
    let folder = tempfile::tempdir().unwrap();
    let (mut people, mut blocks, mut allowed) = (Vec::new(), Vec::new(), RoaringBitmap::new());
    let mut next = 0;
    for block in [0_u32, 1, 5] {
        let mut rows: Vec<Row> = (0..40 + dice.below(90)).map(|_| person(dice)).collect();
        blocks.push(write_block(folder.path(), block, &mut rows, &mut next));
        people.extend((block * BLOCK_SUBJECTS..).zip(rows));
    }
    for (ordinal, _) in &people {
        if dice.below(4) != 0 {
            allowed.insert(*ordinal);
        }
    }
    World { _folder: folder, people, blocks, allowed }
}

fn test(dice: &mut Dice, (layout, values): (Layout, u64)) -> Test {
    if dice.below(6) == 0 {
        return Test::Missing;
    }
    if layout == Layout::Int64 || dice.below(8) == 0 {
        let min = dice.below(values) as i64 - 20;
        return Test::Range { min, max: min + dice.below(30) as i64 - 2 };
    }
    let mut codes: Vec<u16> = (0..1 + dice.below(20)).map(|_| 1 + dice.below(values) as u16).collect();
    codes.sort_unstable();
    codes.dedup();
    Test::Codes(codes)
}

fn filter(dice: &mut Dice, event: usize, depth: u32) -> EventFilter {
    let parts = |dice: &mut Dice| (0..2).map(|_| filter(dice, event, depth - 1)).collect();
    match dice.below(if depth == 0 { 4 } else { 7 }) {
        0 => EventFilter::Const(dice.below(5) != 0),
        1..4 => {
            let column = dice.below(FIELDS[event].len() as u64) as usize;
            // Identifiers are only ever tested for being there.
            let kind = FIELDS[event][column];
            let test = if kind.0 == Layout::Bytes { Test::Missing } else { test(dice, kind) };
            EventFilter::Field(ColumnId(column as u16), test)
        }
        4 => EventFilter::Not(Box::new(filter(dice, event, depth - 1))),
        5 => EventFilter::All(parts(dice)),
        _ => EventFilter::Any(parts(dice)),
    }
}

fn window(dice: &mut Dice) -> Window {
    // The day of AS_OF.
    let today = 20_254;
    match dice.below(5) {
        0 => Window::Ever,
        1 => Window::Last(Span::Days(1 + dice.below(60) as u32)),
        2 => Window::Since(today - dice.below(90) as i32),
        3 => {
            let from = today - dice.below(90) as i32;
            Window::Dates(from, from + 1 + dice.below(90) as i32)
        }
        _ => Window::Between(Span::Days(40 + dice.below(60) as u32), Span::Hours(1 + dice.below(500) as u32)),
    }
}

fn expr(dice: &mut Dice, depth: u32) -> Expr {
    let parts = |dice: &mut Dice| (0..2 + dice.below(2)).map(|_| expr(dice, depth - 1)).collect();
    match dice.below(if depth == 0 { 7 } else { 12 }) {
        0 => Expr::Const(dice.below(2) == 0),
        1 | 2 => {
            let column = dice.below(ATTRIBUTES.len() as u64) as usize;
            let kind = ATTRIBUTES[column];
            let test = if kind.0 == Layout::Bytes { Test::Missing } else { test(dice, kind) };
            Expr::Attribute(ColumnId(column as u16), test)
        }
        3 | 4 => {
            let event = dice.below(2) as usize;
            let measure = match dice.below(8) {
                0 | 1 => Measure::Count,
                2 if event == 0 => Measure::Sum(ColumnId(1)),
                3 if event == 0 => Measure::Min(ColumnId(1)),
                4 if event == 0 => Measure::Max(ColumnId(1)),
                5 => Measure::DaysSinceLast,
                6 => Measure::DaysSinceFirst,
                7 => Measure::Days,
                _ => Measure::Distinct(ColumnId(dice.below(FIELDS[event].len() as u64) as u16)),
            };
            let if_any = dice.below(4) == 0;
            let min = dice.below(6) as i64 - 1;
            let max = if dice.below(2) == 0 { i64::MAX } else { min + dice.below(9) as i64 };
            let filter = filter(dice, event, 2);
            let (event, window) = (EventTypeId(event as u16), window(dice));
            Expr::Event(EventTest { event, window, filter, measure, if_any, min, max })
        }
        5 => sequence(dice),
        6 => {
            let from = dice.below(9_000) as u16;
            Expr::Sample(Sample { label: label(dice.pick(&["spring", "autumn"])), from, until: from + 1_000 })
        }
        7 => Expr::Not(Box::new(expr(dice, depth - 1))),
        8 | 9 => Expr::All(parts(dice)),
        10 => {
            let parts = (0..3).map(|_| (expr(dice, depth - 1), dice.below(9) as i64 - 3)).collect();
            Expr::Score(Score { parts, min: dice.below(6) as i64 - 2, max: 20 })
        }
        _ => Expr::Any(parts(dice)),
    }
}

fn sequence(dice: &mut Dice) -> Expr {
    let step = |dice: &mut Dice| {
        let event = dice.below(2) as usize;
        let filter = if dice.below(2) == 0 { EventFilter::Const(true) } else { filter(dice, event, 1) };
        Step { event: EventTypeId(event as u16), filter }
    };
    let hours = |dice: &mut Dice| [None, Some(6), Some(24), Some(48), Some(300)][dice.below(5) as usize];
    Expr::Sequence(Sequence {
        steps: (0..1 + dice.below(4)).map(|_| step(dice)).collect(),
        without: (0..dice.below(3)).map(|_| step(dice)).collect(),
        gap_hours: hours(dice),
        within_hours: hours(dice),
        window: window(dice),
    })
}

/// A dimension over events of a type, or over subjects.
fn axis(dice: &mut Dice, event: Option<usize>) -> Axis {
    let (of, cells) = match event {
        Some(event) => event_axis(dice, event),
        None => subject_axis(dice),
    };
    let max_distinct = if event.is_some() { 1 + dice.below(4) as u32 } else { 1 };
    Axis { of, cells, max_distinct }
}

fn event_axis(dice: &mut Dice, event: usize) -> (AxisOf, u32) {
    let id = EventTypeId(event as u16);
    let column = if event == 0 { dice.pick(&[0_usize, 3]) } else { 0 };
    match dice.below(6) {
        0 => {
            let mut days: Vec<i32> = (0..2 + dice.below(5)).map(|_| 20_100 + dice.below(160) as i32).collect();
            days.sort_unstable();
            days.dedup();
            days.push(20_270);
            let cells = days.len() as u32 - 1;
            (AxisOf::Periods(id, days), cells)
        }
        1 => (AxisOf::Hours(id), 24),
        2 => (AxisOf::Weekdays(id), 7),
        _ => {
            let of = AxisOf::Field(FieldRef::EventField(id, ColumnId(column as u16)));
            (of, FIELDS[event][column].1 as u32 + 1)
        }
    }
}

fn subject_axis(dice: &mut Dice) -> (AxisOf, u32) {
    let conditions = |dice: &mut Dice| (0..1 + dice.below(3)).map(|_| expr(dice, 1)).collect::<Vec<_>>();
    match dice.below(8) {
        0 => {
            let steps = conditions(dice);
            let cells = steps.len() as u32 + 1;
            (AxisOf::Steps(steps), cells)
        }
        1 => {
            let flags = conditions(dice);
            let cells = 1 << flags.len();
            (AxisOf::Flags(flags), cells)
        }
        2 => {
            let bands = conditions(dice);
            let cells = bands.len() as u32 + 1;
            (AxisOf::Bands(bands), cells)
        }
        3 => (AxisOf::Bins(ColumnId(3), vec![-10, 0, 7, 25]), 6),
        _ => {
            let column = dice.pick(&[0_usize, 1, 2, 5, YOUNGEST]);
            // Now and then a domain shorter than what is stored: those codes count as missing.
            let cells = ATTRIBUTES[column].1 as u32 + 1 - dice.below(2) as u32;
            (AxisOf::Field(FieldRef::Attribute(ColumnId(column as u16))), cells)
        }
    }
}

/// A table of how long vectors are.
fn norms(dice: &mut Dice) -> TableSpec {
    let event = dice.below(2) as usize;
    let by: Vec<Axis> = (0..dice.below(3))
        .map(|_| {
            let of = dice.below(3) > 0;
            axis(dice, of.then_some(event))
        })
        .collect();
    let mut edges: Vec<u64> = (0..1 + dice.below(6)).map(|_| 1 + dice.below(40)).collect();
    edges.sort_unstable();
    edges.dedup();
    let sum = (event == 0 && dice.below(2) == 0).then_some(ColumnId(1));
    let cells = edges.len() as u32 + 1;
    let norms = Norms { event: EventTypeId(event as u16), sum, by, edges };
    let axis = Axis { of: AxisOf::Norms(Box::new(norms)), cells, max_distinct: 1 };
    TableSpec::people(vec![axis], window(dice))
}

fn table(dice: &mut Dice) -> TableSpec {
    if dice.below(8) == 0 {
        return norms(dice);
    }
    let event = dice.below(2) as usize;
    let id = EventTypeId(event as u16);
    let clip = |dice: &mut Dice| Clip::new(1 + dice.below(30), dice.pick(&[Parts::Two, Parts::Three])).unwrap();
    let count = match dice.below(9) {
        0 => Count::Events(id, clip(dice)),
        1 if event == 0 => Count::Sum(id, ColumnId(1), clip(dice)),
        2 => Count::Value { column: ColumnId(3), center: 5, clip: clip(dice) },
        3 => Count::Present { column: ColumnId(3), clip: clip(dice) },
        4 => Count::Square { column: ColumnId(3), squares: Squares::new(5, 25), clip: clip(dice) },
        _ => Count::People,
    };
    let with_events = !matches!(count, Count::Value { .. } | Count::Present { .. } | Count::Square { .. });
    let shapes: [&[bool]; 9] = [
        &[],
        &[false],
        &[false],
        &[true],
        &[false, false],
        &[false, true],
        &[true, true],
        &[false, false, false],
        &[true, false, true],
    ];
    let shape = dice.pick(&shapes);
    let mut axes: Vec<Axis> =
        shape.iter().filter(|of| with_events || !**of).map(|of| axis(dice, of.then_some(event))).collect();
    if dice.below(2) == 0 {
        axes.reverse();
    }
    let spec = TableSpec { axes, window: window(dice), count, weights: Weights::EVEN };
    // As a question's plan would refuse it.
    if spec.cells() > 65_536 {
        return TableSpec::people(vec![], Window::Ever);
    }
    let weights = weights(dice, spec.cells());
    if dice.below(2) == 0 { spec.weighed(&weights).unwrap_or(spec) } else { spec }
}

/// From an eighth to eight times.
fn weights(dice: &mut Dice, cells: usize) -> Weights {
    let weights: Vec<u16> = (0..cells).map(|_| 8 + dice.below(505) as u16).collect();
    Weights::new(&weights)
}

fn tables(dice: &mut Dice) -> Vec<TableSpec> {
    (0..1 + dice.below(7)).map(|_| table(dice)).collect()
}

/// The code of a person along a dimension over subjects.
fn subject_code(row: &Row, axis: &Axis) -> usize {
    let holds = |expr: &Expr| eval_expr(expr, row, AS_OF, ZONE).unwrap() == Some(true);
    match &axis.of {
        AxisOf::Field(FieldRef::Attribute(column)) => code(row.attributes[usize::from(column.0)], axis),
        AxisOf::Steps(steps) => steps.iter().take_while(|step| holds(step)).count(),
        AxisOf::Flags(flags) => flags.iter().enumerate().map(|(bit, flag)| usize::from(holds(flag)) << bit).sum(),
        AxisOf::Bands(bands) => bands.iter().position(holds).map_or(0, |place| place + 1),
        AxisOf::Bins(column, edges) => row.attributes[usize::from(column.0)]
            .map_or(0, |value| 1 + edges.iter().filter(|edge| **edge <= value).count()),
        _ => unreachable!("over events"),
    }
}

/// The code of an event along a dimension over events; none outside of all periods.
fn event_code(event: &EventRow, axis: &Axis) -> Option<usize> {
    let clock = jiff::Timestamp::from_microsecond(event.at.0).unwrap().in_tz(ZONE).unwrap();
    match &axis.of {
        AxisOf::Field(FieldRef::EventField(_, column)) => Some(code(event.fields[usize::from(column.0)], axis)),
        AxisOf::Periods(_, days) => {
            let day = jiff::civil::date(1970, 1, 1).until(clock.date()).unwrap().get_days();
            days.windows(2).position(|pair| (pair[0]..pair[1]).contains(&day))
        }
        AxisOf::Hours(_) => Some(clock.hour() as usize),
        AxisOf::Weekdays(_) => Some(clock.weekday().to_monday_zero_offset() as usize),
        _ => unreachable!("over subjects"),
    }
}

fn code(value: Option<i64>, axis: &Axis) -> usize {
    value.filter(|code| *code < i64::from(axis.cells)).unwrap_or(0) as usize
}

/// The cell of the length of a member's vector, by the definition.
fn norm_contribution(row: &Row, table: &TableSpec, norms: &Norms) -> Vec<(usize, i64)> {
    let huge = Clip::new(crate::scan::MAX_NORM, Parts::Two).unwrap();
    let count = norms.sum.map_or(Count::Events(norms.event, huge), |sum| Count::Sum(norms.event, sum, huge));
    let vector = TableSpec { axes: norms.by.clone(), count, ..table.clone() };
    // One is one unit where the bound is so large.
    let entries = contribution(row, &vector);
    let squared: u128 = entries.iter().map(|(_, entry)| u128::from(entry.unsigned_abs()).pow(2)).sum();
    let reached = norms.edges.iter().filter(|edge| u128::from(**edge).pow(2) <= squared).count();
    if entries.is_empty() { Vec::new() } else { vec![(reached, UNIT)] }
}

/// The cells one member adds to a table, by the definition.
fn contribution(row: &Row, table: &TableSpec) -> Vec<(usize, i64)> {
    if let [Axis { of: AxisOf::Norms(norms), .. }] = table.axes.as_slice() {
        return norm_contribution(row, table, norms);
    }
    let (from, until) = table.window.resolve(AS_OF, ZONE).unwrap();
    let number = |value: Option<i64>| value.unwrap_or(0);
    let amounts: Vec<(Option<&EventRow>, i64)> = match (table.count, table.event()) {
        (Count::Value { column, center, .. }, _) => {
            vec![(None, row.attributes[usize::from(column.0)].map_or(0, |value| value - center))]
        }
        (Count::Square { column, .. }, _) => {
            // 625 is the square of the farthest.
            vec![(None, row.attributes[usize::from(column.0)].map_or(0, |value| (value - 5).pow(2) - 312))]
        }
        (Count::Present { column, .. }, _) => vec![(None, i64::from(row.attributes[usize::from(column.0)].is_some()))],
        (_, None) => vec![(None, 1)],
        (count, Some(of)) => {
            let counted = row.events.iter().filter(|e| e.event == of && from <= e.at.0 && e.at.0 < until);
            let amount = |event: &EventRow| match count {
                Count::Sum(_, column, _) => number(event.fields[usize::from(column.0)]),
                _ => 1,
            };
            counted.map(|event| (Some(event), amount(event))).collect()
        }
    };
    let mut cells = std::collections::BTreeMap::new();
    for (event, amount) in amounts {
        let place = table.axes.iter().try_fold(0, |place, axis| {
            let code = match (axis.of.event(), event) {
                (Some(_), Some(event)) => event_code(event, axis)?,
                _ => subject_code(row, axis),
            };
            Some(place * axis.cells as usize + code)
        });
        if let Some(place) = place {
            *cells.entry(place).or_insert(0) += amount;
        }
    }
    match table.count {
        Count::People => {
            let bound: f64 = table.axes.iter().map(|axis| f64::from(axis.max_distinct)).product();
            let norm = (cells.len() as f64 / bound).sqrt().max(1.0);
            cells.into_keys().map(|cell| (cell, (UNIT as f64 / norm).floor() as i64)).collect()
        }
        Count::Events(_, clip)
        | Count::Sum(_, _, clip)
        | Count::Present { clip, .. }
        | Count::Value { clip, .. }
        | Count::Square { clip, .. } => {
            let weight = |cell: &usize| table.weights.at(*cell).map_or(1, i64::from);
            cells.iter_mut().for_each(|(cell, v)| *v *= weight(cell));
            let squared: u128 = cells.values().map(|v: &i64| u128::from(v.unsigned_abs()).pow(2)).sum();
            let bits = cells.values().map(|v| 64 - v.unsigned_abs().leading_zeros()).max().unwrap_or(0);
            let shift = 26 - bits;
            let length = (squared << (2 * shift)).isqrt();
            let length = (length + u128::from(length * length < squared << (2 * shift))) as i128;
            let scale = |v: i64| match squared <= u128::from(clip.bound()).pow(2) {
                true => v * clip.per_one() as i64,
                false if squared < 1_024 => v * (u128::from(clip.norm()).pow(2) / squared).isqrt() as i64,
                false => (((i128::from(v) * i128::from(clip.norm())) << shift) / length) as i64,
            };
            cells.into_iter().map(|(cell, v)| (cell, scale(v))).collect()
        }
    }
}

/// The person with the events that count: the first of each type.
fn counted(row: &Row) -> Row {
    let first = |(event, limit): (usize, &u32)| {
        let of_type = row.events.iter().filter(move |e| usize::from(e.event.0) == event);
        of_type.take(*limit as usize).cloned().collect::<Vec<_>>()
    };
    Row {
        attributes: row.attributes.clone(),
        events: LIMITS.iter().enumerate().flat_map(first).collect(),
        buckets: row.buckets.clone(),
    }
}

fn expected(world: &World, universe: &Expr, segment: &Expr, tables: &[TableSpec]) -> (Vec<i64>, RoaringBitmap) {
    let mut cells = vec![0; tables.iter().map(TableSpec::cells).sum()];
    let mut members = RoaringBitmap::new();
    for (ordinal, row) in &world.people {
        let row = &counted(row);
        let holds = |expr| eval_expr(expr, row, AS_OF, ZONE).unwrap() == Some(true);
        if world.allowed.contains(*ordinal) && holds(universe) && holds(segment) {
            members.insert(*ordinal);
            let mut start = 0;
            for table in tables {
                contribution(row, table).iter().for_each(|(cell, units)| cells[start + cell] += units);
                start += table.cells();
            }
        }
    }
    (cells, members)
}

#[test]
fn a_scan_equals_the_definition() {
    let scanner = Scanner::new(2).unwrap();
    let (mut some, mut none) = (0, 0);
    for seed in 1..=6 {
        let mut dice = Dice(seed);
        let world = world(&mut dice);
        let input = ScanInput { blocks: &world.blocks, allowed: &world.allowed };
        for round in 0..60 {
            let universe = if dice.below(2) == 0 { Expr::Const(true) } else { expr(&mut dice, 1) };
            let segment = expr(&mut dice, 3);
            let tables = tables(&mut dice);
            let plan = Plan::new(&universe, &segment, &tables, &LIMITS, AS_OF, ZONE).unwrap();
            let (cells, members) = expected(&world, &universe, &segment, &tables);
            let got = scanner.scan(&plan, &input).unwrap();
            assert_eq!(got.expose(), cells, "seed {seed} round {round}: {segment:?} {tables:?}");
            assert_eq!(scanner.members(&plan, &input).unwrap(), members, "seed {seed} round {round}: {segment:?}");
            if members.is_empty() { none += 1 } else { some += 1 }
        }
    }
    assert!(some > 150 && none > 20, "questions are worth asking: {some} with members, {none} without");
}

#[test]
fn bands_of_one_measure_are_measured_once_and_told_apart() {
    let scanner = Scanner::new(2).unwrap();
    let mut dice = Dice(31);
    let world = world(&mut dice);
    let input = ScanInput { blocks: &world.blocks, allowed: &world.allowed };
    let (mut rounds, mut some) = (0, 0);
    while rounds < 60 {
        let (Expr::Event(one), Expr::Event(other)) = (expr(&mut dice, 0), expr(&mut dice, 0)) else { continue };
        let mut band = |of: &EventTest| {
            let min = dice.below(6) as i64 - 1;
            let max = min + dice.below(4) as i64;
            Expr::Event(EventTest { min, max, if_any: dice.below(4) == 0, ..of.clone() })
        };
        let bands = [band(&one), band(&other), band(&one), band(&one)];
        let [a, b, c, d] = bands.clone();
        let segment = Expr::Any(vec![Expr::All(vec![a, Expr::Not(Box::new(b))]), Expr::All(vec![c, d])]);
        let plan = Plan::new(&Expr::Const(true), &segment, &[], &LIMITS, AS_OF, ZONE).unwrap();
        let measured: usize = plan.events.iter().map(|event| event.tests.len()).sum();
        assert!(measured <= 2, "{bands:?}");
        let (_, members) = expected(&world, &Expr::Const(true), &segment, &[]);
        assert_eq!(scanner.members(&plan, &input).unwrap(), members, "round {rounds}: {bands:?}");
        rounds += 1;
        some += usize::from(!members.is_empty());
    }
    assert!(some > 20, "questions are worth asking: {some} with members");
}

#[test]
fn one_block_can_be_taken_out_and_put_back_changed() {
    let mut dice = Dice(77);
    let world = world(&mut dice);
    let scanner = Scanner::new(2).unwrap();
    let mut fewer = world.allowed.clone();
    fewer.remove_range(BLOCK_SUBJECTS..BLOCK_SUBJECTS + 20);
    let tables: Vec<TableSpec> =
        [None, Some(0)].map(|event| TableSpec::people(vec![axis(&mut dice, event)], Window::Ever)).into();
    let plan = Plan::new(&Expr::Const(true), &Expr::Const(true), &tables, &LIMITS, AS_OF, ZONE).unwrap();
    let scan = |blocks, allowed| scanner.scan(&plan, &ScanInput { blocks, allowed }).unwrap();

    let mut total = scan(&world.blocks, &world.allowed);
    total.subtract(&scan(&world.blocks[1..2], &world.allowed));
    total.add(&scan(&world.blocks[1..2], &fewer));
    assert_eq!(total, scan(&world.blocks, &fewer));
    assert_ne!(total, scan(&world.blocks, &world.allowed));
}

#[test]
fn a_damaged_piece_stops_the_scan_that_reads_it_and_is_named() {
    let mut dice = Dice(5);
    let world = world(&mut dice);
    let damaged = world.blocks[1].attributes.path();
    let mut bytes = std::fs::read(damaged).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(damaged, bytes).unwrap();
    let scanner = Scanner::new(2).unwrap();
    let scan = |segment: &Expr| {
        let plan = Plan::new(&Expr::Const(true), segment, &[], &LIMITS, AS_OF, ZONE).unwrap();
        scanner.scan(&plan, &ScanInput { blocks: &world.blocks, allowed: &world.allowed })
    };
    // The last byte is in the hidden column, which is read for samples only.
    let sample = Expr::Sample(Sample { label: label("spring"), from: 0, until: 10_000 });
    assert!(matches!(scan(&sample), Err(BlockError::Damaged { block: 1, kind: PieceKind::Attributes, .. })));
    assert!(scan(&Expr::Attribute(ColumnId(4), Test::Missing)).is_ok());
}

#[test]
fn no_person_moves_a_partial_by_more_than_the_declared_sensitivity() {
    let scanner = Scanner::new(2).unwrap();
    let (mut pairs, mut tight, mut beyond) = (0, 0, 0);
    for seed in 100..108 {
        let mut dice = Dice(seed);
        let world = world(&mut dice);
        for round in 0..5 {
            let mut tables = tables(&mut dice);
            // Few people are at the bounds of several tables at once.
            tables.truncate(if round < 3 { 1 } else { 7 });
            if round == 0 {
                // What a bound on distinct cells is for, and few of the tables above are.
                let event = dice.below(2) as usize;
                tables = vec![TableSpec::people(vec![axis(&mut dice, Some(event))], Window::Ever)];
            }
            // In how many cells one person counts fully, where it is a matter of that alone.
            let fully = match tables.as_slice() {
                [TableSpec { count: Count::People, axes, .. }] => axes.iter().map(|axis| axis.max_distinct).product(),
                _ => u32::MAX,
            };
            let segment = if dice.below(3) == 0 { expr(&mut dice, 2) } else { Expr::Const(true) };
            let plan = Plan::new(&Expr::Const(true), &segment, &tables, &LIMITS, AS_OF, ZONE).unwrap();
            let declared: u128 = tables.iter().map(TableSpec::norm_squared).sum();
            let with = scanner.scan(&plan, &ScanInput { blocks: &world.blocks, allowed: &world.allowed }).unwrap();
            for ordinal in world.allowed.iter().step_by(3) {
                let mut fewer = world.allowed.clone();
                fewer.remove(ordinal);
                let mut moved = with.clone();
                moved.subtract(&scanner.scan(&plan, &ScanInput { blocks: &world.blocks, allowed: &fewer }).unwrap());
                let norm: u128 = moved.expose().iter().map(|cell| u128::from(cell.unsigned_abs()).pow(2)).sum();
                assert!(norm <= declared, "seed {seed} ordinal {ordinal}: {norm} of {declared}");
                pairs += 1;
                tight += usize::from(norm * 100 >= declared * 99);
                let cells = moved.expose().iter().filter(|cell| **cell != 0).count();
                beyond += usize::from(cells > fully as usize);
            }
        }
    }
    assert!(pairs > 500 && tight > 50, "{pairs} pairs, {tight} at the bound");
    assert!(beyond > 50, "{beyond} in more cells than count fully");
}
