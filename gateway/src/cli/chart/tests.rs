use super::terminal::Canvas;
use super::*;

const PLAIN: Canvas = Canvas { width: 80, unicode: true, color: false };

fn figure(people: i32, half: i32) -> Figure {
    let (low, high) = (f64::from(people - half), f64::from(people + half));
    Figure::count(f64::from(people), low, high)
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
        advice: None,
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
            Panel { title: "Age band".into(), bars: age, overlapping: false, advice: None },
            panel("Region", &regions, false),
            panel("Bought in the last 90 days", &kinds, true),
            panel("Sex", &[("female", 7010), ("male", 5390)], false),
            panel("Member of the co-operative", &[("yes", 2110), ("no", 10370)], false),
        ],
        notes: Vec::new(),
        facts: facts(),
    }
}

fn facts() -> Facts {
    Facts {
        dataset: "Farm co-operative".into(),
        epoch: "3, to 2026-03-31".into(),
        purpose: "marketing.portrait".into(),
        release: "5f0c2f8e61a94f7b8a5be1f8d3cc0a52".into(),
        price: "5 % of this quarter's budget".into(),
        left: "94.5 % of the quarter left".into(),
        left_permille: Some(945),
        not_private: false,
    }
}

fn sheet(title: &str) -> Sheet {
    Sheet { title: title.into(), expression: String::new(), notes: Vec::new(), facts: facts() }
}

fn percent(value: f64, half: f64) -> Option<Figure> {
    Some(Figure { value, low: (value - half).max(0.0), high: value + half, unit: Unit::Percent })
}

fn funnel_sample() -> Funnel {
    let stage = |name: &str, people, rates: Option<(f64, f64)>| Stage {
        name: name.into(),
        people: figure(people, 44),
        rate: rates.and_then(|(rate, _)| percent(rate, 1.4)),
        rate_of_start: rates.and_then(|(_, rate)| percent(rate, 1.1)),
    };
    let stages = vec![
        stage("start", 12480, None),
        stage("looked & <liked>", 7310, Some((58.6, 58.6))),
        stage("put in the cart", 2204, Some((30.1, 17.7))),
        stage("bought", 961, Some((43.6, 7.7))),
    ];
    Funnel { sheet: sheet("From looking to buying"), stages }
}

fn trend_sample() -> Trend {
    let periods = (0..26).map(|week| format!("2026-{:02}-{:02}", 1 + week / 4, 1 + 7 * (week % 4))).collect();
    let series = |label: &str, base: i32, slope: i32| Series {
        label: label.into(),
        points: (0..26).map(|week| figure(base + slope * week + 90 * (week % 5 - 2), 62)).collect(),
    };
    let series = vec![series("ceramics", 1400, 32), series("tea", 900, -18), series("wool", 300, 1)];
    Trend { counted: "Orders, each person's up to 12".into(), periods, series, last_is_open: true }
}

fn contrast_sample() -> Vec<Contrast> {
    let row = |label: &str, share: f64, rest: f64, differs| {
        let index = 100.0 * share / rest;
        let index = Figure { value: index, low: index * 0.86, high: index * 1.16, unit: Unit::Signed };
        Contrasted {
            label: label.into(),
            share: percent(share, 1.6),
            rest: percent(rest, 0.9),
            index: (rest > 1.0).then_some(index),
            differs,
        }
    };
    let age = vec![row("18-24", 5.1, 12.0, true), row("25-34", 22.0, 21.0, false), row("35-44", 41.0, 24.0, true)];
    let region =
        vec![row("north valley", 30.2, 18.3, true), row("coast", 9.0, 9.4, false), row("abroad", 0.4, 0.6, false)];
    vec![Contrast { title: "Age band".into(), rows: age }, Contrast { title: "Region".into(), rows: region }]
}

fn retention_sample() -> Retention {
    let cohort = |first: i32| Cohort {
        from: format!("2026-{:02}-01", first + 1),
        people: figure(900 - 40 * first, 39),
        rates: (first + 1..10)
            .map(|period| {
                if period == 9 && first > 6 { None } else { percent(f64::from(52 - 6 * (period - first) + first), 4.6) }
            })
            .collect(),
    };
    Retention {
        sheet: sheet("Who comes back"),
        period: "month".into(),
        cohorts: (0..10).map(cohort).collect(),
        last_is_open: true,
    }
}

