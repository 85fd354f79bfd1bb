//! `overlap`, `bands`, `top`: people in groups that a question names or a release selects.

use super::ask::{plan_shown, window_of};
use super::insight::{MEASUREMENT, ask, finish, named, note_lines};
use crate::cli::answer;
use crate::cli::args::{BandsArgs, NamedExpression, OverlapArgs, TopArgs};
use crate::cli::chart::{self, Canvas};
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::session::Session;
use proto::v1::{BandList, BandRequest, OverlapRequest, TopRequest};

const SEGMENTATION: &str = "marketing.segmentation";

/// How many are in which of several segments at once.
pub async fn overlap(args: OverlapArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let OverlapArgs { question, others, picture } = args;
    let (ask, title) = ask(question, SEGMENTATION, &picture);
    let request = OverlapRequest { ask: Some(ask), others: others.into_iter().map(named).collect() };
    let answer = session.insight().overlap(session.request(request).await?).await?.into_inner();
    let plan = answer.plan.unwrap_or_default();
    let Some(release) = answer.release else { return Ok(plan_shown(&plan, "people")) };
    let overlap = answer::overlap(&answer.segments, &release, answer::sheet(&release, &title, Vec::new()));
    let mut words = chart::bars(&answer::portrait(&release, &title, None), canvas);
    words.push_str(&chart::overlap(&overlap, canvas));
    let segments = answer.segments.iter().map(answer::overlapped_json).collect();
    let svg = picture.svg.map(|path| (path, chart::overlap_svg(&overlap)));
    finish(words, &release, &plan, canvas, &[("segments", segments)], svg)
}

/// How many are in each band.
pub async fn bands(args: BandsArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let BandsArgs { question, bands, rfm, picture } = args;
    let (ask, title) = ask(question, SEGMENTATION, &picture);
    let request = BandRequest { ask: Some(ask), lists: lists(bands), rfm };
    let answer = session.insight().band(session.request(request).await?).await?.into_inner();
    let plan = answer.plan.unwrap_or_default();
    let Some(release) = answer.release else { return Ok(plan_shown(&plan, "people")) };
    let (words, svg) = match answer::grids(&release, answer::sheet(&release, &title, Vec::new())) {
        Some(grids) => {
            let words = chart::grids(&grids, canvas) + &note_lines(&grids.sheet.notes);
            (words, chart::grids_svg(&grids))
        }
        None => {
            let portrait = answer::banded(&release, &title);
            (chart::bars(&portrait, canvas), chart::bars_svg("Bands", &portrait))
        }
    };
    finish(words, &release, &plan, canvas, &[], picture.svg.map(|path| (path, svg)))
}

/// Collects bands by the list in front of their names, in the order in which lists first come.
fn lists(bands: Vec<NamedExpression>) -> Vec<BandList> {
    let mut lists: Vec<BandList> = Vec::new();
    for NamedExpression { name, expression } in bands {
        let (list, name) = name.split_once(':').unwrap_or(("", &name));
        let band = named(NamedExpression { name: name.trim().to_owned(), expression });
        match lists.iter_mut().find(|known| known.name == list) {
            Some(known) => known.bands.push(band),
            None => lists.push(BandList { name: list.to_owned(), bands: vec![band] }),
        }
    }
    lists
}

/// Which values most people have.
pub async fn top(args: TopArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let TopArgs { field, question, most, window, picture } = args;
    let (ask, title) = ask(question, MEASUREMENT, &picture);
    let request = TopRequest { ask: Some(ask), field, k: most, window: window_of(&window) };
    let answer = session.insight().top(session.request(request).await?).await?.into_inner();
    let plan = answer.plan.unwrap_or_default();
    let Some(release) = answer.release else { return Ok(plan_shown(&plan, "people")) };
    let ranked = answer::ranked(&release, &title);
    let words = chart::bars(&ranked, canvas)
        + "\n"
        + &note_lines(&chart::wrapped(&ranked.notes.join(" "), canvas.width.saturating_sub(2)));
    let svg = picture.svg.map(|path| (path, chart::bars_svg("Top values", &ranked)));
    finish(words, &release, &plan, canvas, &[], svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_collected_by_list() {
        let band = |name: &str| NamedExpression { name: name.into(), expression: "true".into() };
        let lists = lists(vec![band("spend:high"), band("age: old"), band("spend:low")]);
        let names: Vec<(&str, Vec<&str>)> = lists
            .iter()
            .map(|list| (list.name.as_str(), list.bands.iter().map(|band| band.name.as_str()).collect()))
            .collect();
        assert_eq!(names, [("spend", vec!["high", "low"]), ("age", vec!["old"])]);
    }
}
