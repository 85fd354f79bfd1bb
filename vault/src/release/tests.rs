//! Plans, prices, the map and the noise. Statistical tests name their N and alpha; noise can't be seeded.

mod noise;
mod synopsis;

use super::draw::{distance, gaussian, nano_up};
use super::*;
use crate::scan::{Partial, UNIT};
use opendp::domains::{AtomDomain, VectorDomain};
use opendp::measurements::make_gaussian;
use opendp::measures::ZeroConcentratedDivergence;
use opendp::metrics::L2Distance;
use policy::id::DatasetId;
use policy::privacy::NanoRho;
use policy::schema::{FieldRef, Schema, parse};
use policy::segment::{Segment, Window};

const SCHEMA: &str = r#"
version = 1
dataset = "coop"
organization = "hill-farms"
time_zone = "Europe/London"
subject_key = "member_no"
purposes = ["marketing.portrait"]

[[attributes]]
name = "member_no"
class = "identifier"
type = "identifier"
max_bytes = 32

[[attributes]]
name = "age_band"
class = "quasi_identifier"
type = "enum"
domain = ["18-24", "25-34", "35-44", "45+"]

[[attributes]]
name = "newsletter"
class = "non_personal"
type = "bool"

[[attributes]]
name = "household"
class = "quasi_identifier"
type = "integer"
min = 1
max = 12

[[events]]
name = "order"
max_per_subject = 100

[[events.fields]]
name = "category"
class = "behavioral"
type = "enum"
domain = ["fruit", "honey", "cheese", "wool"]
max_distinct = 3

[[events.fields]]
name = "channel"
class = "behavioral"
type = "enum"
domain = ["web", "market"]
max_distinct = 2

[[events.fields]]
name = "amount"
class = "behavioral"
type = "decimal"
scale = 2
min = "0"
max = "500"

[[events]]
name = "view"
max_per_subject = 100
"#;

/// The squared norm of one person.
const PERSON: u128 = (UNIT * UNIT) as u128;

fn schema() -> Schema {
    parse(SCHEMA).unwrap()
}

fn fields(paths: &[&str]) -> Vec<FieldRef> {
    paths.iter().map(|path| schema().resolve(path).unwrap()).collect()
}

fn portrait(paths: &[&str]) -> Kind {
    Kind::Portrait { fields: fields(paths), window: Window::Ever }
}

fn breakdown(paths: &[&str]) -> Kind {
    Kind::Breakdown { by: fields(paths), window: Window::Ever }
}

fn planned(kind: Kind, rho: u64) -> Result<Plan, PlanError> {
    let (universe, segment) = (Segment::everyone(), Segment::everyone());
    plan(&schema(), &Question { dataset: DatasetId::new("coop").unwrap(), universe, segment, kind, rho: NanoRho(rho) })
}

/// The squared norm in people squared.
fn people(plan: &Plan) -> u128 {
    plan.norm_squared() / u128::from((UNIT * UNIT).unsigned_abs())
}

#[test]
fn known_prices_give_known_half_widths() {
    // rho 0.001 for a size: 1.96 / sqrt(2 * 0.001) = 43.8 people.
    let size = planned(Kind::Size, 1_000_000).unwrap();
    assert_eq!((size.cells(), people(&size)), (1, 1));
    assert_eq!(size.half_width_1024() / 1024, 43);
    // Two attributes and an event field of three values: D^2 = 5.
    let portrait = planned(portrait(&["age_band", "newsletter", "order.category"]), 10_000_000).unwrap();
    assert_eq!((portrait.cells(), people(&portrait)), (13, 5));
    assert_eq!(portrait.sigma_1024() / 1024, 15);
    assert_eq!(people(&planned(breakdown(&["order.channel"]), 1).unwrap()), 2);
    assert_eq!(people(&planned(breakdown(&["order.category", "age_band"]), 1).unwrap()), 3);
    assert_eq!(people(&planned(breakdown(&["age_band", "newsletter"]), 1).unwrap()), 1);
}

