//! A trend as a picture: a line with the band of its interval, one card for each thing that is counted.

use super::page::{GAP, HEADER, MARGIN, PADDING, Page, Svg, WIDTH, clip_to, count, page, text_width};
use crate::cli::chart::{Series, Sheet, Trend, number};
use std::fmt::Write as _;

const TITLE: f64 = 48.0;
const PLOT: f64 = 250.0;
const AXIS: f64 = 44.0;
/// Lines beyond these can't be told apart: the largest are drawn.
const MAX_LINES: usize = 5;

/// Draws trends under one heading. The result is a whole SVG document.
pub fn trend_svg(sheet: &Sheet, trends: &[Trend]) -> String {
    let height = TITLE + PLOT + AXIS;
    let about = Page {
        kind: "Trend",
        title: &sheet.title,
        expression: &sheet.expression,
        headline: None,
        marks: "Bands",
        notes: &sheet.notes,
        facts: &sheet.facts,
        described: &described(sheet, trends),
    };
    let bottom = HEADER + count(trends.len()) * (height + GAP) - GAP;
    page(&about, bottom, |svg| {
        for (place, trend) in trends.iter().enumerate() {
            card(svg, trend, HEADER + count(place) * (height + GAP), height);
        }
    })
}

fn card(svg: &mut Svg, trend: &Trend, y: f64, height: f64) {
    let width = WIDTH - 2.0 * MARGIN;
    svg.raw(&format!(
        "<g><rect class=\"card\" x=\"{MARGIN}\" y=\"{y:.1}\" width=\"{width}\" height=\"{height}\" rx=\"14\"/>"
    ));
    svg.text(MARGIN + PADDING, y + 31.0, "head", &trend.counted);
    let lines = largest(&trend.series);
    let plot = Plot::of(trend, &lines, y + TITLE);
    plot.axes(svg, trend);
    for (color, series) in lines.iter().enumerate() {
        plot.line(svg, series, color, trend.last_is_open);
    }
    plot.names(svg, &lines);
    let hidden = trend.series.len() - lines.len();
    let mut note = if hidden > 0 { format!("and {hidden} smaller ones, not drawn") } else { String::new() };
    if trend.last_is_open {
        note = [note.as_str(), "the last one is not over"]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
    }
    svg.text_end(WIDTH - MARGIN - PADDING, y + 31.0, "soft small", &note);
    svg.raw("</g>");
}

/// The lines with the largest sums, in the order of the domain.
fn largest(series: &[Series]) -> Vec<&Series> {
    let total = |series: &Series| series.points.iter().map(|point| point.length()).sum::<f64>();
    let mut order: Vec<(usize, &Series)> = series.iter().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| total(b).total_cmp(&total(a)));
    order.truncate(MAX_LINES);
    order.sort_by_key(|(place, _)| *place);
    order.into_iter().map(|(_, series)| series).collect()
}

/// From periods and figures to places on the page.
struct Plot {
    left: f64,
    right: f64,
    top: f64,
    periods: usize,
    low: f64,
    high: f64,
    step: f64,
}

impl Plot {
    fn of(trend: &Trend, lines: &[&Series], top: f64) -> Self {
        let ends = || lines.iter().flat_map(|series| &series.points).map(|point| point.interval());
        let high = ends().map(|(_, high)| high).fold(1.0, f64::max);
        let low = ends().map(|(low, _)| low).fold(0.0, f64::min);
        let step = nice((high - low) / 4.0);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        let widest = [low, high].into_iter().map(|value| text_width(&tick(value, step))).fold(0.0, f64::max);
        let names = lines.iter().map(|series| text_width(&series.label) + 14.0).fold(36.0, f64::max).min(150.0);
        let left = MARGIN + PADDING + widest + 10.0;
        Self { left, right: WIDTH - MARGIN - PADDING - names, top, periods: trend.periods.len(), low, high, step }
    }

    fn x(&self, place: usize) -> f64 {
        let steps = count(self.periods.saturating_sub(1)).max(1.0);
        if self.periods == 1 {
            self.left.midpoint(self.right)
        } else {
            self.left + (self.right - self.left) * count(place) / steps
        }
    }

    fn y(&self, value: f64) -> f64 {
        self.top + PLOT * (1.0 - (value - self.low) / (self.high - self.low))
    }

