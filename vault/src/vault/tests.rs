//! The front door from end to end, without a network: what is written comes back as releases, and survives.

mod attributes;
mod audiences;
mod backlog;
mod backups;
mod consents;
#[expect(clippy::print_stdout, reason = "how much a matrix checked is for people")]
mod crashes;
mod erasures;
mod extensions;
mod fence;
mod folds;
mod holds;
mod kinds;
mod late;
mod links;
mod packages;
mod payment;
mod retention;
mod rotations;
mod subjects;
mod synopses;
mod toppings;
mod versions;

use super::{Config, Vault, VaultError};
use crate::audience::AudienceQuestion;
use crate::disk::Disk;
use crate::ingest::{Record, SubjectKey, Value};
use crate::keys::SecondLock;
use crate::release::{Answer, Kind, Question};
use policy::consent::{ConsentAct, ConsentEvent, LawfulBasis};
use policy::decide::{Decision, Principal, Reason, Request, decide, decide_for};
use policy::id::{ClientId, PartnerId, PurposeId};
use policy::permit::{Permit, Role, Verb};
use policy::privacy::NanoRho;
use policy::rules::Rules;
use policy::schema::{ColumnId, EventTypeId, FieldRef, Schema};
use policy::segment::{Segment, Window};
use policy::time::Timestamp;
use policy::treatment::Treatment;
use tempfile::TempDir;

const SCHEMA: &str = r#"
version = 1
dataset = "shop"
organization = "hill-farms"
population = "shop"
display = "A shop"
kind = "test"
time_zone = "Europe/London"
subject_key = "member_no"
purposes = ["marketing.segmentation", "sharing.partner.greenbox", "sharing.partner.acre", "identity.linking"]
[budget]
quarter = "100000"
lifetime = "100000"
[[identities]]
name = "visitor"
max_bytes = 40
[[attributes]]
name = "member_no"
class = "identifier"
type = "identifier"
max_bytes = 40
display = "Member"
[[attributes]]
name = "age_band"
class = "quasi_identifier"
type = "enum"
domain = ["young", "old"]
coarse = ["young", "old"]
display = "Age"
[[attributes]]
name = "children"
class = "quasi_identifier"
type = "integer"
min = 0
max = 20
display = "Children"
[[attributes]]
name = "region"
class = "quasi_identifier"
type = "enum"
domain = ["north", "south"]
coarse = ["north", "south"]
display = "Region"
[[attributes]]
name = "diet"
class = "sensitive"
type = "enum"
domain = ["halal", "kosher"]
coarse = ["stated", "stated"]
display = "Diet"
[[events]]
name = "order"
display = "Order"
max_per_subject = 1000
[[events.fields]]
name = "category"
class = "behavioral"
type = "enum"
domain = ["pots", "plants", "tools"]
max_distinct = 3
display = "Category"
[[events.fields]]
name = "amount"
class = "behavioral"
type = "decimal"
scale = 2
min = "0"
max = "1000"
display = "Amount"
"#;

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
const DAY: i64 = 86_400;
/// Buys noise of a few hundredths of a person, for test datasets only.
const PRICE: NanoRho = NanoRho(2_000_000_000_000);

