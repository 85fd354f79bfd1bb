//! Plans, prices, the map and the noise. Statistical tests name their N and alpha; noise can't be seeded.

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
"#;

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

#[test]
fn known_prices_give_known_half_widths() {
    // rho 0.001 for a size: 1.96 / sqrt(2 * 0.001) = 43.8 people.
    let size = planned(Kind::Size, 1_000_000).unwrap();
    assert_eq!((size.cells(), size.sensitivity_squared()), (1, 1));
    assert_eq!(size.half_width_1024() / 1024, 43);
    // Two attributes and an event field of three values: D^2 = 5.
    let portrait = planned(portrait(&["age_band", "newsletter", "order.category"]), 10_000_000).unwrap();
    assert_eq!((portrait.cells(), portrait.sensitivity_squared()), (13, 5));
    assert_eq!(portrait.sigma_1024() / 1024, 15);
    assert_eq!(planned(breakdown(&["order.channel"]), 1).unwrap().sensitivity_squared(), 2);
    assert_eq!(planned(breakdown(&["order.category", "age_band"]), 1).unwrap().sensitivity_squared(), 3);
    assert_eq!(planned(breakdown(&["age_band", "newsletter"]), 1).unwrap().sensitivity_squared(), 1);
}

#[test]
fn what_has_no_plan_says_why() {
    let refused = |kind| planned(kind, 1_000_000).unwrap_err();
    assert_eq!(refused(breakdown(&["member_no"])), PlanError::Identifier("member_no".into()));
    assert_eq!(refused(breakdown(&["household"])), PlanError::OpenDomain("household".into()));
    assert_eq!(refused(breakdown(&["order"])), PlanError::EventType("order".into()));
    assert_eq!(refused(breakdown(&[])), PlanError::FieldCount(0));
    assert_eq!(refused(breakdown(&["age_band", "newsletter", "order.channel"])), PlanError::FieldCount(3));
    assert_eq!(refused(breakdown(&["age_band", "age_band"])), PlanError::Repeated("age_band".into()));
    assert_eq!(refused(breakdown(&["order.category", "order.channel"])), PlanError::TwoEventFields);
    assert_eq!(refused(portrait(&[])), PlanError::TableCount(0));
    assert_eq!(planned(Kind::Size, 0).unwrap_err(), PlanError::Price);
    assert_eq!(planned(Kind::Size, 1_000_000_000_000_001).unwrap_err(), PlanError::Price);
}

#[test]
fn an_accuracy_has_a_price_and_keeps_it() {
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
        let loss = mechanism.map(&distance(plan.sensitivity_squared())).unwrap();
        assert!(nano_up(loss) <= rho, "{loss} for {rho} nano-rho");
        let exact = 5.0 * (UNIT * UNIT) as f64 / (2.0 * sigma * sigma);
        assert!(loss >= exact * (1.0 - 1e-12), "{loss} is at least {exact}");
    }
}

#[test]
fn less_noise_than_was_paid_for_is_refused() {
    let plan = planned(Kind::Size, 1_000_000).unwrap();
    let at = |sigma| gaussian(&[0], 1, sigma, 1_000_000).map(|cells| cells.len());
    assert_eq!(at(plan.sigma_1024()), Ok(1));
    assert_eq!(at(plan.sigma_1024() - 2), Err(DrawError::Overcharge));
    assert_eq!(draw(&plan, &Partial::zero(2)), Err(DrawError::Shape));
}

#[test]
fn cells_are_laid_out_in_code_order() {
    let plan = planned(breakdown(&["newsletter", "age_band"]), 1_000_000).unwrap();
    let noised: Vec<i64> = (0..15).collect();
    let tables = plan.lay_out(&noised);
    assert_eq!(tables.len(), 1);
    assert_eq!(tables[0].cells[0].codes, [0, 0]);
    assert_eq!((tables[0].cells[7].codes.as_slice(), tables[0].cells[7].noised), ([1, 2].as_slice(), 7));
    assert_eq!(tables[0].cells[14].codes, [2, 4]);
}

/// Draws `n` times at `sigma` units, at whatever price.
fn noise(n: usize, sigma: u64) -> Vec<i64> {
    gaussian(&vec![0; n], 1, sigma, u64::MAX).unwrap()
}

#[test]
fn the_noise_is_a_discrete_gaussian() {
    // Chi-square over -3 sigma ..= 3 sigma and two tails; N = 60,000 and alpha = 1e-6 for each scale.
    const N: usize = 60_000;
    for sigma in [1_u64, 3] {
        let reach = 3 * sigma as i64;
        let density = |k: i64| (-((k * k) as f64) / (2 * sigma * sigma) as f64).exp();
        let total: f64 = (-40 * sigma as i64..=40 * sigma as i64).map(density).sum();
        let mut observed = vec![0_f64; 2 * reach as usize + 3];
        for draw in noise(N, sigma) {
            observed[(draw.clamp(-reach - 1, reach + 1) + reach + 1) as usize] += 1.0;
        }
        let inner: Vec<f64> = (-reach..=reach).map(|k| density(k) / total * N as f64).collect();
        let tail = (N as f64 - inner.iter().sum::<f64>()) / 2.0;
        let expected: Vec<f64> = [tail].into_iter().chain(inner).chain([tail]).collect();
        let chi: f64 = observed.iter().zip(&expected).map(|(o, e)| (o - e).powi(2) / e).sum();
        // Wilson and Hilferty's approximation of the quantile; 4.753 is the normal one at 1 - 1e-6.
        let freedom = expected.len() as f64 - 1.0;
        let bound = freedom * (1.0 - 2.0 / (9.0 * freedom) + 4.753 * (2.0 / (9.0 * freedom)).sqrt()).powi(3);
        assert!(chi < bound, "sigma {sigma}: chi-square {chi} against {bound}");
    }
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
        let attribute = fields(&["age_band"]);
        let table =
            |cells: Vec<i64>| Table { by: attribute.clone(), cells: cells.iter().enumerate().map(cell).collect() };
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
    fn small_gaps_are_no_difference() {
        let at = |value| Estimate { value, sigma: 1_000 };
        assert!(!differ(at(0), at(2_771)));
        assert!(differ(at(0), at(2_773)));
    }
}
