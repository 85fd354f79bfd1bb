//! A contrast as a picture: for each value its share of the members and of the rest, and how far apart they are.

use super::page::{GAP, HEADER, MARGIN, PADDING, Page, Svg, WIDTH, clip, clip_to, count, page};

use crate::cli::chart::{Contrast, Contrasted, Figure, Sheet, index_words};
use std::fmt::Write as _;

const CARD_TOP: f64 = 62.0;
const CARD_BOTTOM: f64 = 34.0;
const ROW: f64 = 34.0;
/// A card with more rows than this shows those that stand out most.
const MAX_ROWS: usize = 18;

const LABEL: f64 = MARGIN + PADDING;
const BARS: f64 = LABEL + 160.0;
const BARS_LENGTH: f64 = 210.0;
const AXIS: f64 = BARS + BARS_LENGTH + 118.0;
const AXIS_LENGTH: f64 = 250.0;

/// Draws a contrast. The result is a whole SVG document.
pub fn contrast_svg(sheet: &Sheet, panels: &[Contrast]) -> String {
    let cards: Vec<Card<'_>> = panels.iter().map(Card::of).collect();
    let bottom = cards.iter().fold(HEADER - GAP, |bottom, card| bottom + GAP + card.height);
    let about = Page {
        kind: "Contrast",
        title: &sheet.title,
        expression: &sheet.expression,
        headline: None,
        marks: "Whiskers",
        notes: &sheet.notes,
        facts: &sheet.facts,
        described: &described(sheet, panels),
    };
    page(&about, bottom, |svg| {
        let scale = Scale::of(panels);
        let mut top = HEADER;
        for card in &cards {
            card.draw(svg, &scale, top);
            top += card.height + GAP;
        }
    })
}

/// A logarithmic axis around 100.
struct Scale {
    extent: f64,
    ticks: &'static [f64],
}

impl Scale {
    fn of(panels: &[Contrast]) -> Self {
        let rows = panels.iter().flat_map(|panel| &panel.rows);
        let reach = |index: Figure| (index.high / 100.0).max(100.0 / index.low.max(1.0));
        match rows.filter_map(|row| row.index).map(reach).fold(1.0, f64::max) {
            reach if reach <= 1.5 => Self { extent: 1.55, ticks: &[67.0, 80.0, 100.0, 125.0, 150.0] },
            reach if reach <= 2.0 => Self { extent: 2.1, ticks: &[50.0, 67.0, 100.0, 150.0, 200.0] },
            reach if reach <= 4.0 => Self { extent: 4.3, ticks: &[25.0, 50.0, 100.0, 200.0, 400.0] },
            _ => Self { extent: 8.6, ticks: &[12.5, 25.0, 50.0, 100.0, 200.0, 400.0, 800.0] },
        }
    }

    fn x(&self, index: f64) -> f64 {
        let part = (index.max(0.1) / 100.0).ln() / self.extent.ln();
        AXIS + AXIS_LENGTH * 0.5 * (1.0 + part.clamp(-1.0, 1.0))
    }
}

struct Card<'a> {
    panel: &'a Contrast,
    rows: Vec<&'a Contrasted>,
    height: f64,
}

impl<'a> Card<'a> {
    fn of(panel: &'a Contrast) -> Self {
        let away = |row: &Contrasted| {
            row.index.filter(|_| row.differs).map_or(0.0, |index| (index.value.max(1.0) / 100.0).ln().abs())
        };
        let mut order: Vec<(usize, &Contrasted)> = panel.rows.iter().enumerate().collect();
        order.sort_by(|(_, a), (_, b)| away(b).total_cmp(&away(a)));
        order.truncate(MAX_ROWS);
        order.sort_by_key(|(place, _)| *place);
        let rows: Vec<&Contrasted> = order.into_iter().map(|(_, row)| row).collect();
        let height = CARD_TOP + count(rows.len()) * ROW + CARD_BOTTOM;
        Self { panel, rows, height }
    }

