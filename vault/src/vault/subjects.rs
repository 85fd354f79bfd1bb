//! What a portal does for one person: access, rectification, restriction, objection.
//!
//! Guarantees: a permit that names this very person; that the request was taken up, and how it ended, are leaves of the
//! subject tree, durable before anything is shown or said to be done; once a restriction or an objection has returned, no
//! noise drawn and no row emitted afterwards uses the person. Each fulfilled request is kept beside the person's consents,
//! sealed, and is erased with the person.
//!
//! Choices. A rectification sets attributes; the old value stays in the closed epoch until the next close, and then nowhere:
//! the history says only which attribute was corrected and when. Events are what a source reported under an id and are not
//! rewritten: erase the person, or have the source report a correcting event. An objection is a withdrawal for that purpose
//! on every basis. A person of whom nothing is held is refused like a field that does not exist.

mod access;
mod person;
mod probe;
mod receipts;
mod uses;
mod waiting;

pub use access::AccessReading;
pub(super) use person::Source;
pub(super) use waiting::AllWaiting;

use super::commit::Outgoing;
use super::state::{Dataset, State};
use super::write::{Gathered, dataset_of, leaf_of, place, refuse, require};
use super::{Tree, Vault, VaultError};
use crate::fold::set_day::SetDay;
use crate::ingest::{self, Record, SubjectKey, Value};
use crate::log::{Decision, Kind, Leaf};
use crate::pseudonym;
use crate::subjects::{Fulfilled, OnItsWay, Right, RightsEvent};
use crate::wal::Ticket;
use parking_lot::RwLock;
use policy::consent::{ConsentAct, ConsentEvent, LawfulBasis};
use policy::decide::Reason;
use policy::id::PurposeId;
use policy::permit::{Permit, Verb};
use policy::schema::ColumnId;
use policy::time::Timestamp;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Where objections are said to come from.
const SOURCE: &str = "portal";

/// What a request writes besides its own leaves and its line of history.
enum Effect {
    /// Attribute values.
    Values(Vec<(ColumnId, Value)>),
    /// A limit of use, set or lifted.
    Limit,
    /// A withdrawal.
    Withdrawal(PurposeId),
}

/// A request about one person that is in the log and not answered yet.
struct TakenUp {
    number: u32,
    ordinal: u32,
    hidden: Zeroizing<[u8; 32]>,
    /// Its leaf in the subject tree.
    intent: u64,
    received: Timestamp,
}

impl Vault {
    /// Corrects attributes of a person; `Value::Missing` empties one. The subject key can't be corrected.
    pub fn rectify_subject(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        values: Vec<(ColumnId, Value)>,
        now: Timestamp,
    ) -> Result<Fulfilled, VaultError> {
        require(permit, &[Verb::RectifySubject])?;
        self.fulfill(permit, subject, Right::Rectification, Effect::Values(values), now)
    }

    /// Takes a person out of every release, audience and segment from here on, whatever the person agreed to.
    pub fn restrict_subject(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        now: Timestamp,
    ) -> Result<Fulfilled, VaultError> {
        require(permit, &[Verb::RestrictSubject])?;
        self.fulfill(permit, subject, Right::Restriction, Effect::Limit, now)
    }

    /// Lifts a restriction; answers use the person again from the next epoch on.
    pub fn unrestrict_subject(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        now: Timestamp,
    ) -> Result<Fulfilled, VaultError> {
        require(permit, &[Verb::RestrictSubject])?;
        self.fulfill(permit, subject, Right::Lifting, Effect::Limit, now)
    }

    /// Withdraws a person for a purpose and all under it, on every basis.
    pub fn object_to_purpose(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        purpose: &PurposeId,
        now: Timestamp,
    ) -> Result<Fulfilled, VaultError> {
        require(permit, &[Verb::RestrictSubject])?;
        self.fulfill(permit, subject, Right::Objection, Effect::Withdrawal(purpose.clone()), now)
    }

