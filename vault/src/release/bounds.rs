//! Which bound suits a table of events or sums, from a released histogram of norms: post-processing, free of charge.
//!
//! Under a bound `C` each cell gets noise of the deviation `C / sqrt(2 rho)`, and whoever's vector is longer than `C` loses the
//! rest of its length. All cells together lose a vector that is at most as long as the sum of these, which is
//! `L(C)`, the integral of `T` from `C` on, if `T(x)` people have vectors of length `x` and longer. So the root of the mean of the
//! squares of what `d` cells lose is at most `L / sqrt(d)`, and the candidate is taken for which `L^2 / d + C^2 / (2 rho)` is least
//! (Amin, Kulesza, Munoz Medina and Vassilvitskii 2019, "Bounding User Contributions", weigh the two alike).
//!
//! `T` is the sum of the draws from a cell on, of deviation `s sqrt(n)` for `n` cells. As long vectors are rare, noise is all there
//! is from some length on: where `T` is below two deviations, or below four with less than one and a half deviations in the next
//! three cells. From there on, and beyond the last candidate, nobody is counted, and no larger bound is suggested. Where `T` is
//! nowhere four deviations, there is no bound to be told.
//!
//! Guarantees: the same draws, the same bound; one of the candidates. What is cut off is said to be at least so much, since those
//! whom noise hides or the candidates do not reach are left out. Not guaranteed: that no other bound would be better.

use super::display::Estimate;
use policy::privacy::NanoRho;

/// Deviations of noise from which on there surely is somebody.
const SURELY: i128 = 4;
/// Deviations of noise below which there may be nobody.
const PERHAPS: i128 = 2;
/// Deviations of noise that people are seen behind nearly always.
const PLAINLY: u64 = 6;

/// How many cells next to a length must hold more than noise where its tail is hardly more, and how much: so many halves of a
/// deviation.
const NEAR: usize = 3;
/// See [`NEAR`].
const HALVES: i128 = 3;

/// A bound that suits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// Which of the candidates.
    pub edge: usize,
    /// How many people's vectors are as long or longer.
    pub reached_by: Estimate,
    /// Which part of the sum of all lengths is cut off at the least, from 0 to 1.
    pub cut_off: f64,
    /// What kept it from being larger.
    pub limit: Limit,
}

/// What keeps a bound from being larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Nothing: it is the best of the candidates.
    None,
    /// Noise hides who has more.
    Noise,
    /// It is the last of the candidates.
    Range,
}

/// What the bound is for: so many cells, for such a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The price of the table, or of its part that has this bound.
    pub rho: NanoRho,
    /// Its cells.
    pub cells: usize,
}

/// Chooses among rising candidates. `cells` are the draws of the histogram, one more than there are candidates: cell `i` is from
/// `edges[i - 1]` to below `edges[i]`; `sigma` is the standard deviation of each, both in 1/1024 of a person. `None` where noise is
/// all there is, and for a table of no cells or no price.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub fn bound(cells: &[i64], sigma: u64, edges: &[u64], asked: Asked) -> Option<Bound> {
    if asked.cells == 0 || asked.rho == NanoRho::ZERO {
        return None;
    }
    let tails = tails(cells, sigma, edges.len());
    // What is below the first length that surely many reach, noise hides nothing of.
    let start = tails.iter().position(|tail| deviations(*tail, SURELY))?;
    let beyond = tails.iter().enumerate().skip(start).find(|(place, tail)| is_noise(cells, sigma, *place, **tail));
    let (end, at_the_end) = match beyond {
        Some((place, _)) => (place, Limit::Noise),
        None => (edges.len().saturating_sub(1), Limit::Range),
    };
    let people = falling(&tails, end);
    let lost = lost(&people, edges);
    let per_one = 1e9 / (2.0 * asked.rho.0 as f64);
    let error = |place: usize| {
        let (edge, lost) = (*edges.get(place)? as f64, *lost.get(place)?);
        Some(lost * lost / asked.cells as f64 + edge * edge * per_one)
    };
    let errors = (0..=end).filter_map(|place| Some((place, error(place)?)));
    let (edge, _) = errors.min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let all = cells.iter().fold(0_i64, |sum, cell| sum.saturating_add(*cell)).max(0) as f64 / 1_024.0;
    let first = (*edges.first()? as f64) * all.midpoint(*people.first()?);
    let total = first + lost.first()?;
    let cut_off = if total > 0.0 { (lost.get(edge)? / total).clamp(0.0, 1.0) } else { 0.0 };
    let limit = if edge == end { at_the_end } else { Limit::None };
    Some(Bound { edge, reached_by: *tails.get(edge)?, cut_off, limit })
}

