//! Attacks on answers, by those who may ask: nothing but the vault's public functions, under permits that were decided, or the
//! gateway's services.
//!
//! Each attack runs in two worlds that differ in one person, says after each trial whether the person is there, and is scored by
//! its advantage: the rate of true positives less that of false ones. For a loss of rho in zero-concentrated DP nobody's is above
//! `2 Phi(sqrt(rho / 2)) - 1`; an attacker who knows everybody else and weighs by likelihood gets there, and where that is the
//! attack it must reach nine tenths of the bound, so that a mechanism that draws too little noise is found out. Both
//! comparisons allow for chance at alpha = 1e-6, with N trials in each world, printed with the result.
//!
//! `SILHOUETTE_ATTACKS=long cargo nextest run -p tests --test it attack::releases` tries each twenty times as often, and
//! measures what a test must not gate on: latencies of real scans. What each attack came to is in `deploy/manual/attacks.md`.
//!
//! Not attacked here: the sampler (unit tests of the vault), what is stored (the thief), and what several populations say of one
//! person, which nothing promises.

use std::collections::BTreeSet;
use std::path::Path;

mod advantage;
mod differences;
mod ledger;
mod neighbors;
mod oracles;
mod outliers;
mod partners;
mod reconstruction;
mod repeats;
mod timing;

/// Names of the tests in this folder.
fn tests() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("attack/releases");
    let texts = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let mut names = BTreeSet::new();
    for text in texts {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2) {
            if pair[0].starts_with("#[test]") || pair[0].starts_with("#[tokio::test") {
                let name = pair[1].trim_start_matches("async ").trim_start_matches("fn ");
                names.insert(name.split('(').next().unwrap().to_owned());
            }
        }
    }
    names
}

#[test]
fn the_list_of_attacks_is_that_of_the_tests() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/manual/attacks.md");
    let list = std::fs::read_to_string(list).unwrap();
    // The last column of each row names its tests.
    let cells = list.lines().filter(|line| line.starts_with('|')).filter_map(|line| line.rsplit('|').nth(1));
    let listed: BTreeSet<String> =
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    let about_themselves =
        ["the_list_of_attacks_is_that_of_the_tests", "the_bound_is_that_of_the_best_test_of_a_gaussian"];
    let attacks: BTreeSet<String> =
        tests().into_iter().filter(|name| !about_themselves.contains(&name.as_str())).collect();
    assert_eq!(listed, attacks);
}
