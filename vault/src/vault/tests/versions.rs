//! A description that gets new versions: what is stored stays readable, whoever encodes as before is understood, and nobody
//! has a value of a new field before it is sent.

use super::*;
use crate::vault::release::Counting;
use crate::vault::{SchemaVersion, Tree};

const PURPOSE: &[&str] = &["marketing.segmentation"];
const CITY: ColumnId = ColumnId(5);
const SHOP_FIELD: &str = r#"
[[events.fields]]
name = "till"
class = "behavioral"
type = "bool"
[[events]]
name = "visit"
[[events.fields]]
name = "minutes"
class = "behavioral"
type = "integer"
min = 0
max = 600
"#;

/// The first description with an attribute, a value, an event field and an event type more.
fn wider() -> String {
    let city = "[[attributes]]\nname = \"city\"\nclass = \"quasi_identifier\"\ntype = \"enum\"\ndomain = [\"hill\", \"lake\"]\n[[events]]";
    let text =
        SCHEMA.replacen("[[events]]", city, 1).replace("\"plants\", \"tools\"", "\"plants\", \"tools\", \"seeds\"");
    text + SHOP_FIELD
}

fn deprecating(name: &str) -> String {
    let line = format!("name = \"{name}\"\n");
    wider().replacen(&line, &format!("{line}deprecated = true\n"), 1)
}

fn city(number: usize, code: u16) -> Record {
    Record::Profile { subject: key(number), values: vec![(CITY, Value::Code(code))] }
}

fn visit(number: usize, minutes: i64) -> Record {
    let values = vec![Value::Int(minutes)];
    Record::Event { subject: key(number), event: EventTypeId(1), id: 1, at: later(-DAY), values }
}

fn till_order(number: usize, id: u64, category: u16) -> Record {
    let values = vec![Value::Code(category), Value::Int(900), Value::Code(2)];
    Record::Event { subject: key(number), event: EventTypeId(0), id, at: later(-60), values }
}

impl Shop {
    pub(super) fn publish(&mut self, toml: &str) -> Result<SchemaVersion, VaultError> {
        let permit = self.permit(Role::Steward, Verb::ManageDataset, None);
        let version = self.vault().publish_schema(&permit, toml, later(25))?;
        self.schema = (*version.schema).clone();
        Ok(version)
    }

    fn refused(&self, records: Vec<Record>) -> String {
        let permit = self.permit(Role::Producer, Verb::Ingest, None);
        let Err(VaultError::Refused(refusal)) = self.vault().ingest(&permit, records, NOW) else { panic!("taken") };
        assert_eq!(refusal.reason, Reason::SchemaMismatch);
        refusal.message
    }

    pub(super) fn held(&self, number: usize) -> super::packages::Package {
        let permit = self.permit_about(Verb::AccessSubject, number);
        self.vault().access_subject(&permit, &key(number), later(60)).unwrap()
    }

    /// Numbers of the versions that the pieces of block 0 were written under: attributes, then each event type.
    fn written_under(&self) -> (u32, Vec<Vec<u32>>) {
        let state = self.vault().state.lock();
        let pieces = &state.datasets[&1].closed.blocks[0];
        let version = |piece: &std::sync::Arc<crate::blocks::Piece>| piece.meta().schema_version;
        let events = pieces.events.iter().map(|parts| parts.iter().map(version).collect()).collect();
        (version(pieces.attributes.as_ref().unwrap()), events)
    }
}

