//! Shows from a trace of system calls that what is acknowledged was synced before.
//!
//! Calls are made one by one. The first byte of an acknowledgement is found on its socket: for an answer of one message,
//! that of the headers of its stream; for a batch of an ingest, whose headers left long before, that of its message. What
//! the call wrote to the log is found by its request id, which its leaves carry in clear; for a batch, which has none, it is
//! the last write before the acknowledgement. Then a sync of the log must have begun after that write had returned, and have
//! returned 0 before that byte. An erasure's root cell must have been written and synced likewise.

use super::load::{self, Supply};
use super::model::{self, Dice, Feed};
use super::place::{Place, Programs};
use super::round::{close, register};
use super::strace::{self, Call, Frame};
use crate::call;
use gateway::cli::Session;
use prost::Message as _;
use proto::v1::{self, ClientRole, RecordBatch};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

const DATASET: &str = "datasets/exact";
/// Numbers of batches begin here.
const FIRST_NUMBER: u64 = 1_000_000;
/// People that are erased: each takes some forty syncs.
const ERASURES: u64 = 5;

/// What kind of call was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Batch,
    Withdrawal,
    Charge,
    Erasure,
}

impl Kind {
    const ALL: [(Self, &str); 4] = [
        (Self::Batch, "batches"),
        (Self::Withdrawal, "withdrawals"),
        (Self::Charge, "charges with their answers"),
        (Self::Erasure, "erasures"),
    ];
}

/// An acknowledgement that the client got.
#[derive(Debug)]
struct Got {
    kind: Kind,
    /// The request id; empty for a batch.
    id: String,
    /// The message, encoded.
    message: Vec<u8>,
}

/// One acknowledgement in the trace, by its lines, and what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shown {
    kind: Kind,
    /// The return of the last write to the log for it.
    written: usize,
    /// The return of the sync that began after that.
    synced: usize,
    /// Its first byte.
    acknowledged: usize,
}

/// Traces so many batches, withdrawals and charges, and some erasures; says what the trace shows, and panics if one of them
/// was acknowledged before it was synced.
pub async fn trace(programs: Programs, calls: u64) -> String {
    let place = Place::new(programs);
    let served = place.start_traced();
    let steward = place.session(&place.path("silhouette-key.toml"), &served).await;
    register(&place, &steward, "shop", ClientRole::Producer, &[]).await;
    register(&place, &steward, "portal", ClientRole::Portal, &[]).await;
    register(&place, &steward, "ads", ClientRole::Service, &["marketing.segmentation"]).await;
    let message = v1::CreateDatasetRequest { schema_toml: model::EXACT.to_owned(), ..Default::default() };
    let made = call!(steward, catalog.create_dataset(message)).must("a dataset").dataset.expect("a dataset");
    let shop = Arc::new(place.session(&place.path("shop"), &served).await);
    let (mut got, mut feed) = (Vec::new(), Feed::new(1));
    for number in 0..calls.max(ERASURES) {
        // A number of its own, so that no two acknowledgements have the same bytes.
        let batch = RecordBatch { sequence: FIRST_NUMBER + number, ..feed.batch() };
        got.push(one_batch(&shop, made.schema_hash.clone(), batch).await);
    }
    close(&steward, DATASET).await;
    let mut dice = Dice(1);
    for person in 0..calls {
        got.push(withdrawal(&shop, person, load::request_id(&mut dice)).await);
    }
    let ads = place.session(&place.path("ads"), &served).await;
    for price in 1..=calls {
        got.push(charge(&ads, price, load::request_id(&mut dice)).await);
    }
    let portal = place.session(&place.path("portal"), &served).await;
    for person in 0..ERASURES {
        got.push(erasure(&portal, person, load::request_id(&mut dice)).await);
    }
    served.kill();
    report(&read(&whole_trace(&place).await, &got))
}

async fn one_batch(shop: &Arc<Session>, hash: Vec<u8>, batch: RecordBatch) -> Got {
    let supply = Supply { again: VecDeque::from([batch]), feed: None };
    let done = load::ingest(Arc::clone(shop), hash, supply).await;
    let [answer] = done.answers.as_slice() else { panic!("a batch was not acknowledged") };
    Got { kind: Kind::Batch, id: String::new(), message: answer.encode_to_vec() }
}

async fn withdrawal(shop: &Session, person: u64, id: String) -> Got {
    let message = v1::WithdrawRequest {
        dataset: DATASET.to_owned(),
        subject: model::key(person),
        purpose: "marketing.segmentation".to_owned(),
        source: "hammer".to_owned(),
        request_id: id.clone(),
        method: 0,
        at_micros: None,
        identity: String::new(),
    };
    let message = call!(shop, consent.withdraw(message)).must("a withdrawal").encode_to_vec();
    Got { kind: Kind::Withdrawal, id, message }
}

