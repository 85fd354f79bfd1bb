//! Bands by released cut points: `band("cutPoints/spend@2") in [4, 5]`.
//!
//! What is cut is a number of a subject: a number or date attribute, a measure of its events, or one of the three of the
//! schema's `[rfm]`. A version of cut points keeps it as text and never changes; each band is the range of that number, so
//! whoever writes the range asks the same question. Of events, who has none that counts is in no band: to cut them into
//! fifths, with all who never bought in the lowest, would tell little of those who did.
//!
//! This knows nothing of how cut points are chosen. They are as public as a segment: from a charged release, never from data.

use super::candidates::candidates;
use super::canonical::Context;
use super::check::{Checker, SegmentError, read};
use super::events::{Measured, measure};
use super::limits;
use super::predicate::{Operator, Scope};
use super::reference::version_of;
use super::render::measured;
use super::rfm::{Bands, is_band};
use super::{EventTest, Expr, Measure, Segment, Test};
use crate::id::CutPointsId;
use crate::schema::number::{format_scaled, parse_scaled};
use crate::schema::{ColumnId, FieldRef, FieldType, Schema};
use crate::time::{format_day, parse_day};
use cel::common::ast::{CallExpr, Expr as Cel, IdedExpr, LiteralValue};

const FORM: &str = "the name and version of cut points would be right, such as `band(\"cutPoints/spend@1\") >= 4`";
const NO_NUMBER: &str = "what is cut is a number or date attribute, a measure such as `order.last(\"365d\").sum(amount)`, \
     or `rfm.recency`, `rfm.frequency` or `rfm.monetary`";

/// Longest text of what is cut, in bytes.
const MAX_NUMBER_BYTES: usize = 4 * 1024;

/// What a version of cut points says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCuts {
    /// What is cut, as text.
    pub number: String,
    /// Where, as written numbers or days, rising.
    pub cuts: Vec<String>,
}

/// What a number is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberKind {
    /// Days since the last or the first event.
    Days,
    /// How often, on how many days, how many different ones.
    Times,
    /// A sum.
    Amount,
    /// A number or a date between public bounds.
    Value,
}

/// A number of a subject that can be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    of: Of,
    written: Written,
    /// Least and greatest.
    bounds: (i64, i64),
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    Attribute(ColumnId),
    /// Bounds of no meaning.
    Events(EventTest),
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// With so many digits after the mark.
    Number(u8),
    Day,
}

impl Number {
    /// Reads what is to be cut. A field that is not visible gives the error of one that does not exist.
    pub fn read(text: &str, schema: &Schema, visible: &dyn Fn(FieldRef) -> bool) -> Result<Self, SegmentError> {
        let (tree, source) = read(text)?;
        let checker = Checker { text, source: &source, schema, visible, references: None };
        let number = number(&checker, &tree)?;
        // As large as an expression that compares it, and short enough to be kept and read again.
        let fits = limits::check(&number.between(1, 1), limits::WRITTEN);
        fits.map_err(|problem| checker.error(&tree, problem))?;
        if number.text.len() > MAX_NUMBER_BYTES {
            let problem = format!("written out, what is cut is at most {MAX_NUMBER_BYTES} bytes of text");
            return Err(checker.error(&tree, problem));
        }
        Ok(number)
    }

    /// A measure of events, of those who have some.
    pub(super) fn of_events(test: EventTest, schema: &Schema) -> Self {
        let filter = Context::of(schema).filter(test.event, &test.filter);
        let test = EventTest { if_any: !test.measure.may_be_unknown(), filter, ..test };
        let field = test.measure.field().map(|column| FieldRef::EventField(test.event, column));
        let ty = field.and_then(|field| schema.field(field)).map(|field| &field.ty);
        let (written, bounds) = match (test.measure, ty) {
            (Measure::Sum(_), Some(ty)) => (Written::Number(ty.scale()), test.measure.bounds()),
            (Measure::Min(_) | Measure::Max(_), Some(ty)) => {
                (Written::of(ty), ty.bounds().unwrap_or(test.measure.bounds()))
            }
            _ => (Written::Number(0), test.measure.bounds()),
        };
        Self { text: measured(&test, schema), of: Of::Events(test), written, bounds }
    }

