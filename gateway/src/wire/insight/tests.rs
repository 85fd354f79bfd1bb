use super::*;
use policy::id::EpochId;
use policy::privacy::NanoRho;
use policy::time::parse_day;
use vault::release::TableNoise;

const PERSON: i64 = 1_024;

fn schema() -> Schema {
    policy::schema::parse(include_str!("../../../../deploy/datasets/coop/schema.toml")).unwrap()
}

fn answer(tables: Vec<Table>, as_of_seconds: i64) -> Answer {
    Answer {
        version: 1,
        release: "0".into(),
        epoch: EpochId(1),
        as_of_seconds,
        tables,
        sigma_1024: 10_240,
        half_width_1024: 20_071,
        rho: NanoRho(10_000_000),
        not_private: false,
        leaf: 1,
        parts: Vec::new(),
    }
}

fn table(by: Vec<Dimension>, cells: &[(&[u16], i64)]) -> Table {
    let cell = |(codes, people): &(&[u16], i64)| Cell { codes: codes.to_vec(), noised: people * PERSON };
    Table { by, cells: cells.iter().map(cell).collect(), counted: Counted::People, noise: None, weights: vec![] }
}

fn value(estimate: Option<&v1::Estimate>) -> f64 {
    estimate.unwrap().value
}

#[test]
fn a_contrast_has_both_shares_and_an_index() {
    let schema = schema();
    let field = FieldRef::Attribute(schema.attribute("newsletter").unwrap().column);
    let FieldRef::Attribute(column) = field else { unreachable!("an attribute") };
    let cells: [(&[u16], i64); 6] =
        [(&[0, 0], 0), (&[0, 1], 2_800), (&[0, 2], 4_600), (&[1, 0], 0), (&[1, 1], 400), (&[1, 2], 2_000)];
    let rows =
        contrast(&answer(vec![table(vec![Dimension::Member, Dimension::Attribute(column)], &cells)], 0), &schema);
    assert_eq!(rows.len(), 3);
    let no = &rows[1];
    assert!((value(no.share.as_ref()) - 16.667).abs() < 0.01, "{no:?}");
    assert!((value(no.share_of_rest.as_ref()) - 37.838).abs() < 0.01, "{no:?}");
    // 400 / 2,400 over 3,200 / 9,800.
    assert!((value(no.index.as_ref()) - 51.04).abs() < 0.01 && no.differs, "{no:?}");
}

#[test]
fn means_per_event_need_sums_and_counts() {
    let schema = schema();
    let event = schema.events.iter().find(|event| event.name.as_str() == "order").unwrap();
    let amount = event.fields.iter().find(|field| field.name.as_str() == "amount").unwrap().column;
    let one = |counted, noised, sigma_1024| Table {
        by: vec![],
        cells: vec![Cell { codes: vec![], noised }],
        counted,
        noise: Some(TableNoise { sigma_1024, half_width_1024: 2 * sigma_1024 }),
        weights: vec![],
    };
    let orders = one(Counted::Events(event.id, 12), 1_000 * PERSON, 10 * 1_024);
    // 23,500.00 in cents.
    let sums = one(Counted::Sum(event.id, amount, 50_000), 2_350_000 * PERSON, 20_000 * 1_024);
    let found = means(&answer(vec![orders.clone(), sums.clone()], 0), &schema);
    assert_eq!(found[0].of, "order.amount");
    let mean = found[0].mean.unwrap();
    assert!((mean.value - 23.5).abs() < 1e-6 && mean.low > 22.5 && mean.high < 24.5, "{mean:?}");
    assert_eq!(means(&answer(vec![sums], 0), &schema), [], "nothing to divide by");
    assert_eq!(means(&answer(vec![orders], 0), &schema), []);
}

#[test]
fn cohorts_begin_in_their_own_period() {
    let schema = schema();
    let event = schema.events.iter().find(|event| event.name.as_str() == "order").unwrap().id;
    let days = ["2026-01-01", "2026-02-01", "2026-03-01"].map(|day| parse_day(day).unwrap()).to_vec();
    let by = vec![Dimension::Cohort(event, days.clone()), Dimension::Periods(event, days)];
    let cells: [(&[u16], i64); 6] =
        [(&[0, 0], 0), (&[0, 1], 0), (&[1, 0], 1_000), (&[1, 1], 250), (&[2, 0], 3), (&[2, 1], 500)];
    let at = |day: &str| i64::from(parse_day(day).unwrap()) * 86_400;
    let answer = answer(vec![table(by, &cells)], at("2026-02-20"));
    let found = cohorts(&answer);
    let shown: Vec<(&str, f64, usize)> =
        found.iter().map(|one| (one.from.as_str(), value(one.people.as_ref()), one.later.len())).collect();
    assert_eq!(shown, [("2026-01-01", 1_000.0, 1), ("2026-02-01", 500.0, 0)]);
    let later = &found[0].later[0];
    assert_eq!(later.after, 1);
    assert!((value(later.rate.as_ref()) - 25.0).abs() < 0.01 && (value(later.people.as_ref()) - 250.0).abs() < 0.01);
    assert!(last_is_open(&answer, &schema), "February was not over");
    let over = Answer { as_of_seconds: at("2026-03-01") + 86_400, ..answer };
    assert!(!last_is_open(&over, &schema));
}

#[test]
fn a_part_that_may_be_nothing_and_may_be_all_is_not_known() {
    let days = ["2026-01-01", "2026-02-01", "2026-03-01"].map(|day| parse_day(day).unwrap()).to_vec();
    let event = schema().events.iter().find(|event| event.name.as_str() == "order").unwrap().id;
    let by = vec![Dimension::Cohort(event, days.clone()), Dimension::Periods(event, days)];
    // 35 people of whom 12 came back, and 20 either way in each number.
    let cells: [(&[u16], i64); 6] =
        [(&[0, 0], 0), (&[0, 1], 0), (&[1, 0], 35), (&[1, 1], 12), (&[2, 0], 3), (&[2, 1], 500)];
    let found = cohorts(&answer(vec![table(by, &cells)], 0));
    let later = &found[0].later[0];
    assert!(later.rate.is_none() && later.people.is_some(), "{later:?}");
}

#[test]
fn segments_of_an_overlap_are_sums_of_their_cells() {
    // Nobody is only in the third.
    let cells: [(&[u16], i64); 8] =
        [(&[0], 5_000), (&[1], 600), (&[2], 900), (&[3], 300), (&[4], 0), (&[5], 100), (&[6], 0), (&[7], 0)];
    let answer = answer(vec![table(vec![Dimension::Flags(3)], &cells)], 0);
    let found = overlapped(&answer, &["tea".to_owned(), "honey".to_owned(), "wool".to_owned()]);
    let people: Vec<f64> = found.iter().map(|one| value(one.people.as_ref())).collect();
    assert_eq!(people, [1_000.0, 1_200.0, 100.0]);
    let shares: Vec<(&str, f64)> =
        found[0].shared.iter().map(|one| (one.name.as_str(), value(one.rate.as_ref()))).collect();
    assert_eq!((shares[0].0, shares[1].0), ("honey", "wool"));
    assert!((shares[0].1 - 30.0).abs() < 0.01 && (shares[1].1 - 10.0).abs() < 0.01, "{shares:?}");
    // Four cells of sigma 10.
    let tea = found[0].people.unwrap();
    assert!((tea.high - tea.low - 2.0 * 1.96 * 20.0).abs() < 0.1, "{tea:?}");
}
