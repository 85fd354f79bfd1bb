//! The crash matrix: a script is played once under a filmed disk; every moment of it, ended in four ways, is opened again.
//!
//! After each: the log verifies from its files and contains every checkpoint that was signed; the vault opens; everything
//! acknowledged is there, counted exactly; the act under way happened as a whole or not at all; what was charged was
//! charged once and its answer is the same; the erased stay erased; and the vault goes on. Over all of it no key seals two
//! different things under one nonce.
//!
//! By default every n-th point is checked, as many as a test may take time; `SILHOUETTE_MATRIX=all` checks all of them,
//! `SILHOUETTE_MATRIX=5` every fifth:
//! `SILHOUETTE_MATRIX=all cargo test --release -p vault --lib crashes -- --nocapture`

mod check;
mod faults;
mod film;
mod script;

use super::*;
use crate::keys::witness;
use check::{End, Run, check, epochs, try_again, vkeys};
use faults::{Tally, play_failing};
use film::{Film, Scene, develop};
use script::{Act, Cast, Stage, World, script};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Every how many points one is checked by default, and the first of them.
const STRIDE: usize = 8;
const FIRST: usize = 5;

fn stride() -> usize {
    match std::env::var("SILHOUETTE_MATRIX") {
        Ok(text) if text == "all" => 1,
        Ok(text) => text.parse().unwrap(),
        Err(_) => STRIDE,
    }
}

/// Plays the script and films it.
fn play(cast: &Cast) -> Run {
    let acts = script();
    let mut stage = Stage::empty();
    let film = Film::new(stage.folder());
    stage.config.disk = film.disk();
    let mut run = Run::new(World::default());
    for (done, act) in acts.into_iter().enumerate() {
        film.done(done);
        let answer = stage.play(cast, &act, later(10 + 10 * i64::try_from(done).unwrap())).unwrap();
        run.played(act, answer);
        if let Some(vault) = &stage.vault {
            run.vkeys = vkeys(vault);
        }
    }
    film.done(run.acts.len());
    run.scenes = film.cut();
    run
}

/// Films what follows a kill: the opening, or where there was no vault yet the making of one, the act that was under way tried
/// again, a few new members and a close. What the killed process had not synced is not synced yet.
fn second_life(run: &Run, cast: &Cast, scene: &Scene) -> Option<Run> {
    let act = run.acts.get(scene.act)?;
    let before = &run.worlds[scene.act];
    let mut stage = Stage::empty();
    develop(&scene.kill, stage.folder());
    develop(&scene.databases, stage.folder());
    let film = Film::after_a_kill(scene, stage.folder());
    stage.config.disk = film.disk();
    let mut second = Run { answers: run.answers.clone(), vkeys: run.vkeys.clone(), ..Run::new(before.clone()) };
    film.done(0);
    if let Err(problem) = stage.open(later(70_000)) {
        assert!(!before.exists, "{problem}");
        stage.play(cast, &Act::Init, later(70_000)).unwrap();
        stage.open(later(70_000)).unwrap();
        second.vkeys = vkeys(stage.vault());
    }
    let closed = epochs(&stage, cast) > before.epochs;
    second.played(act.clone(), try_again(&mut stage, cast, act, closed, later(70_010)).unwrap());
    let create = second.worlds.last().is_some_and(|world| !world.created).then_some(Act::Create);
    for act in create.into_iter().chain([Act::Join(8_000..8_003), Act::Close]) {
        film.done(second.acts.len());
        let answer = stage.play(cast, &act, later(70_020)).unwrap();
        second.played(act, answer);
    }
    film.done(second.acts.len());
    stage.vault = None;
    second.scenes = film.cut();
    Some(second)
}

/// Lists the points that differ from the one before of their kind.
fn points(run: &Run) -> Vec<(usize, End)> {
    let mut points = Vec::new();
    for end in [End::Kill, End::Torn, End::Power, End::Scrambled] {
        let mut last = None;
        for scene in &run.scenes {
            let Some(left) = scene.left(end) else { continue };
            if last != Some((left, scene.act)) {
                points.push((scene.number, end));
                last = Some((left, scene.act));
            }
        }
    }
    points
}

