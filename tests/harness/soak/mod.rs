//! Runs a gateway for a long time under everything at once, and says whether it takes more and more.
//!
//! A process of its own, with a mirror and a backup target. Producers stream, people withdraw, agree again and are erased,
//! services ask, a partner takes audiences, the portal and the officer read, epochs close, keys of every kind are replaced.
//! As many are erased as come, so that memory and disk should be flat but for the log, which stays for ever and counts as
//! live. Every so often everyone waits, and answers are compared with an exact count of what was acknowledged.

mod askers;
mod compare;
mod measure;
mod people;
mod stewards;
mod verdict;
mod world;
mod writers;

use crate::call;
use crate::crash::model::Dice;
use crate::crash::{Place, Programs, Served, register, register_partner};
use compare::Judge;
use gateway::cli::Session;
use gateway::clock::Stopwatch;
use measure::{Folder, Sample};
use people::{People, SCHEMA};
use proto::v1::{self, ClientRole, LogTree};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use verdict::Finding;
use world::World;

const SETTINGS: &str = "mirror = \"mirror\"\nbackup = \"backup\"\n";
const PRODUCERS: usize = 3;
const ASKERS: usize = 2;
const BETWEEN_SAMPLES: Duration = Duration::from_secs(10);
/// People looked up at a comparison, and at the end.
const LOOKED_UP: usize = 3;
const LOOKED_UP_AT_END: usize = 200;

/// How long, with how many, and where the random choices begin.
#[derive(Debug, Clone, Copy)]
pub struct Length {
    /// Minutes.
    pub minutes: u64,
    /// People.
    pub people: usize,
    /// Seed.
    pub seed: u64,
}

/// Runs it, says a line every ten seconds and a verdict at the end, and returns whether all holds.
pub async fn soak(programs: Programs, length: Length, mut say: impl FnMut(String)) -> bool {
    let place = Place::with_settings(programs, SETTINGS);
    let served = place.start();
    let hash = cast(&place, &served).await;
    let seconds = length.minutes * 60;
    let kept = i64::try_from((seconds / 5).clamp(20, 240)).expect("minutes");
    let world = Arc::new(World::new(People::new(length.people, kept * 1_000_000, length.seed)));
    let officer = place.session(&place.path("officer"), &served).await;
    let first = call!(officer, audit.get_checkpoint(v1::GetCheckpointRequest { tree: LogTree::Access.into() }));
    std::fs::write(place.path("first-checkpoint"), first.must("a checkpoint").checkpoint).expect("a file");
    // Noted once: whatever key signs at the end, this one must lead to it.
    let key = call!(officer, audit.get_verifier_key(v1::GetVerifierKeyRequest { tree: LogTree::Access.into() }));
    let key = key.must("the key").verifier_key;
    let mut tasks = begin(&world, &place, &served, &hash, length.seed).await;
    let pieces = Arc::new(AtomicU64::new(0));
    let judge = judge(&place, &served, length.seed).await;
    tasks.spawn(comparisons(Arc::clone(&world), judge, Arc::clone(&pieces), place.path("silhouette-data"), seconds));

    let mut samples = Vec::new();
    while world.since.elapsed() < Duration::from_secs(seconds) && !world.is_over() {
        tokio::time::sleep(BETWEEN_SAMPLES).await;
        let sample = look(&world, &place, &served, &pieces);
        say(sample.line(&world, BETWEEN_SAMPLES.as_secs()));
        world.untold().into_iter().for_each(&mut say);
        samples.push(sample);
    }
    world.stop();
    while let Some(done) = tasks.join_next().await {
        if let Err(panicked) = done {
            world.error(format!("a task panicked: {panicked}"));
        }
    }
    let mut findings = verdict::judge(&samples);
    findings.extend(end(&world, &place, served, (&key, length.seed)).await);
    for Finding { text, holds } in &findings {
        say(format!("{}  {text}", if *holds { "holds" } else { "FAILS" }));
    }
    findings.iter().all(|finding| finding.holds)
}

/// Makes the dataset and registers everyone; returns the hash of the description.
async fn cast(place: &Place, served: &Served) -> Vec<u8> {
    let steward = place.session(&place.path("silhouette-key.toml"), served).await;
    for (name, role) in
        [("shop", ClientRole::Producer), ("portal", ClientRole::Portal), ("officer", ClientRole::Officer)]
    {
        register(place, &steward, name, role, &[]).await;
    }
    register(place, &steward, "ads", ClientRole::Service, &[people::ASKING]).await;
    register_partner(place, &steward, "crm", &[people::SHARING]).await;
    let message = v1::CreateDatasetRequest { schema_toml: SCHEMA.to_owned(), ..Default::default() };
    let made = call!(steward, catalog.create_dataset(message)).must("a dataset").dataset.expect("a dataset");
    stewards::close(&steward).await.must("a close");
    made.schema_hash
}

