//! Leaves of the log.

use crate::status::Failure;
use proto::v1;
use vault::log::{Leaf, explain};
use vault::vault::{LeafEntry, Tree};

/// Reads which tree.
pub fn tree(tree: i32) -> Result<Tree, Failure> {
    match v1::LogTree::try_from(tree) {
        Ok(v1::LogTree::Unspecified | v1::LogTree::Access) => Ok(Tree::Access),
        Ok(v1::LogTree::Subject) => Ok(Tree::Subject),
        Err(_) => Err(Failure::invalid("tree", "must be the access or the subject tree")),
    }
}

/// Writes a leaf with its sentence.
pub fn encode(tree: Tree, entry: &LeafEntry) -> v1::AuditEvent {
    let LeafEntry { index, json } = entry;
    let name = match tree {
        Tree::Access => format!("auditEvents/{index}"),
        Tree::Subject => format!("auditEvents/subject-{index}"),
    };
    v1::AuditEvent { name, index: *index, json: json.clone(), sentence: sentence(json) }
}

/// Says a leaf in plain words; one that a newer version wrote is named as such.
pub fn sentence(json: &str) -> String {
    match Leaf::parse(json.as_bytes()) {
        Ok(leaf) => explain(&leaf),
        Err(_) => "a leaf of a kind that this version doesn't know".to_owned(),
    }
}
