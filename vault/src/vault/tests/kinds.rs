//! Each kind of release through the whole vault, on a shop whose true answers are known. At sigma 0.1 people (or 1 unit) a
//! wrong rounding has probability under 1e-6.

use super::*;
use crate::release::display::Estimate;
use crate::release::{By, Counted, Measure, Times};

/// 100 members: the even ones are young and ordered a pot, the others a plant, each once, a day ago; children 0-4 in turn.
fn shop() -> Shop {
    let shop = Shop::new();
    shop.fill(0, 100, &["marketing.segmentation"]);
    shop.close(20);
    shop
}

fn tables(shop: &Shop, kind: Kind) -> Vec<Vec<i64>> {
    let (answer, charged) = shop.ask("true", kind).unwrap();
    assert!(charged);
    (0..answer.tables.len()).map(|table| rounded(&answer, table)).collect()
}

#[test]
fn funnels_overlaps_bands_and_contrasts_have_disjoint_cells() {
    let shop = shop();
    let segment = |text: &str| shop.segment(text);
    let pots = "order.where(category == \"pots\").any()";
    let steps = vec![segment("order.any()"), segment(pots), segment("children >= 3"), segment("false")];
    assert_eq!(tables(&shop, Kind::Funnel { steps }), [[0, 50, 30, 20, 0]]);
    let others = vec![segment("age_band == \"young\""), segment("children >= 3")];
    assert_eq!(tables(&shop, Kind::Overlap { others }), [[30, 30, 20, 20]]);
    let ages = vec![segment("age_band == \"old\""), segment("age_band != \"old\"")];
    let children = vec![segment("children >= 4"), segment("children >= 2")];
    assert_eq!(tables(&shop, Kind::Bands { lists: vec![ages, children] }), [[0, 0, 0, 20, 10, 20, 20, 10, 20]]);
    let [age, category] = ["age_band", "order.category"].map(|path| shop.schema.resolve(path).unwrap());
    let contrast = Kind::Contrast { of: segment("children >= 3"), fields: vec![age, category], window: Window::Ever };
    assert_eq!(tables(&shop, contrast), [vec![0, 30, 30, 0, 20, 20], vec![0, 30, 30, 0, 0, 20, 20, 0]]);
}

#[test]
fn events_and_sums_are_counted_up_to_a_bound_a_person() {
    let shop = shop();
    // A member with 40 pots beside one plant: norm 40.01, of which 20 count.
    shop.ingest((2..42).map(|id| order(1, id, 1, -DAY)).collect());
    shop.close(25);
    let [age, amount] = ["age_band", "order.amount"].map(|path| shop.schema.resolve(path).unwrap());
    let event = EventTypeId(0);
    let measures = vec![Measure::Events { event, bound: 20 }, Measure::Sum { field: amount, bound: 5_000 }];
    let kind = Kind::Table { measures, by: vec![By::Field(age)], window: Window::Ever, weighed: false };
    let (answer, _) = shop.ask("true", kind).unwrap();
    assert_eq!(answer.tables[0].counted, Counted::Events(event, 20));
    // 50 times 12.50, and 49 times beside the bound of 50.00.
    for (table, expected) in [(0, [0, 50, 49 + 20]), (1, [0, 62_500, 61_250 + 5_000])] {
        let sigma = answer.tables[table].noise.unwrap().sigma_1024.div_ceil(1_024) as i64;
        let counted = rounded(&answer, table);
        for (counted, expected) in counted.iter().zip(expected) {
            assert!((counted - expected).abs() <= 6 * sigma, "{counted} for {expected} at {sigma}");
        }
    }
    // How long vectors are: of the one member, 41 events in all, and by category the length of 40 and 1.
    let category = shop.schema.resolve("order.category").unwrap();
    let norms = |of, by: Vec<By>, edges| tables(&shop, Kind::Norms { of, by, window: Window::Ever, edges });
    let orders = FieldRef::Event(event);
    assert_eq!(norms(orders, vec![], vec![2, 40, 41]), [[99, 0, 0, 1]]);
    assert_eq!(norms(orders, vec![By::Field(category)], vec![2, 40, 41]), [[99, 0, 1, 0]]);
    assert_eq!(norms(amount, vec![By::Field(age)], vec![1_250, 1_251]), [[0, 99, 1]]);
}

