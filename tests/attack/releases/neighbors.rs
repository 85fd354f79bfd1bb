//! Two vaults with the same people in them, but for one.

use super::advantage::Scores;
use policy::consent::{ConsentAct, ConsentEvent, LawfulBasis};
use policy::decide::{Decision, Principal, Reason, Request, decide};
use policy::id::{ClientId, PurposeId};
use policy::permit::{Permit, Role, Verb};
use policy::privacy::NanoRho;
use policy::rules::Rules;
use policy::schema::{ColumnId, EventTypeId, FieldRef, Schema};
use policy::segment::{Segment, Window, parse};
use policy::time::Timestamp;
use std::sync::Arc;
use tempfile::TempDir;
use vault::budget::Statement;
use vault::disk::Disk;
use vault::ingest::{Record, SubjectKey, Value};
use vault::keys::SecondLock;
use vault::release::{Answer, Kind, Question, Table};
use vault::{Config, Vault, VaultError};

pub const MARKETING: &str = "marketing.segmentation";
pub const SHARING: &str = "sharing.partner.acme";

/// A dataset's description; `DATASET`, `KIND` and `CAP` are filled in.
const SCHEMA: &str = r#"
version = 1
dataset = "DATASET"
organization = "hill-farms"
population = "townspeople"
display = "A town"
kind = "KIND"
time_zone = "UTC"
subject_key = "member"
purposes = ["marketing.segmentation", "sharing.partner.acme"]
[budget]
quarter = "CAP"
lifetime = "CAP"
[[attributes]]
name = "member"
class = "identifier"
type = "identifier"
max_bytes = 40
[[attributes]]
name = "age"
class = "quasi_identifier"
type = "enum"
domain = ["young", "middle", "old"]
coarse = ["young", "middle", "old"]
[[attributes]]
name = "region"
class = "quasi_identifier"
type = "enum"
domain = ["north", "south"]
coarse = ["north", "south"]
[[attributes]]
name = "children"
class = "quasi_identifier"
type = "integer"
min = 0
max = 20
[[attributes]]
name = "secret"
class = "behavioral"
type = "bool"
[[attributes]]
name = "who"
class = "quasi_identifier"
type = "enum"
domain = [WHO]
[[events]]
name = "order"
max_per_subject = 50
[[events.fields]]
name = "category"
class = "behavioral"
type = "enum"
domain = ["pots", "plants", "tools", "seeds"]
max_distinct = 2
"#;

/// How many people `who` tells apart.
pub const KNOWN: usize = 100;
const START: i64 = 1_790_000_000;
const DAY: i64 = 86_400;
/// When questions are asked: after all that is recorded and closed.
const ASKED: i64 = 7 * DAY;

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(START + seconds)
}

/// One person; codes are 1-based, and 0 is missing.
#[derive(Debug, Clone)]
pub struct Person {
    pub name: String,
    pub age: u16,
    pub region: u16,
    pub children: i64,
    pub secret: u16,
    pub who: u16,
    /// Categories of orders.
    pub orders: Vec<u16>,
}

impl Person {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), age: 1, region: 1, children: 0, secret: 0, who: 0, orders: vec![1] }
    }

    pub fn key(&self) -> SubjectKey {
        SubjectKey::new(&self.name).unwrap()
    }

    fn records(&self) -> Vec<Record> {
        let code = |code: u16| if code == 0 { Value::Missing } else { Value::Code(code) };
        let values = [code(self.age), code(self.region), Value::Int(self.children), code(self.secret), code(self.who)];
        let values = (1..).map(ColumnId).zip(values).collect();
        let order = |(id, category): (u64, &u16)| Record::Event {
            subject: self.key(),
            event: EventTypeId(0),
            id,
            at: at(-DAY),
            values: vec![code(*category)],
        };
        let consent = |purpose: &&str| Record::Consent {
            subject: self.key(),
            consent: consent(purpose, ConsentAct::Give, -10 * DAY),
        };
        let profile = Record::Profile { subject: self.key(), values };
        let orders = (1..).zip(&self.orders).map(order);
        std::iter::once(profile).chain(orders).chain([MARKETING, SHARING].iter().map(consent)).collect()
    }
}

/// `count` people of all ages and regions, with up to four children and an order each.
pub fn crowd(count: usize) -> Vec<Person> {
    let code = |number: usize, of: usize| u16::try_from(1 + number % of).unwrap();
    let person = |number: usize| Person {
        age: code(number, 3),
        region: code(number, 2),
        children: i64::try_from(number % 5).unwrap(),
        orders: vec![code(number, 4)],
        ..Person::new(&format!("person-{number}"))
    };
    (0..count).map(person).collect()
}

/// Whom the attacks are after: the only old person of the north with nine children.
pub fn target() -> Person {
    Person { age: 3, region: 1, children: 9, ..Person::new("target") }
}

