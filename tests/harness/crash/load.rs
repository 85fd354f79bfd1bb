//! What runs while the gateway is killed: an ingest, withdrawals, questions, closes, and an officer who reads.
//!
//! Every task goes on until its connection breaks, and returns what was acknowledged and what was under way.

use super::model::{self, Dice, Feed};
use gateway::cli::Session;
use proto::v1::{self, LawfulBasis, LogTree, RecordBatch, Release, Use};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};
use tonic_types::StatusExt;

/// Batches on the way at once: more than share a sync, few enough to send again soon.
const UNDER_WAY: usize = 16;

/// How a call ended.
#[derive(Debug)]
pub enum Outcome<T> {
    /// It was answered.
    Answer(T),
    /// It was refused for a reason of the gateway's.
    Refused(String),
    /// The connection broke: it may have happened or not.
    Broken,
}

impl<T> Outcome<T> {
    /// Returns the answer of a call that must succeed.
    #[track_caller]
    pub fn must(self, what: &str) -> T {
        match self {
            Self::Answer(answer) => answer,
            Self::Refused(reason) => panic!("{what} was refused: {reason}"),
            Self::Broken => panic!("{what}: the gateway is gone"),
        }
    }
}

impl<T> From<Result<Response<T>, Status>> for Outcome<T> {
    fn from(result: Result<Response<T>, Status>) -> Self {
        match result {
            Ok(response) => Self::Answer(response.into_inner()),
            Err(status) => match status.get_error_details().error_info() {
                Some(info) => Self::Refused(format!("{}: {}", info.reason, status.message())),
                None => Self::Broken,
            },
        }
    }
}

/// Makes one call: a token, the request, the outcome.
#[macro_export]
macro_rules! call {
    ($session:expr, $service:ident . $method:ident ( $message:expr )) => {
        match $session.request($message).await {
            Ok(request) => $crate::crash::load::Outcome::from($session.$service().$method(request).await),
            Err(_) => $crate::crash::load::Outcome::Broken,
        }
    };
}

/// Batches to send: those under way at the last kill first, then new ones.
#[derive(Debug)]
pub struct Supply {
    /// Sent before, and not acknowledged.
    pub again: VecDeque<RecordBatch>,
    /// Makes new ones.
    pub feed: Option<Feed>,
}

/// What became of an ingest.
#[derive(Debug)]
pub struct Ingested {
    /// Acknowledged batches with their leaves.
    pub acknowledged: Vec<(RecordBatch, u64)>,
    /// The acknowledgements, in their order.
    pub answers: Vec<v1::StreamRecordsResponse>,
    /// Batches that may have been written.
    pub under_way: VecDeque<RecordBatch>,
    /// The source of new ones.
    pub feed: Option<Feed>,
}

/// Streams batches until there are no more or the connection breaks.
pub async fn ingest(session: Arc<Session>, schema_hash: Vec<u8>, mut supply: Supply) -> Ingested {
    let waiting = Mutex::new(VecDeque::new());
    let (send, receive) = mpsc::channel(4);
    let message = |message| v1::StreamRecordsRequest { message: Some(message) };
    let header = message(v1::stream_records_request::Message::Header(model::header(schema_hash)));
    send.send(header).await.expect("room for a header");
    let room = Semaphore::new(UNDER_WAY);
    let write = async {
        let send = send;
        while let Ok(taken) = room.acquire().await {
            taken.forget();
            let next = supply.again.pop_front().or_else(|| supply.feed.as_mut().map(Feed::batch));
            let Some(batch) = next else { break };
            waiting.lock().expect("a lock").push_back(batch.clone());
            if send.send(message(v1::stream_records_request::Message::Batch(batch))).await.is_err() {
                break;
            }
        }
    };
    let read = async {
        let (mut acknowledged, mut all) = (Vec::new(), Vec::new());
        let answers = call!(session, ingest.stream_records(ReceiverStream::new(receive)));
        if let Outcome::Answer(mut answers) = answers {
            read_acknowledgements(&mut answers, &waiting, &room, &mut acknowledged, &mut all).await;
        }
        // Nobody will make room any more.
        room.close();
        (acknowledged, all)
    };
    let ((), (acknowledged, answers)) = tokio::join!(write, read);
    let mut under_way = waiting.into_inner().expect("a lock");
    under_way.append(&mut supply.again);
    Ingested { acknowledged, answers, under_way, feed: supply.feed }
}

