//! What is past its retention is gone at the next close, everywhere and for every copy, and nothing else is.

use super::*;
use crate::keys::{PieceEntry, PieceKind, PieceState};
use crate::vault::Tree;
use std::collections::BTreeSet;

const PURPOSE: &[&str] = &["marketing.segmentation"];

/// The description with orders kept for 30 days and their amounts for 10.
fn limited() -> String {
    SCHEMA
        .replace("display = \"Order\"", "display = \"Order\"\nretention_days = 30")
        .replace("display = \"Amount\"", "display = \"Amount\"\nretention_days = 10")
}

fn is_orders(entry: &&PieceEntry) -> bool {
    (entry.id.kind, entry.state) == (PieceKind::Events(0), PieceState::Closed)
}

impl Shop {
    fn close_at_day(&self, days: i64) {
        self.close(days * DAY);
    }

    /// Files of the closed epoch's orders.
    fn order_files(&self) -> BTreeSet<u64> {
        let state = self.vault().state.lock();
        let entries = state.tree.entries();
        entries.dataset(1).filter(is_orders).map(|entry| entry.file).collect()
    }

    /// Leaves that say that something was removed, by their counts of blocks.
    pub(super) fn removals(&self) -> Vec<u64> {
        let log = &self.vault().log;
        let leaves = (0..log.size(Tree::Subject)).map(|at| log.leaf(Tree::Subject, at).unwrap());
        let texts = leaves.map(|leaf| std::str::from_utf8(&leaf).unwrap().to_owned());
        let blocks =
            |text: String| text.split_once("\"blocks\":").unwrap().1.chars().next().unwrap().to_digit(10).unwrap();
        texts.filter(|text| text.contains("past its retention")).map(|text| u64::from(blocks(text))).collect()
    }

    /// Ages in days, and whether the amount is there, of a member's orders.
    fn orders(&self, number: usize) -> Vec<(i64, bool)> {
        let package = self.held(number);
        let rows = &package.events[0].rows;
        rows.iter().map(|row| ((row.at.seconds() - NOW.seconds()) / DAY, row.values[1] != Value::Missing)).collect()
    }
}

#[test]
fn events_go_at_the_close_after_their_last_day_and_their_fields_before() {
    let mut shop = Shop::new();
    shop.publish(&limited()).unwrap();
    shop.fill(0, 20, PURPOSE);
    shop.ingest((0..5).map(|number| order(number, 2, 3, -9 * DAY)).collect());
    shop.ingest((5..9).map(|number| order(number, 3, 3, -40 * DAY)).collect());
    // What came late and is past already is never in an epoch.
    shop.close_at_day(0);
    assert_eq!((shop.orders(6), shop.removals()), (vec![(-1, true)], vec![]));
    assert_eq!(shop.orders(2), [(-9, true), (-1, true)]);
    shop.close_at_day(2);
    assert_eq!(shop.orders(2), [(-9, false), (-1, true)], "its amount went, the order stays");
    assert_eq!(shop.removals(), [1]);
    let files = shop.order_files();
    shop.close_at_day(3);
    assert_eq!((shop.order_files(), shop.removals()), (files, vec![1]), "nothing is past, so nothing is written");
    shop.close_at_day(25);
    for _ in 0..2 {
        assert_eq!(shop.orders(2), [(-1, false)]);
        assert_eq!(shop.orders(7), [(-1, false)]);
        assert_eq!((shop.size("order.count() == 1"), shop.size("true")), (20, 20));
        shop.reopen();
    }
    shop.close_at_day(40);
    assert_eq!(shop.orders(2), []);
    assert_eq!((shop.size("order.any()"), shop.size("age_band == \"young\"")), (0, 10));
    assert_eq!(shop.removals(), [1, 1, 1]);
}

#[test]
fn no_key_of_what_was_removed_is_left() {
    let mut shop = Shop::new();
    shop.publish(&limited()).unwrap();
    shop.fill(0, 20, PURPOSE);
    shop.close_at_day(0);
    // Late, unfolded, and under a key of this opening that goes on being used.
    shop.ingest(vec![order(1, 9, 3, -29 * DAY)]);
    let journal = || -> BTreeSet<u32> { shop.vault().state.lock().journal.numbers() };
    let (files, used) = (shop.order_files(), shop.vault().state.lock().key_uses.clone_of((1, 0)));
    assert!(!used.is_empty() && used.is_subset(&journal()));
    shop.close_at_day(32);
    let state = shop.vault().state.lock();
    let secrets: BTreeSet<String> = state.tree.secrets("journal/").map(|(name, _)| name.to_owned()).collect();
    assert!(used.iter().all(|number| !secrets.contains(&format!("journal/{number}"))), "a journal's key is left");
    let named: BTreeSet<u64> = state.tree.entries().dataset(1).map(|entry| entry.file).collect();
    drop(state);
    let orders = files.difference(&named).count();
    assert!(orders >= 1, "the orders are in new pieces");
    let on_disk = std::fs::read_dir(shop.config.data.join("blocks/00000001")).unwrap().count();
    assert_eq!(on_disk, named.len(), "and the old ones are off the disk");
}

#[test]
fn a_shorter_retention_takes_effect_at_the_next_close() {
    let mut shop = Shop::new();
    shop.fill(0, 20, PURPOSE);
    shop.ingest((0..5).map(|number| order(number, 2, 3, -35 * DAY)).collect());
    shop.close_at_day(0);
    let said = shop.publish(&limited()).unwrap().differences;
    assert!(said.iter().any(|difference| difference.to_string().contains("what is older is erased")), "{said:?}");
    assert_eq!(shop.size("order.count() == 2"), 5);
    shop.reopen();
    shop.close_at_day(1);
    assert_eq!((shop.size("order.count() == 2"), shop.size("order.count() == 1")), (0, 20));
    assert_eq!(shop.removals(), [1]);
}
