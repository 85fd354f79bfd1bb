//! Consent is stored block by block, and only where somebody decided.

use super::*;
use crate::fold::pieces::CONSENT_STATE;
use crate::keys::PieceKind;
use std::path::PathBuf;

const PURPOSE: &[&str] = &["marketing.segmentation"];

impl Shop {
    /// Versions and files of the consent pieces, by block.
    fn consent_pieces(&self) -> Vec<(u32, u64, PathBuf)> {
        let state = self.vault().state.lock();
        let entries = state.tree.entries();
        let pieces = entries.dataset(1).filter(|entry| entry.id.kind == PieceKind::State(CONSENT_STATE));
        pieces.map(|entry| (entry.id.block, entry.version, self.config.data.join(entry.path()))).collect()
    }

    fn withdraw(&self, number: usize, seconds: i64) {
        let permit = self.permit(Role::Producer, Verb::RecordConsent, None);
        let event = consent("marketing.segmentation", ConsentAct::Withdraw, seconds);
        self.vault().record_consents(&permit, vec![(key(number), event)], later(seconds)).unwrap();
    }

    fn is_erased(&self, ordinal: u32) -> (bool, bool) {
        let state = self.vault().state.lock();
        let dataset = &state.datasets[&1];
        (dataset.consent.is_erased(ordinal), dataset.closed.consent.is_erased(ordinal))
    }
}

#[test]
fn a_close_stores_consent_of_the_blocks_whose_people_decided() {
    let mut shop = Shop::new();
    // The first block's people decide nothing; one person of the second does.
    let profile = |number| Record::Profile { subject: key(number), values: vec![(ColumnId(1), Value::Code(1))] };
    shop.ingest((0..8_192).map(profile).collect());
    shop.fill(8_192, 40, PURPOSE);
    shop.close(20);
    let [(1, first, file)] = &shop.consent_pieces()[..] else { panic!("{:?}", shop.consent_pieces()) };
    assert!(file.is_file());
    shop.ingest(vec![order(8_192, 2, 2, -60), order(3, 1, 1, -60)]);
    shop.close(21);
    assert_eq!(shop.consent_pieces(), [(1, *first, file.clone())], "nobody decided meanwhile");
    shop.withdraw(8_193, 22);
    assert_eq!(shop.size("true"), 39);
    shop.close(23);
    assert!(matches!(&shop.consent_pieces()[..], [(1, second, _)] if second > first));
    assert!(!file.exists(), "the file that was replaced is gone");
    shop.reopen();
    assert_eq!(shop.size("true"), 39);
    let state = shop.vault().state.lock();
    let dataset = &state.datasets[&1];
    assert!(dataset.consent.changed_since(&dataset.closed.consent).is_empty());
}

#[test]
fn what_was_withdrawn_after_the_close_is_applied_to_what_was_stored() {
    let mut shop = Shop::new();
    shop.fill(0, 40, PURPOSE);
    shop.close(20);
    shop.withdraw(3, 21);
    shop.reopen();
    assert_eq!(shop.size("true"), 39);
    shop.ingest(vec![give(3, "marketing.segmentation")]);
    assert_eq!(shop.size("children >= 0"), 39, "an older give does not lift it");
}

#[test]
fn the_erased_are_marked_whether_folded_or_not() {
    let mut shop = Shop::new();
    shop.fill(0, 30, PURPOSE);
    shop.close(20);
    let before = shop.consent_pieces();
    shop.fill(30, 10, PURPOSE);
    let permit = shop.permit(Role::Portal, Verb::EraseSubject, None);
    shop.vault().erase(&permit, &[key(2), key(31)], later(40)).unwrap();
    assert!(before[0].1 < shop.consent_pieces()[0].1 && !before[0].2.exists());
    for round in 0..3 {
        assert_eq!(shop.is_erased(2), (true, true));
        assert_eq!(shop.is_erased(31), (true, round == 2), "the closed epoch never knew of this one");
        assert_eq!(shop.is_erased(3), (false, false));
        shop.reopen();
        if round == 1 {
            shop.close(50);
        }
    }
    assert_eq!(shop.size("true"), 38);
}
