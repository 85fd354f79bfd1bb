//! A synthetic dataset, sealed like a real one under throw-away keys, to measure scans with.
//!
//! Holds random codes and nobody's data, so its answers are drawn without a permit or a charge. It goes through the
//! same writer, reader, kernel and mechanism as a real dataset; only where the keys come from differs.

use crate::blocks::{
    self, BLOCK_SUBJECTS, BlockError, Column, ColumnKey, EventColumns, Piece, PieceKind, PieceMeta, Written,
};
use crate::disk::Disk;
use crate::release::{self, By, DrawError, Kind, Measure, PlanError, Question, Table};
use crate::scan::{self, BlockInput, NoThreads, Partial, ScanInput, Scanner};
use policy::privacy::NanoRho;
use policy::schema::{ColumnId, EventTypeId, FieldRef, Layout, Schema, SchemaError};
use policy::segment::{Expr, Segment, Span, Test, Window, WindowError};
use policy::time::Timestamp;
use rayon::prelude::*;
use roaring::RoaringBitmap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a rehearsal failed.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// A piece could not be written or read.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The folder could not be made.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// No scan threads.
    #[error(transparent)]
    Threads(#[from] NoThreads),
    /// The synthetic schema is wrong.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The portrait has no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The time zone is unknown.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// Nothing was drawn.
    #[error(transparent)]
    Draw(#[from] DrawError),
}

/// A synthetic dataset and a question about half of its subjects.
#[derive(Debug)]
pub struct Rehearsal {
    blocks: Vec<BlockInput>,
    allowed: RoaringBitmap,
    scanner: Scanner,
    plan: release::Plan,
    scan: scan::Plan,
}

/// How large a synthetic dataset is.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Subjects.
    pub subjects: u32,
    /// Coded attributes, at least 1.
    pub fields: u16,
    /// Values of each attribute and of the event field, drawn evenly.
    pub values: u8,
    /// Events of each subject, spread evenly over the last 100 days, with one coded field.
    pub events: u32,
}

const DATASET: u32 = 1;
const AS_OF: Timestamp = Timestamp::from_seconds(1_750_000_000);
const DAY_MICROS: i64 = 86_400_000_000;
/// How many distinct values of the event field count fully.
const MAX_DISTINCT: u8 = 5;
/// Mean of the amount of an event.
const MEAN_CENTS: u64 = 5_000;

impl Rehearsal {
    /// Writes sealed blocks under `folder` and plans a portrait of all attributes, over those with the lower half of the
    /// first one's values.
    pub fn portrait(folder: &Path, shape: &Shape, threads: usize) -> Result<Self, RehearsalError> {
        let fields = (1..=shape.fields).map(|column| FieldRef::Attribute(ColumnId(column))).collect();
        Self::build(folder, shape, threads, Kind::Portrait { fields, window: Window::Ever })
    }

    /// Writes sealed blocks under `folder` and plans how many of the same half had an event with each value within 90
    /// days, clipped subject by subject.
    pub fn breakdown(folder: &Path, shape: &Shape, threads: usize) -> Result<Self, RehearsalError> {
        let by = vec![FieldRef::EventField(EventTypeId(0), ColumnId(0))];
        Self::build(folder, shape, threads, Kind::Breakdown { by, window: Window::Last(Span::Days(90)) })
    }

    /// Writes sealed blocks under `folder` and plans how many events of everyone have each value, and the sum of their
    /// amounts, each subject's vectors clipped to the norms of an eager customer.
    pub fn sums(folder: &Path, shape: &Shape, threads: usize) -> Result<Self, RehearsalError> {
        let event = EventTypeId(0);
        let bound = u64::from(shape.events.max(1));
        let measures = vec![
            Measure::Events { event, bound },
            Measure::Sum { field: FieldRef::EventField(event, ColumnId(1)), bound: bound * MEAN_CENTS },
        ];
        let by = vec![By::Field(FieldRef::EventField(event, ColumnId(0)))];
        Self::build_over(folder, shape, threads, Kind::Table { measures, by, window: Window::Ever }, Expr::Const(true))
    }

    fn build(folder: &Path, shape: &Shape, threads: usize, kind: Kind) -> Result<Self, RehearsalError> {
        let half = Expr::Attribute(ColumnId(1), Test::Codes((1..=u16::from(shape.values) / 2).collect()));
        Self::build_over(folder, shape, threads, kind, half)
    }

