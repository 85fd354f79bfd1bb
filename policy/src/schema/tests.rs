//! Schemas as stewards write them, right and wrong.

use super::*;
use crate::consent::LawfulBasis;
use crate::segment::test_schema::EXAMPLE;
use crate::segment::{Span, Window};

/// The example of the module documentation of `parse`.
fn documented() -> String {
    let lines = include_str!("parse.rs").lines().skip_while(|l| !l.ends_with("```toml")).skip(1);
    lines.take_while(|l| !l.ends_with("```")).map(|l| l.trim_start_matches("//!").to_owned() + "\n").collect()
}

#[track_caller]
fn refused(text: &str, place: &str, problem: &str) {
    let error = parse(text).unwrap_err();
    assert!(error.place().contains(place), "place of: {error}");
    assert!(error.problem().contains(problem), "problem of: {error}");
}

#[track_caller]
fn changed(from: &str, to: &str, place: &str, problem: &str) {
    let text = documented();
    assert!(text.contains(from), "{from}");
    refused(&text.replacen(from, to, 1), place, problem);
}

fn field(schema: &Schema, path: &str) -> Field {
    schema.field(schema.resolve(path).unwrap()).unwrap().clone()
}

#[test]
fn the_documented_example_parses() {
    let schema = parse(&documented()).unwrap();
    assert_eq!(schema.population.as_str(), "coop");
    assert_eq!((schema.cap_quarter, schema.cap_lifetime), (CAP_QUARTER, CAP_LIFETIME));
    assert_eq!(schema.subject_key, ColumnId(0));
    let amount = field(&schema, "order.amount");
    assert_eq!(amount.ty, FieldType::Decimal { scale: 2, min: -50_000, max: 50_000 });
    assert_eq!((amount.column, amount.max_distinct), (ColumnId(1), 16));
    assert_eq!(field(&schema, "order.category").max_distinct, 3);
    assert_eq!(field(&schema, "joined").ty, FieldType::Date { min: 10_957, max: 25_566 });
    assert_eq!(
        (field(&schema, "household").retention_days, field(&schema, "joined").retention_days),
        (Some(730), None)
    );
    assert_eq!(field(&schema, "age_band").coarse_label(3), Some("35+"));
    assert_eq!(field(&schema, "age_band").label(0), None);
    assert_eq!(field(&schema, "newsletter").label(2), Some("true"));
}

#[test]
fn the_hash_follows_every_change_and_nothing_else() {
    let schema = parse(&documented()).unwrap();
    let again = parse(&format!("# a remark\n{}", documented())).unwrap();
    assert_eq!(schema.hash(), again.hash());
    assert_eq!(schema.hash().len(), 64);
    let other = parse(&documented().replace("max = 12", "max = 13")).unwrap();
    assert_ne!(schema.hash(), other.hash());
    let other = parse(&documented().replace("version = \"3\"", "version = \"4\"")).unwrap();
    assert_eq!(other.notice.as_ref().map(|notice| notice.version.as_str()), Some("4"));
    assert_eq!(schema.hash(), other.hash(), "no answer depends on a notice");
}

#[test]
fn who_is_responsible_is_stated_whole_or_not_at_all() {
    let schema = parse(&documented()).unwrap();
    let (controller, notice) = (schema.controller.clone().unwrap(), schema.notice.clone().unwrap());
    assert_eq!((controller.jurisdiction.as_str(), notice.language.as_str()), ("GB", "en"));
    assert_eq!(serde_json::from_str::<Schema>(&serde_json::to_string(&schema).unwrap()).unwrap(), schema);
    changed("contact = \"privacy@hillfarms.example\"", "contact = \" \"", "[controller]", "`contact` is not empty");
    changed("version = \"3\"", "version = \"\"", "[notice]", "`version` is not empty");
    changed("sha256 = \"9f", "sha256 = \"9F", "[notice]", "SHA-256");
    changed("storage = \"United Kingdom\"", "storage = \"a\\nb\"", "[controller]", "one line");
    changed("jurisdiction = \"GB\"", "country = \"GB\"", "line", "unknown field");
}

