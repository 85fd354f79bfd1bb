//! What a person is shown and can have done: whole, only through their own permit, and in force at once.

use super::packages::Package;
use super::*;
use crate::log::Leaf;
use crate::subjects::{Fulfilled, Right};
use crate::vault::Tree;

const PURPOSE: &[&str] = &["marketing.segmentation"];

impl Shop {
    fn access(&self, number: usize) -> Result<Package, VaultError> {
        let permit = self.permit_about(Verb::AccessSubject, number);
        self.vault().access_subject(&permit, &key(number), later(60))
    }

    fn rectify(&self, number: usize, values: Vec<(ColumnId, Value)>) -> Result<Fulfilled, VaultError> {
        let permit = self.permit_about(Verb::RectifySubject, number);
        self.vault().rectify_subject(&permit, &key(number), values, later(61))
    }

    fn restrict(&self, number: usize) -> Fulfilled {
        let permit = self.permit_about(Verb::RestrictSubject, number);
        self.vault().restrict_subject(&permit, &key(number), later(62)).unwrap()
    }

    fn subject_leaves(&self) -> Vec<Leaf> {
        let log = &self.vault().log;
        (0..log.size(Tree::Subject)).map(|at| Leaf::parse(&log.leaf(Tree::Subject, at).unwrap()).unwrap()).collect()
    }
}

impl Shop {
    fn size_at(&self, text: &str, seconds: i64) {
        let permit = self.permit_for("insights", "", Role::Service, Verb::Release, Some(PURPOSE[0]));
        let question = Question {
            dataset: self.schema.dataset.clone(),
            universe: Segment::everyone(),
            segment: self.segment(text),
            kind: Kind::Size,
            rho: PRICE,
        };
        self.vault().release(&permit, &question, later(seconds)).unwrap();
    }
}

fn attribute(package: &Package, column: u16) -> Value {
    package.attributes.iter().find(|(of, _)| of.0 == column).unwrap().1.clone()
}

