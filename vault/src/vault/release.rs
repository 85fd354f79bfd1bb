//! Answering a question: stored answers free of charge, or charge, scan, fence, draw, store.
//!
//! Order, each step durable before the next is visible: INTENT with the charge (one leaf, one frame) -> scan -> last
//! consent check and draw under the fence -> OUTCOME with the answer in the same frame -> the caller. A call that dies
//! after its INTENT leaves an answer owed: the retry draws under it, without a second charge, and since no first answer
//! was ever visible, nobody is given two draws for one charge.
//!
//! Where other prices of the question count too ([`Vault::release_or_top_up`]), an answer of a higher price is given free of
//! charge, and then always; and one of a lower price is topped up: the difference is charged, drawn and combined
//! (`crate::release::combine`). What is owed names the answer that it adds to, so a retry adds to that one.

use super::change::Change;
use super::commit::Outgoing;
use super::epochs::ClosedEpoch;
use super::state::State;
use super::synopsis::{kept, month_of};
use super::write::{dataset_of, leaf_of, refuse, require};
use super::{Vault, VaultError};
use crate::answers::{AnswerKey, Known, asked_in, synopses_of};
use crate::blocks::block_of;
use crate::log::{FieldPath, Kind as Happened, Leaf};
use crate::release::{Answer, Drawn, Plan, PlanError, Question, combine, draw, plan, weigh};
use crate::scan::{self, Partial, ScanInput};
use crate::vault::Tree;
use policy::decide::Reason;
use policy::permit::{Permit, Verb};
use policy::privacy::{Caps, Month, NanoRho};
use policy::schema::{DatasetKind, FieldRef, Schema};
use policy::time::Timestamp;
use policy::treatment::Treatment;
use roaring::RoaringBitmap;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How often the blocks of people who withdrew are computed again before the fence is taken.
const ROUNDS: usize = 3;
/// Blocks that can be computed again under the fence: about a millisecond's worth.
const FEW_BLOCKS: usize = 8;

/// A question whose charge is in the log.
pub(super) struct Owed {
    key: AnswerKey,
    /// Where it is kept among the answers.
    asked_in: String,
    /// The month that it is the synopsis of, if it is one.
    month: Option<Month>,
    /// What the question has in common at all prices, if answers of it add up.
    family: Option<AnswerKey>,
    leaf: u64,
    charged: bool,
    /// The stored answer that this adds to.
    base: Option<(AnswerKey, Box<Answer>)>,
    epoch: Arc<ClosedEpoch>,
    schema: Arc<Schema>,
    number: u32,
}

/// An answer being drawn; when this goes, however the draw ended, those who wait for it look again.
struct Drawing<'a> {
    vault: &'a Vault,
    key: &'a AnswerKey,
}

impl Drop for Drawing<'_> {
    fn drop(&mut self) {
        self.vault.state.lock().drawing.remove(self.key.as_str());
        self.vault.drawn.notify_all();
    }
}

/// Which answers of the epoch count for a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    /// Those of its price.
    ThisPrice,
    /// Those of other prices too.
    AnyPrice,
    /// It is the synopsis of the epoch's month, and counts for the whole of it.
    Synopsis,
}

impl Owed {
    /// Returns what is charged for it: the difference to what was charged before.
    fn price(&self, question: &Question) -> NanoRho {
        question.rho.saturating_sub(self.base.as_ref().map_or(NanoRho::ZERO, |(_, base)| base.rho))
    }

    /// Returns what it is called in the log.
    fn word(&self, question: &Question) -> String {
        self.month.map_or_else(|| question.kind.word().to_owned(), |month| format!("synopsis of {month}"))
    }
}

pub(super) enum Begun {
    Stored(Box<Answer>),
    Owed(Owed),
}

impl Vault {
    /// Answers a question: a stored answer free of charge, or charges, scans, draws, stores and returns.
    /// The bool is whether it was charged now.
    pub fn release(&self, permit: &Permit, question: &Question, now: Timestamp) -> Result<(Answer, bool), VaultError> {
        self.answer(permit, question, Counting::ThisPrice, now)
    }

