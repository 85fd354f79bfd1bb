//! Records -> the gateway's ingest stream, and back the acknowledgements.
//!
//! Guarantees: what is counted as written was acknowledged, so it survives a power cut; a row that the gateway did not
//! take is named by its line and never by its content. A stream has one kind of keys and one order of attributes; a batch with
//! another opens the next stream. At most a few batches are in memory.

use super::error::CliError;
use super::import::{Batch, Body, Line, Record, Value};
use super::session::Session;
use crate::wire::consent::of_method;
use policy::consent::{ConsentAct, ConsentEvent, LawfulBasis};
use policy::schema::{ColumnId, IdentityKind, Schema};
use prost::Message;
use proto::v1::{self, EventLayout, IngestHeader, RecordBatch, StreamRecordsRequest, StreamRecordsResponse, value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

/// Bytes of a message: far below the gateway's bound, large enough that an fsync is shared by thousands of rows.
const MESSAGE_BYTES: usize = 1024 * 1024;
/// Messages on the way at once: enough to hide a round trip.
const IN_FLIGHT: usize = 4;

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// Profiles.
    pub profiles: u64,
    /// Events, repeats included.
    pub events: u64,
    /// Consents.
    pub consents: u64,
    /// Rows that the gateway did not take.
    pub rejected: Vec<Rejected>,
}

/// A row that the gateway did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its line, 0 for a generated record.
    pub line: u64,
    /// The field at fault.
    pub field: String,
    /// What is wrong, without the value.
    pub problem: String,
}

impl Sent {
    fn add(&mut self, other: Self) {
        let Self { profiles, events, consents, rejected } = other;
        self.profiles += profiles;
        self.events += events;
        self.consents += consents;
        self.rejected.extend(rejected);
    }
}

/// Sends batches of records of one dataset until there are no more.
pub async fn feed(
    session: &Session,
    schema: &Schema,
    schema_hash: Vec<u8>,
    batches: &mut mpsc::Receiver<Batch>,
) -> Result<Sent, CliError> {
    let mut sent = Sent::default();
    let mut open: Option<Stream> = None;
    while let Some(batch) = batches.recv().await {
        if batch.records.is_empty() {
            continue;
        }
        if let Some(stream) =
            open.take_if(|stream| (stream.identity, &stream.attributes) != (batch.identity, &batch.attributes))
        {
            sent.add(stream.finish().await?);
        }
        let stream = match &mut open {
            Some(stream) => stream,
            none => {
                let (identity, attributes) = (batch.identity, batch.attributes.clone());
                none.insert(Stream::open(session, schema, schema_hash.clone(), identity, attributes).await?)
            }
        };
        if stream.push(batch.records).await.is_err() {
            break;
        }
    }
    if let Some(stream) = open {
        sent.add(stream.finish().await?);
    }
    Ok(sent)
}

/// The lines of the batches that are not acknowledged yet, by sequence.
type Waiting = Arc<Mutex<HashMap<u64, Vec<u64>>>>;

/// One open ingest stream.
struct Stream {
    identity: IdentityKind,
    attributes: Vec<ColumnId>,
    requests: mpsc::Sender<StreamRecordsRequest>,
    reader: JoinHandle<Result<Sent, tonic::Status>>,
    waiting: Waiting,
    sequence: u64,
}

/// The gateway closed the stream; [`Stream::finish`] says why.
struct Closed;

impl Stream {
    async fn open(
        session: &Session,
        schema: &Schema,
        schema_hash: Vec<u8>,
        identity: IdentityKind,
        attributes: Vec<ColumnId>,
    ) -> Result<Self, CliError> {
        let (requests, receiver) = mpsc::channel(IN_FLIGHT);
        let header = v1::stream_records_request::Message::Header(header(schema, schema_hash, identity, &attributes));
        let first = StreamRecordsRequest { message: Some(header) };
        requests.send(first).await.map_err(|_| CliError::failed("the stream could not be opened"))?;
        let request = session.request(ReceiverStream::new(receiver)).await?;
        let mut ingest = session.ingest();
        let waiting = Waiting::default();
        let of_reader = Arc::clone(&waiting);
        let reader = tokio::spawn(async move {
            let mut answers = ingest.stream_records(request).await?.into_inner();
            let mut sent = Sent::default();
            while let Some(answer) = answers.message().await? {
                sent.add(acknowledged(answer, &of_reader));
            }
            Ok(sent)
        });
        Ok(Self { identity, attributes, requests, reader, waiting, sequence: 0 })
    }

    async fn push(&mut self, records: Vec<Record>) -> Result<(), Closed> {
        let mut draft = Draft::default();
        for record in records {
            draft.add(record);
            if draft.bytes >= MESSAGE_BYTES {
                self.send(std::mem::take(&mut draft)).await?;
            }
        }
        if draft.bytes > 0 { self.send(draft).await } else { Ok(()) }
    }

    async fn send(&mut self, draft: Draft) -> Result<(), Closed> {
        self.sequence += 1;
        let (batch, lines) = draft.finish(self.sequence);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(self.sequence, lines);
        let message = Some(v1::stream_records_request::Message::Batch(batch));
        self.requests.send(StreamRecordsRequest { message }).await.map_err(|_| Closed)
    }

    /// Ends the stream and waits until everything is acknowledged.
    async fn finish(self) -> Result<Sent, CliError> {
        drop(self.requests);
        let sent = self.reader.await.map_err(|_| CliError::failed("reading the acknowledgements stopped"))??;
        if self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            Ok(sent)
        } else {
            Err(CliError::unavailable("the gateway ended the stream before it acknowledged everything")
                .hint("run it again: what is there already changes nothing"))
        }
    }
}

