//! Rows of a whole portrait: a bar for these, a tick for the rest, the share and the index.

use super::page::Svg;
use crate::cli::chart::{Figure, ProfileRow, index_words};
use std::fmt::Write as _;

/// A band's label without its number, as short as can be.
pub(super) fn short(label: &str) -> String {
    let words = label.split_once(": ").map_or(label, |(number, words)| if number.len() == 1 { words } else { label });
    words.replace(" to below ", "–").replace(" and more", "+").replace(".00", "")
}

/// What a bar is as long as: the share where there is one to compare, or people.
pub(super) fn length(row: &ProfileRow, compared: bool) -> Figure {
    if compared { row.compared.share.unwrap_or_default() } else { row.people }
}

/// Where bars and figures go.
pub(super) struct Bars {
    pub(super) start: f64,
    pub(super) length: f64,
    pub(super) scale: f64,
    pub(super) end: f64,
}

impl Bars {
    fn at(&self, value: f64) -> f64 {
        self.start + self.length * (value / self.scale).clamp(0.0, 1.0)
    }

    pub(super) fn bar(&self, svg: &mut Svg, row: &ProfileRow, compared: bool, y: f64) {
        let figure = length(row, compared);
        let (top, middle) = (y + 2.0, y + 9.0);
        svg.raw(&format!(
            "<rect class=\"track\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"14\" rx=\"4\"/>",
            self.start, self.length
        ));
        let class = match (row.compared.differs, row.compared.index) {
            (true, Some(index)) if index.value < 100.0 => "less",
            (false, _) if compared => "same",
            _ => "f0",
        };
        let class =
            if ["not known", "none of these"].contains(&row.compared.label.as_str()) { "unknown" } else { class };
        let filled = self.at(figure.length()) - self.start;
        if filled > 0.3 {
            svg.raw(&format!(
                "<rect class=\"{class}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{filled:.1}\" height=\"14\" rx=\"{:.1}\"/>",
                self.start,
                filled.min(4.0)
            ));
        }
        let (low, high) = figure.interval();
        let (from, to) = (self.at(low), self.at(high));
        if to - from > 2.0 {
            let (up, down) = (middle - 3.0, middle + 3.0);
            svg.raw(&format!("<path class=\"whisker\" d=\"M{from:.1} {up:.1}V{down:.1}M{from:.1} {middle:.1}H{to:.1}M{to:.1} {up:.1}V{down:.1}\"/>"));
        }
        if let Some(rest) = row.compared.rest.filter(|_| compared) {
            let x = self.at(rest.length());
            svg.raw(&format!("<path class=\"tick\" d=\"M{x:.1} {:.1}V{:.1}\"/>", top - 2.5, top + 16.5));
        }
    }

    /// The share, and the index in a pill where a difference is shown.
    pub(super) fn compared(&self, svg: &mut Svg, row: &ProfileRow, y: f64) {
        let share = row.compared.share.map_or_else(|| "?".to_owned(), Figure::short);
        svg.text_end(self.end - 54.0, y + 13.5, "val num", &share);
        match row.compared.index {
            Some(index) if row.compared.differs => {
                let class = if index.value > 100.0 { "pillmore" } else { "pillless" };
                let x = self.end - 46.0;
                svg.raw(&format!(
                    "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"46\" height=\"19\" rx=\"9.5\"/>",
                    y - 0.5
                ));
                svg.text_middle(x + 23.0, y + 13.5, "val num", &format!("{:.0}", index.value));
            }
            Some(_) => svg.text_middle(self.end - 23.0, y + 13.5, "soft", "≈"),
            None => svg.text_middle(self.end - 23.0, y + 13.5, "soft", "?"),
        }
    }

    pub(super) fn plain(&self, svg: &mut Svg, row: &ProfileRow, y: f64) {
        svg.text_end(self.end - 62.0, y + 13.5, "soft small num", &row.people.short());
        let share = row.compared.share.map_or_else(String::new, Figure::short);
        svg.text_end(self.end, y + 13.5, "val num", &share);
    }
}

pub(super) fn row_words(row: &ProfileRow, compared: bool) -> String {
    let words = |share: Option<Figure>| share.map_or_else(|| "too few to tell".to_owned(), Figure::words);
    let mut text = format!("{}: {} people, {}", row.compared.label, row.people.words(), words(row.compared.share));
    if compared {
        let index = row.compared.index.map_or_else(String::new, |index| format!("index {}, ", index_words(index)));
        let _infallible =
            write!(text, " of these, {} of the rest, {index}{}", words(row.compared.rest), row.compared.verdict());
    }
    text
}