#[test]
fn bands_are_over_rising_public_cut_points() {
    let schema = parse(&documented()).unwrap();
    let rfm = schema.rfm.clone().unwrap();
    let CutPoints::Public(cuts) = &rfm.cuts;
    assert_eq!(
        (rfm.event, rfm.amount, rfm.purchase, rfm.window_days),
        (EventTypeId(0), ColumnId(1), Some(ColumnId(2)), Some(365))
    );
    assert_eq!(
        (cuts.recency.as_slice(), cuts.monetary.as_slice()),
        ([30, 90, 180, 365].as_slice(), [5_000, 15_000, 40_000, 100_000].as_slice())
    );
    assert_eq!(serde_json::from_str::<Schema>(&serde_json::to_string(&schema).unwrap()).unwrap(), schema);
    let moved = parse(&documented().replace("[30, 90,", "[31, 90,")).unwrap();
    assert_ne!(schema.hash(), moved.hash(), "answers depend on cut points");
    changed("event = \"order\"", "event = \"orders\"", "[rfm]", "`event` is the name of an event type");
    changed("amount = \"amount\"", "amount = \"category\"", "[rfm]", "an integer or decimal field");
    changed("purchase = \"basket\"", "purchase = \"visit\"", "[rfm]", "`purchase` is the name of a field of `order`");
    changed("window = \"365d\"", "window = \"12h\"", "[rfm]", "days or weeks");
    changed("recency = [30, 90", "recency = [90, 90", "[rfm]", "`recency` lists 1 to 9 rising cut points from 1 on");
    changed("frequency = [2,", "frequency = [1,", "[rfm]", "from 2 on");
    changed(
        "\"50.00\", \"150.00\"",
        "\"50.001\", \"150.00\"",
        "[rfm]",
        "`monetary` lists 1 to 9 rising cut points, such as",
    );
    changed("monetary = [", "money = [", "line", "unknown field `money`");
}

#[test]
fn a_synopsis_is_of_closed_fields_at_a_price_that_a_quarter_bears_three_times() {
    let schema = parse(&documented()).unwrap();
    let synopsis = schema.synopsis.clone().unwrap();
    let fields = ["newsletter", "order.category"].map(|path| schema.resolve(path).unwrap());
    assert_eq!((synopsis.fields.as_slice(), synopsis.rho), (fields.as_slice(), DEFAULT_SYNOPSIS_RHO));
    assert_eq!((synopsis.purpose.as_str(), synopsis.basis), ("marketing.portrait", LawfulBasis::Consent));
    assert_eq!(synopsis.window, Window::Last(Span::Days(90)));
    assert_eq!(serde_json::from_str::<Schema>(&serde_json::to_string(&schema).unwrap()).unwrap(), schema);
    let without = Schema { synopsis: None, ..schema.clone() };
    assert_eq!(schema.hash(), without.hash(), "no answer to a question depends on it");
    assert!(!serde_json::to_string(&without).unwrap().contains("synopsis"));
    let fields = "fields = [\"newsletter\", \"order.category\"]";
    let with = |written: &str, problem: &str| changed(fields, written, "[synopsis]", problem);
    with("fields = []", "1 to 20 fields, not 0");
    with("fields = [\"newsletter\", \"order.category\", \"newsletter\"]", "`newsletter` is named twice");
    with("fields = [\"age_band\", \"order.category\"]", "`age_band` is deprecated");
    with("fields = [\"household\", \"order.category\"]", "`household` has no closed list of values");
    with("fields = [\"member_no\", \"order.category\"]", "`member_no` has no closed list of values");
    with("fields = [\"order\"]", "`order` is no attribute");
    with("fields = [\"agee\"]", "`agee` is no attribute");
    with("fields = [\"newsletter\"]", "`window` is for fields of events");
    changed("window = \"90d\" ", "window = \"soon\" ", "[synopsis]", "a span such as");
    changed("rho = \"0.03\"", "rho = \"0.07\"", "[synopsis]", "at most 0.066666666 here");
    changed("rho = \"0.03\"", "rho = \"0\"", "[synopsis]", "`rho` is above 0");
    changed("quarter = \"0.20\"", "quarter = \"0.20\"\nmonth = \"0.01\"", "[synopsis]", "at most 0.01 here");
    changed(
        "purpose = \"marketing.portrait\"",
        "purpose = \"pricing\"",
        "[synopsis]",
        "people are not asked for `pricing`",
    );
    changed("basis = \"consent\"", "basis = \"habit\"", "line", "unknown variant `habit`");
    changed(
        "name = \"newsletter\"\n",
        "name = \"newsletter\"\n deprecated = true\n",
        "[synopsis]",
        "`newsletter` is deprecated",
    );
}

