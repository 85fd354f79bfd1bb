//! A portrait as a picture: a card of bars for each field.

use super::page::{GAP, HEADER, MARGIN, PADDING, Page, Svg, WIDTH, clip, clip_to, count, page, text_width};
use crate::cli::chart::{Bar, Panel, Portrait, share, wrapped};
use std::fmt::Write as _;

const CARD_TOP: f64 = 54.0;
const CARD_BOTTOM: f64 = 16.0;
const ROW: f64 = 27.0;
const ADVICE_LINE: f64 = 17.0;
/// A panel with more bars than this shows the largest, in the order of the domain, and one bar of text for the rest.
const MAX_BARS: usize = 18;

/// Draws a portrait. The result is a whole SVG document.
pub fn portrait_svg(portrait: &Portrait) -> String {
    bars_svg("Portrait", portrait)
}

/// Draws whatever else is panels of bars, under a name of its own: `Bands`.
pub fn bars_svg(kind: &str, portrait: &Portrait) -> String {
    let columns = place(&portrait.panels);
    let deepest = columns.iter().map(|placed| placed.y + placed.height).fold(HEADER, f64::max);
    let headline = portrait.size.map(|size| {
        let margin = match size.margin() {
            0 => "people".to_owned(),
            _ if size.may_be_nothing() => "people (95 %)".to_owned(),
            margin => format!("people, ±{margin} (95 %)"),
        };
        (size.short(), margin)
    });
    let about = Page {
        kind,
        title: &portrait.title,
        expression: &portrait.expression,
        headline: headline.as_ref().map(|(figure, words)| (figure.as_str(), words.as_str())),
        marks: "Whiskers",
        notes: &portrait.notes,
        facts: &portrait.facts,
        described: &described(portrait),
    };
    page(&about, deepest, |svg| {
        let whole = portrait.whole();
        for placed in &columns {
            card(svg, placed, whole);
        }
    })
}

/// A panel with its place on the page.
struct Placed<'a> {
    panel: &'a Panel,
    bars: Vec<&'a Bar>,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// Lays the panels out in two columns, each under the shorter one; a single panel takes the whole width.
fn place(panels: &[Panel]) -> Vec<Placed<'_>> {
    let columns = if panels.len() > 1 { 2.0 } else { 1.0 };
    let width = (WIDTH - 2.0 * MARGIN - GAP * (columns - 1.0)) / columns;
    let (mut left, mut right) = (HEADER, if panels.len() > 1 { HEADER } else { f64::MAX });
    let mut placed = Vec::new();
    for panel in panels {
        let bars = shown_bars(panel);
        let rest = if bars.len() < panel.bars.len() { 1.0 } else { 0.0 };
        let advised = ADVICE_LINE * count(advice(panel, width).len());
        let height = CARD_TOP + (count(bars.len()) + rest) * ROW + advised + CARD_BOTTOM;
        let (x, y) = if left <= right { (MARGIN, left) } else { (MARGIN + width + GAP, right) };
        let bottom = if left <= right { &mut left } else { &mut right };
        *bottom += height + GAP;
        placed.push(Placed { panel, bars, x, y, width, height });
    }
    placed
}

/// Picks the bars to draw: all, or the largest, always in the order of the domain.
fn shown_bars(panel: &Panel) -> Vec<&Bar> {
    if panel.bars.len() <= MAX_BARS {
        return panel.bars.iter().collect();
    }
    let mut order: Vec<usize> = (0..panel.bars.len()).collect();
    order.sort_by(|a, b| {
        let length = |at: &usize| panel.bars.get(*at).map_or(0.0, |bar| bar.figure.length());
        length(b).total_cmp(&length(a))
    });
    order.truncate(MAX_BARS);
    order.sort_unstable();
    order.into_iter().filter_map(|at| panel.bars.get(at)).collect()
}

/// What is said below the bars of a panel that can't be read, in lines that fit.
fn advice(panel: &Panel, width: f64) -> Vec<String> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive width on a page")]
    let cells = ((width - 2.0 * PADDING) / 6.4) as usize;
    panel.advice.as_deref().map_or_else(Vec::new, |advice| wrapped(advice, cells))
}

