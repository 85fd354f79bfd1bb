//! What one person can ask about themselves, and what they get.
//!
//! The parts of a package hold clear values: the only types of this crate that do and leave it. They are made for a permit
//! that names that very person; their values are wiped when they are dropped, and print nothing of themselves. Whoever
//! writes one into a message has a copy that is not wiped.

use crate::erasure::ErasureReceipt;
use crate::holds::Hold;
use crate::ingest::Value;
use parking_lot::{ArcRwLockReadGuard, RawRwLock};
use policy::consent::{ConsentEvent, LawfulBasis};
use policy::id::{ClientId, EpochId, PartnerId, PurposeId};
use policy::schema::{ColumnId, EventTypeId, FieldRef, IdentityKind, Schema};
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroize;

/// Days in which a request has to be answered: the shortest month.
pub const DEADLINE_DAYS: i64 = 28;

/// What a person asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// To see what is held.
    Access,
    /// To have it corrected.
    Rectification,
    /// To have its use restricted.
    Restriction,
    /// To have a restriction lifted.
    Lifting,
    /// To object to a purpose.
    Objection,
    /// To have another subject of the dataset known to be the same person.
    Linking,
    /// To have that ended; also what a withdrawal of consent to linking does.
    Unlinking,
}

impl Right {
    /// Returns the words of its leaves.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Access => "access package",
            Self::Rectification => "rectification",
            Self::Restriction => "restriction",
            Self::Lifting => "lifting of a restriction",
            Self::Objection => "objection",
            Self::Linking => "linking",
            Self::Unlinking => "unlinking",
        }
    }
}

/// A request of one person that was fulfilled, as it is kept beside that person's consents: sealed, and erased with them.
///
/// Of a rectification it says which attributes and when. The old values are kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RightsEvent {
    /// What was asked for.
    pub right: Right,
    /// When it was taken up.
    pub received: Timestamp,
    /// When it was done.
    pub done: Timestamp,
    /// Index of the leaf in the subject tree that says it was taken up.
    pub intent: u64,
    /// Attributes corrected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnId>,
    /// The purpose objected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<PurposeId>,
    /// The link made or ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkSide>,
}

impl RightsEvent {
    /// Begins an event that was taken up and done at one instant.
    pub(crate) fn new(right: Right, intent: u64, at: Timestamp) -> Self {
        Self { right, received: at, done: at, intent, columns: Vec::new(), purpose: None, link: None }
    }
}

/// A link as one of its two sides keeps it. Says of the other side only by which kind of identifier it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkSide {
    /// Index of the leaf in the subject tree that names the link: the first of those that say it was made.
    pub link: u64,
    /// Kind of the other side's identifier; not said where the link ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<IdentityKind>,
    /// In the line of the secondary: the primary's ordinal, and what marks the secondary's events among the primary's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<(u32, u8)>,
}

/// A link that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLink {
    /// Whether this person is the one that stands for both.
    pub primary: bool,
    /// Kind of the other side's identifier.
    pub other: IdentityKind,
    /// Since when.
    pub since: Timestamp,
    /// Index of the leaf in the subject tree that names it.
    pub leaf: u64,
}

/// A fulfilled request and where the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fulfilled {
    /// The request.
    pub event: RightsEvent,
    /// Index of the leaf in the subject tree that says it was fulfilled.
    pub outcome: u64,
}

impl Fulfilled {
    /// Returns by when it had to be done.
    pub fn deadline(&self) -> Timestamp {
        deadline(self.event.received)
    }
}

fn deadline(received: Timestamp) -> Timestamp {
    Timestamp(received.0.saturating_add(DEADLINE_DAYS * 86_400 * 1_000_000))
}

/// A leaf of the subject tree with the proof that it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenLeaf {
    /// Its index.
    pub index: u64,
    /// The leaf as it is hashed.
    pub json: String,
    /// C2SP tlog-proof that it is in the subject tree.
    pub proof: String,
}

/// An erasure, with what proves it and whether anything is still found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureReport {
    /// What was done.
    pub receipt: ErasureReceipt,
    /// The receipt as its outcome leaf commits to it.
    pub json: String,
    /// The leaves that say it was taken up, one a person.
    pub intents: Vec<ProvenLeaf>,
    /// The leaf that says it was done.
    pub outcome: ProvenLeaf,
    /// Whether a look-up of every key, and a count of their rows, found nothing, but for what the receipt says is held.
    pub confirmed: bool,
    /// The leaf that says so.
    pub confirmation: ProvenLeaf,
    /// The key that the proofs are signed with, to be compared with the one that the operator publishes.
    pub verifier_key: String,
}

