//! `budget`: what was spent of people's privacy, quotas, and extensions of a lifetime's cap.

use super::{client_name, dataset_name};
use crate::cli::answer;
use crate::cli::args::{BudgetArgs, BudgetCommand, ExtendArgs};
use crate::cli::chart::Canvas;
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::session::Session;
use proto::v1::{
    Budget, BudgetExtension, ExtendBudgetRequest, ExtendBudgetResponse, GetBudgetRequest, SetQuotaRequest,
};
use serde_json::{Value, json};

/// `budget`.
pub async fn run(args: BudgetArgs, session: &Session, canvas: Canvas) -> Result<Shown, CliError> {
    let BudgetArgs { command, dataset, client, set_quota } = args;
    if let Some(BudgetCommand::Extend(args)) = command {
        return extend(args, session).await;
    }
    let dataset = dataset_name(&dataset.unwrap_or_default());
    let client = client.as_deref().map(client_name).unwrap_or_default();
    if let Some(quota) = set_quota {
        let request =
            SetQuotaRequest { dataset: dataset.clone(), client: client.clone(), quota, request_id: String::new() };
        session.admin().set_quota(session.request(request).await?).await?;
    }
    let request = session.request(GetBudgetRequest { dataset, client }).await?;
    let answer = session.admin().get_budget(request).await?.into_inner();
    let budget = answer.budget.unwrap_or_default();
    let mut words = answer::budget_words(&budget, canvas);
    answer.extensions.iter().for_each(|extension| words.push_str(&extension_words(extension)));
    if !answer.synopsis_problem.is_empty() {
        words.push_str(&format!("  NOT DRAWN: {}\n", answer.synopsis_problem));
    }
    let mut json = answer::budget_json(&budget);
    if let Value::Object(members) = &mut json {
        let problem = Some(answer.synopsis_problem).filter(|problem| !problem.is_empty());
        members.insert("synopsis_problem".into(), json!(problem));
        members.insert("extensions".into(), answer.extensions.iter().map(extension_json).collect());
    }
    Ok(Shown::new(words, json))
}

async fn extend(args: ExtendArgs, session: &Session) -> Result<Shown, CliError> {
    let ExtendArgs { dataset, by, because, acknowledge_epsilon, dry_run } = args;
    let request = ExtendBudgetRequest {
        dataset: dataset_name(&dataset),
        by: by.clone(),
        because,
        acknowledge_epsilon: acknowledge_epsilon.unwrap_or_default(),
        validate_only: dry_run,
        request_id: uuid::Uuid::new_v4().to_string(),
    };
    let answer = session.admin().extend_budget(session.request(request).await?).await?.into_inner();
    let words = extended_words(&answer, &by, dry_run);
    Ok(Shown::new(words, extended_json(&answer, dry_run)))
}

fn extended_words(answer: &ExtendBudgetResponse, by: &str, dry_run: bool) -> String {
    let [before, after, spent] = [&answer.before, &answer.after, &answer.spent].map(|loss| {
        let loss = loss.clone().unwrap_or_default();
        (format!("rho {}, epsilon {}", loss.rho, loss.epsilon), loss.epsilon)
    });
    let Budget { population, .. } = answer.budget.clone().unwrap_or_default();
    let (would, epsilon) = (if dry_run { "would be" } else { "is" }, &after.1);
    let mut words = format!(
        "What the people of `{population}` may lose in a lifetime {would} extended by rho {by}:\n  before  {}\n  after   {}\n           spent   {}\n  Epsilons at delta {}.\n",
        before.0, after.0, spent.0, answer.delta
    );
    words.push_str(&match dry_run {
        true => format!("Nothing was changed. To extend it, add --acknowledge-epsilon {epsilon}.\n"),
        false => format!("It is entry {} of the log.\n", answer.leaf),
    });
    words
}

fn extended_json(answer: &ExtendBudgetResponse, dry_run: bool) -> Value {
    let ExtendBudgetResponse { before, after, spent, delta, leaf, budget } = answer;
    let [before, after, spent] = [before, after, spent]
        .map(|loss| loss.as_ref().map(|loss| json!({ "rho": loss.rho, "epsilon": loss.epsilon })));
    json!({
        "before": before, "after": after, "spent": spent, "delta": delta, "leaf": (!dry_run).then_some(leaf),
        "budget": budget.as_ref().map(answer::budget_json),
    })
}

fn extension_words(extension: &BudgetExtension) -> String {
    let BudgetExtension { by, at_time, client, because, leaf } = extension;
    let day = at_time.as_ref().map(answer::day).unwrap_or_default();
    let client = client.trim_start_matches("clients/");
    format!("  Extended by {by} on {day} by {client}: {because} (entry {leaf} of the log)\n")
}

fn extension_json(extension: &BudgetExtension) -> Value {
    let BudgetExtension { by, at_time, client, because, leaf } = extension;
    json!({
        "by": by, "at": at_time.as_ref().map(answer::instant), "client": client, "because": because, "leaf": leaf,
    })
}