    /// Answers a question likewise, at its price or better: with what a higher price bought in this epoch, free of charge; or
    /// by adding to what a lower one did, for the difference ([`Answer::last_charge`]).
    pub fn release_or_top_up(
        &self,
        permit: &Permit,
        question: &Question,
        now: Timestamp,
    ) -> Result<(Answer, bool), VaultError> {
        self.answer(permit, question, Counting::AnyPrice, now)
    }

    /// Returns what [`Vault::release_or_top_up`] would charge now. From earlier releases alone; changes nothing.
    pub fn quote(&self, permit: &Permit, question: &Question) -> Result<NanoRho, VaultError> {
        require(permit, &[Verb::Release, Verb::Audience])?;
        let (_, schema) = self.plan_of(permit, question)?;
        check_fields(permit, question)?;
        let mut state = self.lock()?;
        let epoch = dataset_of(&mut state, permit)?.closed.info.epoch;
        let (key, asked_in) =
            (AnswerKey::of(permit, question, &schema.hash(), epoch), asked_in(&schema.dataset, epoch));
        if !matches!(state.shared.answers.know(&asked_in, &key), Known::New) {
            return Ok(NanoRho::ZERO);
        }
        let family = AnswerKey::family(permit, question, &schema.hash(), epoch);
        let best = state.shared.answers.best(&asked_in, &family).filter(|_| question.kind.adds_up());
        Ok(question.rho.saturating_sub(best.map_or(NanoRho::ZERO, |(_, best)| best.rho)))
    }

    fn answer(
        &self,
        permit: &Permit,
        question: &Question,
        counting: Counting,
        now: Timestamp,
    ) -> Result<(Answer, bool), VaultError> {
        require(permit, &[Verb::Release, Verb::Audience])?;
        let (plan, schema) = self.plan_of(permit, question)?;
        check_fields(permit, question)?;
        match self.begin_release(permit, question, &schema, counting, now)? {
            Begun::Stored(answer) => Ok((*answer, false)),
            Begun::Owed(owed) => Ok((self.draw_begun(permit, question, &plan, &owed, now)?, owed.charged)),
        }
    }

    /// Draws what is owed; those who wait for it look again however that ends.
    pub(super) fn draw_begun(
        &self,
        permit: &Permit,
        question: &Question,
        plan: &Plan,
        owed: &Owed,
        now: Timestamp,
    ) -> Result<Answer, VaultError> {
        let _drawing = Drawing { vault: self, key: &owed.key };
        self.draw_owed(permit, question, plan, owed, now)
    }

    /// Plans a question without asking it: public numbers only.
    pub fn plan_of(&self, permit: &Permit, question: &Question) -> Result<(Plan, Arc<Schema>), VaultError> {
        if permit.dataset() != Some(&question.dataset) {
            return refuse(Reason::PurposeDenied, "the permit is for another dataset", "ask about the permitted one");
        }
        let mut state = self.lock()?;
        let dataset = dataset_of(&mut state, permit)?;
        let schema = Arc::clone(&dataset.schema);
        if dataset.closed.info.epoch.0 == 0 {
            return refuse(
                Reason::EpochNotClosed,
                "no epoch of this dataset has closed yet, so there is nothing to read",
                "wait for the close of the day, or have a steward close the epoch: `silhouette epoch close`",
            );
        }
        drop(state);
        Ok((planned(&schema, question)?, schema))
    }

