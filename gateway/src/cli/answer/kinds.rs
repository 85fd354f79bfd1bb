//! Answers to questions about funnels, trends, contrasts and retentions as they are drawn.

use super::{capitalized, facts, figure, unit};
use crate::cli::chart::{
    self, Canvas, Cohort, Contrast, Contrasted, Figure, Funnel, Retention, Series, Sheet, Stage, Trend, Unit, number,
};
use proto::v1::{Cell, ContrastRow, Estimate, EventMean, FunnelStep, Release, RetentionCohort, Table};

/// Builds what a picture of a release says about itself.
pub fn sheet(release: &Release, title: &str, notes: Vec<String>) -> Sheet {
    Sheet {
        title: title.to_owned(),
        expression: if release.segment == "true" { String::new() } else { release.segment.clone() },
        notes,
        facts: facts(release),
    }
}

/// Reads an estimate.
pub fn figure_of(estimate: &Estimate, unit: Unit) -> Figure {
    let Estimate { value, low, high } = *estimate;
    Figure { value, low, high, unit }
}

fn percent(estimate: Option<&Estimate>) -> Option<Figure> {
    estimate.map(|estimate| figure_of(estimate, Unit::Percent))
}

/// Builds a funnel; what is shown never grows from step to step.
pub fn funnel(steps: &[FunnelStep], sheet: Sheet) -> Funnel {
    let stage = |step: &FunnelStep| {
        let FunnelStep { name, people, reached, rate, rate_of_start } = step;
        let reached = reached.unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a count of people, for display")]
        let people = Figure::count(*people as f64, reached.low, reached.high);
        Stage {
            name: name.clone(),
            people,
            rate: percent(rate.as_ref()),
            rate_of_start: percent(rate_of_start.as_ref()),
        }
    };
    Funnel { sheet, stages: steps.iter().map(stage).collect() }
}

/// Builds a trend for each thing that was counted.
pub fn trends(release: &Release, last_is_open: bool) -> Vec<Trend> {
    release.tables.iter().map(|table| trend(table, last_is_open)).collect()
}

fn trend(table: &Table, last_is_open: bool) -> Trend {
    let unit = unit(table);
    let label = |cell: &Cell, place: usize| cell.labels.get(place).cloned().unwrap_or_default();
    let mut periods: Vec<String> = Vec::new();
    let mut series: Vec<Series> = Vec::new();
    // In code order: all values of the first period, then all of the next.
    for cell in &table.cells {
        let (period, value) = (label(cell, 0), label(cell, 1));
        if periods.last() != Some(&period) {
            periods.push(period);
        }
        match series.iter_mut().find(|known| known.label == value) {
            Some(known) => known.points.push(figure(cell, unit)),
            None => series.push(Series { label: value, points: vec![figure(cell, unit)] }),
        }
    }
    // What is not known goes last, and is left out where nothing says that there is any.
    let (missing, mut series): (Vec<Series>, Vec<Series>) =
        series.into_iter().partition(|series| series.label == "(missing)");
    let shown = |series: &Series| series.points.iter().any(|point| point.low > 0.0);
    let named = |series| Series { label: "not known".to_owned(), ..series };
    series.extend(missing.into_iter().filter(shown).map(named));
    Trend { counted: counted(table), periods, series, last_is_open }
}

/// What a trend counts, in a person's words.
fn counted(table: &Table) -> String {
    let event = table.displays.first().map_or("", |words| words.strip_suffix(" from").unwrap_or(words));
    let most = number(table.bound, if table.bound.fract() > 0.0 { 2 } else { 0 });
    match table.counted.as_str() {
        "people" => format!("People with {}", event.to_lowercase()),
        field if field.contains('.') => format!("Sum of {field}, each person's up to {most}"),
        _ => format!("{}, each person's up to {most}", capitalized(event)),
    }
}

