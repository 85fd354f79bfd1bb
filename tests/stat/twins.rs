//! Datasets that differ in one person: the same few neighbors in each, and in all but one somebody whose stream is as bad
//! as streams get, in one way or another.

use policy::consent::{ConsentAct, ConsentEvent, LawfulBasis};
use policy::decide::{Decision, Principal, Request, decide};
use policy::id::{ClientId, PurposeId};
use policy::permit::{Permit, Role, Verb};
use policy::privacy::NanoRho;
use policy::rules::Rules;
use policy::schema::{ColumnId, EventTypeId, Schema};
use policy::segment::Segment;
use policy::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use tempfile::TempDir;
use vault::disk::Disk;
use vault::ingest::{Record, SubjectKey, Value};
use vault::keys::SecondLock;
use vault::release::{Answer, Kind, Question, Table, TableNoise};
use vault::{Config, Vault};

/// Two datasets, the first with one person more.
pub(crate) type Pair = (&'static str, &'static str);

/// Somebody in every cell of every table, with more events than count, each many times and at the highest values.
pub(crate) const HEAVY: Pair = ("heavy", "absent");
/// Somebody in exactly as many cells as count fully.
pub(crate) const EDGE: Pair = ("edge", "absent");
/// Somebody with a profile and one event.
pub(crate) const PLAIN: Pair = ("plain", "absent");
/// The same somebody as in [`HEAVY`], in a dataset that has nobody else.
pub(crate) const ALONE: Pair = ("alone", "empty");

const SCHEMA: &str = r#"
version = 1
dataset = "NAME"
organization = "hill-farms"
kind = "test"
time_zone = "Europe/London"
subject_key = "member_no"
purposes = ["marketing.segmentation", "marketing.portrait"]
[budget]
quarter = "9000000000"
lifetime = "9000000000"
[[attributes]]
name = "member_no"
class = "identifier"
type = "identifier"
max_bytes = 40
[[attributes]]
name = "age_band"
class = "quasi_identifier"
type = "enum"
domain = ["young", "middle", "old"]
[[attributes]]
name = "newsletter"
class = "behavioral"
type = "bool"
[[attributes]]
name = "children"
class = "quasi_identifier"
type = "integer"
min = 0
max = 20
[[events]]
name = "order"
max_per_subject = 60
[[events.fields]]
name = "category"
class = "behavioral"
type = "enum"
domain = ["pots", "plants", "tools", "seeds", "books"]
max_distinct = 3
[[events.fields]]
name = "channel"
class = "behavioral"
type = "enum"
domain = ["web", "shop"]
max_distinct = 1
[[events.fields]]
name = "amount"
class = "behavioral"
type = "decimal"
scale = 2
min = "0"
max = "1000"
"#;

const MONTHLY: &str = "monthly";
const SYNOPSIS: &str = r#"
[synopsis]
purpose = "marketing.segmentation"
fields = ["age_band", "newsletter", "order.category"]
rho = "0.02"
"#;

const NOW: i64 = 1_790_000_000;
const DAY: i64 = 86_400;
/// The day on which the epoch ends, since 1970-01-01.
pub(crate) const TODAY: i32 = 20_717;
/// What is asked for unless a test says otherwise.
pub(crate) const SEGMENTATION: &str = "marketing.segmentation";
/// Everybody agreed to this too.
pub(crate) const PORTRAIT: &str = "marketing.portrait";
/// Buys noise of two or three 1/1024 of a person, or of a thousandth of another bound.
const NEARLY_EXACT: u64 = 500_000_000_000_000;
/// How many such draws an exact vector is the mean of.
const EXACT_DRAWS: usize = 16;
/// Callers at a time, so that their waits for the log overlap.
const CALLERS: usize = 16;

/// The datasets in one vault, under an epoch that has closed.
pub(crate) struct Twins {
    _folders: TempDir,
    vault: Vault,
    rules: Rules,
    schemas: BTreeMap<&'static str, Schema>,
}

