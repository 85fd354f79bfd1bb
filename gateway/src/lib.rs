//! The enforcement point, and all that a person or a network touches: services, tokens, the command line.
//!
//! The only crate that is asynchronous and the only one that reads a clock. It holds no plaintext beyond its receive
//! buffers; keys, un-noised numbers and stored data are the vault's.
//! A call goes authn -> decode -> `policy::decide` -> vault -> encode; refusals are logged before they are told.

pub mod app;
pub mod authn;
pub mod cli;
pub mod clock;
pub mod config;
pub mod epochs;
pub mod http;
pub mod insight;
pub mod memory;
pub mod outer;
pub mod pace;
pub mod passphrase;
pub mod pipeline;
pub mod records;
pub mod rpc;
pub mod server;
pub mod status;
pub mod telemetry;
pub mod wire;

/// The allocator of every program that serves. glibc keeps what it freed in an arena per thread: a gateway that held 60 MiB
/// showed 330 MiB, and grew under a steady load. This one gives pages back; huge pages, which would grow again under it, off.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use server::{Bound, ServeError, init, serve, serve_until};