async fn judge(place: &Place, served: &Served, seed: u64) -> Judge {
    Judge {
        steward: place.session(&place.path("silhouette-key.toml"), served).await,
        ads: place.session(&place.path("ads"), served).await,
        portal: place.session(&place.path("portal"), served).await,
        dice: Dice(seed ^ 0x5EED),
    }
}

async fn begin(world: &Arc<World>, place: &Place, served: &Served, hash: &[u8], seed: u64) -> JoinSet<()> {
    let session = async |name: &str| -> Session { place.session(&place.path(name), served).await };
    let mut tasks = JoinSet::new();
    for _ in 0..PRODUCERS {
        tasks.spawn(writers::produce(Arc::clone(world), session("shop").await, hash.to_vec()));
    }
    for asker in 0..ASKERS {
        let dice = Dice(seed.wrapping_add(asker as u64 + 1));
        tasks.spawn(askers::ask(Arc::clone(world), session("ads").await, dice));
    }
    tasks.spawn(writers::withdraw(Arc::clone(world), session("shop").await));
    tasks.spawn(writers::erase(Arc::clone(world), session("portal").await));
    tasks.spawn(askers::partner(Arc::clone(world), session("crm").await));
    tasks.spawn(askers::portal(Arc::clone(world), session("portal").await));
    tasks.spawn(askers::officer(Arc::clone(world), session("officer").await));
    tasks.spawn(stewards::closes(Arc::clone(world), session("silhouette-key.toml").await));
    tasks.spawn(stewards::rotate(Arc::clone(world), session("silhouette-key.toml").await));
    tasks.spawn(stewards::look(Arc::clone(world), session("silhouette-key.toml").await));
    tasks
}

/// Compares again and again, and measures the pieces while nothing else is there.
async fn comparisons(
    world: Arc<World>,
    mut judge: Judge,
    pieces: Arc<AtomicU64>,
    data: std::path::PathBuf,
    seconds: u64,
) {
    let between = Duration::from_secs((seconds / 15).clamp(15, 60));
    while !world.is_over() {
        tokio::time::sleep(between).await;
        let measure = || pieces.store(Folder::of(&data).blocks, Ordering::Release);
        judge.compare(&world, LOOKED_UP, measure).await;
    }
}

fn look(world: &World, place: &Place, served: &Served, pieces: &AtomicU64) -> Sample {
    let data = Folder::of(&place.path("silhouette-data"));
    let pieces = pieces.load(Ordering::Acquire);
    Sample {
        seconds: world.since.elapsed().as_secs(),
        full: pieces > 0 && world.people().is_full(),
        resident: measure::resident(served.process()),
        data,
        live: pieces + data.log,
        backup: measure::bytes(&place.path("backup")),
    }
}

/// Compares once more, stops the gateway, verifies its log, opens it again and compares again.
async fn end(world: &World, place: &Place, served: Served, (key, seed): (&str, u64)) -> Vec<Finding> {
    let mut last = judge(place, &served, seed ^ 1).await;
    last.compare(world, LOOKED_UP_AT_END, || ()).await;
    let shipped = call!(last.steward, admin.ship_backup(v1::ShipBackupRequest::default()));
    let backup = shipped.must("a shipment").backup.unwrap_or_default();
    drop(last);
    let folder = Folder::of(&place.path("silhouette-data"));
    let stopped = served.stop();
    place.verify(&["log", "silhouette-data/log", "--vkey", key]);
    let newest = place.path("silhouette-data/log/access/checkpoint");
    let newest = newest.to_str().expect("a path");
    place.verify(&["consistency", "first-checkpoint", newest, "silhouette-data/log/access", "--vkey", key]);
    let began = Stopwatch::start();
    let served = place.start();
    let opened = began.elapsed().as_millis();
    let mut again = judge(place, &served, seed ^ 2).await;
    again.compare(world, LOOKED_UP, || ()).await;
    let fresh = measure::resident(served.process());
    let stopped = served.stop() && stopped;
    let panicked = place.errors().contains("panicked");
    let amiss = world.amiss();
    let behind = backup.missing_pieces > 0 || !backup.problem.is_empty();
    let mut texts = vec![format!("done: {}; {}", world.totals(), measure::refused(&amiss))];
    texts.extend(amiss.first.iter().cloned());
    vec![
        Finding { text: texts.join("\n       "), holds: amiss.errors == 0 && stopped && !panicked },
        Finding {
            text: format!(
                "the backup has all frames up to {} of {} and lacks {} pieces",
                backup.shipped, backup.current, backup.missing_pieces
            ),
            holds: !behind,
        },
        Finding {
            text: format!(
                "the log of {} MiB verifies and continues the first checkpoint; opened again in {opened} ms with {} MiB",
                measure::mib(folder.log),
                measure::mib(fresh)
            ),
            holds: true,
        },
    ]
}
