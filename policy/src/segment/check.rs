//! CEL text -> [`Segment`]: reads the text with the CEL grammar and checks every part against the schema.
//!
//! What a segment may say:
//! ```text
//! age_band == "25-34"   age_band in ["25-34", "35-44"]   region != "unknown"          enum
//! household >= 2        2 < household                    household in [1, 2]          integer
//! score <= 7.25         joined < "2024-01-31"                                         decimal, date
//! newsletter            !newsletter                      newsletter == true           bool
//! missing(age_band)     known(age_band)                                               any of these
//! a && b   a || b   !a   (a)   true   false
//!
//! order.any()           order.count() >= 2               order.days() >= 2
//! order.where(category == "ceramics" && amount > 5.00).sum(amount) > 500.00           integer, decimal
//! order.distinct(category) >= 2                                                       any field
//! order.min(amount) >= 5.00                              order.max(due) < "2024-07-01"        integer, decimal, date
//! order.days_since_last() <= 30                          order.days_since_first() > 365
//! order.if_any().sum(amount) < 50.00
//! order.last("30d").any()       order.between("90d", "30d").any()
//! order.since("2024-01-01").any()                        order.dates("2024-01-01", "2024-04-01").any()
//!
//! sequence(view, order.where(items > 2)).within("3d")
//! sequence(view).without(order).within("3d").last("30d")
//! sequence(view, view, view).gap("1d").last("90d")
//!
//! rfm.recency in [4, 5]         rfm.frequency == 5               rfm.monetary >= 4
//! band("cutPoints/spend@2") in [4, 5]
//! score(order.last("30d").any(), 10, newsletter, 2, region == "north", -5) >= 12
//! sample("spring-mail", 0, 5000)
//! segment("segments/lovers@3")
//! ```
//! Missing is unknown. A test of a missing value is unknown, `!` of unknown is unknown, and unknown is not a member.
//! - **Windows** are half-open, and nothing from the epoch's end, `as_of`, on counts. `last("30d")` begins 30 calendar days
//!   before `as_of`, at the same time of day in the dataset's zone; `"12h"` is exact; `since` and `dates` are whole days of
//!   that zone, and the second day of `dates` does not count any more.
//! - **Measures**: `days()` counts distinct calendar days in the zone. `min` and `max` are unknown when no event that
//!   counts has a value, `days_since_last()` and `days_since_first()` when there is no event. These are the length of the
//!   shortest window `last("..d")` that the event is in, so at least 1: `order.days_since_last() <= 30` is
//!   `order.last("30d").any()` for whoever has an order. `if_any()` makes any other measure unknown when no event counts.
//! - **Sequences** are of 1 to 5 events at strictly increasing times, all in the window. `gap`: each less than this after
//!   the one before. `within`: the last less than this after the first. Both are exact, a day 24 hours. `without`, as often
//!   as needed: no such event after the first one, for as long as `within` says, else until `as_of`. A time that is not over
//!   at `as_of` is judged by what has happened: whoever put something into the cart an hour ago, and did not order yet, has
//!   left it for now. Never unknown. A sequence of one step needs a `without`.
//! - **RFM**: the bands of the schema's `[rfm]`, from 1, the most valuable last. Unknown for who has no such event.
//! - **Bands** of released cut points, in a version that never changes: from 1, the highest last, except of days since the
//!   last event, where the fewest are last. Unknown where the number is, and for who has no such event.
//! - **Scores**: the points of all conditions that are true are added; what is unknown adds nothing. Never unknown.
//! - **Samples**: everyone is in one of 10,000 buckets of each label, in every epoch in the same, and `sample` says in which
//!   ones: from the first to before the second. Never unknown. Buckets of two labels have nothing to do with each other.
//! - **References** name a version, which never changes, and stand for what it says: its expression, and its universe if it
//!   has one. The fields of both count as named.
//! - **Limits**: 64 tests and joins, nested 8 deep, as written, where a reference is one test; 256 and 16 with everything
//!   that is referred to, through at most 8 levels.
//!
//! Guarantees: errors give a line, a column and what would be right, and never repeat the text of the segment, which
//! may hold a personal value; they name schema fields the caller may see. A field that is not visible gives the error
//! of one that does not exist, and so does a segment. Decimals are read from their written digits, never through a float.

use super::events::event_test;
use super::limits;
use super::predicate::{Scope, comparison, membership, presence, truth, written_number};
use super::reference::{Find, References, reference};
use super::scan::scan;
use super::sequence;
use super::{EventFilter, Expr, SAMPLE_BUCKETS, Sample, Segment};
use crate::id::{SampleLabel, SegmentId};
use crate::schema::{Field, FieldRef, Schema};
use cel::common::ast::{CallExpr, Expr as Cel, IdedExpr, LiteralValue, SourceInfo, operators};

