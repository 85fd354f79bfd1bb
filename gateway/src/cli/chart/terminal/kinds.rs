//! Funnels, contrasts and retentions in the terminal.

use super::{BAR_MAX, Canvas, LABEL_MAX, draw, style};
use crate::cli::chart::{Bar, Contrast, Figure, Funnel, Retention, Sheet, table};
use console::{Alignment, measure_text_width, pad_str, truncate_str};

/// Writes a title and the segment's expression. Ends in a line break.
pub fn heading(sheet: &Sheet, canvas: Canvas) -> String {
    let mut out = format!("{}\n", style(canvas).bold().apply_to(&sheet.title));
    if !sheet.expression.is_empty() {
        out.push_str(&format!("{}\n", style(canvas).dim().apply_to(&sheet.expression)));
    }
    out
}

/// Draws a funnel: a bar for each step, and which part of the step before and of the start came so far.
pub fn funnel(funnel: &Funnel, canvas: Canvas) -> String {
    let width = |text: &dyn Fn(usize) -> String| {
        (0..funnel.stages.len()).map(|at| measure_text_width(&text(at))).max().unwrap_or(0)
    };
    let words = |at: usize| funnel.stages.get(at).map_or_else(String::new, |stage| stage.people.words());
    let label = width(&|at| funnel.stages.get(at).map_or_else(String::new, |stage| stage.name.clone())).min(LABEL_MAX);
    let value = width(&words);
    let bar = canvas.width.saturating_sub(label + value + 48).clamp(8, BAR_MAX);
    let scale = funnel.stages.iter().map(|stage| stage.people.interval().1).fold(1.0, f64::max);
    let mut out = heading(&funnel.sheet, canvas);
    out.push('\n');
    for (at, stage) in funnel.stages.iter().enumerate() {
        let name = pad_str(&truncate_str(&stage.name, label, "…"), label, Alignment::Left, None).into_owned();
        let drawn = draw(&Bar { label: String::new(), figure: stage.people, missing: false }, scale, bar, canvas);
        let value = pad_str(&words(at), value, Alignment::Right, None).into_owned();
        let note =
            |rate: Option<Figure>, of: &str| rate.map_or_else(String::new, |rate| format!("{} {of}", rate.words()));
        let of_start = note(stage.rate_of_start, "of all");
        // Of the first step both would be the same.
        let rate = if at > 1 { note(stage.rate, "of those") } else { String::new() };
        let line = format!("  {name}  {drawn}  {value}  {}  {rate}", pad_str(&of_start, 23, Alignment::Left, None));
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Writes a contrast: a table for each field.
pub fn contrast(panels: &[Contrast], canvas: Canvas) -> String {
    let mut out = String::new();
    for panel in panels {
        out.push_str(&format!("\n  {}\n", style(canvas).bold().apply_to(&panel.title)));
        let unknown = || "?".to_owned();
        let row = |row: &crate::cli::chart::Contrasted| {
            let share = row.share.map_or_else(unknown, Figure::words);
            let rest = row.rest.map_or_else(unknown, Figure::words);
            let index = row.index.map_or_else(unknown, index_words);
            vec![row.label.clone(), share, rest, index, row.verdict().to_owned()]
        };
        let rows: Vec<Vec<String>> = panel.rows.iter().map(row).collect();
        let header = ["value", "of these", "of the rest", "index", ""];
        out.push_str(&indented(&table(&header, &rows, canvas.width.saturating_sub(2))));
    }
    out
}

/// Writes an index: `180 (150-210)`.
pub fn index_words(index: Figure) -> String {
    format!("{:.0} ({:.0}-{:.0})", index.value, index.low, index.high)
}

/// Writes a retention: a row for each cohort, a column for each period after its first.
pub fn retention(retention: &Retention, canvas: Canvas) -> String {
    let shown = (canvas.width.saturating_sub(30) / 7).clamp(1, retention.periods().max(1));
    let mut header = vec![format!("first {}", retention.period), "people".to_owned()];
    header.extend((1..=shown.min(retention.periods())).map(|after| format!("+{after}")));
    let rate = |rate: Option<Figure>| match rate {
        None => "?".to_owned(),
        Some(rate) if rate.may_be_nothing() => rate.short().replace(' ', ""),
        Some(rate) => format!("{:.0}±{:.0}", rate.value, ((rate.high - rate.low) / 2.0).ceil()),
    };
    let row = |cohort: &crate::cli::chart::Cohort| {
        let people = if cohort.people.may_be_nothing() { cohort.people.short() } else { cohort.people.words() };
        let mut row = vec![cohort.from.clone(), people];
        row.extend(cohort.rates.iter().take(shown).map(|one| rate(*one)));
        row.resize(header.len(), String::new());
        row
    };
    let rows: Vec<Vec<String>> = retention.cohorts.iter().map(row).collect();
    let names: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut out = heading(&retention.sheet, canvas);
    out.push('\n');
    out.push_str(&indented(&table(&names, &rows, canvas.width.saturating_sub(2))));
    let mut notes = vec![format!("per cent of a cohort who came back so many {}s later, ± at 95 %", retention.period)];
    let shown_rates = || retention.cohorts.iter().flat_map(|cohort| cohort.rates.iter().take(shown));
    if shown_rates().any(|rate| rate.is_some_and(Figure::may_be_nothing)) {
        notes.push("<N %: there may be nobody, and surely less than that".to_owned());
    }
    if shown_rates().any(Option::is_none) {
        notes.push("?: too few to tell".to_owned());
    }
    out.push('\n');
    for note in notes {
        out.push_str(&format!("  {}\n", style(canvas).dim().apply_to(note)));
    }
    if retention.periods() > shown {
        let more = retention.periods() - shown;
        out.push_str(&format!("  {more} more to the right: with --svg, or --json\n"));
    }
    out
}

pub(super) fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
