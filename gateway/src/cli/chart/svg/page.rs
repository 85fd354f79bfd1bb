//! The page of every picture: heading, small print, stamp, and the document under construction.

use crate::cli::chart::{Facts, wrapped};
use std::fmt::{Display, Write as _};

pub(super) const WIDTH: f64 = 1000.0;
pub(super) const MARGIN: f64 = 40.0;
pub(super) const GAP: f64 = 24.0;
pub(super) const HEADER: f64 = 164.0;
pub(super) const PADDING: f64 = 22.0;
const FOOTER: f64 = 150.0;
const NOTE: f64 = 18.0;

const STYLE: &str = "\
text{font-family:Inter,'Segoe UI','Helvetica Neue',Arial,'Noto Sans','DejaVu Sans',sans-serif;font-size:13px;fill:#2b2a33}\
.page{fill:#f6f4ef}.card{fill:#fff;stroke:#e7e2d8}.title{font-size:27px;font-weight:700}\
.mono{font-family:ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:12.5px;fill:#6d6875}\
.big{font-size:44px;font-weight:700;letter-spacing:-1px}.soft{fill:#7b7683}.small{font-size:12px}\
.head{font-size:15px;font-weight:650}.num{font-variant-numeric:tabular-nums}.share{font-weight:600}\
.track{fill:#f1ede4}.bar{fill:url(#ink)}.unknown{fill:#c9c3b8}.whisker{stroke:#1d1b26;stroke-width:1.4;fill:none;opacity:.62}\
.face{fill:url(#ink)}.halo{fill:#e4efe9}.left{fill:url(#ink)}.stamp{fill:#f6f4ef;stroke:#c22f3d;stroke-width:3}\
.advice{fill:#a2570f}.grid{stroke:#e7e2d8}.axis{stroke:#8d8797}.flow{fill:#e4efe9}.inside{font-weight:600}.say{font-size:16px}.lab{font-size:14px}.val{font-size:14px;font-weight:600}.same{fill:#8ab8ab}.dot{fill:#3fb28f}.tick{stroke:#1d1b26;stroke-width:2.4;opacity:.75}.pill{fill:#e4efe9}.pillless{fill:#f6e3d8}.pillmore{fill:#cfe8dd}.step{fill:none;stroke:#8d8797;stroke-width:1.6}\
.less{fill:#c8643b}.rest{fill:#b9b2a6}.even{stroke:#8d8797;stroke-dasharray:3 4}.band{stroke:none;opacity:.17}.line{fill:none;stroke-width:2.6;stroke-linejoin:round}\
.s0{stroke:#12806a}.s1{stroke:#d1742b}.s2{stroke:#3f6fbf}.s3{stroke:#8a4f9e}.s4{stroke:#a08718}\
.f0{fill:#12806a}.f1{fill:#d1742b}.f2{fill:#3f6fbf}.f3{fill:#8a4f9e}.f4{fill:#a08718}.hollow{fill:#fff}.tiny{font-size:10.5px}\
.heat{fill:#12806a}.onheat{fill:#fff;font-weight:600}.stamptext{fill:#c22f3d;font-size:21px;font-weight:800;letter-spacing:2px}\
@media (prefers-color-scheme:dark){text{fill:#eceaf2}.page{fill:#17161d}.card{fill:#211f29;stroke:#34313f}\
.mono,.soft{fill:#a7a1b3}.track{fill:#2c2936}.unknown{fill:#5a5566}.whisker{stroke:#fff;opacity:.75}.halo{fill:#213530}\
.advice{fill:#f0b36a}.grid{stroke:#34313f}.flow{fill:#213530}.hollow{fill:#211f29}.same{fill:#4c7a6e}.tick{stroke:#fff;opacity:.8}.pillless{fill:#4a2f22}.pillmore{fill:#1f463a}.rest{fill:#6b6577}.stamp{fill:#17161d;stroke:#ff7a85}.stamptext{fill:#ff7a85}}";

/// What a page says about itself, beside its figures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page<'a> {
    /// What kind of picture it is: `Portrait`.
    pub(super) kind: &'a str,
    pub(super) title: &'a str,
    pub(super) expression: &'a str,
    /// A large figure at the right, and what it is.
    pub(super) headline: Option<(&'a str, &'a str)>,
    /// How intervals are drawn: `Whiskers`.
    pub(super) marks: &'a str,
    pub(super) notes: &'a [String],
    pub(super) facts: &'a Facts,
    /// The whole picture in words, for those who can't see it.
    pub(super) described: &'a str,
}

