//! A whole portrait as one wide page: what it says in words, then a card for each table, in four columns.

use super::page::{HEADER, MARGIN, Page, Svg, clip, clip_to, count, text_width, wide_page};
use super::rows::{Bars, length, row_words, short};
use super::times;
use crate::cli::chart::{Of, Profile, ProfilePanel, ProfileRow, wrapped};
use std::fmt::Write as _;

const WIDTH: f64 = 1600.0;
const COLUMNS: usize = 4;
const GAP: f64 = 18.0;
pub(super) const PADDING: f64 = 18.0;
/// Width of a card.
pub(super) const CARD: f64 = (WIDTH - 2.0 * MARGIN - 3.0 * GAP) / 4.0;
pub(super) const TOP: f64 = 52.0;
const BOTTOM: f64 = 10.0;
const ROW: f64 = 26.0;
/// Room for a note below the rows.
const NOTE: f64 = 19.0;
/// A card with more rows than this shows the largest, in their order.
const MAX_ROWS: usize = 8;
/// Room for a share and an index at the right of a row.
const FIGURES: f64 = 112.0;
/// Lines of what the portrait says.
const SAY: f64 = 26.0;
/// Letters of a line of what it says, in one of two columns.
const LETTERS: usize = 82;

/// Draws a whole portrait. The result is a whole SVG document.
pub fn profile_svg(profile: &Profile) -> String {
    let story = Story::of(profile);
    let cards = place(&profile.panels, HEADER + story.height());
    let bottom = cards.iter().map(|card| card.y + card.height).fold(HEADER + story.height() - GAP, f64::max);
    let headline = headline(profile);
    let notes = profile.notes();
    let about = Page {
        kind: "Whole portrait",
        title: &profile.sheet.title,
        expression: &profile.sheet.expression,
        headline: headline.as_ref().map(|(figure, words)| (figure.as_str(), words.as_str())),
        marks: if profile.is_compared() {
            "Dark ticks: the rest; ≈: no difference shown. Whiskers"
        } else {
            "Whiskers"
        },
        notes: &notes,
        facts: &profile.sheet.facts,
        described: &described(profile),
    };
    wide_page(&about, WIDTH, bottom, |svg| {
        story.draw(svg);
        for card in &cards {
            card.draw(svg, profile.is_compared());
        }
    })
}

fn headline(profile: &Profile) -> Option<(String, String)> {
    let size = profile.size?;
    let part = profile.part().map_or_else(String::new, |part| format!(", {part:.0} % of {}", clip(&profile.base, 40)));
    let words = match size.margin() {
        0 => "people".to_owned(),
        _ if size.may_be_nothing() => "people (95 %)".to_owned(),
        margin => format!("people, ±{margin} (95 %)"),
    };
    Some((size.short(), words + &part))
}

/// What the portrait says, in lines of two columns; what can't be read comes last.
struct Story {
    columns: [Vec<(bool, String)>; 2],
    advice: Vec<String>,
}

impl Story {
    fn of(profile: &Profile) -> Self {
        // The size is the headline.
        let said = profile.text.iter().skip(usize::from(profile.size.is_some()));
        let sentences: Vec<Vec<String>> = said.map(|sentence| wrapped(sentence, LETTERS)).collect();
        let lines = |sentences: &[Vec<String>]| sentences.iter().map(Vec::len).sum::<usize>();
        let halves = (0..=sentences.len()).map(|at| sentences.split_at(at));
        let even = halves.min_by_key(|(left, right)| (lines(left).max(lines(right)), lines(right)));
        let (left, right) = even.unwrap_or_default();
        let columns = [left, right].map(|sentences| {
            let marked = |sentence: &Vec<String>| {
                (0..).zip(sentence.clone()).map(|(nth, line)| (nth == 0, line)).collect::<Vec<_>>()
            };
            sentences.iter().flat_map(marked).collect()
        });
        let advice = profile.unreadable.iter().flat_map(|advice| wrapped(advice, 2 * LETTERS)).collect();
        Self { columns, advice }
    }

