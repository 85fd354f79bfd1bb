//! A retention as a picture: a heat map, a row for each cohort, a column for each period after its first.

use super::page::{HEADER, MARGIN, PADDING, Page, Svg, WIDTH, count, page};
use crate::cli::chart::{Cohort, Figure, Retention};
use std::fmt::Write as _;

const TOP: f64 = 66.0;
const BOTTOM: f64 = 54.0;
const LABELS: f64 = 218.0;
/// Cells narrower than this carry no text, and those narrower than `WIDE` no interval.
const NARROW: f64 = 34.0;
const WIDE: f64 = 52.0;

/// Draws a retention matrix. The result is a whole SVG document.
pub fn retention_svg(retention: &Retention) -> String {
    let layout = Layout::of(retention);
    let height = TOP + count(retention.cohorts.len()) * layout.row + BOTTOM;
    let about = Page {
        kind: "Retention",
        title: &retention.sheet.title,
        expression: &retention.sheet.expression,
        headline: None,
        marks: "Behind a ±",
        notes: &retention.sheet.notes,
        facts: &retention.sheet.facts,
        described: &described(retention),
    };
    page(&about, HEADER + height, |svg| {
        let width = WIDTH - 2.0 * MARGIN;
        svg.raw(&format!(
            "<rect class=\"card\" x=\"{MARGIN}\" y=\"{HEADER}\" width=\"{width}\" height=\"{height:.1}\" rx=\"14\"/>"
        ));
        layout.heads(svg, retention);
        for (place, cohort) in retention.cohorts.iter().enumerate() {
            layout.cohort(svg, cohort, HEADER + TOP + count(place) * layout.row);
        }
        layout.legend(svg, HEADER + height - 22.0);
    })
}

struct Layout {
    cell: f64,
    row: f64,
    /// The rate that is darkest, in per cent.
    darkest: f64,
}

impl Layout {
    fn of(retention: &Retention) -> Self {
        let cell = (WIDTH - 2.0 * (MARGIN + PADDING) - LABELS) / count(retention.periods().max(1));
        let rates = retention.cohorts.iter().flat_map(|cohort| cohort.rates.iter().flatten());
        let darkest = rates.filter(|rate| !rate.may_be_nothing()).map(|rate| rate.value).fold(1.0, f64::max);
        let row = if cell >= WIDE { 40.0 } else { 30.0 };
        Self { cell: cell.min(110.0), row, darkest }
    }

    fn x(&self, after: usize) -> f64 {
        MARGIN + PADDING + LABELS + self.cell * count(after)
    }

    fn heads(&self, svg: &mut Svg, retention: &Retention) {
        let y = HEADER + TOP - 14.0;
        svg.text(MARGIN + PADDING, y, "soft small", &format!("first {}", retention.period));
        svg.text_end(self.x(0) - 14.0, y, "soft small", "people");
        svg.text(
            self.x(0),
            y - 22.0,
            "soft small",
            &format!("per cent of them who came back so many {}s later", retention.period),
        );
        let every = (24.0 / self.cell).ceil().max(1.0);
        for after in 0..retention.periods() {
            if count(after) % every == 0.0 {
                svg.text_middle(self.x(after) + self.cell / 2.0, y, "soft small num", &format!("+{}", after + 1));
            }
        }
    }

    fn cohort(&self, svg: &mut Svg, cohort: &Cohort, y: f64) {
        let middle = y + self.row / 2.0 + 4.5;
        svg.text(MARGIN + PADDING, middle, "num", &cohort.from);
        svg.text_end(self.x(0) - 14.0, middle, "num", &cohort.people.words());
        for (after, rate) in cohort.rates.iter().enumerate() {
            self.square(svg, cohort, after, *rate, y);
        }
    }

    fn square(&self, svg: &mut Svg, cohort: &Cohort, after: usize, rate: Option<Figure>, y: f64) {
        let (x, middle) = (self.x(after), self.x(after) + self.cell / 2.0);
        let known = rate.filter(|rate| !rate.may_be_nothing());
        let depth = known.map_or(0.0, |rate| 0.08 + 0.92 * (rate.value / self.darkest).clamp(0.0, 1.0));
        let (width, height) = (self.cell - 2.0, self.row - 2.0);
        svg.raw("<g>");
        let words = rate.map_or_else(|| "too few to tell".to_owned(), Figure::words);
        svg.element("title", &format!("{} +{}: {words}", cohort.from, after + 1));
        svg.raw(&format!(
            "<rect class=\"track\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"4\"/>"
        ));
        if known.is_some() {
            svg.raw(&format!("<rect class=\"heat\" opacity=\"{depth:.2}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"4\"/>"));
        }
        if self.cell >= NARROW {
            let ink = if depth > 0.62 {
                "onheat num"
            } else if known.is_some() {
                "share num"
            } else {
                "soft small num"
            };
            let text = rate.map_or("?".to_owned(), |rate| rate.short().replace(' ', ""));
            let margin = known.filter(|_| self.cell >= WIDE);
            svg.text_middle(middle, y + self.row / 2.0 + if margin.is_some() { -1.0 } else { 3.5 }, ink, &text);
            if let Some(rate) = margin {
                let ink = if depth > 0.62 { "onheat tiny num" } else { "tiny num" };
                let half = ((rate.high - rate.low) / 2.0).ceil();
                svg.text_middle(middle, y + self.row / 2.0 + 12.5, ink, &format!("±{half:.0}"));
            }
        }
        svg.raw("</g>");
    }

    fn legend(&self, svg: &mut Svg, y: f64) {
        let x = MARGIN + PADDING;
        for (step, place) in [0.1_f64, 0.3, 0.5, 0.7, 0.9].into_iter().zip([0.0_f64, 22.0, 44.0, 66.0, 88.0]) {
            svg.raw(&format!(
                "<rect class=\"heat\" opacity=\"{step}\" x=\"{:.1}\" y=\"{:.1}\" width=\"20\" height=\"10\" rx=\"2\"/>",
                x + place,
                y - 9.0
            ));
        }
        let words = format!("0 to {:.0} %; <N: there may be nobody; ?: too few to tell", self.darkest);
        svg.text(x + 120.0, y, "soft small", &words);
    }
}

fn described(retention: &Retention) -> String {
    let mut words = String::new();
    if retention.sheet.facts.not_private {
        words.push_str("Not private: a test dataset. ");
    }
    for cohort in &retention.cohorts {
        let rates = cohort.rates.iter().map(|rate| rate.map_or_else(|| "too few to tell".to_owned(), Figure::words));
        let rates: Vec<String> = rates.collect();
        let _infallible = write!(words, "{}, {}: {}. ", cohort.from, cohort.people.words(), rates.join(", "));
    }
    words
}
