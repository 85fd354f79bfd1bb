//! Two subjects who are one person: counted once, never for more than both allow, and apart again when they wish.

mod model;

use super::packages::Package;
use super::*;
use crate::erasure::ErasureReceipt;
use crate::holds::{Ground, NewHold};
use crate::subjects::{Fulfilled, Right};
use policy::decide::decide_for_both;
use policy::schema::IdentityKind;

const MARKETING: &str = "marketing.segmentation";
const LINKING: &str = "identity.linking";
const BOTH: &[&str] = &[MARKETING, LINKING];

/// A member from 0 on, a visitor of the web shop from 1,000 on.
fn who(number: usize) -> SubjectKey {
    match number.checked_sub(1_000) {
        Some(visitor) => SubjectKey::of(IdentityKind(1), &format!("member-{visitor:06}")).unwrap(),
        None => key(number),
    }
}

fn bought(number: usize, id: u64, category: u16) -> Record {
    let values = vec![Value::Code(category), Value::Int(1_250)];
    Record::Event { subject: who(number), event: EventTypeId(0), id, at: later(-DAY), values }
}

fn agrees(number: usize, purpose: &str) -> Record {
    Record::Consent { subject: who(number), consent: consent(purpose, ConsentAct::Give, -DAY) }
}

fn reason(error: &VaultError) -> Reason {
    match error {
        VaultError::Refused(refusal) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

impl Shop {
    /// Forty members, and a visitor under the text of member 4's key who bought tools; all agreed to everything.
    fn with_a_visitor() -> Self {
        let shop = Self::new();
        shop.fill(0, 40, BOTH);
        shop.visit(1_004);
        shop
    }

    fn visit(&self, number: usize) {
        self.ingest(vec![bought(number, 7, 3), agrees(number, MARKETING), agrees(number, LINKING)]);
    }

    fn permit_for_both(&self, primary: usize, secondary: usize) -> Permit {
        let client = ClientId::new("portal").unwrap();
        let principal = Principal { client, role: Role::Portal, purposes: Vec::new() };
        let (verb, dataset) = (Verb::LinkSubject, Some(&self.schema));
        let request =
            Request { principal: &principal, verb, dataset, purpose: None, basis: None, fields: &[], request_id: "" };
        match decide_for_both(&self.rules, &request, who(primary).expose(), who(secondary).expose()) {
            Decision::Permit(permit) => permit,
            Decision::Refusal(refusal) => panic!("{refusal:?}"),
        }
    }

    fn link(&self, primary: usize, secondary: usize) -> Result<Fulfilled, VaultError> {
        let permit = self.permit_for_both(primary, secondary);
        self.vault().link_subjects(&permit, &who(primary), &who(secondary), later(25))
    }

    fn unlink(&self, primary: usize, secondary: usize) -> Result<Fulfilled, VaultError> {
        let permit = self.permit_for_both(primary, secondary);
        self.vault().unlink_subjects(&permit, &who(primary), &who(secondary), later(26))
    }

    fn withdraws(&self, number: usize, purpose: &str, seconds: i64) {
        let permit = self.permit(Role::Producer, Verb::RecordConsent, None);
        let event = consent(purpose, ConsentAct::Withdraw, seconds);
        self.vault().record_consents(&permit, vec![(who(number), event)], later(seconds)).unwrap();
    }

    /// Counts everyone who has bought anything, by a question that was not asked before in the epoch.
    fn everyone(&self, asked: usize) -> i64 {
        self.size(&format!("order.count() < {}", 100 + asked))
    }

    fn bought_tools(&self) -> i64 {
        self.size("order.where(category == \"tools\").any()")
    }

    fn package_of(&self, number: usize) -> Result<Package, VaultError> {
        let subject = who(number);
        let client = ClientId::new("portal").unwrap();
        let principal = Principal { client, role: Role::Portal, purposes: Vec::new() };
        let (verb, dataset) = (Verb::AccessSubject, Some(&self.schema));
        let request =
            Request { principal: &principal, verb, dataset, purpose: None, basis: None, fields: &[], request_id: "" };
        let Decision::Permit(permit) = decide_for(&self.rules, &request, subject.expose()) else { panic!("refused") };
        self.vault().access_subject(&permit, &subject, later(60))
    }

    fn erases(&self, number: usize) -> Result<ErasureReceipt, VaultError> {
        let permit = self.permit(Role::Portal, Verb::EraseSubject, None);
        Ok(self.vault().erase_subjects(&permit, &[who(number)], later(65))?.receipt)
    }
}

#[test]
fn the_same_text_of_two_kinds_is_two_subjects() {
    let mut shop = Shop::with_a_visitor();
    for seconds in [20, 21] {
        shop.close(seconds);
        assert_eq!((shop.size("true"), shop.bought_tools()), (41, 1));
        shop.reopen();
    }
    let visitor = shop.package_of(1_004).unwrap();
    assert_eq!(visitor.known_by, IdentityKind(1));
    assert_eq!(visitor.identifier, Some(Value::Bytes(b"member-000004".to_vec())));
    assert_eq!((visitor.attributes[0].1.clone(), visitor.events[0].rows.len()), (Value::Missing, 1));
    let unknown = Record::Event {
        subject: SubjectKey::of(IdentityKind(2), "x").unwrap(),
        event: EventTypeId(0),
        id: 1,
        at: NOW,
        values: Vec::new(),
    };
    let permit = shop.permit(Role::Producer, Verb::Ingest, None);
    assert_eq!(reason(&shop.vault().ingest(&permit, vec![unknown], NOW).unwrap_err()), Reason::SchemaMismatch);
}

#[test]
fn linked_people_are_counted_once_with_the_events_of_both_until_they_are_apart_again() {
    for (fold, reopen) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut shop = Shop::with_a_visitor();
        let go_on = |shop: &mut Shop, seconds: i64| {
            if fold {
                let system = shop.permit(Role::System, Verb::Maintain, None);
                shop.vault().fold(&system, later(seconds)).unwrap();
            }
            if reopen {
                shop.reopen();
            }
        };
        shop.close(20);
        assert_eq!(shop.size("true"), 41);
        shop.link(4, 1_004).unwrap();
        go_on(&mut shop, 30);
        assert_eq!(shop.everyone(1), 40, "masked at once");
        // One that both report under one id is one, and the member's own.
        shop.ingest(vec![bought(1_004, 8, 2), bought(1_004, 9, 2), bought(4, 9, 2), bought(1_004, 7, 3)]);
        go_on(&mut shop, 31);
        shop.close(40);
        assert_eq!((shop.size("true"), shop.bought_tools(), shop.size("order.count() == 4")), (40, 1, 1));
        assert_eq!(shop.size("age_band == \"young\" && order.where(category == \"tools\").any()"), 1, "of the member");
        shop.unlink(4, 1_004).unwrap();
        go_on(&mut shop, 41);
        assert_eq!(shop.size("order.count() == 4 || order.count() == 9"), 1, "until the next close");
        shop.ingest(vec![bought(1_004, 10, 3)]);
        go_on(&mut shop, 42);
        shop.close(50);
        go_on(&mut shop, 51);
        assert_eq!((shop.size("true"), shop.bought_tools()), (41, 1));
        assert_eq!((shop.size("order.count() == 2"), shop.size("order.count() == 4")), (1, 1), "{fold} {reopen}");
        assert_eq!(shop.size("age_band == \"young\" && order.where(category == \"tools\").any()"), 0);
        assert_eq!(shop.vault().state.lock().datasets[&1].consent.links().count(), 0);
    }
}

#[test]
fn the_least_permissive_of_linked_people_wins_at_once() {
    let mut shop = Shop::with_a_visitor();
    shop.ingest((1_005..1_008).flat_map(|number| [bought(number, 7, 3), agrees(number, LINKING)]).collect());
    for number in 4..8 {
        shop.link(number, number + 1_000).unwrap();
    }
    shop.ingest(vec![agrees(1_006, MARKETING), agrees(1_007, MARKETING)]);
    shop.close(27);
    // 1,005 is silent.
    assert_eq!((shop.size("true"), shop.bought_tools()), (39, 3));
    shop.withdraws(1_006, "marketing", 28);
    assert_eq!(shop.everyone(6), 38);
    let permit = shop.permit(Role::Producer, Verb::RecordConsent, None);
    let mid_scan = move |vault: &Vault| {
        let event = consent(MARKETING, ConsentAct::Withdraw, 29);
        vault.record_consents(&permit, vec![(who(1_007), event)], later(29)).unwrap();
    };
    *shop.vault().after_scan.lock() = Some(Box::new(mid_scan));
    assert_eq!(shop.everyone(2), 37, "the scan in flight leaves the member out");
    shop.reopen();
    assert_eq!(shop.everyone(3), 37);
    shop.close(40);
    assert_eq!(shop.size("true"), 37);
}

#[test]
fn a_link_made_during_a_scan_is_seen_by_the_draw() {
    let shop = Shop::with_a_visitor();
    shop.close(20);
    let permit = shop.permit_for_both(4, 1_004);
    let mid_scan = move |vault: &Vault| {
        vault.link_subjects(&permit, &who(4), &who(1_004), later(25)).unwrap();
    };
    *shop.vault().after_scan.lock() = Some(Box::new(mid_scan));
    assert_eq!(shop.size("true"), 40);
}

#[test]
fn a_link_needs_both_consents_both_names_and_makes_no_chain() {
    let shop = Shop::with_a_visitor();
    shop.ingest(vec![bought(1_050, 1, 1), agrees(1_050, MARKETING)]);
    assert_eq!(reason(&shop.link(4, 1_050).unwrap_err()), Reason::PurposeDenied, "1,050 has not agreed");
    assert_eq!(reason(&shop.link(4, 1_099).unwrap_err()), Reason::FieldUnavailable);
    assert_eq!(reason(&shop.link(4, 4).unwrap_err()), Reason::RequestInvalid);
    let others = shop.permit_for_both(5, 1_004);
    let error = shop.vault().link_subjects(&others, &who(4), &who(1_004), later(25)).unwrap_err();
    assert_eq!(reason(&error), Reason::PurposeDenied);
    let one = shop.permit_about(Verb::AccessSubject, 4);
    assert_eq!(reason(&shop.vault().link_subjects(&one, &who(4), &who(5), NOW).unwrap_err()), Reason::PurposeDenied);
    let before = shop.vault().log.size(crate::vault::Tree::Subject);
    // Of each consent, and of each of three batches.
    assert_eq!(before, 40 * 2 + 3 + 3, "nothing of these is in the log");
    shop.link(4, 1_004).unwrap();
    assert_eq!(shop.vault().log.size(crate::vault::Tree::Subject), before + 4);
    for (primary, secondary) in [(4, 1_004), (5, 1_004), (5, 4), (1_004, 5)] {
        assert_eq!(reason(&shop.link(primary, secondary).unwrap_err()), Reason::RequestInvalid);
    }
    for number in 6..13 {
        shop.link(4, number).unwrap();
    }
    assert!(matches!(shop.link(4, 20), Err(VaultError::Refused(refusal)) if refusal.message.contains("at most 8")));
    shop.unlink(4, 9).unwrap();
    shop.link(4, 20).unwrap();
    assert_eq!(reason(&shop.unlink(20, 4).unwrap_err()), Reason::RequestInvalid, "in this order");
}

#[test]
fn whoever_withdraws_from_linking_is_unlinked_and_not_used_until_the_rows_are_apart() {
    for leaver in [4, 1_004] {
        let mut shop = Shop::with_a_visitor();
        shop.link(4, 1_004).unwrap();
        shop.close(27);
        assert_eq!(shop.size("true"), 40);
        shop.withdraws(leaver, "identity", 28);
        let requests = shop.package_of(1_004).unwrap().requests;
        assert_eq!(
            requests.iter().map(|request| request.event.right).collect::<Vec<_>>(),
            [Right::Linking, Right::Unlinking]
        );
        assert_eq!(shop.everyone(5), 39);
        shop.reopen();
        assert_eq!(shop.everyone(4), 39);
        shop.close(40);
        assert_eq!((shop.size("true"), shop.size("order.count() == 1")), (41, 41));
    }
}

#[test]
fn a_package_says_that_there_is_a_link_and_shows_its_own_record() {
    let mut shop = Shop::with_a_visitor();
    let link = shop.link(4, 1_004).unwrap();
    for round in 0..2 {
        let (member, visitor) = (shop.package_of(4).unwrap(), shop.package_of(1_004).unwrap());
        for (package, primary, other) in [(&member, true, 1), (&visitor, false, 0)] {
            let [held] = package.links.as_slice() else { panic!("{:?}", package.links) };
            assert_eq!((held.primary, held.other, held.since), (primary, IdentityKind(other), later(25)));
            assert_eq!((held.leaf, package.events[0].rows.len()), (link.event.intent, 1));
            assert_eq!(package.requests.len(), 1 + round);
        }
        drop((member, visitor));
        shop.close(70);
        shop.reopen();
    }
    shop.unlink(4, 1_004).unwrap();
    let package = shop.package_of(4).unwrap();
    assert!(package.links.is_empty() && package.events[0].rows.len() == 1);
}

#[test]
fn whoever_erases_one_of_linked_people_erases_all() {
    for named in [4, 1_004] {
        let mut shop = Shop::with_a_visitor();
        shop.visit(1_005);
        shop.close(20);
        shop.link(4, 1_004).unwrap();
        shop.link(4, 1_005).unwrap();
        let receipt = shop.erases(named).unwrap();
        assert_eq!((receipt.people, receipt.outcome), (3, receipt.intent + 3));
        for _ in 0..2 {
            for number in [4, 1_004, 1_005] {
                assert_eq!(reason(&shop.package_of(number).unwrap_err()), Reason::FieldUnavailable);
            }
            assert_eq!(shop.size("true"), 39);
            shop.reopen();
        }
        shop.close(70);
        assert_eq!((shop.size("true"), shop.bought_tools()), (39, 0));
    }
}

#[test]
fn whoever_was_unlinked_is_erased_once_the_copies_are_gone() {
    let mut shop = Shop::with_a_visitor();
    shop.link(4, 1_004).unwrap();
    shop.close(27);
    shop.unlink(4, 1_004).unwrap();
    shop.reopen();
    assert_eq!(reason(&shop.erases(1_004).unwrap_err()), Reason::EpochNotClosed);
    assert_eq!(shop.package_of(1_004).unwrap().events[0].rows.len(), 1, "nothing was done");
    shop.close(70);
    assert_eq!(shop.erases(1_004).unwrap().people, 1);
    assert_eq!(shop.size("true"), 40);
    // The other way round the copies go with the rows they are in.
    shop.visit(1_004);
    shop.link(5, 1_004).unwrap();
    shop.unlink(5, 1_004).unwrap();
    assert_eq!(shop.erases(5).unwrap().people, 1);
    shop.reopen();
    shop.close(80);
    assert_eq!((shop.size("true"), shop.bought_tools()), (40, 1));
}

#[test]
fn no_partner_is_given_a_secondary_or_a_primary_that_may_not_be_shared() {
    let shop = Shop::new();
    shop.fill(0, 200, &["sharing.partner.greenbox", LINKING]);
    shop.visit(1_001);
    shop.ingest(vec![agrees(1_001, "sharing.partner.greenbox")]);
    shop.link(1, 1_001).unwrap();
    shop.link(2, 3).unwrap();
    shop.close(27);
    let permit = shop.permit(
        Role::Partner(PartnerId::new("greenbox").unwrap()),
        Verb::Audience,
        Some("sharing.partner.greenbox"),
    );
    let question = AudienceQuestion {
        partner: PartnerId::new("greenbox").unwrap(),
        universe: Segment::everyone(),
        segment: shop.segment("true"),
        tags: Vec::new(),
        rho: PRICE,
    };
    let audience = shop.vault().audience(&permit, &question, later(30)).unwrap();
    assert_eq!(audience.len(), 199, "neither the visitor nor member 3");
    let list = |number: usize| shop.package_of(number).unwrap().audiences.len();
    assert_eq!(
        (list(1), list(1_001), list(3), list(4)),
        (1, 1, 1, 1),
        "the secondaries were passed on with their primaries"
    );
    let left = |seconds| shop.vault().emit(&permit, &audience, 0, 1_000, later(seconds)).unwrap().members.len();
    assert_eq!(left(31), 199);
    shop.withdraws(3, "sharing", 32);
    shop.withdraws(1_001, "sharing", 33);
    assert_eq!(left(34), 197, "members 1 and 2 go with those they stand for");
    shop.unlink(1, 1_001).unwrap();
    assert_eq!(left(35), 197);
}

/// What a law says must be kept of one of them outlives the erasure of all, and no key of another does.
#[test]
fn what_is_held_of_linked_people_outlives_their_erasure_until_the_hold_ends() {
    for (held, named, fold) in [(1_004, 4, false), (4, 1_004, true), (4, 4, false)] {
        let mut shop = Shop::with_a_visitor();
        shop.link(4, 1_004).unwrap();
        if fold {
            shop.close(27);
        }
        let steward = shop.permit(Role::Steward, Verb::HoldSubject, None);
        let fields = [shop.schema.resolve("order.amount").unwrap()].into();
        let hold = NewHold { fields, ground: Ground::new("tax-act-147").unwrap(), until: None };
        let hold = shop.vault().place_hold(&steward, &who(held), hold, later(30)).unwrap();
        let permit = shop.permit(Role::Portal, Verb::EraseSubject, None);
        let report = shop.vault().erase_subjects(&permit, &[who(named)], later(65)).unwrap();
        assert!(report.confirmed);
        assert_eq!((report.receipt.people, report.receipt.held.len()), (2, 1), "{held} {named}");
        for seconds in [70, 80] {
            shop.reopen();
            assert!(shop.vault().list_holds(&steward).unwrap()[0].waiting);
            for number in [4, 1_004] {
                assert_eq!(reason(&shop.package_of(number).unwrap_err()), Reason::FieldUnavailable);
            }
            shop.close(seconds);
            assert_eq!((shop.size("true"), shop.bought_tools()), (39, 0));
        }
        let report = shop.vault().release_hold(&steward, hold.number, later(90)).unwrap().unwrap();
        assert!(report.confirmed && report.receipt.held.is_empty());
    }
}

/// Some events are folded, some are not, and one id is both's.
#[test]
fn a_link_copies_what_is_folded_and_what_is_not_and_packages_show_none_of_it() {
    let mut shop = Shop::with_a_visitor();
    shop.ingest((100..400).map(|id| bought(1_004, id, 3)).collect());
    shop.close(20);
    shop.ingest((399..450).map(|id| bought(1_004, id, 3)).collect());
    shop.ingest(vec![bought(4, 200, 1)]);
    shop.link(4, 1_004).unwrap();
    for round in 0..3 {
        let rows = |number| shop.package_of(number).unwrap().events[0].rows.len();
        let counted = |number| shop.package_of(number).unwrap().counts[0];
        assert_eq!([rows(4), rows(1_004)], [2, 351], "{round}");
        assert_eq!([counted(4), counted(1_004)], [2, 351], "{round}");
        shop.close(70 + round);
        // Of the visitor's 351, one is under an id that is the member's own too.
        assert_eq!(shop.size("order.count() == 352"), 1);
        shop.reopen();
    }
    shop.unlink(4, 1_004).unwrap();
    shop.close(80);
    assert_eq!((shop.size("order.count() == 2"), shop.size("order.count() == 351")), (1, 1));
}
