//! One round: load, kill, start, compare.

use super::load::{self, Asked, Outcome, Seen, Supply, Turn};
use super::model::{self, Dice, Feed, Members};
use super::place::{Place, Programs, Served, end};
use crate::call;
use gateway::authn::ClientKey;
use gateway::cli::{KeyFile, Session};
use proto::v1::{self, ClientRole, LogTree, Release};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

const EXACT: &str = "datasets/exact";
const TIGHT: &str = "datasets/tight";
/// In units of rho 0.001: noise of a twentieth of a person, so that a rounded count is exact.
const EXACT_PRICE: u64 = 200_000;
const TIGHT_PRICE: u64 = 1;
/// Questions a round that the tight budget pays for: fewer than are asked.
const TIGHT_QUESTIONS: u64 = 3;
/// Leaves of each kind that are read again after a kill.
const LEAVES_READ: usize = 5;
/// A gateway is left alone for at most this long before it is killed.
const LONGEST_LIFE_MILLIS: u64 = 600;
/// A gateway that is killed while it recovers lives at most this long.
const LONGEST_RECOVERY_MILLIS: u64 = 120;

/// What was done, for people.
#[derive(Debug, Default, Clone)]
pub struct Summary {
    /// Kills under load and during recovery.
    pub kills: u64,
    /// Batches acknowledged.
    pub batches: u64,
    /// Batches under way at a kill.
    pub batches_under_way: u64,
    /// Consent events acknowledged beside ingest.
    pub turns: u64,
    /// Questions charged.
    pub questions: u64,
    /// Questions under way at a kill.
    pub questions_under_way: u64,
    /// Closes under way at a kill.
    pub closes_under_way: u64,
    /// Leaves seen before a kill and found after it.
    pub leaves: u64,
    /// Whether the tight budget ran out.
    pub exhausted: bool,
    /// Members in the model at the end.
    pub members: usize,
}

/// The clients' connections to one life of the gateway.
struct Cast {
    steward: Arc<Session>,
    shop: Arc<Session>,
    ads: [Arc<Session>; 2],
    officer: Arc<Session>,
}

/// A gateway under the hammer, and what it must know.
pub struct Hammer {
    place: Place,
    dice: Dice,
    hash: Vec<u8>,
    verifier_key: String,
    checkpoint: Option<String>,
    feed: Option<Feed>,
    members: Members,
    /// Spent on each dataset, in units of rho 0.001.
    spent: BTreeMap<&'static str, u64>,
    tight_cap: u64,
    /// What was done.
    pub summary: Summary,
    served: Option<Served>,
}

impl std::fmt::Debug for Hammer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hammer").field("summary", &self.summary).finish_non_exhaustive()
    }
}

impl Hammer {
    /// Makes a gateway with two datasets and its clients, and starts it.
    pub async fn new(programs: Programs, rounds: u64, seed: u64) -> Self {
        let place = Place::new(programs);
        let served = place.start();
        let steward = place.session(&place.path("silhouette-key.toml"), &served).await;
        let purposes = ["marketing.segmentation"];
        for (name, role) in [("shop", ClientRole::Producer), ("officer", ClientRole::Officer)] {
            register(&place, &steward, name, role, &[]).await;
        }
        for name in ["ads-1", "ads-2"] {
            register(&place, &steward, name, ClientRole::Service, &purposes).await;
        }
        let tight_cap = (rounds * TIGHT_QUESTIONS).max(4);
        let cap = format!("\"{}.{:03}\"", tight_cap / 1_000, tight_cap % 1_000);
        let tight = model::EXACT.replace("\"exact\"", "\"tight\"").replace("\"10000000\"", &cap);
        let mut hash = Vec::new();
        for toml in [&tight, model::EXACT] {
            let message = v1::CreateDatasetRequest { schema_toml: toml.to_owned(), ..Default::default() };
            let made = call!(steward, catalog.create_dataset(message)).must("a dataset").dataset.expect("a dataset");
            hash = made.schema_hash;
            close(&steward, &made.name).await;
        }
        let message = v1::GetVerifierKeyRequest { tree: LogTree::Access.into() };
        let officer = place.session(&place.path("officer"), &served).await;
        let verifier_key = call!(officer, audit.get_verifier_key(message)).must("the key").verifier_key;
        Self {
            place,
            dice: Dice(seed),
            hash,
            verifier_key,
            checkpoint: None,
            feed: Some(Feed::new(seed)),
            members: Members::new(),
            spent: BTreeMap::from([(EXACT, 0), (TIGHT, 0)]),
            tight_cap,
            summary: Summary::default(),
            served: Some(served),
        }
    }

