//! Segments as people write them: what is accepted, what is refused and where, and what folds together.

use super::test_schema::schema;
use super::*;
use crate::id::{CutPointsId, SegmentId};
use crate::schema::{ColumnId, FieldRef};

fn seg(text: &str) -> Segment {
    parse_with(text, &schema(), &|_| true, &Kept).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Segments that are stored.
fn stored(id: &SegmentId, version: u32) -> Option<Stored> {
    let (cel, universe) = match (id.as_str(), version) {
        ("lovers", 3) => ("order.where(category == \"ceramics\").any()", ""),
        ("lovers", 4) => ("order.where(category == \"ceramics\").any()", "newsletter"),
        ("spenders", 1) => ("band(\"cutPoints/spend@1\") == 3", ""),
        ("both", 1) => ("segment(\"segments/lovers@3\") && segment(\"segments/lovers@4\")", ""),
        ("hidden", 1) => ("order.where(gift).any()", ""),
        ("broken", 1) => ("order.where(colour == \"red\").any()", ""),
        ("endless", 1) => ("segment(\"segments/endless@1\")", ""),
        ("wide", 1) => ("segment(\"segments/wide@2\") || segment(\"segments/wide@2\")", ""),
        ("wide", 2) => ("segment(\"segments/wide@1\") || segment(\"segments/wide@1\")", ""),
        _ => return None,
    };
    Some(Stored { cel: cel.to_owned(), universe: universe.to_owned() })
}

#[track_caller]
fn canonical(text: &str, expect: &str) {
    assert_eq!(seg(text).canonical(), expect, "{text}");
    assert_eq!(seg(expect).canonical(), expect, "not a fixed point");
}

#[track_caller]
fn refused(text: &str, (line, column): (u32, u32), problem: &str) {
    let error = parse(text, &schema(), &|_| true).unwrap_err();
    assert!(error.problem().contains(problem), "{text}\n{error}");
    assert_eq!((error.line(), error.column()), (line, column), "{text}\n{error}");
}

#[test]
fn every_documented_form_parses() {
    let text = include_str!("check.rs");
    let lines = text.lines().skip_while(|l| !l.ends_with("```text")).skip(1).take_while(|l| !l.ends_with("```"));
    let forms = lines.flat_map(|line| line.trim_start_matches("//!").split("   ")).map(str::trim);
    let types = ["", "enum", "integer", "decimal, date", "bool", "any of these", "integer, decimal", "any field"];
    let types = types.into_iter().chain(["integer, decimal, date"]).collect::<Vec<_>>();
    let forms: Vec<&str> = forms.filter(|form| !types.contains(form)).collect();
    assert!(forms.len() >= 40, "{forms:?}");
    for form in forms {
        seg(&form
            .replace("(a)", "(newsletter)")
            .replace("!a", "!newsletter")
            .replace("a && b", "true && newsletter")
            .replace("a || b", "true || newsletter"));
    }
    for text in ["order.any()", "true", "false", "!newsletter", "order.distinct(basket) > 1", "order.sum(items) == 3"] {
        seg(text);
    }
}

#[test]
fn tests_of_values_have_one_text() {
    canonical("age_band == \"25-34\"", "age_band == \"25-34\"");
    canonical("'25-34' == age_band", "age_band == \"25-34\"");
    canonical("age_band != \"25-34\"", "age_band in [\"18-24\", \"35-44\", \"45+\"]");
    canonical("household >= 2", "household >= 2");
    canonical("2 < household", "household >= 3");
    canonical("household != 5", "household <= 4 || household >= 6");
    canonical("household in [3, 1, 2]", "household <= 3");
    canonical("household > 2 && household < 6", "household >= 3 && household <= 5");
    canonical("household > 500", "household < 1");
    canonical("household < 500", "household >= 1");
    canonical("score <= 7.25", "score <= 7.25");
    canonical("score == -0.5", "score == -0.50");
    canonical("score > 1e0", "score >= 1.01");
    canonical("joined < \"2024-01-31\"", "joined <= \"2024-01-30\"");
    canonical("newsletter", "newsletter");
    canonical("newsletter != true", "!newsletter");
    canonical("newsletter in [true, false]", "newsletter in [false, true]");
    canonical("!missing(age_band)", "known(age_band)");
    canonical("age_band in []", "age_band in []");
}

#[test]
fn tests_of_events_have_one_text() {
    canonical("order.count() >= 1", "order.any()");
    canonical("!order.any()", "order.count() == 0");
    canonical("order.last(\"4w\").any()", "order.last(\"28d\").any()");
    canonical("order.where(gift).where(items > 3).any()", "order.where(items >= 4 && gift).any()");
    canonical(
        "order.where(items > 3 && gift).last(\"12h\").any()",
        "order.last(\"12h\").where(items >= 4 && gift).any()",
    );
    canonical("order.sum(amount) > 500.00", "order.sum(amount) >= 500.01");
    canonical("order.sum(amount) != 0", "order.sum(amount) <= -0.01 || order.sum(amount) >= 0.01");
    canonical("order.count() in [2, 3]", "order.count() >= 2 && order.count() <= 3");
    canonical("2 <= order.distinct(category)", "order.distinct(category) >= 2");
    canonical("order.where(category == \"honey\" || false).any()", "order.where(category == \"honey\").any()");
    canonical("order.where(category in []).count() == 0", "true");
    canonical("order.count() >= 0", "true");
    canonical("order.count() < 0", "false");
}

#[test]
fn the_rest_of_the_language_has_one_text() {
    canonical("order.where(gift).since(\"2024-01-01\").any()", "order.since(\"2024-01-01\").where(gift).any()");
    canonical("order.days_since_last() <= 30", "order.days_since_last() <= 30");
    canonical("!(order.days_since_last() <= 30)", "order.days_since_last() >= 31");
    canonical("order.days_since_last() < 1", "order.days_since_last() < 1");
    canonical("order.days_since_last() > 0", "order.days_since_last() >= 1");
    canonical("order.max(due) < \"2024-07-01\"", "order.max(due) <= \"2024-06-30\"");
    canonical("order.min(amount) > 5", "order.min(amount) >= 5.01");
    canonical("order.where(false).min(items) > 5", "order.where(false).min(items) < 0");
    canonical("order.if_any().any()", "order.if_any().count() >= 1");
    canonical("order.if_any().min(items) > 5", "order.min(items) >= 6");
    canonical("sequence(view, order).within(\"72h\")", "sequence(view, order).within(\"3d\")");
    canonical("sequence(view, order).gap(\"1d\")", "sequence(view, order).within(\"1d\")");
    canonical("!sequence(view, order)", "!sequence(view, order)");
    canonical("sequence(view, view, order).gap(\"3d\").within(\"2d\")", "sequence(view, view, order).within(\"2d\")");
    canonical("sequence(view, view, order).gap(\"1d\").within(\"2d\")", "sequence(view, view, order).gap(\"1d\")");
    canonical(
        "sequence(order.where(gift)).without(view.where(false)).last(\"3d\")",
        "order.last(\"3d\").where(gift).any()",
    );
    canonical("sequence(view, order.where(gift && !gift && items in []))", "false");
    canonical("sample(\"spring\", 0, 5000) || sample(\"spring\", 5000, 10000)", "true");
    canonical("!sample(\"spring\", 0, 5000)", "sample(\"spring\", 5000, 10000)");
    canonical("score(newsletter, 4, true, 2, false, 1) > 1", "true");
    canonical("score(newsletter, 4, true, 2) >= 5", "score(newsletter, 1) == 1");
    canonical("score(newsletter, -5) >= -4", "score(newsletter, 1) == 0");
    canonical(
        "score(newsletter, 1000, newsletter, 1, order.any(), 1) > 3",
        "score(newsletter, 1000, newsletter, 1, order.any(), 1) >= 4",
    );
    canonical("rfm.recency == 5", "order.last(\"364d\").days_since_last() <= 30");
    canonical(
        "rfm.recency in [1, 5]",
        "order.last(\"364d\").days_since_last() <= 30 || order.last(\"364d\").days_since_last() >= 301",
    );
    canonical("rfm.frequency == 1", "order.last(\"364d\").if_any().count() == 1");
    canonical("rfm.monetary <= 2", "order.last(\"364d\").if_any().sum(amount) <= 49.99");
    canonical("rfm.frequency > 0", "order.last(\"364d\").if_any().count() >= 1");
}

#[test]
fn references_stand_for_what_they_say() {
    canonical("segment(\"segments/lovers@3\")", "order.where(category == \"ceramics\").any()");
    canonical("!segment(\"segments/lovers@4\")", "!newsletter || order.where(category == \"ceramics\").count() == 0");
    assert_eq!(seg("segment(\"segments/both@1\")").hash(), seg("segment(\"segments/lovers@4\")").hash());
    let fields = seg("segment(\"segments/lovers@4\")").fields();
    assert_eq!(fields, seg("newsletter && order.where(category == \"honey\").any()").fields(), "all count as named");
}

#[test]
fn a_reference_that_cannot_be_used_does_not_exist() {
    let schema = schema();
    let gift = schema.resolve("order.gift").unwrap();
    let error = |text: &str| parse_with(text, &schema, &|field| field != gift, &stored).unwrap_err();
    let unknown = error("segment(\"segments/nobody@1\")");
    assert_eq!(unknown.kind(), SegmentErrorKind::FieldUnavailable);
    for same in ["hidden@1", "broken@1", "lovers@1"] {
        assert_eq!(error(&format!("segment(\"segments/{same}\")")), unknown, "{same}");
    }
}

#[test]
fn references_are_bounded() {
    let error = |text: &str| parse_with(text, &schema(), &|_| true, &stored).unwrap_err().to_string();
    for text in ["segment(\"segments/endless@1\")", "segment(\"segments/wide@1\")"] {
        assert!(error(text).contains("at most 8 levels and 64 in all"), "{}", error(text));
    }
    let tests = |of: usize| {
        let tests: Vec<String> =
            (0..30).map(|n| format!("order.last(\"{}d\").count() >= 3", of * 30 + n + 1)).collect();
        tests.join(" && ")
    };
    let find = |id: &SegmentId, version: u32| {
        (id.as_str() == "many").then(|| Stored { cel: tests(version as usize), universe: String::new() })
    };
    let named = |n: usize| (1..=n).map(|n| format!("segment(\"segments/many@{n}\")")).collect::<Vec<_>>().join(" && ");
    assert!(parse_with(&named(8), &schema(), &|_| true, &find).is_ok());
    let error = parse_with(&named(9), &schema(), &|_| true, &find).unwrap_err();
    assert!(
        error.problem().contains("with the segments it names, made of 280 tests and joins; at most 256"),
        "{error}"
    );
}

#[test]
fn bands_of_a_schema_without_any_and_of_hidden_fields_do_not_exist() {
    let plain = crate::schema::parse(super::test_schema::EXAMPLE).unwrap();
    let without = parse("rfm.monetary == 3", &plain, &|_| true).unwrap_err();
    assert_eq!(without.kind(), SegmentErrorKind::FieldUnavailable);
    let schema = schema();
    for hidden in ["order", "order.amount"] {
        let hidden = schema.resolve(hidden).unwrap();
        assert_eq!(parse("rfm.monetary == 3", &schema, &|field| field != hidden).unwrap_err(), without);
    }
    let amount = schema.resolve("order.amount").unwrap();
    assert!(parse("rfm.recency == 3", &schema, &|field| field != amount).is_ok());
}

/// Segments that are stored, and cut points of one of each kind of number; the last are of no use.
struct Kept;

impl Find for Kept {
    fn segment(&self, id: &SegmentId, version: u32) -> Option<Stored> {
        stored(id, version)
    }

    fn cut_points(&self, id: &CutPointsId, version: u32) -> Option<StoredCuts> {
        let (number, cuts): (_, &[&str]) = match (id.as_str(), version) {
            ("spend", 1) => ("order.last(\"90d\").sum(amount)", &["50.00", "120.00"]),
            ("spend", 2) => ("order.last(\"90d\").sum(amount)", &["60.00", "125.00", "200.00", "400.00"]),
            ("recency", 1) => ("order.days_since_last()", &["30", "90"]),
            ("household", 1) => ("household", &["2", "4"]),
            ("joined", 1) => ("joined", &["2024-01-01"]),
            ("basket", 1) => ("order.max(amount)", &["20.00"]),
            ("gone", 1) => ("order.sum(weight)", &["50.00"]),
            ("finer", 1) => ("order.sum(items)", &["50.25"]),
            ("falling", 1) => ("household", &["4", "2"]),
            _ => return None,
        };
        let cuts = cuts.iter().map(|cut| (*cut).to_owned()).collect();
        Some(StoredCuts { number: number.to_owned(), cuts })
    }
}

fn banded(text: &str) -> Result<Segment, SegmentError> {
    parse_with(text, &schema(), &|_| true, &Kept)
}

#[test]
fn bands_of_cut_points_stand_for_ranges_of_what_they_cut() {
    let spent = "order.last(\"90d\").if_any().sum(amount)";
    for (text, same) in [
        ("band(\"cutPoints/spend@1\") == 1", format!("{spent} <= 49.99")),
        ("band(\"cutPoints/spend@1\") == 2", format!("{spent} >= 50.00 && {spent} <= 119.99")),
        ("band(\"cutPoints/spend@1\") in [2, 3]", format!("{spent} >= 50.00")),
        ("band(\"cutPoints/spend@2\") in [2, 3, 5, 4]", format!("{spent} >= 60.00")),
        ("band(\"cutPoints/spend@1\") > 2", format!("{spent} >= 120.00")),
        ("band(\"cutPoints/spend@1\") != 3", format!("{spent} <= 119.99")),
        ("3 == band(\"cutPoints/recency@1\")", "order.days_since_last() <= 30".to_owned()),
        ("band(\"cutPoints/recency@1\") == 1", "order.days_since_last() >= 91".to_owned()),
        ("band(\"cutPoints/household@1\") == 2", "household in [2, 3]".to_owned()),
        ("band(\"cutPoints/joined@1\") == 2", "joined >= \"2024-01-01\"".to_owned()),
        ("band(\"cutPoints/basket@1\") == 1", "order.max(amount) <= 19.99".to_owned()),
        ("segment(\"segments/spenders@1\") && newsletter", format!("newsletter && {spent} >= 120.00")),
    ] {
        let read = banded(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read.hash(), banded(&same).unwrap().hash(), "{text} is {}", read.canonical());
    }
    assert_ne!(
        banded("band(\"cutPoints/spend@1\") == 3").unwrap(),
        banded("band(\"cutPoints/spend@2\") == 3").unwrap()
    );
}

#[test]
fn cut_points_that_cannot_be_used_do_not_exist() {
    let unknown = banded("band(\"cutPoints/nothing@1\") == 1").unwrap_err();
    assert_eq!(unknown.kind(), SegmentErrorKind::FieldUnavailable);
    for same in ["gone@1", "finer@1", "falling@1", "spend@3"] {
        assert_eq!(
            banded(&format!("band(\"cutPoints/{same}\") == 1")).unwrap_err().problem(),
            unknown.problem(),
            "{same}"
        );
    }
    let schema = schema();
    let amount = schema.resolve("order.amount").unwrap();
    let hidden = parse_with("band(\"cutPoints/spend@1\") == 1", &schema, &|field| field != amount, &Kept).unwrap_err();
    assert_eq!(hidden.problem(), unknown.problem());
}

#[test]
fn what_is_no_band_is_refused_with_what_would_be() {
    for (text, part) in [
        ("band(\"cutPoints/spend@1\")", "compare `band` with a number"),
        ("band(\"spend@1\") == 1", "the name and version of cut points would be right"),
        ("band(\"cutPoints/spend\") == 1", "the name and version of cut points would be right"),
        ("band(\"cutPoints/spend@01\") == 1", "the name and version of cut points would be right"),
        ("band() == 1", "the name and version of cut points would be right"),
        ("band(\"cutPoints/spend@1\") == 4", "bands of `cutPoints/spend@1` are from 1 to 3"),
        ("band(\"cutPoints/spend@1\") in [0]", "bands of `cutPoints/spend@1` are from 1 to 3"),
        ("band(\"cutPoints/spend@1\") == \"high\"", "is compared with a number"),
        ("order.where(band(\"cutPoints/spend@1\") == 1).any()", "a literal is compared with a field or a measure"),
    ] {
        let error = banded(text).unwrap_err();
        assert!(error.problem().contains(part), "{text}: {error}");
    }
    let number = |text: &str| Number::read(text, &schema(), &|_| true);
    for text in ["newsletter", "order", "order.any()", "household >= 2", "5", "age_band", "member_no"] {
        assert!(number(text).is_err(), "{text}");
    }
    let read = number("rfm.monetary").unwrap();
    assert_eq!(
        read.text(),
        "order.last(\"364d\").if_any().sum(amount)",
        "whatever becomes of the description's window"
    );
    let same = number("order.where(gift && category == \"honey\").sum(amount)").unwrap();
    assert_eq!(number("order.where(category in [\"honey\"]).where(gift).sum(amount)").unwrap(), same);
    let many: Vec<String> = (0..70).map(|n| format!("items == {n} && gift")).collect();
    let long = number(&format!("order.where({}).count()", many.join(" || "))).unwrap_err();
    assert!(long.problem().contains("at most"), "{long}");
    for text in ["household", "joined", "order.max(due)", "order.last(\"4w\").where(gift).days()", "rfm.recency"] {
        let read = number(text).unwrap();
        assert_eq!(number(read.text()).unwrap(), read, "{text}");
        let cuts = read.candidates(None, None, 10).unwrap();
        assert!(cuts.iter().all(|cut| read.units(&read.show(*cut)) == Some(*cut)), "{text}");
        assert_eq!(read.bands(&cuts, &schema()).len(), cuts.len() + 1);
    }
}

#[test]
fn paraphrases_share_one_hash() {
    let pairs = [
        ("newsletter && household > 2", "household > 2 && newsletter"),
        ("newsletter || household > 2 || gone()", ""),
        ("age_band in [\"25-34\", \"18-24\"]", "age_band == \"18-24\" || age_band == \"25-34\""),
        ("age_band in [\"18-24\", \"18-24\"]", "age_band == \"18-24\""),
        ("region != \"unknown\"", "region in [\"south\", \"north\"]"),
        ("!(region == \"unknown\")", "region != \"unknown\""),
        ("household >= 2 && household <= 5", "household in [5, 4, 3, 2]"),
        ("household > 1 && household < 6", "2 <= household && 5 >= household"),
        ("household > 1 && household < 6 && household >= 0", "!(household <= 1 || household >= 6)"),
        ("!(newsletter && household > 2)", "!newsletter || household <= 2"),
        ("!(newsletter || household > 2)", "household <= 2 && newsletter == false"),
        ("!!newsletter", "newsletter"),
        ("!(!(newsletter && true))", "newsletter || false"),
        (
            "newsletter && (household > 2 && region == \"north\")",
            "(region == \"north\" && newsletter) && household > 2",
        ),
        ("newsletter && newsletter", "true == newsletter"),
        ("newsletter && (newsletter || household > 2)", "newsletter"),
        ("newsletter || (newsletter && household > 2)", "newsletter"),
        ("household > 5 && (household > 2 || newsletter)", "household >= 6"),
        ("score > 0.50", "score >= 0.51"),
        ("score == 5", "score == 5.00"),
        ("score > 5e-1", "score > .5"),
        (
            "joined >= \"2024-01-01\" && joined < \"2025-01-01\"",
            "!(joined < \"2024-01-01\" || joined > \"2024-12-31\")",
        ),
        ("order.last(\"2w\").any()", "order.last(\"14d\").count() > 0"),
        ("!order.last(\"14d\").any()", "order.last(\"14d\").count() < 1"),
        (
            "order.where(gift).where(category != \"honey\").any()",
            "order.where(category in [\"cheese\", \"ceramics\"] && gift).any()",
        ),
        ("order.count() >= 2 && order.count() <= 4", "order.count() in [2, 3, 4]"),
        ("order.count() >= 2 || order.any()", "order.any()"),
        ("order.any() || !order.any()", "true"),
        ("view.any() && !view.any()", "newsletter && false"),
        ("known(age_band) || missing(age_band)", "true"),
        ("missing(age_band) && age_band == \"45+\"", "age_band in []"),
        ("missing(age_band) && age_band == \"45+\" && missing(age_band)", "age_band in []"),
        ("missing(age_band) && (age_band == \"45+\" && missing(age_band))", "age_band in []"),
        ("known(age_band) || age_band == \"45+\" || known(age_band)", "!(age_band in [])"),
        ("known(age_band) && age_band in [\"18-24\", \"25-34\", \"35-44\", \"45+\"]", "known(age_band)"),
        (
            "order.last(\"2d\").days() >= 2 && order.last(\"48h\").any()",
            "order.last(\"48h\").any() && 1 < order.last(\"2d\").days()",
        ),
        ("order.days_since_last() in [1, 2, 3]", "order.days_since_last() <= 3"),
        ("order.max(amount) <= 5.00 && order.max(amount) > 1", "!(order.max(amount) > 5 || order.max(amount) <= 1.00)"),
        (
            "sequence(view).without(order.where(gift)).without(order.where(items > 5))",
            "sequence(view.where(true)).without(order.where(items >= 6 || gift))",
        ),
        ("sequence(view).without(order).without(view)", "sequence(view).without(view).without(order)"),
        ("sequence(view, order) && sequence(view, order.where(gift || true))", "sequence(view, order)"),
        ("sequence(view, order) || !sequence(view, order)", "true"),
        ("score(newsletter, 2, household > 2, 4) > 3", "score(!(household <= 2), 2, !!newsletter, 1) >= 2"),
        ("score(newsletter, 1, newsletter, 2, order.any(), 3) >= 3", "score(order.count() > 0, 1, newsletter, 1) >= 1"),
        ("score(newsletter, 5) < 5", "!(score(newsletter, 5) >= 5)"),
        ("sample(\"spring\", 0, 10) || sample(\"spring\", 5, 20)", "!(sample(\"spring\", 20, 10000))"),
        ("rfm.frequency in [4, 5]", "rfm.frequency >= 4"),
        ("rfm.monetary == 1 || rfm.monetary == 2", "!(rfm.monetary > 2)"),
        ("rfm.recency != 5", "rfm.recency < 5"),
        ("order.where(!(gift || items > 5)).any()", "order.where(items <= 5 && !gift).any()"),
    ];
    let pairs: Vec<_> = pairs.into_iter().filter(|(_, other)| !other.is_empty()).collect();
    assert!(pairs.len() >= 30);
    for (left, right) in pairs {
        assert_eq!(seg(left).canonical(), seg(right).canonical(), "{left} | {right}");
        assert_eq!(seg(left).hash(), seg(right).hash());
    }
}

/// Stored answers are found by this hash.
#[test]
fn the_hash_is_golden() {
    let segment = seg("!order.last(\"7d\").any() && region != \"unknown\" && household > 2");
    let text = "region in [\"north\", \"south\"] && household >= 3 && order.last(\"7d\").count() == 0";
    assert_eq!(segment.canonical(), text);
    let hex: String = segment.hash().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "9335443b6659c2876f1c5ec2158754b505d8632518a2c2564b05983f0159d6fc");
}

