//! Between the wire and the domain. Every conversion takes its input apart field by field, so that a new field on either
//! side fails to compile until someone decides about it.

pub mod audit;
pub mod backup;
pub mod budget;
pub mod client;
pub mod consent;
pub mod cut_points;
pub mod decimal;
pub mod hold;
pub mod ingest;
pub mod insight;
pub mod keys;
pub mod names;
pub mod page;
pub mod profile;
pub mod release;
pub mod schema;
pub mod segment;
pub mod subject;
pub mod synopsis;
pub mod time;
