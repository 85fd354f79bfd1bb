//! Versions of a dataset's description: publishing them, and reading what was published.

use super::catalog::{MAX_TOML, reads_catalog};
use crate::pipeline::Call;
use crate::status::Failure;
use crate::wire::{page, schema};
use policy::decide::Reason;
use policy::permit::Verb;
use policy::schema::{Schema, evolve};
use proto::v1;
use std::sync::Arc;

/// Publishes a version, or says what it would change.
pub(super) fn publish(
    call: &mut Call,
    request: v1::PublishSchemaRequest,
) -> Result<v1::PublishSchemaResponse, Failure> {
    let v1::PublishSchemaRequest { dataset, schema_toml, validate_only, request_id } = request;
    call.take_request_id(&request_id)?;
    let current = call.schema(&dataset)?;
    let permit = call.permit(Verb::ManageDataset, Some(&current), None, &[])?;
    if schema_toml.len() > MAX_TOML {
        return Err(Failure::invalid("schema_toml", "must be at most 256 KiB"));
    }
    let vault = &call.app.vault;
    let version = match validate_only {
        true => vault.compare_schema(&permit, &schema_toml)?,
        false => vault.publish_schema(&permit, &schema_toml, call.now)?,
    };
    let epoch = vault.epoch(&current.dataset);
    Ok(v1::PublishSchemaResponse {
        changes: version.differences.iter().map(ToString::to_string).collect(),
        dataset: Some(schema::dataset(&version.schema, version.number, epoch, &schema::Reader::Catalog)),
    })
}

/// Lists the versions of a description, without their texts.
pub(super) fn list(
    call: &mut Call,
    request: v1::ListSchemaVersionsRequest,
) -> Result<v1::ListSchemaVersionsResponse, Failure> {
    let v1::ListSchemaVersionsRequest { dataset, page_size, page_token } = request;
    let versions = versions(call, &dataset)?;
    // In the order of their numbers, written out.
    let named = |version: v1::SchemaVersion| (format!("{:010}", version.version), version);
    let items = described(&versions).map(named).collect();
    let (versions, next_page_token) = page::cut(items, &format!("versions {dataset}"), (page_size, &page_token))?;
    Ok(v1::ListSchemaVersionsResponse { versions, next_page_token })
}

/// Returns one version with its text.
pub(super) fn text(
    call: &mut Call,
    request: v1::GetSchemaVersionRequest,
) -> Result<v1::GetSchemaVersionResponse, Failure> {
    let v1::GetSchemaVersionRequest { dataset, version } = request;
    let versions = versions(call, &dataset)?;
    let place = match version.checked_sub(1) {
        None => versions.len().checked_sub(1),
        Some(place) => usize::try_from(place).ok(),
    };
    let texts = versions.first().map(|schema| call.app.vault.schema_texts(&schema.dataset)).unwrap_or_default();
    let found = place.and_then(|place| described(&versions).nth(place).zip(texts.into_iter().nth(place)));
    let (version, schema_toml) = found.ok_or_else(|| {
        let problem = format!("there is no such version: the last is {}", versions.len());
        Failure::refused(Reason::RequestInvalid, problem, "list the versions: `silhouette schema list DATASET`")
    })?;
    Ok(v1::GetSchemaVersionResponse { version: Some(v1::SchemaVersion { schema_toml, ..version }) })
}

/// Returns the versions, to whom may read the catalog.
fn versions(call: &mut Call, dataset: &str) -> Result<Vec<Arc<Schema>>, Failure> {
    let schema = call.schema(dataset)?;
    if !reads_catalog(call, &schema) {
        let next = "ask a steward, a producer or an officer";
        return Err(Failure::refused(Reason::PurposeDenied, "this client may not read descriptions", next));
    }
    Ok(call.app.vault.schema_versions(&schema.dataset))
}

fn described(versions: &[Arc<Schema>]) -> impl Iterator<Item = v1::SchemaVersion> {
    let before = std::iter::once(None).chain(versions.iter().map(Some));
    versions.iter().zip(before).zip(1_u32..).map(|((schema, before), version)| {
        let changes = before.and_then(|before| evolve(before, schema).ok());
        v1::SchemaVersion {
            version,
            current: usize::try_from(version).is_ok_and(|version| version == versions.len()),
            schema_hash: schema::hash(schema),
            changes: changes.iter().flat_map(|evolved| &evolved.differences).map(ToString::to_string).collect(),
            schema_toml: String::new(),
        }
    })
}