#[test]
fn what_has_no_plan_says_why() {
    let refused = |kind| planned(kind, 1_000_000).unwrap_err();
    assert_eq!(refused(breakdown(&["member_no"])), PlanError::Identifier("member_no".into()));
    assert_eq!(refused(breakdown(&["household"])), PlanError::OpenDomain("household".into()));
    assert_eq!(refused(breakdown(&["order"])), PlanError::EventType("order".into()));
    assert_eq!(refused(breakdown(&[])), PlanError::FieldCount(0));
    let four = ["age_band", "newsletter", "order.channel", "order.category"];
    assert_eq!(refused(breakdown(&four)), PlanError::FieldCount(4));
    assert_eq!(refused(breakdown(&["age_band", "age_band"])), PlanError::Repeated("age_band".into()));
    assert_eq!(refused(portrait(&[])), PlanError::TableCount(0));
    assert_eq!(planned(Kind::Size, 0).unwrap_err(), PlanError::Price);
    assert_eq!(planned(Kind::Size, 1_000_000_000_000_001).unwrap_err(), PlanError::Price);
}

#[test]
fn an_accuracy_has_a_price_and_keeps_it() {
    let amount = fields(&["order.amount"])[0];
    let sum = Kind::Table {
        measures: vec![Measure::Sum { field: amount, bound: 50_000 }],
        by: vec![],
        window: Window::Ever,
        weighed: false,
    };
    for kind in [Kind::Size, portrait(&["age_band", "newsletter"]), breakdown(&["order.category"])] {
        for half_width in [1_u32, 3, 10, 44, 500] {
            let price = price_for(&schema(), &kind, half_width);
            let Ok(price) = price else {
                assert_eq!((price, half_width), (Err(PlanError::Price), 1));
                continue;
            };
            let plan = planned(kind.clone(), price.0).unwrap();
            let units = u64::from(half_width) * 1024;
            assert!(plan.half_width_1024() <= units, "{half_width} at {price:?}");
            assert!(plan.half_width_1024() * 1000 >= units * 998, "{half_width} is not overpaid at {price:?}");
        }
    }
    // In units of what the first table counts.
    let price = price_for(&schema(), &sum, 100_000).unwrap();
    let half_width = planned(sum, price.0).unwrap().half_width_1024();
    assert!((99_900 * 1_024..=100_000 * 1_024).contains(&half_width), "{half_width}");
}

fn orders(measures: Vec<Measure>, by: Vec<By>) -> Kind {
    Kind::Table { measures, by, window: Window::Ever, weighed: false }
}