async fn read_acknowledgements(
    answers: &mut tonic::Streaming<v1::StreamRecordsResponse>,
    waiting: &Mutex<VecDeque<RecordBatch>>,
    room: &Semaphore,
    acknowledged: &mut Vec<(RecordBatch, u64)>,
    all: &mut Vec<v1::StreamRecordsResponse>,
) {
    loop {
        match Outcome::from(answers.message().await.map(Response::new)) {
            Outcome::Answer(Some(answer)) => {
                room.add_permits(1);
                let batch = waiting.lock().expect("a lock").pop_front().expect("a batch was sent");
                assert_eq!((answer.sequence, answer.rejected.len()), (batch.sequence, 0));
                acknowledged.push((batch, answer.leaf));
                all.push(answer);
            }
            Outcome::Answer(None) | Outcome::Broken => return,
            Outcome::Refused(reason) => panic!("ingest was refused: {reason}"),
        }
    }
}

/// A change of one member's mind.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Whose.
    pub subject: String,
    /// Given or withdrawn.
    pub gives: bool,
    /// When.
    pub at_micros: i64,
}

/// Sends a change of mind.
pub async fn turn(session: &Session, turn: &Turn) -> Outcome<()> {
    let Turn { subject, gives, at_micros } = turn.clone();
    let dataset = "datasets/exact".to_owned();
    if gives {
        let consents = vec![model::give(&subject, at_micros)];
        let message = v1::RecordConsentsRequest { dataset, consents, ..Default::default() };
        match call!(session, consent.record_consents(message)) {
            Outcome::Answer(_) => Outcome::Answer(()),
            Outcome::Refused(reason) => Outcome::Refused(reason),
            Outcome::Broken => Outcome::Broken,
        }
    } else {
        let (purpose, source) = ("marketing.segmentation".to_owned(), "hammer".to_owned());
        let at_micros = Some(at_micros);
        let message = v1::WithdrawRequest { dataset, subject, purpose, at_micros, source, ..Default::default() };
        match call!(session, consent.withdraw(message)) {
            Outcome::Answer(_) => Outcome::Answer(()),
            Outcome::Refused(reason) => Outcome::Refused(reason),
            Outcome::Broken => Outcome::Broken,
        }
    }
}

/// Changes minds, each member's once, until the connection breaks. Returns what was acknowledged, and the one under way.
pub async fn turns(session: Arc<Session>, mut members: Vec<(String, bool)>, mut dice: Dice) -> (Vec<Turn>, Vec<Turn>) {
    let mut done = Vec::new();
    while !members.is_empty() {
        let at = usize::try_from(dice.below(members.len() as u64)).expect("an index");
        let (subject, consents) = members.swap_remove(at);
        let at_micros = gateway::clock::Clock::system().now().0;
        let next = Turn { subject, gives: !consents, at_micros };
        match turn(&session, &next).await {
            Outcome::Answer(()) => done.push(next),
            Outcome::Broken => return (done, vec![next]),
            Outcome::Refused(reason) => panic!("a change of mind was refused: {reason}"),
        }
    }
    (done, Vec::new())
}

/// A question and the answers it got, one for each request id.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which of the clients asked.
    pub client: usize,
    /// `datasets/{d}`.
    pub dataset: &'static str,
    /// Who.
    pub cel: String,
    /// Price in units of rho 0.001.
    pub price: u64,
    /// Request ids and what they got.
    pub requests: Vec<(String, Option<Release>)>,
    /// Whether it was refused for want of budget.
    pub exhausted: bool,
}

/// Draws a request id.
pub fn request_id(dice: &mut Dice) -> String {
    let (high, low) = (dice.below(1 << 48), dice.below(1 << 48));
    format!("{:08x}-{:04x}-4000-8000-{low:012x}", high >> 16, high & 0xFFFF)
}

/// Asks for a size.
pub async fn ask(session: &Session, dataset: &str, cel: &str, price: u64, request_id: &str) -> Outcome<Release> {
    match call!(session, segments.estimate_size(size_request(dataset, cel, price, request_id))) {
        Outcome::Answer(answer) => Outcome::Answer(answer.release.expect("a release")),
        Outcome::Refused(reason) => Outcome::Refused(reason),
        Outcome::Broken => Outcome::Broken,
    }
}

/// Makes the request for a size.
pub fn size_request(dataset: &str, cel: &str, price: u64, request_id: &str) -> v1::EstimateSizeRequest {
    v1::EstimateSizeRequest {
        dataset: dataset.to_owned(),
        segment: Some(v1::SegmentSource { source: Some(v1::segment_source::Source::Cel(cel.to_owned())) }),
        universe: String::new(),
        r#use: Some(used()),
        spend: Some(spend(price)),
        validate_only: false,
        request_id: request_id.to_owned(),
    }
}

