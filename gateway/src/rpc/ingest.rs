//! The stream of records. Batches are checked in parallel with the writing of those before them, and take effect one after
//! the other, so that rows of one subject do so in the order they were sent; several wait for the disk together, and are
//! acknowledged in order. A client that goes away loses nothing that
//! was acknowledged; a batch being written is finished.
//!
//! Memory is bounded over all streams: a batch is only taken up when there is room for its bytes, which it gives back once
//! it is durable. Until then its sender waits, and so do those behind it. Of each stream one message more is held.
//!
//! While so much of a dataset waits to be folded that a fold must make room first, a batch waits too before it is taken up,
//! three minutes at most; its withdrawals don't. A sender that streams is slowed to what the disk takes, and is refused only
//! if that is nothing.

use super::{Answers, Service};
use crate::outer::{self, Deadline};
use crate::pipeline::{self, Call};
use crate::status::Failure;
use crate::wire::ingest::Layout;
use policy::decide::Reason;
use policy::permit::Verb;
use policy::schema::Schema;
use prost::Message as _;
use proto::v1;
use proto::v1::ingest_service_server::IngestService;
use proto::v1::stream_records_request::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::StreamExt;
use tonic::{Request, Response, Status, Streaming};
use vault::ingest::Record;
use vault::vault::Acknowledging;

const RPC: &str = "IngestService/StreamRecords";

/// Batches that are checked ahead of the one being written.
const AHEAD: usize = 3;

/// Batches that wait for the disk together: one sync covers them all.
const IN_FLIGHT: usize = 8;

/// How long a client may leave its acknowledgements unread before its stream ends.
const UNREAD: Duration = Duration::from_secs(60);

/// How long a batch may wait for a fold: the largest take a minute or so.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often is looked whether there is room.
const LOOK: Duration = Duration::from_millis(50);

#[tonic::async_trait]
impl IngestService for Service {
    type StreamRecordsStream = Answers<v1::StreamRecordsResponse>;

    async fn stream_records(
        &self,
        request: Request<Streaming<v1::StreamRecordsRequest>>,
    ) -> Result<Response<Self::StreamRecordsStream>, Status> {
        let call = Call::begin(&self.0, &request, RPC)?;
        let deadline = request.extensions().get::<Deadline>().copied().unwrap_or_default();
        let (answers, receive) = mpsc::channel(AHEAD);
        let rows = request.into_inner();
        tokio::spawn(async move {
            let stream = Stream { call: Arc::new(call), answers };
            stream.run(rows, deadline).await;
        });
        Ok(Response::new(Answers::new(receive)))
    }
}

struct Stream {
    call: Arc<Call>,
    answers: mpsc::Sender<Result<v1::StreamRecordsResponse, Status>>,
}

/// What the header fixed.
struct Opened {
    call: Call,
    schema: Arc<Schema>,
    layout: Layout,
}

impl Opened {
    fn decode(&self, batch: v1::RecordBatch) -> Decoded {
        let app = &self.call.app;
        // The description may have got a new version since the stream was opened.
        let schemas = app.vault.schemas();
        let schema = schemas.get(&self.schema.dataset).unwrap_or(&self.schema);
        self.layout.decode(batch, schema, app.clock.now())
    }
}

/// The rows of a batch that were checked, and those that were rejected.
type Decoded = Result<(Vec<Record>, Vec<v1::RejectedRow>), Failure>;

/// A batch whose rows were checked, and the room it takes.
type Checked = (u64, Decoded, OwnedSemaphorePermit);

impl Stream {
    async fn run(self, rows: Streaming<v1::StreamRecordsRequest>, deadline: Deadline) {
        let ended = tokio::select! {
            outcome = self.pump(rows) => outcome,
            () = deadline.passed() => Err(self.refuse(deadline_exceeded()).await),
        };
        if let Err(status) = ended {
            // Nobody listens any more if this fails, and the refusal is in the log.
            let _ = self.answers.send(Err(status)).await;
        }
    }