    /// Loads, kills, starts again and compares.
    pub async fn round(&mut self) {
        let closing = self.dice.below(2) == 0;
        let mut served = self.served.take().expect("a gateway");
        let cast = self.cast(&served).await;
        let mut seed = || Dice(self.dice.below(u64::MAX));
        let (turns, exact, twins, tight, seen) = (seed(), seed(), seed(), [seed(), seed()], seed());
        let supply = Supply { again: VecDeque::new(), feed: self.feed.take() };
        let minds = self.members.iter().map(|(key, member)| (key.clone(), member.consents)).collect();
        let ingest = tokio::spawn(load::ingest(Arc::clone(&cast.shop), self.hash.clone(), supply));
        let turns = tokio::spawn(load::turns(Arc::clone(&cast.shop), minds, turns));
        let [one, two] = &cast.ads;
        let asked = [
            tokio::spawn(load::questions((0, Arc::clone(one)), (EXACT, EXACT_PRICE), exact, false)),
            // Two epochs are two questions, so twins are asked only when no epoch closes.
            tokio::spawn(load::questions((1, Arc::clone(two)), (EXACT, EXACT_PRICE), twins, !closing)),
            tokio::spawn(load::questions((0, Arc::clone(one)), (TIGHT, TIGHT_PRICE), tight[0].clone(), false)),
            tokio::spawn(load::questions((1, Arc::clone(two)), (TIGHT, TIGHT_PRICE), tight[1].clone(), false)),
        ];
        let officer = tokio::spawn(load::officer(Arc::clone(&cast.officer), seen));
        let closes = closing.then(|| tokio::spawn(load::closes(Arc::clone(&cast.steward))));
        tokio::time::sleep(Duration::from_micros(self.dice.below(LONGEST_LIFE_MILLIS * 1_000))).await;
        assert!(served.lives(), "the gateway died by itself: {}", self.place.errors());
        served.kill();
        self.summary.kills += 1;
        drop(cast);
        let ingested = ingest.await.expect("ingest");
        let (done, pending) = turns.await.expect("turns");
        let mut questions = Vec::new();
        for task in asked {
            questions.extend(task.await.expect("questions"));
        }
        let seen = officer.await.expect("officer");
        if let Some(closes) = closes {
            closes.await.expect("closes");
            self.summary.closes_under_way += 1;
        }

        self.verify_log(&seen);
        if self.dice.below(4) == 0 {
            let mut child = self.place.begin();
            tokio::time::sleep(Duration::from_micros(self.dice.below(LONGEST_RECOVERY_MILLIS * 1_000))).await;
            end(&mut child);
            self.summary.kills += 1;
        }
        let served = self.place.start();
        let cast = self.cast(&served).await;
        self.check_leaves(&cast, seen, &ingested).await;
        self.take_in(&cast, ingested).await;
        self.take_turns(&cast, done, pending).await;
        self.check_questions(&cast, questions, closing).await;
        self.check_budgets(&cast).await;
        self.check_figures(&cast).await;
        let errors = self.place.errors();
        assert!(!errors.contains("panicked"), "{errors}");
        self.served = Some(served);
        self.summary.members = self.members.len();
    }

    async fn cast(&self, served: &Served) -> Cast {
        let session = async |name: &str| Arc::new(self.place.session(&self.place.path(name), served).await);
        Cast {
            steward: session("silhouette-key.toml").await,
            shop: session("shop").await,
            ads: [session("ads-1").await, session("ads-2").await],
            officer: session("officer").await,
        }
    }

    /// The files as the crash left them verify, and hold every checkpoint that was seen.
    fn verify_log(&mut self, seen: &Seen) {
        self.place.verify(&["log", "silhouette-data/log", "--vkey", &self.verifier_key]);
        let newest = self.place.path("silhouette-data/log/access/checkpoint");
        for checkpoint in self.checkpoint.iter().chain(seen.checkpoints.last()) {
            std::fs::write(self.place.path("seen"), checkpoint).expect("a file");
            let newest = newest.to_str().expect("a path");
            let key = self.verifier_key.as_str();
            self.place.verify(&["consistency", "seen", newest, "silhouette-data/log/access", "--vkey", key]);
        }
        self.checkpoint = seen.checkpoints.last().cloned().or(self.checkpoint.take());
    }

