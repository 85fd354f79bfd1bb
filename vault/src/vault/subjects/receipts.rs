//! Consent receipts, and who used the data.

use super::super::{Tree, Vault, VaultError, links};
use super::TakenUp;
use super::uses::Timeline;
use crate::ingest::SubjectKey;
use crate::pseudonym;
use crate::subjects::{ConsentReceipts, HeldConsent, ProvenConsent, ProvenLeaf, Uses, UsesReport};
use policy::permit::Permit;
use policy::schema::Schema;
use policy::time::Timestamp;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

const USES: &str = "list of uses";
const RECEIPTS: &str = "consent receipts";

impl Vault {
    /// Returns what a person agreed to and took back, each with the proof that the log has it.
    pub fn consent_receipts(
        &self,
        permit: &Permit,
        subject: &SubjectKey,
        now: Timestamp,
    ) -> Result<ConsentReceipts, VaultError> {
        let (taken, on_its_way) = self.take_up(permit, subject, RECEIPTS, now)?;
        match self.prove_consents(&taken) {
            Ok((schema, receipts)) => {
                self.conclude_reading(permit, &taken, RECEIPTS, None)?;
                let verifier_key = self.log_vkey(Tree::Subject);
                Ok(ConsentReceipts { schema, receipts, verifier_key, on_its_way })
            }
            Err(error) => Err(self.gave_up(permit, &taken, RECEIPTS, error)),
        }
    }

    /// Lists who used a person's data: releases made while what the person had agreed to allowed that purpose, never
    /// whether the person matched; and audiences delivered with the person.
    pub fn list_uses(&self, permit: &Permit, subject: &SubjectKey, now: Timestamp) -> Result<UsesReport, VaultError> {
        let (taken, on_its_way) = self.take_up(permit, subject, USES, now)?;
        match self.find_uses(&taken) {
            Ok((schema, uses)) => {
                self.conclude_reading(permit, &taken, USES, None)?;
                Ok(UsesReport { uses, schema, on_its_way })
            }
            Err(error) => Err(self.gave_up(permit, &taken, USES, error)),
        }
    }

    fn find_uses(&self, taken: &TakenUp) -> Result<(Arc<Schema>, Uses), VaultError> {
        let source = self.source(taken.number, taken.ordinal)?;
        let history = self.history(&source.read()?)?;
        let through = links::through(&history.requests);
        let uses = self.uses_of(&source.schema, &Timeline::new(&history), (taken.ordinal, &through))?;
        Ok((source.schema, uses))
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

    /// Returns neighboring leaves of the subject tree with their proofs; persist the log first if they are new.
    pub(super) fn proven_leaves(&self, range: Range<u64>) -> Result<Vec<ProvenLeaf>, VaultError> {
        let leaves: Vec<(u64, Arc<[u8]>)> =
            self.log.scan(Tree::Subject, range.start, range.end).collect::<Result<_, _>>()?;
        let prove = |(index, json): (u64, Arc<[u8]>)| -> Result<ProvenLeaf, VaultError> {
            let proof = self.log.tlog_proof(Tree::Subject, index)?;
            Ok(ProvenLeaf { index, json: String::from_utf8_lossy(&json).into_owned(), proof })
        };
        leaves.into_par_iter().map(prove).collect()
    }

    /// Logs that a request failed, and returns why: the log's own trouble if it has some.
    pub(super) fn gave_up(&self, permit: &Permit, taken: &TakenUp, what: &str, error: VaultError) -> VaultError {
        self.conclude_reading(permit, taken, what, Some(&error)).err().unwrap_or(error)
    }
}
