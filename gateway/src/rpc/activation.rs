//! Audiences for partners.

use super::{Answers, Service};
use crate::insight::question::View;
use crate::pace;
use crate::pipeline::{self, Call};
use crate::status::Failure;
use crate::wire::{decimal, names};
use policy::decide::Reason;
use policy::permit::{Role, Verb};
use policy::privacy::{DEFAULT_SIZE_RHO, NanoRho};
use policy::treatment::Treatment;
use proto::v1;
use proto::v1::activation_service_server::ActivationService;
use proto::v1::deliver_audience_response::Message;
use tonic::{Request, Response, Status};
use vault::audience::{Audience, AudienceQuestion};

/// Most tags of a member: more would single people out and be blanked anyway.
const MAX_TAGS: usize = 8;

/// Members of one message: about 64 KiB.
const MEMBERS_A_MESSAGE: usize = 1_000;

#[tonic::async_trait]
impl ActivationService for Service {
    type DeliverAudienceStream = Answers<v1::DeliverAudienceResponse>;

    async fn deliver_audience(
        &self,
        request: Request<v1::DeliverAudienceRequest>,
    ) -> Result<Response<Self::DeliverAudienceStream>, Status> {
        let delivered = pipeline::unary(&self.0, request, "ActivationService/DeliverAudience", deliver).await?;
        let (send, receive) = tokio::sync::mpsc::channel(4);
        let messages = delivered.into_inner();
        tokio::spawn(async move {
            for message in messages {
                if send.send(Ok(v1::DeliverAudienceResponse { message: Some(message) })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Answers::new(receive)))
    }
}

fn deliver(call: &mut Call, request: v1::DeliverAudienceRequest) -> Result<Vec<Message>, Failure> {
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
    Ok(messages(audience, &format!("{}/audiences", names::of_partner(&partner)), tags))
}

fn price(spend: Option<v1::Spend>) -> Result<NanoRho, Failure> {
    use proto::v1::spend::Spend;
    match spend.and_then(|spend| spend.spend) {
        None => Ok(DEFAULT_SIZE_RHO),
        Some(Spend::Rho(text)) => decimal::decode("spend.rho", &text),
        Some(Spend::HalfWidth(_)) => Err(Failure::invalid("spend", "must be a price")),
    }
}

fn messages(audience: Audience, parent: &str, tags: Vec<String>) -> Vec<Message> {
    let Audience { members, leaf, rho } = audience;
    let header = v1::AudienceHeader {
        name: format!("{parent}/{leaf}"),
        tags,
        leaf,
        rho: rho.to_string(),
        members: u64::try_from(members.len()).unwrap_or(u64::MAX),
    };
    let rows = members.chunks(MEMBERS_A_MESSAGE).map(|members| {
        let members = members.iter().map(|member| v1::AudienceMember {
            pseudonym: member.pseudonym.clone(),
            tags: member.tags.iter().map(|tag| tag.clone().unwrap_or_default()).collect(),
        });
        Message::Members(v1::AudienceMembers { members: members.collect() })
    });
    std::iter::once(Message::Header(header)).chain(rows).collect()
}