#[test]
fn trends_and_retention_are_over_local_days() {
    let shop = shop();
    // Ten members had ordered a week before everyone did.
    shop.ingest((0..10).map(|number| order(number, 2, 3, -8 * DAY)).collect());
    shop.close(25);
    let first = i32::try_from(later(-8 * DAY).seconds() / DAY).unwrap();
    let days: Vec<i32> = (0..4).map(|week| first + 7 * week).collect();
    let event = EventTypeId(0);
    let by = vec![By::Periods { event, days: days.clone() }];
    let trend = Kind::Table { measures: vec![Measure::People], by, window: Window::Ever, weighed: false };
    assert_eq!(tables(&shop, trend), [[10, 100, 0]]);
    let retention = tables(&shop, Kind::Retention { event, days });
    // By first week: nobody outside; of the first week's ten all came back; then ninety.
    assert_eq!(retention, [[0, 0, 0, 10, 10, 0, 0, 90, 0, 0, 0, 0]]);
}

#[test]
fn a_whole_portrait_is_what_its_parts_are() {
    let shop = shop();
    shop.ingest((0..10).map(|number| order(number, 2, 3, -8 * DAY)).collect());
    shop.close(25);
    let segment = |text: &str| shop.segment(text);
    let [age, category] = ["age_band", "order.category"].map(|path| shop.schema.resolve(path).unwrap());
    let first = i32::try_from(later(-8 * DAY).seconds() / DAY).unwrap();
    let days: Vec<i32> = (0..4).map(|week| first + 7 * week).collect();
    let (event, window) = (EventTypeId(0), Window::Ever);
    let of = || segment("children >= 3");
    let bands = vec![vec![segment("order.count() >= 2"), segment("order.any()")], vec![segment("children >= 4")]];
    let times = Times { event, hours: true, weekdays: true, days: days.clone() };
    let fields = vec![age, category];
    let kind = |of, fields, times| Kind::Profile { of, fields, bands: bands.clone(), times, window };
    let whole = tables(&shop, kind(Some(of()), fields.clone(), Some(times)));
    let contrast = tables(&shop, Kind::Contrast { of: of(), fields, window });
    assert_eq!((whole.len(), &whole[..2]), (7, &contrast[..]));
    // Who ordered twice, once and never; members last.
    assert_eq!(whole[2], [0, 6, 54, 0, 4, 36]);
    assert_eq!(whole[3], [60, 0, 20, 20]);
    // Nobody ordered at more hours, on more days or in more weeks than count fully.
    let by = |by| {
        tables(&shop, Kind::Table { measures: vec![Measure::People], by: vec![by], window, weighed: false }).remove(0)
    };
    let parts = [by(By::Hours(event)), by(By::Weekdays(event)), by(By::Periods { event, days })];
    for (both, alone) in whole[4..].iter().zip(&parts) {
        let (rest, members) = both.split_at(alone.len());
        let sum: Vec<i64> = rest.iter().zip(members).map(|(rest, member)| rest + member).collect();
        assert_eq!(&sum, alone);
    }
    assert_eq!(tables(&shop, kind(None, vec![age], None))[0], [0, 50, 50]);
}

#[test]
fn top_values_and_means_are_found() {
    let shop = shop();
    shop.ingest((0..7).map(|number| order(number, 2, 3, -DAY)).collect());
    shop.ingest((0..20).map(|number| order(2 * number, 3, 2, -DAY)).collect());
    shop.close(25);
    let [category, children] = ["order.category", "children"].map(|path| shop.schema.resolve(path).unwrap());
    let (answer, _) = shop.ask("true", Kind::Top { field: category, k: 2, window: Window::Ever }).unwrap();
    let codes: Vec<u16> = answer.tables[0].cells.iter().map(|cell| cell.codes[0]).collect();
    assert_eq!((codes, rounded(&answer, 0)), (vec![2, 1], vec![70, 50]));
    let (answer, _) = shop.ask("true", Kind::Mean { field: children }).unwrap();
    // Children are 0-20, so values are less 10: 100 people at 2 each.
    let [count, sum] = [0, 1].map(|table| rounded(&answer, table)[0]);
    assert!((count - 100).abs() <= 1 && (sum + 800).abs() <= 4, "{count} {sum}");
    let (answer, _) = shop.ask("true", Kind::Spread { field: children }).unwrap();
    // Squares of those: of 20 each at 10, 9, 8, 7 and 6 below, less the middle, 50, for each.
    let [count, sum, squares] = [0, 1, 2].map(|table| rounded(&answer, table)[0]);
    assert!((count - 100).abs() <= 1 && (sum + 800).abs() <= 4 && (squares - 1_600).abs() <= 20, "{answer:?}");
    let [count, sum, squares] = [0, 1, 2].map(|table| {
        let table = &answer.tables[table];
        Estimate { value: table.cells[0].noised, sigma: table.noise.unwrap().sigma_1024 }
    });
    let deviation = crate::release::ratio::deviation(count, sum, squares, 0, 50).unwrap();
    assert!((deviation.middle - 2_f64.sqrt()).abs() < 0.2 && deviation.high - deviation.low < 0.5, "{deviation:?}");
}
