//! Versions of a dataset's description.
//!
//! Guarantees: the text of every version is kept; a column, an event type and a code mean the same in all of them, so that
//! pieces and journals written under one are read under every later one: columns they don't have are missing. A version is
//! in the log before anything is accepted or answered under it.

use super::change::Change;
use super::commit::Outgoing;
use super::state::Dataset;
use super::write::{dataset_of, leaf_of, refuse, require};
use super::{Tree, Vault, VaultError};
use crate::log::{Kind, Leaf};
use policy::decide::{Reason, Refusal};
use policy::id::DatasetId;
use policy::permit::{Permit, Verb};
use policy::schema::{Difference, Evolved, Schema, evolve};
use policy::time::Timestamp;
use std::sync::Arc;

/// A version of a dataset's description, published or proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaVersion {
    /// Its number, from 1.
    pub number: u32,
    /// The description.
    pub schema: Arc<Schema>,
    /// What is different from the version before; nothing for one that is in force already.
    pub differences: Vec<Difference>,
}

impl Vault {
    /// Says what a description would change if it were published. Changes nothing.
    pub fn compare_schema(&self, permit: &Permit, schema_toml: &str) -> Result<SchemaVersion, VaultError> {
        require(permit, &[Verb::ManageDataset])?;
        let new = parse(permit, schema_toml)?;
        let mut state = self.lock()?;
        dataset_of(&mut state, permit)?.compare(&new)
    }

    /// Publishes a version of a dataset's description. One that changes nothing is in force already and stays so.
    pub fn publish_schema(
        &self,
        permit: &Permit,
        schema_toml: &str,
        now: Timestamp,
    ) -> Result<SchemaVersion, VaultError> {
        require(permit, &[Verb::ManageDataset])?;
        let new = parse(permit, schema_toml)?;
        let mut state = self.lock()?;
        let dataset = dataset_of(&mut state, permit)?;
        let version = dataset.compare(&new)?;
        if version.differences.is_empty() {
            return Ok(version);
        }
        let number = dataset.number;
        let leaf = leaf_of(permit, Kind::Dataset, "new version of the description", now);
        let leaf = Leaf { population: Some(version.schema.population.clone()), ..leaf };
        let leaf = leaf.count("version", version.number.into())?;
        dataset.describe(Arc::clone(&version.schema));
        let change = Change::Schema { number, version: version.number, schema_toml: schema_toml.to_owned() };
        let leaves = vec![(Tree::Access, leaf.to_json().into_bytes())];
        let ticket = self.commit(&mut state, Outgoing { leaves, changes: vec![change], ..Outgoing::default() })?;
        self.publish_schemas(&state);
        drop(state);
        ticket.wait()?;
        Ok(version)
    }

    /// Returns every version of a dataset's description, the first version first; none of an unknown dataset.
    pub fn schema_versions(&self, dataset: &DatasetId) -> Vec<Arc<Schema>> {
        let state = self.state.lock();
        let found = state.numbers.get(dataset).and_then(|number| state.datasets.get(number));
        found.map(|dataset| dataset.versions.clone()).unwrap_or_default()
    }

    /// Returns the text of every version of a dataset's description as it was published, the first version first.
    pub fn schema_texts(&self, dataset: &DatasetId) -> Vec<String> {
        let state = self.state.lock();
        let found = state.numbers.get(dataset).and_then(|number| state.shared.schemas.get(number));
        found.cloned().unwrap_or_default()
    }
}

fn mismatch(problem: String) -> VaultError {
    let next_step = "correct the description and send it again".to_owned();
    VaultError::Refused(Refusal { reason: Reason::SchemaMismatch, message: problem, next_step })
}

fn parse(permit: &Permit, schema_toml: &str) -> Result<Schema, VaultError> {
    let new = policy::schema::parse(schema_toml).map_err(|problem| mismatch(problem.to_string()))?;
    if permit.dataset() != Some(&new.dataset) {
        return refuse(
            Reason::SchemaMismatch,
            "the description is of another dataset",
            "name the dataset it describes",
        );
    }
    Ok(new)
}

impl Dataset {
    /// Returns the number of the version in force, from 1.
    pub(super) fn version(&self) -> u32 {
        u32::try_from(self.versions.len()).unwrap_or(u32::MAX)
    }

    fn compare(&self, new: &Schema) -> Result<SchemaVersion, VaultError> {
        let Evolved { schema, differences } =
            evolve(&self.schema, new).map_err(|problem| mismatch(problem.to_string()))?;
        if differences.is_empty() {
            return Ok(SchemaVersion { number: self.version(), schema: Arc::clone(&self.schema), differences });
        }
        Ok(SchemaVersion { number: self.version().saturating_add(1), schema: Arc::new(schema), differences })
    }

    /// Takes a checked version over.
    pub(super) fn describe(&mut self, schema: Arc<Schema>) {
        self.consent.extend(&schema);
        self.versions.push(Arc::clone(&schema));
        self.schema = schema;
    }
}
