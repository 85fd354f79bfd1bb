//! Segments as people write them: what is accepted, what is refused and where, and what folds together.

use super::test_schema::schema;
use super::*;
use crate::schema::{ColumnId, FieldRef};

fn seg(text: &str) -> Segment {
    parse(text, &schema(), &|_| true).unwrap_or_else(|error| panic!("{text}: {error}"))
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
    let forms = lines.flat_map(|line| line.trim_start_matches("//! ").split("   ")).map(str::trim);
    let types = ["", "enum", "integer", "decimal, date", "bool", "any of these"];
    let forms: Vec<&str> = forms.filter(|form| !types.contains(form)).collect();
    assert!(forms.len() >= 20, "{forms:?}");
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
        ("sequence(view, order).within(\"3d\")", (1, 23), "not available yet"),
        ("segment(\"x@1\")", (1, 1), "not available yet"),
        ("rfm.recency in [4]", (1, 4), ""),
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
    ];
    for text in texts {
        let read = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
            let _ = parse(&text, &schema(), &|_| true);
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