#[test]
fn each_kind_has_its_cells_and_its_bound() {
    let segment = || Segment::everyone();
    let [age, newsletter, category, amount, household] =
        ["age_band", "newsletter", "order.category", "order.amount", "household"].map(|path| fields(&[path])[0]);
    let order = schema().event("order").unwrap().id;
    let days = vec![0, 7, 14, 21];
    let window = Window::Ever;
    let periods = || By::Periods { event: order, days: days.clone() };
    let whole = |of| Kind::Profile {
        of,
        fields: vec![age, category],
        bands: vec![vec![segment(); 4], vec![segment(); 2]],
        times: Some(Times { event: order, hours: true, weekdays: true, days: (0..7).collect() }),
        window,
    };
    let bounds = [
        (Kind::Contrast { of: segment(), fields: vec![age, category], window }, 2 * 5 + 2 * 5, 1 + 3),
        (whole(Some(segment())), 2 * (5 + 5 + 5 + 3 + 24 + 7 + 6), 1 + 3 + 1 + 1 + 4 + 3 + 4),
        (whole(None), 5 + 5 + 5 + 3 + 24 + 7 + 6, 1 + 3 + 1 + 1 + 4 + 3 + 4),
        (Kind::Funnel { steps: vec![segment(), segment(), segment()] }, 4, 1),
        (Kind::Overlap { others: vec![segment(), segment()] }, 4, 1),
        (Kind::Bands { lists: vec![vec![segment(); 4], vec![segment(); 2]] }, 5 * 3, 1),
        (orders(vec![Measure::People], vec![periods()]), 3, 3),
        (orders(vec![Measure::People], vec![By::Hours(order)]), 24, 8),
        (orders(vec![Measure::People], vec![By::Hours(order), By::Weekdays(order)]), 24 * 7, 8 * 7),
        (orders(vec![Measure::People], vec![By::Field(age), By::Field(newsletter), By::Field(category)]), 75, 3),
        (orders(vec![Measure::People], vec![By::Bins { field: household, edges: vec![1, 3] }]), 4, 1),
        (Kind::Retention { event: order, days: days.clone() }, 4 * 3, 3),
        (Kind::Norms { of: amount, by: vec![By::Field(age), periods()], window, edges: vec![1, 50, 400] }, 4, 1),
        (Kind::Norms { of: FieldRef::Event(order), by: vec![], window, edges: vec![3] }, 2, 1),
    ];
    for (kind, cells, bound) in bounds {
        let plan = planned(kind, 1_000_000).unwrap();
        assert_eq!((plan.cells(), people(&plan)), (cells, bound), "{plan:?}");
    }
    // In fine units: events have two fifths of the price and sums three, to a part in the bound.
    let both = vec![Measure::Events { event: order, bound: 12 }, Measure::Sum { field: amount, bound: 50_000 }];
    let plan = planned(orders(both, vec![By::Field(category)]), 1_000_000).unwrap();
    let full = 5.0 / 3.0 * 2_f64.powi(72);
    assert!(plan.norm_squared() as f64 <= full && plan.norm_squared() as f64 > full * 0.999_9);
    let tables = plan.lay_out(&Drawn { cells: vec![1 << 36; 10], places: None });
    // 2^36 fine units are nearly the bound of sums, and that of events times sqrt(3 / 2).
    assert_eq!(tables[0].cells[0].noised, 15_050);
    assert_eq!(tables[1].cells[0].noised.div_euclid(1_024), 50_000);
    let [events, sums] = [0, 1].map(|table| tables[table].noise.unwrap());
    // sqrt(5 / 3) * 50,000 / sqrt(2 rho) = 1,443,376 and sqrt(5 / 2) * 12 / sqrt(2 rho) = 424.26.
    assert!((1_443_374..=1_443_379).contains(&(sums.sigma_1024 / 1_024)), "{sums:?}");
    assert!((434_440..=434_450).contains(&events.sigma_1024), "{events:?}");
    // Alone, either costs what it costs whatever its parts: 12 / sqrt(2 rho) = 268.33.
    let alone = planned(orders(vec![Measure::Events { event: order, bound: 12 }], vec![]), 1_000_000).unwrap();
    assert!((274_768..=274_774).contains(&alone.sigma_1024()), "{alone:?}");
    let mean = planned(Kind::Mean { field: household }, 1_000_000).unwrap();
    assert_eq!(mean.cells(), 2);
    assert_eq!(
        mean.lay_out(&Drawn { cells: vec![0, 0], places: None })[1].counted,
        Counted::Value(schema().attribute("household").unwrap().column, 6)
    );
    // From 1 to 12 around 6: squares of 36 at most, less 18. Parts of two, three and two of seven.
    let spread = planned(Kind::Spread { field: household }, 1_000_000).unwrap();
    let full = 7.0 / 3.0 * 2_f64.powi(72);
    assert!(spread.norm_squared() as f64 <= full && spread.norm_squared() as f64 > full * 0.999_9);
    let table = &spread.lay_out(&Drawn { cells: vec![0, 0, 0], places: None })[2];
    let column = schema().attribute("household").unwrap().column;
    assert_eq!(table.counted, Counted::Square { column, shift: 0, middle: 18 });
    // sqrt(7 / 2) * 18 / sqrt(2 rho) = 752.99.
    assert!((771_060..=771_070).contains(&table.noise.unwrap().sigma_1024), "{table:?}");
}

