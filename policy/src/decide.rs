//! The one place that says yes. Deny by default; any Cedar evaluation error means deny.

use crate::consent::LawfulBasis;
use crate::id::{ClientId, PurposeId};
use crate::permit::{Permit, Role, SubjectMark, Verb};
use crate::purpose::{covers, partner_may_use};
use crate::rules::Rules;
use crate::schema::{FieldClass, FieldRef, Schema};
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
    RequestInvalid,
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
            Self::RequestInvalid => "REQUEST_INVALID",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::LogUnavailable => "LOG_UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }
}

impl Refusal {
    /// Builds a refusal from its public parts.
    pub fn new(reason: Reason, message: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { reason, message: message.into(), next_step: next_step.into() }
    }
}

/// Decides. Cost: a map look-up once the row of (principal, purpose, basis, dataset) is cached for this policy epoch.
///
/// A permit carries the whole disclosure table, not only the fields asked for; the vault reads treatments from it.
/// Fields that do not exist and fields that are not granted give one and the same refusal.
pub fn decide(rules: &Rules, request: &Request<'_>) -> Decision {
    decision(rules, request, &[])
}

/// Decides what a portal may do for one person, named by the key that the dataset knows them by.
///
/// Only here is [`Treatment::Clear`] granted: the permit is for [`Verb::AccessSubject`], names this person, and opens
/// nobody else's data. Verbs that are about one person get no permit from [`decide`].
pub fn decide_for(rules: &Rules, request: &Request<'_>, subject: &[u8]) -> Decision {
    decision(rules, request, &[SubjectMark::of(subject)])
}

/// Decides what a portal may do about two people of a dataset that it has made sure are one: link them.
pub fn decide_for_both(rules: &Rules, request: &Request<'_>, first: &[u8], second: &[u8]) -> Decision {
    decision(rules, request, &[SubjectMark::of(first), SubjectMark::of(second)])
}

fn decision(rules: &Rules, request: &Request<'_>, subjects: &[SubjectMark]) -> Decision {
    match check(rules, request, subjects) {
        Ok(permit) => Decision::Permit(permit),
        Err(refusal) => Decision::Refusal(refusal),
    }
}

fn check(rules: &Rules, request: &Request<'_>, subjects: &[SubjectMark]) -> Result<Permit, Refusal> {
    let used_for = used_for(request)?;
    if request.verb.subjects() != subjects.len() {
        return Err(verb_denied(request.verb));
    }
    let row = rules.row(request.principal, request.dataset, used_for);
    if !row.allows(request.verb) {
        return Err(verb_denied(request.verb));
    }
    if let (Some((purpose, _)), Some(schema)) = (used_for, request.dataset)
        && !schema.purposes.iter().any(|known| covers(known, purpose))
    {
        return Err(Refusal::new(
            Reason::PurposeDenied,
            "nobody in this dataset is asked for consent to this purpose",
            "ask for one of the dataset's purposes, or for a part of one",
        ));
    }
    let disclosure = if request.verb == Verb::AccessSubject { &row.own } else { &row.disclosure };
    let table = &disclosure.table;
    if !request.fields.iter().all(|(field, need)| grants(request, table, *field, *need)) {
        return Err(field_unavailable());
    }
    Ok(Permit {
        verb: request.verb,
        client: request.principal.client.clone(),
        role: request.principal.role.clone(),
        dataset: request.dataset.map(|schema| schema.dataset.clone()),
        purpose: used_for.map(|(purpose, _)| purpose.clone()),
        basis: used_for.map(|(_, basis)| basis),
        table: Arc::clone(table),
        table_hash: disclosure.hash,
        policy_epoch: rules.epoch(),
        request_id: request.request_id.to_owned(),
        subject: subjects.first().copied(),
        other: subjects.get(1).copied(),
    })
}

/// Checks the purpose against the verb, the token and the partner's name.
fn used_for<'a>(request: &Request<'a>) -> Result<Option<(&'a PurposeId, LawfulBasis)>, Refusal> {
    if let Some(purpose) = request.purpose {
        let carried = request.principal.purposes.iter().any(|carried| covers(carried, purpose));
        if !carried || !partner_may_use(&request.principal.role, purpose) {
            return Err(Refusal::new(
                Reason::PurposeDenied,
                "this token doesn't carry this purpose",
                "use a token that carries it, or ask a steward to register the purpose for this client",
            ));
        }
    }
    if !request.verb.needs_purpose() {
        return Ok(None);
    }
    match (request.dataset, request.purpose, request.basis) {
        (Some(_), Some(purpose), Some(basis)) => Ok(Some((purpose, basis))),
        (_, _, None) => Err(incomplete("a lawful basis")),
        (_, None, _) => Err(incomplete("a purpose")),
        (None, _, _) => Err(incomplete("a dataset")),
    }
}

fn incomplete(what: &str) -> Refusal {
    Refusal::new(
        Reason::PurposeDenied,
        format!("people's data is only used with {what} named, and this call names none"),
        format!("name {what} in the call"),
    )
}

fn verb_denied(verb: Verb) -> Refusal {
    let action = verb.action();
    Refusal::new(
        Reason::PurposeDenied,
        format!("the policies in force don't allow this client `{action}` here"),
        "check the purpose and the dataset, or ask a steward which policies apply",
    )
}

fn field_unavailable() -> Refusal {
    Refusal::new(
        Reason::FieldUnavailable,
        "a field of this call doesn't exist or isn't available to this client for this purpose",
        "look up the fields this client can use for this purpose, or ask a steward to grant it",
    )
}

fn grants(request: &Request<'_>, table: &BTreeMap<FieldRef, Treatment>, field: FieldRef, need: Treatment) -> bool {
    let Some(granted) = table.get(&field).copied() else { return false };
    // An identifier's pseudonym is no step above an aggregate of it: only the very treatment counts.
    let identifier = request.dataset.is_some_and(|schema| schema.class(field) == FieldClass::Identifier);
    if identifier && need != granted {
        return false;
    }
    need > Treatment::Deny && granted >= need
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