/// Stored answers are found by this hash: whatever changes it makes every dataset pay for its answers again.
#[test]
fn the_hash_is_golden() {
    assert_eq!(parse(EXAMPLE).unwrap().hash(), "e1d048cd4938abebde82e9a1977dd78370eb66df3c0a57a31c6117b367dc5945");
}

#[test]
fn a_schema_survives_json() {
    let schema = parse(EXAMPLE).unwrap();
    let json = serde_json::to_string(&schema).unwrap();
    assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), schema);
}

#[test]
fn unknown_keys_name_their_line() {
    changed("kind = \"private\"", "kin = \"private\"", "line 6", "unknown field `kin`");
    changed("max = 12", "maximum = 12", "line", "unknown field `maximum`");
    refused("version = 1\ndataset = \n", "line 2", "");
    refused("version = 2", "", "missing field");
}

#[test]
fn names_are_checked_where_they_stand() {
    changed("dataset = \"coop\"", "dataset = \"Coop\"", "line 2", "dataset names are");
    changed("name = \"age_band\"", "name = \"age-band\"", "line", "write `_` instead of `-`");
    changed("name = \"age_band\"", "name = \"missing\"", "line", "word of the segment language");
    changed("name = \"household\"", "name = \"age_band\"", "`age_band`", "taken");
    changed("name = \"order\"", "name = \"age_band\"", "event `age_band`", "share their names");
    changed("name = \"amount\"", "name = \"category\"", "`order.category`", "taken");
    changed("\"marketing.portrait\"", "\"marketing.segmentation\"", "line 9", "listed twice");
    changed("Europe/London", "Europe/Londinium", "line 7", "IANA");
    changed("subject_key = \"member_no\"", "subject_key = \"age_band\"", "line 8", "of type and class `identifier`");
}

#[test]
fn bounds_and_domains_say_what_would_be_right() {
    changed("\"45+\"]", "\"18-24\"]", "`age_band`", "value 4 of `domain` repeats");
    changed("\"35+\", \"35+\"]", "\"35+\"]", "`age_band`", "4 here");
    changed("max = 12\n", "", "`household`", "`max` is needed, a whole number");
    changed("max = 12", "max = 1.5", "`household`", "`max` is needed, a whole number");
    changed("max = 12", "max = 0", "`household`", "`min` is at most `max`");
    changed("min = 1\n", "min = -9223372036854775808\n", "`household`", "`min` is needed");
    changed("\"-500.00\"", "\"-500.001\"", "`order.amount`", "at most 2 digits");
    changed("\"2000-01-01\"", "\"2000-02-30\"", "`joined`", "YYYY-MM-DD");
    changed("scale = 2", "scale = 12", "`order.amount`", "0-9");
    changed("max_bytes = 32", "max_bytes = 0", "`member_no`", "1-255");
    changed("max_bytes = 32", "max_bytes = 32\n min = 1", "`member_no`", "`min` does not belong");
    changed("max_distinct = 3", "max_distinct = 4", "`order.category`", "1-3");
    changed("max_per_subject = 1000", "max_per_subject = 0", "event `order`", "1-1000000");
    changed("retention_days = 1095", "retention_days = 0", "event `order`", "1-36500");
    changed("retention_days = 730", "retention_days = 36501", "`household`", "1-36500");
    changed("max_bytes = 32", "max_bytes = 32\nretention_days = 30", "line 8", "for as long as anything is held");
}

