//! Pictures of releases: bars and tables in the terminal, portraits as SVG.
//!
//! Everything here works on figures that were released already; nothing is decided, charged or rounded into meaning.
//! A bar's length is the displayed value (never below zero), its whisker the 95 % interval of the noise. Draws as they
//! were released are in `--json`.

mod svg;
mod table;
mod terminal;

pub use svg::portrait_svg;
pub use table::table;
pub use terminal::{Canvas, bars, fact_lines, meter};

/// One noised figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// The people to show: never below zero, made consistent with the rest of its release.
    pub people: u64,
    /// Low end of the 95 % interval of the noise, in people; may be below zero.
    pub low: f64,
    /// High end, likewise.
    pub high: f64,
}

impl Figure {
    /// Returns half the width of the interval in whole people, rounded up; 0 where it is below a quarter of a person.
    pub fn margin(self) -> u64 {
        let half = (self.high - self.low) / 2.0;
        if half <= 0.25 { 0 } else { whole(half.ceil()) }
    }

    /// Returns the ends of the interval in people, zero at least.
    pub fn interval(self) -> (f64, f64) {
        (self.low.max(0.0), self.high.max(0.0))
    }

    /// Returns the people to show, as a length.
    #[expect(clippy::cast_precision_loss, reason = "a count of people, for display")]
    pub fn length(self) -> f64 {
        self.people as f64
    }

    /// Writes `1,204 ±39`, or `1,204` where the margin rounds to nothing.
    pub fn words(self) -> String {
        match self.margin() {
            0 => grouped(self.people),
            margin => format!("{} ±{}", grouped(self.people), grouped(margin)),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
fn whole(people: f64) -> u64 {
    people as u64
}

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
}

impl Panel {
    /// Returns what a full-length bar stands for, in people; above zero.
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
    /// The small print.
    pub facts: Facts,
}

impl Portrait {
    /// Returns the people that shares refer to; 0, for no shares, where the size is too uncertain to divide by.
    fn whole(&self) -> f64 {
        let known = self.size.filter(|size| size.people > 4 * size.margin());
        known.map_or(0.0, Figure::length)
    }
}

/// Writes a whole number with `,` between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
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

/// Writes a share of a whole: `26 %`, `3.4 %`, `<0.1 %`; `None` without a whole.
pub fn share(part: f64, whole: f64) -> Option<String> {
    if whole < 0.5 {
        return None;
    }
    let percent = (100.0 * part / whole).min(100.0);
    Some(match percent {
        p if p <= 0.0 => "0 %".to_owned(),
        p if p < 0.1 => "<0.1 %".to_owned(),
        p if p < 9.95 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    })
}

#[cfg(test)]
mod tests;
