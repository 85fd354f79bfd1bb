//! What the tests share: the gateway's surroundings, oracles, and the figures of the public data sets.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests stop at the first thing that is not as expected"
)]

pub mod figures;
pub mod oracle;