#[test]
fn only_a_test_dataset_may_exceed_the_budget() {
    changed("quarter = \"0.20\"", "quarter = \"0.200000001\"", "[budget]", "a private dataset takes at most");
    changed("lifetime = \"0.80\"", "lifetime = 0.81", "[budget]", "a private dataset takes at most");
    changed("lifetime = \"0.80\"", "lifetime = \"0.1\"", "[budget]", "at least `quarter`");
    changed("quarter = \"0.20\"", "quarter = \"0\"", "[budget]", "above 0");
    changed("quarter = \"0.20\"", "quarter = \"0.20\"\nmonth = \"0.21\"", "[budget]", "at most `quarter`");
    changed("quarter = \"0.20\"", "quarter = \"0.20\"\nmonth = \"0\"", "[budget]", "`month` is a rho above 0");
    let monthly = parse(&documented().replace("quarter = \"0.20\"", "quarter = \"0.20\"\nmonth = 0.07")).unwrap();
    assert_eq!(monthly.caps().month, Some(crate::privacy::NanoRho(70_000_000)));
    assert_ne!(monthly.hash(), parse(&documented()).unwrap().hash());
    let test = documented().replace("\"private\"", "\"test\"").replace("\"0.80\"", "\"100000\"");
    let schema = parse(&test.replace("\"0.20\"", "5000")).unwrap();
    assert_eq!((schema.cap_quarter.0, schema.cap_lifetime.0), (5_000_000_000_000, 100_000_000_000_000));
}

#[test]
fn native_toml_dates_and_numbers_are_bounds_too() {
    let text = documented().replace("\"2000-01-01\"", "2000-01-01").replace("\"-500.00\"", "-0.1");
    let schema = parse(&text).unwrap();
    assert_eq!(field(&schema, "joined").ty, FieldType::Date { min: 10_957, max: 25_566 });
    assert_eq!(field(&schema, "order.amount").ty, FieldType::Decimal { scale: 2, min: -10, max: 50_000 });
}

#[test]
fn values_are_encoded_strictly() {
    let schema = parse(&documented()).unwrap();
    let check = |path: &str, text: &str, expect: Result<Encoded, &str>| {
        let field = field(&schema, path);
        let got = field.encode(text);
        assert_eq!(Encoder::new(&field).encode(text), got, "{path} {text}");
        match (&got, &expect) {
            (Ok(got), Ok(expect)) => assert!(got == expect, "{path} {text}"),
            (Err(got), Err(expect)) => {
                assert!(got.to_string().contains(expect), "{got}");
                assert!(text.len() < 3 || !got.to_string().contains(text), "{got}");
            }
            _ => panic!("{path} {text}: {got:?}"),
        }
    };
    check("age_band", "25-34", Ok(Encoded::Code(2)));
    check("age_band", "25-34 ", Err("not one of the 4 values of `age_band`"));
    check("age_band", "", Err("empty"));
    check("newsletter", "YES", Ok(Encoded::Code(2)));
    check("newsletter", "0", Ok(Encoded::Code(1)));
    check("newsletter", "maybe", Err("not a bool"));
    check("household", "12.0", Ok(Encoded::Int(12)));
    check("household", "1e+01", Ok(Encoded::Int(10)));
    check("household", "2.5", Err("whole numbers"));
    check("household", "13", Err("outside 1..=12 of `household`"));
    check("household", "1e99", Err("outside 1..=12"));
    check("order.amount", "-12.3", Ok(Encoded::Int(-1_230)));
    check("order.amount", "0.005", Err("2 digits after"));
    check("order.amount", "500.01", Err("outside -500.00..=500.00"));
    check("order.amount", "12,50", Err("not a number"));
    check("joined", "2024-02-29", Ok(Encoded::Int(19_782)));
    check("joined", "2023-02-29", Err("YYYY-MM-DD"));
    check("joined", "1999-12-31", Err("outside 2000-01-01..=2039-12-31"));
    check("member_no", "M-1", Ok(Encoded::Bytes(b"M-1".to_vec())));
    check("member_no", &"x".repeat(33), Err("longer than the 32 bytes"));
}

#[test]
fn an_encoded_value_does_not_show_itself() {
    assert_eq!(format!("{:?}", Encoded::Bytes(b"secret".to_vec())), "Bytes(..)");
    assert_eq!(format!("{:?}", Encoded::Int(42)), "Int(..)");
}

#[test]
fn the_schemas_that_ship_parse() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/datasets");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().join("schema.toml"));
    let files: Vec<_> = files.filter(|file| file.is_file()).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}
