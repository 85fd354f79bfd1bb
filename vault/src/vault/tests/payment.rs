//! What a release costs and when, and which answer a question gets: whatever the data are, before any noise is drawn, and
//! its own.

use super::backups::copy_folder;
use super::*;
use crate::answers::AnswerKey;
use policy::id::EpochId;
use std::collections::BTreeSet;

const PURPOSE: &str = "marketing.segmentation";
/// A price at which a cell's noise has a standard deviation of about 22 people.
const REAL: NanoRho = NanoRho(1_000_000);

impl Shop {
    fn lifetime_spent(&self) -> NanoRho {
        spent(self.vault(), &self.permit(Role::Steward, Verb::ReadBudget, None))
    }

    fn ask_at(&self, text: &str, kind: Kind, rho: NanoRho) -> Answer {
        let permit = self.permit_for("insights", "", Role::Service, Verb::Release, Some(PURPOSE));
        let (universe, segment) = (Segment::everyone(), self.segment(text));
        let question = Question { dataset: self.schema.dataset.clone(), universe, segment, kind, rho };
        self.vault().release(&permit, &question, later(30)).unwrap().0
    }

    fn by_age_and_category(&self) -> Kind {
        let by = vec![self.schema.resolve("age_band").unwrap(), self.schema.resolve("order.category").unwrap()];
        Kind::Breakdown { by, window: Window::Ever }
    }
}

fn with_another_purpose(schema: &str) -> String {
    schema.replace("purposes = [", "purposes = [\"marketing.portrait\", ")
}

fn spent(vault: &Vault, permit: &Permit) -> NanoRho {
    vault.budget(permit, &ClientId::new("insights").unwrap(), later(40)).unwrap().lifetime_spent
}

#[test]
fn a_draw_is_paid_for_on_disk_before_it_is_made() {
    let shop = Shop::new();
    shop.fill(0, 40, &[PURPOSE]);
    shop.close(20);
    let permit = shop.permit(Role::Steward, Verb::ReadBudget, None);
    let (config, copies) = (shop.config.clone(), tempfile::tempdir().unwrap());
    // What a machine that dies between the scan and the draw leaves behind.
    let data = copies.path().join("data");
    let root = copies.path().join("root");
    let (data_too, root_too) = (data.clone(), root.clone());
    let (say, said) = std::sync::mpsc::channel();
    let watch = move |vault: &Vault| {
        copy_folder(&config.data, &data);
        copy_folder(&config.root, &root);
        say.send(spent(vault, &permit)).unwrap();
    };
    *shop.vault().after_scan.lock() = Some(Box::new(watch));
    let answer = shop.ask_at("true", Kind::Size, REAL);
    assert_eq!(said.recv().unwrap(), REAL, "the ledger knew it before the draw");

    let config = Config { data: data_too, root: root_too, ..shop.config.clone() };
    let again = Vault::open(&config, later(50)).unwrap();
    assert_eq!(spent(&again, &shop.permit(Role::Steward, Verb::ReadBudget, None)), REAL, "and so did the disk");
    // Nobody saw that draw; another may be made under the charge, and none without.
    let permit = shop.permit_for("insights", "", Role::Service, Verb::Release, Some(PURPOSE));
    let (universe, segment) = (Segment::everyone(), Segment::everyone());
    let question = Question { dataset: shop.schema.dataset.clone(), universe, segment, kind: Kind::Size, rho: REAL };
    let (retried, charged) = again.release(&permit, &question, later(51)).unwrap();
    assert!(!charged && retried.release == answer.release);
    assert_eq!(spent(&again, &permit), REAL);
}

#[test]
fn a_question_costs_the_same_whatever_the_data_are() {
    let mut costs = BTreeSet::new();
    for people in [0, 1, 40] {
        let shop = Shop::new();
        shop.fill(0, people, &[PURPOSE]);
        shop.close(20);
        for kind in [Kind::Size, shop.by_age_and_category()] {
            let before = shop.lifetime_spent();
            // One that some are in, and one that nobody is in.
            for text in ["true", "children == 19"] {
                let answer = shop.ask_at(text, kind.clone(), REAL);
                costs.insert((
                    answer.rho,
                    answer.tables.iter().map(|table| table.cells.len()).sum::<usize>(),
                    answer.sigma_1024,
                ));
            }
            assert_eq!(shop.lifetime_spent(), NanoRho(before.0 + 2 * REAL.0), "{people} people");
        }
    }
    assert_eq!(costs.len(), 2, "one shape and one price a kind: {costs:?}");
}

