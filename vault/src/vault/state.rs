//! What the vault knows while it is open: a projection of the key tree, the block files and the log.

use super::change::{Change, HeldAudience, Resumed, StoredHold};
use super::epochs::ClosedEpoch;
use super::journal_keys::{JournalKeys, Place};
use super::recipients::PastDeliveries;
use crate::answers::{AnswerKey, Answers};
use crate::consent::ConsentBitmaps;
use crate::index::Index;
use crate::keys::KeyTree;
use crate::release::Synopsis;
use policy::id::{DatasetId, PopulationId};
use policy::privacy::{Ledger, Month};
use policy::schema::Schema;
use policy::time::Timestamp;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The commit lock's content.
#[derive(Debug)]
pub(super) struct State {
    /// Sequence number of the next frame.
    pub next_seq: u64,
    /// The manifest of what exists, and its keys.
    pub tree: KeyTree,
    /// Datasets by number.
    pub datasets: BTreeMap<u32, Dataset>,
    /// Numbers by name.
    pub numbers: BTreeMap<DatasetId, u32>,
    /// What is checkpointed as one piece.
    pub shared: Shared,
    /// Journal keys of this opening.
    pub journal: JournalKeys,
    /// Which journal keys frames are under.
    pub key_uses: KeyUses,
    /// Not before then is another dataset folded for the log's sake.
    pub fold_for_log: Option<Timestamp>,
    /// Answers being drawn now: a second asker waits.
    pub drawing: BTreeSet<String>,
    /// Latest instant seen, so that a clock that steps back does not revive an expired consent.
    pub latest: Timestamp,
}

impl State {
    /// Sees an instant, unless a later one was seen.
    pub fn latest_at_least(&mut self, now: Timestamp) {
        self.latest = self.latest.max(now);
    }
}

/// Dataset number that stands for the gateway's own state.
pub(super) const SHARED: u32 = 0;

/// The last frame that uses each journal key, by place and key: a key that only folded frames use can be destroyed.
#[derive(Debug, Default)]
pub(super) struct KeyUses(BTreeMap<(Place, u32), u64>);

impl KeyUses {
    /// Notes that a part of a frame is under a key.
    pub fn note(&mut self, place: Place, key_id: u32, seq: u64) {
        self.0.insert((place, key_id), seq);
    }

    /// Returns the keys that frames which are not folded are under; `folded` gives a dataset's last folded frame.
    pub fn needed(&self, folded: impl Fn(u32) -> u64) -> BTreeSet<u32> {
        let unfolded = self.0.iter().filter(|((place, _), seq)| **seq > folded(place.0));
        unfolded.map(|((_, key_id), _)| *key_id).collect()
    }

    /// Forgets the folded frames of a dataset.
    pub fn forget_folded(&mut self, dataset: u32, folded_seq: u64) {
        self.0.retain(|(place, _), seq| place.0 != dataset || *seq > folded_seq);
    }

    /// Returns the keys that all noted frames are under.
    pub fn all(&self) -> BTreeSet<u32> {
        self.0.keys().map(|(_, key_id)| *key_id).collect()
    }

    /// Returns the places with frames under some keys.
    pub fn places_under(&self, keys: impl Fn(u32) -> bool) -> BTreeSet<Place> {
        self.0.keys().filter(|(_, key_id)| keys(*key_id)).map(|(place, _)| *place).collect()
    }

    /// Returns the keys that a place's frames are under.
    #[cfg(test)]
    pub fn clone_of(&self, place: Place) -> BTreeSet<u32> {
        self.0.range((place, 0)..=(place, u32::MAX)).map(|((_, key_id), _)| *key_id).collect()
    }

    /// Forgets the uses of a place.
    pub fn retire(&mut self, place: Place) {
        self.0.retain(|(of, _), _| *of != place);
    }
}

/// The gateway's own state: catalog, records, ledgers, answers. Sealed as a state piece at checkpoints.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Shared {
    /// Every version of the descriptions, the first version first, by number of the dataset.
    pub schemas: BTreeMap<u32, Vec<String>>,
    /// Records by collection and key.
    pub records: BTreeMap<String, BTreeMap<String, Arc<[u8]>>>,
    /// Ledgers by population.
    pub ledgers: BTreeMap<PopulationId, Ledger>,
    /// Stored answers.
    pub answers: Answers,
    /// The last synopsis of each dataset.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub synopses: BTreeMap<DatasetId, Arc<Synopsis>>,
    /// Audiences held by partners: `partner/purpose/dataset/epoch` -> what was delivered.
    pub held: BTreeMap<String, Vec<HeldAudience>>,
    /// Who was in what partners got in epochs that are over: `partner/purpose/dataset`.
    #[serde(default)]
    pub past: BTreeMap<String, PastDeliveries>,
    /// Erasures under way: dataset and base64 of the bitmap of ordinals, by the first leaf.
    pub erasures: BTreeMap<u64, (u32, String)>,
    /// Legal holds that stand, by their numbers.
    #[serde(default)]
    pub holds: BTreeMap<u64, StoredHold>,
    /// Of erasures under way that waited for holds: which.
    #[serde(default)]
    pub resuming: BTreeMap<u64, Vec<u64>>,
    /// The last of those that are done.
    #[serde(default)]
    pub resumed: BTreeMap<u64, Resumed>,
}

