//! `subject`: what one person can ask for, done with the portal's key.
//!
//! A person's key and values are in no error, and in no file but those that are for the person. What can't be undone asks
//! first; where its receipt goes is settled before it is done.

pub mod access;
pub(super) mod who;

use super::{dataset_name, short};
use crate::cli::answer::instant;
use crate::cli::args::{CorrectArgs, EraseArgs, PairArgs, SubjectCommand, Whose};
use crate::cli::chart::{self, Canvas};
use crate::cli::error::{CliError, Exit};
use crate::cli::out::Shown;
use crate::cli::rights::{self, Reserved};
use crate::cli::session::Session;
use proto::v1::{
    AudienceUse, EraseSubjectsRequest, ErasureReceipt, GetConsentReceiptsRequest, LinkSubjectsRequest, ListUsesRequest,
    ObjectToPurposeRequest, PastRecipient, RectifySubjectRequest, ReleaseUse, RestrictSubjectRequest, SubjectRequest,
    SubjectRequestState, UnlinkSubjectsRequest, UnrestrictSubjectRequest,
};
use serde_json::json;

/// Releases of one page.
const PAGE: i32 = 1000;

/// Runs one of them.
pub async fn run(command: SubjectCommand, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    match command {
        SubjectCommand::Access { whose, out, tables } => {
            let subject = who::one(&whose)?;
            access::write(&whose, &subject, &out, tables, session).await
        }
        SubjectCommand::Correct(args) => correct(args, session).await,
        SubjectCommand::Restrict { whose } => {
            let (dataset, subject) = (dataset_name(&whose.of.dataset), who::one(&whose)?.to_string());
            let (request_id, identity) = (String::new(), whose.identity);
            let message = RestrictSubjectRequest { dataset, subject, request_id, identity };
            let answer = session.subjects().restrict_subject(session.request(message).await?).await?.into_inner();
            let words = "In force: this person's data is kept, and from now on used for nothing.";
            Ok(fulfilled(words, answer.request))
        }
        SubjectCommand::Unrestrict { whose } => {
            let (dataset, subject) = (dataset_name(&whose.of.dataset), who::one(&whose)?.to_string());
            let (request_id, identity) = (String::new(), whose.identity);
            let message = UnrestrictSubjectRequest { dataset, subject, request_id, identity };
            let answer = session.subjects().unrestrict_subject(session.request(message).await?).await?.into_inner();
            let words = "Lifted: what this person agreed to holds again, in answers from the next epoch on.";
            Ok(fulfilled(words, answer.request))
        }
        SubjectCommand::Object { whose, purpose } => {
            let (dataset, subject) = (dataset_name(&whose.of.dataset), who::one(&whose)?.to_string());
            let words = format!("In force: nothing drawn from now on uses this person for {purpose}, on any basis.");
            let (request_id, identity) = (String::new(), whose.identity);
            let message = ObjectToPurposeRequest { dataset, subject, purpose, request_id, identity };
            let answer = session.subjects().object_to_purpose(session.request(message).await?).await?.into_inner();
            Ok(fulfilled(&words, answer.request))
        }
        SubjectCommand::Link(args) => link(args, session).await,
        SubjectCommand::Unlink(args) => unlink(args, session).await,
        SubjectCommand::Erase(args) => erase(args, session).await,
        SubjectCommand::Uses { whose } => {
            let subject = who::one(&whose)?;
            uses(&whose, &subject, session, canvas).await
        }
        SubjectCommand::Receipts { whose, out, verifier_key } => {
            let (dataset, subject) = (dataset_name(&whose.of.dataset), who::one(&whose)?.to_string());
            let file = Reserved::make(out)?;
            let (request_id, identity) = (String::new(), whose.identity);
            let message = GetConsentReceiptsRequest { dataset: dataset.clone(), subject, request_id, identity };
            let found = session.subjects().get_consent_receipts(session.request(message).await?).await?.into_inner();
            let count = found.receipts.len();
            let (text, verdict) = rights::consent_receipts(&dataset, found, verifier_key.as_deref())?;
            let path = file.fill(&text)?;
            let verdict = verdict?;
            let words = format!("{verdict}\nWritten to {}.\n{}", path.display(), trust(verifier_key.is_some()));
            Ok(Shown::new(words, json!({ "file": path, "receipts": count, "verified": verdict })))
        }
    }
}

async fn correct(args: CorrectArgs, session: &Session) -> Result<Shown, CliError> {
    let CorrectArgs { whose, set, empty, values } = args;
    let values = who::values(set, empty, values.as_deref())?;
    let (dataset, subject) = (dataset_name(&whose.of.dataset), who::one(&whose)?.to_string());
    let (request_id, identity) = (String::new(), whose.identity);
    let message = RectifySubjectRequest { dataset, subject, values, request_id, identity };
    let answer = session.subjects().rectify_subject(session.request(message).await?).await?.into_inner();
    let fields = answer.request.as_ref().map(|request| request.fields.join(", ")).unwrap_or_default();
    Ok(fulfilled(&format!("Corrected: {fields}. Answers read it from the next epoch on."), answer.request))
}

