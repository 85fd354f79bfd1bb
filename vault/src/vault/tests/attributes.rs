//! A value of an attribute that has a retention is gone at the first close after its days, counted from when it was last
//! set, and no other value is.

use super::packages::Package;
use super::*;
use crate::erasure::ErasureReceipt;
use crate::fold::set_day::SetDay;
use crate::keys::{PieceKind, PieceState};
use crate::rotation::Rotation;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const PURPOSE: &[&str] = &["marketing.segmentation"];
const AGE: u16 = 1;
const CHILDREN: u16 = 2;

/// The description with ages and numbers of children kept for some days.
fn keeping(age: Option<u32>, children: Option<u32>) -> String {
    let kept =
        |text: &str, days: Option<u32>| days.map_or(text.to_owned(), |days| format!("{text}\nretention_days = {days}"));
    let [age_text, children_text] = ["display = \"Age\"", "display = \"Children\""];
    SCHEMA.replace(age_text, &kept(age_text, age)).replace(children_text, &kept(children_text, children))
}

fn day(at: Timestamp) -> i32 {
    SetDay::of(at).stored().into()
}

fn profile(number: usize, column: u16, value: Value) -> Record {
    Record::Profile { subject: key(number), values: vec![(ColumnId(column), value)] }
}

fn value_in(package: &Package, column: u16) -> (Value, Option<i32>) {
    let value = package.attributes.iter().find(|(of, _)| of.0 == column).unwrap().1.clone();
    (value, package.kept_until.get(&ColumnId(column)).copied())
}

impl Shop {
    fn ingest_at(&self, records: Vec<Record>, seconds: i64) {
        let permit = self.permit(Role::Producer, Verb::Ingest, None);
        self.vault().ingest(&permit, records, later(seconds)).unwrap();
    }

    /// A member's value of an attribute and the last day on which it is kept, if that is known.
    fn value(&self, number: usize, column: u16) -> (Value, Option<i32>) {
        value_in(&self.held(number), column)
    }

    fn attribute_file(&self) -> u64 {
        let state = self.vault().state.lock();
        let entries = state.tree.entries();
        let is_it = |entry: &&crate::keys::PieceEntry| {
            (entry.id.kind, entry.state) == (PieceKind::Attributes, PieceState::Closed)
        };
        entries.dataset(1).find(is_it).unwrap().file
    }

    fn erase_one(&self, number: usize, seconds: i64) -> ErasureReceipt {
        let permit = self.permit(Role::Portal, Verb::EraseSubject, None);
        self.vault().erase(&permit, &[key(number)], later(seconds)).unwrap()
    }

    fn rotate_pieces(&self) {
        let whole = permit_for_all(&self.rules);
        self.vault().rotate(&whole, Rotation::Pieces, later(70), &|_| ()).unwrap();
    }
}

#[test]
fn a_value_goes_at_the_first_close_after_its_days_and_setting_it_again_renews_them() {
    let mut shop = Shop::new();
    shop.publish(&keeping(None, Some(10))).unwrap();
    shop.fill(0, 20, PURPOSE);
    shop.close(0);
    assert_eq!(shop.value(2, CHILDREN), (Value::Int(2), Some(day(NOW) + 10)));
    assert_eq!(shop.value(2, AGE), (Value::Code(1), None));
    shop.ingest_at(vec![profile(2, CHILDREN, Value::Int(2))], 5 * DAY);
    shop.close(10 * DAY);
    assert_eq!(shop.size("children >= 0"), 20);
    assert_eq!(shop.removals(), vec![0_u64; 0]);
    shop.close(11 * DAY);
    for _ in 0..2 {
        assert_eq!(shop.value(2, CHILDREN), (Value::Int(2), Some(day(NOW) + 15)));
        assert_eq!(shop.value(3, CHILDREN), (Value::Missing, None));
        assert_eq!((shop.size("children >= 0"), shop.size("age_band == \"young\"")), (1, 10));
        shop.reopen();
    }
    let file = shop.attribute_file();
    shop.close(12 * DAY);
    assert_eq!(shop.attribute_file(), file, "nothing is past, so nothing is written");
    shop.close(16 * DAY);
    assert_eq!(shop.size("children >= 0"), 0);
    assert_eq!(shop.removals(), [1, 1]);
    // What comes late and is past already is never in an epoch.
    shop.ingest_at(vec![profile(2, CHILDREN, Value::Int(4))], 16 * DAY);
    shop.close(27 * DAY);
    assert_eq!(shop.value(2, CHILDREN), (Value::Missing, None));
}

