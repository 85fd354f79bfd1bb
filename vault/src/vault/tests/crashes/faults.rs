//! A disk that is full from some step on until told otherwise, or that fails one sync, rename or removal.

use super::super::*;
use super::check::{Run, epochs, go_on, try_again};
use super::film::develop;
use super::script::{Act, Cast, Stage};
use crate::disk::{Fault, Observer, Step};
use parking_lot::Mutex;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A disk that fails once, at a step that is to come.
#[derive(Debug, Default)]
struct Failing(Mutex<Plan>);

#[derive(Debug, Default)]
struct Plan {
    /// Steps until the fault; none while the disk is well.
    left: Option<usize>,
    full: bool,
    /// The step that failed.
    failed: Option<String>,
}

const NO_SPACE: i32 = 28;
const IO_ERROR: i32 = 5;

impl Failing {
    fn at(&self, step: usize) {
        *self.0.lock() = Plan { left: Some(step), ..Plan::default() };
    }

    /// Space returns. Returns the step that failed.
    fn mend(&self) -> Option<String> {
        std::mem::take(&mut *self.0.lock()).failed
    }
}

impl Observer for Failing {
    fn before(&self, step: &Step<'_>) -> Result<(), Fault> {
        let mut plan = self.0.lock();
        let takes_space = matches!(step, Step::Create(_) | Step::CreateFolder(_) | Step::Write { .. });
        let due = match &mut plan.left {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        if due {
            plan.left = None;
            plan.failed = Some(format!("{step:?}"));
            plan.full = takes_space;
        }
        if plan.full && takes_space {
            let short = if let Step::Write { bytes, .. } = step { bytes / 2 } else { 0 };
            return Err(Fault { error: io::Error::from_raw_os_error(NO_SPACE), short });
        }
        if due { Err(io::Error::from_raw_os_error(IO_ERROR).into()) } else { Ok(()) }
    }
}

/// What became of the faults, for people.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub faults: AtomicUsize,
    /// Faults after which the same vault went on.
    pub went_on: AtomicUsize,
    /// Faults that no caller noticed, since what failed was a cleaning.
    pub unnoticed: AtomicUsize,
}

/// Plays one act on a disk that fails at a step of it, and goes on. Says whether the act got that far.
pub(super) fn play_failing(run: &Run, cast: &Cast, act: usize, step: usize, tally: &Tally) -> bool {
    let (before, after) = (&run.worlds[act], &run.worlds[act + 1]);
    let scene = run.scenes.iter().find(|scene| scene.act == act).unwrap();
    let act = &run.acts[act];
    let failing = Arc::new(Failing::default());
    let mut stage = Stage::empty();
    develop(&scene.kill, stage.folder());
    develop(&scene.databases, stage.folder());
    stage.config.disk = Disk::observed(Arc::clone(&failing) as Arc<dyn Observer>);
    if before.serving {
        stage.open(later(90_000)).unwrap();
    }
    failing.at(step);
    let played = stage.play(cast, act, later(90_001));
    if played.is_err() && before.serving && stage.vault().health().is_err() {
        refuses_everything(&stage, cast);
    }
    let Some(failed) = failing.mend() else {
        played.unwrap();
        return false;
    };
    tally.faults.fetch_add(1, Ordering::Relaxed);
    let mut answers = run.answers.clone();
    let mut note = |played: Result<Option<Answer>, VaultError>| {
        if let (Act::Ask(request, _), Ok(Some(answer))) = (act, &played) {
            answers.insert(*request, answer.clone());
        }
        played
    };
    match note(played) {
        Ok(_) => {
            let cleaning = failed.starts_with("Unlink") || failed.starts_with("RemoveFolder");
            // A target that fails holds nothing up: it is said until it has caught up, within the act or later.
            let above = format!("SyncFolder({:?})", stage.config.backup.as_deref().and_then(Path::parent).unwrap());
            let shipping = failed.contains("/backup") || failed.contains("/note-") || is_note_named(&failed);
            let shipping = shipping || failed == above;
            assert!(cleaning || shipping, "nobody noticed that {failed} failed");
            tally.unnoticed.fetch_add(1, Ordering::Relaxed);
            if let Some(vault) = &stage.vault {
                vault.tick(later(90_003)).unwrap();
                let status = vault.backup_status().unwrap();
                assert_eq!((status.problem, status.missing), (None, 0), "after {failed}");
            }
        }
        Err(error) => {
            says_why(&error, &failed);
            if !before.serving {
                // Making and opening are tried again as a whole.
                stage.vault = None;
            } else if note(try_again(&mut stage, cast, act, false, later(90_005))).is_ok() {
                tally.went_on.fetch_add(1, Ordering::Relaxed);
            } else {
                assert!(stage.vault().health().is_err(), "it refuses and says that it is well, after {failed}");
                stage.open(later(90_010)).unwrap();
                let closed = epochs(&stage, cast) == after.epochs;
                note(try_again(&mut stage, cast, act, closed, later(90_015))).unwrap();
            }
        }
    }
    if stage.vault.is_none() && stage.open(later(90_020)).is_err() {
        stage.play(cast, &Act::Init, later(90_020)).unwrap();
        stage.open(later(90_020)).unwrap();
    }
    go_on(&mut stage, cast, (after, after), None, &answers);
    stage.play(cast, &Act::Stop, later(190_000)).unwrap();
    true
}

/// Making a note's name durable is a step like that of a page's: a commit that it fails is not acknowledged.
fn is_note_named(failed: &str) -> bool {
    failed.starts_with("SyncFolder") && failed.contains("/mirror/keys")
}

/// Of a disk that is full or broken the steward is told, and nothing is called damaged that is not.
fn says_why(error: &VaultError, failed: &str) {
    let text = error.to_string();
    let words = ["No space left", "no storage space", "Input/output error", "uncategorized error"];
    let clear = match error {
        VaultError::Io(_) | VaultError::LogUnavailable(_) | VaultError::Setup(_) => {
            words.iter().any(|word| text.contains(word))
        }
        VaultError::Refused(_) | VaultError::Damaged { .. } => false,
        VaultError::Older { .. } | VaultError::Lossy(_) => false,
    };
    assert!(clear, "{error:?} after {failed}");
}

fn refuses_everything(stage: &Stage, cast: &Cast) {
    let asked = stage.ask(cast, "refused", "true", later(90_002));
    assert!(matches!(asked, Err(VaultError::LogUnavailable(_))), "{asked:?}");
}
