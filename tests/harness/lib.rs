//! What the tests share: a running gateway with a small shop in it, oracles, and the figures of the public data sets.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests stop at the first thing that is not as expected"
)]

pub mod crash;
pub mod decoders;
pub mod figures;
pub mod gate;
pub mod naive;
pub mod needles;
pub mod oracle;
pub mod shop;
pub mod soak;
