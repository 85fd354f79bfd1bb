//! One person under two identifiers, over the wire: a visitor of the web shop who has a customer number.

use harness::gate::{Caller, Gate, Line, reason};
use harness::shop;
use proto::v1;
use proto::v1::consent_service_client::ConsentServiceClient;
use proto::v1::segment_service_client::SegmentServiceClient;
use proto::v1::stream_access_package_response::Message as Part;
use proto::v1::stream_records_request::Message;
use proto::v1::subject_service_client::SubjectServiceClient;
use tonic::{Response, Status};

const BOTH: &[&str] = &["marketing.segmentation", "identity.linking"];

/// A visitor who ordered plants and agreed to everything, as the web shop streams it.
fn visitor(dataset: &v1::Dataset, name: &str) -> Vec<v1::StreamRecordsRequest> {
    let mut header = shop::header(dataset);
    if let Some(Message::Header(header)) = &mut header.message {
        header.identity = "visitor".into();
    }
    let mut batch = shop::people("c", 1, &[]);
    batch.profiles.clear();
    batch.events[0] = v1::Event {
        subject: name.into(),
        id: 99,
        values: vec![shop::code(2), shop::number(900)],
        ..batch.events[0].clone()
    };
    batch.consents = BOTH.iter().map(|purpose| shop::consent(name, purpose)).collect();
    vec![header, shop::message(batch)]
}

async fn count(service: &Caller, text: &str) -> u64 {
    // The quota is enough for eight of these, and the noise for a wrong count once in a million.
    let question = v1::EstimateSizeRequest { spend: shop::rho("50"), ..shop::size_of(text) };
    let answer = SegmentServiceClient::new(service.line()).estimate_size(question).await.unwrap();
    answer.into_inner().release.unwrap().tables[0].cells[0].people
}

fn link(primary: &str, secondary: &str) -> v1::LinkSubjectsRequest {
    v1::LinkSubjectsRequest {
        dataset: shop::SHOP.into(),
        primary: primary.into(),
        secondary: secondary.into(),
        secondary_identity: "visitor".into(),
        ..Default::default()
    }
}

/// Reads a package to its end: how it begins, and how many events it has.
async fn package(subjects: &mut SubjectServiceClient<Line>, identity: &str) -> (v1::AccessPackageHeader, usize) {
    let about = v1::StreamAccessPackageRequest {
        dataset: shop::SHOP.into(),
        subject: "c-0".into(),
        identity: if identity == "customer" { String::new() } else { identity.to_owned() },
        ..Default::default()
    };
    let (mut parts, mut events) = (subjects.stream_access_package(about).await.unwrap().into_inner(), 0);
    let Some(Part::Header(header)) = parts.message().await.unwrap().unwrap().message else { panic!("no header") };
    while let Some(part) = parts.message().await.unwrap() {
        if let Some(Part::Events(held)) = part.message {
            events += held.events.len();
        }
    }
    (header, events)
}

fn refused<T>(answer: Result<Response<T>, Status>) -> String {
    reason(&answer.map(|_| ()).unwrap_err())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_and_a_customer_are_two_until_both_agree_to_be_one() {
    let gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    assert_eq!(dataset.identities[0].name, "visitor");
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let (portal, _) = gate.client("portal", v1::ClientRole::Portal, "", &[]).await;
    let (service, _) = gate.client("insights", v1::ClientRole::Service, "", &["marketing.segmentation"]).await;
    shop::stream(&producer, vec![shop::header(&dataset), shop::message(shop::people("c", 30, BOTH))]).await.unwrap();
    // The same text as a customer's number, and still somebody else.
    let acknowledged = shop::stream(&producer, visitor(&dataset, "c-0")).await.unwrap();
    assert!(acknowledged[0].rejected.is_empty(), "{acknowledged:?}");
    shop::close_epoch(&gate).await;
    let both = "order.where(category == \"pots\").any() && order.where(category == \"plants\").any()";
    assert_eq!((count(&service, "true").await, count(&service, both).await), (31, 0));

    let mut subjects = SubjectServiceClient::new(portal.line());
    let stranger = v1::LinkSubjectsRequest { secondary_identity: "phone".into(), ..link("c-0", "c-0") };
    assert_eq!(refused(subjects.link_subjects(stranger).await), "REQUEST_INVALID");
    let linked = subjects.link_subjects(link("c-0", "c-0")).await.unwrap().into_inner().request.unwrap();
    assert_eq!(linked.right, i32::from(v1::SubjectRight::Linking));
    assert_eq!(refused(subjects.link_subjects(link("c-1", "c-0")).await), "REQUEST_INVALID");
    assert_eq!(
        refused(SubjectServiceClient::new(service.line()).link_subjects(link("c-1", "c-0")).await),
        "PURPOSE_DENIED"
    );
    assert_eq!(count(&service, "order.any()").await, 30, "counted once from here on");
    shop::close_epoch(&gate).await;
    assert_eq!((count(&service, "true").await, count(&service, both).await), (30, 1));

    for (identity, text, other, primary) in [("visitor", "c-0", "customer", false), ("customer", "", "visitor", true)] {
        let (package, events) = package(&mut subjects, identity).await;
        assert_eq!((package.identity.as_str(), package.identifier.unwrap_or_default().text.as_str()), (identity, text));
        assert_eq!((package.links[0].identity.as_str(), package.links[0].primary), (other, primary));
        assert_eq!((package.event_types[0].count, events), (1, 1), "its own record");
    }

    // What the visitor takes back the customer is not used for either.
    let withdraw = v1::WithdrawRequest {
        dataset: shop::SHOP.into(),
        subject: "c-0".into(),
        identity: "visitor".into(),
        purpose: "marketing".into(),
        source: "web".into(),
        ..Default::default()
    };
    ConsentServiceClient::new(portal.line()).withdraw(withdraw).await.unwrap();
    assert_eq!(count(&service, "order.any()").await, 29);

    let v1::LinkSubjectsRequest { dataset: of, primary, secondary, secondary_identity, .. } = link("c-0", "c-0");
    let unlink =
        v1::UnlinkSubjectsRequest { dataset: of, primary, secondary, secondary_identity, ..Default::default() };
    subjects.unlink_subjects(unlink.clone()).await.unwrap();
    assert_eq!(refused(subjects.unlink_subjects(unlink).await), "REQUEST_INVALID");
    shop::close_epoch(&gate).await;
    assert_eq!((count(&service, "true").await, count(&service, both).await), (30, 0));
}
