//! Stored answers: the same question in the same epoch gives the same bytes, and is paid for once.
//!
//! A projection of the log's charges and outcomes. An intent without an outcome is owed: its answer was never visible,
//! so a retry draws under it without a second charge.

use crate::release::{Answer, Question};
use policy::id::{ClientId, DatasetId, EpochId};
use policy::permit::Permit;
use policy::privacy::{Month, NanoRho};
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Key of a stored answer: SHA-256 of everything that fixes the question, and nothing that ingest or consent change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AnswerKey(String);

impl AnswerKey {
    /// Computes the key: format version, dataset, epoch, universe, segment, kind, purpose, basis, schema, disclosure
    /// table, price.
    pub fn of(permit: &Permit, question: &Question, schema_hash: &str, epoch: EpochId) -> Self {
        Self::at(permit, question, schema_hash, epoch, question.rho)
    }

    /// Computes what a question has in common at all prices: its key at none, at which nothing is answered.
    pub(crate) fn family(permit: &Permit, question: &Question, schema_hash: &str, epoch: EpochId) -> Self {
        Self::at(permit, question, schema_hash, epoch, NanoRho::ZERO)
    }

    /// Computes the key of a month's synopsis: format version, dataset, month, kind, purpose, basis, price. Of the epoch, the
    /// description and the policies nothing, so that what was charged is drawn once, whatever changes until then.
    pub(crate) fn of_synopsis(permit: &Permit, question: &Question, month: Month) -> Self {
        let purpose = permit.purpose().map_or("", |purpose| purpose.as_str());
        let [kind, basis] = [serde_json::to_string(&question.kind), serde_json::to_string(&permit.basis())];
        let [kind, basis] = [kind, basis].map(|json| json.unwrap_or_default());
        let parts = [
            b"silhouette synopsis 1".as_slice(),
            question.dataset.as_str().as_bytes(),
            &month.0.to_le_bytes(),
            kind.as_bytes(),
            purpose.as_bytes(),
            basis.as_bytes(),
            &question.rho.0.to_le_bytes(),
        ];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hex(&hash.finalize()))
    }

    fn at(permit: &Permit, question: &Question, schema_hash: &str, epoch: EpochId, rho: NanoRho) -> Self {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        field(b"silhouette answer 1");
        field(question.dataset.as_str().as_bytes());
        field(&epoch.0.to_le_bytes());
        field(question.universe.canonical().as_bytes());
        field(question.segment.canonical().as_bytes());
        field(serde_json::to_string(&question.kind).unwrap_or_default().as_bytes());
        field(permit.purpose().map_or("", |p| p.as_str()).as_bytes());
        field(serde_json::to_string(&permit.basis()).unwrap_or_default().as_bytes());
        field(schema_hash.as_bytes());
        field(permit.table_hash());
        field(b"gaussian");
        field(&rho.0.to_le_bytes());
        Self(hex(&hash.finalize()))
    }

    /// Returns the name of the release: 32 hex digits.
    pub fn release_name(&self) -> String {
        self.0.chars().take(32).collect()
    }

    /// Returns all 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }
}

/// Renders bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// All stored answers, owed answers and known request ids, by the dataset and epoch they were asked in: `dataset/epoch`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answers(BTreeMap<String, OfEpoch>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct OfEpoch {
    stored: BTreeMap<AnswerKey, Answer>,
    owed: BTreeMap<AnswerKey, u64>,
    requests: BTreeMap<String, AnswerKey>,
    /// By what a question has in common at all prices: the answer with the least noise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    best: BTreeMap<AnswerKey, AnswerKey>,
    /// Of answers that were charged as an addition: the stored one they add to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    bases: BTreeMap<AnswerKey, AnswerKey>,
    /// Questions that were answered from a higher price: from which.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    answered_by: BTreeMap<AnswerKey, AnswerKey>,
    /// When its answers were forgotten.
    #[serde(default)]
    forgotten: Option<Timestamp>,
}

/// How long a request id is known after its answer is forgotten: whoever tries again within a week is told that the id was
/// used, and does not pay a second time for what it thinks is the first.
const KNOWN_MICROS: i64 = 7 * 86_400 * 1_000_000;

/// Names a dataset and its epoch.
pub(crate) fn asked_in(dataset: &DatasetId, epoch: EpochId) -> String {
    format!("{dataset}/{}", epoch.0)
}

/// Names where what is owed of a dataset's synopses is kept: in no epoch, so that the end of none forgets it.
pub(crate) fn synopses_of(dataset: &DatasetId) -> String {
    format!("{dataset}/synopsis")
}

/// What is known of a question that arrives.
#[derive(Debug)]
pub(crate) enum Known {
    /// Answered; may be repeated free of charge.
    Stored(Box<Answer>),
    /// Charged under this INTENT leaf, as an addition to a stored answer if there is one, and no answer was ever visible.
    Owed(u64, Option<AnswerKey>),
    /// New.
    New,
}

fn request_key(client: &ClientId, request: &str) -> String {
    format!("{client} {request}")
}

