use super::*;
use crate::subjects::{Right, RightsEvent};
use policy::consent::{CollectionMethod, ConsentAct, LanguageTag, LawfulBasis, NoticeVersion};
use policy::id::PurposeId;
use policy::time::Timestamp;
use proptest::prelude::*;

fn event(purpose: &str, at: i64) -> ConsentEvent {
    ConsentEvent {
        act: ConsentAct::Give,
        at: Timestamp(at),
        basis: LawfulBasis::Consent,
        expires: None,
        language: None,
        method: None,
        notice: None,
        purpose: PurposeId::new(purpose).unwrap(),
        source: "till".to_owned(),
    }
}

fn full(at: i64) -> ConsentEvent {
    ConsentEvent {
        act: ConsentAct::Withdraw,
        basis: LawfulBasis::LegitimateInterest,
        expires: Some(Timestamp(at + 9)),
        language: LanguageTag::new("pt-BR").ok(),
        method: Some(CollectionMethod::Signal),
        notice: NoticeVersion::new("2026-05").ok(),
        source: "portal".to_owned(),
        ..event("a.b", at)
    }
}

fn request() -> RightsEvent {
    RightsEvent { received: Timestamp(1), ..RightsEvent::new(Right::Access, 3, Timestamp(2)) }
}

fn read_again(history: &History) -> History {
    History::parse(&history.to_bytes()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn bytes_of_version_1_never_change() {
    let mut history = History::default();
    history.consent(7, 300, &full(1_000)).unwrap();
    history.other(7, 301, &request()).unwrap();
    history.consent(2, 5, &event("a", -1)).unwrap();
    let columns = [
        ("0200000000000000", "01", "0005"),
        ("0500000000000000", "02", "00002701"),
        ("ffffffffffffff7f", "02", "0000e903"),
        ("0000000000000000", "01", "000a"),
        ("0000000000000000", "01", "0045"),
        ("0100000000000000", "01", "0001"),
        ("0300000000000000", "01", "0200"),
        ("0000000000000000", "01", "0005"),
        ("0000000000000000", "01", "0001"),
    ];
    let columns: String = columns.map(|(base, width, values)| [base, width, values].concat()).concat();
    let json = br#"{"right":"access","received":1,"done":2,"intent":3}"#;
    let golden = [
        "73636801",
        // 2026-05, a, a.b, portal, pt-BR, till
        "06000000",
        &[&b"2026-05"[..], b"a", b"a.b", b"portal", b"pt-BR", b"till"]
            .map(|text| format!("{:02x}{}", text.len(), hex(text)))
            .concat(),
        "02000000",
        &columns,
        "01000000",
        "0700",
        "2d01000000000000",
        "3300",
        &hex(json),
    ];
    assert_eq!(hex(&history.to_bytes()), golden.concat());
    assert_eq!(hex(&History::default().to_bytes()).len(), 2 * (4 + 4 + 4 + 9 * 9 + 4));
}

#[test]
fn what_was_put_in_reads_back_whatever_it_is() {
    let mut history = History::default();
    let odd = ConsentEvent { expires: Some(Timestamp(-5)), ..event("a", 3) };
    let long = ConsentEvent { source: "x".repeat(300), ..event("a", 4) };
    let ends = [i64::MIN, i64::MAX - 1, i64::MAX]
        .map(|end| ConsentEvent { expires: Some(Timestamp(end)), ..event("a", i64::MIN) });
    let events: Vec<ConsentEvent> = [event("a", 1), full(2), odd, long].into_iter().chain(ends).collect();
    for (leaf, event) in (0_u64..).zip(&events) {
        history.consent(9, leaf, event).unwrap();
    }
    history.other(9, 70, &request()).unwrap();
    let mut happened = read_again(&history).happened().unwrap();
    happened.sort_by_key(|(leaf, _)| *leaf);
    let mut expected: Vec<(u64, Happened)> = (0_u64..).zip(events.into_iter().map(Happened::Consent)).collect();
    expected.push((70, Happened::Rights(request())));
    assert_eq!(happened, expected);
}

#[test]
fn nothing_of_those_who_went_is_in_the_bytes() {
    let mut history = History::default();
    for position in 0..50 {
        let of = |word: &str| ConsentEvent { source: format!("{word}-{position}"), ..event("a", position.into()) };
        history.consent(position, position.into(), &of("form")).unwrap();
        history.other(position, position.into(), &of("odd")).unwrap();
    }
    let mut history = read_again(&history);
    assert!(!history.retain(|position| position != 60), "nobody went");
    assert!(history.retain(|position| position % 7 != 0));
    let bytes = history.to_bytes();
    let text = String::from_utf8_lossy(&bytes);
    for position in 0..50 {
        for word in ["form", "odd"] {
            let source = format!("{word}-{position}");
            let held = text.match_indices(&source).any(|(at, _)| {
                let after = text.as_bytes().get(at + source.len());
                after.is_none_or(|byte| !byte.is_ascii_digit())
            });
            assert_eq!(held, position % 7 != 0, "{source}");
        }
    }
    assert_eq!(history.len(), 2 * 42);
}

#[test]
fn lines_of_the_form_before_columns_are_read() {
    let lines = [
        r#"[3,12,{"act":"give","at":5,"basis":"consent","expires":null,"purpose":"a.b","source":"till"}]"#,
        r#"[1,13,{"right":"access","received":1,"done":2,"intent":3}]"#,
    ];
    let bytes: Vec<u8> = lines
        .iter()
        .flat_map(|line| [&u32::try_from(line.len()).unwrap().to_le_bytes()[..], line.as_bytes()].concat())
        .collect();
    let old = History::parse(&bytes).unwrap();
    let expected = [(12, Happened::Consent(event("a.b", 5))), (13, Happened::Rights(request()))];
    assert_eq!(old.happened().unwrap(), expected);
    assert_eq!(read_again(&old).of_one(3).happened().unwrap(), expected[..1]);
    assert!(History::parse(&[]).unwrap().is_empty());
    assert!(History::parse(&bytes[..bytes.len() - 1]).is_err());
}

#[test]
fn a_typical_line_takes_less_than_sixteen_bytes() {
    let mut history = History::default();
    for position in 0..8_192_u16 {
        let at = 1_790_000_000_000_000 + i64::from(position) * 3_600_000_000;
        let purpose = if position % 3 == 0 { "marketing" } else { "marketing.portrait" };
        history.consent(position, 5_000_000 + u64::from(position) * 11, &event(purpose, at)).unwrap();
    }
    let bytes = history.to_bytes();
    assert!(bytes.len() < 16 * 8_192, "{}", bytes.len());
    assert!(History::parse(&bytes).unwrap() == read_again(&read_again(&history)));
}

fn any_event() -> impl Strategy<Value = (u16, u64, ConsentEvent)> {
    let label = prop::option::of(prop::sample::select(vec!["1", "2", "en"]));
    let label = (label.clone(), label, prop::option::of(prop::sample::select(CollectionMethod::ALL.to_vec())));
    let basis = prop::sample::select(LawfulBasis::ALL.to_vec());
    let what = (prop::sample::select(vec!["a", "a.b", "c"]), "[a-c]{0,2}", any::<bool>(), basis);
    let when = (any::<i64>(), prop::option::of(any::<i64>()));
    (0_u16..8_192, any::<u64>(), what, when, label).prop_map(|(position, leaf, what, (at, expires), shown)| {
        let (purpose, source, give, basis) = what;
        let (notice, language, method) = shown;
        let act = if give { ConsentAct::Give } else { ConsentAct::Withdraw };
        let notice = notice.and_then(|notice| NoticeVersion::new(notice).ok());
        let language = language.and_then(|language| LanguageTag::new(language).ok());
        let expires = expires.map(Timestamp);
        (position, leaf, ConsentEvent { act, basis, expires, language, method, notice, source, ..event(purpose, at) })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn each_person_has_their_own_lines(events in prop::collection::vec(any_event(), 0..40), gone in 0_u16..8_192) {
        let mut history = History::default();
        for (position, leaf, event) in &events {
            history.consent(*position, *leaf, event).unwrap();
        }
        let again = read_again(&history);
        let last = events.iter().map(|(position, ..)| *position).max().unwrap_or(gone);
        for wanted in [gone, last] {
            let mut held = again.clone().of_one(wanted).happened().unwrap();
            held.sort_by_key(|(leaf, _)| *leaf);
            let mut expected: Vec<(u64, Happened)> = events
                .iter()
                .filter(|(position, ..)| *position == wanted)
                .map(|(_, leaf, event)| (*leaf, Happened::Consent(event.clone())))
                .collect();
            expected.sort_by_key(|(leaf, _)| *leaf);
            prop_assert_eq!(held, expected);
        }
        let mut kept = again.clone();
        let any = events.iter().any(|(position, ..)| *position == last);
        prop_assert_eq!(kept.retain(|position| position != last), any);
        prop_assert!(read_again(&kept).of_one(last).is_empty());
        prop_assert_eq!(&*read_again(&kept).to_bytes(), &*kept.to_bytes());
    }
}
