//! An access package as one page of HTML, for the person and for the person's lawyer: read on a screen, printed, kept.
//!
//! It loads nothing, runs nothing and links to nothing but what the controller named; all text is escaped. Every value is on
//! it, and every event of a type unless there are more than [`LONG`]: of those it counts the events by month, shows the
//! newest, and says which files have all of them.

use super::package::{Column, Consent, Event, Events, LONG, Package, Request};
use super::tables::table_name;
use super::words::{self, Times, counted, kept};
use crate::cli::chart;
use crate::cli::error::CliError;
use askama::Template;

/// Events of a long list that are shown: the newest.
const SHOWN: usize = 200;

/// A text of at most so many bytes is not broken into lines.
const SHORT: usize = 14;

/// Writes the page.
pub fn page(package: &Package) -> Result<String, CliError> {
    let page = Page::of(package).render();
    page.map_err(|problem| CliError::failed(format!("the page can't be written: {problem}")))
}

#[derive(Template)]
#[template(path = "access_package.html")]
struct Page<'a> {
    package: &'a Package,
    /// Who is responsible, in a name.
    holder: String,
    made: String,
    zone: String,
    /// A few sentences that say it all.
    short: Vec<String>,
    facts: Vec<Fact<'a>>,
    /// Attributes of which nothing is held.
    unknown: Vec<&'a str>,
    activities: Vec<Activity<'a>>,
    acts: Vec<Act>,
    standings: Vec<Standing>,
    uses: Vec<Used>,
    audiences: Vec<Delivered>,
    recipients: Vec<Recipient>,
    requests: Vec<Asked>,
    kept: Vec<Kept<'a>>,
    how: String,
    withdrawal: &'a str,
}

/// An attribute with its value.
struct Fact<'a> {
    name: &'a str,
    value: String,
    class: &'static str,
    /// Of the name in the data, where it is another than the words.
    path: &'a str,
}

/// The events of one type.
struct Activity<'a> {
    name: &'a str,
    path: &'a str,
    count: String,
    span: String,
    columns: Vec<&'a Column>,
    /// Columns in which every value is missing.
    empty: Vec<&'a str>,
    /// If there are more than are shown: events by month, and where all of them are.
    months: Vec<(&'a str, String)>,
    elsewhere: String,
    days: Vec<Day>,
}

/// Events of one day.
struct Day {
    day: String,
    lines: Vec<Line>,
}

struct Line {
    time: String,
    /// Each with how it is set: `number`, `short` or nothing.
    values: Vec<(String, &'static str)>,
}

struct Act {
    when: String,
    what: &'static str,
    given: bool,
    purpose: Words,
    basis: &'static str,
    until: String,
    source: String,
    /// How the person was asked and what was shown; may be empty.
    asked: String,
    /// With whom the purpose shares data; may be empty.
    recipients: String,
    received: String,
    leaf: u64,
}

/// A purpose in words and by name.
struct Words {
    words: String,
    name: String,
}

struct Standing {
    purpose: Words,
    allowed: bool,
    why: String,
}

struct Used {
    who: String,
    purpose: Words,
    basis: &'static str,
    count: String,
    span: String,
}

struct Delivered {
    who: String,
    purpose: Words,
    with: String,
    when: String,
}

/// A partner that got lists before.
struct Recipient {
    who: String,
    purpose: Words,
    with: String,
}

struct Asked {
    what: &'static str,
    detail: String,
    received: String,
    done: String,
    deadline: String,
    leaves: String,
}

struct Kept<'a> {
    what: &'a str,
    how_long: String,
}

impl<'a> Page<'a> {
    fn of(package: &'a Package) -> Self {
        let times = Times::of(&package.time_zone);
        let (known, unknown): (Vec<_>, Vec<_>) = package.attributes.iter().partition(|held| held.value.is_some());
        let holder = match &package.controller {
            Some(controller) => controller.name.clone(),
            None => last(&package.organization).to_owned(),
        };
        let fact = |held: &&'a super::package::Attribute| Fact {
            name: &held.column.display,
            value: held.value.as_deref().map(|value| shown(&held.column, value).0).unwrap_or_default(),
            class: words::class(&held.column.class),
            path: if held.column.display == held.column.name { "" } else { &held.column.name },
        };
        let notice = package.notice.as_ref();
        Self {
            holder,
            made: times.instant(&package.created),
            zone: package.time_zone.replace('_', " "),
            short: short(package, &times),
            facts: known.iter().map(fact).collect(),
            unknown: unknown.iter().map(|held| held.column.display.as_str()).collect(),
            activities: package.events.iter().map(|events| Activity::of(events, &times)).collect(),
            acts: package.consents.iter().map(|consent| Act::of(consent, &times)).collect(),
            standings: standings(package),
            uses: package.uses.iter().map(|used| Used::of(used, &times)).collect(),
            audiences: package.audiences.iter().map(|audience| Delivered::of(audience, package, &times)).collect(),
            recipients: package.recipients.iter().map(|recipient| Recipient::of(recipient, package)).collect(),
            requests: package.requests.iter().map(|request| Asked::of(request, package, &times)).collect(),
            kept: retention(package),
            how: package.controller.as_ref().map(|controller| controller.contact.clone()).unwrap_or_default(),
            withdrawal: notice.map(|notice| notice.withdrawal.as_str()).unwrap_or_default(),
            package,
        }
    }
}

