//! Audiences for partners. Rows are let out message by message, when the transport asks for the next: who withdrew
//! meanwhile is left out, and a withdrawal returns once the rows that missed it are with the transport.

use super::Service;
use crate::insight::question::View;
use crate::pace;
use crate::pipeline::{self, Call};
use crate::status::Failure;
use crate::wire::{decimal, names};
use policy::decide::Reason;
use policy::id::PartnerId;
use policy::permit::{Permit, Role, Verb};
use policy::privacy::{DEFAULT_SIZE_RHO, NanoRho};
use policy::treatment::Treatment;
use proto::v1;
use proto::v1::activation_service_server::ActivationService;
use proto::v1::deliver_audience_response::Message;
use std::pin::Pin;
use std::sync::Arc;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};
use vault::audience::{Audience, AudienceQuestion, Emission};

const RPC: &str = "ActivationService/DeliverAudience";

/// Most tags of a member: more would single people out and be blanked anyway.
const MAX_TAGS: usize = 8;

/// Members of one message: about 64 KiB.
const MEMBERS_A_MESSAGE: usize = 1_000;

#[tonic::async_trait]
impl ActivationService for Service {
    type DeliverAudienceStream = Pin<Box<dyn Stream<Item = Result<v1::DeliverAudienceResponse, Status>> + Send>>;

    async fn deliver_audience(
        &self,
        request: Request<v1::DeliverAudienceRequest>,
    ) -> Result<Response<Self::DeliverAudienceStream>, Status> {
        let delivered = pipeline::unary(&self.0, request, RPC, deliver).await?;
        Ok(delivered.map(|(header, delivery)| {
            let header = tokio_stream::once(Ok(v1::DeliverAudienceResponse { message: Some(Message::Header(header)) }));
            let stream: Self::DeliverAudienceStream = Box::pin(header.chain(delivery.rows()));
            stream
        }))
    }
}

/// An audience whose rows leave one message after the other.
struct Delivery {
    call: Call,
    permit: Permit,
    audience: Audience,
}

impl Delivery {
    fn rows(self) -> impl Stream<Item = Result<v1::DeliverAudienceResponse, Status>> + Send {
        let starts = (0..self.audience.len()).step_by(MEMBERS_A_MESSAGE);
        let delivery = Arc::new(self);
        tokio_stream::iter(starts).then(move |start| Arc::clone(&delivery).message(start))
    }

    async fn message(self: Arc<Self>, start: usize) -> Result<v1::DeliverAudienceResponse, Status> {
        let app = Arc::clone(&self.call.app);
        let work = move || self.emit(start).map_err(|failure| self.call.refuse(&failure));
        let emission = pipeline::blocking(&app, RPC, work).await??;
        // The emission is held until the message is made and this future ends: in the same poll it goes to the transport.
        let members = emission.members.iter().map(|member| v1::AudienceMember {
            pseudonym: member.pseudonym.clone(),
            tags: member.tags.iter().map(|tag| tag.clone().unwrap_or_default()).collect(),
        });
        let message = Message::Members(v1::AudienceMembers { members: members.collect() });
        Ok(v1::DeliverAudienceResponse { message: Some(message) })
    }

    fn emit(&self, start: usize) -> Result<Emission, Failure> {
        self.call.still_welcome()?;
        let now = self.call.app.clock.now();
        Ok(self.call.app.vault.emit(&self.permit, &self.audience, start, MEMBERS_A_MESSAGE, now)?)
    }
}

fn deliver(call: &mut Call, request: v1::DeliverAudienceRequest) -> Result<(v1::AudienceHeader, Delivery), Failure> {
    let v1::DeliverAudienceRequest { dataset, segment, tags, r#use, spend, request_id } = request;
    call.take_request_id(&request_id)?;
    let Role::Partner(partner) = call.principal.role.clone() else {
        return Err(Failure::refused(
            Reason::PurposeDenied,
            "audiences are delivered to partners only",
            "call as a partner's client",
        ));
    };
    let view = View::open(call, &dataset, r#use, Verb::Audience)?;
    if segment.as_ref().is_none_or(|source| source.source.is_none()) {
        return Err(Failure::invalid("segment", "is required"));
    }
    if tags.len() > MAX_TAGS {
        return Err(Failure::invalid("tags", format!("must be at most {MAX_TAGS}")));
    }
    let (segment, universe) = view.segments(call, segment, "")?;
    let fields: Vec<_> = tags.iter().map(|path| view.closed_field("tags", path)).collect::<Result<_, _>>()?;
    let needs: Vec<_> = fields.iter().map(|field| (*field, Treatment::Generalise)).collect();
    let permit = view.permit(call, [&segment, &universe], &needs)?;
    let rho = price(spend)?;
    let question = AudienceQuestion { partner: partner.clone(), universe, segment, tags: fields, rho };
    call.pace(&view.schema.dataset, pace::Kind::Audience);
    let audience = call.app.vault.audience(&permit, &question, call.now)?;
    let header = header(&audience, &partner, tags);
    Ok((header, Delivery { call: call.again(), permit, audience }))
}

fn price(spend: Option<v1::Spend>) -> Result<NanoRho, Failure> {
    use proto::v1::spend::Spend;
    match spend.and_then(|spend| spend.spend) {
        None => Ok(DEFAULT_SIZE_RHO),
        Some(Spend::Rho(text)) => decimal::decode("spend.rho", &text),
        Some(Spend::HalfWidth(_)) => Err(Failure::invalid("spend", "must be a price")),
    }
}

fn header(audience: &Audience, partner: &PartnerId, tags: Vec<String>) -> v1::AudienceHeader {
    v1::AudienceHeader {
        name: format!("{}/audiences/{}", names::of_partner(partner), audience.leaf),
        tags,
        leaf: audience.leaf,
        rho: audience.rho.to_string(),
        members: u64::try_from(audience.len()).unwrap_or(u64::MAX),
    }
}
