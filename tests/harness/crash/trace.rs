//! Shows from a trace of system calls that a batch is synced before it is acknowledged.
//!
//! Batches are sent one by one, each under a number that is found again, byte for byte, in the acknowledgement on the
//! socket. Between two acknowledgements the log was written for the later batch alone.

use super::load::{self, Supply};
use super::model::{self, Feed};
use super::place::{Place, Programs};
use super::round::register;
use crate::call;
use proto::v1::{self, ClientRole, RecordBatch};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Numbers of batches begin here: their bytes occur nowhere else by chance.
const FIRST_NUMBER: u64 = 0x5A_17_C0_DE_00;

/// One acknowledgement and what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shown {
    /// Bytes written to the log since the acknowledgement before it.
    bytes: u64,
    /// Line of the last write to the log.
    written: usize,
    /// Line of the return of the sync that began after it.
    synced: usize,
    /// Line of the acknowledgement.
    acknowledged: usize,
}

/// Traces an ingest of so many batches; says what the trace shows, and panics if a batch was acknowledged before it was
/// synced.
pub async fn trace(programs: Programs, batches: u64) -> String {
    let place = Place::new(programs);
    let served = place.start_traced();
    let steward = place.session(&place.path("silhouette-key.toml"), &served).await;
    register(&place, &steward, "shop", ClientRole::Producer, &[]).await;
    let message = v1::CreateDatasetRequest { schema_toml: model::EXACT.to_owned(), ..Default::default() };
    let made = call!(steward, catalog.create_dataset(message)).must("a dataset").dataset.expect("a dataset");
    let shop = Arc::new(place.session(&place.path("shop"), &served).await);
    let mut feed = Feed::new(1);
    for number in 0..batches {
        let batch = RecordBatch { sequence: FIRST_NUMBER + number, ..feed.batch() };
        let supply = Supply { again: VecDeque::from([batch]), feed: None };
        let done = load::ingest(Arc::clone(&shop), made.schema_hash.clone(), supply).await;
        assert_eq!(done.acknowledged.len(), 1, "batch {number} was not acknowledged");
    }
    served.kill();
    let shown = read(&whole_trace(&place).await, batches);
    let bytes: u64 = shown.iter().map(|shown| shown.bytes).sum();
    let Shown { written, synced, acknowledged, .. } = shown[0];
    format!(
        "{batches} batches, {bytes} bytes of log: each acknowledgement came after an fdatasync that began after the last \
         write and returned 0 (the first: written in line {written} of the trace, synced in line {synced}, \
         acknowledged in line {acknowledged})"
    )
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

/// Reads a trace: one line a system call, or two, `<unfinished ...>` and `resumed`, when another thread came between.
fn read(text: &str, batches: u64) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let (mut bytes, mut written, mut synced) = (0, None, None);
    // Threads in a call on the log: the call, and for a sync whether it began after the last write had returned.
    let mut under_way: HashMap<&str, (&str, bool)> = HashMap::new();
    let mut writing = 0;
    for (line, call) in (1..).zip(text.lines()) {
        let Some((thread, call)) = call.split_once(' ') else { continue };
        let call = call.trim_start();
        let (begins, ends) = (!call.starts_with("<..."), !call.ends_with("<unfinished ...>"));
        let on_log = call.contains(".wal>");
        if begins && on_log && call.starts_with("write(") {
            (writing, written, synced) = (writing + 1, None, None);
            under_way.insert(thread, ("write", false));
        } else if begins && on_log && call.starts_with("fdatasync(") {
            under_way.insert(thread, ("fdatasync", writing == 0));
        } else if begins
            && call.contains("<TCP:")
            && call.contains(&hex_varint(FIRST_NUMBER + shown.len() as u64))
            && (shown.len() as u64) < batches
        {
            let (Some(written), Some(synced)) = (written, synced) else {
                panic!("line {line}: acknowledged before it was synced");
            };
            assert!(bytes > 0, "line {line}: acknowledged without a write");
            shown.push(Shown { bytes, written, synced, acknowledged: line });
            (bytes, writing) = (0, 0);
        }
        if ends && let Some((kind, after)) = under_way.remove(thread) {
            let result = call.rsplit(" = ").next().and_then(|result| result.parse::<u64>().ok());
            match (kind, result) {
                ("write", Some(count)) => {
                    (bytes, writing, written) = (bytes + count, writing - 1, Some(line));
                }
                ("fdatasync", Some(0)) if after => synced = Some(line),
                ("fdatasync", Some(0)) => {}
                _ => panic!("line {line}: the log can't be written"),
            }
        }
    }
    assert_eq!(shown.len() as u64, batches, "every acknowledgement is in the trace");
    shown
}

/// Writes a number as protobuf does, in strace's hexadecimal.
fn hex_varint(mut number: u64) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    loop {
        let more = number >= 0x80;
        let byte = (number & 0x7F) | if more { 0x80 } else { 0 };
        let _never_fails = write!(text, "\\x{byte:02x}");
        number >>= 7;
        if !more {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acknowledged(number: u64) -> String {
        format!("7 writev(9<TCP:[a]>, [{{iov_base=\"{}\"}}], 1) = 12\n", hex_varint(FIRST_NUMBER + number))
    }

    const WRITE: &str = "8 write(3</d/1.wal>, \"\"..., 9) = 9\n";
    const SYNC: &str = "8 fdatasync(3</d/1.wal>) = 0\n";
    const BEGUN: &str = "8 fdatasync(3</d/1.wal> <unfinished ...>\n";
    const ENDED: &str = "8 <... fdatasync resumed>) = 0\n";

    #[test]
    fn a_sync_between_write_and_acknowledgement_is_found() {
        let text = [WRITE, SYNC, &acknowledged(0), WRITE, BEGUN, ENDED, &acknowledged(1)].concat();
        let lines: Vec<_> = read(&text, 2).iter().map(|s| (s.written, s.synced, s.acknowledged)).collect();
        assert_eq!(lines, [(1, 2, 3), (4, 6, 7)]);
    }

    #[test]
    #[should_panic(expected = "line 4: acknowledged before it was synced")]
    fn a_sync_that_has_not_returned_does_not_count() {
        read(&[WRITE, SYNC, WRITE, &acknowledged(0)].concat(), 1);
    }

    #[test]
    #[should_panic(expected = "line 3: acknowledged before it was synced")]
    fn a_sync_that_is_under_way_does_not_count() {
        read(&[WRITE, BEGUN, &acknowledged(0), ENDED].concat(), 1);
    }
}
