//! Released cut points as a service meets them: paid for once, kept as versions that never change, and used as bands.

use harness::gate::{Caller, Gate, reason};
use harness::shop;
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;
use proto::v1::insight_service_client::InsightServiceClient;
use proto::v1::segment_service_client::SegmentServiceClient;
use tonic::Status;

const PURPOSE: &str = "marketing.segmentation";
const PEOPLE: u32 = 100;
const SPENT: &str = "order.last(\"90d\").sum(amount)";

/// A gateway with a hundred people in the shop, who spent 1.00 to 100.00, and a service that asks.
async fn scene() -> (Gate, Caller, gateway::authn::ClientKey) {
    let gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let (insights, key) = gate.client("insights", v1::ClientRole::Service, "", &["marketing"]).await;
    let mut batch = shop::people("c", PEOPLE, &["marketing"]);
    for (amount, event) in (1..).zip(&mut batch.events) {
        event.values[1] = shop::number(amount * 100);
    }
    shop::stream(&producer, vec![shop::header(&dataset), shop::message(batch)]).await.unwrap();
    shop::close_epoch(&gate).await;
    (gate, insights, key)
}

fn spend(of: &str, bands: u32, rho: &str) -> v1::ReleaseCutPointsRequest {
    let ask = v1::Ask {
        dataset: shop::SHOP.to_owned(),
        r#use: shop::used(PURPOSE),
        spend: shop::rho(rho),
        ..Default::default()
    };
    let (cut_points_id, of) = ("spend".to_owned(), of.to_owned());
    v1::ReleaseCutPointsRequest { ask: Some(ask), cut_points_id, of, bands, from: String::new(), to: String::new() }
}

async fn cut(caller: &Caller, request: v1::ReleaseCutPointsRequest) -> Result<v1::ReleaseCutPointsResponse, Status> {
    Ok(InsightServiceClient::new(caller.line()).release_cut_points(request).await?.into_inner())
}

async fn size(caller: &Caller, text: &str) -> Result<u64, Status> {
    let request = v1::EstimateSizeRequest { spend: shop::rho("20"), ..shop::size_of(text) };
    let answer = SegmentServiceClient::new(caller.line()).estimate_size(request).await?.into_inner();
    Ok(answer.release.unwrap().tables[0].cells[0].people)
}

