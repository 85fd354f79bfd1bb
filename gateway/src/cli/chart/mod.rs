//! Pictures of releases: bars and tables in the terminal, slides as SVG.
//!
//! Everything here works on figures that were released already; nothing is decided, charged or rounded into meaning.
//! A bar's length is the displayed value (never below zero), its whisker the 95 % interval of the noise. Draws as they
//! were released are in `--json`.

mod figure;
mod groups;
mod kinds;
mod profile;
mod svg;
mod table;
mod terminal;

pub use figure::{Figure, Unit, grouped, number, share};
pub use groups::{Average, Distribution, Grid, Grids, Overlap, Part, QuantileAt, Set};
pub use kinds::{Cohort, Contrast, Contrasted, Funnel, Retention, Series, Sheet, Stage, Trend};
pub use profile::{Of, Profile, ProfilePanel, ProfileRow};
pub use svg::{
    average_svg, bars_svg, contrast_svg, distribution_svg, funnel_svg, grids_svg, overlap_svg, portrait_svg,
    profile_svg, retention_svg, trend_svg,
};
pub use table::table;
pub use terminal::{
    Canvas, bars, contrast, fact_lines, funnel, grids, heading, index_words, meter, overlap, panels, profile, retention,
};

/// One labelled figure of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// The value's public label; for a cross of two fields both, joined.
    pub label: String,
    /// How many people.
    pub figure: Figure,
    /// Whether it stands for "not known".
    pub missing: bool,
}

/// The figures of one field.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// The field in a person's words.
    pub title: String,
    /// Its bars, in the order of the domain.
    pub bars: Vec<Bar>,
    /// Whether one person can be in several bars: then they don't add up to the size.
    pub overlapping: bool,
    /// What would make it readable, where it is not.
    pub advice: Option<String>,
}

impl Panel {
    /// Returns what a full-length bar stands for; above zero.
    pub fn scale(&self) -> f64 {
        self.bars.iter().map(|bar| bar.figure.interval().1.max(bar.figure.length())).fold(1.0, f64::max)
    }
}

/// What is printed under a picture: how sure it is and what it cost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The dataset in a person's words.
    pub dataset: String,
    /// Number of the epoch, and the day it ended.
    pub epoch: String,
    /// The purpose it was released for.
    pub purpose: String,
    /// Name of the release.
    pub release: String,
    /// What it cost, in words: `2.5 % of this quarter's budget`, or that it was free.
    pub price: String,
    /// What is left, in words.
    pub left: String,
    /// What is left of the quarter's budget, in thousandths, for a gauge.
    pub left_permille: Option<u16>,
    /// Whether its dataset is a test dataset: then nothing protects anyone.
    pub not_private: bool,
}

/// A portrait as it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Portrait {
    /// Who, in a person's words.
    pub title: String,
    /// The segment's expression.
    pub expression: String,
    /// How many people, if it was released.
    pub size: Option<Figure>,
    /// One panel a field.
    pub panels: Vec<Panel>,
    /// What follows from the figures, in words, a line each.
    pub notes: Vec<String>,
    /// The small print.
    pub facts: Facts,
}

impl Portrait {
    /// Returns the people that shares refer to; 0, for no shares, where the size is too uncertain to divide by.
    fn whole(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a margin in people, for display")]
        let known = self.size.filter(|size| size.value > 4.0 * size.margin() as f64);
        known.map_or(0.0, Figure::length)
    }
}

/// Breaks text at spaces into lines of at most `width` cells; a longer word has a line of its own.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if console::measure_text_width(line) + 1 + console::measure_text_width(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