fn overlap_sample() -> Overlap {
    let names = ["tea", "honey & <wax>", "ceramics"];
    let counts = [4210, 1890, 1430, 620, 2950, 410, 205, 12];
    let parts = counts.iter().enumerate().map(|(code, people)| Part {
        within: (0..3).map(|bit| code >> bit & 1 == 1).collect(),
        people: figure(*people, 44),
    });
    let set = |(place, name): (usize, &&str)| {
        let others = names.iter().enumerate().filter(move |(other, _)| *other != place);
        let rate = |(other, name): (usize, &&str)| {
            ((*name).to_owned(), if other + place == 3 { None } else { percent(21.0, 2.2) })
        };
        Set {
            name: (*name).into(),
            people: figure(3000 - 200 * i32::try_from(place).unwrap_or(0), 88),
            shared: others.map(rate).collect(),
        }
    };
    Overlap { sheet: sheet("Who buys what"), sets: names.iter().enumerate().map(set).collect(), parts: parts.collect() }
}

fn grids_sample(third: bool) -> Grids {
    let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let days = list(&[
        "5: within 30 days",
        "4: 31-60 days ago",
        "3: 61-120 days ago",
        "2: 121-240 days ago",
        "1: over 240 days ago",
    ]);
    let times = list(&["5: 16 and more times", "4: 8-15 times", "3: 4-7 times", "2: 2-3 times", "1: once & <never>"]);
    let grid = |nth: i32| Grid {
        title: if third { format!("Value {}: {} and more", 5 - nth, 1000 / (nth + 1)) } else { String::new() },
        cells: (0..5)
            .map(|row| (0..5).map(|column| figure(900 - 150 * row - 60 * column * (nth + 1), 44)).collect())
            .collect(),
    };
    let notes = vec!["In no band of any list: 1,890 ±44.".to_owned()];
    Grids {
        sheet: Sheet { notes, ..sheet("Who buys lately, often and for much") },
        rows: ("Recency".into(), days),
        columns: ("Frequency".into(), times),
        grids: (0..if third { 5 } else { 1 }).map(grid).collect(),
        half: 44,
    }
}

fn average_sample() -> Average {
    let signed =
        |value: f64, half: f64| Some(Figure { value, low: value - half, high: value + half, unit: Unit::Signed });
    Average {
        sheet: sheet("Members of the co-operative"),
        field: "household <size>".into(),
        people: Some(figure(12480, 44)),
        mean: signed(2.84, 0.06),
        deviation: signed(1.31, 0.04),
    }
}

fn distribution_sample() -> Distribution {
    let edges: Vec<String> = (3..19).map(|edge| (5 * edge).to_string()).collect();
    let people = |bin: i32| 40 + 1400 * (20 - (bin - 6) * (bin - 6)).max(0) / 20 + 25 * (17 - bin);
    let name =
        |bin: i32| if bin == 0 { "below 15".to_owned() } else { format!("{} to below {}", 10 + 5 * bin, 15 + 5 * bin) };
    let quantile = |permille, low, high| QuantileAt { permille, low: Some(low), high: Some(high) };
    Distribution {
        sheet: sheet("Members of the co-operative"),
        title: "Age & <years>".into(),
        bins: (0..17).map(|bin| bar(&name(bin), people(bin))).collect(),
        edges,
        quantiles: vec![quantile(250, 30.0, 35.0), quantile(500, 35.0, 40.0), quantile(750, 40.0, 50.0)],
    }
}

fn profile_sample() -> Profile {
    let row = |label: &str, people: i32, compared: &Contrasted| ProfileRow {
        people: figure(people, 49),
        compared: Contrasted { label: label.into(), ..compared.clone() },
    };
    let panel = |title: &str, of: Of, rows: Vec<ProfileRow>| ProfilePanel {
        title: title.into(),
        of,
        rows,
        hidden: usize::from(of == Of::Ranked),
        counts_fully_in: if of == Of::Values { 1 } else { 4 },
        is_uncertain: of == Of::Trend,
    };
    let [age, region] = contrast_sample().try_into().unwrap();
    let shares: Vec<Contrasted> = age.rows.iter().chain(&region.rows).cloned().collect();
    let of = |title: &str, of: Of, labels: Vec<String>| {
        let rows = labels
            .iter()
            .zip(0..)
            .map(|(label, nth)| row(label, 120 * (1 + nth % 5), &shares[usize::try_from(nth).unwrap() % shares.len()]));
        panel(title, of, rows.collect())
    };
    let numbered = |count: i32, name: &dyn Fn(i32) -> String| (0..count).map(name).collect::<Vec<_>>();
    let panels = vec![
        of("Age & <years>", Of::Values, numbered(3, &|nth| age.rows[usize::try_from(nth).unwrap()].label.clone())),
        of("Value", Of::Values, numbered(12, &|nth| format!("{nth}: {nth}00.00 to below {nth}50.00"))),
        of("Category bought", Of::Ranked, numbered(6, &|nth| format!("kind {nth}"))),
        of("Orders by hour of day", Of::Hours, numbered(24, &|hour| format!("{hour:02}"))),
        of("Orders by weekday", Of::Weekdays, numbered(7, &|day| format!("Day {day}"))),
        of("Orders over time", Of::Trend, numbered(12, &|week| format!("2026-{:02}-05", week + 1))),
    ];
    let text = ["About 12,480 people.", "Over-represented: age 35-44 (index 171, 147-198).", "Busiest hours: 18-21 h."];
    Profile {
        sheet: sheet("Ceramics buyers"),
        size: Some(figure(12480, 44)),
        rest: Some(figure(40100, 44)),
        base: "everyone".into(),
        text: text.map(str::to_owned).to_vec(),
        panels,
        unreadable: vec!["Too few people for 60 values of product: widen the segment.".into()],
        last_is_open: true,
    }
}

