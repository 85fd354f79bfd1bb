//! Behavior of the whole, one module a subject.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod cli;
mod datasets;
mod consent;
mod samples;
mod tidy;
