//! Nobody without consent leaves a trace in any release or audience: 1,000 people who consented (class `a`) beside
//! 100,000 who did not (class `b`), for every way of not consenting and every kind of release.
//!
//! "Contains 0" is joint over at most [`CELLS`] = 1,000 cells of one test at alpha = 1e-6: each cell's interval is
//! two-sided at 1e-9, so its unclamped draw lies within [`REACH`] = 6.11 standard deviations of the noise around 0.
//! With a price of 0.5 rho a cell's sigma is 1 to 4 people, so 1,000 people, or a hundredth of the 100,000, would show.

use policy::consent::{ConsentAct, ConsentEvent, LawfulBasis};
use policy::decide::{Decision, Principal, Reason, Request, decide};
use policy::id::{ClientId, PartnerId, PurposeId};
use policy::permit::{Permit, Role, Verb};
use policy::privacy::NanoRho;
use policy::rules::Rules;
use policy::schema::{ColumnId, EventTypeId, FieldRef, Schema};
use policy::segment::{Segment, Window};
use policy::time::Timestamp;
use tempfile::TempDir;
use vault::audience::AudienceQuestion;
use vault::disk::Disk;
use vault::ingest::{Record, SubjectKey, Value};
use vault::keys::SecondLock;
use vault::release::{Answer, Kind, Question};
use vault::{Config, Vault, VaultError};

/// Most cells compared with 0 in one test.
const CELLS: usize = 1_000;
/// Standard normal quantile at 1 - 1e-6 / (2 * CELLS), rounded up.
const REACH: f64 = 6.11;

const CONSENTING: usize = 1_000;
const OTHERS: usize = 100_000;
/// People ingested in one batch.
const BATCH: usize = 2_000;

const SCHEMA: &str = r#"
version = 1
dataset = "shop"
organization = "hill-farms"
population = "shop"
display = "A shop"
kind = "test"
time_zone = "UTC"
subject_key = "member_no"
purposes = ["marketing.segmentation", "marketing.portrait", "sharing.partner.greenbox", "sharing.partner.acre"]
[budget]
quarter = "1000"
lifetime = "1000"
[[attributes]]
name = "member_no"
class = "identifier"
type = "identifier"
max_bytes = 40
display = "Member"
[[attributes]]
name = "class"
class = "quasi_identifier"
type = "enum"
domain = ["a", "b"]
coarse = ["a", "b"]
display = "Class"
[[attributes]]
name = "children"
class = "quasi_identifier"
type = "integer"
min = 0
max = 20
display = "Children"
[[events]]
name = "order"
display = "Order"
max_per_subject = 10
[[events.fields]]
name = "category"
class = "behavioral"
type = "enum"
domain = ["pots", "plants", "tools"]
max_distinct = 3
display = "Category"
"#;

const NOW: i64 = 1_790_000_000;
const DAY: i64 = 86_400;
const MARKETING: &str = "marketing.segmentation";
const SHARING: &str = "sharing.partner.greenbox";

/// Ways of not consenting, dealt out in turn to the people of class `b`.
const WAYS: usize = 7;

struct Shop {
    _folders: TempDir,
    vault: Vault,
    rules: Rules,
    schema: Schema,
    /// Cells compared with 0 so far.
    compared: usize,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW + seconds)
}

fn key(number: usize) -> SubjectKey {
    SubjectKey::new(&format!("member-{number}")).unwrap()
}

fn purpose(name: &str) -> PurposeId {
    PurposeId::new(name).unwrap()
}

