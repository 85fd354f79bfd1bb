//! The public data sets through everything that users have: created, imported and asked over gRPC by the command line.
//! Every figure is a release of a test dataset. Sizes and breakdowns have noise of a twentieth of a person and equal the
//! reference exactly; answers to other questions are within 6 standard deviations of their noise.

use super::cli::{Desk, Served};
use harness::figures::{Derived, Figure, Kind, Part, data_folder, deployed, derived, figures, reference, workspace};
use policy::schema::{FieldRef, Schema};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

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

/// Within 6 standard deviations of the noise: false by chance with probability 2e-9 a figure.
const SIGMAS: f64 = 6.0;

/// The figures of an answer by their labels, each with the standard deviation of its noise. What is not known is left out.
fn figures_of(answer: &Value, of: &Derived) -> BTreeMap<String, (f64, f64)> {
    let list = |value: &Value| value.as_array().unwrap().clone();
    let number = |value: &Value| value.as_f64().unwrap();
    let estimate = |value: &Value| (number(&value["value"]), (number(&value["high"]) - number(&value["low"])) / 3.92);
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let read: Vec<(String, (f64, f64))> = match of.read {
        Part::Table => {
            let table = &answer["release"]["tables"][0];
            let sigma = number(&table["sigma"]);
            let label = |cell: &Value| list(&cell["labels"]).iter().map(word).collect::<Vec<_>>().join("|");
            list(&table["cells"]).iter().map(|cell| (label(cell), (number(&cell["value"]), sigma))).collect()
        }
        Part::Steps => {
            list(&answer["steps"]).iter().map(|step| (word(&step["name"]), estimate(&step["reached"]))).collect()
        }
        Part::Cohorts => {
            list(&answer["cohorts"]).iter().map(|one| (word(&one["from"]), estimate(&one["people"]))).collect()
        }
        Part::Mean => vec![(String::new(), estimate(&answer["mean"]))],
    };
    let cut = |label: String| of.cut.map_or(label.clone(), |cut| label.chars().take(cut).collect());
    let known = read.into_iter().map(|(label, figure)| (cut(label), figure));
    known.filter(|(label, _)| label != "(missing)" && label != "(none)").collect()
}

/// Asks, and compares with the reference.
fn holds(desk: &Desk, of: &Derived, answers: &BTreeMap<String, Value>) {
    let words = of.ask.iter().map(String::as_str).chain(["--key", "ads-key.toml", "-d", of.dataset.as_str()]);
    let answer = desk.json(&words.collect::<Vec<_>>());
    assert_eq!(answer["release"]["not_private"], true, "{}", of.name());
    let released = figures_of(&answer, of);
    let (expected, nothing_else) = of.expected(answers);
    for (label, expected) in &expected {
        let (value, sigma) =
            *released.get(label).unwrap_or_else(|| panic!("{}: no `{label}`: {released:?}", of.name()));
        let off = (value - expected).abs();
        assert!(off <= SIGMAS * sigma + 1e-6, "{}: `{label}` is {value}, not {expected}; sigma {sigma}", of.name());
    }
    let others = released.iter().filter(|(label, _)| nothing_else && !expected.contains_key(*label));
    for (label, (value, sigma)) in others {
        assert!(value.abs() <= SIGMAS * sigma, "{}: `{label}` is {value}, and not in the reference", of.name());
    }
}

/// Serves a public data set that was imported from its files.
pub(super) fn imported(dataset: &str, folder: &Path) -> (Desk, Served) {
    let mut desk = Desk::new();
    let config = desk.path("settings.toml");
    std::fs::write(&config, "grpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n").unwrap();
    desk.ends(0, &["init", "--config", "settings.toml"]);
    let served = Served::start(&mut desk, &config);
    desk.ends(0, &["client", "create", "--name", "shop", "--role", "producer"]);
    let mapping = workspace().join("deploy/datasets").join(dataset).join("mapping.toml");
    let source = folder.join(dataset);
    let (mapping, source) = (mapping.to_str().unwrap(), source.to_str().unwrap());
    let import = ["import", "--mapping", mapping, "--source", source, "--key", "shop-key.toml"];
    desk.ends(0, &[&import[..], &["--create-as", "silhouette-key.toml"]].concat());
    (desk, served)
}

