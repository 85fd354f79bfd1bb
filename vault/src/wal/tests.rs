use super::segment::{FRAME_HEADER, HEADER, Header};
use super::*;
use crate::log::Sizes;
use crate::vault::Tree;
use std::fs;
use tempfile::TempDir;

fn frame(n: u8) -> Frame {
    Frame {
        before: Sizes { access: n.into(), subject: 7 },
        leaves: vec![(Tree::Access, vec![n; 5]), (Tree::Subject, Vec::new())],
        parts: vec![SealedPart { kind: 3, dataset: 1, block: 2, key_id: 9, sealed: vec![n; 11] }],
    }
}

/// Writes frames `1..=last`, each as a batch of its own.
fn written(last: u8, segment_bytes: u64) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (wal, replay) = Wal::open(&Disk::default(), dir.path(), 1, segment_bytes).unwrap();
    assert_eq!(replay.count(), 0);
    for n in 1..=last {
        wal.enqueue(n.into(), &frame(n)).unwrap().wait().unwrap();
        assert_eq!(wal.durable_seq(), u64::from(n));
    }
    dir
}

fn replayed(dir: &Path, from: u64) -> Result<Vec<u64>, WalError> {
    let (_wal, replay) = Wal::open(&Disk::default(), dir, from, SEGMENT_BYTES)?;
    replay
        .map(|item| {
            let (seq, read) = item?;
            assert_eq!(read, frame(u8::try_from(seq).unwrap()));
            Ok(seq)
        })
        .collect()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    segment::list(dir).unwrap().into_iter().map(|first| segment::path(dir, first)).collect()
}

