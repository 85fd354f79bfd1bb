//! What is held by law outlives the erasure of its person and nothing else does; when the hold ends, nothing is left.

use super::*;
use crate::erasure::ErasureReceipt;
use crate::fold::erase::Gone;
use crate::holds::{Ground, Held, Hold, NewHold};
use crate::keys::PieceKind;
use crate::log::Leaf;
use crate::subjects::ErasureReport;
use crate::vault::Tree;
use std::collections::BTreeMap;

const PURPOSE: &[&str] = &["marketing.segmentation"];

impl Shop {
    fn hold(&self, number: usize, fields: &[&str], ground: &str, until: Option<i64>) -> Result<Hold, VaultError> {
        let fields = fields.iter().map(|path| self.schema.resolve(path).unwrap()).collect();
        let hold = NewHold { fields, ground: Ground::new(ground).unwrap(), until: until.map(later) };
        let permit = self.permit(Role::Steward, Verb::HoldSubject, None);
        self.vault().place_hold(&permit, &key(number), hold, later(30))
    }

    fn holds(&self) -> Vec<Hold> {
        self.vault().list_holds(&self.permit(Role::Steward, Verb::HoldSubject, None)).unwrap()
    }

    fn release(&self, hold: u64) -> Result<Option<ErasureReport>, VaultError> {
        self.vault().release_hold(&self.permit(Role::Steward, Verb::HoldSubject, None), hold, later(60))
    }

    fn erase_all(&self, numbers: &[usize]) -> ErasureReport {
        let permit = self.permit(Role::Portal, Verb::EraseSubject, None);
        let subjects: Vec<_> = numbers.iter().copied().map(key).collect();
        self.vault().erase_subjects(&permit, &subjects, later(40)).unwrap()
    }

    fn ordinal(&self, number: usize) -> Option<u32> {
        let state = self.vault().state.lock();
        let index = &state.datasets[&1].index;
        index.find(index.tag(key(number).expose()))
    }

    /// Whether anything is left at a place beyond some fields.
    fn has_beyond(&self, ordinal: u32, fields: &[&str]) -> bool {
        let fields: Vec<_> = fields.iter().map(|path| self.schema.resolve(path).unwrap()).collect();
        let held = Held::of(&self.schema, &fields);
        let gone = Gone::from([(u16::try_from(ordinal).unwrap(), held)]);
        self.vault().left_over(1, &BTreeMap::from([(0, gone)])).unwrap() > 0
    }
}

fn said(report: &ErasureReport) -> [String; 2] {
    [&report.outcome, &report.confirmation]
        .map(|leaf| Leaf::parse(leaf.json.as_bytes()).unwrap().what.unwrap().as_str().to_owned())
}

fn held_back(receipt: &ErasureReceipt) -> Vec<(u64, &str, &[String])> {
    receipt
        .held
        .iter()
        .map(|held| (held.intent - receipt.intent, held.ground.as_str(), held.fields.as_slice()))
        .collect()
}

fn refusal<T: std::fmt::Debug>(done: Result<T, VaultError>) -> (Reason, String) {
    match done {
        Err(VaultError::Refused(refusal)) => (refusal.reason, refusal.message),
        done => panic!("{done:?}"),
    }
}

