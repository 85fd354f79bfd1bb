//! Who used one person's data, out of the log and out of what partners hold.
//!
//! A release names no person. It is listed when what this person had agreed to allowed its purpose and basis both when its
//! epoch closed and when it was asked, or drawn: then the person may have been counted in it, or not; nobody can tell, this list
//! included. An epoch ends somewhat before it is closed, so a consent given in between lists a release too many, never one
//! too few. An audience is listed for who was in it when it was delivered; of the epochs before those that partners hold
//! audiences of, only to whom and for what.
//!
//! A person who is linked is listed by what they allowed themselves, which holds whenever the primary stood for them; audiences
//! delivered with a primary that stood for them are theirs too.
//!
//! Cost: one pass over the access tree; only leaves of this dataset are parsed.

use super::super::deliver::decode;
use super::super::links::Through;
use super::super::recipients::is_of;
use super::super::synopsis::FROM_SYNOPSIS;
use super::super::{Tree, Vault, VaultError};
use super::person::History;
use crate::log::{Decision, Kind, Leaf};
use crate::subjects::{AudienceUse, PastRecipient, ReleaseUse, Right, UseSummary, Uses};
use policy::consent::{ConsentState, LawfulBasis};
use policy::id::{ClientId, DatasetId, EpochId, PartnerId, PurposeId};
use policy::schema::Schema;
use policy::time::Timestamp;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// What the question of a stored answer is called in the log.
const STORED: &str = "stored answer";

/// What a person allowed, by when the gateway learned of it.
pub(super) struct Timeline {
    /// Folded state from each instant on.
    states: Vec<(Timestamp, ConsentState)>,
    /// Whether use was restricted from each instant on.
    limits: Vec<(Timestamp, bool)>,
}

/// A question in the log.
struct Asked {
    fields: Vec<String>,
    question: String,
    /// Whether this person allowed it: when it was asked, or when it was drawn, which after a crash may be in a later epoch.
    allowed: bool,
}

/// The uses of a person's data, releases counted.
pub(super) struct UsesCounted {
    pub uses: Vec<UseSummary>,
    pub audiences: Vec<AudienceUse>,
    pub recipients: Vec<PastRecipient>,
}

/// Deliveries of one holder, in the order of the log.
type Deliveries = BTreeMap<String, VecDeque<(Timestamp, u64)>>;

impl Timeline {
    pub fn new(history: &History) -> Self {
        let mut state = ConsentState::default();
        let mut states = Vec::with_capacity(history.consents.len());
        for consent in &history.consents {
            state.apply(&consent.event);
            states.push((consent.received, state.clone()));
        }
        let limit = |right| match right {
            Right::Restriction => Some(true),
            Right::Lifting => Some(false),
            Right::Access | Right::Rectification | Right::Objection | Right::Linking | Right::Unlinking => None,
        };
        let limits = history.requests.iter().filter_map(|r| Some((r.event.done, limit(r.event.right)?))).collect();
        Self { states, limits }
    }

    /// Says whether what the person had agreed to by then allowed a use, restriction aside.
    pub fn agreed(&self, purpose: &PurposeId, basis: LawfulBasis, at: Timestamp) -> bool {
        let known = self.states.iter().rev().find(|(received, _)| *received <= at);
        known.is_some_and(|(_, state)| state.allows(purpose, basis, at))
    }

    /// Says whether use was restricted.
    pub fn restricted(&self, at: Timestamp) -> bool {
        self.limits.iter().rev().find(|(from, _)| *from <= at).is_some_and(|(_, restricted)| *restricted)
    }

    /// Says whether a use was allowed at an instant, or just before: the log's two trees have no order within one.
    fn allowed(&self, purpose: &PurposeId, basis: LawfulBasis, at: Timestamp) -> bool {
        let before = Timestamp(at.0.saturating_sub(1));
        [before, at].into_iter().any(|at| self.agreed(purpose, basis, at) && !self.restricted(at))
    }
}

