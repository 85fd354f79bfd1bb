//! A pilot: a first, coarse look at a table of events and sums, for a small part of its price, after which frequent cells are
//! told more coarsely and rare ones more finely.
//!
//! # Privacy
//! The pilot is a release of its own: the same cells, events counted, everybody's vector scaled down to a length of one event, noise
//! for [`SHARE`] of the price, drawn under the same consent checks. Weights are post-processing of its noised cells. They are
//! fixed before the main scan begins, so for each value that they can have, the main release is the one that `super` proves: a
//! subject's weighted vector is clipped to a norm (`scan::weights`), and the noise costs what is left of the price. Adaptive
//! composition adds both (Whitehouse, Ramdas, Rogers and Wu 2023). Weights are part of the answer, and so is what follows
//! from them; the pilot's cells are not.
//!
//! # Accuracy
//! With weights `1 / s_i` a cell's noise has the deviation `s_i b`, where the bound `b` limits the norm of `x_i / s_i`. To keep
//! the sum of variances, `b^2 sum s_i^2`, small where `sum E(x_i^2) / s_i^2` is about `b^2`, Cauchy and Schwarz say
//! `s_i^2 ~ sqrt(E(x_i^2))`. Of a number of events with mean `m`, `E(x^2)` is between `m` (rare) and `m^2` (frequent), so `s_i` is
//! between the fourth root and the square root of the cell's size: the cube root is taken. Even cells lose the pilot's part, 1.6 %
//! of their accuracy; cells after Zipf's law gain 20-30 % (`bench -- accuracy`), since bounds can be smaller too.
//!
//! Weights are scaled so that the mean of the variances over cells is that of even weights, rounded in its favor: the stated
//! half-width is the root of that mean, and is known before anything is spent.
//!
//! Which tables: those of events and sums over fields of events alone, with [`LEAST_CELLS`] cells or more, that are asked to be
//! weighed. They are not unless it is asked, since a bound means something else then: whoever has all they have in one rare cell
//! counts for less of it, and in a frequent one for more. Where a dimension is over subjects, somebody is in one row of the
//! table and a bound would mean other things in other rows; periods and hours are too even to gain.

use super::draw::Drawn;
use super::plan::Plan;
use super::question::{By, Kind, Measure};
use crate::scan::Weights;
use policy::privacy::NanoRho;
use policy::schema::FieldRef;

/// One part of so many of the price is for the pilot.
const SHARE: u64 = 32;

/// Fewest cells that are weighed.
const LEAST_CELLS: usize = 4;

/// A cell is taken to be at least one part of so many of the mean: the cube root of this is 8.
const LEAST_PART: i128 = 512;

/// Bits after the point of a cube root.
const FRACTION: u32 = 12;

/// Returns the price of the pilot of a question at a price.
pub(super) fn price_of(rho: NanoRho) -> NanoRho {
    NanoRho(rho.0 / SHARE)
}

/// Returns the least price of which so much is left after the pilot.
pub(super) fn price_with(noise: u128) -> u128 {
    noise.saturating_mul(SHARE.into()).div_ceil((SHARE - 1).into())
}

/// Returns what the pilot of a kind asks, if it has one.
pub(super) fn of(kind: &Kind, cells: usize) -> Option<Kind> {
    let Kind::Table { measures, by, window, weighed: true } = kind else { return None };
    let is_field = |by: &By| matches!(by, By::Field(FieldRef::EventField(..)));
    if cells < LEAST_CELLS || by.is_empty() || !by.iter().all(is_field) {
        return None;
    }
    let event = measures.iter().find_map(|measure| match measure {
        Measure::Events { event, .. } | Measure::Sum { field: FieldRef::EventField(event, _), .. } => Some(*event),
        Measure::People | Measure::Sum { .. } => None,
    })?;
    Some(Kind::Table {
        measures: vec![Measure::Events { event, bound: 1 }],
        by: by.clone(),
        window: *window,
        weighed: false,
    })
}

