//! `funnel`, `trend`, `compare`, `table`, `retention`, and what all questions with parts share.

use super::ask::{heading, plan_shown, released, window_of, write_picture};
use super::{dataset_name, segment_of, spend_of, use_of};
use crate::cli::answer;
use crate::cli::args::{
    CompareArgs, Counted, Dimensions, Edges, FunnelArgs, Length, NamedExpression, Periods, Picture, Question,
    RetentionArgs, TableArgs, TrendArgs,
};
use crate::cli::chart::{self, Canvas, Panel, Sheet};
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::session::Session;
use proto::v1::{
    Ask, Bins, ContrastRequest, Dimension, FunnelRequest, Measure, Named, Period, Plan, Release, RetentionRequest,
    SegmentSource, TabulateRequest, TrendRequest, dimension, segment_source,
};
use serde_json::{Value, json};

pub(super) const MEASUREMENT: &str = "marketing.measurement";

/// Who took which steps.
pub async fn funnel(args: FunnelArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let FunnelArgs { question, steps, picture } = args;
    let (ask, title) = ask(question, MEASUREMENT, &picture);
    let request = FunnelRequest { ask: Some(ask), steps: steps.into_iter().map(named).collect() };
    let answer = session.insight().funnel(session.request(request).await?).await?.into_inner();
    let plan = answer.plan.unwrap_or_default();
    let Some(release) = answer.release else { return Ok(plan_shown(&plan, "people")) };
    let funnel = answer::funnel(&answer.steps, answer::sheet(&release, &title, Vec::new()));
    let words = chart::funnel(&funnel, canvas);
    let steps = answer.steps.iter().map(answer::step_json).collect();
    finish(
        words,
        &release,
        &plan,
        canvas,
        &[("steps", steps)],
        picture.svg.map(|path| (path, chart::funnel_svg(&funnel))),
    )
}

/// How much of something there was, period by period.
pub async fn trend(args: TrendArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let TrendArgs { event, question, periods, counts, by, picture } = args;
    let (ask, title) = ask(question, MEASUREMENT, &picture);
    let counted = counts.first().map_or("people".to_owned(), |count| count.of.clone());
    let (period, word) = length(&periods.length);
    let Periods { length: _, from, until } = periods;
    let measures = counts.into_iter().map(measure).collect();
    let request = TrendRequest { ask: Some(ask), event, measures, period: period.into(), from, until, by };
    let answer = session.insight().trend(session.request(request).await?).await?.into_inner();
    let plan = answer.plan.unwrap_or_default();
    let Some(release) = answer.release else { return Ok(plan_shown(&plan, &counted)) };
    let sheet = answer::sheet(&release, &title, notes(&release, answer.last_is_open.then_some(word)));
    let trends = answer::trends(&release, answer.last_is_open);
    let mut words = chart::heading(&sheet, canvas);
    words.push_str(&chart::panels(&trends.iter().flat_map(trend_panels).collect::<Vec<_>>(), 0.0, canvas));
    words.push_str(&answer::means_words(&answer.means, canvas));
    words.push_str(&note_lines(&sheet.notes));
    let means = answer.means.iter().map(answer::mean_json).collect();
    let more = [("means", means), ("last_is_open", json!(answer.last_is_open))];
    let svg = picture.svg.map(|path| (path, chart::trend_svg(&sheet, &trends)));
    finish(words, &release, &plan, canvas, &more, svg)
}

/// A block of bars for each line of a trend.
pub fn trend_panels(trend: &chart::Trend) -> Vec<Panel> {
    let panel = |series: &chart::Series| Panel {
        title: [trend.counted.as_str(), &series.label]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(": "),
        bars: trend
            .periods
            .iter()
            .zip(&series.points)
            .map(|(day, point)| chart::Bar { label: day.clone(), figure: *point, missing: false })
            .collect(),
        overlapping: false,
        advice: None,
    };
    trend.series.iter().map(panel).collect()
}

