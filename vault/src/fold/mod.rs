//! Folding: the journal's entries of one block applied to its columns, giving the next version of its pieces.
//!
//! [`data`] holds a block in clear while it is folded, with its people's [`history`]; it is wiped when dropped. [`pieces`]
//! reads it from piece files and writes it to new ones; [`retention`] takes out of it what is kept no longer, by [`set_day`]
//! if it has no time of its own; [`subject`] reads one person of it, and [`erase`] writes pieces again without some people,
//! but for what of them is held by law. Folding the same entries twice gives the same columns, so a crash in between is
//! harmless.

pub mod data;
#[cfg(feature = "test-util")]
pub(crate) mod decoders;
pub mod erase;
pub mod history;
pub mod pieces;
pub mod retention;
pub mod set_day;
pub mod subject;
