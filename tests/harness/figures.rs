//! The reference answers of the public data sets, and the questions that must reproduce them.

use policy::schema::{FieldRef, Schema};
use policy::segment::Segment;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a figure asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// How many people are in the segment.
    Size,
    /// How many people of the segment are in each cell.
    Breakdown,
}

/// One question, and where its answer stands in the reference.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The dataset.
    pub dataset: String,
    /// The id of the reference answer.
    pub reference: String,
    /// The segment, in CEL.
    #[serde(default = "everyone")]
    pub segment: String,
    /// Size or breakdown.
    pub kind: Kind,
    /// The fields of a breakdown, one or two.
    #[serde(default)]
    pub by: Vec<String>,
    #[serde(default)]
    path: Vec<String>,
    key: Option<String>,
    member: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    other: Vec<String>,
}

fn everyone() -> String {
    "true".to_owned()
}

/// One command line, and the numbers of the reference that its answer must hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derived {
    /// The dataset.
    pub dataset: String,
    /// The id of the reference answer.
    pub reference: String,
    /// The words of the command line, price included.
    pub ask: Vec<String>,
    /// Which part of the answer is read.
    #[serde(default)]
    pub read: Part,
    /// How many characters of a label count: 7 of `2011-01-01` for months.
    pub cut: Option<usize>,
    member: Option<String>,
    #[serde(default)]
    pairs: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    other: Vec<String>,
}

/// A part of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The cells of the first table.
    #[default]
    Table,
    /// The steps of a funnel.
    Steps,
    /// How many people each cohort of a retention has.
    Cohorts,
    /// A mean.
    Mean,
}

#[derive(Deserialize)]
struct Figures {
    figures: Vec<Figure>,
    derived: Vec<Derived>,
}

fn all() -> Figures {
    toml::from_str(include_str!("../it/figures.toml")).expect("figures.toml")
}

/// Returns every figure.
pub fn figures() -> Vec<Figure> {
    all().figures
}

/// Returns every answer to the other questions.
pub fn derived() -> Vec<Derived> {
    all().derived
}

impl Derived {
    /// Returns a name for messages.
    pub fn name(&self) -> String {
        format!("{}/{}: {}", self.dataset, self.reference, self.ask.join(" "))
    }

    /// Returns the numbers of the reference by our labels, and whether they are all that there is: labels that are not
    /// among them must then be of 0.
    pub fn expected(&self, answers: &BTreeMap<String, Value>) -> (BTreeMap<String, f64>, bool) {
        let whole = answers.get(&self.reference).unwrap_or_else(|| panic!("{}: no such answer", self.name()));
        let read = |value: &Value| match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_f64(),
        };
        let number = |value: &Value| read(value).unwrap_or_else(|| panic!("{}: no number: {value}", self.name()));
        if !self.pairs.is_empty() {
            let at = |path: &Vec<String>| number(path.iter().fold(whole, |value, key| &value[key]));
            return (self.pairs.iter().map(|(label, path)| (label.clone(), at(path))).collect(), false);
        }
        let cells = whole.as_object().unwrap_or_else(|| panic!("{}: no cells", self.name())).iter();
        let cells = cells.filter(|(key, _)| !self.other.contains(key));
        let value = |value: &Value| number(self.member.as_ref().map_or(value, |member| &value[member]));
        (cells.map(|(key, cell)| (key.clone(), value(cell))).collect(), true)
    }
}

/// Returns the folder of the public data sets: `SILHOUETTE_TEST_DATA`, or `../shared/data` beside the workspace. Says so
/// loudly and returns `None` where there is none.
pub fn data_folder() -> Option<PathBuf> {
    let root = workspace();
    let folder = std::env::var_os("SILHOUETTE_TEST_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no public data sets at {}; set SILHOUETTE_TEST_DATA to their folder", folder.display());
    None
}