/// How a segment differs from the rest.
pub async fn compare(args: CompareArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let CompareArgs { question, fields, window, picture } = args;
    let (ask, title) = ask(question, "marketing.portrait", &picture);
    let base = if ask.universe.is_empty() { "everyone".to_owned() } else { ask.universe.clone() };
    let request = ContrastRequest { ask: Some(ask), fields, window: window_of(&window) };
    let answer = session.insight().contrast(session.request(request).await?).await?.into_inner();
    let plan = answer.plan.unwrap_or_default();
    let Some(release) = answer.release else { return Ok(plan_shown(&plan, "people")) };
    let panels = answer::contrast(&answer.rows, &release);
    let story = answer::contrast_story(&panels);
    let mut notes: Vec<String> = chart::wrapped(&story, 124);
    notes.push(format!(
        "The index is a value's share of these people over its share of the base, 100 being the same. The base: {base}."
    ));
    let sheet = answer::sheet(&release, &title, notes);
    let mut words = chart::heading(&sheet, canvas);
    words.push_str(&chart::contrast(&panels, canvas));
    words.push('\n');
    words.push_str(&note_lines(&chart::wrapped(&story, canvas.width.saturating_sub(2))));
    words.push_str(&note_lines(&[format!(
        "index: share of these over share of the base, 100 being the same; the base: {base}"
    )]));
    let rows = answer.rows.iter().map(answer::contrast_json).collect();
    let svg = picture.svg.map(|path| (path, chart::contrast_svg(&sheet, &panels)));
    finish(words, &release, &plan, canvas, &[("rows", rows), ("text", json!(story))], svg)
}

/// The dimensions of a table: fields, then times, then numbers.
pub(super) fn dimensions(Dimensions { by, hours_of, weekdays_of, bins }: Dimensions) -> Vec<Dimension> {
    use dimension::Dimension as Of;
    let bins = bins.into_iter().map(|Edges { field, edges }| Of::Bins(Bins { field, edges }));
    let times = hours_of.map(Of::HourOf).into_iter().chain(weekdays_of.map(Of::WeekdayOf));
    let by = by.into_iter().map(Of::Field).chain(times).chain(bins);
    by.map(|dimension| Dimension { dimension: Some(dimension) }).collect()
}

/// Counts people, events or sums by fields, times and numbers.
pub async fn table(args: TableArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let TableArgs { question, counts, dimensions: by, weighed, window, picture } = args;
    let (ask, title) = ask(question, MEASUREMENT, &picture);
    let counted = counts.first().map_or("people".to_owned(), |count| count.of.clone());
    let request = TabulateRequest {
        ask: Some(ask),
        measures: counts.into_iter().map(measure).collect(),
        by: dimensions(by),
        window: window_of(&window),
        weighed,
    };
    let answer = session.insight().tabulate(session.request(request).await?).await?.into_inner();
    let plan = answer.plan.unwrap_or_default();
    let Some(release) = answer.release else { return Ok(plan_shown(&plan, &counted)) };
    let mut portrait = answer::portrait(&release, &title, None);
    portrait.notes = notes(&release, None);
    let mut words = chart::bars(&portrait, canvas);
    words.push_str(&single_lines(&release));
    words.push_str(&answer::means_words(&answer.means, canvas));
    words.push_str(&note_lines(&portrait.notes));
    let means = answer.means.iter().map(answer::mean_json).collect();
    let svg = picture.svg.map(|path| (path, chart::bars_svg("Table", &portrait)));
    finish(words, &release, &plan, canvas, &[("means", means)], svg)
}

/// A line for each table of one cell.
fn single_lines(release: &Release) -> String {
    let one = |table: &proto::v1::Table| {
        let figure = answer::single(table)?;
        Some(format!("  {}: {}\n", table.counted, figure.words()))
    };
    release.tables.iter().filter(|table| table.fields.is_empty()).filter_map(one).collect()
}