#[test]
fn only_who_has_a_value_of_a_new_field_is_counted_by_it() {
    let mut shop = Shop::new();
    shop.fill(0, 40, PURPOSE);
    shop.close(20);
    shop.fill(40, 10, PURPOSE);
    let version = shop.publish(&wider()).unwrap();
    assert_eq!((version.number, version.differences.len()), (2, 4));
    assert_eq!(shop.written_under(), (1, vec![vec![1]]));
    // Rows sent before and after, rows of those who were folded and of those who were not.
    for round in 0..2 {
        assert_eq!(shop.size("city == \"hill\" || missing(city)"), 40);
        assert_eq!(shop.size("known(city)"), 0);
        assert_eq!(shop.size("order.where(till).any()"), 0);
        assert_eq!(shop.size("visit.any()"), 0);
        if round == 0 {
            shop.reopen();
        }
    }
    shop.ingest((0..5).chain(40..42).map(|number| city(number, 2)).collect());
    shop.ingest((3..9).map(|number| visit(number, 5)).collect());
    shop.ingest((10..14).map(|number| till_order(number, 2, 4)).collect());
    shop.close(30);
    for _ in 0..2 {
        assert_eq!(shop.size("true"), 50);
        assert_eq!(shop.size("city == \"lake\""), 7);
        assert_eq!(shop.size("city != \"lake\""), 0, "missing is unknown");
        assert_eq!(shop.size("missing(city)"), 43);
        assert_eq!(shop.size("visit.sum(minutes) >= 5"), 6);
        assert_eq!(shop.size("order.where(till && category == \"seeds\").any()"), 4);
        assert_eq!(shop.size("order.where(category == \"pots\").any()"), 25);
        let fields = ["city", "order.category", "order.till"].map(|path| shop.schema.resolve(path).unwrap()).to_vec();
        let (answer, _) = shop.ask("true", Kind::Portrait { fields, window: Window::Ever }).unwrap();
        assert_eq!(rounded(&answer, 0), [43, 0, 7]);
        assert_eq!(rounded(&answer, 1), [0, 25, 25, 0, 4]);
        assert_eq!(rounded(&answer, 2), [50, 0, 4]);
        shop.reopen();
    }
    assert_eq!(shop.written_under(), (2, vec![vec![2], vec![2]]));
}

#[test]
fn pieces_that_did_not_change_keep_the_version_they_were_written_under() {
    let mut shop = Shop::new();
    shop.fill(0, 40, PURPOSE);
    shop.close(20);
    shop.publish(&wider()).unwrap();
    shop.ingest(vec![city(0, 1)]);
    shop.close(30);
    for _ in 0..2 {
        let (attributes, events) = shop.written_under();
        assert_eq!((attributes, events[0].as_slice()), (2, &[1][..]));
        shop.reopen();
    }
    assert_eq!((shop.size("city == \"hill\""), shop.size("order.any()")), (1, 40));
}

#[test]
fn packages_and_erasures_reach_over_versions() {
    let mut shop = Shop::new();
    shop.fill(0, 40, PURPOSE);
    shop.close(20);
    shop.fill(40, 5, PURPOSE);
    shop.publish(&wider()).unwrap();
    shop.ingest(vec![city(4, 2), visit(4, 7), till_order(4, 2, 4), city(41, 1)]);
    for round in 0..3 {
        let package = shop.held(4);
        let value = |column: u16| package.attributes.iter().find(|(of, _)| of.0 == column).unwrap().1.clone();
        assert_eq!((value(1), value(5)), (Value::Code(1), Value::Code(2)));
        let orders: Vec<_> = package.events[0].rows.iter().map(|row| row.values.clone()).collect();
        assert_eq!(
            orders,
            [[Value::Code(1), Value::Int(1_250), Value::Missing], [Value::Code(4), Value::Int(900), Value::Code(2)]]
        );
        assert_eq!(package.events[1].rows[0].values, [Value::Int(7)]);
        drop(package);
        assert_eq!(shop.held(5).attributes[5], (CITY, Value::Missing));
        match round {
            0 => shop.reopen(),
            _ => shop.close(30 + round),
        }
    }
    let permit = shop.permit(Role::Portal, Verb::EraseSubject, None);
    shop.vault().erase(&permit, &[key(4), key(41), key(6)], later(40)).unwrap();
    shop.close(50);
    for _ in 0..2 {
        assert_eq!((shop.size("true"), shop.size("known(city)"), shop.size("visit.any()")), (42, 0, 0));
        shop.reopen();
    }
}