    /// Returns the text that says it, whatever becomes of the schema's `[rfm]`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns what it is like.
    pub fn kind(&self) -> NumberKind {
        match &self.of {
            Of::Attribute(_) => NumberKind::Value,
            Of::Events(test) => match test.measure {
                Measure::DaysSinceLast | Measure::DaysSinceFirst => NumberKind::Days,
                Measure::Count | Measure::Days | Measure::Distinct(_) => NumberKind::Times,
                Measure::Sum(_) => NumberKind::Amount,
                Measure::Min(_) | Measure::Max(_) => NumberKind::Value,
            },
        }
    }

    /// Says whether the lowest numbers are in the last band: of days since the last event.
    pub fn fewest_is_last(&self) -> bool {
        matches!(&self.of, Of::Events(test) if test.measure == Measure::DaysSinceLast)
    }

    /// Writes a cut as people and the language do, without quotes.
    pub fn show(&self, cut: i64) -> String {
        match self.written {
            Written::Number(scale) => format_scaled(cut, scale),
            Written::Day => i32::try_from(cut).ok().and_then(format_day).unwrap_or_else(|| format!("day {cut}")),
        }
    }

    /// Reads what [`Number::show`] writes; `None` for what is none.
    pub fn units(&self, text: &str) -> Option<i64> {
        match self.written {
            Written::Number(scale) => parse_scaled(text, scale).ok(),
            Written::Day => parse_day(text).map(i64::from),
        }
    }

    /// Returns where it may be cut, from public facts alone: at most [`super::MAX_CANDIDATES`] rising numbers from `from` to
    /// `to`, by default between public bounds, or where such numbers usually are, as fine as so many bands want them. `None` where
    /// that is no range of it: the first not above the second, and above 0 for sizes; within public bounds, where it has such.
    pub fn candidates(&self, from: Option<i64>, to: Option<i64>, bands: u32) -> Option<Vec<i64>> {
        let one = match self.written {
            Written::Number(scale) => 10_i64.checked_pow(scale.into())?,
            Written::Day => 1,
        };
        let usual = match self.kind() {
            NumberKind::Days => (1, 7_300),
            NumberKind::Times => (2, 10_000),
            NumberKind::Amount => (one, one.checked_mul(100_000)?),
            // The lowest would cut nothing off.
            NumberKind::Value => (self.bounds.0.saturating_add(1), self.bounds.1),
        };
        let (mut from, mut to) = (from.unwrap_or(usual.0), to.unwrap_or(usual.1));
        if self.kind() == NumberKind::Value {
            (from, to) = (from.max(usual.0), to.min(usual.1));
        }
        candidates(self.kind(), (from, to), bands)
    }

    /// Returns the segments of the bands between rising cuts, band 1 first.
    pub fn bands(&self, cuts: &[i64], schema: &Schema) -> Vec<Segment> {
        let bounds = self.bounds_of_bands(cuts).into_iter();
        bounds.map(|(min, max)| Segment::from_expr(self.between(min, max), schema)).collect()
    }

    /// Returns least and greatest of each band, band 1 first: a cut begins the next band, except of days since the last
    /// event, whose cuts are the last days of theirs.
    pub(super) fn bounds_of_bands(&self, cuts: &[i64]) -> Vec<(i64, i64)> {
        let (low, high) = self.bounds;
        let first = i64::from(self.fewest_is_last());
        let firsts = std::iter::once(low).chain(cuts.iter().map(|cut| cut.saturating_add(first)));
        let lasts = cuts.iter().map(|cut| cut.saturating_add(first - 1)).chain([high]);
        let mut bounds: Vec<(i64, i64)> = firsts.zip(lasts).collect();
        if self.fewest_is_last() {
            bounds.reverse();
        }
        bounds
    }