/// One kind of question of the audit.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// Whom it is about.
    pub(crate) segment: &'static str,
    /// What is asked about them.
    pub(crate) kind: fn(&Schema) -> Kind,
}

/// Releases of one question at nearly one price, each drawn anew.
pub(crate) struct Drawn {
    /// The vectors.
    pub(crate) cells: Vec<Vec<i64>>,
    /// One of the answers, for what they state.
    pub(crate) stated: Answer,
}

impl Drawn {
    /// Returns the standard deviation and the half-width that are stated for each cell.
    pub(crate) fn noise(&self) -> Vec<TableNoise> {
        let noise = self.stated.noise();
        let of = |table: &Table| (0..table.cells.len()).map(|cell| table.noise_of(cell, noise)).collect::<Vec<_>>();
        self.stated.tables.iter().flat_map(of).collect()
    }

    /// Returns a vector in standard deviations of the noise of each cell.
    pub(crate) fn in_sigmas(&self, cells: impl IntoIterator<Item = f64>) -> Vec<f64> {
        cells.into_iter().zip(self.noise()).map(|(cell, noise)| cell / noise.sigma_1024 as f64).collect()
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW + seconds)
}

impl Twins {
    /// Makes them all and closes their first epoch.
    pub(crate) fn new() -> Self {
        // In memory where that is possible: what a disk takes to answer is not audited.
        let folders = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let config = Config {
            data: folders.path().join("data"),
            root: folders.path().join("root"),
            mirror: None,
            backup: None,
            threads: 1,
            fold_bytes: vault::vault::DEFAULT_FOLD_BYTES,
            lock: SecondLock::None,
            disk: Disk::default(),
        };
        Vault::init(&config, at(0)).unwrap();
        let vault = Vault::open(&config, at(0)).unwrap();
        let rules = Rules::parse(Rules::default_texts(), 1).unwrap();
        let mut twins = Self { _folders: folders, vault, rules, schemas: BTreeMap::new() };
        for name in ["absent", "heavy", "edge", "plain", "alone", "empty"] {
            twins.add(name, "");
        }
        twins
    }

    fn add(&mut self, name: &'static str, more: &str) {
        let text = format!("{}{more}", SCHEMA.replace("NAME", name));
        self.schemas.insert(name, policy::schema::parse(&text).unwrap());
        let permit = self.permit(name, Role::Steward, Verb::ManageDataset, None);
        self.vault.create_dataset(&permit, &text, at(0)).unwrap();
        self.fill(name);
        self.close(name, 20);
    }

    /// Makes them all, and a dataset that asks for a monthly synopsis and holds the three neighbors.
    pub(crate) fn with_monthly() -> Self {
        let mut twins = Self::new();
        twins.add(MONTHLY, SYNOPSIS);
        twins
    }

    /// Answers questions for sizes from the synopsis of a month after the first, which is drawn for it.
    pub(crate) fn sizes_of_month(&self, nth: i64, segments: &[&'static str]) -> Vec<Answer> {
        let seconds = nth * 31 * DAY;
        self.close(MONTHLY, seconds);
        let drawer = self.permit(MONTHLY, Role::System, Verb::Release, Some(SEGMENTATION));
        assert!(self.vault.draw_synopsis(&drawer, at(seconds)).unwrap(), "a draw of its own");
        let answer = |segment: &&'static str| {
            let (permit, question) = self.question(MONTHLY, Asked { segment, kind: |_| Kind::Size }, SEGMENTATION);
            self.vault.answer_from_synopsis(&permit, &question, at(seconds)).unwrap().unwrap().0
        };
        segments.iter().map(answer).collect()
    }

    /// Closes an epoch.
    pub(crate) fn close(&self, name: &'static str, seconds: i64) {
        let permit = self.permit(name, Role::Steward, Verb::Maintain, None);
        self.vault.close_epoch(&permit, at(seconds), at(seconds)).unwrap();
    }

