//! Behavior of the whole, one module a subject.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod cli;
mod consent;
mod datasets;
mod samples;
mod tidy;
