//! A whole portrait in the terminal: a page of bars, columns and what they say.

use super::kinds::{heading, index_words};
use super::{Canvas, draw, style};
use crate::cli::chart::{Bar, Figure, Of, Profile, ProfilePanel, ProfileRow, wrapped};
use console::{Alignment, measure_text_width, pad_str, truncate_str};

const LABEL_MAX: usize = 22;
const BAR_MAX: usize = 24;

/// Draws the page. Ends in a line break.
pub fn profile(profile: &Profile, canvas: Canvas) -> String {
    let (bold, dim) = (style(canvas).bold(), style(canvas).dim());
    let mut out = heading(&profile.sheet, canvas);
    if let Some(size) = profile.size {
        let part = profile.part().map_or_else(String::new, |part| format!(", {part:.1} % of {}", profile.base));
        out.push_str(&format!("{} people{part}\n", bold.apply_to(size.words())));
    }
    let text = |sentence: &String| wrapped(sentence, canvas.width.saturating_sub(2));
    let told = profile.text.iter().skip(usize::from(profile.size.is_some()));
    let told: Vec<String> = told.flat_map(text).collect();
    if !told.is_empty() {
        out.push('\n');
        told.iter().for_each(|line| out.push_str(&format!("  {line}\n")));
    }
    let columns = Columns::of(profile, canvas);
    for panel in &profile.panels {
        let several = if panel.of == Of::Ranked { "  a person can be in several" } else { "" };
        let few = if panel.is_uncertain { "  few people, wide intervals" } else { "" };
        let (title, few) = (bold.apply_to(&panel.title), style(canvas).yellow().apply_to(few));
        out.push_str(&format!("\n  {title}{}{few}\n", dim.apply_to(several)));
        match panel.of {
            Of::Hours => out.push_str(&hours(panel, canvas)),
            Of::Values | Of::Ranked | Of::Weekdays | Of::Trend => out.push_str(&columns.panel(panel)),
        }
        if panel.hidden > 0 {
            out.push_str(&format!("  {}\n", dim.apply_to(format!("and {} smaller ones", panel.hidden))));
        }
    }
    if !profile.unreadable.is_empty() {
        out.push('\n');
        for line in profile.unreadable.iter().flat_map(|advice| wrapped(advice, canvas.width.saturating_sub(2))) {
            out.push_str(&format!("  {}\n", style(canvas).yellow().apply_to(line)));
        }
    }
    out
}

/// Column widths, the same for all panels so that they line up.
struct Columns {
    label: usize,
    bar: usize,
    figures: [usize; 4],
    compared: bool,
    canvas: Canvas,
}

impl Columns {
    fn of(profile: &Profile, canvas: Canvas) -> Self {
        let compared = profile.is_compared();
        let rows = || profile.panels.iter().filter(|panel| panel.of != Of::Hours).flat_map(|panel| &panel.rows);
        let label = rows().map(|row| measure_text_width(&row.compared.label)).max().unwrap_or(0).min(LABEL_MAX);
        let widest = |place: usize| {
            let heads = heads(compared).get(place).map_or(0, |head| measure_text_width(head));
            let width = |panel: &ProfilePanel| {
                let compared = compared && panel.of != Of::Trend;
                panel.rows.iter().map(|row| measure_text_width(&words(row, compared, place))).max().unwrap_or(0)
            };
            profile.panels.iter().filter(|panel| panel.of != Of::Hours).map(width).max().unwrap_or(0).max(heads)
        };
        let figures = [0, 1, 2, 3].map(widest);
        let taken = label + figures.iter().map(|width| width + 2).sum::<usize>() + 4;
        Self { label, bar: canvas.width.saturating_sub(taken).clamp(8, BAR_MAX), figures, compared, canvas }
    }