#[test]
fn whoever_encodes_as_before_is_understood() {
    let mut shop = Shop::new();
    shop.publish(&wider()).unwrap();
    // Orders of two values, as under the first version, beside orders of three.
    shop.fill(0, 10, PURPOSE);
    shop.ingest(vec![till_order(3, 2, 4)]);
    shop.reopen();
    shop.close(30);
    assert_eq!((shop.size("order.count() >= 1"), shop.size("order.where(till).any()")), (10, 1));
    let long = vec![Value::Missing; 4];
    let record = Record::Event { subject: key(1), event: EventTypeId(0), id: 9, at: NOW, values: long };
    assert!(shop.refused(vec![record]).contains("one value for each of its fields"));
}

#[test]
fn a_version_is_logged_kept_and_published_once() {
    let mut shop = Shop::new();
    assert_eq!(shop.publish(&wider()).unwrap().number, 2);
    let leaves = shop.vault().log.size(Tree::Access);
    let again = shop.publish(&wider()).unwrap();
    assert_eq!((again.number, again.differences.len()), (2, 0));
    assert_eq!(shop.vault().log.size(Tree::Access), leaves, "nothing happened, so nothing is logged");
    let leaf = shop.vault().log.leaf(Tree::Access, leaves - 1).unwrap();
    let leaf = std::str::from_utf8(&leaf).unwrap();
    assert!(leaf.contains("new version of the description") && leaf.contains("\"version\":2"), "{leaf}");
    let first = policy::schema::parse(SCHEMA).unwrap();
    for _ in 0..2 {
        let versions = shop.vault().schema_versions(&first.dataset);
        assert_eq!(
            versions.iter().map(|version| version.hash()).collect::<Vec<_>>(),
            [first.hash(), shop.schema.hash()]
        );
        assert_eq!(shop.vault().state.lock().shared.schemas[&1], [SCHEMA.to_owned(), wider()]);
        shop.reopen();
    }
    shop.close(30);
    shop.reopen();
    assert_eq!(shop.vault().schema_versions(&first.dataset).len(), 2);
}

#[test]
fn what_can_not_follow_is_refused_and_changes_nothing() {
    let mut shop = Shop::new();
    shop.publish(&wider()).unwrap();
    let leaves = shop.vault().log.size(Tree::Access);
    let permit = shop.permit(Role::Steward, Verb::ManageDataset, None);
    let other = SCHEMA.replace("dataset = \"shop\"", "dataset = \"else\"");
    let broken = SCHEMA.replace("type = \"enum\"", "type = \"lists\"");
    for (toml, problem) in [(SCHEMA, "`city`: was removed"), (&other, "another dataset"), (&broken, "unknown variant")]
    {
        for error in [
            shop.vault().publish_schema(&permit, toml, NOW).unwrap_err(),
            shop.vault().compare_schema(&permit, toml).unwrap_err(),
        ] {
            let VaultError::Refused(refusal) = error else { panic!("{error}") };
            assert_eq!(refusal.reason, Reason::SchemaMismatch);
            assert!(refusal.message.contains(problem), "{}", refusal.message);
        }
    }
    let ingest = shop.permit(Role::Producer, Verb::Ingest, None);
    assert!(shop.vault().publish_schema(&ingest, &wider(), NOW).is_err());
    let proposed = shop.vault().compare_schema(&permit, &deprecating("diet")).unwrap();
    assert_eq!((proposed.number, proposed.differences.len()), (3, 1));
    assert_eq!(shop.vault().log.size(Tree::Access), leaves);
    assert_eq!(shop.vault().schema_versions(&shop.schema.dataset).len(), 2);
}