/// Says who the target is, for those who know the target.
pub const CELL: &str = r#"age == "old" && region == "north" && children == 9"#;

pub fn consent(purpose: &str, act: ConsentAct, seconds: i64) -> ConsentEvent {
    ConsentEvent {
        purpose: PurposeId::new(purpose).unwrap(),
        basis: LawfulBasis::Consent,
        act,
        at: at(seconds),
        expires: None,
        language: None,
        method: None,
        notice: None,
        source: "form".into(),
    }
}

/// A question; [`Asked::size`] is the usual one.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    pub client: &'a str,
    pub request: &'a str,
    pub text: &'a str,
    pub kind: Kind,
    pub rho: NanoRho,
}

impl<'a> Asked<'a> {
    pub fn size(text: &'a str, rho: NanoRho) -> Self {
        Self { client: "attacker", request: "", text, kind: Kind::Size, rho }
    }
}

/// A dataset in a vault.
pub struct World {
    pub vault: Arc<Vault>,
    pub schema: Schema,
    rules: Rules,
    folder: Arc<TempDir>,
}

impl World {
    /// Makes a vault with a test dataset, whose budget lasts for everything here.
    pub fn test() -> Self {
        Self::new("test", "1000000")
    }

    /// Makes a vault with a dataset that protects people, under the default cap.
    pub fn private() -> Self {
        Self::new("private", "0.2")
    }

    fn new(kind: &str, cap: &str) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let config = Config {
            data: folder.path().join("data"),
            root: folder.path().join("root"),
            mirror: None,
            backup: None,
            threads: 1,
            fold_bytes: vault::vault::DEFAULT_FOLD_BYTES,
            lock: SecondLock::None,
            disk: Disk::default(),
        };
        Vault::init(&config, at(0)).unwrap();
        Self::create(Arc::new(Vault::open(&config, at(0)).unwrap()), folder, ("town", kind, cap))
    }

    /// Makes another dataset of the same population in the same vault.
    pub fn beside(&self, name: &str, kind: &str, cap: &str) -> Self {
        Self::create(Arc::clone(&self.vault), Arc::clone(&self.folder), (name, kind, cap))
    }

    fn create(vault: Arc<Vault>, folder: Arc<TempDir>, (name, kind, cap): (&str, &str, &str)) -> Self {
        let labels: Vec<String> = (0..KNOWN).map(|number| format!("\"p{number}\"")).collect();
        let text = SCHEMA.replace("DATASET", name).replace("KIND", kind).replace("CAP", cap);
        let text = text.replace("WHO", &labels.join(", "));
        let rules = Rules::parse(Rules::default_texts(), 1).unwrap();
        let world = Self { vault, schema: policy::schema::parse(&text).unwrap(), rules, folder };
        let permit = world.permit("steward", "", Role::Steward, Verb::ManageDataset, None);
        world.vault.create_dataset(&permit, &text, at(0)).unwrap();
        world
    }

    pub fn permit(&self, client: &str, request_id: &str, role: Role, verb: Verb, purpose: Option<&str>) -> Permit {
        let purpose = purpose.map(|text| PurposeId::new(text).unwrap());
        let purposes = purpose.clone().into_iter().collect();
        let principal = Principal { client: ClientId::new(client).unwrap(), role, purposes };
        let request = Request {
            principal: &principal,
            verb,
            dataset: Some(&self.schema),
            purpose: purpose.as_ref(),
            basis: purpose.as_ref().map(|_| LawfulBasis::Consent),
            fields: &[],
            request_id,
        };
        match decide(&self.rules, &request) {
            Decision::Permit(permit) => permit,
            Decision::Refusal(refusal) => panic!("{refusal:?}"),
        }
    }

    pub fn ingest(&self, people: &[Person]) {
        let permit = self.permit("till", "", Role::Producer, Verb::Ingest, None);
        self.vault.ingest(&permit, people.iter().flat_map(Person::records).collect(), at(0)).unwrap();
    }

    pub fn close_epoch(&self, seconds: i64) {
        let permit = self.permit("steward", "", Role::Steward, Verb::Maintain, None);
        self.vault.close_epoch(&permit, at(seconds), at(seconds)).unwrap();
    }

    pub fn record(&self, person: &Person, act: ConsentAct, seconds: i64) {
        let permit = self.permit("portal", "", Role::Producer, Verb::RecordConsent, None);
        let event = consent(MARKETING, act, seconds);
        self.vault.record_consents(&permit, vec![(person.key(), event)], at(seconds)).unwrap();
    }

    pub fn segment(&self, text: &str) -> Segment {
        parse(text, &self.schema, &|_| true).unwrap_or_else(|problem| panic!("{problem}: {text}"))
    }

    pub fn fields(&self, paths: &[&str]) -> Vec<FieldRef> {
        paths.iter().map(|path| self.schema.resolve(path).unwrap()).collect()
    }

    pub fn portrait(&self, paths: &[&str]) -> Kind {
        Kind::Portrait { fields: self.fields(paths), window: Window::Ever }
    }

    /// Asks; the flag says whether it was charged.
    pub fn try_ask(&self, asked: &Asked<'_>) -> Result<(Answer, bool), VaultError> {
        let Asked { client, request, text, kind, rho } = asked;
        let permit = self.permit(client, request, Role::Service, Verb::Release, Some(MARKETING));
        let question = Question {
            dataset: self.schema.dataset.clone(),
            universe: Segment::everyone(),
            segment: self.segment(text),
            kind: kind.clone(),
            rho: *rho,
        };
        self.vault.release(&permit, &question, at(ASKED))
    }

    pub fn ask(&self, asked: &Asked<'_>) -> (Answer, bool) {
        self.try_ask(asked).unwrap()
    }

    /// Asks for a size that nobody has asked for at this price, in units of 1/1024.
    pub fn size(&self, text: &str, rho: NanoRho) -> i64 {
        let (answer, charged) = self.ask(&Asked::size(text, rho));
        assert!(charged, "a draw of its own");
        noised(&answer)[0]
    }

    pub fn refused(&self, asked: &Asked<'_>) -> Reason {
        match self.try_ask(asked) {
            Err(VaultError::Refused(refusal)) => refusal.reason,
            other => panic!("{other:?}"),
        }
    }

    pub fn statement(&self, client: &str) -> Statement {
        let permit = self.permit("steward", "", Role::Steward, Verb::ReadBudget, None);
        self.vault.budget(&permit, &ClientId::new(client).unwrap(), at(0)).unwrap()
    }

    pub fn spent(&self) -> NanoRho {
        self.statement("attacker").lifetime_spent
    }
}

