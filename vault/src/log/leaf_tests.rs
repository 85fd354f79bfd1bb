//! Leaves: golden JSON, reading back, what a word refuses, and the sentences for officers.

use super::explain;
use super::leaf::{Decision, FieldPath, Kind, Leaf, LeafError, Word};
use policy::consent::LawfulBasis;
use policy::decide::Reason;
use policy::id::{ClientId, DatasetId, EpochId, PartnerId, PopulationId, PurposeId};
use policy::privacy::{NanoRho, Quarter};
use policy::time::Timestamp;
use policy::treatment::Treatment;

/// 2026-11-21T14:02:03.000045Z.
const NOW: Timestamp = Timestamp(1_795_269_723_000_045);

fn intent() -> Leaf {
    let path = |text: &str| FieldPath::parse(text).unwrap();
    Leaf {
        req: Some(Word::from_id("3F2504E0-4F89-11D3-9A0C-0305E82C3301")),
        client: Some(ClientId::new("insights").unwrap()),
        role: Some(Word::new("service").unwrap()),
        purpose: Some(PurposeId::new("marketing.portrait").unwrap()),
        basis: Some(LawfulBasis::Consent),
        dataset: Some(DatasetId::new("shop").unwrap()),
        epoch: Some(EpochId(7)),
        what: Some(Word::new("portrait").unwrap()),
        question: Some([0xab; 32]),
        fields: [(path("order.category"), Treatment::Generalise), (path("age_band"), Treatment::Aggregate)].into(),
        rho: Some(NanoRho(10_000_000)),
        population: Some(PopulationId::new("shoppers").unwrap()),
        quarter: Some(Quarter(2026 * 4 + 3)),
        policy_epoch: Some(3),
        table: Some([0xcd; 32]),
        decision: Some(Decision::Permit),
        ..Leaf::new(Kind::Intent, NOW)
    }
}

fn every_field() -> Leaf {
    Leaf {
        partner: Some(PartnerId::new("crm").unwrap()),
        purposes: vec![PurposeId::new("a.b").unwrap(), PurposeId::new("c").unwrap()],
        object: Some(Word::from_id("clients/insights")),
        reason: Some(Reason::BudgetExhausted.into()),
        counts: [(Word::new("profiles").unwrap(), 2_000), (Word::new("events").unwrap(), 0)].into(),
        subject_ref: Some([1; 16]),
        commit: Some([2; 32]),
        of: Some(41),
        key: Some([3; 32]),
        signature: Some([4; 64]),
        ..intent()
    }
}