/// Asks a question again, under each of its request ids.
pub async fn ask_again(session: Arc<Session>, asked: Asked) -> (Asked, Vec<Outcome<Release>>) {
    let mut outcomes = Vec::new();
    for (id, _) in &asked.requests {
        outcomes.push(ask(&session, asked.dataset, &asked.cel, asked.price, id).await);
    }
    (asked, outcomes)
}

/// States a price in units of rho 0.001.
pub fn spend(price: u64) -> v1::Spend {
    let rho = format!("{}.{:03}", price / 1_000, price % 1_000);
    v1::Spend { spend: Some(v1::spend::Spend::Rho(rho)) }
}

/// States the use that the tests ask for.
pub fn used() -> Use {
    Use { purpose: "marketing.segmentation".to_owned(), basis: LawfulBasis::Consent.into() }
}

/// Asks new questions until the connection breaks; `twins` asks each twice at once.
pub async fn questions(
    (client, session): (usize, Arc<Session>),
    (dataset, price): (&'static str, u64),
    mut dice: Dice,
    twins: bool,
) -> Vec<Asked> {
    let mut all = Vec::new();
    loop {
        // So many thresholds that a question is never asked twice by chance.
        let cel = format!("score >= {} || score < {}", 500_000 + dice.below(499_999), dice.below(499_999));
        let ids: Vec<String> = (0..1 + u64::from(twins)).map(|_| request_id(&mut dice)).collect();
        let outcomes = match ids.as_slice() {
            [one, two] => {
                let (one, two) =
                    tokio::join!(ask(&session, dataset, &cel, price, one), ask(&session, dataset, &cel, price, two));
                vec![one, two]
            }
            ids => vec![ask(&session, dataset, &cel, price, &ids[0]).await],
        };
        let mut asked = Asked { client, dataset, cel, price, requests: Vec::new(), exhausted: false };
        let mut broken = false;
        for (id, outcome) in ids.into_iter().zip(outcomes) {
            let release = match outcome {
                Outcome::Answer(release) => Some(release),
                Outcome::Broken => {
                    broken = true;
                    None
                }
                Outcome::Refused(reason) if reason.contains("_EXHAUSTED") => {
                    asked.exhausted = true;
                    None
                }
                Outcome::Refused(reason) => panic!("a question was refused: {reason}"),
            };
            asked.requests.push((id, release));
        }
        let exhausted = asked.exhausted;
        all.push(asked);
        if broken || exhausted {
            return all;
        }
    }
}

/// Closes epochs, one after the other, until the connection breaks. Returns the last epoch acknowledged.
pub async fn closes(session: Arc<Session>) -> u32 {
    let mut last = 0;
    loop {
        let message =
            v1::CloseEpochRequest { dataset: "datasets/exact".to_owned(), as_of_time: None, request_id: String::new() };
        match call!(session, admin.close_epoch(message)) {
            Outcome::Answer(answer) => last = answer.epoch,
            Outcome::Broken => return last,
            Outcome::Refused(reason) => panic!("a close was refused: {reason}"),
        }
    }
}

/// What an officer saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Leaves of the access tree.
    pub leaves: Vec<(u64, String)>,
    /// Signed checkpoints of the access tree, oldest first.
    pub checkpoints: Vec<String>,
}

/// Reads a leaf.
pub async fn leaf(session: &Session, tree: LogTree, index: u64) -> Outcome<Option<String>> {
    let message = v1::ExplainLeafRequest { tree: tree.into(), index };
    match call!(session, audit.explain_leaf(message)) {
        Outcome::Answer(answer) => Outcome::Answer(answer.event.map(|event| event.json)),
        Outcome::Refused(_) => Outcome::Answer(None),
        Outcome::Broken => Outcome::Broken,
    }
}

/// Reads checkpoints, and leaves as close to the end of the log as it gets, until the connection breaks.
pub async fn officer(session: Arc<Session>, mut dice: Dice) -> Seen {
    let mut seen = Seen::default();
    loop {
        let message = v1::GetCheckpointRequest { tree: LogTree::Access.into() };
        let Outcome::Answer(answer) = call!(session, audit.get_checkpoint(message)) else { return seen };
        let size = answer.checkpoint.lines().nth(1).and_then(|line| line.parse::<u64>().ok()).expect("a size");
        seen.checkpoints.push(answer.checkpoint);
        let mut index = size;
        for _ in 0..4 {
            index += dice.below(6);
            match leaf(&session, LogTree::Access, index).await {
                Outcome::Answer(Some(json)) => seen.leaves.push((index, json)),
                Outcome::Answer(None) => break,
                Outcome::Broken | Outcome::Refused(_) => return seen,
            }
        }
    }
}