struct Shop {
    _folders: TempDir,
    config: Config,
    rules: Rules,
    schema: Schema,
    vault: Option<Vault>,
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds() + seconds)
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
            fold_bytes: crate::vault::DEFAULT_FOLD_BYTES,
            lock: SecondLock::None,
            disk: Disk::default(),
        };
        Vault::init(&config, NOW).unwrap();
        let vault = Vault::open(&config, NOW).unwrap();
        let rules = Rules::parse(Rules::default_texts(), 1).unwrap();
        let schema = policy::schema::parse(SCHEMA).unwrap();
        let shop = Self { _folders: folders, config, rules, schema, vault: Some(vault) };
        shop.vault().create_dataset(&shop.permit(Role::Steward, Verb::ManageDataset, None), SCHEMA, NOW).unwrap();
        shop
    }

    fn vault(&self) -> &Vault {
        self.vault.as_ref().unwrap()
    }

    fn reopen(&mut self) {
        self.vault = None;
        self.vault = Some(Vault::open(&self.config, later(10)).unwrap());
    }

    fn permit(&self, role: Role, verb: Verb, purpose: Option<&str>) -> Permit {
        self.permit_for("tester", "", role, verb, purpose)
    }

    /// A portal's permit about one member.
    fn permit_about(&self, verb: Verb, number: usize) -> Permit {
        let principal =
            Principal { client: ClientId::new("portal").unwrap(), role: Role::Portal, purposes: Vec::new() };
        let request = Request {
            principal: &principal,
            verb,
            dataset: Some(&self.schema),
            purpose: None,
            basis: None,
            fields: &[],
            request_id: "",
        };
        match decide_for(&self.rules, &request, format!("member-{number:06}").as_bytes()) {
            Decision::Permit(permit) => permit,
            Decision::Refusal(refusal) => panic!("{refusal:?}"),
        }
    }

    fn permit_for(&self, client: &str, request_id: &str, role: Role, verb: Verb, purpose: Option<&str>) -> Permit {
        permit_under(&self.rules, &self.schema, (client, request_id), role, verb, purpose)
    }

    fn ingest(&self, records: Vec<Record>) {
        let permit = self.permit(Role::Producer, Verb::Ingest, None);
        self.vault().ingest(&permit, records, NOW).unwrap();
    }

    /// `count` members with consent, numbered from `first`; even ones are young, each has one order.
    fn fill(&self, first: usize, count: usize, consents: &[&str]) {
        let mut records = Vec::new();
        for number in first..first + count {
            let young = number % 2 == 0;
            let values = vec![
                (ColumnId(1), Value::Code(if young { 1 } else { 2 })),
                (ColumnId(2), Value::Int(i64::try_from(number % 5).unwrap())),
            ];
            records.push(Record::Profile { subject: key(number), values });
            records.push(order(number, 1, if young { 1 } else { 2 }, -DAY));
            records.extend(consents.iter().map(|purpose| give(number, purpose)));
        }
        self.ingest(records);
    }

    fn close(&self, seconds: i64) {
        let permit = self.permit(Role::Steward, Verb::Maintain, None);
        self.vault().close_epoch(&permit, later(seconds), later(seconds)).unwrap();
    }

    fn segment(&self, text: &str) -> Segment {
        policy::segment::parse(text, &self.schema, &|_| true).unwrap()
    }

    fn ask(&self, text: &str, kind: Kind) -> Result<(Answer, bool), VaultError> {
        self.ask_as("", text, kind)
    }

    fn ask_as(&self, request_id: &str, text: &str, kind: Kind) -> Result<(Answer, bool), VaultError> {
        let permit =
            self.permit_for("insights", request_id, Role::Service, Verb::Release, Some("marketing.segmentation"));
        let question = Question {
            dataset: self.schema.dataset.clone(),
            universe: Segment::everyone(),
            segment: self.segment(text),
            kind,
            rho: PRICE,
        };
        self.vault().release(&permit, &question, later(30))
    }

    fn size(&self, text: &str) -> i64 {
        rounded(&self.ask(text, Kind::Size).unwrap().0, 0)[0]
    }
}

fn permit_under(
    rules: &Rules,
    schema: &Schema,
    (client, request_id): (&str, &str),
    role: Role,
    verb: Verb,
    purpose: Option<&str>,
) -> Permit {
    let purpose = purpose.map(|text| PurposeId::new(text).unwrap());
    let principal =
        Principal { client: ClientId::new(client).unwrap(), role, purposes: purpose.clone().into_iter().collect() };
    let request = Request {
        principal: &principal,
        verb,
        dataset: Some(schema),
        purpose: purpose.as_ref(),
        basis: purpose.as_ref().map(|_| LawfulBasis::Consent),
        fields: &[],
        request_id,
    };
    match decide(rules, &request) {
        Decision::Permit(permit) => permit,
        Decision::Refusal(refusal) => panic!("{refusal:?}"),
    }
}

