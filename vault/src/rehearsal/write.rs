//! Where the rows come from, and how they are sealed.

use super::{AS_OF, DATASET, DAY_MICROS, EVENT, MEAN_CENTS, Record, Records, Shape};
use crate::blocks::{
    self, BLOCK_SUBJECTS, BlockError, Column, ColumnKey, EventColumns, Piece, PieceKind, PieceMeta, Written,
};
use crate::disk::Disk;
use crate::scan::BlockInput;
use policy::schema::{ColumnId, Layout};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where rows come from.
pub(super) enum Source<'a> {
    /// Drawn as they are written.
    Random(&'a Shape),
    /// The caller's.
    Given(&'a Records),
}

impl Source<'_> {
    pub(super) fn subjects(&self) -> u32 {
        match self {
            Self::Random(shape) => shape.subjects,
            Self::Given(records) => u32::try_from(records.subjects.len()).unwrap_or(u32::MAX),
        }
    }

    /// Returns how many attributes there are and how many values of each.
    pub(super) fn attributes(&self) -> (u16, u8) {
        match self {
            Self::Random(shape) => (shape.fields, shape.values),
            Self::Given(records) => (1, records.values),
        }
    }
}

/// The events of a block, as columns.
struct EventRows {
    offsets: Vec<u32>,
    times: Vec<u8>,
    /// By field.
    codes: Vec<Vec<u8>>,
    cents: Vec<u8>,
}

impl EventRows {
    fn random(shape: &Shape, subjects: u32, random: &mut Mixer) -> Self {
        let each = shape.events;
        let rows = subjects * each;
        let step = 100 * DAY_MICROS / i64::from(each.max(1));
        let age = |row: u32| step * i64::from(each - row % each);
        let amount = |random: &mut Mixer| i64::from(random.code(100)) * 2 * MEAN_CENTS as i64 / 100;
        Self {
            offsets: (0..=subjects).map(|subject| subject * each).collect(),
            times: (0..rows).flat_map(|row| (AS_OF.0 - age(row)).to_le_bytes()).collect(),
            codes: vec![(0..rows).map(|_| random.code(shape.values)).collect()],
            cents: (0..rows).flat_map(|_| amount(random).to_le_bytes()).collect(),
        }
    }

    /// All are a day old: none of the questions is about times.
    fn given(fields: u16, subjects: &[Vec<Record>]) -> Self {
        let mut offsets = vec![0];
        let ends = subjects.iter().scan(0_u32, |end, records| {
            *end += u32::try_from(records.len()).unwrap_or(0);
            Some(*end)
        });
        offsets.extend(ends);
        let records = || subjects.iter().flatten();
        let code = |record: &Record, field: u16| record.codes.get(usize::from(field)).copied().unwrap_or(0);
        Self {
            offsets,
            times: records().flat_map(|_| (AS_OF.0 - DAY_MICROS).to_le_bytes()).collect(),
            codes: (0..fields).map(|field| records().map(|record| code(record, field)).collect()).collect(),
            cents: records().flat_map(|record| record.cents.to_le_bytes()).collect(),
        }
    }
}

pub(super) struct Writer<'a> {
    pub(super) disk: &'a Disk,
    pub(super) folder: &'a Path,
    pub(super) dir: &'a Path,
    pub(super) files: &'a AtomicU64,
    pub(super) source: &'a Source<'a>,
}

impl Writer<'_> {
    pub(super) fn block(&self, block: u32) -> Result<BlockInput, BlockError> {
        let first = block * BLOCK_SUBJECTS;
        let subjects = (self.source.subjects() - first).min(BLOCK_SUBJECTS);
        let meta = PieceMeta {
            dataset: DATASET,
            block,
            kind: PieceKind::Attributes,
            part: 0,
            version: 1,
            schema_version: 1,
            first: 0,
            subjects,
            rows: subjects,
        };
        let mut random = Mixer(u64::from(block) << 32);
        let attributes = self.attributes(&meta, &mut random)?;
        let rows = match self.source {
            Source::Random(shape) if shape.events == 0 => return Ok(BlockInput { attributes, events: Vec::new() }),
            Source::Random(shape) => EventRows::random(shape, subjects, &mut random),
            Source::Given(records) => {
                let range = first as usize..(first + subjects) as usize;
                EventRows::given(records.fields, records.subjects.get(range).unwrap_or_default())
            }
        };
        Ok(BlockInput { attributes, events: vec![self.events(&meta, &rows)?] })
    }

    fn attributes(&self, meta: &PieceMeta, random: &mut Mixer) -> Result<Arc<Piece>, BlockError> {
        let rows = meta.rows as usize;
        let (fields, values) = self.source.attributes();
        let codes: Vec<Vec<u8>> = (0..fields).map(|_| (0..rows).map(|_| random.code(values)).collect()).collect();
        let keys = blocks::encode_bytes((0..meta.rows).map(|_| b"nobody".as_slice())).unwrap_or_default();
        let hidden: Vec<[u8; blocks::HIDDEN_BYTES]> =
            (0..rows).map(|_| std::array::from_fn(|_| random.code(u8::MAX))).collect();
        let mut columns: Vec<Column<'_>> = (1..)
            .map(|column| ColumnKey::of(ColumnId(column)))
            .zip(&codes)
            .map(|(key, codes)| (key, Layout::Code8, codes.as_slice()))
            .collect();
        columns.push((ColumnKey::of(ColumnId(0)), Layout::Bytes, &keys));
        columns.extend(blocks::split_hidden(&hidden));
        let file_no = self.files.fetch_add(1, Ordering::Relaxed);
        let written = blocks::write_piece(self.disk, self.dir, file_no, meta, &columns)?;
        self.open(file_no, meta, written)
    }

    fn events(&self, meta: &PieceMeta, rows: &EventRows) -> Result<Vec<Arc<Piece>>, BlockError> {
        let ids: Vec<u8> = (0..rows.times.len() as u64 / 8).flat_map(u64::to_le_bytes).collect();
        let mut fields: Vec<(ColumnId, Layout, &[u8])> =
            (0..).map(ColumnId).zip(&rows.codes).map(|(id, codes)| (id, Layout::Code8, codes.as_slice())).collect();
        let amount = ColumnId(u16::try_from(rows.codes.len()).unwrap_or(u16::MAX));
        fields.push((amount, Layout::Int64, &rows.cents));
        let columns = EventColumns { offsets: &rows.offsets, times: &rows.times, ids: &ids, fields: &fields };
        let mut file_no = || self.files.fetch_add(1, Ordering::Relaxed);
        let written = blocks::write_event_pieces(self.disk, self.dir, &mut file_no, meta, EVENT, &columns)?;
        written.into_iter().map(|(file, meta, written)| self.open(file, &meta, written)).collect()
    }

    fn open(&self, file_no: u64, meta: &PieceMeta, written: Written) -> Result<Arc<Piece>, BlockError> {
        let path = blocks::piece_path(self.folder, DATASET, file_no);
        Piece::open(&path, written.key, meta).map(Arc::new)
    }
}

/// Even pseudo-random codes (splitmix64); the data is nobody's, so it need not be unpredictable.
struct Mixer(u64);

impl Mixer {
    fn code(&mut self, values: u8) -> u8 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let high = mixed >> 40;
        u8::try_from(high % u64::from(values.max(1))).unwrap_or(0).saturating_add(1)
    }
}
