//! Bars in the terminal. A bar is solid up to the low end of its interval and fades out to the high end, so that what is
//! not certain looks uncertain: `██████▓▓░░` reads "surely this, probably this, perhaps this".

mod groups;
mod kinds;
mod profile;

pub use groups::{grids, overlap};
pub use kinds::{contrast, funnel, heading, index_words, retention};
pub use profile::profile;

use super::{Bar, Facts, Panel, Portrait, share};
use console::{Style, measure_text_width, pad_str, truncate_str};
use std::fmt::Write as _;

/// How the terminal can be drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canvas {
    /// Width in cells.
    pub width: usize,
    /// Whether block characters can be shown; otherwise `#`, `+` and `-`.
    pub unicode: bool,
    /// Whether colors can be shown.
    pub color: bool,
}

const LABEL_MAX: usize = 28;
const BAR_MAX: usize = 40;

/// Draws a portrait: a heading, then one block of bars for each panel. Ends in a line break.
pub fn bars(portrait: &Portrait, canvas: Canvas) -> String {
    let bold = style(canvas).bold();
    let mut out = format!("{}\n", bold.apply_to(&portrait.title));
    if !portrait.expression.is_empty() {
        out.push_str(&format!("{}\n", style(canvas).dim().apply_to(&portrait.expression)));
    }
    if let Some(size) = portrait.size {
        out.push_str(&format!("{} people\n", bold.apply_to(size.words())));
    }
    out.push_str(&panels(&portrait.panels, portrait.whole(), canvas));
    out
}

/// Draws one block of bars for each panel. `whole` is what shares are of; 0 for none. Ends in a line break.
pub fn panels(panels: &[Panel], whole: f64, canvas: Canvas) -> String {
    let (bold, dim) = (style(canvas).bold(), style(canvas).dim());
    let layout = Layout::of(panels, whole, canvas);
    let mut out = String::new();
    for panel in panels {
        let title = bold.apply_to(&panel.title);
        let note =
            if panel.overlapping { dim.apply_to("  a person can be in several").to_string() } else { String::new() };
        out.push_str(&format!("\n  {title}{note}\n"));
        for bar in &panel.bars {
            out.push_str(&layout.bar(panel, bar));
            out.push('\n');
        }
        if let Some(advice) = &panel.advice {
            for line in super::wrapped(advice, canvas.width.saturating_sub(2)) {
                out.push_str(&format!("  {}\n", style(canvas).yellow().apply_to(line)));
            }
        }
    }
    out
}

/// Writes the small print: one fact a line, two columns. Ends in a line break.
pub fn fact_lines(facts: &Facts, canvas: Canvas) -> String {
    let dim = style(canvas).dim();
    let rows = [
        ("dataset", &facts.dataset),
        ("epoch", &facts.epoch),
        ("purpose", &facts.purpose),
        ("price", &facts.price),
        ("left", &facts.left),
        ("release", &facts.release),
    ];
    let mut out = String::new();
    for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        let name = pad_str(name, 9, console::Alignment::Left, None);
        let _infallible = writeln!(out, "  {}{value}", dim.apply_to(name));
    }
    if facts.not_private {
        let stamp = style(canvas).red().bold();
        let _infallible =
            writeln!(out, "  {}", stamp.apply_to("NOT PRIVATE: a test dataset, its answers protect nobody"));
    }
    out
}

/// Draws how much of a whole is used, 0-1, in exactly `width` cells.
pub fn meter(share: f64, width: usize, canvas: Canvas) -> String {
    let filled = cells(share.clamp(0.0, 1.0), 1.0, width);
    let [full, empty] = if canvas.unicode { ["█", "░"] } else { ["#", "-"] };
    let used = style(canvas).cyan().apply_to(full.repeat(filled)).to_string();
    format!("{used}{}", style(canvas).dim().apply_to(empty.repeat(width - filled)))
}

fn style(canvas: Canvas) -> Style {
    Style::new().force_styling(canvas.color)
}

/// Column widths, the same for all panels so that they line up.
struct Layout {
    label: usize,
    bar: usize,
    value: usize,
    whole: f64,
    canvas: Canvas,
}

impl Layout {
    fn of(panels: &[Panel], whole: f64, canvas: Canvas) -> Self {
        let all = || panels.iter().flat_map(|panel| &panel.bars);
        let label = all().map(|bar| measure_text_width(&bar.label)).max().unwrap_or(0).min(LABEL_MAX);
        let value = all().map(|bar| measure_text_width(&bar.figure.words())).max().unwrap_or(0);
        let rest = canvas.width.saturating_sub(label + value + 14);
        Self { label, bar: rest.clamp(8, BAR_MAX), value, whole, canvas }
    }

    fn bar(&self, panel: &Panel, bar: &Bar) -> String {
        let label = truncate_str(&bar.label, self.label, "…");
        let label = pad_str(&label, self.label, console::Alignment::Left, None);
        let value = bar.figure.words();
        let value = pad_str(&value, self.value, console::Alignment::Right, None);
        let share = share(bar.figure.length(), self.whole).filter(|_| !bar.figure.may_be_nothing()).unwrap_or_default();
        let drawn = draw(bar, panel.scale(), self.bar, self.canvas);
        format!("  {label}  {drawn}  {value}  {share:>6}").trim_end().to_owned()
    }
}

/// Draws one bar of exactly `width` cells.
fn draw(bar: &Bar, scale: f64, width: usize, canvas: Canvas) -> String {
    let (low, high) = bar.figure.interval();
    let [low, middle, high] = [low, bar.figure.length(), high].map(|people| cells(people, scale, width));
    let glyphs = if canvas.unicode { ["█", "▓", "░"] } else { ["#", "+", "-"] };
    let [solid, likely, maybe] = glyphs;
    let accent = if bar.missing { style(canvas).dim() } else { style(canvas).cyan() };
    let text = format!(
        "{}{}{}",
        solid.repeat(low),
        likely.repeat(middle.saturating_sub(low)),
        maybe.repeat(high.saturating_sub(middle.max(low)))
    );
    let blank = width.saturating_sub(measure_text_width(&text));
    format!("{}{}", accent.apply_to(text), " ".repeat(blank))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "0..=width, rounded"
)]
fn cells(people: f64, scale: f64, width: usize) -> usize {
    ((people / scale) * width as f64).round().clamp(0.0, width as f64) as usize
}
