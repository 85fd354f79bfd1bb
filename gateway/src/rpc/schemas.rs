//! Publishing versions of a dataset's description.

use super::catalog::MAX_TOML;
use crate::pipeline::Call;
use crate::status::Failure;
use crate::wire::schema;
use policy::permit::Verb;
use proto::v1;

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
