//! CSV files -> typed records, by a mapping in TOML.
//!
//! Guarantees: every row is accepted, quarantined or filtered, in exactly one class; no value of a row is in a report or
//! an error; importing the same files again yields the same event ids. Knows no data set by name and no network: it
//! yields batches, and the command sends them through the gateway's ingest as any producer would.

mod encode;
mod engine;
mod error;
mod filter;
mod identity;
mod infer;
mod lookup;
mod mapping;
mod moment;
mod number;
mod raw;
mod reason;
mod record;
mod report;
mod row;
mod source;
mod value;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;

pub use engine::{Importer, Step};
pub use error::{ImportError, MappingError};
pub use infer::{Ask, Draft, Nobody, infer};
pub use mapping::Mapping;
pub use reason::{Fault, Reason};
pub use record::{Batch, Body, Line, Record, Subject, Value};
pub use report::{FileReport, QuarantineReport, Quarantined, summary, table};