    fn panel(&self, panel: &ProfilePanel) -> String {
        let length = |row: &ProfileRow| self.length(panel, row);
        let scale = panel.rows.iter().map(|row| length(row).interval().1).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
        let dim = style(self.canvas).dim();
        // Of a trend it matters how many people there were, and not which part of all time.
        let (trend, compared) = (panel.of == Of::Trend, self.compared && panel.of != Of::Trend);
        let head = |place: usize| heads(compared).get(place).map_or_else(String::new, |head| (*head).to_owned());
        let heads = self.figures(|place| if trend && place > 0 { String::new() } else { head(place) });
        let blank = " ".repeat(self.label + self.bar + 4);
        let mut out = format!("  {blank}{}\n", dim.apply_to(heads.trim_end()));
        for row in &panel.rows {
            let label = truncate_str(&row.compared.label, self.label, "…");
            let label = pad_str(&label, self.label, Alignment::Left, None);
            let missing = ["not known", "none of these"].contains(&row.compared.label.as_str());
            let bar = draw(&Bar { label: String::new(), figure: length(row), missing }, scale, self.bar, self.canvas);
            let line = format!(
                "  {label}  {bar}  {}",
                self.figures(|place| if trend && place > 0 { String::new() } else { words(row, compared, place) })
            );
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    /// What a bar is as long as: the share, or people where time goes on and where shares are not known.
    fn length(&self, panel: &ProfilePanel, row: &ProfileRow) -> Figure {
        let shares = panel.rows.iter().all(|row| row.compared.share.is_some());
        row.compared.share.filter(|_| shares && self.compared && panel.of != Of::Trend).unwrap_or(row.people)
    }

    fn figures(&self, words: impl Fn(usize) -> String) -> String {
        let cell = |(place, width): (usize, &usize)| {
            let side = if place == 3 { Alignment::Left } else { Alignment::Right };
            pad_str(&words(place), *width, side, None).into_owned()
        };
        self.figures.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ")
    }
}

fn heads(compared: bool) -> [&'static str; 4] {
    if compared { ["of these", "the rest", "index", ""] } else { ["people", "share", "", ""] }
}

/// The figures beside a bar.
fn words(row: &ProfileRow, compared: bool, place: usize) -> String {
    let unknown = || "?".to_owned();
    let share = row.compared.share.map_or_else(unknown, Figure::words);
    match (compared, place) {
        (true, 0) | (false, 1) => share,
        (false, 0) => row.people.words(),
        (true, 1) => row.compared.rest.map_or_else(unknown, Figure::short),
        (true, 2) => row.compared.index.map_or_else(unknown, index_words),
        (true, 3) => row.compared.verdict().to_owned(),
        _ => String::new(),
    }
}

/// Columns of a day, those of the rest below: heights are shares of the highest.
fn hours(panel: &ProfilePanel, canvas: Canvas) -> String {
    let shares = |of: fn(&ProfileRow) -> Option<Figure>| panel.rows.iter().map(of).collect::<Vec<_>>();
    let these = shares(|row| row.compared.share.or(Some(row.people)));
    let rest = shares(|row| row.compared.rest);
    let mut out = format!("  these  {}\n", style(canvas).cyan().apply_to(columns(&these, canvas)));
    if rest.iter().any(Option::is_some) {
        out.push_str(&format!("  rest   {}\n", style(canvas).dim().apply_to(columns(&rest, canvas))));
    }
    let scale: String = (0..24).map(|hour| if hour % 6 == 0 { format!("{hour:<12}") } else { String::new() }).collect();
    out.push_str(&format!("         {}\n", style(canvas).dim().apply_to(scale.trim_end())));
    out
}

/// Two cells a column, so that a day is 48 wide; `·` where there may be nothing.
fn columns(shares: &[Option<Figure>], canvas: Canvas) -> String {
    let most = shares.iter().flatten().map(|share| share.length()).fold(f64::MIN_POSITIVE, f64::max);
    let glyphs: &[char] = if canvas.unicode {
        &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
    } else {
        &['1', '2', '3', '4', '5', '6', '7', '8']
    };
    let one = |share: &Option<Figure>| match share.filter(|share| !share.may_be_nothing()) {
        None => {
            if canvas.unicode {
                '·'
            } else {
                '.'
            }
        }
        Some(share) => {
            let steps = super::cells(share.length(), most, glyphs.len());
            glyphs.get(steps.saturating_sub(1)).copied().unwrap_or(' ')
        }
    };
    shares.iter().map(|share| one(share).to_string().repeat(2)).collect()
}
