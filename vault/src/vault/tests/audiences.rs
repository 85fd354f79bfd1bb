//! What partners get: nobody who did not agree, nothing that two partners can join on, nothing that singles people out.

use super::*;
use crate::audience::Member;
use crate::pseudonym::{PseudonymError, parse_pseudonym, pseudonym};
use crate::vault::apart::K;
use std::collections::{BTreeMap, BTreeSet};

const SHARING: [&str; 2] = ["sharing.partner.greenbox", "sharing.partner.acre"];

fn partner(name: &str) -> PartnerId {
    PartnerId::new(name).unwrap()
}

/// A person with an age band, children and a region, who agreed to share with both partners.
fn person(number: usize, age_band: u16, children: i64, region: u16) -> Vec<Record> {
    let values = vec![
        (ColumnId(1), Value::Code(age_band)),
        (ColumnId(2), Value::Int(children)),
        (ColumnId(3), Value::Code(region)),
    ];
    let consents = SHARING.map(|purpose| give(number, purpose));
    [vec![Record::Profile { subject: key(number), values }], consents.to_vec()].concat()
}

/// All rows of a delivered audience.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) members: Vec<Member>,
}

impl Shop {
    fn question(&self, name: &str, universe: &str, text: &str, tags: &[&str]) -> AudienceQuestion {
        AudienceQuestion {
            partner: partner(name),
            universe: self.segment(universe),
            segment: self.segment(text),
            tags: tags.iter().map(|tag| self.schema.resolve(tag).unwrap()).collect(),
            rho: PRICE,
        }
    }

    fn sharing_permit(&self, name: &str) -> Permit {
        let purpose = format!("sharing.partner.{name}");
        let role = Role::Partner(partner(name));
        self.permit_for(&format!("{name}-crm"), "", role, Verb::Audience, Some(&purpose))
    }

    fn deliver(&self, question: &AudienceQuestion) -> Result<Delivered, Reason> {
        let permit = self.sharing_permit(question.partner.as_str());
        match self.vault().audience(&permit, question, later(30)) {
            Ok(audience) => {
                let emission = self.vault().emit(&permit, &audience, 0, usize::MAX, later(30)).unwrap();
                Ok(Delivered { members: emission.members.clone() })
            }
            Err(VaultError::Refused(refusal)) => Err(refusal.reason),
            Err(other) => panic!("{other}"),
        }
    }

    /// Whether the live state allows a use of someone.
    fn shares(&self, ordinal: u32, purpose: &str) -> bool {
        let state = self.vault().state.lock();
        let (purpose, basis) = (PurposeId::new(purpose).unwrap(), LawfulBasis::Consent);
        !state.datasets[&1].consent.allowed_of([ordinal], &purpose, basis, later(31)).is_empty()
    }

    pub(super) fn audience_of(&self, name: &str, text: &str, tags: &[&str]) -> Result<Delivered, Reason> {
        self.deliver(&self.question(name, "true", text, tags))
    }

    /// Every person's pseudonym in a partner's domain, in the order in which the people were written.
    fn pseudonyms(&self, name: &str, people: u32) -> Vec<String> {
        let key = self.vault().domain_key(&format!("{name}/sharing.partner.{name}/shop/1")).unwrap();
        let state = self.vault().state.lock();
        let hidden = |ordinal| state.datasets[&1].hidden(ordinal).unwrap();
        (0..people).map(|ordinal| pseudonym(&key, &hidden(ordinal), &partner(name))).collect()
    }
}

fn names(audience: &Delivered) -> BTreeSet<String> {
    audience.members.iter().map(|member| member.pseudonym.clone()).collect()
}

/// Spearman's rank correlation of two columns without ties.
fn rank_correlation(a: &[usize], b: &[usize]) -> f64 {
    let n = a.len() as f64;
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (*a as f64 - *b as f64).powi(2)).sum();
    1.0 - 6.0 * squares / (n * (n * n - 1.0))
}

