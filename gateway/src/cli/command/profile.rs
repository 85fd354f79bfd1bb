//! `portrait --whole`: all that a page about a segment shows, of one release.

use super::ask::{plan_shown, window_of};
use super::insight::{ask, finish, note_lines};
use crate::cli::answer;
use crate::cli::args::{Picture, PortraitArgs, WholeArgs};
use crate::cli::chart::{self, Canvas};
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::session::Session;
use proto::v1::{Period, ProfileRequest};

/// Who the people of a segment are, beside the rest, and when they do what.
pub async fn whole(args: PortraitArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let PortraitArgs { question, fields, window, whole, svg, title } = args;
    let WholeArgs { whole: _, parts, event, by_month, from } = whole;
    let picture = Picture { svg, title };
    let (ask, title) = ask(question, "marketing.portrait", &picture);
    let base = if ask.universe.is_empty() { "everyone".to_owned() } else { ask.universe.clone() };
    let period = if by_month { Period::Month } else { Period::Week };
    let request = ProfileRequest {
        ask: Some(ask),
        parts,
        fields,
        window: window_of(&window),
        event,
        period: period.into(),
        from,
        ..ProfileRequest::default()
    };
    let answer = session.insight().profile(session.request(request).await?).await?.into_inner();
    let plan = answer.plan.clone().unwrap_or_default();
    let Some(release) = &answer.release else { return Ok(plan_shown(&plan, "people")) };
    let page = answer::profile(&answer, release, &title, &base);
    let words = chart::profile(&page, canvas) + "\n" + &note_lines(&wrapped(&page.notes(), canvas));
    let svg = picture.svg.map(|path| (path, chart::profile_svg(&page)));
    finish(words, release, &plan, canvas, &answer::profile_json(&answer), svg)
}

fn wrapped(notes: &[String], canvas: Canvas) -> Vec<String> {
    notes.iter().flat_map(|note| chart::wrapped(note, canvas.width.saturating_sub(2))).collect()
}
