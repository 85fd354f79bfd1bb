//! What happens in the demo, step by step.

use super::cast::{Cast, PARTNER};
use super::teller::Teller;
use super::{Place, member};
use crate::cli::answer;
use crate::cli::args::DemoArgs;
use crate::cli::chart::{self, grouped};
use crate::cli::command::import::{progress_bar, stream};
use crate::cli::command::insight::trend_panels;
use crate::cli::command::{audience, audit, schema};
use crate::cli::error::{CliError, Exit};
use crate::cli::feed::Sent;
use crate::cli::generate::{SCHEMA, Settings};
use crate::cli::import::{Batch, Body, Line, Record, Subject, Value};
use crate::clock::{Clock, Stopwatch};
use proto::v1::{
    Ask, Budget, CloseEpochRequest, CreateSegmentRequest, DeliverAudienceRequest, EstimateSizeRequest, FunnelRequest,
    GetBudgetRequest, LawfulBasis, Named, Period, PortraitRequest, Release, SearchLogRequest, SegmentSource,
    TrendRequest, Use, Window, segment_source,
};
use std::path::Path;

const DATASET: &str = "datasets/coop";
const SEGMENT: &str = "ceramics-lovers";
/// Looked at ceramics again and again.
const EXPRESSION: &str = r#"view.last("365d").where(category == "ceramics").count() >= 2"#;

/// How many weeks are looked back at.
const WEEKS: i32 = 6;

/// People who never agreed to anything.
const STRANGERS: u64 = 2_000;

const CONSENT: LawfulBasis = LawfulBasis::Consent;

/// Tells it.
pub async fn tell(
    args: &DemoArgs,
    teller: &Teller,
    place: &Place,
    steward: &Path,
    url: &str,
    clock: &Clock,
) -> Result<(), CliError> {
    teller.step("A gateway of its own")?;
    teller.say(&format!(
        "It listens at {url} and keeps its data, sealed, in {}. Everything from here on goes through its gRPC, with a \
         token for every call.",
        place.path().display()
    ))?;
    let cast = Cast::register(place.path(), steward, url).await?;
    teller.say(
        "The steward has registered a shop that writes, a marketing service that asks, a partner that receives, a \
         compliance officer who reads the log, and the portal that acts for members. Each has its own key and may do nothing else.",
    )?;
    ingest(args, teller, &cast, clock).await?;
    close(teller, &cast).await?;
    segment(teller, &cast).await?;
    portrait(args, teller, &cast).await?;
    journey(teller, &cast, clock).await?;
    refusals(teller, &cast).await?;
    strangers(teller, &cast, clock).await?;
    partner(teller, &cast).await?;
    member::asks(teller, &cast).await?;
    budget(teller, &cast).await?;
    log(teller, &cast).await
}

async fn ingest(args: &DemoArgs, teller: &Teller, cast: &Cast, clock: &Clock) -> Result<(), CliError> {
    teller.step("A farm co-operative moves in")?;
    let as_of = clock.now();
    let consumers = u64::from(args.consumers);
    let settings = Settings { seed: args.seed, consumers, events: consumers * 20, as_of };
    let dataset = schema::create_dataset(SCHEMA.to_owned(), &cast.steward).await?;
    let newcomers = newcomers(as_of.seconds())?;
    let bar = progress_bar(consumers, teller.out());
    let watch = Stopwatch::start();
    let sent = stream(settings, Some(newcomers), &cast.shop, dataset.schema_hash, &bar).await?;
    let Sent { profiles, events, consents, rejected } = sent;
    if !rejected.is_empty() {
        return Err(CliError::failed(format!("the gateway did not take {} rows", rejected.len())));
    }
    let seconds = watch.elapsed().as_secs_f64().max(0.001);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "for display"
    )]
    let rate = ((profiles + events + consents) as f64 / seconds) as u64;
    teller.say(&format!(
        "The shop streamed in {} consumers, {} views, carts and orders, and {} acts of consent in {seconds:.1} s, {} rows \
         a second. Each batch was on disk, sealed, before it was acknowledged.",
        grouped(profiles),
        grouped(events),
        grouped(consents),
        grouped(rate)
    ))?;
    teller.say(&format!(
        "About three in ten members agreed to no marketing. The last {} consumers signed up at the market today and were \
         never asked.",
        grouped(STRANGERS)
    ))
}

