//! What is told beside answers: prices, half-widths, advice, refusals, token errors, budgets, indexes of the log. Over two vaults
//! that differ in one person all of it is the same, byte by byte, so that it tells nothing.

use super::neighbors::{Asked, Pair, Person, World, at, crowd, target};
use gateway::authn::ClientKey;
use harness::gate::{Caller, Gate};
use harness::shop;
use policy::consent::ConsentAct;
use policy::permit::{Role, Verb};
use policy::privacy::NanoRho;
use prost::Message;
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;
use proto::v1::catalog_service_client::CatalogServiceClient;
use proto::v1::consent_service_client::ConsentServiceClient;
use proto::v1::insight_service_client::InsightServiceClient;
use proto::v1::segment_service_client::SegmentServiceClient;
use proto::v1::token_service_client::TokenServiceClient;
use std::collections::BTreeMap;
use tonic::{Response, Status};
use tonic_types::StatusExt;

const PURPOSE: &str = "marketing.segmentation";

/// All that a caller was told, with what it asked for.
#[derive(Default)]
struct Told(Vec<(String, Vec<u8>)>);

impl Told {
    /// Notes an answer or a refusal as it was sent, but for random request ids.
    fn note<T: Message>(&mut self, what: &str, outcome: Result<Response<T>, Status>) {
        let bytes = match outcome {
            Ok(answer) => answer.into_inner().encode_to_vec(),
            Err(status) => {
                let info = status.get_error_details().error_info().cloned().unwrap();
                // Sent in an order by chance.
                let metadata: BTreeMap<String, String> = info.metadata.into_iter().collect();
                let (code, message, length) = (status.code(), status.message(), status.details().len());
                format!("{code:?} {message} {} {} {metadata:?}, {length} bytes", info.reason, info.domain).into_bytes()
            }
        };
        self.0.push((what.to_owned(), without_ids(bytes)));
    }
}

/// Blanks what looks like a UUID.
fn without_ids(mut bytes: Vec<u8>) -> Vec<u8> {
    let is_id = |text: &[u8]| {
        let dash = |place: usize| [8, 13, 18, 23].contains(&place);
        text.iter().enumerate().all(|(place, byte)| if dash(place) { *byte == b'-' } else { byte.is_ascii_hexdigit() })
    };
    for start in 0..bytes.len().saturating_sub(35) {
        if is_id(&bytes[start..start + 36]) {
            bytes[start..start + 36].fill(b'0');
        }
    }
    bytes
}

/// A plan without its deadline: that is of the machine, and moves when it is busy. See the attacks on timing.
fn without_deadline(plan: Option<v1::Plan>) -> Option<v1::Plan> {
    plan.map(|plan| v1::Plan { deadline_millis: 0, ..plan })
}

/// A release without its draws, which may differ, and without its index of the log: in that strangers are counted each second, and
/// what else is counted there has a test of its own.
fn without_noise(release: Option<v1::Release>) -> Option<v1::Release> {
    let mut release = release?;
    for cell in release.tables.iter_mut().flat_map(|table| &mut table.cells) {
        let v1::Cell { labels, codes, noised_1024: _, people: _, low: _, high: _, value: _ } = std::mem::take(cell);
        *cell = v1::Cell { labels, codes, ..Default::default() };
    }
    release.leaf = 0;
    Some(release)
}

/// A size without what may differ.
fn sized(answer: Response<v1::EstimateSizeResponse>) -> Response<v1::EstimateSizeResponse> {
    let v1::EstimateSizeResponse { plan, release } = answer.into_inner();
    Response::new(v1::EstimateSizeResponse { plan: without_deadline(plan), release: without_noise(release) })
}

/// A gateway with a shop of 60 people, and the target if there is one.
async fn filled(target: bool) -> (Gate, v1::Dataset, ClientKey) {
    let gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    let (producer, key) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let mut batch = shop::people("c", 60, &[PURPOSE, "sharing.partner.acme"]);
    if target {
        let one = shop::people("target", 1, &[PURPOSE, "sharing.partner.acme"]);
        batch.profiles.extend(one.profiles);
        batch.events.extend(one.events);
        batch.consents.extend(one.consents);
    }
    shop::stream(&producer, vec![shop::header(&dataset), shop::message(batch)]).await.unwrap();
    (gate, dataset, key)
}

