//! Consent of one subject: immutable events, folded into a state. Missing, unknown, expired and withdrawn all mean no.

use crate::id::PurposeId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A lawful basis for a use. Each plan names exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LawfulBasis {
    /// The subject agreed.
    Consent,
    /// Needed for a contract with the subject.
    Contract,
    /// A legitimate interest that the subject has not objected to.
    LegitimateInterest,
}

impl LawfulBasis {
    /// All bases, in a fixed order.
    pub const ALL: [Self; 3] = [Self::Consent, Self::Contract, Self::LegitimateInterest];

    /// Returns the name in rules and in the log: `legitimate_interest`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Contract => "contract",
            Self::LegitimateInterest => "legitimate_interest",
        }
    }
}

/// What happened to a subject's consent for a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentAct {
    /// The subject agreed (or the contract or interest was recorded), until `expires`.
    Give,
    /// The subject took it back: ends consent on every basis, for this purpose and all under it, and counts as an
    /// objection.
    Withdraw,
}

/// One consent event of one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentEvent {
    /// What for. Must be a purpose of the schema or an ancestor of one.
    pub purpose: PurposeId,
    /// On which basis. Ignored by [`ConsentAct::Withdraw`].
    pub basis: LawfulBasis,
    /// What happened.
    pub act: ConsentAct,
    /// When it happened, by the source's clock. An event older than the newest one of its purpose changes nothing.
    pub at: Timestamp,
    /// First instant at which a `Give` no longer holds.
    pub expires: Option<Timestamp>,
    /// Where it was collected, a public label: `checkout-form-3`. At most 63 characters.
    pub source: String,
}
