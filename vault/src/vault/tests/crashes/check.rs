//! What a vault must be after a crash, whatever it left.

use super::super::*;
use super::film::{Picture, Scene, develop};
use super::script::{Act, COST, Cast, HELD, Stage, World, counts};
use crate::fold::erase::Gone;
use crate::holds::Held;
use crate::log::judge::{Signed, checkpoint, judge};
use crate::vault::Tree;
use std::collections::BTreeMap;
use std::path::Path;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Kill,
    Torn,
    Power,
    Scrambled,
}

/// A script that was played to its end.
pub(super) struct Run {
    pub acts: Vec<Act>,
    /// What was true before each act, and at the end.
    pub worlds: Vec<World>,
    pub scenes: Vec<Scene>,
    /// Answers given, by request id.
    pub answers: BTreeMap<&'static str, Answer>,
    /// Verifier keys of the access tree and the subject tree.
    pub vkeys: [String; 2],
}

impl Run {
    /// Begins where this is true.
    pub(super) fn new(world: World) -> Self {
        Self {
            acts: Vec::new(),
            worlds: vec![world],
            scenes: Vec::new(),
            answers: BTreeMap::new(),
            vkeys: [String::new(), String::new()],
        }
    }

    /// Takes an act that was done, and the answer it gave.
    pub(super) fn played(&mut self, act: Act, answer: Option<Answer>) {
        if let (Act::Ask(request, _), Some(answer)) = (&act, answer) {
            self.answers.insert(*request, answer);
        }
        let after = self.worlds[self.acts.len()].after(&act);
        self.worlds.push(after);
        self.acts.push(act);
    }
}

/// Members who join after the crash.
const LATE: std::ops::Range<usize> = 9_000..9_004;
const TREES: [(Tree, &str); 2] = [(Tree::Access, "access"), (Tree::Subject, "subject")];

impl Scene {
    /// Returns what an end leaves; none if it can't end so.
    pub(super) fn left(&self, end: End) -> Option<&Picture> {
        match end {
            End::Kill => Some(&self.kill),
            End::Torn => self.torn.as_ref(),
            End::Power => Some(&self.power),
            End::Scrambled => Some(&self.scrambled),
        }
    }

    /// The checkpoints that somebody may have seen.
    fn seen(&self, vkeys: &[String; 2]) -> [Option<Signed>; 2] {
        let read = |tree: usize| {
            let path = Path::new("data/log").join(TREES[tree].1).join("checkpoint");
            let bytes = self.kill.get(&path)?.as_ref()?;
            Some(checkpoint(std::str::from_utf8(bytes).unwrap(), &vkeys[tree]).unwrap())
        };
        [read(0), read(1)]
    }
}

fn now(seconds: i64) -> Timestamp {
    later(100_000 + seconds)
}

fn judge_all(stage: &Stage, vkeys: &[String; 2], seen: &[Option<Signed>; 2]) {
    for (tree, (_, name)) in TREES.iter().enumerate() {
        judge(&stage.config.data.join("log").join(name), &vkeys[tree], seen[tree].as_slice())
            .unwrap_or_else(|problem| panic!("the {name} tree: {problem}"));
    }
}

/// Returns the verifier keys of an open vault.
pub(super) fn vkeys(vault: &Vault) -> [String; 2] {
    TREES.map(|(tree, _)| vault.log_vkey(tree))
}

/// Opens what was left, with databases that may be newer, older or gone, and looks for everything that was acknowledged.
pub(super) fn check(run: &Run, cast: &Cast, scene: &Scene, end: End) {
    let mut stage = Stage::empty();
    develop(scene.left(end).unwrap(), stage.folder());
    match scene.number % 3 {
        0 => develop(&scene.databases, stage.folder()),
        1 => develop(&run.scenes[scene.number * 2 / 3].databases, stage.folder()),
        _ => {}
    }
    let before = &run.worlds[scene.act];
    if scene.number % 4 == 1 {
        check_elsewhere(before, run.acts.get(scene.act), cast, scene.left(end).unwrap());
    }
    let mut seen = scene.seen(&run.vkeys);
    if before.exists {
        // A power cut may take the newest checkpoint's file, and never an entry under it.
        let kept = matches!(end, End::Kill | End::Torn);
        judge_all(&stage, &run.vkeys, &if kept { seen.clone() } else { [None, None] });
        stage.open(now(0)).unwrap();
    } else if stage.open(now(0)).is_err() {
        stage.play(cast, &Act::Init, now(0)).unwrap();
        stage.open(now(0)).unwrap();
        seen = [None, None];
    }
    let act = run.acts.get(scene.act);
    let after = act.map_or_else(|| before.clone(), |act| before.after(act));
    go_on(&mut stage, cast, (before, &after), act.filter(|_| scene.number.is_multiple_of(2)), &run.answers);
    let vkeys = vkeys(stage.vault());
    stage.play(cast, &Act::Stop, now(60)).unwrap();
    judge_all(&stage, &vkeys, &seen);
}

