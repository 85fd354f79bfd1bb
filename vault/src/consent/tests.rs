//! What the stored form promises, and what copying shares.

use super::*;
use policy::consent::ConsentAct;
use proptest::prelude::*;
use std::sync::LazyLock;

const PURPOSES: [&str; 3] = ["a", "a.b", "c"];

fn purpose(name: &str) -> PurposeId {
    PurposeId::new(name).unwrap()
}

fn empty() -> ConsentBitmaps {
    let mut tree = PurposeTree::default();
    PURPOSES.iter().for_each(|name| _ = tree.add(&purpose(name)));
    ConsentBitmaps { tree: Arc::new(tree), blocks: Vec::new() }
}

fn event(act: ConsentAct, name: &str, at: i64, expires: Option<i64>) -> ConsentEvent {
    let (purpose, basis, source) = (purpose(name), LawfulBasis::Consent, "s".into());
    let (at, expires, language, method, notice) = (Timestamp(at), expires.map(Timestamp), None, None, None);
    ConsentEvent { act, at, basis, expires, language, method, notice, purpose, source }
}

fn give(state: &mut ConsentBitmaps, ordinal: u32, name: &str, at: i64, expires: Option<i64>) -> bool {
    state.apply(ordinal, &event(ConsentAct::Give, name, at, expires)).unwrap()
}

fn withdraw(state: &mut ConsentBitmaps, ordinal: u32, name: &str, at: i64) -> bool {
    state.apply(ordinal, &event(ConsentAct::Withdraw, name, at, None)).unwrap()
}

fn allowed(state: &ConsentBitmaps, name: &str, now: i64) -> Vec<u32> {
    state.allowed(&purpose(name), LawfulBasis::Consent, Timestamp(now), 100_000).iter().collect()
}

/// Gives every third person of a block a consent, at as many different instants as `instants`.
fn crowd(instants: i64) -> ConsentBitmaps {
    let mut state = empty();
    // More than a list holds.
    for ordinal in (0..BLOCK_SUBJECTS).step_by(12) {
        give(&mut state, ordinal, "a.b", i64::from(ordinal) % instants, Some(i64::MAX - i64::from(ordinal)));
    }
    state
}

#[test]
fn the_stored_form_is_what_it_was() {
    let mut state = empty();
    give(&mut state, 1, "a.b", 5, Some(9));
    give(&mut state, 2, "a.b", 6, None);
    withdraw(&mut state, 2, "a", 7);
    state.restrict(3);
    state.erase(4);
    state.prune(Timestamp(5));
    let golden = [
        "73636201",
        // Restricted, erased, two purposes.
        "0101000300 0101000400 0200",
        // `a`: newest and newest withdrawal of person 2, who withdrew on every basis.
        "01 61 010100 0200 0700000000000000 010100 0200 0700000000000000",
        "00 00 0101000200 00 00  00 00 0101000200 00 00  00 00 0101000200 00 00",
        // `a.b`: newest of persons 1 and 2; person 1 holds it until 9.
        "03 612e62 010200 0100 0500000000000000 0200 0600000000000000 00",
        "0101000100 00 00 00 010100 0100 0900000000000000  00 00 00 00 00  00 00 00 00 00",
    ];
    let hex: String = state.block_bytes(0).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, golden.concat().replace(' ', ""));
}

#[test]
fn links_are_stored_with_the_secondarys_block_and_go_with_the_secondary() {
    let mut state = empty();
    state.link(Link { primary: 9_000, secondary: 3, mark: 2, leaf: 7, ended: false });
    state.link(Link { primary: 9_000, secondary: 4, mark: 1, leaf: 5, ended: false });
    state.end_link(3, 7);
    let bytes = state.block_bytes(0);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let golden = [
        "73636202 00 00 0000 02000000",
        "0300 28230000 02 0700000000000000 01",
        "0400 28230000 01 0500000000000000 00",
    ];
    assert_eq!(hex, golden.concat().replace(' ', ""));
    let mut read = empty();
    read.load_block(0, &bytes).unwrap();
    assert!(read.links().eq(state.links()));
    assert_eq!((read.link_of(3), read.link_of(4).map(|link| link.primary)), (None, Some(9_000)));
    for wrong in 0..bytes.len() - 10 {
        let mut cut = bytes.to_vec();
        cut.truncate(10 + wrong);
        assert!(cut.len() == bytes.len() || read.load_block(0, &cut).is_err());
    }
    read.erase(4);
    assert_eq!(read.links().count(), 1);
    assert_eq!(read.settle_links().len(), 1);
    assert_eq!(read.links().count(), 0);
    read.link(Link { primary: 1, secondary: 4, mark: 1, leaf: 9, ended: false });
    assert_eq!(read.links().count(), 0, "the erased are linked to nobody");
}