    fn axes(&self, svg: &mut Svg, trend: &Trend) {
        let mut value = self.low;
        while value <= self.high + self.step / 2.0 {
            let y = self.y(value);
            let class = if value.abs() < self.step / 2.0 { "axis" } else { "grid" };
            svg.raw(&format!("<path class=\"{class}\" d=\"M{:.1} {y:.1}H{:.1}\"/>", self.left - 6.0, self.right + 6.0));
            svg.text_end(self.left - 10.0, y + 4.5, "soft small num", &tick(value, self.step));
            value += self.step;
        }
        let room = ((self.right - self.left) / 84.0).max(1.0);
        let every = (count(self.periods) / room).ceil().max(1.0);
        for (place, day) in trend.periods.iter().enumerate() {
            let last = place + 1 == self.periods;
            // The last is always named; whatever would touch it is not.
            if (count(place) % every != 0.0 || count(self.periods - 1 - place) < every) && !last {
                continue;
            }
            let x = self.x(place);
            svg.raw(&format!("<path class=\"axis\" d=\"M{x:.1} {:.1}v6\"/>", self.top + PLOT));
            svg.text_middle(x, self.top + PLOT + 22.0, "soft small num", day);
        }
    }

    fn line(&self, svg: &mut Svg, series: &Series, color: usize, last_is_open: bool) {
        let place = |value: f64, at: usize| format!("{:.1} {:.1}", self.x(at), self.y(value));
        let ends: Vec<(f64, f64)> = series.points.iter().map(|point| point.interval()).collect();
        let upper = ends.iter().enumerate().map(|(at, (_, high))| place(*high, at));
        let lower = ends.iter().enumerate().rev().map(|(at, (low, _))| place(*low, at));
        let band: Vec<String> = upper.chain(lower).collect();
        svg.raw(&format!("<path class=\"band f{color}\" d=\"M{}Z\"/>", band.join("L")));
        let sure = if last_is_open { series.points.len().saturating_sub(1) } else { series.points.len() };
        let path = |from: usize, to: usize| {
            let points = series.points.iter().enumerate().take(to).skip(from);
            points.map(|(at, point)| place(point.length(), at)).collect::<Vec<_>>().join("L")
        };
        svg.raw(&format!("<path class=\"line s{color}\" d=\"M{}\"/>", path(0, sure.max(1))));
        if last_is_open && sure > 0 {
            svg.raw(&format!(
                "<path class=\"line s{color}\" stroke-dasharray=\"4 5\" d=\"M{}\"/>",
                path(sure - 1, sure + 1)
            ));
        }
        if self.periods > 60 {
            return;
        }
        for (at, point) in series.points.iter().enumerate() {
            let (x, y) = (self.x(at), self.y(point.length()));
            let class = if last_is_open && at + 1 == series.points.len() {
                "hollow"
            } else {
                ["f0", "f1", "f2", "f3", "f4"].get(color).copied().unwrap_or("f0")
            };
            svg.raw(&format!(
                "<circle class=\"{class} s{color}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.4\" stroke-width=\"2\"><title>"
            ));
            svg.escaped(&point.words());
            svg.raw("</title></circle>");
        }
    }

    /// Names lines at their right ends, moved apart where they would overlap.
    fn names(&self, svg: &mut Svg, lines: &[&Series]) {
        let end = |series: &Series| series.points.last().map_or(self.top, |point| self.y(point.length()));
        let mut placed: Vec<(f64, usize, &str)> =
            lines.iter().enumerate().map(|(color, series)| (end(series), color, series.label.as_str())).collect();
        placed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut least = f64::MIN;
        for (y, color, label) in placed.into_iter().filter(|(.., label)| !label.is_empty()) {
            let y = y.max(least);
            least = y + 16.0;
            svg.text(self.right + 12.0, y + 4.5, &format!("small inside f{color}"), &clip_to(label, 134.0));
        }
    }
}

/// A round step: 1, 2 or 5 times a power of ten, at least `wanted`.
pub(super) fn nice(wanted: f64) -> f64 {
    let power = 10_f64.powf(wanted.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|times| times * power).find(|step| *step >= wanted * 0.999).unwrap_or(10.0 * power)
}

pub(super) fn tick(value: f64, step: f64) -> String {
    let places = [1.0, 0.1, 0.01, 0.001].into_iter().position(|least| step >= least * 0.999).unwrap_or(4);
    number(value, places)
}

fn described(sheet: &Sheet, trends: &[Trend]) -> String {
    let mut words = String::new();
    if sheet.facts.not_private {
        words.push_str("Not private: a test dataset. ");
    }
    for trend in trends {
        for series in &trend.series {
            let points: Vec<String> = trend
                .periods
                .iter()
                .zip(&series.points)
                .map(|(day, point)| format!("{day} {}", point.words()))
                .collect();
            let _infallible = write!(words, "{} {}: {}. ", trend.counted, series.label, points.join(", "));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::nice;

    #[test]
    fn steps_are_round() {
        let steps = [0.3, 1.0, 1.2, 23.0, 480.0, 51_000.0].map(nice);
        assert_eq!(steps, [0.5, 1.0, 2.0, 50.0, 500.0, 100_000.0]);
    }
}
