//! The public data sets, imported by the mappings that ship: every row accounted for, oddities included, and every figure
//! equal to the reference when counted the slow and plain way.

use gateway::cli::import::{FileReport, Importer, Mapping};
use harness::figures::{Figure, Kind, data_folder, deployed, figures, reference};
use harness::oracle::People;
use policy::schema::Schema;
use policy::segment::Segment;

/// (read, accepted, quarantined, filtered).
type Rows = (u64, u64, u64, u64);

fn schema_and_mapping(dataset: &str) -> (Schema, Mapping) {
    let schema = policy::schema::parse(&deployed(dataset, "schema.toml")).unwrap();
    let mapping = Mapping::parse(&deployed(dataset, "mapping.toml"), &schema).unwrap();
    assert!(mapping.warnings().is_empty(), "{:?}", mapping.warnings());
    (schema, mapping)
}

/// Imports a dataset, checks its figures, and returns what became of its files.
fn check(dataset: &str) -> Option<Vec<FileReport>> {
    let (schema, mapping) = schema_and_mapping(dataset);
    let figures: Vec<Figure> = figures().into_iter().filter(|figure| figure.dataset == dataset).collect();
    let segments: Vec<Segment> = figures.iter().map(|figure| figure.segment(&schema)).collect();
    let folder = data_folder()?;
    let mut importer = Importer::new(mapping, &folder.join(dataset)).unwrap();
    let mut people = People::new(schema.clone());
    while let Some(step) = importer.step(10_000).unwrap() {
        people.add(&step.batch);
        assert_eq!(step.quarantined, []);
    }
    let answers = reference(&folder, dataset);
    for (figure, segment) in figures.iter().zip(&segments) {
        match figure.kind {
            Kind::Size => assert_eq!(people.size(segment), figure.expected_size(&answers), "{}", figure.name()),
            Kind::Breakdown => {
                let mut cells = people.breakdown(segment, &figure.fields(&schema));
                let expected = figure.expected_cells(&answers, &schema);
                expected.keys().for_each(|cell| _ = cells.entry(cell.clone()).or_default());
                assert_eq!(cells, expected, "{}", figure.name());
            }
        }
    }
    assert!(importer.reports().iter().all(FileReport::adds_up));
    Some(importer.reports().to_vec())
}

/// Checks (read, accepted, quarantined, filtered) and the repeated rows of each file.
fn check_rows(dataset: &str, expect: &[(&str, Rows, u64)]) {
    let Some(reports) = check(dataset) else { return };
    let rows = |r: &FileReport| (r.read, r.accepted, r.quarantined, r.filtered);
    let counts: Vec<_> = reports.iter().map(|r| (r.file.as_str(), rows(r), r.repeated_rows)).collect();
    assert_eq!(counts, expect);
}

#[test]
fn grocery_households_are_accounted_for_and_equal_the_reference() {
    check_rows(
        "completejourney",
        &[
            ("demographics.csv", (256, 256, 0, 0), 0),
            ("transactions_sample.csv", (23_954, 23_954, 0, 0), 0),
            ("campaigns.csv", (2_109, 2_109, 0, 0), 0),
            ("coupon_redemptions.csv", (656, 656, 0, 0), 0),
        ],
    );
}

#[test]
fn invoices_cancellations_and_unnamed_customers_are_accounted_for_and_equal_the_reference() {
    let Some(reports) = check("online_retail") else { return };
    let report = reports.first().unwrap();
    assert_eq!((report.read, report.accepted, report.quarantined, report.filtered), (159_735, 116_403, 0, 43_332));
    // The sum is the rows with a customer; the reference has the first and the duplicates, a spreadsheet the others.
    let by_type = [("order", 114_095), ("cancellation", 2_300), ("correction", 8)];
    assert_eq!(report.by_type, by_type.map(|(name, count)| (name.to_owned(), count)));
    assert_eq!((report.repeated_rows, report.conflicts), (1_751, 77));
}

#[test]
fn the_census_sample_is_accounted_for_and_equals_the_reference() {
    check_rows("uci_adult", &[("adult.csv", (9_777, 9_777, 0, 0), 0)]);
}

#[test]
fn the_census_extract_and_its_repeated_copies_are_accounted_for_and_equal_the_reference() {
    check_rows(
        "pums",
        &[
            ("PUMS.csv", (1_000, 1_000, 0, 0), 3),
            ("PUMS_pid.csv", (1_000, 1_000, 0, 0), 0),
            ("PUMS_dup.csv", (1_948, 1_948, 0, 0), 948),
            ("PUMS_null.csv", (1_948, 1_860, 0, 88), 455),
        ],
    );
}

#[test]
fn the_figures_are_at_least_thirty_counts_of_people() {
    assert!(figures().len() >= 30);
}

#[test]
fn the_co_operative_and_its_mapping_fit() {
    schema_and_mapping("coop");
}
