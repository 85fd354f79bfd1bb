//! A funnel as a picture: a bar for each step, and between them which part went on.

use super::page::{HEADER, MARGIN, PADDING, Page, Svg, WIDTH, clip_to, count, page, text_width};
use crate::cli::chart::{Figure, Funnel, Stage};
use std::fmt::Write as _;

const TOP: f64 = 34.0;
const BAR: f64 = 42.0;
const GAP: f64 = 40.0;
/// Room for the words right of the longest bar.
const WORDS: f64 = 236.0;

/// Draws a funnel. The result is a whole SVG document.
pub fn funnel_svg(funnel: &Funnel) -> String {
    let stages = &funnel.stages;
    let height = TOP + count(stages.len()) * (BAR + GAP) - GAP + TOP;
    let last = stages.len().checked_sub(1).filter(|last| *last > 0).and_then(|last| stages.get(last));
    let headline = last.and_then(|stage| stage.rate_of_start).map(Figure::short);
    let about = Page {
        kind: "Funnel",
        title: &funnel.sheet.title,
        expression: &funnel.sheet.expression,
        headline: headline.as_deref().map(|share| (share, "of all took every step")),
        marks: "Whiskers, brackets and what follows a ±",
        notes: &funnel.sheet.notes,
        facts: &funnel.sheet.facts,
        described: &described(funnel),
    };
    page(&about, HEADER + height, |svg| {
        let width = WIDTH - 2.0 * MARGIN;
        svg.raw(&format!(
            "<rect class=\"card\" x=\"{MARGIN}\" y=\"{HEADER}\" width=\"{width}\" height=\"{height:.1}\" rx=\"14\"/>"
        ));
        let layout = Layout::of(stages);
        for (place, stage) in stages.iter().enumerate() {
            let y = HEADER + TOP + count(place) * (BAR + GAP);
            if let Some(next) = stages.get(place + 1) {
                layout.flow(svg, stage, next, y + BAR);
            }
            layout.step(svg, place, stage, y);
        }
    })
}

/// Where bars begin and how long they can be.
struct Layout {
    start: f64,
    length: f64,
    scale: f64,
}

impl Layout {
    fn of(stages: &[Stage]) -> Self {
        let label = stages.iter().map(|stage| text_width(&stage.name) * 1.16 + 34.0).fold(110.0, f64::max).min(230.0);
        let start = MARGIN + PADDING + label;
        let scale = stages.iter().map(|stage| stage.people.interval().1).fold(1.0, f64::max);
        Self { start, length: WIDTH - MARGIN - PADDING - WORDS - start, scale }
    }

    fn at(&self, people: f64) -> f64 {
        self.start + self.length * (people / self.scale).clamp(0.0, 1.0)
    }

    fn step(&self, svg: &mut Svg, place: usize, stage: &Stage, y: f64) {
        let middle = y + BAR / 2.0;
        svg.raw("<g>");
        svg.element("title", &format!("{}: {}", stage.name, stage.people.words()));
        svg.text(
            MARGIN + PADDING,
            middle + 5.0,
            "soft num",
            &if place == 0 { String::new() } else { place.to_string() },
        );
        svg.text(
            MARGIN + PADDING + 20.0,
            middle + 5.0,
            "head",
            &clip_to(&stage.name, self.start - MARGIN - PADDING - 30.0),
        );
        let (end, (low, high)) = (self.at(stage.people.length()), stage.people.interval());
        let filled = (end - self.start).max(0.0);
        svg.raw(&format!(
            "<rect class=\"bar\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{filled:.1}\" height=\"{BAR}\" rx=\"{:.1}\"/>",
            self.start,
            filled.min(5.0)
        ));
        let (from, to) = (self.at(low), self.at(high));
        if to - from > 1.0 {
            let (up, down) = (middle - 6.0, middle + 6.0);
            svg.raw(&format!("<path class=\"whisker\" d=\"M{from:.1} {up:.1}V{down:.1}M{from:.1} {middle:.1}H{to:.1}M{to:.1} {up:.1}V{down:.1}\"/>"));
        }
        let words = to.max(end) + 14.0;
        let line = if stage.rate_of_start.is_some() { middle - 2.0 } else { middle + 5.0 };
        svg.text(words, line, "head num", &stage.people.words());
        if let Some(share) = stage.rate_of_start {
            svg.text(words, middle + 15.0, "soft small num", &format!("{} of all", share.words()));
        }
        svg.raw("</g>");
    }

    /// The narrowing between two steps, and which part of those of the first took the second.
    fn flow(&self, svg: &mut Svg, stage: &Stage, next: &Stage, y: f64) {
        let (from, to) = (self.at(stage.people.length()), self.at(next.people.length()));
        let (start, bottom) = (self.start, y + GAP);
        svg.raw(&format!("<path class=\"flow\" d=\"M{start:.1} {y:.1}H{from:.1}L{to:.1} {bottom:.1}H{start:.1}Z\"/>"));
        let words = next
            .rate
            .map_or("too few to tell how many went on".to_owned(), |rate| format!("↓ {} went on", rate.words()));
        svg.text(start + 10.0, y + GAP / 2.0 + 4.5, "small num", &words);
    }
}

fn described(funnel: &Funnel) -> String {
    let mut words = String::new();
    if funnel.sheet.facts.not_private {
        words.push_str("Not private: a test dataset. ");
    }
    for stage in &funnel.stages {
        let share = stage.rate_of_start.map_or_else(String::new, |share| format!(", {} of all", share.words()));
        let _infallible = write!(words, "{}: {}{share}. ", stage.name, stage.people.words());
    }
    words
}
