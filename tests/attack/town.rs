//! A vault with people in it whose every value is planted, so that what a thief recovers can be compared.

use super::thief::{Cell, Fact};
use harness::needles::{Needles, values};
use harness::shop;
use policy::consent::{ConsentAct, ConsentEvent, LawfulBasis};
use policy::decide::{Decision, Principal, Request, decide};
use policy::id::{ClientId, PartnerId, PurposeId};
use policy::permit::{Permit, Role, Verb};
use policy::privacy::NanoRho;
use policy::rules::Rules;
use policy::schema::{ColumnId, EventTypeId, Schema};
use policy::segment::Segment;
use policy::time::Timestamp;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use vault::audience::AudienceQuestion;
use vault::disk::Disk;
use vault::erasure::ErasureReceipt;
use vault::holds::{Ground, NewHold};
use vault::ingest::{Record, SubjectKey, Value};
use vault::keys::SecondLock;
use vault::release::{Kind, Question};
use vault::{Config, Vault, VaultError};

pub const SEGMENTATION: &str = "marketing.segmentation";
pub const SHARING: &str = "sharing.partner.acme";
pub const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
/// The number of the only dataset.
pub const TOWN: u32 = 1;
/// Buys noise of a few hundredths of a person.
const PRICE: u64 = 2_000_000_000_000;
/// Planted values of a person: subject key, e-mail, two notes, where a consent came from.
pub const VALUES: usize = 5;
/// Which of them is written late.
pub const LATE_NOTE: usize = 3;

/// Columns for values of any text, beside those of the shop.
const OPEN_COLUMNS: &str = r#"
[[events.fields]]
name = "note"
class = "identifier"
type = "identifier"
max_bytes = 64
display = "Note"

[[attributes]]
name = "email"
class = "identifier"
type = "identifier"
max_bytes = 64
display = "E-mail"
"#;

const AGE: ColumnId = ColumnId(1);
const REGION: ColumnId = ColumnId(2);
const CHANNEL: ColumnId = ColumnId(3);
const DIET: ColumnId = ColumnId(4);
const EMAIL: ColumnId = ColumnId(5);

pub fn later(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds() + seconds)
}

/// A vault of `planted` people whose values are unique, and others who are there to fill blocks.
pub struct Town {
    pub config: Config,
    pub vault: Option<Vault>,
    /// The values of each planted person, [`VALUES`] of them.
    pub values: Vec<String>,
    pub needles: Needles,
    schema: Schema,
    rules: Rules,
    /// Ordinals of the planted people.
    pub ordinals: Vec<u32>,
    price: std::cell::Cell<u64>,
    folder: TempDir,
}

/// A copy of the folders at one time, the root apart from the data.
pub struct Taken {
    pub name: String,
    pub data: PathBuf,
    pub root: PathBuf,
    /// The mirror and the backup target, if there are.
    pub mirror: Option<PathBuf>,
    pub backup: Option<PathBuf>,
}

/// A planted person.
#[derive(Clone, Copy)]
pub struct Person<'a> {
    number: usize,
    values: &'a [String],
}

