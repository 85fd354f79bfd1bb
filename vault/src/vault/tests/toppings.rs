//! Answers that are topped up: the difference is charged once, and buys what the whole price would have.

use super::backups::copy_folder;
use super::*;
use crate::release::{By, Measure, Times};
use policy::schema::EventTypeId;
use policy::segment::Span;

const PURPOSE: &str = "marketing.segmentation";
const LOW: u64 = 1_000_000;
const HIGH: u64 = 4_000_000;

impl Shop {
    fn question_at(&self, text: &str, kind: Kind, rho: u64) -> (Permit, Question) {
        let permit = self.permit_for("insights", "", Role::Service, Verb::Release, Some(PURPOSE));
        let (universe, segment, rho) = (Segment::everyone(), self.segment(text), NanoRho(rho));
        (permit, Question { dataset: self.schema.dataset.clone(), universe, segment, kind, rho })
    }

    fn top_up(&self, text: &str, kind: Kind, rho: u64) -> (Answer, bool) {
        let (permit, question) = self.question_at(text, kind, rho);
        self.vault().release_or_top_up(&permit, &question, later(30)).unwrap()
    }

    fn sized(&self, rho: u64) -> (Answer, bool) {
        self.top_up("true", Kind::Size, rho)
    }

    fn quoted(&self, rho: u64) -> u64 {
        let (permit, question) = self.question_at("true", Kind::Size, rho);
        self.vault().quote(&permit, &question).unwrap().0
    }

    fn spent_so_far(&self) -> u64 {
        self.statement().lifetime_spent.0
    }
}

fn filled() -> Shop {
    let shop = Shop::new();
    shop.fill(0, 40, &[PURPOSE]);
    shop.close(20);
    shop
}

#[test]
fn a_whole_portrait_is_topped_up_too() {
    let shop = filled();
    let whole = |times: Option<Times>| Kind::Profile {
        of: Some(shop.segment("children >= 2")),
        fields: vec![shop.schema.resolve("age_band").unwrap()],
        bands: vec![vec![shop.segment("order.any()")]],
        times,
        window: Window::Ever,
    };
    let times = Times { event: EventTypeId(0), hours: true, weekdays: true, days: Vec::new() };
    let (first, _) = shop.top_up("true", whole(Some(times.clone())), LOW);
    let (better, charged) = shop.top_up("true", whole(Some(times.clone())), HIGH);
    assert!(charged && first.rho == NanoRho(LOW) && better.rho == NanoRho(HIGH));
    assert_eq!((better.parts.len(), better.tables.len(), shop.spent_so_far()), (2, 4, HIGH));
    // Half the noise at four times the price.
    assert!(first.sigma_1024.abs_diff(2 * better.sigma_1024) <= 6, "{} {}", first.sigma_1024, better.sigma_1024);
    assert_eq!(shop.top_up("true", whole(Some(times.clone())), HIGH), (better, false));
    // Every part of it is in the key of the stored answer.
    let weekdays = Times { hours: false, ..times.clone() };
    let trend = Times { days: vec![0, 7], ..times };
    for other in [None, Some(weekdays), Some(trend)] {
        assert!(shop.top_up("true", whole(other), LOW).1);
    }
}