    fn lines(&self) -> usize {
        self.columns.iter().map(Vec::len).max().unwrap_or(0)
    }

    fn height(&self) -> f64 {
        let lines = self.lines() + self.advice.len();
        if lines == 0 { 0.0 } else { count(lines) * SAY + 30.0 + GAP }
    }

    fn draw(&self, svg: &mut Svg) {
        let height = self.height() - GAP;
        if height <= 0.0 {
            return;
        }
        let width = WIDTH - 2.0 * MARGIN;
        svg.raw(&format!(
            "<g><rect class=\"card\" x=\"{MARGIN}\" y=\"{HEADER}\" width=\"{width}\" height=\"{height:.1}\" rx=\"14\"/>"
        ));
        for (column, x) in self.columns.iter().zip([MARGIN + PADDING, MARGIN + PADDING + width / 2.0]) {
            for (nth, (is_first, line)) in column.iter().enumerate() {
                let y = HEADER + 34.0 + count(nth) * SAY;
                if *is_first {
                    svg.raw(&format!("<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"/>", x + 4.0, y - 5.0));
                }
                svg.text(x + 18.0, y, "say", line);
            }
        }
        for (nth, line) in self.advice.iter().enumerate() {
            svg.text(MARGIN + PADDING, HEADER + 34.0 + count(self.lines() + nth) * SAY, "advice say", line);
        }
        svg.raw("</g>");
    }
}

/// A panel with its place on the page.
pub(super) struct Card<'a> {
    pub(super) panel: &'a ProfilePanel,
    rows: Vec<&'a ProfileRow>,
    pub(super) x: f64,
    pub(super) y: f64,
    height: f64,
}

/// Lays the panels out, each under the shortest column: the tallest first, so that columns end together.
fn place(panels: &[ProfilePanel], top: f64) -> Vec<Card<'_>> {
    let mut order: Vec<(usize, &ProfilePanel)> = panels.iter().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| height(b).total_cmp(&height(a)));
    let mut columns: [(f64, Vec<usize>); COLUMNS] = std::array::from_fn(|_| (0.0, Vec::new()));
    for (number, panel) in order {
        let shortest = columns.iter_mut().min_by(|(a, _), (b, _)| a.total_cmp(b));
        if let Some((depth, numbers)) = shortest {
            *depth += height(panel) + GAP;
            numbers.push(number);
        }
    }
    let mut cards = Vec::new();
    // Columns are in the order of what begins them, and so are panels within one.
    columns.iter_mut().for_each(|(_, numbers)| numbers.sort_unstable());
    columns.sort_by_key(|(_, numbers)| numbers.first().copied().unwrap_or(usize::MAX));
    for (column, (_, numbers)) in columns.iter().enumerate() {
        let mut y = top;
        for panel in numbers.iter().filter_map(|number| panels.get(*number)) {
            let x = MARGIN + count(column) * (CARD + GAP);
            let height = height(panel);
            cards.push(Card { panel, rows: shown_rows(panel), x, y, height });
            y += height + GAP;
        }
    }
    cards
}

fn height(panel: &ProfilePanel) -> f64 {
    let hidden = hidden(panel) > 0;
    let body = match panel.of {
        Of::Values | Of::Ranked => count(shown_rows(panel).len() + usize::from(hidden)) * ROW,
        Of::Hours | Of::Weekdays | Of::Trend => times::HEIGHT,
    };
    TOP + body + if panel.is_uncertain { NOTE } else { 0.0 } + BOTTOM
}

fn hidden(panel: &ProfilePanel) -> usize {
    panel.hidden + panel.rows.len() - shown_rows(panel).len()
}

