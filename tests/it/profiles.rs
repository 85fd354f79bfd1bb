//! Whole portraits over gRPC: one question, one release, one total; what is not granted looks unknown, and of a small shop
//! it says what to ask instead.

use harness::gate::{Caller, Gate, reason};
use harness::shop;
use proto::v1;
use proto::v1::insight_service_client::InsightServiceClient;
use tonic::{Code, Status};

async fn profile(caller: &Caller, request: v1::ProfileRequest) -> Result<v1::ProfileResponse, Status> {
    Ok(InsightServiceClient::new(caller.line()).profile(request).await?.into_inner())
}

fn ask(segment: &str, spend: Option<v1::Spend>) -> Option<v1::Ask> {
    let used = shop::used("marketing.portrait");
    Some(v1::Ask { dataset: shop::SHOP.into(), segment: shop::cel(segment), r#use: used, spend, ..Default::default() })
}

fn band(name: &str, cel: &str) -> v1::Named {
    v1::Named { name: name.into(), segment: shop::cel(cel) }
}

/// A shop with so many buyers, a client that may ask, and one that may not.
async fn opened(people: u32) -> (Gate, Caller, Caller) {
    let gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &["marketing"]).await;
    let (other, _) = gate.client("pricing", v1::ClientRole::Service, "", &["marketing.segmentation"]).await;
    let messages = vec![shop::header(&dataset), shop::message(shop::people("c", people, &["marketing"]))];
    shop::stream(&producer, messages).await.unwrap();
    shop::close_epoch(&gate).await;
    (gate, insights, other)
}

/// Checks the people of the rows of a panel. At the price that these tests pay the noise of a row has a standard deviation of
/// 0.3, so two more or less are never noise.
#[track_caller]
fn are(panel: &v1::ProfilePanel, expected: &[f64]) {
    let people: Vec<f64> = panel.rows.iter().map(|row| row.people.unwrap().value).collect();
    assert_eq!(people.len(), expected.len());
    assert!(people.iter().zip(expected).all(|(people, expected)| (people - expected).abs() < 2.0), "{people:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_portrait_is_one_release_with_one_total() {
    let (_gate, insights, other) = opened(600).await;
    let north = r#"region == "north""#;
    let bands = vec![band("big", "order.sum(amount) > 5.00"), band("small", "order.any()")];
    let lists = vec![v1::BandList { name: "spend".into(), bands }];
    let request = |spend| v1::ProfileRequest { ask: ask(north, spend), lists: lists.clone(), ..Default::default() };

    let mut preview = request(None);
    preview.ask.as_mut().unwrap().validate_only = true;
    let preview = profile(&insights, preview).await.unwrap();
    let plan = preview.plan.unwrap();
    assert_eq!((plan.rho.as_str(), plan.charge.as_str(), preview.release), ("0.02", "0.02", None));
    // Age, region and channel, what they bought, one list of bands and three kinds of times: 4 + 3 + 3 + 3 + 3 + 24 + 7 + 12
    // cells for members and as many for the rest, and 3 + 1 + 2 + 1 + 4 + 3 + 4 people.
    assert_eq!(plan.cells, 2 * (4 + 3 + 3 + 3 + 3 + 24 + 7 + 12));
    assert!((plan.half_width - 1.96 * (17.0_f64 / 0.04).sqrt()).abs() < 0.6, "{plan:?}");
    assert!(preview.panels.is_empty() && preview.text.is_empty());

    let whole = profile(&insights, request(shop::rho("100"))).await.unwrap();
    let release = whole.release.clone().unwrap();
    assert!(release.charged && release.tables.len() == whole.panels.len());
    let near = |estimate: Option<v1::Estimate>, people: f64| (estimate.unwrap().value - people).abs() < 2.0;
    assert!(near(whole.members, 300.0) && near(whole.rest, 300.0), "{:?} {:?}", whole.members, whole.rest);
    let parts: Vec<(&str, &str)> =
        whole.panels.iter().map(|panel| (panel.part.as_str(), panel.name.as_str())).collect();
    let fields = ["age_band", "region", "channel", "order.category"].map(|field| ("fields", field));
    let rest = [("bands", "spend"), ("hours", "order"), ("weekdays", "order"), ("trend", "order")];
    assert_eq!(parts, [&fields[..], &rest[..]].concat());
    // Ages in turn, and everybody who lives in the north bought pots.
    are(&whole.panels[0], &[0.0, 100.0, 100.0, 100.0]);
    are(&whole.panels[3], &[0.0, 300.0, 0.0]);
    are(&whole.panels[4], &[0.0, 300.0, 0.0]);
    let pots = &whole.panels[3].rows[1];
    assert!(pots.differs && (pots.index.unwrap().value - 200.0).abs() < 2.0, "{pots:?}");
    let age = &whole.panels[0].rows[1];
    assert!((age.index.unwrap().value - 100.0).abs() < 3.0, "{age:?}");
    assert_eq!((whole.panels[4].rows[1].label.as_str(), whole.panels[4].counts_fully_in), ("big", 1));
    let most = whole.panels[5].rows.iter().map(|row| row.people.unwrap().value).fold(0.0, f64::max);
    assert!((most - 300.0).abs() < 2.0, "one order each, at one hour: {most}");
    assert_eq!((whole.panels[5].counts_fully_in, whole.panels[7].rows.len(), whole.last_is_open), (4, 12, false));
    assert!(whole.text[0].starts_with("About ") && whole.text[0].contains("50 % of all"), "{:?}", whole.text);
    assert!(whole.text[1].contains("category pots (index "), "{:?}", whole.text);
    assert_eq!(release.tables[4].cells[4].labels, ["true", "big"], "the release says what bands are called too");

    let again = profile(&insights, request(shop::rho("100"))).await.unwrap();
    assert!(!again.release.as_ref().unwrap().charged && again.panels == whole.panels && again.text == whole.text);
    let few = v1::ProfileRequest { parts: vec!["hours".into()], ..request(shop::rho("100")) };
    assert_eq!(profile(&insights, few).await.unwrap().panels.len(), 1);
    let everyone = v1::ProfileRequest { ask: ask("true", shop::rho("100")), ..request(None) };
    let everyone = profile(&insights, everyone).await.unwrap();
    assert!(near(everyone.members, 600.0) && everyone.rest.is_none(), "{everyone:?}");

    let refused = async |request: v1::ProfileRequest, code: Code, expected: &str| {
        let status = profile(&insights, request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected), "{}", status.message());
        status.message().to_owned()
    };
    let invalid = v1::ProfileRequest { parts: vec!["faces".into()], ..request(None) };
    refused(invalid, Code::InvalidArgument, "REQUEST_INVALID").await;
    let field = |name: &str| v1::ProfileRequest { fields: vec![name.into()], ..request(None) };
    let hidden = refused(field("diet"), Code::PermissionDenied, "FIELD_UNAVAILABLE").await;
    assert_eq!(hidden, refused(field("dien"), Code::PermissionDenied, "FIELD_UNAVAILABLE").await);
    let by = |cel: &str| v1::BandList { name: "x".into(), bands: vec![band("a", cel)] };
    let listed = |cel: &str| v1::ProfileRequest { lists: vec![by(cel)], ..request(None) };
    refused(listed(r#"diet == "any""#), Code::PermissionDenied, "FIELD_UNAVAILABLE").await;
    let dear = v1::ProfileRequest { ask: ask(north, shop::rho("100000")), ..request(None) };
    refused(dear, Code::InvalidArgument, "PRICE_ABOVE_CAP").await;
    let status = profile(&other, request(None)).await.unwrap_err();
    assert_eq!(reason(&status), "PURPOSE_DENIED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_shop_gets_advice_and_not_noise_dressed_as_numbers() {
    let (_gate, insights, _) = opened(200).await;
    let request = v1::ProfileRequest { ask: ask(r#"region == "north""#, None), ..Default::default() };
    let whole = profile(&insights, request).await.unwrap();
    assert!(whole.panels.iter().all(|panel| panel.advice.starts_with("Too few people for ")), "{:?}", whole.panels);
    assert!(whole.panels[0].advice.contains("3 values of age"), "{:?}", whole.panels[0]);
    let told = whole.text.join(" ");
    assert!(told.contains("people") && told.contains("Too few people to say more"), "{told}");
    assert!(!told.contains("represented") && !told.contains("Busiest") && !told.contains("Largest"), "{told}");
    assert!(whole.plan.unwrap().readable_from > 200);
}