#[test]
fn different_questions_stay_apart() {
    let different = [
        ("newsletter || !newsletter", "true"),
        ("newsletter && !newsletter", "false"),
        ("age_band in [\"18-24\", \"25-34\", \"35-44\", \"45+\"]", "true"),
        ("household >= 1", "true"),
        ("known(age_band) && age_band == \"45+\"", "age_band == \"45+\""),
        ("order.last(\"24h\").any()", "order.last(\"1d\").any()"),
        ("order.any()", "view.any()"),
        ("order.last(\"30d\").any()", "order.any()"),
        ("household > 2", "household >= 2"),
        ("order.where(gift).any()", "order.any()"),
        ("order.days_since_last() <= 30", "order.last(\"30d\").any()"),
        ("order.days_since_last() >= 1 || missing(region)", "true"),
        ("order.if_any().count() >= 1", "order.any()"),
        ("order.since(\"2024-01-01\").any()", "order.dates(\"2024-01-01\", \"2199-01-01\").any()"),
        ("sequence(view, order)", "sequence(order, view)"),
        ("sequence(view).without(order).within(\"1d\")", "sequence(view).without(order)"),
        ("sequence(view, view, order).gap(\"1d\")", "sequence(view, view, order).within(\"1d\")"),
        ("score(newsletter, 1) == 1", "newsletter"),
        ("sample(\"spring\", 0, 5000)", "sample(\"autumn\", 0, 5000)"),
    ];
    for (left, right) in different {
        assert_ne!(seg(left).hash(), seg(right).hash(), "{left} | {right}");
    }
}