/// Draws a page whose figures end at `bottom`.
pub(super) fn page(page: &Page<'_>, bottom: f64, figures: impl FnOnce(&mut Svg)) -> String {
    wide_page(page, WIDTH, bottom, figures)
}

/// Draws a page of another width.
pub(super) fn wide_page(page: &Page<'_>, width: f64, bottom: f64, figures: impl FnOnce(&mut Svg)) -> String {
    let footer_top = bottom + GAP;
    let promise = promise(page, width);
    let footer_height = FOOTER + NOTE * count(page.notes.len() + promise.len() - 1);
    let mut svg = Svg::open(page, width, footer_top + footer_height + MARGIN);
    header(&mut svg, page, width);
    figures(&mut svg);
    footer(&mut svg, page, &promise, (footer_top, width, footer_height));
    if page.facts.not_private {
        stamp(&mut svg, width);
    }
    svg.close()
}

/// How many letters of so many pixels more fit on a page of a width than on the usual one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive width on a page")]
fn more(width: f64, letter: f64) -> usize {
    ((width - WIDTH).max(0.0) / letter) as usize
}

fn header(svg: &mut Svg, page: &Page<'_>, width: f64) {
    silhouette(svg, MARGIN + 36.0, 82.0);
    let room = more(width, 16.0) + if page.headline.is_some() { 34 } else { 52 };
    svg.text(MARGIN + 92.0, 74.0, "title", &clip(page.title, room));
    let room = more(width, 8.0) + if page.headline.is_some() { 66 } else { 96 };
    for (line, y) in wrap(page.expression, room, 3).iter().zip([99.0, 117.0, 135.0]) {
        svg.text(MARGIN + 92.0, y, "mono", line);
    }
    if let Some((figure, words)) = page.headline {
        svg.text_end(width - MARGIN, 90.0, "big num", figure);
        svg.text_end(width - MARGIN, 114.0, "soft", words);
    }
}

/// Stamps the page, over all else.
fn stamp(svg: &mut Svg, width: f64) {
    let x = width - 154.0;
    svg.raw(&format!(
        "<g transform=\"translate({x} 144) rotate(-3)\">\
         <rect class=\"stamp\" x=\"-112\" y=\"-19\" width=\"224\" height=\"34\" rx=\"6\"/>\
         <text class=\"stamptext\" x=\"0\" y=\"6\" text-anchor=\"middle\">NOT PRIVATE</text></g>",
    ));
}

/// A head and shoulders without a face.
fn silhouette(svg: &mut Svg, x: f64, y: f64) {
    svg.raw(&format!(
        "<g transform=\"translate({x} {y})\" aria-hidden=\"true\"><circle class=\"halo\" r=\"36\"/>\
         <clipPath id=\"round\"><circle r=\"36\"/></clipPath><g clip-path=\"url(#round)\">\
         <circle class=\"face\" cy=\"-8\" r=\"13\"/><path class=\"face\" d=\"M-25 40c0-17 11-27 25-27s25 10 25 27z\"/></g></g>"
    ));
}

/// What noise does, or that there is none to speak of: a line, or two where one is too long.
fn promise(page: &Page<'_>, width: f64) -> Vec<String> {
    if page.facts.not_private {
        return vec![
            "A test dataset: its budget is too large to protect anyone. Not for use with real people.".to_owned(),
        ];
    }
    let noise =
        "Random noise is in every figure, so that nobody can tell from this picture whether any one person is in it.";
    let marks = format!("{}: 95 % interval.", page.marks);
    if noise.len() + marks.chars().count() <= 132 + more(width, 6.8) {
        return vec![format!("{noise} {marks}")];
    }
    vec![noise.to_owned(), marks]
}

