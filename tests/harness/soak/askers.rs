//! Who reads: services that ask, a partner, people through the portal, an officer.

use super::people::{ASKING, DATASET, SCORES, SHARING};
use super::world::World;
use crate::call;
use crate::crash::load::{self, Outcome, request_id};
use crate::crash::model::{Dice, key};
use gateway::cli::Session;
use gateway::clock::Stopwatch;
use proto::v1::deliver_audience_response::Message;
use proto::v1::stream_access_package_response::Message as Part;
use proto::v1::{self, LawfulBasis, LogTree, Release, SegmentSource, Use, segment_source::Source};
use std::sync::Arc;
use std::time::Duration;
use tonic::Response;

const BETWEEN_QUESTIONS: Duration = Duration::from_millis(400);
const BETWEEN_AUDIENCES: Duration = Duration::from_secs(5);
const BETWEEN_PACKAGES: Duration = Duration::from_secs(2);
const BETWEEN_READS: Duration = Duration::from_secs(3);
/// In units of rho 0.001.
const PRICE: u64 = 1;
/// An audience is who has a score in one of so many equal ranges.
const RANGES: u64 = 50;

fn cel(text: String) -> Option<SegmentSource> {
    Some(SegmentSource { source: Some(Source::Cel(text)) })
}

/// Returns the use of questions.
pub fn asking() -> Option<Use> {
    Some(Use { purpose: ASKING.to_owned(), basis: LawfulBasis::Consent.into() })
}

/// Returns the request for a breakdown by a field.
pub fn breakdown_of(by: &str, price: u64, request_id: String) -> v1::BreakdownRequest {
    v1::BreakdownRequest {
        dataset: DATASET.to_owned(),
        by: vec![by.to_owned()],
        r#use: asking(),
        spend: Some(load::spend(price)),
        request_id,
        ..Default::default()
    }
}

/// Returns the request for a portrait of all by area and by category.
pub fn portrait_of(segment: Option<SegmentSource>, price: u64, request_id: String) -> v1::PortraitRequest {
    v1::PortraitRequest {
        dataset: DATASET.to_owned(),
        segment,
        fields: vec!["area".to_owned(), "order.category".to_owned()],
        r#use: asking(),
        spend: Some(load::spend(price)),
        request_id,
        ..Default::default()
    }
}

