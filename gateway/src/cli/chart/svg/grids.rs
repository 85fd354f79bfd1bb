//! Bands crossed, as a picture: a heat map, one for each band of a third list.

use super::page::{GAP, HEADER, MARGIN, PADDING, Page, Svg, WIDTH, clip_to, count, page};
use crate::cli::chart::{Figure, Grid, Grids, wrapped};
use std::fmt::Write as _;

const TOP: f64 = 112.0;
const BOTTOM: f64 = 18.0;
/// The legend below all cards.
const LEGEND: f64 = 34.0;

/// Draws grids of one scale. The result is a whole SVG document.
pub fn grids_svg(grids: &Grids) -> String {
    let layout = Layout::of(grids);
    let rows = count(grids.grids.len().div_ceil(layout.across));
    let bottom = HEADER + rows * (layout.height + GAP) - GAP + LEGEND;
    let about = Page {
        kind: "Bands",
        title: &grids.sheet.title,
        expression: &grids.sheet.expression,
        headline: None,
        marks: "Behind a ±",
        notes: &grids.sheet.notes,
        facts: &grids.sheet.facts,
        described: &described(grids),
    };
    page(&about, bottom, |svg| {
        for (place, grid) in grids.grids.iter().enumerate() {
            let x = MARGIN + count(place % layout.across) * (layout.width + GAP);
            let y = HEADER + count(place / layout.across) * (layout.height + GAP);
            layout.card(svg, grids, grid, (x, y));
        }
        layout.legend(svg, grids.half, bottom - 8.0);
    })
}

struct Layout {
    across: usize,
    width: f64,
    height: f64,
    label: f64,
    cell: f64,
    row: f64,
    /// The number that is darkest.
    darkest: f64,
}

impl Layout {
    fn of(grids: &Grids) -> Self {
        let across = if grids.grids.len() > 1 { 2 } else { 1 };
        let width = (WIDTH - 2.0 * MARGIN - GAP * count(across - 1)) / count(across);
        let (label, row) = if across == 1 { (190.0, 46.0) } else { (144.0, 38.0) };
        let cell = (width - 2.0 * PADDING - label) / count(grids.columns.1.len().max(1));
        let height = TOP + count(grids.rows.1.len()) * row + BOTTOM;
        let cells = grids.grids.iter().flat_map(|grid| grid.cells.iter().flatten());
        let darkest = cells.filter(|cell| !cell.may_be_nothing()).map(|cell| cell.value).fold(1.0, f64::max);
        Self { across, width, height, label, cell: cell.min(150.0), row, darkest }
    }

    fn card(&self, svg: &mut Svg, grids: &Grids, grid: &Grid, (x, y): (f64, f64)) {
        let Self { width, height, .. } = self;
        svg.raw(&format!(
            "<g><rect class=\"card\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"14\"/>"
        ));
        let (left, start) = (x + PADDING, x + PADDING + self.label);
        if grid.title.is_empty() {
            svg.text(left, y + 33.0, "head", &format!("{} by {}", grids.rows.0, grids.columns.0.to_lowercase()));
        } else {
            svg.text(left, y + 33.0, "head", &clip_to(&grid.title, (width - 2.0 * PADDING) * 0.85));
        }
        svg.text(left, y + TOP - 12.0, "soft tiny", &grids.rows.0);
        svg.text(start, y + 53.0, "soft tiny", &grids.columns.0);
        for (place, name) in grids.columns.1.iter().enumerate() {
            let middle = start + self.cell * (count(place) + 0.5);
            let lines = self.lines(name);
            let first = y + TOP - 12.0 - 12.0 * count(lines.len() - 1);
            for (nth, line) in lines.iter().enumerate() {
                svg.text_middle(middle, first + 12.0 * count(nth), "tiny num", line);
            }
        }
        for (place, (name, cells)) in grids.rows.1.iter().zip(&grid.cells).enumerate() {
            let top = y + TOP + count(place) * self.row;
            svg.text(left, top + self.row / 2.0 + 3.0, "small num", &clip_to(name, (self.label - 8.0) * 1.08));
            for (column, cell) in cells.iter().enumerate() {
                let words = || format!("{name}, {}", grids.columns.1.get(column).map_or("", String::as_str));
                self.square(svg, words(), *cell, (start + self.cell * count(column), top));
            }
        }
        svg.raw("</g>");
    }

    /// A heading in at most three lines that fit a column.
    fn lines(&self, name: &str) -> Vec<String> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive width on a page")]
        let cells = (self.cell / 6.2) as usize;
        let mut lines = wrapped(name, cells.max(4));
        lines.truncate(3);
        if lines.is_empty() { vec![String::new()] } else { lines }
    }

    fn square(&self, svg: &mut Svg, words: String, cell: Figure, (x, y): (f64, f64)) {
        let known = !cell.may_be_nothing();
        let depth = if known { 0.08 + 0.92 * (cell.value / self.darkest).clamp(0.0, 1.0) } else { 0.0 };
        let (width, height) = (self.cell - 2.0, self.row - 2.0);
        svg.raw("<g>");
        svg.element("title", &format!("{words}: {}", cell.words()));
        let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"4\"");
        svg.raw(&format!("<rect class=\"track\" {place}/>"));
        if known {
            svg.raw(&format!("<rect class=\"heat\" opacity=\"{depth:.2}\" {place}/>"));
        }
        let ink = match (known, depth > 0.62) {
            (false, _) => "soft small num",
            (true, true) => "onheat num",
            (true, false) => "share num",
        };
        svg.text_middle(x + width / 2.0, y + height / 2.0 + 4.5, ink, &cell.short());
        svg.raw("</g>");
    }

    fn legend(&self, svg: &mut Svg, half: u64, y: f64) {
        for (opacity, place) in [0.1_f64, 0.3, 0.5, 0.7, 0.9].into_iter().zip([0.0_f64, 22.0, 44.0, 66.0, 88.0]) {
            svg.raw(&format!(
                "<rect class=\"heat\" opacity=\"{opacity}\" x=\"{:.1}\" y=\"{:.1}\" width=\"20\" height=\"10\" rx=\"2\"/>",
                MARGIN + place,
                y - 9.0
            ));
        }
        let most = crate::cli::chart::number(self.darkest, 0);
        let margin = if half == 0 { String::new() } else { format!(", ±{half} in every cell") };
        let words = format!("0 to {most} people{margin}; <N: there may be nobody, and surely fewer than that");
        svg.text(MARGIN + 120.0, y, "soft small", &words);
    }
}

fn described(grids: &Grids) -> String {
    let mut words = String::new();
    if grids.sheet.facts.not_private {
        words.push_str("Not private: a test dataset. ");
    }
    for grid in &grids.grids {
        let _infallible = write!(words, "{} ", grid.title);
        for (name, cells) in grids.rows.1.iter().zip(&grid.cells) {
            let cells: Vec<String> =
                grids.columns.1.iter().zip(cells).map(|(column, cell)| format!("{column} {}", cell.words())).collect();
            let _infallible = write!(words, "{} {name}: {}. ", grids.rows.0, cells.join(", "));
        }
    }
    words
}
