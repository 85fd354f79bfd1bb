//! Who is in a segment.

use super::times::exact;
use super::{Check, Condition, EVENTS, Fields, Happening, Length, Measure, Moment, Person, Sign, Step, Window};
use std::collections::BTreeSet;

/// Rows in, members out: the places of those for whom universe and segment are true.
pub fn members(
    people: &[Person],
    universe: &Condition,
    segment: &Condition,
    stored: &[Condition],
    moment: &Moment,
) -> BTreeSet<usize> {
    let holds = |person: &Person, condition: &Condition| judge(condition, person, stored, moment) == Some(true);
    let is_in = |(_, person): &(usize, &Person)| holds(person, universe) && holds(person, segment);
    people.iter().enumerate().filter(is_in).map(|(place, _)| place).collect()
}

/// What a condition says of a person; `None` is unknown.
fn judge(condition: &Condition, person: &Person, stored: &[Condition], moment: &Moment) -> Option<bool> {
    let of = |condition: &Condition| judge(condition, person, stored, moment);
    match condition {
        Condition::Not(inner) => of(inner).map(|known| !known),
        Condition::And(parts) => and(parts.iter().map(of)),
        Condition::Or(parts) => or(parts.iter().map(of)),
        Condition::Attribute(fields) => test(fields, &person.values),
        Condition::Event { step, window, if_any, measure, check } => {
            let events = counted(person, step, *window, moment);
            if *if_any && events.is_empty() { None } else { measured(&events, *measure, check, moment) }
        }
        Condition::Sequence { steps, without, gap, within, window } => {
            let events = |step: &Step| times(person, step, *window, moment);
            let steps: Vec<Vec<i64>> = steps.iter().map(events).collect();
            let absent = without.iter().flat_map(|step| times(person, step, Window::Ever, moment)).collect();
            let rules = Rules { gap: gap.map(exact), within: within.map(exact), absent };
            Some(rules.happened(&steps, &mut Vec::new()))
        }
        Condition::Score { parts, check } => {
            let points = parts.iter().filter(|(part, _)| of(part) == Some(true)).map(|(_, points)| points).sum();
            passes(check, Some(points))
        }
        Condition::Band { of, check } => passes(check, band(person, *of, moment)),
        Condition::Named(number) => of(&stored[*number]),
    }
}

fn and(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let parts: Vec<Option<bool>> = parts.collect();
    match (parts.contains(&Some(false)), parts.contains(&None)) {
        (true, _) => Some(false),
        (false, true) => None,
        (false, false) => Some(true),
    }
}

fn or(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let parts: Vec<Option<bool>> = parts.collect();
    match (parts.contains(&Some(true)), parts.contains(&None)) {
        (true, _) => Some(true),
        (false, true) => None,
        (false, false) => Some(false),
    }
}

fn test(fields: &Fields, values: &[Option<i64>]) -> Option<bool> {
    match fields {
        Fields::Const(value) => Some(*value),
        Fields::Not(inner) => test(inner, values).map(|known| !known),
        Fields::And(parts) => and(parts.iter().map(|part| test(part, values))),
        Fields::Or(parts) => or(parts.iter().map(|part| test(part, values))),
        Fields::Field(column, check) => passes(check, values[*column]),
    }
}

fn passes(check: &Check, value: Option<i64>) -> Option<bool> {
    match check {
        Check::Missing => Some(value.is_none()),
        Check::Known => Some(value.is_some()),
        Check::In(list) => value.map(|value| list.contains(&value)),
        Check::Is(sign, number) => value.map(|value| match sign {
            Sign::Equal => value == *number,
            Sign::Unequal => value != *number,
            Sign::Less => value < *number,
            Sign::AtMost => value <= *number,
            Sign::More => value > *number,
            Sign::AtLeast => value >= *number,
        }),
    }
}

/// The events of a type that count at all, by time, and by id where times are equal.
fn first_ones(person: &Person, event: usize) -> Vec<&Happening> {
    let mut events: Vec<&Happening> = person.events.iter().filter(|happened| happened.event == event).collect();
    events.sort_by_key(|happened| happened.at);
    events.truncate(EVENTS[event].2);
    events
}