#[test]
fn two_partners_share_no_value_and_no_order() {
    // Under independent orders the correlation of N = 1,000 ranks has standard deviation 1 / sqrt(999); 0.155 is 4.9 of
    // them, passed with probability 1e-6.
    const PEOPLE: usize = 1_000;
    let shop = Shop::new();
    shop.ingest((0..PEOPLE).flat_map(|number| person(number, 1, 0, 1)).collect());
    shop.close(20);
    let mut ranks = vec![(0..PEOPLE).collect::<Vec<_>>()];
    let mut all = BTreeSet::new();
    for name in ["greenbox", "acre"] {
        let audience = shop.audience_of(name, "true", &["age_band"]).unwrap();
        let row: BTreeMap<&str, usize> =
            audience.members.iter().enumerate().map(|(row, member)| (member.pseudonym.as_str(), row)).collect();
        let known = shop.pseudonyms(name, PEOPLE as u32);
        ranks.push(known.iter().map(|text| row[text.as_str()]).collect());
        for text in &known {
            let other = if name == "acre" { "greenbox" } else { "acre" };
            assert_eq!(parse_pseudonym(text, &partner(other)), Err(PseudonymError::OtherPartner));
            all.insert(parse_pseudonym(text, &partner(name)).unwrap());
        }
    }
    assert_eq!(all.len(), 2 * PEOPLE, "no code is in both");
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let correlation = rank_correlation(&ranks[a], &ranks[b]);
        assert!(correlation.abs() < 0.155, "orders {a} and {b}: {correlation}");
    }
}

/// How many rows have which tags.
fn labels(audience: Delivered) -> BTreeMap<Vec<Option<String>>, usize> {
    let mut rows = BTreeMap::new();
    audience.members.into_iter().for_each(|member| *rows.entry(member.tags).or_default() += 1);
    rows
}

/// Fewest people who share all that these audiences of one partner say of them, joined by pseudonym.
fn rarest(audiences: &[Delivered]) -> usize {
    let mut told: BTreeMap<&str, Vec<Option<&[Option<String>]>>> = BTreeMap::new();
    for (place, audience) in audiences.iter().enumerate() {
        for member in &audience.members {
            told.entry(&member.pseudonym).or_insert_with(|| vec![None; audiences.len()])[place] = Some(&member.tags);
        }
    }
    let mut classes: BTreeMap<_, usize> = BTreeMap::new();
    for combination in told.into_values() {
        *classes.entry(combination).or_default() += 1;
    }
    classes.into_values().min().unwrap()
}

#[test]
fn tags_of_two_audiences_single_nobody_out() {
    let shop = Shop::new();
    let kinds = [(200, 1, 1), (200, 2, 2), (5, 1, 2)];
    let mut number = 0;
    for (people, age_band, region) in kinds {
        shop.ingest((number..number + people).flat_map(|number| person(number, age_band, 0, region)).collect());
        number += people;
    }
    shop.close(20);
    let ages = shop.audience_of("greenbox", "true", &["age_band"]).unwrap();
    assert_eq!(ages.members.iter().filter(|member| member.tags == [Some("young".into())]).count(), 205);
    let regions = shop.audience_of("greenbox", "true", &["region"]).unwrap();
    assert_eq!(names(&ages), names(&regions), "one pseudonym in an epoch");
    assert!(rarest(&[ages, regions]) >= K);
    let both = shop.audience_of("acre", "true", &["age_band", "region"]).unwrap();
    assert!(rarest(&[both]) >= K);
}

#[test]
fn whatever_a_partner_asks_for_nobody_is_singled_out() {
    const TEXTS: [&str; 6] = [
        "true",
        "children >= 2",
        "region == \"north\"",
        "children < 7 && region == \"south\"",
        "age_band == \"young\" || children >= 5",
        "!(children in [3, 4])",
    ];
    const TAGS: [&[&str]; 4] = [&[], &["age_band"], &["region"], &["age_band", "region"]];
    let mut random = 7_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut delivered = 0;
    for _ in 0..3 {
        let shop = Shop::new();
        // Squares make small numbers common and large ones rare.
        let people = (0..600).flat_map(|number| {
            let children = (next(9) * next(9) / 8) as i64;
            person(number, 1 + u16::from(next(6) == 0), children, 1 + u16::from(next(8) == 0))
        });
        shop.ingest(people.collect());
        shop.close(20);
        let mut held = Vec::new();
        for _ in 0..12 {
            let (text, tags) = (TEXTS[next(6) as usize], TAGS[next(4) as usize]);
            match shop.audience_of("greenbox", text, tags) {
                Ok(audience) => held.push(audience),
                Err(reason) => assert_eq!(reason, Reason::AudienceTooSmall),
            }
        }
        assert!(rarest(&held) >= K, "{} of {} audiences", rarest(&held), held.len());
        delivered += held.len();
    }
    assert!(delivered > 8, "{delivered} delivered");
}

