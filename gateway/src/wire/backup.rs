//! The state of the backup.

use proto::v1;
use vault::backup::BackupStatus;

/// Encodes how far a target has followed.
pub fn encode(status: BackupStatus) -> v1::Backup {
    let BackupStatus { target, shipped, current, missing, problem } = status;
    v1::Backup {
        target: target.display().to_string(),
        shipped,
        current,
        missing_pieces: missing,
        problem: problem.unwrap_or_default(),
    }
}
