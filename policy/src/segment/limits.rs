//! How large a segment may be: at most 8 deep and 64 nodes as written, 16 deep and 256 nodes with the segments it names.
//!
//! A test counts one, a join (`&&`, `||`) one, a negation nothing; a sequence and a score one, and their parts. Tests of
//! one field (or one event measure) within one join count as a single test, since they fold into one:
//! `x >= 1 && x <= 5` is one node, and so is `x != 3`.
//! By this measure the canonical form of a segment is never larger than the segment it is the form of.

use super::canonical::{Key, lift};
use super::sequence::either;
use super::{EventFilter, EventTest, Expr, Sample, Score, Sequence, Step, Test};
use crate::schema::EventTypeId;
use std::collections::BTreeMap;

/// Most nodes, as written.
pub const MAX_NODES: usize = 64;
/// Most levels, as written.
pub const MAX_DEPTH: usize = 8;

/// Most nodes and levels, and when that is counted.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    nodes: usize,
    depth: usize,
    when: &'static str,
}

pub(super) const WRITTEN: Limits = Limits { nodes: MAX_NODES, depth: MAX_DEPTH, when: "" };
/// With the segments that are referred to. A scan's work is bounded by this.
pub(super) const EXPANDED: Limits = Limits { nodes: 256, depth: 16, when: "with the segments it names, " };

struct Size {
    nodes: usize,
    depth: usize,
    /// What a test is about; tests of equal keys fold together.
    key: Option<Key>,
}

/// Checks the limits; the error says what they are.
pub(super) fn check(root: &Expr, limits: Limits) -> Result<(), String> {
    let (size, Limits { nodes, depth, when }) = (size(root), limits);
    if size.depth > depth {
        return Err(format!("{when}nested {} deep; at most {depth}", size.depth));
    }
    if size.nodes > nodes {
        return Err(format!("{when}made of {} tests and joins; at most {nodes}", size.nodes));
    }
    Ok(())
}

fn size(expr: &Expr) -> Size {
    match expr {
        Expr::Const(_) | Expr::Attribute(_, Test::Missing) => Size { nodes: 1, depth: 1, key: None },
        Expr::Attribute(column, _) => Size { nodes: 1, depth: 1, key: Some(Key::Column(*column)) },
        Expr::Not(inner) => size(inner),
        Expr::All(parts) | Expr::Any(parts) => join(parts.iter().map(size)),
        Expr::Event(test) => {
            let EventTest { event, window, filter, measure, if_any, .. } = test;
            let key = Key::Event(*event, *window, filter.clone(), *measure, *if_any);
            Size { key: Some(key), ..around([filter_size(filter)]) }
        }
        Expr::Sequence(sequence) => {
            Size { key: Some(Key::Sequence(sequence.clone())), ..around(sequence_parts(sequence)) }
        }
        Expr::Score(Score { parts, .. }) => {
            Size { key: Some(Key::Score(parts.clone())), ..around(parts.iter().map(|(part, _)| size(part))) }
        }
        Expr::Sample(Sample { label, .. }) => Size { nodes: 1, depth: 1, key: Some(Key::Sample(label.clone())) },
    }
}

/// The size of something made of parts.
fn around(parts: impl IntoIterator<Item = Size>) -> Size {
    parts.into_iter().fold(Size { nodes: 1, depth: 1, key: None }, |whole, part| Size {
        nodes: whole.nodes + part.nodes,
        depth: whole.depth.max(part.depth + 1),
        key: None,
    })
}

fn filter_size(filter: &EventFilter) -> Size {
    match filter {
        EventFilter::Const(_) => Size { nodes: 0, depth: 0, key: None },
        filter => size(&lift(filter.clone())),
    }
}

/// The steps, and what must not happen by event type, since it folds so.
fn sequence_parts(sequence: &Sequence) -> Vec<Size> {
    let mut absent: BTreeMap<EventTypeId, Vec<EventFilter>> = BTreeMap::new();
    for Step { event, filter } in &sequence.without {
        absent.entry(*event).or_default().push(filter.clone());
    }
    let steps = sequence.steps.iter().map(|step| around([filter_size(&step.filter)]));
    steps.chain(absent.into_values().map(|filters| around([filter_size(&either(filters))]))).collect()
}

fn join(parts: impl Iterator<Item = Size>) -> Size {
    let mut distinct: Vec<Size> = Vec::new();
    for part in parts {
        let repeats = part.key.is_some() && distinct.iter().any(|seen| seen.key == part.key);
        if !repeats {
            distinct.push(part);
        }
    }
    if distinct.len() == 1 && distinct.iter().all(|part| part.key.is_some()) {
        return distinct.remove(0);
    }
    let nodes = 1 + distinct.iter().map(|part| part.nodes).sum::<usize>();
    let depth = 1 + distinct.iter().map(|part| part.depth).max().unwrap_or(0);
    Size { nodes, depth, key: None }
}
