//! Space on the disk, asked for before it is needed.
//!
//! What changes the state in memory first and then fails stops the vault. So whoever is about to do that with much to write
//! asks here before: a full disk is then a refusal, after which everything goes on, and what was refused is done when there is
//! space again. Does not: keep the space, which others may take meanwhile; then the vault stops, and says so.

use super::{Vault, VaultError};

/// Bytes that a commit of the key tree and the frames around it need, far above what they mostly do.
const COMMIT_BYTES: usize = 2 << 20;
/// What holds the space for a moment.
const BALLAST: &str = "space";

impl Vault {
    /// Refuses if the disk has no room for so many bytes of frames and a commit. Writes them, and takes them back.
    pub(super) fn check_space(&self, bytes: usize) -> Result<(), VaultError> {
        let (disk, path) = (&self.config.disk, self.config.data.join(BALLAST));
        let written = disk.write_whole(&path, &vec![0; bytes.saturating_add(COMMIT_BYTES)]).map(drop);
        let removed = disk.unlink(&path);
        written.and(removed).map_err(|error| VaultError::Io(format!("{}: {error}", self.config.data.display())))
    }
}
