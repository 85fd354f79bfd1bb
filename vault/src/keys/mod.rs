//! The root cell and the two-level key tree: what exists, under which key, and nothing else.

mod sealer;
mod secret;

pub use sealer::{SealError, Sealer, TAG_BYTES};
pub use secret::{RandomUnavailable, SecretKey, random_bytes};