/// Returns the weights of cells after what was drawn for a pilot.
pub(crate) fn weigh(pilot: &Plan, drawn: &Drawn) -> Weights {
    let cells = i128::try_from(drawn.cells.len()).unwrap_or(i128::MAX).max(1);
    let mean = drawn.cells.iter().map(|cell| i128::from(*cell)).sum::<i128>() / cells;
    // What noise can't tell from nothing is not told from nothing.
    let floor = (mean / LEAST_PART).max(i128::from(pilot.sigma())).max(1);
    let roots: Vec<u128> = drawn.cells.iter().map(|cell| root(i128::from(*cell).max(floor).unsigned_abs())).collect();
    let squares = roots.iter().map(|root| root * root).sum::<u128>() / cells.unsigned_abs();
    // The root of the mean square of all, which the weight of one is for.
    let middle = (squares << (2 * FRACTION)).isqrt() + 1;
    let weight = |root: &u128| (u128::from(Weights::ONE) * middle).div_ceil((root << FRACTION).max(1));
    let weights: Vec<u16> = roots.iter().map(|root| u16::try_from(weight(root)).unwrap_or(u16::MAX)).collect();
    Weights::new(&weights)
}

/// The cube root of a cell, with so many bits after the point.
fn root(cell: u128) -> u128 {
    let cube = cell.min(1 << 63) << (3 * FRACTION);
    let (mut low, mut high) = (0_u128, 1 << 36);
    while low + 1 < high {
        let middle = low.midpoint(high);
        if middle * middle * middle <= cube { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::release::{PlanError, Question, plan, price_for};
    use policy::schema::Schema;
    use policy::segment::{Segment, Window};

    fn schema() -> Schema {
        policy::schema::parse(include_str!("../../../deploy/datasets/coop/schema.toml")).unwrap()
    }

    fn by_category(schema: &Schema) -> Kind {
        let [field, amount] = ["order.category", "order.amount"].map(|path| schema.resolve(path).unwrap());
        let FieldRef::EventField(event, _) = field else { unreachable!("of an event") };
        let measures = vec![Measure::Events { event, bound: 8 }, Measure::Sum { field: amount, bound: 40_000 }];
        Kind::Table { measures, by: vec![By::Field(field)], window: Window::Ever, weighed: true }
    }

    fn asked(schema: &Schema, kind: Kind, rho: u64) -> Result<Plan, PlanError> {
        let (universe, segment, dataset) = (Segment::everyone(), Segment::everyone(), schema.dataset.clone());
        plan(schema, &Question { dataset, universe, segment, kind, rho: NanoRho(rho) })
    }

    fn planned(schema: &Schema, kind: Kind, rho: u64) -> Plan {
        asked(schema, kind, rho).unwrap()
    }

    /// What a pilot draws where noise is nothing: events by cell.
    fn drawn(pilot: &Plan, events: &[i64]) -> Drawn {
        let per_one = i64::try_from(pilot.norm_squared().isqrt()).unwrap();
        Drawn { cells: events.iter().map(|events| events * per_one).collect(), places: None }
    }

    /// The variance of the noise of a cell, in that of even ones.
    fn variances(weights: &Weights) -> Vec<f64> {
        weights.as_slice().iter().map(|weight| (f64::from(Weights::ONE) / f64::from(*weight)).powi(2)).collect()
    }

    #[test]
    fn frequent_cells_are_told_more_coarsely_and_the_mean_of_the_variances_stays() {
        let schema = schema();
        let plan = planned(&schema, by_category(&schema), 10_000_000);
        let pilot = plan.pilot().unwrap();
        let cells = plan.cells() / 2;
        for spread in [1.0, 2.0] {
            let events: Vec<i64> = (1..=cells).map(|rank| (1e6 / (rank as f64).powf(spread)) as i64).collect();
            let weights = weigh(pilot, &drawn(pilot, &events));
            let variances = variances(&weights);
            let mean = variances.iter().sum::<f64>() / cells as f64;
            assert!((0.9..=1.0).contains(&mean), "{mean} of {weights:?}");
            assert!(variances.windows(2).all(|pair| pair[0] >= pair[1]), "{variances:?}");
            // The cube root of the size is what deviations are in the ratio of.
            let ratio = (variances[0] / variances[cells - 1]).sqrt() / (cells as f64).powf(spread / 3.0);
            assert!((0.9..1.1).contains(&ratio), "{ratio}");
            let weighed = plan.weighed(&weights).unwrap();
            assert!(weighed.sigma_1024() <= plan.sigma_1024() + 1 && weighed.noise_rho() == plan.noise_rho());
            assert!(weighed.norm_squared() <= 2 * u128::from(crate::scan::MAX_NORM).pow(2));
        }
    }

    #[test]
    fn what_noise_hides_is_weighed_evenly() {
        let schema = schema();
        let plan = planned(&schema, by_category(&schema), 10_000_000);
        let pilot = plan.pilot().unwrap();
        let sigma = i64::try_from(pilot.sigma()).unwrap();
        let noise: Vec<i64> = (0..plan.cells() as i64 / 2).map(|cell| sigma * (cell % 3 - 2) / 2).collect();
        let weights = weigh(pilot, &Drawn { cells: noise, places: None });
        assert!(weights.as_slice().iter().all(|weight| (64..=65).contains(weight)), "{weights:?}");
        // An empty cell among large ones is told as finely as can be, and the extremes overflow nothing.
        let weights = weigh(pilot, &Drawn { cells: vec![i64::MAX, i64::MAX, i64::MIN, 0], places: None });
        assert_eq!(weights.as_slice()[2], weights.as_slice()[3]);
        assert!(weights.as_slice()[2] > 4 * weights.as_slice()[0], "{weights:?}");
    }

    #[test]
    fn a_pilot_and_what_follows_cost_the_price() {
        let schema = schema();
        let plan = planned(&schema, by_category(&schema), 10_000_000);
        let pilot = plan.pilot().unwrap();
        assert_eq!((pilot.rho().0, plan.noise_rho().0, plan.rho().0), (312_500, 9_687_500, 10_000_000));
        assert_eq!(pilot.pilot(), None);
        // A half-width that is asked for is had at the price that is named.
        for half_width in [5, 44, 300] {
            let rho = price_for(&schema, &by_category(&schema), half_width).unwrap();
            let had = planned(&schema, by_category(&schema), rho.0).half_width_1024();
            assert!(had <= u64::from(half_width) * 1_024 && had > u64::from(half_width) * 1_000, "{half_width}: {had}");
        }
        // At the least price there is nothing to divide.
        assert_eq!(asked(&schema, by_category(&schema), 31), Err(PlanError::Price));
    }

    #[test]
    fn only_tables_of_events_by_fields_of_events_have_one() {
        let schema = schema();
        let Kind::Table { measures, by, window, .. } = by_category(&schema) else { unreachable!("a table") };
        let Some(FieldRef::EventField(event, _)) = schema.resolve("order.category") else {
            unreachable!("of an event")
        };
        let has = |measures: &[Measure], by: Vec<By>| {
            let kind = Kind::Table { measures: measures.to_vec(), by, window, weighed: true };
            match asked(&schema, kind, 10_000_000) {
                Ok(plan) => plan.half_widths_differ(),
                Err(problem) => {
                    assert_eq!(problem, PlanError::NotWeighed);
                    false
                }
            }
        };
        assert!(has(&measures, by.clone()) && has(&measures[1..], by.clone()));
        // Nor where it was not asked for.
        let plain = Kind::Table { measures: measures.clone(), by: by.clone(), window, weighed: false };
        assert!(!planned(&schema, plain, 10_000_000).half_widths_differ());
        assert!(!has(&[Measure::People], by.clone()));
        assert!(!has(&measures, vec![]) && !has(&measures, vec![By::Hours(event)]));
        let region = By::Field(schema.resolve("region").unwrap());
        assert!(!has(&measures, [by, vec![region]].concat()));
        // Bounds that can't be told in 64ths.
        let field = schema.resolve("order.amount").unwrap();
        let most = Measure::Sum { field, bound: crate::scan::MAX_NORM };
        let by = vec![By::Field(schema.resolve("order.category").unwrap())];
        assert!(!has(&[most], by));
    }
}
