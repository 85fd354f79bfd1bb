//! `funnel`, `trend`, `compare`, `overlap`, `bands`, `table`, `retention`, `top`, `distribution`, `mean`.

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

/// Most edges that a range stands for: more than the gateway takes.
const MAX_EDGES: i64 = 2_000;

/// Reads `household=1,3,5`, and `age=15..95/5` for every fifth number.
fn edges(text: &str) -> Result<Edges, String> {
    let wrong = || "must be FIELD=EDGES, such as household=1,3,5 or age=15..95/5".to_owned();
    let (field, list) = text.split_once('=').ok_or_else(wrong)?;
    let some = |edge: &str| match edge.split_once("..") {
        None => Some(vec![edge.trim().to_owned()]),
        Some((from, to)) => range(from.trim(), to.trim()),
    };
    let edges: Vec<String> = list.split(',').map(some).collect::<Option<Vec<_>>>().ok_or_else(wrong)?.concat();
    if field.is_empty() || edges.iter().any(String::is_empty) {
        Err(wrong())
    } else {
        Ok(Edges { field: field.to_owned(), edges })
    }
}

/// Every edge from one to another that is so many after the one before: whole numbers.
fn range(from: &str, to: &str) -> Option<Vec<String>> {
    let (to, step) = to.split_once('/').unwrap_or((to, "1"));
    let [from, to, step] = [from, to, step].map(|number| number.trim().parse::<i32>().ok().map(i64::from));
    let (from, to, step) = (from?, to?, step.filter(|step| *step > 0)?);
    let edges = || (0..=MAX_EDGES).map(|nth| from + nth * step).take_while(|edge| *edge <= to);
    (from <= to && edges().count() <= 2_000).then(|| edges().map(|edge| edge.to_string()).collect())
}

/// Reads per cent with at most one digit after the point, in thousandths.
fn permille(text: &str) -> Result<u32, String> {
    let (whole, tenth) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    let wrong = || "must be per cent between 0 and 100, such as 50 or 97.5".to_owned();
    let digits = |text: &str| text.parse::<u32>().map_err(|_| wrong());
    let permille = digits(whole)?.min(1_000) * 10 + digits(tenth)?;
    if tenth.len() == 1 && (1..1_000).contains(&permille) { Ok(permille) } else { Err(wrong()) }
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
    /// As a picture.
    #[command(flatten)]
    pub picture: Picture,
}

/// `bands`.
#[derive(Debug, Args)]
pub struct BandsArgs {
    /// Who.
    #[command(flatten)]
    pub question: Question,
    /// A band; the first that applies counts: loyal=order.count() >= 5. With LIST: in front of the name, bands of up to 3 lists are crossed.
    #[arg(long = "band", value_name = "[LIST:]NAME=EXPRESSION", required_unless_present = "rfm", value_parser = named)]
    pub bands: Vec<NamedExpression>,
    /// Who bought lately, often and for much, crossed, by the cut points of the dataset's description. Two of them make a grid that is easier to read: --rfm=recency,frequency. Released cut points too: --rfm=cutPoints/spend@1.
    #[arg(
        long,
        value_name = "MEASURES",
        num_args = 0..=1,
        require_equals = true,
        value_delimiter = ',',
        default_missing_values = ["recency", "frequency", "monetary"]
    )]
    pub rfm: Vec<String>,
    /// As a picture.
    #[command(flatten)]
    pub picture: Picture,
}

/// What a table is by.
#[derive(Debug, Args)]
pub struct Dimensions {
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
    /// What it is by.
    #[command(flatten)]
    pub dimensions: Dimensions,
    /// Tell rare values more finely and frequent ones more coarsely, where a field of events is uneven: errors are 20-30 % smaller on the whole. Bounds hold in the same measure.
    #[arg(long)]
    pub weighed: bool,
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

/// `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// A field with a list of values: order.category.
    #[arg(value_name = "FIELD")]
    pub field: String,
    /// Of whom.
    #[command(flatten)]
    pub question: Question,
    /// How many values, 1-50; no more than the field has.
    #[arg(short = 'n', long, value_name = "VALUES", default_value_t = 5)]
    pub most: u32,
    /// Which events count.
    #[command(flatten)]
    pub window: Within,
    /// As a picture.
    #[command(flatten)]
    pub picture: Picture,
}

/// `distribution`.
#[derive(Debug, Args)]
pub struct DistributionArgs {
    /// A number attribute, and where bins begin: household=1,3,5, or age=15..95/5 for every fifth from 15 to 95.
    #[arg(value_name = "FIELD=EDGES", value_parser = edges)]
    pub bins: Edges,
    /// Of whom.
    #[command(flatten)]
    pub question: Question,
    /// Which quantiles, in per cent, separated by commas: 50 is the median. The quartiles if not given.
    #[arg(long, value_name = "PERCENTS", value_delimiter = ',', value_parser = permille)]
    pub quantiles: Vec<u32>,
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
    /// As a picture.
    #[command(flatten)]
    pub picture: Picture,
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
        assert_eq!(edges("age=-5, 15..30/5,99").unwrap().edges, ["-5", "15", "20", "25", "30", "99"]);
        assert_eq!(edges("age=1..3").unwrap().edges, ["1", "2", "3"]);
        for wrong in ["age=3..1", "age=0..9/0", "age=0..x", "age=0..2000000000"] {
            assert!(edges(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn quantiles_are_between_none_and_all() {
        assert_eq!(["50", "97.5", "0.1", "99.9"].map(|text| permille(text).unwrap()), [500, 975, 1, 999]);
        assert!(["0", "100", "1.25", "", "x", "-1", "1."].iter().all(|text| permille(text).is_err()));
    }
}
