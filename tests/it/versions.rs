//! A description that gets a new version while producers and consumers go on as before.

use harness::gate::{Caller, Gate, reason};
use harness::shop::{self, SCHEMA, SHOP};
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;
use proto::v1::catalog_service_client::CatalogServiceClient;
use proto::v1::segment_service_client::SegmentServiceClient;
use tonic::Status;

/// The shop's description with a city, and orders with a till.
fn wider() -> String {
    let city = "[[attributes]]\nname = \"city\"\nclass = \"quasi_identifier\"\ntype = \"enum\"\ndomain = [\"hill\", \"lake\"]\n[[events]]";
    let till = "\n[[events.fields]]\nname = \"till\"\nclass = \"behavioral\"\ntype = \"bool\"\n";
    SCHEMA.replacen("[[events]]", city, 1) + till
}

fn without_regions() -> String {
    wider().replacen("name = \"region\"", "name = \"region\"\ndeprecated = true", 1)
}

async fn publish(
    steward: &Caller,
    schema_toml: &str,
    validate_only: bool,
) -> Result<v1::PublishSchemaResponse, Status> {
    let request = v1::PublishSchemaRequest {
        dataset: SHOP.to_owned(),
        schema_toml: schema_toml.to_owned(),
        validate_only,
        request_id: String::new(),
    };
    AdminServiceClient::new(steward.line()).publish_schema(request).await.map(tonic::Response::into_inner)
}

async fn people_of(caller: &Caller, segment: &str) -> Result<u64, Status> {
    let answer = SegmentServiceClient::new(caller.line()).estimate_size(shop::size_of(segment)).await?;
    Ok(answer.into_inner().release.unwrap().tables[0].cells[0].people)
}