#[test]
fn refusals_say_where_and_what_would_be_right() {
    let table = [
        ("", (1, 1), "`true` is everyone"),
        ("newsletter &&", (1, 14), "cannot be read"),
        ("newsletter newsletter", (1, 12), "cannot be read"),
        ("newsletter && \"x", (1, 15), "this quote is never closed"),
        ("(newsletter", (1, 1), "this bracket is never closed"),
        ("newsletter\n  && household > \"x\"", (2, 18), "`household` is compared with a number"),
        ("age_band == \"25-43\"", (1, 13), "one of the 4 values of `age_band`: \"18-24\", \"25-34\""),
        ("age_band == 25", (1, 13), "one of the 4 values"),
        ("age_band > \"25-34\"", (1, 10), "no order"),
        ("age_band", (1, 1), "no bool"),
        ("household", (1, 1), "no bool"),
        ("newsletter == \"true\"", (1, 15), "one of the 2 values of `newsletter`: false, true"),
        ("household == 13", (1, 14), "outside 1..=12"),
        ("household == 1.5", (1, 14), "whole numbers"),
        ("score > 0.005", (1, 9), "2 digits"),
        ("score == 99.00", (1, 10), "outside -10.00..=10.00"),
        ("joined > \"2024\"", (1, 10), "YYYY-MM-DD"),
        ("joined > 2024", (1, 10), "YYYY-MM-DD"),
        ("age_band == null", (1, 13), "missing(field)"),
        ("member_no == \"x\"", (1, 11), "identifier"),
        ("missing(member_no)", (1, 9), "identifier"),
        ("household + 1 > 2", (1, 11), "measure"),
        ("household > household", (1, 11), "one side is a literal"),
        ("1 == 1", (1, 6), "literal is compared with a field"),
        ("\"x\"", (1, 1), "condition"),
        ("has(order.gift)", (1, 4), "not available; attributes stand alone"),
        ("[1, 2].exists(x, x > 1)", (1, 14), "macros"),
        ("newsletter ? true : false", (1, 12), "no condition"),
        ("order.gift", (1, 6), "`where(..)`"),
        ("order.gift == true", (1, 6), "`where(..)`"),
        ("order", (1, 1), "no attribute"),
        ("order.last(\"30d\")", (1, 7), "a measure would be right"),
        ("order.last(\"30\").any()", (1, 12), "length of time"),
        ("order.last(30).any()", (1, 12), "length of time"),
        ("order.last(\"1d\").last(\"2d\").any()", (1, 18), "one window"),
        ("order.between(\"30d\", \"90d\").any()", (1, 7), "longer time comes first"),
        ("order.count()", (1, 7), "compare `count` with a number"),
        ("order.count() > 1.5", (1, 17), "whole numbers"),
        ("order.any() == true", (1, 7), "condition by itself"),
        ("order.sum(category) > 1", (1, 11), "no sum"),
        ("order.sum(amount) > 0.001", (1, 21), "2 digits"),
        ("order.count().where(gift).any()", (1, 7), "a measure ends"),
        ("order.where(gift, gift).any()", (1, 7), "event test"),
        ("order.where(view.any()).any()", (1, 18), "its own event"),
        ("order.where(age_band == \"45+\").any()", (1, 13), "no event field"),
        ("order.min(category) > 1", (1, 11), "`category` has no min; an integer, decimal or date field"),
        ("order.max(due) > 5", (1, 18), "compared with a day"),
        ("order.max(due) == \"1999-01-01\"", (1, 19), "outside 2020-01-01..=2030-12-31"),
        ("order.days(3) > 1", (1, 7), "`days()` takes nothing"),
        ("order.days_since_last()", (1, 7), "compare `days_since_last` with a number"),
        ("order.since(\"2024\").any()", (1, 13), "a day of the years 1900 to 2199"),
        ("order.since(\"1024-01-01\").any()", (1, 13), "a day of the years 1900 to 2199"),
        ("order.dates(\"2024-01-01\", \"2024-01-01\").any()", (1, 7), "the second day comes after the first"),
        ("order.if_any().any().count() > 1", (1, 16), "a measure ends"),
        ("sequence()", (1, 1), "1 to 5 steps"),
        ("sequence(view, view, view, view, view, view)", (1, 1), "1 to 5 steps"),
        ("sequence(view)", (1, 1), "needs a `.without(..)`"),
        ("sequence(view).without(order).gap(\"1d\")", (1, 1), "a gap is between two steps"),
        ("sequence(view, newsletter)", (1, 16), "no event of this name"),
        ("sequence(view, order.last(\"3d\"))", (1, 22), "the window comes after the sequence"),
        ("sequence(view, order.any())", (1, 22), "a measure ends"),
        ("sequence(view, order).within(\"3\")", (1, 30), "length of time"),
        ("sequence(view, order).within(\"3d\").within(\"4d\")", (1, 36), "says it twice"),
        ("sequence(view, order).last(\"3d\").last(\"4d\")", (1, 34), "one window"),
        ("sequence(view, order).any()", (1, 23), "after the steps"),
        ("order.where(sequence(view, order)).any()", (1, 13), "its own event"),
        ("sample(\"Spring\", 0, 10)", (1, 8), "sample names are 1-63 characters"),
        ("sample(\"spring\", 0)", (1, 1), "a label and two buckets"),
        ("sample(\"spring\", 0, 10001)", (1, 21), "from 0 to 10000"),
        ("sample(\"spring\", 10, 10)", (1, 22), "the second bucket is above the first"),
        ("score(newsletter, 5)", (1, 1), "compare `score` with a number"),
        ("score(newsletter) > 5", (1, 1), "1 to 16 conditions"),
        ("score(newsletter, 1001) > 5", (1, 19), "from -1000 to 1000"),
        ("score(newsletter, 1) > 1.5", (1, 24), "whole numbers"),
        ("rfm.recency == 6", (1, 16), "bands of `rfm.recency` are from 1 to 5"),
        ("rfm.money == 5", (1, 4), "`rfm.recency`, `rfm.frequency` or `rfm.monetary`"),
        ("rfm == 5", (1, 1), "no attribute"),
        ("segment(\"segments/lovers\")", (1, 1), "name a version"),
        ("segment(\"lovers@3\")", (1, 1), "the name and version of a stored segment"),
        ("segment(\"segments/lovers@03\")", (1, 1), "the name and version of a stored segment"),
        ("segment(\"segments/lovers@3\")", (1, 1), "no segment of this name is available"),
        ("age_band.matches(\"x\")", (1, 10), "event test"),
        ("5u == household", (1, 1), "`household` is compared with a number"),
    ];
    for (text, place, problem) in table {
        refused(text, place, problem);
    }
}