/// A town of kinds of people, 30 of each or none, with and without one person of a kind that there is none of: whatever a partner
/// asks for, it is refused in both or in neither.
#[test]
fn no_refusal_tells_whether_one_person_is_there() {
    const TEXTS: [&str; 9] = [
        "true",
        "children >= 2",
        "children < 2",
        "region == \"north\"",
        "children < 4 && region == \"south\"",
        "age_band == \"young\" || children >= 3",
        "age_band == \"old\"",
        "!(children in [1, 2])",
        "children == 4 || region == \"south\"",
    ];
    const TAGS: [&[&str]; 4] = [&[], &["age_band"], &["region"], &["age_band", "region"]];
    let mut random = 11_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let (mut delivered, mut refused) = (0, 0);
    for town in 0..24 {
        let kinds: Vec<(u16, i64, u16)> =
            (0..20_u16).map(|kind| (1 + kind % 2, i64::from(kind / 4), 1 + kind / 2 % 2)).collect();
        let (there, gone): (Vec<_>, Vec<_>) = kinds.into_iter().partition(|_| next(3) != 0);
        let one = gone[next(gone.len() as u64) as usize];
        let build = |with: bool| {
            let shop = Shop::new();
            let people = there.iter().flat_map(|kind| std::iter::repeat_n(*kind, 30)).chain(with.then_some(one));
            let records =
                people.enumerate().flat_map(|(number, (age, children, region))| person(number, age, children, region));
            shop.ingest(records.collect());
            shop.close(20);
            shop
        };
        let (with, without) = (build(true), build(false));
        // The same tags in all of a town's lists: rows that are blanked for others are by chance, and parts of those too.
        let tags = TAGS[next(4) as usize];
        for _ in 0..7 {
            let text = TEXTS[next(9) as usize];
            let [here, there] = [&with, &without].map(|shop| shop.audience_of("greenbox", text, tags).map(labels));
            let same = match (&here, &there) {
                (Ok(here), Ok(there)) => {
                    // The same labels, and a row more at most: membership is exact.
                    let mut counts = here.values().zip(there.values());
                    here.keys().eq(there.keys()) && counts.all(|(a, b)| a.abs_diff(*b) <= 1)
                }
                (here, there) => here.is_err() && there.is_err(),
            };
            assert!(same, "town {town}, {one:?}: {text} {tags:?}: {here:?}, {there:?}");
            delivered += usize::from(here.is_ok());
            refused += usize::from(here.is_err());
        }
    }
    assert!(delivered > 20 && refused > 20, "{delivered} delivered, {refused} refused");
}

#[test]
fn an_audience_that_differs_by_a_few_is_refused() {
    let shop = Shop::new();
    let children = |number| {
        if number < 10 {
            9
        } else if number < 35 {
            7
        } else {
            0
        }
    };
    shop.ingest((0..300).flat_map(|number| person(number, 1, children(number), 1)).collect());
    shop.close(20);
    assert_eq!(shop.audience_of("greenbox", "true", &[]).unwrap().members.len(), 300);
    assert_eq!(shop.audience_of("greenbox", "children != 9", &[]).unwrap_err(), Reason::AudienceTooSmall);
    assert_eq!(shop.audience_of("greenbox", "children != 7", &[]).unwrap().members.len(), 275);
    assert_eq!(shop.audience_of("acre", "children != 9", &[]).unwrap().members.len(), 290);
    assert_eq!(shop.audience_of("acre", "true", &[]).unwrap_err(), Reason::AudienceTooSmall);
    assert_eq!(shop.audience_of("acre", "children == 9", &[]).unwrap_err(), Reason::AudienceTooSmall);
    shop.ingest(vec![Record::Profile { subject: key(0), values: vec![(ColumnId(2), Value::Int(0))] }]);
    shop.close(21);
    assert_eq!(shop.audience_of("acre", "true", &[]).unwrap().members.len(), 300, "a new epoch, new pseudonyms");
}