/// Returns the root of the workspace.
pub fn workspace() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns a file of `deploy/datasets/{dataset}`.
pub fn deployed(dataset: &str, file: &str) -> String {
    let path = workspace().join("deploy/datasets").join(dataset).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the answers of a dataset's reference: id -> value.
pub fn reference(folder: &std::path::Path, dataset: &str) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(folder.join(dataset).join("reference.json")).expect("reference.json");
    let whole: Value = serde_json::from_str(&text).expect("JSON");
    let answers = whole["answers"].as_array().expect("answers");
    answers.iter().map(|answer| (answer["id"].as_str().expect("id").to_owned(), answer["value"].clone())).collect()
}

impl Figure {
    /// Returns a name for messages.
    pub fn name(&self) -> String {
        format!("{}/{} {} by {:?} {:?}", self.dataset, self.reference, self.segment, self.by, self.path)
    }

    /// Checks the segment against the dataset's schema.
    pub fn segment(&self, schema: &Schema) -> Segment {
        policy::segment::parse(&self.segment, schema, &|_| true)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name()))
    }

    /// Resolves the fields of a breakdown.
    pub fn fields(&self, schema: &Schema) -> Vec<FieldRef> {
        let resolve = |path: &String| schema.resolve(path).unwrap_or_else(|| panic!("{}: no such field", self.name()));
        self.by.iter().map(resolve).collect()
    }

    /// Returns the answer of a size.
    pub fn expected_size(&self, answers: &BTreeMap<String, Value>) -> u64 {
        let at = self.path.iter().fold(self.answer(answers), |value, key| &value[key]);
        at.as_u64().unwrap_or_else(|| panic!("{}: not a number in the reference", self.name()))
    }

    /// Returns the answer of a breakdown for every cell of the domains, zeros included, and checks that the reference
    /// holds nothing else.
    pub fn expected_cells(&self, answers: &BTreeMap<String, Value>, schema: &Schema) -> BTreeMap<Vec<String>, u64> {
        let mut left = self.answer(answers).as_object().unwrap_or_else(|| panic!("{}: no cells", self.name())).clone();
        self.other.iter().for_each(|key| drop(left.remove(key)));
        let cells = cells(schema, &self.fields(schema));
        let mut expected = BTreeMap::new();
        for cell in cells {
            let cell_value = left.remove(&self.key(&cell)).unwrap_or(Value::from(0));
            let value = self.member.as_ref().map_or(&cell_value, |member| match &cell_value {
                Value::Object(members) => &members[member],
                other => other,
            });
            expected.insert(cell, value.as_u64().unwrap_or_else(|| panic!("{}: not a number", self.name())));
        }
        let template = self.key.clone().unwrap_or_default();
        let fixed = template.rsplit('}').next().unwrap_or_default();
        left.retain(|key, _| key.ends_with(fixed));
        assert!(left.is_empty(), "{}: the reference has cells that the schema has not: {:?}", self.name(), left.keys());
        expected
    }

    fn answer<'a>(&self, answers: &'a BTreeMap<String, Value>) -> &'a Value {
        answers.get(&self.reference).unwrap_or_else(|| panic!("{}: no such answer", self.name()))
    }

    fn key(&self, cell: &[String]) -> String {
        let plain = if cell.len() == 1 { "{0}" } else { "{0}|{1}" };
        let mut key = self.key.clone().unwrap_or_else(|| plain.to_owned());
        for (at, label) in cell.iter().enumerate() {
            key = key.replace(&format!("{{{at}}}"), self.labels.get(label).unwrap_or(label));
        }
        key
    }
}

/// Returns every cell of the cross of closed domains.
fn cells(schema: &Schema, by: &[FieldRef]) -> Vec<Vec<String>> {
    by.iter().fold(vec![Vec::new()], |cells, field| {
        let labels = schema.field(*field).and_then(|field| field.ty.labels()).expect("a closed domain");
        let with = |cell: &Vec<String>| -> Vec<Vec<String>> {
            labels.iter().map(|label| [cell.clone(), vec![(*label).to_owned()]].concat()).collect()
        };
        cells.iter().flat_map(with).collect()
    })
}
