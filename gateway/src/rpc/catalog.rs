//! Datasets and their schemas.

use super::{Service, schemas};
use crate::pipeline::{self, Call};
use crate::status::Failure;
use crate::wire::{names, page, schema};
use policy::decide::Reason;
use policy::permit::Verb;
use policy::schema::Schema;
use proto::v1;
use proto::v1::catalog_service_server::CatalogService;
use tonic::{Request, Response, Status};

/// Longest description in bytes.
pub(super) const MAX_TOML: usize = 256 * 1024;

#[tonic::async_trait]
impl CatalogService for Service {
    async fn create_dataset(
        &self,
        request: Request<v1::CreateDatasetRequest>,
    ) -> Result<Response<v1::CreateDatasetResponse>, Status> {
        pipeline::unary(&self.0, request, "CatalogService/CreateDataset", create).await
    }

    async fn get_dataset(
        &self,
        request: Request<v1::GetDatasetRequest>,
    ) -> Result<Response<v1::GetDatasetResponse>, Status> {
        pipeline::unary(&self.0, request, "CatalogService/GetDataset", |call, request| {
            let v1::GetDatasetRequest { name, r#use } = request;
            let schema = call.schema(&name)?;
            Ok(v1::GetDatasetResponse { dataset: Some(describe(call, &schema, r#use)?) })
        })
        .await
    }

    async fn list_datasets(
        &self,
        request: Request<v1::ListDatasetsRequest>,
    ) -> Result<Response<v1::ListDatasetsResponse>, Status> {
        pipeline::unary(&self.0, request, "CatalogService/ListDatasets", list).await
    }

    async fn list_schema_versions(
        &self,
        request: Request<v1::ListSchemaVersionsRequest>,
    ) -> Result<Response<v1::ListSchemaVersionsResponse>, Status> {
        pipeline::unary(&self.0, request, "CatalogService/ListSchemaVersions", schemas::list).await
    }

    async fn get_schema_version(
        &self,
        request: Request<v1::GetSchemaVersionRequest>,
    ) -> Result<Response<v1::GetSchemaVersionResponse>, Status> {
        pipeline::unary(&self.0, request, "CatalogService/GetSchemaVersion", schemas::text).await
    }
}

fn create(call: &mut Call, request: v1::CreateDatasetRequest) -> Result<v1::CreateDatasetResponse, Failure> {
    let v1::CreateDatasetRequest { schema_toml, validate_only, request_id } = request;
    call.take_request_id(&request_id)?;
    let permit = call.permit(Verb::ManageDataset, None, None, &[])?;
    if schema_toml.len() > MAX_TOML {
        return Err(Failure::invalid("schema_toml", "must be at most 256 KiB"));
    }
    let parsed = policy::schema::parse(&schema_toml)
        .map_err(|problem| Failure::invalid("schema_toml", format!("doesn't fit: {problem}")))?;
    let existing = call.app.vault.schemas().get(&parsed.dataset).cloned();
    match existing {
        Some(existing) if *existing != parsed => {
            return Err(Failure::refused(
                Reason::SchemaMismatch,
                "a dataset of this name exists with another description",
                "choose another name, or publish a new version of its description: `silhouette schema apply`",
            ));
        }
        None if !validate_only => call.app.vault.create_dataset(&permit, &schema_toml, call.now)?,
        Some(_) | None => {}
    }
    let epoch = call.app.vault.epoch(&parsed.dataset);
    let version = version(call, &parsed).max(1);
    Ok(v1::CreateDatasetResponse { dataset: Some(schema::dataset(&parsed, version, epoch, &schema::Reader::Catalog)) })
}

fn list(call: &mut Call, request: v1::ListDatasetsRequest) -> Result<v1::ListDatasetsResponse, Failure> {
    let v1::ListDatasetsRequest { page_size, page_token, r#use } = request;
    let bound = format!("datasets {:?}", r#use);
    let mut found = Vec::new();
    for (id, schema) in call.app.vault.schemas().iter() {
        // What a caller may not describe is not there for it.
        if let Ok(dataset) = describe(call, schema, r#use.clone()) {
            found.push((names::of_dataset(id), dataset));
        }
    }
    let (datasets, next_page_token) = page::cut(found, &bound, (page_size, &page_token))?;
    Ok(v1::ListDatasetsResponse { datasets, next_page_token })
}

/// Describes a dataset as far as the caller may know it.
fn describe(call: &mut Call, schema: &Schema, used: Option<v1::Use>) -> Result<v1::Dataset, Failure> {
    let epoch = call.app.vault.epoch(&schema.dataset);
    let version = version(call, schema);
    let catalog = reads_catalog(call, schema);
    if catalog && used.is_none() {
        return Ok(schema::dataset(schema, version, epoch, &schema::Reader::Catalog));
    }
    let used_for = call.used_for(schema, used)?;
    let permit = call.permit(Verb::Release, Some(schema), Some(&used_for), &[]);
    match permit {
        Ok(permit) => {
            let table = |field| permit.treatment(field);
            let reader = if catalog { schema::Reader::CatalogFor(&table) } else { schema::Reader::Granted(&table) };
            Ok(schema::dataset(schema, version, epoch, &reader))
        }
        Err(_) if catalog => Ok(schema::dataset(schema, version, epoch, &schema::Reader::Catalog)),
        Err(refused) => Err(refused),
    }
}

/// Returns the number of the last version of a dataset's description; 0 if there is none.
fn version(call: &Call, schema: &Schema) -> u32 {
    u32::try_from(call.app.vault.schema_versions(&schema.dataset).len()).unwrap_or(u32::MAX)
}

/// Returns whether a caller may read the catalog: whoever writes data, keeps datasets, or reads the log.
pub(super) fn reads_catalog(call: &Call, schema: &Schema) -> bool {
    let may = |verb, dataset| call.permit(verb, dataset, None, &[]).is_ok();
    may(Verb::Ingest, Some(schema)) || may(Verb::ManageDataset, None) || may(Verb::ReadLog, None)
}