#[test]
fn columns_count_characters_and_lines() {
    refused("region != \"unknown\" &&\n\n\t('é' == age_band)", (3, 3), "one of the 4 values");
    refused("age_band == \"éé\" && x", (1, 13), "one of the 4 values");
}

#[test]
fn limits_hold_for_what_is_written() {
    let many: Vec<String> = (0..31).map(|n| format!("order.last(\"{}d\").count() >= 3", n + 1)).collect();
    seg(&many.join(" && "));
    let more: Vec<String> = (0..64).map(|n| format!("order.last(\"{}d\").count() >= 3", n + 1)).collect();
    refused(&more.join(" && "), (1, 1), "made of 65 tests and joins; at most 64");
    let mut deep = "newsletter".to_owned();
    for n in 0..7 {
        deep = format!("(view.last(\"{}d\").any() {} {deep})", n + 1, if n % 2 == 0 { "&&" } else { "||" });
    }
    seg(&deep);
    refused(&format!("region == \"north\" || {deep}"), (1, 1), "nested 9 deep; at most 8");
    let brackets = format!("{}newsletter{}", "(".repeat(200), ")".repeat(200));
    assert!(parse(&brackets, &schema(), &|_| true).is_err());
    refused(&" ".repeat(MAX_TEXT_BYTES + 1), (1, 1), "at most 16384 bytes");
}