/// What follows from the questions is no secret; what only happens to be so is refused as if somebody were there.
#[test]
fn lists_that_meet_nobody_by_their_words_are_delivered_and_those_that_do_by_chance_are_not() {
    let shop = Shop::new();
    let few = |number: usize| (number % 5) as i64;
    let region = |number: usize| 1 + u16::from(number.is_multiple_of(2));
    shop.ingest((0..600).flat_map(|number| person(number, 1, few(number), region(number))).collect());
    shop.close(20);
    let asked = |name: &str, texts: &[(&str, &[&str])]| {
        let ask = |(text, tags): &(&str, &[&str])| shop.audience_of(name, text, tags).map(|rows| rows.members.len());
        texts.iter().map(ask).collect::<Vec<_>>()
    };
    // The same people again, in other words and with other tags; more people, fewer people, all the others.
    let texts: [(&str, &[&str]); 6] = [
        ("children < 3", &["region"]),
        ("!(children >= 3)", &["region"]),
        ("children <= 3", &[]),
        ("children < 2", &[]),
        ("children >= 3", &[]),
        ("children >= 3 && region == \"north\"", &[]),
    ];
    assert_eq!(asked("greenbox", &texts), [Ok(360), Ok(360), Ok(480), Ok(240), Ok(240), Ok(120)]);
    // Nobody has more than four: what is said of seven is as small as can be, but does not follow.
    let refused = Err(Reason::AudienceTooSmall);
    let by_chance: [(&str, &[&str]); 3] = [("children < 7", &[]), ("children < 6", &[]), ("true", &[])];
    assert_eq!(asked("acre", &by_chance), [Ok(600), refused, refused]);
}

/// Whether anybody has a rare tag, or none: the rows look the same.
#[test]
fn a_rare_tag_of_a_few_or_of_nobody_is_not_told() {
    let rows = |few: usize, missing: bool, first: &[&str]| {
        let shop = Shop::new();
        let region = |number: usize| if number < few { 2 } else { 1 };
        let mut records: Vec<Record> = (0..300).flat_map(|number| person(number + few, 1, 0, 1)).collect();
        records.extend((0..few).flat_map(|number| person(number, 1, 0, region(number))));
        if missing {
            records.extend((400..400 + few).flat_map(|number| SHARING.map(|purpose| give(number, purpose))));
        }
        shop.ingest(records);
        shop.close(20);
        if !first.is_empty() {
            shop.audience_of("greenbox", "true", &[]).unwrap();
        }
        labels(shop.audience_of("greenbox", "true", &["region"]).unwrap())
    };
    let only = |label: Option<&str>, count| [(vec![label.map(str::to_owned)], count)].into();
    let north: BTreeMap<Vec<Option<String>>, usize> = only(Some("north"), 300);
    for few in [0, 1, K - 1] {
        assert_eq!(rows(few, few > 0 && few < K / 2, &[]), north, "{few} strangers");
        // Of people who are held already a blank row may be anybody's, and there are always as many.
        let known = rows(few, false, &["held"]);
        assert_eq!(known.get(&vec![None]), Some(&(2 * K)), "{few} who are held: {known:?}");
    }
    let blank = rows(K, false, &[]);
    assert_eq!((blank.get(&vec![None]), blank.values().sum::<usize>()), (None, 300 + K), "{blank:?}");
}

/// The same words mean other people for another purpose or on another basis, so that nothing follows from them.
#[test]
fn what_is_held_for_one_purpose_counts_for_all_of_a_partner() {
    let shop = Shop::new();
    let people = |number: usize| person(number, 1, i64::from(number < 30), 1 + u16::from(number.is_multiple_of(2)));
    shop.ingest((0..600).flat_map(people).collect());
    shop.close(20);
    let ask = |purpose: &str, text: &str| {
        let role = Role::Partner(partner("greenbox"));
        let permit = shop.permit_for("greenbox-crm", "", role, Verb::Audience, Some(purpose));
        let question = shop.question("greenbox", "true", text, &[]);
        shop.vault().audience(&permit, &question, later(30)).map(|audience| audience.len())
    };
    assert_eq!(ask("sharing.partner.greenbox.mail", "region == \"north\"").unwrap(), 300);
    for (purpose, text) in [
        ("sharing.partner.greenbox.call", "region == \"north\" && children < 9"),
        ("sharing.partner.greenbox", "region == \"north\""),
        ("sharing.partner.greenbox.call", "region == \"north\" && children == 0"),
    ] {
        let refused = ask(purpose, text).unwrap_err();
        assert!(
            matches!(refused, VaultError::Refused(refusal) if refusal.reason == Reason::AudienceTooSmall),
            "{text}"
        );
    }
    // Nobody is in both by their words, whoever agreed to what.
    assert_eq!(ask("sharing.partner.greenbox.call", "region == \"south\"").unwrap(), 300);
    assert_eq!(ask("sharing.partner.greenbox.mail", "region == \"north\"").unwrap(), 300, "its own, again");
}

