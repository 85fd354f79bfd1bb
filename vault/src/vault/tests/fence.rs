//! People who withdraw, or are erased, while a question about them is under way.

use super::*;
use std::sync::mpsc::channel;

const PURPOSE: &[&str] = &["marketing.segmentation"];

#[test]
fn who_withdraws_during_a_scan_is_not_in_the_draw() {
    let shop = Shop::new();
    shop.fill(0, 100, PURPOSE);
    shop.close(20);
    let permit = shop.permit(Role::Producer, Verb::RecordConsent, None);
    let withdraw = move |vault: &Vault| {
        let gone = |number| (key(number), consent("marketing.segmentation", ConsentAct::Withdraw, 5));
        vault.record_consents(&permit, (10..50).map(gone).collect(), later(30)).unwrap();
    };
    *shop.vault().after_scan.lock() = Some(Box::new(withdraw));
    assert_eq!(shop.size("age_band == \"young\""), 30);
    assert!(shop.vault().after_scan.lock().is_none(), "it was asked in time");
    let (again, charged) = shop.ask("age_band == \"young\"", Kind::Size).unwrap();
    assert_eq!((rounded(&again, 0), charged), (vec![30], false), "one draw, one charge");
}

#[test]
fn who_withdraws_when_all_but_the_last_check_is_done_is_not_in_the_draw() {
    let shop = Shop::new();
    shop.fill(0, 100, PURPOSE);
    shop.close(20);
    let permit = shop.permit(Role::Producer, Verb::RecordConsent, None);
    let withdraw = move |vault: &Vault| {
        let gone = |number| (key(number), consent("marketing.segmentation", ConsentAct::Withdraw, 5));
        vault.record_consents(&permit, (10..50).map(gone).collect(), later(30)).unwrap();
    };
    *shop.vault().before_fence.lock() = Some(Box::new(withdraw));
    assert_eq!(shop.size("age_band == \"young\""), 30);
    assert!(shop.vault().before_fence.lock().is_none(), "it was asked in time");
}

#[test]
fn who_is_erased_during_a_scan_is_not_in_the_draw_and_the_erasure_waits_for_it() {
    let shop = Shop::new();
    shop.fill(0, 100, PURPOSE);
    shop.close(20);
    let (scanned, at_scan) = channel();
    let (go, released) = channel::<()>();
    let wait = move |_: &Vault| {
        scanned.send(()).unwrap();
        released.recv().unwrap();
    };
    *shop.vault().after_scan.lock() = Some(Box::new(wait));
    let permit = shop.permit(Role::Portal, Verb::EraseSubject, None);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| shop.size("true"));
        at_scan.recv().unwrap();
        let erasing = scope.spawn(|| shop.vault().erase(&permit, &[key(3), key(4)], later(40)).unwrap());
        let erased = || {
            let state = shop.vault().state.lock();
            let index = &state.datasets[&1].index;
            index.find(index.tag(key(3).expose())).is_none()
        };
        while !erased() {
            std::thread::yield_now();
        }
        assert!(!erasing.is_finished(), "the scan holds the pieces that it is to destroy");
        go.send(()).unwrap();
        assert_eq!(asking.join().unwrap(), 98);
        erasing.join().unwrap();
    });
    assert_eq!(shop.size("order.any()"), 98);
}

#[test]
fn a_question_is_answered_however_many_withdraw_meanwhile() {
    let shop = Shop::new();
    shop.fill(0, 400, PURPOSE);
    shop.close(20);
    let permit = shop.permit(Role::Producer, Verb::RecordConsent, None);
    std::thread::scope(|scope| {
        let withdrawing = scope.spawn(|| {
            for number in 0..200 {
                let event = consent("marketing.segmentation", ConsentAct::Withdraw, 5);
                shop.vault().record_consents(&permit, vec![(key(number), event)], later(30)).unwrap();
            }
        });
        for children in 0..5 {
            let size = shop.size(&format!("children == {children} || children == 9"));
            assert!((40..=80).contains(&size), "{size}");
        }
        withdrawing.join().unwrap();
    });
    assert_eq!(shop.size("true"), 200);
}

#[test]
fn who_is_erased_during_a_delivery_is_not_remembered_in_what_was_delivered() {
    let shop = Shop::new();
    shop.fill(0, 300, &["sharing.partner.greenbox"]);
    shop.close(20);
    let partner = PartnerId::new("greenbox").unwrap();
    let purpose = Some("sharing.partner.greenbox");
    let permit = shop.permit_for("greenbox-crm", "", Role::Partner(partner.clone()), Verb::Audience, purpose);
    let (universe, segment) = (Segment::everyone(), shop.segment("true"));
    let question = AudienceQuestion { partner, universe, segment, tags: Vec::new(), rho: PRICE };
    // So that its size is known, and the next scan is that for its members.
    shop.vault().audience(&permit, &question, later(30)).unwrap();
    let (scanned, at_scan) = channel();
    let (go, released) = channel::<()>();
    let wait = move |_: &Vault| {
        scanned.send(()).unwrap();
        released.recv().unwrap();
    };
    *shop.vault().after_scan.lock() = Some(Box::new(wait));
    let eraser = shop.permit(Role::Portal, Verb::EraseSubject, None);
    let generation = || shop.vault().state.lock().tree.generation();
    std::thread::scope(|scope| {
        let delivering = scope.spawn(|| shop.vault().audience(&permit, &question, later(31)).unwrap());
        at_scan.recv().unwrap();
        let before = generation();
        let erasing = scope.spawn(|| shop.vault().erase(&eraser, &[key(3)], later(40)).unwrap());
        while generation() == before {
            std::thread::yield_now();
        }
        go.send(()).unwrap();
        let delivered = delivering.join().unwrap();
        assert_eq!(shop.vault().emit(&permit, &delivered, 0, 1_000, later(41)).unwrap().members.len(), 299);
        erasing.join().unwrap();
    });
    let state = shop.vault().state.lock();
    let held = state.shared.held.values().flatten().map(|audience| &audience.members);
    let members: Vec<_> = held.map(|members| super::super::deliver::decode(members).unwrap().len()).collect();
    assert_eq!(members, [299, 299]);
}
