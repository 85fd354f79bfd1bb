//! Behavior of the whole, one module a subject.
#![expect(clippy::unwrap_used, reason = "tests")]

mod samples;
mod tidy;
