//! `audit`: read the log, have a leaf explained, and check that nothing in it was changed.
//!
//! Checking here uses the code of the offline verifier, never the writer's, and trusts nothing but the verifier key.

use super::consent::subject_key;
use super::{client_name, dataset_name};
use crate::cli::answer::parse_instant;
use crate::cli::args::{AuditCommand, Decided, Tree};
use crate::cli::chart::{Canvas, grouped, wrapped};
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::session::Session;
use crate::cli::verifier::{self, VerifierKey};
use proto::v1::{
    AuditEvent, ExplainLeafRequest, GetCheckpointRequest, GetProofRequest, GetVerifierKeyRequest, LogDecision, LogTree,
    SearchLogRequest,
};
use serde_json::{Value, json};

/// Leaves of one page.
const PAGE: i32 = 1000;

/// Runs one of them.
pub async fn run(command: AuditCommand, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    match command {
        AuditCommand::Explain { index, tree } => explain(index, tree, session).await,
        AuditCommand::Checkpoint { tree } => {
            let text = checkpoint(tree, session).await?;
            Ok(Shown::new(text.clone(), json!({ "checkpoint": text })))
        }
        AuditCommand::Key { tree } => {
            let request = GetVerifierKeyRequest { tree: log_tree(tree).into() };
            let answer = session.audit().get_verifier_key(session.request(request).await?).await?.into_inner();
            let key = answer.verifier_key;
            Ok(Shown::new(format!("{key}\n"), json!({ "verifier_key": key })))
        }
        AuditCommand::Proof { index, tree } => proof(index, tree, session).await,
        AuditCommand::Verify { verifier_key } => verify(verifier_key, session).await,
        search @ AuditCommand::Search { .. } => self::search(search, session, canvas).await,
    }
}

async fn search(command: AuditCommand, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let AuditCommand::Search { tree, client, dataset, subject, identity, purpose, decision, from, until, limit } =
        command
    else {
        return Err(CliError::failed("not a search"));
    };
    let subject = subject.map(|subject| subject_key(Some(subject))).transpose()?;
    let request = SearchLogRequest {
        tree: log_tree(tree).into(),
        client: client.as_deref().map(client_name).unwrap_or_default(),
        dataset: dataset.as_deref().map(dataset_name).unwrap_or_default(),
        subject: subject.map(|subject| subject.to_string()).unwrap_or_default(),
        purpose: purpose.unwrap_or_default(),
        decision: match decision {
            None => LogDecision::Unspecified.into(),
            Some(Decided::Permit) => LogDecision::Permit.into(),
            Some(Decided::Refuse) => LogDecision::Refuse.into(),
        },
        from_time: from.as_deref().map(parse_instant).transpose()?,
        until_time: until.as_deref().map(parse_instant).transpose()?,
        page_size: PAGE.min(i32::try_from(limit).unwrap_or(PAGE)),
        page_token: String::new(),
        identity,
    };
    let (events, more) = pages(request, usize::try_from(limit).unwrap_or(usize::MAX), session).await?;
    let mut words = sentences(&events, canvas);
    if more {
        words.push_str("There are more; raise --limit, or narrow the search.\n");
    }
    Ok(Shown::new(words, json!({ "events": events.iter().map(event_json).collect::<Vec<_>>(), "more": more })))
}

/// Reads at most `limit` leaves; says whether there are more.
pub async fn pages(
    mut request: SearchLogRequest,
    limit: usize,
    session: &Session,
) -> Result<(Vec<AuditEvent>, bool), CliError> {
    let mut events = Vec::new();
    loop {
        let page = session.audit().search_log(session.request(request.clone()).await?).await?.into_inner();
        events.extend(page.events);
        request.page_token = page.next_page_token;
        let over = events.len() > limit;
        events.truncate(limit);
        if request.page_token.is_empty() || events.len() >= limit {
            return Ok((events, over || !request.page_token.is_empty()));
        }
    }
}

/// Columns of an index and the space after it.
const INDENT: usize = 8;

/// Writes leaves as sentences, wrapped, their indexes before them. Request ids are left to `--json`.
pub fn sentences(events: &[AuditEvent], canvas: Canvas) -> String {
    let mut text = String::new();
    for event in events {
        let sentence = without_request(&event.sentence);
        let mut lines = wrapped(&sentence, canvas.width.saturating_sub(INDENT)).into_iter();
        text.push_str(&format!("{:>6}  {}\n", event.index, lines.next().unwrap_or_default()));
        lines.for_each(|line| text.push_str(&format!("{:INDENT$}{line}\n", "")));
    }
    text
}

fn without_request(sentence: &str) -> String {
    let cut = sentence.split_once(" (request ").and_then(|(before, rest)| Some((before, rest.split_once(')')?.1)));
    cut.map_or_else(|| sentence.to_owned(), |(before, after)| format!("{before}{after}"))
}