    /// Writes a request that needs no reading: its intent, its effect and its outcome are one frame.
    fn fulfill(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        right: Right,
        effect: Effect,
        now: Timestamp,
    ) -> Result<Fulfilled, VaultError> {
        let mut state = self.lock()?;
        // A clock that stepped back must not make an objection look late.
        state.latest = state.latest.max(now);
        let now = state.latest;
        let (number, ordinal) = find(&mut state, permit, subject)?;
        let hidden = Zeroizing::new(dataset_of(&mut state, permit)?.hidden(ordinal)?);
        check(dataset_of(&mut state, permit)?, &effect, now)?;
        let intent = self.next_leaf(Tree::Subject);
        let mut event = RightsEvent::new(right, intent, now);
        match &effect {
            Effect::Values(values) => event.columns = values.iter().map(|(column, _)| *column).collect(),
            Effect::Withdrawal(purpose) => event.purpose = Some(purpose.clone()),
            Effect::Limit => {}
        }
        let mut gathered = Gathered::default();
        gathered.hidden.insert(ordinal, hidden.clone());
        gathered.leaves.push(rights_leaf(permit, Kind::Intent, right.words(), &hidden, now).to_json().into_bytes());
        let dataset = dataset_of(&mut state, permit)?;
        dataset.take_effect(permit, subject, ordinal, effect, intent, now, &mut gathered)?;
        let done = dataset.conclude(permit, ordinal, &hidden, event, intent, now, &mut gathered);
        let done = self.poison_on_error(Ok(done))?;
        let ticket = self.commit(&mut state, outgoing(gathered, number))?;
        drop(state);
        ticket.wait()?;
        self.fence();
        Ok(done)
    }

    /// Takes up a request that reads: nothing about this person returns as ended while what is returned beside it is held.
    fn take_up(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        what: &str,
        now: Timestamp,
    ) -> Result<(TakenUp, OnItsWay), VaultError> {
        require(permit, &[Verb::AccessSubject])?;
        let on_its_way = on_its_way(&self.fence);
        let mut state = self.lock()?;
        let now = state.latest.max(now);
        let (number, ordinal) = find(&mut state, permit, subject)?;
        let hidden = Zeroizing::new(dataset_of(&mut state, permit)?.hidden(ordinal)?);
        let intent = self.next_leaf(Tree::Subject);
        let leaf = rights_leaf(permit, Kind::Intent, what, &hidden, now);
        self.log_rights(state, leaf)?.wait()?;
        Ok((TakenUp { number, ordinal, hidden, intent, received: now }, on_its_way))
    }

    /// Logs how a request that reads ended. What is returned without an error may be shown.
    fn conclude_reading(
        &self,
        permit: &Permit,
        taken: &TakenUp,
        what: &str,
        failed: Option<&VaultError>,
    ) -> Result<(), VaultError> {
        let leaf = rights_leaf(permit, Kind::Outcome, what, &taken.hidden, taken.received);
        let mut leaf = Leaf { of: Some(taken.intent), ..leaf };
        if failed.is_some() {
            leaf.decision = Some(Decision::Refuse);
            leaf.reason = Some(Reason::Internal.into());
        }
        let state = self.lock()?;
        Ok(self.log_rights(state, leaf)?.wait()?)
    }

    fn log_rights(&self, mut state: parking_lot::MutexGuard<'_, State>, leaf: Leaf) -> Result<Ticket, VaultError> {
        let leaves = vec![(Tree::Subject, leaf.to_json().into_bytes())];
        self.commit(&mut state, Outgoing { leaves, ..Outgoing::default() })
    }
}

/// Keeps erasures, objections and restrictions from returning while it is held.
fn on_its_way(fence: &Arc<RwLock<()>>) -> OnItsWay {
    OnItsWay { _fence: RwLock::read_arc(fence) }
}

/// Finds the person a permit names; refuses a permit for another person, and a person of whom nothing is held.
fn find(state: &mut State, permit: &Permit, subject: &SubjectKey) -> Result<(u32, u32), VaultError> {
    if !permit.is_about(subject.expose()) {
        return refuse(Reason::PurposeDenied, "this permit is about another person", "ask for this person's permit");
    }
    let dataset = dataset_of(state, permit)?;
    match dataset.index.find(dataset.index.tag(subject.expose())) {
        Some(ordinal) => Ok((dataset.number, ordinal)),
        None => refuse(Reason::FieldUnavailable, "there is no such subject in this dataset", "check the key"),
    }
}

/// Checks all that could be wrong with an effect before anything changes.
fn check(dataset: &Dataset, effect: &Effect, now: Timestamp) -> Result<(), VaultError> {
    let found = match effect {
        Effect::Limit => Ok(()),
        Effect::Values(values) => ingest::check_correction(&dataset.schema, values),
        Effect::Withdrawal(purpose) => ingest::check_consent(&dataset.schema, &withdrawal(purpose, now), now),
    };
    found.or_else(|problem| {
        refuse(Reason::SchemaMismatch, problem.to_string(), "compare the request with the person's access package")
    })
}

