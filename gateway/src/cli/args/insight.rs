//! `funnel`, `trend`, `compare`, `overlap`, `bands`, `table`, `retention`, `mean`.

use super::ask::{Question, Within};
use clap::Args;
use std::path::PathBuf;

/// A name for people and the expression that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedExpression {
    /// What it is called.
    pub name: String,
    /// Who that is.
    pub expression: String,
}

/// Reads `NAME=EXPRESSION`.
fn named(text: &str) -> Result<NamedExpression, String> {
    let wrong = || "must be NAME=EXPRESSION, such as bought=order.last(\"30d\").any()".to_owned();
    let (name, expression) = text.split_once('=').ok_or_else(wrong)?;
    let (name, expression) = (name.trim(), expression.trim());
    // `order.count() >= 2` without a name has an equals sign too.
    let is_name = !name.is_empty() && !name.contains(['(', ')', '"', '\'', '<', '>', '!', '&', '|']);
    if !is_name || expression.is_empty() || expression.starts_with('=') {
        return Err(wrong());
    }
    Ok(NamedExpression { name: name.to_owned(), expression: expression.to_owned() })
}

/// Something that is counted, and the most that one person counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// `people`, an event type, or a number field of one.
    pub of: String,
    /// The bound as a decimal; empty for people.
    pub bound: String,
}

/// Reads `people`, `order:12` or `order.amount:500.00`.
fn counted(text: &str) -> Result<Counted, String> {
    let (of, bound) = text.split_once(':').unwrap_or((text, ""));
    if of.is_empty() || (bound.is_empty() && of != "people") {
        let example = "order:12 or order.amount:500.00, the most that one person counts for";
        return Err(format!("must be people, or have a bound: {example}"));
    }
    Ok(Counted { of: of.to_owned(), bound: bound.to_owned() })
}

/// Bins of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edges {
    /// The attribute.
    pub field: String,
    /// Where bins begin, ascending.
    pub edges: Vec<String>,
}

/// Reads `household=1,3,5`.
fn edges(text: &str) -> Result<Edges, String> {
    let wrong = || "must be FIELD=EDGES, such as household=1,3,5".to_owned();
    let (field, list) = text.split_once('=').ok_or_else(wrong)?;
    let edges: Vec<String> = list.split(',').map(|edge| edge.trim().to_owned()).collect();
    if field.is_empty() || edges.iter().any(String::is_empty) {
        Err(wrong())
    } else {
        Ok(Edges { field: field.to_owned(), edges })
    }
}

/// As a picture.
#[derive(Debug, Clone, Args)]
pub struct Picture {
    /// Draw it as a picture too.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Heading of the answer and the picture.
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
}

/// `funnel`.
#[derive(Debug, Args)]
pub struct FunnelArgs {
    /// Who starts.
    #[command(flatten)]
    pub question: Question,
    /// A step, in order: viewed=view.last("30d").any(). Who takes one has taken all before it; up to 8.
    #[arg(long = "step", value_name = "NAME=EXPRESSION", required = true, value_parser = named)]
    pub steps: Vec<NamedExpression>,
    /// As a picture.
    #[command(flatten)]
    pub picture: Picture,
}

/// How long periods are.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub struct Length {
    /// Periods are days.
    #[arg(long)]
    pub by_day: bool,
    /// Periods are weeks from Monday on; this is the default.
    #[arg(long)]
    pub by_week: bool,
    /// Periods are months.
    #[arg(long)]
    pub by_month: bool,
}

/// Which periods.
#[derive(Debug, Clone, Args)]
pub struct Periods {
    /// How long they are.
    #[command(flatten)]
    pub length: Length,
    /// The first day, 2026-01-05; moved back to the start of its period.
    #[arg(long, value_name = "DAY")]
    pub from: String,
    /// The day after the last, 2026-04-01; the end of the epoch if not given.
    #[arg(long, value_name = "DAY", default_value = "", hide_default_value = true)]
    pub until: String,
}

/// `trend`.
#[derive(Debug, Args)]
pub struct TrendArgs {
    /// Whose times count: an event type, order.
    #[arg(value_name = "EVENT")]
    pub event: String,
    /// Whose events.
    #[command(flatten)]
    pub question: Question,
    /// Which periods.
    #[command(flatten)]
    pub periods: Periods,
    /// What is counted: people, which is the default; order:12 for events, order.amount:500.00 for a sum, with the most that one person counts for.
    #[arg(long = "count", value_name = "WHAT[:BOUND]", value_parser = counted)]
    pub counts: Vec<Counted>,
    /// By a field too, a line for each value: order.category.
    #[arg(long, value_name = "FIELD", default_value = "", hide_default_value = true)]
    pub by: String,
    /// As a picture.
    #[command(flatten)]
    pub picture: Picture,
}

