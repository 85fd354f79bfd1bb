//! Who got a list with a person in it in an epoch that is over.
//!
//! What a partner holds is remembered delivery by delivery while its epoch lasts, for the rules between deliveries. When it
//! ends, its people go into one set for each partner and purpose, and stay there until they are erased: a person can ask
//! whom their data went to for as long as it is held. Of those earlier deliveries it is not kept which of them a person was
//! in, nor when. Cost: at most a bit a subject of the dataset for each partner and purpose, in the gateway's own state.

use super::change::HeldAudience;
use super::deliver::{decode, encode};
use super::state::{BadChange, Shared};
use policy::id::{DatasetId, EpochId};
use policy::schema::FieldRef;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Everyone who was in a list that a partner got for a purpose, in epochs that are over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PastDeliveries {
    /// Base64 of the bitmap of their ordinals.
    pub people: String,
    /// Tags delivered with any of them.
    pub tags: BTreeSet<FieldRef>,
    /// The first of those epochs.
    pub first: EpochId,
    /// The last.
    pub last: EpochId,
}

/// Splits a holder, `partner/purpose/dataset/epoch`, into who it is in all epochs and the epoch.
fn split(holder: &str) -> Option<(&str, EpochId)> {
    let (whose, epoch) = holder.rsplit_once('/')?;
    Some((whose, EpochId(epoch.parse().ok()?)))
}

/// Says whether a holder, or who it is in all epochs, `partner/purpose/dataset`, is of a dataset.
pub(super) fn is_of(whose: &str, dataset: &str) -> bool {
    whose.rsplit('/').next() == Some(dataset)
}

impl Shared {
    /// Ends what partners hold of a dataset's epochs before `served`. Doing it again changes nothing.
    pub fn end_holdings(&mut self, dataset: &DatasetId, served: EpochId) -> Result<(), BadChange> {
        let over = |holder: &&String| {
            split(holder).is_some_and(|(whose, epoch)| epoch < served && is_of(whose, dataset.as_str()))
        };
        let ended: Vec<String> = self.held.keys().filter(over).cloned().collect();
        for holder in ended {
            let held = self.held.remove(&holder).unwrap_or_default();
            if let Some((whose, epoch)) = split(&holder) {
                let past = self.past.entry(whose.to_owned()).or_insert_with(|| PastDeliveries::of(epoch));
                past.add(&held, epoch)?;
            }
        }
        Ok(())
    }
}

impl PastDeliveries {
    fn of(epoch: EpochId) -> Self {
        Self { people: String::new(), tags: BTreeSet::new(), first: epoch, last: epoch }
    }

    fn add(&mut self, held: &[HeldAudience], epoch: EpochId) -> Result<(), BadChange> {
        let mut people = self.people().ok_or(BadChange)?;
        for audience in held {
            people |= decode(&audience.members).ok_or(BadChange)?;
            self.tags.extend(audience.tags.iter().copied());
        }
        self.first = self.first.min(epoch);
        self.last = self.last.max(epoch);
        self.people = encode(&people);
        Ok(())
    }

    /// Returns who they are; `None` if it does not parse.
    pub fn people(&self) -> Option<RoaringBitmap> {
        if self.people.is_empty() { Some(RoaringBitmap::new()) } else { decode(&self.people) }
    }
}