fn reason(error: &VaultError) -> Reason {
    match error {
        VaultError::Refused(refusal) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_package_holds_what_was_sent_folded_or_not() {
    let mut shop = Shop::new();
    // Block 0 has members that are folded, one with later entries, and members that are not.
    shop.fill(0, 40, PURPOSE);
    shop.close(20);
    shop.ingest(vec![
        order(4, 2, 3, -60),
        order(4, 1, 2, -50),
        Record::Profile { subject: key(4), values: vec![(ColumnId(3), Value::Code(2)), (ColumnId(2), Value::Missing)] },
    ]);
    shop.fill(40, 3, PURPOSE);
    for round in 0..2 {
        let package = shop.access(4).unwrap();
        assert_eq!(attribute(&package, 0), Value::Bytes(b"member-000004".to_vec()));
        assert_eq!(attribute(&package, 1), Value::Code(1));
        assert_eq!(attribute(&package, 2), Value::Missing);
        assert_eq!(attribute(&package, 3), Value::Code(2));
        assert_eq!(attribute(&package, 4), Value::Missing);
        let orders: Vec<_> = package.events[0].rows.iter().map(|row| (row.id, row.at, row.values.clone())).collect();
        // The repeated id changed nothing.
        assert_eq!(
            orders,
            [
                (1, later(-DAY), vec![Value::Code(1), Value::Int(1_250)]),
                (2, later(-60), vec![Value::Code(3), Value::Int(1_250)])
            ]
        );
        assert_eq!(package.consents.len(), 1);
        assert_eq!(package.consents[0].received, NOW);
        let allowed: Vec<_> = package.standings.iter().filter(|standing| standing.allowed).collect();
        assert_eq!(allowed.len(), 1);
        assert_eq!(allowed[0].purpose.as_str(), PURPOSE[0]);
        assert!(!package.restricted && package.withheld == 0);
        assert_eq!(package.requests.len(), round);
        drop(package);
        let unfolded = shop.access(41).unwrap();
        assert_eq!((attribute(&unfolded, 1), unfolded.events[0].rows.len()), (Value::Code(2), 1));
        drop(unfolded);
        if round == 0 {
            shop.close(70);
            shop.reopen();
        }
    }
}

#[test]
fn a_permit_opens_one_person_and_needs_the_verb() {
    let shop = Shop::new();
    shop.fill(0, 3, PURPOSE);
    let for_one = shop.permit_about(Verb::AccessSubject, 1);
    let error = shop.vault().access_subject(&for_one, &key(2), later(60)).unwrap_err();
    assert_eq!(reason(&error), Reason::PurposeDenied);
    let rectify = shop.permit_about(Verb::RectifySubject, 1);
    assert_eq!(reason(&shop.vault().access_subject(&rectify, &key(1), NOW).unwrap_err()), Reason::PurposeDenied);
    assert_eq!(reason(&shop.vault().restrict_subject(&for_one, &key(1), NOW).unwrap_err()), Reason::PurposeDenied);
    let ingest = shop.permit(Role::Producer, Verb::Ingest, None);
    assert_eq!(reason(&shop.vault().access_subject(&ingest, &key(1), NOW).unwrap_err()), Reason::PurposeDenied);
    assert_eq!(reason(&shop.access(7).unwrap_err()), Reason::FieldUnavailable);
    let written = |leaf: &Leaf| [crate::log::Kind::Consent, crate::log::Kind::Ingest].contains(&leaf.kind);
    assert!(shop.subject_leaves().iter().all(written), "nothing was taken up");
    let package = shop.access(1).unwrap();
    assert_eq!(format!("{package:?}"), "Package(..)");
    assert_eq!(format!("{:?}", package.events[0].rows), "[HeldEvent(..)]");
}

#[test]
fn every_request_is_two_leaves_that_name_nobody() {
    let mut shop = Shop::new();
    shop.fill(0, 3, PURPOSE);
    let package = shop.access(1).unwrap();
    let access = package.end.as_ref().unwrap().request.clone();
    drop(package);
    let restricted = shop.restrict(1);
    let permit = shop.permit_about(Verb::RestrictSubject, 1);
    let objected = shop.vault().object_to_purpose(&permit, &key(1), &PurposeId::new("marketing").unwrap(), later(63));
    let objected = objected.unwrap();
    let leaves = shop.subject_leaves();
    for done in [&access, &restricted, &objected] {
        let leaf = |index: u64| &leaves[usize::try_from(index).unwrap()];
        assert_eq!(leaf(done.outcome).of, Some(done.event.intent));
        assert_eq!(leaf(done.outcome).what, leaf(done.event.intent).what);
        assert!(leaf(done.outcome).commit.is_some() && leaf(done.event.intent).subject_ref.is_some());
        assert!(done.deadline() > done.event.done);
    }
    assert_eq!((objected.outcome, leaves.len()), (objected.event.intent + 2, 3 + 1 + 2 + 2 + 3));
    shop.close(70);
    shop.reopen();
    let package = shop.access(1).unwrap();
    assert_eq!(package.requests, [access, restricted, objected]);
    assert!(package.restricted && package.standings.iter().all(|standing| !standing.allowed));
    assert_eq!(package.consents.len(), 2);
}

#[test]
fn a_corrected_value_is_in_the_next_package_and_the_next_epoch() {
    let mut shop = Shop::new();
    shop.fill(0, 40, PURPOSE);
    shop.close(20);
    let young = shop.size("age_band == \"young\"");
    let done = shop.rectify(4, vec![(ColumnId(1), Value::Code(2)), (ColumnId(4), Value::Code(1))]).unwrap();
    assert_eq!(
        (done.event.right, done.event.columns.as_slice()),
        (Right::Rectification, &[ColumnId(1), ColumnId(4)][..])
    );
    let package = shop.access(4).unwrap();
    assert_eq!((attribute(&package, 1), attribute(&package, 4)), (Value::Code(2), Value::Code(1)));
    assert_eq!(package.requests, [done]);
    drop(package);
    shop.close(70);
    assert_eq!(shop.size("age_band == \"young\""), young - 1);
    shop.reopen();
    assert_eq!(attribute(&shop.access(4).unwrap(), 1), Value::Code(2));
    for wrong in
        [(ColumnId(1), Value::Code(3)), (ColumnId(0), Value::Bytes(b"x".to_vec())), (ColumnId(9), Value::Missing)]
    {
        assert_eq!(reason(&shop.rectify(4, vec![wrong]).unwrap_err()), Reason::SchemaMismatch);
    }
    assert_eq!(reason(&shop.rectify(99, Vec::new()).unwrap_err()), Reason::FieldUnavailable);
}

#[test]
fn a_restricted_person_is_in_no_answer_until_it_is_lifted_and_an_epoch_closes() {
    let mut shop = Shop::new();
    shop.fill(0, 40, PURPOSE);
    shop.close(20);
    shop.restrict(4);
    assert_eq!(shop.size("true"), 39, "in the epoch that was closed before");
    shop.reopen();
    assert_eq!(shop.size("true && children >= 0"), 39, "after a restart");
    shop.close(70);
    shop.reopen();
    assert_eq!(shop.size("true"), 39, "after the fold");
    let permit = shop.permit_about(Verb::RestrictSubject, 4);
    shop.vault().unrestrict_subject(&permit, &key(4), later(80)).unwrap();
    assert_eq!(shop.size("children >= 0"), 39, "the epoch was closed while it held");
    shop.close(90);
    assert_eq!(shop.size("true"), 40);
    shop.reopen();
    assert_eq!(shop.size("children >= 0"), 40);
}

#[test]
fn the_erased_have_no_package_and_their_history_goes_with_them() {
    let mut shop = Shop::new();
    shop.fill(0, 40, PURPOSE);
    drop(shop.access(4).unwrap());
    shop.close(20);
    drop(shop.access(5).unwrap());
    let permit = shop.permit(Role::Steward, Verb::EraseSubject, None);
    shop.vault().erase(&permit, &[key(4), key(5)], later(65)).unwrap();
    for _ in 0..2 {
        for number in [4, 5] {
            assert_eq!(reason(&shop.access(number).unwrap_err()), Reason::FieldUnavailable);
        }
        assert_eq!(shop.access(6).unwrap().consents.len(), 1);
        shop.reopen();
    }
    shop.fill(4, 1, PURPOSE);
    let anew = shop.access(4).unwrap();
    assert!(anew.requests.is_empty() && anew.uses.is_empty());
}

#[test]
fn uses_are_those_the_person_allowed_when_they_were_made() {
    let shop = Shop::new();
    shop.fill(0, 40, PURPOSE);
    shop.fill(40, 20, &[]);
    shop.close(20);
    shop.size("true");
    let list = |number: usize| {
        let permit = shop.permit_about(Verb::AccessSubject, number);
        shop.vault().list_uses(&permit, &key(number), later(95)).unwrap().uses
    };
    let one = list(1).releases;
    assert_eq!((one.len(), one[0].client.as_str(), one[0].question.as_str()), (1, "insights", "size"));
    assert_eq!(list(41).releases, []);
    // The same answer again, then an objection, then another question.
    shop.size("true");
    let permit = shop.permit_about(Verb::RestrictSubject, 1);
    shop.vault().object_to_purpose(&permit, &key(1), &PurposeId::new(PURPOSE[0]).unwrap(), later(31)).unwrap();
    shop.size_at("children >= 1", 32);
    assert_eq!(list(1).releases.iter().map(|release| release.repeated).collect::<Vec<_>>(), [false, true]);
    assert_eq!(list(2).releases.len(), 3);
    assert_eq!(list(2).releases[2].fields, ["children"]);
}

#[test]
fn a_consent_receipt_opens_its_own_commitment_and_no_other() {
    use sha2::{Digest, Sha256};
    let mut shop = Shop::new();
    shop.fill(0, 3, &["marketing.segmentation", "marketing"]);
    for _ in 0..2 {
        let permit = shop.permit_about(Verb::AccessSubject, 1);
        let found = shop.vault().consent_receipts(&permit, &key(1), later(60)).unwrap();
        let opened = |salt: &[u8; 32], committed: &str| -> [u8; 32] {
            Sha256::new().chain_update(salt).chain_update(committed).finalize().into()
        };
        let [first, second] = found.receipts.as_slice() else { panic!("{:?}", found.receipts) };
        for (receipt, other) in [(first, second), (second, first)] {
            let leaf = Leaf::parse(receipt.leaf.json.as_bytes()).unwrap();
            assert_eq!(leaf.commit, Some(opened(&receipt.salt, &receipt.committed)));
            assert_ne!(leaf.commit, Some(opened(&other.salt, &receipt.committed)));
            // The verifier sorts the members: they must be sorted when they are committed to.
            let sorted: std::collections::BTreeMap<String, serde_json::Value> =
                serde_json::from_str(&receipt.committed).unwrap();
            assert_eq!(serde_json::to_string(&sorted).unwrap(), receipt.committed);
        }
        drop(found);
        shop.close(70);
        shop.reopen();
    }
}

#[test]
fn a_partner_that_got_a_list_is_named_for_as_long_as_anything_is_held() {
    const SHARING: &str = "sharing.partner.greenbox";
    let mut shop = Shop::new();
    shop.fill(0, 200, &[SHARING]);
    shop.fill(200, 5, PURPOSE);
    shop.close(20);
    let partner = PartnerId::new("greenbox").unwrap();
    let permit = shop.permit_for("greenbox-crm", "", Role::Partner(partner.clone()), Verb::Audience, Some(SHARING));
    let tags = vec![shop.schema.resolve("age_band").unwrap()];
    let (universe, segment) = (Segment::everyone(), shop.segment("true"));
    let question = crate::audience::AudienceQuestion { partner, universe, segment, tags: tags.clone(), rho: PRICE };
    shop.vault().audience(&permit, &question, later(30)).unwrap();
    let uses = |shop: &Shop, number: usize| {
        let permit = shop.permit_about(Verb::AccessSubject, number);
        shop.vault().list_uses(&permit, &key(number), later(95)).unwrap().uses
    };
    for seconds in [40, 50, 60] {
        let uses = uses(&shop, 3);
        assert_eq!((uses.audiences.len(), uses.recipients.len()), if seconds < 60 { (1, 0) } else { (0, 1) });
        shop.close(seconds);
    }
    for _ in 0..2 {
        let [recipient] = &uses(&shop, 3).recipients[..] else { panic!("nobody is named") };
        assert_eq!((recipient.partner.as_str(), recipient.purpose.as_str()), ("greenbox", SHARING));
        assert_eq!((&recipient.tags, recipient.first.0, recipient.last.0), (&tags, 1, 1));
        assert_eq!(uses(&shop, 201).recipients, []);
        shop.reopen();
    }
    // Nobody who was erased is remembered, by their number either.
    let eraser = shop.permit(Role::Portal, Verb::EraseSubject, None);
    shop.vault().erase(&eraser, &[key(3)], later(100)).unwrap();
    shop.reopen();
    let state = shop.vault().state.lock();
    assert!(state.shared.past.values().all(|past| past.people().unwrap().len() == 199));
}
