//! The monthly synopsis of a dataset: drawn once a month, and questions answered from it. Proof: [`crate::release`]'s
//! `synopsis`.
//!
//! Guarantees: a month's is charged once, in full, to the population's ledger, before it is drawn: its key is of the month and of
//! what is asked, so a retry after a crash draws under the first INTENT, whatever epochs closed meanwhile, and nobody is given
//! two draws. It stands from the epoch that it was read from until the first close of the next month, and is then never
//! repeated again. Every answer from it is logged before it is given.
//!
//! Charged to no client's quota; the caps of quarter, month and lifetime hold for it as for all others.

use super::commit::Outgoing;
use super::epochs::ClosedEpoch;
use super::release::{Begun, Counting, check_fields, question_leaf};
use super::state::State;
use super::write::{dataset_of, refuse, require};
use super::{Vault, VaultError};
use crate::log::{Kind as Happened, Leaf};
use crate::release::{Answer, Facts, Kind, Offer, Question, Synopsis};
use crate::vault::Tree;
use policy::decide::Reason;
use policy::id::DatasetId;
use policy::permit::{Permit, Role, Verb};
use policy::privacy::Month;
use policy::schema::Schema;
use policy::segment::Segment;
use policy::time::Timestamp;
use std::sync::Arc;

/// What an answer from a synopsis is called in the log, before its month.
pub(super) const FROM_SYNOPSIS: &str = "answer from the synopsis of";

impl Vault {
    /// Returns the month whose synopsis a dataset's description asks for and that was not drawn yet: that of the last closed
    /// epoch's end.
    pub fn synopsis_due(&self, dataset: &DatasetId) -> Option<Month> {
        let state = self.state.lock();
        let number = state.numbers.get(dataset)?;
        let of = state.datasets.get(number).filter(|dataset| dataset.damage.is_none())?;
        of.schema.synopsis.as_ref()?;
        let month = month_of(&of.closed, &of.schema)?;
        let drawn = state.shared.synopses.get(dataset).is_some_and(|synopsis| synopsis.month >= month);
        (!drawn).then_some(month)
    }

    /// Draws the synopsis that is due: charges, scans, draws and keeps it. Says whether it did; what was drawn before is not
    /// drawn again.
    pub fn draw_synopsis(&self, permit: &Permit, now: Timestamp) -> Result<bool, VaultError> {
        require(permit, &[Verb::Release])?;
        if *permit.role() != Role::System {
            return refuse(Reason::PurposeDenied, "only the gateway itself draws a synopsis", "ask a question instead");
        }
        let question = self.synopsis_question(permit)?;
        let (plan, schema) = self.plan_of(permit, &question)?;
        check_fields(permit, &question)?;
        match self.begin_release(permit, &question, &schema, Counting::Synopsis, now)? {
            Begun::Stored(_) => Ok(false),
            Begun::Owed(owed) => self.draw_begun(permit, &question, &plan, &owed, now).map(|_| true),
        }
    }

    /// The question that a description's synopsis is the answer to.
    fn synopsis_question(&self, permit: &Permit) -> Result<Question, VaultError> {
        let mut state = self.lock()?;
        let schema = Arc::clone(&dataset_of(&mut state, permit)?.schema);
        drop(state);
        let declared = schema.synopsis.as_ref();
        let declared = declared.filter(|of| permit.purpose() == Some(&of.purpose) && permit.basis() == Some(of.basis));
        let Some(declared) = declared else {
            return refuse(
                Reason::PurposeDenied,
                "the dataset's description asks for no synopsis for this purpose and basis",
                "name the ones of its `[synopsis]`",
            );
        };
        Ok(Question {
            dataset: schema.dataset.clone(),
            universe: Segment::everyone(),
            segment: Segment::everyone(),
            kind: Kind::Portrait { fields: declared.fields.clone(), window: declared.window },
            rho: declared.rho,
        })
    }

    /// Returns what is public about the synopsis that stands; `None` if none does.
    pub fn synopsis(&self, dataset: &DatasetId) -> Option<Facts> {
        let state = self.state.lock();
        let of = state.datasets.get(state.numbers.get(dataset)?)?;
        let standing = standing(&state, &of.closed, &of.schema)?;
        drop(state);
        Some(standing.facts())
    }

