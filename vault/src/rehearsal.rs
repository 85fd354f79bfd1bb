//! A synthetic dataset, sealed like a real one under throw-away keys, to measure scans with.
//!
//! Holds random codes and nobody's data, so its portraits are drawn without a permit or a charge. It goes through the
//! same writer, reader, kernel and mechanism as a real dataset; only where the keys come from differs.

use crate::blocks::{self, BLOCK_SUBJECTS, BlockError, Column, ColumnKey, Piece, PieceKind, PieceMeta};
use crate::release::{self, DrawError, Kind, PlanError, Question, Table};
use crate::scan::{self, BlockInput, NoThreads, Partial, ScanInput, Scanner};
use policy::privacy::NanoRho;
use policy::schema::{ColumnId, FieldRef, Layout, Schema, SchemaError};
use policy::segment::{Expr, Segment, Test, Window, WindowError};
use policy::time::Timestamp;
use rayon::prelude::*;
use roaring::RoaringBitmap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

/// The synthetic dataset and a portrait of half of it.
#[derive(Debug)]
pub struct Rehearsal {
    blocks: Vec<BlockInput>,
    allowed: RoaringBitmap,
    scanner: Scanner,
    plan: release::Plan,
    scan: scan::Plan,
}

const DATASET: u32 = 1;
const AS_OF: Timestamp = Timestamp::from_seconds(1_750_000_000);

impl Rehearsal {
    /// Writes `subjects` with `fields` coded attributes of `values` values each, drawn evenly, as sealed blocks under
    /// `folder`, and plans a portrait of all fields over those with the lower half of the first field's values.
    pub fn build(
        folder: &Path,
        subjects: u32,
        fields: u16,
        values: u8,
        threads: usize,
    ) -> Result<Self, RehearsalError> {
        let schema = schema(fields, values)?;
        let dir: PathBuf = folder.join("blocks").join(format!("{DATASET:08x}"));
        std::fs::create_dir_all(&dir)?;
        let numbers: Vec<u32> = (0..subjects.div_ceil(BLOCK_SUBJECTS)).collect();
        let write = |block: &u32| {
            let count = (subjects - block * BLOCK_SUBJECTS).min(BLOCK_SUBJECTS);
            write_block(folder, &dir, *block, count, fields, values)
        };
        let blocks = numbers.par_iter().map(write).collect::<Result<Vec<_>, _>>()?;
        blocks::sync_dir(&dir)?;
        let by = (1..=fields).map(|column| FieldRef::Attribute(ColumnId(column))).collect();
        let half = Expr::Attribute(ColumnId(1), Test::Codes((1..=u16::from(values) / 2).collect()));
        let question = Question {
            dataset: schema.dataset.clone(),
            universe: Segment::everyone(),
            segment: Segment::from_expr(half, &schema),
            kind: Kind::Portrait { fields: by, window: Window::Ever },
            rho: NanoRho(10_000_000),
        };
        let plan = release::plan(&schema, &question)?;
        let scan = plan.scan(&question.universe, &question.segment, AS_OF, &schema.time_zone)?;
        let allowed = (0..subjects).collect();
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

fn schema(fields: u16, values: u8) -> Result<Schema, SchemaError> {
    let mut text = String::from(
        "version = 1\ndataset = \"rehearsal\"\norganization = \"nobody\"\ntime_zone = \"UTC\"\nsubject_key = \"key\"\n\
         purposes = [\"marketing.portrait\"]\n\
         [[attributes]]\nname = \"key\"\nclass = \"identifier\"\ntype = \"identifier\"\nmax_bytes = 8\n",
    );
    let domain: Vec<String> = (1..=values).map(|value| format!("\"v{value}\"")).collect();
    for field in 1..=fields {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "[[attributes]]\nname = \"c{field}\"\nclass = \"behavioral\"\ntype = \"enum\"\ndomain = [{}]\n",
            domain.join(", ")
        );
    }
    policy::schema::parse(&text)
}

fn write_block(
    folder: &Path,
    dir: &Path,
    block: u32,
    subjects: u32,
    fields: u16,
    values: u8,
) -> Result<BlockInput, BlockError> {
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
    let codes: Vec<Vec<u8>> = (0..fields).map(|_| (0..subjects).map(|_| random.code(values)).collect()).collect();
    let keys = blocks::encode_bytes((0..subjects).map(|_| b"nobody".as_slice())).unwrap_or_default();
    let hidden: Vec<u8> = (0..subjects as usize * blocks::HIDDEN_BYTES).map(|_| random.code(u8::MAX)).collect();
    let mut columns: Vec<Column<'_>> = (1..)
        .map(|column| ColumnKey::of(ColumnId(column)))
        .zip(&codes)
        .map(|(key, codes)| (key, Layout::Code8, codes.as_slice()))
        .collect();
    columns.push((ColumnKey::of(ColumnId(0)), Layout::Bytes, &keys));
    columns.push((ColumnKey::HIDDEN, Layout::Bytes, &hidden));
    let file_no = u64::from(block) + 1;
    let written = blocks::write_piece(dir, file_no, &meta, &columns)?;
    let piece = Piece::open(&blocks::piece_path(folder, DATASET, file_no), written.key, &meta)?;
    Ok(BlockInput { attributes: Arc::new(piece), events: Vec::new() })
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
