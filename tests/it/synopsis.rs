//! The monthly synopsis as a service meets it: drawn by the gateway itself, answers for free and says so, and leaves everything
//! else as it is.

use super::cli::{DONE, Desk, Served};
use harness::gate::{Caller, Gate, reason};
use harness::shop;
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;
use proto::v1::audit_service_client::AuditServiceClient;
use proto::v1::catalog_service_client::CatalogServiceClient;
use proto::v1::insight_service_client::InsightServiceClient;
use proto::v1::segment_service_client::SegmentServiceClient;
use std::time::Duration;
use tonic::{Request, Status};

const PURPOSE: &str = "marketing.segmentation";
const DAY: Duration = Duration::from_secs(86_400);

/// The shop, asking for a synopsis. Tests begin on 2026-09-21 in its calendar.
fn declared(rho: &str) -> String {
    let synopsis = "purpose = \"marketing.segmentation\"\nfields = [\"age_band\", \"region\", \"order.category\"]\nwindow = \"30d\"";
    format!("{}\n[synopsis]\n{synopsis}\nrho = \"{rho}\"\n", shop::SCHEMA)
}

/// A gateway with thirty people in the shop, and a service that asks.
struct Scene {
    gate: Gate,
    insights: Caller,
    key: gateway::authn::ClientKey,
}

impl Scene {
    async fn new(schema_toml: &str) -> Self {
        let gate = Gate::start().await;
        let request = v1::CreateDatasetRequest { schema_toml: schema_toml.to_owned(), ..Default::default() };
        let made = CatalogServiceClient::new(gate.steward().await.line()).create_dataset(request).await.unwrap();
        let dataset = made.into_inner().dataset.unwrap();
        let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
        let (insights, key) = gate.client("insights", v1::ClientRole::Service, "", &["marketing"]).await;
        let messages = vec![shop::header(&dataset), shop::message(shop::people("c", 30, &["marketing"]))];
        shop::stream(&producer, messages).await.unwrap();
        Self { gate, insights, key }
    }

    async fn size(&self, text: &str, spend: Option<v1::Spend>) -> v1::EstimateSizeResponse {
        let request = v1::EstimateSizeRequest { spend, ..shop::size_of(text) };
        SegmentServiceClient::new(self.insights.line()).estimate_size(request).await.unwrap().into_inner()
    }

    async fn breakdown(&self, by: &str, purpose: &str) -> Result<v1::Release, Status> {
        let request = v1::BreakdownRequest {
            dataset: shop::SHOP.to_owned(),
            by: vec![by.to_owned()],
            r#use: shop::used(purpose),
            ..Default::default()
        };
        let answer = InsightServiceClient::new(self.insights.line()).breakdown(request).await?;
        Ok(answer.into_inner().release.unwrap())
    }

    async fn budget(&self) -> v1::GetBudgetResponse {
        let request = v1::GetBudgetRequest { dataset: shop::SHOP.to_owned(), client: String::new() };
        AdminServiceClient::new(self.insights.line()).get_budget(request).await.unwrap().into_inner()
    }

    async fn synopsis(&self) -> Option<v1::Synopsis> {
        looked_at(&self.insights).await
    }

    async fn status(&self) -> v1::GetStatusResponse {
        let mut admin = AdminServiceClient::new(self.gate.steward().await.line());
        admin.get_status(v1::GetStatusRequest {}).await.unwrap().into_inner()
    }

    /// Lets days go by; tokens end meanwhile.
    async fn wait(&mut self, days: u32) {
        self.gate.clock.advance(DAY * days);
        self.insights = self.gate.sign_in("insights", &self.key).await;
    }
}

async fn looked_at(caller: &Caller) -> Option<v1::Synopsis> {
    let request = v1::GetSynopsisRequest { dataset: shop::SHOP.to_owned() };
    InsightServiceClient::new(caller.line()).get_synopsis(request).await.unwrap().into_inner().synopsis
}

fn people(release: &v1::Release) -> Vec<u64> {
    release.tables[0].cells.iter().map(|cell| cell.people).collect()
}

fn month(synopsis: &v1::Synopsis) -> &str {
    synopsis.standing.as_ref().map_or("", |standing| standing.month.as_str())
}

