//! What an exact count says must be what the gateway says, and nobody who was erased may be found.
//!
//! Everyone else waits meanwhile. Prices are so high that the noise is far below a person, save for the portrait, which may
//! be off by six times its own standard deviation.

use super::askers::{breakdown_of, package, portrait_of};
use super::people::{DATASET, Figures, ORDERS, SCORES};
use super::stewards::close;
use super::world::World;
use crate::call;
use crate::crash::load::{self, Outcome, request_id};
use crate::crash::model::{Dice, key};
use gateway::cli::Session;
use gateway::clock::Stopwatch;
use proto::v1::{Release, Table};

/// In units of rho 0.001: noise of a twentieth of a person.
const EXACT: u64 = 200_000;
/// In units of rho 0.001: noise of about a person.
const ROUGH: u64 = 1_000;
/// Times the standard deviation by which one cell in a billion is off.
const FAR: f64 = 6.0;

/// Who compares.
#[derive(Debug)]
pub struct Judge {
    /// Closes epochs.
    pub steward: Session,
    /// Asks.
    pub ads: Session,
    /// Looks people up.
    pub portal: Session,
    /// Draws request ids.
    pub dice: Dice,
}

impl Judge {
    /// Waits until everyone is quiet, closes the epoch, and compares; looks up so many who were erased and as many who were
    /// not. `quiet` is run before anyone goes on.
    pub async fn compare(&mut self, world: &World, people: usize, quiet: impl FnOnce()) {
        let _all = world.quiet.write().await;
        let began = Stopwatch::start();
        let Some(end) = world.settle("close", began, close(&self.steward).await, &[]) else { return };
        quiet();
        let expected = world.people().figures(end);
        if let Some(found) = self.figures(world, &expected).await
            && found != expected
        {
            world.error(format!("counted {found:?} instead of {expected:?}"));
        }
        self.portrait(world, &expected).await;
        self.look_up(world, people).await;
        world.count("comparison", 1);
    }

    async fn figures(&mut self, world: &World, expected: &Figures) -> Option<Figures> {
        let high = format!("score >= {}", SCORES / 2);
        Some(Figures {
            people: self.size(world, "score >= 0").await?,
            high_scores: self.size(world, &high).await?,
            viewers: self.size(world, "view.count() >= 2").await?,
            by_area: self.breakdown(world, "area", expected.by_area.len()).await?,
            by_category: self.breakdown(world, "order.category", expected.by_category.len()).await?,
        })
    }

    async fn size(&mut self, world: &World, cel: &str) -> Option<i64> {
        let began = Stopwatch::start();
        let outcome = load::ask(&self.ads, DATASET, cel, EXACT, &request_id(&mut self.dice)).await;
        let release = world.settle("exact ask", began, outcome, &[])?;
        Some(people(release.tables.first()?.cells.first()?.noised_1024))
    }

    async fn breakdown(&mut self, world: &World, by: &str, cells: usize) -> Option<Vec<i64>> {
        let began = Stopwatch::start();
        let asked = call!(self.ads, insight.breakdown(breakdown_of(by, EXACT, request_id(&mut self.dice))));
        let release = world.settle("exact ask", began, asked, &[])?.release?;
        let mut counts = vec![0; cells];
        for cell in &release.tables.first()?.cells {
            counts[cell.codes[0] as usize] = people(cell.noised_1024);
        }
        Some(counts)
    }

    async fn portrait(&mut self, world: &World, expected: &Figures) {
        let began = Stopwatch::start();
        let asked = call!(self.ads, insight.portrait(portrait_of(None, ROUGH, request_id(&mut self.dice))));
        let Some(release) = world.settle("exact ask", began, asked, &[]).and_then(|answer| answer.release) else {
            return;
        };
        let of = |field: &str| release.tables.iter().find(|table| table.fields == [field]);
        for (field, exact) in [("area", &expected.by_area), ("order.category", &expected.by_category)] {
            if of(field).is_none_or(|table| !is_near(table, &release, exact)) {
                world.error(format!("a portrait by {field} is far from {exact:?}"));
            }
        }
    }

    /// Nobody who was erased is known, and of others all events are there.
    async fn look_up(&mut self, world: &World, count: usize) {
        let erased = world.people().erased(count);
        for who in erased {
            match package(&self.portal, who).await {
                Outcome::Refused(reason) if reason.starts_with("FIELD_UNAVAILABLE") => world.count("looked up", 1),
                other => world.error(format!("{} was erased, and a look-up says {other:?}", key(who))),
            }
        }
        for _ in 0..count.min(5) {
            let Some(who) = world.people().anyone() else { return };
            let began = Stopwatch::start();
            let found = world.settle("package", began, package(&self.portal, who).await, &[]);
            let events = |name: &str| {
                let events = found.iter().flatten();
                events.filter(|events| events.name == name).map(|events| events.events.len()).sum::<usize>()
            };
            let mut people = world.people();
            if (events("order"), events("view")) != (ORDERS, people.views_of(who)) {
                world.error(format!("the package of {} lacks events or has too many", key(who)));
            }
            people.free(who, |_| ());
        }
    }
}

fn people(noised_1024: i64) -> i64 {
    (noised_1024 + 512).div_euclid(1_024)
}

fn is_near(table: &Table, release: &Release, exact: &[i64]) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "counts of people")]
    let off = |noised_1024: i64, exact: i64| (noised_1024 as f64 / 1_024.0 - exact as f64).abs();
    table.cells.len() + 1 >= exact.len()
        && table
            .cells
            .iter()
            .all(|cell| off(cell.noised_1024, exact[cell.codes[0] as usize]) <= FAR * release.sigma + 1.0)
}
