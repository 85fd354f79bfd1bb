//! `size`, `breakdown`, `portrait`: questions with a price.

use super::{dataset_name, segment_of, spend_of, use_of};
use crate::cli::answer;
use crate::cli::args::{BreakdownArgs, PortraitArgs, Question, Who, Within};
use crate::cli::chart::{self, Canvas};
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::session::Session;
use proto::v1::{BreakdownRequest, EstimateSizeRequest, Plan, PortraitRequest, Release, Window};
use serde_json::json;
use std::path::Path;

/// How many people are in a segment.
pub async fn size(question: Question, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let Question { who, of, use_for, spending } = question;
    let request = EstimateSizeRequest {
        dataset: dataset_name(&of.dataset),
        segment: segment_of(&who, &of.dataset),
        universe: who.universe.clone(),
        r#use: Some(use_of(&use_for, "marketing.segmentation")),
        spend: spend_of(&spending),
        validate_only: spending.preview,
        request_id: spending.request_id,
    };
    let answer = session.segments().estimate_size(session.request(request).await?).await?.into_inner();
    let plan = answer.plan.unwrap_or_default();
    match answer.release {
        Some(release) => Ok(Shown::new(answer::size_words(&release, canvas), released(&plan, &release))),
        None => Ok(plan_shown(&plan, "people")),
    }
}

/// How many people are in each cell.
pub async fn breakdown(args: BreakdownArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let BreakdownArgs { question: Question { who, of, use_for, spending }, by, window, svg, title } = args;
    let request = BreakdownRequest {
        dataset: dataset_name(&of.dataset),
        segment: segment_of(&who, &of.dataset),
        universe: who.universe.clone(),
        by,
        window: window_of(&window),
        r#use: Some(use_of(&use_for, "marketing.segmentation")),
        spend: spend_of(&spending),
        validate_only: spending.preview,
        request_id: spending.request_id,
    };
    let answer = session.insight().breakdown(session.request(request).await?).await?.into_inner();
    let plan = answer.plan.unwrap_or_default();
    let Some(release) = answer.release else { return Ok(plan_shown(&plan, "people")) };
    let title = title.unwrap_or_else(|| heading(&who, &of.dataset));
    draw(&release, None, &title, svg.as_deref(), &plan, canvas)
}

/// Who the people of a segment are.
pub async fn portrait(args: PortraitArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let PortraitArgs { question: Question { who, of, use_for, spending }, fields, window, whole: _, svg, title } = args;
    let request = PortraitRequest {
        dataset: dataset_name(&of.dataset),
        segment: segment_of(&who, &of.dataset),
        universe: who.universe.clone(),
        fields,
        window: window_of(&window),
        r#use: Some(use_of(&use_for, "marketing.portrait")),
        spend: spend_of(&spending),
        validate_only: spending.preview,
        request_id: spending.request_id,
    };
    let answer = session.insight().portrait(session.request(request).await?).await?.into_inner();
    let plan = answer.plan.unwrap_or_default();
    let Some(release) = answer.release else { return Ok(plan_shown(&plan, "people")) };
    let title = title.unwrap_or_else(|| heading(&who, &of.dataset));
    draw(&release, Some(answer.total_people), &title, svg.as_deref(), &plan, canvas)
}

fn draw(
    release: &Release,
    total: Option<u64>,
    title: &str,
    svg: Option<&Path>,
    plan: &Plan,
    canvas: Canvas,
) -> Result<Shown, CliError> {
    let mut portrait = answer::portrait(release, title, total.and_then(|people| answer::total(release, people)));
    let story = total.map(|_| answer::story(portrait.size, &portrait.panels));
    let mut words = chart::bars(&portrait, canvas);
    words.push('\n');
    let mut json = released(plan, release);
    if let (Some(total), Some(story), Some(object)) = (total, story, json.as_object_mut()) {
        for line in chart::wrapped(&story, canvas.width.saturating_sub(2)) {
            words.push_str(&format!("  {line}\n"));
        }
        words.push('\n');
        portrait.notes = chart::wrapped(&story, 124);
        object.insert("total_people".to_owned(), json!(total));
        object.insert("text".to_owned(), json!(story));
    }
    words.push_str(&chart::fact_lines(&portrait.facts, canvas));
    if let Some(path) = svg {
        let name = if total.is_some() { "Portrait" } else { "Breakdown" };
        words.push_str(&write_picture(path, &chart::bars_svg(name, &portrait))?);
    }
    Ok(Shown::new(words, json))
}

/// Writes a picture and says where it is.
pub(super) fn write_picture(path: &Path, svg: &str) -> Result<String, CliError> {
    std::fs::write(path, svg).map_err(|problem| CliError::file(path, &problem))?;
    Ok(format!("  picture  {}\n", path.display()))
}

/// What an answer is called that nobody named.
pub(super) fn heading(who: &Who, dataset: &str) -> String {
    match (&who.segment, &who.expression) {
        (Some(name), _) => name.rsplit('/').next().unwrap_or(name).to_owned(),
        (None, Some(_)) => format!("A segment of {dataset}"),
        (None, None) => format!("Everyone in {dataset}"),
    }
}

/// Writes a plan and a release for a program, with what would make its tables readable where they are not.
pub(super) fn released(plan: &Plan, release: &Release) -> serde_json::Value {
    let advice: Vec<String> = answer::panels(release).into_iter().filter_map(|panel| panel.advice).collect();
    json!({ "plan": answer::plan_json(plan), "release": answer::release_json(release), "advice": advice })
}

/// Shows what an answer would cost.
pub(super) fn plan_shown(plan: &Plan, counted: &str) -> Shown {
    Shown::new(answer::plan_words(plan, counted), json!({ "plan": answer::plan_json(plan) }))
}

pub(super) fn window_of(window: &Within) -> Option<Window> {
    (!window.last.is_empty()).then(|| Window { last: window.last.clone(), until: window.until.clone() })
}
