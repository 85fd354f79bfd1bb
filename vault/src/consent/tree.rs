//! The purposes that people can decide on: those of the schema and all above them.

use policy::id::PurposeId;
use policy::purpose::covers;

/// One purpose.
#[derive(Clone)]
struct Node {
    purpose: PurposeId,
    parent: Option<usize>,
}

/// Purposes by number. A number never changes.
#[derive(Clone, Default)]
pub(super) struct PurposeTree(Vec<Node>);

impl PurposeTree {
    pub fn find(&self, purpose: &PurposeId) -> Option<usize> {
        self.0.iter().position(|node| node.purpose == *purpose)
    }

    /// Returns the number of a purpose, which is added with all above it if it is new.
    pub fn add(&mut self, purpose: &PurposeId) -> usize {
        if let Some(found) = self.find(purpose) {
            return found;
        }
        let parent = purpose.as_str().rsplit_once('.').and_then(|(parent, _)| PurposeId::new(parent).ok());
        let parent = parent.map(|parent| self.add(&parent));
        self.0.push(Node { purpose: purpose.clone(), parent });
        self.0.len() - 1
    }

    pub fn purpose(&self, node: usize) -> Option<&PurposeId> {
        self.0.get(node).map(|node| &node.purpose)
    }

    /// Walks from a node up to its root.
    pub fn lineage(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(node), |below| self.0.get(*below)?.parent)
    }

    /// Walks a node and all that lies under it.
    pub fn under(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let wider = self.purpose(node);
        let covered = move |under: &Node| wider.is_some_and(|wider| covers(wider, &under.purpose));
        self.0.iter().enumerate().filter(move |(_, under)| covered(under)).map(|(number, _)| number)
    }

    /// Returns the nodes that decide on a purpose, the nearest first. One below the known purposes is decided by its
    /// nearest known ancestor.
    pub fn deciding(&self, purpose: &PurposeId) -> Vec<usize> {
        let known = |name: &str| PurposeId::new(name).ok().and_then(|purpose| self.find(&purpose));
        let nearest = policy::purpose::lineage(purpose).find_map(known);
        nearest.map(|node| self.lineage(node).collect()).unwrap_or_default()
    }
}
