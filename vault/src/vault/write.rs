//! Writing: datasets, records, profiles, events, consents.

use super::change::Change;
use super::commit::Outgoing;
use super::hidden::KnownHidden;
use super::state::{Dataset, State};
use super::{Vault, VaultError};
use crate::blocks::block_of;
use crate::fold::set_day::SetDay;
use crate::ingest::{self, Receipt, Record, SubjectKey};
use crate::journal::Delta;
use crate::keys::random_bytes;
use crate::log::{Decision, Kind, Leaf, Word};
use crate::pseudonym;
use crate::vault::Tree;
use crate::wal::{MAX_PAYLOAD, Ticket};
use policy::consent::{ConsentAct, ConsentEvent};
use policy::decide::{Reason, Refusal};
use policy::permit::{Permit, Role, Verb};
use policy::purpose::covers;
use policy::schema::Schema;
use policy::time::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Records of one frame: at some hundred bytes each with their leaves, far below the log's limit of 16 MiB.
const FRAME_RECORDS: usize = 8_192;
/// Records of one frame if some end links: each may end eight, with four leaves and two lines of history each.
const FRAME_ENDINGS: usize = 256;

/// Begins the leaf of a permitted call.
pub(super) fn leaf_of(permit: &Permit, kind: Kind, what: &str, now: Timestamp) -> Leaf {
    let (role, partner) = match permit.role() {
        Role::Service => ("service", None),
        Role::Partner(partner) => ("partner", Some(partner.clone())),
        Role::Officer => ("officer", None),
        Role::Steward => ("steward", None),
        Role::Producer => ("producer", None),
        Role::Portal => ("portal", None),
        Role::System => ("system", None),
    };
    Leaf {
        req: (!permit.request_id().is_empty()).then(|| Word::from_id(permit.request_id())),
        client: Some(permit.client().clone()),
        role: Word::new(role).ok(),
        partner,
        purpose: permit.purpose().cloned(),
        basis: permit.basis(),
        dataset: permit.dataset().cloned(),
        what: Word::new(what).ok(),
        policy_epoch: Some(permit.policy_epoch()),
        decision: Some(Decision::Permit),
        ..Leaf::new(kind, now)
    }
}

pub(super) fn refuse<T>(reason: Reason, message: impl Into<String>, next_step: &str) -> Result<T, VaultError> {
    Err(VaultError::Refused(Refusal { reason, message: message.into(), next_step: next_step.to_owned() }))
}

/// Checks that a permit is for what it is used for.
pub(super) fn require(permit: &Permit, verbs: &[Verb]) -> Result<(), VaultError> {
    if verbs.contains(&permit.verb()) {
        return Ok(());
    }
    refuse(Reason::PurposeDenied, "this permit is for another kind of call", "ask for the call you were permitted")
}

/// Finds the dataset a permit is for.
pub(super) fn dataset_of<'a>(state: &'a mut State, permit: &Permit) -> Result<&'a mut Dataset, VaultError> {
    let number = permit.dataset().and_then(|name| state.numbers.get(name)).copied();
    match number.and_then(|number| state.datasets.get_mut(&number)) {
        Some(Dataset { damage: Some((part, problem)), .. }) => Err(VaultError::damaged(&*part, &*problem)),
        Some(dataset) => Ok(dataset),
        None => refuse(Reason::FieldUnavailable, "there is no such dataset, or it is not yours", "list your datasets"),
    }
}

/// A batch that is in the log's queue. It is not acknowledged until [`Vault::finish_ingest`] has returned.
#[derive(Debug)]
#[must_use = "a batch is not acknowledged until it was waited for"]
pub struct Acknowledging {
    ticket: Ticket,
    receipt: Receipt,
    withdrew: bool,
}

/// Entries gathered by block while a batch is read.
#[derive(Default)]
pub(super) struct Gathered {
    pub blocks: BTreeMap<u32, Delta>,
    /// Leaves of the subject tree.
    pub leaves: Vec<Vec<u8>>,
    pub receipt: Receipt,
    /// Hidden bytes of subjects with consent events in the batch, read before anything changes.
    pub hidden: KnownHidden,
}