/// All cells of an answer in order, in units of 1/1024.
pub fn noised(answer: &Answer) -> Vec<i64> {
    answer.tables.iter().flat_map(|table| &table.cells).map(|cell| cell.noised).collect()
}

/// Log of how much likelier an answer is with a person than without, for someone who knows everybody else: `others` in people,
/// `person` in units of 1/1024, both by cell; or in what else a table counts.
pub fn evidence(answer: &Answer, others: &[i64], person: &[i64]) -> f64 {
    let sigmas = |table: &Table| {
        (0..table.cells.len()).map(|cell| table.noise_of(cell, answer.noise()).sigma_1024).collect::<Vec<_>>()
    };
    let sigmas: Vec<u64> = answer.tables.iter().flat_map(sigmas).collect();
    assert_eq!((sigmas.len(), sigmas.len()), (others.len(), person.len()));
    let cell = |(((noised, sigma), others), person): (((i64, &u64), &i64), &i64)| {
        let person = *person as f64;
        ((noised - others * 1_024) as f64 - person / 2.0) * person / (*sigma as f64).powi(2)
    };
    noised(answer).into_iter().zip(&sigmas).zip(others).zip(person).map(cell).sum()
}

/// Two worlds that are the same but for one person.
pub struct Pair {
    pub with: World,
    pub without: World,
}

impl Pair {
    /// Closes an epoch over `others` in both worlds, and over `target` too in one.
    pub fn new(others: &[Person], target: &Person) -> Self {
        let world = |people: &[Person]| {
            let world = World::test();
            world.ingest(people);
            world.close_epoch(1);
            world
        };
        let all = [others, std::slice::from_ref(target)].concat();
        Self { with: world(&all), without: world(others) }
    }

    /// Does the same in both worlds.
    pub fn both<T: Send>(&self, act: impl Fn(&World) -> T + Sync) -> (T, T) {
        let act = &act;
        std::thread::scope(|scope| {
            let with = scope.spawn(|| act(&self.with));
            let without = act(&self.without);
            (with.join().unwrap(), without)
        })
    }

    /// Tries an attack in both worlds; it is told the number of the trial, from which it makes prices that were never asked at.
    /// Scores are in an order that is the same each time.
    pub fn attack(&self, trials: usize, score: impl Fn(&World, u64) -> f64 + Sync) -> Scores {
        let score = &score;
        // More than one at a time, so that they wait for the disk together.
        const AT_ONCE: usize = 3;
        let all = |world: &World| -> Vec<f64> {
            std::thread::scope(|scope| {
                let share = |first: usize| {
                    let trials = (first..trials).step_by(AT_ONCE);
                    scope.spawn(move || trials.map(|trial| score(world, trial as u64)).collect::<Vec<_>>())
                };
                let shares: Vec<_> = (0..AT_ONCE).map(share).collect();
                shares.into_iter().flat_map(|share| share.join().unwrap()).collect()
            })
        };
        let (with, without) = self.both(all);
        Scores { with, without }
    }
}
