//! The monthly synopsis: drawn once a month, whatever happens; paid for once; and what is answered from it.

use super::backups::copy_folder;
use super::*;
use crate::release::Offer;
use crate::vault::Tree;
use policy::privacy::Month;
use policy::segment::Span;

const PURPOSE: &str = "marketing.segmentation";
/// Of the dataset `monthly`, whose calendar is that of London. The tests begin on 2026-09-21.
const DECLARED: &str = "\n[synopsis]\npurpose = \"marketing.segmentation\"\nfields = [\"age_band\", \"region\", \"order.category\"]\n\
                        window = \"30d\"\nrho = \"2000\"\n";
const RHO: NanoRho = NanoRho(2_000_000_000_000);
const OCTOBER: i64 = 10 * DAY;

fn declared(text: &str) -> String {
    format!("{}{DECLARED}", text.replace("dataset = \"shop\"\n", "dataset = \"monthly\"\n"))
}

impl Shop {
    /// A vault with a dataset that asks for a synopsis, and 40 people in it.
    fn monthly() -> Self {
        Self::monthly_under(&declared(SCHEMA))
    }

    fn monthly_under(text: &str) -> Self {
        let mut shop = Self::new();
        shop.schema = policy::schema::parse(text).unwrap();
        shop.vault().create_dataset(&shop.permit(Role::Steward, Verb::ManageDataset, None), text, NOW).unwrap();
        shop.fill(0, 40, &[PURPOSE]);
        shop
    }

    fn drawer(&self) -> Permit {
        self.permit_for("system", "", Role::System, Verb::Release, Some(PURPOSE))
    }

    fn draw(&self, seconds: i64) -> bool {
        self.vault().draw_synopsis(&self.drawer(), later(seconds)).unwrap()
    }

    fn month_due(&self) -> Option<String> {
        self.vault().synopsis_due(&self.schema.dataset).map(|month| month.to_string())
    }

    fn asker(&self) -> Permit {
        self.permit_for("insights", "", Role::Service, Verb::Release, Some(PURPOSE))
    }

    fn about(&self, text: &str, kind: Kind) -> Question {
        let (universe, segment) = (Segment::everyone(), self.segment(text));
        Question { dataset: self.schema.dataset.clone(), universe, segment, kind, rho: PRICE }
    }

    fn free(&self, text: &str, kind: Kind) -> Option<(Answer, Offer)> {
        let (permit, question) = (self.asker(), self.about(text, kind));
        let offer = self.vault().synopsis_offer(&permit, &question).unwrap();
        let answer = self.vault().answer_from_synopsis(&permit, &question, later(40)).unwrap();
        assert_eq!(offer, answer.as_ref().map(|(_, offer)| *offer), "what is offered is given");
        answer
    }

    fn free_size(&self, text: &str) -> Option<i64> {
        self.free(text, Kind::Size).map(|(answer, _)| rounded(&answer, 0)[0])
    }

    fn by(&self, paths: &[&str]) -> Vec<FieldRef> {
        paths.iter().map(|path| self.schema.resolve(path).unwrap()).collect()
    }

    fn spent(&self) -> (NanoRho, NanoRho) {
        let permit = self.permit(Role::Steward, Verb::ReadBudget, None);
        let statement = self.vault().budget(&permit, &ClientId::new("insights").unwrap(), later(41)).unwrap();
        (statement.lifetime_spent, statement.synopsis_spent)
    }

    /// Who asked what of a person's data, and whether it was released before.
    fn told(&self, number: usize) -> Vec<(String, String, bool)> {
        let permit = self.permit_about(Verb::AccessSubject, number);
        let uses = self.vault().list_uses(&permit, &key(number), later(4 * DAY)).unwrap().uses;
        uses.releases.into_iter().map(|used| (used.client.to_string(), used.question, used.repeated)).collect()
    }