    fn draw(&self, svg: &mut Svg, scale: &Scale, y: f64) {
        let (width, height) = (WIDTH - 2.0 * MARGIN, self.height);
        svg.raw(&format!(
            "<g><rect class=\"card\" x=\"{MARGIN}\" y=\"{y:.1}\" width=\"{width}\" height=\"{height:.1}\" rx=\"14\"/>"
        ));
        svg.text(LABEL, y + 31.0, "head", &clip(&self.panel.title, 60));
        svg.text(BARS, y + 31.0, "soft small", "share of these, and of the rest");
        svg.text_middle(AXIS + AXIS_LENGTH / 2.0, y + 31.0, "soft small", "index: 100 is the same");
        let (top, end) = (y + CARD_TOP - 12.0, y + CARD_TOP + count(self.rows.len()) * ROW);
        for tick in scale.ticks {
            let x = scale.x(*tick);
            let class = if (*tick - 100.0).abs() < 0.1 { "axis" } else { "grid" };
            svg.raw(&format!("<path class=\"{class}\" d=\"M{x:.1} {top:.1}V{end:.1}\"/>"));
            svg.text_middle(x, end + 18.0, "soft small num", &format!("{tick:.0}"));
        }
        let shares = self.rows.iter().flat_map(|row| [row.share, row.rest]).flatten();
        let largest = shares.map(|share| share.interval().1).fold(1.0, f64::max);
        for (place, row) in self.rows.iter().enumerate() {
            draw_row(svg, row, scale, largest, y + CARD_TOP + count(place) * ROW);
        }
        let hidden = self.panel.rows.len() - self.rows.len();
        if hidden > 0 {
            svg.text(LABEL, end + 18.0, "soft small", &format!("and {hidden} more that stand out less"));
        }
        svg.raw("</g>");
    }
}

fn draw_row(svg: &mut Svg, row: &Contrasted, scale: &Scale, largest: f64, y: f64) {
    svg.raw("<g>");
    svg.element("title", &row_words(row));
    svg.text(LABEL, y + 12.0, "", &clip_to(&row.label, BARS - LABEL - 12.0));
    let class = match (row.differs, row.index) {
        (true, Some(index)) if index.value < 100.0 => "less",
        (true, Some(_)) => "f0",
        _ => "unknown",
    };
    for (share, class, top) in [(row.share, class, y - 2.0), (row.rest, "rest", y + 9.0)] {
        let Some(share) = share else { continue };
        let at = |percent: f64| BARS + BARS_LENGTH * (percent / largest).clamp(0.0, 1.0);
        let (end, (low, high)) = (at(share.length()), share.interval());
        let (from, to, middle) = (at(low), at(high), top + 4.5);
        svg.raw(&format!(
            "<rect class=\"{class}\" x=\"{BARS}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"9\" rx=\"2\"/>",
            end - BARS
        ));
        svg.raw(&format!("<path class=\"whisker\" d=\"M{from:.1} {middle:.1}H{to:.1}\"/>"));
        svg.text(BARS + BARS_LENGTH + 8.0, top + 8.5, "num tiny", &share.short());
    }
    if let Some(index) = row.index {
        let (low, middle, high) = (scale.x(index.low), scale.x(index.value), scale.x(index.high));
        let at = y + 8.0;
        svg.raw(&format!(
            "<path class=\"whisker\" d=\"M{low:.1} {at:.1}H{high:.1}M{low:.1} {:.1}v8M{high:.1} {:.1}v8\"/>",
            at - 4.0,
            at - 4.0
        ));
        svg.raw(&format!("<circle class=\"{class}\" cx=\"{middle:.1}\" cy=\"{at:.1}\" r=\"5\"/>"));
    }
    let right = WIDTH - MARGIN - PADDING;
    if row.differs {
        svg.text_end(right, y + 12.5, "share num", &row.index.map_or_else(String::new, index_words));
    } else {
        svg.text_end(right, y + 12.5, "soft small", row.verdict());
    }
    svg.raw("</g>");
}

fn row_words(row: &Contrasted) -> String {
    let words = |share: Option<Figure>| share.map_or_else(|| "too few to tell".to_owned(), Figure::words);
    let index = row.index.map_or_else(String::new, |index| format!("index {}, ", index_words(index)));
    format!("{}: {} of these, {} of the rest, {index}{}", row.label, words(row.share), words(row.rest), row.verdict())
}

fn described(sheet: &Sheet, panels: &[Contrast]) -> String {
    let mut words = String::new();
    if sheet.facts.not_private {
        words.push_str("Not private: a test dataset. ");
    }
    for panel in panels {
        let rows: Vec<String> = panel.rows.iter().map(row_words).collect();
        let _infallible = write!(words, "{}: {}. ", panel.title, rows.join("; "));
    }
    words
}