/// Returns the words of a panic.
fn why<R>(done: std::thread::Result<R>) -> String {
    let Err(panic) = done else { return String::new() };
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Runs something for each of many, on two threads, and returns what failed.
fn for_each<T: Sync, R>(all: &[T], what: impl Fn(&T) -> R + Sync, name: impl Fn(&T) -> String + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut failed = Vec::new();
        while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            let done = catch_unwind(AssertUnwindSafe(|| what(one)));
            if done.is_err() {
                failed.push(format!("{}: {}", name(one), why(done)));
            }
        }
        failed
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(worker), scope.spawn(worker)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn a_vault_that_ended_anyhow_anywhere_is_whole() {
    let cast = Cast::new();
    let run = play(&cast);
    let steps = |deed: &str| {
        run.scenes.iter().filter(|scene| scene.step.starts_with(deed) && scene.step.contains(".wal")).count()
    };
    assert!(steps("Create") > 2 && steps("Unlink") > 2, "segments of the log begin and go");
    let all = points(&run);
    let stride = stride();
    let checked: Vec<_> = all.iter().skip(FIRST % stride).step_by(stride).collect();
    let name = |point: &&(usize, End)| {
        let (number, end) = **point;
        let scene = &run.scenes[number];
        format!("{end:?} at {number}, {:?}, before {}", run.acts.get(scene.act), scene.step)
    };
    let failed = for_each(&checked, |(number, end)| check(&run, &cast, &run.scenes[*number], *end), name);
    let sealed = witness::report();
    println!(
        "crash matrix: {} steps, {} points, {} checked; {} pairs of key and nonce, none for two things",
        run.scenes.len() - 1,
        all.len(),
        checked.len(),
        sealed.pairs
    );
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), checked.len(), failed.join("\n"));
    assert_eq!(sealed.repeats, Vec::<String>::new());
}

#[test]
fn a_vault_whose_power_is_cut_after_a_kill_is_whole() {
    // Killed before a sync: something is done and not durable, which the next life must not take for durable. Each life has
    // about a hundred points of its own: all of them would take an hour.
    const EVERY: usize = 12;
    const MOMENTS: usize = 4;
    let cast = Cast::new();
    let run = play(&cast);
    let stride = stride().min(3);
    let unsynced = run.scenes.iter().filter(|scene| scene.step.starts_with("Sync"));
    let lives: Vec<_> = unsynced.skip(FIRST).step_by(EVERY * stride).collect();
    let checked = AtomicUsize::new(0);
    let live = |scene: &&Scene| {
        let Some(second) = second_life(&run, &cast, scene) else { return };
        for (number, end) in points(&second).into_iter().skip(scene.number % MOMENTS).step_by(MOMENTS * stride) {
            checked.fetch_add(1, Ordering::Relaxed);
            let moment = &second.scenes[number];
            let done = catch_unwind(AssertUnwindSafe(|| check(&second, &cast, moment, end)));
            assert!(done.is_ok(), "{end:?} at {number} of its second life, before {}: {}", moment.step, why(done));
        }
    };
    let name = |scene: &&Scene| format!("kill at {}, {:?}, before {}", scene.number, run.acts[scene.act], scene.step);
    let failed = for_each(&lives, live, name);
    println!("second lives: {}, with {} points", lives.len(), checked.load(Ordering::Relaxed));
    assert!(checked.load(Ordering::Relaxed) > 20 * lives.len() && lives.len() > 20);
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), lives.len(), failed.join("\n"));
    assert_eq!(witness::report().repeats, Vec::<String>::new());
}

#[test]
fn a_disk_that_is_full_or_fails_is_named_and_survived() {
    let cast = Cast::new();
    let run = play(&cast);
    let (stride, tally) = (stride(), Tally::default());
    let acts: Vec<usize> = (0..run.acts.len()).filter(|act| run.scenes.iter().any(|scene| scene.act == *act)).collect();
    // As many steps as were filmed, and some more, since opening again changes what an act has to do.
    let steps = |act: usize| run.scenes.iter().filter(|scene| scene.act == act).count() + 40;
    let all: Vec<_> = acts.into_iter().flat_map(|act| (0..steps(act)).map(move |step| (act, step))).collect();
    let checked: Vec<_> = all.into_iter().skip(FIRST % stride).step_by(stride).collect();
    let name = |point: &(usize, usize)| format!("step {} of {:?}", point.1, run.acts[point.0]);
    let play = |(act, step): &(usize, usize)| play_failing(&run, &cast, *act, *step, &tally);
    let failed = for_each(&checked, play, name);
    println!("faults of the disk: {tally:?}");
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), checked.len(), failed.join("\n"));
    assert_eq!(witness::report().repeats, Vec::<String>::new());
}
