//! `consent`: record that a person agreed, or took it back.

use super::{basis, dataset_name};
use crate::cli::answer::parse_instant;
use crate::cli::args::{About, ConsentCommand, Method};
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::session::Session;
use crate::clock::Clock;
use proto::v1::{CollectionMethod, ConsentAct, ConsentEvent, RecordConsentsRequest, WithdrawRequest};
use serde_json::json;
use zeroize::Zeroizing;

/// Runs one of them.
pub async fn run(command: ConsentCommand, session: &Session) -> Result<Shown, CliError> {
    let now = Clock::system().now().0;
    match command {
        ConsentCommand::Give { about, basis: on, until, notice, language } => {
            let expire_micros = until.as_deref().map(parse_instant).transpose()?.map(|time| time.seconds * 1_000_000);
            let About { subject, identity, purpose, of, source, method: how } = about;
            let event = ConsentEvent {
                subject: subject_key(subject)?.to_string(),
                purpose: purpose.clone(),
                basis: basis(on).into(),
                act: ConsentAct::Give.into(),
                at_micros: now,
                expire_micros,
                source,
                notice,
                method: method(how).into(),
                language,
            };
            let (dataset, request_id) = (dataset_name(&of.dataset), String::new());
            let request =
                session.request(RecordConsentsRequest { dataset, consents: vec![event], request_id, identity }).await?;
            let answer = session.consent().record_consents(request).await?.into_inner();
            let words = format!("Recorded: this person agreed to {purpose} (leaf {}).\n", answer.leaf);
            Ok(Shown::new(words, json!({ "recorded": answer.recorded, "leaf": answer.leaf })))
        }
        ConsentCommand::Withdraw { about: About { subject, identity, purpose, of, source, method: how } } => {
            let request = WithdrawRequest {
                dataset: dataset_name(&of.dataset),
                subject: subject_key(subject)?.to_string(),
                purpose: purpose.clone(),
                at_micros: Some(now),
                source,
                request_id: String::new(),
                method: method(how).into(),
                identity,
            };
            let answer = session.consent().withdraw(session.request(request).await?).await?.into_inner();
            let words =
                format!("In force: nothing drawn from now on uses this person for {purpose} (leaf {}).\n", answer.leaf);
            Ok(Shown::new(words, json!({ "leaf": answer.leaf })))
        }
    }
}

fn method(how: Option<Method>) -> CollectionMethod {
    match how {
        None => CollectionMethod::Unspecified,
        Some(Method::WebForm) => CollectionMethod::WebForm,
        Some(Method::App) => CollectionMethod::App,
        Some(Method::Paper) => CollectionMethod::Paper,
        Some(Method::Phone) => CollectionMethod::Phone,
        Some(Method::InPerson) => CollectionMethod::InPerson,
        Some(Method::Import) => CollectionMethod::Import,
        Some(Method::PreferenceCenter) => CollectionMethod::PreferenceCenter,
        Some(Method::Signal) => CollectionMethod::Signal,
    }
}

/// Takes the subject key from the command line or, kept out of the shell's history, from standard input.
pub fn subject_key(given: Option<String>) -> Result<Zeroizing<String>, CliError> {
    if let Some(key) = given.filter(|key| key != "-") {
        return Ok(Zeroizing::new(key));
    }
    let mut line = Zeroizing::new(String::new());
    std::io::stdin().read_line(&mut line)?;
    let key = Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned());
    if key.is_empty() { Err(CliError::usage("no subject key was given on standard input")) } else { Ok(key) }
}