impl ErasureReport {
    /// Returns by when it had to be done.
    pub fn deadline(&self) -> Timestamp {
        deadline(self.receipt.at)
    }
}

/// One line of a person's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Happened {
    /// A request.
    Rights(RightsEvent),
    /// A consent event.
    Consent(ConsentEvent),
}

/// One event of a person. Redacted, wiped on drop.
pub struct HeldEvent {
    /// When.
    pub at: Timestamp,
    /// The id it was ingested under.
    pub id: u64,
    /// One value for each column of its type that is shown.
    pub values: Vec<Value>,
}

impl Drop for HeldEvent {
    fn drop(&mut self) {
        self.at.0.zeroize();
        self.id.zeroize();
    }
}

impl std::fmt::Debug for HeldEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeldEvent(..)")
    }
}

/// Events of one type, some of a person's, oldest first.
#[derive(Debug)]
pub struct HeldEvents {
    /// Which type.
    pub event: EventTypeId,
    /// The events.
    pub rows: Vec<HeldEvent>,
}

/// A type of event that is shown to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldType {
    /// Which.
    pub event: EventTypeId,
    /// Which of its fields are shown.
    pub columns: Vec<ColumnId>,
    /// How many of the person's events are held.
    pub count: u64,
}

/// A consent event of a person and where the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldConsent {
    /// What happened.
    pub event: ConsentEvent,
    /// Index of its leaf in the subject tree.
    pub leaf: u64,
    /// When the gateway received it.
    pub received: Timestamp,
    /// The version of the notice that was in force then, as the leaf says; none if the dataset's description named none.
    pub in_force: Option<String>,
}

/// Whether a person may be used for a purpose on a basis, restriction aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// For what.
    pub purpose: PurposeId,
    /// On which basis.
    pub basis: LawfulBasis,
    /// Whether it holds now.
    pub allowed: bool,
}

/// A release that was made while a person allowed its purpose. Says nothing about whether the person matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseUse {
    /// Who got it.
    pub client: ClientId,
    /// For what.
    pub purpose: PurposeId,
    /// On which basis.
    pub basis: LawfulBasis,
    /// The question in public words: `portrait`.
    pub question: String,
    /// Fields it touched, as written.
    pub fields: Vec<String>,
    /// When.
    pub at: Timestamp,
    /// Index of its leaf in the access tree.
    pub leaf: u64,
    /// Whether an answer drawn earlier was given again.
    pub repeated: bool,
}

/// An audience that was delivered with a person in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudienceUse {
    /// To whom.
    pub partner: PartnerId,
    /// For what.
    pub purpose: PurposeId,
    /// Fields delivered with it, generalized.
    pub tags: Vec<FieldRef>,
    /// The closed epoch it was read from.
    pub epoch: EpochId,
    /// When, and the index of its leaf in the access tree.
    pub delivered: Option<(Timestamp, u64)>,
}

/// A partner that got audiences with a person in them in epochs that are over. In which of them the person was, and with
/// which of the tags, is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRecipient {
    /// To whom.
    pub partner: PartnerId,
    /// For what.
    pub purpose: PurposeId,
    /// Fields delivered with any of them, generalized.
    pub tags: Vec<FieldRef>,
    /// The first of the closed epochs they were read from.
    pub first: EpochId,
    /// The last.
    pub last: EpochId,
}

/// Who used a person's data.
#[derive(Debug, Default)]
pub struct Uses {
    /// Releases, oldest first.
    pub releases: Vec<ReleaseUse>,
    /// Audiences of the epoch that is served, and of the one before it until the next close.
    pub audiences: Vec<AudienceUse>,
    /// Who got audiences before.
    pub recipients: Vec<PastRecipient>,
}

/// Keeps withdrawals, objections and erasures from returning while it is held: hold it until what it guards is with the
/// transport.
pub struct OnItsWay {
    pub(crate) _fence: ArcRwLockReadGuard<RawRwLock, ()>,
}

impl std::fmt::Debug for OnItsWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnItsWay")
    }
}

/// Releases of one client for one purpose on one basis, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseSummary {
    /// Who got them.
    pub client: ClientId,
    /// For what.
    pub purpose: PurposeId,
    /// On which basis.
    pub basis: LawfulBasis,
    /// How many.
    pub releases: u64,
    /// When the first was made.
    pub first: Timestamp,
    /// When the last was.
    pub last: Timestamp,
}

