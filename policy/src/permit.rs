//! The proof that a decision was taken. Only [`crate::decide`] can make one.

use crate::consent::LawfulBasis;
use crate::id::{ClientId, DatasetId, PartnerId, PurposeId};
use crate::schema::FieldRef;
use crate::treatment::Treatment;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a principal wants to do. The vault checks that a permit is for the verb it is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Create a dataset or change its schema.
    ManageDataset,
    /// Write profiles, events and consents given at collection.
    Ingest,
    /// Record consent and withdrawal.
    RecordConsent,
    /// Ask for a DP release.
    Release,
    /// Deliver an audience of pseudonymised rows to a partner.
    Audience,
    /// Read the log.
    ReadLog,
    /// Read budget statements.
    ReadBudget,
    /// Close an epoch, fold, checkpoint: the system's own work, or a steward's request for it.
    Maintain,
    /// Register or revoke clients.
    ManageClients,
    /// Publish policies.
    ManagePolicies,
    /// Issue a token.
    IssueToken,
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Role {
    /// An internal service.
    Service,
    /// An outside organization, under its own pseudonyms.
    Partner(PartnerId),
    /// Reads the log.
    Officer,
    /// Runs schemas, policies, clients and budgets.
    Steward,
    /// Writes data.
    Producer,
    /// The gateway itself: folding, retention, erasure.
    System,
}

/// A permitted call. No `Clone`, `Default` or `Deserialize`; private fields; minted only by `decide`.
#[derive(Debug)]
pub struct Permit {
    pub(crate) verb: Verb,
    pub(crate) client: ClientId,
    pub(crate) role: Role,
    pub(crate) dataset: Option<DatasetId>,
    pub(crate) purpose: Option<PurposeId>,
    pub(crate) basis: Option<LawfulBasis>,
    pub(crate) table: Arc<BTreeMap<FieldRef, Treatment>>,
    pub(crate) table_hash: [u8; 32],
    pub(crate) policy_epoch: u64,
    pub(crate) request_id: String,
}

impl Permit {
    /// Returns what is permitted.
    pub fn verb(&self) -> Verb {
        self.verb
    }

    /// Returns who asked.
    pub fn client(&self) -> &ClientId {
        &self.client
    }

    /// Returns in which role.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// Returns the dataset; `None` for permits about the gateway itself.
    pub fn dataset(&self) -> Option<&DatasetId> {
        self.dataset.as_ref()
    }

    /// Returns the purpose; `None` for management verbs.
    pub fn purpose(&self) -> Option<&PurposeId> {
        self.purpose.as_ref()
    }

    /// Returns the lawful basis; `None` for management verbs.
    pub fn basis(&self) -> Option<LawfulBasis> {
        self.basis
    }

    /// Returns the treatment of a field: [`Treatment::Deny`] for what the table does not name.
    pub fn treatment(&self, field: FieldRef) -> Treatment {
        self.table.get(&field).copied().unwrap_or(Treatment::Deny)
    }

    /// Returns the hash of the disclosure table, part of the key of a stored answer.
    pub fn table_hash(&self) -> &[u8; 32] {
        &self.table_hash
    }

    /// Returns the number of the policy set that decided.
    pub fn policy_epoch(&self) -> u64 {
        self.policy_epoch
    }

    /// Returns the caller's request id (a UUID), for idempotency and the log.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }
}