async fn explain(index: u64, tree: Tree, session: &Session) -> Result<Shown, CliError> {
    let request = ExplainLeafRequest { tree: log_tree(tree).into(), index };
    let answer = session.audit().explain_leaf(session.request(request).await?).await?.into_inner();
    let words = answer.lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let event = answer.event.unwrap_or_default();
    Ok(Shown::new(words, json!({ "event": event_json(&event), "lines": answer.lines })))
}

async fn checkpoint(tree: Tree, session: &Session) -> Result<String, CliError> {
    let request = session.request(GetCheckpointRequest { tree: log_tree(tree).into() }).await?;
    Ok(session.audit().get_checkpoint(request).await?.into_inner().checkpoint)
}

async fn proof(index: u64, tree: Tree, session: &Session) -> Result<Shown, CliError> {
    let request = session.request(GetProofRequest { tree: log_tree(tree).into(), index }).await?;
    let answer = session.audit().get_proof(request).await?.into_inner();
    let key = verifier_key(None, session).await?;
    let verdict = verifier::proof(&answer.proof, &key, &answer.json).map_err(CliError::not_verified)?;
    let words = format!("{}\n{}\n{verdict}\n", answer.proof.trim_end(), answer.json);
    Ok(Shown::new(words, json!({ "proof": answer.proof, "leaf": answer.json, "verdict": verdict })))
}

async fn verifier_key(given: Option<String>, session: &Session) -> Result<VerifierKey, CliError> {
    let text = match given {
        Some(text) => text,
        None => {
            let request = session.request(GetVerifierKeyRequest { tree: LogTree::Access.into() }).await?;
            session.audit().get_verifier_key(request).await?.into_inner().verifier_key
        }
    };
    VerifierKey::parse(text.trim()).map_err(CliError::not_verified)
}

/// What was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Leaves of the access tree.
    pub access: u64,
    /// Leaves of the subject tree.
    pub subject: u64,
    /// The verifier key that signs now, if the log announces a later one than was given.
    pub key: Option<String>,
}

async fn verify(given: Option<String>, session: &Session) -> Result<Shown, CliError> {
    let trusted = given.is_some();
    let Verified { access, subject, key } = verify_all(given, session).await?;
    let mut words = format!(
        "Verified: all {} leaves of the access tree and all {} of the subject tree hash to the signed checkpoints.\n",
        grouped(access),
        grouped(subject)
    );
    if let Some(key) = &key {
        words.push_str(&format!("The log announces a later key, which signs now: {key}\n"));
    }
    if !trusted {
        words.push_str("The key came from the gateway itself; keep it, and give it with --verifier-key next time.\n");
    }
    Ok(Shown::new(
        words,
        json!({ "verified": true, "access_leaves": access, "subject_leaves": subject, "later_key": key }),
    ))
}

/// Reads both trees whole and checks every leaf against the checkpoints.
pub async fn verify_all(given: Option<String>, session: &Session) -> Result<Verified, CliError> {
    let key = verifier_key(given, session).await?;
    let (access, later) = verify_tree(Tree::Access, &key, session).await?;
    let (subject, _) = verify_tree(Tree::Subject, &key, session).await?;
    Ok(Verified { access, subject, key: later })
}

/// The checkpoint is taken first; leaves that came after it (this read itself) are not part of what it signs.
/// Returns how many leaves there are, and the key that signs now if it is a later one.
async fn verify_tree(tree: Tree, key: &VerifierKey, session: &Session) -> Result<(u64, Option<String>), CliError> {
    let signed = checkpoint(tree, session).await?;
    let head = verifier::head(&signed, key).map_err(CliError::not_verified)?;
    let mut range = verifier::Leaves::of(&signed, key);
    let mut request = SearchLogRequest { tree: log_tree(tree).into(), page_size: PAGE, ..SearchLogRequest::default() };
    while range.count() < head.size {
        let page = session.audit().search_log(session.request(request.clone()).await?).await?.into_inner();
        for event in page.events {
            if range.count() < head.size {
                range.push(event.index, event.json.as_bytes()).map_err(CliError::not_verified)?;
            }
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    range.check(&head, &signed).map_err(CliError::not_verified)?;
    let later = (range.key() != verifier::Leaves::of(&signed, key).key()).then(|| range.key().text());
    Ok((head.size, later))
}

fn log_tree(tree: Tree) -> LogTree {
    match tree {
        Tree::Access => LogTree::Access,
        Tree::Subject => LogTree::Subject,
    }
}

fn event_json(event: &AuditEvent) -> Value {
    let AuditEvent { name, index, json, sentence } = event;
    let leaf: Value = serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.clone()));
    json!({ "name": name, "index": index, "leaf": leaf, "sentence": sentence })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_wrapped_and_leave_request_ids_out() {
        let sentence = "2026-03-31 10:00 UTC: client `m` asked for size (request 35ca38a3-f255); epoch 1; permitted.";
        let event = AuditEvent { index: 7, sentence: sentence.to_owned(), ..AuditEvent::default() };
        let canvas = Canvas { width: 60, unicode: true, color: false };
        let expected = "     7  2026-03-31 10:00 UTC: client `m` asked for size;\n        epoch 1; permitted.\n";
        assert_eq!(sentences(&[event], canvas), expected);
    }
}
