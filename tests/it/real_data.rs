//! The public data sets through everything that users have: created, imported and asked over gRPC by the command line.
//! Every figure is a release of a test dataset with noise of a twentieth of a person, and equals the reference exactly.

use super::cli::{Desk, Served};
use harness::figures::{Figure, Kind, data_folder, deployed, figures, reference, workspace};
use policy::schema::{FieldRef, Schema};
use serde_json::Value;
use std::collections::BTreeMap;

/// A figure is rounded wrongly with probability under 1e-15 a cell at this noise.
const LARGEST_SIGMA: f64 = 0.06;

/// Income, race and the like are closed by the policies that ship; these questions need their aggregates.
const SENSITIVE_TOO: &str = r#"
@id("aggregates-of-sensitive-fields")
permit (
    principal in Role::"service",
    action == Action::"release_aggregate",
    resource in FieldClass::"sensitive"
) when { context.purpose in Purpose::"marketing" };
"#;

/// Returns the price at which noise has a standard deviation of 0.05 people: rho = L0 / (2 sigma^2).
fn price(schema: &Schema, fields: &[FieldRef]) -> String {
    let bound = |field: &FieldRef| match field {
        FieldRef::EventField(..) => schema.field(*field).map_or(1, |field| field.max_distinct),
        _ => 1,
    };
    (200 * fields.iter().map(bound).max().unwrap_or(1)).to_string()
}

fn ask(desk: &Desk, schema: &Schema, figure: &Figure) -> Value {
    let fields = figure.fields(schema);
    let price = price(schema, &fields);
    let mut words = vec![if figure.kind == Kind::Size { "size" } else { "breakdown" }];
    words.extend(["--key", "ads-key.toml", "-d", figure.dataset.as_str(), "--rho", price.as_str()]);
    figure.by.iter().for_each(|by| words.extend(["--by", by.as_str()]));
    words.push(figure.segment.as_str());
    let answer = desk.json(&words)["release"].clone();
    assert_eq!(answer["not_private"], true, "{}", figure.name());
    assert!(answer["sigma"].as_f64().unwrap() <= LARGEST_SIGMA, "{}: {}", figure.name(), answer["sigma"]);
    answer
}

/// People per cell, rounded, without the cells of missing values.
fn cells(answer: &Value) -> BTreeMap<Vec<String>, i64> {
    let cells = answer["tables"][0]["cells"].as_array().unwrap();
    let read = |cell: &Value| {
        let labels =
            cell["labels"].as_array().unwrap().iter().map(|label| label.as_str().unwrap().to_owned()).collect();
        (labels, (cell["noised_1024"].as_i64().unwrap() + 512).div_euclid(1024))
    };
    cells.iter().map(read).filter(|(labels, _): &(Vec<String>, i64)| !labels.iter().any(|l| l == "(missing)")).collect()
}

fn released_equal_the_reference(dataset: &str, at_least: usize) {
    let Some(folder) = data_folder() else { return };
    let schema = policy::schema::parse(&deployed(dataset, "schema.toml")).unwrap();
    let answers = reference(&folder, dataset);
    let mut desk = Desk::new();
    let config = desk.path("settings.toml");
    std::fs::write(&config, "grpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n").unwrap();
    desk.ends(0, &["init", "--config", "settings.toml"]);
    let _served = Served::start(&mut desk, &config);
    desk.ends(0, &["client", "create", "--name", "shop", "--role", "producer"]);
    desk.ends(0, &["client", "create", "--name", "ads", "--role", "service", "--purpose", "marketing"]);
    let shipped: String = policy::rules::Rules::default_texts().iter().map(|(_, text)| *text).collect();
    let (open, _closed) = shipped.split_once("// To open sensitive fields").unwrap();
    std::fs::write(desk.path("policies.cedar"), open.to_owned() + SENSITIVE_TOO).unwrap();
    desk.ends(0, &["policy", "publish", "policies.cedar", "--widen"]);
    let mapping = workspace().join("deploy/datasets").join(dataset).join("mapping.toml");
    let source = folder.join(dataset);
    let (mapping, source) = (mapping.to_str().unwrap(), source.to_str().unwrap());
    let import = ["import", "--mapping", mapping, "--source", source, "--key", "shop-key.toml"];
    desk.ends(0, &[&import[..], &["--create-as", "silhouette-key.toml"]].concat());
    desk.ends(0, &["epoch", "close", "-d", dataset]);
    let mine: Vec<Figure> = figures().into_iter().filter(|figure| figure.dataset == dataset).collect();
    assert!(mine.len() >= at_least, "{} figures", mine.len());
    for figure in &mine {
        let answer = ask(&desk, &schema, figure);
        match figure.kind {
            Kind::Size => {
                let people = cells(&answer).into_values().sum::<i64>();
                assert_eq!(u64::try_from(people), Ok(figure.expected_size(&answers)), "{}", figure.name());
            }
            Kind::Breakdown => {
                let expected = figure.expected_cells(&answers, &schema);
                let expected: BTreeMap<_, _> = expected.into_iter().map(|(cell, n)| (cell, n as i64)).collect();
                assert_eq!(cells(&answer), expected, "{}", figure.name());
            }
        }
    }
    eprintln!("{dataset}: {} figures released and equal to the reference", mine.len());
}

#[test]
fn grocery_households_are_released_as_the_reference_counts_them() {
    released_equal_the_reference("completejourney", 15);
}

#[test]
fn retail_customers_are_released_as_the_reference_counts_them() {
    released_equal_the_reference("online_retail", 8);
}

#[test]
fn census_people_are_released_as_the_reference_counts_them() {
    released_equal_the_reference("uci_adult", 5);
}

#[test]
fn survey_people_are_released_as_the_reference_counts_them() {
    released_equal_the_reference("pums", 4);
}