/// Names itself as deep in brackets as can be.
const DEEP: &str = "((((((((((((((((((((newsletter || segment(\"segments/endless@1\")))))))))))))))))))))";

#[test]
fn the_deepest_texts_fit_a_small_stack() {
    let texts = [
        format!("a{}", ".a".repeat(96)),
        format!("1{}", "<1".repeat(96)),
        format!("newsletter == {}1", "-".repeat(90)),
        format!("{}newsletter{}", "(".repeat(24), ")".repeat(24)),
        format!("order{}.any()", ".where(gift)".repeat(31)),
        format!("{}gift{}", "order.where(".repeat(23), ").any()".repeat(23)),
        (0..12).fold("a".to_owned(), |inner, _| format!("({inner}.b.b.b)")),
        format!("newsletter{}", " && newsletter".repeat(1100)),
        format!("household in [{}1]", "1, ".repeat(3000)),
        format!("sequence({})", "view, ".repeat(2000)),
        format!("sequence(view){}", ".without(order)".repeat(31)),
        format!("{}newsletter{} > 1", "score(".repeat(22), ", 1) > 1".repeat(22)),
        format!("{}segment(\"segments/endless@1\"){}", "(".repeat(20), ")".repeat(20)),
    ];
    for text in texts {
        let read = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
            let deep = |_: &SegmentId, _| Some(Stored { cel: DEEP.to_owned(), universe: String::new() });
            let _ = parse_with(&text, &schema(), &|_| true, &deep);
        });
        read.unwrap().join().unwrap();
    }
}

