//! Conditions and histories by chance, full of edges.

use super::times::number;
use super::{
    ATTRIBUTES, Check, Condition, EVENTS, Field, Fields, Happening, Length, Measure, Moment, Person, Sign, Sort, Step,
    Window, bounds,
};
use jiff::civil::date;

const HOUR: i64 = 3_600_000_000;

/// A small generator (xorshift64*), so that a failing seed can be run again.
#[derive(Debug)]
pub struct Dice(pub u64);

/// Zones and local times at which epochs end: midnights, clock changes and the days after, ends of Februaries.
const MOMENTS: [(&str, (i16, i8, i8), (i8, i8)); 16] = [
    ("Europe/London", (2024, 4, 1), (0, 0)),
    ("Europe/London", (2024, 3, 31), (2, 30)),
    ("Europe/London", (2024, 10, 27), (1, 30)),
    ("Europe/London", (2024, 10, 28), (0, 0)),
    ("Europe/London", (2024, 10, 30), (1, 30)),
    ("America/New_York", (2024, 3, 11), (2, 30)),
    ("America/New_York", (2024, 11, 4), (0, 0)),
    ("America/Sao_Paulo", (2018, 11, 5), (0, 0)),
    ("America/Sao_Paulo", (2018, 2, 19), (0, 0)),
    ("Australia/Lord_Howe", (2024, 10, 7), (0, 15)),
    ("Australia/Lord_Howe", (2024, 4, 8), (1, 45)),
    ("Pacific/Apia", (2012, 1, 2), (0, 0)),
    ("Asia/Kathmandu", (2024, 3, 1), (0, 0)),
    ("UTC", (2024, 3, 1), (0, 0)),
    ("UTC", (2025, 3, 1), (0, 0)),
    ("Europe/Berlin", (2024, 2, 29), (12, 0)),
];

const DAYS: [i64; 12] = [1, 2, 3, 7, 28, 29, 30, 31, 90, 364, 365, 366];
const HOURS: [i64; 7] = [1, 2, 12, 23, 24, 25, 48];