async fn link(args: PairArgs, session: &Session) -> Result<Shown, CliError> {
    let (primary, secondary) = who::two(&args.whose)?;
    let PairArgs { whose, other_identity } = args;
    let message = LinkSubjectsRequest {
        dataset: dataset_name(&whose.of.dataset),
        primary,
        primary_identity: whose.identity,
        secondary,
        secondary_identity: other_identity,
        request_id: String::new(),
    };
    let answer = session.subjects().link_subjects(session.request(message).await?).await?.into_inner();
    let words =
        "Linked: the first stands for both, now only for what both allow, and from the next epoch with what both did.";
    Ok(fulfilled(words, answer.request))
}

async fn unlink(args: PairArgs, session: &Session) -> Result<Shown, CliError> {
    let (primary, secondary) = who::two(&args.whose)?;
    let PairArgs { whose, other_identity } = args;
    let message = UnlinkSubjectsRequest {
        dataset: dataset_name(&whose.of.dataset),
        primary,
        primary_identity: whose.identity,
        secondary,
        secondary_identity: other_identity,
        request_id: String::new(),
    };
    let answer = session.subjects().unlink_subjects(session.request(message).await?).await?.into_inner();
    Ok(fulfilled("Unlinked: each is counted for itself again from the next epoch on.", answer.request))
}

async fn erase(args: EraseArgs, session: &Session) -> Result<Shown, CliError> {
    let EraseArgs { whose, out, verifier_key, yes } = args;
    let subjects = who::several(&whose)?;
    let file = Reserved::make(out)?;
    if !yes {
        who::confirm(&format!("Erase {} from {}?", counted(subjects.len(), "person", "people"), whose.of.dataset))?;
    }
    let erased = erase_people(&whose.of.dataset, &whose.identity, &subjects, verifier_key.as_deref(), session).await?;
    let Erased { text, verdict, request } = erased;
    // Whoever is erased can't be erased again: without a file, the receipt itself is better said than lost.
    let path = file.fill(&text).map_err(|problem| problem.hint(format!("keep this instead of the file:\n{text}")))?;
    let verdict = verdict?;
    let words = format!(
        "{verdict}\nThe receipt is in {}; silhouette-verify receipt checks it anywhere.\n{}{}",
        path.display(),
        request_words(&request),
        trust(verifier_key.is_some()),
    );
    Ok(Shown::new(words, json!({ "receipt": path, "verified": verdict, "request": rights::request_json(&request) })))
}

/// What an erasure came to.
#[derive(Debug)]
pub struct Erased {
    /// The receipt's file.
    pub text: String,
    /// What in it was found to hold, or what does not.
    pub verdict: Result<String, CliError>,
    /// The request, as the log has it.
    pub request: SubjectRequest,
}

/// Erases people, and checks the receipt.
pub async fn erase_people(
    dataset: &str,
    identity: &str,
    subjects: &[String],
    verifier_key: Option<&str>,
    session: &Session,
) -> Result<Erased, CliError> {
    let (dataset, identity, subjects) = (dataset_name(dataset), identity.to_owned(), subjects.to_vec());
    let request_id = uuid::Uuid::new_v4().to_string();
    let message = EraseSubjectsRequest { dataset, subjects, request_id: request_id.clone(), identity };
    let message = session.request(message).await?;
    let answer = session.subjects().erase_subjects(message).await.map_err(|status| unanswered(status, &request_id))?;
    let answer = answer.into_inner();
    let receipt = answer.receipt.ok_or_else(|| CliError::failed("the gateway sent no receipt"))?;
    judged(receipt, answer.request.unwrap_or_default(), verifier_key)
}

/// Checks the receipt of an erasure.
pub(super) fn judged(
    receipt: ErasureReceipt,
    request: SubjectRequest,
    verifier_key: Option<&str>,
) -> Result<Erased, CliError> {
    let (text, mut verdict) = rights::erasure_receipt(receipt, verifier_key)?;
    let done = [SubjectRequestState::Fulfilled, SubjectRequestState::PartlyHeld].map(i32::from);
    if verdict.is_ok() && !done.contains(&request.state) {
        verdict = Err(CliError::not_verified("the gateway does not say that the request is fulfilled"));
    }
    Ok(Erased { text, verdict, request })
}

/// An answer that did not come may be of an erasure that was done all the same: says where that can be seen.
fn unanswered(status: tonic::Status, request_id: &str) -> CliError {
    let error = CliError::from(status);
    if error.exit() == Exit::Refused {
        return error;
    }
    error.hint(format!(
        "it may be done all the same: an officer sees it with `silhouette audit search --tree subject --json`, under the \
         request {request_id}"
    ))
}