#[test]
fn an_erasure_leaves_what_is_held_until_the_hold_ends_and_then_nothing() {
    let mut shop = Shop::new();
    // Folded with later entries, folded beside the closed epoch, and not folded.
    shop.fill(0, 60, PURPOSE);
    shop.close(20);
    shop.ingest((0..60).map(|number| order(number, 2, 2, -60)).collect());
    shop.fill(60, 10, PURPOSE);
    shop.vault().fold(&shop.permit(Role::System, Verb::Maintain, None), later(25)).unwrap();
    shop.fill(70, 10, PURPOSE);
    shop.ingest((0..3).map(|number| order(number, 3, 2, -30)).collect());
    let people = [2, 65, 75];
    let places = people.map(|number| shop.ordinal(number).unwrap());
    let holds: Vec<Hold> = people
        .iter()
        .map(|number| shop.hold(*number, &["order.amount", "children"], "tax-act-147", None).unwrap())
        .collect();
    shop.reopen();
    assert_eq!(shop.holds(), holds);
    assert_eq!(shop.held(2).holds, [holds[0].clone()], "the person is told");
    assert_eq!(shop.held(3).holds, []);
    let report = shop.erase_all(&[1, 2, 65, 75]);
    assert!(report.confirmed);
    assert_eq!(said(&report), ["erased but for what is held", "confirmed: nothing but what is held is found"]);
    let fields = ["children".to_owned(), "order.amount".to_owned()];
    let line = |intent| (intent, "tax-act-147", &fields[..]);
    assert_eq!(held_back(&report.receipt), [line(1), line(2), line(3)]);
    assert_eq!(report.receipt.version, 2);
    for round in 0..4 {
        assert!(shop.holds().iter().all(|hold| hold.waiting));
        assert_eq!([1, 2, 65, 75].map(|number| shop.ordinal(number)), [None; 4]);
        for place in places {
            assert!(shop.has_beyond(place, &[]) && !shop.has_beyond(place, &["order.amount", "children"]), "{round}");
        }
        assert!(!shop.has_beyond(1, &[]));
        match round {
            0 => assert_eq!(shop.size("true"), 58, "in the epoch that was closed before"),
            1 => shop.close(50),
            _ => assert_eq!((shop.size("true"), shop.size("order.count() >= 1")), (76, 76)),
        }
        shop.reopen();
    }
    for (hold, place) in holds.iter().zip(places) {
        let report = shop.release(hold.number).unwrap().unwrap();
        assert!(report.confirmed && report.receipt.held.is_empty() && report.receipt.version == 1);
        assert_eq!(said(&report), ["erased", "confirmed: nothing is found"]);
        assert!(!shop.has_beyond(place, &[]));
        assert_eq!(shop.release(hold.number).unwrap().unwrap().json, report.json, "asked again");
    }
    shop.reopen();
    assert_eq!(shop.holds(), []);
    assert_eq!(shop.size("true"), 76);
}

#[test]
fn whoever_comes_back_under_a_held_key_is_someone_new() {
    let mut shop = Shop::new();
    shop.fill(0, 30, PURPOSE);
    shop.close(20);
    shop.fill(30, 5, PURPOSE);
    let holds = [7, 33].map(|number| shop.hold(number, &["order"], "case-4", None).unwrap().number);
    let before = [7, 33].map(|number| shop.ordinal(number).unwrap());
    assert!(shop.erase_all(&[7, 33]).confirmed);
    shop.fill(7, 1, PURPOSE);
    shop.fill(33, 1, PURPOSE);
    let new = [7, 33].map(|number| shop.ordinal(number).unwrap());
    assert_eq!((before, new), ([7, 33], [35, 36]));
    for round in 0..3 {
        assert_eq!([7, 33].map(|number| shop.ordinal(number).unwrap()), new, "{round}");
        shop.reopen();
        if round == 1 {
            shop.close(50);
            assert_eq!(shop.size("true"), 35);
        }
    }
    let report = shop.release(holds[0]).unwrap().unwrap();
    assert!(report.confirmed, "who came back is nobody of whom it asks");
    shop.release(holds[1]).unwrap().unwrap();
    shop.reopen();
    assert_eq!([7, 33].map(|number| shop.ordinal(number).unwrap()), new);
    assert_eq!(shop.size("order.any()"), 35);
}

#[test]
fn an_erasure_waits_for_the_last_of_several_holds() {
    let mut shop = Shop::new();
    shop.fill(0, 10, PURPOSE);
    shop.close(20);
    let first = shop.hold(4, &["order"], "tax-act-147", None).unwrap().number;
    let second = shop.hold(4, &["order.amount", "region"], "case-4", None).unwrap().number;
    shop.erase_all(&[4]);
    assert!(shop.has_beyond(4, &["order.amount", "region"]) && !shop.has_beyond(4, &["order", "region"]));
    let report = shop.release(first).unwrap().unwrap();
    assert_eq!(held_back(&report.receipt), [(0, "case-4", &["region".to_owned(), "order.amount".to_owned()][..])]);
    assert!(shop.has_beyond(4, &[]) && !shop.has_beyond(4, &["order.amount", "region"]));
    shop.reopen();
    assert!(shop.release(second).unwrap().unwrap().receipt.held.is_empty());
    assert!(!shop.has_beyond(4, &[]));
}