#[track_caller]
fn assert_corrupt(result: Result<Vec<u64>, WalError>, path: &Path, at: u64) {
    match result {
        Err(WalError::Corrupt { file, offset, .. }) => assert_eq!((file.as_path(), offset), (path, at)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn acknowledged_frames_come_back_in_order_across_segments() {
    let dir = written(9, 1);
    assert_eq!(segments(dir.path()).len(), 9);
    assert_eq!(replayed(dir.path(), 1).unwrap(), (1..=9).collect::<Vec<_>>());
    assert_eq!(replayed(dir.path(), 5).unwrap(), (5..=9).collect::<Vec<_>>());
    assert_eq!(replayed(dir.path(), 10).unwrap(), Vec::<u64>::new());
}

#[test]
fn writing_goes_on_where_the_log_ended() {
    let dir = written(2, SEGMENT_BYTES);
    let (wal, _) = Wal::open(&Disk::default(), dir.path(), 1, SEGMENT_BYTES).unwrap();
    assert_eq!((wal.next_seq(), wal.durable_seq()), (3, 2));
    let ticket = wal.enqueue(3, &frame(3)).unwrap();
    assert_eq!(ticket.seq(), 3);
    drop(ticket);
    wal.sync().unwrap();
    drop(wal);
    assert_eq!(replayed(dir.path(), 1).unwrap(), [1, 2, 3]);
}

/// Notes which files were synced.
#[derive(Default)]
struct Synced(parking_lot::Mutex<Vec<PathBuf>>);

impl crate::disk::Observer for Synced {
    fn before(&self, step: &crate::disk::Step<'_>) -> Result<(), crate::disk::Fault> {
        if let crate::disk::Step::Sync(path) = step {
            self.0.lock().push((*path).to_owned());
        }
        Ok(())
    }
}

#[test]
fn what_a_killed_process_wrote_is_durable_before_it_is_read_as_done() {
    let dir = written(2, SEGMENT_BYTES);
    let synced = Arc::<Synced>::default();
    let (_wal, replay) = Wal::open(&Disk::observed(Arc::clone(&synced) as _), dir.path(), 1, SEGMENT_BYTES).unwrap();
    assert_eq!(replay.count(), 2);
    assert_eq!(*synced.0.lock(), segments(dir.path()));
}

#[test]
fn a_frame_out_of_order_is_refused_and_changes_nothing() {
    let dir = written(1, SEGMENT_BYTES);
    let (wal, _) = Wal::open(&Disk::default(), dir.path(), 1, SEGMENT_BYTES).unwrap();
    for got in [0, 1, 3] {
        let error = wal.enqueue(got, &frame(9)).unwrap_err();
        assert_eq!(error, WalError::OutOfOrder { got, want: 2 });
    }
    wal.enqueue(2, &frame(2)).unwrap().wait().unwrap();
    drop(wal);
    assert_eq!(replayed(dir.path(), 1).unwrap(), [1, 2]);
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_the_rest_kept() {
    let dir = written(3, SEGMENT_BYTES);
    let path = segments(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    let one = (whole.len() - HEADER as usize) / 3;
    for len in whole.len() - one..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        assert_eq!(replayed(dir.path(), 1).unwrap(), [1, 2], "cut at {len}");
        assert_eq!(fs::metadata(&path).unwrap().len() as usize, whole.len() - one);
        let (wal, _) = Wal::open(&Disk::default(), dir.path(), 1, SEGMENT_BYTES).unwrap();
        wal.enqueue(3, &frame(3)).unwrap().wait().unwrap();
        drop(wal);
        assert_eq!(replayed(dir.path(), 1).unwrap(), [1, 2, 3]);
    }
}

#[test]
fn a_flipped_byte_before_the_last_frame_is_damage_with_file_and_offset() {
    let dir = written(3, SEGMENT_BYTES);
    let path = segments(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    let one = (whole.len() - HEADER as usize) / 3;
    for at in 0..whole.len() - one {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        fs::write(&path, bytes).unwrap();
        let start = at.checked_sub(HEADER as usize).map_or(0, |at| HEADER as usize + at / one * one);
        assert_corrupt(replayed(dir.path(), 1), &path, start as u64);
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(replayed(dir.path(), 1).unwrap(), [1, 2, 3]);
}

#[test]
fn a_flipped_byte_in_the_last_frame_never_yields_it() {
    let dir = written(3, SEGMENT_BYTES);
    let path = segments(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    let one = (whole.len() - HEADER as usize) / 3;
    for at in whole.len() - one..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        fs::write(&path, bytes).unwrap();
        assert_eq!(replayed(dir.path(), 1).unwrap(), [1, 2]);
    }
}

#[test]
fn damage_in_an_older_segment_is_never_cut() {
    let dir = written(3, 1);
    let path = segments(dir.path()).remove(1);
    let whole = fs::read(&path).unwrap();
    for len in HEADER as usize..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        assert_corrupt(replayed(dir.path(), 1), &path, HEADER);
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let start = if at < HEADER as usize { 0 } else { HEADER };
        assert_corrupt(replayed(dir.path(), 1), &path, start);
    }
}

#[test]
fn a_missing_segment_is_found() {
    let dir = written(3, 1);
    let paths = segments(dir.path());
    fs::remove_file(&paths[1]).unwrap();
    let end = fs::metadata(&paths[0]).unwrap().len();
    assert_corrupt(replayed(dir.path(), 1), &paths[0], end);
}

#[test]
fn a_batch_written_in_any_page_order_is_torn_not_damaged() {
    let dir = written(1, SEGMENT_BYTES);
    let path = segments(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    let id: [u8; 16] = whole[20..36].try_into().unwrap();
    let mut batch = Vec::new();
    for n in 2..=4 {
        let len = frame::encoded_len(&frame(n)) as u32;
        batch.extend(FrameHeader { len, seq: n.into(), place: 0, sum: [0; 16] }.encode());
        frame::encode(&frame(n), &mut batch);
    }
    writer::seal_headers(&id, &mut batch).unwrap();
    let one = batch.len() / 3;
    fs::write(&path, [whole.clone(), batch.clone()].concat()).unwrap();
    assert_eq!(replayed(dir.path(), 1).unwrap(), [1, 2, 3, 4]);
    batch[one + FRAME_HEADER] ^= 1;
    fs::write(&path, [whole, batch].concat()).unwrap();
    assert_eq!(replayed(dir.path(), 1).unwrap(), [1, 2]);
}

#[test]
fn a_segment_whose_creation_was_cut_short_is_begun_again() {
    for len in 0..=HEADER as usize {
        let dir = written(2, SEGMENT_BYTES);
        fs::write(segment::path(dir.path(), 3), vec![0; len]).unwrap();
        let (wal, replay) = Wal::open(&Disk::default(), dir.path(), 1, 1).unwrap();
        assert_eq!(replay.map(|item| item.unwrap().0).collect::<Vec<_>>(), [1, 2]);
        wal.enqueue(3, &frame(3)).unwrap().wait().unwrap();
        drop(wal);
        assert_eq!(replayed(dir.path(), 1).unwrap(), [1, 2, 3]);
    }
}

#[test]
fn a_frame_of_another_segment_is_not_taken() {
    let (one, other) = (written(2, SEGMENT_BYTES), written(2, SEGMENT_BYTES));
    let (to, from) = (segments(one.path()).remove(0), segments(other.path()).remove(0));
    let mut bytes = fs::read(&to).unwrap();
    let from = fs::read(from).unwrap();
    let half = HEADER as usize + (bytes.len() - HEADER as usize) / 2;
    bytes[half..].copy_from_slice(&from[half..]);
    fs::write(to, bytes).unwrap();
    assert_eq!(replayed(one.path(), 1).unwrap(), [1]);
}

#[test]
fn only_whole_segments_below_are_removed() {
    let dir = written(6, 1);
    let (wal, _) = Wal::open(&Disk::default(), dir.path(), 1, 1).unwrap();
    wal.remove_before(4).unwrap();
    assert_eq!(segment::list(dir.path()).unwrap(), [4, 5, 6]);
    wal.remove_before(100).unwrap();
    assert_eq!(segment::list(dir.path()).unwrap(), [6]);
    wal.enqueue(7, &frame(7)).unwrap().wait().unwrap();
    drop(wal);
    assert_eq!(replayed(dir.path(), 6).unwrap(), [6, 7]);
    assert_eq!(replayed(dir.path(), 5).unwrap_err(), WalError::Missing { first: 6, last: 7, wanted: 5 });
}

#[test]
fn a_long_segment_is_followed_by_another_before_it_is_full_when_it_can_go_then() {
    let dir = tempfile::tempdir().unwrap();
    let write = |wal: &Wal, seq: u8| wal.enqueue(seq.into(), &frame(seq)).unwrap().wait().unwrap();
    let short = {
        let (wal, _) = Wal::open(&Disk::default(), dir.path(), 1, SEGMENT_BYTES).unwrap();
        write(&wal, 1);
        wal.renew();
        write(&wal, 2);
        wal.extent().bytes
    };
    assert_eq!(segment::list(dir.path()).unwrap(), [1], "a short one goes on");
    let (wal, _) = Wal::open(&Disk::default(), dir.path(), 1, 16 * short).unwrap();
    wal.renew();
    write(&wal, 3);
    write(&wal, 4);
    assert_eq!(segment::list(dir.path()).unwrap(), [1, 3]);
    wal.remove_before(3).unwrap();
    assert_eq!(segment::list(dir.path()).unwrap(), [3]);
    drop(wal);
    assert_eq!(replayed(dir.path(), 3).unwrap(), [3, 4]);
}

#[test]
fn frames_the_caller_applied_but_the_log_lost_are_missed() {
    let dir = written(3, SEGMENT_BYTES);
    assert_eq!(replayed(dir.path(), 4).unwrap(), Vec::<u64>::new());
    assert_eq!(replayed(dir.path(), 5).unwrap_err(), WalError::Missing { first: 1, last: 3, wanted: 5 });
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(replayed(empty.path(), 5), Err(WalError::Missing { .. })));
    Wal::create(&Disk::default(), empty.path(), 5).unwrap();
    assert_eq!(replayed(empty.path(), 5).unwrap(), Vec::<u64>::new());
    assert!(matches!(Wal::create(&Disk::default(), empty.path(), 5), Err(WalError::Missing { .. })));
}

#[test]
fn a_failed_write_poisons_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = Wal::open(&Disk::default(), dir.path(), 1, 1).unwrap();
    wal.enqueue(1, &frame(1)).unwrap().wait().unwrap();
    // The second frame needs a new segment, whose name is taken.
    fs::create_dir(segment::path(dir.path(), 2)).unwrap();
    let ticket = wal.enqueue(2, &frame(2)).unwrap();
    assert!(matches!(ticket.wait(), Err(WalError::Poisoned(_))));
    assert!(wal.check().is_err());
    fs::remove_dir(segment::path(dir.path(), 2)).unwrap();
    assert!(matches!(wal.enqueue(3, &frame(3)), Err(WalError::Poisoned(_))));
    assert!(matches!(wal.sync(), Err(WalError::Poisoned(_))));
    assert_eq!(wal.durable_seq(), 1);
    drop(wal);
    assert_eq!(replayed(dir.path(), 1).unwrap(), [1]);
}

#[test]
fn a_segment_removed_while_written_poisons() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = Wal::open(&Disk::default(), dir.path(), 1, SEGMENT_BYTES).unwrap();
    wal.enqueue(1, &frame(1)).unwrap().wait().unwrap();
    fs::remove_file(segment::path(dir.path(), 1)).unwrap();
    assert!(matches!(wal.enqueue(2, &frame(2)).unwrap().wait(), Err(WalError::Poisoned(_))));
}

#[test]
fn a_second_open_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_wal, _) = Wal::open(&Disk::default(), dir.path(), 1, 1).unwrap();
    assert_eq!(Wal::open(&Disk::default(), dir.path(), 1, 1).unwrap_err(), WalError::InUse(dir.path().to_owned()));
}

#[test]
fn a_frame_too_large_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = Wal::open(&Disk::default(), dir.path(), 1, 1).unwrap();
    let frame = Frame { leaves: vec![(Tree::Access, vec![0; MAX_PAYLOAD])], ..Frame::default() };
    assert!(matches!(wal.enqueue(1, &frame), Err(WalError::TooLarge { .. })));
    assert_eq!(wal.next_seq(), 1);
}

