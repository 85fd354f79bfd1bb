//! A suggested bound as a service meets it: paid for once, for whatever table, and of fields that it may ask about.

use harness::gate::{Caller, Gate, reason};
use harness::shop;
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;
use proto::v1::insight_service_client::InsightServiceClient;
use tonic::Status;

/// A gateway with two hundred people in the shop: a hundred and ninety spent 10.00 and ten 1,000.00.
async fn scene() -> (Gate, Caller) {
    let gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &["marketing"]).await;
    let mut batch = shop::people("c", 200, &["marketing"]);
    for (place, event) in batch.events.iter_mut().enumerate() {
        event.values[1] = shop::number(if place < 10 { 100_000 } else { 1_000 });
    }
    shop::stream(&producer, vec![shop::header(&dataset), shop::message(batch)]).await.unwrap();
    shop::close_epoch(&gate).await;
    (gate, insights)
}

fn asked(of: &str, rho: &str, for_rho: &str) -> v1::SuggestBoundRequest {
    let ask = v1::Ask {
        dataset: shop::SHOP.to_owned(),
        r#use: shop::used("marketing.segmentation"),
        spend: shop::rho(rho),
        ..Default::default()
    };
    v1::SuggestBoundRequest { ask: Some(ask), of: of.to_owned(), for_rho: for_rho.to_owned(), ..Default::default() }
}

async fn suggest(caller: &Caller, request: v1::SuggestBoundRequest) -> Result<v1::SuggestBoundResponse, Status> {
    Ok(InsightServiceClient::new(caller.line()).suggest_bound(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_is_paid_for_once_and_suits_the_price_of_its_table() {
    let (_gate, insights) = scene().await;
    // Noise is nothing. A dear table can have a bound that cuts nobody off; to a cheap one the ten are not worth their noise.
    let dear = suggest(&insights, asked("order.amount", "200", "10")).await.unwrap();
    let bound = dear.bound.unwrap();
    assert_eq!((bound.bound.as_str(), bound.for_rho.as_str()), ("1500.00", "10"));
    assert_eq!(bound.reached_by.unwrap().value.round(), 0.0);
    assert!(dear.release.unwrap().charged && bound.cut_off_percent < 1.0, "{bound:?}");
    let cheap = suggest(&insights, asked("order.amount", "200", "0.0001")).await.unwrap();
    assert!(!cheap.release.unwrap().charged, "the same question");
    let bound = cheap.bound.unwrap();
    assert!(bound.bound.parse::<f64>().unwrap() <= 220.0 && bound.cut_off_percent > 50.0, "{bound:?}");
    // A lower price gets the better answer that there is, for a table at the price that was named.
    let lower = suggest(&insights, asked("order.amount", "0.0001", "")).await.unwrap();
    assert_eq!(lower.bound.unwrap(), bound);
    // Where candidates end below what people have, that is said.
    let narrow = v1::SuggestBoundRequest { most: "5".into(), ..asked("order.amount", "200", "10") };
    let bound = suggest(&insights, narrow).await.unwrap().bound.unwrap();
    assert_eq!((bound.bound.as_str(), bound.limit()), ("5.00", v1::BoundLimit::Range));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_asked_for_is_refused_before_anything_is_paid() {
    let (gate, insights) = scene().await;
    let days = v1::SuggestBoundRequest { from: "2026-01-05".into(), ..asked("order", "1", "") };
    let huge = v1::SuggestBoundRequest {
        least: "1000000000".into(),
        most: "9000000000".into(),
        ..asked("order.amount", "1", "")
    };
    for (wrong, part) in
        [(days, "period"), (huge, "bound"), (asked("region", "1", ""), "of"), (asked("order", "1", "0"), "for_rho")]
    {
        let refused = suggest(&insights, wrong).await.unwrap_err();
        assert_eq!(reason(&refused), "REQUEST_INVALID", "{refused:?}");
        assert!(refused.message().contains(part), "{refused:?}");
    }
    let unknown = suggest(&insights, asked("order.nothing", "1", "")).await.unwrap_err();
    let shipped = include_str!("../../deploy/policies/default.cedar");
    let narrow = "forbid (principal in Role::\"service\", action == Action::\"release_aggregate\", resource)
                  when { resource.name == \"order.amount\" };";
    let cedar = format!("{shipped}\n{narrow}");
    let request = v1::PublishPoliciesRequest { cedar, acknowledge_widening: true, ..Default::default() };
    AdminServiceClient::new(gate.steward().await.line()).publish_policies(request).await.unwrap();
    let hidden = suggest(&insights, asked("order.amount", "1", "")).await.unwrap_err();
    assert_eq!((reason(&hidden).as_str(), hidden.message()), ("FIELD_UNAVAILABLE", unknown.message()));
    let request = v1::GetBudgetRequest { dataset: shop::SHOP.to_owned(), client: String::new() };
    let budget = AdminServiceClient::new(insights.line()).get_budget(request).await.unwrap().into_inner().budget;
    let budget = budget.unwrap();
    assert_eq!(budget.quarter_spent, "0", "{budget:?}");
}
