//! Kills a gateway (SIGKILL) at random moments under load, starts it again, and compares what it says with what it had
//! acknowledged.
//!
//! After every kill: the log verifies offline, from the files as the crash left them, and contains every checkpoint and
//! leaf that was seen; every acknowledged row and consent is counted exactly, none twice; every question that was asked
//! was charged once, however often it was tried; a retried request id gets the answer it got. Half of the rounds close
//! epochs all the while; a quarter kill the gateway again while it recovers.
//!
//! Does not: cut the power. What a killed process wrote stays in the page cache; that the bytes were synced before they
//! were acknowledged is for a trace of system calls to show.

pub mod load;
pub mod model;
mod place;
mod round;
mod strace;
mod trace;

pub use place::{Place, Programs, Served};
pub use round::{Hammer, Summary};
pub(crate) use round::{register, register_partner};
pub use trace::trace;
