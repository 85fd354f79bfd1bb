//! What may happen: schemas, purposes, consent, segments, privacy arithmetic, rules and decisions.
//!
//! Pure by construction: no input or output, clock, randomness, async or keys. `now` is always an argument.
//! [`decide::decide`] is the only place that mints a [`permit::Permit`]; whatever touches personal data takes one.

pub mod consent;
pub mod decide;
pub mod id;
pub mod permit;
pub mod privacy;
pub mod purpose;
pub mod rules;
pub mod schema;
pub mod segment;
pub mod time;
pub mod treatment;