#[test]
fn many_writers_share_batches_and_all_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = Wal::open(&Disk::default(), dir.path(), 1, 20_000).unwrap();
    let commit = parking_lot::Mutex::new(());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..30 {
                    let guard = commit.lock();
                    let seq = wal.next_seq();
                    let ticket = wal.enqueue(seq, &frame(u8::try_from(seq).unwrap())).unwrap();
                    drop(guard);
                    ticket.wait().unwrap();
                    assert!(wal.durable_seq() >= seq);
                }
            });
        }
    });
    drop(wal);
    assert_eq!(replayed(dir.path(), 1).unwrap(), (1..=240).collect::<Vec<_>>());
}

#[test]
fn a_full_queue_blocks_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = Wal::open(&Disk::default(), dir.path(), 1, SEGMENT_BYTES).unwrap();
    let big = Frame { leaves: vec![(Tree::Access, vec![1; 3 << 20])], ..Frame::default() };
    for seq in 1..=8 {
        let ticket = wal.enqueue(seq, &big).unwrap();
        drop(ticket);
    }
    wal.sync().unwrap();
    drop(wal);
    let (_wal, replay) = Wal::open(&Disk::default(), dir.path(), 1, SEGMENT_BYTES).unwrap();
    assert!(replay.map(|item| item.unwrap().1).all(|read| read == big));
}