async fn kept(caller: &Caller, name: &str) -> Result<v1::CutPoints, Status> {
    let name = format!("{}/cutPoints/{name}", shop::SHOP);
    let request = v1::GetCutPointsRequest { name, r#use: shop::used(PURPOSE) };
    Ok(InsightServiceClient::new(caller.line()).get_cut_points(request).await?.into_inner().cut_points.unwrap())
}

async fn listed(caller: &Caller) -> Vec<String> {
    let request =
        v1::ListCutPointsRequest { dataset: shop::SHOP.to_owned(), r#use: shop::used(PURPOSE), ..Default::default() };
    let page = InsightServiceClient::new(caller.line()).list_cut_points(request).await.unwrap().into_inner();
    page.cut_points.into_iter().map(|cuts| cuts.name).collect()
}

async fn left(caller: &Caller) -> String {
    let request = v1::GetBudgetRequest { dataset: shop::SHOP.to_owned(), client: String::new() };
    let budget = AdminServiceClient::new(caller.line()).get_budget(request).await.unwrap().into_inner().budget;
    budget.unwrap().left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_points_are_paid_for_once_and_cut_people_evenly() {
    let (gate, insights, key) = scene().await;
    let first = cut(&insights, spend(SPENT, 5, "100")).await.unwrap();
    let found = first.cut_points.clone().unwrap();
    assert_eq!(found.name, "datasets/shop/cutPoints/spend@1");
    assert!(found.not_private, "of a test dataset");
    assert_eq!(found.of, "order.last(\"90d\").if_any().sum(amount)", "of those who have an order");
    assert_eq!((found.cuts.len(), found.bands.len(), found.epoch), (4, 5, 1));
    for band in &found.bands {
        let share = band.share.unwrap();
        assert!((16.0..=24.0).contains(&share.value) && share.low <= share.value, "{found:?}");
    }
    let release = first.release.unwrap();
    assert_eq!((&release.name, release.charged), (&found.release, true));
    assert_eq!(first.plan.unwrap().cells, 63, "61 candidates, what is above, and who has none");
    let left_after = left(&insights).await;

    // The same question in other words: the same draw, the same version, for nothing.
    let again = cut(&insights, spend("order.if_any().last(\"90d\").where(true).sum(amount)", 5, "100")).await.unwrap();
    assert_eq!((again.cut_points.as_ref(), again.release.unwrap().charged), (Some(&found), false));
    assert_eq!(left(&insights).await, left_after);
    // Cut into others from the same draw: a version more, for nothing; and the first again is the first.
    let halves = cut(&insights, spend(SPENT, 2, "100")).await.unwrap().cut_points.unwrap();
    assert_eq!((halves.name.as_str(), halves.bands.len()), ("datasets/shop/cutPoints/spend@2", 2));
    assert_eq!(cut(&insights, spend(SPENT, 5, "100")).await.unwrap().cut_points.unwrap(), found);
    assert_eq!(left(&insights).await, left_after);

    // In an expression, a stored segment, a question for bands and a whole portrait.
    let highest = size(&insights, "band(\"cutPoints/spend@1\") == 5").await.unwrap();
    let share = found.bands[4].share.unwrap().value;
    assert!((highest as f64 - share).abs() <= 4.0, "{highest} of 100, {share} %");
    let range = format!("{} >= {}", found.of, found.cuts[3]);
    let spent_before = left(&insights).await;
    assert_eq!(size(&insights, &range).await.unwrap(), highest, "the range is the same question");
    assert_eq!(left(&insights).await, spent_before);
    let stored = v1::CreateSegmentRequest {
        dataset: shop::SHOP.to_owned(),
        segment_id: "best".into(),
        cel: "band(\"cutPoints/spend@1\") in [4, 5]".into(),
        r#use: shop::used(PURPOSE),
        ..Default::default()
    };
    SegmentServiceClient::new(insights.line()).create_segment(stored).await.unwrap();
    let best = size(&insights, "segment(\"segments/best@1\")").await.unwrap();
    assert!((34..=46).contains(&best), "{best}");
    let ask = v1::Ask { spend: shop::rho("50"), ..spend(SPENT, 5, "1").ask.unwrap() };
    let (rfm, lists) = (vec!["cutPoints/spend@1".to_owned()], Vec::new());
    let bands = v1::BandRequest { ask: Some(ask.clone()), lists, rfm: rfm.clone() };
    let bands = InsightServiceClient::new(insights.line()).band(bands).await.unwrap().into_inner().release.unwrap();
    let labels: Vec<&str> = bands.tables[0].cells.iter().map(|cell| cell.labels[0].as_str()).collect();
    assert_eq!((labels.len(), labels[0]), (6, "(none)"));
    assert_eq!(labels[1], format!("5: {} and more", found.cuts[3]));
    let parts = vec!["bands".to_owned()];
    let profile = v1::ProfileRequest { ask: Some(ask), parts, rfm, ..Default::default() };
    let profile = InsightServiceClient::new(insights.line()).profile(profile).await.unwrap().into_inner();
    assert_eq!(profile.panels[0].name, "spend@1");

    // They stand in another epoch and another life; what is released then is the next version.
    shop::close_epoch(&gate).await;
    let gate = gate.restart().await;
    let insights = gate.sign_in("insights", &key).await;
    assert_eq!(kept(&insights, "spend@1").await.unwrap(), found);
    let third = cut(&insights, spend(SPENT, 5, "100")).await.unwrap();
    assert_eq!(third.cut_points.unwrap().name, "datasets/shop/cutPoints/spend@3");
    assert!(third.release.unwrap().charged, "of another epoch");
    assert_eq!(kept(&insights, "spend@1").await.unwrap(), found);
    assert_eq!(listed(&insights).await, ["datasets/shop/cutPoints/spend@3"]);
}

/// Cut points tell of whom they were released, and of what they cut: who may not ask about either has none of these.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_points_of_people_or_numbers_that_are_not_granted_are_as_unknown() {
    let (gate, insights, _) = scene().await;
    let mut of_old = spend(SPENT, 2, "100");
    of_old.ask.as_mut().unwrap().segment = shop::cel("age_band == \"55+\"");
    of_old.ask.as_mut().unwrap().universe = "region == \"north\" || known(region)".to_owned();
    let found = cut(&insights, of_old).await.unwrap().cut_points.unwrap();
    assert_eq!(
        (found.segment.as_str(), found.universe.as_str()),
        ("age_band == \"55+\"", "region in [\"north\", \"south\"]")
    );
    assert!(size(&insights, "band(\"cutPoints/spend@1\") == 2").await.is_ok());
    let unknown = kept(&insights, "nothing").await.unwrap_err();
    for field in ["age_band", "region", "order.amount"] {
        let shipped = include_str!("../../deploy/policies/default.cedar");
        let narrow = format!(
            "forbid (principal in Role::\"service\", action == Action::\"release_aggregate\", resource)
             when {{ resource.name == \"{field}\" }};"
        );
        let request = v1::PublishPoliciesRequest { cedar: format!("{shipped}\n{narrow}"), ..Default::default() };
        let request = v1::PublishPoliciesRequest { acknowledge_widening: true, ..request };
        AdminServiceClient::new(gate.steward().await.line()).publish_policies(request).await.unwrap();
        let hidden = kept(&insights, "spend").await.unwrap_err();
        assert_eq!((reason(&hidden).as_str(), hidden.message()), ("FIELD_UNAVAILABLE", unknown.message()), "{field}");
        assert!(listed(&insights).await.is_empty(), "{field}");
        let banded = size(&insights, "band(\"cutPoints/spend@1\") == 2").await.unwrap_err();
        let nothing = size(&insights, "band(\"cutPoints/nothing@1\") == 2").await.unwrap_err();
        assert_eq!(banded.message(), nothing.message(), "{field}");
    }
}

/// A partner finds none of what services released, under names that it may not take either; and a name is of one number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_points_are_of_those_who_carry_their_purpose() {
    let (gate, insights, _) = scene().await;
    cut(&insights, spend(SPENT, 2, "100")).await.unwrap();
    let used = shop::used("sharing.partner.acme");
    let (partner, _) = gate.client("acme-crm", v1::ClientRole::Partner, "acme", &["sharing.partner.acme"]).await;
    let mut client = InsightServiceClient::new(partner.line());
    let (dataset, name) = (shop::SHOP.to_owned(), format!("{}/cutPoints/spend@1", shop::SHOP));
    let request = v1::ListCutPointsRequest { dataset, r#use: used.clone(), ..Default::default() };
    assert!(client.list_cut_points(request).await.unwrap().into_inner().cut_points.is_empty());
    let refused = client.get_cut_points(v1::GetCutPointsRequest { name, r#use: used.clone() }).await.unwrap_err();
    assert_eq!(reason(&refused), "FIELD_UNAVAILABLE");
    let mut theirs = spend(SPENT, 2, "100");
    theirs.ask.as_mut().unwrap().r#use = used;
    let taken = client.release_cut_points(theirs).await.unwrap_err();
    assert!(taken.message().contains("is in use for something else"), "{taken:?}");
    let before = left(&insights).await;
    let other = cut(&insights, spend("order.count()", 2, "100")).await.unwrap_err();
    assert!(other.message().contains("is in use for something else"), "{other:?}");
    assert_eq!(left(&insights).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noise_is_not_dressed_as_cut_points_and_previews_keep_nothing() {
    let (_gate, insights, _) = scene().await;
    let before = left(&insights).await;
    let mut preview = spend(SPENT, 5, "100");
    preview.ask.as_mut().unwrap().validate_only = true;
    let preview = cut(&insights, preview).await.unwrap();
    assert!(preview.release.is_none() && preview.cut_points.is_none() && preview.advice.is_empty());
    assert_eq!((left(&insights).await, listed(&insights).await.len()), (before, 0));

    // A hundred people, and 63 cells of +-31.
    let few = cut(&insights, spend(SPENT, 5, "0.002")).await.unwrap();
    assert!(few.release.unwrap().charged && few.cut_points.is_none());
    assert!(few.advice.starts_with("too few people for 5 bands at this price: "), "{}", few.advice);
    assert!(few.advice.contains(", or pay about rho "), "{}", few.advice);
    let nothing = v1::ReleaseCutPointsRequest { from: "2000".into(), to: "3000".into(), ..spend(SPENT, 5, "50") };
    let nothing = cut(&insights, nothing).await.unwrap();
    assert!(
        nothing.advice.starts_with("nearly everybody is between two candidates or beyond them"),
        "{}",
        nothing.advice
    );
    assert_eq!(listed(&insights).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_cut_is_refused_before_anything_is_paid() {
    let (_gate, insights, _) = scene().await;
    let before = left(&insights).await;
    let good = || spend(SPENT, 5, "1");
    let wrong = [
        (v1::ReleaseCutPointsRequest { bands: 1, ..good() }, "bands"),
        (v1::ReleaseCutPointsRequest { bands: 11, ..good() }, "bands"),
        (v1::ReleaseCutPointsRequest { cut_points_id: "Spend!".into(), ..good() }, "cut_points_id"),
        (v1::ReleaseCutPointsRequest { from: "10".into(), to: "5".into(), ..good() }, "a round number between them"),
        (v1::ReleaseCutPointsRequest { from: "ten".into(), ..good() }, "from"),
        (spend("region", 5, "1"), "what is cut is a number or date attribute"),
        (spend("order.any()", 5, "1"), "`any()` is a condition by itself"),
        (spend("order.sum(weight)", 5, "1"), "no event field of this name"),
        (spend("rfm.monetary", 5, "1"), "no band of this name"),
    ];
    for (request, part) in wrong {
        let refused = cut(&insights, request.clone()).await.unwrap_err();
        assert!(refused.message().contains(part), "{request:?} {refused:?}");
    }
    for name in ["spend@1", "nobody"] {
        assert_eq!(reason(&kept(&insights, name).await.unwrap_err()), "FIELD_UNAVAILABLE", "{name}");
    }
    let unknown = size(&insights, "band(\"cutPoints/spend@1\") == 5").await.unwrap_err();
    assert_eq!(reason(&unknown), "FIELD_UNAVAILABLE");
    for rfm in ["cutPoints/spend@1", "cutPoints/spend", "money"] {
        let bands = v1::BandRequest { ask: good().ask, lists: Vec::new(), rfm: vec![rfm.to_owned()] };
        assert!(InsightServiceClient::new(insights.line()).band(bands).await.is_err(), "{rfm}");
    }
    assert_eq!(left(&insights).await, before);
}
