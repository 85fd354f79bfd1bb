//! What is played, and what must be true after each act of it.

use super::super::*;
use crate::holds::{Ground, NewHold};
use crate::release::Table;
use crate::rotation::Rotation;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// One act. To play another kind of call, add it here, to [`Stage::play`] and to [`World::after`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// Makes the vault.
    Init,
    /// Opens it.
    Open,
    /// Creates the dataset.
    Create,
    /// Profiles, one order each and consents of these members.
    Join(Range<usize>),
    /// Another order of each.
    Order(Range<usize>),
    /// They withdraw from all marketing.
    Withdraw(Range<usize>),
    /// Links two members: the first stands for both.
    Link(usize, usize),
    /// Ends that.
    Unlink(usize, usize),
    /// Folds beside the closed epoch.
    Fold,
    /// Closes the epoch.
    Close,
    /// Publishes a version of the description with another type of event, in which numbers of children are kept for some days.
    Describe,
    /// Asks, under this request id, who of a segment is in which cell.
    Ask(&'static str, &'static str),
    /// Asks the same at twice the price, for the difference.
    TopUp(&'static str, &'static str),
    /// Draws the month's synopsis.
    Synopsis,
    /// Extends the lifetime's cap, under this request id.
    Extend(&'static str),
    /// Signs checkpoints.
    Tick,
    /// Delivers an audience of everyone.
    Audience(&'static str),
    /// Holds their orders by law.
    Hold(Range<usize>),
    /// Ends every hold.
    Release,
    /// Erases them, but for what is held.
    Erase(Range<usize>),
    /// Replaces keys.
    Rotate(Rotation),
    /// Drops the vault as it is.
    Drop,
    /// Stops it in order.
    Stop,
}

/// The script: everyone who must be in an audience, and a bit of everything.
pub(super) fn script() -> Vec<Act> {
    use Act::*;
    vec![
        Init,
        Open,
        Create,
        Join(0..50),
        Fold,
        Join(50..125),
        Close,
        Ask("q1", "true"),
        Order(0..40),
        Fold,
        Withdraw(0..5),
        TopUp("t1", "true"),
        Ask("q2", "children >= 2"),
        Extend("e1"),
        Tick,
        Drop,
        Open,
        Join(125..140),
        Close,
        Describe,
        Synopsis,
        Ask("q3", "true"),
        Audience("a1"),
        Order(40..60),
        Link(41, 42),
        Withdraw(20..22),
        Fold,
        Withdraw(22..25),
        Hold(11..12),
        Erase(10..13),
        Ask("q4", "age_band == \"young\""),
        Fold,
        Rotate(Rotation::Journals),
        Rotate(Rotation::Pieces),
        Rotate(Rotation::Root),
        Erase(130..133),
        Release,
        Extend("e2"),
        Stop,
        Open,
        Join(140..145),
        Unlink(41, 42),
        Fold,
        Close,
        Ask("q5", "true"),
        Stop,
    ]
}

/// What a member has.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    /// Codes of the categories ordered.
    categories: BTreeSet<usize>,
    /// Whether marketing may use it.
    marketing: bool,
}

/// What must be true.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct World {
    /// The vault exists.
    pub exists: bool,
    /// It is open.
    pub serving: bool,
    /// The dataset exists.
    pub created: bool,
    members: BTreeMap<usize, Member>,
    /// Who stands for whom: primaries and secondaries.
    links: BTreeSet<(usize, usize)>,
    /// Versions of the description.
    pub versions: usize,
    /// Epochs closed.
    pub epochs: u64,
    /// Questions charged.
    pub charges: u64,
    /// The month's synopsis was drawn.
    pub synopsis: bool,
    /// Extensions of the lifetime's cap.
    pub extensions: usize,
    /// Questions answered in the last closed epoch: request id and segment.
    pub answered: Vec<(&'static str, &'static str)>,
    /// Members erased.
    pub erased: BTreeSet<usize>,
    /// Members with a hold, and whether they are erased but for what is held.
    pub held: BTreeMap<usize, bool>,
}

