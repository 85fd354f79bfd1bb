//! Answers to questions about numbers as they are drawn.

use super::{capitalized, figure_of, single};
use crate::cli::chart::{Average, Distribution, Panel, QuantileAt, Sheet, Unit};
use proto::v1::{Estimate, Quantile, Release};

/// Builds a mean from the estimates of it and of the standard deviation.
pub fn average(estimates: [Option<Estimate>; 2], release: &Release, sheet: Sheet, field: &str) -> Average {
    let [mean, deviation] = estimates.map(|one| one.as_ref().map(|one| figure_of(one, Unit::Signed)));
    Average { sheet, field: field.to_owned(), people: release.tables.first().and_then(single), mean, deviation }
}

/// Builds a histogram from the bars of its bins.
pub fn distribution(panels: &[Panel], edges: &[String], quantiles: &[Quantile], mut sheet: Sheet) -> Distribution {
    let (title, bars) =
        panels.first().map_or((String::new(), Vec::new()), |panel| (panel.title.clone(), panel.bars.clone()));
    let (missing, bins): (Vec<_>, Vec<_>) = bars.into_iter().partition(|bar| bar.missing);
    sheet.notes.extend(missing.iter().map(|bar| format!("Not known of {} people.", bar.figure.words())));
    let at = |quantile: &Quantile| QuantileAt { permille: quantile.permille, low: quantile.low, high: quantile.high };
    Distribution {
        sheet,
        title: capitalized(&title),
        bins,
        edges: edges.to_vec(),
        quantiles: quantiles.iter().map(at).collect(),
    }
}
