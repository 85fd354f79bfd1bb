//! `hold`: what a steward keeps from erasure because a law says so, done with a steward's key.

use super::subject::{self, request_words, trust};
use super::{dataset_name, subject::who};
use crate::cli::answer::{day, instant};
use crate::cli::args::{HoldCommand, PlaceArgs, ReleaseArgs};
use crate::cli::chart::{self, Canvas};
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::rights::{self, Reserved};
use crate::cli::session::Session;
use proto::v1::{Hold, ListHoldsRequest, PlaceHoldRequest, ReleaseHoldRequest};
use serde_json::{Value, json};

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Holds of one page.
const PAGE: i32 = 100;

/// Runs one of them.
pub async fn run(command: HoldCommand, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    match command {
        HoldCommand::Place(args) => place(args, session).await,
        HoldCommand::Release(args) => release(args, session).await,
        HoldCommand::List { of } => list(&of.dataset, session, canvas).await,
    }
}

async fn place(args: PlaceArgs, session: &Session) -> Result<Shown, CliError> {
    let PlaceArgs { whose, field: fields, ground, until } = args;
    let expire_time = until.as_deref().map(end_of_day).transpose()?;
    let (dataset, subject) = (dataset_name(&whose.of.dataset), who::one(&whose)?.to_string());
    let (request_id, identity) = (String::new(), whose.identity);
    let message = PlaceHoldRequest { dataset, subject, fields, ground, expire_time, request_id, identity };
    let answer = session.subjects().place_hold(session.request(message).await?).await?.into_inner();
    let hold = answer.hold.ok_or_else(|| CliError::failed("the gateway sent no hold"))?;
    let words = format!(
        "In force: hold {} keeps {} ({}){}.\nAn erasure takes everything else of this person, and the rest when the hold \
         ends.\n",
        hold.number,
        hold.fields.join(", "),
        hold.ground,
        until.map_or_else(String::new, |day| format!(" until the end of {day}")),
    );
    Ok(Shown::new(words, hold_json(&hold)))
}

async fn release(args: ReleaseArgs, session: &Session) -> Result<Shown, CliError> {
    let ReleaseArgs { number, of, out, verifier_key } = args;
    let file = Reserved::make(out)?;
    let message = ReleaseHoldRequest { dataset: dataset_name(&of.dataset), number, request_id: String::new() };
    let answer = session.subjects().release_hold(session.request(message).await?).await?.into_inner();
    let Some(receipt) = answer.receipt else {
        let words = format!("Hold {number} has ended; no erasure waited for it.\n");
        return Ok(Shown::new(words, json!({ "number": number, "receipt": null })));
    };
    let request = answer.request.unwrap_or_default();
    let erased = subject::judged(receipt, request, verifier_key.as_deref())?;
    // The gateway gives it again, but not forever.
    let path =
        file.fill(&erased.text).map_err(|problem| problem.hint(format!("keep this instead:\n{}", erased.text)))?;
    let verdict = erased.verdict?;
    let words = format!(
        "Hold {number} has ended, and the erasure that waited for it is done.\n{verdict}\nThe receipt is in {}; \
         silhouette-verify receipt checks it anywhere.\n{}{}",
        path.display(),
        request_words(&erased.request),
        trust(verifier_key.is_some()),
    );
    let request = rights::request_json(&erased.request);
    Ok(Shown::new(words, json!({ "number": number, "receipt": path, "verified": verdict, "request": request })))
}

async fn list(dataset: &str, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let (mut holds, mut page_token) = (Vec::new(), String::new());
    loop {
        let message = ListHoldsRequest { dataset: dataset_name(dataset), page_size: PAGE, page_token };
        let page = session.subjects().list_holds(session.request(message).await?).await?.into_inner();
        holds.extend(page.holds);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let words = if holds.is_empty() {
        "No hold stands in this dataset.\n".to_owned()
    } else {
        let header = ["number", "keeps", "on the ground", "since", "until", "an erasure waits"];
        chart::table(&header, &holds.iter().map(hold_row).collect::<Vec<_>>(), canvas.width)
    };
    Ok(Shown::new(words, json!({ "holds": holds.iter().map(hold_json).collect::<Vec<_>>() })))
}

fn hold_row(hold: &Hold) -> Vec<String> {
    let until = hold.expire_time.as_ref().map_or_else(|| "released".to_owned(), instant);
    let since = hold.place_time.as_ref().map(day).unwrap_or_default();
    let waits = if hold.erasure_waits { "yes" } else { "no" };
    vec![hold.number.to_string(), hold.fields.join(", "), hold.ground.clone(), since, until, waits.to_owned()]
}

fn hold_json(hold: &Hold) -> Value {
    let Hold { number, fields, ground, place_time, expire_time, erasure_waits } = hold;
    json!({
        "number": number, "fields": fields, "ground": ground, "since": place_time.as_ref().map(instant),
        "until": expire_time.as_ref().map(instant), "erasure_waits": erasure_waits,
    })
}

/// Returns the first instant after a day.
fn end_of_day(day: &str) -> Result<prost_types::Timestamp, CliError> {
    let day = policy::time::parse_day(day).ok_or_else(|| CliError::usage("--until takes a day, YYYY-MM-DD"))?;
    Ok(prost_types::Timestamp { seconds: (i64::from(day) + 1) * DAY, nanos: 0 })
}