const TEXTS: [&str; 4] =
    ["true", r#"age_band == "18-34" && region == "north""#, "order.any()", r#"!(region == "south")"#];
const WRONG: [&str; 5] =
    ["region ==", "age_band == 7", r#"regoin == "north""#, r#"diet == "halal""#, r#"region == "target""#];

fn spends() -> Vec<Option<v1::Spend>> {
    let half_width = |people: f64| Some(v1::Spend { spend: Some(v1::spend::Spend::HalfWidth(people)) });
    vec![None, shop::rho("0.001"), shop::rho("20"), half_width(5.0), half_width(44.0), half_width(0.0), shop::rho("-1")]
}

/// Everything that a service asks for, with and without a right to it.
async fn ask_everything(gate: &Gate, insights: &Caller, told: &mut Told) {
    let mut catalog = CatalogServiceClient::new(insights.line());
    let used = || shop::used(PURPOSE);
    let get = |name: &str| v1::GetDatasetRequest { name: name.to_owned(), r#use: used() };
    told.note("dataset", catalog.get_dataset(get(shop::SHOP)).await);
    told.note("no dataset", catalog.get_dataset(get("datasets/nothing")).await);
    let list = v1::ListDatasetsRequest { r#use: used(), ..Default::default() };
    told.note("datasets", catalog.list_datasets(list).await);
    let mut segments = SegmentServiceClient::new(insights.line());
    let mut portraits = InsightServiceClient::new(insights.line());
    for text in TEXTS.iter().chain(&WRONG) {
        let cel = (*text).to_owned();
        let validate = v1::ValidateSegmentRequest { dataset: shop::SHOP.into(), cel, r#use: used() };
        told.note(&format!("validate {text}"), segments.validate_segment(validate).await);
        for spend in spends() {
            let what = format!("{text} at {spend:?}");
            let size = v1::EstimateSizeRequest { spend: spend.clone(), validate_only: true, ..shop::size_of(text) };
            let planned = segments.estimate_size(size).await.map(sized);
            told.note(&format!("plan of a size: {what}"), planned);
            let by = v1::BreakdownRequest {
                dataset: shop::SHOP.into(),
                segment: shop::cel(text),
                by: vec!["order.category".into(), "region".into()],
                r#use: used(),
                spend,
                validate_only: true,
                ..Default::default()
            };
            let planned = portraits.breakdown(by).await.map(|answer| {
                let answer = answer.into_inner();
                Response::new(v1::BreakdownResponse { plan: without_deadline(answer.plan), ..answer })
            });
            told.note(&format!("plan of a breakdown: {what}"), planned);
        }
        let size = v1::EstimateSizeRequest { spend: shop::rho("3"), ..shop::size_of(text) };
        told.note(&format!("size: {text}"), segments.estimate_size(size).await.map(sized));
        let portrait = v1::PortraitRequest {
            dataset: shop::SHOP.into(),
            segment: shop::cel(text),
            r#use: used(),
            spend: shop::rho("3"),
            ..Default::default()
        };
        let answer = portraits.portrait(portrait).await.map(|answer| {
            let v1::PortraitResponse { plan, release, total_people: _ } = answer.into_inner();
            let (plan, release) = (without_deadline(plan), without_noise(release));
            Response::new(v1::PortraitResponse { plan, release, total_people: 0 })
        });
        told.note(&format!("portrait: {text}"), answer);
    }
    let mut admin = AdminServiceClient::new(insights.line());
    let budget = v1::GetBudgetRequest { dataset: shop::SHOP.into(), client: String::new() };
    told.note("budget", admin.get_budget(budget).await);
    let close = v1::CloseEpochRequest { dataset: shop::SHOP.into(), ..Default::default() };
    told.note("a steward's work", admin.close_epoch(close).await);
    refusals(gate, insights, told).await;
}

/// What is refused for money, purposes, request ids and tokens.
async fn refusals(gate: &Gate, insights: &Caller, told: &mut Told) {
    let mut segments = SegmentServiceClient::new(insights.line());
    let id = "0189d8f0-aaaa-4bbb-8ccc-0123456789ab";
    let at = |rho: &str, text: &str| v1::EstimateSizeRequest { spend: shop::rho(rho), ..shop::size_of(text) };
    let with_id = |text: &str| v1::EstimateSizeRequest { request_id: id.into(), ..at("100000", text) };
    let other = v1::EstimateSizeRequest { r#use: shop::used("marketing.portrait"), ..shop::size_of("true") };
    let unknown = v1::EstimateSizeRequest { r#use: shop::used("target"), ..shop::size_of("true") };
    for (what, question) in [
        ("too dear", at("100000", "true")),
        ("more than is left", at("499", "true")),
        ("a request id", with_id("true")),
        ("another purpose", other),
        ("no purpose", unknown),
        ("a dataset's name", v1::EstimateSizeRequest { dataset: "shop".into(), ..shop::size_of("true") }),
    ] {
        told.note(what, segments.estimate_size(question).await);
    }
    let list = || v1::ListDatasetsRequest { r#use: shop::used(PURPOSE), ..Default::default() };
    for (what, caller) in [("no token", gate.nobody().await), ("no real token", insights.with_token("a.b.c"))] {
        told.note(what, CatalogServiceClient::new(caller.line()).list_datasets(list()).await);
    }
    let mut tokens = TokenServiceClient::new(gate.nobody().await.line());
    let stranger = ClientKey::generate().unwrap();
    for client in ["insights", "target", "target-0"] {
        let assertion = stranger.assertion(client, &gate.config.audience, gate.clock.now()).unwrap();
        let exchange = v1::ExchangeRequest { assertion, purposes: Vec::new() };
        told.note(&format!("a stranger's key for {client}"), tokens.exchange(exchange).await);
    }
    let nonsense = v1::ExchangeRequest { assertion: "target-0".into(), purposes: Vec::new() };
    told.note("no assertion", tokens.exchange(nonsense).await);
}

async fn transcript(target: bool) -> Told {
    let (gate, _, _) = filled(target).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &[PURPOSE]).await;
    let mut told = Told::default();
    // Before an epoch has closed, after it, and after the next.
    ask_everything(&gate, &insights, &mut told).await;
    for _ in 0..2 {
        shop::close_epoch(&gate).await;
        ask_everything(&gate, &insights, &mut told).await;
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prices_refusals_and_token_errors_as_oracles() {
    let (with, without) = tokio::join!(transcript(true), transcript(false));
    assert_eq!(with.0.len(), without.0.len());
    let mut differ = 0;
    for ((what, with), (_, without)) in with.0.iter().zip(&without.0) {
        if with != without {
            differ += 1;
            eprintln!("{what}:\n{}\n{}", String::from_utf8_lossy(with), String::from_utf8_lossy(without));
        }
    }
    let bytes: usize = with.0.iter().map(|(_, bytes)| bytes.len()).sum();
    let advantage = f64::from(u8::from(differ > 0));
    eprintln!(
        "prices, refusals and token errors: advantage {advantage:.3}, at most 0 ({bytes} bytes of {} answers compared)",
        with.0.len()
    );
    assert_eq!(differ, 0);
}

/// Leaves of two questions of one client, between which the target comes and goes in one of two worlds, and nobody else does
/// anything.
fn leaves(world: &World, is_there: bool) -> [u64; 2] {
    let leaf = |rho: u64| world.ask(&Asked::size("true", NanoRho(rho))).0.leaf;
    let first = leaf(1_000_000_000);
    if is_there {
        let target = target();
        world.record(&target, ConsentAct::Withdraw, 2);
        world.record(&target, ConsentAct::Give, 3);
        world.ingest(&[Person { orders: vec![1, 2], ..target.clone() }]);
        let fold = world.permit("system", "", Role::System, Verb::Maintain, None);
        world.vault.fold(&fold, at(4)).unwrap();
        let erase = world.permit("portal", "", Role::Portal, Verb::EraseSubject, None);
        world.vault.erase_subjects(&erase, &[target.key()], at(5)).unwrap();
    }
    [first, leaf(1_000_000_001)]
}

#[test]
fn counting_withdrawals_purchases_and_erasures_by_the_log() {
    let pair = Pair::new(&crowd(40), &target());
    let (with, without) = (leaves(&pair.with, true), leaves(&pair.without, false));
    let advantage = f64::from(u8::from(with != without));
    eprintln!("indexes of the log between two answers: advantage {advantage:.3}, at most 0 ({with:?} and {without:?})");
    assert_eq!(with, without, "an index that moves with what people do counts it");
}

/// Leaves of two questions of one client over the wire, between which a producer signs in, streams a purchase, withdraws and is
/// refused, or does not.
async fn leaves_over_the_wire(is_busy: bool) -> [u64; 2] {
    let (gate, dataset, key) = filled(true).await;
    shop::close_epoch(&gate).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &[PURPOSE]).await;
    let leaf = async |text: &str| {
        let question = v1::EstimateSizeRequest { spend: shop::rho("3"), ..shop::size_of(text) };
        let answer = SegmentServiceClient::new(insights.line()).estimate_size(question).await.unwrap();
        answer.into_inner().release.unwrap().leaf
    };
    let first = leaf("true").await;
    if is_busy {
        let producer = gate.sign_in("till", &key).await;
        let mut purchase = shop::people("target", 1, &[]);
        purchase.events[0].id = 9;
        shop::stream(&producer, vec![shop::header(&dataset), shop::message(purchase)]).await.unwrap();
        shop::stream(&producer, vec![shop::message(shop::people("target", 1, &[]))]).await.unwrap_err();
        let withdraw = |subject: &str| v1::WithdrawRequest {
            dataset: shop::SHOP.into(),
            subject: subject.into(),
            purpose: PURPOSE.into(),
            source: "portal".into(),
            ..Default::default()
        };
        let mut consents = ConsentServiceClient::new(producer.line());
        consents.withdraw(withdraw("target-0")).await.unwrap();
        consents.withdraw(withdraw("nobody")).await.unwrap_err();
    }
    [first, leaf("order.any()").await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counting_the_calls_of_producers_by_the_log() {
    let (busy, idle) = tokio::join!(leaves_over_the_wire(true), leaves_over_the_wire(false));
    let advantage = f64::from(u8::from(busy != idle));
    eprintln!("indexes of the log while a producer calls: advantage {advantage:.3}, at most 0 ({busy:?} and {idle:?})");
    assert_eq!(busy, idle);
}
