//! A histogram as a picture, with the bins in which quantiles lie below it.

use super::page::{HEADER, MARGIN, PADDING, Page, Svg, WIDTH, clip_to, count, page, text_width};
use super::trend::{nice, tick};
use crate::cli::chart::{Bar, Distribution};
use std::fmt::Write as _;

const TOP: f64 = 58.0;
const PLOT: f64 = 270.0;
const AXIS: f64 = 44.0;
const QUANTILE: f64 = 22.0;
/// Columns narrower than this have no whiskers.
const NARROW: f64 = 9.0;

/// Draws a histogram. The result is a whole SVG document.
pub fn distribution_svg(distribution: &Distribution) -> String {
    let lines = distribution.quantiles.len().max(1);
    let height = TOP + PLOT + AXIS + QUANTILE * count(lines) + 18.0;
    let median =
        distribution.quantiles.iter().find(|quantile| quantile.permille == 500).map(|quantile| quantile.words());
    let about = Page {
        kind: "Distribution",
        title: &distribution.sheet.title,
        expression: &distribution.sheet.expression,
        headline: median.as_deref().filter(|words| words.len() <= 14).map(|words| (words, "median (95 %)")),
        marks: "Whiskers and bins of quantiles",
        notes: &distribution.sheet.notes,
        facts: &distribution.sheet.facts,
        described: &described(distribution),
    };
    page(&about, HEADER + height, |svg| {
        let width = WIDTH - 2.0 * MARGIN;
        svg.raw(&format!(
            "<rect class=\"card\" x=\"{MARGIN}\" y=\"{HEADER}\" width=\"{width}\" height=\"{height:.1}\" rx=\"14\"/>"
        ));
        svg.text(MARGIN + PADDING, HEADER + 33.0, "head", &clip_to(&distribution.title, width - 2.0 * PADDING));
        let plot = Plot::of(distribution);
        plot.axes(svg, distribution);
        for (place, bar) in distribution.bins.iter().enumerate() {
            plot.column(svg, place, bar);
        }
        plot.quantiles(svg, distribution);
    })
}

struct Plot {
    left: f64,
    right: f64,
    high: f64,
    step: f64,
    cell: f64,
}

impl Plot {
    fn of(distribution: &Distribution) -> Self {
        let high = distribution.bins.iter().map(|bar| bar.figure.interval().1).fold(1.0, f64::max);
        let step = nice(high / 4.0).max(1.0);
        let high = (high / step).ceil() * step;
        let left = MARGIN + PADDING + text_width(&tick(high, step)) + 14.0;
        let right = WIDTH - MARGIN - PADDING;
        let cell = (right - left) / count(distribution.bins.len().max(1));
        Self { left, right, high, step, cell }
    }

    fn x(&self, place: usize) -> f64 {
        self.left + self.cell * count(place)
    }

    fn y(&self, value: f64) -> f64 {
        HEADER + TOP + PLOT * (1.0 - (value / self.high).clamp(0.0, 1.0))
    }

    fn axes(&self, svg: &mut Svg, distribution: &Distribution) {
        let mut nth = 0;
        while count(nth) * self.step <= self.high + self.step / 2.0 {
            let value = count(nth) * self.step;
            let (y, class) = (self.y(value), if nth == 0 { "axis" } else { "grid" });
            svg.raw(&format!("<path class=\"{class}\" d=\"M{:.1} {y:.1}H{:.1}\"/>", self.left, self.right));
            svg.text_end(self.left - 8.0, y + 4.5, "soft small num", &tick(value, self.step));
            nth += 1;
        }
        // Edge 0 is between the first two bins.
        let widest = distribution.edges.iter().map(|edge| text_width(edge) + 8.0).fold(20.0, f64::max);
        let every = (widest / self.cell).ceil().max(1.0);
        for (place, edge) in distribution.edges.iter().enumerate().filter(|(place, _)| count(*place) % every == 0.0) {
            let (x, y) = (self.x(place + 1), self.y(0.0));
            svg.raw(&format!("<path class=\"axis\" d=\"M{x:.1} {y:.1}v6\"/>"));
            svg.text_middle(x, y + 22.0, "soft small num", edge);
        }
    }

    fn column(&self, svg: &mut Svg, place: usize, bar: &Bar) {
        let gap = if self.cell > 6.0 { 1.5 } else { 0.3 };
        let (x, width) = (self.x(place) + gap, self.cell - 2.0 * gap);
        let (top, zero, (low, high)) = (self.y(bar.figure.length()), self.y(0.0), bar.figure.interval());
        svg.raw("<g>");
        svg.element("title", &format!("{}: {}", bar.label, bar.figure.words()));
        let round = (width / 4.0).min(3.0);
        svg.raw(&format!(
            "<rect class=\"f0\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"{round:.1}\"/>",
            (zero - top).max(0.0)
        ));
        let (middle, from, to) = (x + width / 2.0, self.y(low), self.y(high));
        if self.cell >= NARROW && from - to > 1.0 {
            let (a, b) = (middle - 3.0, middle + 3.0);
            svg.raw(&format!("<path class=\"whisker\" d=\"M{a:.1} {from:.1}H{b:.1}M{middle:.1} {from:.1}V{to:.1}M{a:.1} {to:.1}H{b:.1}\"/>"));
        }
        svg.raw("</g>");
    }

    /// Under the axis a bar for each quantile, over the bins in which it lies.
    fn quantiles(&self, svg: &mut Svg, distribution: &Distribution) {
        let top = self.y(0.0) + AXIS;
        if distribution.quantiles.is_empty() {
            svg.text(MARGIN + PADDING, top + 12.0, "advice small", "Too few people to tell quantiles.");
        }
        let edge = |value: f64| {
            let is = |edge: &String| edge.parse::<f64>().is_ok_and(|edge| (edge - value).abs() < 1e-6);
            distribution.edges.iter().position(is).map(|place| self.x(place + 1))
        };
        for (place, quantile) in distribution.quantiles.iter().enumerate() {
            let y = top + QUANTILE * count(place);
            let from = quantile.low.and_then(edge).unwrap_or(self.left);
            let to = quantile.high.and_then(edge).unwrap_or(self.right);
            svg.raw(&format!(
                "<rect class=\"f1\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"8\" rx=\"4\"/>",
                y + 2.0,
                to - from
            ));
            let words = format!("{}: {}", quantile.name(), quantile.words());
            let room = self.right - to;
            if room > text_width(&words) + 10.0 {
                svg.text(to + 10.0, y + 10.5, "small num", &words);
            } else {
                svg.text_end(from - 10.0, y + 10.5, "small num", &words);
            }
        }
    }
}

fn described(distribution: &Distribution) -> String {
    let mut words = String::new();
    if distribution.sheet.facts.not_private {
        words.push_str("Not private: a test dataset. ");
    }
    let bins: Vec<String> =
        distribution.bins.iter().map(|bar| format!("{} {}", bar.label, bar.figure.words())).collect();
    let _infallible = write!(words, "{}: {}. ", distribution.title, bins.join(", "));
    for line in distribution.quantile_lines() {
        let _infallible = write!(words, "{line}. ");
    }
    words
}
