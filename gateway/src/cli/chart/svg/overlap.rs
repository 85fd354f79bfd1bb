//! An overlap as a picture: how many are in each segment, then a bar for each combination of them.

use super::page::{GAP, HEADER, MARGIN, PADDING, Page, Svg, WIDTH, clip_to, count, page, text_width};
use crate::cli::chart::{Figure, Overlap, Part, Set};
use std::fmt::Write as _;

const TOP: f64 = 58.0;
const BOTTOM: f64 = 16.0;
const ROW: f64 = 34.0;
/// Between the dots of two segments.
const DOT: f64 = 30.0;
/// Room for a bar's figure.
const FIGURE: f64 = 120.0;

/// Draws an overlap. The result is a whole SVG document.
pub fn overlap_svg(overlap: &Overlap) -> String {
    let sets = TOP + count(overlap.sets.len()) * ROW + BOTTOM;
    let parts = TOP + count(overlap.parts.len()) * ROW + BOTTOM;
    let about = Page {
        kind: "Overlap",
        title: &overlap.sheet.title,
        expression: &overlap.sheet.expression,
        headline: None,
        marks: "Whiskers, brackets and what follows a ±",
        notes: &overlap.sheet.notes,
        facts: &overlap.sheet.facts,
        described: &described(overlap),
    };
    let top = HEADER + sets + GAP;
    page(&about, top + parts, |svg| {
        let layout = Layout::of(overlap);
        card(svg, HEADER, sets, "In each segment");
        if overlap.sets.len() > 1 {
            svg.text(layout.shared, HEADER + 33.0, "soft small", "of whom in the others too");
        }
        for (place, set) in overlap.sets.iter().enumerate() {
            layout.set(svg, place, set, HEADER + TOP + count(place) * ROW);
        }
        card(svg, top, parts, "In exactly these");
        for (place, part) in overlap.ordered().into_iter().enumerate() {
            layout.part(svg, overlap, part, top + TOP + count(place) * ROW);
        }
    })
}

fn card(svg: &mut Svg, y: f64, height: f64, title: &str) {
    let width = WIDTH - 2.0 * MARGIN;
    svg.raw(&format!(
        "<rect class=\"card\" x=\"{MARGIN}\" y=\"{y:.1}\" width=\"{width}\" height=\"{height:.1}\" rx=\"14\"/>"
    ));
    svg.text(MARGIN + PADDING, y + 33.0, "head", title);
}

/// Where bars begin and how long they can be.
struct Layout {
    label: f64,
    start: f64,
    length: f64,
    /// The same for whole segments, and where what they share is said.
    set_start: f64,
    shared: f64,
    scale: f64,
    whole: f64,
}

impl Layout {
    fn of(overlap: &Overlap) -> Self {
        let names = overlap.parts.iter().map(|part| text_width(&name(overlap, part)));
        let label = names.fold(110.0, f64::max).min(300.0);
        let start = MARGIN + PADDING + DOT * count(overlap.sets.len()) + label + 26.0;
        let figures = overlap.sets.iter().map(|set| set.people).chain(overlap.parts.iter().map(|part| part.people));
        let scale = figures.map(|people| people.interval().1).fold(1.0, f64::max);
        let whole = overlap.parts.iter().map(|part| part.people.value).sum();
        let length = WIDTH - MARGIN - PADDING - FIGURE - 60.0 - start;
        let names = overlap.sets.iter().map(|set| text_width(&set.name));
        let set_start = MARGIN + PADDING + 28.0 + names.fold(90.0, f64::max).min(180.0) + 16.0;
        let shared = WIDTH - MARGIN - PADDING - 380.0;
        Self { label, start, length, set_start, shared, scale, whole }
    }

    fn set(&self, svg: &mut Svg, color: usize, set: &Set, y: f64) {
        svg.raw("<g>");
        let words: Vec<String> =
            set.shared.iter().map(|(name, rate)| format!("{name} {}", rate_words(*rate))).collect();
        svg.element("title", &format!("{}: {}; {}", set.name, set.people.words(), words.join(", ")));
        let class = color_class(color);
        svg.raw(&format!(
            "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"8\"/>",
            MARGIN + PADDING + 9.0,
            y + 9.0
        ));
        svg.text(MARGIN + PADDING + 28.0, y + 13.5, "", &clip_to(&set.name, 180.0));
        let length = (self.shared - self.set_start - FIGURE - 24.0).max(40.0);
        let end = self.bar(svg, class, set.people, (self.set_start, length), y);
        svg.text(end, y + 13.5, "num small", &set.people.words());
        svg.text(self.shared, y + 13.5, "num small", &clip_to(&words.join(", "), 400.0));
        svg.raw("</g>");
    }

