//! The proof that a decision was taken. Only [`crate::decide`] can make one.

use crate::consent::LawfulBasis;
use crate::id::{ClientId, DatasetId, PartnerId, PurposeId};
use crate::schema::FieldRef;
use crate::treatment::Treatment;
use sha2::{Digest, Sha256};
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
    /// Give one person what is held about them, who received it and what they agreed to.
    AccessSubject,
    /// Correct one person's values.
    RectifySubject,
    /// Restrict the use of one person's data, lift that, or record an objection.
    RestrictSubject,
    /// Erase people.
    EraseSubject,
    /// Hold what a law says must be kept of one person, release or list holds.
    HoldSubject,
    /// Link two subjects that are one person, or end a link.
    LinkSubject,
    /// Extend the lifetime's budget of a population.
    ExtendBudget,
}

impl Verb {
    /// All verbs, in a fixed order.
    pub const ALL: [Self; 18] = [
        Self::ManageDataset,
        Self::Ingest,
        Self::RecordConsent,
        Self::Release,
        Self::Audience,
        Self::ReadLog,
        Self::ReadBudget,
        Self::Maintain,
        Self::ManageClients,
        Self::ManagePolicies,
        Self::IssueToken,
        Self::AccessSubject,
        Self::RectifySubject,
        Self::RestrictSubject,
        Self::EraseSubject,
        Self::HoldSubject,
        Self::LinkSubject,
        Self::ExtendBudget,
    ];

    /// Returns the Cedar action that stands for this verb.
    pub const fn action(self) -> &'static str {
        match self {
            Self::ManageDataset => "manage_dataset",
            Self::Ingest => "ingest",
            Self::RecordConsent => "record_consent",
            Self::Release => "release",
            Self::Audience => "audience",
            Self::ReadLog => "read_log",
            Self::ReadBudget => "read_budget",
            Self::Maintain => "maintain",
            Self::ManageClients => "manage_clients",
            Self::ManagePolicies => "manage_policies",
            Self::IssueToken => "issue_token",
            Self::AccessSubject => "access_subject",
            Self::RectifySubject => "rectify_subject",
            Self::RestrictSubject => "restrict_subject",
            Self::EraseSubject => "erase_subject",
            Self::HoldSubject => "hold_subject",
            Self::LinkSubject => "link_subject",
            Self::ExtendBudget => "extend_budget",
        }
    }

    /// Returns whether the verb uses people's data, and so needs a dataset, a purpose and a lawful basis.
    pub const fn needs_purpose(self) -> bool {
        matches!(self, Self::Release | Self::Audience)
    }

    /// Returns how many subjects the verb is about, whom its permit names: none, one, or the two that are linked.
    pub const fn subjects(self) -> usize {
        match self {
            Self::AccessSubject | Self::RectifySubject | Self::RestrictSubject => 1,
            Self::LinkSubject => 2,
            _ => 0,
        }
    }

    /// Returns whether a role can hold the verb at all, whatever the policies say: only the portal speaks for a person,
    /// and it does nothing else; only a steward holds back what a person may have erased, or extends what may be lost.
    pub const fn open_to(self, role: &Role) -> bool {
        let portal = matches!(role, Role::Portal);
        match self {
            Self::AccessSubject | Self::RectifySubject | Self::RestrictSubject | Self::LinkSubject => portal,
            Self::EraseSubject => matches!(role, Role::Portal | Role::Steward | Role::System),
            Self::HoldSubject | Self::ExtendBudget => matches!(role, Role::Steward),
            Self::RecordConsent => true,
            _ => !portal,
        }
    }
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// The owner's portal: acts for the people whose data it is, one at a time, after it has made sure who they are.
    Portal,
    /// The gateway itself: folding, retention, erasure.
    System,
}

/// The client that the gateway itself acts as; nobody else can be registered under this name.
pub const SYSTEM: &str = "system";

impl Role {
    /// Names of all roles, as the rules know them.
    pub const NAMES: [&'static str; 7] = ["service", "partner", "officer", "steward", "producer", "portal", "system"];

    /// Returns the role's name in the rules: `service`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Partner(_) => "partner",
            Self::Officer => "officer",
            Self::Steward => "steward",
            Self::Producer => "producer",
            Self::Portal => "portal",
            Self::System => "system",
        }
    }

    /// Returns the partner a client acts for.
    pub const fn partner(&self) -> Option<&PartnerId> {
        match self {
            Self::Partner(partner) => Some(partner),
            _ => None,
        }
    }
}

/// A person that a permit is about, as a hash: whoever holds the permit learns nothing from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SubjectMark([u8; 32]);

impl SubjectMark {
    pub(crate) fn of(subject: &[u8]) -> Self {
        Self(Sha256::digest(subject).into())
    }
}

impl std::fmt::Debug for SubjectMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubjectMark(..)")
    }
}

/// A permitted call. No `Clone`, `Default` or `Deserialize`; private fields; minted only by `decide`.
///
/// Whoever holds one was told yes:
/// ```
/// fn scan(permit: &policy::permit::Permit) -> u64 { permit.policy_epoch() }
/// ```
/// Nobody else can build, copy or change one:
/// ```compile_fail
/// fn forge(permit: policy::permit::Permit) -> policy::permit::Permit {
///     policy::permit::Permit { policy_epoch: 0, ..permit }
/// }
/// ```
/// ```compile_fail
/// fn copy(permit: &policy::permit::Permit) -> policy::permit::Permit { permit.clone() }
/// ```
/// ```compile_fail
/// fn from_nothing() -> policy::permit::Permit { Default::default() }
/// ```
/// ```compile_fail
/// fn change(permit: &mut policy::permit::Permit) { permit.policy_epoch = 1; }
/// ```
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
    pub(crate) subject: Option<SubjectMark>,
    /// The second of two.
    pub(crate) other: Option<SubjectMark>,
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

    /// Returns whether the permit is about this one person, named by the key that the dataset knows them by. A permit
    /// about nobody in particular is about no one, and neither is one about two.
    pub fn is_about(&self, subject: &[u8]) -> bool {
        self.subject == Some(SubjectMark::of(subject)) && self.other.is_none()
    }

    /// Returns whether the permit is about these two people, in this order.
    pub fn is_about_both(&self, first: &[u8], second: &[u8]) -> bool {
        self.subject == Some(SubjectMark::of(first)) && self.other == Some(SubjectMark::of(second))
    }

    /// Returns the caller's request id (a UUID), for idempotency and the log.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }
}