fn acknowledged(answer: StreamRecordsResponse, waiting: &Waiting) -> Sent {
    let StreamRecordsResponse { sequence, profiles, events, consents, rejected, leaf: _ } = answer;
    let lines = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&sequence).unwrap_or_default();
    let line = |row: u32| usize::try_from(row).ok().and_then(|row| lines.get(row).copied()).unwrap_or(0);
    let rejected = rejected
        .into_iter()
        .map(|row| Rejected { line: line(row.row), field: row.field, problem: row.problem })
        .collect();
    Sent { profiles, events, consents, rejected }
}

fn header(schema: &Schema, schema_hash: Vec<u8>, identity: IdentityKind, attributes: &[ColumnId]) -> IngestHeader {
    let name = |column: &ColumnId| schema.attributes.get(usize::from(column.0)).map(|field| field.name.to_string());
    IngestHeader {
        dataset: format!("datasets/{}", schema.dataset),
        schema_hash,
        attributes: attributes.iter().filter_map(name).collect(),
        events: schema
            .events
            .iter()
            .map(|event| EventLayout {
                event: event.name.to_string(),
                fields: event.fields.iter().map(|field| field.name.to_string()).collect(),
            })
            .collect(),
        identity: schema.identity_name(identity).map(ToString::to_string).unwrap_or_default(),
    }
}

/// A message under construction. Rows are numbered profiles first, then events, then consents.
#[derive(Default)]
struct Draft {
    batch: RecordBatch,
    lines: [Vec<u64>; 3],
    bytes: usize,
}

impl Draft {
    fn add(&mut self, record: Record) {
        let Record { line: Line(line), subject, body } = record;
        let subject = subject.expose().to_owned();
        let [profiles, events, consents] = &mut self.lines;
        match body {
            Body::Profile(values) => {
                let profile = v1::Profile { subject, values: values.iter().map(value).collect() };
                self.bytes += profile.encoded_len() + 4;
                self.batch.profiles.push(profile);
                profiles.push(line);
            }
            Body::Event { event, id, at, values } => {
                let values = values.iter().map(value).collect();
                let event = v1::Event { subject, layout: event.0.into(), id, at_micros: at.0, values };
                self.bytes += event.encoded_len() + 4;
                self.batch.events.push(event);
                events.push(line);
            }
            Body::Consent(event) => {
                let consent = consent(subject, &event);
                self.bytes += consent.encoded_len() + 4;
                self.batch.consents.push(consent);
                consents.push(line);
            }
        }
    }

    fn finish(self, sequence: u64) -> (RecordBatch, Vec<u64>) {
        (RecordBatch { sequence, ..self.batch }, self.lines.into_iter().flatten().collect())
    }
}

fn value(from: &Value) -> v1::Value {
    let kind = match from {
        Value::Missing => None,
        Value::Code(code) => Some(value::Kind::Code((*code).into())),
        Value::Int(number) => Some(value::Kind::Number(*number)),
        Value::Bytes(bytes) => Some(value::Kind::Identifier(bytes.to_vec().into())),
    };
    v1::Value { kind }
}

fn consent(subject: String, event: &ConsentEvent) -> v1::ConsentEvent {
    let ConsentEvent { act, at, basis, expires, language, method, notice, purpose, source } = event;
    let basis = match basis {
        LawfulBasis::Consent => v1::LawfulBasis::Consent,
        LawfulBasis::Contract => v1::LawfulBasis::Contract,
        LawfulBasis::LegitimateInterest => v1::LawfulBasis::LegitimateInterest,
    };
    let act = match act {
        ConsentAct::Give => v1::ConsentAct::Give,
        ConsentAct::Withdraw => v1::ConsentAct::Withdraw,
    };
    v1::ConsentEvent {
        subject,
        purpose: purpose.to_string(),
        basis: basis.into(),
        act: act.into(),
        at_micros: at.0,
        expire_micros: expires.map(|expires| expires.0),
        source: source.clone(),
        notice: notice.as_ref().map(ToString::to_string).unwrap_or_default(),
        method: of_method(*method).into(),
        language: language.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::cli::import::Subject;
    use policy::schema::EventTypeId;
    use policy::time::Timestamp;

    fn record(line: u64, body: Body) -> Record {
        Record { line: Line(line), subject: Subject::new("s".into()).unwrap(), body }
    }

    #[test]
    fn rows_are_numbered_as_the_wire_numbers_them() {
        let event = Body::Event { event: EventTypeId(2), id: 7, at: Timestamp(1), values: vec![Value::Missing] };
        let mut draft = Draft::default();
        draft.add(record(10, event));
        draft.add(record(11, Body::Profile(vec![Value::Code(3), Value::Int(-4)])));
        let (batch, lines) = draft.finish(5);
        assert_eq!((batch.sequence, batch.profiles.len(), batch.events.len()), (5, 1, 1));
        assert_eq!(lines, [11, 10], "profiles first, then events");
        let waiting: Waiting = Arc::new(Mutex::new(HashMap::from([(5, lines)])));
        let row = v1::RejectedRow { row: 1, field: "order".into(), problem: "too late".into() };
        let sent = acknowledged(
            StreamRecordsResponse { sequence: 5, profiles: 1, rejected: vec![row], ..Default::default() },
            &waiting,
        );
        assert_eq!(sent.rejected, [Rejected { line: 10, field: "order".into(), problem: "too late".into() }]);
        assert!(waiting.lock().unwrap().is_empty());
    }
}