/// Who came back.
pub async fn retention(args: RetentionArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let RetentionArgs { event, question, periods, picture } = args;
    let (ask, title) = ask(question, MEASUREMENT, &picture);
    let (period, word) = length(&periods.length);
    let Periods { length: _, from, until } = periods;
    let request = RetentionRequest { ask: Some(ask), event, period: period.into(), from, until };
    let answer = session.insight().retention(session.request(request).await?).await?.into_inner();
    let plan = answer.plan.unwrap_or_default();
    let Some(release) = answer.release else { return Ok(plan_shown(&plan, "people")) };
    let sheet = answer::sheet(&release, &title, notes(&release, answer.last_is_open.then_some(word)));
    let retention = answer::retention(&answer.cohorts, sheet, word, answer.last_is_open);
    let mut words = chart::retention(&retention, canvas);
    words.push_str(&note_lines(&retention.sheet.notes));
    let cohorts = answer.cohorts.iter().map(answer::cohort_json).collect();
    let more = [("cohorts", cohorts), ("last_is_open", json!(answer.last_is_open))];
    let svg = picture.svg.map(|path| (path, chart::retention_svg(&retention)));
    finish(words, &release, &plan, canvas, &more, svg)
}

/// Builds what every question says about itself, and the heading of its answer.
pub(super) fn ask(question: Question, purpose: &str, picture: &Picture) -> (Ask, String) {
    let Question { who, of, use_for, spending } = question;
    let title = picture.title.clone().unwrap_or_else(|| heading(&who, &of.dataset));
    let ask = Ask {
        dataset: dataset_name(&of.dataset),
        segment: segment_of(&who, &of.dataset),
        universe: who.universe.clone(),
        r#use: Some(use_of(&use_for, purpose)),
        spend: spend_of(&spending),
        validate_only: spending.preview,
        request_id: spending.request_id,
    };
    (ask, title)
}

pub(super) fn named(NamedExpression { name, expression }: NamedExpression) -> Named {
    Named { name, segment: Some(SegmentSource { source: Some(segment_source::Source::Cel(expression)) }) }
}

fn measure(Counted { of, bound }: Counted) -> Measure {
    Measure { of, bound }
}

pub(super) fn length(length: &Length) -> (Period, &'static str) {
    match (length.by_day, length.by_month) {
        (true, _) => (Period::Day, "day"),
        (_, true) => (Period::Month, "month"),
        _ => (Period::Week, "week"),
    }
}

/// What a reader must know of bounds, and of a last period that is not over.
fn notes(release: &Release, open: Option<&str>) -> Vec<String> {
    let bounded = release.tables.iter().any(|table| table.bound > 0.0);
    let clipped =
        "Who reaches a bound counts for no more: intervals are of the noise, not of what that leaves out.".to_owned();
    let open = open.map(|period| format!("The last {period} was not over when the epoch ended."));
    bounded.then_some(clipped).into_iter().chain(open).collect()
}

pub(super) fn note_lines(notes: &[String]) -> String {
    notes.iter().map(|note| format!("  {note}\n")).collect()
}

/// Adds the small print, the parts for programs, and the picture.
pub(super) fn finish(
    mut words: String,
    release: &Release,
    plan: &Plan,
    canvas: Canvas,
    more: &[(&str, Value)],
    picture: Option<(std::path::PathBuf, String)>,
) -> Result<Shown, CliError> {
    let Sheet { facts, .. } = answer::sheet(release, "", Vec::new());
    words.push('\n');
    words.push_str(&chart::fact_lines(&facts, canvas));
    let mut json = released(plan, release);
    if let Some(object) = json.as_object_mut() {
        object.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    if let Some((path, svg)) = picture {
        words.push_str(&write_picture(&path, &svg)?);
    }
    Ok(Shown::new(words, json))
}
