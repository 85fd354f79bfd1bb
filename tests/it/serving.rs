//! How the gateway serves and stops: TLS, health, keys, metrics, reflection, draining; and what a client that retries,
//! withdraws or shares gets.

use harness::gate::{Gate, reason};
use harness::shop;
use proto::v1;
use proto::v1::activation_service_client::ActivationServiceClient;
use proto::v1::admin_service_client::AdminServiceClient;
use proto::v1::consent_service_client::ConsentServiceClient;
use proto::v1::deliver_audience_response::Message;
use proto::v1::ingest_service_client::IngestServiceClient;
use proto::v1::segment_service_client::SegmentServiceClient;
use std::collections::BTreeSet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_comes_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = gateway::config::Tls { certificate, key };
    let gate = Gate::start_with(|config| config.tls = Some(tls.clone())).await;
    let trust = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(made.cert.pem())).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://localhost:{}", gate.bound.grpc.port())).unwrap();
    let channel = endpoint.clone().tls_config(trust).unwrap().connect().await.unwrap();
    let caller = gate.sign_in_over(channel, "steward", &gate.steward).await;
    let status = AdminServiceClient::new(caller.line()).get_status(v1::GetStatusRequest {}).await.unwrap();
    assert!(status.into_inner().serving);
    let plain = Endpoint::from_shared(format!("http://{}", gate.bound.grpc)).unwrap().connect().await;
    if let Ok(channel) = plain {
        let mut client = AdminServiceClient::new(channel);
        assert!(client.get_status(v1::GetStatusRequest {}).await.is_err(), "plain text was answered");
    }
    let untrusted = endpoint.tls_config(ClientTlsConfig::new()).unwrap().connect().await;
    assert!(untrusted.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_health_keys_and_metrics_without_values() {
    let gate = Gate::start().await;
    shop::create(&gate).await;
    assert!(get(gate.bound.admin, "/healthz").await.contains("200 OK"));
    let keys = get(gate.bound.http, "/.well-known/jwks.json").await;
    assert!(keys.contains("\"Ed25519\"") && !keys.contains("\"d\""), "{keys}");
    let metrics = get(gate.bound.admin, "/metrics").await;
    assert!(metrics.contains(r#"method="CatalogService/CreateDataset",outcome="OK"} 1"#), "{metrics}");
    assert!(metrics.contains("silhouette_serving 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_stop_in_the_middle_of_a_stream() {
    let gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let (send, messages) = tokio::sync::mpsc::channel(4);
    send.send(shop::header(&dataset)).await.unwrap();
    send.send(shop::message(shop::people("c", 12, &["marketing"]))).await.unwrap();
    let mut client = IngestServiceClient::new(producer.line());
    let messages = tokio_stream::wrappers::ReceiverStream::new(messages);
    let mut answers = client.stream_records(messages).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().profiles, 12);
    // The stream ends with its client; the gateway waits for it, and no longer than its drain.
    drop((send, answers, client, producer));
    let gate = gate.restart().await;
    shop::close_epoch(&gate).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &["marketing"]).await;
    let answer = SegmentServiceClient::new(insights.line()).estimate_size(shop::size_of("true")).await.unwrap();
    assert_eq!(answer.into_inner().release.unwrap().tables[0].cells[0].people, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_pays_once_and_a_withdrawal_counts_at_once() {
    let gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &["marketing"]).await;
    let messages = vec![shop::header(&dataset), shop::message(shop::people("c", 30, &["marketing"]))];
    shop::stream(&producer, messages).await.unwrap();
    shop::close_epoch(&gate).await;
    let mut client = SegmentServiceClient::new(insights.line());
    let mut ask =
        async |question: v1::EstimateSizeRequest| client.estimate_size(question).await.map(|a| a.into_inner());
    let id = "00000000-0000-4000-8000-000000000001";
    let north = v1::EstimateSizeRequest { request_id: id.into(), ..shop::size_of(r#"region == "north""#) };
    let first = ask(north.clone()).await.unwrap().release.unwrap();
    let second = ask(north).await.unwrap().release.unwrap();
    assert_eq!(first.tables, second.tables);
    assert_eq!(first.budget.unwrap().client_spent, second.budget.unwrap().client_spent, "a retry pays nothing");
    let other = v1::EstimateSizeRequest { request_id: id.into(), ..shop::size_of(r#"region == "south""#) };
    assert_eq!(reason(&ask(other).await.unwrap_err()), "REQUEST_ID_REUSED");

    let plan = v1::EstimateSizeRequest { validate_only: true, ..shop::size_of("true") };
    let planned = ask(plan).await.unwrap();
    assert!(planned.release.is_none());
    assert_eq!((planned.plan.clone().unwrap().rho.as_str(), planned.plan.unwrap().cells), ("100", 1));

    let withdraw = v1::WithdrawRequest {
        dataset: shop::SHOP.into(),
        subject: "c-0".into(),
        purpose: "marketing".into(),
        source: "portal".into(),
        ..Default::default()
    };
    ConsentServiceClient::new(producer.line()).withdraw(withdraw).await.unwrap();
    let after = ask(shop::size_of("true")).await.unwrap().release.unwrap();
    assert_eq!(after.tables[0].cells[0].people, 29);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_gets_pseudonyms_of_those_who_allowed_it() {
    let gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let sharing = "sharing.partner.acme";
    let (acme, _) = gate.client("acme-crm", v1::ClientRole::Partner, "acme", &[sharing]).await;
    let messages = vec![
        shop::header(&dataset),
        shop::message(shop::people("yes", 240, &[sharing])),
        shop::message(shop::people("no", 60, &["marketing"])),
    ];
    shop::stream(&producer, messages).await.unwrap();
    shop::close_epoch(&gate).await;
    let request = v1::DeliverAudienceRequest {
        dataset: shop::SHOP.into(),
        segment: shop::cel("order.any()"),
        tags: vec!["region".into()],
        r#use: shop::used(sharing),
        spend: shop::rho("100"),
        request_id: String::new(),
    };
    let mut client = ActivationServiceClient::new(acme.line());
    let mut answers = client.deliver_audience(request.clone()).await.unwrap().into_inner();
    let Some(Message::Header(header)) = answers.message().await.unwrap().unwrap().message else { unreachable!() };
    assert_eq!((header.members, header.tags.as_slice()), (240, ["region".to_owned()].as_slice()));
    let mut pseudonyms = BTreeSet::new();
    while let Some(message) = answers.message().await.unwrap() {
        let Some(Message::Members(rows)) = message.message else { unreachable!() };
        for member in rows.members {
            assert!(["north", "south"].contains(&member.tags[0].as_str()), "{:?}", member.tags);
            // With the dash: three letters alone come up by chance.
            assert!(!member.pseudonym.contains("yes-"));
            pseudonyms.insert(member.pseudonym);
        }
    }
    assert_eq!(pseudonyms.len(), 240);
    let sensitive = v1::DeliverAudienceRequest { tags: vec!["diet".into()], ..request };
    let refused = client.deliver_audience(sensitive).await.unwrap_err();
    assert_eq!(reason(&refused), "FIELD_UNAVAILABLE");
}