/// A steward's permit for the whole vault.
fn permit_for_all(rules: &Rules) -> Permit {
    let principal = Principal { client: ClientId::new("steward").unwrap(), role: Role::Steward, purposes: Vec::new() };
    let request = Request {
        principal: &principal,
        verb: Verb::Maintain,
        dataset: None,
        purpose: None,
        basis: None,
        fields: &[],
        request_id: "",
    };
    match decide(rules, &request) {
        Decision::Permit(permit) => permit,
        Decision::Refusal(refusal) => panic!("{refusal:?}"),
    }
}

fn key(number: usize) -> SubjectKey {
    SubjectKey::new(&format!("member-{number:06}")).unwrap()
}

fn order(number: usize, id: u64, category: u16, seconds: i64) -> Record {
    Record::Event {
        subject: key(number),
        event: EventTypeId(0),
        id,
        at: later(seconds),
        values: vec![Value::Code(category), Value::Int(1_250)],
    }
}

fn consent(purpose: &str, act: ConsentAct, seconds: i64) -> ConsentEvent {
    ConsentEvent {
        purpose: PurposeId::new(purpose).unwrap(),
        basis: LawfulBasis::Consent,
        act,
        at: later(seconds),
        expires: None,
        language: None,
        method: None,
        notice: None,
        source: "form-1".into(),
    }
}

fn give(number: usize, purpose: &str) -> Record {
    Record::Consent { subject: key(number), consent: consent(purpose, ConsentAct::Give, -10 * DAY) }
}

/// People per cell of a table, rounded: at sigma 0.1 a wrong rounding has probability under 1e-6 a cell.
fn rounded(answer: &Answer, table: usize) -> Vec<i64> {
    answer.tables[table].cells.iter().map(|cell| (cell.noised + 512).div_euclid(1024)).collect()
}

#[test]
fn what_is_ingested_is_answered() {
    let shop = Shop::new();
    shop.fill(0, 100, &["marketing.segmentation"]);
    shop.close(20);
    assert_eq!(shop.size("true"), 100);
    assert_eq!(shop.size("age_band == \"young\""), 50);
    assert_eq!(shop.size("children >= 3"), 40);
    assert_eq!(shop.size("order.last(\"30d\").where(category == \"pots\").any()"), 50);
    assert_eq!(shop.size("order.sum(amount) > 20.00"), 0);
    let window = Window::Ever;
    let by = vec![shop.schema.resolve("age_band").unwrap(), shop.schema.resolve("order.category").unwrap()];
    let (answer, _) = shop.ask("true", Kind::Breakdown { by: by.clone(), window }).unwrap();
    assert_eq!(rounded(&answer, 0), [0, 0, 0, 0, 0, 50, 0, 0, 0, 0, 50, 0]);
    let (answer, _) = shop.ask("true", Kind::Portrait { fields: by, window }).unwrap();
    assert_eq!((rounded(&answer, 0), rounded(&answer, 1)), (vec![0, 50, 50], vec![0, 50, 50, 0]));
}

#[test]
fn no_epoch_no_answer() {
    let shop = Shop::new();
    shop.fill(0, 10, &["marketing.segmentation"]);
    let Err(VaultError::Refused(refusal)) = shop.ask("true", Kind::Size) else { panic!("answered") };
    assert_eq!(refusal.reason, Reason::EpochNotClosed);
}

#[test]
fn rows_after_the_close_wait_for_the_next_epoch() {
    let shop = Shop::new();
    shop.fill(0, 30, &["marketing.segmentation"]);
    shop.close(20);
    shop.fill(30, 30, &["marketing.segmentation"]);
    assert_eq!(shop.size("true"), 30);
    shop.close(21);
    assert_eq!(shop.size("true"), 60);
}

#[test]
fn importing_again_changes_nothing() {
    let shop = Shop::new();
    for _ in 0..3 {
        shop.fill(0, 30, &["marketing.segmentation"]);
        shop.close(20);
    }
    shop.fill(0, 30, &["marketing.segmentation"]);
    shop.ingest(vec![order(3, 2, 3, -DAY), order(3, 2, 3, -DAY)]);
    shop.close(20);
    assert_eq!(shop.size("true"), 30);
    assert_eq!(shop.size("order.count() == 1"), 29);
    assert_eq!(shop.size("order.count() == 2"), 1);
}