#[test]
fn an_invisible_field_looks_like_one_that_does_not_exist() {
    let schema = schema();
    let hidden = schema.resolve("region").unwrap();
    let field = schema.resolve("order.gift").unwrap();
    let event = schema.resolve("view").unwrap();
    let visible = |reference: FieldRef| ![hidden, field, event].contains(&reference);
    for (unknown, invisible) in [
        ("newsletter && zzzzzz == \"north\"", "newsletter && region == \"north\""),
        ("newsletter && zzzzzz > 3", "newsletter && region > 3"),
        ("missing(zzzzzz)", "missing(region)"),
        ("zzzzzz in [1]", "region in [1]"),
        ("order.where(zzzz).any()", "order.where(gift).any()"),
        ("order.distinct(zzzz) > 1", "order.distinct(gift) > 1"),
        ("order.sum(zzzz) > 1", "order.sum(gift) > 1"),
        ("zzzz.last(\"3d\").any()", "view.last(\"3d\").any()"),
        ("zzzz.where(also_unknown).any()", "view.where(also_unknown).any()"),
    ] {
        let left = parse(unknown, &schema, &visible).unwrap_err();
        let right = parse(invisible, &schema, &visible).unwrap_err();
        assert_eq!(left, right, "{invisible}");
        assert_eq!(left.kind(), SegmentErrorKind::FieldUnavailable);
    }
    let error = parse("age_bnad == \"45+\"", &schema, &visible).unwrap_err();
    assert!(error.problem().contains("did you mean `age_band`?"), "{error}");
    let error = parse("regoin == \"north\"", &schema, &visible).unwrap_err();
    assert!(!error.problem().contains("region"), "{error}");
    let error = parse("age_band == \"x\"", &schema, &visible).unwrap_err();
    assert_eq!(error.kind(), SegmentErrorKind::ExpressionInvalid);
}