impl Answers {
    /// Looks a question up.
    pub fn know(&self, asked_in: &str, key: &AnswerKey) -> Known {
        let Some(of) = self.0.get(asked_in) else { return Known::New };
        let stored = of.stored.get(key).or_else(|| of.stored.get(of.answered_by.get(key)?));
        match (stored, of.owed.get(key)) {
            (Some(answer), _) => Known::Stored(Box::new(answer.clone())),
            (None, Some(leaf)) => Known::Owed(*leaf, of.bases.get(key).cloned()),
            (None, None) => Known::New,
        }
    }

    /// Finds the answer with the least noise to a question at any price.
    pub fn best(&self, asked_in: &str, family: &AnswerKey) -> Option<(AnswerKey, Answer)> {
        let of = self.0.get(asked_in)?;
        let key = of.best.get(family)?;
        of.stored.get(key).map(|answer| (key.clone(), answer.clone()))
    }

    /// Returns a stored answer.
    pub fn stored(&self, asked_in: &str, key: &AnswerKey) -> Option<Answer> {
        self.0.get(asked_in)?.stored.get(key).cloned()
    }

    /// Says whether a request id was used for another question, of any epoch that is remembered.
    pub fn is_reused(&self, client: &ClientId, request: &str, key: &AnswerKey) -> bool {
        let name = request_key(client, request);
        self.0.values().filter_map(|of| of.requests.get(&name)).any(|known| known != key)
    }

    /// Remembers which question a request id was used for.
    pub fn remember(&mut self, asked_in: &str, client: &ClientId, request: &str, key: &AnswerKey) {
        if !request.is_empty() {
            self.of(asked_in).requests.insert(request_key(client, request), key.clone());
        }
    }

    /// Notes that an answer is owed.
    pub fn owe(&mut self, asked_in: &str, key: &AnswerKey, leaf: u64) {
        self.of(asked_in).owed.insert(key.clone(), leaf);
    }

    /// Notes that what is owed adds to a stored answer.
    pub fn add_to(&mut self, asked_in: &str, key: &AnswerKey, base: AnswerKey) {
        self.of(asked_in).bases.insert(key.clone(), base);
    }

    /// Notes that a question was answered from a higher price, and will be.
    pub fn answer_by(&mut self, asked_in: &str, key: &AnswerKey, better: AnswerKey) {
        self.of(asked_in).answered_by.entry(key.clone()).or_insert(better);
    }

    /// Stores an answer; `family` is what its question has in common at all prices, if answers of it add up.
    pub fn store(&mut self, asked_in: &str, key: &AnswerKey, answer: Answer, family: Option<AnswerKey>) {
        let of = self.of(asked_in);
        of.owed.remove(key);
        of.bases.remove(key);
        if let Some(family) = family {
            let best = of.best.get(&family).and_then(|best| of.stored.get(best));
            if best.is_none_or(|best| best.rho < answer.rho) {
                of.best.insert(family, key.clone());
            }
        }
        of.stored.insert(key.clone(), answer);
    }

    /// Forgets what a dataset's synopses were owed: one was drawn.
    pub fn settle_synopses(&mut self, dataset: &DatasetId) {
        self.0.remove(&synopses_of(dataset));
    }

    /// Forgets the answers of some epochs, and in time the request ids.
    pub fn forget(&mut self, ended: impl Fn(&str) -> bool, now: Timestamp) {
        for (_, of) in self.0.iter_mut().filter(|(asked_in, of)| of.forgotten.is_none() && ended(asked_in)) {
            *of = OfEpoch { requests: std::mem::take(&mut of.requests), forgotten: Some(now), ..OfEpoch::default() };
        }
        let is_over = |forgotten: Timestamp| now.0.saturating_sub(forgotten.0) > KNOWN_MICROS;
        self.0.retain(|_, of| of.forgotten.is_none_or(|at| !is_over(at) && !of.requests.is_empty()));
    }

    fn of(&mut self, asked_in: &str) -> &mut OfEpoch {
        self.0.entry(asked_in.to_owned()).or_default()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_known_for_a_week_after_its_answer_is_forgotten() {
        let client = ClientId::new("marketing").unwrap();
        let (first, later) = (AnswerKey("a".to_owned()), AnswerKey("b".to_owned()));
        let mut answers = Answers::default();
        answers.remember("shop/1", &client, "id", &first);
        answers.owe("shop/1", &first, 7);
        answers.owe("shop/2", &later, 9);
        for day in 0..=7 {
            answers.forget(|asked_in| asked_in == "shop/1" || asked_in == "shop/2", Timestamp(day * 86_400_000_000));
            assert!(answers.is_reused(&client, "id", &later), "day {day}");
            assert!(matches!(answers.know("shop/1", &first), Known::New));
        }
        answers.forget(|_| false, Timestamp(KNOWN_MICROS + 1));
        assert!(!answers.is_reused(&client, "id", &later));
        assert!(answers.0.is_empty());
    }
}