    fn leaves(&self) -> Vec<crate::log::Leaf> {
        let end = self.vault().durable_sizes().unwrap().of(Tree::Access);
        let leaves = self.vault().log.scan(Tree::Access, 0, end);
        leaves.map(|entry| crate::log::Leaf::parse(&entry.unwrap().1).unwrap()).collect()
    }
}

fn month(text: &str) -> Month {
    let (year, month) = text.split_once('-').unwrap();
    Month(year.parse::<u32>().unwrap() * 12 + month.parse::<u32>().unwrap() - 1)
}

#[test]
fn a_synopsis_is_drawn_once_a_month_and_paid_for_once() {
    let mut shop = Shop::monthly();
    assert_eq!(shop.month_due(), None, "no epoch has closed");
    shop.close(20);
    assert_eq!(shop.month_due().as_deref(), Some("2026-09"));
    assert!(shop.draw(21));
    assert_eq!((shop.month_due(), shop.spent()), (None, (RHO, RHO)));
    assert!(!shop.draw(22), "once");
    shop.close(DAY);
    assert_eq!(shop.month_due(), None, "another epoch of the month");
    assert!(!shop.draw(DAY));
    shop.reopen();
    assert!(!shop.draw(DAY + 1), "it is known after a restart");
    let september = shop.vault().synopsis(&shop.schema.dataset).unwrap();
    assert_eq!((september.month, september.rho), (month("2026-09"), RHO));
    shop.close(OCTOBER);
    assert_eq!(shop.month_due().as_deref(), Some("2026-10"));
    assert_eq!(shop.vault().synopsis(&shop.schema.dataset), None, "its month is over");
    assert_eq!(shop.free("true", Kind::Size), None);
    assert!(shop.draw(OCTOBER));
    let october = shop.vault().synopsis(&shop.schema.dataset).unwrap();
    assert_eq!(
        (october.month, shop.spent()),
        (month("2026-10"), (NanoRho(2 * RHO.0), RHO)),
        "in all, and this quarter"
    );
    assert_ne!(october.release, september.release);
    let statement = shop.vault().budget(&shop.asker(), &ClientId::new("insights").unwrap(), later(OCTOBER)).unwrap();
    assert_eq!(statement.client_spent, NanoRho::ZERO, "of no client's quota");
}

#[test]
fn questions_about_one_field_of_everyone_are_answered_from_it() {
    let shop = Shop::monthly();
    // Of those who agreed, one with no age and one with no region.
    shop.ingest(vec![
        Record::Profile { subject: key(0), values: vec![(ColumnId(3), Value::Code(1))] },
        give(40, PURPOSE),
        order(40, 1, 3, -DAY),
    ]);
    shop.fill(50, 7, &[]);
    shop.close(20);
    assert_eq!(shop.free("true", Kind::Size), None, "nothing was drawn yet");
    shop.draw(21);
    for (text, people) in [
        ("true", 41),
        ("age_band == \"young\"", 20),
        ("age_band != \"young\"", 20),
        ("!(age_band in [\"young\"])", 20),
        ("age_band in [\"young\", \"old\"]", 40),
        ("missing(age_band)", 1),
        ("known(age_band)", 40),
        ("missing(age_band) || age_band == \"old\"", 21),
        ("region == \"north\"", 1),
        ("missing(region)", 40),
    ] {
        assert_eq!(shop.free_size(text), Some(people), "{text}");
    }
    let (age, _) = shop.free("true", Kind::Breakdown { by: shop.by(&["age_band"]), window: Window::Ever }).unwrap();
    assert_eq!(rounded(&age, 0), [1, 20, 20]);
    let month = Window::Last(Span::Days(30));
    let fields = shop.by(&["order.category", "age_band"]);
    let (portrait, offer) = shop.free("true", Kind::Portrait { fields, window: month }).unwrap();
    assert_eq!((rounded(&portrait, 0), rounded(&portrait, 1)), (vec![0, 20, 20, 1], vec![1, 20, 20]));
    assert_eq!((offer.cells, offer.half_width_1024), (7, portrait.half_width_1024));
    // The same bytes again, and of one release.
    let again = shop.free("true", Kind::Breakdown { by: shop.by(&["age_band"]), window: Window::Ever }).unwrap().0;
    assert_eq!(serde_json::to_string(&again).unwrap(), serde_json::to_string(&age).unwrap());
    let facts = shop.vault().synopsis(&shop.schema.dataset).unwrap();
    assert!([&age, &portrait].iter().all(|answer| answer.release == facts.release && answer.leaf == facts.leaf));
    assert_eq!(shop.spent(), (RHO, RHO), "all of it for the price of one");
}