#[test]
fn everything_survives_reopening_folded_or_not() {
    let mut shop = Shop::new();
    shop.fill(0, 50, &["marketing.segmentation"]);
    shop.reopen();
    shop.fill(50, 50, &["marketing.segmentation"]);
    shop.reopen();
    shop.close(20);
    let first = shop.ask_as("7f3c", "true", Kind::Size).unwrap();
    assert!(first.1);
    shop.fill(100, 50, &["marketing.segmentation"]);
    shop.reopen();
    assert_eq!(shop.ask_as("7f3c", "true", Kind::Size).unwrap(), (first.0, false));
    shop.close(22);
    shop.reopen();
    assert_eq!(shop.size("true"), 150);
}

#[test]
fn nobody_without_consent_is_counted() {
    let shop = Shop::new();
    shop.fill(0, 40, &["marketing.segmentation"]);
    shop.fill(40, 500, &[]);
    shop.fill(540, 500, &["sharing.partner.greenbox"]);
    shop.close(20);
    assert_eq!(shop.size("true"), 40);
}

#[test]
fn the_next_draw_after_a_withdrawal_leaves_the_person_out() {
    let shop = Shop::new();
    shop.fill(0, 40, &["marketing.segmentation"]);
    shop.close(20);
    assert_eq!(shop.size("true"), 40);
    let permit = shop.permit(Role::Producer, Verb::RecordConsent, None);
    let gone = (0..10).map(|n| (key(n), consent("marketing", ConsentAct::Withdraw, 5))).collect();
    shop.vault().record_consents(&permit, gone, later(25)).unwrap();
    assert_eq!(shop.size("true"), 40, "an answer drawn before may be repeated until its epoch ends");
    assert_eq!(shop.size("age_band == \"young\" || age_band == \"old\""), 30);
    let unknown = vec![(key(4_000), consent("marketing", ConsentAct::Withdraw, 5))];
    assert!(shop.vault().record_consents(&permit, unknown, later(26)).is_err());
}

#[test]
fn the_same_question_is_charged_once() {
    let shop = Shop::new();
    shop.fill(0, 40, &["marketing.segmentation"]);
    shop.close(20);
    let (first, charged) = shop.ask_as("a", "age_band == \"young\" && children > 1", Kind::Size).unwrap();
    assert!(charged);
    let (again, charged) = shop.ask_as("b", "children >= 2 && \"young\" == age_band", Kind::Size).unwrap();
    assert!(!charged);
    assert_eq!(first, again);
    let Err(VaultError::Refused(refusal)) = shop.ask_as("b", "children == 2", Kind::Size) else { panic!("answered") };
    assert_eq!(refusal.reason, Reason::RequestIdReused);
    let permit = shop.permit(Role::Steward, Verb::ReadBudget, None);
    let insights = ClientId::new("insights").unwrap();
    let statement = shop.vault().budget(&permit, &insights, later(40)).unwrap();
    assert_eq!(statement.client_spent, PRICE);
    assert_eq!(statement.lifetime_spent, PRICE);
}

#[test]
fn an_audience_holds_only_consenting_members_and_coarse_tags() {
    let shop = Shop::new();
    shop.fill(0, 300, &["sharing.partner.greenbox"]);
    shop.fill(300, 300, &["marketing.segmentation"]);
    shop.close(20);
    let partner = PartnerId::new("greenbox").unwrap();
    let purpose = Some("sharing.partner.greenbox");
    let permit = shop.permit_for("greenbox-crm", "", Role::Partner(partner.clone()), Verb::Audience, purpose);
    let tag = shop.schema.resolve("age_band").unwrap();
    assert!(permit.treatment(tag) >= Treatment::Generalise);
    let universe = Segment::everyone();
    let question = AudienceQuestion { partner, universe, segment: shop.segment("true"), tags: vec![tag], rho: PRICE };
    let audience = shop.vault().audience(&permit, &question, later(30)).unwrap();
    let members = shop.vault().emit(&permit, &audience, 0, 1_000, later(30)).unwrap().members;
    assert_eq!(members.len(), 300);
    assert_eq!(members.iter().filter(|m| m.tags[0].as_deref() == Some("young")).count(), 150);
    assert!(members.is_sorted_by(|a, b| a.pseudonym < b.pseudonym));
    let small = AudienceQuestion { segment: shop.segment("children > 30"), ..question };
    let Err(VaultError::Refused(refusal)) = shop.vault().audience(&permit, &small, later(31)) else { panic!() };
    assert_eq!(refusal.reason, Reason::AudienceTooSmall);
}