impl World {
    /// Returns what is true after an act.
    pub(super) fn after(&self, act: &Act) -> Self {
        let mut world = self.clone();
        match act {
            Act::Init => world.exists = true,
            Act::Create => (world.created, world.versions) = (true, 1),
            Act::Describe => world.versions += 1,
            Act::Join(who) => world.members.extend(who.clone().map(|number| {
                let categories = BTreeSet::from([1 + number % 2]);
                (number, Member { categories, marketing: true })
            })),
            Act::Order(who) => world.each(who, |member| member.categories.extend([3])),
            Act::Withdraw(who) => world.each(who, |member| member.marketing = false),
            Act::Link(primary, secondary) => _ = world.links.insert((*primary, *secondary)),
            Act::Unlink(primary, secondary) => _ = world.links.remove(&(*primary, *secondary)),
            Act::Close => {
                world.epochs += 1;
                world.answered.clear();
            }
            Act::Ask(request, text) => {
                world.charges += 1;
                world.answered.push((request, text));
            }
            Act::Audience(_) | Act::TopUp(..) => world.charges += 1,
            Act::Synopsis => (world.synopsis, world.charges) = (true, world.charges + 1),
            Act::Extend(_) => world.extensions += 1,
            Act::Erase(who) => {
                world.members.retain(|number, _| !who.contains(number));
                world.erased.extend(who.clone());
                world.held.range_mut(who.clone()).for_each(|(_, waits)| *waits = true);
            }
            Act::Hold(who) => world.held.extend(who.clone().map(|number| (number, false))),
            Act::Release => world.held.clear(),
            Act::Open => world.serving = true,
            Act::Drop | Act::Stop => world.serving = false,
            Act::Tick | Act::Fold | Act::Rotate(_) => {}
        }
        world
    }

    fn each(&mut self, who: &Range<usize>, change: impl Fn(&mut Member)) {
        self.members.range_mut(who.clone()).for_each(|(_, member)| change(member));
    }

    /// Counts, for an epoch that closes now, the members whom marketing may use, by age band and category of an order.
    pub(super) fn figures(&self) -> Vec<i64> {
        let mut cells = vec![0; 3 * 4];
        let linked = |number: usize| self.links.iter().filter(move |(primary, _)| *primary == number);
        for (number, member) in self.members.iter().filter(|(_, member)| member.marketing) {
            let others: Vec<&Member> = linked(*number).map(|(_, secondary)| &self.members[secondary]).collect();
            if self.links.iter().any(|(_, secondary)| secondary == number)
                || !others.iter().all(|other| other.marketing)
            {
                continue;
            }
            let categories = others.iter().flat_map(|other| &other.categories);
            for category in categories.chain(&member.categories).collect::<BTreeSet<_>>() {
                cells[(1 + number % 2) * 4 + category] += 1;
            }
        }
        cells
    }
}

/// Buys noise of less than a hundredth of a person: no rounded count of a long matrix is wrong.
pub(super) const COST: NanoRho = NanoRho(200_000_000_000_000);
/// Enough for all that is asked.
const BUDGET: &str = "\"4000000\"";
/// At the same price as all that is asked.
const SYNOPSIS: &str = "[synopsis]\npurpose = \"marketing.segmentation\"\nfields = [\"age_band\"]\nrho = \"200000\"\n";
const VISIT: &str = "[[events]]\nname = \"visit\"\n";
/// Longer than the script takes, so that the next close dates what everyone has.
const CHILDREN: &str = "display = \"Children\"\nretention_days = 30";
/// What is held.
pub(super) const HELD: &str = "order";
const SHARING: &str = "sharing.partner.greenbox";

/// Who acts: permits are decided once, since deciding is what takes long.
pub(super) struct Cast {
    rules: Rules,
    description: String,
    pub schema: Schema,
    permits: Mutex<BTreeMap<String, Arc<Permit>>>,
}

impl Cast {
    pub(super) fn new() -> Self {
        let description = format!("{}{SYNOPSIS}", SCHEMA.replace("\"100000\"", BUDGET));
        let schema = policy::schema::parse(&description).unwrap();
        let rules = Rules::parse(Rules::default_texts(), 1).unwrap();
        Self { rules, description, schema, permits: Mutex::default() }
    }

    fn permit(&self, client: &str, request: &str, role: Role, verb: Verb, purpose: Option<&str>) -> Arc<Permit> {
        let name = format!("{client} {request} {verb:?}");
        let mint = || {
            let who = (client, request);
            Arc::new(permit_under(&self.rules, &self.schema, who, role, verb, purpose))
        };
        Arc::clone(self.permits.lock().entry(name).or_insert_with(mint))
    }

    pub(super) fn steward(&self, verb: Verb) -> Arc<Permit> {
        self.permit("steward", "", Role::Steward, verb, None)
    }

    /// Speaks for the whole vault.
    fn whole(&self) -> Arc<Permit> {
        let mint = || Arc::new(permit_for_all(&self.rules));
        Arc::clone(self.permits.lock().entry("whole".to_owned()).or_insert_with(mint))
    }

    pub(super) fn producer(&self, verb: Verb) -> Arc<Permit> {
        self.permit("farm", "", Role::Producer, verb, None)
    }

    fn portal(&self, verb: Verb) -> Arc<Permit> {
        self.permit("portal", "", Role::Portal, verb, None)
    }