fn counted<'p>(person: &'p Person, step: &Step, window: Window, moment: &Moment) -> Vec<&'p Happening> {
    let which =
        |event: &&Happening| step.filter.as_ref().is_none_or(|filter| test(filter, &event.values) == Some(true));
    let events = first_ones(person, step.event).into_iter();
    events.filter(|event| moment.holds(window, event.at)).filter(which).collect()
}

fn times(person: &Person, step: &Step, window: Window, moment: &Moment) -> Vec<i64> {
    counted(person, step, window, moment).into_iter().map(|event| event.at).collect()
}

fn measured(events: &[&Happening], measure: Measure, check: &Check, moment: &Moment) -> Option<bool> {
    let present = |column: usize| events.iter().filter_map(move |event| event.values[column]);
    let count = |size: usize| Some(i64::try_from(size).unwrap());
    let number = match measure {
        Measure::Any => return Some(!events.is_empty()),
        Measure::Count => count(events.len()),
        Measure::Days => count(events.iter().map(|event| moment.day(event.at)).collect::<BTreeSet<_>>().len()),
        Measure::Sum(column) => Some(present(column).sum()),
        Measure::Distinct(column) => count(present(column).collect::<BTreeSet<_>>().len()),
        Measure::Min(column) => present(column).min(),
        Measure::Max(column) => present(column).max(),
        Measure::SinceLast => return since(events.iter().map(|event| event.at).max(), check, moment),
        Measure::SinceFirst => return since(events.iter().map(|event| event.at).min(), check, moment),
    };
    passes(check, number)
}

/// Whether the number of days since an instant passes: it is at most `n` if the instant is in the last `n` days.
fn since(at: Option<i64>, check: &Check, moment: &Moment) -> Option<bool> {
    let at = at?;
    let at_most = |days: i64| days > 0 && moment.days_ago(days) <= at;
    let is = |days: i64| at_most(days) && !at_most(days - 1);
    Some(match check {
        Check::In(list) => list.iter().any(|days| is(*days)),
        Check::Is(Sign::Equal, days) => is(*days),
        Check::Is(Sign::Unequal, days) => !is(*days),
        Check::Is(Sign::Less, days) => at_most(days - 1),
        Check::Is(Sign::AtMost, days) => at_most(*days),
        Check::Is(Sign::More, days) => !at_most(*days),
        Check::Is(Sign::AtLeast, days) => !at_most(days - 1),
        Check::Missing | Check::Known => panic!("a measure is compared"),
    })
}

/// What a sequence asks of times.
struct Rules {
    gap: Option<i64>,
    within: Option<i64>,
    absent: Vec<i64>,
}

impl Rules {
    /// Tries every chain.
    fn happened(&self, steps: &[Vec<i64>], chain: &mut Vec<i64>) -> bool {
        let Some(times) = steps.get(chain.len()) else { return self.allows(chain) };
        for at in times {
            let follows = |before: &i64| before < at && self.gap.is_none_or(|gap| at - before < gap);
            if chain.last().is_none_or(follows) {
                chain.push(*at);
                let found = self.happened(steps, chain);
                chain.pop();
                if found {
                    return true;
                }
            }
        }
        false
    }

    fn allows(&self, chain: &[i64]) -> bool {
        let (first, last) = (chain[0], chain[chain.len() - 1]);
        let spoils = |at: &i64| *at > first && self.within.is_none_or(|within| *at < first + within);
        self.within.is_none_or(|within| last - first < within) && !self.absent.iter().any(spoils)
    }
}

/// A band of the schema's: recency, frequency, monetary.
fn band(person: &Person, of: usize, moment: &Moment) -> Option<i64> {
    let everything = Step { event: 0, filter: None };
    let events = counted(person, &everything, Window::Last(Length::Days(90)), moment);
    let last = events.last()?;
    let above = |value: i64, cuts: &[i64]| 1 + cuts.iter().filter(|cut| value >= **cut).count() as i64;
    Some(match of {
        0 => 1 + [1, 3, 30].into_iter().filter(|days| moment.days_ago(*days) <= last.at).count() as i64,
        1 => {
            let baskets: BTreeSet<i64> = events.iter().filter_map(|event| event.values[3]).collect();
            above(baskets.len() as i64, &[2, 3, 5])
        }
        _ => above(events.iter().filter_map(|event| event.values[1]).sum(), &[0, 2_000]),
    })
}
