//! A portrait as one SVG file: no script, no link, no font to load; readable on light and dark, on paper and by a screen
//! reader. All text is escaped. It says on its face what it is: noised, what it cost, and NOT PRIVATE where it is.

use super::{Bar, Facts, Panel, Portrait, share};
use std::fmt::{Display, Write as _};

const WIDTH: f64 = 1000.0;
const MARGIN: f64 = 40.0;
const GAP: f64 = 24.0;
const HEADER: f64 = 164.0;
const CARD_TOP: f64 = 54.0;
const CARD_BOTTOM: f64 = 16.0;
const ROW: f64 = 27.0;
const PADDING: f64 = 22.0;
/// A panel with more bars than this shows the largest, in the order of the domain, and one bar of text for the rest.
const MAX_BARS: usize = 18;

const STYLE: &str = "\
text{font-family:Inter,'Segoe UI','Helvetica Neue',Arial,'Noto Sans','DejaVu Sans',sans-serif;font-size:13px;fill:#2b2a33}\
.page{fill:#f6f4ef}.card{fill:#fff;stroke:#e7e2d8}.title{font-size:27px;font-weight:700}\
.mono{font-family:ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:12.5px;fill:#6d6875}\
.big{font-size:44px;font-weight:700;letter-spacing:-1px}.soft{fill:#7b7683}.small{font-size:12px}\
.head{font-size:15px;font-weight:650}.num{font-variant-numeric:tabular-nums}.share{font-weight:600}\
.track{fill:#f1ede4}.bar{fill:url(#ink)}.unknown{fill:#c9c3b8}.whisker{stroke:#1d1b26;stroke-width:1.4;fill:none;opacity:.62}\
.face{fill:url(#ink)}.halo{fill:#e4efe9}.left{fill:url(#ink)}.stamp{fill:#f6f4ef;stroke:#c22f3d;stroke-width:3}\
.stamptext{fill:#c22f3d;font-size:21px;font-weight:800;letter-spacing:2px}\
@media (prefers-color-scheme:dark){text{fill:#eceaf2}.page{fill:#17161d}.card{fill:#211f29;stroke:#34313f}\
.mono,.soft{fill:#a7a1b3}.track{fill:#2c2936}.unknown{fill:#5a5566}.whisker{stroke:#fff;opacity:.75}.halo{fill:#213530}\
.stamp{fill:#17161d;stroke:#ff7a85}.stamptext{fill:#ff7a85}}";

/// Draws a portrait. The result is a whole SVG document.
pub fn portrait_svg(portrait: &Portrait) -> String {
    let columns = place(&portrait.panels);
    let deepest = columns.iter().map(|placed| placed.y + placed.height).fold(HEADER, f64::max);
    let footer_top = deepest + GAP;
    let footer_height = 150.0;
    let mut svg = Svg::open(portrait, footer_top + footer_height + MARGIN);
    header(&mut svg, portrait);
    let whole = portrait.whole();
    for placed in &columns {
        card(&mut svg, placed, whole);
    }
    footer(&mut svg, &portrait.facts, footer_top, footer_height);
    if portrait.facts.not_private {
        stamp(&mut svg);
    }
    svg.close()
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
        let height = CARD_TOP + (count(bars.len()) + rest) * ROW + CARD_BOTTOM;
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
    order.sort_by_key(|at| panel.bars.get(*at).map(|bar| std::cmp::Reverse(bar.figure.people)));
    order.truncate(MAX_BARS);
    order.sort_unstable();
    order.into_iter().filter_map(|at| panel.bars.get(at)).collect()
}

fn header(svg: &mut Svg, portrait: &Portrait) {
    silhouette(svg, MARGIN + 36.0, 82.0);
    svg.text(MARGIN + 92.0, 74.0, "title", &clip(&portrait.title, 34));
    for (line, y) in wrap(&portrait.expression, 66, 3).iter().zip([99.0, 117.0, 135.0]) {
        svg.text(MARGIN + 92.0, y, "mono", line);
    }
    if let Some(size) = portrait.size {
        svg.text_end(WIDTH - MARGIN, 90.0, "big num", &super::grouped(size.people));
        let margin = match size.margin() {
            0 => "people".to_owned(),
            margin => format!("people, ±{margin} (95 %)"),
        };
        svg.text_end(WIDTH - MARGIN, 114.0, "soft", &margin);
    }
}

/// Stamps the page, over all else.
fn stamp(svg: &mut Svg) {
    svg.raw(
        "<g transform=\"translate(846 144) rotate(-3)\">\
         <rect class=\"stamp\" x=\"-112\" y=\"-19\" width=\"224\" height=\"34\" rx=\"6\"/>\
         <text class=\"stamptext\" x=\"0\" y=\"6\" text-anchor=\"middle\">NOT PRIVATE</text></g>",
    );
}

/// A head and shoulders without a face.
fn silhouette(svg: &mut Svg, x: f64, y: f64) {
    svg.raw(&format!(
        "<g transform=\"translate({x} {y})\" aria-hidden=\"true\"><circle class=\"halo\" r=\"36\"/>\
         <clipPath id=\"round\"><circle r=\"36\"/></clipPath><g clip-path=\"url(#round)\">\
         <circle class=\"face\" cy=\"-8\" r=\"13\"/><path class=\"face\" d=\"M-25 40c0-17 11-27 25-27s25 10 25 27z\"/></g></g>"
    ));
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
    svg.element("title", &format!("{}: {} people", bar.label, bar.figure.words()));
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
    if let Some(share) = share(bar.figure.length(), place.whole) {
        svg.text_end(end, place.y + 13.5, "share num", &share);
    }
    svg.raw("</g>");
}