#[test]
fn a_selection_is_paid_for_beside_its_counts() {
    let category = fields(&["order.category"])[0];
    let plan = planned(Kind::Top { field: category, k: 2, window: Window::Ever }, 1_000_001).unwrap();
    assert_eq!((plan.cells(), plan.scanned_cells(), people(&plan)), (2, 5, 2));
    assert_eq!((plan.top().unwrap().selection, plan.noise_rho()), (NanoRho(500_000), NanoRho(500_001)));
    let tables = plan.lay_out(&Drawn { cells: vec![9 * UNIT, 8 * UNIT], places: Some(vec![3, 1]) });
    assert_eq!(tables[0].cells[0], Cell { codes: vec![3], noised: 9 * UNIT });
    assert_eq!(tables[0].cells[1], Cell { codes: vec![1], noised: 8 * UNIT });
    let kind = Kind::Top { field: category, k: 2, window: Window::Ever };
    let price = price_for(&schema(), &kind, 40).unwrap();
    let half_width = planned(kind, price.0).unwrap().half_width_1024();
    assert!((39 * 1_024..=40 * 1_024).contains(&half_width), "{half_width}");
}

#[test]
fn new_kinds_that_have_no_plan_say_why() {
    let refused = |kind| planned(kind, 1_000_000).unwrap_err();
    let [age, amount, view, order] = ["age_band", "order.amount", "view", "order"].map(|path| fields(&[path])[0]);
    let (FieldRef::Event(viewed), FieldRef::Event(ordered)) = (view, order) else { unreachable!("events") };
    let days = |days: &[i32]| orders(vec![Measure::People], vec![By::Periods { event: ordered, days: days.to_vec() }]);
    assert_eq!(refused(Kind::Funnel { steps: vec![] }), PlanError::Steps(0));
    assert_eq!(refused(Kind::Overlap { others: vec![Segment::everyone(); 5] }), PlanError::Overlap(5));
    assert_eq!(refused(Kind::Bands { lists: vec![vec![]] }), PlanError::Bands(0));
    assert_eq!(refused(Kind::Bands { lists: vec![] }), PlanError::FieldCount(0));
    assert_eq!(refused(orders(vec![], vec![])), PlanError::Measures(0));
    for wrong in [&[][..], &[1], &[1, 1], &[2, 1]] {
        assert_eq!(refused(days(wrong)), PlanError::Days);
    }
    let sum = |field, bound| Measure::Sum { field, bound };
    assert_eq!(refused(orders(vec![sum(amount, 0)], vec![])), PlanError::Bound);
    assert_eq!(refused(orders(vec![sum(amount, u64::MAX)], vec![])), PlanError::Bound);
    assert_eq!(refused(orders(vec![sum(age, 1)], vec![])), PlanError::NotSummed("age_band".into()));
    assert_eq!(refused(orders(vec![sum(amount, 1), Measure::People], vec![])), PlanError::PeopleAlone);
    let viewed_by_hour = vec![By::Hours(viewed)];
    assert_eq!(refused(orders(vec![sum(amount, 1)], viewed_by_hour.clone())), PlanError::TwoEvents);
    let crossed = viewed_by_hour.into_iter().chain([By::Hours(ordered)]).collect();
    assert_eq!(refused(orders(vec![Measure::People], crossed)), PlanError::TwoEvents);
    let whole = |times, bands| Kind::Profile { of: None, fields: vec![], bands, times, window: Window::Ever };
    let times = |days| Times { event: ordered, hours: false, weekdays: false, days };
    assert_eq!(refused(whole(None, vec![])), PlanError::TableCount(0));
    assert_eq!(refused(whole(Some(times(vec![])), vec![])), PlanError::TableCount(0));
    assert_eq!(refused(whole(Some(times(vec![2, 1])), vec![])), PlanError::Days);
    assert_eq!(refused(whole(None, vec![vec![]])), PlanError::Bands(0));
    for k in [0, 5, 51] {
        let top = Kind::Top { field: age, k, window: Window::Ever };
        assert_eq!(refused(top), PlanError::Top(k as usize), "there are four bands");
    }
    let norms = |of, by, edges: &[u64]| Kind::Norms { of, by, window: Window::Ever, edges: edges.to_vec() };
    let many: Vec<u64> = (1..66).collect();
    for wrong in [&[][..], &[0, 1], &[2, 1], &[1, 1], &many] {
        assert_eq!(refused(norms(amount, vec![], wrong)), PlanError::Norms);
    }
    assert_eq!(refused(norms(age, vec![], &[1])), PlanError::NotSummed("age_band".into()));
    assert_eq!(refused(norms(amount, vec![By::Hours(viewed)], &[1])), PlanError::TwoEvents);
    let long = By::Periods { event: ordered, days: (0..400).collect() };
    let huge = vec![long, By::Hours(ordered), By::Weekdays(ordered)];
    assert_eq!(refused(norms(order, huge, &[1])), PlanError::TooManyCells(399 * 24 * 7));
    assert_eq!(refused(Kind::Spread { field: amount }), PlanError::NotSummed("order.amount".into()));
    assert_eq!(refused(Kind::Mean { field: age }), PlanError::NotSummed("age_band".into()));
    let edges = By::Bins { field: fields(&["household"])[0], edges: vec![3, 3] };
    assert_eq!(refused(orders(vec![Measure::People], vec![edges])), PlanError::Edges);
}

