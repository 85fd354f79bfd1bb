//! The public data sets, imported by the mappings that ship: every row accounted for, oddities included, and every figure
//! equal to the reference when counted the slow and plain way.

use gateway::cli::import::{Importer, Mapping, Quarantined};
use harness::figures::{Kind, data_folder, deployed, figures, reference};
use harness::oracle::People;
use std::collections::BTreeMap;
use std::path::Path;

/// (read, accepted, quarantined, filtered).
type Rows = (u64, u64, u64, u64);
type Counts = BTreeMap<String, Rows>;

fn import(dataset: &str, folder: &Path) -> (People, Counts, Vec<Quarantined>) {
    let schema = policy::schema::parse(&deployed(dataset, "schema.toml")).unwrap();
    let mapping = Mapping::parse(&deployed(dataset, "mapping.toml"), &schema).unwrap();
    assert!(mapping.warnings().is_empty(), "{:?}", mapping.warnings());
    let mut importer = Importer::new(mapping, &folder.join(dataset)).unwrap();
    let (mut people, mut quarantined) = (People::new(schema), Vec::new());
    while let Some(step) = importer.step(10_000).unwrap() {
        people.add(&step.batch);
        quarantined.extend(step.quarantined);
    }
    assert!(importer.reports().iter().all(|report| report.adds_up()));
    let counts = importer.reports().iter().map(|r| (r.file.clone(), (r.read, r.accepted, r.quarantined, r.filtered)));
    (people, counts.collect(), quarantined)
}

fn check(dataset: &str, expect: &[(&str, Rows)]) {
    let Some(folder) = data_folder() else { return };
    let (people, counts, quarantined) = import(dataset, &folder);
    assert_eq!(quarantined, []);
    let expect: Counts = expect.iter().map(|(file, counts)| ((*file).to_owned(), *counts)).collect();
    assert_eq!(counts, expect);

    let schema = policy::schema::parse(&deployed(dataset, "schema.toml")).unwrap();
    let answers = reference(&folder, dataset);
    for figure in figures().iter().filter(|figure| figure.dataset == dataset) {
        let segment = figure.segment(&schema);
        match figure.kind {
            Kind::Size => assert_eq!(people.size(&segment), figure.expected_size(&answers), "{}", figure.name()),
            Kind::Breakdown => {
                let mut cells = people.breakdown(&segment, &figure.fields(&schema));
                let expected = figure.expected_cells(&answers, &schema);
                expected.keys().for_each(|cell| _ = cells.entry(cell.clone()).or_default());
                assert_eq!(cells, expected, "{}", figure.name());
            }
        }
    }
}

#[test]
fn grocery_households_are_accounted_for_and_equal_the_reference() {
    check(
        "completejourney",
        &[
            ("demographics.csv", (256, 256, 0, 0)),
            ("transactions_sample.csv", (23_954, 23_954, 0, 0)),
            ("campaigns.csv", (2_109, 2_109, 0, 0)),
            ("coupon_redemptions.csv", (656, 656, 0, 0)),
        ],
    );
}

#[test]
fn invoices_cancellations_and_unnamed_customers_are_accounted_for_and_equal_the_reference() {
    check("online_retail", &[("online_retail.csv", (159_735, 116_403, 0, 43_332))]);
}

#[test]
fn the_census_sample_is_accounted_for_and_equals_the_reference() {
    check("uci_adult", &[("adult.csv", (9_777, 9_777, 0, 0))]);
}

#[test]
fn the_census_extract_and_its_repeated_copies_are_accounted_for_and_equal_the_reference() {
    check(
        "pums",
        &[
            ("PUMS.csv", (1_000, 1_000, 0, 0)),
            ("PUMS_pid.csv", (1_000, 1_000, 0, 0)),
            ("PUMS_dup.csv", (1_948, 1_948, 0, 0)),
            ("PUMS_null.csv", (1_948, 1_860, 0, 88)),
        ],
    );
}

#[test]
fn the_figures_are_at_least_thirty_counts_of_people() {
    assert!(figures().len() >= 30);
}
