//! What a release tells of one person, against what it charged.
//!
//! Three looks at each pair of neighbors. First, at a price that hides nothing, how far apart the un-noised vectors are:
//! no farther than the noise of any price is made for. Then, along that worst direction, how many standard deviations
//! apart the draws are: a lower bound on rho. Last, at a small price and without any assumption about the noise, over
//! many events: a lower bound on epsilon at [`DELTA`].

use crate::bounds::{epsilon_at_least, normal_quantile, rho_at_least};
use crate::kinds::CASES;
use crate::short_or_long;
use crate::twins::{Asked, Drawn, PLAIN, Pair, SEGMENTATION, Twins};
use policy::privacy::NanoRho;
use policy::segment::Window;
use std::collections::BTreeMap;
use vault::release::{Answer, Cell, Kind, TableNoise, epsilon_for};

/// Price of the draws that rho is bounded by: twelve standard deviations apart, where the bound is sharp.
const LOUD: u64 = 72_000_000_000;
/// Price of the draws that epsilon is bounded by: small, so that a thing that always happens with the person and never
/// without shows in some hundred draws.
const QUIET: u64 = 125_000_000;
/// Where epsilon is looked at. Far above what is promised, since smaller ones are not seen in so few draws.
const DELTA: f64 = 0.01;

/// The un-noised vectors and the draws of one question, dataset by dataset, each asked for once.
struct Views<'a> {
    twins: &'a Twins,
    asked: Asked,
    rho: u64,
    n: usize,
    of: BTreeMap<&'static str, View>,
}

struct View {
    exact: Vec<f64>,
    drawn: Drawn,
}

impl<'a> Views<'a> {
    fn new(twins: &'a Twins, asked: Asked, rho: u64, n: usize) -> Self {
        Self { twins, asked, rho, n, of: BTreeMap::new() }
    }

    fn of(&mut self, (with, without): Pair) -> (&View, &View) {
        for name in [with, without] {
            self.of.entry(name).or_insert_with(|| View {
                exact: self.twins.exact(name, self.asked, SEGMENTATION),
                drawn: self.twins.draws(name, self.asked, SEGMENTATION, self.rho, self.n),
            });
        }
        (&self.of[with], &self.of[without])
    }
}

/// Error of the look at un-noised vectors, in standard deviations of loud noise: the mean of 16 draws is known to 0.01.
const LOOK: f64 = 0.06;
/// Gaps below this share of the largest are errors of the look, and would turn the direction.
const NO_GAP: f64 = 0.03;

/// The unit vector from one side to the other, and how far that is, in standard deviations of the noise.
fn direction(with: &View, without: &View) -> (Vec<f64>, f64) {
    let gaps = with.exact.iter().zip(&without.exact).map(|(with, without)| with - without);
    let gaps = with.drawn.in_sigmas(gaps);
    let largest = gaps.iter().fold(0.0, |largest: f64, gap| largest.max(gap.abs()));
    let gaps: Vec<f64> = gaps.into_iter().map(|gap| if gap.abs() < NO_GAP * largest { 0.0 } else { gap }).collect();
    let norm = gaps.iter().map(|gap| gap * gap).sum::<f64>().sqrt();
    (gaps.into_iter().map(|gap| gap / norm).collect(), norm)
}

/// What of an answer must be the same for everyone: cells, noise and price.
fn shape(drawn: &Drawn) -> (Vec<Vec<u16>>, Vec<TableNoise>, NanoRho) {
    let codes = drawn.stated.tables.iter().flat_map(|table| table.cells.iter().map(|cell| cell.codes.clone()));
    (codes.collect(), drawn.noise(), drawn.stated.rho)
}

/// Where each draw lies along a direction, in standard deviations of the noise.
fn along(drawn: &Drawn, direction: &[f64]) -> Vec<f64> {
    let weights = drawn.in_sigmas(direction.iter().copied());
    let place = |cells: &Vec<i64>| cells.iter().zip(&weights).map(|(cell, weight)| *cell as f64 * weight).sum();
    drawn.cells.iter().map(place).collect()
}

/// How many draws of each side rho is bounded by in the short form.
const FEW: usize = 300;

