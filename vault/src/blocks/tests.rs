use super::hidden::HIDDEN_PART_SUBJECTS;
use super::*;
use crate::disk::Disk;
use crate::keys::limits::Limit;
use policy::schema::{ColumnId, EventTypeId, Layout};
use std::path::{Path, PathBuf};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("silhouette-blocks-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, file_no: u64) -> PathBuf {
        self.0.join(format!("{file_no:016x}.piece"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn attributes(version: u64) -> PieceMeta {
    PieceMeta {
        dataset: 1,
        block: 2,
        kind: PieceKind::Attributes,
        part: 0,
        version,
        schema_version: 1,
        first: 0,
        subjects: 4,
        rows: 4,
    }
}

fn write_attributes(dir: &Path, file_no: u64, version: u64) -> Written {
    let names: [&[u8]; 4] = [b"ann", b"", b"cy", b"dora"];
    let bytes = encode_bytes(names.into_iter()).unwrap();
    let columns: [Column<'_>; 4] = [
        (ColumnKey::of(ColumnId(0)), Layout::Bytes, &bytes),
        (ColumnKey { column: ColumnKey::HIDDEN, part: 0 }, Layout::Bytes, &[7; 128]),
        (ColumnKey::of(ColumnId(2)), Layout::Code16, &[1, 0, 2, 0, 3, 0, 4, 0]),
        (ColumnKey::of(ColumnId(1)), Layout::Code8, &[1, 2, 0, 3]),
    ];
    write_piece(&Disk::default(), dir, file_no, &attributes(version), &columns).unwrap()
}

#[test]
fn columns_come_back_in_the_order_asked_for() {
    let folder = Folder::new("order");
    let written = write_attributes(&folder.0, 1, 1);
    let piece = Piece::open(&folder.file(1), written.key, &attributes(1)).unwrap();
    let scanned: Vec<ColumnKey> = piece.columns().iter().map(|(key, _)| *key).collect();
    assert_eq!(scanned, [1, 2, 0, 0xFFFF].map(|column| ColumnKey { column, part: 0 }));

    let mut buffer = Buffer::default();
    let keys = [ColumnKey::of(ColumnId(0)), ColumnKey::of(ColumnId(1)), ColumnKey::of(ColumnId(0))];
    let chunks = piece.read_columns(&keys, &mut buffer).unwrap();
    assert_eq!(chunks.iter().map(|chunk| chunk.key).collect::<Vec<_>>(), keys);
    assert_eq!(chunks[1].bytes, [1, 2, 0, 3]);
    let names = ByteRows::new(chunks[2].bytes, 4).unwrap();
    assert_eq!(names.row(3), Some(b"dora".as_slice()));
    assert_eq!(names.row(1), Some(b"".as_slice()));
    assert_eq!(names.row(4), None);
}

#[test]
fn every_flipped_byte_and_every_cut_is_an_error() {
    let folder = Folder::new("flip");
    let written = write_attributes(&folder.0, 1, 1);
    let whole = std::fs::read(folder.file(1)).unwrap();
    let read = |bytes: &[u8]| {
        std::fs::write(folder.file(2), bytes).unwrap();
        let piece = Piece::open(&folder.file(2), written.key.clone(), &attributes(1))?;
        piece.read_all(&mut Buffer::default()).map(|chunks| chunks.len())
    };
    assert_eq!(read(&whole), Ok(4));
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        assert!(matches!(read(&bytes), Err(BlockError::Damaged { dataset: 1, block: 2, .. })), "byte {place}");
        assert!(matches!(read(&whole[..place]), Err(BlockError::Damaged { .. })), "cut at {place}");
    }
}

#[test]
fn another_version_or_another_key_does_not_open() {
    let folder = Folder::new("swap");
    let old = write_attributes(&folder.0, 1, 1);
    let new = write_attributes(&folder.0, 2, 2);
    assert_ne!(old.sha256, new.sha256);
    let swapped = Piece::open(&folder.file(1), new.key.clone(), &attributes(2));
    assert!(matches!(swapped, Err(BlockError::Damaged { problem: "another piece", .. })));
    let wrong_key = Piece::open(&folder.file(1), new.key, &attributes(1)).unwrap();
    assert!(wrong_key.read_all(&mut Buffer::default()).is_err());
}

#[test]
fn one_persons_hidden_bytes_open_one_part() {
    let folder = Folder::new("hidden");
    let rows = 3 * HIDDEN_PART_SUBJECTS - 20;
    let meta = PieceMeta { subjects: rows as u32, rows: rows as u32, ..attributes(1) };
    let hidden: Vec<[u8; HIDDEN_BYTES]> = (0..rows).map(|row| [(row % 251) as u8; HIDDEN_BYTES]).collect();
    let columns: Vec<Column<'_>> = split_hidden(&hidden).collect();
    assert_eq!(columns.len(), 3);
    let written = write_piece(&Disk::default(), &folder.0, 1, &meta, &columns).unwrap();
    let piece = Piece::open(&folder.file(1), written.key, &meta).unwrap();
    assert_eq!(join_hidden(&piece.read_all(&mut Buffer::default()).unwrap()), hidden);
    let asked = [0, 255, 256, 511, 747_u16];
    assert_eq!(*piece.hidden_of(&asked).unwrap(), asked.map(|at| hidden[usize::from(at)]));
    for beyond in [748, 767, 768, 8_191] {
        assert!(piece.hidden_of(&[beyond]).is_err(), "position {beyond}");
    }
    // Only the last part no longer opens.
    let mut bytes = std::fs::read(folder.file(1)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(folder.file(1), bytes).unwrap();
    assert!(piece.hidden_of(&[0, 511]).is_ok());
    assert!(piece.hidden_of(&[0, 512]).is_err());
}

#[test]
fn parts_of_the_hidden_column_must_have_their_rows() {
    let folder = Folder::new("hidden-fit");
    let part = |part, bytes| (ColumnKey { column: ColumnKey::HIDDEN, part }, Layout::Bytes, bytes);
    for column in [part(0, [7; 96].as_slice()), part(1, [7; 32].as_slice())] {
        let refused = write_piece(&Disk::default(), &folder.0, 1, &attributes(1), &[column]);
        assert!(matches!(refused, Err(BlockError::Invalid { .. })));
    }
}

#[test]
fn columns_that_do_not_fit_are_refused() {
    let folder = Folder::new("fit");
    let code = (ColumnKey::of(ColumnId(0)), Layout::Code8, [1_u8, 2, 3, 4].as_slice());
    let short = (ColumnKey::of(ColumnId(1)), Layout::Code8, [1_u8, 2].as_slice());
    for columns in [vec![code, code], vec![code, short]] {
        let refused = write_piece(&Disk::default(), &folder.0, 1, &attributes(1), &columns);
        assert!(matches!(refused, Err(BlockError::Invalid { .. })));
    }
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0);
}

#[test]
fn state_of_several_parts_comes_back_whole() {
    let folder = Folder::new("state");
    let meta = PieceMeta { kind: PieceKind::State, subjects: 0, rows: 0, ..attributes(9) };
    for length in [0, 5, STATE_PART_BYTES * 2 + 3] {
        let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        let written = write_piece(&Disk::default(), &folder.0, 1, &meta, &split_state(&bytes)).unwrap();
        let piece = Piece::open(&folder.file(1), written.key, &meta).unwrap();
        assert!(*piece.read_state().unwrap() == bytes, "length {length}");
    }
}

#[test]
fn cuts_cover_every_subject_and_row_once() {
    for (offsets, limit) in [
        (vec![0, 0, 0], 4),
        (vec![0, 3, 3, 5, 9], 4),
        (vec![0, 10, 11, 30], 4),
        (vec![0, 4, 8, 12], 4),
        (vec![0, 0, 9, 9], 2),
    ] {
        let cuts = cut_events(&offsets, limit);
        let mut row = 0;
        for cut in &cuts {
            assert_eq!(cut.rows.start, row, "{offsets:?}");
            assert!(cut.rows.len() <= limit, "{offsets:?}");
            row = cut.rows.end;
        }
        assert_eq!(row, *offsets.last().unwrap() as usize);
        assert_eq!(cuts.last().unwrap().subjects.end, offsets.len() - 1);
        assert_eq!(cuts[0].subjects.start, 0);
        for pair in cuts.windows(2) {
            assert!(
                pair[1].subjects.start == pair[0].subjects.end || pair[1].subjects.start + 1 == pair[0].subjects.end
            );
        }
    }
}

#[test]
fn events_come_back_subject_by_subject() {
    let folder = Folder::new("events");
    let offsets = [0_u32, 20_000, 20_000, 20_001, 40_001];
    let rows = 40_001_i64;
    let times: Vec<u8> = (0..rows).flat_map(i64::to_le_bytes).collect();
    let codes: Vec<u8> = (0..rows).map(|i| (i % 7) as u8).collect();
    let fields = [(ColumnId(0), Layout::Code8, codes.as_slice())];
    let columns = EventColumns { offsets: &offsets, times: &times, ids: &times, fields: &fields };
    let mut next = 0;
    let mut file_no = || {
        next += 1;
        next
    };
    let pieces =
        write_event_pieces(&Disk::default(), &folder.0, &mut file_no, &attributes(1), EventTypeId(3), &columns)
            .unwrap();
    assert!(pieces.len() >= 3);
    let mut seen: Vec<Vec<i64>> = vec![Vec::new(); 4];
    let mut buffer = Buffer::default();
    for (file, meta, written) in pieces {
        let piece = Piece::open(&folder.file(file), written.key, &meta).unwrap();
        let chunks = piece.read_columns(&[ColumnKey::OFFSETS, ColumnKey::TIME], &mut buffer).unwrap();
        let bounds: Vec<usize> = u32_rows(chunks[0].bytes).map(|offset| offset as usize).collect();
        let times: Vec<i64> = int_rows(chunks[1].bytes).collect();
        assert_eq!((bounds.len(), times.len()), (meta.subjects as usize + 1, meta.rows as usize));
        for (subject, bound) in bounds.windows(2).enumerate() {
            seen[meta.first as usize + subject].extend(&times[bound[0]..bound[1]]);
        }
    }
    assert_eq!(seen.concat(), (0..rows).collect::<Vec<_>>());
    assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [20_000, 0, 1, 20_000]);
}

#[test]
fn the_chunks_of_pieces_agree_with_all_wycheproof_vectors() {
    use crate::keys::wycheproof::{Vector, check};
    let with = |vector: &Vector| write::cipher(&vector.key).unwrap();
    check(
        |vector, mut bytes| {
            let tag = write::seal_chunk(&with(vector), vector.nonce, &vector.aad, &mut bytes)?;
            bytes.extend_from_slice(tag.as_ref());
            Some(bytes)
        },
        |vector, mut bytes| read::open_chunk(&with(vector), vector.nonce, &vector.aad, &mut bytes).map(<[u8]>::to_vec),
    );
}

#[test]
fn a_piece_that_is_more_than_one_key_may_seal_is_not_sealed() {
    let codes: Column<'_> = (ColumnKey::of(ColumnId(1)), Layout::Code8, &[1, 2, 0, 3]);
    let hidden: Column<'_> = (ColumnKey { column: ColumnKey::HIDDEN, part: 0 }, Layout::Bytes, &[7; 128]);
    let key = crate::keys::SecretKey::random().unwrap();
    let seal = |seals, bytes| write::seal(&attributes(1), &[&codes, &hidden], &key, Limit { seals, bytes }).map(drop);
    assert_eq!(seal(2, 132), Ok(()));
    let refused = Err(BlockError::invalid(&attributes(1), "more than one key may seal"));
    assert_eq!((seal(1, 132), seal(2, 131)), (refused.clone(), refused));
}

#[test]
fn a_piece_that_is_sealed_again_holds_the_same_under_another_key() {
    let folder = Folder::new("reseal");
    let written = write_attributes(&folder.0, 1, 1);
    let old = Piece::open(&folder.file(1), written.key.clone(), &attributes(1)).unwrap();
    let (meta, again) = old.reseal(&Disk::default(), &folder.0, 7).unwrap();
    assert_eq!(meta, attributes(7));
    assert_eq!(again.bytes, written.bytes);
    assert_ne!(again.key.expose(), written.key.expose());
    let new = Piece::open(&folder.file(7), again.key, &meta).unwrap();
    assert_eq!(new.columns(), old.columns());
    let (mut one, mut other) = (Buffer::default(), Buffer::default());
    let bytes = |piece: &Piece, buffer: &mut Buffer| -> Vec<Vec<u8>> {
        piece.read_all(buffer).unwrap().iter().map(|chunk| chunk.bytes.to_vec()).collect()
    };
    assert_eq!(bytes(&new, &mut one), bytes(&old, &mut other));
    assert!(
        Piece::open(&folder.file(7), written.key, &meta).unwrap().read_all(&mut one).is_err(),
        "the old key opens it"
    );
}
