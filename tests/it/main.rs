//! Behavior of the whole, one module a subject.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod audiences;
mod cli;
mod consent;
mod consent_gate;
mod crashes;
mod datasets;
mod door;
mod real_data;
mod refusals;
mod samples;
mod serving;
mod tidy;