#[test]
fn every_answer_from_it_is_logged_with_no_charge() {
    let shop = Shop::monthly();
    shop.close(20);
    shop.draw(21);
    shop.free_size("age_band == \"old\"").unwrap();
    let leaves = shop.leaves();
    let said = |leaf: &crate::log::Leaf| crate::log::explain(leaf);
    let drawn = leaves.iter().find(|leaf| leaf.rho.is_some()).unwrap();
    let words = said(drawn);
    assert!(words.contains("client `system` asked for a synopsis of 2026-09 on dataset `monthly`"), "{words}");
    assert!(words.contains("charged rho 2000 to population `shop`") && words.contains("age_band"), "{words}");
    let read = said(leaves.last().unwrap());
    let facts = shop.vault().synopsis(&shop.schema.dataset).unwrap();
    assert!(read.contains("client `insights` got an answer from the synopsis of 2026-09"), "{read}");
    assert!(read.contains(&format!("completes entry {}", facts.leaf)) && !read.contains("rho"), "{read}");
    assert_eq!(leaves.iter().filter(|leaf| leaf.rho.is_some()).count(), 1);
}

#[test]
fn what_it_can_not_say_is_drawn_and_paid_for() {
    let shop = Shop::monthly();
    shop.close(20);
    shop.draw(21);
    let breakdown = |paths: &[&str], window| Kind::Breakdown { by: shop.by(paths), window };
    let ever = Window::Ever;
    for (text, kind) in [
        ("age_band == \"old\" && region == \"north\"", Kind::Size),
        ("children > 1", Kind::Size),
        ("order.any()", Kind::Size),
        ("sample(\"pilot\", 50.0)", Kind::Size),
        ("age_band in []", Kind::Size),
        ("age_band == \"old\"", breakdown(&["age_band"], ever)),
        ("true", breakdown(&["age_band", "region"], ever)),
        ("true", breakdown(&["order.category"], ever)),
        ("true", Kind::Portrait { fields: shop.by(&["age_band", "order.category"]), window: ever }),
        ("true", Kind::Top { field: shop.by(&["age_band"])[0], k: 1, window: ever }),
        ("true", Kind::Mean { field: shop.by(&["children"])[0] }),
    ] {
        if policy::segment::parse(text, &shop.schema, &|_| true).is_ok() {
            assert_eq!(shop.free(text, kind), None, "{text}");
        }
    }
    let of_some = Question { universe: shop.segment("age_band == \"old\""), ..shop.about("true", Kind::Size) };
    assert_eq!(shop.vault().synopsis_offer(&shop.asker(), &of_some).unwrap(), None);
    assert_eq!(shop.spent(), (RHO, RHO));
}