#[test]
fn a_payload_cut_or_lengthened_is_refused() {
    let mut bytes = Vec::new();
    frame::encode(&frame(4), &mut bytes);
    assert_eq!(bytes.len(), frame::encoded_len(&frame(4)));
    for len in 0..bytes.len() {
        assert!(frame::decode(&bytes[..len]).is_err());
    }
    bytes.push(0);
    assert!(frame::decode(&bytes).is_err());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn version_1_bytes_are_golden() {
    let id = [0xab; 16];
    let header = Header { first_seq: 1, id };
    let mut bytes = header.encode();
    let len = frame::encoded_len(&frame(1)) as u32;
    let mut batch = FrameHeader { len, seq: 1, place: 0, sum: [0; 16] }.encode().to_vec();
    frame::encode(&frame(1), &mut batch);
    writer::seal_headers(&id, &mut batch).unwrap();
    bytes.extend(batch);
    assert_eq!(
        hex(&bytes),
        concat!(
            "53494c4857414c0a010000000100000000000000",
            "abababababababababababababababab",
            "0872566a75bc5beefa7b66e609fee2a3",
            "44000000010000000000000000000000",
            "567cef62ce2a59c3edb025dfd7120054",
            "0101000000000000000700000000000000",
            "0200000000050000000101010101010000000001000000030100000002000000090000000b0000000101010101010101010101",
        )
    );
    let dir = tempfile::tempdir().unwrap();
    fs::write(segment::path(dir.path(), 1), bytes).unwrap();
    assert_eq!(replayed(dir.path(), 1).unwrap(), [1]);
}