#[test]
fn a_block_without_decisions_is_ten_bytes_at_most() {
    assert_eq!(**empty().block_bytes(7), *b"scb\x01\0\0\0\0");
}

#[test]
fn every_form_survives_storing_and_gives_the_same_bytes_again() {
    for instants in [1, 200, 10_000] {
        let mut state = crowd(instants);
        (0..600).for_each(|ordinal| state.erase(ordinal * 2));
        (0..100).for_each(|ordinal| state.restrict(1 + ordinal * 2));
        let bytes = state.block_bytes(0);
        let mut read = empty();
        read.load_block(0, &bytes).unwrap();
        assert_eq!(*read.block_bytes(0), *bytes);
        for now in [0, 100, 5_000, i64::MAX - 4_000, i64::MAX] {
            assert_eq!(allowed(&read, "a.b", now), allowed(&state, "a.b", now), "{instants} {now}");
        }
        assert!(allowed(&read, "a.b", 10_000).contains(&1_212));
        assert!(read.is_erased(0) && !read.is_erased(1) && read.is_restricted(1));
    }
}

#[test]
fn the_erased_leave_nothing_behind_and_stay_away() {
    let mut state = empty();
    give(&mut state, 8_192, "a", 77, Some(99));
    give(&mut state, 8_193, "a", 78, None);
    let mut other = empty();
    give(&mut other, 8_193, "a", 78, None);
    state.erase(8_192);
    other.erase(8_192);
    assert_eq!(*state.block_bytes(1), *other.block_bytes(1), "nothing tells what the erased had decided");
    assert!(!give(&mut state, 8_192, "a", 200, None));
    state.restrict(8_192);
    assert!(!state.is_restricted(8_192));
    assert_eq!(allowed(&state, "a", 300), [8_193]);
}

#[test]
fn people_who_are_restricted_keep_deciding() {
    let mut state = empty();
    give(&mut state, 5, "a", 1, None);
    give(&mut state, 6, "a", 1, None);
    state.restrict(5);
    state.restrict(6);
    withdraw(&mut state, 6, "a", 2);
    assert!(allowed(&state, "a", 3).is_empty());
    state.unrestrict(5);
    state.unrestrict(6);
    assert_eq!(allowed(&state, "a", 3), [5]);
}