/// Where the figures came from, for further questions.
struct Asked {
    desk: Desk,
    served: Served,
    folder: PathBuf,
}

fn released_equal_the_reference(dataset: &str, at_least: usize) -> Option<Asked> {
    let folder = data_folder()?;
    let schema = policy::schema::parse(&deployed(dataset, "schema.toml")).unwrap();
    let answers = reference(&folder, dataset);
    let (desk, served) = imported(dataset, &folder);
    asking(&desk, dataset);
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
    let others: Vec<Derived> = derived().into_iter().filter(|one| one.dataset == dataset).collect();
    others.iter().for_each(|one| holds(&desk, one, &answers));
    let (equal, near) = (mine.len(), others.len());
    eprintln!("{dataset}: {equal} figures released and equal to the reference, {near} answers within their noise");
    Some(Asked { desk, served, folder })
}

/// Lets a client ask about every field of a closed epoch.
pub(super) fn asking(desk: &Desk, dataset: &str) {
    desk.ends(0, &["client", "create", "--name", "ads", "--role", "service", "--purpose", "marketing"]);
    let shipped: String = policy::rules::Rules::default_texts().iter().map(|(_, text)| *text).collect();
    let (open, _closed) = shipped.split_once("// To open sensitive fields").unwrap();
    std::fs::write(desk.path("policies.cedar"), open.to_owned() + SENSITIVE_TOO).unwrap();
    desk.ends(0, &["policy", "publish", "policies.cedar", "--widen"]);
    desk.ends(0, &["epoch", "close", "-d", dataset]);
}

#[test]
fn grocery_households_are_released_as_the_reference_counts_them() {
    drop(released_equal_the_reference("completejourney", 15));
}

#[test]
fn retail_customers_are_released_as_the_reference_counts_them() {
    drop(released_equal_the_reference("online_retail", 8));
}

#[test]
fn census_people_are_released_as_the_reference_counts_them() {
    let Some(asked) = released_equal_the_reference("uci_adult", 5) else { return };
    let Asked { desk, served: _served, folder } = asked;
    let rows = std::fs::read_to_string(folder.join("uci_adult/adult.csv")).unwrap();
    // Bounds that fit, bounds that do not, and one at which nearly everybody is.
    for (field, column) in [("age", 1), ("hours_per_week", 13), ("capital_gain", 11)] {
        let values: Vec<f64> =
            rows.lines().skip(1).map(|row| row.split(',').nth(column).unwrap().parse().unwrap()).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
        for rho in ["0.05", "5"] {
            let question = ["mean", field, "--spread", "--key", "ads-key.toml", "-d", "uci_adult", "--rho", rho];
            let answer = desk.json(&question);
            for (name, is) in [("mean", mean), ("deviation", deviation)] {
                let [value, low, high] = ["value", "low", "high"].map(|end| answer[name][end].as_f64().unwrap());
                // Ends are 1.96 standard deviations away, on the side of the truth; 6 are allowed.
                let reach = (SIGMAS / 1.96) * if is < value { value - low } else { high - value };
                assert!((is - value).abs() <= reach, "{name} of {field}: {value} ({low} to {high}) and not {is}");
            }
        }
    }
}

#[test]
fn survey_people_are_released_as_the_reference_counts_them() {
    released_equal_the_reference("pums", 4);
}

pub(super) type Row = HashMap<String, String>;

/// The rows of a file, by column.
pub(super) fn rows(folder: &Path, file: &str) -> Vec<Row> {
    csv::Reader::from_path(folder.join(file)).unwrap().deserialize().map(|row| row.unwrap()).collect()
}

/// What a package says of events of one type, as sorted lines of instant and values.
fn told(package: &Value, event: &str, columns: &[&str]) -> Vec<String> {
    let all = package["events"].as_array().unwrap();
    let events = all.iter().find(|events| events["name"] == event).unwrap();
    let named = events["columns"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap());
    assert_eq!(named.collect::<Vec<_>>(), columns);
    let line = |row: &Value| {
        let values = row["values"].as_array().unwrap().iter().map(|value| value.as_str().unwrap_or("-"));
        std::iter::once(row["at"].as_str().unwrap()).chain(values).collect::<Vec<_>>().join("|")
    };
    let mut lines: Vec<String> = events["rows"].as_array().unwrap().iter().map(line).collect();
    lines.sort();
    lines
}

