//! A synthetic dataset, sealed like a real one under throw-away keys, to measure scans with.
//!
//! Holds random codes and nobody's data, or records that its caller has in the clear anyway ([`Records`]), so its answers
//! are drawn without a permit or a charge. It goes through the same writer, reader, kernel and mechanism as a real
//! dataset; only where the keys come from differs, and no dataset of a vault can become one.

mod write;

use crate::blocks::{BLOCK_SUBJECTS, BlockError};
use crate::disk::Disk;
use crate::release::{self, By, DrawError, Kind, Measure, PlanError, Question, Table};
use crate::scan::{self, BlockInput, NoThreads, Partial, ScanInput, Scanner};
use policy::privacy::NanoRho;
use policy::schema::{ColumnId, EventTypeId, FieldRef, Schema, SchemaError};
use policy::segment::{Expr, Segment, SegmentError, Span, Test, Window, WindowError};
use policy::time::Timestamp;
use rayon::prelude::*;
use roaring::RoaringBitmap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use write::{Source, Writer};

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
    /// A segment is wrong.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// Nothing was drawn.
    #[error(transparent)]
    Draw(#[from] DrawError),
}

/// A synthetic dataset and a question about it.
#[derive(Debug)]
pub struct Rehearsal {
    schema: Schema,
    blocks: Vec<BlockInput>,
    allowed: RoaringBitmap,
    scanner: Scanner,
    asked: Asked,
    plan: release::Plan,
    scan: scan::Plan,
    /// Those with the lower half of the first attribute's values.
    half: Expr,
}

/// A question and its plan, before any pilot.
#[derive(Debug)]
struct Asked {
    question: Question,
    plan: release::Plan,
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

/// Made-up or published events to rehearse with, of one type.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// Coded fields of an event, at least 1.
    pub fields: u16,
    /// Values of each.
    pub values: u8,
    /// By subject, all its events. At most `u32::MAX` subjects.
    pub subjects: Vec<Vec<Record>>,
}

/// An event.
#[derive(Debug, Clone)]
pub struct Record {
    /// By field: its value, from 1; as many as there are fields.
    pub codes: Vec<u8>,
    /// Its amount.
    pub cents: i64,
}

/// The one type of events.
pub const EVENT: EventTypeId = EventTypeId(0);

const DATASET: u32 = 1;
const AS_OF: Timestamp = Timestamp::from_seconds(1_750_000_000);
const DAY_MICROS: i64 = 86_400_000_000;
/// How many distinct values of an event field count fully.
const MAX_DISTINCT: u8 = 5;
/// Mean of the amount of an event.
const MEAN_CENTS: u64 = 5_000;
/// What a question costs unless it says so.
const RHO: NanoRho = NanoRho(10_000_000);

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
        let by = vec![Self::category(0)];
        Self::build(folder, shape, threads, Kind::Breakdown { by, window: Window::Last(Span::Days(90)) })
    }

    /// Writes sealed blocks under `folder` and plans how many events of everyone have each value, and the sum of their
    /// amounts, each subject's vectors clipped to the norms of an eager customer.
    pub fn sums(folder: &Path, shape: &Shape, threads: usize) -> Result<Self, RehearsalError> {
        let bound = u64::from(shape.events.max(1));
        let measures = vec![
            Measure::Events { event: EVENT, bound },
            Measure::Sum { field: Self::amount(1), bound: bound * MEAN_CENTS },
        ];
        let kind =
            Kind::Table { measures, by: vec![By::Field(Self::category(0))], window: Window::Ever, weighed: false };
        Self::build_over(folder, &Source::Random(shape), threads, kind, Expr::Const(true))
    }

    /// Writes sealed blocks of records under `folder` and plans how many subjects there are; [`Rehearsal::ask`] plans
    /// something else.
    pub fn of_records(folder: &Path, records: &Records, threads: usize) -> Result<Self, RehearsalError> {
        Self::build_over(folder, &Source::Given(records), threads, Kind::Size, Expr::Const(true))
    }

    /// Returns a coded field of an event, counted from 0.
    pub fn category(field: u16) -> FieldRef {
        FieldRef::EventField(EVENT, ColumnId(field))
    }

    /// Returns the amount of an event that has so many coded fields, in cents: 0 to 10,000 in random ones.
    pub fn amount(fields: u16) -> FieldRef {
        FieldRef::EventField(EVENT, ColumnId(fields))
    }

    fn build(folder: &Path, shape: &Shape, threads: usize, kind: Kind) -> Result<Self, RehearsalError> {
        Self::build_over(folder, &Source::Random(shape), threads, kind, half(shape.values))
    }

    fn build_over(
        folder: &Path,
        source: &Source<'_>,
        threads: usize,
        kind: Kind,
        segment: Expr,
    ) -> Result<Self, RehearsalError> {
        let schema = schema(source)?;
        let dir = folder.join("blocks").join(format!("{DATASET:08x}"));
        let disk = Disk::default();
        disk.create_folder(&dir)?;
        let subjects = source.subjects();
        let numbers: Vec<u32> = (0..subjects.div_ceil(BLOCK_SUBJECTS)).collect();
        let files = AtomicU64::new(1);
        let writer = Writer { disk: &disk, folder, dir: &dir, files: &files, source };
        let blocks = numbers.par_iter().map(|block| writer.block(*block)).collect::<Result<Vec<_>, _>>()?;
        disk.sync_folder(&dir)?;
        let (asked, scan) = planned(&schema, kind, segment, RHO)?;
        let plan = asked.plan.clone();
        let (allowed, scanner) = ((0..subjects).collect(), Scanner::new(threads)?);
        Ok(Self { schema, blocks, allowed, scanner, asked, plan, scan, half: half(source.attributes().1) })
    }

    /// Plans another question, about everyone, at a price.
    pub fn ask(&mut self, kind: Kind, rho: NanoRho) -> Result<(), RehearsalError> {
        self.ask_about(kind, Expr::Const(true), rho)
    }

    /// Plans another question, about those with the lower half of the first attribute's values, at a price.
    pub fn ask_of_half(&mut self, kind: Kind, rho: NanoRho) -> Result<(), RehearsalError> {
        self.ask_about(kind, self.half.clone(), rho)
    }

    fn ask_about(&mut self, kind: Kind, segment: Expr, rho: NanoRho) -> Result<(), RehearsalError> {
        (self.asked, self.scan) = planned(&self.schema, kind, segment, rho)?;
        self.plan = self.asked.plan.clone();
        Ok(())
    }

    /// Reads a segment in the language of segments, over `c1`.. and the events `order`.
    pub fn segment(&self, text: &str) -> Result<Segment, RehearsalError> {
        Ok(policy::segment::parse(text, &self.schema, &|_| true)?)
    }

    /// Returns so many weeks that end with the last day, as days since 1970 at which they begin and end.
    pub fn weeks(weeks: i32) -> Vec<i32> {
        let end = i32::try_from(AS_OF.0 / DAY_MICROS).unwrap_or(0);
        (0..=weeks).map(|week| end - 7 * (weeks - week)).collect()
    }

    /// Opens, checks and counts everything.
    pub fn scan(&self) -> Result<Partial, RehearsalError> {
        Ok(self.scanner.scan(&self.scan, &ScanInput { blocks: &self.blocks, allowed: &self.allowed })?)
    }

    /// Draws the pilot of the question, if it has one, so that the next scan and draw are weighed by it.
    pub fn weigh(&mut self) -> Result<(), RehearsalError> {
        let Asked { question, plan } = &self.asked;
        let Some(pilot) = plan.pilot() else { return Ok(()) };
        let scan =
            |plan: &release::Plan| plan.scan(&question.universe, &question.segment, AS_OF, &self.schema.time_zone);
        let scanned = scan(pilot)?;
        let partial = self.scanner.scan(&scanned, &ScanInput { blocks: &self.blocks, allowed: &self.allowed })?;
        let weights = release::weigh(pilot, &release::draw(pilot, &partial)?);
        if let Some(plan) = plan.weighed(&weights) {
            (self.scan, self.plan) = (scan(&plan)?, plan);
        }
        Ok(())
    }

    /// Adds noise.
    pub fn draw(&self, partial: &Partial) -> Result<Vec<Table>, RehearsalError> {
        Ok(self.plan.lay_out(&release::draw(&self.plan, partial)?))
    }
}