#[test]
fn an_event_copies_one_purpose_of_one_block() {
    let mut state = empty();
    for ordinal in [1, 9_000, 20_000] {
        give(&mut state, ordinal, "a", 1, None);
        give(&mut state, ordinal, "c", 1, None);
    }
    let pinned = state.clone();
    assert!(!withdraw(&mut state, 9_000, "c", 0), "too late");
    assert!(state.blocks.iter().zip(&pinned.blocks).all(|(a, b)| Arc::ptr_eq(a, b)));
    withdraw(&mut state, 9_000, "c", 2);
    let shared: Vec<bool> = state.blocks.iter().zip(&pinned.blocks).map(|(a, b)| Arc::ptr_eq(a, b)).collect();
    assert_eq!(shared, [true, false, true]);
    let nodes = |state: &ConsentBitmaps| state.blocks.get(1).unwrap().nodes.clone();
    let same = |(a, b): (Option<Arc<_>>, Option<Arc<_>>)| a.zip(b).is_none_or(|(a, b)| Arc::ptr_eq(&a, &b));
    assert_eq!(nodes(&state).into_iter().zip(nodes(&pinned)).map(same).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(state.changed_since(&pinned), [1]);
    assert_eq!(allowed(&pinned, "c", 3), [1, 9_000, 20_000]);
    assert_eq!(allowed(&state, "c", 3), [1, 20_000]);
}

/// Two states of one origin that changed equally often, and differently.
#[test]
fn blocks_that_went_different_ways_are_told_apart() {
    let mut state = empty();
    give(&mut state, 1, "a", 1, None);
    let mut closed = state.clone();
    closed.erase(1);
    give(&mut state, 2, "a", 1, None);
    assert_eq!(state.changed_since(&closed), [0]);
    let before = state.clone();
    state.share_unchanged(&closed);
    assert_eq!(allowed(&state, "a", 2), allowed(&before, "a", 2), "nothing of another content is taken over");
    // A block that was read comes in the place of another that changed as often.
    let (mut one, mut other) = (empty(), empty());
    one.load_block(0, &state.block_bytes(0)).unwrap();
    other.load_block(0, &closed.block_bytes(0)).unwrap();
    assert_eq!(one.changed_since(&other), [0]);
    assert!(one.changed_since(&one.clone()).is_empty());
}

#[test]
fn pruning_is_no_change_and_is_shared_where_nothing_else_changed() {
    let mut state = empty();
    give(&mut state, 1, "a", 10, Some(30));
    give(&mut state, 9_000, "a", 10, Some(30));
    let mut closed = state.clone();
    closed.prune(Timestamp(40));
    assert!(closed.changed_since(&state).is_empty());
    give(&mut state, 9_000, "a", 35, None);
    state.share_unchanged(&closed);
    let shared: Vec<bool> = state.blocks.iter().zip(&closed.blocks).map(|(a, b)| Arc::ptr_eq(a, b)).collect();
    assert_eq!(shared, [true, false]);
    assert_eq!(allowed(&state, "a", 50), [9_000]);
    // Who expired has still decided: the wider purpose does not stand in.
    assert!(give(&mut state, 1, "a.b", 41, Some(42)));
    state.prune(Timestamp(60));
    assert_eq!(allowed(&state, "a.b", 60), [9_000]);
    give(&mut state, 1, "a", 61, None);
    assert_eq!(allowed(&state, "a.b", 62), [9_000]);
    assert_eq!(allowed(&state, "a", 62), [1, 9_000]);
}

fn check_damaged(bytes: &[u8]) {
    let mut state = empty();
    if state.load_block(0, bytes).is_ok() {
        let again = state.block_bytes(0);
        let mut read = empty();
        read.load_block(0, &again).unwrap();
        assert_eq!(*read.block_bytes(0), *again);
        assert_eq!(allowed(&read, "a.b", 50), allowed(&state, "a.b", 50));
        state.prune(Timestamp(50));
        (0..20).for_each(|ordinal| state.erase(ordinal));
        give(&mut state, 21, "a", 1, None);
        withdraw(&mut state, 22, "a", i64::MAX);
        read.load_block(0, &state.block_bytes(0)).unwrap();
    }
}

#[test]
fn every_cut_of_a_stored_block_is_refused() {
    let mut small = empty();
    give(&mut small, 1, "a.b", 5, Some(9));
    withdraw(&mut small, 2, "a", 7);
    small.erase(3);
    for state in [small, crowd(1), crowd(10_000)] {
        let bytes = state.block_bytes(0);
        for length in 0..bytes.len() {
            // The whole length of the largest takes a while and shows nothing new.
            if length < 2_000 || length % 97 == 0 {
                let cut = bytes.get(..length).unwrap();
                assert_eq!(empty().load_block(0, cut), Err(UnreadableConsent), "{length}");
            }
        }
        let longer = [bytes.as_slice(), b"\0"].concat();
        assert_eq!(empty().load_block(0, &longer), Err(UnreadableConsent));
    }
}

/// Stored crowds; building one takes most of the time of a case.
static STORED: LazyLock<[Vec<u8>; 3]> =
    LazyLock::new(|| [1, 200, 10_000].map(|instants| crowd(instants).block_bytes(0).to_vec()));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Changed bytes are refused or are a state that works.
    #[test]
    fn changed_bytes_are_refused_or_are_a_state(
        which in 0_usize..3,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        near in any::<bool>(),
    ) {
        let mut bytes = STORED.get(which).unwrap().clone();
        // Most of the bytes are times; the ones before them say how they are read.
        let length = if near { 64 } else { bytes.len() };
        for (index, byte) in flips {
            *bytes.get_mut(index.index(length)).unwrap() = byte;
        }
        check_damaged(&bytes);
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(body in prop::collection::vec(0_u8..5, 0..300)) {
        check_damaged(&[b"scb\x01".as_slice(), &body].concat());
    }
}