impl Dice {
    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n as u64).unwrap()
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn between(&mut self, least: i64, most: i64) -> i64 {
        least + self.below(usize::try_from(most - least + 1).unwrap()) as i64
    }

    /// Where and when.
    pub fn moment(&mut self) -> (&'static str, Moment) {
        let (zone, (year, month, day), (hour, minute)) = self.pick(&MOMENTS);
        (zone, Moment::new(zone, date(year, month, day).at(hour, minute, 0, 0)))
    }

    /// A day near the epoch's end, or one that calendars make something of.
    fn day(&mut self, moment: &Moment) -> i64 {
        let today = moment.day(moment.as_of);
        match self.below(4) {
            0 => number(date(2024, 2, 29)) + self.between(-1, 1),
            1 => number(date(2024, 3, 31)) + self.between(-1, 1),
            2 => today - self.pick(&DAYS),
            _ => today - self.between(-2, 40),
        }
    }

    /// An instant on or beside an edge, or anywhere.
    fn instant(&mut self, moment: &Moment, before: Option<i64>) -> i64 {
        let beside = self.between(-1, 1);
        match (self.below(7), before) {
            (0, Some(before)) => before,
            (1, Some(before)) => before + self.pick(&HOURS) * HOUR + beside,
            (2, _) => moment.days_ago(self.pick(&DAYS)) + beside,
            (3, _) => moment.as_of - self.pick(&HOURS) * HOUR + beside,
            (4, _) => moment.start(self.day(moment)) + beside,
            (5, _) => moment.as_of + beside,
            _ => moment.as_of - self.between(0, 24 * 100) * HOUR / 2,
        }
        .min(moment.as_of + 1)
    }

    fn value(&mut self, sort: Sort, event: bool) -> i64 {
        let (least, most) = bounds(sort, event);
        match sort {
            Sort::Hundredths => self.pick(&[least, -1_00, -1, 0, 1, 1_00, 2_50, most]),
            Sort::Day => number(date(2024, 2, 28)) + self.between(0, 3),
            Sort::Label | Sort::Bool | Sort::Whole | Sort::Id => self.between(least, most),
        }
    }

    fn values(&mut self, fields: &[Field], event: bool) -> Vec<Option<i64>> {
        fields.iter().map(|(_, sort)| if self.one_in(4) { None } else { Some(self.value(*sort, event)) }).collect()
    }

    /// Somebody with a history.
    pub fn person(&mut self, moment: &Moment) -> Person {
        let mut events: Vec<Happening> = Vec::new();
        for _ in 0..self.pick(&[0, 1, 2, 4, 7, 12]) {
            let event = self.below(2);
            let at = self.instant(moment, events.last().map(|event| event.at));
            events.push(Happening { event, at, values: self.values(EVENTS[event].1, true) });
        }
        Person { values: self.values(&ATTRIBUTES, false), events }
    }

    fn sign(&mut self) -> Sign {
        self.pick(&[Sign::Equal, Sign::Unequal, Sign::Less, Sign::AtMost, Sign::More, Sign::AtLeast])
    }

    fn number_check(&mut self, list: &[i64]) -> Check {
        if self.one_in(5) {
            Check::In((0..self.below(4)).map(|_| self.pick(list)).collect())
        } else {
            Check::Is(self.sign(), self.pick(list))
        }
    }

    fn check(&mut self, sort: Sort, event: bool) -> Check {
        match (self.below(6), sort) {
            (0, Sort::Id) | (1, _) => Check::Missing,
            (_, Sort::Id) | (0, _) => Check::Known,
            (2, _) => Check::In((0..self.below(4)).map(|_| self.value(sort, event)).collect()),
            (_, Sort::Label | Sort::Bool) => {
                Check::Is(self.pick(&[Sign::Equal, Sign::Unequal]), self.value(sort, event))
            }
            _ => Check::Is(self.sign(), self.value(sort, event)),
        }
    }

    /// Columns of conditions: all but the key and who it is; identifiers of events are there or not.
    fn fields(&mut self, fields: &[Field], event: bool, depth: usize) -> Fields {
        let parts = |dice: &mut Self| (0..2).map(|_| dice.fields(fields, event, depth - 1)).collect();
        match self.below(if depth == 0 { 5 } else { 8 }) {
            0 => Fields::Const(self.one_in(2)),
            5 => Fields::Not(Box::new(self.fields(fields, event, depth - 1))),
            6 => Fields::And(parts(self)),
            7 => Fields::Or(parts(self)),
            _ => {
                let first = if event { 0 } else { 2 };
                let column = first + self.below(fields.len() - first);
                let (_, sort) = fields[column];
                if sort == Sort::Id { Fields::Const(true) } else { Fields::Field(column, self.check(sort, event)) }
            }
        }
    }

    fn length(&mut self) -> Length {
        if self.one_in(3) { Length::Hours(self.pick(&HOURS)) } else { Length::Days(self.pick(&DAYS)) }
    }

    fn window(&mut self, moment: &Moment) -> Window {
        match self.below(6) {
            0 => Window::Since(self.day(moment)),
            1 => {
                let from = self.day(moment);
                Window::Dates(from, from + self.pick(&DAYS))
            }
            2 => {
                let place = self.below(DAYS.len() - 1);
                Window::Between(Length::Days(DAYS[place + 1]), Length::Days(DAYS[place]))
            }
            3 => Window::Between(Length::Days(3), Length::Hours(self.pick(&HOURS))),
            4 => Window::Ever,
            _ => Window::Last(self.length()),
        }
    }

    fn step(&mut self) -> Step {
        let event = self.below(2);
        let filter = if self.one_in(2) { None } else { Some(self.fields(EVENTS[event].1, true, 1)) };
        Step { event, filter }
    }

    fn event(&mut self, moment: &Moment) -> Condition {
        let step = self.step();
        let numbers: &[usize] = if step.event == 0 { &[1, 2, 4] } else { &[] };
        let (measure, check) = match self.below(9) {
            0 if step.event == 0 => (Measure::Sum(self.pick(&[1, 2])), self.number_check(&[-1_00, 0, 1, 5, 2_50])),
            1 | 2 if step.event == 0 => {
                let column = self.pick(numbers);
                let check = self.check(EVENTS[0].1[column].1, true);
                let check = if matches!(check, Check::Missing | Check::Known) { Check::In(Vec::new()) } else { check };
                (if self.one_in(2) { Measure::Min(column) } else { Measure::Max(column) }, check)
            }
            3 => (Measure::Distinct(self.below(EVENTS[step.event].1.len())), self.number_check(&[0, 1, 2, 3])),
            4 => (Measure::Days, self.number_check(&[0, 1, 2, 3])),
            5 => (Measure::SinceLast, self.number_check(&DAYS)),
            6 => (Measure::SinceFirst, self.number_check(&DAYS)),
            7 => (Measure::Count, self.number_check(&[0, 1, 2, 3, 6])),
            _ => (Measure::Any, Check::Known),
        };
        let if_any = !matches!(measure, Measure::Any) && self.one_in(4);
        Condition::Event { step, window: self.window(moment), if_any, measure, check }
    }

    fn sequence(&mut self, moment: &Moment) -> Condition {
        let steps: Vec<Step> = (0..1 + self.below(3)).map(|_| self.step()).collect();
        let least = usize::from(steps.len() == 1);
        let without = (0..least + self.below(2)).map(|_| self.step()).collect();
        let lengths = [Length::Hours(1), Length::Hours(25), Length::Days(1), Length::Days(2), Length::Days(7)];
        let gap = if steps.len() > 1 && self.one_in(2) { Some(self.pick(&lengths)) } else { None };
        let within = if self.one_in(2) { Some(self.pick(&lengths)) } else { None };
        Condition::Sequence { steps, without, gap, within, window: self.window(moment) }
    }

    /// A condition that may name the first `stored` stored segments.
    pub fn condition(&mut self, moment: &Moment, stored: usize, depth: usize) -> Condition {
        let parts =
            |dice: &mut Self| (0..2 + dice.below(2)).map(|_| dice.condition(moment, stored, depth - 1)).collect();
        match self.below(if depth == 0 { 9 } else { 16 }) {
            0 | 1 => Condition::Attribute(self.fields(&ATTRIBUTES, false, 1)),
            2 => self.sequence(moment),
            3 => self.sequence(moment),
            4 => Condition::Band { of: self.below(3), check: self.number_check(&[1, 2, 3]) },
            5 if stored > 0 => Condition::Named(self.below(stored)),
            5..=8 => self.event(moment),
            9..=11 => Condition::Not(Box::new(self.condition(moment, stored, depth - 1))),
            12 | 13 => Condition::And(parts(self)),
            14 => Condition::Or(parts(self)),
            _ => {
                let part = |dice: &mut Self| (dice.condition(moment, stored, depth - 1), dice.between(-3, 6));
                let parts = (0..1 + self.below(3)).map(|_| part(self)).collect();
                Condition::Score { parts, check: self.number_check(&[-3, 0, 2, 5, 6]) }
            }
        }
    }
}