/// Midnight in New York, as the mapping reads a day; the clocks of 2017 changed on 12 March and 5 November.
fn midnight(day: &str) -> String {
    let summer = ("2017-03-13".."2017-11-06").contains(&day);
    format!("{day}T0{}:00:00Z", if summer { 4 } else { 5 })
}

const WEEKDAYS: [&str; 7] = ["thursday", "friday", "saturday", "sunday", "monday", "tuesday", "wednesday"];

fn weekday(day: &str) -> &'static str {
    let days = policy::time::parse_day(day).unwrap();
    WEEKDAYS[usize::try_from(days.rem_euclid(7)).unwrap()]
}

/// A cell; an empty one is missing.
fn some(cell: &str) -> &str {
    if cell.is_empty() { "-" } else { cell }
}

/// What the files say of one household, in the lines of [`told`].
struct Household {
    facts: Row,
    orders: Vec<String>,
    campaigns: Vec<String>,
    redemptions: Vec<String>,
}

impl Household {
    fn read(folder: &Path, household: &str) -> Self {
        let of = |file: &str| -> Vec<Row> {
            rows(folder, file).into_iter().filter(|row| row["household_id"] == household).collect()
        };
        let products: HashMap<String, Row> =
            rows(folder, "products.csv").into_iter().map(|row| (row["product_id"].clone(), row)).collect();
        let kinds: HashMap<String, Row> = rows(folder, "campaign_descriptions.csv")
            .into_iter()
            .map(|row| (row["campaign_id"].clone(), row))
            .collect();
        let order = |row: &Row| {
            let product = products.get(&row["product_id"]);
            let department = product.map_or("(product missing)", |product| some(&product["department"]));
            let brand = product.map_or("-", |product| some(&product["brand"]));
            let (day, clock) = row["transaction_time_local"].split_once('T').unwrap();
            let mut line =
                ["transaction_timestamp_utc", "basket_id", "product_id"].map(|name| row[name].as_str()).to_vec();
            line.extend([department, brand]);
            line.extend(["quantity", "sales_value", "retail_disc", "coupon_disc"].map(|name| row[name].as_str()));
            line.extend([&day[..7], &clock[..2], weekday(day)]);
            line.join("|")
        };
        let campaign = |row: &Row| {
            let kind = &kinds[&row["campaign_id"]];
            [midnight(&kind["start_date"]).as_str(), &row["campaign_id"], &kind["campaign_type"]].join("|")
        };
        let redemption = |row: &Row| {
            let kind = &kinds[&row["campaign_id"]]["campaign_type"];
            [midnight(&row["redemption_date"]).as_str(), &row["campaign_id"], kind, &row["coupon_upc"]].join("|")
        };
        let lines = |file: &str, line: &dyn Fn(&Row) -> String| {
            let mut lines: Vec<String> = of(file).iter().map(line).collect();
            lines.sort();
            lines
        };
        Self {
            facts: of("demographics.csv").remove(0),
            orders: lines("transactions_sample.csv", &order),
            campaigns: lines("campaigns.csv", &campaign),
            redemptions: lines("coupon_redemptions.csv", &redemption),
        }
    }
}

const ORDER: [&str; 11] = [
    "basket",
    "product",
    "department",
    "brand",
    "quantity",
    "amount",
    "retail_discount",
    "coupon_discount",
    "month",
    "hour",
    "weekday",
];

/// A household that bought much, was sent campaigns and redeemed coupons.
const HOUSEHOLD: &str = "2488";

/// Someone signs up, and agrees to one purpose.
const AGAIN: &str = r#"
version = 1
dataset = "completejourney"

[[files]]
path = "again.csv"
subject = "household_id"

[[files.consents]]
purposes = ["marketing"]
time = { constant = "2017-12-01T00:00:00Z" }
source = "form"
"#;

