//! Behavior of the whole, one module a subject.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod cli;
mod consent;
mod datasets;
mod door;
mod samples;
mod serving;
mod tidy;