    /// Finds the answer, or charges for it. `planned` is the version of the description that the question was planned with.
    pub(super) fn begin_release(
        &self,
        permit: &Permit,
        question: &Question,
        planned: &Arc<Schema>,
        counting: Counting,
        now: Timestamp,
    ) -> Result<Begun, VaultError> {
        let mut state = self.lock()?;
        loop {
            let dataset = dataset_of(&mut state, permit)?;
            if !Arc::ptr_eq(&dataset.schema, planned) {
                return refuse(
                    Reason::SchemaMismatch,
                    "the dataset's description changed while this was asked",
                    "ask again; nothing was charged",
                );
            }
            let (schema, epoch, number) = (Arc::clone(&dataset.schema), Arc::clone(&dataset.closed), dataset.number);
            let (asked_in, key, month) = match counting {
                Counting::Synopsis => {
                    let month = month_of(&epoch, &schema);
                    let month = month.ok_or_else(|| VaultError::damaged("epoch", "its end is in no month"))?;
                    let drawn = state.shared.synopses.get(&schema.dataset).filter(|drawn| drawn.month >= month);
                    if let Some(drawn) = drawn {
                        return Ok(Begun::Stored(Box::new(drawn.answer.clone())));
                    }
                    (synopses_of(&schema.dataset), AnswerKey::of_synopsis(permit, question, month), Some(month))
                }
                Counting::ThisPrice | Counting::AnyPrice => {
                    let key = AnswerKey::of(permit, question, &schema.hash(), epoch.info.epoch);
                    (asked_in(&schema.dataset, epoch.info.epoch), key, None)
                }
            };
            if state.shared.answers.is_reused(permit.client(), permit.request_id(), &key) {
                return refuse(
                    Reason::RequestIdReused,
                    "this request id was used for another question, or before the last epoch closed",
                    "use a new request id for a new question or a new epoch",
                );
            }
            if state.drawing.contains(key.as_str()) {
                self.drawn.wait(&mut state);
                continue;
            }
            let family = AnswerKey::family(permit, question, &schema.hash(), epoch.info.epoch);
            let family = Some(family).filter(|_| question.kind.adds_up() && month.is_none());
            match state.shared.answers.know(&asked_in, &key) {
                Known::Stored(answer) => {
                    return self.repeat(permit, question, state, (asked_in, key, None), *answer, now);
                }
                Known::Owed(leaf, base) => {
                    let base = base.map(|base| based_on(&state, &asked_in, base)).transpose()?;
                    state.drawing.insert(key.as_str().to_owned());
                    let charged = false;
                    return Ok(Begun::Owed(Owed {
                        key,
                        asked_in,
                        month,
                        family,
                        leaf,
                        charged,
                        base,
                        epoch,
                        schema,
                        number,
                    }));
                }
                Known::New => {}
            }
            let counts = family.as_ref().filter(|_| counting == Counting::AnyPrice);
            let base = match counts.and_then(|family| state.shared.answers.best(&asked_in, family)) {
                Some((better, answer)) if answer.rho >= question.rho => {
                    return self.repeat(permit, question, state, (asked_in, key, Some(better)), answer, now);
                }
                best => best.map(|(key, answer)| (key, Box::new(answer))),
            };
            let leaf = self.next_leaf(Tree::Access);
            let owed = Owed { key, asked_in, month, family, leaf, charged: true, base, epoch, schema, number };
            let ticket = self.charge(permit, question, &mut state, &owed, now)?;
            state.drawing.insert(owed.key.as_str().to_owned());
            drop(state);
            if let Err(error) = ticket.wait() {
                self.state.lock().drawing.remove(owed.key.as_str());
                self.drawn.notify_all();
                return Err(error.into());
            }
            // If the machine dies now, the mirror knows that it was paid; what it could not be told, the next tick tells it.
            self.note(now).ok();
            return Ok(Begun::Owed(owed));
        }
    }

    /// Serves a stored answer: logged, free of charge.
    fn repeat(
        &self,
        permit: &Permit,
        question: &Question,
        mut state: parking_lot::MutexGuard<'_, State>,
        (asked_in, key, better): (String, AnswerKey, Option<AnswerKey>),
        answer: Answer,
        now: Timestamp,
    ) -> Result<Begun, VaultError> {
        let leaf =
            Leaf { of: Some(answer.leaf), ..question_leaf(permit, question, Happened::Outcome, "stored answer", now) };
        let change = Change::Repeat {
            asked_in,
            client: permit.client().clone(),
            request: permit.request_id().to_owned(),
            answer: key.as_str().to_owned(),
            better: better.map(|better| better.as_str().to_owned()),
        };
        let leaves = vec![(Tree::Access, leaf.to_json().into_bytes())];
        let out = Outgoing { leaves, changes: vec![change], ..Outgoing::default() };
        let ticket = self.commit(&mut state, out)?;
        drop(state);
        ticket.wait()?;
        Ok(Begun::Stored(Box::new(answer)))
    }

