//! Answers to questions about overlaps, bands and top values as they are drawn.

use super::{capitalized, figure, figure_of, panels, portrait};
use crate::cli::chart::{Bar, Figure, Grid, Grids, Overlap, Part, Portrait, Set, Sheet, Unit};
use proto::v1::{Cell, Estimate, Overlapped, Release, Shared, Table};

/// What the gateway calls the cell of those who are in no band or segment.
const NONE: &str = "(none)";

/// Builds an overlap. The cells of its table are combinations, the first segment being the lowest bit.
pub fn overlap(segments: &[Overlapped], release: &Release, sheet: Sheet) -> Overlap {
    let percent = |rate: &Estimate| figure_of(rate, Unit::Percent);
    let set = |Overlapped { name, people, shared }: &Overlapped| Set {
        name: name.clone(),
        people: figure_of(&people.unwrap_or_default(), Unit::Count),
        shared: shared.iter().map(|Shared { name, rate }| (name.clone(), rate.as_ref().map(percent))).collect(),
    };
    let sets: Vec<Set> = segments.iter().map(set).collect();
    let cells = release.tables.first().map(|table| table.cells.as_slice()).unwrap_or_default();
    let part = |cell: &Cell| {
        let code = cell.codes.first().copied().unwrap_or(0);
        Part { within: (0..sets.len()).map(|bit| code >> bit & 1 == 1).collect(), people: figure(cell, Unit::Count) }
    };
    let parts = cells.iter().map(part).collect();
    Overlap { sheet, sets, parts }
}

/// Builds the bars of one list of bands, with shares of all; who is in none goes last.
pub fn banded(release: &Release, title: &str) -> Portrait {
    let mut banded = portrait(release, title, release.tables.first().and_then(whole));
    for panel in &mut banded.panels {
        let (none, mut bars): (Vec<Bar>, Vec<Bar>) = panel.bars.drain(..).partition(|bar| bar.label == NONE);
        let named = |bar| Bar { label: "none of these".to_owned(), missing: true, ..bar };
        bars.extend(none.into_iter().filter(|bar| bar.figure.low > 0.0).map(named));
        panel.bars = bars;
    }
    banded
}

/// Everyone, where each is in exactly one cell: the sum, and the interval of a sum of independent draws.
fn whole(table: &Table) -> Option<Figure> {
    let sum: f64 = table.cells.iter().map(|cell| cell.value).sum();
    let cells = f64::from(u32::try_from(table.cells.len()).ok()?);
    let half = table.half_width * cells.sqrt();
    Some(Figure::count(sum, sum - half, sum + half))
}

/// Builds a grid of two lists of bands, or one for each band of a third; none for one list.
pub fn grids(release: &Release, mut sheet: Sheet) -> Option<Grids> {
    let table = release.tables.first()?;
    let lists: Vec<Vec<&String>> = (0..table.fields.len()).map(|place| labels(table, place)).collect();
    let (rows, columns, more) = match lists.as_slice() {
        [rows, columns] => (rows, columns, None),
        [rows, columns, more] => (rows, columns, Some(more)),
        _ => return None,
    };
    let at = |wanted: &[&String]| {
        let found = table.cells.iter().find(|cell| cell.labels.iter().eq(wanted.iter().copied()));
        found.map_or_else(Figure::default, |cell| figure(cell, Unit::Count))
    };
    let none = NONE.to_owned();
    let nowhere = at(&vec![&none; lists.len()]);
    if nowhere.low > 0.0 {
        sheet.notes.push(format!("In no band of any list: {}.", nowhere.words()));
    }
    // Who is in bands of some lists only, where there is somebody beyond doubt.
    let shown = |place: usize| {
        let stands_out = |cell: &Cell| {
            let figure = figure(cell, Unit::Count);
            cell.labels.iter().any(|label| *label != none) && figure.value > figure.high - figure.low
        };
        let none_is_there = table.cells.iter().any(|cell| cell.labels.get(place) == Some(&none) && stands_out(cell));
        move |label: &&&String| ***label != NONE || none_is_there
    };
    let rows: Vec<&String> = rows.iter().filter(shown(0)).copied().collect();
    let columns: Vec<&String> = columns.iter().filter(shown(1)).copied().collect();
    let cells = |last: Option<&String>| -> Vec<Vec<Figure>> {
        let cell = |row: &String, column: &String| at(&[[row, column].as_slice(), last.as_slice()].concat());
        rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect()).collect()
    };
    let title = |place: usize| capitalized(table.displays.get(place).map_or("", String::as_str));
    let grids = match more {
        None => vec![Grid { title: String::new(), cells: cells(None) }],
        Some(more) => more
            .iter()
            .filter(shown(2))
            .map(|band| Grid { title: format!("{} {band}", title(2)), cells: cells(Some(band)) })
            .collect(),
    };
    let shown_label = |label: &&String| if **label == none { "none".to_owned() } else { (*label).clone() };
    let [rows, columns] = [&rows, &columns].map(|labels| labels.iter().map(shown_label).collect::<Vec<String>>());
    let half = Figure::count(0.0, -table.half_width, table.half_width).margin();
    Some(Grids { sheet, rows: (title(0), rows), columns: (title(1), columns), grids, half })
}