#[test]
fn a_hold_that_nothing_waits_for_just_ends() {
    let mut shop = Shop::new();
    shop.fill(0, 10, PURPOSE);
    shop.close(20);
    let hold = shop.hold(4, &["order"], "tax-act-147", None).unwrap();
    assert_eq!(shop.hold(4, &["order"], "tax-act-147", None).unwrap(), hold, "placed again, it is the same");
    assert_eq!(shop.release(hold.number).unwrap(), None);
    shop.reopen();
    assert_eq!((shop.holds(), shop.ordinal(4)), (vec![], Some(4)));
    assert!(shop.erase_all(&[4]).receipt.held.is_empty());
    assert_eq!(refusal(shop.release(hold.number)).0, Reason::FieldUnavailable);
    let leaves = (0..shop.vault().log.size(Tree::Subject)).map(|at| shop.vault().log.leaf(Tree::Subject, at).unwrap());
    let leaves: Vec<Leaf> =
        leaves.map(|leaf| Leaf::parse(&leaf).unwrap()).filter(|leaf| leaf.kind == crate::log::Kind::Hold).collect();
    assert_eq!(leaves.len(), 2);
    assert_eq!(leaves[1].of, Some(hold.number));
    assert!(leaves[0].commit.is_some() && leaves[0].subject_ref == leaves[1].subject_ref);
}

#[test]
fn a_hold_ends_on_its_day_and_the_erasure_goes_on_by_itself() {
    let mut shop = Shop::new();
    shop.fill(0, 10, PURPOSE);
    shop.close(20);
    let held = [3, 4].map(|number| shop.hold(number, &["order"], "tax-act-147", Some(100)).unwrap().number);
    shop.hold(5, &["order"], "tax-act-147", Some(100)).unwrap();
    shop.erase_all(&[3, 4]);
    shop.vault().tick(later(99)).unwrap();
    assert_eq!(shop.holds().len(), 3);
    let before = shop.vault().lock().unwrap().tree.generation();
    shop.vault().tick(later(100)).unwrap();
    assert_eq!(shop.holds(), []);
    assert!(!shop.has_beyond(3, &[]) && !shop.has_beyond(4, &[]));
    assert_eq!(shop.vault().lock().unwrap().tree.generation(), before + 1, "as one batch");
    shop.reopen();
    let [one, other] = held.map(|hold| shop.release(hold).unwrap().unwrap());
    assert!(one.confirmed && one.receipt.people == 2 && one.json == other.json, "its receipt can be had");
    assert!(shop.ordinal(5).is_some());
    let newest = Leaf::parse(one.outcome.json.as_bytes()).unwrap();
    assert_eq!(newest.client, None, "nobody asked");
}

#[test]
fn a_broken_off_release_is_carried_out_at_the_next_opening() {
    let mut shop = Shop::new();
    shop.fill(0, 10, PURPOSE);
    shop.close(20);
    shop.fill(10, 5, PURPOSE);
    let holds = [3, 12].map(|number| shop.hold(number, &["order"], "tax-act-147", Some(100)).unwrap().number);
    shop.erase_all(&[3, 12]);
    // As a crash leaves it, after the frame that ends the holds.
    shop.vault().end_holds(later(100)).unwrap();
    assert_eq!(refusal(shop.release(holds[0])).0, Reason::RateLimited);
    shop.reopen();
    assert!(!shop.has_beyond(3, &[]) && !shop.has_beyond(12, &[]));
    assert_eq!(shop.release(holds[1]).unwrap().unwrap().receipt.people, 2);
}

#[test]
fn a_hold_that_makes_no_sense_is_refused() {
    let shop = Shop::new();
    shop.fill(0, 10, PURPOSE);
    assert_eq!(refusal(shop.hold(99, &["order"], "tax-act-147", None)).0, Reason::FieldUnavailable);
    assert_eq!(refusal(shop.hold(4, &[], "tax-act-147", None)).0, Reason::RequestInvalid);
    assert_eq!(refusal(shop.hold(4, &["order"], "tax-act-147", Some(-5))).0, Reason::RequestInvalid);
    assert_eq!(refusal(shop.release(0)).0, Reason::FieldUnavailable);
    let permit = shop.permit(Role::Portal, Verb::EraseSubject, None);
    assert_eq!(refusal(shop.vault().list_holds(&permit)).0, Reason::PurposeDenied);
    let unknown = FieldRef::Attribute(ColumnId(900));
    let hold = NewHold { fields: [unknown].into(), ground: Ground::new("x").unwrap(), until: None };
    let permit = shop.permit(Role::Steward, Verb::HoldSubject, None);
    assert_eq!(refusal(shop.vault().place_hold(&permit, &key(4), hold, NOW)).0, Reason::FieldUnavailable);
    assert_eq!(shop.holds(), []);
}

