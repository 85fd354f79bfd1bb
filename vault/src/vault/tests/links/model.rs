//! Random histories against a naive model that knows persons, what each has said, and who is linked to whom.

use super::*;
use crate::consent::ConsentBitmaps;
use policy::consent::ConsentState;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Members 0-2 and visitors 1,000-1,002.
const PEOPLE: [usize; 6] = [0, 1, 2, 1_000, 1_001, 1_002];

#[derive(Debug, Clone)]
enum Step {
    Consent(usize, &'static str, ConsentAct, Option<i64>),
    Restrict(usize, bool),
    Link(usize, usize),
    Unlink(usize, usize),
    Buy(usize, u16),
    Fold,
    Close,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let who = || prop::sample::select(PEOPLE.to_vec());
    let purposes = vec![MARKETING, MARKETING, LINKING, "identity", "marketing"];
    let act = prop_oneof![2 => Just(ConsentAct::Give), 1 => Just(ConsentAct::Withdraw)];
    prop_oneof![
        6 => (who(), prop::sample::select(purposes), act, prop::option::weighted(0.2, 1_i64..8))
            .prop_map(|(who, purpose, act, lasts)| Step::Consent(who, purpose, act, lasts)),
        1 => (who(), any::<bool>()).prop_map(|(who, on)| Step::Restrict(who, on)),
        6 => (who(), who()).prop_map(|(a, b)| Step::Link(a, b)),
        3 => (who(), who()).prop_map(|(a, b)| Step::Unlink(a, b)),
        3 => (who(), 1_u16..=3).prop_map(|(who, what)| Step::Buy(who, what)),
        1 => Just(Step::Fold),
        3 => Just(Step::Close),
        1 => Just(Step::Reopen),
    ]
}

/// What one person has said and done.
#[derive(Debug, Clone, Default)]
struct Person {
    said: ConsentState,
    restricted: bool,
    bought: BTreeSet<u16>,
}

/// Everyone, and the links: primary, secondary, whether ended.
#[derive(Debug, Clone, Default)]
struct World {
    people: BTreeMap<usize, Person>,
    links: Vec<(usize, usize, bool)>,
}

impl World {
    fn says_yes(&self, who: usize, purpose: &str, at: Timestamp) -> bool {
        let person = &self.people[&who];
        !person.restricted && person.said.allows(&PurposeId::new(purpose).unwrap(), LawfulBasis::Consent, at)
    }

    /// Whether somebody is counted as a row.
    fn counts(&self, who: usize, at: Timestamp) -> bool {
        let agreed = |who| self.says_yes(who, LINKING, at);
        let for_both = |(primary, secondary, _): &(usize, usize, bool)| {
            *primary != who || (agreed(who) && agreed(*secondary) && self.says_yes(*secondary, MARKETING, at))
        };
        self.says_yes(who, MARKETING, at)
            && self.links.iter().all(|(_, secondary, _)| *secondary != who)
            && self.links.iter().all(for_both)
    }

    fn may_link(&self, primary: usize, secondary: usize, at: Timestamp) -> bool {
        let mut holding = self.links.iter().filter(|(.., ended)| !ended);
        let free = holding.all(|(first, second, _)| *second != secondary && *second != primary && *first != secondary);
        primary != secondary && free && [primary, secondary].iter().all(|who| self.says_yes(*who, LINKING, at))
    }

    fn end(&mut self, which: impl Fn(usize, usize) -> bool) -> bool {
        let mut found = false;
        for (primary, secondary, ended) in &mut self.links {
            let it = which(*primary, *secondary) && !*ended;
            *ended |= it;
            found |= it;
        }
        found
    }

    /// What the row of somebody holds.
    fn row(&self, who: usize) -> BTreeSet<u16> {
        let linked = self.links.iter().filter(|(primary, _, ended)| *primary == who && !ended);
        let others = linked.flat_map(|(_, secondary, _)| &self.people[secondary].bought);
        others.chain(&self.people[&who].bought).copied().collect()
    }
}

struct Play {
    shop: Shop,
    live: World,
    closed: Option<(World, Timestamp)>,
    seconds: i64,
}

impl Play {
    fn begin() -> Self {
        let shop = Shop::new();
        let records = PEOPLE.iter().map(|who| bought(*who, *who as u64, 1)).collect();
        shop.ingest(records);
        let person = Person { bought: BTreeSet::from([1]), ..Person::default() };
        let people = PEOPLE.iter().map(|who| (*who, person.clone())).collect();
        Self { shop, live: World { people, links: Vec::new() }, closed: None, seconds: 100 }
    }

    fn now(&self) -> Timestamp {
        later(self.seconds)
    }

