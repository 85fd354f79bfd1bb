//! Segments: a CEL expression over one schema, checked into a typed tree that a scan can run.
//!
//! Three-valued: a test on a missing value is unknown, `!unknown` is unknown, and unknown is not a member.
//! Windows are half-open and end at the pinned `as_of` of the epoch, in the dataset's time zone.

mod candidates;
mod canonical;
mod check;
mod cut_points;
mod days;
pub mod eval;
mod events;
mod implies;
mod intervals;
mod limits;
mod predicate;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod properties;
mod reference;
mod render;
mod rfm;
mod scan;
mod score;
mod sequence;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
pub(crate) mod test_schema;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
mod tree;
mod window;

pub use candidates::{MAX_CANDIDATES, round_sizes};
pub use check::{MAX_CANONICAL_BYTES, MAX_TEXT_BYTES, SegmentError, SegmentErrorKind, parse, parse_with};
pub use cut_points::{Number, NumberKind, StoredCuts};
pub use days::{LocalDays, days_since_times};
pub use limits::{MAX_DEPTH, MAX_NODES};
pub use reference::{Find, Stored};
pub use tree::{
    EventFilter, EventTest, Expr, MAX_POINTS, MAX_SCORED, MAX_STEPS, Measure, SAMPLE_BUCKETS, Sample, Score, Sequence,
    Span, Step, Test, Window,
};
pub use window::WindowError;

use crate::schema::{FieldRef, Schema};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A checked segment: its canonical tree, its canonical text and the hash of that text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    root: Expr,
    canonical: String,
}

/// Written as its canonical text: equal questions, equal bytes.
impl Serialize for Segment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.canonical)
    }
}

impl Segment {
    /// The segment of everyone: the canonical text `true`.
    pub fn everyone() -> Self {
        Self { root: Expr::Const(true), canonical: "true".to_owned() }
    }

    /// Returns the tree in canonical form: negations pushed down where exact, children sorted, constants folded.
    pub fn root(&self) -> &Expr {
        &self.root
    }

    /// Returns the canonical text: equal questions, equal text. Contains field names and literals.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Returns SHA-256 of the canonical text: equal questions, equal hash.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.canonical).into()
    }

    /// Returns every field the segment names, events included, sorted, without repetition.
    pub fn fields(&self) -> Vec<FieldRef> {
        let mut fields = Vec::new();
        self.root.collect_fields(&mut fields);
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    /// Builds a segment from a tree by putting it into canonical form.
    pub fn from_expr(root: Expr, schema: &Schema) -> Self {
        let root = canonical::normalize(&root, schema);
        let canonical = render::render(&root, schema);
        Self { root, canonical }
    }
}