    /// What was seen in the log, and what acknowledgements named, is there.
    async fn check_leaves(&mut self, cast: &Cast, seen: Seen, ingested: &load::Ingested) {
        for (index, json) in seen.leaves.into_iter().rev().take(LEAVES_READ) {
            let found = load::leaf(&cast.officer, LogTree::Access, index).await.must("a leaf");
            assert_eq!(found.as_ref(), Some(&json), "leaf {index} was seen before the kill");
            self.summary.leaves += 1;
        }
        if let Some((_, leaf)) = ingested.acknowledged.last() {
            let found = load::leaf(&cast.officer, LogTree::Subject, *leaf).await.must("a leaf").unwrap_or_default();
            assert!(found.contains("ingest"), "{found}");
        }
    }

    /// Takes acknowledged batches into the model, and sends those again that were under way.
    async fn take_in(&mut self, cast: &Cast, ingested: load::Ingested) {
        self.feed = ingested.feed;
        self.summary.batches += ingested.acknowledged.len() as u64;
        self.summary.batches_under_way += ingested.under_way.len() as u64;
        let again = Supply { again: ingested.under_way, feed: None };
        let again = load::ingest(Arc::clone(&cast.shop), self.hash.clone(), again).await;
        assert!(again.under_way.is_empty(), "a batch was not acknowledged");
        for (batch, _) in ingested.acknowledged.iter().chain(&again.acknowledged) {
            model::apply(&mut self.members, batch);
        }
    }

    async fn take_turns(&mut self, cast: &Cast, done: Vec<Turn>, pending: Vec<Turn>) {
        self.summary.turns += done.len() as u64;
        for turn in &pending {
            load::turn(&cast.shop, turn).await.must("a change of mind");
        }
        for turn in done.into_iter().chain(pending) {
            self.members.entry(turn.subject).or_default().consents = turn.gives;
        }
    }

    /// Every request is tried again: those that were answered get the same answer, and nothing is charged twice.
    async fn check_questions(&mut self, cast: &Cast, questions: Vec<Asked>, closing: bool) {
        // Refused ones were charged nothing; they are not tried again.
        let (exhausted, asked): (Vec<_>, Vec<_>) = questions.into_iter().partition(|asked| asked.exhausted);
        self.summary.exhausted |= !exhausted.is_empty();
        // All at once: the answers of a class leave at its deadline, however long they took.
        let again = |asked: Asked| tokio::spawn(load::ask_again(Arc::clone(&cast.ads[asked.client]), asked));
        let tasks: Vec<_> = asked.into_iter().map(again).collect();
        let mut to_read = LEAVES_READ;
        for task in tasks {
            let (asked, outcomes) = task.await.expect("a question");
            let intent = self.check_question(&asked, outcomes, closing);
            if let Some(leaf) = intent.filter(|_| to_read > 0) {
                to_read -= 1;
                let json = load::leaf(&cast.officer, LogTree::Access, leaf).await.must("a leaf").unwrap_or_default();
                assert!(json.contains("\"rho\""), "leaf {leaf} is no charge: {json}");
            }
        }
    }

    /// Compares one question's answers; returns the leaf of its charge.
    fn check_question(&mut self, asked: &Asked, outcomes: Vec<Outcome<Release>>, closing: bool) -> Option<u64> {
        let Asked { dataset, cel, price, requests, .. } = asked;
        let before = || requests.iter().filter_map(|(_, release)| release.as_ref());
        let charges = before().filter(|release| release.charged).count();
        assert!(charges <= 1, "charged {charges} times: {cel}");
        let mut tables = before().next().map(|release| release.tables.clone());
        let (mut charged, mut leaf) = (tables.is_some(), None);
        for ((_, before), outcome) in requests.iter().zip(outcomes) {
            self.summary.questions_under_way += u64::from(before.is_none());
            match outcome {
                Outcome::Answer(release) => {
                    let tables = tables.get_or_insert_with(|| release.tables.clone());
                    assert_eq!(*tables, release.tables, "another draw for one charge");
                    assert!(before.is_none() || !release.charged, "charged again");
                    (charged, leaf) = (true, Some(release.leaf));
                }
                // The epoch that it was charged in has ended.
                Outcome::Refused(reason) if closing && reason.contains("REQUEST_ID_REUSED") => charged = true,
                Outcome::Refused(reason) if before.is_none() && reason.contains("_EXHAUSTED") => {
                    assert_eq!(*dataset, TIGHT);
                }
                other => panic!("a question that was tried again: {other:?}"),
            }
        }
        *self.spent.entry(dataset).or_default() += if charged { *price } else { 0 };
        self.summary.questions += u64::from(charged);
        leaf
    }