/// How many people it takes, in 1/1024 of one, so that noise in a histogram between so many candidates hardly ever hides them all.
pub fn people_needed_1024(candidates: usize, sigma: u64) -> u64 {
    super::cuts::root(sigma, candidates).saturating_mul(PLAINLY)
}

/// For each candidate, how many people's vectors reach it.
fn tails(cells: &[i64], sigma: u64, edges: usize) -> Vec<Estimate> {
    let tail = |place: usize| {
        let from = cells.get(place.saturating_add(1)..).unwrap_or_default();
        let value = from.iter().fold(0_i64, |sum, cell| sum.saturating_add(*cell));
        Estimate { value, sigma: super::cuts::root(sigma, from.len()) }
    };
    (0..edges).map(tail).collect()
}

/// Says whether noise is all there is from a candidate on.
fn is_noise(cells: &[i64], sigma: u64, place: usize, tail: Estimate) -> bool {
    if !deviations(tail, PERHAPS) {
        return true;
    }
    let near = cells.iter().skip(place.saturating_add(1)).take(NEAR);
    let (near, count) = near.fold((0_i128, 0), |(sum, count), cell| (sum + i128::from(*cell), count + 1));
    !deviations(tail, SURELY) && 2 * near < HALVES * i128::from(super::cuts::root(sigma, count))
}

/// Says whether an estimate is at least so many of its deviations.
fn deviations(Estimate { value, sigma }: Estimate, many: i128) -> bool {
    i128::from(value) >= many * i128::from(sigma) && value > 0
}

/// Tails in people, made never to rise, each as large as any that follows; none from `end` on.
#[expect(clippy::cast_precision_loss, reason = "for display")]
fn falling(tails: &[Estimate], end: usize) -> Vec<f64> {
    let mut most = 0;
    let mut people: Vec<f64> = vec![0.0];
    for tail in tails.iter().take(end).rev() {
        most = tail.value.max(most);
        people.push(most as f64 / 1_024.0);
    }
    people.reverse();
    people
}