impl Vault {
    /// Creates a dataset from its TOML description.
    pub fn create_dataset(&self, permit: &Permit, schema_toml: &str, now: Timestamp) -> Result<(), VaultError> {
        require(permit, &[Verb::ManageDataset])?;
        let schema = policy::schema::parse(schema_toml).map_err(|problem| {
            VaultError::Refused(Refusal {
                reason: Reason::SchemaMismatch,
                message: problem.to_string(),
                next_step: "correct the description and send it again".to_owned(),
            })
        })?;
        let mut state = self.lock()?;
        if state.numbers.contains_key(&schema.dataset) {
            return refuse(Reason::SchemaMismatch, "this dataset exists already", "choose another name");
        }
        let number = state.datasets.keys().next_back().copied().unwrap_or(0) + 1;
        let leaf = Leaf {
            dataset: Some(schema.dataset.clone()),
            population: Some(schema.population.clone()),
            ..leaf_of(permit, Kind::Dataset, "create dataset", now)
        };
        let dataset = self.empty_dataset(number, Arc::new(schema))?;
        state.numbers.insert(dataset.schema.dataset.clone(), number);
        state.datasets.insert(number, dataset);
        let change = Change::Dataset { number, schema_toml: schema_toml.to_owned() };
        let ticket = self.commit(
            &mut state,
            Outgoing {
                leaves: vec![(Tree::Access, leaf.to_json().into_bytes())],
                changes: vec![change],
                ..Outgoing::default()
            },
        )?;
        self.publish_schemas(&state);
        drop(state);
        Ok(ticket.wait()?)
    }

    /// Stores a small public record (a client, a segment, a policy set) under (collection, key); `None` removes it.
    /// Logged; at most 64 KiB; never personal data.
    pub fn put_record(
        &self,
        permit: &Permit,
        collection: &str,
        key: &str,
        value: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        use base64::Engine as _;
        if value.is_some_and(|value| value.len() > 64 << 10) {
            return refuse(Reason::MessageTooLarge, "a record has at most 65,536 bytes", "shorten it");
        }
        let leaf = Leaf {
            // Versions are written out: a word has no `@`.
            object: Some(Word::from_id(&format!("{collection}/{}", key.replace('@', " version ")))),
            ..leaf_of(permit, Kind::Record, if value.is_some() { "put record" } else { "remove record" }, now)
        };
        let value = value.map(|value| base64::engine::general_purpose::STANDARD.encode(value));
        let change = Change::Record { collection: collection.to_owned(), key: key.to_owned(), value };
        self.log_change(leaf, vec![change])
    }

    /// Commits one access leaf with changes and waits until both are durable.
    pub(super) fn log_change(&self, leaf: Leaf, changes: Vec<Change>) -> Result<(), VaultError> {
        self.log_in(Tree::Access, leaf, changes)
    }

    /// Commits one leaf with changes and waits until both are durable.
    pub(super) fn log_in(&self, tree: Tree, leaf: Leaf, changes: Vec<Change>) -> Result<(), VaultError> {
        let mut state = self.lock()?;
        let leaves = vec![(tree, leaf.to_json().into_bytes())];
        let ticket = self.commit(&mut state, Outgoing { leaves, changes, ..Outgoing::default() })?;
        drop(state);
        Ok(ticket.wait()?)
    }

    /// Writes a batch of records durably; when it returns, they survive a power cut.
    pub fn ingest(&self, permit: &Permit, records: Vec<Record>, now: Timestamp) -> Result<Receipt, VaultError> {
        self.finish_ingest(self.begin_ingest(permit, records, now)?)
    }

    /// Hands a batch to the log and returns before it is durable, so that a stream can have several under way. Batches
    /// take effect in the order they were begun. While too much waits to be folded, a batch is refused but for its
    /// withdrawals, which are in force when this returns; sent again with it, they change nothing.
    pub fn begin_ingest(
        &self,
        permit: &Permit,
        records: Vec<Record>,
        now: Timestamp,
    ) -> Result<Acknowledging, VaultError> {
        require(permit, &[Verb::Ingest])?;
        let (schema, mut known) = self.prepare(permit, &records)?;
        check_batch(&schema, &records, now)?;
        let withdrew = records.iter().any(Record::is_withdrawal);
        let mut state = self.lock()?;
        let dataset = dataset_of(&mut state, permit)?;
        if !Arc::ptr_eq(&dataset.schema, &schema) {
            check_batch(&dataset.schema, &records, now)?;
        }
        if let Err(refused) = dataset.check_room(&self.limits)
            && !records.iter().all(Record::is_withdrawal)
        {
            let withdrawals: Vec<Record> = records.into_iter().filter(Record::is_withdrawal).collect();
            if !withdrawals.is_empty() {
                let what = "withdrawals of a refused batch";
                let (ticket, _) = self.write_records(&mut state, permit, &withdrawals, &mut known, what, now)?;
                drop(state);
                ticket.wait()?;
                self.fence();
            }
            return Err(refused);
        }
        let (ticket, receipt) = self.write_records(&mut state, permit, &records, &mut known, "ingest", now)?;
        Ok(Acknowledging { ticket, receipt, withdrew })
    }