#[test]
fn the_library_never_maps_above_the_charge() {
    let mut dice = crate::scan::tests::Dice(9);
    for _ in 0..300 {
        let magnitude = 1 + dice.below(29);
        let rho = 1 + dice.below(1 << magnitude);
        let plan = planned(portrait(&["age_band", "order.category", "newsletter"]), rho).unwrap();
        let domain = VectorDomain::new(AtomDomain::<i64>::new_non_nan());
        let sigma = plan.sigma_1024() as f64;
        let mechanism =
            make_gaussian::<_, _, ZeroConcentratedDivergence>(domain, L2Distance::<f64>::default(), sigma, None)
                .unwrap();
        let loss = mechanism.map(&distance(plan.norm_squared())).unwrap();
        assert!(nano_up(loss) <= rho, "{loss} for {rho} nano-rho");
        let exact = 5.0 * (UNIT * UNIT) as f64 / (2.0 * sigma * sigma);
        assert!(loss >= exact * (1.0 - 1e-12), "{loss} is at least {exact}");
    }
}

#[test]
fn less_noise_than_was_paid_for_is_refused() {
    let plan = planned(Kind::Size, 1_000_000).unwrap();
    let at = |sigma| gaussian(&[0], PERSON, sigma, 1_000_000).map(|cells| cells.len());
    assert_eq!(at(plan.sigma_1024()), Ok(1));
    assert_eq!(at(plan.sigma_1024() - 2), Err(DrawError::Overcharge));
    assert_eq!(draw(&plan, &Partial::zero(2)), Err(DrawError::Shape));
}

#[test]
fn cells_are_laid_out_in_code_order() {
    let plan = planned(breakdown(&["newsletter", "age_band"]), 1_000_000).unwrap();
    let noised: Vec<i64> = (0..15).collect();
    let tables = plan.lay_out(&Drawn { cells: noised, places: None });
    assert_eq!(tables.len(), 1);
    assert_eq!(tables[0].cells[0].codes, [0, 0]);
    assert_eq!((tables[0].cells[7].codes.as_slice(), tables[0].cells[7].noised), ([1, 2].as_slice(), 7));
    assert_eq!(tables[0].cells[14].codes, [2, 4]);
}

