//! `distribution`, `mean`: how a number is spread.

use super::ask::plan_shown;
use super::insight::{MEASUREMENT, ask, finish, note_lines};
use crate::cli::answer;
use crate::cli::args::{DistributionArgs, Edges, MeanArgs};
use crate::cli::chart::{self, Average, Canvas, Figure};
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::session::Session;
use proto::v1::{Bins, DistributionRequest, MeanRequest, MeanResponse};
use serde_json::json;

/// How a number is spread, in bins and quantiles.
pub async fn distribution(args: DistributionArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let DistributionArgs { bins: Edges { field, edges }, question, quantiles, picture } = args;
    let (ask, title) = ask(question, MEASUREMENT, &picture);
    let bins = Bins { field, edges: edges.clone() };
    let request = DistributionRequest { ask: Some(ask), bins: Some(bins), permilles: quantiles };
    let answer = session.insight().distribution(session.request(request).await?).await?.into_inner();
    let plan = answer.plan.unwrap_or_default();
    let Some(release) = answer.release else { return Ok(plan_shown(&plan, "people")) };
    let portrait = answer::portrait(&release, &title, None);
    let sheet = answer::sheet(&release, &title, Vec::new());
    let found = answer::distribution(&portrait.panels, &edges, &answer.quantiles, sheet);
    let words = chart::bars(&portrait, canvas) + "\n" + &note_lines(&found.quantile_lines());
    let quantiles = answer.quantiles.iter().map(answer::quantile_json).collect();
    let svg = picture.svg.map(|path| (path, chart::distribution_svg(&found)));
    finish(words, &release, &plan, canvas, &[("quantiles", quantiles)], svg)
}

/// The mean of a number, and perhaps its standard deviation.
pub async fn mean(args: MeanArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let MeanArgs { field, question, spread, picture } = args;
    let (ask, title) = ask(question, MEASUREMENT, &picture);
    let request = MeanRequest { ask: Some(ask), field: field.clone(), spread };
    let MeanResponse { plan, release, mean, deviation } =
        session.insight().mean(session.request(request).await?).await?.into_inner();
    let plan = plan.unwrap_or_default();
    let Some(release) = release else { return Ok(plan_shown(&plan, "people")) };
    let estimates = [mean, deviation];
    let average = answer::average(estimates, &release, answer::sheet(&release, &title, Vec::new()), &field);
    let mut words = chart::heading(&average.sheet, canvas);
    words.push_str(&estimated("mean", &average, average.mean));
    if spread {
        words.push_str(&estimated("standard deviation", &average, average.deviation));
    }
    if let Some(people) = average.people {
        words.push_str(&format!("{} people have one\n", people.words()));
    }
    let [mean, deviation] = estimates.map(|one| one.as_ref().map(answer::estimate_json));
    let mut more = vec![("mean", json!(mean))];
    if spread {
        more.push(("deviation", json!(deviation)));
    }
    let svg = picture.svg.map(|path| (path, chart::average_svg(&average)));
    finish(words, &release, &plan, canvas, &more, svg)
}

/// A line for what is estimated of a field.
fn estimated(what: &str, Average { field, .. }: &Average, figure: Option<Figure>) -> String {
    match figure {
        None => format!("Too few people to tell the {what} of {field}.\n"),
        Some(figure) => {
            format!("{what} of {field}: {}, {} with 95 % confidence\n", figure.value_words(), figure.between())
        }
    }
}