    fn build_over(
        folder: &Path,
        shape: &Shape,
        threads: usize,
        kind: Kind,
        segment: Expr,
    ) -> Result<Self, RehearsalError> {
        let schema = schema(shape)?;
        let dir = folder.join("blocks").join(format!("{DATASET:08x}"));
        let disk = Disk::default();
        disk.create_folder(&dir)?;
        let numbers: Vec<u32> = (0..shape.subjects.div_ceil(BLOCK_SUBJECTS)).collect();
        let files = AtomicU64::new(1);
        let writer = Writer { disk: &disk, folder, dir: &dir, files: &files, shape };
        let blocks = numbers.par_iter().map(|block| writer.block(*block)).collect::<Result<Vec<_>, _>>()?;
        disk.sync_folder(&dir)?;
        let question = Question {
            dataset: schema.dataset.clone(),
            universe: Segment::everyone(),
            segment: Segment::from_expr(segment, &schema),
            kind,
            rho: NanoRho(10_000_000),
        };
        let plan = release::plan(&schema, &question)?;
        let scan = plan.scan(&question.universe, &question.segment, AS_OF, &schema.time_zone)?;
        let allowed = (0..shape.subjects).collect();
        Ok(Self { blocks, allowed, scanner: Scanner::new(threads)?, plan, scan })
    }

    /// Opens, checks and counts everything.
    pub fn scan(&self) -> Result<Partial, RehearsalError> {
        Ok(self.scanner.scan(&self.scan, &ScanInput { blocks: &self.blocks, allowed: &self.allowed })?)
    }

    /// Adds noise.
    pub fn draw(&self, partial: &Partial) -> Result<Vec<Table>, RehearsalError> {
        Ok(self.plan.lay_out(&release::draw(&self.plan, partial)?))
    }
}

fn schema(shape: &Shape) -> Result<Schema, SchemaError> {
    let mut text = String::from(
        "version = 1\ndataset = \"rehearsal\"\norganization = \"nobody\"\ntime_zone = \"UTC\"\nsubject_key = \"key\"\n\
         purposes = [\"marketing.portrait\"]\n\
         [[attributes]]\nname = \"key\"\nclass = \"identifier\"\ntype = \"identifier\"\nmax_bytes = 8\n",
    );
    let domain: Vec<String> = (1..=shape.values).map(|value| format!("\"v{value}\"")).collect();
    let domain = domain.join(", ");
    for field in 1..=shape.fields {
        text += &format!(
            "[[attributes]]\nname = \"c{field}\"\nclass = \"behavioral\"\ntype = \"enum\"\ndomain = [{domain}]\n"
        );
    }
    let most = MAX_DISTINCT.min(shape.values);
    text += &format!(
        "[[events]]\nname = \"order\"\nmax_per_subject = 100\n[[events.fields]]\nname = \"category\"\n\
         class = \"behavioral\"\ntype = \"enum\"\ndomain = [{domain}]\nmax_distinct = {most}\n\
         [[events.fields]]\nname = \"amount\"\nclass = \"behavioral\"\ntype = \"decimal\"\nscale = 2\nmin = \"0\"\n\
         max = \"100\"\n"
    );
    policy::schema::parse(&text)
}

struct Writer<'a> {
    disk: &'a Disk,
    folder: &'a Path,
    dir: &'a Path,
    files: &'a AtomicU64,
    shape: &'a Shape,
}