fn footer(svg: &mut Svg, page: &Page<'_>, promise: &[String], (top, page_width, height): (f64, f64, f64)) {
    let (width, stretch) = (page_width - 2.0 * MARGIN, page_width / WIDTH);
    svg.raw(&format!(
        "<g><rect class=\"card\" x=\"{MARGIN}\" y=\"{top:.1}\" width=\"{width}\" height=\"{height}\" rx=\"14\"/>"
    ));
    let facts = page.facts;
    let mut line = top + 33.0 - NOTE;
    for words in promise {
        line += NOTE;
        svg.text(MARGIN + PADDING, line, "small", words);
    }
    for note in page.notes {
        line += NOTE;
        svg.text(MARGIN + PADDING, line, "soft small", &clip(note, 128 + more(page_width, 6.8)));
    }
    let columns = [
        [("Dataset", &facts.dataset), ("Purpose", &facts.purpose)],
        [("Epoch", &facts.epoch), ("Release", &facts.release)],
    ];
    for (column, x) in columns.iter().zip([MARGIN + PADDING, MARGIN + 308.0 * stretch]) {
        for ((name, value), y) in column.iter().zip([line + 33.0, line + 73.0]) {
            svg.text(x, y, "soft small", name);
            svg.text(x, y + 17.0, "", &clip_to(value, 270.0 * stretch));
        }
    }
    price(svg, facts, (MARGIN + 600.0 * stretch, line + 33.0), page_width);
    svg.raw("</g>");
}

/// What it cost, what is left, and a gauge of that.
fn price(svg: &mut Svg, facts: &Facts, (x, y): (f64, f64), page_width: f64) {
    let width = page_width - MARGIN - PADDING - x;
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
#[derive(Debug)]
pub(super) struct Svg(String);

impl Svg {
    fn open(page: &Page<'_>, width: f64, height: f64) -> Self {
        let mut svg = Self(String::new());
        svg.raw(&format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width} {height:.0}\" role=\"img\" aria-labelledby=\"name figures\">"
        ));
        svg.raw(&format!("<title id=\"name\">{}</title>", Escaped(&format!("{}: {}", page.kind, page.title))));
        svg.raw(&format!("<desc id=\"figures\">{}</desc>", Escaped(page.described)));
        svg.raw(&format!("<style>{STYLE}</style>"));
        svg.raw(
            "<defs><linearGradient id=\"ink\"><stop offset=\"0\" stop-color=\"#12806a\"/>\
             <stop offset=\"1\" stop-color=\"#3fb28f\"/></linearGradient></defs>",
        );
        svg.raw(&format!("<rect class=\"page\" width=\"{width}\" height=\"{height:.0}\"/>"));
        svg
    }

    fn close(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }

    /// Adds markup of ours, never text from elsewhere.
    pub(super) fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
        self.0.push('\n');
    }

    pub(super) fn element(&mut self, name: &str, text: &str) {
        self.raw(&format!("<{name}>{}</{name}>", Escaped(text)));
    }

    pub(super) fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        self.raw(&format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", Escaped(text)));
    }

    pub(super) fn text_middle(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = Escaped(text);
        self.raw(&format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{text}</text>"));
    }

    /// Adds text inside an element that is open.
    pub(super) fn escaped(&mut self, text: &str) {
        self.raw(&Escaped(text).to_string());
    }

    pub(super) fn text_end(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = Escaped(text);
        self.raw(&format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{text}</text>"));
    }
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
pub(super) fn count(rows: usize) -> f64 {
    rows as f64
}

/// About how wide 13-pixel text is; fonts differ, so this leaves some room.
pub(super) fn text_width(text: &str) -> f64 {
    count(console::measure_text_width(text)) * 7.3
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive width on a page")]
pub(super) fn clip_to(text: &str, width: f64) -> String {
    if text_width(text) <= width { text.to_owned() } else { clip(text, (width / 7.3) as usize) }
}

pub(super) fn clip(text: &str, cells: usize) -> String {
    console::truncate_str(text, cells, "…").into_owned()
}

/// Breaks text into at most `most` lines of at most `cells` cells; what does not fit ends in `…`.
fn wrap(text: &str, cells: usize, most: usize) -> Vec<String> {
    let mut lines = wrapped(text, cells);
    let lost = lines.len() > most;
    lines.truncate(most);
    if let (true, Some(last)) = (lost, lines.last_mut()) {
        last.push_str(" …");
    }
    lines.iter().map(|line| clip(line, cells + 2)).collect()
}