    fn permit(&self, name: &'static str, role: Role, verb: Verb, purpose: Option<&str>) -> Permit {
        let purpose = purpose.map(|purpose| PurposeId::new(purpose).unwrap());
        let client = ClientId::new("auditor").unwrap();
        let principal = Principal { client, role, purposes: purpose.clone().into_iter().collect() };
        let request = Request {
            principal: &principal,
            verb,
            dataset: Some(&self.schemas[name]),
            purpose: purpose.as_ref(),
            basis: purpose.as_ref().map(|_| LawfulBasis::Consent),
            fields: &[],
            request_id: "",
        };
        match decide(&self.rules, &request) {
            Decision::Permit(permit) => permit,
            Decision::Refusal(refusal) => panic!("{refusal:?}"),
        }
    }

    fn fill(&self, name: &'static str) {
        let records = records(name);
        if !records.is_empty() {
            let permit = self.permit(name, Role::Producer, Verb::Ingest, None);
            self.vault.ingest(&permit, records, at(0)).unwrap();
        }
    }

    /// Asks once.
    pub(crate) fn ask(&self, name: &'static str, asked: Asked, purpose: &str, rho: u64) -> Answer {
        let (permit, question) = self.question(name, asked, purpose);
        self.release(&permit, &question, rho)
    }

    fn question(&self, name: &'static str, asked: Asked, purpose: &str) -> (Permit, Question) {
        let permit = self.permit(name, Role::Service, Verb::Release, Some(purpose));
        let schema = &self.schemas[name];
        let segment = policy::segment::parse(asked.segment, schema, &|_| true).unwrap();
        let (universe, kind) = (Segment::everyone(), (asked.kind)(schema));
        (permit, Question { dataset: schema.dataset.clone(), universe, segment, kind, rho: NanoRho(0) })
    }

    fn release(&self, permit: &Permit, question: &Question, rho: u64) -> Answer {
        let question = Question { rho: NanoRho(rho), ..question.clone() };
        let (answer, charged) = self.vault.release(permit, &question, at(40)).unwrap();
        assert!(charged, "a draw of its own");
        answer
    }

    /// Asks `n` times at prices from `rho` up, a billionth of a rho apart, so that no answer is a repeated one.
    pub(crate) fn draws(&self, name: &'static str, asked: Asked, purpose: &str, rho: u64, n: usize) -> Drawn {
        let mut answers = self.answers(name, asked, purpose, rho, n);
        let cells = answers.iter().map(cells).collect();
        // The dearest: what it states is the largest price and the least noise of all.
        Drawn { cells, stated: answers.pop().unwrap() }
    }

    /// Returns the answers to the same.
    pub(crate) fn answers(&self, name: &'static str, asked: Asked, purpose: &str, rho: u64, n: usize) -> Vec<Answer> {
        let (permit, question) = &self.question(name, asked, purpose);
        let share = &|caller: usize| {
            let asks = (caller..n).step_by(CALLERS).map(|nth| (nth, self.release(permit, question, rho + nth as u64)));
            asks.collect::<Vec<_>>()
        };
        let mut answers: Vec<(usize, Answer)> = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..CALLERS).map(|caller| scope.spawn(move || share(caller))).collect();
            callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
        });
        answers.sort_by_key(|(nth, _)| *nth);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Returns the un-noised vector, to less than a hundredth of the noise of any real price: a test dataset may spend
    /// what hides nobody.
    pub(crate) fn exact(&self, name: &'static str, asked: Asked, purpose: &str) -> Vec<f64> {
        let drawn = self.draws(name, asked, purpose, NEARLY_EXACT, EXACT_DRAWS).cells;
        let mean = |cell: usize| drawn.iter().map(|cells| cells[cell] as f64).sum::<f64>() / drawn.len() as f64;
        (0..drawn[0].len()).map(mean).collect()
    }
}

