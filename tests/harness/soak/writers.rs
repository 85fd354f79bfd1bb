//! Who writes: producers, people who change their minds, and erasures.

use super::people::{ASKING, DATASET};
use super::world::World;
use crate::call;
use crate::crash::load::Outcome;
use crate::crash::model::key;
use gateway::cli::Session;
use gateway::clock::Stopwatch;
use proto::v1::{self, EventLayout, IngestHeader, StreamRecordsRequest, stream_records_request::Message};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Response;

/// Batches of one stream: a producer connects anew from time to time.
const BATCHES: u64 = 100;
/// Who comes in a batch, and what else is in it.
const COME: usize = 500;
const OTHERS: usize = 250;
/// Between two batches of a producer, once everyone has come.
const BETWEEN: Duration = Duration::from_millis(200);
/// The oldest who are erased together, and how often.
const ERASED: usize = 100;
const BETWEEN_ERASURES: Duration = Duration::from_secs(2);
/// Of so many erasures one is of a single person at random.
const SINGLE: u64 = 4;
const BETWEEN_WITHDRAWALS: Duration = Duration::from_millis(150);
/// After a refusal because too much waits to be folded.
const HELD_BACK: Duration = Duration::from_secs(1);

fn message(message: Message) -> StreamRecordsRequest {
    StreamRecordsRequest { message: Some(message) }
}

fn header(schema_hash: Vec<u8>) -> IngestHeader {
    let layout = |event: &str, fields: &[&str]| EventLayout {
        event: event.to_owned(),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
    };
    IngestHeader {
        dataset: DATASET.to_owned(),
        schema_hash,
        identity: String::new(),
        attributes: vec!["area".to_owned(), "score".to_owned()],
        events: vec![layout("order", &["category"]), layout("view", &[])],
    }
}

/// Streams batches: new people until there are enough, then as many as are erased, and something of others.
pub async fn produce(world: Arc<World>, session: Session, schema_hash: Vec<u8>) {
    while !world.is_over() {
        let began = Stopwatch::start();
        let (send, receive) = mpsc::channel(2);
        send.send(message(Message::Header(header(schema_hash.clone())))).await.expect("room for a header");
        let answers = call!(session, ingest.stream_records(ReceiverStream::new(receive)));
        let Some(mut answers) = world.settle("stream", began, answers, &[]) else { return };
        for sequence in 1..=BATCHES {
            if !batch(&world, sequence, &send, &mut answers).await {
                break;
            }
        }
    }
}

/// Sends one batch and waits for its acknowledgement; says whether the stream goes on.
async fn batch(
    world: &World,
    sequence: u64,
    send: &mpsc::Sender<StreamRecordsRequest>,
    answers: &mut tonic::Streaming<v1::StreamRecordsResponse>,
) -> bool {
    let full = world.people().is_full();
    {
        let turn = world.quiet.read().await;
        if world.is_over() {
            return false;
        }
        let others = if full { OTHERS } else { 0 };
        let (batch, steps) = world.people().batch(sequence, COME, others, world.clock.now().0);
        let rows = (batch.profiles.len() + batch.events.len() + batch.consents.len()) as u64;
        let began = Stopwatch::start();
        let answer = match send.send(message(Message::Batch(batch))).await {
            Ok(()) => Outcome::from(answers.message().await.map(Response::new)),
            Err(_) => Outcome::Broken,
        };
        match world.settle("batch", began, answer, &["RATE_LIMITED"]) {
            Some(Some(answer)) if answer.rejected.is_empty() => world.people().apply(steps),
            Some(Some(answer)) => world.error(format!("{} rows were rejected", answer.rejected.len())),
            Some(None) => world.error("a stream ended by itself".to_owned()),
            None => {
                world.people().undo(&steps);
                drop(turn);
                tokio::time::sleep(HELD_BACK).await;
                return false;
            }
        }
        world.count("rows", rows);
    }
    if full {
        tokio::time::sleep(BETWEEN).await;
    }
    true
}

/// Withdraws consents of people at random.
pub async fn withdraw(world: Arc<World>, session: Session) {
    while !world.is_over() {
        tokio::time::sleep(BETWEEN_WITHDRAWALS).await;
        let _turn = world.quiet.read().await;
        let Some(who) = world.people().allowed() else { continue };
        let message = v1::WithdrawRequest {
            dataset: DATASET.to_owned(),
            subject: key(who),
            purpose: ASKING.to_owned(),
            source: "soak".to_owned(),
            ..Default::default()
        };
        let began = Stopwatch::start();
        let done = call!(session, consent.withdraw(message));
        if world.settle("withdrawal", began, done, &[]).is_some() {
            world.people().free(who, super::people::Person::withdraw);
        }
    }
}

/// Erases the oldest in batches, and now and then somebody alone.
pub async fn erase(world: Arc<World>, session: Session) {
    let mut number = 0;
    while !world.is_over() {
        tokio::time::sleep(BETWEEN_ERASURES).await;
        let _turn = world.quiet.read().await;
        if !world.people().is_full() {
            continue;
        }
        number += 1;
        let single = number % SINGLE == 0;
        let gone = if single { world.people().one() } else { world.people().oldest(ERASED) };
        let subjects = gone.iter().map(|who| key(*who)).collect();
        let message = v1::EraseSubjectsRequest { dataset: DATASET.to_owned(), subjects, ..Default::default() };
        let began = Stopwatch::start();
        let done = call!(session, subjects.erase_subjects(message));
        if world.settle("erasure", began, done, &[]).is_some() {
            world.count("erased", gone.len() as u64);
            world.people().gone(&gone);
        }
    }
}
