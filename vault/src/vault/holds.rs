//! Legal holds: placing, ending and listing them, and the erasures that wait behind them.
//!
//! Guarantees: a hold is in the log before it is in force, and in force once it is placed; an erasure that begins afterwards
//! leaves what it names. What is left is in no index, no consent and no answer, and nothing reads it again but the erasure that
//! follows the last hold. That one begins with the frame that ends the hold, so no crash can come between; its receipt is kept,
//! since whoever asked for the erasure is not there to take it.
//!
//! Holds are kept in the gateway's own sealed state and not in their people's histories: every close, erasure and tick needs all
//! those of a dataset, and would have to open every block for them. An erasure that leaves anything writes that state again
//! in its own commit, so no copy and no backup has what is left without the hold.

use super::change::{Change, Resumed, StoredHold};
use super::commit::Outgoing;
use super::erase::{Done, Erasing, Intent};
use super::hidden::KnownHidden;
use super::state::{BadChange, Shared, State};
use super::write::{dataset_of, leaf_of, refuse, require};
use super::{Tree, Vault, VaultError};
use crate::erasure::HeldBack;
use crate::holds::{Held, Hold, MAX_FIELDS, MAX_HOLDS, NewHold};
use crate::ingest::SubjectKey;
use crate::log::{Kind, Leaf, Word};
use crate::pseudonym;
use crate::subjects::ErasureReport;
use crate::wal::Ticket;
use policy::decide::Reason;
use policy::permit::{Permit, Verb};
use policy::schema::{FieldRef, Schema};
use policy::time::Timestamp;
use roaring::RoaringBitmap;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Receipts of resumed erasures that are kept: some hundred bytes each.
const KEPT_RECEIPTS: usize = 1_000;

impl Vault {
    /// Holds some fields of a person. Asked again in the same words, it is the same hold.
    pub fn place_hold(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        hold: NewHold,
        now: Timestamp,
    ) -> Result<Hold, VaultError> {
        require(permit, &[Verb::HoldSubject])?;
        let mut state = self.lock()?;
        state.latest_at_least(now);
        let now = state.latest;
        let dataset = dataset_of(&mut state, permit)?;
        check(&dataset.schema, &hold, now)?;
        let number = dataset.number;
        let Some(ordinal) = dataset.index.find(dataset.index.tag(subject.expose())) else {
            return refuse(Reason::FieldUnavailable, "there is no such subject in this dataset", "check the key");
        };
        let hidden = dataset.hidden_of(std::iter::once(ordinal))?;
        let NewHold { fields, ground, until } = hold;
        let stored = StoredHold { dataset: number, ordinal, fields, ground, placed: now, until, waiting: false };
        let same = |other: &&StoredHold| **other == StoredHold { placed: other.placed, ..stored.clone() };
        let of_dataset = || state.shared.holds.iter().filter(|(_, hold)| hold.dataset == number);
        if let Some((number, hold)) = of_dataset().find(|(_, hold)| same(hold)) {
            return Ok(hold.shown(*number));
        }
        if of_dataset().count() >= MAX_HOLDS {
            let message = format!("at most {MAX_HOLDS} holds stand in a dataset");
            return refuse(Reason::MessageTooLarge, message, "release those that are not needed any more");
        }
        let number = self.next_leaf(Tree::Subject);
        let leaf = placing_leaf(leaf_of(permit, Kind::Hold, "hold", now), number, &stored, &hidden)?;
        let leaves = vec![(Tree::Subject, leaf.to_json().into_bytes())];
        let shown = stored.shown(number);
        let changes = vec![Change::Hold { number, hold: stored }];
        let ticket = self.commit(&mut state, Outgoing { leaves, changes, ..Outgoing::default() })?;
        drop(state);
        ticket.wait()?;
        Ok(shown)
    }