    fn service(&self, request: &str) -> Arc<Permit> {
        self.permit("insights", request, Role::Service, Verb::Release, Some("marketing.segmentation"))
    }

    fn partner(&self, request: &str) -> Arc<Permit> {
        let role = Role::Partner(PartnerId::new("greenbox").unwrap());
        self.permit("greenbox-crm", request, role, Verb::Audience, Some(SHARING))
    }

    fn portal_for(&self, primary: usize, secondary: usize) -> Arc<Permit> {
        let mint = || {
            let client = ClientId::new("portal").unwrap();
            let principal = Principal { client, role: Role::Portal, purposes: Vec::new() };
            let request = Request {
                principal: &principal,
                verb: Verb::LinkSubject,
                dataset: Some(&self.schema),
                purpose: None,
                basis: None,
                fields: &[],
                request_id: "",
            };
            let [first, second] = [primary, secondary].map(key);
            match policy::decide::decide_for_both(&self.rules, &request, first.expose(), second.expose()) {
                Decision::Permit(permit) => Arc::new(permit),
                Decision::Refusal(refusal) => panic!("{refusal:?}"),
            }
        };
        Arc::clone(self.permits.lock().entry(format!("link {primary} {secondary}")).or_insert_with(mint))
    }

    fn segment(&self, text: &str) -> Segment {
        policy::segment::parse(text, &self.schema, &|_| true).unwrap()
    }
}

/// Where it is played: two folders on a fast disk, and the vault in them.
pub(super) struct Stage {
    folder: TempDir,
    pub config: Config,
    pub vault: Option<Vault>,
}

/// A folder in memory if there is one: a matrix syncs a hundred thousand times.
fn fast_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

