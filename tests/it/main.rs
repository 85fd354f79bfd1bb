//! Behavior of the whole, one module a subject.
#![expect(clippy::unwrap_used, reason = "tests")]

mod datasets;
mod consent;
mod samples;
mod tidy;