    fn charge(
        &self,
        permit: &Permit,
        question: &Question,
        state: &mut State,
        owed: &Owed,
        now: Timestamp,
    ) -> Result<crate::wal::Ticket, VaultError> {
        state.latest = state.latest.max(now);
        let month = Month::of(state.latest);
        let (quarter, population) = (month.quarter(), owed.schema.population.clone());
        let caps = self.caps(state, &population);
        let ledger = state.shared.ledgers.entry(population.clone()).or_default();
        let rho = owed.price(question);
        // The change that is committed below records it, live and in replay alike.
        let fits = match owed.month {
            Some(_) => ledger.check_standing(rho, month, caps),
            None => ledger.check(permit.client(), rho, month, caps),
        };
        fits.map_err(VaultError::Refused)?;
        let mut leaf = question_leaf(permit, question, Happened::Intent, &owed.word(question), now);
        if let Some((_, base)) = &owed.base {
            leaf = leaf.count("adds to what was charged at entry", base.leaf)?;
        }
        leaf.rho = Some(rho);
        leaf.population = Some(population.clone());
        leaf.quarter = Some(quarter);
        leaf.epoch = Some(owed.epoch.info.epoch);
        leaf.table = Some(*permit.table_hash());
        leaf.fields = touched(question)
            .into_iter()
            .map(|field| (FieldPath::of(&owed.schema, field), Treatment::Aggregate))
            .collect();
        let change = Change::Charge {
            asked_in: owed.asked_in.clone(),
            population,
            client: permit.client().clone(),
            rho,
            quarter,
            month: Some(month),
            answer: owed.key.as_str().to_owned(),
            request: permit.request_id().to_owned(),
            leaf: owed.leaf,
            base: owed.base.as_ref().map(|(key, _)| key.as_str().to_owned()),
        };
        let leaves = vec![(Tree::Access, leaf.to_json().into_bytes())];
        self.commit(state, Outgoing { leaves, changes: vec![change], ..Outgoing::default() })
    }

    fn draw_owed(
        &self,
        permit: &Permit,
        question: &Question,
        plan: &Plan,
        owed: &Owed,
        now: Timestamp,
    ) -> Result<Answer, VaultError> {
        let rho = owed.price(question);
        let plan = self.plan_to_draw(permit, question, plan, owed, now)?;
        let noised = self.scan_and_draw(permit, question, &plan, owed, now)?;
        let info = owed.epoch.info;
        let mut answer = Answer {
            version: 1,
            release: owed.key.release_name(),
            epoch: info.epoch,
            as_of_seconds: info.as_of.seconds(),
            tables: Vec::new(),
            sigma_1024: 0,
            half_width_1024: 0,
            rho,
            not_private: owed.schema.kind == DatasetKind::Test,
            leaf: owed.leaf,
            parts: Vec::new(),
        };
        plan.fill(&mut answer, &noised);
        if let Some((_, base)) = &owed.base {
            let unfit = || VaultError::damaged("answer", "what was drawn does not fit what it adds to");
            answer = combine(base, &answer).ok_or_else(unfit)?;
        }
        let bytes = serde_json::to_string(&answer).map_err(|_| VaultError::damaged("answer", "it can't be written"))?;
        let leaf = Leaf {
            of: Some(owed.leaf),
            epoch: Some(info.epoch),
            ..question_leaf(permit, question, Happened::Outcome, &owed.word(question), now)
        };
        if let Some(month) = owed.month {
            let synopsis = Change::Synopsis {
                dataset: owed.schema.dataset.clone(),
                synopsis: kept(permit, question, month, answer.clone())?,
            };
            self.log_change(leaf, vec![synopsis])?;
            return Ok(answer);
        }
        let (asked_in, answer_key) = (owed.asked_in.clone(), owed.key.as_str().to_owned());
        let family = owed.family.as_ref().map(|family| family.as_str().to_owned());
        let mut changes = vec![Change::Answer { asked_in: asked_in.clone(), key: answer_key.clone(), bytes, family }];
        if !owed.charged {
            // The charge remembers the request that paid; this one is another, answered under it.
            let (client, request) = (permit.client().clone(), permit.request_id().to_owned());
            changes.push(Change::Repeat { asked_in, client, request, answer: answer_key, better: None });
        }
        self.log_change(leaf, changes)?;
        Ok(answer)
    }

