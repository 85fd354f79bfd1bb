//! Consent of one subject: immutable events, folded into a state. Missing, unknown, expired and withdrawn all mean no.
//!
//! Each purpose has at most one mark for each basis: given (with its times) or withdrawn. A question walks from its
//! purpose up the tree, and the first mark for its basis decides; a particular mark outweighs a general one.
//! - `Give` marks its purpose for its basis. Marks below stay: who refused a part and later agrees to the whole has
//!   still refused the part.
//! - `Withdraw` clears what was given on every purpose below, and marks its purpose withdrawn on every basis. A later
//!   `Give` lifts this for its own basis only: an objection to a legitimate interest outlives a new consent.
//! - Events may arrive late. One older than the newest of its purpose changes nothing, and neither does a `Give` that
//!   is not newer than a `Withdraw` of its purpose or of one above. At the same instant `Withdraw` wins.
//!
//! An event is one of a record of ISO/IEC TS 27560, whose mandatory fields are met so: purpose, event time, validity, event
//! type and state, and what the source says of notice, language and method, by the event; record, principal and entity
//! ids and the notice in force by its leaf in the log; parties, storage, jurisdiction and withdrawal method by
//! `[controller]` and `[notice]` of the schema, PII information and retention by its fields; recipients by the purpose. The
//! table is in `deploy/datasets/README.md`.
//!
//! Not here: whether a purpose exists, and whether an event's time is believable. The caller refuses events dated in
//! the future: one would make every honest later event look late, withdrawals included.

mod collected;

pub use collected::{CollectionMethod, InvalidLabel, LanguageTag, NoticeVersion};

use crate::id::PurposeId;
use crate::purpose::{covers, lineage};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A lawful basis for a use. Each plan names exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LawfulBasis {
    /// The subject agreed.
    Consent,
    /// Needed for a contract with the subject.
    Contract,
    /// A legitimate interest that the subject has not objected to.
    LegitimateInterest,
}

impl LawfulBasis {
    /// All bases, in a fixed order.
    pub const ALL: [Self; 3] = [Self::Consent, Self::Contract, Self::LegitimateInterest];

    /// Returns the name in rules and in the log: `legitimate_interest`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Contract => "contract",
            Self::LegitimateInterest => "legitimate_interest",
        }
    }
}

/// What happened to a subject's consent for a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentAct {
    /// The subject agreed (or the contract or interest was recorded), until `expires`.
    Give,
    /// The subject took it back: ends consent on every basis, for this purpose and all under it, and counts as an
    /// objection.
    Withdraw,
}

/// One consent event of one subject. Its fields are in the order of their names, so that its JSON is canonical: leaves
/// commit to it. Those that a record need not have are absent from it then, so that old records keep their bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConsentEvent {
    /// What happened.
    pub act: ConsentAct,
    /// When it happened, by the source's clock. An event older than the newest one of its purpose changes nothing.
    pub at: Timestamp,
    /// On which basis. Ignored by [`ConsentAct::Withdraw`].
    pub basis: LawfulBasis,
    /// First instant at which a `Give` no longer holds.
    pub expires: Option<Timestamp>,
    /// In which language the person was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<LanguageTag>,
    /// How it was collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<CollectionMethod>,
    /// Which version of the notice the person was shown. Absent, it is the one in force when the event was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<NoticeVersion>,
    /// What for. Must be a purpose of the schema or an ancestor of one.
    pub purpose: PurposeId,
    /// Where it was collected, a public label: `checkout-form-3`. At most 63 characters.
    pub source: String,
}

/// What one subject has decided, folded from its events. Small: a few dozen bytes for each purpose it decided on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConsentState {
    /// Sorted by purpose.
    nodes: Vec<Node>,
}

/// The decisions on one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    #[serde(rename = "p")]
    purpose: PurposeId,
    /// Time of the newest event applied to this purpose.
    #[serde(rename = "n")]
    newest: Timestamp,
    /// Time of the newest withdrawal of this purpose, kept after it was lifted, to recognise gives that come late.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    withdrawn: Option<Timestamp>,
    /// At most one for each basis.
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    marks: Vec<(LawfulBasis, Mark)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Mark {
    /// Given at, and until.
    #[serde(rename = "g")]
    Given(Timestamp, Option<Timestamp>),
    #[serde(rename = "w")]
    Withdrawn,
}

impl Node {
    fn mark(&self, basis: LawfulBasis) -> Option<Mark> {
        self.marks.iter().find(|(on, _)| *on == basis).map(|(_, mark)| *mark)
    }
}

impl ConsentState {
    /// Applies an event. Returns whether it counted; one that came too late changes nothing.
    pub fn apply(&mut self, event: &ConsentEvent) -> bool {
        if self.node(event.purpose.as_str()).is_some_and(|node| event.at < node.newest) {
            return false;
        }
        match event.act {
            ConsentAct::Give => {
                let overruled = |node: &Node| node.withdrawn.is_some_and(|withdrawn| event.at <= withdrawn);
                if lineage(&event.purpose).filter_map(|purpose| self.node(purpose)).any(overruled) {
                    return false;
                }
                let node = self.node_mut(&event.purpose, event.at);
                node.marks.retain(|(basis, _)| *basis != event.basis);
                node.marks.push((event.basis, Mark::Given(event.at, event.expires)));
                node.marks.sort_unstable_by_key(|(basis, _)| *basis);
            }
            ConsentAct::Withdraw => {
                for node in self.nodes.iter_mut().filter(|node| covers(&event.purpose, &node.purpose)) {
                    node.marks.retain(|(_, mark)| *mark == Mark::Withdrawn);
                }
                let node = self.node_mut(&event.purpose, event.at);
                node.withdrawn = Some(event.at);
                node.marks = LawfulBasis::ALL.map(|basis| (basis, Mark::Withdrawn)).to_vec();
            }
        }
        true
    }

    /// Decides whether the subject may be used for a purpose on a basis.
    pub fn allows(&self, purpose: &PurposeId, basis: LawfulBasis, now: Timestamp) -> bool {
        match lineage(purpose).find_map(|purpose| self.node(purpose)?.mark(basis)) {
            Some(Mark::Given(at, expires)) => at <= now && expires.is_none_or(|expires| now < expires),
            Some(Mark::Withdrawn) | None => false,
        }
    }

    /// Returns the first instant after `now` at which an answer of [`Self::allows`] may change by itself: something
    /// given begins or expires.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let marks = self.nodes.iter().flat_map(|node| &node.marks);
        let instants = marks.flat_map(|(_, mark)| match mark {
            Mark::Given(at, expires) => [Some(*at), *expires],
            Mark::Withdrawn => [None, None],
        });
        instants.flatten().filter(|instant| *instant > now).min()
    }

    /// Returns whether the subject has never decided anything.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    fn node(&self, purpose: &str) -> Option<&Node> {
        let at = self.nodes.binary_search_by(|node| node.purpose.as_str().cmp(purpose)).ok()?;
        self.nodes.get(at)
    }

    /// Returns the node of a purpose, new or not, with its newest time moved on.
    fn node_mut(&mut self, purpose: &PurposeId, at: Timestamp) -> &mut Node {
        let fresh = || Node { purpose: purpose.clone(), newest: at, withdrawn: None, marks: Vec::new() };
        let place = match self.nodes.binary_search_by(|node| node.purpose.cmp(purpose)) {
            Ok(place) => place,
            Err(place) => {
                self.nodes.insert(place, fresh());
                place
            }
        };
        #[expect(clippy::indexing_slicing, reason = "found or inserted here")]
        let node = &mut self.nodes[place];
        node.newest = at;
        node
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
