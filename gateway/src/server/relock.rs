//! Another second lock on the root, while nobody serves: the passphrase never crosses a network.

use super::ServeError;
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::records::system;
use policy::decide::{Decision, Request, decide};
use policy::permit::{Permit, Verb};
use vault::keys::SecondLock;

/// Opens the vault under its lock so far, gives it another, and closes it. Blocks.
pub fn relock(config: Config, lock: &SecondLock, clock: &Clock) -> Result<(), ServeError> {
    config.check()?;
    let app = App::open(config, clock.clone())?;
    let now = clock.now();
    app.vault.relock(&permit(&app)?, lock, now)?;
    Ok(app.vault.close(now)?)
}

fn permit(app: &App) -> Result<Permit, ServeError> {
    let principal = system().ok_or_else(|| ServeError::Runtime("the system has no name".to_owned()))?;
    let request_id = uuid::Uuid::new_v4().to_string();
    let ask = Request {
        principal: &principal,
        verb: Verb::Maintain,
        dataset: None,
        purpose: None,
        basis: None,
        fields: &[],
        request_id: &request_id,
    };
    match decide(&app.rules.load(), &ask) {
        Decision::Permit(permit) => Ok(permit),
        Decision::Refusal(refusal) => Err(ServeError::Runtime(refusal.message)),
    }
}