/// Someone signs up again under a key while its erasure is under way; then the gateway is killed.
#[test]
fn who_came_back_before_a_broken_off_erasure_is_known_at_the_next_opening() {
    let mut shop = Shop::new();
    shop.fill(0, 30, PURPOSE);
    shop.close(20);
    let permit = shop.permit(Role::Portal, Verb::EraseSubject, None);
    shop.vault().intend_erasure(&permit, &[key(3)], later(40)).unwrap();
    shop.fill(3, 1, PURPOSE);
    let new = shop.ordinal(3);
    assert_eq!(new, Some(30));
    shop.reopen();
    assert_eq!(shop.ordinal(3), new);
}

#[test]
fn retention_leaves_what_is_held() {
    let mut shop = Shop::new();
    let limited = SCHEMA
        .replace("display = \"Order\"", "display = \"Order\"\nretention_days = 30")
        .replace("display = \"Amount\"", "display = \"Amount\"\nretention_days = 10");
    shop.publish(&limited).unwrap();
    shop.fill(0, 20, PURPOSE);
    let whole = shop.hold(3, &["order"], "tax-act-147", None).unwrap().number;
    shop.hold(4, &["order.amount"], "tax-act-147", None).unwrap();
    shop.hold(5, &["order.category"], "tax-act-147", None).unwrap();
    let orders = |shop: &Shop, number| -> Vec<[bool; 2]> {
        let package = shop.held(number);
        let has = |value: &Value| *value != Value::Missing;
        package.events[0].rows.iter().map(|row| [has(&row.values[0]), has(&row.values[1])]).collect()
    };
    for day in [0, 20, 40, 41] {
        shop.close(day * DAY);
    }
    let left = [2, 3, 4, 5].map(|number| orders(&shop, number));
    assert_eq!(left, [vec![], vec![[true, true]], vec![[false, true]], vec![[true, false]]]);
    let files = |shop: &Shop| -> Vec<u64> {
        let entries = shop.vault().state.lock().tree.entries();
        let orders = entries.dataset(1).filter(|entry| matches!(entry.id.kind, PieceKind::Events(_)));
        orders.map(|entry| entry.file).collect()
    };
    let before = files(&shop);
    shop.close(42 * DAY);
    assert_eq!(files(&shop), before, "what is held is not past, so nothing is written");
    shop.release(whole).unwrap();
    shop.close(43 * DAY);
    assert_eq!(orders(&shop, 3), Vec::<[bool; 2]>::new());
    shop.reopen();
    assert_eq!(orders(&shop, 4), [[false, true]]);
}

#[test]
fn retention_leaves_attributes_that_are_held() {
    let mut shop = Shop::new();
    let days = |days: u32| format!("display = \"Children\"\nretention_days = {days}");
    shop.publish(&SCHEMA.replace("display = \"Children\"", &days(10))).unwrap();
    shop.fill(0, 10, PURPOSE);
    let hold = shop.hold(3, &["children"], "tax-act-147", None).unwrap().number;
    shop.hold(4, &["order"], "tax-act-147", None).unwrap();
    let children = |shop: &Shop, number| shop.held(number).attributes[2].1.clone();
    for day in [0, 20, 21] {
        shop.close(day * DAY);
    }
    assert_eq!([2, 3, 4].map(|number| children(&shop, number)), [Value::Missing, Value::Int(3), Value::Missing]);
    let file = |shop: &Shop| -> Vec<u64> {
        let entries = shop.vault().state.lock().tree.entries();
        entries.dataset(1).filter(|entry| entry.id.kind == PieceKind::Attributes).map(|entry| entry.file).collect()
    };
    let before = file(&shop);
    shop.close(22 * DAY);
    assert_eq!(file(&shop), before, "what is held is not past, so nothing is written");
    shop.release(hold).unwrap();
    shop.close(23 * DAY);
    shop.reopen();
    assert_eq!(children(&shop, 3), Value::Missing);
}
