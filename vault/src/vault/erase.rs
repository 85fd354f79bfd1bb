//! Erasing people, so that no older copy of the data folder can be read for them with any key that exists from then on.
//!
//! Order: the intent is durable -> the people are out of the index and of every consent -> the pieces of their blocks, in the
//! closed epoch and in the version that is being built, are written again without them, under fresh keys -> what their blocks' journals hold of others is written again under a
//! fresh key -> one commit of the key tree names the new pieces and forgets every key of the old, and its root is
//! replaced -> no draw, row or scan that could hold them is left -> the outcome is durable.
//!
//! Linked subjects are one person: whoever is linked to someone named is erased too. Someone whose events are copied beside
//! another's still, by a link that was ended since the last close, is refused until the next. A hold is of the subject that it
//! was placed on: of a primary it keeps the copies with its own events, of a secondary what the secondary itself has.
//!
//! Guarantees, once [`Vault::erase`] has returned: of these people no key of a piece, journal or audience exists, in the
//! key tree or in memory, but of what is held by law, which is sealed anew where it was and read by nobody until the hold ends.
//! A crash leaves an intent, which the next opening carries out before it serves.
//! Does not reach: copies of the root's own medium made before; releases drawn before, which are differentially private;
//! pseudonyms that a partner holds; what stays in a disk's spare sectors, where it is sealed under keys that are gone.

mod audiences;
mod carry;
mod journals;

pub(super) use carry::{Consent, Rewritten};

use super::change::Change;
use super::commit::Outgoing;
use super::deliver::{decode, encode};
use super::hidden::KnownHidden;
use super::state::{Dataset, State};
use super::write::{dataset_of, leaf_of, place, refuse, require};
use super::{Tree, Vault, VaultError};
use crate::backup::BackupLag;
use crate::erasure::{ErasureReceipt, MAX_PEOPLE};
use crate::fold::erase::Gone;
use crate::holds::Held;
use crate::ingest::SubjectKey;
use crate::log::{Kind, Leaf, Word};
use crate::pseudonym;
use crate::wal::Ticket;
use policy::decide::Reason;
use policy::id::DatasetId;
use policy::permit::{Permit, Verb};
use policy::time::Timestamp;
use roaring::RoaringBitmap;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// An erasure whose intent is durable.
pub(super) struct Erasing {
    /// First of its leaves in the subject tree, which names it.
    pub leaf: u64,
    /// Number of the dataset.
    pub number: u32,
    pub people: RoaringBitmap,
    /// What is left, of those of whom anything is.
    pub held: BTreeMap<u32, Held>,
    /// Ended holds that it waited for.
    pub after: Vec<u64>,
    /// Keys of those who were not named and are linked to someone who was; not known any more when it is resumed.
    pub linked: Vec<SubjectKey>,
}

/// What an intent to erase says.
pub(super) struct Intent {
    /// Number of the dataset.
    pub number: u32,
    pub people: RoaringBitmap,
    /// Ended holds that it waited for.
    pub after: Vec<u64>,
    /// The leaf, but for the person.
    pub leaf: Leaf,
}

impl Erasing {
    /// Returns what is left of a person who is erased; none of anyone else.
    fn left(&self, ordinal: u32) -> Option<&Held> {
        const NOTHING: &Held = &Held::nothing();
        self.people.contains(ordinal).then(|| self.held.get(&ordinal).unwrap_or(NOTHING))
    }

    /// Returns the blocks concerned, the positions in them and what is left there.
    pub fn places(&self) -> BTreeMap<u32, Gone> {
        let mut places: BTreeMap<u32, Gone> = BTreeMap::new();
        for ordinal in &self.people {
            let (block, position) = place(ordinal);
            let held = self.held.get(&ordinal).cloned().unwrap_or_default();
            places.entry(block).or_default().insert(position, held);
        }
        places
    }

    /// Returns the index of the leaf that says that a person's erasure was taken up.
    pub fn intent_of(&self, ordinal: u32) -> u64 {
        self.leaf.saturating_add(self.people.rank(ordinal).saturating_sub(1))
    }

