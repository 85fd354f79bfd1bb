//! Clients, epochs, budgets, policies and the status, for stewards.

use super::{Answers, Service, keys, policies, schemas};
use crate::http::troubles;
use crate::insight::synopsis;
use crate::pipeline::{self, Call};
use crate::records::{self, Client};
use crate::status::Failure;
use crate::wire::{backup, budget, client, decimal, names, page, time};
use policy::decide::Reason;
use policy::id::ClientId;
use policy::permit::Verb;
use policy::schema::Schema;
use proto::v1;
use proto::v1::admin_service_server::AdminService;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl AdminService for Service {
    async fn create_client(
        &self,
        request: Request<v1::CreateClientRequest>,
    ) -> Result<Response<v1::CreateClientResponse>, Status> {
        pipeline::unary(&self.0, request, "AdminService/CreateClient", create).await
    }

    async fn list_clients(
        &self,
        request: Request<v1::ListClientsRequest>,
    ) -> Result<Response<v1::ListClientsResponse>, Status> {
        pipeline::unary(&self.0, request, "AdminService/ListClients", |call, request| {
            let v1::ListClientsRequest { page_size, page_token } = request;
            call.permit(Verb::ManageClients, None, None, &[])?;
            let clients = call.app.clients.load();
            let items = clients.values().map(|c| (names::of_client(&c.id), client::encode(c))).collect();
            let (clients, next_page_token) = page::cut(items, "clients", (page_size, &page_token))?;
            Ok(v1::ListClientsResponse { clients, next_page_token })
        })
        .await
    }

    async fn revoke_client(
        &self,
        request: Request<v1::RevokeClientRequest>,
    ) -> Result<Response<v1::RevokeClientResponse>, Status> {
        pipeline::unary(&self.0, request, "AdminService/RevokeClient", revoke).await
    }

    async fn close_epoch(
        &self,
        request: Request<v1::CloseEpochRequest>,
    ) -> Result<Response<v1::CloseEpochResponse>, Status> {
        pipeline::unary(&self.0, request, "AdminService/CloseEpoch", |call, request| {
            let v1::CloseEpochRequest { dataset, as_of_time, request_id } = request;
            call.take_request_id(&request_id)?;
            let schema = call.schema(&dataset)?;
            let permit = call.permit(Verb::Maintain, Some(&schema), None, &[])?;
            let as_of = as_of_time.map(|at| time::decode("as_of_time", at)).transpose()?.unwrap_or(call.now);
            let closed = call.app.vault.close_epoch(&permit, as_of, call.now)?;
            call.app.pace.begin_epoch(&schema.dataset);
            synopsis::draw_due(&call.app, &schema.dataset);
            Ok(v1::CloseEpochResponse { epoch: closed.epoch.0, as_of_time: Some(time::encode(closed.as_of)) })
        })
        .await
    }

    async fn get_budget(
        &self,
        request: Request<v1::GetBudgetRequest>,
    ) -> Result<Response<v1::GetBudgetResponse>, Status> {
        pipeline::unary(&self.0, request, "AdminService/GetBudget", |call, request| {
            let v1::GetBudgetRequest { dataset, client } = request;
            let schema = call.schema(&dataset)?;
            let own = call.principal.client.clone();
            let client = if client.is_empty() { own.clone() } else { names::client(&client)? };
            let permit = call.permit(Verb::ReadBudget, Some(&schema), None, &[])?;
            // Another's statement is for those who read the log or keep the clients.
            if client != own && call.permit(Verb::ReadLog, None, None, &[]).is_err() {
                call.permit(Verb::ManageClients, None, None, &[])?;
            }
            let statement = call.app.vault.budget(&permit, &client, call.now)?;
            let (extensions, budget) = (budget::extensions(&statement), budget::encode(&schema, &client, &statement));
            let synopsis_problem = call.app.synopses.lock().problem(&schema.dataset).unwrap_or_default().to_owned();
            Ok(v1::GetBudgetResponse { budget: Some(budget), extensions, synopsis_problem })
        })
        .await
    }

    async fn set_quota(&self, request: Request<v1::SetQuotaRequest>) -> Result<Response<v1::SetQuotaResponse>, Status> {
        pipeline::unary(&self.0, request, "AdminService/SetQuota", |call, request| {
            let v1::SetQuotaRequest { dataset, client, quota, request_id } = request;
            call.take_request_id(&request_id)?;
            let schema = call.schema(&dataset)?;
            let permit = call.permit(Verb::ManageClients, Some(&schema), None, &[])?;
            let client = registered(call, &client)?.id;
            let quota = decimal::decode("quota", &quota)?;
            call.app.vault.set_quota(&permit, &client, quota, call.now)?;
            Ok(v1::SetQuotaResponse { budget: Some(statement(call, &schema, &client)?) })
        })
        .await
    }

    async fn extend_budget(
        &self,
        request: Request<v1::ExtendBudgetRequest>,
    ) -> Result<Response<v1::ExtendBudgetResponse>, Status> {
        pipeline::unary(&self.0, request, "AdminService/ExtendBudget", extend).await
    }

    async fn publish_policies(
        &self,
        request: Request<v1::PublishPoliciesRequest>,
    ) -> Result<Response<v1::PublishPoliciesResponse>, Status> {
        pipeline::unary(&self.0, request, "AdminService/PublishPolicies", policies::publish).await
    }

    async fn get_policies(
        &self,
        request: Request<v1::GetPoliciesRequest>,
    ) -> Result<Response<v1::GetPoliciesResponse>, Status> {
        pipeline::unary(&self.0, request, "AdminService/GetPolicies", policies::current).await
    }

    async fn publish_schema(
        &self,
        request: Request<v1::PublishSchemaRequest>,
    ) -> Result<Response<v1::PublishSchemaResponse>, Status> {
        pipeline::unary(&self.0, request, "AdminService/PublishSchema", schemas::publish).await
    }

    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        pipeline::unary(&self.0, request, "AdminService/GetStatus", |call, _: v1::GetStatusRequest| {
            call.permit(Verb::Maintain, None, None, &[])?;
            let health = call.app.vault.health();
            let schemas = call.app.vault.schemas();
            let datasets = schemas.keys().map(|id| {
                let epoch = call.app.vault.epoch(id);
                v1::DatasetStatus {
                    dataset: names::of_dataset(id),
                    epoch: epoch.map_or(0, |epoch| epoch.epoch.0),
                    as_of_time: epoch.map(|epoch| time::encode(epoch.as_of)),
                }
            });
            Ok(v1::GetStatusResponse {
                serving: health.is_ok(),
                problem: health.err().unwrap_or_else(|| troubles(&call.app).collect::<Vec<_>>().join("; ")),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                datasets: datasets.collect(),
                backup: call.app.vault.backup_status().map(backup::encode),
                mirrored: call.app.config.mirror.is_some(),
            })
        })
        .await
    }

    async fn list_keys(&self, request: Request<v1::ListKeysRequest>) -> Result<Response<v1::ListKeysResponse>, Status> {
        pipeline::unary(&self.0, request, "AdminService/ListKeys", keys::list).await
    }

    type RotateKeysStream = Answers<v1::RotateKeysResponse>;

    async fn rotate_keys(
        &self,
        request: Request<v1::RotateKeysRequest>,
    ) -> Result<Response<Self::RotateKeysStream>, Status> {
        keys::rotate(self, request).await
    }

    async fn get_backup(
        &self,
        request: Request<v1::GetBackupRequest>,
    ) -> Result<Response<v1::GetBackupResponse>, Status> {
        pipeline::unary(&self.0, request, "AdminService/GetBackup", |call, _: v1::GetBackupRequest| {
            call.permit(Verb::Maintain, None, None, &[])?;
            let backup = call.app.vault.backup_status().map(backup::encode);
            Ok(v1::GetBackupResponse { backup, mirrored: call.app.config.mirror.is_some() })
        })
        .await
    }

    async fn ship_backup(
        &self,
        request: Request<v1::ShipBackupRequest>,
    ) -> Result<Response<v1::ShipBackupResponse>, Status> {
        pipeline::unary(&self.0, request, "AdminService/ShipBackup", |call, request| {
            let v1::ShipBackupRequest { request_id } = request;
            call.take_request_id(&request_id)?;
            let permit = call.permit(Verb::Maintain, None, None, &[])?;
            let status = call.app.vault.backup_now(&permit, call.now)?.ok_or_else(|| {
                let next = "name a folder on another disk or host as `backup` in the settings";
                Failure::refused(Reason::RequestInvalid, "no backup target is set", next)
            })?;
            Ok(v1::ShipBackupResponse { backup: Some(backup::encode(status)) })
        })
        .await
    }
}

