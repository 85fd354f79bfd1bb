use super::terminal::Canvas;
use super::*;

const PLAIN: Canvas = Canvas { width: 80, unicode: true, color: false };

fn figure(people: i32, half: i32) -> Figure {
    let (low, high) = (f64::from(people - half), f64::from(people + half));
    Figure { people: u64::try_from(people).unwrap_or(0), low, high }
}

fn bar(label: &str, people: i32) -> Bar {
    Bar { label: label.into(), figure: figure(people, 39), missing: false }
}

pub fn sample() -> Portrait {
    let mut age = vec![bar("18-24", 2391), bar("25-34", 5120), bar("35-44", 3904), bar("45-54", 961), bar("55+", -12)];
    age.push(Bar { label: "not known".into(), figure: figure(104, 39), missing: true });
    let panel = |title: &str, bars: &[(&str, i32)], overlapping| Panel {
        title: title.into(),
        bars: bars.iter().map(|(label, people)| bar(label, *people)).collect(),
        overlapping,
    };
    let regions = [("north valley", 4211), ("south hills & <lakes>", 2987), ("coast", 3420), ("abroad", 1862)];
    let kinds =
        [("vegetables", 9120), ("fruit", 7412), ("ceramics", 12480), ("honey", 3110), ("tea", 4988), ("wool", 90)];
    Portrait {
        title: "Ceramics buyers who came back".into(),
        expression: r#"age_band in ["25-34", "35-44"] && order.last("30d").where(category == "ceramics").count() >= 2"#
            .into(),
        size: Some(figure(12480, 44)),
        panels: vec![
            Panel { title: "Age band".into(), bars: age, overlapping: false },
            panel("Region", &regions, false),
            panel("Bought in the last 90 days", &kinds, true),
            panel("Sex", &[("female", 7010), ("male", 5390)], false),
            panel("Member of the co-operative", &[("yes", 2110), ("no", 10370)], false),
        ],
        facts: Facts {
            dataset: "Farm co-operative".into(),
            epoch: "3, to 2026-03-31".into(),
            purpose: "marketing.portrait".into(),
            release: "5f0c2f8e61a94f7b8a5be1f8d3cc0a52".into(),
            price: "5 % of this quarter's budget".into(),
            left: "94.5 % of the quarter left".into(),
            left_permille: Some(945),
            not_private: false,
        },
    }
}

#[test]
fn figures_round_for_people_and_never_show_less_than_none() {
    assert_eq!(figure(1204, 39).words(), "1,204 ±39");
    assert_eq!(figure(-12, 39).words(), "0 ±39");
    assert_eq!(Figure { people: 8, low: 7.9, high: 8.1 }.words(), "8");
}

#[test]
fn shares_are_short() {
    let shown = [(26.0, 100.0), (3.44, 100.0), (0.01, 100.0), (0.0, 100.0), (1.0, 0.0)].map(|(p, w)| share(p, w));
    let expected = [Some("26 %"), Some("3.4 %"), Some("<0.1 %"), Some("0 %"), None].map(|s| s.map(str::to_owned));
    assert_eq!(shown, expected);
}

#[test]
fn bars_fade_from_sure_to_perhaps() {
    let text = bars(&sample(), PLAIN);
    assert!(text.contains("█"), "{text}");
    assert!(text.contains(" 2,391 ±39    19 %\n"), "{text}");
    assert!(text.lines().all(|line| console::measure_text_width(line) <= 110), "{text}");
    let line = text.lines().find(|line| line.contains("wool")).unwrap_or_default();
    assert!(!line.contains('█'), "an interval that begins near zero has no sure part: {line}");
}

#[test]
fn bars_can_be_plain_ascii() {
    let text = bars(&sample(), Canvas { unicode: false, ..PLAIN });
    assert!(text.contains("####"), "{text}");
    assert!(!text.contains('█') && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn small_print_stamps_test_data() {
    let mut facts = sample().facts;
    assert!(!fact_lines(&facts, PLAIN).contains("NOT PRIVATE"));
    facts.not_private = true;
    assert!(fact_lines(&facts, PLAIN).contains("NOT PRIVATE"));
}

#[test]
fn svg_escapes_text_and_carries_no_script() {
    let mut portrait = sample();
    portrait.title = "<script>alert('x')</script>\u{0} & co".into();
    let svg = portrait_svg(&portrait);
    assert!(!svg.contains("<script") && !svg.contains('\u{0}'));
    assert!(svg.contains("&lt;script&gt;alert(&#39;x&#39;)"));
    assert!(svg.contains("south hills &amp; &lt;lakes&gt;"));
}

#[test]
fn svg_says_all_its_figures_in_words() {
    let svg = portrait_svg(&sample());
    let described = svg.split_once("<desc id=\"figures\">").and_then(|(_, rest)| rest.split_once("</desc>"));
    let (described, _) = described.unwrap_or_default();
    assert!(described.contains("12,480 ±44 people."), "{described}");
    assert!(described.contains("25-34 5,120 ±39"), "{described}");
}

#[test]
fn svg_stamps_test_data_only() {
    let mut portrait = sample();
    assert!(!portrait_svg(&portrait).contains("NOT PRIVATE"));
    portrait.facts.not_private = true;
    assert!(portrait_svg(&portrait).contains("NOT PRIVATE"));
}

#[test]
fn svg_with_many_bars_shows_the_largest() {
    let bars = (0..60).map(|i| bar(&format!("item {i}"), i)).collect();
    let portrait = Portrait { panels: vec![Panel { title: "Items".into(), bars, overlapping: true }], ..sample() };
    let svg = portrait_svg(&portrait);
    assert!(svg.contains("and 42 smaller ones"));
    assert!(svg.contains(">item 59<") && !svg.contains(">item 3<"));
}

#[test]
fn tables_align_figures_to_the_right() {
    let rows = [vec!["a".to_owned(), "9".to_owned()], vec!["b".to_owned(), "1,204 ±39".to_owned()]];
    let text = table(&["who", "how many"], &rows, 80);
    assert!(text.starts_with("WHO   HOW MANY\n"), "{text}");
    assert!(text.contains("\na            9\n"), "{text}");
}
