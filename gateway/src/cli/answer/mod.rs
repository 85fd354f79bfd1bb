//! Answers of the gateway, as pictures and as JSON.

mod advice;
mod groups;
mod json;
mod kinds;
mod numbers;
mod profile;
mod story;

pub use advice::advice;
pub use groups::{banded, grids, overlap, ranked};
pub use json::{
    budget_json, cohort_json, contrast_json, estimate_json, from_synopsis_json, mean_json, overlapped_json, plan_json,
    quantile_json, release_json, step_json,
};
pub use kinds::{contrast, figure_of, funnel, means_words, retention, sheet, trends};
pub use numbers::{average, distribution};
pub use profile::{profile, profile_json};
pub use story::{contrast_story, story};

use super::chart::{self, Bar, Canvas, Facts, Figure, Panel, Portrait, Unit};
use proto::v1::{Budget, Cell, FromSynopsis, Plan, Release, Table};

/// Reads a decimal of rho; 0 for what is not one.
fn rho(text: &str) -> f64 {
    text.parse().unwrap_or(0.0)
}

/// Builds what is drawn of a release. `total` is the size to show, if the release has one.
pub fn portrait(release: &Release, title: &str, total: Option<Figure>) -> Portrait {
    Portrait {
        title: title.to_owned(),
        expression: if release.segment == "true" { String::new() } else { release.segment.clone() },
        size: total,
        panels: panels(release),
        notes: Vec::new(),
        facts: facts(release),
    }
}

/// Builds the bars of each table that has any.
pub fn panels(release: &Release) -> Vec<Panel> {
    release.tables.iter().filter(|table| !table.fields.is_empty()).map(|table| panel(table, release)).collect()
}

/// Returns the one figure of a size.
pub fn size(release: &Release) -> Option<Figure> {
    release.tables.first().and_then(single)
}

/// Returns the figure of a table of one cell.
pub fn single(table: &Table) -> Option<Figure> {
    table.cells.first().map(|cell| figure(cell, unit(table)))
}

/// Returns a portrait's total with an interval that surely holds: that of the sum of its smallest attribute table. The
/// total itself is made from all of them and is closer.
pub fn total(release: &Release, people: u64) -> Option<Figure> {
    let smallest = release.tables.iter().filter(|table| !overlapping(table)).map(|table| table.cells.len()).min()?;
    #[expect(clippy::cast_precision_loss, reason = "people and cells, for display")]
    let (middle, half) = (people as f64, release.half_width * (smallest as f64).sqrt());
    Some(Figure::count(middle, middle - half, middle + half))
}

fn overlapping(table: &Table) -> bool {
    table.fields.iter().any(|field| field.contains('.'))
}

/// What is not known goes last, and is left out where its interval reaches 0, that is where nothing says that there is any.
fn panel(table: &Table, release: &Release) -> Panel {
    let words = table.displays.iter().map(|words| capitalized(words)).collect::<Vec<_>>().join(" and ");
    let title = if table.counted == "people" { words } else { format!("{}: {words}", table.counted) };
    let unit = unit(table);
    let bar = |cell: &Cell| bar(cell, unit);
    let (missing, mut bars): (Vec<Bar>, Vec<Bar>) = table.cells.iter().map(bar).partition(|bar| bar.missing);
    bars.extend(missing.into_iter().filter(|bar| bar.figure.low > 0.0));
    if bars.iter().filter(|bar| !bar.missing).map(|bar| bar.label.as_str()).eq(["false", "true"]) {
        for (bar, words) in bars.iter_mut().zip(["no", "yes"]) {
            words.clone_into(&mut bar.label);
        }
    }
    let advice = advice(&words_of(table), &bars, table, release);
    Panel { title, bars, overlapping: table.counted == "people" && overlapping(table), advice }
}

/// What a table is over, in the middle of a sentence.
fn words_of(table: &Table) -> String {
    table.displays.iter().map(|words| words.to_lowercase()).collect::<Vec<_>>().join(" and ")
}

