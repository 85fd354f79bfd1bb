//! Who runs it: epochs that close, keys that are replaced, and what a steward looks at.

use super::people::DATASET;
use super::world::World;
use crate::call;
use crate::crash::load::Outcome;
use gateway::cli::Session;
use gateway::clock::Stopwatch;
use proto::v1::{self, KeyRotation};
use std::sync::Arc;
use std::time::Duration;
use tonic::Response;

const BETWEEN_CLOSES: Duration = Duration::from_secs(20);
const BETWEEN_ROTATIONS: Duration = Duration::from_secs(25);
const BETWEEN_READS: Duration = Duration::from_secs(4);

const ROTATIONS: [KeyRotation; 6] = [
    KeyRotation::Pieces,
    KeyRotation::Journals,
    KeyRotation::Root,
    KeyRotation::Tokens,
    KeyRotation::Log,
    KeyRotation::Pseudonyms,
];

/// Closes the epoch and returns where it ends, in microseconds.
pub async fn close(session: &Session) -> Outcome<i64> {
    let (dataset, request_id) = (DATASET.to_owned(), String::new());
    match call!(session, admin.close_epoch(v1::CloseEpochRequest { dataset, as_of_time: None, request_id })) {
        Outcome::Answer(answer) => {
            let end = answer.as_of_time.unwrap_or_default();
            Outcome::Answer(end.seconds * 1_000_000 + i64::from(end.nanos) / 1_000)
        }
        Outcome::Refused(reason) => Outcome::Refused(reason),
        Outcome::Broken => Outcome::Broken,
    }
}

/// Closes epochs while everything else goes on.
pub async fn closes(world: Arc<World>, session: Session) {
    while !world.is_over() {
        tokio::time::sleep(BETWEEN_CLOSES).await;
        let _turn = world.quiet.read().await;
        if !world.is_over() {
            let began = Stopwatch::start();
            world.settle("close", began, close(&session).await, &[]);
        }
    }
}

/// Replaces keys of one kind after the other.
pub async fn rotate(world: Arc<World>, session: Session) {
    for rotation in ROTATIONS.into_iter().cycle() {
        tokio::time::sleep(BETWEEN_ROTATIONS).await;
        if world.is_over() {
            return;
        }
        let began = Stopwatch::start();
        let acknowledge_new_pseudonyms = rotation == KeyRotation::Pseudonyms;
        let message =
            v1::RotateKeysRequest { rotation: rotation.into(), acknowledge_new_pseudonyms, request_id: String::new() };
        let outcome = match call!(session, admin.rotate_keys(message)) {
            Outcome::Answer(steps) => ended(steps).await,
            Outcome::Refused(reason) => Outcome::Refused(reason),
            Outcome::Broken => Outcome::Broken,
        };
        // The next key for tokens is published for five minutes before it signs, and until then there is no other.
        let expected: &[&str] = if rotation == KeyRotation::Tokens { &["REQUEST_INVALID"] } else { &[] };
        world.settle("rotation", began, outcome, expected);
    }
}

async fn ended(mut steps: tonic::Streaming<v1::RotateKeysResponse>) -> Outcome<()> {
    let mut whole = false;
    loop {
        match Outcome::from(steps.message().await.map(Response::new)) {
            Outcome::Answer(Some(step)) => whole = step.ended,
            Outcome::Answer(None) if whole => return Outcome::Answer(()),
            Outcome::Answer(None) => return Outcome::Refused("a rotation stopped in the middle".to_owned()),
            Outcome::Refused(reason) => return Outcome::Refused(reason),
            Outcome::Broken => return Outcome::Broken,
        }
    }
}

/// Looks at what a steward looks at; anything that is wrong is an error.
pub async fn look(world: Arc<World>, session: Session) {
    while !world.is_over() {
        tokio::time::sleep(BETWEEN_READS).await;
        let _turn = world.quiet.read().await;
        let began = Stopwatch::start();
        let status = call!(session, admin.get_status(v1::GetStatusRequest {}));
        if let Some(status) = world.settle("read", began, status, &[])
            && !(status.serving && status.problem.is_empty())
        {
            world.error(format!("the status says: {}", status.problem));
        }
        let dataset = || DATASET.to_owned();
        let began = Stopwatch::start();
        let schema = call!(session, catalog.get_dataset(v1::GetDatasetRequest { name: dataset(), r#use: None }));
        world.settle("read", began, schema, &[]);
        let began = Stopwatch::start();
        let policies = call!(session, admin.get_policies(v1::GetPoliciesRequest {}));
        world.settle("read", began, policies, &[]);
        let began = Stopwatch::start();
        let budget = v1::GetBudgetRequest { dataset: dataset(), client: String::new() };
        world.settle("read", began, call!(session, admin.get_budget(budget)), &[]);
        let began = Stopwatch::start();
        world.settle("read", began, call!(session, admin.list_keys(v1::ListKeysRequest {})), &[]);
    }
}