    /// Ends a hold. If the person's erasure waited for it, that is carried out before this returns, but for what other holds
    /// hold, and its report is returned; asked again later, it is returned again.
    pub fn release_hold(
        &self,
        permit: &Permit,
        number: u64,
        now: Timestamp,
    ) -> Result<Option<ErasureReport>, VaultError> {
        require(permit, &[Verb::HoldSubject])?;
        self.mirror_answers()?;
        let _closing = self.interrupt_fold();
        let mut state = self.lock()?;
        state.latest_at_least(now);
        let now = state.latest;
        let dataset = dataset_of(&mut state, permit)?.number;
        if state.shared.holds.get(&number).is_none_or(|hold| hold.dataset != dataset) {
            let resumed = state.shared.resumed_after(dataset, number)?;
            drop(state);
            return self.report_again(resumed).map(Some);
        }
        let release = leaf_of(permit, Kind::Hold, "release of a hold", now);
        let erase = leaf_of(permit, Kind::Erase, "erase", now);
        let (erasing, ticket) = self.end_holds_of(&mut state, dataset, &[number], (release, erase))?;
        drop(state);
        ticket.wait()?;
        let Some(erasing) = erasing else { return Ok(None) };
        let done = self.carry_out(&erasing)?;
        let leaf = leaf_of(permit, Kind::Erase, erasing.done_words(), now);
        let resumed = self.conclude_resumed(&erasing, done, leaf, now)?;
        self.report_again(resumed).map(Some)
    }

    /// Lists the holds that stand in the permit's dataset, the oldest first.
    pub fn list_holds(&self, permit: &Permit) -> Result<Vec<Hold>, VaultError> {
        require(permit, &[Verb::HoldSubject])?;
        let mut state = self.lock()?;
        let dataset = dataset_of(&mut state, permit)?.number;
        let holds = state.shared.holds.iter().filter(|(_, hold)| hold.dataset == dataset);
        Ok(holds.map(|(number, hold)| hold.shown(*number)).collect())
    }

    /// Ends the holds whose time has come. The erasures that waited for them are under way then, and resumed like any other.
    pub(super) fn end_holds(&self, now: Timestamp) -> Result<(), VaultError> {
        if self.lock()?.due_holds(now).is_empty() {
            return Ok(());
        }
        // Whoever has this lock may be ending one of them.
        let Some(_closing) = self.closing.try_lock() else { return Ok(()) };
        let mut state = self.lock()?;
        for (dataset, holds) in state.due_holds(now) {
            let name = state.datasets.get(&dataset).map(|dataset| dataset.schema.dataset.clone());
            let leaf = |kind, what| Leaf { dataset: name.clone(), what: Word::new(what).ok(), ..Leaf::new(kind, now) };
            let leaves = (leaf(Kind::Hold, "end of a hold"), leaf(Kind::Erase, "erase"));
            let _ = self.end_holds_of(&mut state, dataset, &holds, leaves)?;
        }
        drop(state);
        Ok(self.wal.sync()?)
    }

    /// Writes that holds of a dataset end and, in the same frame, that the erasures that waited for them begin.
    fn end_holds_of(
        &self,
        state: &mut State,
        dataset: u32,
        numbers: &[u64],
        (release, erase): (Leaf, Leaf),
    ) -> Result<(Option<Erasing>, Ticket), VaultError> {
        let holds: Vec<(u64, StoredHold)> =
            numbers.iter().filter_map(|number| Some((*number, state.shared.holds.get(number)?.clone()))).collect();
        let of = state.datasets.get(&dataset).ok_or_else(|| VaultError::damaged("dataset", "it is gone"))?;
        let hidden = of.hidden_of(holds.iter().map(|(_, hold)| hold.ordinal))?;
        let mut out = Outgoing::default();
        for (number, hold) in &holds {
            let leaf = Leaf { of: Some(*number), ..about(release.clone(), hold, &hidden) };
            out.leaves.push((Tree::Subject, leaf.to_json().into_bytes()));
            out.changes.push(Change::HoldEnded { number: *number });
        }
        let waiting = || holds.iter().filter(|(_, hold)| hold.waiting);
        let people: RoaringBitmap = waiting().map(|(_, hold)| hold.ordinal).collect();
        if people.is_empty() {
            return Ok((None, self.commit(state, out)?));
        }
        let after = waiting().map(|(number, _)| *number).collect();
        let intent = Intent { number: dataset, people, after, leaf: erase };
        let (erasing, ticket) = self.log_intent(state, intent, &hidden, out)?;
        Ok((Some(erasing), ticket))
    }