/// How figures of a table are written. Whoever counts sums that are below 0 somewhere counts what may be.
fn unit(table: &Table) -> Unit {
    match table.counted.as_str() {
        "people" | "" => Unit::Count,
        field if !field.contains('.') => Unit::Count,
        _ if table.cells.iter().any(|cell| cell.value < 0.0) => Unit::Signed,
        _ => Unit::Sum,
    }
}

fn capitalized(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn bar(cell: &Cell, unit: Unit) -> Bar {
    let known = |label: &String| if label == "(missing)" { "not known".to_owned() } else { label.clone() };
    let labels: Vec<String> = cell.labels.iter().map(known).collect();
    let missing = cell.labels.iter().any(|label| label == "(missing)");
    Bar { label: labels.join(", "), figure: figure(cell, unit), missing }
}

/// People are shown as the release made them consistent; all else as drawn.
fn figure(cell: &Cell, unit: Unit) -> Figure {
    #[expect(clippy::cast_precision_loss, reason = "a count of people, for display")]
    let value = if cell.people > 0 { cell.people as f64 } else { cell.value };
    Figure { value, low: cell.low, high: cell.high, unit }
}

fn facts(release: &Release) -> Facts {
    let budget = release.budget.clone().unwrap_or_default();
    let price = if let (true, Some(last)) = (release.charged, release.draws.last()) {
        let share = release.percent_of_quarter * rho(&last.rho) / rho(&release.rho).max(f64::MIN_POSITIVE);
        format!("{} of this quarter's budget, added to an earlier answer", percent(share))
    } else if release.charged {
        format!("{} of this quarter's budget", percent(release.percent_of_quarter))
    } else if let Some(synopsis) = &release.synopsis {
        format!("free: from the synopsis of {}", synopsis.month)
    } else {
        "free: this answer was released before".to_owned()
    };
    let dataset = release.name.trim_start_matches("datasets/").split('/').next().unwrap_or_default();
    Facts {
        dataset: dataset.to_owned(),
        epoch: format!("{}, up to {}", release.epoch, release.as_of_time.as_ref().map_or_else(String::new, day)),
        purpose: release.r#use.as_ref().map_or_else(String::new, |use_for| use_for.purpose.clone()),
        release: release.name.rsplit('/').next().unwrap_or_default().to_owned(),
        price,
        left: format!("{} of the quarter's budget left", percent(100.0 * left_share(&budget))),
        left_permille: Some(permille(left_share(&budget))),
        not_private: release.not_private,
    }
}

/// The share of a population's quarter that is not spent, 0-1.
fn left_share(budget: &Budget) -> f64 {
    let cap = rho(&budget.quarter_cap);
    if cap > 0.0 { (1.0 - rho(&budget.quarter_spent) / cap).clamp(0.0, 1.0) } else { 0.0 }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=1000")]
fn permille(share: f64) -> u16 {
    (share * 1000.0) as u16
}

/// Writes per cent with at most one digit after the point; what is not nothing or not all is not written so.
pub fn percent(value: f64) -> String {
    if value > 0.0 && value < 0.05 {
        return "<0.1 %".to_owned();
    }
    if (99.95..100.0).contains(&value) {
        return ">99.9 %".to_owned();
    }
    let text = format!("{value:.1}");
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

/// Says what an answer costs and how accurate it will be. `counted` is what the first table counts: `people`.
pub fn plan_words(plan: &Plan, counted: &str) -> String {
    if let Some(synopsis) = &plan.synopsis {
        return synopsis_words(plan, synopsis);
    }
    let readable = match plan.readable_from {
        0 => String::new(),
        people => format!("Readable for segments of about {} people and more.\n", chart::grouped(people)),
    };
    let added = match plan.charge.as_str() {
        "0" => "It was answered before in this epoch, and is free.\n".to_owned(),
        charge if charge.is_empty() || charge == plan.rho => String::new(),
        charge => format!("It was answered before for less: the difference, rho {charge}, would be charged.\n"),
    };
    let each = if plan.half_widths_differ { "on average (frequent ones more, rare ones less)" } else { "each" };
    format!(
        "It would cost rho {} ({} of this quarter's budget) for {} cells, {each} ±{} {} (95 %).\n{added}{readable}Nothing was spent.\n",
        plan.rho,
        percent(plan.percent_of_quarter),
        plan.cells,
        chart::number(plan.half_width, 1),
        counted,
    )
}

fn synopsis_words(plan: &Plan, FromSynopsis { month, epoch, as_of_time }: &FromSynopsis) -> String {
    let (half_width, as_of) = (chart::number(plan.half_width, 1), as_of_time.as_ref().map_or_else(String::new, day));
    let cells = if plan.cells == 1 { "one number,".to_owned() } else { format!("{} cells, each", plan.cells) };
    format!(
        "It is free: from the synopsis of {month} (epoch {epoch}, up to {as_of}), for {cells} ±{half_width} people (95 %).\n\
         For a fresh answer name a price, --rho, or more accuracy, --within.\nNothing was spent.\n",
    )
}

/// Says how many people are in a segment, and the small print.
pub fn size_words(release: &Release, canvas: Canvas) -> String {
    format!("{}{}", size_line(release), chart::fact_lines(&facts(release), canvas))
}

/// Says how many people are in a segment, in one line.
pub fn size_line(release: &Release) -> String {
    let Some(figure) = size(release) else { return String::new() };
    if figure.may_be_nothing() {
        return format!("{} people, with 95 % confidence\n", figure.words());
    }
    format!("{} people, {} with 95 % confidence\n", figure.words(), figure.between())
}

/// Says what a release cost and what is left, in one sentence.
pub fn price_words(release: &Release) -> String {
    let Facts { price, left, .. } = facts(release);
    format!("price: {price}; {left}.")
}

/// Draws a ledger.
pub fn budget_words(budget: &Budget, canvas: Canvas) -> String {
    let meter = |spent: &str, cap: &str| {
        let (spent, cap) = (rho(spent), rho(cap));
        let share = if cap > 0.0 { spent / cap } else { 0.0 };
        (chart::meter(share, 24, canvas), format!("{spent:.6}"), cap, percent(100.0 * share))
    };
    let client = budget.client.trim_start_matches("clients/");
    let mut rows = vec![
        ("this quarter, everyone".to_owned(), meter(&budget.quarter_spent, &budget.quarter_cap)),
        ("in a lifetime, everyone".to_owned(), meter(&budget.lifetime_spent, &budget.lifetime_cap)),
        (format!("this quarter, {client}"), meter(&budget.client_spent, &budget.client_quota)),
    ];
    if !budget.month_cap.is_empty() {
        rows.insert(0, ("this month, everyone".to_owned(), meter(&budget.month_spent, &budget.month_cap)));
    }
    if rho(&budget.synopsis_spent) > 0.0 {
        rows.push(("this quarter, the synopsis".to_owned(), meter(&budget.synopsis_spent, &budget.quarter_cap)));
    }
    let mut text = format!("Privacy spent on the people of `{}`, as rho\n", budget.population);
    for (who, (bar, spent, cap, share)) in rows {
        text.push_str(&format!("  {who:<30}  {bar}  {spent} of {cap}  {share}\n"));
    }
    let period = if budget.month_cap.is_empty() { "this quarter" } else { "now" };
    text.push_str(&format!(
        "  {client} can spend {} more {period}.\n  As epsilon at delta 1e-9: {:.2} this quarter, {:.2} in a lifetime, \
         which may come to {:.2}.\n",
        budget.left, budget.quarter_epsilon, budget.lifetime_epsilon, budget.lifetime_cap_epsilon
    ));
    if !budget.lifetime_ends.is_empty() {
        text.push_str(&format!(
            "  SOON: at the rate of {} a quarter the lifetime's cap is reached in {}, and then nothing is answered.\n  \
             A steward can extend it: `silhouette budget extend`.\n",
            budget.quarter_rate, budget.lifetime_ends
        ));
    }
    if budget.not_private {
        text.push_str("  NOT PRIVATE: a test dataset, its answers protect nobody.\n");
    }
    text
}

/// Writes an instant as `2026-03-31T00:00:00Z`.
pub fn instant(time: &prost_types::Timestamp) -> String {
    jiff::Timestamp::new(time.seconds, time.nanos).map_or_else(|_| String::new(), |time| time.to_string())
}

/// Writes the day of an instant, UTC: `2026-03-31`.
pub fn day(time: &prost_types::Timestamp) -> String {
    instant(time).split('T').next().unwrap_or_default().to_owned()
}

/// Reads an instant such as `2026-03-31T00:00:00Z`.
pub fn parse_instant(text: &str) -> Result<prost_types::Timestamp, super::error::CliError> {
    let time: jiff::Timestamp = text.parse().map_err(|_| {
        super::error::CliError::usage(format!("`{text}` is not an instant; one looks like 2026-03-31T00:00:00Z"))
    })?;
    Ok(prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    const PLAIN: Canvas = Canvas { width: 100, unicode: true, color: false };

    fn cell(labels: &[&str], codes: &[u32], people: u64) -> Cell {
        let middle = f64::from(u32::try_from(people).unwrap());
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Cell {
            labels,
            noised_1024: 1024,
            people,
            low: middle - 39.0,
            high: middle + 39.0,
            codes: codes.to_vec(),
            value: middle,
        }
    }

    fn release() -> Release {
        let table = |field: &str, display: &str, cells| Table {
            fields: vec![field.into()],
            displays: vec![display.into()],
            cells,
            counted: "people".into(),
            ..Table::default()
        };
        Release {
            name: "datasets/coop/releases/5f0c2f8e61a94f7b8a5be1f8d3cc0a52".into(),
            tables: vec![
                table("age_band", "age band", vec![cell(&["(missing)"], &[0], 3), cell(&["18-24"], &[1], 900)]),
                table("order.category", "bought", vec![cell(&["tea"], &[1], 700)]),
            ],
            half_width: 39.0,
            rho: "0.01".into(),
            percent_of_quarter: 5.0,
            charged: true,
            budget: Some(Budget { quarter_spent: "0.011".into(), quarter_cap: "0.2".into(), ..Budget::default() }),
            epoch: 3,
            as_of_time: Some(parse_instant("2026-03-31T00:00:00Z").unwrap()),
            segment: "true".into(),
            ..Release::default()
        }
    }

    #[test]
    fn a_release_becomes_a_portrait() {
        let release = release();
        let portrait = portrait(&release, "Everyone", total(&release, 903));
        assert_eq!(portrait.expression, "");
        let [age, bought] = portrait.panels.as_slice() else { unreachable!("two tables") };
        assert_eq!((age.title.as_str(), age.overlapping, bought.overlapping), ("Age band", false, true));
        let labels: Vec<_> = age.bars.iter().map(|bar| (bar.label.as_str(), bar.missing)).collect();
        assert_eq!(labels, [("18-24", false)], "what is not known is not shown to be there");
        assert_eq!(portrait.size.unwrap().margin(), 56, "two cells of ±39");
        assert_eq!(portrait.facts.epoch, "3, up to 2026-03-31");
        assert_eq!(portrait.facts.left, "94.5 % of the quarter's budget left");
        assert_eq!(portrait.facts.left_permille, Some(945));
    }

    #[test]
    fn what_is_not_known_comes_last_and_yes_and_no_are_words() {
        let cells = vec![cell(&["(missing)"], &[0], 300), cell(&["false"], &[1], 100), cell(&["true"], &[2], 200)];
        let table =
            Table { fields: vec!["newsletter".into()], displays: vec!["reads".into()], cells, ..Table::default() };
        let panel = panel(&table, &Release::default());
        let labels: Vec<_> = panel.bars.iter().map(|bar| bar.label.as_str()).collect();
        assert_eq!(labels, ["no", "yes", "not known"]);
    }

    #[test]
    fn a_size_that_may_be_nothing_is_no_number() {
        let mut release = release();
        release.tables =
            vec![Table { cells: vec![Cell { low: -70.0, high: 18.0, ..cell(&[], &[], 0) }], ..Table::default() }];
        let words = size_words(&release, PLAIN);
        assert!(words.starts_with("fewer than 44 people, with 95 % confidence\n"), "{words}");
    }

    #[test]
    fn json_keeps_the_draws() {
        let json = release_json(&release());
        assert_eq!(json.pointer("/tables/0/cells/1/noised_1024"), Some(&json!(1024)));
        assert_eq!(json.pointer("/as_of"), Some(&json!("2026-03-31T00:00:00Z")));
    }

    #[test]
    fn a_ledger_is_drawn_with_its_caps() {
        let budget = Budget {
            population: "farm".into(),
            quarter_spent: "0.05".into(),
            quarter_cap: "0.2".into(),
            lifetime_cap: "0.8".into(),
            client: "clients/pricing".into(),
            client_quota: "0.1".into(),
            left: "0.1".into(),
            ..Budget::default()
        };
        let words = budget_words(&budget, PLAIN);
        assert!(words.contains("0.050000 of 0.2  25 %") && !words.contains("SOON"), "{words}");
        assert!(words.contains("0.1 more this quarter") && !words.contains("month"), "{words}");
        let monthly = Budget { month_spent: "0.05".into(), month_cap: "0.07".into(), ..budget.clone() };
        let monthly = budget_words(&monthly, PLAIN);
        assert!(monthly.contains("this month, everyone") && monthly.contains("0.050000 of 0.07"), "{monthly}");
        let ends = Budget { quarter_rate: "0.2".into(), lifetime_ends: "2027-Q1".into(), ..budget.clone() };
        let ends = budget_words(&ends, PLAIN);
        assert!(ends.contains("at the rate of 0.2 a quarter the lifetime's cap is reached in 2027-Q1"), "{ends}");
        assert!(words.contains("this quarter, pricing") && !words.contains("synopsis"), "{words}");
        let monthly = Budget { synopsis_spent: "0.03".into(), ..budget.clone() };
        let monthly = budget_words(&monthly, PLAIN);
        assert!(
            monthly.contains("this quarter, the synopsis") && monthly.contains("0.030000 of 0.2  15 %"),
            "{monthly}"
        );
    }

    #[test]
    fn an_answer_from_a_synopsis_says_so() {
        let as_of_time = Some(parse_instant("2026-11-01T00:00:00Z").unwrap());
        let synopsis = FromSynopsis { month: "2026-11".into(), epoch: 31, as_of_time };
        let release = Release { charged: false, synopsis: Some(synopsis.clone()), ..release() };
        assert!(price_words(&release).starts_with("price: free: from the synopsis of 2026-11; "));
        assert_eq!(release_json(&release).pointer("/synopsis/month"), Some(&json!("2026-11")));
        let plan = Plan { cells: 7, half_width: 35.8, synopsis: Some(synopsis), ..Plan::default() };
        let words = plan_words(&plan, "people");
        let said =
            "It is free: from the synopsis of 2026-11 (epoch 31, up to 2026-11-01), for 7 cells, each ±35.8 people";
        assert!(words.starts_with(said), "{words}");
        assert_eq!(plan_json(&plan).pointer("/synopsis/epoch"), Some(&json!(31)));
    }
}
