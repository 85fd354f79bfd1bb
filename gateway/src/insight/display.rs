//! Post-processing for display, free of charge: what a person reads is never negative, and all marginals of attributes of
//! one portrait add up to one total. What was released stays beside it, unchanged.

use policy::schema::FieldRef;
use vault::release::Table;

/// Returns the people to display, for each table and cell, and one total for all tables over attributes.
///
/// Each subject lies in exactly one cell of a table over attributes (a missing value is a cell too), so each such table's
/// sum is an estimate of the same total with a variance of its number of cells. The total is their average weighted by
/// the inverse of the variance; what a table's sum is off is spread evenly over its cells. Tables with event fields are
/// left as they are: a subject may lie in many cells, or in none.
pub fn consistent(tables: &[Table]) -> (Vec<Vec<u64>>, u64) {
    let total = total(tables);
    let people = tables.iter().map(|table| {
        let shift = if over_attributes(table) { total.map_or(0.0, |total| share(table, total)) } else { 0.0 };
        table.cells.iter().map(|cell| people(in_people(cell.noised) + shift)).collect()
    });
    (people.collect(), total.map_or(0, people_in_total))
}

fn people_in_total(total: f64) -> u64 {
    people(total)
}

fn over_attributes(table: &Table) -> bool {
    table.by.iter().all(|field| matches!(field, FieldRef::Attribute(_)))
}

fn total(tables: &[Table]) -> Option<f64> {
    let (mut weighted, mut weights) = (0.0, 0.0);
    for table in tables.iter().filter(|table| over_attributes(table) && !table.cells.is_empty()) {
        let weight = 1.0 / count(table);
        weighted += weight * sum(table);
        weights += weight;
    }
    (weights > 0.0).then(|| weighted / weights)
}

fn share(table: &Table, total: f64) -> f64 {
    if table.cells.is_empty() { 0.0 } else { (total - sum(table)) / count(table) }
}

fn sum(table: &Table) -> f64 {
    table.cells.iter().map(|cell| in_people(cell.noised)).sum()
}

#[expect(clippy::cast_precision_loss, reason = "a table has a few thousand cells")]
fn count(table: &Table) -> f64 {
    table.cells.len() as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts of people times 1024 are far below 2^53")]
fn in_people(noised: i64) -> f64 {
    noised as f64 / 1024.0
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "negative and oversized values saturate")]
fn people(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use policy::schema::{ColumnId, EventTypeId};
    use vault::release::Cell;

    fn table(by: FieldRef, people: &[i64]) -> Table {
        let cells = people.iter().enumerate();
        let cells =
            cells.map(|(code, people)| Cell { codes: vec![u16::try_from(code).unwrap_or(0)], noised: people * 1024 });
        Table { by: vec![by], cells: cells.collect() }
    }

    #[test]
    fn marginals_agree_on_one_total_and_nothing_is_negative() {
        let attribute = |n| FieldRef::Attribute(ColumnId(n));
        let event = FieldRef::EventField(EventTypeId(0), ColumnId(0));
        let tables = [table(attribute(0), &[100, 106]), table(attribute(1), &[50, 60, 70, 20]), table(event, &[-5, 9])];
        let (people, total) = consistent(&tables);
        assert_eq!(total, 204, "two thirds of 206 and one third of 200");
        assert_eq!(people[0].iter().sum::<u64>(), total);
        assert_eq!(people[1].iter().sum::<u64>(), total);
        assert_eq!(people[2], [0, 9]);
    }
}