#[test]
fn no_key_of_a_value_that_was_removed_is_left() {
    let mut shop = Shop::new();
    shop.publish(&keeping(None, Some(10))).unwrap();
    shop.fill(0, 20, PURPOSE);
    shop.close(0);
    // Unfolded, and under a key of this opening that goes on being used.
    shop.ingest_at(vec![profile(1, CHILDREN, Value::Int(3))], 60);
    let (file, used) = (shop.attribute_file(), shop.vault().state.lock().key_uses.clone_of((1, 0)));
    assert!(!used.is_empty());
    shop.close(11 * DAY);
    let state = shop.vault().state.lock();
    let secrets: BTreeSet<String> = state.tree.secrets("journal/").map(|(name, _)| name.to_owned()).collect();
    assert!(used.iter().all(|number| !secrets.contains(&format!("journal/{number}"))), "a journal's key is left");
    let named: BTreeSet<u64> = state.tree.entries().dataset(1).map(|entry| entry.file).collect();
    assert!(!named.contains(&file), "the values are in a new piece");
    let on_disk = std::fs::read_dir(shop.config.data.join("blocks/00000001")).unwrap().count();
    assert_eq!(on_disk, named.len(), "and the old one is off the disk");
}

#[test]
fn values_of_before_a_retention_count_from_the_first_close_under_it() {
    let mut shop = Shop::new();
    shop.fill(0, 20, PURPOSE);
    shop.close(0);
    let said = shop.publish(&keeping(None, Some(10))).unwrap().differences;
    assert!(said[0].to_string().contains("count from the next close"), "{said:?}");
    shop.ingest_at(vec![profile(1, CHILDREN, Value::Int(3))], 20 * DAY);
    assert_eq!(shop.value(2, CHILDREN), (Value::Int(2), None));
    shop.reopen();
    shop.close(40 * DAY);
    assert_eq!(shop.value(2, CHILDREN), (Value::Int(2), Some(day(later(40 * DAY)) + 10)));
    assert_eq!(shop.value(1, CHILDREN), (Value::Missing, None), "this one had its day");
    shop.close(50 * DAY);
    assert_eq!((shop.size("children >= 0"), shop.removals()), (19, vec![]));
    // Shorter from here on, and then lifted in time.
    shop.publish(&keeping(None, Some(5))).unwrap();
    shop.publish(&keeping(None, None)).unwrap();
    shop.close(60 * DAY);
    assert_eq!(shop.size("children >= 0"), 19);
    shop.publish(&keeping(None, Some(5))).unwrap();
    shop.close(61 * DAY);
    assert_eq!((shop.size("children >= 0"), shop.removals()), (0, vec![1]), "their days were still there");
}

#[test]
fn a_value_keeps_its_day_whatever_is_written_again() {
    let mut shop = Shop::new();
    shop.publish(&keeping(Some(30), Some(10))).unwrap();
    shop.fill(0, 20, PURPOSE);
    shop.close(0);
    let permit = shop.permit_about(Verb::RectifySubject, 4);
    let corrected = vec![(ColumnId(CHILDREN), Value::Int(1)), (ColumnId(AGE), Value::Missing)];
    shop.vault().rectify_subject(&permit, &key(4), corrected, later(3 * DAY)).unwrap();
    // Written again with the erasure, and then with the pieces.
    shop.ingest_at(vec![profile(6, CHILDREN, Value::Int(1)), profile(7, AGE, Value::Code(1))], 4 * DAY);
    shop.erase_one(5, 5 * DAY);
    let today = day(NOW);
    let check = |shop: &Shop| {
        assert_eq!(shop.value(4, CHILDREN), (Value::Int(1), Some(today + 13)));
        assert_eq!(shop.value(4, AGE), (Value::Missing, None));
        assert_eq!(shop.value(6, CHILDREN), (Value::Int(1), Some(today + 14)));
        assert_eq!(shop.value(7, AGE), (Value::Code(1), Some(today + 34)));
        assert_eq!(shop.value(8, CHILDREN), (Value::Int(3), Some(today + 10)));
    };
    check(&shop);
    shop.reopen();
    check(&shop);
    shop.rotate_pieces();
    shop.close(6 * DAY);
    shop.rotate_pieces();
    check(&shop);
    shop.reopen();
    check(&shop);
    shop.close(14 * DAY);
    assert_eq!(shop.value(4, CHILDREN), (Value::Missing, None));
    assert_eq!(shop.value(6, CHILDREN), (Value::Int(1), Some(today + 14)));
    assert_eq!(shop.removals(), [1]);
}

/// What may happen to a few members.
#[derive(Debug, Clone)]
enum Step {
    Set(usize, u16, Option<u16>),
    Rectify(usize, u16, Option<u16>),
    /// Hours pass.
    Wait(i64),
    Fold,
    Close,
    Keep(Option<u32>, Option<u32>),
    Erase(usize),
    Reopen,
    Rotate,
}

fn step() -> impl Strategy<Value = Step> {
    let value = || (0..4_usize, AGE..=CHILDREN, prop::option::weighted(0.8, 1..=2_u16));
    let days = || prop::option::weighted(0.8, 1..4_u32);
    prop_oneof![
        5 => value().prop_map(|(who, column, value)| Step::Set(who, column, value)),
        1 => value().prop_map(|(who, column, value)| Step::Rectify(who, column, value)),
        5 => (1..60_i64).prop_map(Step::Wait),
        1 => Just(Step::Fold),
        4 => Just(Step::Close),
        2 => (days(), days()).prop_map(|(age, children)| Step::Keep(age, children)),
        1 => (0..4_usize).prop_map(Step::Erase),
        1 => Just(Step::Reopen),
        1 => Just(Step::Rotate),
    ]
}