/// The last part of a resource name.
fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn purpose(name: &str) -> Words {
    Words { words: words::purpose(name).unwrap_or_default(), name: name.to_owned() }
}

/// Writes a value for a person, and says how it is set.
fn shown(column: &Column, value: &str) -> (String, &'static str) {
    match (column.kind.as_str(), value) {
        ("bool", "true") => ("yes".to_owned(), ""),
        ("bool", "false") => ("no".to_owned(), ""),
        ("date", day) => (utc_day(day), "short"),
        ("integer" | "decimal", number) => (number.to_owned(), "number"),
        (_, text) if text.len() <= SHORT => (text.to_owned(), "short"),
        (_, text) => (text.to_owned(), ""),
    }
}

/// Writes a day, `YYYY-MM-DD`, for a person.
fn utc_day(day: &str) -> String {
    Times::of("UTC").day(&format!("{day}T00:00:00Z"))
}

/// What the whole page says, in a few sentences.
fn short(package: &Package, times: &Times) -> Vec<String> {
    let facts = package.attributes.iter().filter(|held| held.value.is_some()).count();
    let mut all = vec![format!(
        "{} about you and {} of what you did are held.",
        counted(facts as u64, "fact", "facts"),
        counted(package.records(), "record", "records")
    )];
    let newest = |act: &str| package.consents.iter().rev().find(|consent| consent.act == act);
    all.push(match newest("give") {
        Some(given) => format!("You last agreed to something on {}.", times.day(&given.at)),
        None => "No consent of yours is recorded.".to_owned(),
    });
    if let Some(taken) = newest("withdraw") {
        all.push(format!("You last took something back or objected on {}.", times.day(&taken.at)));
    }
    let allowed = package.standings.iter().filter(|standing| standing.allowed).count();
    all.push(if package.restricted {
        "Use of all of it is restricted: it is kept, and used for nothing.".to_owned()
    } else if allowed == 0 {
        "It may be used for none of the purposes of this collection now.".to_owned()
    } else {
        "It may be used for some purposes now; they are listed below.".to_owned()
    });
    for link in &package.links {
        let since = times.day(&link.since);
        all.push(format!(
            "Since {since} you are known as one with a record under another identifier ({}).",
            link.identity
        ));
    }
    let answers: u64 = package.uses.iter().map(|used| used.releases).sum();
    if !package.recipients.is_empty() {
        let partners = counted(package.recipients.len() as u64, "partner", "partners");
        all.push(format!("Earlier you were in lists passed to {partners} under a pseudonym."));
    }
    all.push(match (answers, package.audiences.len()) {
        (0, 0) if package.recipients.is_empty() => "Nobody has used it yet.".to_owned(),
        (answers, 0) => format!(
            "It could have been counted in {}; it is in no list that a partner has now.",
            counted(answers, "statistical answer", "statistical answers")
        ),
        (answers, audiences) => format!(
            "It could have been counted in {}, and you were in {} passed to a partner under a pseudonym.",
            counted(answers, "statistical answer", "statistical answers"),
            counted(audiences as u64, "list", "lists")
        ),
    });
    if package.changed {
        all.push("Some of it changed while this page was made; ask again for a page of one moment.".to_owned());
    }
    all.extend(package.holds.iter().map(|hold| {
        format!(
            "Held by law: {}, on the ground {}, since {}{}. It is kept, and used for nothing, if you have the rest erased.",
            hold.fields.join(", "),
            hold.ground,
            times.day(&hold.since),
            hold.until.as_ref().map_or_else(String::new, |until| format!(" until {}", times.day(until))),
        )
    }));
    all
}

/// For each purpose, whether the data may be used now and why.
fn standings(package: &Package) -> Vec<Standing> {
    let mut names: Vec<&str> = package.standings.iter().map(|standing| standing.purpose.as_str()).collect();
    names.dedup();
    let of = |name: &str| {
        let bases = package.standings.iter().filter(|standing| standing.purpose == name && standing.allowed);
        let bases: Vec<&str> = bases.map(|standing| words::basis(&standing.basis)).collect();
        let allowed = !bases.is_empty() && !package.restricted;
        let why = match (package.restricted, bases.is_empty()) {
            (true, _) => "use is restricted".to_owned(),
            (false, true) => "you have not agreed, or took it back, or it ran out".to_owned(),
            (false, false) => format!("on {}", bases.join(" and ")),
        };
        Standing { purpose: purpose(name), allowed, why }
    };
    names.into_iter().map(of).collect()
}