/// Loses home, and makes the vault again from what was left of the mirror and the target. Once an epoch was closed, that works
/// at every moment; what is made again knows nobody who was erased, and at most what was done.
fn check_elsewhere(before: &World, act: Option<&Act>, cast: &Cast, left: &Picture) {
    let mut stage = Stage::empty();
    let away: Picture =
        left.iter().filter(|(path, _)| !path.starts_with("data") && !path.starts_with("root")).map(clone).collect();
    develop(&away, stage.folder());
    let target = stage.config.backup.clone().unwrap();
    let restored = match Vault::restore(&stage.config, &target, false, now(0)) {
        Err(VaultError::Lossy(_)) => Vault::restore(&stage.config, &target, true, now(0)),
        restored => restored,
    };
    if before.epochs == 0 {
        // A close ships what it makes; before the first, everything may be lag.
        return;
    }
    restored.unwrap();
    stage.open(now(1)).unwrap();
    assert_eq!(stage.vault().schemas().len(), 1);
    let after = act.map_or_else(|| before.clone(), |act| before.after(act));
    assert!(charges(&stage, cast, now(2)) <= after.charges);
    for number in &before.erased {
        let events = vec![(key(*number), consent("marketing", ConsentAct::Withdraw, 0))];
        let again = stage.vault().record_consents(&cast.producer(Verb::RecordConsent), events, now(3));
        assert!(matches!(again, Err(VaultError::Refused(_))), "an erased member came back: {again:?}");
    }
    for act in [Act::Join(LATE), Act::Close, Act::Stop] {
        stage.play(cast, &act, now(20)).unwrap();
    }
}

fn clone<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}

/// Compares a reopened vault with what was true before and after the act that was under way, perhaps tries that act again,
/// and goes on: new members, a close, a question, another opening.
pub(super) fn go_on(
    stage: &mut Stage,
    cast: &Cast,
    (before, after): (&World, &World),
    retry: Option<&Act>,
    answers: &BTreeMap<&'static str, Answer>,
) {
    let created = !stage.vault().schemas().is_empty();
    assert!(created || !before.created, "the dataset is gone");
    if !created {
        stage.play(cast, &Act::Create, now(1)).unwrap();
    }
    let epochs = epochs(stage, cast);
    assert!([before.epochs, after.epochs].contains(&epochs), "{epochs} epochs");
    let versions = stage.vault().schema_versions(&cast.schema.dataset).len();
    assert!([before.versions.max(1), after.versions].contains(&versions), "{versions} versions");
    let spent = charges(stage, cast, now(2));
    assert!([before.charges, after.charges].contains(&spent), "{spent} charges, not {}", before.charges);
    let drawn = stage.vault().synopsis(&cast.schema.dataset).is_some();
    assert!(drawn || !before.synopsis, "the synopsis is gone");
    assert!(
        !drawn || before.synopsis || (after.synopsis && spent == after.charges),
        "a synopsis that nobody was charged for"
    );
    let extended = extensions(stage, cast, now(2));
    assert!([before.extensions, after.extensions].contains(&extended), "{extended}, not {}", before.extensions);
    if epochs == before.epochs {
        check_answers(stage, cast, before, answers);
    }
    for number in &before.erased {
        let events = vec![(key(*number), consent("marketing", ConsentAct::Withdraw, 0))];
        let again = stage.vault().record_consents(&cast.producer(Verb::RecordConsent), events, now(3));
        assert!(matches!(again, Err(VaultError::Refused(_))), "an erased member is known: {again:?}");
    }
    let mut charged = spent;
    let mut may_be = vec![before, after];
    if let Some(act) = retry {
        try_again(stage, cast, act, epochs == after.epochs, now(10)).unwrap();
        may_be = vec![after];
        charged = after.charges;
        assert_eq!(charges(stage, cast, now(11)), charged, "the act that was tried again");
        assert_eq!(extensions(stage, cast, now(11)), after.extensions, "the act that was tried again");
        assert_eq!(
            stage.vault().synopsis(&cast.schema.dataset).is_some(),
            after.synopsis,
            "the act that was tried again"
        );
    }
    for act in [Act::Join(LATE), Act::Tick, Act::Close] {
        stage.play(cast, &act, now(20)).unwrap();
    }
    check_holds(stage, cast, before, &may_be);
    let expected: Vec<_> = may_be.iter().map(|world| world.after(&Act::Join(LATE)).figures()).collect();
    let (answer, paid) = stage.ask(cast, "late", "true", now(30)).unwrap();
    assert!(paid && expected.contains(&counts(&answer.tables)), "{:?}, not {expected:?}", counts(&answer.tables));
    stage.open(now(40)).unwrap();
    assert_eq!(stage.ask(cast, "late", "true", now(50)).unwrap(), (answer, false));
    assert_eq!(charges(stage, cast, now(51)), charged + 1);
}

