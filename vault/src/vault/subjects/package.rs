//! The access package, consent receipts, and who used the data: what a person is shown.

use super::super::commit::Outgoing;
use super::super::write::{Gathered, dataset_of, refuse};
use super::super::{Tree, Vault, VaultError};
use super::person::{History, Source};
use super::uses::Timeline;
use super::{TakenUp, find, outgoing};
use crate::fold::data::BlockData;
use crate::ingest::SubjectKey;
use crate::pseudonym;
use crate::subjects::{
    AccessPackage, ConsentReceipts, Fulfilled, HeldConsent, HeldEvent, HeldEvents, ProvenConsent, ProvenLeaf, Right,
    RightsEvent, Standing, Uses, UsesReport,
};
use policy::consent::LawfulBasis;
use policy::decide::Reason;
use policy::permit::Permit;
use policy::schema::{EventType, Field, FieldRef, Schema};
use policy::time::Timestamp;
use policy::treatment::Treatment;
use std::sync::Arc;

const USES: &str = "list of uses";
const RECEIPTS: &str = "consent receipts";

/// What a package is made of, before its outcome is in the log.
struct Read {
    source: Source,
    data: BlockData,
    history: History,
    uses: Uses,
}

impl Vault {
    /// Returns all that is held about a person. Taking it up and handing it over are both in the log before it is returned;
    /// no erasure, objection or restriction returns while the package is on its way.
    pub fn access_subject(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        now: Timestamp,
    ) -> Result<AccessPackage, VaultError> {
        let taken = self.take_up(permit, subject, Right::Access.words(), now)?;
        let read = match self.read_person(&taken) {
            Ok(read) => read,
            Err(error) => return Err(self.gave_up(permit, &taken, Right::Access.words(), error)),
        };
        let request = self.hand_over(permit, subject, &taken)?;
        Ok(package(permit, taken, read, request))
    }

    /// Returns what a person agreed to and took back, each with the proof that the log has it.
    pub fn consent_receipts(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        now: Timestamp,
    ) -> Result<ConsentReceipts, VaultError> {
        let taken = self.take_up(permit, subject, RECEIPTS, now)?;
        match self.prove_consents(&taken) {
            Ok((schema, receipts)) => {
                self.conclude_reading(permit, &taken, RECEIPTS, None)?;
                let verifier_key = self.log_vkey(Tree::Subject);
                Ok(ConsentReceipts { schema, receipts, verifier_key, on_its_way: taken.on_its_way })
            }
            Err(error) => Err(self.gave_up(permit, &taken, RECEIPTS, error)),
        }
    }

    /// Lists who used a person's data: releases made while what the person had agreed to allowed that purpose, never
    /// whether the person matched; and audiences delivered with the person.
    pub fn list_uses(&self, permit: &Permit, subject: &SubjectKey, now: Timestamp) -> Result<UsesReport, VaultError> {
        let taken = self.take_up(permit, subject, USES, now)?;
        match self.read_person(&taken) {
            Ok(read) => {
                self.conclude_reading(permit, &taken, USES, None)?;
                let schema = Arc::clone(&read.source.schema);
                Ok(UsesReport { uses: read.uses, schema, on_its_way: taken.on_its_way })
            }
            Err(error) => Err(self.gave_up(permit, &taken, USES, error)),
        }
    }

    fn read_person(&self, taken: &TakenUp) -> Result<Read, VaultError> {
        let source = self.source(taken.number, taken.ordinal)?;
        let data = source.read()?;
        let history = self.history(&data)?;
        let uses = self.uses_of(&source.schema, &Timeline::new(&history), taken.ordinal)?;
        Ok(Read { source, data, history, uses })
    }

    fn prove_consents(&self, taken: &TakenUp) -> Result<(Arc<Schema>, Vec<ProvenConsent>), VaultError> {
        let source = self.source(taken.number, taken.ordinal)?;
        let history = self.history(&source.read()?)?;
        self.persist_log()?;
        let prove = |consent: HeldConsent| {
            let unwritable = |_| VaultError::damaged("consent event", "it can't be written");
            Ok(ProvenConsent {
                committed: serde_json::to_string(&consent.event).map_err(unwritable)?,
                salt: pseudonym::commitment_salt(&taken.hidden, consent.leaf),
                leaf: self.proven_leaf(consent.leaf)?,
                consent,
            })
        };
        let proven: Result<Vec<_>, VaultError> = history.consents.into_iter().map(prove).collect();
        Ok((source.schema, proven?))
    }