/// Every picture with the same small print.
fn pictures(facts: &Facts) -> Vec<String> {
    let sheet = |title: &str| Sheet { facts: facts.clone(), ..sheet(title) };
    let funnel = Funnel { sheet: sheet("Funnel <x>"), ..funnel_sample() };
    let retention = Retention { sheet: sheet("Retention <x>"), ..retention_sample() };
    vec![
        portrait_svg(&Portrait { title: "Portrait <x>".into(), facts: facts.clone(), ..sample() }),
        funnel_svg(&funnel),
        trend_svg(&sheet("Trend <x>"), &[trend_sample()]),
        contrast_svg(&sheet("Contrast <x>"), &contrast_sample()),
        retention_svg(&retention),
        overlap_svg(&Overlap { sheet: sheet("Overlap <x>"), ..overlap_sample() }),
        grids_svg(&Grids { sheet: sheet("Bands <x>"), ..grids_sample(false) }),
        grids_svg(&Grids { sheet: sheet("RFM <x>"), ..grids_sample(true) }),
        average_svg(&Average { sheet: sheet("Mean <x>"), ..average_sample() }),
        distribution_svg(&Distribution { sheet: sheet("Distribution <x>"), ..distribution_sample() }),
        profile_svg(&Profile { sheet: sheet("Whole <x>"), ..profile_sample() }),
        profile_svg(&Profile { sheet: sheet("Everyone <x>"), rest: None, ..profile_sample() }),
    ]
}

#[test]
fn every_picture_is_well_formed_and_says_what_it_is() {
    let private = facts();
    let test = Facts { not_private: true, ..facts() };
    for (svg, stamped) in pictures(&private).iter().zip(pictures(&test)) {
        assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
        assert!(svg.contains(" &lt;x&gt;") && !svg.contains("<x>") && !svg.contains("NaN") && !svg.contains("inf"));
        assert!(svg.contains("95 % interval") && svg.contains("5 % of this quarter") && !svg.contains("NOT PRIVATE"));
        assert!(stamped.contains("NOT PRIVATE") && stamped.contains("Not private: a test dataset."));
        let opened = ["g", "text", "title", "svg", "desc"].map(|name| (svg.matches(&format!("<{name}")).count(), name));
        for (count, name) in opened {
            let spare = if name == "text" || name == "g" { 0 } else { svg.matches(&format!("<{name}/")).count() };
            assert_eq!(count - spare, svg.matches(&format!("</{name}>")).count(), "{name}");
        }
    }
}

#[test]
fn pictures_say_all_their_figures() {
    let pictures = pictures(&facts());
    let described = |at: usize| {
        let (_, rest) = pictures[at].split_once("<desc id=\"figures\">").unwrap();
        rest.split_once("</desc>").unwrap().0.to_owned()
    };
    assert!(described(5).contains("In exactly tea and honey &amp; &lt;wax&gt;: 620 ±44."), "{}", described(5));
    assert!(described(6).contains("Recency 5: within 30 days: 5: 16 and more times 900 ±44"), "{}", described(6));
    assert!(described(7).contains("Value 5: 1000 and more"), "{}", described(7));
    assert!(described(8).contains("mean 2.840 (2.780 to 2.900). standard deviation 1.310"), "{}", described(8));
    assert!(described(9).contains("median: 35 to below 40."), "{}", described(9));
}

#[test]
fn overlaps_and_grids_fit_the_terminal() {
    let overlap = terminal::overlap(&overlap_sample(), Canvas { width: 120, ..PLAIN });
    assert!(overlap.contains("ALSO IN TEA") && overlap.contains("21 % (19-23)") && overlap.contains('?'), "{overlap}");
    let grids = terminal::grids(&grids_sample(true), PLAIN);
    assert!(grids.contains("Value 5: 1000 and more") && grids.contains("±44 in every cell"), "{grids}");
    assert!(grids.lines().all(|line| console::measure_text_width(line) <= 90), "{grids}");
}

