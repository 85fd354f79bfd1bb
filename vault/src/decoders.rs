//! Every decoder of stored bytes, to be fed with anything; only under the feature `test-util`.
//!
//! What is checked: a decoder may refuse, it never panics, and what it accepts it writes again as the same thing. Nothing
//! here opens a vault or holds a key that seals anything.

use crate::consent::{ConsentBitmaps, Link, StoredBlock};
use crate::fold::history::History;
use crate::fold::set_day::SetDay;
use crate::holds::Held;
use crate::ingest::Value;
use crate::journal::{Delta, Reader, Seen};
use crate::log::{self, Kind, Leaf};
use crate::{backup, blocks, fold, keys, vault, wal};
use policy::consent::{CollectionMethod, ConsentAct, ConsentEvent, LanguageTag, LawfulBasis, NoticeVersion};
use policy::id::PurposeId;
use policy::time::Timestamp;

/// One decoder.
#[derive(Debug, Clone, Copy)]
pub struct Decoder {
    /// What it reads: `wal_frame`.
    pub name: &'static str,
    /// Reads bytes, and checks what was read.
    pub run: fn(&[u8]),
    /// Gives bytes that are read to the end, to begin from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All decoders of this crate.
pub const ALL: &[Decoder] = &[
    Decoder { name: "wal_frame", run: wal::decoders::frame, seeds: wal::decoders::frame_seeds },
    Decoder { name: "wal_segment", run: wal::decoders::header, seeds: wal::decoders::header_seeds },
    Decoder { name: "key_page", run: keys::decoders::page, seeds: keys::decoders::page_seeds },
    Decoder { name: "key_page_body", run: keys::decoders::body, seeds: keys::decoders::body_seeds },
    Decoder { name: "root_cell", run: keys::decoders::cell, seeds: keys::decoders::cell_seeds },
    Decoder { name: "piece", run: blocks::decoders::piece, seeds: blocks::decoders::piece_seeds },
    Decoder { name: "piece_columns", run: blocks::decoders::columns, seeds: blocks::decoders::column_seeds },
    Decoder { name: "block_events", run: fold::decoders::events, seeds: fold::decoders::events_seeds },
    Decoder { name: "block_attributes", run: fold::decoders::attributes, seeds: fold::decoders::attributes_seeds },
    Decoder { name: "position", run: backup::decoders::position, seeds: backup::decoders::position_seeds },
    Decoder { name: "journal", run: journal, seeds: journal_seeds },
    Decoder { name: "consent_state", run: consent_state, seeds: consent_seeds },
    Decoder { name: "consent_history", run: consent_history, seeds: consent_history_seeds },
    Decoder { name: "leaf", run: leaf, seeds: leaf_seeds },
    Decoder { name: "log_bundle", run: log::decoders::bundle, seeds: log::decoders::bundle_seeds },
    Decoder { name: "checkpoint", run: log::decoders::checkpoint, seeds: log::decoders::checkpoint_seeds },
    Decoder { name: "gateway_state", run: vault::decoders::state, seeds: vault::decoders::state_seeds },
    Decoder { name: "people", run: vault::decoders::people, seeds: vault::decoders::people_seeds },
];

/// A dataset for the seeds.
const SCHEMA: &str = r#"
version = 1
dataset = "shop"
organization = "hill-farms"
time_zone = "Europe/London"
subject_key = "member_no"
purposes = ["marketing.portrait"]

[[attributes]]
name = "member_no"
class = "identifier"
type = "identifier"
max_bytes = 32
"#;

fn journal(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    while let Ok(Some(_)) = reader.next_entry() {}
    // Written again without every second person: what was left out is out, and what is written reads back.
    let (mut kept, nothing) = (Delta::default(), Held::default());
    let left = |position| (position % 2 == 1).then_some(&nothing);
    if kept.append_without(bytes, left, &mut Seen::default()).is_ok() {
        let kept = kept.take();
        let mut reader = Reader::new(&kept);
        while let Ok(Some((position, entry))) = reader.next_entry() {
            let place = matches!(&entry, crate::journal::Entry::NewSubject { key, .. } if key.is_empty());
            assert!(position % 2 == 0 || place, "an entry of someone who is gone was kept");
        }
        assert!(matches!(reader.next_entry(), Ok(None)), "what was kept does not read back");
    }
}

fn journal_seeds() -> Vec<Vec<u8>> {
    let mut delta = Delta::default();
    delta.new_subject(2, &[7; 32], b"member-2");
    delta.profile(
        2,
        SetDay::of(Timestamp(1_790_000_000_000_000)),
        &[(0, &Value::Code(3)), (1, &Value::Missing), (2, &Value::Int(-9))],
    );
    delta.event(2, 0, 77, 1_000_000, &[Value::Bytes(b"reference".to_vec()), Value::Code(1)]);
    delta.copied(2, 1, 0, 78, 1_000_001, &[Value::Missing, Value::Code(2)]);
    delta.uncopied(2, 1);
    delta.new_subject(3, &[8; 32], b"member-3");
    for event in consents() {
        _ = delta.consent(3, 12, &event);
    }
    // And a profile as it was written before it had a day.
    vec![delta.take(), vec![2, 3, 0, 1, 0, 1, 0, 1, 2, 0]]
}

/// Two acts of consent.
fn consents() -> Vec<ConsentEvent> {
    let purposes = ["marketing", "marketing.portrait"].into_iter().filter_map(|name| PurposeId::new(name).ok());
    let acts = [(ConsentAct::Give, 5), (ConsentAct::Withdraw, 8)];
    let event = |(purpose, (act, at))| ConsentEvent {
        purpose,
        basis: LawfulBasis::Consent,
        act,
        at: Timestamp(at),
        expires: (act == ConsentAct::Give).then_some(Timestamp(9)),
        language: LanguageTag::new("en").ok(),
        method: Some(CollectionMethod::WebForm),
        notice: (act == ConsentAct::Give).then(|| NoticeVersion::new("3").ok()).flatten(),
        source: "shop".to_owned(),
    };
    purposes.zip(acts).map(event).collect()
}

fn consent_seeds() -> Vec<Vec<u8>> {
    let Ok(schema) = policy::schema::parse(SCHEMA) else { return Vec::new() };
    let mut consent = ConsentBitmaps::new(&schema);
    let state = |consent: &ConsentBitmaps| consent.block_bytes(0).to_vec();
    let nobody = state(&consent);
    for (ordinal, event) in (0_u32..).zip(consents()) {
        for ordinal in [ordinal, ordinal + 700, ordinal + 5_000] {
            _ = consent.apply(ordinal, &event);
        }
    }
    consent.restrict(9);
    consent.erase(10);
    let alone = state(&consent);
    consent.link(Link { primary: 700, secondary: 5_000, mark: 1, leaf: 12, ended: false });
    vec![nobody, alone, state(&consent)]
}

fn consent_state(bytes: &[u8]) {
    let Ok(stored) = StoredBlock::parse(bytes) else { return };
    let mut consent = ConsentBitmaps::default();
    consent.put_block(0, stored);
    let written = consent.block_bytes(0);
    let Ok(again) = StoredBlock::parse(&written) else { return assert!(written.is_empty(), "it does not read back") };
    let mut copy = ConsentBitmaps::default();
    copy.put_block(0, again);
    assert_eq!(*copy.block_bytes(0), *written, "two forms of one state");
}

fn consent_history(bytes: &[u8]) {
    let Ok(mut history) = History::parse(bytes) else { return };
    let written = history.to_bytes();
    let again = History::parse(&written).map(|again| again.to_bytes().to_vec());
    assert_eq!(again.ok().as_ref(), Some(&*written), "two forms of one history");
    _ = history.happened();
    history.retain(|position| position % 2 == 0);
    let kept = History::parse(&history.to_bytes()).map(|kept| kept.len());
    assert_eq!(kept.ok(), Some(history.len()), "what was kept does not read back");
}

fn consent_history_seeds() -> Vec<Vec<u8>> {
    let mut history = History::default();
    for (position, event) in (0_u16..).zip(consents()) {
        _ = history.consent(position, 12, &event);
        _ = history.other(position, 13, &event);
    }
    let line =
        br#"[3,12,{"act":"give","at":5,"basis":"consent","expires":null,"purpose":"marketing","source":"shop"}]"#;
    let length = u32::try_from(line.len()).unwrap_or_default().to_le_bytes();
    vec![history.to_bytes().to_vec(), History::default().to_bytes().to_vec(), [&length[..], line].concat()]
}

fn leaf(bytes: &[u8]) {
    let Ok(leaf) = Leaf::parse(bytes) else { return };
    let text = leaf.to_json();
    assert_eq!(text.as_bytes(), bytes, "a leaf has two forms");
    assert!(!log::explain(&leaf).is_empty());
}

fn leaf_seeds() -> Vec<Vec<u8>> {
    let mut leaf = Leaf::new(Kind::Outcome, Timestamp(1_790_000_000_000_000));
    leaf.what = log::Word::new("size").ok();
    leaf.commit = Some([9; 32]);
    vec![leaf.to_json().into_bytes(), Leaf::new(Kind::Start, Timestamp(0)).to_json().into_bytes()]
}