fn withdrawal(purpose: &PurposeId, now: Timestamp) -> ConsentEvent {
    ConsentEvent {
        purpose: purpose.clone(),
        // Ignored: a withdrawal is on every basis.
        basis: LawfulBasis::Consent,
        act: ConsentAct::Withdraw,
        at: now,
        expires: None,
        language: None,
        method: None,
        notice: None,
        source: SOURCE.to_owned(),
    }
}

/// Begins a leaf about a request of one person.
pub(super) fn rights_leaf(permit: &Permit, kind: Kind, what: &str, hidden: &[u8; 32], now: Timestamp) -> Leaf {
    Leaf { subject_ref: Some(pseudonym::subject_reference(hidden)), ..leaf_of(permit, kind, what, now) }
}

pub(super) fn outgoing(gathered: Gathered, number: u32) -> Outgoing {
    let leaves = gathered.leaves.into_iter().map(|leaf| (Tree::Subject, leaf)).collect();
    let deltas = gathered.blocks.into_iter().map(|(block, delta)| (number, block, delta)).collect();
    Outgoing { leaves, deltas, ..Outgoing::default() }
}

impl Dataset {
    /// Applies a limit of use, or a link, that is in the log.
    pub(super) fn apply_request(&mut self, ordinal: u32, event: &RightsEvent) {
        self.limit(ordinal, event.right);
        self.apply_link(ordinal, event);
    }

    fn limit(&mut self, ordinal: u32, right: Right) {
        match right {
            Right::Restriction => self.consent.restrict(ordinal),
            Right::Lifting => self.consent.unrestrict(ordinal),
            Right::Access | Right::Rectification | Right::Objection | Right::Linking | Right::Unlinking => {}
        }
    }

    /// Gathers what a request writes. An error changed nothing.
    #[expect(clippy::too_many_arguments, reason = "one request, spread out")]
    fn take_effect(
        &mut self,
        permit: &Permit,
        subject: &SubjectKey,
        ordinal: u32,
        effect: Effect,
        first_leaf: u64,
        now: Timestamp,
        gathered: &mut Gathered,
    ) -> Result<(), VaultError> {
        let schema = Arc::clone(&self.schema);
        match effect {
            Effect::Limit => Ok(()),
            Effect::Values(values) => {
                let (block, position) = place(ordinal);
                let values: Vec<_> = values.iter().map(|(column, value)| (column.0, value)).collect();
                gathered.blocks.entry(block).or_default().profile(position, SetDay::of(now), &values);
                Ok(())
            }
            Effect::Withdrawal(purpose) => {
                let consent = withdrawal(&purpose, now);
                let record = Record::Consent { subject: subject.clone(), consent };
                self.gather(&schema, &record, first_leaf, permit, now, gathered)?;
                if gathered.receipt.superseded == 0 {
                    return Ok(());
                }
                // Consents are folded by time, and what came too late counts for nothing: it must not look done.
                refuse(
                    Reason::RequestInvalid,
                    "the person agreed to this at a later time than the gateway's clock shows",
                    "have the operator set the clock, and object again",
                )
            }
        }
    }

    /// Adds the outcome leaf and the line of history, and applies the limit that the request sets.
    #[expect(clippy::too_many_arguments, reason = "one request, spread out")]
    pub(super) fn conclude(
        &mut self,
        permit: &Permit,
        ordinal: u32,
        hidden: &[u8; 32],
        event: RightsEvent,
        first_leaf: u64,
        now: Timestamp,
        gathered: &mut Gathered,
    ) -> Result<Fulfilled, VaultError> {
        let unwritable = || VaultError::damaged("request", "it can't be written");
        let outcome = first_leaf + gathered.leaves.len() as u64;
        let body = serde_json::to_vec(&event).map_err(|_| unwritable())?;
        let mut hash = Sha256::new();
        // Salted with what is the person's own, as consents are.
        hash.update(pseudonym::commitment_salt(hidden, outcome));
        hash.update(&body);
        let leaf = Leaf {
            of: Some(event.intent),
            commit: Some(hash.finalize().into()),
            ..rights_leaf(permit, Kind::Outcome, event.right.words(), hidden, now)
        };
        gathered.leaves.push(leaf.to_json().into_bytes());
        let (block, position) = place(ordinal);
        gathered.blocks.entry(block).or_default().rights(position, outcome, &event).map_err(|_| unwritable())?;
        self.apply_request(ordinal, &event);
        Ok(Fulfilled { event, outcome })
    }
}
