//! Behavior of the whole, one module a subject.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "../attack/mod.rs"]
mod attack;
mod audiences;
mod backups;
mod bounds;
mod cli;
mod consent;
mod consent_gate;
mod crashes;
mod cut_points;
mod damage;
mod datasets;
mod decoders;
mod door;
mod ingest;
mod keys;
mod links;
mod profiles;
mod real_data;
mod real_questions;
mod refusals;
mod rights;
mod samples;
mod secrecy;
mod segments;
mod serving;
#[path = "../sim/mod.rs"]
mod sim;
mod synopsis;
mod tamper;
mod tidy;
mod verifier;
mod versions;