/// For each candidate up to the last one that counts, what a bound there cuts off: the integral of people from it on.
#[expect(clippy::cast_precision_loss, reason = "for display")]
fn lost(people: &[f64], edges: &[u64]) -> Vec<f64> {
    let step = |((from, to), pair): ((&u64, &u64), &[f64])| match pair {
        [more, fewer] => to.saturating_sub(*from) as f64 * more.midpoint(*fewer),
        _ => 0.0,
    };
    let steps: Vec<f64> = edges.iter().zip(edges.iter().skip(1)).zip(people.windows(2)).map(step).collect();
    let (mut sum, mut sums) = (0.0, vec![0.0]);
    for step in steps.iter().rev() {
        sum += step;
        sums.push(sum);
    }
    sums.reverse();
    sums
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::scan::tests::Dice;

    const PERSON: i64 = 1_024;

    fn edges() -> Vec<u64> {
        policy::segment::round_sizes(10, 1_000_000)
    }

    /// People whose vectors all point the same way, the `n`th as long as `scale / ((n + 1/2) / people)^(1 / alpha)`.
    fn lengths(people: u32, scale: f64, alpha: f64) -> Vec<f64> {
        let length = |n: u32| scale * ((f64::from(n) + 0.5) / f64::from(people)).powf(-1.0 / alpha);
        (0..people).map(length).collect()
    }

    fn histogram(lengths: &[f64], edges: &[u64]) -> Vec<i64> {
        let mut cells = vec![0; edges.len() + 1];
        lengths.iter().for_each(|x| cells[edges.partition_point(|edge| *edge as f64 <= *x)] += PERSON);
        cells
    }

    /// The root of the mean of the squared errors of cells that lose alike.
    fn error(lengths: &[f64], edge: u64, asked: Asked) -> f64 {
        let lost: f64 = lengths.iter().map(|x| (x - edge as f64).max(0.0)).sum();
        let noise = edge as f64 * (1e9 / (2.0 * asked.rho.0 as f64)).sqrt();
        (lost * lost / asked.cells as f64 + noise * noise).sqrt()
    }

    #[test]
    fn where_noise_hides_nobody_the_best_candidate_is_taken() {
        let edges = edges();
        for (people, scale, alpha) in [(1_200, 400.0, 2.0), (20_000, 30.0, 1.5), (5_000, 200.0, 8.0)] {
            let lengths = lengths(people, scale, alpha);
            for (rho, cells) in [(1_000_000, 1), (10_000_000, 12), (2_000_000, 100)] {
                let asked = Asked { rho: NanoRho(rho), cells };
                let found = bound(&histogram(&lengths, &edges), 1, &edges, asked).unwrap();
                let errors = edges.iter().map(|edge| error(&lengths, *edge, asked));
                let least = errors.min_by(f64::total_cmp).unwrap();
                let had = error(&lengths, edges[found.edge], asked);
                assert!(had < 1.15 * least, "{people} {alpha} {rho}: {had} at {}, {least}", edges[found.edge]);
                let reach = lengths.iter().filter(|x| **x >= edges[found.edge] as f64).count();
                assert_eq!(found.reached_by.value, reach as i64 * PERSON);
                let cut: f64 = lengths.iter().map(|x| (x - edges[found.edge] as f64).max(0.0)).sum();
                let part = cut / lengths.iter().sum::<f64>();
                assert!((found.cut_off - part).abs() < 0.03 + part / 5.0, "{part} and {found:?}");
            }
        }
    }

    #[test]
    fn a_price_like_the_tables_is_enough_for_a_bound_near_the_best() {
        // N = 2,000 draws, seeded. Twelve months of a shop of 1,200 buyers, at the price by default: the error is within 1.6 of
        // the least in 95 % at least; more than 5 % plus five standard errors beyond would be wrong.
        const N: usize = 2_000;
        let (edges, mut dice) = (edges(), Dice(5));
        let (lengths, asked) = (lengths(1_200, 400.0, 2.0), Asked { rho: NanoRho(2_000_000), cells: 12 });
        let cells = histogram(&lengths, &edges);
        let least = edges.iter().map(|edge| error(&lengths, *edge, asked)).min_by(f64::total_cmp).unwrap();
        // One over the root of twice 0.002.
        let sigma = 1_024 * 16;
        let mut far = 0;
        for _ in 0..N {
            let drawn: Vec<i64> = cells.iter().map(|cell| cell + dice.noise(sigma)).collect();
            let found = bound(&drawn, sigma, &edges, asked);
            far += usize::from(found.is_none_or(|found| error(&lengths, edges[found.edge], asked) > 1.6 * least));
        }
        let n = N as f64;
        assert!(far as f64 <= 0.05 * n + 5.0 * (0.05 * 0.95 * n).sqrt(), "{far} of {N}");
    }

    #[test]
    fn noise_alone_gives_no_bound() {
        let edges = edges();
        let asked = Asked { rho: NanoRho(1_000_000), cells: 1 };
        assert_eq!(bound(&vec![0; edges.len() + 1], 20 * 1_024, &edges, asked), None);
        assert_eq!(bound(&vec![PERSON; edges.len() + 1], 20 * 1_024, &edges, asked), None);
        assert_eq!(bound(&[], 1, &[], asked), None);
        let needed = people_needed_1024(edges.len(), 20 * 1_024).div_ceil(1_024);
        assert_eq!(needed, 669, "six times 20 times the root of 31");
        let mut just = vec![0; edges.len() + 1];
        just[1] = 446 * PERSON;
        assert!(bound(&just, 20 * 1_024, &edges, asked).is_some(), "four times");
        just[1] = 445 * PERSON;
        assert_eq!(bound(&just, 20 * 1_024, &edges, asked), None);
        let all = histogram(&lengths(1_000, 50.0, 2.0), &edges);
        assert!(bound(&all, 1_024, &edges, asked).is_some());
        for nothing in [Asked { cells: 0, ..asked }, Asked { rho: NanoRho::ZERO, ..asked }] {
            assert_eq!(bound(&all, 1_024, &edges, nothing), None);
        }
        let absurd = [i64::MAX, i64::MIN, i64::MAX, i64::MAX];
        let found = bound(&absurd, u64::MAX, &[1, 2, u64::MAX], asked);
        assert!(found.is_none_or(|found| found.edge < 3), "{found:?}");
    }

    #[test]
    fn what_noise_hides_and_where_the_candidates_end_is_said() {
        // Twenty people far beyond a thousand others, and noise of as many.
        let edges = edges();
        let mut cells = vec![0; edges.len() + 1];
        (cells[10], cells[25]) = (1_000 * PERSON, 20 * PERSON);
        let asked = Asked { rho: NanoRho(100_000_000), cells: 12 };
        let found = bound(&cells, 20 * 1_024, &edges, asked).unwrap();
        assert!(found.limit == Limit::Noise && found.edge <= 11, "{found:?}");
        let found = bound(&cells, 1, &edges, asked).unwrap();
        assert_eq!(found.limit, Limit::None, "{found:?}");
        let few = edges.get(..5).unwrap();
        let found = bound(&[0, 0, 0, 0, 0, 1_000 * PERSON], 1_024, few, asked).unwrap();
        assert_eq!((found.edge, found.limit), (4, Limit::Range));
    }
}