    async fn pump(&self, mut rows: Streaming<v1::StreamRecordsRequest>) -> Result<(), Status> {
        let first = self.next(&mut rows).await?;
        let Some(Message::Header(header)) = first else {
            return Err(self.refuse(Failure::invalid("message", "must be the header first")).await);
        };
        let opened = Arc::new(self.open(header).await?);
        let (send, checked) = mpsc::channel::<tokio::task::JoinHandle<Checked>>(AHEAD);
        let read = async {
            let send = send;
            while let Some(message) = self.next(&mut rows).await? {
                let Message::Batch(batch) = message else {
                    return Err(self.refuse(Failure::invalid("message", "must be a batch after the header")).await);
                };
                let opened = Arc::clone(&opened);
                self.wait_for_folds(&opened, &batch).await;
                let room = self.room(&batch).await?;
                let check = move || (batch.sequence, opened.decode(batch), room);
                if send.send(tokio::task::spawn_blocking(check)).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        tokio::try_join!(read, self.write(&opened, checked)).map(|_| ())
    }

    /// Returns the next message; `None` at the end of the stream.
    async fn next(&self, rows: &mut Streaming<v1::StreamRecordsRequest>) -> Result<Option<Message>, Status> {
        match rows.next().await {
            None => Ok(None),
            Some(Ok(v1::StreamRecordsRequest { message: Some(message) })) => Ok(Some(message)),
            Some(Ok(v1::StreamRecordsRequest { message: None })) => {
                Err(self.refuse(Failure::invalid("message", "must be a header or a batch")).await)
            }
            Some(Err(status)) => Err(self.broken(&status).await),
        }
    }

    /// Opens the stream by its header.
    async fn open(&self, header: v1::IngestHeader) -> Result<Opened, Status> {
        let call = Arc::clone(&self.call);
        let work = move || {
            let mut call = call.again();
            let opened = open(&mut call, &header);
            match opened {
                Ok((schema, layout)) => Ok(Opened { call, schema, layout }),
                Err(failure) => Err(call.refuse(&failure)),
            }
        };
        pipeline::blocking(&self.call.app, RPC, work).await?
    }

    async fn write(
        &self,
        opened: &Arc<Opened>,
        mut checked: mpsc::Receiver<tokio::task::JoinHandle<Checked>>,
    ) -> Result<(), Status> {
        let (send, mut waiting) = mpsc::channel::<(u64, Begun, OwnedSemaphorePermit)>(IN_FLIGHT);
        let begin = async {
            let send = send;
            while let Some(batch) = checked.recv().await {
                let Ok((sequence, batch, room)) = batch.await else {
                    return Err(self.refuse(Failure::Defect("a batch can't be checked")).await);
                };
                let begun = {
                    let opened = Arc::clone(opened);
                    let work = move || begin(&opened, batch).map_err(|failure| opened.call.refuse(&failure));
                    pipeline::blocking(&self.call.app, RPC, work).await?
                };
                let begun = match begun {
                    Ok(begun) => begun,
                    Err(status) => {
                        self.take_withdrawals(opened, checked).await;
                        return Err(status);
                    }
                };
                if send.send((sequence, begun, room)).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        let acknowledge = async {
            // One after the other: when a batch is durable, those before it are.
            while let Some((sequence, begun, room)) = waiting.recv().await {
                let opened = Arc::clone(opened);
                let work = move || finish(&opened, sequence, begun).map_err(|failure| opened.call.refuse(&failure));
                let Ok(answer) = tokio::task::spawn_blocking(work).await else {
                    return Err(self.refuse(Failure::Defect("a batch can't be written")).await);
                };
                drop(room);
                match tokio::time::timeout(UNREAD, self.answers.send(Ok(answer?))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => break,
                    Err(_) => return Err(self.refuse(unread()).await),
                }
            }
            Ok(())
        };
        tokio::try_join!(begin, acknowledge)?;
        self.call.app.count(RPC, "OK");
        Ok(())
    }

    /// Waits while a fold should make room first; the withdrawals of the batch are taken before. The batch holds no bytes of
    /// the room that all streams share meanwhile, so that one dataset's folds keep no other's producers waiting. Where there is
    /// no room in the end, writing the batch refuses it.
    async fn wait_for_folds(&self, opened: &Arc<Opened>, batch: &v1::RecordBatch) {
        let pressed = || self.call.app.vault.pressed(&opened.schema.dataset);
        if !pressed() {
            return;
        }
        let consents = v1::RecordBatch { consents: batch.consents.clone(), ..v1::RecordBatch::default() };
        let check = {
            let opened = Arc::clone(opened);
            move || opened.decode(consents)
        };
        if let Ok(Ok((mut records, _))) = tokio::task::spawn_blocking(check).await {
            records.retain(Record::is_withdrawal);
            self.take(opened, batch.sequence, records).await;
        }
        let waiting = async {
            while pressed() {
                tokio::time::sleep(LOOK).await;
            }
        };
        // Refused when it is written if it was in vain.
        let _ = tokio::time::timeout(PATIENCE, waiting).await;
    }

    /// Writes withdrawals without acknowledging them; sent again with their batch, they change nothing.
    async fn take(&self, opened: &Arc<Opened>, sequence: u64, withdrawals: Vec<Record>) {
        if withdrawals.is_empty() {
            return;
        }
        let opened = Arc::clone(opened);
        let work =
            move || begin(&opened, Ok((withdrawals, Vec::new()))).and_then(|begun| finish(&opened, sequence, begun));
        // What may refuse it refuses the batch too, and is said then.
        let _ = pipeline::blocking(&self.call.app, RPC, work).await;
    }

    /// Takes the withdrawals of batches that arrived behind one that was refused: nothing that stops other rows may keep a
    /// withdrawal waiting. They are not acknowledged; sent again, they change nothing.
    async fn take_withdrawals(
        &self,
        opened: &Arc<Opened>,
        mut checked: mpsc::Receiver<tokio::task::JoinHandle<Checked>>,
    ) {
        checked.close();
        while let Some(batch) = checked.recv().await {
            let Ok((sequence, Ok((mut records, _)), _room)) = batch.await else { continue };
            records.retain(Record::is_withdrawal);
            self.take(opened, sequence, records).await;
        }
    }

    /// Waits until there is room for a batch among all that are under way.
    async fn room(&self, batch: &v1::RecordBatch) -> Result<OwnedSemaphorePermit, Status> {
        let app = &self.call.app;
        let bytes = batch.encoded_len().clamp(1, app.config.ingest_bytes);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        match Arc::clone(&app.receiving).acquire_many_owned(bytes).await {
            Ok(room) => Ok(room),
            Err(_) => Err(self.refuse(Failure::Defect("the gateway is closing")).await),
        }
    }

    async fn refuse(&self, failure: Failure) -> Status {
        let call = Arc::clone(&self.call);
        pipeline::blocking(&self.call.app, RPC, move || call.refuse(&failure)).await.unwrap_or_else(|status| status)
    }

    /// The stream broke: typed by the layer that refuses large messages, or by the transport.
    async fn broken(&self, status: &Status) -> Status {
        match outer::refused_by_size(status, self.call.app.config.message_bytes) {
            Some(refusal) => self.refuse(Failure::Refused(refusal)).await,
            None => crate::status::of_transport(status.code()),
        }
    }
}

fn open(call: &mut Call, header: &v1::IngestHeader) -> Result<(Arc<Schema>, Layout), Failure> {
    let schema = call.schema(&header.dataset)?;
    // The permit first: who may not write learns nothing of the schema.
    let _ = call.permit(Verb::Ingest, Some(&schema), None, &[])?;
    let layout = Layout::new(header, &schema, &call.app.vault.schema_versions(&schema.dataset))?;
    Ok((schema, layout))
}

/// A batch under way and the rows of it that were rejected.
type Begun = (Option<Acknowledging>, Vec<v1::RejectedRow>);

/// Begins to write a batch. Permitted anew each time: policies and clients change while a stream is open; its token may
/// expire.
fn begin(opened: &Opened, batch: Decoded) -> Result<Begun, Failure> {
    let Opened { call, schema, layout: _ } = opened;
    let (records, rejected) = batch?;
    call.still_welcome()?;
    let permit = call.permit(Verb::Ingest, Some(schema), None, &[])?;
    let begun = match records.is_empty() {
        true => None,
        false => Some(call.app.vault.begin_ingest(&permit, records, call.app.clock.now())?),
    };
    Ok((begun, rejected))
}

/// Waits until a batch is durable.
fn finish(opened: &Opened, sequence: u64, (begun, rejected): Begun) -> Result<v1::StreamRecordsResponse, Failure> {
    let receipt = match begun {
        Some(begun) => opened.call.app.vault.finish_ingest(begun)?,
        None => Default::default(),
    };
    Ok(v1::StreamRecordsResponse {
        sequence,
        profiles: receipt.profiles,
        events: receipt.events,
        consents: receipt.consents,
        rejected,
        leaf: receipt.leaf,
    })
}

fn unread() -> Failure {
    Failure::refused(
        Reason::DeadlineExceeded,
        "acknowledgements were not read for a minute; what was acknowledged is stored",
        "read acknowledgements while sending, open a new stream and send what was not acknowledged",
    )
}

fn deadline_exceeded() -> Failure {
    Failure::refused(
        Reason::DeadlineExceeded,
        "the stream's deadline has passed; what was acknowledged is stored",
        "open a new stream and send what was not acknowledged",
    )
}
