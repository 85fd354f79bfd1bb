//! What to ask instead where there are too few people for a table: from released numbers and prices only.

use crate::cli::chart::{Bar, grouped};
use crate::insight::advice::{Noise, Unreadable, unreadable};
use policy::privacy::NanoRho;
use proto::v1::{Release, Table};

/// Says what would make a table of people readable, unless it is: a coarser question, or a price that is left. `words` says
/// what the table is over.
pub fn advice(words: &str, bars: &[Bar], table: &Table, release: &Release) -> Option<String> {
    if table.counted != "people" || bars.len() < 2 {
        return None;
    }
    let people: f64 = bars.iter().map(|bar| bar.figure.length()).sum();
    let rho: NanoRho = release.rho.parse().ok()?;
    let left = release.budget.as_ref().and_then(|budget| budget.left.parse::<NanoRho>().ok());
    let noise = Noise { sigma: release.sigma, half_width: release.half_width, rho, left };
    let Unreadable { most, price } = unreadable(people, bars.len(), &noise)?;
    let coarser = match most {
        0 | 1 => "ask only how many they are".to_owned(),
        most => format!("ask for at most {}", grouped(most)),
    };
    let price = price.map_or_else(String::new, |price| format!(", or pay rho {price}"));
    Some(format!("Too few people for {} values of {words}: {coarser}{price}, or widen the segment.", bars.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::chart::Figure;
    use proto::v1::Budget;

    /// A table of so many cells of so many people at the default price of a breakdown.
    fn advised(cells: usize, people: f64, left: &str) -> Option<String> {
        let bar = || Bar {
            label: String::new(),
            figure: Figure::count(people, people - 31.0, people + 31.0),
            missing: false,
        };
        let bars: Vec<Bar> = (0..cells).map(|_| bar()).collect();
        let release = Release {
            rho: "0.002".into(),
            sigma: 15.9,
            half_width: 31.0,
            budget: Some(Budget { left: left.into(), ..Budget::default() }),
            ..Release::default()
        };
        advice("age", &bars, &Table { counted: "people".into(), ..Table::default() }, &release)
    }

    #[test]
    fn a_small_shop_is_told_what_to_ask_instead() {
        let words = advised(12, 42.0, "0.1");
        let expected = "Too few people for 12 values of age: ask for at most 4, or pay rho 0.02, or widen the segment.";
        assert_eq!(words.as_deref(), Some(expected));
        let words = advised(12, 42.0, "0.01").unwrap_or_default();
        assert!(!words.contains("rho"), "a price that is not left is no advice: {words}");
        let words = advised(2, 60.0, "0.1").unwrap_or_default();
        assert!(words.contains("ask only how many they are, or pay rho 0.0092"), "{words}");
    }

    #[test]
    fn what_can_be_read_needs_no_advice() {
        assert_eq!(advised(12, 130.0, "0.1"), None);
        assert_eq!(advised(1, 3.0, "0.1"), None, "a size is what it is");
    }
}
