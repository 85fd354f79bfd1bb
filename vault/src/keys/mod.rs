//! The root cell and the two-level key tree: what exists, under which key, and nothing else.

mod secret;

pub use secret::{RandomUnavailable, SecretKey};