/// People who signed up today and agreed to nothing.
fn newcomers(now: i64) -> Result<Batch, CliError> {
    let schema = policy::schema::parse(SCHEMA).map_err(|problem| CliError::failed(problem.to_string()))?;
    let columns = ["age_band", "region", "member_since"].map(|name| schema.attribute(name).map(|field| field.column));
    let person = |number: u64| {
        let subject = Subject::new(format!("x{number:07}"))?;
        let code = |of: u64| Value::Code(1 + u16::try_from(number % of).unwrap_or(0));
        let body = Body::Profile(vec![code(6), code(8), Value::Int(now.div_euclid(86_400))]);
        Some(Record { line: Line(0), subject, body })
    };
    let records = (0..STRANGERS).filter_map(person).collect();
    Ok(Batch { attributes: columns.into_iter().flatten().collect(), records, ..Batch::default() })
}

async fn close(teller: &Teller, cast: &Cast) -> Result<(), CliError> {
    teller.step("The day ends")?;
    let watch = Stopwatch::start();
    let request = CloseEpochRequest { dataset: DATASET.to_owned(), as_of_time: None, request_id: String::new() };
    let answer = cast.steward.admin().close_epoch(cast.steward.request(request).await?).await?.into_inner();
    teller.say(&format!(
        "The steward closed epoch {} in {:.1} s: what was written has been folded into sealed blocks. Answers read whole \
         epochs, so that nobody can watch a figure move as one person comes or goes.",
        answer.epoch,
        watch.elapsed().as_secs_f64()
    ))
}

async fn segment(teller: &Teller, cast: &Cast) -> Result<(), CliError> {
    teller.step("Marketing wonders about its ceramics lovers")?;
    let request = CreateSegmentRequest {
        dataset: DATASET.to_owned(),
        segment_id: SEGMENT.to_owned(),
        cel: EXPRESSION.to_owned(),
        universe: String::new(),
        display: "Looked at ceramics at least twice in a year".to_owned(),
        r#use: purpose("marketing.segmentation", CONSENT),
        validate_only: false,
        request_id: String::new(),
    };
    let marketing = &cast.marketing;
    marketing.segments().create_segment(marketing.request(request).await?).await?;
    teller.show(EXPRESSION)?;
    let release = size(cast, stored(), purpose("marketing.segmentation", CONSENT)).await?;
    teller.show(&answer::size_line(&release))?;
    teller.say(&answer::price_words(&release))?;
    let again = size(cast, stored(), purpose("marketing.segmentation", CONSENT)).await?;
    let same =
        if again.tables == release.tables && !again.charged { "the same answer, free" } else { "another answer" };
    teller.say(&format!(
        "Noise was added before the figure left, paid for from a budget that can't be exceeded. Asked again: {same}."
    ))
}

