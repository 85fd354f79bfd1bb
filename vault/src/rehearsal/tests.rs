//! What rehearsals answer.

use super::*;

/// All noise below, with certainty for practical purposes: at rho 0.01 a cell's is 10 standard deviations of at most
/// 18 people.
const NOISE: i64 = 180 * scan::UNIT;

#[test]
fn a_portrait_counts_half_of_the_subjects_in_every_field() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape { subjects: 9_000, fields: 3, values: 4, events: 0 };
    let rehearsal = Rehearsal::portrait(folder.path(), &shape, 2).unwrap();
    let tables = rehearsal.draw(&rehearsal.scan().unwrap()).unwrap();
    assert_eq!(tables.iter().map(|table| table.cells.len()).collect::<Vec<_>>(), [5, 5, 5]);
    for table in tables {
        let total: i64 = table.cells.iter().map(|cell| cell.noised).sum();
        // Values are drawn evenly: 250 people are five standard deviations of half of them.
        assert!((total - 4_500 * scan::UNIT).abs() < 5 * NOISE + 250 * scan::UNIT, "{total}");
    }
}

#[test]
fn sums_add_up_to_what_everyone_spent() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape { subjects: 9_000, fields: 1, values: 4, events: 10 };
    let rehearsal = Rehearsal::sums(folder.path(), &shape, 2).unwrap();
    let tables = rehearsal.draw(&rehearsal.scan().unwrap()).unwrap();
    let total = |table: &Table| table.cells.iter().map(|cell| cell.noised).sum::<i64>() / scan::UNIT;
    let [events, sums] = tables.as_slice() else { unreachable!("two tables") };
    // Sigma of a cell is 100 events, and so the fifth part of a hundredth of all; nobody's norm is above the bound.
    assert!((total(events) - 90_000).abs() < 5_000, "{}", total(events));
    assert!((total(sums) - 90_000 * 5_050).abs() < 45_000_000, "{}", total(sums));
}

#[test]
fn a_breakdown_counts_each_value_that_a_subject_had() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape { subjects: 9_000, fields: 1, values: 2, events: 20 };
    let rehearsal = Rehearsal::breakdown(folder.path(), &shape, 2).unwrap();
    let tables = rehearsal.draw(&rehearsal.scan().unwrap()).unwrap();
    // With 20 events of two values nearly everyone has both.
    let cells: Vec<i64> = tables.iter().flat_map(|table| &table.cells).map(|cell| cell.noised).collect();
    assert_eq!(cells.len(), 3);
    assert!(cells.iter().skip(1).all(|cell| (cell - 4_500 * scan::UNIT).abs() < NOISE + 250 * scan::UNIT), "{cells:?}");
}

#[test]
fn given_records_are_counted_and_added_by_each_of_their_fields() {
    let folder = tempfile::tempdir().unwrap();
    // Subject n has n % 7 events; what is odd differs between the fields.
    let record = |n: u32| Record { codes: vec![1 + (n % 2) as u8, 3], cents: 250 };
    let subjects: Vec<Vec<Record>> = (0..9_000_u32).map(|n| vec![record(n); n as usize % 7]).collect();
    let events: i64 = subjects.iter().map(|events| events.len() as i64).sum();
    let mut rehearsal = Rehearsal::of_records(folder.path(), &Records { fields: 2, values: 3, subjects }, 2).unwrap();
    let mut ask = |field: u16| {
        let measures = vec![
            Measure::Events { event: EVENT, bound: 6 },
            Measure::Sum { field: Rehearsal::amount(2), bound: 1_500 },
        ];
        let by = vec![By::Field(Rehearsal::category(field))];
        // So much is paid that noise is some units.
        rehearsal
            .ask(Kind::Table { measures, by, window: Window::Ever, weighed: false }, NanoRho(1_000_000_000_000))
            .unwrap();
        let tables = rehearsal.draw(&rehearsal.scan().unwrap()).unwrap();
        let cells = |table: &Table| table.cells.iter().map(|cell| cell.noised / scan::UNIT).collect::<Vec<i64>>();
        tables.iter().map(cells).collect::<Vec<_>>()
    };
    let near = |found: &[i64], expected: &[i64], off: i64| {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= off), "{found:?} for {expected:?}");
    };
    let odd: i64 = (0..9_000).filter(|n| n % 2 == 1).map(|n| n % 7).sum();
    let first = ask(0);
    near(first.first().unwrap(), &[0, events - odd, odd, 0], 3);
    near(first.get(1).unwrap(), &[0, (events - odd) * 250, odd * 250, 0], 500);
    near(ask(1).first().unwrap(), &[0, 0, 0, events], 3);
}