/// Draws `n` times at `sigma` units, at whatever price.
fn noise(n: usize, sigma: u64) -> Vec<i64> {
    gaussian(&vec![0; n], PERSON, sigma, u64::MAX).unwrap()
}

#[test]
fn half_widths_cover_as_they_say() {
    // N = 20,000 draws of a real scale: coverage within 5 standard deviations of 0.95, spread within 5 of sigma.
    const N: usize = 20_000;
    let plan = planned(Kind::Size, 1_000_000).unwrap();
    let draws = noise(N, plan.sigma_1024());
    let covered = draws.iter().filter(|draw| draw.unsigned_abs() <= plan.half_width_1024()).count();
    let expected = 0.95 * N as f64;
    assert!((covered as f64 - expected).abs() < 5.0 * (expected * 0.05).sqrt(), "{covered} of {N}");
    let variance = draws.iter().map(|draw| (*draw as f64).powi(2)).sum::<f64>() / N as f64;
    let ratio = variance / (plan.sigma_1024() as f64).powi(2);
    assert!((ratio - 1.0).abs() < 5.0 * (2.0 / N as f64).sqrt(), "variance ratio {ratio}");
}

#[test]
fn losses_convert_to_known_epsilons() {
    let near = |rho: u64, delta: f64, epsilon: f64| {
        let got = epsilon_for(NanoRho(rho), delta).unwrap();
        assert!((got / epsilon - 1.0).abs() < 0.01, "{got} for {epsilon}");
    };
    near(20_190_000, 1e-7, 1.0);
    near(14_970_000, 1e-9, 1.0);
    near(74_200_000, 1e-7, 2.0);
    near(200_000_000, 1e-9, 3.9);
    assert_eq!(epsilon_for(NanoRho(0), 1e-9), Ok(0.0));
    assert_eq!(epsilon_for(NanoRho(1), -1.0), Err(LossError));
}

mod display {
    use super::super::display::*;
    use super::*;
    use policy::id::EpochId;

    fn answer(tables: Vec<Vec<i64>>) -> Answer {
        let cell = |(code, noised): (usize, &i64)| Cell { codes: vec![code as u16], noised: *noised };
        let attribute = vec![Dimension::Attribute(schema().attribute("age_band").unwrap().column)];
        let table = |cells: Vec<i64>| Table {
            by: attribute.clone(),
            cells: cells.iter().enumerate().map(cell).collect(),
            counted: Counted::People,
            noise: None,
            weights: vec![],
        };
        Answer {
            version: 1,
            release: String::new(),
            epoch: EpochId(1),
            as_of_seconds: 0,
            tables: tables.into_iter().map(table).collect(),
            sigma_1024: 1_024,
            half_width_1024: 2_008,
            rho: NanoRho(1),
            not_private: false,
            leaf: 0,
            parts: Vec::new(),
        }
    }

    #[test]
    fn tables_with_fewer_cells_weigh_more_in_the_total() {
        let answer = answer(vec![vec![50 * UNIT; 2], vec![30 * UNIT; 4]]);
        let total = shared_total(&answer).unwrap();
        // (100 / 2 + 120 / 4) / (1 / 2 + 1 / 4)
        assert_eq!(total.value / UNIT, 106);
        // sqrt(1 / (1 / 2 + 1 / 4)) = 1.155 people
        assert_eq!(total.sigma, 1_183);
    }

    #[test]
    fn what_is_shown_adds_up_and_is_never_negative() {
        let answer = answer(vec![vec![-3 * UNIT, 99 * UNIT], vec![60 * UNIT, 60 * UNIT]]);
        let total = shared_total(&answer).unwrap();
        let cells = shown(&answer, &answer.tables[1], Some(total));
        assert_eq!(cells.iter().map(|cell| cell.people).sum::<u64>(), 108);
        assert_eq!(cells[0].unclamped, 60);
        let negative = &shown(&answer, &answer.tables[0], None)[0];
        assert_eq!((negative.people, negative.low, negative.high, negative.unclamped), (0, 0, 0, -3));
    }

