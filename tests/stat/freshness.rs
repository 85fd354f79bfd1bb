//! Whether every draw has noise of its own. Noise that is used twice is no noise: the difference of two answers is exact.

use crate::bounds::{REACH, correlation};
use crate::kinds::CASES;
use crate::short_or_long;
use crate::twins::{Asked, PORTRAIT, SEGMENTATION, Twins};

/// Noise of some people a cell.
const PRICE: u64 = 100_000_000;

/// The noise of `n` releases, cell by cell, in standard deviations.
fn noise(twins: &Twins, name: &'static str, asked: Asked, purpose: &str, n: usize) -> Vec<f64> {
    let exact = twins.exact(name, asked, purpose);
    let drawn = twins.draws(name, asked, purpose, PRICE, n);
    let sigma = drawn.stated.sigma_1024 as f64;
    let of_one = |cells: &Vec<i64>| {
        cells.iter().zip(&exact).map(|(cell, exact)| (*cell as f64 - exact) / sigma).collect::<Vec<_>>()
    };
    drawn.cells.iter().flat_map(of_one).collect()
}

#[test]
fn noise_is_used_once() {
    // N: about 1,000 cells of each series.
    let twins = Twins::new();
    let case = CASES.iter().find(|case| case.name.starts_with("attribute crossed")).unwrap();
    let n = short_or_long(45, 4_500);
    let first = noise(&twins, "absent", case.asked, SEGMENTATION, n);
    let in_other_words = Asked { segment: "!order.where(amount > 999.99).any()", ..case.asked };
    let same_price_again = [
        ("another dataset", noise(&twins, "heavy", case.asked, SEGMENTATION, n)),
        ("another purpose", noise(&twins, "absent", case.asked, PORTRAIT, n)),
        ("another question with the same people", noise(&twins, "absent", in_other_words, SEGMENTATION, n)),
        ("the next epoch", {
            twins.close("absent", 30);
            noise(&twins, "absent", case.asked, SEGMENTATION, n)
        }),
    ];
    for (what, other) in &same_price_again {
        let off = correlation(&first, other);
        assert!(off.abs() < REACH, "{what}: {off} standard errors of {} cells", other.len());
    }
    let cells = first.len() / n;
    for (what, lag) in [("the next cell", 1), ("the next release", cells), ("the release after that", 2 * cells)] {
        let off = correlation(&first, &first[lag..]);
        assert!(off.abs() < REACH, "{what}: {off} standard errors of {} cells", first.len());
    }
    // And all of it is as wide as stated.
    let n = first.len() as f64;
    let off = (first.iter().map(|noise| noise * noise).sum::<f64>() / n - 1.0) / (2.0 / n).sqrt();
    assert!(off.abs() < REACH, "the spread is {off} standard errors from what is stated");
}