    /// Looks for what is left of people whose erasure had waited and is done, and logs what was done and what was found, in one
    /// frame.
    pub(super) fn conclude_resumed(
        &self,
        erasing: &Erasing,
        done: Done,
        leaf: Leaf,
        now: Timestamp,
    ) -> Result<Resumed, VaultError> {
        let mut receipt = self.receipt(erasing, done, now)?;
        let found = self.left_over(erasing.number, &erasing.places());
        let mut state = self.lock()?;
        receipt.outcome = self.next_leaf(Tree::Subject);
        let confirmation = receipt.outcome.saturating_add(1);
        let outcome = erasing.outcome_leaf(leaf.clone(), &receipt)?;
        let what = Word::new(erasing.found_words(&found)).ok();
        let look = Leaf { of: Some(receipt.outcome), what, ..leaf };
        let leaves = [outcome, look].map(|leaf| (Tree::Subject, leaf.to_json().into_bytes())).to_vec();
        let (dataset, holds, confirmed) = (erasing.number, erasing.after.clone(), matches!(found, Ok(0)));
        let resumed = Resumed { dataset, holds, receipt, confirmation, confirmed };
        let changes = vec![Change::Erased { leaf: erasing.leaf, resumed: Some(Box::new(resumed.clone())) }];
        let ticket = self.commit(&mut state, Outgoing { leaves, changes, ..Outgoing::default() })?;
        drop(state);
        ticket.wait()?;
        Ok(resumed)
    }

    fn report_again(&self, resumed: Resumed) -> Result<ErasureReport, VaultError> {
        let Resumed { receipt, confirmation, confirmed, .. } = resumed;
        self.report(receipt, confirmation, confirmed)
    }
}

impl State {
    /// Returns the holds whose time has come, by dataset; those of a dataset that can't be read wait for its repair.
    fn due_holds(&self, now: Timestamp) -> BTreeMap<u32, Vec<u64>> {
        let now = self.latest.max(now);
        let mut due: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for (number, hold) in &self.shared.holds {
            let readable = self.datasets.get(&hold.dataset).is_some_and(|dataset| dataset.damage.is_none());
            if readable && hold.until.is_some_and(|until| until <= now) {
                due.entry(hold.dataset).or_default().push(*number);
            }
        }
        due
    }
}

impl Shared {
    /// Takes up an erasure: from here on it waits for the holds of its people.
    pub(super) fn erase(&mut self, leaf: u64, dataset: u32, people: &str, after: &[u64]) -> Result<(), BadChange> {
        self.erasures.insert(leaf, (dataset, people.to_owned()));
        if !after.is_empty() {
            self.resuming.insert(leaf, after.to_vec());
        }
        let mut holds = self.holds.values_mut().filter(|hold| hold.dataset == dataset).peekable();
        if holds.peek().is_some() {
            let people = super::deliver::decode(people).ok_or(BadChange)?;
            holds.filter(|hold| people.contains(hold.ordinal)).for_each(|hold| hold.waiting = true);
        }
        Ok(())
    }

    /// Ends an erasure.
    pub(super) fn erased(&mut self, leaf: u64, resumed: Option<&Resumed>) {
        self.erasures.remove(&leaf);
        self.resuming.remove(&leaf);
        if let Some(resumed) = resumed {
            self.resumed.insert(leaf, resumed.clone());
            while self.resumed.len() > KEPT_RECEIPTS {
                self.resumed.pop_first();
            }
        }
    }

    /// Returns the people of a dataset whose erasure is under way, or waits for a hold.
    pub(super) fn gone_of(&self, dataset: u32) -> Result<RoaringBitmap, VaultError> {
        let damaged = || VaultError::damaged("erasure", "it does not parse");
        let waiting = self.holds.values().filter(|hold| hold.dataset == dataset && hold.waiting);
        let mut gone: RoaringBitmap = waiting.map(|hold| hold.ordinal).collect();
        for (_, people) in self.erasures.values().filter(|(of, _)| *of == dataset) {
            gone |= super::deliver::decode(people).ok_or_else(damaged)?;
        }
        Ok(gone)
    }

    /// Returns what is held of some people of a dataset, of those of whom anything is.
    pub(super) fn held_of(&self, schema: &Schema, dataset: u32, wanted: impl Fn(u32) -> bool) -> BTreeMap<u32, Held> {
        let mut fields: BTreeMap<u32, Vec<FieldRef>> = BTreeMap::new();
        for hold in self.holds.values().filter(|hold| hold.dataset == dataset && wanted(hold.ordinal)) {
            fields.entry(hold.ordinal).or_default().extend(&hold.fields);
        }
        fields.into_iter().map(|(ordinal, fields)| (ordinal, Held::of(schema, &fields))).collect()
    }

