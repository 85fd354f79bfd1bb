//! Consent as bitmaps and consent as one policy decision a subject are the same thing.

use policy::consent::{ConsentAct, ConsentEvent, ConsentState, LawfulBasis};
use policy::id::PurposeId;
use policy::schema::Schema;
use policy::time::Timestamp;
use proptest::prelude::*;
use roaring::RoaringBitmap;
use vault::consent::ConsentBitmaps;

const PURPOSES: [&str; 5] = ["a", "a.b", "a.b.c", "a.d", "e"];

fn schema() -> Schema {
    let text = r#"
        version = 1
        dataset = "d"
        organization = "o"
        population = "d"
        display = "D"
        kind = "test"
        time_zone = "UTC"
        subject_key = "id"
        purposes = ["a.b.c", "a.d", "e"]
        [[attributes]]
        name = "id"
        class = "identifier"
        type = "identifier"
        max_bytes = 9
        display = "Id"
    "#;
    policy::schema::parse(text).unwrap()
}

fn basis(number: u8) -> LawfulBasis {
    [LawfulBasis::Consent, LawfulBasis::Contract, LawfulBasis::LegitimateInterest]
        .into_iter()
        .nth(usize::from(number))
        .unwrap()
}

prop_compose! {
    fn event()(
        subject in 0_u32..6, purpose in 0_usize..5, on in 0_u8..3, give in any::<bool>(), at in 0_i64..12,
        lasts in proptest::option::of(1_i64..8),
    ) -> (u32, ConsentEvent) {
        let act = if give { ConsentAct::Give } else { ConsentAct::Withdraw };
        let purpose = PurposeId::new(PURPOSES.get(purpose).unwrap()).unwrap();
        let expires = lasts.map(|lasts| Timestamp(at + lasts));
        let (at, basis, source) = (Timestamp(at), basis(on), "s".into());
        let (language, method, notice) = (None, None, None);
        (subject, ConsentEvent { act, at, basis, expires, language, method, notice, purpose, source })
    }
}

/// Where the people of a history lie: in two blocks, and at their edges.
const ORDINALS: [u32; 6] = [0, 5, 8_191, 8_192, 8_200, 16_383];
const BOUND: u32 = 16_384;

fn ordinal(subject: u32) -> u32 {
    ORDINALS[subject as usize]
}

/// Stores and reads back every block.
fn stored(state: &ConsentBitmaps) -> ConsentBitmaps {
    let mut read = ConsentBitmaps::new(&schema());
    for block in 0..BOUND / 8_192 {
        read.load_block(block, &state.block_bytes(block)).unwrap();
    }
    read
}

/// Asks about one person after the other.
fn slowly(states: &[Option<ConsentState>], purpose: &PurposeId, on: LawfulBasis, now: Timestamp) -> RoaringBitmap {
    let yes = |state: &Option<ConsentState>| state.as_ref().is_some_and(|state| state.allows(purpose, on, now));
    (0_u32..).zip(states).filter(|(_, state)| yes(state)).map(|(subject, _)| ordinal(subject)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// The fast path and one policy decision a subject agree on 10,000 random histories, at every instant. So does every
    /// block that was stored and read back before the last events, and a state that forgot what nobody asks about.
    /// The erased are never allowed, whatever came before or after.
    #[test]
    fn bitmaps_agree_with_one_decision_a_subject(
        events in prop::collection::vec(event(), 0..40), on in 0_u8..3, now in 0_i64..20, pruned in 0_i64..20,
        erased in proptest::option::of((0_u32..6, 0_usize..40)), stored_at in 0_usize..40,
    ) {
        let mut bitmaps = ConsentBitmaps::new(&schema());
        let mut read = bitmaps.clone();
        let mut slow: Vec<Option<ConsentState>> = vec![Some(ConsentState::default()); 6];
        for (step, (subject, event)) in events.iter().enumerate() {
            if let Some((gone, _)) = erased.filter(|(_, when)| *when == step) {
                bitmaps.erase(ordinal(gone));
                read.erase(ordinal(gone));
                slow[gone as usize] = None;
            }
            if step == stored_at {
                read = stored(&bitmaps);
            }
            let counted = slow[*subject as usize].as_mut().is_some_and(|state| state.apply(event));
            prop_assert_eq!(bitmaps.apply(ordinal(*subject), event).unwrap(), counted);
            prop_assert_eq!(read.apply(ordinal(*subject), event).unwrap(), counted);
        }
        let mut forgot = bitmaps.clone();
        forgot.prune(Timestamp(pruned.min(now)));
        let forgot = stored(&forgot);
        let (now, on) = (Timestamp(now), basis(on));
        for purpose in PURPOSES.iter().chain(&["a.b.c.x", "f"]) {
            let purpose = PurposeId::new(purpose).unwrap();
            let slow = slowly(&slow, &purpose, on, now);
            prop_assert_eq!(&bitmaps.allowed(&purpose, on, now, BOUND), &slow);
            prop_assert_eq!(&bitmaps.allowed_of(ORDINALS, &purpose, on, now), &slow);
            prop_assert_eq!(&read.allowed(&purpose, on, now, BOUND), &slow);
            prop_assert_eq!(&forgot.allowed(&purpose, on, now, BOUND), &slow);
        }
        prop_assert!(bitmaps.allowed(&PurposeId::new("a").unwrap(), basis(0), now, 6).iter().all(|one| one < 6));
    }
}