impl Writer<'_> {
    fn block(&self, block: u32) -> Result<BlockInput, BlockError> {
        let subjects = (self.shape.subjects - block * BLOCK_SUBJECTS).min(BLOCK_SUBJECTS);
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
        let events = if self.shape.events > 0 { vec![self.events(&meta, &mut random)?] } else { Vec::new() };
        Ok(BlockInput { attributes, events })
    }

    fn attributes(&self, meta: &PieceMeta, random: &mut Mixer) -> Result<Arc<Piece>, BlockError> {
        let rows = meta.rows as usize;
        let codes: Vec<Vec<u8>> =
            (0..self.shape.fields).map(|_| (0..rows).map(|_| random.code(self.shape.values)).collect()).collect();
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

    fn events(&self, meta: &PieceMeta, random: &mut Mixer) -> Result<Vec<Arc<Piece>>, BlockError> {
        let each = self.shape.events;
        let offsets: Vec<u32> = (0..=meta.subjects).map(|subject| subject * each).collect();
        let rows = meta.subjects * each;
        let step = 100 * DAY_MICROS / i64::from(each.max(1));
        let age = |row: u32| step * i64::from(each - row % each);
        let times: Vec<u8> = (0..rows).flat_map(|row| (AS_OF.0 - age(row)).to_le_bytes()).collect();
        let ids: Vec<u8> = (0..u64::from(rows)).flat_map(u64::to_le_bytes).collect();
        let codes: Vec<u8> = (0..rows).map(|_| random.code(self.shape.values)).collect();
        let cents: Vec<u8> =
            (0..rows).flat_map(|_| (i64::from(random.code(100)) * 2 * MEAN_CENTS as i64 / 100).to_le_bytes()).collect();
        let fields = [(ColumnId(0), Layout::Code8, codes.as_slice()), (ColumnId(1), Layout::Int64, cents.as_slice())];
        let columns = EventColumns { offsets: &offsets, times: &times, ids: &ids, fields: &fields };
        let mut file_no = || self.files.fetch_add(1, Ordering::Relaxed);
        let written = blocks::write_event_pieces(self.disk, self.dir, &mut file_no, meta, EventTypeId(0), &columns)?;
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// All noise below, with certainty for practical purposes: at rho 0.01 a cell's is 10 standard deviations of at most
    /// 18 people.
    const NOISE: i64 = 180 * scan::UNIT;

    #[test]
    fn a_portrait_counts_half_of_the_subjects_in_every_field() {
        let folder = tempfile::tempdir().unwrap();
        let shape = Shape { subjects: 9_000, fields: 3, values: 4, events: 0 };
        let rehearsal = Rehearsal::portrait(folder.path(), &shape, 2).unwrap();
        let tables = rehearsal.draw(&rehearsal.scan().unwrap()).unwrap();
        assert_eq!(tables.iter().map(|table| table.cells.len()).collect::<Vec<_>>(), [5, 5, 5]);
        for table in tables {
            let total: i64 = table.cells.iter().map(|cell| cell.noised).sum();
            // Values are drawn evenly: 250 people are five standard deviations of half of them.
            assert!((total - 4_500 * scan::UNIT).abs() < 5 * NOISE + 250 * scan::UNIT, "{total}");
        }
    }

    #[test]
    fn sums_add_up_to_what_everyone_spent() {
        let folder = tempfile::tempdir().unwrap();
        let shape = Shape { subjects: 9_000, fields: 1, values: 4, events: 10 };
        let rehearsal = Rehearsal::sums(folder.path(), &shape, 2).unwrap();
        let tables = rehearsal.draw(&rehearsal.scan().unwrap()).unwrap();
        let total = |table: &Table| table.cells.iter().map(|cell| cell.noised).sum::<i64>() / scan::UNIT;
        let [events, sums] = tables.as_slice() else { unreachable!("two tables") };
        // Sigma of a cell is 100 events, and so the fifth part of a hundredth of all; nobody's norm is above the bound.
        assert!((total(events) - 90_000).abs() < 5_000, "{}", total(events));
        assert!((total(sums) - 90_000 * 5_050).abs() < 45_000_000, "{}", total(sums));
    }

    #[test]
    fn a_breakdown_counts_each_value_that_a_subject_had() {
        let folder = tempfile::tempdir().unwrap();
        let shape = Shape { subjects: 9_000, fields: 1, values: 2, events: 20 };
        let rehearsal = Rehearsal::breakdown(folder.path(), &shape, 2).unwrap();
        let tables = rehearsal.draw(&rehearsal.scan().unwrap()).unwrap();
        // With 20 events of two values nearly everyone has both.
        let cells: Vec<i64> = tables.iter().flat_map(|table| &table.cells).map(|cell| cell.noised).collect();
        assert_eq!(cells.len(), 3);
        assert!(
            cells.iter().skip(1).all(|cell| (cell - 4_500 * scan::UNIT).abs() < NOISE + 250 * scan::UNIT),
            "{cells:?}"
        );
    }
}