/// One dataset.
#[derive(Debug)]
pub(super) struct Dataset {
    /// Its number.
    pub number: u32,
    /// Its description: the last version.
    pub schema: Arc<Schema>,
    /// Every version of its description, the first version first.
    pub versions: Vec<Arc<Schema>>,
    /// Subject keys.
    pub index: Index,
    /// The next subject's ordinal.
    pub next_ordinal: u32,
    /// Consent now.
    pub consent: ConsentBitmaps,
    /// The last closed epoch.
    pub closed: Arc<ClosedEpoch>,
    /// Blocks with entries that are not folded.
    pub dirty: BTreeSet<u32>,
    /// Hidden bytes of subjects that are not folded.
    pub fresh: HashMap<u32, [u8; 32]>,
    /// Entries that are not folded, sealed.
    pub journal: super::journals::Journals,
    /// Frames up to this one are folded.
    pub folded_seq: u64,
    /// People who are erased, or of whom only what is held by law is left: those whom this opening knows of. Their keys are
    /// nobody's.
    pub gone: RoaringBitmap,
    /// By block: entries of earlier frames are void. Someone was erased from it, and what the others had was written again.
    pub restarts: BTreeMap<u32, u64>,
    /// Sealed bytes of its journal from which on it is to be folded; 0 until that was looked at.
    pub fold_bound: u64,
    /// Why the last fold failed, if it did.
    pub trouble: Option<super::backlog::Trouble>,
    /// Part and problem, if its files could not be read at opening: then it refuses every call.
    pub damage: Option<(String, String)>,
}

impl Shared {
    /// Applies one change: the same function live and in replay.
    pub fn apply(&mut self, change: &Change) -> Result<(), BadChange> {
        match change {
            Change::Dataset { number, schema_toml } => {
                self.schemas.insert(*number, vec![schema_toml.clone()]);
            }
            Change::Schema { number, version, schema_toml } => {
                let versions = self.schemas.get_mut(number).ok_or(BadChange)?;
                if usize::try_from(*version).ok() != versions.len().checked_add(1) {
                    return Err(BadChange);
                }
                versions.push(schema_toml.clone());
            }
            Change::Record { collection, key, value } => self.record(collection, key, value.as_deref())?,
            Change::Charge { population, client, rho, quarter, month, asked_in, answer, request, leaf, base } => {
                let ledger = self.ledgers.entry(population.clone()).or_default();
                ledger.record(client, *rho, month.unwrap_or_else(|| Month::from(*quarter)));
                let key = AnswerKey::from_stored(answer.clone());
                self.answers.remember(asked_in, client, request, &key);
                self.answers.owe(asked_in, &key, *leaf);
                if let Some(base) = base {
                    self.answers.add_to(asked_in, &key, AnswerKey::from_stored(base.clone()));
                }
            }
            Change::Answer { asked_in, key, bytes, family } => {
                let answer = serde_json::from_str(bytes).map_err(|_| BadChange)?;
                let family = family.clone().map(AnswerKey::from_stored);
                self.answers.store(asked_in, &AnswerKey::from_stored(key.clone()), answer, family);
            }
            Change::Repeat { asked_in, client, request, answer, better } => {
                let key = AnswerKey::from_stored(answer.clone());
                self.answers.remember(asked_in, client, request, &key);
                if let Some(better) = better {
                    self.answers.answer_by(asked_in, &key, AnswerKey::from_stored(better.clone()));
                }
            }
            Change::Synopsis { dataset, synopsis } => {
                self.answers.settle_synopses(dataset);
                self.synopses.insert(dataset.clone(), Arc::new(Synopsis::clone(synopsis)));
            }
            Change::Quota { population, client, quota } => {
                self.ledgers.entry(population.clone()).or_default().set_quota(client, *quota);
            }
            Change::Extend { population, extension } => {
                self.ledgers.entry(population.clone()).or_default().extend(extension.clone());
            }
            Change::Spent { population, spent } => {
                self.ledgers.entry(population.clone()).or_default().raise_to(spent);
            }
            Change::Erase { leaf, dataset, people, after } => self.erase(*leaf, *dataset, people, after)?,
            Change::Erased { leaf, resumed } => self.erased(*leaf, resumed.as_deref()),
            Change::Hold { number, hold } => {
                self.holds.insert(*number, hold.clone());
            }
            Change::HoldEnded { number } => {
                self.holds.remove(number);
            }
            Change::Held { holder, audience } => {
                self.held.entry(holder.clone()).or_default().push(audience.clone());
            }
        }
        Ok(())
    }

    fn record(&mut self, collection: &str, key: &str, value: Option<&str>) -> Result<(), BadChange> {
        use base64::Engine as _;
        let records = self.records.entry(collection.to_owned()).or_default();
        match value {
            None => {
                records.remove(key);
            }
            Some(text) => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| BadChange)?;
                records.insert(key.to_owned(), bytes.into());
            }
        }
        Ok(())
    }
}

/// A change that does not parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored change does not parse")]
pub(super) struct BadChange;