async fn uses(whose: &Whose, subject: &str, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let (mut releases, mut audiences, mut recipients) = (Vec::new(), Vec::new(), Vec::new());
    let mut page_token = String::new();
    loop {
        let (dataset, subject) = (dataset_name(&whose.of.dataset), subject.to_owned());
        let (request_id, identity) = (String::new(), whose.identity.clone());
        let message = ListUsesRequest { dataset, subject, page_size: PAGE, page_token, request_id, identity };
        let page = session.subjects().list_uses(session.request(message).await?).await?.into_inner();
        releases.extend(page.releases);
        audiences.extend(page.audiences);
        recipients.extend(page.recipients);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let mut words = String::new();
    if releases.is_empty() {
        words.push_str("No answer was given while what this person had agreed to allowed it.\n");
    } else {
        let header = ["when", "who", "for", "asked", "fields"];
        words.push_str("Answers this person could have been counted in; whether they were is recorded nowhere.\n");
        words.push_str(&chart::table(&header, &releases.iter().map(release_row).collect::<Vec<_>>(), canvas.width));
    }
    if audiences.is_empty() {
        let since = if recipients.is_empty() { "" } else { " lately" };
        words.push_str(&format!("This person was in no list passed to a partner{since}.\n"));
    } else {
        words.push_str("Lists passed to a partner with this person, under a pseudonym of that partner's own.\n");
        let header = ["when", "to", "for", "with"];
        words.push_str(&chart::table(&header, &audiences.iter().map(audience_row).collect::<Vec<_>>(), canvas.width));
    }
    if !recipients.is_empty() {
        words.push_str("Partners that got lists with this person in earlier epochs; in which of them is not kept.\n");
        let header = ["epochs", "to", "for", "with any of"];
        let rows: Vec<_> = recipients.iter().map(recipient_row).collect();
        words.push_str(&chart::table(&header, &rows, canvas.width));
    }
    let releases: Vec<_> = releases.iter().map(release_json).collect();
    let audiences: Vec<_> = audiences.iter().map(audience_json).collect();
    let recipients: Vec<_> = recipients.iter().map(recipient_json).collect();
    Ok(Shown::new(words, json!({ "releases": releases, "audiences": audiences, "recipients": recipients })))
}

fn release_row(used: &ReleaseUse) -> Vec<String> {
    let purpose = used.r#use.as_ref().map(|used_for| used_for.purpose.clone()).unwrap_or_default();
    let again = if used.repeated_answer { " (again)" } else { "" };
    let when = used.time.as_ref().map(instant).unwrap_or_default();
    vec![when, short(&used.client).to_owned(), purpose, format!("{}{again}", used.question), used.fields.join(", ")]
}

fn release_json(used: &ReleaseUse) -> serde_json::Value {
    let ReleaseUse { client, r#use, question, fields, time, leaf, repeated_answer } = used;
    let used_for = r#use.clone().unwrap_or_default();
    json!({
        "client": client, "purpose": used_for.purpose, "basis": rights::basis_name(used_for.basis),
        "question": question, "fields": fields, "time": time.as_ref().map(instant), "leaf": leaf,
        "repeated_answer": repeated_answer,
    })
}

fn audience_row(used: &AudienceUse) -> Vec<String> {
    let when = used.time.as_ref().map(instant).unwrap_or_default();
    vec![when, short(&used.partner).to_owned(), used.purpose.clone(), used.tags.join(", ")]
}

fn audience_json(used: &AudienceUse) -> serde_json::Value {
    let AudienceUse { partner, purpose, tags, epoch, time, leaf } = used;
    json!({
        "partner": partner, "purpose": purpose, "tags": tags, "epoch": epoch, "time": time.as_ref().map(instant),
        "leaf": leaf,
    })
}

fn recipient_row(recipient: &PastRecipient) -> Vec<String> {
    let PastRecipient { partner, purpose, tags, first_epoch, last_epoch } = recipient;
    let epochs = format!("{first_epoch} to {last_epoch}");
    vec![epochs, short(partner).to_owned(), purpose.clone(), tags.join(", ")]
}

fn recipient_json(recipient: &PastRecipient) -> serde_json::Value {
    let PastRecipient { partner, purpose, tags, first_epoch, last_epoch } = recipient;
    json!({
        "partner": partner, "purpose": purpose, "tags": tags, "first_epoch": first_epoch, "last_epoch": last_epoch,
    })
}

fn fulfilled(words: &str, request: Option<SubjectRequest>) -> Shown {
    let request = request.unwrap_or_default();
    Shown::new(format!("{words}\n{}", request_words(&request)), json!({ "request": rights::request_json(&request) }))
}

/// Says how the log has a request.
pub(super) fn request_words(request: &SubjectRequest) -> String {
    let state = match SubjectRequestState::try_from(request.state) {
        Ok(SubjectRequestState::Fulfilled) => "fulfilled",
        Ok(SubjectRequestState::PartlyHeld) => "partly fulfilled: the rest is held by law",
        _ => "open",
    };
    let due = request.deadline_time.as_ref().map(crate::cli::answer::day).unwrap_or_default();
    format!(
        "Request {state}: entries {} and {} of the log of requests; it was due by {due}.\n",
        request.intent_leaf, request.outcome_leaf
    )
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", chart::grouped(count as u64), if count == 1 { one } else { many })
}

pub(super) fn trust(given: bool) -> &'static str {
    if given {
        ""
    } else {
        "Checked with the key that the gateway itself sent: for more, give the one that an officer publishes with \
         --verifier-key.\n"
    }
}
