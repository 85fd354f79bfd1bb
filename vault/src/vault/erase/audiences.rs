//! Taking people out of what partners hold and held, as far as the gateway remembers it.

use super::super::deliver::{decode, encode};
use super::super::journal_keys::SHARED_PLACE;
use super::super::recipients::is_of;
use super::super::recover::SHARED_STATE;
use super::super::state::State;
use super::super::{Vault, VaultError};
use super::Erasing;
use crate::fold::pieces::Writer;
use crate::keys::Changes;
use policy::id::EpochId;
use policy::schema::Schema;
use std::path::PathBuf;

impl Vault {
    /// Takes the people out of what partners hold and held, as far as the gateway remembers it. If anybody was in it, or of
    /// anybody something is or was held by law, the gateway's own state is written anew, the key of its journal destroyed, and the
    /// file that was replaced returned: then the state that says what is held comes with the pieces that it is left in.
    pub(super) fn strip_audiences(
        &self,
        state: &mut State,
        erasing: &Erasing,
        schema: &Schema,
        changes: &mut Changes,
    ) -> Result<Option<Vec<PathBuf>>, VaultError> {
        let damaged = |problem: &str| VaultError::damaged("held audience", problem);
        let mut found = !erasing.held.is_empty() || !erasing.after.is_empty();
        let held =
            state.shared.held.iter_mut().filter(|(holder, _)| dataset_in(holder) == Some(schema.dataset.as_str()));
        for audience in held.flat_map(|(_, audiences)| audiences) {
            let left_out = audience.terms.as_mut().map(|terms| &mut terms.left_out);
            for text in [&mut audience.members, &mut audience.blanked].into_iter().chain(left_out) {
                let people = decode(text).ok_or_else(|| damaged("it does not parse"))?;
                if !people.is_disjoint(&erasing.people) {
                    *text = encode(&(people - &erasing.people));
                    found = true;
                }
            }
        }
        let past = state.shared.past.iter_mut().filter(|(whose, _)| is_of(whose, schema.dataset.as_str()));
        for (_, deliveries) in past {
            let people = deliveries.people().ok_or_else(|| damaged("it does not parse"))?;
            if !people.is_disjoint(&erasing.people) {
                deliveries.people = encode(&(people - &erasing.people));
                found = true;
            }
        }
        if !found {
            return Ok(None);
        }
        self.restate_shared(state, changes).map(Some)
    }

    /// Writes the gateway's own state anew, so that no frame is needed for it, and lets go of the key of its journal.
    /// Returns the file that is replaced. The caller notes the last frame that is in it.
    pub(in crate::vault) fn restate_shared(
        &self,
        state: &mut State,
        changes: &mut Changes,
    ) -> Result<Vec<PathBuf>, VaultError> {
        let home = self.dataset_dir(0);
        self.settle_folder(&home)?;
        let next_file = || self.file_number();
        let disk = &self.config.disk;
        let writer = Writer { disk, dir: &home, dataset: 0, schema_version: 1, next_file: &next_file };
        let unwritable = |_| VaultError::damaged("shared state", "it can't be written");
        let bytes = serde_json::to_vec(&state.shared).map_err(unwritable)?;
        let piece = writer.write_state(0, SHARED_STATE, &bytes)?;
        disk.sync_folder(&home).map_err(|error| VaultError::Io(error.to_string()))?;
        let gone = self.replace(changes, &piece, EpochId(0), &state.tree.entries());
        state.key_uses.retire(SHARED_PLACE);
        state.journal.retire(SHARED_PLACE);
        Ok(gone.into_iter().collect())
    }
}

/// Returns the dataset of a holder of audiences, `partner/purpose/dataset/epoch`.
fn dataset_in(holder: &str) -> Option<&str> {
    holder.rsplit('/').nth(1)
}