    /// Does what a write needs of its dataset before the commit lock is taken for the write itself: pins the description and
    /// reads the hidden bytes of those with consent events.
    fn prepare(&self, permit: &Permit, records: &[Record]) -> Result<(Arc<Schema>, KnownHidden), VaultError> {
        let mut state = self.lock()?;
        let dataset = dataset_of(&mut state, permit)?;
        let (schema, source) = (Arc::clone(&dataset.schema), dataset.hidden_source(dataset.consenting(records)));
        drop(state);
        Ok((schema, source.read()?))
    }

    /// Writes checked records, some thousands a frame: frames have a limit. The last frame is durable after the others.
    fn write_records(
        &self,
        state: &mut State,
        permit: &Permit,
        records: &[Record],
        known: &mut KnownHidden,
        what: &str,
        now: Timestamp,
    ) -> Result<(Ticket, Receipt), VaultError> {
        let most = frame_records(&Arc::clone(&dataset_of(state, permit)?.schema), records);
        let (first, mut rest) = records.split_at(records.len().min(most));
        let (mut ticket, mut receipt) = self.write_some(state, permit, first, known, what, now)?;
        while !rest.is_empty() {
            let (next, later) = rest.split_at(rest.len().min(most));
            let (last, more) = self.write_some(state, permit, next, known, what, now)?;
            (ticket, rest) = (last, later);
            receipt.profiles += more.profiles;
            receipt.events += more.events;
            receipt.consents += more.consents;
            receipt.superseded += more.superseded;
        }
        Ok((ticket, receipt))
    }

    fn write_some(
        &self,
        state: &mut State,
        permit: &Permit,
        records: &[Record],
        known: &mut KnownHidden,
        what: &str,
        now: Timestamp,
    ) -> Result<(Ticket, Receipt), VaultError> {
        let first_leaf = self.next_leaf(Tree::Subject);
        let dataset = dataset_of(state, permit)?;
        let (schema, number) = (Arc::clone(&dataset.schema), dataset.number);
        // Of those who are new since the others' were read; nearly always nobody.
        let unread: Vec<u32> = dataset.consenting(records).filter(|ordinal| !known.contains_key(ordinal)).collect();
        known.extend(dataset.hidden_of(unread.into_iter())?);
        let mut gathered = Gathered { hidden: std::mem::take(known), ..Gathered::default() };
        let done = records
            .iter()
            .try_for_each(|record| dataset.gather(&schema, record, first_leaf, permit, now, &mut gathered));
        // What was gathered until then is in memory and not in the log.
        self.poison_on_error(Ok(done))?;
        *known = std::mem::take(&mut gathered.hidden);
        let mut receipt = gathered.receipt;
        // After those of its consents.
        receipt.leaf = first_leaf.saturating_add(gathered.leaves.len() as u64);
        let leaf = leaf_of(permit, Kind::Ingest, what, now)
            .count("profiles", receipt.profiles)?
            .count("events", receipt.events)?
            .count("consents", receipt.consents)?;
        Ok((self.commit(state, gathered.outgoing(number, &leaf))?, receipt))
    }

    /// Waits until a begun batch is durable, and until no draw that missed one of its withdrawals is under way.
    pub fn finish_ingest(&self, batch: Acknowledging) -> Result<Receipt, VaultError> {
        batch.ticket.wait()?;
        if batch.withdrew {
            self.fence();
        }
        Ok(batch.receipt)
    }

    /// Records consent events; once it returns, nothing drawn or emitted afterwards goes against them.
    /// An unknown subject is an error for the whole batch that names its position.
    pub fn record_consents(
        &self,
        permit: &Permit,
        events: Vec<(SubjectKey, ConsentEvent)>,
        now: Timestamp,
    ) -> Result<Receipt, VaultError> {
        require(permit, &[Verb::RecordConsent])?;
        let records: Vec<_> =
            events.into_iter().map(|(subject, consent)| Record::Consent { subject, consent }).collect();
        let (schema, mut known) = self.prepare(permit, &records)?;
        check_batch(&schema, &records, now)?;
        let mut state = self.lock()?;
        let dataset = dataset_of(&mut state, permit)?;
        if !Arc::ptr_eq(&dataset.schema, &schema) {
            check_batch(&dataset.schema, &records, now)?;
        }
        // Under the lock of the write: someone who is erased meanwhile must not come back as a new subject.
        if let Some(position) = dataset.first_unknown(&records) {
            let message = format!("event {position}: there is no such subject in this dataset");
            return refuse(Reason::FieldUnavailable, message, "ingest the subject first");
        }
        let (ticket, receipt) = self.write_records(&mut state, permit, &records, &mut known, "record consents", now)?;
        drop(state);
        ticket.wait()?;
        self.fence();
        Ok(receipt)
    }
}