    fn play(&mut self, step: &Step) {
        self.seconds += 1;
        let (now, seconds) = (self.now(), self.seconds);
        match *step {
            Step::Consent(who, purpose, act, lasts) => {
                let expires = lasts.map(|lasts| later(seconds + lasts));
                let event = ConsentEvent { expires, ..consent(purpose, act, seconds) };
                let permit = self.shop.permit(Role::Producer, Verb::RecordConsent, None);
                let events = vec![(super::who(who), event.clone())];
                self.shop.vault().record_consents(&permit, events, now).unwrap();
                self.live.people.get_mut(&who).unwrap().said.apply(&event);
                if act == ConsentAct::Withdraw && purpose.starts_with("identity") {
                    self.live.end(|primary, secondary| primary == who || secondary == who);
                }
            }
            Step::Restrict(who, on) => {
                let permit = self.permit_to_restrict(who);
                let vault = self.shop.vault();
                let done = match on {
                    true => vault.restrict_subject(&permit, &super::who(who), now),
                    false => vault.unrestrict_subject(&permit, &super::who(who), now),
                };
                done.unwrap();
                self.live.people.get_mut(&who).unwrap().restricted = on;
            }
            Step::Link(a, b) => {
                let permit = self.shop.permit_for_both(a, b);
                let done = self.shop.vault().link_subjects(&permit, &super::who(a), &super::who(b), now);
                assert_eq!(done.is_ok(), self.live.may_link(a, b, now), "{done:?}");
                if done.is_ok() {
                    self.live.links.push((a, b, false));
                }
            }
            Step::Unlink(a, b) => {
                let permit = self.shop.permit_for_both(a, b);
                let done = self.shop.vault().unlink_subjects(&permit, &super::who(a), &super::who(b), now);
                assert_eq!(done.is_ok(), self.live.end(|primary, secondary| (primary, secondary) == (a, b)));
            }
            Step::Buy(who, what) => {
                self.shop.ingest(vec![bought(who, seconds.unsigned_abs(), what)]);
                self.live.people.get_mut(&who).unwrap().bought.insert(what);
            }
            Step::Fold => {
                let system = self.shop.permit(Role::System, Verb::Maintain, None);
                self.shop.vault().fold(&system, now).unwrap();
            }
            Step::Close => {
                self.shop.close(seconds);
                self.live.links.retain(|(.., ended)| !ended);
                self.closed = Some((self.live.clone(), now));
            }
            Step::Reopen => {
                self.shop.vault = None;
                self.shop.vault = Some(Vault::open(&self.shop.config, now).unwrap());
            }
        }
    }

    fn permit_to_restrict(&self, who: usize) -> Permit {
        let client = ClientId::new("portal").unwrap();
        let principal = Principal { client, role: Role::Portal, purposes: Vec::new() };
        let (verb, dataset) = (Verb::RestrictSubject, Some(&self.shop.schema));
        let request =
            Request { principal: &principal, verb, dataset, purpose: None, basis: None, fields: &[], request_id: "" };
        let subject = super::who(who);
        let Decision::Permit(permit) = decide_for(&self.shop.rules, &request, subject.expose()) else { panic!("no") };
        permit
    }

    /// Who the model counts now.
    fn counted(&self) -> BTreeSet<usize> {
        let Some((closed, at)) = &self.closed else { return BTreeSet::new() };
        let counts = |who: &usize| closed.counts(*who, *at) && self.live.counts(*who, self.now());
        PEOPLE.into_iter().filter(counts).collect()
    }

    /// Compares the model with the bitmaps, whole and person by person.
    fn compare(&self) {
        let Some((_, at)) = &self.closed else { return };
        let purpose = PurposeId::new(MARKETING).unwrap();
        let state = self.shop.vault().state.lock();
        let dataset = &state.datasets[&1];
        let find = |who: usize| dataset.index.find(dataset.index.tag(super::who(who).expose())).unwrap();
        let (bound, basis) = (dataset.closed.bound, LawfulBasis::Consent);
        let whole = dataset.closed.consent.allowed(&purpose, basis, *at, bound)
            & dataset.consent.allowed(&purpose, basis, self.now(), bound);
        let alone = |consent: &ConsentBitmaps, ordinal: u32, at| {
            consent.allowed_of([ordinal], &purpose, basis, at).contains(ordinal)
        };
        let counted = self.counted();
        for who in PEOPLE {
            let ordinal = find(who);
            let one = alone(&dataset.closed.consent, ordinal, *at) && alone(&dataset.consent, ordinal, self.now());
            let expected = counted.contains(&who);
            assert_eq!((whole.contains(ordinal), one), (expected, expected), "{who} at {}", self.seconds);
        }
    }

    /// Compares a release with the model.
    fn release(&self) {
        let Some((closed, _)) = &self.closed else { return };
        let mut cells = vec![0; 4];
        for who in self.counted() {
            closed.row(who).into_iter().for_each(|what| cells[usize::from(what)] += 1);
        }
        let by = vec![self.shop.schema.resolve("order.category").unwrap()];
        let permit = self.shop.permit_for("insights", "", Role::Service, Verb::Release, Some(MARKETING));
        let question = Question {
            dataset: self.shop.schema.dataset.clone(),
            universe: Segment::everyone(),
            segment: self.shop.segment("true"),
            kind: Kind::Breakdown { by, window: Window::Ever },
            rho: PRICE,
        };
        let (answer, charged) = self.shop.vault().release(&permit, &question, self.now()).unwrap();
        assert!(charged);
        assert_eq!(rounded(&answer, 0), cells, "at {}", self.seconds);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn who_is_counted_is_who_the_naive_model_counts(steps in prop::collection::vec(step(), 10..40)) {
        let mut play = Play::begin();
        for who in PEOPLE {
            for purpose in BOTH {
                play.play(&Step::Consent(who, purpose, ConsentAct::Give, None));
            }
        }
        for step in &steps {
            // Once an epoch, as late as it can be asked.
            if matches!(step, Step::Close) {
                play.release();
            }
            play.play(step);
            play.compare();
        }
        play.release();
    }
}
