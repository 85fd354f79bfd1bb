//! The segment language over sealed blocks against a second, plain reading of it: random people, random questions, and not
//! one person in another place.
//!
//! `SILHOUETTE_SEGMENT_CASES=10000 cargo nextest run -p tests --test it segments::` asks as many questions as one likes;
//! `SILHOUETTE_SEGMENT_SEED` starts elsewhere.

use harness::naive::random::Dice;
use harness::naive::{ATTRIBUTES, Condition, EVENTS, Field, Moment, Person, SCHEMA, Sort, judge};
use policy::consent::{ConsentAct, ConsentEvent, LawfulBasis};
use policy::decide::{Decision, Principal, Request, decide};
use policy::id::{ClientId, PurposeId, SegmentId};
use policy::permit::{Permit, Role, Verb};
use policy::privacy::NanoRho;
use policy::rules::Rules;
use policy::schema::{ColumnId, EventTypeId, Schema};
use policy::segment::{Segment, Stored, Window, parse_with};
use policy::time::Timestamp;
use std::collections::BTreeSet;
use tempfile::TempDir;
use vault::disk::Disk;
use vault::ingest::{Record, SubjectKey, Value};
use vault::keys::SecondLock;
use vault::release::{Kind, Question};
use vault::{Config, Vault};

const MARKETING: &str = "marketing.segmentation";
/// People of a world, one cell each of the breakdown that tells them apart.
const PEOPLE: usize = 60;
/// Questions about one world.
const QUESTIONS: usize = 100;
/// At this price the noise of a cell has a standard deviation of 0.07 people: one wrong rounding in 10^12.
const RHO: NanoRho = NanoRho(100_000_000_000);

/// People in a vault, and the same people in plain rows.
struct World {
    _folders: TempDir,
    vault: Vault,
    rules: Rules,
    schema: Schema,
    people: Vec<Person>,
    stored: Vec<Condition>,
    moment: Moment,
}

impl World {
    fn new(dice: &mut Dice) -> Self {
        let folders = tempfile::tempdir().unwrap();
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
        let (zone, moment) = dice.moment();
        let labels: Vec<String> = (0..PEOPLE).map(|number| format!("\"p{number}\"")).collect();
        let text = SCHEMA.replace("ZONE", zone).replace("WHO", &labels.join(", "));
        let now = Timestamp(moment.as_of);
        Vault::init(&config, now).unwrap();
        let mut world = Self {
            vault: Vault::open(&config, now).unwrap(),
            rules: Rules::parse(Rules::default_texts(), 1).unwrap(),
            schema: policy::schema::parse(&text).unwrap(),
            people: (0..PEOPLE).map(|_| dice.person(&moment)).collect(),
            stored: Vec::new(),
            moment,
            _folders: folders,
        };
        for number in 0..3 {
            let condition = dice.condition(&world.moment, number, 1);
            world.stored.push(condition);
        }
        let permit = world.permit(Role::Steward, Verb::ManageDataset, None);
        world.vault.create_dataset(&permit, &text, now).unwrap();
        let records =
            world.people.iter().enumerate().flat_map(|(number, person)| records(number, person, now)).collect();
        world.vault.ingest(&world.permit(Role::Producer, Verb::Ingest, None), records, now).unwrap();
        world.vault.close_epoch(&world.permit(Role::Steward, Verb::Maintain, None), now, now).unwrap();
        world
    }

    fn permit(&self, role: Role, verb: Verb, used_for: Option<&str>) -> Permit {
        let used_for = used_for.map(|name| PurposeId::new(name).unwrap());
        let purposes = used_for.clone().into_iter().collect();
        let principal = Principal { client: ClientId::new("tester").unwrap(), role, purposes };
        let request = Request {
            principal: &principal,
            verb,
            dataset: Some(&self.schema),
            purpose: used_for.as_ref(),
            basis: used_for.as_ref().map(|_| LawfulBasis::Consent),
            fields: &[],
            request_id: "",
        };
        match decide(&self.rules, &request) {
            Decision::Permit(permit) => permit,
            Decision::Refusal(refusal) => panic!("{refusal:?}"),
        }
    }

    /// Reads a condition's text; `None` if it is larger than segments may be.
    fn segment(&self, condition: &Condition) -> Option<Segment> {
        let find = |id: &SegmentId, _| {
            let number: usize = id.as_str().strip_prefix('s')?.parse().ok()?;
            Some(Stored { cel: self.stored[number].text(), universe: String::new() })
        };
        match parse_with(&condition.text(), &self.schema, &|_| true, &find) {
            Ok(segment) => Some(segment),
            Err(error) if error.problem().contains("; at most") => None,
            Err(error) => panic!("{error}: {}", condition.text()),
        }
    }