/// Longest text of a segment, in bytes.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;
/// Longest canonical text, with everything that is referred to, in bytes.
pub const MAX_CANONICAL_BYTES: usize = 64 * 1024;
/// Nesting the reader accepts; the first look allows less.
const MAX_RECURSION: u16 = 64;

/// What sort of refusal: a wrong expression, or a field the caller cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentErrorKind {
    /// The text is not a segment over this schema.
    ExpressionInvalid,
    /// A field or event does not exist, or is not visible to the caller.
    FieldUnavailable,
}

/// Why a segment was refused: where in the text (1-based line and column) and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct SegmentError {
    line: u32,
    column: u32,
    problem: String,
    kind: SegmentErrorKind,
}

impl SegmentError {
    /// Returns the line, from 1.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Returns the column in characters, from 1.
    pub fn column(&self) -> u32 {
        self.column
    }

    /// Returns what is wrong and what would be right.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Returns what sort of refusal this is.
    pub fn kind(&self) -> SegmentErrorKind {
        self.kind
    }
}

/// Parses and checks a segment that refers to no other against a schema. `visible` says which fields the caller may know
/// of: a field that is not visible gives the very error of one that does not exist.
pub fn parse(text: &str, schema: &Schema, visible: &dyn Fn(FieldRef) -> bool) -> Result<Segment, SegmentError> {
    parse_with(text, schema, visible, &|_: &SegmentId, _| None)
}

/// Parses and checks a segment that may refer to stored ones and to cut points, which `find` finds. A segment that does not exist and one
/// over a field that is not visible give the same error.
pub fn parse_with(
    text: &str,
    schema: &Schema,
    visible: &dyn Fn(FieldRef) -> bool,
    find: &dyn Find,
) -> Result<Segment, SegmentError> {
    let (tree, source) = read(text)?;
    let written = Checker { text, source: &source, schema, visible, references: None };
    let root = written.condition(&tree, &Scope::Subject)?;
    limits::check(&root, limits::WRITTEN).map_err(invalid)?;
    let references = References::new(find);
    let checker = Checker { references: Some(&references), ..written };
    let root =
        checker.condition(&tree, &Scope::Subject).map_err(|error| references.too_many().map_or(error, invalid))?;
    limits::check(&root, limits::EXPANDED).map_err(invalid)?;
    let segment = Segment::from_expr(root, schema);
    let most = if references.are_none() { MAX_TEXT_BYTES } else { MAX_CANONICAL_BYTES };
    if segment.canonical().len() > most {
        return Err(invalid(format!("written out, with what it names, it is at most {most} bytes of text")));
    }
    Ok(segment)
}

fn invalid(problem: String) -> SegmentError {
    SegmentError { line: 1, column: 1, problem, kind: SegmentErrorKind::ExpressionInvalid }
}

/// Returns the 1-based line and column of a byte offset.
fn position(text: &str, at: usize) -> (u32, u32) {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// Reads a text with the grammar.
pub(super) fn read(text: &str) -> Result<(IdedExpr, SourceInfo), SegmentError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(invalid(format!("a segment is at most {MAX_TEXT_BYTES} bytes of text")));
    }
    if text.trim().is_empty() {
        return Err(invalid("empty; `true` is everyone".into()));
    }
    scan(text).map_err(|(at, problem)| {
        let (line, column) = position(text, at);
        SegmentError { line, column, problem: problem.into(), kind: SegmentErrorKind::ExpressionInvalid }
    })?;
    let parser = cel::parser::Parser::new().max_recursion_depth(MAX_RECURSION).error_recovery_limit(1);
    parser.parse_with_source_info(text).map_err(|errors| {
        let (line, column) = errors.errors.first().map_or((0, 0), |error| error.pos);
        let known = u32::try_from(line).ok().zip(u32::try_from(column).ok()).filter(|(line, _)| *line > 0);
        let (line, column) = known.unwrap_or((1, 1));
        let problem = "this cannot be read; a segment is made of comparisons such as `field == \"value\"`, joined by \
                       `&&`, `||`, `!` and closed brackets, with texts in double quotes";
        SegmentError { line, column, problem: problem.into(), kind: SegmentErrorKind::ExpressionInvalid }
    })
}

