//! References to stored segments: `segment("segments/name@3")`.

use super::check::{Checker, SegmentError, read};
use super::cut_points::StoredCuts;
use super::predicate::Scope;
use super::{Expr, Test};
use crate::id::{CutPointsId, SegmentId};
use crate::schema::ColumnId;
use cel::common::ast::{Expr as Cel, IdedExpr, LiteralValue};
use std::cell::Cell;

/// Most references within references.
const MAX_LEVELS: usize = 8;
/// Most references in all, repeated ones included: reading them is work.
const MAX_REFERENCES: usize = 64;

const FORM: &str = "the name and version of a stored segment would be right, such as `segment(\"segments/lovers@3\")`";
const UNPINNED: &str = "name a version, such as `segment(\"segments/lovers@3\")`: without one, the same words would mean other people \
     as soon as somebody changes that segment";

/// What a stored segment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its expression.
    pub cel: String,
    /// Who could be in it: an expression; empty is everyone.
    pub universe: String,
}

/// Where what a text refers to is kept; `None` where the caller has none of that name and version.
pub trait Find {
    /// Finds a version of a stored segment.
    fn segment(&self, id: &SegmentId, version: u32) -> Option<Stored>;

    /// Finds a version of cut points.
    fn cut_points(&self, id: &CutPointsId, version: u32) -> Option<StoredCuts>;
}

/// Segments alone.
impl<F: Fn(&SegmentId, u32) -> Option<Stored>> Find for F {
    fn segment(&self, id: &SegmentId, version: u32) -> Option<Stored> {
        self(id, version)
    }

    fn cut_points(&self, _: &CutPointsId, _: u32) -> Option<StoredCuts> {
        None
    }
}

/// Stored segments and cut points, and how many of them were read for one text.
pub(super) struct References<'a> {
    find: &'a dyn Find,
    level: Cell<usize>,
    read: Cell<usize>,
    too_many: Cell<bool>,
}

impl<'a> References<'a> {
    pub(super) fn new(find: &'a dyn Find) -> Self {
        Self { find, level: Cell::new(0), read: Cell::new(0), too_many: Cell::new(false) }
    }

    /// Says whether none was read.
    pub(super) fn are_none(&self) -> bool {
        self.read.get() == 0
    }

    /// Returns what is wrong if a text referred to too many.
    pub(super) fn too_many(&self) -> Option<String> {
        let problem =
            format!("it names segments or cut points, at most {MAX_LEVELS} levels and {MAX_REFERENCES} in all");
        self.too_many.get().then_some(problem)
    }

    fn enter(&self) -> bool {
        self.level.set(self.level.get() + 1);
        self.read.set(self.read.get() + 1);
        let fits = self.level.get() <= MAX_LEVELS && self.read.get() <= MAX_REFERENCES;
        self.too_many.set(self.too_many.get() || !fits);
        fits
    }

    /// Finds cut points, as one more of what is read.
    pub(super) fn cut_points(&self, id: &CutPointsId, version: u32) -> Option<StoredCuts> {
        let found = if self.enter() { self.find.cut_points(id, version) } else { None };
        self.leave();
        found
    }

    fn leave(&self) {
        self.level.set(self.level.get().saturating_sub(1));
    }
}

/// Checks `segment("segments/name@3")` and puts what it says in its place.
pub(super) fn reference(checker: &Checker<'_>, at: &IdedExpr, arguments: &[IdedExpr]) -> Result<Expr, SegmentError> {
    let [IdedExpr { expr: Cel::Literal(LiteralValue::String(written)), .. }] = arguments else {
        return Err(checker.error(at, FORM));
    };
    let Some(name) = written.inner().strip_prefix("segments/") else { return Err(checker.error(at, FORM)) };
    let Some((id, version)) = name.split_once('@') else { return Err(checker.error(at, UNPINNED)) };
    let (Ok(id), Some(version)) = (SegmentId::new(id), version_of(version)) else {
        return Err(checker.error(at, FORM));
    };
    // Any test that is one node by itself stands for a reference as written.
    let Some(references) = checker.references else { return Ok(Expr::Attribute(ColumnId(0), Test::Missing)) };
    let found = if references.enter() { references.find.segment(&id, version) } else { None };
    let expanded = found.and_then(|stored| expand(checker, &stored));
    references.leave();
    // Whatever is wrong with it, a segment that this caller can't use does not exist for them.
    expanded.ok_or_else(|| checker.unavailable(at, "segment", "", Vec::new()))
}

fn expand(checker: &Checker<'_>, stored: &Stored) -> Option<Expr> {
    let checked = |text: &str| {
        let (tree, source) = read(text).ok()?;
        Checker { text, source: &source, ..*checker }.condition(&tree, &Scope::Subject).ok()
    };
    let Stored { cel, universe } = stored;
    let who = checked(cel)?;
    Some(if universe.is_empty() { who } else { Expr::All(vec![checked(universe)?, who]) })
}

/// Reads a version: from 1, without leading zeros.
pub(super) fn version_of(text: &str) -> Option<u32> {
    let version = text.parse().ok().filter(|version| *version > 0)?;
    (text == u32::to_string(&version)).then_some(version)
}
