use super::*;
use policy::id::EpochId;
use policy::schema::EventTypeId;
use vault::release::Counted;

const PERSON: i64 = 1_024;

fn schema() -> Schema {
    policy::schema::parse(include_str!("../../../../deploy/datasets/coop/schema.toml")).unwrap()
}

fn order(schema: &Schema) -> EventTypeId {
    schema.event("order").unwrap().id
}

fn table(by: Vec<Dimension>, cells: Vec<(Vec<u16>, i64)>) -> Table {
    let cell = |(codes, people)| Cell { codes, noised: people * PERSON };
    Table { by, cells: cells.into_iter().map(cell).collect(), counted: Counted::People, noise: None, weights: vec![] }
}

fn answer(tables: Vec<Table>, sigma: u64) -> Answer {
    Answer {
        version: 1,
        release: "0".into(),
        epoch: EpochId(1),
        as_of_seconds: 20_454 * 86_400,
        tables,
        sigma_1024: sigma * 1_024,
        half_width_1024: sigma * 2_007,
        rho: NanoRho(20_000_000),
        not_private: false,
        leaf: 1,
        parts: Vec::new(),
    }
}

/// Cells of the rest and then of members, by code from 0 on.
fn halves(dimension: Dimension, rest: &[i64], members: &[i64]) -> Table {
    let half = |member: u16, people: &[i64]| {
        (0..).zip(people).map(|(code, people)| (vec![member, code], *people)).collect::<Vec<_>>()
    };
    table(vec![Dimension::Member, dimension], [half(0, rest), half(1, members)].concat())
}

fn panel(part: Part, name: &str, labels: &[&str], counts_fully_in: u32) -> Panel {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    Panel { part, name: name.into(), display: name.into(), labels, counts_fully_in }
}

fn newsletter(schema: &Schema) -> Dimension {
    Dimension::Attribute(schema.attribute("newsletter").unwrap().column)
}

fn value(estimate: Option<&v1::Estimate>) -> f64 {
    estimate.unwrap().value
}

#[test]
fn all_panels_agree_on_one_total_of_members_and_one_of_the_rest() {
    let schema = schema();
    // 2,400 and 2,310 members; 7,600 and 7,690 others: tables of three cells each.
    let tables = vec![
        halves(newsletter(&schema), &[0, 3_000, 4_600], &[0, 400, 2_000]),
        halves(Dimension::Bands(2), &[90, 3_600, 4_000], &[10, 300, 2_000]),
    ];
    let panels = [
        panel(Part::Fields, "newsletter", &[], 1),
        panel(Part::Bands, "value", &["(none)", "2: much", "1: little"], 1),
    ];
    let shown = encode(&answer(tables, 10), &schema, &panels, None);
    assert!(
        (value(shown.members.as_ref()) - 2_355.0).abs() < 1.0 && (value(shown.rest.as_ref()) - 7_645.0).abs() < 1.0
    );
    for panel in &shown.panels {
        let people: f64 = panel.rows.iter().map(|row| value(row.people.as_ref())).sum();
        assert!((people - 2_355.0).abs() < 1.0, "{panel:?}");
    }
    // Nobody is fewer than nobody, and all still add up.
    let below = vec![halves(newsletter(&schema), &[0, 3_000, 4_600], &[-30, 430, 2_000])];
    let shown_below = encode(&answer(below, 10), &schema, &panels[..1], None);
    let people: Vec<f64> = shown_below.panels[0].rows.iter().map(|row| value(row.people.as_ref()).round()).collect();
    assert_eq!(people, [0.0, 415.0, 1_985.0]);
    let [all, of_rest]: [f64; 2] = [|row: &v1::ProfileRow| row.share, |row: &v1::ProfileRow| row.share_of_rest]
        .map(|share| shown.panels[1].rows.iter().filter_map(share).map(|share| share.value).sum());
    assert!((of_rest - 100.0).abs() < 0.1 && (all - 100.0).abs() < 1.0, "{all} {of_rest}");
    let labels: Vec<&str> = shown.panels[1].rows.iter().map(|row| row.label.as_str()).collect();
    assert_eq!(labels, ["(none)", "2: much", "1: little"]);
    let much = &shown.panels[1].rows[1];
    // 315 of 2,355 beside 3,900 of 10,000: 34.
    assert!(much.differs && (value(much.index.as_ref()) - 34.3).abs() < 1.0, "{much:?}");
    assert!(shown.panels.iter().all(|panel| panel.advice.is_empty()));
}