/// Builds a contrast, a panel for each field.
pub fn contrast(rows: &[ContrastRow], release: &Release) -> Vec<Contrast> {
    let mut panels: Vec<(&str, Contrast)> = Vec::new();
    for row in rows {
        let one = contrasted(row);
        match panels.last_mut() {
            Some((field, panel)) if *field == row.field => panel.rows.push(one),
            _ => panels.push((&row.field, Contrast { title: title(&row.field, release), rows: vec![one] })),
        }
    }
    panels.into_iter().map(|(_, panel)| tidied(panel)).collect()
}

fn contrasted(row: &ContrastRow) -> Contrasted {
    let ContrastRow { field: _, label, share, share_of_rest, index, differs } = row;
    Contrasted {
        label: label.clone(),
        share: percent(share.as_ref()),
        rest: percent(share_of_rest.as_ref()),
        index: index.as_ref().map(|index| figure_of(index, Unit::Signed)),
        differs: *differs,
    }
}

fn title(field: &str, release: &Release) -> String {
    let displays = release.tables.iter().find_map(|table| {
        let at = table.fields.iter().position(|known| known == field)?;
        table.displays.get(at)
    });
    capitalized(displays.map_or(field, String::as_str))
}

/// Yes and no for a bool; what is not known last, and only where something says that there is any.
fn tidied(mut panel: Contrast) -> Contrast {
    let (missing, mut rows): (Vec<Contrasted>, Vec<Contrasted>) =
        panel.rows.into_iter().partition(|row| row.label == "(missing)");
    if rows.iter().map(|row| row.label.as_str()).eq(["false", "true"]) {
        for (row, words) in rows.iter_mut().zip(["no", "yes"]) {
            words.clone_into(&mut row.label);
        }
    }
    let is_there = |row: &Contrasted| [row.share, row.rest].into_iter().flatten().any(|share| !share.may_be_nothing());
    let named = |row| Contrasted { label: "not known".to_owned(), ..row };
    rows.extend(missing.into_iter().filter(is_there).map(named));
    panel.rows = rows;
    panel
}

/// Builds a retention matrix.
pub fn retention(cohorts: &[RetentionCohort], sheet: Sheet, period: &str, last_is_open: bool) -> Retention {
    let cohort = |cohort: &RetentionCohort| {
        let RetentionCohort { from, people, later } = cohort;
        Cohort {
            from: from.clone(),
            people: figure_of(&people.unwrap_or_default(), Unit::Count),
            rates: later.iter().map(|later| percent(later.rate.as_ref())).collect(),
        }
    };
    Retention { sheet, period: period.to_owned(), cohorts: cohorts.iter().map(cohort).collect(), last_is_open }
}

/// Writes means per event: a line alone, or a table by the labels of cells. Empty if there are none.
pub fn means_words(means: &[EventMean], canvas: Canvas) -> String {
    let words = |mean: &EventMean| {
        let Some(mean) = mean.mean else { return "too few to tell".to_owned() };
        let figure = figure_of(&mean, if mean.value < 0.0 { Unit::Signed } else { Unit::Sum });
        if figure.may_be_nothing() { figure.words() } else { figure.with_ends() }
    };
    let event = |of: &str| of.split('.').next().unwrap_or(of).to_owned();
    match means {
        [] => String::new(),
        [one] if one.labels.is_empty() => format!("\n  {} per {}: {}\n", one.of, event(&one.of), words(one)),
        all => {
            let row = |mean: &EventMean| {
                vec![mean.labels.join(", "), format!("{} per {}", mean.of, event(&mean.of)), words(mean)]
            };
            let known = all.iter().filter(|mean| !mean.labels.iter().any(|label| label == "(missing)"));
            let rows: Vec<Vec<String>> = known.map(row).collect();
            let text = chart::table(&["", "", "mean"], &rows, canvas.width.saturating_sub(2));
            format!("\n{}", text.lines().map(|line| format!("  {line}\n")).collect::<String>())
        }
    }
}
