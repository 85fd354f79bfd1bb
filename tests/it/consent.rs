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
        (subject, ConsentEvent { purpose, basis: basis(on), act, at: Timestamp(at), expires, source: "s".into() })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// The fast path and one policy decision a subject agree on 10,000 random histories, at every instant, also
    /// after the state was stored and read back.
    #[test]
    fn bitmaps_agree_with_one_decision_a_subject(events in prop::collection::vec(event(), 0..40), now in 0_i64..20) {
        let mut bitmaps = ConsentBitmaps::new(&schema());
        let mut slow: Vec<ConsentState> = vec![ConsentState::default(); 6];
        for (subject, event) in &events {
            let counted = slow.get_mut(*subject as usize).unwrap().apply(event);
            prop_assert_eq!(bitmaps.apply(*subject, event).unwrap(), counted);
        }
        let stored = serde_json::to_string(&bitmaps.to_stored()).unwrap();
        let read = ConsentBitmaps::from_stored(&serde_json::from_str(&stored).unwrap()).unwrap();
        for purpose in PURPOSES.iter().chain(&["a.b.c.x", "f"]) {
            let purpose = PurposeId::new(purpose).unwrap();
            for on in 0..3 {
                let now = Timestamp(now);
                let fast = bitmaps.allowed(&purpose, basis(on), now, 6);
                let slow: RoaringBitmap =
                    (0_u32..).zip(&slow).filter(|(_, state)| state.allows(&purpose, basis(on), now)).map(|(o, _)| o).collect();
                prop_assert_eq!(&fast, &slow);
                prop_assert_eq!(&fast, &read.allowed(&purpose, basis(on), now, 6));
            }
        }
    }
}
