//! A believable farm co-operative, for those who have no data yet: consumers, a catalogue, views, carts, orders, consents.
//!
//! Seeded: the same settings give the same records, byte for byte. Nobody in it exists. It knows the schema that ships in
//! `deploy/datasets/coop` and yields records in the same form as an import, or writes them as files for one.

mod activity;
mod catalogue;
mod files;
mod people;
mod random;
mod records;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;

pub use files::write_files;
pub use records::{Generator, GeneratorError};

use policy::time::Timestamp;

/// The schema of the co-operative.
pub const SCHEMA: &str = include_str!("../../../../deploy/datasets/coop/schema.toml");
/// The mapping that imports the files of [`write_files`].
pub const MAPPING: &str = include_str!("../../../../deploy/datasets/coop/mapping.toml");

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Another seed, other people.
    pub seed: u64,
    /// How many consumers.
    pub consumers: u64,
    /// How many views, carts and orders together.
    pub events: u64,
    /// Everything happens before this instant, most of it in the two years before.
    pub as_of: Timestamp,
}

impl Settings {
    /// Returns the size that the demonstration uses: 50,000 consumers and 1,000,000 events.
    pub const fn demo(as_of: Timestamp) -> Self {
        Self { seed: 1, consumers: 50_000, events: 1_000_000, as_of }
    }
}

/// Everyone and how many events each has; the counts add up to the events asked for.
fn shares(settings: &Settings) -> Vec<(people::Consumer, u64)> {
    let as_of = settings.as_of.seconds();
    let consumers: Vec<people::Consumer> =
        (0..settings.consumers).map(|number| people::Consumer::new(settings.seed, number, as_of)).collect();
    let total: f64 = consumers.iter().map(|consumer| consumer.activity).sum();
    let (mut sum, mut given, last) = (0.0, 0, consumers.len().saturating_sub(1));
    let share = |(at, consumer): (usize, people::Consumer)| {
        sum += consumer.activity;
        let until = if at == last { settings.events } else { (settings.events as f64 * (sum / total)) as u64 };
        let count = until.saturating_sub(given);
        given += count;
        (consumer, count)
    };
    consumers.into_iter().enumerate().map(share).collect()
}