#[test]
fn no_other_purpose_or_basis_is_answered_from_it_and_no_field_that_is_not_granted() {
    let text = declared(SCHEMA).replacen("purposes = [", "purposes = [\"marketing.portrait\", ", 1);
    let shop = Shop::monthly_under(&text.replace("\"age_band\", \"region\"", "\"age_band\", \"region\", \"diet\""));
    shop.close(20);
    let refused = shop.vault().draw_synopsis(&shop.drawer(), later(21));
    let Err(VaultError::Refused(refusal)) = refused else { panic!("a sensitive field was drawn: {refused:?}") };
    assert_eq!((refusal.reason, shop.spent().0), (Reason::FieldUnavailable, NanoRho::ZERO));
    // With a field of it opened for the gateway alone, nobody else is answered about that field.
    let open = "permit (principal in Role::\"system\", action == Action::\"release_aggregate\", resource);
                permit (principal in Role::\"system\", action == Action::\"release\", resource);";
    let rules = Rules::parse(&[("open", open)], 2).unwrap();
    let permit = permit_under(&rules, &shop.schema, ("system", ""), Role::System, Verb::Release, Some(PURPOSE));
    assert!(shop.vault().draw_synopsis(&permit, later(22)).unwrap());
    assert_eq!(shop.free_size("true"), Some(40));
    let diet = shop.about("true", Kind::Breakdown { by: shop.by(&["diet"]), window: Window::Ever });
    for outcome in [
        shop.vault().synopsis_offer(&shop.asker(), &diet).map(|offer| offer.is_some()),
        shop.vault().answer_from_synopsis(&shop.asker(), &diet, later(23)).map(|answer| answer.is_some()),
    ] {
        let Err(VaultError::Refused(refusal)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(refusal.reason, Reason::FieldUnavailable);
    }
    let other = shop.permit_for("insights", "", Role::Service, Verb::Release, Some("marketing.portrait"));
    let size = shop.about("true", Kind::Size);
    assert_eq!(shop.vault().synopsis_offer(&other, &size).unwrap(), None);
    assert_eq!(shop.vault().answer_from_synopsis(&other, &size, later(23)).unwrap(), None);
    // Nobody but the gateway draws one, and only for what is declared.
    for (role, purpose) in [(Role::Service, PURPOSE), (Role::System, "marketing.portrait")] {
        let permit = shop.permit_for("tester", "", role, Verb::Release, Some(purpose));
        assert!(matches!(shop.vault().draw_synopsis(&permit, later(24)), Err(VaultError::Refused(_))), "{purpose}");
    }
}

#[test]
fn a_crash_between_the_charge_and_the_draw_is_drawn_under_the_first_intent_even_in_a_later_epoch() {
    let shop = Shop::monthly();
    shop.close(20);
    let copies = tempfile::tempdir().unwrap();
    let (config, data, root) = (shop.config.clone(), copies.path().join("data"), copies.path().join("root"));
    let copy = (data.clone(), root.clone());
    *shop.vault().after_scan.lock() = Some(Box::new(move |_: &Vault| {
        copy_folder(&config.data, &copy.0);
        copy_folder(&config.root, &copy.1);
    }));
    assert!(shop.draw(21));
    let first = shop.vault().synopsis(&shop.schema.dataset).unwrap();
    let config = Config { data, root, ..shop.config.clone() };
    let mut again = Shop { vault: Some(Vault::open(&config, later(50)).unwrap()), config, ..Shop::monthly() };
    assert_eq!(again.spent(), (RHO, RHO), "it was paid before it was drawn");
    assert_eq!((again.month_due().as_deref(), again.vault().synopsis(&again.schema.dataset)), (Some("2026-09"), None));
    // Three more epochs close before anybody looks, more than answers are kept for, and somebody joins.
    again.fill(70, 1, &[PURPOSE]);
    for day in 1..=3 {
        again.close(day * DAY);
    }
    again.reopen();
    assert!(again.draw(3 * DAY + 1));
    let second = again.vault().synopsis(&again.schema.dataset).unwrap();
    assert_eq!((&second.release, second.leaf), (&first.release, first.leaf), "under the INTENT that was charged");
    assert_eq!(second.one_cell.epoch.0, first.one_cell.epoch.0 + 3, "of the epoch that it could read");
    assert_eq!(again.spent(), (RHO, RHO));
    assert!(!again.draw(3 * DAY + 2));
    assert_eq!(again.free_size("true"), Some(41));
    // Who may be in it is told of it, though they had not agreed when it was charged.
    assert_eq!(again.told(70), again.told(3));
    assert_eq!(again.told(70).len(), 2);
}

#[test]
fn a_budget_that_is_too_small_refuses_the_synopsis_and_nothing_else() {
    let text = declared(SCHEMA).replace("quarter = \"100000\"", "quarter = \"6000\"");
    let shop = Shop::monthly_under(&text);
    shop.close(20);
    let (size, older) = (shop.about("true", Kind::Size), shop.about("children > 1", Kind::Size));
    let spend = |client: &str, question: &Question, rho| {
        let permit = shop.permit_for(client, "", Role::Service, Verb::Release, Some(PURPOSE));
        shop.vault().release(&permit, &Question { rho: NanoRho(rho), ..question.clone() }, later(21)).map(drop)
    };
    spend("a", &size, 2_500_000_000_000).unwrap();
    spend("b", &older, 2_500_000_000_000).unwrap();
    let Err(VaultError::Refused(refusal)) = shop.vault().draw_synopsis(&shop.drawer(), later(22)) else {
        panic!("it was drawn")
    };
    assert_eq!(refusal.reason, Reason::BudgetExhausted);
    assert_eq!((shop.month_due().as_deref(), shop.spent().1), (Some("2026-09"), NanoRho::ZERO));
    spend("c", &size, 900_000_000_000).unwrap();
    // The next quarter bears it.
    shop.close(OCTOBER);
    assert!(shop.draw(OCTOBER + 3_600));
    assert_eq!(shop.spent().1, RHO);
}

#[test]
fn a_changed_description_counts_from_the_next_month_and_a_field_with_more_values_is_drawn_again() {
    let mut shop = Shop::monthly();
    shop.close(20);
    shop.draw(21);
    let apply = |shop: &mut Shop, text: &str| {
        let permit = shop.permit(Role::Steward, Verb::ManageDataset, None);
        shop.vault().publish_schema(&permit, text, NOW).unwrap();
        shop.schema = policy::schema::parse(text).unwrap();
    };
    let text = declared(SCHEMA).replace(
        "domain = [\"north\", \"south\"]\ncoarse = [\"north\", \"south\"]",
        "domain = [\"north\", \"south\", \"west\"]\ncoarse = [\"north\", \"south\", \"west\"]",
    );
    assert_ne!(text, declared(SCHEMA));
    apply(&mut shop, &text.replace("rho = \"2000\"", "rho = \"3000\""));
    assert_eq!((shop.month_due(), shop.free_size("age_band == \"old\"")), (None, Some(20)));
    assert_eq!(shop.free_size("missing(region)"), None, "it has no cell for the new value");
    shop.close(OCTOBER);
    shop.draw(OCTOBER);
    assert_eq!(shop.free_size("missing(region)"), Some(40));
    assert_eq!(shop.spent().0, NanoRho(5_000_000_000_000));
    // Without one in the description nothing is answered from what there was.
    apply(&mut shop, &text.replace(DECLARED, ""));
    assert_eq!((shop.free_size("true"), shop.vault().synopsis(&shop.schema.dataset)), (None, None));
}

#[test]
fn who_withdraws_is_in_the_one_that_was_drawn_and_not_in_the_next() {
    let shop = Shop::monthly();
    shop.close(20);
    shop.draw(21);
    let permit = shop.permit(Role::Producer, Verb::RecordConsent, None);
    let gone = (0..8).map(|number| (key(number), consent(PURPOSE, ConsentAct::Withdraw, 5))).collect();
    shop.vault().record_consents(&permit, gone, later(25)).unwrap();
    assert_eq!(shop.free_size("true"), Some(40), "a release drawn before is repeated unchanged");
    shop.close(OCTOBER);
    shop.draw(OCTOBER);
    assert_eq!(shop.free_size("true"), Some(32));
}

#[test]
fn a_person_is_told_of_it_as_of_any_release() {
    let shop = Shop::monthly();
    shop.fill(60, 1, &[]);
    shop.close(20);
    shop.draw(21);
    shop.free_size("true").unwrap();
    let question = "synopsis of 2026-09".to_owned();
    assert_eq!(shop.told(3), [("system".to_owned(), question.clone(), false), ("insights".to_owned(), question, true)]);
    assert_eq!(shop.told(60), [], "who did not agree is in none");
}