    pub(super) fn between(&self, min: i64, max: i64) -> Expr {
        match &self.of {
            Of::Attribute(column) => Expr::Attribute(*column, Test::Range { min, max }),
            Of::Events(test) => Expr::Event(EventTest { min, max, ..test.clone() }),
        }
    }
}

impl Written {
    fn of(ty: &FieldType) -> Self {
        if matches!(ty, FieldType::Date { .. }) { Self::Day } else { Self::Number(ty.scale()) }
    }
}

/// Checks an expression that is a number.
fn number(checker: &Checker<'_>, at: &IdedExpr) -> Result<Number, SegmentError> {
    match &at.expr {
        Cel::Ident(name) => {
            let field = checker.field(at, name, &Scope::Subject)?;
            let bounds = field.ty.bounds().ok_or_else(|| checker.error(at, NO_NUMBER))?;
            let (of, written) = (Of::Attribute(field.column), Written::of(&field.ty));
            Ok(Number { of, written, bounds, text: field.name.to_string() })
        }
        Cel::Call(call) if call.target.is_some() => {
            let measured: Measured<'_> = measure(checker, at)?;
            Ok(Number::of_events(measured.event_test(1, 0), checker.schema))
        }
        Cel::Select(select) if is_band(select) => Ok(super::rfm::number(checker, at, select)?.0),
        _ => Err(checker.error(at, NO_NUMBER)),
    }
}

/// Checks `band("cutPoints/name@1") operator literal`.
pub(super) fn comparison(
    checker: &Checker<'_>,
    at: &IdedExpr,
    call: &CallExpr,
    operator: Operator,
    literal: &IdedExpr,
) -> Result<Expr, SegmentError> {
    bands(checker, at, call)?.map_or(Ok(STANDS_FOR), |bands| bands.compared(checker, operator, literal))
}

/// Checks `band("cutPoints/name@1") in [..]`.
pub(super) fn membership(
    checker: &Checker<'_>,
    at: &IdedExpr,
    call: &CallExpr,
    literals: &[IdedExpr],
) -> Result<Expr, SegmentError> {
    bands(checker, at, call)?.map_or(Ok(STANDS_FOR), |bands| bands.among(checker, literals))
}

/// Any test that is one node by itself stands for a band as written.
const STANDS_FOR: Expr = Expr::Attribute(ColumnId(0), Test::Missing);

/// Finds the bands that a call names; `None` as written.
fn bands(checker: &Checker<'_>, at: &IdedExpr, call: &CallExpr) -> Result<Option<Bands>, SegmentError> {
    let [IdedExpr { expr: Cel::Literal(LiteralValue::String(written)), .. }] = call.args.as_slice() else {
        return Err(checker.error(at, FORM));
    };
    let name = written.inner();
    let parts = name.strip_prefix("cutPoints/").and_then(|rest| rest.split_once('@'));
    let parts = parts.and_then(|(id, version)| Some((CutPointsId::new(id).ok()?, version_of(version)?)));
    let (id, version) = parts.ok_or_else(|| checker.error(at, FORM))?;
    let Some(references) = checker.references else { return Ok(None) };
    let stored = references.cut_points(&id, version);
    let found = stored.and_then(|stored| cut(checker, &stored, name));
    // Whatever is wrong with them, cut points that this caller can't use do not exist for them.
    found.map(Some).ok_or_else(|| checker.unavailable(at, "band", "", Vec::new()))
}

fn cut(checker: &Checker<'_>, StoredCuts { number, cuts }: &StoredCuts, name: &str) -> Option<Bands> {
    let of = Number::read(number, checker.schema, checker.visible).ok()?;
    let cuts: Option<Vec<i64>> = cuts.iter().map(|cut| of.units(cut)).collect();
    let cuts = cuts.filter(|cuts| cuts.is_sorted_by(|a, b| a < b))?;
    Some(Bands { bounds: of.bounds_of_bands(&cuts), of, name: name.to_owned() })
}