impl Stage {
    pub(super) fn empty() -> Self {
        let folder = fast_folder();
        let (data, root) = (folder.path().join("data"), folder.path().join("root"));
        let [mirror, backup] = ["mirror", "backup"].map(|name| Some(folder.path().join(name)));
        let lock = SecondLock::None;
        let config = Config {
            data,
            root,
            mirror,
            backup,
            lock,
            threads: 1,
            fold_bytes: crate::vault::DEFAULT_FOLD_BYTES,
            disk: Disk::default(),
        };
        Self { folder, config, vault: None }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn vault(&self) -> &Vault {
        self.vault.as_ref().unwrap()
    }

    pub(super) fn open(&mut self, now: Timestamp) -> Result<(), VaultError> {
        self.vault = None;
        self.vault = Some(Vault::open(&self.config, now)?);
        Ok(())
    }

    /// Plays an act. Playing one again that was done, or may have been, is what a client does after a crash.
    pub(super) fn play(&mut self, cast: &Cast, act: &Act, now: Timestamp) -> Result<Option<Answer>, VaultError> {
        match act {
            Act::Init => Vault::init(&self.config, now)?,
            Act::Open => self.open(now)?,
            Act::Create => self.vault().create_dataset(&cast.steward(Verb::ManageDataset), &cast.description, now)?,
            Act::Join(who) => self.ingest(cast, who.clone().flat_map(joining).collect(), now)?,
            Act::Order(who) => self.ingest(cast, who.clone().map(|n| order(n, 2, 3, -DAY)).collect(), now)?,
            Act::Withdraw(who) => {
                let withdrawal = |number| (key(number), consent("marketing", ConsentAct::Withdraw, -1));
                let events = who.clone().map(withdrawal).collect();
                self.vault().record_consents(&cast.producer(Verb::RecordConsent), events, now).map(drop)?;
            }
            Act::Link(primary, secondary) => {
                let (permit, primary, secondary) =
                    (cast.portal_for(*primary, *secondary), key(*primary), key(*secondary));
                self.vault().link_subjects(&permit, &primary, &secondary, now).map(drop)?;
            }
            Act::Unlink(primary, secondary) => {
                let (permit, primary, secondary) =
                    (cast.portal_for(*primary, *secondary), key(*primary), key(*secondary));
                self.vault().unlink_subjects(&permit, &primary, &secondary, now).map(drop)?;
            }
            Act::Fold => {
                let permit = cast.permit("system", "", Role::System, Verb::Maintain, None);
                let _ = self.vault().fold(&permit, now)?;
            }
            Act::Describe => {
                let description = cast.description.replace("\"A shop\"", "\"A shop in town\"");
                let description = format!("{}{VISIT}", description.replace("display = \"Children\"", CHILDREN));
                self.vault().publish_schema(&cast.steward(Verb::ManageDataset), &description, now).map(drop)?;
            }
            Act::Close => drop(self.vault().close_epoch(&cast.steward(Verb::Maintain), now, now)?),
            Act::Ask(request, text) => return self.ask(cast, request, text, now).map(|(answer, _)| Some(answer)),
            Act::TopUp(request, text) => {
                let question = Question { rho: NanoRho(2 * COST.0), ..question_of(cast, text) };
                let (answer, _) = self.vault().release_or_top_up(&cast.service(request), &question, now)?;
                assert_eq!((answer.parts.len(), answer.rho), (2, question.rho));
            }
            Act::Synopsis => {
                let drawer = cast.permit("system", "", Role::System, Verb::Release, Some("marketing.segmentation"));
                let _ = self.vault().draw_synopsis(&drawer, now)?;
            }
            Act::Extend(request) => self.extend(cast, request, now)?,
            Act::Tick => self.vault().tick(now)?,
            Act::Audience(request) => self.audience(cast, request, now)?,
            Act::Erase(who) => {
                let subjects: Vec<_> = who.clone().map(key).collect();
                self.vault().erase(&cast.portal(Verb::EraseSubject), &subjects, now).map(drop)?;
            }
            Act::Hold(who) => {
                for number in who.clone() {
                    let fields = [cast.schema.resolve(HELD).unwrap()].into();
                    let hold = NewHold { fields, ground: Ground::new("tax-act-147").unwrap(), until: None };
                    let _ = self.vault().place_hold(&cast.steward(Verb::HoldSubject), &key(number), hold, now)?;
                }
            }
            Act::Release => {
                let permit = cast.steward(Verb::HoldSubject);
                for hold in self.vault().list_holds(&permit)? {
                    let _ = self.vault().release_hold(&permit, hold.number, now)?;
                }
            }
            Act::Rotate(what) => drop(self.vault().rotate(&cast.whole(), *what, now, &|_| ())?),
            Act::Drop => self.vault = None,
            Act::Stop => {
                self.vault().close(now)?;
                self.vault = None;
            }
        }
        Ok(None)
    }

    fn ingest(&self, cast: &Cast, records: Vec<Record>, now: Timestamp) -> Result<(), VaultError> {
        self.vault().ingest(&cast.producer(Verb::Ingest), records, now).map(drop)
    }

    /// Asks who of a segment is in which cell.
    pub(super) fn ask(
        &self,
        cast: &Cast,
        request: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<(Answer, bool), VaultError> {
        self.vault().release(&cast.service(request), &question_of(cast, text), now)
    }

    /// Extends as a steward does who was told what it comes to, and who tries again what may have been done.
    fn extend(&self, cast: &Cast, request: &str, now: Timestamp) -> Result<(), VaultError> {
        let permit = cast.permit("steward", request, Role::Steward, Verb::ExtendBudget, None);
        let epsilon = self.vault().plan_extension(&permit, COST)?.after.epsilon;
        self.vault().extend_budget(&permit, COST, "more questions", &epsilon.to_string(), now).map(drop)
    }

    fn audience(&self, cast: &Cast, request: &str, now: Timestamp) -> Result<(), VaultError> {
        let question = AudienceQuestion {
            partner: PartnerId::new("greenbox").unwrap(),
            universe: Segment::everyone(),
            segment: cast.segment("true"),
            tags: vec![cast.schema.resolve("age_band").unwrap()],
            rho: COST,
        };
        let permit = cast.partner(request);
        let audience = self.vault().audience(&permit, &question, now)?;
        let rows = self.vault().emit(&permit, &audience, 0, usize::MAX, now)?;
        assert!(rows.members.len() >= 100);
        Ok(())
    }
}

fn question_of(cast: &Cast, text: &str) -> Question {
    let by = ["age_band", "order.category"].map(|field| cast.schema.resolve(field).unwrap()).to_vec();
    Question {
        dataset: cast.schema.dataset.clone(),
        universe: Segment::everyone(),
        segment: cast.segment(text),
        kind: Kind::Breakdown { by, window: Window::Ever },
        rho: COST,
    }
}

fn joining(number: usize) -> Vec<Record> {
    let code = |number: usize| u16::try_from(1 + number % 2).unwrap();
    let values =
        vec![(ColumnId(1), Value::Code(code(number))), (ColumnId(2), Value::Int(i64::try_from(number % 5).unwrap()))];
    let profile = Record::Profile { subject: key(number), values };
    let mut records = vec![
        profile,
        // Another id than member 41's: one that both report under one id would be 41's own.
        order(number, if number == 42 { 3 } else { 1 }, code(number), -DAY),
        give(number, "marketing.segmentation"),
        give(number, SHARING),
    ];
    if (41..43).contains(&number) {
        records.push(give(number, "identity.linking"));
    }
    records
}

/// Counts of a released table.
pub(super) fn counts(tables: &[Table]) -> Vec<i64> {
    tables[0].cells.iter().map(|cell| (cell.noised + 512).div_euclid(1024)).collect()
}