fn within(half_width: f64) -> Option<v1::Spend> {
    Some(v1::Spend { spend: Some(v1::spend::Spend::HalfWidth(half_width)) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_is_drawn_once_answers_for_free_and_is_replaced_by_the_next() {
    let mut scene = Scene::new(&declared("300")).await;
    assert_eq!(month(&scene.synopsis().await.unwrap()), "", "no epoch has closed");
    shop::close_epoch(&scene.gate).await;
    let synopsis = scene.synopsis().await.unwrap();
    assert_eq!((month(&synopsis), synopsis.next_day.as_str()), ("2026-09", "2026-10-01"));
    assert_eq!(synopsis.fields, ["age_band", "region", "order.category"]);
    // One total from four cells and from three: 1 / (1/4 + 1/3) of the variance of one.
    let wider = synopsis.total_half_width / synopsis.half_width;
    assert!((1.30..1.33).contains(&wider), "{synopsis:?}");

    let first = scene.size(r#"region == "north""#, None).await;
    let (plan, release) = (first.plan.clone().unwrap(), first.release.clone().unwrap());
    assert_eq!((people(&release), release.charged, release.epoch), (vec![15], false, 1));
    assert_eq!((plan.rho.as_str(), plan.charge.as_str(), plan.cells), ("0", "0", 1));
    assert_eq!(release.synopsis.as_ref().unwrap().month, "2026-09");
    assert_eq!((plan.synopsis, &release.name), (release.synopsis.clone(), &synopsis.release));
    assert_eq!(release.leaf, synopsis.leaf);
    assert_eq!(scene.size(r#"region == "north""#, None).await, first, "the same bytes, however often");
    assert_eq!(people(scene.size("true", None).await.release.as_ref().unwrap()), [30]);
    let by_age = scene.breakdown("age_band", PURPOSE).await.unwrap();
    assert_eq!((people(&by_age), by_age.synopsis.is_some()), (vec![0, 10, 10, 10], true));
    let portrait = v1::PortraitRequest {
        dataset: shop::SHOP.to_owned(),
        fields: vec!["region".into(), "order.category".into()],
        window: Some(v1::Window { last: "30d".into(), until: String::new() }),
        r#use: shop::used(PURPOSE),
        ..Default::default()
    };
    let answer = InsightServiceClient::new(scene.insights.line()).portrait(portrait).await.unwrap().into_inner();
    let portrait = answer.release.unwrap();
    assert_eq!((people(&portrait), portrait.tables.len(), portrait.charged), (vec![0, 15, 15], 2, false));
    let budget = scene.budget().await.budget.unwrap();
    assert_eq!((budget.quarter_spent.as_str(), budget.synopsis_spent.as_str()), ("300", "300"));
    assert_eq!(budget.client_spent, "0", "of no client's quota");

    // Another epoch of the month, and another life of the gateway.
    shop::close_epoch(&scene.gate).await;
    scene.gate = scene.gate.restart().await;
    scene.wait(0).await;
    assert_eq!(scene.size(r#"region == "north""#, None).await, first);
    assert_eq!(scene.budget().await.budget.unwrap().lifetime_spent, "300");

    // The first midnight of the next month comes without anybody doing anything.
    scene.wait(10).await;
    let replaced = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let synopsis = scene.synopsis().await.unwrap();
            if month(&synopsis) == "2026-10" {
                return synopsis;
            }
        }
    });
    let replaced = replaced.await.unwrap();
    assert_ne!(replaced.release, synopsis.release);
    let next = scene.size(r#"region == "north""#, None).await.release.unwrap();
    assert_eq!((next.name, next.synopsis.unwrap().month.as_str()), (replaced.release, "2026-10"));
    assert_eq!(scene.budget().await.budget.unwrap().lifetime_spent, "600");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_names_a_price_or_more_accuracy_gets_a_fresh_answer_and_pays() {
    let scene = Scene::new(&declared("0.03")).await;
    shop::close_epoch(&scene.gate).await;
    let offered = |answer: &v1::EstimateSizeResponse| answer.plan.as_ref().unwrap().synopsis.is_some();
    let free = scene.size(r#"region == "north""#, None).await;
    let half_width = free.plan.as_ref().unwrap().half_width;
    assert!(offered(&free) && half_width > 8.0, "{half_width}");
    assert!(offered(&scene.size(r#"region == "north""#, within(half_width + 1.0)).await), "it is accurate enough");
    let closer = scene.size(r#"region == "north""#, within(5.0)).await;
    assert!(!offered(&closer) && closer.release.as_ref().unwrap().charged);
    assert!(closer.plan.as_ref().unwrap().half_width <= 5.0);
    let priced = scene.size(r#"region == "south""#, shop::rho("0.001")).await;
    assert!(!offered(&priced) && priced.release.as_ref().unwrap().charged);
    // What was paid for in this epoch is repeated, fresher and as accurate.
    let repeated = scene.size(r#"region == "south""#, None).await;
    assert_eq!((offered(&repeated), repeated.release.unwrap().name), (false, priced.release.unwrap().name));
    let request = v1::EstimateSizeRequest { spend: None, validate_only: true, ..shop::size_of("true") };
    let planned = SegmentServiceClient::new(scene.insights.line()).estimate_size(request).await.unwrap().into_inner();
    assert!(offered(&planned) && planned.release.is_none());
    assert!(!offered(&scene.size(r#"age_band == "55+" && region == "north""#, None).await), "two fields");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_purpose_is_not_answered_from_it_and_a_field_that_is_not_granted_is_as_unknown() {
    let scene = Scene::new(&declared("300")).await;
    shop::close_epoch(&scene.gate).await;
    let other = scene.breakdown("age_band", "marketing.portrait").await.unwrap();
    assert_eq!((other.synopsis.is_some(), other.charged), (false, true));
    let [ungranted, unknown] =
        [scene.breakdown("diet", PURPOSE).await.unwrap_err(), scene.breakdown("shoes", PURPOSE).await.unwrap_err()];
    assert_eq!((reason(&ungranted).as_str(), ungranted.message()), ("FIELD_UNAVAILABLE", unknown.message()));
    // A policy takes a field away: questions of it are refused, and the synopsis shows it to stewards alone.
    let shipped = include_str!("../../deploy/policies/default.cedar");
    let narrow = "forbid (principal in Role::\"service\", action == Action::\"release_aggregate\", resource)
                  when { resource.name == \"age_band\" };";
    let request = v1::PublishPoliciesRequest { cedar: format!("{shipped}\n{narrow}"), ..Default::default() };
    let steward = scene.gate.steward().await;
    AdminServiceClient::new(steward.line()).publish_policies(request).await.unwrap();
    let refused = scene.breakdown("age_band", PURPOSE).await.unwrap_err();
    assert_eq!((reason(&refused).as_str(), refused.message()), ("FIELD_UNAVAILABLE", unknown.message()));
    assert!(scene.breakdown("region", PURPOSE).await.unwrap().synopsis.is_some());
    assert_eq!(scene.synopsis().await.unwrap().fields, ["region", "order.category"]);
    assert_eq!(looked_at(&steward).await.unwrap().fields.len(), 3);
    let (partner, _) = scene.gate.client("acme-crm", v1::ClientRole::Partner, "acme", &["sharing.partner.acme"]).await;
    let request = v1::GetSynopsisRequest { dataset: shop::SHOP.to_owned() };
    let refused = InsightServiceClient::new(partner.line()).get_synopsis(request).await.unwrap_err();
    assert_eq!(reason(&refused), "PURPOSE_DENIED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cap_that_is_too_small_refuses_the_synopsis_says_so_and_refuses_nothing_else() {
    let small = |text: &str| text.replace("quarter = \"1000\"", "quarter = \"900\"");
    let mut scene = Scene::new(&small(shop::SCHEMA)).await;
    shop::close_epoch(&scene.gate).await;
    assert_eq!(scene.synopsis().await, None, "none is asked for");
    assert!(scene.size("true", shop::rho("400")).await.release.unwrap().charged);
    let (other, _) = scene.gate.client("pricing", v1::ClientRole::Service, "", &["marketing"]).await;
    let request = v1::EstimateSizeRequest { spend: shop::rho("300"), ..shop::size_of(r#"region == "north""#) };
    SegmentServiceClient::new(other.line()).estimate_size(request).await.unwrap();
    let request = v1::PublishSchemaRequest {
        dataset: shop::SHOP.to_owned(),
        schema_toml: small(&declared("300")),
        ..Default::default()
    };
    AdminServiceClient::new(scene.gate.steward().await.line()).publish_schema(request).await.unwrap();
    shop::close_epoch(&scene.gate).await;
    let budget = scene.budget().await;
    let problem = &budget.synopsis_problem;
    assert!(problem.starts_with("the synopsis of 2026-09 is not drawn: this costs 300, and 200"), "{problem}");
    assert_eq!(budget.budget.unwrap().synopsis_spent, "0");
    assert!(scene.status().await.problem.contains("the synopsis of 2026-09 is not drawn"));
    let synopsis = scene.synopsis().await.unwrap();
    assert_eq!((month(&synopsis), &synopsis.problem), ("", problem));
    assert!(scene.size("true", None).await.release.unwrap().charged, "all else is answered, and paid for");
    let (officer, _) = scene.gate.client("officer", v1::ClientRole::Officer, "", &[]).await;
    let request = v1::SearchLogRequest {
        tree: v1::LogTree::Access.into(),
        client: "clients/system".to_owned(),
        decision: v1::LogDecision::Refuse.into(),
        ..Default::default()
    };
    let found = AuditServiceClient::new(officer.line()).search_log(Request::new(request)).await.unwrap().into_inner();
    assert!((1..=2).contains(&found.events.len()), "once in an epoch: {found:?}");
    assert!(found.events.iter().all(|event| event.json.contains("\"what\":\"synopsis\"")), "{found:?}");
    // The next quarter's budget bears it.
    scene.wait(11).await;
    shop::close_epoch(&scene.gate).await;
    assert_eq!(month(&scene.synopsis().await.unwrap()), "2026-10");
    assert_eq!(scene.budget().await.synopsis_problem, "");
    assert!(!scene.status().await.problem.contains("synopsis"));
}

#[test]
fn the_command_line_says_what_is_free_and_from_which_synopsis() {
    let mut desk = Desk::new();
    let config = desk.path("settings.toml");
    std::fs::write(&config, "grpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n").unwrap();
    desk.ends(DONE, &["init", "--config", "settings.toml"]);
    let _served = Served::start(&mut desk, &config);
    desk.ends(DONE, &["client", "create", "--name", "shop", "--role", "producer"]);
    desk.ends(DONE, &["client", "create", "--name", "ads", "--role", "service", "--purpose", "marketing"]);
    desk.ends(DONE, &["generate", "--consumers", "200", "--events", "1000", "--out", "files"]);
    let import = ["import", "--mapping", "files/mapping.toml", "--source", "files", "--key", "shop-key.toml"];
    desk.ends(DONE, &[&import[..], &["--create-as", "silhouette-key.toml"]].concat());
    let ask = ["--key", "ads-key.toml"];
    let (words, _) = desk.ends(DONE, &[&["synopsis", "coop"], &ask[..]].concat());
    assert!(words.starts_with("`coop` has no monthly synopsis."), "{words}");
    assert_eq!(desk.json(&[&["synopsis", "coop"], &ask[..]].concat())["synopsis"], serde_json::Value::Null);

    let schema = std::fs::read_to_string(desk.path("files/schema.toml")).unwrap();
    let synopsis = "[synopsis]\npurpose = \"marketing.portrait\"\nfields = [\"age_band\", \"region\"]\n";
    std::fs::write(desk.path("monthly.toml"), format!("{schema}\n{synopsis}")).unwrap();
    let (words, _) = desk.ends(DONE, &["schema", "apply", "monthly.toml"]);
    assert!(words.contains("for 0.03 of the budget a month"), "{words}");
    desk.ends(DONE, &["epoch", "close", "-d", "coop"]);
    let (words, _) = desk.ends(DONE, &[&["synopsis", "coop"], &ask[..]].concat());
    assert!(words.contains("fields    age_band, region") && words.contains("Free from it"), "{words}");
    let stands = desk.json(&[&["synopsis", "coop"], &ask[..]].concat());
    let month = stands["synopsis"]["standing"]["month"].as_str().unwrap().to_owned();

    let question = [&ask[..], &["-d", "coop", "--purpose", "marketing.portrait"]].concat();
    let (words, _) = desk.ends(DONE, &[&["size"], &question[..]].concat());
    assert!(words.contains(&format!("free: from the synopsis of {month}")), "{words}");
    let (words, _) = desk.ends(DONE, &[&["size", "--preview"], &question[..]].concat());
    assert!(words.starts_with(&format!("It is free: from the synopsis of {month} (epoch 1,")), "{words}");
    let (words, _) = desk.ends(DONE, &[&["breakdown", "--by", "region"], &question[..]].concat());
    assert!(words.contains(&format!("free: from the synopsis of {month}")), "{words}");
    let portrait = desk.json(&[&["portrait", "--fields", "region,age_band"], &question[..]].concat());
    assert_eq!(portrait["release"]["synopsis"]["month"], month.as_str());
    assert_eq!(portrait["release"]["name"], stands["synopsis"]["release"]);
    let paid = desk.json(&[&["size", "--rho", "0.001"], &question[..]].concat());
    assert_eq!((&paid["release"]["charged"], &paid["release"]["synopsis"]), (&true.into(), &serde_json::Value::Null));
    let (words, _) = desk.ends(DONE, &[&["budget", "-d", "coop"], &ask[..]].concat());
    assert!(words.contains("this quarter, the synopsis") && words.contains("0.030000 of 0.2  15 %"), "{words}");
    let budget = desk.json(&[&["budget", "-d", "coop"], &ask[..]].concat());
    assert_eq!((&budget["synopsis_spent"], &budget["client_spent"]), (&"0.03".into(), &"0.001".into()));
    assert_eq!(budget["synopsis_problem"], serde_json::Value::Null);
}