#[test]
fn so_few_draws_show_noise_of_four_fifths() {
    // Evenly spaced quantiles of the normal, rather than draws: this is about the bound and not about chance.
    let quantiles: Vec<f64> = (0..FEW).map(|nth| normal_quantile((nth as f64 + 0.5) / FEW as f64)).collect();
    let rho = 1e-9 * LOUD as f64;
    let bound = |spread: f64| {
        let places = |from: f64| quantiles.iter().map(|quantile| from + spread * quantile).collect::<Vec<_>>();
        rho_at_least(&places((2.0 * rho).sqrt()), &places(0.0))
    };
    assert!(bound(1.0) < rho && bound(0.8) > rho, "{} and {} around {rho}", bound(1.0), bound(0.8));
}

#[test]
#[expect(clippy::print_stdout, reason = "what an audit found is for people")]
fn no_release_tells_more_of_one_person_than_was_charged_for() {
    let n = short_or_long(FEW, 20_000);
    let twins = Twins::new();
    for case in CASES {
        let mut views = Views::new(&twins, case.asked, LOUD, n);
        for (place, pair) in case.pairs.iter().take(short_or_long(1, 9)).enumerate() {
            let what = format!("{} ({} against {})", case.name, pair.0, pair.1);
            let (with, without) = views.of(*pair);
            assert_eq!(shape(&with.drawn), shape(&without.drawn), "{what}: the same for everyone");
            let rho = with.drawn.stated.rho.rho();

            let (direction, norm) = direction(with, without);
            let declared = (2.0 * rho).sqrt();
            assert!(norm <= declared + LOOK, "{what}: one person moves it by {norm} sigma of {declared}");
            assert!(place > 0 || norm > 0.95 * declared - LOOK, "{what}: the bound is not tried: {norm} of {declared}");

            let (with, without) = (along(&with.drawn, &direction), along(&without.drawn, &direction));
            let found = rho_at_least(&with, &without);
            println!("{what}: rho is at least {found:.3} of {rho:.3}, N = {n} + {n}");
            assert!(found <= rho, "{what}: rho is at least {found} and {rho} was charged");
        }
    }
}

/// An event: something about a draw that can be seen.
type Event = (String, Box<dyn Fn(&[i64], f64) -> bool>);

/// Events to tell two sides apart by: thresholds along the worst direction, and what noise hides unless it is left out or
/// rounded.
fn events(direction: &[f64], thresholds: &[f64]) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for threshold in thresholds.iter().copied() {
        events.push((format!("above {threshold:.2} sigma"), Box::new(move |_, place| place > threshold)));
        events.push((format!("at most {threshold:.2} sigma"), Box::new(move |_, place| place <= threshold)));
    }
    for cell in (0..direction.len()).filter(|cell| direction[*cell] != 0.0).take(4) {
        events.push((format!("cell {cell} is 0"), Box::new(move |cells, _| cells[cell] == 0)));
        events.push((format!("cell {cell} is not 0"), Box::new(move |cells, _| cells[cell] != 0)));
        events.push((format!("cell {cell} is whole"), Box::new(move |cells, _| cells[cell] % 1_024 == 0)));
        events.push((format!("cell {cell} is not whole"), Box::new(move |cells, _| cells[cell] % 1_024 != 0)));
    }
    let odd = |cells: &[i64]| cells.iter().sum::<i64>() % 2 != 0;
    events.push(("the sum is odd".to_owned(), Box::new(move |cells, _| odd(cells))));
    events.push(("the sum is even".to_owned(), Box::new(move |cells, _| !odd(cells))));
    let twice = |cells: &[i64]| cells.windows(2).any(|pair| pair[0] == pair[1]);
    events.push(("two neighbors are equal".to_owned(), Box::new(move |cells, _| twice(cells))));
    events.push(("no two neighbors are equal".to_owned(), Box::new(move |cells, _| !twice(cells))));
    events
}

/// The bound from one event over the draws of every second place from `first` on.
fn bound(event: &Event, (with, without): (&Drawn, &Drawn), direction: &[f64], first: usize) -> f64 {
    let count = |drawn: &Drawn| {
        let places = along(drawn, direction);
        let seen = drawn.cells.iter().zip(places).skip(first).step_by(2).map(|(cells, place)| event.1(cells, place));
        seen.fold((0, 0), |(seen, n), it_is| (seen + usize::from(it_is), n + 1))
    };
    let ((with, n), (without, m)) = (count(with), count(without));
    epsilon_at_least(with, without, n.min(m), DELTA)
}