impl Vault {
    /// Lists the uses of a person's data up to now.
    pub(super) fn uses_of(
        &self,
        schema: &Schema,
        timeline: &Timeline,
        whose: (u32, &[Through]),
    ) -> Result<Uses, VaultError> {
        let mut releases = Vec::new();
        let audiences = self.each_use(schema, timeline, whose, |release| releases.push(release))?;
        let recipients = self.recipients_of(&schema.dataset, whose.0)?;
        Ok(Uses { releases, audiences, recipients })
    }

    /// Counts the releases by client, purpose and basis, and lists the rest.
    pub(super) fn uses_counted(
        &self,
        schema: &Schema,
        timeline: &Timeline,
        whose: (u32, &[Through]),
    ) -> Result<UsesCounted, VaultError> {
        let mut counted: BTreeMap<(ClientId, PurposeId, LawfulBasis), (u64, Timestamp, Timestamp)> = BTreeMap::new();
        let audiences = self.each_use(schema, timeline, whose, |release| {
            let ReleaseUse { client, purpose, basis, at, .. } = release;
            let entry = counted.entry((client, purpose, basis)).or_insert((0, at, at));
            *entry = (entry.0.saturating_add(1), entry.1.min(at), entry.2.max(at));
        })?;
        let summary = |((client, purpose, basis), (releases, first, last))| UseSummary {
            client,
            purpose,
            basis,
            releases,
            first,
            last,
        };
        let recipients = self.recipients_of(&schema.dataset, whose.0)?;
        Ok(UsesCounted { uses: counted.into_iter().map(summary).collect(), audiences, recipients })
    }

    fn each_use(
        &self,
        schema: &Schema,
        timeline: &Timeline,
        whose: (u32, &[Through]),
        mut each: impl FnMut(ReleaseUse),
    ) -> Result<Vec<AudienceUse>, VaultError> {
        let needle = format!("\"dataset\":\"{}\"", schema.dataset);
        let end = self.durable_sizes()?.of(Tree::Access);
        let mut closes: HashMap<EpochId, Timestamp> = HashMap::new();
        let mut asked: HashMap<u64, Asked> = HashMap::new();
        let mut deliveries = Deliveries::new();
        for entry in self.log.scan(Tree::Access, 0, end) {
            let (index, bytes) = entry?;
            if !std::str::from_utf8(&bytes).is_ok_and(|text| text.contains(&needle)) {
                continue;
            }
            let leaf = Leaf::parse(&bytes)?;
            if leaf.dataset.as_ref() != Some(&schema.dataset) || leaf.decision != Some(Decision::Permit) {
                continue;
            }
            match leaf.kind {
                Kind::Epoch => {
                    leaf.epoch.map(|epoch| closes.insert(epoch, leaf.t));
                }
                Kind::Intent => {
                    asked.insert(index, Asked::of(&leaf, allows(timeline, &closes, &leaf)));
                }
                Kind::Outcome => {
                    if let Some(asked) = leaf.of.and_then(|of| asked.get_mut(&of)) {
                        asked.allowed |= allows(timeline, &closes, &leaf);
                    }
                    release(&asked, index, &leaf).into_iter().for_each(&mut each);
                }
                Kind::Audience => {
                    if let Some(holder) = holder_of(&leaf) {
                        deliveries.entry(holder).or_default().push_back((leaf.t, index));
                    }
                }
                _ => {}
            }
        }
        self.audiences_with(&schema.dataset, whose, deliveries)
    }

    fn audiences_with(
        &self,
        dataset: &DatasetId,
        (ordinal, through): (u32, &[Through]),
        mut deliveries: Deliveries,
    ) -> Result<Vec<AudienceUse>, VaultError> {
        let state = self.lock()?;
        let mut found = Vec::new();
        for (holder, audiences) in &state.shared.held {
            let Some((partner, purpose, of, epoch)) = parts(holder) else { continue };
            if of != dataset.as_str() {
                continue;
            }
            let mut delivered = deliveries.remove(holder).unwrap_or_default();
            for audience in audiences {
                let when = delivered.pop_front();
                let members = decode(&audience.members);
                let members = members.ok_or_else(|| VaultError::damaged("held audience", "it does not parse"))?;
                let stood = |(primary, since, until): &Through| {
                    let while_it_did = |at: Timestamp| *since <= at && until.is_none_or(|until| at < until);
                    members.contains(*primary) && when.is_some_and(|(at, _)| while_it_did(at))
                };
                if members.contains(ordinal) || through.iter().any(stood) {
                    let (partner, purpose, tags) = (partner.clone(), purpose.clone(), audience.tags.clone());
                    found.push(AudienceUse { partner, purpose, tags, epoch, delivered: when });
                }
            }
        }
        found.sort_by_key(|audience| audience.delivered);
        Ok(found)
    }