/// What the check of one text needs.
#[derive(Clone, Copy)]
pub(super) struct Checker<'a> {
    pub(super) text: &'a str,
    pub(super) source: &'a SourceInfo,
    pub(super) schema: &'a Schema,
    pub(super) visible: &'a dyn Fn(FieldRef) -> bool,
    /// Where stored segments come from; without, a reference stands for itself, as one test.
    pub(super) references: Option<&'a References<'a>>,
}

impl<'a> Checker<'a> {
    /// Builds an error at a node.
    pub(super) fn error(&self, at: &IdedExpr, problem: impl Into<String>) -> SegmentError {
        let (line, column) = self.position(at);
        SegmentError { line, column, problem: problem.into(), kind: SegmentErrorKind::ExpressionInvalid }
    }

    /// Builds the one error for fields and events that do not exist or are not visible; `near` are names the caller
    /// may see.
    pub(super) fn unavailable(&self, at: &IdedExpr, what: &str, written: &str, near: Vec<&str>) -> SegmentError {
        let (line, column) = self.position(at);
        let hint = nearest(written, near).map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        let problem = format!("no {what} of this name is available{hint}");
        SegmentError { line, column, problem, kind: SegmentErrorKind::FieldUnavailable }
    }

    /// Returns the 1-based line and column of a node. Offsets of the reader are bytes; a member call's is its bracket.
    fn position(&self, at: &IdedExpr) -> (u32, u32) {
        let (start, _) = self.source.offset_for(at.id).unwrap_or((0, 0));
        let mut before = self.text.get(..start as usize).unwrap_or_default();
        if let Cel::Call(call) = &at.expr {
            before = before.strip_suffix(call.func_name.as_str()).unwrap_or(before);
        }
        position(self.text, before.len())
    }