#[test]
#[expect(clippy::print_stdout, reason = "what an audit found is for people")]
fn no_event_is_likelier_with_a_person_than_epsilon_allows() {
    let n = short_or_long(250, 40_000);
    let twins = Twins::new();
    // What noise hides it hides in every kind alike: some of them are enough for the short form.
    for case in CASES.iter().step_by(short_or_long(3, 1)) {
        let pair = case.pairs[0];
        let mut views = Views::new(&twins, case.asked, QUIET, n);
        let (with, without) = views.of(pair);
        let (direction, norm) = direction(with, without);
        let (with, without) = (&with.drawn, &without.drawn);
        let claimed = epsilon_for(with.stated.rho, DELTA).unwrap();
        let mut middle = along(without, &direction);
        middle.sort_by(f64::total_cmp);
        let thresholds =
            [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98].map(|share| middle[(share * n as f64) as usize] + norm / 2.0);
        let events = events(&direction, &thresholds);
        for (side, (one, other)) in [(with, without), (without, with)].into_iter().enumerate() {
            // Chosen on one half of the draws, measured on the other.
            let best = |a: &&Event, b: &&Event| {
                let bound = |event: &Event| bound(event, (one, other), &direction, 0);
                bound(a).total_cmp(&bound(b))
            };
            let event = events.iter().max_by(best).unwrap();
            let found = bound(event, (one, other), &direction, 1);
            println!(
                "{} ({}, side {side}): epsilon is at least {found:.3} of {claimed:.3} at delta {DELTA}, where {}, N = {n}",
                case.name, pair.0, event.0
            );
            assert!(found <= claimed, "{}: {found} of {claimed} where {}", case.name, event.0);
        }
        // A leak that is certain would show in so many draws.
        assert!(epsilon_at_least(n / 2, 0, n / 2, DELTA) > claimed, "so few draws show nothing");
    }
}

/// An event: something about a selection that can be seen.
type Selected = (String, Box<dyn Fn(&[Cell]) -> bool>);

fn winners(mut answer: Answer) -> Vec<Cell> {
    answer.tables.remove(0).cells
}

/// Which of a field's values most people have, and how many do.
const TOP: Asked = Asked {
    segment: "true",
    kind: |schema| {
        let field = schema.resolve("order.category").unwrap();
        Kind::Top { field, k: 2, window: Window::Ever }
    },
};

#[test]
#[expect(clippy::print_stdout, reason = "what an audit found is for people")]
fn no_selection_is_likelier_with_a_person_than_epsilon_allows() {
    // Somebody in one value alone: what is selected tells most of such a one.
    let n = short_or_long(250, 40_000);
    let twins = Twins::new();
    let select = |name| twins.answers(name, TOP, SEGMENTATION, QUIET, n).into_iter().map(winners).collect::<Vec<_>>();
    let (with, without) = (select(PLAIN.0), select(PLAIN.1));
    let claimed = epsilon_for(NanoRho(QUIET + n as u64), DELTA).unwrap();
    // First, second, and both in order; each also with a count above the middle of all.
    let mut counts: Vec<i64> = without.iter().map(|cells| cells[0].noised).collect();
    counts.sort_unstable();
    let middle = counts[n / 2];
    let seen = |draws: &[Vec<Cell>], event: &dyn Fn(&[Cell]) -> bool, first: usize| {
        draws.iter().skip(first).step_by(2).filter(|cells| event(cells)).count()
    };
    let code = |cells: &[Cell], place: usize| cells[place].codes[0];
    let mut events: Vec<Selected> = Vec::new();
    for value in 1..=5 {
        events.push((format!("{value} is first"), Box::new(move |cells| code(cells, 0) == value)));
        events.push((
            format!("{value} is not selected"),
            Box::new(move |cells| code(cells, 0) != value && code(cells, 1) != value),
        ));
        events.push((
            format!("{value} is first and frequent"),
            Box::new(move |cells| code(cells, 0) == value && cells[0].noised > middle),
        ));
    }
    for (side, (one, other)) in [(&with, &without), (&without, &with)].into_iter().enumerate() {
        let bound = |event: &dyn Fn(&[Cell]) -> bool, first| {
            epsilon_at_least(seen(one, event, first), seen(other, event, first), n / 2, DELTA)
        };
        let (what, event) = events.iter().max_by(|a, b| bound(&*a.1, 0).total_cmp(&bound(&*b.1, 0))).unwrap();
        let found = bound(&**event, 1);
        println!("top 2 (side {side}): epsilon is at least {found:.3} of {claimed:.3} at delta {DELTA}, where {what}");
        assert!(found <= claimed, "{found} of {claimed} where {what}");
    }
}