fn half(values: u8) -> Expr {
    Expr::Attribute(ColumnId(1), Test::Codes((1..=u16::from(values) / 2).collect()))
}

fn planned(schema: &Schema, kind: Kind, segment: Expr, rho: NanoRho) -> Result<(Asked, scan::Plan), RehearsalError> {
    let question = Question {
        dataset: schema.dataset.clone(),
        universe: Segment::everyone(),
        segment: Segment::from_expr(segment, schema),
        kind,
        rho,
    };
    let plan = release::plan(schema, &question)?;
    let scan = plan.scan(&question.universe, &question.segment, AS_OF, &schema.time_zone)?;
    Ok((Asked { question, plan }, scan))
}

fn schema(source: &Source<'_>) -> Result<Schema, SchemaError> {
    let (attributes, fields, values, most_events) = match source {
        Source::Random(shape) => (shape.fields, 1, shape.values, 100),
        Source::Given(records) => (1, records.fields, records.values, 1_000_000),
    };
    let domain: Vec<String> = (1..=values).map(|value| format!("\"v{value}\"")).collect();
    let domain = domain.join(", ");
    let mut text = String::from(
        "version = 1\ndataset = \"rehearsal\"\norganization = \"nobody\"\ntime_zone = \"UTC\"\nsubject_key = \"key\"\n\
         purposes = [\"marketing.portrait\"]\n\
         [[attributes]]\nname = \"key\"\nclass = \"identifier\"\ntype = \"identifier\"\nmax_bytes = 8\n",
    );
    for field in 1..=attributes {
        text += &format!(
            "[[attributes]]\nname = \"c{field}\"\nclass = \"behavioral\"\ntype = \"enum\"\ndomain = [{domain}]\n"
        );
    }
    text += &format!("[[events]]\nname = \"order\"\nmax_per_subject = {most_events}\n");
    let most = MAX_DISTINCT.min(values);
    for field in 0..fields {
        text += &format!(
            "[[events.fields]]\nname = \"category{field}\"\nclass = \"behavioral\"\ntype = \"enum\"\n\
             domain = [{domain}]\nmax_distinct = {most}\n"
        );
    }
    text += "[[events.fields]]\nname = \"amount\"\nclass = \"behavioral\"\ntype = \"decimal\"\nscale = 2\nmin = \"0\"\n\
             max = \"1000\"\n";
    policy::schema::parse(&text)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