/// What a dataset holds.
fn records(name: &str) -> Vec<Record> {
    let mut records = Vec::new();
    if !["alone", "empty"].contains(&name) {
        records.extend(person("first", Some((1, 1))));
        records.extend((0..4).map(|n| order("first", n, (1 + n as u16 % 2, 1), 100, n as i64 * 24)));
        records.extend(person("second", None));
        records.extend(person("third", Some((3, 2))));
        records.push(order("third", 0, (5, 2), 99_999, 1));
    }
    records.extend(match name {
        "heavy" | "alone" => [person("target", Some((3, 2))), all_cells()].concat(),
        "edge" => [person("target", Some((3, 2))), at_the_bound()].concat(),
        "plain" => [person("target", Some((2, 1))), vec![order("target", 0, (2, 1), 1_250, 72)]].concat(),
        _ => Vec::new(),
    });
    records
}

/// By person of a dataset: how many of the events that count, the first by time, are of each category, missing first.
pub(crate) fn categories(name: &str) -> Vec<Vec<f64>> {
    let mut people: HashMap<SubjectKey, Vec<(Timestamp, usize)>> = HashMap::new();
    for record in records(name) {
        if let Record::Event { subject, at, values, .. } = record {
            let code = match values[0] {
                Value::Code(code) => usize::from(code),
                _ => 0,
            };
            people.entry(subject).or_default().push((at, code));
        }
    }
    let counts = |mut events: Vec<(Timestamp, usize)>| {
        events.sort_unstable();
        let mut counts = vec![0.0; 6];
        events.iter().take(60).for_each(|(_, code)| counts[*code] += 1.0);
        counts
    };
    people.into_values().map(counts).collect()
}

/// Returns all cells of an answer as one vector.
pub(crate) fn cells(answer: &Answer) -> Vec<i64> {
    answer.tables.iter().flat_map(|table| &table.cells).map(|cell| cell.noised).collect()
}

fn key(name: &str) -> SubjectKey {
    SubjectKey::new(name).unwrap()
}

/// A profile and consent to everything.
fn person(name: &str, codes: Option<(u16, u16)>) -> Vec<Record> {
    let consent = |purpose: &str| ConsentEvent {
        purpose: PurposeId::new(purpose).unwrap(),
        basis: LawfulBasis::Consent,
        act: ConsentAct::Give,
        at: at(-10 * DAY),
        expires: None,
        language: None,
        method: None,
        notice: None,
        source: "form".into(),
    };
    let values = codes.map_or(Vec::new(), |(age, letter)| {
        let children = Value::Int(if age == 3 { 20 } else { 3 });
        vec![(ColumnId(1), Value::Code(age)), (ColumnId(2), Value::Code(letter)), (ColumnId(3), children)]
    });
    vec![
        Record::Profile { subject: key(name), values },
        Record::Consent { subject: key(name), consent: consent("marketing") },
    ]
}

fn order(name: &str, id: u64, (category, channel): (u16, u16), cents: i64, hours_ago: i64) -> Record {
    let code = |code| if code == 0 { Value::Missing } else { Value::Code(code) };
    Record::Event {
        subject: key(name),
        event: EventTypeId(0),
        id,
        at: at(-hours_ago * 3_600 - 1),
        values: vec![code(category), code(channel), Value::Int(cents)],
    }
}

/// Every value of every field, missing included, at every hour and in each of three weeks, more often than counts.
fn all_cells() -> Vec<Record> {
    let hours_ago = |n: u64| (n as i64 % 20) * 24 + n as i64 % 24;
    (0..90).map(|n| order("target", n, (n as u16 % 6, n as u16 % 3), 100_000, hours_ago(n))).collect()
}

/// Three categories and one channel, four times each.
fn at_the_bound() -> Vec<Record> {
    (0..12).map(|n| order("target", n, (1 + n as u16 % 3, 1), 100_000, n as i64 * 24)).collect()
}