#[test]
fn a_months_cap_holds_through_a_restart_and_ends_with_the_month() {
    let mut shop = Shop::new();
    let text = SCHEMA.replace("\"shop\"", "\"monthly\"");
    let text = text.replace("[budget]", "[budget]\nmonth = \"0.0015\"");
    shop.schema = policy::schema::parse(&text).unwrap();
    shop.vault().create_dataset(&shop.permit(Role::Steward, Verb::ManageDataset, None), &text, NOW).unwrap();
    shop.close(20);
    let ask = |shop: &Shop, text: &str, now| {
        let permit = shop.permit_for("insights", "", Role::Service, Verb::Release, Some(PURPOSE));
        let (universe, segment, kind, rho) = (Segment::everyone(), shop.segment(text), Kind::Size, REAL);
        let question = Question { dataset: shop.schema.dataset.clone(), universe, segment, kind, rho };
        match shop.vault().release(&permit, &question, now) {
            Ok(_) => Ok(()),
            Err(VaultError::Refused(refusal)) => Err((refusal.reason, refusal.message)),
            Err(other) => panic!("{other}"),
        }
    };
    ask(&shop, "true", later(30)).unwrap();
    for _ in 0..2 {
        let (reason, said) = ask(&shop, "children > 1", later(30)).unwrap_err();
        assert!(reason == Reason::BudgetExhausted && said.contains("of this month's budget is left"), "{said}");
        shop.reopen();
    }
    let statement = shop.statement();
    assert_eq!((statement.month_spent, statement.month_cap), (REAL, Some(NanoRho(1_500_000))));
    ask(&shop, "children > 1", later(30 * DAY)).unwrap();
}

#[test]
fn each_epoch_and_each_price_gets_noise_of_its_own() {
    let shop = Shop::new();
    shop.fill(0, 40, &[PURPOSE]);
    let mut draws = Vec::new();
    for epoch in 0..3 {
        shop.close(20 + epoch);
        for extra in 0..2 {
            let answer = shop.ask_at("true", shop.by_age_and_category(), NanoRho(REAL.0 + extra));
            draws.push(answer.tables[0].cells.iter().map(|cell| cell.noised).collect::<Vec<i64>>());
        }
    }
    // Two cells of independent draws are equal with a probability of 1 in 80,000; N = 15 pairs of 12 cells, and more than 3 equal
    // cells of one pair have a probability below 1e-15.
    for (place, draw) in draws.iter().enumerate() {
        for other in &draws[..place] {
            let same = draw.iter().zip(other).filter(|(a, b)| a == b).count();
            assert!(same <= 3, "the noise of one draw is seen again in another: {same} of 12 cells");
        }
    }
}

#[test]
fn every_part_of_a_question_is_in_the_key_of_its_answer() {
    let shop = Shop::new();
    let two_purposes = policy::schema::parse(&with_another_purpose(SCHEMA)).unwrap();
    let asker = |purpose| {
        let insights = ("insights", "");
        permit_under(&shop.rules, &two_purposes, insights, Role::Service, Verb::Release, Some(purpose))
    };
    let permit = asker(PURPOSE);
    assert_eq!(asker("marketing.portrait").table_hash(), permit.table_hash(), "the purpose alone is another");
    let question = || Question {
        dataset: shop.schema.dataset.clone(),
        universe: Segment::everyone(),
        segment: shop.segment("children > 1"),
        kind: Kind::Size,
        rho: REAL,
    };
    let (hash, epoch) = (shop.schema.hash(), EpochId(1));
    let other_dataset = policy::id::DatasetId::new("other").unwrap();
    let age = vec![shop.schema.resolve("age_band").unwrap()];
    let by_age = Kind::Breakdown { by: age.clone(), window: Window::Ever };
    let this_month = Kind::Breakdown { by: age, window: Window::Last(policy::segment::Span::Days(30)) };
    let keys = [
        AnswerKey::of(&permit, &question(), &hash, epoch),
        AnswerKey::of(&asker("marketing.portrait"), &question(), &hash, epoch),
        AnswerKey::of(&permit, &question(), "another description", epoch),
        AnswerKey::of(&permit, &question(), &hash, EpochId(2)),
        AnswerKey::of(&permit, &Question { dataset: other_dataset, ..question() }, &hash, epoch),
        AnswerKey::of(&permit, &Question { universe: shop.segment("children < 9"), ..question() }, &hash, epoch),
        AnswerKey::of(&permit, &Question { segment: Segment::everyone(), ..question() }, &hash, epoch),
        AnswerKey::of(&permit, &Question { kind: by_age, ..question() }, &hash, epoch),
        AnswerKey::of(&permit, &Question { kind: this_month, ..question() }, &hash, epoch),
        AnswerKey::of(&permit, &Question { rho: NanoRho(REAL.0 + 1), ..question() }, &hash, epoch),
    ];
    let distinct: BTreeSet<&str> = keys.iter().map(AnswerKey::as_str).collect();
    assert_eq!(distinct.len(), keys.len());
    // And what changes nothing is in no key: another client, another request, other words for the same.
    let same = Question { segment: shop.segment("1 < children && true"), ..question() };
    let other = shop.permit_for("pricing", "42", Role::Service, Verb::Release, Some(PURPOSE));
    assert_eq!(AnswerKey::of(&other, &same, &hash, epoch), keys[0]);
}

