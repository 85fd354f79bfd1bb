//! What two partners get of the same segment, through the gateway. The rules within one partner's audiences are tested
//! beside the vault's own delivery.

use harness::gate::{Caller, Gate, reason};
use harness::shop;
use policy::id::PartnerId;
use proto::v1;
use proto::v1::activation_service_client::ActivationServiceClient;
use proto::v1::consent_service_client::ConsentServiceClient;
use proto::v1::deliver_audience_response::Message;
use proto::v1::segment_service_client::SegmentServiceClient;
use std::collections::BTreeSet;
use tonic::Status;
use vault::pseudonym::{PseudonymError, parse_pseudonym};

const SHARING: [&str; 2] = ["sharing.partner.acme", "sharing.partner.bolt"];

fn request(purpose: &str, segment: Option<v1::SegmentSource>, tags: &[&str]) -> v1::DeliverAudienceRequest {
    v1::DeliverAudienceRequest {
        dataset: shop::SHOP.into(),
        segment,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        r#use: shop::used(purpose),
        spend: shop::rho("20"),
        request_id: String::new(),
    }
}

async fn deliver(caller: &Caller, request: v1::DeliverAudienceRequest) -> Result<Vec<v1::AudienceMember>, Status> {
    let mut answers = ActivationServiceClient::new(caller.line()).deliver_audience(request).await?.into_inner();
    let mut members = Vec::new();
    while let Some(answer) = answers.message().await? {
        if let Some(Message::Members(rows)) = answer.message {
            members.extend(rows.members);
        }
    }
    Ok(members)
}

async fn refused(caller: &Caller, request: v1::DeliverAudienceRequest) -> String {
    reason(&deliver(caller, request).await.unwrap_err())
}

fn named(name: &str) -> Option<v1::SegmentSource> {
    Some(v1::SegmentSource { source: Some(v1::segment_source::Source::Name(name.to_owned())) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_partners_get_nothing_to_join_on_and_nothing_they_were_not_granted() {
    let gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let (acme, _) = gate.client("acme-crm", v1::ClientRole::Partner, "acme", &SHARING[..1]).await;
    let (bolt, _) = gate.client("bolt-crm", v1::ClientRole::Partner, "bolt", &SHARING[1..]).await;
    let messages = vec![
        shop::header(&dataset),
        shop::message(shop::people("both", 300, &SHARING)),
        shop::message(shop::people("acme-only", 60, &SHARING[..1])),
        shop::message(shop::people("nobody", 100, &["marketing"])),
    ];
    shop::stream(&producer, messages).await.unwrap();
    shop::close_epoch(&gate).await;

    let everyone = || shop::cel("order.any()");
    let (ours, theirs) = (request(SHARING[0], everyone(), &["region"]), request(SHARING[1], everyone(), &["region"]));
    let (acmes, bolts) = (deliver(&acme, ours.clone()).await.unwrap(), deliver(&bolt, theirs.clone()).await.unwrap());
    assert_eq!((acmes.len(), bolts.len()), (360, 300));
    let mut codes = BTreeSet::new();
    for (name, other, members) in [("acme", "bolt", &acmes), ("bolt", "acme", &bolts)] {
        assert!(members.is_sorted_by(|a, b| a.pseudonym < b.pseudonym), "an order that tells nothing");
        for member in members {
            codes.insert(parse_pseudonym(&member.pseudonym, &PartnerId::new(name).unwrap()).unwrap());
            let foreign = parse_pseudonym(&member.pseudonym, &PartnerId::new(other).unwrap());
            assert_eq!(foreign, Err(PseudonymError::OtherPartner));
        }
    }
    assert_eq!(codes.len(), 660);

    // Neither a purpose nor a token opens another partner's audience.
    assert_eq!(refused(&acme, theirs.clone()).await, "PURPOSE_DENIED");
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &["marketing", "sharing"]).await;
    assert_eq!(refused(&insights, theirs).await, "PURPOSE_DENIED");

    // What services may name and partners may not: in the segment, in a stored one's universe, as a tag.
    let create = v1::CreateSegmentRequest {
        dataset: shop::SHOP.into(),
        segment_id: "online".into(),
        cel: "order.any()".into(),
        universe: r#"missing(channel)"#.into(),
        r#use: shop::used("marketing.segmentation"),
        ..Default::default()
    };
    let stored = SegmentServiceClient::new(insights.line()).create_segment(create).await.unwrap().into_inner();
    let stored = named(&stored.segment.unwrap().name);
    for (segment, tags) in [
        (shop::cel("missing(channel)"), &[][..]),
        (shop::cel(r#"diet == "any""#), &[]),
        (shop::cel(r#"unknown == "any""#), &[]),
        (stored, &[]),
        (everyone(), &["channel"]),
        (everyone(), &["diet"]),
        (everyone(), &["unknown"]),
        // Granted, and without coarse groups.
        (everyone(), &["age_band"]),
    ] {
        assert_eq!(
            refused(&acme, request(SHARING[0], segment.clone(), tags)).await,
            "FIELD_UNAVAILABLE",
            "{segment:?}"
        );
    }

    let withdraw = v1::WithdrawRequest {
        dataset: shop::SHOP.into(),
        subject: "both-7".into(),
        purpose: SHARING[0].into(),
        source: "portal".into(),
        ..Default::default()
    };
    ConsentServiceClient::new(producer.line()).withdraw(withdraw).await.unwrap();
    let names =
        |members: &[v1::AudienceMember]| members.iter().map(|member| member.pseudonym.clone()).collect::<BTreeSet<_>>();
    let after = deliver(&acme, ours.clone()).await.unwrap();
    assert_eq!(after.len(), 359);
    assert!(names(&after).is_subset(&names(&acmes)));
    shop::close_epoch(&gate).await;
    assert_eq!(deliver(&acme, ours).await.unwrap().len(), 359);
    let few = request(SHARING[1], shop::cel(r#"age_band == "55+" && region == "north""#), &[]);
    assert_eq!(refused(&bolt, few).await, "AUDIENCE_TOO_SMALL");
}