    /// Returns the written form of a literal.
    pub(super) fn lexeme(&self, at: &IdedExpr) -> Option<&'a str> {
        let (start, stop) = self.source.offset_for(at.id)?;
        self.text.get(start as usize..=stop as usize)
    }

    /// Finds a field by its name in scope.
    pub(super) fn field(&self, at: &IdedExpr, name: &str, scope: &Scope<'a>) -> Result<&'a Field, SegmentError> {
        let (fields, what): (&'a [Field], _) = match scope {
            Scope::Subject => (&self.schema.attributes, "attribute"),
            Scope::Event(event) => (&event.fields, "event field"),
        };
        let seen = |field: &&Field| (self.visible)(scope.reference(field.column));
        match fields.iter().find(|field| field.name.as_str() == name).filter(seen) {
            Some(field) => Ok(field),
            None => {
                let near = fields.iter().filter(seen).map(|field| field.name.as_str()).collect();
                Err(self.unavailable(at, what, name, near))
            }
        }
    }

    /// Finds an event type by its name.
    pub(super) fn event(&self, at: &IdedExpr, name: &str) -> Result<&'a crate::schema::EventType, SegmentError> {
        let seen = |event: &&crate::schema::EventType| (self.visible)(FieldRef::Event(event.id));
        match self.schema.event(name).filter(|event| seen(event)) {
            Some(event) => Ok(event),
            None => {
                let near = self.schema.events.iter().filter(seen).map(|event| event.name.as_str()).collect();
                Err(self.unavailable(at, "event", name, near))
            }
        }
    }

    /// Checks a condition on a subject or, within `where`, on an event.
    pub(super) fn condition(&self, at: &IdedExpr, scope: &Scope<'a>) -> Result<Expr, SegmentError> {
        match &at.expr {
            Cel::Literal(LiteralValue::Boolean(value)) => Ok(Expr::Const(*value.inner())),
            Cel::Ident(name) => truth(self, at, self.field(at, name, scope)?),
            Cel::Call(call) => self.call(at, call, scope),
            Cel::Comprehension(_) => Err(self.error(
                at,
                "macros such as `has`, `all` and `exists` are not part of it; `known(field)` tests presence",
            )),
            Cel::Select(_) => Err(self.error(at, NOT_A_PATH)),
            _ => Err(self.error(at, "this is a value; a condition would be right, such as `field == \"value\"`")),
        }
    }

    fn call(&self, at: &IdedExpr, call: &CallExpr, scope: &Scope<'a>) -> Result<Expr, SegmentError> {
        match (call.func_name.as_str(), call.target.is_some(), call.args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, false, [_, _]) => {
                let mut parts = Vec::new();
                self.operands(at, &call.func_name, scope, &mut parts)?;
                Ok(if call.func_name == operators::LOGICAL_AND { Expr::All(parts) } else { Expr::Any(parts) })
            }
            (operators::LOGICAL_NOT, false, [inner]) => Ok(Expr::Not(Box::new(self.condition(inner, scope)?))),
            (operators::IN, false, [left, right]) => membership(self, at, left, right, scope),
            (operator, false, [left, right]) if operator.starts_with('_') => {
                comparison(self, at, operator, left, right, scope)
            }
            ("missing" | "known", false, [inner]) => presence(self, inner, call.func_name == "missing", scope),
            (_, _, _) if matches!(scope, Scope::Subject) && sequence::head(at).is_some() => {
                sequence::sequence(self, at)
            }
            (_, true, _) if matches!(scope, Scope::Subject) => event_test(self, at),
            ("sample", false, arguments) if matches!(scope, Scope::Subject) => self.sample(at, arguments),
            ("score", false, _) if matches!(scope, Scope::Subject) => {
                Err(self
                    .error(at, "compare `score` with a number, such as `score(order.any(), 10, newsletter, 2) >= 12`"))
            }
            ("band", false, _) if matches!(scope, Scope::Subject) => {
                Err(self.error(at, "compare `band` with a number, such as `band(\"cutPoints/spend@1\") >= 4`"))
            }
            ("sequence" | "sample" | "score" | "segment" | "band", false, _) if !matches!(scope, Scope::Subject) => {
                Err(self.error(at, "a `where` tests fields of its own event only"))
            }
            ("segment", false, arguments) => reference(self, at, arguments),
            (_, true, _) => Err(self.error(at, "a `where` tests fields of its own event only")),
            _ => Err(self.error(at, NOT_A_CONDITION)),
        }
    }

    /// Collects the operands of a chain of one operator.
    fn operands(
        &self,
        at: &IdedExpr,
        operator: &str,
        scope: &Scope<'a>,
        into: &mut Vec<Expr>,
    ) -> Result<(), SegmentError> {
        match &at.expr {
            Cel::Call(call) if call.func_name == operator && call.target.is_none() => {
                call.args.iter().try_for_each(|part| self.operands(part, operator, scope, into))
            }
            _ => {
                into.push(self.condition(at, scope)?);
                Ok(())
            }
        }
    }

    /// Checks `sample("label", from, until)`.
    fn sample(&self, at: &IdedExpr, arguments: &[IdedExpr]) -> Result<Expr, SegmentError> {
        let [label, from, until] = arguments else { return Err(self.error(at, SAMPLE)) };
        let Cel::Literal(LiteralValue::String(text)) = &label.expr else { return Err(self.error(label, SAMPLE)) };
        let name = SampleLabel::new(text.inner()).map_err(|problem| self.error(label, problem.to_string()))?;
        let bucket = |at: &IdedExpr| {
            let number = written_number(self, at, 0, "sample")?;
            let bucket = u16::try_from(number).ok().filter(|bucket| *bucket <= SAMPLE_BUCKETS);
            bucket.ok_or_else(|| self.error(at, "buckets of a sample are from 0 to 10000"))
        };
        let (from, end) = (bucket(from)?, bucket(until)?);
        if from >= end {
            return Err(
                self.error(until, "the second bucket is above the first, and the first that is not in the sample")
            );
        }
        Ok(Expr::Sample(Sample { label: name, from, until: end }))
    }

    /// Checks the argument of a `where`.
    pub(super) fn filter(&self, at: &IdedExpr, scope: &Scope<'a>) -> Result<EventFilter, SegmentError> {
        Ok(super::canonical::lower(self.condition(at, scope)?))
    }
}

pub(super) const NOT_A_PATH: &str = "not available; attributes stand alone (`age_band`), event fields stand within `where(..)`, \
     `sum(..)` or `distinct(..)`";
const SAMPLE: &str =
    "a label and two buckets out of 10000 would be right, such as `sample(\"spring-mail\", 0, 5000)` for one half";
const NOT_A_CONDITION: &str = "this is no condition; right would be a comparison (`==`, `!=`, `<`, `<=`, `>`, `>=`, `in`), `missing(field)`, \
     `known(field)`, `&&`, `||`, `!`, or an event test such as `order.last(\"30d\").any()`";

/// Finds the visible name within two edits of what was written.
fn nearest<'n>(written: &str, names: Vec<&'n str>) -> Option<&'n str> {
    if written.len() > 63 {
        return None;
    }
    names
        .into_iter()
        .map(|name| (edits(written, name), name))
        .filter(|(n, name)| *n <= 2 && *n < name.len())
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein distance.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, a) in left.chars().enumerate() {
        let mut next = vec![at + 1];
        for ((b, up_left), up) in right.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or(0);
            next.push((up_left + usize::from(a != *b)).min(up + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