    /// Makes a leaf the one that says it is done and commits to a receipt.
    pub fn outcome_leaf(&self, leaf: Leaf, receipt: &ErasureReceipt) -> Result<Leaf, VaultError> {
        let mut leaf = Leaf { of: Some(self.leaf), commit: Some(Sha256::digest(receipt.to_json()?).into()), ..leaf };
        let ErasureReceipt { people, pieces, bytes, generation_before, generation_after, .. } = receipt;
        let counts = [
            ("people", people),
            ("pieces", pieces),
            ("bytes", bytes),
            ("generation before", generation_before),
            ("generation after", generation_after),
        ];
        for (name, count) in counts {
            leaf = leaf.count(name, *count)?;
        }
        if !self.held.is_empty() {
            leaf = leaf.count("held", self.held.len() as u64)?;
        }
        Ok(leaf)
    }

    /// Returns what its leaves call it once it is done.
    pub fn done_words(&self) -> &'static str {
        if self.held.is_empty() { "erased" } else { "erased but for what is held" }
    }
}

/// What was done, for the receipt.
#[derive(Default)]
pub(super) struct Done {
    generation: (u64, u64),
    top: ([u8; 32], [u8; 32]),
    pieces: u64,
    bytes: u64,
    lag: Option<BackupLag>,
}

impl Vault {
    /// Erases people of the permit's dataset, 1 to [`MAX_PEOPLE`], as one generation of the key tree, and whoever is linked to
    /// one of them. A subject that does not exist is refused by its position, and nobody is erased then. Waits for draws and
    /// scans in flight.
    pub fn erase(
        &self,
        permit: &Permit,
        subjects: &[SubjectKey],
        now: Timestamp,
    ) -> Result<ErasureReceipt, VaultError> {
        self.erase_people(permit, subjects, now).map(|(_, receipt)| receipt)
    }

    pub(super) fn erase_people(
        &self,
        permit: &Permit,
        subjects: &[SubjectKey],
        now: Timestamp,
    ) -> Result<(Erasing, ErasureReceipt), VaultError> {
        require(permit, &[Verb::EraseSubject])?;
        if !(1..=MAX_PEOPLE).contains(&subjects.len()) {
            let message = format!("an erasure is of 1 to {MAX_PEOPLE} people");
            return refuse(Reason::MessageTooLarge, message, "send several");
        }
        self.mirror_answers()?;
        let _closing = self.interrupt_fold();
        let erasing = self.intend_erasure(permit, subjects, now)?;
        let done = self.carry_out(&erasing)?;
        let mut receipt = self.receipt(&erasing, done, now)?;
        let leaf = leaf_of(permit, Kind::Erase, erasing.done_words(), now);
        self.conclude(&erasing, leaf, &mut receipt)?;
        Ok((erasing, receipt))
    }

    /// States what was done; the outcome is not in the log yet.
    pub(super) fn receipt(&self, erasing: &Erasing, done: Done, now: Timestamp) -> Result<ErasureReceipt, VaultError> {
        let state = self.lock()?;
        let dataset =
            state.datasets.get(&erasing.number).ok_or_else(|| VaultError::damaged("dataset", "it is gone"))?;
        let held = state.shared.held_back(&dataset.schema, erasing);
        Ok(ErasureReceipt {
            version: ErasureReceipt::version_with(&held),
            dataset: dataset.schema.dataset.clone(),
            people: erasing.people.len(),
            intent: erasing.leaf,
            outcome: 0,
            generation_before: done.generation.0,
            generation_after: done.generation.1,
            top_before: crate::answers::hex(&done.top.0),
            top_after: crate::answers::hex(&done.top.1),
            pieces: done.pieces,
            bytes: done.bytes,
            held,
            backup: done.lag,
            at: now,
        })
    }