#[test]
fn a_damaged_or_missing_database_is_made_again() {
    let mut shop = Shop::new();
    shop.fill(0, 50, &["marketing.segmentation"]);
    shop.vault = None;
    let store = shop.config.data.join("store").join("00000001");
    std::fs::remove_dir_all(&store).unwrap();
    shop.reopen();
    shop.close(20);
    assert_eq!(shop.size("true"), 50);
}

#[test]
fn the_log_names_the_versions_of_records() {
    let shop = Shop::new();
    let permit = shop.permit(Role::Service, Verb::Release, Some("marketing.segmentation"));
    shop.vault().put_record(&permit, "segments", "shop/young@3", Some(b"x"), NOW).unwrap();
    let officer = shop.permit(Role::Officer, Verb::ReadLog, None);
    let filter = crate::LogFilter::default();
    let (found, _) = shop.vault().search_log(&officer, crate::Tree::Access, &filter, 0, 100, NOW).unwrap();
    assert!(found.iter().any(|leaf| leaf.json.contains("segments/shop/young version 3")), "{found:?}");
}

/// Journal keys of earlier openings that still exist.
fn old_journal_keys(shop: &Shop) -> Vec<String> {
    let state = shop.vault().lock().unwrap();
    let new: Vec<String> = state.journal.numbers().into_iter().map(|number| format!("journal/{number}")).collect();
    let all = state.tree.secrets("journal/").map(|(name, _)| name.to_owned());
    all.filter(|name| !new.contains(name)).collect()
}

fn first_frame_needed(shop: &Shop) -> u64 {
    let record = shop.vault().lock().unwrap().tree.record("vault").unwrap();
    serde_json::from_slice::<serde_json::Value>(&record).unwrap()["first_seq"].as_u64().unwrap()
}

#[test]
fn a_fold_destroys_the_journal_keys_that_nothing_unfolded_needs() {
    let mut shop = Shop::new();
    let mut other = policy::schema::parse(&SCHEMA.replace("\"shop\"", "\"other\"")).unwrap();
    std::mem::swap(&mut shop.schema, &mut other);
    let steward = shop.permit(Role::Steward, Verb::ManageDataset, None);
    shop.vault().create_dataset(&steward, &SCHEMA.replace("\"shop\"", "\"other\""), NOW).unwrap();
    shop.fill(0, 10, &["marketing.segmentation"]);
    shop.reopen();
    std::mem::swap(&mut shop.schema, &mut other);
    shop.fill(0, 7, &["marketing.segmentation"]);
    shop.reopen();
    shop.close(20);
    assert_eq!(old_journal_keys(&shop).len(), 1, "the other dataset's rows are not folded");
    let pinned = first_frame_needed(&shop);

    // What was kept is enough, and goes with the fold of the other dataset, although the first one stays idle.
    shop.reopen();
    assert_eq!(shop.size("age_band == \"young\""), 4);
    std::mem::swap(&mut shop.schema, &mut other);
    shop.close(21);
    assert_eq!(shop.size("age_band == \"young\""), 5);
    assert_eq!(old_journal_keys(&shop), [""; 0]);
    assert!(first_frame_needed(&shop) > pinned);
    shop.reopen();
    assert_eq!(shop.size("age_band == \"old\""), 5);
}

#[test]
fn a_batch_of_several_frames_is_kept_whole() {
    let mut shop = Shop::new();
    let permit = shop.permit(Role::Producer, Verb::Ingest, None);
    let many = (0..9_000).map(|number| give(number, "marketing.segmentation")).collect();
    assert_eq!(shop.vault().ingest(&permit, many, NOW).unwrap().consents, 9_000);
    shop.reopen();
    shop.close(20);
    assert_eq!(shop.size("true"), 9_000);
}
