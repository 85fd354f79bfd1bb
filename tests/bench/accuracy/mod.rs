//! How far answers are from the truth, beside those of other differentially private engines at the same total loss.
//!
//! Everybody gets the same events and the same public keys, one subject's whole stream as the unit (added or removed), and
//! one total epsilon and delta. Everybody's bounds are tuned on a coarse grid by looking at the truth, which no one could in
//! earnest: what ours lose when they are a fifth off is printed too, and when bounds are released first for a part of the price. Errors are root mean squares over groups and draws, to
//! the true answer without any bound.

mod data;
mod ours;
mod peers;
mod score;

use crate::Options;
use crate::stopwatch::load;
use data::Data;
use policy::privacy::NanoRho;
use score::{Asked, Scored, Split};
use std::error::Error;
use std::path::Path;
use vault::release::epsilon_for;

/// What everybody may lose in all.
const EPSILON: f64 = 1.0;
const DELTA: f64 = 1e-7;

/// Compares on made-up events, and on a public data set where it is at hand.
pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let rho = affordable()?;
    println!("at epsilon {EPSILON} and delta {DELTA:e}, which are {:.5} rho; load {}", rho.rho(), load());
    let made_up = Data::made_up();
    compare(options, &made_up, &[Asked::CountsAndSums, Asked::Counts, Asked::TenCounts], rho)?;
    match Data::online_retail()? {
        Some(data) => compare(options, &data, &[Asked::CountsAndSums, Asked::Counts], rho)?,
        None => println!("!! SKIPPED: no online_retail among the public data sets, so nothing real was measured"),
    }
    println!("load {}", load());
    Ok(())
}

/// The largest rho that is worth at most the total.
fn affordable() -> Result<NanoRho, Box<dyn Error>> {
    let (mut low, mut high) = (0_u64, 1_000_000_000_u64);
    while low + 1 < high {
        let middle = low.midpoint(high);
        if epsilon_for(NanoRho(middle), DELTA)? <= EPSILON { low = middle } else { high = middle }
    }
    Ok(NanoRho(low))
}

fn compare(options: &Options, data: &Data, questions: &[Asked], rho: NanoRho) -> Result<(), Box<dyn Error>> {
    println!("\n{}", data.name);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("events.csv");
    data.write_csv(&file)?;
    let sealed = folder.path().join("sealed");
    let mut ours = ours::Ours::new(data, &sealed, options.threads)?;
    for asked in questions {
        println!("\n  {}", asked.title());
        let mine = ours.tuned(data, *asked, rho)?;
        let theirs = all_peers(options, data, *asked, rho, &file);
        report(*asked, &mine, &theirs);
    }
    Ok(())
}

/// Asks every peer; a peer that is missing is said so.
fn all_peers(
    options: &Options,
    data: &Data,
    asked: Asked,
    rho: NanoRho,
    file: &Path,
) -> Vec<(&'static str, Vec<Scored>)> {
    let Some(folder) = &options.peers else {
        println!(
            "    !! NO PEER WAS MEASURED: make them with tests/bench/peers/setup FOLDER and name it with `--peers`"
        );
        return Vec::new();
    };
    let run = |peer: &peers::Peer| peers::run(peer, folder, data, asked, rho, file, options.repeats);
    // Side by side: nothing is timed here.
    let results: Vec<_> = std::thread::scope(|scope| {
        let running = peers::PEERS.each_ref().map(|peer| (peer, scope.spawn(|| run(peer))));
        let ended = |(peer, run): (_, std::thread::ScopedJoinHandle<'_, _>)| {
            (peer, run.join().unwrap_or_else(|_| Err("a thread panicked".to_owned())))
        };
        running.into_iter().map(ended).collect()
    });
    let measured = results.into_iter().filter_map(|(peer, result): (&peers::Peer, Result<_, String>)| match result {
        Ok(scored) => Some((peer.name, scored)),
        Err(problem) => {
            println!("    !! {} WAS NOT MEASURED: {problem}", peer.name);
            None
        }
    });
    measured.collect()
}

fn counts(scored: &Scored) -> &Split {
    &scored.counts
}

fn sums(scored: &Scored) -> &Split {
    &scored.sums
}

fn report(asked: Asked, mine: &ours::Tuned, theirs: &[(&'static str, Vec<Scored>)]) {
    let earnest = mine.earnest;
    for (what, mine, of) in [("counts", &mine.counts, counts as fn(&Scored) -> &Split), ("sums", &mine.sums, sums)] {
        let Some(mine) = mine else { continue };
        println!("    {what}: root mean square error");
        for (bound, error) in &mine.grid {
            println!("      Silhouette, at most {bound:<8} {error:12.1}");
        }
        println!("      Silhouette, best         {:12.1}  at {}", mine.best.1, mine.best.0);
        for (bound, error) in &mine.off {
            println!(
                "      .. a fifth off           {error:12.1}  at {bound}, {:+.0} %",
                (error / mine.best.1 - 1.0) * 100.0
            );
        }
        if let Some((counts, sums)) = earnest {
            let error = if what == "sums" { sums } else { counts };
            let more = (error / mine.best.1 - 1.0) * 100.0;
            println!("      .. bounds asked for      {error:12.1}  with a tenth of the price, {more:+.0} %");
        }
        let mut best: Option<(&str, f64)> = None;
        for (name, settings) in theirs {
            let tuned = |setting: &&Scored| of(setting).tuning.root_mean_square();
            let Some(setting) = settings.iter().min_by(|a, b| tuned(a).total_cmp(&tuned(b))) else { continue };
            let error = of(setting).scoring.root_mean_square();
            println!("      {name:<24} {error:12.1}  at {}, best of {} settings", setting.name, settings.len());
            if best.is_none_or(|(_, least)| error < least) {
                best = Some((name, error));
            }
        }
        if let Some((name, error)) = best {
            println!("      ratio to the best peer   {:12.2}  ({name}); {}", mine.best.1 / error, asked.aim(what));
        }
    }
}
