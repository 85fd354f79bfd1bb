//! CEL text -> [`Segment`]: reads the text with the CEL grammar and checks every part against the schema.
//!
//! What a segment may say:
//! ```text
//! age_band == "25-34"   age_band in ["25-34", "35-44"]   region != "unknown"          enum
//! household >= 2        2 < household                    household in [1, 2]          integer
//! score <= 7.25         joined < "2024-01-31"                                         decimal, date
//! newsletter            !newsletter                      newsletter == true           bool
//! missing(age_band)     known(age_band)                                               any of these
//! order.any()           order.last("30d").count() >= 2   order.between("90d", "30d").any()
//! order.last("90d").where(category == "ceramics" && amount > 5.00).sum(amount) > 500.00
//! order.distinct(category) >= 2
//! a && b   a || b   !a   (a)   true   false
//! ```
//! Guarantees: errors give a line, a column and what would be right, and never repeat the text of the segment, which
//! may hold a personal value; they name schema fields the caller may see. A field that is not visible gives the error
//! of one that does not exist. Decimals are read from their written digits, never through a float.
//! Not here yet: `sequence`, `rfm` and `segment` references, which are refused as such.

use super::events::event_test;
use super::limits;
use super::predicate::{Scope, comparison, membership, presence, truth};
use super::scan::scan;
use super::{EventFilter, Expr, Segment};
use crate::schema::{Field, FieldRef, Schema};
use cel::common::ast::{CallExpr, Expr as Cel, IdedExpr, LiteralValue, SourceInfo, operators};

/// Longest text of a segment, in bytes.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;
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

/// Parses and checks a segment against a schema. `visible` says which fields the caller may know of: a field that is
/// not visible gives the very error of one that does not exist.
pub fn parse(text: &str, schema: &Schema, visible: &dyn Fn(FieldRef) -> bool) -> Result<Segment, SegmentError> {
    let invalid =
        |problem: String| SegmentError { line: 1, column: 1, problem, kind: SegmentErrorKind::ExpressionInvalid };
    let too_long = || invalid(format!("a segment is at most {MAX_TEXT_BYTES} bytes of text"));
    if text.len() > MAX_TEXT_BYTES {
        return Err(too_long());
    }
    if text.trim().is_empty() {
        return Err(invalid("empty; `true` is everyone".into()));
    }
    scan(text).map_err(|(at, problem)| {
        let (line, column) = position(text, at);
        SegmentError { line, column, problem: problem.into(), kind: SegmentErrorKind::ExpressionInvalid }
    })?;
    let (tree, source) = read(text)?;
    let checker = Checker { text, source, schema, visible };
    let root = checker.condition(&tree, &Scope::Subject)?;
    limits::check(&root).map_err(invalid)?;
    let segment = Segment::from_expr(root, schema);
    if segment.canonical().len() > MAX_TEXT_BYTES {
        return Err(too_long());
    }
    Ok(segment)
}

/// Returns the 1-based line and column of a byte offset.
fn position(text: &str, at: usize) -> (u32, u32) {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

fn read(text: &str) -> Result<(IdedExpr, SourceInfo), SegmentError> {
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
pub(super) struct Checker<'a> {
    text: &'a str,
    source: SourceInfo,
    pub(super) schema: &'a Schema,
    visible: &'a dyn Fn(FieldRef) -> bool,
}

impl<'a> Checker<'a> {
    /// Builds an error at a node.
    pub(super) fn error(&self, at: &IdedExpr, problem: impl Into<String>) -> SegmentError {
        let (line, column) = self.position(at);
        SegmentError { line, column, problem: problem.into(), kind: SegmentErrorKind::ExpressionInvalid }
    }

    /// Builds the one error for fields and events that do not exist or are not visible; `near` are names the caller
    /// may see.
    fn unavailable(&self, at: &IdedExpr, what: &str, written: &str, near: Vec<&str>) -> SegmentError {
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
            ("sequence" | "segment", false, _) | ("without" | "within", true, _) => {
                Err(self.error(at, "not available yet: `sequence`, `rfm` and `segment` references"))
            }
            (_, true, _) if matches!(scope, Scope::Subject) => event_test(self, at),
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

    /// Checks the argument of a `where`.
    pub(super) fn filter(&self, at: &IdedExpr, scope: &Scope<'a>) -> Result<EventFilter, SegmentError> {
        Ok(super::canonical::lower(self.condition(at, scope)?))
    }
}

pub(super) const NOT_A_PATH: &str = "not available; attributes stand alone (`age_band`), event fields stand within `where(..)`, \
     `sum(..)` or `distinct(..)`";
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