#[test]
fn who_withdrew_and_agreed_again_waits_for_the_next_epoch() {
    let shop = Shop::new();
    shop.ingest((0..300).flat_map(|number| person(number, 1, 0, 1)).collect());
    shop.close(20);
    let permit = shop.permit(Role::Producer, Verb::RecordConsent, None);
    let record = |act, minutes: i64| {
        let event = consent("sharing.partner.greenbox", act, minutes);
        shop.vault().record_consents(&permit, vec![(key(17), event)], later(25)).unwrap();
    };
    record(ConsentAct::Withdraw, 5);
    let first = shop.audience_of("greenbox", "true", &["age_band"]).unwrap();
    assert_eq!(first.members.len(), 299);
    record(ConsentAct::Give, 6);
    let again = shop.audience_of("greenbox", "true", &["age_band"]).unwrap();
    assert_eq!(names(&again), names(&first), "as if nobody had agreed again");
    // And whoever is in a list, then leaves, is left out of the next, and agrees again.
    let leave = |number: usize, act, minutes: i64| {
        let event = consent("sharing.partner.greenbox", act, minutes);
        shop.vault().record_consents(&permit, vec![(key(number), event)], later(25)).unwrap();
    };
    leave(18, ConsentAct::Withdraw, 7);
    assert_eq!(shop.audience_of("greenbox", "true", &["age_band"]).unwrap().members.len(), 298);
    leave(18, ConsentAct::Give, 8);
    assert_eq!(shop.audience_of("greenbox", "true", &["age_band"]).unwrap().members.len(), 298);
    shop.close(26);
    assert_eq!(shop.audience_of("greenbox", "true", &[]).unwrap().members.len(), 300);
}

#[test]
fn who_withdrew_is_gone_from_the_next_delivery() {
    let mut shop = Shop::new();
    shop.ingest((0..300).flat_map(|number| person(number, 1, 0, 1)).collect());
    shop.close(20);
    let first = shop.audience_of("greenbox", "true", &["age_band"]).unwrap();
    let gone = shop.pseudonyms("greenbox", 300)[17].clone();
    assert!(names(&first).contains(&gone));
    let permit = shop.permit(Role::Producer, Verb::RecordConsent, None);
    let withdrawal = consent("sharing.partner.greenbox", ConsentAct::Withdraw, 5);
    shop.vault().record_consents(&permit, vec![(key(17), withdrawal)], later(25)).unwrap();
    shop.reopen();
    let second = shop.audience_of("greenbox", "true", &["age_band"]).unwrap();
    let mut left = names(&first);
    left.remove(&gone);
    assert_eq!(names(&second), left);
    shop.close(26);
    let third = shop.audience_of("greenbox", "true", &["age_band"]).unwrap();
    assert_eq!(third.members.len(), 299);
    assert!(names(&third).is_disjoint(&names(&first)), "pseudonyms end with their epoch");
    let domains = |shop: &Shop| shop.vault().lock().unwrap().tree.secrets("pseudonym/").count();
    assert_eq!((domains(&shop), shop.vault().lock().unwrap().shared.held.len()), (2, 2));
    shop.close(27);
    assert_eq!((domains(&shop), shop.vault().lock().unwrap().shared.held.len()), (1, 1), "and so do their keys");
}