/// What a package begins with: all that is never long. Redacted; values are wiped on drop.
pub struct AccessHead {
    /// The dataset's description: names, words, types, retention.
    pub schema: Arc<Schema>,
    /// By which kind of identifier the person is known.
    pub known_by: IdentityKind,
    /// Its value, if it is not the subject key, which is among the attributes.
    pub identifier: Option<Value>,
    /// Subjects of the dataset that are known to be the same person.
    pub links: Vec<HeldLink>,
    /// Attributes that are shown, identifiers included, with their values.
    pub attributes: Vec<(ColumnId, Value)>,
    /// For values among them that are kept for some days only, the last UTC day of those, in days since 1970-01-01: the value
    /// goes when the first epoch closes after it. Not for a value whose days begin with the next close.
    pub kept_until: BTreeMap<ColumnId, i32>,
    /// Types of events that are shown, in the order in which the events come.
    pub types: Vec<HeldType>,
    /// For every purpose of the dataset and every basis.
    pub standings: Vec<Standing>,
    /// Whether the use of the data is restricted now.
    pub restricted: bool,
    /// What would outlive an erasure, since a law says it must be kept.
    pub holds: Vec<Hold>,
    /// Who used it, counted.
    pub uses: Vec<UseSummary>,
    /// Who got audiences before those that partners hold.
    pub recipients: Vec<PastRecipient>,
    /// Fields that a policy keeps from the person.
    pub withheld: Vec<FieldRef>,
}

impl std::fmt::Debug for AccessHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessHead(..)")
    }
}

/// Lines of a person's history, some of them.
#[derive(Debug, Default)]
pub struct AccessRecords {
    /// What the person agreed to and took back, in the order received.
    pub consents: Vec<HeldConsent>,
    /// Audiences that were delivered with the person.
    pub audiences: Vec<AudienceUse>,
    /// Earlier requests, oldest first.
    pub requests: Vec<Fulfilled>,
}

impl AccessRecords {
    /// Says whether there is none.
    pub fn is_empty(&self) -> bool {
        self.consents.is_empty() && self.audiences.is_empty() && self.requests.is_empty()
    }
}

/// What a package ends with.
#[derive(Debug)]
pub struct AccessEnd {
    /// This request.
    pub request: Fulfilled,
    /// Whether what is held changed while it was read: then the parts are not of one moment.
    pub changed: bool,
}

/// A part of an access package, in the order in which they come.
#[derive(Debug)]
pub enum AccessPart {
    /// The beginning, once.
    Head(AccessHead),
    /// History, in some parts or none.
    Records(AccessRecords),
    /// Events, in some parts or none: type after type, oldest first.
    Events(HeldEvents),
    /// The end, once: without it the package is not whole.
    End(AccessEnd),
}

/// A consent event with what proves that the log has it, and has it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenConsent {
    /// The event.
    pub consent: HeldConsent,
    /// The event as its leaf commits to it.
    pub committed: String,
    /// What opens the commitment, beside the event.
    pub salt: [u8; 32],
    /// Its leaf.
    pub leaf: ProvenLeaf,
}

/// A person's consent receipts.
#[derive(Debug)]
pub struct ConsentReceipts {
    /// The dataset's description.
    pub schema: Arc<Schema>,
    /// In the order received.
    pub receipts: Vec<ProvenConsent>,
    /// The key that the proofs are signed with, to be compared with the one that the operator publishes.
    pub verifier_key: String,
    /// Held until they are with the transport.
    pub on_its_way: OnItsWay,
}

/// Who used a person's data, on its way to that person.
#[derive(Debug)]
pub struct UsesReport {
    /// The uses.
    pub uses: Uses,
    /// The dataset's description, for the names of fields.
    pub schema: Arc<Schema>,
    /// Held until they are with the transport.
    pub on_its_way: OnItsWay,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_history_of_version_1_stay_readable() {
        let rights = r#"{"right":"rectification","received":5,"done":6,"intent":7,"columns":[3]}"#;
        let consent = r#"{"act":"give","at":1,"basis":"consent","expires":null,"purpose":"a.b","source":"till"}"#;
        let read = |text: &str| serde_json::from_str::<Happened>(text).unwrap();
        assert!(matches!(read(rights), Happened::Rights(event) if event.columns == [ColumnId(3)] && event.intent == 7));
        assert!(matches!(read(consent), Happened::Consent(event) if event.source == "till"));
        for text in [rights, consent] {
            assert_eq!(serde_json::to_string(&read(text)).unwrap(), text);
        }
    }
}