fn retention(package: &Package) -> Vec<Kept<'_>> {
    let facts = package.attributes.iter().filter(|held| held.column.kept_days > 0);
    let facts = facts.map(|held| {
        let days = kept(held.column.kept_days);
        let how_long = match &held.kept_until {
            Some(day) => format!("{days} after it was last set, yours until {}", utc_day(day)),
            None => format!("{days} after it was last set"),
        };
        Kept { what: &held.column.display, how_long }
    });
    let events = package.events.iter().filter(|events| events.kept_days > 0);
    let events = events.map(|events| Kept { what: &events.display, how_long: kept(events.kept_days) });
    facts.chain(events).collect()
}

fn span(first: &str, end: &str) -> String {
    if first == end { first.to_owned() } else { format!("{first} to {end}") }
}

impl<'a> Activity<'a> {
    fn of(events: &'a Events, times: &Times) -> Self {
        let (full, empty): (Vec<_>, Vec<_>) = events
            .columns
            .iter()
            .enumerate()
            .partition(|(at, _)| events.count == 0 || events.filled.get(*at).copied().unwrap_or(true));
        let long = events.is_long();
        let skipped = if long { events.newest.len().saturating_sub(SHOWN) } else { 0 };
        let mut days: Vec<Day> = Vec::new();
        for row in events.newest.iter().skip(skipped) {
            let day = times.long_day(&row.at);
            let line = line(row, &full, times);
            match days.last_mut().filter(|last| last.day == day) {
                Some(last) => last.lines.push(line),
                None => days.push(Day { day, lines: vec![line] }),
            }
        }
        let months = events.months.iter().filter(|_| long);
        Self {
            name: &events.display,
            path: if events.display == events.name { "" } else { &events.name },
            count: counted(events.count, "record", "records"),
            span: if events.count == 0 {
                String::new()
            } else {
                span(&times.day(&events.first), &times.day(&events.last))
            },
            columns: full.iter().map(|(_, column)| *column).collect(),
            empty: empty.iter().map(|(_, column)| column.display.as_str()).collect(),
            months: months.map(|(month, count)| (month.as_str(), chart::grouped(*count))).collect(),
            elsewhere: if long { elsewhere(events) } else { String::new() },
            days,
        }
    }
}

/// Says which files have all events of a type.
fn elsewhere(events: &Events) -> String {
    let all = "access-package.json, for programs";
    // A list that was short when the package was begun has no table.
    if events.expected > LONG as u64 {
        format!("{}, a table for spreadsheets, and {all}", table_name(events))
    } else {
        all.to_owned()
    }
}

fn line(row: &Event, columns: &[(usize, &Column)], times: &Times) -> Line {
    let value = |(at, column): &(usize, &Column)| match row.values.get(*at) {
        Some(Some(value)) => shown(column, value),
        _ => ("–".to_owned(), if matches!(column.kind.as_str(), "integer" | "decimal") { "number" } else { "" }),
    };
    Line { time: times.time(&row.at), values: columns.iter().map(value).collect() }
}

/// Writes attributes as a person knows them.
fn displays(package: &Package, names: &[String]) -> String {
    let display = |name: &String| {
        let known = package.attributes.iter().find(|held| held.column.name == *name);
        known.map_or_else(|| name.clone(), |held| held.column.display.clone())
    };
    names.iter().map(display).collect::<Vec<_>>().join(", ")
}