/// One value in the model.
#[derive(Debug, Clone, Copy)]
struct Held {
    value: u16,
    /// The day beside it: known until it is written without one.
    day: Option<i32>,
}

/// Everything in one list, without blocks, journals or keys.
#[derive(Debug, Default)]
struct Model {
    members: BTreeMap<usize, BTreeMap<u16, Held>>,
    days: BTreeMap<u16, u32>,
    /// Who has values that were set since the last fold.
    unfolded: BTreeSet<usize>,
    /// Who is not folded at all.
    new: BTreeSet<usize>,
    /// Whether the next fold writes values even if none of these is left.
    written: bool,
}

impl Model {
    fn set(&mut self, who: usize, column: u16, value: Option<u16>, today: i32) {
        if !self.members.contains_key(&who) {
            self.new.insert(who);
        }
        let held = self.members.entry(who).or_default();
        match value {
            Some(value) => drop(held.insert(column, Held { value, day: Some(today) })),
            None => drop(held.remove(&column)),
        }
        self.unfolded.insert(who);
    }

    fn erase(&mut self, who: usize) {
        self.members.remove(&who);
        self.unfolded.remove(&who);
        // The place of someone who is not folded yet stays.
        self.written |= self.new.remove(&who);
    }

    fn close(&mut self, today: i32) {
        let days = &self.days;
        for held in self.members.values_mut() {
            held.retain(|column, held| {
                let Some(days) = days.get(column) else { return true };
                // A day and its retention are over.
                let stays = held.day.is_none_or(|day| today <= day + i32::try_from(*days).unwrap());
                self.written |= !stays || held.day.is_none();
                held.day = held.day.or(Some(today));
                stays
            });
        }
        self.fold();
    }

    /// Values are written, with their days where those are kept.
    fn fold(&mut self) {
        self.new.clear();
        if std::mem::take(&mut self.written) | !std::mem::take(&mut self.unfolded).is_empty() {
            for (column, held) in self.members.values_mut().flatten() {
                held.day = held.day.filter(|_| self.days.contains_key(column));
            }
        }
    }

    fn check(&self, shop: &Shop, step: &Step) {
        for who in self.members.keys() {
            let package = shop.held(*who);
            for column in [AGE, CHILDREN] {
                let (value, last) = self.expected(*who, column);
                let held = value_in(&package, column);
                assert_eq!(held, (as_value(column, value), last), "{column} of {who} after {step:?}");
            }
        }
    }

    fn expected(&self, who: usize, column: u16) -> (Option<u16>, Option<i32>) {
        let held = self.members.get(&who).and_then(|held| held.get(&column));
        let last = |held: &Held| Some(held.day? + i32::try_from(*self.days.get(&column)?).unwrap());
        (held.map(|held| held.value), held.and_then(last))
    }
}

fn as_value(column: u16, value: Option<u16>) -> Value {
    match value {
        None => Value::Missing,
        Some(code) if column == AGE => Value::Code(code),
        Some(number) => Value::Int(number.into()),
    }
}

fn play(steps: &[Step]) {
    let (mut shop, mut model, mut now) = (Shop::new(), Model::default(), 0);
    for step in steps {
        now += 1;
        let today = day(later(now));
        let erased = |who: usize, model: &Model| !model.members.contains_key(&who);
        match step.clone() {
            Step::Set(who, column, value) => {
                shop.ingest_at(vec![profile(who, column, as_value(column, value))], now);
                model.set(who, column, value, today);
            }
            Step::Rectify(who, ..) | Step::Erase(who) if erased(who, &model) => {}
            Step::Rectify(who, column, value) => {
                let permit = shop.permit_about(Verb::RectifySubject, who);
                let values = vec![(ColumnId(column), as_value(column, value))];
                shop.vault().rectify_subject(&permit, &key(who), values, later(now)).unwrap();
                model.set(who, column, value, today);
            }
            Step::Wait(hours) => now += hours * 3_600,
            Step::Fold => {
                let permit = shop.permit(Role::System, Verb::Maintain, None);
                shop.vault().fold(&permit, later(now)).unwrap();
                model.fold();
            }
            Step::Close => {
                shop.close(now);
                model.close(today);
            }
            Step::Keep(age, children) => {
                shop.publish(&keeping(age, children)).unwrap();
                model.days =
                    [(AGE, age), (CHILDREN, children)].into_iter().filter_map(|(of, days)| Some((of, days?))).collect();
            }
            Step::Erase(who) => {
                shop.erase_one(who, now);
                model.erase(who);
            }
            Step::Reopen => shop.reopen(),
            Step::Rotate => shop.rotate_pieces(),
        }
        // To look is to write to the log, so it is done where something can have gone.
        if matches!(step, Step::Fold | Step::Close | Step::Erase(_) | Step::Reopen | Step::Rotate) {
            model.check(&shop, step);
        }
    }
    model.check(&shop, &Step::Reopen);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn what_is_left_is_what_a_list_with_days_has_left(steps in prop::collection::vec(step(), 1..40)) {
        play(&steps);
    }
}
