//! The one place that turns a refusal or an error into a gRPC status.
//!
//! Every status carries one `ErrorInfo` (reason, domain `silhouette`, metadata with the request id and the next step).
//! What went wrong inside the vault is told to operators through tracing; a caller gets INTERNAL and the request id.

use policy::decide::{Reason, Refusal};
use std::collections::HashMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use vault::VaultError;

/// The domain of every reason.
pub const DOMAIN: &str = "silhouette";

/// Why a call did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// For a reason the caller may know.
    Refused(Refusal),
    /// An expression is refused: where in its text, from 1, and why.
    Expression {
        /// Line.
        line: u32,
        /// Column, in characters.
        column: u32,
        /// Why.
        refusal: Refusal,
    },
    /// The request itself is malformed: a named part of it, and what is wrong. Holds no value of it.
    Invalid {
        /// The field of the request: `page_size`.
        part: &'static str,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// The vault did not do it.
    Vault(VaultError),
    /// A defect of the gateway; the text is for operators and holds no personal value.
    Defect(&'static str),
}

impl Failure {
    /// Refuses for a reason.
    pub fn refused(reason: Reason, message: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self::Refused(Refusal { reason, message: message.into(), next_step: next_step.into() })
    }

    /// Refuses a malformed part of a request.
    pub fn invalid(part: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { part, problem: problem.into() }
    }

    /// Says it as a refusal, for the log and for the caller.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Refused(refusal) | Self::Expression { refusal, .. } | Self::Vault(VaultError::Refused(refusal)) => {
                refusal.clone()
            }
            Self::Invalid { part, problem } => Refusal {
                reason: Reason::RequestInvalid,
                message: format!("`{part}` {problem}"),
                next_step: "correct the request and send it again".to_owned(),
            },
            Self::Vault(VaultError::LogUnavailable(_)) => log_unavailable(),
            Self::Vault(_) | Self::Defect(_) => internal(),
        }
    }

    /// Returns what operators should read, for failures that are nobody's request's fault.
    pub fn for_operators(&self) -> Option<String> {
        match self {
            Self::Vault(VaultError::Refused(_)) | Self::Refused(_) | Self::Expression { .. } | Self::Invalid { .. } => {
                None
            }
            Self::Vault(problem) => Some(problem.to_string()),
            Self::Defect(problem) => Some((*problem).to_owned()),
        }
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Says that nothing is served while the log can't be written.
pub fn log_unavailable() -> Refusal {
    Refusal {
        reason: Reason::LogUnavailable,
        message: "the log can't be written, so nothing is served".to_owned(),
        next_step: "try again later; the steward sees the cause in the gateway's health".to_owned(),
    }
}

fn internal() -> Refusal {
    Refusal {
        reason: Reason::Internal,
        message: "the gateway failed".to_owned(),
        next_step: "tell the steward this request id".to_owned(),
    }
}

/// Turns a failure into a status; `line` and `column` of an expression are in its metadata.
pub fn of_failure(failure: &Failure, request_id: &str) -> Status {
    let mut metadata = HashMap::new();
    if let Failure::Expression { line, column, .. } = failure {
        metadata.insert("line".to_owned(), line.to_string());
        metadata.insert("column".to_owned(), column.to_string());
    }
    with_metadata(&failure.refusal(), request_id, metadata)
}

/// Turns a refusal into a status.
pub fn of_refusal(refusal: &Refusal, request_id: &str) -> Status {
    with_metadata(refusal, request_id, HashMap::new())
}

fn with_metadata(refusal: &Refusal, request_id: &str, mut metadata: HashMap<String, String>) -> Status {
    let Refusal { reason, message, next_step } = refusal;
    metadata.insert("next_step".to_owned(), next_step.clone());
    if !request_id.is_empty() {
        metadata.insert("request_id".to_owned(), request_id.to_owned());
    }
    let details = ErrorDetails::with_error_info(reason.as_str(), DOMAIN, metadata);
    let text = if next_step.is_empty() { message.clone() } else { format!("{message}; {next_step}") };
    Status::with_error_details(code(*reason), text, details)
}

/// Gives a status that something below us made its reason: an unknown method, a frame that can't be read, a compression
/// that is not spoken. The code stays; the text is ours, since theirs may quote the request.
pub fn of_transport(code: Code) -> Status {
    with_code(code, &of_refusal(&transport(code), ""))
}

/// Returns a status under another code.
pub fn with_code(code: Code, typed: &Status) -> Status {
    Status::with_details(code, typed.message(), typed.details().to_vec().into())
}

/// Says what the transport refused, as a refusal.
pub fn transport(code: Code) -> Refusal {
    let (reason, message, next_step) = match code {
        Code::Unimplemented => (
            Reason::RequestInvalid,
            "this gateway has no such method, or doesn't speak this compression",
            "look the methods up by reflection, and send messages uncompressed",
        ),
        Code::DeadlineExceeded | Code::Cancelled => (
            Reason::DeadlineExceeded,
            "the call ended before its answer",
            "call again with the same request id and a longer deadline",
        ),
        Code::OutOfRange | Code::ResourceExhausted => {
            (Reason::MessageTooLarge, "the message is larger than this gateway takes", "send less in one message")
        }
        _ => (
            Reason::RequestInvalid,
            "the message can't be read",
            "check that client and gateway use the same version of the protocol files",
        ),
    };
    Refusal::new(reason, message, next_step)
}

fn code(reason: Reason) -> Code {
    match reason {
        Reason::TokenMissing | Reason::TokenExpired | Reason::TokenInvalid | Reason::AudienceMismatch => {
            Code::Unauthenticated
        }
        Reason::PurposeDenied | Reason::FieldUnavailable => Code::PermissionDenied,
        Reason::ExpressionInvalid | Reason::RequestInvalid | Reason::PriceAboveCap | Reason::RequestIdReused => {
            Code::InvalidArgument
        }
        Reason::SchemaMismatch | Reason::EpochNotClosed | Reason::AudienceTooSmall => Code::FailedPrecondition,
        Reason::BudgetExhausted | Reason::QuotaExhausted | Reason::RateLimited | Reason::MessageTooLarge => {
            Code::ResourceExhausted
        }
        Reason::DeadlineExceeded => Code::DeadlineExceeded,
        Reason::LogUnavailable => Code::Unavailable,
        Reason::Internal => Code::Internal,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_status_carries_its_reason_and_next_step() {
        let failure = Failure::refused(Reason::BudgetExhausted, "nothing is left", "wait");
        let status = of_refusal(&failure.refusal(), "id-1");
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.message(), "nothing is left; wait");
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("BUDGET_EXHAUSTED", DOMAIN));
        assert_eq!(info.metadata.get("request_id").unwrap(), "id-1");
    }

    #[test]
    fn inner_faults_are_opaque() {
        let damaged = VaultError::Damaged { part: "block 7".into(), problem: "tag mismatch".into() };
        let failure = Failure::from(damaged);
        let status = of_refusal(&failure.refusal(), "id-2");
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("block"));
        assert!(failure.for_operators().unwrap().contains("block 7"));
    }
}
