//! Cards of a whole portrait over time: columns for hours and weekdays, a line with its band for a trend.

use super::page::{Svg, count};
use super::profile::{CARD, Card, PADDING, TOP};
use super::trend::{nice, tick};
use crate::cli::chart::{Figure, Of, ProfileRow};

/// Height of the figures of a card.
pub(super) const HEIGHT: f64 = 172.0;
const PLOT: f64 = 138.0;

/// Draws columns of shares, and those of the rest as steps.
pub(super) fn columns(svg: &mut Svg, card: &Card<'_>) {
    let rows = &card.panel.rows;
    let share = |row: &ProfileRow| row.compared.share.unwrap_or_default();
    let highest = rows.iter().map(|row| share(row).interval().1);
    let rests = rows.iter().filter_map(|row| row.compared.rest).map(|rest| rest.length());
    let scale = highest.chain(rests).fold(f64::MIN_POSITIVE, f64::max);
    let (left, width) = (card.x + PADDING, CARD - 2.0 * PADDING);
    let (step, base) = (width / count(rows.len().max(1)), card.y + TOP + PLOT);
    let y = |value: f64| base - PLOT * (value / scale).clamp(0.0, 1.0);
    for (nth, row) in rows.iter().enumerate() {
        let (x, figure) = (left + step * count(nth), share(row));
        svg.raw("<g>");
        svg.element("title", &format!("{}: {}", row.compared.label, figure.words()));
        column(svg, figure, (x + step * 0.12, step * 0.76), y(figure.length()), base);
        let (low, high) = figure.interval();
        let middle = x + step / 2.0;
        svg.raw(&format!("<path class=\"whisker\" d=\"M{middle:.1} {:.1}V{:.1}\"/>", y(low), y(high)));
        svg.raw("</g>");
        if let Some(label) = label(card.panel.of, nth, &row.compared.label) {
            svg.text_middle(middle, base + 18.0, "soft small num", &label);
        }
    }
    svg.raw(&format!("<path class=\"axis\" d=\"M{left:.1} {base:.1}H{:.1}\"/>", left + width));
    let rest = |(nth, row): (usize, &ProfileRow)| {
        let x = left + step * count(nth);
        row.compared.rest.map(|rest| format!("{x:.1} {:.1}L{:.1} {:.1}", y(rest.length()), x + step, y(rest.length())))
    };
    let steps: Vec<String> = rows.iter().enumerate().filter_map(rest).collect();
    if !steps.is_empty() {
        svg.raw(&format!("<path class=\"step\" d=\"M{}\"/>", steps.join("L")));
    }
}

fn column(svg: &mut Svg, figure: Figure, (x, width): (f64, f64), top: f64, base: f64) {
    let class = if figure.may_be_nothing() { "unknown" } else { "f0" };
    let height = base - top;
    if height > 0.3 {
        svg.raw(&format!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\"/>"
        ));
    }
}

fn label(of: Of, nth: usize, label: &str) -> Option<String> {
    match of {
        Of::Hours => nth.is_multiple_of(3).then(|| format!("{nth} h")),
        _ => Some(label.chars().take(3).collect()),
    }
}

/// Draws people over periods, with the band of their intervals.
pub(super) fn line(svg: &mut Svg, card: &Card<'_>) {
    let rows = &card.panel.rows;
    let high = rows.iter().map(|row| row.people.interval().1).fold(1.0, f64::max);
    let step = nice(high / 3.0);
    let high = (high / step).ceil() * step;
    let (left, right) = (card.x + PADDING + 44.0, card.x + CARD - PADDING - 16.0);
    let x = |nth: usize| left + (right - left) * count(nth) / count(rows.len().saturating_sub(1).max(1));
    let y = |value: f64| card.y + TOP + PLOT * (1.0 - value / high);
    let mut value = 0.0;
    while value <= high + step / 2.0 {
        let class = if value == 0.0 { "axis" } else { "grid" };
        svg.raw(&format!("<path class=\"{class}\" d=\"M{left:.1} {:.1}H{right:.1}\"/>", y(value)));
        svg.text_end(left - 8.0, y(value) + 4.5, "soft small num", &tick(value, step));
        value += step;
    }
    let at = |nth: usize, value: f64| format!("{:.1} {:.1}", x(nth), y(value));
    let ends: Vec<(f64, f64)> = rows.iter().map(|row| row.people.interval()).collect();
    let upper = ends.iter().enumerate().map(|(nth, (_, high))| at(nth, *high));
    let lower = ends.iter().enumerate().rev().map(|(nth, (low, _))| at(nth, *low));
    let band: Vec<String> = upper.chain(lower).collect();
    svg.raw(&format!("<path class=\"band f0\" d=\"M{}Z\"/>", band.join("L")));
    let line: Vec<String> = rows.iter().enumerate().map(|(nth, row)| at(nth, row.people.length())).collect();
    svg.raw(&format!("<path class=\"line s0\" d=\"M{}\"/>", line.join("L")));
    for (nth, row) in rows.iter().enumerate() {
        let (x, y) = (x(nth), y(row.people.length()));
        svg.raw(&format!("<circle class=\"f0\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.2\"><title>"));
        svg.escaped(&format!("{}: {}", row.compared.label, row.people.words()));
        svg.raw("</title></circle>");
    }
    let last = rows.len().saturating_sub(1);
    for nth in [0, last] {
        let day = rows.get(nth).map_or("", |row| row.compared.label.as_str());
        let below = card.y + TOP + PLOT + 18.0;
        match nth {
            _ if nth == last => svg.text_end(right + 16.0, below, "soft small num", day),
            0 => svg.text(left - 20.0, below, "soft small num", day),
            _ => {}
        }
    }
}