/// Says whether a record withdraws the consent that links rest on.
fn ends_links(schema: &Schema, record: &Record) -> bool {
    let withdrawn = |consent: &ConsentEvent| {
        consent.act == ConsentAct::Withdraw && schema.linking().is_some_and(|linking| covers(&consent.purpose, linking))
    };
    matches!(record, Record::Consent { consent, .. } if withdrawn(consent))
}

/// Returns how many records of a batch go into one frame.
fn frame_records(schema: &Schema, records: &[Record]) -> usize {
    if records.iter().any(|record| ends_links(schema, record)) { FRAME_ENDINGS } else { FRAME_RECORDS }
}

fn check_batch(schema: &Schema, records: &[Record], now: Timestamp) -> Result<(), VaultError> {
    // Before anything changes: a frame that turns out too long would stop the vault.
    let too_long = |frame: &[Record]| frame.iter().map(most_bytes).sum::<usize>() > MAX_PAYLOAD;
    if records.chunks(frame_records(schema, records)).any(too_long) {
        return refuse(
            Reason::MessageTooLarge,
            "the batch is too long for one entry of the log",
            "send smaller batches",
        );
    }
    records
        .iter()
        .enumerate()
        .try_for_each(|(position, record)| check_one(position, ingest::check(schema, record, now)))
}

/// Returns the most bytes that a record can take in a frame, leaf included.
fn most_bytes(record: &Record) -> usize {
    // A new subject's entry, and an entry's own head.
    const HEAD: usize = 512;
    // A consent leaf: short names and hashes.
    const LEAF: usize = 1_024;
    let value = |value: &ingest::Value| match value {
        // Twice: an event of a linked subject is written to its primary too.
        ingest::Value::Bytes(bytes) => 4 + 2 * bytes.len(),
        _ => 20,
    };
    match record {
        Record::Profile { values, .. } => HEAD + values.iter().map(|(_, v)| value(v)).sum::<usize>(),
        Record::Event { values, .. } => HEAD + values.iter().map(value).sum::<usize>(),
        Record::Consent { .. } => HEAD + LEAF,
    }
}

fn check_one(position: usize, found: Result<(), ingest::RecordProblem>) -> Result<(), VaultError> {
    match found {
        Ok(()) => Ok(()),
        Err(problem) => {
            let message = format!("record {position}: {problem}");
            refuse(Reason::SchemaMismatch, message, "compare the record with the dataset's description")
        }
    }
}

impl Gathered {
    /// In the subject tree: an index of the access tree, which whoever asks is shown, must not count what people do.
    fn outgoing(self, dataset: u32, leaf: &Leaf) -> Outgoing {
        let leaves = self.leaves.into_iter().chain([leaf.to_json().into_bytes()]);
        let leaves = leaves.map(|leaf| (Tree::Subject, leaf)).collect();
        let deltas = self.blocks.into_iter().map(|(block, delta)| (dataset, block, delta)).collect();
        Outgoing { leaves, deltas, ..Outgoing::default() }
    }
}

impl Dataset {
    /// Finds a subject, or makes it.
    fn subject(&mut self, key: &SubjectKey, gathered: &mut Gathered) -> Result<u32, VaultError> {
        let tag = self.index.tag(key.expose());
        if let Some(found) = self.index.find(tag) {
            return Ok(found);
        }
        let ordinal = self.next_ordinal;
        self.next_ordinal = ordinal.checked_add(1).ok_or_else(|| VaultError::Io("the dataset is full".into()))?;
        let mut hidden = [0; 32];
        random_bytes(&mut hidden).map_err(|error| VaultError::Io(error.to_string()))?;
        self.index.insert(tag, ordinal);
        self.fresh.insert(ordinal, hidden);
        let (block, position) = place(ordinal);
        gathered.blocks.entry(block).or_default().new_subject(position, &hidden, key.expose());
        Ok(ordinal)
    }

    /// Lists the known people with consent events among some records.
    fn consenting<'a>(&'a self, records: &'a [Record]) -> impl Iterator<Item = u32> + 'a {
        records.iter().filter_map(|record| {
            let Record::Consent { subject, .. } = record else { return None };
            self.index.find(self.index.tag(subject.expose()))
        })
    }