#[test]
fn who_withdraws_before_a_row_leaves_is_not_in_it() {
    let shop = Shop::new();
    shop.ingest((0..300).flat_map(|number| person(number, 1, 0, 1)).collect());
    shop.close(20);
    let permit = shop.sharing_permit("greenbox");
    let question = shop.question("greenbox", "true", "true", &["age_band"]);
    let audience = shop.vault().audience(&permit, &question, later(30)).unwrap();
    let known = shop.pseudonyms("greenbox", 300);
    let gone: BTreeSet<&String> = known.iter().take(40).collect();
    let first = shop.vault().emit(&permit, &audience, 0, 150, later(30)).unwrap().members;
    assert_eq!(first.len(), 150);
    let recording = shop.permit(Role::Producer, Verb::RecordConsent, None);
    let withdrawal = |number| (key(number), consent("sharing.partner.greenbox", ConsentAct::Withdraw, 5));
    shop.vault().record_consents(&recording, (0..40).map(withdrawal).collect(), later(31)).unwrap();
    let second = shop.vault().emit(&permit, &audience, 150, usize::MAX, later(31)).unwrap().members;
    assert!(second.iter().all(|member| !gone.contains(&member.pseudonym)));
    let before = first.iter().filter(|member| gone.contains(&member.pseudonym)).count();
    assert_eq!(second.len(), 150 - (40 - before));
    let other = shop.sharing_permit("acre");
    assert!(shop.vault().emit(&other, &audience, 0, 1, later(31)).is_err(), "another partner's permit");
}

#[test]
fn a_withdrawal_returns_once_rows_on_their_way_have_left() {
    let shop = Shop::new();
    shop.ingest((0..300).flat_map(|number| person(number, 1, 0, 1)).collect());
    shop.close(20);
    let permit = shop.sharing_permit("greenbox");
    let question = shop.question("greenbox", "true", "true", &[]);
    let audience = shop.vault().audience(&permit, &question, later(30)).unwrap();
    let emission = shop.vault().emit(&permit, &audience, 0, usize::MAX, later(30)).unwrap();
    let left = std::sync::atomic::AtomicBool::new(false);
    let recording = shop.permit(Role::Producer, Verb::RecordConsent, None);
    std::thread::scope(|scope| {
        let withdrawing = scope.spawn(|| {
            let withdrawal = consent("sharing.partner.greenbox", ConsentAct::Withdraw, 5);
            shop.vault().record_consents(&recording, vec![(key(7), withdrawal)], later(31)).unwrap();
            assert!(left.load(std::sync::atomic::Ordering::SeqCst), "it returned while rows were on their way");
        });
        // The withdrawal is in the state before it waits: then only the rows on their way hold it up.
        while shop.shares(7, "sharing.partner.greenbox") {
            std::thread::yield_now();
        }
        left.store(true, std::sync::atomic::Ordering::SeqCst);
        drop(emission);
        withdrawing.join().unwrap();
    });
}

#[test]
fn only_granted_fields_and_only_ones_own_audience() {
    let shop = Shop::new();
    shop.ingest((0..150).flat_map(|number| person(number, 1, 0, 1)).collect());
    shop.close(20);
    let diet = "diet == \"halal\"";
    let widened = format!("true || {diet}");
    for (universe, text, tags) in [
        ("true", diet, &[][..]),
        (diet, "true", &[]),
        ("true", "children >= 0 && missing(diet)", &[]),
        ("true", "true", &["diet"]),
    ] {
        let question = shop.question("greenbox", universe, text, tags);
        assert_eq!(shop.deliver(&question).unwrap_err(), Reason::FieldUnavailable, "{universe} {text} {tags:?}");
    }
    assert!(shop.segment(&widened).fields().is_empty(), "what the canonical form drops is not used");
    let role = Role::Partner(partner("greenbox"));
    let permit = shop.permit_for("greenbox-crm", "", role, Verb::Audience, Some("sharing.partner.greenbox"));
    let theirs = shop.question("acre", "true", "true", &[]);
    let Err(VaultError::Refused(refusal)) = shop.vault().audience(&permit, &theirs, later(30)) else { panic!() };
    assert_eq!(refusal.reason, Reason::PurposeDenied);
    let narrow = shop.question("greenbox", "children == 1", "true", &[]);
    assert_eq!(shop.deliver(&narrow).unwrap_err(), Reason::AudienceTooSmall, "the universe counts");
    let small = shop.question("greenbox", "true", "age_band == \"old\"", &[]);
    assert_eq!(shop.deliver(&small).unwrap_err(), Reason::AudienceTooSmall);
}