async fn charge(ads: &Session, price: u64, id: String) -> Got {
    let message = load::size_request(DATASET, "score >= 0", price, &id);
    let answer = call!(ads, segments.estimate_size(message)).must("an answer");
    assert!(answer.release.as_ref().is_some_and(|release| release.charged), "each price is another question");
    Got { kind: Kind::Charge, id, message: answer.encode_to_vec() }
}

async fn erasure(portal: &Session, person: u64, id: String) -> Got {
    let (dataset, subjects) = (DATASET.to_owned(), vec![model::key(person)]);
    let message = v1::EraseSubjectsRequest { dataset, subjects, request_id: id.clone(), identity: String::new() };
    let message = call!(portal, subjects.erase_subjects(message)).must("an erasure").encode_to_vec();
    Got { kind: Kind::Erasure, id, message }
}

/// Waits until strace has seen the end.
async fn whole_trace(place: &Place) -> String {
    loop {
        let text = std::fs::read_to_string(place.path("trace")).expect("a trace");
        if text.lines().last().is_some_and(|line| line.ends_with("+++ killed by SIGKILL +++")) {
            return text;
        }
        tokio::task::yield_now().await;
    }
}

/// Finds every acknowledgement, and insists on what came before it.
fn read(text: &str, got: &[Got]) -> Vec<Shown> {
    let calls = strace::calls(text);
    let frames = strace::frames(&calls);
    got.iter().map(|got| show(&calls, got, first_byte(&frames, got))).collect()
}

/// Returns the line in which the first byte of an acknowledgement was written.
fn first_byte(frames: &[Frame], got: &Got) -> usize {
    // A message of gRPC: not compressed, its length, its bytes.
    let length = u32::try_from(got.message.len()).expect("a short message").to_be_bytes();
    let message = [&[0], &length[..], &got.message].concat();
    let holds = |frame: &&Frame| frame.kind == 0 && contains(&frame.payload, &message);
    let data = frames.iter().find(holds).expect("every acknowledgement is in the trace");
    let of_stream = |frame: &&Frame| frame.stream == data.stream && frame.connection == data.connection;
    let headers = frames.iter().filter(of_stream).find(|frame| frame.kind == 1).expect("an answer has headers");
    if got.kind == Kind::Batch { data.line } else { headers.line }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn show(calls: &[Call], got: &Got, acknowledged: usize) -> Shown {
    let before = || calls.iter().filter(|call| call.began < acknowledged);
    let to_log = |call: &&Call| call.name == "write" && call.file.ends_with(".wal");
    let own = |call: &&Call| to_log(call) && contains(&call.bytes, got.id.as_bytes());
    let write = if got.kind == Kind::Batch { before().rfind(to_log) } else { before().rfind(own) };
    let write = write.unwrap_or_else(|| panic!("line {acknowledged}: acknowledged without a write"));
    let written = write.ended;
    assert_eq!(write.result, Some(write.bytes.len() as u64), "line {written}: the log can't be written");
    let synced = synced(before(), ".wal", "fdatasync", written, acknowledged);
    if got.kind == Kind::Erasure {
        let intent = before().find(own).map_or(0, |call| call.began);
        let cell = |call: &&Call| call.file.ends_with("root.cell") && call.began > intent;
        let slots: Vec<usize> =
            before().filter(cell).filter(|call| call.name == "write").map(|call| call.ended).collect();
        let [.., last] = slots.as_slice() else { panic!("line {acknowledged}: acknowledged under the old root") };
        assert!(slots.len() >= 2, "line {last}: the old root is still in one of its slots");
        self::synced(before(), "root.cell", "fsync", *last, acknowledged);
    }
    Shown { kind: got.kind, written, synced, acknowledged }
}

/// Returns the line in which a sync returned 0 that began after a line, before the acknowledgement.
fn synced<'a>(
    before: impl Iterator<Item = &'a Call>,
    file: &str,
    name: &str,
    after: usize,
    acknowledged: usize,
) -> usize {
    let sync = |call: &&Call| call.file.ends_with(file) && call.name == name && call.began > after;
    let mut done = before.filter(sync).filter(|call| call.ended < acknowledged && call.result == Some(0));
    let done = done.next().unwrap_or_else(|| panic!("line {acknowledged}: acknowledged before {file} was synced"));
    done.ended
}