impl<'a> Person<'a> {
    pub fn key(self) -> &'a str {
        &self.values[0]
    }

    fn subject(self) -> SubjectKey {
        SubjectKey::new(self.key()).unwrap()
    }

    fn code(self, of: usize) -> u16 {
        u16::try_from(1 + self.number % of).unwrap()
    }

    /// Attributes, and the event with its note: some at first, some later.
    fn attributes(self, late: bool) -> Vec<(ColumnId, Value)> {
        if late {
            return vec![(DIET, Value::Code(self.code(3)))];
        }
        let email = Value::Bytes(self.values[1].as_bytes().to_vec());
        let codes = [(AGE, self.code(3)), (REGION, self.code(2)), (CHANNEL, self.code(2))];
        codes.map(|(column, code)| (column, Value::Code(code))).into_iter().chain([(EMAIL, email)]).collect()
    }

    fn event(self, late: bool) -> (u64, Timestamp, Vec<Value>) {
        let note = Value::Bytes(self.values[if late { LATE_NOTE } else { 2 }].as_bytes().to_vec());
        let amount = 1_000 + i64::try_from(self.number).unwrap();
        let values = vec![Value::Code(self.code(2)), Value::Int(amount), note];
        (1 + u64::from(late), later(if late { -3_600 } else { -86_400 }), values)
    }

    fn records(self, late: bool) -> Vec<Record> {
        let subject = self.subject();
        let (id, at, values) = self.event(late);
        let mut records = vec![
            Record::Profile { subject: subject.clone(), values: self.attributes(late) },
            Record::Event { subject: subject.clone(), event: EventTypeId(0), id, at, values },
        ];
        let purposes = if late { &[][..] } else { &[SEGMENTATION, SHARING] };
        let consent = |purpose: &&str| give(purpose, &self.values[4]);
        records.extend(purposes.iter().map(|p| Record::Consent { subject: subject.clone(), consent: consent(p) }));
        records
    }

    /// What a thief that reads everything of this person knows.
    fn facts(self, late: bool) -> Vec<Fact> {
        let attributes = self.attributes(late).into_iter();
        let (id, at, values) = self.event(late);
        let values = values.iter().map(cell).collect();
        let event = Fact::Event { event: 0, id: Some(id), at: Some(at.0), values };
        attributes.map(|(column, value)| Fact::Attribute(column.0, cell(&value))).chain([event]).collect()
    }
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Missing => Cell::Missing,
        Value::Code(code) => Cell::Code(*code),
        Value::Int(number) => Cell::Int(*number),
        Value::Bytes(bytes) => Cell::Bytes(bytes.clone()),
    }
}

fn give(purpose: &str, source: &str) -> ConsentEvent {
    ConsentEvent {
        purpose: PurposeId::new(purpose).unwrap(),
        basis: LawfulBasis::Consent,
        act: ConsentAct::Give,
        at: later(-864_000),
        expires: None,
        language: None,
        method: None,
        notice: None,
        source: source.to_owned(),
    }
}

/// Deals out values: a source must be a label, which half of them are.
fn deal(people: usize) -> Vec<String> {
    let label = |value: &String| value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let (labels, texts): (Vec<_>, Vec<_>) = values(6 * people).into_iter().partition(label);
    let person = |n: usize| [&texts[3 * n..3 * n + 3], &labels[3 * n..3 * n + 2]].concat();
    (0..people).flat_map(person).collect()
}

impl Town {
    /// Makes a vault and its dataset, for this many planted people; none is in it yet.
    pub fn new(planted: usize) -> Self {
        Self::on(Disk::default(), planted)
    }

    /// [`Town::new`] on a disk that someone watches.
    pub fn on(disk: Disk, planted: usize) -> Self {
        Self::build(disk, planted, false)
    }

    /// [`Town::on`] with a mirror and a backup target.
    pub fn guarded(disk: Disk, planted: usize) -> Self {
        Self::build(disk, planted, true)
    }

    fn build(disk: Disk, planted: usize, guarded: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [data, root] = ["data", "root"].map(|name| folder.path().join(name));
        let [mirror, backup] = ["mirror", "backup"].map(|name| guarded.then(|| folder.path().join(name)));
        let config = Config {
            data,
            root,
            mirror,
            backup,
            lock: SecondLock::None,
            threads: 1,
            fold_bytes: vault::vault::DEFAULT_FOLD_BYTES,
            disk,
        };
        Vault::init(&config, NOW).unwrap();
        let vault = Vault::open(&config, NOW).unwrap();
        let rules = Rules::parse(Rules::default_texts(), 1).unwrap();
        let text = format!("{}{OPEN_COLUMNS}", shop::SCHEMA.replace("\"1000\"", "\"1000000\""));
        let text = text.replace("\"4000\"", "\"4000000\"");
        let schema = policy::schema::parse(&text).unwrap();
        let values = deal(planted);
        let needles = Needles::new(&values);
        let price = std::cell::Cell::new(PRICE);
        let town =
            Self { config, vault: Some(vault), values, needles, schema, rules, ordinals: Vec::new(), price, folder };
        let permit = town.permit(Role::Steward, Verb::ManageDataset, None);
        town.vault().create_dataset(&permit, &text, NOW).unwrap();
        town
    }

    pub fn vault(&self) -> &Vault {
        self.vault.as_ref().unwrap()
    }

    pub fn people(&self) -> usize {
        self.values.len() / VALUES
    }

