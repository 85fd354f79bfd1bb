//! Whom the gateway should know, and what an exact count must therefore be.
//!
//! People come and go: as many are erased as come, the oldest first and some at random. Views are dated almost a day back in
//! a dataset that keeps them for a day, so that each is past its retention some minutes after it was sent. Whoever is in a
//! call that is under way is busy and in no other, so what is acknowledged decides what is true.

use crate::crash::model::{AREAS, CATEGORIES, Dice, give, key};
use proto::v1::{Event, Profile, RecordBatch, Value, value};
use std::collections::BTreeMap;

/// The dataset's resource name.
pub const DATASET: &str = "datasets/soak";
/// The purpose of questions.
pub const ASKING: &str = "marketing.segmentation";
/// The purpose of audiences.
pub const SHARING: &str = "sharing.partner.crm";
/// Scores are below this.
pub const SCORES: u64 = 1_000_000;

/// A test dataset with a budget that buys exact counts for a day.
pub const SCHEMA: &str = r#"
version = 1
dataset = "soak"
organization = "hill-farms"
population = "soak"
display = "A shop that is always open"
kind = "test"
time_zone = "UTC"
subject_key = "member"
purposes = ["marketing.segmentation", "sharing.partner.crm"]
[budget]
quarter = "100000000"
lifetime = "100000000"
[[attributes]]
name = "member"
class = "identifier"
type = "identifier"
max_bytes = 40
display = "Member"
[[attributes]]
name = "area"
class = "quasi_identifier"
type = "enum"
domain = ["north", "east", "south", "west"]
coarse = ["up", "down", "down", "up"]
display = "Area"
[[attributes]]
name = "score"
class = "behavioral"
type = "integer"
min = 0
max = 1000000
display = "Score"
[[attributes]]
name = "diet"
class = "sensitive"
type = "enum"
domain = ["any", "halal", "kosher"]
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
[[events]]
name = "view"
display = "View"
max_per_subject = 1000
retention_days = 1
"#;

const DAY_MICROS: i64 = 86_400_000_000;
/// Orders of everyone.
pub const ORDERS: usize = 2;
/// Erased people that are kept in mind, to be looked up.
const REMEMBERED: usize = 4_096;

/// One person as the gateway should know them.
#[derive(Debug, Clone, Default)]
pub struct Person {
    area: u16,
    score: u64,
    /// One bit for each category of an order.
    categories: u8,
    /// When the views were that are not past their retention.
    views: Vec<i64>,
    allowed: bool,
    busy: bool,
}

/// What becomes true of someone when the batch is acknowledged.
#[derive(Debug)]
enum Step {
    Come(Person),
    Move { area: u16, score: u64 },
    View(i64),
    Give,
}

/// What a batch makes true of whom.
#[derive(Debug, Default)]
pub struct Steps(Vec<(u64, Step)>);

/// Exact figures of those who may be asked about.
#[derive(Debug, PartialEq, Eq)]
pub struct Figures {
    /// People.
    pub people: i64,
    /// People with at least half the highest score.
    pub high_scores: i64,
    /// People with at least two views.
    pub viewers: i64,
    /// People by area, missing first.
    pub by_area: Vec<i64>,
    /// People by category of an order, missing first.
    pub by_category: Vec<i64>,
}

/// Everyone.
#[derive(Debug)]
pub struct People {
    all: BTreeMap<u64, Person>,
    /// How many there should be.
    pub wanted: usize,
    /// How long views are kept, in microseconds.
    kept: i64,
    coming: usize,
    next: u64,
    next_event: u64,
    erased: Vec<u64>,
    dice: Dice,
}

impl People {
    /// Begins with nobody. Views are past their retention `kept` microseconds after they are sent.
    pub fn new(wanted: usize, kept: i64, seed: u64) -> Self {
        let (all, erased, dice) = (BTreeMap::new(), Vec::new(), Dice(seed));
        Self { all, wanted, kept, coming: 0, next: 1, next_event: 1, erased, dice }
    }

