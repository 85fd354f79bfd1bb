//! Tokens. The only method that is called without one.

use super::Service;
use crate::app::App;
use crate::authn::{self, TokenProblem};
use crate::pipeline::{self, Call};
use crate::status::Failure;
use crate::wire;
use policy::decide::Reason;
use policy::permit::Verb;
use policy::purpose::covers;
use proto::v1;
use proto::v1::token_service_server::TokenService;
use std::sync::Arc;
use tonic::{Request, Response, Status};

const EXCHANGE: &str = "TokenService/Exchange";

#[tonic::async_trait]
impl TokenService for Service {
    async fn exchange(&self, request: Request<v1::ExchangeRequest>) -> Result<Response<v1::ExchangeResponse>, Status> {
        let app = &self.0;
        let v1::ExchangeRequest { assertion, purposes } = request.into_inner();
        let call = identify(app, &assertion);
        let mut call = call.map_err(|problem| pipeline::refuse_anonymous(app, EXCHANGE, problem))?;
        let work = move || exchange(&mut call, &purposes).map_err(|failure| call.refuse(&failure));
        pipeline::blocking(app, EXCHANGE, work).await?.map(Response::new)
    }
}

/// Checks the assertion and burns it.
fn identify(app: &Arc<App>, assertion: &str) -> Result<Call, TokenProblem> {
    let id = authn::claimed_client(assertion)?;
    let now = app.clock.now();
    let clients = app.clients.load();
    let client = clients.get(&id).filter(|client| !client.revoked).ok_or(TokenProblem::Invalid)?;
    let claims = authn::check_assertion(assertion, &id, &client.public_key, app.authority.audience(), now)?;
    app.seen.mark(&id, &claims, now)?;
    Ok(Call::of(app, client.principal(client.purposes.clone()), EXCHANGE))
}

fn exchange(call: &mut Call, purposes: &[String]) -> Result<v1::ExchangeResponse, Failure> {
    let asked = wire::client::purposes(purposes)?;
    let registered = &call.principal.purposes;
    if !asked.iter().all(|purpose| registered.iter().any(|wider| covers(wider, purpose))) {
        return Err(Failure::refused(
            Reason::PurposeDenied,
            "a purpose asked for isn't registered for this client",
            "ask for fewer purposes, or ask a steward to register it",
        ));
    }
    let granted = if asked.is_empty() { registered.clone() } else { asked };
    let issued = call.app.authority.issue(&call.principal.client, granted, call.principal.role.name(), call.now);
    let issued = issued.map_err(|_| Failure::Defect("a token can't be signed"))?;
    let granted: Vec<String> = issued.claims.purposes.iter().map(ToString::to_string).collect();
    let permit = call.system_permit(Verb::IssueToken)?;
    call.app.vault.log_token(&permit, &call.principal.role, &issued.claims.jti, &granted, call.now)?;
    call.app.count(EXCHANGE, "OK");
    Ok(v1::ExchangeResponse {
        access_token: issued.jwt,
        expire_time: Some(wire::time::encode(policy::time::Timestamp::from_seconds(issued.claims.exp))),
        purposes: granted,
    })
}
