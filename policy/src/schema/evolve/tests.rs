//! Versions right and wrong, and what holds for every chain of them.

use super::*;
use crate::schema::{IdentityKind, parse};
use crate::segment::test_schema::EXAMPLE;
use proptest::prelude::*;

fn told(from: &str, to: &str) -> Vec<String> {
    let text = EXAMPLE.replacen(from, to, 1);
    assert_ne!(text, EXAMPLE, "{from}");
    let evolved = evolve(&parse(EXAMPLE).unwrap(), &parse(&text).unwrap()).unwrap();
    assert_eq!(evolved.schema, parse(&text).unwrap());
    evolved.differences.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(from: &str, to: &str, part: &str, problem: &str) {
    let text = EXAMPLE.replacen(from, to, 1);
    assert_ne!(text, EXAMPLE, "{from}");
    let error = evolve(&parse(EXAMPLE).unwrap(), &parse(&text).unwrap()).unwrap_err();
    assert_eq!(error.part(), part, "{error}");
    assert!(error.problem().contains(problem), "{error}");
}

const NEWSLETTER: &str = "[[attributes]]\nname = \"newsletter\"\nclass = \"behavioral\"\ntype = \"bool\"\n";
const SCORE: &str = "[[attributes]]\nname = \"score\"\nclass = \"behavioral\"\ntype = \"decimal\"\nscale = 2\nmin = \"-10.00\"\nmax = \"10.00\"\n";

#[test]
fn the_same_description_changes_nothing() {
    let schema = parse(EXAMPLE).unwrap();
    assert_eq!(evolve(&schema, &schema).unwrap(), Evolved { schema, differences: Vec::new() });
}

#[test]
fn what_a_version_adds_is_said_in_plain_words() {
    let city = "[[attributes]]\nname = \"city\"\nclass = \"quasi_identifier\"\ntype = \"bool\"\n";
    assert_eq!(
        told(NEWSLETTER, &format!("{NEWSLETTER}{city}")),
        ["`city` is new, of class quasi_identifier; nobody has a value of it yet"]
    );
    assert_eq!(
        told("[[events]]\nname = \"view\"", "[[events]]\nname = \"view\"\n[[events]]\nname = \"click\""),
        ["`click` is a new type of event; nobody has one yet"]
    );
    assert_eq!(
        told(
            "[[events]]\nname = \"view\"",
            "  [[events.fields]]\n  name = \"shop\"\n  class = \"behavioral\"\n  type = \"bool\"\n[[events]]\nname = \"view\""
        ),
        ["`order.shop` is new, of class behavioral; nobody has a value of it yet"]
    );
    assert_eq!(told("\"south\", \"unknown\"", "\"south\", \"unknown\", \"east\""), ["`region` can also be east"]);
    assert_eq!(
        told("\"cheese\", \"honey\"", "\"cheese\", \"honey\", \"tea\""),
        [
            "`order.category` can also be tea",
            "a person counts in up to 4 values of `order.category`, until now 3; the same price gives a breakdown by it an \
             interval about 15 % wider from now on"
        ],
        "the default of a bound follows the list"
    );
    assert_eq!(told("max = 12", "max = 20"), ["`household` takes values in 1..=20, until now 1..=12"]);
    assert_eq!(
        told("max = \"10.00\"", "max = \"10.50\""),
        ["`score` takes values in -10.00..=10.50, until now -10.00..=10.00"]
    );
    assert_eq!(told("max_bytes = 16", "max_bytes = 20"), ["`order.basket` takes up to 20 bytes, until now 16"]);
    assert_eq!(
        told("name = \"view\"", "name = \"view\"\nmax_per_subject = 2000"),
        ["up to 2000 `view` events of a person count, until now 1000; answers may differ from those given before"]
    );
    assert_eq!(
        told("\"sharing.partner.crmco\"]", "\"sharing.partner.crmco\", \"sharing.partner.acme\"]"),
        ["people can be asked about `sharing.partner.acme`; nobody has agreed yet"]
    );
    assert_eq!(
        told("name = \"view\"", "name = \"view\"\nretention_days = 30\ndisplay = \"Views\""),
        [
            "`view` has other words for people",
            "`view` is kept 30 days, until now as long as the dataset; what is older is erased when the next epoch closes"
        ]
    );
    let kept = |days: u32| NEWSLETTER.replace("\"bool\"", &format!("\"bool\"\nretention_days = {days}"));
    assert_eq!(
        told(NEWSLETTER, &kept(30)),
        [
            "a value of `newsletter` is kept 30 days after it was last set, until now as long as the dataset; values that are \
          stored without the day on which they were set count from the next close of an epoch"
        ]
    );
    let (thirty, ten) =
        (parse(&EXAMPLE.replace(NEWSLETTER, &kept(30))), parse(&EXAMPLE.replace(NEWSLETTER, &kept(10))));
    let said = |old: &Schema, new: &Schema| evolve(old, new).unwrap().differences[0].to_string();
    assert_eq!(
        said(thirty.as_ref().unwrap(), ten.as_ref().unwrap()),
        "`newsletter` is kept 10 days, until now 30 days; what is older is erased when the next epoch closes"
    );
    assert_eq!(
        said(ten.as_ref().unwrap(), &parse(EXAMPLE).unwrap()),
        "`newsletter` is kept as long as the dataset, until now 10 days"
    );
    let old = NEWSLETTER.replace("\"bool\"", "\"bool\"\ndeprecated = true");
    assert!(told(NEWSLETTER, &old)[0].starts_with("`newsletter` is deprecated: it takes no new values"));
    assert_eq!(
        told("name = \"score\"\nclass = \"behavioral\"", "name = \"score\"\nclass = \"sensitive\""),
        ["`score` is of class sensitive, until now behavioral: policies for that class apply"]
    );
}

#[test]
fn bands_may_come_and_move_but_not_go() {
    use crate::segment::test_schema::RFM;
    let plain = parse(EXAMPLE).unwrap();
    let banded = parse(&format!("{EXAMPLE}{RFM}")).unwrap();
    let moved = parse(&format!("{EXAMPLE}{}", RFM.replace("[30,", "[31,"))).unwrap();
    let told = |old, new| evolve(old, new).unwrap().differences;
    assert_eq!(told(&plain, &banded), [Difference::AddedRfm]);
    assert_eq!(told(&banded, &moved), [Difference::Rfm]);
    assert_eq!(told(&banded, &banded), []);
    assert_eq!(evolve(&banded, &plain).unwrap_err().part(), "rfm");
}

#[test]
fn a_synopsis_comes_changes_and_goes_and_says_so() {
    let with = |fields: &str| {
        let synopsis = format!("[synopsis]\npurpose = \"marketing.portrait\"\nfields = [{fields}]\n");
        parse(&format!("{EXAMPLE}\n{synopsis}")).unwrap()
    };
    let (none, one, other) = (parse(EXAMPLE).unwrap(), with("\"age_band\""), with("\"region\""));
    let rho = crate::schema::DEFAULT_SYNOPSIS_RHO;
    let told = |old, new| evolve(old, new).unwrap().differences;
    assert_eq!(told(&none, &one), [Difference::Synopsis { rho }]);
    assert_eq!(told(&one, &other), [Difference::Synopsis { rho }]);
    assert_eq!(told(&one, &one), []);
    assert_eq!(told(&one, &none), [Difference::RemovedSynopsis]);
    let words = Difference::Synopsis { rho }.to_string();
    assert!(words.contains("for 0.03 of the budget a month"), "{words}");
}

#[test]
fn kinds_of_identifiers_are_only_added() {
    let kinds = |names: &[(&str, u8)]| {
        let tables =
            names.iter().map(|(name, bytes)| format!("[[identities]]\nname = \"{name}\"\nmax_bytes = {bytes}\n"));
        parse(&format!("{EXAMPLE}\n{}", tables.collect::<String>()))
    };
    let (none, one) = (parse(EXAMPLE).unwrap(), kinds(&[("visitor", 40)]).unwrap());
    assert_eq!(
        evolve(&none, &one).unwrap().differences[0].to_string(),
        "people can be known by `visitor` too; nobody is yet"
    );
    assert_ne!(none.hash(), one.hash());
    let two = kinds(&[("visitor", 60), ("phone", 20)]).unwrap();
    assert_eq!(evolve(&one, &two).unwrap().differences.len(), 2);
    assert_eq!(two.identity_kind("phone"), Some(IdentityKind(2)));
    assert_eq!(two.identity_kind(""), Some(IdentityKind::SUBJECT_KEY));
    for (from, to) in [(&two, &none), (&two, &kinds(&[("phone", 20), ("visitor", 60)]).unwrap())] {
        assert!(evolve(from, to).unwrap_err().problem().contains("`visitor` is number 1"));
    }
    let longer = kinds(&[("visitor", 60)]).unwrap();
    assert!(evolve(&longer, &one).unwrap_err().problem().contains("make it 60 or more"));
    for wrong in [[("visitor", 0)], [("visitor", 254)], [("region", 9)], [("order", 9)]] {
        assert!(kinds(&wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn what_is_stored_keeps_its_meaning() {
    refused(NEWSLETTER, "", "newsletter", "put it back in its place and say `deprecated = true`");
    refused(&format!("{SCORE}\n"), "", "score", "was removed");
    refused(
        SCORE,
        &format!("{NEWSLETTER}{SCORE}").replacen("newsletter", "letters", 1),
        "letters",
        "is new; move it to the end of its attributes",
    );
    refused(
        "domain = [\"north\", \"south\"",
        "domain = [\"south\", \"north\"",
        "region",
        "value 1 of `domain` was `north`",
    );
    refused("\"cheese\", \"honey\"", "\"cheese\"", "order.category", "value 3 of `domain` was `honey`");
    refused("max = 12", "max = 11", "household", "holds values in 1..=12; make the bounds as wide or wider");
    refused("min = \"2000-01-01\"", "min = \"2001-01-01\"", "joined", "holds values in 2000-01-01..=2039-12-31");
    refused("max_bytes = 16", "max_bytes = 8", "order.basket", "make it 16 or more");
    refused("scale = 2\nmin = \"-10.00\"", "scale = 3\nmin = \"-10.00\"", "score", "leave `scale` so");
    refused("type = \"bool\"", "type = \"integer\"\nmin = 0\nmax = 1", "newsletter", "is stored as `bool`");
    refused("name = \"view\"", "name = \"view\"\nmax_per_subject = 10", "view", "make it 1000 or more");
    refused("[[events]]\nname = \"view\"", "", "view", "was removed");
}

#[test]
fn what_protects_people_is_not_loosened() {
    refused(
        "class = \"quasi_identifier\"",
        "class = \"behavioral\"",
        "age_band",
        "was of class `quasi_identifier`; leave it so or a stricter one",
    );
    refused(
        "dataset = \"coop\"",
        "dataset = \"coop\"\nkind = \"test\"",
        "kind",
        "is `private` since the dataset was made",
    );
    refused("dataset = \"coop\"", "dataset = \"coop\"\npopulation = \"others\"", "population", "is `coop`");
    refused("Europe/London", "Europe/Berlin", "time_zone", "is `Europe/London`");
    refused("\"marketing.portrait\", ", "", "purposes", "`marketing.portrait`");
    refused("dataset = \"coop\"", "dataset = \"coop\"\nbudget = { quarter = \"0.1\" }", "budget", "leave it as it was");
    let monthly = "dataset = \"coop\"\nbudget = { month = \"0.1\" }";
    refused("dataset = \"coop\"", monthly, "budget", "leave it as it was");
    let coarse = "domain = [\"north\", \"south\", \"unknown\"]\ncoarse = [\"far\", \"far\", \"far\"]";
    let with = parse(&EXAMPLE.replacen("domain = [\"north\", \"south\", \"unknown\"]", coarse, 1)).unwrap();
    let finer = parse(&EXAMPLE.replacen(
        "domain = [\"north\", \"south\", \"unknown\"]",
        &coarse.replace("[\"far\"", "[\"north\""),
        1,
    ));
    assert_eq!(evolve(&parse(EXAMPLE).unwrap(), &with).unwrap().differences.len(), 1);
    for loose in [finer.unwrap(), parse(EXAMPLE).unwrap()] {
        assert!(evolve(&with, &loose).unwrap_err().problem().contains("value 1 of `coarse` was `far`"));
    }
}

#[test]
fn a_list_does_not_outgrow_its_byte() {
    let long = |count: usize| {
        let labels: Vec<String> = (0..count).map(|n| format!("\"r{n}\"")).collect();
        parse(&EXAMPLE.replacen("\"north\", \"south\", \"unknown\"", &labels.join(", "), 1)).unwrap()
    };
    assert!(evolve(&long(250), &long(255)).is_ok());
    assert_eq!(evolve(&long(255), &long(256)).unwrap_err().part(), "region");
    assert!(evolve(&long(256), &long(300)).is_ok());
}

/// One step that a steward may take.
#[derive(Debug, Clone)]
enum Step {
    Attribute(bool),
    EventField(usize),
    Event,
    Label(usize),
    Widen(usize, i64),
    Deprecate(usize, bool),
    Keep(usize, Option<u32>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<bool>().prop_map(Step::Attribute),
        any::<usize>().prop_map(Step::EventField),
        Just(Step::Event),
        any::<usize>().prop_map(Step::Label),
        (any::<usize>(), 0_i64..100).prop_map(|(at, by)| Step::Widen(at, by)),
        (any::<usize>(), any::<bool>()).prop_map(|(at, is)| Step::Deprecate(at, is)),
        (any::<usize>(), prop::option::of(1_u32..1_000)).prop_map(|(at, days)| Step::Keep(at, days)),
    ]
}

fn new_field(name: &str, column: usize, template: &Field) -> Field {
    let name = crate::id::FieldName::new(name).unwrap();
    Field { name, column: crate::schema::ColumnId(u16::try_from(column).unwrap()), ..template.clone() }
}

impl Step {
    fn take(&self, schema: &mut Schema, number: usize) {
        let name = format!("added_{number}");
        match self {
            Self::Attribute(code) => {
                let template = schema.attributes[if *code { 1 } else { 3 }].clone();
                schema.attributes.push(new_field(&name, schema.attributes.len(), &template));
            }
            Self::EventField(at) => {
                let template = schema.attributes[1].clone();
                let count = schema.events.len();
                let fields = &mut schema.events[at % count].fields;
                fields.push(new_field(&name, fields.len(), &template));
            }
            Self::Event => {
                let id = crate::schema::EventTypeId(u16::try_from(schema.events.len()).unwrap());
                let name = crate::id::FieldName::new(&name).unwrap();
                schema.events.push(EventType { id, name, fields: Vec::new(), ..schema.events[1].clone() });
            }
            Self::Label(at) => {
                let mut enums: Vec<_> =
                    schema.attributes.iter_mut().filter(|f| f.ty.labels().is_some_and(|l| l.len() > 2)).collect();
                let count = enums.len();
                if let FieldType::Enum { domain } = &mut enums[at % count].ty {
                    domain.push(name);
                }
            }
            Self::Widen(at, by) => {
                let count = schema.attributes.len();
                if let FieldType::Integer { max, .. } = &mut schema.attributes[at % count].ty {
                    *max += by;
                }
            }
            Self::Deprecate(at, is) => {
                let at = 1 + at % (schema.attributes.len() - 1);
                schema.attributes[at].deprecated = *is;
            }
            Self::Keep(at, days) => {
                let (count, attributes) = (schema.events.len(), schema.attributes.len());
                schema.events[at % count].retention_days = *days;
                schema.attributes[1 + at % (attributes - 1)].retention_days = *days;
            }
        }
    }
}

proptest! {
    #[test]
    fn no_number_ever_means_something_else(steps in prop::collection::vec(step(), 1..20)) {
        let first = parse(EXAMPLE).unwrap();
        let mut versions = vec![first.clone()];
        for (number, step) in steps.iter().enumerate() {
            let mut next = versions.last().unwrap().clone();
            step.take(&mut next, number);
            let evolved = evolve(versions.last().unwrap(), &next).unwrap();
            prop_assert_eq!(&evolved.schema, &next);
            prop_assert_eq!(evolved.differences.is_empty(), next == *versions.last().unwrap());
            versions.push(next);
        }
        let last = versions.last().unwrap();
        for early in &versions {
            // What may follow step by step may follow at once.
            prop_assert!(evolve(early, last).is_ok());
            for reference in early.references() {
                prop_assert_eq!(early.path(reference), last.path(reference));
                prop_assert_eq!(last.resolve(&early.path(reference)), Some(reference));
                let (Some(was), Some(is)) = (early.field(reference), last.field(reference)) else { continue };
                prop_assert_eq!(was.ty.layout(), is.ty.layout());
                for code in 1..=u16::try_from(was.ty.cardinality().unwrap_or(0)).unwrap() {
                    prop_assert_eq!(was.label(code), is.label(code));
                }
                if let (Some((least, most)), Some((min, max))) = (was.ty.bounds(), is.ty.bounds()) {
                    prop_assert!(min <= least && most <= max);
                }
            }
            // And nothing goes back, but for words, retention and deprecation.
            let grew = last.references().len() > early.references().len();
            prop_assert!(!grew || evolve(last, early).is_err());
        }
    }
}