#[test]
fn a_real_household_sees_all_of_its_own_and_leaves_nothing_behind() {
    let Some(folder) = data_folder() else { return };
    let (desk, _served) = imported("completejourney", &folder);
    let folder = folder.join("completejourney");
    for (name, role) in [("portal", "portal"), ("audit", "officer")] {
        desk.ends(0, &["client", "create", "--name", name, "--role", role]);
    }
    desk.ends(0, &["epoch", "close", "-d", "completejourney"]);
    let mine = ["-d", "completejourney"];

    // Every row and value of the household, and nothing of others: as multisets they are equal.
    desk.for_person(0, HOUSEHOLD, &[&["access", "--out", "mine"], &mine[..]].concat());
    let package = desk.read_json("mine/access-package.json");
    let Household { facts, orders, campaigns, redemptions } = Household::read(&folder, HOUSEHOLD);
    for held in package["attributes"].as_array().unwrap() {
        let name = held["column"]["name"].as_str().unwrap();
        assert_eq!(held["value"].as_str().unwrap_or(""), facts[name], "{name}");
    }
    assert_eq!(package["attributes"].as_array().unwrap().len(), facts.len());
    assert_eq!(told(&package, "order", &ORDER), orders);
    assert_eq!(told(&package, "campaign", &["campaign", "kind"]), campaigns);
    assert_eq!(told(&package, "redemption", &["campaign", "kind", "coupon"]), redemptions);
    assert!(orders.len() > 10 && campaigns.len() > 1 && redemptions.len() > 1, "a household that says little");
    let page = desk.read("mine/access-package.html");
    for text in orders.iter().chain(&redemptions).flat_map(|line| line.split('|').skip(1)) {
        assert!(page.contains(&text.replace('&', "&#38;")), "`{text}` is not on the page");
    }
    eprintln!("{} basket lines, {} campaigns, {} coupons", orders.len(), campaigns.len(), redemptions.len());

    // Erased, provably, and gone from the files as well.
    let vkey = desk.json(&["audit", "key", "--key", "audit-key.toml"])["verifier_key"].as_str().unwrap().to_owned();
    desk.for_person(0, HOUSEHOLD, &[&["receipts"], &mine[..]].concat());
    desk.for_person(0, HOUSEHOLD, &[&["erase", "--yes", "--verifier-key", &vkey], &mine[..]].concat());
    let line = desk.verify("receipt", &desk.read("erasure-receipt.json"), &vkey).unwrap();
    let before = desk.verify("consent", &desk.read("consent-receipts.json"), &vkey);
    assert!(before.is_ok(), "what the household was given before stays true: {before:?}");
    desk.for_person(3, HOUSEHOLD, &[&["access", "--out", "gone"], &mine[..]].concat());

    // Who comes back under the same key is someone new.
    let reference = |text: &str| text.rsplit("reference ").next().unwrap().trim().to_owned();
    let was = reference(&line);
    assert_eq!(was.len(), 32, "{line}");
    std::fs::write(desk.path("again.csv"), format!("household_id\n{HOUSEHOLD}\n")).unwrap();
    std::fs::write(desk.path("again.toml"), AGAIN).unwrap();
    std::fs::write(desk.path("schema.toml"), deployed("completejourney", "schema.toml")).unwrap();
    desk.ends(0, &["import", "--mapping", "again.toml", "--source", ".", "--key", "shop-key.toml"]);
    desk.for_person(0, HOUSEHOLD, &[&["access", "--out", "anew"], &mine[..]].concat());
    let anew = desk.read_json("anew/access-package.json");
    let known: Vec<_> = anew["attributes"].as_array().unwrap().iter().filter(|held| !held["value"].is_null()).collect();
    assert_eq!(known.len(), 1, "the key alone");
    assert!(anew["events"].as_array().unwrap().iter().all(|events| events["rows"].as_array().unwrap().is_empty()));
    assert_eq!((anew["consents"].as_array().unwrap().len(), anew["requests"].as_array().unwrap().len()), (1, 1));
    desk.for_person(0, HOUSEHOLD, &[&["erase", "--yes", "--out", "second.json"], &mine[..]].concat());
    let line = desk.verify("receipt", &desk.read("second.json"), &vkey).unwrap();
    assert_ne!(reference(&line), was, "a new reference, unlinkable to the old");
}
