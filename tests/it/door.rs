//! Who gets in, and what the gateway says to those who don't: every refusal typed, with a next step, and in the log.

use harness::gate::{Caller, Gate, reason};
use harness::shop;
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;
use proto::v1::audit_service_client::AuditServiceClient;
use proto::v1::catalog_service_client::CatalogServiceClient;
use proto::v1::insight_service_client::InsightServiceClient;
use proto::v1::segment_service_client::SegmentServiceClient;
use proto::v1::token_service_client::TokenServiceClient;
use std::time::Duration;
use tonic::{Code, Request, Status};

const SEGMENTATION: &str = "marketing.segmentation";

async fn size(caller: &Caller, request: v1::EstimateSizeRequest) -> Result<v1::Release, Status> {
    let answer = SegmentServiceClient::new(caller.line()).estimate_size(request).await?;
    Ok(answer.into_inner().release.unwrap())
}

/// Asks with a deadline that only the gateway watches: tonic's client would give up by itself.
async fn with_timeout(gate: &Gate, caller: &Caller, question: v1::EstimateSizeRequest, timeout: &str) -> Status {
    let socket = tokio::net::TcpStream::connect(gate.bound.grpc).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(socket);
    let (mut line, connection) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let message = prost::Message::encode_to_vec(&question);
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    let request = http::Request::post(format!("http://{}/silhouette.v1.SegmentService/EstimateSize", gate.bound.grpc))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", caller.token()))
        .header("grpc-timeout", timeout)
        .body(http_body_util::Full::new(bytes::Bytes::from(body)))
        .unwrap();
    Status::from_header_map(line.send_request(request).await.unwrap().headers()).unwrap()
}