#[test]
fn no_refusal_repeats_what_was_written() {
    const SECRET: &str = "jane_doe_1984";
    let places = [
        "age_band == \"SECRET\"",
        "SECRET == \"45+\"",
        "SECRET",
        "\"SECRET\"",
        "SECRET.any()",
        "order.SECRET()",
        "order.SECRET",
        "SECRET(order)",
        "SECRET{a: 1}",
        "{\"SECRET\": 1}",
        "order.last(\"SECRET\").any()",
        "order.where(SECRET == 1).any()",
        "order.where(category == \"SECRET\").any()",
        "order.distinct(SECRET) > 1",
        "joined > \"SECRET\"",
        "household in [\"SECRET\"]",
        "newsletter && SECRET SECRET",
        "newsletter # SECRET",
        "`SECRET`",
        "age_band == \"SECRET",
        "age_band == \"\\qSECRET\"",
        "age_band == b\"SECRET\"",
        "a.b.c.SECRET == 1",
        "[1].exists(SECRET, SECRET > 1)",
        "has(SECRET)",
        "missing(\"SECRET\")",
        ".SECRET > 3",
        "age_band[\"SECRET\"]",
        "household == 1SECRET",
        "\u{0}SECRET",
    ];
    for place in places {
        let text = place.replace("SECRET", SECRET);
        let error = parse(&text, &schema(), &|_| true).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(SECRET), "{text}: {shown}");
        assert!(!shown.contains("1984") && !shown.contains("jane"), "{text}: {shown}");
    }
    for number in ["household == 198412345678", "household == 1984.123456", "score > 99999999999999999999999.5"] {
        let error = parse(number, &schema(), &|_| true).unwrap_err();
        assert!(!error.to_string().contains("1984") && !error.to_string().contains("9999"), "{error}");
    }
}