#[test]
fn shares_of_times_are_of_all_times_and_a_trend_compares_its_halves() {
    let schema = schema();
    let days: Vec<i32> = (0..=4).map(|week| 20_426 + 7 * week).collect();
    let tables = vec![
        halves(newsletter(&schema), &[0, 3_000, 4_000], &[0, 1_000, 2_000]),
        halves(Dimension::Weekdays(order(&schema)), &[500; 7], &[200, 200, 200, 200, 200, 200, 800]),
        halves(Dimension::Periods(order(&schema), days), &[900; 4], &[600, 400, 700, 800]),
    ];
    let panels = [
        panel(Part::Fields, "newsletter", &[], 1),
        panel(Part::Weekdays, "orders", &[], 3),
        panel(Part::Trend, "orders", &[], 4),
    ];
    let shown = encode(&answer(tables.clone(), 10), &schema, &panels, None);
    let sunday = &shown.panels[1].rows[6];
    assert!((value(sunday.share.as_ref()) - 40.0).abs() < 0.1, "{sunday:?}");
    assert!((value(sunday.share_of_rest.as_ref()) - 100.0 / 7.0).abs() < 0.1, "{sunday:?}");
    // 40 % over 1,300 of 5,500.
    assert!(sunday.differs && (value(sunday.index.as_ref()) - 169.2).abs() < 0.5, "{sunday:?}");
    assert_eq!((sunday.label.as_str(), shown.panels[1].counts_fully_in), ("Sunday", 3));
    // 1,500 after 1,000.
    let change = shown.change.unwrap();
    assert!((change.value - 50.0).abs() < 0.1 && change.low > 40.0 && change.high < 60.0, "{change:?}");
    assert!(!shown.last_is_open);
    // A day earlier the last week was not over: 700 and 400 after 600, the middle one left out.
    let open = Answer { as_of_seconds: 20_453 * 86_400, ..answer(tables, 10) };
    let shown = encode(&open, &schema, &panels, None);
    assert!(shown.last_is_open && (shown.change.unwrap().value - 16.7).abs() < 0.1, "{:?}", shown.change);
}

#[test]
fn a_portrait_of_everyone_is_compared_with_nobody() {
    let schema = schema();
    let tables = vec![table(vec![newsletter(&schema)], vec![(vec![0], 0), (vec![1], 700), (vec![2], 300)])];
    let shown = encode(&answer(tables, 10), &schema, &[panel(Part::Fields, "newsletter", &[], 1)], None);
    let row = &shown.panels[0].rows[1];
    assert_eq!((shown.rest, row.share_of_rest, row.index, row.differs), (None, None, None, false));
    assert!((value(shown.members.as_ref()) - 1_000.0).abs() < 1.0 && (value(row.share.as_ref()) - 70.0).abs() < 0.1);
}

#[test]
fn what_can_not_be_read_gets_advice_and_never_a_price_that_is_not_left() {
    let schema = schema();
    let hours = |people: i64| halves(Dimension::Hours(order(&schema)), &[50; 24], &[people; 24]);
    let advised = |people, left: u64| {
        let tables = vec![halves(newsletter(&schema), &[0, 500, 500], &[0, 150, 50]), hours(people)];
        let panels = [panel(Part::Fields, "newsletter", &[], 1), panel(Part::Hours, "Orders", &[], 4)];
        encode(&answer(tables, 25), &schema, &panels, Some(NanoRho(left))).panels.remove(1).advice
    };
    let words = advised(30, 1_000_000_000_000);
    assert!(words.contains("Too few people for 24 hours of orders") && words.contains("pay rho "), "{words}");
    assert!(!advised(30, 30_000_000).contains("rho"), "a price that is not left is no advice");
    assert_eq!(advised(400, 30_000_000), "");
}

#[test]
fn bands_of_a_release_get_their_names() {
    let cell = |code: u32| v1::Cell {
        labels: vec!["true".into(), code.to_string()],
        codes: vec![1, code],
        ..Default::default()
    };
    let named =
        v1::Table { displays: vec!["in".into(), "band".into()], cells: vec![cell(0), cell(1)], ..Default::default() };
    let mut release = v1::Release { tables: vec![v1::Table::default(), named], ..Default::default() };
    relabel(
        &mut release,
        &[panel(Part::Fields, "age", &[], 1), panel(Part::Bands, "value", &["(none)", "2: much"], 1)],
    );
    let table = &release.tables[1];
    assert_eq!((table.displays[1].as_str(), table.cells[1].labels[1].as_str()), ("value", "2: much"));
}