#[test]
fn more_accuracy_costs_the_difference_and_less_costs_nothing() {
    let shop = filled();
    let (first, _) = shop.sized(LOW);
    assert_eq!((shop.quoted(LOW), shop.quoted(LOW / 2), shop.quoted(HIGH)), (0, 0, HIGH - LOW));
    let (better, charged) = shop.sized(HIGH);
    assert!(charged);
    assert_eq!((better.rho, better.last_charge(), shop.spent_so_far()), (NanoRho(HIGH), NanoRho(HIGH - LOW), HIGH));
    let paid: Vec<u64> = better.parts.iter().map(|part| part.rho.0).collect();
    assert_eq!((paid, better.parts[0].leaf, better.parts[1].leaf), (vec![LOW, HIGH - LOW], first.leaf, better.leaf));
    let leaf = shop.vault().log.leaf(crate::vault::Tree::Access, better.leaf).unwrap();
    let leaf = crate::log::explain(&crate::log::Leaf::parse(&leaf).unwrap());
    assert!(leaf.contains("charged rho 0.003") && leaf.contains("adds to what was charged at entry"), "{leaf}");
    // Stated as accurate as one draw at the whole price: within two units of rounding.
    let (whole, _) = shop.ask_for_price("children < 21 || true", HIGH);
    assert!(better.sigma_1024.abs_diff(whole.sigma_1024) <= 2, "{} and {}", better.sigma_1024, whole.sigma_1024);
    assert!(better.half_width_1024.abs_diff(whole.half_width_1024) <= 4);
    let spent = shop.spent_so_far();
    // The same questions get the same answers, and one in between gets the better one.
    assert_eq!(shop.sized(LOW), (first, false));
    assert_eq!(shop.sized(HIGH), (better.clone(), false));
    assert_eq!(shop.sized(2 * LOW), (better.clone(), false));
    assert_eq!(shop.quoted(3 * LOW), 0);
    // And keeps it when there is a better one still.
    let (best, _) = shop.sized(2 * HIGH);
    assert_eq!((best.parts.len(), shop.spent_so_far()), (3, spent + HIGH));
    assert_eq!(shop.sized(2 * LOW), (better, false));
    assert_eq!(shop.sized(3 * LOW), (best, false));
    assert_eq!(shop.spent_so_far(), spent + HIGH);
}

impl Shop {
    /// A draw of its own, of another question with the same noise.
    fn ask_for_price(&self, text: &str, rho: u64) -> (Answer, bool) {
        let age = vec![self.schema.resolve("age_band").unwrap()];
        let (permit, question) = self.question_at(text, Kind::Breakdown { by: age, window: Window::Ever }, rho);
        self.vault().release(&permit, &question, later(30)).unwrap()
    }
}

#[test]
fn nothing_of_another_question_epoch_or_purpose_is_added_to() {
    let shop = filled();
    shop.sized(LOW);
    let (other, _) = shop.top_up("children > 1", Kind::Size, HIGH);
    shop.close(22);
    let (next, _) = shop.sized(HIGH);
    // Selections are of cells of their own.
    let top = |rho| {
        let field = shop.schema.resolve("age_band").unwrap();
        shop.top_up("true", Kind::Top { field, k: 1, window: Window::Ever }, rho).0
    };
    for answer in [other, next, top(LOW), top(HIGH)] {
        assert!(answer.parts.is_empty(), "{answer:?}");
    }
}

#[test]
fn a_crash_between_the_charge_and_the_draw_leaves_the_first_answer_and_one_that_is_owed() {
    let shop = filled();
    let (first, _) = shop.sized(LOW);
    let copies = tempfile::tempdir().unwrap();
    let (config, data, root) = (shop.config.clone(), copies.path().join("data"), copies.path().join("root"));
    let copy = (data.clone(), root.clone());
    *shop.vault().after_scan.lock() = Some(Box::new(move |_: &Vault| {
        copy_folder(&config.data, &copy.0);
        copy_folder(&config.root, &copy.1);
    }));
    shop.sized(HIGH);
    let config = Config { data, root, ..shop.config.clone() };
    let again = Shop { vault: Some(Vault::open(&config, later(50)).unwrap()), ..filled() };
    assert_eq!(again.spent_so_far(), HIGH, "the difference was paid before it was drawn");
    assert_eq!(again.sized(LOW), (first, false));
    // Another price meanwhile adds to the first, since what is owed was not seen.
    let (between, charged) = again.sized(2 * LOW);
    assert_eq!((charged, between.parts.len(), again.spent_so_far()), (true, 2, HIGH + LOW));
    // What is owed adds to what it was charged for, whatever was answered since.
    let (owed, charged) = again.sized(HIGH);
    let paid: Vec<u64> = owed.parts.iter().map(|part| part.rho.0).collect();
    assert_eq!((charged, owed.rho, paid), (false, NanoRho(HIGH), vec![LOW, HIGH - LOW]));
    assert_eq!(again.spent_so_far(), HIGH + LOW);
    assert_eq!(again.sized(HIGH), (owed, false));
}