/// Looks at what stands, and at the places of the erased: nothing is there but what is held.
fn check_holds(stage: &Stage, cast: &Cast, before: &World, may_be: &[&World]) {
    let standing = stage.vault().list_holds(&cast.steward(Verb::HoldSubject)).unwrap();
    let waiting: Vec<bool> = standing.iter().map(|hold| hold.waiting).collect();
    let expected: Vec<Vec<bool>> = may_be.iter().map(|world| world.held.values().copied().collect()).collect();
    assert!(expected.contains(&waiting), "{waiting:?}, not {expected:?}");
    let field = cast.schema.resolve(HELD).unwrap();
    // Members joined in the order of their numbers.
    let left = |number: &usize| {
        let held = !standing.is_empty() && before.held.contains_key(number);
        let held = if held { Held::of(&cast.schema, &[field]) } else { Held::nothing() };
        (u16::try_from(*number).unwrap(), held)
    };
    let gone: Gone = before.erased.iter().map(left).collect();
    assert_eq!(stage.vault().left_over(1, &BTreeMap::from([(0, gone)])).unwrap(), 0, "something of the erased is left");
}

/// What a client does that got no answer.
pub(super) fn try_again(
    stage: &mut Stage,
    cast: &Cast,
    act: &Act,
    closed: bool,
    now: Timestamp,
) -> Result<Option<Answer>, VaultError> {
    match act {
        Act::Init | Act::Open | Act::Drop => Ok(None),
        // Stopping is for later; what it needs is tried.
        Act::Stop => stage.play(cast, &Act::Tick, now),
        Act::Close if closed => Ok(None),
        Act::Create | Act::Erase(_) | Act::Link(..) | Act::Unlink(..) => match stage.play(cast, act, now) {
            // It was done, or the opening carried it out.
            Err(VaultError::Refused(_)) => Ok(None),
            played => played,
        },
        act => stage.play(cast, act, now),
    }
}

/// Returns how many epochs closed.
pub(super) fn epochs(stage: &Stage, cast: &Cast) -> u64 {
    stage.vault().epoch(&cast.schema.dataset).map_or(0, |info| u64::from(info.epoch.0))
}

fn charges(stage: &Stage, cast: &Cast, now: Timestamp) -> u64 {
    let insights = ClientId::new("insights").unwrap();
    let statement = stage.vault().budget(&cast.steward(Verb::ReadBudget), &insights, now).unwrap();
    assert_eq!(statement.lifetime_spent.0 % COST.0, 0);
    assert!(statement.lifetime_spent <= statement.lifetime_cap);
    statement.lifetime_spent.0 / COST.0
}

/// Returns how often the lifetime's cap was extended, by a charge each.
fn extensions(stage: &Stage, cast: &Cast, now: Timestamp) -> usize {
    let insights = ClientId::new("insights").unwrap();
    let statement = stage.vault().budget(&cast.steward(Verb::ReadBudget), &insights, now).unwrap();
    let extended = NanoRho(COST.0 * statement.extensions.len() as u64);
    assert_eq!(statement.lifetime_cap, cast.schema.cap_lifetime.saturating_add(extended));
    statement.extensions.len()
}

fn check_answers(stage: &Stage, cast: &Cast, world: &World, answers: &BTreeMap<&'static str, Answer>) {
    for (request, text) in &world.answered {
        let again = stage.ask(cast, request, text, now(4)).unwrap();
        assert_eq!(again, (answers[request].clone(), false), "another answer to {request}");
    }
}