    fn recipients_of(&self, dataset: &DatasetId, ordinal: u32) -> Result<Vec<PastRecipient>, VaultError> {
        let state = self.lock()?;
        let mut found = Vec::new();
        for (whose, deliveries) in state.shared.past.iter().filter(|(whose, _)| is_of(whose, dataset.as_str())) {
            let people = deliveries.people();
            let people = people.ok_or_else(|| VaultError::damaged("held audience", "it does not parse"))?;
            let mut names = whose.split('/');
            let partner = names.next().and_then(|name| PartnerId::new(name).ok());
            let purpose = names.next().and_then(|name| PurposeId::new(name).ok());
            if let Some((partner, purpose)) = partner.zip(purpose).filter(|_| people.contains(ordinal)) {
                let (tags, first, last) =
                    (deliveries.tags.iter().copied().collect(), deliveries.first, deliveries.last);
                found.push(PastRecipient { partner, purpose, tags, first, last });
            }
        }
        Ok(found)
    }
}

impl Asked {
    fn of(leaf: &Leaf, allowed: bool) -> Self {
        Self {
            fields: leaf.fields.keys().map(|path| path.as_str().to_owned()).collect(),
            question: leaf.what.as_ref().map(|what| what.as_str().to_owned()).unwrap_or_default(),
            allowed,
        }
    }
}

/// Says whether a question's people could include this person. An epoch whose close the log does not show is no obstacle.
fn allows(timeline: &Timeline, closes: &HashMap<EpochId, Timestamp>, leaf: &Leaf) -> bool {
    let (Some(purpose), Some(basis), Some(epoch)) = (&leaf.purpose, leaf.basis, leaf.epoch) else { return false };
    let closed = closes.get(&epoch).copied().unwrap_or(leaf.t);
    timeline.allowed(purpose, basis, closed) && timeline.allowed(purpose, basis, leaf.t)
}

fn release(asked: &HashMap<u64, Asked>, index: u64, leaf: &Leaf) -> Option<ReleaseUse> {
    let question = asked.get(&leaf.of?).filter(|question| question.allowed)?;
    Some(ReleaseUse {
        client: leaf.client.clone()?,
        purpose: leaf.purpose.clone()?,
        basis: leaf.basis?,
        question: question.question.clone(),
        fields: question.fields.clone(),
        at: leaf.t,
        leaf: index,
        repeated: leaf
            .what
            .as_ref()
            .is_some_and(|what| what.as_str() == STORED || what.as_str().starts_with(FROM_SYNOPSIS)),
    })
}

/// Returns who holds what a delivery leaf is about, as deliveries name it.
fn holder_of(leaf: &Leaf) -> Option<String> {
    let (partner, purpose) = (leaf.partner.as_ref()?, leaf.purpose.as_ref()?);
    Some(format!("{partner}/{purpose}/{}/{}", leaf.dataset.as_ref()?, leaf.epoch?))
}

/// Splits a holder's name: partner, purpose, dataset, epoch.
fn parts(holder: &str) -> Option<(PartnerId, PurposeId, &str, EpochId)> {
    let mut parts = holder.split('/');
    let (partner, purpose) = (PartnerId::new(parts.next()?).ok()?, PurposeId::new(parts.next()?).ok()?);
    let (dataset, epoch) = (parts.next()?, parts.next()?.parse().ok()?);
    Some((partner, purpose, dataset, EpochId(epoch)))
}