/// A header of the wider description that sets the city.
fn city_header(dataset: &v1::Dataset) -> v1::StreamRecordsRequest {
    let header = v1::IngestHeader {
        dataset: dataset.name.clone(),
        schema_hash: dataset.schema_hash.clone(),
        attributes: vec!["city".into()],
        events: Vec::new(),
        identity: String::new(),
    };
    v1::StreamRecordsRequest { message: Some(v1::stream_records_request::Message::Header(header)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn producers_and_questions_go_on_over_a_new_version() {
    let gate = Gate::start().await;
    let first = shop::create(&gate).await;
    assert_eq!(first.schema_version, 1);
    let steward = gate.steward().await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &["marketing"]).await;
    let batch = || shop::message(shop::people("a", 12, &["marketing"]));
    shop::stream(&producer, vec![shop::header(&first), batch()]).await.unwrap();
    shop::close_epoch(&gate).await;

    // Who may not describe learns nothing; a dry run publishes nothing; then it is in force.
    assert_eq!(reason(&publish(&producer, &wider(), false).await.unwrap_err()), "PURPOSE_DENIED");
    let proposed = publish(&steward, &wider(), true).await.unwrap();
    assert_eq!(proposed.changes.len(), 2);
    assert!(proposed.changes[0].starts_with("`city` is new"), "{:?}", proposed.changes);
    let published = publish(&steward, &wider(), false).await.unwrap();
    let second = published.dataset.unwrap();
    assert_eq!((published.changes, second.schema_version), (proposed.changes, 2));
    assert_eq!(publish(&steward, &wider(), false).await.unwrap().changes, [""; 0]);
    let refused = publish(&steward, SCHEMA, false).await.unwrap_err();
    assert_eq!(reason(&refused), "SCHEMA_MISMATCH");
    assert!(refused.message().contains("`city`: was removed") && refused.message().contains("deprecated = true"));
    let request = v1::GetDatasetRequest { name: SHOP.to_owned(), r#use: None };
    let described = CatalogServiceClient::new(producer.line()).get_dataset(request).await.unwrap();
    assert_eq!(described.into_inner().dataset.unwrap().schema_hash, second.schema_hash);

    // What was published can be read again, by those who may read the catalog.
    let request =
        || v1::ListSchemaVersionsRequest { dataset: SHOP.to_owned(), page_size: 1, page_token: String::new() };
    let page = CatalogServiceClient::new(producer.line()).list_schema_versions(request()).await.unwrap().into_inner();
    let next = v1::ListSchemaVersionsRequest { page_token: page.next_page_token.clone(), ..request() };
    let last = CatalogServiceClient::new(producer.line()).list_schema_versions(next).await.unwrap().into_inner();
    let listed = |page: &v1::ListSchemaVersionsResponse| (page.versions[0].version, page.versions[0].changes.len());
    assert_eq!((listed(&page), listed(&last), last.next_page_token.as_str()), ((1, 0), (2, 2), ""));
    assert!(last.versions[0].current && last.versions[0].schema_toml.is_empty());
    let text = async |caller: &Caller, version| {
        let request = v1::GetSchemaVersionRequest { dataset: SHOP.to_owned(), version };
        let answer = CatalogServiceClient::new(caller.line()).get_schema_version(request).await?;
        Ok::<_, Status>(answer.into_inner().version.unwrap().schema_toml)
    };
    assert_eq!(text(&producer, 1).await.unwrap(), SCHEMA);
    assert_eq!(text(&steward, 0).await.unwrap(), wider());
    assert_eq!(reason(&text(&steward, 3).await.unwrap_err()), "REQUEST_INVALID");
    assert_eq!(reason(&text(&insights, 1).await.unwrap_err()), "PURPOSE_DENIED");

    // One producer encodes as before, another with the new version.
    let more = shop::message(shop::people("b", 6, &["marketing"]));
    let taken = shop::stream(&producer, vec![shop::header(&first), more]).await.unwrap();
    assert_eq!((taken[0].profiles, taken[0].events, taken[0].rejected.len()), (6, 6, 0));
    let profile = |subject: &str| v1::Profile { subject: subject.to_owned(), values: vec![shop::code(2)] };
    let cities = v1::RecordBatch { sequence: 1, profiles: vec![profile("a-0"), profile("b-0")], ..Default::default() };
    shop::stream(&producer, vec![city_header(&second), shop::message(cities.clone())]).await.unwrap();
    let unknown = v1::Dataset { schema_hash: vec![7; 32], ..second.clone() };
    let refused = shop::stream(&producer, vec![city_header(&unknown), shop::message(cities)]).await.unwrap_err();
    assert_eq!(reason(&refused), "SCHEMA_MISMATCH");
    assert_eq!(people_of(&insights, "known(city)").await.unwrap(), 0, "the epoch closed before");
    let gate = gate.restart().await;
    shop::close_epoch(&gate).await;
    let (insights, _) = gate.client("more", v1::ClientRole::Service, "", &["marketing"]).await;
    assert_eq!(people_of(&insights, "true").await.unwrap(), 18);
    assert_eq!(people_of(&insights, "city == \"lake\"").await.unwrap(), 2);
    assert_eq!(people_of(&insights, "order.where(till).any()").await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_stream_learns_row_by_row_that_a_field_is_deprecated() {
    let gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    let steward = gate.steward().await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &["marketing"]).await;
    let (send, messages) = tokio::sync::mpsc::channel(4);
    send.send(shop::header(&dataset)).await.unwrap();
    send.send(shop::message(shop::people("a", 4, &["marketing"]))).await.unwrap();
    let messages = tokio_stream::wrappers::ReceiverStream::new(messages);
    let mut client = proto::v1::ingest_service_client::IngestServiceClient::new(producer.line());
    let mut answers = client.stream_records(messages).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().profiles, 4);
    publish(&steward, &wider(), false).await.unwrap();
    publish(&steward, &without_regions(), false).await.unwrap();
    let mut batch = shop::people("b", 3, &["marketing"]);
    batch.profiles[1].values[1] = v1::Value { kind: None };
    send.send(shop::message(batch)).await.unwrap();
    let answer = answers.message().await.unwrap().unwrap();
    assert_eq!((answer.profiles, answer.events, answer.consents), (1, 3, 3));
    assert_eq!(answer.rejected.iter().map(|rejected| rejected.row).collect::<Vec<_>>(), [0, 2]);
    assert!(answer.rejected[0].problem.contains("`region` is deprecated"), "{:?}", answer.rejected);
    drop(send);
    assert!(answers.message().await.unwrap().is_none());
    shop::close_epoch(&gate).await;
    assert_eq!(people_of(&insights, "age_band == \"35-54\"").await.unwrap(), 2);
    let denied = people_of(&insights, "region == \"north\"").await.unwrap_err();
    assert_eq!(reason(&denied), "FIELD_UNAVAILABLE");
}