fn report(shown: &[Shown]) -> String {
    let mut text = String::from(
        "each acknowledgement's first byte came after an fdatasync of the log that began after the last write for it and \
         returned 0; each erasure's also after an fsync of both slots of the root cell\n",
    );
    for (kind, name) in Kind::ALL {
        let of_kind: Vec<_> = shown.iter().filter(|shown| shown.kind == kind).collect();
        let Some(Shown { written, synced, acknowledged, .. }) = of_kind.first() else { continue };
        let _never_fails = writeln!(
            text,
            "{} {name} (the first: written in line {written} of the trace, synced in line {synced}, acknowledged in line \
             {acknowledged})",
            of_kind.len()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0a0a0a0a-0a0a-4000-8000-0a0a0a0a0a0a";
    const SYNC: &str = "8 fdatasync(3</d/1.wal>) = 0\n";
    const BEGUN: &str = "8 fdatasync(3</d/1.wal> <unfinished ...>\n";
    const ENDED: &str = "8 <... fdatasync resumed>) = 0\n";
    const SLOT: &str = "8 write(4</r/root.cell>, \"\\x01\", 1) = 1\n";
    const SLOT_SYNC: &str = "8 fsync(4</r/root.cell>) = 0\n";
    const HEADERS: &str = "7 write(9<TCP:[a->b]>, \"\\x00\\x00\\x00\\x01\\x04\\x00\\x00\\x00\\x05\", 9) = 9\n";
    const ANSWER: &str = "7 write(9<TCP:[a->b]>, \"\\x00\\x00\\x07\\x00\\x00\\x00\\x00\\x00\\x05\\x00\\x00\\x00\\x00\\x02\\x08\\x2a\", 16) = 16\n";

    fn write(id: &str) -> String {
        format!("8 write(3</d/1.wal>, \"{id}\", {}) = {0}\n", id.len())
    }

    fn shown(kind: Kind, lines: &[&str]) -> Shown {
        let id = if kind == Kind::Batch { String::new() } else { ID.to_owned() };
        read(&lines.concat(), &[Got { kind, id, message: vec![8, 42] }])[0]
    }

    #[test]
    fn a_sync_between_write_and_acknowledgement_is_found() {
        let own = write(ID);
        // Somebody else's write after the sync is none of this call's.
        let lines = shown(Kind::Withdrawal, &[&own, BEGUN, ENDED, &write("other"), HEADERS, ANSWER]);
        assert_eq!(lines, Shown { kind: Kind::Withdrawal, written: 1, synced: 3, acknowledged: 5 });
        // The headers of an ingest leave before its batches are written.
        let lines = shown(Kind::Batch, &[HEADERS, &own, SYNC, ANSWER]);
        assert_eq!(lines, Shown { kind: Kind::Batch, written: 2, synced: 3, acknowledged: 4 });
    }

    #[test]
    #[should_panic(expected = "line 4: acknowledged before .wal was synced")]
    fn an_answer_is_not_synced_by_the_sync_of_its_charge() {
        shown(Kind::Charge, &[&write(ID), SYNC, &write(ID), HEADERS, ANSWER]);
    }

    #[test]
    #[should_panic(expected = "line 2: acknowledged before .wal was synced")]
    fn headers_that_leave_before_the_sync_are_an_acknowledgement() {
        shown(Kind::Withdrawal, &[&write(ID), HEADERS, SYNC, ANSWER]);
    }

    #[test]
    #[should_panic(expected = "line 3: acknowledged before .wal was synced")]
    fn a_sync_that_is_under_way_does_not_count() {
        shown(Kind::Withdrawal, &[&write(ID), BEGUN, HEADERS, ENDED, ANSWER]);
    }

    #[test]
    #[should_panic(expected = "line 4: acknowledged before .wal was synced")]
    fn a_sync_that_began_before_the_write_had_returned_does_not_count() {
        let (begun, ended) = (write(ID).replace(") = 36", " <unfinished ...>"), "8 <... write resumed>) = 36\n");
        let sync = SYNC.replacen('8', "9", 1);
        shown(Kind::Withdrawal, &[&begun, &sync, ended, HEADERS, ANSWER]);
    }

    #[test]
    fn an_erasure_needs_both_slots_of_the_root() {
        let (own, begin) = (write(ID), write(ID) + SYNC);
        let lines = shown(Kind::Erasure, &[&begin, SLOT, SLOT_SYNC, SLOT, SLOT_SYNC, &own, SYNC, HEADERS, ANSWER]);
        assert_eq!(lines, Shown { kind: Kind::Erasure, written: 7, synced: 8, acknowledged: 9 });
    }

    #[test]
    #[should_panic(expected = "line 7: acknowledged before root.cell was synced")]
    fn an_erasure_whose_second_slot_is_not_synced_is_found() {
        shown(Kind::Erasure, &[&write(ID), SLOT, SLOT_SYNC, SLOT, &write(ID), SYNC, HEADERS, ANSWER]);
    }
}
