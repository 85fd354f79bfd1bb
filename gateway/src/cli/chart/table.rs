//! Tables for the terminal: a header line, columns aligned, no boxes.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// Lays rows out under a header. Columns whose every cell is a figure are aligned to the right. `width` is in
/// terminal cells; long cells wrap.
pub fn table(header: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX))
        .set_header(header.iter().map(|title| title.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if !rows.is_empty() && rows.iter().all(|row| row.get(at).is_some_and(|cell| is_figure(cell))) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn is_figure(cell: &str) -> bool {
    let cell =
        ["fewer than ", "less than ", "under "].iter().find_map(|words| cell.strip_prefix(words)).unwrap_or(cell);
    cell.starts_with(|c: char| c.is_ascii_digit() || "±<-?".contains(c))
        && cell.chars().all(|c| c.is_ascii_digit() || "±<-,.%() e?".contains(c))
}