fn footer(svg: &mut Svg, facts: &Facts, top: f64, height: f64) {
    let width = WIDTH - 2.0 * MARGIN;
    svg.raw(&format!(
        "<g><rect class=\"card\" x=\"{MARGIN}\" y=\"{top:.1}\" width=\"{width}\" height=\"{height}\" rx=\"14\"/>"
    ));
    let promise = if facts.not_private {
        "A test dataset: its budget is too large to protect anyone. Not for use with real people."
    } else {
        "Random noise is in every figure, so that nobody can tell from this picture whether any one person is in it. \
         Whiskers: 95 % interval."
    };
    svg.text(MARGIN + PADDING, top + 33.0, "small", promise);
    let columns = [
        [("Dataset", &facts.dataset), ("Purpose", &facts.purpose)],
        [("Epoch", &facts.epoch), ("Release", &facts.release)],
    ];
    for (column, x) in columns.iter().zip([MARGIN + PADDING, MARGIN + 308.0]) {
        for ((name, value), y) in column.iter().zip([top + 66.0, top + 106.0]) {
            svg.text(x, y, "soft small", name);
            svg.text(x, y + 17.0, "", &clip_to(value, 270.0));
        }
    }
    price(svg, facts, MARGIN + 600.0, top + 66.0);
    svg.raw("</g>");
}

/// What it cost, what is left, and a gauge of that.
fn price(svg: &mut Svg, facts: &Facts, x: f64, y: f64) {
    let width = WIDTH - MARGIN - PADDING - x;
    svg.text(x, y, "soft small", "Price");
    svg.text(x, y + 17.0, "", &clip_to(&facts.price, width));
    svg.text(x, y + 40.0, "soft small", &clip_to(&facts.left, width));
    if let Some(left) = facts.left_permille {
        let filled = width * f64::from(left.min(1000)) / 1000.0;
        let top = y + 48.0;
        svg.raw(&format!(
            "<rect class=\"track\" x=\"{x}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"8\" rx=\"4\"/>"
        ));
        svg.raw(&format!(
            "<rect class=\"left\" x=\"{x}\" y=\"{top:.1}\" width=\"{filled:.1}\" height=\"8\" rx=\"4\"/>"
        ));
    }
}

/// The document under construction.
struct Svg(String);

impl Svg {
    fn open(portrait: &Portrait, height: f64) -> Self {
        let mut svg = Self(String::new());
        svg.raw(&format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-labelledby=\"name figures\">"
        ));
        svg.raw(&format!("<title id=\"name\">{}</title>", Escaped(&format!("Portrait: {}", portrait.title))));
        svg.raw(&format!("<desc id=\"figures\">{}</desc>", Escaped(&described(portrait))));
        svg.raw(&format!("<style>{STYLE}</style>"));
        svg.raw(
            "<defs><linearGradient id=\"ink\"><stop offset=\"0\" stop-color=\"#12806a\"/>\
             <stop offset=\"1\" stop-color=\"#3fb28f\"/></linearGradient></defs>",
        );
        svg.raw(&format!("<rect class=\"page\" width=\"{WIDTH}\" height=\"{height:.0}\"/>"));
        svg
    }

    fn close(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }

    /// Adds markup of ours, never text from elsewhere.
    fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
        self.0.push('\n');
    }

    fn element(&mut self, name: &str, text: &str) {
        self.raw(&format!("<{name}>{}</{name}>", Escaped(text)));
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        self.raw(&format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", Escaped(text)));
    }

    fn text_end(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = Escaped(text);
        self.raw(&format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{text}</text>"));
    }
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

/// Text made safe inside an element or an attribute; characters that XML does not allow are left out.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\u{FFFE}' | '\u{FFFF}' => {}
                c if c.is_control() => {}
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number of rows")]
fn count(rows: usize) -> f64 {
    rows as f64
}

/// About how wide 13-pixel text is; fonts differ, so this leaves some room.
fn text_width(text: &str) -> f64 {
    count(console::measure_text_width(text)) * 7.3
}

/// Room for a card's labels; short ones get the same room in every card, so that bars line up.
fn label_width(placed: &Placed<'_>) -> f64 {
    placed.bars.iter().map(|bar| text_width(&bar.label)).fold(88.0, f64::max).min(placed.width * 0.36)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive width on a page")]
fn clip_to(text: &str, width: f64) -> String {
    if text_width(text) <= width { text.to_owned() } else { clip(text, (width / 7.3) as usize) }
}

fn clip(text: &str, cells: usize) -> String {
    console::truncate_str(text, cells, "…").into_owned()
}

/// Breaks text into at most `most` lines of at most `cells` cells; what does not fit ends in `…`.
fn wrap(text: &str, cells: usize, most: usize) -> Vec<String> {
    let mut lines = super::wrapped(text, cells);
    let lost = lines.len() > most;
    lines.truncate(most);
    if let (true, Some(last)) = (lost, lines.last_mut()) {
        last.push_str(" …");
    }
    lines.iter().map(|line| clip(line, cells + 2)).collect()
}
