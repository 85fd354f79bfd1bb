//! Consent and its withdrawal.

use super::Service;
use crate::pipeline::{self, Call};
use crate::status::Failure;
use crate::wire::{consent, subject};
use policy::consent::LawfulBasis;
use policy::permit::Verb;
use proto::v1;
use proto::v1::consent_service_server::ConsentService;
use tonic::{Request, Response, Status};

/// Most events of one call.
const MAX_EVENTS: usize = 10_000;

#[tonic::async_trait]
impl ConsentService for Service {
    async fn record_consents(
        &self,
        request: Request<v1::RecordConsentsRequest>,
    ) -> Result<Response<v1::RecordConsentsResponse>, Status> {
        pipeline::unary(&self.0, request, "ConsentService/RecordConsents", record).await
    }

    async fn withdraw(&self, request: Request<v1::WithdrawRequest>) -> Result<Response<v1::WithdrawResponse>, Status> {
        pipeline::unary(&self.0, request, "ConsentService/Withdraw", withdraw).await
    }
}

fn record(call: &mut Call, request: v1::RecordConsentsRequest) -> Result<v1::RecordConsentsResponse, Failure> {
    let v1::RecordConsentsRequest { dataset, consents, request_id, identity } = request;
    call.take_request_id(&request_id)?;
    let schema = call.schema(&dataset)?;
    let permit = call.permit(Verb::RecordConsent, Some(&schema), None, &[])?;
    if !(1..=MAX_EVENTS).contains(&consents.len()) {
        return Err(Failure::invalid("consents", format!("must be 1 to {MAX_EVENTS} events")));
    }
    let kind = subject::identity(&schema, &identity)?;
    let events = consents.into_iter().enumerate();
    let events =
        events.map(|(at, event)| consent::decode(kind, event).map_err(|problem| consent::failure(at, problem)));
    let events: Vec<_> = events.collect::<Result<_, _>>()?;
    let receipt = call.app.vault.record_consents(&permit, events, call.now)?;
    Ok(v1::RecordConsentsResponse { recorded: receipt.consents, leaf: receipt.leaf })
}

fn withdraw(call: &mut Call, request: v1::WithdrawRequest) -> Result<v1::WithdrawResponse, Failure> {
    let v1::WithdrawRequest { dataset, subject, purpose, at_micros, source, request_id, method, identity } = request;
    call.take_request_id(&request_id)?;
    let schema = call.schema(&dataset)?;
    let permit = call.permit(Verb::RecordConsent, Some(&schema), None, &[])?;
    let event = v1::ConsentEvent {
        subject,
        purpose,
        basis: consent::of_basis(LawfulBasis::Consent).into(),
        act: v1::ConsentAct::Withdraw.into(),
        at_micros: at_micros.unwrap_or(call.now.0),
        expire_micros: None,
        source,
        notice: String::new(),
        method,
        language: String::new(),
    };
    let kind = subject::identity(&schema, &identity)?;
    let event = consent::decode(kind, event).map_err(|(part, problem)| Failure::invalid(part, problem))?;
    let receipt = call.app.vault.record_consents(&permit, vec![event], call.now)?;
    Ok(v1::WithdrawResponse { leaf: receipt.leaf })
}
