//! `synopsis`: of what a dataset's monthly synopsis is, and what is answered free of charge from it.

use super::dataset_name;
use crate::cli::answer;
use crate::cli::args::SynopsisArgs;
use crate::cli::chart;
use crate::cli::error::CliError;
use crate::cli::out::Shown;
use crate::cli::rights::basis_name;
use crate::cli::session::Session;
use proto::v1::{GetSynopsisRequest, Synopsis};
use serde_json::{Value, json};

/// `synopsis`.
pub async fn run(args: SynopsisArgs, session: &Session) -> Result<Shown, CliError> {
    let SynopsisArgs { dataset } = args;
    let request = session.request(GetSynopsisRequest { dataset: dataset_name(&dataset) }).await?;
    match session.insight().get_synopsis(request).await?.into_inner().synopsis {
        Some(synopsis) => Ok(Shown::new(words(&dataset, &synopsis), json!({ "synopsis": synopsis_json(&synopsis) }))),
        None => Ok(Shown::new(none(&dataset), json!({ "synopsis": null }))),
    }
}

fn none(dataset: &str) -> String {
    format!("`{dataset}` has no monthly synopsis. A steward can ask for one: `[synopsis]` in its schema.toml.\n")
}

fn words(dataset: &str, synopsis: &Synopsis) -> String {
    let Synopsis {
        r#use, fields, window, rho, half_width, total_half_width, standing, leaf, next_day, problem, ..
    } = synopsis;
    let percent = answer::percent(synopsis.percent_of_quarter);
    let people = |half_width: &f64| format!("±{} people (95 %)", chart::number(*half_width, 1));
    let mut text = match standing {
        Some(from) => {
            let as_of = from.as_of_time.as_ref().map(answer::day).unwrap_or_default();
            format!(
                "The synopsis of {} of `{dataset}`: epoch {}, up to {as_of}; entry {leaf} of the log.\n",
                from.month, from.epoch
            )
        }
        None => format!("No synopsis of `{dataset}` stands now.\n"),
    };
    let purpose = r#use.as_ref().map(|of| format!("{}, on {}", of.purpose, basis_name(of.basis))).unwrap_or_default();
    let window = window.as_ref().map(|window| format!("; events of the last {}", window.last)).unwrap_or_default();
    let rows = [
        ("purpose", purpose),
        ("fields", format!("{}{window}", fields.join(", "))),
        ("price", format!("rho {rho} a month ({percent} of a quarter's budget), of no client's quota")),
        ("one cell", people(half_width)),
        ("everyone", if *total_half_width > 0.0 { people(total_half_width) } else { String::new() }),
        ("next", if next_day.is_empty() { String::new() } else { format!("with the first close from {next_day} on") }),
    ];
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(&format!("  {name:<9} {value}\n"));
    }
    if !problem.is_empty() {
        text.push_str(&format!("  NOT DRAWN {problem}\n"));
    }
    if standing.is_some() {
        text.push_str(
            "Free from it, for this purpose, unless a price is named (--rho) or more accuracy (--within):\n  \
             the size of everyone, and of a segment by one attribute of it;\n  \
             a breakdown of everyone by one of its fields; a portrait of everyone of its fields.\n",
        );
    }
    text
}

fn synopsis_json(synopsis: &Synopsis) -> Value {
    let Synopsis {
        r#use,
        fields,
        window,
        rho,
        percent_of_quarter,
        half_width,
        total_half_width,
        standing,
        release,
        leaf,
        next_day,
        problem,
    } = synopsis;
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    json!({
        "purpose": r#use.as_ref().map(|of| &of.purpose), "basis": r#use.as_ref().map(|of| basis_name(of.basis)),
        "fields": fields, "last": window.as_ref().map(|window| &window.last), "rho": rho,
        "percent_of_quarter": percent_of_quarter, "half_width": half_width,
        "total_half_width": (*total_half_width > 0.0).then_some(total_half_width),
        "standing": standing.as_ref().map(answer::from_synopsis_json), "release": given(release),
        "leaf": standing.is_some().then_some(leaf), "next_day": given(next_day), "problem": given(problem),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::{FromSynopsis, LawfulBasis, Use, Window};

    fn synopsis() -> Synopsis {
        Synopsis {
            r#use: Some(Use { purpose: "marketing.portrait".into(), basis: LawfulBasis::Consent.into() }),
            fields: vec!["age_band".into(), "order.category".into()],
            window: Some(Window { last: "90d".into(), until: String::new() }),
            rho: "0.03".into(),
            percent_of_quarter: 15.0,
            half_width: 35.8,
            total_half_width: 24.2,
            standing: None,
            release: String::new(),
            leaf: 0,
            next_day: String::new(),
            problem: "the synopsis of 2026-11 is not drawn: no budget".into(),
        }
    }

    #[test]
    fn one_that_stands_says_what_is_free_from_it() {
        let as_of_time = answer::parse_instant("2026-11-01T00:00:00Z").ok();
        let from = FromSynopsis { month: "2026-11".into(), epoch: 31, as_of_time };
        let (next_day, problem) = ("2026-12-01".into(), String::new());
        let words = words("farm", &Synopsis { standing: Some(from), leaf: 7, next_day, problem, ..synopsis() });
        for part in [
            "The synopsis of 2026-11 of `farm`: epoch 31, up to 2026-11-01; entry 7 of the log.",
            "age_band, order.category; events of the last 90d",
            "rho 0.03 a month (15 % of a quarter's budget)",
            "one cell  ±35.8 people (95 %)",
            "with the first close from 2026-12-01 on",
            "Free from it, for this purpose",
        ] {
            assert!(words.contains(part), "{part}: {words}");
        }
    }

    #[test]
    fn one_that_is_not_drawn_says_why_and_promises_nothing() {
        let words = words("farm", &synopsis());
        assert!(words.starts_with("No synopsis of `farm` stands now.\n"), "{words}");
        assert!(words.contains("NOT DRAWN the synopsis of 2026-11 is not drawn: no budget"), "{words}");
        assert!(!words.contains("Free from it") && !words.contains("next"), "{words}");
    }
}
