//! The enforcement point, and all that a person or a network touches: services, tokens, the command line.
//!
//! The only crate that is asynchronous and the only one that reads a clock. It holds no plaintext beyond its receive
//! buffers; keys, un-noised numbers and stored data are the vault's.
//! A call goes authn -> decode -> `policy::decide` -> vault -> encode; refusals are logged before they are told.

pub mod authn;
pub mod cli;
pub mod clock;
pub mod config;
