//! Why a command did not do it, for a person and for a program: words, a next step, and an exit code.

use serde_json::{Value, json};
use std::process::ExitCode;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// How a command ended. The numbers are stable; `--help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Something went wrong: a file, the disk, the gateway itself.
    Failed = 1,
    /// The command line is not understood. Also clap's own code.
    Usage = 2,
    /// The gateway refused, for a reason it names.
    Refused = 3,
    /// The gateway can't be reached or does not serve.
    Unavailable = 4,
    /// Something that was verified is not as it should be.
    NotVerified = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command's failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    exit: Exit,
    reason: Option<String>,
    message: String,
    next_step: Option<String>,
    details: Vec<String>,
}

impl CliError {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, reason: None, message: message.into(), next_step: None, details: Vec::new() }
    }

    /// Something went wrong on this side.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// The command line asks for what can't be.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The gateway can't be reached.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Exit::Unavailable, message)
    }

    /// What was verified does not hold.
    pub fn not_verified(message: impl Into<String>) -> Self {
        Self::new(Exit::NotVerified, message)
    }

    /// A file or folder on this side: which, and what the system says about it.
    pub fn file(path: &std::path::Path, problem: &std::io::Error) -> Self {
        Self::failed(format!("`{}`: {problem}", path.display()))
    }

    /// Adds what can be done now.
    #[must_use]
    pub fn hint(mut self, next_step: impl Into<String>) -> Self {
        self.next_step = Some(next_step.into());
        self
    }

    /// Returns how the command ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Returns the stable reason, `PURPOSE_DENIED`, if the gateway named one.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Writes the error for a person, one thing a line.
    pub fn words(&self) -> String {
        let mut text = match &self.reason {
            Some(reason) => format!("refused ({reason}): {}\n", self.message),
            None => format!("error: {}\n", self.message),
        };
        for detail in &self.details {
            text.push_str(&format!("  {detail}\n"));
        }
        if let Some(next_step) = &self.next_step {
            text.push_str(&format!("  what now: {next_step}\n"));
        }
        text
    }

    /// Writes the error for a program.
    pub fn json(&self) -> Value {
        json!({ "error": {
            "reason": self.reason, "message": self.message, "next_step": self.next_step, "details": self.details,
            "exit_code": self.exit as u8,
        }})
    }
}

impl From<Status> for CliError {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == "silhouette");
        let reason = info.map(|info| info.reason.clone());
        let exit = match (reason.as_deref(), status.code()) {
            (Some("INTERNAL"), _) => Exit::Failed,
            (Some("LOG_UNAVAILABLE"), _) => Exit::Unavailable,
            (Some(_), _) => Exit::Refused,
            (None, Code::Unavailable | Code::DeadlineExceeded) => Exit::Unavailable,
            (None, Code::Internal | Code::Unknown | Code::DataLoss | Code::Aborted | Code::Cancelled) => Exit::Failed,
            (None, _) => Exit::Refused,
        };
        let next_step = info.and_then(|info| info.metadata.get("next_step").cloned()).filter(|step| !step.is_empty());
        let violations = details.bad_request().into_iter().flat_map(|bad| &bad.field_violations);
        Self {
            exit,
            message: message(&status, next_step.as_deref()),
            next_step,
            details: violations.map(|violation| format!("{}: {}", violation.field, violation.description)).collect(),
            reason,
        }
    }
}

/// The status repeats the next step after its message, for clients that read nothing else.
fn message(status: &Status, next_step: Option<&str>) -> String {
    let text = status.message();
    let bare =
        next_step.and_then(|step| text.strip_suffix(step)).and_then(|text| text.strip_suffix("; ")).unwrap_or(text);
    if bare.is_empty() { status.code().to_string() } else { bare.to_owned() }
}

impl From<std::io::Error> for CliError {
    fn from(problem: std::io::Error) -> Self {
        Self::failed(problem.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tonic_types::ErrorDetails;

    fn refusal(reason: &str, code: Code) -> CliError {
        let steps = HashMap::from([("next_step".to_owned(), "ask the steward".to_owned())]);
        let details = ErrorDetails::with_error_info(reason, "silhouette", steps);
        Status::with_error_details(code, "the purpose is not granted; ask the steward", details).into()
    }

    #[test]
    fn a_refusal_keeps_its_reason_and_next_step() {
        let error = refusal("PURPOSE_DENIED", Code::PermissionDenied);
        assert_eq!((error.exit(), error.reason()), (Exit::Refused, Some("PURPOSE_DENIED")));
        let words = "refused (PURPOSE_DENIED): the purpose is not granted\n  what now: ask the steward\n";
        assert_eq!(error.words(), words);
    }

    #[test]
    fn what_is_no_refusal_ends_otherwise() {
        assert_eq!(refusal("INTERNAL", Code::Internal).exit(), Exit::Failed);
        assert_eq!(refusal("LOG_UNAVAILABLE", Code::Unavailable).exit(), Exit::Unavailable);
        assert_eq!(CliError::from(Status::unavailable("connection refused")).exit(), Exit::Unavailable);
        assert_eq!(CliError::from(Status::unknown("?")).exit(), Exit::Failed);
    }
}