/// Picks the rows to draw: all, or the largest, in their order.
fn shown_rows(panel: &ProfilePanel) -> Vec<&ProfileRow> {
    let mut order: Vec<(usize, &ProfileRow)> = panel.rows.iter().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| b.people.length().total_cmp(&a.people.length()));
    order.truncate(MAX_ROWS);
    order.sort_by_key(|(place, _)| *place);
    order.into_iter().map(|(_, row)| row).collect()
}

impl Card<'_> {
    fn draw(&self, svg: &mut Svg, compared: bool) {
        let Self { panel, x, y, height, .. } = self;
        svg.raw(&format!(
            "<g><rect class=\"card\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{CARD:.1}\" height=\"{height:.1}\" rx=\"14\"/>"
        ));
        svg.text(x + PADDING, y + 32.0, "head", &clip_to(&panel.title, CARD - 2.0 * PADDING - 80.0));
        let end = x + CARD - PADDING;
        match (panel.of, compared) {
            (Of::Values | Of::Ranked, true) => {
                svg.text_end(end - 54.0, y + 44.0, "soft tiny", "share");
                svg.text_middle(end - 23.0, y + 44.0, "soft tiny", "index");
            }
            (Of::Values | Of::Ranked, false) => svg.text_end(end, y + 44.0, "soft tiny", "people, share"),
            (Of::Hours | Of::Weekdays, true) => svg.text_end(end, y + 32.0, "soft tiny", "line: the rest"),
            _ => {}
        }
        match panel.of {
            Of::Values | Of::Ranked => self.bars(svg, compared),
            Of::Hours | Of::Weekdays => times::columns(svg, self),
            Of::Trend => times::line(svg, self),
        }
        if panel.is_uncertain {
            svg.text(x + PADDING, y + height - BOTTOM - 5.0, "advice small", "few people, wide intervals");
        }
        svg.raw("</g>");
    }

    fn bars(&self, svg: &mut Svg, compared: bool) {
        let widths = self.rows.iter().map(|row| text_width(&short(&row.compared.label)));
        let label = widths.fold(64.0, f64::max).min(CARD * 0.37);
        let figures = if compared { FIGURES } else { 124.0 };
        let lengths = self.rows.iter().map(|row| length(row, compared).interval().1);
        let rests = self.rows.iter().filter_map(|row| row.compared.rest).map(|rest| rest.length());
        let scale = lengths.chain(rests.filter(|_| compared)).fold(f64::MIN_POSITIVE, f64::max);
        let start = self.x + PADDING + label + 10.0;
        let place =
            Bars { start, length: self.x + CARD - PADDING - figures - start, scale, end: self.x + CARD - PADDING };
        for (nth, row) in self.rows.iter().enumerate() {
            let y = self.y + TOP + count(nth) * ROW;
            svg.raw("<g>");
            svg.element("title", &row_words(row, compared));
            svg.text(self.x + PADDING, y + 13.5, "lab", &clip_to(&short(&row.compared.label), label + 2.0));
            place.bar(svg, row, compared, y);
            if compared {
                place.compared(svg, row, y)
            } else {
                place.plain(svg, row, y)
            }
            svg.raw("</g>");
        }
        let more = hidden(self.panel);
        if more > 0 {
            let y = self.y + TOP + count(self.rows.len()) * ROW + 13.5;
            svg.text(self.x + PADDING, y, "soft small", &format!("and {more} smaller ones"));
        }
    }
}

fn described(profile: &Profile) -> String {
    let mut words = String::new();
    if profile.sheet.facts.not_private {
        words.push_str("Not private: a test dataset. ");
    }
    if let Some(size) = profile.size {
        let _infallible = write!(words, "{} people. ", size.words());
    }
    words.push_str(&profile.text.join(" "));
    for panel in &profile.panels {
        let rows: Vec<String> = panel.rows.iter().map(|row| row_words(row, profile.is_compared())).collect();
        let _infallible = write!(words, " {}: {}.", panel.title, rows.join("; "));
    }
    words
}