#[test]
fn who_withdrew_between_two_draws_counts_for_the_first_ones_part() {
    // At these prices the noise is a few hundredths of a person.
    const MUCH: u64 = 2_000_000_000_000;
    let shop = filled();
    assert_eq!(rounded(&shop.sized(MUCH).0, 0), [40]);
    let permit = shop.permit(Role::Producer, Verb::RecordConsent, None);
    let gone = (0..8).map(|number| (key(number), consent(PURPOSE, ConsentAct::Withdraw, 5))).collect();
    shop.vault().record_consents(&permit, gone, later(25)).unwrap();
    assert_eq!(rounded(&shop.sized(4 * MUCH).0, 0), [34], "a quarter of 40 and three quarters of 32");
}

#[test]
fn what_is_topped_up_is_as_accurate_as_the_whole_price_buys() {
    // Nobody is in it, so a draw is noise. N = 200 questions of 12 cells; alpha 1e-6 is 4.9 standard errors of a variance.
    const QUESTIONS: u32 = 200;
    let shop = Shop::new();
    shop.close(20);
    let by = ["age_band", "order.category"].map(|field| shop.schema.resolve(field).unwrap()).to_vec();
    let (mut squares, mut n) = (0.0, 0.0);
    for days in 1..=QUESTIONS {
        let kind = || Kind::Breakdown { by: by.clone(), window: Window::Last(Span::Days(days)) };
        shop.top_up("true", kind(), LOW);
        let (answer, _) = shop.top_up("true", kind(), HIGH);
        assert_eq!((answer.parts.len(), answer.rho), (2, NanoRho(HIGH)));
        let (permit, whole) = shop.question_at("true", kind(), HIGH);
        let sigma = shop.vault().plan_of(&permit, &whole).unwrap().0.sigma_1024();
        for cell in &answer.tables[0].cells {
            squares += (cell.noised as f64 / sigma as f64).powi(2);
            n += 1.0;
        }
    }
    let off = (squares / n - 1.0) / f64::sqrt(2.0 / n);
    assert!(n == 12.0 * f64::from(QUESTIONS) && off.abs() < 4.9, "{off} standard errors");
    assert_eq!(shop.spent_so_far(), u64::from(QUESTIONS) * HIGH);
}

#[test]
fn a_weighed_table_is_topped_up_at_its_weights() {
    let shop = filled();
    let by = vec![By::Field(shop.schema.resolve("order.category").unwrap())];
    let measures = vec![Measure::Events { event: EventTypeId(0), bound: 4 }];
    let kind = || Kind::Table { measures: measures.clone(), by: by.clone(), window: Window::Ever, weighed: true };
    let (first, _) = shop.top_up("true", kind(), LOW);
    let weights = first.tables[0].weights.clone();
    assert_eq!((weights.len(), first.version), (4, 3));
    let mut last = first;
    // Also by less than a pilot could be paid from.
    for rho in [HIGH, HIGH + 1] {
        let (better, charged) = shop.top_up("true", kind(), rho);
        assert!(charged && better.tables[0].weights == weights && better.version == 3);
        assert_eq!((better.rho.0, shop.spent_so_far()), (rho, rho));
        let [before, after] = [&last, &better].map(|answer| answer.tables[0].noise.unwrap().sigma_1024);
        assert!(after <= before + 1, "{after} after {before}");
        last = better;
    }
    assert_eq!(shop.top_up("true", kind(), HIGH + 1), (last, false));
}