#[test]
fn the_smallest_leaf_is_golden() {
    let leaf = Leaf::new(Kind::Start, Timestamp(0));
    assert_eq!(leaf.to_json(), r#"{"kind":"start","t":"1970-01-01T00:00:00.000000Z","v":1}"#);
}

#[test]
fn an_intent_is_golden() {
    let expected = concat!(
        r#"{"basis":"consent","client":"insights","dataset":"shop","decision":"permit","epoch":7,"#,
        r#""fields":{"age_band":"aggregate","order.category":"generalise"},"kind":"intent","policy_epoch":3,"#,
        r#""population":"shoppers","purpose":"marketing.portrait","quarter":"2026Q4","#,
        r#""question":"abababababababababababababababababababababababababababababababab","#,
        r#""req":"3f2504e0-4f89-11d3-9a0c-0305e82c3301","rho":10000000,"role":"service","#,
        r#""t":"2026-11-21T14:02:03.000045Z","#,
        r#""table":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","v":1,"what":"portrait"}"#,
    );
    assert_eq!(intent().to_json(), expected);
}

#[test]
fn keys_are_sorted_and_every_field_reads_back() {
    let leaf = every_field();
    let json = leaf.to_json();
    let mut at = 0;
    for key in [
        "basis",
        "client",
        "commit",
        "counts",
        "dataset",
        "decision",
        "epoch",
        "fields",
        "kind",
        "object",
        "of",
        "partner",
        "policy_epoch",
        "population",
        "purpose",
        "purposes",
        "quarter",
        "question",
        "reason",
        "req",
        "rho",
        "role",
        "subject_ref",
        "t",
        "table",
        "v",
        "what",
    ] {
        let found = json[at..].find(&format!("\"{key}\":"));
        at += found.unwrap_or_else(|| panic!("{key} is missing or out of order"));
    }
    assert_eq!(Leaf::parse(json.as_bytes()).unwrap(), leaf);
}

#[test]
fn only_the_canonical_bytes_are_a_leaf() {
    let json = every_field().to_json();
    for wrong in [
        json.replacen(':', ": ", 1),
        json.replace("\"v\":1", "\"v\":2"),
        json.replace("\"kind\":\"intent\"", "\"kind\":\"other\""),
        json.replace("\"of\":41", "\"of\":41.0"),
        json.replace("\"v\":1", "\"unknown\":1,\"v\":1"),
        json.replace("abab", "ABAB"),
        json.replace("2026Q4", "2026Q5"),
        String::new(),
        "[]".into(),
        "{}".into(),
    ] {
        assert!(Leaf::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
    for len in 0..json.len() {
        assert!(Leaf::parse(&json.as_bytes()[..len]).is_err());
    }
}

#[test]
fn personal_values_do_not_fit_in_a_word() {
    for text in
        ["zhang.wei@example.com", "13800138000", "+44 20 7946 0000", "", "a\nb", "\"", "\u{674e}", &"x".repeat(121)]
    {
        assert_eq!(Word::new(text), Err(LeafError::NotAWord));
    }
    for text in ["portrait", "/silhouette.v1.InsightService/Portrait", "by epoch 12", "clients/insights"] {
        assert_eq!(Word::new(text).unwrap().as_str(), text);
    }
}

#[test]
fn an_id_that_could_be_personal_is_hashed_and_stays_so() {
    let hashed = Word::from_id("13800138000");
    assert_eq!(hashed.as_str(), "sha256:a6942f9771d67f34034d2f1926988ed3");
    assert_eq!(Word::from_id(hashed.as_str()), hashed);
    assert_eq!(Word::from_id("r-1").as_str(), "r-1");
    let leaf = Leaf { req: Some(hashed), ..Leaf::new(Kind::Stop, NOW) };
    assert_eq!(Leaf::parse(leaf.to_json().as_bytes()).unwrap(), leaf);
}

#[track_caller]
fn check_sentence(leaf: &Leaf, sentence: &str) {
    assert_eq!(explain(leaf), format!("2026-11-21 14:02 UTC: {sentence}"));
}

#[test]
fn officers_read_sentences() {
    let named = |kind| Leaf {
        client: Some(ClientId::new("insights").unwrap()),
        dataset: Some(DatasetId::new("shop").unwrap()),
        ..Leaf::new(kind, NOW)
    };
    let word = |text: &str| Some(Word::new(text).unwrap());
    check_sentence(
        &intent(),
        "client `insights` asked for a portrait on dataset `shop` for marketing.portrait on consent \
         (request 3f2504e0-4f89-11d3-9a0c-0305e82c3301); fields age_band, order.category; epoch 7; permitted; \
         charged rho 0.01 to population `shoppers` in 2026Q4.",
    );
    check_sentence(
        &Leaf {
            what: word("/silhouette.v1.InsightService/Size"),
            decision: Some(Decision::Refuse),
            reason: Some(Reason::PurposeDenied.into()),
            ..named(Kind::Refuse)
        },
        "client `insights` called /silhouette.v1.InsightService/Size on dataset `shop`; refused: PURPOSE_DENIED.",
    );
    check_sentence(
        &Leaf { what: word("withdraw"), subject_ref: Some([1; 16]), ..named(Kind::Consent) },
        "client `insights` recorded that one person chose to withdraw on dataset `shop`.",
    );
    check_sentence(
        &named(Kind::Ingest).count("profiles", 2_000).unwrap().count("events", 7).unwrap(),
        "client `insights` wrote data on dataset `shop`; events 7; profiles 2000.",
    );
    check_sentence(
        &Leaf::new(Kind::AnonymousRefusals, NOW).count("TOKEN_MISSING", 12).unwrap(),
        "callers without a valid token were refused; TOKEN_MISSING 12.",
    );
    check_sentence(
        &Leaf { partner: Some(PartnerId::new("crm").unwrap()), of: Some(3), ..named(Kind::Audience) },
        "client `insights` of partner `crm` was delivered an audience on dataset `shop`; completes entry 3.",
    );
    check_sentence(
        &Leaf { what: word("audience"), ..named(Kind::Intent) },
        "client `insights` asked for an audience on dataset `shop`.",
    );
    check_sentence(&Leaf::new(Kind::Start, NOW), "the gateway started.");
}