#[test]
fn decimals_are_read_from_their_digits() {
    // No float is exactly this many hundredths.
    let text = "order.sum(amount) > 90071992547409.93";
    assert_eq!(seg(text).canonical(), "order.sum(amount) >= 90071992547409.94");
    assert_eq!(seg("order.sum(amount) > -90071992547409.93").canonical(), "order.sum(amount) >= -90071992547409.92");
    let after_wide_text = "order.last('30d' /* é */).any() || score > 0.29";
    assert!(parse(after_wide_text, &schema(), &|_| true).is_err());
    assert_eq!(seg("score > 0.29 // é\n || score < 0.07").canonical(), "score <= 0.06 || score >= 0.30");
    assert_eq!(seg("// é\nscore > 0.29").canonical(), "score >= 0.30");
}

#[test]
fn fields_named_are_listed_once() {
    let segment = seg("newsletter && order.where(gift).sum(amount) > 1 && order.distinct(amount) > 1");
    let schema = schema();
    let paths: Vec<String> = segment.fields().into_iter().map(|field| schema.path(field)).collect();
    assert_eq!(paths, ["newsletter", "order.amount", "order.gift", "order"]);
    assert!(Segment::everyone().fields().is_empty());
    assert_eq!(Segment::everyone(), seg("true"));
    assert_eq!(schema.path(FieldRef::Attribute(ColumnId(1))), "age_band");
}