    /// Carries out what a crash left undone, before anything is served, and what a full or failing disk did, at the next tick.
    /// An error of the disk leaves its erasure for the next tick and keeps no other from being carried out; files that are
    /// damaged mark their dataset.
    pub(super) fn resume_erasures(&self, now: Timestamp) -> Result<(), VaultError> {
        if self.lock()?.shared.erasures.is_empty() {
            return Ok(());
        }
        // Whoever erases now holds this lock, and its erasure is not left undone.
        let Some(_closing) = self.closing.try_lock() else { return Ok(()) };
        let pending = self.lock()?.shared.erasures.clone();
        let mut left = Ok(());
        for (leaf, (number, people)) in pending {
            let people = decode(&people).ok_or_else(|| VaultError::damaged("erasure", "it does not parse"))?;
            let Some(erasing) = self.take_up_again(leaf, number, people)? else { continue };
            self.mirror_answers()?;
            let done = match self.carry_out(&erasing) {
                Err(VaultError::Damaged { part, problem }) => {
                    // The dataset refuses every call until it is repaired; the others are served.
                    if let Some(dataset) = self.lock()?.datasets.get_mut(&number) {
                        dataset.damage = Some((part, problem));
                    }
                    continue;
                }
                Err(VaultError::Io(problem)) => {
                    left = Err(VaultError::Io(format!("an erasure waits for the next try: {problem}")));
                    continue;
                }
                done => done?,
            };
            if !erasing.after.is_empty() {
                let dataset = self.name_of(number)?;
                let leaf = Leaf { dataset, what: Word::new(erasing.done_words()).ok(), ..Leaf::new(Kind::Erase, now) };
                self.conclude_resumed(&erasing, done, leaf, now)?;
                continue;
            }
            let dataset = self.name_of(number)?;
            let what = Word::new(&format!("{} after a restart", erasing.done_words())).ok();
            let outcome = Leaf { dataset, what, ..Leaf::new(Kind::Erase, now) };
            let outcome = outcome.count("people", erasing.people.len())?.count("pieces", done.pieces)?;
            self.log_erased(&erasing, outcome)?;
        }
        left
    }

    fn name_of(&self, number: u32) -> Result<Option<DatasetId>, VaultError> {
        Ok(self.lock()?.datasets.get(&number).map(|dataset| dataset.schema.dataset.clone()))
    }

    /// Takes people of an erasure that is in the log out of the index and of every consent; none if their dataset's files can't
    /// be read: the erasure waits for their repair.
    fn take_up_again(&self, leaf: u64, number: u32, people: RoaringBitmap) -> Result<Option<Erasing>, VaultError> {
        let mut state = self.lock()?;
        let State { datasets, shared, .. } = &mut *state;
        match datasets.get_mut(&number) {
            None | Some(Dataset { damage: Some(_), .. }) => Ok(None),
            Some(dataset) => {
                let held = shared.held_of(&dataset.schema, number, |ordinal| people.contains(ordinal));
                dataset.index.remove_ordinals(|ordinal| people.contains(ordinal));
                dataset.forget(&people, &held);
                let after = shared.resuming.get(&leaf).cloned().unwrap_or_default();
                Ok(Some(Erasing { leaf, number, people, held, after, linked: Vec::new() }))
            }
        }
    }

    /// Writes the intent; from here on these people are in no index and allowed for nothing.
    pub(super) fn intend_erasure(
        &self,
        permit: &Permit,
        subjects: &[SubjectKey],
        now: Timestamp,
    ) -> Result<Erasing, VaultError> {
        let mut state = self.lock()?;
        let dataset = dataset_of(&mut state, permit)?;
        let mut people = RoaringBitmap::new();
        for (position, subject) in subjects.iter().enumerate() {
            match dataset.index.find(dataset.index.tag(subject.expose())) {
                Some(ordinal) => people.insert(ordinal),
                None => {
                    let message = format!("subject {position}: there is no such subject in this dataset");
                    return refuse(Reason::FieldUnavailable, message, "check the key; nobody was erased");
                }
            };
        }
        let number = dataset.number;
        // Linked subjects are one person, and who asks for one asks for all.
        let named = people;
        let people = dataset.consent.linked_to(&named);
        if dataset.consent.is_copied(&people) {
            return refuse(
                Reason::EpochNotClosed,
                "someone was unlinked since the last close, and the other's rows hold copies until the next",
                "have a steward close the epoch, and erase then; nobody was erased",
            );
        }
        let linked = self.keys_of(&state, number, &(&people - &named))?;
        let dataset = dataset_of(&mut state, permit)?;
        let hidden = dataset.hidden_of(people.iter())?;
        for subject in subjects.iter().chain(&linked) {
            dataset.index.remove(dataset.index.tag(subject.expose()));
        }
        let leaf = leaf_of(permit, Kind::Erase, "erase", now);
        let intent = Intent { number, people, after: Vec::new(), leaf };
        let (erasing, ticket) = self.log_intent(&mut state, intent, &hidden, Outgoing::default())?;
        drop(state);
        ticket.wait()?;
        Ok(Erasing { linked, ..erasing })
    }