    /// Returns the plan whose noise is that of what was charged now: one that adds to a stored answer, or one whose weights a
    /// pilot has told. A pilot is drawn under the same checks; if this is interrupted another one is, and nobody saw the first.
    fn plan_to_draw(
        &self,
        permit: &Permit,
        question: &Question,
        plan: &Plan,
        owed: &Owed,
        now: Timestamp,
    ) -> Result<Plan, VaultError> {
        let unfit = || VaultError::damaged("noise", "its weights do not fit the question");
        if let Some((_, base)) = &owed.base {
            return plan.adding_to(base, owed.price(question)).ok_or_else(unfit);
        }
        let Some(pilot) = plan.pilot() else { return Ok(plan.clone()) };
        let drawn = self.scan_and_draw(permit, question, pilot, owed, now)?;
        plan.weighed(&weigh(pilot, &drawn)).ok_or_else(unfit)
    }

    /// Scans the people allowed at the close and now, and draws once. People who withdraw meanwhile are taken out by
    /// computing their blocks again: first while withdrawals go on, then, for the last few, under the fence, which holds up
    /// the return of withdrawals and not their writing. So a draw waits for no quiet moment, however many withdraw.
    fn scan_and_draw(
        &self,
        permit: &Permit,
        question: &Question,
        plan: &Plan,
        owed: &Owed,
        now: Timestamp,
    ) -> Result<Drawn, VaultError> {
        let resolved = resolve(plan, question, &owed.schema, owed.epoch.info.as_of)?;
        let blocks = owed.epoch.scan_blocks();
        let mut population = self.population(permit, owed, now)?;
        let mut partial = self.scanner.scan(&resolved, &ScanInput { blocks: &blocks, allowed: &population })?;
        #[cfg(test)]
        if let Some(act) = self.after_scan.lock().take() {
            act(self);
        }
        for _ in 0..ROUNDS {
            let still = self.population(permit, owed, now)? & &population;
            let recomputed = self.recompute(owed, &resolved, &mut partial, &population, &still)?;
            population = still;
            if recomputed <= FEW_BLOCKS {
                break;
            }
        }
        #[cfg(test)]
        if let Some(act) = self.before_fence.lock().take() {
            act(self);
        }
        let fence = self.fence.read();
        let still = self.population(permit, owed, now)? & &population;
        self.recompute(owed, &resolved, &mut partial, &population, &still)?;
        let drawn = draw(plan, &partial).map_err(|_| VaultError::damaged("noise", "it could not be drawn"))?;
        drop(fence);
        Ok(drawn)
    }

    /// Takes out who is not allowed any more, and returns how many blocks that concerned.
    fn recompute(
        &self,
        owed: &Owed,
        resolved: &scan::Plan,
        partial: &mut Partial,
        before: &RoaringBitmap,
        after: &RoaringBitmap,
    ) -> Result<usize, VaultError> {
        let changed: BTreeSet<u32> = (before - after).iter().map(|ordinal| block_of(ordinal).0).collect();
        if changed.is_empty() {
            return Ok(0);
        }
        let blocks = owed.epoch.some_blocks(&changed);
        let old = self.scanner.scan(resolved, &ScanInput { blocks: &blocks, allowed: before })?;
        let new = self.scanner.scan(resolved, &ScanInput { blocks: &blocks, allowed: after })?;
        partial.subtract(&old);
        partial.add(&new);
        Ok(changed.len())
    }

