//! Events that come late, out of order, twice, ahead of time, or by the million for one person.

use super::*;
use std::collections::BTreeSet;

const PURPOSE: &[&str] = &["marketing.segmentation"];
const HOUR: i64 = 3_600;

/// Events of one busy person; `SILHOUETTE_EVENTS=1000000` for as many as a person may have.
fn many() -> u64 {
    std::env::var("SILHOUETTE_EVENTS").map_or(30_000, |text| text.parse().unwrap())
}

fn times(shop: &Shop, number: usize) -> Vec<i64> {
    shop.held(number).events[0].rows.iter().map(|row| row.at.seconds() - NOW.seconds()).collect()
}

#[test]
fn late_events_are_in_the_next_epoch_in_order_of_time() {
    let mut shop = Shop::new();
    shop.fill(0, 10, PURPOSE);
    shop.close(20);
    // Into days that ended long ago, in no order, one of them twice.
    let late = [(2, -2 * HOUR), (3, -40 * DAY), (4, -HOUR), (5, -3 * DAY), (2, -2 * HOUR)];
    shop.ingest(late.map(|(id, at)| order(4, id, 3, at)).to_vec());
    let expected = [-40 * DAY, -3 * DAY, -DAY, -2 * HOUR, -HOUR];
    assert_eq!(times(&shop, 4), expected, "before they are folded");
    assert_eq!(shop.size("order.count() >= 2"), 0, "a closed epoch does not change");
    shop.reopen();
    shop.close(30);
    for _ in 0..2 {
        assert_eq!(times(&shop, 4), expected);
        assert_eq!(shop.size("order.count() == 5"), 1);
        assert_eq!(shop.size("order.last(\"7d\").count() == 4"), 1);
        assert_eq!(shop.size("order.between(\"50d\", \"30d\").any()"), 1);
        shop.reopen();
    }
}

#[test]
fn of_too_many_events_the_first_by_time_count_whenever_they_came() {
    let mut shop = Shop::new();
    let toml = SCHEMA.replace("max_per_subject = 1000", "max_per_subject = 2");
    shop.schema = policy::schema::parse(&toml.replace("\"shop\"", "\"stall\"")).unwrap();
    let steward = shop.permit(Role::Steward, Verb::ManageDataset, None);
    shop.vault().create_dataset(&steward, &toml.replace("\"shop\"", "\"stall\""), NOW).unwrap();
    shop.fill(0, 1, PURPOSE);
    shop.ingest(vec![order(0, 2, 2, -HOUR)]);
    shop.close(20);
    assert_eq!(shop.size("order.where(category == \"plants\").any()"), 1);
    shop.ingest(vec![order(0, 3, 3, -9 * DAY)]);
    shop.close(30);
    assert_eq!(shop.size("order.where(category == \"plants\").any()"), 0, "it is the third by time now");
    assert_eq!(shop.size("order.where(category == \"tools\").any()"), 1);
    assert_eq!(shop.held(0).events[0].rows.len(), 3);
}

#[test]
fn an_event_from_the_future_is_refused_and_a_fast_clock_is_borne() {
    let shop = Shop::new();
    shop.fill(0, 2, PURPOSE);
    let permit = shop.permit(Role::Producer, Verb::Ingest, None);
    let Err(VaultError::Refused(refusal)) = shop.vault().ingest(&permit, vec![order(0, 9, 3, 301)], NOW) else {
        panic!("taken")
    };
    assert_eq!(refusal.reason, Reason::SchemaMismatch);
    assert!(refusal.message.contains("record 0: the event is dated more than five minutes ahead"));
    shop.ingest(vec![order(0, 9, 3, 300)]);
    shop.close(299);
    assert_eq!(shop.size("order.where(category == \"tools\").any()"), 0);
    shop.close(301);
    assert_eq!(shop.size("order.where(category == \"tools\").any()"), 1);
}

#[test]
fn one_person_may_have_very_many_events() {
    let count = many();
    let mut shop = Shop::new();
    shop.fill(0, 20, PURPOSE);
    shop.publish(&SCHEMA.replace("max_per_subject = 1000", "max_per_subject = 1000000")).unwrap();
    // A step that shares no factor with the number of events visits each once, in no order of time.
    let step = (count / 2..).find(|step| gcd(*step, count) == 1).unwrap();
    let record = |at: u64| order(7, 10 + at, 1 + u16::try_from(at % 3).unwrap(), -DAY - 1 - i64::try_from(at).unwrap());
    let all: Vec<u64> = (0..count).map(|n| n * step % count).collect();
    for (number, batch) in all.chunks(5_000).enumerate() {
        shop.ingest(batch.iter().map(|at| record(*at)).collect());
        if number % 4 == 1 {
            // Sent again after a kill, and after a fold.
            shop.reopen();
            shop.ingest(batch.iter().take(500).map(|at| record(*at)).collect());
        }
        if number % 4 == 3 {
            shop.close(20 + i64::try_from(number).unwrap());
        }
    }
    shop.close(5_000);
    let parts = |shop: &Shop| shop.vault().state.lock().datasets[&1].closed.blocks[0].events[0].len();
    assert!(parts(&shop) > 1, "they do not fit one piece");
    let total = count + 1;
    assert_eq!(shop.size(&format!("order.count() == {total}")), 1);
    assert_eq!(shop.size("order.count() == 1"), 19);
    let by = vec![shop.schema.resolve("order.category").unwrap()];
    let (answer, _) = shop.ask("true", Kind::Breakdown { by, window: Window::Ever }).unwrap();
    assert_eq!(rounded(&answer, 0), [0, 11, 10, 1], "who has very many counts once a category");
    let held = times(&shop, 7);
    assert_eq!(u64::try_from(held.len()).unwrap(), total);
    assert!(held.is_sorted());
    assert_eq!(held.iter().collect::<BTreeSet<_>>().len(), held.len());
    let permit = shop.permit(Role::Portal, Verb::EraseSubject, None);
    shop.vault().erase(&permit, &[key(7)], later(6_000)).unwrap();
    let rows = |shop: &Shop| {
        let state = shop.vault().state.lock();
        state.datasets[&1].closed.blocks[0].events[0].iter().map(|piece| piece.meta().rows).sum::<u32>()
    };
    assert_eq!(rows(&shop), 19, "what is left are the others' orders, though pieces stay");
    for _ in 0..2 {
        assert_eq!(shop.size("order.count() >= 1"), 19);
        shop.reopen();
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