    async fn check_budgets(&self, cast: &Cast) {
        for (dataset, spent) in &self.spent {
            let message = v1::GetBudgetRequest { dataset: (*dataset).to_owned(), client: String::new() };
            let budget = call!(cast.steward, admin.get_budget(message)).must("a budget").budget.expect("a budget");
            assert_eq!(thousandths(&budget.lifetime_spent), *spent, "{dataset}");
            assert_eq!(thousandths(&budget.quarter_spent), *spent, "{dataset}");
        }
        assert!(self.spent[TIGHT] <= self.tight_cap);
    }

    /// Closes the epoch and counts.
    async fn check_figures(&mut self, cast: &Cast) {
        close(&cast.steward, EXACT).await;
        let expected = model::figures(&self.members);
        let mut id = || load::request_id(&mut self.dice);
        let ids = [id(), id(), id(), id(), id(), id()];
        let ads = &cast.ads[0];
        let (all, one, two, three, by_area, by_category) = tokio::join!(
            size(ads, "score >= 0", &ids[0]),
            size(ads, "order.count() >= 1", &ids[1]),
            size(ads, "order.count() >= 2", &ids[2]),
            size(ads, "order.count() >= 3", &ids[3]),
            breakdown(ads, "area", expected.by_area.len(), &ids[4]),
            breakdown(ads, "order.category", expected.by_category.len(), &ids[5]),
        );
        *self.spent.entry(EXACT).or_default() += EXACT_PRICE * ids.len() as u64;
        let found = model::Figures { members: all, by_area, by_category, by_orders: vec![one, two, three] };
        assert_eq!(found, expected);
    }
}

async fn size(ads: &Session, cel: &str, id: &str) -> i64 {
    let release = load::ask(ads, EXACT, cel, EXACT_PRICE, id).await.must("a size");
    assert!(release.charged);
    people(release.tables[0].cells[0].noised_1024)
}

async fn breakdown(ads: &Session, by: &str, cells: usize, id: &str) -> Vec<i64> {
    let message = v1::BreakdownRequest {
        dataset: EXACT.to_owned(),
        by: vec![by.to_owned()],
        r#use: Some(load::used()),
        spend: Some(load::spend(EXACT_PRICE)),
        request_id: id.to_owned(),
        ..Default::default()
    };
    let release = call!(ads, insight.breakdown(message)).must("a breakdown").release.expect("a release");
    assert!(release.charged);
    let mut counts = vec![0; cells];
    for cell in &release.tables[0].cells {
        counts[cell.codes[0] as usize] = people(cell.noised_1024);
    }
    counts
}

pub(crate) async fn register(place: &Place, steward: &Session, name: &str, role: ClientRole, purposes: &[&str]) {
    let message = v1::CreateClientRequest { client_id: name.to_owned(), role: role.into(), ..Default::default() };
    create(place, steward, message, purposes).await;
}

/// Registers a partner's client under the partner's name.
pub(crate) async fn register_partner(place: &Place, steward: &Session, name: &str, purposes: &[&str]) {
    let (client_id, role) = (name.to_owned(), ClientRole::Partner.into());
    let message =
        v1::CreateClientRequest { client_id, role, partner: format!("partners/{name}"), ..Default::default() };
    create(place, steward, message, purposes).await;
}

async fn create(place: &Place, steward: &Session, client: v1::CreateClientRequest, purposes: &[&str]) {
    let (name, key) = (client.client_id.clone(), ClientKey::generate().expect("a key"));
    let message = v1::CreateClientRequest {
        purposes: purposes.iter().map(|purpose| (*purpose).to_owned()).collect(),
        public_key: key.public().to_vec(),
        ..client
    };
    call!(steward, admin.create_client(message)).must("a client");
    let (path, audience) = (place.path(&name), "silhouette".to_owned());
    let file = KeyFile { client: name, gateway: String::new(), audience, ca: None, key };
    file.write(&path).expect("a key file");
}

pub(super) async fn close(steward: &Session, dataset: &str) {
    let dataset = dataset.to_owned();
    let message = v1::CloseEpochRequest { dataset, as_of_time: None, request_id: String::new() };
    call!(steward, admin.close_epoch(message)).must("a close");
}

fn people(noised_1024: i64) -> i64 {
    (noised_1024 + 512).div_euclid(1_024)
}

/// Reads a decimal as thousandths.
fn thousandths(decimal: &str) -> u64 {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    assert!(fraction.len() <= 3, "{decimal}");
    whole.parse::<u64>().expect("a number") * 1_000 + digits.parse::<u64>().expect("digits")
}