/// The labels along a dimension, in code order.
fn labels(table: &Table, place: usize) -> Vec<&String> {
    let mut labels: Vec<&String> = Vec::new();
    for label in table.cells.iter().filter_map(|cell| cell.labels.get(place)) {
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    labels
}

/// Builds the bars of values that a release selected, best first.
pub fn ranked(release: &Release, title: &str) -> Portrait {
    let mut panels = panels(release);
    for panel in &mut panels {
        let place = |(place, bar): (usize, &mut Bar)| bar.label = format!("{}. {}", place + 1, bar.label);
        panel.bars.iter_mut().enumerate().for_each(place);
        panel.advice = None;
    }
    let note = "Which values are shown was drawn with noise too: near the last place, one that is not shown may be as frequent.";
    Portrait { notes: vec![note.to_owned()], panels, ..portrait(release, title, None) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn cell(labels: &[&str], codes: &[u32], people: f64) -> Cell {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Cell {
            labels,
            codes: codes.to_vec(),
            value: people,
            low: people - 20.0,
            high: people + 20.0,
            ..Cell::default()
        }
    }

    fn release(displays: &[&str], cells: Vec<Cell>) -> Release {
        let displays: Vec<String> = displays.iter().map(|words| (*words).to_owned()).collect();
        let fields = displays.iter().map(|_| "band".to_owned()).collect();
        let table = Table { fields, displays, cells, counted: "people".into(), half_width: 20.0, ..Table::default() };
        Release { tables: vec![table], ..Release::default() }
    }

    #[test]
    fn crossed_bands_are_a_grid_and_who_is_in_none_is_a_note() {
        let mut cells = Vec::new();
        for (r, row) in ["(none)", "2: lately", "1: long ago"].iter().enumerate() {
            for (c, column) in ["(none)", "2: often", "1: once"].iter().enumerate() {
                let people = if r == 0 && c == 0 {
                    400.0
                } else if r * c > 0 {
                    100.0 * (r * c) as f64
                } else {
                    9.0
                };
                cells.push(cell(&[*row, *column], &[r as u32, c as u32], people));
            }
        }
        let found = grids(&release(&["recency", "frequency"], cells), Sheet::default()).unwrap();
        assert_eq!((found.rows.0.as_str(), found.rows.1.len(), found.columns.1[1].as_str()), ("Recency", 2, "1: once"));
        assert_eq!((found.grids.len(), found.grids[0].cells[1][1].value, found.half), (1, 400.0, 20));
        assert_eq!(found.sheet.notes, ["In no band of any list: 400 ±20."]);
        assert!(grids(&release(&["band"], vec![cell(&["(none)"], &[0], 3.0)]), Sheet::default()).is_none());
    }

    #[test]
    fn one_list_is_bars_with_who_is_in_none_last() {
        let cells = vec![cell(&["(none)"], &[0], 300.0), cell(&["loyal"], &[1], 500.0), cell(&["new"], &[2], 200.0)];
        let found = banded(&release(&["band"], cells), "All");
        let labels: Vec<&str> = found.panels[0].bars.iter().map(|bar| bar.label.as_str()).collect();
        assert_eq!(
            (labels, found.size.unwrap().words()),
            (vec!["loyal", "new", "none of these"], "1,000 ±35".to_owned())
        );
    }

    #[test]
    fn parts_of_an_overlap_know_which_segments_they_are_in() {
        let cells = ["(none)", "tea", "honey", "tea + honey"];
        let cells =
            cells.iter().zip(0..).map(|(label, code)| cell(&[label], &[code], 10.0 * f64::from(code))).collect();
        let named = |name: &str| Overlapped { name: name.into(), ..Overlapped::default() };
        let found = overlap(&[named("tea"), named("honey")], &release(&["in which"], cells), Sheet::default());
        assert_eq!(found.parts[2].within, [false, true]);
        assert_eq!((found.parts[3].within.as_slice(), found.parts[3].people.value), ([true, true].as_slice(), 30.0));
    }

    #[test]
    fn top_values_have_places() {
        let cells = vec![cell(&["tea"], &[3], 500.0), cell(&["wool"], &[1], 200.0)];
        let labels: Vec<String> = ranked(&release(&["bought"], cells), "All")
            .panels
            .remove(0)
            .bars
            .into_iter()
            .map(|bar| bar.label)
            .collect();
        assert_eq!(labels, ["1. tea", "2. wool"]);
    }
}
