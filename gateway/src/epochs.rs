//! Folding what was written, whenever much of it waits; and closing epochs: once a day, at midnight in each dataset's own
//! time zone. A steward may close one early. With the first close of a month its synopsis is drawn, where one is asked for.
//!
//! A gateway that was down at midnight closes the epoch when it is up again, and it ends at the latest midnight: rows that
//! were acknowledged after it are in the epoch all the same, since an epoch holds what was acknowledged before it closed.

use crate::app::App;
use crate::insight::synopsis;
use crate::records::system;
use crate::status::Failure;
use jiff::tz::TimeZone;
use policy::decide::{Decision, Request, decide};
use policy::id::DatasetId;
use policy::permit::{Permit, Verb};
use policy::schema::Schema;
use policy::time::Timestamp;
use std::collections::BTreeMap;
use vault::VaultError;

/// Which datasets this gateway has seen, and since when: one without an epoch gets its first at the next midnight.
#[derive(Debug, Default)]
pub struct Keeper {
    since: BTreeMap<DatasetId, Timestamp>,
}

impl Keeper {
    /// Closes what is due. Blocks for as long as the folding takes.
    pub fn close_due(&mut self, app: &App) {
        let now = app.clock.now();
        for (id, schema) in app.vault.schemas().iter() {
            // What was charged before a crash is drawn before its epoch is over.
            synopsis::draw_due(app, id);
            let since = *self.since.entry(id.clone()).or_insert(now);
            let last = app.vault.epoch(id).map_or(since, |epoch| epoch.as_of);
            let Some(as_of) = due(&schema.time_zone, last, now) else { continue };
            let closed = maintain(app, schema, |permit| app.vault.close_epoch(permit, as_of, now).map(drop));
            match closed {
                Ok(()) => {
                    app.pace.begin_epoch(id);
                    synopsis::draw_due(app, id);
                    tracing::info!(dataset = %id, "closed the day's epoch");
                }
                Err(failure) => {
                    tracing::error!(dataset = %id, problem = words(&failure), "the day's epoch can't be closed")
                }
            }
        }
    }
}

/// Folds what is due beside the closed epochs. Blocks for as long as the folding takes; ingest and questions go on.
pub fn fold_due(app: &App) {
    let now = app.clock.now();
    let schemas = app.vault.schemas();
    for id in app.vault.folds_due(now) {
        let Some(schema) = schemas.get(&id) else { continue };
        match maintain(app, schema, |permit| app.vault.fold(permit, now).map(drop)) {
            Ok(()) => tracing::info!(dataset = %id, "folded what was written"),
            Err(failure) => {
                tracing::error!(dataset = %id, problem = words(&failure), "what was written can't be folded")
            }
        }
    }
}

fn words(failure: &Failure) -> String {
    failure.for_operators().unwrap_or_else(|| failure.refusal().message)
}

/// Returns the latest midnight in a time zone, if it came after `last`.
fn due(zone: &str, last: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let zone = TimeZone::get(zone).ok()?;
    let today = jiff::Timestamp::from_microsecond(now.0).ok()?.to_zoned(zone).start_of_day().ok()?;
    let midnight = Timestamp(today.timestamp().as_microsecond());
    (last < midnight).then_some(midnight)
}

/// Does work on a dataset under the gateway's own permit.
fn maintain(app: &App, schema: &Schema, work: impl FnOnce(&Permit) -> Result<(), VaultError>) -> Result<(), Failure> {
    let principal = system().ok_or(Failure::Defect("the system has no name"))?;
    let request_id = uuid::Uuid::new_v4().to_string();
    let ask = Request {
        principal: &principal,
        verb: Verb::Maintain,
        dataset: Some(schema),
        purpose: None,
        basis: None,
        fields: &[],
        request_id: &request_id,
    };
    match decide(&app.rules.load(), &ask) {
        Decision::Permit(permit) => Ok(work(&permit)?),
        Decision::Refusal(refusal) => Err(Failure::Refused(refusal)),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn an_epoch_is_due_at_each_midnight_of_the_zone_once() {
        let berlin = |last: &str, now: &str| due("Europe/Berlin", at(last), at(now));
        assert_eq!(berlin("2026-09-20T13:00:00Z", "2026-09-20T21:59:59Z"), None);
        let midnight = Some(at("2026-09-20T22:00:00Z"));
        assert_eq!(berlin("2026-09-20T13:00:00Z", "2026-09-20T22:00:00Z"), midnight);
        assert_eq!(berlin("2026-09-20T22:00:00Z", "2026-09-21T13:00:00Z"), None);
        assert_eq!(berlin("2026-09-01T00:00:00Z", "2026-09-21T13:00:00Z"), midnight, "late, and only the latest");
        let winter = Some(at("2026-10-25T23:00:00Z"));
        assert_eq!(berlin("2026-10-25T12:00:00Z", "2026-10-26T00:00:00Z"), winter, "the day after the clocks changed");
        assert_eq!(due("Nowhere/At_All", at("2026-01-01T00:00:00Z"), at("2026-09-01T00:00:00Z")), None);
    }
}
