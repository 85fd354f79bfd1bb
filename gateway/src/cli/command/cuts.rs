//! `cuts`: release, show and list cut points.

use super::ask::plan_shown;
use super::insight::{ask, finish};
use super::{dataset_name, short, use_of};
use crate::cli::answer;
use crate::cli::args::{CutsCommand, Picture, ReleaseCutsArgs};
use crate::cli::chart::{self, Canvas};
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::rights::basis_name;
use crate::cli::session::Session;
use proto::v1::{CutPoints, GetCutPointsRequest, ListCutPointsRequest, ReleaseCutPointsRequest, Use};
use serde_json::{Value, json};

const PURPOSE: &str = "marketing.segmentation";

/// Runs one of them.
pub async fn run(command: CutsCommand, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    match command {
        CutsCommand::Release(args) => release(*args, session, canvas).await,
        CutsCommand::Show { name, of, use_for } => {
            let name = format!("{}/cutPoints/{name}", dataset_name(&of.dataset));
            let request = session.request(GetCutPointsRequest { name, r#use: Some(use_of(&use_for, PURPOSE)) }).await?;
            let found = session.insight().get_cut_points(request).await?.into_inner().cut_points.unwrap_or_default();
            Ok(Shown::new(words(&found, canvas), cut_points_json(&found)))
        }
        CutsCommand::List { of, use_for } => {
            list(dataset_name(&of.dataset), use_of(&use_for, PURPOSE), session, canvas).await
        }
    }
}

async fn release(args: ReleaseCutsArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let ReleaseCutsArgs { name, number, question, bands, from, to } = args;
    let (ask, _) = ask(question, PURPOSE, &Picture { svg: None, title: None });
    let request = ReleaseCutPointsRequest { ask: Some(ask), cut_points_id: name, of: number, bands, from, to };
    let answer = session.insight().release_cut_points(session.request(request).await?).await?.into_inner();
    let plan = answer.plan.unwrap_or_default();
    let Some(release) = answer.release else { return Ok(plan_shown(&plan, "people")) };
    let words = match &answer.cut_points {
        Some(found) => words(found, canvas),
        None => format!("No cut points: {}.\n", answer.advice),
    };
    let json = json!(answer.cut_points.as_ref().map(cut_points_json));
    finish(words, &release, &plan, canvas, &[("cut_points", json), ("advice", json!(answer.advice))], None)
}

/// A line for each band, the last number first, and how to use them.
fn words(found: &CutPoints, canvas: Canvas) -> String {
    let CutPoints { name, of, bands, epoch, r#use, not_private, .. } = found;
    let stamp = if *not_private { "NOT PRIVATE: a test dataset, its answers protect nobody\n" } else { "" };
    let purpose = r#use.as_ref().map(|of| of.purpose.as_str()).unwrap_or_default();
    let name = named(name);
    let row = |band: &proto::v1::CutBand| {
        let share = band.share.as_ref().map(|share| {
            let percent = |part: f64| chart::number(part, 1);
            format!("{} % ({} to {})", percent(share.value), percent(share.low), percent(share.high))
        });
        vec![band.number.to_string(), band.words.clone(), share.unwrap_or_default()]
    };
    let rows: Vec<Vec<String>> = bands.iter().rev().map(row).collect();
    let last = bands.len();
    format!(
        "{name}: {of}\nof epoch {epoch}, for {purpose}\n{stamp}\n{}\nIn expressions: band(\"{name}\") == {last}; as bands: --rfm={name}\n",
        chart::table(&["band", "range", "part of all in a band"], &rows, canvas.width)
    )
}

/// A name as expressions write it.
fn named(name: &str) -> String {
    format!("cutPoints/{}", short(name))
}

async fn list(dataset: String, r#use: Use, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let (dataset, r#use) = (dataset.clone(), Some(r#use.clone()));
        let request = ListCutPointsRequest { dataset, page_size: 100, page_token, r#use };
        let page = session.insight().list_cut_points(session.request(request).await?).await?.into_inner();
        all.extend(page.cut_points);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    if all.is_empty() {
        let words = "No cut points yet: `silhouette cuts release` finds some.\n".to_owned();
        return Ok(Shown::new(words, json!({ "cut_points": [] })));
    }
    let row = |found: &CutPoints| vec![named(&found.name), found.of.clone(), found.cuts.join(", ")];
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let json = all.iter().map(cut_points_json).collect::<Vec<_>>();
    Ok(Shown::new(chart::table(&["cut points", "of", "at"], &rows, canvas.width), json!({ "cut_points": json })))
}

fn cut_points_json(found: &CutPoints) -> Value {
    let CutPoints { name, of, cuts, bands, segment, universe, r#use, release, epoch, client, create_time, not_private } =
        found;
    let band = |band: &proto::v1::CutBand| {
        let share = band.share.as_ref().map(answer::estimate_json);
        json!({ "number": band.number, "words": band.words, "share": share })
    };
    json!({
        "name": name, "of": of, "cuts": cuts, "bands": bands.iter().map(band).collect::<Vec<_>>(),
        "segment": segment, "universe": universe, "purpose": r#use.as_ref().map(|of| &of.purpose),
        "basis": r#use.as_ref().map(|of| basis_name(of.basis)), "release": release, "epoch": epoch, "client": client,
        "not_private": not_private, "create_time": create_time.as_ref().map(answer::instant),
    })
}
