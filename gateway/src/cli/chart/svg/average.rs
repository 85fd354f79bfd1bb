//! A mean as a picture: a dot with its interval, and the standard deviation around it.

use super::page::{HEADER, MARGIN, PADDING, Page, Svg, WIDTH, clip_to, count, page};
use super::trend::{nice, tick};
use crate::cli::chart::{Average, Figure};

const HEIGHT: f64 = 236.0;
/// Where the line of numbers is, from the top of the card.
const LINE: f64 = 166.0;

/// Draws a mean. The result is a whole SVG document.
pub fn average_svg(average: &Average) -> String {
    let headline = average.mean.map(|mean| (mean.value_words(), format!("on average, {}", mean.between())));
    let about = Page {
        kind: "Mean",
        title: &average.sheet.title,
        expression: &average.sheet.expression,
        headline: headline.as_ref().map(|(figure, words)| (figure.as_str(), words.as_str())),
        marks: "Whiskers and what is between two ends",
        notes: &average.sheet.notes,
        facts: &average.sheet.facts,
        described: &described(average),
    };
    page(&about, HEADER + HEIGHT, |svg| {
        let width = WIDTH - 2.0 * MARGIN;
        svg.raw(&format!(
            "<rect class=\"card\" x=\"{MARGIN}\" y=\"{HEADER}\" width=\"{width}\" height=\"{HEIGHT}\" rx=\"14\"/>"
        ));
        let title = format!("{} among {} who have one", average.field, people(average));
        svg.text(MARGIN + PADDING, HEADER + 33.0, "head", &clip_to(&title, width - 2.0 * PADDING));
        match average.mean {
            None => svg.text(MARGIN + PADDING, HEADER + LINE - 40.0, "advice", "Too few people to tell the mean."),
            Some(mean) => draw(svg, mean, average.deviation),
        }
    })
}

fn draw(svg: &mut Svg, mean: Figure, deviation: Option<Figure>) {
    let (left, right, y) = (MARGIN + PADDING + 30.0, WIDTH - MARGIN - PADDING - 30.0, HEADER + LINE);
    let reach = deviation.map_or(0.0, |deviation| 1.5 * deviation.value);
    let half = (1.6 * (mean.high - mean.value)).max(1.6 * (mean.value - mean.low)).max(reach).max(1e-9);
    let step = nice(half / 4.0);
    let (low, high) = (((mean.value - half) / step).floor() * step, ((mean.value + half) / step).ceil() * step);
    let at = |value: f64| left + (right - left) * ((value - low) / (high - low)).clamp(0.0, 1.0);
    if let Some(deviation) = deviation {
        let (from, to) = (at(mean.value - deviation.value), at(mean.value + deviation.value));
        svg.raw(&format!(
            "<rect class=\"flow\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"60\" rx=\"6\"/>",
            y - 60.0,
            to - from
        ));
        let words = format!("one standard deviation either way: {}, {}", deviation.value_words(), deviation.between());
        svg.text_middle(at(mean.value), y - 78.0, "small num", &words);
    }
    svg.raw(&format!("<path class=\"axis\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>"));
    let mut nth = 0;
    while low + count(nth) * step <= high + step / 2.0 {
        let value = low + count(nth) * step;
        let x = at(value);
        svg.raw(&format!("<path class=\"axis\" d=\"M{x:.1} {y:.1}v6\"/>"));
        svg.text_middle(x, y + 24.0, "soft small num", &tick(value, step));
        nth += 1;
    }
    let (from, middle, to, line) = (at(mean.low), at(mean.value), at(mean.high), y - 30.0);
    svg.raw(&format!(
        "<path class=\"whisker\" d=\"M{from:.1} {:.1}v16M{from:.1} {line:.1}H{to:.1}M{to:.1} {:.1}v16\"/>",
        line - 8.0,
        line - 8.0
    ));
    svg.raw("<g>");
    svg.element("title", &format!("mean: {}", mean.with_ends()));
    svg.raw(&format!("<circle class=\"f0\" cx=\"{middle:.1}\" cy=\"{line:.1}\" r=\"8\"/></g>"));
}

fn people(average: &Average) -> String {
    average.people.map_or_else(|| "those".to_owned(), |people| format!("{} people", people.words()))
}

fn described(average: &Average) -> String {
    let words = |what: &str, figure: Option<Figure>| {
        figure.map_or_else(
            || format!("too few to tell the {what}. "),
            |figure| format!("{what} {}. ", figure.with_ends()),
        )
    };
    let stamp = if average.sheet.facts.not_private { "Not private: a test dataset. " } else { "" };
    let deviation = average.deviation.map_or_else(String::new, |_| words("standard deviation", average.deviation));
    format!("{stamp}{} of {}: {}{deviation}", average.field, people(average), words("mean", average.mean))
}