fn event(name: &str, act: ConsentAct, seconds: i64) -> ConsentEvent {
    ConsentEvent {
        purpose: purpose(name),
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

/// The consent events by which person `number` of class `b` does not consent to the purposes asked for.
fn none_of_it(number: usize) -> Vec<ConsentEvent> {
    let given = |name| event(name, ConsentAct::Give, -10 * DAY);
    let both =
        |change: &dyn Fn(ConsentEvent) -> ConsentEvent| [MARKETING, SHARING].map(|name| change(given(name))).to_vec();
    match number % WAYS {
        0 => Vec::new(),
        1 => both(&|event| ConsentEvent { expires: Some(at(-DAY)), ..event }),
        // Ends between the close and the draw.
        2 => both(&|event| ConsentEvent { expires: Some(at(25)), ..event }),
        3 => {
            let withdrawn = [MARKETING, "sharing"].map(|name| event(name, ConsentAct::Withdraw, -DAY));
            [both(&|event| event), withdrawn.to_vec()].concat()
        }
        4 => vec![given("marketing.portrait"), given("sharing.partner.acre")],
        5 => both(&|event| ConsentEvent { basis: LawfulBasis::Contract, ..event }),
        // Given after the close: recorded by `Shop::consent_after_the_close`.
        _ => Vec::new(),
    }
}

impl Shop {
    fn new() -> Self {
        let folders = tempfile::tempdir().unwrap();
        let config = Config {
            data: folders.path().join("data"),
            root: folders.path().join("root"),
            mirror: None,
            backup: None,
            threads: 2,
            fold_bytes: vault::vault::DEFAULT_FOLD_BYTES,
            lock: SecondLock::None,
            disk: Disk::default(),
        };
        Vault::init(&config, at(0)).unwrap();
        let shop = Self {
            vault: Vault::open(&config, at(0)).unwrap(),
            rules: Rules::parse(Rules::default_texts(), 1).unwrap(),
            schema: policy::schema::parse(SCHEMA).unwrap(),
            _folders: folders,
            compared: 0,
        };
        shop.vault
            .create_dataset(&shop.permit("steward", Role::Steward, Verb::ManageDataset, None), SCHEMA, at(0))
            .unwrap();
        shop
    }

    fn permit(&self, client: &str, role: Role, verb: Verb, used_for: Option<&str>) -> Permit {
        let used_for = used_for.map(purpose);
        let principal = Principal {
            client: ClientId::new(client).unwrap(),
            role,
            purposes: used_for.clone().into_iter().collect(),
        };
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

    /// Writes people with a profile and an order each, and their consent events.
    fn fill(&self, class: u16, first: usize, count: usize, consents: impl Fn(usize) -> Vec<ConsentEvent>) {
        let permit = self.permit("till", Role::Producer, Verb::Ingest, None);
        for start in (first..first + count).step_by(BATCH) {
            let mut records = Vec::new();
            for number in start..(start + BATCH).min(first + count) {
                let values = vec![
                    (ColumnId(1), Value::Code(class)),
                    (ColumnId(2), Value::Int(i64::try_from(number % 5).unwrap())),
                ];
                records.push(Record::Profile { subject: key(number), values });
                records.push(Record::Event {
                    subject: key(number),
                    event: EventTypeId(0),
                    id: 1,
                    at: at(-DAY),
                    values: vec![Value::Code(1 + u16::try_from(number % 3).unwrap())],
                });
                let consents = consents(number).into_iter();
                records.extend(consents.map(|consent| Record::Consent { subject: key(number), consent }));
            }
            self.vault.ingest(&permit, records, at(0)).unwrap();
        }
    }

    fn consents(&self, events: Vec<(SubjectKey, ConsentEvent)>, seconds: i64) {
        let permit = self.permit("portal", Role::Producer, Verb::RecordConsent, None);
        self.vault.record_consents(&permit, events, at(seconds)).unwrap();
    }

    fn close(&self, seconds: i64) {
        let permit = self.permit("steward", Role::Steward, Verb::Maintain, None);
        self.vault.close_epoch(&permit, at(seconds), at(seconds)).unwrap();
    }

    fn segment(&self, text: &str) -> Segment {
        policy::segment::parse(text, &self.schema, &|_| true).unwrap()
    }

    fn field(&self, path: &str) -> FieldRef {
        self.schema.resolve(path).unwrap()
    }

    fn ask(&self, text: &str, kind: Kind, rho: NanoRho) -> (Answer, bool) {
        let permit = self.permit("insights", Role::Service, Verb::Release, Some(MARKETING));
        let (universe, segment) = (Segment::everyone(), self.segment(text));
        let question = Question { dataset: self.schema.dataset.clone(), universe, segment, kind, rho };
        self.vault.release(&permit, &question, at(40)).unwrap()
    }

    /// One of each kind: size, breakdowns by an attribute, by an event's field, by two of either, portrait.
    fn kinds(&self) -> Vec<Kind> {
        let by = |fields: &[&str]| fields.iter().map(|path| self.field(path)).collect::<Vec<_>>();
        let window = Window::Ever;
        vec![
            Kind::Size,
            Kind::Breakdown { by: by(&["class"]), window },
            Kind::Breakdown { by: by(&["order.category"]), window },
            Kind::Breakdown { by: by(&["class", "order.category"]), window },
            Kind::Portrait { fields: by(&["class", "order.category"]), window },
        ]
    }

    /// Checks that the interval of every cell of a new draw contains 0.
    fn draws_nobody(&mut self, text: &str, rho: NanoRho) {
        for kind in self.kinds() {
            let (answer, charged) = self.ask(text, kind, rho);
            assert!(charged, "a new draw");
            for cell in answer.tables.iter().flat_map(|table| &table.cells) {
                self.compared += 1;
                assert!(around(0, cell.noised, &answer), "{text}: {} of sigma {}", cell.noised, answer.sigma_1024);
            }
        }
        assert!(self.compared <= CELLS);
    }

    fn audience(&self, text: &str, rho: NanoRho) -> Result<Vec<vault::audience::Member>, VaultError> {
        let partner = PartnerId::new("greenbox").unwrap();
        let role = Role::Partner(partner.clone());
        let permit = self.permit("greenbox-crm", role, Verb::Audience, Some(SHARING));
        let tags = vec![self.field("class")];
        let (universe, segment) = (Segment::everyone(), self.segment(text));
        let question = AudienceQuestion { partner, universe, segment, tags, rho };
        let audience = self.vault.audience(&permit, &question, at(40))?;
        Ok(self.vault.emit(&permit, &audience, 0, usize::MAX, at(40))?.members)
    }

    fn refused_audience(&self, text: &str, rho: NanoRho) -> Reason {
        match self.audience(text, rho) {
            Err(VaultError::Refused(refusal)) => refusal.reason,
            other => panic!("{other:?}"),
        }
    }
}

/// Whether the unclamped interval of a draw contains a number of people.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn around(people: i64, noised: i64, answer: &Answer) -> bool {
    ((noised - people * 1_024) as f64).abs() <= REACH * answer.sigma_1024 as f64
}

const RHO: NanoRho = NanoRho(500_000_000);
const OTHER_RHO: NanoRho = NanoRho(600_000_000);

#[test]
fn only_those_who_consented_are_in_what_is_released() {
    let mut shop = Shop::new();
    shop.fill(1, 0, CONSENTING, |_| [MARKETING, SHARING].map(|name| event(name, ConsentAct::Give, -DAY)).to_vec());
    shop.fill(2, CONSENTING, OTHERS, none_of_it);
    shop.close(20);
    let late = (CONSENTING..CONSENTING + OTHERS).filter(|number| number % WAYS == WAYS - 1);
    let given = |number| [MARKETING, SHARING].map(|name| (key(number), event(name, ConsentAct::Give, 22)));
    shop.consents(late.flat_map(given).collect(), 24);

    shop.draws_nobody("class == \"b\"", RHO);
    assert_eq!(shop.refused_audience("class == \"b\"", RHO), Reason::AudienceTooSmall);
    assert_eq!(shop.refused_audience("class == \"b\" && order.any()", RHO), Reason::AudienceTooSmall);
    // The same noise does not hide those who consented.
    let (size, _) = shop.ask("class == \"a\"", Kind::Size, RHO);
    let (everyone, _) = shop.ask("true", Kind::Size, RHO);
    for answer in [&size, &everyone] {
        let noised = answer.tables[0].cells[0].noised;
        assert!(around(1_000, noised, answer) && !around(0, noised, answer), "{noised}");
    }
    let members = shop.audience("true", RHO).unwrap();
    assert_eq!(members.len(), CONSENTING);
    assert!(members.iter().all(|member| member.tags == [Some("a".to_owned())]));

    let gone =
        |number| ["marketing", "sharing.partner"].map(|name| (key(number), event(name, ConsentAct::Withdraw, 30)));
    shop.consents((0..CONSENTING).flat_map(gone).collect(), 35);
    let (repeated, charged) = shop.ask("class == \"a\"", Kind::Size, RHO);
    assert!(!charged && repeated == size, "what was drawn before may be repeated, unchanged, in its epoch");
    shop.draws_nobody("class == \"a\" && children >= 0", RHO);
    shop.draws_nobody("class == \"a\"", OTHER_RHO);
    shop.draws_nobody("order.any()", RHO);
    assert_eq!(shop.refused_audience("true", OTHER_RHO), Reason::AudienceTooSmall);
}

#[test]
fn consent_dated_in_the_future_is_not_taken() {
    let shop = Shop::new();
    let permit = shop.permit("till", Role::Producer, Verb::Ingest, None);
    let consent = event(MARKETING, ConsentAct::Give, 3_600);
    let records = vec![
        Record::Profile { subject: key(0), values: vec![(ColumnId(1), Value::Code(2))] },
        Record::Consent { subject: key(0), consent },
    ];
    let Err(VaultError::Refused(refusal)) = shop.vault.ingest(&permit, records, at(0)) else { panic!("taken") };
    assert_eq!(refusal.reason, Reason::SchemaMismatch);
    assert!(refusal.message.starts_with("record 1:"), "{}", refusal.message);
}
