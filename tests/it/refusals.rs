//! Refusals beyond those at the door: what money, retries, schemas, transports and faults say, and what the log keeps.

use harness::gate::{Caller, Gate, reason};
use harness::shop;
use proto::v1;
use proto::v1::audit_service_client::AuditServiceClient;
use proto::v1::catalog_service_client::CatalogServiceClient;
use proto::v1::segment_service_client::SegmentServiceClient;
use std::path::Path;
use tonic::{Code, Status};
use tonic_types::StatusExt;

const PURPOSE: &str = "marketing.segmentation";

async fn size(caller: &Caller, question: v1::EstimateSizeRequest) -> Result<v1::Release, Status> {
    let answer = SegmentServiceClient::new(caller.line()).estimate_size(question).await?;
    Ok(answer.into_inner().release.unwrap())
}

async fn filled(gate: &Gate) {
    let dataset = shop::create(gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let messages = vec![shop::header(&dataset), shop::message(shop::people("c", 12, &["marketing"]))];
    shop::stream(&producer, messages).await.unwrap();
    shop::close_epoch(gate).await;
}

/// Sentences and leaves of refusals in the access log, as an officer finds them.
async fn refusals(gate: &Gate) -> Vec<v1::AuditEvent> {
    let (officer, _) = gate.client("officer", v1::ClientRole::Officer, "", &[]).await;
    let decision = v1::LogDecision::Refuse.into();
    let request = v1::SearchLogRequest { page_size: 1000, decision, ..Default::default() };
    AuditServiceClient::new(officer.line()).search_log(request).await.unwrap().into_inner().events
}

/// A metadata value of a status's error info.
fn metadata(status: &Status, key: &str) -> Option<String> {
    status.get_error_details().error_info().unwrap().metadata.get(key).cloned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_expression_says_where() {
    let gate = Gate::start().await;
    filled(&gate).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &[PURPOSE]).await;
    let place = async |text: &str| {
        let status = size(&insights, shop::size_of(text)).await.unwrap_err();
        (reason(&status), metadata(&status, "line").unwrap(), metadata(&status, "column").unwrap())
    };
    let invalid = |line: &str, column: &str| ("EXPRESSION_INVALID".to_owned(), line.to_owned(), column.to_owned());
    assert_eq!(place("region == \"north\" &&\n  age_band == 7").await, invalid("2", "15"));
    let (unknown, line, column) = place("region == \"north\" &&\n  agee == 7").await;
    assert_eq!((unknown.as_str(), line.as_str(), column.as_str()), ("FIELD_UNAVAILABLE", "2", "3"));
    assert_eq!(place("region ==").await.0, "EXPRESSION_INVALID");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prices_run_out_and_retries_are_told_apart() {
    let gate = Gate::start().await;
    filled(&gate).await;
    let mut clients = Vec::new();
    for id in ["one", "two", "three"] {
        clients.push(gate.client(id, v1::ClientRole::Service, "", &[PURPOSE]).await.0);
    }
    let at = |rho: &str, text: &str| v1::EstimateSizeRequest { spend: shop::rho(rho), ..shop::size_of(text) };
    let refused = async |caller: &Caller, question: v1::EstimateSizeRequest, code: Code| {
        let status = size(caller, question).await.unwrap_err();
        assert_eq!(status.code(), code, "{status:?}");
        assert_eq!(metadata(&status, "request_id").unwrap().len(), 36);
        reason(&status)
    };
    // A quarter's cap is 1,000 and a client's quota half of it.
    assert_eq!(refused(&clients[0], at("500.1", "true"), Code::InvalidArgument).await, "PRICE_ABOVE_CAP");
    size(&clients[0], at("499", "true")).await.unwrap();
    let north = || at("2", "region == \"north\"");
    assert_eq!(refused(&clients[0], north(), Code::ResourceExhausted).await, "QUOTA_EXHAUSTED");
    size(&clients[1], at("499.5", "region == \"south\"")).await.unwrap();
    assert_eq!(refused(&clients[2], north(), Code::ResourceExhausted).await, "BUDGET_EXHAUSTED");

    let id = "0189d8f0-aaaa-4bbb-8ccc-0123456789ab";
    let with_id = |text: &str| v1::EstimateSizeRequest { request_id: id.into(), ..at("0.5", text) };
    size(&clients[2], with_id("region == \"north\"")).await.unwrap();
    let other = with_id("region == \"south\"");
    assert_eq!(refused(&clients[2], other, Code::InvalidArgument).await, "REQUEST_ID_REUSED");
    let no_uuid = v1::EstimateSizeRequest { request_id: "7".into(), ..shop::size_of("true") };
    assert_eq!(refused(&clients[2], no_uuid, Code::InvalidArgument).await, "REQUEST_INVALID");

    let events = refusals(&gate).await;
    for reason in ["PRICE_ABOVE_CAP", "QUOTA_EXHAUSTED", "BUDGET_EXHAUSTED", "REQUEST_ID_REUSED", "REQUEST_INVALID"] {
        let found = events.iter().find(|event| event.json.contains(&format!("\"{reason}\"")));
        assert!(found.is_some_and(|event| !event.sentence.is_empty()), "{reason} is not in the log");
    }
    assert!(events.iter().all(|event| !event.json.contains("north")), "a refusal repeats no literal");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused_by_reason_and_counted_together() {
    let mut gate = Gate::start().await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &[PURPOSE]).await;
    gate.config.audience = "elsewhere".into();
    let gate = gate.restart().await;
    let insights = gate.nobody().await.with_token(&insights.token());
    let (nobody, nonsense) = (gate.nobody().await, insights.with_token("a.b.c"));
    let ask = async |caller: &Caller| {
        let request = v1::ListDatasetsRequest { r#use: shop::used(PURPOSE), ..Default::default() };
        let status = CatalogServiceClient::new(caller.line()).list_datasets(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
        reason(&status)
    };
    assert_eq!(ask(&insights).await, "AUDIENCE_MISMATCH");
    assert_eq!(ask(&nonsense).await, "TOKEN_INVALID");
    for _ in 0..5 {
        assert_eq!(ask(&nobody).await, "TOKEN_MISSING");
    }
    // Stopping writes the counts of the last second.
    let gate = gate.restart().await;
    let counts: Vec<_> =
        refusals(&gate).await.into_iter().filter(|event| event.json.contains("\"anonymous_refusals\"")).collect();
    assert!((1..=7).contains(&counts.len()), "{counts:?}");
    for reason in ["TOKEN_MISSING", "TOKEN_INVALID", "AUDIENCE_MISMATCH"] {
        assert!(counts.iter().any(|event| event.json.contains(reason)), "{reason}: {counts:?}");
    }
    assert!(counts.iter().all(|event| !event.json.contains("insights")), "nobody is named before they are known");
}

/// Changes every byte of every file under a folder.
fn damage(folder: &Path) -> usize {
    let mut damaged = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            damaged += damage(&path);
            continue;
        }
        let bytes: Vec<u8> = std::fs::read(&path).unwrap().iter().map(|byte| byte ^ 1).collect();
        std::fs::write(&path, bytes).unwrap();
        damaged += 1;
    }
    damaged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_of_ours_says_internal_and_nothing_else() {
    let gate = Gate::start().await;
    filled(&gate).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &[PURPOSE]).await;
    assert!(damage(&gate.config.data.join("blocks")) > 0);
    let status = size(&insights, shop::size_of("region == \"north\"")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Internal, "INTERNAL"));
    assert_eq!(status.message(), "the gateway failed; tell the steward this request id");
    let details = status.get_error_details();
    let keys: Vec<_> = details.error_info().unwrap().metadata.keys().cloned().collect();
    assert!(keys.iter().all(|key| ["next_step", "request_id"].contains(&key.as_str())), "{keys:?}");
    assert!(refusals(&gate).await.iter().any(|event| event.json.contains("\"INTERNAL\"")));
}

/// Sends bytes to a method as some client would, and returns the status of the answer's head or trailers.
async fn raw(gate: &Gate, caller: &Caller, path: &str, headers: &[(&str, &str)], body: &'static [u8]) -> Status {
    use http_body_util::BodyExt;
    let socket = tokio::net::TcpStream::connect(gate.bound.grpc).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(socket);
    let (mut line, connection) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let mut request = http::Request::post(format!("http://{}{path}", gate.bound.grpc))
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", caller.token()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = http_body_util::Full::new(bytes::Bytes::from_static(body));
    let answer = line.send_request(request.body(body).unwrap()).await.unwrap();
    let head = Status::from_header_map(answer.headers());
    let trailers = answer.into_body().collect().await.unwrap().trailers().cloned().unwrap_or_default();
    head.or_else(|| Status::from_header_map(&trailers)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_transport_refuses_has_a_reason() {
    const SIZE: &str = "/silhouette.v1.SegmentService/EstimateSize";
    const GRPC: (&str, &str) = ("content-type", "application/grpc");
    let gate = Gate::start().await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &[PURPOSE]).await;
    let cases: [(&str, &[(&str, &str)], &'static [u8], Code); 6] = [
        ("/silhouette.v1.SegmentService/Nothing", &[GRPC], &[0, 0, 0, 0, 0], Code::Unimplemented),
        ("/nothing", &[GRPC], &[0, 0, 0, 0, 0], Code::Unimplemented),
        // Not a message.
        (SIZE, &[GRPC], &[0, 0, 0, 0, 2, 0xff, 0xff], Code::Internal),
        // Compressed, without a word about how.
        (SIZE, &[GRPC], &[1, 0, 0, 0, 1, 0], Code::Internal),
        (SIZE, &[GRPC, ("grpc-encoding", "snappy")], &[1, 0, 0, 0, 1, 0], Code::Unimplemented),
        // Ends within a message.
        (SIZE, &[GRPC], &[0, 0, 0, 0, 9, 0], Code::Internal),
    ];
    for (path, headers, body, code) in cases {
        let status = raw(&gate, &insights, path, headers, body).await;
        assert_eq!((status.code(), reason(&status).as_str()), (code, "REQUEST_INVALID"), "{path} {body:?}");
    }
    let events = refusals(&gate).await;
    let logged = |what: &str| events.iter().filter(|event| event.json.contains(what)).count();
    assert_eq!((logged("unknown method"), logged("SegmentService/EstimateSize")), (2, 4), "{events:?}");
}