    #[test]
    fn members_and_the_rest_have_a_total_each_and_both_add_up() {
        let age = || Dimension::Attribute(schema().attribute("age_band").unwrap().column);
        let order = schema().event("order").unwrap().id;
        let cells = |list: &[(u16, u16, i64)]| {
            list.iter()
                .map(|(member, code, people)| Cell { codes: vec![*member, *code], noised: people * UNIT })
                .collect()
        };
        let table = |by, cells| Table {
            by: vec![Dimension::Member, by],
            cells,
            counted: Counted::People,
            noise: None,
            weights: vec![],
        };
        let tables = vec![
            table(age(), cells(&[(0, 0, 80), (0, 1, 20), (1, 0, 6), (1, 1, 4)])),
            table(age(), cells(&[(0, 0, 100), (0, 1, 20), (1, 0, 9), (1, 1, 5)])),
            table(Dimension::Weekdays(order), cells(&[(0, 0, 7), (1, 0, 3)])),
        ];
        let answer = Answer { tables, ..answer(vec![]) };
        let total = shared_total(&answer).unwrap();
        let halves = [0, 1].map(|member| shared_total(&half(&answer, member)).unwrap().value / UNIT);
        assert_eq!((halves, total.value / UNIT), ([110, 12], 122));
        let people = |table: usize| {
            let cells = shown(&answer, &answer.tables[table], Some(total));
            cells.iter().map(|cell| cell.people).collect::<Vec<_>>()
        };
        assert_eq!(people(0), [85, 25, 7, 5]);
        assert_eq!(people(1), [95, 15, 8, 4]);
        assert_eq!(people(2), [7, 3], "not everyone did something");
        let moved = consistent(&answer);
        let sums = [0, 1].map(|table: usize| {
            let sum = |member: u16| moved.tables[table].cells.iter().filter(move |cell| cell.codes[0] == member);
            [0, 1].map(|member| sum(member).map(|cell| cell.noised / UNIT).sum::<i64>())
        });
        assert_eq!((sums, moved.tables[2] == answer.tables[2]), ([[110, 12]; 2], true));
        // What would fall below nothing becomes nothing, and the others take it over.
        let one =
            Answer { tables: vec![table(age(), cells(&[(0, 0, 9), (1, 0, -20), (1, 1, 30), (1, 2, 14)]))], ..answer };
        let half = half(&one, 1);
        let fitted = consistent(&half);
        let people: Vec<i64> = fitted.tables[0].cells.iter().map(|cell| cell.noised / UNIT).collect();
        assert_eq!(people, [0, 20, 4], "of 24 in all");
        let mut none = half.clone();
        none.tables[0].cells[2].noised = -40 * UNIT;
        assert!(consistent(&none).tables[0].cells.iter().all(|cell| cell.noised == 0), "of fewer than nobody");
    }

    #[test]
    fn a_funnel_adds_up_from_its_end() {
        let answer = answer(vec![vec![50 * UNIT, 30 * UNIT, -2 * UNIT, 10 * UNIT]]);
        let reached = reached(&answer, &answer.tables[0]);
        let people: Vec<i64> = reached.iter().map(|step| step.value / UNIT).collect();
        assert_eq!(people, [88, 38, 8, 10]);
        assert_eq!(reached.iter().map(|step| step.sigma).collect::<Vec<_>>(), [2_049, 1_774, 1_449, 1_025]);
        assert_eq!(falling(&people), [88, 38, 9, 9]);
        assert_eq!(falling(&[-5, 3, 3, -10]), [0, 0, 0, 0]);
        assert_eq!(falling(&[1, 2, 6]), [3, 3, 3]);
    }

    #[test]
    fn small_gaps_are_no_difference() {
        let at = |value| Estimate { value, sigma: 1_000 };
        assert!(!differ(at(0), at(2_771)));
        assert!(differ(at(0), at(2_773)));
    }
}
