//! What survives a dead disk: the mirror of the root.

use super::local;
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::clock::Clock;
use serde_json::json;
use std::path::Path;
use vault::Vault;

/// Takes the mirror off a vault that can't have it any more.
pub fn forget_mirror(file: Option<&Path>) -> Result<Shown, CliError> {
    let config = local::unlocked(file, None)?;
    let folders = config.vault().map_err(|problem| CliError::failed(problem.to_string()))?;
    let forgotten = Vault::forget_mirror(&folders, Clock::system().now());
    forgotten.map_err(|problem| CliError::failed(problem.to_string()))?;
    let words = "This vault has no mirror now. If anything of the old one is left, destroy it: it opens copies of the data \
                 folder of its time.\nNext: name an empty folder on another disk as `mirror` in the settings.\n";
    Ok(Shown::new(words, json!({ "mirror": null })))
}