#[test]
fn a_whole_portrait_is_a_page() {
    let text = terminal::profile(&profile_sample(), PLAIN);
    assert!(text.contains("12,480 ±44 people, 23.7 % of everyone"), "{text}");
    let line = |label: &str| text.lines().find(|line| line.contains(label)).unwrap_or_default().to_owned();
    assert!(line("  35-44").ends_with("more") && line("25-34").ends_with("no difference shown"), "{text}");
    assert!(text.contains("these  ▁▁") && text.contains("rest   ") && text.contains("and 1 smaller ones"), "{text}");
    assert!(
        line("2026-03-05").contains("360 ±49") && text.contains("Orders over time  few people, wide intervals"),
        "{text}"
    );
    assert!(text.lines().all(|line| console::measure_text_width(line) <= 104), "{text}");
    let everyone = terminal::profile(&Profile { rest: None, text: Vec::new(), ..profile_sample() }, PLAIN);
    assert!(everyone.contains("PEOPLE") || everyone.contains("people"), "{everyone}");
    assert!(!everyone.contains("the rest") && !everyone.contains("index"), "{everyone}");
    let plain = terminal::profile(&profile_sample(), Canvas { unicode: false, ..PLAIN });
    assert!(!plain.contains('█') && !plain.contains('▁'), "{plain}");
    let notes = profile_sample().notes();
    assert!(notes[1].contains("4 hours of day") && notes[1].contains("counts half in each"), "{notes:?}");
}

#[test]
fn a_whole_portrait_keeps_its_cards_on_the_page() {
    let svg = profile_svg(&profile_sample());
    let number = |text: &str, key: &str| -> Option<f64> {
        let (_, rest) = text.split_once(&format!(" {key}=\""))?;
        rest.split('"').next()?.parse().ok()
    };
    let height = number(&svg, "height").unwrap();
    let cards: Vec<[f64; 4]> = svg
        .lines()
        .filter(|line| line.contains("class=\"card\""))
        .map(|line| ["x", "y", "width", "height"].map(|key| number(line, key).unwrap()))
        .collect();
    assert_eq!(cards.len(), 8, "what it says, six tables and the small print");
    for (nth, [x, y, width, tall]) in cards.iter().enumerate() {
        assert!(*x >= 0.0 && x + width <= 1600.0 && y + tall <= height, "card {nth} is on the page");
        let apart = |[a, b, w, h]: &[f64; 4]| a + w <= *x || x + width <= *a || b + h <= *y || y + tall <= *b;
        assert!(cards.iter().skip(nth + 1).all(apart), "card {nth} covers no other");
    }
    assert!(svg.contains(">≈<") && svg.contains(">171<") && svg.contains("and 4 smaller ones"));
}

#[test]
fn a_funnel_says_which_part_went_on() {
    let text = terminal::funnel(&funnel_sample(), PLAIN);
    assert!(text.contains("961 ±44") && text.contains("44 % (42-45) of those"), "{text}");
    let svg = funnel_svg(&funnel_sample());
    assert!(svg.contains("looked &amp; &lt;liked&gt;") && svg.contains("↓ 30 % (29-32) went on"));
}

#[test]
fn a_contrast_says_where_nothing_is_shown() {
    let text = terminal::contrast(&contrast_sample(), PLAIN);
    let line = |label: &str| text.lines().find(|line| line.contains(label)).unwrap_or_default().to_owned();
    assert!(line("25-34").ends_with("no difference shown"), "{text}");
    assert!(line("18-24").ends_with("less") && line("35-44").ends_with("more"), "{text}");
    assert!(line("abroad").contains('?') && line("abroad").ends_with("too few to tell"), "{text}");
}

#[test]
fn a_retention_fits_the_terminal() {
    let text = terminal::retention(&retention_sample(), PLAIN);
    assert!(text.contains("+1") && text.contains("46±5") && text.contains("more to the right"), "{text}");
    assert!(text.lines().all(|line| console::measure_text_width(line) <= 80), "{text}");
    assert!(text.contains("  ?: too few to tell\n"), "{text}");
}

#[test]
fn figures_round_for_people_and_never_show_less_than_none() {
    assert_eq!(figure(1204, 39).words(), "1,204 ±39");
    assert_eq!(figure(-12, 39).words(), "fewer than 39");
    assert_eq!(Figure::count(8.0, 7.9, 8.1).words(), "8");
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
    let portrait =
        Portrait { panels: vec![Panel { title: "Items".into(), bars, overlapping: true, advice: None }], ..sample() };
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
