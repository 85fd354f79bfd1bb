//! Overlaps, grids of bands, means and histograms as they are drawn.

use super::{Bar, Figure, Sheet, number};

/// One of several segments.
#[derive(Debug, Clone, PartialEq)]
pub struct Set {
    /// What it is called.
    pub name: String,
    /// How many are in it, whatever else they are in.
    pub people: Figure,
    /// Which part of them is in each of the others, in per cent; none where noise is all there is.
    pub shared: Vec<(String, Option<Figure>)>,
}

/// Those who are in some segments and in no other.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Whether they are in each segment.
    pub within: Vec<bool>,
    /// How many.
    pub people: Figure,
}

/// Which of several segments people are in at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Overlap {
    /// What it says about itself.
    pub sheet: Sheet,
    /// The segments.
    pub sets: Vec<Set>,
    /// Every combination of them, the first being those in none.
    pub parts: Vec<Part>,
}

impl Overlap {
    /// Returns the combinations that are in some segment, the largest first, and last those in none.
    pub fn ordered(&self) -> Vec<&Part> {
        let mut parts: Vec<&Part> = self.parts.iter().collect();
        let is_none = |part: &Part| !part.within.contains(&true);
        parts.sort_by(|a, b| is_none(a).cmp(&is_none(b)).then(b.people.length().total_cmp(&a.people.length())));
        parts
    }
}

/// People by two lists of bands.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Which band of a third list they are in; empty if there is none.
    pub title: String,
    /// Row by row.
    pub cells: Vec<Vec<Figure>>,
}

/// Grids over the same bands.
#[derive(Debug, Clone, PartialEq)]
pub struct Grids {
    /// What they say about themselves.
    pub sheet: Sheet,
    /// What rows are of, and their bands.
    pub rows: (String, Vec<String>),
    /// What columns are of, and their bands.
    pub columns: (String, Vec<String>),
    /// One, or one for each band of a third list.
    pub grids: Vec<Grid>,
    /// Half the width of every cell's interval, in people.
    pub half: u64,
}

/// A mean and what is around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Average {
    /// What it says about itself.
    pub sheet: Sheet,
    /// The number it is of.
    pub field: String,
    /// How many have one.
    pub people: Option<Figure>,
    /// The mean; none where there are too few to tell.
    pub mean: Option<Figure>,
    /// The standard deviation, if it was asked for; likewise.
    pub deviation: Option<Figure>,
}

/// Where a quantile lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileAt {
    /// Which, in thousandths.
    pub permille: u32,
    /// It is at least this; none below the first edge.
    pub low: Option<f64>,
    /// It is below this; none above the last edge.
    pub high: Option<f64>,
}

impl QuantileAt {
    /// Names it: `median`, `25 %`.
    pub fn name(self) -> String {
        match (self.permille, self.permille % 10) {
            (500, _) => "median".to_owned(),
            (permille, 0) => format!("{} %", permille / 10),
            (permille, tenth) => format!("{}.{tenth} %", permille / 10),
        }
    }

    /// Says where it lies: `30 to below 35`.
    pub fn words(self) -> String {
        let show = |edge: f64| number(edge, if edge.fract().abs() < 1e-9 { 0 } else { 2 });
        match (self.low, self.high) {
            (None, None) => "anywhere".to_owned(),
            (None, Some(high)) => format!("below {}", show(high)),
            (Some(low), Some(high)) => format!("{} to below {}", show(low), show(high)),
            (Some(low), None) => format!("{} and more", show(low)),
        }
    }
}

/// A histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// What it says about itself.
    pub sheet: Sheet,
    /// The number in a person's words.
    pub title: String,
    /// Its bins, ascending: one below the first edge, and one from each edge on.
    pub bins: Vec<Bar>,
    /// The edges as they were asked for.
    pub edges: Vec<String>,
    /// Quantiles; none where noise is all there is.
    pub quantiles: Vec<QuantileAt>,
}

impl Distribution {
    /// Says where each quantile lies, a line each.
    pub fn quantile_lines(&self) -> Vec<String> {
        if self.quantiles.is_empty() {
            return vec!["Too few people to tell quantiles.".to_owned()];
        }
        let below = |quantile: &QuantileAt| match quantile.permille {
            500 => format!("median: {}", quantile.words()),
            _ => format!("{} are below: {}", quantile.name(), quantile.words()),
        };
        self.quantiles.iter().map(below).collect()
    }
}