#[test]
fn an_answer_for_one_purpose_is_not_given_for_another() {
    let mut shop = Shop::new();
    let text = with_another_purpose(&SCHEMA.replace("\"shop\"", "\"two\""));
    shop.schema = policy::schema::parse(&text).unwrap();
    shop.vault().create_dataset(&shop.permit(Role::Steward, Verb::ManageDataset, None), &text, NOW).unwrap();
    shop.fill(0, 40, &[PURPOSE]);
    shop.close(20);
    let ask = |purpose| {
        let permit = shop.permit_for("insights", "", Role::Service, Verb::Release, Some(purpose));
        let (universe, segment) = (Segment::everyone(), Segment::everyone());
        let kind = Kind::Size;
        let question = Question { dataset: shop.schema.dataset.clone(), universe, segment, kind, rho: PRICE };
        shop.vault().release(&permit, &question, later(30)).unwrap()
    };
    let (for_segments, _) = ask(PURPOSE);
    assert_eq!(rounded(&for_segments, 0), [40]);
    let (for_portraits, charged) = ask("marketing.portrait");
    assert_eq!((rounded(&for_portraits, 0), charged), (vec![0], true), "nobody agreed to that");
}

#[test]
fn who_agrees_after_the_close_is_in_the_next_epoch() {
    let shop = Shop::new();
    shop.fill(0, 40, &[PURPOSE]);
    shop.fill(40, 10, &[]);
    shop.close(20);
    let permit = shop.permit(Role::Producer, Verb::RecordConsent, None);
    let late = (40..50).map(|number| (key(number), consent(PURPOSE, ConsentAct::Give, 5))).collect();
    shop.vault().record_consents(&permit, late, later(25)).unwrap();
    assert_eq!(shop.size("true"), 40);
    shop.close(26);
    assert_eq!(shop.size("true"), 50);
}

#[test]
fn an_audience_of_99_is_refused_and_one_of_101_is_not() {
    // At the price of these tests a size is off by half a person with probability below 1e-6.
    let shop = Shop::new();
    let partner = PartnerId::new("greenbox").unwrap();
    let permit = || {
        let role = Role::Partner(partner.clone());
        shop.permit_for("greenbox-crm", "", role, Verb::Audience, Some("sharing.partner.greenbox"))
    };
    let question = |text| AudienceQuestion {
        partner: partner.clone(),
        universe: Segment::everyone(),
        segment: shop.segment(text),
        tags: Vec::new(),
        rho: PRICE,
    };
    shop.fill(0, 99, &["sharing.partner.greenbox"]);
    shop.close(20);
    let Err(VaultError::Refused(refusal)) = shop.vault().audience(&permit(), &question("true"), later(30)) else {
        panic!("delivered")
    };
    assert_eq!(refusal.reason, Reason::AudienceTooSmall);
    // Not 100, which the least noise may take below.
    shop.fill(99, 2, &["sharing.partner.greenbox"]);
    shop.close(21);
    assert!(shop.vault().audience(&permit(), &question("true"), later(31)).is_ok());
}