    /// Asks the vault who is in it, through a breakdown by who they are.
    fn asked(&self, universe: &Segment, segment: &Segment) -> BTreeSet<usize> {
        let question = Question {
            dataset: self.schema.dataset.clone(),
            universe: universe.clone(),
            segment: segment.clone(),
            kind: Kind::Breakdown { by: vec![self.schema.resolve("who").unwrap()], window: Window::Ever },
            rho: RHO,
        };
        let permit = self.permit(Role::Service, Verb::Release, Some(MARKETING));
        let (answer, _) = self.vault.release(&permit, &question, Timestamp(self.moment.as_of)).unwrap();
        let people = |noised: i64| (noised + 512).div_euclid(1_024);
        let cells = answer.tables[0].cells.iter().filter(|cell| people(cell.noised) != 0);
        cells.map(|cell| usize::from(cell.codes[0]).checked_sub(1).unwrap()).collect()
    }
}

fn records(number: usize, person: &Person, now: Timestamp) -> Vec<Record> {
    let subject = SubjectKey::new(&format!("p{number}")).unwrap();
    let mut values = vec![(ColumnId(1), Value::Code(u16::try_from(number + 1).unwrap()))];
    let columns = ATTRIBUTES.iter().zip(&person.values).enumerate().skip(2);
    values.extend(
        columns.map(|(column, (field, given))| (ColumnId(u16::try_from(column).unwrap()), value(field, *given))),
    );
    let consent = ConsentEvent {
        purpose: PurposeId::new(MARKETING).unwrap(),
        basis: LawfulBasis::Consent,
        act: ConsentAct::Give,
        at: Timestamp(now.0 - 1_000_000),
        expires: None,
        source: "form".into(),
        method: None,
        notice: None,
        language: None,
    };
    let mut records = vec![
        Record::Profile { subject: subject.clone(), values },
        Record::Consent { subject: subject.clone(), consent },
    ];
    records.extend(person.events.iter().enumerate().map(|(id, happened)| Record::Event {
        subject: subject.clone(),
        event: EventTypeId(u16::try_from(happened.event).unwrap()),
        id: id as u64,
        at: Timestamp(happened.at),
        values:
            EVENTS[happened.event].1.iter().zip(&happened.values).map(|(field, given)| value(field, *given)).collect(),
    }));
    records
}

fn value((_, sort): &Field, given: Option<i64>) -> Value {
    match (given, sort) {
        (None, _) => Value::Missing,
        (Some(code), Sort::Label | Sort::Bool) => Value::Code(u16::try_from(code).unwrap()),
        (Some(id), Sort::Id) => Value::Bytes(format!("b{id}").into_bytes()),
        (Some(number), _) => Value::Int(number),
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn the_scan_and_a_plain_reading_of_the_language_agree_on_everybody() {
    let cases = usize::try_from(setting("SILHOUETTE_SEGMENT_CASES", 300)).unwrap();
    let seed = setting("SILHOUETTE_SEGMENT_SEED", 1);
    let (mut asked, mut some, mut all) = (0, 0, 0);
    for seed in seed.. {
        // Near seeds give like first numbers.
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let world = World::new(&mut dice);
        for question in 0..QUESTIONS {
            let depth = dice.below(4);
            let condition = dice.condition(&world.moment, world.stored.len(), depth);
            let universe = dice.condition(&world.moment, world.stored.len(), 0);
            let (Some(segment), Some(within)) = (world.segment(&condition), world.segment(&universe)) else { continue };
            let everyone = Segment::everyone();
            let (within, universe) = if question % 3 == 0 { (within, universe) } else { (everyone, anyone()) };
            let expected = judge::members(&world.people, &universe, &condition, &world.stored, &world.moment);
            let found = world.asked(&within, &segment);
            let differ: Vec<&Person> =
                expected.symmetric_difference(&found).map(|place| &world.people[*place]).collect();
            let text = condition.text();
            assert!(
                differ.is_empty(),
                "seed {seed} question {question} as of {}: {text}\nwithin {}\nread as {}\nwrong for {differ:?}\nof stored {:?}",
                world.moment.as_of,
                universe.text(),
                segment.canonical(),
                world.stored.iter().map(Condition::text).collect::<Vec<_>>(),
            );
            asked += 1;
            some += usize::from(!expected.is_empty());
            all += usize::from(expected.len() == PEOPLE);
            if asked == cases {
                eprintln!("{asked} questions, {some} with members, {all} of everyone; last seed {seed}");
                assert!(some * 2 > asked && all * 2 < asked, "questions are worth asking: {some} and {all} of {asked}");
                return;
            }
        }
    }
}

/// A condition that is true for everybody.
fn anyone() -> Condition {
    Condition::Attribute(harness::naive::Fields::Const(true))
}