#[test]
fn a_deprecated_field_takes_nothing_new_and_is_shown_to_its_person_only() {
    let mut shop = Shop::new();
    shop.publish(&wider()).unwrap();
    shop.fill(0, 40, PURPOSE);
    shop.ingest(vec![visit(4, 5)]);
    shop.close(26);
    assert_eq!(shop.size("children >= 3"), 16);
    shop.publish(&deprecating("children")).unwrap();
    shop.publish(&deprecating("children").replace("name = \"visit\"", "name = \"visit\"\ndeprecated = true")).unwrap();
    let service = shop.permit(Role::Service, Verb::Release, Some(PURPOSE[0]));
    for path in ["children", "visit", "visit.minutes"] {
        assert_eq!(service.treatment(shop.schema.resolve(path).unwrap()), Treatment::Deny, "{path}");
    }
    assert_ne!(service.treatment(shop.schema.resolve("age_band").unwrap()), Treatment::Deny);
    let Err(VaultError::Refused(refusal)) = shop.ask("children >= 3", Kind::Size) else { panic!("answered") };
    assert_eq!(refusal.reason, Reason::FieldUnavailable);
    let children = |value| Record::Profile { subject: key(4), values: vec![(ColumnId(2), value)] };
    assert!(shop.refused(vec![children(Value::Int(2))]).contains("`children` is deprecated and takes no new values"));
    assert!(shop.refused(vec![visit(5, 1)]).contains("`visit` is deprecated"));
    // What is held can be read and corrected, and taken away.
    assert_eq!(shop.held(4).attributes[2].1, Value::Int(4));
    assert_eq!(shop.held(4).events[1].rows.len(), 1);
    let permit = shop.permit_about(Verb::RectifySubject, 4);
    shop.vault().rectify_subject(&permit, &key(4), vec![(ColumnId(2), Value::Int(3))], later(61)).unwrap();
    assert_eq!(shop.held(4).attributes[2].1, Value::Int(3));
    shop.ingest(vec![children(Value::Missing)]);
    assert_eq!(shop.held(4).attributes[2].1, Value::Missing);
    shop.publish(&wider()).unwrap();
    assert_eq!(shop.size("children >= 3"), 16, "the same question again in the same epoch");
}

#[test]
fn people_can_be_asked_about_a_new_purpose() {
    let mut shop = Shop::new();
    shop.fill(0, 20, PURPOSE);
    shop.fill(20, 10, &["sharing"]);
    shop.close(20);
    let toml = SCHEMA.replace("\"sharing.partner.acre\"", "\"sharing.partner.acre\", \"sharing.partner.brook\"");
    shop.publish(&toml).unwrap();
    shop.ingest((0..4).map(|number| give(number, "sharing.partner.brook")).collect());
    shop.reopen();
    shop.close(30);
    for _ in 0..2 {
        let purpose = PurposeId::new("sharing.partner.brook").unwrap();
        let state = shop.vault().state.lock();
        let consent = &state.datasets[&1].consent;
        assert_eq!(consent.allowed(&purpose, LawfulBasis::Consent, later(31), 30).len(), 14);
        drop(state);
        shop.reopen();
    }
}

#[test]
fn a_question_planned_with_an_earlier_version_is_not_charged() {
    let mut shop = Shop::new();
    shop.fill(0, 20, PURPOSE);
    shop.close(20);
    let old = shop.vault().schemas().values().next().cloned().unwrap();
    shop.publish(&wider()).unwrap();
    let permit = shop.permit(Role::Service, Verb::Release, Some(PURPOSE[0]));
    let question = Question {
        dataset: shop.schema.dataset.clone(),
        universe: Segment::everyone(),
        segment: shop.segment("true"),
        kind: Kind::Size,
        rho: PRICE,
    };
    let Err(VaultError::Refused(refusal)) =
        shop.vault().begin_release(&permit, &question, &old, Counting::ThisPrice, later(30)).map(|_| ())
    else {
        panic!("charged")
    };
    assert_eq!(refusal.reason, Reason::SchemaMismatch);
    assert_eq!(shop.size("true"), 20);
}