    /// Counts those who are known.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Says whether all have come.
    pub fn is_full(&self) -> bool {
        self.all.len() + self.coming >= self.wanted * 99 / 100
    }

    /// Makes a batch: at most so many who come, as many as are wanted, and something of so many others.
    pub fn batch(&mut self, sequence: u64, come: usize, others: usize, now: i64) -> (RecordBatch, Steps) {
        let (mut batch, mut steps) = (RecordBatch { sequence, ..RecordBatch::default() }, Steps::default());
        for _ in 0..come.min(self.wanted.saturating_sub(self.all.len() + self.coming)) {
            let (who, person) = self.newcomer(&mut batch, now);
            steps.0.push((who, Step::Come(person)));
        }
        for _ in 0..others {
            let Some(who) = self.pick(|_| true) else { break };
            let step = self.step(&mut batch, who, now);
            steps.0.push((who, step));
        }
        (batch, steps)
    }

    fn newcomer(&mut self, batch: &mut RecordBatch, now: i64) -> (u64, Person) {
        let who = self.next;
        (self.next, self.coming) = (who + 1, self.coming + 1);
        // One in eight never consents and must not be counted; every second one may be shared.
        let mut person = Person { allowed: !who.is_multiple_of(8), ..Person::default() };
        (person.area, person.score) = self.profile(batch, who);
        for (agrees, purpose) in [(person.allowed, ASKING), (who.is_multiple_of(2), SHARING)] {
            if agrees {
                batch.consents.push(v1_give(who, purpose, now));
            }
        }
        for _ in 0..ORDERS {
            let code = 1 + self.dice.below(CATEGORIES.into());
            person.categories |= 1 << code;
            self.event(batch, who, 0, now, vec![coded(code)]);
        }
        (who, person)
    }

    fn step(&mut self, batch: &mut RecordBatch, who: u64, now: i64) -> Step {
        let allowed = self.all.get(&who).is_some_and(|person| person.allowed);
        match self.dice.below(8) {
            0 => {
                let (area, score) = self.profile(batch, who);
                Step::Move { area, score }
            }
            1 if !allowed && !who.is_multiple_of(8) => {
                batch.consents.push(v1_give(who, ASKING, now));
                Step::Give
            }
            _ => {
                let at = now - DAY_MICROS + self.kept;
                self.event(batch, who, 1, at, Vec::new());
                Step::View(at)
            }
        }
    }

    fn profile(&mut self, batch: &mut RecordBatch, who: u64) -> (u16, u64) {
        let (area, score) = (1 + self.dice.below(AREAS.into()), self.dice.below(SCORES));
        let number = Value { kind: Some(value::Kind::Number(i64::try_from(score).expect("a score"))) };
        batch.profiles.push(Profile { subject: key(who), values: vec![coded(area), number] });
        (u16::try_from(area).expect("a small code"), score)
    }

    fn event(&mut self, batch: &mut RecordBatch, who: u64, layout: u32, at_micros: i64, values: Vec<Value>) {
        let id = self.next_event;
        self.next_event += 1;
        batch.events.push(Event { subject: key(who), layout, id, at_micros, values });
    }

    /// Takes what was acknowledged for true.
    pub fn apply(&mut self, steps: Steps) {
        for (who, step) in steps.0 {
            if let Step::Come(person) = step {
                self.coming -= 1;
                self.all.insert(who, person);
                continue;
            }
            let person = self.all.get_mut(&who).expect("nobody busy is erased");
            person.busy = false;
            match step {
                Step::Come(_) => {}
                Step::Move { area, score } => (person.area, person.score) = (area, score),
                Step::View(at) => person.views.push(at),
                Step::Give => person.allowed = true,
            }
        }
    }

    /// Forgets what was refused.
    pub fn undo(&mut self, steps: &Steps) {
        for (who, step) in &steps.0 {
            match step {
                Step::Come(_) => self.coming -= 1,
                _ => self.free(*who, |_| ()),
            }
        }
    }