fn statement(call: &Call, schema: &Schema, client: &ClientId) -> Result<v1::Budget, Failure> {
    let permit = call.permit(Verb::ReadBudget, Some(schema), None, &[])?;
    Ok(budget::encode(schema, client, &call.app.vault.budget(&permit, client, call.now)?))
}

fn extend(call: &mut Call, request: v1::ExtendBudgetRequest) -> Result<v1::ExtendBudgetResponse, Failure> {
    let v1::ExtendBudgetRequest { dataset, by, because, acknowledge_epsilon, validate_only, request_id } = request;
    call.take_request_id(&request_id)?;
    let schema = call.schema(&dataset)?;
    let permit = call.permit(Verb::ExtendBudget, Some(&schema), None, &[])?;
    let by = decimal::decode("by", &by)?;
    let vault = &call.app.vault;
    let extended = match validate_only {
        true => vault.plan_extension(&permit, by)?,
        false => vault.extend_budget(&permit, by, &because, &acknowledge_epsilon, call.now)?,
    };
    let client = call.principal.client.clone();
    let statement = vault.budget(&permit, &client, call.now)?;
    Ok(budget::extended(&extended, budget::encode(&schema, &client, &statement)))
}

fn create(call: &mut Call, request: v1::CreateClientRequest) -> Result<v1::CreateClientResponse, Failure> {
    let v1::CreateClientRequest { client_id, role, partner, purposes, public_key, request_id } = request;
    call.take_request_id(&request_id)?;
    let permit = call.permit(Verb::ManageClients, None, None, &[])?;
    let wanted = Client {
        id: ClientId::new(&client_id).map_err(|problem| Failure::invalid("client_id", problem.to_string()))?,
        role: client::role(role, &partner)?,
        purposes: client::purposes(&purposes)?,
        public_key: public_key.try_into().map_err(|_| Failure::invalid("public_key", "must be 32 bytes"))?,
        revoked: false,
        created: call.now,
    };
    if records::system().is_some_and(|system| system.client == wanted.id) {
        return Err(Failure::invalid("client_id", "is the gateway's own"));
    }
    let app = Arc::clone(&call.app);
    let _writing = app.writing.lock();
    if let Some(existing) = app.clients.load().get(&wanted.id) {
        if *existing == (Client { created: existing.created, ..wanted }) {
            return Ok(v1::CreateClientResponse { client: Some(client::encode(existing)) });
        }
        return Err(Failure::invalid("client_id", "is taken by another client; an id is never used twice"));
    }
    put(call, &permit, &wanted)?;
    Ok(v1::CreateClientResponse { client: Some(client::encode(&wanted)) })
}

fn revoke(call: &mut Call, request: v1::RevokeClientRequest) -> Result<v1::RevokeClientResponse, Failure> {
    let v1::RevokeClientRequest { name, request_id } = request;
    call.take_request_id(&request_id)?;
    let permit = call.permit(Verb::ManageClients, None, None, &[])?;
    let app = Arc::clone(&call.app);
    let _writing = app.writing.lock();
    let revoked = Client { revoked: true, ..registered(call, &name)? };
    put(call, &permit, &revoked)?;
    Ok(v1::RevokeClientResponse { client: Some(client::encode(&revoked)) })
}

fn registered(call: &Call, name: &str) -> Result<Client, Failure> {
    let id = names::client(name)?;
    call.app.clients.load().get(&id).cloned().ok_or_else(|| {
        Failure::refused(Reason::RequestInvalid, "there is no such client", "list the clients that are registered")
    })
}

fn put(call: &Call, permit: &policy::permit::Permit, client: &Client) -> Result<(), Failure> {
    let record = client.encode();
    call.app.vault.put_record(permit, records::CLIENTS, client.id.as_str(), Some(&record), call.now)?;
    call.app.reload_clients().map_err(|_| Failure::Defect("a stored client can't be read"))
}