    /// Lists what holds keep from an erasure, person by person.
    pub(super) fn held_back(&self, schema: &Schema, erasing: &Erasing) -> Vec<HeldBack> {
        let of = |(number, hold): (&u64, &StoredHold)| HeldBack {
            fields: hold.fields.iter().map(|field| schema.path(*field)).collect(),
            ground: hold.ground.clone(),
            hold: *number,
            intent: erasing.intent_of(hold.ordinal),
        };
        let holds = self.holds.iter().filter(|(_, hold)| hold.dataset == erasing.number);
        let mut all: Vec<HeldBack> =
            holds.filter(|(_, hold)| erasing.held.contains_key(&hold.ordinal)).map(of).collect();
        all.sort_by_key(|held| (held.intent, held.hold));
        all
    }

    /// Lists the holds of one person.
    pub(super) fn holds_on(&self, dataset: u32, ordinal: u32) -> Vec<Hold> {
        let of = |hold: &StoredHold| (hold.dataset, hold.ordinal) == (dataset, ordinal);
        self.holds.iter().filter(|(_, hold)| of(hold)).map(|(number, hold)| hold.shown(*number)).collect()
    }

    /// Finds what came of an erasure that waited for a hold that has ended.
    fn resumed_after(&self, dataset: u32, number: u64) -> Result<Resumed, VaultError> {
        let resumed =
            self.resumed.values().find(|resumed| resumed.dataset == dataset && resumed.holds.contains(&number));
        if let Some(resumed) = resumed {
            return Ok(resumed.clone());
        }
        let under_way = |(leaf, after): (&u64, &Vec<u64>)| {
            after.contains(&number) && self.erasures.get(leaf).is_some_and(|(of, _)| *of == dataset)
        };
        if self.resuming.iter().any(under_way) {
            let message = "the hold has ended, and the erasure that waited for it is not done yet";
            return refuse(
                Reason::RateLimited,
                message,
                "ask again in a minute; the gateway's health says what keeps it",
            );
        }
        refuse(Reason::FieldUnavailable, "there is no such hold in this dataset", "list the holds that stand")
    }
}

impl StoredHold {
    /// Returns what may be shown of it.
    fn shown(&self, number: u64) -> Hold {
        let Self { dataset: _, ordinal: _, fields, ground, placed, until, waiting } = self.clone();
        Hold { number, fields, ground, placed, until, waiting }
    }
}

fn check(schema: &Schema, hold: &NewHold, now: Timestamp) -> Result<(), VaultError> {
    let known: BTreeSet<FieldRef> = schema.references().into_iter().collect();
    if !hold.fields.is_subset(&known) {
        let next = "look at the dataset's description";
        return refuse(Reason::FieldUnavailable, "a field of this hold is not one of the dataset's", next);
    }
    if !(1..=MAX_FIELDS).contains(&hold.fields.len()) {
        let message = format!("a hold names 1 to {MAX_FIELDS} fields");
        return refuse(Reason::RequestInvalid, message, "name what the law says must be kept, and nothing else");
    }
    if hold.until.is_some_and(|until| until <= now) {
        return refuse(Reason::RequestInvalid, "a hold can't end in the past", "name a later day, or none");
    }
    Ok(())
}

/// Makes a leaf one about a hold and its person.
fn about(leaf: Leaf, hold: &StoredHold, hidden: &KnownHidden) -> Leaf {
    let subject_ref = hidden.get(&hold.ordinal).map(|hidden| pseudonym::subject_reference(hidden));
    Leaf { object: Some(Word::from_id(hold.ground.as_str())), subject_ref, ..leaf }
}

/// The leaf names the ground; the fields are committed to, salted with what is the person's own, as consents are.
fn placing_leaf(leaf: Leaf, number: u64, hold: &StoredHold, hidden: &KnownHidden) -> Result<Leaf, VaultError> {
    let StoredHold { fields, ground, until, .. } = hold;
    let body = serde_json::to_vec(&(fields, ground, until));
    let body = body.map_err(|_| VaultError::damaged("hold", "it can't be written"))?;
    let own = hidden.get(&hold.ordinal).ok_or_else(|| VaultError::damaged("subject", "its block is missing"))?;
    let mut hash = Sha256::new();
    hash.update(pseudonym::commitment_salt(own, number));
    hash.update(&body);
    let leaf = about(leaf, hold, hidden).count("fields", fields.len() as u64)?;
    Ok(Leaf { commit: Some(hash.finalize().into()), ..leaf })
}