fn card(svg: &mut Svg, placed: &Placed<'_>, whole: f64) {
    let Placed { panel, x, y, width, height, .. } = placed;
    svg.raw(&format!(
        "<g><rect class=\"card\" x=\"{x}\" y=\"{y:.1}\" width=\"{width}\" height=\"{height:.1}\" rx=\"14\"/>"
    ));
    svg.text(x + PADDING, y + 33.0, "head", &clip(&panel.title, 36));
    if panel.overlapping {
        svg.text_end(x + width - PADDING, y + 33.0, "soft small", "a person can be in several");
    }
    let label = label_width(placed);
    let mut top = y + CARD_TOP;
    for bar in &placed.bars {
        row(
            svg,
            bar,
            &Row { x: x + PADDING, y: top, width: width - 2.0 * PADDING, label, scale: panel.scale(), whole },
        );
        top += ROW;
    }
    let hidden = panel.bars.len() - placed.bars.len();
    if hidden > 0 {
        svg.text(x + PADDING, top + 14.0, "soft small", &format!("and {hidden} smaller ones"));
        top += ROW;
    }
    for line in advice(panel, *width) {
        svg.text(x + PADDING, top + 10.0, "advice small", &line);
        top += ADVICE_LINE;
    }
    svg.raw("</g>");
}

/// Where a bar goes, and against what it is drawn.
struct Row {
    x: f64,
    y: f64,
    width: f64,
    label: f64,
    scale: f64,
    whole: f64,
}

fn row(svg: &mut Svg, bar: &Bar, place: &Row) {
    let figures = 138.0;
    let start = place.x + place.label + 12.0;
    let length = place.width - place.label - 12.0 - figures;
    let at = |people: f64| start + length * (people / place.scale).clamp(0.0, 1.0);
    let (low, high) = bar.figure.interval();
    let (from, mid, to) = (at(low), place.y + 9.0, at(high));
    svg.raw("<g>");
    svg.element("title", &format!("{}: {}", bar.label, bar.figure.words()));
    let class = if bar.missing { "soft" } else { "" };
    svg.text(place.x, place.y + 13.5, class, &clip_to(&bar.label, place.label));
    svg.raw(&format!(
        "<rect class=\"track\" x=\"{start:.1}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"14\" rx=\"4\"/>",
        place.y + 2.0
    ));
    let class = if bar.missing { "unknown" } else { "bar" };
    let filled = at(bar.figure.length()) - start;
    if filled > 0.3 {
        let (top, round) = (place.y + 2.0, filled.min(4.0));
        svg.raw(&format!("<rect class=\"{class}\" x=\"{start:.1}\" y=\"{top:.1}\" width=\"{filled:.1}\" height=\"14\" rx=\"{round:.1}\"/>"));
    }
    if to - from > 1.0 {
        let (up, down) = (mid - 3.5, mid + 3.5);
        svg.raw(&format!("<path class=\"whisker\" d=\"M{from:.1} {up:.1}V{down:.1}M{from:.1} {mid:.1}H{to:.1}M{to:.1} {up:.1}V{down:.1}\"/>"));
    }
    let end = place.x + place.width;
    svg.text_end(end - 50.0, place.y + 13.5, "soft small num", &bar.figure.words());
    let known = !bar.figure.may_be_nothing();
    if let Some(share) = share(bar.figure.length(), place.whole).filter(|_| known) {
        svg.text_end(end, place.y + 13.5, "share num", &share);
    }
    svg.raw("</g>");
}

/// The whole picture in words, for those who can't see it.
fn described(portrait: &Portrait) -> String {
    let mut words = String::new();
    if portrait.facts.not_private {
        words.push_str("Not private: a test dataset. ");
    }
    if let Some(size) = portrait.size {
        let _infallible = write!(words, "{} people. ", size.words());
    }
    for panel in &portrait.panels {
        let bars: Vec<String> = panel.bars.iter().map(|bar| format!("{} {}", bar.label, bar.figure.words())).collect();
        let _infallible = write!(words, "{}: {}. ", panel.title, bars.join(", "));
    }
    words
}

/// Room for a card's labels; short ones get the same room in every card, so that bars line up.
fn label_width(placed: &Placed<'_>) -> f64 {
    placed.bars.iter().map(|bar| text_width(&bar.label)).fold(88.0, f64::max).min(placed.width * 0.36)
}
