//! Cedar policies, validated against a schema generated from ours.

/// A compiled policy set with its number and its cache of disclosure tables.
#[derive(Debug)]
pub struct Rules {}
