//! How large a segment may be: at most 8 deep and 64 nodes.
//!
//! A test counts one, a join (`&&`, `||`) one, a negation nothing. Tests of one field (or one event measure) within
//! one join count as a single test, since they fold into one: `x >= 1 && x <= 5` is one node, and so is `x != 3`.
//! By this measure the canonical form of a segment is never larger than the segment as written.

use super::{EventFilter, EventTest, Expr, Measure, Test, Window};
use crate::schema::{ColumnId, EventTypeId};

/// Most nodes.
pub const MAX_NODES: usize = 64;
/// Most levels.
pub const MAX_DEPTH: usize = 8;

/// What a test is about; tests of equal keys fold together.
#[derive(Clone, PartialEq)]
enum Key {
    Column(ColumnId),
    Event(EventTypeId, Window, EventFilter, Measure),
}

struct Size {
    nodes: usize,
    depth: usize,
    key: Option<Key>,
}

/// Checks the limits; the error says what they are.
pub(super) fn check(root: &Expr) -> Result<(), String> {
    let size = size(root);
    if size.depth > MAX_DEPTH {
        return Err(format!("nested {} deep; at most {MAX_DEPTH}", size.depth));
    }
    if size.nodes > MAX_NODES {
        return Err(format!("made of {} tests and joins; at most {MAX_NODES}", size.nodes));
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
            let EventTest { event, window, filter, measure, .. } = test;
            let inner = match filter {
                EventFilter::Const(_) => Size { nodes: 0, depth: 0, key: None },
                filter => size(&super::canonical::lift(filter.clone())),
            };
            let key = Key::Event(*event, *window, filter.clone(), *measure);
            Size { nodes: inner.nodes + 1, depth: inner.depth + 1, key: Some(key) }
        }
    }
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