    fn population(&self, permit: &Permit, owed: &Owed, now: Timestamp) -> Result<RoaringBitmap, VaultError> {
        let (Some(purpose), Some(basis)) = (permit.purpose(), permit.basis()) else {
            return refuse(Reason::PurposeDenied, "a release names a purpose and a lawful basis", "name both");
        };
        let bound = owed.epoch.bound;
        let mut state = self.lock()?;
        state.latest = state.latest.max(now);
        let now = state.latest;
        let live = state.datasets.get(&owed.number).map(|dataset| dataset.consent.clone());
        drop(state);
        let live = live.ok_or_else(|| VaultError::damaged("dataset", "it is gone"))?;
        let at_close = owed.epoch.consent.allowed(purpose, basis, owed.epoch.info.as_of, bound);
        Ok(at_close & live.allowed(purpose, basis, now, bound))
    }

    /// Caps of a population: the strictest of its datasets', since copies share one ledger.
    pub(super) fn caps(&self, state: &State, population: &policy::id::PopulationId) -> Caps {
        let all = state.datasets.values().filter(|d| d.schema.population == *population).map(|d| d.schema.caps());
        all.reduce(Caps::strictest).unwrap_or(Caps::NOTHING)
    }
}

/// Finds the stored answer that one that is owed adds to.
fn based_on(state: &State, asked_in: &str, base: AnswerKey) -> Result<(AnswerKey, Box<Answer>), VaultError> {
    let answer = state.shared.answers.stored(asked_in, &base);
    let answer = answer.ok_or_else(|| VaultError::damaged("answer", "the one that another adds to is gone"))?;
    Ok((base, Box::new(answer)))
}

/// Resolves a plan for one epoch: windows end at `as_of`.
pub(super) fn resolve(
    plan: &Plan,
    question: &Question,
    schema: &Schema,
    as_of: Timestamp,
) -> Result<scan::Plan, VaultError> {
    let resolved = plan.scan(&question.universe, &question.segment, as_of, &schema.time_zone);
    resolved
        .or_else(|_| refuse(Reason::ExpressionInvalid, "a window does not fit the calendar", "choose a shorter one"))
}

fn planned(schema: &Schema, question: &Question) -> Result<Plan, VaultError> {
    plan(schema, question).or_else(|problem| refuse(plan_reason(&problem), problem.to_string(), "change the question"))
}

fn plan_reason(problem: &PlanError) -> Reason {
    match problem {
        PlanError::UnknownField => Reason::FieldUnavailable,
        _ => Reason::ExpressionInvalid,
    }
}

/// Every field a question touches, through its segments too.
pub(super) fn touched(question: &Question) -> BTreeSet<FieldRef> {
    let mut fields: BTreeSet<FieldRef> = question.kind.fields().into_iter().collect();
    fields.extend(question.segment.fields());
    fields.extend(question.universe.fields());
    let events: Vec<FieldRef> = fields
        .iter()
        .filter_map(
            |field| if let FieldRef::EventField(event, _) = field { Some(FieldRef::Event(*event)) } else { None },
        )
        .collect();
    fields.extend(events);
    fields
}

/// The gateway decides; this is the vault's own check of the same table, in case a caller asked for less than it uses.
pub(super) fn check_fields(permit: &Permit, question: &Question) -> Result<(), VaultError> {
    let least = if permit.verb() == Verb::Audience { Treatment::Generalise } else { Treatment::Aggregate };
    if touched(question).iter().all(|field| permit.treatment(*field) >= least) {
        return Ok(());
    }
    refuse(
        Reason::FieldUnavailable,
        "a field of the question is unknown or not granted for this purpose",
        "leave it out, or ask a steward to grant it",
    )
}

pub(super) fn question_leaf(permit: &Permit, question: &Question, kind: Happened, what: &str, now: Timestamp) -> Leaf {
    use sha2::{Digest, Sha256};
    let text = format!("{}\n{}\n{:?}", question.universe.canonical(), question.segment.canonical(), question.kind);
    Leaf { question: Some(Sha256::digest(text.as_bytes()).into()), ..leaf_of(permit, kind, what, now) }
}