    /// Returns the position of the first record whose subject does not exist.
    fn first_unknown(&self, records: &[Record]) -> Option<usize> {
        records.iter().position(|record| self.index.find(self.index.tag(record.subject().expose())).is_none())
    }

    pub(super) fn gather(
        &mut self,
        schema: &Schema,
        record: &Record,
        first_leaf: u64,
        permit: &Permit,
        now: Timestamp,
        gathered: &mut Gathered,
    ) -> Result<(), VaultError> {
        match record {
            Record::Profile { subject, values } => {
                let (block, position) = place(self.subject(subject, gathered)?);
                let values: Vec<_> = values.iter().map(|(column, value)| (column.0, value)).collect();
                gathered.blocks.entry(block).or_default().profile(position, SetDay::of(now), &values);
                gathered.receipt.profiles += 1;
            }
            Record::Event { subject, event, id, at, values } => {
                let ordinal = self.subject(subject, gathered)?;
                let (block, position) = place(ordinal);
                gathered.blocks.entry(block).or_default().event(position, event.0, *id, at.0, values);
                if let Some(link) = self.consent.link_of(ordinal) {
                    let (block, position) = place(link.primary);
                    let delta = gathered.blocks.entry(block).or_default();
                    delta.copied(position, link.mark, event.0, *id, at.0, values);
                }
                gathered.receipt.events += 1;
            }
            Record::Consent { subject, consent } => {
                let ordinal = self.subject(subject, gathered)?;
                let consent = &ConsentEvent { at: consent.at.min(now), ..consent.clone() };
                let leaf_index = first_leaf + gathered.leaves.len() as u64;
                let hidden = match gathered.hidden.get(&ordinal) {
                    Some(hidden) => hidden.clone(),
                    None => Zeroizing::new(self.hidden(ordinal)?),
                };
                gathered.leaves.push(consent_leaf(permit, schema, &hidden, consent, leaf_index, now)?);
                let (block, position) = place(ordinal);
                gathered
                    .blocks
                    .entry(block)
                    .or_default()
                    .consent(position, leaf_index, consent)
                    .map_err(|_| VaultError::damaged("consent event", "it is too long"))?;
                let counted = self
                    .consent
                    .apply(ordinal, consent)
                    .map_err(|_| VaultError::damaged("consent event", "its purpose is unknown"))?;
                gathered.receipt.consents += 1;
                gathered.receipt.superseded += u64::from(!counted);
                if counted && ends_links(schema, record) {
                    self.end_links_of(permit, ordinal, first_leaf, now, gathered)?;
                }
            }
        }
        Ok(())
    }
}

/// What a consent leaf says before the version of the notice in force.
pub(super) const NOTICE: &str = "notice ";

/// Returns the block of an ordinal and the position in it.
pub(super) fn place(ordinal: u32) -> (u32, u16) {
    let (block, position) = block_of(ordinal);
    (block, u16::try_from(position).unwrap_or(u16::MAX))
}

/// A consent leaf holds a keyed reference of the subject and a salted commitment to the event, nothing else of it but
/// the purpose. The salt is the subject's own, so that erasing the subject closes both. It also names the notice that was
/// in use in the dataset when the event was received.
fn consent_leaf(
    permit: &Permit,
    schema: &Schema,
    hidden: &[u8; 32],
    consent: &ConsentEvent,
    index: u64,
    now: Timestamp,
) -> Result<Vec<u8>, VaultError> {
    let body = serde_json::to_vec(consent).map_err(|_| VaultError::damaged("consent event", "it can't be written"))?;
    let mut hash = Sha256::new();
    // The salt is derived from the subject's own secret: it can't be guessed, and is erased with the subject.
    hash.update(pseudonym::commitment_salt(hidden, index));
    hash.update(&body);
    let what = match consent.act {
        ConsentAct::Give => "give",
        ConsentAct::Withdraw => "withdraw",
    };
    let leaf = Leaf {
        dataset: Some(schema.dataset.clone()),
        purpose: Some(consent.purpose.clone()),
        basis: Some(consent.basis),
        object: schema.notice.as_ref().map(|notice| Word::from_id(&format!("{NOTICE}{}", notice.version))),
        subject_ref: Some(pseudonym::subject_reference(hidden)),
        commit: Some(hash.finalize().into()),
        ..leaf_of(permit, Kind::Consent, what, now)
    };
    Ok(leaf.to_json().into_bytes())
}
