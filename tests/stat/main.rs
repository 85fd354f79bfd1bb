//! The statistical audit of releases: what they tell of one person, how often their intervals hold, and whether each draw
//! is its own, seen from outside, through `Vault::release` as any caller sees it.
//!
//! A short form runs with all other tests, in seconds. The long one takes minutes:
//!
//! ```text
//! SILHOUETTE_AUDIT=long cargo test --release -p tests --test stat -- --nocapture
//! SILHOUETTE_AUDIT=long cargo test --release -p vault --lib -- noise:: neighbors::
//! ```
//!
//! The second line is the same audit from inside: more than 4,000,000 draws of the sampler a scale against its exact
//! distribution, and more than 100,000 pairs of neighbors against the sensitivity that their plan declares.
//!
//! Whether the audit would notice is tested too. `cargo run -p tests --bin mutants` puts the faults of `mutants.toml` into a
//! copy of the sources, one at a time, and expects a test to fail for each.
//!
//! # What this can show, and what it can't
//!
//! Every comparison names its alpha and its N. It can show a loss above the price: noise of four fifths, a bound that one
//! person exceeds, cells that are left out or left exact, noise that is used twice. It can't show that there is none:
//! - An event that happens once in a billion draws is not seen in a thousand, so a black-box audit is blind to small
//!   deltas and to rare branches. A lower bound on the loss that stays below the price is no proof of the price.
//! - Only the people and the questions of [`twins`] and [`kinds`] are tried. That no other person weighs more is proven in
//!   `vault::release` and tested over generated people in `vault::scan`.
//! - Nothing here looks at time, sizes or the log.
//!
//! The proof of each mechanism, the property tests and this audit are needed together: the proof says what should hold, the
//! properties that the code does what the proof is about, the audit that what comes out is what both say.
//!
//! Why a binary of its own: it names the vault and the policies only, so it links in a moment, and each mutant that it
//! catches links no gateway.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

/// Statistics: bounds with a confidence, and the exact discrete Gaussian.
mod bounds;
/// Whether stated intervals hold as often as they say.
mod coverage;
/// That the list of seeded faults has not rotted.
mod faults;
/// Whether every draw has noise of its own.
mod freshness;
/// The kinds of releases that are audited. A new kind is a few lines there.
mod kinds;
/// The list of seeded faults.
mod list;
/// What a release tells of one person.
mod loss;
/// Datasets that differ in one person.
mod twins;
/// Tables whose cells are weighed after a pilot.
mod weighed;

/// Chooses by the form that runs.
fn short_or_long(short: usize, long: usize) -> usize {
    if std::env::var("SILHOUETTE_AUDIT").is_ok_and(|form| form == "long") { long } else { short }
}