/// Asks for sizes, each twice, breakdowns and portraits; and for what must be refused.
pub async fn ask(world: Arc<World>, session: Session, mut dice: Dice) {
    let mut number = 0_u64;
    while !world.is_over() {
        tokio::time::sleep(BETWEEN_QUESTIONS).await;
        let _turn = world.quiet.read().await;
        number += 1;
        let (id, text) = (request_id(&mut dice), format!("score >= {} && view.count() < 9", dice.below(SCORES)));
        let began = Stopwatch::start();
        match number % 8 {
            0 => {
                let asked = call!(session, insight.breakdown(breakdown_of("order.category", PRICE, id)));
                world.settle("ask", began, asked, &[]);
            }
            1 => {
                let asked = call!(session, insight.portrait(portrait_of(cel(text), PRICE, id)));
                world.settle("ask", began, asked, &[]);
            }
            2 => {
                let outcome = load::ask(&session, DATASET, r#"diet == "any""#, PRICE, &id).await;
                refuses(&world, began, outcome, "FIELD_UNAVAILABLE");
            }
            3 => {
                let mut message = load::size_request(DATASET, &text, PRICE, &id);
                message.r#use =
                    Some(Use { purpose: "marketing.measurement".to_owned(), basis: LawfulBasis::Consent.into() });
                refuses(&world, began, call!(session, segments.estimate_size(message)), "PURPOSE_DENIED");
            }
            _ => {
                let outcome = load::ask(&session, DATASET, &text, PRICE, &id).await;
                let Some(first) = world.settle("ask", began, outcome, &[]) else { continue };
                let began = Stopwatch::start();
                let outcome = load::ask(&session, DATASET, &text, PRICE, &request_id(&mut dice)).await;
                let Some(second) = world.settle("ask", began, outcome, &[]) else { continue };
                compare(&world, &first, &second);
            }
        }
    }
}

fn refuses<T>(world: &World, began: Stopwatch, outcome: Outcome<T>, reason: &str) {
    if world.settle("ask", began, outcome, &[reason]).is_some() {
        world.error(format!("a question was answered that must be refused: {reason}"));
    }
}

/// In one epoch the same question has the same answer, and is charged once.
fn compare(world: &World, first: &Release, second: &Release) {
    if first.epoch == second.epoch && (first.tables != second.tables || second.charged) {
        world.error(format!("a question was drawn twice in epoch {}", first.epoch));
    }
}

/// Takes audiences, one range of scores after the other.
pub async fn partner(world: Arc<World>, session: Session) {
    let mut number = 0;
    while !world.is_over() {
        tokio::time::sleep(BETWEEN_AUDIENCES).await;
        let _turn = world.quiet.read().await;
        number += 1;
        let (from, width) = (number % RANGES * (SCORES / RANGES), SCORES / RANGES);
        let message = v1::DeliverAudienceRequest {
            dataset: DATASET.to_owned(),
            segment: cel(format!("score >= {from} && score < {}", from + width)),
            tags: vec!["area".to_owned()],
            r#use: Some(Use { purpose: SHARING.to_owned(), basis: LawfulBasis::Consent.into() }),
            spend: Some(load::spend(PRICE)),
            request_id: String::new(),
        };
        let began = Stopwatch::start();
        let outcome = match call!(session, activation.deliver_audience(message)) {
            Outcome::Answer(answers) => members(answers).await,
            Outcome::Refused(reason) => Outcome::Refused(reason),
            Outcome::Broken => Outcome::Broken,
        };
        // The first epoch may be of few.
        let expected: &[&str] = &["AUDIENCE_TOO_SMALL", "EPOCH_NOT_CLOSED"];
        if let Some(members) = world.settle("audience", began, outcome, expected) {
            world.count("members", members);
        }
    }
}

async fn members(mut answers: tonic::Streaming<v1::DeliverAudienceResponse>) -> Outcome<u64> {
    let mut count = 0;
    loop {
        match Outcome::from(answers.message().await.map(Response::new)) {
            Outcome::Answer(Some(answer)) => {
                if let Some(Message::Members(rows)) = answer.message {
                    count += rows.members.len() as u64;
                }
            }
            Outcome::Answer(None) => return Outcome::Answer(count),
            Outcome::Refused(reason) => return Outcome::Refused(reason),
            Outcome::Broken => return Outcome::Broken,
        }
    }
}

/// Returns the events of a person's access package, once all of it has come.
pub async fn package(session: &Session, who: u64) -> Outcome<Vec<v1::HeldEvents>> {
    let (dataset, subject) = (DATASET.to_owned(), key(who));
    let message = v1::StreamAccessPackageRequest { dataset, subject, ..Default::default() };
    match call!(session, subjects.stream_access_package(message)) {
        Outcome::Answer(parts) => events(parts).await,
        Outcome::Refused(reason) => Outcome::Refused(reason),
        Outcome::Broken => Outcome::Broken,
    }
}

async fn events(mut parts: tonic::Streaming<v1::StreamAccessPackageResponse>) -> Outcome<Vec<v1::HeldEvents>> {
    let (mut all, mut ended) = (Vec::new(), false);
    loop {
        match Outcome::from(parts.message().await.map(Response::new)) {
            Outcome::Answer(Some(part)) => match part.message {
                Some(Part::Events(events)) => all.push(events),
                Some(Part::End(_)) => ended = true,
                _ => {}
            },
            Outcome::Answer(None) if ended => return Outcome::Answer(all),
            Outcome::Answer(None) | Outcome::Broken => return Outcome::Broken,
            Outcome::Refused(reason) => return Outcome::Refused(reason),
        }
    }
}

/// Asks for what is held about people at random.
pub async fn portal(world: Arc<World>, session: Session) {
    while !world.is_over() {
        tokio::time::sleep(BETWEEN_PACKAGES).await;
        let _turn = world.quiet.read().await;
        let Some(who) = world.people().anyone() else { continue };
        let began = Stopwatch::start();
        world.settle("package", began, package(&session, who).await, &[]);
        world.people().free(who, |_| ());
    }
}

/// Reads the log and its checkpoints.
pub async fn officer(world: Arc<World>, session: Session) {
    while !world.is_over() {
        tokio::time::sleep(BETWEEN_READS).await;
        let _turn = world.quiet.read().await;
        for tree in [LogTree::Access, LogTree::Subject] {
            let began = Stopwatch::start();
            let checkpoint = call!(session, audit.get_checkpoint(v1::GetCheckpointRequest { tree: tree.into() }));
            let Some(checkpoint) = world.settle("read", began, checkpoint, &[]) else { continue };
            let size = checkpoint.checkpoint.lines().nth(1).and_then(|line| line.parse::<u64>().ok());
            let index = size.unwrap_or(1).saturating_sub(1);
            let began = Stopwatch::start();
            let proof = call!(session, audit.get_proof(v1::GetProofRequest { tree: tree.into(), index }));
            world.settle("read", began, proof, &[]);
        }
    }
}
