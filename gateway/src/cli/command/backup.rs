//! What survives a dead disk: the backup target, the mirror of the root, and a vault made again from both.

use super::local;
use crate::cli::args::RestoreArgs;
use crate::cli::chart::grouped;
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::session::Session;
use crate::clock::Clock;
use proto::v1::{Backup, GetBackupRequest, ShipBackupRequest};
use serde_json::{Value, json};
use std::path::Path;
use vault::backup::Loss;
use vault::{Vault, VaultError};

const NO_MIRROR: &str = "There is no mirror of the root: if its disk dies, no backup can be opened. Name a folder on another \
                         disk or host as `mirror` in the settings.\n";

/// Says how far the target has followed.
pub async fn status(session: &Session) -> Result<Shown, CliError> {
    let request = session.request(GetBackupRequest {}).await?;
    let answer = session.admin().get_backup(request).await?.into_inner();
    let mut words = match &answer.backup {
        Some(backup) => backup_words(backup),
        None => "No backup target is set: name a folder on another disk or host as `backup` in the settings.\n".into(),
    };
    if !answer.mirrored {
        words.push_str(NO_MIRROR);
    }
    let backup = answer.backup.as_ref().map(backup_json);
    Ok(Shown::new(words, json!({ "backup": backup, "mirrored": answer.mirrored })))
}

/// Ships what the target lacks, and waits.
pub async fn now(session: &Session) -> Result<Shown, CliError> {
    let request = session.request(ShipBackupRequest { request_id: String::new() }).await?;
    let backup = session.admin().ship_backup(request).await?.into_inner().backup.unwrap_or_default();
    if !backup.problem.is_empty() {
        return Err(CliError::failed(format!("the backup does not follow: {}", backup.problem)));
    }
    Ok(Shown::new(backup_words(&backup), backup_json(&backup)))
}

fn backup_words(backup: &Backup) -> String {
    let Backup { target, shipped, current, missing_pieces, problem } = backup;
    let lag = current.saturating_sub(*shipped);
    let mut words = match (lag, *missing_pieces) {
        (0, 0) => format!("{target} holds everything, up to frame {}.\n", grouped(*shipped)),
        (lag, 0) => format!("{target} lacks the last {} of {} frames.\n", grouped(lag), grouped(*current)),
        (lag, missing) => {
            format!("{target} lacks the last {} frames and {} pieces.\n", grouped(lag), grouped(missing))
        }
    };
    if !problem.is_empty() {
        words.push_str(&format!("It does not follow: {problem}\n"));
    }
    words
}

fn backup_json(backup: &Backup) -> Value {
    let Backup { target, shipped, current, missing_pieces, problem } = backup;
    json!({
        "target": target, "shipped": shipped, "current": current, "missing_pieces": missing_pieces, "problem": problem,
    })
}

/// Makes the folders of the settings again.
pub fn restore(args: &RestoreArgs) -> Result<Shown, CliError> {
    let mut config = local::settings(args.config.as_deref())?;
    config.mirror = Some(args.mirror.clone());
    local::unlock(&mut config, &args.mirror)?;
    let folders = config.vault().map_err(|problem| CliError::failed(problem.to_string()))?;
    let restored = Vault::restore(&folders, &args.from, args.accept_loss, Clock::system().now());
    let loss = restored.map_err(|problem| match problem {
        VaultError::Lossy(_) => CliError::failed(problem.to_string())
            .hint("find a target that has followed; or go on without all that: `--accept-loss`"),
        problem => CliError::failed(problem.to_string()),
    })?;
    let (data, root, mirror) = (config.data.display(), config.root.display(), args.mirror.display());
    let lost = match &loss {
        Some(loss) => format!(
            "Lost: {loss}; the log says so. Ask whoever recorded consents or asked for erasures in that time to send them again. \
             What was spent of budgets stays spent.\n"
        ),
        None => "Nothing is lost of what the mirror knew of; it may not have heard of the last second.\n".to_owned(),
    };
    let words = format!(
        "Made {data} and {root} again; every piece and every leaf of the log was verified.\n{lost}The mirror is {mirror}: set \
         `mirror` to it, and `backup` to a target, before you serve.\nNext: silhouette serve\n"
    );
    let json = json!({ "data": config.data, "root": config.root, "mirror": args.mirror, "loss": loss.map(loss_json) });
    Ok(Shown::new(words, json))
}

fn loss_json(loss: Loss) -> Value {
    let Loss { frames, access, subject, after: _, until: _ } = loss;
    let range = |(from, before): (u64, u64)| json!({ "from": from, "before": before });
    json!({ "frames": range(frames), "access_leaves": range(access), "subject_leaves": range(subject) })
}

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