    pub fn person(&self, number: usize) -> Person<'_> {
        Person { number, values: &self.values[VALUES * number..][..VALUES] }
    }

    pub fn permit(&self, role: Role, verb: Verb, purpose: Option<&str>) -> Permit {
        let purpose = purpose.map(|text| PurposeId::new(text).unwrap());
        let client = ClientId::new("tester").unwrap();
        let principal = Principal { client, role, purposes: purpose.clone().into_iter().collect() };
        let request = Request {
            principal: &principal,
            verb,
            dataset: Some(&self.schema),
            purpose: purpose.as_ref(),
            basis: purpose.as_ref().map(|_| LawfulBasis::Consent),
            fields: &[],
            request_id: "",
        };
        match decide(&self.rules, &request) {
            Decision::Permit(permit) => permit,
            Decision::Refusal(refusal) => unreachable!("{refusal:?}"),
        }
    }

    pub fn ingest(&self, records: Vec<Record>) {
        let permit = self.permit(Role::Producer, Verb::Ingest, None);
        self.vault().ingest(&permit, records, NOW).unwrap();
    }

    /// Registers the next planted people, after `others` who are nobody in particular.
    pub fn register(&mut self, others: u32, count: usize) {
        let first = self.ordinals.last().map_or(0, |last| last + 1);
        let other = |number: u32| Record::Profile {
            subject: SubjectKey::new(&format!("other-{number}")).unwrap(),
            values: vec![(AGE, Value::Code(1))],
        };
        self.ingest((first..first + others).map(other).collect());
        let known = self.ordinals.len();
        self.ordinals.extend((first + others..).take(count));
        self.ingest((known..known + count).flat_map(|number| self.person(number).records(false)).collect());
    }

    /// Writes the second part of what is known of these people.
    pub fn write_late(&self, people: impl Iterator<Item = usize>) {
        self.ingest(people.flat_map(|number| self.person(number).records(true)).collect());
    }

    /// Registers people anew who were erased.
    pub fn come_back(&mut self, people: &[usize]) {
        self.register_anew(people.iter().copied());
        let next = self.ordinals.iter().max().unwrap() + 1;
        people.iter().zip(next..).for_each(|(number, ordinal)| self.ordinals[*number] = ordinal);
    }

    /// Writes the first part of what is known of these people again.
    pub fn register_anew(&self, people: impl Iterator<Item = usize>) {
        self.ingest(people.flat_map(|number| self.person(number).records(false)).collect());
    }

    /// Erases people by their numbers.
    pub fn erase(&self, people: &[usize]) -> Result<ErasureReceipt, VaultError> {
        let permit = self.permit(Role::Portal, Verb::EraseSubject, None);
        let subjects: Vec<_> = people.iter().map(|number| self.person(*number).subject()).collect();
        self.vault().erase(&permit, &subjects, later(70))
    }

    /// Holds a field of people by law; returns the numbers of the holds.
    pub fn hold(&self, people: &[usize], field: &str) -> Vec<u64> {
        let permit = self.permit(Role::Steward, Verb::HoldSubject, None);
        let fields: BTreeSet<_> = [self.schema.resolve(field).unwrap()].into();
        let hold = NewHold { fields, ground: Ground::new("tax-act-147").unwrap(), until: None };
        let place = |number: &usize| {
            let subject = self.person(*number).subject();
            self.vault().place_hold(&permit, &subject, hold.clone(), later(65)).unwrap().number
        };
        people.iter().map(place).collect()
    }

    /// Ends a hold, and carries out the erasure that waited for it.
    pub fn release(&self, hold: u64) {
        let permit = self.permit(Role::Steward, Verb::HoldSubject, None);
        let report = self.vault().release_hold(&permit, hold, later(95)).unwrap();
        assert!(report.unwrap().confirmed);
    }

    pub fn close_epoch(&self, seconds: i64) {
        let permit = self.permit(Role::Steward, Verb::Maintain, None);
        self.vault().close_epoch(&permit, later(seconds), later(seconds)).unwrap();
    }

    /// Folds beside the closed epoch.
    pub fn fold(&self, seconds: i64) {
        let permit = self.permit(Role::System, Verb::Maintain, None);
        self.vault().fold(&permit, later(seconds)).unwrap();
    }

    pub fn stop(&mut self) {
        self.vault.take().unwrap().close(later(5)).unwrap();
    }

    /// Leaves as a crash does: nothing is closed.
    pub fn crash(&mut self) {
        self.vault = None;
    }

    /// Goes on from a copy, which stays as it is: as if the machine had stopped when it was taken.
    pub fn go_on_from(&mut self, copy: &Taken) {
        self.vault = None;
        let home = self.folder.path().join("later").join(&copy.name);
        let (data, root) = (home.join("data"), home.join("root"));
        copy_folder(&copy.data, &data);
        copy_folder(&copy.root, &root);
        self.config = Config {
            data,
            root,
            mirror: None,
            backup: None,
            lock: SecondLock::None,
            fold_bytes: vault::vault::DEFAULT_FOLD_BYTES,
            threads: 1,
            disk: Disk::default(),
        };
        self.open();
    }

    pub fn open(&mut self) {
        self.vault = Some(Vault::open(&self.config, later(10)).unwrap());
    }

    /// Copies the folders as they are now.
    pub fn copy(&self, name: &str) -> Taken {
        take(&self.config, &self.folder.path().join("copies"), name)
    }

    /// A folder for copies that others make.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("taken")
    }

    /// The noisy size of a segment, whose noise rounds away.
    pub fn size(&self, text: &str) -> i64 {
        // Every question has a price of its own, so that none is answered from the store.
        self.price.set(self.price.get() + 1);
        let question = Question {
            dataset: self.schema.dataset.clone(),
            universe: Segment::everyone(),
            segment: policy::segment::parse(text, &self.schema, &|_| true).unwrap(),
            kind: Kind::Size,
            rho: NanoRho(self.price.get()),
        };
        let permit = self.permit(Role::Service, Verb::Release, Some(SEGMENTATION));
        let (answer, _) = self.vault().release(&permit, &question, later(60)).unwrap();
        (answer.tables[0].cells[0].noised + 512).div_euclid(1024)
    }

    /// Delivers to a partner everyone who agreed, and returns their pseudonyms.
    pub fn audience(&self) -> BTreeSet<String> {
        self.price.set(self.price.get() + 1);
        let partner = PartnerId::new("acme").unwrap();
        let question = AudienceQuestion {
            partner: partner.clone(),
            universe: Segment::everyone(),
            segment: policy::segment::parse("order.any()", &self.schema, &|_| true).unwrap(),
            tags: vec![self.schema.resolve("region").unwrap()],
            rho: NanoRho(self.price.get()),
        };
        let permit = self.permit(Role::Partner(partner), Verb::Audience, Some(SHARING));
        let audience = self.vault().audience(&permit, &question, later(60)).unwrap();
        let emission = self.vault().emit(&permit, &audience, 0, usize::MAX, later(60)).unwrap();
        emission.members.into_iter().map(|member| member.pseudonym).collect()
    }

    /// Which planted facts of a person are not among those given; the late ones too, if `late`.
    pub fn missing(&self, number: usize, late: bool, facts: &[Fact]) -> Vec<Fact> {
        let person = self.person(number);
        let source = serde_json::Value::from(person.values[4].as_str());
        let consents = facts.iter().filter(|fact| matches!(fact, Fact::History(json) if json["source"] == source));
        assert!(consents.count() >= 2, "consents of person {number}");
        let key = person.key().as_bytes().to_vec();
        let named = facts.contains(&Fact::Key(key.clone())) || facts.contains(&Fact::Attribute(0, Cell::Bytes(key)));
        assert!(named, "the key of person {number}");
        let parts = if late { &[false, true][..] } else { &[false] };
        let planted = parts.iter().flat_map(|late| person.facts(*late));
        planted.filter(|fact| !facts.contains(fact)).collect()
    }
}

/// Copies a vault's folders as they are now.
pub fn take(config: &Config, to: &Path, name: &str) -> Taken {
    let home = to.join(name);
    let copied = |folder: &PathBuf, name: &str| {
        let to = home.join(name);
        if folder.exists() {
            copy_folder(folder, &to);
        }
        to
    };
    Taken {
        name: name.to_owned(),
        data: copied(&config.data, "data"),
        root: copied(&config.root, "root"),
        mirror: config.mirror.as_ref().map(|mirror| copied(mirror, "mirror")),
        backup: config.backup.as_ref().map(|backup| copied(backup, "backup")),
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() {
            copy_folder(&path, &to);
        } else {
            fs::copy(&path, to).unwrap();
        }
    }
}
