//! Overlaps and grids of bands in the terminal.

use super::kinds::{heading, indented};
use super::{Canvas, style};
use crate::cli::chart::{Figure, Grid, Grids, Overlap, Set, table};

/// Says how many are in each segment, and which part of them is in each of the others.
pub fn overlap(overlap: &Overlap, canvas: Canvas) -> String {
    let rate = |of: &Set, name: &String| {
        let shared = of.shared.iter().find(|(with, _)| with == name);
        shared.map_or_else(String::new, |(_, rate)| rate.map_or_else(|| "?".to_owned(), Figure::words))
    };
    let row = |set: &Set| {
        let mut row = vec![set.name.clone(), set.people.words()];
        row.extend(overlap.sets.iter().map(|other| rate(set, &other.name)));
        row
    };
    let rows: Vec<Vec<String>> = overlap.sets.iter().map(row).collect();
    let also: Vec<String> = overlap.sets.iter().map(|set| format!("also in {}", set.name)).collect();
    let header: Vec<&str> = ["segment", "people"].into_iter().chain(also.iter().map(String::as_str)).collect();
    if overlap.sets.len() < 2 {
        return String::new();
    }
    format!("\n{}", indented(&table(&header, &rows, canvas.width.saturating_sub(2))))
}

/// Draws grids, a table each.
pub fn grids(grids: &Grids, canvas: Canvas) -> String {
    let mut out = heading(&grids.sheet, canvas);
    for grid in &grids.grids {
        out.push('\n');
        if !grid.title.is_empty() {
            out.push_str(&format!("  {}\n", style(canvas).bold().apply_to(&grid.title)));
        }
        out.push_str(&indented(&one(grids, grid, canvas)));
    }
    let exact = if grids.half == 0 { String::new() } else { format!(" ±{} in every cell (95 %);", grids.half) };
    let note = format!("people, {} by {};{exact} <N: there may be nobody", grids.rows.0, grids.columns.0);
    out.push_str(&format!("\n  {}\n", style(canvas).dim().apply_to(note)));
    out
}

fn one(grids: &Grids, grid: &Grid, canvas: Canvas) -> String {
    let row = |(name, cells): (&String, &Vec<Figure>)| {
        std::iter::once(name.clone()).chain(cells.iter().map(|cell| cell.short())).collect()
    };
    let rows: Vec<Vec<String>> = grids.rows.1.iter().zip(&grid.cells).map(row).collect();
    let header: Vec<&str> = std::iter::once("").chain(grids.columns.1.iter().map(String::as_str)).collect();
    table(&header, &rows, canvas.width.saturating_sub(2))
}
