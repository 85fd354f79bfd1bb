//! `bound`: how much one person should count for at the most.

use super::ask::plan_shown;
use super::insight::{MEASUREMENT, ask, dimensions, finish, length};
use crate::cli::answer;
use crate::cli::args::{BoundArgs, Picture};
use crate::cli::chart::{self, Canvas};
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::session::Session;
use proto::v1::{BoundLimit, Period, SuggestBoundRequest, SuggestedBound, Window};
use serde_json::{Value, json};

/// Suggests a bound.
pub async fn run(args: BoundArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let BoundArgs { of, question, dimensions: by, length: lengths, from, last, until, for_rho, least, most } = args;
    let (ask, _) = ask(question, MEASUREMENT, &Picture { svg: None, title: None });
    let is_trend = lengths.by_day || lengths.by_week || lengths.by_month;
    // The end is that of what it was given with.
    let (period, from, window, until) = match (from, last) {
        (Some(from), _) => (length(&lengths).0, from, None, until),
        (None, _) if is_trend => {
            let wrong = "--by-day, --by-week and --by-month need --from, the first day: --from 2026-01-05";
            return Err(CliError::usage(wrong));
        }
        (None, None) if !until.is_empty() => {
            return Err(CliError::usage(
                "--until needs --from, a first day, or --last, a length: --last 90d --until 30d",
            ));
        }
        (None, last) => {
            let window = Window { last: last.unwrap_or_default(), until };
            (Period::Unspecified, String::new(), Some(window), String::new())
        }
    };
    let asked_in = if period == Period::Unspecified { "a table" } else { "a trend" };
    let request = SuggestBoundRequest {
        ask: Some(ask),
        of: of.clone(),
        by: dimensions(by),
        window,
        period: period.into(),
        from,
        until,
        for_rho,
        least,
        most,
    };
    let answer = session.insight().suggest_bound(session.request(request).await?).await?.into_inner();
    let plan = answer.plan.unwrap_or_default();
    let Some(release) = answer.release else { return Ok(plan_shown(&plan, "people")) };
    let words = match &answer.bound {
        Some(found) => words(&of, asked_in, found),
        None => format!("No bound: {}.\n", answer.advice),
    };
    let json = json!(answer.bound.as_ref().map(bound_json));
    finish(words, &release, &plan, canvas, &[("bound", json), ("advice", json!(answer.advice))], None)
}

fn words(of: &str, asked_in: &str, found: &SuggestedBound) -> String {
    let SuggestedBound { bound, reached_by, cut_off_percent, half_width, for_rho, limit } = found;
    let people = |value: f64| chart::number(value, 0);
    let reached = reached_by
        .as_ref()
        .map_or_else(String::new, |reached| format!("{} to {} people", people(reached.low), people(reached.high)));
    let (cut_off, note) = match BoundLimit::try_from(*limit) {
        Ok(BoundLimit::Range) => {
            ("not known", "The range ends here, and people have more: look further with --most.\n\n")
        }
        Ok(BoundLimit::Noise) => (
            "",
            "Noise hides who has more: a larger bound may be better, and a higher price for this answer would tell.\n\n",
        ),
        _ => ("", ""),
    };
    let about = format!("about {} %", chart::number(*cut_off_percent, 1));
    let cut_off = if cut_off.is_empty() { &about } else { cut_off };
    format!(
        "{of}: at most {bound} a person, for {asked_in} at rho {for_rho}\n\n  \
         have as much or more  {reached} (95 %)\n  \
         is cut off            {cut_off}\n  \
         noise in a cell       ±{} (95 %)\n\n\
         {note}In {asked_in}: --count {of}:{bound}\n",
        chart::number(*half_width, 2)
    )
}

fn bound_json(found: &SuggestedBound) -> Value {
    let SuggestedBound { bound, reached_by, cut_off_percent, half_width, for_rho, limit } = found;
    let limit = match BoundLimit::try_from(*limit) {
        Ok(BoundLimit::Noise) => Some("noise"),
        Ok(BoundLimit::Range) => Some("range"),
        _ => None,
    };
    json!({
        "bound": bound, "reached_by": reached_by.as_ref().map(answer::estimate_json),
        "cut_off_percent": cut_off_percent, "half_width": half_width, "for_rho": for_rho, "limit": limit,
    })
}