/// `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The segment that is compared with the rest of its universe.
    #[command(flatten)]
    pub question: Question,
    /// By which fields, separated by commas; every one that may be asked for if not given.
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    pub fields: Vec<String>,
    /// Which events count.
    #[command(flatten)]
    pub window: Within,
    /// As a picture.
    #[command(flatten)]
    pub picture: Picture,
}

/// `overlap`.
#[derive(Debug, Args)]
pub struct OverlapArgs {
    /// Among whom.
    #[command(flatten)]
    pub question: Question,
    /// A segment: tea=order.where(category == "tea").any(). Up to 4.
    #[arg(long = "with", value_name = "NAME=EXPRESSION", required = true, value_parser = named)]
    pub others: Vec<NamedExpression>,
}

/// `bands`.
#[derive(Debug, Args)]
pub struct BandsArgs {
    /// Who.
    #[command(flatten)]
    pub question: Question,
    /// A band; the first that applies counts: loyal=order.count() >= 5. With LIST: in front of the name, bands of up to 3 lists are crossed.
    #[arg(long = "band", value_name = "[LIST:]NAME=EXPRESSION", required = true, value_parser = named)]
    pub bands: Vec<NamedExpression>,
}

/// `table`.
#[derive(Debug, Args)]
pub struct TableArgs {
    /// Who.
    #[command(flatten)]
    pub question: Question,
    /// What is counted: people, which is the default; order:12 for events, order.amount:500.00 for a sum, with the most that one person counts for. Both together give the mean per event.
    #[arg(long = "count", value_name = "WHAT[:BOUND]", value_parser = counted)]
    pub counts: Vec<Counted>,
    /// By a field with a list of values: age_band, order.category.
    #[arg(long, value_name = "FIELD")]
    pub by: Vec<String>,
    /// By the hour of day of events.
    #[arg(long, value_name = "EVENT")]
    pub hours_of: Option<String>,
    /// By the weekday of events.
    #[arg(long, value_name = "EVENT")]
    pub weekdays_of: Option<String>,
    /// By a number attribute, cut at edges: household=1,3,5.
    #[arg(long, value_name = "FIELD=EDGES", value_parser = edges)]
    pub bins: Vec<Edges>,
    /// Which events count.
    #[command(flatten)]
    pub window: Within,
    /// As a picture.
    #[command(flatten)]
    pub picture: Picture,
}

/// `retention`.
#[derive(Debug, Args)]
pub struct RetentionArgs {
    /// What they did: an event type, order.
    #[arg(value_name = "EVENT")]
    pub event: String,
    /// Who.
    #[command(flatten)]
    pub question: Question,
    /// Which periods; up to 32.
    #[command(flatten)]
    pub periods: Periods,
    /// As a picture.
    #[command(flatten)]
    pub picture: Picture,
}

/// `mean`.
#[derive(Debug, Args)]
pub struct MeanArgs {
    /// A number attribute.
    #[arg(value_name = "FIELD")]
    pub field: String,
    /// Of whom.
    #[command(flatten)]
    pub question: Question,
    /// The standard deviation too: how far people are spread around the mean.
    #[arg(long)]
    pub spread: bool,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_end_at_the_first_equals_sign() {
        let step = named("bought twice = order.count() == 2").unwrap();
        assert_eq!((step.name.as_str(), step.expression.as_str()), ("bought twice", "order.count() == 2"));
        for text in ["order.count() == 2", "order.count()>=2", "=x", "name=", "name==2", "name", "a<=3"] {
            assert!(named(text).is_err(), "{text}");
        }
    }

    #[test]
    fn all_but_people_need_a_bound() {
        assert_eq!(counted("people").unwrap().bound, "");
        assert_eq!(
            counted("order.amount:500.00").unwrap(),
            Counted { of: "order.amount".into(), bound: "500.00".into() }
        );
        assert!(counted("order").is_err() && counted("order:").is_err() && counted(":3").is_err());
    }

    #[test]
    fn edges_are_a_list() {
        assert_eq!(
            edges("household=1, 3").unwrap(),
            Edges { field: "household".into(), edges: vec!["1".into(), "3".into()] }
        );
        assert!(edges("household").is_err() && edges("household=1,,3").is_err() && edges("=1").is_err());
    }
}