async fn size(cast: &Cast, segment: Option<SegmentSource>, r#use: Option<Use>) -> Result<Release, CliError> {
    let request = EstimateSizeRequest { dataset: DATASET.to_owned(), segment, r#use, ..EstimateSizeRequest::default() };
    let answer = cast.marketing.segments().estimate_size(cast.marketing.request(request).await?).await?.into_inner();
    answer.release.ok_or_else(|| CliError::failed("the gateway sent no release"))
}

async fn portrait(args: &DemoArgs, teller: &Teller, cast: &Cast) -> Result<(), CliError> {
    teller.step("Their portrait")?;
    let fields = ["age_band", "region", "household", "loyalty_tier", "order.category", "order.channel"];
    let request = PortraitRequest {
        dataset: DATASET.to_owned(),
        segment: stored(),
        fields: fields.map(str::to_owned).to_vec(),
        window: Some(Window { last: "365d".to_owned(), until: String::new() }),
        r#use: purpose("marketing.portrait", CONSENT),
        ..PortraitRequest::default()
    };
    let watch = Stopwatch::start();
    let answer = cast.marketing.insight().portrait(cast.marketing.request(request).await?).await?.into_inner();
    let took = watch.elapsed();
    let release = answer.release.ok_or_else(|| CliError::failed("the gateway sent no release"))?;
    let total = answer::total(&release, answer.total_people);
    let portrait = answer::portrait(&release, "Ceramics lovers", total);
    teller.show(&chart::bars(&portrait, teller.canvas()))?;
    teller.show(&format!("\n{}", chart::fact_lines(&portrait.facts, teller.canvas())))?;
    teller.say(&answer::story(portrait.size, &portrait.panels))?;
    let svg = chart::portrait_svg(&portrait);
    std::fs::write(&args.svg, svg).map_err(|problem| CliError::file(&args.svg, &problem))?;
    teller.say(&format!(
        "{} figures in {:.0} ms, all of them under one price. They are fewer people than before: some agreed to \
         segmentation and not to portraits. Drawn as a picture in {}.",
        release.tables.iter().map(|table| table.cells.len()).sum::<usize>(),
        took.as_secs_f64() * 1000.0,
        args.svg.display()
    ))
}

/// Who buys after looking, and how many buy week by week.
async fn journey(teller: &Teller, cast: &Cast, clock: &Clock) -> Result<(), CliError> {
    teller.step("From looking to buying")?;
    let marketing = &cast.marketing;
    let ask =
        || Ask { dataset: DATASET.to_owned(), r#use: purpose("marketing.segmentation", CONSENT), ..Ask::default() };
    let step = |(name, expression): (&str, &str)| Named { name: name.to_owned(), segment: written(expression) };
    let steps = [("looked", "view.last(\"90d\").any()"), ("filled a cart", "cart.last(\"90d\").any()")];
    let steps = steps.into_iter().chain([("bought", "order.last(\"90d\").any()")]).map(step).collect();
    let request = FunnelRequest { ask: Some(ask()), steps };
    let answer = marketing.insight().funnel(marketing.request(request).await?).await?.into_inner();
    let release = answer.release.ok_or_else(|| CliError::failed("the gateway sent no release"))?;
    let sheet = answer::sheet(&release, "Members in the last 90 days", Vec::new());
    teller.show(&chart::funnel(&answer::funnel(&answer.steps, sheet), teller.canvas()))?;
    let day = i32::try_from(clock.now().seconds().div_euclid(86_400)).ok();
    let from = day.and_then(|day| policy::time::format_day(day - 7 * WEEKS)).unwrap_or_default();
    let request = TrendRequest {
        ask: Some(ask()),
        event: "order".to_owned(),
        period: Period::Week.into(),
        from,
        ..TrendRequest::default()
    };
    let answer = marketing.insight().trend(marketing.request(request).await?).await?.into_inner();
    let release = answer.release.ok_or_else(|| CliError::failed("the gateway sent no release"))?;
    let panels: Vec<_> = answer::trends(&release, answer.last_is_open).iter().flat_map(trend_panels).collect();
    teller.show(&chart::panels(&panels, 0.0, teller.canvas()))?;
    teller.say(
        "Each member is on one step of the funnel, so that no step is larger than the one before; and each can buy in every \
         week, so that weeks cost more noise than steps do. The last week is not over.",
    )
}

async fn refusals(teller: &Teller, cast: &Cast) -> Result<(), CliError> {
    teller.step("What marketing may not ask")?;
    teller.say("For a purpose that it was not granted, measurement:")?;
    refused(teller, size(cast, stored(), purpose("marketing.measurement", CONSENT)).await)?;
    teller.say("About a sensitive field, diet, that the policies keep closed:")?;
    let vegans = written("diet == \"vegan\"");
    refused(teller, size(cast, vegans, purpose("marketing.segmentation", CONSENT)).await)?;
    teller.say("A refusal costs nothing and is in the log, like an answer.")
}

/// Shows a refusal; anything else is a failure of the demo.
fn refused(teller: &Teller, outcome: Result<Release, CliError>) -> Result<(), CliError> {
    match outcome {
        Err(error) if error.exit() == Exit::Refused => teller.show(&error.words()),
        Err(error) => Err(error),
        Ok(_) => Err(CliError::failed("the gateway answered what it must refuse")),
    }
}

async fn strangers(teller: &Teller, cast: &Cast, clock: &Clock) -> Result<(), CliError> {
    teller.step("People who were never asked")?;
    let day = i32::try_from(clock.now().seconds().div_euclid(86_400)).ok().and_then(policy::time::format_day);
    let expression = format!("member_since >= \"{}\"", day.unwrap_or_default());
    teller.show(&expression)?;
    let release = size(cast, written(&expression), purpose("marketing.segmentation", CONSENT)).await?;
    teller.show(&answer::size_line(&release))?;
    teller.say(&format!(
        "{} people fit, and none of them agreed to marketing. They were not counted and then hidden: no figure \
         depends on them. What is left is the noise around 0.",
        grouped(STRANGERS)
    ))
}

async fn partner(teller: &Teller, cast: &Cast) -> Result<(), CliError> {
    teller.step("A partner gets an audience")?;
    let request = DeliverAudienceRequest {
        dataset: DATASET.to_owned(),
        segment: written(EXPRESSION),
        tags: vec!["age_band".to_owned(), "region".to_owned()],
        r#use: purpose("sharing.partner.greenbox", CONSENT),
        spend: None,
        request_id: String::new(),
    };
    let delivered = audience::receive(request, &cast.partner).await?;
    teller.show(&audience::words(&delivered, 5, teller.canvas()))?;
    teller.say(&format!(
        "Only members who agreed to share with {PARTNER} are in it. Tags are coarse, and no combination of them is held by \
         fewer than 20. Another partner would get other pseudonyms."
    ))
}

async fn budget(teller: &Teller, cast: &Cast) -> Result<(), CliError> {
    teller.step("What it cost the members")?;
    let request = GetBudgetRequest { dataset: DATASET.to_owned(), client: String::new() };
    let request = cast.marketing.request(request).await?;
    let budget: Budget = cast.marketing.admin().get_budget(request).await?.into_inner().budget.unwrap_or_default();
    teller.show(&answer::budget_words(&budget, teller.canvas()))?;
    teller.say("When it is used up, questions are refused until the next quarter.")
}

async fn log(teller: &Teller, cast: &Cast) -> Result<(), CliError> {
    teller.step("Who did what")?;
    for client in ["marketing", "greenbox-crm"] {
        let request =
            SearchLogRequest { client: format!("clients/{client}"), page_size: 1000, ..SearchLogRequest::default() };
        let (mut events, _) = audit::pages(request, 1000, &cast.officer).await?;
        // What was asked says it all here; that an answer left is a leaf of its own.
        events.retain(|event| !event.sentence.contains("completes entry"));
        teller.show(&audit::sentences(&events, teller.canvas()))?;
    }
    let audit::Verified { access, subject, key: _ } = audit::verify_all(None, &cast.officer).await?;
    teller.say(&format!(
        "The officer's computer hashed all {} leaves of the access tree and all {} of the subject tree and compared them \
         with the signed checkpoints: nothing was changed, taken out or put in.",
        grouped(access),
        grouped(subject)
    ))
}

fn stored() -> Option<SegmentSource> {
    let name = format!("{DATASET}/segments/{SEGMENT}");
    Some(SegmentSource { source: Some(segment_source::Source::Name(name)) })
}

fn written(expression: &str) -> Option<SegmentSource> {
    Some(SegmentSource { source: Some(segment_source::Source::Cel(expression.to_owned())) })
}

fn purpose(purpose: &str, basis: LawfulBasis) -> Option<Use> {
    Some(Use { purpose: purpose.to_owned(), basis: basis.into() })
}
