//! The log, read.

use super::Service;
use crate::pipeline::{self, Call};
use crate::status::Failure;
use crate::wire::{audit, names, page, subject, time};
use policy::permit::Verb;
use policy::schema::IdentityKind;
use proto::v1;
use proto::v1::audit_service_server::AuditService;
use tonic::{Request, Response, Status};
use vault::vault::{LeafEntry, LogFilter, Tree};

/// Leaves of a page by default, and at most.
const PAGE: (usize, usize) = (100, 1_000);

#[tonic::async_trait]
impl AuditService for Service {
    async fn search_log(
        &self,
        request: Request<v1::SearchLogRequest>,
    ) -> Result<Response<v1::SearchLogResponse>, Status> {
        pipeline::unary(&self.0, request, "AuditService/SearchLog", search).await
    }

    async fn explain_leaf(
        &self,
        request: Request<v1::ExplainLeafRequest>,
    ) -> Result<Response<v1::ExplainLeafResponse>, Status> {
        pipeline::unary(&self.0, request, "AuditService/ExplainLeaf", |call, request| {
            let v1::ExplainLeafRequest { tree, index } = request;
            let tree = audit::tree(tree)?;
            let entry = leaf(call, tree, index)?;
            let lines = audit::sentence(&entry.json).lines().map(str::to_owned).collect();
            Ok(v1::ExplainLeafResponse { event: Some(audit::encode(tree, &entry)), lines })
        })
        .await
    }

    async fn get_checkpoint(
        &self,
        request: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::GetCheckpointResponse>, Status> {
        pipeline::unary(&self.0, request, "AuditService/GetCheckpoint", |call, request| {
            let v1::GetCheckpointRequest { tree } = request;
            let permit = call.permit(Verb::ReadLog, None, None, &[])?;
            let checkpoint = call.app.vault.checkpoint(&permit, audit::tree(tree)?, call.now)?;
            Ok(v1::GetCheckpointResponse { checkpoint })
        })
        .await
    }

    async fn get_proof(&self, request: Request<v1::GetProofRequest>) -> Result<Response<v1::GetProofResponse>, Status> {
        pipeline::unary(&self.0, request, "AuditService/GetProof", |call, request| {
            let v1::GetProofRequest { tree, index } = request;
            let tree = audit::tree(tree)?;
            let entry = leaf(call, tree, index)?;
            let permit = call.permit(Verb::ReadLog, None, None, &[])?;
            let proof = call.app.vault.proof(&permit, tree, index, call.now)?;
            Ok(v1::GetProofResponse { proof, json: entry.json })
        })
        .await
    }

    async fn get_verifier_key(
        &self,
        request: Request<v1::GetVerifierKeyRequest>,
    ) -> Result<Response<v1::GetVerifierKeyResponse>, Status> {
        pipeline::unary(&self.0, request, "AuditService/GetVerifierKey", |call, request| {
            let v1::GetVerifierKeyRequest { tree } = request;
            let tree = audit::tree(tree)?;
            call.permit(Verb::ReadLog, None, None, &[])?;
            Ok(v1::GetVerifierKeyResponse { verifier_key: call.app.vault.log_vkey(tree) })
        })
        .await
    }
}

fn search(call: &mut Call, request: v1::SearchLogRequest) -> Result<v1::SearchLogResponse, Failure> {
    let permit = call.permit(Verb::ReadLog, None, None, &[])?;
    let (tree, filter, bound) = filter(call, &request)?;
    let size = page::size(request.page_size, PAGE.0, PAGE.1)?;
    let start = match page::position(&bound, &request.page_token)? {
        Some(position) => position.parse().map_err(|_| Failure::invalid("page_token", "is not from a page"))?,
        None => 0,
    };
    let (leaves, next) = call.app.vault.search_log(&permit, tree, &filter, start, size, call.now)?;
    Ok(v1::SearchLogResponse {
        events: leaves.iter().map(|entry| audit::encode(tree, entry)).collect(),
        next_page_token: next.map(|next| page::token(&bound, &next.to_string())).unwrap_or_default(),
    })
}

/// Reads a search. Also returns what its page tokens are bound to.
fn filter(call: &Call, request: &v1::SearchLogRequest) -> Result<(Tree, LogFilter, String), Failure> {
    let v1::SearchLogRequest {
        tree,
        client,
        dataset,
        subject: whose,
        purpose,
        decision,
        from_time,
        until_time,
        page_size: _,
        page_token: _,
        identity,
    } = request;
    let bound =
        format!("log {tree} {client} {dataset} {identity} {whose} {purpose} {decision} {from_time:?} {until_time:?}");
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let decision = match v1::LogDecision::try_from(*decision) {
        Ok(v1::LogDecision::Unspecified) => None,
        Ok(v1::LogDecision::Permit) => Some("permit".to_owned()),
        Ok(v1::LogDecision::Refuse) => Some("refuse".to_owned()),
        Err(_) => return Err(Failure::invalid("decision", "must be permit or refuse")),
    };
    let subject = match given(whose) {
        None => None,
        Some(_) if dataset.is_empty() => return Err(Failure::invalid("dataset", "is required with `subject`")),
        Some(text) => {
            let schemas = call.app.vault.schemas();
            let kind = match schemas.get(&names::dataset(dataset)?) {
                Some(schema) => subject::identity(schema, identity)?,
                None => IdentityKind::SUBJECT_KEY,
            };
            Some(subject::subject(kind, &text)?)
        }
    };
    let filter = LogFilter {
        client: given(client).map(|name| names::client(&name)).transpose()?,
        dataset: given(dataset).map(|name| names::dataset(&name)).transpose()?,
        subject,
        purpose: given(purpose),
        decision,
        from: from_time.map(|at| time::decode("from_time", at)).transpose()?,
        until: until_time.map(|at| time::decode("until_time", at)).transpose()?,
    };
    Ok((audit::tree(*tree)?, filter, bound))
}

/// Reads one leaf.
fn leaf(call: &Call, tree: Tree, index: u64) -> Result<LeafEntry, Failure> {
    let permit = call.permit(Verb::ReadLog, None, None, &[])?;
    let (leaves, _) = call.app.vault.search_log(&permit, tree, &LogFilter::default(), index, 1, call.now)?;
    let found = leaves.into_iter().find(|entry| entry.index == index);
    found.ok_or_else(|| Failure::invalid("index", "is beyond the end of the log"))
}