    /// Writes an intent, after what is outgoing already; from here on these people are allowed for nothing. The caller took
    /// them out of the index.
    pub(super) fn log_intent(
        &self,
        state: &mut State,
        intent: Intent,
        hidden: &KnownHidden,
        mut out: Outgoing,
    ) -> Result<(Erasing, Ticket), VaultError> {
        let Intent { number, people, after, leaf } = intent;
        let first = self.next_leaf(Tree::Subject).saturating_add(out.leaves.len() as u64);
        let leaf_about = |ordinal: u32| {
            let reference = hidden.get(&ordinal).map(|hidden| pseudonym::subject_reference(hidden));
            let leaf = Leaf { subject_ref: reference, ..leaf.clone() };
            (Tree::Subject, leaf.to_json().into_bytes())
        };
        out.leaves.extend(people.iter().map(leaf_about));
        out.changes.push(Change::Erase { leaf: first, dataset: number, people: encode(&people), after: after.clone() });
        let ticket = self.commit(state, out)?;
        let State { datasets, shared, .. } = state;
        let dataset = datasets.get_mut(&number).ok_or_else(|| VaultError::damaged("dataset", "it is gone"))?;
        let held = shared.held_of(&dataset.schema, number, |ordinal| people.contains(ordinal));
        dataset.forget(&people, &held);
        Ok((Erasing { leaf: first, number, people, held, after, linked: Vec::new() }, ticket))
    }

    fn conclude(&self, erasing: &Erasing, leaf: Leaf, receipt: &mut ErasureReceipt) -> Result<(), VaultError> {
        let mut state = self.lock()?;
        receipt.outcome = self.next_leaf(Tree::Subject);
        let leaf = erasing.outcome_leaf(leaf, receipt)?;
        let leaves = vec![(Tree::Subject, leaf.to_json().into_bytes())];
        let changes = vec![Change::Erased { leaf: erasing.leaf, resumed: None }];
        let ticket = self.commit(&mut state, Outgoing { leaves, changes, ..Outgoing::default() })?;
        drop(state);
        Ok(ticket.wait()?)
    }

    fn log_erased(&self, erasing: &Erasing, leaf: Leaf) -> Result<(), VaultError> {
        let leaf = Leaf { of: Some(erasing.leaf), ..leaf };
        let mut state = self.lock()?;
        let leaves = vec![(Tree::Subject, leaf.to_json().into_bytes())];
        let changes = vec![Change::Erased { leaf: erasing.leaf, resumed: None }];
        let ticket = self.commit(&mut state, Outgoing { leaves, changes, ..Outgoing::default() })?;
        drop(state);
        Ok(ticket.wait()?)
    }
}

impl Dataset {
    /// Takes people out of every consent, and of memory those of whom nothing is left.
    fn forget(&mut self, people: &RoaringBitmap, held: &BTreeMap<u32, Held>) {
        use zeroize::Zeroize as _;
        self.consent.erase_all(people);
        self.gone |= people;
        for ordinal in people.iter().filter(|ordinal| !held.contains_key(ordinal)) {
            if let Some(mut hidden) = self.fresh.remove(&ordinal) {
                hidden.zeroize();
            }
        }
    }
}