    /// Returns a leaf of the subject tree with its proof; persist the log first if it is new.
    pub(super) fn proven_leaf(&self, index: u64) -> Result<ProvenLeaf, VaultError> {
        let json = self.log.leaf(Tree::Subject, index)?;
        let proof = self.log.tlog_proof(Tree::Subject, index)?;
        Ok(ProvenLeaf { index, json: String::from_utf8_lossy(&json).into_owned(), proof })
    }

    /// Logs that a package is handed over, unless the person was erased meanwhile.
    fn hand_over(&self, permit: &Permit, subject: &SubjectKey, taken: &TakenUp) -> Result<Fulfilled, VaultError> {
        let mut state = self.lock()?;
        if find(&mut state, permit, subject)? != (taken.number, taken.ordinal) {
            return refuse(Reason::FieldUnavailable, "there is no such subject in this dataset", "check the key");
        }
        let event = RightsEvent {
            right: Right::Access,
            received: taken.received,
            done: taken.received,
            intent: taken.intent,
            columns: Vec::new(),
            purpose: None,
        };
        let first = self.next_leaf(Tree::Subject);
        let mut gathered = Gathered::default();
        let dataset = dataset_of(&mut state, permit)?;
        let done = dataset.conclude(permit, taken.ordinal, &taken.hidden, event, first, taken.received, &mut gathered);
        let done = self.poison_on_error(Ok(done))?;
        let out: Outgoing = outgoing(gathered, taken.number);
        let ticket = self.commit(&mut state, out)?;
        drop(state);
        ticket.wait()?;
        Ok(done)
    }

    /// Logs that a request failed, and returns why: the log's own trouble if it has some.
    fn gave_up(&self, permit: &Permit, taken: &TakenUp, what: &str, error: VaultError) -> VaultError {
        self.conclude_reading(permit, taken, what, Some(&error)).err().unwrap_or(error)
    }
}

fn package(permit: &Permit, taken: TakenUp, read: Read, request: Fulfilled) -> AccessPackage {
    let Read { source, data, history, uses } = read;
    let schema = Arc::clone(&source.schema);
    let timeline = Timeline::new(&history);
    let shown = |field: FieldRef| permit.treatment(field) == Treatment::Clear;
    let columns = schema.attributes.iter().zip(&data.columns);
    let columns = columns.filter(|(field, _)| shown(FieldRef::Attribute(field.column)));
    let standings = schema.purposes.iter().flat_map(|purpose| {
        LawfulBasis::ALL.map(|basis| Standing {
            purpose: purpose.clone(),
            basis,
            allowed: timeline.agreed(purpose, basis, taken.received),
        })
    });
    let kept_until = schema.attributes.iter().filter(|field| shown(FieldRef::Attribute(field.column)));
    AccessPackage {
        kept_until: kept_until.filter_map(|field| Some((field.column, last_day(field, &data)?))).collect(),
        attributes: columns.map(|(field, column)| (field.column, column.value(0))).collect(),
        events: schema.events.iter().filter_map(|event| held_events(event, &data, &shown)).collect(),
        standings: standings.collect(),
        restricted: timeline.restricted(taken.received),
        withheld: schema.references().into_iter().filter(|field| !shown(*field)).collect(),
        consents: history.consents,
        requests: history.requests,
        uses,
        request,
        on_its_way: taken.on_its_way,
        schema,
    }
}

/// Returns the last day on which a value of an attribute is kept, if there is one and it has its day.
fn last_day(field: &Field, data: &BlockData) -> Option<i32> {
    let day = data.set_day(usize::from(field.column.0), 0)?;
    i32::try_from(day.last(field.retention_days?)).ok()
}

fn held_events(event: &EventType, data: &BlockData, shown: &dyn Fn(FieldRef) -> bool) -> Option<HeldEvents> {
    if !shown(FieldRef::Event(event.id)) {
        return None;
    }
    let rows = data.events.get(usize::from(event.id.0))?;
    let fields = event.fields.iter().zip(&rows.columns);
    let fields: Vec<_> = fields.filter(|(field, _)| shown(FieldRef::EventField(event.id, field.column))).collect();
    let held = |(row, (at, id)): (usize, (&i64, &u64))| HeldEvent {
        at: Timestamp(*at),
        id: *id,
        values: fields.iter().map(|(_, column)| column.value(row)).collect(),
    };
    let held = rows.at.iter().zip(&rows.id).enumerate().map(held).collect();
    Some(HeldEvents { event: event.id, columns: fields.iter().map(|(field, _)| field.column).collect(), rows: held })
}