async fn log(gate: &Gate) -> Vec<v1::AuditEvent> {
    let (officer, _) = gate.client("officer", v1::ClientRole::Officer, "", &[]).await;
    let mut events = Vec::new();
    for tree in [v1::LogTree::Access, v1::LogTree::Subject] {
        let request = v1::SearchLogRequest { tree: tree.into(), page_size: 1000, ..Default::default() };
        let answer = AuditServiceClient::new(officer.line()).search_log(request).await.unwrap();
        events.extend(answer.into_inner().events);
    }
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_from_ingest_to_portrait_and_log_holds() {
    let gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &["marketing"]).await;
    let batch = shop::people("c", 60, &["marketing"]);
    let mut refused = shop::people("d", 1, &[]);
    refused.profiles[0].values[0] = shop::code(9);
    let messages = vec![shop::header(&dataset), shop::message(batch), shop::message(refused)];
    let acknowledged = shop::stream(&producer, messages).await.unwrap();
    assert_eq!((acknowledged[0].profiles, acknowledged[0].events, acknowledged[0].consents), (60, 60, 60));
    assert_eq!(acknowledged[1].rejected[0].field, "age_band");
    shop::close_epoch(&gate).await;

    let release = size(&insights, shop::size_of(r#"age_band == "18-34""#)).await.unwrap();
    assert_eq!(release.tables[0].cells[0].people, 20);
    assert!(release.charged && release.not_private);
    let again = size(&insights, shop::size_of(r#"age_band in ["18-34"]"#)).await.unwrap();
    assert!(!again.charged, "the same question is free");
    assert_eq!(again.tables, release.tables);

    let request = v1::PortraitRequest {
        dataset: shop::SHOP.into(),
        segment: shop::cel("order.any()"),
        fields: vec!["age_band".into(), "region".into(), "order.category".into()],
        r#use: shop::used("marketing.portrait"),
        // So that a wrong rounding has probability under 1e-6: the noise of a cell is less than a tenth of a person.
        spend: shop::rho("300"),
        ..Default::default()
    };
    let portrait = InsightServiceClient::new(insights.line()).portrait(request).await.unwrap().into_inner();
    assert_eq!(portrait.total_people, 60);
    let tables = portrait.release.unwrap().tables;
    let people = |n: usize| tables[n].cells.iter().map(|cell| cell.people).collect::<Vec<_>>();
    assert_eq!((people(0), people(1), people(2)), (vec![0, 20, 20, 20], vec![0, 30, 30], vec![0, 30, 30]));

    let events = log(&gate).await;
    for kind in ["dataset", "record", "token_issue", "ingest", "epoch", "intent", "outcome", "log_read"] {
        assert!(events.iter().any(|event| event.json.contains(&format!("\"{kind}\""))), "no {kind} leaf");
    }
    assert!(events.iter().all(|event| !event.sentence.is_empty()));
    let gate = gate.restart().await;
    let insights = gate.nobody().await.with_token(&insights.token());
    let kept = size(&insights, shop::size_of(r#"age_band == "18-34""#)).await.unwrap();
    assert_eq!((kept.tables, kept.charged), (release.tables, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_is_typed_and_in_the_log() {
    let gate = Gate::start_with(|config| config.message_bytes = 64 * 1024).await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &[SEGMENTATION]).await;
    let messages = vec![shop::header(&dataset), shop::message(shop::people("c", 10, &["marketing"]))];
    shop::stream(&producer, messages).await.unwrap();
    let question = || shop::size_of(r#"region == "north""#);

    let mut seen = Vec::new();
    let mut refused = |what: &str, outcome: Result<v1::Release, Status>, code: Code, expected: &str| {
        let status = outcome.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected), "{what}: {}", status.message());
        seen.push(expected.to_owned());
        status
    };
    refused("no epoch", size(&insights, question()).await, Code::FailedPrecondition, "EPOCH_NOT_CLOSED");
    shop::close_epoch(&gate).await;
    let purpose = v1::EstimateSizeRequest { r#use: shop::used("marketing.portrait"), ..question() };
    refused("another purpose", size(&insights, purpose).await, Code::PermissionDenied, "PURPOSE_DENIED");
    refused("another role", size(&producer, question()).await, Code::PermissionDenied, "PURPOSE_DENIED");
    let broken = size(&insights, shop::size_of("region == ")).await;
    let status = refused("broken", broken, Code::InvalidArgument, "EXPRESSION_INVALID");
    assert!(status.message().contains("line 1"), "{}", status.message());
    let (hidden, unknown) = (shop::size_of(r#"diet == "any""#), shop::size_of(r#"dien == "any""#));
    let hidden = refused("not granted", size(&insights, hidden).await, Code::PermissionDenied, "FIELD_UNAVAILABLE");
    let unknown = refused("unknown", size(&insights, unknown).await, Code::PermissionDenied, "FIELD_UNAVAILABLE");
    assert_eq!(hidden.message(), unknown.message(), "a hidden field looks like one that doesn't exist");
    let dear = v1::EstimateSizeRequest { spend: shop::rho("100000"), ..question() };
    refused("too dear", size(&insights, dear).await, Code::InvalidArgument, "PRICE_ABOVE_CAP");
    let malformed = v1::EstimateSizeRequest { dataset: "shop".into(), ..question() };
    refused("malformed", size(&insights, malformed).await, Code::InvalidArgument, "REQUEST_INVALID");
    let large = shop::size_of(&"x".repeat(70 * 1024));
    refused("too large", size(&insights, large).await, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    let hurried = with_timeout(&gate, &insights, question(), "1n").await;
    refused("too late", Err(hurried), Code::DeadlineExceeded, "DEADLINE_EXCEEDED");

    let by = |fields: &[&str]| v1::BreakdownRequest {
        dataset: shop::SHOP.into(),
        by: fields.iter().map(|field| (*field).to_owned()).collect(),
        r#use: shop::used(SEGMENTATION),
        ..Default::default()
    };
    for fields in [["diet"], ["dien"]] {
        let status = InsightServiceClient::new(insights.line()).breakdown(by(&fields)).await.unwrap_err();
        assert_eq!(reason(&status), "FIELD_UNAVAILABLE");
    }
    seen.push("FIELD_UNAVAILABLE".into());
    let stale = v1::Dataset { schema_hash: vec![0; 32], ..dataset.clone() };
    let status = shop::stream(&producer, vec![shop::header(&stale)]).await.unwrap_err();
    assert_eq!(reason(&status), "SCHEMA_MISMATCH");
    let mut huge = shop::people("h", 1, &[]);
    huge.profiles[0].subject = "x".repeat(70 * 1024);
    let status = shop::stream(&producer, vec![shop::header(&dataset), shop::message(huge)]).await.unwrap_err();
    assert_eq!(reason(&status), "MESSAGE_TOO_LARGE");
    seen.push("SCHEMA_MISMATCH".into());

    let events = log(&gate).await;
    for reason in seen {
        let found = events.iter().any(|e| e.json.contains("\"refuse\"") && e.json.contains(&format!("\"{reason}\"")));
        assert!(found, "{reason} is not in the log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_without_a_good_token() {
    let gate = Gate::start().await;
    let (insights, key) = gate.client("insights", v1::ClientRole::Service, "", &[SEGMENTATION]).await;
    let nobody = gate.nobody().await;
    let ask = async |caller: &Caller| {
        let request = v1::ListDatasetsRequest { r#use: shop::used(SEGMENTATION), ..Default::default() };
        CatalogServiceClient::new(caller.line()).list_datasets(request).await
    };
    let refused = async |caller: &Caller| {
        let status = ask(caller).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
        reason(&status)
    };
    assert!(ask(&insights).await.is_ok());
    assert_eq!(refused(&nobody).await, "TOKEN_MISSING");
    assert_eq!(refused(&insights.with_token("nonsense")).await, "TOKEN_INVALID");
    let assertion = key.assertion("insights", "silhouette", gate.clock.now()).unwrap();
    assert_eq!(refused(&insights.with_token(&assertion)).await, "TOKEN_INVALID");

    let exchange = async |assertion: &str| {
        let request = v1::ExchangeRequest { assertion: assertion.to_owned(), purposes: Vec::new() };
        TokenServiceClient::new(nobody.line()).exchange(request).await
    };
    assert!(exchange(&assertion).await.is_ok());
    assert_eq!(reason(&exchange(&assertion).await.unwrap_err()), "TOKEN_INVALID", "an assertion is good once");
    let elsewhere = key.assertion("insights", "elsewhere", gate.clock.now()).unwrap();
    assert_eq!(reason(&exchange(&elsewhere).await.unwrap_err()), "AUDIENCE_MISMATCH");
    let stranger = gateway::authn::ClientKey::generate().unwrap();
    let forged = stranger.assertion("insights", "silhouette", gate.clock.now()).unwrap();
    assert_eq!(reason(&exchange(&forged).await.unwrap_err()), "TOKEN_INVALID");
    let wider = v1::ExchangeRequest {
        assertion: key.assertion("insights", "silhouette", gate.clock.now()).unwrap(),
        purposes: vec!["marketing".into()],
    };
    let status = TokenServiceClient::new(nobody.line()).exchange(wider).await.unwrap_err();
    assert_eq!(reason(&status), "PURPOSE_DENIED");

    let revoke = v1::RevokeClientRequest { name: "clients/insights".into(), request_id: String::new() };
    let (fleeting, _) = gate.client("fleeting", v1::ClientRole::Service, "", &[SEGMENTATION]).await;
    AdminServiceClient::new(gate.steward().await.line()).revoke_client(revoke).await.unwrap();
    assert_eq!(refused(&insights).await, "TOKEN_INVALID", "a revoked client's tokens end at once");
    gate.clock.advance(Duration::from_secs(301));
    assert_eq!(refused(&fleeting).await, "TOKEN_EXPIRED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_transport_refuses_is_typed_too() {
    let gate = Gate::start().await;
    let steward = gate.steward().await;
    let mut raw = tonic::client::Grpc::new(steward.line());
    raw.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<v1::GetStatusRequest, v1::GetStatusResponse>::default();
    let path = http::uri::PathAndQuery::from_static("/silhouette.v1.AdminService/NoSuchMethod");
    let status = raw.unary(Request::new(v1::GetStatusRequest {}), path, codec).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unimplemented, "REQUEST_INVALID"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_callers_send_is_not_repeated() {
    const PLANTED: &str = "qzxv7planted4word";
    let gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &["marketing"]).await;
    let mut told: Vec<String> = Vec::new();
    let mut hear = |status: Status| told.push(format!("{status:?}"));

    let ask = async |question| size(&insights, question).await.unwrap_err();
    for cel in [
        format!("region == \"{PLANTED}\""),
        format!("{PLANTED} == 1"),
        format!("region == {PLANTED}("),
        format!("order.last(\"{PLANTED}\").any()"),
        format!("\"{PLANTED}"),
    ] {
        hear(ask(shop::size_of(&cel)).await);
    }
    let question = || shop::size_of("true");
    hear(ask(v1::EstimateSizeRequest { dataset: format!("datasets/{PLANTED}"), ..question() }).await);
    hear(ask(v1::EstimateSizeRequest { r#use: shop::used(&format!("marketing.{PLANTED}")), ..question() }).await);
    hear(ask(v1::EstimateSizeRequest { r#use: shop::used(PLANTED), ..question() }).await);
    hear(ask(v1::EstimateSizeRequest { spend: shop::rho(PLANTED), ..question() }).await);
    hear(ask(v1::EstimateSizeRequest { request_id: PLANTED.into(), ..question() }).await);
    hear(size(&insights.with_token(PLANTED), question()).await.unwrap_err());
    let request = v1::ExchangeRequest { assertion: PLANTED.into(), purposes: vec![PLANTED.into()] };
    hear(TokenServiceClient::new(insights.line()).exchange(request).await.unwrap_err());
    let mut headed = Request::new(v1::ListDatasetsRequest { page_token: PLANTED.into(), ..Default::default() });
    headed.metadata_mut().insert("x-name", PLANTED.parse().unwrap());
    hear(CatalogServiceClient::new(producer.line()).list_datasets(headed).await.unwrap_err());

    let mut bad = shop::people(PLANTED, 3, &[]);
    bad.profiles[0].values[0] = v1::Value { kind: Some(v1::value::Kind::Identifier(PLANTED.into())) };
    bad.profiles[1].values.clear();
    bad.events[0].layout = 7;
    bad.consents.push(v1::ConsentEvent { purpose: format!("{PLANTED}!"), ..shop::consent(PLANTED, "marketing") });
    let acknowledged = shop::stream(&producer, vec![shop::header(&dataset), shop::message(bad)]).await.unwrap();
    assert_eq!(acknowledged[0].rejected.len(), 4);
    told.push(format!("{acknowledged:?}"));
    told.extend(log(&gate).await.into_iter().map(|event| format!("{} {}", event.json, event.sentence)));
    for text in told {
        assert!(!text.contains(PLANTED), "{text}");
    }
}
