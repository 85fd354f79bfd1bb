//! `bound`: how much one person should count for at the most.

use super::ask::plan_shown;
use super::insight::{MEASUREMENT, ask, dimensions, finish, length};
use crate::cli::answer;
use crate::cli::args::{BoundArgs, Picture};
use crate::cli::chart::{self, Canvas};
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::session::Session;
use proto::v1::{Period, SuggestBoundRequest, SuggestedBound, Window};
use serde_json::{Value, json};

/// Suggests a bound.
pub async fn run(args: BoundArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let BoundArgs {
        of,
        question,
        by,
        hours_of,
        weekdays_of,
        bins,
        length: lengths,
        from,
        last,
        until,
        for_rho,
        least,
        most,
    } = args;
    let (ask, _) = ask(question, MEASUREMENT, &Picture { svg: None, title: None });
    // The end is that of what it was given with.
    let (period, from, window, until) = match (from, last) {
        (Some(from), _) => (length(&lengths).0, from, None, until),
        (None, last) => {
            (Period::Unspecified, String::new(), Some(Window { last: last.unwrap_or_default(), until }), String::new())
        }
    };
    let request = SuggestBoundRequest {
        ask: Some(ask),
        of: of.clone(),
        by: dimensions(by, hours_of, weekdays_of, bins),
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
        Some(found) => words(&of, found),
        None => format!("No bound: {}.\n", answer.advice),
    };
    let json = json!(answer.bound.as_ref().map(bound_json));
    finish(words, &release, &plan, canvas, &[("bound", json), ("advice", json!(answer.advice))], None)
}

fn words(of: &str, found: &SuggestedBound) -> String {
    let SuggestedBound { bound, reached_by, cut_off, half_width, for_rho, hidden } = found;
    let people = |value: f64| chart::number(value, 0);
    let reached = reached_by.as_ref().map_or_else(String::new, |reached| {
        format!("{} people ({} to {})", people(reached.value), people(reached.low), people(reached.high))
    });
    let hidden = if *hidden {
        "Noise hides who has more: a larger bound may be better, and a higher price for this answer would tell.\n"
    } else {
        ""
    };
    format!(
        "{of}: at most {bound} a person, for a table at rho {for_rho}\n\n  \
         as much or more  {reached}\n  \
         it cuts off      {} % of what people have, at the least\n  \
         noise            +-{} in a cell at 95 %\n\n\
         {hidden}In a table: --count {of}:{bound}\n",
        chart::number(*cut_off, 1),
        chart::number(*half_width, 2)
    )
}

fn bound_json(found: &SuggestedBound) -> Value {
    let SuggestedBound { bound, reached_by, cut_off, half_width, for_rho, hidden } = found;
    json!({
        "bound": bound, "reached_by": reached_by.as_ref().map(answer::estimate_json), "cut_off_percent": cut_off,
        "half_width": half_width, "for_rho": for_rho, "hidden": hidden,
    })
}