    /// Returns how accurately the synopsis that stands answers a question; `None` if it does not. From public facts alone;
    /// changes nothing.
    pub fn synopsis_offer(&self, permit: &Permit, question: &Question) -> Result<Option<Offer>, VaultError> {
        let mut state = self.lock()?;
        let Some((synopsis, schema)) = standing_for(&mut state, permit, question)? else { return Ok(None) };
        drop(state);
        Ok(synopsis.answer(&schema, question).map(|answer| synopsis.offer(&answer)))
    }

    /// Answers a question from the synopsis that stands, free of charge; `None` if it can't. Logged before it is given.
    pub fn answer_from_synopsis(
        &self,
        permit: &Permit,
        question: &Question,
        now: Timestamp,
    ) -> Result<Option<(Answer, Offer)>, VaultError> {
        let mut state = self.lock()?;
        let Some((synopsis, schema)) = standing_for(&mut state, permit, question)? else { return Ok(None) };
        drop(state);
        let Some(answer) = synopsis.answer(&schema, question) else { return Ok(None) };
        let what = format!("{FROM_SYNOPSIS} {}", synopsis.month);
        let leaf = Leaf { of: Some(answer.leaf), ..question_leaf(permit, question, Happened::Outcome, &what, now) };
        let leaves = vec![(Tree::Access, leaf.to_json().into_bytes())];
        let mut state = self.lock()?;
        let still = standing_for(&mut state, permit, question)?;
        if !still.is_some_and(|(still, _)| Arc::ptr_eq(&still, &synopsis)) {
            return Ok(None);
        }
        let ticket = self.commit(&mut state, Outgoing { leaves, ..Outgoing::default() })?;
        drop(state);
        ticket.wait()?;
        let offer = synopsis.offer(&answer);
        Ok(Some((answer, offer)))
    }
}

/// Returns the month that an epoch's end lies in, by its dataset's calendar; `None` before the first close.
pub(super) fn month_of(closed: &ClosedEpoch, schema: &Schema) -> Option<Month> {
    if closed.info.epoch.0 == 0 { None } else { Month::local(closed.info.as_of, &schema.time_zone) }
}

/// Returns the synopsis that stands: that of the month of the last closed epoch, as long as one is asked for.
fn standing(state: &State, closed: &ClosedEpoch, schema: &Schema) -> Option<Arc<Synopsis>> {
    schema.synopsis.as_ref()?;
    let month = month_of(closed, schema)?;
    state.shared.synopses.get(&schema.dataset).filter(|synopsis| synopsis.month == month).cloned()
}

/// Returns the synopsis that stands for the use of a question, which the permit must allow as any question of it.
fn standing_for(
    state: &mut State,
    permit: &Permit,
    question: &Question,
) -> Result<Option<(Arc<Synopsis>, Arc<Schema>)>, VaultError> {
    require(permit, &[Verb::Release])?;
    if permit.dataset() != Some(&question.dataset) {
        return refuse(Reason::PurposeDenied, "the permit is for another dataset", "ask about the permitted one");
    }
    check_fields(permit, question)?;
    let dataset = dataset_of(state, permit)?;
    let (closed, schema) = (Arc::clone(&dataset.closed), Arc::clone(&dataset.schema));
    let standing = standing(state, &closed, &schema);
    Ok(standing.filter(|of| of.is_for(permit.purpose(), permit.basis())).map(|of| (of, schema)))
}

/// What is kept of a synopsis that was drawn.
pub(super) fn kept(
    permit: &Permit,
    question: &Question,
    month: Month,
    answer: Answer,
) -> Result<Box<Synopsis>, VaultError> {
    let (Some(purpose), Some(basis), Kind::Portrait { fields, window }) =
        (permit.purpose().cloned(), permit.basis(), &question.kind)
    else {
        return Err(VaultError::damaged("synopsis", "it is no portrait for a purpose"));
    };
    Ok(Box::new(Synopsis { month, purpose, basis, fields: fields.clone(), window: *window, answer }))
}