/// Says how someone was asked, in which language, and which notice was shown or in force.
fn asked(consent: &Consent) -> String {
    let method = consent.method.as_deref().map(|method| words::method(method).to_owned());
    let language = consent.language.as_ref().map(|language| format!("language {language}"));
    let notice = consent.notice.as_ref().map(|version| {
        let how = if consent.notice_in_force { "notice in force" } else { "notice shown" };
        format!("{how}: {version}")
    });
    [method, language, notice].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

impl Act {
    fn of(consent: &Consent, times: &Times) -> Self {
        let given = consent.act == "give";
        let objection = consent.source == "portal";
        Self {
            when: times.instant(&consent.at),
            what: match (given, objection) {
                (true, _) => "agreed",
                (false, true) => "objected",
                (false, false) => "took back",
            },
            given,
            purpose: purpose(&consent.purpose),
            basis: if given { words::basis(&consent.basis) } else { "every basis" },
            until: consent.expires.as_deref().map(|until| times.instant(until)).unwrap_or_default(),
            source: consent.source.clone(),
            asked: asked(consent),
            recipients: consent.recipients.iter().map(|partner| last(partner)).collect::<Vec<_>>().join(", "),
            received: times.instant(&consent.received),
            leaf: consent.leaf,
        }
    }
}

impl Used {
    fn of(used: &super::package::Use, times: &Times) -> Self {
        Self {
            who: last(&used.client).to_owned(),
            purpose: purpose(&used.purpose),
            basis: words::basis(&used.basis),
            count: counted(used.releases, "answer", "answers"),
            span: span(&times.instant(&used.first), &times.instant(&used.last)),
        }
    }
}

impl Delivered {
    fn of(audience: &super::package::Audience, package: &Package, times: &Times) -> Self {
        let tags = displays(package, &audience.tags);
        Self {
            who: last(&audience.partner).to_owned(),
            purpose: purpose(&audience.purpose),
            with: if tags.is_empty() { "nothing but a pseudonym".to_owned() } else { tags },
            when: audience.at.as_deref().map_or_else(|| "not recorded".to_owned(), |at| times.instant(at)),
        }
    }
}

impl Recipient {
    fn of(recipient: &super::package::Recipient, package: &Package) -> Self {
        let tags = displays(package, &recipient.tags);
        Self {
            who: last(&recipient.partner).to_owned(),
            purpose: purpose(&recipient.purpose),
            with: if tags.is_empty() { "nothing but a pseudonym".to_owned() } else { tags },
        }
    }
}

impl Asked {
    fn of(request: &Request, package: &Package, times: &Times) -> Self {
        let purpose = words::purpose(&request.purpose).unwrap_or_else(|| request.purpose.clone());
        Self {
            what: words::right(&request.right),
            detail: if purpose.is_empty() { displays(package, &request.fields) } else { purpose },
            received: times.instant(&request.received),
            done: match (&request.completed, request.fulfilled) {
                (Some(done), true) => times.instant(done),
                _ => "open".to_owned(),
            },
            deadline: times.day(&request.deadline),
            leaves: format!("{} and {}", request.intent_leaf, request.outcome_leaf),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::package::tests::{events, package};
    use super::*;

    #[test]
    fn a_page_says_everything_in_words_and_escapes_it() {
        let page = page(&package()).unwrap();
        let said = [
            "What Hill &#38; Sons holds about you",
            "2 facts about you and 2 records of what you did are held.",
            "Saturday, 31 December 2016",
            ">23:53<",
            ">12.50<",
            "counting groups of customers, to plan marketing",
            "your consent",
            "1 January 2017, 00:00",
            "&#60;script&#62;alert(1)&#60;/script&#62;",
            "Not known of you: Age.",
            "2 years after it was last set, yours until 2 January 2019",
            "Earlier you were in lists passed to 1 partner under a pseudonym.",
            "sharing with the partner brook",
            "sharing with the partner acme",
            "Write to privacy@hill.example.",
            "order.note",
        ];
        for text in said {
            assert!(page.contains(text), "`{text}` is not in\n{page}");
        }
        assert!(!page.contains("<script"));
    }

    #[test]
    fn a_long_list_is_counted_by_month_and_its_newest_shown() {
        let mut long = package();
        long.events = vec![super::super::package::Events { expected: 20_000, ..events("order") }];
        let times = Times::of(&long.time_zone);
        for number in 0..20_000 {
            let at = jiff::Timestamp::from_second(1_480_000_000 + number * 600).unwrap().to_string();
            let event = Event { at, id: number.to_string(), values: vec![Some(format!("{number}.00")), None] };
            long.note(0, event, &times);
        }
        let page = page(&long).unwrap();
        let said = [
            "20,000 records of what you did",
            "<td>December 2016</td><td class=\"number\">4,464</td>",
            "events-order.csv",
            ">19999.00<",
            ">19800.00<",
        ];
        for text in said {
            assert!(page.contains(text), "`{text}` is not in\n{page}");
        }
        assert!(!page.contains(">19799.00<") && page.len() < 60_000, "{}", page.len());
    }

    #[test]
    fn a_person_of_whom_little_is_held_has_a_page_too() {
        let mut little = package();
        little.controller = None;
        little.notice = None;
        little.attributes.truncate(1);
        little.events = vec![events("order")];
        (little.consents, little.standings, little.uses, little.audiences) = Default::default();
        little.recipients.clear();
        let page = page(&little).unwrap();
        let said = ["1 fact about you and 0 records", "Nobody has used it yet.", "Nothing is held.", "What hill holds"];
        for text in said {
            assert!(page.contains(text), "`{text}` is not in\n{page}");
        }
    }
}