    /// Picks someone at random who is not busy, and keeps them busy.
    fn pick(&mut self, wanted: impl Fn(&Person) -> bool) -> Option<u64> {
        let first = *self.all.keys().next()?;
        (0..16).find_map(|_| {
            let from = first + self.dice.below(self.next - first);
            let (who, person) = self.all.range_mut(from..).next()?;
            let good = !person.busy && wanted(person);
            person.busy |= good;
            good.then_some(*who)
        })
    }

    /// Picks someone at random.
    pub fn anyone(&mut self) -> Option<u64> {
        self.pick(|_| true)
    }

    /// Picks someone at random who may be asked about.
    pub fn allowed(&mut self) -> Option<u64> {
        self.pick(|person| person.allowed)
    }

    /// Lets someone go who was picked.
    pub fn free(&mut self, who: u64, change: impl FnOnce(&mut Person)) {
        let person = self.all.get_mut(&who).expect("nobody busy is erased");
        person.busy = false;
        change(person);
    }

    /// Takes out the oldest who are not busy, to be erased.
    pub fn oldest(&mut self, count: usize) -> Vec<u64> {
        let found: Vec<u64> =
            self.all.iter().filter(|(_, person)| !person.busy).take(count).map(|(who, _)| *who).collect();
        found.iter().for_each(|who| drop(self.all.remove(who)));
        found
    }

    /// Takes out someone at random, to be erased.
    pub fn one(&mut self) -> Vec<u64> {
        let found = self.pick(|_| true);
        found.iter().for_each(|who| drop(self.all.remove(who)));
        found.into_iter().collect()
    }

    /// Notes who was erased.
    pub fn gone(&mut self, who: &[u64]) {
        self.erased.extend(who);
        while self.erased.len() > REMEMBERED {
            let at = usize::try_from(self.dice.below(self.erased.len() as u64)).expect("an index");
            self.erased.swap_remove(at);
        }
    }

    /// Draws some who were erased.
    pub fn erased(&mut self, count: usize) -> Vec<u64> {
        let all = self.erased.len() as u64;
        let mut draw = || self.erased[usize::try_from(self.dice.below(all)).expect("an index")];
        (0..count.min(usize::try_from(all).expect("a count"))).map(|_| draw()).collect()
    }

    /// Says how many views of someone are kept.
    pub fn views_of(&self, who: u64) -> usize {
        self.all.get(&who).map_or(0, |person| person.views.len())
    }

    /// Counts, and forgets the views that were past their retention at the end of an epoch.
    pub fn figures(&mut self, as_of: i64) -> Figures {
        let mut found = Figures {
            people: 0,
            high_scores: 0,
            viewers: 0,
            by_area: vec![0; usize::from(AREAS) + 1],
            by_category: vec![0; usize::from(CATEGORIES) + 1],
        };
        for person in self.all.values_mut() {
            person.views.retain(|at| *at >= as_of - DAY_MICROS);
            if !person.allowed {
                continue;
            }
            found.people += 1;
            found.high_scores += i64::from(person.score >= SCORES / 2);
            found.viewers += i64::from(person.views.len() >= 2);
            found.by_area[usize::from(person.area)] += 1;
            for (code, count) in found.by_category.iter_mut().enumerate() {
                *count += i64::from(person.categories >> code & 1 == 1);
            }
        }
        found
    }
}

impl Person {
    /// Notes a withdrawal.
    pub fn withdraw(&mut self) {
        self.allowed = false;
    }
}

fn v1_give(who: u64, purpose: &str, at_micros: i64) -> proto::v1::ConsentEvent {
    proto::v1::ConsentEvent { purpose: purpose.to_owned(), ..give(&key(who), at_micros) }
}

fn coded(code: u64) -> Value {
    Value { kind: Some(value::Kind::Code(u32::try_from(code).expect("a small code"))) }
}