    fn part(&self, svg: &mut Svg, overlap: &Overlap, part: &Part, y: f64) {
        let name = name(overlap, part);
        svg.raw("<g>");
        svg.element("title", &format!("{name}: {}", part.people.words()));
        let dot = |place: usize| MARGIN + PADDING + 9.0 + DOT * count(place);
        let inside = || part.within.iter().enumerate().filter(|(_, within)| **within).map(|(place, _)| place);
        if let (Some(first), Some(last)) = (inside().next(), inside().next_back())
            && last > first
        {
            svg.raw(&format!("<path class=\"whisker\" d=\"M{:.1} {:.1}H{:.1}\"/>", dot(first), y + 9.0, dot(last)));
        }
        for (place, within) in part.within.iter().enumerate() {
            let (class, radius) = if *within { (color_class(place), 8.0) } else { ("track", 6.0) };
            svg.raw(&format!(
                "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\"/>",
                dot(place),
                y + 9.0
            ));
        }
        let is_none = inside().next().is_none();
        let x = MARGIN + PADDING + DOT * count(part.within.len());
        svg.text(x + 2.0, y + 13.5, if is_none { "soft" } else { "" }, &clip_to(&name, self.label + 10.0));
        let end = self.bar(svg, if is_none { "unknown" } else { "bar" }, part.people, (self.start, self.length), y);
        svg.text(end, y + 13.5, "num small", &part.people.words());
        let share = crate::cli::chart::share(part.people.length(), self.whole);
        if let Some(share) = share.filter(|_| !part.people.may_be_nothing()) {
            svg.text_end(WIDTH - MARGIN - PADDING, y + 13.5, "share num", &share);
        }
        svg.raw("</g>");
    }

    /// Draws a bar and its whisker; returns where words after it begin.
    fn bar(&self, svg: &mut Svg, class: &str, people: Figure, (start, length): (f64, f64), y: f64) -> f64 {
        let at = |people: f64| start + length * (people / self.scale).clamp(0.0, 1.0);
        let (end, (low, high)) = (at(people.length()), people.interval());
        svg.raw(&format!(
            "<rect class=\"{class}\" x=\"{start:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"18\" rx=\"{:.1}\"/>",
            end - start,
            (end - start).min(4.0)
        ));
        let (from, to, middle) = (at(low), at(high), y + 9.0);
        if to - from > 1.0 {
            let (up, down) = (middle - 4.0, middle + 4.0);
            svg.raw(&format!("<path class=\"whisker\" d=\"M{from:.1} {up:.1}V{down:.1}M{from:.1} {middle:.1}H{to:.1}M{to:.1} {up:.1}V{down:.1}\"/>"));
        }
        to.max(end) + 10.0
    }
}

fn color_class(place: usize) -> &'static str {
    ["f0", "f1", "f2", "f3"].get(place).copied().unwrap_or("f4")
}

fn rate_words(rate: Option<Figure>) -> String {
    rate.map_or_else(|| "?".to_owned(), Figure::words)
}

/// Names a combination: `tea and honey`, `only tea`, `none of these`.
fn name(overlap: &Overlap, part: &Part) -> String {
    let within = part.within.iter().zip(&overlap.sets).filter(|(within, _)| **within);
    let names: Vec<&str> = within.map(|(_, set)| set.name.as_str()).collect();
    match names.as_slice() {
        [] => "none of these".to_owned(),
        [one] => format!("only {one}"),
        all if all.len() == overlap.sets.len() && all.len() > 2 => "all of these".to_owned(),
        all => all.join(" and "),
    }
}

fn described(overlap: &Overlap) -> String {
    let mut words = String::new();
    if overlap.sheet.facts.not_private {
        words.push_str("Not private: a test dataset. ");
    }
    for set in &overlap.sets {
        let shared: Vec<String> =
            set.shared.iter().map(|(name, rate)| format!("also in {name} {}", rate_words(*rate))).collect();
        let _infallible = write!(words, "{}: {}, {}. ", set.name, set.people.words(), shared.join(", "));
    }
    for part in overlap.ordered() {
        let _infallible = write!(words, "In exactly {}: {}. ", name(overlap, part), part.people.words());
    }
    words
}
